//! What a search for words gets wrong, each with its own test.

use crate::cause::Whose;
use crate::{Confidence, Finding, explain};

fn first(log: &str) -> Finding {
    let findings = explain(log);
    findings
        .into_iter()
        .next()
        .unwrap_or_else(|| panic!("nothing found in {log}"))
}

#[track_caller]
fn check(log: &str, cause: &str) {
    assert_eq!(first(log).cause, cause, "{log}");
}

#[test]
fn a_wrapper_before_the_cause_is_not_the_cause() {
    for wrapper in [
        "go: example.org/a@v1.0.0: invalid version: ",
        "go: example.org/a: unrecognized import path \"example.org/a\": ",
        "main.go:3:2: no required module provides package example.org/a: ",
        "go: error loading module requirements: ",
    ] {
        check(
            &format!(
                "{wrapper}Get \"https://example.org/a?go-get=1\": dial tcp 192.0.2.1:443: i/o timeout"
            ),
            "net-timeout",
        );
        check(
            &format!(
                "{wrapper}Get \"https://example.org/a?go-get=1\": x509: certificate has expired or is not yet valid: current time 2024-05-01T00:00:00Z is after 2024-04-01T00:00:00Z"
            ),
            "tls-cert-expired",
        );
    }
}

#[test]
fn a_failure_inside_a_servers_answer_is_not_the_clients() {
    let finding = first(
        "go: example.org/a@v1.0.0: verifying module: example.org/a@v1.0.0: reading https://sum.golang.org/lookup/example.org/a@v1.0.0: 404 Not Found\n\tserver response:\n\tnot found: example.org/a@v1.0.0: invalid version: git ls-remote -q origin in /tmp/x: exit status 128:\n\t\tfatal: unable to access 'https://github.com/a/a/': Failed to connect to github.com port 443: Connection refused",
    );
    assert_eq!(finding.cause, "vcs-network");
    assert_eq!(finding.whose, Whose::ChecksumDatabase);
}

#[test]
fn lookup_before_a_timeout_is_the_resolver() {
    check(
        "go: a.example/b@v1: Get \"https://mirror.example/a.example/b/@v/v1.info\": dial tcp: lookup mirror.example on 192.0.2.53:53: read udp 10.0.0.2:1->192.0.2.53:53: i/o timeout",
        "dns-unreachable",
    );
    check(
        "go: a.example/b@v1: Get \"https://mirror.example/a.example/b/@v/v1.info\": dial tcp: lookup mirror.example on 192.0.2.53:53: dial udp 192.0.2.53:53: connect: no route to host",
        "dns-unreachable",
    );
}

#[test]
fn proxyconnect_before_a_message_is_the_http_proxy() {
    let message = |inner: &str| {
        format!(
            "go: a.example/b@v1: Get \"https://mirror.example/a.example/b/@v/v1.info\": proxyconnect tcp: {inner}"
        )
    };
    check(
        &message("tls: first record does not look like a TLS handshake"),
        "http-proxy-bad",
    );
    check(&message("EOF"), "http-proxy-bad");
    let finding = first(&message(
        "dial tcp 127.0.0.1:3128: connect: connection refused",
    ));
    assert_eq!(finding.cause, "http-proxy-unreachable");
    assert!(
        finding.cures.iter().any(|cure| cure.os == "docker"),
        "127.0.0.1 in a container is the container"
    );
}

#[test]
fn the_two_meanings_of_proxy_get_different_cures() {
    let module_proxy = first(
        "go: a.example/b@v1: reading https://mirror.example/a.example/b/@v/v1.info: 403 Forbidden",
    );
    let http_proxy = first(
        "go: a.example/b@v1: Get \"https://mirror.example/a.example/b/@v/v1.info\": Forbidden",
    );
    assert_eq!(module_proxy.cause, "proxy-forbidden");
    assert_eq!(http_proxy.cause, "http-proxy-forbidden");
    assert_ne!(module_proxy.cures, http_proxy.cures);
}

#[test]
fn a_full_disk_looks_like_a_broken_download() {
    check(
        "go: a.example/b@v1.0.0: read \"https:/mirror.example/@v/v1.0.0.zip\": write /tmp/mod123/b.zip: no space left on device",
        "disk-full",
    );
}

