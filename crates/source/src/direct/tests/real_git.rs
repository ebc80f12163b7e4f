//! The rules over repositories that git itself made and reads.

use std::io::Read;
use std::time::Duration;

use parking_lot::Mutex;
use tempfile::TempDir;
use testkit::GitRepository;

use super::*;
use crate::{Git, GitObserver, GitOptions, GitProtocol, ProcessKind};

/// Notes which processes are started.
#[derive(Default)]
struct Started(Mutex<Vec<ProcessKind>>);

impl GitObserver for Started {
    fn process_started(&self, kind: ProcessKind) {
        self.0.lock().push(kind);
    }
    fn process_finished(&self, _: ProcessKind, _: Result<(), SourceErrorKind>, _: Duration) {}
}

impl Started {
    /// Since the last time, by name.
    fn take(&self) -> Vec<String> {
        let kinds = std::mem::take(&mut *self.0.lock());
        kinds.iter().map(|kind| format!("{kind:?}")).collect()
    }
}

/// A source for `example.com/r`, whose repository is this one.
async fn source_of(repository: &GitRepository) -> (DirectSource, Arc<Started>, TempDir) {
    let mirrors = TempDir::new().unwrap();
    let path = option_env!("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin");
    let mut options = GitOptions::new(mirrors.path(), vec![("PATH".into(), path.into())]);
    let started = Arc::new(Started::default());
    options.observer = started.clone();
    options.protocols.insert(GitProtocol::File);
    let git = Git::find(options).await.unwrap();
    started.take();
    let url = format!("file://{}", repository.folder().display());
    let roots = FixedRoots {
        root: Location::Repository(RepositoryRoot {
            prefix: R.to_owned(),
            url: RepositoryUrl::parse(&url).unwrap(),
            subdirectory: String::new(),
            trust: Trust::Named,
        }),
        inner: None,
    };
    let source = DirectSource::new(Arc::new(roots), Arc::new(git), Arc::new(NoProxies));
    (source, started, mirrors)
}

/// Names, without the module's prefix, and contents.
fn contents(zip: Vec<u8>, path: &str, version: &str) -> Vec<(String, String)> {
    let mut archive = ::zip::ZipArchive::new(std::io::Cursor::new(zip)).unwrap();
    let prefix = format!("{path}@{version}/");
    (0..archive.len())
        .map(|index| {
            let mut file = archive.by_index(index).unwrap();
            let name = file
                .name()
                .unwrap()
                .strip_prefix(&prefix)
                .unwrap()
                .to_owned();
            let mut content = String::new();
            file.read_to_string(&mut content).unwrap();
            (name, content)
        })
        .collect()
}

#[tokio::test]
async fn a_zip_has_what_attributes_ask_for_and_the_go_mod_has_not() {
    let repository = GitRepository::new();
    let go_mod = "module example.com/r/sub\n";
    let commit = repository
        .commit("main")
        .file(
            ".gitattributes",
            "* text=auto eol=crlf\n*.id ident\nsecret.txt export-ignore\nsubst.txt export-subst\n",
        )
        .file("LICENSE", "free\n")
        .file("sub/go.mod", go_mod)
        .file("sub/name.id", "$Id$\n")
        .file("sub/secret.txt", "told\n")
        .file("sub/subst.txt", "$Format:%H$\n")
        .executable("sub/run", "run\n")
        .symlink("sub/link", "go.mod")
        .submodule("sub/other", &"1".repeat(40))
        .file("sub/nested/go.mod", "module example.com/r/sub/nested\n")
        .file("sub/nested/n.go", "package nested\n")
        .write();
    repository.tag("sub/v1.0.0", &commit);
    let blob = repository.git(&["rev-parse", "main:sub/name.id"]);
    let (source, _, _mirrors) = source_of(&repository).await;
    let path = "example.com/r/sub";
    let zip = fetch(&source, path, "v1.0.0", FileKind::Zip).await.unwrap();
    let expected = [
        ("go.mod", "module example.com/r/sub\r\n".to_owned()),
        ("name.id", format!("$Id: {blob} $\r\n")),
        ("run", "run\r\n".to_owned()),
        ("secret.txt", "told\r\n".to_owned()),
        ("subst.txt", "$Format:%H$\r\n".to_owned()),
        ("LICENSE", "free\n".to_owned()),
    ];
    let expected = expected.map(|(name, content)| (name.to_owned(), content));
    assert_eq!(contents(zip, path, "v1.0.0"), expected);
    let raw = fetch(&source, path, "v1.0.0", FileKind::Mod).await.unwrap();
    assert_eq!(String::from_utf8(raw).unwrap(), go_mod);
}

