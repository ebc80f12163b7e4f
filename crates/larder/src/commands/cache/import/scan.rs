//! What kind of cache a folder is, and which module files lie in it.

use super::super::supply::Wanted;
use crate::settings::complaint::Complaint;
use gomod::{EscapedPath, EscapedVersion, FileKind, ModulePath, ModuleVersion, Version};
use source::FolderLayout;
use std::path::{Path, PathBuf};

/// Folders below each other at most.
const DEPTH: usize = 256;
/// Entries that are looked at to tell what a folder is.
const LOOKED_AT: usize = 20_000;

/// A cache that can be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    root: PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The folder that the go command downloads to.
    Go,
    /// The `download` of a larder.
    Larder,
    /// The disk store of Athens.
    Athens,
}

/// One thing in the folder that is, or looks like, a module file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scanned {
    File(Wanted),
    /// Why it is passed over.
    Skipped(String),
}

impl Layout {
    /// Tells what `folder` is. The folder above the module files will do, too: a GOMODCACHE, a larder's cache folder.
    pub(super) fn recognise(folder: &Path) -> Result<Self, Complaint> {
        if !folder.is_dir() {
            return Err(Complaint::new(format!(
                "there is no folder `{}`",
                folder.display()
            )));
        }
        let found = |root: PathBuf, kind| Ok(Self { root, kind });
        if folder.join("download").is_dir() && folder.join("state/records").is_dir() {
            return found(folder.join("download"), Kind::Larder);
        }
        if folder.join("cache/download").is_dir() {
            return found(folder.join("cache/download"), Kind::Go);
        }
        let beside = |name: &str| folder.parent().is_some_and(|it| it.join(name).is_dir());
        for path in Files::below(folder.to_path_buf()).flatten().take(LOOKED_AT) {
            let in_versions = path.parent().is_some_and(|it| it.ends_with("@v"));
            if in_versions && beside("state/records") {
                return found(folder.to_path_buf(), Kind::Larder);
            }
            if in_versions {
                return found(folder.to_path_buf(), Kind::Go);
            }
            if path.ends_with("source.zip") && path.with_file_name("go.mod").is_file() {
                return found(folder.to_path_buf(), Kind::Athens);
            }
        }
        Err(Complaint::new(format!(
            "`{}` is no cache of Go modules that is known here",
            folder.display()
        ))
        .hint("give the folder `cache/download` of a GOMODCACHE, the disk storage folder of an Athens, or another larder's cache folder"))
    }

    /// The folder that file names count from.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// How its files are named.
    pub(super) fn folder_layout(&self) -> FolderLayout {
        match self.kind {
            Kind::Go | Kind::Larder => FolderLayout::Proxy,
            Kind::Athens => FolderLayout::Athens,
        }
    }

    /// For people and scripts.
    pub(super) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Go => "go-module-cache",
            Kind::Larder => "larder",
            Kind::Athens => "athens",
        }
    }

    /// Every module file, one after the other.
    pub(super) fn scan(&self) -> Scan {
        Scan {
            files: Files::below(self.root.clone()),
            layout: self.clone(),
        }
    }

    /// What the file is; `None` for what a cache keeps beside module files.
    fn judge(&self, path: &Path) -> Option<Scanned> {
        let below = path.strip_prefix(&self.root).ok()?;
        let folder = below.parent()?;
        let name = below.file_name()?;
        let skipped =
            |reason: &str| Some(Scanned::Skipped(format!("{}: {reason}", below.display())));
        let (Some(folder), Some(name)) = (folder.to_str(), name.to_str()) else {
            return skipped("its name is not UTF-8");
        };
        let parsed = match self.kind {
            Kind::Go | Kind::Larder => {
                let escaped_path = folder.strip_suffix("/@v")?;
                let (version, extension) = name.rsplit_once('.')?;
                let kind = FileKind::from_extension(extension)?;
                let parsed = EscapedPath::parse(escaped_path)
                    .and_then(|path| {
                        Ok((path.unescape(), EscapedVersion::parse(version)?.unescape()))
                    })
                    .and_then(|(path, revision)| {
                        ModuleVersion::new(path, Version::parse(revision.as_str())?)
                    });
                parsed.map(|module| Wanted { module, kind })
            }
            Kind::Athens => {
                let (module_path, version) = folder.rsplit_once('/')?;
                let kind = match name {
                    "go.mod" => FileKind::Mod,
                    "source.zip" => FileKind::Zip,
                    _ if name.strip_suffix(".info") == Some(version) => FileKind::Info,
                    _ => return None,
                };
                let parsed = ModulePath::parse(module_path)
                    .and_then(|path| ModuleVersion::new(path, Version::parse(version)?));
                parsed.map(|module| Wanted { module, kind })
            }
        };
        match parsed {
            Ok(wanted) => Some(Scanned::File(wanted)),
            Err(error) => skipped(&error.to_string()),
        }
    }
}

/// Walks over a cache; see [`Layout::scan`]. Blocks.
#[derive(Debug)]
pub(super) struct Scan {
    files: Files,
    layout: Layout,
}

impl Iterator for Scan {
    type Item = Scanned;

    fn next(&mut self) -> Option<Scanned> {
        loop {
            let found = match self.files.next()? {
                Ok(path) => self.layout.judge(&path),
                Err(reason) => Some(Scanned::Skipped(reason)),
            };
            if found.is_some() {
                return found;
            }
        }
    }
}

/// Every file below a folder, links not followed; one open folder for each level.
#[derive(Debug)]
struct Files {
    open: Vec<fs_err::ReadDir>,
    root: Option<PathBuf>,
}

impl Files {
    fn below(root: PathBuf) -> Self {
        Self {
            open: Vec::new(),
            root: Some(root),
        }
    }

    /// Goes into a folder; the reason where that cannot be.
    fn enter(&mut self, folder: PathBuf) -> Option<String> {
        if self.open.len() >= DEPTH {
            return Some(format!(
                "{}: too many folders below each other",
                folder.display()
            ));
        }
        match fs_err::read_dir(folder) {
            Ok(entries) => {
                self.open.push(entries);
                None
            }
            Err(error) => Some(error.to_string()),
        }
    }
}

impl Iterator for Files {
    type Item = Result<PathBuf, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(root) = self.root.take()
            && let Some(reason) = self.enter(root)
        {
            return Some(Err(reason));
        }
        loop {
            let entry = match self.open.last_mut()?.next() {
                None => {
                    self.open.pop();
                    continue;
                }
                Some(Err(error)) => return Some(Err(error.to_string())),
                Some(Ok(entry)) => entry,
            };
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => {
                    if let Some(reason) = self.enter(entry.path()) {
                        return Some(Err(reason));
                    }
                }
                Ok(kind) if kind.is_file() => return Some(Ok(entry.path())),
                Ok(_) => {}
                Err(error) => return Some(Err(error.to_string())),
            }
        }
    }
}

#[cfg(test)]
mod tests;
