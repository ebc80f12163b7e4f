//! Where verified module files rest.
//!
//! Bytes enter by one road only: [`staging::Staging`] collects them as [`Staged`], a [`Verifier`]
//! accepts them, and only the [`Verified`] that results can be given to [`Store::commit`]. The crate
//! knows no HTTP and no git. Beside the files it keeps what is remembered of them: records, answers,
//! first-seen times, and the checksum database's data.

pub mod answers;
pub mod at_once;
pub mod check;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod disk;
mod error;
pub mod eviction;
pub mod first_seen;
mod folder;
mod key;
pub mod last_use;
mod layout;
pub mod memory;
mod moment;
pub mod pins;
pub mod quarantine;
mod record;
pub mod scrub;
mod sealed;
pub mod staging;
pub mod sumdb_files;
mod verify;
pub mod walk;

pub use error::StoreError;
pub use key::{FileKey, Namespace};
pub use record::{FileRecord, Record};
pub use staging::{Staged, Staging};
pub use verify::{Accepted, Verified, VerifiedBy, Verifier, VerifyError};

use async_trait::async_trait;
use bytes::Bytes;
use gomod::{FileKind, ModulePath, ModuleVersion, Sha256, Version};
use std::sync::Arc;

/// The bytes of a stored file. No paths leak out.
#[derive(Clone, Debug)]
pub enum Body {
    /// All of it, in memory.
    Bytes(Bytes),
    /// An immutable open file, read by offset; its name may be gone from the folder meanwhile.
    File(Arc<std::fs::File>),
}

/// The tier that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// The memory cache.
    Memory,
    /// The folder.
    Disk,
}

/// A stored file, opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Its bytes.
    pub body: Body,
    /// Their number.
    pub len_bytes: u64,
    /// Their SHA-256, which is the ETag.
    pub sha256: Sha256,
    /// Where they came from: the source's name, without credentials.
    pub source: Arc<str>,
    /// When they were committed.
    pub stored_at: jiff::Timestamp,
    /// Which tier answered.
    pub tier: Tier,
}

/// What became of a commit.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one is returned for each commit and none is kept"
)]
pub enum Committed {
    /// The file was not there and now is.
    Stored,
    /// The same file was there already (for a zip: the same `h1:`; the first bytes stay).
    Same,
    /// The record remembers another hash: nothing was written.
    Differs(Record),
}

/// Where verified files rest. One conformance suite (`store::conformance`, tests) for every implementation.
#[async_trait]
pub trait Store: Send + Sync {
    /// The file if it is at hand without waiting for IO.
    fn open_now(&self, key: &FileKey) -> Option<Opened> {
        let _ = key;
        None
    }
    /// The file, or `None` where it is not stored.
    async fn open(&self, key: &FileKey) -> Result<Option<Opened>, StoreError>;
    /// Stores a file if it is absent. When this returns, what is remembered of it outlives a loss of power, and
    /// the file either does or reads as absent.
    async fn commit(&self, file: Arc<Verified>) -> Result<Committed, StoreError>;
    /// What is remembered of a version, whether or not its files are still here.
    async fn record(
        &self,
        namespace: Namespace,
        module: &ModuleVersion,
    ) -> Result<Option<Record>, StoreError>;
    /// The versions whose three files are here, in Go's order.
    async fn versions(
        &self,
        namespace: Namespace,
        module_path: &ModulePath,
    ) -> Result<Vec<Version>, StoreError>;
    /// True if any file of any version of this very module is here.
    async fn knows(
        &self,
        namespace: Namespace,
        module_path: &ModulePath,
    ) -> Result<bool, StoreError>;
    /// Removes a file; its record stays as the tombstone. False where it was not stored.
    async fn delete(&self, key: &FileKey) -> Result<bool, StoreError>;
}

#[cfg(test)]
mod tests;

/// Every kind, in the order in which listings name them.
pub const FILE_KINDS: [FileKind; 3] = [FileKind::Info, FileKind::Mod, FileKind::Zip];
