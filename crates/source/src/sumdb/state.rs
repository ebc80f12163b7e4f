//! What the client keeps between runs.
use parking_lot::Mutex;
use std::collections::HashMap;

/// The files of one database: tiles and lookups by their protocol path, and the signed tree head.
///
/// The methods may block but for [`SumdbState::read_at_once`]; they are called on threads that are meant for it.
pub trait SumdbState: Send + Sync {
    /// A file by its name: `tile/8/0/003`, `lookup/rsc.io/quote@v1.5.2`.
    fn read(&self, file: &str) -> Result<Option<Vec<u8>>, StateError>;
    /// As [`Self::read`], where it needs no wait; `None` where it may. Does not block.
    fn read_at_once(&self, file: &str) -> Option<Result<Option<Vec<u8>>, StateError>>;
    /// Keeps a file: whole or not at all.
    fn write(&self, file: &str, bytes: &[u8]) -> Result<(), StateError>;
    /// The signed tree head; empty where there is none yet.
    fn head(&self) -> Result<Vec<u8>, StateError>;
    /// Replaces the tree head if it still is `old`; durable, and atomic between processes too.
    fn swap_head(&self, old: &[u8], new: &[u8]) -> Result<Swapped, StateError>;
}

/// What became of [`SumdbState::swap_head`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swapped {
    /// The new head is stored.
    Stored,
    /// Someone was first: this is what is stored now.
    Changed(Vec<u8>),
}

/// Why the state could not be read or written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct StateError(pub String);

/// A state that lives as long as the process.
#[derive(Debug, Default)]
pub struct MemoryState {
    files: Mutex<HashMap<String, Vec<u8>>>,
    head: Mutex<Vec<u8>>,
}

impl SumdbState for MemoryState {
    fn read(&self, file: &str) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.files.lock().get(file).cloned())
    }
    fn read_at_once(&self, file: &str) -> Option<Result<Option<Vec<u8>>, StateError>> {
        Some(self.read(file))
    }
    fn write(&self, file: &str, bytes: &[u8]) -> Result<(), StateError> {
        self.files.lock().insert(file.to_owned(), bytes.to_vec());
        Ok(())
    }
    fn head(&self) -> Result<Vec<u8>, StateError> {
        Ok(self.head.lock().clone())
    }
    fn swap_head(&self, old: &[u8], new: &[u8]) -> Result<Swapped, StateError> {
        let mut head = self.head.lock();
        if *head != old {
            return Ok(Swapped::Changed(head.clone()));
        }
        *head = new.to_vec();
        Ok(Swapped::Stored)
    }
}
