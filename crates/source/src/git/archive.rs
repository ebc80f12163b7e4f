//! `git archive` as a blocking stream. Between the child and the reader stands a task: only the child's
//! silence counts as a stall, however slowly the stream is read.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::AsyncReadExt;
use tokio::process::{ChildStderr, ChildStdout};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::failure;
use super::process::{AFTER_EXIT, Running, Stopped, Tail};
use crate::{Archive, Clue, RepositoryUrl, SourceError, SourceErrorKind};

/// One read from the child.
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks between the child and the reader.
const CHUNKS_WAITING: usize = 4;

/// How git says that a repository lacks something or is broken.
const DAMAGE: &[&str] = &[
    "not a git repository",
    "ot a valid object name",
    "ot a tree object",
    "bad object",
    "bad tree",
    "missing",
    "corrupt",
    "unable to read",
    "could not read",
    "cannot read",
    "unable to open",
];

/// What an archive may be.
#[derive(Clone, Copy)]
pub(super) struct ArchiveBounds {
    pub(super) stall: Duration,
    pub(super) bytes: u64,
}

/// Hands an archive on as soon as its first bytes are there: a child that fails at once is an error here.
pub(super) async fn stream(
    mut running: Running,
    bounds: ArchiveBounds,
    url: RepositoryUrl,
) -> Result<Archive, ArchiveFailure> {
    let stdout = running.take_stdout();
    let complaints = Complaints::of(running.take_stderr());
    let mut pump = Pump {
        running,
        stdout,
        complaints,
        bounds,
        url,
        passed: 0,
    };
    let Some(first) = pump.chunk().await.map_err(ArchiveFailure::Failed)? else {
        return Err(pump.failed_at_once().await);
    };
    let (chunks, stream) = mpsc::channel(CHUNKS_WAITING);
    let (finish, finishing) = oneshot::channel();
    let (outcome, ended) = oneshot::channel();
    tokio::spawn(async move {
        let reader = Reader {
            chunks,
            finishing,
            finish: Finish::Pending,
            discards: false,
        };
        // Nobody may be left to hear it.
        let _ = outcome.send(pump.run(first, reader).await);
    });
    Ok(Archive {
        stream: Box::new(Stream {
            chunks: stream,
            current: Bytes::new(),
        }),
        finish: Box::new(move || {
            // The task may have ended already.
            let _ = finish.send(());
            ended.blocking_recv().unwrap_or_else(|_| Err(given_up()))
        }),
    })
}

/// Why there is no archive at all.
pub(super) enum ArchiveFailure {
    /// The commit has no such folder.
    NoSuchFolder,
    /// The repository lacks what the archive needs: git's words.
    Damaged(String),
    /// Anything else.
    Failed(SourceError),
}

fn given_up() -> SourceError {
    SourceError::new(
        SourceErrorKind::Internal,
        "the archive was not read to its end",
    )
}

/// The child's side.
struct Pump {
    running: Running,
    stdout: Option<ChildStdout>,
    complaints: Complaints,
    bounds: ArchiveBounds,
    url: RepositoryUrl,
    passed: u64,
}

impl Pump {
    /// Passes everything on and ends the child.
    async fn run(mut self, first: Bytes, mut reader: Reader) -> Result<(), SourceError> {
        let mut next = Some(first);
        let outcome = loop {
            match next {
                Some(chunk) => {
                    if !reader.deliver(chunk).await {
                        return Err(given_up());
                    }
                }
                None => break self.end().await,
            }
            match self.chunk().await {
                Ok(chunk) => next = chunk,
                Err(error) => break Err(error),
            }
        };
        if let Err(error) = &outcome {
            reader.fail(error).await;
        }
        outcome
    }

    /// The next bytes of the child; `None` at their end.
    async fn chunk(&mut self) -> Result<Option<Bytes>, SourceError> {
        let Some(stdout) = &mut self.stdout else {
            return Ok(None);
        };
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        let read = tokio::time::timeout(self.bounds.stall, stdout.read_buf(&mut chunk)).await;
        match read {
            Ok(Ok(0)) => {
                self.stdout = None;
                Ok(None)
            }
            Ok(Ok(bytes)) => {
                self.passed = self.passed.saturating_add(bytes as u64);
                if self.passed > self.bounds.bytes {
                    let limit_bytes = self.bounds.bytes;
                    return Err(self.stop(Stopped::TooMuchOutput { limit_bytes }));
                }
                Ok(Some(chunk.freeze()))
            }
            Ok(Err(error)) => Err(self.stop(Stopped::NotStarted(error))),
            Err(_) => {
                let stderr = self.complaints.text();
                Err(self.stop(Stopped::Stalled { stderr }))
            }
        }
    }

