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
}

/// Counts nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoObserver;

impl UpstreamObserver for NoObserver {
    fn finished(&self, _: &SourceName, _: Result<(), SourceErrorKind>, _: u64, _: Duration) {}
}
