use std::path::PathBuf;

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No room, or a quota. Names the folder.
    #[error("no space left in `{dir}`")]
    DiskFull {
        /// The folder of the store.
        dir: PathBuf,
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
    Io(#[from] std::io::Error),
}
