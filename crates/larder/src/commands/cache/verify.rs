//! `larder cache verify`: read every stored file again and hold it to its record.
//!
//! One thread walks the folder, one for each core reads; what is found is gathered here. Damaged files go into
//! quarantine; `--repair` then fetches them anew as a request would.

use super::progress::Progress;
use super::{Outcome, Selection, count, file_name, human_bytes, open_store};
use crate::command_line::Form;
use crate::settings::complaint::Complaint;
use crate::settings::config::Config;
use crate::{terminal, wiring};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::json;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use store::FileKey;
use store::check::{Checked, Depth, Going, Reading};
use store::disk::DiskStore;
use store::walk::Found;

/// Files that wait for a reader.
const QUEUED: usize = 256;
/// Untrusted files, strangers and troubles that are named at most, of each; all are counted.
const NAMED: usize = 1000;

/// What was found, with the names that scripts read.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Files that are as they were stored.
    files: u64,
    bytes: u64,
    seconds: f64,
    damaged: Vec<DamagedFile>,
    untrusted: Named,
    strangers: Named,
    /// What could not be looked at.
    troubles: Named,
}

#[derive(Debug, Serialize)]
struct DamagedFile {
    module: String,
    version: String,
    kind: &'static str,
    reason: String,
    /// Why it is still in its place; `null` where it was moved into quarantine.
    not_moved: Option<String>,
    /// Whether a good one is stored now; `null` where none was asked for.
    repaired: Option<bool>,
    /// Why not.
    repair_failure: Option<String>,
    #[serde(skip)]
    key: FileKey,
}

/// A number of things, the first of which are named.
#[derive(Debug, Default, Serialize)]
struct Named {
    count: usize,
    names: Vec<String>,
}

impl Named {
    fn add(&mut self, name: String) {
        self.count += 1;
        if self.names.len() < NAMED {
            self.names.push(name);
        }
    }
}

/// What a thread found.
enum Finding {
    Good(u64),
    Damaged(DamagedFile),
    Untrusted(String),
    Stranger(String),
    Trouble(String),
}

/// Verifies the files that `selection` covers.
pub(super) fn verify(
    config: &Config,
    selection: &Selection,
    repair: bool,
    form: Form,
) -> Result<Outcome, Complaint> {
    let store = open_store(config)?;
    let progress = Progress::new("verified");
    let shown = progress.show();
    let mut report = Report::default();
    read_all(&store, selection, &progress, |finding| report.add(finding));
    drop(shown);
    if repair && !report.damaged.is_empty() {
        repair_all(config, &mut report)?;
    }
    report.seconds = progress.elapsed().as_secs_f64();
    match form {
        Form::Json => terminal::data(&format!("{:#}\n", json!(report))),
        Form::Text => tell(&report, config),
    }
    Ok(match (report.damaged.is_empty(), report.troubles.count) {
        (true, 0) => Outcome::Fine,
        _ => Outcome::FoundFault,
    })
}

impl Report {
    fn add(&mut self, finding: Finding) {
        match finding {
            Finding::Good(bytes) => {
                self.files += 1;
                self.bytes += bytes;
            }
            Finding::Damaged(file) => self.damaged.push(file),
            Finding::Untrusted(name) => self.untrusted.add(name),
            Finding::Stranger(name) => self.strangers.add(name),
            Finding::Trouble(text) => self.troubles.add(text),
        }
    }
}

/// Reads every file that `selection` covers, on all cores.
fn read_all(
    store: &DiskStore,
    selection: &Selection,
    progress: &Progress,
    mut found: impl FnMut(Finding),
) {
    let readers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let (queue, waiting) = sync_channel(QUEUED);
    let waiting = Mutex::new(waiting);
    let (sender, findings) = channel();
    std::thread::scope(|scope| {
        for _ in 0..readers {
            let (sender, waiting) = (sender.clone(), &waiting);
            scope.spawn(move || read_queued(store, waiting, progress, &sender));
        }
        scope.spawn(move || {
            let wanted = selection.test();
            for found in store.walk() {
                let finding = match found {
                    Ok(Found::File(file)) if !wanted(&file.key.module) => continue,
                    // Not read where nothing vouches for it, but damage is looked for where its size is wrong.
                    Ok(Found::File(file)) => {
                        if queue.send(file.key).is_err() {
                            return;
                        }
                        continue;
                    }
                    Ok(Found::Stranger(_)) if *selection != Selection::All => continue,
                    Ok(Found::Stranger(it)) => {
                        Finding::Stranger(format!("{}: {}", it.path.display(), it.reason))
                    }
                    Err(error) => Finding::Trouble(error.to_string()),
                };
                if sender.send(finding).is_err() {
                    return;
                }
            }
        });
        for finding in findings {
            found(finding);
        }
    });
}

