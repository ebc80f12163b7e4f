//! Go's module rules over repositories: what the go command answers with `GOPROXY=direct`
//! (`modfetch/coderepo.go`).
//!
//! [`DirectSource`] is the [`Source`] that `direct` in a GOPROXY list and private patterns lead to. It asks
//! [`Roots`] where a module path lives, and hands the question to the repository there (or to the module
//! proxy that a go-import page names). The rules lie below: which folder and which tags belong to a module
//! (`place`), its versions (`versions`, `latest`), what a revision name means (`resolve`), its go.mod
//! (`go_mod`) and its zip (`zip`). Nothing here knows git, the network or credentials, and nothing is kept
//! but a bounded memory of go.mod files at commits, which never change.
//!
//! What breaks a module rule is proven absence ([`NotExist`]) and is told in Go's words; a tree that makes no
//! module zip is a [`BadAnswer`] or [`TooLarge`], which no list of proxies passes by. Whatever else fails below
//! comes through as it is. In one point the result differs from Go's on purpose: a go.mod that wants a newer Go
//! than some toolchain is no obstacle here.
//!
//! [`NotExist`]: crate::SourceErrorKind::NotExist
//! [`BadAnswer`]: crate::SourceErrorKind::BadAnswer
//! [`TooLarge`]: crate::SourceErrorKind::TooLarge

mod go_mod;
mod latest;
#[cfg(test)]
mod memory;
mod origin;
mod place;
mod repository_source;
mod resolve;
mod versions;
mod words;
mod zip;
mod zip_writer;

use std::sync::Arc;

use async_trait::async_trait;
use gomod::{FileKind, ModulePath, ModuleVersion, Revision, SafeUrl};

use crate::{
    Fetched, Listing, Location, Repositories, Resolved, Roots, Sink, Source, SourceError,
    SourceName, Trust,
};

use go_mod::GoModFiles;
use repository_source::RepositorySource;

/// Opens the module proxies that go-import pages name (`mod` instead of a version-control system).
pub trait ModuleProxies: Send + Sync {
    /// The proxy at a base URL that somebody chose. Asks nobody.
    fn open(&self, url: &SafeUrl, trust: Trust) -> Result<Arc<dyn Source>, SourceError>;
}

/// Modules straight from the repositories that they live in.
pub struct DirectSource {
    roots: Arc<dyn Roots>,
    repositories: Arc<dyn Repositories>,
    proxies: Arc<dyn ModuleProxies>,
    go_mod_files: Arc<GoModFiles>,
}

impl DirectSource {
    /// A source over what finds roots, opens repositories, and opens module proxies.
    pub fn new(
        roots: Arc<dyn Roots>,
        repositories: Arc<dyn Repositories>,
        proxies: Arc<dyn ModuleProxies>,
    ) -> Self {
        Self {
            roots,
            repositories,
            proxies,
            go_mod_files: Arc::default(),
        }
    }

    async fn locate(&self, module_path: &ModulePath) -> Result<Located, SourceError> {
        let located = self.roots.locate(module_path).await;
        located
            .and_then(|location| self.open(location))
            .map_err(|error| error.on_the_way_to_repository_of(module_path))
    }

    /// Who is asked because the one at `before` has no such module; `None` where that is nobody else.
    async fn locate_anew(
        &self,
        module_path: &ModulePath,
        before: &Location,
    ) -> Result<Option<Located>, SourceError> {
        let located = match self.roots.locate_anew(module_path).await {
            Ok(Some(location)) if location != *before => self.open(location).map(Some),
            Ok(Some(_) | None) => Ok(None),
            Err(error) => Err(error),
        };
        located.map_err(|error| error.on_the_way_to_repository_of(module_path))
    }

    fn open(&self, location: Location) -> Result<Located, SourceError> {
        let source: Arc<dyn Source> = match &location {
            Location::Repository(root) => Arc::new(RepositorySource::new(
                root.clone(),
                self.repositories.open(&root.url, root.trust)?,
                self.go_mod_files.clone(),
            )),
            Location::Proxy { url, trust, .. } => self.proxies.open(url, *trust)?,
        };
        Ok(Located { source, location })
    }
}

