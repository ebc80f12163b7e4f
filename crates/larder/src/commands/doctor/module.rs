//! Hosts, services and modules: what is asked of whom, and what the answers must look like.

use super::direct::{self, Wanted};
use super::examined::{Examined, Stage, finding};
use super::files::{self, Found};
use super::machine::{CodeHost, Machine, Service};
use super::{checksums, environment, go_words, toolchain};
use diagnosis::{Confidence, Finding, Subject};
use gomod::{FallBack, ModulePath, ProxyEntry, SafeUrl};
use std::time::Instant;
use tlsdoctor::{Answer, Expects, Report, StageStatus, Target};
use url::Url;

/// Why something could not be had of one source.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) findings: Vec<Finding>,
    /// What go would print behind the module's name.
    pub(super) words: String,
    /// It said that there is no such thing, so that go asks the next one.
    pub(super) is_absent: bool,
}

/// A URL or host of the command line.
pub(super) async fn examine_host(machine: &Machine, target: &Target) -> Examined {
    if target.path == "/"
        && machine.is_module_proxy(target)
        && let Ok(url) = SafeUrl::parse(&target.to_string())
    {
        let mut examined = examine_service(machine, &Service::ModuleProxy(url)).await;
        examined.target = target.to_string();
        return examined;
    }
    let mut examined = Examined::new(target.to_string());
    let report = machine.diagnose_given(target, Expects::Anything).await;
    let shows_page = report.clients.go.ok && report.answer.as_ref().is_some_and(is_page);
    let subject = host_subject(target);
    // At the root nobody promised anything.
    let may_be_absent = target.path == "/";
    match answered(report, &target.to_string(), &subject, &mut examined) {
        Err(failure) if failure.is_absent && may_be_absent => {
            examined.take_absence_for_an_answer("at the root nothing need be");
        }
        Err(failure) => fail(&mut examined, failure),
        Ok(_) => {}
    }
    if shows_page
        && !examined.is_faulty()
        && let Some(failure) = portal(machine, target, &mut examined).await
    {
        fail(&mut examined, failure);
    }
    examined
}

/// A page where a page may be: a portal shows it for a path that no server can have, too.
async fn portal(machine: &Machine, target: &Target, examined: &mut Examined) -> Option<Failure> {
    let nowhere = target.at("/larder-doctor-asks-for-nothing/@v/list");
    let report = machine.diagnose_given(&nowhere, Expects::Anything).await;
    let answer = report.answer.as_ref()?;
    if !(report.clients.go.ok && answer.status == 200 && is_page(answer)) {
        return None;
    }
    let evidence = [
        format!("{target} answers 200 with a web page"),
        format!("so does {nowhere}, which no server has"),
    ];
    examined
        .stages
        .push(Stage::since(Instant::now(), "http", StageStatus::Failed).seen(evidence.join("; ")));
    let base = target.to_string();
    Some(Failure {
        words: go_words::no_json(base.trim_end_matches('/'), &answer.body),
        findings: vec![finding(
            "captive-portal",
            Confidence::Likely,
            host_subject(target),
            evidence,
        )],
        is_absent: false,
    })
}

/// A service that the environment names, asked for something that it must be able to answer.
pub(super) async fn examine_service(machine: &Machine, service: &Service) -> Examined {
    if let Service::CodeHost(code_host) = service {
        return Box::pin(examine_code_host(machine, code_host)).await;
    }
    let mut examined = Examined::new(service.to_string());
    let host = service.url().and_then(SafeUrl::host);
    let subject = Subject {
        host: host.map(str::to_owned),
        ..Subject::default()
    };
    let failure = match service {
        Service::ModuleProxy(base) => {
            // A proxy of private modules may not have it: 404 is an answer too.
            let url = base.join_path("golang.org/x/mod/@v/list");
            let report = machine.diagnose(url.expose(), Expects::Data).await;
            match answered(report, &url.to_string(), &subject, &mut examined) {
                Err(failure) if failure.is_absent => {
                    examined.take_absence_for_an_answer("a proxy need not have this module");
                    None
                }
                answer => answer.err(),
            }
        }
        Service::ChecksumDatabase(_) if checksums::is_carried(machine, &mut examined).await => None,
        Service::ChecksumDatabase(base) => {
            checksums::head(machine, base, &mut examined).await.err()
        }
        Service::CodeHost(_) => None,
    };
    if let Some(failure) = failure {
        fail(&mut examined, failure);
    }
    examined
}

