//! Reading a stored file again and holding it to its record.
//!
//! `larder cache verify` and the scrub call this. It decides nothing about what is damaged: see
//! [`crate::quarantine`] for what becomes of it.

use crate::disk::{DiskStore, FileIdentity};
use crate::{FileKey, FileRecord, Record, StoreError};
use aws_lc_rs::digest::{Context, SHA256};
use fs_err as fs;
use gomod::zip::{Limits, ReadAt, check_and_hash};
use gomod::{FileKind, GoModHash, H1, Sha256};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};

/// Bytes that are read at once; the budget of the scrub is spent in pieces of this size.
const PIECE_BYTES: usize = 256 << 10;
/// What reads past the page cache must be aligned to; no file system asks for more.
const ALIGNMENT_BYTES: usize = 4096;

/// How closely a file is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The SHA-256 of its bytes: that they are the bytes which were verified when they were stored.
    Bytes,
    /// The `h1:` of zips and go.mod files too, by the rules for a file that comes from upstream.
    Hashes,
}

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// As any program reads.
    Usual,
    /// From the medium and past the page cache, where the file system can: so that reading everything once
    /// pushes nothing out of memory, and sees what the medium holds now.
    PastTheCache,
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Going {
    /// Yes.
    On,
    /// Whoever asked wants no more of it.
    Stop,
}

/// What became of a check.
#[derive(Debug)]
pub enum Checked {
    /// The file is what its record says.
    Good(FileRecord),
    /// It is not.
    Damaged(Damaged),
    /// No record vouches for it; nobody is served it.
    Untrusted,
    /// It has no name any more.
    Gone,
    /// [`Going::Stop`] came before the end.
    Stopped,
}

/// A file that is not what its record says, or that cannot be read.
#[derive(Debug)]
pub struct Damaged {
    /// Which one.
    pub key: FileKey,
    /// In what it differs, in words.
    pub reason: String,
    /// Its size now.
    pub len_bytes: u64,
    /// What the record says of it.
    pub remembered: FileRecord,
    pub(crate) identity: FileIdentity,
}

impl DiskStore {
    /// Reads a file and holds it to its record. `pass` is told of every piece that was read, and may wait
    /// in between. Blocks.
    ///
    /// # Errors
    /// What says nothing about the file: no descriptor left, no permission, a record that does not read.
    pub fn check(
        &self,
        key: &FileKey,
        depth: Depth,
        reading: Reading,
        pass: &mut dyn FnMut(u64) -> Going,
    ) -> Result<Checked, StoreError> {
        let Some(file) = self.open_named(key)? else {
            return Ok(Checked::Gone);
        };
        let metadata = file.metadata()?;
        // After the file was opened: a record is written before the file that it vouches for has its name.
        let record = self.record_blocking(key.namespace, &key.module)?;
        let record = record.unwrap_or_default();
        let Some(remembered) = record.file(key.kind) else {
            return Ok(Checked::Untrusted);
        };
        let damaged = |reason| {
            Ok(Checked::Damaged(Damaged {
                key: key.clone(),
                reason,
                len_bytes: metadata.len(),
                remembered: remembered.clone(),
                identity: FileIdentity::of(&metadata),
            }))
        };
        if metadata.len() != remembered.len_bytes {
            return damaged(format!(
                "it has {} bytes, and {} were stored",
                metadata.len(),
                remembered.len_bytes
            ));
        }
        let sha256 = match self.digest(key, &file, metadata.len(), reading, pass) {
            Ok(Some(sha256)) => sha256,
            Ok(None) => return Ok(Checked::Stopped),
            Err(error) if is_of_the_medium(&error) => {
                return damaged(format!("it cannot be read: {error}"));
            }
            Err(error) => return Err(error.into()),
        };
        if sha256 != remembered.sha256 {
            return damaged(format!(
                "its SHA-256 is {sha256}, and {} was stored",
                remembered.sha256
            ));
        }
        if depth == Depth::Hashes
            && let Some(reason) = hash_fault(key, &file, metadata.len(), &record)?
        {
            return damaged(reason);
        }
        Ok(Checked::Good(remembered.clone()))
    }

