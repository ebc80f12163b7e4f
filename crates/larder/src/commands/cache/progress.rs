//! A line on stderr that says how far a command has come; on a terminal only.

use super::human_bytes;
use crate::terminal;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the line is written anew.
const EVERY: Duration = Duration::from_millis(200);

/// Counted by whoever works, shown by a thread of its own.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    counted: Arc<Counted>,
}

#[derive(Debug)]
struct Counted {
    verb: &'static str,
    files: AtomicU64,
    bytes: AtomicU64,
    /// How many files there will be; 0 where nobody knows.
    total_files: AtomicU64,
    began: Instant,
    ended: AtomicBool,
}

/// Shows a [`Progress`] until it is dropped.
#[derive(Debug)]
pub(super) struct Shown {
    counted: Arc<Counted>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Nothing done yet; `verb` is what happens to files: `verified`.
    pub(super) fn new(verb: &'static str) -> Self {
        let counted = Counted {
            verb,
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            total_files: AtomicU64::new(0),
            began: Instant::now(),
            ended: AtomicBool::new(false),
        };
        Self {
            counted: Arc::new(counted),
        }
    }

    /// Shows it on a terminal, and nowhere else.
    pub(super) fn show(&self) -> Shown {
        let counted = Arc::clone(&self.counted);
        let thread = std::io::stderr().is_terminal().then(|| {
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || {
                while !counted.ended.load(Ordering::Relaxed) {
                    terminal::talk(&format!("\r\x1b[K{}", counted.line()));
                    std::thread::park_timeout(EVERY);
                }
                terminal::talk("\r\x1b[K");
            })
        });
        Shown { counted, thread }
    }

    /// So many bytes were read.
    pub(super) fn add_bytes(&self, bytes: u64) {
        self.counted.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A file is done.
    pub(super) fn add_file(&self) {
        self.counted.files.fetch_add(1, Ordering::Relaxed);
    }

    /// More files are known of.
    pub(super) fn expect_files(&self, files: usize) {
        let files = u64::try_from(files).unwrap_or(u64::MAX);
        self.counted.total_files.fetch_add(files, Ordering::Relaxed);
    }

    /// Since the beginning.
    pub(super) fn elapsed(&self) -> Duration {
        self.counted.began.elapsed()
    }
}

impl Counted {
    #[expect(clippy::cast_precision_loss, reason = "an estimate for people")]
    fn line(&self) -> String {
        let files = self.files.load(Ordering::Relaxed);
        let bytes = self.bytes.load(Ordering::Relaxed);
        let seconds = self.began.elapsed().as_secs_f64();
        let total = self.total_files.load(Ordering::Relaxed);
        let of_total = match total {
            0 => String::new(),
            total => format!(" of {total}"),
        };
        let left = match (files, total) {
            (1.., 1..) if total > files => {
                let left = seconds / files as f64 * (total - files) as f64;
                format!(", about {left:.0} s left")
            }
            _ => String::new(),
        };
        format!(
            "{} {files}{of_total} files, {}{left}",
            self.verb,
            human_bytes(bytes)
        )
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.counted.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It writes one more line at most.
            let _ = thread.join();
        }
    }
}
