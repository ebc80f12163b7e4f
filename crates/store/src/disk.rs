//! The cache folder: `DIR/download`, `DIR/state`, `DIR/staging`.
//!
//! `DIR/download` is a static GOPROXY that nginx, rsync or `GOPROXY=file://…` can read. What makes a
//! file trusted is not its name but its record in `DIR/state`: [`DiskStore`] opens a file only if the
//! version's record names it and its size agrees. Whatever else lies in `download` is absent, and the
//! next commit overwrites it.
//!
//! # Why nothing partial is ever opened
//! A commit takes these steps, the later ones under the module's lock:
//! 1. the bytes are in a file under `DIR/staging`, synced;
//! 2. the record is read: another `h1:` ends the commit, and so does a trusted file in place;
//! 3. an untrusted file that has the name is removed, and its folder synced;
//! 4. the new record is written, synced, renamed into place, and its folder synced;
//! 5. the file is renamed into place, and its folder synced;
//! 6. if that completed the version, `list` is written anew.
//!
//! A name in `download` thus only ever appears with synced bytes behind it (1 before 5). Killed
//! before 4, the old record stands: it names no file, or one that is gone. Killed between 4 and 5, the
//! record names a file that is not there, thanks to 3, which reads as absent. Power lost after 5
//! loses at most the name. Killed before 6, `list` is short of a version until the module's next
//! commit; it never names one too many, since [`Store::delete`] writes it before it removes.
//!
//! A reader takes no lock. It opens the file, reads the record, and then looks at the open file: if it
//! still has its name, the record is the one it was put in place under, because the name is never
//! given to another file while a trusted one holds it, and no record is replaced before 3.
//!
//! # Two processes on one folder
//! Commits and deletions of one module exclude each other by an advisory lock on one of 256 files in
//! `DIR/state/locks`, chosen by the module path (not the version: `list` is the module's). The lock is
//! taken on a fresh descriptor each time, so it excludes threads of one process, too.

use crate::folder::{
    Durable, WorkFile, WorkFolder, blocking, create_folders, is_absence, read_if_there, sync_folder,
};
use crate::staging::StagedPlace;
use crate::{
    Body, Committed, FILE_KINDS, FileKey, FileRecord, Namespace, Opened, Record, Store, StoreError,
    Tier, Verified, layout,
};
use async_trait::async_trait;
use bytes::Bytes;
use fs_err as fs;
use gomod::{EscapedVersion, FileKind, ModulePath, ModuleVersion, Sha256, Version};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Files up to this size are read where they are opened: cheaper than a second trip off the reactor.
const READ_AT_ONCE_BYTES: u64 = 64 * 1024;
/// Commits that may run at once; each blocks a thread for its syncs. Measured (ext4, two busy cores, the
/// 1190 files of a cold build, `cargo bench -p store`): 22 to 31 s one at a time, 0.6 to 1.7 s with 16,
/// 0.6 to 2.0 s with 64, for the file system syncs those that wait together. Leaving out every sync
/// took 1.1 s then, so that gathering commits into batches of our own has next to nothing to win.
const COMMITS_AT_ONCE: usize = 32;

/// A store in a folder that is itself a static GOPROXY. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DiskStore {
    folder: Arc<CacheFolder>,
}

#[derive(Debug)]
struct CacheFolder {
    dir: PathBuf,
    work: Arc<WorkFolder>,
    commits: Semaphore,
}

impl DiskStore {
    /// Opens or creates the cache folder `dir`; fails with a clear error where it can't be written.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let work = prepare(dir).map_err(|error| StoreError::unusable(dir, &error))?;
        Ok(Self {
            folder: Arc::new(CacheFolder {
                dir: dir.to_path_buf(),
                work,
                commits: Semaphore::new(COMMITS_AT_ONCE),
            }),
        })
    }

    /// The folder of the store.
    pub(crate) fn dir(&self) -> &Path {
        &self.folder.dir
    }

    /// What is remembered of a version; blocks.
    pub(crate) fn record_blocking(
        &self,
        namespace: Namespace,
        module: &ModuleVersion,
    ) -> Result<Option<Record>, StoreError> {
        self.folder.record(namespace, module)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&CacheFolder) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let folder = Arc::clone(&self.folder);
        blocking(move || work(&folder).map_err(|error| error.in_folder(&folder.dir))).await
    }
}

#[async_trait]
impl Store for DiskStore {
    async fn open(&self, key: &FileKey) -> Result<Option<Opened>, StoreError> {
        let key = key.clone();
        self.run(move |folder| folder.open(&key)).await
    }
    async fn commit(&self, file: Arc<Verified>) -> Result<Committed, StoreError> {
        let turn = self.folder.commits.acquire().await;
        let _turn = turn.expect("the semaphore is never closed");
        self.run(move |folder| folder.commit(&file)).await
    }
    async fn record(
        &self,
        namespace: Namespace,
        module: &ModuleVersion,
    ) -> Result<Option<Record>, StoreError> {
        let module = module.clone();
        self.run(move |folder| folder.record(namespace, &module))
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
        let key = key.clone();
        self.run(move |folder| folder.delete(&key)).await
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
        work.new_file()?.put(&probe)?;
        fs::remove_file(&probe)?;
    }
    Ok(work)
}

