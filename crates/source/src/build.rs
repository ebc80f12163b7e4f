//! From the settings to a source: what the binary calls at start.

mod direct;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::Arc;

use gomod::{FallBack, ProxyEntry, SafeUrl};
use url::Host;

use crate::Source;
use crate::address::AddressGuard;
use crate::breaker::Breaker;
use crate::chain::{Chain, ChainEnd, ChainEntry};
use crate::database_http::DatabaseHttp;
use crate::file::FileSource;
use crate::group::{Group, GroupMember, GroupMode};
use crate::http_client::ClientError;
use crate::options::{Repeats, UpstreamOptions};
use crate::privacy::{Privacy, PrivateAware};
use crate::refresh::Refresher;
use crate::upstream::Upstream;
use crate::upstream_list::{Listed, UpstreamList};

pub use direct::{Direct, DirectError, DirectOptions, GitFound};

/// Why no source can be made of the settings.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// An upstream cannot be set up.
    #[error("upstream `{upstream}`: {error}")]
    Upstream {
        /// Its name, without a password.
        upstream: String,
        /// Why.
        error: ClientError,
    },
    /// A `file://` entry names no folder.
    #[error("{0}")]
    Folder(String),
    /// A scheme other than http, https and file.
    #[error("upstream `{0}`: only http, https and file can be asked")]
    Scheme(String),
}

/// The source of all modules, and its parts.
#[derive(Clone)]
pub struct Sources {
    /// What fills ask. Private names stop here.
    pub source: Arc<dyn Source>,
    /// The upstreams over HTTP, in the order of the list.
    pub upstreams: Vec<Arc<Upstream>>,
    /// All of them, for those who show how they are.
    pub list: UpstreamList,
    /// The address rule that they share: for whatever else dials hosts that a request chose.
    pub guard: Arc<AddressGuard>,
    /// Whatever of them remembers something of a repository between two questions; those that know roots
    /// before those that know listings. An upstream proxy remembers nothing.
    pub refreshers: Vec<Arc<dyn Refresher>>,
}

impl Sources {
    /// What a checksum database is asked with: through an upstream with that upstream's options, directly
    /// with `direct`.
    pub fn database_http(&self, direct: UpstreamOptions) -> DatabaseHttp {
        let of_upstreams = self
            .upstreams
            .iter()
            .map(|upstream| (upstream.name(), upstream.options().clone()))
            .collect();
        DatabaseHttp::new(of_upstreams, self.guard.clone(), direct)
    }
}

/// The address rule for a GOPROXY list: the hosts of its entries, and of the HTTP proxies on the way to them,
/// may be dialled wherever they are. So may `named_hosts`, further ones that the operator's settings name, such
/// as the checksum database's.
pub fn address_guard(
    entries: &[ProxyEntry],
    named_hosts: &[String],
    options: impl Fn(&SafeUrl) -> UpstreamOptions,
) -> Arc<AddressGuard> {
    let mut allowed_hosts = named_hosts.to_vec();
    for entry in entries {
        if let ProxyEntry::Proxy(spec) = entry {
            allowed_hosts.extend(spec.url.expose().host_str().map(str::to_owned));
            let options = options(&spec.url);
            allowed_hosts.extend(options.http_proxies.hosts().map(str::to_owned));
        }
    }
    Arc::new(AddressGuard::new(allowed_hosts.iter().map(String::as_str)))
}

/// Entries of a list that are asked as one. The separator behind the last is the group's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupedEntries {
    /// Which of the entries, counted from 0.
    pub entries: std::ops::Range<usize>,
    /// How they are asked.
    pub mode: GroupMode,
}