/// Where private modules are: the way to one of them as go goes it, or the host alone.
async fn examine_code_host(machine: &Machine, code_host: &CodeHost) -> Examined {
    if let Some((path, version)) = &code_host.module {
        let mut examined = Examined::new(format!("{path}@{version}"));
        let wanted = Wanted::GoMod(version);
        if let Err(failure) = direct::examine(machine, path, wanted, &mut examined).await {
            fail_module(&mut examined, path, version, failure);
        }
        return examined;
    }
    let address = format!("https://{}/", code_host.host);
    match Target::parse(&address) {
        Ok(target) => examine_host(machine, &target).await,
        Err(_) => Examined::new(address),
    }
}

/// A module: every source in the order in which go asks them, then the checksum database.
pub(super) async fn examine(machine: &Machine, path: &ModulePath, query: &str) -> Examined {
    let mut examined = Examined::new(format!("{path}@{query}"));
    environment::of_module(machine, &mut examined);
    if examined.is_faulty() {
        let whole_line = examined.go.message.starts_with("go: ");
        if !whole_line {
            examined.go.message = go_words::of_module(path.as_str(), query, &examined.go.message);
        }
        return examined;
    }
    toolchain::examine(machine, &mut examined).await;
    if examined.is_faulty() {
        return examined;
    }
    match walk(machine, path, query, &mut examined).await {
        Err(failure) => fail_module(&mut examined, path, query, failure),
        Ok(None) => {}
        Ok(Some(found)) => {
            let version = found.module.version().to_string();
            if let Err(failure) = checksums::examine(machine, &found, &mut examined).await {
                fail_module(&mut examined, path, &version, failure);
                return examined;
            }
            if let Err(failure) = files::zip(machine, &found, &mut examined).await {
                fail_module(&mut examined, path, &version, failure);
            }
        }
    }
    examined
}

/// Go's `TryProxies`: the next entry is asked after an absence, behind `|` after any failure; of several
/// failures the one of the source that was reached most directly is told.
async fn walk(
    machine: &Machine,
    path: &ModulePath,
    query: &str,
    examined: &mut Examined,
) -> Result<Option<Found>, Failure> {
    if machine.matches("GONOPROXY", path.as_str()) {
        return direct::examine(machine, path, Wanted::Version, examined)
            .await
            .map(|()| None);
    }
    let entries = machine.goproxy().unwrap_or_default();
    let mut told: Option<(u8, Failure)> = None;
    for entry in &entries {
        let (rank, fall_back, outcome) = match entry {
            ProxyEntry::Off => (1, None, Err(switched_off())),
            ProxyEntry::Direct => {
                let outcome = direct::examine(machine, path, Wanted::Version, examined).await;
                (2, None, outcome.map(|()| None))
            }
            ProxyEntry::Proxy(proxy) if proxy.url.is_file() => {
                examined.stages.push(
                    Stage::since(Instant::now(), "module", StageStatus::Skipped)
                        .of(proxy.url.to_string())
                        .seen("a folder: no connection to examine"),
                );
                return Ok(None);
            }
            ProxyEntry::Proxy(proxy) => {
                let outcome = files::resolve(machine, &proxy.url, path, query, examined).await;
                (1, Some(proxy.fall_back), outcome)
            }
        };
        let failure = match outcome {
            Ok(found) => return Ok(found),
            Err(failure) => failure,
        };
        let goes_on = match fall_back {
            Some(FallBack::Any) => true,
            Some(FallBack::Absent) => failure.is_absent,
            None => false,
        };
        let rank = if failure.is_absent { 0 } else { rank };
        if told.as_ref().is_none_or(|(best, _)| rank >= *best) {
            told = Some((rank, failure));
        }
        if !goes_on {
            break;
        }
    }
    let Some((_, mut failure)) = told else {
        return Ok(None);
    };
    let has_direct = entries
        .iter()
        .any(|entry| matches!(entry, ProxyEntry::Direct));
    if failure.is_absent && !has_direct {
        private(machine, path, query, &mut failure).await;
    }
    Err(failure)
}

/// A module that no proxy has may live at its own host, where no proxy can see it.
async fn private(machine: &Machine, path: &ModulePath, query: &str, failure: &mut Failure) {
    if !direct::has_own_page(path) {
        return;
    }
    let Ok(page) = Url::parse(&format!("https://{path}?go-get=1")) else {
        return;
    };
    let report = machine.diagnose(&page, Expects::Anything).await;
    let Some(answer) = report.answer.as_ref().filter(|_| report.clients.go.ok) else {
        return;
    };
    let seen = match answer.status {
        401 | 403 => format!(
            "{page} answers {}: something is there for who signs in",
            answer.status
        ),
        200 if direct::go_import(&answer.body, path).is_some() => {
            format!("{page} names a repository for it")
        }
        _ => return,
    };
    let subject = Subject {
        host: page.host_str().map(str::to_owned),
        module: Some(path.to_string()),
        version: Some(query.to_owned()),
        ..Subject::default()
    };
    let patterns = machine.value("GOPRIVATE");
    let evidence = [
        seen,
        format!("GOPRIVATE={patterns:?} doesn't match it, and no proxy has it"),
    ];
    let found = finding(
        "private-not-excluded",
        Confidence::Certain,
        subject,
        evidence,
    );
    failure.findings.insert(0, found);
}

