//! The suite over every store.

mod object_double;

use crate::conformance;
use crate::disk::DiskStore;
use crate::memory::MemoryTier;
use crate::staging::Staging;
use object_double::ObjectDouble;
use std::path::PathBuf;

/// A folder for one test and the staging in it: files up to 100 KiB in memory.
pub(crate) fn scratch() -> (tempfile::TempDir, Staging) {
    let scratch = tempfile::tempdir().unwrap();
    let staging = Staging::open(scratch.path(), 100 * 1024, 1024 * 1024).unwrap();
    (scratch, staging)
}

/// A folder below `scratch` that no other call returns.
pub(crate) fn fresh(scratch: &tempfile::TempDir) -> PathBuf {
    scratch
        .path()
        .join(format!("store-{:016x}", fastrand::u64(..)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_store_conforms() {
    let (scratch, staging) = scratch();
    conformance::run(&staging, || DiskStore::open(&fresh(&scratch)).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_tier_conforms() {
    let (scratch, staging) = scratch();
    conformance::run(&staging, || {
        let disk = DiskStore::open(&fresh(&scratch)).unwrap();
        MemoryTier::new(disk, 1024 * 1024, 64 * 1024)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memory_tier_without_room_conforms() {
    let (scratch, staging) = scratch();
    conformance::run(&staging, || {
        MemoryTier::new(DiskStore::open(&fresh(&scratch)).unwrap(), 0, 0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_store_conforms() {
    let (_scratch, staging) = scratch();
    conformance::run(&staging, ObjectDouble::default).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memory_tier_over_an_object_store_conforms() {
    let (_scratch, staging) = scratch();
    conformance::run(&staging, || {
        MemoryTier::new(ObjectDouble::default(), 1024 * 1024, 64 * 1024)
    })
    .await;
}
