//! The checksum database, as the go command asks it: where it is reached, whether it answers, whether its
//! notes are signed by the right key, and whether it agrees with what a proxy serves.

use super::environment;
use super::examined::{Examined, Stage, finding};
use super::files::Found;
use super::go_words;
use super::machine::Machine;
use super::module::{Failure, answered};
use diagnosis::{Confidence, Finding, Subject};
use gomod::sumdb::{Lookup, Note, SumdbSetting, Verifier};
use gomod::{GoModHash, ProxyEntry, SafeUrl};
use std::time::Instant;
use tlsdoctor::{Expects, StageStatus};

/// Looks a version up as go would. What is exempt, or stands in go.sum already, is not asked.
pub(super) async fn examine(
    machine: &Machine,
    found: &Found,
    examined: &mut Examined,
) -> Result<(), Failure> {
    let start = Instant::now();
    let module = &found.module;
    let path = module.path().as_str();
    let Some(go_mod) = &found.go_mod else {
        return Ok(());
    };
    let downloaded = GoModHash::of(go_mod);
    if let Some(outcome) = recorded(machine, found, &downloaded) {
        return outcome;
    }
    let mut skip = |why: &str| {
        let stage = Stage::since(start, "sumdb", StageStatus::Skipped);
        examined.stages.push(stage.seen(why));
    };
    if machine.matches("GONOSUMDB", path) {
        skip("GONOSUMDB (or GOPRIVATE) exempts it");
        return Ok(());
    }
    let setting = machine.value("GOSUMDB");
    let (verifier, url) = match SumdbSetting::parse(&setting) {
        Ok(SumdbSetting::Off) => {
            skip("GOSUMDB=off");
            return Ok(());
        }
        Ok(SumdbSetting::Database { verifier, url }) => (verifier, url),
        Err(_) if setting.is_empty() => {
            skip("no GOSUMDB is set");
            return Ok(());
        }
        Err(error) => return Err(bad_setting(&setting, &error.to_string(), examined)),
    };
    let base = match url {
        Some(url) => url,
        None => match through_proxy(machine, &verifier).await {
            Some(base) => base,
            None => return Ok(()),
        },
    };
    let (escaped, version) = (module.path().escape(), module.version().escape());
    let url = base.join_path(&format!("lookup/{}@{}", escaped.as_str(), version.as_str()));
    let prefix = format!("verifying go.mod: {module}/go.mod: ");
    let text = ask(machine, &base, &url, examined)
        .await
        .map_err(|mut failure| {
            failure.words = format!("{prefix}{}", failure.words);
            failure
        })?;
    let Some(text) = text else {
        return Ok(());
    };
    let subject = Subject {
        host: base.host().map(str::to_owned),
        module: Some(path.to_owned()),
        version: Some(module.version().to_string()),
        ..Subject::default()
    };
    let Ok(lookup) = Lookup::parse(text.as_bytes()) else {
        let failure = no_record(&url, &text, &subject, examined);
        return Err(Failure {
            words: format!("{prefix}{}", failure.words),
            ..failure
        });
    };
    if let Err(failure) = signed(&lookup, &verifier, &subject, examined) {
        return Err(Failure {
            words: format!("{prefix}{}", failure.words),
            ..failure
        });
    }
    let (_, recorded) = lookup.record.hashes_of(module);
    match recorded {
        Some(recorded) if recorded.0 != downloaded.0 => {
            let evidence = [
                format!("the proxy serves a go.mod of {}", downloaded.0),
                format!("{} says {}", verifier.name(), recorded.0),
            ];
            let stage = Stage::since(start, "sumdb", StageStatus::Failed);
            examined.stages.push(stage.seen(evidence.join("; ")));
            let words = go_words::mismatch(
                &downloaded.0.to_string(),
                verifier.name(),
                &recorded.0.to_string(),
            );
            Err(Failure {
                findings: vec![finding(
                    "sum-mismatch-sumdb",
                    Confidence::Certain,
                    subject,
                    evidence,
                )],
                words: format!("verifying go.mod: {words}"),
                is_absent: false,
            })
        }
        _ => {
            let stage = Stage::since(start, "sumdb", StageStatus::Passed);
            let seen = format!(
                "{} knows the same go.mod, and its note is signed",
                verifier.name()
            );
            examined.stages.push(stage.seen(seen));
            Ok(())
        }
    }
}

