//! Files that are kept behind the lookups that brought them.
//!
//! What a verification waits for is the proof, not its copy on the disk. The copies of a moment are written together,
//! on one trip off the reactor.

use super::SumdbState;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How long files are gathered.
const GATHERING: Duration = Duration::from_millis(100);

/// What may wait to be written. What comes beyond is not kept, and asked for again when it is needed: the disk is
/// slower than the database then.
const WAITING_BYTES: usize = 4 << 20;

pub(super) struct Behind {
    state: Arc<dyn SumdbState>,
    waiting: Mutex<Waiting>,
    written: Notify,
}

#[derive(Default)]
struct Waiting {
    files: Vec<(String, Vec<u8>)>,
    bytes: usize,
    /// A task is on its way to write them.
    is_served: bool,
}

impl Behind {
    pub(super) fn new(state: Arc<dyn SumdbState>) -> Arc<Self> {
        Arc::new(Self {
            state,
            waiting: Mutex::default(),
            written: Notify::new(),
        })
    }

    /// Keeps files soon; a failure costs a later request and nothing else.
    pub(super) fn keep(self: &Arc<Self>, files: impl IntoIterator<Item = (String, Vec<u8>)>) {
        let was_served = {
            let mut waiting = self.waiting.lock();
            for (file, bytes) in files {
                if waiting.bytes + bytes.len() > WAITING_BYTES {
                    tracing::debug!(file, "not kept: too much waits to be written");
                    continue;
                }
                waiting.bytes += bytes.len();
                waiting.files.push((file, bytes));
            }
            waiting.files.is_empty() || std::mem::replace(&mut waiting.is_served, true)
        };
        if !was_served {
            tokio::spawn(Arc::clone(self).write());
        }
    }

    /// Waits until all is written that was given so far.
    pub(super) async fn settled(&self) {
        loop {
            let mut written = std::pin::pin!(self.written.notified());
            written.as_mut().enable();
            if !self.waiting.lock().is_served {
                return;
            }
            written.await;
        }
    }

    /// Until nothing waits any more; something does when it begins.
    async fn write(self: Arc<Self>) {
        loop {
            tokio::time::sleep(GATHERING).await;
            let files = {
                let mut waiting = self.waiting.lock();
                waiting.bytes = 0;
                std::mem::take(&mut waiting.files)
            };
            let state = Arc::clone(&self.state);
            let write = move || {
                for (file, bytes) in files {
                    if let Err(error) = state.write(&file, &bytes) {
                        tracing::warn!(%error, file, "cannot keep data of the checksum database");
                    }
                }
            };
            // A runtime that is shutting down takes no more work, and this task ends with it.
            let _ended = tokio::task::spawn_blocking(write).await;
            let mut waiting = self.waiting.lock();
            if waiting.files.is_empty() {
                waiting.is_served = false;
                break;
            }
        }
        self.written.notify_waiters();
    }
}
