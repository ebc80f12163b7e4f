//! Case-encoded paths and versions: the forms at URL and file-name edges.
use std::sync::Arc;

use crate::{ModulePath, ParseError, Revision};

/// A module path in which each upper-case letter is `!` and its lower-case form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EscapedPath(pub(crate) Arc<str>);

impl EscapedPath {
    /// Reads an escaped path and checks that it is a module path (Go's `module.UnescapePath`).
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let _ = text;
        todo!()
    }
    /// The unescaped path.
    pub fn unescape(&self) -> ModulePath {
        todo!()
    }
    /// The escaped text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A version or revision in which each upper-case letter is `!` and its lower-case form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EscapedVersion(pub(crate) Arc<str>);

impl EscapedVersion {
    /// Reads an escaped version or revision (Go's `module.UnescapeVersion`).
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let _ = text;
        todo!()
    }
    /// The unescaped name, canonical version or not.
    pub fn unescape(&self) -> Revision {
        todo!()
    }
    /// The escaped text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
