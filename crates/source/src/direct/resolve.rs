//! What a version or a revision name comes to (`codeRepo.Stat`, `convert` and `validatePseudoVersion`; rules
//! 8 to 12 and 18 to 24).

use gomod::{PseudoVersion, Version, go_quote, semver};

use super::go_mod::Module;
use super::origin::{CommitTime, Origin, RevisionInfo};
use super::place::{INCOMPATIBLE, joined};
use super::versions::Retractions;
use super::words;
use crate::{Commit, Freshness, SourceError};

impl Module {
    /// The commit and the version of a name: a version, a branch, a tag, a commit.
    ///
    /// # Errors
    /// Absence in Go's words where the name is unknown or what it names breaks a rule.
    pub(super) async fn stat(&self, asked: &str) -> Result<(Commit, RevisionInfo), SourceError> {
        if asked == "latest" {
            return self.head().await;
        }
        let revision = self.place.revision_of(asked);
        let invalid = |reason: &str| words::invalid_version(&self.place.module_path, asked, reason);
        let found = self.repository.find(&revision).await.map_err(|mut error| {
            if error.is_absence() {
                error.0.text = invalid(&error.0.text).0.text;
            }
            error
        })?;
        let commit = found.ok_or_else(|| invalid(&format!("unknown revision {revision}")))?;
        let reference = self.reference_of(&commit).await?;
        let info = self.convert(&commit, reference, asked, &revision).await?;
        Ok((commit, info))
    }

    /// The head of the default branch (`codeRepo.Latest`).
    ///
    /// # Errors
    /// Absence where there is none, or no module there.
    pub(super) async fn head(&self) -> Result<(Commit, RevisionInfo), SourceError> {
        let refs = self.repository.refs(Freshness::Recent).await?;
        let no_commits = || words::absent(format!("module {}: no commits", self.place.module_path));
        let head = refs.head().ok_or_else(no_commits)?;
        let commit = self.repository.find(head.as_str()).await?;
        let commit = commit.ok_or_else(no_commits)?;
        let info = self
            .convert(&commit, "HEAD".to_owned(), "", head.as_str())
            .await?;
        Ok((commit, info))
    }

    /// `Origin.Ref`: the ref that the commit was found by. For a commit that was asked by its own name it is
    /// the first one that points to it, as a go command without a cache of its own finds it, but for `HEAD`,
    /// which that one fetches by the commit's name.
    async fn reference_of(&self, commit: &Commit) -> Result<String, SourceError> {
        if let Some(reference) = &commit.found_by {
            return Ok(reference.clone());
        }
        let refs = self.repository.refs(Freshness::Known).await?;
        let first = refs.iter().find(|(_, object)| **object == commit.name);
        Ok(match first {
            Some((name, _)) if name != "HEAD" => name.to_owned(),
            Some(_) | None => String::new(),
        })
    }

    /// The version of a commit that was found for the sake of `asked` (empty for the default branch) under the
    /// name `revision`.
    async fn convert(
        &self,
        commit: &Commit,
        reference: String,
        asked: &str,
        revision: &str,
    ) -> Result<RevisionInfo, SourceError> {
        let conversion = Conversion {
            module: self,
            commit,
            asked,
            time: CommitTime::of(commit)?,
        };
        let version = conversion.version(revision).await?;
        let mut origin = Origin {
            url: self.repository.url().as_str().to_owned(),
            subdirectory: self.place.folder.clone(),
            hash: commit.name.as_str().to_owned(),
            reference,
            ..Origin::default()
        };
        // The tags that the choice of a pseudo-version depended on.
        let depends_on_tags = version.is_pseudo()
            && (version.as_str() != asked || !version.as_str().starts_with("v0.0.0-"));
        if depends_on_tags {
            let refs = self.repository.refs(conversion.freshness()).await?;
            origin.tag_prefix = self.place.pseudo_tag_prefix();
            origin.tag_sum = refs.tag_sum(&origin.tag_prefix);
        }
        Ok(RevisionInfo {
            version,
            time: conversion.time,
            origin: Some(origin),
        })
    }
}

/// A commit on its way to a version.
struct Conversion<'a> {
    module: &'a Module,
    commit: &'a Commit,
    asked: &'a str,
    time: CommitTime,
}

