//! Which HTTP proxy a request goes through: HTTP_PROXY, HTTPS_PROXY and NO_PROXY as Go reads them
//! (`golang.org/x/net/http/httpproxy`). The values come from the settings, never from the environment.

use std::fmt;
use std::net::IpAddr;

use gomod::ParseError;
use url::{Host, Url};

/// The HTTP proxies and the hosts that are reached without one.
#[derive(Clone, Default)]
pub struct HttpProxies {
    http: Option<Url>,
    https: Option<Url>,
    exceptions: Vec<Exception>,
}

#[derive(Clone, Debug)]
enum Exception {
    Everything,
    Network {
        address: IpAddr,
        prefix_bits: u8,
    },
    Address {
        address: IpAddr,
        port: Option<u16>,
    },
    /// `suffix` begins with a dot.
    Domain {
        suffix: String,
        and_itself: bool,
        port: Option<u16>,
    },
}

impl HttpProxies {
    /// Reads the three values; an empty one is one that is not set. A proxy without a scheme is `http://`.
    /// Entries of `no_proxy` that make no sense are passed over, as Go does.
    pub fn parse(http: &str, https: &str, no_proxy: &str) -> Result<Self, ParseError> {
        Ok(Self {
            http: parse_proxy("HTTP_PROXY", http)?,
            https: parse_proxy("HTTPS_PROXY", https)?,
            exceptions: parse_exceptions(no_proxy),
        })
    }

    /// The proxy for a request, if it goes through one. Loopback never does.
    pub fn for_url(&self, url: &Url) -> Option<&Url> {
        let proxy = match url.scheme() {
            "http" => self.http.as_ref()?,
            "https" => self.https.as_ref()?,
            _ => return None,
        };
        let host = url.host()?;
        let port = url.port_or_known_default()?;
        let excepted = is_loopback(&host)
            || self
                .exceptions
                .iter()
                .any(|exception| exception.covers(&host, port));
        (!excepted).then_some(proxy)
    }

    /// The proxies' own hosts: the operator named them, so they may be dialled wherever they are.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.http
            .iter()
            .chain(&self.https)
            .filter_map(|proxy| proxy.host_str())
    }

    /// True without a proxy.
    pub fn is_empty(&self) -> bool {
        self.http.is_none() && self.https.is_none()
    }
}

impl fmt::Debug for HttpProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |proxy: &Option<Url>| {
            proxy
                .as_ref()
                .and_then(|proxy| proxy.host_str().map(str::to_owned))
        };
        f.debug_struct("HttpProxies")
            .field("http", &host(&self.http))
            .field("https", &host(&self.https))
            .field("exceptions", &self.exceptions)
            .finish()
    }
}

impl Exception {
    fn covers(&self, host: &Host<&str>, asked_port: u16) -> bool {
        let port_fits = |port: &Option<u16>| port.is_none_or(|port| port == asked_port);
        match self {
            Self::Everything => true,
            Self::Network {
                address,
                prefix_bits,
            } => ip_of(host).is_some_and(|asked| network_holds(*address, *prefix_bits, asked)),
            Self::Address { address, port } => {
                ip_of(host) == Some(address.to_canonical()) && port_fits(port)
            }
            Self::Domain {
                suffix,
                and_itself,
                port,
            } => {
                let Host::Domain(name) = host else {
                    return false;
                };
                let name = name.to_ascii_lowercase();
                let itself = suffix.strip_prefix('.') == Some(name.as_str());
                (name.ends_with(suffix.as_str()) || (*and_itself && itself)) && port_fits(port)
            }
        }
    }
}

fn parse_proxy(variable: &'static str, text: &str) -> Result<Option<Url>, ParseError> {
    if text.is_empty() {
        return Ok(None);
    }
    let complete = Url::parse(text).ok().filter(Url::has_host);
    let parsed = complete.or_else(|| Url::parse(&format!("http://{text}")).ok());
    // The text may hold a password and is therefore not repeated in an error.
    let refuse = |reason: &str| Err(ParseError::new(variable, "", reason));
    let Some(mut proxy) = parsed else {
        return refuse("it is not the URL of an HTTP proxy");
    };
    match proxy.scheme() {
        "http" | "https" | "socks5h" => Ok(Some(proxy)),
        // Go leaves the name lookup to the SOCKS proxy; here the scheme says who looks it up.
        "socks5" => match proxy.set_scheme("socks5h") {
            Ok(()) => Ok(Some(proxy)),
            Err(()) => refuse("its scheme cannot be used"),
        },
        _ => refuse("its scheme must be http, https, socks5 or socks5h"),
    }
}

fn parse_exceptions(no_proxy: &str) -> Vec<Exception> {
    let mut exceptions = Vec::new();
    for entry in no_proxy.split(',') {
        let entry = entry.trim().to_lowercase();
        if entry == "*" {
            return vec![Exception::Everything];
        }
        exceptions.extend(parse_exception(&entry));
    }
    exceptions
}