    /// Waits for the child's end.
    async fn end(&mut self) -> Result<(), SourceError> {
        let ended = self.running.wait(self.bounds.stall).await;
        let finished = ended.map_err(|stopped| self.stop(stopped))?;
        if finished.status.success() {
            self.running.tell(Ok(()));
            return Ok(());
        }
        let stderr = self.complaints.at_end().await;
        self.running.tell(Err(SourceErrorKind::BadAnswer));
        Err(failure::failure(
            SourceErrorKind::BadAnswer,
            &self.url,
            "git could not make the archive",
            &failure::clean(&stderr, None),
            self.running.elapsed(),
        )
        .with_clue(Clue::BrokenTransfer))
    }

    /// What it means that the child ended without a byte.
    async fn failed_at_once(mut self) -> ArchiveFailure {
        let Err(error) = self.end().await else {
            return ArchiveFailure::Failed(
                SourceError::new(
                    SourceErrorKind::BadAnswer,
                    "git made an archive without a byte",
                )
                .with_clue(Clue::BrokenTransfer),
            );
        };
        let stderr = self.complaints.text();
        if stderr.contains("did not match any files") {
            ArchiveFailure::NoSuchFolder
        } else if DAMAGE.iter().any(|phrase| stderr.contains(phrase)) {
            ArchiveFailure::Damaged(failure::last_words(&stderr))
        } else {
            ArchiveFailure::Failed(error)
        }
    }

    fn stop(&mut self, stopped: Stopped) -> SourceError {
        self.running.kill();
        self.running.tell(Err(stopped.kind()));
        failure::stopped(
            stopped,
            "make an archive",
            &self.url,
            self.running.elapsed(),
        )
    }
}

/// The reader's side, as the task sees it.
struct Reader {
    chunks: mpsc::Sender<io::Result<Bytes>>,
    finishing: oneshot::Receiver<()>,
    finish: Finish,
    /// What comes is no longer wanted, only how it ends: a reader of tar stops before the padding.
    discards: bool,
}

#[derive(PartialEq, Eq)]
enum Finish {
    Pending,
    Asked,
    /// Nobody will ask.
    GivenUp,
}

impl Reader {
    /// False once nobody is there any more.
    async fn deliver(&mut self, chunk: Bytes) -> bool {
        while !self.discards {
            tokio::select! {
                biased;
                said = &mut self.finishing, if self.finish == Finish::Pending => {
                    self.finish = if said.is_ok() { Finish::Asked } else { Finish::GivenUp };
                    self.discards = said.is_ok();
                }
                sent = self.chunks.send(Ok(chunk.clone())) => {
                    if sent.is_ok() {
                        return true;
                    }
                    // The stream is gone; whoever holds the other end may still want to know.
                    if self.finish == Finish::GivenUp || (&mut self.finishing).await.is_err() {
                        return false;
                    }
                    self.finish = Finish::Asked;
                    self.discards = true;
                }
            }
        }
        true
    }

    /// The end that comes is not the archive's.
    async fn fail(&self, error: &SourceError) {
        let told = Err(io::Error::other(error.to_string()));
        // A reader that does not read will see the failure when it finishes.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.chunks.send(told)).await;
    }
}

/// What the child writes to its standard error, read beside everything else: a full pipe would stop it.
struct Complaints {
    tail: Arc<Mutex<Tail>>,
    reader: Option<JoinHandle<()>>,
}

impl Complaints {
    fn of(stderr: Option<ChildStderr>) -> Self {
        let tail = Arc::new(Mutex::new(Tail::default()));
        let reader = stderr.map(|mut stderr| {
            let tail = tail.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                while let Ok(bytes @ 1..) = stderr.read(&mut buffer).await {
                    tail.lock().push(buffer.get(..bytes).unwrap_or_default());
                }
            })
        });
        Self { tail, reader }
    }

    fn text(&self) -> String {
        self.tail.lock().text()
    }

    /// All of it, once the child has ended.
    async fn at_end(&mut self) -> String {
        if let Some(reader) = &mut self.reader {
            // What the child left running may hold the pipe open.
            let _ = tokio::time::timeout(AFTER_EXIT, reader).await;
        }
        self.text()
    }
}

impl Drop for Complaints {
    fn drop(&mut self) {
        if let Some(reader) = &self.reader {
            reader.abort();
        }
    }
}

/// The blocking end.
struct Stream {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.current = chunk?,
                None => return Ok(0),
            }
        }
        let bytes = self.current.len().min(buffer.len());
        let (into, _) = buffer.split_at_mut(bytes);
        into.copy_from_slice(&self.current.split_to(bytes));
        Ok(bytes)
    }
}
