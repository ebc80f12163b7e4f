//! What people and scripts read: data to stdout, talk to stderr.
//!
//! Only the commands write here. A reader that went away is no fault of ours: what can't be written
//! is dropped.

use crate::settings::complaint::Complaint;
use std::io::Write as _;

/// Data, for a pipe.
pub(crate) fn data(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}

/// Talk, for a person.
pub(crate) fn talk(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// All complaints, each with its hint.
pub(crate) fn complain(complaints: &[Complaint]) {
    let text: Vec<String> = complaints.iter().map(Complaint::render).collect();
    talk(&text.concat());
}

/// What is odd, before there is a log.
pub(crate) fn warn(warnings: &[String]) {
    let text: Vec<String> = warnings
        .iter()
        .map(|warning| format!("warning: {warning}\n"))
        .collect();
    talk(&text.concat());
}
