//! Paths that name their repository themselves: hosts that Go knows, and paths with an element such as
//! `repo.git` (rule 50). Nobody is asked.

use super::VersionControl;

/// What a path says of its repository by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It is at this address.
    At {
        system: VersionControl,
        /// The import path of its root.
        root: String,
        url: String,
    },
    /// It is at this address, by a protocol that the path does not name.
    SomehowAt {
        system: VersionControl,
        /// The import path of its root.
        root: String,
        /// Host and path, without the suffix that names the system.
        address: String,
    },
    /// There can be no such module; in Go's words.
    Impossible(String),
}

/// A repository that a module path names by itself, without anybody being asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedRepository {
    /// Which program fetches it.
    pub system: VersionControl,
    /// The import path of its root.
    pub root: String,
    /// By which protocol, where that is known.
    pub scheme: Option<&'static str>,
    /// Host and path.
    pub address: String,
}

/// The repository that a path names: hosts that Go knows, and elements such as `repo.git`. `None` if the
/// path's host must be asked.
///
/// The error is Go's, of a path below a known host that can hold no repository.
pub fn repository_named_by(path: &str) -> Option<Result<NamedRepository, String>> {
    Some(match find(path)? {
        Known::At { system, root, url } => Ok(NamedRepository {
            system,
            root,
            scheme: Some("https"),
            address: url.trim_start_matches("https://").to_owned(),
        }),
        Known::SomehowAt {
            system,
            root,
            address,
        } => Ok(NamedRepository {
            system,
            root,
            scheme: None,
            address,
        }),
        Known::Impossible(words) => Err(words),
    })
}

/// What is known of a path; `None` if its host must be asked.
pub(super) fn find(path: &str) -> Option<Known> {
    for host in HOSTS {
        let is_below = path
            .strip_prefix(host.prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if is_below {
            return Some(host.judge(path));
        }
    }
    suffixed(path)
}

/// What can only be said of a path whose host was asked and knew nothing.
pub(super) fn find_after_asking(path: &str) -> Option<Known> {
    let rest = path.strip_prefix("launchpad.net/")?;
    let elements: Vec<&str> = rest.split('/').collect();
    let root_elements = if rest.starts_with('~') { 3 } else { 1 };
    let root = elements.get(..root_elements)?.join("/");
    Some(Known::At {
        system: VersionControl::Bazaar,
        root: format!("launchpad.net/{root}"),
        url: format!("https://launchpad.net/{root}"),
    })
}

/// A host, or a folder of one, whose paths follow a pattern.
struct Host {
    prefix: &'static str,
    system: VersionControl,
    /// What the elements behind the prefix must be, up to the repository's root.
    shape: &'static [Element],
    /// Whether anything may lie below the root.
    below: Below,
    /// Whether the repository's name may end in that of a system.
    suffix: Suffix,
}

#[derive(Clone, Copy)]
enum Element {
    Exactly(&'static str),
    Word,
    LowerCaseWord,
    AlphanumericWord,
    LowerCaseWordDotGit,
}

#[derive(PartialEq, Eq)]
enum Below {
    Anything,
    Nothing,
}

#[derive(PartialEq, Eq)]
enum Suffix {
    Refused,
    Allowed,
}

const HOSTS: &[Host] = &[
    Host {
        prefix: "github.com",
        system: VersionControl::Git,
        shape: &[Element::Word, Element::Word],
        below: Below::Anything,
        suffix: Suffix::Refused,
    },
    Host {
        prefix: "bitbucket.org",
        system: VersionControl::Git,
        shape: &[Element::Word, Element::Word],
        below: Below::Anything,
        suffix: Suffix::Refused,
    },
    Host {
        prefix: "hub.jazz.net/git",
        system: VersionControl::Git,
        shape: &[Element::LowerCaseWord, Element::Word],
        below: Below::Anything,
        suffix: Suffix::Refused,
    },
    Host {
        prefix: "git.apache.org",
        system: VersionControl::Git,
        shape: &[Element::LowerCaseWordDotGit],
        below: Below::Anything,
        suffix: Suffix::Allowed,
    },
    Host {
        prefix: "git.openstack.org",
        system: VersionControl::Git,
        shape: &[Element::Word, Element::Word],
        below: Below::Anything,
        suffix: Suffix::Allowed,
    },
    Host {
        prefix: "chiselapp.com",
        system: VersionControl::Fossil,
        shape: &[
            Element::Exactly("user"),
            Element::AlphanumericWord,
            Element::Exactly("repository"),
            Element::Word,
        ],
        below: Below::Nothing,
        suffix: Suffix::Allowed,
    },
];

impl Host {
    fn judge(&self, path: &str) -> Known {
        let invalid = || {
            Known::Impossible(format!(
                "invalid {} import path {}",
                self.prefix,
                gomod::go_quote(path)
            ))
        };
        let rest = path
            .get(self.prefix.len()..)
            .and_then(|rest| rest.strip_prefix('/'))
            .unwrap_or_default();
        let elements: Vec<&str> = rest.split('/').collect();
        let Some((root, below)) = elements.split_at_checked(self.shape.len()) else {
            return invalid();
        };
        let root_fits = self
            .shape
            .iter()
            .zip(root)
            .all(|(shape, element)| shape.fits(element));
        let below_fits = match self.below {
            Below::Anything => below.iter().all(|element| is_word(element)),
            Below::Nothing => below.is_empty(),
        };
        if !root_fits || !below_fits {
            return invalid();
        }
        let root = format!("{}/{}", self.prefix, root.join("/"));
        if self.suffix == Suffix::Refused && VersionControl::of_suffix(&root).is_some() {
            return Known::Impossible(format!(
                "invalid version control suffix in {}/ path",
                self.prefix
            ));
        }
        Known::At {
            system: self.system,
            url: format!("https://{root}"),
            root,
        }
    }
}

impl Element {
    fn fits(self, element: &str) -> bool {
        let all = |fits: fn(char) -> bool| !element.is_empty() && element.chars().all(fits);
        match self {
            Self::Exactly(word) => element == word,
            Self::Word => is_word(element),
            Self::LowerCaseWord => all(|c| matches!(c, 'a'..='z' | '0'..='9')),
            Self::AlphanumericWord => all(|c| c.is_ascii_alphanumeric()),
            Self::LowerCaseWordDotGit => {
                element
                    .strip_suffix(".git")
                    .is_some_and(|name| !name.is_empty())
                    && all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '.' | '-'))
            }
        }
    }
}

