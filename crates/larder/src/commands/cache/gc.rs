//! `larder cache gc`: bring the folder below its limit now, or show what would go.
//!
//! The same evictor as in `larder serve`, over the folder itself. Beside a running server both may evict: a name
//! that is gone already is passed over, and the server forgets what it counted too much with its next walk.

use super::{Outcome, count, file_name, human_bytes, open_store};
use crate::command_line::Form;
use crate::settings::complaint::Complaint;
use crate::settings::config::Config;
use crate::{terminal, wiring};
use async_trait::async_trait;
use gomod::{ModulePath, ModuleVersion, Version};
use parking_lot::Mutex;
use serde_json::json;
use source::privacy::{Privacy, Route};
use std::sync::Arc;
use store::answers::Answers;
use store::disk::DiskStore;
use store::eviction::{EvictionObserver, Evictor, EvictorParts, FreeFloor, Limits, Reason, Usage};
use store::pins::Pins;
use store::{Committed, FileKey, Namespace, Opened, Record, Store, StoreError, Verified};

/// Files that are named at most; all are counted.
const NAMED: usize = 10_000;

/// Evicts what the limits ask for; with `dry_run` only says what that is.
pub(super) fn gc(config: &Config, dry_run: bool, form: Form) -> Result<Outcome, Complaint> {
    let disk = open_store(config)?;
    let pins = Pins::of(&config.cache_dir);
    let set = pins.current().map_err(Complaint::from_error)?;
    for bad in set.bad_lines() {
        terminal::talk(&format!("warning: {}: {bad}\n", pins.path().display()));
    }
    if !set.bad_lines().is_empty() {
        return Err(Complaint::new(
            "there are pins that cannot be read, so that nothing is evicted",
        )
        .hint("mend these lines, or put a `#` before them"));
    }
    let limits = Limits {
        cache_bytes: config.cache_limit_bytes,
        free: config
            .disk_free_bytes
            .map_or(FreeFloor::Default, FreeFloor::Bytes),
    };
    let privacy = Privacy {
        private: config.private.clone(),
        no_sumdb: config.no_sumdb.clone(),
    };
    let gone = Arc::new(Gone {
        disk: disk.clone(),
        dry_run,
        keys: Mutex::default(),
    });
    let evictor = Evictor::new(EvictorParts {
        store: Arc::clone(&gone) as Arc<dyn Store>,
        usage: Usage::of(&config.cache_dir, &limits),
        pins,
        is_private: Arc::new(move |path: &ModulePath| privacy.route(path) == Route::Private),
        answers: Answers::open(&config.cache_dir).map_err(Complaint::from_error)?,
        limits,
        observer: Arc::new(Silent),
        disk,
    });
    let evicted = wiring::runtime()?
        .block_on(evictor.run())
        .map_err(Complaint::from_error)?;
    let named = std::mem::take(&mut *gone.keys.lock());
    match form {
        Form::Json => {
            let files: Vec<_> = named
                .iter()
                .map(|(key, bytes)| {
                    json!({
                        "module": key.module.path().to_string(),
                        "version": key.module.version().to_string(),
                        "kind": key.kind.extension(),
                        "bytes": bytes,
                    })
                })
                .collect();
            let report = json!({
                "dry_run": dry_run,
                "limit_bytes": limits.cache_bytes,
                "files": evicted.files,
                "bytes": evicted.bytes,
                "left_bytes": evicted.left_bytes,
                "pinned_bytes": evicted.pinned_bytes,
                "short_bytes": evicted.short_bytes,
                "evicted": files,
            });
            terminal::data(&format!("{report:#}\n"));
        }
        Form::Text => {
            for (key, bytes) in &named {
                terminal::data(&format!("{:>9}  {}\n", human_bytes(*bytes), file_name(key)));
            }
            let verb = if dry_run { "would go" } else { "evicted" };
            let files = usize::try_from(evicted.files).unwrap_or(usize::MAX);
            terminal::talk(&format!(
                "{} {verb}, {}; {} left, {} of them pinned\n",
                count(files, "file"),
                human_bytes(evicted.bytes),
                human_bytes(evicted.left_bytes),
                human_bytes(evicted.pinned_bytes),
            ));
            if evicted.short_bytes > 0 {
                terminal::talk(&format!(
                    "the rest is pinned: {} more than the limits allow\n",
                    human_bytes(evicted.short_bytes)
                ));
            }
        }
    }
    Ok(match evicted.short_bytes {
        0 => Outcome::Fine,
        _ => Outcome::FoundFault,
    })
}

/// The folder, which notes what is deleted from it; in a dry run nothing is.
struct Gone {
    disk: DiskStore,
    dry_run: bool,
    keys: Mutex<Vec<(FileKey, u64)>>,
}

#[async_trait]
impl Store for Gone {
    async fn open(&self, key: &FileKey) -> Result<Option<Opened>, StoreError> {
        self.disk.open(key).await
    }

    async fn commit(&self, file: Arc<Verified>) -> Result<Committed, StoreError> {
        self.disk.commit(file).await
    }

    async fn record(
        &self,
        namespace: Namespace,
        module: &ModuleVersion,
    ) -> Result<Option<Record>, StoreError> {
        self.disk.record(namespace, module).await
    }

    async fn versions(
        &self,
        namespace: Namespace,
        module_path: &ModulePath,
    ) -> Result<Vec<Version>, StoreError> {
        self.disk.versions(namespace, module_path).await
    }

    async fn knows(
        &self,
        namespace: Namespace,
        module_path: &ModulePath,
    ) -> Result<bool, StoreError> {
        self.disk.knows(namespace, module_path).await
    }

    async fn delete(&self, key: &FileKey) -> Result<bool, StoreError> {
        let record = self.disk.record(key.namespace, &key.module).await?;
        let bytes = record.and_then(|record| record.file(key.kind).map(|file| file.len_bytes));
        let deleted = self.dry_run || self.disk.delete(key).await?;
        let mut keys = self.keys.lock();
        if deleted && keys.len() < NAMED {
            keys.push((key.clone(), bytes.unwrap_or(0)));
        }
        Ok(deleted)
    }
}

/// What is counted here is told at the end.
struct Silent;

impl EvictionObserver for Silent {
    fn evicted(&self, _: Reason, _: u64) {}
    fn stored_bytes(&self, _: u64) {}
}
