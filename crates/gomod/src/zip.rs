//! Module zips: the rules of golang.org/x/mod/zip and the hash through the central directory.
//!
//! [`check_and_hash`] judges a complete archive that came from elsewhere; fills and `cache verify`
//! call it before anything is stored. It accepts what Go's `zip.CheckZip` accepts, as far as there
//! is only one way to read it: bytes outside of the files, headers that disagree with the
//! directory, encryption and unknown compression are refused even though Go would look past them.
//! Nothing is unpacked and nothing is kept.
mod bytes;
mod contents;
mod directory;
mod names;
mod select;

pub use select::{FileFacts, FileKind, Selected, Unselected, select_files};

use directory::{Directory, DirectoryEntry, invalid_entry, printable};
use names::{Collisions, NameKind};

use crate::{H1, ModuleVersion, Sha256, ZipHash};

/// Positioned reads of a complete archive; implemented by callers over a file or over memory.
pub trait ReadAt {
    /// Reads at most `buffer.len()` bytes at `offset`; 0 means the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize>;
}

impl ReadAt for [u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|at| self.get(at..))
            .unwrap_or_default();
        let n = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        Ok(n)
    }
}

/// Limits of a module zip, in bytes (rule 39).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The archive itself, and the sum of its files. Go's `MaxZipFile`: 500 MiB.
    pub zip_bytes: u64,
    /// go.mod. Go's `MaxGoMod`: 16 MiB.
    pub go_mod_bytes: u64,
    /// LICENSE. Go's `MaxLICENSE`: 16 MiB.
    pub license_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            zip_bytes: 500 << 20,
            go_mod_bytes: 16 << 20,
            license_bytes: 16 << 20,
        }
    }
}

impl Limits {
    /// The limit of its own that a file at the module's root may have.
    fn of_file(&self, name: &str) -> Option<u64> {
        match name {
            "go.mod" => Some(self.go_mod_bytes),
            "LICENSE" => Some(self.license_bytes),
            _ => None,
        }
    }
}

/// What a good module zip holds.
#[derive(Clone, Debug)]
pub struct ZipReport {
    /// The `h1:` that Go computes.
    pub hash: ZipHash,
    /// Number of files.
    pub files: usize,
    /// Sum of their sizes, inflated.
    pub uncompressed_bytes: u64,
}

/// Why an archive is not a good module zip. The kinds are told apart because the answer differs.
#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    /// The archive breaks a rule; the text says which file and which rule.
    #[error("{0}")]
    Invalid(String),
    /// It has a file that is not below the module's `PATH@VERSION/`.
    #[error("{name}: path does not have prefix \"{prefix}\"")]
    OutsideModule {
        /// The file's name, printable.
        name: String,
        /// What it must begin with.
        prefix: String,
    },
    /// The archive or a file in it is over a limit.
    #[error("{0}")]
    TooLarge(String),
    /// Its bytes could not be read: our disk's fault, not the archive's.
    #[error("reading the archive")]
    Io(#[from] std::io::Error),
}

/// Checks a complete archive against every rule (names, layout, limits, go's `zip.CheckZip`) and
/// computes its hash through the central directory.
///
/// Memory is the directory (at most 64 MiB, usually a few KiB) and two blocks of 128 KiB. All sizes
/// are judged before the first file is inflated, and no file is inflated beyond its declared size.
pub fn check_and_hash<R: ReadAt + ?Sized>(
    archive: &R,
    archive_bytes: u64,
    module: &ModuleVersion,
    limits: &Limits,
) -> Result<ZipReport, ZipError> {
    if archive_bytes > limits.zip_bytes {
        return Err(ZipError::TooLarge(format!(
            "module zip file is too large ({archive_bytes} bytes; limit is {} bytes)",
            limits.zip_bytes
        )));
    }
    let directory = Directory::read(archive, archive_bytes)?;
    let entries = directory.entries()?;
    let (files, uncompressed_bytes) = check_entries(&entries, module, limits)?;
    let digests = contents::hash_all(archive, &entries, directory.offset)?;
    Ok(ZipReport {
        hash: hash(&entries, digests)?,
        files,
        uncompressed_bytes,
    })
}

