//! When each file was last asked for, to the minute: what eviction goes by.
//!
//! Touched on every hit by [`crate::eviction::Tended`], read by [`crate::eviction`]. It is a cache of
//! what cannot be read from the folder: lost, files count as used when they were stored.
//!
//! A touch waits for nobody: it notes a number under a hash, and where the table is being changed at that very
//! moment, or is full, it is left out, for the next hit notes the same. Now and then, and at the end, what
//! was noted is merged into `DIR/state/last-use`, a sorted table of 12 bytes a file, and forgotten
//! here: so that memory is spent on what was used lately and not on what is stored. One process writes the
//! file, by lock; the touches of others are not remembered.

use crate::folder::{Durable, WorkFolder, create_folders, read_if_there};
use crate::sealed::{seal, unseal};
use crate::walk::WalkedFile;
use crate::{FileKey, Namespace, StoreError, layout};
use fs_err as fs;
use gomod::FileKind;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Parts of the table that are locked on their own; a power of two.
const SHARDS: usize = 16;
/// Files that are noted in one part until they are written; 16 bytes each. 1 MiB in all, at most twice that
/// with the room of the tables.
const SHARD_FILES: usize = 4096;
/// Files in the table on disk at most, which are 48 MB; those used longest ago are left out.
const WRITTEN_FILES: usize = 4 << 20;
/// Bytes of one of them: the hash, then the minute, little-endian.
const WRITTEN_BYTES: usize = 12;

/// Minutes since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minute(pub u32);

impl Minute {
    /// The minute that `time` is in.
    pub fn of(time: jiff::Timestamp) -> Self {
        Self(u32::try_from(time.as_second() / 60).unwrap_or_default())
    }

    /// When it began.
    pub fn began(self) -> jiff::Timestamp {
        jiff::Timestamp::from_second(i64::from(self.0) * 60).unwrap_or_default()
    }
}

/// A file's name in the table. Two files with the same one share their last use, which harms nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileHash(u64);

impl FileHash {
    /// FNV-1a: the same in every release and on every machine, and cheap for a few dozen bytes.
    pub(crate) fn of(key: &FileKey) -> Self {
        let Namespace::Shared = key.namespace;
        let kind = match key.kind {
            FileKind::Info => b'i',
            FileKind::Mod => b'm',
            FileKind::Zip => b'z',
        };
        let path = key.module.path().as_str().bytes();
        let version = key.module.version().as_str().bytes();
        let bytes = path.chain([b'@']).chain(version).chain([b' ', kind]);
        Self(bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        }))
    }
}

/// The last uses of a cache folder's files.
#[derive(Debug)]
pub struct LastUse {
    dir: PathBuf,
    /// Read instead of a clock on each touch.
    now: AtomicU32,
    touched: [RwLock<HashMap<u64, AtomicU32>>; SHARDS],
    /// Locked by whoever writes; holds the lock that makes this process the one.
    owned: Mutex<Option<File>>,
}

#[derive(Serialize, Deserialize)]
struct About {
    files: usize,
}

impl LastUse {
    /// The last uses of the cache folder `dir`. Nothing is read yet.
    pub fn of(dir: &Path, now: jiff::Timestamp) -> Self {
        Self {
            dir: dir.to_path_buf(),
            now: AtomicU32::new(Minute::of(now).0),
            touched: std::array::from_fn(|_| RwLock::default()),
            owned: Mutex::default(),
        }
    }

    /// Says what time it is for the touches that follow.
    pub fn tick(&self, now: jiff::Timestamp) {
        self.now.store(Minute::of(now).0, Ordering::Relaxed);
    }

    /// Notes that a file was asked for now. Never waits.
    pub fn touch(&self, key: &FileKey) {
        let FileHash(hash) = FileHash::of(key);
        let now = self.now.load(Ordering::Relaxed);
        let Some(shard) = self.shard(hash) else {
            return;
        };
        match shard.try_read() {
            None => return,
            Some(touched) => {
                if let Some(minute) = touched.get(&hash) {
                    // Most hits of a minute only read.
                    if minute.load(Ordering::Relaxed) != now {
                        minute.store(now, Ordering::Relaxed);
                    }
                    return;
                }
            }
        }
        if let Some(mut touched) = shard.try_write()
            && touched.len() < SHARD_FILES
        {
            touched.insert(hash, AtomicU32::new(now));
        }
    }

