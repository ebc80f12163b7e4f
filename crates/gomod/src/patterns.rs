//! GOPRIVATE-like lists of path prefixes (rule 60).

/// A comma-separated list of glob patterns; `module.MatchPrefixPatterns`. Malformed ones match nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathPatterns {
    text: String,
}

impl PathPatterns {
    /// Reads a list. Never fails: Go ignores malformed patterns.
    pub fn parse(text: &str) -> Self {
        Self { text: text.into() }
    }
    /// True if some pattern matches a leading part of `target`.
    pub fn matches(&self, target: &str) -> bool {
        let _ = target;
        todo!()
    }
    /// True for a list without patterns.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
    /// The patterns of both lists.
    pub fn union(&self, other: &Self) -> Self {
        let _ = other;
        todo!()
    }
    /// The list as a GOPRIVATE value.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}
