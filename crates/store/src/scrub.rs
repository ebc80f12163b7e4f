//! Reading every stored file again in the background, round after round, within a budget of bytes a second.
//!
//! `larder serve` runs it on a thread of its own; one file at a time, one process at a time (by lock). It
//! reads past the page cache where the file system can, so that it pushes nothing out of memory. A damaged
//! file goes into quarantine, and the next request fetches it anew. Where it is stands in `DIR/state/scrub`;
//! that file is a convenience: lost, a round begins anew.

use crate::check::{Checked, Damaged, Depth, Going, Reading};
use crate::disk::DiskStore;
use crate::folder::{create_folders, read_if_there};
use crate::moment::Moment;
use crate::walk::{Found, Position, WalkedFile};
use crate::{StoreError, layout};
use fs_err as fs;
use parking_lot::{Condvar, Mutex};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A round begins no sooner after the last one did: a small folder is not read all day.
const ROUND_EVERY: Duration = Duration::from_secs(24 * 3600);
/// What a file costs of the budget beside its bytes: its name, its record, the opening.
const FILE_BYTES: u64 = 8 << 10;
/// How often the place is written down.
const NOTE_EVERY: Duration = Duration::from_secs(60);
/// How often it is tried again where another process scrubs, or where nothing could be read.
const RETRY_EVERY: Duration = Duration::from_secs(600);

/// How the scrub behaves.
#[derive(Clone, Copy, Debug)]
pub struct ScrubOptions {
    /// The budget.
    pub bytes_per_second: NonZeroU64,
    /// How long it waits before it begins.
    pub start_after: Duration,
}

/// Who is told of what the scrub finds. Called on its thread.
pub trait ScrubObserver {
    /// A file was read and is good.
    fn good(&self, len_bytes: u64);
    /// A file was damaged, and was moved into quarantine unless `kept` says why not.
    fn damaged(&self, damaged: &Damaged, kept: Option<&StoreError>);
    /// Something could not be looked at, which says nothing about the files.
    fn trouble(&self, text: &str);
    /// Every file was looked at.
    fn round_ended(&self, at: jiff::Timestamp);
}

/// Ends the scrub; shared with whoever started it.
#[derive(Clone, Debug, Default)]
pub struct ScrubStop(Arc<(Mutex<bool>, Condvar)>);

impl ScrubStop {
    /// Asks the scrub to end; it does within a piece of a file.
    pub fn stop(&self) {
        *self.0.0.lock() = true;
        self.0.1.notify_all();
    }

    /// Waits, or less long where the end comes.
    fn wait(&self, how_long: Duration) -> Going {
        let deadline = Instant::now() + how_long;
        let mut stopped = self.0.0.lock();
        while !*stopped {
            if self.0.1.wait_until(&mut stopped, deadline).timed_out() {
                return Going::On;
            }
        }
        Going::Stop
    }
}

/// Where the scrub is, as its file has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// When the round that is under way began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    round_began: Option<Moment>,
    /// The path below `DIR/download` of the last file that this round has looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    behind: Option<PathBuf>,
    /// When the last whole round ended, and when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_round_ended: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_round_began: Option<Moment>,
}

/// Scrubs `store` until `stop` says otherwise. Blocks for as long.
pub fn run(
    store: &DiskStore,
    options: ScrubOptions,
    observer: &dyn ScrubObserver,
    stop: &ScrubStop,
) {
    if stop.wait(options.start_after) == Going::Stop {
        return;
    }
    loop {
        let pause = match Scrub::begin(store, options.bytes_per_second, observer, stop) {
            Ok(Some(mut scrub)) => match scrub.rounds() {
                Ok(()) => return,
                Err(error) => {
                    observer.trouble(&error.to_string());
                    RETRY_EVERY
                }
            },
            Ok(None) => RETRY_EVERY,
            Err(error) => {
                observer.trouble(&error.to_string());
                RETRY_EVERY
            }
        };
        if stop.wait(pause) == Going::Stop {
            return;
        }
    }
}

struct Scrub<'run> {
    store: &'run DiskStore,
    observer: &'run dyn ScrubObserver,
    stop: &'run ScrubStop,
    budget: Budget,
    place: Place,
    noted: Instant,
    /// Keeps other processes from scrubbing the same folder.
    _lock: File,
}

