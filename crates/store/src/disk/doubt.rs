//! Files that a dead process may not have brought to the disk, and how they come out of doubt.
//!
//! Called when a folder is opened. What the journals of dead processes name is in doubt: its record
//! is what the journal says together with what is in place, and its bytes are held to their SHA-256
//! whenever they are opened. A thread looks after all of them meanwhile: records are written again, files
//! with other bytes go, lists are rewritten; then the file system is synced and the journals go.

use super::journal::{Entry, Left, forget};
use super::{CacheFolder, folder_of, remove_if_there};
use crate::at_once::Access;
use crate::folder::{Durable, read_if_there};
use crate::{FILE_KINDS, FileKey, Namespace, Record, StoreError, layout};
use fs_err as fs;
use gomod::{ModulePath, ModuleVersion, Sha256};
use parking_lot::RwLock;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// What is in doubt; empty a moment after the start.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    versions: RwLock<HashMap<ModuleVersion, Record>>,
    lists: BTreeSet<ModulePath>,
    journals: Vec<std::path::PathBuf>,
    /// Whether any version is: read on each opening, so without the lock.
    any: AtomicBool,
}

impl Doubts {
    pub(super) fn new(left: Left) -> Self {
        let mut versions = HashMap::<ModuleVersion, Record>::new();
        let mut lists = BTreeSet::new();
        for entry in left.entries {
            match entry {
                Entry::Listed(module_path) => {
                    lists.insert(module_path);
                }
                Entry::Stored(module, record) => {
                    lists.insert(module.path().clone());
                    versions.entry(module).or_default().merge(*record);
                }
            }
        }
        Self {
            any: AtomicBool::new(!versions.is_empty()),
            versions: RwLock::new(versions),
            lists,
            journals: left.journals,
        }
    }

    /// What the journals say of a version in doubt.
    pub(super) fn of(&self, module: &ModuleVersion) -> Option<Record> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.versions.read().get(module).cloned()
    }

    fn settle(&self, module: &ModuleVersion) {
        let mut versions = self.versions.write();
        versions.remove(module);
        self.any.store(!versions.is_empty(), Ordering::Release);
    }
}

/// The thread that looks after what is in doubt; stopped and waited for when dropped.
#[derive(Debug)]
pub(super) struct LookingAfter {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl LookingAfter {
    pub(super) fn start(folder: &Arc<CacheFolder>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        if folder.doubts.journals.is_empty() {
            return Self { stop, thread: None };
        }
        let (folder, stopped) = (Arc::clone(folder), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("store-recovery".to_owned())
            .spawn(move || folder.look_after_doubts(&stopped));
        match thread {
            Ok(thread) => Self {
                stop,
                thread: Some(thread),
            },
            Err(error) => {
                tracing::warn!(%error, "cannot start the check of what was stored last; it stays in doubt");
                Self { stop, thread: None }
            }
        }
    }

    /// Waits until nothing is in doubt.
    #[cfg(test)]
    pub(super) fn wait(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it does not panic");
        }
    }
}

impl Drop for LookingAfter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic in it was told already, and its doubts stay.
            let _ = thread.join();
        }
    }
}

impl CacheFolder {
    fn look_after_doubts(&self, stop: &AtomicBool) {
        let versions: Vec<ModuleVersion> = self.doubts.versions.read().keys().cloned().collect();
        let count = versions.len();
        let mut damaged = 0;
        for module in versions {
            if stop.load(Ordering::Acquire) {
                return;
            }
            match self.look_after(&module) {
                Ok(removed) => damaged += removed,
                Err(error) => {
                    tracing::warn!(%module, %error, "cannot check what was stored before the last end; it stays in doubt");
                    return;
                }
            }
        }
        for module_path in &self.doubts.lists {
            if stop.load(Ordering::Acquire) {
                return;
            }
            if let Err(error) = self.renew_list(module_path) {
                tracing::warn!(module = %module_path, %error, "cannot rewrite a list");
                return;
            }
        }
        if damaged > 0 {
            tracing::warn!(
                versions = count,
                damaged,
                "files that the last end cut off were removed; they are fetched again when asked for"
            );
        }
        if let Err(error) = forget(&self.dir, &self.doubts.journals) {
            tracing::warn!(%error, "cannot sync the cache folder; the same is checked after the next start");
        }
    }

    /// Brings a version out of doubt; how many of its files had other bytes and are gone.
    fn look_after(&self, module: &ModuleVersion) -> Result<usize, StoreError> {
        let namespace = Namespace::Shared;
        let _lock = self.lock(namespace, module.path())?;
        let Some(record) = self.record(namespace, module, Access::Patient)? else {
            return Ok(0);
        };
        let path = layout::record(&self.dir, namespace, module);
        let json = record.to_json()?;
        if read_if_there(&path)?.as_ref() != Some(&json) {
            self.work.replace(&path, &json, Durable::No)?;
        }
        let mut removed = 0;
        for kind in FILE_KINDS {
            let key = FileKey {
                namespace,
                module: module.clone(),
                kind,
            };
            let place = layout::file(&self.dir, &key);
            let file = match fs::File::open(&place) {
                Ok(file) => file.into_parts().0,
                Err(error) if crate::folder::is_absence(&error) => continue,
                Err(error) => return Err(error.into()),
            };
            let remembered = record.file(kind);
            let is_right = match remembered {
                Some(remembered) => has_bytes(&file, remembered.sha256)?,
                None => false,
            };
            if !is_right && remove_if_there(&place)? {
                removed += 1;
            }
        }
        self.doubts.settle(module);
        Ok(removed)
    }

    fn renew_list(&self, module_path: &ModulePath) -> io::Result<()> {
        let namespace = Namespace::Shared;
        let _lock = self.lock(namespace, module_path)?;
        let path = layout::versions(&self.dir, namespace, module_path).join("list");
        if folder_of(&path).is_dir() {
            self.write_list(namespace, module_path, &[])?;
        }
        Ok(())
    }
}

/// True where the file holds the bytes of this SHA-256.
pub(super) fn has_bytes(mut file: &File, expected: Sha256) -> io::Result<bool> {
    use aws_lc_rs::digest::{Context, SHA256};
    use std::io::{Seek as _, SeekFrom};
    let mut hash = Context::new(&SHA256);
    let mut buffer = vec![0; 64 * 1024];
    file.seek(SeekFrom::Start(0))?;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(buffer.get(..read).unwrap_or_default());
    }
    Ok(hash.finish().as_ref() == expected.0)
}

#[cfg(test)]
mod tests;
