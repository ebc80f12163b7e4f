//! The git program as [`crate::Repositories`]: mirrors, the processes that fill and read them, and how
//! their failures are told apart.
//!
//! The only room that starts processes. Transport (`ls-remote`, `fetch`) runs with the user's own set-up, so that
//! SSH, credential helpers, rewriting rules, client certificates and proxies work unchanged; reading
//! (`cat-file`, `archive`, `for-each-ref`, `merge-base`) runs with none of it. Knows nothing of modules and
//! versions, chooses no credential, and proves no absence by itself: [`HostProbe`] does.

mod archive;
mod environment;
mod failure;
mod guarded_proxy;
mod listing;
mod mirror;
mod names;
mod objects;
mod process;
mod program;
mod repository;
mod user_config;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use tokio::time::Instant;
use url::Url;

use self::environment::Setting;
use self::guarded_proxy::{GuardedProxy, Pass};
use self::listing::Listed;
use self::objects::Readers;
use self::process::{Bounds, Children};
use self::repository::GitRepository;
use self::user_config::UserConfig;
use crate::address::Undialled;
use crate::{
    AddressGuard, Credential, Credentials, GitProtocol, NoCredentials, ObjectName, Refresher,
    Repositories, Repository, RepositoryUrl, SourceError, SourceErrorKind, Touched, Trust,
};

pub use process::ProcessKind;
pub use program::GitMissing;

/// Repositories that are remembered with their listings.
const REPOSITORIES: usize = 4096;
/// How often the mirrors' size is looked at.
const SHRINK_EVERY: Duration = Duration::from_secs(60);
/// How often the user's git configuration is read.
const USER_CONFIG_EVERY: Duration = Duration::from_secs(600);

/// How git is used. [`GitOptions::new`] gives the defaults named here.
#[derive(Clone)]
pub struct GitOptions {
    /// Where the mirrors lie: `DIR/state/git`. Made if it is not there.
    pub folder: PathBuf,
    /// The program: a path, or a name that is looked for in the PATH of `environment`. Default `git`.
    pub program: PathBuf,
    /// The environment that transport gets, PATH included. Names that would lead git elsewhere, traces and
    /// larder's own settings are left out.
    pub environment: Vec<(OsString, OsString)>,
    /// How repositories may be reached. `http` and `git` need not be named: whoever opens such an address has
    /// judged it (GOINSECURE). Default https and ssh.
    pub protocols: BTreeSet<GitProtocol>,
    /// Children at once, resting readers of objects included. Default 8, at least 2.
    pub children: usize,
    /// Silence of a child that is borne: no byte of output or progress. Default 30 s.
    pub stall_timeout: Duration,
    /// How long a child waits for its turn, and an operation for a mirror. Default 120 s.
    pub queue_timeout: Duration,
    /// How long one child may take whatever it says. Default 1 h.
    pub longest_process: Duration,
    /// What all mirrors may take on disk; the least recently used are removed. Default 10 GiB.
    pub mirrors_bytes: u64,
    /// What one fetch may bring. Default 4 GiB.
    pub fetch_bytes: u64,
    /// What one archive may have. Default 4 GiB.
    pub archive_bytes: u64,
    /// Files that one tree may have, and as many folders. Default 1,000,000.
    pub files: usize,
    /// What one listing may have, requests for changes included. Default 128 MiB.
    pub listing_bytes: u64,
    /// Heads and tags that a repository may have. Default 500,000.
    pub listing_refs: usize,
    /// Chooses the credential of an address. Default: none has one.
    pub credentials: Arc<dyn Credentials>,
    /// Judges whether a repository is absent. Default: nothing is proven.
    pub probe: Arc<dyn HostProbe>,
    /// Told of processes and moved tags. Default: nobody.
    pub observer: Arc<dyn GitObserver>,
    /// Where addresses that nobody named may lead. Default: to public addresses.
    pub guard: Arc<AddressGuard>,
}

impl GitOptions {
    /// The defaults.
    pub fn new(folder: impl Into<PathBuf>, environment: Vec<(OsString, OsString)>) -> Self {
        Self {
            folder: folder.into(),
            program: "git".into(),
            environment,
            protocols: BTreeSet::from([GitProtocol::Https, GitProtocol::Ssh]),
            children: 8,
            stall_timeout: Duration::from_secs(30),
            queue_timeout: Duration::from_secs(120),
            longest_process: Duration::from_secs(3600),
            mirrors_bytes: 10 << 30,
            fetch_bytes: 4 << 30,
            archive_bytes: 4 << 30,
            files: 1_000_000,
            listing_bytes: 128 << 20,
            listing_refs: 500_000,
            credentials: Arc::new(NoCredentials),
            probe: Arc::new(NoHostProbe),
            observer: Arc::new(NoGitObserver),
            guard: Arc::new(AddressGuard::default()),
        }
    }
}

