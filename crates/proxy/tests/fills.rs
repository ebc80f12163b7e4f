//! Fills when their source misbehaves in ways that no server on a wire can: it panics, it lies.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and one double dies on purpose"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use gomod::{FileKind, ModulePath, ModuleVersion, Revision};
use proxy::observe::{AccessLog, Metrics};
use proxy::policy::AllowAll;
use proxy::refresh::access::RefreshAccess;
use proxy::{Parts, ServeOptions, Server};
use reqwest::StatusCode;
use source::privacy::Privacy;
use source::{Fetched, Listing, Resolved, Sink, Source, SourceError, SourceErrorKind, SourceName};
use store::disk::DiskStore;
use store::first_seen::FirstSeen;
use store::{Staging, Store};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// How the source fails its first caller; later ones get the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Panics,
    LiesAboutDelivery,
}

struct Faulty {
    fault: Fault,
    asked: AtomicU32,
    /// Opened by the test when all its requests are on their way.
    go: Semaphore,
}

#[async_trait]
impl Source for Faulty {
    async fn list(&self, _: &ModulePath) -> Result<Listing, SourceError> {
        if self.asked.fetch_add(1, Ordering::SeqCst) == 0 {
            panic!("a fault of the source");
        }
        Ok(Listing {
            versions: Vec::new(),
            source: self.name(),
        })
    }
    async fn latest(&self, _: &ModulePath) -> Result<Resolved, SourceError> {
        Err(SourceError::new(SourceErrorKind::NotExist, "no latest"))
    }
    async fn resolve(&self, _: &ModulePath, _: &Revision) -> Result<Resolved, SourceError> {
        Err(SourceError::new(
            SourceErrorKind::NotExist,
            "no such revision",
        ))
    }
    async fn fetch(
        &self,
        _: &ModuleVersion,
        _: FileKind,
        sink: &mut dyn Sink,
    ) -> Result<Fetched, SourceError> {
        let first = self.asked.fetch_add(1, Ordering::SeqCst) == 0;
        let _go = self.go.acquire().await.unwrap();
        if first && self.fault == Fault::Panics {
            panic!("a fault of the source");
        }
        if !first {
            sink.begin(&self.name(), None).await.unwrap();
            sink.write("module example.com/m\n".into()).await.unwrap();
            sink.finish().await.unwrap();
        }
        Ok(Fetched {
            source: self.name(),
            attempts: 1,
        })
    }
    fn name(&self) -> SourceName {
        "faulty".into()
    }
}

async fn start(fault: Fault) -> (String, Arc<Faulty>, tempfile::TempDir) {
    let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let faulty = Arc::new(Faulty {
        fault,
        asked: AtomicU32::new(0),
        go: Semaphore::new(0),
    });
    let store: Arc<dyn Store> = Arc::new(DiskStore::open(dir.path()).unwrap());
    let parts = Parts {
        store,
        staging: Arc::new(Staging::open(dir.path(), 1 << 20, 1 << 22).unwrap()),
        kept_answers: Arc::new(store::answers::Answers::open(dir.path()).unwrap()),
        first_seen: Arc::new(FirstSeen::open(dir.path()).unwrap()),
        source: Some(faulty.clone()),
        checksums: None,
        sumdb: None,
        privacy: Privacy::default(),
        policy: Arc::new(AllowAll),
        metrics: Metrics::new(),
        access_log: Arc::new(AccessLog::off()),
        refresh_access: RefreshAccess::default(),
        refreshers: Vec::new(),
        cause_page: |_| None,
        upstreams: source::UpstreamList::default(),
    };
    let options = ServeOptions {
        prefetch_bytes_per_second: 0,
        fresh: Duration::from_secs(60),
        negative: Duration::from_secs(30),
        instance: "test".into(),
        tls: None,
    };
    let server = Server::new(parts, options).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(server.serve(listener, std::future::pending()));
    (base, faulty, dir)
}

#[track_caller]
fn check_500_then_200(statuses: &[StatusCode], next: StatusCode) {
    assert!(
        statuses
            .iter()
            .all(|status| *status == StatusCode::INTERNAL_SERVER_ERROR),
        "{statuses:?}"
    );
    assert_eq!(next, StatusCode::OK, "the next request starts a new fill");
}

async fn everyone_is_told(fault: Fault) {
    let (base, faulty, _dir) = start(fault).await;
    let url = format!("{base}/example.com/m/@v/v1.0.0.mod");
    let waiting: Vec<_> = (0..8)
        .map(|_| tokio::spawn(reqwest::get(url.clone())))
        .collect();
    while faulty.asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    faulty.go.add_permits(100);
    let mut statuses = Vec::new();
    for request in waiting {
        statuses.push(request.await.unwrap().unwrap().status());
    }
    // Requests that came after the first fill had died began the next one.
    statuses.retain(|status| *status != StatusCode::OK);
    assert!(!statuses.is_empty());
    let next = reqwest::get(&url).await.unwrap().status();
    check_500_then_200(&statuses, next);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fill_that_dies_tells_everyone_who_waits_and_the_next_request_works() {
    everyone_is_told(Fault::Panics).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_reports_a_file_it_did_not_deliver_is_our_own_fault() {
    everyone_is_told(Fault::LiesAboutDelivery).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_dies_tells_who_waits_and_the_next_request_works() {
    let (base, _faulty, _dir) = start(Fault::Panics).await;
    let url = format!("{base}/example.com/m/@v/list");
    let first = reqwest::get(&url).await.unwrap().status();
    let next = reqwest::get(&url).await.unwrap().status();
    check_500_then_200(&[first], next);
}
