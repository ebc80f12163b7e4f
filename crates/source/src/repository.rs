//! What the module rules need of a version-control repository (the go command's `codehost.Repo`).
//!
//! `direct` asks, `git` answers; neither knows how the other works. Object names, refs and commits are
//! parsed at this door. Nothing here knows of module paths or versions.

mod url;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use bytes::Bytes;
use gomod::{Sha256, Version, semver};

use crate::SourceError;

pub use url::{GitProtocol, RepositoryUrl, RepositoryUrlError};

/// The name of an object: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName(Arc<str>);

impl ObjectName {
    /// Reads a name; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        (matches!(text.len(), 40 | 64) && is_hex(text)).then(|| Self(text.into()))
    }

    /// All digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 12 digits that stand in a pseudo-version (`shortenObjectHash`).
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or_default()
    }
}

impl std::fmt::Display for ObjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// True for lower-case hexadecimal digits only (`codehost.AllHex`).
pub(crate) fn is_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// What a remote lists at one moment: `HEAD`, `refs/heads/…` and `refs/tags/…`, nothing else; annotated
/// tags stand for the commit that they point to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refs(BTreeMap<String, ObjectName>);

impl Refs {
    /// Reads the output of `git ls-remote`: what isn't a line of two words or another kind of ref is
    /// passed over, as in `gitRepo.loadRefs`.
    pub fn parse(listing: &str) -> Self {
        let mut refs = BTreeMap::new();
        let mut peeled = Vec::new();
        for line in listing.lines() {
            let mut words = line.split_whitespace();
            let (Some(object), Some(name), None) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let Some(object) = ObjectName::parse(object) else {
                continue;
            };
            let counts =
                name == "HEAD" || name.starts_with("refs/heads/") || name.starts_with("refs/tags/");
            if !counts {
                continue;
            }
            match name.strip_suffix("^{}") {
                Some(tag) => peeled.push((tag.to_owned(), object)),
                None => {
                    refs.insert(name.to_owned(), object);
                }
            }
        }
        refs.extend(peeled);
        Self(refs)
    }

    /// What a ref's full name stands for.
    pub fn get(&self, name: &str) -> Option<&ObjectName> {
        self.0.get(name)
    }

    /// The commit of the default branch.
    pub fn head(&self) -> Option<&ObjectName> {
        self.get("HEAD")
    }

    /// Full names and commits, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ObjectName)> {
        self.0.iter().map(|(name, object)| (name.as_str(), object))
    }

    /// The tags that begin with `prefix`, whole names without `refs/tags/`, sorted.
    pub fn tags<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a ObjectName)> {
        self.iter()
            .filter_map(|(name, object)| Some((name.strip_prefix("refs/tags/")?, object)))
            .filter(move |(tag, _)| tag.starts_with(prefix))
    }

    /// The tags that point to a commit.
    pub fn tags_of(&self, commit: &ObjectName) -> BTreeSet<String> {
        self.tags("")
            .filter(|(_, object)| *object == commit)
            .map(|(tag, _)| tag.to_owned())
            .collect()
    }

    /// `Origin.TagSum` of the tags that begin with `prefix`: `t1:` and a hash of those that may be the
    /// base of a version (`gitRepo.Tags`, `isOriginTag`).
    pub fn tag_sum(&self, prefix: &str) -> String {
        let folder = prefix.rfind('/').map_or(0, |slash| slash + 1);
        let folder = prefix.get(..folder).unwrap_or_default();
        let counts = |tag: &str| {
            let tag = tag.strip_prefix(folder).unwrap_or(tag);
            let canonical = semver::canonical(tag);
            !canonical.is_empty()
                && tag.starts_with(&canonical)
                && Version::parse(tag).map_or(true, |version| !version.is_pseudo())
        };
        sum("t1:", self.tags(prefix).filter(|(tag, _)| counts(tag)))
    }

    /// `Origin.RepoSum`: `r1:` and a hash of everything (`gitRepo.repoSum`).
    pub fn repository_sum(&self) -> String {
        sum("r1:", self.iter())
    }
}

fn sum<'a>(prefix: &str, refs: impl Iterator<Item = (&'a str, &'a ObjectName)>) -> String {
    let mut text = String::new();
    for (name, object) in refs {
        text.push_str(&gomod::go_quote(name));
        text.push(' ');
        text.push_str(object.as_str());
        text.push('\n');
    }
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::of(text.as_bytes()).0);
    format!("{prefix}{hash}")
}

/// A commit that is reachable from a head or a tag, and present in the mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its name.
    pub name: ObjectName,
    /// When it was committed (not authored), in seconds since 1970, UTC.
    pub committed_unix_seconds: i64,
    /// The full name of the ref that it was found by (`refs/tags/v1.0.0`, `refs/heads/main`, `HEAD`). Where it was
    /// asked for by its own name or a prefix of it: the first listed ref that points to it, as in `gitRepo.stat`,
    /// and `None` if that is HEAD or none does.
    pub found_by: Option<String>,
    /// The tags that point to it, without `refs/tags/`.
    pub tags: BTreeSet<String>,
}

/// What an entry of a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeEntryKind {
    /// A regular file, executable or not.
    File,
    /// A symbolic link.
    Symlink,
    /// A submodule: an empty directory as far as modules go.
    Submodule,
}

/// One file of a tree, folders walked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// Its name below the folder that was asked for, with slashes. Git names are bytes.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: TreeEntryKind,
    /// The object that holds it.
    pub object: ObjectName,
}

