//! From a failure to what the wire says: the one place that chooses a status for it.
//!
//! The status is an instruction to the client's own proxy list: 404 and 410 let a `,` list go on
//! to its next entry, everything else stops it. So absence is only said where it was proven. The
//! body is printed by the go command to a developer: what happened, whose fault, what to do.

use std::time::Duration;

use http::StatusCode;
use source::sumdb::ChecksumError;
use source::{SourceError, SourceErrorKind};
use store::{StoreError, VerifyError};

use crate::failure::Failure;
use crate::observe::Outcome;

/// The go command shows at most 8 lines and 648 bytes of an error; we stay below.
const BODY_LINES: usize = 8;
const BODY_BYTES: usize = 600;

/// What the wire says of a failure.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: StatusCode,
    pub(super) outcome: Outcome,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: String,
}

/// Maps a failure to the wire.
#[deny(
    clippy::wildcard_enum_match_arm,
    reason = "a new failure must choose its status"
)]
pub(super) fn say(failure: &Failure) -> Said {
    let (status, outcome, retry_after, lines) = match failure {
        Failure::Malformed(error) => (
            StatusCode::BAD_REQUEST,
            Outcome::Failed,
            None,
            vec![
                error.to_string(),
                "the request is not one of the GOPROXY protocol".into(),
            ],
        ),
        Failure::Denied { what, reason } => (
            StatusCode::FORBIDDEN,
            Outcome::Denied,
            None,
            vec![
                format!("{what} is refused by policy rule {}", reason.rule),
                reason.text.clone(),
                reason.cure.clone(),
            ],
        ),
        Failure::PrivateAtSumdb(module) => (
            StatusCode::FORBIDDEN,
            Outcome::Denied,
            None,
            vec![
                format!(
                    "{} matches the private or exempt patterns: its name is not sent to a checksum database",
                    module.path()
                ),
                format!(
                    "set GONOSUMDB={} (or GOPRIVATE) where go runs",
                    module.path()
                ),
            ],
        ),
        Failure::UnknownDatabase(name) => (
            StatusCode::NOT_FOUND,
            Outcome::Absent,
            None,
            vec![format!("the checksum database {name} is not served here")],
        ),
        Failure::Checksum(error) => {
            let status = match &**error {
                ChecksumError::Unknown { .. } => StatusCode::NOT_FOUND,
                ChecksumError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
                ChecksumError::Misbehaves(_) => StatusCode::BAD_GATEWAY,
            };
            let outcome = if status == StatusCode::NOT_FOUND {
                Outcome::Absent
            } else {
                Outcome::Failed
            };
            (status, outcome, None, vec![error.to_string()])
        }
        Failure::NotStored(what) => (
            StatusCode::NOT_FOUND,
            Outcome::Absent,
            None,
            vec![format!(
                "{what} is not stored here, and the request forbids fetching it"
            )],
        ),
        Failure::Offline {
            what,
            below: Some(module),
        } => (
            StatusCode::NOT_FOUND,
            Outcome::Absent,
            None,
            vec![format!(
                "{what} is not stored here; the stored module {module} lies above it"
            )],
        ),
        Failure::Offline { what, below: None } => (
            StatusCode::SERVICE_UNAVAILABLE,
            Outcome::Failed,
            None,
            vec![
                format!("{what} is not stored here, and this server is offline (--offline)"),
                "ask whoever runs it to fetch the version while online".into(),
            ],
        ),
        Failure::Source(error) => source(error),
        Failure::Unverified {
            module,
            source_name,
            error,
        } => unverified(&module.to_string(), source_name, error),
        Failure::Store(error) => store(error),
        Failure::Overloaded { retry_after } => (
            StatusCode::SERVICE_UNAVAILABLE,
            Outcome::Failed,
            Some(*retry_after),
            vec!["too many requests are waiting for upstream; try again soon".into()],
        ),
        Failure::Loop => (
            StatusCode::LOOP_DETECTED,
            Outcome::Failed,
            None,
            vec![
                "the request has passed through this very server already".into(),
                "its upstream list leads back to it: remove that entry from --upstream or GOPROXY"
                    .into(),
            ],
        ),
        Failure::Internal(text) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            Outcome::Failed,
            None,
            vec![format!("a fault of this server: {text}")],
        ),
    };
    Said {
        status,
        outcome,
        retry_after,
        body: body(&lines),
    }
}

type Parts = (StatusCode, Outcome, Option<Duration>, Vec<String>);

