use crate::conformance::{key, read, verified};
use crate::disk::DiskStore;
use crate::tests::scratch;
use crate::{Committed, FILE_KINDS, FileKey, Staging, Store, layout};
use fs_err as fs;
use gomod::{FileKind, H1};
use std::path::Path;

const PATH: &str = "example.com/Azure/sdk";

fn zip() -> FileKey {
    key(PATH, "v1.0.0", FileKind::Zip)
}

/// A folder whose last process died just after it stored a version, with nothing synced but its journal.
fn after_a_death(dir: &Path, staging: &Staging) {
    in_a_runtime_that_ends(async {
        let disk = DiskStore::open(dir).unwrap();
        for kind in FILE_KINDS {
            let file = verified(staging, &key(PATH, "v1.0.0", kind), b"content", 1).await;
            disk.commit(file).await.unwrap();
        }
    });
}

/// With it ends all that a process would leave behind.
fn in_a_runtime_that_ends(work: impl Future<Output = ()> + Send) {
    std::thread::scope(|scope| {
        let ended = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(work);
        });
        ended.join().unwrap();
    });
}

fn wait(disk: DiskStore) {
    let mut handle = std::sync::Arc::into_inner(disk.handle).unwrap();
    handle.looking_after.wait();
}

fn journals(dir: &Path) -> usize {
    let folder = layout::journals(dir, crate::Namespace::Shared);
    // Beside the lock.
    fs::read_dir(folder).unwrap().count() - 1
}

#[tokio::test]
async fn what_a_power_cut_left_of_a_file_is_never_opened() {
    for left in [&b""[..], b"conten", b"\0\0\0\0\0\0\0", b"CONTENT"] {
        let (scratch, staging) = scratch();
        after_a_death(scratch.path(), &staging);
        let place = layout::file(scratch.path(), &zip());
        fs::write(&place, left).unwrap();
        let disk = DiskStore::open(scratch.path()).unwrap();
        assert!(disk.open(&zip()).await.unwrap().is_none());
        let beside = disk.open(&key(PATH, "v1.0.0", FileKind::Mod)).await;
        assert_eq!(read(&beside.unwrap().unwrap()), b"content");
        wait(disk);
        assert!(!place.exists());
        assert_eq!(journals(scratch.path()), 0);
        let list = place.with_file_name("list");
        assert_eq!(fs::read_to_string(list).unwrap(), "");

        let disk = DiskStore::open(scratch.path()).unwrap();
        let again = verified(&staging, &zip(), b"content", 1).await;
        let committed = disk.commit(again).await.unwrap();
        assert!(matches!(committed, Committed::Stored), "{committed:?}");
        assert_eq!(read(&disk.open(&zip()).await.unwrap().unwrap()), b"content");
    }
}

#[tokio::test]
async fn a_record_that_a_power_cut_took_is_still_held_to() {
    for torn in [
        None,
        Some(&b""[..]),
        Some(b"{\"zip_hash\": \"h1"),
        Some(&[0; 300]),
    ] {
        let (scratch, staging) = scratch();
        after_a_death(scratch.path(), &staging);
        let path = layout::record(scratch.path(), zip().namespace, &zip().module);
        let whole = fs::read(&path).unwrap();
        match torn {
            Some(torn) => fs::write(&path, torn).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let disk = DiskStore::open(scratch.path()).unwrap();
        let rival = verified(&staging, &zip(), b"rival", 2).await;
        let committed = disk.commit(rival).await.unwrap();
        assert!(matches!(committed, Committed::Differs(_)), "{committed:?}");
        assert_eq!(read(&disk.open(&zip()).await.unwrap().unwrap()), b"content");
        wait(disk);
        assert_eq!(fs::read(&path).unwrap(), whole);
        let disk = DiskStore::open(scratch.path()).unwrap();
        let record = disk.record(zip().namespace, &zip().module).await.unwrap();
        assert_eq!(record.unwrap().hash(FileKind::Zip), Some(H1([1; 32])));
    }
}

#[tokio::test]
async fn a_list_that_a_power_cut_tore_is_written_again() {
    let (scratch, staging) = scratch();
    after_a_death(scratch.path(), &staging);
    let list = layout::file(scratch.path(), &zip()).with_file_name("list");
    fs::write(&list, b"v1.\0\0").unwrap();
    wait(DiskStore::open(scratch.path()).unwrap());
    assert_eq!(fs::read_to_string(&list).unwrap(), "v1.0.0\n");

    in_a_runtime_that_ends(async {
        let disk = DiskStore::open(scratch.path()).unwrap();
        assert!(disk.delete(&zip()).await.unwrap());
    });
    fs::write(&list, b"v1.0.0\n").unwrap();
    wait(DiskStore::open(scratch.path()).unwrap());
    assert_eq!(fs::read_to_string(&list).unwrap(), "");
}

#[tokio::test]
async fn a_file_that_lay_there_before_the_end_is_not_taken_for_the_stored_one() {
    let (scratch, staging) = scratch();
    after_a_death(scratch.path(), &staging);
    // As if the process had died between its journal and the file's new name.
    let place = layout::file(scratch.path(), &zip());
    fs::write(&place, b"another").unwrap();
    let disk = DiskStore::open(scratch.path()).unwrap();
    let again = verified(&staging, &zip(), b"content", 1).await;
    let committed = disk.commit(again).await.unwrap();
    assert!(matches!(committed, Committed::Stored), "{committed:?}");
    assert_eq!(read(&disk.open(&zip()).await.unwrap().unwrap()), b"content");
}
