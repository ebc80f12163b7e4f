//! How a member of a group is: how fast it usually is, and whether it is to be asked first.
//!
//! **How fast.** For files and for answers apart, the last [`KEPT`] times to the first byte, and the last
//! [`KEPT`] times that [`STEP_BYTES`] of a body took. Of each the 95th percentile is what the member is held
//! to: its *own* recent past, so that a far upstream is not thought slow because a near one is fast. Below
//! [`LEAST`] nobody is held to anything: such differences are the machine's own. Before [`ENOUGH`] times are
//! known it is [`UNKNOWN`]. An exponentially weighted mean of the first bytes is for people to look at.
//!
//! **Well or ill.** [`STRIKES`] failures in a row make a member ill; so does being overtaken as often by
//! another that was asked later. Any answer in between, absence included, begins the count anew: at a
//! concurrency of 16 an upstream that fails one request in ten stays well, one that is gone is ill within one
//! round trip. An ill member rests, twice as long each time; then a question that is asked elsewhere is put to
//! it as well, within the budget, and only measured. [`RECOVERY`] such answers in a row, none of them slower
//! than twice what it is held to, and it is well. What it is held to does not change while it is ill: an
//! upstream that came back at a tenth of its speed has not come back. Two thresholds, and rests that grow,
//! are what keeps the order from flapping.
//!
//! **Mistrusted.** A file that the verifier refused counts for more than any slowness: the member is asked last for
//! [`MISTRUST`], twice as long each time, since a probe cannot tell whether it lies.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::vitals::Vitals;

/// Times that are remembered, of each kind.
const KEPT: usize = 64;
/// Times that say something.
const ENOUGH: usize = 8;
/// What a member is held to before enough is known of it.
const UNKNOWN: Duration = Duration::from_secs(1);
/// No limit is shorter than this.
const LEAST: Duration = Duration::from_millis(25);
/// No limit is longer than this: the stall time-out stands behind it.
const LONGEST: Duration = Duration::from_secs(10);
/// Failures in a row that make a member ill.
const STRIKES: u32 = 3;
/// Good answers in a row that make it well.
const RECOVERY: u32 = 2;
/// The first rest of an ill member, and the longest.
const FIRST_REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_secs(120);
/// How long a member whose file was refused is asked last, at first and at most.
const MISTRUST: Duration = Duration::from_secs(600);
const LONGEST_MISTRUST: Duration = Duration::from_secs(6 * 3600);
/// Questions that wait too long for a member that says nothing at all, before it counts as silent.
const SILENT: u32 = 3;

/// How much of a body a step is.
pub(super) const STEP_BYTES: u64 = 64 << 10;

/// What is asked: a version's file, or a list, `@latest` or revision. They have paces of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    File,
    Answer,
}

/// What a member is held to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) first_byte: Duration,
    pub(super) step: Duration,
}

/// How a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// It is asked in its place.
    Well,
    /// It failed, or was overtaken, too often in a row.
    Ill,
    /// The verifier refused a file of it.
    Mistrusted,
}

impl Condition {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Well, Self::Ill, Self::Mistrusted];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Ill => "ill",
            Self::Mistrusted => "mistrusted",
        }
    }
}

/// A member's health, for those who show it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HealthReport {
    /// Well, ill or mistrusted.
    pub condition: Condition,
    /// What it was like lately.
    pub vitals: Vitals,
    /// The 95th percentile of the last times to the first byte of files.
    pub first_byte_p95: Duration,
    /// The 95th percentile of the last times that 64 KiB of a body took.
    pub progress_p95: Duration,
    /// Files that the verifier refused.
    pub refused_files: u64,
}

#[derive(Debug)]
pub(super) struct Health(Mutex<State>);

