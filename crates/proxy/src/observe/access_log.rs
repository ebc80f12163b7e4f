//! The access log: one line a request, written in batches by a thread of its own.
//!
//! A request appends its line to a buffer in memory; a write system call each would cost more than
//! serving a small file. The buffer is bounded: when the log's reader is slower than the server,
//! lines are dropped and counted, requests never wait.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::Exchange;

/// Lines wait here at most; about 20,000 of them.
const BUFFER_BYTES: usize = 4 << 20;
/// How long lines are gathered before they are written.
const GATHER: Duration = Duration::from_millis(50);

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `key=value` pairs.
    Text,
    /// One JSON object a line.
    Json,
}

/// The access log.
pub struct AccessLog {
    shared: Option<Arc<Shared>>,
}

struct Shared {
    format: LogFormat,
    state: Mutex<State>,
    changed: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct State {
    lines: String,
    closing: bool,
    writer_done: bool,
}

impl AccessLog {
    /// No log.
    pub fn off() -> Self {
        Self { shared: None }
    }

    /// A log that goes to `out`.
    pub fn to(mut out: Box<dyn Write + Send>, format: LogFormat) -> Self {
        let shared = Arc::new(Shared {
            format,
            state: Mutex::default(),
            changed: Condvar::new(),
            dropped: AtomicU64::new(0),
        });
        let writer = shared.clone();
        let thread = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || {
                let mut batch = String::new();
                loop {
                    let mut state = writer.state.lock();
                    while state.lines.is_empty() && !state.closing {
                        writer.changed.wait(&mut state);
                    }
                    if !state.closing {
                        // The first line wakes the writer; those of the next moments go with it.
                        writer
                            .changed
                            .wait_while_for(&mut state, |state| !state.closing, GATHER);
                    }
                    let closing = state.closing;
                    std::mem::swap(&mut state.lines, &mut batch);
                    drop(state);
                    // A closed pipe is no reason to stop serving; the lines are gone either way.
                    let _written = out.write_all(batch.as_bytes()).and_then(|()| out.flush());
                    batch.clear();
                    if closing {
                        writer.state.lock().writer_done = true;
                        writer.changed.notify_all();
                        return;
                    }
                }
            });
        if let Err(error) = thread {
            tracing::error!(%error, "the access log's thread did not start: no access log");
            return Self::off();
        }
        Self {
            shared: Some(shared),
        }
    }

    /// True if lines are written anywhere.
    pub fn is_on(&self) -> bool {
        self.shared.is_some()
    }

    /// Lines that were dropped because the log's reader was too slow.
    pub fn dropped(&self) -> u64 {
        self.shared
            .as_ref()
            .map_or(0, |shared| shared.dropped.load(Ordering::Relaxed))
    }

    /// Writes what is buffered and ends the thread.
    pub fn close(&self) {
        let Some(shared) = &self.shared else { return };
        let mut state = shared.state.lock();
        state.closing = true;
        shared.changed.notify_all();
        shared.changed.wait_while_for(
            &mut state,
            |state| !state.writer_done,
            Duration::from_secs(2),
        );
    }

    pub(super) fn write(&self, exchange: &Exchange, elapsed: Duration) {
        let Some(shared) = &self.shared else { return };
        // Formatted before the lock is taken: other threads wait for a copy of some bytes at most.
        let was_empty = LINE.with_borrow_mut(|line| {
            line.text.clear();
            let now = jiff::Timestamp::now();
            match shared.format {
                LogFormat::Text => {
                    line.append_time(now);
                    text_line(&mut line.text, exchange, elapsed);
                }
                LogFormat::Json => json_line(&mut line.text, exchange, elapsed, now),
            }
            shared.append(&line.text)
        });
        if was_empty {
            shared.changed.notify_all();
        }
    }
}

