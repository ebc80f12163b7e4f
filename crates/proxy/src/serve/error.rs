//! From a failure to what the wire says: the one place that chooses a status for it.
//!
//! The status is an instruction to the client's own proxy list: 404 and 410 let a `,` list go on
//! to its next entry, everything else stops it. So absence is only said where it was proven. The
//! body is printed by the go command to a developer: what happened, whose fault, what to do.

use std::time::Duration;

use http::StatusCode;
use source::sumdb::ChecksumError;
use source::{Asked, SourceError, SourceErrorKind};
use store::{StoreError, VerifyError};

use super::cause;
use crate::failure::Failure;
use crate::observe::Outcome;

/// The go command shows at most 8 lines and 648 bytes of an error; we stay below.
const BODY_LINES: usize = 8;
const BODY_BYTES: usize = 600;

/// When to come back to an upstream that is busy and does not say it.
const BUSY_PAUSE: Duration = Duration::from_secs(30);

/// What the wire says of a failure.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: StatusCode,
    pub(super) outcome: Outcome,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: String,
}

/// Maps a failure to the wire. `server` is this server's address as the client knows it, for the line
/// that leads to the page of the cause; empty if it is not known.
#[deny(
    clippy::wildcard_enum_match_arm,
    reason = "a new failure must choose its status"
)]
pub(super) fn say(failure: &Failure, server: &str) -> Said {
    let link = cause::link(failure, server);
    let room = Room::beside(&link);
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
        Failure::Source(error) => source(error, room),
        Failure::Unverified {
            module,
            source_name,
            error,
        } => unverified(&module.to_string(), source_name, error),
        Failure::MovedTag {
            module,
            source_name,
            first,
            now,
        } => (
            StatusCode::BAD_GATEWAY,
            Outcome::Failed,
            None,
            vec![
                format!("{module}: SECURITY ERROR: its tag was moved, the file was not used"),
                format!("{source_name} has it at commit {now} now"),
                format!("what this server has of it is of commit {first}, and stays"),
                "who owns the module should tag the change as a new version".into(),
            ],
        ),
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
        body: format!("{}{link}\n", room.fill(&lines)),
    }
}

/// How much a text may be.
#[derive(Clone, Copy)]
struct Room {
    lines: usize,
    bytes: usize,
}

impl Room {
    const WHOLE: Self = Self {
        lines: BODY_LINES,
        bytes: BODY_BYTES,
    };

    /// What one line that comes behind leaves.
    fn beside(line: &str) -> Self {
        Self {
            lines: BODY_LINES - 1,
            bytes: BODY_BYTES.saturating_sub(line.len() + 1),
        }
    }

    /// As much of the lines as fits. A blank line would end the text where go prints it, and a control
    /// character would hide all of it.
    fn fill(self, lines: &[String]) -> String {
        let mut text = String::new();
        let shown = lines
            .iter()
            .flat_map(|line| line.lines())
            .filter(|line| !line.trim().is_empty());
        for line in shown.take(self.lines) {
            let room = self.bytes.saturating_sub(text.len() + 1);
            if room == 0 {
                break;
            }
            text.push_str(&plain(line, room));
            text.push('\n');
        }
        text
    }
}

type Parts = (StatusCode, Outcome, Option<Duration>, Vec<String>);

