//! Finds the repository of a module path as the go command does (`vcs.RepoRootForImportPath`): by hosts and
//! suffixes that say it themselves, else by the `go-import` elements of the page that the path's own host
//! serves for `https://PATH?go-get=1`.
//!
//! [`crate::Roots`] is what the module rules ask. Answers are kept as long as lists are fresh, and what lies
//! below a known root is taken to live there, so that the questions for `host/a/b/c`, `host/a/b` and `host/a`,
//! which `go get` asks at once, cost one page (two where a page speaks for a root above it, which must agree).
//!
//! Where the go command calls every failure of discovery an absence, Larder does not, because absence sends
//! a client's GOPROXY list on to the next entry:
//! - a public name is absent if its page came (200, 404 or 410) without a `go-import` for it;
//! - of a private name no page proves that: code hosts answer 404, or 200 with a page to sign in, to whom they
//!   do not know. Its absence is proven by a repository above it that can be read, or not at all;
//! - no connection, no TLS, 401, 403, 429 and 5xx prove nothing of anybody.
//!
//! Nothing here starts git or reads a repository, but for paths such as `host/a/b.git`, which leave the
//! protocol open, and only where the preferred one did not lead there: see [`Roots::locate_otherwise`].

mod govcs;
mod known_hosts;
mod page;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gomod::{ModulePath, PathPatterns, SafeUrl};
use http::header::HeaderMap;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

use crate::address::AddressGuard;
use crate::flights::Flights;
use crate::http_client::{ClientError, HttpClient, RequestFailure, Security, seconds};
use crate::privacy::{Privacy, Route};
use crate::{
    Clue, Credentials, Freshness, GitProtocol, Location, Refresher, Repositories, RepositoryRoot,
    RepositoryUrl, Roots, SourceError, SourceErrorKind, Touched, Trust, UpstreamOptions,
};

pub use govcs::GoVcs;
use known_hosts::Known;
pub use known_hosts::{NamedRepository, repository_named_by};
use page::{Imports, MetaImport, NoMatch, is_below};

/// What is read of a page; go-import elements stand at its beginning.
const PAGE_BYTES: usize = 1 << 20;
/// How long a page may take, redirects and reading included.
const PAGE_DEADLINE: Duration = Duration::from_secs(60);
/// Go's own patience with what GOINSECURE names.
const INSECURE_DEADLINE: Duration = Duration::from_secs(5);
/// How long it is remembered that a page says nothing of its path.
const NOTHING_FRESH: Duration = Duration::from_secs(30);
/// Pages asked for at the same time.
const CONCURRENT_PAGES: usize = 64;
/// Paths above a private one that are asked for a root; repositories are not nested deeper.
const MOST_ABOVE: usize = 16;
/// What remembered pages may weigh.
const PAGES_WEIGHT_BYTES: u64 = 16 << 20;
/// Roots that are remembered.
const ROOTS: usize = 10_000;

/// A version control system, or a module proxy in the place of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionControl {
    /// git
    Git,
    /// Mercurial
    Mercurial,
    /// Subversion
    Subversion,
    /// Bazaar
    Bazaar,
    /// Fossil
    Fossil,
    /// A module proxy (`mod` in a go-import).
    Proxy,
}

impl VersionControl {
    const SYSTEMS: [Self; 5] = [
        Self::Mercurial,
        Self::Git,
        Self::Subversion,
        Self::Bazaar,
        Self::Fossil,
    ];

    /// The word that stands for it in go-import, in GOVCS and at the end of paths.
    pub fn command(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Mercurial => "hg",
            Self::Subversion => "svn",
            Self::Bazaar => "bzr",
            Self::Fossil => "fossil",
            Self::Proxy => "mod",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Mercurial => "Mercurial (hg)",
            Self::Subversion => "Subversion (svn)",
            Self::Bazaar => "Bazaar (bzr)",
            Self::Fossil => "Fossil",
            Self::Proxy => "a module proxy",
        }
    }

    /// The system whose word the text ends in, behind a dot, and the text before that.
    fn of_suffix(text: &str) -> Option<(Self, &str)> {
        let (before, suffix) = text.rsplit_once('.')?;
        let system = Self::SYSTEMS
            .into_iter()
            .find(|system| system.command() == suffix)?;
        Some((system, before))
    }
}

