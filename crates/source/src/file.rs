//! A folder that is laid out as a module proxy: `file://` in a GOPROXY list.

use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use gomod::{FileKind, ModulePath, ModuleVersion, Request, Revision, SafeUrl};
use tokio::sync::mpsc;

use crate::answer::{self, AnswerKind};
use crate::upstream::{pour, refused_by_sink};
use crate::{Fetched, Listing, Resolved, Sink, Source, SourceError, SourceErrorKind, SourceName};

/// A module proxy made of files: a module cache's `cache/download`, or a store's `download`.
///
/// A file that is missing is absence, as long as the folder itself is there: one that is not mounted proves
/// nothing.
#[derive(Clone, Debug)]
pub struct FileSource {
    root: PathBuf,
    name: SourceName,
    layout: FolderLayout,
}

/// How a folder names module files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderLayout {
    /// As the GOPROXY protocol does: `ESCAPED_PATH/@v/ESCAPED_VERSION.zip`.
    Proxy,
    /// As Athens does on disk: `PATH/VERSION/{go.mod, source.zip, VERSION.info}`, nothing escaped. Such a folder
    /// has no lists.
    Athens,
}

impl FolderLayout {
    /// The path of a file below the root.
    pub fn path_of(self, module: &ModuleVersion, kind: FileKind) -> String {
        match self {
            Self::Proxy => Request::File(module.clone(), kind).path(),
            Self::Athens => {
                let (path, version) = (module.path(), module.version());
                match kind {
                    FileKind::Info => format!("{path}/{version}/{version}.info"),
                    FileKind::Mod => format!("{path}/{version}/go.mod"),
                    FileKind::Zip => format!("{path}/{version}/source.zip"),
                }
            }
        }
    }
}

/// Bytes that are read at once, and pieces that wait for the sink.
const PIECE_BYTES: usize = 256 * 1024;
const PIECES_IN_FLIGHT: usize = 4;

impl FileSource {
    /// A source for a `file://` URL; the error says what is wrong with it.
    pub fn new(url: &SafeUrl) -> Result<Self, String> {
        let root = url
            .expose()
            .to_file_path()
            .map_err(|()| format!("`{url}` names no folder of this machine"))?;
        Ok(Self {
            root,
            name: url.to_string().trim_end_matches('/').into(),
            layout: FolderLayout::Proxy,
        })
    }

    /// A source of the module files in a folder; an absolute path names it best in records.
    pub fn of_folder(root: &Path, layout: FolderLayout) -> Self {
        Self {
            root: root.to_path_buf(),
            name: format!("file://{}", root.display()).into(),
            layout,
        }
    }

    fn path_of(&self, below: &str) -> Result<PathBuf, SourceError> {
        let relative = Path::new(below);
        let stays_inside = relative
            .components()
            .all(|component| matches!(component, Component::Normal(_)));
        if stays_inside {
            Ok(self.root.join(relative))
        } else {
            Err(self.failure(
                SourceErrorKind::Internal,
                below,
                "the path leads out of the folder".to_owned(),
            ))
        }
    }

    fn failure(&self, kind: SourceErrorKind, below: &str, text: String) -> SourceError {
        let mut error = SourceError::new(kind, text);
        error.0.source = Some(self.name.clone());
        error.0.url = Some(format!("{}/{below}", self.name));
        error.0.attempts = 1;
        error
    }

