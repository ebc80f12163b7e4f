//! What only real processes can show: death at any moment, two writers, a full disk.
//!
//! This binary starts itself again as the process that dies, competes or runs out of room; so it has
//! its own `main` and takes a test's name as a filter, like the usual one.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test; clippy sees none in a binary without the usual harness"
)]

use gomod::{FileKind, H1, ModulePath, Sha256};
use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use store::answers::Answers;
use store::conformance::{key, read, verified};
use store::disk::DiskStore;
use store::eviction::{EvictionObserver, Evictor, EvictorParts, FreeFloor, Limits, Reason, Usage};
use store::pins::Pins;
use store::{Committed, FILE_KINDS, FileKey, Namespace, Staging, Store, StoreError};

const TESTS: [(&str, fn()); 7] = [
    (
        "a_killed_process_leaves_nothing_partial_to_open",
        a_killed_process_leaves_nothing_partial_to_open,
    ),
    (
        "a_power_cut_leaves_nothing_partial_to_open_and_no_hash_forgotten",
        a_power_cut_leaves_nothing_partial_to_open_and_no_hash_forgotten,
    ),
    (
        "a_process_killed_while_it_evicts_leaves_nothing_partial_and_no_list_too_long",
        a_process_killed_while_it_evicts_leaves_nothing_partial_and_no_list_too_long,
    ),
    (
        "a_small_file_system_is_kept_above_its_floor_of_free_bytes",
        a_small_file_system_is_kept_above_its_floor_of_free_bytes,
    ),
    (
        "of_two_processes_that_store_rival_files_one_wins_each",
        of_two_processes_that_store_rival_files_one_wins_each,
    ),
    (
        "a_file_over_the_size_limit_is_a_full_disk_and_leaves_nothing",
        a_file_over_the_size_limit_is_a_full_disk_and_leaves_nothing,
    ),
    (
        "a_full_file_system_is_told_as_such_and_leaves_nothing",
        a_full_file_system_is_told_as_such_and_leaves_nothing,
    ),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["child", "commit", dir] => commit_until_killed(Path::new(dir)),
        ["child", "rival", dir, hash] => commit_as_rival(Path::new(dir), hash.parse().unwrap()),
        ["child", "evict", dir] => commit_and_evict(Path::new(dir)),
        ["child", "floor", dir] => fill_above_the_floor(Path::new(dir)),
        ["child", "full", dir] => run_out_of_room(Path::new(dir)),
        _ => {
            let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
            for (name, test) in TESTS {
                if filter.is_none_or(|filter| name.contains(filter)) {
                    test();
                    println!("test {name} ... ok");
                }
            }
        }
    }
}

fn a_killed_process_leaves_nothing_partial_to_open() {
    const ROUNDS: usize = 100;
    let patience = Instant::now() + Duration::from_secs(60);
    let scratch = tempfile::tempdir().unwrap();
    let mut promised = HashSet::new();
    let mut rounds = 0;
    while rounds < ROUNDS && Instant::now() < patience {
        let (mut child, output) = start(&["child", "commit", scratch.path().to_str().unwrap()]);
        let mut lines = BufReader::new(output).lines();
        for line in lines.by_ref().take(fastrand::usize(..12)) {
            promised.insert(line.unwrap());
        }
        // Not to wait for anything: only so that death comes at any point of a commit.
        std::thread::sleep(Duration::from_micros(fastrand::u64(..6000)));
        child.kill().unwrap();
        child.wait().unwrap();
        // What the child still said before it died was stored, too; only the last line may be torn.
        promised.extend(
            lines
                .map_while(Result::ok)
                .filter(|line| line.ends_with(';')),
        );
        in_runtime(check_everything(scratch.path(), &promised, Lost::Nothing));
        rounds += 1;
    }
    assert!(rounds >= 20, "only {rounds} rounds before patience ended");
    assert!(promised.len() > rounds, "{} promises", promised.len());
    let staging = Staging::open(scratch.path(), 0, 0).unwrap();
    staging.sweep().unwrap();
    let left = fs_err::read_dir(scratch.path().join("staging"))
        .unwrap()
        .count();
    assert_eq!(left, 1, "the folder of this process is the only one");
    println!("{rounds} deaths, {} files promised", promised.len());
}

