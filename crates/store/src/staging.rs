//! Bytes on disk or in memory, not yet trusted.
//!
//! A fill writes one [`StagingFile`] and followers may read it while it grows. Small files stay in
//! memory, within a bound over all of them; larger ones go to a file in a folder of this process that
//! is locked while it lives, so that a later process can tell what a dead one left.
//!
//! Two sizes tell small from large. Above [`DISK_RATHER_BYTES`] a file goes to disk, where a commit needs it
//! anyway, so that a dozen fills don't hold a dozen zips in memory. Where the disk takes nothing (it is
//! full), a file up to the caller's own limit comes back to memory and is served all the same.
//!
//! File IO runs off the reactor in batches of [`BATCH_BYTES`], or after [`BATCH_DELAY`] where a slow
//! source takes longer to fill one: a 400 MB file costs some 1600 hops, not one a chunk.

use crate::folder::{WorkFile, WorkFolder, blocking, create_folders, sweep};
use crate::{Body, FileKey, StoreError, layout};
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use gomod::Sha256;
use parking_lot::Mutex;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How much is collected before it is written to the file.
pub const BATCH_BYTES: usize = 256 * 1024;
/// Files above this size wait on disk rather than in memory.
pub const DISK_RATHER_BYTES: u64 = 512 * 1024;
/// How long collected bytes may wait for more, as seen by the next write.
pub const BATCH_DELAY: Duration = Duration::from_millis(50);

/// `DIR/staging`: one random folder a process for the files that outgrew memory, locked while it
/// lives; what dead processes left is swept in the background. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Staging {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    folder: Arc<WorkFolder>,
    memory_file_bytes: u64,
    memory: Arc<MemoryBudget>,
    /// One sweep at a time, so that whoever asks for one finds it done.
    sweeping: Mutex<()>,
}

impl Staging {
    /// Opens the staging folder of the cache folder `dir`. `memory_file_bytes`: up to this size a file
    /// is staged in memory where the disk refuses it (8 MiB); `memory_total_bytes`: bound over all fills, past which files go to
    /// disk from the first byte.
    pub fn open(
        dir: &Path,
        memory_file_bytes: u64,
        memory_total_bytes: u64,
    ) -> Result<Self, StoreError> {
        let staging = layout::staging(dir);
        let folder = create_folders(&staging)
            .and_then(|()| WorkFolder::create(&staging))
            .map_err(|error| StoreError::unusable(dir, &error))?;
        let opened = Self {
            shared: Arc::new(Shared {
                dir: dir.to_path_buf(),
                folder,
                memory_file_bytes,
                memory: Arc::new(MemoryBudget {
                    limit_bytes: memory_total_bytes,
                    used_bytes: AtomicU64::new(0),
                }),
                sweeping: Mutex::new(()),
            }),
        };
        let sweeper = opened.clone();
        let started = std::thread::Builder::new()
            .name("staging-sweep".to_owned())
            .spawn(move || {
                if let Err(error) = sweeper.sweep() {
                    tracing::warn!(%error, "cannot sweep what dead processes left");
                }
            });
        if let Err(error) = started {
            tracing::warn!(%error, "cannot start the sweep of what dead processes left");
        }
        Ok(opened)
    }

    /// Begins a file.
    pub fn begin(&self, key: FileKey) -> StagingFile {
        StagingFile {
            key,
            shared: Arc::clone(&self.shared),
            place: Place::Memory {
                bytes: Vec::new(),
                hash: Context::new(&SHA256),
                held: self.shared.memory.hold_nothing(),
                limit_bytes: self.shared.memory_file_bytes.min(DISK_RATHER_BYTES),
            },
            len_bytes: 0,
        }
    }

    /// Removes what processes that are dead left, and returns the number of their folders. Runs by
    /// itself when the folder is opened. Blocks on file IO.
    pub fn sweep(&self) -> Result<usize, StoreError> {
        let _turn = self.shared.sweeping.lock();
        Ok(sweep(&layout::staging(&self.shared.dir))?)
    }