#[derive(Debug)]
struct State {
    files: Pace,
    answers: Pace,
    vitals: Vitals,
    strikes: u32,
    illness: Option<Illness>,
    rest: Duration,
    mistrusted_until: Option<Instant>,
    mistrust: Duration,
    refused_files: u64,
    heard_at: Option<Instant>,
    overdue: u32,
}

#[derive(Debug)]
struct Illness {
    rest_until: Instant,
    good_answers: u32,
    probe_runs: bool,
}

#[derive(Debug, Default)]
struct Pace {
    first_byte: Times,
    step: Times,
}

impl Health {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            files: Pace::default(),
            answers: Pace::default(),
            vitals: Vitals::default(),
            strikes: 0,
            illness: None,
            rest: FIRST_REST,
            mistrusted_until: None,
            mistrust: MISTRUST,
            refused_files: 0,
            heard_at: None,
            overdue: 0,
        }))
    }

    pub(super) fn limits(&self, asked: Asked) -> Limits {
        let state = self.0.lock();
        let pace = match asked {
            Asked::File => &state.files,
            Asked::Answer => &state.answers,
        };
        Limits {
            first_byte: pace.first_byte.limit(),
            step: pace.step.limit(),
        }
    }

    pub(super) fn condition(&self, now: Instant) -> Condition {
        let state = self.0.lock();
        if state.mistrusted_until.is_some_and(|until| now < until) {
            Condition::Mistrusted
        } else if state.illness.is_some() {
            Condition::Ill
        } else {
            Condition::Well
        }
    }

    pub(super) fn report(&self, now: Instant) -> HealthReport {
        let condition = self.condition(now);
        let state = self.0.lock();
        HealthReport {
            condition,
            vitals: state.vitals,
            first_byte_p95: state.files.first_byte.p95,
            progress_p95: state.files.step.p95,
            refused_files: state.refused_files,
        }
    }

    /// A byte came.
    pub(super) fn heard(&self, now: Instant) {
        self.0.lock().heard_at = Some(now);
    }

    pub(super) fn heard_at(&self) -> Option<Instant> {
        self.0.lock().heard_at
    }

    /// A question was answered in the end, with absence perhaps. Of an ill member that nobody stands in for, this
    /// is as good as a probe.
    pub(super) fn answered(&self, asked: Asked, first_byte: Duration, steps: &[Duration]) {
        let mut state = self.0.lock();
        let state = &mut *state;
        let pace = match asked {
            Asked::File => &mut state.files,
            Asked::Answer => &mut state.answers,
        };
        pace.first_byte.note(first_byte);
        for step in steps {
            pace.step.note(*step);
        }
        state.vitals.note_first_byte(first_byte);
        state.vitals.note_outcome(true);
        state.strikes = 0;
        state.recovers();
    }

    /// A question was not answered, or another member that was asked later was done first.
    pub(super) fn failed(&self, now: Instant, waited: Duration) {
        let mut state = self.0.lock();
        state.vitals.note_first_byte(waited);
        state.vitals.note_outcome(false);
        state.strikes = state.strikes.saturating_add(1);
        if state.strikes >= STRIKES {
            state.falls_ill(now);
        }
    }

    /// The verifier refused its file.
    pub(super) fn refused(&self, now: Instant) {
        let mut state = self.0.lock();
        state.vitals.note_outcome(false);
        state.refused_files += 1;
        if state.mistrusted_until.is_none_or(|until| until <= now) {
            state.mistrusted_until = Some(now + state.mistrust);
            state.mistrust = (state.mistrust * 2).min(LONGEST_MISTRUST);
        }
        // Once it is asked again, it has to show that it is there.
        state.falls_ill(now);
    }

    /// The breaker says so: it rests and is probed as any ill member.
    pub(super) fn is_down(&self, now: Instant) {
        let mut state = self.0.lock();
        if state.illness.is_none() {
            state.falls_ill(now);
        }
    }

    /// A question has waited for longer than its limit, until the guard is dropped.
    pub(super) fn overdue(&self) {
        self.0.lock().overdue += 1;
    }

    pub(super) fn no_longer_overdue(&self) {
        let mut state = self.0.lock();
        state.overdue = state.overdue.saturating_sub(1);
    }

    /// True if several questions wait too long, or it is known to be ill, and it has not brought a byte to
    /// anybody for as long as `limit`.
    pub(super) fn is_silent(&self, now: Instant, limit: Duration) -> bool {
        let state = self.0.lock();
        let nothing_came = state.heard_at.is_none_or(|at| now - at >= limit);
        (state.overdue >= SILENT || state.illness.is_some()) && nothing_came
    }

    /// True for the one who is to probe an ill member now; told to [`Self::probed`] or [`Self::not_probed`].
    pub(super) fn wants_probe(&self, now: Instant) -> bool {
        let mut state = self.0.lock();
        if state.mistrusted_until.is_some_and(|until| now < until) {
            return false;
        }
        match &mut state.illness {
            Some(illness) if !illness.probe_runs && now >= illness.rest_until => {
                illness.probe_runs = true;
                true
            }
            _ => false,
        }
    }

    /// The probe was not made after all.
    pub(super) fn not_probed(&self) {
        if let Some(illness) = &mut self.0.lock().illness {
            illness.probe_runs = false;
        }
    }

    /// What the probe found: the times that it took, if it was answered.
    pub(super) fn probed(&self, now: Instant, found: Option<(Asked, Duration, &[Duration])>) {
        let in_time = found.is_some_and(|(asked, first_byte, steps)| {
            let limits = self.limits(asked);
            let slowest = steps.iter().max().copied().unwrap_or_default();
            first_byte <= limits.first_byte * 2 && slowest <= limits.step * 2
        });
        let mut state = self.0.lock();
        if let Some(illness) = &mut state.illness {
            illness.probe_runs = false;
        }
        state.vitals.note_outcome(in_time);
        if in_time {
            state.recovers();
        } else {
            state.falls_ill(now);
        }
    }
}

