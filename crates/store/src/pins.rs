//! What eviction leaves alone: `DIR/state/pins`.
//!
//! A text file that people may edit: one pin a line, `#` begins a comment. A pin is a pattern in
//! GOPRIVATE's syntax (`example.com/team/*`) or one version (`example.com/team/module@v1.2.3`).
//!
//! The file is read again when it changed. A line that is no pin pins nothing, is told with its number, and
//! stays in the file; until it is mended, what was pinned before stays pinned, too, so that a slip of the
//! pen costs nobody a file. Commands that change pins leave every other line as it is.

use crate::folder::{Durable, WorkFolder, create_folders, read_if_there};
use crate::{StoreError, layout};
use fs_err as fs;
use gomod::{ModulePath, ModuleVersion, ParseError, PathPatterns, Version};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest file of pins that is read.
const FILE_BYTES: u64 = 4 << 20;

/// One pin.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pin {
    /// One version of one module.
    Version(ModuleVersion),
    /// Every version of every module that the pattern matches; one pattern in GOPRIVATE's syntax.
    Pattern(String),
}

impl Pin {
    /// Reads `MODULE@VERSION` or a pattern.
    ///
    /// # Errors
    /// What is wrong with it. GOPRIVATE ignores malformed patterns; here nobody would notice that nothing
    /// is pinned.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if let Some((path, version)) = text.split_once('@') {
            let module = ModuleVersion::new(ModulePath::parse(path)?, Version::parse(version)?)?;
            return Ok(Self::Version(module));
        }
        let wrong = |reason: &str| Err(ParseError::new("pin", text, reason));
        if text.is_empty() {
            return wrong("it is empty");
        }
        if text.contains(|letter: char| letter == ',' || letter == '#' || letter.is_whitespace()) {
            return wrong("it holds a blank, a comma or a `#`: write one pattern");
        }
        if PathPatterns::parse(text).is_empty() {
            return wrong("it is no pattern: write a module path with `*`, `?` or `[a-z]`");
        }
        Ok(Self::Pattern(text.to_owned()))
    }
}

impl std::fmt::Display for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Version(module) => module.fmt(f),
            Self::Pattern(pattern) => f.write_str(pattern),
        }
    }
}

/// A line of the file that is no pin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct BadLine {
    /// Its number, from 1.
    pub line: usize,
    /// Why it is none.
    pub reason: ParseError,
}

/// The pins as the file had them at some moment.
#[derive(Debug, Default)]
pub struct PinSet {
    pins: Vec<Pin>,
    bad_lines: Vec<BadLine>,
    versions: HashSet<ModuleVersion>,
    patterns: PathPatterns,
    /// What was pinned before the file got lines that cannot be read.
    before: Option<Arc<Self>>,
}

impl PinSet {
    /// True for a version that may not be evicted.
    pub fn covers(&self, module: &ModuleVersion) -> bool {
        self.versions.contains(module)
            || self.patterns.matches(module.path().as_str())
            || self.before.as_ref().is_some_and(|it| it.covers(module))
    }

    /// The pins, in the order of the file.
    pub fn pins(&self) -> &[Pin] {
        &self.pins
    }

    /// The lines that are no pins.
    pub fn bad_lines(&self) -> &[BadLine] {
        &self.bad_lines
    }

    fn parse(text: &str) -> Self {
        let mut set = Self::default();
        for (at, line) in text.lines().enumerate() {
            match pin_of_line(line) {
                None => {}
                Some(Ok(pin)) => set.pins.push(pin),
                Some(Err(reason)) => set.bad_lines.push(BadLine {
                    line: at + 1,
                    reason,
                }),
            }
        }
        let mut patterns = Vec::new();
        for pin in &set.pins {
            match pin {
                Pin::Version(module) => {
                    set.versions.insert(module.clone());
                }
                Pin::Pattern(pattern) => patterns.push(pattern.as_str()),
            }
        }
        set.patterns = PathPatterns::parse(&patterns.join(","));
        set
    }
}

/// The pin of a line; `None` where it is blank or all comment.
fn pin_of_line(line: &str) -> Option<Result<Pin, ParseError>> {
    let text = line.split('#').next().unwrap_or_default().trim();
    (!text.is_empty()).then(|| Pin::parse(text))
}

/// The file of pins. Cheap to clone; every clone sees what it holds now.
#[derive(Clone, Debug)]
pub struct Pins {
    dir: Arc<Path>,
    read: Arc<Mutex<Option<Read>>>,
}

/// What was read, and of which file.
#[derive(Debug)]
struct Read {
    stamp: Option<Stamp>,
    set: Arc<PinSet>,
}

