//! Several bodies of one file at once: whose bytes a client gets, and what becomes of the others.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gomod::{FileKind, ModulePath, ModuleVersion, Revision};
use proxy::observe::{AccessLog, Metrics};
use proxy::policy::AllowAll;
use proxy::refresh::access::RefreshAccess;
use proxy::{Parts, ServeOptions, Server};
use source::privacy::Privacy;
use source::{
    Fetched, Listing, Resolved, Sink, SinkError, Source, SourceError, SourceErrorKind, SourceName,
};
use store::disk::DiskStore;
use store::first_seen::FirstSeen;
use store::{Staging, Store};
use testkit::{Module, ZipVariant, eventually};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// What the two upstreams of a test do, in this order. Both serve `module()`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Story {
    /// The first stops in the middle; the second sends the whole, in the same bytes.
    FirstStops,
    /// The first stops in the middle; the second has other bytes with the same hash.
    FirstStopsAndTheOtherDiffers,
    /// The first sends wrong bytes in the end; the second is half-way then, and good.
    FirstLiesInItsEnd,
    /// Both send all; the second is done first.
    SecondIsFaster,
    /// As that, for a file that is handed out whole.
    SecondIsFasterWithASmallFile,
    /// The first stops in the middle, and breaks off when it is told to. Whoever is asked after that has all.
    BreaksOffOnce,
    /// The first is wrong in its end. Whoever is asked after that is wrong there too.
    LiesAlways,
}

struct Two {
    story: Story,
    module: Module,
    asked: Arc<AtomicUsize>,
    stands_still: Arc<Notify>,
    may_break_off: Arc<Notify>,
}

/// Larger than what is handed out whole.
fn large() -> Module {
    Module::new("example.com/large", "v1.0.0").incompressible(12 << 20)
}

async fn send(sink: &mut dyn Sink, bytes: &[u8]) -> Result<(), SinkError> {
    for chunk in bytes.chunks(100_000) {
        sink.write(Bytes::copy_from_slice(chunk)).await?;
    }
    Ok(())
}

async fn begin(sink: &mut dyn Sink, name: &str, bytes: &[u8]) {
    let total = Some(bytes.len() as u64);
    sink.begin(&name.into(), total).await.unwrap();
}

