//! Which cause of the catalogue stands behind a failure, and the line that leads to its page.
//!
//! The catalogue itself is not known here: `serve/operations.rs` gets its pages from whoever starts the
//! server ([`super::Parts::cause_page`]), and a test holds every id of this file against it.

use http::request;
use http::uri::Authority;
use source::sumdb::ChecksumError;
use source::{Asked, Clue, SourceError, SourceErrorKind, TlsFault};
use store::{StoreError, VerifyError};

use crate::failure::Failure;

/// Where the pages are, below `/-/`.
pub(super) const PAGES: &str = "causes";
/// More of a host name is not repeated: the line must leave room for what happened.
const HOST_BYTES: usize = 120;

/// The line at the end of an error body.
pub(super) fn link(failure: &Failure, server: &str) -> String {
    format!("more: {server}/-/{PAGES}/{}", of(failure))
}

/// `http://HOST` as the client wrote it; empty, for a path alone, where it named no host or an odd one.
pub(super) fn server_address(head: &request::Parts, is_tls: bool) -> String {
    let named = head.headers.get(http::header::HOST);
    let host = match head.uri.authority() {
        Some(authority) => authority.as_str(),
        None => named
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default(),
    };
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-._:[]".contains(letter);
    if host.is_empty()
        || host.len() > HOST_BYTES
        || !host.chars().all(is_plain)
        || host.parse::<Authority>().is_err()
    {
        return String::new();
    }
    let scheme = if is_tls { "https" } else { "http" };
    format!("{scheme}://{host}")
}

/// The id of the cause, as `larder explain` and `larder doctor` name it too.
#[deny(
    clippy::wildcard_enum_match_arm,
    reason = "a new failure must choose its page"
)]
pub(super) fn of(failure: &Failure) -> &'static str {
    match failure {
        Failure::Malformed(_) => "gomod-bad-path",
        Failure::Denied { .. } => "proxy-forbidden",
        Failure::PrivateAtSumdb(_) => "private-not-excluded",
        Failure::UnknownDatabase(_) => "sumdb-config",
        Failure::Checksum(error) => match &**error {
            ChecksumError::Unknown { .. } => "sumdb-not-found",
            ChecksumError::Unavailable(_) => "sumdb-unreachable",
            ChecksumError::Misbehaves(_) => "sumdb-bad-answer",
        },
        Failure::Offline { below: Some(_), .. } => "ver-unknown-revision",
        Failure::NotStored(_) | Failure::Offline { below: None, .. } => "proxy-offline",
        Failure::Source(error) => of_source(error),
        Failure::MovedTag { .. } => "sum-mismatch-gosum",
        Failure::Unverified { error, .. } => of_verdict(error),
        Failure::Store(error) => match &**error {
            StoreError::DiskFull { .. } => "disk-full",
            StoreError::Unusable { .. } => "disk-permission",
            StoreError::Differs { .. } => "body-truncated",
            StoreError::Damaged { .. } | StoreError::Io(_) => "proxy-server-error",
        },
        Failure::Overloaded { .. } => "proxy-overloaded",
        Failure::Loop => "proxy-loop",
        Failure::Internal(_) => "proxy-server-error",
    }
}

#[deny(
    clippy::wildcard_enum_match_arm,
    reason = "a new kind must choose its page"
)]
fn of_source(error: &SourceError) -> &'static str {
    let failure = &error.0;
    let of_proxy = matches!(failure.asked, Asked::ModuleProxy);
    let either = |proxy, repository| if of_proxy { proxy } else { repository };
    if let Some(clue) = failure.clue {
        return of_clue(clue);
    }
    match failure.kind {
        SourceErrorKind::NotExist | SourceErrorKind::Gone => "ver-unknown-revision",
        SourceErrorKind::Refused => either("proxy-auth-required", "vcs-auth-https"),
        SourceErrorKind::Busy => "proxy-rate-limit",
        SourceErrorKind::Unreachable if failure.status.is_some() => {
            either("proxy-server-error", "vcs-network")
        }
        SourceErrorKind::Unreachable | SourceErrorKind::TimedOut => {
            either("proxy-upstream-unreachable", "vcs-network")
        }
        SourceErrorKind::Tls => match failure.tls {
            Some(fault) => of_tls(fault),
            None => either("tls-handshake-alert", "vcs-tls"),
        },
        SourceErrorKind::BadAnswer => "proxy-bad-body",
        SourceErrorKind::TooLarge => "module-too-large",
        SourceErrorKind::Rejected => "zip-invalid",
        SourceErrorKind::Sink | SourceErrorKind::Internal => "proxy-server-error",
        SourceErrorKind::Off => "goproxy-off",
        SourceErrorKind::PrivateUnserved => "private-not-excluded",
        SourceErrorKind::Unsupported => "vcs-missing-binary",
        SourceErrorKind::Disallowed => "vcs-disallowed",
        SourceErrorKind::ForbiddenAddress => "proxy-forbidden",
        SourceErrorKind::Loop => "proxy-loop",
    }
}

fn of_clue(clue: Clue) -> &'static str {
    match clue {
        Clue::RedirectsInCircles => "redirect-loop",
        Clue::RedirectsToPlain => "redirect-insecure",
        Clue::NoGoImport => "goget-meta-missing",
        Clue::NoSuchRepository => "vcs-repo-not-found",
        Clue::NothingListed => "vcs-auth-https",
        Clue::BrokenTransfer => "vcs-network",
        Clue::NoModuleZip => "zip-bad-path",
        Clue::UnknownHostKey => "vcs-host-key",
        Clue::OtherHostKey => "vcs-host-key-changed",
        Clue::RefusedSshKey => "vcs-ssh-auth",
    }
}

