//! The checksum database's data on disk: full tiles and lookups for ever, and the signed tree head.
//!
//! Used by the checksum-database client of `source`, which verifies what it reads here like what comes
//! over the network. All calls block on file IO but [`SumdbFiles::read_at_once`].

use crate::at_once::Access;
use crate::folder::{Durable, WorkFolder, create_folders, read_if_there};
use crate::sealed::{seal, unseal};
use crate::{StoreError, layout};
use fs_err as fs;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `DIR/state/sumdb/NAME`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SumdbFiles {
    dir: Arc<Path>,
    folder: Arc<Path>,
    work: Arc<WorkFolder>,
    /// How far the reactor may look by itself.
    at_once: Access,
}

/// What became of [`SumdbFiles::swap_head`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swapped {
    /// The new head is stored.
    Stored,
    /// Another process was first: this is what is stored now.
    Changed(Vec<u8>),
}

#[derive(Serialize, Deserialize)]
struct About {}

impl SumdbFiles {
    /// Opens or creates the folder of the database `name` (`sum.golang.org`, `host/path`) in the cache
    /// folder `dir`.
    pub fn open(dir: &Path, name: &str) -> Result<Self, StoreError> {
        // A name may hold slashes and must not nest: `host` and `host/path` are two databases.
        let folder = dir.join("state").join("sumdb").join(safe_element(name)?);
        let work = create_folders(&folder)
            .and_then(|()| create_folders(&layout::staging(dir)))
            .and_then(|()| WorkFolder::create(&layout::staging(dir)))
            .map_err(|error| StoreError::unusable(dir, &error))?;
        Ok(Self {
            dir: dir.into(),
            at_once: Access::on_the_reactor(&folder),
            folder: folder.into(),
            work,
        })
    }

    /// A tile or lookup by its protocol path (`tile/8/0/003`, `lookup/rsc.io/quote@v1.5.2`). One that a
    /// loss of power tore is absent.
    pub fn read(&self, file: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_by(file, Access::Patient)
    }

    /// As [`Self::read`], where it needs no wait for the disk; `None` where it does. Does not block.
    pub fn read_at_once(&self, file: &str) -> Option<Result<Option<Vec<u8>>, StoreError>> {
        match self.read_by(file, self.at_once) {
            Err(StoreError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => None,
            answer => Some(answer),
        }
    }

    fn read_by(&self, file: &str, access: Access) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(mut sealed) = access.read_if_there(&self.path(file)?)? else {
            return Ok(None);
        };
        Ok(unseal::<About>(&sealed).map(|(About {}, body_from)| sealed.split_off(body_from)))
    }

    /// Keeps a tile or lookup (atomic; not fsynced: it can be asked again).
    pub fn write(&self, file: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path(file)?;
        let sealed = seal(About {}, bytes)?;
        self.work
            .replace(&path, &sealed, Durable::No)
            .map_err(|error| StoreError::Io(error).in_folder(&self.dir))
    }

    /// The signed tree head; empty where there is none yet.
    pub fn head(&self) -> Result<Vec<u8>, StoreError> {
        Ok(read_if_there(&self.folder.join("head"))?.unwrap_or_default())
    }

    /// Compare-and-swap of the tree head, between processes too; durable.
    pub fn swap_head(&self, old: &[u8], new: &[u8]) -> Result<Swapped, StoreError> {
        let swap = || -> io::Result<Swapped> {
            let lock = fs::OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(self.folder.join("head.lock"))?;
            lock.file().lock()?;
            let path = self.folder.join("head");
            let there = read_if_there(&path)?.unwrap_or_default();
            if there != old {
                return Ok(Swapped::Changed(there));
            }
            self.work.replace(&path, new, Durable::Yes)?;
            Ok(Swapped::Stored)
        };
        swap().map_err(|error| StoreError::Io(error).in_folder(&self.dir))
    }

    /// The place of a tile or lookup, which cannot be outside of the folder.
    fn path(&self, file: &str) -> io::Result<PathBuf> {
        let kind = file.split('/').next();
        if !matches!(kind, Some("tile" | "lookup")) {
            return Err(refused(file));
        }
        let mut path = self.folder.to_path_buf();
        for element in file.split('/') {
            path.push(safe_element(element)?);
        }
        Ok(path)
    }
}

/// A file name for any text but the empty one and dots alone: what is not a lower-case letter, a digit
/// or one of `-_.@+!~` becomes `%` and two hex digits, so that no two names differ in case only.
fn safe_element(text: &str) -> io::Result<String> {
    if text.bytes().all(|byte| byte == b'.') {
        return Err(refused(text));
    }
    let mut safe = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'@' | b'+' | b'!' | b'~' => {
                safe.push(char::from(byte));
            }
            _ => {
                let _ = write!(safe, "%{byte:02x}");
            }
        }
    }
    Ok(safe)
}

fn refused(name: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{name:?} is no name of a checksum database or of one of its files"),
    )
}

#[cfg(test)]
mod tests;
