//! What every source must do, whatever stands behind it: one suite for all of them.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gomod::{FallBack, FileKind, ModulePath, ModuleVersion, Revision, SafeUrl, Version};

use crate::privacy::{Privacy, PrivateAware};
use crate::raw_server::{RawServer, answer, impatient};
use crate::{
    AddressGuard, Chain, ChainEnd, ChainEntry, FileSource, Sink, SinkError, Source,
    SourceErrorKind, SourceName, Upstream,
};

/// Notes everything that it is given.
#[derive(Default)]
pub(crate) struct NotingSink {
    /// The body since the last beginning.
    pub(crate) body: Vec<u8>,
    /// Source and announced length of each beginning.
    pub(crate) beginnings: Vec<(SourceName, Option<u64>)>,
    pub(crate) finished: usize,
    /// What `finish` says, where that is a refusal.
    pub(crate) refusal: Option<SinkError>,
}

#[async_trait]
impl Sink for NotingSink {
    async fn begin(&mut self, source: &SourceName, total: Option<u64>) -> Result<(), SinkError> {
        self.body.clear();
        self.beginnings.push((source.clone(), total));
        Ok(())
    }
    async fn write(&mut self, chunk: Bytes) -> Result<(), SinkError> {
        self.body.extend_from_slice(&chunk);
        Ok(())
    }
    async fn finish(&mut self) -> Result<(), SinkError> {
        self.finished += 1;
        self.refusal.take().map_or(Ok(()), Err)
    }
}

/// The files of the module proxy that every source under test stands for.
pub(crate) fn files() -> Vec<(&'static str, Vec<u8>)> {
    let mut zip = b"PK\x03\x04".to_vec();
    zip.extend((0..700_000_u32).map(|n| u8::try_from(n % 251).unwrap()));
    vec![
        (
            "example.com/!big/mod/@v/list",
            b"v1.10.0\nv1.2.0\n\nnonsense\nv1.2.0\nv1.2.0-pre\n".to_vec(),
        ),
        (
            "example.com/!big/mod/@latest",
            br#"{"Version":"v1.10.0","Time":"2024-01-02T03:04:05Z","Origin":{"VCS":"git"}}"#
                .to_vec(),
        ),
        (
            "example.com/!big/mod/@v/main.info",
            br#"{"Version":"v1.10.1-0.20240102030405-abcdefabcdef"}"#.to_vec(),
        ),
        (
            "example.com/!big/mod/@v/v1.2.0-!p!r!e.info",
            br#"{"Version":"v1.2.0-PRE","Time":"2024-01-02T03:04:05Z"}"#.to_vec(),
        ),
        (
            "example.com/!big/mod/@v/v1.2.0-!p!r!e.mod",
            b"module example.com/Big/mod\n".to_vec(),
        ),
        ("example.com/!big/mod/@v/v1.2.0-!p!r!e.zip", zip),
        // Speaks of another version than its name.
        (
            "example.com/!big/mod/@v/v1.3.0.info",
            br#"{"Version":"v1.3.1"}"#.to_vec(),
        ),
        (
            "example.com/page/@v/list",
            b"<!DOCTYPE html><p>Welcome".to_vec(),
        ),
        (
            "example.com/page/@latest",
            b"<!DOCTYPE html><p>Welcome".to_vec(),
        ),
        (
            "example.com/page/@v/v1.0.0.info",
            b"<!DOCTYPE html><p>Welcome".to_vec(),
        ),
        (
            "example.com/page/@v/v1.0.0.mod",
            b"<!DOCTYPE html><p>Welcome".to_vec(),
        ),
        (
            "example.com/page/@v/v1.0.0.zip",
            b"<!DOCTYPE html><p>Welcome".to_vec(),
        ),
        ("example.com/empty/@v/list", Vec::new()),
    ]
}

pub(crate) fn module_path(text: &str) -> ModulePath {
    ModulePath::parse(text).unwrap()
}

pub(crate) fn module(path: &str, version: &str) -> ModuleVersion {
    ModuleVersion::new(module_path(path), Version::parse(version).unwrap()).unwrap()
}

pub(crate) fn body_of(path: &str) -> Vec<u8> {
    files()
        .into_iter()
        .find_map(|(name, body)| (name == path).then_some(body))
        .unwrap()
}