    /// Bytes of memory that staged files hold now, or those who still read them.
    pub fn memory_bytes(&self) -> u64 {
        self.shared.memory.used_bytes.load(Ordering::Relaxed)
    }
}

/// A file that is being staged: written by one fill, read by its followers while it grows.
#[derive(Debug)]
pub struct StagingFile {
    key: FileKey,
    shared: Arc<Shared>,
    place: Place,
    len_bytes: u64,
}

enum Place {
    Memory {
        bytes: Vec<u8>,
        hash: Context,
        held: HeldMemory,
        /// Beyond it the file goes to disk.
        limit_bytes: u64,
    },
    Disk(OnDisk),
    /// A write was cancelled or failed half-way; what is in the file is not known.
    Lost,
}

struct OnDisk {
    file: WorkFile,
    hash: Context,
    /// Not in the file yet; follows its first `flushed_bytes`.
    pending: Vec<u8>,
    /// Bytes in the file since the last restart.
    flushed_bytes: u64,
    flushed_at: Instant,
    /// Clients have these first bytes; only equal ones may take their place.
    released_bytes: u64,
    /// How far the file was ever written; more than `flushed_bytes` after a restart only.
    extent_bytes: u64,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Memory { .. } => "Memory",
            Self::Disk(_) => "Disk",
            Self::Lost => "Lost",
        })
    }
}

impl StagingFile {
    /// Voids what was written; the next byte is byte 0. Once [`Self::release`] was told of a prefix,
    /// rewritten bytes must equal it: another source may serve other bytes for the same module.
    pub fn restart(&mut self) -> Result<(), StoreError> {
        self.len_bytes = 0;
        match &mut self.place {
            Place::Memory { bytes, hash, .. } => {
                bytes.clear();
                *hash = Context::new(&SHA256);
                Ok(())
            }
            Place::Disk(disk) => {
                disk.pending.clear();
                disk.flushed_bytes = 0;
                disk.hash = Context::new(&SHA256);
                Ok(())
            }
            Place::Lost => Err(lost()),
        }
    }

    /// Says how large the file will be, before its first byte: it takes that much memory at once, or is on
    /// disk from the beginning. A promise only: more bytes may come, or fewer.
    pub async fn expect(&mut self, total_bytes: u64) -> Result<(), StoreError> {
        if let Place::Memory {
            bytes,
            held,
            limit_bytes,
            ..
        } = &mut self.place
        {
            let fits = usize::try_from(total_bytes)
                .is_ok_and(|total| make_room(bytes, total, *limit_bytes, held));
            if !fits {
                self.leave_memory().await?;
            }
        }
        Ok(())
    }

