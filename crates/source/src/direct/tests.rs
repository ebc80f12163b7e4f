//! The rules over a repository in memory. What the go command itself says of the same questions is compared
//! by the oracle of the automation.

mod real_git;
mod zips;

use gomod::Version;

use super::memory::{MemoryRepository, OneRepository};
use super::*;
use crate::conformance::{NotingSink, module, module_path};
use crate::{ObjectName, RepositoryRoot, RepositoryUrl, SourceErrorKind, Trust};

const URL: &str = "https://git.example/r";

/// Finds one root, and below it another one if asked anew.
struct FixedRoots {
    root: Location,
    inner: Option<Location>,
}

#[async_trait]
impl Roots for FixedRoots {
    async fn locate(&self, _: &ModulePath) -> Result<Location, SourceError> {
        Ok(self.root.clone())
    }

    async fn locate_anew(&self, _: &ModulePath) -> Result<Option<Location>, SourceError> {
        Ok(self.inner.clone())
    }
}

struct NoProxies;

impl ModuleProxies for NoProxies {
    fn open(&self, url: &SafeUrl, _: Trust) -> Result<Arc<dyn Source>, SourceError> {
        panic!("nobody may ask {url}")
    }
}

fn root(prefix: &str) -> Location {
    Location::Repository(RepositoryRoot {
        prefix: prefix.to_owned(),
        url: RepositoryUrl::parse(URL).unwrap(),
        subdirectory: String::new(),
        trust: Trust::Chosen,
    })
}

fn source_at(repository: &Arc<MemoryRepository>, prefix: &str) -> DirectSource {
    DirectSource::new(
        Arc::new(FixedRoots {
            root: root(prefix),
            inner: None,
        }),
        Arc::new(OneRepository(repository.clone())),
        Arc::new(NoProxies),
    )
}

/// A source whose root is `example.com/r`.
fn source(repository: &Arc<MemoryRepository>) -> DirectSource {
    source_at(repository, "example.com/r")
}

async fn list(source: &DirectSource, path: &str) -> Vec<String> {
    let listing = source.list(&module_path(path)).await.unwrap();
    let versions = listing.versions.iter().map(Version::to_string);
    versions.collect()
}

async fn resolve(source: &DirectSource, path: &str, revision: &str) -> Result<String, String> {
    let revision = Revision::parse(revision).unwrap();
    match source.resolve(&module_path(path), &revision).await {
        Ok(resolved) => Ok(resolved.info.version.to_string()),
        Err(error) => {
            assert_eq!(error.kind(), SourceErrorKind::NotExist, "{error:?}");
            Err(error.to_string())
        }
    }
}

async fn latest(source: &DirectSource, path: &str) -> Result<String, String> {
    match source.latest(&module_path(path)).await {
        Ok(resolved) => Ok(resolved.info.version.to_string()),
        Err(error) => {
            assert_eq!(error.kind(), SourceErrorKind::NotExist, "{error:?}");
            Err(error.to_string())
        }
    }
}

async fn fetch(
    source: &DirectSource,
    path: &str,
    version: &str,
    kind: FileKind,
) -> Result<Vec<u8>, SourceError> {
    let mut sink = NotingSink::default();
    let fetched = source
        .fetch(&module(path, version), kind, &mut sink)
        .await?;
    assert_eq!((sink.beginnings.len(), sink.finished), (1, 1));
    assert_eq!(sink.beginnings[0].0, fetched.source);
    Ok(sink.body)
}

/// `v1.2.4-0.20200101030000-abcdef012345`, for a commit.
fn pseudo(base: &str, time: &str, commit: &ObjectName) -> String {
    format!("{base}{time}-{}", commit.short())
}

const R: &str = "example.com/r";
const GO_MOD: &str = "module example.com/r\n\ngo 1.20\n";

fn simple() -> (MemoryRepository, ObjectName) {
    let mut repository = MemoryRepository::new(URL);
    let commit = repository.commit(&[], &[("go.mod", GO_MOD)]);
    repository.head(&commit);
    (repository, commit)
}

