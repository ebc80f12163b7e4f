//! What a hit and a commit cost: `cargo bench -p store` (`-- DIR` to measure another file system).
//!
//! The commits are those of a cold build: 760 `.mod`, and `.zip` and `.info` for 215 of them.
#![expect(clippy::print_stdout, reason = "the figures are the result")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails has no result")]

use gomod::FileKind;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::conformance::{key, verified};
use store::disk::DiskStore;
use store::memory::MemoryTier;
use store::{FileKey, Staging, Store, Verified};

const MODULES: usize = 760;
const WITH_ZIP: usize = 215;
const ZIP_BYTES: usize = 120_000;

fn main() {
    let dir = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let scratch = match dir {
        Some(dir) => tempfile::tempdir_in(dir),
        None => tempfile::tempdir(),
    };
    let scratch = scratch.unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        for at_once in [1, 16, 64] {
            commits(&scratch.path().join(at_once.to_string()), at_once).await;
        }
        hits(&scratch.path().join("16")).await;
    });
}

fn numbered(module: usize, kind: FileKind) -> FileKey {
    key(
        &format!("example.com/group{}/module{module}", module % 40),
        "v1.2.3",
        kind,
    )
}

async fn commits(dir: &Path, at_once: usize) {
    let disk = DiskStore::open(dir).unwrap();
    let staging = Staging::open(dir, 8 << 20, 1 << 30).unwrap();
    let mut files: Vec<Arc<Verified>> = Vec::new();
    for module in 0..MODULES {
        let zip = vec![b'z'; ZIP_BYTES];
        let mut kinds = vec![(FileKind::Mod, &zip[..600])];
        if module < WITH_ZIP {
            kinds.extend([(FileKind::Info, &zip[..80]), (FileKind::Zip, &zip[..])]);
        }
        for (kind, bytes) in kinds {
            files.push(verified(&staging, &numbered(module, kind), bytes, 1).await);
        }
    }
    let count = files.len();
    let files = Arc::new(parking_lot::Mutex::new(files.into_iter()));
    let (started, cpu) = (Instant::now(), cpu());
    let mut workers = Vec::new();
    for _ in 0..at_once {
        let (disk, files) = (disk.clone(), Arc::clone(&files));
        workers.push(tokio::spawn(async move {
            let mut slowest = Duration::ZERO;
            loop {
                let Some(file) = files.lock().next() else {
                    return slowest;
                };
                let started = Instant::now();
                disk.commit(file).await.unwrap();
                slowest = slowest.max(started.elapsed());
            }
        }));
    }
    let mut slowest = Duration::ZERO;
    for worker in workers {
        slowest = slowest.max(worker.await.unwrap());
    }
    let (wall, cpu) = (started.elapsed(), self::cpu() - cpu);
    println!(
        "{count} commits, {at_once} at once: {wall:.2?} wall, {cpu:.2?} cpu, {:.2?} each, slowest {slowest:.2?}",
        wall / u32::try_from(count).unwrap()
    );
}

async fn hits(dir: &Path) {
    const ROUNDS: u32 = 5;
    let disk = DiskStore::open(dir).unwrap();
    let tier = MemoryTier::new(disk.clone(), 256 << 20, 64 << 10);
    for (name, kind) in [(".mod", FileKind::Mod), (".zip", FileKind::Zip)] {
        let keys: Vec<FileKey> = (0..WITH_ZIP).map(|module| numbered(module, kind)).collect();
        let count = ROUNDS * u32::try_from(keys.len()).unwrap();
        let (started, cpu) = (Instant::now(), cpu());
        for key in keys.iter().cycle().take(count as usize) {
            disk.open(key).await.unwrap().unwrap();
        }
        let (wall, cpu) = (started.elapsed() / count, (self::cpu() - cpu) / count);
        println!("open {name} from disk: {wall:.2?} wall, {cpu:.2?} cpu");
        for key in &keys {
            tier.open(key).await.unwrap().unwrap();
        }
        let started = Instant::now();
        for key in keys.iter().cycle().take(count as usize) {
            tier.open_now(key).unwrap();
        }
        println!("open_now {name}: {:.2?}", started.elapsed() / count);
    }
}

/// Processor time of this process, in and out of the kernel.
fn cpu() -> Duration {
    let stat = fs_err::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: u64 = fields
        .iter()
        .skip(11)
        .take(2)
        .map(|n| n.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 10)
}
