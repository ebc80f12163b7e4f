//! One page for each cause, in Markdown, made from the catalogue: for `docs/reference/causes`, and for
//! a running server, whose error bodies lead to them.

use std::fmt::Write as _;

use super::{CAUSES, Cause, Cure, GROUPS, all};
use crate::finding::Confidence;

/// Where a page is read, which decides how it links to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file of `docs/reference/causes`.
    Repository,
    /// An answer of a running server, below one path.
    Server,
}

/// Where the page of a cause lies in the repository: what every finding names.
pub fn path(id: &str) -> String {
    format!("docs/reference/causes/{id}.md")
}

/// The index of all causes.
pub fn index(place: Place) -> String {
    let mut page = String::from("# Causes\n");
    page.push_str(match place {
        Place::Repository => {
            "\nMade by `cargo xtask docs` from the catalogue in the program. Each finding of \
             `larder explain` names one of these; the guide is [explain a failure](../../guides/explain-a-failure.md).\n"
        }
        Place::Server => {
            "\nWhy a module cannot be fetched. `larder explain` finds the cause in a log, `larder doctor` in a live connection.\n"
        }
    });
    for (title, group) in GROUPS.iter().zip(CAUSES) {
        let _ = write!(page, "\n## {title}\n\n");
        for cause in *group {
            let _ = writeln!(page, "- {}: {}", place.link(cause.id), cause.title);
        }
    }
    page
}

/// The page of one cause.
pub fn of(cause: &Cause, place: Place) -> String {
    let origin = match place {
        Place::Repository => {
            "Made by `cargo xtask docs` from the catalogue in the program; [all causes](README.md)."
        }
        Place::Server => "[All causes](./).",
    };
    let mut page = format!(
        "# {}\n\nCause `{}`. {origin}\n\n{}\n\n",
        cause.title, cause.id, cause.meaning
    );
    let _ = writeln!(page, "- Who can mend it: {}", cause.whose.name());
    let _ = writeln!(page, "- Proven by: {}", cause.certain_when);
    let from_a_log = match cause.message_proves {
        Confidence::Certain => "the message says it outright",
        Confidence::Likely => "the message makes it likely",
        Confidence::Possible => "the message is that of several causes",
    };
    let _ = writeln!(page, "- In a log: {from_a_log}");
    if let Some(parent) = cause.parent {
        let _ = writeln!(page, "- Kind of: {}", place.link(parent));
    }
    let finer: Vec<String> = all()
        .filter(|other| other.parent == Some(cause.id))
        .map(|other| place.link(other.id))
        .collect();
    if !finer.is_empty() {
        let _ = writeln!(page, "- Finer causes: {}", finer.join(", "));
    }
    if !cause.confused_with.is_empty() {
        let others: Vec<String> = cause
            .confused_with
            .iter()
            .map(|id| place.link(id))
            .collect();
        let _ = writeln!(page, "- Looks like: {}", others.join(", "));
    }
    page.push_str("\n## What helps\n");
    for cure in cause.cures.iter().flat_map(|cures| cures.iter()) {
        push_cure(cure, &mut page);
    }
    if let Some(command) = cause.settle {
        let _ = write!(
            page,
            "\n## What decides\n\nWhere a log leaves it open, this command shows the evidence:\n\n```sh\n{}\n```\n",
            command
                .replace("{host}", "HOST")
                .replace("{module}", "MODULE")
                .replace("{version}", "VERSION")
        );
    }
    page
}

fn push_cure(cure: &Cure, page: &mut String) {
    let place = match cure.os {
        "any" => cure.place.name().to_owned(),
        os => format!("{}, {os}", cure.place.name()),
    };
    let _ = write!(page, "\n**{place}.** {}\n", cure.text);
    if !cure.commands.is_empty() {
        let _ = write!(page, "\n```text\n{}\n```\n", cure.commands.join("\n"));
    }
}

impl Place {
    fn link(self, id: &str) -> String {
        match self {
            Self::Repository => format!("[`{id}`]({id}.md)"),
            Self::Server => format!("[`{id}`]({id})"),
        }
    }
}
