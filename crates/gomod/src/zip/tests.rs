use std::io::{Cursor, Write};

use base64::Engine;
use serde_json::Value;

use super::*;
use crate::{ModulePath, Version};

mod by_hand;

const PREFIX: &str = "larder.example/pantry@v1.2.3/";

fn larder() -> ModuleVersion {
    let path = ModulePath::parse("larder.example/pantry").unwrap();
    ModuleVersion::new(path, Version::parse("v1.2.3").unwrap()).unwrap()
}

fn check(archive: &[u8]) -> Result<ZipReport, ZipError> {
    let bytes = u64::try_from(archive.len()).unwrap();
    check_and_hash(archive, bytes, &larder(), &Limits::default())
}

fn text<'v>(vector: &'v Value, key: &str) -> &'v str {
    vector[key].as_str().unwrap_or_default()
}

fn vectors(lines: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap();
    lines.lines().map(parse).collect()
}

/// Go's own verdict, hash and words on archives made by Go.
#[test]
fn archives_are_judged_as_go_judges_them() {
    let vectors = vectors(include_str!("../../vectors/zips.jsonl"));
    assert!(vectors.len() > 60);
    for vector in vectors {
        let name = text(&vector, "Name");
        let archive = base64::engine::general_purpose::STANDARD
            .decode(text(&vector, "Zip"))
            .unwrap();
        let ours = check(&archive);
        let (broken_rule, broken_content) = (text(&vector, "Check"), text(&vector, "Unzip"));
        match ours {
            Ok(report) => {
                assert_eq!((broken_rule, broken_content), ("", ""), "{name}");
                assert_eq!(report.hash.to_string(), text(&vector, "Hash"), "{name}");
            }
            Err(error) => {
                assert_ne!(broken_content, "", "{name}: {error}");
                // Go has one text for everything that is not an archive, and its own for what
                // inflating finds.
                if !broken_rule.is_empty() && !broken_rule.starts_with("zip:") {
                    let reason = broken_rule.split_once(": ");
                    let reason = reason.map_or(broken_rule, |(_, reason)| reason);
                    let ours = error.to_string();
                    assert!(ours.ends_with(reason), "{name}: {ours} and {broken_rule}");
                }
            }
        }
    }
}

#[test]
fn files_are_selected_as_go_selects_them() {
    let vectors = vectors(include_str!("../../vectors/select.jsonl"));
    assert!(vectors.len() > 20);
    for vector in vectors {
        let facts = |file: &'_ Value| {
            let kind = match text(file, "Kind") {
                "symlink" => FileKind::Symlink,
                "directory" => FileKind::Directory,
                "other" => FileKind::Other,
                _ => FileKind::Regular,
            };
            (
                text(file, "Name").to_owned(),
                kind,
                file["Bytes"].as_u64().unwrap_or(0),
            )
        };
        let files: Vec<_> = vector["Files"]
            .as_array()
            .map(|files| files.iter().map(facts).collect())
            .unwrap_or_default();
        let facts: Vec<_> = files
            .iter()
            .map(|(name, kind, bytes)| FileFacts {
                name: name.as_bytes(),
                kind: *kind,
                bytes: *bytes,
            })
            .collect();
        let go_version = vector["GoVersion"].as_str();
        let selected = select_files(&facts, go_version, &Limits::default());

        let named = |index: usize| files[index].0.clone();
        let valid: Vec<_> = selected.valid.iter().map(|&index| named(index)).collect();
        let told = |list: &[Unselected]| -> Vec<Value> {
            let told = |file: &Unselected| serde_json::json!([named(file.index), file.reason]);
            list.iter().map(told).collect()
        };
        let recorded = |key: &str| vector[key].as_array().cloned().unwrap_or_default();
        assert_eq!(valid, recorded("Valid"), "{vector}");
        assert_eq!(told(&selected.omitted), recorded("Omitted"), "{vector}");
        assert_eq!(told(&selected.invalid), recorded("Invalid"), "{vector}");
        let size_error = selected.size_error.clone().unwrap_or_default();
        assert_eq!(size_error, text(&vector, "SizeError"), "{vector}");
        let fails = !recorded("Invalid").is_empty() || !size_error.is_empty();
        assert_eq!(selected.is_usable(), !fails, "{vector}");
    }
}

