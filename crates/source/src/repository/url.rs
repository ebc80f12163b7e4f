//! Addresses of repositories, judged before any program sees them.

use std::fmt;
use std::sync::Arc;

use url::Url;

/// How a repository may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GitProtocol {
    /// `https://`
    Https,
    /// `ssh://` and `git+ssh://`
    Ssh,
    /// `http://`: only for what GOINSECURE matches.
    Http,
    /// `git://`: only for what GOINSECURE matches.
    Git,
    /// `file://`
    File,
}

impl GitProtocol {
    /// The name by which git's `protocol.allow` and the settings know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Ssh => "ssh",
            Self::Http => "http",
            Self::Git => "git",
            Self::File => "file",
        }
    }

    /// The port that is dialled where an address names none; `None` for `file`.
    pub fn port(self) -> Option<u16> {
        match self {
            Self::Https => Some(443),
            Self::Ssh => Some(22),
            Self::Http => Some(80),
            Self::Git => Some(9418),
            Self::File => None,
        }
    }

    /// The protocol of a URL's scheme.
    pub fn of_scheme(scheme: &str) -> Option<Self> {
        match scheme {
            "https" => Some(Self::Https),
            "ssh" | "git+ssh" => Some(Self::Ssh),
            "http" => Some(Self::Http),
            "git" => Some(Self::Git),
            "file" => Some(Self::File),
            _ => None,
        }
    }
}

impl fmt::Display for GitProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The address of a repository: a URL with a scheme that git knows, a host (but for `file`), no control
/// characters, no password, no query and no fragment, and nothing that could be read as an option.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryUrl {
    /// As it was written: git and `Origin.URL` get this text.
    text: Arc<str>,
    protocol: GitProtocol,
    host: Arc<str>,
    port: Option<u16>,
    /// Decoded no further than written; begins with a slash.
    path: Arc<str>,
}

/// Why an address can't be a repository's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` cannot be the address of a repository: {reason}")]
pub struct RepositoryUrlError {
    /// What was read; control characters escaped, a password left out, at most 200 characters.
    pub text: String,
    /// The rule that it breaks.
    pub reason: String,
}

/// Longer addresses are refused.
const MAX_BYTES: usize = 2048;

impl RepositoryUrl {
    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, RepositoryUrlError> {
        let fail = |reason: &str| RepositoryUrlError {
            text: shown(text),
            reason: reason.to_owned(),
        };
        if text.len() > MAX_BYTES {
            return Err(fail("it is longer than 2048 bytes"));
        }
        if !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(fail("it holds spaces, control or non-ASCII characters"));
        }
        if text.contains(['\\', '"', '<', '>', '`', '{', '|', '}']) {
            return Err(fail("it holds characters that programs read differently"));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(fail("it has no scheme (`https://…`, `ssh://…`)"));
        };
        let protocol = GitProtocol::of_scheme(scheme)
            .ok_or_else(|| fail("its scheme is none that git repositories are fetched by"))?;
        let url = Url::parse(text).map_err(|error| fail(&error.to_string()))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(fail("it has a query or a fragment"));
        }
        if url.password().is_some() {
            return Err(fail(
                "it holds a password; name it in a credential rule instead",
            ));
        }
        if url.username().starts_with('-') {
            return Err(fail("its user name begins with `-`"));
        }
        let host = url.host_str().unwrap_or_default();
        if protocol == GitProtocol::File {
            if !host.is_empty() || !rest.starts_with('/') {
                return Err(fail("a file address names no host and an absolute path"));
            }
        } else if host.is_empty() || host.starts_with('-') || rest.starts_with('/') {
            return Err(fail("it names no host"));
        } else if !is_plain_authority(rest, host) {
            // What one program reads as the host must not be a user name to another.
            return Err(fail("its host is not written plainly"));
        }
        Ok(Self {
            text: text.into(),
            protocol,
            host: host.to_ascii_lowercase().into(),
            port: url.port().or_else(|| protocol.port()),
            path: url.path().into(),
        })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How it is reached.
    pub fn protocol(&self) -> GitProtocol {
        self.protocol
    }

    /// The host in lower case, without a port; empty for `file`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port that is dialled, the protocol's own where none is written; `None` for `file`.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The path, beginning with a slash.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for RepositoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RepositoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepositoryUrl({})", self.text)
    }
}

/// True if the authority is `[USER@]HOST[:PORT]` with this very host, so that everyone reads the same one.
fn is_plain_authority(rest: &str, host: &str) -> bool {
    let authority = rest.split('/').next().unwrap_or_default();
    let (user, place) = authority.split_once('@').unwrap_or(("", authority));
    let written = match place.rsplit_once(':') {
        Some((written, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => written,
        _ => place,
    };
    !place.contains('@') && !user.contains(':') && written.eq_ignore_ascii_case(host)
}

fn shown(text: &str) -> String {
    let text: String = text
        .chars()
        .take(200)
        .flat_map(char::escape_debug)
        .collect();
    // A password stands between the scheme and the last `@` before the path.
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let authority_end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(authority_end);
            match authority.rsplit_once('@') {
                Some((_, host)) => format!("{scheme}://…@{host}{path}"),
                None => text,
            }
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(GitProtocol, &str, &str), &str>) {
        match (RepositoryUrl::parse(text), expected) {
            (Ok(url), Ok((protocol, host, path))) => {
                assert_eq!(
                    (url.protocol(), url.host(), url.path()),
                    (protocol, host, path)
                );
                assert_eq!(url.as_str(), text);
            }
            (Err(error), Err(reason)) => {
                assert!(error.reason.contains(reason), "{error}");
                assert!(!error.to_string().contains("secret"), "{error}");
            }
            (got, _) => panic!("{text}: {got:?}"),
        }
    }

    #[test]
    fn only_addresses_that_git_can_be_given_safely_are_taken() {
        check(
            "https://Git.Example/a/b.git",
            Ok((GitProtocol::Https, "git.example", "/a/b.git")),
        );
        check(
            "ssh://git@git.example:2222/a/b",
            Ok((GitProtocol::Ssh, "git.example", "/a/b")),
        );
        check(
            "file:///srv/a.git",
            Ok((GitProtocol::File, "", "/srv/a.git")),
        );
        check("git.example:a/b", Err("no scheme"));
        check("--upload-pack=touch /tmp/x", Err("spaces"));
        check("--upload-pack=x", Err("no scheme"));
        check("ext::sh -c x", Err("spaces"));
        check("ext://x/y", Err("scheme"));
        check("ssh://-oProxyCommand=x/y", Err(""));
        check("ssh://-o@h/y", Err("begins with `-`"));
        check("https://u:secret@h/y", Err("password"));
        check("https://named.example\\@127.0.0.1/y", Err("differently"));
        check("https://a@b@c/y", Err("plainly"));
        check("https://0x7f.1/y", Err("plainly"));
        check("https://%31.example/y", Err("plainly"));
        check(
            "https://[::1]:8443/y",
            Ok((GitProtocol::Https, "[::1]", "/y")),
        );
        check("https://h/y?q", Err("query"));
        check("file://h/y", Err("absolute"));
        check("https:///y", Err(""));
    }
}
