//! The walk itself: which questions, to whom, in which order.

use super::Question;
use super::behind::{self, Behind};
use super::direct::{DirectStep, DirectWalk};
use crate::go_env::GoEnv;
use crate::go_env::effective;
use crate::settings::complaint::Complaint;
use crate::settings::environment::Environment;
use crate::timed_http::{Exchange, Reply, TimedClient, shown};
use async_trait::async_trait;
use bytes::Bytes;
use gomod::modfile::{self, ModFile};
use gomod::sumdb::SumdbSetting;
use gomod::zip::{Limits, check_and_hash};
use gomod::{
    FallBack, FileKind, GoModHash, H1, Info, ModulePath, ModuleVersion, PathPatterns, ProxyEntry,
    ProxyList, Query, Request, SafeUrl, Version,
};
use http::Method;
use serde_json::json;
use source::sumdb::{
    ChecksumSource, Checksums, ChosenTransport, Database, MemoryState, SumdbHttp, TransportError,
};
use std::sync::Arc;

/// A zip is held in memory to be verified, so there is a limit; Go's own is 500 MiB.
const ZIP_BYTES: usize = 64 << 20;
const ANSWER_BYTES: usize = 32 << 20;

/// Who is asked for what, decided before anybody is asked.
pub(super) struct Plan {
    module_path: ModulePath,
    query: Query,
    entries: Vec<ProxyEntry>,
    /// Why no proxy is asked.
    bypass: Option<&'static str>,
    database: Result<SumdbSetting, &'static str>,
}

/// What a request was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// `list`, `info`, `mod`, `zip`, `latest`, `checksum database`.
    pub(super) what: &'static str,
    /// The entry of GOPROXY that was asked, without passwords.
    pub(super) asked: String,
}

/// The whole walk.
pub(super) struct Walked {
    pub(super) module_path: ModulePath,
    pub(super) version: Option<Version>,
    pub(super) requests: Vec<(Step, Exchange)>,
    /// What was asked of a repository.
    pub(super) direct: Vec<DirectStep>,
    /// Why entries of the list did not answer, and which one did.
    pub(super) notes: Vec<String>,
    pub(super) verified: Vec<Verdict>,
    /// What Larders among the entries say of their upstreams.
    pub(super) behind: Vec<Behind>,
    pub(super) failure: Option<String>,
}

/// What became of one file.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub(super) file: &'static str,
    pub(super) hash: String,
    /// Who vouched, or why nobody did.
    pub(super) by: Result<String, String>,
}

impl Plan {
    pub(super) fn of(go_env: &GoEnv, question: &Question) -> Result<Self, Complaint> {
        let value = |name: &str| effective::value(go_env, name);
        let path = question.module_path.as_str();
        let matches = |name: &str| PathPatterns::parse(&value(name)).matches(path);
        let list = question.proxy.clone().unwrap_or_else(|| value("GOPROXY"));
        let entries = ProxyList::parse(&list).map_err(|error| {
            Complaint::from_error(error)
                .hint("`larder env` says where GOPROXY is set; `--proxy LIST` replaces it")
        })?;
        let bypass = (question.proxy.is_none() && matches("GONOPROXY"))
            .then_some("GONOPROXY (or GOPRIVATE) matches, so no proxy is asked");
        let exempt = matches("GONOSUMDB") && path != "golang.org/toolchain";
        let database = match SumdbSetting::parse(&value("GOSUMDB")) {
            _ if exempt => Err("GONOSUMDB (or GOPRIVATE) matches"),
            Ok(SumdbSetting::Off) => Err("GOSUMDB=off"),
            Ok(setting) => Ok(setting),
            Err(_) => Err("GOSUMDB is not set to anything that go accepts"),
        };
        Ok(Self {
            module_path: question.module_path.clone(),
            query: question.query.clone(),
            entries: entries.entries().to_vec(),
            bypass,
            database,
        })
    }

    /// Who is asked, in this order.
    pub(super) fn entries(&self) -> &[ProxyEntry] {
        &self.entries
    }
}

/// Why one entry did not bring the module.
pub(super) enum Failed {
    /// 404 or 410: the next one is asked.
    Absent(String),
    /// Anything else: the next one is asked only behind a `|`.
    Broken(String),
}

impl Failed {
    fn text(&self) -> &str {
        match self {
            Self::Absent(text) | Self::Broken(text) => text,
        }
    }
}

/// Walks the list until one entry brings the module, and asks who stands behind it.
pub(super) async fn walk(
    plan: &Plan,
    environment: &Environment,
    client: Arc<TimedClient>,
) -> Walked {
    let mut walked = walk_list(plan, environment, client.clone()).await;
    walked.behind = behind::ask(plan, &client, &walked).await;
    walked
}

