//! The suite that every [`Store`] passes.
//!
//! Called by tests only, with a function that makes an empty store. It says what callers may rely on;
//! what is particular to one store is tested beside it.

use crate::{
    Accepted, Body, Committed, FILE_KINDS, FileKey, Namespace, Opened, Staged, Staging, Store,
    Verified, VerifiedBy, Verifier, VerifyError,
};
use async_trait::async_trait;
use bytes::Bytes;
use gomod::{FileKind, H1, ModulePath, ModuleVersion, Sha256, Version};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// A verifier that accepts everything under the `h1:` it was given.
#[derive(Clone, Copy, Debug)]
pub struct AcceptAs(pub Option<H1>);

#[async_trait]
impl Verifier for AcceptAs {
    async fn judge(&self, staged: &Staged) -> Result<Accepted, VerifyError> {
        Ok(Accepted {
            by: match staged.key().kind {
                FileKind::Info => VerifiedBy::Shape,
                FileKind::Mod => VerifiedBy::FirstSight,
                FileKind::Zip => VerifiedBy::ChecksumDatabase("sum.example".to_owned()),
            },
            hash: self.0,
        })
    }
}

/// The key of a shared file.
pub fn key(module_path: &str, version: &str, kind: FileKind) -> FileKey {
    FileKey {
        namespace: Namespace::Shared,
        module: ModuleVersion::new(
            ModulePath::parse(module_path).expect("a module path"),
            Version::parse(version).expect("a version"),
        )
        .expect("a path and a version that fit"),
        kind,
    }
}

/// `bytes` as a verified file of `key`, accepted under the `h1:` that `hash` stands for.
pub async fn verified(staging: &Staging, key: &FileKey, bytes: &[u8], hash: u8) -> Arc<Verified> {
    let mut file = staging.begin(key.clone());
    for chunk in bytes.chunks(100_000) {
        file.write(Bytes::copy_from_slice(chunk))
            .await
            .expect("staging has room");
    }
    let staged = file
        .finish("test".to_owned())
        .await
        .expect("staging has room")
        .read_from(Some(COMMIT.to_owned()));
    let hash = (key.kind != FileKind::Info).then_some(H1([hash; 32]));
    let verified = staged.verify(&AcceptAs(hash)).await;
    Arc::new(verified.map_err(|refused| refused.1).expect("accepted"))
}

/// All bytes of an opened file.
pub fn read(opened: &Opened) -> Vec<u8> {
    match &opened.body {
        Body::Bytes(bytes) => bytes.to_vec(),
        Body::File(file) => {
            let len = usize::try_from(opened.len_bytes).expect("a small file");
            let mut bytes = vec![0; len];
            file.read_exact_at(&mut bytes, 0)
                .expect("as long as was said");
            bytes
        }
    }
}

/// Runs the whole suite; `new_store` makes an empty store each time.
pub async fn run<S: Store + 'static>(staging: &Staging, new_store: impl Fn() -> S) {
    nothing_is_there_before_it_is_stored(&new_store()).await;
    what_is_stored_opens_as_it_was_verified(&new_store(), staging).await;
    the_first_of_two_equal_files_stays(&new_store(), staging).await;
    another_hash_is_refused_and_changes_nothing(&new_store(), staging).await;
    the_record_outlives_the_file(&new_store(), staging).await;
    a_deleted_file_comes_back_with_other_bytes_of_its_hash(&new_store(), staging).await;
    versions_are_those_with_three_files_in_order(&new_store(), staging).await;
    modules_do_not_mix(&new_store(), staging).await;
    an_opened_file_stays_readable(&new_store(), staging).await;
    a_hashed_file_without_its_hash_is_an_error(&new_store(), staging).await;
    one_of_many_equal_commits_stores(Arc::new(new_store()), staging).await;
    one_of_two_rival_commits_wins(Arc::new(new_store()), staging).await;
    a_reader_sees_the_whole_file_or_none(Arc::new(new_store()), staging).await;
}

