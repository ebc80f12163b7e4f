//! What is true of this machine for every target: the go environment, the roots, the proxies, the clock;
//! and the one way to examine a connection with them.

use super::Question;
use super::environment;
use super::examined::finding;
use super::godebug::Godebug;
use crate::go_env::{GoEnv, effective};
use crate::settings::complaint::Complaint;
use crate::settings::environment::Environment;
use crate::terminal;
use crate::way_out;
use diagnosis::{Confidence, Subject};
use gomod::sumdb::SumdbSetting;
use gomod::{ModulePath, PathPatterns, ProxyEntry, SafeUrl};
use parking_lot::Mutex;
use source::{HttpProxies, Netrc, TlsSettings};
use std::io::IsTerminal as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tlsdoctor::trust::{TrustContent, TrustSettings, TrustStore};
use tlsdoctor::{
    ClientVerdict, Clients, Expects, FetchIssuers, ForwardProxy, KeptConnection, Options, Reach,
    Report, Resolvers, Stage, StageName, StageStatus, Target, Verdict,
};
use url::Url;

/// This machine.
pub(super) struct Machine {
    pub(super) go_env: GoEnv,
    /// What go trusts.
    trust: Arc<TrustStore>,
    /// What git trusts, where it was told something else.
    git_trust: Option<Arc<TrustStore>>,
    proxies: HttpProxies,
    resolvers: Resolvers,
    netrc: Netrc,
    private_issuers: bool,
    ca_files: Vec<PathBuf>,
    godebug: Godebug,
    /// Connections that were found sound, for what else is asked of their hosts.
    kept: Mutex<Vec<KeptConnection>>,
    shows_progress: bool,
    /// The folder in which the command runs.
    pub(super) folder: PathBuf,
}

impl Machine {
    /// Reads the environment, the roots and the passwords. Nothing is dialled.
    pub(super) fn of(question: &Question, environment: &Environment) -> Result<Self, Complaint> {
        let go_env = GoEnv::read(environment);
        let TlsSettings {
            ssl_cert_file,
            ssl_cert_dir,
        } = way_out::tls_settings(environment);
        let settings = TrustSettings {
            ssl_cert_file,
            ssl_cert_dir,
            extra_files: question.ca_files.clone(),
            ..TrustSettings::default()
        };
        let trust = TrustStore::load(&settings);
        for file in &question.ca_files {
            let read = trust.sources.iter().find(|source| source.path == *file);
            if let Some(source) = read
                && !matches!(source.content, TrustContent::Certificates(1..))
            {
                let what = source.content.describe();
                return Err(Complaint::new(format!("`{}` {what}", file.display()))
                    .hint("`--ca` takes a file of certificates in PEM form"));
            }
        }
        // Values that name no proxy are told of where a target would go through it.
        let proxies = way_out::http_proxies(environment).unwrap_or_default();
        let netrc = way_out::netrc(environment).unwrap_or_default();
        let git_trust = environment.path("GIT_SSL_CAINFO").map(|file| {
            Arc::new(TrustStore::load(&TrustSettings {
                system: tlsdoctor::trust::System::Other,
                ssl_cert_file: Some(file),
                ssl_cert_dir: None,
                extra_files: question.ca_files.clone(),
            }))
        });
        Ok(Self {
            trust: Arc::new(trust),
            git_trust,
            proxies,
            resolvers: match question.resolvers.is_empty() {
                true => Resolvers::System,
                false => Resolvers::Servers(question.resolvers.clone()),
            },
            netrc,
            private_issuers: question.private_issuers,
            ca_files: question.ca_files.clone(),
            godebug: Godebug::parse(&environment.text("GODEBUG").unwrap_or_default()),
            kept: Mutex::default(),
            shows_progress: std::io::stderr().is_terminal(),
            folder: std::env::current_dir().unwrap_or_default(),
            go_env,
        })
    }

    /// The value of a variable, as go would use it; empty where it has none.
    pub(super) fn value(&self, name: &str) -> String {
        effective::value(&self.go_env, name)
    }

    /// Whether the patterns of this variable match the path.
    pub(super) fn matches(&self, variable: &str, module_path: &str) -> bool {
        PathPatterns::parse(&self.value(variable)).matches(module_path)
    }

    /// The entries of GOPROXY; `None` where go would refuse it.
    pub(super) fn goproxy(&self) -> Option<Vec<ProxyEntry>> {
        effective::proxies(&self.go_env)
    }

    /// Whether names are asked of servers that the user named.
    pub(super) fn has_own_resolvers(&self) -> bool {
        self.resolvers != Resolvers::System
    }