/// What the operator may set of discovery.
#[derive(Clone)]
pub struct DiscoveryOptions {
    /// Which names are private.
    pub privacy: Arc<Privacy>,
    /// GOINSECURE: for these module paths http will do, and no certificate is verified.
    pub insecure: PathPatterns,
    /// GOVCS.
    pub govcs: GoVcs,
    /// The protocols by which repositories may be fetched, the preferred first. `http` and `git` are allowed for what
    /// `insecure` names, whether they stand here or not.
    pub protocols: Vec<GitProtocol>,
    /// How long what was found holds: the freshness of lists.
    pub fresh: Duration,
    /// The hosts that settings name.
    pub guard: Arc<AddressGuard>,
    /// How hosts are asked for pages.
    pub http: UpstreamOptions,
    /// The passwords for pages, by address.
    pub credentials: Arc<dyn Credentials>,
}

/// Finds repositories and remembers them.
#[derive(Clone)]
pub struct Discovery {
    inner: Arc<Inner>,
    /// Tried where a path leaves the protocol open.
    repositories: Arc<dyn Repositories>,
}

struct Inner {
    options: DiscoveryOptions,
    /// For public names: they lead to public addresses and to hosts that settings name.
    public: HttpClient,
    /// For private names: to hosts that the patterns name, too.
    private: HttpClient,
    /// For what GOINSECURE names.
    insecure: HttpClient,
    /// What `private` and `insecure` may dial.
    named_guard: Arc<AddressGuard>,
    turns: Semaphore,
    page_flights: Flights<Key, Result<Arc<Page>, SourceError>>,
    /// The first question below a host's folder goes alone: its answer may serve those behind it.
    scouts: Flights<Key, Result<Said, SourceError>>,
    pages: Cache<Key, Arc<Page>, ByText>,
    roots: Cache<Key, Arc<Claim>>,
    protocols: Cache<String, GitProtocol>,
}

/// An import path, and how it is asked about. What was learned without verification serves no question that
/// wants it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    path: String,
    security: Security,
    /// Who was allowed to be dialled differs.
    private: bool,
}

/// What a host said of a path.
#[derive(Debug)]
struct Page {
    /// Who answered, after redirects; without credentials.
    url: String,
    status: u16,
    imports: Imports,
    /// The rule whose password went with the request.
    credential_rule: Option<Arc<str>>,
    fresh_until: Instant,
}

/// A go-import that is agreed upon.
#[derive(Debug)]
struct Claim {
    import: MetaImport,
    /// The page that made it.
    page: String,
    fresh_until: Instant,
}

/// What came of asking about a path.
#[derive(Clone, Debug)]
enum Said {
    Root(Arc<Claim>),
    /// The page came and says nothing of the path.
    Nothing(Arc<Page>),
}

#[derive(Clone)]
struct ByText;

