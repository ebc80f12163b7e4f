use super::*;

#[test]
fn an_explanation_quotes_the_log_and_begins_with_this_systems_cure() {
    let log = "#12 0.34 go: a.example/b@v1.0.0: Get \"https://mirror.example/a.example/b/@v/v1.0.0.info\": x509: certificate signed by unknown authority\n";
    let findings = diagnosis::explain(log);
    let text = text(&findings, System::Linux("alpine"));
    let begins = [
        "The certificate leads to an authority that is not trusted here",
        "  tls-untrusted-ca (possible), to be mended by: client",
        "  about: a.example/b@v1.0.0, at mirror.example",
        "",
        "  line 1: go: a.example/b@v1.0.0: Get \"https://mirror.example/a.example/b/@v/v1.0.0.info\": x509: certificate signed by unknown authority",
    ];
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.get(..begins.len()), Some(&begins[..]), "{text}");
    let helps = lines
        .iter()
        .position(|line| *line == "  what helps:")
        .unwrap();
    assert_eq!(
        lines.get(helps + 1..helps + 3),
        Some(
            &[
                "  - [client, alpine] Install the authority's certificate.",
                "      apk add --no-cache ca-certificates",
            ][..]
        ),
        "{text}"
    );
    let open = "  it could also be: tls-intercepted, tls-missing-ca-bundle, tls-incomplete-chain";
    assert!(lines.contains(&open), "{text}");
}

#[test]
fn distributions_are_known_by_their_release_file() {
    let check = |release: &str, name: &'static str| {
        assert_eq!(
            System::of_release(release),
            System::Linux(name),
            "{release}"
        );
    };
    check("NAME=\"Ubuntu\"\nID=ubuntu\nID_LIKE=debian\n", "debian");
    check("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "rhel");
    check("ID=alpine\n", "alpine");
    check("ID=void\n", "");
    check("", "");
}

#[test]
fn more_than_the_limit_is_refused() {
    assert!(read(std::io::repeat(b'a')).is_err());
    assert_eq!(read(&b"a\xffb"[..]).unwrap(), "a\u{fffd}b");
}

#[test]
fn lines_to_paste_name_the_host_and_never_what_a_shell_would_run() {
    let check = |command: &str, host: Option<&str>, expected: &str| {
        assert_eq!(filled(command, host), expected);
    };
    let git = "git config --global http.https://HOST/.sslCAInfo ca.pem";
    check(git, None, git);
    check(
        git,
        Some("a.example:8443"),
        "git config --global http.https://a.example:8443/.sslCAInfo ca.pem",
    );
    check(
        "openssl s_client -connect HOST:443 -servername HOST",
        Some("a.example:8443"),
        "openssl s_client -connect a.example:8443 -servername a.example",
    );
    check(
        "git config url.\"https://oauth2:${TOKEN}@HOST/\".insteadOf \"https://HOST/\"",
        Some("a.example:8443"),
        "git config url.\"https://oauth2:${TOKEN}@a.example:8443/\".insteadOf \"https://a.example:8443/\"",
    );
    check(
        "machine HOST login",
        Some("a.example:8443"),
        "machine a.example login",
    );
    check("ssh -T git@HOST", Some("[::1]:22"), "ssh -T git@[::1]");
    check("ssh -T git@HOST", Some("a$(id).example"), "ssh -T git@HOST");
    check(
        "ssh -T git@HOST",
        Some("-oProxyCommand=id"),
        "ssh -T git@HOST",
    );
}
