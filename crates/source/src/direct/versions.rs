//! The versions of a module (`codeRepo.Versions`, rules 13 to 16), and which of them are retracted
//! (`codeRepo.retractedVersions`, rule 22).

use std::sync::Arc;

use gomod::modfile::{ModFile, Mode};
use gomod::{PseudoVersion, Version, semver};

use super::go_mod::{Module, NoDirectory};
use super::place::INCOMPATIBLE;
use crate::{Freshness, Refs, SourceError, SourceErrorKind};

impl Module {
    /// All versions that have tags, sorted; retracted ones too. A module without tags, or none at all in that
    /// folder, has no versions.
    pub(super) async fn versions(&self, freshness: Freshness) -> Result<Vec<Version>, SourceError> {
        if self.place.is_unstable() {
            return Ok(Vec::new());
        }
        let refs = self.repository.refs(freshness).await?;
        self.versions_in(&refs).await
    }

    async fn versions_in(&self, refs: &Arc<Refs>) -> Result<Vec<Version>, SourceError> {
        let (mut versions, candidates) = self.tagged(refs);
        if candidates.is_empty() {
            return Ok(versions);
        }
        // A module that has a go.mod in its latest version does not go on under the same path.
        if let Some(latest) = versions.last()
            && self.root_has_go_mod(refs, latest.as_str()).await?
        {
            return Ok(versions);
        }
        for of_one_major in candidates.chunk_by(|one, other| one.major() == other.major()) {
            let Some(latest) = of_one_major.last() else {
                continue;
            };
            if self.root_has_go_mod(refs, latest.as_str()).await? {
                continue;
            }
            for version in of_one_major {
                let incompatible = format!("{version}{INCOMPATIBLE}");
                versions.extend(Version::parse(&incompatible).ok());
            }
        }
        Ok(versions)
    }

    /// The versions that the module's tags name and its path admits; and those that may be incompatible ones,
    /// without the suffix. Both sorted.
    fn tagged(&self, refs: &Refs) -> (Vec<Version>, Vec<Version>) {
        let place = &self.place;
        let prefix = place.tag_prefix();
        let (mut versions, mut candidates) = (Vec::new(), Vec::new());
        for (tag, _) in refs.tags(&prefix) {
            let name = tag.strip_prefix(&prefix).unwrap_or(tag);
            if semver::canonical(name) != name || PseudoVersion::recognises(name) {
                continue;
            }
            let Ok(version) = Version::parse(name) else {
                continue;
            };
            if place.path_major.admits(name) {
                versions.push(version);
            } else if place.may_be_incompatible() && !matches!(version.major(), "v0" | "v1") {
                candidates.push(version);
            }
        }
        versions.sort();
        candidates.sort();
        (versions, candidates)
    }

    /// True if the repository's root has a go.mod at a tag.
    async fn root_has_go_mod(&self, refs: &Refs, tag: &str) -> Result<bool, SourceError> {
        let listed = refs.get(&format!("refs/tags/{tag}"));
        if let Some(known) = listed.and_then(|commit| self.known_go_mod_at(commit, "go.mod")) {
            return Ok(known.is_some());
        }
        let found = absent_as_none(self.repository.find(tag).await)?.flatten();
        match found {
            Some(commit) => Ok(self.go_mod_at(&commit.name, "go.mod").await?.is_some()),
            // A tag of something else than a commit.
            None => Ok(false),
        }
    }

    /// What the go.mod of the highest release says of retractions; where there is no release, that of the
    /// highest pre-release. A module whose go.mod breaks a rule there retracts nothing.
    pub(super) async fn retractions(&self) -> Result<Retractions, SourceError> {
        let versions = self.versions(Freshness::Recent).await?;
        let mut compatible = versions.iter().filter(|version| !version.is_incompatible());
        let highest = compatible
            .clone()
            .rfind(|version| !version.is_prerelease())
            .or_else(|| compatible.next_back());
        let Some(highest) = highest else {
            return Ok(Retractions::default());
        };
        let revision = self.place.revision_of(highest.as_str());
        let Some(commit) = absent_as_none(self.repository.find(&revision).await)?.flatten() else {
            return Ok(Retractions::default());
        };
        let directory = self.directory(&commit.name, highest.as_str(), &revision);
        match directory.await {
            Ok(directory) => Ok(Retractions::read(directory.go_mod.as_deref())),
            Err(NoDirectory::Rule(_)) => Ok(Retractions::default()),
            Err(NoDirectory::Unread(error)) if error.kind() == SourceErrorKind::TooLarge => {
                Ok(Retractions::default())
            }
            Err(NoDirectory::Unread(error)) => Err(error),
        }
    }
}

/// The versions that a go.mod file retracts.
#[derive(Default)]
pub(super) struct Retractions(Option<ModFile>);

impl Retractions {
    /// Reads a go.mod file leniently; one that cannot be read retracts nothing.
    pub(super) fn read(go_mod: Option<&[u8]>) -> Self {
        Self(go_mod.and_then(|bytes| ModFile::parse(bytes, Mode::Lax).ok()))
    }

    /// True if nothing is retracted.
    pub(super) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|file| file.retract.is_empty())
    }

    /// True if the version is retracted.
    pub(super) fn contain(&self, version: &str) -> bool {
        match (&self.0, Version::parse(version)) {
            (Some(file), Ok(version)) => file.retracts(&version).is_some(),
            (None, _) | (_, Err(_)) => false,
        }
    }
}

/// Absence as a value.
fn absent_as_none<T>(found: Result<T, SourceError>) -> Result<Option<T>, SourceError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_absence() => Ok(None),
        Err(error) => Err(error),
    }
}
