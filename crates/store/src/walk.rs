//! Every file that has a name in `DIR/download`, one after the other.
//!
//! Eviction, the scrub and the `cache` commands read the folder through this. It opens no module file
//! and changes nothing. Files come in an order that does not depend on the file system, so that a walk
//! can be taken up where another one ended; the files of one version follow each other.
//!
//! # Memory
//! A folder is read in windows: the next [`WINDOW_NAMES`] names in order, and once these are used up, the
//! folder is read again for the next ones. A walk so holds a few windows, however many names there are, and
//! no descriptor while its caller looks at a file.

use crate::disk::{DiskStore, file_of_name};
use crate::folder::is_absence;
use crate::{FileKey, FileRecord, Namespace, Record, StoreError, layout};
use fs_err as fs;
use gomod::{EscapedPath, FileKind, ModulePath, ModuleVersion, Version};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Names that are held of one folder.
const WINDOW_NAMES: usize = 32 * 1024;
/// Folders below each other at most; no module path has as many elements.
const DEPTH: usize = 256;

/// One thing that has a name in `DIR/download`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A file with the name of a module file.
    File(WalkedFile),
    /// Something that has no business there. Never served, and never touched by us.
    Stranger(Stranger),
}

/// A file with the name of a module file, as it was when the walk passed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkedFile {
    /// Which one.
    pub key: FileKey,
    /// Its size.
    pub len_bytes: u64,
    /// When it was committed; where no record vouches for it, when it was last written to.
    pub stored_at: jiff::Timestamp,
    /// Whether it is served.
    pub standing: Standing,
}

/// Whether a record vouches for a file: names it, with the size that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does: the file is served.
    Vouched(FileRecord),
    /// Nothing is remembered of that file: it reads as absent.
    Unknown,
    /// The record names it with another size: it reads as absent.
    OtherSize {
        /// What the record says of it.
        remembered: FileRecord,
    },
}

impl WalkedFile {
    /// What the record says of it, where it vouches for it.
    pub fn vouched(&self) -> Option<&FileRecord> {
        match &self.standing {
            Standing::Vouched(record) => Some(record),
            Standing::Unknown | Standing::OtherSize { .. } => None,
        }
    }
}

/// Something in `DIR/download` that is none of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// Its path below `DIR/download`.
    pub path: PathBuf,
    /// Its size, where it is a file.
    pub len_bytes: Option<u64>,
    /// Why it is none of ours.
    pub reason: String,
}

/// What could not be looked at. The walk goes on behind it.
#[derive(Debug, thiserror::Error)]
#[error("cannot look at `{path}`: {error}")]
pub struct WalkError {
    /// Its path below `DIR/download`; empty for that folder itself.
    pub path: PathBuf,
    /// Why.
    pub error: StoreError,
}

/// A place in the order of a walk: the path below `DIR/download` of what was passed last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position(PathBuf);

impl Position {
    /// Behind the file of `key`, which need not be there.
    pub fn behind(key: &FileKey) -> Self {
        let path = layout::file(Path::new(""), key);
        let download = layout::download(Path::new(""), key.namespace);
        Self(path.strip_prefix(&download).unwrap_or(&path).to_path_buf())
    }

    /// The place that [`Self::as_path`] named.
    pub fn of_path(path: PathBuf) -> Self {
        Self(path)
    }

