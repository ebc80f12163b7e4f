//! When each version was first seen: the clock that cool-down policies count from.
//!
//! One text file a module, a line `VERSION TIME` for each version, only ever appended to. The first
//! line that names a version counts. A last line that a crash tore is skipped by readers and closed by
//! the next writer. Appends are not synced: a lost line is noted again, later by one listing.

use crate::folder::{blocking, create_folders, is_absence};
use crate::{Namespace, StoreError, layout};
use fs_err as fs;
use gomod::{ModulePath, ModuleVersion, Version};
use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Versions that are remembered in memory over all modules, so that noting a list which says nothing
/// new costs no file access.
const REMEMBERED_VERSIONS: u64 = 200_000;

/// `DIR/state/seen`: one append-only file a module. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FirstSeen {
    dir: Arc<Path>,
    remembered: Arc<Cache<(Namespace, ModulePath), Arc<Seen>, ByVersions>>,
    waiting: Arc<Mutex<Vec<Note>>>,
    /// Held by who writes down what waits, for all.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// Versions of a module that are to be written down.
#[derive(Debug)]
struct Note {
    key: (Namespace, ModulePath),
    versions: HashSet<Version>,
    now: jiff::Timestamp,
    written: oneshot::Sender<Result<(), StoreError>>,
}

/// A module's times as its file had them.
#[derive(Debug, Default)]
struct Seen {
    times: HashMap<Version, jiff::Timestamp>,
    /// How much of the file was read for them.
    file_bytes: u64,
}

#[derive(Clone, Debug)]
struct ByVersions;

impl Weighter<(Namespace, ModulePath), Arc<Seen>> for ByVersions {
    fn weight(&self, _: &(Namespace, ModulePath), seen: &Arc<Seen>) -> u64 {
        1 + seen.times.len() as u64
    }
}

impl FirstSeen {
    /// Opens or creates `state/seen` of the cache folder `dir`.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_remembering(dir, REMEMBERED_VERSIONS)
    }

    fn open_remembering(dir: &Path, versions: u64) -> Result<Self, StoreError> {
        create_folders(&layout::state(dir, "seen", Namespace::Shared))
            .map_err(|error| StoreError::unusable(dir, &error))?;
        Ok(Self {
            dir: dir.into(),
            remembered: Arc::new(Cache::with_weighter(4096, versions, ByVersions)),
            waiting: Arc::default(),
            turn: Arc::default(),
        })
    }

    /// Remembers `now` for those of `versions` that were never seen before.
    pub async fn note(
        &self,
        namespace: Namespace,
        module_path: &ModulePath,
        versions: &[Version],
        now: jiff::Timestamp,
    ) -> Result<(), StoreError> {
        let key = (namespace, module_path.clone());
        let remembered = self.remembered.get(&key);
        let new: HashSet<Version> = versions
            .iter()
            .filter(|version| {
                !remembered
                    .as_ref()
                    .is_some_and(|seen| seen.times.contains_key(version))
            })
            .cloned()
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let (written, answer) = oneshot::channel();
        self.waiting.lock().push(Note {
            key,
            versions: new,
            now,
            written,
        });
        // The files of a batch of commits come here at once: whoever has the turn writes for all that wait by then.
        let turn = self.turn.lock().await;
        let waiting = std::mem::take(&mut *self.waiting.lock());
        if !waiting.is_empty() {
            let this = self.clone();
            blocking(move || {
                this.write(waiting);
                Ok(())
            })
            .await?;
        }
        drop(turn);
        let died = |_| Err(io::Error::other("the writer of this note died").into());
        answer.await.unwrap_or_else(died)
    }

    fn write(&self, notes: Vec<Note>) {
        for note in notes {
            let (namespace, module_path) = &note.key;
            let path = layout::seen(&self.dir, *namespace, module_path);
            let written = append(&path, note.versions, note.now)
                .map(|seen| self.remembered.insert(note.key, Arc::new(seen)))
                .map_err(|error| StoreError::Io(error).in_folder(&self.dir));
            // Whoever asked may be gone.
            drop(note.written.send(written));
        }
    }

    /// When the version was first seen.
    pub async fn of(
        &self,
        namespace: Namespace,
        module: &ModuleVersion,
    ) -> Result<Option<jiff::Timestamp>, StoreError> {
        let key = (namespace, module.path().clone());
        if let Some(seen) = self.remembered.get(&key)
            && let Some(time) = seen.times.get(module.version())
        {
            return Ok(Some(*time));
        }
        let seen = self.read(key).await?;
        Ok(seen.times.get(module.version()).copied())
    }

    /// All of a module's.
    pub async fn all(
        &self,
        namespace: Namespace,
        module_path: &ModulePath,
    ) -> Result<HashMap<Version, jiff::Timestamp>, StoreError> {
        let seen = self.read((namespace, module_path.clone())).await?;
        Ok(seen.times.clone())
    }

    /// The module's times, from memory where the file has not grown since: another process may note.
    async fn read(&self, key: (Namespace, ModulePath)) -> Result<Arc<Seen>, StoreError> {
        let this = self.clone();
        blocking(move || {
            let path = layout::seen(&this.dir, key.0, &key.1);
            let mut file = match fs::File::open(path) {
                Ok(file) => file,
                Err(error) if is_absence(&error) => return Ok(Arc::default()),
                Err(error) => return Err(error.into()),
            };
            if let Some(seen) = this.remembered.get(&key)
                && seen.file_bytes == file.metadata()?.len()
            {
                return Ok(seen);
            }
            let seen = Arc::new(parse(&read_bytes(&mut file)?));
            this.remembered.insert(key, Arc::clone(&seen));
            Ok(seen)
        })
        .await
    }
}

/// Appends those of `new` that the file does not name yet, in one write, and returns all it names.
fn append(path: &Path, new: HashSet<Version>, now: jiff::Timestamp) -> io::Result<Seen> {
    let mut file = open_to_append(path)?;
    // Two processes that list a module at once must not both be first.
    file.file().lock()?;
    let there = read_bytes(&mut file)?;
    let mut seen = parse(&there);
    let mut lines = String::new();
    if there.last().is_some_and(|&byte| byte != b'\n') {
        lines.push('\n');
    }
    let closing_bytes = lines.len();
    for version in new {
        if let Entry::Vacant(unseen) = seen.times.entry(version) {
            let _ = writeln!(lines, "{} {now}", unseen.key());
            unseen.insert(now);
        }
    }
    if lines.len() > closing_bytes {
        file.write_all(lines.as_bytes())?;
        seen.file_bytes += lines.len() as u64;
    }
    Ok(seen)
}

fn open_to_append(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).append(true).create(true);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(path))?;
            options.open(path)
        }
        result => result,
    }
}

fn read_bytes(file: &mut fs::File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads the file; lines that are not of its form, such as a torn one, say nothing.
fn parse(bytes: &[u8]) -> Seen {
    let mut times = HashMap::new();
    for line in bytes.split(|&byte| byte == b'\n') {
        let read = str::from_utf8(line)
            .ok()
            .and_then(|line| line.split_once(' '))
            .and_then(|(version, time)| Some((Version::parse(version).ok()?, time.parse().ok()?)));
        if let Some((version, time)) = read {
            times.entry(version).or_insert(time);
        }
    }
    Seen {
        times,
        file_bytes: bytes.len() as u64,
    }
}

#[cfg(test)]
mod tests;
