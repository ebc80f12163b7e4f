//! The operator's program that knows credentials: asked on its stdin, in the format of git's credential helpers.
//!
//! The one place outside `git` that starts a process: the operator named this program for exactly this.
//! It runs without a shell, in a process group of its own that is killed when its time is up, and its
//! output is bounded. What it writes is never quoted: it is, or may hold, the secret.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

use super::expiring::{Expiring, Fresh};
use super::rule::CredentialCommand;
use super::unusable;
use crate::{Means, RepositoryUrl, Secret, SourceError};

/// More of its output is not read.
const MOST_BYTES: u64 = 64 << 10;

/// How long an answer holds that does not say when it expires.
const HOLDS: Duration = Duration::from_secs(60);

/// The longest that an answer is used, whatever it says.
const LONGEST: Duration = Duration::from_secs(3600);

/// An answer is not used in the last moments before it expires.
const MARGIN: Duration = Duration::from_secs(60);

/// Answers that are kept for one rule; beyond, the cache starts anew.
const KEPT: usize = 256;

/// Programs of one rule that run at the same time.
const AT_ONCE: usize = 4;

/// The environment variables of ours that hold secrets themselves. No program that we start gets them.
pub const SECRET_VARIABLES: [&str; 3] = [
    "LARDER_REFRESH_TOKEN",
    "LARDER_WEBHOOK_SECRET",
    "LARDER_CREDENTIALS",
];

/// The answers of one rule's program.
pub(super) struct Answers {
    by_question: Mutex<BTreeMap<String, Arc<Expiring<Means>>>>,
    running: Semaphore,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self {
            by_question: Mutex::new(BTreeMap::new()),
            running: Semaphore::new(AT_ONCE),
        }
    }

    /// What the program says for an address; `rule` names the rule in errors, `others` the variables that hold
    /// the secrets of rules, which are none of its business.
    pub(super) async fn means(
        &self,
        rule: &str,
        command: &CredentialCommand,
        others: &[Arc<str>],
        url: &RepositoryUrl,
    ) -> Result<Means, SourceError> {
        let question = question(url);
        let cell = {
            let mut cells = self.by_question.lock();
            if cells.len() >= KEPT && !cells.contains_key(&question) {
                cells.clear();
            }
            let cell = cells
                .entry(question.clone())
                .or_insert_with(|| Arc::new(Expiring::new()));
            cell.clone()
        };
        let make = async {
            let _turn = self.running.acquire().await;
            let fault = |reason: String| {
                let by_hand = format!(
                    "ask it by hand, with `protocol=https` and `host={}` as lines on its stdin",
                    host(url)
                );
                unusable(rule, &format!("its command {reason}"), &by_hand)
            };
            let output = run(command, others, &question).await.map_err(fault)?;
            read(&output, jiff::Timestamp::now().as_second()).map_err(fault)
        };
        cell.value(make).await
    }

    pub(super) async fn forget(&self) {
        let cells: Vec<_> = self.by_question.lock().values().cloned().collect();
        for cell in cells {
            cell.forget().await;
        }
    }
}

/// The question, as git-credential(1) describes it. Every part is free of control characters, which
/// [`RepositoryUrl`] holds.
fn question(url: &RepositoryUrl) -> String {
    let host = host(url);
    let path = url.path().trim_start_matches('/');
    format!("protocol={}\nhost={host}\npath={path}\n\n", url.protocol())
}

/// The host, with its port where that is not the protocol's own.
fn host(url: &RepositoryUrl) -> String {
    match url.port() {
        Some(port) if url.port() != url.protocol().port() => format!("{}:{port}", url.host()),
        _ => url.host().to_owned(),
    }
}

