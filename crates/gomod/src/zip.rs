//! Module zips: the rules of golang.org/x/mod/zip and the hash through the central directory.
use crate::{ModuleVersion, ZipHash};

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
    /// The archive or a file in it is over a limit.
    #[error("{0}")]
    TooLarge(String),
    /// Its bytes could not be read: our disk's fault, not the archive's.
    #[error("reading the archive")]
    Io(#[from] std::io::Error),
}

/// Checks a complete archive against every rule (names, layout, limits, go's `zip.CheckZip`) and
/// computes its hash through the central directory.
pub fn check_and_hash<R: ReadAt + ?Sized>(
    archive: &R,
    archive_bytes: u64,
    module: &ModuleVersion,
    limits: &Limits,
) -> Result<ZipReport, ZipError> {
    let _ = (archive, archive_bytes, module, limits);
    todo!()
}
