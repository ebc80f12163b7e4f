//! From a text to a value: one function per kind of setting.
//!
//! The texts are the same in every layer, so that `64MiB` means the same as a flag, as a variable
//! and in the file.

use super::complaint::{Fault, did_you_mean};
use super::config::GitProgram;
use gomod::sumdb::SumdbSetting;
use gomod::{PathPatterns, ProxyList};
use source::{GitProtocol, GoVcs};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A value as some layer gives it.
pub(crate) struct Given<'a> {
    pub(crate) text: &'a str,
    /// The folder that relative paths are relative to: the file's, or the working folder (empty).
    pub(crate) base: &'a Path,
}

/// `HOST:PORT`, not yet looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    pub(crate) text: String,
    pub(crate) host: String,
    pub(crate) port: u16,
}

pub(crate) fn host_port(given: &Given<'_>) -> Result<HostPort, Fault> {
    let text = given.text;
    let fault = |reason: &str| Fault::new(format!("is `{text}`, {reason}"));
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(fault("which has no port").hint(format!("write `{text}:8080`")));
    };
    let Ok(port) = port.parse::<u16>() else {
        return Err(fault("whose port is not a number from 0 to 65535"));
    };
    if host.is_empty() {
        return Err(fault("which has no host").hint(format!(
            "write `127.0.0.1:{port}` for this machine alone, `[::]:{port}` for every network"
        )));
    }
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    if bare.is_none() && host.contains(':') {
        return Err(
            fault("an IPv6 address without brackets").hint(format!("write `[{host}]:{port}`"))
        );
    }
    Ok(HostPort {
        text: text.into(),
        host: bare.unwrap_or(host).into(),
        port,
    })
}

pub(crate) fn path(given: &Given<'_>) -> Result<PathBuf, Fault> {
    if given.text.is_empty() {
        return Err(Fault::new("is an empty path"));
    }
    if given.text.starts_with('~') {
        return Err(
            Fault::new(format!("is `{}`, and only a shell expands `~`", given.text))
                .hint("write the whole path"),
        );
    }
    Ok(given.base.join(given.text))
}

pub(crate) fn switch(given: &Given<'_>) -> Result<bool, Fault> {
    match given.text.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "1" => Ok(true),
        "false" | "off" | "no" | "0" => Ok(false),
        _ => Err(Fault::new(format!(
            "is `{}`, but must be `true` or `false`",
            given.text
        ))),
    }
}

pub(crate) fn count(given: &Given<'_>, smallest: u32) -> Result<u32, Fault> {
    match given.text.parse::<u32>() {
        Ok(number) if number >= smallest => Ok(number),
        _ => Err(Fault::new(format!(
            "is `{}`, but must be a whole number, {smallest} or more",
            given.text
        ))),
    }
}

