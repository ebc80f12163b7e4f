//! Damaged files: moved to `DIR/state/quarantine`, where they are nobody's answer and nobody's loss.
//!
//! Never deleted by us: a damaged file may be the only copy. Each lies in a folder of its own, beside an
//! `about.json` that says what it was and what is wrong with it; both may be removed at any time. Its
//! record stays, so that what is fetched in its place is held to the same hash.

use crate::check::Damaged;
use crate::disk::DiskStore;
use crate::folder::{create_folders, is_absence, read_if_there};
use crate::moment::Moment;
use crate::{FileKey, Namespace, StoreError, layout};
use fs_err as fs;
use gomod::{FileKind, ModulePath, ModuleVersion, Version};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;

/// A file in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Which file it was.
    pub key: FileKey,
    /// What is wrong with it.
    pub reason: String,
    /// When it was moved there.
    pub moved_at: jiff::Timestamp,
    /// Its size.
    pub len_bytes: u64,
    /// Where it is now.
    pub path: PathBuf,
}

/// `about.json`.
#[derive(Serialize, Deserialize)]
struct About {
    module: String,
    version: String,
    kind: String,
    reason: String,
    moved_at: Moment,
    len_bytes: u64,
    sha256_stored: String,
    source: String,
}

const ABOUT: &str = "about.json";

impl DiskStore {
    /// Moves a damaged file into quarantine; it reads as absent from then on. False where it was replaced
    /// or deleted since it was checked. Blocks.
    ///
    /// # Errors
    /// Where it cannot be moved: it stays where it is.
    pub fn quarantine(&self, damaged: &Damaged) -> Result<bool, StoreError> {
        let key = &damaged.key;
        let now = jiff::Timestamp::now();
        // Sorts by time; the rest tells apart what is moved within a second.
        let name = format!(
            "{}-{:08x}",
            now.strftime("%Y%m%dT%H%M%SZ"),
            fastrand::u32(..)
        );
        let folder = layout::quarantine(self.dir()).join(name);
        create_folders(&folder)?;
        let about = About {
            module: key.module.path().to_string(),
            version: key.module.version().to_string(),
            kind: key.kind.extension().to_owned(),
            reason: damaged.reason.clone(),
            moved_at: Moment(now),
            len_bytes: damaged.len_bytes,
            sha256_stored: damaged.remembered.sha256.to_string(),
            source: damaged.remembered.source.clone(),
        };
        let json = serde_json::to_vec_pretty(&about).map_err(io::Error::other)?;
        let about_path = folder.join(ABOUT);
        fs::write(&about_path, json)?;
        let moved = self.move_away(key, damaged.identity, &folder.join(file_name(key)));
        if !matches!(moved, Ok(true)) {
            // Only what was just made, and only while it is empty.
            let _ = fs::remove_file(&about_path);
            let _ = fs::remove_dir(&folder);
        }
        moved
    }

    /// What lies in quarantine, in the order in which it came there. Blocks.
    ///
    /// # Errors
    /// Where the folder cannot be read. What is no longer whole in it is passed over.
    pub fn quarantined(&self) -> Result<Vec<Quarantined>, StoreError> {
        let entries = match fs::read_dir(layout::quarantine(self.dir())) {
            Ok(entries) => entries,
            Err(error) if is_absence(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut all = Vec::new();
        for entry in entries {
            all.extend(read(&entry?.path())?);
        }
        all.sort_by(|one, other| {
            let by = |it: &Quarantined| (it.moved_at, it.path.clone());
            by(one).cmp(&by(other))
        });
        Ok(all)
    }
}

/// One folder of the quarantine; `None` where a file of it is gone.
fn read(folder: &std::path::Path) -> io::Result<Option<Quarantined>> {
    let Some(json) = read_if_there(&folder.join(ABOUT))? else {
        return Ok(None);
    };
    let Ok(about) = serde_json::from_slice::<About>(&json) else {
        return Ok(None);
    };
    let module = || {
        let path = ModulePath::parse(&about.module).ok()?;
        ModuleVersion::new(path, Version::parse(&about.version).ok()?).ok()
    };
    let (Some(module), Some(kind)) = (module(), FileKind::from_extension(&about.kind)) else {
        return Ok(None);
    };
    let key = FileKey {
        namespace: Namespace::Shared,
        module,
        kind,
    };
    let path = folder.join(file_name(&key));
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(Quarantined {
        key,
        reason: about.reason,
        moved_at: about.moved_at.0,
        len_bytes: about.len_bytes,
        path,
    }))
}

/// `v1.2.3.zip`, escaped.
fn file_name(key: &FileKey) -> String {
    let version = key.module.version().escape();
    format!("{}.{}", version.as_str(), key.kind.extension())
}

/// Tells which files went into quarantine lately, whichever process moved them: whoever holds such a file open or
/// in memory must let it go.
#[derive(Debug)]
pub struct QuarantineWatch {
    store: DiskStore,
    changed: Option<std::time::SystemTime>,
    /// What was moved since is told; somewhat earlier than the last look, for clocks differ.
    since: jiff::Timestamp,
}

/// How long after a change of the folder looks are repeated, and how far back they go: what is told twice
/// costs a read from disk.
const SETTLED: std::time::Duration = std::time::Duration::from_secs(5);
const OVERLAP: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);

impl QuarantineWatch {
    /// A watch that tells of what is moved from now on.
    pub fn new(store: DiskStore) -> Self {
        let changed = changed(&store);
        Self {
            store,
            changed,
            since: jiff::Timestamp::now(),
        }
    }

    /// Files that were moved since the last call; some of them may have been told before. Blocks.
    ///
    /// # Errors
    /// Where the quarantine cannot be read.
    pub fn news(&mut self) -> Result<Vec<FileKey>, StoreError> {
        let now = jiff::Timestamp::now();
        let changed = changed(&self.store);
        if changed == self.changed {
            return Ok(Vec::new());
        }
        let since = self.since.checked_sub(OVERLAP).unwrap_or(self.since);
        let moved = self.store.quarantined()?;
        // A folder has its name before the file is in it: for some seconds, looks are repeated.
        if changed.is_none_or(|it| it.elapsed().is_ok_and(|age| age >= SETTLED)) {
            self.changed = changed;
            self.since = now;
        }
        Ok(moved
            .into_iter()
            .filter(|it| it.moved_at >= since)
            .map(|it| it.key)
            .collect())
    }
}

fn changed(store: &DiskStore) -> Option<std::time::SystemTime> {
    let metadata = fs::metadata(layout::quarantine(store.dir())).ok()?;
    metadata.modified().ok()
}

#[cfg(test)]
mod tests;
