//! The folder of `design`: `DIR/download`, `DIR/state`, `DIR/staging`.
use crate::*;
use std::path::Path;

/// A store in a folder that is itself a static GOPROXY.
#[derive(Debug)]
pub struct DiskStore {}

impl DiskStore {
    /// Opens or creates the folder; fails with a clear error where it can't be written.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let _ = dir;
        todo!()
    }
}

#[async_trait]
impl Store for DiskStore {
    async fn open(&self, _key: &FileKey) -> Result<Option<Opened>, StoreError> {
        todo!()
    }
    async fn commit(&self, _file: Arc<Verified>) -> Result<Committed, StoreError> {
        todo!()
    }
    async fn record(
        &self,
        _n: Namespace,
        _m: &ModuleVersion,
    ) -> Result<Option<Record>, StoreError> {
        todo!()
    }
    async fn versions(&self, _n: Namespace, _p: &ModulePath) -> Result<Vec<Version>, StoreError> {
        todo!()
    }
    async fn knows(&self, _n: Namespace, _p: &ModulePath) -> Result<bool, StoreError> {
        todo!()
    }
    async fn delete(&self, _key: &FileKey) -> Result<bool, StoreError> {
        todo!()
    }
}
