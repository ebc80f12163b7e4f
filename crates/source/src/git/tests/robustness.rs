//! Hostile repositories, broken mirrors, silence and limits.

use std::time::Duration;

use super::{Fixture, Setup};
use crate::git::ProcessKind;
use crate::raw_server::{RawServer, Step, answer};
use crate::{Freshness, Repositories, RepositoryUrl, SourceErrorKind, Trust};

async fn one_version() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.write("go.mod", "module git.example/m\n");
    fixture.commit("one").await;
    fixture.git(&["tag", "v1.0.0"]).await;
    fixture
}

#[tokio::test]
async fn a_mirror_may_vanish_at_any_time() {
    let fixture = one_version().await;
    let setup = Setup::new().await;
    let repository = setup.open(&fixture.url()).await;
    let commit = repository.find("v1.0.0").await.unwrap().unwrap().name;
    fs_err::remove_dir_all(setup.mirror()).unwrap();
    assert!(
        repository
            .file(&commit, "go.mod", 100)
            .await
            .unwrap()
            .is_some()
    );
    fs_err::remove_dir_all(setup.mirror()).unwrap();
    assert!(repository.find("v1.0.0").await.unwrap().is_some());
    fs_err::remove_dir_all(setup.mirror()).unwrap();
    let archive = repository.archive(&commit, "").await.unwrap();
    assert_eq!(super::reading::archived(archive).await, ["go.mod"]);
    // Broken, not gone.
    fs_err::remove_dir_all(setup.mirror().join("objects")).unwrap();
    fs_err::create_dir(setup.mirror().join("objects")).unwrap();
    assert!(repository.tree(&commit, "").await.unwrap().is_some());
    fs_err::remove_file(setup.mirror().join("HEAD")).unwrap();
    assert!(repository.find("v1.0.0").await.unwrap().is_some());
}

#[tokio::test]
async fn the_folder_of_all_mirrors_may_vanish_at_any_time() {
    let fixture = one_version().await;
    let setup = Setup::new().await;
    let repository = setup.open(&fixture.url()).await;
    let commit = repository.find("v1.0.0").await.unwrap().unwrap().name;
    // The listing is known, so the lock comes first.
    fs_err::remove_dir_all(&setup.options.folder).unwrap();
    assert!(repository.find("v1.0.0").await.unwrap().is_some());
    // And here a process does.
    fs_err::remove_dir_all(&setup.options.folder).unwrap();
    repository.forget_listing();
    repository.refs(Freshness::Recent).await.unwrap();
    let archive = repository.archive(&commit, "").await.unwrap();
    assert_eq!(super::reading::archived(archive).await, ["go.mod"]);
}

#[tokio::test]
async fn a_mirror_that_git_complains_of_is_made_anew() {
    let fixture = one_version().await;
    let setup = Setup::new().await;
    let repository = setup.open(&fixture.url()).await;
    repository.find("v1.0.0").await.unwrap().unwrap();
    fixture.write("more.go", "package m\n");
    fixture.commit("two").await;
    fixture.git(&["tag", "v1.1.0"]).await;
    fs_err::write(setup.mirror().join("shallow"), "garbage\n").unwrap();
    repository.forget_listing();
    assert!(repository.find("v1.1.0").await.unwrap().is_some());
}

#[tokio::test]
async fn settings_written_into_a_mirror_have_no_power() {
    let fixture = one_version().await;
    let setup = Setup::new().await;
    let repository = setup.open(&fixture.url()).await;
    let commit = repository.find("v1.0.0").await.unwrap().unwrap().name;
    let mirror = setup.mirror();
    let trap = setup.folder.path().join("trapped");
    fs_err::write(
        mirror.join("config"),
        format!("[core]\n\tbare = true\n\tfsmonitor = touch {0}\n\tsshCommand = touch {0}\n[filter \"x\"]\n\tsmudge = touch {0}\n", trap.display()),
    )
    .unwrap();
    fs_err::write(mirror.join("info/attributes"), "* filter=x export-ignore\n").unwrap();
    let archive = repository.archive(&commit, "").await.unwrap();
    assert_eq!(super::reading::archived(archive).await, ["go.mod"]);
    assert!(!trap.exists());
    let config = fs_err::read_to_string(mirror.join("config")).unwrap();
    assert!(!config.contains("filter"), "{config}");
}

