//! `.info` files.
use crate::{ParseError, Version};

/// What a `.info` file says; the bytes themselves are kept and served as they came, `Origin` included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The canonical version.
    pub version: Version,
    /// RFC 3339 time, as written.
    pub time: Option<String>,
    /// The `Origin` object as compact JSON.
    pub origin: Option<String>,
}

impl Info {
    /// Reads the JSON of a `.info` file (at most 1 MiB).
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let _ = bytes;
        todo!()
    }
    /// Go's own compact form without a newline (rule 24).
    pub fn to_json(&self) -> String {
        todo!()
    }
}