    /// True where so much is noted that it should be written soon.
    pub fn is_filling(&self) -> bool {
        let is_half_full = |shard: &RwLock<HashMap<u64, AtomicU32>>| {
            shard
                .try_read()
                .is_some_and(|touched| touched.len() >= SHARD_FILES / 2)
        };
        self.touched.iter().any(is_half_full)
    }

    /// Merges what was noted into the file. False where another process writes it. Blocks.
    pub fn write(&self) -> Result<bool, StoreError> {
        let mut owned = self.owned.lock();
        if !self.own(&mut owned)? {
            self.take_noted();
            return Ok(false);
        }
        let noted = self.take_noted();
        if noted.is_empty() {
            return Ok(true);
        }
        let mut table = read_written(&self.dir)?;
        table.merge(noted);
        let written = self.put(table);
        written.map_err(|error| StoreError::Io(error).in_folder(&self.dir))?;
        Ok(true)
    }

    /// All last uses that are known now. Blocks.
    pub(crate) fn table(&self) -> Result<LastUseTable, StoreError> {
        let mut table = read_written(&self.dir)?;
        table.merge(self.noted());
        Ok(table)
    }

    /// When the file was asked for since the last write.
    pub(crate) fn lately(&self, hash: FileHash) -> Option<Minute> {
        let touched = self.shard(hash.0)?.read();
        let minute = touched.get(&hash.0)?;
        Some(Minute(minute.load(Ordering::Relaxed)))
    }

    /// Forgets the files that `table` was not asked about: they are not stored any more. Blocks.
    pub(crate) fn retain_asked(&self, mut table: LastUseTable) -> Result<(), StoreError> {
        let mut owned = self.owned.lock();
        if !self.own(&mut owned)? {
            return Ok(());
        }
        let mut asked = table.asked.iter();
        table
            .files
            .retain(|_| asked.next().is_some_and(|asked| *asked));
        self.put(table)
            .map_err(|error| StoreError::Io(error).in_folder(&self.dir))
    }

    fn shard(&self, hash: u64) -> Option<&RwLock<HashMap<u64, AtomicU32>>> {
        let [.., last] = hash.to_be_bytes();
        self.touched.get(usize::from(last) % SHARDS)
    }