    /// Appends. Blocking file IO happens inside, off the reactor. `StoreError::Differs` where a byte
    /// differs from what was released before a restart. After an error, or when the future was
    /// dropped, the file cannot be written any more.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        let mut rest = chunk;
        while !rest.is_empty() {
            let disk = match &mut self.place {
                Place::Memory {
                    bytes,
                    hash,
                    held,
                    limit_bytes,
                } => {
                    if make_room(bytes, rest.len(), *limit_bytes, held) {
                        bytes.extend_from_slice(&rest);
                        hash.update(&rest);
                        self.len_bytes += rest.len() as u64;
                        return Ok(());
                    }
                    self.leave_memory().await?;
                    continue;
                }
                Place::Disk(disk) => disk,
                Place::Lost => return Err(lost()),
            };
            if disk.pending.is_empty() && rest.len() >= BATCH_BYTES {
                let whole = std::mem::take(&mut rest);
                self.len_bytes += whole.len() as u64;
                self.put(whole).await?;
                continue;
            }
            let part = rest.split_to(rest.len().min(BATCH_BYTES - disk.pending.len()));
            disk.pending.extend_from_slice(&part);
            self.len_bytes += part.len() as u64;
            if disk.pending.len() == BATCH_BYTES || disk.flushed_at.elapsed() >= BATCH_DELAY {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Bytes written since the last restart.
    pub fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// How many of these can be read from the file that [`Self::release`] gives; the rest waits to be
    /// written with what follows, or for [`Self::flush`]. 0 while the file is in memory.
    pub fn readable_bytes(&self) -> u64 {
        match &self.place {
            Place::Disk(disk) => disk.flushed_bytes,
            Place::Memory { .. } | Place::Lost => 0,
        }
    }

    /// Writes what waits, so that [`Self::readable_bytes`] is [`Self::len_bytes`] for a file on disk.
    pub async fn flush(&mut self) -> Result<(), StoreError> {
        match &mut self.place {
            Place::Disk(disk) if !disk.pending.is_empty() => {
                let pending = std::mem::take(&mut disk.pending);
                let mut emptied = self.put(pending).await?;
                emptied.clear();
                if let Place::Disk(disk) = &mut self.place {
                    disk.pending = emptied;
                }
                Ok(())
            }
            Place::Disk(_) | Place::Memory { .. } => Ok(()),
            Place::Lost => Err(lost()),
        }
    }

    /// The open file, to read the first [`Self::readable_bytes`] of; `None` while it is in memory.
    pub fn file(&self) -> Option<Arc<File>> {
        match &self.place {
            Place::Disk(disk) => Some(Arc::clone(&disk.file.file)),
            Place::Memory { .. } | Place::Lost => None,
        }
    }

    /// Marks the first `bytes`, of the first [`Self::readable_bytes`], as handed to clients, and gives
    /// the open file to read them from; `None` while it is in memory.
    pub fn release(&mut self, bytes: u64) -> Option<Arc<File>> {
        match &mut self.place {
            Place::Disk(disk) => {
                let bytes = bytes.min(disk.flushed_bytes);
                disk.released_bytes = disk.released_bytes.max(bytes);
                Some(Arc::clone(&disk.file.file))
            }
            Place::Memory { .. } | Place::Lost => None,
        }
    }

    /// Moves a file that is in memory to disk, so that it can be released while it grows. It stays in memory
    /// where the disk refuses it.
    pub async fn spill(&mut self) -> Result<(), StoreError> {
        let (bytes, hash, held, limit_bytes) = match std::mem::replace(&mut self.place, Place::Lost)
        {
            Place::Memory {
                bytes,
                hash,
                held,
                limit_bytes,
            } => (bytes, hash, held, limit_bytes),
            elsewhere => {
                self.place = elsewhere;
                return Ok(());
            }
        };
        let shared = Arc::clone(&self.shared);
        let (place, spilled) = blocking(move || {
            let write = || -> io::Result<WorkFile> {
                let file = shared.folder.new_file()?;
                file.file.write_all_at(&bytes, 0)?;
                Ok(file)
            };
            Ok(match write() {
                Ok(file) => (Place::Disk(OnDisk::new(file, hash, bytes.len())), Ok(())),
                Err(error) => (
                    Place::Memory {
                        bytes,
                        hash,
                        held,
                        limit_bytes,
                    },
                    Err(StoreError::Io(error).in_folder(&shared.dir)),
                ),
            })
        })
        .await?;
        self.place = place;
        spilled
    }

    /// Spills a file that has outgrown its room in memory. Where the disk refuses it, its room is the largest
    /// there is.
    async fn leave_memory(&mut self) -> Result<(), StoreError> {
        let Err(error) = self.spill().await else {
            return Ok(());
        };
        match &mut self.place {
            Place::Memory { limit_bytes, .. } if *limit_bytes < self.shared.memory_file_bytes => {
                *limit_bytes = self.shared.memory_file_bytes;
                Ok(())
            }
            Place::Memory { .. } | Place::Disk(_) | Place::Lost => Err(error),
        }
    }

    /// The complete file, from `source` (a name without credentials).
    pub async fn finish(mut self, source: String) -> Result<Staged, StoreError> {
        self.flush().await?;
        let (place, hash) = match self.place {
            Place::Memory {
                mut bytes,
                hash,
                mut held,
                ..
            } => {
                bytes.shrink_to_fit();
                held.shrink_to(bytes.len() as u64);
                let bytes = Bytes::from_owner(CountedBytes { bytes, _held: held });
                (StagedPlace::Memory(bytes), hash)
            }
            Place::Disk(disk) => {
                if disk.flushed_bytes < disk.released_bytes {
                    return Err(StoreError::Differs {
                        offset: disk.flushed_bytes,
                    });
                }
                if disk.flushed_bytes < disk.extent_bytes {
                    let (file, len_bytes) = (Arc::clone(&disk.file.file), disk.flushed_bytes);
                    blocking(move || Ok(file.set_len(len_bytes)?)).await?;
                }
                (StagedPlace::Disk(disk.file), disk.hash)
            }
            Place::Lost => return Err(lost()),
        };
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(hash.finish().as_ref());
        Ok(Staged {
            key: self.key,
            source,
            commit: None,
            place,
            len_bytes: self.len_bytes,
            sha256: Sha256(sha256),
        })
    }

    /// Writes `bytes` behind those in the file and gives them back. A small file whose bytes the disk does
    /// not take any more goes on in memory.
    async fn put<B: AsRef<[u8]> + Send + 'static>(&mut self, bytes: B) -> Result<B, StoreError> {
        let Place::Disk(mut disk) = std::mem::replace(&mut self.place, Place::Lost) else {
            return Err(lost());
        };
        let shared = Arc::clone(&self.shared);
        let (place, bytes) = blocking(move || {
            let place = match disk.put(bytes.as_ref()) {
                Ok(()) => Place::Disk(disk),
                Err(error) => disk
                    .into_memory(bytes.as_ref(), &shared)
                    .ok_or_else(|| error.in_folder(&shared.dir))?,
            };
            Ok((place, bytes))
        })
        .await?;
        self.place = place;
        Ok(bytes)
    }
}

impl OnDisk {
    /// A file with its first `len` bytes.
    fn new(file: WorkFile, hash: Context, len: usize) -> Self {
        Self {
            file,
            hash,
            pending: Vec::new(),
            flushed_bytes: len as u64,
            flushed_at: Instant::now(),
            released_bytes: 0,
            extent_bytes: len as u64,
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let already_out = self.released_bytes.saturating_sub(self.flushed_bytes);
        let already_out = usize::try_from(already_out).map_or(bytes.len(), |n| n.min(bytes.len()));
        let (held_to, new) = bytes.split_at(already_out);
        compare(&self.file.file, self.flushed_bytes, held_to)?;
        let new_from = self.flushed_bytes + held_to.len() as u64;
        self.file.file.write_all_at(new, new_from)?;
        self.hash.update(bytes);
        self.flushed_bytes += bytes.len() as u64;
        self.flushed_at = Instant::now();
        self.extent_bytes = self.extent_bytes.max(self.flushed_bytes);
        Ok(())
    }

    /// The file in memory, with `more` behind what was written of it; `None` where clients read it from the
    /// disk already, where it is too large, or where there is no memory or no reading either.
    fn into_memory(self, more: &[u8], shared: &Shared) -> Option<Place> {
        if self.released_bytes > 0 {
            return None;
        }
        let written = usize::try_from(self.flushed_bytes).ok()?;
        let limit_bytes = shared.memory_file_bytes;
        let (mut bytes, mut held) = (Vec::new(), shared.memory.hold_nothing());
        let needed = written.checked_add(more.len())?;
        if !make_room(&mut bytes, needed, limit_bytes, &mut held) {
            return None;
        }
        bytes.resize(written, 0);
        self.file.file.read_exact_at(&mut bytes, 0).ok()?;
        bytes.extend_from_slice(more);
        let mut hash = self.hash;
        hash.update(more);
        Some(Place::Memory {
            bytes,
            hash,
            held,
            limit_bytes,
        })
    }
}

/// Holds rewritten bytes to what clients already have.
fn compare(file: &File, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
    let mut at = offset;
    let mut there = vec![0; bytes.len().min(64 * 1024)];
    for part in bytes.chunks(64 * 1024) {
        let there = there.get_mut(..part.len()).unwrap_or_default();
        file.read_exact_at(there, at)?;
        if let Some(index) = part.iter().zip(&*there).position(|(new, old)| new != old) {
            return Err(StoreError::Differs {
                offset: at + index as u64,
            });
        }
        at += part.len() as u64;
    }
    Ok(())
}

/// Room for `more` bytes in memory, or false where the file is too large or the budget is spent.
fn make_room(bytes: &mut Vec<u8>, more: usize, file_limit: u64, held: &mut HeldMemory) -> bool {
    let Some(needed) = bytes.len().checked_add(more) else {
        return false;
    };
    if needed as u64 > file_limit {
        return false;
    }
    if needed <= bytes.capacity() {
        return true;
    }
    // Doubling, as a vector grows anyway, but never past the limit and never unaccounted.
    let file_limit = usize::try_from(file_limit).unwrap_or(usize::MAX);
    let capacity = needed
        .max(bytes.capacity().saturating_mul(2))
        .min(file_limit);
    let added = capacity - bytes.capacity();
    if !held.grow(added as u64) {
        return false;
    }
    bytes.reserve_exact(capacity - bytes.len());
    true
}

fn lost() -> StoreError {
    StoreError::Io(io::Error::other(
        "an earlier write to this staged file failed or was cancelled",
    ))
}

/// The bound over all files that are staged in memory.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    limit_bytes: u64,
    used_bytes: AtomicU64,
}

impl MemoryBudget {
    fn hold_nothing(self: &Arc<Self>) -> HeldMemory {
        HeldMemory {
            budget: Arc::clone(self),
            bytes: 0,
        }
    }
}

/// A share of the budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct HeldMemory {
    budget: Arc<MemoryBudget>,
    bytes: u64,
}

