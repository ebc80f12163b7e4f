//! The real failures of `fixtures/corpora/go-failures.jsonl`, and what go prints for the faults of
//! `tls-faults.json`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use crate::{cause, explain};

/// Of a hundred logs so many must be told right.
const WANTED_PERCENT: usize = 97;

#[derive(Deserialize)]
struct Failure {
    id: String,
    log: String,
    cause: String,
}

fn failures() -> Vec<Failure> {
    let text = include_str!("../../../../../fixtures/corpora/go-failures.jsonl");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Is this answer right for this label? The finer cause is; and so is one that the label's evidence
/// cannot be told from.
fn is_right(answer: &str, label: &str) -> bool {
    answer == label
        || cause::find(answer).and_then(|cause| cause.parent) == Some(label)
        || AS_GOOD
            .iter()
            .any(|(known, others)| *known == label && others.contains(&answer))
}

/// Labels with the answers that are as good where the log cannot separate them.
const AS_GOOD: &[(&str, &[&str])] = &[
    (
        "tls-untrusted-ca",
        &[
            "tls-intercepted",
            "tls-missing-ca-bundle",
            "tls-incomplete-chain",
        ],
    ),
    (
        "tls-intercepted",
        &["tls-untrusted-ca", "tls-missing-ca-bundle"],
    ),
    (
        "tls-missing-ca-bundle",
        &["tls-untrusted-ca", "tls-intercepted"],
    ),
    ("tls-incomplete-chain", &["tls-untrusted-ca"]),
    ("tls-clock-skew", &["tls-cert-expired"]),
    ("tls-san-missing", &["tls-name-mismatch"]),
    ("tls-handshake-timeout", &["net-timeout"]),
    ("net-refused", &["net-timeout"]),
    ("http-proxy-auth", &["http-proxy-bad"]),
    ("proxy-not-found", &["proxy-server-error"]),
    ("proxy-bad-body", &["proxy-server-error"]),
    ("zip-invalid", &["proxy-server-error"]),
    ("vcs-auth-https", &["vcs-repo-not-found"]),
    ("vcs-repo-not-found", &["vcs-auth-https"]),
    ("vcs-tls", &["tls-missing-ca-bundle", "tls-intercepted"]),
    ("gitlab-subgroup", &["vcs-auth-https"]),
    ("insecure-http", &["tls-untrusted-ca", "net-refused"]),
    (
        "sumdb-unreachable",
        &["net-timeout", "net-refused", "proxy-server-error"],
    ),
    ("sumdb-not-found", &["private-not-excluded"]),
    ("sumdb-fetch-timeout", &["sumdb-not-found"]),
    ("gopath-mode", &["net-timeout"]),
    ("pkg-not-required", &["ver-no-match"]),
];

fn group_of(id: &str) -> &'static str {
    cause::GROUPS
        .iter()
        .zip(cause::CAUSES)
        .find(|(_, causes)| causes.iter().any(|cause| cause.id == id))
        .map_or("none", |(group, _)| group)
}

#[test]
fn real_failures_are_explained() {
    let failures = failures();
    let mut groups: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    let mut wrong = String::new();
    for failure in &failures {
        let findings = explain(&failure.log);
        let answer = findings.first().map_or("nothing", |finding| finding.cause);
        let group = groups.entry(group_of(&failure.cause)).or_default();
        group.0 += 1;
        group.1 += usize::from(answer == failure.cause);
        if is_right(answer, &failure.cause) {
            group.2 += 1;
        } else {
            let _ = writeln!(wrong, "{}: {} and not {answer}", failure.id, failure.cause);
        }
    }
    let mut right = 0;
    for (group, (all, exact, as_good)) in &groups {
        println!("{group}: {as_good} of {all}, {exact} to the word");
        right += as_good;
    }
    println!("together {right} of {}\n{wrong}", failures.len());
    assert!(
        right * 100 >= failures.len() * WANTED_PERCENT,
        "{right} of {} are right:\n{wrong}",
        failures.len()
    );
}
