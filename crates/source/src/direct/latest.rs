//! The latest version (`go list -m PATH@latest`, rule 25; `modload.queryProxy` and `filterVersions`).

use gomod::{Version, modfile};

use super::go_mod::Module;
use super::origin::{Origin, RevisionInfo};
use super::versions::Retractions;
use super::words;
use crate::{Freshness, SourceError};

impl Module {
    /// The highest release that is not retracted; without releases, the highest such pre-release; without
    /// versions, the head of the default branch. Its origin names the tags that the choice was made from.
    ///
    /// # Errors
    /// Absence where nothing can be chosen, or what was chosen breaks a rule.
    pub(super) async fn latest(&self) -> Result<RevisionInfo, SourceError> {
        let versions = self.versions(Freshness::Recent).await?;
        let everything = Retractions::default();
        let unfiltered = self.chosen(&versions, &everything).await?;
        // Retractions are read from what is the latest version if nothing is retracted.
        let retractions = Retractions::read(Some(&unfiltered.go_mod));
        let chosen =
            if !retractions.is_empty() && retractions.contain(unfiltered.info.version.as_str()) {
                self.chosen(&versions, &retractions).await?
            } else {
                unfiltered
            };
        let mut info = chosen.info;
        info.origin = match (self.origin_of_list().await?, &info.origin) {
            (Some(list), Some(origin)) => list.merged(origin),
            (None, _) | (_, None) => None,
        };
        Ok(info)
    }

    async fn chosen(
        &self,
        versions: &[Version],
        retractions: &Retractions,
    ) -> Result<Chosen, SourceError> {
        let version = self.highest(versions, retractions).await?;
        let (commit, info) = match &version {
            Some(version) => self.stat(version.as_str()).await?,
            None => self.head().await?,
        };
        if version.is_none() && retractions.contain(info.version.as_str()) {
            return Err(words::absent(format!(
                "module {}: no matching versions for query \"latest\": all of them are retracted",
                self.place.module_path
            )));
        }
        let text = info.version.as_str();
        let directory = self
            .directory(&commit.name, text, &self.place.revision_of(text))
            .await
            .map_err(|error| error.of_version(&self.place.module_path, text))?;
        Ok(Chosen {
            info,
            go_mod: directory.go_mod_or_synthesised(&self.place.module_path),
        })
    }

    /// The highest release, or else the highest pre-release, that is not retracted. Incompatible versions
    /// count only if the highest compatible one has no go.mod of its own.
    async fn highest(
        &self,
        versions: &[Version],
        retractions: &Retractions,
    ) -> Result<Option<Version>, SourceError> {
        let is_allowed = |version: &&Version| !retractions.contain(version.as_str());
        let (incompatible, compatible): (Vec<&Version>, Vec<&Version>) = versions
            .iter()
            .filter(is_allowed)
            .partition(|version| version.is_incompatible());
        let mut counting = compatible;
        let counts = incompatible.is_empty()
            || match counting.last() {
                Some(latest) => self.has_only_synthesised_go_mod(latest).await?,
                None => true,
            };
        if counts {
            counting.extend(incompatible);
        }
        let release = counting.iter().rfind(|version| !version.is_prerelease());
        Ok(release
            .or_else(|| counting.last())
            .map(|version| Version::clone(version)))
    }

    /// True if the module has no go.mod at a version, or one that cannot be told from none.
    async fn has_only_synthesised_go_mod(&self, version: &Version) -> Result<bool, SourceError> {
        let text = version.as_str();
        let (commit, _) = self.stat(text).await?;
        let directory = self
            .directory(&commit.name, text, &self.place.revision_of(text))
            .await
            .map_err(|error| error.of_version(&self.place.module_path, text))?;
        let synthesised = modfile::synthesise(&self.place.module_path);
        Ok(directory.go_mod.is_none_or(|go_mod| go_mod == synthesised))
    }

    /// What the choice among all versions depends on; `None` for the paths that have no tags.
    async fn origin_of_list(&self) -> Result<Option<Origin>, SourceError> {
        if self.place.is_unstable() {
            return Ok(None);
        }
        let refs = self.repository.refs(Freshness::Recent).await?;
        let tag_prefix = self.place.tag_prefix();
        Ok(Some(Origin {
            url: self.repository.url().as_str().to_owned(),
            subdirectory: self.place.folder.clone(),
            tag_sum: refs.tag_sum(&tag_prefix),
            tag_prefix,
            ..Origin::default()
        }))
    }
}

/// A version and its go.mod.
struct Chosen {
    info: RevisionInfo,
    go_mod: bytes::Bytes,
}
