//! GODEBUG: switches with which this user's go does what go by default does not.

use tlsdoctor::{ClientVerdict, Report, StageStatus, Verdict};

/// The switches that decide over connections.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Godebug {
    switches: Vec<(String, String)>,
}

impl Godebug {
    /// Reads `name=value,…`; what is not of that form counts for nothing, as for go.
    pub(super) fn parse(text: &str) -> Self {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        Self {
            switches: pairs
                .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
                .collect(),
        }
    }

    fn is_set(&self, name: &str, wanted: &str) -> bool {
        let last = self.switches.iter().rev().find(|(known, _)| known == name);
        last.is_some_and(|(_, value)| value == wanted)
    }

    /// The switch that lifts a fault of this cause, if it is set and the evidence is of its kind.
    fn lifting(&self, cause: &str, evidence: &str) -> Option<&'static str> {
        let switches = [
            ("tls-no-shared-cipher", "tlsrsakex", "1", "RSA"),
            ("tls-hello-too-large", "tlsmlkem", "0", ""),
            (
                "tls-bad-certificate",
                "x509negativeserial",
                "1",
                "negative serial",
            ),
        ];
        switches
            .into_iter()
            .find(|(known, name, value, mark)| {
                *known == cause && self.is_set(name, value) && evidence.contains(mark)
            })
            .map(|(_, name, ..)| name)
    }

    /// The report as it is for a go with these switches: what one of them lifts is no fault of theirs, though
    /// what would come behind it was not seen.
    pub(super) fn applied(&self, mut report: Report) -> Report {
        let Some(first) = report.findings.first() else {
            return report;
        };
        let lines = first.evidence.iter().map(|evidence| evidence.text.as_str());
        let evidence: Vec<&str> = lines.chain([report.clients.go.message.as_str()]).collect();
        let Some(switch) = self.lifting(first.cause, &evidence.join("\n")) else {
            return report;
        };
        report.findings.remove(0);
        report.verdict = Verdict::Healthy;
        report.clients.go = ClientVerdict::default();
        for stage in &mut report.stages {
            if stage.status == StageStatus::Failed {
                stage.status = StageStatus::Warning;
                stage.evidence.push(format!(
                    "GODEBUG={switch} lifts this for go; what comes behind it was not examined"
                ));
            }
        }
        report
    }
}
