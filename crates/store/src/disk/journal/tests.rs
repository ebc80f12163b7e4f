use super::*;
use crate::conformance::key;
use gomod::FileKind;

fn module(version: &str) -> ModuleVersion {
    key("example.com/Mixed", version, FileKind::Zip).module
}

fn stored(version: &str) -> Entry {
    let record = Record {
        zip_hash: Some(gomod::ZipHash(gomod::H1([7; 32]))),
        ..Record::default()
    };
    Entry::Stored(module(version), Box::new(record))
}

fn folder_of_journals(dir: &Path) -> Vec<String> {
    let folder = layout::journals(dir, Namespace::Shared);
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "lock")
        .collect();
    names.sort();
    names
}

#[test]
fn what_a_dead_process_wrote_is_read_and_that_of_a_living_one_is_not() {
    let scratch = tempfile::tempdir().unwrap();
    assert_eq!(left_by_the_dead(scratch.path()).unwrap().entries, []);
    let entries = [
        stored("v1.0.0"),
        Entry::Listed(module("v1.0.0").path().clone()),
    ];
    let mut journals = Journals::new(scratch.path());
    journals.append(&entries[..1], 10).unwrap();
    journals.append(&entries[1..], 0).unwrap();
    assert_eq!(left_by_the_dead(scratch.path()).unwrap().entries, []);
    drop(journals);
    // Each time, for whoever starts before it is looked after.
    for _ in 0..2 {
        let left = left_by_the_dead(scratch.path()).unwrap();
        assert_eq!(left.entries, entries);
        assert_eq!(left.journals.len(), 1);
    }
    let left = left_by_the_dead(scratch.path()).unwrap();
    forget(scratch.path(), &left.journals).unwrap();
    assert_eq!(folder_of_journals(scratch.path()), [""; 0]);
}

#[test]
fn a_torn_line_says_nothing_and_spoils_no_other() {
    let scratch = tempfile::tempdir().unwrap();
    left_by_the_dead(scratch.path()).unwrap();
    let mut journals = Journals::new(scratch.path());
    let entries = [stored("v1.0.0"), stored("v1.0.1"), stored("v1.0.2")];
    journals.append(&entries, 0).unwrap();
    let path = journals.current.as_ref().unwrap().path.clone();
    drop(journals);
    let whole = fs::read(&path).unwrap();
    let line = whole.len() / 3;
    let check = |damaged: Vec<u8>, expected: &[Entry]| {
        fs::write(&path, damaged).unwrap();
        let left = left_by_the_dead(scratch.path()).unwrap();
        assert_eq!(left.entries, expected);
        fs::rename(&left.journals[0], &path).unwrap();
    };
    check(whole.clone(), &entries);
    check(whole[..whole.len() - 5].to_vec(), &entries[..2]);
    let mut zeroed = whole.clone();
    zeroed[line + 10..line + 40].fill(0);
    check(zeroed, &[entries[0].clone(), entries[2].clone()]);
    check(whole[3..].to_vec(), &entries[1..]);
    check(vec![0; 4096], &[]);
}

#[test]
fn a_full_journal_goes_once_everything_is_synced() {
    let scratch = tempfile::tempdir().unwrap();
    left_by_the_dead(scratch.path()).unwrap();
    let mut journals = Journals::new(scratch.path());
    journals
        .append(&[stored("v1.0.0")], RETIRED_AFTER_BYTES)
        .unwrap();
    let first = journals.current.as_ref().unwrap().path.clone();
    journals.append(&[stored("v1.0.1")], 1).unwrap();
    let second = journals.current.as_ref().unwrap().path.clone();
    assert_ne!(first, second);
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while journals.retired.lock().syncing {
        assert!(std::time::Instant::now() < patience, "the sync never ends");
        std::thread::yield_now();
    }
    assert!(!first.exists());
    drop(journals);
    let left = left_by_the_dead(scratch.path()).unwrap();
    assert_eq!(left.entries, [stored("v1.0.1")]);
}
