use super::*;
use crate::conformance::{key, read, verified};
use crate::disk::DiskStore;
use crate::tests::scratch;

const KIB: u64 = 1024;

fn numbered(number: usize) -> FileKey {
    key(&format!("example.com/m{number}"), "v1.0.0", FileKind::Mod)
}

async fn tier_with(
    staging: &Staging,
    dir: &std::path::Path,
    capacity_bytes: u64,
    file_bytes: u64,
    files: &[(usize, usize)],
) -> MemoryTier<DiskStore> {
    let disk = DiskStore::open(dir).unwrap();
    let mut commits = tokio::task::JoinSet::new();
    for &(number, len) in files {
        let file = verified(staging, &numbered(number), &vec![7; len], 1).await;
        let disk = disk.clone();
        commits.spawn(async move { disk.commit(file).await.unwrap() });
    }
    commits.join_all().await;
    MemoryTier::new(disk, capacity_bytes, file_bytes)
}

#[tokio::test]
async fn a_small_file_is_served_from_memory_once_it_was_opened_or_committed() {
    let (scratch, staging) = scratch();
    let tier = tier_with(&staging, scratch.path(), 1024 * KIB, 64 * KIB, &[(0, 5000)]).await;
    assert!(tier.open_now(&numbered(0)).is_none());
    let first = tier.open(&numbered(0)).await.unwrap().unwrap();
    assert_eq!(first.tier, Tier::Disk);
    let hit = tier.open_now(&numbered(0)).unwrap();
    assert_eq!(hit.tier, Tier::Memory);
    assert!(matches!(hit.body, Body::Bytes(_)));
    assert_eq!((read(&hit), hit.sha256), (read(&first), first.sha256));
    assert_eq!(hit.stored_at, first.stored_at);

    let file = verified(&staging, &numbered(1), b"committed", 1).await;
    tier.commit(file).await.unwrap();
    let hit = tier.open_now(&numbered(1)).unwrap();
    assert_eq!(
        (hit.tier, read(&hit)),
        (Tier::Memory, b"committed".to_vec())
    );
    let on_disk = tier.inner().open(&numbered(1)).await.unwrap().unwrap();
    assert_eq!(on_disk.stored_at, hit.stored_at);
}

#[tokio::test]
async fn a_committed_file_that_stays_in_memory_leaves_the_room_to_the_fills() {
    let (scratch, staging) = scratch();
    let tier = tier_with(&staging, scratch.path(), 1024 * KIB, 64 * KIB, &[]).await;
    let file = verified(&staging, &numbered(0), &[7; 5000], 1).await;
    assert_eq!(staging.memory_bytes(), 5000);
    tier.commit(file).await.unwrap();
    assert_eq!(staging.memory_bytes(), 0);
    assert_eq!(read(&tier.open_now(&numbered(0)).unwrap()), [7; 5000]);
}

#[tokio::test]
async fn a_large_file_is_served_from_a_kept_handle() {
    let (scratch, staging) = scratch();
    let files = [(0, 300_000)];
    let tier = tier_with(&staging, scratch.path(), 1024 * KIB, 64 * KIB, &files).await;
    tier.open(&numbered(0)).await.unwrap().unwrap();
    let hit = tier.open_now(&numbered(0)).unwrap();
    assert_eq!(hit.tier, Tier::Disk);
    assert!(matches!(hit.body, Body::File(_)));
    assert_eq!(read(&hit), vec![7; 300_000]);
    assert_eq!(tier.weight_bytes(), 0);
}

#[tokio::test]
async fn no_more_handles_are_kept_than_the_bound() {
    let (scratch, staging) = scratch();
    let files: Vec<_> = (0..HANDLES + 40).map(|number| (number, 70_000)).collect();
    let tier = tier_with(&staging, scratch.path(), 0, 0, &files).await;
    for (number, _) in &files {
        tier.open(&numbered(*number)).await.unwrap().unwrap();
    }
    let kept = files
        .iter()
        .filter(|(number, _)| tier.open_now(&numbered(*number)).is_some());
    let kept = kept.count();
    assert!(kept <= HANDLES && kept > HANDLES / 2, "{kept}");
}

#[tokio::test]
async fn memory_stays_within_its_capacity() {
    let (scratch, staging) = scratch();
    let files: Vec<_> = (0..100).map(|number| (number, 20_000)).collect();
    let tier = tier_with(&staging, scratch.path(), 500 * KIB, 32 * KIB, &files).await;
    for (number, len) in &files {
        tier.open(&numbered(*number)).await.unwrap().unwrap();
        assert!(tier.weight_bytes() <= 500 * KIB);
        assert!(tier.weight_bytes() >= if *number == 0 { *len as u64 } else { 1 });
    }
    assert!(tier.weight_bytes() > 250 * KIB, "{}", tier.weight_bytes());
}

#[tokio::test]
async fn a_scan_of_everything_does_not_push_out_what_is_asked_all_day() {
    let (scratch, staging) = scratch();
    let files: Vec<_> = (0..300).map(|number| (number, 4000)).collect();
    let tier = tier_with(&staging, scratch.path(), 256 * KIB, 8 * KIB, &files).await;
    for _ in 0..5 {
        for number in 0..20 {
            tier.open(&numbered(number)).await.unwrap().unwrap();
        }
    }
    for number in 20..300 {
        tier.open(&numbered(number)).await.unwrap().unwrap();
    }
    let hot = (0..20)
        .filter(|&number| tier.open_now(&numbered(number)).is_some())
        .count();
    assert!(hot >= 18, "{hot} of 20 are still in memory");
}

#[tokio::test]
async fn a_deleted_file_leaves_memory_and_handles() {
    let (scratch, staging) = scratch();
    let files = [(0, 5000), (1, 300_000)];
    let tier = tier_with(&staging, scratch.path(), 1024 * KIB, 64 * KIB, &files).await;
    for number in [0, 1] {
        tier.open(&numbered(number)).await.unwrap().unwrap();
        assert!(tier.open_now(&numbered(number)).is_some());
        assert!(tier.delete(&numbered(number)).await.unwrap());
        assert!(tier.open_now(&numbered(number)).is_none());
        assert!(tier.open(&numbered(number)).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_file_opened_before_a_deletion_is_not_kept_after_it() {
    let (scratch, staging) = scratch();
    let tier = tier_with(&staging, scratch.path(), 1024 * KIB, 64 * KIB, &[(0, 5000)]).await;
    let deletions = *tier.deletions.read();
    let opened = tier.inner().open(&numbered(0)).await.unwrap().unwrap();
    tier.delete(&numbered(0)).await.unwrap();
    tier.keep(&numbered(0), &opened, deletions);
    assert!(tier.open_now(&numbered(0)).is_none());
}

#[test]
fn the_largest_file_fits_into_every_shard() {
    for (capacity, file) in [
        (64 << 20, 8 << 20),
        (256 << 20, 1 << 20),
        (4 << 20, 1 << 20),
    ] {
        let cache = bytes_cache(capacity, file);
        assert!(cache.shard_capacity() >= 2 * file, "{capacity} {file}");
    }
}