impl HeldMemory {
    /// Takes `more` bytes, or nothing where the budget does not have them.
    fn grow(&mut self, more: u64) -> bool {
        let taken =
            self.budget
                .used_bytes
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                    used.checked_add(more)
                        .filter(|&sum| sum <= self.budget.limit_bytes)
                });
        if taken.is_ok() {
            self.bytes += more;
        }
        taken.is_ok()
    }

    fn shrink_to(&mut self, bytes: u64) {
        let back = self.bytes.saturating_sub(bytes);
        self.budget.used_bytes.fetch_sub(back, Ordering::Relaxed);
        self.bytes -= back;
    }
}

impl Drop for HeldMemory {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

/// A complete file, not yet trusted.
#[derive(Debug)]
pub struct Staged {
    key: FileKey,
    source: String,
    commit: Option<String>,
    place: StagedPlace,
    len_bytes: u64,
    sha256: Sha256,
}

#[derive(Debug)]
pub(crate) enum StagedPlace {
    Memory(Bytes),
    Disk(WorkFile),
}

/// Bytes with their share of the budget: it is given back when nobody holds a clone any more, which
/// a slow client does long after the file was committed.
struct CountedBytes {
    bytes: Vec<u8>,
    _held: HeldMemory,
}

impl AsRef<[u8]> for CountedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Staged {
    /// Whose file it is meant to be.
    pub fn key(&self) -> &FileKey {
        &self.key
    }
    /// Where it came from.
    pub fn source(&self) -> &str {
        &self.source
    }
    /// The commit that it was read from, where its source is a repository.
    pub fn commit(&self) -> Option<&str> {
        self.commit.as_deref()
    }
    /// The same file, read from this commit of its source.
    #[must_use]
    pub fn read_from(self, commit: Option<String>) -> Self {
        Self { commit, ..self }
    }
    /// Its bytes. Those in memory count as staged until the last clone is dropped; who keeps them for
    /// long keeps a copy.
    pub fn body(&self) -> Body {
        match &self.place {
            StagedPlace::Memory(bytes) => Body::Bytes(bytes.clone()),
            StagedPlace::Disk(file) => Body::File(Arc::clone(&file.file)),
        }
    }
    /// Their number.
    pub fn len_bytes(&self) -> u64 {
        self.len_bytes
    }
    /// Their SHA-256, computed while they were written.
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }
    pub(crate) fn place(&self) -> &StagedPlace {
        &self.place
    }
}

#[cfg(test)]
mod tests;
