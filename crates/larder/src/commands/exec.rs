//! `larder exec -- CMD…`: one command behind a proxy that lives as long as it does.

use super::{Outcome, settings};
use crate::settings::complaint::Complaint;
use crate::settings::config::Config;
use crate::settings::environment::Environment;
use crate::settings::resolve::Resolved;
use crate::settings::written::Purpose;
use crate::{announce, descriptors, logging, terminal, wiring};
use rustix::process::{Pid, Signal};
use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// How long answers under way may take once the command has ended and nobody waits for them.
const DRAIN_DEADLINE: Duration = Duration::from_secs(2);

/// Runs `command`, its program first, with go's variables set to a proxy of its own.
pub(crate) fn exec(
    flags: &[(&'static str, String)],
    environment: &Environment,
    command: &[OsString],
) -> Outcome {
    let Resolved { config, warnings } = match settings(flags, environment, Purpose::Exec) {
        Ok(resolved) => resolved,
        Err(complaints) => {
            terminal::complain(&complaints);
            return Outcome::UsedWrongly;
        }
    };
    let ran = logging::install(config.log_format, config.log_level).and_then(|_log| {
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        let runtime = wiring::runtime()?;
        let ran = runtime.block_on(run(&config, command));
        // A fill that nobody waits for any more must not keep the caller waiting.
        runtime.shutdown_background();
        ran
    });
    ran.unwrap_or_else(|complaint| {
        terminal::complain(&[complaint]);
        Outcome::FoundFault
    })
}

async fn run(config: &Config, command: &[OsString]) -> Result<Outcome, Complaint> {
    let server = wiring::server(config).await?.server;
    let (listener, address) = wiring::listen(&config.listen)?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(listener, async {
        // An error means that the sender is gone, which is reason enough to stop.
        let _gone = stopped.await;
    }));
    // Before the command runs: a signal that comes as soon as it does must not end us alone.
    let signals = Signals::listen()?;
    let outcome = match start(command, &announce::go_variables(config, address)) {
        Ok(child) => {
            // Only now: the command keeps the limit that it would have had without larder.
            descriptors::raise_limit();
            Ok(Outcome::Status(status(wait(child, signals).await?)))
        }
        Err(outcome) => Ok(outcome),
    };
    drop(stop);
    if tokio::time::timeout(DRAIN_DEADLINE, serving).await.is_err() {
        tracing::debug!("answers under way were cut off");
    }
    outcome
}

/// Starts the command; where that fails, says so and ends as a shell does: 127 for a program that is
/// not there, 126 for one that can't be run.
fn start(command: &[OsString], variables: &[(&'static str, String)]) -> Result<Child, Outcome> {
    let (program, arguments) = command.split_first().ok_or(Outcome::UsedWrongly)?;
    let child = Command::new(program)
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .spawn();
    child.map_err(|error| {
        let text = format!("`{}` can't be run: {error}", program.to_string_lossy());
        terminal::complain(&[Complaint::new(text)]);
        match error.kind() {
            ErrorKind::NotFound => Outcome::Status(127),
            _ => Outcome::Status(126),
        }
    })
}

/// The signals that are meant for the command.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> Result<Self, Complaint> {
        let on = |kind| signal(kind).map_err(Complaint::from_error);
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            hang_up: on(SignalKind::hangup())?,
            quit: on(SignalKind::quit())?,
            interrupt: on(SignalKind::interrupt())?,
        })
    }
}

/// Waits for the command, and hands signals on to it.
async fn wait(mut child: Child, mut signals: Signals) -> Result<ExitStatus, Complaint> {
    // Control-C at a terminal reaches the command by itself; a second one would mean "at once".
    let at_terminal = std::io::stdin().is_terminal();
    loop {
        let (received, is_shared) = tokio::select! {
            status = child.wait() => return status.map_err(Complaint::from_error),
            _ = signals.terminate.recv() => (Signal::TERM, false),
            _ = signals.hang_up.recv() => (Signal::HUP, false),
            _ = signals.quit.recv() => (Signal::QUIT, at_terminal),
            _ = signals.interrupt.recv() => (Signal::INT, at_terminal),
        };
        if !is_shared {
            hand_on(&child, received);
        }
    }
}

fn hand_on(child: &Child, received: Signal) {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let Some(process) = id.and_then(Pid::from_raw) else {
        return;
    };
    if let Err(error) = rustix::process::kill_process(process, received) {
        tracing::warn!(%error, "a signal could not be handed on to the command");
    }
}

/// As a shell reports it: the exit status, or 128 and the signal's number.
fn status(status: ExitStatus) -> u8 {
    let number = match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 1,
    };
    u8::try_from(number).unwrap_or(1)
}
