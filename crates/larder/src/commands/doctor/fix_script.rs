//! `--fix-script FILE`: the cures as a script, to read before it is run. As it stands it changes nothing that is
//! there: all it does is to write the chain file that a server should have, where one was found.

use super::examined::Examined;
use crate::commands::explain;
use crate::settings::complaint::Complaint;
use diagnosis::cause::{Cure, Whose};
use std::fmt::Write as _;
use std::path::Path;
use tlsdoctor::Target;

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

/// Every cure stands in a comment: which of them to run is for who reads it to say.
fn script(examined: &[Examined]) -> String {
    let mut text = String::from(
        "#!/bin/sh\n# Written by `larder doctor`. No cure here runs as it stands: read it, and take the `#` away from\n\
         # the lines that you want. Names in capitals, and company-ca.crt, are for you to fill in.\n\
         # Files that are there already are not written over.\nset -euC\n",
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
        for report in &target.reports {
            if let Some(repair) = &report.repair {
                push_chain_file(&report.target, &repair.chain_file, &mut text);
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
        let command = explain::filled(command, host);
        let _ = writeln!(text, "{margin}{command}");
    }
}

/// The finished chain, for the server's operator.
fn push_chain_file(target: &Target, chain: &str, text: &mut String) {
    let name: String = target
        .short_authority()
        .chars()
        .map(
            |letter| match letter.is_ascii_alphanumeric() || letter == '.' {
                true => letter,
                false => '-',
            },
        )
        .collect();
    let file = format!("fullchain-{name}.pem");
    let _ = write!(
        text,
        "\n# The finished chain file, leaf first: what {} should send.\ncat > {file} <<'END_OF_CHAIN'\n{}\nEND_OF_CHAIN\n\
         openssl crl2pkcs7 -nocrl -certfile {file} | openssl pkcs7 -print_certs -noout || true\n",
        in_one_line(&target.short_authority()),
        chain.trim_end(),
    );
}

/// What a name could smuggle in behind a line's end.
fn in_one_line(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}
