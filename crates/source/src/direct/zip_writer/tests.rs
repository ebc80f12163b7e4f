use gomod::zip::{Limits, check_and_hash};
use gomod::{ModulePath, ModuleVersion, Version};

use super::*;

fn module() -> ModuleVersion {
    let path = ModulePath::parse("example.com/m").unwrap();
    ModuleVersion::new(path, Version::parse("v1.0.0").unwrap()).unwrap()
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Vec::new());
    for (name, content) in files {
        let mut content = *content;
        zip.add(&format!("example.com/m@v1.0.0/{name}"), &mut content)
            .unwrap();
    }
    zip.finish().unwrap()
}

fn check(files: &[(&str, &[u8])]) -> gomod::zip::ZipReport {
    let bytes = archive(files);
    let length = u64::try_from(bytes.len()).unwrap();
    check_and_hash(&bytes[..], length, &module(), &Limits::default()).unwrap()
}

#[test]
fn an_archive_is_a_good_module_zip() {
    let big = vec![b'x'; 3 << 20];
    let report = check(&[
        ("go.mod", b"module example.com/m\n"),
        ("empty", b""),
        ("big", &big),
        ("a~b", b"tilde"),
        ("\u{e9}", b"letter"),
    ]);
    assert_eq!(report.files, 5);
}

#[test]
fn an_archive_without_files_has_the_hash_of_nothing() {
    let report = check(&[]);
    assert_eq!(
        report.hash.to_string(),
        "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    );
}

#[test]
fn headers_are_those_of_the_go_command() {
    let bytes = archive(&[("empty", b""), ("a~b", b"tilde")]);
    let at = |offset: usize, length: usize| &bytes[offset..offset + length];
    assert_eq!(at(0, 4), b"PK\x03\x04");
    // Version, flags, method, time and date, checksum, sizes.
    assert_eq!(at(4, 6), [20, 0, 8, 0, 8, 0]);
    assert_eq!(at(10, 16), [0; 16]);
    let directory = bytes
        .windows(4)
        .position(|window| window == b"PK\x01\x02")
        .unwrap();
    // Made by version 2.0 of no system, which is needed, too.
    assert_eq!(at(directory + 4, 4), [20, 0, 20, 0]);
    assert_eq!(at(directory + 12, 4), [0; 4]);
    // Attributes, both kinds.
    assert_eq!(at(directory + 36, 6), [0; 6]);
    let second = bytes
        .windows(4)
        .rposition(|window| window == b"PK\x01\x02")
        .unwrap();
    // A tilde is not the same character everywhere.
    assert_eq!(at(second + 8, 2), [8, 8]);
}

#[test]
fn more_files_than_16_bits_can_count_are_told_in_64() {
    let names: Vec<String> = (0..65_536).map(|n| format!("f{n}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert_eq!(check(&files[..65_534]).files, 65_534);
    assert_eq!(check(&files[..65_535]).files, 65_535);
    assert_eq!(check(&files).files, 65_536);
}

#[test]
fn a_name_that_is_too_long_is_an_error() {
    let mut zip = ZipWriter::new(Vec::new());
    let error = zip.add(&"n".repeat(70_000), &mut &b""[..]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
}
