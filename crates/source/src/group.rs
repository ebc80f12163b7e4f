//! Several upstreams that are taken to hold the same, asked as one source.
//!
//! Made by [`build`](crate::build()) for each `[[upstream]]` table with `mode = "hedge"` or `"race"`, and asked
//! by a [`Chain`](crate::Chain) like any other entry. (`mode = "order"` needs no group: its entries are the
//! chain's own.) It knows no file and no hash; whether a file is good is for the sink to say, and each member
//! writes into a sink of its own ([`Sink::rival`]), so that no body is ever made of two.
//!
//! # Who is asked
//! The members in the order of the settings, those who are [well](health) before the ill and the mistrusted. The
//! order of the settings, and not that of latency: it is what the operator can predict, caches behind the first
//! member stay warm, and comparing latencies costs requests that only compare. An upstream that becomes slower
//! than it was is caught by its own limits; one that always was slower is for the operator to place.
//!
//! - **hedge**: the first. Another beside it as soon as it is *overdue*: no first byte, or no further 64 KiB of a
//!   body, within the 95th percentile of its own recent times.
//! - **race**: all who are well at once. Costs as many requests as there are members: for the small and rare.
//!
//! In both modes a member that fails, and one that says 404 or 410, leads to the next, so that absence is only
//! said where every member says so, and a failure of one is not absence. The first answer that is complete and
//! verified wins; the others are dropped, which cancels their requests.
//!
//! # What it costs upstream
//! | request | bound |
//! |---|---|
//! | hedge, probe | the [budget]: one for ten questions, and at most 16 that earlier questions saved. When it is spent, Larder waits |
//! | failover: the next after a failure or after absence | each member once a question |
//! | failover: instead of a silent member | each member once a question, and the silent one's request is given up: never two at a time |
//!
//! The last one needs care, for a stop-everything outage looks the same to each question that waits. A member is
//! *silent* if at least three questions to it are overdue, or it is ill already, and it has not brought one byte, to
//! anybody, for as long as its limit. Only where in the same time another, well member has brought something is a question moved over:
//! the one says nothing while the other talks. If all are silent, nothing is moved and nothing is
//! multiplied: the questions wait for the stall time-out, and the breakers see to it that one at a time tries
//! again. Since a silent member is ill from then on, no new question goes to it, and what was in flight is all that is ever moved.
//!
//! Where all members are down, a question is put to all of them at once: each breaker lets one question through and
//! tells the others what became of it, so that this costs no request more, and a question waits for one stall
//! time-out instead of one for each member.
//!
//! An ill member is probed: a question that is asked elsewhere is put to it as well, out of the budget, the
//! answer is measured and thrown away. So it never stands between a client and a healthy member.

mod budget;
mod health;
mod pulse;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use gomod::{FileKind, ModulePath, ModuleVersion, Revision};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::breaker::Breaker;
use crate::chain::rank;
use crate::observer::{GroupEvent, UpstreamObserver};
use crate::upstream_list::{EntryReport, UpstreamReport};
use crate::{
    Fetched, Listing, Resolved, Sink, SinkError, Source, SourceError, SourceErrorKind, SourceName,
};
use budget::Budget;
use health::{Asked, Health};
use pulse::{BeatingSink, ENOUGH_READ, Measured, Pulse};

pub use health::{Condition, HealthReport};

/// How the members of a [`Group`] are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupMode {
    /// The best one; another beside it when it is slower than usual.
    Hedge,
    /// All who are well at once.
    Race,
}

impl GroupMode {
    /// Its name in settings and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hedge => "hedge",
            Self::Race => "race",
        }
    }
}

/// Who may be asked, as one of a [`Group`].
pub struct GroupMember {
    /// The upstream, or a folder.
    pub source: Arc<dyn Source>,
    /// What is remembered of its outages, where it can have some.
    pub breaker: Option<Arc<Breaker>>,
}

/// Several upstreams that are taken to hold the same.
pub struct Group {
    mode: GroupMode,
    members: Vec<Member>,
    budget: Budget,
    observer: Arc<dyn UpstreamObserver>,
}