/// A process dies, and of everything that it wrote, but for its journal, only a part comes to the disk. No
/// machine loses its power here: what the process wrote is damaged as a file system may leave it.
fn a_power_cut_leaves_nothing_partial_to_open_and_no_hash_forgotten() {
    const ROUNDS: usize = 40;
    let patience = Instant::now() + Duration::from_secs(60);
    let scratch = tempfile::tempdir().unwrap();
    let mut promised = HashSet::new();
    let (mut rounds, mut damaged) = (0, 0);
    while rounds < ROUNDS && Instant::now() < patience {
        let started = SystemTime::from(jiff::Timestamp::now());
        let (mut child, output) = start(&["child", "commit", scratch.path().to_str().unwrap()]);
        let mut lines = BufReader::new(output).lines();
        for line in lines.by_ref().take(1 + fastrand::usize(..12)) {
            promised.insert(line.unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        promised.extend(
            lines
                .map_while(Result::ok)
                .filter(|line| line.ends_with(';')),
        );
        for folder in ["download", "state/records"] {
            damaged += damage_what_is_newer(&scratch.path().join(folder), started);
        }
        in_runtime(check_everything(scratch.path(), &promised, Lost::Files));
        everything_is_looked_after(scratch.path(), patience);
        rounds += 1;
    }
    assert!(rounds >= 10, "only {rounds} rounds before patience ended");
    assert!(damaged > rounds, "{damaged} files damaged");
    println!("{rounds} power cuts, {damaged} files damaged");
}

fn a_process_killed_while_it_evicts_leaves_nothing_partial_and_no_list_too_long() {
    const ROUNDS: usize = 30;
    let patience = Instant::now() + Duration::from_secs(60);
    let scratch = tempfile::tempdir().unwrap();
    let (mut rounds, mut evicted) = (0, 0);
    while rounds < ROUNDS && Instant::now() < patience {
        let (mut child, output) = start(&["child", "evict", scratch.path().to_str().unwrap()]);
        let mut lines = BufReader::new(output).lines();
        evicted += lines.by_ref().take(1 + fastrand::usize(..3)).count();
        // Not to wait for anything: only so that death comes at any point of an eviction.
        std::thread::sleep(Duration::from_micros(fastrand::u64(..30_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        in_runtime(check_everything(
            scratch.path(),
            &HashSet::new(),
            Lost::Nothing,
        ));
        rounds += 1;
    }
    assert!(rounds >= 10, "only {rounds} rounds before patience ended");
    assert!(evicted >= rounds, "{evicted} evictions");
    println!("{rounds} deaths, {evicted} evictions seen");
}

/// Hears of evictions and tells of none.
struct Deaf;

impl EvictionObserver for Deaf {
    fn evicted(&self, _: &FileKey, _: Reason, _: u64) {}
    fn stored_bytes(&self, _: u64) {}
}

fn evictor(disk: &DiskStore, dir: &Path, limits: Limits) -> Arc<Evictor> {
    Evictor::new(EvictorParts {
        store: Arc::new(disk.clone()),
        disk: disk.clone(),
        usage: Usage::of(dir, &limits),
        pins: Pins::of(dir),
        is_private: Arc::new(|_| false),
        answers: Answers::open(dir).unwrap(),
        limits,
        observer: Arc::new(Deaf),
    })
}

fn commit_and_evict(dir: &Path) {
    in_runtime(async {
        let disk = DiskStore::open(dir).unwrap();
        let staging = Staging::open(dir, 64 * 1024, 1024 * 1024).unwrap();
        let limits = Limits {
            cache_bytes: Some(1_000_000),
            free: FreeFloor::Bytes(0),
        };
        let evictor = evictor(&disk, dir, limits);
        loop {
            let mut commits = tokio::task::JoinSet::new();
            for _ in 0..30 {
                let key = random_key();
                let file = verified(&staging, &key, &random_bytes(&key), 1).await;
                let disk = disk.clone();
                commits.spawn(async move { disk.commit(file).await.unwrap() });
            }
            commits.join_all().await;
            if evictor.run().await.unwrap().files > 0 {
                println!("evicted");
            }
        }
    });
}

fn a_small_file_system_is_kept_above_its_floor_of_free_bytes() {
    in_a_small_file_system("4m", "floor");
}

fn fill_above_the_floor(dir: &Path) {
    const FLOOR: u64 = 2_000_000;
    in_runtime(async {
        let disk = DiskStore::open(dir).unwrap();
        let staging = Staging::open(dir, 1024 * 1024, 4 * 1024 * 1024).unwrap();
        let limits = Limits {
            cache_bytes: None,
            free: FreeFloor::Bytes(FLOOR),
        };
        let evictor = evictor(&disk, dir, limits);
        let mut evicted = 0;
        for number in 0..20 {
            let file = verified(&staging, &rivalry(number), &[1; 500_000], 1).await;
            let committed = disk.commit(file).await.unwrap();
            assert!(matches!(committed, Committed::Stored));
            evicted += evictor.run().await.unwrap().files;
        }
        assert!(evicted >= 14, "{evicted} files evicted");
        let newest = disk.open(&rivalry(19)).await.unwrap();
        assert!(newest.is_some() || evicted == 20);
    });
}

/// Damages two of three files that were written since; how many those were.
fn damage_what_is_newer(folder: &Path, started: SystemTime) -> usize {
    let mut damaged = 0;
    for entry in fs_err::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (path, metadata) = (entry.path(), entry.metadata().unwrap());
        if metadata.is_dir() {
            damaged += damage_what_is_newer(&path, started);
            continue;
        }
        if metadata.modified().unwrap() < started || fastrand::u8(..3) == 0 {
            continue;
        }
        damaged += 1;
        let file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
        match fastrand::u8(..4) {
            0 => fs_err::remove_file(&path).unwrap(),
            1 => file.set_len(0).unwrap(),
            2 => file.set_len(metadata.len() / 2).unwrap(),
            _ => {
                file.set_len(metadata.len() / 2).unwrap();
                file.set_len(metadata.len()).unwrap();
            }
        }
    }
    damaged
}

/// Opens the folder until no journal of a dead process is left.
fn everything_is_looked_after(dir: &Path, patience: Instant) {
    let disk = DiskStore::open(dir).unwrap();
    let left = || {
        let journals = fs_err::read_dir(dir.join("state/journal/shared")).unwrap();
        journals
            .map(|journal| journal.unwrap().file_name())
            .any(|name| name != "lock")
    };
    while left() {
        assert!(
            Instant::now() < patience + Duration::from_secs(60),
            "nobody looks after the journals"
        );
        std::thread::yield_now();
    }
    drop(disk);
}

/// What a death may have taken of what was promised.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lost {
    Nothing,
    Files,
}

/// The files that the dying processes store, delete and store again.
fn random_key() -> FileKey {
    let kind = FILE_KINDS[fastrand::usize(..3)];
    let path = format!("example.com/Module{}", fastrand::u8(..4));
    key(&path, &format!("v1.0.{}", fastrand::u8(..60)), kind)
}

/// Files of this module are never deleted, so that what was promised must stay.
fn is_kept(key: &FileKey) -> bool {
    key.module.path().as_str() != "example.com/Module0"
}

/// Another length for each kind and version; other bytes each time, as of another compression.
fn random_bytes(key: &FileKey) -> Vec<u8> {
    let unit = match key.kind {
        FileKind::Info => 100,
        FileKind::Mod => 2_000,
        FileKind::Zip => 150_000,
    };
    let salt = fastrand::u8(..);
    vec![salt; unit * (1 + key.module.version().as_str().len() % 3)]
}

fn commit_until_killed(dir: &Path) {
    in_runtime(async {
        let disk = DiskStore::open(dir).unwrap();
        let staging = Staging::open(dir, 64 * 1024, 1024 * 1024).unwrap();
        loop {
            let key = random_key();
            if !is_kept(&key) && fastrand::bool() {
                disk.delete(&key).await.unwrap();
                continue;
            }
            let file = verified(&staging, &key, &random_bytes(&key), 1).await;
            let committed = disk.commit(file).await.unwrap();
            assert!(!matches!(committed, Committed::Differs(_)));
            println!("{} {};", key.module, key.kind.extension());
        }
    });
}

async fn check_everything(dir: &Path, promised: &HashSet<String>, lost: Lost) {
    let disk = DiskStore::open(dir).unwrap();
    for module in 0..4 {
        let path = ModulePath::parse(&format!("example.com/Module{module}")).unwrap();
        let mut complete = HashSet::new();
        for patch in 0..60 {
            let mut kinds = 0;
            for kind in FILE_KINDS {
                let key = key(path.as_str(), &format!("v1.0.{patch}"), kind);
                let opened = disk.open(&key).await.unwrap();
                let promise = format!("{} {};", key.module, kind.extension());
                let was_promised = promised.contains(&promise);
                assert!(
                    opened.is_some() || !is_kept(&key) || !was_promised || lost == Lost::Files,
                    "{promise} was stored and is gone"
                );
                if was_promised {
                    let record = disk.record(key.namespace, &key.module).await.unwrap();
                    let file = record.as_ref().and_then(|record| record.file(kind));
                    assert!(file.is_some(), "{promise} was stored and is forgotten");
                    let hash = record.as_ref().and_then(|record| record.hash(kind));
                    assert_eq!(hash.is_some(), kind != FileKind::Info, "{promise}");
                }
                if let Some(opened) = opened {
                    assert_eq!(Sha256::of(&read(&opened)), opened.sha256, "{promise}");
                    kinds += 1;
                }
            }
            if kinds == FILE_KINDS.len() {
                complete.insert(format!("v1.0.{patch}"));
            }
        }
        let escaped = path.escape();
        let list = dir.join(format!("download/{}/@v/list", escaped.as_str()));
        if lost == Lost::Files {
            // Torn until it is looked after, which happens while this runs.
            continue;
        }
        for listed in fs_err::read_to_string(list).unwrap_or_default().lines() {
            assert!(complete.contains(listed), "{listed} is listed, not whole");
        }
    }
}

fn of_two_processes_that_store_rival_files_one_wins_each() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().to_str().unwrap();
    let mut children = ["1", "2"].map(|hash| start(&["child", "rival", dir, hash]));
    let outcomes = children.each_mut().map(|(child, output)| {
        let lines: Vec<String> = BufReader::new(output).lines().map(Result::unwrap).collect();
        assert!(child.wait().unwrap().success());
        lines
    });
    let [first, second] = &outcomes;
    assert_eq!((first.len(), second.len()), (RIVALRIES, RIVALRIES));
    in_runtime(async {
        let disk = DiskStore::open(scratch.path()).unwrap();
        for (version, pair) in first.iter().zip(second).enumerate() {
            let winner = match (pair.0.as_str(), pair.1.as_str()) {
                ("stored", "differs") => 1,
                ("differs", "stored") => 2,
                other => panic!("{other:?}"),
            };
            let key = rivalry(version);
            let opened = disk.open(&key).await.unwrap().unwrap();
            assert_eq!(read(&opened), [winner; 5000]);
            let record = disk.record(key.namespace, &key.module).await.unwrap();
            assert_eq!(record.unwrap().hash(key.kind), Some(H1([winner; 32])));
        }
    });
}

const RIVALRIES: usize = 40;

fn rivalry(number: usize) -> FileKey {
    key("example.com/m", &format!("v1.0.{number}"), FileKind::Zip)
}

fn commit_as_rival(dir: &Path, hash: u8) {
    in_runtime(async {
        let disk = DiskStore::open(dir).unwrap();
        let staging = Staging::open(dir, 64 * 1024, 1024 * 1024).unwrap();
        for number in 0..RIVALRIES {
            let file = verified(&staging, &rivalry(number), &[hash; 5000], hash).await;
            println!(
                "{}",
                match disk.commit(file).await.unwrap() {
                    Committed::Stored => "stored",
                    Committed::Same => "same",
                    Committed::Differs(_) => "differs",
                }
            );
        }
    });
}

/// A limit on the size of files, which anyone may set, stands for the disk that is full here.
fn a_file_over_the_size_limit_is_a_full_disk_and_leaves_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    // 64 blocks of 512 or 1024 bytes; without the trap the kernel would kill the process.
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" child full \"$1\"";
    let status = shell(&["sh", "-c", script], scratch.path());
    assert!(status.success(), "{status}");
}

fn a_full_file_system_is_told_as_such_and_leaves_nothing() {
    in_a_small_file_system("1m", "full");
}

/// Runs a child in a file system of this test's own, where that can be made.
#[expect(
    clippy::disallowed_methods,
    reason = "who runs the tests says what they need"
)]
fn in_a_small_file_system(size: &str, child: &str) {
    let scratch = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs -o size={size} none \"$1\"");
    let run = |script: &str| {
        let unshare = ["unshare", "--user", "--map-root-user", "--mount"];
        let words: Vec<&str> = unshare.into_iter().chain(["sh", "-c", script]).collect();
        shell(&words, scratch.path())
    };
    if !run(&mount).success() {
        let required = std::env::var("LARDER_REQUIRE_MOUNTS").is_ok_and(|value| value == "1");
        assert!(
            !required,
            "LARDER_REQUIRE_MOUNTS=1, but `unshare` and `mount` cannot make a file system of the test's own"
        );
        println!("no private mounts here: nothing was seen of a file system of {size}");
        return;
    }
    let status = run(&format!("{mount} && exec \"$0\" child {child} \"$1\""));
    assert!(status.success(), "{status}");
}