/// Runs the program; the error is a phrase about it.
async fn run(
    command: &CredentialCommand,
    others: &[Arc<str>],
    question: &str,
) -> Result<Vec<u8>, String> {
    let mut program = Command::new(&command.program);
    for variable in SECRET_VARIABLES
        .into_iter()
        .chain(others.iter().map(|name| &**name))
    {
        program.env_remove(variable);
    }
    let child = program
        .args(&command.arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("can't be started: {error}"))?;
    let mut group = Group { child };
    let talk = converse(&mut group.child, question);
    match tokio::time::timeout(command.time_limit, talk).await {
        Ok(output) => output,
        Err(_) => Err(format!(
            "did not end within {:.1} s and was killed",
            command.time_limit.as_secs_f64()
        )),
    }
}

async fn converse(child: &mut Child, question: &str) -> Result<Vec<u8>, String> {
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("has no pipes".to_owned());
    };
    let write = async move {
        // A program that does not read its question may still know the answer.
        let _ = stdin.write_all(question.as_bytes()).await;
        drop(stdin);
    };
    let ((), output) = tokio::join!(write, bounded(stdout));
    let output = output?;
    // Only now: a process that was waited for leaves its number to others, and the group is killed by it.
    let status = child
        .wait()
        .await
        .map_err(|error| format!("can't be waited for: {error}"))?;
    if status.success() {
        Ok(output)
    } else {
        Err(format!("failed ({status})"))
    }
}

async fn bounded(stream: impl AsyncRead + Unpin) -> Result<Vec<u8>, String> {
    let mut output = Vec::new();
    stream
        .take(MOST_BYTES + 1)
        .read_to_end(&mut output)
        .await
        .map_err(|error| format!("can't be read from: {error}"))?;
    if u64::try_from(output.len()).unwrap_or(u64::MAX) > MOST_BYTES {
        return Err("wrote more than 64 KiB".to_owned());
    }
    Ok(output)
}

/// A child and all that it started; killed when dropped before the child was waited for.
struct Group {
    child: Child,
}

impl Drop for Group {
    fn drop(&mut self) {
        // `None` once it was waited for.
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(leader) = id.and_then(Pid::from_raw) {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Reads an answer; the error is a phrase about the program.
fn read(output: &[u8], now_unix_seconds: i64) -> Result<Fresh<Means>, String> {
    let text = std::str::from_utf8(output).map_err(|_| "wrote what is not UTF-8".to_owned())?;
    let mut username = None;
    let mut password = None;
    let mut expires = None;
    for line in text.lines().take_while(|line| !line.is_empty()) {
        let Some((key, value)) = line.split_once('=') else {
            return Err("wrote a line that is not `key=value`".to_owned());
        };
        if value.chars().any(char::is_control) {
            return Err("wrote control characters".to_owned());
        }
        match key {
            "username" => username = Some(value),
            "password" => password = Some(value),
            "password_expiry_utc" => {
                let seconds = value.parse::<i64>();
                expires = Some(seconds.map_err(|_| {
                    "wrote a `password_expiry_utc` that is no number of seconds".to_owned()
                })?);
            }
            "quit" if matches!(value, "1" | "true") => {
                return Err("knows no credential for it (`quit`)".to_owned());
            }
            _ => {}
        }
    }
    let (Some(username), Some(password)) = (
        username.filter(|text| !text.is_empty()),
        password.filter(|text| !text.is_empty()),
    ) else {
        return Err("did not write a `username=` and a `password=` line".to_owned());
    };
    let holds = match expires {
        None => HOLDS,
        Some(second) => match u64::try_from(second.saturating_sub(now_unix_seconds)) {
            Ok(seconds) if seconds > 0 => Duration::from_secs(seconds).min(LONGEST),
            _ => return Err("wrote a password that has expired".to_owned()),
        },
    };
    let renew_in = match expires {
        None => holds,
        Some(_) => holds.saturating_sub(MARGIN),
    };
    Ok(Fresh {
        value: Means::Password {
            username: username.to_owned(),
            password: Secret::new(password),
        },
        renew_in,
        dies_in: holds,
    })
}

#[cfg(test)]
mod tests;
