use bytes::Bytes;
use gomod::zip::{Limits, check_and_hash};

use super::*;
use crate::TreeEntryKind;
use crate::direct::memory::tar_of;

/// The names in a good module zip, in order, without the module's prefix.
fn names(zip: &[u8], path: &str, version: &str) -> Vec<String> {
    let module = module(path, version);
    let length = u64::try_from(zip.len()).unwrap();
    check_and_hash(zip, length, &module, &Limits::default()).unwrap();
    let mut names = Vec::new();
    let mut rest = zip;
    while let Some(at) = rest.windows(4).position(|window| window == b"PK\x01\x02") {
        let entry = &rest[at..];
        let length = usize::from(u16::from_le_bytes([entry[28], entry[29]]));
        let name = String::from_utf8(entry[46..46 + length].to_vec()).unwrap();
        let prefix = format!("{module}/");
        names.push(name.strip_prefix(&prefix).unwrap().to_owned());
        rest = &entry[46 + length..];
    }
    names
}

#[track_caller]
fn assert_refused(got: Result<Vec<u8>, SourceError>, kind: SourceErrorKind, words: &str) {
    let error = got.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(error.to_string(), words);
}

#[tokio::test]
async fn a_zip_holds_the_modules_own_files_in_the_order_of_the_tree() {
    let mut repository = MemoryRepository::new(URL);
    let file = TreeEntryKind::File;
    let commit = repository.commit_entries(
        &[],
        [
            (&b"LICENSE"[..], file, &b"free\n"[..]),
            (b"a.go", file, b"package a\n"),
            (b"b/b.go", file, b"package b\n"),
            (b"empty", file, b""),
            (b"go.mod", file, GO_MOD.as_bytes()),
            (b"link", TreeEntryKind::Symlink, b"a.go"),
            (b"nested/GO.MOD", file, b""),
            (b"nested/n.go", file, b""),
            (b"sub", TreeEntryKind::Submodule, b""),
            (b"vendor/modules.txt", file, b""),
            (b"vendor/x/x.go", file, b""),
        ],
    );
    repository.tag("v1.0.0", &commit);
    let repository = Arc::new(repository);
    let zip = fetch(&source(&repository), R, "v1.0.0", FileKind::Zip).await;
    let expected = [
        "LICENSE",
        "a.go",
        "b/b.go",
        "empty",
        "go.mod",
        "vendor/modules.txt",
    ];
    assert_eq!(names(&zip.unwrap(), R, "v1.0.0"), expected);
}

#[tokio::test]
async fn a_module_in_a_folder_takes_the_licence_of_the_root_last() {
    let mut repository = MemoryRepository::new(URL);
    let go_mod = "module example.com/r/a\n";
    let with = repository.commit(
        &[],
        &[("LICENSE", "root"), ("a/go.mod", go_mod), ("a/z.go", "")],
    );
    let own = repository.commit(
        &[],
        &[
            ("LICENSE", "root"),
            ("a/LICENSE", "own"),
            ("a/go.mod", go_mod),
        ],
    );
    let other = repository.commit(&[], &[("LICENSE.md", "root"), ("a/go.mod", go_mod)]);
    repository.tag("a/v1.0.0", &with);
    repository.tag("a/v1.1.0", &own);
    repository.tag("a/v1.2.0", &other);
    let repository = Arc::new(repository);
    let source = source(&repository);
    let path = "example.com/r/a";
    let check = async |version: &str, expected: &[&str]| {
        let zip = fetch(&source, path, version, FileKind::Zip).await.unwrap();
        assert_eq!(names(&zip, path, version), expected);
    };
    check("v1.0.0", &["go.mod", "z.go", "LICENSE"]).await;
    check("v1.1.0", &["LICENSE", "go.mod"]).await;
    check("v1.2.0", &["go.mod"]).await;
}

#[tokio::test]
async fn an_empty_module_is_an_empty_zip() {
    let mut repository = MemoryRepository::new(URL);
    let commit = repository.commit(&[], &[]);
    repository.tag("v1.0.0", &commit);
    let repository = Arc::new(repository);
    let zip = fetch(&source(&repository), R, "v1.0.0", FileKind::Zip).await;
    assert!(names(&zip.unwrap(), R, "v1.0.0").is_empty());
    assert!(!repository.asked().contains(&"archive ".to_owned()));
}

#[tokio::test]
async fn trees_that_make_no_module_zip_are_refused_in_gos_words() {
    let check = async |files: &[(&str, &str)], expected: &str| {
        let mut repository = MemoryRepository::new(URL);
        let commit = repository.commit(&[], files);
        repository.tag("v1.0.0", &commit);
        let repository = Arc::new(repository);
        let got = fetch(&source(&repository), R, "v1.0.0", FileKind::Zip).await;
        let expected = format!("{R}@v1.0.0: create zip: {expected}");
        assert_refused(got, SourceErrorKind::BadAnswer, &expected);
    };
    check(
        &[("a:b", ""), ("ok", "")],
        "a:b: malformed file path \"a:b\": invalid char ':'",
    )
    .await;
    check(
        &[("A", ""), ("a", "")],
        "a: case-insensitive file name collision: \"A\" and \"a\"",
    )
    .await;
    check(
        &[("../x", "")],
        "../x: malformed file path \"../x\": invalid path element \"..\"",
    )
    .await;
    check(
        &[("Go.mod", "")],
        "Go.mod: go.mod files must have lowercase names",
    )
    .await;
    let many: Vec<String> = (0..10).map(|n| format!("{n}*")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "")).collect();
    let told: Vec<String> = (0..7)
        .map(|n| format!("{n}*: malformed file path \"{n}*\": invalid char '*'\n"))
        .collect();
    check(&many, &format!("{}and 3 more", told.concat())).await;
}