/// Told of what git does, for metrics. A module path never passes here; an address does, for moved tags.
pub trait GitObserver: Send + Sync {
    /// A child was started.
    fn process_started(&self, _kind: ProcessKind) {}
    /// A child has ended, or was stopped with this kind of failure.
    fn process_finished(
        &self,
        _kind: ProcessKind,
        _outcome: Result<(), SourceErrorKind>,
        _elapsed: Duration,
    ) {
    }
    /// A tag that was handed out points to another commit now. Told once for each such commit.
    fn moved_tag(&self, _url: &RepositoryUrl, _tag: &str, _first: &ObjectName, _now: &ObjectName) {}
}

/// Counts nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoGitObserver;

impl GitObserver for NoGitObserver {}

/// The git program, ready for use.
#[derive(Clone)]
pub struct Git {
    engine: Arc<Engine>,
    repositories: Arc<Cache<(RepositoryUrl, Trust), Arc<GitRepository>>>,
}

/// What all repositories share.
struct Engine {
    options: GitOptions,
    program: PathBuf,
    version: String,
    can_repack: bool,
    children: Arc<Children>,
    readers: Arc<Readers>,
    listed: Arc<Listed>,
    shrunk: Mutex<Option<Instant>>,
    /// The guarded way out, once it was needed.
    guarded_proxy: tokio::sync::OnceCell<GuardedProxy>,
    /// When the user's configuration was read, and what it said.
    user_config: tokio::sync::Mutex<(Instant, Arc<UserConfig>)>,
}

impl Git {
    /// Finds the program and asks for its version.
    ///
    /// # Errors
    /// Without git 2.29 or newer: what was found and what to install.
    pub async fn find(options: GitOptions) -> Result<Self, GitMissing> {
        let program = program::find(&options.program, &options.environment)?;
        // Children work in this folder and are told of mirrors below it.
        let mut options = options;
        options.folder = std::path::absolute(&options.folder)
            .map_err(|error| GitMissing::Folder(error.to_string()))?;
        let folder = options.folder.clone();
        let made = tokio::task::spawn_blocking(move || fs_err::create_dir_all(folder)).await;
        if let Ok(Err(error)) = made {
            return Err(GitMissing::Folder(error.to_string()));
        }
        let children = Arc::new(Children::new(
            options.children,
            options.queue_timeout,
            options.observer.clone(),
        ));
        let version = program::version(&program, &options, &children).await?;
        let user_config = program::user_config(&program, &options, &children).await;
        let readers = Arc::new(Readers::new(children.clone(), options.stall_timeout));
        Ok(Self {
            engine: Arc::new(Engine {
                options,
                can_repack: program::is_at_least(&version, (2, 33)),
                program,
                version,
                children,
                readers,
                listed: Arc::new(listing::room()),
                shrunk: Mutex::new(None),
                guarded_proxy: tokio::sync::OnceCell::new(),
                user_config: tokio::sync::Mutex::new((Instant::now(), Arc::new(user_config))),
            }),
            repositories: Arc::new(Cache::new(REPOSITORIES)),
        })
    }

    /// The program's version: `2.39.5`.
    pub fn version(&self) -> &str {
        &self.engine.version
    }

    /// Where the program is.
    pub fn program(&self) -> &Path {
        &self.engine.program
    }

    /// Lets the next question about a repository's refs go to the remote, because something there has changed.
    pub fn forget_listing(&self, url: &RepositoryUrl) {
        for trust in [Trust::Named, Trust::Chosen, Trust::PrivatelyChosen] {
            if let Some(repository) = self.repositories.get(&(url.clone(), trust)) {
                repository.forget_listing();
            }
        }
    }
}

