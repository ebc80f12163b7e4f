//! Pseudo-versions (rules 8, 9 and 11).
use crate::{ParseError, Version};

/// The parts of a pseudo-version, which agree with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PseudoVersion {
    version: Version,
}

impl PseudoVersion {
    /// Go's `module.PseudoVersion`: `major` is `v0`, `v2`… or empty; `older` the base tag or empty;
    /// `time` is `yyyymmddhhmmss`; `revision` the 12-digit form.
    pub fn build(
        major: &str,
        older: &str,
        time: &str,
        revision: &str,
    ) -> Result<Version, ParseError> {
        let _ = (major, older, time, revision);
        todo!()
    }
    /// The whole version.
    pub fn version(&self) -> &Version {
        &self.version
    }
    /// Go's `module.PseudoVersionBase`: the tag it is based on, if any.
    pub fn base(&self) -> Result<Option<Version>, ParseError> {
        todo!()
    }
    /// Go's `module.PseudoVersionTime` as RFC 3339 (`2006-01-02T15:04:05Z`).
    pub fn time_rfc3339(&self) -> Result<String, ParseError> {
        todo!()
    }
    /// Go's `module.PseudoVersionRev`.
    pub fn revision(&self) -> &str {
        todo!()
    }
}
