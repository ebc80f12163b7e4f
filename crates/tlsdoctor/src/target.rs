//! What is diagnosed: a URL, or a host and a port.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::{Host, Url};

/// A place to connect to and what to ask there.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// How to speak to it.
    pub scheme: Scheme,
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path and query, with the slash in front.
    pub path: String,
    /// The value of an Authorization header, where the URL carried a user.
    authorization: Option<String>,
}

/// The schemes of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// As URLs spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A text that is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no https:// or http:// URL and no HOST:PORT: {reason}")]
pub struct TargetError {
    /// The text, without a password.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Target {
    /// Reads `https://host[:port][/path]`, the same with `http`, `host:port`, or `host`; without a scheme
    /// TLS is meant. A user and password in the URL are kept for the request and never shown.
    ///
    /// # Errors
    /// If it is none of these.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let refused = |reason: &str| TargetError {
            text: match text.rsplit_once('@') {
                Some((_, rest)) => rest.to_owned(),
                None => text.to_owned(),
            },
            reason: reason.to_owned(),
        };
        let with_scheme = match text.contains("://") {
            true => text.to_owned(),
            false => format!("https://{text}"),
        };
        let url = Url::parse(&with_scheme).map_err(|error| refused(&error.to_string()))?;
        Self::of(&url).ok_or_else(|| refused("the scheme or the host is missing"))
    }

    /// The target of a URL, if it is http or https and has a host.
    pub fn of(url: &Url) -> Option<Self> {
        let scheme = match url.scheme() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => return None,
        };
        let host = match url.host()? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let decoded = |text: &str| percent_decoded(text);
        let authorization = (!url.username().is_empty() || url.password().is_some()).then(|| {
            let user = decoded(url.username());
            let password = decoded(url.password().unwrap_or_default());
            format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
        });
        Some(Self {
            scheme,
            host,
            port: url.port().unwrap_or_else(|| scheme.port()),
            path,
            authorization,
        })
    }

    /// The same place with another path.
    pub fn at(&self, path: &str) -> Self {
        Self {
            path: path.to_owned(),
            ..self.clone()
        }
    }

    /// The address, if the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// The host as URLs write it, without the port.
    pub fn url_host(&self) -> String {
        match self.address() {
            Some(IpAddr::V6(address)) => format!("[{address}]"),
            _ => self.host.clone(),
        }
    }

    /// Host and port.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.url_host(), self.port)
    }

    /// Host, and the port if it is not the scheme's.
    pub fn short_authority(&self) -> String {
        if self.port == self.scheme.port() {
            self.url_host()
        } else {
            self.authority()
        }
    }

    /// The value of the Authorization header, which nobody may print.
    pub fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }
}

/// The URL without user and password.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.scheme.name();
        write!(f, "{scheme}://{}{}", self.short_authority(), self.path)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        match (byte, digit(ahead.next()), digit(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                rest = ahead;
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_from_urls_and_from_hosts() {
        let check = |text: &str, expected: &str| {
            let read = Target::parse(text);
            assert_eq!(
                read.map(|it| it.to_string()).ok().as_deref(),
                Some(expected)
            );
        };
        check("https://a.example", "https://a.example/");
        check("https://a.example:443/x?y=1", "https://a.example/x?y=1");
        check("http://a.example:8080", "http://a.example:8080/");
        check("a.example:8443", "https://a.example:8443/");
        check("a.example", "https://a.example/");
        check("[::1]:99", "https://[::1]:99/");
        check("https://user:secret@a.example/p", "https://a.example/p");
        assert!(Target::parse("ftp://a.example").is_err());
        let error = Target::parse("ssh://u:secret@a.example").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn a_password_is_sent_and_never_shown() {
        let target = Target::parse("https://user:p%40ss@a.example/").unwrap();
        assert_eq!(target.authorization(), Some("Basic dXNlcjpwQHNz"));
        assert!(!format!("{target:?}").contains("dXNl"));
    }
}
