//! The checksum database's data on disk: full tiles and lookups for ever, and the signed tree head.
use crate::StoreError;

/// `DIR/state/sumdb/NAME`.
#[derive(Debug)]
pub struct SumdbFiles {}

/// What became of [`SumdbFiles::swap_head`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swapped {
    /// The new head is stored.
    Stored,
    /// Another process was first: this is what is stored now.
    Changed(Vec<u8>),
}

impl SumdbFiles {
    /// Opens or creates the folder of the database `name` (`sum.golang.org`, `host/path`).
    pub fn open(dir: &std::path::Path, name: &str) -> Result<Self, StoreError> {
        let _ = (dir, name);
        todo!()
    }
    /// A tile or lookup by its protocol path (`tile/8/0/003`, `lookup/rsc.io/quote@v1.5.2`).
    pub fn read(&self, file: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let _ = file;
        todo!()
    }
    /// Keeps a tile or lookup (atomic).
    pub fn write(&self, file: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let _ = (file, bytes);
        todo!()
    }
    /// The signed tree head; empty where there is none yet.
    pub fn head(&self) -> Result<Vec<u8>, StoreError> {
        todo!()
    }
    /// Compare-and-swap of the tree head, between processes too; durable.
    pub fn swap_head(&self, old: &[u8], new: &[u8]) -> Result<Swapped, StoreError> {
        let _ = (old, new);
        todo!()
    }
}
