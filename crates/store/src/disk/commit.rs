//! Commits and deletions, gathered and made durable together.
//!
//! Called by [`super::DiskStore`], whose module documentation argues the order of writes. Nobody waits
//! for a commit before they hand out a file, so that waiting a moment for company costs no client
//! anything, and one sync carries all of it.

use super::journal::Entry;
use super::{CacheFolder, is_complete, remove_if_there};
use crate::at_once::Access;
use crate::folder::{Durable, WorkFile};
use crate::staging::StagedPlace;
use crate::{Committed, FileKey, FileRecord, Namespace, Record, StoreError, Verified, layout};
use gomod::{FileKind, ModulePath, ModuleVersion, Version};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// Batches begin at least this long after each other; the first one after a pause begins at once.
/// Measured on ext4 with the 1120 commits of a cold build: a batch costs some 0.4 ms of processor time
/// for its sync and the thread that runs it. A build brings some fifty files a second.
const PACE: Duration = Duration::from_millis(100);
/// So many that wait are company enough, and the next batch begins sooner: whoever fills a cache a dozen files at
/// a time waits for each of them.
const CROWD: usize = 8;
const PACE_OF_A_CROWD: Duration = Duration::from_millis(25);
/// Commits and deletions of one batch at most, which bounds how long its locks are held.
const BATCH: usize = 512;

/// What waits for the next batch.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    queue: Mutex<Queue>,
    crowded: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    works: Vec<Work>,
    /// A task takes batches from the queue until it is empty.
    is_served: bool,
    last_batch: Option<Instant>,
}

impl Waiting {
    /// Until there is company enough for a batch, or `deadline`.
    async fn crowd_or(&self, deadline: Instant) {
        let crowd = async {
            while self.queue.lock().works.len() < CROWD {
                self.crowded.notified().await;
            }
        };
        // Out of time is as good: the batch is a small one then.
        let _ = tokio::time::timeout_at(deadline, crowd).await;
    }
}

#[derive(Debug)]
enum Work {
    Commit(Arc<Verified>, Reply<Committed>),
    Delete(FileKey, Reply<bool>),
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

impl Work {
    fn key(&self) -> &FileKey {
        match self {
            Self::Commit(verified, _) => verified.staged().key(),
            Self::Delete(key, _) => key,
        }
    }

    fn fail(self, error: StoreError) {
        // Whoever asked may be gone.
        match self {
            Self::Commit(_, reply) => drop(reply.send(Err(error))),
            Self::Delete(_, reply) => drop(reply.send(Err(error))),
        }
    }
}

/// Commits one file with the next batch.
pub(super) async fn commit(
    folder: &Arc<CacheFolder>,
    file: Arc<Verified>,
) -> Result<Committed, StoreError> {
    let (reply, answer) = oneshot::channel();
    enqueue(folder, Work::Commit(file, reply));
    answer.await.unwrap_or_else(|_| Err(died()))
}

/// Deletes one file with the next batch.
pub(super) async fn delete(folder: &Arc<CacheFolder>, key: FileKey) -> Result<bool, StoreError> {
    let (reply, answer) = oneshot::channel();
    enqueue(folder, Work::Delete(key, reply));
    answer.await.unwrap_or_else(|_| Err(died()))
}

fn died() -> StoreError {
    StoreError::Io(io::Error::other("the batch of this commit died"))
}

fn enqueue(folder: &Arc<CacheFolder>, work: Work) {
    let was_served = {
        let mut queue = folder.waiting.queue.lock();
        queue.works.push(work);
        if queue.works.len() == CROWD {
            folder.waiting.crowded.notify_one();
        }
        std::mem::replace(&mut queue.is_served, true)
    };
    // Not under the lock: a runtime that is shutting down drops the task here and now, which takes it.
    if !was_served {
        tokio::spawn(serve(Served(Some(Arc::clone(folder)))));
    }
}

/// Lets another task serve the queue where this one is dropped before it came to the queue's end.
struct Served(Option<Arc<CacheFolder>>);

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(folder) = &self.0 {
            folder.waiting.queue.lock().is_served = false;
        }
    }
}

async fn serve(mut served: Served) {
    while let Some(folder) = &served.0 {
        let last_batch = {
            let mut queue = folder.waiting.queue.lock();
            if queue.works.is_empty() {
                queue.is_served = false;
                drop(queue);
                // Said already; another task may serve it from here on.
                served.0 = None;
                return;
            }
            queue.last_batch
        };
        if let Some(last) = last_batch {
            tokio::time::sleep_until(last + PACE_OF_A_CROWD).await;
            folder.waiting.crowd_or(last + PACE).await;
        }
        let works: Vec<Work> = {
            let mut queue = folder.waiting.queue.lock();
            queue.last_batch = Some(Instant::now());
            let count = queue.works.len().min(BATCH);
            queue.works.drain(..count).collect()
        };
        let batch_folder = Arc::clone(folder);
        let done = tokio::task::spawn_blocking(move || batch_folder.run_batch(works)).await;
        if let Ok(later) = done {
            folder.waiting.queue.lock().works.splice(0..0, later);
        }
    }
}

