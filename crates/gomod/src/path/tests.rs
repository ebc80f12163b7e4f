use super::ModulePath;

#[test]
fn parents_are_the_prefixes_that_could_be_modules() {
    let check = |text: &str, expected: &[&str]| {
        let path = ModulePath::parse(text).unwrap();
        let parents: Vec<String> = path.parents().map(|parent| parent.to_string()).collect();
        assert_eq!(parents, expected);
    };
    check("example.com", &[]);
    check("example.com/a/b", &["example.com/a", "example.com"]);
    check("example.com/v1/b", &["example.com"]);
    check("example.com/v2/b", &["example.com/v2", "example.com"]);
    check("gopkg.in/yaml.v3/sub.v1", &["gopkg.in/yaml.v3", "gopkg.in"]);
}

#[test]
fn refusals_name_the_rule() {
    let check = |text: &str, reason: &str| {
        let error = ModulePath::parse(text).unwrap_err();
        assert_eq!((error.what, error.reason.as_str()), ("module path", reason));
    };
    check("", "empty string");
    check("-a.b", "leading dash");
    check("a.b//c", "double slash");
    check("a.b/", "trailing slash");
    check("a.b/.c", "leading dot in path element");
    check("a.b/c.", "trailing dot in path element");
    check("a.b/c d", "invalid char ' '");
    check(
        "a.b/Nul.x",
        "\"Nul\" disallowed as path element component on Windows",
    );
    check("a.b/c~1", "trailing tilde and digits in path element");
    check("localhost/c", "missing dot in first path element");
    check("A.b/c", "invalid char 'A' in first path element");
    check("a.b/c/v1", "invalid version");
    check("gopkg.in/c", "invalid version");
}

#[test]
fn error_texts_are_cut_and_hold_no_control_characters() {
    let error = ModulePath::parse(&format!("a.b/\u{1b}[31m\n{}", "é".repeat(500))).unwrap_err();
    assert!(
        error.text.starts_with("a.b/\\u{1b}[31m\\n"),
        "{}",
        error.text
    );
    assert!(error.text.len() <= 200, "{}", error.text.len());
    let error = ModulePath::parse(&"\0".repeat(500)).unwrap_err();
    assert!(error.text.len() <= 200, "{}", error.text.len());
}
