//! Module paths.
use std::sync::Arc;

use crate::{EscapedPath, ParseError};

/// A module path that passes Go's `module.CheckPath`; always unescaped in memory. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModulePath(Arc<str>);

impl ModulePath {
    /// Reads a module path as users write it (`github.com/Azure/sdk`).
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Ok(Self(text.into()))
    }
    /// The path as users write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The path as URLs and file names hold it.
    pub fn escape(&self) -> EscapedPath {
        todo!()
    }
    /// Go's `module.SplitPathVersion`: prefix and major suffix (`/v2`, `.v3`, `.v3-unstable`, or empty).
    pub fn split_major(&self) -> (&str, &str) {
        todo!()
    }
    /// Every proper path prefix that is itself a valid module path, longest first.
    pub fn parents(&self) -> impl Iterator<Item = ModulePath> {
        std::iter::empty()
    }
}

/// Go's `module.CheckImportPath`.
pub fn check_import_path(text: &str) -> Result<(), ParseError> {
    let _ = text;
    todo!()
}

impl std::fmt::Display for ModulePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
