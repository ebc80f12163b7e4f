//! The first stage: what the go environment says, before anything is dialled; and the main module of the
//! folder, whose go.mod and go.sum decide too.

use super::examined::{Examined, Stage, finding};
use super::machine::Machine;
use super::{files, go_words, toolchain};
use crate::go_env::lint::{self, Remark, Severity};
use diagnosis::{Confidence, Finding, Subject};
use gomod::modfile::{ModFile, Mode};
use gomod::{FileKind, GoModHash, GoSum, ModuleVersion, ProxyEntry, Version};
use std::time::Instant;
use tlsdoctor::StageStatus;

/// More of a go.mod or go.sum is not read.
const LARGEST_FILE_BYTES: u64 = 16 << 20;
/// So many of the main module's requirements are compared with what the proxies serve.
const MOST_COMPARED: usize = 10;

/// The environment as a target of its own: everything in it that stops the go command.
pub(super) async fn examine(machine: &Machine) -> Examined {
    let mut examined = Examined::new("environment");
    let start = Instant::now();
    let remarks = lint::lint(&machine.go_env);
    examined.stages.push(stage(start, machine, &remarks));
    for remark in remarks
        .iter()
        .filter(|remark| remark.severity == Severity::Error)
    {
        if let Some(found) = found(remark) {
            examined.findings.push(found);
            examined.go_fails(words(remark.rule));
        }
    }
    if examined.is_faulty() {
        return examined;
    }
    toolchain::examine(machine, &mut examined).await;
    if !examined.is_faulty() {
        main_module(machine, &mut examined).await;
    }
    examined
}

/// What of the environment stops every download of a module.
pub(super) fn of_module(machine: &Machine, examined: &mut Examined) {
    let start = Instant::now();
    let remarks = lint::lint(&machine.go_env);
    examined.stages.push(stage(start, machine, &remarks));
    const STOPPING: [&str; 3] = ["goproxy-unreadable", "flag-insecure", "modules-off"];
    let stopping = remarks
        .iter()
        .find(|remark| STOPPING.contains(&remark.rule));
    if let Some(remark) = stopping
        && let Some(found) = found(remark)
    {
        examined.findings.push(found);
        examined.go_fails(words(remark.rule));
    }
}

fn stage(start: Instant, machine: &Machine, remarks: &[Remark]) -> Stage {
    let worst = remarks.iter().map(|remark| remark.severity).min();
    let status = match worst {
        Some(Severity::Error) => StageStatus::Failed,
        Some(Severity::Warning) => StageStatus::Warning,
        Some(Severity::Note) | None => StageStatus::Passed,
    };
    let mut stage = Stage::since(start, "environment", status);
    for remark in remarks
        .iter()
        .filter(|remark| remark.severity < Severity::Note)
    {
        stage = stage.seen(evidence(remark));
    }
    // Without its file the defaults of GOPROXY and GOSUMDB are unknown, and with them who would be asked.
    if machine.go_env.installation().is_none() {
        let unseen = ["GOPROXY", "GOSUMDB", "GOTOOLCHAIN"].into_iter();
        let unseen: Vec<&str> = unseen
            .filter(|name| machine.value(name).is_empty())
            .collect();
        if !unseen.is_empty() {
            if stage.status == StageStatus::Passed {
                stage.status = StageStatus::Warning;
            }
            stage = stage.seen(format!(
                "no Go installation was found in GOROOT or PATH: its defaults of {} are not seen, and who they name is not examined",
                unseen.join(", ")
            ));
        }
    }
    stage
}

fn evidence(remark: &Remark) -> String {
    format!("{} ({}): {}", remark.variable, remark.place, remark.text)
}

fn found(remark: &Remark) -> Option<Finding> {
    let lines = [evidence(remark), format!("what helps: {}", remark.cure)];
    Some(finding(
        remark.cause?,
        Confidence::Certain,
        Subject::default(),
        lines,
    ))
}

/// What go prints of a setting that stops it.
fn words(rule: &str) -> &'static str {
    match rule {
        "goproxy-unreadable" => "GOPROXY list is not the empty string, but contains no entries",
        "flag-insecure" => "go: -insecure flag is no longer supported; use GOINSECURE instead",
        "modules-off" => "go: modules disabled by GO111MODULE=off; see 'go help modules'",
        _ => "",
    }
}