impl CacheFolder {
    fn open(&self, key: &FileKey) -> Result<Option<Opened>, StoreError> {
        let path = layout::file(&self.dir, key);
        // A name that changes hands while it is being looked at is rare; one that always does is not ours.
        for _ in 0..8 {
            let file = match fs::File::open(&path) {
                Ok(file) => file.into_parts().0,
                Err(error) if is_absence(&error) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let record = self.record(key.namespace, &key.module)?;
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
            return Ok(Some(Opened {
                body: read_small(file, remembered.len_bytes)?,
                len_bytes: remembered.len_bytes,
                sha256: remembered.sha256,
                source: remembered.source.as_str().into(),
                stored_at: remembered.stored_at,
                tier: Tier::Disk,
            }));
        }
        Ok(None)
    }

    fn commit(&self, verified: &Verified) -> Result<Committed, StoreError> {
        let staged = verified.staged();
        let key = staged.key();
        let hash = verified.accepted().hash;
        if key.kind != FileKind::Info && hash.is_none() {
            let refused = format!("{}.{} has no h1: hash", key.module, key.kind.extension());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, refused).into());
        }
        let _lock = self.lock(key.namespace, key.module.path())?;
        let mut record = self.record(key.namespace, &key.module)?.unwrap_or_default();
        if let (Some(remembered), Some(hash)) = (record.hash(key.kind), hash)
            && remembered != hash
        {
            return Ok(Committed::Differs(record));
        }
        let place = layout::file(&self.dir, key);
        if self.is_in_place(&place, record.file(key.kind))? {
            return Ok(Committed::Same);
        }
        let new = self.synced(verified)?;
        if remove_if_there(&place)? {
            sync_folder(folder_of(&place))?;
        }
        record.remember(
            key.kind,
            hash,
            FileRecord {
                sha256: staged.sha256(),
                len_bytes: staged.len_bytes(),
                stored_at: verified.verified_at(),
                verified_by: verified.accepted().by.clone(),
                source: staged.source().to_owned(),
            },
        );
        let record_path = layout::record(&self.dir, key.namespace, &key.module);
        self.work
            .replace(&record_path, &record.to_json()?, Durable::Yes)?;
        new.put(&place)?;
        sync_folder(folder_of(&place))?;
        if is_complete(&self.dir, key) {
            self.write_list(key.namespace, key.module.path(), None)?;
        }
        Ok(Committed::Stored)
    }

    fn record(
        &self,
        namespace: Namespace,
        module: &ModuleVersion,
    ) -> Result<Option<Record>, StoreError> {
        let path = layout::record(&self.dir, namespace, module);
        match read_if_there(&path)? {
            Some(json) => Record::from_json(&path, &json).map(Some),
            None => Ok(None),
        }
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

    fn delete(&self, key: &FileKey) -> Result<bool, StoreError> {
        let _lock = self.lock(key.namespace, key.module.path())?;
        let place = layout::file(&self.dir, key);
        if is_complete(&self.dir, key) {
            self.write_list(key.namespace, key.module.path(), Some(key.module.version()))?;
        }
        let was_there = remove_if_there(&place)?;
        if was_there {
            sync_folder(folder_of(&place))?;
        }
        Ok(was_there)
    }

    /// Excludes other commits and deletions of the module until the file is dropped.
    fn lock(&self, namespace: Namespace, module_path: &ModulePath) -> io::Result<File> {
        let Namespace::Shared = namespace;
        let Sha256([stripe, ..]) = Sha256::of(module_path.as_str().as_bytes());
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
    fn is_in_place(&self, place: &Path, remembered: Option<&FileRecord>) -> io::Result<bool> {
        let Some(remembered) = remembered else {
            return Ok(false);
        };
        match fs::metadata(place) {
            Ok(metadata) => Ok(metadata.is_file() && metadata.len() == remembered.len_bytes),
            Err(error) if is_absence(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The verified bytes as a synced file that can be renamed into place.
    fn synced<'a>(&self, verified: &'a Verified) -> io::Result<SyncedFile<'a>> {
        let new = match verified.staged().place() {
            StagedPlace::Disk(file) => SyncedFile::Staged(file),
            StagedPlace::Memory(bytes) => {
                let file = self.work.new_file()?;
                (&*file.file).write_all(bytes)?;
                SyncedFile::Written(file)
            }
        };
        new.file().file.sync_all()?;
        Ok(new)
    }

    /// Rewrites the module's `list`, without `leaving`: the versions whose three files are there, in
    /// Go's order. Like Go's mirror it names no pseudo-versions: a list is of tags.
    fn write_list(
        &self,
        namespace: Namespace,
        module_path: &ModulePath,
        leaving: Option<&Version>,
    ) -> io::Result<()> {
        let mut list = String::new();
        for version in self.versions(namespace, module_path)? {
            if !version.is_pseudo() && Some(&version) != leaving {
                list.push_str(version.as_str());
                list.push('\n');
            }
        }
        let path = layout::versions(&self.dir, namespace, module_path).join("list");
        self.work.replace(&path, list.as_bytes(), Durable::Yes)
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

/// A file whose bytes are synced and wait for their name.
enum SyncedFile<'a> {
    Staged(&'a WorkFile),
    Written(WorkFile),
}

impl SyncedFile<'_> {
    fn file(&self) -> &WorkFile {
        match self {
            Self::Staged(file) => file,
            Self::Written(file) => file,
        }
    }

    fn put(&self, place: &Path) -> io::Result<()> {
        self.file().put(place)
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

fn read_small(file: File, len_bytes: u64) -> io::Result<Body> {
    match usize::try_from(len_bytes) {
        Ok(len) if len_bytes <= READ_AT_ONCE_BYTES => {
            let mut bytes = vec![0; len];
            file.read_exact_at(&mut bytes, 0)?;
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