#[tokio::test]
async fn a_cold_version_costs_three_processes_and_the_next_only_what_is_new() {
    let repository = GitRepository::new();
    let first = repository
        .commit("main")
        .file("go.mod", GO_MOD)
        .file("a/go.mod", "module example.com/r/a\n")
        .write();
    repository.tag("v1.0.0", &first);
    repository.tag("a/v0.1.0", &first);
    let second = repository
        .commit("main")
        .file("b.go", "package r\n")
        .write();
    repository.tag("v1.1.0", &second);
    let (source, started, _mirrors) = source_of(&repository).await;
    let version = ModuleVersion::new(module_path(R), Version::parse("v1.0.0").unwrap()).unwrap();
    for kind in [FileKind::Zip, FileKind::Mod, FileKind::Info] {
        let mut sink = NotingSink::default();
        source.fetch(&version, kind, &mut sink).await.unwrap();
    }
    assert_eq!(started.take(), ["Fetch", "Objects", "Archive"]);
    // The other module lies at the same commit, which the listing shows.
    let inner = "example.com/r/a";
    fetch(&source, inner, "v0.1.0", FileKind::Zip)
        .await
        .unwrap();
    assert_eq!(started.take(), ["Listing", "Archive"]);
    fetch(&source, R, "v1.1.0", FileKind::Mod).await.unwrap();
    assert_eq!(started.take(), ["Fetch"]);
    // What is known of a root makes paths below it cheap.
    assert!(list(&source, "example.com/r/a/b/c").await.is_empty());
    assert!(list(&source, "example.com/r/a/b").await.is_empty());
    assert_eq!(list(&source, inner).await, ["v0.1.0"]);
    assert_eq!(list(&source, R).await, ["v1.0.0", "v1.1.0"]);
    // At most one listing, where that of before is no longer recent.
    let processes = started.take();
    assert!(
        matches!(processes.join(" ").as_str(), "" | "Listing"),
        "{processes:?}"
    );
}

#[tokio::test]
async fn commits_outside_of_heads_and_tags_are_no_versions() {
    let repository = GitRepository::sha256();
    let main = repository.commit("main").file("go.mod", GO_MOD).write();
    let request = repository
        .commit("request")
        .parent(&main)
        .file("evil.go", "package r\n")
        .write();
    repository.reference("refs/pull/1/head", &request);
    repository.git(&["branch", "-D", "request"]);
    let (source, _, _mirrors) = source_of(&repository).await;
    let main_version = format!("v0.0.0-20231114221320-{}", &main[..12]);
    assert_eq!(
        resolve(&source, R, &main[..12]).await.unwrap(),
        main_version
    );
    for name in [&request[..], &request[..12]] {
        let error = resolve(&source, R, name).await.unwrap_err();
        assert!(error.contains("unknown revision"), "{error}");
    }
    let version = format!("v0.0.0-20231114221420-{}", &request[..12]);
    let error = fetch(&source, R, &version, FileKind::Zip)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), SourceErrorKind::NotExist);
}

#[tokio::test]
async fn many_questions_about_one_version_at_once_bring_it_in_once() {
    let repository = GitRepository::new();
    let commit = repository.commit("main").file("go.mod", GO_MOD).write();
    repository.tag("v1.0.0", &commit);
    let (source, started, _mirrors) = source_of(&repository).await;
    let source = Arc::new(source);
    let mut asking = tokio::task::JoinSet::new();
    for kind in FileKind::ALL.into_iter().cycle().take(30) {
        let source = source.clone();
        asking.spawn(async move { fetch(&source, R, "v1.0.0", kind).await.unwrap() });
    }
    while let Some(asked) = asking.join_next().await {
        asked.unwrap();
    }
    let mut processes = started.take();
    processes.retain(|kind| kind == "Listing" || kind == "Fetch");
    processes.sort();
    assert_eq!(processes, ["Fetch"]);
}
