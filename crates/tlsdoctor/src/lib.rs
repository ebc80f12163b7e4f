//! What is wrong with a connection.
//!
//! Used by `larder doctor` and by whoever wants to turn a failed dial into a finding. Data out, nothing
//! printed, and no knowledge of modules: a target is a URL. Causes, confidence and cures are those of
//! [`diagnosis`], so that a log and a probe speak of the same things.
//!
//! [`certificate`] reads what a server sent, [`verify`] gives the verdict that Go would give on it with
//! Go's own words, [`trust`] reads the roots that Go would trust.

#![warn(missing_docs)]

pub mod certificate;
mod der;
mod forward_proxy;
mod options;
mod report;
mod target;
pub mod trust;
pub mod verify;

pub use forward_proxy::{ForwardProxy, ForwardProxyError, ProxyKind};
pub use options::{Expects, FetchIssuers, Options, Resolvers, Timeouts};
pub use report::{
    Answer, ChainRepair, ClientVerdict, Clients, Handshake, Report, SentCertificate, Stage,
    StageName, StageStatus, Verdict,
};
pub use target::{Scheme, Target, TargetError};
