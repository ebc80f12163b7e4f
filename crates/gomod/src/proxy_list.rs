//! GOPROXY lists (rule 57) and URLs that keep their secrets.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::ParseError;

/// A GOPROXY list: at least one entry, nothing after `direct` or `off`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyList(Vec<ProxyEntry>);

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyEntry {
    /// A proxy to ask.
    Proxy(ProxySpec),
    /// `direct`: ask the repository. Ends the list.
    Direct,
    /// `off`: refuse. Ends the list.
    Off,
}

/// One proxy of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxySpec {
    /// `http`, `https` or `file`; a path without trailing slash.
    pub url: SafeUrl,
    /// The separator that follows it; `Absent` for the last.
    pub fall_back: FallBack,
}

/// When the next entry of a list is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallBack {
    /// `,`: only after proven absence (404 or 410).
    Absent,
    /// `|`: after any error.
    Any,
}

impl ProxyList {
    /// Reads a list as cmd/go's `modfetch.proxyList` does: entries without a scheme get `https://`, empty ones are skipped.
    ///
    /// A list without entries is an error, and so is a single word other than `direct` and `off`.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut entries = Vec::new();
        for entry in text.split_inclusive([',', '|']) {
            let (url, fall_back) = match entry.strip_suffix('|') {
                Some(url) => (url, FallBack::Any),
                None => (entry.strip_suffix(',').unwrap_or(entry), FallBack::Absent),
            };
            match url.trim() {
                "" => continue,
                "off" => {
                    entries.push(ProxyEntry::Off);
                    break;
                }
                "direct" => {
                    entries.push(ProxyEntry::Direct);
                    break;
                }
                url => entries.push(ProxyEntry::Proxy(ProxySpec {
                    url: parse_proxy_url(url)?,
                    fall_back,
                })),
            }
        }
        match entries.last_mut() {
            None => return Err(ParseError::new(PROXY_LIST, text, "contains no entries")),
            Some(ProxyEntry::Proxy(last)) => last.fall_back = FallBack::Absent,
            Some(ProxyEntry::Direct | ProxyEntry::Off) => {}
        }
        Ok(Self(entries))
    }

    /// The entries in order.
    pub fn entries(&self) -> &[ProxyEntry] {
        &self.0
    }
}

impl fmt::Display for ProxyList {
    /// The list as a GOPROXY value, passwords hidden.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for entry in &self.0 {
            f.write_str(separator)?;
            separator = ",";
            match entry {
                ProxyEntry::Proxy(proxy) => {
                    proxy.url.fmt(f)?;
                    if proxy.fall_back == FallBack::Any {
                        separator = "|";
                    }
                }
                ProxyEntry::Direct => f.write_str("direct")?,
                ProxyEntry::Off => f.write_str("off")?,
            }
        }
        Ok(())
    }
}

/// A URL that may hold a password and therefore never prints it.
///
/// Display and Debug replace user and password, and a query, by `REDACTED`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SafeUrl(Url);

impl SafeUrl {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if let Some(bad) = text.chars().find(|c| c.is_control()) {
            return Err(url_error(text, format!("invalid char {bad:?}")));
        }
        Url::parse(text)
            .map(Self)
            .map_err(|error| url_error(text, error.to_string()))
    }

    /// The URL, password included: for the dial only.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// The host's name or address, if the scheme has one.
    pub fn host(&self) -> Option<&str> {
        self.0.host_str()
    }

    /// True for `file://` URLs.
    pub fn is_file(&self) -> bool {
        self.0.scheme() == "file"
    }

    /// True if the URL names a user or a password.
    pub fn has_credentials(&self) -> bool {
        !self.0.username().is_empty() || self.0.password().is_some()
    }

    /// This URL with `path` below its own path, a slash between; a query stays. `path` is plain text such as an
    /// escaped module path: what a URL cannot hold is percent-encoded here.
    pub fn join_path(&self, path: &str) -> Self {
        let mut url = self.0.clone();
        let base = self.0.path().trim_end_matches('/');
        let path = utf8_percent_encode(path.trim_start_matches('/'), UNSAFE_IN_PATH);
        url.set_path(&format!("{base}/{path}"));
        Self(url)
    }
}

impl fmt::Display for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.0.scheme())?;
        if self.0.has_authority() || self.is_file() {
            f.write_str("//")?;
        }
        if self.has_credentials() {
            write!(f, "{REDACTED}@")?;
        }
        f.write_str(self.0.host_str().unwrap_or_default())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.0.path())?;
        if self.0.query().is_some() {
            write!(f, "?{REDACTED}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const PROXY_LIST: &str = "GOPROXY list";
const REDACTED: &str = "REDACTED";

/// Everything but RFC 3986's unreserved characters, the delimiters that a path may hold, and the slash.
const UNSAFE_IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'(')
    .remove(b')')
    .remove(b'+')
    .remove(b',')
    .remove(b'=')
    .remove(b':')
    .remove(b'@')
    .remove(b'/');

/// One entry that is neither empty nor a keyword, as cmd/go's `newProxyRepo` accepts it.
fn parse_proxy_url(entry: &str) -> Result<SafeUrl, ParseError> {
    // A single word is reserved for keywords, and whatever holds `:/` or is an absolute path has to
    // be a whole URL; anything else is a host.
    let is_host =
        entry.contains(['.', ':', '/']) && !entry.contains(":/") && !entry.starts_with('/');
    let text = if is_host {
        &format!("https://{entry}")
    } else {
        entry
    };
    let Some((scheme, rest)) = text.split_once(':') else {
        return Err(url_error(text, "invalid proxy URL missing scheme"));
    };
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" if !rest.starts_with("//") => {
            return Err(url_error(text, "proxy URL without a host"));
        }
        "http" | "https" => {}
        "file" => {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            if !path.starts_with('/') || path.starts_with("//") || path.contains(['?', '#']) {
                let reason = "invalid file:// proxy URL with non-path elements";
                return Err(url_error(text, reason));
            }
        }
        _ if scheme.contains('/') => {
            return Err(url_error(text, "invalid proxy URL missing scheme"));
        }
        _ => {
            let reason = "invalid proxy URL scheme (must be https, http, file)";
            return Err(url_error(text, reason));
        }
    }
    let mut url = SafeUrl::parse(text)?;
    url.0.set_fragment(None);
    let path = url.0.path().trim_end_matches('/').to_owned();
    url.0.set_path(&path);
    Ok(url)
}

/// An error about a URL that did not parse, so that nobody knows where its password ends: all before
/// the last `@` goes, and all behind a `?` or `#`.
fn url_error(text: &str, reason: impl Into<String>) -> ParseError {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme, rest),
        None => ("", text),
    };
    let mut shown = String::new();
    if !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric()) {
        shown.push_str(scheme);
        shown.push_str("://");
    }
    let rest = match rest.rsplit_once('@') {
        Some((_, rest)) => {
            shown.push_str(REDACTED);
            shown.push('@');
            rest
        }
        None => rest,
    };
    shown.push_str(rest.split(['?', '#']).next().unwrap_or_default());
    ParseError::new("URL", &shown, reason)
}

#[cfg(test)]
mod tests;