fn of_tls(fault: TlsFault) -> &'static str {
    match fault {
        TlsFault::UnknownAuthority => "tls-untrusted-ca",
        TlsFault::Expired => "tls-cert-expired",
        TlsFault::NotYetValid => "tls-clock-skew",
        TlsFault::OtherName => "tls-name-mismatch",
        TlsFault::BadCertificate => "tls-cert-policy",
        TlsFault::NoTls => "tls-plain-http",
        TlsFault::Handshake => "tls-handshake-alert",
    }
}

fn of_verdict(error: &VerifyError) -> &'static str {
    match error {
        VerifyError::Mismatch { .. } => "sum-mismatch-sumdb",
        VerifyError::DiffersFromFirst { .. } => "sum-mismatch-gosum",
        VerifyError::UnknownToDatabase { .. } => "sumdb-not-found",
        VerifyError::Invalid(_) => "zip-invalid",
        VerifyError::TooLarge(_) => "module-too-large",
        VerifyError::DatabaseUnavailable(_) => "sumdb-unreachable",
        VerifyError::DatabaseMisbehaves(_) => "sumdb-bad-answer",
        VerifyError::Io(_) => "proxy-server-error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_address(host: &str, is_tls: bool, expected: &str) {
        let request = http::Request::get("/x").header("host", host);
        let (head, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(server_address(&head, is_tls), expected);
    }

    #[test]
    fn the_link_goes_to_the_host_that_the_client_named() {
        check_address("modules.example", true, "https://modules.example");
        check_address("127.0.0.1:8080", false, "http://127.0.0.1:8080");
        check_address("[::1]:8080", false, "http://[::1]:8080");
        let (head, ()) = http::Request::get("https://two.example/x")
            .body(())
            .unwrap()
            .into_parts();
        assert_eq!(server_address(&head, true), "https://two.example");
    }

    #[test]
    fn an_odd_host_is_not_repeated() {
        check_address("", false, "");
        check_address("user:secret@modules.example", false, "");
        check_address("a/b", false, "");
        check_address("a b", false, "");
        check_address(&"a".repeat(HOST_BYTES + 1), false, "");
    }

    #[test]
    fn every_failure_leads_to_a_page_of_the_catalogue() {
        let source = |kind, asked: &str| {
            let mut error = SourceError::new(kind, "text");
            if let Ok(path) = gomod::ModulePath::parse(asked) {
                error = error.on_the_way_to_repository_of(&path);
            }
            Failure::source(error)
        };
        let kinds = [
            SourceErrorKind::NotExist,
            SourceErrorKind::Gone,
            SourceErrorKind::Refused,
            SourceErrorKind::Busy,
            SourceErrorKind::Unreachable,
            SourceErrorKind::Tls,
            SourceErrorKind::TimedOut,
            SourceErrorKind::BadAnswer,
            SourceErrorKind::TooLarge,
            SourceErrorKind::Rejected,
            SourceErrorKind::Sink,
            SourceErrorKind::Off,
            SourceErrorKind::PrivateUnserved,
            SourceErrorKind::Unsupported,
            SourceErrorKind::Disallowed,
            SourceErrorKind::ForbiddenAddress,
            SourceErrorKind::Loop,
            SourceErrorKind::Internal,
        ];
        let mut ids: Vec<&str> = kinds
            .into_iter()
            .flat_map(|kind| [source(kind, ""), source(kind, "git.example/a")])
            .map(|failure| of(&failure))
            .collect();
        ids.extend(
            [
                Clue::RedirectsInCircles,
                Clue::RedirectsToPlain,
                Clue::NoGoImport,
                Clue::NoSuchRepository,
                Clue::NothingListed,
                Clue::BrokenTransfer,
                Clue::NoModuleZip,
                Clue::UnknownHostKey,
                Clue::OtherHostKey,
                Clue::RefusedSshKey,
            ]
            .map(of_clue),
        );
        ids.extend(
            [
                TlsFault::UnknownAuthority,
                TlsFault::Expired,
                TlsFault::NotYetValid,
                TlsFault::OtherName,
                TlsFault::BadCertificate,
                TlsFault::NoTls,
                TlsFault::Handshake,
            ]
            .map(of_tls),
        );
        let text = || "text".to_owned();
        ids.extend(
            [
                VerifyError::UnknownToDatabase {
                    database: text(),
                    module: text(),
                    text: text(),
                },
                VerifyError::Invalid(text()),
                VerifyError::TooLarge(text()),
                VerifyError::DatabaseUnavailable(text()),
                VerifyError::DatabaseMisbehaves(text()),
                VerifyError::Io(text()),
            ]
            .iter()
            .map(of_verdict),
        );
        let failures = [
            Failure::UnknownDatabase(text()),
            Failure::NotStored(text()),
            Failure::Offline {
                what: text(),
                below: None,
            },
            Failure::Offline {
                what: text(),
                below: gomod::ModulePath::parse("a.example/b").ok(),
            },
            Failure::Checksum(ChecksumError::Unavailable(text()).into()),
            Failure::Checksum(ChecksumError::Misbehaves(text()).into()),
            Failure::store(StoreError::DiskFull { dir: "/x".into() }),
            Failure::store(StoreError::Differs { offset: 0 }),
            Failure::store(StoreError::Unusable {
                dir: "/x".into(),
                reason: text(),
                cure: "none",
            }),
            Failure::Overloaded {
                retry_after: std::time::Duration::ZERO,
            },
            Failure::Loop,
            Failure::Internal(text()),
        ];
        ids.extend(failures.iter().map(of));
        for id in ids {
            assert!(diagnosis::cause::find(id).is_some(), "{id}");
        }
    }
}
