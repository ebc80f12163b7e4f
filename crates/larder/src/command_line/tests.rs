use super::*;

fn parse_words(words: &[&str]) -> Result<Action, Stop> {
    let program = std::iter::once("larder");
    parse(program.chain(words.iter().copied()).map(OsString::from))
}

fn wrong(words: &[&str]) -> String {
    match parse_words(words) {
        Err(Stop::Wrong(complaint)) => complaint.render(),
        other => format!("{other:?}"),
    }
}

#[test]
fn the_grammar_holds_together() {
    grammar().debug_assert();
}

#[test]
fn flags_become_keys_and_texts() {
    let action = parse_words(&["serve", "--listen", "a:1", "--offline", "--tls-key=k"]);
    let flags = vec![
        ("listen", "a:1".to_owned()),
        ("tls_key", "k".to_owned()),
        ("offline", "true".to_owned()),
    ];
    assert_eq!(action.unwrap(), Action::Serve { flags });
    let action = parse_words(&["serve", "--offline=false"]).unwrap();
    let flags = vec![("offline", "false".to_owned())];
    assert_eq!(action, Action::Serve { flags });
}

#[test]
fn everything_after_two_dashes_is_the_command() {
    let action = parse_words(&[
        "exec", "--fresh", "5", "--", "go", "build", "--json", "./...",
    ]);
    assert_eq!(
        action.unwrap(),
        Action::Exec {
            flags: vec![("fresh", "5".to_owned())],
            command: ["go", "build", "--json", "./..."]
                .map(OsString::from)
                .into(),
        }
    );
    assert!(wrong(&["exec"]).starts_with("error: "));
    assert!(wrong(&["exec", "go", "build"]).starts_with("error: "));
}

#[test]
fn what_is_misspelt_is_answered_with_what_was_meant() {
    let check = |words: &[&str], expected: &str| assert_eq!(wrong(words), expected);
    check(
        &["serve", "--lisen", "a:1"],
        "error: unknown argument `--lisen`\nhint: did you mean `--listen`?\n",
    );
    check(
        &["srve"],
        "error: unknown command `srve`\nhint: did you mean `serve`?\n",
    );
    check(
        &["config", "shwo"],
        "error: unknown command `shwo`\nhint: did you mean `show`?\n",
    );
    check(
        &["serve", "--zzz"],
        "error: unknown argument `--zzz`\nhint: `--help` lists what is known\n",
    );
    check(
        &[],
        "error: no command given\nhint: `larder serve` runs the proxy, `larder --help` lists the commands\n",
    );
}

#[test]
fn help_and_version_are_data_and_name_no_hidden_command() {
    let Err(Stop::Text(help)) = parse_words(&["--help"]) else {
        panic!("help is text");
    };
    assert!(help.contains("serve") && !help.contains(REFERENCE));
    let Err(Stop::Text(version)) = parse_words(&["--version"]) else {
        panic!("the version is text");
    };
    assert_eq!(version, format!("larder {}\n", env!("CARGO_PKG_VERSION")));
}
