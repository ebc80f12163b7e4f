//! What Larder says, in the same terms.

use super::Subject;
use super::go_side::{Zip, entries};
use crate::module::escape;
use crate::{Answer, Larder};
use base64::Engine;

/// Asks a running Larder about one module.
pub(super) struct LarderSide<'a> {
    larder: &'a Larder,
    module: String,
}

impl<'a> LarderSide<'a> {
    pub(super) fn new(larder: &'a Larder, subject: &Subject) -> Self {
        Self {
            larder,
            module: escape(&subject.module_path),
        }
    }

    pub(super) fn list(&self) -> Answer {
        self.larder.get(&format!("/{}/@v/list", self.module))
    }

    pub(super) fn latest(&self) -> Answer {
        self.larder.get(&format!("/{}/@latest", self.module))
    }

    /// `kind`: `info`, `mod` or `zip`.
    pub(super) fn file(&self, version: &str, kind: &str) -> Answer {
        self.larder
            .get(&format!("/{}/@v/{}.{kind}", self.module, escape(version)))
    }
}

/// What is in a zip that Larder served, with its `h1:` computed here.
pub(super) fn zip(bytes: &[u8]) -> Result<Zip, String> {
    let entries = entries(bytes)?;
    let mut sorted: Vec<&(String, String)> = entries.iter().collect();
    sorted.sort();
    let lines: String = sorted
        .iter()
        .map(|(name, hash)| format!("{hash}  {name}\n"))
        .collect();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, lines.as_bytes());
    let hash = format!(
        "h1:{}",
        base64::engine::general_purpose::STANDARD.encode(digest)
    );
    Ok(Zip { entries, hash })
}
