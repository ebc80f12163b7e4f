//! Module zips, made while they are sent (`codeRepo.Zip` and `zip.Create`, rules 33 to 41).
//!
//! The tree of the commit says which files belong into the zip; their converted content comes from git's own
//! archive, a stream in the same order. What arrives is deflated at once and goes on to the sink in pieces, so
//! that neither a file nor an archive is ever held in memory or on disk. Sizes are known only from the stream,
//! because attributes may convert a file; so that a tree that is too large is found while it is sent.
//!
//! A tree that makes no module zip is a proven and lasting fault: [`SourceErrorKind::BadAnswer`] for its names,
//! [`SourceErrorKind::TooLarge`] for its sizes. Unlike Go, which measures git's archive with all that the zip
//! leaves out, only the zip itself is held to the limit of 500 MiB.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use gomod::ModuleVersion;
use gomod::modfile::{ModFile, Mode};
use gomod::zip::{FileFacts, FileKind, Limits, select_files};
use tokio::sync::mpsc;

use super::go_mod::Directory;
use super::zip_writer::ZipWriter;
use crate::upstream::refused_by_sink;
use crate::{
    Archive, Clue, ObjectName, Repository, Sink, SourceError, SourceErrorKind, SourceName,
    TreeEntry, TreeEntryKind,
};

/// The bytes of a piece, and how many pieces wait for the sink.
const PIECE_BYTES: usize = 128 << 10;
const PIECES_IN_FLIGHT: usize = 4;

/// Invalid files that are told by name.
const TOLD_FILES: usize = 7;

/// Makes the zip of a version and brings it into the sink, `finish` included.
pub(super) async fn stream(
    repository: &Arc<dyn Repository>,
    module: &ModuleVersion,
    commit: &ObjectName,
    directory: &Directory,
    name: &SourceName,
    sink: &mut dyn Sink,
) -> Result<(), SourceError> {
    let tree = repository.tree(commit, &directory.folder).await?;
    let tree = tree.ok_or_else(|| {
        bad(
            module,
            format!("the commit has no folder {}", directory.folder),
        )
    })?;
    let license = license(repository, module, commit, directory, &tree).await?;
    let contents = Contents {
        module: module.clone(),
        folder: directory.folder.clone(),
        license,
    };
    let go_mod = directory.go_mod.clone();
    let (contents, selected) = blocking(move || {
        let selected = contents.select(&tree, go_mod.as_deref())?;
        Ok((contents, selected))
    })
    .await?;
    // An archive of nothing need not be asked for.
    let archive = match selected.is_empty() {
        true => None,
        false => Some(repository.archive(commit, &directory.folder).await?),
    };

    let (pieces, mut arriving) = mpsc::channel(PIECES_IN_FLIGHT);
    let packing =
        tokio::task::spawn_blocking(move || contents.pack(selected, archive, Pieces::new(pieces)));
    sink.begin(name, None).await.map_err(refused_by_sink)?;
    while let Some(piece) = arriving.recv().await {
        sink.write(piece).await.map_err(refused_by_sink)?;
    }
    packing.await.unwrap_or_else(broken_off)?;
    sink.finish().await.map_err(refused_by_sink)
}

/// The licence that a module in a folder takes from the repository's root if it has none: the raw file, only
/// of that very name.
async fn license(
    repository: &Arc<dyn Repository>,
    module: &ModuleVersion,
    commit: &ObjectName,
    directory: &Directory,
    tree: &[TreeEntry],
) -> Result<Option<Bytes>, SourceError> {
    let has_own = tree
        .iter()
        .any(|entry| entry.name == LICENSE.as_bytes() && entry.kind != TreeEntryKind::Submodule);
    if directory.folder.is_empty() || has_own {
        return Ok(None);
    }
    let limit_bytes = Limits::default().license_bytes;
    match repository.file(commit, LICENSE, limit_bytes).await {
        Err(error) if error.kind() == SourceErrorKind::TooLarge => {
            Err(too_large(module, file_too_large(LICENSE, limit_bytes)))
        }
        read => read,
    }
}

const LICENSE: &str = "LICENSE";

/// What a zip is made of, beside the archive.
struct Contents {
    module: ModuleVersion,
    folder: String,
    license: Option<Bytes>,
}

