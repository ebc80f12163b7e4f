//! The settings as the program uses them: every default filled in, every text parsed, everything
//! cross-checked.
//!
//! Made by [`resolve`](super::resolve::resolve) and by nothing else; handed to the wiring in
//! `commands/serve.rs`. It deliberately does not know where a value came from: that is
//! [`Written`](super::written::Written)'s business.

use super::environment::Environment;
use gomod::sumdb::SumdbSetting;
use gomod::{PathPatterns, ProxyEntry};
use proxy::refresh::access::RefreshAccess;
use source::{
    BookSource, CredentialBook, GitProtocol, GoVcs, GroupMode, HttpProxies, Netrc, TlsSettings,
};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What `larder serve` and `larder exec` run with.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) listen: Listen,
    /// HTTPS instead of HTTP.
    pub(crate) tls: Option<TlsFiles>,
    /// The folder of `download/`, `state/` and `staging/`. Absolute; may not exist yet.
    pub(crate) cache_dir: PathBuf,
    /// Where modules come from, in the order in which they are asked. At least one; nothing
    /// follows `direct` or `off`. Empty only when offline.
    pub(crate) upstreams: Vec<Upstream>,
    /// Module paths that no upstream proxy and no checksum database hears of.
    pub(crate) private: PathPatterns,
    /// Module paths that are not looked up in the checksum database.
    pub(crate) no_sumdb: PathPatterns,
    pub(crate) sumdb: SumdbSetting,
    /// Nothing is fetched; `list` and `@latest` are computed from the store.
    pub(crate) offline: bool,
    /// How long a `list` or an `@latest` is served without asking upstream again.
    pub(crate) fresh: Duration,
    /// Who may have what is remembered of a module forgotten before that.
    pub(crate) refresh_access: RefreshAccess,
    /// What fetches from repositories.
    pub(crate) git: GitProgram,
    /// The environment that git runs in.
    pub(crate) git_environment: Environment,
    /// How repositories may be reached, the preferred first.
    pub(crate) git_protocols: Vec<GitProtocol>,
    /// Bytes that all mirrors of repositories may take.
    pub(crate) git_mirrors_bytes: u64,
    /// Git processes at the same time.
    pub(crate) git_processes: u32,
    /// Which version control systems may be used for what.
    pub(crate) govcs: GoVcs,
    /// Module paths for which http will do.
    pub(crate) insecure: PathPatterns,
    /// Bytes of module files at most; none for no limit.
    pub(crate) cache_limit_bytes: Option<u64>,
    /// Bytes of the disk that stay free; none for the default, which depends on the disk.
    pub(crate) disk_free_bytes: Option<u64>,
    /// Bytes of the memory tier of the store.
    pub(crate) memory_bytes: u64,
    /// Bytes that all fills together may hold in memory.
    pub(crate) fill_memory_bytes: u64,
    /// What the scrub may read in a second; 0 for no scrub.
    pub(crate) scrub_bytes_per_second: u64,
    /// Bytes a second that may be fetched before they are asked for.
    pub(crate) prefetch_bytes_per_second: u64,
    /// How long a connection to an upstream may take, TLS included.
    pub(crate) connect_timeout: Duration,
    /// How long an upstream may send nothing.
    pub(crate) stall_timeout: Duration,
    /// Requests that may be under way to one upstream at the same time.
    pub(crate) upstream_concurrency: u32,
    /// Where the certificates are that connections to upstreams trust.
    pub(crate) tls_settings: TlsSettings,
    /// Certificates trusted besides those, by every upstream (PEM).
    pub(crate) ca_file: Option<PathBuf>,
    /// HTTP proxies on the way to upstreams.
    pub(crate) http_proxies: HttpProxies,
    /// The passwords of the netrc file that go would read.
    pub(crate) netrc: Netrc,
    /// Which credential git gets where; the netrc file's passwords too.
    pub(crate) credentials: CredentialBook,
    /// How that is read again while the server runs.
    pub(crate) credential_source: BookSource,
    pub(crate) log_format: LogFormat,
    pub(crate) log_level: LogLevel,
    /// One log line a request.
    pub(crate) access_log: bool,
}

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listen {
    /// As written: `HOST:PORT`.
    pub(crate) text: String,
    /// What it resolved to at start-up; at least one. Port 0 picks a free one.
    pub(crate) addresses: Vec<SocketAddr>,
}

/// The server's own certificate; both files are PEM and are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// The certificate first, then its intermediates.
    pub(crate) certificates: PathBuf,
    pub(crate) key: PathBuf,
}

/// One entry of the upstream list, with what only this upstream needs.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    /// Its URL holds the credentials that were written for it.
    pub(crate) entry: ProxyEntry,
    /// A PEM file of certificates trusted for this upstream, besides [`Config::ca_file`].
    pub(crate) ca_file: Option<PathBuf>,
    /// The group that it is a member of. Members of one group stand one after the other.
    pub(crate) group: Option<UpstreamGroup>,
}

/// A table whose upstreams are asked as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UpstreamGroup {
    /// Which table: two groups may follow each other.
    pub(crate) number: usize,
    pub(crate) mode: GroupMode,
}

/// What fetches from git repositories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GitProgram {
    /// Nothing does.
    Off,
    /// A path, or a name to be looked for in PATH.
    At(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}
