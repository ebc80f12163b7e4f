//! What is wrong with a connection.
//!
//! Used by `larder doctor` and by whoever wants to turn a failed dial into a finding. Data out, nothing
//! printed, and no knowledge of modules: a target is a URL. Causes, confidence and cures are those of
//! [`diagnosis`], so that a log and a probe speak of the same things.
//!
//! [`diagnose()`] does all of it, in stages. [`certificate`] reads what a server sent, [`verify`] gives the verdict that Go would give on it with
//! Go's own words, [`trust`] reads the roots that Go would trust.

#![warn(missing_docs)]

pub mod certificate;
mod chain;
mod clients;
mod connect;
mod der;
mod diagnose;
pub mod dns;
mod finding;
pub mod flight;
mod forward_proxy;
mod go_debug;
mod handshake;
mod hello;
mod http;
mod issuers;
mod options;
mod probe;
mod protocol;
mod reach;
mod report;
mod target;
pub mod trust;
pub mod verify;

pub use diagnose::{KeptConnection, diagnose, diagnose_over};
pub use forward_proxy::{ForwardProxy, ForwardProxyError, ProxyKind};
pub use go_debug::GoDebug;
pub use options::{Expects, FetchIssuers, Options, Reach, Resolvers, Timeouts, public_roots};
pub use report::{
    Answer, ChainRepair, ClientVerdict, Clients, Handshake, Report, SentCertificate, Stage,
    StageName, StageStatus, Verdict,
};
pub use target::{Scheme, Target, TargetError};
