//! The language of Go modules: paths, versions, queries, files, hashes, lists and proofs.
//!
//! Everything that the server, the fetchers and the command line say about modules is said with the
//! types of this crate. It does no IO, reads no clock, starts nothing and never panics, whatever
//! bytes it is given; readers of archives take their bytes through [`zip::ReadAt`], which the caller
//! implements. The rules are those of the go command; each item names the function that it mirrors.

#![warn(missing_docs)]
// Whatever comes in must not stop the server; tests may.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::string_slice))]

mod calendar;
mod escape;
mod gosum;
mod hash;
mod info;
pub mod modfile;
mod path;
mod path_major;
mod patterns;
#[cfg(test)]
mod properties;
mod proxy_list;
mod pseudo;
mod query;
mod quote;
mod request;
pub mod semver;
pub mod sumdb;
mod unicode;
#[cfg(test)]
mod vectors;
mod version;
pub mod zip;

pub use escape::{EscapedPath, EscapedVersion};
pub use gosum::{GoSum, GoSumLine};
pub use hash::{GoModHash, H1, Sha256, ZipHash};
pub use info::Info;
pub use path::{ModulePath, check_import_path};
pub use path_major::PathMajor;
pub use patterns::PathPatterns;
pub use proxy_list::{FallBack, ProxyEntry, ProxyList, ProxySpec, SafeUrl};
pub use pseudo::PseudoVersion;
pub use query::{Comparison, Query};
pub use quote::quote as go_quote;
pub use request::{Request, SumdbRequest};
pub use version::{FileKind, ModuleVersion, Revision, Version};

/// Why some text is not what it should be. Carries what was read and the rule that it breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed {what} `{text}`: {reason}")]
pub struct ParseError {
    /// What the text was meant to be: `module path`, `version`, `go.mod line`…
    pub what: &'static str,
    /// The text, control characters escaped, cut to at most 200 bytes.
    pub text: String,
    /// The rule that it breaks, in Go's words where Go has some; at most 500 bytes.
    pub reason: String,
}

impl ParseError {
    /// An error about `text`, which was meant to be a `what`.
    pub fn new(what: &'static str, text: &str, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        reason.truncate(reason.floor_char_boundary(MAX_REASON_BYTES));
        Self {
            what,
            text: printable(text),
            reason,
        }
    }
}

const MAX_TEXT_BYTES: usize = 200;
const MAX_REASON_BYTES: usize = 500;

/// The start of `text` with everything escaped that could play tricks in a log or on a terminal.
fn printable(text: &str) -> String {
    let mut printable = String::new();
    for c in text.chars() {
        let escaped = c.escape_debug();
        if printable.len() + escaped.clone().map(char::len_utf8).sum::<usize>() > MAX_TEXT_BYTES {
            break;
        }
        printable.extend(escaped);
    }
    printable
}
