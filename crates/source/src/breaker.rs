//! Remembers that an upstream is down, so that a chain can choose another one.
//!
//! A breaker never refuses a question by itself: [`Breaker::is_resting`] only tells a chain with other
//! sources to ask those first. Whoever asks nevertheless passes [`Breaker::admit`]: while the upstream is
//! down one question at a time goes through as the probe, and the others wait for what it finds.
//!
//! An outage is a question that was not answered: no connection, no TLS, silence. Any answer shows that
//! upstream is there, a 500 too: that is about what was asked, and one broken module must not take the
//! others' upstream away. 502, 503 and 504 lie between: a gateway says them when what is behind it is
//! down, and also when it failed at this one question. They count half, and as a probe's finding they
//! prolong the rest without being anybody else's answer.
//! A 503 that says when to come back is an answer like any other.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::{SourceError, SourceErrorKind};

/// The state of one upstream. Time is tokio's, so that tests can move it.
#[derive(Debug)]
pub struct Breaker {
    halves_to_open: u32,
    rest: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Closed {
        /// An outage is two halves.
        consecutive_halves: u32,
    },
    Open {
        rest_until: Instant,
        probe: Option<watch::Receiver<ProbeResult>>,
    },
}

/// A breaker's state, for those who show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// The upstream is asked.
    Closed,
    /// It is taken to be down, and others are asked first.
    Open,
    /// It is, and the next question tries it, or one does so now.
    HalfOpen,
}

impl BreakerState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// `None` while the probe runs, and when it ends without a finding.
type ProbeResult = Option<Result<(), SourceError>>;

/// The question that tries whether upstream is back.
#[derive(Debug)]
pub struct RunningProbe(watch::Receiver<ProbeResult>);

/// Leave to ask. What came of it is told to [`Admission::finished`]; one that is dropped says nothing.
#[derive(Debug)]
pub struct Admission {
    breaker: Arc<Breaker>,
    probe: Option<watch::Sender<ProbeResult>>,
}

impl Breaker {
    /// A closed breaker that opens after so many outages in a row and rests for `rest`, or up to half as long again.
    pub fn new(outages_to_open: u32, rest: Duration) -> Self {
        Self {
            halves_to_open: outages_to_open.max(1).saturating_mul(2),
            rest,
            state: Mutex::new(State::Closed {
                consecutive_halves: 0,
            }),
        }
    }

    /// True if another source should be asked first: upstream is down, and either it is too early to try
    /// again or somebody is trying right now.
    pub fn is_resting(&self) -> bool {
        match &*self.state.lock() {
            State::Closed { .. } => false,
            State::Open { rest_until, probe } => probe.is_some() || Instant::now() < *rest_until,
        }
    }

    /// True if upstream is taken to be down.
    pub fn is_open(&self) -> bool {
        matches!(&*self.state.lock(), State::Open { .. })
    }

    /// What it is now.
    pub fn state(&self) -> BreakerState {
        match &*self.state.lock() {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { rest_until, probe }
                if probe.is_none() && Instant::now() < *rest_until =>
            {
                BreakerState::Open
            }
            State::Open { .. } => BreakerState::HalfOpen,
        }
    }

    /// Leave to ask: at once while upstream is well; as the probe while it is down and nobody else tries;
    /// else after waiting for the probe, whose failure is the answer then. The wait is as long as the probe's
    /// own time-outs make it, and at most `longest_wait`.
    pub async fn admit(self: &Arc<Self>, longest_wait: Duration) -> Result<Admission, SourceError> {
        let deadline = Instant::now() + longest_wait;
        loop {
            match self.try_admit() {
                Ok(admission) => return Ok(admission),
                Err(probe) => probe.ended(deadline).await?,
            }
        }
    }

    /// Leave to ask, or the probe that is to be waited for.
    pub fn try_admit(self: &Arc<Self>) -> Result<Admission, RunningProbe> {
        let mut state = self.state.lock();
        let probe = match &mut *state {
            State::Closed { .. } => None,
            State::Open { probe, .. } => {
                // A probe that was given up leaves a receiver without a sender.
                if let Some(running) = probe.as_ref().filter(|probe| probe.has_changed().is_ok()) {
                    return Err(RunningProbe(running.clone()));
                }
                let (sender, receiver) = watch::channel(None);
                *probe = Some(receiver);
                Some(sender)
            }
        };
        Ok(Admission {
            breaker: self.clone(),
            probe,
        })
    }

