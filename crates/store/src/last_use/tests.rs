use super::*;
use crate::conformance::key;

fn numbered(number: usize) -> FileKey {
    key(&format!("example.com/m{number}"), "v1.0.0", FileKind::Zip)
}

fn at(minute: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(minute * 60 + 30).unwrap()
}

fn asked(last_use: &LastUse, number: usize) -> Option<u32> {
    let hash = FileHash::of(&numbered(number));
    last_use.table().unwrap().ask(hash).map(|minute| minute.0)
}

#[test]
fn the_last_of_several_uses_counts_and_outlives_the_process() {
    let scratch = tempfile::tempdir().unwrap();
    let last_use = LastUse::of(scratch.path(), at(1000));
    last_use.touch(&numbered(0));
    last_use.touch(&numbered(1));
    last_use.tick(at(1005));
    last_use.touch(&numbered(1));
    assert_eq!(
        (asked(&last_use, 0), asked(&last_use, 1)),
        (Some(1000), Some(1005))
    );
    assert_eq!(asked(&last_use, 2), None);
    drop(last_use);

    let last_use = LastUse::of(scratch.path(), at(2000));
    assert_eq!(
        (asked(&last_use, 0), asked(&last_use, 1)),
        (Some(1000), Some(1005))
    );
    last_use.touch(&numbered(0));
    assert!(last_use.write().unwrap());
    assert_eq!(last_use.lately(FileHash::of(&numbered(0))), None);
    assert_eq!(
        (asked(&last_use, 0), asked(&last_use, 1)),
        (Some(2000), Some(1005))
    );
}

#[test]
fn a_table_that_is_lost_or_damaged_says_nothing_and_is_written_anew() {
    let scratch = tempfile::tempdir().unwrap();
    let last_use = LastUse::of(scratch.path(), at(1000));
    last_use.touch(&numbered(0));
    last_use.write().unwrap();
    let path = layout::last_use(scratch.path());
    let whole = fs::read(&path).unwrap();
    for damaged in [&whole[..whole.len() - 1], b"", b"\0\0\0\0\n\0"] {
        fs::write(&path, damaged).unwrap();
        assert_eq!(asked(&last_use, 0), None);
    }
    last_use.touch(&numbered(1));
    last_use.write().unwrap();
    assert_eq!(
        (asked(&last_use, 0), asked(&last_use, 1)),
        (None, Some(1000))
    );
}

#[test]
fn one_process_writes_and_the_other_one_takes_over_when_it_is_gone() {
    let scratch = tempfile::tempdir().unwrap();
    let [first, second] = [1000, 2000].map(|minute| LastUse::of(scratch.path(), at(minute)));
    first.touch(&numbered(0));
    assert!(first.write().unwrap());
    second.touch(&numbered(0));
    assert!(!second.write().unwrap());
    assert_eq!(asked(&second, 0), Some(1000));
    drop(first);
    second.touch(&numbered(0));
    assert!(second.write().unwrap());
    assert_eq!(asked(&second, 0), Some(2000));
}

#[test]
fn files_that_are_gone_are_forgotten_by_the_next_eviction() {
    let scratch = tempfile::tempdir().unwrap();
    let last_use = LastUse::of(scratch.path(), at(1000));
    (0..10).for_each(|number| last_use.touch(&numbered(number)));
    last_use.write().unwrap();
    let mut table = last_use.table().unwrap();
    for number in [2, 5, 11] {
        table.ask(FileHash::of(&numbered(number)));
    }
    last_use.retain_asked(table).unwrap();
    let left: Vec<usize> = (0..10)
        .filter(|&number| asked(&last_use, number).is_some())
        .collect();
    assert_eq!(left, [2, 5]);
}

#[test]
fn a_flood_of_files_takes_bounded_memory_and_asks_to_be_written() {
    let scratch = tempfile::tempdir().unwrap();
    let last_use = LastUse::of(scratch.path(), at(1000));
    assert!(!last_use.is_filling());
    (0..100_000).for_each(|number| last_use.touch(&numbered(number)));
    assert!(last_use.is_filling());
    assert_eq!(last_use.noted().len(), SHARDS * SHARD_FILES);
    last_use.write().unwrap();
    assert!(!last_use.is_filling());
    let len = fs::metadata(layout::last_use(scratch.path()))
        .unwrap()
        .len();
    assert!(len < (SHARDS * SHARD_FILES * 16) as u64, "{len} bytes");
}

#[test]
fn a_use_does_not_wait_while_the_table_is_changed() {
    let scratch = tempfile::tempdir().unwrap();
    let last_use = LastUse::of(scratch.path(), at(1000));
    let FileHash(hash) = FileHash::of(&numbered(0));
    let held = last_use.shard(hash).unwrap().write();
    last_use.touch(&numbered(0));
    drop(held);
    assert_eq!(asked(&last_use, 0), None);
    last_use.touch(&numbered(0));
    assert_eq!(asked(&last_use, 0), Some(1000));
}

#[test]
fn files_of_one_version_and_of_like_names_are_told_apart() {
    let keys = [
        key("example.com/a", "v1.0.0", FileKind::Zip),
        key("example.com/a", "v1.0.0", FileKind::Mod),
        key("example.com/a", "v1.0.0", FileKind::Info),
        key("example.com/a", "v1.0.1", FileKind::Zip),
        key("example.com/A", "v1.0.0", FileKind::Zip),
    ];
    let hashes: std::collections::HashSet<FileHash> = keys.iter().map(FileHash::of).collect();
    assert_eq!(hashes.len(), keys.len());
    // The same in every release: the table on disk goes by it.
    assert_eq!(
        FileHash::of(&keys[0]),
        FileHash(fnv("example.com/a@v1.0.0 z"))
    );
}

fn fnv(text: &str) -> u64 {
    text.bytes().fold(14_695_981_039_346_656_037, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(1_099_511_628_211)
    })
}
