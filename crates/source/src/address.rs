//! Which addresses a request may make us dial.
//!
//! Hosts that the operator's own settings name may be anywhere. Hosts that a request or a redirect
//! chose may not lead to this machine or into the networks around it. The guard works where the
//! connection is made: names are looked up once, by [`AddressGuard::addresses`], and what that judged is what
//! is dialled, so that a name that leads elsewhere at the second look gains nothing ([`GuardedResolver`] for
//! HTTP, git's own way out in `git/guarded_proxy.rs`). Literal addresses are judged by
//! [`AddressGuard::check_literal`] before each hop.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use gomod::PathPatterns;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The hosts that may be dialled wherever they are, and the judgement on all others.
#[derive(Clone, Debug)]
pub struct AddressGuard {
    allowed_hosts: BTreeSet<String>,
    /// Patterns of whole hosts.
    allowed_patterns: PathPatterns,
    lookup: Arc<dyn Lookup>,
    /// Addresses of this machine that stand for public ones.
    #[cfg(test)]
    as_if_public: BTreeSet<IpAddr>,
}

/// Looks names up. A seam: what a name leads to is decided elsewhere, and may change from one look to the next.
#[async_trait]
pub(crate) trait Lookup: Debug + Send + Sync {
    async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The system's own lookup.
#[derive(Debug)]
struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

impl Default for AddressGuard {
    fn default() -> Self {
        Self {
            allowed_hosts: BTreeSet::new(),
            allowed_patterns: PathPatterns::default(),
            lookup: Arc::new(SystemLookup),
            #[cfg(test)]
            as_if_public: BTreeSet::new(),
        }
    }
}

/// Why a host is not dialled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Undialled {
    #[error(transparent)]
    Forbidden(ForbiddenAddress),
    #[error("the lookup of its name failed: {0}")]
    Lookup(io::Error),
}

/// A host that may not be dialled because of where it leads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{host}` leads to {address}, an address that a request may not make this server dial")]
pub struct ForbiddenAddress {
    /// The host as it was asked.
    pub host: String,
    /// Where it leads.
    pub address: IpAddr,
}

impl AddressGuard {
    /// A guard that lets these hosts through: those named by the operator's settings.
    pub fn new<'a>(allowed_hosts: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            allowed_hosts: allowed_hosts.into_iter().map(normal_form).collect(),
            ..Self::default()
        }
    }

    /// This guard over other names than the system's, and with some addresses of this machine in the place of
    /// public ones.
    #[cfg(test)]
    pub(crate) fn of_test(self, lookup: Arc<dyn Lookup>, as_if_public: &[IpAddr]) -> Self {
        Self {
            lookup,
            as_if_public: as_if_public.iter().copied().collect(),
            ..self
        }
    }

    /// This guard, for names that the operator's patterns (GOPRIVATE, GOINSECURE) match: the hosts that those
    /// name may be anywhere. A pattern names hosts by its first element, and only if the last label of that
    /// stands there in letters: `*.corp.example/team` names the hosts under `corp.example`, while `*` and
    /// `10.*` match whatever a request brings and name nobody.
    pub fn and_hosts_of(&self, patterns: &PathPatterns) -> Self {
        let hosts: Vec<&str> = patterns
            .as_str()
            .split(',')
            .map(|pattern| pattern.split('/').next().unwrap_or_default())
            .filter(|host| names_hosts(host))
            .collect();
        let mut guard = self.clone();
        guard.allowed_patterns = guard
            .allowed_patterns
            .union(&PathPatterns::parse(&hosts.join(",")));
        guard
    }

    /// This guard, for a client of one more host that the operator named.
    pub fn and_host(&self, host: &str) -> Self {
        let mut guard = self.clone();
        guard.allowed_hosts.insert(normal_form(host));
        guard
    }

    /// True for a host that the operator named.
    pub fn allows_host(&self, host: &str) -> bool {
        let host = normal_form(host);
        self.allowed_hosts.contains(&host) || self.allowed_patterns.matches(&host)
    }

    /// Judges the address that a host leads to.
    pub fn check(&self, host: &str, address: IpAddr) -> Result<(), ForbiddenAddress> {
        #[cfg(test)]
        if self.as_if_public.contains(&address) {
            return Ok(());
        }
        if is_public(address) || self.allows_host(host) {
            Ok(())
        } else {
            Err(ForbiddenAddress {
                host: host.to_owned(),
                address,
            })
        }
    }

    /// The addresses of a host that may be dialled: those, and no others, are what its name leads to. A name is
    /// looked up once.
    ///
    /// # Errors
    /// The forbidden one, where no other is left; the lookup's own.
    pub(crate) async fn addresses(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, Undialled> {
        let found = match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => self
                .lookup
                .addresses(host, port)
                .await
                .map_err(Undialled::Lookup)?,
        };
        let mut forbidden = None;
        let mut allowed = Vec::with_capacity(found.len());
        for address in found {
            match self.check(host, address.ip()) {
                Ok(()) => allowed.push(address),
                Err(refusal) => forbidden = Some(refusal),
            }
        }
        match forbidden {
            Some(refusal) if allowed.is_empty() => Err(Undialled::Forbidden(refusal)),
            _ => Ok(allowed),
        }
    }

    /// Judges a URL whose host is itself an address: such a host never passes the resolver.
    pub fn check_literal(&self, url: &Url) -> Result<(), ForbiddenAddress> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        self.check(url.host_str().unwrap_or_default(), address)
    }
}