#[test]
fn gos_shortened_url_is_no_malformed_goproxy() {
    check(
        "go: a.example/b@v1.0.0: read \"https:/mirror.example/@v/v1.0.0.zip\": stream error: stream ID 3; INTERNAL_ERROR; received from peer",
        "net-http2-stream",
    );
}

#[test]
fn gone_is_not_always_private() {
    let gone = |body: &str| {
        format!(
            "go: github.com/a/b@v1.0.0: verifying module: github.com/a/b@v1.0.0: reading https://sum.golang.org/lookup/github.com/a/b@v1.0.0: 410 Gone\n\tserver response: not found: {body}"
        )
    };
    for (body, cause) in [
        (
            "create zip: testdata/a:b.txt: malformed file path \"testdata/a:b.txt\": invalid char ':'",
            "zip-bad-path",
        ),
        (
            "create zip: module source tree too large (max size is 524288000 bytes)",
            "module-too-large",
        ),
        ("fetch timed out", "sumdb-fetch-timeout"),
        (
            "github.com/a/b@v1.0.0: invalid version: unknown revision v1.0.0",
            "ver-unknown-revision",
        ),
        (
            "github.com/a/b@v0.0.0-20200101000000-0123456789ab: invalid pseudo-version: does not match version-control timestamp (expected 20200102000000)",
            "ver-pseudo-invalid",
        ),
    ] {
        check(&gone(body), cause);
        // As releases before 1.16 wrote it: the answer without a word between.
        check(&gone(body).replace("\tserver response: ", ""), cause);
    }
}

#[test]
fn a_login_prompt_may_hide_a_repository_that_is_not_there() {
    let finding = first(
        "go: module github.com/a/b: git ls-remote -q origin in /x: exit status 128:\n\tfatal: could not read Username for 'https://github.com': terminal prompts disabled",
    );
    assert_eq!(finding.cause, "vcs-auth-https");
    assert!(finding.also_possible.contains(&"vcs-repo-not-found"));
    assert_ne!(finding.confidence, Confidence::Certain);
    assert!(finding.settle.is_some());
}

#[test]
fn goinsecure_does_not_help_a_goproxy() {
    let finding = first(
        "GOINSECURE=\"*\"\ngo: a.example/b@v1: Get \"https://proxy.corp.example/a.example/b/@v/v1.info\": x509: certificate signed by unknown authority",
    );
    assert_eq!(finding.cause, "tls-untrusted-ca");
    assert!(
        finding
            .cures
            .iter()
            .all(|cure| !cure.text.contains("GOINSECURE"))
    );
}

#[test]
fn escaped_capitals_are_no_damage() {
    for escaped in ["github.com/%21acme/b", "github.com/!acme/b"] {
        let finding = first(&format!(
            "Get \"https://mirror.example/{escaped}/@v/v1.0.0.mod\": EOF"
        ));
        assert_eq!(finding.cause, "net-reset");
        assert_eq!(finding.subject.module.as_deref(), Some("github.com/Acme/b"));
    }
}

#[test]
fn old_and_new_wording_mean_the_same() {
    for (old, new) in [
        (
            "go: a.example/b@v1: unexpected status (https://mirror.example/a.example/b/@v/v1.info): 500 Internal Server Error",
            "go: a.example/b@v1: reading https://mirror.example/a.example/b/@v/v1.info: 500 Internal Server Error",
        ),
        (
            "go: a.example/b@v1: Get https://mirror.example/a.example/b/@v/v1.info: x509: certificate signed by unknown authority",
            "go: a.example/b@v1: Get \"https://mirror.example/a.example/b/@v/v1.info\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
        ),
        (
            "go: cannot find main module; see 'go help modules'",
            "go: go.mod file not found in current directory or any parent directory; see 'go help modules'",
        ),
        (
            "create zip: module source tree too big (max size is 524288000 bytes)",
            "create zip: module source tree too large (max size is 524288000 bytes)",
        ),
    ] {
        assert_eq!(first(old).cause, first(new).cause, "{old}");
    }
}

#[test]
fn windows_words_are_understood() {
    check(
        "go: a.example/b@v1: Get \"https://mirror.example/x/@v/v1.info\": dial tcp 192.0.2.1:443: connectex: A connection attempt failed because the connected party did not properly respond after a period of time",
        "net-timeout",
    );
    check(
        "go: missing Git command. See https://golang.org/s/gogetcmd\ngo: exec: \"git\": executable file not found in %PATH%",
        "vcs-missing-binary",
    );
}

