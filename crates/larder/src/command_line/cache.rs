//! The grammar of `larder cache …`.

use super::{Action, DRY_RUN, FILE, SUBJECT, Stop, flags, form, setting_flags};
use crate::commands::cache::{PinChange, Selection, Sort, Task, pin_complaint};
use crate::settings::complaint::Complaint;
use clap::{Arg, ArgAction, ArgMatches, Command as Grammar};
use gomod::SafeUrl;
use std::path::PathBuf;
use store::pins::Pin;

const PATTERN: &str = "PATTERN";
const QUARANTINED: &str = "quarantined";
const SORT: &str = "sort";
const LIST: &str = "list";
const REMOVE: &str = "remove";
const REPAIR: &str = "repair";
const SERVER: &str = "server";
const FOLDER: &str = "DIR";

/// The flags of these commands alone.
pub(super) const FLAGS: [&str; 6] = [QUARANTINED, SORT, LIST, REMOVE, REPAIR, SERVER];
/// The commands.
pub(super) const COMMANDS: [&str; 7] = ["cache", "ls", "pin", "gc", "verify", "warm", "import"];

/// What was asked for.
pub(super) fn action(matches: &ArgMatches) -> Result<Action, Stop> {
    // The one command below `cache`, which clap requires.
    let (name, matches) = matches.subcommand().unwrap_or(("ls", matches));
    let task = match name {
        "ls" if matches.get_flag(QUARANTINED) => Task::LsQuarantined,
        "ls" => Task::Ls {
            selection: selection(matches)?,
            sort: matches
                .get_one::<String>(SORT)
                .map_or(Sort::Path, |name| Sort::of_name(name)),
        },
        "pin" if matches.get_flag(LIST) => Task::PinList,
        "pin" => Task::Pin {
            pins: matches
                .get_many::<String>(SUBJECT)
                .into_iter()
                .flatten()
                .map(|text| Pin::parse(text).map_err(|error| Stop::Wrong(pin_complaint(error))))
                .collect::<Result<_, _>>()?,
            change: match matches.get_flag(REMOVE) {
                true => PinChange::Remove,
                false => PinChange::Add,
            },
        },
        "gc" => Task::Gc {
            dry_run: matches.get_flag(DRY_RUN),
        },
        "verify" => Task::Verify {
            selection: selection(matches)?,
            repair: matches.get_flag(REPAIR),
        },
        "warm" => Task::Warm {
            inputs: match matches.get_many::<PathBuf>(FILE) {
                Some(paths) => paths.cloned().collect(),
                None => vec!["-".into()],
            },
            server: matches
                .get_one::<String>(SERVER)
                .map(|text| server(text))
                .transpose()?,
        },
        _ => Task::Import {
            folder: matches
                .get_one::<PathBuf>(FOLDER)
                .cloned()
                .unwrap_or_default(),
            dry_run: matches.get_flag(DRY_RUN),
        },
    };
    Ok(Action::Cache {
        flags: flags(matches),
        task,
        form: form(matches),
    })
}

fn selection(matches: &ArgMatches) -> Result<Selection, Stop> {
    match matches.get_one::<String>(PATTERN) {
        Some(text) => Selection::parse(text).map_err(Stop::Wrong),
        None => Ok(Selection::All),
    }
}

fn server(text: &str) -> Result<SafeUrl, Stop> {
    let hint = "name the base URL of the server: http://127.0.0.1:8080";
    match SafeUrl::parse(text) {
        Ok(url) if matches!(url.expose().scheme(), "http" | "https") => Ok(url),
        Ok(url) => Err(Stop::Wrong(
            Complaint::new(format!("`{url}` is no http or https URL")).hint(hint),
        )),
        Err(error) => Err(Stop::Wrong(Complaint::from_error(error).hint(hint))),
    }
}

