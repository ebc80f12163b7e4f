//! go.mod files with positions.

use crate::{ModulePath, ParseError, Version};

/// How strictly a go.mod is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As the main module's.
    Strict,
    /// As a dependency's (Go's `modfile.ParseLax`).
    Lax,
}

/// A parsed go.mod.
#[derive(Clone, Debug)]
pub struct ModFile {}

impl ModFile {
    /// Reads a go.mod.
    pub fn parse(bytes: &[u8], mode: Mode) -> Result<Self, Vec<ParseError>> {
        let _ = (bytes, mode);
        todo!()
    }
    /// The rationale, perhaps empty, if the version is retracted.
    pub fn retracts(&self, version: &Version) -> Option<&str> {
        let _ = version;
        todo!()
    }
}

/// The go.mod of a module that has none (rule 29).
pub fn synthesise(module_path: &ModulePath) -> String {
    let _ = module_path;
    todo!()
}
