//! `larder explain`: a log or another tool's number in, causes and cures out. Reads, and dials
//! nothing unless `--probe` asks for it.

use super::{Outcome, doctor};
use crate::command_line::Form;
use crate::settings::complaint::Complaint;
use crate::settings::environment::Environment;
use crate::terminal;
use diagnosis::cause::{Cure, page};
use diagnosis::code::{self, Code};
use diagnosis::{Evidence, Finding, Subject};
use serde_json::json;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

/// More of a log is not read: the cause is never behind so much text.
const MOST_BYTES: u64 = 16 << 20;

/// What is to be explained.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// A log on stdin.
    Stdin,
    File(PathBuf),
    /// A number of another tool.
    Code(Code),
}

/// Whether the command that would decide is only named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probing {
    Named,
    /// What the first finding is about is examined, as `larder doctor` does.
    Done,
}

/// Says what went wrong, root cause first.
pub(crate) fn explain(
    question: &Question,
    probing: Probing,
    environment: &Environment,
    form: Form,
) -> Outcome {
    let findings = match question {
        Question::Code(code) => code::explain(*code),
        Question::Stdin => match read_stdin() {
            Ok(log) => diagnosis::explain(&log),
            Err(complaint) => return refuse(complaint),
        },
        Question::File(path) => match read_file(path) {
            Ok(log) => diagnosis::explain(&log),
            Err(complaint) => return refuse(complaint),
        },
    };
    let probed = match (probing, findings.first()) {
        (Probing::Done, Some(first)) => doctor::targets_of(first, environment),
        _ => None,
    };
    match form {
        Form::Json => {
            let mut all = json!({ "findings": findings });
            if let Some(examined) = &probed {
                all["targets"] = doctor::to_json(examined);
            }
            terminal::data(&format!("{all:#}\n"));
        }
        Form::Text => {
            terminal::data(&text(&findings, System::of_this_machine()));
            if let Some(examined) = &probed {
                terminal::data(&format!("\n{}", doctor::to_text(examined)));
            }
        }
    }
    if probing == Probing::Done && probed.is_none() && !findings.is_empty() {
        terminal::talk("the log names no host and no module that could be examined\n");
    }
    if findings.is_empty() {
        terminal::talk(match question {
            Question::Code(_) => {
                "nothing was recognised: that number is not known here, or names no failed download\n"
            }
            Question::Stdin | Question::File(_) => {
                "nothing was recognised: give the whole output, from the first line that go wrote, with the indented lines\n"
            }
        });
        return Outcome::FoundFault;
    }
    Outcome::Fine
}

fn refuse(complaint: Complaint) -> Outcome {
    terminal::complain(&[complaint]);
    Outcome::UsedWrongly
}

fn read_file(path: &Path) -> Result<String, Complaint> {
    let file = fs_err::File::open(path).map_err(Complaint::from_error)?;
    read(file)
}

fn read_stdin() -> Result<String, Complaint> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        terminal::talk("paste the log, then end it with Ctrl-D on a line of its own\n");
    }
    read(stdin.lock())
}

/// Bytes that are no UTF-8 are replaced: a log is quoted, not executed.
fn read(source: impl std::io::Read) -> Result<String, Complaint> {
    let mut bytes = Vec::new();
    source
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(Complaint::from_error)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Complaint::new("the log is longer than 16 MiB")
            .hint("give the part from the first failure on"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whose cures come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    MacOs,
    Windows,
    /// A distribution, as the catalogue calls it; empty where it is another one.
    Linux(&'static str),
}

impl System {
    fn of_this_machine() -> Self {
        if cfg!(target_os = "macos") {
            return Self::MacOs;
        }
        if cfg!(windows) {
            return Self::Windows;
        }
        let release = fs_err::read_to_string("/etc/os-release").unwrap_or_default();
        Self::of_release(&release)
    }

    /// From the `ID` and `ID_LIKE` of os-release(5).
    fn of_release(release: &str) -> Self {
        const KNOWN: [(&str, &str); 9] = [
            ("debian", "debian"),
            ("ubuntu", "debian"),
            ("rhel", "rhel"),
            ("fedora", "rhel"),
            ("centos", "rhel"),
            ("amzn", "rhel"),
            ("alpine", "alpine"),
            ("arch", "arch"),
            ("manjaro", "arch"),
        ];
        let words = release
            .lines()
            .filter_map(|line| {
                line.strip_prefix("ID=")
                    .or_else(|| line.strip_prefix("ID_LIKE="))
            })
            .flat_map(|value| value.trim_matches('"').split_whitespace());
        let mut known = words.filter_map(|word| KNOWN.iter().find(|(id, _)| *id == word));
        Self::Linux(known.next().map_or("", |(_, name)| name))
    }

    /// This system's own cures first, then those for any, then programs', then other systems'.
    fn distance(self, os: &str) -> u8 {
        const SYSTEMS: [&str; 6] = ["debian", "rhel", "alpine", "arch", "macos", "windows"];
        let own = match self {
            Self::MacOs => "macos",
            Self::Windows => "windows",
            Self::Linux(name) => name,
        };
        if os == own {
            0
        } else if os == "any" {
            1
        } else if SYSTEMS.contains(&os) {
            3
        } else {
            2
        }
    }
}

/// How many findings are told in full; what comes behind the root is mostly its consequence.
const TOLD_IN_FULL: usize = 3;

/// Findings for people, with the cures of this machine's system first.
pub(crate) fn findings_text(findings: &[Finding]) -> String {
    text(findings, System::of_this_machine())
}

/// Cures with those of this machine's system first.
pub(crate) fn nearest_first(cures: &[Cure]) -> Vec<&Cure> {
    let system = System::of_this_machine();
    let mut cures: Vec<&Cure> = cures.iter().collect();
    cures.sort_by_key(|cure| system.distance(cure.os));
    cures
}

/// The line with the host in the place of HOST: with its port in a URL, without it elsewhere, because passwords,
/// keys and patterns are kept by name. A host that would need quoting in a shell is not written into a line that
/// people paste there.
pub(crate) fn filled(command: &str, host: Option<&str>) -> String {
    let is_plain = |host: &&str| {
        host.chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "._-:[]".contains(letter))
            && !host.starts_with('-')
    };
    let Some(host) = host.filter(is_plain) else {
        return command.to_owned();
    };
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => (name, Some(port)),
        _ => (host, None),
    };
    let mut filled = String::with_capacity(command.len());
    let mut rest = command;
    while let Some((before, after)) = rest.split_once("HOST") {
        filled.push_str(before);
        let word = filled.rsplit([' ', '"', '\'']).next().unwrap_or_default();
        if word.contains("://") {
            filled.push_str(host);
        } else {
            filled.push_str(name);
        }
        rest = match (after.strip_prefix(":443"), port) {
            (Some(behind), Some(port)) => {
                let _ = write!(filled, ":{port}");
                behind
            }
            _ => after,
        };
    }
    filled + rest
}

