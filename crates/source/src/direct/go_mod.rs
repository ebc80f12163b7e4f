//! Which folder holds the module at a commit, and its go.mod file (`codeRepo.findDir`, rules 28 to 31).

use std::sync::Arc;

use bytes::Bytes;
use gomod::zip::Limits;
use gomod::{ModulePath, PathMajor, go_quote, modfile, semver};
use quick_cache::sync::Cache;

use super::place::{Place, joined};
use super::words;
use crate::{ObjectName, Repository, SourceError};

/// A module in an opened repository; the rules of the other files are its methods.
pub(super) struct Module {
    pub(super) place: Place,
    pub(super) repository: Arc<dyn Repository>,
    pub(super) go_mod_files: Arc<GoModFiles>,
}

/// The folder of a module at a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directory {
    /// From the repository's root; empty for that.
    pub(super) folder: String,
    /// The go.mod file as it lies in the repository; `None` where it may be missing and is.
    pub(super) go_mod: Option<Bytes>,
}

impl Directory {
    /// The `.mod` file: the raw one, or the one that is made up for a module without.
    pub(super) fn go_mod_or_synthesised(&self, module_path: &ModulePath) -> Bytes {
        match &self.go_mod {
            Some(go_mod) => go_mod.clone(),
            None => Bytes::from(modfile::synthesise(module_path)),
        }
    }
}

/// Why a commit does not hold the module.
#[derive(Debug)]
pub(super) enum NoDirectory {
    /// What is there breaks a rule; Go's words.
    Rule(String),
    /// What is there could not be read.
    Unread(SourceError),
}

impl NoDirectory {
    /// The failure of a question about a version.
    pub(super) fn of_version(self, module_path: &ModulePath, version: &str) -> SourceError {
        match self {
            Self::Rule(reason) => words::invalid_version(module_path, version, reason),
            Self::Unread(error) => error,
        }
    }
}

impl From<SourceError> for NoDirectory {
    fn from(error: SourceError) -> Self {
        Self::Unread(error)
    }
}

impl Module {
    /// Finds the folder at a commit that was found before. `version` is what it is looked for as, and
    /// `revision` is the repository's name of that: both for messages only.
    pub(super) async fn directory(
        &self,
        commit: &ObjectName,
        version: &str,
        revision: &str,
    ) -> Result<Directory, NoDirectory> {
        let place = &self.place;
        let path_major = place.path_major.as_str();
        let outer_file = joined(&place.folder, "go.mod");
        let outer = self.go_mod_at(commit, &outer_file).await?;
        let outer_path = outer.as_deref().and_then(modfile::module_path);
        let outer_fits = outer_path.as_deref().is_some_and(|path| {
            place.path_major.agrees_with(path) || is_excused(&place.path_major, path)
        });
        let fault = |text: String| Err(NoDirectory::Rule(format!("{text} at revision {revision}")));

        let inner_folder = place.major_folder();
        if let Some(inner_folder) = &inner_folder {
            let inner_file = joined(inner_folder, "go.mod");
            if let Some(inner) = self.go_mod_at(commit, &inner_file).await? {
                let root = &place.root;
                let Some(inner_path) = modfile::module_path(&inner) else {
                    return fault(format!("{root}/{inner_file} is missing module path"));
                };
                if !place.path_major.agrees_with(&inner_path) {
                    return fault(format!(
                        "{root}/{inner_file} has non-...{path_major} module path {}",
                        go_quote(&inner_path)
                    ));
                }
                if outer_fits {
                    return fault(format!(
                        "{}/{outer_file} and ...{path_major}/go.mod both have ...{path_major} module paths",
                        place.path_prefix
                    ));
                }
                return Ok(Directory {
                    folder: inner_folder.clone(),
                    go_mod: Some(inner),
                });
            }
        }

        if outer.is_some() && !outer_fits {
            let missing_inner = match inner_folder {
                Some(_) => format!(" (and ...{path_major}/go.mod does not exist)"),
                None => String::new(),
            };
            let Some(outer_path) = outer_path else {
                return fault(format!(
                    "{outer_file} is missing module path{missing_inner}"
                ));
            };
            let what = if !path_major.is_empty() {
                format!("non-...{path_major} module path")
            } else if PathMajor::of(&outer_path).is_none() {
                "malformed module path".to_owned()
            } else {
                format!("post-{} module path", semver::major(version))
            };
            return fault(format!(
                "{outer_file} has {what} {}{missing_inner}",
                go_quote(&outer_path)
            ));
        }
        let may_lack_one =
            place.folder.is_empty() && (path_major.is_empty() || path_major.starts_with('.'));
        if outer.is_some() || may_lack_one {
            return Ok(Directory {
                folder: place.folder.clone(),
                go_mod: outer,
            });
        }
        let prefix = &place.path_prefix;
        match inner_folder {
            Some(_) => fault(format!(
                "missing {prefix}/go.mod and ...{path_major}/go.mod"
            )),
            None => fault(format!("missing {prefix}/go.mod")),
        }
    }

    /// A go.mod file at a commit that was found before.
    pub(super) async fn go_mod_at(
        &self,
        commit: &ObjectName,
        path: &str,
    ) -> Result<Option<Bytes>, SourceError> {
        let key = self.go_mod_key(commit, path);
        if let Some(known) = self.go_mod_files.0.get(&key) {
            return Ok(known);
        }
        let limit_bytes = Limits::default().go_mod_bytes;
        let file = self.repository.file(commit, path, limit_bytes).await?;
        self.go_mod_files.0.insert(key, file.clone());
        Ok(file)
    }

    /// The same, if it is known without asking; then the commit need not have been found.
    pub(super) fn known_go_mod_at(&self, commit: &ObjectName, path: &str) -> Option<Option<Bytes>> {
        self.go_mod_files.0.get(&self.go_mod_key(commit, path))
    }

    fn go_mod_key(&self, commit: &ObjectName, path: &str) -> GoModKey {
        GoModKey {
            repository: self.repository.url().as_str().into(),
            commit: commit.clone(),
            path: path.into(),
        }
    }
}

/// A mistake of old go commands that is kept: a path without major suffix may be a fork of any gopkg.in
/// module (`canReplaceMismatchedVersionDueToBug`).
fn is_excused(path_major: &PathMajor, module_line: &str) -> bool {
    path_major.is_empty() && module_line.starts_with("gopkg.in/")
}

/// A bounded memory of go.mod files at commits, and of their absence there. Commits never change.
pub(super) struct GoModFiles(Cache<GoModKey, Option<Bytes>, ByBytes>);

/// What all remembered files may weigh.
const REMEMBERED_BYTES: u64 = 8 << 20;

impl Default for GoModFiles {
    fn default() -> Self {
        Self(Cache::with_weighter(4096, REMEMBERED_BYTES, ByBytes))
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct GoModKey {
    repository: Arc<str>,
    commit: ObjectName,
    path: Arc<str>,
}

#[derive(Clone)]
struct ByBytes;

impl quick_cache::Weighter<GoModKey, Option<Bytes>> for ByBytes {
    fn weight(&self, key: &GoModKey, file: &Option<Bytes>) -> u64 {
        let bytes = key.repository.len() + key.path.len() + file.as_ref().map_or(0, Bytes::len);
        u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(256)
    }
}