/// Asks a database for its newest signed head.
pub(super) async fn head(
    machine: &Machine,
    base: &SafeUrl,
    examined: &mut Examined,
) -> Result<(), Failure> {
    let url = base.join_path("latest");
    let Some(text) = ask(machine, base, &url, examined).await? else {
        return Ok(());
    };
    let Ok(SumdbSetting::Database { verifier, .. }) =
        SumdbSetting::parse(&machine.value("GOSUMDB"))
    else {
        return Ok(());
    };
    let subject = Subject {
        host: base.host().map(str::to_owned),
        ..Subject::default()
    };
    match Note::open(text.as_bytes(), &verifier) {
        Ok(_) => Ok(()),
        Err(_) if text.starts_with("go.sum database tree\n") => {
            Err(wrong_key(&text, &verifier, &subject, examined))
        }
        Err(_) => Err(no_record(&url, &text, &subject, examined)),
    }
}

/// What go.sum says counts before any database: `None` where it says nothing.
fn recorded(
    machine: &Machine,
    found: &Found,
    downloaded: &GoModHash,
) -> Option<Result<(), Failure>> {
    let go_sum = environment::go_sum(machine)?;
    let (path, version) = (
        found.module.path().as_str(),
        found.module.version().as_str(),
    );
    let mut lines = go_sum.lines.iter();
    let line =
        lines.find(|line| line.go_mod && line.module_path == path && line.version == version)?;
    if line.hash == downloaded.0 {
        return Some(Ok(()));
    }
    let evidence = [
        format!("downloaded: {}", downloaded.0),
        format!("go.sum: {}", line.hash),
    ];
    let words = go_words::mismatch(&downloaded.0.to_string(), "go.sum", &line.hash.to_string());
    Some(Err(Failure {
        findings: vec![finding(
            "sum-mismatch-gosum",
            Confidence::Certain,
            Subject::default(),
            evidence,
        )],
        words: format!("verifying go.mod: {words}"),
        is_absent: false,
    }))
}

/// True if a proxy of the list hands the database on, so that go asks nobody else for it (`dbDial`).
pub(super) async fn is_carried(machine: &Machine, examined: &mut Examined) -> bool {
    let Ok(SumdbSetting::Database {
        verifier,
        url: None,
    }) = SumdbSetting::parse(&machine.value("GOSUMDB"))
    else {
        return false;
    };
    for entry in machine.goproxy().unwrap_or_default() {
        let ProxyEntry::Proxy(proxy) = entry else {
            return false;
        };
        let path = format!("sumdb/{}/supported", verifier.name());
        let url = proxy.url.join_path(&path);
        let report = machine.diagnose(url.expose(), Expects::Anything).await;
        match report.answer.as_ref().map(|answer| answer.status) {
            Some(200) => {
                let subject = Subject {
                    host: url.host().map(str::to_owned),
                    ..Subject::default()
                };
                return answered(report, &url.to_string(), &subject, examined).is_ok();
            }
            Some(404 | 410) => {}
            _ => return false,
        }
    }
    false
}

/// The first proxy that carries the database, else the database itself (`dbDial`).
async fn through_proxy(machine: &Machine, verifier: &Verifier) -> Option<SafeUrl> {
    let name = verifier.name();
    for entry in machine.goproxy().unwrap_or_default() {
        let ProxyEntry::Proxy(proxy) = entry else {
            break;
        };
        let base = proxy.url.join_path(&format!("sumdb/{name}"));
        let supported = base.join_path("supported");
        let report = machine
            .diagnose(supported.expose(), Expects::Anything)
            .await;
        match report.answer.map(|answer| answer.status) {
            Some(200) => return Some(base),
            Some(404 | 410) => {}
            _ => break,
        }
    }
    SafeUrl::parse(&format!("https://{name}")).ok()
}

