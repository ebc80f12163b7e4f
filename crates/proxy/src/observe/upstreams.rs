//! How the upstreams are, as `/-/upstreams` says it and `larder trace` reads it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use source::{EntryReport, UpstreamReport};

/// The body of `/-/upstreams`. What a later Larder adds is passed over by an earlier one, and the other way round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UpstreamsDocument {
    /// In the order in which they are asked.
    pub upstreams: Vec<EntryDocument>,
}

/// An entry of the list of upstreams.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EntryDocument {
    /// `hedge` or `race` for a group.
    pub mode: Option<String>,
    /// Requests beside a question's own that a group may make now.
    pub extra_requests_left: Option<f64>,
    /// One, or those of the group.
    pub members: Vec<MemberDocument>,
}

/// An upstream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemberDocument {
    /// Its URL without a password, or `direct`.
    pub upstream: String,
    /// `well`, `ill` or `mistrusted`, in a group.
    pub condition: Option<String>,
    /// `closed`, `open` or `half-open`; nothing for a folder and `direct`.
    pub breaker: Option<String>,
    /// Weighted mean of the times to the first byte; nothing before the first question.
    pub first_byte_mean_ms: Option<f64>,
    /// Weighted share of the questions that were not answered, from 0 to 1.
    pub error_rate: Option<f64>,
    /// 95th percentile of the last times to the first byte of a file, in a group that has brought some.
    pub first_byte_p95_ms: Option<f64>,
    /// 95th percentile of the last times that 64 KiB of a file took, in a group that has brought some.
    pub progress_p95_ms: Option<f64>,
    /// Files that the verifier refused, in a group.
    pub refused_files: Option<u64>,
}

impl From<&[EntryReport]> for UpstreamsDocument {
    fn from(entries: &[EntryReport]) -> Self {
        Self {
            upstreams: entries.iter().map(EntryDocument::from).collect(),
        }
    }
}

impl From<&EntryReport> for EntryDocument {
    fn from(entry: &EntryReport) -> Self {
        let (mode, extra_requests_left) = match entry {
            EntryReport::Alone(_) => (None, None),
            EntryReport::Group {
                mode,
                extra_requests_left,
                ..
            } => (Some(mode.name().to_owned()), Some(*extra_requests_left)),
        };
        Self {
            mode,
            extra_requests_left,
            members: entry.members().iter().map(MemberDocument::from).collect(),
        }
    }
}

impl From<&UpstreamReport> for MemberDocument {
    fn from(upstream: &UpstreamReport) -> Self {
        let (vitals, health) = (upstream.vitals, upstream.health);
        Self {
            upstream: upstream.name.to_string(),
            condition: health.map(|health| health.condition.name().to_owned()),
            breaker: upstream.breaker.map(|breaker| breaker.name().to_owned()),
            first_byte_mean_ms: vitals
                .and_then(|vitals| vitals.mean_first_byte)
                .map(milliseconds),
            error_rate: vitals.map(|vitals| (vitals.error_rate * 1000.0).round() / 1000.0),
            first_byte_p95_ms: health.and_then(|health| known(health.first_byte_p95)),
            progress_p95_ms: health.and_then(|health| known(health.progress_p95)),
            refused_files: health.map(|health| health.refused_files),
        }
    }
}

/// Nothing took no time: zero stands for what was not measured yet.
fn known(time: Duration) -> Option<f64> {
    (!time.is_zero()).then(|| milliseconds(time))
}

/// In hundredths.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}