/// `larder cache` and what is below it.
pub(super) fn grammar(json: &dyn Fn() -> Arg) -> Grammar {
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .action(ArgAction::SetTrue)
            .help(help)
    };
    let pattern =
        || Arg::new(PATTERN).help("Only these: a pattern as GOPRIVATE has them, or MODULE@VERSION");
    Grammar::new("cache")
        .about("Look into the cache folder, check it, fill it, and say what stays")
        .long_about(
            "Look into the cache folder, check it, fill it, and say what stays. Every command works from the folder \
             itself, beside a running server or without one.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(
            Grammar::new("ls")
                .about("List the versions that are stored")
                .long_about(
                    "List the versions that are stored: size, files (i, m and z for .info, .mod and .zip), the day they \
                     came, who vouched for them, and whether they are pinned.\n\n\
                     Exit status: 0 listed, 1 something could not be looked at, 2 used wrongly.",
                )
                .arg(pattern())
                .arg(
                    Arg::new(SORT)
                        .long(SORT)
                        .value_name("ORDER")
                        .value_parser(Sort::NAMES)
                        .help("By path, by size (largest first), or by use (longest ago first) [default: path]"),
                )
                .arg(
                    switch(QUARANTINED, "List the damaged files that were moved aside instead")
                        .conflicts_with_all([PATTERN, SORT]),
                )
                .arg(json())
                .args(setting_flags()),
        )
        .subcommand(
            Grammar::new("pin")
                .about("Say what is never evicted")
                .long_about(
                    "Say what is never evicted: all modules that a pattern matches, or single versions. The pins are the \
                     lines of `DIR/state/pins`, which may be edited by hand, too. Private modules are pinned by themselves.\n\n\
                     Exit status: 0 done, 1 a pin to remove was not there or a line of the file is no pin, 2 used wrongly.",
                )
                .arg(
                    Arg::new(SUBJECT)
                        .value_name("PATTERN|MODULE@VERSION")
                        .num_args(1..)
                        .required_unless_present(LIST)
                        .help("What to pin"),
                )
                .arg(switch(REMOVE, "Remove these pins instead").conflicts_with(LIST))
                .arg(switch(LIST, "Show the pins").conflicts_with(SUBJECT))
                .arg(json())
                .args(setting_flags()),
        )
        .subcommand(
            Grammar::new("gc")
                .about("Evict what the limits ask for, now")
                .long_about(
                    "Evict what was asked for longest ago until the cache folder is below `--cache-limit` and its file system \
                     above `--disk-free`, as a running server does by itself. What is pinned stays: pins, private modules, and \
                     versions that upstream no longer lists. Whoever reads a file reads on.\n\n\
                     Exit status: 0 within the limits, 1 not, because the rest is pinned or cannot be read, 2 used wrongly.",
                )
                .arg(switch(DRY_RUN, "Say what would go; evict nothing"))
                .arg(json())
                .args(setting_flags()),
        )
        .subcommand(
            Grammar::new("verify")
                .about("Read every stored file again and compare it with what was verified")
                .long_about(
                    "Read every stored file again: its SHA-256 must be the one of its record, and the `h1:` of zips and \
                     go.mod files, too. A damaged file is moved to `DIR/state/quarantine` and reads as absent, so that the \
                     next request fetches it anew. Nothing is deleted.\n\n\
                     Exit status: 0 all files are as they were stored, 1 damage found, 2 used wrongly.",
                )
                .arg(pattern())
                .arg(switch(REPAIR, "Fetch damaged files anew at once"))
                .arg(json())
                .args(setting_flags()),
        )
        .subcommand(
            Grammar::new("warm")
                .about("Fetch what go.mod files, go.sum files or lists of modules name")
                .long_about(
                    "Fetch what a build will need before it runs, with all that a request through the server goes through: \
                     one download each, verification, policies.\n\n\
                     go.sum: the three files of each version with a hash of its zip, the go.mod file of each other one, all \
                     held to those hashes. go.mod: what `go mod download` would fetch for it, toolchains left out. Any other \
                     file: a list with MODULE@VERSION on each line. What is stored already is not fetched again.\n\n\
                     Exit status: 0 everything is in the cache, 1 something failed, 2 used wrongly.",
                )
                .arg(
                    Arg::new(FILE)
                        .num_args(0..)
                        .value_parser(clap::value_parser!(PathBuf))
                        .help("go.mod or go.sum files, or lists; `-` or nothing for stdin"),
                )
                .arg(
                    Arg::new(SERVER)
                        .long(SERVER)
                        .value_name("URL")
                        .help("Warm the cache of this server instead of the cache folder"),
                )
                .arg(json())
                .args(setting_flags()),
        )
        .subcommand(
            Grammar::new("import")
                .about("Take over the module files of another cache")
                .long_about(
                    "Take over the module files of a GOMODCACHE (its root, or its `cache/download`), of the disk storage of an \
                     Athens, or of another larder; which of them it is, is seen by itself. Every file is verified as one from \
                     an upstream would be, and those that are stored already are passed over: an import that was broken off \
                     is simply begun again.\n\n\
                     Exit status: 0 everything was imported, 1 a file was refused, 2 used wrongly.",
                )
                .arg(
                    Arg::new(FOLDER)
                        .required(true)
                        .value_parser(clap::value_parser!(PathBuf))
                        .help("The folder"),
                )
                .arg(switch(DRY_RUN, "Say what the folder is and holds; import nothing"))
                .arg(json())
                .args(setting_flags()),
        )
}
