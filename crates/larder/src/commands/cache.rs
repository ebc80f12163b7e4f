//! `larder cache …`: what lies in the cache folder, and what may be done to it beside a running server.
//!
//! Each command works from the folder itself; none needs a server, and none disturbs one.

mod gc;
mod import;
mod ls;
mod pin;
mod progress;
mod supply;
mod verify;
mod warm;

use super::{Outcome, settings};
use crate::command_line::Form;
use crate::settings::complaint::Complaint;
use crate::settings::config::{Config, LogLevel};
use crate::settings::environment::Environment;
use crate::settings::resolve::Resolved;
use crate::settings::written::Purpose;
use crate::{logging, terminal};
use gomod::{FileKind, ModuleVersion, PathPatterns, SafeUrl};
use std::path::PathBuf;
use store::FileKey;
use store::disk::DiskStore;
use store::pins::Pin;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// List what is stored.
    Ls { selection: Selection, sort: Sort },
    /// List what is in quarantine.
    LsQuarantined,
    /// Pin, or unpin.
    Pin { pins: Vec<Pin>, change: PinChange },
    /// Show the pins.
    PinList,
    /// Evict what the limits ask for.
    Gc { dry_run: bool },
    /// Read stored files again.
    Verify { selection: Selection, repair: bool },
    /// Fetch what files name.
    Warm {
        inputs: Vec<PathBuf>,
        server: Option<SafeUrl>,
    },
    /// Take over files of another cache.
    Import { folder: PathBuf, dry_run: bool },
}

/// Whether pins come or go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PinChange {
    Add,
    Remove,
}

/// The order of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// By module path and version, as they come.
    Path,
    /// The largest first.
    Size,
    /// Those that were stored or used longest ago first.
    Used,
}

impl Sort {
    /// The words on the command line.
    pub(crate) const NAMES: [&str; 3] = ["path", "size", "used"];

    /// The order that a word names.
    pub(crate) fn of_name(name: &str) -> Self {
        match name {
            "size" => Self::Size,
            "used" => Self::Used,
            _ => Self::Path,
        }
    }
}

/// Which versions a command is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    All,
    Some(Pin),
}

impl Selection {
    /// Reads a pattern or `MODULE@VERSION`.
    pub(crate) fn parse(text: &str) -> Result<Self, Complaint> {
        Pin::parse(text).map(Self::Some).map_err(pin_complaint)
    }

    /// A test for versions; made once, asked often.
    fn test(&self) -> impl Fn(&ModuleVersion) -> bool + use<> {
        let (all, version, patterns) = match self {
            Self::All => (true, None, PathPatterns::default()),
            Self::Some(Pin::Version(module)) => {
                (false, Some(module.clone()), PathPatterns::default())
            }
            Self::Some(Pin::Pattern(pattern)) => (false, None, PathPatterns::parse(pattern)),
        };
        move |module| {
            all || version.as_ref() == Some(module) || patterns.matches(module.path().as_str())
        }
    }
}

/// What is said of a text that is no pattern and no version.
pub(crate) fn pin_complaint(error: gomod::ParseError) -> Complaint {
    Complaint::from_error(error)
        .hint("write a pattern as GOPRIVATE has them, or MODULE@VERSION: example.com/team/*, example.com/a@v1.2.3")
}

/// Does the task.
pub(crate) fn run(
    flags: &[(&'static str, String)],
    environment: &Environment,
    task: &Task,
    form: Form,
) -> Outcome {
    let asks_others = match task {
        Task::Verify { repair, .. } => *repair,
        Task::Warm { server, .. } => server.is_none(),
        // Of the checksum database.
        Task::Import { dry_run, .. } => !dry_run,
        Task::Ls { .. }
        | Task::LsQuarantined
        | Task::Pin { .. }
        | Task::PinList
        | Task::Gc { .. } => false,
    };
    let mut flags = flags.to_vec();
    if !asks_others {
        // Upstreams are not asked, so that they need not be set.
        flags.push(("offline", "true".to_owned()));
    }
    let Resolved { config, warnings } = match settings(&flags, environment, Purpose::Exec) {
        Ok(resolved) => resolved,
        Err(complaints) => {
            terminal::complain(&complaints);
            return Outcome::UsedWrongly;
        }
    };
    if asks_others {
        terminal::warn(&warnings);
    }
    // What is evicted is said by the command itself.
    let log_level = match task {
        Task::Gc { .. } => LogLevel::Warn,
        _ => config.log_level,
    };
    let done = logging::install(config.log_format, log_level).and_then(|_log| match task {
        Task::Ls { selection, sort } => ls::list(&config, selection, *sort, form),
        Task::LsQuarantined => ls::quarantined(&config, form),
        Task::Pin { pins, change } => pin::change(&config, pins, *change, form),
        Task::PinList => pin::list(&config, form),
        Task::Gc { dry_run } => gc::gc(&config, *dry_run, form),
        Task::Verify { selection, repair } => verify::verify(&config, selection, *repair, form),
        Task::Warm { inputs, server } => warm::warm(&config, inputs, server.as_ref(), form),
        Task::Import { folder, dry_run } => import::import(&config, folder, *dry_run, form),
    });
    done.unwrap_or_else(|complaint| {
        terminal::complain(&[complaint]);
        Outcome::FoundFault
    })
}

/// The store, for commands that read and move files. A folder that is not there is not made.
fn open_store(config: &Config) -> Result<DiskStore, Complaint> {
    if !config.cache_dir.is_dir() {
        let folder = config.cache_dir.display();
        return Err(Complaint::new(format!("there is no cache folder `{folder}`"))
            .hint("`--cache-dir DIR` names another one; `larder serve` and `larder cache warm` make it"));
    }
    DiskStore::open(&config.cache_dir).map_err(Complaint::from_error)
}

/// `MODULE@VERSION.zip`, for people.
fn file_name(key: &FileKey) -> String {
    named(&key.module, key.kind)
}

fn named(module: &ModuleVersion, kind: FileKind) -> String {
    format!("{module} ({})", kind.extension())
}

/// A number of bytes as people read it: `1.4 GB`.
#[expect(
    clippy::cast_precision_loss,
    reason = "one digit after the point is shown"
)]
fn human_bytes(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut scaled = bytes as f64;
    let mut unit = "B";
    for larger in ["kB", "MB", "GB", "TB", "PB"] {
        if scaled < 999.95 {
            break;
        }
        scaled /= 1000.0;
        unit = larger;
    }
    format!("{scaled:.1} {unit}")
}

/// `1 file`, `2 files`.
fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}
