use crate::VerifiedBy;
use gomod::{GoModHash, Sha256, ZipHash};

/// What is remembered of a version for ever; it outlives eviction and deletion. The hashes here are
/// what any later fetch is held to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The `h1:` of its zip, once one was accepted.
    pub zip_hash: Option<ZipHash>,
    /// The `h1:` of its go.mod, once one was accepted.
    pub go_mod_hash: Option<GoModHash>,
    /// The `.info` that was stored, if one was.
    pub info: Option<FileRecord>,
    /// The `.mod` that was stored, if one was.
    pub go_mod: Option<FileRecord>,
    /// The `.zip` that was stored, if one was.
    pub zip: Option<FileRecord>,
}

/// What is remembered of one stored file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRecord {
    /// SHA-256 of its bytes.
    pub sha256: Sha256,
    /// Number of bytes.
    pub len_bytes: u64,
    /// When it was committed.
    pub stored_at: jiff::Timestamp,
    /// Who vouched for it.
    pub verified_by: VerifiedBy,
    /// Where it came from: the source's name, without credentials.
    pub source: String,
}
