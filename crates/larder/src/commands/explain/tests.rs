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
