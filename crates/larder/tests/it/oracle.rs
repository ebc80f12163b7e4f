//! Modules straight from git, beside what the go command itself makes of the same repositories: a sample of what
//! `cargo xtask oracle` compares.
use testkit::GoCommand;
use testkit::oracle::{GoFixtures, Oracle};

#[test]
fn direct_answers_are_those_of_the_go_command() {
    if GoCommand::find("direct").is_none() {
        return;
    }
    let folder = tempfile::TempDir::with_prefix("larder-oracle-").unwrap();
    let modules = [
        "attributes.git",
        "major-folder.git/v2",
        "vanity.larder.example/inner",
        "sha256.git/sub",
    ];
    let oracle = Oracle::prepare(folder.path(), &modules, GoFixtures::Leave);
    let report = oracle
        .run(env!("CARGO_BIN_EXE_larder"))
        .expect("go is there");
    let differences: Vec<String> = report.differences.iter().map(ToString::to_string).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(report.counts.total() > 500, "{}", report.counts);
}
