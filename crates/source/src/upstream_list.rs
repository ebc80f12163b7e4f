//! How the upstreams of a server are, for those who show it: metrics, `/-/upstreams`, `larder trace`.

use std::sync::Arc;

use crate::breaker::BreakerState;
use crate::group::{Group, GroupMode, HealthReport};
use crate::upstream::Upstream;
use crate::vitals::Vitals;
use crate::{Source as _, SourceName};

/// The upstreams of a server in the order in which they are asked. Empty for one that is offline.
#[derive(Clone, Default)]
pub struct UpstreamList(Vec<Listed>);

#[derive(Clone)]
pub(crate) enum Listed {
    Alone(Arc<Upstream>),
    Group(Arc<Group>),
    /// A folder or `direct`, of which nothing is measured.
    Unmeasured(SourceName),
}

/// An entry of the list, as it is now.
#[derive(Clone, Debug)]
pub enum EntryReport {
    /// One that is asked by itself.
    Alone(UpstreamReport),
    /// Several that are asked as one.
    Group {
        /// How.
        mode: GroupMode,
        /// Requests beside a question's own that the group may make now.
        extra_requests_left: f64,
        /// In the order of the settings.
        members: Vec<UpstreamReport>,
    },
}

/// An upstream, as it is now.
#[derive(Clone, Debug)]
pub struct UpstreamReport {
    /// Its URL without a password, or `direct`.
    pub name: SourceName,
    /// Whether it is taken to be down; `None` for a folder and `direct`, which are always asked.
    pub breaker: Option<BreakerState>,
    /// What it was like lately, where that is measured.
    pub vitals: Option<Vitals>,
    /// How it stands in its group, where it has one.
    pub health: Option<HealthReport>,
}

impl UpstreamList {
    pub(crate) fn new(entries: Vec<Listed>) -> Self {
        Self(entries)
    }

    /// How all of them are.
    pub fn report(&self) -> Vec<EntryReport> {
        self.0.iter().map(Listed::report).collect()
    }
}

impl Listed {
    fn report(&self) -> EntryReport {
        match self {
            Self::Group(group) => group.report(),
            Self::Alone(upstream) => EntryReport::Alone(UpstreamReport {
                name: upstream.name(),
                breaker: Some(upstream.breaker().state()),
                vitals: Some(upstream.vitals()),
                health: None,
            }),
            Self::Unmeasured(name) => EntryReport::Alone(UpstreamReport {
                name: name.clone(),
                breaker: None,
                vitals: None,
                health: None,
            }),
        }
    }
}

impl EntryReport {
    /// The upstreams of the entry.
    pub fn members(&self) -> &[UpstreamReport] {
        match self {
            Self::Alone(upstream) => std::slice::from_ref(upstream),
            Self::Group { members, .. } => members,
        }
    }
}