/// Makes the source of a GOPROXY list.
///
/// `entries` are those of [`gomod::ProxyList::entries`], without the ones that are this server
/// ([`is_this_server`]); `groups` says which of them are asked as one. `guard` is what [`address_guard`] made of
/// them. `options` says how the upstream of each URL is asked (an extra CA file may be its own). `direct` fetches
/// private modules, and what the list's `direct` is for. Opens no connection.
pub fn build(
    entries: &[ProxyEntry],
    groups: &[GroupedEntries],
    privacy: Arc<Privacy>,
    guard: Arc<AddressGuard>,
    options: impl Fn(&SafeUrl) -> UpstreamOptions,
    direct: Direct,
) -> Result<Sources, BuildError> {
    let mut chain = Vec::new();
    let mut upstreams = Vec::new();
    let mut listed = Vec::new();
    let mut end = ChainEnd::Source;
    let mut group: Vec<GroupMember> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let spec = match entry {
            ProxyEntry::Proxy(spec) => spec,
            ProxyEntry::Direct => {
                listed.push(Listed::Unmeasured("direct".into()));
                match &direct.source {
                    Ok(source) => chain.push(ChainEntry {
                        source: source.clone(),
                        fall_back: FallBack::Absent,
                        breaker: None,
                    }),
                    Err(why) => end = ChainEnd::NoDirect(why.clone()),
                }
                break;
            }
            ProxyEntry::Off => {
                end = ChainEnd::Off;
                break;
            }
        };
        let of_group = groups
            .iter()
            .find(|group| group.entries.contains(&index) && group.entries.len() > 1);
        let mut options = options(&spec.url);
        let another_is_asked = spec.fall_back == FallBack::Any
            && matches!(entries.get(index + 1), Some(next) if *next != ProxyEntry::Off);
        options.repeats = match of_group {
            Some(_) => Repeats::Never,
            None if another_is_asked => Repeats::WhileWell,
            None => Repeats::Always,
        };
        let observer = options.observer.clone();
        let (source, breaker) = proxy_source(&spec.url, &guard, options, &mut upstreams)?;
        let Some(of_group) = of_group else {
            listed.push(match upstreams.last() {
                Some(upstream) if breaker.is_some() => Listed::Alone(upstream.clone()),
                _ => Listed::Unmeasured(source.name()),
            });
            chain.push(ChainEntry {
                source,
                fall_back: spec.fall_back,
                breaker,
            });
            continue;
        };
        group.push(GroupMember { source, breaker });
        if index + 1 == of_group.entries.end {
            let members = std::mem::take(&mut group);
            let group = Arc::new(Group::new(of_group.mode, members, observer));
            listed.push(Listed::Group(group.clone()));
            chain.push(ChainEntry {
                source: group,
                fall_back: spec.fall_back,
                breaker: None,
            });
        }
    }
    Ok(Sources {
        source: Arc::new(PrivateAware::new(
            Arc::new(Chain::new(chain, end).telling_absence_by(direct.roots)),
            direct.source,
            privacy,
        )),
        upstreams,
        list: UpstreamList::new(listed),
        guard,
        refreshers: direct.refreshers,
    })
}

/// A source, and what is remembered of its outages, where it can have some.
type WithBreaker = (Arc<dyn Source>, Option<Arc<Breaker>>);

/// One entry of the list that is a proxy or a folder.
fn proxy_source(
    url: &SafeUrl,
    guard: &Arc<AddressGuard>,
    options: UpstreamOptions,
    upstreams: &mut Vec<Arc<Upstream>>,
) -> Result<WithBreaker, BuildError> {
    match url.expose().scheme() {
        "http" | "https" => {
            let made = Upstream::new(url, guard.clone(), options);
            let upstream = Arc::new(made.map_err(|error| BuildError::Upstream {
                upstream: url.to_string(),
                error,
            })?);
            upstreams.push(upstream.clone());
            let breaker = upstream.breaker().clone();
            Ok((upstream, Some(breaker)))
        }
        "file" => {
            let folder = FileSource::new(url).map_err(BuildError::Folder)?;
            Ok((Arc::new(folder), None))
        }
        _ => Err(BuildError::Scheme(url.to_string())),
    }
}

/// True if a URL of the list is a server that listens on one of these addresses: such an entry would lead
/// in a circle. Looks the host up, so it may block; a host that cannot be looked up is not us.
pub fn is_this_server(url: &SafeUrl, listening: &[SocketAddr]) -> bool {
    let url = url.expose();
    if !matches!(url.scheme(), "http" | "https") {
        return false;
    }
    let Some(port) = url.port_or_known_default() else {
        return false;
    };
    let ports_fit = |own: &&SocketAddr| own.port() == port;
    if !listening.iter().any(|own| ports_fit(&own)) {
        return false;
    }
    let addresses: Vec<IpAddr> = match url.host() {
        Some(Host::Ipv4(address)) => vec![address.into()],
        Some(Host::Ipv6(address)) => vec![address.into()],
        Some(Host::Domain(name)) => match (name, port).to_socket_addrs() {
            Ok(found) => found.map(|address| address.ip()).collect(),
            Err(_) => return false,
        },
        None => return false,
    };
    addresses.into_iter().any(|address| {
        let address = dialled(address);
        listening
            .iter()
            .filter(ports_fit)
            .any(|own| answers_at(own.ip(), address))
    })
}

/// Dialling the unspecified address reaches this machine.
fn dialled(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

fn answers_at(own: IpAddr, address: IpAddr) -> bool {
    let own = own.to_canonical();
    if own.is_unspecified() {
        // `[::]` takes IPv4 too.
        let family_fits = own.is_ipv6() || address.is_ipv4();
        return family_fits && is_own_address(address);
    }
    own == address
}

/// Only an address of this machine's own interfaces can be bound.
fn is_own_address(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests;
