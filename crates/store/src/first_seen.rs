//! When each version was first seen: the clock that cool-down policies count from.
use crate::{Namespace, StoreError};
use gomod::{ModulePath, ModuleVersion, Version};

/// `DIR/state/seen`: one append-only file a module.
#[derive(Debug)]
pub struct FirstSeen {}

impl FirstSeen {
    /// Opens or creates the folder.
    pub fn open(dir: &std::path::Path) -> Result<Self, StoreError> {
        let _ = dir;
        todo!()
    }
    /// Remembers `now` for those of `versions` that were never seen before.
    pub async fn note(
        &self,
        namespace: Namespace,
        module_path: &ModulePath,
        versions: &[Version],
        now: jiff::Timestamp,
    ) -> Result<(), StoreError> {
        let _ = (namespace, module_path, versions, now);
        todo!()
    }
    /// When the version was first seen.
    pub async fn of(
        &self,
        namespace: Namespace,
        module: &ModuleVersion,
    ) -> Result<Option<jiff::Timestamp>, StoreError> {
        let _ = (namespace, module);
        todo!()
    }
    /// All of a module's.
    pub async fn all(
        &self,
        namespace: Namespace,
        module_path: &ModulePath,
    ) -> Result<std::collections::HashMap<Version, jiff::Timestamp>, StoreError> {
        let _ = (namespace, module_path);
        todo!()
    }
}
