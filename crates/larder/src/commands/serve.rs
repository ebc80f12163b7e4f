//! `larder serve`: run the proxy until it is told to stop.

use super::{Outcome, settings, stop_signal};
use crate::settings::complaint::Complaint;
use crate::settings::config::Config;
use crate::settings::environment::Environment;
use crate::settings::resolve::Resolved;
use crate::settings::written::Purpose;
use crate::{announce, descriptors, logging, terminal, wiring};

/// Serves until SIGTERM or SIGINT, then lets requests under way finish.
pub(crate) fn serve(flags: &[(&'static str, String)], environment: &Environment) -> Outcome {
    let Resolved { config, warnings } = match settings(flags, environment, Purpose::Serve) {
        Ok(resolved) => resolved,
        Err(complaints) => {
            terminal::complain(&complaints);
            return Outcome::UsedWrongly;
        }
    };
    let served = logging::install(config.log_format, config.log_level).and_then(|_log| {
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        wiring::runtime()?.block_on(run(&config))
    });
    match served {
        Ok(()) => Outcome::Fine,
        Err(complaint) => {
            terminal::complain(&[complaint]);
            Outcome::FoundFault
        }
    }
}

async fn run(config: &Config) -> Result<(), Complaint> {
    descriptors::raise_limit();
    // Before the listener, so that a signal that comes as soon as the address is said is obeyed.
    let stop = stop_signal()?;
    let wiring::Built { server, upkeep } = wiring::server(config).await?;
    let (listener, address) = wiring::listen(&config.listen)?;
    terminal::talk(&announce::paste_line(config, address));
    terminal::data(&announce::listening_line(config, address));
    let upkeep = upkeep.start();
    let served = server.serve(listener, stop).await;
    upkeep.stop().await;
    served.map_err(Complaint::from_error)?;
    tracing::info!("stopped");
    Ok(())
}