#[test]
fn a_name_that_is_not_text_is_harmless_in_a_vendor_folder_only() {
    let file = |name| FileFacts {
        name,
        kind: FileKind::Regular,
        bytes: 1,
    };
    let files = [file(&b"vendor/a/\xff"[..]), file(&b"a/\xff"[..])];
    let selected = select_files(&files, None, &Limits::default());
    assert_eq!(selected.omitted.len(), 1);
    assert_eq!(
        selected.invalid,
        [Unselected {
            index: 1,
            reason: r#"malformed file path "a/\xff": invalid UTF-8"#.into(),
        }]
    );
}

#[test]
fn archives_of_other_writers_pass_too() {
    // No data descriptors, and folders of their own.
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let deflate = zip::write::SimpleFileOptions::default();
    let store = deflate.compression_method(zip::CompressionMethod::Stored);
    writer.add_directory(format!("{PREFIX}a/"), store).unwrap();
    writer.start_file(format!("{PREFIX}a/b"), deflate).unwrap();
    writer.write_all(b"deflated deflated deflated").unwrap();
    writer.start_file(format!("{PREFIX}c"), store).unwrap();
    writer.write_all(b"stored").unwrap();
    writer
        .start_file(format!("{PREFIX}d"), deflate.large_file(true))
        .unwrap();
    writer.write_all(b"with 64-bit sizes").unwrap();
    let archive = writer.finish().unwrap().into_inner();
    let report = check(&archive).unwrap();
    assert_eq!((report.files, report.uncompressed_bytes), (3, 26 + 6 + 17));
}

#[test]
fn more_entries_than_a_short_end_record_can_count_are_fine() {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let store =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for number in 0..65_536 {
        writer
            .start_file(format!("{PREFIX}{number}"), store)
            .unwrap();
    }
    let archive = writer.finish().unwrap().into_inner();
    assert_eq!(check(&archive).unwrap().files, 65_536);
}

#[test]
fn limits_are_those_that_are_given() {
    let vectors = vectors(include_str!("../../vectors/zips.jsonl"));
    let archive = text(&vectors[1], "Zip");
    let archive = base64::engine::general_purpose::STANDARD
        .decode(archive)
        .unwrap();
    let archive_bytes = u64::try_from(archive.len()).unwrap();
    let check = |limits: Limits, expected: &str| match check_and_hash(
        archive.as_slice(),
        archive_bytes,
        &larder(),
        &limits,
    ) {
        Err(ZipError::TooLarge(text)) => assert!(text.contains(expected), "{text}"),
        other => panic!("{other:?}"),
    };
    let limits = Limits::default();
    check(
        Limits {
            zip_bytes: archive_bytes - 1,
            ..limits
        },
        "module zip file is too large",
    );
    check(
        Limits {
            go_mod_bytes: 27,
            ..limits
        },
        "go.mod file too large (max size is 27 bytes)",
    );
}

#[test]
fn an_archive_that_shrinks_under_our_hands_is_our_fault() {
    let archive = by_hand::Archive::of(&[("x", b"content")]).bytes();
    let claimed = u64::try_from(archive.len()).unwrap() + 1;
    let error = check_and_hash(archive.as_slice(), claimed, &larder(), &Limits::default());
    assert!(matches!(error, Err(ZipError::Io(_))), "{error:?}");
}

/// Gives a byte at a time, as a slow disk might.
struct Dripping<'a>(&'a [u8]);

impl ReadAt for Dripping<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let one = buffer.len().min(1);
        self.0.read_at(&mut buffer[..one], offset)
    }
}

#[test]
fn short_reads_change_nothing() {
    for vector in vectors(include_str!("../../vectors/zips.jsonl"))
        .iter()
        .take(8)
    {
        let archive = base64::engine::general_purpose::STANDARD
            .decode(text(vector, "Zip"))
            .unwrap();
        let bytes = u64::try_from(archive.len()).unwrap();
        let dripping = check_and_hash(&Dripping(&archive), bytes, &larder(), &Limits::default());
        let at_once = check(&archive);
        assert_eq!(format!("{dripping:?}"), format!("{at_once:?}"));
    }
}
