use super::*;
use crate::conformance::{key, verified};
use crate::folder::WorkFolder;
use crate::tests::scratch;
use gomod::FileKind;

const LIMIT: usize = 100 * 1024;

fn zip() -> FileKey {
    key("example.com/m", "v1.0.0", FileKind::Zip)
}

fn pattern(len: usize) -> Bytes {
    (0..len)
        .map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1])
        .collect()
}

fn contents(staged: &Staged) -> Vec<u8> {
    match staged.body() {
        Body::Bytes(bytes) => bytes.to_vec(),
        Body::File(file) => {
            assert_eq!(file.metadata().unwrap().len(), staged.len_bytes());
            let mut bytes = vec![0; usize::try_from(staged.len_bytes()).unwrap()];
            file.read_exact_at(&mut bytes, 0).unwrap();
            bytes
        }
    }
}

/// Files that lie in the folders of live processes.
fn files_on_disk(scratch: &Path) -> usize {
    fs_err::read_dir(scratch.join("staging"))
        .unwrap()
        .map(|folder| fs_err::read_dir(folder.unwrap().path()).unwrap().count())
        .sum()
}

#[tokio::test]
async fn what_was_written_is_what_is_staged_whatever_its_size_and_chunks() {
    let (_scratch, staging) = scratch();
    for len in [
        0,
        1,
        LIMIT,
        LIMIT + 1,
        BATCH_BYTES,
        BATCH_BYTES + 1,
        3 * BATCH_BYTES + 17,
    ] {
        for chunk_len in [1000, 70_000, BATCH_BYTES, 2 * BATCH_BYTES + 1] {
            let bytes = pattern(len);
            let mut file = staging.begin(zip());
            for chunk in bytes.chunks(chunk_len) {
                file.write(bytes.slice_ref(chunk)).await.unwrap();
            }
            assert_eq!(file.len_bytes(), len as u64);
            let staged = file.finish("mirror".to_owned()).await.unwrap();
            assert!(contents(&staged) == bytes, "{len} in chunks of {chunk_len}");
            assert_eq!(staged.len_bytes(), len as u64);
            assert_eq!(staged.sha256(), Sha256::of(&bytes));
            assert_eq!(staged.key(), &zip());
            assert_eq!(staged.source(), "mirror");
            assert_eq!(matches!(staged.body(), Body::Bytes(_)), len <= LIMIT);
        }
    }
}

#[tokio::test]
async fn memory_is_bounded_over_all_files_and_given_back() {
    let (scratch, _) = scratch();
    let staging = Staging::open(scratch.path(), LIMIT as u64, 150 * 1024).unwrap();
    let mut first = staging.begin(zip());
    first.write(pattern(LIMIT)).await.unwrap();
    let mut second = staging.begin(zip());
    second.write(pattern(LIMIT)).await.unwrap();
    assert_eq!(staging.memory_bytes(), LIMIT as u64);
    let first = first.finish(String::new()).await.unwrap();
    let second = second.finish(String::new()).await.unwrap();
    assert!(matches!(first.body(), Body::Bytes(_)));
    assert!(matches!(second.body(), Body::File(_)));
    assert_eq!(staging.memory_bytes(), LIMIT as u64);
    drop(first);
    assert_eq!(staging.memory_bytes(), 0);
}

#[tokio::test]
async fn a_finished_small_file_holds_no_more_memory_than_its_bytes() {
    let (_scratch, staging) = scratch();
    let mut file = staging.begin(zip());
    for byte in 0..=100 {
        file.write(Bytes::copy_from_slice(&[byte; 7]))
            .await
            .unwrap();
    }
    assert!(staging.memory_bytes() >= 707);
    let staged = file.finish(String::new()).await.unwrap();
    assert_eq!(staging.memory_bytes(), 707);
    drop(staged);
    assert_eq!(staging.memory_bytes(), 0);
}

#[tokio::test]
async fn memory_is_counted_until_its_last_reader_is_gone() {
    let (_scratch, staging) = scratch();
    let file = verified(&staging, &zip(), &[7; 5000], 1).await;
    let (slow, slower) = (file.open(), file.open());
    drop(file);
    assert_eq!(staging.memory_bytes(), 5000);
    drop(slow);
    let Body::Bytes(mut rest) = slower.body else {
        panic!("a small file is staged in memory");
    };
    let tail = rest.split_off(4999);
    drop(rest);
    assert_eq!(staging.memory_bytes(), 5000);
    drop(tail);
    assert_eq!(staging.memory_bytes(), 0);
}