/// Reads what is queued until nothing more comes.
fn read_queued(
    store: &DiskStore,
    waiting: &Mutex<Receiver<FileKey>>,
    progress: &Progress,
    findings: &Sender<Finding>,
) {
    loop {
        let next = waiting.lock().recv();
        let Ok(key) = next else {
            return;
        };
        let mut pass = |bytes| {
            progress.add_bytes(bytes);
            Going::On
        };
        let checked = store.check(&key, Depth::Hashes, Reading::Usual, &mut pass);
        let finding = match checked {
            Ok(Checked::Good(record)) => Finding::Good(record.len_bytes),
            Ok(Checked::Untrusted) => Finding::Untrusted(file_name(&key)),
            Ok(Checked::Gone | Checked::Stopped) => continue,
            Ok(Checked::Damaged(damaged)) => {
                let not_moved = match store.quarantine(&damaged) {
                    Ok(true) => None,
                    // Replaced meanwhile, by a file that was verified.
                    Ok(false) => continue,
                    Err(error) => Some(error.to_string()),
                };
                Finding::Damaged(DamagedFile {
                    module: key.module.path().to_string(),
                    version: key.module.version().to_string(),
                    kind: key.kind.extension(),
                    reason: damaged.reason,
                    not_moved,
                    repaired: None,
                    repair_failure: None,
                    key,
                })
            }
            Err(error) => Finding::Trouble(format!("{}: {error}", file_name(&key))),
        };
        progress.add_file();
        if findings.send(finding).is_err() {
            return;
        }
    }
}

/// Fetches what was damaged anew, one after the other.
fn repair_all(config: &Config, report: &mut Report) -> Result<(), Complaint> {
    wiring::runtime()?.block_on(async {
        let server = wiring::server(config).await?.server;
        for file in &mut report.damaged {
            let brought = server
                .bring_in(file.key.module.clone(), file.key.kind)
                .await;
            file.repaired = Some(brought.is_ok() && file.not_moved.is_none());
            file.repair_failure = brought.err().map(|failure| failure.to_string());
        }
        server.settled().await;
        Ok(())
    })
}

fn tell(report: &Report, config: &Config) {
    let quarantine = config.cache_dir.join("state/quarantine");
    for file in &report.damaged {
        terminal::data(&damage(file, &quarantine));
    }
    let named = [
        (
            &report.untrusted,
            "no record vouches for it, so it is not served",
        ),
        (&report.strangers, "none of larder's files"),
        (&report.troubles, "could not be looked at"),
    ];
    for (named, what) in named {
        for name in &named.names {
            terminal::data(&format!("{name}: {what}\n"));
        }
        if named.count > named.names.len() {
            let more = named.count - named.names.len();
            terminal::data(&format!("and {more} more: {what}\n"));
        }
    }
    terminal::talk(&format!(
        "{} files, {} are as they were stored ({:.1} s, {}/s); {} damaged\n",
        report.files,
        human_bytes(report.bytes),
        report.seconds,
        human_bytes(rate(report.bytes, report.seconds)),
        count(report.damaged.len(), "file"),
    ));
}

fn damage(file: &DamagedFile, quarantine: &Path) -> String {
    let became = match (&file.not_moved, file.repaired, &file.repair_failure) {
        (Some(why), ..) => format!("it could not be moved and is still served: {why}"),
        (None, Some(true), _) => "moved to quarantine, and fetched anew".to_owned(),
        (None, Some(false), Some(why)) => {
            format!("moved to quarantine; it could not be fetched anew: {why}")
        }
        (None, ..) => format!(
            "moved to `{}`; the next request fetches it anew",
            quarantine.display()
        ),
    };
    format!(
        "damaged: {}: {}\n  {became}\n",
        file_name(&file.key),
        file.reason
    )
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate for people"
)]
fn rate(bytes: u64, seconds: f64) -> u64 {
    (bytes as f64 / seconds.max(0.001)) as u64
}