/// The suite.
async fn check(source: &dyn Source) {
    let big = module_path("example.com/Big/mod");
    let nothing = module_path("example.com/nothing");
    let page = module_path("example.com/page");
    let kinds = [FileKind::Info, FileKind::Mod, FileKind::Zip];

    let listing = source.list(&big).await.unwrap();
    let versions: Vec<&str> = listing.versions.iter().map(Version::as_str).collect();
    assert_eq!(
        versions,
        ["v1.2.0-pre", "v1.2.0", "v1.10.0"],
        "sorted, each once"
    );
    assert!(!listing.source.is_empty());
    assert!(
        source
            .list(&module_path("example.com/empty"))
            .await
            .unwrap()
            .versions
            .is_empty()
    );

    let latest = source.latest(&big).await.unwrap();
    assert_eq!(
        latest.body,
        body_of("example.com/!big/mod/@latest"),
        "as it came"
    );
    assert_eq!(latest.info.version.as_str(), "v1.10.0");

    let revision = |name: &str| Revision::parse(name).unwrap();
    let branch = source.resolve(&big, &revision("main")).await.unwrap();
    assert_eq!(
        branch.info.version.as_str(),
        "v1.10.1-0.20240102030405-abcdefabcdef"
    );
    let other = source.resolve(&big, &revision("v1.3.0")).await.unwrap_err();
    assert_eq!(other.kind(), SourceErrorKind::BadAnswer);
    assert!(other.to_string().contains("v1.3.1"), "{other}");

    for kind in kinds {
        let wanted = module("example.com/Big/mod", "v1.2.0-PRE");
        let mut sink = NotingSink::default();
        let fetched = source.fetch(&wanted, kind, &mut sink).await.unwrap();
        let path = format!("example.com/!big/mod/@v/v1.2.0-!p!r!e.{}", kind.extension());
        let body = body_of(&path);
        assert_eq!((sink.beginnings.len(), sink.finished), (1, 1), "{path}");
        assert_eq!(sink.beginnings[0].1, u64::try_from(body.len()).ok());
        assert_eq!(sink.beginnings[0].0, fetched.source);
        assert!(sink.body == body, "{path} differs");

        let mut sink = NotingSink {
            refusal: Some(SinkError::Rejected("wrong hash".to_owned())),
            ..NotingSink::default()
        };
        let refused = source.fetch(&wanted, kind, &mut sink).await.unwrap_err();
        assert_eq!(refused.kind(), SourceErrorKind::Rejected);
        assert!(matches!(refused.0.sink, Some(SinkError::Rejected(_))));
        assert_eq!(
            sink.beginnings.len(),
            1,
            "a refused file is not fetched again"
        );
    }
    let mut sink = NotingSink::default();
    let mismatch = source
        .fetch(
            &module("example.com/Big/mod", "v1.3.0"),
            FileKind::Info,
            &mut sink,
        )
        .await
        .unwrap_err();
    assert_eq!(mismatch.kind(), SourceErrorKind::BadAnswer);
    assert!(
        sink.beginnings.is_empty(),
        "the sink never sees a wrong .info"
    );

    let mut failures = vec![
        (
            SourceErrorKind::NotExist,
            source.list(&nothing).await.unwrap_err(),
        ),
        (
            SourceErrorKind::NotExist,
            source.latest(&nothing).await.unwrap_err(),
        ),
        (
            SourceErrorKind::NotExist,
            source
                .resolve(&nothing, &revision("main"))
                .await
                .unwrap_err(),
        ),
        (
            SourceErrorKind::BadAnswer,
            source.list(&page).await.unwrap_err(),
        ),
        (
            SourceErrorKind::BadAnswer,
            source.latest(&page).await.unwrap_err(),
        ),
    ];
    for kind in kinds {
        let mut sink = NotingSink::default();
        for (path, expected) in [
            ("example.com/nothing", SourceErrorKind::NotExist),
            ("example.com/page", SourceErrorKind::BadAnswer),
        ] {
            let failure = source.fetch(&module(path, "v1.0.0"), kind, &mut sink).await;
            failures.push((expected, failure.unwrap_err()));
        }
        assert!(sink.beginnings.is_empty(), "the sink never sees a page");
    }
    for (expected, failure) in failures {
        assert_eq!(failure.kind(), expected, "{failure:?}");
        let evidence = &failure.0;
        assert!(
            evidence.source.is_some() && evidence.attempts == 1,
            "{failure:?}"
        );
        assert!(
            evidence.url.as_ref().is_some_and(|url| url.contains("/@")),
            "{failure:?}"
        );
    }
}