#[deny(
    clippy::wildcard_enum_match_arm,
    reason = "a new kind must choose its status"
)]
fn source(error: &SourceError, room: Room) -> Parts {
    let failure = &error.0;
    let (status, outcome, cure) = match failure.kind {
        SourceErrorKind::NotExist => (StatusCode::NOT_FOUND, Outcome::Absent, None),
        SourceErrorKind::Gone => (StatusCode::GONE, Outcome::Absent, None),
        SourceErrorKind::Refused => (
            StatusCode::FORBIDDEN,
            Outcome::Failed,
            Some(match &failure.asked {
                Asked::ModuleProxy => "upstream refuses this server: check the credentials in its upstream URL or .netrc".into(),
                Asked::Repository { module_path } => format!(
                    "the code host did not accept this server; whoever runs it: `larder auth test {module_path}`"
                ),
            }),
        ),
        SourceErrorKind::Busy => (
            StatusCode::SERVICE_UNAVAILABLE,
            Outcome::Failed,
            Some(format!("{} is busy; try again soon", whom(&failure.asked))),
        ),
        SourceErrorKind::Unreachable | SourceErrorKind::Tls => (
            StatusCode::BAD_GATEWAY,
            Outcome::Failed,
            Some(format!(
                "{}'s or the network's fault; what is stored here is still served",
                whom(&failure.asked)
            )),
        ),
        SourceErrorKind::TimedOut => (
            StatusCode::GATEWAY_TIMEOUT,
            Outcome::Failed,
            Some(format!("{} is too slow; try again", whom(&failure.asked))),
        ),
        SourceErrorKind::BadAnswer | SourceErrorKind::TooLarge | SourceErrorKind::Rejected => (
            StatusCode::BAD_GATEWAY,
            Outcome::Failed,
            Some(format!(
                "{}'s fault: its answer was not used",
                whom(&failure.asked)
            )),
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
            Some("the upstream list leads back to this very server: remove that entry".into()),
        ),
        SourceErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, Outcome::Failed, None),
    };
    // What upstream wrote of an absence is what the go command would show without us; our own
    // sentence would say less.
    let with_url = match &failure.url {
        Some(url) if !failure.text.contains(url.as_str()) => format!("{url}: {}", failure.text),
        Some(_) | None => failure.text.clone(),
    };
    let ours = match (&failure.asked, &failure.upstream_text) {
        (Asked::ModuleProxy, Some(_)) if error.is_absence() => None,
        (Asked::ModuleProxy, _) => Some(with_url),
        (Asked::Repository { module_path }, _)
            if failure.text.starts_with(module_path.as_str())
                || failure.text.starts_with("module ") =>
        {
            Some(failure.text.clone())
        }
        // The go command begins so, and other tools read it.
        (Asked::Repository { module_path }, _) => Some(format!("{module_path}: {with_url}")),
    };
    // Some faults are a list of files: its first line heads the body.
    let (head, list) = match ours.as_deref().map(|text| text.split_once('\n')) {
        Some(Some((head, list))) => (Some(head), list),
        Some(None) => (ours.as_deref(), ""),
        None => (None, ""),
    };
    let theirs = failure.upstream_text.as_deref().unwrap_or_default();
    let theirs = [list, theirs].join("\n");
    let notes = failure.notes.iter().take(ADVICE_LINES - 1);
    let advice: Vec<&str> = notes.chain(&cure).map(String::as_str).collect();
    let lines = evidence_and_advice(head, theirs.trim(), &advice, room);
    // Told also where upstream did not say it, or was not asked, because our own queue for it was too long.
    let busy = failure.kind == SourceErrorKind::Busy;
    let retry_after = failure.retry_after.or_else(|| busy.then_some(BUSY_PAUSE));
    (status, outcome, retry_after, lines)
}

/// Whose fault a failure is, in a word that a developer knows.
fn whom(asked: &Asked) -> &'static str {
    match asked {
        Asked::ModuleProxy => "upstream",
        Asked::Repository { .. } => "the code host",
    }
}

/// What of a body our own first sentence may take where others have something to say, too.
const OURS_BYTES: usize = 280;
/// How many lines of advice there are at most.
const ADVICE_LINES: usize = 4;