    /// Whether an HTTP proxy stands between this machine and the URL.
    pub(super) fn goes_through_proxy(&self, url: &Url) -> bool {
        self.proxies.for_url(url).is_some()
    }

    /// The HTTP proxies, for another client.
    pub(super) fn http_proxies(&self) -> &HttpProxies {
        &self.proxies
    }

    /// The files of roots that were added.
    pub(super) fn ca_files(&self) -> &[PathBuf] {
        &self.ca_files
    }

    /// Whether this URL stands in GOPROXY.
    pub(super) fn is_module_proxy(&self, target: &Target) -> bool {
        let entries = self.goproxy().unwrap_or_default();
        entries.iter().any(|entry| match entry {
            ProxyEntry::Proxy(proxy) => Target::of(proxy.url.expose()).is_some_and(|proxy| {
                proxy.authority() == target.authority() && proxy.scheme == target.scheme
            }),
            ProxyEntry::Direct | ProxyEntry::Off => false,
        })
    }

    /// Everything that the go environment would touch: each proxy of GOPROXY, the checksum database, and the
    /// code hosts of private modules.
    pub(super) fn everything(&self) -> Vec<Service> {
        let entries = self.goproxy().unwrap_or_default();
        let mut services: Vec<Service> = entries
            .iter()
            .filter_map(|entry| match entry {
                ProxyEntry::Proxy(proxy) if !proxy.url.is_file() => {
                    Some(Service::ModuleProxy(proxy.url.clone()))
                }
                ProxyEntry::Proxy(_) | ProxyEntry::Direct | ProxyEntry::Off => None,
            })
            .collect();
        if let Some(url) = self.checksum_database_url() {
            services.push(Service::ChecksumDatabase(url));
        }
        services.extend(self.code_hosts());
        services
    }

    /// Where go fetches what it asks no proxy for: the hosts of this folder's requirements that GONOPROXY
    /// matches, and those that its patterns name themselves.
    fn code_hosts(&self) -> Vec<Service> {
        let go_mod = environment::go_mod(self);
        let required = go_mod.iter().flat_map(|go_mod| &go_mod.require);
        let required = required
            .filter(|required| self.matches("GONOPROXY", required.path.as_str()))
            .filter_map(|required| {
                let path = ModulePath::parse(required.path.as_str()).ok()?;
                Some((path, required.version.as_str().to_owned()))
            });
        let patterns = self.value("GONOPROXY");
        let named = patterns
            .split(',')
            .filter_map(|pattern| literal_host(pattern.trim()));
        let mut found: Vec<CodeHost> = Vec::new();
        let modules = required.map(|(path, version)| CodeHost {
            host: host_of(path.as_str()).to_owned(),
            module: Some((path, version)),
        });
        let bare = named.map(|host| CodeHost {
            host: host.to_owned(),
            module: None,
        });
        for code_host in modules.chain(bare) {
            if !found.iter().any(|known| known.host == code_host.host) {
                found.push(code_host);
            }
        }
        found.truncate(MOST_CODE_HOSTS);
        found.into_iter().map(Service::CodeHost).collect()
    }

    /// Where the checksum database is reached without a proxy.
    fn checksum_database_url(&self) -> Option<SafeUrl> {
        match SumdbSetting::parse(&self.value("GOSUMDB")).ok()? {
            SumdbSetting::Off => None,
            SumdbSetting::Database { url: Some(url), .. } => Some(url),
            SumdbSetting::Database {
                verifier,
                url: None,
            } => SafeUrl::parse(&format!("https://{}", verifier.name())).ok(),
        }
    }

    /// Examines the connection to a URL, and what is answered there.
    pub(super) async fn diagnose(&self, url: &Url, expects: Expects) -> Report {
        let mut url = url.clone();
        let credentials = self.netrc.credentials(&url);
        if url.username().is_empty()
            && url.password().is_none()
            && let Some((login, password)) = credentials
        {
            let (login, password) = (login.to_owned(), password.to_owned());
            // Only URLs without a host refuse a user, and those have no netrc entry either.
            let _ = url.set_username(&login);
            let _ = url.set_password(Some(&password));
        }
        match Target::of(&url) {
            Some(target) => self.diagnose_given(&target, expects).await,
            None => self.unreachable_scheme(&url),
        }
    }

    /// The same as git would meet it, where git was told to trust others than go does.
    pub(super) async fn diagnose_as_git(&self, url: &Url) -> Option<Report> {
        let trust = self.git_trust.as_ref()?;
        let target = Target::of(url)?;
        Some(
            self.diagnose_target(&target, Expects::Anything, trust, Reach::Anywhere)
                .await,
        )
    }