#[tokio::test]
async fn followers_read_the_growing_file() {
    let (_scratch, staging) = scratch();
    let bytes = pattern(4 * BATCH_BYTES);
    let mut file = staging.begin(zip());
    file.write(bytes.slice(..1000)).await.unwrap();
    assert_eq!(file.readable_bytes(), 0);
    assert!(file.release(1000).is_none());
    file.spill().await.unwrap();
    assert_eq!(file.readable_bytes(), 1000);
    let follower = file.release(1000).unwrap();
    let mut written = 1000;
    while written < bytes.len() {
        let end = (written + 50_000).min(bytes.len());
        file.write(bytes.slice(written..end)).await.unwrap();
        written = end;
        // A fill asks for this each time it releases more.
        file.spill().await.unwrap();
        let readable = file.readable_bytes();
        file.release(readable).unwrap();
        let mut seen = vec![0; usize::try_from(readable).unwrap()];
        follower.read_exact_at(&mut seen, 0).unwrap();
        assert!(seen == bytes[..seen.len()]);
        assert!(file.len_bytes() - readable < BATCH_BYTES as u64);
    }
    file.flush().await.unwrap();
    assert_eq!(file.readable_bytes(), bytes.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn bytes_of_a_slow_source_do_not_wait_for_a_full_batch() {
    let (_scratch, staging) = scratch();
    let mut file = staging.begin(zip());
    file.spill().await.unwrap();
    file.write(pattern(10)).await.unwrap();
    assert_eq!(file.readable_bytes(), 0);
    tokio::time::advance(BATCH_DELAY).await;
    file.write(pattern(10)).await.unwrap();
    assert_eq!(file.readable_bytes(), 20);
}

#[tokio::test]
async fn a_second_source_may_begin_anew_while_nothing_was_released() {
    let (_scratch, staging) = scratch();
    for first_len in [10, LIMIT, 3 * BATCH_BYTES] {
        for second_len in [0, 20, LIMIT + 1, 2 * BATCH_BYTES] {
            let second = vec![9; second_len];
            let mut file = staging.begin(zip());
            file.write(pattern(first_len)).await.unwrap();
            file.restart().unwrap();
            assert_eq!(file.len_bytes(), 0);
            file.write(Bytes::from(second.clone())).await.unwrap();
            let staged = file.finish(String::new()).await.unwrap();
            assert!(contents(&staged) == second, "{first_len} then {second_len}");
            assert_eq!(staged.sha256(), Sha256::of(&second));
        }
    }
}

/// Releases `released` bytes of one source, then writes `second` from another.
async fn second_source(released: usize, second: &[u8]) -> Result<Staged, StoreError> {
    let (_scratch, staging) = scratch();
    let first = pattern(3 * BATCH_BYTES);
    let mut file = staging.begin(zip());
    file.write(first).await.unwrap();
    file.release(released as u64).unwrap();
    file.restart().unwrap();
    for chunk in second.chunks(33_333) {
        file.write(Bytes::copy_from_slice(chunk)).await?;
    }
    file.finish(String::new()).await
}

#[tokio::test]
async fn a_second_source_must_agree_with_what_clients_have() {
    let released = BATCH_BYTES + 1000;
    let same = pattern(3 * BATCH_BYTES);
    let staged = second_source(released, &same).await.unwrap();
    assert!(contents(&staged) == same);

    let mut differs_behind = same.to_vec();
    differs_behind[released] ^= 1;
    let staged = second_source(released, &differs_behind).await.unwrap();
    assert!(contents(&staged) == differs_behind);
    assert_eq!(staged.sha256(), Sha256::of(&differs_behind));

    for offset in [0, 999, BATCH_BYTES, released - 1] {
        let mut differs = same.to_vec();
        differs[offset] ^= 1;
        match second_source(released, &differs).await {
            Err(StoreError::Differs { offset: told }) => assert_eq!(told, offset as u64),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_second_source_that_ends_before_what_clients_have_is_refused() {
    let same = pattern(BATCH_BYTES);
    match second_source(2 * BATCH_BYTES, &same).await {
        Err(StoreError::Differs { offset }) => assert_eq!(offset, BATCH_BYTES as u64),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_file_that_failed_is_not_written_any_further() {
    let (_scratch, staging) = scratch();
    let mut file = staging.begin(zip());
    file.write(pattern(2 * BATCH_BYTES)).await.unwrap();
    file.release(10).unwrap();
    file.restart().unwrap();
    let other = Bytes::from(vec![1; BATCH_BYTES]);
    assert!(matches!(
        file.write(other.clone()).await,
        Err(StoreError::Differs { offset: 0 })
    ));
    assert!(matches!(file.write(other).await, Err(StoreError::Io(_))));
    assert!(file.restart().is_err());
    assert!(file.finish(String::new()).await.is_err());
}

#[tokio::test]
async fn a_dropped_file_leaves_nothing_on_disk() {
    let (scratch, staging) = scratch();
    let mut file = staging.begin(zip());
    file.write(pattern(2 * BATCH_BYTES)).await.unwrap();
    assert_eq!(files_on_disk(scratch.path()), 1);
    drop(file);
    assert_eq!(files_on_disk(scratch.path()), 0);
    let mut file = staging.begin(zip());
    file.write(pattern(2 * BATCH_BYTES)).await.unwrap();
    let staged = file.finish(String::new()).await.unwrap();
    assert_eq!(files_on_disk(scratch.path()), 1);
    drop(staged);
    assert_eq!(files_on_disk(scratch.path()), 0);
}

#[tokio::test]
async fn the_sweep_removes_what_dead_processes_left_and_nothing_else() {
    let (scratch, staging) = scratch();
    let mut alive = staging.begin(zip());
    alive.write(pattern(2 * BATCH_BYTES)).await.unwrap();
    let other_process = WorkFolder::create(&scratch.path().join("staging")).unwrap();
    let others_file = other_process.new_file().unwrap();
    // Nobody holds the lock of a dead process's folder.
    let dead = scratch.path().join("staging/00000000deadbeef");
    fs_err::create_dir(&dead).unwrap();
    fs_err::write(dead.join("0"), b"half").unwrap();
    // The sweep that began with the process may have been faster.
    assert!(staging.sweep().unwrap() <= 1);
    assert!(!dead.exists());
    assert_eq!(files_on_disk(scratch.path()), 2);
    others_file
        .put(
            &scratch.path().join("still-there"),
            crate::folder::Durable::Yes,
        )
        .unwrap();
    let staged = alive.finish(String::new()).await.unwrap();
    assert!(contents(&staged) == pattern(2 * BATCH_BYTES));
}

#[tokio::test]
async fn a_file_waits_on_disk_as_soon_as_it_is_known_to_be_large() {
    let (scratch, _) = scratch();
    let staging = Staging::open(scratch.path(), 8 << 20, 32 << 20).unwrap();
    let large = DISK_RATHER_BYTES + 1;
    for (promised, in_memory) in [
        (0, 0),
        (1000, 1000),
        (DISK_RATHER_BYTES, DISK_RATHER_BYTES),
        (large, 0),
        (u64::MAX, 0),
    ] {
        let mut file = staging.begin(zip());
        file.expect(promised).await.unwrap();
        assert_eq!(staging.memory_bytes(), in_memory, "{promised}");
        assert_eq!(
            files_on_disk(scratch.path()),
            usize::from(promised >= large)
        );
        // A promise that is not kept changes nothing.
        file.write(pattern(2000)).await.unwrap();
        let staged = file.finish(String::new()).await.unwrap();
        assert!(contents(&staged) == pattern(2000), "{promised}");
    }
}

/// Makes the disk refuse new files until it is dropped, as a full one does.
struct Refusing(PathBuf);

impl Refusing {
    fn of(staging: &Staging) -> Self {
        let folder = staging.shared.folder.path().to_path_buf();
        fs_err::rename(&folder, folder.with_extension("away")).unwrap();
        Self(folder)
    }
}

impl Drop for Refusing {
    fn drop(&mut self) {
        fs_err::rename(self.0.with_extension("away"), &self.0).unwrap();
    }
}

#[tokio::test]
async fn what_the_disk_refuses_stays_in_memory_up_to_the_limit() {
    let (scratch, _) = scratch();
    let limit = 3 * BATCH_BYTES;
    let staging = Staging::open(scratch.path(), limit as u64, 32 << 20).unwrap();
    let _refusing = Refusing::of(&staging);
    for promised in [None, Some(limit)] {
        let mut file = staging.begin(zip());
        if let Some(promised) = promised {
            file.expect(promised as u64).await.unwrap();
        }
        let bytes = pattern(limit);
        for chunk in bytes.chunks(70_000) {
            file.write(bytes.slice_ref(chunk)).await.unwrap();
        }
        assert!(matches!(
            file.write(pattern(1)).await,
            Err(StoreError::Io(_))
        ));
        let staged = file.finish(String::new()).await.unwrap();
        assert!(contents(&staged) == bytes);
        assert_eq!(staged.sha256(), Sha256::of(&bytes));
    }
}

#[tokio::test]
async fn a_small_file_comes_back_from_a_disk_that_became_full() {
    let (scratch, _) = scratch();
    let staging = Staging::open(scratch.path(), 8 << 20, 32 << 20).unwrap();
    for (behind, released, comes_back) in [(7, 0, true), (7, 1, false), (8 << 20, 0, false)] {
        let mut file = staging.begin(zip());
        file.spill().await.unwrap();
        let first = pattern(2 * BATCH_BYTES + 9);
        file.write(first.clone()).await.unwrap();
        file.release(released);
        let Place::Disk(disk) = std::mem::replace(&mut file.place, Place::Lost) else {
            panic!("it was spilled");
        };
        let rest = pattern(behind);
        let place = disk.into_memory(&rest, &staging.shared);
        assert_eq!(place.is_some(), comes_back, "{behind} {released}");
        let Some(place) = place else { continue };
        file.place = place;
        let staged = file.finish(String::new()).await.unwrap();
        let whole = [&first[..], &rest[..]].concat();
        let Body::Bytes(bytes) = staged.body() else {
            panic!("it came back");
        };
        assert!(bytes == whole);
        assert_eq!(staged.sha256(), Sha256::of(&whole));
    }
    assert_eq!(staging.memory_bytes(), 0);
}
