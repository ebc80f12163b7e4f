//! go.sum files.
use crate::{H1, ParseError};

/// One line of a go.sum file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoSumLine {
    /// The module path as written.
    pub module_path: String,
    /// The version without `/go.mod`.
    pub version: String,
    /// True for the line of the go.mod file alone.
    pub go_mod: bool,
    /// The hash.
    pub hash: H1,
}

/// A go.sum file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoSum {
    /// Its lines, in order.
    pub lines: Vec<GoSumLine>,
}

impl GoSum {
    /// Reads a go.sum file.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let _ = text;
        todo!()
    }
}
