//! `larder cache ls`: what is stored.
//!
//! In the order of the folder every version is written as soon as it is known, so that nothing is held of a
//! large folder; other orders need all versions first.

use super::{Outcome, Selection, Sort, count, human_bytes, open_store};
use crate::command_line::Form;
use crate::settings::complaint::Complaint;
use crate::settings::config::Config;
use crate::terminal;
use gomod::{FileKind, ModulePath, ModuleVersion};
use serde::Serialize;
use serde_json::json;
use std::cmp::Reverse;
use std::sync::Arc;
use store::VerifiedBy;
use store::answers::Answers;
use store::eviction::{Pinned, PinnedBy};
use store::last_use::{Minute, WrittenUses};
use store::pins::Pins;
use store::walk::{Found, WalkedFile};

/// One version, with the names that scripts read.
#[derive(Debug, Serialize)]
struct Row {
    module: String,
    version: String,
    /// Files that are served.
    files: Vec<&'static str>,
    bytes: u64,
    /// When the first of them was stored.
    stored_at: Option<String>,
    /// The minute when one of them was asked for last, as far as the server has written it down, or else stored.
    used_at: Option<String>,
    /// Why it is never evicted; `null` where it may be.
    pinned_by: Option<&'static str>,
    /// Who vouched for the zip, or for what there is.
    verified_by: Option<String>,
    /// Files that have a name here and no record that vouches for them; they are not served.
    untrusted: Vec<&'static str>,
    #[serde(skip)]
    stored: Option<jiff::Timestamp>,
    #[serde(skip)]
    used: Minute,
}

/// Of everything that was listed.
#[derive(Debug, Default, Serialize)]
struct Totals {
    modules: usize,
    versions: usize,
    files: usize,
    bytes: u64,
    untrusted: usize,
    strangers: usize,
}

/// Lists the versions that `selection` covers.
pub(super) fn list(
    config: &Config,
    selection: &Selection,
    sort: Sort,
    form: Form,
) -> Result<Outcome, Complaint> {
    let store = open_store(config)?;
    let private = config.private.clone();
    let mut pinned = Pinned::now(
        &Pins::of(&config.cache_dir),
        Arc::new(move |module_path| private.matches(module_path.as_str())),
        Answers::open(&config.cache_dir).map_err(Complaint::from_error)?,
    )
    .map_err(Complaint::from_error)?;
    let uses = WrittenUses::read(&config.cache_dir).map_err(Complaint::from_error)?;
    let wanted = selection.test();
    let mut listing = Listing::new(form);
    let mut kept = Vec::new();
    let mut current: Option<(ModuleVersion, Row)> = None;
    let mut last_module: Option<ModulePath> = None;
    let mut outcome = Outcome::Fine;
    let mut put = |row: Row, listing: &mut Listing| match sort {
        Sort::Path => listing.row(&row),
        Sort::Size | Sort::Used => kept.push(row),
    };
    for found in store.walk() {
        let file = match found {
            Ok(Found::File(file)) if wanted(&file.key.module) => file,
            Ok(Found::File(_)) => continue,
            Ok(Found::Stranger(_)) => {
                listing.totals.strangers += usize::from(*selection == Selection::All);
                continue;
            }
            Err(error) => {
                terminal::talk(&format!("{error}\n"));
                outcome = Outcome::FoundFault;
                continue;
            }
        };
        let module = &file.key.module;
        if current.as_ref().is_none_or(|(of, _)| of != module) {
            if let Some((_, row)) = current.take() {
                put(row, &mut listing);
            }
            if last_module.as_ref() != Some(module.path()) {
                last_module = Some(module.path().clone());
                listing.totals.modules += 1;
            }
            listing.totals.versions += 1;
            current = Some((module.clone(), Row::new(module)));
        }
        if let Some((_, row)) = &mut current {
            row.add(&file, &mut listing.totals);
            row.used(uses.of(&file));
            row.pinned_by = row
                .pinned_by
                .or_else(|| pinned.by(&file).map(PinnedBy::name));
        }
    }
    if let Some((_, row)) = current {
        put(row, &mut listing);
    }
    match sort {
        Sort::Path => {}
        Sort::Size => kept.sort_by_key(|row| Reverse(row.bytes)),
        Sort::Used => kept.sort_by_key(|row| row.used),
    }
    for row in &kept {
        listing.row(row);
    }
    listing.end();
    Ok(outcome)
}

impl Row {
    fn new(module: &ModuleVersion) -> Self {
        Self {
            module: module.path().to_string(),
            version: module.version().to_string(),
            files: Vec::new(),
            bytes: 0,
            stored_at: None,
            used_at: None,
            pinned_by: None,
            verified_by: None,
            untrusted: Vec::new(),
            stored: None,
            used: Minute::default(),
        }
    }

    fn used(&mut self, minute: Minute) {
        if minute > self.used {
            self.used = minute;
            self.used_at = Some(minute.began().to_string());
        }
    }