fn superseded(outcome: Result<(), SinkError>) -> String {
    match outcome {
        Err(SinkError::Superseded(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[async_trait]
impl Source for Two {
    async fn list(&self, _: &ModulePath) -> Result<Listing, SourceError> {
        Err(SourceError::new(SourceErrorKind::NotExist, "no list"))
    }
    async fn latest(&self, _: &ModulePath) -> Result<Resolved, SourceError> {
        Err(SourceError::new(SourceErrorKind::NotExist, "no latest"))
    }
    async fn resolve(&self, _: &ModulePath, _: &Revision) -> Result<Resolved, SourceError> {
        Err(SourceError::new(SourceErrorKind::NotExist, "no revision"))
    }
    async fn fetch(
        &self,
        _: &ModuleVersion,
        kind: FileKind,
        sink: &mut dyn Sink,
    ) -> Result<Fetched, SourceError> {
        if kind != FileKind::Zip {
            return Err(SourceError::new(SourceErrorKind::NotExist, "no such file"));
        }
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let zip = self.module.zip();
        let (half, rest) = zip.split_at(zip.len() * 3 / 4);
        let mut second = sink.rival().unwrap();
        let second = &mut *second;
        begin(sink, "first", &zip).await;
        match self.story {
            Story::FirstStops => {
                send(sink, half).await.unwrap();
                begin(second, "second", &zip).await;
                send(second, &zip).await.unwrap();
                second.finish().await.unwrap();
                // Whoever was still at work is told that it is over.
                let text = superseded(send(sink, rest).await);
                assert!(text.contains("first"), "{text}");
            }
            Story::FirstStopsAndTheOtherDiffers => {
                send(sink, half).await.unwrap();
                let other = self.module.zip_as(&ZipVariant::OtherBytes);
                second.begin(&"second".into(), None).await.unwrap();
                let text = superseded(send(second, &other).await);
                assert!(text.contains("first") && text.contains("second"), "{text}");
                return Err(SourceError::new(SourceErrorKind::TimedOut, "it stopped"));
            }
            Story::FirstLiesInItsEnd => {
                send(sink, half).await.unwrap();
                begin(second, "second", &zip).await;
                send(second, half).await.unwrap();
                // Its last bytes only: these are held back until all is verified.
                let good = rest.len() - 1000;
                send(sink, &rest[..good]).await.unwrap();
                send(sink, &[0; 1000]).await.unwrap();
                assert!(matches!(sink.finish().await, Err(SinkError::Fatal(_))));
                send(second, rest).await.unwrap();
                second.finish().await.unwrap();
            }
            Story::SecondIsFaster | Story::SecondIsFasterWithASmallFile => {
                begin(second, "second", &zip).await;
                send(sink, half).await.unwrap();
                send(second, &zip).await.unwrap();
                send(sink, rest).await.unwrap();
                second.finish().await.unwrap();
                superseded(sink.finish().await);
            }
            Story::BreaksOffOnce if asked == 0 => {
                send(sink, half).await.unwrap();
                self.stands_still.notify_one();
                self.may_break_off.notified().await;
                return Err(SourceError::new(SourceErrorKind::TimedOut, "it stopped"));
            }
            Story::BreaksOffOnce => {
                begin(second, "second", &zip).await;
                send(second, &zip).await.unwrap();
                second.finish().await.unwrap();
            }
            Story::LiesAlways => {
                let good = zip.len() - 1000;
                send(sink, &zip[..good]).await.unwrap();
                send(sink, &[0; 1000]).await.unwrap();
                let Err(refusal) = sink.finish().await else {
                    panic!("a zip without its end was accepted");
                };
                return Err(SourceError::new(
                    SourceErrorKind::Sink,
                    format!("{refusal:?}"),
                ));
            }
        }
        Ok(Fetched {
            source: "second".into(),
            attempts: 2,
        })
    }
    fn name(&self) -> SourceName {
        "two".into()
    }
}

struct Running {
    url: String,
    folder: tempfile::TempDir,
    metrics: Arc<Metrics>,
    asked: Arc<AtomicUsize>,
    stands_still: Arc<Notify>,
    may_break_off: Arc<Notify>,
}

async fn start(story: Story) -> Running {
    let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let module = match story {
        Story::SecondIsFasterWithASmallFile => Module::new("example.com/small", "v1.0.0"),
        _ => large(),
    };
    let path = module.url_path("zip");
    let store: Arc<dyn Store> = Arc::new(DiskStore::open(dir).unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let (stands_still, may_break_off) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let metrics = Metrics::new();
    let two = Two {
        story,
        module,
        asked: asked.clone(),
        stands_still: stands_still.clone(),
        may_break_off: may_break_off.clone(),
    };
    let parts = Parts {
        store,
        staging: Arc::new(Staging::open(dir, 8 << 20, 32 << 20).unwrap()),
        kept_answers: Arc::new(store::answers::Answers::open(dir).unwrap()),
        first_seen: Arc::new(FirstSeen::open(dir).unwrap()),
        source: Some(Arc::new(two)),
        checksums: None,
        sumdb: None,
        privacy: Privacy::default(),
        policy: Arc::new(AllowAll),
        metrics: metrics.clone(),
        access_log: Arc::new(AccessLog::off()),
        refresh_access: RefreshAccess::default(),
        refreshers: Vec::new(),
        cause_page: |_| None,
        upstreams: source::UpstreamList::default(),
    };
    let options = ServeOptions {
        fresh: Duration::from_secs(60),
        negative: Duration::from_secs(30),
        instance: "test".into(),
        tls: None,
        prefetch_bytes_per_second: 0,
    };
    let server = Server::new(parts, options).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(server.serve(listener, std::future::pending()));
    Running {
        url: format!("{base}{path}"),
        folder,
        metrics,
        asked,
        stands_still,
        may_break_off,
    }
}

/// What a client reads, and whether that is the end.
async fn read(url: &str) -> (Vec<u8>, bool) {
    let mut answer = reqwest::get(url).await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return (body, true),
            Err(_) => return (body, false),
        }
    }
}

/// Waits until nothing of a fill is left: the winner's file moved into the store, the others are gone.
fn nothing_stays_staged(dir: &Path) {
    eventually("staging is empty", || {
        (staged_files(dir) == 0).then_some(())
    });
}

fn staged_files(dir: &Path) -> usize {
    let folders = fs_err::read_dir(dir.join("staging")).unwrap();
    folders
        .map(|folder| folder.unwrap().path())
        .filter(|folder| folder.is_dir())
        .flat_map(|folder| fs_err::read_dir(folder).unwrap())
        .filter(|file| {
            let file = file.as_ref().unwrap();
            file.metadata().unwrap().len() > 0
        })
        .count()
}

async fn is_served_whole(story: Story) {
    let running = start(story).await;
    let (body, whole) = read(&running.url).await;
    let expected = match story {
        Story::SecondIsFasterWithASmallFile => Module::new("example.com/small", "v1.0.0").zip(),
        _ => large().zip(),
    };
    assert!(whole, "broken off after {} bytes", body.len());
    assert!(body == expected, "{} bytes", body.len());
    let again = reqwest::get(&running.url).await.unwrap();
    assert_eq!(again.headers()["x-larder-source"], "second");
    assert!(again.bytes().await.unwrap() == expected);
    nothing_stays_staged(running.folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_goes_on_from_another_upstream_that_sends_the_same_bytes() {
    is_served_whole(Story::FirstStops).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_that_turns_out_wrong_in_its_end_is_completed_by_a_good_one() {
    is_served_whole(Story::FirstLiesInItsEnd).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_complete_and_verified_file_wins() {
    is_served_whole(Story::SecondIsFaster).await;
    is_served_whole(Story::SecondIsFasterWithASmallFile).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_is_broken_off_and_never_spliced_when_the_bytes_differ() {
    let running = start(Story::FirstStopsAndTheOtherDiffers).await;
    let (body, whole) = read(&running.url).await;
    assert!(!whole);
    assert!(!body.is_empty() && large().zip().starts_with(&body));
    nothing_stays_staged(running.folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_while_a_large_download_stands_still_does_not_break_off_with_it() {
    let running = start(Story::BreaksOffOnce).await;
    let first = tokio::spawn({
        let url = running.url.clone();
        async move { read(&url).await }
    });
    running.stands_still.notified().await;
    let second = tokio::spawn({
        let url = running.url.clone();
        async move { read(&url).await }
    });
    eventually("the second client has joined", || {
        (running.metrics.flights_joined.get() == 1).then_some(())
    });
    running.may_break_off.notify_one();

    let (body, whole) = first.await.unwrap();
    assert!(!whole);
    assert!(!body.is_empty() && large().zip().starts_with(&body));
    let (body, whole) = second.await.unwrap();
    assert!(
        whole && body == large().zip(),
        "{} bytes, whole: {whole}",
        body.len()
    );
    assert_eq!(running.asked.load(Ordering::Relaxed), 2);
    nothing_stays_staged(running.folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_that_is_refused_twice_is_not_downloaded_for_each_who_asks() {
    let running = start(Story::LiesAlways).await;
    let (body, whole) = read(&running.url).await;
    assert!(!whole && !body.is_empty());
    for _ in 0..3 {
        let answer = reqwest::get(&running.url).await.unwrap();
        assert_eq!(answer.status(), 502);
        let text = answer.text().await.unwrap();
        assert!(text.contains("example.com/large"), "{text}");
    }
    assert_eq!(running.asked.load(Ordering::Relaxed), 2);
    nothing_stays_staged(running.folder.path());
}