#[tokio::test]
async fn hooks_of_the_user_and_of_the_repository_do_not_run() {
    let fixture = one_version().await;
    let setup = Setup::new().await;
    let hooks = setup.folder.path().join("hooks");
    let trap = setup.folder.path().join("trapped");
    fs_err::create_dir(&hooks).unwrap();
    for hook in ["reference-transaction", "post-merge", "pre-auto-gc"] {
        let file = hooks.join(hook);
        fs_err::write(&file, format!("#!/bin/sh\ntouch {}\n", trap.display())).unwrap();
        use std::os::unix::fs::PermissionsExt;
        fs_err::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    }
    setup.user_config(&format!("[core]\n\thooksPath = {}\n", hooks.display()));
    let repository = setup.open(&fixture.url()).await;
    repository.find("v1.0.0").await.unwrap().unwrap();
    repository.complete_history().await.unwrap();
    assert!(!trap.exists());
}

#[tokio::test]
async fn the_users_rewriting_rules_work_for_transport() {
    let fixture = one_version().await;
    let setup = Setup::new().await;
    setup.user_config(&format!(
        "[url \"file://{}\"]\n\tinsteadOf = file:///no/such/place\n",
        fixture.path().display()
    ));
    let url = RepositoryUrl::parse("file:///no/such/place").unwrap();
    let repository = setup.open(&url).await;
    assert!(repository.find("v1.0.0").await.unwrap().is_some());
    assert_eq!(repository.url(), &url);
}

#[tokio::test]
async fn a_silent_program_is_stopped_with_all_that_it_started() {
    let fixture = one_version().await;
    let mut setup = Setup::new().await;
    setup.options.stall_timeout = Duration::from_millis(300);
    let git = setup.start().await;
    let pids = setup.folder.path().join("pids");
    setup
        .program(&format!(
            "sleep 600 &\necho $! >> {0}\nsleep 600 &\necho $! >> {0}\necho $$ >> {0}\nwait",
            pids.display()
        ))
        .await;
    let repository = git.open(&fixture.url(), Trust::Named).unwrap();
    let stalled = repository.refs(Freshness::Recent).await.unwrap_err();
    assert_eq!(stalled.kind(), SourceErrorKind::TimedOut, "{stalled}");
    let pids: Vec<String> = fs_err::read_to_string(&pids)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    let [one, other, leader] = &pids[..] else {
        panic!("{pids:?}");
    };
    gone(one).await;
    gone(other).await;
    let folder = format!("/proc/{leader}");
    assert!(
        !std::path::Path::new(&folder).exists(),
        "the child itself is reaped at once"
    );
}

#[tokio::test]
async fn a_server_that_trickles_is_given_up_by_whoever_loses_patience_first() {
    // Bytes come all the time, and would for minutes.
    let server = RawServer::start(|_, _| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n".to_vec();
        let body = Step::Trickle(vec![b'a'; 10_000], Duration::from_millis(50));
        vec![Step::Send(head), body]
    })
    .await;
    let url = RepositoryUrl::parse(&format!("http://{}/m.git", server.address)).unwrap();
    let check = async |setup: Setup, words: &str| {
        let slow = setup.open(&url).await.refs(Freshness::Recent).await;
        let slow = slow.unwrap_err();
        assert_eq!(slow.kind(), SourceErrorKind::TimedOut, "{slow:?}");
        let said = format!("{slow} {:?}", slow.0.upstream_text);
        assert!(said.contains(words), "{said}");
        assert!(!slow.is_absence());
    };
    // Git hears the bytes; nobody hears of git.
    let mut setup = Setup::new().await;
    setup.options.stall_timeout = Duration::from_millis(500);
    check(setup, "git stalled while it was to list the repository").await;
    // Git's own minimum, as the user may set it.
    let mut setup = Setup::new().await;
    setup.set("GIT_HTTP_LOW_SPEED_LIMIT", "1000");
    setup.set("GIT_HTTP_LOW_SPEED_TIME", "1");
    check(setup, "Operation too slow").await;
}

