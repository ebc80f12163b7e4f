//! A repository in memory, for the tests of the rules: it knows as little as a fresh mirror would, and notes
//! what it is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gomod::Sha256;
use parking_lot::Mutex;

use crate::repository::is_hex;
use crate::{
    Archive, Commit, Freshness, ObjectName, Refs, Repositories, Repository, RepositoryUrl,
    SourceError, SourceErrorKind, TreeEntry, TreeEntryKind, Trust,
};

/// Commits, refs, and the questions that were asked.
pub(super) struct MemoryRepository {
    url: RepositoryUrl,
    commits: BTreeMap<ObjectName, StoredCommit>,
    refs: BTreeMap<String, ObjectName>,
    asked: Mutex<Vec<String>>,
    has_complete_history: Mutex<bool>,
    /// Takes the place of the tar stream of every archive.
    pub(super) broken_archive: Option<Vec<u8>>,
}

struct StoredCommit {
    seconds: i64,
    parents: Vec<ObjectName>,
    files: BTreeMap<Vec<u8>, (TreeEntryKind, Bytes)>,
}

impl MemoryRepository {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: RepositoryUrl::parse(url).unwrap(),
            commits: BTreeMap::new(),
            refs: BTreeMap::new(),
            asked: Mutex::default(),
            has_complete_history: Mutex::new(false),
            broken_archive: None,
        }
    }

    /// A commit with these files, an hour after the one before it.
    pub(super) fn commit(&mut self, parents: &[&ObjectName], files: &[(&str, &str)]) -> ObjectName {
        let files = files
            .iter()
            .map(|(name, content)| (name.as_bytes(), TreeEntryKind::File, content.as_bytes()));
        self.commit_entries(parents, files)
    }

    pub(super) fn commit_entries<'a>(
        &mut self,
        parents: &[&ObjectName],
        files: impl IntoIterator<Item = (&'a [u8], TreeEntryKind, &'a [u8])>,
    ) -> ObjectName {
        let number = i64::try_from(self.commits.len()).unwrap();
        let name = Sha256::of(format!("commit {number}").as_bytes()).to_string();
        let name = ObjectName::parse(&name[..40]).unwrap();
        let files = files
            .into_iter()
            .map(|(name, kind, content)| (name.to_vec(), (kind, Bytes::copy_from_slice(content))));
        let commit = StoredCommit {
            // 2020-01-01T00:00:00Z
            seconds: 1_577_836_800 + 3600 * number,
            parents: parents.iter().map(|name| (*name).clone()).collect(),
            files: files.collect(),
        };
        self.commits.insert(name.clone(), commit);
        name
    }

    pub(super) fn tag(&mut self, name: &str, commit: &ObjectName) {
        self.refs
            .insert(format!("refs/tags/{name}"), commit.clone());
    }

    pub(super) fn branch(&mut self, name: &str, commit: &ObjectName) {
        self.refs
            .insert(format!("refs/heads/{name}"), commit.clone());
    }

    pub(super) fn head(&mut self, commit: &ObjectName) {
        self.refs.insert("HEAD".to_owned(), commit.clone());
        self.branch("main", commit);
    }

    /// What was asked since the last time.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock())
    }

    fn note(&self, question: impl Into<String>) {
        self.asked.lock().push(question.into());
    }

    fn listing(&self) -> Refs {
        let lines: Vec<String> = self
            .refs
            .iter()
            .map(|(name, commit)| format!("{commit}\t{name}\n"))
            .collect();
        Refs::parse(&lines.concat())
    }

    fn ancestors(&self, of: &ObjectName) -> BTreeSet<ObjectName> {
        let mut seen = BTreeSet::new();
        let mut waiting = vec![of.clone()];
        while let Some(name) = waiting.pop() {
            if seen.insert(name.clone()) {
                waiting.extend(self.commits[&name].parents.iter().cloned());
            }
        }
        seen
    }

    /// What a mirror knows of a commit's history.
    fn known_history(&self, of: &ObjectName) -> BTreeSet<ObjectName> {
        match *self.has_complete_history.lock() {
            true => self.ancestors(of),
            false => BTreeSet::from([of.clone()]),
        }
    }

    fn found(&self, name: &ObjectName, found_by: Option<&str>) -> Commit {
        Commit {
            name: name.clone(),
            committed_unix_seconds: self.commits[name].seconds,
            found_by: found_by.map(str::to_owned),
            tags: self.listing().tags_of(name),
        }
    }

    fn entries(&self, commit: &ObjectName, folder: &str) -> Vec<(Vec<u8>, TreeEntryKind, Bytes)> {
        let prefix = match folder {
            "" => String::new(),
            folder => format!("{folder}/"),
        };
        let files = self.commits[commit].files.iter();
        files
            .filter_map(|(name, (kind, content))| {
                let name = name.strip_prefix(prefix.as_bytes())?;
                Some((name.to_vec(), *kind, content.clone()))
            })
            .collect()
    }
}

#[async_trait]
impl Repository for MemoryRepository {
    fn url(&self) -> &RepositoryUrl {
        &self.url
    }