/// A version of the batch: the record that it gets, and its files with those who wait for them.
struct Changed<'batch> {
    record: Record,
    files: Vec<(FileKey, NewFile<'batch>, Reply<Committed>)>,
}

/// A file whose bytes wait for their name.
enum NewFile<'batch> {
    Staged(&'batch WorkFile),
    Written(WorkFile),
}

impl NewFile<'_> {
    fn put(&self, place: &std::path::Path) -> io::Result<()> {
        match self {
            Self::Staged(file) => file.put(place, Durable::No),
            Self::Written(file) => file.put(place, Durable::No),
        }
    }
}

impl CacheFolder {
    /// Carries out a batch; what it could not take with it is given back for the next one.
    fn run_batch(&self, works: Vec<Work>) -> Vec<Work> {
        let mut journals = self.journals.lock();
        let modules: BTreeSet<(Namespace, ModulePath)> = works
            .iter()
            .map(|work| (work.key().namespace, work.key().module.path().clone()))
            .collect();
        let _locks = match self.lock_all(&modules) {
            Ok(locks) => locks,
            Err(error) => {
                fail_all(works, &error, &self.dir);
                return Vec::new();
            }
        };
        let mut keys = HashSet::new();
        let (mut commits, mut deletions, mut later) = (Vec::new(), Vec::new(), Vec::new());
        for work in works {
            // What a second commit of a file meets is only known when the first is in place.
            if !keys.insert(work.key().clone()) {
                later.push(work);
                continue;
            }
            match work {
                Work::Commit(verified, reply) => commits.push((verified, reply)),
                Work::Delete(key, reply) => deletions.push((key, reply)),
            }
        }
        let kept: Vec<Arc<Verified>> = commits
            .iter()
            .map(|(verified, _)| Arc::clone(verified))
            .collect();
        let mut changed = BTreeMap::<(Namespace, ModuleVersion), Changed<'_>>::new();
        for (verified, (_, reply)) in kept.iter().zip(commits) {
            let key = verified.staged().key();
            match self.plan(&mut changed, verified) {
                Ok(Planned::New(file, remembered)) => {
                    let version = changed.entry((key.namespace, key.module.clone()));
                    // `plan` made sure that it is there.
                    version.and_modify(|changed| {
                        let hash = verified.accepted().hash;
                        changed.record.remember(key.kind, hash, remembered);
                        changed.files.push((key.clone(), file, reply));
                    });
                }
                Ok(Planned::Known(committed)) => drop(reply.send(Ok(committed))),
                Err(error) => drop(reply.send(Err(error.in_folder(&self.dir)))),
            }
        }
        changed.retain(|_, version| !version.files.is_empty());
        let deletions: Vec<_> = deletions
            .into_iter()
            .map(|(key, reply)| (is_complete(&self.dir, &key), key, reply))
            .collect();

        let entries: Vec<Entry> = changed
            .iter()
            .map(|((_, module), changed)| {
                Entry::Stored(module.clone(), Box::new(changed.record.clone()))
            })
            .chain(
                deletions
                    .iter()
                    .filter(|(is_complete, ..)| *is_complete)
                    .map(|(_, key, _)| Entry::Listed(key.module.path().clone())),
            )
            .collect();
        let named_bytes = kept.iter().map(|file| file.staged().len_bytes()).sum();
        if !entries.is_empty()
            && let Err(error) = journals.append(&entries, named_bytes)
        {
            let commits = changed.into_values().flat_map(|changed| changed.files);
            for (_, _, reply) in commits {
                drop(reply.send(Err(StoreError::Io(again(&error)).in_folder(&self.dir))));
            }
            for (_, _, reply) in deletions {
                drop(reply.send(Err(StoreError::Io(again(&error)).in_folder(&self.dir))));
            }
            return later;
        }
        self.delete_all(deletions);
        let put = self.put_all(changed);
        // Before anyone hears of it: what was staged in memory must leave its room to the next fills.
        drop(kept);
        for (committed, reply) in put {
            drop(reply.send(committed));
        }
        later
    }

    /// The locks of all these modules, in the one order that all processes keep to.
    fn lock_all(&self, modules: &BTreeSet<(Namespace, ModulePath)>) -> io::Result<Vec<File>> {
        let stripes: BTreeSet<u8> = modules
            .iter()
            .map(|(namespace, module_path)| Self::stripe(*namespace, module_path))
            .collect();
        stripes
            .into_iter()
            .map(|stripe| self.lock_stripe(stripe))
            .collect()
    }

