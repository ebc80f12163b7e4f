//! Which commit a revision name stands for, and what it costs.

use std::collections::BTreeSet;

use super::{Fixture, Setup};
use crate::{
    Freshness, Refresher, Repositories, RepositoryAddress, RepositoryUrl, SourceErrorKind, Touched,
    Trust,
};

async fn tagged() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.write("go.mod", "module git.example/m\n");
    fixture.commit("one").await;
    fixture.git(&["tag", "v1.0.0"]).await;
    fixture.write("a.go", "package m\n");
    fixture.commit("two").await;
    fixture.git(&["tag", "-a", "-m", "x", "v1.1.0"]).await;
    fixture.git(&["tag", "nice"]).await;
    fixture.git(&["branch", "side"]).await;
    fixture.write("b.go", "package m\n");
    fixture.commit("three").await;
    fixture
}

#[tokio::test]
async fn tags_branches_head_and_hashes_are_found_with_all_tags_of_their_commit() {
    let fixture = tagged().await;
    let setup = Setup::new().await;
    let repository = setup.open(&fixture.url()).await;
    let (one, two, three) = (
        fixture.name("v1.0.0").await,
        fixture.name("side").await,
        fixture.name("main").await,
    );
    let check = async |revision: &str, expected: Option<(&_, Option<&str>, &[&str])>| {
        let found = repository.find(revision).await.unwrap();
        let found = found.map(|commit| (commit.name, commit.found_by, commit.tags));
        let expected = expected.map(|(name, found_by, tags): (&crate::ObjectName, _, _)| {
            let tags: BTreeSet<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
            (name.clone(), found_by.map(str::to_owned), tags)
        });
        assert_eq!(found, expected, "{revision}");
    };
    check(
        "nice",
        Some((&two, Some("refs/tags/nice"), &["nice", "v1.1.0"])),
    )
    .await;
    check(
        "v1.0.0",
        Some((&one, Some("refs/tags/v1.0.0"), &["v1.0.0"])),
    )
    .await;
    check(
        "v1.1.0",
        Some((&two, Some("refs/tags/v1.1.0"), &["nice", "v1.1.0"])),
    )
    .await;
    check("main", Some((&three, Some("refs/heads/main"), &[]))).await;
    check("HEAD", Some((&three, Some("HEAD"), &[]))).await;
    check(&three.as_str()[..7], Some((&three, None, &[]))).await;
    check(
        &one.as_str()[..12],
        Some((&one, Some("refs/tags/v1.0.0"), &["v1.0.0"])),
    )
    .await;
    check("v9.9.9", None).await;
    check("abcdef1", None).await;
    check("no such thing", None).await;
    check("--upload-pack=touch", None).await;
    check("refs/heads/main", None).await;
    check("main^", None).await;
    check("", None).await;
}

#[tokio::test]
async fn the_time_of_a_commit_is_when_it_was_committed() {
    let fixture = tagged().await;
    let setup = Setup::new().await;
    let commit = setup
        .open(&fixture.url())
        .await
        .find("v1.1.0")
        .await
        .unwrap();
    let expected = fixture.git(&["log", "-1", "--format=%ct", "v1.1.0"]).await;
    assert_eq!(commit.unwrap().committed_unix_seconds.to_string(), expected);
}