impl Contents {
    /// The names below the folder that belong into the zip, but for a licence from the root.
    fn select(
        &self,
        tree: &[TreeEntry],
        go_mod: Option<&[u8]>,
    ) -> Result<HashSet<Vec<u8>>, SourceError> {
        let mut files: Vec<FileFacts<'_>> = tree
            .iter()
            .filter_map(|entry| {
                let kind = match entry.kind {
                    TreeEntryKind::File => FileKind::Regular,
                    TreeEntryKind::Symlink => FileKind::Symlink,
                    // In an archive it is an empty folder.
                    TreeEntryKind::Submodule => return None,
                };
                Some(FileFacts {
                    name: &entry.name,
                    kind,
                    // Known only once it is converted.
                    bytes: 0,
                })
            })
            .collect();
        let from_tree = files.len();
        if let Some(license) = &self.license {
            files.push(FileFacts {
                name: LICENSE.as_bytes(),
                kind: FileKind::Regular,
                bytes: u64::try_from(license.len()).unwrap_or(u64::MAX),
            });
        }
        let is_regular =
            |entry: &TreeEntry| entry.kind == TreeEntryKind::File && entry.name == b"go.mod";
        let go_version = go_mod
            .filter(|_| tree.iter().any(is_regular))
            .and_then(|go_mod| ModFile::parse(go_mod, Mode::Lax).ok())
            .and_then(|go_mod| go_mod.go_version().map(str::to_owned));
        let selected = select_files(&files, go_version.as_deref(), &Limits::default());
        if !selected.is_usable() {
            let told = selected.invalid.iter().take(TOLD_FILES).map(|fault| {
                let name = files.get(fault.index).map_or(&b""[..], |file| file.name);
                format!("{}: {}", printable(name), fault.reason)
            });
            let mut lines: Vec<String> = selected.size_error.iter().cloned().chain(told).collect();
            if selected.invalid.len() > TOLD_FILES {
                let more = selected.invalid.len().saturating_sub(TOLD_FILES);
                lines.push(format!("and {more} more"));
            }
            return Err(bad(&self.module, lines.join("\n")));
        }
        Ok(selected
            .valid
            .into_iter()
            .filter(|index| *index < from_tree)
            .filter_map(|index| files.get(index))
            .map(|file| file.name.to_vec())
            .collect())
    }

    /// Copies the wanted files from the archive into a zip. Runs where blocking is allowed.
    fn pack(
        &self,
        wanted: HashSet<Vec<u8>>,
        archive: Option<Archive>,
        pieces: Pieces,
    ) -> Result<(), SourceError> {
        let mut packing = Packing {
            contents: self,
            wanted,
            zip: ZipWriter::new(pieces),
            room_bytes: Limits::default().zip_bytes,
        };
        if let Some(archive) = archive {
            let Archive { stream, finish } = archive;
            let copied = packing.copy_all(stream);
            match copied {
                // The process has been told to stop by now: the stream is closed.
                Err(PackError::Refused(error)) => return Err(error),
                Err(PackError::Broken(error)) => {
                    // Git's own words say more than that its output ended.
                    finish()?;
                    return Err(self.broken(&error));
                }
                Ok(()) => finish()?,
            }
        }
        let finished = packing.finish();
        finished.map_err(|error| match error {
            PackError::Refused(error) => error,
            PackError::Broken(error) => self.broken(&error),
        })
    }

    fn broken(&self, error: &io::Error) -> SourceError {
        bad(
            &self.module,
            format!("git's archive of the commit could not be read: {error}"),
        )
        .with_clue(Clue::BrokenTransfer)
    }
}

/// A zip that is being made.
struct Packing<'a> {
    contents: &'a Contents,
    wanted: HashSet<Vec<u8>>,
    zip: ZipWriter<Pieces>,
    room_bytes: u64,
}

enum PackError {
    /// What arrived breaks a rule.
    Refused(SourceError),
    /// The archive ended early or is none, or nobody takes the zip any longer.
    Broken(io::Error),
}

