use std::io;
use std::path::{Path, PathBuf};

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No room, or a quota. Names the folder.
    #[error("no space left in `{dir}`")]
    DiskFull {
        /// The folder of the store.
        dir: PathBuf,
    },
    /// The folder cannot be used at all; said when it is opened.
    #[error("cannot use `{dir}` as the cache folder: {reason}; {cure}")]
    Unusable {
        /// The folder of the store.
        dir: PathBuf,
        /// What failed, with the path.
        reason: String,
        /// What to do about it.
        cure: &'static str,
    },
    /// A restarted source served other bytes than were already handed to clients.
    #[error("byte {offset} differs from what was already handed out")]
    Differs {
        /// The first differing offset.
        offset: u64,
    },
    /// A file of ours does not read as it should.
    #[error("`{path}` is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How.
        reason: String,
    },
    /// Any other failure; the text names the file.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl StoreError {
    /// The same error, where it means "no room" told as such of the folder.
    pub(crate) fn in_folder(self, dir: &Path) -> Self {
        match self {
            Self::Io(error) if is_full(&error) => Self::DiskFull {
                dir: dir.to_path_buf(),
            },
            other => other,
        }
    }

    /// Why `dir` cannot be opened.
    pub(crate) fn unusable(dir: &Path, error: &io::Error) -> Self {
        if is_full(error) {
            return Self::DiskFull {
                dir: dir.to_path_buf(),
            };
        }
        let cure = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                "give the user that runs larder write access to it, or choose another --cache-dir"
            }
            io::ErrorKind::ReadOnlyFilesystem => {
                "remount it for writing, or choose another --cache-dir"
            }
            io::ErrorKind::CrossesDevices => {
                "`staging`, `state` and `download` must be on one file system: mount a whole \
                 --cache-dir there instead of a part of it"
            }
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                "something that is not a folder has that name: remove it, or choose another \
                 --cache-dir"
            }
            _ => "choose another --cache-dir",
        };
        Self::Unusable {
            dir: dir.to_path_buf(),
            reason: error.to_string(),
            cure,
        }
    }
}

/// A full disk, a quota, or a limit on the size of a file.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