fn text(findings: &[Finding], system: System) -> String {
    let mut text = String::new();
    for (index, finding) in findings.iter().take(TOLD_IN_FULL).enumerate() {
        if index > 0 {
            text.push_str("\nAlso:\n\n");
        }
        push_finding(finding, system, index == 0, &mut text);
    }
    let rest: Vec<&str> = findings
        .iter()
        .skip(TOLD_IN_FULL)
        .map(|finding| finding.cause)
        .collect();
    if !rest.is_empty() {
        let _ = writeln!(text, "\nAnd further: {}", rest.join(", "));
    }
    text
}

fn push_finding(finding: &Finding, system: System, in_full: bool, text: &mut String) {
    let title = finding.entry().map_or(finding.cause, |entry| entry.title);
    let _ = writeln!(text, "{title}");
    let _ = writeln!(
        text,
        "  {} ({}), to be mended by: {}",
        finding.cause,
        finding.confidence.name(),
        finding.whose.name()
    );
    if let Some(subject) = subject(&finding.subject) {
        let _ = writeln!(text, "  about: {subject}");
    }
    text.push('\n');
    for Evidence { line, text: quoted } in &finding.evidence {
        let _ = match line {
            Some(line) => writeln!(text, "  line {line}: {quoted}"),
            None => writeln!(text, "  {quoted}"),
        };
    }
    if let Some(entry) = finding.entry().filter(|_| in_full) {
        let _ = writeln!(text, "\n{}", wrapped(entry.meaning, "  "));
    }
    let _ = writeln!(text, "  More: {}", page::path(finding.cause));
    if !finding.also_possible.is_empty() {
        let _ = writeln!(
            text,
            "\n  it could also be: {}",
            finding.also_possible.join(", ")
        );
    }
    if let Some(settle) = &finding.settle {
        let _ = writeln!(text, "  this would tell: {settle}");
    }
    text.push_str("\n  what helps:\n");
    let mut cures: Vec<&Cure> = finding.cures.iter().collect();
    cures.sort_by_key(|cure| system.distance(cure.os));
    if !in_full {
        cures.truncate(2);
    }
    for cure in cures {
        let place = match cure.os {
            "any" => cure.place.name().to_owned(),
            os => format!("{}, {os}", cure.place.name()),
        };
        let _ = writeln!(text, "  - [{place}] {}", cure.text);
        for command in cure.commands {
            let command = filled(command, finding.subject.host.as_deref());
            let _ = writeln!(text, "      {command}");
        }
    }
}

fn subject(subject: &Subject) -> Option<String> {
    let module = match (&subject.module, &subject.version) {
        (Some(module), Some(version)) => Some(format!("{module}@{version}")),
        (module, _) => module.clone(),
    };
    match (module, &subject.host) {
        (Some(module), Some(host)) => Some(format!("{module}, at {host}")),
        (module, host) => module.or_else(|| host.clone()),
    }
}

/// At most 96 letters a line.
fn wrapped(text: &str, margin: &str) -> String {
    let mut lines = vec![margin.to_owned()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if line.len() > margin.len() && line.chars().count() + 1 + word.chars().count() > 96 {
            lines.push(format!("{margin}{word}"));
        } else {
            if line.len() > margin.len() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests;