    /// Examines a target, and every host that it leads to: a redirect elsewhere is another connection, as it
    /// is for go. The report is that of the last host, with the stages of all. Into a private network nobody is
    /// followed who stands outside of it.
    pub(super) async fn diagnose_given(&self, target: &Target, expects: Expects) -> Report {
        let named = Reach::Anywhere;
        let mut report = self
            .diagnose_target(target, expects, &self.trust, named)
            .await;
        let reach = match self.private_issuers || report.is_in_private_network {
            true => Reach::Anywhere,
            false => Reach::PublicAddresses,
        };
        for _ in 0..MOST_HOSTS {
            let Some(next) = elsewhere(&report) else {
                break;
            };
            self.say_progress(&next);
            let mut behind = self
                .diagnose_target(&next, expects, &self.trust, reach)
                .await;
            let before = std::mem::take(&mut report.stages);
            behind.stages = before.into_iter().chain(behind.stages).collect();
            if let Some(answer) = &mut behind.answer {
                answer.redirects.insert(0, next.to_string());
            }
            report = behind;
        }
        report
    }

    async fn diagnose_target(
        &self,
        target: &Target,
        expects: Expects,
        trust: &Arc<TrustStore>,
        reach: Reach,
    ) -> Report {
        let forward_proxy = match self.forward_proxy(target) {
            Ok(proxy) => proxy,
            Err(report) => return *report,
        };
        let mut options = Options::new(trust.clone(), jiff::Timestamp::now());
        options.resolvers = self.resolvers.clone();
        options.forward_proxy = forward_proxy;
        options.expects = expects;
        options.reach = reach;
        options.fetch_issuers = match self.private_issuers {
            true => FetchIssuers::FromAnywhere,
            false => FetchIssuers::FromNetworkOfTarget,
        };
        options.witnesses = self.witnesses(target);
        if !Arc::ptr_eq(trust, &self.trust) {
            return self
                .godebug
                .applied(tlsdoctor::diagnose(target, &options).await);
        }
        let mut kept = self.take_kept(target);
        let report = tlsdoctor::diagnose_over(target, &options, &mut kept).await;
        let mut connections = self.kept.lock();
        connections.extend(kept);
        let surplus = connections.len().saturating_sub(MOST_KEPT);
        connections.drain(..surplus);
        drop(connections);
        self.godebug.applied(report)
    }

    fn take_kept(&self, target: &Target) -> Option<KeptConnection> {
        let mut connections = self.kept.lock();
        let place = connections.iter().position(|kept| kept.leads_to(target))?;
        Some(connections.swap_remove(place))
    }

    /// Hosts that have nothing to do with the target, and that this machine would talk to anyway.
    fn witnesses(&self, target: &Target) -> Vec<Target> {
        let services = self.everything().into_iter();
        services
            .filter_map(|service| Target::of(service.url()?.expose()))
            .filter(|other| other.host != target.host && other.scheme == tlsdoctor::Scheme::Https)
            .take(2)
            .collect()
    }

    /// The proxy on the way; the report of a target whose proxy is no proxy's address.
    fn forward_proxy(&self, target: &Target) -> Result<Option<ForwardProxy>, Box<Report>> {
        let variable = match target.scheme {
            tlsdoctor::Scheme::Https => "HTTPS_PROXY",
            tlsdoctor::Scheme::Http => "HTTP_PROXY",
        };
        let value = self.value(variable);
        if value.is_empty() || is_loopback(&target.host) {
            return Ok(None);
        }
        match ForwardProxy::parse(&value) {
            Err(error) => Err(Box::new(misnamed_proxy(
                target,
                variable,
                &value,
                &error.to_string(),
            ))),
            Ok(proxy) => {
                let url = Url::parse(&target.to_string()).ok();
                let goes_through = url.is_some_and(|url| self.goes_through_proxy(&url));
                Ok(goes_through.then_some(proxy))
            }
        }
    }

    fn unreachable_scheme(&self, url: &Url) -> Report {
        // Only http and https reach this: GOPROXY entries of other schemes are told of before.
        let target = Target::parse("https://invalid.invalid").expect("a constant host");
        let words = format!("unsupported protocol scheme {:?}", url.scheme());
        failed(target, StageName::Http, "goproxy-config", words, Vec::new())
    }

    /// What is being looked at, for who waits at a terminal.
    pub(super) fn say_progress(&self, target: &impl std::fmt::Display) {
        if self.shows_progress {
            terminal::talk(&format!("\r\x1b[Kexamining {target} …"));
        }
    }