async fn walk_list(plan: &Plan, environment: &Environment, client: Arc<TimedClient>) -> Walked {
    let mut walked = Walked {
        module_path: plan.module_path.clone(),
        version: None,
        requests: Vec::new(),
        direct: Vec::new(),
        notes: Vec::new(),
        verified: Vec::new(),
        behind: Vec::new(),
        failure: None,
    };
    if let Some(reason) = plan.bypass {
        walked.notes.push(reason.to_owned());
        if let Err(failed) = direct(plan, environment, &client, &mut walked).await {
            walked.failure = Some(failed.text().to_owned());
        }
        return walked;
    }
    let mut last = String::from("GOPROXY=off: nothing may be downloaded");
    for entry in &plan.entries {
        let proxy = match entry {
            ProxyEntry::Proxy(proxy) => proxy,
            ProxyEntry::Direct => {
                match direct(plan, environment, &client, &mut walked).await {
                    Ok(()) => return walked,
                    Err(failed) => failed.text().clone_into(&mut last),
                }
                break;
            }
            ProxyEntry::Off => {
                walked.notes.push("`off` ends the list".into());
                break;
            }
        };
        let mut visit = Visit {
            plan,
            client: &client,
            base: &proxy.url,
            walked: &mut walked,
        };
        match visit.bring().await {
            Ok(()) => return walked,
            Err(failed) => {
                let next = match (&failed, proxy.fall_back) {
                    (Failed::Absent(_), _) => "so the next entry is asked",
                    (Failed::Broken(_), FallBack::Any) => "and `|` lets the next entry be asked",
                    (Failed::Broken(_), FallBack::Absent) => "and `,` lets nobody else be asked",
                };
                walked
                    .notes
                    .push(format!("{}: {}, {next}", proxy.url, failed.text()));
                last = failed.text().to_owned();
                if matches!(
                    (&failed, proxy.fall_back),
                    (Failed::Broken(_), FallBack::Absent)
                ) {
                    break;
                }
            }
        }
    }
    walked.failure = Some(last);
    walked
}

/// The module straight from its repository.
async fn direct(
    plan: &Plan,
    environment: &Environment,
    client: &Arc<TimedClient>,
    walked: &mut Walked,
) -> Result<(), Failed> {
    let way = DirectWalk::new(environment).await.map_err(Failed::Broken)?;
    let version = way
        .choose(&plan.module_path, &plan.query, &mut walked.direct)
        .await?;
    let module = ModuleVersion::new(plan.module_path.clone(), version.clone())
        .map_err(|error| Failed::Broken(error.to_string()))?;
    walked.version = Some(version);
    let go_mod = way
        .file(&module, FileKind::Mod, ANSWER_BYTES, &mut walked.direct)
        .await?;
    let checksums = checksums(plan, client, "direct", walked, &module).await;
    let zip = way
        .file(&module, FileKind::Zip, ZIP_BYTES, &mut walked.direct)
        .await?;
    judge(plan, walked, &module, &go_mod, &zip, checksums)
}

/// One entry of the list, asked for everything.
struct Visit<'a> {
    plan: &'a Plan,
    client: &'a Arc<TimedClient>,
    base: &'a SafeUrl,
    walked: &'a mut Walked,
}