/// What every file here is read from.
const COMMIT: &str = "ede458df7cd0fdca520df19a33158086a8a68e81";
const PATH: &str = "example.com/Mixed/module";

async fn open(store: &impl Store, key: &FileKey) -> Option<Opened> {
    store.open(key).await.expect("the store answers")
}

async fn commit(store: &impl Store, file: Arc<Verified>) -> Committed {
    store.commit(file).await.expect("the store answers")
}

async fn nothing_is_there_before_it_is_stored(store: &impl Store) {
    let key = key(PATH, "v1.0.0", FileKind::Zip);
    assert!(store.open_now(&key).is_none());
    assert!(open(store, &key).await.is_none());
    let record = store.record(key.namespace, &key.module).await;
    assert_eq!(record.expect("the store answers"), None);
    let knows = store.knows(key.namespace, key.module.path()).await;
    assert!(!knows.expect("the store answers"));
    let versions = store.versions(key.namespace, key.module.path()).await;
    assert_eq!(versions.expect("the store answers"), []);
    assert!(!store.delete(&key).await.expect("the store answers"));
}

async fn what_is_stored_opens_as_it_was_verified(store: &impl Store, staging: &Staging) {
    for kind in FILE_KINDS {
        for (version, len) in [("v1.0.0", 0), ("v1.0.1", 1), ("v1.0.2", 300_000)] {
            let key = key(PATH, version, kind);
            let bytes: Vec<u8> = (0..len).map(|n: u32| n.to_le_bytes()[0]).collect();
            let file = verified(staging, &key, &bytes, 1).await;
            let committed = commit(store, Arc::clone(&file)).await;
            assert!(matches!(committed, Committed::Stored), "{committed:?}");
            let opened = open(store, &key).await.expect("just stored");
            assert!(read(&opened) == bytes, "{key:?}");
            assert_eq!(opened.len_bytes, bytes.len() as u64);
            assert_eq!(opened.sha256, Sha256::of(&bytes));
            assert_eq!(opened.stored_at, file.verified_at());
            let record = store.record(key.namespace, &key.module).await;
            let record = record
                .expect("the store answers")
                .expect("a file is stored");
            let remembered = record.file(kind).expect("it was stored");
            assert_eq!(remembered.sha256, opened.sha256);
            assert_eq!(remembered.len_bytes, opened.len_bytes);
            assert_eq!(remembered.stored_at, opened.stored_at);
            assert_eq!(remembered.verified_by, file.accepted().by);
            assert_eq!(remembered.source, "test");
            assert_eq!(remembered.commit.as_deref(), Some(COMMIT));
            assert_eq!(record.commit(), Some(COMMIT));
            assert_eq!(record.hash(kind), file.accepted().hash);
        }
    }
}

async fn the_first_of_two_equal_files_stays(store: &impl Store, staging: &Staging) {
    for kind in FILE_KINDS {
        let key = key(PATH, "v1.0.0", kind);
        commit(store, verified(staging, &key, b"first", 1).await).await;
        // Another compression of the same files has the same `h1:`; an .info has none at all.
        let second = commit(store, verified(staging, &key, b"second", 1).await).await;
        assert!(matches!(second, Committed::Same), "{second:?}");
        let opened = open(store, &key).await.expect("stored");
        assert_eq!(read(&opened), b"first");
        assert_eq!(opened.sha256, Sha256::of(b"first"));
    }
}

async fn another_hash_is_refused_and_changes_nothing(store: &impl Store, staging: &Staging) {
    for kind in [FileKind::Mod, FileKind::Zip] {
        let key = key(PATH, "v1.0.0", kind);
        commit(store, verified(staging, &key, b"first", 1).await).await;
        let rival = commit(store, verified(staging, &key, b"rival", 2).await).await;
        let Committed::Differs(record) = rival else {
            unreachable!("another hash must be refused, not {rival:?}");
        };
        assert_eq!(record.hash(kind), Some(H1([1; 32])));
        let opened = open(store, &key).await.expect("stored");
        assert_eq!(read(&opened), b"first");
        let remembered = store.record(key.namespace, &key.module).await;
        assert_eq!(remembered.expect("the store answers"), Some(record));
    }
}