#[test]
fn decoration_does_not_hide_the_cause_and_lines_keep_their_numbers() {
    let log = "#25 [build 4/7] RUN go mod download\n#25 0.058 go: a.example/b@v1.0.0: Get \"https://mirror.example/a.example/b/@v/v1.0.0.mod\": dial tcp 192.0.2.1:443: i/o timeout\n#25 ERROR: process did not complete\n => ERROR [build 4/7] RUN go mod download   30.1s\n";
    let finding = first(log);
    assert_eq!(finding.cause, "net-timeout");
    assert_eq!(
        finding.evidence.first().and_then(|evidence| evidence.line),
        Some(2)
    );
    assert!(
        finding
            .evidence
            .iter()
            .all(|evidence| evidence.text.starts_with("go: "))
    );
}

#[test]
fn many_lines_of_one_cause_are_one_finding_and_the_first_failure_leads() {
    let mut log = String::from(
        "go: a.example/m0@v1.0.0: Get \"https://mirror.example/a.example/m0/@v/v1.0.0.mod\": dial tcp 192.0.2.1:443: i/o timeout\n",
    );
    for number in 1..200 {
        log.push_str(&format!("go: a.example/m{number}@v1.0.0: reading https://mirror.example/a.example/m{number}/@v/v1.0.0.mod: 404 Not Found\n"));
    }
    let findings = explain(&log);
    let causes: Vec<&str> = findings.iter().map(|finding| finding.cause).collect();
    assert_eq!(causes, ["net-timeout", "ver-unknown-revision"]);
    assert!(findings.iter().all(|finding| finding.evidence.len() <= 5));
}

#[test]
fn a_reason_without_a_number_is_the_answer_to_connect() {
    check(
        "go: example.org/a: unrecognized import path \"example.org/a\": https fetch: Get \"https://example.org/a?go-get=1\": Forbidden",
        "http-proxy-forbidden",
    );
    check(
        "go: example.org/a@v1: reading https://example.org/a?go-get=1: 403 Forbidden",
        "proxy-forbidden",
    );
}

#[test]
fn package_without_a_version_is_gopath_mode() {
    let finding = first(
        "GOPROXY=\"https://mirror.example,direct\"\nGO111MODULE=\"off\"\npackage golang.org/x/net: unrecognized import path \"golang.org/x/net\" (https fetch: Get https://golang.org/x/net?go-get=1: dial tcp 192.0.2.1:443: i/o timeout)",
    );
    assert_eq!(finding.cause, "gopath-mode");
    assert!(finding.also_possible.contains(&"net-timeout"));
}

#[test]
fn a_linter_that_does_not_know_a_directive_is_itself_too_old() {
    let finding = first(
        "level=error msg=\"[linters_context] typechecking error: /src/go.mod:5: unknown directive: toolchain\"",
    );
    assert_eq!(finding.cause, "go-too-old");
    assert!(
        first("go.mod:5: unknown directive: toolchain")
            .entry()
            .is_some_and(|cause| cause.meaning.contains("linter"))
    );
}

#[test]
fn a_log_without_a_failed_download_explains_nothing() {
    for log in [
        "",
        "go: downloading github.com/a/b v1.0.0\ngo: extracting github.com/a/b v1.0.0\ngo: finding module for package github.com/a/b\ngo: found github.com/a/b in github.com/a/b v1.0.0\n",
        "ok  \tgithub.com/a/b\t0.312s\n?   \tgithub.com/a/c\t[no test files]\nPASS\n",
        "# get https://mirror.example/github.com/a/b/c/@v/list\n# get https://mirror.example/github.com/a/b/c/@v/list: 404 Not Found (0.151s)\n# get https://mirror.example/github.com/a/b/@v/list: 200 OK (0.101s)\n",
        "#7 [2/3] RUN go build ./...\n#7 12.3 go: downloading golang.org/x/net v0.20.0\n#7 DONE 15.1s\n",
        "GOPROXY=\"https://mirror.example,direct\"\nGOSUMDB=\"sum.golang.org\"\nGOINSECURE=\"\"\nGO111MODULE=\"\"\nGOVERSION=\"go1.26.1\"\n",
        "main.go:3:1: syntax error: non-declaration statement outside function body\n./a.go:12:4: undefined: thing\n",
        "make: *** [Makefile:7: build] Error 1\n",
        "git version 2.39.5\nCloning into 'b'...\nremote: Enumerating objects: 12, done.\nReceiving objects: 100% (12/12), done.\n",
    ] {
        let causes: Vec<&str> = explain(log).iter().map(|finding| finding.cause).collect();
        assert!(causes.is_empty(), "{log}\n{causes:?}");
    }
}

