use super::*;
use crate::tests::scratch;
use jiff::Timestamp;

fn module_path() -> ModulePath {
    ModulePath::parse("example.com/Azure/sdk").unwrap()
}

fn versions(texts: &[&str]) -> Vec<Version> {
    texts
        .iter()
        .map(|text| Version::parse(text).unwrap())
        .collect()
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

async fn note(seen: &FirstSeen, texts: &[&str], second: i64) {
    seen.note(
        Namespace::Shared,
        &module_path(),
        &versions(texts),
        time(second),
    )
    .await
    .unwrap();
}

async fn of(seen: &FirstSeen, version: &str) -> Option<Timestamp> {
    let version = Version::parse(version).unwrap();
    let module = ModuleVersion::new(module_path(), version).unwrap();
    seen.of(Namespace::Shared, &module).await.unwrap()
}

fn file(dir: &Path) -> std::path::PathBuf {
    layout::seen(dir, Namespace::Shared, &module_path())
}

#[tokio::test]
async fn a_version_keeps_the_time_it_was_first_noted_over_a_restart() {
    let (scratch, _staging) = scratch();
    let seen = FirstSeen::open(scratch.path()).unwrap();
    assert_eq!(of(&seen, "v1.0.0").await, None);
    note(&seen, &["v1.0.0", "v1.1.0"], 1).await;
    note(&seen, &["v1.0.0", "v1.1.0", "v1.2.0"], 2).await;
    for seen in [seen, FirstSeen::open(scratch.path()).unwrap()] {
        assert_eq!(of(&seen, "v1.0.0").await, Some(time(1)));
        assert_eq!(of(&seen, "v1.1.0").await, Some(time(1)));
        assert_eq!(of(&seen, "v1.2.0").await, Some(time(2)));
        assert_eq!(of(&seen, "v1.3.0").await, None);
        let all = seen.all(Namespace::Shared, &module_path()).await.unwrap();
        assert_eq!(all.len(), 3);
    }
}

#[tokio::test]
async fn a_list_that_says_nothing_new_writes_nothing() {
    let (scratch, _staging) = scratch();
    let seen = FirstSeen::open(scratch.path()).unwrap();
    note(&seen, &["v1.0.0", "v1.0.0"], 1).await;
    let before = fs::read(file(scratch.path())).unwrap();
    assert_eq!(before.iter().filter(|&&byte| byte == b'\n').count(), 1);
    note(&seen, &["v1.0.0"], 2).await;
    note(&FirstSeen::open(scratch.path()).unwrap(), &["v1.0.0"], 3).await;
    assert_eq!(fs::read(file(scratch.path())).unwrap(), before);
    // From memory: no file is touched any more.
    fs::remove_file(file(scratch.path())).unwrap();
    note(&seen, &["v1.0.0"], 4).await;
    assert!(!file(scratch.path()).exists());
}

#[tokio::test]
async fn what_another_process_noted_first_counts() {
    let (scratch, _staging) = scratch();
    let [ours, theirs] = [0, 1].map(|_| FirstSeen::open(scratch.path()).unwrap());
    note(&ours, &["v1.0.0"], 1).await;
    note(&theirs, &["v1.1.0"], 2).await;
    assert_eq!(of(&ours, "v1.1.0").await, Some(time(2)));
    note(&theirs, &["v1.2.0"], 3).await;
    note(&ours, &["v1.2.0"], 4).await;
    assert_eq!(of(&ours, "v1.2.0").await, Some(time(3)));
    let all = ours.all(Namespace::Shared, &module_path()).await.unwrap();
    assert_eq!(all.len(), 3);
}

#[tokio::test]
async fn a_line_that_a_crash_tore_is_passed_over_and_noted_again() {
    let (scratch, _staging) = scratch();
    note(&FirstSeen::open(scratch.path()).unwrap(), &["v1.0.0"], 1).await;
    note(&FirstSeen::open(scratch.path()).unwrap(), &["v1.1.0"], 2).await;
    let whole = fs::read(file(scratch.path())).unwrap();
    let first_line = 1 + whole.iter().position(|&byte| byte == b'\n').unwrap();
    for len in first_line..whole.len() - 1 {
        fs::write(file(scratch.path()), &whole[..len]).unwrap();
        let seen = FirstSeen::open(scratch.path()).unwrap();
        assert_eq!(of(&seen, "v1.0.0").await, Some(time(1)));
        assert_eq!(of(&seen, "v1.1.0").await, None, "{len} bytes");
        note(&seen, &["v1.1.0"], 3).await;
        let again = FirstSeen::open(scratch.path()).unwrap();
        for seen in [seen, again] {
            assert_eq!(of(&seen, "v1.0.0").await, Some(time(1)));
            assert_eq!(of(&seen, "v1.1.0").await, Some(time(3)), "{len} bytes");
        }
    }
}

#[tokio::test]
async fn what_is_kept_in_memory_is_bounded() {
    let (scratch, _staging) = scratch();
    let seen = FirstSeen::open_remembering(scratch.path(), 1000).unwrap();
    let texts: Vec<String> = (0..40).map(|number| format!("v1.0.{number}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut most = 0;
    for module in 0..100 {
        let path = ModulePath::parse(&format!("example.com/m{module}")).unwrap();
        seen.note(Namespace::Shared, &path, &versions(&texts), time(1))
            .await
            .unwrap();
        most = most.max(seen.remembered.weight());
    }
    assert!((41..=1000).contains(&most), "{most}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notes_of_one_moment_are_all_written_and_one_that_is_given_up_holds_up_nobody() {
    let (scratch, _staging) = scratch();
    let seen = FirstSeen::open(scratch.path()).unwrap();
    let mut notes = tokio::task::JoinSet::new();
    for number in 0..100 {
        let seen = seen.clone();
        notes.spawn(async move {
            let path = ModulePath::parse(&format!("example.com/m{}", number % 40)).unwrap();
            let version = versions(&[&format!("v1.{number}.0")]);
            let noted = seen.note(Namespace::Shared, &path, &version, time(number));
            if number % 10 == 3 {
                // Dropped wherever it is: before its turn, or with the turn.
                let _ = tokio::time::timeout(std::time::Duration::ZERO, noted).await;
            } else {
                noted.await.unwrap();
            }
        });
    }
    while let Some(ended) = notes.join_next().await {
        ended.unwrap();
    }
    let again = FirstSeen::open(scratch.path()).unwrap();
    for number in (0..100).filter(|number| number % 10 != 3) {
        let path = ModulePath::parse(&format!("example.com/m{}", number % 40)).unwrap();
        let all = again.all(Namespace::Shared, &path).await.unwrap();
        let version = Version::parse(&format!("v1.{number}.0")).unwrap();
        assert_eq!(all.get(&version), Some(&time(number)), "{number}");
    }
}
