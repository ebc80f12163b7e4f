use super::PseudoVersion;
use crate::Version;

fn pseudo(text: &str) -> PseudoVersion {
    Version::parse(text).unwrap().pseudo().unwrap()
}

#[test]
fn faults_of_a_base_are_named() {
    let check = |text: &str, reason: &str| {
        assert_eq!(pseudo(text).base().unwrap_err().reason, reason);
    };
    check(
        "v1.2.0-0.20240229235959-0123456789ab",
        "version before v1.2.0 would have negative patch number",
    );
    check(
        "v2.0.0-20240229235959-0123456789ab+incompatible",
        "lacks base version, but has build metadata",
    );
}

#[test]
fn a_time_that_never_was_is_named() {
    let error = pseudo("v0.0.0-20230229000000-0123456789ab")
        .time_rfc3339()
        .unwrap_err();
    assert_eq!(error.reason, "malformed time \"20230229000000\"");
}

#[test]
fn nothing_but_a_pseudo_version_is_built() {
    let refused = |major: &str, older: &str, time: &str, revision: &str| {
        assert!(PseudoVersion::build(major, older, time, revision).is_err());
    };
    refused("v01", "", "20240229235959", "0123456789ab");
    refused("2", "", "20240229235959", "0123456789ab");
    refused("", "", "2024022923595", "0123456789ab");
    refused("", "", "20240229235959", "");
    refused("", "", "20240229235959", "0123-456789a");
    refused("", "", "20240229235959-1", "0123456789ab");
    refused("", "v1.2.3+meta", "20240229235959", "0123456789ab");
}

#[test]
fn patches_of_any_length_are_counted() {
    let check = |older: &str, newer: &str| {
        let version = PseudoVersion::build("v1", older, "20240229235959", "0123456789ab").unwrap();
        assert_eq!(
            version.as_str(),
            format!("{newer}-0.20240229235959-0123456789ab")
        );
        assert_eq!(
            pseudo(version.as_str()).base().unwrap().unwrap().as_str(),
            older
        );
    };
    check("v1.0.0", "v1.0.1");
    check("v1.0.9", "v1.0.10");
    check("v1.0.99", "v1.0.100");
    check("v1.0.1099", "v1.0.1100");
    check("v1.0.99999999999999999999", "v1.0.100000000000000000000");
}
