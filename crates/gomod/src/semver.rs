//! Semantic versions with a leading `v`, as golang.org/x/mod/semver reads them.
use std::cmp::Ordering;

/// `semver.IsValid`: also takes `v1` and `v1.2`.
pub fn is_valid(text: &str) -> bool {
    let _ = text;
    todo!()
}
/// `semver.Canonical`: fills missing parts, drops build metadata; empty for an invalid version.
pub fn canonical(text: &str) -> String {
    let _ = text;
    todo!()
}
/// `semver.Compare`: an invalid version is less than a valid one.
pub fn compare(a: &str, b: &str) -> Ordering {
    let _ = (a, b);
    todo!()
}
/// `semver.Major`: `v2`, or empty.
pub fn major(text: &str) -> &str {
    let _ = text;
    todo!()
}
/// `semver.Prerelease`: `-pre`, or empty.
pub fn prerelease(text: &str) -> &str {
    let _ = text;
    todo!()
}
/// `semver.Build`: `+meta`, or empty.
pub fn build(text: &str) -> &str {
    let _ = text;
    todo!()
}
