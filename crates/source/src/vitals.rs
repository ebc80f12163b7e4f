//! What an upstream was like lately, for people to look at: nothing is decided by it.

use std::time::Duration;

/// How much a new value weighs in a mean.
const NEW_WEIGHT: f64 = 0.1;

/// Exponentially weighted means, over about the last ten questions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vitals {
    /// Of the times to the first byte; `None` before the first. A question that failed counts with the time that it
    /// took to fail.
    pub mean_first_byte: Option<Duration>,
    /// Share of the questions that were not answered, from 0 to 1.
    pub error_rate: f64,
}

impl Vitals {
    pub(crate) fn note_first_byte(&mut self, first_byte: Duration) {
        let seconds = first_byte.as_secs_f64();
        let mean = self
            .mean_first_byte
            .map_or(seconds, |mean| mean.as_secs_f64());
        let mean = mean + NEW_WEIGHT * (seconds - mean);
        self.mean_first_byte = Some(Duration::from_secs_f64(mean));
    }

    pub(crate) fn note_outcome(&mut self, is_answered: bool) {
        let failed = if is_answered { 0.0 } else { 1.0 };
        self.error_rate += NEW_WEIGHT * (failed - self.error_rate);
    }
}
