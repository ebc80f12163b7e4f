//! Where a credential rule applies: a host, and perhaps a folder on it.

use std::fmt;

use url::Host;

use crate::{GitProtocol, RepositoryUrl};

/// A host, perhaps a port, perhaps a path prefix: `git.example`, `git.example/team`, `git.example:8443/team`.
/// Prefixes end on the borders of path elements; letters are compared as they are written, but for the host's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CredentialPlace {
    /// As in [`RepositoryUrl::host`].
    host: String,
    port: Option<u16>,
    /// Without slashes at its ends and without the last element's `.git`.
    path: String,
}

/// Why a rule that names the host does not apply to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NearMiss {
    /// It is for another folder of the host.
    Path,
    /// It is for another folder, which differs in the case of its letters alone.
    Case,
    /// It is for another port.
    Port,
    /// It is for the same place, and for another protocol.
    Protocol(GitProtocol),
    /// It would apply, but a rule with a longer path does.
    Shorter,
}

impl fmt::Display for NearMiss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path => f.write_str("it is for another path"),
            Self::Case => f.write_str("its path differs in upper and lower case"),
            Self::Port => f.write_str(
                "it is for another port: a rule without one is for the protocol's own port",
            ),
            Self::Protocol(protocol) => write!(f, "it is for addresses with `{protocol}://`"),
            Self::Shorter => f.write_str("a rule with a longer path applies"),
        }
    }
}

impl CredentialPlace {
    /// Reads a place; the error is a phrase about the text, which it does not repeat.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(format!(
                "begins with `{scheme}://`: it is a host, or a host and a path, without a scheme"
            ));
        }
        if !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err("holds spaces, control or non-ASCII characters".to_owned());
        }
        if text.contains(['*', '?', '[']) && !text.starts_with('[') {
            return Err(
                "has a wildcard: a host or a path prefix covers all that lies below it".to_owned(),
            );
        }
        if text.contains(['@', '#', '?', '%', '\\']) {
            return Err("is not a host and a path".to_owned());
        }
        let (authority, path) = text.split_once('/').unwrap_or((text, ""));
        // The colons of an IPv6 address stand in brackets.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let port = port.parse().map_err(|_| {
                    format!("has a port that is none, or `:` for `/`: write `{host}/{port}`")
                })?;
                (host, Some(port))
            }
            _ => (authority, None),
        };
        let host = Host::parse(host).map_err(|_| "names no host".to_owned())?;
        let path = path.trim_end_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let odd = |element: &str| matches!(element, "" | "." | "..");
        if !path.is_empty() && path.split('/').any(odd) {
            return Err("has an empty or dotted path element".to_owned());
        }
        Ok(Self {
            host: host.to_string(),
            port,
            path: path.to_owned(),
        })
    }

    /// The host in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, where one is written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// How much it says: of two places that cover an address the more exact one counts.
    pub(super) fn precision(&self) -> (usize, bool) {
        (self.elements().count(), self.port.is_some())
    }

    /// Whether it covers an address; `None` for an address at another host.
    ///
    /// A password goes to the port that was meant and to no other; a key proves itself and shows nothing, so
    /// for SSH a place without a port covers every port.
    pub(super) fn covers(&self, url: &RepositoryUrl) -> Option<Result<(), NearMiss>> {
        if self.host != url.host() {
            return None;
        }
        let port_fits = match self.port {
            Some(port) => url.port() == Some(port),
            None => url.protocol() == GitProtocol::Ssh || url.port() == url.protocol().port(),
        };
        if !port_fits {
            return Some(Err(NearMiss::Port));
        }
        let path = url.path().trim_end_matches('/');
        let path = path.strip_prefix('/').unwrap_or(path);
        let path = path.strip_suffix(".git").unwrap_or(path);
        if self.is_prefix_of(path, |own, other| own == other) {
            Some(Ok(()))
        } else if self.is_prefix_of(path, str::eq_ignore_ascii_case) {
            Some(Err(NearMiss::Case))
        } else {
            Some(Err(NearMiss::Path))
        }
    }

    fn is_prefix_of(&self, path: &str, same: impl Fn(&str, &str) -> bool) -> bool {
        let mut others = path.split('/');
        self.elements()
            .all(|own| others.next().is_some_and(|other| same(own, other)))
    }

    fn elements(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').filter(|element| !element.is_empty())
    }
}