impl Visit<'_> {
    async fn bring(&mut self) -> Result<(), Failed> {
        let version = self.choose().await?;
        let module = ModuleVersion::new(self.plan.module_path.clone(), version.clone())
            .map_err(|error| Failed::Broken(error.to_string()))?;
        self.walked.version = Some(version);
        let go_mod = self.file(&module, FileKind::Mod).await?;
        let asked = self.base.to_string();
        let checksums = checksums(self.plan, self.client, &asked, self.walked, &module).await;
        let zip = self.file(&module, FileKind::Zip).await?;
        judge(self.plan, self.walked, &module, &go_mod, &zip, checksums)
    }

    /// The version that the query means at this entry.
    async fn choose(&mut self) -> Result<Version, Failed> {
        let path = self.plan.module_path.clone();
        match &self.plan.query {
            Query::Exact(version) => {
                let module = ModuleVersion::new(path, version.clone())
                    .map_err(|error| Failed::Absent(error.to_string()))?;
                let body = self.file(&module, FileKind::Info).await?;
                read_info(&body)
            }
            Query::Revision(revision) => {
                let request = Request::Resolve(path, revision.clone());
                let body = self.ask("info", &request, ANSWER_BYTES).await?;
                read_info(&body)
            }
            query => {
                let body = self
                    .ask("list", &Request::List(path.clone()), ANSWER_BYTES)
                    .await?;
                let text = String::from_utf8_lossy(&body).into_owned();
                let versions: Vec<Version> = text
                    .lines()
                    .filter_map(|line| Version::parse(line.split_whitespace().next()?).ok())
                    .collect();
                match self.select(query, &versions).await? {
                    Some(version) => {
                        let module = ModuleVersion::new(path, version)
                            .map_err(|error| Failed::Broken(error.to_string()))?;
                        let body = self.file(&module, FileKind::Info).await?;
                        read_info(&body)
                    }
                    None if *query == Query::Latest => {
                        let body = self
                            .ask("latest", &Request::Latest(path), ANSWER_BYTES)
                            .await?;
                        read_info(&body)
                    }
                    None => Err(Failed::Absent("no matching versions for query".into())),
                }
            }
        }
    }

    /// Chooses from the list, without what the newest go.mod retracts.
    async fn select(
        &mut self,
        query: &Query,
        versions: &[Version],
    ) -> Result<Option<Version>, Failed> {
        let Some(newest) = Query::Latest.select(versions, |_| true) else {
            return Ok(None);
        };
        let module = ModuleVersion::new(self.plan.module_path.clone(), newest.clone())
            .map_err(|error| Failed::Broken(error.to_string()))?;
        let go_mod = self.file(&module, FileKind::Mod).await?;
        let retracting = ModFile::parse(&go_mod, modfile::Mode::Lax).ok();
        let allowed = |version: &Version| {
            retracting
                .as_ref()
                .is_none_or(|file| file.retracts(version).is_none())
        };
        Ok(query.select(versions, allowed).cloned())
    }

    async fn file(&mut self, module: &ModuleVersion, kind: FileKind) -> Result<Bytes, Failed> {
        let (what, limit) = match kind {
            FileKind::Info => ("info", ANSWER_BYTES),
            FileKind::Mod => ("mod", ANSWER_BYTES),
            FileKind::Zip => ("zip", ZIP_BYTES),
        };
        let request = Request::File(module.clone(), kind);
        self.ask(what, &request, limit).await
    }

    async fn ask(
        &mut self,
        what: &'static str,
        request: &Request,
        limit: usize,
    ) -> Result<Bytes, Failed> {
        let url = self.base.join_path(&request.path());
        if url.is_file() {
            return Err(Failed::Broken(
                "file:// entries have no requests to trace".into(),
            ));
        }
        let exchange = self.client.ask(Method::GET, url.expose(), &[], limit).await;
        note_requests(self.client, self.walked, &self.base.to_string(), what);
        match &exchange.result {
            Ok(reply) if reply.status == 200 => Ok(reply.body.clone()),
            Ok(reply) => {
                let text = format!("{what} answered {}{}", reply.status, first_line(reply));
                Err(match reply.status {
                    404 | 410 => Failed::Absent(text),
                    _ => Failed::Broken(text),
                })
            }
            Err(error) => Err(Failed::Broken(format!("{what}: {error}"))),
        }
    }
}

/// What a database says, under its name.
type Said = Result<(String, Checksums), String>;

/// Compares both files with what the database says, and keeps the verdicts.
fn judge(
    plan: &Plan,
    walked: &mut Walked,
    module: &ModuleVersion,
    go_mod: &[u8],
    zip: &[u8],
    checksums: Said,
) -> Result<(), Failed> {
    let report = check_and_hash(zip, zip.len() as u64, module, &Limits::default())
        .map_err(|error| Failed::Broken(format!("{module}: the zip is no good: {error}")))?;
    let verdict = |file, hash: H1, expected: fn(&Checksums) -> Option<H1>| {
        let by = match &checksums {
            Ok((database, sums)) => match expected(sums) {
                Some(expected) if expected == hash => Ok(database.clone()),
                Some(expected) => Err(format!("SECURITY: {database} says {expected}")),
                None => Err(format!("{database} says nothing of it")),
            },
            Err(reason) => Err(reason.clone()),
        };
        Verdict {
            file,
            hash: hash.to_string(),
            by,
        }
    };
    let verdicts = [
        verdict("mod", GoModHash::of(go_mod).0, |sums| {
            sums.go_mod.map(|hash| hash.0)
        }),
        verdict("zip", report.hash.0, |sums| sums.zip.map(|hash| hash.0)),
    ];
    let refused = verdicts
        .iter()
        .filter_map(|verdict| verdict.by.as_ref().err())
        .find(|reason| reason.starts_with("SECURITY"))
        .cloned();
    walked.verified.extend(verdicts);
    match (refused, checksums) {
        (Some(refused), _) => Err(Failed::Broken(format!("{module}: {refused}"))),
        // Go fails too when the database does: there is no soft failure (rule 71).
        (None, Err(reason)) if plan.database.is_ok() => Err(Failed::Broken(reason)),
        (None, _) => Ok(()),
    }
}