    fn add(&mut self, file: &WalkedFile, totals: &mut Totals) {
        let kind = file.key.kind;
        let Some(record) = file.vouched() else {
            self.untrusted.push(kind.extension());
            totals.untrusted += 1;
            return;
        };
        self.files.push(kind.extension());
        self.bytes += file.len_bytes;
        if self
            .stored
            .is_none_or(|earliest| record.stored_at < earliest)
        {
            self.stored = Some(record.stored_at);
            self.stored_at = Some(record.stored_at.to_string());
        }
        // Zips come last; what was said of the .info says least.
        if kind != FileKind::Info || self.verified_by.is_none() {
            self.verified_by = Some(voucher(&record.verified_by));
        }
        totals.files += 1;
        totals.bytes += file.len_bytes;
    }
}

fn voucher(by: &VerifiedBy) -> String {
    match by {
        VerifiedBy::ChecksumDatabase(name) => name.clone(),
        VerifiedBy::FirstSight => "first-sight".to_owned(),
        VerifiedBy::Shape => "shape".to_owned(),
    }
}

/// What is written as it comes.
struct Listing {
    form: Form,
    rows: usize,
    totals: Totals,
}

impl Listing {
    fn new(form: Form) -> Self {
        Self {
            form,
            rows: 0,
            totals: Totals::default(),
        }
    }

    fn row(&mut self, row: &Row) {
        match self.form {
            Form::Json => {
                let begin = if self.rows == 0 {
                    "{\"versions\": [\n"
                } else {
                    ",\n"
                };
                terminal::data(&format!("{begin}{}", json!(row)));
            }
            Form::Text => terminal::data(&line(row)),
        }
        self.rows += 1;
    }

    fn end(&self) {
        let totals = &self.totals;
        match self.form {
            Form::Json => {
                let begin = if self.rows == 0 {
                    "{\"versions\": ["
                } else {
                    "\n"
                };
                terminal::data(&format!("{begin}], \"totals\": {}}}\n", json!(totals)));
            }
            Form::Text => {
                let mut text = format!(
                    "{}, {}, {}, {}",
                    count(totals.modules, "module"),
                    count(totals.versions, "version"),
                    count(totals.files, "file"),
                    human_bytes(totals.bytes)
                );
                if totals.untrusted + totals.strangers > 0 {
                    text.push_str(&format!(
                        "; not served: {} without a record, {} that are no module files (`larder cache verify` names them)",
                        totals.untrusted, totals.strangers
                    ));
                }
                text.push('\n');
                terminal::talk(&text);
            }
        }
    }
}

/// `SIZE  FILES  STORED  USED  VERIFIED BY  MODULE@VERSION  (pinned)`: columns first, what may be long last.
fn line(row: &Row) -> String {
    let letters: String = FileKind::ALL
        .iter()
        .map(|kind| match row.files.contains(&kind.extension()) {
            true => kind.extension().chars().next().unwrap_or('?'),
            false => '-',
        })
        .collect();
    let day = |time: &Option<String>| {
        let day = time.as_deref().and_then(|time| time.get(..10));
        day.unwrap_or("-").to_owned()
    };
    let pinned = match row.pinned_by {
        Some("pins") => "  (pinned)".to_owned(),
        Some(otherwise) => format!("  (pinned: {otherwise})"),
        None => String::new(),
    };
    let untrusted = match row.untrusted.as_slice() {
        [] => String::new(),
        kinds => format!("  (not served: {})", kinds.join(", ")),
    };
    format!(
        "{:>9}  {letters}  {:10}  {:10}  {:16}  {}@{}{pinned}{untrusted}\n",
        human_bytes(row.bytes),
        day(&row.stored_at),
        day(&row.used_at),
        row.verified_by.as_deref().unwrap_or("-"),
        row.module,
        row.version,
    )
}

/// Lists what is in quarantine.
pub(super) fn quarantined(config: &Config, form: Form) -> Result<Outcome, Complaint> {
    let store = open_store(config)?;
    let all = store.quarantined().map_err(Complaint::from_error)?;
    match form {
        Form::Json => {
            let rows: Vec<_> = all
                .iter()
                .map(|it| {
                    json!({
                        "module": it.key.module.path().to_string(),
                        "version": it.key.module.version().to_string(),
                        "kind": it.key.kind.extension(),
                        "reason": it.reason,
                        "moved_at": it.moved_at.to_string(),
                        "bytes": it.len_bytes,
                        "path": it.path.display().to_string(),
                    })
                })
                .collect();
            terminal::data(&format!("{:#}\n", json!({"quarantined": rows})));
        }
        Form::Text => {
            for it in &all {
                terminal::data(&format!(
                    "{}  {}: {}\n  {}\n",
                    it.moved_at,
                    super::file_name(&it.key),
                    it.reason,
                    it.path.display()
                ));
            }
            terminal::talk(&format!("{} in quarantine\n", count(all.len(), "file")));
        }
    }
    Ok(Outcome::Fine)
}
