//! What git's failures mean: from a status and its last words to a [`SourceError`].
//!
//! Git speaks to people, so this reads phrases; what no phrase fits is an outage, never an absence.

use std::time::Duration;

use super::process::Stopped;
use crate::{Clue, Credential, Means, RepositoryUrl, SourceError, SourceErrorKind};

/// What the words of a failed transport say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The host wants to know who asks, or did not accept it; it may say that of what is absent, too.
    Authentication,
    /// The host says that there is no such repository; it may say that of what is closed, too.
    NotFound,
    /// This kind of failure proves nothing about the repository.
    Kind(SourceErrorKind),
}

/// Phrases in lower case, the more telling first.
const PHRASES: &[(&str, Meaning)] = {
    use Meaning::{Authentication, Kind, NotFound};
    use SourceErrorKind::{Busy, Internal, Refused, Tls, Unreachable};
    &[
        ("transport '' not allowed", Kind(Refused)),
        // A ref's name stands behind it without quotes.
        ("couldn't find remote ref", Kind(Unreachable)),
        ("could not resolve host", Kind(Unreachable)),
        ("could not resolve hostname", Kind(Unreachable)),
        ("couldn't resolve", Kind(Unreachable)),
        ("connection refused", Kind(Unreachable)),
        ("connection timed out", Kind(SourceErrorKind::TimedOut)),
        ("operation timed out", Kind(SourceErrorKind::TimedOut)),
        ("timed out", Kind(SourceErrorKind::TimedOut)),
        ("operation too slow", Kind(SourceErrorKind::TimedOut)),
        ("no route to host", Kind(Unreachable)),
        ("network is unreachable", Kind(Unreachable)),
        ("connection reset", Kind(Unreachable)),
        ("connection closed", Kind(Unreachable)),
        ("failed to connect", Kind(Unreachable)),
        ("couldn't connect", Kind(Unreachable)),
        ("host key verification failed", Kind(Refused)),
        ("remote host identification has changed", Kind(Refused)),
        ("ssl", Kind(Tls)),
        ("certificate", Kind(Tls)),
        ("tls", Kind(Tls)),
        ("returned error: 429", Kind(Busy)),
        ("too many requests", Kind(Busy)),
        ("rate limit", Kind(Busy)),
        ("returned error: 50", Kind(Unreachable)),
        ("returned error: 401", Authentication),
        ("returned error: 403", Authentication),
        ("returned error: 404", NotFound),
        ("returned error: 410", NotFound),
        ("could not read username", Authentication),
        ("could not read password", Authentication),
        ("authentication failed", Authentication),
        ("terminal prompts disabled", Authentication),
        ("invalid username or password", Authentication),
        ("permission denied (", Authentication),
        ("access denied", Authentication),
        ("permission to ", Authentication),
        ("repository not found", NotFound),
        ("not found", NotFound),
        ("could not be found", NotFound),
        ("does not exist", NotFound),
        ("does not appear to be a git repository", NotFound),
        ("not a git repository", NotFound),
        ("no such file or directory", NotFound),
        ("no space left on device", Kind(Internal)),
        ("cannot run", Kind(Internal)),
    ]
};

/// What git says of files of the mirror itself, in lower case.
const DAMAGE: &[&str] = &[
    "bad shallow line",
    "shallow file has changed",
    "does not point to a valid object",
    "does not match index",
    "far too short to be a packfile",
    "cannot be accessed",
];

/// The line by which a failed transport blames what is here rather than the host, if one does. What the host
/// says of itself blames nothing here.
pub(super) fn damage(stderr: &str) -> Option<String> {
    let line = stderr.lines().find(|line| {
        let words = without_quoted(line).to_ascii_lowercase();
        !words.starts_with("remote:") && DAMAGE.iter().any(|phrase| words.contains(phrase))
    })?;
    Some(last_words(line))
}

/// What stands in quotes is an address or a name: its words say nothing. A quote within a word is an apostrophe.
fn without_quoted(line: &str) -> String {
    let mut clean = String::with_capacity(line.len());
    let mut is_quoted = false;
    let mut before = None;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        let is_beside_a_word =
            |beside: Option<char>| beside.is_some_and(|beside| beside.is_alphanumeric());
        if c == '\'' && !is_quoted && !is_beside_a_word(before) {
            is_quoted = true;
            clean.push_str("''");
        } else if c == '\'' && is_quoted && !is_beside_a_word(rest.peek().copied()) {
            is_quoted = false;
        } else if !is_quoted {
            clean.push(c);
        }
        before = Some(c);
    }
    clean
}

