use super::*;
use crate::answers::Answer;
use crate::conformance::{key, read, verified};
use crate::last_use::WrittenUses;
use crate::memory::MemoryTier;
use crate::pins::Pin;
use crate::tests::scratch;
use bytes::Bytes;
use gomod::FileKind;
use parking_lot::Mutex;
use std::path::Path;

const KIB: usize = 1024;

#[derive(Default)]
struct Counted {
    evicted: Mutex<Vec<(Reason, u64)>>,
    stored: AtomicU64,
}

impl EvictionObserver for Counted {
    fn evicted(&self, _: &FileKey, reason: Reason, bytes: u64) {
        self.evicted.lock().push((reason, bytes));
    }
    fn stored_bytes(&self, bytes: u64) {
        self.stored.store(bytes, Ordering::Relaxed);
    }
}

/// A folder with everything around it.
struct Folder {
    dir: tempfile::TempDir,
    staging: Staging,
    store: Arc<dyn Store>,
    usage: Arc<Usage>,
    evictor: Arc<Evictor>,
    counted: Arc<Counted>,
    answers: Answers,
}

fn limits(cache_bytes: usize) -> Limits {
    Limits {
        cache_bytes: Some(cache_bytes as u64),
        free: FreeFloor::Bytes(0),
    }
}

fn folder(limits: Limits) -> Folder {
    let (dir, staging) = scratch();
    let disk = DiskStore::open(dir.path()).unwrap();
    let usage = Usage::of(dir.path(), &limits);
    let tiers = MemoryTier::new(disk.clone(), 1 << 20, 64 << 10);
    let store: Arc<dyn Store> = Arc::new(Tended::new(Arc::new(tiers), Arc::clone(&usage)));
    let counted = Arc::new(Counted::default());
    let answers = Answers::open(dir.path()).unwrap();
    let evictor = Evictor::new(EvictorParts {
        disk,
        store: Arc::clone(&store),
        usage: Arc::clone(&usage),
        pins: Pins::of(dir.path()),
        is_private: Arc::new(|path| path.as_str().starts_with("private.example/")),
        answers: answers.clone(),
        limits,
        observer: counted.clone(),
    });
    Folder {
        dir,
        staging,
        store,
        usage,
        evictor,
        counted,
        answers,
    }
}

fn zip(path: &str) -> FileKey {
    key(path, "v1.0.0", FileKind::Zip)
}

fn numbered(number: usize) -> FileKey {
    zip(&format!("example.com/m{number:03}"))
}

impl Folder {
    async fn store_all(&self, keys: &[FileKey], len: usize) {
        let mut commits = JoinSet::new();
        for key in keys {
            let file = verified(&self.staging, key, &vec![7; len], 1).await;
            let store = Arc::clone(&self.store);
            commits.spawn(async move { store.commit(file).await.unwrap() });
        }
        commits.join_all().await;
    }

    /// As if so many minutes had passed since.
    fn later(&self, minutes: i64) {
        let later = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(minutes);
        self.usage.last_use.tick(later);
    }

    async fn has(&self, key: &FileKey) -> bool {
        // Not by the store, which would note a use.
        let path = layout::file(self.dir.path(), key);
        let has = path.exists();
        assert_eq!(
            self.evictor.parts.disk.open(key).await.unwrap().is_some(),
            has
        );
        has
    }
}

#[tokio::test]
async fn what_was_asked_for_longest_ago_goes_until_a_tenth_below_the_limit() {
    let folder = folder(limits(20 * KIB));
    let keys: Vec<FileKey> = (0..25).map(numbered).collect();
    folder.store_all(&keys, KIB).await;
    // Some from memory, as hits are, and some from the folder.
    for (minutes, number) in [(5, 3), (5, 0), (9, 7)] {
        folder.later(minutes);
        assert!(folder.store.open_now(&keys[number]).is_some());
    }
    let evicted = folder.evictor.run().await.unwrap();
    assert_eq!((evicted.files, evicted.bytes), (7, 7 * KIB as u64));
    assert_eq!(
        (evicted.left_bytes, evicted.short_bytes),
        (18 * KIB as u64, 0)
    );
    for number in [0, 3, 7] {
        assert!(folder.has(&keys[number]).await, "{number}");
    }
    let counted = folder.counted.evicted.lock().clone();
    assert_eq!(counted, [(Reason::CacheLimit, KIB as u64); 7]);
    assert_eq!(
        folder.counted.stored.load(Ordering::Relaxed),
        18 * KIB as u64
    );

    // Below the limit nothing more goes.
    assert_eq!(folder.evictor.run().await.unwrap().files, 0);
}

