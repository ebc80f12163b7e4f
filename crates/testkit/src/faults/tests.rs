//! Does the lab reproduce what was recorded? The real clients of this machine are asked.

use super::{Case, Lab, all, mask, recorded, witness};
use std::collections::HashSet;

#[test]
fn every_recorded_fault_can_be_made_here() {
    let here: HashSet<&str> = all().map(|case| case.id).collect();
    assert_eq!(here.len(), all().count(), "two cases of one name");
    for recording in recorded::all() {
        assert!(
            here.contains(recording.id.as_str()),
            "no case {}",
            recording.id
        );
    }
}

/// Quick cases of each group always; all of them where `LARDER_FAULTS=all` is set.
#[test]
fn go_says_to_each_case_what_was_recorded() {
    if !witness::go_is_here() {
        let required = std::env::var("LARDER_REQUIRE_GO").is_ok_and(|value| value == "1");
        assert!(
            !required,
            "LARDER_REQUIRE_GO=1, but there is no `go` in PATH"
        );
        eprintln!("THIS TEST DID NOT RUN: there is no `go` in PATH");
        return;
    }
    if !witness::go_is_the_recorded_one() {
        eprintln!("not compared: the recordings are of Go 1.26");
        return;
    }
    let whole = is_whole_run();
    let only = std::env::var("LARDER_FAULT").ok();
    let lab = Lab::open();
    let mut unlike = Vec::new();
    for case in all().filter(|case| is_wanted(case, whole, only.as_deref())) {
        let Some(recording) = recorded::find(case.id) else {
            continue;
        };
        match case.prepare(&lab) {
            Err(reason) => eprintln!("{}: not run: {reason}", case.id),
            Ok(prepared) => {
                let said = witness::go(&lab, case, &prepared);
                let (is, was) = (mask::masked(&said.stderr), mask::masked(&recording.go));
                let still_waiting = was.starts_with("[no output") && said.passed.is_none();
                if is != was && !still_waiting {
                    unlike.push(format!("{}\n    was: {was}\n    is:  {is}", case.id));
                }
            }
        }
    }
    assert!(
        unlike.is_empty(),
        "{} unlike the recording:\n{}",
        unlike.len(),
        unlike.join("\n")
    );
}

/// `LARDER_FAULT` names one case.
fn is_wanted(case: &Case, whole: bool, only: Option<&str>) -> bool {
    match only {
        Some(id) => case.id == id,
        None => whole || is_quick(case),
    }
}

fn is_whole_run() -> bool {
    std::env::var("LARDER_FAULTS").is_ok_and(|value| value == "all")
}

/// Where git meets the lab's fault otherwise than the recorded one: GnuTLS knows the group that go does
/// not, and how a reset is met depends on its moment.
const OTHER_FOR_GIT: [&str; 2] = ["group-mlkem-only", "rst-on-accept"];

/// Git prints the words of the TLS library that it was built with: these are GnuTLS's.
#[test]
fn git_and_openssl_say_what_was_recorded() {
    let is_here = witness::git_is_here() && witness::openssl_is_here();
    if !is_whole_run() || !is_here || !witness::git_speaks_gnutls() {
        eprintln!(
            "not asked: git and openssl are compared where LARDER_FAULTS=all, with git over GnuTLS"
        );
        return;
    }
    let lab = Lab::open();
    let mut unlike = Vec::new();
    for case in all() {
        let recording = recorded::find(case.id);
        let asked_by_url = case.go == super::DOWNLOAD && case.go_waits_seconds == 0;
        let (Some(recording), true) = (recording, asked_by_url) else {
            continue;
        };
        let Ok(prepared) = case.prepare(&lab) else {
            continue;
        };
        let elsewhere =
            prepared.resolver.is_some() || !prepared.url.starts_with("https://localhost");
        let other = OTHER_FOR_GIT.contains(&case.id);
        if let (Some(was), false) = (&recording.git, elsewhere || other) {
            let said = witness::git(&prepared).stderr;
            let (is, was) = (mask::masked_git(&said), mask::masked_git(was));
            if is != was {
                unlike.push(format!("{}: git\n    was: {was}\n    is:  {is}", case.id));
            }
        }
        if let (Some(was), false) = (recording.openssl_verify_code, elsewhere) {
            let is = witness::openssl_verify_code(&prepared);
            if is != Some(was) {
                unlike.push(format!("{}: openssl was {was}, is {is:?}", case.id));
            }
        }
    }
    assert!(
        unlike.is_empty(),
        "{} unlike the recording:\n{}",
        unlike.len(),
        unlike.join("\n")
    );
}

/// One of each kind that fails at once.
fn is_quick(case: &Case) -> bool {
    [
        "incomplete-chain",
        "self-signed",
        "sha1-leaf",
        "negative-serial",
        "tls10-only",
        "sni-unrecognized",
        "big-clienthello-rst",
        "http-403",
        "captive-200",
        "redirect-to-http",
        "proxy-env-407",
        "sumdb-404",
        "direct-nometa",
        "ok",
    ]
    .contains(&case.id)
}

#[test]
fn what_differs_from_run_to_run_is_masked() {
    let check = |text: &str, expected: &str| assert_eq!(mask::masked(text), expected);
    check(
        "Get \"https://localhost:20014/m\": current time 2026-11-22T14:51:26Z is after 2026-02-01T00:00:00Z",
        "Get \"https://localhost/m\": current time TIME is after TIME",
    );
    check(
        "read tcp 127.0.0.1:EPHEMERAL->127.0.0.1:20067: read: reset",
        "read tcp ADDRESS->ADDRESS: read: reset",
    );
    check(
        "go: downloading m v1\n\tdownloaded: h1:abc=",
        "downloaded: h1:HASH",
    );
    check(
        "lookup a.test on 127.0.0.2:53: no such host",
        "lookup a.test on …: no such host",
    );
}
