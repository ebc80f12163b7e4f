//! What a remote listed last. Callers at the same time share one question, and its failure too.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::time::Instant;

use crate::{Refs, SourceError};

/// The listings of all repositories, least used ones forgotten: a listing may be large.
pub(super) type Listed = Cache<String, Arc<Refs>, ByBytes>;

/// What all listings may take in memory.
const LISTED_BYTES: u64 = 512 << 20;
/// What a ref takes, about: its name, its object's name, and the tree that holds them.
const REF_BYTES: u64 = 200;

/// Weighs a listing.
#[derive(Clone)]
pub(super) struct ByBytes;

impl Weighter<String, Arc<Refs>> for ByBytes {
    fn weight(&self, _: &String, refs: &Arc<Refs>) -> u64 {
        (refs.iter().count() as u64 + 1) * REF_BYTES
    }
}

/// Room for the listings of all repositories.
pub(super) fn room() -> Listed {
    Cache::with_weighter(4096, LISTED_BYTES, ByBytes)
}

/// The last listing of a repository.
pub(super) struct Listings {
    key: String,
    listed: Arc<Listed>,
    /// Held by whoever asks the remote.
    asking: tokio::sync::Mutex<()>,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    /// When the question began and what was listed, as long as there is room: what changed later may be missing.
    listed: Option<(Instant, Weak<Refs>)>,
    /// When the last question failed, and how.
    failed: Option<(Instant, SourceError)>,
    /// Questions that began earlier do not count.
    forgotten: Option<Instant>,
}

impl Last {
    fn listed_since(&self, since: Option<Instant>) -> Option<Arc<Refs>> {
        let (began, refs) = self.listed.as_ref()?;
        let counts = since.is_none_or(|since| *began >= since)
            && self.forgotten.is_none_or(|forgotten| *began > forgotten);
        counts.then(|| refs.upgrade()).flatten()
    }
}

impl Listings {
    pub(super) fn new(key: String, listed: Arc<Listed>) -> Self {
        Self {
            key,
            listed,
            asking: tokio::sync::Mutex::default(),
            last: Mutex::default(),
        }
    }

    /// A listing begun at most `age` before now, or a new one. A failure is shared only by those who
    /// waited while it came about.
    pub(super) async fn recent<F>(
        &self,
        age: Duration,
        ask: impl FnOnce() -> F + Send,
    ) -> Result<Arc<Refs>, SourceError>
    where
        F: Future<Output = Result<Refs, SourceError>> + Send,
    {
        let arrived = Instant::now();
        let since = arrived.checked_sub(age);
        if let Some(refs) = self.listed_since(since) {
            return Ok(refs);
        }
        let _asking = self.asking.lock().await;
        {
            let last = self.last.lock();
            if let Some(refs) = last.listed_since(since) {
                return Ok(refs);
            }
            if let Some((at, error)) = &last.failed
                && *at > arrived
            {
                return Err(error.clone());
            }
        }
        let began = Instant::now();
        let outcome = ask().await.map(Arc::new);
        if let Ok(refs) = &outcome {
            self.listed.insert(self.key.clone(), refs.clone());
        }
        let mut last = self.last.lock();
        match &outcome {
            Ok(refs) => {
                last.listed = Some((began, Arc::downgrade(refs)));
                last.failed = None;
            }
            Err(error) => last.failed = Some((Instant::now(), error.clone())),
        }
        outcome
    }

    /// True if a question of the last moments has its answer here.
    pub(super) fn is_recent(&self, age: Duration) -> bool {
        self.listed_since(Instant::now().checked_sub(age)).is_some()
    }

    /// A failure to reach the remote that came about after `since`.
    pub(super) fn failed_after(&self, since: Instant) -> Option<SourceError> {
        let last = self.last.lock();
        let (at, error) = last.failed.as_ref()?;
        (*at > since).then(|| error.clone())
    }

    /// Remembers that the remote was asked something else and failed, for those who waited meanwhile.
    pub(super) fn note_failure(&self, error: &SourceError) {
        self.last.lock().failed = Some((Instant::now(), error.clone()));
    }

    /// The last listing, however old.
    pub(super) fn known(&self) -> Option<Arc<Refs>> {
        self.listed_since(None)
    }

    fn listed_since(&self, since: Option<Instant>) -> Option<Arc<Refs>> {
        let refs = self.last.lock().listed_since(since)?;
        // Read there, so that it counts as used.
        self.listed.get(&self.key);
        Some(refs)
    }

    /// True if the remote was asked at most so long ago and did not answer.
    pub(super) fn failed_within(&self, age: Duration) -> bool {
        let last = self.last.lock();
        last.failed
            .as_ref()
            .is_some_and(|(at, _)| at.elapsed() <= age)
    }

    /// Lets the next question go to the remote.
    pub(super) fn forget(&self) {
        self.last.lock().forgotten = Some(Instant::now());
    }
}
