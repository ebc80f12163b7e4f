//! Where the repository of a module path is: the seam between discovery and the module rules
//! (the go command's `vcs.RepoRootForImportPath`).

use async_trait::async_trait;
use gomod::{ModulePath, SafeUrl};

use crate::{RepositoryUrl, SourceError, Trust};

/// The repository that a module path lives in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryRoot {
    /// The import path that stands for the repository's root; a path prefix of the module path.
    pub prefix: String,
    /// Where it is. Always git: other systems are refused with words that name them.
    pub url: RepositoryUrl,
    /// The folder of the repository that `prefix` stands for (the fourth field of go-import since Go 1.25);
    /// empty for its root, else without slashes at its ends.
    pub subdirectory: String,
    /// Who chose the address, and so where it may lead.
    pub trust: Trust,
}

/// What discovery found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A git repository.
    Repository(RepositoryRoot),
    /// A module proxy (go-import with `mod`).
    Proxy {
        /// The import path that stands for it.
        prefix: String,
        /// Its base URL.
        url: SafeUrl,
        /// Who chose the address, and so where it may lead.
        trust: Trust,
    },
}

/// Finds repositories.
#[async_trait]
pub trait Roots: Send + Sync {
    /// Where the module path lives. Knowledge about a path above it may serve: what lies below a known root is
    /// taken to live in it.
    async fn locate(&self, module_path: &ModulePath) -> Result<Location, SourceError>;

    /// Where the path itself says that it lives, asked because the root above it has no such module; differs from
    /// [`Roots::locate`] only where roots are nested. `None` if that says nothing new.
    async fn locate_anew(&self, module_path: &ModulePath) -> Result<Option<Location>, SourceError>;

    /// Where else the path may live, asked because what it was asked at `before` failed with `failed`: a path
    /// such as `host/a.git` leaves the protocol open, and the first allowed one may not be its host's. `None`
    /// if the repository there was reached, or there is no other way to it.
    ///
    /// # Errors
    /// The first failure, with those of the other ways as notes, where none leads there.
    async fn locate_otherwise(
        &self,
        _module_path: &ModulePath,
        _before: &Location,
        _failed: &SourceError,
    ) -> Result<Option<Location>, SourceError> {
        Ok(None)
    }
}