async fn the_record_outlives_the_file(store: &impl Store, staging: &Staging) {
    let key = key(PATH, "v1.0.0", FileKind::Zip);
    commit(store, verified(staging, &key, b"first", 1).await).await;
    let before = store.record(key.namespace, &key.module).await;
    assert!(store.delete(&key).await.expect("the store answers"));
    assert!(!store.delete(&key).await.expect("the store answers"));
    assert!(store.open_now(&key).is_none());
    assert!(open(store, &key).await.is_none());
    let after = store.record(key.namespace, &key.module).await;
    assert_eq!(
        after.expect("the store answers"),
        before.expect("the store answers")
    );
    let rival = commit(store, verified(staging, &key, b"rival", 2).await).await;
    assert!(matches!(rival, Committed::Differs(_)), "{rival:?}");
    assert!(open(store, &key).await.is_none());
}

async fn a_deleted_file_comes_back_with_other_bytes_of_its_hash(
    store: &impl Store,
    staging: &Staging,
) {
    let key = key(PATH, "v1.0.0", FileKind::Zip);
    commit(store, verified(staging, &key, b"first", 1).await).await;
    assert!(store.delete(&key).await.expect("the store answers"));
    let again = commit(store, verified(staging, &key, b"again", 1).await).await;
    assert!(matches!(again, Committed::Stored), "{again:?}");
    let opened = open(store, &key).await.expect("stored again");
    assert_eq!(read(&opened), b"again");
    assert_eq!(opened.sha256, Sha256::of(b"again"));
}

async fn versions_are_those_with_three_files_in_order(store: &impl Store, staging: &Staging) {
    let pseudo = "v1.2.1-0.20240102030405-abcdefabcdef";
    let complete = ["v1.10.0", "v1.2.0", pseudo, "v1.2.0-RC1", "v1.9.0"];
    for version in complete {
        for kind in FILE_KINDS {
            commit(
                store,
                verified(staging, &key(PATH, version, kind), b"file", 1).await,
            )
            .await;
        }
    }
    let lonely = key(PATH, "v1.3.0", FileKind::Mod);
    commit(store, verified(staging, &lonely, b"file", 1).await).await;
    let listed = async || -> Vec<String> {
        let versions = store
            .versions(lonely.namespace, lonely.module.path())
            .await
            .expect("the store answers");
        versions.iter().map(|version| version.to_string()).collect()
    };
    assert_eq!(
        listed().await,
        ["v1.2.0-RC1", "v1.2.0", pseudo, "v1.9.0", "v1.10.0"]
    );
    let gone = key(PATH, "v1.9.0", FileKind::Info);
    assert!(store.delete(&gone).await.expect("the store answers"));
    assert_eq!(listed().await, ["v1.2.0-RC1", "v1.2.0", pseudo, "v1.10.0"]);
}

async fn modules_do_not_mix(store: &impl Store, staging: &Staging) {
    let paths = ["example.com/a", "example.com/A", "example.com/a/b"];
    let knows = async |path: &str| {
        let path = ModulePath::parse(path).expect("a module path");
        let known = store.knows(Namespace::Shared, &path).await;
        known.expect("the store answers")
    };
    for (index, path) in paths.iter().enumerate().rev() {
        assert!(!knows(path).await, "{path}");
        let key = key(path, "v1.0.0", FileKind::Mod);
        commit(store, verified(staging, &key, path.as_bytes(), 1).await).await;
        assert!(knows(path).await, "{path}");
        for other in paths.iter().take(index) {
            assert!(!knows(other).await, "{other}");
        }
    }
    for path in paths {
        let opened = open(store, &key(path, "v1.0.0", FileKind::Mod)).await;
        assert_eq!(read(&opened.expect("stored")), path.as_bytes());
    }
}

