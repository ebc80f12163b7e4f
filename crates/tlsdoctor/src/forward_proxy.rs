//! The proxy of HTTP_PROXY and HTTPS_PROXY: its address and its credentials.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diagnosis::Finding;
use url::{Host, Url};

use crate::finding::Judgement;
use crate::target::percent_decoded;

/// A forward proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct ForwardProxy {
    /// How to speak to it.
    pub kind: ProxyKind,
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    credentials: Option<String>,
}

/// How to speak to a forward proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// CONNECT in the clear.
    Http,
    /// CONNECT inside TLS.
    Https,
    /// SOCKS 5, with names resolved by the proxy.
    Socks5,
}

/// A value that names no proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the proxy address cannot be used: {reason}")]
pub struct ForwardProxyError {
    /// What is wrong with it; nothing of the value, which may hold a password.
    pub reason: String,
}

impl ForwardProxyError {
    /// The finding that this is, for the host that was to be reached.
    pub fn finding(&self, host: &str) -> Option<Finding> {
        Judgement::certain("http-proxy-config", self.to_string()).finding(host)
    }
}

impl ForwardProxy {
    /// Reads the value of HTTPS_PROXY as Go does: without a scheme `http://` is meant.
    ///
    /// # Errors
    /// If it is malformed, or of a scheme that Go does not speak.
    pub fn parse(value: &str) -> Result<Self, ForwardProxyError> {
        let refused = |reason: &str| ForwardProxyError {
            reason: reason.to_owned(),
        };
        let with_scheme = match value.contains("://") {
            true => value.to_owned(),
            false => format!("http://{value}"),
        };
        let url = Url::parse(&with_scheme).map_err(|error| refused(&error.to_string()))?;
        let (kind, default_port) = match url.scheme() {
            "http" => (ProxyKind::Http, 80),
            "https" => (ProxyKind::Https, 443),
            "socks5" | "socks5h" => (ProxyKind::Socks5, 1080),
            _ => return Err(refused("its scheme is none of http, https and socks5")),
        };
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(refused("it has no host")),
        };
        let credentials = (!url.username().is_empty()).then(|| {
            let user = percent_decoded(url.username());
            let password = percent_decoded(url.password().unwrap_or_default());
            format!("{user}:{password}")
        });
        Ok(Self {
            kind,
            // A bracket that the URL standard forgives in other schemes.
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(default_port),
            credentials,
        })
    }

    /// The value of the Proxy-Authorization header, which nobody may print.
    pub fn authorization(&self) -> Option<String> {
        let credentials = self.credentials.as_ref()?;
        Some(format!("Basic {}", STANDARD.encode(credentials)))
    }
}

/// The URL without user and password.
impl fmt::Display for ForwardProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            ProxyKind::Http => "http",
            ProxyKind::Https => "https",
            ProxyKind::Socks5 => "socks5",
        };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for ForwardProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForwardProxy({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read_as_go_reads_them() {
        let check = |value: &str, expected: Option<&str>| {
            let read = ForwardProxy::parse(value).map(|proxy| proxy.to_string());
            assert_eq!(read.ok().as_deref(), expected, "{value}");
        };
        check("proxy.example:3128", Some("http://proxy.example:3128"));
        check(
            "http://u:p@proxy.example:3128",
            Some("http://proxy.example:3128"),
        );
        check("https://proxy.example", Some("https://proxy.example:443"));
        check("socks5://127.0.0.1", Some("socks5://127.0.0.1:1080"));
        check("http://[bad", None);
        check("ftp://proxy.example", None);
    }
}
