use super::*;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;

use crate::conformance::{module, module_path};
use SourceErrorKind as Kind;

/// How long a good member takes.
const USUAL: Duration = Duration::from_millis(30);

/// What a member does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Answers,
    TakesLong,
    Stalls,
    Fails(Kind),
    Lies,
}

/// A member on tokio's clock.
struct Double {
    name: SourceName,
    does: Mutex<Does>,
    asked: AtomicUsize,
    under_way: Arc<AtomicUsize>,
    breaker: Option<Arc<Breaker>>,
}

impl Double {
    /// Lets in as an upstream does.
    async fn outcome(&self) -> Result<(), SourceError> {
        let Some(breaker) = &self.breaker else {
            return self.answer().await;
        };
        let admission = breaker.admit(Duration::from_secs(120)).await?;
        let outcome = self.answer().await;
        admission.finished(&outcome);
        outcome
    }
    async fn answer(&self) -> Result<(), SourceError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let _here = Here::count(&self.under_way);
        let does = *self.does.lock();
        match does {
            Does::Answers | Does::Lies => tokio::time::sleep(USUAL).await,
            Does::TakesLong => tokio::time::sleep(USUAL * 100).await,
            // As long as an upstream's own stall time-out.
            Does::Stalls => {
                tokio::time::sleep(Duration::from_secs(30)).await;
                return Err(SourceError::new(Kind::TimedOut, "it stalled"));
            }
            Does::Fails(kind) => {
                tokio::time::sleep(USUAL).await;
                return Err(SourceError::new(kind, format!("{} failed", self.name)));
            }
        }
        Ok(())
    }
    fn does(&self, does: Does) {
        *self.does.lock() = does;
    }
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

struct Here(Arc<AtomicUsize>);

