//! The folders of the mirrors: one bare repository an address, written by ourselves, locked between
//! processes, bounded together, and safe to delete at any time.
//!
//! Everything here blocks. Nothing of a remote decides a file's name or the content of a configuration.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fs_err as fs;
use gomod::Sha256;

use crate::{ObjectName, RepositoryUrl, Trust};

/// A mirror that was used as recently as this is not removed for space.
const RECENT: Duration = Duration::from_secs(600);
/// How often the note of the last use is renewed.
const USE_NOTED_EVERY: Duration = Duration::from_secs(60);
/// What the smallest file takes.
const BLOCK_BYTES: u64 = 4096;

/// Export attributes are off whatever the repository says, as the go command has it (`ensureGitAttributes`).
const ATTRIBUTES: &str = "* -export-subst -export-ignore\n";
/// Points to nothing: the mirror has no branch of its own.
const HEAD: &str = "ref: refs/heads/none\n";

/// How a repository names its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ObjectFormat {
    Sha1,
    Sha256,
}

impl ObjectFormat {
    pub(super) fn of(name: &ObjectName) -> Self {
        if name.as_str().len() == 64 {
            Self::Sha256
        } else {
            Self::Sha1
        }
    }

    pub(super) fn hex_digits(self) -> usize {
        match self {
            Self::Sha1 => 40,
            Self::Sha256 => 64,
        }
    }

    fn config(self) -> &'static str {
        match self {
            Self::Sha1 => "[core]\n\trepositoryformatversion = 0\n\tbare = true\n",
            Self::Sha256 => {
                "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectformat = sha256\n"
            }
        }
    }
}

/// The places of one mirror.
#[derive(Clone, Debug)]
pub(super) struct Mirror {
    /// The folder's name: a hash of who chose the address and of the address.
    pub(super) key: String,
    /// The bare repository.
    pub(super) folder: PathBuf,
    lock: PathBuf,
    note: String,
}

impl Mirror {
    pub(super) fn new(mirrors: &Path, url: &RepositoryUrl, trust: Trust) -> Self {
        let who = match trust {
            Trust::Named => "named",
            Trust::Chosen => "chosen",
            Trust::PrivatelyChosen => "privately chosen",
        };
        let mut key = Sha256::of(format!("{who}\n{url}").as_bytes()).to_string();
        key.truncate(32);
        Self {
            note: format!(
                "A mirror of {url} ({who}). It is a cache: delete the folder at any time.\n"
            ),
            ..Self::of_key(mirrors, &key)
        }
    }

    fn of_key(mirrors: &Path, key: &str) -> Self {
        Self {
            folder: mirrors.join(format!("{key}.git")),
            lock: mirrors.join(format!("{key}.lock")),
            note: String::new(),
            key: key.to_owned(),
        }
    }

    /// The format of the mirror, if there is one that is as we write it; an altered configuration is put right.
    pub(super) fn check(&self) -> io::Result<Option<ObjectFormat>> {
        let Some(config) = read_if_there(&self.folder.join("config"))? else {
            return Ok(None);
        };
        let format = if config.contains("sha256") {
            ObjectFormat::Sha256
        } else {
            ObjectFormat::Sha1
        };
        if read_if_there(&self.folder.join("HEAD"))?.is_none()
            || !self.folder.join("objects").is_dir()
        {
            return Ok(None);
        }
        self.write_settings(format)?;
        Ok(Some(format))
    }

    /// Makes the mirror anew; the lock must be held.
    pub(super) fn create(&self, format: ObjectFormat) -> io::Result<()> {
        self.remove()?;
        let mirrors = self.folder.parent().unwrap_or(&self.folder);
        let being_made = mirrors.join(format!("{}.new", self.key));
        remove_if_there(&being_made)?;
        for folder in [
            "objects/info",
            "objects/pack",
            "refs/heads",
            "refs/tags",
            "info",
        ] {
            fs::create_dir_all(being_made.join(folder))?;
        }
        let made = Self {
            folder: being_made.clone(),
            ..self.clone()
        };
        made.write_settings(format)?;
        fs::write(being_made.join("description"), &self.note)?;
        fs::rename(&being_made, &self.folder)
    }