    /// Clears the line of [`Self::say_progress`].
    pub(super) fn end_progress(&self) {
        if self.shows_progress {
            terminal::talk("\r\x1b[K");
        }
    }
}

/// A service that the go environment names.
pub(super) enum Service {
    ModuleProxy(SafeUrl),
    ChecksumDatabase(SafeUrl),
    CodeHost(CodeHost),
}

/// Where private modules are fetched from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CodeHost {
    /// The first element of module paths; it has no port.
    pub(super) host: String,
    /// A module of it that this folder's go.mod requires, and its version.
    pub(super) module: Option<(ModulePath, String)>,
}

impl Service {
    /// What stands in the environment; a code host is named by paths and patterns only.
    pub(super) fn url(&self) -> Option<&SafeUrl> {
        match self {
            Self::ModuleProxy(url) | Self::ChecksumDatabase(url) => Some(url),
            Self::CodeHost(_) => None,
        }
    }
}

fn host_of(path: &str) -> &str {
    path.split('/').next().unwrap_or_default()
}

/// The host that a pattern of GOPRIVATE begins with, where it is one: `*.corp.example` is many.
fn literal_host(pattern: &str) -> Option<&str> {
    let host = host_of(pattern);
    let is_one = host.contains('.') && !host.contains(['*', '?', '[', '\\']);
    is_one.then_some(host)
}

impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ModuleProxy(url) | Self::ChecksumDatabase(url) => url.fmt(f),
            Self::CodeHost(CodeHost {
                module: Some((path, version)),
                ..
            }) => write!(f, "{path}@{version}"),
            Self::CodeHost(CodeHost { host, module: None }) => write!(f, "https://{host}"),
        }
    }
}

/// So many connections are kept open at once.
const MOST_KEPT: usize = 8;

/// So many code hosts are looked at where no target was named.
const MOST_CODE_HOSTS: usize = 8;

/// So many hosts are followed from one request; go ends after ten redirects too.
const MOST_HOSTS: usize = 10;

/// Where an answer leads that was not followed.
fn elsewhere(report: &Report) -> Option<Target> {
    let answer = report.answer.as_ref().filter(|_| report.clients.go.ok)?;
    if !(300..400).contains(&answer.status) {
        return None;
    }
    Target::parse(answer.redirects.last()?).ok()
}

/// Go never asks a proxy for these (`httpproxy`'s useProxy).
fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// What go makes of such a value: it takes the scheme for a host, and asks for its address.
fn misnamed_proxy(target: &Target, variable: &str, value: &str, error: &str) -> Report {
    let host = value.split(':').next().unwrap_or_default();
    let words = format!(
        "proxyconnect tcp: dial tcp: lookup {host} on the system's name server: no such host"
    );
    let evidence = vec![format!("{variable}: {error}")];
    failed(
        target.clone(),
        StageName::Proxy,
        "http-proxy-config",
        words,
        evidence,
    )
}

/// A report that ends before anything was dialled.
fn failed(
    target: Target,
    stage: StageName,
    cause: &'static str,
    words: String,
    evidence: Vec<String>,
) -> Report {
    let start = Instant::now();
    let subject = Subject {
        host: Some(target.short_authority()),
        ..Subject::default()
    };
    let message = format!("Get \"{target}\": {words}");
    Report {
        verdict: Verdict::Faulty,
        stages: vec![Stage {
            host: target.short_authority(),
            stage,
            status: StageStatus::Failed,
            ms: start.elapsed().as_secs_f64() * 1000.0,
            evidence: evidence.clone(),
        }],
        findings: vec![finding(cause, Confidence::Certain, subject, evidence)],
        clients: Clients {
            go: ClientVerdict::failing(message.clone()),
            git: ClientVerdict::failing(message.clone()),
            curl: ClientVerdict::failing(message),
        },
        handshake: None,
        chain: Vec::new(),
        repair: None,
        answer: None,
        is_in_private_network: false,
        target,
    }
}

#[cfg(test)]
mod tests {
    use super::literal_host;

    #[test]
    fn a_pattern_names_a_host_where_it_could_mean_no_other() {
        let check = |pattern: &str, expected: Option<&str>| {
            assert_eq!(literal_host(pattern), expected, "{pattern}");
        };
        check("git.corp.example", Some("git.corp.example"));
        check("github.com/corp/*", Some("github.com"));
        check("*.corp.example", None);
        check("git?.corp.example/team", None);
        check("corp", None);
        check("", None);
    }
}