struct Member {
    name: SourceName,
    source: Arc<dyn Source>,
    breaker: Option<Arc<Breaker>>,
    health: Arc<Health>,
}

impl Member {
    /// True if it is taken to be down: then one question at a time goes to it, and the others wait for what that finds.
    fn is_down(&self) -> bool {
        self.breaker
            .as_ref()
            .is_some_and(|breaker| breaker.is_open())
    }

    /// The smaller, the sooner it is asked.
    fn standing(&self, now: Instant) -> Condition {
        let rests = self.is_down();
        // The breaker counts what every question to the upstream finds, health only ours.
        match self.health.condition(now) {
            Condition::Well if rests => Condition::Ill,
            condition => condition,
        }
    }
}

/// Why a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// It is the question's own.
    First,
    /// Another one is overdue.
    Hedge,
    /// Another one failed, or said 404.
    Failover,
}

type Asking<'a, T> = Pin<Box<dyn Future<Output = Result<T, SourceError>> + Send + 'a>>;

/// Puts a question to a member; `None` where no further body can be taken beside those under way.
type Put<'a, T> = dyn FnMut(&'a Member, Arc<Pulse>) -> Option<Asking<'a, T>> + Send + 'a;

/// One request under way.
struct Running<'a, T> {
    member: &'a Member,
    asking: Asking<'a, T>,
    pulse: Arc<Pulse>,
    reason: Reason,
    overdue: Option<Overdue>,
    /// Looked at again then, after it was overdue and nothing could be done about it.
    not_before: Option<Instant>,
}

/// Counts a question as overdue for as long as it waits.
struct Overdue(Arc<Health>);

impl Drop for Overdue {
    fn drop(&mut self) {
        self.0.no_longer_overdue();
    }
}

/// What a probe asks.
#[derive(Clone)]
enum Question {
    List(ModulePath),
    Latest(ModulePath),
    Resolve(ModulePath, Revision),
    File(ModuleVersion, FileKind),
}

impl Question {
    fn asked(&self) -> Asked {
        match self {
            Self::File(..) => Asked::File,
            Self::List(_) | Self::Latest(_) | Self::Resolve(..) => Asked::Answer,
        }
    }
}

impl Group {
    /// A group of these members in this order; the observer is told of what it does.
    pub fn new(
        mode: GroupMode,
        members: Vec<GroupMember>,
        observer: Arc<dyn UpstreamObserver>,
    ) -> Self {
        let members = members
            .into_iter()
            .map(|member| Member {
                name: member.source.name(),
                source: member.source,
                breaker: member.breaker,
                health: Arc::new(Health::new()),
            })
            .collect();
        Self {
            mode,
            members,
            budget: Budget::new(),
            observer,
        }
    }

    /// How it and its members are.
    pub fn report(&self) -> EntryReport {
        let now = Instant::now();
        let of_member = |member: &Member| {
            let mut health = member.health.report(now);
            health.condition = member.standing(now);
            UpstreamReport {
                name: member.name.clone(),
                breaker: member.breaker.as_ref().map(|breaker| breaker.state()),
                vitals: Some(health.vitals),
                health: Some(health),
            }
        };
        EntryReport::Group {
            mode: self.mode,
            extra_requests_left: self.budget.left(),
            members: self.members.iter().map(of_member).collect(),
        }
    }

    /// The members as they are to be asked now.
    fn order(&self, now: Instant) -> Vec<&Member> {
        let mut order: Vec<&Member> = self.members.iter().collect();
        // Stable: of equals the one that the settings name first.
        order.sort_by_key(|member| member.standing(now));
        order
    }

