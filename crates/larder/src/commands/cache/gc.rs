//! `larder cache gc`: bring the folder below its limit now, or show what would go.
//!
//! The same evictor as in `larder serve`, over the folder itself. Beside a running server both may evict: a name
//! that is gone already is passed over, and the server forgets what it counted too much with its next walk.

use super::{Outcome, count, file_name, human_bytes, open_store};
use crate::command_line::Form;
use crate::settings::complaint::Complaint;
use crate::settings::config::Config;
use crate::{terminal, wiring};
use gomod::ModulePath;
use parking_lot::Mutex;
use serde_json::json;
use source::privacy::{Privacy, Route};
use std::sync::Arc;
use store::FileKey;
use store::answers::Answers;
use store::eviction::{EvictionObserver, Evictor, EvictorParts, Reason, Usage};
use store::pins::Pins;

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
    let limits = wiring::limits(config);
    let privacy = Privacy {
        private: config.private.clone(),
        no_sumdb: config.no_sumdb.clone(),
    };
    let named = Arc::new(Named::default());
    let evictor = Evictor::new(EvictorParts {
        store: Arc::new(disk.clone()),
        usage: Usage::of(&config.cache_dir, &limits),
        pins,
        is_private: Arc::new(move |path: &ModulePath| privacy.route(path) == Route::Private),
        answers: Answers::open(&config.cache_dir).map_err(Complaint::from_error)?,
        limits,
        observer: named.clone(),
        disk,
    });
    let evicted = wiring::runtime()?.block_on(async {
        match dry_run {
            true => evictor.plan().await,
            false => evictor.run().await,
        }
    });
    let evicted = evicted.map_err(Complaint::from_error)?;
    let named = std::mem::take(&mut *named.0.lock());
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

/// Names what goes, or would go.
#[derive(Default)]
struct Named(Mutex<Vec<(FileKey, u64)>>);

impl EvictionObserver for Named {
    fn evicted(&self, key: &FileKey, _: Reason, bytes: u64) {
        let mut named = self.0.lock();
        if named.len() < NAMED {
            named.push((key.clone(), bytes));
        }
    }
    /// Told at the end.
    fn stored_bytes(&self, _: u64) {}
}