#[tokio::test]
async fn a_list_holds_the_canonical_tags_of_the_module_and_costs_one_question() {
    let (mut repository, commit) = simple();
    for tag in [
        "v1.0.0",
        "v1.10.0",
        "v1.2.0",
        "v1.2.0-pre",
        "v1",
        "v1.3",
        "v1.4.0+meta",
        "v0.0.0-20200102030405-abcdefabcdef",
        "a/v1.5.0",
        "release",
        "a/v2.5.0",
    ] {
        repository.tag(tag, &commit);
    }
    let repository = Arc::new(repository);
    let source = source(&repository);
    let expected = ["v1.0.0", "v1.2.0-pre", "v1.2.0", "v1.10.0"];
    assert_eq!(list(&source, R).await, expected);
    assert_eq!(repository.asked(), ["refs Recent"]);
    assert_eq!(list(&source, "example.com/r/a").await, ["v1.5.0"]);
    assert_eq!(list(&source, "example.com/r/a/v2").await, ["v2.5.0"]);
    assert!(list(&source, "example.com/r/b").await.is_empty());
}

#[tokio::test]
async fn incompatible_versions_are_listed_only_of_majors_without_go_mod() {
    let mut repository = MemoryRepository::new(URL);
    let old = repository.commit(&[], &[("a.go", "package a\n")]);
    let new = repository.commit(&[&old], &[("go.mod", "module example.com/r/v3\n")]);
    repository.tag("v1.0.0", &old);
    repository.tag("v2.0.0", &old);
    repository.tag("v2.1.0", &old);
    repository.tag("v3.0.0", &old);
    repository.tag("v3.1.0", &new);
    let repository = Arc::new(repository);
    let direct = source(&repository);
    let expected = ["v1.0.0", "v2.0.0+incompatible", "v2.1.0+incompatible"];
    assert_eq!(list(&direct, R).await, expected);
    repository.asked();
    // What lies at a commit is not asked again.
    assert_eq!(list(&direct, R).await, expected);
    assert_eq!(repository.asked(), ["refs Recent"]);
}

#[tokio::test]
async fn a_module_with_go_mod_has_no_incompatible_versions() {
    let (mut repository, commit) = simple();
    let old = repository.commit(&[], &[("a.go", "package a\n")]);
    repository.tag("v1.0.0", &commit);
    repository.tag("v2.0.0", &old);
    let repository = Arc::new(repository);
    assert_eq!(list(&source(&repository), R).await, ["v1.0.0"]);
    assert_eq!(
        resolve(&source(&repository), R, "v2.0.0").await.unwrap(),
        "v2.0.0+incompatible",
        "but those without go.mod can be asked for"
    );
}

#[tokio::test]
async fn a_repository_without_tags_has_an_empty_list_and_a_latest_version() {
    let (repository, commit) = simple();
    let repository = Arc::new(repository);
    let source = source(&repository);
    assert!(list(&source, R).await.is_empty());
    let expected = pseudo("v0.0.0-", "20200101000000", &commit);
    assert_eq!(latest(&source, R).await.unwrap(), expected);
    assert_eq!(resolve(&source, R, "main").await.unwrap(), expected);
    assert_eq!(resolve(&source, R, &expected).await.unwrap(), expected);
    let asked = repository.asked();
    assert!(!asked.contains(&"complete_history".to_owned()), "{asked:?}");
}

#[tokio::test]
async fn paths_below_a_module_are_proven_absent() {
    let (mut repository, commit) = simple();
    repository.tag("v1.0.0", &commit);
    let repository = Arc::new(repository);
    let source = source(&repository);
    let below = "example.com/r/a/b";
    assert!(list(&source, below).await.is_empty());
    let error = latest(&source, below).await.unwrap_err();
    let version = pseudo("v0.0.0-", "20200101000000", &commit);
    assert_eq!(
        error,
        format!(
            "{below}@{version}: invalid version: missing {below}/go.mod at revision {}",
            commit.short()
        )
    );
    let error = fetch(&source, below, "v1.0.0", FileKind::Zip).await;
    assert_eq!(error.unwrap_err().kind(), SourceErrorKind::NotExist);
    assert_eq!(
        resolve(&source, "example.com/r/v2", "main")
            .await
            .unwrap_err(),
        format!(
            "example.com/r/v2@v2.0.0-20200101000000-{short}: invalid version: go.mod has non-.../v2 module path \
             \"example.com/r\" (and .../v2/go.mod does not exist) at revision {short}",
            short = commit.short()
        )
    );
}