/// The go.mod of the folder, if there is one that can be read.
pub(super) fn go_mod(machine: &Machine) -> Option<ModFile> {
    let text = read(machine, "go.mod")?;
    ModFile::parse(&text, Mode::Lax).ok()
}

/// The go.sum beside it.
pub(super) fn go_sum(machine: &Machine) -> Option<GoSum> {
    let text = read(machine, "go.sum")?;
    GoSum::parse(&String::from_utf8_lossy(&text)).ok()
}

fn read(machine: &Machine, name: &str) -> Option<Vec<u8>> {
    use std::io::Read as _;
    let mut text = Vec::new();
    let file = fs_err::File::open(machine.folder.join(name)).ok()?;
    file.take(LARGEST_FILE_BYTES).read_to_end(&mut text).ok()?;
    Some(text)
}

/// Compares go.sum with what go.mod requires, and with what the first proxy serves.
async fn main_module(machine: &Machine, examined: &mut Examined) {
    let (Some(go_mod), Some(go_sum)) = (go_mod(machine), go_sum(machine)) else {
        return;
    };
    let start = Instant::now();
    for required in go_mod.require.iter().take(MOST_COMPARED) {
        let (path, version) = (required.path.as_str(), required.version.as_str());
        let subject = Subject {
            module: Some(path.to_owned()),
            version: Some(version.to_owned()),
            ..Subject::default()
        };
        let mut lines = go_sum.lines.iter();
        let line =
            lines.find(|line| line.go_mod && line.module_path == path && line.version == version);
        let Some(line) = line else {
            let evidence = format!(
                "go.mod requires {path} {version}; go.sum has no line `{path} {version}/go.mod`"
            );
            examined
                .stages
                .push(Stage::since(start, "module", StageStatus::Failed).seen(evidence.clone()));
            examined.findings.push(finding(
                "sum-missing-entry",
                Confidence::Certain,
                subject,
                [evidence],
            ));
            examined.go_fails(format!(
                "go: {path}@{version}: missing go.sum entry for go.mod file; to add it:\n\tgo mod download {path}"
            ));
            return;
        };
        let module = path.parse_module(version);
        let Some(served) = (match module {
            Some(module) => served_go_mod(machine, &module).await,
            None => None,
        }) else {
            continue;
        };
        if served.0 != line.hash {
            let words = go_words::mismatch(&served.0.to_string(), "go.sum", &line.hash.to_string());
            let evidence = [
                format!("the proxy serves a go.mod of {}", served.0),
                format!("go.sum says {}", line.hash),
            ];
            examined
                .stages
                .push(Stage::since(start, "module", StageStatus::Failed).seen(evidence.join("; ")));
            examined.findings.push(finding(
                "sum-mismatch-gosum",
                Confidence::Certain,
                subject,
                evidence,
            ));
            examined.go_fails(format!("verifying {path}@{version}/go.mod: {words}"));
            return;
        }
    }
    examined.stages.push(
        Stage::since(start, "module", StageStatus::Passed)
            .seen("go.sum knows what go.mod requires, and the proxy serves the same"),
    );
}

trait ParseModule {
    fn parse_module(&self, version: &str) -> Option<ModuleVersion>;
}

impl ParseModule for str {
    fn parse_module(&self, version: &str) -> Option<ModuleVersion> {
        let path = gomod::ModulePath::parse(self).ok()?;
        ModuleVersion::new(path, Version::parse(version).ok()?).ok()
    }
}

/// The hash of the go.mod that the first proxy serves, where it does and the name may be told to it.
async fn served_go_mod(machine: &Machine, module: &ModuleVersion) -> Option<GoModHash> {
    if machine.matches("GONOPROXY", module.path().as_str()) {
        return None;
    }
    let entries = machine.goproxy()?;
    let ProxyEntry::Proxy(proxy) = entries.first()? else {
        return None;
    };
    let text = files::whole(machine, &proxy.url, module, FileKind::Mod).await?;
    Some(GoModHash::of(&text))
}