    async fn ask<'a, T>(
        &'a self,
        question: &Question,
        put: &mut Put<'a, T>,
    ) -> Result<T, SourceError> {
        self.budget.earn();
        let now = Instant::now();
        let order = self.order(now);
        let well = order
            .iter()
            .filter(|member| member.standing(now) == Condition::Well)
            .count();
        if well > 0 {
            self.probe_the_ill(question, now);
        }
        let at_once = match self.mode {
            _ if order.iter().all(|member| member.is_down()) => order.len(),
            GroupMode::Hedge => 1,
            GroupMode::Race => well.max(1),
        };
        let mut walk = Walk {
            group: self,
            asked: question.asked(),
            waiting: order.into_iter().collect(),
            running: Vec::new(),
            failure: None,
            stopped: false,
        };
        for _ in 0..at_once {
            walk.start(Reason::First, put);
        }
        walk.finish(put).await
    }

    /// Puts the question to those who have rested, beside the healthy ones.
    fn probe_the_ill(&self, question: &Question, now: Instant) {
        for member in &self.members {
            if member.standing(now) == Condition::Ill {
                member.health.is_down(now);
            }
            if !member.health.wants_probe(now) {
                continue;
            }
            if !self.budget.spend() {
                member.health.not_probed();
                continue;
            }
            self.observer.group_event(&member.name, GroupEvent::Probe);
            let (source, health) = (member.source.clone(), member.health.clone());
            tokio::spawn(probe(source, health, question.clone()));
        }
    }
}

/// Asks an ill member, measures the answer and throws it away.
async fn probe(source: Arc<dyn Source>, health: Arc<Health>, question: Question) {
    // A probe that is dropped with its runtime leaves nothing behind that matters.
    let asked = question.asked();
    let pulse = Pulse::new(health.clone());
    let outcome = match question {
        Question::List(module_path) => source.list(&module_path).await.map(drop),
        Question::Latest(module_path) => source.latest(&module_path).await.map(drop),
        Question::Resolve(module_path, revision) => {
            source.resolve(&module_path, &revision).await.map(drop)
        }
        Question::File(module, kind) => {
            let mut sink = BeatingSink {
                sink: &mut Measured::default(),
                pulse: pulse.clone(),
            };
            source.fetch(&module, kind, &mut sink).await.map(drop)
        }
    };
    let is_answer = match &outcome {
        Ok(()) => true,
        Err(error) => error.is_absence() || error.to_string() == ENOUGH_READ,
    };
    let (first_byte, steps) = pulse.times();
    let found = is_answer.then_some((asked, first_byte, steps.as_slice()));
    health.probed(Instant::now(), found);
}

/// One question's way through a group.
struct Walk<'a, T> {
    group: &'a Group,
    asked: Asked,
    /// Not asked yet, the best first.
    waiting: std::collections::VecDeque<&'a Member>,
    running: Vec<Running<'a, T>>,
    failure: Option<SourceError>,
    /// The sink can't go on: nobody else is asked.
    stopped: bool,
}

impl<'a, T> Walk<'a, T> {
    async fn finish(mut self, put: &mut Put<'a, T>) -> Result<T, SourceError> {
        while !self.running.is_empty() {
            let deadline = self.deadline();
            let ended = tokio::select! {
                // An answer that is there is better than help.
                biased;
                ended = ended(&mut self.running) => Some(ended),
                () = until(deadline) => None,
            };
            match ended {
                Some((index, Ok(answer))) => {
                    self.won(index);
                    return Ok(answer);
                }
                Some((index, Err(error))) => self.failed(index, error, put),
                None => self.help_the_overdue(put),
            }
        }
        Err(self.failure.unwrap_or_else(|| {
            SourceError::new(
                SourceErrorKind::Internal,
                "a group without members was asked",
            )
        }))
    }

    /// Asks the next one. False where nobody is left, or no further body can be taken.
    fn start(&mut self, reason: Reason, put: &mut Put<'a, T>) -> bool {
        if self.stopped {
            return false;
        }
        let Some(member) = self.waiting.front().copied() else {
            return false;
        };
        let pulse = Pulse::new(member.health.clone());
        let Some(asking) = put(member, pulse.clone()) else {
            return false;
        };
        self.waiting.pop_front();
        let event = match reason {
            Reason::First => None,
            Reason::Hedge => Some(GroupEvent::HedgeStarted),
            Reason::Failover => Some(GroupEvent::Failover),
        };
        if let Some(event) = event {
            self.group.observer.group_event(&member.name, event);
        }
        self.running.push(Running {
            member,
            asking,
            pulse,
            reason,
            overdue: None,
            not_before: None,
        });
        true
    }