impl Here {
    fn count(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Source for Double {
    async fn list(&self, _: &ModulePath) -> Result<Listing, SourceError> {
        self.outcome().await?;
        Ok(Listing {
            versions: Vec::new(),
            source: self.name.clone(),
        })
    }
    async fn latest(&self, _: &ModulePath) -> Result<Resolved, SourceError> {
        self.outcome().await?;
        Err(SourceError::new(Kind::NotExist, "no latest"))
    }
    async fn resolve(&self, _: &ModulePath, _: &Revision) -> Result<Resolved, SourceError> {
        self.outcome().await?;
        Err(SourceError::new(Kind::NotExist, "no such revision"))
    }
    async fn fetch(
        &self,
        _: &ModuleVersion,
        _: FileKind,
        sink: &mut dyn Sink,
    ) -> Result<Fetched, SourceError> {
        self.outcome().await?;
        let body: &[u8] = match *self.does.lock() {
            Does::Lies => b"lies",
            _ => b"good",
        };
        crate::upstream::pour(&self.name, Bytes::from_static(body), sink)
            .await
            .map_err(crate::upstream::refused_by_sink)?;
        Ok(Fetched {
            source: self.name.clone(),
            attempts: 1,
        })
    }
    fn name(&self) -> SourceName {
        self.name.clone()
    }
}

/// Refuses lies, and has rivals.
#[derive(Default)]
struct Judge(Vec<u8>);

#[async_trait]
impl Sink for Judge {
    async fn begin(&mut self, _: &SourceName, _: Option<u64>) -> Result<(), SinkError> {
        self.0.clear();
        Ok(())
    }
    async fn write(&mut self, chunk: Bytes) -> Result<(), SinkError> {
        self.0.extend_from_slice(&chunk);
        Ok(())
    }
    async fn finish(&mut self) -> Result<(), SinkError> {
        match self.0.as_slice() {
            b"good" => Ok(()),
            _ => Err(SinkError::Rejected("another hash".into())),
        }
    }
    fn rival(&self) -> Option<Box<dyn Sink>> {
        Some(Box::new(Self::default()))
    }
}

#[derive(Default)]
struct Noted(Mutex<Vec<(SourceName, GroupEvent)>>);

impl UpstreamObserver for Noted {
    fn finished(&self, _: &SourceName, _: Result<(), Kind>, _: u64, _: Duration) {}
    fn group_event(&self, upstream: &SourceName, event: GroupEvent) {
        self.0.lock().push((upstream.clone(), event));
    }
}

struct Fixture {
    group: Arc<Group>,
    members: Vec<Arc<Double>>,
    noted: Arc<Noted>,
    under_way: Arc<AtomicUsize>,
}

fn group(mode: GroupMode, count: usize) -> Fixture {
    group_with(mode, count, || None)
}

fn group_with(
    mode: GroupMode,
    count: usize,
    breaker: impl Fn() -> Option<Arc<Breaker>>,
) -> Fixture {
    let under_way = Arc::new(AtomicUsize::new(0));
    let members: Vec<_> = (1..=count)
        .map(|number| {
            Arc::new(Double {
                name: number.to_string().into(),
                does: Mutex::new(Does::Answers),
                asked: AtomicUsize::new(0),
                under_way: under_way.clone(),
                breaker: breaker(),
            })
        })
        .collect();
    let noted = Arc::new(Noted::default());
    let of_group = members
        .iter()
        .map(|member| GroupMember {
            source: member.clone(),
            breaker: member.breaker.clone(),
        })
        .collect();
    Fixture {
        group: Arc::new(Group::new(mode, of_group, noted.clone())),
        members,
        noted,
        under_way,
    }
}

impl Fixture {
    async fn fetch(&self) -> Result<String, Kind> {
        let mut sink = Judge::default();
        let module = module("example.com/m", "v1.0.0");
        let fetched = self.group.fetch(&module, FileKind::Zip, &mut sink).await;
        fetched
            .map(|fetched| fetched.source.to_string())
            .map_err(|error| error.kind())
    }
    async fn list(&self) -> Result<String, Kind> {
        let listing = self.group.list(&module_path("example.com/m")).await;
        listing
            .map(|listing| listing.source.to_string())
            .map_err(|error| error.kind())
    }
    /// So many files, one after the other.
    async fn fetch_often(&self, count: usize) -> Vec<String> {
        let mut winners = Vec::new();
        for _ in 0..count {
            winners.push(self.fetch().await.unwrap());
        }
        winners
    }
    /// So many at once.
    async fn fetch_at_once(self: &Arc<Self>, count: usize) -> Vec<Result<String, Kind>> {
        let fetches: Vec<_> = (0..count)
            .map(|_| {
                let fixture = self.clone();
                tokio::spawn(async move { fixture.fetch().await })
            })
            .collect();
        let mut outcomes = Vec::new();
        for fetch in fetches {
            outcomes.push(fetch.await.unwrap());
        }
        outcomes
    }
    fn asked(&self) -> Vec<usize> {
        self.members.iter().map(|member| member.asked()).collect()
    }
    fn events(&self, event: GroupEvent) -> usize {
        let noted = self.noted.0.lock();
        noted.iter().filter(|(_, noted)| *noted == event).count()
    }
}

#[tokio::test(start_paused = true)]
async fn while_all_is_well_only_the_first_is_asked() {
    let fixture = group(GroupMode::Hedge, 3);
    fixture.fetch_often(100).await;
    assert_eq!(fixture.asked(), [100, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_file_comes_from_the_second_when_the_first_is_slower_than_usual() {
    let fixture = group(GroupMode::Hedge, 2);
    fixture.fetch_often(20).await;
    fixture.members[0].does(Does::TakesLong);
    let began = Instant::now();
    assert_eq!(fixture.fetch().await.unwrap(), "2");
    // Its own usual time was waited for, and then the second's.
    assert!(began.elapsed() < USUAL * 3, "{:?}", began.elapsed());
    assert_eq!(fixture.events(GroupEvent::HedgeWon), 1);
    assert_eq!(
        fixture.under_way.load(Ordering::SeqCst),
        0,
        "the loser is cancelled"
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_is_404_only_when_every_member_says_so() {
    let fixture = group(GroupMode::Hedge, 2);
    let [first, second] = &fixture.members[..] else {
        unreachable!()
    };
    first.does(Does::Fails(Kind::NotExist));
    assert_eq!(fixture.list().await, Ok("2".into()));
    second.does(Does::Fails(Kind::Unreachable));
    assert_eq!(fixture.list().await, Err(Kind::Unreachable));
    second.does(Does::Fails(Kind::Gone));
    assert_eq!(fixture.list().await, Err(Kind::Gone));
    first.does(Does::Fails(Kind::Unreachable));
    assert_eq!(fixture.list().await, Err(Kind::Unreachable));
}

#[tokio::test(start_paused = true)]
async fn who_lies_once_is_asked_last() {
    let fixture = group(GroupMode::Hedge, 2);
    fixture.members[0].does(Does::Lies);
    assert_eq!(fixture.fetch().await.unwrap(), "2");
    assert_eq!(fixture.events(GroupEvent::FileRefused), 1);
    fixture.fetch_often(50).await;
    assert_eq!(fixture.asked(), [1, 51]);
    let report = fixture.group.report();
    let health = report.members()[0].health.unwrap();
    assert_eq!(
        (health.condition, health.refused_files),
        (Condition::Mistrusted, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn where_all_lie_the_refusal_is_told() {
    let fixture = group(GroupMode::Race, 2);
    fixture.members.iter().for_each(|it| it.does(Does::Lies));
    assert_eq!(fixture.fetch().await, Err(Kind::Rejected));
}

#[tokio::test(start_paused = true)]
async fn a_race_asks_all_at_once_and_drops_the_slower_ones() {
    let fixture = group(GroupMode::Race, 3);
    fixture.members[0].does(Does::TakesLong);
    fixture.members[1].does(Does::Fails(Kind::NotExist));
    let began = Instant::now();
    assert_eq!(fixture.fetch().await.unwrap(), "3");
    assert_eq!(began.elapsed(), USUAL);
    assert_eq!(fixture.asked(), [1, 1, 1]);
    assert_eq!(fixture.under_way.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_fails_is_left_alone_after_three_times_and_probed_until_it_is_back() {
    let fixture = group(GroupMode::Hedge, 2);
    fixture.fetch_often(20).await;
    let first = &fixture.members[0];
    first.does(Does::Fails(Kind::Unreachable));
    let before = first.asked();
    let winners = fixture.fetch_often(100).await;
    assert!(winners.iter().all(|winner| winner == "2"));
    assert_eq!(first.asked() - before, 3);

    first.does(Does::Answers);
    tokio::time::advance(Duration::from_secs(10)).await;
    let winners = fixture.fetch_often(10).await;
    assert_eq!(winners[0], "2", "a probe is nobody's only way");
    assert_eq!(winners[9], "1", "{winners:?}");
    assert!(fixture.events(GroupEvent::Probe) <= 3);
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_for_a_member_that_falls_silent_are_helped() {
    let fixture = Arc::new(group(GroupMode::Hedge, 2));
    fixture.fetch_often(500).await;
    fixture.members[0].does(Does::Stalls);
    let began = Instant::now();
    let outcomes = fixture.fetch_at_once(16).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Ok("2".into())));
    assert!(began.elapsed() < Duration::from_millis(200));
    assert_eq!(fixture.asked()[1], 16);
}

#[tokio::test(start_paused = true)]
async fn who_is_silent_while_another_talks_is_given_up_when_the_budget_is_spent() {
    let fixture = Arc::new(group(GroupMode::Hedge, 2));
    // Barely a budget: one extra request at the beginning, and two of these.
    fixture.fetch_often(20).await;
    fixture.members[0].does(Does::Stalls);
    let began = Instant::now();
    let outcomes = fixture.fetch_at_once(16).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Ok("2".into())));
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(fixture.asked()[1], 16, "once each");
    assert!(fixture.events(GroupEvent::HedgeStarted) <= 4);
    assert!(fixture.events(GroupEvent::Failover) >= 12);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_all_members_brings_at_most_one_extra_request_in_ten() {
    let fixture = Arc::new(group(GroupMode::Hedge, 2));
    fixture.fetch_often(40).await;
    fixture
        .members
        .iter()
        .for_each(|member| member.does(Does::Stalls));
    let before: usize = fixture.asked().iter().sum();
    let questions = 200;
    let under_way: Vec<_> = (0..questions)
        .map(|_| {
            let fixture = fixture.clone();
            tokio::spawn(async move { fixture.fetch().await })
        })
        .collect();
    // Just before the members' own time-outs end the requests.
    tokio::time::sleep(Duration::from_secs(29)).await;
    let asked = fixture.asked().iter().sum::<usize>() - before;
    let saved = 1 + 40 / 10;
    assert!(
        asked <= questions + questions / 10 + saved,
        "{asked} requests for {questions} questions"
    );
    for question in under_way {
        assert_eq!(question.await.unwrap(), Err(Kind::TimedOut));
    }
}

#[tokio::test(start_paused = true)]
async fn where_all_are_known_to_be_down_a_question_waits_for_one_time_out_and_costs_no_request_more()
 {
    let rest = Duration::from_secs(10);
    let breaker = || Some(Arc::new(Breaker::new(5, rest)));
    let fixture = Arc::new(group_with(GroupMode::Hedge, 3, breaker));
    fixture
        .members
        .iter()
        .for_each(|member| member.does(Does::Stalls));
    fixture.fetch_at_once(10).await;
    let breakers = || fixture.members.iter().map(|member| &member.breaker);
    assert!(breakers().flatten().all(|breaker| breaker.is_open()));

    let before = fixture.asked();
    let began = Instant::now();
    let outcomes = fixture.fetch_at_once(20).await;
    assert!(
        outcomes
            .iter()
            .all(|outcome| *outcome == Err(Kind::TimedOut))
    );
    let took = began.elapsed();
    assert!(took <= Duration::from_secs(31), "{took:?}");
    let asked = std::iter::zip(fixture.asked(), before).map(|(after, before)| after - before);
    assert_eq!(asked.collect::<Vec<_>>(), [1, 1, 1]);

    fixture.members[2].does(Does::Answers);
    assert_eq!(fixture.fetch().await.as_deref(), Ok("3"));
}

#[tokio::test(start_paused = true)]
async fn without_rivals_members_are_asked_one_after_the_other() {
    let fixture = group(GroupMode::Race, 2);
    fixture.members[0].does(Does::Fails(Kind::Unreachable));
    let mut sink = crate::conformance::NotingSink::default();
    let module = module("example.com/m", "v1.0.0");
    let fetched = fixture.group.fetch(&module, FileKind::Zip, &mut sink).await;
    assert_eq!(&*fetched.unwrap().source, "2");
    assert_eq!(sink.beginnings.len(), 1);
}