impl<'run> Scrub<'run> {
    /// `None` where another process scrubs this folder.
    fn begin(
        store: &'run DiskStore,
        bytes_per_second: NonZeroU64,
        observer: &'run dyn ScrubObserver,
        stop: &'run ScrubStop,
    ) -> Result<Option<Self>, StoreError> {
        let locks = layout::locks(store.dir());
        create_folders(&locks)?;
        let lock = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(locks.join("scrub"))?;
        if lock.file().try_lock().is_err() {
            return Ok(None);
        }
        let written = read_if_there(&layout::scrub(store.dir()))?;
        let place = written.and_then(|json| serde_json::from_slice(&json).ok());
        Ok(Some(Self {
            store,
            observer,
            stop,
            budget: Budget::new(bytes_per_second),
            place: place.unwrap_or_default(),
            noted: Instant::now(),
            _lock: lock.into_parts().0,
        }))
    }

    /// Round after round until it is stopped.
    fn rounds(&mut self) -> Result<(), StoreError> {
        loop {
            if self.stop.wait(self.until_next_round()) == Going::Stop {
                return Ok(());
            }
            self.place
                .round_began
                .get_or_insert_with(|| Moment(jiff::Timestamp::now()));
            let going = self.round();
            if going == Going::On {
                let now = jiff::Timestamp::now();
                self.place = Place {
                    last_round_began: self.place.round_began,
                    last_round_ended: Some(Moment(now)),
                    ..Place::default()
                };
                self.observer.round_ended(now);
            }
            self.note()?;
            if going == Going::Stop {
                return Ok(());
            }
        }
    }

    /// Nothing where a round is under way or none was ever made.
    fn until_next_round(&self) -> Duration {
        match (self.place.round_began, self.place.last_round_began) {
            (None, Some(began)) => {
                let since = jiff::Timestamp::now().duration_since(began.0);
                // A clock that was set back must not put it off for ever.
                let since = Duration::try_from(since).unwrap_or(ROUND_EVERY);
                ROUND_EVERY.saturating_sub(since)
            }
            (Some(_), _) | (None, None) => Duration::ZERO,
        }
    }

    /// Looks at every file behind the place.
    fn round(&mut self) -> Going {
        let position = self.place.behind.clone().map(Position::of_path);
        for found in self.store.walk_from(position) {
            let file = match found {
                Ok(Found::File(file)) => file,
                Ok(Found::Stranger(_)) => continue,
                Err(error) => {
                    self.observer.trouble(&error.to_string());
                    continue;
                }
            };
            if self.look(&file) == Going::Stop {
                return Going::Stop;
            }
            self.place.behind = Some(Position::behind(&file.key).as_path().to_path_buf());
            if self.noted.elapsed() >= NOTE_EVERY
                && let Err(error) = self.note()
            {
                self.observer.trouble(&error.to_string());
            }
        }
        Going::On
    }

    fn look(&mut self, file: &WalkedFile) -> Going {
        let (budget, stop) = (&mut self.budget, self.stop);
        let mut pass = |bytes| stop.wait(budget.spend(bytes));
        if pass(FILE_BYTES) == Going::Stop {
            return Going::Stop;
        }
        let checked = self
            .store
            .check(&file.key, Depth::Bytes, Reading::PastTheCache, &mut pass);
        match checked {
            Ok(Checked::Good(record)) => self.observer.good(record.len_bytes),
            Ok(Checked::Damaged(damaged)) => match self.store.quarantine(&damaged) {
                Ok(true) => self.observer.damaged(&damaged, None),
                // Replaced meanwhile, by a file that is good.
                Ok(false) => {}
                Err(error) => self.observer.damaged(&damaged, Some(&error)),
            },
            Ok(Checked::Untrusted | Checked::Gone) => {}
            Ok(Checked::Stopped) => return Going::Stop,
            Err(error) => self.observer.trouble(&error.to_string()),
        }
        Going::On
    }

    /// Writes the place down. Whole or not at all, but not synced: it may be lost.
    fn note(&mut self) -> Result<(), StoreError> {
        self.noted = Instant::now();
        let path = layout::scrub(self.store.dir());
        let json = serde_json::to_vec(&self.place).map_err(std::io::Error::other)?;
        let new = path.with_extension("new");
        fs::write(&new, json)?;
        fs::rename(&new, &path)?;
        Ok(())
    }
}

/// Bytes a second, spent in pieces.
#[derive(Debug)]
struct Budget {
    bytes_per_second: NonZeroU64,
    /// When what was spent so far is paid for.
    paid_at: Instant,
}

impl Budget {
    fn new(bytes_per_second: NonZeroU64) -> Self {
        Self {
            bytes_per_second,
            paid_at: Instant::now(),
        }
    }

    /// How long to wait after spending so much. Time that nobody spent is not saved up.
    fn spend(&mut self, bytes: u64) -> Duration {
        let nanoseconds =
            u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second.get());
        let cost = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        let now = Instant::now();
        self.paid_at = self.paid_at.max(now) + cost;
        self.paid_at.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests;
