//! The go environment as `larder env` shows it is the one that go has.
use crate::{expect_parts, larder};
use std::path::Path;
use std::process::Command;
use testkit::GoCommand;

const VARIABLES: [&str; 13] = [
    "GOPROXY",
    "GOPRIVATE",
    "GONOPROXY",
    "GONOSUMDB",
    "GOSUMDB",
    "GOINSECURE",
    "GOAUTH",
    "GOFLAGS",
    "GOTOOLCHAIN",
    "GOPATH",
    "GOMODCACHE",
    "GOENV",
    "GOVCS",
];

/// What each of the two says of the same environment.
fn both(file: &str, variables: &[(&str, &str)]) -> Option<(serde_json::Value, serde_json::Value)> {
    let go = GoCommand::find("direct")?;
    let home = go.folder();
    let goenv = home.join("go-env-file");
    std::fs::write(&goenv, file).unwrap();
    let run = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("HOME", home)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("GOENV", &goenv)
            .envs(variables.iter().copied());
        let output = command.output().unwrap();
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let arguments: Vec<&str> = ["env", "-json"].into_iter().chain(VARIABLES).collect();
    let go_says = run(go.program(), &arguments);
    let larder_says = run(Path::new(env!("CARGO_BIN_EXE_larder")), &["env", "--json"]);
    Some((go_says, larder_says))
}

#[track_caller]
fn check(file: &str, variables: &[(&str, &str)]) {
    let Some((go, larder)) = both(file, variables) else {
        return;
    };
    for name in VARIABLES {
        // Go keeps the default of GOVCS to itself.
        if name == "GOVCS" && go[name] == "" {
            continue;
        }
        let shown = larder["variables"]
            .as_array()
            .unwrap()
            .iter()
            .find(|variable| variable["name"] == name)
            .unwrap();
        assert_eq!(
            shown["value"], go[name],
            "{name} with {variables:?} and {file:?}"
        );
    }
}

#[test]
fn env_shows_the_values_that_go_has() {
    check("", &[]);
    check("GOPROXY=https://file.example\nGOPRIVATE=a.example\n", &[]);
    check(
        "GOPROXY=https://file.example\nGONOSUMDB=b.example\nGOPATH=/srv/go\n",
        &[
            ("GOPROXY", "https://exported.example|off"),
            ("GOPRIVATE", "c.example"),
        ],
    );
    check(
        "GONOPROXY=none\nGOSUMDB=off\n",
        &[("GOPRIVATE", ""), ("GOFLAGS", "-v")],
    );
}

#[test]
fn a_set_is_written_where_go_reads_it_and_undone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("goenv");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "GOFLAGS=-v\n").unwrap();
    let builder = larder().env("GOENV", path);
    let used = builder.clone().run(&[
        "env",
        "use",
        "corp",
        "--proxy",
        "http://u:secret@larder.example",
        "--private-patterns",
        "git.example",
    ]);
    assert!(used.status.success(), "{}", used.stderr);
    expect_parts(&used.stdout, &["+ GOPROXY=", "+ GONOSUMDB=git.example"]);
    assert!(!used.stdout.contains("secret"), "{}", used.stdout);
    let written = std::fs::read_to_string(&file).unwrap();
    expect_parts(
        &written,
        &["GOFLAGS=-v\n", "GOPROXY=http://u:secret@larder.example\n"],
    );
    let undone = builder.run(&["env", "use", "--undo"]);
    assert!(undone.status.success(), "{}", undone.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "GOFLAGS=-v\n");
}
