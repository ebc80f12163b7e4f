//! `--fix-script FILE`: the cures of this machine's side as a script, to read before it is run.

use super::examined::Examined;
use crate::commands::explain;
use crate::settings::complaint::Complaint;
use diagnosis::cause::{Cure, Whose};
use std::fmt::Write as _;
use std::path::Path;

/// Writes the script, whole or not at all; a file that is there already is not touched.
pub(super) fn write(file: &Path, examined: &[Examined]) -> Result<(), Complaint> {
    use std::io::Write as _;
    let mut created = fs_err::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
        .map_err(|error| {
            Complaint::from_error(error).hint("name a file that does not exist yet")
        })?;
    created
        .write_all(script(examined).as_bytes())
        .map_err(Complaint::from_error)
}

/// Every command stands in a comment: which of them to run is for who reads it to say.
fn script(examined: &[Examined]) -> String {
    let mut text = String::from(
        "#!/bin/sh\n# Written by `larder doctor`. Nothing here runs as it stands: read it, and take the `#` away from\n\
         # the lines that you want. Names in capitals, and company-ca.crt, are for you to fill in.\nset -eu\n",
    );
    for target in examined {
        for found in &target.findings {
            let title = found.entry().map_or(found.cause, |entry| entry.title);
            let _ = writeln!(
                text,
                "\n# {}: {} ({})",
                in_one_line(&target.target),
                title,
                found.cause
            );
            for cure in explain::nearest_first(&found.cures) {
                push_cure(cure, found.subject.host.as_deref(), &mut text);
            }
        }
    }
    text
}

fn push_cure(cure: &Cure, host: Option<&str>, text: &mut String) {
    let place = match cure.os {
        "any" => cure.place.name().to_owned(),
        os => format!("{}, {os}", cure.place.name()),
    };
    let _ = writeln!(text, "# [{place}] {}", cure.text);
    // The lines of a server belong into its own files.
    let margin = if cure.place == Whose::Client {
        "# "
    } else {
        "#     "
    };
    for command in cure.commands {
        let command = match host {
            Some(host) => command.replace("HOST", &in_one_line(host)),
            None => (*command).to_owned(),
        };
        let _ = writeln!(text, "{margin}{command}");
    }
}

/// What a name could smuggle in behind a line's end.
fn in_one_line(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}