    /// The path below `DIR/download`.
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl DiskStore {
    /// Walks over `DIR/download` from its beginning. The iterator blocks.
    pub fn walk(&self) -> Walk {
        self.walk_from(None)
    }

    /// Walks over what comes behind `position`; from the beginning where there is none. The iterator blocks.
    pub fn walk_from(&self, position: Option<Position>) -> Walk {
        let root = layout::download(self.dir(), Namespace::Shared);
        let bounds = position.map(|position| {
            let elements = position.0.iter().map(OsStr::to_owned).collect();
            Bounds { elements }
        });
        Walk {
            store: self.clone(),
            folders: vec![Folder::new(PathBuf::new(), Module::None)],
            root,
            resume: bounds,
            version: None,
        }
    }
}

/// A walk over the folder; see [`DiskStore::walk`].
#[derive(Debug)]
pub struct Walk {
    store: DiskStore,
    root: PathBuf,
    /// The folders from the root to where the walk is.
    folders: Vec<Folder>,
    /// Where to take it up, until that place is reached.
    resume: Option<Bounds>,
    /// The record of the version that was looked at last.
    version: Option<(ModuleVersion, Option<Record>)>,
}

/// The elements of the path behind which a walk begins.
#[derive(Debug)]
struct Bounds {
    elements: Vec<OsString>,
}

/// A folder on the way to where the walk is.
#[derive(Debug)]
struct Folder {
    /// Below the root.
    path: PathBuf,
    module: Module,
    /// The names to come, the next one last; none were read yet where it is `None`.
    window: Option<Vec<Name>>,
    /// The last name of the window, where the folder may have more behind it.
    more_behind: Option<Name>,
}

/// What a folder is to modules.
#[derive(Clone, Debug)]
enum Module {
    /// Part of a path, or anything else.
    None,
    /// The `@v` of a module.
    Versions(ModulePath),
    /// An `@v` of something whose path is none; the reason.
    Invalid(String),
}

/// A name in a folder, in the order of a walk: by what stands before its last dot, then by what follows, so
/// that nothing comes between the files of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name(OsString);

impl Name {
    fn parts(&self) -> (&[u8], &[u8]) {
        let bytes = self.0.as_bytes();
        let dot = bytes.iter().rposition(|&byte| byte == b'.');
        bytes.split_at(dot.unwrap_or(bytes.len()))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Folder {
    fn new(path: PathBuf, module: Module) -> Self {
        Self {
            path,
            module,
            window: None,
            more_behind: None,
        }
    }

    /// The next name. Reads the next window where this one is used up.
    fn next(&mut self, root: &Path, from: Option<&Start>) -> io::Result<Option<Name>> {
        if self.window.is_none() {
            self.read(root, from)?;
        }
        let window = self.window.get_or_insert_default();
        if window.is_empty()
            && let Some(last) = self.more_behind.take()
        {
            self.read(root, Some(&Start::Behind(last)))?;
        }
        Ok(self.window.get_or_insert_default().pop())
    }

    fn read(&mut self, root: &Path, from: Option<&Start>) -> io::Result<()> {
        // Whatever goes wrong, the folder is not read again for the same window.
        self.window = Some(Vec::new());
        let mut window = BTreeSet::new();
        for entry in fs::read_dir(root.join(&self.path))? {
            let name = Name(entry?.file_name());
            if from.is_some_and(|from| !from.admits(&name)) {
                continue;
            }
            if window.len() == WINDOW_NAMES {
                if window.last().is_some_and(|last| *last < name) {
                    self.more_behind = window.last().cloned();
                    continue;
                }
                window.pop_last();
            }
            window.insert(name);
            if window.len() == WINDOW_NAMES {
                self.more_behind = window.last().cloned();
            }
        }
        self.window = Some(window.into_iter().rev().collect());
        Ok(())
    }
}

/// Where the reading of a folder begins.
enum Start {
    /// At the name itself.
    At(Name),
    /// Behind it.
    Behind(Name),
}

impl Start {
    fn admits(&self, name: &Name) -> bool {
        match self {
            Self::At(first) => name >= first,
            Self::Behind(last) => name > last,
        }
    }
}

impl Walk {
    /// Where the reading of the innermost folder begins, if the walk is still on its way to where it is taken
    /// up.
    fn start(&self) -> Option<Start> {
        let depth = self.folders.len().checked_sub(1)?;
        let bounds = self.resume.as_ref()?;
        let name = Name(bounds.elements.get(depth)?.clone());
        Some(if depth + 1 == bounds.elements.len() {
            Start::Behind(name)
        } else {
            Start::At(name)
        })
    }

    /// What the name is; `None` for what is ours and no module file, and for what is gone by now.
    fn look(&mut self, name: &Name) -> Option<Result<Found, WalkError>> {
        let folder = self.folders.last()?;
        let path = folder.path.join(&name.0);
        let module = folder.module.clone();
        match self.judge(&path, &module, name) {
            Ok(found) => found.map(Ok),
            Err(StoreError::Io(error)) if is_absence(&error) => None,
            Err(error) => Some(Err(WalkError { path, error })),
        }
    }

    fn judge(
        &mut self,
        path: &Path,
        module: &Module,
        name: &Name,
    ) -> Result<Option<Found>, StoreError> {
        let place = self.root.join(path);
        let metadata = fs::symlink_metadata(&place)?;
        let stranger = |len_bytes, reason: String| {
            let path = path.to_path_buf();
            Ok(Some(Found::Stranger(Stranger {
                path,
                len_bytes,
                reason,
            })))
        };
        if metadata.is_dir() {
            return match module {
                Module::None if self.folders.len() < DEPTH => {
                    let module = module_of(path, name);
                    self.folders.push(Folder::new(path.to_path_buf(), module));
                    Ok(None)
                }
                Module::None => stranger(None, "too many folders below each other".into()),
                Module::Versions(_) | Module::Invalid(_) => {
                    stranger(None, "a folder among the files of a module".into())
                }
            };
        }
        // A link to a file is served like a file.
        let metadata = fs::metadata(&place)?;
        let is_file = metadata.is_file();
        let len_bytes = is_file.then_some(metadata.len());
        let text = name.0.to_str();
        let module_path = match module {
            Module::Versions(module_path) => module_path,
            Module::Invalid(reason) => return stranger(len_bytes, reason.clone()),
            Module::None if self.folders.len() == 1 && is_probe(name) => return Ok(None),
            Module::None => return stranger(len_bytes, "it is outside of any module".into()),
        };
        if text == Some("list") && is_file {
            return Ok(None);
        }
        let Some(key) = text
            .and_then(file_of_name)
            .and_then(|(version, kind)| key(module_path, version, kind))
            .filter(|key| layout::file(self.store.dir(), key) == place)
        else {
            return stranger(len_bytes, "its name is not that of a module file".into());
        };
        let Some(len_bytes) = len_bytes else {
            return stranger(None, "it is not a regular file".into());
        };
        let standing = self.standing(&key, len_bytes)?;
        let stored_at = match &standing {
            Standing::Vouched(record) => record.stored_at,
            Standing::Unknown | Standing::OtherSize { .. } => {
                let modified = metadata.modified()?;
                jiff::Timestamp::try_from(modified).map_err(io::Error::other)?
            }
        };
        Ok(Some(Found::File(WalkedFile {
            key,
            len_bytes,
            stored_at,
            standing,
        })))
    }

    fn standing(&mut self, key: &FileKey, len_bytes: u64) -> Result<Standing, StoreError> {
        let judge = |record: Option<&Record>| match record.and_then(|it| it.file(key.kind)) {
            Some(remembered) if remembered.len_bytes == len_bytes => {
                Standing::Vouched(remembered.clone())
            }
            Some(remembered) => Standing::OtherSize {
                remembered: remembered.clone(),
            },
            None => Standing::Unknown,
        };
        if let Some((module, record)) = &self.version
            && *module == key.module
            && let vouched @ Standing::Vouched(_) = judge(record.as_ref())
        {
            return Ok(vouched);
        }
        // Not remembered, or the file was replaced since: its record is written before it has its name.
        let record = self.store.record_blocking(key.namespace, &key.module)?;
        let standing = judge(record.as_ref());
        self.version = Some((key.module.clone(), record));
        Ok(standing)
    }
}

impl Iterator for Walk {
    type Item = Result<Found, WalkError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let from = self.start();
            let folder = self.folders.last_mut()?;
            let first = folder.window.is_none();
            let name = match folder.next(&self.root, from.as_ref().filter(|_| first)) {
                Ok(Some(name)) => name,
                Ok(None) => {
                    self.folders.pop();
                    self.resume = None;
                    continue;
                }
                Err(error) if is_absence(&error) && self.folders.len() > 1 => {
                    self.folders.pop();
                    self.resume = None;
                    continue;
                }
                Err(error) => {
                    self.resume = None;
                    let path = self.folders.pop().map(|folder| folder.path);
                    return Some(Err(WalkError {
                        path: path.unwrap_or_default(),
                        error: error.into(),
                    }));
                }
            };
            // Only the way along the very elements leads to the place; beside it everything is new.
            if let Some(Start::At(wanted)) = from.filter(|_| first)
                && name != wanted
            {
                self.resume = None;
            }
            let depth = self.folders.len();
            let found = self.look(&name);
            if self.folders.len() == depth {
                self.resume = None;
            }
            if found.is_some() {
                return found;
            }
        }
    }
}

/// What the folder at `path` below the root, whose last element is `name`, is to modules.
fn module_of(path: &Path, name: &Name) -> Module {
    if name.0 != "@v" {
        return Module::None;
    }
    let parent = path.parent().unwrap_or(path);
    let Some(text) = parent.to_str() else {
        return Module::Invalid("its folder is no module path: it is not UTF-8".into());
    };
    match EscapedPath::parse(text) {
        Ok(escaped) => Module::Versions(escaped.unescape()),
        Err(error) => Module::Invalid(format!("its folder is no module path: {error}")),
    }
}

fn key(module_path: &ModulePath, version: Version, kind: FileKind) -> Option<FileKey> {
    Some(FileKey {
        namespace: Namespace::Shared,
        module: ModuleVersion::new(module_path.clone(), version).ok()?,
        kind,
    })
}

/// What a store that is being opened writes for a moment, to see that it can.
fn is_probe(name: &Name) -> bool {
    name.0.as_bytes().starts_with(b".probe-")
}

#[cfg(test)]
mod tests;