/// True for an address of the public internet: not loopback, link-local, private, shared (RFC 6598),
/// unique-local, multicast, reserved or unspecified, nor an IPv6 form that carries such an IPv4 address.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmarking = a == 198 && (b == 18 || b == 19);
    let protocol_assignments = (a, b, c) == (192, 0, 0);
    !(a == 0
        || a >= 240
        || address.is_loopback()
        || address.is_link_local()
        || address.is_private()
        || address.is_multicast()
        || address.is_documentation()
        || shared
        || benchmarking
        || protocol_assignments)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // IPv4-mapped, IPv4-compatible (`::1` and `::` too), NAT64 (RFC 6052, 8215) and 6to4 carry an IPv4 address.
    let carried = match segments {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0x64, 0xff9b, 0 | 1, _, _, _, high, low]
        | [0x2002, high, low, ..] => Some((high, low)),
        _ => None,
    };
    if let Some((high, low)) = carried {
        return is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    }
    let [first, second, ..] = segments;
    let documentation = (first, second) == (0x2001, 0xdb8);
    // Global unicast is 2000::/3; everything else is local, multicast or reserved.
    first & 0xe000 == 0x2000 && !documentation
}

/// Looks names up and passes on the addresses that may be dialled; an error that names the forbidden
/// one where none is left.
#[derive(Clone, Debug)]
pub(crate) struct GuardedResolver {
    guard: Arc<AddressGuard>,
}

impl GuardedResolver {
    pub(crate) fn new(guard: Arc<AddressGuard>) -> Self {
        Self { guard }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.guard.clone();
        Box::pin(async move {
            // Port 0 is replaced by the caller's.
            match guard.addresses(name.as_str(), 0).await {
                Ok(allowed) => Ok(Box::new(allowed.into_iter()) as Addrs),
                Err(Undialled::Forbidden(refusal)) => Err(refusal.into()),
                Err(Undialled::Lookup(error)) => Err(error.into()),
            }
        })
    }
}

/// True for a pattern of hosts that ends in a label of letters, and for an address that is written out.
fn names_hosts(pattern: &str) -> bool {
    if pattern.parse::<Ipv4Addr>().is_ok() {
        return true;
    }
    let last = pattern.rsplit('.').next().unwrap_or_default();
    last.starts_with(|c: char| c.is_ascii_alphabetic())
        && last.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// A host as it is compared: lower case, without the root's dot and an address's brackets.
fn normal_form(host: &str) -> String {
    let host = host.strip_suffix('.').unwrap_or(host);
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    bare.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, public: bool) {
        assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
    }

    #[test]
    fn this_machine_and_the_networks_around_it_are_not_public() {
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "fec0::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::a00:1",
            "2002:7f00:1::",
            "2001:db8::1",
        ] {
            check(address, false);
        }
    }

    #[test]
    fn the_internet_is_public() {
        for address in [
            "1.1.1.1",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "192.0.1.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::",
        ] {
            check(address, true);
        }
    }

    #[test]
    fn a_host_that_the_operator_named_may_be_anywhere() {
        let guard = AddressGuard::new(["Mirror.Internal.", "[::1]"]);
        let loopback = "127.0.0.1".parse().unwrap();
        assert_eq!(guard.check("mirror.internal", loopback), Ok(()));
        assert!(guard.check("other.internal", loopback).is_err());
        let literal = |url: &str| guard.check_literal(&Url::parse(url).unwrap());
        assert_eq!(literal("http://[::1]:80/"), Ok(()));
        assert_eq!(literal("http://anything.example/"), Ok(()));
        assert!(literal("http://127.0.0.1/").is_err());
        // Other spellings of the same address are read as what they are.
        assert!(literal("http://0x7f.1/").is_err());
        assert!(literal("http://2130706433/").is_err());
    }

    #[test]
    fn the_hosts_that_private_patterns_name_may_be_anywhere() {
        let check = |patterns: &str, host: &str, allowed: bool| {
            let guard = AddressGuard::default().and_hosts_of(&PathPatterns::parse(patterns));
            assert_eq!(guard.allows_host(host), allowed, "{patterns} {host}");
        };
        check("git.corp.example/team/*", "git.corp.example", true);
        check("git.corp.example/team/*", "Git.Corp.Example.", true);
        check("*.corp.example,b.example", "git.corp.example", true);
        check("*.corp.example", "corp.example", false);
        check("*.corp.example", "git.corp.example.evil.example", false);
        check("*.internal", "git.internal", true);
        check("10.1.2.3/x", "10.1.2.3", true);
        check("*", "169.254.169.254", false);
        check("*.*", "git.example", false);
        check("169.254.*", "169.254.169.254", false);
        check("*.25[0-9]", "169.254.169.254", false);
        check("*.254", "169.254.169.254", false);
        check("", "git.example", false);
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_not_looked_up_for_a_request() {
        let resolve = |guard: AddressGuard| {
            GuardedResolver::new(Arc::new(guard)).resolve("localhost".parse().unwrap())
        };
        let refused = resolve(AddressGuard::default()).await.err().unwrap();
        assert!(
            refused.downcast_ref::<ForbiddenAddress>().is_some(),
            "{refused}"
        );
        let found = resolve(AddressGuard::new(["localhost"])).await.unwrap();
        assert!(found.count() > 0);
    }
}
