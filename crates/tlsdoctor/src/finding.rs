//! Findings of the catalogue, with what was seen as evidence.

use diagnosis::{Confidence, Evidence, Finding, Subject};

/// What a judgement comes to.
#[derive(Clone, Debug)]
pub(crate) struct Judgement {
    pub(crate) cause: &'static str,
    pub(crate) confidence: Confidence,
    pub(crate) also: Vec<&'static str>,
    pub(crate) evidence: Vec<String>,
}

impl Judgement {
    pub(crate) fn certain(cause: &'static str, evidence: impl Into<String>) -> Self {
        Self {
            cause,
            confidence: Confidence::Certain,
            also: Vec::new(),
            evidence: vec![evidence.into()],
        }
    }

    pub(crate) fn likely(
        cause: &'static str,
        also: &[&'static str],
        evidence: impl Into<String>,
    ) -> Self {
        Self {
            confidence: Confidence::Likely,
            also: also.to_vec(),
            ..Self::certain(cause, evidence)
        }
    }

    pub(crate) fn and(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }

    /// The finding; `None` only if the catalogue lacks the cause, which a test rules out.
    pub(crate) fn finding(self, host: &str) -> Option<Finding> {
        let entry = diagnosis::cause::find(self.cause)?;
        Some(Finding {
            cause: self.cause,
            confidence: self.confidence,
            also_possible: self.also,
            whose: entry.whose,
            subject: Subject {
                host: Some(host.to_owned()),
                ..Subject::default()
            },
            evidence: self
                .evidence
                .into_iter()
                .map(|text| Evidence { line: None, text })
                .collect(),
            cures: entry
                .cures
                .iter()
                .flat_map(|cures| cures.iter())
                .copied()
                .collect(),
            settle: None,
        })
    }
}