#[tokio::test]
async fn a_question_that_is_given_up_leaves_no_process() {
    let fixture = one_version().await;
    let setup = Setup::new().await;
    let git = setup.start().await;
    let pids = setup.folder.path().join("pids");
    setup
        .program(&format!("sleep 600 &\necho $! > {}\nwait", pids.display()))
        .await;
    let repository = git.open(&fixture.url(), Trust::Named).unwrap();
    let pid = {
        let asked = tokio::spawn(async move { repository.refs(Freshness::Recent).await });
        let pid = loop {
            let text = fs_err::read_to_string(&pids).unwrap_or_default();
            if text.ends_with('\n') {
                break text.trim().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        asked.abort();
        pid
    };
    gone(&pid).await;
}

/// Waits until a process is no more, or only waits to be reaped by whoever inherited it.
async fn gone(pid: &str) {
    for _ in 0..400 {
        let status = fs_err::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = status
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.chars().next());
        if matches!(state, None | Some('Z' | 'X')) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("process {pid} is still there");
}

#[tokio::test]
async fn a_fetch_beyond_its_limit_leaves_nothing() {
    let fixture = Fixture::new().await;
    let noise: Vec<u8> = (0..2_000_000).map(|_| fastrand::u8(..)).collect();
    fixture.write("noise", noise);
    fixture.commit("x").await;
    let mut setup = Setup::new().await;
    setup.options.fetch_bytes = 100_000;
    let repository = setup.open(&fixture.url()).await;
    let refused = repository.find("main").await.unwrap_err();
    assert_eq!(refused.kind(), SourceErrorKind::TooLarge, "{refused}");
    let left: Vec<_> = fs_err::read_dir(&setup.options.folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".lock"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn what_a_stopped_fetch_leaves_is_in_nobodys_way() {
    let fixture = one_version().await;
    let mut setup = Setup::new().await;
    setup.options.stall_timeout = Duration::from_secs(2);
    let real = super::fixture::real_git();
    let stuck = setup.folder.path().join("stuck");
    fs_err::write(&stuck, "").unwrap();
    setup
        .program(&format!(
            "case \"$*\" in *' fetch '*) if [ -e {0} ]; then touch $GIT_DIR/shallow.lock $GIT_DIR/refs/tags/v1.0.0.lock $GIT_DIR/objects/pack/tmp_pack_$$; exec sleep 600; fi;; esac\nexec {1} \"$@\"",
            stuck.display(),
            real.display()
        ))
        .await;
    let repository = setup.open(&fixture.url()).await;
    let stalled = repository.find("v1.0.0").await.unwrap_err();
    assert_eq!(stalled.kind(), SourceErrorKind::TimedOut, "{stalled}");
    assert!(setup.mirror().join("shallow.lock").exists());
    // However often it happens, there is only what the last one left.
    repository.find("v1.0.0").await.unwrap_err();
    assert_eq!(unfinished_packs(&setup), 1);
    fs_err::remove_file(&stuck).unwrap();
    // A process that knows nothing of all this clears it away.
    let repository = setup.open(&fixture.url()).await;
    let commit = repository.find("v1.0.0").await.unwrap().unwrap().name;
    assert_eq!(unfinished_packs(&setup), 0);
    assert!(!setup.mirror().join("shallow.lock").exists());
    let go_mod = repository.file(&commit, "go.mod", 100).await.unwrap();
    assert_eq!(go_mod.unwrap(), "module git.example/m\n");
}

/// Files of packs that were never whole.
fn unfinished_packs(setup: &Setup) -> usize {
    let entries = fs_err::read_dir(setup.mirror().join("objects/pack")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.starts_with("tmp_") || name.starts_with(".tmp-"))
        .count()
}

#[tokio::test]
async fn a_repack_that_is_stopped_costs_nothing_but_its_time() {
    let fixture = Fixture::new().await;
    let mut setup = Setup::new().await;
    setup.options.longest_process = Duration::from_secs(2);
    let stuck = setup.folder.path().join("stuck");
    fs_err::write(&stuck, "").unwrap();
    setup
        .program(&format!(
            "case \"$*\" in *' repack '*) if [ -e {0} ]; then echo stopped >> {0}; touch $GIT_DIR/objects/pack/.tmp-$$-pack-x.pack $GIT_DIR/objects/pack/tmp_idx_$$; exec sleep 600; fi;; esac\nexec {1} \"$@\"",
            stuck.display(),
            super::fixture::real_git().display()
        ))
        .await;
    let repository = setup.open(&fixture.url()).await;
    let check = async |version: usize| {
        fixture.write("f", version.to_string());
        fixture.commit("x").await;
        let tag = format!("v1.{version}.0");
        fixture.git(&["tag", &tag]).await;
        repository.forget_listing();
        let commit = repository.find(&tag).await.unwrap().unwrap().name;
        let content = repository.file(&commit, "f", 10).await.unwrap().unwrap();
        assert_eq!(content, version.to_string());
    };
    for version in 0..20 {
        check(version).await;
    }
    check(20).await;
    assert_eq!(
        fs_err::read_to_string(&stuck).unwrap(),
        "stopped\n".repeat(2)
    );
    assert_eq!(unfinished_packs(&setup), 0);
    fs_err::remove_file(&stuck).unwrap();
    check(21).await;
    assert_eq!(unfinished_packs(&setup), 0);
    let oldest = repository.find("v1.0.0").await.unwrap().unwrap().name;
    let content = repository.file(&oldest, "f", 10).await.unwrap().unwrap();
    assert_eq!(content, "0");
}

#[tokio::test]
async fn a_page_that_git_takes_for_an_empty_repository_proves_no_absence_of_private_code() {
    for page in [&b"<html>Who are you?</html>"[..], b""] {
        let server = RawServer::start(move |_, head| {
            if head.contains("/info/refs") {
                answer("200 OK", &[("Content-Type", "text/html")], page)
            } else {
                answer("404 Not Found", &[], b"")
            }
        })
        .await;
        let setup = Setup::new().await;
        setup.user_config(&format!(
            "[url \"http://{}/\"]\n\tinsteadOf = https://git.example/\n",
            server.address
        ));
        let git = setup.start().await;
        let url = RepositoryUrl::parse("https://git.example/m").unwrap();
        for trust in [Trust::Named, Trust::PrivatelyChosen] {
            let repository = git.open(&url, trust).unwrap();
            let error = repository.find("v1.0.0").await.unwrap_err();
            assert_eq!(error.kind(), SourceErrorKind::BadAnswer, "{error}");
        }
        let public = git.open(&url, Trust::Chosen).unwrap();
        assert!(public.find("v1.0.0").await.unwrap().is_none());
    }
}

#[test]
fn an_empty_private_repository_is_proven_by_the_packets_of_its_server() {
    // The server has a runtime of its own, which begins and ends beside that of the test.
    let repository = testkit::GitRepository::new();
    let server = testkit::GitHttpServer::start();
    server.serve("/m.git", &repository);
    let url = RepositoryUrl::parse(&server.url("/m.git")).unwrap();
    let check = |protocol: &str, refs: usize, commands: &[&str]| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let setup = Setup::new().await;
            setup.user_config(&format!("[protocol]\n\tversion = {protocol}\n"));
            let listed = setup.open(&url).await.refs(Freshness::Recent).await;
            let listed = listed.unwrap_or_else(|error| panic!("protocol {protocol}: {error}"));
            assert_eq!(listed.iter().count(), refs, "protocol {protocol}");
            assert_eq!(setup.commands(), commands, "protocol {protocol}");
        });
    };
    for protocol in ["0", "1", "2"] {
        check(protocol, 0, &["ls-remote", "ls-remote"]);
    }
    // What has refs needs no proof.
    repository.commit("main").write();
    check("2", 2, &["ls-remote"]);
}

#[tokio::test]
async fn a_listing_beyond_its_limits_is_refused() {
    let fixture = one_version().await;
    for tag in 0..20 {
        fixture.git(&["tag", &format!("t{tag}")]).await;
    }
    let mut setup = Setup::new().await;
    setup.options.listing_refs = 10;
    let many = setup
        .open(&fixture.url())
        .await
        .refs(Freshness::Recent)
        .await
        .unwrap_err();
    assert_eq!(many.kind(), SourceErrorKind::TooLarge, "{many}");
    setup.options.listing_refs = 1000;
    setup.options.listing_bytes = 500;
    let long = setup
        .open(&fixture.url())
        .await
        .refs(Freshness::Recent)
        .await
        .unwrap_err();
    assert_eq!(long.kind(), SourceErrorKind::TooLarge, "{long}");
}

#[tokio::test]
async fn many_small_fetches_do_not_leave_many_packs() {
    let fixture = Fixture::new().await;
    for version in 0..21 {
        fixture.write("f", version.to_string());
        fixture.commit("x").await;
        fixture.git(&["tag", &format!("v1.{version}.0")]).await;
    }
    let setup = Setup::new().await;
    let repository = setup.open(&fixture.url()).await;
    for version in 0..21 {
        let commit = repository
            .find(&format!("v1.{version}.0"))
            .await
            .unwrap()
            .unwrap()
            .name;
        let content = repository.file(&commit, "f", 10).await.unwrap().unwrap();
        assert_eq!(content, version.to_string());
    }
    let packs = fs_err::read_dir(setup.mirror().join("objects/pack"))
        .unwrap()
        .filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|kind| kind == "pack")
        })
        .count();
    assert!(packs < 10, "{packs}");
    let oldest = repository.find("v1.0.0").await.unwrap().unwrap().name;
    assert!(repository.file(&oldest, "f", 10).await.unwrap().is_some());
}

