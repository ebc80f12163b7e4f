//! Bytes on disk or in memory, not yet trusted.
use crate::{Body, FileKey, StoreError};
use bytes::Bytes;
use gomod::Sha256;

/// `DIR/staging`: one random folder a fill that outgrew memory, locked while alive; what a dead
/// process left is swept in the background.
#[derive(Debug)]
pub struct Staging {}

impl Staging {
    /// Opens the folder. `memory_file_bytes`: up to this size a file is staged in memory (8 MiB);
    /// `memory_total_bytes`: bound over all fills, past which files go to disk from the first byte.
    pub fn open(
        dir: &std::path::Path,
        memory_file_bytes: u64,
        memory_total_bytes: u64,
    ) -> Result<Self, StoreError> {
        let _ = (dir, memory_file_bytes, memory_total_bytes);
        todo!()
    }
    /// Begins a file that came from `source`.
    pub fn begin(&self, key: FileKey) -> StagingFile {
        let _ = key;
        todo!()
    }
}

/// A file that is being staged: written by one fill, read by its followers while it grows.
#[derive(Debug)]
pub struct StagingFile {}

impl StagingFile {
    /// Voids what was written; the next byte is byte 0. Once [`Self::release`] was told of a prefix,
    /// rewritten bytes must equal it: another source may serve other bytes for the same module.
    pub fn restart(&mut self) -> Result<(), StoreError> {
        todo!()
    }
    /// Appends. Blocking file IO happens inside, off the reactor. `StoreError::Differs` where a byte
    /// differs from what was released before a restart.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        let _ = chunk;
        todo!()
    }
    /// Bytes written since the last restart.
    pub fn len_bytes(&self) -> u64 {
        todo!()
    }
    /// Marks the first `bytes` as handed to clients, and gives the open file to read them from; `None` while it is in memory.
    pub fn release(&mut self, bytes: u64) -> Option<std::sync::Arc<std::fs::File>> {
        let _ = bytes;
        todo!()
    }
    /// Moves a file that is in memory to disk, so that it can be released while it grows.
    pub async fn spill(&mut self) -> Result<(), StoreError> {
        todo!()
    }
    /// The complete file, from `source` (a name without credentials).
    pub async fn finish(self, source: String) -> Result<Staged, StoreError> {
        let _ = source;
        todo!()
    }
}

/// A complete file, not yet trusted.
#[derive(Debug)]
pub struct Staged {}

impl Staged {
    /// Whose file it is meant to be.
    pub fn key(&self) -> &FileKey {
        todo!()
    }
    /// Where it came from.
    pub fn source(&self) -> &str {
        todo!()
    }
    /// Its bytes.
    pub fn body(&self) -> Body {
        todo!()
    }
    /// Their number.
    pub fn len_bytes(&self) -> u64 {
        todo!()
    }
    /// Their SHA-256, computed while they were written.
    pub fn sha256(&self) -> Sha256 {
        todo!()
    }
}
