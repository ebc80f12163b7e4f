//! Canonical versions, revision names, and the pair of path and version.
use std::sync::Arc;

use crate::{EscapedVersion, ModulePath, ParseError, PseudoVersion};

/// A canonical version: full semver with a leading `v`, no build metadata but `+incompatible`.
/// Ordered by semver precedence, ties by text (rule 6). Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version(Arc<str>);

impl Version {
    /// Reads a canonical version; anything else is an error (`version X is not canonical`).
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Ok(Self(text.into()))
    }
    /// The version as users write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The version as URLs and file names hold it.
    pub fn escape(&self) -> EscapedVersion {
        todo!()
    }
    /// `v2` of `v2.3.4`.
    pub fn major(&self) -> &str {
        todo!()
    }
    /// True for a version with a pre-release part, pseudo-versions included.
    pub fn is_prerelease(&self) -> bool {
        todo!()
    }
    /// True for a version that ends in `+incompatible`.
    pub fn is_incompatible(&self) -> bool {
        todo!()
    }
    /// True for a pseudo-version (Go's `module.IsPseudoVersion`).
    pub fn is_pseudo(&self) -> bool {
        todo!()
    }
    /// The parts of a pseudo-version.
    pub fn pseudo(&self) -> Option<PseudoVersion> {
        todo!()
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let _ = other;
        todo!()
    }
}
impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that may be asked of `@v/NAME.info`: branch, tag, commit, or a version (rule 4: one valid
/// file element without `!`, so no slash). Never interpreted here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision(Arc<str>);

impl Revision {
    /// Reads a revision name.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Ok(Self(text.into()))
    }
    /// The name as users write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The name as URLs hold it.
    pub fn escape(&self) -> EscapedVersion {
        todo!()
    }
}
impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A module path with a canonical version whose major fits the path (Go's `module.CheckPathMajor`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleVersion {
    path: ModulePath,
    version: Version,
}

impl ModuleVersion {
    /// Pairs the two, or says why the version cannot belong to the path.
    pub fn new(path: ModulePath, version: Version) -> Result<Self, ParseError> {
        Ok(Self { path, version })
    }
    /// The module path.
    pub fn path(&self) -> &ModulePath {
        &self.path
    }
    /// The version.
    pub fn version(&self) -> &Version {
        &self.version
    }
}
impl std::fmt::Display for ModuleVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.path, self.version)
    }
}

/// Which of the three files of a module version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileKind {
    /// `VERSION.info`: JSON with the version and its time.
    Info,
    /// `VERSION.mod`: the go.mod file.
    Mod,
    /// `VERSION.zip`: the module's files.
    Zip,
}

impl FileKind {
    /// `info`, `mod` or `zip`.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Mod => "mod",
            Self::Zip => "zip",
        }
    }
}
