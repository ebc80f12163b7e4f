//! Names of files in a module: which are valid, and which get in each other's way.
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::quote::{quote, quote_rune};
use crate::{path, unicode};

/// The longest name that is looked at, in bytes. Ours, not Go's: a longer one cannot be unpacked by
/// the systems that the go command runs on, and the bound keeps hostile archives cheap to refuse.
pub(super) const MAX_NAME_BYTES: usize = 4096;

/// The most files and folders of one archive. Ours, not Go's; ten times the largest known module.
const MAX_NODES: usize = 1 << 20;

/// Go's `module.CheckFilePath` (rule 33); the error is the rule that is broken, in Go's words.
pub(super) fn check_file_path(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("empty string".into());
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(format!("name longer than {MAX_NAME_BYTES} bytes"));
    }
    if name.contains("//") {
        return Err("double slash".into());
    }
    if name.ends_with('/') {
        return Err("trailing slash".into());
    }
    name.split('/').try_for_each(check_file_element)
}

/// One element of a file name.
fn check_file_element(element: &str) -> Result<(), String> {
    path::check_dots(element)?;
    if let Some(rune) = element.chars().find(|&rune| !is_file_name_rune(rune)) {
        return Err(format!("invalid char {}", quote_rune(rune)));
    }
    path::check_reserved_on_windows(element)
}

fn is_file_name_rune(rune: char) -> bool {
    rune.is_ascii_digit() || "!#$%&()+,-.=@[]^_{}~ ".contains(rune) || unicode::is_letter(rune)
}

/// Go's `path.Clean(name) == name` for a name that is not empty.
pub(super) fn is_clean(name: &str) -> bool {
    if name == "." || name == "/" {
        return true;
    }
    let (rooted, rest) = match name.strip_prefix('/') {
        Some(rest) => (true, rest),
        None => (false, name),
    };
    // `..` may only lead, and only where there is no root to stay below.
    let mut leading = !rooted;
    rest.split('/').all(|element| match element {
        "" | "." => false,
        ".." => leading,
        _ => {
            leading = false;
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
        let mut verdict = Ok(());
        for element in name.split('/') {
            end += element.len();
            let path = name.get(..end).unwrap_or(name);
            let kind = if end == name.len() {
                kind
            } else {
                NameKind::Folder
            };
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
                }
                Entry::Occupied(place) => {
                    let other = place.get();
                    parent = other.number;
                    if other.element != element {
                        let start = name.get(..end - element.len()).unwrap_or_default();
                        let first = format!("{start}{}", other.element);
                        verdict = Err(format!(
                            "case-insensitive file name collision: {} and {}",
                            quote(&first),
                            quote(path)
                        ));
                    } else if other.kind != kind {
                        verdict = Err(format!(
                            "entry {} is both a file and a directory",
                            quote(path)
                        ));
                    } else if kind == NameKind::File {
                        verdict = Err(format!("multiple entries for file {}", quote(path)));
                    }
                }
            }
            end += 1;
        }
        verdict
    }
}
