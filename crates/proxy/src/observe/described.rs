//! The metrics as their reference page lists them. Asked by `larder` when it writes its references.

use std::time::Duration;

use source::{
    BreakerState, Condition, EntryReport, GitObserver, GroupEvent, GroupMode, HealthReport,
    ProcessKind, UpstreamObserver, UpstreamReport, Vitals,
};
use store::VerifiedBy;
use store::eviction::Reason;

use super::{Metrics, Outcome, RefreshOutcome, RefreshedBy, RequestKind};

/// One metric, as it stands at `/-/metrics`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// Its name without the suffix of its samples: `larder_requests`.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// What it counts, in one sentence.
    pub help: String,
    /// The names of its labels.
    pub labels: Vec<String>,
}

/// Every metric, sorted by name; read from the exposition of a server that has seen one of everything.
pub fn described() -> Vec<Described> {
    let metrics = Metrics::new();
    // A family without a sample is not exposed.
    metrics.request(RequestKind::List, Outcome::Own, 200, 0, Duration::ZERO);
    metrics.verified(&VerifiedBy::Shape);
    metrics.prefetched(true, 0);
    metrics.finished(&"upstream".into(), Ok(()), 0, Duration::ZERO);
    metrics.group_event(&"upstream".into(), GroupEvent::Failover);
    let member = UpstreamReport {
        name: "upstream".into(),
        breaker: Some(BreakerState::Closed),
        vitals: Some(Vitals::default()),
        health: Some(HealthReport {
            condition: Condition::Well,
            vitals: Vitals::default(),
            first_byte_p95: Duration::ZERO,
            progress_p95: Duration::ZERO,
            refused_files: 0,
        }),
    };
    metrics.upstreams(&[EntryReport::Group {
        mode: GroupMode::Hedge,
        extra_requests_left: 0.0,
        members: vec![member],
    }]);
    metrics.eviction(Reason::CacheLimit, 0);
    metrics.refresh(RefreshedBy::Operator, RefreshOutcome::Done);
    metrics.process_finished(ProcessKind::Listing, Ok(()), Duration::ZERO);
    read(&metrics.render())
}

fn read(exposition: &str) -> Vec<Described> {
    let mut described: Vec<Described> = Vec::new();
    for line in exposition.lines() {
        if let Some((name, help)) = about(line, "HELP") {
            described.push(Described {
                name: name.into(),
                help: help.into(),
                ..Described::default()
            });
            continue;
        }
        let Some(current) = described.last_mut() else {
            continue;
        };
        if let Some((_, kind)) = about(line, "TYPE") {
            kind.clone_into(&mut current.kind);
        } else if !line.starts_with('#') && current.labels.is_empty() {
            current.labels = labels(line);
        }
    }
    described.sort_by(|one, other| one.name.cmp(&other.name));
    described
}

/// The name and the text of a line such as `# HELP larder_requests Requests by kind.`
fn about<'line>(line: &'line str, what: &str) -> Option<(&'line str, &'line str)> {
    line.strip_prefix("# ")?
        .strip_prefix(what)?
        .strip_prefix(' ')?
        .split_once(' ')
}

/// The names of a sample's labels; `le` belongs to every histogram.
fn labels(sample: &str) -> Vec<String> {
    let Some((_, rest)) = sample.split_once('{') else {
        return Vec::new();
    };
    let inside = rest.rsplit_once('}').map_or("", |(inside, _)| inside);
    inside
        .split(',')
        .filter_map(|pair| Some(pair.split_once('=')?.0))
        .filter(|name| *name != "le")
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_is_described_with_its_labels() {
        let described = described();
        let requests = described
            .iter()
            .find(|metric| metric.name == "larder_requests")
            .unwrap();
        assert_eq!(requests.kind, "counter");
        assert_eq!(requests.labels, ["kind", "cache", "status"]);
        for metric in &described {
            assert!(!metric.help.is_empty() && !metric.kind.is_empty());
            assert!(!metric.labels.iter().any(|label| label == "le"));
        }
        // As many as are registered: one that no event above brings out would be missing.
        let registered = include_str!("metrics.rs")
            .matches("registry.register")
            .count();
        assert_eq!(described.len(), registered);
    }
}