#[test]
fn secrets_of_a_log_are_not_quoted() {
    let finding = first(
        "go: a.example/b@v1.0.0: reading https://user:s3cret@proxy.corp.example/a.example/b/@v/v1.0.0.info?token=t0ken: 403 Forbidden",
    );
    let json = serde_json::to_string(&finding).unwrap();
    assert!(
        !json.contains("s3cret") && !json.contains("t0ken"),
        "{json}"
    );
    assert_eq!(finding.subject.host.as_deref(), Some("proxy.corp.example"));
}

#[test]
fn a_finding_has_the_fields_that_scripts_rely_on() {
    let finding = first(
        "go: a.example/b@v1.0.0: Get \"https://mirror.example/a.example/b/@v/v1.0.0.info\": x509: certificate signed by unknown authority",
    );
    let json = serde_json::to_value(&finding).unwrap();
    for (field, expected) in [
        ("cause", serde_json::json!("tls-untrusted-ca")),
        ("confidence", serde_json::json!("possible")),
        ("whose", serde_json::json!("client")),
        (
            "subject",
            serde_json::json!({"host": "mirror.example", "module": "a.example/b", "version": "v1.0.0"}),
        ),
        (
            "settle",
            serde_json::json!("larder doctor https://mirror.example/"),
        ),
    ] {
        assert_eq!(json.get(field), Some(&expected), "{field}");
    }
    assert_eq!(
        json.pointer("/evidence/0/line"),
        Some(&serde_json::json!(1))
    );
    assert!(
        json.pointer("/evidence/0/text")
            .is_some_and(serde_json::Value::is_string)
    );
    for field in ["where", "os", "text", "commands"] {
        assert!(
            json.pointer(&format!("/cures/0/{field}")).is_some(),
            "{field}"
        );
    }
}

#[test]
fn a_changed_host_key_is_not_an_unknown_one_too() {
    let warning = "go: git.example.org/a/b@v1.0.0: invalid version: git ls-remote -q origin in /tmp/x: exit status 128:\n\t\
        @    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n\t\
        Host key for git.example.org has changed and you have requested strict checking.\n\t\
        Host key verification failed.\n\t\
        fatal: Could not read from remote repository.";
    let causes = |log: &str| -> Vec<&str> { explain(log).iter().map(|it| it.cause).collect() };
    assert_eq!(causes(warning), ["vcs-host-key-changed"]);
    let another = "\ngo: code.example.net/c@v1.0.0: invalid version: git ls-remote -q origin in /tmp/y: exit status 128:\n\t\
        No ECDSA host key is known for code.example.net and you have requested strict checking.\n\t\
        Host key verification failed.";
    let far_below = "\nok".repeat(20);
    assert_eq!(
        causes(&format!("{warning}{far_below}{another}")),
        ["vcs-host-key-changed", "vcs-host-key"]
    );
}

#[test]
fn what_would_tell_asks_the_same_scheme_and_what_failed_can_be_asked_again() {
    let finding = first(
        "go: a.example/b@v1.0.0: Get \"http://me:word@127.0.0.1:3000/a.example/b/@v/v1.0.0.info?token=x\": dial tcp 127.0.0.1:3000: connect: connection refused",
    );
    assert_eq!(
        finding.subject.url.as_deref(),
        Some("http://127.0.0.1:3000/a.example/b/@v/v1.0.0.info")
    );
    let settle = finding.settle.unwrap_or_default();
    assert!(settle.contains("http://127.0.0.1:3000"), "{settle}");
    let shortened = first(
        "go: a.example/b@v1.0.0: read \"https:/mirror.example/@v/v1.0.0.zip\": unexpected EOF",
    );
    assert_eq!(shortened.subject.url, None);
    assert_eq!(shortened.subject.host.as_deref(), Some("mirror.example"));
}