fn switched_off() -> Failure {
    let evidence = "GOPROXY ends in `off`: nothing may be fetched".to_owned();
    Failure {
        findings: vec![finding(
            "goproxy-off",
            Confidence::Certain,
            Subject::default(),
            [evidence],
        )],
        words: "module lookup disabled by GOPROXY=off".into(),
        is_absent: false,
    }
}

/// Takes the report over, and judges whether its answer is one.
pub(super) fn answered(
    mut report: Report,
    url: &str,
    subject: &Subject,
    examined: &mut Examined,
) -> Result<Option<Answer>, Failure> {
    let findings = std::mem::take(&mut report.findings);
    let ok = report.clients.go.ok;
    let words = go_words::no_answer(&report);
    let answer = report.answer.clone();
    examined.take(report);
    let refused = answer
        .as_ref()
        .and_then(|answer| Some((answer, judged(answer, url, subject)?)));
    if let Some((answer, found)) = refused
        && !(300..400).contains(&answer.status)
    {
        // A finer cause is kept, such as a portal's.
        let first = findings.into_iter().next();
        let finer = first.filter(|first| !first.cause.starts_with("proxy-"));
        return Err(Failure {
            words: go_words::status(url, answer),
            is_absent: matches!(answer.status, 404 | 410) && finer.is_none(),
            findings: vec![finer.unwrap_or(found)],
        });
    }
    if !ok {
        return Err(Failure {
            findings,
            words,
            is_absent: false,
        });
    }
    // What another client has against it is told, and is no failure of go's.
    for found in findings {
        // Each request to the host would tell it again.
        let is_told = examined
            .findings
            .iter()
            .any(|told| told.cause == found.cause && told.subject.host == found.subject.host);
        if !is_told {
            examined.findings.push(found);
        }
    }
    Ok(answer)
}

/// What a status other than 200 means when a module proxy says it.
fn judged(answer: &Answer, url: &str, subject: &Subject) -> Option<Finding> {
    let cause = match answer.status {
        200..=299 => return None,
        401 => "proxy-auth-required",
        402 | 403 | 451 => "proxy-forbidden",
        404 | 410 => "proxy-not-found",
        407 => "http-proxy-auth",
        429 => "proxy-rate-limit",
        500..=599 => "proxy-server-error",
        _ => "proxy-bad-body",
    };
    let confidence = match cause {
        "proxy-not-found" => Confidence::Likely,
        _ => Confidence::Certain,
    };
    let mut evidence = vec![format!("GET {url}: {} {}", answer.status, answer.reason)];
    let first = answer.body.lines().find(|line| !line.trim().is_empty());
    evidence.extend(first.map(|line| {
        let line: String = line.chars().take(200).collect();
        format!("it says: {line}")
    }));
    let mut found = finding(cause, confidence, subject.clone(), evidence);
    if cause == "proxy-not-found" {
        found.also_possible = vec!["private-not-excluded", "ver-unknown-revision"];
    }
    Some(found)
}

fn is_page(answer: &Answer) -> bool {
    let body = answer.body.trim_start().to_ascii_lowercase();
    body.starts_with("<!doctype html") || body.starts_with("<html")
}

fn host_subject(target: &Target) -> Subject {
    Subject {
        host: Some(target.short_authority()),
        ..Subject::default()
    }
}

fn fail(examined: &mut Examined, failure: Failure) {
    examined.go_fails(failure.words);
    let behind = std::mem::take(&mut examined.findings);
    examined.findings = failure.findings.into_iter().chain(behind).collect();
}

/// Some of go's words are lines of their own.
fn fail_module(examined: &mut Examined, path: &ModulePath, version: &str, mut failure: Failure) {
    if !failure.words.starts_with("go: ") {
        failure.words = go_words::of_module(path.as_str(), version, &failure.words);
    }
    for found in &mut failure.findings {
        found.subject.module.get_or_insert_with(|| path.to_string());
        found
            .subject
            .version
            .get_or_insert_with(|| version.to_owned());
    }
    fail(examined, failure);
}
