//! Why a request has no answer. Knows no HTTP: `serve/error.rs` maps it to a status.

use std::sync::Arc;
use std::time::Duration;

use gomod::{ModuleVersion, ParseError};
use source::{SourceError, sumdb::ChecksumError};
use store::{StoreError, VerifyError};

use crate::policy::Reason;

/// Why a request has no answer. Cheap to clone: every follower of a dead flight gets one.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The request is not one of the protocol's.
    #[error(transparent)]
    Malformed(Arc<ParseError>),
    /// Policy or access refuses it.
    #[error("{what} is refused: {}", reason.text)]
    Denied {
        /// The module version, as the developer named it.
        what: String,
        /// Why, and what to do.
        reason: Reason,
    },
    /// A private or exempt name was asked of a checksum database.
    #[error("{0} is private or exempt, so no checksum database is asked about it")]
    PrivateAtSumdb(ModuleVersion),
    /// No database of that name is served here.
    #[error("the checksum database `{0}` is not served here")]
    UnknownDatabase(String),
    /// The checksum database did not answer, on a request for its own data.
    #[error(transparent)]
    Checksum(Arc<ChecksumError>),
    /// Not in the store, and the client forbade fetching.
    #[error("{0} is not stored here, and the request forbids fetching it")]
    NotStored(String),
    /// Not in the store, and the server may not fetch.
    #[error("{what} is not stored here, and this server is offline")]
    Offline {
        /// What was asked.
        what: String,
        /// A stored module that the path lies below: then this path is no module of its own.
        below: Option<gomod::ModulePath>,
    },
    /// The sources did not bring it.
    #[error(transparent)]
    Source(Arc<SourceError>),
    /// It came and was not accepted.
    #[error("{module}: {error}")]
    Unverified {
        /// Whose file.
        module: ModuleVersion,
        /// Who sent it.
        source_name: String,
        /// Why it was not accepted.
        error: Arc<VerifyError>,
    },
    /// It comes from another commit than what was stored of the version first.
    #[error(
        "{module}: {source_name} has it at commit {now} now, and its .info here is of commit {first}"
    )]
    MovedTag {
        /// Whose file.
        module: ModuleVersion,
        /// The repository.
        source_name: String,
        /// The commit that the stored `.info` names.
        first: String,
        /// The commit that the file would be of.
        now: String,
    },
    /// Our store failed.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// Too much is waiting already.
    #[error("too many requests are waiting")]
    Overloaded {
        /// When to come back.
        retry_after: Duration,
    },
    /// The request has passed through this very server.
    #[error("the request came back to this very server")]
    Loop,
    /// A fault of ours: the fill died without a word.
    #[error("{0}")]
    Internal(String),
}

impl Failure {
    pub(crate) fn store(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
    pub(crate) fn source(error: SourceError) -> Self {
        Self::Source(Arc::new(error))
    }
    pub(crate) fn denied(module: &ModuleVersion, reason: Reason) -> Self {
        Self::Denied {
            what: module.to_string(),
            reason,
        }
    }
    /// What its texts weigh in memory, about.
    pub(crate) fn text_bytes(&self) -> u64 {
        let bytes = match self {
            Self::Source(error) => {
                let failure = &error.0;
                let notes: usize = failure.notes.iter().map(String::len).sum();
                failure.text.len()
                    + failure.url.as_ref().map_or(0, String::len)
                    + failure.upstream_text.as_ref().map_or(0, String::len)
                    + notes
            }
            Self::Unverified { error, .. } => error.to_string().len(),
            Self::MovedTag { source_name, .. } => source_name.len() + 128,
            _ => 0,
        };
        bytes as u64
    }
    /// True for proven absence.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Source(error) if error.is_absence())
    }
}
