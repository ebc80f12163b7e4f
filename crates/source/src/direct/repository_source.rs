//! One repository as the source of every module that lives in it.

use std::sync::Arc;

use async_trait::async_trait;
use gomod::{FileKind, ModulePath, ModuleVersion, Revision};

use super::go_mod::{Directory, GoModFiles, Module};
use super::origin::RevisionInfo;
use super::place::Place;
use super::{words, zip};
use crate::upstream::{pour, refused_by_sink};
use crate::{
    Commit, Fetched, Freshness, Listing, Repository, RepositoryRoot, Resolved, Sink, Source,
    SourceError, SourceName,
};

/// An opened repository with the path that stands for its root.
pub(super) struct RepositorySource {
    root: RepositoryRoot,
    repository: Arc<dyn Repository>,
    go_mod_files: Arc<GoModFiles>,
    name: SourceName,
}

impl RepositorySource {
    pub(super) fn new(
        root: RepositoryRoot,
        repository: Arc<dyn Repository>,
        go_mod_files: Arc<GoModFiles>,
    ) -> Self {
        let name = repository.url().as_str().into();
        Self {
            root,
            repository,
            go_mod_files,
            name,
        }
    }

    fn module(&self, module_path: &ModulePath) -> Result<Module, SourceError> {
        Ok(Module {
            place: Place::new(module_path, &self.root)?,
            repository: self.repository.clone(),
            go_mod_files: self.go_mod_files.clone(),
        })
    }

    fn resolved(&self, info: &RevisionInfo) -> Resolved {
        Resolved {
            body: info.body(),
            info: info.info(),
            source: self.name.clone(),
        }
    }

    /// Completes a failure with who failed, where nobody has said so below.
    fn blame(&self, error: SourceError, module_path: &ModulePath) -> SourceError {
        let mut error = error.on_the_way_to_repository_of(module_path);
        let failure = &mut error.0;
        failure.source.get_or_insert_with(|| self.name.clone());
        failure.url.get_or_insert_with(|| self.name.to_string());
        error
    }

    async fn pour_file(
        &self,
        wanted: &ModuleVersion,
        kind: FileKind,
        sink: &mut dyn Sink,
    ) -> Result<(), SourceError> {
        let module = self.module(wanted.path())?;
        let found = Found::new(&module, wanted).await?;
        sink.read_from(&self.name, &found.commit.name)
            .await
            .map_err(refused_by_sink)?;
        let body = match kind {
            FileKind::Info => found.info.body(),
            FileKind::Mod => found.directory.go_mod_or_synthesised(wanted.path()),
            FileKind::Zip => {
                return zip::stream(
                    &self.repository,
                    wanted,
                    &found.commit.name,
                    &found.directory,
                    &self.name,
                    sink,
                )
                .await;
            }
        };
        pour(&self.name, body, sink).await.map_err(refused_by_sink)
    }
}

#[async_trait]
impl Source for RepositorySource {
    async fn list(&self, module_path: &ModulePath) -> Result<Listing, SourceError> {
        let versions = async { self.module(module_path)?.versions(Freshness::Recent).await };
        Ok(Listing {
            versions: versions
                .await
                .map_err(|error| self.blame(error, module_path))?,
            source: self.name.clone(),
        })
    }

    async fn latest(&self, module_path: &ModulePath) -> Result<Resolved, SourceError> {
        let latest = async { self.module(module_path)?.latest().await };
        match latest.await {
            Ok(info) => Ok(self.resolved(&info)),
            Err(error) => Err(self.blame(error, module_path)),
        }
    }

    async fn resolve(
        &self,
        module_path: &ModulePath,
        revision: &Revision,
    ) -> Result<Resolved, SourceError> {
        let found = async { self.module(module_path)?.stat(revision.as_str()).await };
        match found.await {
            Ok((_, info)) => Ok(self.resolved(&info)),
            Err(error) => Err(self.blame(error, module_path)),
        }
    }

    async fn fetch(
        &self,
        module: &ModuleVersion,
        kind: FileKind,
        sink: &mut dyn Sink,
    ) -> Result<Fetched, SourceError> {
        self.pour_file(module, kind, sink)
            .await
            .map_err(|error| self.blame(error, module.path()))?;
        Ok(Fetched {
            source: self.name.clone(),
            attempts: 1,
        })
    }

    fn name(&self) -> SourceName {
        self.name.clone()
    }
}

/// A version that exists, and where.
struct Found {
    commit: Commit,
    info: RevisionInfo,
    directory: Directory,
}

impl Found {
    /// Go reads the go.mod and the zip of a version that it has resolved before; a name that resolves to
    /// another version, such as a branch that looks like one, has no files.
    async fn new(module: &Module, wanted: &ModuleVersion) -> Result<Self, SourceError> {
        let version = wanted.version().as_str();
        let (commit, info) = module.stat(version).await?;
        if info.version != *wanted.version() {
            return Err(words::invalid_version(
                wanted.path(),
                version,
                format!(
                    "resolves to version {} ({version} is not a tag)",
                    info.version
                ),
            ));
        }
        let revision = module.place.revision_of(version);
        let directory = module
            .directory(&commit.name, version, &revision)
            .await
            .map_err(|error| error.of_version(wanted.path(), version))?;
        Ok(Self {
            commit,
            info,
            directory,
        })
    }
}