/// The rules of Go's `zip.CheckZip`, in its order, up to the first that is broken. Returns the
/// number of files and their total size.
fn check_entries(
    entries: &[DirectoryEntry<'_>],
    module: &ModuleVersion,
    limits: &Limits,
) -> Result<(usize, u64), ZipError> {
    let prefix = format!("{module}/");
    let mut collisions = Collisions::new();
    let mut files = 0;
    let mut total_bytes: u64 = 0;
    for entry in entries {
        let name = check_name(entry, &prefix, &mut collisions)?;
        total_bytes = total_bytes
            .checked_add(entry.uncompressed_bytes)
            .filter(|&total| total <= limits.zip_bytes)
            .ok_or_else(|| {
                ZipError::TooLarge(format!(
                    "total uncompressed size of module contents too large (max size is {} bytes)",
                    limits.zip_bytes
                ))
            })?;
        let Some(name) = name else {
            continue;
        };
        files += 1;
        if let Some(limit) = limits.of_file(name)
            && entry.uncompressed_bytes > limit
        {
            return Err(ZipError::TooLarge(format!(
                "{name} file too large (max size is {limit} bytes)"
            )));
        }
    }
    Ok((files, total_bytes))
}

/// The name of a file without the module's prefix; `None` for a folder.
fn check_name<'a>(
    entry: &DirectoryEntry<'a>,
    prefix: &str,
    collisions: &mut Collisions<'a>,
) -> Result<Option<&'a str>, ZipError> {
    let fault = |reason: &str| Err(invalid_entry(entry.name, reason));
    let Some(name) = entry.name.strip_prefix(prefix.as_bytes()) else {
        return Err(ZipError::OutsideModule {
            name: printable(entry.name),
            prefix: prefix.to_owned(),
        });
    };
    let (name, kind) = match name.strip_suffix(b"/") {
        Some(folder) => (folder, NameKind::Folder),
        None => (name, NameKind::File),
    };
    let is_root = name.is_empty() && entry.name.len() == prefix.len();
    if kind == NameKind::Folder || is_root {
        // Go hashes a folder as an empty file, and refuses to read one that has content.
        if entry.uncompressed_bytes != 0 {
            return fault("a directory with content");
        }
    }
    if is_root {
        return Ok(None);
    }
    if !names::is_clean(name) {
        return fault("file path is not clean");
    }
    let name = names::check_file_path(name).map_err(|reason| invalid_entry(entry.name, &reason))?;
    if let Err(reason) = collisions.add(name, kind) {
        return fault(&reason);
    }
    if kind == NameKind::Folder {
        return Ok(None);
    }
    let base = name.rsplit('/').next().unwrap_or(name);
    if base.eq_ignore_ascii_case("go.mod") {
        if base != name {
            return fault("go.mod file not in module root directory");
        }
        if name != "go.mod" {
            return fault("go.mod files must have lowercase names");
        }
    }
    Ok(Some(name))
}

/// Go's `dirhash.HashZip`: every entry of the directory, folders included.
fn hash(entries: &[DirectoryEntry<'_>], digests: Vec<Sha256>) -> Result<ZipHash, ZipError> {
    let mut files = Vec::with_capacity(entries.len());
    for (entry, digest) in entries.iter().zip(digests) {
        // Names were checked to be UTF-8 before.
        let name = String::from_utf8_lossy(entry.name).into_owned();
        files.push((name, digest));
    }
    let hash = H1::of(&mut files).map_err(|error| invalid(error.to_string()))?;
    Ok(ZipHash(hash))
}

fn invalid(reason: impl Into<String>) -> ZipError {
    ZipError::Invalid(reason.into())
}

/// Fills the buffer; an archive that ends before has changed under our hands.
fn read_exact_at<R: ReadAt + ?Sized>(
    archive: &R,
    mut buffer: &mut [u8],
    mut offset: u64,
) -> Result<(), ZipError> {
    while !buffer.is_empty() {
        let read = archive.read_at(buffer, offset)?;
        if read == 0 {
            return Err(ZipError::Io(std::io::ErrorKind::UnexpectedEof.into()));
        }
        buffer = buffer.get_mut(read..).unwrap_or_default();
        offset = offset.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