fn parse_exception(entry: &str) -> Option<Exception> {
    if let Some((address, bits)) = entry.split_once('/')
        && let (Ok(address), Ok(prefix_bits)) = (address.parse::<IpAddr>(), bits.parse::<u8>())
        && prefix_bits <= if address.is_ipv4() { 32 } else { 128 }
    {
        return Some(Exception::Network {
            address,
            prefix_bits,
        });
    }
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Some(Exception::Address {
            address,
            port: None,
        });
    }
    let (host, port) = match entry.rsplit_once(':') {
        // A port that is no number matches nothing, and neither does its entry.
        Some((host, port)) => (host, Some(port.parse::<u16>().ok()?)),
        None => (entry, None),
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(Exception::Address { address, port });
    }
    let host = if host.starts_with("*.") {
        host.get(1..)?
    } else {
        host
    };
    if host.is_empty() {
        return None;
    }
    let (name, and_itself) = match host.strip_prefix('.') {
        Some(name) => (name, false),
        None => (host, true),
    };
    // International names are compared in the form that URLs hold.
    let name = match Host::parse(name) {
        Ok(Host::Domain(domain)) => domain,
        _ => name.to_owned(),
    };
    Some(Exception::Domain {
        suffix: format!(".{name}"),
        and_itself,
        port,
    })
}

fn ip_of(host: &Host<&str>) -> Option<IpAddr> {
    match host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(IpAddr::V4(*address)),
        Host::Ipv6(address) => Some(IpAddr::V6(*address).to_canonical()),
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(_) | Host::Ipv6(_) => ip_of(host).is_some_and(|address| address.is_loopback()),
    }
}

fn network_holds(network: IpAddr, prefix_bits: u8, asked: IpAddr) -> bool {
    match (network, asked) {
        (IpAddr::V4(network), IpAddr::V4(asked)) => {
            let shift = 32_u32.saturating_sub(prefix_bits.into());
            let head = |address: u32| address.checked_shr(shift).unwrap_or(0);
            head(network.to_bits()) == head(asked.to_bits())
        }
        (IpAddr::V6(network), IpAddr::V6(asked)) => {
            let shift = 128_u32.saturating_sub(prefix_bits.into());
            let head = |address: u128| address.checked_shr(shift).unwrap_or(0);
            head(network.to_bits()) == head(asked.to_bits())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(no_proxy: &str, url: &str, goes_through_proxy: bool) {
        let proxies =
            HttpProxies::parse("plain.example:3128", "https://tls.example", no_proxy).unwrap();
        let chosen = proxies.for_url(&Url::parse(url).unwrap());
        assert_eq!(chosen.is_some(), goes_through_proxy, "{no_proxy} {url}");
    }

    #[test]
    fn the_scheme_of_the_request_chooses_the_proxy() {
        let proxies = HttpProxies::parse("plain.example:3128", "socks5://tls.example", "").unwrap();
        let through = |url: &str| proxies.for_url(&Url::parse(url).unwrap()).map(Url::as_str);
        assert_eq!(
            through("http://a.example/"),
            Some("http://plain.example:3128/")
        );
        assert_eq!(through("https://a.example/"), Some("socks5h://tls.example"));
        let hosts: Vec<_> = proxies.hosts().collect();
        assert_eq!(hosts, ["plain.example", "tls.example"]);
    }

    #[test]
    fn loopback_never_goes_through_a_proxy() {
        check("", "http://localhost:8080/", false);
        check("", "http://127.0.0.9/", false);
        check("", "http://[::1]:3/", false);
        check("", "http://10.0.0.1/", true);
    }

    #[test]
    fn a_domain_covers_itself_and_what_is_below_it() {
        check("foo.com", "https://foo.com/", false);
        check("foo.com", "https://bar.foo.com/", false);
        check("foo.com", "https://barfoo.com/", true);
        check(".foo.com", "https://foo.com/", true);
        check(".foo.com", "https://bar.foo.com/", false);
        check("*.foo.com", "https://foo.com/", true);
        check("*.foo.com", "https://bar.foo.com/", false);
        check(" FOO.com , x", "https://Bar.Foo.Com/", false);
    }

    #[test]
    fn a_port_narrows_an_entry() {
        check("foo.com:8443", "https://foo.com/", true);
        check("foo.com:8443", "https://foo.com:8443/", false);
        check("foo.com:443", "https://foo.com/", false);
        check("10.0.0.1:81", "http://10.0.0.1:81/", false);
        check("10.0.0.1:81", "http://10.0.0.1/", true);
        check("[2001:db8::1]:81", "http://[2001:db8::1]:81/", false);
    }

    #[test]
    fn addresses_and_networks_match_addresses_only() {
        check("10.0.0.0/8", "http://10.200.3.4/", false);
        check("10.0.0.0/8", "http://11.0.0.1/", true);
        check("0.0.0.0/0", "http://11.0.0.1/", false);
        check("2001:db8::/32", "http://[2001:db8:5::1]/", false);
        check("10.0.0.1", "http://10.0.0.1:99/", false);
        check("10.0.0.0/8", "http://ten.example/", true);
    }

    #[test]
    fn a_star_stands_for_everything_and_nonsense_for_nothing() {
        check("x,*", "https://anything.example/", false);
        check(
            ",:80,foo.com:port,10.0.0.0/99",
            "https://anything.example/",
            true,
        );
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_refused_without_its_password() {
        let error = HttpProxies::parse("ftp://ann:s3cret@proxy.example", "", "").unwrap_err();
        assert!(error.to_string().contains("HTTP_PROXY"), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
