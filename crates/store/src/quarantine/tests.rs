use super::*;
use crate::check::{Checked, Depth, Going, Reading};
use crate::conformance::{key, read as bytes_of, verified};
use crate::tests::scratch;
use crate::{FILE_KINDS, Store as _};

const PATH: &str = "example.com/Azure/sdk";

async fn damaged_store() -> (tempfile::TempDir, crate::Staging, DiskStore, FileKey) {
    let (scratch, staging) = scratch();
    let disk = DiskStore::open(scratch.path()).unwrap();
    for kind in FILE_KINDS {
        let file = verified(&staging, &key(PATH, "v1.0.0", kind), b"content", 1).await;
        disk.commit(file).await.unwrap();
    }
    let zip = key(PATH, "v1.0.0", FileKind::Zip);
    fs::write(layout::file(scratch.path(), &zip), b"cOntent").unwrap();
    (scratch, staging, disk, zip)
}

fn found(disk: &DiskStore, key: &FileKey) -> Damaged {
    match disk.check(key, Depth::Bytes, Reading::Usual, &mut |_| Going::On) {
        Ok(Checked::Damaged(damaged)) => damaged,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_damaged_file_is_kept_apart_and_reads_as_absent_until_it_comes_anew() {
    let (scratch, staging, disk, zip) = damaged_store().await;
    let mut watch = QuarantineWatch::new(disk.clone());
    assert!(watch.news().unwrap().is_empty());
    assert!(disk.quarantined().unwrap().is_empty());
    assert!(disk.quarantine(&found(&disk, &zip)).unwrap());
    assert!(disk.open(&zip).await.unwrap().is_none());
    assert_eq!(watch.news().unwrap(), std::slice::from_ref(&zip));
    let list = layout::versions(scratch.path(), zip.namespace, zip.module.path()).join("list");
    assert_eq!(fs::read_to_string(&list).unwrap(), "");

    let kept = disk.quarantined().unwrap();
    assert_eq!(kept.len(), 1);
    let kept = kept.first().unwrap();
    assert_eq!((&kept.key, kept.len_bytes), (&zip, 7));
    assert!(kept.reason.contains("SHA-256"), "{}", kept.reason);
    assert_eq!(fs::read(&kept.path).unwrap(), b"cOntent");

    // The record stays: another file is refused, the same one taken.
    let other = disk
        .commit(verified(&staging, &zip, b"content", 2).await)
        .await
        .unwrap();
    assert!(matches!(other, crate::Committed::Differs(_)), "{other:?}");
    disk.commit(verified(&staging, &zip, b"content", 1).await)
        .await
        .unwrap();
    assert_eq!(
        bytes_of(&disk.open(&zip).await.unwrap().unwrap()),
        b"content"
    );
    assert_eq!(fs::read_to_string(&list).unwrap(), "v1.0.0\n");
}

#[tokio::test]
async fn a_file_that_was_replaced_since_it_was_checked_stays() {
    let (_scratch, staging, disk, zip) = damaged_store().await;
    let damaged = found(&disk, &zip);
    disk.delete(&zip).await.unwrap();
    assert!(!disk.quarantine(&damaged).unwrap());
    disk.commit(verified(&staging, &zip, b"content", 1).await)
        .await
        .unwrap();
    assert!(!disk.quarantine(&damaged).unwrap());
    assert!(disk.open(&zip).await.unwrap().is_some());
    assert!(disk.quarantined().unwrap().is_empty());
}
