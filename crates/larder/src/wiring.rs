//! Puts the rooms together: from settings to a server that is ready to accept.

mod auth;
mod checksums;
mod credentials;
mod direct;
mod upkeep;

pub(crate) use auth::{AuthTools, auth_tools, direct_source};
pub(crate) use upkeep::Upkeep;

use crate::cause_pages;
use crate::settings::complaint::Complaint;
use crate::settings::config::{Config, Listen, LogFormat, Upstream as ListedUpstream};
use gomod::sumdb::SumdbSetting;
use gomod::{FallBack, ProxyEntry, ProxySpec, SafeUrl};
use proxy::observe::{AccessLog, Metrics};
use proxy::policy::AllowAll;
use proxy::{Parts, ServeOptions, Server};
use source::privacy::{Privacy, Route};
use source::sumdb::{ChecksumSource, SumdbMirror};
use source::{GroupedEntries, Source, Sources, TlsRoots, Upstream, UpstreamOptions};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use store::answers::Answers;
use store::disk::DiskStore;
use store::eviction::{Evictor, EvictorParts, FreeFloor, Limits, Tended, Usage};
use store::first_seen::FirstSeen;
use store::memory::MemoryTier;
use store::pins::Pins;
use store::{Staging, Store};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;

/// Files up to this size are kept in the memory tier. Larger ones gain little: the page cache has
/// them, and a few would push out all others.
const MEMORY_FILE_BYTES: u64 = 1 << 20;

/// Files up to this size are released only when verified, so that they can be staged in memory where the disk takes
/// none.
const STAGED_IN_MEMORY_BYTES: u64 = 8 << 20;

/// How long proven absence is remembered. The go command asks each 404 twice within a moment.
const NEGATIVE: Duration = Duration::from_secs(30);

/// Connections that may wait to be accepted; Linux takes no more than `net.core.somaxconn` (4096). The
/// usual 128 are less than one build farm opens at a time, and what comes beyond waits a second or three
/// for its SYN to be sent again.
const WAITING_CONNECTIONS: u32 = 4096;

/// The runtime that everything runs on.
pub(crate) fn runtime() -> Result<Runtime, Complaint> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Complaint::from_error)
}

/// Binds the first address that this machine has, and says which one it is.
pub(crate) fn listen(listen: &Listen) -> Result<(TcpListener, SocketAddr), Complaint> {
    let mut bound = Err(std::io::ErrorKind::InvalidInput.into());
    for address in &listen.addresses {
        bound = listen_at(*address);
        if bound.is_ok() {
            break;
        }
    }
    bound.map_err(|error| {
        let complaint = Complaint::new(format!("can't listen on `{}`: {error}", listen.text));
        match error.kind() {
            std::io::ErrorKind::AddrInUse => complaint.hint(
                "something listens there already, perhaps another larder; `--listen 127.0.0.1:0` picks a free port",
            ),
            std::io::ErrorKind::PermissionDenied => {
                complaint.hint("ports below 1024 are for the system: use a higher one")
            }
            std::io::ErrorKind::AddrNotAvailable => {
                complaint.hint("no network interface of this machine has that address")
            }
            _ => complaint,
        }
    })
}