impl Shared {
    /// True if nothing waited before, so that the writer is to be woken.
    fn append(&self, line: &str) -> bool {
        let mut state = self.state.lock();
        if state.lines.len() >= BUFFER_BYTES {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        let was_empty = state.lines.is_empty();
        state.lines.push_str(line);
        was_empty
    }
}

/// A line that is being formatted, and the second of the one before with its text.
struct Line {
    text: String,
    second: i64,
    second_text: String,
}

thread_local! {
    static LINE: RefCell<Line> = const {
        RefCell::new(Line { text: String::new(), second: i64::MIN, second_text: String::new() })
    };
}

impl Line {
    /// The time to the millisecond; its date is formatted once a second.
    fn append_time(&mut self, now: jiff::Timestamp) {
        if self.second != now.as_second() {
            self.second = now.as_second();
            self.second_text.clear();
            let _infallible = write!(self.second_text, "{now:.0}");
        }
        let seconds = self.second_text.trim_end_matches('Z');
        self.text.push_str(seconds);
        self.text.push('.');
        push_thousandths(&mut self.text, now.subsec_millisecond().unsigned_abs());
        self.text.push('Z');
    }
}

fn text_line(line: &mut String, exchange: &Exchange, elapsed: Duration) {
    line.push_str(" access ");
    line.push_str(exchange.method.as_str());
    line.push(' ');
    push_plain(line, &exchange.target);
    line.push(' ');
    line.push_str(protocol(exchange.protocol));
    line.push(' ');
    push_number(line, exchange.status);
    line.push_str(" bytes=");
    push_number(line, exchange.sent_bytes);
    line.push_str(" cache=");
    line.push_str(exchange.outcome.name());
    line.push_str(" kind=");
    line.push_str(exchange.kind.name());
    line.push_str(" ms=");
    push_number(line, elapsed.as_millis());
    line.push('.');
    push_thousandths(line, elapsed.subsec_micros() % 1000);
    if let Some(peer) = exchange.peer {
        line.push_str(" peer=");
        push_address(line, peer);
    }
    if let Some(source) = &exchange.source {
        line.push_str(" source=");
        push_plain(line, source);
    }
    if let Some(error) = &exchange.error {
        let _infallible = write!(line, " error={error:?}");
    }
    line.push('\n');
}

fn push_number(line: &mut String, number: impl itoa::Integer) {
    line.push_str(itoa::Buffer::new().format(number));
}

/// Three digits, of a number below 1000.
fn push_thousandths(line: &mut String, number: u32) {
    line.push_str(match number {
        0..10 => "00",
        10..100 => "0",
        _ => "",
    });
    push_number(line, number);
}

fn push_address(line: &mut String, address: SocketAddr) {
    let SocketAddr::V4(address) = address else {
        let _infallible = write!(line, "{address}");
        return;
    };
    for (place, octet) in address.ip().octets().into_iter().enumerate() {
        if place > 0 {
            line.push('.');
        }
        push_number(line, octet);
    }
    line.push(':');
    push_number(line, address.port());
}

fn json_line(line: &mut String, exchange: &Exchange, elapsed: Duration, now: jiff::Timestamp) {
    let mut value = serde_json::json!({
        "time": format!("{now:.3}"),
        "event": "access",
        "method": exchange.method.as_str(),
        "path": exchange.target,
        "protocol": protocol(exchange.protocol),
        "status": exchange.status,
        "bytes": exchange.sent_bytes,
        "cache": exchange.outcome.name(),
        "kind": exchange.kind.name(),
        "elapsed_ms": (elapsed.as_secs_f64() * 1e6).round() / 1e3,
    });
    if let Some(object) = value.as_object_mut() {
        if let Some(peer) = exchange.peer {
            object.insert("peer".into(), peer.to_string().into());
        }
        if let Some(source) = &exchange.source {
            object.insert("source".into(), source.as_ref().into());
        }
        if let Some(error) = &exchange.error {
            object.insert("error".into(), error.as_str().into());
        }
    }
    let _infallible = writeln!(line, "{value}");
}

/// Text from outside, with what could forge a log line made visible.
fn push_plain(line: &mut String, text: &str) {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return line.push_str(text);
    }
    for c in text.chars() {
        if c.is_control() || c.is_whitespace() {
            line.extend(c.escape_unicode());
        } else {
            line.push(c);
        }
    }
}

fn protocol(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_10 => "HTTP/1.0",
        http::Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn a_client_can_forge_no_line_and_addresses_are_as_everywhere() {
        let mut line = String::new();
        push_plain(&mut line, "/a\nb c/é");
        assert_eq!(line, "/a\\u{a}b\\u{20}c/é");
        for address in ["10.0.255.1:80", "[2001:db8::1]:65535", "127.0.0.1:0"] {
            let mut line = String::new();
            push_address(&mut line, address.parse().expect("an address"));
            assert_eq!(line, address);
        }
        for (number, text) in [(0, "000"), (7, "007"), (42, "042"), (999, "999")] {
            let mut line = String::new();
            push_thousandths(&mut line, number);
            assert_eq!(line, text);
        }
    }

    #[test]
    fn a_line_has_the_time_of_the_clock_to_the_millisecond() {
        let mut line = Line {
            text: String::new(),
            second: i64::MIN,
            second_text: String::new(),
        };
        for (seconds, nanoseconds) in [(0, 0), (0, 999_999_999), (1_700_000_059, 1_000_000)] {
            let now = Timestamp::new(seconds, nanoseconds).expect("in range");
            line.text.clear();
            line.append_time(now);
            assert_eq!(line.text, format!("{now:.3}"));
        }
    }
}