#[tokio::test]
async fn what_looks_at_the_folder_sees_when_each_file_was_asked_for_last() {
    let folder = folder(limits(20 * KIB));
    folder.store_all(&[numbered(0), numbered(1)], KIB).await;
    folder.later(60);
    assert!(folder.store.open_now(&numbered(1)).is_some());
    assert!(folder.usage.last_use.write().unwrap());
    let uses = WrittenUses::read(folder.dir.path()).unwrap();
    let mut used = Vec::new();
    for found in folder.evictor.parts.disk.walk() {
        if let Ok(Found::File(file)) = found {
            used.push((uses.of(&file), file.key, file.stored_at));
        }
    }
    used.sort_by_key(|(used, ..)| *used);
    let [(earlier, first, stored_at), (later, second, _)] = used.as_slice() else {
        panic!("{used:?}");
    };
    assert_eq!((first, second), (&numbered(0), &numbered(1)));
    assert!(*earlier <= Minute(Minute::of(*stored_at).0 + 1));
    assert!(later.0 >= Minute::of(*stored_at).0 + 60);
}

#[tokio::test]
async fn an_evicted_file_is_gone_from_memory_too_and_its_record_stays() {
    let folder = folder(limits(KIB));
    folder.store_all(&[numbered(0)], 2 * KIB).await;
    assert!(folder.store.open_now(&numbered(0)).is_some());
    folder.evictor.run().await.unwrap();
    assert!(folder.store.open_now(&numbered(0)).is_none());
    assert!(folder.store.open(&numbered(0)).await.unwrap().is_none());
    let rival = verified(&folder.staging, &numbered(0), b"rival", 2).await;
    let committed = folder.store.commit(rival).await.unwrap();
    assert!(matches!(committed, Committed::Differs(_)), "{committed:?}");
}

#[tokio::test]
async fn pinned_private_and_withdrawn_versions_stay_and_the_shortage_is_told() {
    let folder = folder(limits(KIB));
    let withdrawn = key("example.com/list", "v1.1.0", FileKind::Zip);
    let listed = key("example.com/list", "v1.0.0", FileKind::Zip);
    let pseudo = key(
        "example.com/list",
        "v0.0.0-20240102030405-abcdefabcdef",
        FileKind::Zip,
    );
    let stays = [
        zip("example.com/pinned"),
        zip("example.com/team/tool"),
        zip("private.example/secret"),
        withdrawn.clone(),
    ];
    let goes = [zip("example.com/pinned/not"), listed, pseudo];
    folder.store_all(&stays, KIB).await;
    folder.store_all(&goes, KIB).await;
    let pins = ["example.com/pinned@v1.0.0", "example.com/team/*"];
    let pins: Vec<Pin> = pins.iter().map(|pin| Pin::parse(pin).unwrap()).collect();
    folder.evictor.parts.pins.add(&pins).unwrap();
    let list = AnswerKey::List(Namespace::Shared, withdrawn.module.path().clone());
    let answer = Answer {
        body: Bytes::from_static(b"v1.0.0\n"),
        fetched_at: jiff::Timestamp::now() + jiff::SignedDuration::from_mins(1),
        source: "test".to_owned(),
    };
    folder.answers.write(&list, &answer).await.unwrap();

    let mut pinned = Pinned::now(
        &folder.evictor.parts.pins,
        Arc::clone(&folder.evictor.parts.is_private),
        folder.answers.clone(),
    )
    .unwrap();
    let mut why = Vec::new();
    for found in folder.evictor.parts.disk.walk() {
        let Ok(Found::File(file)) = found else {
            panic!("{found:?}");
        };
        if let Some(by) = pinned.by(&file) {
            why.push((file.key, by));
        }
    }
    let by = [
        PinnedBy::Pins,
        PinnedBy::Pins,
        PinnedBy::Private,
        PinnedBy::Withdrawn,
    ];
    assert_eq!(why.len(), stays.len(), "{why:?}");
    for expected in stays.iter().cloned().zip(by) {
        assert!(why.contains(&expected), "{expected:?}");
    }

    let evicted = folder.evictor.run().await.unwrap();
    for key in &stays {
        assert!(folder.has(key).await, "{key:?}");
    }
    for key in &goes {
        assert!(!folder.has(key).await, "{key:?}");
    }
    assert_eq!(evicted.pinned_bytes, 4 * KIB as u64);
    assert_eq!(evicted.left_bytes, 4 * KIB as u64);
    assert!(evicted.short_bytes >= 3 * KIB as u64, "{evicted:?}");
    // Nothing is tried again and again.
    let mut held_off = None;
    folder.evictor.look(&mut held_off).await;
    let first = held_off.unwrap();
    folder.evictor.look(&mut held_off).await;
    assert_eq!(held_off.unwrap(), first);
}