#[tokio::test]
async fn revision_names_come_to_tags_or_pseudo_versions_on_the_highest_tag_before_them() {
    let mut repository = MemoryRepository::new(URL);
    let first = repository.commit(&[], &[("go.mod", GO_MOD)]);
    let second = repository.commit(&[&first], &[("go.mod", GO_MOD)]);
    let third = repository.commit(&[&second], &[("go.mod", GO_MOD)]);
    let other = repository.commit(&[&first], &[("go.mod", GO_MOD)]);
    repository.tag("v1.2.3", &second);
    repository.tag("v1.1.0", &second);
    repository.tag("v1.5.0", &other);
    repository.tag("release", &second);
    repository.head(&third);
    repository.branch("side", &other);
    let repository = Arc::new(repository);
    let source = source(&repository);
    let third_version = pseudo("v1.2.4-0.", "20200101020000", &third);
    let check = async |revision: &str, expected: &str| {
        let got = resolve(&source, R, revision).await;
        assert_eq!(got.as_deref(), Ok(expected), "{revision}");
    };
    check("release", "v1.2.3").await;
    check("v1.1.0", "v1.1.0").await;
    check("side", "v1.5.0").await;
    check("main", &third_version).await;
    check("HEAD", &third_version).await;
    check(third.as_str(), &third_version).await;
    check(&third.as_str()[..7], &third_version).await;
    check(&third_version, &third_version).await;
    check(first.as_str(), &pseudo("v0.0.0-", "20200101000000", &first)).await;
    check("latest", &third_version).await;
    let unknown = resolve(&source, R, "nothing").await.unwrap_err();
    assert_eq!(
        unknown,
        "example.com/r@nothing: invalid version: unknown revision nothing"
    );
}

#[tokio::test]
async fn pseudo_versions_that_do_not_fit_their_commit_are_refused_in_gos_words() {
    let mut repository = MemoryRepository::new(URL);
    let first = repository.commit(&[], &[("go.mod", GO_MOD)]);
    let second = repository.commit(&[&first], &[("go.mod", GO_MOD)]);
    let other = repository.commit(&[&first], &[("go.mod", GO_MOD)]);
    repository.tag("v1.2.3", &second);
    repository.tag("v1.5.0", &other);
    repository.tag("v1.1.0+meta", &first);
    repository.head(&second);
    let repository = Arc::new(repository);
    let source = source(&repository);
    let short = second.short();
    let check = async |version: String, expected: &str| {
        let error = resolve(&source, R, &version).await.unwrap_err();
        assert_eq!(error, format!("{R}@{version}: {expected}"));
    };
    let time = "20200101010000";
    check(
        format!("v0.0.0-{time}-{}", &second.as_str()[..13]),
        &format!("invalid pseudo-version: revision is longer than canonical (expected {short})"),
    )
    .await;
    check(
        format!("v0.0.0-{time}-{}", &short[..8]),
        &format!("invalid pseudo-version: revision is shorter than canonical (expected {short})"),
    )
    .await;
    check(
        format!("v0.0.0-{time}-main"),
        &format!(
            "invalid pseudo-version: does not match short name of revision (expected {short})"
        ),
    )
    .await;
    check(
        format!("v0.0.0-20200101010001-{short}"),
        "invalid pseudo-version: does not match version-control timestamp (expected 20200101010000)",
    )
    .await;
    check(
        format!("v1.0.0-{time}-{short}"),
        "invalid pseudo-version: major version without preceding tag must be v0, not v1",
    )
    .await;
    check(
        format!("v1.2.4-0.{time}-{short}"),
        &format!(
            "invalid pseudo-version: tag (v1.2.3) found on revision {short} is already canonical, so should not be \
             replaced with a pseudo-version derived from that tag"
        ),
    )
    .await;
    check(
        format!("v1.4.1-0.{time}-{short}"),
        "invalid pseudo-version: preceding tag (v1.4.0) not found",
    )
    .await;
    check(
        format!("v1.5.1-0.{time}-{short}"),
        &format!(
            "invalid pseudo-version: revision {short} is not a descendent of preceding tag (v1.5.0)"
        ),
    )
    .await;
    check(
        format!("v1.2.0-0.{time}-{short}"),
        "invalid pseudo-version: version before v1.2.0 would have negative patch number",
    )
    .await;
    check(
        format!("v2.0.0-{time}-{short}"),
        "invalid version: module contains a go.mod file, so module path must match major version \
         (\"example.com/r/v2\")",
    )
    .await;
    // Not the highest tag before it, and one with metadata: good enough.
    let version = format!("v1.1.1-0.{time}-{short}");
    assert_eq!(resolve(&source, R, &version).await.unwrap(), version);
}