    /// What a failed read means. Runs where blocking is allowed.
    fn explain(&self, below: &str, error: &io::Error) -> SourceError {
        let missing = matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        );
        if missing && self.root.is_dir() {
            self.failure(
                SourceErrorKind::NotExist,
                below,
                "the folder has no such file".to_owned(),
            )
        } else {
            self.failure(SourceErrorKind::Unreachable, below, error.to_string())
        }
    }

    /// Opens a regular file and tells its length. Runs where blocking is allowed.
    fn open(&self, below: &str, kind: AnswerKind) -> Result<(fs_err::File, u64), SourceError> {
        let path = self.path_of(below)?;
        let opened = fs_err::File::open(path).and_then(|file| {
            let metadata = file.metadata()?;
            Ok((file, metadata))
        });
        let (file, metadata) = opened.map_err(|error| self.explain(below, &error))?;
        if !metadata.is_file() {
            return Err(self.failure(
                SourceErrorKind::BadAnswer,
                below,
                "it is not a regular file".to_owned(),
            ));
        }
        if metadata.len() > kind.limit_bytes() {
            return Err(self.failure(
                SourceErrorKind::TooLarge,
                below,
                format!(
                    "the file is too large: {} bytes, where {} are the most that is taken",
                    metadata.len(),
                    kind.limit_bytes()
                ),
            ));
        }
        Ok((file, metadata.len()))
    }

    async fn read_small(&self, below: String, kind: AnswerKind) -> Result<Bytes, SourceError> {
        let source = self.clone();
        blocking(move || {
            let (file, _) = source.open(&below, kind)?;
            let mut body = Vec::new();
            // A file that grows meanwhile is cut at the limit; its reader will refuse it.
            file.take(kind.limit_bytes())
                .read_to_end(&mut body)
                .map_err(|error| source.explain(&below, &error))?;
            kind.check_beginning(&body)
                .map_err(|error| source.blame(error, &below))?;
            Ok(Bytes::from(body))
        })
        .await
    }

    fn blame(&self, error: SourceError, below: &str) -> SourceError {
        self.failure(error.kind(), below, error.0.text)
    }

    async fn copy(
        &self,
        below: String,
        kind: AnswerKind,
        sink: &mut dyn Sink,
    ) -> Result<(), SourceError> {
        let (pieces, mut arriving) = mpsc::channel(PIECES_IN_FLIGHT);
        let source = self.clone();
        let path = below.clone();
        let reading = tokio::task::spawn_blocking(move || source.send_pieces(&path, kind, &pieces));
        let mut begun = false;
        while let Some(piece) = arriving.recv().await {
            let taken = match piece {
                Piece::Length(total) => {
                    begun = true;
                    sink.begin(&self.name, Some(total)).await
                }
                Piece::Bytes(bytes) => sink.write(bytes).await,
            };
            taken.map_err(|error| self.sink_failure(error, &below))?;
        }
        match reading.await {
            Ok(read) => read?,
            Err(stopped) => {
                return Err(self.failure(
                    SourceErrorKind::Internal,
                    &below,
                    format!("reading the file was broken off: {stopped}"),
                ));
            }
        }
        if !begun {
            return Err(self.failure(
                SourceErrorKind::Internal,
                &below,
                "nothing was read of the file".to_owned(),
            ));
        }
        sink.finish()
            .await
            .map_err(|error| self.sink_failure(error, &below))
    }

    fn sink_failure(&self, refusal: crate::SinkError, below: &str) -> SourceError {
        let mut error = refused_by_sink(refusal);
        error.0.source = Some(self.name.clone());
        error.0.url = Some(format!("{}/{below}", self.name));
        error.0.attempts = 1;
        error
    }

    fn send_pieces(
        &self,
        below: &str,
        kind: AnswerKind,
        pieces: &mpsc::Sender<Piece>,
    ) -> Result<(), SourceError> {
        let (mut file, total) = self.open(below, kind)?;
        let mut left = total;
        let mut is_first = true;
        while left > 0 || is_first {
            let wanted = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
            let mut piece = vec![0; wanted];
            file.read_exact(&mut piece)
                .map_err(|error| self.explain(below, &error))?;
            if is_first {
                kind.check_beginning(&piece)
                    .map_err(|error| self.blame(error, below))?;
                if pieces.blocking_send(Piece::Length(total)).is_err() {
                    return Ok(());
                }
                is_first = false;
            }
            left = left.saturating_sub(u64::try_from(wanted).unwrap_or(left));
            if wanted > 0 && pieces.blocking_send(Piece::Bytes(piece.into())).is_err() {
                // The sink refused; its own error is the one that is told.
                return Ok(());
            }
        }
        Ok(())
    }
}

enum Piece {
    Length(u64),
    Bytes(Bytes),
}

#[async_trait]
impl Source for FileSource {
    /// A module's folder without a list is a module without versions, as a store that holds only
    /// pseudo-versions has it.
    async fn list(&self, module_path: &ModulePath) -> Result<Listing, SourceError> {
        let folder = format!("{}/@v", module_path.escape().as_str());
        let body = match self
            .read_small(format!("{folder}/list"), AnswerKind::List)
            .await
        {
            Err(error) if error.is_absence() => {
                let path = self.path_of(&folder)?;
                let is_there = blocking(move || Ok(path.is_dir())).await?;
                if !is_there {
                    return Err(error);
                }
                Bytes::new()
            }
            other => other?,
        };
        Ok(Listing {
            versions: answer::read_list(&body),
            source: self.name.clone(),
        })
    }

    async fn latest(&self, module_path: &ModulePath) -> Result<Resolved, SourceError> {
        let below = Request::Latest(module_path.clone()).path();
        let body = self.read_small(below.clone(), AnswerKind::Info).await?;
        Ok(Resolved {
            info: answer::read_info(&body).map_err(|error| self.blame(error, &below))?,
            body,
            source: self.name.clone(),
        })
    }

    async fn resolve(
        &self,
        module_path: &ModulePath,
        revision: &Revision,
    ) -> Result<Resolved, SourceError> {
        let below = Request::Resolve(module_path.clone(), revision.clone()).path();
        let body = self.read_small(below.clone(), AnswerKind::Info).await?;
        Ok(Resolved {
            info: answer::read_resolved(module_path, revision, &body)
                .map_err(|error| self.blame(error, &below))?,
            body,
            source: self.name.clone(),
        })
    }

    async fn fetch(
        &self,
        module: &ModuleVersion,
        kind: FileKind,
        sink: &mut dyn Sink,
    ) -> Result<Fetched, SourceError> {
        let below = self.layout.path_of(module, kind);
        if kind == FileKind::Info {
            let body = self.read_small(below.clone(), AnswerKind::Info).await?;
            answer::check_info_of(module, &body).map_err(|error| self.blame(error, &below))?;
            pour(&self.name, body, sink)
                .await
                .map_err(|error| self.sink_failure(error, &below))?;
        } else {
            self.copy(below, AnswerKind::of_file(kind), sink).await?;
        }
        Ok(Fetched {
            source: self.name.clone(),
            attempts: 1,
        })
    }

    fn name(&self) -> SourceName {
        self.name.clone()
    }
}

/// Runs what may block the thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|stopped| {
            Err(SourceError::new(
                SourceErrorKind::Internal,
                format!("reading a file was broken off: {stopped}"),
            ))
        })
}
