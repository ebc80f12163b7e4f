//! The head of an answer, as bytes: what `files` says of a whole file by the long way.

use std::cell::RefCell;
use std::io::Write as _;
use std::sync::atomic::Ordering;

use gomod::{FileKind, Sha256};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use store::Opened;

use crate::observe::Outcome;
use crate::serve::{Room, files};

/// What becomes of the connection after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It waits for the next request.
    Stays,
    /// It is closed: the server stops.
    Closes,
}

impl After {
    pub(super) fn of(room: &Room) -> Self {
        match room.draining.load(Ordering::Relaxed) {
            true => Self::Closes,
            false => Self::Stays,
        }
    }
}

/// What a head says of a whole file.
#[derive(Clone, Copy)]
pub(super) struct Described<'file> {
    pub(super) kind: FileKind,
    pub(super) len_bytes: u64,
    /// Known of one that is complete.
    pub(super) sha256: Option<&'file Sha256>,
    pub(super) outcome: Outcome,
    pub(super) source: &'file str,
}

impl<'file> Described<'file> {
    /// A complete file.
    pub(super) fn of(kind: FileKind, opened: &'file Opened, outcome: Outcome) -> Self {
        Self {
            kind,
            len_bytes: opened.len_bytes,
            sha256: Some(&opened.sha256),
            outcome,
            source: &opened.source,
        }
    }
}

/// Writes status line and headers of the whole file, in the order of the long way.
pub(super) fn write_head(out: &mut Vec<u8>, file: Described<'_>, after: After) {
    out.clear();
    let parts: [&[u8]; 6] = [
        b"HTTP/1.1 200 OK\r\ncontent-type: ",
        files::content_type(file.kind).as_bytes(),
        b"\r\ncache-control: ",
        files::IMMUTABLE.as_bytes(),
        b"\r\naccept-ranges: bytes",
        b"\r\ncontent-length: ",
    ];
    parts.iter().for_each(|part| out.extend_from_slice(part));
    let _infallible = write!(out, "{}", file.len_bytes);
    if let Some(sha256) = file.sha256 {
        out.extend_from_slice(b"\r\netag: ");
        out.extend_from_slice(&files::etag_bytes(sha256));
    }
    out.extend_from_slice(b"\r\nx-larder-cache: ");
    out.extend_from_slice(file.outcome.name().as_bytes());
    if http::HeaderValue::from_str(file.source).is_ok() {
        out.extend_from_slice(b"\r\nx-larder-source: ");
        out.extend_from_slice(file.source.as_bytes());
    }
    if after == After::Closes {
        out.extend_from_slice(b"\r\nconnection: close");
    }
    out.extend_from_slice(b"\r\ndate: ");
    append_date(out);
    out.extend_from_slice(b"\r\n\r\n");
}

/// The second that was written last, and its text.
struct Date {
    second: i64,
    text: String,
}

thread_local! {
    static DATE: RefCell<Date> = const { RefCell::new(Date { second: i64::MIN, text: String::new() }) };
}

/// The time as RFC 9110, section 5.6.7 writes it; formatted once a second.
fn append_date(out: &mut Vec<u8>) {
    let now = Timestamp::now();
    DATE.with_borrow_mut(|date| {
        if date.second != now.as_second() {
            date.text.clear();
            let printed = DateTimePrinter::new().print_timestamp_rfc9110(&now, &mut date.text);
            // Years beyond 9999 have no such text.
            if printed.is_err() {
                date.text.clear();
            }
            date.second = now.as_second();
        }
        out.extend_from_slice(date.text.as_bytes());
    });
}
