//! New tags at once: what an operator or a code host says has changed is asked anew.
//!
//! Called by `serve` for `POST /-/refresh/…` and `POST /-/webhook/…`, which hand no module content in and
//! get none out. [`access`] says who may, [`webhook`] reads what a code host sends. A refresh only forgets:
//! nothing is dialled because of it, so it can lead this server nowhere that a module request would not.

pub mod access;
pub mod webhook;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use source::{Refresher, Touched};

use crate::answer::Answers;
use crate::fill::Fills;
use crate::observe::{Metrics, RefreshOutcome, RefreshedBy};

/// Refreshes that may come at once, and how many a second from then on. Each looks through all answers
/// in memory; a push to a repository is one.
const BURST: f64 = 60.0;
const PER_SECOND: f64 = 2.0;

/// Forgets what is touched, in every room that remembers something.
pub struct Refreshes {
    answers: Arc<Answers>,
    fills: Fills,
    refreshers: Vec<Arc<dyn Refresher>>,
    metrics: Arc<Metrics>,
    pace: Mutex<Pace>,
}

/// What was forgotten.
#[derive(Debug)]
pub struct Forgotten {
    /// What was touched, with what the sources knew to belong to it.
    pub touched: Touched,
    /// Lists, `@latest` and revision names that will be asked anew.
    pub answers: usize,
    /// Remembered failures to bring a file.
    pub failures: usize,
}

/// More refreshes came than the server follows.
#[derive(Clone, Copy, Debug)]
pub struct TooMany {
    /// When one will be followed again.
    pub retry_after: Duration,
}

impl Refreshes {
    /// Over the rooms of a server and what its sources remember.
    pub fn new(
        answers: Arc<Answers>,
        fills: Fills,
        refreshers: Vec<Arc<dyn Refresher>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            answers,
            fills,
            refreshers,
            metrics,
            pace: Mutex::new(Pace::new(Instant::now())),
        }
    }

    /// Forgets everything that is touched.
    ///
    /// # Errors
    /// Too many came within the last seconds; nothing was forgotten.
    pub fn forget(&self, by: RefreshedBy, mut touched: Touched) -> Result<Forgotten, TooMany> {
        if let Err(too_many) = self.pace.lock().take(Instant::now()) {
            self.metrics.refresh(by, RefreshOutcome::TooMany);
            return Err(too_many);
        }
        // From the source to the client: who asks between two steps must not bring back what is old.
        for refresher in &self.refreshers {
            refresher.forget(&mut touched);
        }
        let failures = self.fills.forget(&touched);
        let answers = self.answers.forget(&touched);
        self.metrics.refresh(by, RefreshOutcome::Done);
        tracing::info!(
            by = by.name(),
            modules = ?touched.prefixes().collect::<Vec<_>>(),
            answers,
            failures,
            "refreshed: the next request asks upstream anew"
        );
        Ok(Forgotten {
            touched,
            answers,
            failures,
        })
    }

    /// Counts one that was refused before it could touch anything.
    pub(crate) fn refused(&self, by: RefreshedBy) {
        self.metrics.refresh(by, RefreshOutcome::Refused);
    }

    /// Counts one whose request could not be read.
    pub(crate) fn malformed(&self, by: RefreshedBy) {
        self.metrics.refresh(by, RefreshOutcome::Malformed);
    }
}

/// Grants a burst, then a steady rate.
struct Pace {
    granted: f64,
    at: Instant,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self {
            granted: BURST,
            at: now,
        }
    }

    fn take(&mut self, now: Instant) -> Result<(), TooMany> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.granted = (self.granted + passed * PER_SECOND).min(BURST);
        if self.granted < 1.0 {
            let wait = (1.0 - self.granted) / PER_SECOND;
            return Err(TooMany {
                retry_after: Duration::from_secs_f64(wait),
            });
        }
        self.granted -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refreshes_is_slowed_to_a_steady_rate() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let taken = |pace: &mut Pace, at: Duration| {
            std::iter::repeat_with(|| pace.take(start + at))
                .take(1000)
                .filter(Result::is_ok)
                .count()
        };
        assert_eq!(taken(&mut pace, Duration::ZERO), 60);
        let refused = pace.take(start).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_millis(500));
        assert_eq!(taken(&mut pace, Duration::from_secs(3)), 6);
        assert_eq!(taken(&mut pace, Duration::from_secs(3600)), 60);
    }
}
