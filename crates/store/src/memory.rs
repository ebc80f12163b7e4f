//! The memory tier: small files by weight in bytes, and open handles of larger ones, in front of
//! another store.
//!
//! A hit costs neither an await nor a system call. Both caches resist scans (S3-FIFO-like admission):
//! a listing of every module once does not push out what is asked all day. What another process
//! deletes stays here until it is pushed out: module files are immutable and were verified.

use crate::folder::blocking;
use crate::*;
use parking_lot::RwLock;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use std::os::unix::fs::FileExt as _;

/// Open handles of files that are too large for memory; each is one descriptor.
const HANDLES: usize = 256;
/// What one cached file costs beside its bytes and names: entry, hash table, reference counts.
const OVERHEAD_BYTES: u64 = 320;

/// A bounded memory cache over `inner`.
pub struct MemoryTier<S> {
    inner: S,
    file_bytes: u64,
    files: Cache<FileKey, Opened, ByBytes>,
    handles: Cache<FileKey, Opened>,
    /// Counts deletions, so that a file which was opened before one is not cached after it.
    deletions: RwLock<u64>,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<FileKey, Opened> for ByBytes {
    fn weight(&self, key: &FileKey, opened: &Opened) -> u64 {
        let names = key.module.path().as_str().len() + key.module.version().as_str().len();
        opened.len_bytes + names as u64 + OVERHEAD_BYTES
    }
}

impl<S: Store> MemoryTier<S> {
    /// Keeps at most `capacity_bytes`, files of at most `file_bytes` each.
    pub fn new(inner: S, capacity_bytes: u64, file_bytes: u64) -> Self {
        Self {
            inner,
            file_bytes,
            files: bytes_cache(capacity_bytes, file_bytes),
            handles: Cache::new(HANDLES),
            deletions: RwLock::new(0),
        }
    }

    /// The store behind.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// What the cached files weigh now, names and overhead included.
    pub fn weight_bytes(&self) -> u64 {
        self.files.weight()
    }

    /// Drops a file from memory, so that the next request reads what the store behind has; for a file that
    /// turned out to be damaged.
    pub fn forget(&self, key: &FileKey) {
        let mut deletions = self.deletions.write();
        *deletions += 1;
        self.files.remove(key);
        self.handles.remove(key);
    }

    /// Caches a file that was opened after `deletions` deletions.
    fn keep(&self, key: &FileKey, opened: &Opened, deletions: u64) {
        let now = self.deletions.read();
        if *now != deletions {
            return;
        }
        match opened.body {
            Body::Bytes(_) if opened.len_bytes <= self.file_bytes => {
                let cached = Opened {
                    tier: Tier::Memory,
                    ..opened.clone()
                };
                self.files.insert(key.clone(), cached);
            }
            Body::Bytes(_) => {}
            Body::File(_) => self.handles.insert(key.clone(), opened.clone()),
        }
    }
}

#[async_trait]
impl<S: Store> Store for MemoryTier<S> {
    fn open_now(&self, key: &FileKey) -> Option<Opened> {
        self.files
            .get(key)
            .or_else(|| self.handles.get(key))
            .or_else(|| self.inner.open_now(key))
    }
    async fn open(&self, key: &FileKey) -> Result<Option<Opened>, StoreError> {
        if let Some(opened) = self.open_now(key) {
            return Ok(Some(opened));
        }
        let deletions = *self.deletions.read();
        let Some(mut opened) = self.inner.open(key).await? else {
            return Ok(None);
        };
        if opened.len_bytes <= self.file_bytes {
            opened.body = read_whole(opened.body, opened.len_bytes).await?;
        }
        self.keep(key, &opened, deletions);
        Ok(Some(opened))
    }
    async fn commit(&self, file: Arc<Verified>) -> Result<Committed, StoreError> {
        let deletions = *self.deletions.read();
        let committed = self.inner.commit(Arc::clone(&file)).await?;
        // Where the same file was there already, its bytes may be others of the same `h1:`.
        if matches!(committed, Committed::Stored) {
            let mut opened = file.open();
            if opened.len_bytes <= self.file_bytes {
                opened.body = match opened.body {
                    // Kept as they are, they would take room from the fills for as long as they stay
                    // here. Beside the hash and the write of a commit, a copy costs next to nothing.
                    Body::Bytes(staged) => Body::Bytes(Bytes::copy_from_slice(&staged)),
                    body @ Body::File(_) => read_whole(body, opened.len_bytes).await?,
                };
            }
            self.keep(file.staged().key(), &opened, deletions);
        }
        Ok(committed)
    }
    async fn record(
        &self,
        namespace: Namespace,
        module: &ModuleVersion,
    ) -> Result<Option<Record>, StoreError> {
        self.inner.record(namespace, module).await
    }
    async fn versions(
        &self,
        namespace: Namespace,
        module_path: &ModulePath,
    ) -> Result<Vec<Version>, StoreError> {
        self.inner.versions(namespace, module_path).await
    }
    async fn knows(
        &self,
        namespace: Namespace,
        module_path: &ModulePath,
    ) -> Result<bool, StoreError> {
        self.inner.knows(namespace, module_path).await
    }
    async fn delete(&self, key: &FileKey) -> Result<bool, StoreError> {
        let deleted = self.inner.delete(key).await;
        self.forget(key);
        deleted
    }
}

/// A cache whose shards each have room for several of the largest files: one that outweighs its shard
/// would never be kept.
fn bytes_cache(capacity_bytes: u64, file_bytes: u64) -> Cache<FileKey, Opened, ByBytes> {
    let largest = (file_bytes + OVERHEAD_BYTES).saturating_mul(4);
    let shards = usize::try_from(capacity_bytes / largest.max(1)).unwrap_or(1);
    let items = usize::try_from(capacity_bytes / (16 * 1024)).unwrap_or(usize::MAX);
    let options = OptionsBuilder::new()
        .weight_capacity(capacity_bytes)
        .estimated_items_capacity(items.clamp(64, 1 << 20))
        .shards(shards.clamp(1, 64))
        .build()
        .expect("both capacities are set");
    Cache::with_options(
        options,
        ByBytes,
        DefaultHashBuilder::default(),
        quick_cache::sync::DefaultLifecycle::default(),
    )
}

async fn read_whole(body: Body, len_bytes: u64) -> Result<Body, StoreError> {
    let Body::File(file) = body else {
        return Ok(body);
    };
    blocking(move || {
        let len = usize::try_from(len_bytes).map_err(std::io::Error::other)?;
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(Body::Bytes(Bytes::from(bytes)))
    })
    .await
}

#[cfg(test)]
mod tests;
