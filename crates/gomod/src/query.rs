//! Version queries: what stands behind the `@` of `go get` (the Reference, "Version queries";
//! `modload.newQueryMatcher`). They are answered by the client from the list of versions.

use crate::{ParseError, Revision, Version, semver};
use std::cmp::Ordering;

/// A version query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// `latest`, `upgrade`, or nothing: the highest release, else the highest pre-release.
    Latest,
    /// A canonical version: itself.
    Exact(Version),
    /// `v1` or `v1.2`: the highest version of that line. Holds the text with a dot behind.
    Prefix(String),
    /// `<v1.2.3`, `<=v1.2.3`, `>v1.2.3`, `>=v1.2.3`: the nearest version on that side.
    Range(Comparison, String),
    /// Anything else: a branch, a tag, a commit.
    Revision(Revision),
}

/// The side of a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Query {
    /// Reads a query; an empty one is `upgrade`, as `go get MODULE` means it.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if matches!(text, "" | "latest" | "upgrade" | "patch") {
            return Ok(Self::Latest);
        }
        let bounds = [
            ("<=", Comparison::LessOrEqual),
            ("<", Comparison::Less),
            (">=", Comparison::GreaterOrEqual),
            (">", Comparison::Greater),
        ];
        for (sign, comparison) in bounds {
            if let Some(bound) = text.strip_prefix(sign) {
                return Self::range(text, comparison, bound);
            }
        }
        if is_prefix(text) {
            return Ok(Self::Prefix(format!("{text}.")));
        }
        if let Ok(version) = Version::parse(text) {
            return Ok(Self::Exact(version));
        }
        Revision::parse(text).map(Self::Revision)
    }

    fn range(text: &str, comparison: Comparison, bound: &str) -> Result<Self, ParseError> {
        if !semver::is_valid(bound) {
            return Err(ParseError::new(
                "version query",
                text,
                "invalid semantic version in range",
            ));
        }
        // `<=v1.2` could mean v1.2.0 or all of v1.2; Go refuses to guess.
        let is_ambiguous = matches!(comparison, Comparison::LessOrEqual | Comparison::Greater);
        if is_ambiguous && is_prefix(bound) {
            return Err(ParseError::new(
                "version query",
                text,
                "ambiguous semantic version in range",
            ));
        }
        Ok(Self::Range(comparison, bound.to_owned()))
    }

    /// True if the list of versions is asked to answer it.
    pub fn needs_list(&self) -> bool {
        matches!(self, Self::Latest | Self::Prefix(_) | Self::Range(..))
    }

    /// Chooses from a list: releases before pre-releases, compatible versions before `+incompatible` ones, the highest
    /// of them, or the lowest above a lower bound. `allowed` leaves retracted versions out. `None` where nothing
    /// fits, and for queries that no list answers.
    pub fn select<'a>(
        &self,
        versions: &'a [Version],
        allowed: impl Fn(&Version) -> bool,
    ) -> Option<&'a Version> {
        let mut fitting: Vec<&Version> = versions
            .iter()
            .filter(|version| !version.is_pseudo() && self.matches(version) && allowed(version))
            .collect();
        fitting.sort();
        let lowest_first = matches!(
            self,
            Self::Range(Comparison::Greater | Comparison::GreaterOrEqual, _)
        );
        let better = |version: &&&Version| (version.is_prerelease(), version.is_incompatible());
        let best = fitting.iter().map(|version| better(&version)).min()?;
        let mut best_ones = fitting.iter().filter(|version| better(version) == best);
        match lowest_first {
            true => best_ones.next().copied(),
            false => best_ones.next_back().copied(),
        }
    }

    fn matches(&self, version: &Version) -> bool {
        let text = version.as_str();
        match self {
            Self::Latest => true,
            Self::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Self::Range(comparison, bound) => {
                let order = semver::compare(text, bound);
                match comparison {
                    Comparison::Less => order == Ordering::Less,
                    Comparison::LessOrEqual => order != Ordering::Greater,
                    Comparison::Greater => order == Ordering::Greater,
                    Comparison::GreaterOrEqual => order != Ordering::Less,
                }
            }
            Self::Exact(_) | Self::Revision(_) => false,
        }
    }
}

/// `v1` and `v1.2` (`modload.isSemverPrefix`).
fn is_prefix(text: &str) -> bool {
    semver::is_valid(text) && text.matches('.').count() < 2 && !text.contains(['-', '+'])
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: [&str; 8] = [
        "v0.9.0",
        "v1.0.0",
        "v1.2.0",
        "v1.2.3",
        "v1.3.0-rc.1",
        "v1.10.0",
        "v2.0.0+incompatible",
        "v1.11.0-beta",
    ];

    #[track_caller]
    fn check(query: &str, expected: Option<&str>) {
        let versions: Vec<Version> = LIST
            .iter()
            .map(|text| Version::parse(text).unwrap())
            .collect();
        let query = Query::parse(query).unwrap();
        let chosen = query.select(&versions, |version| version.as_str() != "v1.10.0");
        assert_eq!(chosen.map(Version::as_str), expected, "{query:?}");
    }

    #[test]
    fn a_query_chooses_as_the_go_command_does() {
        check("latest", Some("v1.2.3"));
        check("", Some("v1.2.3"));
        check("v1", Some("v1.2.3"));
        check("v1.2", Some("v1.2.3"));
        check("v1.3", Some("v1.3.0-rc.1"));
        check("v3", None);
        check("<v1.2.3", Some("v1.2.0"));
        check("<=v1.2.3", Some("v1.2.3"));
        check("<v1.2", Some("v1.0.0"));
        check(">v1.0.0", Some("v1.2.0"));
        check(">=v1.2.3", Some("v1.2.3"));
        check("v1.2.3", None);
        check("main", None);
    }

    #[test]
    fn what_the_go_command_refuses_is_refused() {
        let refused = |text: &str| Query::parse(text).unwrap_err().reason;
        assert!(refused("<=v1.2").contains("ambiguous"));
        assert!(refused(">v1").contains("ambiguous"));
        assert!(refused("<main").contains("invalid semantic version"));
        assert!(!refused("feature/x").is_empty());
    }
}
