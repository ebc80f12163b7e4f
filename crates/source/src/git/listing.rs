//! What a remote listed last. Callers at the same time share one question, and its failure too.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{Refs, SourceError};

/// The last listing of a repository.
#[derive(Default)]
pub(super) struct Listings {
    /// Held by whoever asks the remote.
    asking: tokio::sync::Mutex<()>,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    /// When the question began and what was listed: what changed later may be missing.
    listed: Option<(Instant, Arc<Refs>)>,
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
        counts.then(|| refs.clone())
    }
}

impl Listings {
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
        if let Some(refs) = self.last.lock().listed_since(since) {
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
        let mut last = self.last.lock();
        match &outcome {
            Ok(refs) => {
                last.listed = Some((began, refs.clone()));
                last.failed = None;
            }
            Err(error) => last.failed = Some((Instant::now(), error.clone())),
        }
        outcome
    }

    /// The last listing, however old.
    pub(super) fn known(&self) -> Option<Arc<Refs>> {
        self.last.lock().listed_since(None)
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