fn run_out_of_room(dir: &Path) {
    in_runtime(async {
        let disk = DiskStore::open(dir).unwrap();
        let staging = Staging::open(dir, 4 * 1024 * 1024, 16 * 1024 * 1024).unwrap();
        let small = |patch: usize| key("example.com/m", &format!("v1.0.{patch}"), FileKind::Mod);
        let file = verified(&staging, &small(0), &[1; 100], 1).await;
        assert!(matches!(
            disk.commit(file).await.unwrap(),
            Committed::Stored
        ));

        // A file that is staged in memory fails when it is committed, one that memory can't hold while it is written.
        let large = key("example.com/m", "v1.0.0", FileKind::Zip);
        let bytes = vec![2; 2 * 1024 * 1024];
        let file = verified(&staging, &large, &bytes, 1).await;
        is_full(dir, &disk.commit(file).await.unwrap_err());
        assert!(disk.open(&large).await.unwrap().is_none());
        let record = disk.record(large.namespace, &large.module).await.unwrap();
        assert_eq!(record.unwrap().zip, None);
        let mut on_disk = staging.begin(large.clone());
        on_disk.spill().await.unwrap();
        let more = vec![2; 4 * 1024 * 1024 + 1];
        is_full(dir, &on_disk.write(more.into()).await.unwrap_err());
        drop(on_disk);
        assert_eq!(files_in_staging(dir), 0);

        // What was there is whole, and there is room again.
        assert_eq!(
            read(&disk.open(&small(0)).await.unwrap().unwrap()),
            [1; 100]
        );
        let file = verified(&staging, &large, &[3; 20_000], 1).await;
        assert!(matches!(
            disk.commit(file).await.unwrap(),
            Committed::Stored
        ));
        let versions = disk.versions(Namespace::Shared, large.module.path()).await;
        assert_eq!(versions.unwrap(), []);
    });
}

fn is_full(dir: &Path, error: &StoreError) {
    let StoreError::DiskFull { dir: told } = error else {
        panic!("{error:?}");
    };
    assert_eq!(told, dir);
    assert!(error.to_string().contains(dir.to_str().unwrap()));
}

fn files_in_staging(dir: &Path) -> usize {
    let folders = fs_err::read_dir(dir.join("staging")).unwrap();
    let folders: Vec<PathBuf> = folders.map(|folder| folder.unwrap().path()).collect();
    folders
        .iter()
        .map(|folder| fs_err::read_dir(folder).unwrap().count())
        .sum()
}

fn in_runtime(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(work);
}

#[expect(clippy::disallowed_methods, reason = "these tests are about processes")]
fn start(arguments: &[&str]) -> (Child, ChildStdout) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    (child, output)
}

/// Runs a script in which `$0` is this binary and `$1` is `dir`.
#[expect(clippy::disallowed_methods, reason = "these tests are about processes")]
fn shell(words: &[&str], dir: &Path) -> ExitStatus {
    let (program, rest) = words.split_first().unwrap();
    Command::new(program)
        .args(rest)
        .arg(std::env::current_exe().unwrap())
        .arg(dir)
        .status()
        .unwrap()
}
