//! Where module files come from: upstream proxies, folders, chains of them, and the checksum
//! database's client.
//!
//! The binary calls [`build()`] with the GOPROXY list and gets one [`Source`]: private names stop at
//! [`privacy::PrivateAware`], which asks [`DirectSource`] for them and nobody else; for all others [`Chain`]
//! walks the list and asks each [`Upstream`], [`FileSource`] or [`DirectSource`].
//! The crate writes what it fetches into a [`Sink`] and stores nothing; whether a file is the right one is
//! for the sink to say. It reads no environment variable and names no status for our own clients. Private
//! names stop at one function, [`privacy::Privacy::route`], on every way out.

mod address;
mod answer;
mod breaker;
mod build;
mod chain;
mod credential;
mod credentials;
mod database_http;
mod direct;
mod discovery;
mod error;
mod file;
mod flights;
mod git;
mod group;
mod http_client;
mod http_proxy;
mod netrc;
mod observer;
mod options;
pub mod privacy;
mod refresh;
mod repository;
mod roots;
mod silence;
pub mod sumdb;
mod tls;
mod upstream;
mod upstream_list;
mod via;
mod vitals;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod raw_server;
#[cfg(test)]
mod test_names;

pub use address::{AddressGuard, ForbiddenAddress, is_public};
pub use breaker::{Admission, Breaker, BreakerState};
pub use build::{
    BuildError, Direct, DirectError, DirectOptions, GitFound, GroupedEntries, Sources,
    address_guard, build, is_this_server,
};
pub use chain::{Chain, ChainEnd, ChainEntry, falls_through};
pub use credential::{Credential, Credentials, Means, NoCredentials, Secret};
pub use credentials::{
    Access, BookSource, CredentialBook, CredentialCommand, CredentialPlace, CredentialRule,
    CredentialRules, GithubApp, Grant, Inspection, NearMiss, ReadBook, RepositoryProbe, RuleMatch,
    SECRET_VARIABLES, SecretSource,
};
pub use database_http::DatabaseHttp;
pub use direct::{DirectSource, ModuleProxies};
pub use discovery::{
    Discovery, DiscoveryOptions, GoVcs, NamedRepository, VersionControl, repository_named_by,
};
pub use error::{Asked, Clue, SourceError, SourceErrorKind, SourceFailure, TlsFault};
pub use file::{FileSource, FolderLayout};
pub use git::{
    Git, GitMissing, GitObserver, GitOptions, HostProbe, HostVerdict, NoGitObserver, NoHostProbe,
    ProcessKind,
};
pub use group::{Condition, Group, GroupMember, GroupMode, HealthReport};
pub use http_client::ClientError;
pub use http_proxy::HttpProxies;
pub use netrc::Netrc;
pub use observer::{GroupEvent, NoObserver, UpstreamObserver};
pub use options::{Repeats, UpstreamOptions};
pub use refresh::{Refresher, RepositoryAddress, Touched};
pub use repository::{
    Archive, Commit, Freshness, GitProtocol, ObjectName, Refs, Repositories, Repository,
    RepositoryUrl, RepositoryUrlError, TreeEntry, TreeEntryKind, Trust,
};
pub use roots::{Location, RepositoryRoot, Roots};
pub use tls::{CaFileError, TlsRoots, TlsSettings};
pub use upstream::Upstream;
pub use upstream_list::{EntryReport, UpstreamList, UpstreamReport};
pub use via::{has_passed_through, via_name, via_value};
pub use vitals::Vitals;

use async_trait::async_trait;
use bytes::Bytes;
use gomod::{FileKind, Info, ModulePath, ModuleVersion, Revision, Version};

/// A source's name in logs, headers and errors: a URL without credentials, or `file:///…`.
pub type SourceName = std::sync::Arc<str>;

/// What `@v/list` said.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Canonical versions, sorted, without duplicates; pseudo-versions kept where upstream names them.
    pub versions: Vec<Version>,
    /// Who said it.
    pub source: SourceName,
}

/// What `@latest` or the `.info` of a revision name said.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The JSON as it came, `Origin` included.
    pub body: Bytes,
    /// What it says.
    pub info: Info,
    /// Who said it.
    pub source: SourceName,
}

/// A file that was fetched and that its sink accepted.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Who served it.
    pub source: SourceName,
    /// Requests that it took, retries and resumptions included.
    pub attempts: u32,
}

/// Why a sink did not take a file.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SinkError {
    /// The complete file was judged and refused; another source may have a good one.
    #[error("{0}")]
    Rejected(String),
    /// Another sink for the same file was first, or has handed out bytes that differ from these. The source
    /// did nothing wrong; it is just not needed any more.
    #[error("{0}")]
    Superseded(String),
    /// The fill can't go on whatever the source (disk full, released bytes differ, shutting down, database unavailable).
    #[error("{0}")]
    Fatal(String),
}

/// Takes one file, possibly from several sources one after the other; never a mixture of them.
#[async_trait]
pub trait Sink: Send {
    /// A body begins at byte 0; whatever came before is void. `total_bytes` where the source says so.
    async fn begin(
        &mut self,
        source: &SourceName,
        total_bytes: Option<u64>,
    ) -> Result<(), SinkError>;
    /// What follows is read from this commit of a repository. Refused where the version is known to be that of
    /// another commit: then its tag was moved, and files of two commits would be mixed.
    async fn read_from(
        &mut self,
        _repository: &SourceName,
        _commit: &ObjectName,
    ) -> Result<(), SinkError> {
        Ok(())
    }
    /// The next bytes.
    async fn write(&mut self, chunk: Bytes) -> Result<(), SinkError>;
    /// The body is complete: judge it.
    async fn finish(&mut self) -> Result<(), SinkError>;
    /// Another sink for the same file, with a place of its own, for a source that is asked beside the
    /// first. Whichever accepts its file first has won; the bytes of two are never mixed. `None` where
    /// only one body at a time can be taken.
    fn rival(&self) -> Option<Box<dyn Sink>> {
        None
    }
}

/// Where module files come from. One conformance suite for every implementation.
#[async_trait]
pub trait Source: Send + Sync {
    /// The versions of a module.
    async fn list(&self, module_path: &ModulePath) -> Result<Listing, SourceError>;
    /// The latest version.
    async fn latest(&self, module_path: &ModulePath) -> Result<Resolved, SourceError>;
    /// The canonical version of a revision name.
    async fn resolve(
        &self,
        module_path: &ModulePath,
        revision: &Revision,
    ) -> Result<Resolved, SourceError>;
    /// Brings one file into `sink`, `finish` included.
    async fn fetch(
        &self,
        module: &ModuleVersion,
        kind: FileKind,
        sink: &mut dyn Sink,
    ) -> Result<Fetched, SourceError>;
    /// Its name.
    fn name(&self) -> SourceName;
}
