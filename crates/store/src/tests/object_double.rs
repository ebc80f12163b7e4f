//! An object store in memory: slow, and with no locks but conditional writes.
//!
//! The file objects are named by their content, so that writing one twice is harmless; the conditional
//! write of the version's record is the commit.

use crate::conformance::read;
use crate::*;
use gomod::FileKind;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

#[derive(Default)]
pub(crate) struct ObjectDouble {
    objects: Mutex<BTreeMap<String, Object>>,
    generations: Mutex<u64>,
}

#[derive(Clone)]
struct Object {
    bytes: Bytes,
    generation: u64,
}

impl ObjectDouble {
    async fn get(&self, name: &str) -> Option<Object> {
        slowly().await;
        self.objects.lock().get(name).cloned()
    }

    /// Writes the object if its generation is still `expected` (`None`: if it is absent).
    async fn put_if(&self, name: &str, expected: Option<u64>, bytes: Bytes) -> bool {
        slowly().await;
        let mut objects = self.objects.lock();
        if objects.get(name).map(|object| object.generation) != expected {
            return false;
        }
        let mut generations = self.generations.lock();
        *generations += 1;
        let generation = *generations;
        objects.insert(name.to_owned(), Object { bytes, generation });
        true
    }

    async fn record_object(
        &self,
        module: &ModuleVersion,
    ) -> Result<Option<(Record, u64)>, StoreError> {
        let name = record_name(module);
        let Some(object) = self.get(&name).await else {
            return Ok(None);
        };
        let record = Record::from_json(Path::new(&name), &object.bytes)?;
        Ok(Some((record, object.generation)))
    }

    async fn files_of(&self, module_path: &ModulePath) -> HashMap<Version, BTreeSet<String>> {
        slowly().await;
        let prefix = format!("files/{}/@v/", module_path.escape().as_str());
        let mut files = HashMap::<Version, BTreeSet<String>>::new();
        for name in self.objects.lock().keys() {
            let Some(rest) = name.strip_prefix(&prefix) else {
                continue;
            };
            let (version, file) = rest.split_once('/').unwrap();
            let version = gomod::EscapedVersion::parse(version).unwrap().unescape();
            let extension = file.split_once('-').unwrap().0;
            files
                .entry(Version::parse(version.as_str()).unwrap())
                .or_default()
                .insert(extension.to_owned());
        }
        files
    }
}

/// Lets others go between any two requests.
async fn slowly() {
    for _ in 0..fastrand::u32(1..20) {
        tokio::task::yield_now().await;
    }
}

fn record_name(module: &ModuleVersion) -> String {
    let (path, version) = (module.path().escape(), module.version().escape());
    format!("records/{}/@v/{}", path.as_str(), version.as_str())
}

fn file_name(module: &ModuleVersion, kind: FileKind, sha256: Sha256) -> String {
    let (path, version) = (module.path().escape(), module.version().escape());
    let (path, version, extension) = (path.as_str(), version.as_str(), kind.extension());
    format!("files/{path}/@v/{version}/{extension}-{sha256}")
}

#[async_trait]
impl Store for ObjectDouble {
    async fn open(&self, key: &FileKey) -> Result<Option<Opened>, StoreError> {
        let Some((record, _)) = self.record_object(&key.module).await? else {
            return Ok(None);
        };
        let Some(file) = record.file(key.kind) else {
            return Ok(None);
        };
        let name = file_name(&key.module, key.kind, file.sha256);
        Ok(self.get(&name).await.map(|object| Opened {
            body: Body::Bytes(object.bytes),
            len_bytes: file.len_bytes,
            sha256: file.sha256,
            source: file.source.as_str().into(),
            stored_at: file.stored_at,
            tier: Tier::Disk,
        }))
    }

    async fn commit(&self, verified: Arc<Verified>) -> Result<Committed, StoreError> {
        let key = verified.staged().key();
        let hash = verified.accepted().hash;
        if key.kind != FileKind::Info && hash.is_none() {
            return Err(StoreError::Io(std::io::Error::other("no hash")));
        }
        loop {
            let there = self.record_object(&key.module).await?;
            let generation = there.as_ref().map(|(_, generation)| *generation);
            let mut record = there.map(|(record, _)| record).unwrap_or_default();
            if let Some(remembered) = record.hash(key.kind)
                && Some(remembered) != hash
            {
                return Ok(Committed::Differs(record));
            }
            if let Some(file) = record.file(key.kind) {
                let name = file_name(&key.module, key.kind, file.sha256);
                if self.get(&name).await.is_some() {
                    return Ok(Committed::Same);
                }
            }
            let bytes = Bytes::from(read(&verified.open()));
            let name = file_name(&key.module, key.kind, verified.staged().sha256());
            self.put_if(&name, None, bytes).await;
            let file = FileRecord {
                sha256: verified.staged().sha256(),
                len_bytes: verified.staged().len_bytes(),
                stored_at: verified.verified_at(),
                verified_by: verified.accepted().by.clone(),
                source: verified.staged().source().to_owned(),
                commit: verified.staged().commit().map(str::to_owned),
            };
            record.remember(key.kind, hash, file);
            let json = Bytes::from(record.to_json()?);
            if self
                .put_if(&record_name(&key.module), generation, json)
                .await
            {
                return Ok(Committed::Stored);
            }
        }
    }

    async fn record(
        &self,
        _: Namespace,
        module: &ModuleVersion,
    ) -> Result<Option<Record>, StoreError> {
        let there = self.record_object(module).await?;
        Ok(there.map(|(record, _)| record))
    }

    async fn versions(
        &self,
        _: Namespace,
        module_path: &ModulePath,
    ) -> Result<Vec<Version>, StoreError> {
        let files = self.files_of(module_path).await;
        let mut versions: Vec<Version> = files
            .into_iter()
            .filter(|(_, kinds)| kinds.len() == FILE_KINDS.len())
            .map(|(version, _)| version)
            .collect();
        versions.sort();
        Ok(versions)
    }

    async fn knows(&self, _: Namespace, module_path: &ModulePath) -> Result<bool, StoreError> {
        Ok(!self.files_of(module_path).await.is_empty())
    }

    async fn delete(&self, key: &FileKey) -> Result<bool, StoreError> {
        let Some((record, _)) = self.record_object(&key.module).await? else {
            return Ok(false);
        };
        let Some(file) = record.file(key.kind) else {
            return Ok(false);
        };
        slowly().await;
        let name = file_name(&key.module, key.kind, file.sha256);
        Ok(self.objects.lock().remove(&name).is_some())
    }
}