impl Weighter<Key, Arc<Page>> for ByText {
    fn weight(&self, key: &Key, page: &Arc<Page>) -> u64 {
        let imports: usize = page
            .imports
            .found
            .iter()
            .map(|import| {
                import.prefix.len()
                    + import.system.len()
                    + import.root.len()
                    + import.subdirectory.len()
                    + size_of::<MetaImport>()
            })
            .sum();
        let bytes = 256 + 2 * key.path.len() + page.url.len() + imports;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

#[async_trait]
impl Roots for Discovery {
    async fn locate(&self, module_path: &ModulePath) -> Result<Location, SourceError> {
        let path = module_path.as_str();
        if let Some(known) = known_hosts::find(path) {
            return self.location_of_known(module_path, known).await;
        }
        let route = self.inner.options.privacy.route(module_path);
        if let Some(claim) = self.inner.root_above(&self.inner.key(path)) {
            return self.location_of_claim(module_path, &claim);
        }
        match self.inner.ask(path).await {
            Ok(Said::Root(claim)) => self.location_of_claim(module_path, &claim),
            Ok(Said::Nothing(page)) => match known_hosts::find_after_asking(path) {
                Some(known) => self.location_of_known(module_path, known).await,
                None if route == Route::Public => Err(page.absence(path)),
                None => self.locate_above(module_path, page.unproven(path)).await,
            },
            Err(error) if error.kind() == SourceErrorKind::Refused && route == Route::Private => {
                self.locate_above(module_path, error).await
            }
            Err(error) => Err(error),
        }
    }

    async fn locate_anew(&self, module_path: &ModulePath) -> Result<Option<Location>, SourceError> {
        let path = module_path.as_str();
        if known_hosts::find(path).is_some() {
            return Ok(None);
        }
        let taken = self
            .inner
            .root_above(&self.inner.key(path))
            .map(|claim| claim.import.prefix.clone());
        match self.inner.look_up(self.inner.key(path)).await {
            Ok(Said::Root(claim)) if taken.as_ref() != Some(&claim.import.prefix) => {
                self.location_of_claim(module_path, &claim).map(Some)
            }
            Ok(Said::Root(_) | Said::Nothing(_)) => Ok(None),
            // The repository above is known and was readable, which proves the absence below it: a page that
            // fails for a path that nobody wrote adds no doubt, and an error for it would break `go get`.
            Err(_) => Ok(None),
        }
    }

    async fn locate_otherwise(
        &self,
        module_path: &ModulePath,
        before: &Location,
        failed: &SourceError,
    ) -> Result<Option<Location>, SourceError> {
        let (Some(known @ Known::SomehowAt { .. }), Location::Repository(tried)) =
            (known_hosts::find(module_path.as_str()), before)
        else {
            return Ok(None);
        };
        let Known::SomehowAt { root, address, .. } = &known else {
            return Ok(None);
        };
        let mut others = self.inner.open_protocols_for(module_path);
        others.retain(|protocol| *protocol != tried.url.protocol());
        let is_unreached = || -> Result<bool, SourceError> {
            let repository = self.repositories.open(&tried.url, tried.trust)?;
            Ok(repository.is_unreached())
        };
        if others.is_empty() || !is_unreached().unwrap_or(true) {
            return Ok(None);
        }
        let mut told = failed.clone();
        for protocol in others {
            match self.try_protocol(module_path, protocol, address).await {
                Ok(()) => {
                    self.inner.protocols.insert(root.clone(), protocol);
                    return self.location_of_known(module_path, known).await.map(Some);
                }
                // Absence must be said by all.
                Err(failure) if !told.is_absence() || failure.is_absence() => {
                    told.0.notes.push(format!("by {protocol}: {failure}"));
                }
                Err(failure) => told = failure,
            }
        }
        Err(told)
    }
}

impl Discovery {
    /// Discovery with these options. `repositories` are tried where a path leaves the protocol open.
    pub fn new(
        options: DiscoveryOptions,
        repositories: Arc<dyn Repositories>,
    ) -> Result<Self, ClientError> {
        let named_guard = Arc::new(
            options
                .guard
                .and_hosts_of(&options.privacy.private)
                .and_hosts_of(&options.insecure),
        );
        let client = |guard: &Arc<AddressGuard>, security| {
            HttpClient::of_any_host(
                guard.clone(),
                &options.http,
                security,
                options.credentials.clone(),
            )
        };
        Ok(Self {
            inner: Arc::new(Inner {
                public: client(&options.guard, Security::Verified)?,
                private: client(&named_guard, Security::Verified)?,
                insecure: client(&named_guard, Security::Insecure)?,
                named_guard,
                turns: Semaphore::new(CONCURRENT_PAGES),
                page_flights: Flights::default(),
                scouts: Flights::default(),
                pages: Cache::with_weighter(1024, PAGES_WEIGHT_BYTES, ByText),
                roots: Cache::new(ROOTS),
                protocols: Cache::new(ROOTS),
                options,
            }),
            repositories,
        })
    }

    /// A private name whose own page says nothing: one of the paths above it may be the root of a repository
    /// that proves or disproves it. `otherwise` is what is said if none is.
    async fn locate_above(
        &self,
        module_path: &ModulePath,
        otherwise: SourceError,
    ) -> Result<Location, SourceError> {
        let mut path = module_path.as_str();
        for _ in 0..MOST_ABOVE {
            let Some((above, _)) = path.rsplit_once('/') else {
                break;
            };
            path = above;
            match self.inner.ask(path).await {
                Ok(Said::Root(claim)) => return self.location_of_claim(module_path, &claim),
                Ok(Said::Nothing(_)) => {}
                Err(error) if error.kind() == SourceErrorKind::Refused => {}
                Err(error) => return Err(error),
            }
        }
        Err(otherwise)
    }

    async fn location_of_known(
        &self,
        module_path: &ModulePath,
        known: Known,
    ) -> Result<Location, SourceError> {
        let (system, root, url) = match known {
            Known::Impossible(text) => {
                return Err(SourceError::new(SourceErrorKind::NotExist, text));
            }
            Known::At { system, root, url } => {
                self.inner.check_system(module_path, system, &root, &url)?;
                (system, root, url)
            }
            Known::SomehowAt {
                system,
                root,
                address,
            } => {
                self.inner
                    .check_system(module_path, system, &root, &address)?;
                let protocol = self.protocol_of(module_path, &root)?;
                (system, root, format!("{protocol}://{address}"))
            }
        };
        self.inner
            .repository(module_path, system, &root, &url, "", module_path.as_str())
    }

    fn location_of_claim(
        &self,
        module_path: &ModulePath,
        claim: &Claim,
    ) -> Result<Location, SourceError> {
        self.inner.location_of_claim(module_path, claim)
    }

    /// The protocol of a path such as `host/a/b.git`. The go command tries them one after the other with
    /// `git ls-remote`; here the first question to the repository is the trial, so that the preferred protocol
    /// costs no process more where it works: see [`Roots::locate_otherwise`]. What answered is kept until it
    /// does not: a host that only ssh leads to is not tried by https again and again.
    fn protocol_of(
        &self,
        module_path: &ModulePath,
        root: &str,
    ) -> Result<GitProtocol, SourceError> {
        let candidates = self.inner.open_protocols_for(module_path);
        if let Some(protocol) = self.inner.protocols.get(root)
            && candidates.contains(&protocol)
        {
            return Ok(protocol);
        }
        candidates.first().copied().ok_or_else(|| {
            disallowed(format!(
                "`{root}` is a git repository, and no protocol is allowed that could reach it (--git-protocols)"
            ))
        })
    }

    async fn try_protocol(
        &self,
        module_path: &ModulePath,
        protocol: GitProtocol,
        address: &str,
    ) -> Result<(), SourceError> {
        let url = repository_url(&format!("{protocol}://{address}"), module_path.as_str())?;
        let trust = self.inner.trust(module_path, url.host());
        self.repositories
            .open(&url, trust)?
            .refs(Freshness::Recent)
            .await
            .map(|_| ())
    }
}

impl Inner {
    fn key(&self, path: &str) -> Key {
        let private = self.options.privacy.private.matches(path);
        let security = if self.options.insecure.matches(path) {
            Security::Insecure
        } else {
            Security::Verified
        };
        Key {
            path: path.to_owned(),
            security,
            private,
        }
    }

    /// Who chose the address of a path's repository: the operator where settings or patterns name its host, or
    /// where private patterns name the host that vouches for it.
    fn trust(&self, module_path: &ModulePath, host: &str) -> Trust {
        let key = self.key(module_path.as_str());
        let vouching = key.path.split('/').next().unwrap_or_default();
        let is_named = self.guard_for(&key).allows_host(host)
            || (key.private && self.named_guard.allows_host(vouching));
        match (is_named, key.private) {
            (true, _) => Trust::Named,
            (false, true) => Trust::PrivatelyChosen,
            (false, false) => Trust::Chosen,
        }
    }

    fn guard_for(&self, key: &Key) -> &AddressGuard {
        if key.private || key.security == Security::Insecure {
            &self.named_guard
        } else {
            &self.options.guard
        }
    }

    fn client_for(&self, key: &Key) -> &HttpClient {
        match key.security {
            Security::Insecure => &self.insecure,
            Security::Verified if key.private => &self.private,
            Security::Verified => &self.public,
        }
    }

    /// The protocols for a path, the preferred first.
    fn protocols_for(&self, module_path: &ModulePath) -> Vec<GitProtocol> {
        let is_insecure = self.options.insecure.matches(module_path.as_str());
        let needs_leave =
            |protocol: &GitProtocol| matches!(protocol, GitProtocol::Http | GitProtocol::Git);
        let mut allowed: Vec<GitProtocol> = self
            .options
            .protocols
            .iter()
            .copied()
            .filter(|protocol| is_insecure || !needs_leave(protocol))
            .collect();
        if is_insecure {
            for protocol in [GitProtocol::Http, GitProtocol::Git] {
                if !allowed.contains(&protocol) {
                    allowed.push(protocol);
                }
            }
        }
        allowed
    }

    /// The same, for a path that leaves the protocol open.
    fn open_protocols_for(&self, module_path: &ModulePath) -> Vec<GitProtocol> {
        let mut allowed = self.protocols_for(module_path);
        allowed.retain(|protocol| *protocol != GitProtocol::File);
        allowed
    }

    /// The deepest known root at or above a path.
    fn root_above(&self, key: &Key) -> Option<Arc<Claim>> {
        let mut path = &*key.path;
        loop {
            let claim = self.roots.get(&Key {
                path: path.to_owned(),
                ..key.clone()
            });
            if let Some(claim) = claim.filter(|claim| Instant::now() < claim.fresh_until) {
                return Some(claim);
            }
            path = path.rsplit_once('/')?.0;
        }
    }

    /// What a path's host says of it. Of several questions below the same folder of a host the first goes
    /// alone, and those that its answer serves ask nobody. A host that cannot be asked is not asked by each of
    /// them in turn.
    async fn ask(self: &Arc<Self>, path: &str) -> Result<Said, SourceError> {
        let key = self.key(path);
        if self.page_known(&key).is_some() {
            return self.look_up(key).await;
        }
        let folder: Vec<&str> = path.splitn(3, '/').take(2).collect();
        let folder = Key {
            path: folder.join("/"),
            ..key.clone()
        };
        let mut is_scout = false;
        let seat = self.scouts.join(folder, || {
            is_scout = true;
            let (inner, key) = (self.clone(), key.clone());
            async move { inner.look_up(key).await }
        });
        let outcome = seat.landed().await.unwrap_or_else(|| Err(died()));
        if is_scout {
            return outcome;
        }
        if let Err(error) = outcome
            && says_all_of_a_host(&error)
        {
            return Err(error);
        }
        match self.root_above(&key) {
            Some(claim) => Ok(Said::Root(claim)),
            None => self.look_up(key).await,
        }
    }

    /// What the path's own page says of it, its agreement with the root's page included.
    async fn look_up(self: &Arc<Self>, key: Key) -> Result<Said, SourceError> {
        let page = self.page(&key).await?;
        if page.imports.found.is_empty() {
            page.check_says_something(&key.path)?;
        }
        let import = match page.imports.for_path(&key.path) {
            Ok(import) => import.clone(),
            Err(NoMatch::None) => return Ok(Said::Nothing(page)),
            Err(NoMatch::Several) => {
                return Err(bad_page(
                    &page.url,
                    format!(
                        "multiple meta tags match import path {}",
                        gomod::go_quote(&key.path)
                    ),
                ));
            }
        };
        if import.prefix != key.path {
            // Somebody's page may speak only for what the root's own page grants.
            let root_key = Key {
                path: import.prefix.clone(),
                ..key.clone()
            };
            let root_page = self.page(&root_key).await?;
            if root_page.imports.found.is_empty() {
                root_page.check_says_something(&import.prefix)?;
            }
            if root_page.imports.for_path(&key.path) != Ok(&import) {
                return Err(bad_page(
                    &page.url,
                    format!(
                        "it and {} disagree about go-import for {}",
                        root_page.url, import.prefix
                    ),
                ));
            }
        }
        let claim = Arc::new(Claim {
            page: page.url.clone(),
            fresh_until: page.fresh_until,
            import,
        });
        let root_key = Key {
            path: claim.import.prefix.clone(),
            ..key
        };
        self.roots.insert(root_key, claim.clone());
        Ok(Said::Root(claim))
    }

    fn page_known(&self, key: &Key) -> Option<Arc<Page>> {
        self.pages
            .get(key)
            .filter(|page| Instant::now() < page.fresh_until)
    }

    async fn page(self: &Arc<Self>, key: &Key) -> Result<Arc<Page>, SourceError> {
        if let Some(page) = self.page_known(key) {
            return Ok(page);
        }
        let seat = self.page_flights.join(key.clone(), || {
            let (inner, key) = (self.clone(), key.clone());
            async move { inner.fetch_page(key).await }
        });
        seat.landed().await.unwrap_or_else(|| Err(died()))
    }

    async fn fetch_page(&self, key: Key) -> Result<Arc<Page>, SourceError> {
        let turn = tokio::time::timeout(self.options.http.queue_timeout, self.turns.acquire());
        let _turn = turn.await.ok().and_then(Result::ok).ok_or_else(|| {
            SourceError::new(
                SourceErrorKind::Busy,
                format!(
                    "looking for the repository of `{}`: too many pages are being asked for",
                    key.path
                ),
            )
        })?;
        let url = |scheme: &str| {
            let separator = if key.path.contains('/') { "" } else { "/" };
            Url::parse(&format!("{scheme}://{}{separator}?go-get=1", key.path)).map_err(|error| {
                SourceError::new(
                    SourceErrorKind::NotExist,
                    format!("`{}` does not begin with a host: {error}", key.path),
                )
            })
        };
        let mut page = self.fetch_page_at(&key, url("https")?).await;
        if page.is_err() && key.security == Security::Insecure {
            page = self.fetch_page_at(&key, url("http")?).await;
        }
        let page = Arc::new(page?);
        if page.fresh_until > Instant::now() {
            self.pages.insert(key, page.clone());
        }
        Ok(page)
    }

    async fn fetch_page_at(&self, key: &Key, url: Url) -> Result<Page, SourceError> {
        let deadline = match (key.security, url.scheme()) {
            (Security::Insecure, "https") => INSECURE_DEADLINE,
            _ => PAGE_DEADLINE,
        };
        let asked = url.to_string();
        let started = Instant::now();
        let outcome = tokio::time::timeout(deadline, self.fetch_page_patiently(key, url));
        let page = match outcome.await {
            Ok(page) => page,
            Err(_) => Err(SourceError::new(
                SourceErrorKind::TimedOut,
                format!("it did not answer within {}", seconds(deadline)),
            )),
        };
        page.map_err(|mut error| {
            error.0.url.get_or_insert(asked);
            error.0.elapsed = started.elapsed();
            error
        })
    }

    async fn fetch_page_patiently(&self, key: &Key, url: Url) -> Result<Page, SourceError> {
        let client = self.client_for(key);
        let headers = HeaderMap::new();
        let mut reply = client.get(url.clone(), &headers).await;
        if let Err(RequestFailure { may_heal: true, .. }) = reply {
            reply = client.get(url, &headers).await;
        }
        let mut reply = reply.map_err(|failure| failure.error)?;
        let mut body = Vec::new();
        let mut cut = None;
        while body.len() < PAGE_BYTES {
            match reply.body.chunk().await {
                Ok(Some(chunk)) => {
                    let room = PAGE_BYTES - body.len();
                    body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
                }
                Ok(None) => break,
                Err(failure) => {
                    cut = Some(failure.into_error());
                    break;
                }
            }
        }
        let imports = Imports::read(&body);
        if let Some(cut) = cut
            && imports.for_path(&key.path).is_err()
        {
            return Err(cut);
        }
        let status = reply.status.as_u16();
        let fresh = if imports.for_path(&key.path).is_ok() {
            self.options.fresh
        } else if says_nothing(status) {
            self.options.fresh.min(NOTHING_FRESH)
        } else {
            Duration::ZERO
        };
        Ok(Page {
            url: reply.url.to_string(),
            status,
            imports,
            credential_rule: reply.credential_rule,
            fresh_until: Instant::now() + fresh,
        })
    }

    fn location_of_claim(
        &self,
        module_path: &ModulePath,
        claim: &Claim,
    ) -> Result<Location, SourceError> {
        let import = &claim.import;
        let subdirectory = import.subdirectory.trim_end_matches('/');
        let bad_subdirectory = |reason: &str| {
            bad_page(
                &claim.page,
                format!(
                    "invalid subdirectory {}: {reason}",
                    gomod::go_quote(&import.subdirectory)
                ),
            )
        };
        if import.subdirectory.starts_with('/') {
            return Err(bad_subdirectory("leading slash"));
        }
        if subdirectory.starts_with('-') {
            return Err(bad_subdirectory("leading hyphen"));
        }
        let is_odd = |element: &str| matches!(element, "" | "." | "..");
        if !subdirectory.is_empty() && subdirectory.split('/').any(is_odd) {
            return Err(bad_subdirectory("an element that is no name"));
        }
        if subdirectory.chars().any(char::is_control) {
            return Err(bad_subdirectory("a control character"));
        }
        let system = match &*import.system {
            "mod" => VersionControl::Proxy,
            word => VersionControl::SYSTEMS
                .into_iter()
                .find(|system| system.command() == word)
                .ok_or_else(|| {
                    bad_page(
                        &claim.page,
                        format!("unknown vcs {}", gomod::go_quote(word)),
                    )
                })?,
        };
        self.check_system(module_path, system, &import.prefix, &import.root)?;
        self.repository(
            module_path,
            system,
            &import.prefix,
            &import.root,
            subdirectory,
            &claim.page,
        )
    }

    /// GOVCS, and what this server can fetch from.
    fn check_system(
        &self,
        module_path: &ModulePath,
        system: VersionControl,
        root: &str,
        address: &str,
    ) -> Result<(), SourceError> {
        let route = if self.options.privacy.private.matches(root) {
            Route::Private
        } else {
            Route::Public
        };
        self.options
            .govcs
            .check(system, root, route)
            .map_err(disallowed)?;
        if matches!(system, VersionControl::Git | VersionControl::Proxy) {
            return Ok(());
        }
        let address: String = address
            .chars()
            .take(200)
            .flat_map(char::escape_debug)
            .collect();
        let mut error = SourceError::new(
            SourceErrorKind::Unsupported,
            format!(
                "`{module_path}` is kept in {} at `{address}`, and this server fetches from git only",
                system.name()
            ),
        );
        error.0.notes.push(format!(
            "let the go command fetch it itself (GONOPROXY={root}), or use a mirror of it that is a module proxy"
        ));
        Err(error)
    }

    fn repository(
        &self,
        module_path: &ModulePath,
        system: VersionControl,
        prefix: &str,
        address: &str,
        subdirectory: &str,
        said_by: &str,
    ) -> Result<Location, SourceError> {
        let prefix = prefix.to_owned();
        if system == VersionControl::Proxy {
            let url = self.proxy_url(module_path, address, said_by)?;
            return Ok(Location::Proxy {
                prefix,
                trust: self.trust(module_path, url.host().unwrap_or_default()),
                url,
            });
        }
        let url = repository_url(address, said_by)?;
        if url.protocol() == GitProtocol::File {
            return Err(bad_page(
                said_by,
                format!(
                    "invalid repo root {}: file scheme disallowed",
                    gomod::go_quote(address)
                ),
            ));
        }
        let private = &self.options.privacy.private;
        let place = format!("{}{}", url.host(), url.path());
        // Else anybody's page could have the operator's credentials read private code under a public name, which
        // is then told to the checksum database.
        if private.matches(place.strip_suffix(".git").unwrap_or(&place))
            && !private.matches(module_path.as_str())
        {
            return Err(disallowed(format!(
                "{said_by}: the page of a public name leads to the private repository {url}; if that is meant, name \
                 `{prefix}` in the private patterns, too"
            )));
        }
        let allowed = self.protocols_for(module_path);
        if !allowed.contains(&url.protocol()) {
            let names: Vec<&str> = allowed.iter().map(|protocol| protocol.name()).collect();
            let mut error = disallowed(format!(
                "the repository of `{module_path}` is at `{url}`, and the protocols allowed for it are {}",
                names.join(", ")
            ));
            error.0.notes.push(match url.protocol() {
                GitProtocol::Http | GitProtocol::Git => {
                    format!("it is not encrypted: to allow it all the same, name `{prefix}` in GOINSECURE")
                }
                protocol => format!("to allow it, add {protocol} to --git-protocols"),
            });
            return Err(error);
        }
        Ok(Location::Repository(RepositoryRoot {
            prefix,
            trust: self.trust(module_path, url.host()),
            url,
            subdirectory: subdirectory.to_owned(),
        }))
    }

    fn proxy_url(
        &self,
        module_path: &ModulePath,
        address: &str,
        said_by: &str,
    ) -> Result<SafeUrl, SourceError> {
        let bad = |reason: &str| {
            bad_page(
                said_by,
                format!("invalid repo root {}: {reason}", gomod::go_quote(address)),
            )
        };
        let url = Url::parse(address).map_err(|error| bad(&error.to_string()))?;
        match url.scheme() {
            "https" => {}
            "http" if self.options.insecure.matches(module_path.as_str()) => {}
            "http" => {
                return Err(disallowed(format!(
                    "`{module_path}` is served by a module proxy over http, which is allowed only for what \
                     GOINSECURE names"
                )));
            }
            "file" => return Err(bad("file scheme disallowed")),
            _ => return Err(bad("only http and https can be asked")),
        }
        SafeUrl::parse(address).map_err(|error| bad(&error.to_string()))
    }
}

impl Page {
    /// A page without any go-import must at least have come as one; in Go's words where it is not.
    fn check_says_something(&self, path: &str) -> Result<(), SourceError> {
        if says_nothing(self.status) {
            return Ok(());
        }
        let (kind, note) = match self.status {
            401 | 403 | 407 => (SourceErrorKind::Refused, Some(self.who_asked())),
            429 => (SourceErrorKind::Busy, None),
            408 | 500.. => (SourceErrorKind::Unreachable, None),
            _ => (SourceErrorKind::BadAnswer, None),
        };
        let mut error = SourceError::new(
            kind,
            format!(
                "unrecognized import path {}: reading {}: {}",
                gomod::go_quote(path),
                self.url,
                self.status_line()
            ),
        );
        error.0.status = Some(self.status);
        error.0.notes.extend(note);
        Err(error)
    }

    /// What is said of a public path that the page says nothing of, in Go's words.
    fn absence(&self, path: &str) -> SourceError {
        let mut error = SourceError::new(SourceErrorKind::NotExist, self.why_nothing(path));
        error.0.status = Some(self.status);
        error.with_clue(match self.status {
            404 | 410 if self.imports.found.is_empty() => Clue::NoSuchRepository,
            _ => Clue::NoGoImport,
        })
    }

    /// The same of a private path.
    fn unproven(&self, path: &str) -> SourceError {
        let mut error = SourceError::new(SourceErrorKind::Refused, self.why_nothing(path));
        error.0.status = Some(self.status);
        error.0.notes.push(
            "this proves no absence: code hosts say so of private code to whom they do not know"
                .to_owned(),
        );
        error.0.notes.push(self.who_asked());
        error
    }

    fn why_nothing(&self, path: &str) -> String {
        let quoted = gomod::go_quote(path);
        if self.imports.found.is_empty() && !(200..300).contains(&self.status) {
            return format!(
                "unrecognized import path {quoted}: reading {}: {}",
                self.url,
                self.status_line()
            );
        }
        let mismatches: Vec<String> = self
            .imports
            .found
            .iter()
            .take(3)
            .map(|import| {
                format!(
                    "meta tag {} did not match import path {path}",
                    import.prefix.escape_debug()
                )
            })
            .collect();
        match &self.imports.fault {
            Some(fault) if mismatches.is_empty() => format!(
                "unrecognized import path {quoted}: parsing {}: {fault}",
                self.url
            ),
            _ => format!(
                "unrecognized import path {quoted}: parse {}: no go-import meta tags ({})",
                self.url,
                mismatches.join(", ")
            ),
        }
    }

    fn who_asked(&self) -> String {
        match &self.credential_rule {
            Some(rule) => format!("it was asked with the password of {rule}"),
            None => {
                "it was asked without a password, since no credential rule and no .netrc entry \
                     matches"
                    .to_owned()
            }
        }
    }

    fn status_line(&self) -> String {
        let reason = http::StatusCode::from_u16(self.status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default();
        format!("{} {reason}", self.status).trim_end().to_owned()
    }
}

impl Refresher for Discovery {
    fn forget(&self, touched: &mut Touched) {
        // What a module touches is its repository; what a repository touches are the paths of its modules. The
        // one must not lead to the other and back.
        let modules: Vec<String> = touched.prefixes().map(str::to_owned).collect();
        let known: Vec<(String, Option<RepositoryUrl>)> = self
            .inner
            .roots
            .iter()
            .map(|(key, claim)| (key.path, RepositoryUrl::parse(&claim.import.root).ok()))
            .collect();
        for (prefix, url) in known {
            let Some(url) = url else {
                continue;
            };
            if touched.covers_repository(&url) {
                touched.add_prefix(&prefix);
            }
            let is_related =
                |module: &String| is_below(module, &prefix) || is_below(&prefix, module);
            if modules.iter().any(is_related) {
                touched.add_repository(&url);
            }
        }
        for module in &modules {
            let address = match known_hosts::find(module) {
                Some(Known::At { url, .. }) => url,
                Some(Known::SomehowAt { address, .. }) => format!("https://{address}"),
                Some(Known::Impossible(_)) | None => continue,
            };
            if let Ok(url) = RepositoryUrl::parse(&address) {
                touched.add_repository(&url);
            }
        }
        self.inner.roots.retain(|key, claim| {
            let is_touched = RepositoryUrl::parse(&claim.import.root)
                .is_ok_and(|url| touched.covers_repository(&url));
            !is_touched && !touched.covers(&key.path)
        });
        self.inner.pages.retain(|key, _| !touched.covers(&key.path));
        self.inner.protocols.retain(|root, _| !touched.covers(root));
    }
}

/// A page that came, and that may say nothing of its path.
fn says_nothing(status: u16) -> bool {
    matches!(status, 200..=299 | 404 | 410)
}

/// A failure that would be the same for any path of the host: nothing came of it.
fn says_all_of_a_host(error: &SourceError) -> bool {
    let kinds = [
        SourceErrorKind::Unreachable,
        SourceErrorKind::TimedOut,
        SourceErrorKind::Tls,
        SourceErrorKind::ForbiddenAddress,
        SourceErrorKind::Busy,
    ];
    error.0.status.is_none() && kinds.contains(&error.kind())
}

fn repository_url(address: &str, said_by: &str) -> Result<RepositoryUrl, SourceError> {
    RepositoryUrl::parse(address).map_err(|error| bad_page(said_by, error.to_string()))
}

fn bad_page(page: &str, text: String) -> SourceError {
    let text = format!("{page}: {text}");
    SourceError::new(SourceErrorKind::BadAnswer, text).with_clue(Clue::NoGoImport)
}

fn disallowed(text: String) -> SourceError {
    SourceError::new(SourceErrorKind::Disallowed, text)
}

fn died() -> SourceError {
    SourceError::new(
        SourceErrorKind::Internal,
        "the task that looked for the repository died",
    )
}
