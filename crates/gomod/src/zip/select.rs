//! Which files of a source tree make up a module zip (`zip.CheckFiles`, rules 34 to 37).
//!
//! For those who build module zips from a repository: facts about files in, verdicts out. The
//! LICENSE that a module in a subdirectory takes from the repository's root is not part of this;
//! whoever lists the files adds it to the list.
use std::collections::HashSet;

use super::Limits;
use super::names::{self, Collisions, NameKind};

/// What sort of thing a name in a source tree stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file, executable or not.
    Regular,
    /// A symbolic link, whatever it points to.
    Symlink,
    /// A folder. Trees are usually listed without them.
    Directory,
    /// A device, a pipe, a submodule.
    Other,
}

/// What must be known of a file to decide on it.
#[derive(Clone, Copy, Debug)]
pub struct FileFacts<'a> {
    /// Its name below the module's root, with slashes. Git names are bytes.
    pub name: &'a [u8],
    /// What it is.
    pub kind: FileKind,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A file that does not go into the zip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unselected {
    /// Its place in the list of files.
    pub index: usize,
    /// Why, in Go's words.
    pub reason: String,
}

/// The verdict on a source tree. Every file is in exactly one list, except that of files with the
/// very same name only the first fault is told, as in Go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// Places in the list of the files that make up the zip, in order.
    pub valid: Vec<usize>,
    /// Files that are left out, which is no fault.
    pub omitted: Vec<Unselected>,
    /// Files that no zip may hold: one is enough to make the whole tree unusable.
    pub invalid: Vec<Unselected>,
    /// Set if the files are too large together.
    pub size_error: Option<String>,
}

impl Selected {
    /// True if a zip may be made of the valid files.
    pub fn is_usable(&self) -> bool {
        self.invalid.is_empty() && self.size_error.is_none()
    }
}

/// Applies Go's rules to the files of a module, in Go's order. `go_version` is what the root go.mod
/// file says (`1.21`), read in lax mode: vendored files are told apart in two ways, before 1.24 and
/// since.
pub fn select_files(
    files: &[FileFacts<'_>],
    go_version: Option<&str>,
    limits: &Limits,
) -> Selected {
    let nested = nested_modules(files);
    let vendor_rule = VendorRule::of(go_version);
    let mut collisions = Collisions::new();
    let mut told = HashSet::new();
    let mut room_bytes = limits.zip_bytes;
    let mut selected = Selected::default();
    for (index, file) in files.iter().enumerate() {
        let verdict = judge(file, &nested, vendor_rule, &mut collisions).and_then(|name| {
            match room_bytes.checked_sub(file.bytes) {
                Some(room) => room_bytes = room,
                None => {
                    selected.size_error.get_or_insert_with(|| {
                        let limit = limits.zip_bytes;
                        format!("module source tree too large (max size is {limit} bytes)")
                    });
                }
            }
            check_size(name, file.bytes, limits)
        });
        let (list, reason) = match verdict {
            Ok(()) => {
                selected.valid.push(index);
                continue;
            }
            Err(Fault::Omitted(reason)) => (&mut selected.omitted, reason.to_owned()),
            Err(Fault::Invalid(reason)) => (&mut selected.invalid, reason),
        };
        if told.insert(file.name) {
            list.push(Unselected { index, reason });
        }
    }
    selected
}

enum Fault {
    Omitted(&'static str),
    Invalid(String),
}

/// All rules about one file but those about sizes.
fn judge<'a>(
    file: &FileFacts<'a>,
    nested: &HashSet<&'a [u8]>,
    vendor_rule: VendorRule,
    collisions: &mut Collisions<'a>,
) -> Result<&'a str, Fault> {
    let invalid = |reason: &str| Err(Fault::Invalid(reason.into()));
    if !names::is_clean(file.name) {
        return invalid("file path is not clean");
    }
    if file.name.starts_with(b"/") {
        return invalid("file path is not relative");
    }
    if vendor_rule.omits(file.name) {
        return Err(Fault::Omitted("file is in vendor directory"));
    }
    if folders(file.name).any(|folder| nested.contains(folder)) {
        return Err(Fault::Omitted("file is in another module"));
    }
    if file.name == b".hg_archival.txt" {
        return Err(Fault::Omitted(
            "file is inserted by 'hg archive' and is always omitted",
        ));
    }
    let name = names::check_file_path(file.name).map_err(Fault::Invalid)?;
    if name.eq_ignore_ascii_case("go.mod") && name != "go.mod" {
        return invalid("go.mod files must have lowercase names");
    }
    let kind = match file.kind {
        FileKind::Directory => NameKind::Folder,
        FileKind::Regular | FileKind::Symlink | FileKind::Other => NameKind::File,
    };
    collisions.add(name, kind).map_err(Fault::Invalid)?;
    match file.kind {
        FileKind::Regular => Ok(name),
        FileKind::Symlink => Err(Fault::Omitted("file is a symbolic link")),
        FileKind::Directory | FileKind::Other => Err(Fault::Omitted("not a regular file")),
    }
}

fn check_size(name: &str, bytes: u64, limits: &Limits) -> Result<(), Fault> {
    match limits.of_file(name) {
        Some(limit) if bytes > limit => Err(Fault::Invalid(format!(
            "{name} file too large (max size is {limit} bytes)"
        ))),
        _ => Ok(()),
    }
}

/// Folders below the root that hold a regular file named go.mod in any case, with their final
/// slash.
fn nested_modules<'a>(files: &[FileFacts<'a>]) -> HashSet<&'a [u8]> {
    files
        .iter()
        .filter(|file| file.kind == FileKind::Regular)
        .filter_map(|file| {
            let folder = folders(file.name).next()?;
            let base = file.name.get(folder.len()..)?;
            base.eq_ignore_ascii_case(b"go.mod").then_some(folder)
        })
        .collect()
}

/// The folders that a name lies in, deepest first, each with its final slash.
fn folders(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = name.iter().enumerate().rev();
    slashes
        .filter(|&(_, &byte)| byte == b'/')
        .filter_map(|(index, _)| name.get(..=index))
}

/// Which files of vendor folders are left out; the checksums of all modules depend on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum VendorRule {
    /// Before Go 1.24, with a mistake that must be kept: in nested vendor folders, the name is cut
    /// at the wrong place, so that files directly in them are left out too.
    Old,
    /// Since Go 1.24.
    New,
}

impl VendorRule {
    fn of(go_version: Option<&str>) -> Self {
        let (major, rest) = go_version
            .and_then(|version| version.split_once('.'))
            .unwrap_or_default();
        let minor = rest.split(|c: char| !c.is_ascii_digit()).next();
        if (number(major), minor.map_or(0, number)) >= (1, 24) {
            Self::New
        } else {
            Self::Old
        }
    }

    /// Go's `isVendoredPackage`.
    fn omits(self, name: &[u8]) -> bool {
        const INNER: &[u8] = b"/vendor/";
        if self == Self::New && name == b"vendor/modules.txt" {
            return true;
        }
        let rest = match name.strip_prefix(b"vendor/") {
            Some(rest) => Some(rest),
            None => match name.windows(INNER.len()).position(|part| part == INNER) {
                Some(at) if self == Self::New => name.get(at + INNER.len()..),
                Some(_) => name.get(INNER.len()..),
                None => None,
            },
        };
        rest.is_some_and(|rest| rest.contains(&b'/'))
    }
}

/// Decimal digits as a number; one beyond 64 bits counts as the largest.
fn number(digits: &str) -> u64 {
    let largest = if digits.is_empty() { 0 } else { u64::MAX };
    digits.parse().unwrap_or(largest)
}