#[tokio::test]
async fn a_tree_that_multiplies_itself_is_refused() {
    let fixture = Fixture::new().await;
    fixture.write("f", "x");
    fixture.commit("x").await;
    // Ten folders of ten folders … of one file.
    let mut tree = fixture.git(&["rev-parse", "HEAD^{tree}"]).await;
    for _ in 0..6 {
        let entries: String = (0..10)
            .map(|n| format!("040000 tree {tree}\td{n}\n"))
            .collect();
        fixture.write("list", entries);
        tree = fixture
            .git(&["-c", "alias.make=!git mktree < list", "make"])
            .await;
    }
    let commit = fixture.git(&["commit-tree", "-m", "bomb", &tree]).await;
    fixture
        .git(&["update-ref", "refs/heads/bomb", &commit])
        .await;
    let mut setup = Setup::new().await;
    setup.options.files = 5_000;
    let repository = setup.open(&fixture.url()).await;
    let commit = repository.find("bomb").await.unwrap().unwrap().name;
    let refused = repository.tree(&commit, "").await.unwrap_err();
    assert_eq!(refused.kind(), SourceErrorKind::TooLarge, "{refused}");
    assert_eq!(
        repository
            .tree(&commit, "d0/d0/d0/d0")
            .await
            .unwrap()
            .unwrap()
            .len(),
        100
    );
}

