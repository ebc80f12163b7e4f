//! `larder compare URL…`: GOPROXY services side by side, over a fixed set of modules: how fast, how complete, how
//! fresh, how true to the protocol, and whether what they serve is what the checksum database knows.
//!
//! Polite: one request at a time to each service, and never more than the budget. Private names are only asked where
//! the user names one.

mod service;
mod table;

use super::Outcome;
use super::trace::client;
use crate::command_line::Form;
use crate::go_env::GoEnv;
use crate::go_env::effective;
use crate::settings::complaint::Complaint;
use crate::settings::environment::Environment;
use crate::{terminal, wiring};
use async_trait::async_trait;
use bytes::Bytes;
use gomod::sumdb::SumdbSetting;
use gomod::{ModulePath, ModuleVersion, PathPatterns, SafeUrl, Version};
use http::Method;
use service::{Judged, Service};
use source::sumdb::{
    ChecksumSource, Checksums, ChosenTransport, Database, MAX_ANSWER_BYTES, MemoryState, SumdbHttp,
    TransportError,
};
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;

/// What is compared.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) services: Vec<SafeUrl>,
    /// Asked of every service; empty for the fixed set.
    pub(crate) modules: Vec<ModuleVersion>,
    /// A private module that the services may be asked for.
    pub(crate) private: Option<ModulePath>,
    /// The most requests to one service.
    pub(crate) requests: u32,
    pub(crate) ca_file: Option<PathBuf>,
}

/// Small, old and well-known: upper case, a major suffix, gopkg.in, a vanity host, no go.mod.
const MODULES: [(&str, &str); 6] = [
    ("github.com/BurntSushi/toml", "v1.3.2"),
    ("github.com/russross/blackfriday/v2", "v2.1.0"),
    ("gopkg.in/yaml.v3", "v3.0.1"),
    ("golang.org/x/mod", "v0.14.0"),
    ("github.com/pkg/errors", "v0.9.1"),
    ("rsc.io/quote", "v1.5.2"),
];

/// Measures and shows.
pub(crate) fn compare(environment: &Environment, question: &Question, form: Form) -> Outcome {
    let go_env = GoEnv::read(environment);
    let modules = match question.modules.is_empty() {
        true => fixed_modules(),
        false => question.modules.clone(),
    };
    let services: Result<Vec<Service>, Complaint> = question
        .services
        .iter()
        .map(|url| {
            let client = client(&go_env, question.ca_file.as_ref())?;
            Ok(Service::new(url.clone(), client, question.requests))
        })
        .collect();
    let runtime = services.and_then(|services| Ok((services, wiring::runtime()?)));
    let (services, runtime) = match runtime {
        Ok(ready) => ready,
        Err(complaint) => {
            terminal::complain(&[complaint]);
            return Outcome::UsedWrongly;
        }
    };
    if form == Form::Text && std::io::stderr().is_terminal() {
        let count = services.len();
        terminal::talk(&format!(
            "asking {count} services for {} modules…\n",
            modules.len()
        ));
    }
    let judged = runtime.block_on(async {
        let known = checksums(&go_env, question, &modules).await;
        let tasks: Vec<_> = services
            .into_iter()
            .map(|service| {
                let (modules, known, private) =
                    (modules.clone(), known.clone(), question.private.clone());
                tokio::spawn(async move { service.judge(&modules, &known, private.as_ref()).await })
            })
            .collect();
        let mut judged = Vec::new();
        for task in tasks {
            // A task that dies is our own fault; the others are still worth showing.
            judged.extend(task.await);
        }
        judged
    });
    runtime.shutdown_background();
    let compared = table::Compared::of(judged);
    match form {
        Form::Json => terminal::data(&format!("{:#}\n", compared.json())),
        Form::Text => terminal::data(&compared.text()),
    }
    match compared.services.iter().any(Judged::is_faulty) {
        true => Outcome::FoundFault,
        false => Outcome::Fine,
    }
}

fn fixed_modules() -> Vec<ModuleVersion> {
    MODULES
        .iter()
        .filter_map(|(path, version)| {
            let path = ModulePath::parse(path).ok()?;
            ModuleVersion::new(path, Version::parse(version).ok()?).ok()
        })
        .collect()
}

/// What the checksum database says of each module, or why it says nothing.
pub(super) type Known = BTreeMap<ModuleVersion, Result<Checksums, String>>;

/// Asked directly where it can be: a service is not the witness of its own truth.
async fn checksums(go_env: &GoEnv, question: &Question, modules: &[ModuleVersion]) -> Known {
    let exempt = PathPatterns::parse(&effective::value(go_env, "GONOSUMDB"));
    let setting = SumdbSetting::parse(&effective::value(go_env, "GOSUMDB"));
    let mut known = Known::new();
    let Ok(SumdbSetting::Database { verifier, url }) = setting else {
        let reason = "GOSUMDB names no checksum database";
        let all = modules
            .iter()
            .map(|module| (module.clone(), Err(reason.to_owned())));
        return all.collect();
    };
    let client = match client(go_env, question.ca_file.as_ref()) {
        Ok(client) => client,
        Err(complaint) => {
            let all = modules
                .iter()
                .map(|module| (module.clone(), Err(complaint.text.clone())));
            return all.collect();
        }
    };
    let name = verifier.name().to_owned();
    let transport = ChosenTransport::new(&name, url, &[], Arc::new(Direct(client)));
    let direct = Database::new(
        verifier.clone(),
        Arc::new(transport),
        Arc::new(MemoryState::default()),
    );
    let mut through: Option<Database> = None;
    for module in modules {
        if exempt.matches(module.path().as_str()) {
            known.insert(module.clone(), Err("GONOSUMDB matches".into()));
            continue;
        }
        let database = through.as_ref().unwrap_or(&direct);
        let mut said = database.lookup(module).await;
        if said.is_err() && through.is_none() {
            // Where the database itself is not reached, the services may hand on what it signed.
            let entries: Vec<gomod::ProxyEntry> = question
                .services
                .iter()
                .map(|url| {
                    gomod::ProxyEntry::Proxy(gomod::ProxySpec {
                        url: url.clone(),
                        fall_back: gomod::FallBack::Any,
                    })
                })
                .collect();
            if let Ok(client) = self::client(go_env, question.ca_file.as_ref()) {
                let transport =
                    ChosenTransport::new(&name, None, &entries, Arc::new(Direct(client)));
                let state = Arc::new(MemoryState::default());
                let database = Database::new(verifier.clone(), Arc::new(transport), state);
                said = database.lookup(module).await;
                through = Some(database);
            }
        }
        known.insert(module.clone(), said.map_err(|error| error.to_string()));
    }
    known
}

struct Direct(crate::timed_http::TimedClient);

#[async_trait]
impl SumdbHttp for Direct {
    async fn get(&self, base: &SafeUrl, path: &str) -> Result<Bytes, TransportError> {
        let url = base.join_path(path);
        let exchange = self
            .0
            .ask(Method::GET, url.expose(), &[], MAX_ANSWER_BYTES)
            .await;
        self.0.take_record();
        match exchange.result {
            Ok(reply) if reply.status == 200 => Ok(reply.body),
            Ok(reply) if matches!(reply.status, 404 | 410) => Err(TransportError::Absent {
                status: reply.status,
                text: "unknown".into(),
            }),
            Ok(reply) => Err(TransportError::Unavailable {
                text: format!("{base} answered {}", reply.status),
            }),
            Err(error) => Err(TransportError::Unavailable {
                text: format!("{base}: {error}"),
            }),
        }
    }
}
