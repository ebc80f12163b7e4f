//! Module paths and import paths (rules 1, 2 and 7).

use std::sync::Arc;

use crate::{EscapedPath, ParseError, escape};

/// A module path that passes Go's `module.CheckPath`; always unescaped in memory. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModulePath(Arc<str>);

impl ModulePath {
    /// Reads a module path as users write it (`github.com/Azure/sdk`).
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        match check_module_path(text) {
            Ok(()) => Ok(Self(text.into())),
            Err(reason) => Err(ParseError::new("module path", text, reason)),
        }
    }

    /// The path as users write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as URLs and file names hold it. Allocates only if it has upper-case letters.
    pub fn escape(&self) -> EscapedPath {
        EscapedPath(escape::escape_shared(&self.0))
    }

    /// Go's `module.SplitPathVersion`: prefix and major suffix (`/v2`, `.v3`, `.v3-unstable`, or empty).
    pub fn split_major(&self) -> (&str, &str) {
        split_path_version(&self.0).unwrap_or((&self.0, ""))
    }

    /// Every proper path prefix that is itself a valid module path, longest first.
    pub fn parents(&self) -> impl Iterator<Item = Self> {
        self.0
            .rmatch_indices('/')
            .filter_map(|(slash, _)| self.0.get(..slash))
            // All other rules are about single elements, and hold for the whole path already.
            .filter(|prefix| split_path_version(prefix).is_some())
            .map(|prefix| Self::from_checked(prefix.into()))
    }

    /// Wraps a path that is known to be valid.
    pub(crate) fn from_checked(text: Arc<str>) -> Self {
        debug_assert_eq!(check_module_path(&text), Ok(()));
        Self(text)
    }
}

impl std::fmt::Display for ModulePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Go's `module.CheckImportPath`.
pub fn check_import_path(text: &str) -> Result<(), ParseError> {
    check_path(text, PathKind::Import)
        .map_err(|reason| ParseError::new("import path", text, reason))
}

/// Go's `module.CheckPath`, with the reason for a refusal.
pub(crate) fn check_module_path(text: &str) -> Result<(), String> {
    check_path(text, PathKind::Module)?;
    let host = text.split('/').next().unwrap_or_default();
    if !host.contains('.') {
        return Err("missing dot in first path element".into());
    }
    check_bytes(
        host,
        |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'),
    )
    .map_err(|reason| format!("{reason} in first path element"))?;
    if split_path_version(text).is_none() {
        return Err("invalid version".into());
    }
    Ok(())
}

/// Go's `module.SplitPathVersion`; `None` where Go says not ok.
pub(crate) fn split_path_version(text: &str) -> Option<(&str, &str)> {
    if text.starts_with("gopkg.in/") {
        return split_gopkg_in(text);
    }
    let digits_and_dots = trailing(text, |byte| byte.is_ascii_digit() || byte == b'.');
    let start = text.len() - digits_and_dots.len();
    let Some(prefix) = text
        .get(..start)
        .and_then(|text| text.strip_suffix("/v"))
        .filter(|_| !digits_and_dots.is_empty())
    else {
        return Some((text, ""));
    };
    if digits_and_dots.contains('.') || digits_and_dots.starts_with('0') || digits_and_dots == "1" {
        return None;
    }
    text.split_at_checked(prefix.len())
}

/// Paths below gopkg.in end in `.vN` or `.vN-unstable`, N being 0 or a number without leading zero.
fn split_gopkg_in(text: &str) -> Option<(&str, &str)> {
    let stem = text.strip_suffix("-unstable").unwrap_or(text);
    let number = trailing(stem, |byte| byte.is_ascii_digit());
    let prefix = stem
        .get(..stem.len() - number.len())
        .and_then(|text| text.strip_suffix(".v"))?;
    let (prefix, major) = text.split_at_checked(prefix.len())?;
    // Go looks at the whole suffix here, so `.v0-unstable` is refused and `.v-unstable` is not.
    let number_and_rest = major.strip_prefix(".v")?;
    let is_valid =
        major == ".v0" || !number_and_rest.is_empty() && !number_and_rest.starts_with('0');
    is_valid.then_some((prefix, major))
}

/// The longest ending of `text` whose bytes, all of them ASCII, satisfy `wanted`.
fn trailing(text: &str, wanted: impl Fn(u8) -> bool) -> &str {
    let length = text.bytes().rev().take_while(|&byte| wanted(byte)).count();
    text.get(text.len() - length..).unwrap_or_default()
}

/// What a path names, and so which characters it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathKind {
    Module,
    Import,
}

/// The part of Go's path check that is common to module and import paths.
fn check_path(text: &str, kind: PathKind) -> Result<(), String> {
    if text.is_empty() {
        return Err("empty string".into());
    }
    if text.starts_with('-') {
        return Err("leading dash".into());
    }
    if text.contains("//") {
        return Err("double slash".into());
    }
    if text.ends_with('/') {
        return Err("trailing slash".into());
    }
    text.split('/')
        .try_for_each(|element| check_element(element, kind))
}

/// One element of a module or import path.
pub(crate) fn check_element(element: &str, kind: PathKind) -> Result<(), String> {
    check_dots(element)?;
    if kind == PathKind::Module && element.starts_with('.') {
        return Err("leading dot in path element".into());
    }
    check_bytes(element, |byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~')
            || kind == PathKind::Import && byte == b'+'
    })?;
    check_reserved_on_windows(element)?;
    // Windows gives long names short aliases that look like this.
    if let Some((_, digits)) = before_first_dot(element).rsplit_once('~')
        && !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err("trailing tilde and digits in path element".into());
    }
    Ok(())
}

/// The rules about dots that hold for every element: of module, import and file paths.
pub(crate) fn check_dots(element: &str) -> Result<(), String> {
    if element.is_empty() {
        return Err("empty path element".into());
    }
    if element.bytes().all(|byte| byte == b'.') {
        return Err("path element of dots only".into());
    }
    if element.ends_with('.') {
        return Err("trailing dot in path element".into());
    }
    Ok(())
}

/// Refuses text with anything but certain ASCII characters.
pub(crate) fn check_bytes(text: &str, is_allowed: impl Fn(u8) -> bool) -> Result<(), String> {
    // Every request comes through here: first a quick look at bytes, then which character it was.
    if text.bytes().all(&is_allowed) {
        return Ok(());
    }
    let bad = text
        .chars()
        .find(|&c| !u8::try_from(c).is_ok_and(|byte| byte.is_ascii() && is_allowed(byte)));
    Err(format!("invalid char {:?}", bad.unwrap_or_default()))
}

/// Refuses the device names of Windows, whatever their case and extension (rule 2).
pub(crate) fn check_reserved_on_windows(element: &str) -> Result<(), String> {
    let stem = before_first_dot(element);
    let is_reserved = match stem.len() {
        3 => ["CON", "PRN", "AUX", "NUL"]
            .iter()
            .any(|name| stem.eq_ignore_ascii_case(name)),
        4 => stem.split_at_checked(3).is_some_and(|(name, digit)| {
            (name.eq_ignore_ascii_case("COM") || name.eq_ignore_ascii_case("LPT"))
                && matches!(digit.as_bytes(), [b'1'..=b'9'])
        }),
        _ => false,
    };
    if is_reserved {
        return Err(format!(
            "{stem:?} disallowed as path element component on Windows"
        ));
    }
    Ok(())
}

fn before_first_dot(element: &str) -> &str {
    element.split('.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