fn write_files(folder: &Path) {
    for (path, body) in files() {
        let path = folder.join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, body).unwrap();
    }
}

fn folder_source(folder: &Path) -> FileSource {
    FileSource::new(&SafeUrl::parse(&format!("file://{}", folder.display())).unwrap()).unwrap()
}

async fn upstream() -> (RawServer, Arc<Upstream>) {
    let server = RawServer::start(|_, head| {
        let path = head.split_whitespace().nth(1).unwrap_or_default();
        let found = files()
            .into_iter()
            .find(|(name, _)| path == format!("/base/{name}"));
        match found {
            Some((_, body)) => answer("200 OK", &[], &body),
            None => answer("404 Not Found", &[], b"not found: nothing here"),
        }
    })
    .await;
    let guard = Arc::new(AddressGuard::new(["127.0.0.1"]));
    let base = SafeUrl::parse(&format!("http://{}/base/", server.address)).unwrap();
    (
        server,
        Arc::new(Upstream::new(&base, guard, impatient()).unwrap()),
    )
}

#[tokio::test]
async fn an_upstream_is_a_source() {
    let (_server, upstream) = upstream().await;
    check(&*upstream).await;
}

#[tokio::test]
async fn a_folder_is_a_source() {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path());
    check(&folder_source(folder.path())).await;
}

#[tokio::test]
async fn a_chain_is_a_source() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, upstream) = upstream().await;
    let entry = |source: Arc<dyn Source>| ChainEntry {
        source,
        fall_back: FallBack::Absent,
        breaker: None,
    };
    let empty = entry(Arc::new(folder_source(folder.path())));
    check(&Chain::new(vec![empty, entry(upstream)], ChainEnd::Source)).await;
}

#[tokio::test]
async fn public_names_pass_a_guard_of_private_ones() {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path());
    let public = Arc::new(folder_source(folder.path()));
    check(&PrivateAware::new(
        public,
        Err("there is no git here".into()),
        Arc::new(Privacy::default()),
    ))
    .await;
}

#[tokio::test]
async fn private_names_reach_nobody() {
    let (server, upstream) = upstream().await;
    let privacy = Privacy {
        private: gomod::PathPatterns::parse("example.com/Big"),
        ..Privacy::default()
    };
    let source = PrivateAware::new(
        upstream,
        Err("there is no git here".into()),
        Arc::new(privacy),
    );
    let big = module_path("example.com/Big/mod");
    let mut sink = NotingSink::default();
    let failures = [
        source.list(&big).await.unwrap_err(),
        source.latest(&big).await.unwrap_err(),
        source
            .resolve(&big, &Revision::parse("main").unwrap())
            .await
            .unwrap_err(),
        source
            .fetch(
                &module("example.com/Big/mod", "v1.2.0"),
                FileKind::Zip,
                &mut sink,
            )
            .await
            .unwrap_err(),
    ];
    for failure in failures {
        assert_eq!(failure.kind(), SourceErrorKind::PrivateUnserved);
        assert!(
            failure.to_string().contains("`example.com/Big`"),
            "{failure}"
        );
    }
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn a_folder_that_is_not_mounted_proves_no_absence() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder_source(&folder.path().join("not-mounted"));
    let failure = source
        .list(&module_path("example.com/m"))
        .await
        .unwrap_err();
    assert_eq!(failure.kind(), SourceErrorKind::Unreachable, "{failure:?}");
}

#[tokio::test]
async fn a_folder_of_a_module_without_a_list_has_no_versions() {
    let folder = tempfile::tempdir().unwrap();
    fs_err::create_dir_all(folder.path().join("example.com/m/@v")).unwrap();
    let source = folder_source(folder.path());
    let m = module_path("example.com/m");
    assert!(source.list(&m).await.unwrap().versions.is_empty());
    let absent = source
        .list(&module_path("example.com/n"))
        .await
        .unwrap_err();
    assert_eq!(absent.kind(), SourceErrorKind::NotExist);
    // A folder where a file should be is no file.
    fs_err::create_dir_all(folder.path().join("example.com/m/@v/v1.0.0.zip")).unwrap();
    let mut sink = NotingSink::default();
    let odd = source
        .fetch(&module("example.com/m", "v1.0.0"), FileKind::Zip, &mut sink)
        .await
        .unwrap_err();
    assert_eq!(odd.kind(), SourceErrorKind::BadAnswer);
}