#[tokio::test]
async fn a_cold_version_takes_three_processes_and_one_shallow_fetch() {
    let fixture = tagged().await;
    let setup = Setup::new().await;
    let repository = setup.open(&fixture.url()).await;
    let commit = repository.find("v1.1.0").await.unwrap().unwrap().name;
    let file = repository.file(&commit, "go.mod", 1000).await.unwrap();
    assert_eq!(file.unwrap(), "module git.example/m\n");
    let tree = repository.tree(&commit, "").await.unwrap().unwrap();
    assert_eq!(tree.len(), 2);
    let names = super::reading::archived(repository.archive(&commit, "").await.unwrap()).await;
    assert_eq!(names, ["a.go", "go.mod"]);
    assert_eq!(setup.commands(), ["fetch", "cat-file", "archive"]);
    // The start asks for the version and for the user's configuration.
    let lines = setup.lines();
    assert_eq!(lines.len(), 2 + 3, "{lines:?}");
    let fetch = lines.iter().find(|line| line.contains(" fetch ")).unwrap();
    assert!(fetch.contains("--depth=1"), "{fetch}");
    assert!(
        fetch.ends_with("refs/tags/v1.1.0:refs/tags/v1.1.0"),
        "{fetch}"
    );

    // The second version: what is new.
    repository.find("v1.0.0").await.unwrap().unwrap();
    assert_eq!(setup.commands()[3..], ["ls-remote", "fetch"]);
}

#[tokio::test]
async fn a_version_that_is_here_needs_no_network() {
    let fixture = tagged().await;
    let setup = Setup::new().await;
    setup
        .open(&fixture.url())
        .await
        .find("v1.1.0")
        .await
        .unwrap();
    // Another process, later.
    let asked = setup.commands().len();
    let repository = setup.open(&fixture.url()).await;
    fs_err::remove_dir_all(fixture.path().join(".git")).unwrap();
    let commit = repository.find("v1.1.0").await.unwrap().unwrap();
    assert!(commit.tags.contains("v1.1.0"));
    repository
        .file(&commit.name, "go.mod", 100)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(setup.commands()[asked..], ["cat-file"]);
    // By its hash it is found, too, although nobody can say its tags.
    let by_hash = repository.find(commit.name.short()).await.unwrap().unwrap();
    assert_eq!(by_hash.name, commit.name);
    // What is not here is a failure, not an absence.
    let failure = repository.find("v1.0.0").await.unwrap_err();
    assert_eq!(failure.kind(), SourceErrorKind::Refused, "{failure}");
}

#[tokio::test]
async fn callers_at_the_same_time_share_one_listing() {
    let fixture = tagged().await;
    let setup = Setup::new().await;
    let repository = setup.open(&fixture.url()).await;
    let ask = || repository.refs(Freshness::Recent);
    let (a, b, c) = tokio::join!(ask(), ask(), ask());
    assert_eq!(a.unwrap(), b.unwrap());
    assert_eq!(c.unwrap().tags("").count(), 3);
    repository.refs(Freshness::Known).await.unwrap();
    assert_eq!(setup.commands(), ["ls-remote"]);
    repository.forget_listing();
    repository.refs(Freshness::Known).await.unwrap();
    assert_eq!(setup.commands(), ["ls-remote", "ls-remote"]);
}

#[tokio::test]
async fn a_refresh_reaches_the_repositories_that_it_touches_and_no_others() {
    let setup = Setup::new().await;
    let git = setup.start().await;
    let log = setup.folder.path().join("log");
    // Every repository is there and has one commit.
    setup
        .program(&format!(
            "printf '%s\\n' \"$*\" >> {}\nprintf '%040d\\tHEAD\\n' 1",
            log.display()
        ))
        .await;
    let url = |text| RepositoryUrl::parse(text).unwrap();
    let tool = url("https://git.example/team/tool");
    let other = url("https://git.example/team/other");
    let ask_both = async || {
        for url in [&tool, &other] {
            let repository = git.open(url, Trust::Named).unwrap();
            repository.refs(Freshness::Known).await.unwrap();
        }
        setup.commands().len()
    };
    assert_eq!(ask_both().await, 2);
    assert_eq!(ask_both().await, 2);
    let address = RepositoryAddress::parse("git@git.example:team/tool.git").unwrap();
    git.forget(&mut Touched::repository(address));
    assert_eq!(ask_both().await, 3);
    let team = gomod::ModulePath::parse("git.example/team").unwrap();
    git.forget(&mut Touched::below(&team));
    assert_eq!(ask_both().await, 5);
}