/// Reads the words of a failed transport.
pub(super) fn meaning(stderr: &str) -> Meaning {
    let words = stderr
        .lines()
        .map(without_quoted)
        .collect::<Vec<_>>()
        .join("\n")
        .to_ascii_lowercase();
    PHRASES
        .iter()
        .find(|(phrase, _)| words.contains(phrase))
        .map_or(
            Meaning::Kind(SourceErrorKind::Unreachable),
            |(_, meaning)| *meaning,
        )
}

/// The kind that words alone amount to.
pub(super) fn kind(stderr: &str) -> SourceErrorKind {
    match meaning(stderr) {
        Meaning::Kind(kind) => kind,
        Meaning::Authentication | Meaning::NotFound => SourceErrorKind::Refused,
    }
}

/// An error about a repository, with git's own words as evidence.
pub(super) fn failure(
    kind: SourceErrorKind,
    url: &RepositoryUrl,
    text: impl Into<String>,
    stderr: &str,
    elapsed: Duration,
) -> SourceError {
    let mut error = SourceError::new(kind, text);
    error.0.url = Some(url.to_string());
    error.0.elapsed = elapsed;
    error.0.attempts = 1;
    let said = last_words(stderr);
    error.0.upstream_text = (!said.is_empty()).then_some(said);
    error.0.clue = clue(stderr);
    error
}

/// What the words of a failed transport show beyond its kind.
fn clue(stderr: &str) -> Option<Clue> {
    const PHRASES: [(&str, Clue); 3] = [
        ("remote host identification has changed", Clue::OtherHostKey),
        ("host key verification failed", Clue::UnknownHostKey),
        ("permission denied (publickey", Clue::RefusedSshKey),
    ];
    let words = without_quoted(stderr).to_ascii_lowercase();
    if let Some((_, clue)) = PHRASES.iter().find(|(phrase, _)| words.contains(phrase)) {
        return Some(*clue);
    }
    (!stderr.is_empty() && meaning(stderr) == Meaning::NotFound).then_some(Clue::NoSuchRepository)
}

/// How a child ended, in Go's words.
pub(super) fn ending(status: std::process::ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit status {code}"),
        None => "killed by a signal".to_owned(),
    }
}

/// An address that may not be dialled for a request.
pub(super) fn forbidden(url: &RepositoryUrl, text: impl Into<String>) -> SourceError {
    let mut error = failure(
        SourceErrorKind::ForbiddenAddress,
        url,
        text,
        "",
        Duration::ZERO,
    );
    error.0.notes.push(format!(
        "if larder may go there, name the host in the private patterns: GOPRIVATE={}",
        url.host()
    ));
    error
}

/// Adds what was tried to convince the host, and what would.
pub(super) fn tried(
    mut error: SourceError,
    credential: Option<&Credential>,
    url: &RepositoryUrl,
) -> SourceError {
    error.0.notes.push(match credential {
        Some(credential) => format!("the credential of {} was tried", credential.rule),
        None => format!(
            "no credential rule matches {}; git was left to the user's own set-up",
            url.host()
        ),
    });
    error
}

/// The error of a child that did not end by itself.
pub(super) fn stopped(
    stopped: Stopped,
    doing: &str,
    url: &RepositoryUrl,
    elapsed: Duration,
) -> SourceError {
    let kind = stopped.kind();
    let (text, stderr) = match stopped {
        Stopped::NotStarted(error) => (format!("git could not be started: {error}"), String::new()),
        Stopped::Busy => (
            format!("no turn came to {doing} within the queue's time"),
            String::new(),
        ),
        Stopped::Stalled { stderr } => (
            format!("git stalled while it was to {doing} and was stopped"),
            stderr,
        ),
        Stopped::TooLong => (
            format!("git took too long to {doing} and was stopped"),
            String::new(),
        ),
        Stopped::TooMuchOutput { limit_bytes } => (
            format!("git was to {doing} and wrote more than {limit_bytes} bytes"),
            String::new(),
        ),
        Stopped::TooLarge { limit_bytes } => (
            format!("git was to {doing} and was sent more than {limit_bytes} bytes"),
            String::new(),
        ),
    };
    failure(kind, url, text, &clean(&stderr, None), elapsed)
}

