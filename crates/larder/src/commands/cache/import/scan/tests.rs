use super::*;

/// A folder with these files.
fn folder(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, b"bytes").unwrap();
    }
    folder
}

#[track_caller]
fn recognised(folder: &Path) -> Layout {
    Layout::recognise(folder).unwrap_or_else(|error| panic!("{}", error.render()))
}

#[track_caller]
fn check(files: &[&str], below: &str, name: &str, expected: &[&str]) {
    let folder = folder(files);
    let layout = recognised(&folder.path().join(below));
    assert_eq!(layout.name(), name);
    let mut found: Vec<String> = layout
        .scan()
        .map(|scanned| match scanned {
            Scanned::File(it) => format!("{}.{}", it.module, it.kind.extension()),
            Scanned::Skipped(reason) => format!("skipped {reason}"),
        })
        .collect();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_module_cache_is_known_from_its_root_and_from_its_download_folder() {
    let files = [
        "cache/download/example.com/!azure/@v/list",
        "cache/download/example.com/!azure/@v/v1.0.0.info",
        "cache/download/example.com/!azure/@v/v1.0.0.lock",
        "cache/download/example.com/!azure/@v/v1.0.0.zip",
        "cache/download/example.com/!azure/@v/v1.0.0.ziphash",
        "cache/download/sumdb/sum.golang.org/lookup/example.com/a@v1.0.0",
        "example.com/!azure@v1.0.0/main.go",
    ];
    let expected = [
        "example.com/Azure@v1.0.0.info",
        "example.com/Azure@v1.0.0.zip",
    ];
    check(&files, "", "go-module-cache", &expected);
    check(&files, "cache/download", "go-module-cache", &expected);
}

#[test]
fn an_athens_store_is_known_by_its_source_zips() {
    let files = [
        "example.com/Azure/sdk/v1.0.0/go.mod",
        "example.com/Azure/sdk/v1.0.0/source.zip",
        "example.com/Azure/sdk/v1.0.0/v1.0.0.info",
        "example.com/Azure/sdk/v1.0.0/other",
    ];
    let expected = [
        "example.com/Azure/sdk@v1.0.0.info",
        "example.com/Azure/sdk@v1.0.0.mod",
        "example.com/Azure/sdk@v1.0.0.zip",
    ];
    check(&files, "", "athens", &expected);
}

#[test]
fn a_larder_is_known_by_its_records() {
    let files = [
        "download/example.com/a/@v/v1.0.0.mod",
        "state/records/shared/x",
    ];
    check(&files, "", "larder", &["example.com/a@v1.0.0.mod"]);
    check(&files, "download", "larder", &["example.com/a@v1.0.0.mod"]);
}

#[test]
fn a_name_that_is_no_version_is_passed_over_with_its_reason() {
    let folder = folder(&["example.com/a/@v/main.info"]);
    let found: Vec<Scanned> = recognised(folder.path()).scan().collect();
    let [Scanned::Skipped(reason)] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert!(reason.contains("main"), "{reason}");
}

#[test]
fn any_other_folder_is_refused() {
    let folder = folder(&["README", "example.com/a/go.mod"]);
    assert!(Layout::recognise(folder.path()).is_err());
    assert!(Layout::recognise(&folder.path().join("none")).is_err());
}
