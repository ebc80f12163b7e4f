//! `larder trace MODULE[@QUERY]`: what `go get` asks, of whom, and how long each part takes; live.
//!
//! Walks as the go command does (`modload.queryProxy`, `modfetch.TryProxies`, `sumdb.go`): the list, the version's `.info`
//! and `.mod`, the checksum database with its proofs, the zip; each GOPROXY entry in turn, with the reason why it did
//! not answer. Every byte is verified as `go` would. Nothing is kept.

mod behind;
mod direct;
mod picture;
mod walk;

use super::Outcome;
use crate::command_line::Form;
use crate::go_env::GoEnv;
use crate::settings::complaint::Complaint;
use crate::settings::environment::Environment;
use crate::timed_http::{TimedClient, TimedOptions};
use crate::way_out;
use crate::{terminal, wiring};
use gomod::{ModulePath, Query};
use source::{TlsRoots, TlsSettings};
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tlsdoctor::trust::TrustSettings;

/// What is to be traced, and how it is shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) module_path: ModulePath,
    pub(crate) query: Query,
    /// A GOPROXY list instead of the environment's.
    pub(crate) proxy: Option<String>,
    /// Certificates trusted besides the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// Show the walk as curl commands.
    pub(crate) curl: bool,
}

/// One request may take so long.
const DEADLINE: Duration = Duration::from_secs(60);

/// Walks and shows.
pub(crate) fn trace(environment: &Environment, question: &Question, form: Form) -> Outcome {
    let go_env = GoEnv::read(environment);
    let client = match client(&go_env, question.ca_file.as_ref()) {
        Ok(client) => Arc::new(client),
        Err(complaint) => return refuse(complaint),
    };
    let plan = match walk::Plan::of(&go_env, question) {
        Ok(plan) => plan,
        Err(complaint) => return refuse(complaint),
    };
    let runtime = match wiring::runtime() {
        Ok(runtime) => runtime,
        Err(complaint) => return refuse(complaint),
    };
    if form == Form::Text && std::io::stderr().is_terminal() {
        terminal::talk(&format!("asking for {}…\n", question.module_path));
    }
    let walked = runtime.block_on(walk::walk(&plan, environment, client));
    // Lookups of names that hang must not keep the process.
    runtime.shutdown_background();
    let shown = match (form, question.curl) {
        (Form::Json, _) => format!("{:#}\n", walked.json()),
        (Form::Text, true) => picture::curl(&walked, &trusting(environment, question)),
        (Form::Text, false) => picture::waterfall(&walked),
    };
    terminal::data(&shown);
    match walked.failure {
        None => Outcome::Fine,
        Some(_) => Outcome::FoundFault,
    }
}

fn trusting(environment: &Environment, question: &Question) -> picture::Trusting {
    let TlsSettings {
        ssl_cert_file,
        ssl_cert_dir,
    } = way_out::tls_settings(environment);
    picture::Trusting {
        roots: picture::Roots::of(&TrustSettings {
            ssl_cert_file,
            ssl_cert_dir,
            extra_files: question.ca_file.iter().cloned().collect(),
            ..TrustSettings::default()
        }),
        netrc: environment.path("NETRC"),
    }
}

fn refuse(complaint: Complaint) -> Outcome {
    terminal::complain(&[complaint]);
    Outcome::UsedWrongly
}

/// A client that goes where go's own would: its HTTP proxies, its certificates, its passwords.
pub(crate) fn client(go_env: &GoEnv, ca_file: Option<&PathBuf>) -> Result<TimedClient, Complaint> {
    let environment = go_env.environment();
    let roots = TlsRoots::load(&way_out::tls_settings(environment));
    let extra: Vec<PathBuf> = ca_file.into_iter().cloned().collect();
    let roots = roots.with_files(&extra).map_err(Complaint::from_error)?;
    let tls = roots.client_config().map_err(Complaint::from_error)?;
    let http_proxies = way_out::http_proxies(environment).map_err(Complaint::from_error)?;
    let netrc = way_out::netrc(environment).map_err(Complaint::from_error)?;
    Ok(TimedClient::new(TimedOptions {
        tls: Arc::new(tls),
        http_proxies,
        netrc,
        deadline: DEADLINE,
    }))
}
