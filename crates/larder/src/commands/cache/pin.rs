//! `larder cache pin`: what eviction leaves alone.

use super::{Outcome, PinChange};
use crate::command_line::Form;
use crate::settings::complaint::Complaint;
use crate::settings::config::Config;
use crate::terminal;
use serde_json::json;
use std::collections::HashSet;
use store::pins::{BadLine, Pin, Pins};

/// Adds or removes pins, and says which of them did something.
pub(super) fn change(
    config: &Config,
    wanted: &[Pin],
    change: PinChange,
    form: Form,
) -> Result<Outcome, Complaint> {
    let pins = Pins::of(&config.cache_dir);
    let changed = match change {
        PinChange::Add => pins.add(wanted),
        PinChange::Remove => pins.remove(wanted),
    };
    let changed = changed.map_err(Complaint::from_error)?;
    let set: HashSet<&Pin> = changed.iter().collect();
    let unchanged: Vec<&Pin> = wanted.iter().filter(|pin| !set.contains(pin)).collect();
    let (verb, otherwise) = match change {
        PinChange::Add => ("pinned", "was pinned already"),
        PinChange::Remove => ("unpinned", "was not pinned"),
    };
    match form {
        Form::Json => {
            let texts = |pins: &[&Pin]| pins.iter().map(ToString::to_string).collect::<Vec<_>>();
            let changed: Vec<&Pin> = changed.iter().collect();
            let report = json!({verb: texts(&changed), "unchanged": texts(&unchanged)});
            terminal::data(&format!("{report:#}\n"));
        }
        Form::Text => {
            for pin in &changed {
                terminal::data(&format!("{verb} {pin}\n"));
            }
            for pin in &unchanged {
                terminal::talk(&format!("{pin} {otherwise}\n"));
            }
        }
    }
    Ok(match (change, unchanged.is_empty()) {
        (PinChange::Remove, false) => Outcome::FoundFault,
        (PinChange::Add | PinChange::Remove, _) => Outcome::Fine,
    })
}

/// Shows the pins as the file has them, and the lines that are none.
pub(super) fn list(config: &Config, form: Form) -> Result<Outcome, Complaint> {
    let pins = Pins::of(&config.cache_dir);
    let set = pins.current().map_err(Complaint::from_error)?;
    let file = pins.path();
    match form {
        Form::Json => {
            let texts: Vec<String> = set.pins().iter().map(ToString::to_string).collect();
            let bad = |it: &BadLine| json!({"line": it.line, "reason": it.reason.to_string()});
            let bad: Vec<_> = set.bad_lines().iter().map(bad).collect();
            let report =
                json!({"file": file.display().to_string(), "pins": texts, "bad_lines": bad});
            terminal::data(&format!("{report:#}\n"));
        }
        Form::Text => {
            for pin in set.pins() {
                terminal::data(&format!("{pin}\n"));
            }
            for bad in set.bad_lines() {
                terminal::talk(&format!("{}: {bad}\n", file.display()));
            }
        }
    }
    Ok(match set.bad_lines() {
        [] => Outcome::Fine,
        _ => Outcome::FoundFault,
    })
}
