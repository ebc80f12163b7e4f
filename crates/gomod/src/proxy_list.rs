//! GOPROXY lists (rule 57).
use crate::ParseError;

/// A URL that may hold a password and therefore never prints it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SafeUrl(url::Url);

impl SafeUrl {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let _ = text;
        todo!()
    }
    /// The URL, password included: for the dial only.
    pub fn expose(&self) -> &url::Url {
        &self.0
    }
}
impl std::fmt::Display for SafeUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let _ = f;
        todo!()
    }
}
impl std::fmt::Debug for SafeUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// When the next entry of a list is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallBack {
    /// `,`: only after proven absence (404 or 410).
    Absent,
    /// `|`: after any error.
    Any,
}

/// One proxy of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxySpec {
    /// `http`, `https` or `file`; a path without trailing slash.
    pub url: SafeUrl,
    /// The separator that follows it; `Absent` for the last.
    pub fall_back: FallBack,
}

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

/// A GOPROXY list: at least one entry, nothing after `direct` or `off`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyList(Vec<ProxyEntry>);

impl ProxyList {
    /// Reads a list as cmd/go's `modfetch.proxyList` does: entries without a scheme get `https://`, empty ones are skipped.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let _ = text;
        todo!()
    }
    /// The entries in order.
    pub fn entries(&self) -> &[ProxyEntry] {
        &self.0
    }
}
