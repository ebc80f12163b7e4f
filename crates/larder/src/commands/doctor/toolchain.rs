//! Which Go would run, and whether it can be had: GOTOOLCHAIN, the go line of go.mod, the installation.

use super::environment;
use super::examined::{Examined, Stage, finding};
use super::machine::Machine;
use diagnosis::{Confidence, Subject};
use gomod::ProxyEntry;
use std::time::Instant;
use tlsdoctor::{Expects, StageStatus};

/// Says what stands in the way of the wanted Go; nothing where no Go is installed.
pub(super) async fn examine(machine: &Machine, examined: &mut Examined) {
    let Some(installed) = installed(machine) else {
        return;
    };
    let start = Instant::now();
    let setting = match machine.value("GOTOOLCHAIN") {
        empty if empty.is_empty() => "auto".to_owned(),
        setting => setting,
    };
    let go_mod = environment::go_mod(machine);
    let go_line = go_mod
        .as_ref()
        .and_then(|go_mod| go_mod.go_version().map(str::to_owned));
    let too_old = go_line
        .as_deref()
        .filter(|line| numbers(line) > numbers(&installed));
    if setting == "local" {
        if let Some(line) = too_old {
            let evidence = format!(
                "go.mod says `go {line}`; the installed Go is {installed}, and GOTOOLCHAIN=local"
            );
            examined.stages.push(
                Stage::since(start, "environment", StageStatus::Failed).seen(evidence.clone()),
            );
            examined.findings.push(finding(
                "go-too-old",
                Confidence::Certain,
                Subject::default(),
                [evidence],
            ));
            examined.go_fails(format!(
                "go: go.mod requires go >= {line} (running go {installed}; GOTOOLCHAIN=local)"
            ));
        }
        return;
    }
    let named = setting
        .split('+')
        .next()
        .and_then(|name| name.strip_prefix("go"));
    let wanted = match (named, too_old) {
        (Some(named), _) if named != installed => named.to_owned(),
        (None, Some(line)) if setting != "path" => full_version(line),
        _ => return,
    };
    fetchable(machine, examined, &wanted).await;
}

/// Whether the first proxy has the toolchain (cmd/go's `golang.org/toolchain` module).
async fn fetchable(machine: &Machine, examined: &mut Examined, wanted: &str) {
    let start = Instant::now();
    let (system, architecture) = platform();
    let entries = machine.goproxy().unwrap_or_default();
    let Some(ProxyEntry::Proxy(proxy)) = entries.first() else {
        return;
    };
    let url = proxy.url.join_path(&format!(
        "golang.org/toolchain/@v/v0.0.1-go{wanted}.{system}-{architecture}.info"
    ));
    let report = machine.diagnose(url.expose(), Expects::Data).await;
    let status = report.answer.as_ref().map(|answer| answer.status);
    if matches!(status, Some(404 | 410)) {
        let evidence = format!("{url} answers {}", status.unwrap_or_default());
        examined
            .stages
            .push(Stage::since(start, "environment", StageStatus::Failed).seen(evidence.clone()));
        let subject = Subject {
            host: proxy.url.host().map(str::to_owned),
            module: Some("golang.org/toolchain".into()),
            version: Some(format!("go{wanted}")),
            ..Subject::default()
        };
        examined.findings.push(finding(
            "toolchain-unavailable",
            Confidence::Certain,
            subject,
            [evidence],
        ));
        examined.go_fails(format!(
            "go: download go{wanted} for {system}/{architecture}: toolchain not available"
        ));
    } else if !report.clients.go.ok {
        let words = report.clients.go.message.clone();
        examined.take(report);
        examined.go_fails(words);
    }
}

/// `1.26.8`, of the VERSION file of the installation.
fn installed(machine: &Machine) -> Option<String> {
    let file = machine.go_env.installation()?.join("VERSION");
    let text = fs_err::read_to_string(file).ok()?;
    let version = text.split_whitespace().next()?.strip_prefix("go")?;
    Some(version.to_owned())
}

/// Since Go 1.21 a language version's first release ends in `.0`.
fn full_version(line: &str) -> String {
    match line.split('.').count() {
        2 => format!("{line}.0"),
        _ => line.to_owned(),
    }
}

/// `1.26.8` as numbers; what follows a release candidate's letters counts for nothing.
fn numbers(version: &str) -> Vec<u32> {
    let digits = |part: &str| {
        let end = part
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(part.len());
        part.get(..end)
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0)
    };
    version.split('.').map(digits).collect()
}

/// As Go names them.
fn platform() -> (&'static str, &'static str) {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    };
    (system, architecture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go_are_ordered_by_their_numbers() {
        assert!(numbers("1.99") > numbers("1.26.8"));
        assert!(numbers("1.9") < numbers("1.10"));
        assert!(numbers("1.26rc1") <= numbers("1.26.0"));
        assert_eq!(full_version("1.99"), "1.99.0");
    }
}
