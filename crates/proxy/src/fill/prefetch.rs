//! Fetching a zip before it is asked for.
//!
//! The go command asks for the `.info` and the `.mod` of a version before its zip, with a round trip between;
//! an upstream far away could be on its way by then. But most `.mod` files are read to build the module graph
//! and their zips are never asked for, so a zip is fetched ahead only where this server's own clients have
//! shown that it follows. What counts is the signal: which of the two files was asked for, and whether a zip of that
//! module was ever wanted here (earlier builds left it in the store, or a client asked since the start). Of each
//! of these four signals it is learned how often the zip followed within [`WINDOW`].
//!
//! Called by [`super::Fills`] for requests that memory could not answer. Pure bookkeeping: it starts nothing and takes
//! the time as an argument. Off unless it is given a budget.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gomod::{FileKind, ModulePath};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use store::FileKey;
use tokio::sync::Semaphore;

use crate::observe::Metrics;

/// How long a zip may take to be asked for after its signal, and still count as foreseen.
const WINDOW: Duration = Duration::from_secs(60);
/// A zip is fetched where at least this share of its signal's zips followed.
const WORTH_IT: f64 = 0.6;
/// Of each signal about this many last outcomes count.
const MEMORY: f64 = 64.0;
/// Zips that are waited for at most; the oldest gives way.
const AWAITED: usize = 8192;
/// Modules remembered of which a zip was asked for.
const MODULES: usize = 16 * 1024;
/// Zips fetched ahead at once. More signals at that moment go unheard.
pub(super) const AT_ONCE: usize = 16;
/// The budget holds this many seconds of its rate, so that a build after a quiet time can use it.
const BURST_SECONDS: f64 = 10.0;

/// What is remembered for prefetching.
pub(super) struct Prefetch {
    bytes_per_second: f64,
    state: Mutex<State>,
    zip_was_asked: Cache<ModulePath, ()>,
    /// One for each zip that is being fetched ahead.
    pub(super) turns: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

struct State {
    signals: [Followed; 4],
    awaited: HashMap<FileKey, Awaited>,
    /// The keys of `awaited` by age; some are answered meanwhile.
    by_age: VecDeque<(Instant, FileKey)>,
    allowance_bytes: f64,
    refilled_at: Instant,
}

/// A request that a zip may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signal {
    /// True for a `.info`, false for a `.mod`.
    pub(super) is_info: bool,
    /// True if a zip of that module was wanted here before.
    pub(super) module_is_known: bool,
}

/// How often the zip followed a signal; older outcomes fade.
#[derive(Clone, Copy)]
struct Followed {
    signals: f64,
    zips: f64,
}

struct Awaited {
    since: Instant,
    signal: Signal,
    /// Set once the zip was fetched ahead.
    fetched_bytes: Option<u64>,
}