#[deny(
    clippy::wildcard_enum_match_arm,
    reason = "a new kind must choose its status"
)]
fn source(error: &SourceError) -> Parts {
    let failure = &error.0;
    // What upstream wrote of an absence is what the go command would show without us; our own
    // sentence would say less.
    let mut lines = match &failure.upstream_text {
        Some(_) if error.is_absence() => Vec::new(),
        _ => vec![match &failure.url {
            Some(url) => format!("{url}: {}", failure.text),
            None => failure.text.clone(),
        }],
    };
    if let Some(upstream_text) = &failure.upstream_text {
        lines.extend(upstream_text.lines().map(str::to_owned));
    }
    lines.extend(failure.notes.iter().cloned());
    let (status, outcome, cure) = match failure.kind {
        SourceErrorKind::NotExist => (StatusCode::NOT_FOUND, Outcome::Absent, None),
        SourceErrorKind::Gone => (StatusCode::GONE, Outcome::Absent, None),
        SourceErrorKind::Refused => (
            StatusCode::FORBIDDEN,
            Outcome::Failed,
            Some(
                "upstream refuses this server: check the credentials in its upstream URL or .netrc",
            ),
        ),
        SourceErrorKind::Busy => (
            StatusCode::SERVICE_UNAVAILABLE,
            Outcome::Failed,
            Some("upstream is busy; try again soon"),
        ),
        SourceErrorKind::Unreachable | SourceErrorKind::Tls => (
            StatusCode::BAD_GATEWAY,
            Outcome::Failed,
            Some("upstream's or the network's fault; what is stored here is still served"),
        ),
        SourceErrorKind::TimedOut => (
            StatusCode::GATEWAY_TIMEOUT,
            Outcome::Failed,
            Some("upstream is too slow; try again"),
        ),
        SourceErrorKind::BadAnswer | SourceErrorKind::TooLarge | SourceErrorKind::Rejected => (
            StatusCode::BAD_GATEWAY,
            Outcome::Failed,
            Some("upstream's fault: its answer was not used"),
        ),
        SourceErrorKind::Sink => (StatusCode::BAD_GATEWAY, Outcome::Failed, None),
        SourceErrorKind::Off
        | SourceErrorKind::PrivateUnserved
        | SourceErrorKind::Unsupported
        | SourceErrorKind::ForbiddenAddress => (StatusCode::BAD_GATEWAY, Outcome::Failed, None),
        SourceErrorKind::Disallowed => (StatusCode::FORBIDDEN, Outcome::Failed, None),
        SourceErrorKind::Loop => (
            StatusCode::LOOP_DETECTED,
            Outcome::Failed,
            Some("the upstream list leads back to this very server: remove that entry"),
        ),
        SourceErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, Outcome::Failed, None),
    };
    lines.extend(cure.map(str::to_owned));
    (status, outcome, failure.retry_after, lines)
}

#[deny(
    clippy::wildcard_enum_match_arm,
    reason = "a new refusal must choose its status"
)]
fn unverified(module: &str, source_name: &str, error: &VerifyError) -> Parts {
    let bad = |lines| (StatusCode::BAD_GATEWAY, Outcome::Failed, None, lines);
    match error {
        VerifyError::Mismatch { got, expected, by } => bad(vec![
            format!("{module}: SECURITY ERROR: checksum mismatch, the file was not used"),
            format!("downloaded: {got}"),
            format!("expected:   {expected}"),
            format!("expected by {by}; sent by {source_name}"),
            "the upstream serves other bytes than were first published, or they were changed on the way".into(),
        ]),
        VerifyError::UnknownToDatabase { database, text, .. } => bad(vec![
            format!("{module}: the checksum database {database} does not know it"),
            text.lines().next().unwrap_or_default().to_owned(),
            "a public version is known there: check the name and the version".into(),
            "a private one must be exempt: start larder with --no-sumdb PATTERN (or GONOSUMDB)".into(),
        ]),
        VerifyError::Invalid(text) => bad(vec![
            format!("{module}: not a good module file: {text}"),
            format!("sent by {source_name}; its fault"),
        ]),
        VerifyError::TooLarge(text) => bad(vec![
            format!("{module}: {text}"),
            "Go's own limits: 500 MiB a module, 16 MiB a go.mod".into(),
        ]),
        VerifyError::DatabaseUnavailable(text) => (
            StatusCode::SERVICE_UNAVAILABLE,
            Outcome::Failed,
            Some(Duration::from_secs(10)),
            vec![
                format!("{module}: the checksum database can't be asked, so the file is not used"),
                text.clone(),
                "what is stored here already is still served; try again".into(),
            ],
        ),
        VerifyError::DatabaseMisbehaves(text) => bad(
            std::iter::once(format!("{module}: SECURITY ERROR: the checksum database contradicts itself"))
                .chain(text.lines().map(str::to_owned))
                .collect(),
        ),
        VerifyError::Io(text) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            Outcome::Failed,
            None,
            vec![format!("{module}: this server could not read its own file: {text}")],
        ),
    }
}

