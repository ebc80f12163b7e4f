//! `larder cache import`: take over the module files of another cache.
//!
//! The folder is a source like any other: its files go through verification and are committed as those of an
//! upstream are. What is stored already is passed over, so that an import that was broken off is begun anew and goes
//! on where it was.

mod scan;

use super::progress::Progress;
use super::supply::{Supplier, Wanted};
use super::{Outcome, count, human_bytes};
use crate::command_line::Form;
use crate::settings::complaint::Complaint;
use crate::settings::config::Config;
use crate::{terminal, wiring};
use gomod::FileKind;
use scan::{Layout, Scanned};
use serde::Serialize;
use serde_json::json;
use source::FileSource;
use std::path::Path;
use std::sync::Arc;
use wiring::Supply;

/// Files that are brought in before the next are looked for; bounds what is held of a large folder.
const BATCH: usize = 4096;
/// Refusals and skipped names that are told at most, of each; all are counted.
const NAMED: usize = 1000;

/// What was done, with the names that scripts read.
#[derive(Debug, Serialize)]
struct Report {
    layout: &'static str,
    folder: String,
    /// Module files in it.
    found: usize,
    /// Files that are stored now and were not before.
    imported: usize,
    /// Of these.
    bytes: u64,
    /// Files that were stored before.
    were_there: usize,
    seconds: f64,
    refused: Vec<Refused>,
    refused_count: usize,
    /// What looks like a module file and is none.
    skipped: Vec<String>,
    skipped_count: usize,
}

#[derive(Debug, Serialize)]
struct Refused {
    module: String,
    version: String,
    kind: &'static str,
    reason: String,
}

/// Imports what `folder` holds; with `dry_run` only says what that is.
pub(super) fn import(
    config: &Config,
    folder: &Path,
    dry_run: bool,
    form: Form,
) -> Result<Outcome, Complaint> {
    let folder = std::path::absolute(folder).map_err(Complaint::from_error)?;
    let layout = Layout::recognise(&folder)?;
    let mut report = Report::of(&layout);
    let progress = Progress::new("imported");
    if dry_run {
        for scanned in layout.scan() {
            match scanned {
                Scanned::File(_) => report.found += 1,
                Scanned::Skipped(reason) => report.skip(reason),
            }
        }
    } else {
        let runtime = wiring::runtime()?;
        runtime.block_on(bring_in(config, &layout, &progress, &mut report))?;
        // `.info` and `.mod` files come along with zips: asked for by name above, they are all there.
        runtime.shutdown_background();
    }
    report.seconds = progress.elapsed().as_secs_f64();
    match form {
        Form::Json => terminal::data(&format!("{:#}\n", json!(report))),
        Form::Text => tell(&report, dry_run),
    }
    Ok(match report.refused_count {
        0 => Outcome::Fine,
        _ => Outcome::FoundFault,
    })
}

async fn bring_in(
    config: &Config,
    layout: &Layout,
    progress: &Progress,
    report: &mut Report,
) -> Result<(), Complaint> {
    let source = FileSource::of_folder(layout.root(), layout.folder_layout());
    let built = wiring::server_over(config, Supply::Only(Arc::new(source))).await?;
    let supplier = Supplier::Store(Arc::new(built.server));
    let shown = progress.show();
    let mut scan = layout.scan();
    loop {
        let (back, batch) = tokio::task::spawn_blocking(move || {
            let batch: Vec<Scanned> = scan.by_ref().take(BATCH).collect();
            (scan, batch)
        })
        .await
        .map_err(Complaint::from_error)?;
        scan = back;
        if batch.is_empty() {
            break;
        }
        let mut files = Vec::with_capacity(batch.len());
        for scanned in batch {
            match scanned {
                Scanned::File(wanted) => files.push(wanted),
                Scanned::Skipped(reason) => report.skip(reason),
            }
        }
        report.found += files.len();
        progress.expect_files(files.len());
        // Small files first: a zip brings its version's small ones along, and would ask twice.
        files.sort_by_key(|wanted| wanted.kind == FileKind::Zip);
        supplier
            .bring_all(files, progress, |wanted, got| match got {
                Ok(got) if got.was_there => report.were_there += 1,
                Ok(got) => {
                    report.imported += 1;
                    report.bytes += got.bytes;
                }
                Err(reason) => report.refuse(&wanted, reason),
            })
            .await;
    }
    supplier.settled().await;
    drop(shown);
    Ok(())
}

impl Report {
    fn of(layout: &Layout) -> Self {
        Self {
            layout: layout.name(),
            folder: layout.root().display().to_string(),
            found: 0,
            imported: 0,
            bytes: 0,
            were_there: 0,
            seconds: 0.0,
            refused: Vec::new(),
            refused_count: 0,
            skipped: Vec::new(),
            skipped_count: 0,
        }
    }

    fn skip(&mut self, reason: String) {
        self.skipped_count += 1;
        if self.skipped.len() < NAMED {
            self.skipped.push(reason);
        }
    }

    fn refuse(&mut self, wanted: &Wanted, reason: String) {
        self.refused_count += 1;
        if self.refused.len() < NAMED {
            self.refused.push(Refused {
                module: wanted.module.path().to_string(),
                version: wanted.module.version().to_string(),
                kind: wanted.kind.extension(),
                reason,
            });
        }
    }
}

fn tell(report: &Report, dry_run: bool) {
    for refused in &report.refused {
        terminal::data(&format!(
            "refused: {}@{} ({}): {}\n",
            refused.module, refused.version, refused.kind, refused.reason
        ));
    }
    for skipped in &report.skipped {
        terminal::talk(&format!("passed over: {skipped}\n"));
    }
    let found = format!(
        "{} in `{}` ({})",
        count(report.found, "module file"),
        report.folder,
        report.layout
    );
    terminal::talk(&match dry_run {
        true => format!("{found}; nothing was imported\n"),
        false => format!(
            "{found}: {} imported ({}, {:.1} s), {} there before, {} refused\n",
            report.imported,
            human_bytes(report.bytes),
            report.seconds,
            report.were_there,
            report.refused_count
        ),
    });
}
