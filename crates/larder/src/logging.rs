//! Log lines, to stderr: readable text or one JSON object a line.

mod lines;

use crate::settings::complaint::Complaint;
use crate::settings::config::{LogFormat, LogLevel};
use lines::Lines;
use std::io::IsTerminal as _;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Our crates, which log at the level that is set; all others log only what is wrong.
const OURS: [&str; 5] = ["larder", "proxy", "source", "store", "gomod"];

/// The process's logger. When it is dropped, what was logged is written; what is logged later is lost.
#[must_use]
pub(crate) struct Log {
    lines: Lines,
}

impl Drop for Log {
    fn drop(&mut self) {
        self.lines.close();
    }
}

/// Installs the process's logger. Called once.
///
/// # Errors
/// When there is one already, or no thread to write with.
pub(crate) fn install(format: LogFormat, level: LogLevel) -> Result<Log, Complaint> {
    let out = Lines::to(std::io::stderr(), format).map_err(Complaint::from_error)?;
    let log = Log { lines: out.clone() };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(out)
        .with_ansi(std::io::stderr().is_terminal());
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_ansi(false)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(targets(level)))
        .try_init()
        .map_err(Complaint::from_error)?;
    Ok(log)
}

fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_targets(OURS.map(|target| (target, level)))
}