#[tokio::test]
async fn many_repositories_share_two_children() {
    let mut fixtures = Vec::new();
    for _ in 0..4 {
        fixtures.push(one_version().await);
    }
    let mut setup = Setup::new().await;
    setup.options.children = 2;
    let git = setup.start().await;
    let mut asked = tokio::task::JoinSet::new();
    for fixture in &fixtures {
        for _ in 0..2 {
            let repository = git.open(&fixture.url(), Trust::Named).unwrap();
            asked.spawn(async move {
                let commit = repository.find("v1.0.0").await.unwrap().unwrap().name;
                for _ in 0..3 {
                    repository
                        .file(&commit, "go.mod", 100)
                        .await
                        .unwrap()
                        .unwrap();
                    let archive = repository.archive(&commit, "").await.unwrap();
                    // A file is asked for while an archive is open.
                    repository
                        .file(&commit, "go.mod", 100)
                        .await
                        .unwrap()
                        .unwrap();
                    assert_eq!(super::reading::archived(archive).await, ["go.mod"]);
                }
            });
        }
    }
    while let Some(done) = asked.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn a_mirror_that_another_process_fills_is_waited_for() {
    let fixture = one_version().await;
    let mut setup = Setup::new().await;
    setup.options.queue_timeout = Duration::from_millis(300);
    let repository = setup.open(&fixture.url()).await;
    repository.refs(Freshness::Recent).await.unwrap();
    let url = fixture.url();
    let mirror = super::super::mirror::Mirror::new(&setup.options.folder, &url, Trust::Named);
    let held = mirror.try_lock().unwrap().unwrap();
    let busy = repository.find("v1.0.0").await.unwrap_err();
    assert_eq!(busy.kind(), SourceErrorKind::Busy, "{busy}");
    drop(held);
    assert!(repository.find("v1.0.0").await.unwrap().is_some());
}

#[tokio::test]
async fn two_engines_fill_one_mirror_without_harm() {
    let fixture = one_version().await;
    let setup = Setup::new().await;
    let (one, other) = (
        setup.open(&fixture.url()).await,
        setup.open(&fixture.url()).await,
    );
    let (a, b) = tokio::join!(one.find("v1.0.0"), other.find("v1.0.0"));
    assert_eq!(a.unwrap(), b.unwrap());
    let fetches = setup
        .commands()
        .iter()
        .filter(|command| *command == "fetch")
        .count();
    assert_eq!(fetches, 1);
}

#[tokio::test]
async fn the_least_recently_used_mirror_is_removed_for_space() {
    let (old, new) = (one_version().await, one_version().await);
    let setup = Setup::new().await;
    let git = setup.start().await;
    for fixture in [&old, &new] {
        let repository = git.open(&fixture.url(), Trust::Named).unwrap();
        repository.find("v1.0.0").await.unwrap().unwrap();
    }
    let mirrors = &setup.options.folder;
    let mirror = |fixture: &Fixture| {
        super::super::mirror::Mirror::new(mirrors, &fixture.url(), Trust::Named)
    };
    let (old, new) = (mirror(&old), mirror(&new));
    // Both are in use.
    assert_eq!(
        super::super::mirror::shrink(mirrors, 0).unwrap(),
        Vec::<String>::new()
    );
    let hour_ago = std::time::SystemTime::from(jiff::Timestamp::now()) - Duration::from_secs(3600);
    let size = fs_err::OpenOptions::new()
        .write(true)
        .open(old.folder.join("larder-size"))
        .unwrap();
    size.into_parts().0.set_modified(hour_ago).unwrap();
    assert_eq!(
        super::super::mirror::shrink(mirrors, 1 << 40).unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(super::super::mirror::shrink(mirrors, 0).unwrap(), [old.key]);
    assert!(!old.folder.exists());
    assert!(new.folder.exists());
}

#[tokio::test]
async fn a_protocol_that_is_not_allowed_is_refused_before_git_is_asked() {
    let fixture = one_version().await;
    let mut setup = Setup::new().await;
    setup.options.protocols = [crate::GitProtocol::Https].into();
    let git = setup.start().await;
    let refused = git.open(&fixture.url(), Trust::Named).err().unwrap();
    assert_eq!(refused.kind(), SourceErrorKind::Refused, "{refused}");
    assert_eq!(setup.commands(), Vec::<String>::new());
}

#[tokio::test]
async fn every_process_that_is_started_is_told_to_have_ended() {
    let fixture = one_version().await;
    let setup = Setup::new().await;
    {
        // With the engine its resting readers go.
        let repository = setup.open(&fixture.url()).await;
        let commit = repository.find("v1.0.0").await.unwrap().unwrap().name;
        super::reading::archived(repository.archive(&commit, "").await.unwrap()).await;
    }
    let mut started = setup.heard.started.lock().clone();
    started.sort();
    let finished = setup.heard.finished.lock().clone();
    let mut ended: Vec<ProcessKind> = finished.iter().map(|(kind, _)| *kind).collect();
    ended.sort();
    assert_eq!(started, ended);
    // Those that were closed because nobody needs them any more, too.
    assert!(
        finished.iter().all(|(_, outcome)| outcome.is_ok()),
        "{finished:?}"
    );
    assert!(ended.contains(&ProcessKind::Objects) && ended.contains(&ProcessKind::Archive));
}

#[tokio::test]
async fn without_git_or_with_an_old_one_the_words_say_what_to_install() {
    let setup = Setup::new().await;
    setup.program("echo git version 2.28.0").await;
    let old = crate::Git::find(setup.options.clone()).await.err().unwrap();
    assert!(old.to_string().contains("2.28.0"), "{old}");
    assert!(old.to_string().contains("install git 2.29"), "{old}");
    setup.program("echo something else").await;
    let broken = crate::Git::find(setup.options.clone()).await.err().unwrap();
    assert!(broken.to_string().contains("something else"), "{broken}");
    let mut options = setup.options.clone();
    options.environment = vec![("PATH".into(), "/nowhere:relative".into())];
    let missing = crate::Git::find(options).await.err().unwrap();
    assert!(
        missing.to_string().contains("install git 2.29"),
        "{missing}"
    );
}
