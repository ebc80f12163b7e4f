//! How far one question to one member has come.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::health::{Health, Limits, STEP_BYTES};
use crate::{Sink, SinkError, SourceName};

/// Steps whose times are kept of one body; more say nothing new.
const STEPS: usize = 16;

/// Beats with each piece of a body.
#[derive(Debug)]
pub(super) struct Pulse {
    asked_at: Instant,
    beat: Mutex<Beat>,
    health: Arc<Health>,
}

#[derive(Debug, Default)]
struct Beat {
    first_byte: Option<Instant>,
    step_began: Option<Instant>,
    step_bytes: u64,
    steps: Vec<Duration>,
    complete: bool,
}

impl Pulse {
    pub(super) fn new(health: Arc<Health>) -> Arc<Self> {
        Arc::new(Self {
            asked_at: Instant::now(),
            beat: Mutex::default(),
            health,
        })
    }

    /// When the question will have waited longer than its member is held to; never where all has come.
    pub(super) fn deadline(&self, limits: Limits) -> Option<Instant> {
        let beat = self.beat.lock();
        if beat.complete {
            return None;
        }
        Some(match beat.step_began {
            Some(began) => began + limits.step,
            None => self.asked_at + limits.first_byte,
        })
    }

    /// Since it was asked.
    pub(super) fn waited(&self) -> Duration {
        self.asked_at.elapsed()
    }

    /// The time to the first byte, or to now where no body was seen, and those of the steps.
    pub(super) fn times(&self) -> (Duration, Vec<Duration>) {
        let beat = self.beat.lock();
        let first_byte = beat
            .first_byte
            .map_or_else(|| self.waited(), |at| at - self.asked_at);
        (first_byte, beat.steps.clone())
    }

    fn begins(&self) {
        let now = Instant::now();
        self.health.heard(now);
        let mut beat = self.beat.lock();
        beat.first_byte.get_or_insert(now);
        beat.step_began = Some(now);
        beat.step_bytes = 0;
    }

    fn brings(&self, bytes: usize) {
        let now = Instant::now();
        self.health.heard(now);
        let mut beat = self.beat.lock();
        beat.step_bytes = beat.step_bytes.saturating_add(bytes as u64);
        if beat.step_bytes >= STEP_BYTES {
            beat.end_step(now);
        }
    }

    /// What our own disk takes is not the member's.
    fn pauses(&self, pause: Duration) {
        if let Some(began) = &mut self.beat.lock().step_began {
            *began += pause;
        }
    }

    fn is_complete(&self) {
        let mut beat = self.beat.lock();
        beat.complete = true;
        beat.end_step(Instant::now());
    }
}

impl Beat {
    fn end_step(&mut self, now: Instant) {
        // A large piece is several steps at once.
        let steps = u32::try_from(self.step_bytes.div_ceil(STEP_BYTES)).unwrap_or(u32::MAX);
        if let Some(began) = self.step_began
            && steps > 0
            && self.steps.len() < STEPS
        {
            self.steps.push((now - began) / steps);
        }
        self.step_began = Some(now);
        self.step_bytes = 0;
    }
}

/// Passes a body on and beats.
pub(super) struct BeatingSink<'a> {
    pub(super) sink: &'a mut dyn Sink,
    pub(super) pulse: Arc<Pulse>,
}

#[async_trait]
impl Sink for BeatingSink<'_> {
    async fn begin(&mut self, source: &SourceName, total: Option<u64>) -> Result<(), SinkError> {
        self.pulse.begins();
        self.sink.begin(source, total).await
    }
    async fn write(&mut self, chunk: Bytes) -> Result<(), SinkError> {
        self.pulse.brings(chunk.len());
        let began = Instant::now();
        let written = self.sink.write(chunk).await;
        self.pulse.pauses(began.elapsed());
        written
    }
    async fn finish(&mut self) -> Result<(), SinkError> {
        self.pulse.is_complete();
        self.sink.finish().await
    }
    fn rival(&self) -> Option<Box<dyn Sink>> {
        self.sink.rival()
    }
}

/// Takes what a probe brings, up to a bound, and keeps nothing.
#[derive(Debug, Default)]
pub(super) struct Measured {
    bytes: u64,
}

/// What a probe reads of a file at most.
const MEASURED_BYTES: u64 = 1 << 20;

/// What ends a probe that has read enough.
pub(super) const ENOUGH_READ: &str = "enough was read to measure it";

#[async_trait]
impl Sink for Measured {
    async fn begin(&mut self, _: &SourceName, _: Option<u64>) -> Result<(), SinkError> {
        self.bytes = 0;
        Ok(())
    }
    async fn write(&mut self, chunk: Bytes) -> Result<(), SinkError> {
        self.bytes += chunk.len() as u64;
        if self.bytes > MEASURED_BYTES {
            return Err(SinkError::Superseded(ENOUGH_READ.into()));
        }
        Ok(())
    }
    async fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
