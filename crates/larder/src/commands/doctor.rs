//! `larder doctor [TARGET…]`: can this machine fetch modules? Environment, names, connections, TLS, HTTP,
//! module proxies, checksum database, git; for each fault its cause, the evidence and the cure.
//!
//! Connections are `tlsdoctor`'s, causes and cures `diagnosis`'; what is here knows modules: which proxy a
//! path is asked of, what its answers must look like, and what the go command would print. Nothing is
//! changed on this machine: cures are printed, or written as a script to read first.

mod checksums;
mod direct;
mod environment;
mod examined;
mod files;
mod fix_script;
mod go_words;
mod godebug;
mod machine;
mod module;
mod picture;
mod side_by_side;
mod toolchain;

use super::Outcome;
use crate::command_line::Form;
use crate::settings::complaint::Complaint;
use crate::settings::environment::Environment;
use crate::terminal;
use crate::wiring;
use diagnosis::{Finding, Subject as LogSubject};
pub(crate) use examined::Examined;
use gomod::ModulePath;
use machine::Machine;
use serde_json::json;
use side_by_side::Pending;
use std::net::SocketAddr;
use std::path::PathBuf;
use tlsdoctor::Target;

/// So many services of the go environment are examined at the same time.
const MOST_AT_ONCE: usize = 16;

/// What is to be examined, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Question {
    /// URLs, hosts and modules; none for everything that the go environment would touch.
    pub(crate) targets: Vec<Subject>,
    /// More roots to trust.
    pub(crate) ca_files: Vec<PathBuf>,
    /// Name servers to ask in place of the system's.
    pub(crate) resolvers: Vec<SocketAddr>,
    /// Where the cures go as a script.
    pub(crate) fix_script: Option<PathBuf>,
    /// Whether missing issuers may be fetched from private addresses too.
    pub(crate) private_issuers: bool,
}

/// One target of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// `https://host[:port][/path]`, `host:port`, `host`.
    Host(Target),
    /// `MODULE[@QUERY]`.
    Module { path: ModulePath, query: String },
}

impl Subject {
    /// A text with a scheme or a port, or without a slash, is a host; the rest are modules. A bare `a.b/c` is
    /// a module, as it is to the go command.
    pub(crate) fn parse(text: &str) -> Result<Self, Complaint> {
        let first = text.split(['/', '@']).next().unwrap_or_default();
        let is_module = !text.contains("://")
            && !first.contains(':')
            && first.contains('.')
            && (text.contains('/') || text.contains('@'));
        if !is_module {
            return Target::parse(text).map(Self::Host).map_err(|error| {
                Complaint::from_error(error)
                    .hint("give https://HOST/…, HOST:PORT or MODULE[@VERSION]")
            });
        }
        let (path, query) = text.split_once('@').unwrap_or((text, "latest"));
        let path = ModulePath::parse(path).map_err(Complaint::from_error)?;
        Ok(Self::Module {
            path,
            query: query.to_owned(),
        })
    }
}

/// Examines each target and says what is wrong.
pub(crate) fn doctor(question: &Question, environment: &Environment, form: Form) -> Outcome {
    let examined = match examine(question, environment) {
        Ok(examined) => examined,
        Err(complaint) => {
            terminal::complain(&[complaint]);
            return Outcome::UsedWrongly;
        }
    };
    match form {
        Form::Json => {
            let all = json!({ "targets": to_json(&examined) });
            terminal::data(&format!("{all:#}\n"));
        }
        Form::Text => terminal::data(&to_text(&examined)),
    }
    if let Some(file) = &question.fix_script
        && let Err(complaint) = fix_script::write(file, &examined)
    {
        terminal::complain(&[complaint]);
        return Outcome::UsedWrongly;
    }
    match examined.iter().any(Examined::is_faulty) {
        true => Outcome::FoundFault,
        false => Outcome::Fine,
    }
}

/// Examines what a finding of a log is about; `None` where it names nothing that can be.
pub(crate) fn targets_of(finding: &Finding, environment: &Environment) -> Option<Vec<Examined>> {
    let question = Question {
        targets: vec![subject_of(finding)?],
        ..Question::default()
    };
    examine(&question, environment).ok()
}

/// What failed is the URL or the host; the module is what was wanted of it. Where a code host or a version is the
/// matter, only the module leads there: git's URLs are not asked as go asks.
fn subject_of(finding: &Finding) -> Option<Subject> {
    let LogSubject {
        host,
        url,
        module,
        version,
    } = &finding.subject;
    let query = version.as_deref().unwrap_or("latest");
    let module = module.as_deref().map(|module| format!("{module}@{query}"));
    let host = host.as_deref().map(|host| format!("https://{host}"));
    let concerns_module = ["vcs-", "gitlab-", "goget-", "ver-", "private-"]
        .iter()
        .any(|kind| finding.cause.starts_with(kind));
    let texts = match concerns_module {
        true => [module, host, None],
        false => [url.clone(), host, module],
    };
    texts
        .into_iter()
        .flatten()
        .find_map(|text| Subject::parse(&text).ok())
}

/// The `targets` of `--json`.
pub(crate) fn to_json(examined: &[Examined]) -> serde_json::Value {
    examined.iter().map(Examined::to_json).collect()
}

/// The same for people.
pub(crate) fn to_text(examined: &[Examined]) -> String {
    picture::text(examined)
}

fn examine(question: &Question, environment: &Environment) -> Result<Vec<Examined>, Complaint> {
    let machine = Machine::of(question, environment)?;
    let runtime = wiring::runtime()?;
    let mut examined = runtime.block_on(async {
        let mut examined = Vec::new();
        if question.targets.is_empty() {
            examined.push(environment::examine(&machine).await);
            let services = machine.everything();
            for services in services.chunks(MOST_AT_ONCE) {
                let begun = services.iter().map(|service| -> Pending<'_, Examined> {
                    machine.say_progress(service);
                    Box::pin(module::examine_service(&machine, service))
                });
                examined.extend(side_by_side::all(begun.collect()).await);
            }
        }
        for subject in &question.targets {
            examined.push(match subject {
                Subject::Host(target) => {
                    machine.say_progress(target);
                    module::examine_host(&machine, target).await
                }
                Subject::Module { path, query } => {
                    machine.say_progress(path);
                    module::examine(&machine, path, query).await
                }
            });
        }
        machine.end_progress();
        examined
    });
    // What still waits for a silent peer must not hold the command up.
    runtime.shutdown_background();
    examined.iter_mut().for_each(Examined::hide_secrets);
    Ok(examined)
}

#[cfg(test)]
mod tests;