#[tokio::test]
async fn versions_must_be_the_tags_that_they_name() {
    let (mut repository, commit) = simple();
    repository.tag("v1.0.0", &commit);
    repository.branch("v1.1.0", &commit);
    repository.tag("v2.0.0", &commit);
    repository.tag("v1.3.0+meta", &commit);
    let repository = Arc::new(repository);
    let source = source(&repository);
    let check = async |revision: &str, expected: &str| {
        let error = resolve(&source, R, revision).await.unwrap_err();
        assert_eq!(
            error,
            format!("{R}@{revision}: invalid version: {expected}")
        );
    };
    check("v1.9.0", "unknown revision v1.9.0").await;
    check("v1.1.0", "resolves to version v1.0.0 (v1.1.0 is not a tag)").await;
    check(
        "v1.0.0+incompatible",
        "+incompatible suffix not allowed: major version v1 is compatible",
    )
    .await;
    check(
        "v2.0.0",
        "module contains a go.mod file, so module path must match major version (\"example.com/r/v2\")",
    )
    .await;
    let error = fetch(&source, R, "v1.1.0", FileKind::Mod)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), SourceErrorKind::NotExist);
    assert_eq!(error.0.url.as_deref(), Some(URL));
    assert_eq!(error.0.source.as_deref(), Some(URL));
}

#[tokio::test]
async fn a_tag_with_metadata_is_the_base_of_a_pseudo_version() {
    let (mut repository, commit) = simple();
    repository.tag("v1.3.0+meta", &commit);
    let repository = Arc::new(repository);
    let source = source(&repository);
    let expected = pseudo("v1.3.1-0.", "20200101000000", &commit);
    assert_eq!(resolve(&source, R, "main").await.unwrap(), expected);
    assert_eq!(resolve(&source, R, "v1.3.0+meta").await.unwrap(), expected);
    assert_eq!(resolve(&source, R, &expected).await.unwrap(), expected);
}

#[tokio::test]
async fn retracted_versions_are_listed_but_neither_latest_nor_a_base() {
    let mut repository = MemoryRepository::new(URL);
    let first = repository.commit(&[], &[("go.mod", GO_MOD)]);
    let retracting = format!("{GO_MOD}retract (\n\tv1.9.0\n\tv1.1.0 // broken\n)\n");
    let second = repository.commit(&[&first], &[("go.mod", GO_MOD)]);
    let third = repository.commit(&[&second], &[("go.mod", &retracting)]);
    let fourth = repository.commit(&[&third], &[("go.mod", GO_MOD)]);
    repository.tag("v1.0.0", &first);
    repository.tag("v1.1.0", &second);
    repository.tag("v1.9.0", &third);
    repository.head(&fourth);
    let repository = Arc::new(repository);
    let source = source(&repository);
    assert_eq!(list(&source, R).await, ["v1.0.0", "v1.1.0", "v1.9.0"]);
    assert_eq!(latest(&source, R).await.unwrap(), "v1.0.0");
    assert_eq!(
        resolve(&source, R, "main").await.unwrap(),
        pseudo("v1.0.1-0.", "20200101030000", &fourth)
    );
    assert_eq!(
        resolve(&source, R, second.as_str()).await.unwrap(),
        pseudo("v1.0.1-0.", "20200101010000", &second)
    );
    assert_eq!(resolve(&source, R, "v1.1.0").await.unwrap(), "v1.1.0");
}

#[tokio::test]
async fn the_latest_version_prefers_releases_and_compatible_ones() {
    let check = async |repository: MemoryRepository, expected: &str| {
        let repository = Arc::new(repository);
        assert_eq!(latest(&source(&repository), R).await.unwrap(), expected);
    };
    let build = |tags: &[&str]| {
        let mut repository = MemoryRepository::new(URL);
        let old = repository.commit(&[], &[("a.go", "package a\n")]);
        let new = repository.commit(&[&old], &[("go.mod", GO_MOD)]);
        repository.tag("v2.0.0", &old);
        repository.head(&new);
        for tag in tags {
            repository.tag(tag, &new);
        }
        repository
    };
    check(build(&[]), "v2.0.0+incompatible").await;
    check(build(&["v1.0.0-pre"]), "v1.0.0-pre").await;
    check(build(&["v1.0.0-pre", "v0.9.0"]), "v0.9.0").await;
}

