//! Told of each finished question, for metrics. A module path never passes here.

use std::time::Duration;

use crate::{SourceErrorKind, SourceName};

/// Counts what upstreams do.
pub trait UpstreamObserver: Send + Sync {
    /// One question to `upstream` is over: retries included, with the bytes that came and the time since
    /// it was asked, the wait for its turn included. `outcome` is `Err` with the kind of the failure.
    fn finished(
        &self,
        upstream: &SourceName,
        outcome: Result<(), SourceErrorKind>,
        bytes: u64,
        elapsed: Duration,
    );

    /// Something that only a group does happened to one of its members.
    fn group_event(&self, _upstream: &SourceName, _event: GroupEvent) {}
}

/// What a group does with a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupEvent {
    /// It was asked beside one that was slower than usual.
    HedgeStarted,
    /// So it was, and it was done first.
    HedgeWon,
    /// So it was, and another was done first.
    HedgeCancelled,
    /// It was asked because another failed, fell silent, or said that there is no such thing.
    Failover,
    /// It is ill, and was asked beside a healthy one to see whether it is back.
    Probe,
    /// The verifier refused a file of it.
    FileRefused,
}

impl GroupEvent {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::HedgeStarted,
        Self::HedgeWon,
        Self::HedgeCancelled,
        Self::Failover,
        Self::Probe,
        Self::FileRefused,
    ];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::HedgeStarted => "hedge-started",
            Self::HedgeWon => "hedge-won",
            Self::HedgeCancelled => "hedge-cancelled",
            Self::Failover => "failover",
            Self::Probe => "probe",
            Self::FileRefused => "file-refused",
        }
    }
}

/// Counts nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoObserver;

impl UpstreamObserver for NoObserver {
    fn finished(&self, _: &SourceName, _: Result<(), SourceErrorKind>, _: u64, _: Duration) {}
}
