//! What the requests that wait for one fill see of it.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use store::{Body, Opened};
use tokio::sync::{Notify, watch};

use crate::failure::Failure;
use crate::serve::read_ahead::{CHUNK_BYTES, read_chunk};

/// What each follower is sent first.
const FIRST_BYTES: u64 = 4 << 10;

/// How long a follower's bulk waits for the first bytes of the others.
const CROWD_PATIENCE: Duration = Duration::from_millis(50);

/// How far a fill has come. A follower sees the newest state only, so nothing queues.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Nothing may be handed out yet.
    Waiting,
    /// A prefix may be.
    Arriving(Arriving),
    /// The file is verified and can be served before it is committed, or there is none.
    Done(Result<Opened, Failure>),
}

/// A large file under way.
#[derive(Clone, Debug)]
pub struct Arriving {
    /// The growing file.
    pub file: Arc<File>,
    /// How many of its bytes may be handed out.
    pub released_bytes: u64,
    /// How many there will be, where the source said so.
    pub total_bytes: Option<u64>,
    /// Who sends it.
    pub source: Arc<str>,
}

/// Bytes of a followed file that may be handed out.
#[derive(Clone, Debug)]
pub enum Part {
    /// These, which are in memory.
    Bytes(Bytes),
    /// Those from `start` to `end` of the growing file.
    File {
        /// The file; its released beginning does not change any more.
        file: Arc<File>,
        /// Where the follower is.
        start: u64,
        /// How far it may go.
        end: u64,
    },
}

/// What is said where a staged file has fewer bytes than were released.
const ENDED_EARLY: &str = "a staged file ended early";

/// One who waits for a fill: what is seen of it, and the place among those who have nothing of the file yet.
#[derive(Debug)]
pub(super) struct Boarded {
    pub(super) progress: watch::Receiver<Progress>,
    pub(super) place: Place,
}

impl Boarded {
    /// For one who wants none of the bytes.
    pub(super) fn into_progress(self) -> watch::Receiver<Progress> {
        self.progress
    }
}

/// A fill, as those see it who want to join it.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) progress: watch::Sender<Progress>,
    crowd: Arc<Crowd>,
}

impl Flight {
    pub(super) fn new(progress: watch::Sender<Progress>) -> Self {
        Self {
            progress,
            crowd: Arc::default(),
        }
    }

    pub(super) fn board(&self) -> Boarded {
        Boarded {
            progress: self.progress.subscribe(),
            place: Place::among(&self.crowd),
        }
    }
}

/// Those who have nothing of a file yet.
#[derive(Debug, Default)]
struct Crowd {
    waiting: AtomicUsize,
    has_begun: Notify,
    /// Read by the first of them. Whose ever the file is in the end, its beginning is this.
    first_bytes: OnceLock<Bytes>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Place(Arc<Crowd>);

impl Place {
    fn among(crowd: &Arc<Crowd>) -> Self {
        crowd.waiting.fetch_add(1, Ordering::AcqRel);
        Self(crowd.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.0.waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.has_begun.notify_waiters();
        }
    }
}

/// One follower's walk through a growing file.
#[derive(Debug)]
pub struct Following {
    arriving: Arriving,
    progress: watch::Receiver<Progress>,
    position: u64,
    crowd: Arc<Crowd>,
    /// Given up with the first bytes.
    place: Option<Place>,
}

impl Following {
    pub(super) fn new(arriving: Arriving, boarded: Boarded) -> Self {
        Self {
            arriving,
            progress: boarded.progress,
            position: 0,
            crowd: boarded.place.0.clone(),
            place: Some(boarded.place),
        }
    }

    /// How many bytes there will be, where the source said so.
    pub fn total_bytes(&self) -> Option<u64> {
        self.arriving.total_bytes
    }

    /// Who sends it.
    pub fn source(&self) -> &Arc<str> {
        &self.arriving.source
    }