async fn an_opened_file_stays_readable(store: &impl Store, staging: &Staging) {
    let key = key(PATH, "v1.0.0", FileKind::Zip);
    let bytes = vec![7; 400_000];
    commit(store, verified(staging, &key, &bytes, 1).await).await;
    let opened = open(store, &key).await.expect("stored");
    assert!(store.delete(&key).await.expect("the store answers"));
    assert!(read(&opened) == bytes);
}

async fn a_hashed_file_without_its_hash_is_an_error(store: &impl Store, staging: &Staging) {
    let key = key(PATH, "v1.0.0", FileKind::Zip);
    let mut file = staging.begin(key.clone());
    file.write(Bytes::from_static(b"file"))
        .await
        .expect("staging has room");
    let staged = file
        .finish("test".to_owned())
        .await
        .expect("staging has room");
    let unhashed = staged.verify(&AcceptAs(None)).await;
    let unhashed = unhashed.map_err(|refused| refused.1).expect("accepted");
    assert!(store.commit(Arc::new(unhashed)).await.is_err());
    assert!(open(store, &key).await.is_none());
}

async fn one_of_many_equal_commits_stores<S: Store + 'static>(store: Arc<S>, staging: &Staging) {
    let key = key(PATH, "v1.0.0", FileKind::Zip);
    let mut commits = Vec::new();
    for number in 0..8 {
        let file = verified(staging, &key, &vec![number; 200_000], 1).await;
        let store = Arc::clone(&store);
        commits.push(tokio::spawn(async move { commit(&*store, file).await }));
    }
    let mut stored = 0;
    for committed in commits {
        match committed.await.expect("the commit does not panic") {
            Committed::Stored => stored += 1,
            Committed::Same => {}
            Committed::Differs(record) => unreachable!("{record:?}"),
        }
    }
    assert_eq!(stored, 1);
    let opened = open(&*store, &key).await.expect("stored");
    assert_eq!(opened.sha256, Sha256::of(&read(&opened)));
}

async fn one_of_two_rival_commits_wins<S: Store + 'static>(store: Arc<S>, staging: &Staging) {
    for round in 0..8 {
        let key = key(PATH, &format!("v1.0.{round}"), FileKind::Mod);
        let mut commits = Vec::new();
        for rival in [1, 2] {
            let file = verified(staging, &key, &[rival], rival).await;
            let store = Arc::clone(&store);
            commits.push(tokio::spawn(
                async move { (rival, commit(&*store, file).await) },
            ));
        }
        let mut winner = None;
        for committed in commits {
            let (rival, committed) = committed.await.expect("the commit does not panic");
            match committed {
                Committed::Stored => assert_eq!(winner.replace(rival), None),
                Committed::Differs(_) => {}
                Committed::Same => unreachable!("rivals have different hashes"),
            }
        }
        let opened = open(&*store, &key).await.expect("one of them was stored");
        assert_eq!(Some(read(&opened)), winner.map(|rival| vec![rival]));
    }
}

async fn a_reader_sees_the_whole_file_or_none<S: Store + 'static>(
    store: Arc<S>,
    staging: &Staging,
) {
    for round in 0..8_u8 {
        let key = key(PATH, &format!("v1.1.{round}"), FileKind::Zip);
        let file = verified(staging, &key, &vec![round; 500_000], 1).await;
        let writer = {
            let store = Arc::clone(&store);
            tokio::spawn(async move { commit(&*store, file).await })
        };
        loop {
            let done = writer.is_finished();
            if let Some(opened) = open(&*store, &key).await {
                assert_eq!(opened.sha256, Sha256::of(&read(&opened)));
            } else {
                assert!(!done, "what was committed must open");
            }
            if done {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}
