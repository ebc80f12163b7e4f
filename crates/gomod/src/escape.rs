//! Case-encoded paths and versions: the forms at URL and file-name edges (rules 3 and 4).
//!
//! File systems that ignore case must not confuse `Azure` with `azure`, so each upper-case letter
//! becomes `!` and its lower-case form. Most names have none and are borrowed or shared as they are.

use std::borrow::Cow;
use std::sync::Arc;

use crate::{ModulePath, ParseError, Revision, path, version};

/// A module path in which each upper-case letter is `!` and its lower-case form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EscapedPath(pub(crate) Arc<str>);

impl EscapedPath {
    /// Reads an escaped path and checks that it is a module path (Go's `module.UnescapePath`).
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        unescape_module_path(text)?;
        Ok(Self(text.into()))
    }

    /// The unescaped path.
    pub fn unescape(&self) -> ModulePath {
        ModulePath::from_checked(unescape_shared(&self.0))
    }

    /// The escaped text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for EscapedPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A version or revision in which each upper-case letter is `!` and its lower-case form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EscapedVersion(pub(crate) Arc<str>);

impl EscapedVersion {
    /// Reads an escaped version or revision (Go's `module.UnescapeVersion`).
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        unescape_revision(text)?;
        Ok(Self(text.into()))
    }

    /// The unescaped name, canonical version or not.
    pub fn unescape(&self) -> Revision {
        Revision::from_checked(unescape_shared(&self.0))
    }

    /// The escaped text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for EscapedVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The module path that an escaped path stands for, checked.
pub(crate) fn unescape_module_path(text: &str) -> Result<Cow<'_, str>, ParseError> {
    let fail = |reason| ParseError::new("escaped module path", text, reason);
    let path = unescape(text).map_err(fail)?;
    path::check_module_path(&path).map_err(fail)?;
    Ok(path)
}

/// The version or revision that an escaped version stands for, checked.
pub(crate) fn unescape_revision(text: &str) -> Result<Cow<'_, str>, ParseError> {
    let fail = |reason| ParseError::new("escaped version", text, reason);
    let revision = unescape(text).map_err(fail)?;
    version::check_revision(&revision).map_err(fail)?;
    Ok(revision)
}

/// Replaces each upper-case letter of `text`, which is known to hold ASCII without `!`.
pub(crate) fn escape_shared(text: &Arc<str>) -> Arc<str> {
    if !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Arc::clone(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_ascii_uppercase() {
            escaped.push('!');
        }
        escaped.push(c.to_ascii_lowercase());
    }
    escaped.into()
}

/// The reverse of [`escape_shared`], of a text that was checked before.
fn unescape_shared(text: &Arc<str>) -> Arc<str> {
    match unescape(text) {
        Ok(Cow::Owned(unescaped)) => unescaped.into(),
        Ok(Cow::Borrowed(_)) | Err(_) => Arc::clone(text),
    }
}

/// Go's `unescapeString`: ASCII only, no upper-case letters, and `!` only before a lower-case letter.
fn unescape(text: &str) -> Result<Cow<'_, str>, String> {
    path::check_bytes(text, |byte| byte.is_ascii() && !byte.is_ascii_uppercase()).map_err(
        |reason| {
            format!("{reason}; upper-case letters are written as `!` and the lower-case letter")
        },
    )?;
    if !text.contains('!') {
        return Ok(Cow::Borrowed(text));
    }
    let mut unescaped = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '!' {
            unescaped.push(c);
            continue;
        }
        match chars.next() {
            Some(letter @ 'a'..='z') => unescaped.push(letter.to_ascii_uppercase()),
            _ => return Err("`!` without a lower-case letter after it".into()),
        }
    }
    Ok(Cow::Owned(unescaped))
}