    async fn refs(&self, freshness: Freshness) -> Result<Arc<Refs>, SourceError> {
        self.note(format!("refs {freshness:?}"));
        Ok(Arc::new(self.listing()))
    }

    async fn find(&self, revision: &str) -> Result<Option<Commit>, SourceError> {
        self.note(format!("find {revision}"));
        for name in [
            format!("refs/tags/{revision}"),
            format!("refs/heads/{revision}"),
            revision.to_owned(),
        ] {
            if let Some(commit) = self.refs.get(&name) {
                return Ok(Some(self.found(commit, Some(&name))));
            }
        }
        if revision.len() < 7 || !is_hex(revision) {
            return Ok(None);
        }
        let reachable: BTreeSet<ObjectName> = self
            .refs
            .values()
            .flat_map(|commit| self.ancestors(commit))
            .filter(|commit| commit.as_str().starts_with(revision))
            .collect();
        match reachable.len() {
            0 => Ok(None),
            1 => Ok(reachable.first().map(|commit| self.found(commit, None))),
            _ => Err(SourceError::new(
                SourceErrorKind::NotExist,
                format!("ambiguous revision {revision}"),
            )),
        }
    }

    async fn file(
        &self,
        commit: &ObjectName,
        path: &str,
        limit_bytes: u64,
    ) -> Result<Option<Bytes>, SourceError> {
        self.note(format!("file {path}"));
        let file = self.commits[commit].files.get(path.as_bytes());
        let Some((kind, content)) = file else {
            return Ok(None);
        };
        if u64::try_from(content.len()).unwrap() > limit_bytes {
            return Err(SourceError::new(SourceErrorKind::TooLarge, "too large"));
        }
        Ok((*kind != TreeEntryKind::Submodule).then(|| content.clone()))
    }

    async fn merged_tags(&self, commit: &ObjectName) -> Result<Vec<String>, SourceError> {
        self.note("merged_tags");
        let history = self.known_history(commit);
        let refs = self.listing();
        Ok(refs
            .tags("")
            .filter(|(_, commit)| history.contains(commit))
            .map(|(tag, _)| tag.to_owned())
            .collect())
    }

    async fn descends_from(&self, commit: &ObjectName, tag: &str) -> Result<bool, SourceError> {
        self.note(format!("descends_from {tag}"));
        let history = self.known_history(commit);
        let refs = self.listing();
        Ok(refs
            .get(&format!("refs/tags/{tag}"))
            .is_some_and(|commit| history.contains(commit)))
    }

    async fn complete_history(&self) -> Result<(), SourceError> {
        self.note("complete_history");
        *self.has_complete_history.lock() = true;
        Ok(())
    }

    async fn tree(
        &self,
        commit: &ObjectName,
        folder: &str,
    ) -> Result<Option<Vec<TreeEntry>>, SourceError> {
        self.note(format!("tree {folder}"));
        let entries = self.entries(commit, folder);
        let entries: Vec<TreeEntry> = entries
            .into_iter()
            .map(|(name, kind, _)| TreeEntry {
                name,
                kind,
                object: commit.clone(),
            })
            .collect();
        Ok((!entries.is_empty() || folder.is_empty()).then_some(entries))
    }

    async fn archive(&self, commit: &ObjectName, folder: &str) -> Result<Archive, SourceError> {
        self.note(format!("archive {folder}"));
        let bytes = match &self.broken_archive {
            Some(bytes) => bytes.clone(),
            None => tar_of(self.entries(commit, folder), folder),
        };
        Ok(Archive {
            stream: Box::new(std::io::Cursor::new(bytes)),
            finish: Box::new(|| Ok(())),
        })
    }
}

/// A tar stream as git writes it: a comment first, and every folder before its files.
pub(super) fn tar_of(entries: Vec<(Vec<u8>, TreeEntryKind, Bytes)>, folder: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut comment = tar::Header::new_ustar();
    comment.set_entry_type(tar::EntryType::XGlobalHeader);
    comment.set_size(11);
    comment.set_cksum();
    builder.append(&comment, &b"11 comment\n"[..]).unwrap();
    for (name, kind, content) in entries {
        let path = match folder {
            "" => name,
            folder => [folder.as_bytes(), b"/", &name].concat(),
        };
        let path = std::ffi::OsString::from(String::from_utf8(path).unwrap());
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        match kind {
            TreeEntryKind::File => {
                header.set_size(u64::try_from(content.len()).unwrap());
                builder
                    .append_data(&mut header, path, &content[..])
                    .unwrap();
            }
            TreeEntryKind::Symlink => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, path, "target").unwrap();
            }
            TreeEntryKind::Submodule => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_size(0);
                builder.append_data(&mut header, path, &b""[..]).unwrap();
            }
        }
    }
    builder.into_inner().unwrap()
}

/// Opens the one repository, whatever the address.
pub(super) struct OneRepository(pub(super) Arc<MemoryRepository>);

impl Repositories for OneRepository {
    fn open(&self, _: &RepositoryUrl, _: Trust) -> Result<Arc<dyn Repository>, SourceError> {
        Ok(self.0.clone())
    }
}
