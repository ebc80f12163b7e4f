//! What goes on beside a server: the scrub, and letting go of files that were found damaged.

use proxy::observe::Metrics;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;
use store::check::Damaged;
use store::disk::DiskStore;
use store::quarantine::QuarantineWatch;
use store::scrub::{ScrubObserver, ScrubOptions, ScrubStop};
use store::{FileKey, StoreError};
use tokio::task::JoinHandle;

/// The first requests of a server that just started, a build of some hundred modules among them, have the disk and
/// the processor for themselves.
const SCRUB_AFTER: Duration = Duration::from_secs(60);
/// How soon a file that another process found damaged is let go of.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Drops a file from memory.
pub(super) type Forget = Arc<dyn Fn(&FileKey) + Send + Sync>;

/// What is needed for it.
pub(crate) struct Upkeep {
    pub(super) disk: DiskStore,
    pub(super) scrub_bytes_per_second: u64,
    pub(super) metrics: Arc<Metrics>,
    pub(super) forget: Forget,
}

/// It is going on.
pub(crate) struct UpkeepRunning {
    stop: ScrubStop,
    scrub: Option<std::thread::JoinHandle<()>>,
    watch: JoinHandle<()>,
}

impl Upkeep {
    /// Starts it. Must be called within a tokio runtime.
    pub(crate) fn start(self) -> UpkeepRunning {
        let stop = ScrubStop::default();
        let watch = tokio::spawn(let_go(self.disk.clone(), self.forget.clone()));
        let scrub = NonZeroU64::new(self.scrub_bytes_per_second).and_then(|bytes_per_second| {
            let options = ScrubOptions {
                bytes_per_second,
                start_after: SCRUB_AFTER,
            };
            let of_thread = stop.clone();
            let thread = std::thread::Builder::new().name("scrub".into());
            let started = thread.spawn(move || {
                let observer = Told {
                    metrics: self.metrics,
                    forget: self.forget,
                };
                store::scrub::run(&self.disk, options, &observer, &of_thread);
            });
            started
                .inspect_err(|error| tracing::warn!(%error, "stored files are not scrubbed"))
                .ok()
        });
        UpkeepRunning { stop, scrub, watch }
    }
}

impl UpkeepRunning {
    /// Ends it, and waits for the end: where the scrub is gets written down.
    pub(crate) async fn stop(self) {
        self.stop.stop();
        self.watch.abort();
        if let Some(scrub) = self.scrub
            && let Ok(Err(_panicked)) = tokio::task::spawn_blocking(|| scrub.join()).await
        {
            tracing::error!("the scrub broke off by a fault of its own");
        }
    }
}

/// Lets go of what any process moved into quarantine: an open file would be served for as long as it is open.
async fn let_go(disk: DiskStore, forget: Forget) {
    let mut watch = QuarantineWatch::new(disk);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let looked = tokio::task::spawn_blocking(move || {
            let news = watch.news();
            (watch, news)
        });
        let Ok((back, news)) = looked.await else {
            return;
        };
        watch = back;
        match news {
            Ok(keys) => keys.iter().for_each(|key| forget(key)),
            Err(error) => tracing::warn!(%error, "cannot look into the quarantine"),
        }
    }
}

/// Hands on what the scrub finds.
struct Told {
    metrics: Arc<Metrics>,
    forget: Forget,
}

impl ScrubObserver for Told {
    fn good(&self, len_bytes: u64) {
        self.metrics.good(len_bytes);
    }

    fn damaged(&self, damaged: &Damaged, kept: Option<&StoreError>) {
        (self.forget)(&damaged.key);
        self.metrics.damaged(damaged, kept);
    }

    fn trouble(&self, text: &str) {
        self.metrics.trouble(text);
    }

    fn round_ended(&self, at: jiff::Timestamp) {
        self.metrics.round_ended(at);
    }
}