#[tokio::test]
async fn an_archive_that_is_not_what_the_tree_says_is_refused() {
    let entries = |names: &[&str]| {
        let entries = names.iter().map(|name| {
            (
                name.as_bytes().to_vec(),
                TreeEntryKind::File,
                Bytes::from(vec![b'x'; 2000]),
            )
        });
        entries.collect::<Vec<_>>()
    };
    let check = async |stream: Vec<u8>, expected: &str| {
        let mut repository = MemoryRepository::new(URL);
        let commit = repository.commit(&[], &[("a", "1"), ("b", "2")]);
        repository.tag("v1.0.0", &commit);
        repository.broken_archive = Some(stream);
        let repository = Arc::new(repository);
        let got = fetch(&source(&repository), R, "v1.0.0", FileKind::Zip).await;
        let error = got.unwrap_err();
        assert_eq!(error.kind(), SourceErrorKind::BadAnswer);
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(
        tar_of(entries(&["a"]), ""),
        "1 files of the tree are not in it",
    )
    .await;
    check(b"<html>".repeat(200), "could not be read").await;
    let whole = tar_of(entries(&["a", "b"]), "");
    check(whole[..3000].to_vec(), "could not be read").await;
}

#[tokio::test]
async fn sizes_are_held_to_gos_limits_while_they_stream() {
    // Headers that promise much; nothing of it ever arrives.
    let stream = |sizes: &[(&str, u64)]| {
        let mut stream = Vec::new();
        for (name, size) in sizes {
            let mut header = tar::Header::new_ustar();
            header.set_path(name).unwrap();
            header.set_size(*size);
            header.set_cksum();
            stream.extend_from_slice(header.as_bytes());
        }
        stream
    };
    let check = async |stream: Vec<u8>, expected: &str| {
        let mut repository = MemoryRepository::new(URL);
        let commit = repository.commit(&[], &[("LICENSE", ""), ("a", ""), ("go.mod", GO_MOD)]);
        repository.tag("v1.0.0", &commit);
        repository.broken_archive = Some(stream);
        let repository = Arc::new(repository);
        let got = fetch(&source(&repository), R, "v1.0.0", FileKind::Zip).await;
        let expected = format!("{R}@v1.0.0: create zip: {expected}");
        assert_refused(got, SourceErrorKind::TooLarge, &expected);
    };
    check(
        stream(&[("LICENSE", (16 << 20) + 1)]),
        "LICENSE: LICENSE file too large (max size is 16777216 bytes)",
    )
    .await;
    check(
        stream(&[("go.mod", (16 << 20) + 1)]),
        "go.mod: go.mod file too large (max size is 16777216 bytes)",
    )
    .await;
    check(
        stream(&[("a", (500 << 20) + 1)]),
        "module source tree too large (max size is 524288000 bytes)",
    )
    .await;
}

#[tokio::test]
async fn a_large_file_passes_in_pieces() {
    let large: String = (0..200_000).map(|n| format!("{n}\n")).collect();
    let mut repository = MemoryRepository::new(URL);
    let commit = repository.commit(&[], &[("large", &large)]);
    repository.tag("v1.0.0", &commit);
    let repository = Arc::new(repository);
    let zip = fetch(&source(&repository), R, "v1.0.0", FileKind::Zip)
        .await
        .unwrap();
    assert!(zip.len() > 300_000, "{}", zip.len());
    assert_eq!(names(&zip, R, "v1.0.0"), ["large"]);
}

#[tokio::test]
async fn a_sink_that_cannot_go_on_ends_the_work() {
    struct Full;
    #[async_trait]
    impl Sink for Full {
        async fn begin(&mut self, _: &SourceName, _: Option<u64>) -> Result<(), crate::SinkError> {
            Ok(())
        }
        async fn write(&mut self, _: Bytes) -> Result<(), crate::SinkError> {
            Err(crate::SinkError::Fatal("disk full".to_owned()))
        }
        async fn finish(&mut self) -> Result<(), crate::SinkError> {
            panic!("it was not complete")
        }
    }
    let (mut repository, commit) = simple();
    repository.tag("v1.0.0", &commit);
    let repository = Arc::new(repository);
    let source = source(&repository);
    let got = source
        .fetch(&module(R, "v1.0.0"), FileKind::Zip, &mut Full)
        .await;
    assert_eq!(got.unwrap_err().kind(), SourceErrorKind::Sink);
}
