//! What was committed since the folder was last synced: one append-only file a process.
//!
//! Written and retired by [`super::commit`], read by [`super::doubt`]. Each line holds the whole record
//! of a version, or the path of a module whose `list` is about to be written, with a checksum, so that
//! a line which a loss of power tore reads as none. A journal is locked while its process lives.
//!
//! One `fdatasync` of this file makes a whole batch of commits durable; everything else that a commit
//! writes becomes durable when the journal is full, by one sync of the file system, and then the
//! journal goes. It is a bound on what must be doubted after a crash, too.

use crate::folder::{create_folders, sync_file_system, sync_folder};
use crate::record::WrittenRecord;
use crate::{Namespace, Record, layout};
use fs_err as fs;
use gomod::{ModulePath, ModuleVersion, Sha256, Version};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A journal is retired when it has so many entries, or names so many bytes of files: what is read at
/// most again after a crash, for each process that died.
const RETIRED_AFTER_ENTRIES: usize = 1024;
const RETIRED_AFTER_BYTES: u64 = 256 << 20;

/// The names' ends: of a journal in use, and of one whose process is dead.
const IN_USE: &str = "journal";
const DEAD: &str = "dead";

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Files of this version are being put into place under this record.
    Stored(ModuleVersion, Box<Record>),
    /// The `list` of this module is being rewritten.
    Listed(ModulePath),
}

#[derive(Serialize, Deserialize)]
struct WrittenEntry {
    module: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<WrittenRecord>,
}

/// The journals that one process writes, one after the other.
#[derive(Debug)]
pub(super) struct Journals {
    dir: PathBuf,
    current: Option<Journal>,
    /// Full ones that wait for the file system to be synced.
    retired: Arc<Mutex<Retired>>,
}

#[derive(Debug, Default)]
struct Retired {
    journals: Vec<Journal>,
    syncing: bool,
}

#[derive(Debug)]
struct Journal {
    path: PathBuf,
    /// Holds the advisory lock that tells others that its process lives.
    file: File,
    /// The last write failed half-way: what follows begins on a line of its own.
    torn: bool,
    entries: usize,
    named_bytes: u64,
}

impl Journals {
    /// None is written before the first [`Self::append`].
    pub(super) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_path_buf(),
            current: None,
            retired: Arc::default(),
        }
    }

    /// Makes `entries`, which name files of `named_bytes`, durable.
    pub(super) fn append(&mut self, entries: &[Entry], named_bytes: u64) -> io::Result<()> {
        let full = self.current.as_ref().is_some_and(|journal| {
            journal.entries >= RETIRED_AFTER_ENTRIES || journal.named_bytes >= RETIRED_AFTER_BYTES
        });
        if full {
            self.retire();
        }
        let journal = match &mut self.current {
            Some(journal) => journal,
            none => none.insert(Journal::create(&self.dir)?),
        };
        journal.append(entries)?;
        journal.named_bytes += named_bytes;
        if let Err(error) = journal.file.sync_data() {
            // Nobody knows what of it is on disk; the next one begins with what is known.
            self.retire();
            return Err(error);
        }
        Ok(())
    }

    /// Lets the current journal go when everything that it names is durable.
    fn retire(&mut self) {
        let mut retired = self.retired.lock();
        retired.journals.extend(self.current.take());
        if std::mem::replace(&mut retired.syncing, true) {
            return;
        }
        let (dir, waiting) = (self.dir.clone(), Arc::clone(&self.retired));
        let started = std::thread::Builder::new()
            .name("store-sync".to_owned())
            .spawn(move || sync_retired(&dir, &waiting));
        if let Err(error) = started {
            // They stay, and are let go with the next one.
            retired.syncing = false;
            tracing::warn!(%error, "cannot start the sync of the cache folder");
        }
    }
}

fn sync_retired(dir: &Path, waiting: &Mutex<Retired>) {
    loop {
        let journals = {
            let mut retired = waiting.lock();
            if retired.journals.is_empty() {
                retired.syncing = false;
                return;
            }
            std::mem::take(&mut retired.journals)
        };
        let synced = sync_file_system(dir).and_then(|()| {
            journals
                .iter()
                .try_for_each(|journal| fs::remove_file(&journal.path))
        });
        if let Err(error) = synced {
            tracing::warn!(%error, "cannot sync the cache folder; what was stored lately is checked after the next start");
            let mut retired = waiting.lock();
            retired.journals.extend(journals);
            retired.syncing = false;
            return;
        }
    }
}

