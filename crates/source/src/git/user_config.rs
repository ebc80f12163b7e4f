//! What of the user's own git configuration decides where git goes: rewriting rules, HTTP proxies, the way ssh
//! is called. Read by git itself, so that includes and conditions count; applied here as git applies it.

use std::ffi::OsString;

use url::Url;

use super::environment;
use crate::{GitProtocol, HttpProxies, RepositoryUrl};

/// The keys that are asked for, as `git config --get-regexp` wants them.
pub(super) const PATTERN: &str = r"^(url\..*\.insteadof|http\.(.*\.)?proxy|core\.sshcommand)$";

/// The user's configuration, as far as it decides where git goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct UserConfig {
    /// What addresses may begin with and what is put there instead.
    rewrites: Vec<(String, String)>,
    /// HTTP proxies, with the beginning of the addresses that they are for.
    proxies: Vec<(Option<String>, String)>,
    pub(super) has_ssh_command: bool,
}

impl UserConfig {
    /// Reads the output of `git config -z --get-regexp`: `KEY LF VALUE NUL`, repeated.
    pub(super) fn parse(output: &[u8]) -> Self {
        let mut config = Self::default();
        for entry in output.split(|byte| *byte == 0) {
            let entry = String::from_utf8_lossy(entry);
            let (key, value) = entry.split_once('\n').unwrap_or((&entry, ""));
            let value = value.to_owned();
            if let Some(base) = key
                .strip_prefix("url.")
                .and_then(|rest| rest.strip_suffix(".insteadof"))
            {
                config.rewrites.push((value, base.to_owned()));
            } else if key == "core.sshcommand" {
                config.has_ssh_command = true;
            } else if key == "http.proxy" {
                config.proxies.push((None, value));
            } else if let Some(address) = key
                .strip_prefix("http.")
                .and_then(|rest| rest.strip_suffix(".proxy"))
            {
                config.proxies.push((Some(address.to_owned()), value));
            }
        }
        config
    }

    /// The address that git goes to instead, if a rule rewrites it: the longest beginning that fits wins, and the
    /// last of equals.
    pub(super) fn rewritten(&self, url: &str) -> Option<String> {
        let (beginning, base) = self
            .rewrites
            .iter()
            .filter(|(beginning, _)| !beginning.is_empty() && url.starts_with(beginning.as_str()))
            .max_by_key(|(beginning, _)| beginning.len())?;
        Some(format!("{base}{}", url.strip_prefix(beginning.as_str())?))
    }

    /// True if git goes through an HTTP proxy of the user's for this address.
    pub(super) fn has_proxy_for(
        &self,
        url: &RepositoryUrl,
        environment: &[(OsString, OsString)],
    ) -> bool {
        let host = url.host();
        let for_host = |address: &str| {
            Url::parse(address)
                .ok()
                .and_then(|address| address.host_str().map(str::to_ascii_lowercase))
                // An address with a wildcard is read as one that fits.
                .is_none_or(|named| named == host || named.contains('*'))
        };
        let configured = self
            .proxies
            .iter()
            .any(|(address, value)| !value.is_empty() && address.as_deref().is_none_or(for_host));
        configured || has_proxy_in(environment, url)
    }
}

/// True if the environment names an HTTP proxy for an address, as git's HTTP library reads it.
fn has_proxy_in(environment: &[(OsString, OsString)], url: &RepositoryUrl) -> bool {
    let value = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| environment::value(environment, name)?.to_str())
            .filter(|value| !value.is_empty())
            .unwrap_or_default()
            .to_owned()
    };
    let any = value(&["all_proxy", "ALL_PROXY"]);
    let or_any = |own: String| if own.is_empty() { any.clone() } else { own };
    let https = or_any(value(&["https_proxy", "HTTPS_PROXY"]));
    // The upper-case name is ignored for http, because servers of CGI set it from a header.
    let http = or_any(value(&["http_proxy"]));
    let exceptions = value(&["no_proxy", "NO_PROXY"]);
    let Ok(url) = Url::parse(url.as_str()) else {
        return false;
    };
    match HttpProxies::parse(&http, &https, &exceptions) {
        Ok(proxies) => proxies.for_url(&url).is_some(),
        // A proxy of a kind that only git knows.
        Err(_) => true,
    }
}