#[deny(
    clippy::wildcard_enum_match_arm,
    reason = "a new failure must choose its status"
)]
fn store(error: &StoreError) -> Parts {
    match error {
        StoreError::DiskFull { dir } => (
            StatusCode::SERVICE_UNAVAILABLE,
            Outcome::Failed,
            Some(Duration::from_secs(60)),
            vec![
                format!(
                    "this server's disk is full: no space left in {}",
                    dir.display()
                ),
                "small files are still served; whoever runs the server must make room".into(),
            ],
        ),
        StoreError::Differs { .. } => (
            StatusCode::BAD_GATEWAY,
            Outcome::Failed,
            None,
            vec![format!("the download was begun anew and {error}")],
        ),
        StoreError::Damaged { .. } | StoreError::Io(_) | StoreError::Unusable { .. } => (
            StatusCode::INTERNAL_SERVER_ERROR,
            Outcome::Failed,
            None,
            vec![format!("this server's store failed: {error}")],
        ),
    }
}

/// Plain text in the bounds of what the go command prints. A blank line would end it there, and a
/// control character would hide all of it.
pub(super) fn body(lines: &[String]) -> String {
    let mut text = String::new();
    let shown = lines
        .iter()
        .flat_map(|line| line.lines())
        .filter(|line| !line.trim().is_empty());
    for line in shown.take(BODY_LINES) {
        let line: String = line
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let room = BODY_BYTES.saturating_sub(text.len() + 1);
        if room == 0 {
            break;
        }
        let mut end = line.len().min(room);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        text.push_str(line.get(..end).unwrap_or_default());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: SourceErrorKind, status: u16) {
        let said = say(&Failure::source(SourceError::new(kind, "what happened")));
        assert_eq!(said.status.as_u16(), status, "{kind:?}");
        assert!(said.body.starts_with("what happened\n"));
    }

    #[test]
    fn an_outage_is_never_told_as_absence() {
        check(SourceErrorKind::NotExist, 404);
        check(SourceErrorKind::Gone, 410);
        check(SourceErrorKind::Refused, 403);
        check(SourceErrorKind::Busy, 503);
        check(SourceErrorKind::Unreachable, 502);
        check(SourceErrorKind::Tls, 502);
        check(SourceErrorKind::TimedOut, 504);
        check(SourceErrorKind::BadAnswer, 502);
        check(SourceErrorKind::TooLarge, 502);
        check(SourceErrorKind::Rejected, 502);
        check(SourceErrorKind::Off, 502);
        check(SourceErrorKind::PrivateUnserved, 502);
        check(SourceErrorKind::Unsupported, 502);
        check(SourceErrorKind::Disallowed, 403);
        check(SourceErrorKind::ForbiddenAddress, 502);
        check(SourceErrorKind::Loop, 508);
        check(SourceErrorKind::Internal, 500);
    }

    #[test]
    fn an_absence_is_told_in_upstreams_own_words_and_with_our_notes() {
        let mut error = SourceError::new(SourceErrorKind::NotExist, "it answered 404 Not Found");
        error.0.upstream_text = Some("not found: unknown revision v1.9.9".into());
        error.0.notes = vec!["direct was not tried".into()];
        let said = say(&Failure::source(error.clone()));
        assert_eq!(
            said.body,
            "not found: unknown revision v1.9.9\ndirect was not tried\n"
        );
        error.0.kind = SourceErrorKind::Unreachable;
        let said = say(&Failure::source(error));
        assert!(
            said.body
                .starts_with("it answered 404 Not Found\nnot found"),
            "{}",
            said.body
        );
    }

    #[test]
    fn a_body_stays_within_what_go_prints() {
        let long = "x".repeat(5000);
        let text = body(&[long, "a\n\nb".into(), "c\u{7}".into()]);
        assert!(text.len() <= BODY_BYTES);
        let many: Vec<String> = (0..100).map(|n| format!("line {n}")).collect();
        assert_eq!(body(&many).lines().count(), BODY_LINES);
        assert_eq!(body(&["a\n\nb\u{7}".into()]), "a\nb \n");
    }
}