    /// Removes the mirror, whole or in pieces; the lock must be held.
    pub(super) fn remove(&self) -> io::Result<()> {
        if !self.folder.exists() {
            return Ok(());
        }
        let mirrors = self.folder.parent().unwrap_or(&self.folder);
        let going = mirrors.join(format!("{}.gone", self.key));
        remove_if_there(&going)?;
        match fs::rename(&self.folder, &going) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => remove_if_there(&going),
        }
    }

    /// The lock between processes, or `None` while another holds it. It is held as long as the file is open.
    pub(super) fn try_lock(&self) -> io::Result<Option<File>> {
        // The folder of all mirrors may have been deleted.
        if let Some(mirrors) = self.lock.parent() {
            fs::create_dir_all(mirrors)?;
        }
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.lock)?
            .into_parts()
            .0;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn write_settings(&self, format: ObjectFormat) -> io::Result<()> {
        write_if_other(&self.folder.join("config"), format.config())?;
        write_if_other(&self.folder.join("HEAD"), HEAD)?;
        let attributes = self.folder.join("info/attributes");
        if read_if_there(&attributes)?.as_deref() != Some(ATTRIBUTES) {
            fs::create_dir_all(self.folder.join("info"))?;
            write_if_other(&attributes, ATTRIBUTES)?;
        }
        Ok(())
    }

    /// Notes that a fetch begins; what one left that never ended is cleared away first. The lock must be held.
    pub(super) fn begin_fetch(&self) -> io::Result<()> {
        let under_way = self.folder.join("larder-fetching");
        if under_way.exists() {
            clear_leftovers(&self.folder)?;
        }
        fs::write(under_way, "")
    }

    /// Notes that a fetch ended by itself, and measures what is here.
    pub(super) fn end_fetch(&self) -> io::Result<()> {
        let under_way = self.folder.join("larder-fetching");
        match fs::remove_file(under_way) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.note_size()
    }

    /// How many packs there are.
    pub(super) fn packs(&self) -> io::Result<usize> {
        let entries = fs::read_dir(self.folder.join("objects/pack"))?;
        let is_pack = |entry: &fs::DirEntry| {
            entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "pack")
        };
        Ok(entries.flatten().filter(is_pack).count())
    }

    /// True if the history of some ref is cut off.
    pub(super) fn is_shallow(&self) -> bool {
        self.folder.join("shallow").exists()
    }

    /// The sum of the listing whose whole history is here.
    pub(super) fn complete_for(&self) -> Option<String> {
        read_if_there(&self.folder.join("larder-complete"))
            .ok()
            .flatten()
    }

    pub(super) fn note_complete(&self, repository_sum: &str) -> io::Result<()> {
        write_whole(&self.folder.join("larder-complete"), repository_sum)
    }

    /// Forgets the branches, whose names may stand in each other's way after they changed.
    pub(super) fn forget_branches(&self) -> io::Result<()> {
        remove_if_there(&self.folder.join("refs/branches"))
    }

    /// The tags that were handed out and the commits they had then.
    pub(super) fn first_tags(&self) -> io::Result<BTreeMap<String, ObjectName>> {
        let text = read_if_there(&self.folder.join("larder-tags"))?.unwrap_or_default();
        let mut tags = BTreeMap::new();
        for line in text.lines() {
            if let Some((commit, tag)) = line.split_once(' ')
                && let Some(commit) = ObjectName::parse(commit)
            {
                tags.entry(tag.to_owned()).or_insert(commit);
            }
        }
        Ok(tags)
    }

    /// Lets a tag point to a commit of the mirror. A tag that is there stays as it is, and one whose name cannot
    /// stand beside another's is left out: refs only spare work here.
    pub(super) fn point_tag(&self, tag: &str, commit: &ObjectName) -> io::Result<()> {
        let file = self.folder.join("refs/tags").join(tag);
        if let Some(folder) = file.parent()
            && fs::create_dir_all(folder).is_ok()
            && !file.exists()
        {
            let being_written = self.folder.join("larder-ref.new");
            fs::write(&being_written, format!("{commit}\n"))?;
            // A folder may be in the way.
            let _ = fs::rename(&being_written, &file);
        }
        Ok(())
    }

    /// Remembers a tag that is handed out.
    pub(super) fn add_first_tag(&self, tag: &str, commit: &ObjectName) -> io::Result<()> {
        use std::io::Write;
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join("larder-tags"))?;
        file.write_all(format!("{commit} {tag}\n").as_bytes())
    }

    /// Notes that the mirror is in use and, where it was measured, its size.
    pub(super) fn note_use(&self) -> io::Result<()> {
        let used = self.folder.join("larder-size");
        let recent = fs::metadata(&used)
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|at| age(at) < USE_NOTED_EVERY);
        if recent {
            return Ok(());
        }
        match fs::OpenOptions::new().write(true).open(&used) {
            Ok(file) => file.into_parts().0.set_modified(now()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn note_size(&self) -> io::Result<()> {
        write_whole(
            &self.folder.join("larder-size"),
            &bytes_below(&self.folder).to_string(),
        )
    }
}

/// Removes the least recently used mirrors until the rest is within the limit. Mirrors in use stay.
/// Says which were removed.
pub(super) fn shrink(mirrors: &Path, limit_bytes: u64) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut total = 0_u64;
    for entry in fs::read_dir(mirrors)? {
        let folder = entry?.path();
        let name = folder.file_name().and_then(|name| name.to_str());
        let Some(key) = name.and_then(|name| name.strip_suffix(".git")) else {
            if let Some(key) = name.and_then(|name| name.strip_suffix(".gone"))
                && let Some(_lock) = Mirror::of_key(mirrors, key).try_lock()?
            {
                remove_if_there(&folder)?;
            }
            continue;
        };
        let size = folder.join("larder-size");
        let bytes = match read_if_there(&size)?.and_then(|text| text.trim().parse().ok()) {
            Some(bytes) => bytes,
            None => bytes_below(&folder),
        };
        let used = fs::metadata(&size)
            .or_else(|_| fs::metadata(&folder))
            .and_then(|metadata| metadata.modified());
        total = total.saturating_add(bytes);
        if let Ok(used) = used {
            found.push((used, key.to_owned(), bytes));
        }
    }
    found.sort();
    let mut removed = Vec::new();
    for (used, key, bytes) in found {
        if total <= limit_bytes || age(used) < RECENT {
            break;
        }
        let mirror = Mirror::of_key(mirrors, &key);
        if let Some(_lock) = mirror.try_lock()? {
            mirror.remove()?;
            total = total.saturating_sub(bytes);
            removed.push(mirror.key);
        }
    }
    Ok(removed)
}