    /// What may be handed out now, behind what [`Self::took`] was told of; `None` after the last byte. Waits where
    /// there is nothing yet. Another upstream's file may take the place of the one that was followed, but
    /// only where its beginning is the same. Dropped while it waits, it has lost nothing.
    ///
    /// # Errors
    /// The fill's failure: what was handed out so far is the beginning of a file that is not good,
    /// and the connection must be broken, not ended.
    pub async fn part(&mut self) -> Result<Option<Part>, Failure> {
        loop {
            let end = match &*self.progress.borrow_and_update() {
                Progress::Waiting => None,
                Progress::Arriving(arriving) => {
                    if !Arc::ptr_eq(&self.arriving.file, &arriving.file) {
                        self.arriving = arriving.clone();
                    }
                    (arriving.released_bytes > self.position).then_some(arriving.released_bytes)
                }
                Progress::Done(Ok(opened)) => {
                    if opened.len_bytes <= self.position {
                        return Ok(None);
                    }
                    match &opened.body {
                        Body::File(file) => self.arriving.file = file.clone(),
                        Body::Bytes(bytes) => {
                            return Ok(Some(Part::Bytes(part_of(bytes, self.position))));
                        }
                    }
                    Some(opened.len_bytes)
                }
                Progress::Done(Err(failure)) => return Err(failure.clone()),
            };
            if let Some(end) = end {
                return Ok(Some(Part::File {
                    file: self.arriving.file.clone(),
                    start: self.position,
                    end,
                }));
            }
            if self.progress.changed().await.is_err() {
                return Err(Failure::Internal("the fill of this file died".into()));
            }
        }
    }

    /// The first few of the bytes up to `end` that may be handed out: read once, for all who follow.
    ///
    /// # Errors
    /// What kept them from being read.
    pub async fn first_bytes(&self, file: &Arc<File>, end: u64) -> io::Result<Bytes> {
        if let Some(first) = self.crowd.first_bytes.get() {
            return Ok(first.clone());
        }
        let read = read_chunk(file, 0, end.min(FIRST_BYTES)).await?;
        if read.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        // A copy: what was read holds a buffer that is meant for chunks.
        let first = self
            .crowd
            .first_bytes
            .get_or_init(|| Bytes::copy_from_slice(&read));
        Ok(first.clone())
    }

    /// So many more bytes were handed out.
    pub fn took(&mut self, bytes: u64) {
        self.position = self.position.saturating_add(bytes);
        self.place = None;
    }

    /// Waits until everybody who waits for this file has its first bytes, but not for long: one of them may
    /// have a client that takes nothing.
    pub async fn crowd_has_begun(&self) {
        let begun = async {
            loop {
                let mut begun = std::pin::pin!(self.crowd.has_begun.notified());
                begun.as_mut().enable();
                if self.crowd.waiting.load(Ordering::Acquire) == 0 {
                    return;
                }
                begun.await;
            }
        };
        let _late = tokio::time::timeout(CROWD_PATIENCE, begun).await;
    }

    /// The next bytes, read; `None` after the last.
    ///
    /// # Errors
    /// As [`Self::part`], and what kept the file from being read.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let chunk = match self.part().await? {
            None => return Ok(None),
            Some(Part::Bytes(bytes)) => bytes,
            Some(Part::File { file, start, end }) => {
                let chunk = read_chunk(&file, start, end)
                    .await
                    .map_err(|error| Failure::store(error.into()))?;
                if chunk.is_empty() {
                    return Err(Failure::Internal(ENDED_EARLY.into()));
                }
                chunk
            }
        };
        self.took(chunk.len() as u64);
        Ok(Some(chunk))
    }
}

/// The next chunk of a file that is whole and in memory.
fn part_of(bytes: &Bytes, position: u64) -> Bytes {
    let start = usize::try_from(position).map_or(bytes.len(), |start| start.min(bytes.len()));
    let left = bytes.slice(start..);
    let chunk = usize::try_from(CHUNK_BYTES).map_or(left.len(), |chunk| chunk.min(left.len()));
    left.slice(..chunk)
}