    /// When somebody becomes overdue whom another could help.
    fn deadline(&self) -> Option<Instant> {
        if self.stopped || self.waiting.is_empty() {
            return None;
        }
        self.running
            .iter()
            .filter_map(|running| running.due(self.asked))
            .min()
    }

    fn won(&mut self, index: usize) {
        let winner = self.running.swap_remove(index);
        let (first_byte, steps) = winner.pulse.times();
        let now = Instant::now();
        winner.member.health.heard(now);
        winner
            .member
            .health
            .answered(self.asked, first_byte, &steps);
        if winner.reason == Reason::Hedge {
            self.observe(winner.member, GroupEvent::HedgeWon);
        }
        for loser in self.running.drain(..) {
            if loser.reason == Reason::Hedge {
                self.group
                    .observer
                    .group_event(&loser.member.name, GroupEvent::HedgeCancelled);
            }
            // Overtaken by one that was asked because this one was late.
            if loser.overdue.is_some() && winner.reason == Reason::Hedge {
                loser.member.health.failed(now, loser.pulse.waited());
            }
        }
    }

    fn failed(&mut self, index: usize, mut error: SourceError, put: &mut Put<'a, T>) {
        let ended = self.running.swap_remove(index);
        let health = &ended.member.health;
        let now = Instant::now();
        let kind = error.kind();
        if error.is_absence() {
            let (first_byte, steps) = ended.pulse.times();
            health.heard(now);
            health.answered(self.asked, first_byte, &steps);
        } else if kind == SourceErrorKind::Rejected {
            health.refused(now);
            self.observe(ended.member, GroupEvent::FileRefused);
        } else if kind.is_upstreams_own() {
            health.failed(now, ended.pulse.waited());
        }
        let superseded = matches!(error.0.sink, Some(SinkError::Superseded(_)));
        if kind == SourceErrorKind::Sink && !superseded {
            // Those under way may still be taken; nobody new is.
            self.stopped = true;
        }
        if error.0.source.is_none() {
            error.0.source = Some(ended.member.name.clone());
        }
        let (member, absent) = (ended.member, error.is_absence());
        drop(ended);
        self.remember(error, superseded);
        // A race has asked everybody who is well; a hedge that runs is the next one already.
        if self.running.is_empty() || !(absent || superseded) {
            let left = self.start(Reason::Failover, put);
            tracing::debug!(upstream = %member.name, ?kind, another = left, "a member of a group did not answer");
        }
    }

    /// Keeps the failure that is told if nobody answers: of a superseded body only where there is no other.
    fn remember(&mut self, error: SourceError, superseded: bool) {
        let replaces = match &self.failure {
            None => true,
            Some(_) if superseded => false,
            Some(best) => {
                matches!(best.0.sink, Some(SinkError::Superseded(_))) || rank(&error) >= rank(best)
            }
        };
        if replaces {
            self.failure = Some(error);
        }
    }

    /// Asks another one beside, or instead of, whoever is overdue.
    fn help_the_overdue(&mut self, put: &mut Put<'a, T>) {
        let now = Instant::now();
        let asked = self.asked;
        let Some(index) = self
            .running
            .iter()
            .position(|running| running.due(asked).is_some_and(|due| due <= now))
        else {
            return;
        };
        let Some(running) = self.running.get_mut(index) else {
            return;
        };
        let member = running.member;
        let limits = member.health.limits(asked);
        if running.overdue.is_none() {
            member.health.overdue();
            running.overdue = Some(Overdue(member.health.clone()));
        }
        // Looked at again after as long; until then there is no more to be known.
        running.not_before = Some(now + limits.first_byte.max(limits.step));
        let well = self
            .waiting
            .front()
            .copied()
            .filter(|next| next.standing(now) == Condition::Well);
        let Some(next) = well else { return };
        if self.group.budget.spend() {
            self.start(Reason::Hedge, put);
            return;
        }
        let silent = member.health.is_silent(now, limits.first_byte);
        let other_talks = next.health.heard_at() > member.health.heard_at();
        if silent && other_talks && self.start(Reason::Failover, put) {
            let given_up = self.running.swap_remove(index);
            member.health.failed(now, given_up.pulse.waited());
        }
    }

