use super::*;
use crate::conformance::{key, read, verified};
use crate::staging::Staging;
use crate::tests::scratch;

const PATH: &str = "example.com/Azure/sdk";

async fn store(store: &DiskStore, staging: &Staging, version: &str, kind: FileKind) {
    let file = verified(staging, &key(PATH, version, kind), b"content", 1).await;
    let committed = store.commit(file).await.unwrap();
    assert!(matches!(committed, Committed::Stored), "{committed:?}");
}

async fn store_version(disk: &DiskStore, staging: &Staging, version: &str) {
    for kind in FILE_KINDS {
        store(disk, staging, version, kind).await;
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_download_folder_is_a_static_proxy() {
    let (scratch, staging) = scratch();
    let disk = DiskStore::open(scratch.path()).unwrap();
    store_version(&disk, &staging, "v1.10.0").await;
    store_version(&disk, &staging, "v1.2.0-RC1").await;
    store_version(&disk, &staging, "v0.0.0-20240102030405-abcdefabcdef").await;
    store(&disk, &staging, "v1.3.0", FileKind::Mod).await;
    let versions = scratch.path().join("download/example.com/!azure/sdk/@v");
    assert_eq!(
        names(&versions),
        [
            "list",
            "v0.0.0-20240102030405-abcdefabcdef.info",
            "v0.0.0-20240102030405-abcdefabcdef.mod",
            "v0.0.0-20240102030405-abcdefabcdef.zip",
            "v1.10.0.info",
            "v1.10.0.mod",
            "v1.10.0.zip",
            "v1.2.0-!r!c1.info",
            "v1.2.0-!r!c1.mod",
            "v1.2.0-!r!c1.zip",
            "v1.3.0.mod",
        ]
    );
    let list = || fs::read_to_string(versions.join("list")).unwrap();
    assert_eq!(list(), "v1.2.0-RC1\nv1.10.0\n");
    assert_eq!(fs::read(versions.join("v1.10.0.zip")).unwrap(), b"content");
    assert_eq!(names(scratch.path()), ["download", "staging", "state"]);

    let gone = key(PATH, "v1.2.0-RC1", FileKind::Zip);
    assert!(disk.delete(&gone).await.unwrap());
    assert_eq!(list(), "v1.10.0\n");
    let back = verified(&staging, &gone, b"content", 1).await;
    disk.commit(back).await.unwrap();
    assert_eq!(list(), "v1.2.0-RC1\nv1.10.0\n");
}

#[tokio::test]
async fn a_file_that_no_record_names_is_absent_and_overwritten() {
    let (scratch, staging) = scratch();
    let disk = DiskStore::open(scratch.path()).unwrap();
    let zip = key(PATH, "v1.0.0", FileKind::Zip);
    let place = layout::file(scratch.path(), &zip);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, b"CONTENT").unwrap();
    assert!(disk.open(&zip).await.unwrap().is_none());
    store(&disk, &staging, "v1.0.0", FileKind::Zip).await;
    assert_eq!(read(&disk.open(&zip).await.unwrap().unwrap()), b"content");
}

#[tokio::test]
async fn a_file_of_another_size_than_its_record_is_absent_and_overwritten() {
    let (scratch, staging) = scratch();
    let disk = DiskStore::open(scratch.path()).unwrap();
    let zip = key(PATH, "v1.0.0", FileKind::Zip);
    let place = layout::file(scratch.path(), &zip);
    for other in [&b"conten"[..], b"contents", b""] {
        let file = verified(&staging, &zip, b"content", 1).await;
        let committed = disk.commit(file).await.unwrap();
        assert!(matches!(committed, Committed::Stored), "{committed:?}");
        assert!(disk.open(&zip).await.unwrap().is_some());
        fs::write(&place, other).unwrap();
        assert!(disk.open(&zip).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_damaged_record_is_an_error_that_names_it() {
    let (scratch, staging) = scratch();
    let disk = DiskStore::open(scratch.path()).unwrap();
    store(&disk, &staging, "v1.0.0", FileKind::Mod).await;
    let go_mod = key(PATH, "v1.0.0", FileKind::Mod);
    let record = layout::record(scratch.path(), go_mod.namespace, &go_mod.module);
    let whole = fs::read_to_string(&record).unwrap();
    for (damaged, reason) in [
        (whole[..whole.len() / 2].to_owned(), "EOF"),
        (whole.replace("h1:", "h2:"), "h2:"),
        (whole.replace("first_sight", "hearsay"), "hearsay"),
        (
            whole.replace("\"stored_at\": \"2", "\"stored_at\": \"x"),
            "x",
        ),
    ] {
        fs::write(&record, &damaged).unwrap();
        let error = disk.open(&go_mod).await.unwrap_err();
        assert!(matches!(&error, StoreError::Damaged { path, .. } if *path == record));
        assert!(error.to_string().contains(reason), "{error}");
        let file = verified(&staging, &go_mod, b"content", 1).await;
        assert!(matches!(
            disk.commit(file).await,
            Err(StoreError::Damaged { .. })
        ));
    }
}

#[tokio::test]
async fn a_name_too_long_for_the_file_system_is_absent() {
    let (scratch, _staging) = scratch();
    let disk = DiskStore::open(scratch.path()).unwrap();
    let long_path = format!("example.com/{}", "a".repeat(300));
    let long_version = format!("v1.0.0-{}", "a".repeat(300));
    for zip in [
        key(&long_path, "v1.0.0", FileKind::Zip),
        key(PATH, &long_version, FileKind::Zip),
    ] {
        assert!(disk.open(&zip).await.unwrap().is_none());
        assert_eq!(disk.record(zip.namespace, &zip.module).await.unwrap(), None);
        assert!(!disk.knows(zip.namespace, zip.module.path()).await.unwrap());
    }
}

#[tokio::test]
async fn the_folder_is_as_it_was_after_it_is_opened_again() {
    let (scratch, staging) = scratch();
    let first = DiskStore::open(scratch.path()).unwrap();
    store_version(&first, &staging, "v1.0.0").await;
    let record = |disk: DiskStore| async move {
        let zip = key(PATH, "v1.0.0", FileKind::Zip);
        disk.record(zip.namespace, &zip.module).await.unwrap()
    };
    let before = record(first.clone()).await;
    drop(first);
    let second = DiskStore::open(scratch.path()).unwrap();
    assert_eq!(record(second.clone()).await, before);
    for kind in FILE_KINDS {
        let opened = second.open(&key(PATH, "v1.0.0", kind)).await.unwrap();
        assert_eq!(read(&opened.unwrap()), b"content");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_on_one_folder_agree_and_list_every_version() {
    let (scratch, staging) = scratch();
    let stores = [0, 1].map(|_| DiskStore::open(scratch.path()).unwrap());
    let mut commits = Vec::new();
    for round in 0..12 {
        let version = format!("v1.0.{round}");
        for (rival, disk) in stores.iter().enumerate() {
            for kind in FILE_KINDS {
                let hash = if kind == FileKind::Zip { rival } else { 0 };
                let hash = u8::try_from(hash).unwrap();
                let file = verified(&staging, &key(PATH, &version, kind), &[hash; 9], hash).await;
                let disk = disk.clone();
                commits.push(tokio::spawn(
                    async move { disk.commit(file).await.unwrap() },
                ));
            }
        }
    }
    let mut stored = 0;
    for commit in commits {
        stored += usize::from(matches!(commit.await.unwrap(), Committed::Stored));
    }
    assert_eq!(stored, 12 * 3);
    let path = ModulePath::parse(PATH).unwrap();
    let list = layout::versions(scratch.path(), Namespace::Shared, &path).join("list");
    assert_eq!(fs::read_to_string(list).unwrap().lines().count(), 12);
    for round in 0..12 {
        let zip = key(PATH, &format!("v1.0.{round}"), FileKind::Zip);
        let opened = stores[0].open(&zip).await.unwrap().unwrap();
        assert_eq!(opened.sha256, Sha256::of(&read(&opened)));
        let record = stores[1].record(zip.namespace, &zip.module).await.unwrap();
        assert_eq!(record.unwrap().zip_hash.unwrap().0.0[0], read(&opened)[0]);
    }
}

#[test]
fn a_folder_that_cannot_be_used_says_what_to_do() {
    let scratch = tempfile::tempdir().unwrap();
    let in_the_way = scratch.path().join("file");
    fs::write(&in_the_way, b"").unwrap();
    for dir in [in_the_way.clone(), in_the_way.join("below")] {
        let error = DiskStore::open(&dir).unwrap_err().to_string();
        assert!(error.contains(dir.to_str().unwrap()), "{error}");
        assert!(error.contains("is not a folder"), "{error}");
        assert!(error.contains("--cache-dir"), "{error}");
    }
}

#[test]
fn each_reason_not_to_open_has_its_own_cure() {
    let check = |kind: io::ErrorKind, cure: &str| {
        let error = StoreError::unusable(Path::new("/cache"), &kind.into()).to_string();
        assert!(error.contains("/cache") && error.contains(cure), "{error}");
    };
    check(io::ErrorKind::PermissionDenied, "write access");
    check(io::ErrorKind::ReadOnlyFilesystem, "remount");
    check(io::ErrorKind::CrossesDevices, "one file system");
    check(io::ErrorKind::NotADirectory, "is not a folder");
    check(io::ErrorKind::StorageFull, "no space left");
    check(io::ErrorKind::Other, "another --cache-dir");
}

#[test]
fn names_that_are_no_module_files_are_passed_over() {
    let check = |name: &str, expected: Option<(&str, FileKind)>| {
        let file = file_of_name(name);
        let file = file
            .as_ref()
            .map(|(version, kind)| (version.as_str(), *kind));
        assert_eq!(file, expected, "{name}");
    };
    check("v1.2.3.zip", Some(("v1.2.3", FileKind::Zip)));
    check("v1.2.3-!r!c1.mod", Some(("v1.2.3-RC1", FileKind::Mod)));
    check(
        "v2.0.0+incompatible.info",
        Some(("v2.0.0+incompatible", FileKind::Info)),
    );
    check("list", None);
    check("v1.2.3", None);
    check("v1.2.3.ziphash", None);
    check("v1.2.3.lock", None);
    check("v1.2.zip", None);
    check("v1.2.3-RC1.mod", None);
    check("master.info", None);
    check(".zip", None);
}

#[test]
fn a_commit_while_everything_ends_does_not_wait_for_itself() {
    let (scratch, staging) = scratch();
    let disk = DiskStore::open(scratch.path()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let key = key(PATH, "v1.0.0", FileKind::Mod);
    let file = runtime.block_on(verified(&staging, &key, b"content", 1));
    let ended = runtime.handle().clone();
    drop(runtime);
    let (done, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // Such a runtime drops at once what is spawned in it.
        let _entered = ended.enter();
        let mut commit = std::pin::pin!(disk.commit(file));
        let mut nobody = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = commit.as_mut().poll(&mut nobody);
        done.send(())
    });
    heard
        .recv_timeout(std::time::Duration::from_secs(20))
        .unwrap();
}

#[tokio::test]
async fn what_needs_no_wait_for_the_disk_is_the_same_as_with_one() {
    let (scratch, staging) = scratch();
    let disk = DiskStore::open(scratch.path()).unwrap();
    store(&disk, &staging, "v1.0.0", FileKind::Zip).await;
    let large = vec![b'x'; 100_000];
    let stored_large = key(PATH, "v1.1.0", FileKind::Zip);
    let file = verified(&staging, &stored_large, &large, 1).await;
    disk.commit(file).await.unwrap();
    let unknown = key("example.com/unknown", "v1.0.0", FileKind::Zip);
    let unvouched = key(PATH, "v1.2.0", FileKind::Mod);
    let place = layout::file(scratch.path(), &unvouched);
    fs::write(&place, b"nobody's").unwrap();
    let pipe = key(PATH, "v1.3.0", FileKind::Mod);
    let at = layout::file(scratch.path(), &pipe);
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
    rustix::fs::mknodat(rustix::fs::CWD, at, kind, mode, 0).unwrap();

    let folder = &disk.handle.folder;
    for key in [
        key(PATH, "v1.0.0", FileKind::Zip),
        stored_large,
        unknown,
        unvouched,
        pipe,
    ] {
        match folder.open(&key, Access::Cached) {
            Ok(opened) => {
                let patient = folder.open(&key, Access::Patient).unwrap();
                let bytes = |opened: Option<Opened>| opened.map(|opened| read(&opened));
                assert_eq!(bytes(opened), bytes(patient), "{key:?}");
            }
            // Other systems, older kernels and some file systems can't tell; the patient way answers there.
            Err(StoreError::Io(error)) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
            }
            Err(error) => panic!("{error}"),
        }
    }
}
