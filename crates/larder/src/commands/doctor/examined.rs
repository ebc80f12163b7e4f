//! What was found out about one target: stages, findings, what the clients would say.

use diagnosis::cause::{self, Cure};
use diagnosis::{Confidence, Evidence, Finding, Subject, redact};
use serde_json::{Value, json};
use std::time::Instant;
use tlsdoctor::{ClientVerdict, Report, StageStatus};

/// One target, examined.
#[derive(Debug, Default)]
pub(crate) struct Examined {
    /// As it was given, without a password.
    pub(super) target: String,
    /// In the order in which they were tried.
    pub(super) stages: Vec<Stage>,
    /// The root cause first.
    pub(super) findings: Vec<Finding>,
    /// What the go command would print; ok where it would go on.
    pub(super) go: ClientVerdict,
    /// The same of git and curl, where they were judged.
    pub(super) others: Option<(ClientVerdict, ClientVerdict)>,
    /// What was seen of connections, for pictures and chain files.
    pub(super) reports: Vec<Report>,
}

/// One step.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) name: &'static str,
    pub(super) status: StageStatus,
    pub(super) ms: f64,
    /// Which host it was about, where a target has several.
    pub(super) of: Option<String>,
    /// What was seen.
    pub(super) evidence: Vec<String>,
}

impl Stage {
    /// A step that began at `start` and ends now.
    pub(super) fn since(start: Instant, name: &'static str, status: StageStatus) -> Self {
        Self {
            name,
            status,
            ms: start.elapsed().as_secs_f64() * 1000.0,
            of: None,
            evidence: Vec::new(),
        }
    }

    /// With this line of evidence.
    pub(super) fn seen(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }

    /// About this host.
    pub(super) fn of(mut self, host: impl Into<String>) -> Self {
        self.of = Some(host.into());
        self
    }
}

impl Examined {
    pub(super) fn new(target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            ..Self::default()
        }
    }

    /// Takes the values of tokens and the like out of all that is shown: a URL of GOPROXY may hold one in its query.
    pub(super) fn hide_secrets(&mut self) {
        let others = self.others.iter_mut().flat_map(|(git, curl)| [git, curl]);
        let messages = others
            .chain([&mut self.go])
            .map(|client| &mut client.message);
        let stages = self.stages.iter_mut().flat_map(|stage| &mut stage.evidence);
        let findings = self
            .findings
            .iter_mut()
            .flat_map(|finding| &mut finding.evidence)
            .map(|evidence| &mut evidence.text);
        for text in messages.chain(stages).chain(findings) {
            *text = redact(text);
        }
        self.target = redact(&self.target);
    }

    /// The go command could not use it.
    pub(super) fn is_faulty(&self) -> bool {
        !self.go.ok
    }

    /// Takes over what a connection showed. Its findings come after those that are there.
    pub(super) fn take(&mut self, report: Report) {
        for stage in &report.stages {
            self.stages.push(Stage {
                name: stage.stage.name(),
                status: stage.status,
                ms: stage.ms,
                of: Some(stage.host.clone()),
                evidence: stage.evidence.clone(),
            });
        }
        self.findings.extend(report.findings.iter().cloned());
        if self.others.is_none() {
            self.others = Some((report.clients.git.clone(), report.clients.curl.clone()));
        }
        self.reports.push(report);
    }

    /// That something is not there was no failure: the service was reached, and answers.
    pub(super) fn take_absence_for_an_answer(&mut self, why: &str) {
        let last = self.stages.iter_mut().rfind(|stage| stage.name == "http");
        if let Some(stage) = last.filter(|stage| stage.status == StageStatus::Failed) {
            stage.status = StageStatus::Passed;
            stage.evidence.push(format!("that is an answer: {why}"));
        }
    }

    /// The go command fails here with these words.
    pub(super) fn go_fails(&mut self, message: impl Into<String>) {
        if self.go.ok {
            self.go = ClientVerdict::failing(message);
        }
    }

    /// The shape that holds for scripts.
    pub(super) fn to_json(&self) -> Value {
        let verdict = if self.is_faulty() {
            "faulty"
        } else {
            "healthy"
        };
        let stages: Vec<Value> = self.stages.iter().map(stage_json).collect();
        let mut clients = json!({ "go": self.go });
        if let Some((git, curl)) = &self.others {
            clients["git"] = json!(git);
            clients["curl"] = json!(curl);
        }
        let mut all = json!({
            "target": self.target,
            "verdict": verdict,
            "stages": stages,
            "clients": clients,
            "findings": self.findings,
        });
        let shown = self.reports.iter().find(|report| !report.chain.is_empty());
        if let Some(report) = shown {
            all["chain"] = json!(report.chain);
            all["handshake"] = json!(report.handshake);
        }
        if let Some(repair) = self
            .reports
            .iter()
            .find_map(|report| report.repair.as_ref())
        {
            all["repair"] = json!(repair);
        }
        all
    }
}

fn stage_json(stage: &Stage) -> Value {
    let rounded = (stage.ms * 10.0).round() / 10.0;
    let mut json = json!({
        "stage": stage.name,
        "status": stage.status,
        "ms": rounded,
        "evidence": stage.evidence,
    });
    if let Some(host) = &stage.of {
        json["of"] = json!(host);
    }
    json
}

/// A finding of the catalogue.
pub(super) fn finding(
    cause: &'static str,
    confidence: Confidence,
    subject: Subject,
    evidence: impl IntoIterator<Item = String>,
) -> Finding {
    let entry = cause::find(cause);
    let cures: Vec<Cure> = entry
        .map(|entry| entry.cures.iter().copied().flatten().copied().collect())
        .unwrap_or_default();
    Finding {
        cause,
        confidence,
        also_possible: Vec::new(),
        whose: entry.map_or(cause::Whose::Client, |entry| entry.whose),
        subject,
        evidence: evidence
            .into_iter()
            .map(|text| Evidence { line: None, text })
            .collect(),
        cures,
        settle: None,
    }
}