    /// The SHA-256 of the file's bytes; `None` where `pass` said stop.
    fn digest(
        &self,
        key: &FileKey,
        file: &File,
        len_bytes: u64,
        reading: Reading,
        pass: &mut dyn FnMut(u64) -> Going,
    ) -> io::Result<Option<Sha256>> {
        if reading == Reading::PastTheCache
            && let Some(direct) = self.open_past_the_cache(key, file)
        {
            match digest_of(&direct, len_bytes, pass) {
                // The file system takes the flag and not the reads.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                digest => return digest,
            }
        }
        digest_of(file, len_bytes, pass)
    }

    /// The same file, for reads past the page cache; `None` where that cannot be had.
    #[cfg(target_os = "linux")]
    fn open_past_the_cache(&self, key: &FileKey, file: &File) -> Option<File> {
        let flags = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).ok()?;
        let mut options = fs::OpenOptions::new();
        options.read(true).options_mut().custom_flags(flags);
        let direct = options
            .open(crate::layout::file(self.dir(), key))
            .ok()?
            .into_parts()
            .0;
        let identity = |file: &File| Some(FileIdentity::of(&file.metadata().ok()?));
        (identity(&direct)? == identity(file)?).then_some(direct)
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_self, reason = "other systems have no such flag")]
    fn open_past_the_cache(&self, _key: &FileKey, _file: &File) -> Option<File> {
        None
    }
}

fn digest_of(
    mut file: &File,
    len_bytes: u64,
    pass: &mut dyn FnMut(u64) -> Going,
) -> io::Result<Option<Sha256>> {
    let mut memory = vec![0; PIECE_BYTES + ALIGNMENT_BYTES];
    let begin = memory.as_ptr().align_offset(ALIGNMENT_BYTES);
    let piece = memory
        .get_mut(begin..)
        .and_then(|rest| rest.get_mut(..PIECE_BYTES))
        .ok_or_else(|| io::Error::other("memory that cannot be aligned"))?;
    let mut context = Context::new(&SHA256);
    let mut left = len_bytes;
    while left > 0 {
        let read = match file.read(piece) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        context.update(piece.get(..read).unwrap_or_default());
        let read = u64::try_from(read).unwrap_or(left);
        left = left.saturating_sub(read);
        if pass(read) == Going::Stop {
            return Ok(None);
        }
    }
    let digest = context.finish();
    let bytes = digest.as_ref().try_into();
    bytes
        .map(|bytes| Some(Sha256(bytes)))
        .map_err(io::Error::other)
}

/// In what the `h1:` of a file differs from its record's; its bytes are those that were stored.
fn hash_fault(
    key: &FileKey,
    file: &File,
    len_bytes: u64,
    record: &Record,
) -> io::Result<Option<String>> {
    let got: H1 = match key.kind {
        FileKind::Info => return Ok(None),
        FileKind::Mod => {
            let len = usize::try_from(len_bytes).map_err(io::Error::other)?;
            let mut bytes = vec![0; len];
            file.read_exact_at(&mut bytes, 0)?;
            GoModHash::of(&bytes).0
        }
        FileKind::Zip => {
            match check_and_hash(&FileAt(file), len_bytes, &key.module, &Limits::default()) {
                Ok(report) => report.hash.0,
                Err(error) => return Ok(Some(format!("it is no zip of this module: {error}"))),
            }
        }
    };
    Ok(match record.hash(key.kind) {
        Some(expected) if expected == got => None,
        Some(expected) => Some(format!("its hash is {got}, and its record says {expected}")),
        None => Some("its record has no hash".to_owned()),
    })
}

/// True where the file itself cannot be read, whoever tries: not for want of a descriptor or of leave.
fn is_of_the_medium(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    error.kind() == io::ErrorKind::UnexpectedEof
        || code == Some(rustix::io::Errno::IO.raw_os_error())
}

/// An open file as gomod reads archives.
struct FileAt<'file>(&'file File);

impl ReadAt for FileAt<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
}

#[cfg(test)]
mod tests;
