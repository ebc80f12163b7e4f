//! GOPRIVATE-like lists of path prefixes (rule 60).

mod glob;

use glob::Glob;

/// A comma-separated list of glob patterns; `module.MatchPrefixPatterns`. Malformed ones match nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathPatterns {
    text: String,
    globs: Vec<PrefixGlob>,
}

/// One pattern of a list: compared with as many leading path elements as it has itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PrefixGlob {
    slashes: usize,
    glob: Glob,
}

impl PathPatterns {
    /// Reads a list. Never fails: Go ignores malformed patterns.
    pub fn parse(text: &str) -> Self {
        let globs = text
            .split(',')
            .map(|glob| glob.strip_suffix('/').unwrap_or(glob))
            .filter(|glob| !glob.is_empty())
            .filter_map(|glob| {
                Some(PrefixGlob {
                    slashes: glob.matches('/').count(),
                    glob: Glob::parse(glob)?,
                })
            })
            .collect();
        Self {
            text: text.into(),
            globs,
        }
    }

    /// True if some pattern matches a leading part of `target`.
    pub fn matches(&self, target: &str) -> bool {
        self.globs.iter().any(|pattern| pattern.matches(target))
    }

    /// True for a list that matches nothing, because it has no (well-formed) patterns.
    pub fn is_empty(&self) -> bool {
        self.globs.is_empty()
    }

    /// The patterns of both lists.
    pub fn union(&self, other: &Self) -> Self {
        if self.text.is_empty() {
            return other.clone();
        }
        if other.text.is_empty() || self.text == other.text {
            return self.clone();
        }
        Self::parse(&format!("{},{}", self.text, other.text))
    }

    /// The list as a GOPRIVATE value.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Display for PathPatterns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PrefixGlob {
    fn matches(&self, target: &str) -> bool {
        let mut slashes = target.match_indices('/').map(|(at, _)| at);
        let prefix = match slashes.nth(self.slashes) {
            Some(end) => target.get(..end).unwrap_or_default(),
            None if target.matches('/').count() == self.slashes => target,
            None => return false,
        };
        self.glob.matches(prefix)
    }
}

#[cfg(test)]
mod tests;
