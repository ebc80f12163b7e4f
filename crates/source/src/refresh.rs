//! Forgetting: what a source remembers of a repository and what the server remembers of its modules is
//! dropped when somebody says that it has changed.
//!
//! The server makes a [`Touched`] of a refresh or of a code host's webhook and hands it to every
//! [`Refresher`], those that know roots before those that know listings: each adds what it alone knows
//! (which repository a path lives in, which paths live in a repository) and forgets what the whole touches.
//! Nobody is asked here; the next request asks.

use std::fmt;
use std::sync::Arc;

use gomod::ModulePath;
use url::Url;

use crate::RepositoryUrl;

/// What has changed: import paths with everything below them, and repositories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    prefixes: Vec<Arc<str>>,
    repositories: Vec<RepositoryAddress>,
}

/// Forgets what it remembers. Implemented by whatever remembers something of a repository beyond one question.
pub trait Refresher: Send + Sync {
    /// Adds to `touched` what it alone knows to belong to it, then forgets everything that is touched, so that
    /// the next question about it is asked anew. Asks nobody and waits for nothing.
    fn forget(&self, touched: &mut Touched);
}

impl Touched {
    /// A module, with all modules below its path.
    pub fn below(module_path: &ModulePath) -> Self {
        let mut touched = Self::default();
        touched.add_prefix(module_path.as_str());
        touched
    }

    /// A repository, with the modules whose paths begin with its address.
    pub fn repository(address: RepositoryAddress) -> Self {
        let mut touched = Self::default();
        touched.add_address(address);
        touched
    }

    /// An import path is touched too, with everything below it.
    pub fn add_prefix(&mut self, import_path: &str) {
        let import_path = import_path.trim_end_matches('/');
        if !import_path.is_empty() && !self.covers(import_path) {
            self.prefixes.push(import_path.into());
        }
    }

    /// A repository is touched too, and no import path but those that were added already: a refresh of one
    /// module says nothing of the answers about others.
    pub fn add_repository(&mut self, url: &RepositoryUrl) {
        if let Some(address) = RepositoryAddress::parse(url.as_str())
            && !self.repositories.contains(&address)
        {
            self.repositories.push(address);
        }
    }

    /// A repository is touched too, with the modules whose paths begin with its address.
    pub fn add_address(&mut self, address: RepositoryAddress) {
        self.add_prefix(&address.to_string());
        // Where a host is not known to Go, the path of its modules names the system: `host/team/repo.git`.
        self.add_prefix(&format!("{address}.git"));
        if !self.repositories.contains(&address) {
            self.repositories.push(address);
        }
    }

    /// True if an import path or module path is touched. Upper and lower case count as the same, because hosts
    /// write names as they please; too much may be forgotten, too little may not.
    pub fn covers(&self, path: &str) -> bool {
        self.prefixes.iter().any(|prefix| is_below(path, prefix))
    }

    /// True if the repository at `url` is touched, whatever the protocol, the user and the port, or lies below
    /// an import path that is.
    pub fn covers_repository(&self, url: &RepositoryUrl) -> bool {
        RepositoryAddress::parse(url.as_str()).is_some_and(|address| {
            self.repositories.contains(&address) || self.covers(&address.to_string())
        })
    }

    /// The import paths, in the order in which they were added.
    pub fn prefixes(&self) -> impl Iterator<Item = &str> {
        self.prefixes.iter().map(|prefix| &**prefix)
    }

    /// The repositories, in the order in which they were added.
    pub fn repositories(&self) -> &[RepositoryAddress] {
        &self.repositories
    }
}

fn is_below(path: &str, prefix: &str) -> bool {
    let Some((beginning, rest)) = path.split_at_checked(prefix.len()) else {
        return false;
    };
    beginning.eq_ignore_ascii_case(prefix) && (rest.is_empty() || rest.starts_with('/'))
}

/// Which repository an address means, however it is reached: host and path in lower case, without
/// protocol, user, port and `.git`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RepositoryAddress(Arc<str>);

impl RepositoryAddress {
    /// Longer addresses are none.
    const MAX_BYTES: usize = 2048;

