//! What every file of the cache folder has in common: how it comes to be whole, and where it begins.
//!
//! Called by everything in this crate that writes. It knows no module files and no layout; see
//! [`crate::layout`] for the names.

use crate::StoreError;
use crate::at_once::Access;
use fs_err as fs;
use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Runs file work off the reactor.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(stopped) => Err(StoreError::Io(io::Error::other(stopped))),
    }
}

/// True where the name cannot be there: nothing of that name, a file in place of a folder, or a name
/// that is longer than the file system can hold.
pub(crate) fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename
    )
}

/// The file's bytes; `None` where it is not there.
pub(crate) fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    Access::Patient.read_if_there(path)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// Makes everything that was written below `folder` so far durable, at once: one call for its file
/// system, where the system has one.
pub(crate) fn sync_file_system(folder: &Path) -> io::Result<()> {
    let folder = fs::File::open(folder)?;
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(&folder)?;
    #[cfg(not(target_os = "linux"))]
    {
        rustix::fs::sync();
        folder.sync_all()?;
    }
    Ok(())
}

/// Creates a folder and what is missing above it, and makes each new name durable.
pub(crate) fn create_folders(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Ok(()) => sync_folder(parent_of(folder)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = parent_of(folder);
            if parent == folder {
                return Err(error);
            }
            create_folders(parent)?;
            // Not again by recursion: there are file systems that refuse with this very error.
            fs::create_dir(folder).or_else(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Ok(()),
                _ => Err(error),
            })?;
            sync_folder(parent)
        }
        Err(error) => Err(error),
    }
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// A random folder under `DIR/staging`, locked while its process lives. What is written begins here
/// and is renamed to its place when it is whole, so nothing partial has a name elsewhere.
#[derive(Debug)]
pub(crate) struct WorkFolder {
    path: PathBuf,
    next: AtomicU64,
    /// Holds the advisory lock that tells [`sweep`] to keep away.
    _lock: File,
}

impl WorkFolder {
    /// Creates a folder under `staging`, which exists. An error where the file system has no locks.
    pub(crate) fn create(staging: &Path) -> io::Result<Arc<Self>> {
        // Another process may sweep a folder before it is locked; then we take a new one. That it
        // does so every time would be a fault of its own.
        for _ in 0..100 {
            let path = staging.join(format!("{:016x}", fastrand::u64(..)));
            fs::create_dir(&path)?;
            let lock = match fs::File::open(&path) {
                Ok(lock) => lock.into_parts().0,
                Err(error) if is_absence(&error) => continue,
                Err(error) => return Err(error),
            };
            match lock.try_lock() {
                Ok(()) if path.is_dir() => {
                    return Ok(Arc::new(Self {
                        path,
                        next: AtomicU64::new(0),
                        _lock: lock,
                    }));
                }
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        let swept = format!("each new folder in `{}` is swept away", staging.display());
        Err(io::Error::other(swept))
    }

    /// Where it is.
    #[cfg(test)]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A new empty file, removed when dropped unless it was put into place.
    pub(crate) fn new_file(self: &Arc<Self>) -> io::Result<WorkFile> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(number.to_string());
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        Ok(WorkFile {
            file: Arc::new(file.into_parts().0),
            path,
            placed: AtomicBool::new(false),
            _folder: Arc::clone(self),
        })
    }

    /// Replaces `path` by `bytes`, whole or not at all. Its folder is created.
    pub(crate) fn replace(
        self: &Arc<Self>,
        path: &Path,
        bytes: &[u8],
        durable: Durable,
    ) -> io::Result<()> {
        let new = self.new_file()?;
        (&*new.file).write_all(bytes)?;
        if durable == Durable::Yes {
            new.file.sync_all()?;
        }
        new.put(path, durable)?;
        if durable == Durable::Yes {
            sync_folder(parent_of(path))?;
        }
        Ok(())
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        // Whatever cannot be removed now is swept by a later process.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Whether a replaced file must outlive a loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durable {
    /// Synced, and so is its name.
    Yes,
    /// May be lost or torn: it can be asked again, and whoever reads it can tell.
    No,
}

/// A file of a [`WorkFolder`], removed when dropped unless it was put into place.
#[derive(Debug)]
pub(crate) struct WorkFile {
    /// Open for reading and writing.
    pub(crate) file: Arc<File>,
    path: PathBuf,
    placed: AtomicBool,
    _folder: Arc<WorkFolder>,
}

impl WorkFile {
    /// Gives the file its name, over whatever has it. The folder is created; with [`Durable::Yes`] new
    /// folders are synced, the name itself is not.
    pub(crate) fn put(&self, place: &Path, durable: Durable) -> io::Result<()> {
        let renamed = match fs::rename(&self.path, place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.path.exists() => {
                match durable {
                    Durable::Yes => create_folders(parent_of(place))?,
                    Durable::No => fs::create_dir_all(parent_of(place))?,
                }
                fs::rename(&self.path, place)
            }
            result => result,
        };
        if renamed.is_ok() {
            self.placed.store(true, Ordering::Relaxed);
        }
        renamed
    }
}

impl Drop for WorkFile {
    fn drop(&mut self) {
        if !self.placed.load(Ordering::Relaxed) {
            // Whatever cannot be removed now is swept by a later process.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes the work folders of processes that are dead: those that nobody locks. Returns their number.
pub(crate) fn sweep(staging: &Path) -> io::Result<usize> {
    let mut swept = 0;
    for entry in fs::read_dir(staging)? {
        let path = entry?.path();
        let Ok(lock) = fs::File::open(&path) else {
            continue;
        };
        if !path.is_dir() || lock.file().try_lock().is_err() {
            continue;
        }
        match fs::remove_dir_all(&path) {
            Ok(()) => swept += 1,
            Err(error) => tracing::warn!(%error, "cannot sweep what a dead process left"),
        }
    }
    Ok(swept)
}
