use std::collections::BTreeSet;

use super::*;

#[test]
fn ids_are_unique_and_every_reference_leads_to_a_cause() {
    let ids: BTreeSet<&str> = all().map(|cause| cause.id).collect();
    assert_eq!(ids.len(), all().count());
    for cause in all() {
        for other in cause.confused_with.iter().chain(&cause.parent) {
            assert!(ids.contains(other), "{}: {other}", cause.id);
            assert_ne!(*other, cause.id);
        }
    }
}

#[test]
fn every_cause_can_be_cured_and_every_open_one_settled() {
    for cause in all() {
        assert!(
            cause.cures.iter().any(|cures| !cures.is_empty()),
            "{}",
            cause.id
        );
        for text in [cause.title, cause.meaning, cause.certain_when] {
            assert!(!text.is_empty(), "{}", cause.id);
        }
        assert!(
            cause.meaning.ends_with('.') && cause.certain_when.ends_with('.'),
            "{}",
            cause.id
        );
        assert!(!cause.title.ends_with('.'), "{}", cause.id);
    }
}

#[test]
fn no_cure_switches_verification_off() {
    const NEVER: [&str; 12] = [
        "--insecure",
        "curl -k",
        "sslVerify",
        "GONOSUMCHECK",
        "GOSUMDB=off",
        "GONOSUMDB=*",
        "GOINSECURE=",
        "StrictHostKeyChecking",
        "REJECT_UNAUTHORIZED",
        "--no-check-certificate",
        "trusted-host",
        "GOFLAGS=-insecure",
    ];
    for cause in all() {
        for cure in cause.cures.iter().flat_map(|cures| cures.iter()) {
            for line in cure.commands {
                for word in NEVER {
                    assert!(!line.contains(word), "{}: {line}", cause.id);
                }
            }
        }
    }
}

#[test]
fn a_probe_is_filled_in_and_never_takes_shell_words_from_a_log() {
    let check = |id: &str, subject: Subject, expected: &str| {
        assert_eq!(find(id).unwrap().probe(&subject).as_deref(), Some(expected));
    };
    let host = |host: &str| Subject {
        host: Some(host.to_owned()),
        ..Subject::default()
    };
    check(
        "net-dns",
        host("mirror.example"),
        "larder doctor https://mirror.example/",
    );
    check("net-dns", host("a;rm -rf ~"), "larder doctor https://HOST/");
    check(
        "tls-incomplete-chain",
        host("a.example:8443"),
        "larder doctor https://a.example:8443/",
    );
    check(
        "tls-incomplete-chain",
        host("a.example"),
        "larder doctor https://a.example/",
    );
}