impl Repositories for Git {
    fn open(&self, url: &RepositoryUrl, trust: Trust) -> Result<Arc<dyn Repository>, SourceError> {
        let protocol = url.protocol();
        let judged_by_caller = matches!(protocol, GitProtocol::Http | GitProtocol::Git);
        if !judged_by_caller && !self.engine.options.protocols.contains(&protocol) {
            return Err(SourceError::new(
                SourceErrorKind::Refused,
                format!(
                    "{url} is reached by `{protocol}`, which is not among the allowed git protocols"
                ),
            ));
        }
        let repository = self
            .repositories
            .get_or_insert_with(&(url.clone(), trust), || {
                let engine = self.engine.clone();
                Ok::<_, SourceError>(Arc::new(GitRepository::new(engine, url.clone(), trust)))
            })?;
        Ok(repository)
    }
}

impl Refresher for Git {
    fn forget(&self, touched: &mut Touched) {
        for ((url, _), repository) in self.repositories.iter() {
            if touched.covers_repository(&url) {
                repository.forget_listing();
            }
        }
    }
}

/// Everything that transport to one address needs.
struct Passage {
    setting: Setting,
    /// Kept until the child has ended.
    pass: Option<Pass>,
    /// What git was given to prove who asks.
    credential: Option<Credential>,
}

impl Engine {
    fn bounds(&self) -> Bounds {
        Bounds {
            stall: self.options.stall_timeout,
            total: self.options.longest_process,
            stdout_bytes: 1 << 20,
        }
    }

    /// Judges where an address leads and says how git is to go there.
    async fn passage(
        &self,
        url: &RepositoryUrl,
        trust: Trust,
        mirror: &Path,
    ) -> Result<Passage, SourceError> {
        let user_config = self.user_config().await;
        let rewritten = user_config.rewritten(url.as_str());
        let mut protocols = BTreeSet::from([url.protocol()]);
        if url.protocol() == GitProtocol::Http {
            // A redirect may lead to the better one, never back.
            protocols.insert(GitProtocol::Https);
        }
        // Where the operator sends git, it may go in any way that the operator wrote.
        protocols.extend(rewritten.as_deref().and_then(user_config::protocol_of));
        let mut setting = environment::transport(
            &self.options.environment,
            mirror,
            &protocols,
            user_config.has_ssh_command,
        );
        // Should git outlive this process, it gives a silent host up by itself.
        let low_speed_seconds = self.options.stall_timeout.as_secs().saturating_add(30);
        setting.config(&[
            "http.lowSpeedLimit=1",
            &format!("http.lowSpeedTime={low_speed_seconds}"),
        ]);
        // The rule is that of where git goes: another host gets nothing that is meant for this one.
        let credential = match rewritten.as_deref().map(user_config::as_url) {
            None => self.granted(&mut setting, url).await?,
            Some(Some(there)) => self.granted(&mut setting, &there).await?,
            Some(None) => None,
        };
        let may_lead_anywhere = trust == Trust::Named
            || rewritten.is_some()
            || (url.protocol() != GitProtocol::File && self.options.guard.allows_host(url.host()));
        let pass = if may_lead_anywhere {
            None
        } else {
            self.guarded(&mut setting, url, &user_config).await?
        };
        Ok(Passage {
            setting,
            pass,
            credential,
        })
    }

    async fn granted(
        &self,
        setting: &mut Setting,
        url: &RepositoryUrl,
    ) -> Result<Option<Credential>, SourceError> {
        let credential = self.options.credentials.for_repository(url).await?;
        if let Some(credential) = &credential {
            environment::grant(setting, credential, &origin(url));
        }
        Ok(credential)
    }

