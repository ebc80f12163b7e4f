//! The checksum database's client.
use async_trait::async_trait;
use bytes::Bytes;
use gomod::{GoModHash, ModuleVersion, SumdbRequest, ZipHash};
use std::time::Duration;

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
}

/// A database's data on its way to a client.
#[derive(Clone, Debug)]
pub struct Mirrored {
    /// The bytes.
    pub body: Bytes,
    /// How long any cache may keep them.
    pub max_age: Duration,
    /// True where nothing had to be fetched.
    pub kept: bool,
}

/// The database's data, for clients: `/sumdb/NAME/…`.
pub struct SumdbMirror {}

impl SumdbMirror {
    /// The database's name.
    pub fn name(&self) -> &str {
        todo!()
    }
    /// Answers one request.
    pub async fn answer(&self, request: &SumdbRequest) -> Result<Mirrored, ChecksumError> {
        let _ = request;
        todo!()
    }
}