impl State {
    fn falls_ill(&mut self, now: Instant) {
        match &mut self.illness {
            // Questions that were under way before do not make the rest longer.
            Some(illness) if now < illness.rest_until => {
                illness.good_answers = 0;
            }
            Some(illness) => {
                illness.good_answers = 0;
                illness.rest_until = now + self.rest;
                self.rest = (self.rest * 2).min(LONGEST_REST);
            }
            None => {
                self.illness = Some(Illness {
                    rest_until: now + self.rest,
                    good_answers: 0,
                    probe_runs: false,
                });
                self.rest = (self.rest * 2).min(LONGEST_REST);
            }
        }
    }

    fn recovers(&mut self) {
        let Some(illness) = &mut self.illness else {
            // Well for a whole row of answers: the next illness starts with a short rest again.
            self.rest = FIRST_REST;
            return;
        };
        illness.good_answers += 1;
        if illness.good_answers >= RECOVERY {
            self.illness = None;
            self.strikes = 0;
        }
    }
}

/// The last times of one kind.
#[derive(Debug, Default)]
struct Times {
    kept: Vec<Duration>,
    next: usize,
    p95: Duration,
}

impl Times {
    fn note(&mut self, time: Duration) {
        if self.kept.len() < KEPT {
            self.kept.push(time);
        } else if let Some(oldest) = self.kept.get_mut(self.next) {
            *oldest = time;
            self.next = (self.next + 1) % KEPT;
        }
        let mut sorted = self.kept.clone();
        sorted.sort_unstable();
        // The smallest time that 95 of 100 do not exceed.
        let rank = (sorted.len() * 95).div_ceil(100);
        self.p95 = sorted
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or_default();
    }

    fn limit(&self) -> Duration {
        if self.kept.len() < ENOUGH {
            return UNKNOWN;
        }
        self.p95.clamp(LEAST, LONGEST)
    }
}

#[cfg(test)]
mod tests;