    fn observe(&self, member: &Member, event: GroupEvent) {
        self.group.observer.group_event(&member.name, event);
    }
}

impl<T> Running<'_, T> {
    /// When it is to be helped; a request that was helped is not helped again before long.
    fn due(&self, asked: Asked) -> Option<Instant> {
        let deadline = self.pulse.deadline(self.member.health.limits(asked))?;
        Some(match self.not_before {
            Some(not_before) => deadline.max(not_before),
            None => deadline,
        })
    }
}

/// The first that ends.
async fn ended<T>(running: &mut [Running<'_, T>]) -> (usize, Result<T, SourceError>) {
    std::future::poll_fn(|context| {
        for (index, running) in running.iter_mut().enumerate() {
            if let Poll::Ready(outcome) = running.asking.as_mut().poll(context) {
                return Poll::Ready((index, outcome));
            }
        }
        Poll::Pending
    })
    .await
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[async_trait]
impl Source for Group {
    async fn list(&self, module_path: &ModulePath) -> Result<Listing, SourceError> {
        let path = module_path.clone();
        self.ask(
            &Question::List(module_path.clone()),
            &mut move |member, _| {
                let path = path.clone();
                Some(Box::pin(async move { member.source.list(&path).await }))
            },
        )
        .await
    }

    async fn latest(&self, module_path: &ModulePath) -> Result<Resolved, SourceError> {
        let path = module_path.clone();
        self.ask(
            &Question::Latest(module_path.clone()),
            &mut move |member, _| {
                let path = path.clone();
                Some(Box::pin(async move { member.source.latest(&path).await }))
            },
        )
        .await
    }

    async fn resolve(
        &self,
        module_path: &ModulePath,
        revision: &Revision,
    ) -> Result<Resolved, SourceError> {
        let (path, name) = (module_path.clone(), revision.clone());
        self.ask(
            &Question::Resolve(module_path.clone(), revision.clone()),
            &mut move |member, _| {
                let (path, name) = (path.clone(), name.clone());
                Some(Box::pin(async move {
                    member.source.resolve(&path, &name).await
                }))
            },
        )
        .await
    }

    async fn fetch(
        &self,
        module: &ModuleVersion,
        kind: FileKind,
        sink: &mut dyn Sink,
    ) -> Result<Fetched, SourceError> {
        // Never written to: it makes the sinks of those who are asked beside the first.
        let spare = sink.rival();
        let own = Arc::new(Mutex::new(Some(sink)));
        let question = Question::File(module.clone(), kind);
        let module = module.clone();
        self.ask(&question, &mut move |member, pulse| {
            let module = module.clone();
            let lent = own.lock().take();
            if let Some(sink) = lent {
                let own = own.clone();
                return Some(Box::pin(async move {
                    let mut beating = BeatingSink {
                        sink: &mut *sink,
                        pulse,
                    };
                    let outcome = member.source.fetch(&module, kind, &mut beating).await;
                    // Free for whoever is asked next.
                    *own.lock() = Some(sink);
                    outcome
                }) as Asking<'_, Fetched>);
            }
            let mut rival = spare.as_ref()?.rival()?;
            Some(Box::pin(async move {
                let mut beating = BeatingSink {
                    sink: &mut *rival,
                    pulse,
                };
                member.source.fetch(&module, kind, &mut beating).await
            }))
        })
        .await
    }

    /// The name of the first member: answers carry the name of the one that gave them.
    fn name(&self) -> SourceName {
        match self.members.first() {
            Some(member) => member.name.clone(),
            None => "an empty group".into(),
        }
    }
}

#[cfg(test)]
mod tests;