/// Removes what a killed git leaves: locks, which would be in its way for ever, and unfinished files.
fn clear_leftovers(folder: &Path) -> io::Result<()> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if name.ends_with(".lock")
                || name.starts_with("tmp_")
                || name.starts_with(".tmp-")
            {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

/// What a folder takes on disk, about: each file and folder takes a block beside its bytes. As far as it can
/// be seen.
pub(super) fn bytes_below(folder: &Path) -> u64 {
    let mut bytes = 0_u64;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => {
                    bytes = bytes.saturating_add(BLOCK_BYTES);
                    folders.push(entry.path());
                }
                Ok(metadata) => {
                    bytes = bytes
                        .saturating_add(BLOCK_BYTES)
                        .saturating_add(metadata.len());
                }
                Err(_) => {}
            }
        }
    }
    bytes
}

fn read_if_there(file: &Path) -> io::Result<Option<String>> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn remove_if_there(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write_if_other(file: &Path, text: &str) -> io::Result<()> {
    if read_if_there(file)?.as_deref() == Some(text) {
        return Ok(());
    }
    write_whole(file, text)
}

/// A file appears whole or not at all. Not synced: a mirror is a cache.
fn write_whole(file: &Path, text: &str) -> io::Result<()> {
    let being_written = file.with_extension("new");
    fs::write(&being_written, text)?;
    fs::rename(&being_written, file)
}

fn now() -> SystemTime {
    jiff::Timestamp::now().into()
}

fn age(at: SystemTime) -> Duration {
    now().duration_since(at).unwrap_or_default()
}
