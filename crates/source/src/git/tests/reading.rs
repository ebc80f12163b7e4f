//! Files, trees and archives: the repository alone decides.

use std::io::Read;

use super::{Fixture, Setup};
use crate::{Archive, SourceErrorKind, TreeEntryKind};

/// Reads an archive to its end: all bytes.
pub(super) async fn bytes_of(archive: Archive) -> Vec<u8> {
    tokio::task::spawn_blocking(move || {
        let Archive { mut stream, finish } = archive;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        finish().unwrap();
        bytes
    })
    .await
    .unwrap()
}

/// The names and contents of a tar's files.
pub(super) fn untar(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut rest = bytes;
    while let Some((header, after)) = rest.split_at_checked(512) {
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        let text = |range: std::ops::Range<usize>| {
            let field = &header[range];
            let end = field
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(field.len());
            String::from_utf8(field[..end].to_vec()).unwrap()
        };
        let size = usize::from_str_radix(text(124..136).trim(), 8).unwrap();
        if header[156] == b'0' {
            files.push((text(0..100), after[..size].to_vec()));
        }
        rest = &after[size.div_ceil(512) * 512..];
    }
    files
}

pub(super) async fn archived(archive: Archive) -> Vec<String> {
    let bytes = bytes_of(archive).await;
    untar(&bytes).into_iter().map(|(name, _)| name).collect()
}

#[tokio::test]
async fn files_links_folders_and_submodules_answer_as_git_does() {
    let fixture = Fixture::new().await;
    fixture.write("a/b/c.txt", "deep");
    fixture.write("x", "top");
    std::os::unix::fs::symlink("a/b", fixture.path().join("link")).unwrap();
    fixture.git(&["add", "-A"]).await;
    let cache = format!("160000,{},sub", "1".repeat(40));
    fixture
        .git(&["update-index", "--add", "--cacheinfo", &cache])
        .await;
    fixture.git(&["commit", "-q", "-m", "x"]).await;
    let setup = Setup::new().await;
    let repository = setup.open(&fixture.url()).await;
    let commit = repository.find("main").await.unwrap().unwrap().name;
    let check = async |path: &str, expected: Option<&str>| {
        let found = repository.file(&commit, path, 100).await.unwrap();
        assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{path}");
    };
    check("a/b/c.txt", Some("deep")).await;
    check("x", Some("top")).await;
    check("link", Some("a/b")).await;
    check("link/c.txt", None).await;
    check("a/b", None).await;
    check("sub", None).await;
    check("sub/x", None).await;
    check("x/y", None).await;
    check("none", None).await;
    check("", None).await;
    check("--batch-all-objects", None).await;
    check("x\nHEAD", None).await;

    let tree = repository.tree(&commit, "").await.unwrap().unwrap();
    let seen: Vec<(String, TreeEntryKind)> = tree
        .into_iter()
        .map(|entry| (String::from_utf8(entry.name).unwrap(), entry.kind))
        .collect();
    assert_eq!(
        seen,
        [
            ("a/b/c.txt".to_owned(), TreeEntryKind::File),
            ("link".to_owned(), TreeEntryKind::Symlink),
            ("sub".to_owned(), TreeEntryKind::Submodule),
            ("x".to_owned(), TreeEntryKind::File),
        ]
    );
    let below = repository.tree(&commit, "a/b").await.unwrap().unwrap();
    assert_eq!(below[0].name, b"c.txt");
    assert!(repository.tree(&commit, "none").await.unwrap().is_none());
    assert!(repository.tree(&commit, "x").await.unwrap().is_none());
    assert!(repository.tree(&commit, "link").await.unwrap().is_none());
}

#[tokio::test]
async fn a_path_with_a_line_end_is_a_path() {
    let fixture = Fixture::new().await;
    fixture.write("odd\nname/file", "odd");
    let commit = fixture.commit("x").await;
    let setup = Setup::new().await;
    let repository = setup.open(&fixture.url()).await;
    repository.find("main").await.unwrap().unwrap();
    let found = repository
        .file(&commit, "odd\nname/file", 100)
        .await
        .unwrap();
    assert_eq!(found.unwrap(), "odd");
    let tree = repository.tree(&commit, "").await.unwrap().unwrap();
    assert_eq!(tree[0].name, b"odd\nname/file");
}

#[tokio::test]
async fn a_file_beyond_its_limit_is_not_read_and_the_next_one_is() {
    let fixture = Fixture::new().await;
    fixture.write("big", vec![b'x'; 100_000]);
    fixture.write("small", "small");
    let commit = fixture.commit("x").await;
    let setup = Setup::new().await;
    let repository = setup.open(&fixture.url()).await;
    let refused = repository.file(&commit, "big", 99_999).await.unwrap_err();
    assert_eq!(refused.kind(), SourceErrorKind::TooLarge, "{refused}");
    let small = repository.file(&commit, "small", 5).await.unwrap();
    assert_eq!(small.unwrap(), "small");
    let big = repository.file(&commit, "big", 100_000).await.unwrap();
    assert_eq!(big.unwrap().len(), 100_000);
}