    fn record(&self, verdict: Verdict) {
        let mut state = self.state.lock();
        let halves = match verdict {
            Verdict::Well => {
                *state = State::Closed {
                    consecutive_halves: 0,
                };
                return;
            }
            Verdict::Unknown => {
                if let State::Open { probe, .. } = &mut *state {
                    *probe = None;
                }
                return;
            }
            Verdict::HalfDown => 1,
            Verdict::Down => 2,
        };
        match &mut *state {
            State::Closed { consecutive_halves } => {
                *consecutive_halves = consecutive_halves.saturating_add(halves);
                if *consecutive_halves >= self.halves_to_open {
                    *state = self.open();
                }
            }
            state @ State::Open { .. } => *state = self.open(),
        }
    }

    fn open(&self) -> State {
        State::Open {
            rest_until: Instant::now() + self.rest.mul_f64(1.0 + fastrand::f64() / 2.0),
            probe: None,
        }
    }
}

impl RunningProbe {
    /// Waits for the end of the probe. Its failure to reach upstream is the failure here; after any other
    /// end it is time to try again for leave.
    pub async fn ended(mut self, deadline: Instant) -> Result<(), SourceError> {
        match tokio::time::timeout_at(deadline, self.0.changed()).await {
            Err(_) => Err(SourceError::new(
                SourceErrorKind::Busy,
                "the upstream is down, and the wait for it to come back was too long",
            )),
            // The sender is gone without a word: its question was given up. Somebody else probes.
            Ok(Err(_)) => Ok(()),
            Ok(Ok(())) => self.0.borrow().clone().unwrap_or(Ok(())),
        }
    }
}

impl Admission {
    /// Says that upstream answers, whatever becomes of the question. An answer's head is enough: those who
    /// wait for a probe need not wait for its body.
    pub fn reached(self) {
        self.finished(&Ok::<(), SourceError>(()));
    }

