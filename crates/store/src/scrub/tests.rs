use super::*;
use crate::Store as _;
use crate::conformance::{key, verified};
use crate::tests::scratch;
use gomod::FileKind;
use std::sync::mpsc;

/// What an observer was told.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Good,
    Damaged(String),
    RoundEnded,
}

struct Ear {
    told: Mutex<mpsc::Sender<Told>>,
    /// The scrub is stopped once so many good files were told.
    stop_after: Option<(usize, ScrubStop)>,
    good: Mutex<usize>,
}

impl ScrubObserver for Ear {
    fn good(&self, _: u64) {
        self.told.lock().send(Told::Good).unwrap();
        let mut good = self.good.lock();
        *good += 1;
        if let Some((wanted, stop)) = &self.stop_after
            && *good == *wanted
        {
            stop.stop();
        }
    }
    fn damaged(&self, damaged: &Damaged, kept: Option<&StoreError>) {
        assert!(kept.is_none(), "{kept:?}");
        self.told
            .lock()
            .send(Told::Damaged(damaged.key.module.to_string()))
            .unwrap();
    }
    fn trouble(&self, text: &str) {
        panic!("{text}");
    }
    fn round_ended(&self, _: jiff::Timestamp) {
        self.told.lock().send(Told::RoundEnded).unwrap();
    }
}

fn options() -> ScrubOptions {
    ScrubOptions {
        bytes_per_second: NonZeroU64::new(1 << 30).unwrap(),
        start_after: Duration::ZERO,
    }
}

/// Scrubs until a round has ended, or until `good` files were good; everything that was told.
fn scrub(disk: &DiskStore, good: Option<usize>) -> Vec<Told> {
    let stop = ScrubStop::default();
    let (sender, told) = mpsc::channel();
    let ear = Ear {
        told: Mutex::new(sender),
        stop_after: good.map(|good| (good, stop.clone())),
        good: Mutex::new(0),
    };
    std::thread::scope(|scope| {
        let (of_thread, ear) = (stop.clone(), ear);
        scope.spawn(move || run(disk, options(), &ear, &of_thread));
        let mut all = Vec::new();
        while let Ok(one) = told.recv() {
            if one == Told::RoundEnded {
                stop.stop();
            }
            all.push(one);
        }
        all
    })
}

async fn three_versions() -> (tempfile::TempDir, DiskStore) {
    let (scratch, staging) = scratch();
    let disk = DiskStore::open(scratch.path()).unwrap();
    for version in ["v1.0.0", "v1.1.0", "v1.2.0"] {
        let key = key("example.com/a", version, FileKind::Zip);
        disk.commit(verified(&staging, &key, b"content", 1).await)
            .await
            .unwrap();
    }
    (scratch, disk)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_reads_everything_and_moves_what_is_damaged() {
    let (scratch, disk) = three_versions().await;
    let bad = key("example.com/a", "v1.1.0", FileKind::Zip);
    fs::write(layout::file(scratch.path(), &bad), b"cOntent").unwrap();
    let damaged = Told::Damaged("example.com/a@v1.1.0".into());
    assert_eq!(
        scrub(&disk, None),
        [Told::Good, damaged, Told::Good, Told::RoundEnded]
    );
    assert!(disk.open(&bad).await.unwrap().is_none());
    assert_eq!(disk.quarantined().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_was_broken_off_goes_on_where_it_was() {
    let (_scratch, disk) = three_versions().await;
    assert_eq!(scrub(&disk, Some(1)), [Told::Good]);
    assert_eq!(
        scrub(&disk, None),
        [Told::Good, Told::Good, Told::RoundEnded]
    );
}

#[test]
fn bytes_are_spent_as_fast_as_the_budget_says() {
    let mut budget = Budget::new(NonZeroU64::new(1000).unwrap());
    let first = budget.spend(500);
    assert!(
        first > Duration::from_millis(450) && first <= Duration::from_millis(500),
        "{first:?}"
    );
    let both = budget.spend(500);
    assert!(
        both > Duration::from_millis(950) && both <= Duration::from_millis(1000),
        "{both:?}"
    );
}

#[test]
fn rounds_begin_a_day_apart() {
    let scratch = tempfile::tempdir().unwrap();
    let disk = DiskStore::open(scratch.path()).unwrap();
    let stop = ScrubStop::default();
    assert_eq!(scrub(&disk, None), [Told::RoundEnded]);
    let (sender, _told) = mpsc::channel();
    let ear = Ear {
        told: Mutex::new(sender),
        stop_after: None,
        good: Mutex::new(0),
    };
    let second = Scrub::begin(&disk, options().bytes_per_second, &ear, &stop)
        .unwrap()
        .unwrap();
    assert!(second.until_next_round() > ROUND_EVERY / 2);
    let rival = Scrub::begin(&disk, options().bytes_per_second, &ear, &stop).unwrap();
    assert!(rival.is_none(), "one process at a time");
}
