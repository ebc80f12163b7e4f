//! The cache folder: `DIR/download`, `DIR/state`, `DIR/staging`.
//!
//! `DIR/download` is a static GOPROXY that nginx, rsync or `GOPROXY=file://…` can read. What makes a
//! file trusted is not its name but its record in `DIR/state`: [`DiskStore`] opens a file only if the
//! version's record names it and its size agrees. Whatever else lies in `download` is absent, and the
//! next commit overwrites it.
//!
//! # Why nothing partial is ever opened
//! Commits and deletions are gathered for a moment ([`commit`]) and carried out together, under the locks of
//! their modules:
//! 1. the bytes of each file are in a file under `DIR/staging`;
//! 2. the record is read: another `h1:` ends the commit, and so does a trusted file in place;
//! 3. the new records are appended to this process's [`journal`], which is synced: **the one sync of
//!    the batch**, and the moment from which a record is kept for ever;
//! 4. an untrusted file that has the name is removed;
//! 5. the new record is written under `staging` and renamed into place;
//! 6. the file is renamed into place;
//! 7. if that completed a version, its module's `list` is written anew.
//!
//! When a journal is full, a new one begins, the whole file system is synced once, and the old one is removed. So
//! whatever no journal names is on the disk, whole.
//!
//! *While a process lives*, and those beside it, all see one and the same page cache: nothing has a name before it
//! is whole (1 before 6), and no record names a file that has not been verified (4 before 5).
//!
//! *When it dies*, by a signal or with the power, its journal stays and its lock is gone. Whoever opens the
//! folder next finds it, and what it names is in [`doubt`]: the record is what the journal and the
//! record's file know together, and a file is opened only if its bytes have the SHA-256 that is
//! remembered. That covers every order in which a loss of power can keep or lose what was written in 4 to 7: a name
//! without its bytes, zeros of the right length, an old file that came back, a record that was torn. Killed
//! before 3, nothing of the batch is remembered, and nothing of it has a name. The doubts
//! are looked after at once, in the background, and are gone a moment after the start.
//!
//! A deletion names the module in the journal where a `list` must be rewritten, rewrites it, and takes the name
//! away. A `list` thus never names one too many while a process lives, and is rewritten after it died.
//!
//! What other programs read from `DIR/download` is whole, except after a loss of power and until Larder has
//! started again.
//!
//! A reader takes no lock. It opens the file, reads the record, and then looks at the open file: if it
//! still has its name, the record is the one it was put in place under, because the name is never
//! given to another file while a trusted one holds it, and no record is replaced before 4. A reader whose file
//! loses its name reads on: the bytes go when the last descriptor does.
//!
//! # Two processes on one folder
//! Commits and deletions of one module exclude each other by an advisory lock on one of 256 files in
//! `DIR/state/locks`, chosen by the module path (not the version: `list` is the module's). The lock is
//! taken on a fresh descriptor each time, so it excludes threads of one process, too; a batch takes all of its
//! locks in ascending order. Each process writes a journal of its own.

mod commit;
mod doubt;
mod journal;

use crate::at_once::Access;
use crate::folder::{Durable, WorkFolder, blocking, create_folders, is_absence, sync_folder};
use crate::{
    Body, Committed, FILE_KINDS, FileKey, FileRecord, Namespace, Opened, Record, Store, StoreError,
    Tier, Verified, layout,
};
use async_trait::async_trait;
use bytes::Bytes;
use doubt::{Doubts, LookingAfter};
use fs_err as fs;
use gomod::{EscapedVersion, FileKind, ModulePath, ModuleVersion, Sha256, Version};
use journal::Journals;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files up to this size are read where they are opened: cheaper than a second trip off the reactor.
const READ_AT_ONCE_BYTES: u64 = 64 * 1024;

/// A store in a folder that is itself a static GOPROXY. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DiskStore {
    handle: Arc<Handle>,
}

/// Ends what runs beside the store when the last clone of it is dropped.
#[derive(Debug)]
struct Handle {
    folder: Arc<CacheFolder>,
    #[cfg_attr(not(test), expect(dead_code, reason = "held for its end"))]
    looking_after: LookingAfter,
}

#[derive(Debug)]
struct CacheFolder {
    dir: PathBuf,
    work: Arc<WorkFolder>,
    waiting: commit::Waiting,
    /// Locked by the batch that runs.
    journals: Mutex<Journals>,
    doubts: Doubts,
    /// How far the reactor may look by itself.
    at_once: Access,
}

