//! The source that `direct` and private names lead to: discovery, git and the module rules, put together.

use std::sync::Arc;

use gomod::SafeUrl;
use quick_cache::sync::Cache;

use crate::address::AddressGuard;
use crate::http_client::ClientError;
use crate::{
    DirectSource, Discovery, DiscoveryOptions, Git, GitMissing, GitOptions, ModuleProxies,
    NoObserver, Refresher, Repositories, Repository, RepositoryUrl, Roots, Source, SourceError,
    SourceErrorKind, Trust, Upstream, UpstreamOptions,
};

/// Module proxies that go-import pages named, and that are remembered.
const PROXIES: usize = 256;

/// What fetching from repositories needs to know.
pub struct DirectOptions {
    /// How git is used.
    pub git: GitOptions,
    /// How repositories are found, and how module proxies that pages name are asked.
    pub discovery: DiscoveryOptions,
}

/// Why nothing can be fetched from repositories.
#[derive(Debug, thiserror::Error)]
pub enum DirectError {
    /// Git is not there, or not fit. Everything else works without it.
    #[error(transparent)]
    Git(#[from] GitMissing),
    /// The HTTP client that asks for pages cannot be set up.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// What fetches from repositories, or why nothing does.
pub struct Direct {
    pub(super) source: Result<Arc<dyn Source>, Arc<str>>,
    pub(super) refreshers: Vec<Arc<dyn Refresher>>,
    /// Tells absence where nothing can be fetched.
    pub(super) roots: Option<Arc<dyn Roots>>,
}

/// The git that was found.
#[derive(Clone, Debug)]
pub struct GitFound {
    /// `2.39.5`.
    pub version: String,
    /// Where it is.
    pub program: std::path::PathBuf,
}

impl Direct {
    /// Nothing is fetched from repositories; why, as one clause: `there is no git here`.
    pub fn missing(why: impl Into<Arc<str>>) -> Self {
        Self {
            source: Err(why.into()),
            refreshers: Vec::new(),
            roots: None,
        }
    }

    /// The same, where pages may be asked all the same: of what has no repository, absence is proven without git.
    ///
    /// # Errors
    /// As [`Discovery::new`].
    pub fn without_git(
        why: impl Into<Arc<str>>,
        discovery: DiscoveryOptions,
    ) -> Result<Self, ClientError> {
        let discovery = Discovery::new(discovery, Arc::new(NoRepositories))?;
        Ok(Self {
            refreshers: vec![Arc::new(discovery.clone())],
            roots: Some(Arc::new(discovery)),
            ..Self::missing(why)
        })
    }

    /// The source, or why there is none.
    pub fn source(&self) -> Result<Arc<dyn Source>, Arc<str>> {
        self.source.clone()
    }

    /// Looks for git and makes the source.
    pub async fn with_git(options: DirectOptions) -> Result<(Self, GitFound), DirectError> {
        let DirectOptions { git, discovery } = options;
        let mut proxy_options = discovery.http.clone();
        // Pages choose these proxies: their names are no labels of metrics.
        proxy_options.observer = Arc::new(NoObserver);
        let proxies = NamedProxies {
            guard: discovery.guard.clone(),
            options: proxy_options,
            opened: Cache::new(PROXIES),
        };
        let git = Git::find(git).await?;
        let found = GitFound {
            version: git.version().to_owned(),
            program: git.program().to_owned(),
        };
        let discovery = Discovery::new(discovery, Arc::new(git.clone()))?;
        let source = DirectSource::new(
            Arc::new(discovery.clone()),
            Arc::new(git.clone()),
            Arc::new(proxies),
        );
        let direct = Self {
            source: Ok(Arc::new(source)),
            refreshers: vec![Arc::new(discovery), Arc::new(git)],
            roots: None,
        };
        Ok((direct, found))
    }
}

/// Without git none can be opened.
struct NoRepositories;

impl Repositories for NoRepositories {
    fn open(&self, url: &RepositoryUrl, _: Trust) -> Result<Arc<dyn Repository>, SourceError> {
        let text = format!("without git {url} cannot be read");
        Err(SourceError::new(SourceErrorKind::Unsupported, text))
    }
}

/// Module proxies that pages name (`mod`).
struct NamedProxies {
    guard: Arc<AddressGuard>,
    options: UpstreamOptions,
    opened: Cache<(SafeUrl, Trust), Arc<Upstream>>,
}

impl ModuleProxies for NamedProxies {
    fn open(&self, url: &SafeUrl, trust: Trust) -> Result<Arc<dyn Source>, SourceError> {
        let make = || {
            let guard = match (trust, url.host()) {
                (Trust::Named, Some(host)) => Arc::new(self.guard.and_host(host)),
                _ => self.guard.clone(),
            };
            Upstream::new(url, guard, self.options.clone()).map(Arc::new)
        };
        let upstream = self
            .opened
            .get_or_insert_with(&(url.clone(), trust), make)
            .map_err(|error| {
                SourceError::new(
                    SourceErrorKind::Internal,
                    format!("the module proxy `{url}` cannot be asked: {error}"),
                )
            })?;
        Ok(upstream)
    }
}