/// A rewritten address as one that rules can be chosen for; ssh's short form in its long one.
pub(super) fn as_url(address: &str) -> Option<RepositoryUrl> {
    let long = match (protocol_of(address)?, address.split_once(':')) {
        (GitProtocol::Ssh, Some((host, path))) if !address.contains("://") => {
            format!("ssh://{host}/{}", path.trim_start_matches('/'))
        }
        (GitProtocol::File, _) if address.starts_with('/') => format!("file://{address}"),
        _ => address.to_owned(),
    };
    RepositoryUrl::parse(&long).ok()
}

/// How git reaches a rewritten address: by a scheme, by ssh's short form (`host:path`), or as a folder.
pub(super) fn protocol_of(address: &str) -> Option<GitProtocol> {
    if let Some((scheme, _)) = address.split_once("://") {
        return GitProtocol::of_scheme(scheme);
    }
    if address.contains("::") {
        return None;
    }
    let head = address.split('/').next().unwrap_or_default();
    Some(if head.contains(':') {
        GitProtocol::Ssh
    } else {
        GitProtocol::File
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> UserConfig {
        UserConfig::parse(
            b"url.ssh://git@git.corp/.insteadof\nhttps://git.corp/\0url.https://mirror/corp-special/.insteadof\nhttps://git.corp/special/\0http.https://a.example.proxy\nhttp://p:1\0core.sshcommand\nssh -v\0",
        )
    }

    #[test]
    fn the_longest_rule_rewrites() {
        let config = config();
        let check = |url: &str, expected: Option<&str>| {
            assert_eq!(config.rewritten(url).as_deref(), expected, "{url}");
        };
        check("https://git.corp/a/b", Some("ssh://git@git.corp/a/b"));
        check(
            "https://git.corp/special/x",
            Some("https://mirror/corp-special/x"),
        );
        check("https://other/a", None);
        assert!(config.has_ssh_command);
        assert_eq!(UserConfig::parse(b""), UserConfig::default());
    }

    #[test]
    fn a_proxy_of_the_users_is_known() {
        let check = |url: &str, environment: &[(&str, &str)], expected: bool| {
            let environment: Vec<(OsString, OsString)> = environment
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect();
            let url = RepositoryUrl::parse(url).unwrap();
            assert_eq!(
                config().has_proxy_for(&url, &environment),
                expected,
                "{url}"
            );
        };
        check("https://a.example/x", &[], true);
        check("https://b.example/x", &[], false);
        check(
            "https://b.example/x",
            &[("https_proxy", "http://p:1")],
            true,
        );
        check(
            "https://b.example/x",
            &[("ALL_PROXY", "socks5://p:1")],
            true,
        );
        check(
            "https://b.example/x",
            &[("HTTPS_PROXY", "p:1"), ("NO_PROXY", "b.example")],
            false,
        );
        check("http://b.example/x", &[("HTTP_PROXY", "p:1")], false);
    }

    #[test]
    fn rules_are_chosen_for_where_git_goes() {
        let check = |address: &str, expected: Option<&str>| {
            let url = as_url(address);
            assert_eq!(
                url.as_ref().map(RepositoryUrl::as_str),
                expected,
                "{address}"
            );
        };
        check("https://h/x", Some("https://h/x"));
        check("git@h:x/y.git", Some("ssh://git@h/x/y.git"));
        check("/srv/git/x", Some("file:///srv/git/x"));
        check("https://ann:secret@h/x", None);
        check("ext::sh -c x", None);
    }

    #[test]
    fn the_protocol_of_a_rewritten_address_is_gits() {
        let check = |address: &str, expected: Option<GitProtocol>| {
            assert_eq!(protocol_of(address), expected, "{address}");
        };
        check("https://h/x", Some(GitProtocol::Https));
        check("git@h:x/y", Some(GitProtocol::Ssh));
        check("/srv/git/x", Some(GitProtocol::File));
        check("ext::sh -c x", None);
        check("foo://x", None);
    }
}
