//! What operators see: one access-log line and one metric a request, and counters of what happens
//! behind. Metrics never carry a module path; the access log may, it is the operator's own.

mod access_log;
mod described;
mod exchange;
mod metrics;
mod refreshes;
mod upstreams;

pub use access_log::{AccessLog, LogFormat};
pub use described::{Described, described};
pub use exchange::{Asked, Exchange, Outcome, RequestKind};
pub use metrics::Metrics;
pub use refreshes::{RefreshOutcome, RefreshedBy};
pub use upstreams::{EntryDocument, MemberDocument, UpstreamsDocument};