    /// Says what came of the question.
    pub fn finished<T>(mut self, outcome: &Result<T, SourceError>) {
        let verdict = verdict(outcome);
        match self.probe.take() {
            None => {
                // Questions begun before the breaker opened do not lengthen its rest.
                if !(outcome.is_err() && self.breaker.is_open()) {
                    self.breaker.record(verdict);
                }
            }
            Some(waiting) => {
                self.breaker.record(verdict);
                let finding = match (verdict, outcome) {
                    (Verdict::Well, _) => Some(Ok(())),
                    // Others learn what is wrong with upstream, not what was asked of it.
                    (Verdict::Down, Err(error)) => {
                        Some(Err(SourceError::new(error.kind(), error.0.text.clone())))
                    }
                    _ => None,
                };
                waiting.send_replace(finding);
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Verdict {
    Well,
    HalfDown,
    Down,
    Unknown,
}

/// True if a status shows that upstream itself answers. A gateway's 502 to 504 and the HTTP proxy's 407
/// come from before it.
pub(crate) fn is_reached_by(status: u16) -> bool {
    !matches!(status, 407 | 502..=504)
}

fn verdict<T>(outcome: &Result<T, SourceError>) -> Verdict {
    let Err(error) = outcome else {
        return Verdict::Well;
    };
    match (error.kind(), error.0.status) {
        (_, Some(status)) if is_reached_by(status) => Verdict::Well,
        (SourceErrorKind::Unreachable, Some(502..=504)) => Verdict::HalfDown,
        (SourceErrorKind::Unreachable | SourceErrorKind::TimedOut | SourceErrorKind::Tls, _) => {
            Verdict::Down
        }
        (
            SourceErrorKind::Sink | SourceErrorKind::Internal | SourceErrorKind::ForbiddenAddress,
            _,
        ) => Verdict::Unknown,
        // Whatever it answers, it answers.
        _ => Verdict::Well,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(10);
    const LONG: Duration = Duration::from_secs(120);

    fn outcome(kind: SourceErrorKind) -> Result<(), SourceError> {
        Err(SourceError::new(kind, "it failed"))
    }

    async fn ask(breaker: &Arc<Breaker>, outcome: Result<(), SourceError>) {
        breaker.admit(LONG).await.unwrap().finished(&outcome);
    }

    async fn opened() -> Arc<Breaker> {
        let breaker = Arc::new(Breaker::new(3, REST));
        for _ in 0..3 {
            assert!(!breaker.is_open());
            ask(&breaker, outcome(SourceErrorKind::Unreachable)).await;
        }
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_outages_in_a_row_and_not_after_answers() {
        let breaker = Arc::new(Breaker::new(2, REST));
        ask(&breaker, outcome(SourceErrorKind::TimedOut)).await;
        ask(&breaker, outcome(SourceErrorKind::NotExist)).await;
        ask(&breaker, outcome(SourceErrorKind::Tls)).await;
        ask(&breaker, outcome(SourceErrorKind::Sink)).await;
        assert!(!breaker.is_open());
        ask(&breaker, outcome(SourceErrorKind::Unreachable)).await;
        assert!(breaker.is_open() && breaker.is_resting());
    }

    fn answered(status: u16) -> Result<(), SourceError> {
        let mut error = SourceError::new(SourceErrorKind::Unreachable, "it answered");
        error.0.status = Some(status);
        Err(error)
    }

    #[tokio::test(start_paused = true)]
    async fn a_500_is_no_outage_and_what_a_gateway_says_is_half_of_one() {
        for (status, opens_after) in [(500, None), (501, None), (502, Some(6)), (504, Some(6))] {
            let breaker = Arc::new(Breaker::new(3, REST));
            let mut asked = 0;
            while asked < 20 && !breaker.is_open() {
                ask(&breaker, answered(status)).await;
                asked += 1;
            }
            assert_eq!(breaker.is_open().then_some(asked), opens_after, "{status}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_probes_answer_is_not_the_answer_of_those_who_wait() {
        for (status, is_open) in [(500, false), (502, true)] {
            let breaker = opened().await;
            let probe = breaker.admit(LONG).await.unwrap();
            let waiting = breaker.try_admit().unwrap_err();
            probe.finished(&answered(status));
            waiting.ended(Instant::now() + LONG).await.unwrap();
            assert_eq!(breaker.is_open(), is_open, "{status}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_its_rest_one_question_tries_and_the_answer_closes_it() {
        let breaker = opened().await;
        tokio::time::advance(REST - Duration::from_millis(1)).await;
        assert!(breaker.is_resting());
        assert_eq!(breaker.state(), BreakerState::Open);
        tokio::time::advance(REST).await;
        assert!(!breaker.is_resting());
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        let probe = breaker.admit(LONG).await.unwrap();
        assert!(
            breaker.is_resting(),
            "others go elsewhere while it is tried"
        );
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        probe.finished(&Ok(()));
        assert!(!breaker.is_open());
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_fails_begins_the_rest_anew() {
        let breaker = opened().await;
        tokio::time::advance(REST * 2).await;
        ask(&breaker, outcome(SourceErrorKind::TimedOut)).await;
        assert!(breaker.is_resting());
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_have_no_other_source_wait_for_the_probe_and_share_what_it_finds() {
        let breaker = opened().await;
        let probe = breaker.admit(LONG).await.unwrap();
        let waiting = tokio::spawn({
            let breaker = breaker.clone();
            async move { breaker.admit(LONG).await.map(drop) }
        });
        tokio::task::yield_now().await;
        let mut found = SourceError::new(SourceErrorKind::Unreachable, "no connection");
        found.0.url = Some("https://mirror.example/what/others/asked".to_owned());
        probe.finished::<()>(&Err(found));
        let failure = waiting.await.unwrap().unwrap_err();
        assert_eq!(failure.kind(), SourceErrorKind::Unreachable);
        assert_eq!(failure.to_string(), "no connection");
        assert_eq!(
            failure.0.url, None,
            "what the probe asked for is its own business"
        );

        let probe = breaker.admit(LONG).await.unwrap();
        let waiting = tokio::spawn({
            let breaker = breaker.clone();
            async move { breaker.admit(LONG).await.map(drop) }
        });
        tokio::task::yield_now().await;
        probe.finished(&Ok(()));
        waiting.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_given_up_lets_the_next_one_try() {
        let breaker = opened().await;
        let probe = breaker.admit(LONG).await.unwrap();
        let waiting = tokio::spawn({
            let breaker = breaker.clone();
            async move { breaker.admit(LONG).await.map(drop) }
        });
        tokio::task::yield_now().await;
        drop(probe);
        waiting.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_for_a_probe_is_bounded() {
        let breaker = opened().await;
        let _probe = breaker.admit(LONG).await.unwrap();
        let failure = breaker.admit(LONG).await.unwrap_err();
        assert_eq!(failure.kind(), SourceErrorKind::Busy);
    }
}