#[tokio::test]
async fn origins_say_what_an_answer_depends_on() {
    let mut repository = MemoryRepository::new(URL);
    let first = repository.commit(&[], &[("a/go.mod", "module example.com/r/a\n")]);
    let second = repository.commit(&[&first], &[("a/go.mod", "module example.com/r/a\n")]);
    repository.tag("a/v1.0.0", &first);
    repository.head(&second);
    let repository = Arc::new(repository);
    let source = source(&repository);
    let path = module_path("example.com/r/a");
    let sum = "t1:A9xv61nyxNcoa+CgVsJY10cM+1yNEqtrh0xnYrRsUnQ=";
    let check = async |revision: &str, expected: &str| {
        let revision = Revision::parse(revision).unwrap();
        let resolved = source.resolve(&path, &revision).await.unwrap();
        let origin = resolved.info.origin.unwrap();
        let start = format!("{{\"VCS\":\"git\",\"URL\":\"{URL}\",\"Subdir\":\"a\",");
        assert_eq!(origin.strip_prefix(&start), Some(expected), "{revision}");
    };
    let tags = format!("\"TagPrefix\":\"a/\",\"TagSum\":\"{sum}\"");
    check(
        "v1.0.0",
        &format!("\"Hash\":\"{first}\",\"Ref\":\"refs/tags/a/v1.0.0\"}}"),
    )
    .await;
    check(
        "main",
        &format!("\"Hash\":\"{second}\",{tags},\"Ref\":\"refs/heads/main\"}}"),
    )
    .await;
    check(
        "HEAD",
        &format!("\"Hash\":\"{second}\",{tags},\"Ref\":\"HEAD\"}}"),
    )
    .await;
    check(second.as_str(), &format!("\"Hash\":\"{second}\",{tags}}}")).await;
    check(
        first.as_str(),
        &format!("\"Hash\":\"{first}\",\"Ref\":\"refs/tags/a/v1.0.0\"}}"),
    )
    .await;
    let latest = source.latest(&path).await.unwrap().info;
    assert_eq!(latest.version.as_str(), "v1.0.0");
    assert_eq!(
        latest.origin.unwrap(),
        format!(
            "{{\"VCS\":\"git\",\"URL\":\"{URL}\",\"Subdir\":\"a\",\"Hash\":\"{first}\",{tags},\
             \"Ref\":\"refs/tags/a/v1.0.0\"}}"
        )
    );
}

#[tokio::test]
async fn a_nested_root_is_asked_where_the_outer_one_has_no_such_module() {
    let (mut outer, commit) = simple();
    outer.tag("inner/v1.0.0", &commit);
    let inner_path = "example.com/r/inner";
    let mut inner = MemoryRepository::new(URL);
    let commit = inner.commit(&[], &[("go.mod", "module example.com/r/inner\n")]);
    inner.tag("v1.1.0", &commit);
    inner.head(&commit);

    struct Two(Arc<MemoryRepository>, Arc<MemoryRepository>);
    impl Repositories for Two {
        fn open(
            &self,
            url: &RepositoryUrl,
            _: Trust,
        ) -> Result<Arc<dyn crate::Repository>, SourceError> {
            Ok(if url.as_str() == URL {
                self.0.clone()
            } else {
                self.1.clone()
            })
        }
    }
    let source = DirectSource::new(
        Arc::new(FixedRoots {
            root: root(R),
            inner: Some(Location::Repository(RepositoryRoot {
                prefix: inner_path.to_owned(),
                url: RepositoryUrl::parse("https://git.example/inner").unwrap(),
                subdirectory: String::new(),
                trust: Trust::Chosen,
            })),
        }),
        Arc::new(Two(Arc::new(outer), Arc::new(inner))),
        Arc::new(NoProxies),
    );
    // A tag of the outer repository for a folder without go.mod: as in Go, the list is not about go.mod.
    assert_eq!(list(&source, inner_path).await, ["v1.0.0"]);
    assert_eq!(
        resolve(&source, inner_path, "v1.1.0").await.unwrap(),
        "v1.1.0"
    );
    assert_eq!(
        list(&source, "example.com/r/inner/v3").await,
        Vec::<String>::new()
    );
    let go_mod = fetch(&source, inner_path, "v1.1.0", FileKind::Mod).await;
    assert_eq!(go_mod.unwrap(), b"module example.com/r/inner\n");
}

