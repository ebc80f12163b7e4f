use super::*;
use crate::conformance::{key, verified};
use crate::staging::Staging;
use crate::tests::scratch;
use crate::{FILE_KINDS, Store as _};

async fn store(disk: &DiskStore, staging: &Staging, module_path: &str, version: &str) {
    for kind in FILE_KINDS {
        let file = verified(staging, &key(module_path, version, kind), b"content", 1).await;
        disk.commit(file).await.unwrap();
    }
}

fn put(disk: &DiskStore, below: &str, bytes: &[u8]) {
    let path = disk.dir().join("download").join(below);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// `v path@version.kind`, `- …` for a file that no record vouches for, `? path` for a stranger.
fn told(walk: Walk) -> Vec<String> {
    walk.map(|found| match found.unwrap() {
        Found::File(file) => {
            let sign = if file.vouched().is_some() { "v" } else { "-" };
            format!("{sign} {}.{}", file.key.module, file.key.kind.extension())
        }
        Found::Stranger(stranger) => format!("? {}", stranger.path.display()),
    })
    .collect()
}

#[tokio::test]
async fn every_file_comes_once_and_the_files_of_a_version_together() {
    let (scratch, staging) = scratch();
    let disk = DiskStore::open(scratch.path()).unwrap();
    assert!(told(disk.walk()).is_empty());
    store(&disk, &staging, "example.com/Azure/sdk", "v1.0.0").await;
    store(&disk, &staging, "example.com/Azure/sdk/deep", "v0.1.0").await;
    store(&disk, &staging, "example.com/a", "v1.0.0-rc").await;
    store(&disk, &staging, "example.com/a", "v1.0.0-rc.j").await;
    assert_eq!(
        told(disk.walk()),
        [
            "v example.com/Azure/sdk@v1.0.0.info",
            "v example.com/Azure/sdk@v1.0.0.mod",
            "v example.com/Azure/sdk@v1.0.0.zip",
            "v example.com/Azure/sdk/deep@v0.1.0.info",
            "v example.com/Azure/sdk/deep@v0.1.0.mod",
            "v example.com/Azure/sdk/deep@v0.1.0.zip",
            "v example.com/a@v1.0.0-rc.info",
            "v example.com/a@v1.0.0-rc.mod",
            "v example.com/a@v1.0.0-rc.zip",
            "v example.com/a@v1.0.0-rc.j.info",
            "v example.com/a@v1.0.0-rc.j.mod",
            "v example.com/a@v1.0.0-rc.j.zip",
        ]
    );
}

#[tokio::test]
async fn untrusted_files_and_strangers_are_told_apart() {
    let (scratch, staging) = scratch();
    let disk = DiskStore::open(scratch.path()).unwrap();
    store(&disk, &staging, "example.com/a", "v1.0.0").await;
    put(&disk, "example.com/a/@v/v1.0.0.zip", b"longer than before");
    put(&disk, "example.com/a/@v/v1.1.0.mod", b"copied here");
    for stranger in [
        "README",
        "example.com/a/notes.txt",
        "example.com/a/@v/v1.0.0.ziphash",
        "example.com/a/@v/v1.0.zip",
        "example.com/a/@v/v2.0.0.zip",
        "example.com/a/@v/deep/v1.0.0.zip",
        "Upper.com/a/@v/v1.0.0.zip",
    ] {
        put(&disk, stranger, b"bytes");
    }
    std::os::unix::fs::symlink("nowhere", scratch.path().join("download/dangling")).unwrap();
    assert_eq!(
        told(disk.walk()),
        [
            "? README",
            "? Upper.com/a/@v/v1.0.0.zip",
            "? example.com/a/@v/deep",
            "? example.com/a/@v/v1.0.zip",
            "v example.com/a@v1.0.0.info",
            "v example.com/a@v1.0.0.mod",
            "- example.com/a@v1.0.0.zip",
            "? example.com/a/@v/v1.0.0.ziphash",
            "- example.com/a@v1.1.0.mod",
            "? example.com/a/@v/v2.0.0.zip",
            "? example.com/a/notes.txt",
        ]
    );
    let wrong_size = disk.walk().find_map(|found| match found.unwrap() {
        Found::File(file) => match file.standing {
            Standing::OtherSize { remembered } => Some((file.len_bytes, remembered.len_bytes)),
            Standing::Vouched(_) | Standing::Unknown => None,
        },
        Found::Stranger(_) => None,
    });
    assert_eq!(wrong_size, Some((18, 7)));
}

#[tokio::test]
async fn a_walk_is_taken_up_behind_any_file() {
    let (scratch, staging) = scratch();
    let disk = DiskStore::open(scratch.path()).unwrap();
    for module_path in [
        "example.com/a",
        "example.com/a/b",
        "example.com/b",
        "z.org/c",
    ] {
        store(&disk, &staging, module_path, "v0.1.0").await;
        store(&disk, &staging, module_path, "v0.2.0").await;
    }
    let all = told(disk.walk());
    assert_eq!(all.len(), 24);
    for (at, found) in disk.walk().enumerate() {
        let Found::File(file) = found.unwrap() else {
            panic!("a stranger");
        };
        let behind = Position::behind(&file.key);
        assert_eq!(told(disk.walk_from(Some(behind))), all[at + 1..]);
    }
    for (gone, left) in [
        ("", 24),
        ("a.org/x/@v/v1.0.0.zip", 24),
        ("example.com/a/@v/v0.1.5.zip", 21),
        ("example.com/aa/@v/v0.1.0.zip", 12),
        ("zz.org", 0),
    ] {
        let position = Position::of_path(gone.into());
        assert_eq!(told(disk.walk_from(Some(position))).len(), left, "{gone}");
    }
}

#[test]
fn a_folder_larger_than_a_window_is_read_in_order_and_whole() {
    let scratch = tempfile::tempdir().unwrap();
    let number_of_names = WINDOW_NAMES + 10;
    for number in 0..number_of_names {
        std::fs::File::create(scratch.path().join(format!("{number:06}"))).unwrap();
    }
    let mut folder = Folder::new(PathBuf::new(), Module::None);
    let mut names = Vec::new();
    while let Some(name) = folder.next(scratch.path(), None).unwrap() {
        names.push(name.0.into_string().unwrap());
    }
    assert_eq!(names.len(), number_of_names);
    assert!(names.is_sorted());
}

#[tokio::test]
async fn a_damaged_record_is_told_and_does_not_end_the_walk() {
    let (scratch, staging) = scratch();
    let disk = DiskStore::open(scratch.path()).unwrap();
    store(&disk, &staging, "example.com/a", "v1.0.0").await;
    store(&disk, &staging, "example.com/b", "v1.0.0").await;
    let of_a = key("example.com/a", "v1.0.0", FileKind::Mod);
    let record = layout::record(scratch.path(), of_a.namespace, &of_a.module);
    fs::write(record, "{").unwrap();
    let (good, bad): (Vec<_>, Vec<_>) = disk.walk().partition(Result::is_ok);
    assert_eq!((good.len(), bad.len()), (3, 3));
    let error = bad.into_iter().next().unwrap().unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_read_is_told() {
    let scratch = tempfile::tempdir().unwrap();
    let disk = DiskStore::open(scratch.path()).unwrap();
    fs::remove_dir(scratch.path().join("download")).unwrap();
    let found: Vec<_> = disk.walk().collect();
    assert_eq!(found.len(), 1);
    assert!(found.first().unwrap().is_err());
}