#[tokio::test]
async fn an_empty_repository_is_readable_and_has_nothing() {
    let fixture = Fixture::new().await;
    let setup = Setup::new().await;
    let repository = setup.open(&fixture.url()).await;
    assert_eq!(repository.find("v1.0.0").await.unwrap(), None);
    assert_eq!(repository.find("HEAD").await.unwrap(), None);
    assert_eq!(repository.find("abcdef1234").await.unwrap(), None);
    repository.complete_history().await.unwrap();
    let refs = repository.refs(Freshness::Known).await.unwrap();
    assert_eq!(refs.iter().count(), 0);
}

#[tokio::test]
async fn a_repository_of_sha256_is_read_like_any_other() {
    let fixture = Fixture::of_format("sha256").await;
    fixture.write("sub/go.mod", "module git.example/m/sub\n");
    let name = fixture.commit("one").await;
    fixture.git(&["tag", "sub/v1.0.0"]).await;
    let setup = Setup::new().await;
    let repository = setup.open(&fixture.url()).await;
    let commit = repository.find("sub/v1.0.0").await.unwrap().unwrap();
    assert_eq!(commit.name, name);
    assert_eq!(commit.name.as_str().len(), 64);
    assert!(
        repository
            .file(&name, "sub/go.mod", 100)
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(
        repository.tree(&name, "sub").await.unwrap().unwrap().len(),
        1
    );
    let by_hash = repository
        .find(&name.as_str()[..12])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(by_hash.name, name);
    repository.complete_history().await.unwrap();
    assert_eq!(repository.merged_tags(&name).await.unwrap(), ["sub/v1.0.0"]);
}

#[tokio::test]
async fn history_comes_once_and_then_only_what_is_new() {
    let fixture = tagged().await;
    let setup = Setup::new().await;
    let repository = setup.open(&fixture.url()).await;
    let head = repository.find("HEAD").await.unwrap().unwrap().name;
    assert_eq!(
        repository.merged_tags(&head).await.unwrap(),
        Vec::<String>::new()
    );
    assert!(!repository.descends_from(&head, "v1.0.0").await.unwrap());
    repository.complete_history().await.unwrap();
    assert_eq!(
        repository.merged_tags(&head).await.unwrap(),
        ["nice", "v1.0.0", "v1.1.0"]
    );
    assert!(repository.descends_from(&head, "v1.0.0").await.unwrap());
    let one = fixture.name("v1.0.0").await;
    assert!(!repository.descends_from(&one, "v1.1.0").await.unwrap());
    assert!(!repository.descends_from(&one, "v7.0.0").await.unwrap());
    assert!(!setup.mirror().join("shallow").exists());

    let asked = setup.commands().len();
    repository.complete_history().await.unwrap();
    assert_eq!(setup.commands().len(), asked);

    // A later tag does not cut the history off again.
    fixture.commit("four").await;
    fixture.git(&["tag", "v1.2.0"]).await;
    repository.forget_listing();
    let four = repository.find("v1.2.0").await.unwrap().unwrap().name;
    assert!(!setup.mirror().join("shallow").exists());
    assert!(repository.descends_from(&four, "v1.1.0").await.unwrap());
    repository.complete_history().await.unwrap();
    assert_eq!(repository.merged_tags(&four).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_commit_of_the_history_is_found_by_a_prefix_and_one_beside_it_never() {
    let fixture = tagged().await;
    fixture.git(&["tag", "-d", "v1.0.0"]).await;
    let root = fixture.name("main~2").await;
    // As code hosts keep what was proposed and never taken.
    fixture.git(&["checkout", "-q", "--detach"]).await;
    fixture.write("c.go", "package evil\n");
    let beside = fixture.commit("beside").await;
    fixture
        .git(&["update-ref", "refs/pull/1/head", beside.as_str()])
        .await;
    fixture.git(&["checkout", "-q", "main"]).await;
    let setup = Setup::new().await;
    let repository = setup.open(&fixture.url()).await;
    let found = repository
        .find(&root.as_str()[..12])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.name, root);
    assert_eq!(found.found_by, None);
    assert_eq!(repository.find(beside.as_str()).await.unwrap(), None);
    assert_eq!(repository.find(beside.short()).await.unwrap(), None);
    let unknown = repository.file(&beside, "c.go", 100).await.unwrap_err();
    assert!(unknown.is_absence(), "{unknown}");
}

#[tokio::test]
async fn a_moved_tag_stays_what_it_was_first_and_is_told_once() {
    let fixture = tagged().await;
    let setup = Setup::new().await;
    let repository = setup.open(&fixture.url()).await;
    let first = repository.find("v1.0.0").await.unwrap().unwrap().name;
    let now = fixture.name("main").await;
    fixture.git(&["tag", "-f", "v1.0.0", "main"]).await;

    repository.forget_listing();
    for _ in 0..2 {
        repository.forget_listing();
        let main = repository.find("main").await.unwrap().unwrap();
        assert_eq!(main.name, now);
        assert!(main.tags.is_empty(), "{:?}", main.tags);
    }
    repository.complete_history().await.unwrap();
    let again = repository.find("v1.0.0").await.unwrap().unwrap();
    assert_eq!(again.name, first);
    assert!(again.tags.contains("v1.0.0"));
    assert_eq!(repository.merged_tags(&first).await.unwrap(), ["v1.0.0"]);
    assert_eq!(
        *setup.heard.moved.lock(),
        [("v1.0.0".to_owned(), first, now)]
    );
}

#[tokio::test]
async fn a_tag_whose_commit_came_by_a_branch_needs_no_second_fetch() {
    let fixture = tagged().await;
    let setup = Setup::new().await;
    let repository = setup.open(&fixture.url()).await;
    let side = repository.find("side").await.unwrap().unwrap();
    let tag = repository.find("v1.1.0").await.unwrap().unwrap();
    assert_eq!(side.name, tag.name);
    assert_eq!(setup.commands(), ["ls-remote", "fetch", "cat-file"]);
    let mut merged = repository.merged_tags(&tag.name).await.unwrap();
    merged.sort();
    assert_eq!(merged, ["v1.1.0"]);
}

#[tokio::test]
async fn a_ref_that_cannot_be_fetched_alone_comes_with_everything() {
    let fixture = tagged().await;
    let setup = Setup::new().await;
    let real = super::fixture::real_git();
    let log = setup.folder.path().join("log");
    // A server that knows no shallow fetches.
    setup
        .program(&format!(
            "printf '%s\\n' \"$*\" >> {}\ncase \"$*\" in *--depth=1*) echo 'fatal: dumb http transport does not support shallow capabilities' >&2; exit 128;; esac\nexec {} \"$@\"",
            log.display(),
            real.display()
        ))
        .await;
    let repository = setup.open(&fixture.url()).await;
    let commit = repository.find("v1.0.0").await.unwrap().unwrap();
    assert_eq!(commit.name, fixture.name("v1.0.0").await);
    assert_eq!(
        setup.commands(),
        ["fetch", "ls-remote", "fetch", "fetch", "cat-file"]
    );
}

#[tokio::test]
async fn branches_whose_names_stand_in_each_others_way_are_fetched() {
    let fixture = tagged().await;
    fixture.git(&["branch", "a"]).await;
    let setup = Setup::new().await;
    let repository = setup.open(&fixture.url()).await;
    repository.find("a").await.unwrap().unwrap();
    repository.complete_history().await.unwrap();
    fixture.git(&["branch", "-D", "a"]).await;
    fixture.git(&["checkout", "-q", "-b", "a/b"]).await;
    let commit = fixture.commit("more").await;
    repository.forget_listing();
    let found = repository.find("a/b").await.unwrap().unwrap();
    assert_eq!(found.name, commit);
    repository.complete_history().await.unwrap();
}