fn listen_at(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A server that is started again must not wait for the connections of the one before.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(WAITING_CONNECTIONS)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// A server, and what goes on beside it while it serves.
pub(crate) struct Built {
    pub(crate) server: Server,
    pub(crate) upkeep: Upkeep,
}

/// Where a server's modules come from.
pub(crate) enum Supply {
    /// The upstreams and repositories of the settings.
    Upstreams,
    /// This source and nothing else; the checksum database is asked as the settings have it.
    Only(Arc<dyn Source>),
}

/// Opens the cache folder, looks for git and builds the server.
pub(crate) async fn server(config: &Config) -> Result<Built, Complaint> {
    server_over(config, Supply::Upstreams).await
}

/// The same over what `supply` says.
pub(crate) async fn server_over(config: &Config, supply: Supply) -> Result<Built, Complaint> {
    let instance = format!("{:016x}", fastrand::u64(..));
    let metrics = Metrics::new();
    let privacy = Arc::new(Privacy {
        private: config.private.clone(),
        no_sumdb: config.no_sumdb.clone(),
    });
    let folder = &config.cache_dir;
    let entries: Vec<ProxyEntry> = config
        .upstreams
        .iter()
        .map(|upstream| upstream.entry.clone())
        .collect();
    let options = upstream_options(config, &instance, &metrics)?;
    let sources = sources(config, &entries, &privacy, &options, &metrics).await?;
    let database_http = sources
        .as_ref()
        .map(|sources| Arc::new(sources.database_http(options)));
    let refreshers = sources
        .as_ref()
        .map(|sources| sources.refreshers.clone())
        .unwrap_or_default();
    let database = checksums::database(config, &entries, database_http)?;
    let kept_answers = Answers::open(folder).map_err(Complaint::from_error)?;
    let (store, upkeep) = store(config, &privacy, &kept_answers, &metrics)?;
    let upstreams = sources
        .as_ref()
        .map(|sources| sources.list.clone())
        .unwrap_or_default();
    let source = match supply {
        Supply::Upstreams => sources.map(|sources| sources.source),
        Supply::Only(source) => Some(source),
    };
    let parts = Parts {
        store,
        staging: Arc::new(
            Staging::open(folder, STAGED_IN_MEMORY_BYTES, config.fill_memory_bytes)
                .map_err(Complaint::from_error)?,
        ),
        kept_answers: Arc::new(kept_answers),
        first_seen: Arc::new(FirstSeen::open(folder).map_err(Complaint::from_error)?),
        source,
        upstreams,
        sumdb: database
            .as_ref()
            .map(|database| Arc::new(SumdbMirror::new(database))),
        checksums: database.map(|database| Arc::new(database) as Arc<dyn ChecksumSource>),
        privacy: Privacy::clone(&privacy),
        policy: Arc::new(AllowAll),
        metrics,
        access_log: Arc::new(access_log(config)),
        refresh_access: config.refresh_access.clone(),
        refreshers,
        cause_page: cause_pages::page,
    };
    let serve_options = ServeOptions {
        fresh: config.fresh,
        negative: NEGATIVE,
        prefetch_bytes_per_second: config.prefetch_bytes_per_second,
        instance,
        tls: config.tls.as_ref().map(|files| proxy::TlsFiles {
            certificate: files.certificates.clone(),
            key: files.key.clone(),
        }),
    };
    let server = Server::new(parts, serve_options).map_err(Complaint::from_error)?;
    Ok(Built { server, upkeep })
}

/// The tiers, what keeps the folder within its limits, and what keeps it well.
fn store(
    config: &Config,
    privacy: &Arc<Privacy>,
    answers: &Answers,
    metrics: &Arc<Metrics>,
) -> Result<(Arc<dyn Store>, Upkeep), Complaint> {
    let disk = DiskStore::open(&config.cache_dir).map_err(Complaint::from_error)?;
    let upkeep = |forget| Upkeep {
        disk: disk.clone(),
        scrub_bytes_per_second: config.scrub_bytes_per_second,
        metrics: metrics.clone(),
        forget,
    };
    let (tiers, upkeep): (Arc<dyn Store>, Upkeep) = match config.memory_bytes {
        0 => {
            let upkeep = upkeep(Arc::new(|_| {}));
            (Arc::new(disk.clone()), upkeep)
        }
        bytes => {
            let tier = Arc::new(MemoryTier::new(disk.clone(), bytes, MEMORY_FILE_BYTES));
            let memory = Arc::clone(&tier);
            (tier, upkeep(Arc::new(move |key| memory.forget(key))))
        }
    };
    let limits = match config.offline {
        // Nothing could be brought back, so that nothing goes.
        true => Limits {
            cache_bytes: None,
            free: FreeFloor::Bytes(0),
        },
        false => limits(config),
    };
    metrics.store_limit(limits.cache_bytes);
    let usage = Usage::of(&config.cache_dir, &limits);
    let store: Arc<dyn Store> = Arc::new(Tended::new(tiers, Arc::clone(&usage)));
    let privacy = Arc::clone(privacy);
    let evictor = Evictor::new(EvictorParts {
        disk,
        store: Arc::clone(&store),
        usage,
        pins: Pins::of(&config.cache_dir),
        is_private: Arc::new(move |module_path| privacy.route(module_path) == Route::Private),
        answers: answers.clone(),
        limits,
        observer: metrics.clone(),
    });
    tokio::spawn(evictor.tend());
    Ok((store, upkeep))
}

/// What the folder may hold.
pub(crate) fn limits(config: &Config) -> Limits {
    Limits {
        cache_bytes: config.cache_limit_bytes,
        free: config
            .disk_free_bytes
            .map_or(FreeFloor::Default, FreeFloor::Bytes),
    }
}

/// Where modules come from; nothing when offline.
async fn sources(
    config: &Config,
    entries: &[ProxyEntry],
    privacy: &Arc<Privacy>,
    options: &UpstreamOptions,
    metrics: &Arc<Metrics>,
) -> Result<Option<Sources>, Complaint> {
    if config.offline {
        return Ok(None);
    }
    let of_database = match &config.sumdb {
        SumdbSetting::Database { url: Some(url), .. } => url.host(),
        SumdbSetting::Database { url: None, .. } | SumdbSetting::Off => None,
    };
    let named_hosts: Vec<String> = config
        .credentials
        .hosts()
        .chain(of_database)
        .map(str::to_owned)
        .collect();
    let options_of = |url: &SafeUrl| {
        let mut options = options.clone();
        let own_files = config.upstreams.iter().filter_map(|upstream| {
            matches!(&upstream.entry, ProxyEntry::Proxy(proxy) if proxy.url == *url)
                .then_some(upstream.ca_file.clone())?
        });
        options.extra_ca_files.extend(own_files);
        options
    };
    let guard = source::address_guard(entries, &named_hosts, options_of);
    let direct = direct::direct(config, entries, privacy, &guard, options.clone(), metrics).await?;
    let groups = groups(&config.upstreams);
    source::build(entries, &groups, privacy.clone(), guard, options_of, direct)
        .map(Some)
        .map_err(Complaint::from_error)
}

/// A GOPROXY server that is asked for everything, whatever the patterns say: the user named it.
pub(crate) fn one_upstream(config: &Config, url: &SafeUrl) -> Result<Arc<dyn Source>, Complaint> {
    let options = upstream_options(config, "cache-warm", &Metrics::new())?;
    let entries = [ProxyEntry::Proxy(ProxySpec {
        url: url.clone(),
        fall_back: FallBack::Absent,
    })];
    let guard = source::address_guard(&entries, &[], |_| options.clone());
    let upstream = Upstream::new(url, guard, options).map_err(Complaint::from_error)?;
    Ok(Arc::new(upstream))
}

/// Which of the upstreams are asked as one.
fn groups(upstreams: &[ListedUpstream]) -> Vec<GroupedEntries> {
    let mut groups = Vec::new();
    let mut start = 0;
    for members in upstreams.chunk_by(|one, next| one.group.is_some() && one.group == next.group) {
        let end = start + members.len();
        if let Some(ListedUpstream {
            group: Some(group), ..
        }) = members.first()
        {
            groups.push(GroupedEntries {
                entries: start..end,
                mode: group.mode,
            });
        }
        start = end;
    }
    groups
}

/// How every upstream is asked.
fn upstream_options(
    config: &Config,
    instance: &str,
    metrics: &Arc<Metrics>,
) -> Result<UpstreamOptions, Complaint> {
    let mut options = UpstreamOptions::new(instance, roots(config)?);
    options.connect_timeout = config.connect_timeout;
    options.stall_timeout = config.stall_timeout;
    options.concurrent_requests =
        usize::try_from(config.upstream_concurrency).unwrap_or(usize::MAX);
    options.http_proxies = config.http_proxies.clone();
    options.netrc = Arc::new(config.netrc.clone());
    options.observer = metrics.clone();
    Ok(options)
}

/// Whom connections to upstreams trust.
fn roots(config: &Config) -> Result<TlsRoots, Complaint> {
    let roots = TlsRoots::load(&config.tls_settings);
    let extra: Vec<_> = config.ca_file.iter().cloned().collect();
    roots.with_files(&extra).map_err(Complaint::from_error)
}

fn access_log(config: &Config) -> AccessLog {
    if !config.access_log {
        return AccessLog::off();
    }
    let format = match config.log_format {
        LogFormat::Text => proxy::observe::LogFormat::Text,
        LogFormat::Json => proxy::observe::LogFormat::Json,
    };
    AccessLog::to(Box::new(std::io::stderr()), format)
}
