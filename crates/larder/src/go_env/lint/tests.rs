use super::*;
use crate::settings::environment::Environment;

/// The rules that speak of an environment, in their order.
fn rules(variables: &[(&str, &str)]) -> Vec<&'static str> {
    let folder = tempfile::tempdir().unwrap();
    let installation = folder.path().join("go");
    fs_err::create_dir_all(&installation).unwrap();
    fs_err::write(
        installation.join("go.env"),
        "GOPROXY=https://public.example,direct\nGOSUMDB=sum.golang.org\n",
    )
    .unwrap();
    let home = folder.path().to_str().unwrap().to_owned();
    let goroot = installation.to_str().unwrap().to_owned();
    let all = [("HOME", home.as_str()), ("GOROOT", goroot.as_str())];
    let environment: Environment = all.iter().chain(variables).copied().collect();
    lint(&GoEnv::read(&environment))
        .iter()
        .map(|remark| remark.rule)
        .collect()
}

#[track_caller]
fn check(variables: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(rules(variables), expected, "{variables:?}");
}

#[test]
fn a_sound_environment_gets_no_remark() {
    check(&[], &[]);
    check(
        &[("GOPRIVATE", "git.corp.example,*.corp.example/team")],
        &[],
    );
    check(
        &[
            ("GOPROXY", "https://proxy.corp.example,direct"),
            ("GOPRIVATE", "git.corp.example"),
            ("GONOPROXY", "none"),
        ],
        &[],
    );
}

#[test]
fn what_does_nothing_or_not_what_it_seems_is_said() {
    check(&[("GOPRIVATE", "")], &["empty-export"]);
    check(&[("GOPROXY", ",")], &["goproxy-unreadable"]);
    check(
        &[("GOPROXY", "direct,https://a.example")],
        &["goproxy-after-end"],
    );
    check(&[("GOPROXY", "off")], &["goproxy-off"]);
    check(
        &[("GOPROXY", "https://public.example,https://own.example")],
        &["public-before-private"],
    );
    check(
        &[("GOPROXY", "http://me:secret@own.example")],
        &["goproxy-password-in-clear"],
    );
    check(
        &[("GOPROXY", "https://me:secret@own.example")],
        &["goproxy-password"],
    );
    check(&[("GOSUMDB", "off")], &["sumdb-off"]);
    check(&[("GOSUMDB", "sum.corp.example")], &["sumdb-unreadable"]);
    check(&[("GONOSUMDB", "*")], &["sumdb-exempts-all"]);
    check(
        &[
            ("GOPROXY", "https://own.example"),
            ("GOINSECURE", "git.corp.example"),
        ],
        &["insecure-does-nothing"],
    );
    check(
        &[
            ("GOPROXY", "https://own.example"),
            ("GOPRIVATE", "git.corp.example"),
            ("GOINSECURE", "git.corp.example/a"),
        ],
        &[],
    );
    check(&[("GOFLAGS", "-insecure -v")], &["flag-insecure"]);
    check(
        &[("GOFLAGS", "-ldflags=-X a b")],
        &["flag-unreadable", "flag-unreadable"],
    );
    check(&[("GO111MODULE", "off")], &["modules-off"]);
    check(
        &[("HTTP_PROXY", "http://p.example:1")],
        &["http-proxy-not-for-https"],
    );
    check(
        &[
            ("HTTPS_PROXY", "http://a.example:1"),
            ("https_proxy", "http://b.example:1"),
        ],
        &["http-proxy-two-values"],
    );
    check(&[("SSL_CERT_FILE", "/nowhere/ca.pem")], &["ca-file"]);
    check(&[("NETRC", "/nowhere/netrc")], &["netrc-missing"]);
}

#[test]
fn private_names_that_leak_are_said() {
    check(
        &[("GONOPROXY", "git.corp.example")],
        &["private-asked-of-database"],
    );
    check(
        &[
            ("GOPRIVATE", "a.example,b.example"),
            ("GONOPROXY", "a.example"),
        ],
        &["private-asked-of-proxy"],
    );
    check(
        &[
            ("GOPRIVATE", "git.corp.example/team"),
            ("GONOPROXY", "git.corp.example"),
        ],
        &["private-asked-of-database"],
    );
    check(
        &[("GOPRIVATE", "git.corp.example"), ("GONOSUMDB", "none")],
        &["private-asked-of-database"],
    );
    check(
        &[
            ("GOPRIVATE", "git.corp.example/*,*.lab.example/team"),
            ("GONOSUMDB", "git.corp.example,*.lab.example"),
        ],
        &[],
    );
    check(
        &[
            ("GOPRIVATE", "git.corp.example/*"),
            ("GONOSUMDB", "git.corp.example/team"),
        ],
        &["private-asked-of-database"],
    );
}

#[test]
fn patterns_that_match_nothing_are_said_with_what_was_meant() {
    let check = |pattern: &str, meant: Option<&str>| {
        let fault = pattern_fault(pattern);
        match (fault, meant) {
            (Some((_, cure)), Some(meant)) => assert!(cure.contains(meant), "{pattern}: {cure}"),
            (None, None) => {}
            (got, _) => panic!("{pattern}: {got:?}"),
        }
    };
    check("git.corp.example", None);
    check("*.corp.example/*", None);
    check(" git.corp.example", Some("`git.corp.example`"));
    check("https://git.corp.example/", Some("`git.corp.example`"));
    check("git.corp.example/...", Some("`git.corp.example`"));
    check("git@git.corp.example:team", Some("`git.corp.example/team`"));
    check("git.corp.example:8443/team", Some("`git.corp.example`"));
    check("Git.Corp.example", Some("`git.corp.example`"));
    check("[", Some("go help private"));
}

#[test]
fn passwords_are_never_shown() {
    let check = |value: &str, shown: &str| assert_eq!(effective::without_passwords(value), shown);
    check("https://a.example,direct", "https://a.example,direct");
    let shown =
        effective::without_passwords("https://u:secret@a.example|http://x:secret@b.example,off");
    assert!(!shown.contains("secret"), "{shown}");
    assert!(
        shown.contains("a.example") && shown.ends_with(",off"),
        "{shown}"
    );
    assert!(!effective::without_passwords("u:secret@proxy:80").contains("secret"));
}
