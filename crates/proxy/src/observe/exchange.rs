//! One request and its answer, as log and metrics see them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::{AccessLog, Metrics};
use crate::failure::Failure;

/// What was asked, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// `@v/list`.
    List,
    /// `@latest`.
    Latest,
    /// A canonical `.info`.
    Info,
    /// A `.mod`.
    Mod,
    /// A `.zip`.
    Zip,
    /// The `.info` of a revision name.
    Resolve,
    /// `/sumdb/…`.
    Sumdb,
    /// `/-/…`.
    Operations,
    /// Not a request of the protocol.
    Malformed,
}

impl RequestKind {
    /// Every kind, in the order above.
    pub const ALL: [Self; 9] = [
        Self::List,
        Self::Latest,
        Self::Info,
        Self::Mod,
        Self::Zip,
        Self::Resolve,
        Self::Sumdb,
        Self::Operations,
        Self::Malformed,
    ];

    /// Its name in labels and log lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Latest => "latest",
            Self::Info => "info",
            Self::Mod => "mod",
            Self::Zip => "zip",
            Self::Resolve => "resolve",
            Self::Sumdb => "sumdb",
            Self::Operations => "operations",
            Self::Malformed => "malformed",
        }
    }
}

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// From memory.
    HitMemory,
    /// From the folder.
    HitDisk,
    /// Fetched for this request.
    Filled,
    /// Fetched for another request that was there first.
    Joined,
    /// An older answer, because upstream is down.
    Stale,
    /// Computed from the store.
    Computed,
    /// Refused by the gate.
    Denied,
    /// Proven absent.
    Absent,
    /// Neither.
    Failed,
    /// Answered by the server itself.
    Own,
}

impl Outcome {
    /// Every outcome, in the order above.
    pub const ALL: [Self; 10] = [
        Self::HitMemory,
        Self::HitDisk,
        Self::Filled,
        Self::Joined,
        Self::Stale,
        Self::Computed,
        Self::Denied,
        Self::Absent,
        Self::Failed,
        Self::Own,
    ];

    /// Its name in labels, log lines and the `X-Larder-Cache` header.
    pub fn name(self) -> &'static str {
        match self {
            Self::HitMemory => "hit/memory",
            Self::HitDisk => "hit/disk",
            Self::Filled => "filled",
            Self::Joined => "joined",
            Self::Stale => "stale",
            Self::Computed => "computed",
            Self::Denied => "denied",
            Self::Absent => "absent",
            Self::Failed => "failed",
            Self::Own => "own",
        }
    }
}

/// What a request says of itself.
pub struct Asked<'request> {
    /// GET, most often.
    pub method: http::Method,
    /// The path of its target.
    pub path: &'request str,
    /// The protocol that it came by.
    pub version: http::Version,
}

/// What is logged and counted of one request; closed when its answer's body is dropped.
pub struct Exchange {
    log: Arc<AccessLog>,
    metrics: Arc<Metrics>,
    /// When the request's head had been read.
    pub(super) started: Instant,
    pub(super) peer: Option<SocketAddr>,
    pub(super) method: http::Method,
    pub(super) target: String,
    pub(super) protocol: http::Version,
    pub(super) kind: RequestKind,
    pub(super) outcome: Outcome,
    pub(super) status: u16,
    pub(super) source: Option<Arc<str>>,
    pub(super) sent_bytes: u64,
    pub(super) error: Option<String>,
}

impl Exchange {
    /// Opens the record of a request.
    pub fn open(
        log: Arc<AccessLog>,
        metrics: Arc<Metrics>,
        peer: Option<SocketAddr>,
        request: &Asked<'_>,
    ) -> Self {
        // The target is only rendered where a log line will name it.
        let target = if log.is_on() {
            request.path.to_owned()
        } else {
            String::new()
        };
        Self {
            log,
            metrics,
            started: Instant::now(),
            peer,
            method: request.method.clone(),
            target,
            protocol: request.version,
            kind: RequestKind::Malformed,
            outcome: Outcome::Failed,
            status: 0,
            source: None,
            sent_bytes: 0,
            error: None,
        }
    }
    /// What was asked.
    pub fn asked(&mut self, kind: RequestKind) {
        self.kind = kind;
    }
    /// How it was answered.
    pub fn answered(
        &mut self,
        status: http::StatusCode,
        outcome: Outcome,
        source: Option<Arc<str>>,
    ) {
        self.status = status.as_u16();
        self.outcome = outcome;
        self.source = source;
    }
    /// Why it failed.
    pub fn failed(&mut self, failure: &Failure) {
        self.error = Some(failure.to_string());
    }
    /// More of the body went out.
    pub fn sent(&mut self, bytes: u64) {
        self.sent_bytes += bytes;
    }
    /// The body could not be finished.
    pub fn broke_off(&mut self, failure: &Failure) {
        self.outcome = Outcome::Failed;
        self.failed(failure);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let elapsed = self.started.elapsed();
        self.metrics.request(
            self.kind,
            self.outcome,
            self.status,
            self.sent_bytes,
            elapsed,
        );
        self.log.write(self, elapsed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_by_kind_and_outcome_are_in_order() {
        for (at, kind) in RequestKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at, "{kind:?}");
        }
        for (at, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, at, "{outcome:?}");
        }
    }
}
