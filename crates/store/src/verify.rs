use crate::{Opened, Staged, Tier, staging::StagedPlace};
use async_trait::async_trait;
use gomod::H1;

/// Who vouched for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifiedBy {
    /// A checksum database, by name.
    ChecksumDatabase(String),
    /// Nobody but the source; trusted at first sight and held to it from then on.
    FirstSight,
    /// Only its shape can be checked (`.info`).
    Shape,
}

/// What a verifier says of a good file.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Who vouched.
    pub by: VerifiedBy,
    /// The `h1:` (zip and go.mod; none for `.info`).
    pub hash: Option<H1>,
}

/// Why a file was not accepted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VerifyError {
    /// Not a module file of this version at all.
    #[error("{0}")]
    Invalid(String),
    /// Over a limit.
    #[error("{0}")]
    TooLarge(String),
    /// Another hash than the one that someone vouched for.
    #[error("checksum mismatch: downloaded {got}, {by} says {expected}")]
    Mismatch {
        /// The hash of what came.
        got: H1,
        /// The hash it should have.
        expected: H1,
        /// Who says so: `sum.golang.org`, `the first download`.
        by: String,
    },
    /// Another hash than that of the first download, which nobody but its source vouched for: the tag was
    /// moved, or somebody lies now or lied then.
    #[error("checksum mismatch: downloaded {got}, but {expected} came first")]
    DiffersFromFirst {
        /// The hash of what came.
        got: H1,
        /// The hash of what came first.
        expected: H1,
    },
    /// The database was reached and does not know this version.
    #[error("{database} does not know {module}")]
    UnknownToDatabase {
        /// Its name.
        database: String,
        /// `path@version`.
        module: String,
        /// What it said.
        text: String,
    },
    /// The database could not be asked.
    #[error("{0}")]
    DatabaseUnavailable(String),
    /// The database contradicts itself: a fork, a rollback, a bad signature or proof.
    #[error("{0}")]
    DatabaseMisbehaves(String),
    /// Our own disk failed.
    #[error("{0}")]
    Io(String),
}

impl VerifyError {
    /// True where the bytes are at fault: another source may have good ones, and these stay bad. False where nobody
    /// could or would say what they should be, which may change at any time.
    pub fn is_of_the_bytes(&self) -> bool {
        match self {
            Self::Invalid(_)
            | Self::TooLarge(_)
            | Self::Mismatch { .. }
            | Self::DiffersFromFirst { .. } => true,
            Self::UnknownToDatabase { .. }
            | Self::DatabaseUnavailable(_)
            | Self::DatabaseMisbehaves(_)
            | Self::Io(_) => false,
        }
    }
}

/// Judges staged files. The only way to make a [`Verified`].
#[async_trait]
pub trait Verifier: Send + Sync {
    /// Says who vouches for the file, or why nobody does.
    async fn judge(&self, staged: &Staged) -> Result<Accepted, VerifyError>;
}

/// Bytes that a verifier accepted, with by whom. Made by [`Staged::verify`] only.
#[derive(Debug)]
pub struct Verified {
    staged: Staged,
    accepted: Accepted,
    verified_at: jiff::Timestamp,
}

impl Staged {
    /// Asks `verifier`; gives the bytes back with the reason where it refuses.
    pub async fn verify(
        self,
        verifier: &dyn Verifier,
    ) -> Result<Verified, Box<(Self, VerifyError)>> {
        match verifier.judge(&self).await {
            Ok(accepted) => Ok(Verified {
                staged: self,
                accepted,
                verified_at: jiff::Timestamp::now(),
            }),
            Err(error) => Err(Box::new((self, error))),
        }
    }
}

impl Verified {
    /// The bytes.
    pub fn staged(&self) -> &Staged {
        &self.staged
    }
    /// Who vouched.
    pub fn accepted(&self) -> &Accepted {
        &self.accepted
    }
    /// When the verifier accepted it; what its record names as the time of its commit.
    pub fn verified_at(&self) -> jiff::Timestamp {
        self.verified_at
    }
    /// The file as it can be served before it is committed.
    pub fn open(&self) -> Opened {
        Opened {
            body: self.staged.body(),
            len_bytes: self.staged.len_bytes(),
            sha256: self.staged.sha256(),
            source: self.staged.source().into(),
            stored_at: self.verified_at,
            tier: match self.staged.place() {
                StagedPlace::Memory(_) => Tier::Memory,
                StagedPlace::Disk(_) => Tier::Disk,
            },
        }
    }
}
