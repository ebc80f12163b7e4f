//! Log lines on their way out, written by a thread of its own.
//!
//! Workers append to a buffer in memory and never wait for the log's reader: one that stalls would
//! stall them all, and with them every request. The buffer is bounded: lines that find it full are
//! dropped and counted, and their number is said as soon as there is room again. The access
//! log has a buffer of its own, so that it can't push these lines out.

use crate::settings::config::LogFormat;
use parking_lot::{Condvar, Mutex};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;
use tracing_subscriber::fmt::MakeWriter;

/// Lines wait here at most; some 8,000 of them.
const BUFFER_BYTES: usize = 1 << 20;

/// How long the end of the process waits for a reader that may never read again.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// Takes lines; never blocks. Clones share one buffer.
#[derive(Clone)]
pub(super) struct Lines {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    /// Lines that were dropped since the last time it was said.
    dropped: u64,
    closing: bool,
    writer_done: bool,
}

impl Lines {
    /// Lines that go to `out`.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn to(out: impl Write + Send + 'static, format: LogFormat) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let writer = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("log".into())
            .spawn(move || writer.write_to(out, format))?;
        Ok(Self { shared })
    }

    /// Writes what is buffered and ends the thread, or gives up at [`CLOSE_DEADLINE`]. What is logged
    /// afterwards is lost.
    pub(super) fn close(&self) {
        let mut state = self.shared.state.lock();
        state.closing = true;
        self.shared.changed.notify_all();
        self.shared
            .changed
            .wait_while_for(&mut state, |state| !state.writer_done, CLOSE_DEADLINE);
    }
}

impl Shared {
    fn write_to(&self, mut out: impl Write, format: LogFormat) {
        let mut batch = Vec::new();
        loop {
            let mut state = self.state.lock();
            while state.lines.is_empty() && !state.closing {
                self.changed.wait(&mut state);
            }
            std::mem::swap(&mut state.lines, &mut batch);
            let dropped = std::mem::take(&mut state.dropped);
            let closing = state.closing;
            drop(state);
            if dropped > 0 {
                batch.extend_from_slice(dropped_line(format, dropped).as_bytes());
            }
            // A closed pipe is no reason to stop serving; the lines are gone either way.
            let _written = out.write_all(&batch).and_then(|()| out.flush());
            batch.clear();
            if closing {
                self.state.lock().writer_done = true;
                self.changed.notify_all();
                return;
            }
        }
    }
}

/// In the shape of the lines around it.
fn dropped_line(format: LogFormat, lines: u64) -> String {
    let now = jiff::Timestamp::now();
    let (target, message) = (
        module_path!(),
        "log lines were dropped: their reader is too slow",
    );
    match format {
        LogFormat::Text => format!("{now:.6}  WARN {target}: {message} lines={lines}\n"),
        LogFormat::Json => {
            let timestamp = format!("{now:.6}");
            let line = serde_json::json!({
                "timestamp": timestamp, "level": "WARN", "message": message, "lines": lines, "target": target,
            });
            format!("{line}\n")
        }
    }
}

impl<'lines> MakeWriter<'lines> for Lines {
    type Writer = &'lines Self;

    fn make_writer(&'lines self) -> Self::Writer {
        self
    }
}

/// Each call is one whole line, as `tracing_subscriber` makes them: it is taken or dropped as a whole.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.shared.state.lock();
        if state.lines.len().saturating_add(line.len()) > BUFFER_BYTES {
            state.dropped = state.dropped.saturating_add(1);
            return Ok(line.len());
        }
        let was_empty = state.lines.is_empty();
        state.lines.extend_from_slice(line);
        drop(state);
        if was_empty {
            self.shared.changed.notify_all();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
