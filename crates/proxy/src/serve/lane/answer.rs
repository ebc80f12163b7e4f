//! The head of a hit's answer, as bytes: what `files` says of a whole stored file by the long way.

use std::cell::RefCell;
use std::io::Write as _;

use gomod::FileKind;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use store::Opened;

use crate::observe::Outcome;
use crate::serve::files;

/// What becomes of the connection after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It waits for the next request.
    Stays,
    /// It is closed: the server stops.
    Closes,
}

/// Writes status line and headers of the whole file, in the order of the long way.
pub(super) fn write_head(
    out: &mut Vec<u8>,
    kind: FileKind,
    opened: &Opened,
    outcome: Outcome,
    after: After,
) {
    out.clear();
    let etag = files::etag_bytes(&opened.sha256);
    let parts: [&[u8]; 6] = [
        b"HTTP/1.1 200 OK\r\ncontent-type: ",
        files::content_type(kind).as_bytes(),
        b"\r\ncache-control: ",
        files::IMMUTABLE.as_bytes(),
        b"\r\naccept-ranges: bytes",
        b"\r\ncontent-length: ",
    ];
    parts.iter().for_each(|part| out.extend_from_slice(part));
    let _infallible = write!(out, "{}", opened.len_bytes);
    let parts: [&[u8]; 4] = [
        b"\r\netag: ",
        &etag,
        b"\r\nx-larder-cache: ",
        outcome.name().as_bytes(),
    ];
    parts.iter().for_each(|part| out.extend_from_slice(part));
    if http::HeaderValue::from_str(&opened.source).is_ok() {
        out.extend_from_slice(b"\r\nx-larder-source: ");
        out.extend_from_slice(opened.source.as_bytes());
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