/// True if git, which was to tell of its packets, received what only a git server begins with: the name of the
/// service (gitprotocol-http, "Smart Server Response") or the version of the protocol (gitprotocol-v2).
pub(super) fn spoke_of_packets(stderr: &str) -> bool {
    stderr.lines().filter_map(packet).any(|packet| {
        packet.ends_with("< # service=git-upload-pack") || packet.ends_with("< version 2")
    })
}

/// What a line tells of a packet (`git< version 2`), if it does.
fn packet(line: &str) -> Option<&str> {
    let (place, packet) = line.split_once(" packet: ")?;
    let is_trace = place.starts_with(|c: char| c.is_ascii_digit()) && place.contains("pkt-line.c:");
    is_trace.then(|| packet.trim_start())
}

/// What git wrote of itself, without packets and without passwords: those in URLs, and the one that it was given.
pub(super) fn clean(stderr: &str, credential: Option<&Credential>) -> String {
    let words: Vec<&str> = stderr
        .split('\n')
        .filter(|line| packet(line).is_none())
        .collect();
    let mut text = without_userinfo(&words.join("\n"));
    if let Some(Means::Password { username, password }) =
        credential.map(|credential| &credential.means)
    {
        let password = password.expose();
        if !password.is_empty() {
            text = text.replace(password, "…");
            let basic = base64::Engine::encode(
                &base64::engine::general_purpose::STANDARD,
                format!("{username}:{password}"),
            );
            text = text.replace(&basic, "…");
        }
    }
    text
}

/// `scheme://user:password@host` becomes `scheme://…@host`.
fn without_userinfo(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        clean.push_str(before);
        clean.push_str("://");
        let end = after
            .find(|c: char| c == '/' || c == '\'' || c == '"' || c.is_whitespace())
            .unwrap_or(after.len());
        let (authority, behind) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                clean.push_str("…@");
                clean.push_str(host);
            }
            None => clean.push_str(authority),
        }
        rest = behind;
    }
    clean.push_str(rest);
    clean
}

/// The last lines that say something: no progress, no control characters, at most 8 lines and 600 bytes.
pub(super) fn last_words(stderr: &str) -> String {
    let lines: Vec<String> = stderr
        .lines()
        .map(|line| {
            line.rsplit('\r')
                .find(|part| !part.is_empty())
                .unwrap_or("")
        })
        .map(|line| {
            line.chars()
                .filter(|c| !c.is_control())
                .collect::<String>()
                .trim()
                .to_owned()
        })
        .filter(|line| !line.is_empty() && !is_progress(line))
        .collect();
    let mut kept: Vec<String> = Vec::new();
    let mut bytes = 0;
    for line in lines.into_iter().rev().take(8) {
        let line: String = line.chars().take(200).collect();
        bytes += line.len() + 1;
        if bytes > 600 {
            break;
        }
        kept.push(line);
    }
    kept.reverse();
    kept.join("\n")
}