    /// Holds a file to what is remembered of its version, which is in `changed` then, and writes its bytes
    /// where they wait for their name.
    fn plan<'batch>(
        &self,
        changed: &mut BTreeMap<(Namespace, ModuleVersion), Changed<'batch>>,
        verified: &'batch Verified,
    ) -> Result<Planned<'batch>, StoreError> {
        let staged = verified.staged();
        let key = staged.key();
        let hash = verified.accepted().hash;
        if key.kind != FileKind::Info && hash.is_none() {
            let refused = format!("{}.{} has no h1: hash", key.module, key.kind.extension());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, refused).into());
        }
        let name = (key.namespace, key.module.clone());
        let version = match changed.entry(name) {
            std::collections::btree_map::Entry::Occupied(there) => there.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                let record = self.record(key.namespace, &key.module, Access::Patient)?;
                place.insert(Changed {
                    record: record.unwrap_or_default(),
                    files: Vec::new(),
                })
            }
        };
        let record = &version.record;
        if let (Some(remembered), Some(hash)) = (record.hash(key.kind), hash)
            && remembered != hash
        {
            return Ok(Planned::Known(Committed::Differs(record.clone())));
        }
        if self.is_in_place(key, record.file(key.kind))? {
            return Ok(Planned::Known(Committed::Same));
        }
        let file = match staged.place() {
            StagedPlace::Disk(file) => NewFile::Staged(file),
            StagedPlace::Memory(bytes) => {
                let file = self.work.new_file()?;
                (&*file.file).write_all(bytes)?;
                NewFile::Written(file)
            }
        };
        let remembered = FileRecord {
            sha256: staged.sha256(),
            len_bytes: staged.len_bytes(),
            stored_at: verified.verified_at(),
            verified_by: verified.accepted().by.clone(),
            source: staged.source().to_owned(),
            commit: staged.commit().map(str::to_owned),
        };
        Ok(Planned::New(file, remembered))
    }

    /// Takes names away, after the lists that name their versions were rewritten.
    fn delete_all(&self, deletions: Vec<(bool, FileKey, Reply<bool>)>) {
        let mut leaving = BTreeMap::<(Namespace, ModulePath), Vec<Version>>::new();
        for (_, key, _) in deletions.iter().filter(|(is_complete, ..)| *is_complete) {
            let module = (key.namespace, key.module.path().clone());
            let version = key.module.version().clone();
            leaving.entry(module).or_default().push(version);
        }
        let mut unlisted = BTreeMap::new();
        for ((namespace, module_path), versions) in leaving {
            let written = self.write_list(namespace, &module_path, &versions);
            if let Err(error) = written {
                unlisted.insert((namespace, module_path), error);
            }
        }
        for (was_complete, key, reply) in deletions {
            let module = (key.namespace, key.module.path().clone());
            let deleted = match unlisted.get(&module) {
                Some(error) if was_complete => Err(again(error)),
                _ => remove_if_there(&layout::file(&self.dir, &key)),
            };
            let deleted = deleted.map_err(|error| StoreError::Io(error).in_folder(&self.dir));
            drop(reply.send(deleted));
        }
    }

    /// Writes records, gives files their names, and rewrites the lists of versions that are whole now.
    /// What each commit came to is still to be told.
    fn put_all(
        &self,
        changed: BTreeMap<(Namespace, ModuleVersion), Changed<'_>>,
    ) -> Vec<(Result<Committed, StoreError>, Reply<Committed>)> {
        let mut completed = BTreeSet::new();
        let mut replies = Vec::new();
        for ((namespace, module), changed) in changed {
            let put = self.put_version(namespace, &module, &changed);
            let first = changed.files.first();
            if put.is_ok()
                && let Some((key, ..)) = first
                && is_complete(&self.dir, key)
            {
                completed.insert((namespace, module.path().clone()));
            }
            for (key, file, reply) in changed.files {
                drop(file);
                let put = put.as_ref().map(|()| Committed::Stored).map_err(again);
                replies.push((key, put, reply));
            }
        }
        let mut unlisted = BTreeMap::new();
        for (namespace, module_path) in completed {
            if let Err(error) = self.write_list(namespace, &module_path, &[]) {
                unlisted.insert((namespace, module_path), error);
            }
        }
        let told = replies.into_iter().map(|(key, mut put, reply)| {
            let module = (key.namespace, key.module.path().clone());
            if let Some(error) = unlisted.get(&module) {
                put = put.and_then(|_| Err(again(error)));
            }
            let committed = put.map_err(|error| StoreError::Io(error).in_folder(&self.dir));
            (committed, reply)
        });
        told.collect()
    }

    fn put_version(
        &self,
        namespace: Namespace,
        module: &ModuleVersion,
        changed: &Changed<'_>,
    ) -> io::Result<()> {
        for (key, ..) in &changed.files {
            remove_if_there(&layout::file(&self.dir, key))?;
        }
        let record_path = layout::record(&self.dir, namespace, module);
        let json = changed.record.to_json()?;
        self.work.replace(&record_path, &json, Durable::No)?;
        for (key, file, _) in &changed.files {
            file.put(&layout::file(&self.dir, key))?;
        }
        Ok(())
    }
}

#[expect(
    clippy::large_enum_variant,
    reason = "one is made for each commit and none is kept"
)]
enum Planned<'batch> {
    /// Its bytes wait for their name; what is to be remembered of it.
    New(NewFile<'batch>, FileRecord),
    /// Nothing is to be done.
    Known(Committed),
}

fn fail_all(works: Vec<Work>, error: &io::Error, dir: &std::path::Path) {
    for work in works {
        work.fail(StoreError::Io(again(error)).in_folder(dir));
    }
}

/// The same error for another who waited: the kind and the words.
fn again(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}
