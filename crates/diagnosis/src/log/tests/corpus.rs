//! The real failures of `fixtures/corpora/go-failures.jsonl`; what go, git and curl print for the
//! faults of `tls-faults.jsonl`; and `wordings.jsonl`, logs in the forms of CI systems, releases and
//! programs that the others lack.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use crate::{cause, explain};

/// Of a hundred logs so many must be told right.
const WANTED_PERCENT: usize = 97;

#[derive(Deserialize)]
pub(super) struct Failure {
    pub(super) id: String,
    pub(super) log: String,
    cause: String,
}

pub(super) fn failures() -> Vec<Failure> {
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

/// No single cause, with many examples told alike, carries the figure: it holds with any one of them left
/// out.
#[test]
fn real_failures_are_explained_with_any_one_cause_left_out() {
    let failures = failures();
    let mut causes: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for failure in &failures {
        let findings = explain(&failure.log);
        let answer = findings.first().map_or("nothing", |finding| finding.cause);
        let cause = causes.entry(&failure.cause).or_default();
        cause.0 += 1;
        cause.1 += usize::from(is_right(answer, &failure.cause));
    }
    let right: usize = causes.values().map(|(_, right)| right).sum();
    let mut lowest = 100.0_f64;
    for (left_out, (all_of_it, right_of_it)) in &causes {
        let (all, right) = (failures.len() - all_of_it, right - right_of_it);
        lowest = lowest.min(100.0 * right as f64 / all as f64);
        assert!(
            right * 100 >= all * WANTED_PERCENT,
            "without {left_out}: {right} of {all} are right"
        );
    }
    println!(
        "{} causes; with any one left out at least {lowest:.1} %",
        causes.len()
    );
}

#[derive(Deserialize)]
struct Fault {
    id: String,
    slug: String,
    log_slug: Option<String>,
    log_accepted: Vec<String>,
    #[serde(default)]
    go: String,
    #[serde(default)]
    go_list: String,
    #[serde(default)]
    go_old: BTreeMap<String, String>,
    #[serde(default)]
    curl: String,
    #[serde(default)]
    git: String,
}

fn faults() -> Vec<Fault> {
    let text = include_str!("../../../../../fixtures/corpora/tls-faults.jsonl");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn what_go_prints_for_each_fault_is_explained() {
    let mut wrong = String::new();
    let mut check = |fault: &Fault, log: &str, accepted: &[&str]| {
        // The lab's own remarks are no words of go.
        if !log.contains("example.lab") && !log.starts_with("go: ") || !log.contains(": ") {
            return;
        }
        let findings = explain(log);
        let answer = findings.first().map_or("nothing", |finding| finding.cause);
        if !accepted.contains(&answer) {
            let _ = writeln!(wrong, "{}: {accepted:?} and not {answer}: {log}", fault.id);
        }
    };
    for fault in faults().iter().filter(|fault| fault.log_slug.is_some()) {
        let mut accepted: Vec<&str> = fault.log_accepted.iter().map(String::as_str).collect();
        check(fault, &fault.go, &accepted);
        check(fault, &fault.go_list, &accepted);
        // Old releases met some faults at another place, and said so; what it was stays true.
        accepted.push(&fault.slug);
        if fault.id == "alpn-h2-but-h1" {
            accepted.extend(["net-reset"]);
        }
        for log in fault.go_old.values() {
            check(fault, log, &accepted);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn what_curl_prints_of_a_certificate_is_explained_and_git_is_always_understood() {
    let mut wrong = String::new();
    for fault in faults() {
        for log in [&fault.git, &fault.curl] {
            if !log.starts_with("fatal: ") && !log.starts_with("curl: (") {
                continue;
            }
            let findings = explain(log);
            let answer = findings.first().map_or("nothing", |finding| finding.cause);
            let parent = cause::find(&fault.slug).and_then(|cause| cause.parent);
            let told = is_right(answer, &fault.slug)
                || Some(answer) == parent
                || parent.is_some_and(|parent| is_right(answer, parent));
            // OpenSSL judges what stands first in the chain, and go names what it misses in it.
            let known = ["leaf-not-first", "ip-no-san"].contains(&fault.id.as_str());
            let of_certificate = log.starts_with("curl: (60)") && !known;
            if answer == "nothing" || of_certificate && !told {
                let _ = writeln!(
                    wrong,
                    "{}: {} and not {answer}: {log}",
                    fault.id, fault.slug
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[derive(Deserialize)]
struct Wording {
    /// Each is right; more than one where the log cannot tell.
    causes: Vec<String>,
    log: String,
}

#[test]
fn logs_of_many_origins_are_explained() {
    let mut wrong = String::new();
    for line in include_str!("../../../../../fixtures/corpora/wordings.jsonl").lines() {
        let wording: Wording = serde_json::from_str(line).unwrap();
        let findings = explain(&wording.log);
        let answer = findings.first().map_or("nothing", |finding| finding.cause);
        if !wording.causes.iter().any(|cause| cause == answer) {
            let _ = writeln!(
                wrong,
                "{:?} and not {answer}: {}",
                wording.causes, wording.log
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