/// Seconds, or a number with `ms`, `s`, `m` or `h`.
pub(crate) fn duration(given: &Given<'_>) -> Result<Duration, Fault> {
    let text = given.text.trim();
    let fault = || {
        Fault::new(format!("is `{text}`, which is no length of time"))
            .hint("write seconds, or a number with a unit: `60`, `90s`, `5m`, `1h`, `500ms`")
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(fault)?;
    let number: u64 = number.parse().map_err(|_| fault())?;
    let milliseconds_each: u64 = match unit.trim() {
        "ms" => 1,
        "" | "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err(fault()),
    };
    number
        .checked_mul(milliseconds_each)
        .map(Duration::from_millis)
        .filter(|duration| *duration <= LONGEST_DURATION)
        .ok_or_else(|| Fault::new(format!("is `{text}`, but a year is the most")))
}

/// Anything longer is a typing error, and sums of deadlines stay far from overflow.
const LONGEST_DURATION: Duration = Duration::from_secs(366 * 24 * 3600);

/// A length of time that something must come to an end in.
pub(crate) fn deadline(given: &Given<'_>) -> Result<Duration, Fault> {
    let deadline = duration(given)?;
    if deadline.is_zero() {
        return Err(Fault::new("is 0, which no answer can meet"));
    }
    Ok(deadline)
}

/// Bytes, or a number with `KiB`, `MiB`, `GiB`, `kB`, `MB`, `GB`.
pub(crate) fn bytes(given: &Given<'_>, smallest: u64) -> Result<u64, Fault> {
    let text = given.text.trim();
    let fault = || {
        Fault::new(format!("is `{text}`, which is no size"))
            .hint("write bytes, or a number with a unit: `67108864`, `64MiB`, `1GiB`, `500MB`")
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(fault)?;
    let number: u64 = number.parse().map_err(|_| fault())?;
    let bytes_each: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "kib" | "k" => 1 << 10,
        "mb" => 1_000_000,
        "mib" | "m" => 1 << 20,
        "gb" => 1_000_000_000,
        "gib" | "g" => 1 << 30,
        _ => return Err(fault()),
    };
    let bytes = number.checked_mul(bytes_each).ok_or_else(fault)?;
    if bytes < smallest {
        return Err(Fault::new(format!(
            "is `{text}`, but {} is the least that works",
            human_bytes(smallest)
        )));
    }
    Ok(bytes)
}

fn human_bytes(bytes: u64) -> String {
    match bytes {
        _ if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => format!("`{}MiB`", bytes >> 20),
        _ => format!("`{bytes}`"),
    }
}

/// One of a few words.
pub(crate) fn choice<Value: Copy>(
    given: &Given<'_>,
    values: &[(&'static str, Value)],
) -> Result<Value, Fault> {
    if let Some((_, value)) = values.iter().find(|(word, _)| *word == given.text) {
        return Ok(*value);
    }
    let words: Vec<String> = values.iter().map(|(word, _)| format!("`{word}`")).collect();
    let fault = Fault::new(format!(
        "is `{}`, but must be one of {}",
        given.text,
        words.join(", ")
    ));
    match did_you_mean(given.text, values.iter().map(|(word, _)| *word)) {
        Some(word) => Err(fault.hint(format!("did you mean `{word}`?"))),
        None => Err(fault),
    }
}

/// Never prints the list: an entry may hold a password.
pub(crate) fn upstream_list(given: &Given<'_>) -> Result<ProxyList, Fault> {
    ProxyList::parse(given.text)
        .map_err(|error| Fault::new(format!("is no GOPROXY list: {}", error.reason)))
}

/// Never fails, because go ignores malformed patterns.
pub(crate) fn patterns(given: &Given<'_>) -> Result<PathPatterns, Fault> {
    Ok(PathPatterns::parse(given.text))
}

/// Words separated by commas, each once, at least one.
pub(crate) fn git_protocols(given: &Given<'_>) -> Result<Vec<GitProtocol>, Fault> {
    let mut protocols = Vec::new();
    for word in given.text.split(',').map(str::trim) {
        let one = Given {
            text: word,
            base: given.base,
        };
        let protocol = choice(
            &one,
            &[
                ("https", GitProtocol::Https),
                ("ssh", GitProtocol::Ssh),
                ("http", GitProtocol::Http),
                ("git", GitProtocol::Git),
                ("file", GitProtocol::File),
            ],
        )?;
        if !protocols.contains(&protocol) {
            protocols.push(protocol);
        }
    }
    Ok(protocols)
}

/// `off`, a program that is looked for in PATH, or a path.
pub(crate) fn git_program(given: &Given<'_>) -> Result<GitProgram, Fault> {
    if given.text == "off" {
        return Ok(GitProgram::Off);
    }
    if given.text.contains('/') {
        return path(given).map(GitProgram::At);
    }
    if given.text.is_empty() {
        return Err(Fault::new("names no program").hint("write `git`, a path, or `off`"));
    }
    Ok(GitProgram::At(given.text.into()))
}

/// A GOVCS value.
pub(crate) fn govcs(given: &Given<'_>) -> Result<GoVcs, Fault> {
    GoVcs::parse(given.text).map_err(|reason| {
        Fault::new(format!("is no GOVCS value: {reason}"))
            .hint("write `PATTERN:SYSTEM|SYSTEM` with commas between: `github.com:git,public:off`")
    })
}

/// A GOSUMDB value: `off`, or a database's name, perhaps with its key, perhaps followed by its URL.
pub(crate) fn sumdb(given: &Given<'_>) -> Result<SumdbSetting, Fault> {
    SumdbSetting::parse(given.text).map_err(|error| {
        Fault::new(format!("is no GOSUMDB value: {}", error.reason)).hint(
            "write `sum.golang.org`, `NAME+HASH+KEY`, either of them with a URL after a space, or `off`",
        )
    })
}