impl DiskStore {
    /// Opens or creates the cache folder `dir`; fails with a clear error where it can't be written.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let unusable = |error: io::Error| StoreError::unusable(dir, &error);
        let work = prepare(dir).map_err(unusable)?;
        let left = journal::left_by_the_dead(dir).map_err(unusable)?;
        let folder = Arc::new(CacheFolder {
            dir: dir.to_path_buf(),
            work,
            waiting: commit::Waiting::default(),
            journals: Mutex::new(Journals::new(dir)),
            doubts: Doubts::new(left),
            at_once: Access::on_the_reactor(dir),
        });
        Ok(Self {
            handle: Arc::new(Handle {
                looking_after: LookingAfter::start(&folder),
                folder,
            }),
        })
    }

    /// The folder of the store.
    pub(crate) fn dir(&self) -> &Path {
        &self.handle.folder.dir
    }

    /// What is remembered of a version; blocks.
    pub(crate) fn record_blocking(
        &self,
        namespace: Namespace,
        module: &ModuleVersion,
    ) -> Result<Option<Record>, StoreError> {
        self.handle
            .folder
            .record(namespace, module, Access::Patient)
    }

    /// Opens the file that has the name, whoever vouches for it; `None` where there is none. Blocks.
    pub(crate) fn open_named(&self, key: &FileKey) -> io::Result<Option<File>> {
        match fs::File::open(layout::file(self.dir(), key)) {
            Ok(file) => Ok(Some(file.into_parts().0)),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives a file that is in the folder another name, outside of it, if it still is `file`; its record
    /// stays. False where it is not. Blocks.
    pub(crate) fn move_away(
        &self,
        key: &FileKey,
        file: FileIdentity,
        to: &Path,
    ) -> Result<bool, StoreError> {
        self.handle.folder.move_away(key, file, to)
    }

    /// What needs no wait for the disk; `None` where it does. A file in doubt must be hashed first, which takes
    /// longer than the reactor has.
    fn at_once<T>(
        &self,
        module: &ModuleVersion,
        look: impl FnOnce(&CacheFolder, Access) -> Result<T, StoreError>,
    ) -> Option<Result<T, StoreError>> {
        let folder = &self.handle.folder;
        if folder.doubts.of(module).is_some() {
            return None;
        }
        match look(folder, folder.at_once) {
            Err(StoreError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => None,
            answer => Some(answer.map_err(|error| error.in_folder(&folder.dir))),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&CacheFolder) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let folder = Arc::clone(&self.handle.folder);
        blocking(move || work(&folder).map_err(|error| error.in_folder(&folder.dir))).await
    }
}

#[async_trait]
impl Store for DiskStore {
    async fn open(&self, key: &FileKey) -> Result<Option<Opened>, StoreError> {
        let open = |folder: &CacheFolder, access| folder.open(key, access);
        if let Some(answer) = self.at_once(&key.module, open) {
            return answer;
        }
        let key = key.clone();
        self.run(move |folder| folder.open(&key, Access::Patient))
            .await
    }
    async fn commit(&self, file: Arc<Verified>) -> Result<Committed, StoreError> {
        commit::commit(&self.handle.folder, file).await
    }
    async fn record(
        &self,
        namespace: Namespace,
        module: &ModuleVersion,
    ) -> Result<Option<Record>, StoreError> {
        let read = |folder: &CacheFolder, access| folder.record(namespace, module, access);
        if let Some(answer) = self.at_once(module, read) {
            return answer;
        }
        let module = module.clone();
        self.run(move |folder| folder.record(namespace, &module, Access::Patient))
            .await
    }
    async fn versions(
        &self,
        namespace: Namespace,
        module_path: &ModulePath,
    ) -> Result<Vec<Version>, StoreError> {
        let module_path = module_path.clone();
        self.run(move |folder| Ok(folder.versions(namespace, &module_path)?))
            .await
    }
    async fn knows(
        &self,
        namespace: Namespace,
        module_path: &ModulePath,
    ) -> Result<bool, StoreError> {
        let module_path = module_path.clone();
        self.run(move |folder| Ok(folder.knows(namespace, &module_path)?))
            .await
    }
    async fn delete(&self, key: &FileKey) -> Result<bool, StoreError> {
        commit::delete(&self.handle.folder, key.clone()).await
    }
}

/// Creates the folders and proves that files can be written and moved between them.
fn prepare(dir: &Path) -> io::Result<Arc<WorkFolder>> {
    let download = layout::download(dir, Namespace::Shared);
    let records = layout::state(dir, "records", Namespace::Shared);
    for folder in [
        &download,
        &records,
        &layout::locks(dir),
        &layout::staging(dir),
    ] {
        create_folders(folder)?;
    }
    let work = WorkFolder::create(&layout::staging(dir))?;
    for folder in [&download, &records] {
        let probe = folder.join(format!(".probe-{:016x}", fastrand::u64(..)));
        work.new_file()?.put(&probe, Durable::No)?;
        fs::remove_file(&probe)?;
    }
    Ok(work)
}

impl CacheFolder {
    fn open(&self, key: &FileKey, access: Access) -> Result<Option<Opened>, StoreError> {
        let path = layout::file(&self.dir, key);
        // A name that changes hands while it is being looked at is rare; one that always does is not ours.
        for _ in 0..8 {
            let file = match access.open(&path) {
                Ok(file) => file,
                Err(error) if is_absence(&error) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let (record, in_doubt) = self.record_with_doubt(key.namespace, &key.module, access)?;
            let metadata = file.metadata()?;
            if metadata.nlink() == 0 {
                continue;
            }
            let Some(remembered) = record.as_ref().and_then(|record| record.file(key.kind)) else {
                return Ok(None);
            };
            if !metadata.is_file() || metadata.len() != remembered.len_bytes {
                return Ok(None);
            }
            if in_doubt && !doubt::has_bytes(&file, remembered.sha256)? {
                return Ok(None);
            }
            return Ok(Some(Opened {
                body: read_small(file, remembered.len_bytes, access)?,
                len_bytes: remembered.len_bytes,
                sha256: remembered.sha256,
                source: remembered.source.as_str().into(),
                stored_at: remembered.stored_at,
                tier: Tier::Disk,
            }));
        }
        Ok(None)
    }

    fn record(
        &self,
        namespace: Namespace,
        module: &ModuleVersion,
        access: Access,
    ) -> Result<Option<Record>, StoreError> {
        self.record_with_doubt(namespace, module, access)
            .map(|(record, _)| record)
    }

    /// What is remembered of a version, and whether its files must be held to their SHA-256 first.
    fn record_with_doubt(
        &self,
        namespace: Namespace,
        module: &ModuleVersion,
        access: Access,
    ) -> Result<(Option<Record>, bool), StoreError> {
        // Before the file is read: it is right when the doubt is gone.
        let doubt = self.doubts.of(module);
        let path = layout::record(&self.dir, namespace, module);
        let written = match access.read_if_there(&path)? {
            Some(json) => Record::from_json(&path, &json).map(Some),
            None => Ok(None),
        };
        let Some(journalled) = doubt else {
            return Ok((written?, false));
        };
        let record = match written {
            Ok(Some(mut record)) => {
                record.merge(journalled);
                record
            }
            // Torn or lost: the journal has all that was in it.
            Ok(None) | Err(StoreError::Damaged { .. }) => journalled,
            Err(error) => return Err(error),
        };
        Ok((Some(record), true))
    }

    fn versions(&self, namespace: Namespace, module_path: &ModulePath) -> io::Result<Vec<Version>> {
        let mut kinds = BTreeMap::<Version, usize>::new();
        for (version, _) in self.files(namespace, module_path)? {
            *kinds.entry(version).or_default() += 1;
        }
        Ok(kinds
            .into_iter()
            .filter(|&(_, count)| count == FILE_KINDS.len())
            .map(|(version, _)| version)
            .collect())
    }

    fn knows(&self, namespace: Namespace, module_path: &ModulePath) -> io::Result<bool> {
        Ok(!self.files(namespace, module_path)?.is_empty())
    }

    /// As a deletion, but the file keeps a name. Durable when it returns.
    fn move_away(&self, key: &FileKey, file: FileIdentity, to: &Path) -> Result<bool, StoreError> {
        let _lock = self.lock(key.namespace, key.module.path())?;
        let place = layout::file(&self.dir, key);
        match fs::metadata(&place) {
            Ok(metadata) if FileIdentity::of(&metadata) == file => {}
            Ok(_) => return Ok(false),
            Err(error) if is_absence(&error) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        if is_complete(&self.dir, key) {
            let leaving = std::slice::from_ref(key.module.version());
            self.write_list(key.namespace, key.module.path(), leaving)?;
        }
        fs::rename(&place, to)?;
        sync_folder(folder_of(to))?;
        sync_folder(folder_of(&place))?;
        Ok(true)
    }

    /// Excludes other commits and deletions of the module until the file is dropped.
    fn lock(&self, namespace: Namespace, module_path: &ModulePath) -> io::Result<File> {
        self.lock_stripe(Self::stripe(namespace, module_path))
    }

    fn stripe(namespace: Namespace, module_path: &ModulePath) -> u8 {
        let Namespace::Shared = namespace;
        let Sha256([stripe, ..]) = Sha256::of(module_path.as_str().as_bytes());
        stripe
    }

    fn lock_stripe(&self, stripe: u8) -> io::Result<File> {
        let path = layout::locks(&self.dir).join(format!("{stripe:02x}"));
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        file.file().lock()?;
        Ok(file.into_parts().0)
    }

    /// True where the trusted file is there.
    fn is_in_place(
        &self,
        key: &FileKey,
        remembered: Option<&FileRecord>,
    ) -> Result<bool, StoreError> {
        let Some(remembered) = remembered else {
            return Ok(false);
        };
        let place = layout::file(&self.dir, key);
        match fs::metadata(&place) {
            Ok(metadata) if metadata.is_file() && metadata.len() == remembered.len_bytes => {}
            Ok(_) => return Ok(false),
            Err(error) if is_absence(&error) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        if self.doubts.of(&key.module).is_none() {
            return Ok(true);
        }
        let file = fs::File::open(&place)?.into_parts().0;
        Ok(doubt::has_bytes(&file, remembered.sha256)?)
    }

    /// Rewrites the module's `list`, without `leaving`: the versions whose three files are there, in
    /// Go's order. Like Go's mirror it names no pseudo-versions: a list is of tags.
    fn write_list(
        &self,
        namespace: Namespace,
        module_path: &ModulePath,
        leaving: &[Version],
    ) -> io::Result<()> {
        let mut list = String::new();
        for version in self.versions(namespace, module_path)? {
            if !version.is_pseudo() && !leaving.contains(&version) {
                list.push_str(version.as_str());
                list.push('\n');
            }
        }
        let path = layout::versions(&self.dir, namespace, module_path).join("list");
        self.work.replace(&path, list.as_bytes(), Durable::No)
    }

    /// The module files that have a name here, trusted or not.
    fn files(
        &self,
        namespace: Namespace,
        module_path: &ModulePath,
    ) -> io::Result<Vec<(Version, FileKind)>> {
        let entries = match fs::read_dir(layout::versions(&self.dir, namespace, module_path)) {
            Ok(entries) => entries,
            Err(error) if is_absence(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut files = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            if let Some(file) = name.to_str().and_then(file_of_name) {
                files.push(file);
            }
        }
        Ok(files)
    }
}

/// Tells one file from another that has or had its name. The number of an inode is given away again as soon as its file
/// is gone, so the time of its last change belongs to it: that of a file that was put in place since is later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    device: u64,
    inode: u64,
    /// Seconds and nanoseconds.
    changed_at: (i64, i64),
}

impl FileIdentity {
    pub(crate) fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            changed_at: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Reads `v1.2.3.zip`; `None` for any other name.
pub(crate) fn file_of_name(name: &str) -> Option<(Version, FileKind)> {
    let (version, extension) = name.rsplit_once('.')?;
    let kind = FILE_KINDS
        .into_iter()
        .find(|kind| kind.extension() == extension)?;
    let revision = EscapedVersion::parse(version).ok()?.unescape();
    Some((Version::parse(revision.as_str()).ok()?, kind))
}

/// True where all three files of the version have their names.
fn is_complete(dir: &Path, key: &FileKey) -> bool {
    FILE_KINDS.into_iter().all(|kind| {
        let key = FileKey {
            kind,
            ..key.clone()
        };
        layout::file(dir, &key).exists()
    })
}

fn read_small(file: File, len_bytes: u64, access: Access) -> io::Result<Body> {
    match usize::try_from(len_bytes) {
        Ok(len) if len_bytes <= READ_AT_ONCE_BYTES => {
            let mut bytes = vec![0; len];
            access.read_exact(&file, &mut bytes)?;
            Ok(Body::Bytes(Bytes::from(bytes)))
        }
        _ => Ok(Body::File(Arc::new(file))),
    }
}

fn remove_if_there(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if is_absence(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

#[cfg(test)]
mod tests;