impl Conversion<'_> {
    /// A version that was asked for by its full name depends on no later state of the tags.
    fn freshness(&self) -> Freshness {
        if is_canonical(self.asked) {
            Freshness::Known
        } else {
            Freshness::Recent
        }
    }

    async fn version(&self, revision: &str) -> Result<Version, SourceError> {
        let place = &self.module.place;
        if PseudoVersion::recognises(self.asked) {
            // The cheap rules first: ancestry may need the whole history.
            let version = self.checked(self.asked).await?;
            self.validate_pseudo_version().await?;
            return Ok(version);
        }
        // The name is itself a tag, and a version.
        if self.commit.tags.contains(revision)
            && let Some(tag) = place.version_of_tag(revision)
            && tag.is_canonical
        {
            match self.checked(&tag.version).await {
                Err(error) if error.is_absence() => {}
                checked => return checked,
            }
        }
        let mut candidates = Vec::new();
        let mut base = String::new();
        for tag in &self.commit.tags {
            let Some(tag) = place.version_of_tag(tag) else {
                continue;
            };
            if !self.asked.is_empty() && semver::compare(&tag.version, self.asked).is_eq() {
                if tag.is_canonical {
                    return self.checked(&tag.version).await;
                }
                // Several tags may differ in their metadata only, so the version would be ambiguous; a
                // pseudo-version on top of it is not.
                base.clone_from(&tag.version);
            }
            if tag.is_canonical {
                candidates.push(tag.version);
            }
        }
        if let Some(highest) = self.highest_allowed(candidates).await? {
            return self.checked(&highest).await;
        }
        if base.is_empty() {
            base = self.recent_version().await?.unwrap_or_default();
        }
        let built = PseudoVersion::build(
            place.path_major.version_prefix(),
            &base,
            &self.time.digits(),
            self.commit.name.short(),
        );
        let version = built
            .map_err(|error| words::invalid_version(&place.module_path, &base, error.reason))?;
        self.checked(version.as_str()).await
    }

    /// The highest of some versions that the path admits and nobody has retracted.
    async fn highest_allowed(
        &self,
        mut versions: Vec<String>,
    ) -> Result<Option<String>, SourceError> {
        // Stable, and the first of equals is taken, as in Go.
        versions.sort_by(|one, other| semver::compare(other, one));
        let mut retractions = None;
        for version in versions {
            if !self.module.place.path_major.admits(&version)
                && !self.may_be_incompatible(&version).await?
            {
                continue;
            }
            let retractions: &Retractions = match &mut retractions {
                Some(known) => known,
                unknown => unknown.insert(self.module.retractions().await?),
            };
            if !retractions.contain(&version) {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }

    /// The version that the commit comes after: the highest that tags of the commit itself name, or else tags
    /// in its history (`gitRepo.RecentTag`). So it is found by a go command that has no cache of its own; one
    /// that has fetched the history before may find a higher one.
    async fn recent_version(&self) -> Result<Option<String>, SourceError> {
        let here = self.commit.tags.iter().map(String::as_str);
        if let Some(version) = self.highest_allowed(self.bases(here)).await? {
            return Ok(Some(version));
        }
        let repository = &self.module.repository;
        let refs = repository.refs(self.freshness()).await?;
        let beginning = format!("{}v", self.module.place.tag_prefix());
        if refs.tags(&beginning).next().is_none() {
            return Ok(None);
        }
        repository.complete_history().await?;
        let mut merged = repository.merged_tags(&self.commit.name).await?;
        merged.sort();
        self.highest_allowed(self.bases(merged.iter().map(String::as_str)))
            .await
    }

    /// The versions among some tags, those with metadata too.
    fn bases<'t>(&self, tags: impl Iterator<Item = &'t str>) -> Vec<String> {
        tags.filter_map(|tag| self.module.place.version_of_tag(tag))
            .map(|tag| tag.version)
            .collect()
    }

    /// True if a version that the path does not admit may be called incompatible: the module has no go.mod,
    /// and none in a folder for that major version unless the user asks for the incompatible one.
    async fn may_be_incompatible(&self, version: &str) -> Result<bool, SourceError> {
        let module = self.module;
        if !module.place.may_be_incompatible() {
            return Ok(false);
        }
        let commit = &self.commit.name;
        if module.go_mod_at(commit, "go.mod").await?.is_some() {
            return Ok(false);
        }
        if self.asked.ends_with(INCOMPATIBLE) {
            return Ok(true);
        }
        let in_folder = joined(semver::major(version), "go.mod");
        Ok(module.go_mod_at(commit, &in_folder).await?.is_none())
    }

    /// Checks that the module is at the commit and that the version fits it; adds `+incompatible` where that
    /// is needed (Go's `checkCanonical`).
    async fn checked(&self, version: &str) -> Result<Version, SourceError> {
        let place = &self.module.place;
        let module_path = &place.module_path;
        self.module
            .directory(&self.commit.name, version, &place.revision_of(version))
            .await
            .map_err(|error| error.of_version(module_path, version))?;

        let asked_base = without_incompatible(self.asked);
        let mut version = if version == asked_base {
            self.asked.to_owned()
        } else {
            version.to_owned()
        };
        let base = without_incompatible(&version).to_owned();
        let mut fault = None;
        if !place.path_major.admits(&base) {
            if self.may_be_incompatible(&base).await? {
                version = format!("{base}{INCOMPATIBLE}");
            } else if !place.path_major.is_empty() {
                fault = Some(
                    "module path includes a major version suffix, so major version must match"
                        .to_owned(),
                );
            } else {
                let wanted = joined(&place.path_prefix, semver::major(&version));
                fault = Some(format!(
                    "module contains a go.mod file, so module path must match major version ({})",
                    go_quote(&wanted)
                ));
            }
        } else if version.ends_with(INCOMPATIBLE) {
            fault = Some(format!(
                "+incompatible suffix not allowed: major version {} is compatible",
                semver::major(&version)
            ));
        }
        if is_canonical(self.asked) && asked_base != base {
            return Err(words::invalid_version(
                module_path,
                self.asked,
                format!("resolves to version {version} ({asked_base} is not a tag)"),
            ));
        }
        if let Some(fault) = fault {
            return Err(words::invalid_version(module_path, &version, fault));
        }
        Version::parse(&version)
            .map_err(|error| words::invalid_version(module_path, &version, error.reason))
    }

    /// Checks the parts of the pseudo-version that was asked for against its commit, in Go's order.
    async fn validate_pseudo_version(&self) -> Result<(), SourceError> {
        let place = &self.module.place;
        let asked = self.asked;
        let invalid =
            |reason: &str| words::invalid_pseudo_version(&place.module_path, asked, reason);
        let version =
            Version::parse(without_incompatible(asked)).map_err(|error| invalid(&error.reason))?;
        let Some(pseudo) = version.pseudo() else {
            return Err(invalid("syntax error"));
        };
        let (revision, short) = (pseudo.revision(), self.commit.name.short());
        if revision != short {
            return Err(invalid(&if revision.starts_with(short) {
                format!("revision is longer than canonical (expected {short})")
            } else if short.starts_with(revision) {
                format!("revision is shorter than canonical (expected {short})")
            } else {
                format!("does not match short name of revision (expected {short})")
            }));
        }
        pseudo
            .time_rfc3339()
            .map_err(|error| invalid(&error.reason))?;
        let expected = self.time.digits();
        if pseudo.time() != expected {
            return Err(invalid(&format!(
                "does not match version-control timestamp (expected {expected})"
            )));
        }
        let Some(base) = pseudo.base().map_err(|error| invalid(&error.reason))? else {
            if place.path_major.is_empty() && version.major() == "v1" {
                return Err(invalid(
                    "major version without preceding tag must be v0, not v1",
                ));
            }
            return Ok(());
        };
        let prefix = place.tag_prefix();
        let canonical = self
            .commit
            .tags
            .iter()
            .find(|tag| tag.strip_prefix(&prefix).unwrap_or(tag) == base.as_str());
        if let Some(tag) = canonical {
            return Err(invalid(&format!(
                "tag ({tag}) found on revision {revision} is already canonical, so should not be replaced with a \
                 pseudo-version derived from that tag"
            )));
        }
        let mut tags = self.tags_of_base(&base, Freshness::Known).await?;
        if tags.is_empty() {
            tags = self.tags_of_base(&base, Freshness::Recent).await?;
        }
        let Some(last) = tags.last() else {
            return Err(invalid(&format!("preceding tag ({base}) not found")));
        };
        let repository = &self.module.repository;
        let commit = &self.commit.name;
        for history in [History::AsKnown, History::Complete] {
            if history == History::Complete {
                repository.complete_history().await?;
            }
            for tag in &tags {
                if repository.descends_from(commit, tag).await? {
                    return Ok(());
                }
            }
        }
        Err(invalid(&format!(
            "revision {revision} is not a descendent of preceding tag ({last})"
        )))
    }

    /// The tags that may be meant by the base of a pseudo-version.
    async fn tags_of_base(
        &self,
        base: &Version,
        freshness: Freshness,
    ) -> Result<Vec<String>, SourceError> {
        let prefix = self.module.place.tag_prefix();
        let refs = self.module.repository.refs(freshness).await?;
        Ok(refs
            .tags(&format!("{prefix}{base}"))
            .map(|(tag, _)| tag)
            .filter(|tag| {
                let version = tag.strip_prefix(&prefix).unwrap_or(tag);
                semver::compare(version, base.as_str()).is_eq()
            })
            .map(str::to_owned)
            .collect())
    }
}

/// How much of the history is looked through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum History {
    AsKnown,
    Complete,
}

/// True for a version that is written in full (`module.CanonicalVersion` leaves it as it is).
fn is_canonical(text: &str) -> bool {
    Version::parse(text).is_ok()
}

fn without_incompatible(version: &str) -> &str {
    version.strip_suffix(INCOMPATIBLE).unwrap_or(version)
}
