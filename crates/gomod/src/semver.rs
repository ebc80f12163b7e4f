//! Semantic versions with a leading `v`, as golang.org/x/mod/semver reads them.
//!
//! Numbers may have any length: they are compared as text and never converted.

use std::cmp::Ordering;

/// `semver.IsValid`: also takes `v1` and `v1.2`.
pub fn is_valid(text: &str) -> bool {
    Parts::of(text).is_some()
}

/// `semver.Canonical`: fills missing parts, drops build metadata; empty for an invalid version.
pub fn canonical(text: &str) -> String {
    let Some(parts) = Parts::of(text) else {
        return String::new();
    };
    let kept = text.strip_suffix(parts.build).unwrap_or(text);
    format!("{kept}{}", parts.missing)
}

/// `semver.Compare`: an invalid version is less than a valid one, and equal to any other invalid one.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = match (Parts::of(a), Parts::of(b)) {
        (Some(a), Some(b)) => (a, b),
        (a, b) => return a.is_some().cmp(&b.is_some()),
    };
    compare_decimals(a.major, b.major)
        .then_with(|| compare_decimals(a.minor, b.minor))
        .then_with(|| compare_decimals(a.patch, b.patch))
        .then_with(|| compare_prereleases(a.prerelease, b.prerelease))
}

/// `semver.Major`: `v2`, or empty.
pub fn major(text: &str) -> &str {
    Parts::of(text)
        .and_then(|parts| text.get(..1 + parts.major.len()))
        .unwrap_or_default()
}

/// `semver.Prerelease`: `-pre`, or empty.
pub fn prerelease(text: &str) -> &str {
    Parts::of(text)
        .map(|parts| parts.prerelease)
        .unwrap_or_default()
}

/// `semver.Build`: `+meta`, or empty.
pub fn build(text: &str) -> &str {
    Parts::of(text).map(|parts| parts.build).unwrap_or_default()
}

/// A valid version, cut up.
pub(crate) struct Parts<'a> {
    pub(crate) major: &'a str,
    pub(crate) minor: &'a str,
    pub(crate) patch: &'a str,
    /// What the short forms `v1` and `v1.2` lack; empty for full versions.
    pub(crate) missing: &'static str,
    /// With its `-`, or empty.
    pub(crate) prerelease: &'a str,
    /// With its `+`, or empty.
    pub(crate) build: &'a str,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(text: &'a str) -> Option<Self> {
        let (major, rest) = cut_decimal(text.strip_prefix('v')?)?;
        let mut parts = Parts {
            major,
            minor: "0",
            patch: "0",
            missing: "",
            prerelease: "",
            build: "",
        };
        if rest.is_empty() {
            parts.missing = ".0.0";
            return Some(parts);
        }
        let (minor, rest) = cut_decimal(rest.strip_prefix('.')?)?;
        parts.minor = minor;
        if rest.is_empty() {
            parts.missing = ".0";
            return Some(parts);
        }
        let (patch, rest) = cut_decimal(rest.strip_prefix('.')?)?;
        parts.patch = patch;
        (parts.prerelease, parts.build) = rest.split_at(rest.find('+').unwrap_or(rest.len()));
        let prerelease_is_valid = parts.prerelease.is_empty()
            || identifiers(parts.prerelease, '-')?
                .all(|text| is_identifier(text) && !(is_decimal(text) && has_leading_zero(text)));
        let build_is_valid =
            parts.build.is_empty() || identifiers(parts.build, '+')?.all(is_identifier);
        (prerelease_is_valid && build_is_valid).then_some(parts)
    }
}

/// Cuts a leading decimal number off; a number of several digits must not start with 0.
fn cut_decimal(text: &str) -> Option<(&str, &str)> {
    let end = text
        .bytes()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(end)?;
    (!number.is_empty() && !has_leading_zero(number)).then_some((number, rest))
}

fn identifiers(text: &str, introducer: char) -> Option<std::str::Split<'_, char>> {
    Some(text.strip_prefix(introducer)?.split('.'))
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_decimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn has_leading_zero(decimal: &str) -> bool {
    decimal.len() > 1 && decimal.starts_with('0')
}

/// Numbers without leading zeros: the longer is the greater.
fn compare_decimals(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Semver 2.0.0, section 11: numbers before words, fewer fields before more, none at all last.
fn compare_prereleases(a: &str, b: &str) -> Ordering {
    if a.is_empty() || b.is_empty() {
        return a.is_empty().cmp(&b.is_empty());
    }
    let mut left = a.strip_prefix('-').unwrap_or(a).split('.');
    let mut right = b.strip_prefix('-').unwrap_or(b).split('.');
    loop {
        let (x, y) = match (left.next(), right.next()) {
            (Some(x), Some(y)) => (x, y),
            (x, y) => return x.is_some().cmp(&y.is_some()),
        };
        let order = match (is_decimal(x), is_decimal(y)) {
            (true, true) => compare_decimals(x, y),
            (false, false) => x.cmp(y),
            (x_is_number, y_is_number) => y_is_number.cmp(&x_is_number),
        };
        if order.is_ne() {
            return order;
        }
    }
}