#[tokio::test]
async fn nothing_goes_while_the_pins_cannot_be_read() {
    let folder = folder(limits(KIB));
    folder.store_all(&[numbered(0)], 2 * KIB).await;
    fs_err::write(folder.evictor.parts.pins.path(), [0xff, 0xfe]).unwrap();
    assert!(folder.evictor.run().await.is_err());
    assert!(folder.has(&numbered(0)).await);
}

#[tokio::test]
async fn a_file_larger_than_the_limit_is_served_and_then_goes() {
    let folder = folder(limits(KIB));
    let bytes = vec![9; 300 * KIB];
    let file = verified(&folder.staging, &numbered(0), &bytes, 1).await;
    folder.store.commit(file).await.unwrap();
    let opened = folder.store.open(&numbered(0)).await.unwrap().unwrap();
    assert_eq!(folder.evictor.run().await.unwrap().files, 1);
    assert!(!folder.has(&numbered(0)).await);
    assert!(read(&opened) == bytes, "who reads it reads on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_clients_read_on_while_the_file_is_evicted_and_stored_again() {
    let folder = folder(limits(KIB));
    let bytes = vec![9; 200 * KIB];
    let key = numbered(0);
    folder.store_all(std::slice::from_ref(&key), 1).await;
    folder.store.delete(&key).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..50 {
        let (store, key, done) = (Arc::clone(&folder.store), key.clone(), Arc::clone(&done));
        clients.spawn(async move {
            let mut reads = 0;
            while !done.load(Ordering::Relaxed) {
                if let Some(opened) = store.open(&key).await.unwrap() {
                    assert_eq!(Sha256::of(&read(&opened)), opened.sha256);
                    reads += 1;
                }
                tokio::task::yield_now().await;
            }
            reads
        });
    }
    for _ in 0..10 {
        let file = verified(&folder.staging, &key, &bytes, 1).await;
        folder.store.commit(file).await.unwrap();
        assert_eq!(folder.evictor.run().await.unwrap().files, 1);
    }
    done.store(true, Ordering::Relaxed);
    let reads: u32 = clients.join_all().await.into_iter().sum();
    assert!(reads > 0);
}

#[tokio::test]
async fn two_processes_on_one_folder_evict_what_the_other_one_stored() {
    let first = folder(limits(4 * KIB));
    let keys: Vec<FileKey> = (0..8).map(numbered).collect();
    first.store_all(&keys, KIB).await;
    let second = on_the_same_folder(first.dir.path(), limits(4 * KIB));
    let (one, other) = tokio::join!(first.evictor.run(), second.run());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert!(one.files + other.files >= 5, "{one:?} {other:?}");
    let left = first.evictor.run().await.unwrap();
    assert!(left.left_bytes <= 4 * KIB as u64, "{left:?}");
    assert_eq!(left.files, 0);
}

fn on_the_same_folder(dir: &Path, limits: Limits) -> Arc<Evictor> {
    let disk = DiskStore::open(dir).unwrap();
    Evictor::new(EvictorParts {
        store: Arc::new(disk.clone()),
        disk,
        usage: Usage::of(dir, &limits),
        pins: Pins::of(dir),
        is_private: Arc::new(|_| false),
        answers: Answers::open(dir).unwrap(),
        limits,
        observer: Arc::new(Counted::default()),
    })
}

#[tokio::test]
async fn a_full_file_system_makes_the_same_files_go() {
    let (dir, _staging) = scratch();
    let space = FreeSpace::of(dir.path()).unwrap();
    assert!(space.free_bytes > 0 && space.total_bytes > space.free_bytes);
    // A floor above what is free: whatever is stored must go.
    let folder = folder(Limits {
        cache_bytes: None,
        free: FreeFloor::Bytes(space.total_bytes * 2),
    });
    folder.store_all(&[numbered(0), numbered(1)], KIB).await;
    let evicted = folder.evictor.run().await.unwrap();
    assert_eq!((evicted.files, evicted.left_bytes), (2, 0));
    assert!(evicted.short_bytes > 0);
    let counted = folder.counted.evicted.lock().clone();
    assert_eq!(counted, [(Reason::DiskFree, KIB as u64); 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stores_too_much_evicts_by_itself() {
    let folder = folder(limits(10 * KIB));
    let tending = tokio::spawn(Arc::clone(&folder.evictor).tend());
    let keys: Vec<FileKey> = (0..40).map(numbered).collect();
    let patience = Instant::now() + Duration::from_secs(60);
    for chunk in keys.chunks(5) {
        folder.store_all(chunk, KIB).await;
    }
    // Woken by a commit; a file more each time, should the first wake-up have come before the count.
    let mut more = 100;
    while folder.counted.evicted.lock().len() < 30 {
        assert!(Instant::now() < patience, "nothing is evicted");
        more += 1;
        folder.store_all(&[numbered(more)], 1).await;
    }
    tending.abort();
}
