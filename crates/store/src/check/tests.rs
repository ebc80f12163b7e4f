use super::*;
use crate::conformance::{key, verified};
use crate::tests::scratch;
use crate::{Store as _, layout};

const CONTENT: &[u8] = b"content";

async fn stored(kind: FileKind) -> (tempfile::TempDir, DiskStore, FileKey) {
    let (scratch, staging) = scratch();
    let disk = DiskStore::open(scratch.path()).unwrap();
    let key = key("example.com/Azure/sdk", "v1.0.0", kind);
    let file = verified(&staging, &key, CONTENT, 1).await;
    disk.commit(file).await.unwrap();
    (scratch, disk, key)
}

fn check(disk: &DiskStore, key: &FileKey, reading: Reading) -> Checked {
    disk.check(key, Depth::Bytes, reading, &mut |_| Going::On)
        .unwrap()
}

#[tokio::test]
async fn a_file_as_it_was_stored_is_good() {
    let (_scratch, disk, key) = stored(FileKind::Info).await;
    for reading in [Reading::Usual, Reading::PastTheCache] {
        let checked = check(&disk, &key, reading);
        assert!(
            matches!(&checked, Checked::Good(record) if record.len_bytes == 7),
            "{checked:?}"
        );
    }
}

#[tokio::test]
async fn a_flipped_byte_and_a_cut_are_damage() {
    let (scratch, disk, key) = stored(FileKind::Mod).await;
    let place = layout::file(scratch.path(), &key);
    for (bytes, reason) in [
        (&b"cOntent"[..], "SHA-256"),
        (b"conten", "7 were stored"),
        (b"", "0 bytes"),
    ] {
        fs::write(&place, bytes).unwrap();
        for reading in [Reading::Usual, Reading::PastTheCache] {
            match check(&disk, &key, reading) {
                Checked::Damaged(damaged) => {
                    assert!(damaged.reason.contains(reason), "{damaged:?}")
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_large_file_is_read_to_its_last_byte() {
    let (scratch, staging) = scratch();
    let disk = DiskStore::open(scratch.path()).unwrap();
    let zip = key("example.com/large", "v1.0.0", FileKind::Zip);
    let mut bytes = vec![7; 3 * PIECE_BYTES + 1234];
    disk.commit(verified(&staging, &zip, &bytes, 1).await)
        .await
        .unwrap();
    for reading in [Reading::Usual, Reading::PastTheCache] {
        let mut passed = 0;
        let checked = disk.check(&zip, Depth::Bytes, reading, &mut |bytes| {
            passed += bytes;
            Going::On
        });
        assert!(matches!(checked.unwrap(), Checked::Good(_)));
        assert_eq!(passed, u64::try_from(bytes.len()).unwrap());
    }
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(layout::file(scratch.path(), &zip), &bytes).unwrap();
    for reading in [Reading::Usual, Reading::PastTheCache] {
        assert!(matches!(check(&disk, &zip, reading), Checked::Damaged(_)));
    }
}

#[tokio::test]
async fn the_hashes_are_held_to_the_record_too() {
    let (_scratch, disk, go_mod) = stored(FileKind::Mod).await;
    // The suite's verifier vouches for any hash: the bytes are as they were stored, their hash is not.
    let deep = |key: &FileKey| {
        disk.check(key, Depth::Hashes, Reading::Usual, &mut |_| Going::On)
            .unwrap()
    };
    match deep(&go_mod) {
        Checked::Damaged(damaged) => {
            assert!(damaged.reason.contains("its hash is h1:"), "{damaged:?}")
        }
        other => panic!("{other:?}"),
    }
    let (_scratch, disk, zip) = stored(FileKind::Zip).await;
    match disk
        .check(&zip, Depth::Hashes, Reading::Usual, &mut |_| Going::On)
        .unwrap()
    {
        Checked::Damaged(damaged) => assert!(damaged.reason.contains("no zip"), "{damaged:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_no_record_names_is_untrusted_and_what_is_not_there_is_gone() {
    let (scratch, disk, go_mod) = stored(FileKind::Mod).await;
    let info = FileKey {
        kind: FileKind::Info,
        ..go_mod
    };
    assert!(matches!(check(&disk, &info, Reading::Usual), Checked::Gone));
    fs::write(layout::file(scratch.path(), &info), b"{}").unwrap();
    assert!(matches!(
        check(&disk, &info, Reading::Usual),
        Checked::Untrusted
    ));
}