/// How recent the knowledge of a remote's refs must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// What a listing of the last seconds said will do.
    Recent,
    /// What is known will do, however old; the remote is asked only when nothing is.
    Known,
}

/// A repository that is kept in a mirror. Every operation brings in what it needs, as little as possible,
/// and waits for others that bring in something of the same repository.
#[async_trait]
pub trait Repository: Send + Sync {
    /// The address as it stands in `Origin.URL`: that of the repository root, before any rewriting by the
    /// user's git configuration, without credentials.
    fn url(&self) -> &RepositoryUrl;

    /// What the remote lists.
    async fn refs(&self, freshness: Freshness) -> Result<Arc<Refs>, SourceError>;

    /// Lets the next question about refs go to the remote, because something there has changed.
    fn forget_listing(&self) {}

    /// True if the remote was asked something and the last attempt to reach it failed.
    fn is_unreached(&self) -> bool {
        false
    }

    /// The commit of a revision name, in the order of `gitRepo.stat` (rule 18); `None` is Go's
    /// "unknown revision", proven by a listing of now. An ambiguous prefix is an error of kind `NotExist`
    /// with Go's words.
    async fn find(&self, revision: &str) -> Result<Option<Commit>, SourceError>;

    /// The raw bytes of a file at a commit that was found before; `None` if it has no such path or that is a folder. A
    /// symbolic link gives its text, as in Go. More than `limit_bytes` is an error of kind `TooLarge`.
    async fn file(
        &self,
        commit: &ObjectName,
        path: &str,
        limit_bytes: u64,
    ) -> Result<Option<Bytes>, SourceError>;

    /// The tags that are reachable from a commit as far as the mirror knows its history
    /// (`git for-each-ref --merged`), without `refs/tags/`.
    async fn merged_tags(&self, commit: &ObjectName) -> Result<Vec<String>, SourceError>;

    /// True if `tag` (without `refs/tags/`) is an ancestor of the commit as far as the mirror knows its
    /// history (`git merge-base --is-ancestor`).
    async fn descends_from(&self, commit: &ObjectName, tag: &str) -> Result<bool, SourceError>;

    /// Brings in all heads and tags with their whole history, once; nothing to do if they are here already.
    async fn complete_history(&self) -> Result<(), SourceError>;

    /// The files below a folder (`""` for all) at a commit that was found before, in the order of the tree;
    /// `None` if there is no such folder.
    async fn tree(
        &self,
        commit: &ObjectName,
        folder: &str,
    ) -> Result<Option<Vec<TreeEntry>>, SourceError>;

    /// A tar stream of a folder at a commit, made by `git archive` with the conversions that the commit's own
    /// attributes ask for, export-subst and export-ignore off, nothing of the user's configuration (rules 43 and 44).
    /// Names begin with the folder's.
    async fn archive(&self, commit: &ObjectName, folder: &str) -> Result<Archive, SourceError>;
}

/// A tar stream that a child process writes. Reading blocks, so read it where blocking is allowed.
pub struct Archive {
    /// The stream. Its end is only the end of the archive if [`Archive::finish`] agrees.
    pub stream: Box<dyn Read + Send>,
    /// Waits for the process and says whether it succeeded. Blocks.
    pub finish: Box<dyn FnOnce() -> Result<(), SourceError> + Send>,
}

/// Who chose the address of a repository, and so where it may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Trust {
    /// The operator: a setting or the private patterns name it. It may lead anywhere.
    Named,
    /// A request, a page or a redirect: it may not lead to this machine or the networks around it, unless the
    /// address guard knows the host or the operator's own git configuration rewrites the address.
    Chosen,
    /// The same, for a private name whose host no pattern names (`GOPRIVATE=*`). It may lead no further, and what
    /// a host says to strangers of its repository proves no absence, as with [`Trust::Named`].
    PrivatelyChosen,
}

/// Opens repositories.
pub trait Repositories: Send + Sync {
    /// The repository of an address. Asks nobody; the same address and trust give the same repository, and
    /// what was fetched with one trust is not read with the other.
    fn open(&self, url: &RepositoryUrl, trust: Trust) -> Result<Arc<dyn Repository>, SourceError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "ede458df7cd0fdca520df19a33158086a8a68e81";
    const TAG: &str = "b769f2de407a4db81af9c5de0a06016d60d2ea09";

    #[test]
    fn annotated_tags_stand_for_their_commits_and_other_refs_do_not_count() {
        let refs = Refs::parse(&format!(
            "{COMMIT}\tHEAD\n{COMMIT}\trefs/heads/main\n{TAG}\trefs/tags/v1.0.0\n{COMMIT}\trefs/tags/v1.0.0^{{}}\n\
             {TAG}\trefs/pull/1/head\nwarning: something\n"
        ));
        let names: Vec<&str> = refs.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["HEAD", "refs/heads/main", "refs/tags/v1.0.0"]);
        assert_eq!(refs.get("refs/tags/v1.0.0").unwrap().as_str(), COMMIT);
        let commit = ObjectName::parse(COMMIT).unwrap();
        assert_eq!(refs.tags_of(&commit), BTreeSet::from(["v1.0.0".to_owned()]));
    }

    #[test]
    fn object_names_are_whole_lower_case_hashes() {
        assert_eq!(ObjectName::parse(COMMIT).unwrap().short(), "ede458df7cd0");
        assert_eq!(ObjectName::parse(&COMMIT.to_uppercase()), None);
        assert_eq!(ObjectName::parse("ede458df7cd0"), None);
        assert!(ObjectName::parse(&"a".repeat(64)).is_some());
    }
}