impl Journal {
    fn create(dir: &Path) -> io::Result<Self> {
        let folder = layout::journals(dir, Namespace::Shared);
        // Nobody may look for dead journals between the birth of this one and its lock.
        let _turn = lock_folder(&folder)?;
        let path = folder.join(format!("{:016x}.{IN_USE}", fastrand::u64(..)));
        let file = fs::OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)?;
        file.file().lock()?;
        sync_folder(&folder)?;
        Ok(Self {
            path,
            file: file.into_parts().0,
            torn: false,
            entries: 0,
            named_bytes: 0,
        })
    }

    fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        let mut lines = Vec::new();
        if std::mem::replace(&mut self.torn, true) {
            lines.push(b'\n');
        }
        for entry in entries {
            let json = serde_json::to_vec(&entry.written())?;
            write!(lines, "{} ", Sha256::of(&json))?;
            lines.extend_from_slice(&json);
            lines.push(b'\n');
        }
        self.file.write_all(&lines)?;
        self.torn = false;
        self.entries += entries.len();
        Ok(())
    }
}

/// What dead processes had not synced, and the files that say so.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub(super) entries: Vec<Entry>,
    pub(super) journals: Vec<PathBuf>,
}

/// Reads the journals of dead processes and marks them as such, so that others who start while this one
/// looks after them read them, too.
pub(super) fn left_by_the_dead(dir: &Path) -> io::Result<Left> {
    let folder = layout::journals(dir, Namespace::Shared);
    create_folders(&folder)?;
    let _turn = lock_folder(&folder)?;
    let mut left = Left::default();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        let dead = match extension {
            Some(DEAD) => path,
            Some(IN_USE) => {
                let Ok(file) = fs::File::open(&path) else {
                    // Retired just now.
                    continue;
                };
                if file.file().try_lock().is_err() {
                    continue;
                }
                let dead = path.with_extension(DEAD);
                fs::rename(&path, &dead)?;
                dead
            }
            _ => continue,
        };
        // Gone where another process has looked after it just now.
        let Some(bytes) = crate::folder::read_if_there(&dead)? else {
            continue;
        };
        let lines = bytes.split(|&byte| byte == b'\n');
        left.entries.extend(lines.filter_map(Entry::read));
        left.journals.push(dead);
    }
    Ok(left)
}

/// Makes what was looked after durable, and removes the journals that named it.
pub(super) fn forget(dir: &Path, journals: &[PathBuf]) -> io::Result<()> {
    sync_file_system(dir)?;
    for journal in journals {
        match fs::remove_file(journal) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Held for a moment only, by whoever begins a journal or looks for dead ones.
fn lock_folder(folder: &Path) -> io::Result<File> {
    let lock = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("lock"))?;
    lock.file().lock()?;
    Ok(lock.into_parts().0)
}

impl Entry {
    fn written(&self) -> WrittenEntry {
        match self {
            Self::Stored(module, record) => WrittenEntry {
                module: module.path().as_str().to_owned(),
                version: Some(module.version().as_str().to_owned()),
                record: Some(record.written()),
            },
            Self::Listed(module_path) => WrittenEntry {
                module: module_path.as_str().to_owned(),
                version: None,
                record: None,
            },
        }
    }

    /// `None` for a line that was torn: nothing that it names was ever promised.
    fn read(line: &[u8]) -> Option<Self> {
        let space = line.iter().position(|&byte| byte == b' ')?;
        let (sum, json) = line.split_at(space);
        let json = json.get(1..)?;
        if Sha256::of(json).to_string().as_bytes() != sum {
            return None;
        }
        let written: WrittenEntry = serde_json::from_slice(json).ok()?;
        let module_path = ModulePath::parse(&written.module).ok()?;
        let Some(version) = written.version else {
            return Some(Self::Listed(module_path));
        };
        let version = Version::parse(&version).ok()?;
        let module = ModuleVersion::new(module_path, version).ok()?;
        let record = written.record?.read().ok()?;
        Some(Self::Stored(module, Box::new(record)))
    }
}

#[cfg(test)]
mod tests;
