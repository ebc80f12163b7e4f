//! Names of files in a module: which are valid, and which get in each other's way.
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::quote::{quote, quote_bytes, quote_rune};
use crate::{path, unicode};

/// The longest name that is looked at, in bytes. Ours, not Go's: a longer one cannot be unpacked by
/// the systems that the go command runs on, and the bound keeps hostile archives cheap to refuse.
pub(super) const MAX_NAME_BYTES: usize = 4096;

/// Names in messages are cut here.
const MAX_TOLD_BYTES: usize = 200;

/// The most files and folders of one archive. Ours, not Go's; ten times the largest known module.
const MAX_NODES: usize = 1 << 20;

/// Go's `module.CheckFilePath` (rule 33): the name as text, or what is wrong with it, in Go's
/// words.
pub(super) fn check_file_path(name: &[u8]) -> Result<&str, String> {
    let Ok(text) = std::str::from_utf8(name) else {
        return Err(malformed(name, "invalid UTF-8"));
    };
    let reason = if name.is_empty() {
        Err("empty string".into())
    } else if name.len() > MAX_NAME_BYTES {
        Err(format!("name longer than {MAX_NAME_BYTES} bytes"))
    } else if text.contains("//") {
        Err("double slash".into())
    } else if text.ends_with('/') {
        Err("trailing slash".into())
    } else {
        text.split('/').try_for_each(check_file_element)
    };
    match reason {
        Ok(()) => Ok(text),
        Err(reason) => Err(malformed(name, &reason)),
    }
}

fn malformed(name: &[u8], reason: &str) -> String {
    let start = name.get(..MAX_TOLD_BYTES).unwrap_or(name);
    format!("malformed file path {}: {reason}", quote_bytes(start))
}

/// One element of a file name.
fn check_file_element(element: &str) -> Result<(), String> {
    if !element.is_empty() && element.bytes().all(|byte| byte == b'.') {
        return Err(format!("invalid path element {}", quote(element)));
    }
    path::check_dots(element)?;
    if let Some(rune) = element.chars().find(|&rune| !is_file_name_rune(rune)) {
        return Err(format!("invalid char {}", quote_rune(rune)));
    }
    path::check_reserved_on_windows(element)
}

fn is_file_name_rune(rune: char) -> bool {
    rune.is_ascii_digit() || "!#$%&()+,-.=@[]^_{}~ ".contains(rune) || unicode::is_letter(rune)
}

/// Go's `path.Clean(name) == name`.
pub(super) fn is_clean(name: &[u8]) -> bool {
    if matches!(name, b"." | b"/") {
        return true;
    }
    let rest = name.strip_prefix(b"/");
    // `..` may only lead, and only where there is no root to stay below.
    let mut leads = rest.is_none();
    let mut elements = rest.unwrap_or(name).split(|&byte| byte == b'/');
    elements.all(|element| match element {
        b"" | b"." => false,
        b".." => leads,
        _ => {
            leads = false;
            true
        }
    })
}

/// Whether a name is that of a file or of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameKind {
    File,
    Folder,
}

/// Finds names that differ by case only, files that are folders too, and files that come twice
/// (rule 36), all parent folders included.
///
/// A tree of folded elements: time and memory grow with the length of the names, whatever they are.
pub(super) struct Collisions<'a> {
    nodes: HashMap<(usize, Cow<'a, str>), Node<'a>>,
}

struct Node<'a> {
    number: usize,
    element: &'a str,
    kind: NameKind,
}

impl<'a> Collisions<'a> {
    pub(super) fn new() -> Self {
        Self {
            nodes: HashMap::new(),
        }
    }

    /// Adds a name, or says with what it collides. Texts are Go's; where several parts of a name
    /// collide, the text is about the last. After a collision the tree is still usable, but knows
    /// only the first spelling.
    pub(super) fn add(&mut self, name: &'a str, kind: NameKind) -> Result<(), String> {
        let mut parent = 0;
        let mut end = 0;
        // The name as the tree has it, from where its spelling differs on.
        let mut respelled: Option<String> = None;
        let mut verdict = Ok(());
        for element in name.split('/') {
            let start = name.get(..end).unwrap_or_default();
            end += element.len();
            let path = name.get(..end).unwrap_or(name);
            let kind = if end == name.len() {
                kind
            } else {
                NameKind::Folder
            };
            end += 1;
            let count = self.nodes.len();
            match self.nodes.entry((parent, unicode::fold(element))) {
                Entry::Vacant(place) => {
                    if count >= MAX_NODES {
                        return Err(format!("more than {MAX_NODES} files and folders"));
                    }
                    // Number 0 is the root.
                    parent = count + 1;
                    place.insert(Node {
                        number: parent,
                        element,
                        kind,
                    });
                    if let Some(first) = &mut respelled {
                        first.extend(["/", element]);
                    }
                }
                Entry::Occupied(place) => {
                    let other = place.get();
                    parent = other.number;
                    match &mut respelled {
                        Some(first) => first.extend(["/", other.element]),
                        None if other.element == element => {}
                        None => respelled = Some(format!("{start}{}", other.element)),
                    }
                    if let Some(first) = &respelled {
                        let (first, path) = (quote(first), quote(path));
                        verdict = Err(format!(
                            "case-insensitive file name collision: {first} and {path}"
                        ));
                    } else if other.kind != kind {
                        let path = quote(path);
                        verdict = Err(format!("entry {path} is both a file and a directory"));
                    } else if kind == NameKind::File {
                        verdict = Err(format!("multiple entries for file {}", quote(path)));
                    }
                }
            }
        }
        verdict
    }
}