/// The lines of a body: what happened, as much of what others wrote of it as there is room for, what to do.
/// A talkative host, or git, must not push out the advice, which stands last.
fn evidence_and_advice(
    ours: Option<&str>,
    theirs: &str,
    advice: &[&str],
    room: Room,
) -> Vec<String> {
    let alone = theirs.is_empty() && advice.is_empty();
    let ours_bytes = if alone {
        room.bytes.saturating_sub(1)
    } else {
        OURS_BYTES
    };
    let mut lines: Vec<String> = ours.iter().map(|text| plain(text, ours_bytes)).collect();
    let weight = |lines: &[String]| lines.iter().map(|line| line.len() + 1).sum::<usize>();
    let each = room.bytes.saturating_sub(weight(&lines)) / advice.len().max(1);
    let advice: Vec<String> = advice
        .iter()
        .map(|text| plain(text, each.saturating_sub(1)))
        .collect();
    let mut bytes_left = room.bytes.saturating_sub(weight(&lines) + weight(&advice));
    let mut lines_left = room.lines.saturating_sub(lines.len() + advice.len());
    for line in theirs.lines().filter(|line| !line.trim().is_empty()) {
        if lines_left == 0 || bytes_left < 2 {
            break;
        }
        let line = plain(line, bytes_left - 1);
        bytes_left -= line.len() + 1;
        lines_left -= 1;
        lines.push(line);
    }
    lines.extend(advice);
    lines
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
        VerifyError::DiffersFromFirst { got, expected } => bad(vec![
            format!("{module}: SECURITY ERROR: checksum mismatch, the file was not used"),
            format!("downloaded: {got}"),
            format!("expected:   {expected}"),
            format!("that is what came first, and what this server keeps to; the other is from {source_name}"),
            "its tag may have been moved: who owns the module should tag the change as a new version".into(),
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

/// Plain text in the bounds of what the go command prints.
pub(super) fn body(lines: &[String]) -> String {
    Room::WHOLE.fill(lines)
}

/// One line of at most so many bytes, without control characters.
fn plain(line: &str, limit_bytes: usize) -> String {
    let line: String = line
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let mut end = line.len().min(limit_bytes);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "http://127.0.0.1:8080";

    fn say(failure: &Failure) -> Said {
        super::say(failure, SERVER)
    }

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
        let busy = say(&Failure::source(SourceError::new(
            SourceErrorKind::Busy,
            "too many",
        )));
        assert_eq!(busy.retry_after, Some(BUSY_PAUSE));
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
            "not found: unknown revision v1.9.9\ndirect was not tried\n\
             more: http://127.0.0.1:8080/-/causes/ver-unknown-revision\n"
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
    fn a_refusal_by_a_code_host_names_the_rule_that_was_tried_and_the_command_that_helps() {
        let module_path = gomod::ModulePath::parse("git.example/team/tool").unwrap();
        let text = "the host did not accept the credential";
        let mut error = SourceError::new(SourceErrorKind::Refused, text)
            .on_the_way_to_repository_of(&module_path);
        error.0.url = Some("https://git.example/team/tool".into());
        error.0.upstream_text = Some("remote: who are you?\n".repeat(40));
        let rule = "the credential of .netrc (machine git.example) was tried";
        error.0.notes.push(rule.into());
        let said = say(&Failure::source(error));
        assert_eq!(said.status, StatusCode::FORBIDDEN);
        assert!(said.body.len() <= BODY_BYTES, "{}", said.body);
        let lines: Vec<&str> = said.body.lines().collect();
        assert_eq!(lines.len(), BODY_LINES);
        let url = "https://git.example/team/tool";
        assert_eq!(lines[0], format!("git.example/team/tool: {url}: {text}"));
        assert_eq!(lines[5], rule);
        assert!(lines[6].ends_with("`larder auth test git.example/team/tool`"));
        assert_eq!(lines[7], format!("more: {SERVER}/-/causes/vcs-auth-https"));
    }

    #[test]
    fn a_list_of_files_stays_a_list() {
        let text = "a.example/x@v1.0.0: create zip: A: bad\nB: bad\nand 3 more";
        let error = SourceError::new(SourceErrorKind::BadAnswer, text);
        let said = say(&Failure::source(error));
        assert!(said.body.starts_with(text), "{}", said.body);
        assert_eq!(said.body.lines().count(), 5);
    }

    #[test]
    fn what_others_write_never_pushes_out_the_advice() {
        let check = |ours: usize, theirs: usize, notes: usize| {
            let mut error = SourceError::new(SourceErrorKind::Unreachable, "o".repeat(ours));
            error.0.upstream_text = Some(format!("é{}", "t".repeat(theirs)));
            error.0.notes = (0..notes)
                .map(|n| format!("note {n} {}", "é".repeat(99)))
                .collect();
            let said = say(&Failure::source(error));
            assert!(said.body.len() <= BODY_BYTES, "{}", said.body);
            let [.., last, link] = &said.body.lines().collect::<Vec<_>>()[..] else {
                panic!("{}", said.body);
            };
            assert!(
                last.starts_with("upstream's or the network's fault"),
                "{last}"
            );
            assert!(link.ends_with("/-/causes/proxy-upstream-unreachable"));
        };
        check(10, 10, 0);
        check(10, 5000, 0);
        check(5000, 5000, 1);
        check(5000, 0, 3);
        check(5000, 5000, 50);
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