/// Who is asked, and where that is.
struct Located {
    source: Arc<dyn Source>,
    location: Location,
}

impl Located {
    /// True if the path is the very root, which nothing can be nested in.
    fn is_root_of(&self, module_path: &ModulePath) -> bool {
        let prefix = match &self.location {
            Location::Repository(root) => &root.prefix,
            Location::Proxy { prefix, .. } => prefix,
        };
        prefix == module_path.as_str()
    }
}

#[async_trait]
impl Source for DirectSource {
    /// As in Go, a path below a known root without any version has an empty list, whether a module is there
    /// or not; but where a root is nested in another, it is the inner one's list that is meant.
    async fn list(&self, module_path: &ModulePath) -> Result<Listing, SourceError> {
        let mut located = self.locate(module_path).await?;
        let mut listed = located.source.list(module_path).await;
        if let Some(other) = self.another_way(module_path, &located, &listed).await? {
            listed = other.source.list(module_path).await;
            located = other;
        }
        let says_nothing = match &listed {
            Ok(listing) => listing.versions.is_empty() && !located.is_root_of(module_path),
            Err(error) => error.is_absence(),
        };
        if says_nothing
            && let Some(inner) = self.locate_anew(module_path, &located.location).await?
        {
            return inner.source.list(module_path).await;
        }
        listed
    }

    async fn latest(&self, module_path: &ModulePath) -> Result<Resolved, SourceError> {
        let located = self.locate(module_path).await?;
        let found = located.source.latest(module_path).await;
        match self.elsewhere(module_path, &located, &found).await? {
            Some(inner) => inner.source.latest(module_path).await,
            None => found,
        }
    }

    async fn resolve(
        &self,
        module_path: &ModulePath,
        revision: &Revision,
    ) -> Result<Resolved, SourceError> {
        let located = self.locate(module_path).await?;
        let found = located.source.resolve(module_path, revision).await;
        match self.elsewhere(module_path, &located, &found).await? {
            Some(inner) => inner.source.resolve(module_path, revision).await,
            None => found,
        }
    }

    async fn fetch(
        &self,
        module: &ModuleVersion,
        kind: FileKind,
        sink: &mut dyn Sink,
    ) -> Result<Fetched, SourceError> {
        let located = self.locate(module.path()).await?;
        let found = located.source.fetch(module, kind, sink).await;
        match self.elsewhere(module.path(), &located, &found).await? {
            Some(inner) => inner.source.fetch(module, kind, sink).await,
            None => found,
        }
    }

    fn name(&self) -> SourceName {
        "direct".into()
    }
}

impl DirectSource {
    /// Who else is to be asked after a failure.
    async fn elsewhere<T>(
        &self,
        module_path: &ModulePath,
        located: &Located,
        found: &Result<T, SourceError>,
    ) -> Result<Option<Located>, SourceError> {
        if let Some(other) = self.another_way(module_path, located, found).await? {
            return Ok(Some(other));
        }
        match found {
            Err(error) if error.is_absence() => {
                self.locate_anew(module_path, &located.location).await
            }
            Ok(_) | Err(_) => Ok(None),
        }
    }

    /// The same repository by another protocol, where it was not reached by this one and the path leaves that open.
    async fn another_way<T>(
        &self,
        module_path: &ModulePath,
        located: &Located,
        found: &Result<T, SourceError>,
    ) -> Result<Option<Located>, SourceError> {
        let Err(failed) = found else {
            return Ok(None);
        };
        let otherwise = self
            .roots
            .locate_otherwise(module_path, &located.location, failed)
            .await;
        otherwise
            .and_then(|location| location.map(|location| self.open(location)).transpose())
            .map_err(|error| error.on_the_way_to_repository_of(module_path))
    }
}

#[cfg(test)]
mod tests;
