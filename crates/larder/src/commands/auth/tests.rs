use super::*;

#[test]
fn a_target_is_a_module_path_or_an_address() {
    let check = |text: &str, expected: Option<&str>| {
        let parsed = Target::parse(text).ok().map(|target| target.to_string());
        assert_eq!(parsed.as_deref(), expected, "{text}");
    };
    check(
        "github.com/our-company/tool",
        Some("github.com/our-company/tool"),
    );
    check(
        "github.com/our-company/tool@v1.2.3",
        Some("github.com/our-company/tool"),
    );
    check(
        "https://git.example/a.git",
        Some("https://git.example/a.git"),
    );
    check(
        "ssh://git@git.example:2222/a",
        Some("ssh://git@git.example:2222/a"),
    );
    check("https://ann:s3cret@git.example/a", None);
    check("tool", None);
    check("-x", None);
    check("", None);
    let complaint = Target::parse("https://ann:s3cret@git.example/a").unwrap_err();
    assert!(
        !complaint.render().contains("s3cret"),
        "{}",
        complaint.render()
    );
}

/// The first cure.
fn first_cure(url: &str, access: Option<Access>, rule: Option<&str>, said: &str) -> String {
    let case = Case {
        url: &RepositoryUrl::parse(url).unwrap(),
        access,
        rule,
        said,
    };
    case.cures().into_iter().next().unwrap_or_default()
}

#[test]
fn what_helps_follows_from_the_host_and_from_what_it_said() {
    let web = |url: &str, access: Access, part: &str| {
        let cure = first_cure(url, Some(access), Some("[[credential]] x"), "");
        assert!(cure.contains(part), "{url} {access:?}: {cure}");
    };
    web(
        "https://github.com/a/b",
        Access::NotAccepted,
        "Developer settings",
    );
    web(
        "https://github.com/a/b",
        Access::NotAllowed,
        "single sign-on",
    );
    web(
        "https://our.ghe.com/a/b",
        Access::NotSeen,
        "an app is installed",
    );
    web(
        "https://gitlab.example/a/b",
        Access::NotAccepted,
        "`read_repository`",
    );
    web("https://gitlab.example/a/b", Access::NotSeen, "Reporter");
    web(
        "https://git.example/a/b",
        Access::NotAccepted,
        "wrong, expired or revoked",
    );
    web(
        "https://git.example:8443/a/b",
        Access::Wanted,
        "`match = \"git.example:8443/a\"`",
    );
    web(
        "https://git.example/a/b",
        Access::Unreached,
        "no matter of credentials",
    );
    let ssh = |rule: Option<&str>, said: &str, part: &str| {
        let cure = first_cure("ssh://git@git.example:2222/a/b", None, rule, said);
        assert!(cure.contains(part), "{said}: {cure}");
    };
    ssh(
        Some("x"),
        "git@git.example: Permission denied (publickey).",
        "deploy key",
    );
    ssh(
        None,
        "git@git.example: Permission denied (publickey).",
        "`ssh_key = ",
    );
    ssh(
        None,
        "Host key verification failed.",
        "`ssh-keyscan -p 2222 git.example",
    );
    ssh(
        None,
        "REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.",
        "ssh-keygen -R",
    );
    ssh(
        Some("x"),
        "ERROR: Repository not found.",
        "for one repository",
    );
}