#[tokio::test]
async fn files_are_the_raw_go_mod_the_made_up_one_and_the_canonical_info() {
    let mut repository = MemoryRepository::new(URL);
    let bare = repository.commit(&[], &[("a.go", "package a\n")]);
    let crlf = repository.commit(&[&bare], &[("go.mod", "module example.com/r\r\n")]);
    repository.tag("v0.1.0", &bare);
    repository.tag("v1.0.0", &crlf);
    repository.head(&crlf);
    let repository = Arc::new(repository);
    let source = source(&repository);
    let check = async |version: &str, kind, expected: &str| {
        let body = fetch(&source, R, version, kind).await.unwrap();
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    };
    check("v0.1.0", FileKind::Mod, "module example.com/r\n").await;
    check("v1.0.0", FileKind::Mod, "module example.com/r\r\n").await;
    check(
        "v1.0.0",
        FileKind::Info,
        &format!(
            "{{\"Version\":\"v1.0.0\",\"Time\":\"2020-01-01T01:00:00Z\",\"Origin\":{{\"VCS\":\"git\",\"URL\":\"{URL}\",\
             \"Hash\":\"{crlf}\",\"Ref\":\"refs/tags/v1.0.0\"}}}}"
        ),
    )
    .await;
}

#[tokio::test]
async fn major_versions_live_on_branches_or_in_folders_but_not_in_both() {
    let two = "module example.com/r/v2\n";
    let check = async |files: &[(&str, &str)], expected: Result<&str, &str>| {
        let mut repository = MemoryRepository::new(URL);
        let commit = repository.commit(&[], files);
        repository.tag("v2.0.0", &commit);
        repository.head(&commit);
        let repository = Arc::new(repository);
        let got = resolve(&source(&repository), "example.com/r/v2", "v2.0.0").await;
        let expected = expected.map(str::to_owned).map_err(|reason| {
            format!("example.com/r/v2@v2.0.0: invalid version: {reason} at revision v2.0.0")
        });
        assert_eq!(got, expected, "{files:?}");
    };
    check(&[("go.mod", two)], Ok("v2.0.0")).await;
    check(&[("go.mod", GO_MOD), ("v2/go.mod", two)], Ok("v2.0.0")).await;
    check(
        &[("v2/go.mod", "module example.org/fork/v2\n")],
        Ok("v2.0.0"),
    )
    .await;
    check(
        &[("go.mod", two), ("v2/go.mod", two)],
        Err("example.com/r/go.mod and .../v2/go.mod both have .../v2 module paths"),
    )
    .await;
    check(
        &[("go.mod", two), ("v2/go.mod", GO_MOD)],
        Err("example.com/r/v2/go.mod has non-.../v2 module path \"example.com/r\""),
    )
    .await;
    check(
        &[("go.mod", two), ("v2/go.mod", "go 1.20\n")],
        Err("example.com/r/v2/go.mod is missing module path"),
    )
    .await;
    check(
        &[("a.go", "")],
        Err("missing example.com/r/go.mod and .../v2/go.mod"),
    )
    .await;
    check(
        &[("go.mod", "go 1.20\n")],
        Err("go.mod is missing module path (and .../v2/go.mod does not exist)"),
    )
    .await;
}

#[tokio::test]
async fn a_failure_that_is_no_absence_comes_through_as_it_is() {
    struct Closed;
    impl Repositories for Closed {
        fn open(
            &self,
            _: &RepositoryUrl,
            _: Trust,
        ) -> Result<Arc<dyn crate::Repository>, SourceError> {
            Err(SourceError::new(SourceErrorKind::Refused, "no entry"))
        }
    }
    let source = DirectSource::new(
        Arc::new(FixedRoots {
            root: root(R),
            inner: Some(root("example.com/r/other")),
        }),
        Arc::new(Closed),
        Arc::new(NoProxies),
    );
    let module_path = module_path(R);
    let error = source.list(&module_path).await.unwrap_err();
    assert_eq!(error.kind(), SourceErrorKind::Refused);
    assert_eq!(error.to_string(), "no entry");
    assert_eq!(error.0.asked, crate::Asked::Repository { module_path });
}

#[tokio::test]
async fn gopkg_in_keeps_its_own_rules() {
    let mut repository = MemoryRepository::new(URL);
    let commit = repository.commit(&[], &[("a.go", "package a\n")]);
    repository.tag("v1.0.0", &commit);
    repository.tag("v2.0.0", &commit);
    repository.head(&commit);
    let repository = Arc::new(repository);
    let path = "gopkg.in/check.v1";
    let direct = source_at(&repository, path);
    assert_eq!(list(&direct, path).await, ["v1.0.0"]);
    let go_mod = fetch(&direct, path, "v1.0.0", FileKind::Mod).await;
    assert_eq!(go_mod.unwrap(), b"module gopkg.in/check.v1\n");
    let unstable = "gopkg.in/check.v1-unstable";
    let direct = source_at(&repository, unstable);
    assert!(list(&direct, unstable).await.is_empty());
}