impl Prefetch {
    /// Fetches ahead at most `bytes_per_second`, on average.
    pub(super) fn new(bytes_per_second: u64, metrics: Arc<Metrics>, now: Instant) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a rate; its last digits do not matter"
        )]
        let bytes_per_second = bytes_per_second as f64;
        // Before anything is learned: an `.info` is asked for by those who want the module itself, a `.mod` by
        // everyone whose graph it is in.
        let beginning = |zips| Followed { signals: 4.0, zips };
        Self {
            bytes_per_second,
            state: Mutex::new(State {
                signals: [
                    beginning(1.0),
                    beginning(2.0),
                    beginning(3.0),
                    beginning(3.5),
                ],
                awaited: HashMap::new(),
                by_age: VecDeque::new(),
                allowance_bytes: bytes_per_second * BURST_SECONDS,
                refilled_at: now,
            }),
            zip_was_asked: Cache::new(MODULES),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            metrics,
        }
    }

    /// True if a zip of the module was asked for since the start.
    pub(super) fn knows(&self, module_path: &ModulePath) -> bool {
        self.zip_was_asked.get(module_path).is_some()
    }

    /// A client asked for a zip.
    pub(super) fn zip_asked(&self, zip: &FileKey, now: Instant) {
        self.zip_was_asked.insert(zip.module.path().clone(), ());
        let mut state = self.state.lock();
        self.expire(&mut state, now);
        if let Some(awaited) = state.awaited.remove(zip) {
            state.learn(awaited.signal, true);
            if let Some(bytes) = awaited.fetched_bytes {
                self.metrics.prefetched(true, bytes);
            }
        }
    }

    /// A client asked for the `.info` or `.mod` beside `zip`. True if the zip should be fetched now.
    pub(super) fn signalled(&self, zip: &FileKey, signal: Signal, now: Instant) -> bool {
        let mut state = self.state.lock();
        self.expire(&mut state, now);
        if let Some(awaited) = state.awaited.get_mut(zip) {
            // The second file of the same version: the better signal counts, and nothing is fetched twice.
            let better = signal.index() > awaited.signal.index();
            if !better || awaited.fetched_bytes.is_some() {
                return false;
            }
            awaited.signal = signal;
        } else {
            let since = now;
            state.awaited.insert(
                zip.clone(),
                Awaited {
                    since,
                    signal,
                    fetched_bytes: None,
                },
            );
            state.by_age.push_back((since, zip.clone()));
        }
        state.refill(self.bytes_per_second, now);
        state.allowance_bytes > 0.0 && state.of(signal).share() >= WORTH_IT
    }

    /// A zip was fetched ahead.
    pub(super) fn fetched(&self, zip: &FileKey, bytes: u64) {
        let mut state = self.state.lock();
        #[expect(
            clippy::cast_precision_loss,
            reason = "file sizes are far below 2^53 bytes"
        )]
        let weight = bytes as f64;
        // What it weighs is known only now, so the allowance may fall below zero: then nothing is fetched
        // until it has recovered.
        state.allowance_bytes -= weight;
        match state.awaited.get_mut(zip) {
            Some(awaited) => awaited.fetched_bytes = Some(bytes),
            // Asked for while it was on its way.
            None => self.metrics.prefetched(true, bytes),
        }
    }

    fn expire(&self, state: &mut State, now: Instant) {
        while let Some((since, zip)) = state.by_age.front() {
            let is_due = now.duration_since(*since) >= WINDOW || state.by_age.len() > AWAITED;
            let answered = state
                .awaited
                .get(zip)
                .is_none_or(|awaited| awaited.since != *since);
            if !is_due && !answered {
                return;
            }
            let front = state.by_age.pop_front();
            if answered {
                continue;
            }
            if let Some((_, zip)) = front
                && let Some(awaited) = state.awaited.remove(&zip)
            {
                state.learn(awaited.signal, false);
                if let Some(bytes) = awaited.fetched_bytes {
                    self.metrics.prefetched(false, bytes);
                }
            }
        }
    }
}

impl State {
    fn of(&mut self, signal: Signal) -> &mut Followed {
        let [mod_unknown, mod_known, info_unknown, info_known] = &mut self.signals;
        match (signal.is_info, signal.module_is_known) {
            (false, false) => mod_unknown,
            (false, true) => mod_known,
            (true, false) => info_unknown,
            (true, true) => info_known,
        }
    }

    fn learn(&mut self, signal: Signal, followed: bool) {
        let seen = self.of(signal);
        if seen.signals >= MEMORY {
            seen.signals *= 1.0 - 1.0 / MEMORY;
            seen.zips *= 1.0 - 1.0 / MEMORY;
        }
        seen.signals += 1.0;
        seen.zips += if followed { 1.0 } else { 0.0 };
    }

    fn refill(&mut self, bytes_per_second: f64, now: Instant) {
        let passed = now.duration_since(self.refilled_at).as_secs_f64();
        self.allowance_bytes = (self.allowance_bytes + passed * bytes_per_second)
            .min(bytes_per_second * BURST_SECONDS);
        self.refilled_at = now;
    }
}

impl Signal {
    /// What asking for `kind` says; nothing for a zip.
    pub(super) fn of(kind: FileKind, module_is_known: bool) -> Option<Self> {
        let is_info = match kind {
            FileKind::Info => true,
            FileKind::Mod => false,
            FileKind::Zip => return None,
        };
        Some(Self {
            is_info,
            module_is_known,
        })
    }

    /// The stronger signal has the higher number.
    fn index(self) -> u8 {
        2 * u8::from(self.is_info) + u8::from(self.module_is_known)
    }
}

impl Followed {
    fn share(self) -> f64 {
        self.zips / self.signals
    }
}

#[cfg(test)]
mod tests;