    fn own(&self, owned: &mut Option<File>) -> Result<bool, StoreError> {
        if owned.is_some() {
            return Ok(true);
        }
        let locks = layout::locks(&self.dir);
        create_folders(&locks)?;
        let lock = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(locks.join("last-use"))?;
        match lock.file().try_lock() {
            Ok(()) => *owned = Some(lock.into_parts().0),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        Ok(true)
    }

    fn noted(&self) -> BTreeMap<FileHash, Minute> {
        let mut noted = BTreeMap::new();
        for shard in &self.touched {
            let touched = shard.read();
            noted.extend(
                touched.iter().map(|(hash, minute)| {
                    (FileHash(*hash), Minute(minute.load(Ordering::Relaxed)))
                }),
            );
        }
        noted
    }

    fn take_noted(&self) -> BTreeMap<FileHash, Minute> {
        let mut noted = BTreeMap::new();
        for shard in &self.touched {
            let touched = std::mem::take(&mut *shard.write());
            noted.extend(
                touched
                    .into_iter()
                    .map(|(hash, minute)| (FileHash(hash), Minute(minute.into_inner()))),
            );
        }
        noted
    }

    fn put(&self, table: LastUseTable) -> std::io::Result<()> {
        let mut files = table.files;
        if files.len() > WRITTEN_FILES {
            files.sort_unstable_by_key(|(_, minute)| std::cmp::Reverse(*minute));
            files.truncate(WRITTEN_FILES);
            files.sort_unstable();
        }
        let mut body = Vec::with_capacity(files.len() * WRITTEN_BYTES);
        for (FileHash(hash), Minute(minute)) in &files {
            body.extend_from_slice(&hash.to_le_bytes());
            body.extend_from_slice(&minute.to_le_bytes());
        }
        let sealed = seal(About { files: files.len() }, &body)?;
        let staging = layout::staging(&self.dir);
        create_folders(&staging)?;
        let work = WorkFolder::create(&staging)?;
        work.replace(&layout::last_use(&self.dir), &sealed, Durable::No)
    }
}

impl Drop for LastUse {
    fn drop(&mut self) {
        if let Err(error) = self.write() {
            tracing::warn!(%error, "what was used last is not remembered");
        }
    }
}

/// A file that is not there, or not whole, says nothing.
fn read_written(dir: &Path) -> Result<LastUseTable, StoreError> {
    let Some(sealed) = read_if_there(&layout::last_use(dir))? else {
        return Ok(LastUseTable::default());
    };
    let Some((_, from)) = unseal::<About>(&sealed) else {
        return Ok(LastUseTable::default());
    };
    let body = sealed.get(from..).unwrap_or_default();
    let (files, _) = body.as_chunks::<WRITTEN_BYTES>();
    Ok(LastUseTable::new(files.iter().map(read_one).collect()))
}

/// The last uses as the server of a folder wrote them last, for those who look at it: minutes old.
#[derive(Debug)]
pub struct WrittenUses(LastUseTable);

impl WrittenUses {
    /// Those of the cache folder `dir`. Blocks.
    ///
    /// # Errors
    /// They are there and cannot be read.
    pub fn read(dir: &Path) -> Result<Self, StoreError> {
        read_written(dir).map(Self)
    }

    /// When a file was asked for last, or else stored.
    pub fn of(&self, file: &WalkedFile) -> Minute {
        let asked = self.0.get(FileHash::of(&file.key));
        asked.unwrap_or_default().max(Minute::of(file.stored_at))
    }
}

fn read_one(bytes: &[u8; WRITTEN_BYTES]) -> (FileHash, Minute) {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *bytes;
    let hash = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    (FileHash(hash), Minute(u32::from_le_bytes([i, j, k, l])))
}

/// The last uses as they were at one moment: 17 bytes a file.
#[derive(Debug, Default)]
pub(crate) struct LastUseTable {
    /// In the order of the hashes.
    files: Vec<(FileHash, Minute)>,
    asked: Vec<bool>,
}

impl LastUseTable {
    fn new(files: Vec<(FileHash, Minute)>) -> Self {
        Self {
            asked: vec![false; files.len()],
            files,
        }
    }

    /// When the file was last asked for, where that is known; notes that it is stored.
    pub(crate) fn ask(&mut self, hash: FileHash) -> Option<Minute> {
        let at = self.position(hash)?;
        *self.asked.get_mut(at)? = true;
        self.files.get(at).map(|(_, minute)| *minute)
    }

    fn get(&self, hash: FileHash) -> Option<Minute> {
        let at = self.position(hash)?;
        self.files.get(at).map(|(_, minute)| *minute)
    }

    fn position(&self, hash: FileHash) -> Option<usize> {
        let by_hash = |(hash, _): &(FileHash, Minute)| *hash;
        self.files.binary_search_by_key(&hash, by_hash).ok()
    }

    fn merge(&mut self, noted: BTreeMap<FileHash, Minute>) {
        let mut new = Vec::new();
        for (hash, minute) in noted {
            match self.files.binary_search_by_key(&hash, |(hash, _)| *hash) {
                Ok(at) => {
                    if let Some((_, known)) = self.files.get_mut(at) {
                        *known = (*known).max(minute);
                    }
                }
                Err(_) => new.push((hash, minute)),
            }
        }
        self.files.append(&mut new);
        self.files.sort_unstable();
        self.asked = vec![false; self.files.len()];
    }
}

#[cfg(test)]
mod tests;
