use super::*;

use std::time::Duration;

use parking_lot::Mutex;

use crate::SinkError;
use crate::conformance::{NotingSink, module, module_path};
use SourceErrorKind as Kind;

/// Answers each question with the next of its outcomes, the last one for ever. `None` is an answer.
struct Scripted {
    name: SourceName,
    outcomes: Mutex<Vec<Option<Kind>>>,
    asked: Arc<Mutex<Vec<SourceName>>>,
    breaker: Arc<Breaker>,
}

impl Scripted {
    async fn outcome(&self) -> Result<(), SourceError> {
        let admission = self.breaker.admit(Duration::from_secs(120)).await?;
        self.asked.lock().push(self.name.clone());
        let outcome = {
            let mut outcomes = self.outcomes.lock();
            if outcomes.len() > 1 {
                outcomes.remove(0)
            } else {
                outcomes[0]
            }
        };
        let outcome = match outcome {
            None => Ok(()),
            Some(kind) => Err(SourceError::new(kind, self.name.to_string())),
        };
        admission.finished(&outcome);
        outcome
    }
}

#[async_trait]
impl Source for Scripted {
    async fn list(&self, _: &ModulePath) -> Result<Listing, SourceError> {
        self.outcome().await?;
        Ok(Listing {
            versions: vec![gomod::Version::parse("v1.0.0").unwrap()],
            source: self.name.clone(),
        })
    }
    async fn latest(&self, _: &ModulePath) -> Result<Resolved, SourceError> {
        Err(SourceError::new(Kind::Internal, "not asked in these tests"))
    }
    async fn resolve(&self, _: &ModulePath, _: &Revision) -> Result<Resolved, SourceError> {
        Err(SourceError::new(Kind::Internal, "not asked in these tests"))
    }
    async fn fetch(
        &self,
        _: &ModuleVersion,
        _: FileKind,
        sink: &mut dyn Sink,
    ) -> Result<Fetched, SourceError> {
        self.outcome().await?;
        crate::upstream::pour(&self.name, self.name.to_string().into(), sink)
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

struct Fixture {
    chain: Chain,
    asked: Arc<Mutex<Vec<SourceName>>>,
}

/// Sources `1`, `2`, … with their outcomes, and the separator behind each.
fn chain(entries: &[(&[Option<Kind>], char)], end: ChainEnd) -> Fixture {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let entries = entries
        .iter()
        .enumerate()
        .map(|(index, (outcomes, separator))| {
            let breaker = Arc::new(Breaker::new(2, Duration::from_secs(10)));
            ChainEntry {
                source: Arc::new(Scripted {
                    name: (index + 1).to_string().into(),
                    outcomes: Mutex::new(outcomes.to_vec()),
                    asked: asked.clone(),
                    breaker: breaker.clone(),
                }),
                fall_back: if *separator == '|' {
                    FallBack::Any
                } else {
                    FallBack::Absent
                },
                breaker: Some(breaker),
            }
        })
        .collect();
    Fixture {
        chain: Chain::new(entries, end),
        asked,
    }
}

impl Fixture {
    async fn list(&self) -> Result<String, (Kind, String)> {
        match self.chain.list(&module_path("example.com/m")).await {
            Ok(listing) => Ok(listing.source.to_string()),
            Err(error) => Err((error.kind(), error.to_string())),
        }
    }
    fn asked(&self) -> String {
        std::mem::take(&mut *self.asked.lock()).concat()
    }
}

#[track_caller]
fn failure(kind: Kind, source: &str) -> Result<String, (Kind, String)> {
    Err((kind, source.to_owned()))
}

#[tokio::test]
async fn a_comma_goes_on_after_absence_only_and_a_bar_after_anything() {
    use Kind::{Busy, Gone, NotExist, Refused, Unreachable};
    let ok = None;
    for (entries, expected, asked) in [
        // `,`
        ([(Some(NotExist), ','), (ok, ',')], Ok("2".to_owned()), "12"),
        ([(Some(Gone), ','), (ok, ',')], Ok("2".to_owned()), "12"),
        (
            [(Some(Unreachable), ','), (ok, ',')],
            failure(Unreachable, "1"),
            "1",
        ),
        (
            [(Some(Refused), ','), (ok, ',')],
            failure(Refused, "1"),
            "1",
        ),
        ([(Some(Busy), ','), (ok, ',')], failure(Busy, "1"), "1"),
        ([(ok, ','), (ok, ',')], Ok("1".to_owned()), "1"),
        // `|`
        (
            [(Some(Unreachable), '|'), (ok, ',')],
            Ok("2".to_owned()),
            "12",
        ),
        ([(Some(Refused), '|'), (ok, ',')], Ok("2".to_owned()), "12"),
        // The most helpful failure: trouble before absence, else the last.
        (
            [(Some(Unreachable), '|'), (Some(NotExist), ',')],
            failure(Unreachable, "1"),
            "12",
        ),
        (
            [(Some(NotExist), ','), (Some(Busy), ',')],
            failure(Busy, "2"),
            "12",
        ),
        (
            [(Some(Unreachable), '|'), (Some(Refused), ',')],
            failure(Refused, "2"),
            "12",
        ),
        (
            [(Some(NotExist), ','), (Some(Gone), ',')],
            failure(Gone, "2"),
            "12",
        ),
    ] {
        let entries = entries.map(|(outcome, separator)| (vec![outcome], separator));
        let borrowed: Vec<_> = entries
            .iter()
            .map(|(outcomes, s)| (outcomes.as_slice(), *s))
            .collect();
        let fixture = chain(&borrowed, ChainEnd::Source);
        assert_eq!(fixture.list().await, expected, "{entries:?}");
        assert_eq!(fixture.asked(), asked, "{entries:?}");
    }
}

#[tokio::test]
async fn a_refused_file_is_fetched_from_the_next_source_and_told_if_there_is_none() {
    let wanted = module("example.com/m", "v1.0.0");
    let fixture = chain(&[(&[None], ','), (&[None], ',')], ChainEnd::Source);
    let mut sink = NotingSink {
        refusal: Some(SinkError::Rejected("wrong hash".to_owned())),
        ..NotingSink::default()
    };
    let fetched = fixture
        .chain
        .fetch(&wanted, FileKind::Zip, &mut sink)
        .await
        .unwrap();
    assert_eq!(&*fetched.source, "2");
    assert_eq!(sink.body, b"2");

    let fixture = chain(
        &[(&[None], ','), (&[Some(Kind::Unreachable)], ',')],
        ChainEnd::Source,
    );
    sink.refusal = Some(SinkError::Rejected("wrong hash".to_owned()));
    let failed = fixture
        .chain
        .fetch(&wanted, FileKind::Zip, &mut sink)
        .await
        .unwrap_err();
    assert_eq!(failed.kind(), Kind::Rejected);

    let fixture = chain(&[(&[None], '|'), (&[None], ',')], ChainEnd::Source);
    sink.refusal = Some(SinkError::Fatal("disk full".to_owned()));
    let failed = fixture
        .chain
        .fetch(&wanted, FileKind::Zip, &mut sink)
        .await
        .unwrap_err();
    assert_eq!((failed.kind(), fixture.asked().as_str()), (Kind::Sink, "1"));
}

#[tokio::test]
async fn direct_without_git_and_off_claim_no_absence_by_themselves() {
    let ask = async |entries: &[(&[Option<Kind>], char)], end| {
        let path = module_path("example.com/m");
        chain(entries, end).chain.list(&path).await.unwrap_err().0
    };
    let absent: &[(&[Option<Kind>], char)] = &[(&[Some(Kind::NotExist)], ',')];
    let down: &[(&[Option<Kind>], char)] = &[(&[Some(Kind::Unreachable)], ',')];

    let no_direct = || ChainEnd::NoDirect("git is not installed".into());
    let after_absence = ask(absent, no_direct()).await;
    assert_eq!(after_absence.kind, Kind::Unsupported);
    assert!(after_absence.text.contains("git is not installed"));
    let after_outage = ask(down, no_direct()).await;
    assert_eq!(after_outage.kind, Kind::Unreachable);
    assert_eq!(
        after_outage.notes,
        Vec::<String>::new(),
        "it was not direct's turn"
    );
    // The second answer is that of a module above.
    let of_package = chain(&[(&[Some(Kind::NotExist), None], ',')], no_direct());
    let path = module_path("example.com/m/pkg");
    let of_package = of_package.chain.list(&path).await.unwrap_err().0;
    assert_eq!(of_package.kind, Kind::NotExist);
    assert_eq!(
        of_package.notes,
        ["direct was not tried: git is not installed"]
    );
    let alone = ask(&[], no_direct()).await;
    assert_eq!(alone.kind, Kind::Off);
    assert!(alone.text.contains("direct") && alone.text.contains("git is not installed"));

    let after_absence = ask(absent, ChainEnd::Off).await;
    assert_eq!(
        (after_absence.kind, after_absence.notes),
        (Kind::NotExist, vec![OFF.to_owned()])
    );
    let alone = ask(&[], ChainEnd::Off).await;
    assert_eq!((alone.kind, alone.text.as_str()), (Kind::Off, OFF));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_down_is_asked_last_until_it_has_rested() {
    let down = Some(Kind::Unreachable);
    let fixture = chain(
        &[(&[down, down, None], '|'), (&[None], ',')],
        ChainEnd::Source,
    );
    for _ in 0..2 {
        assert_eq!(fixture.list().await, Ok("2".to_owned()));
        assert_eq!(fixture.asked(), "12");
    }
    assert_eq!(fixture.list().await, Ok("2".to_owned()));
    assert_eq!(fixture.asked(), "2", "the first one rests");
    tokio::time::advance(Duration::from_secs(20)).await;
    assert_eq!(fixture.list().await, Ok("1".to_owned()));
    assert_eq!(fixture.asked(), "1", "it is back");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_down_still_answers_where_no_other_can() {
    let down = Some(Kind::Unreachable);
    // Behind the bar, the other one fails as well.
    let fixture = chain(
        &[(&[down, down, None], '|'), (&[None, None, down], ',')],
        ChainEnd::Source,
    );
    for _ in 0..2 {
        assert_eq!(fixture.list().await, Ok("2".to_owned()));
    }
    fixture.asked();
    assert_eq!(fixture.list().await, Ok("1".to_owned()));
    assert_eq!(fixture.asked(), "21");

    // Behind a comma nobody else may be asked, so it is asked itself.
    let fixture = chain(&[(&[down], ','), (&[None], ',')], ChainEnd::Source);
    for _ in 0..4 {
        assert_eq!(fixture.list().await, failure(Kind::Unreachable, "1"));
        assert_eq!(fixture.asked(), "1");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_is_passed_over_never_turns_into_absence() {
    let down = Some(Kind::Unreachable);
    let fixture = chain(
        &[(&[down], '|'), (&[Some(Kind::NotExist)], ',')],
        ChainEnd::Source,
    );
    for _ in 0..4 {
        assert_eq!(fixture.list().await, failure(Kind::Unreachable, "1"));
    }
}
