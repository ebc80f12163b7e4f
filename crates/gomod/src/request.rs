//! Requests of the GOPROXY protocol.
use crate::{FileKind, ModulePath, ModuleVersion, ParseError, Revision};

/// What a request path asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// `PATH/@v/list`.
    List(ModulePath),
    /// `PATH/@latest`.
    Latest(ModulePath),
    /// `PATH/@v/VERSION.{info,mod,zip}` with a canonical version that fits the path.
    File(ModuleVersion, FileKind),
    /// `PATH/@v/NAME.info` with any other name: a branch, tag, commit, or a version whose major does not fit.
    Resolve(ModulePath, Revision),
    /// `sumdb/NAME/…`.
    Sumdb {
        /// The database's name, `sum.golang.org` or `host/path`.
        name: String,
        /// What is asked of it.
        request: SumdbRequest,
    },
}

/// What is asked of a checksum database.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SumdbRequest {
    /// `supported`.
    Supported,
    /// `latest`.
    Latest,
    /// `lookup/PATH@VERSION`.
    Lookup(ModuleVersion),
    /// `tile/H/L/N[.p/W]` and `tile/H/data/N[.p/W]`.
    Tile(crate::sumdb::Tile),
}

impl Request {
    /// Reads the path of a request target: leading `/`, no query. Percent-escapes are decoded once (`%21` is `!`).
    pub fn parse(target: &str) -> Result<Self, ParseError> {
        let _ = target;
        todo!()
    }
    /// The module that is asked for, if it is one.
    pub fn module_path(&self) -> Option<&ModulePath> {
        match self {
            Self::List(path) | Self::Latest(path) | Self::Resolve(path, _) => Some(path),
            Self::File(module, _)
            | Self::Sumdb {
                request: SumdbRequest::Lookup(module),
                ..
            } => Some(module.path()),
            Self::Sumdb { .. } => None,
        }
    }
}
