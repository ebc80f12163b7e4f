//! The commands. Each reads its settings, does one thing, and says how it ended.

pub(crate) mod auth;
pub(crate) mod cache;
pub(crate) mod compare;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod env;
pub(crate) mod exec;
pub(crate) mod explain;
pub(crate) mod serve;
pub(crate) mod trace;

use crate::settings::complaint::Complaint;
use crate::settings::environment::Environment;
use crate::settings::resolve::{Resolved, resolve};
use crate::settings::written::{Purpose, Written};
use tokio::signal::unix::{SignalKind, signal};

/// How a command ended, as its exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 0.
    Fine,
    /// 1: it found something wrong, or met it.
    FoundFault,
    /// 2: it was used wrongly, settings included.
    UsedWrongly,
    /// The status of the command that `larder exec` ran.
    Status(u8),
}

impl From<Outcome> for std::process::ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Fine => Self::SUCCESS,
            Outcome::FoundFault => Self::from(1),
            Outcome::UsedWrongly => Self::from(2),
            Outcome::Status(status) => Self::from(status),
        }
    }
}

/// Reads and resolves the settings of a server.
fn settings(
    flags: &[(&'static str, String)],
    environment: &Environment,
    purpose: Purpose,
) -> Result<Resolved, Vec<Complaint>> {
    resolve(&Written::collect(flags, environment, purpose), environment)
}

/// Resolves at the first SIGTERM or SIGINT after this call.
fn stop_signal() -> Result<impl Future<Output = ()>, Complaint> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Complaint::from_error)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Complaint::from_error)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