/// A path of any host with an element that ends in the name of a system: the repository is there.
fn suffixed(path: &str) -> Option<Known> {
    let mut elements = path.split('/');
    let host = elements.next()?;
    let is_host = host.contains('.')
        && host
            .chars()
            .all(|c| matches!(c, 'a'..='z' | '0'..='9' | '.' | '-'))
        && !host.starts_with('.')
        && !host.ends_with('.');
    if !is_host || !elements.all(|element| is_word(element.strip_prefix('~').unwrap_or(element))) {
        return None;
    }
    let mut root_len = host.len();
    for element in path.split('/').skip(1) {
        root_len += 1 + element.len();
        let Some((system, name)) = VersionControl::of_suffix(element) else {
            continue;
        };
        if name.strip_prefix('~').unwrap_or(name).is_empty() {
            continue;
        }
        let root = path.get(..root_len)?;
        let (_, address) = VersionControl::of_suffix(root)?;
        return Some(Known::SomehowAt {
            system,
            root: root.to_owned(),
            address: address.to_owned(),
        });
    }
    None
}

/// `[\w.\-]+`
fn is_word(element: &str) -> bool {
    !element.is_empty()
        && element
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<(VersionControl, &str, &str)>) {
        let found = find(path).map(|known| match known {
            Known::At { system, root, url } => (system, root, url),
            Known::SomehowAt {
                system,
                root,
                address,
            } => (system, root, address),
            Known::Impossible(text) => panic!("{path}: {text}"),
        });
        let expected =
            expected.map(|(system, root, url)| (system, root.to_owned(), url.to_owned()));
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn known_hosts_need_not_be_asked() {
        let git = |root, url| Some((VersionControl::Git, root, url));
        check(
            "github.com/a/b",
            git("github.com/a/b", "https://github.com/a/b"),
        );
        check(
            "github.com/a/b/c/v2",
            git("github.com/a/b", "https://github.com/a/b"),
        );
        check(
            "bitbucket.org/a/b.c/d",
            git("bitbucket.org/a/b.c", "https://bitbucket.org/a/b.c"),
        );
        check(
            "hub.jazz.net/git/u1/r/d",
            git("hub.jazz.net/git/u1/r", "https://hub.jazz.net/git/u1/r"),
        );
        check(
            "git.apache.org/r.git/d",
            git("git.apache.org/r.git", "https://git.apache.org/r.git"),
        );
        check(
            "git.openstack.org/a/b.git/d",
            git(
                "git.openstack.org/a/b.git",
                "https://git.openstack.org/a/b.git",
            ),
        );
        check(
            "chiselapp.com/user/a/repository/b",
            Some((
                VersionControl::Fossil,
                "chiselapp.com/user/a/repository/b",
                "https://chiselapp.com/user/a/repository/b",
            )),
        );
        check("github.com.example/a", None);
        check("golang.org/x/text", None);
    }

    #[test]
    fn an_element_that_names_a_system_is_the_root() {
        check(
            "git.example/a/b.git/c",
            Some((
                VersionControl::Git,
                "git.example/a/b.git",
                "git.example/a/b",
            )),
        );
        check(
            "git.example/~a/b.git",
            Some((
                VersionControl::Git,
                "git.example/~a/b.git",
                "git.example/~a/b",
            )),
        );
        check(
            "h.example/x.svn/y.git",
            Some((VersionControl::Subversion, "h.example/x.svn", "h.example/x")),
        );
        check("h.example/.git/x", None);
        check("h.git/x", None);
        check("h.example/x.gitt", None);
    }

    #[test]
    fn what_cannot_be_a_module_is_told_in_the_words_of_go() {
        let check = |path: &str, expected: &str| {
            assert_eq!(find(path), Some(Known::Impossible(expected.to_owned())));
        };
        check(
            "github.com/a",
            "invalid github.com import path \"github.com/a\"",
        );
        check(
            "github.com",
            "invalid github.com import path \"github.com\"",
        );
        check(
            "github.com/a/b/~c",
            "invalid github.com import path \"github.com/a/b/~c\"",
        );
        check(
            "github.com/a/b.git",
            "invalid version control suffix in github.com/ path",
        );
        check(
            "git.apache.org/r",
            "invalid git.apache.org import path \"git.apache.org/r\"",
        );
    }
}
