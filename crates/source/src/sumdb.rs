//! The checksum database's client, and the same data for clients of ours (rules 65 to 71).
//!
//! [`Database`] is what the verifier asks: it fetches lookups and tiles through a [`SumdbTransport`],
//! believes nothing that does not lead to a signed tree head on the one timeline that it knows, and
//! keeps what it proved in a [`SumdbState`]. [`SumdbMirror`] serves the same data to go commands.
//! Whether a module's name may be said to a database is decided before anyone comes here
//! ([`privacy`](crate::privacy)); what is done about a wrong hash, behind.

mod behind;
mod database;
mod mirror;
mod state;
mod transport;

pub use database::Database;
pub use mirror::{Mirrored, SumdbMirror};
pub use state::{MemoryState, StateError, SumdbState, Swapped};
pub use transport::{ChosenTransport, MAX_ANSWER_BYTES, SumdbHttp, SumdbTransport, TransportError};

use async_trait::async_trait;
use gomod::{GoModHash, ModuleVersion, ZipHash};

/// What a database says of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksums {
    /// The zip's, where it names one.
    pub zip: Option<ZipHash>,
    /// The go.mod's, where it names one.
    pub go_mod: Option<GoModHash>,
    /// The database's name.
    pub database: String,
}

/// Why a database gave no checksums.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChecksumError {
    /// It was reached and does not know the version (404 or 410).
    #[error("{database} does not know {module}: {text}")]
    Unknown {
        /// Its name.
        database: String,
        /// `path@version`.
        module: String,
        /// What it said.
        text: String,
    },
    /// It could not be reached, or answered nonsense without a signature.
    #[error("{0}")]
    Unavailable(String),
    /// It contradicts itself: fork, rollback, bad signature, bad proof. The text is Go's, both notes included.
    #[error("{0}")]
    Misbehaves(String),
}

/// One that vouches for hashes.
#[async_trait]
pub trait ChecksumSource: Send + Sync {
    /// The hashes of a version, proven to be in the log.
    async fn lookup(&self, module: &ModuleVersion) -> Result<Checksums, ChecksumError>;
    /// Its name.
    fn name(&self) -> &str;
    /// Waits until what the lookups so far brought is kept, so that a later process need not ask again.
    async fn settled(&self);
}

#[cfg(test)]
mod tests;
