//! A cache folder with many small files, written by the store itself, for measuring a start over it.

use serde::Serialize;
use std::path::Path;
use store::conformance::{key, verified};
use store::disk::DiskStore;
use store::{FILE_KINDS, Staging, Store as _};
use testkit::Module;

#[derive(Serialize)]
pub(crate) struct Filled {
    files: usize,
    /// The path of one of them.
    path: String,
}

/// Fills `folder`, which should be in memory: each file is committed as durably as any other.
pub(crate) fn fill(folder: &Path, files: usize) -> Filled {
    // Commits are gathered for a moment: as many as one batch takes.
    const AT_ONCE: usize = 512;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let store = DiskStore::open(folder).unwrap();
    let staging = Staging::open(folder, 8 << 20, 64 << 20).unwrap();
    let versions = files.div_ceil(FILE_KINDS.len());
    runtime.block_on(async {
        let mut filling = tokio::task::JoinSet::new();
        for worker in 0..AT_ONCE {
            let (store, staging) = (store.clone(), staging.clone());
            filling.spawn(async move {
                for number in (worker..versions).step_by(AT_ONCE) {
                    let module = module(number);
                    for kind in FILE_KINDS {
                        let bytes = match kind {
                            gomod::FileKind::Info => module.info(),
                            gomod::FileKind::Mod => module.go_mod_file(),
                            gomod::FileKind::Zip => module.zip(),
                        };
                        let key = key(module.path(), module.version(), kind);
                        let file = verified(&staging, &key, &bytes, 1).await;
                        store.commit(file).await.unwrap();
                    }
                }
            });
        }
        filling.join_all().await;
    });
    Filled {
        files: versions * FILE_KINDS.len(),
        path: module(versions / 2).url_path("mod"),
    }
}

fn module(number: usize) -> Module {
    // Paths spread over folders as real ones do.
    Module::new(
        &format!("host{}.example/team{}/m{number}", number % 50, number % 997),
        "v1.0.0",
    )
}