    /// Reads `https://host/team/repo.git`, `ssh://git@host:2222/team/repo` or `git@host:team/repo.git`; `None`
    /// for anything else. Nothing is dialled because of it, so it need not be safe for git.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > Self::MAX_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let (host, path) = if text.contains("://") {
            let url = Url::parse(text).ok()?;
            (url.host_str()?.to_owned(), url.path().to_owned())
        } else {
            let (host, path) = text.split_once(':')?;
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            (host.to_owned(), path.to_owned())
        };
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let elements_fit = path
            .split('/')
            .all(|element| !matches!(element, "" | "." | ".."));
        if host.is_empty() || host.contains('/') || !elements_fit {
            return None;
        }
        Some(Self(format!("{host}/{path}").to_ascii_lowercase().into()))
    }
}

impl fmt::Display for RepositoryAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_means_the_same_repository_however_it_is_written() {
        let check = |text: &str, expected: Option<&str>| {
            let address = RepositoryAddress::parse(text).map(|address| address.to_string());
            assert_eq!(address.as_deref(), expected, "{text}");
        };
        let team = Some("git.example/team/repo");
        check("https://git.example/team/repo", team);
        check("https://git.example/team/repo.git", team);
        check("https://user:word@Git.Example:8443/Team/Repo.git/", team);
        check("ssh://git@git.example:2222/team/repo.git", team);
        check("git@git.example:team/repo.git", team);
        check("git.example:/team/repo", team);
        check("https://git.example/a/b/c.git", Some("git.example/a/b/c"));
        check("https://git.example", None);
        check("https://git.example/", None);
        check("https://git.example/.git", None);
        check("git.example/team/repo", None);
        check("file:///srv/repo.git", None);
        check("git@git.example:../../etc", None);
        check("git@git.example:a//b", None);
        check("a/b:c", None);
        check(":x", None);
        check("https://git.example/a b", None);
        check("", None);
        check(&format!("https://git.example/{}", "x".repeat(2048)), None);
    }

    #[test]
    fn a_repository_touches_the_modules_whose_paths_begin_with_its_address() {
        let address = RepositoryAddress::parse("git@git.example:Team/Repo.git").unwrap();
        let touched = Touched::repository(address);
        let check = |path: &str, expected: bool| {
            assert_eq!(touched.covers(path), expected, "{path}");
        };
        check("git.example/team/repo", true);
        check("git.example/Team/Repo/v2", true);
        check("git.example/team/repo.git/sub", true);
        check("git.example/team/repository", false);
        check("git.example/team", false);
        check("other.example/team/repo", false);
        let url = |text| RepositoryUrl::parse(text).unwrap();
        assert!(touched.covers_repository(&url("ssh://git@git.example:2222/team/repo")));
        assert!(!touched.covers_repository(&url("https://git.example/team/other")));
    }

    #[test]
    fn a_module_touches_its_repository_and_not_the_modules_beside_it() {
        let module_path = ModulePath::parse("corp.example/tools/lint").unwrap();
        let mut touched = Touched::below(&module_path);
        let url = RepositoryUrl::parse("https://git.example/team/tools").unwrap();
        touched.add_repository(&url);
        assert!(touched.covers("corp.example/tools/lint/v2"));
        assert!(!touched.covers("corp.example/tools"));
        assert!(!touched.covers("git.example/team/tools"));
        assert!(touched.covers_repository(&url));
    }

    #[test]
    fn a_path_above_repositories_touches_all_of_them() {
        let module_path = ModulePath::parse("git.example/team").unwrap();
        let touched = Touched::below(&module_path);
        let check = |url: &str, expected: bool| {
            let url = RepositoryUrl::parse(url).unwrap();
            assert_eq!(touched.covers_repository(&url), expected, "{url}");
        };
        check("https://git.example/team/tool.git", true);
        check("ssh://git@git.example/Team/other", true);
        check("https://git.example/teams/tool", false);
    }

    #[test]
    fn what_is_touched_already_is_not_noted_twice() {
        let mut touched = Touched::default();
        for path in [
            "a.example/x",
            "a.example/x/y",
            "a.example/x",
            "",
            "b.example",
        ] {
            touched.add_prefix(path);
        }
        let prefixes: Vec<&str> = touched.prefixes().collect();
        assert_eq!(prefixes, ["a.example/x", "b.example"]);
    }
}
