//! `larder cache warm`: fetch what a build will need before it runs.

mod graph;
mod wish;

use super::progress::Progress;
use super::supply::{Supplier, Wanted};
use super::{Outcome, count, human_bytes};
use crate::command_line::Form;
use crate::settings::complaint::Complaint;
use crate::settings::config::Config;
use crate::{terminal, wiring};
use gomod::{FileKind, H1, SafeUrl};
use serde::Serialize;
use serde_json::json;
use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use wish::{Input, Wish};

/// A file that names modules may be this large.
const INPUT_BYTES: u64 = 64 << 20;

/// What was done, with the names that scripts read.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Files that are in the cache now.
    files: usize,
    bytes: u64,
    /// Of these, those that were stored before.
    were_there: usize,
    /// Hashes of go.sum lines that the files were held to.
    checked: usize,
    seconds: f64,
    failed: Vec<Failed>,
    /// What was named and is not fetched, with the reason.
    skipped: Vec<String>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Failed {
    module: String,
    version: String,
    kind: &'static str,
    reason: String,
}

/// Fetches what the inputs name.
pub(super) fn warm(
    config: &Config,
    inputs: &[PathBuf],
    server: Option<&SafeUrl>,
    form: Form,
) -> Result<Outcome, Complaint> {
    let mut wish = Wish::default();
    let mut go_mods = Vec::new();
    for path in inputs {
        match Input::parse(path, &read(path)?)? {
            Input::Wish(more) => wish.join(more),
            Input::GoMod(go_mod) => go_mods.push(go_mod),
        }
    }
    let progress = Progress::new("fetched");
    let runtime = wiring::runtime()?;
    let report = runtime.block_on(async {
        let supplier = match server {
            Some(url) => Supplier::server(config, url)?,
            None => Supplier::store(config).await?,
        };
        let shown = progress.show();
        let mut report = Report::default();
        let mut fetched = 0;
        for go_mod in &go_mods {
            let read = graph::read(&supplier, go_mod, &progress).await;
            report.failed.extend(read.failed);
            fetched += read.fetched;
            wish.join(read.wish);
        }
        fetch(&supplier, &wish, &progress, &mut report).await;
        // These were brought twice: to be read, and with the others.
        report.were_there = report.were_there.saturating_sub(fetched);
        supplier.settled().await;
        drop(shown);
        Ok(report)
    });
    // What still comes along with other files need not be waited for.
    runtime.shutdown_background();
    let mut report = report?;
    report.skipped = wish.skipped;
    report.seconds = progress.elapsed().as_secs_f64();
    report.failed.sort();
    report.failed.dedup();
    match form {
        Form::Json => terminal::data(&format!("{:#}\n", json!(report))),
        Form::Text => tell(&report),
    }
    Ok(match report.failed.as_slice() {
        [] => Outcome::Fine,
        _ => Outcome::FoundFault,
    })
}

/// Brings everything, and holds it to the hashes that were named.
async fn fetch(supplier: &Supplier, wish: &Wish, progress: &Progress, report: &mut Report) {
    progress.expect_files(wish.files.len());
    let expected: &HashMap<Wanted, H1> = &wish.hashes;
    let all = wish.files.iter().cloned();
    supplier
        .bring_all(all, progress, |wanted, got| {
            let reason = match got {
                Ok(got) => {
                    let mismatch = match (expected.get(&wanted), got.hash) {
                        (Some(expected), Some(hash)) if *expected != hash => Some(format!(
                            "SECURITY: its hash is {hash}, and the go.sum file says {expected}"
                        )),
                        (Some(_), Some(_)) => {
                            report.checked += 1;
                            None
                        }
                        (Some(_), None) | (None, _) => None,
                    };
                    if mismatch.is_none() {
                        report.files += 1;
                        report.bytes += got.bytes;
                        report.were_there += usize::from(got.was_there);
                    }
                    mismatch
                }
                Err(reason) => Some(reason),
            };
            if let Some(reason) = reason {
                report.failed.push(Failed::new(&wanted, reason));
            }
        })
        .await;
}

impl Failed {
    fn new(wanted: &Wanted, reason: String) -> Self {
        Self {
            module: wanted.module.path().to_string(),
            version: wanted.module.version().to_string(),
            kind: wanted.kind.extension(),
            reason,
        }
    }
}

fn read(path: &Path) -> Result<String, Complaint> {
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin()
            .take(INPUT_BYTES + 1)
            .read_to_string(&mut text)
    } else {
        fs_err::File::open(path)
            .and_then(|file| file.take(INPUT_BYTES + 1).read_to_string(&mut text))
    };
    let len = read.map_err(Complaint::from_error)?;
    if u64::try_from(len).is_ok_and(|len| len > INPUT_BYTES) {
        let path = path.display();
        return Err(Complaint::new(format!(
            "`{path}` is too large for a list of modules"
        )));
    }
    Ok(text)
}

fn tell(report: &Report) {
    for failed in &report.failed {
        terminal::data(&format!(
            "failed: {}@{} ({}): {}\n",
            failed.module, failed.version, failed.kind, failed.reason
        ));
    }
    for skipped in &report.skipped {
        terminal::talk(&format!("not fetched: {skipped}\n"));
    }
    let checked = match report.checked {
        0 => String::new(),
        checked => format!(", {checked} held to go.sum"),
    };
    terminal::talk(&format!(
        "{} in the cache, {} ({} were there{checked}, {:.1} s); {} failed\n",
        count(report.files, "file"),
        human_bytes(report.bytes),
        report.were_there,
        report.seconds,
        report.failed.len(),
    ));
}

/// The three files of a version.
fn all_files(module: &gomod::ModuleVersion) -> impl Iterator<Item = Wanted> + use<> {
    let module = module.clone();
    FileKind::ALL.into_iter().map(move |kind| Wanted {
        module: module.clone(),
        kind,
    })
}