/// Tells a file from what it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    len_bytes: u64,
    changed: (i64, i64),
}

impl Pins {
    /// The pins of the cache folder `dir`. Nothing is read or written yet.
    pub fn of(dir: &Path) -> Self {
        Self {
            dir: dir.into(),
            read: Arc::default(),
        }
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        layout::pins(&self.dir)
    }

    /// What is pinned now; reads the file again if it changed. Blocks.
    ///
    /// # Errors
    /// Where the file is there and cannot be read at all. Whoever evicts must not go on then.
    pub fn current(&self) -> Result<Arc<PinSet>, StoreError> {
        let path = self.path();
        let mut read = self.read.lock();
        let stamp = stamp(&path)?;
        if let Some(read) = &*read
            && read.stamp == stamp
        {
            return Ok(Arc::clone(&read.set));
        }
        let mut set = PinSet::parse(&self.text()?);
        if !set.bad_lines.is_empty() {
            set.before = read.as_ref().map(|read| match &read.set.before {
                // Not a chain that grows with each edit: what the last whole file said counts.
                Some(before) => Arc::clone(before),
                None => Arc::clone(&read.set),
            });
        }
        let set = Arc::new(set);
        // The stamp is older than the text: a change between the two is seen as one at the next call.
        *read = Some(Read {
            stamp,
            set: Arc::clone(&set),
        });
        Ok(set)
    }

    /// True for a version that may not be evicted; see [`Self::current`]. Blocks.
    ///
    /// # Errors
    /// As [`Self::current`].
    pub fn covers(&self, module: &ModuleVersion) -> Result<bool, StoreError> {
        Ok(self.current()?.covers(module))
    }

    /// Adds pins; returns those that were not there. Blocks.
    ///
    /// # Errors
    /// Where the file cannot be read or written.
    pub fn add(&self, pins: &[Pin]) -> Result<Vec<Pin>, StoreError> {
        self.edit(|text| {
            let set = PinSet::parse(text);
            let mut there: HashSet<&Pin> = set.pins.iter().collect();
            let new: Vec<Pin> = pins
                .iter()
                .filter(|pin| there.insert(pin))
                .cloned()
                .collect();
            let mut text = text.to_owned();
            for pin in &new {
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push('\n');
                }
                text.push_str(&format!("{pin}\n"));
            }
            (text, new)
        })
    }

    /// Removes pins; returns those that were there. Blocks.
    ///
    /// # Errors
    /// Where the file cannot be read or written.
    pub fn remove(&self, pins: &[Pin]) -> Result<Vec<Pin>, StoreError> {
        self.edit(|text| {
            let mut removed = Vec::new();
            let mut left = String::with_capacity(text.len());
            for line in text.split_inclusive('\n') {
                match pin_of_line(line) {
                    Some(Ok(pin)) if pins.contains(&pin) => {
                        if !removed.contains(&pin) {
                            removed.push(pin);
                        }
                    }
                    _ => left.push_str(line),
                }
            }
            (left, removed)
        })
    }

    /// Rewrites the file by `change`, whole or not at all, with nobody else's command in between.
    fn edit(
        &self,
        change: impl FnOnce(&str) -> (String, Vec<Pin>),
    ) -> Result<Vec<Pin>, StoreError> {
        let edited = || -> Result<Vec<Pin>, StoreError> {
            let locks = layout::locks(&self.dir);
            create_folders(&locks)?;
            create_folders(&layout::staging(&self.dir))?;
            let lock = fs::OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(locks.join("pins"))?;
            lock.file().lock()?;
            let (text, changed) = change(&self.text()?);
            if !changed.is_empty() {
                let work = WorkFolder::create(&layout::staging(&self.dir))?;
                work.replace(&self.path(), text.as_bytes(), Durable::Yes)?;
            }
            Ok(changed)
        };
        edited().map_err(|error| error.in_folder(&self.dir))
    }

    fn text(&self) -> Result<String, StoreError> {
        let path = self.path();
        let damaged = |reason: &str| StoreError::Damaged {
            path: path.clone(),
            reason: reason.to_owned(),
        };
        if stamp(&path)?.is_some_and(|stamp| stamp.len_bytes > FILE_BYTES) {
            return Err(damaged("it is larger than any list of pins"));
        }
        let bytes = read_if_there(&path)?.unwrap_or_default();
        String::from_utf8(bytes).map_err(|_| damaged("it is not UTF-8"))
    }
}

fn stamp(path: &Path) -> io::Result<Option<Stamp>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(Stamp {
            inode: metadata.ino(),
            len_bytes: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