/// The database's answer; its failures are told as those of a database.
async fn ask(
    machine: &Machine,
    base: &SafeUrl,
    url: &SafeUrl,
    examined: &mut Examined,
) -> Result<Option<String>, Failure> {
    let subject = Subject {
        host: base.host().map(str::to_owned),
        ..Subject::default()
    };
    let report = machine.diagnose(url.expose(), Expects::Anything).await;
    let answer = answered(report, &url.to_string(), &subject, examined);
    answer
        .map(|answer| answer.map(|answer| answer.body))
        .map_err(|mut failure| {
            failure.findings = failure
                .findings
                .into_iter()
                .map(|found| of_database(found, &subject))
                .collect();
            failure.is_absent = false;
            failure
        })
}

/// A database that is not reached is a cause of its own; what is wrong with its TLS keeps its name.
fn of_database(found: Finding, subject: &Subject) -> Finding {
    let cause = match found.cause {
        "proxy-not-found" => "sumdb-not-found",
        "captive-portal" => "sumdb-bad-answer",
        cause if cause.starts_with("tls-") || cause.starts_with("http-proxy-") => return found,
        _ => "sumdb-unreachable",
    };
    let evidence = found.evidence.iter().map(|evidence| evidence.text.clone());
    let mut told = finding(cause, found.confidence, subject.clone(), evidence);
    if cause == "sumdb-unreachable" {
        told.also_possible = vec![found.cause];
    }
    told
}

fn bad_setting(setting: &str, error: &str, examined: &mut Examined) -> Failure {
    let evidence = format!("GOSUMDB={setting}: {error}");
    let stage = Stage::since(Instant::now(), "sumdb", StageStatus::Failed);
    examined.stages.push(stage.seen(evidence.clone()));
    Failure {
        findings: vec![finding(
            "sumdb-config",
            Confidence::Certain,
            Subject::default(),
            [evidence],
        )],
        words: "verifying go.mod: invalid GOSUMDB: malformed verifier id".into(),
        is_absent: false,
    }
}

fn no_record(url: &SafeUrl, text: &str, subject: &Subject, examined: &mut Examined) -> Failure {
    let begins: String = text.trim_start().chars().take(80).collect();
    let evidence = format!("{url} answers {begins:?}, which is no record of a checksum database");
    let stage = Stage::since(Instant::now(), "sumdb", StageStatus::Failed);
    examined.stages.push(stage.seen(evidence.clone()));
    Failure {
        findings: vec![finding(
            "sumdb-bad-answer",
            Confidence::Certain,
            subject.clone(),
            [evidence],
        )],
        words: "malformed record data".into(),
        is_absent: false,
    }
}

fn signed(
    lookup: &Lookup,
    verifier: &Verifier,
    subject: &Subject,
    examined: &mut Examined,
) -> Result<(), Failure> {
    match lookup.open_head(verifier) {
        Ok(_) => Ok(()),
        Err(_) => {
            let note = String::from_utf8_lossy(lookup.signed_head()).into_owned();
            Err(wrong_key(&note, verifier, subject, examined))
        }
    }
}

fn wrong_key(
    note: &str,
    verifier: &Verifier,
    subject: &Subject,
    examined: &mut Examined,
) -> Failure {
    let signers: Vec<&str> = note
        .lines()
        .filter_map(|line| line.strip_prefix("— ")?.split(' ').next())
        .collect();
    let evidence = format!(
        "the note is signed by {}, and not with the key of {} that GOSUMDB holds",
        signers.join(", "),
        verifier.name()
    );
    let stage = Stage::since(Instant::now(), "sumdb", StageStatus::Failed);
    examined.stages.push(stage.seen(evidence.clone()));
    Failure {
        findings: vec![finding(
            "sumdb-wrong-key",
            Confidence::Certain,
            subject.clone(),
            [evidence],
        )],
        words: format!("reading tree note: note has no verifiable signatures\nnote:\n{note}"),
        is_absent: false,
    }
}