    /// Sees to it that an address that nobody named does not lead into the networks around this machine.
    async fn guarded(
        &self,
        setting: &mut Setting,
        url: &RepositoryUrl,
        user_config: &UserConfig,
    ) -> Result<Option<Pass>, SourceError> {
        let parsed = Url::parse(url.as_str())
            .map_err(|error| failure::forbidden(url, format!("{url} cannot be read: {error}")))?;
        self.options
            .guard
            .check_literal(&parsed)
            .map_err(|refusal| failure::forbidden(url, refusal.to_string()))?;
        match url.protocol() {
            GitProtocol::Https | GitProtocol::Http => {
                if user_config.has_proxy_for(url, &self.options.environment) {
                    // The user's own proxy looks names up and dials.
                    return Ok(None);
                }
                let pass = self.pass().await.map_err(|error| {
                    SourceError::new(
                        SourceErrorKind::Internal,
                        format!("the guarded way out for git cannot be opened: {error}"),
                    )
                })?;
                environment::through_proxy(setting, url.as_str(), pass.url());
                Ok(Some(pass))
            }
            GitProtocol::Ssh => {
                let user_says = user_config.has_ssh_command
                    || environment::has_ssh_command(&self.options.environment);
                if user_says {
                    return Err(failure::forbidden(
                        url,
                        format!(
                            "git calls ssh as the user says, so where {url} leads cannot be guarded"
                        ),
                    ));
                }
                let host = url.host();
                let bare = host.trim_start_matches('[').trim_end_matches(']');
                let port = parsed.port();
                let found = guarded_proxy::allowed_addresses(&self.options.guard, bare, 22).await;
                let unreachable = |why: &str| {
                    SourceError::new(
                        SourceErrorKind::Unreachable,
                        format!("{url} cannot be reached: {why}"),
                    )
                };
                let addresses = found.map_err(|refusal| match refusal {
                    Undialled::Forbidden(refusal) => failure::forbidden(url, refusal.to_string()),
                    Undialled::Lookup(_) => unreachable(&refusal.to_string()),
                })?;
                let address = addresses
                    .first()
                    .ok_or_else(|| unreachable("its host has no address"))?;
                environment::pin_ssh(setting, bare, port, address.ip());
                Ok(None)
            }
            GitProtocol::Git | GitProtocol::File => Err(failure::forbidden(
                url,
                format!("where {url} leads cannot be guarded"),
            )),
        }
    }

    async fn pass(&self) -> std::io::Result<Pass> {
        let proxy = self
            .guarded_proxy
            .get_or_try_init(|| GuardedProxy::open(self.options.guard.clone()))
            .await?;
        proxy.pass()
    }

    /// The user's configuration, read again now and then.
    async fn user_config(&self) -> Arc<UserConfig> {
        let mut known = self.user_config.lock().await;
        if known.0.elapsed() > USER_CONFIG_EVERY {
            let config = program::user_config(&self.program, &self.options, &self.children).await;
            *known = (Instant::now(), Arc::new(config));
        }
        known.1.clone()
    }

    /// Looks behind the next fetches whether the mirrors have grown too large.
    fn shrink_soon(&self) {
        {
            let mut shrunk = self.shrunk.lock();
            if shrunk.is_some_and(|at| at.elapsed() < SHRINK_EVERY) {
                return;
            }
            *shrunk = Some(Instant::now());
        }
        let (folder, limit_bytes) = (self.options.folder.clone(), self.options.mirrors_bytes);
        let readers = self.readers.clone();
        tokio::task::spawn_blocking(move || match mirror::shrink(&folder, limit_bytes) {
            Ok(removed) => {
                for key in removed {
                    tracing::info!(mirror = key, "a mirror was removed for space");
                    readers.close(&key);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the mirrors could not be looked through for space")
            }
        });
    }
}

/// Scheme, host and port of an address, as credentials are scoped.
fn origin(url: &RepositoryUrl) -> String {
    let text = url.as_str();
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}")
}

/// What a host says of a repository that git could not list. Code hosts answer "not found" to those who may
/// not read, so git's own words prove nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostVerdict {
    /// There is no such repository for anyone who may know it; how that was proven, as one phrase.
    Absent(String),
    /// The host did not accept whoever asked; what it said, as one phrase.
    Refused(String),
    /// Neither can be told; why, as one phrase.
    Unproven(String),
}

/// Judges whether a repository that git could not list is absent. Asked only where git's failure leaves
/// that open: never after a failed name lookup, connection, TLS handshake or a stall.
#[async_trait]
pub trait HostProbe: Send + Sync {
    /// The verdict on an address. `trust` is that of [`crate::Repositories::open`]: to those who are not known a
    /// code host says "not found" of what is private, so for an address that the operator named, or that a
    /// private name led to, the word of a host to nobody in particular proves nothing. `credential` is what git
    /// was given, `stderr` what it wrote: its last 16 KiB, without passwords.
    async fn judge(
        &self,
        url: &RepositoryUrl,
        trust: Trust,
        credential: Option<&Credential>,
        stderr: &str,
    ) -> HostVerdict;
}

/// Judges nothing: no absence of a repository is ever proven.
#[derive(Clone, Copy, Debug)]
pub struct NoHostProbe;

#[async_trait]
impl HostProbe for NoHostProbe {
    async fn judge(
        &self,
        _: &RepositoryUrl,
        _: Trust,
        _: Option<&Credential>,
        _: &str,
    ) -> HostVerdict {
        HostVerdict::Unproven("the host was not asked".to_owned())
    }
}