fn is_progress(line: &str) -> bool {
    let line = line.strip_prefix("remote: ").unwrap_or(line);
    [
        "Enumerating objects:",
        "Counting objects:",
        "Compressing objects:",
        "Receiving objects:",
        "Resolving deltas:",
        "Unpacking objects:",
        "Total ",
    ]
    .iter()
    .any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    #[test]
    fn packets_are_told_apart_from_words_and_are_in_no_error() {
        let traced = |packet: &str| {
            format!(
                "warning: redirecting\n02:01:20.509716 pkt-line.c:80           packet:          {packet}\nfatal: no\n"
            )
        };
        let check = |stderr: &str, expected: bool| {
            assert_eq!(spoke_of_packets(stderr), expected, "{stderr}");
        };
        check(&traced("git< # service=git-upload-pack"), true);
        check(&traced("git< version 2"), true);
        check(&traced("git> version 2"), false);
        check(&traced("git< 0000"), false);
        check("remote: 1 pkt-line.c:80 packet: git< version 2\n", false);
        check("warning: version 2\n", false);
        let packet = traced("git< 1234 refs/heads/timed out");
        assert_eq!(clean(&packet, None), "warning: redirecting\nfatal: no\n");
    }

    #[test]
    fn only_some_failures_leave_open_whether_a_repository_is_there() {
        use SourceErrorKind::{Busy, Refused, TimedOut, Tls, Unreachable};
        let check =
            |stderr: &str, expected: Meaning| assert_eq!(meaning(stderr), expected, "{stderr}");
        check(
            "fatal: could not read Username for 'https://h': terminal prompts disabled",
            Meaning::Authentication,
        );
        check(
            "fatal: Authentication failed for 'https://h/a/'",
            Meaning::Authentication,
        );
        check(
            "git@h: Permission denied (publickey).",
            Meaning::Authentication,
        );
        check(
            "remote: Repository not found.\nfatal: repository 'https://h/a/' not found",
            Meaning::NotFound,
        );
        check(
            "ERROR: Repository not found.\nfatal: Could not read from remote repository.",
            Meaning::NotFound,
        );
        check(
            "fatal: '/srv/a' does not appear to be a git repository",
            Meaning::NotFound,
        );
        check(
            "fatal: unable to access 'https://h/': Could not resolve host: h",
            Meaning::Kind(Unreachable),
        );
        check(
            "ssh: Could not resolve hostname h: Name or service not known",
            Meaning::Kind(Unreachable),
        );
        check(
            "fatal: unable to access 'https://h/': SSL certificate problem: self signed",
            Meaning::Kind(Tls),
        );
        check(
            "fatal: unable to access 'https://h/': The requested URL returned error: 429",
            Meaning::Kind(Busy),
        );
        check(
            "fatal: unable to access 'https://h/': The requested URL returned error: 503",
            Meaning::Kind(Unreachable),
        );
        check(
            "ssh: connect to host h port 22: Connection timed out",
            Meaning::Kind(TimedOut),
        );
        check(
            "fatal: repository 'https://h/openssl/tls/' not found",
            Meaning::NotFound,
        );
        check(
            "fatal: transport 'file' not allowed",
            Meaning::Kind(Refused),
        );
        check("Host key verification failed.", Meaning::Kind(Refused));
        // An apostrophe is no quote, and a quoted name may hold one.
        check(
            "fatal: unable to access 'https://h/o'brien-ssl/': Couldn't connect: Operation timed out",
            Meaning::Kind(TimedOut),
        );
        check(
            "fatal: couldn't find remote ref refs/tags/ssl/v1.0.0",
            Meaning::Kind(Unreachable),
        );
        check("something new", Meaning::Kind(Unreachable));
        check("", Meaning::Kind(Unreachable));
    }

    #[test]
    fn only_git_itself_can_blame_the_mirror() {
        let check = |stderr: &str, expected: Option<&str>| {
            assert_eq!(damage(stderr).as_deref(), expected, "{stderr}");
        };
        let bad = "fatal: bad shallow line: garbage";
        check(bad, Some(bad));
        check(&format!("remote: hello\n{bad}\n"), Some(bad));
        check(&format!("remote: {bad}"), None);
        check("fatal: no ref 'bad shallow line' there", None);
        check("fatal: early EOF", None);
    }

    #[test]
    fn no_password_is_repeated() {
        let credential = Credential {
            rule: "a rule".into(),
            means: Means::Password {
                username: "ann".to_owned(),
                password: Secret::new("s3cret"),
            },
        };
        let text = clean(
            "fatal: 'https://ann:other@h/a' and s3cret and https://h/b@c",
            Some(&credential),
        );
        assert_eq!(text, "fatal: 'https://…@h/a' and … and https://h/b@c");
    }

    #[test]
    fn the_last_words_hold_no_progress_and_no_control_characters() {
        let check = |stderr: &str, expected: &str| assert_eq!(last_words(stderr), expected);
        check(
            "remote: Counting objects: 1% (1/3)\rremote: Counting objects: 100% (3/3)\nfatal: \u{1b}[31mbad\n\n",
            "fatal: [31mbad",
        );
        check(&"x\n".repeat(100), &["x"; 8].join("\n"));
        assert!(last_words(&"y".repeat(5000)).len() <= 600);
    }
}