impl From<io::Error> for PackError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl Packing<'_> {
    fn copy_all(&mut self, stream: Box<dyn Read + Send>) -> Result<(), PackError> {
        let mut archive = tar::Archive::new(stream);
        for entry in archive.entries()? {
            let mut entry = entry?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = entry.path_bytes().into_owned();
            let Some(name) = below(&path, &self.contents.folder) else {
                continue;
            };
            if !self.wanted.remove(name) {
                continue;
            }
            let name = std::str::from_utf8(name).map_err(io::Error::other)?;
            let declared_bytes = entry.size();
            let copied_bytes = self.add(name, declared_bytes, &mut entry)?;
            if copied_bytes != declared_bytes {
                return Err(PackError::Broken(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        if !self.wanted.is_empty() {
            return Err(PackError::Broken(io::Error::other(format!(
                "{} files of the tree are not in it",
                self.wanted.len()
            ))));
        }
        // Git fills up its last block; leaving that unread would look like an abort.
        io::copy(&mut archive.into_inner(), &mut io::sink())?;
        Ok(())
    }

    fn add(&mut self, name: &str, bytes: u64, content: &mut dyn Read) -> Result<u64, PackError> {
        let limits = Limits::default();
        let own_limit = match name {
            "go.mod" => Some(limits.go_mod_bytes),
            LICENSE => Some(limits.license_bytes),
            _ => None,
        };
        if let Some(limit) = own_limit
            && bytes > limit
        {
            return Err(self.refused(file_too_large(name, limit)));
        }
        let Some(room_bytes) = self.room_bytes.checked_sub(bytes) else {
            return Err(self.refused(format!(
                "module source tree too large (max size is {} bytes)",
                limits.zip_bytes
            )));
        };
        self.room_bytes = room_bytes;
        let name = format!("{}/{name}", self.contents.module);
        let copied = self.zip.add(&name, content)?;
        if self.zip.bytes() > limits.zip_bytes {
            return Err(self.refused("downloaded zip file too large".to_owned()));
        }
        Ok(copied)
    }

    fn finish(mut self) -> Result<(), PackError> {
        if let Some(license) = &self.contents.license {
            let bytes = u64::try_from(license.len()).unwrap_or(u64::MAX);
            self.add(LICENSE, bytes, &mut license.as_ref())?;
        }
        self.zip.finish()?.flush()?;
        Ok(())
    }

    fn refused(&self, reason: String) -> PackError {
        PackError::Refused(too_large(&self.contents.module, reason))
    }
}

/// Sends what is written in pieces of a good size. Fails once nobody takes them any longer.
struct Pieces {
    sender: mpsc::Sender<Bytes>,
    piece: Vec<u8>,
}

impl Pieces {
    fn new(sender: mpsc::Sender<Bytes>) -> Self {
        Self {
            sender,
            piece: Vec::with_capacity(PIECE_BYTES),
        }
    }

    fn send(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        self.sender
            .blocking_send(Bytes::from(piece))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE_BYTES.saturating_sub(self.piece.len());
        let (fitting, _) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.piece.extend_from_slice(fitting);
        if self.piece.len() >= PIECE_BYTES {
            self.send()?;
        }
        Ok(fitting.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

/// A path below a folder.
fn below<'a>(path: &'a [u8], folder: &str) -> Option<&'a [u8]> {
    match folder {
        "" => Some(path),
        folder => path.strip_prefix(folder.as_bytes())?.strip_prefix(b"/"),
    }
}

/// A name for messages: one line, not too long.
fn printable(name: &[u8]) -> String {
    String::from_utf8_lossy(name)
        .chars()
        .take(100)
        .flat_map(|rune| match rune.is_control() {
            true => rune.escape_debug().collect::<Vec<char>>(),
            false => vec![rune],
        })
        .collect()
}

fn file_too_large(name: &str, limit_bytes: u64) -> String {
    format!("{name}: {name} file too large (max size is {limit_bytes} bytes)")
}

fn bad(module: &ModuleVersion, reason: impl std::fmt::Display) -> SourceError {
    SourceError::new(
        SourceErrorKind::BadAnswer,
        format!("{module}: create zip: {reason}"),
    )
    .with_clue(Clue::NoModuleZip)
}

fn too_large(module: &ModuleVersion, reason: impl std::fmt::Display) -> SourceError {
    SourceError::new(
        SourceErrorKind::TooLarge,
        format!("{module}: create zip: {reason}"),
    )
}

/// Runs what takes long where blocking is allowed.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(broken_off)
}

fn broken_off<T>(stopped: tokio::task::JoinError) -> Result<T, SourceError> {
    Err(SourceError::new(
        SourceErrorKind::Internal,
        format!("making a zip was broken off: {stopped}"),
    ))
}