impl fmt::Display for CredentialPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        if !self.path.is_empty() {
            write!(f, "/{}", self.path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn covers(place: &str, url: &str, expected: Option<Result<(), NearMiss>>) {
        let place = CredentialPlace::parse(place).unwrap();
        let url = RepositoryUrl::parse(url).unwrap();
        assert_eq!(place.covers(&url), expected, "{place} and {url}");
    }

    #[test]
    fn a_place_covers_what_lies_below_it_on_the_borders_of_elements() {
        covers("git.example", "https://git.example/a/b", Some(Ok(())));
        covers("Git.Example/", "https://GIT.example/a", Some(Ok(())));
        covers("git.example/a", "https://git.example/a", Some(Ok(())));
        covers("git.example/a", "https://git.example/a.git", Some(Ok(())));
        covers(
            "git.example/a/b.git",
            "https://git.example/a/b",
            Some(Ok(())),
        );
        covers(
            "git.example/a",
            "https://git.example/a/b/c.git",
            Some(Ok(())),
        );
        let elsewhere = Some(Err(NearMiss::Path));
        covers("git.example/a", "https://git.example/ab", elsewhere);
        covers("git.example/a/b", "https://git.example/a", elsewhere);
        covers("git.example/a", "https://git.example//a", elsewhere);
        covers("git.example/a", "https://git.example/a/../b", elsewhere);
        covers("git.example/a", "https://git.example/%61/b", elsewhere);
        covers(
            "git.example/a",
            "https://git.example/A/b",
            Some(Err(NearMiss::Case)),
        );
        covers("git.example", "https://sub.git.example/a", None);
        covers("git.example", "https://git.example.evil.example/a", None);
        covers("git.example", "https://git.example@evil.example/a", None);
    }

    #[test]
    fn a_password_goes_to_the_port_that_was_meant() {
        covers("git.example", "https://git.example:443/a", Some(Ok(())));
        let other = Some(Err(NearMiss::Port));
        covers("git.example", "https://git.example:8443/a", other);
        covers("git.example:8443", "https://git.example/a", other);
        covers(
            "git.example:8443/a",
            "https://git.example:8443/a/b",
            Some(Ok(())),
        );
        covers("git.example", "ssh://git@git.example:2222/a", Some(Ok(())));
        covers("git.example:2222", "ssh://git@git.example/a", other);
        covers("[::1]:8443/a", "https://[::1]:8443/a", Some(Ok(())));
    }

    #[test]
    fn a_place_is_a_host_and_a_path_and_nothing_else() {
        let check = |text: &str, reason: &str| {
            let error = CredentialPlace::parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        };
        check("https://git.example", "without a scheme");
        check("", "names no host");
        check("/team", "names no host");
        check("*.git.example", "wildcard");
        check("git.example/*", "wildcard");
        check("user@git.example", "not a host and a path");
        check("git.example:team/x", "write `git.example/team`");
        check("git.example/a//b", "empty or dotted");
        check("git.example/../b", "empty or dotted");
        check("git example", "spaces");
    }

    #[test]
    fn the_longer_path_is_the_more_exact_place() {
        let precision = |text: &str| CredentialPlace::parse(text).unwrap().precision();
        assert!(precision("git.example/a/b") > precision("git.example/a"));
        assert!(precision("git.example/a") > precision("git.example:443"));
        assert!(precision("git.example:443") > precision("git.example"));
    }
}