#[tokio::test]
async fn an_archive_holds_what_the_go_command_would_see_whatever_the_user_set() {
    let fixture = Fixture::new().await;
    fixture.write(
        ".gitattributes",
        "crlf.txt text eol=crlf\nsubst.txt export-subst\nignored.txt export-ignore\nlfs.bin filter=lfs\nid.txt ident\n",
    );
    for name in ["crlf.txt", "sub/crlf.txt"] {
        fixture.write(name, "a\n");
    }
    fixture.write("subst.txt", "$Format:%H$\n");
    fixture.write("ignored.txt", "here\n");
    fixture.write("lfs.bin", "pointer\n");
    fixture.write("id.txt", "$Id$\n");
    fixture.write("plain.txt", "plain\n");
    let commit = fixture.commit("x").await;
    let mut setup = Setup::new().await;
    let attributes = setup.folder.path().join("attributes");
    fs_err::write(&attributes, "*.txt text eol=crlf export-ignore\n").unwrap();
    setup.user_config(&format!(
        "[core]\n\tautocrlf = true\n\tattributesFile = {}\n[filter \"lfs\"]\n\tsmudge = echo smudged\n\trequired = true\n[tar]\n\tumask = 0777\n",
        attributes.display()
    ));
    setup.set("GIT_CONFIG_COUNT", "1");
    setup.set("GIT_CONFIG_KEY_0", "core.eol");
    setup.set("GIT_CONFIG_VALUE_0", "crlf");
    let repository = setup.open(&fixture.url()).await;
    let files = untar(&bytes_of(repository.archive(&commit, "").await.unwrap()).await);
    let content = |name: &str| {
        let file = files.iter().find(|(known, _)| known == name);
        String::from_utf8(file.unwrap_or_else(|| panic!("{name}")).1.clone()).unwrap()
    };
    assert_eq!(content("crlf.txt"), "a\r\n");
    assert_eq!(content("sub/crlf.txt"), "a\r\n");
    assert_eq!(content("subst.txt"), "$Format:%H$\n");
    assert_eq!(content("ignored.txt"), "here\n");
    assert_eq!(content("lfs.bin"), "pointer\n");
    assert_eq!(content("plain.txt"), "plain\n");
    assert!(content("id.txt").starts_with("$Id: "));

    // The attributes of the whole tree count for a folder, too, and names begin with it.
    let files = untar(&bytes_of(repository.archive(&commit, "sub").await.unwrap()).await);
    assert_eq!(files, [("sub/crlf.txt".to_owned(), b"a\r\n".to_vec())]);
}

#[tokio::test]
async fn a_folder_that_is_not_there_or_looks_like_something_else_is_absent() {
    let fixture = Fixture::new().await;
    fixture.write("a/x", "x");
    let commit = fixture.commit("x").await;
    let setup = Setup::new().await;
    let repository = setup.open(&fixture.url()).await;
    for folder in [
        "none",
        "--output=/tmp/evil",
        "*",
        ":/",
        ":(top)a",
        "--remote=x",
    ] {
        let absent = repository.archive(&commit, folder).await.err().unwrap();
        assert!(absent.is_absence(), "{folder}: {absent:?}");
    }
}

#[tokio::test]
async fn an_archive_that_is_given_up_or_read_halfway_leaves_no_process() {
    let fixture = Fixture::new().await;
    let noise: Vec<u8> = (0..3_000_000).map(|_| fastrand::u8(..)).collect();
    fixture.write("big", noise);
    let commit = fixture.commit("x").await;
    let mut setup = Setup::new().await;
    setup.options.children = 2;
    let repository = setup.open(&fixture.url()).await;
    // More often than there are permits: each must come back.
    for _ in 0..3 {
        drop(repository.archive(&commit, "").await.unwrap());
    }
    for _ in 0..3 {
        let Archive { stream, finish } = repository.archive(&commit, "").await.unwrap();
        drop(stream);
        tokio::task::spawn_blocking(move || finish().unwrap())
            .await
            .unwrap();
    }
    let Archive { mut stream, finish } = repository.archive(&commit, "").await.unwrap();
    tokio::task::spawn_blocking(move || {
        let mut some = [0; 1000];
        stream.read_exact(&mut some).unwrap();
        // As a reader of tar does at the end mark: what follows is padding.
        finish().unwrap();
    })
    .await
    .unwrap();
    let Archive { mut stream, finish } = repository.archive(&commit, "").await.unwrap();
    drop(finish);
    let read =
        tokio::task::spawn_blocking(move || std::io::copy(&mut stream, &mut std::io::sink()));
    assert!(read.await.unwrap().unwrap() > 3_000_000);
}

#[tokio::test]
async fn an_archive_beyond_its_limit_ends_in_an_error() {
    let fixture = Fixture::new().await;
    fixture.write("zeros", vec![0; 2_000_000]);
    let commit = fixture.commit("x").await;
    let mut setup = Setup::new().await;
    setup.options.archive_bytes = 500_000;
    let repository = setup.open(&fixture.url()).await;
    let Archive { mut stream, finish } = repository.archive(&commit, "").await.unwrap();
    let (read, finished) = tokio::task::spawn_blocking(move || {
        let read = std::io::copy(&mut stream, &mut std::io::sink());
        (read, finish())
    })
    .await
    .unwrap();
    assert!(read.is_err());
    assert_eq!(finished.unwrap_err().kind(), SourceErrorKind::TooLarge);
}