/// What the checksum database says, its proofs checked.
async fn checksums(
    plan: &Plan,
    client: &Arc<TimedClient>,
    asked: &str,
    walked: &mut Walked,
    module: &ModuleVersion,
) -> Said {
    let (verifier, url) = match &plan.database {
        Ok(SumdbSetting::Database { verifier, url }) => (verifier.clone(), url.clone()),
        Ok(SumdbSetting::Off) => return Err("GOSUMDB=off".into()),
        Err(reason) => return Err((*reason).to_owned()),
    };
    let name = verifier.name().to_owned();
    let http = Arc::new(TimedSumdb(client.clone()));
    let transport = ChosenTransport::new(&name, url, &plan.entries, http);
    let state = Arc::new(MemoryState::default());
    let database = Database::new(verifier, Arc::new(transport), state);
    let looked_up = database.lookup(module).await;
    note_requests(client, walked, asked, "checksum database");
    looked_up
        .map(|checksums| (name, checksums))
        .map_err(|error| error.to_string())
}

/// Takes the client's record under a name.
fn note_requests(client: &TimedClient, walked: &mut Walked, asked: &str, what: &'static str) {
    let requests = client.take_record().into_iter().map(|exchange| {
        let asked = asked.to_owned();
        (Step { what, asked }, exchange)
    });
    walked.requests.extend(requests);
}

/// The checksum database over the client that is timed.
struct TimedSumdb(Arc<TimedClient>);

#[async_trait]
impl SumdbHttp for TimedSumdb {
    async fn get(&self, base: &SafeUrl, path: &str) -> Result<Bytes, TransportError> {
        let url = base.join_path(path);
        let exchange = self
            .0
            .ask(
                Method::GET,
                url.expose(),
                &[],
                source::sumdb::MAX_ANSWER_BYTES,
            )
            .await;
        match exchange.result {
            Ok(reply) if reply.status == 200 => Ok(reply.body),
            Ok(reply) if matches!(reply.status, 404 | 410) => Err(TransportError::Absent {
                status: reply.status,
                text: first_line(&reply),
            }),
            Ok(reply) => Err(TransportError::Unavailable {
                text: format!(
                    "{} answered {}{}",
                    shown(&exchange.url),
                    reply.status,
                    first_line(&reply)
                ),
            }),
            Err(error) => Err(TransportError::Unavailable {
                text: format!("{}: {error}", shown(&exchange.url)),
            }),
        }
    }
}

fn read_info(body: &[u8]) -> Result<Version, Failed> {
    Info::parse(body)
        .map(|info| info.version)
        .map_err(|error| Failed::Broken(error.to_string()))
}

/// The first line of a plain text answer, as the go command would print it.
fn first_line(reply: &Reply) -> String {
    let plain = reply
        .header("content-type")
        .is_none_or(|kind| kind.starts_with("text/plain"));
    let text = String::from_utf8_lossy(&reply.body);
    let line: String = text
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .take(300)
        .collect();
    match plain && !line.is_empty() {
        true => format!(": {line}"),
        false => String::new(),
    }
}

impl Walked {
    /// The shape of design §9.
    pub(super) fn json(&self) -> serde_json::Value {
        let requests: Vec<_> = self
            .requests
            .iter()
            .map(|(step, exchange)| {
                let reply = exchange.result.as_ref().ok();
                let header = |name: &str| reply.and_then(|reply| reply.header(name));
                json!({
                    "what": step.what,
                    "entry": step.asked,
                    "method": exchange.method.as_str(),
                    "url": shown(&exchange.url),
                    "status": reply.map(|reply| reply.status),
                    "bytes": reply.map(|reply| reply.body.len()),
                    "error": exchange.result.as_ref().err(),
                    "began_ms": exchange.began_ms,
                    "phases_ms": exchange.phases,
                    "reused": exchange.reused,
                    "http2": reply.map(|reply| reply.http2),
                    "peer": super::picture::peer_json(exchange),
                    "through": exchange.proxy,
                    "cache": header("x-larder-cache"),
                    "source": header("x-larder-source"),
                    "age_seconds": header("age"),
                })
            })
            .collect();
        let verified: Vec<_> = self
            .verified
            .iter()
            .map(|verdict| {
                json!({
                    "file": verdict.file,
                    "hash": verdict.hash,
                    "by": verdict.by.as_ref().ok(),
                    "not_verified": verdict.by.as_ref().err(),
                })
            })
            .collect();
        json!({
            "module": self.module_path.as_str(),
            "version": self.version.as_ref().map(Version::as_str),
            "requests": requests,
            "direct": self.direct,
            "notes": self.notes,
            "verified": verified,
            "behind": self.behind,
            "failure": self.failure,
        })
    }
}
