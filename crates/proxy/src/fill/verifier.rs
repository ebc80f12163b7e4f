//! The judgement of a staged file: its shape, its hash, and who vouches for it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use async_trait::async_trait;
use gomod::zip::{Limits, ReadAt, ZipError, check_and_hash};
use gomod::{FileKind, GoModHash, H1, Info, ModuleVersion};
use parking_lot::Mutex;
use source::sumdb::{ChecksumError, ChecksumSource, Checksums};
use store::{Accepted, Body, FileKey, Record, Staged, Store, VerifiedBy, Verifier, VerifyError};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::FillParts;

/// Judges the files of one module version.
pub(super) struct ModuleVerifier {
    store: Arc<dyn Store>,
    voucher: Voucher,
    verifying: Arc<Semaphore>,
}

/// Who vouches for the module's hashes.
enum Voucher {
    /// A database, and the lookup that was started together with the fetch.
    Database(Arc<dyn ChecksumSource>, Mutex<Option<AbortOnDrop>>),
    /// Nobody: first sight counts.
    Nobody,
}

impl ModuleVerifier {
    /// Starts the checksum lookup at once, so that it runs beside the fetch instead of after it.
    pub(super) fn begin(parts: &FillParts, key: &FileKey, verifying: Arc<Semaphore>) -> Self {
        let voucher = match &parts.checksums {
            Some(checksums)
                if key.kind != FileKind::Info
                    && parts.privacy.checked_by_database(key.module.path()) =>
            {
                let (database, module) = (checksums.clone(), key.module.clone());
                let lookup = tokio::spawn(async move { database.lookup(&module).await });
                Voucher::Database(checksums.clone(), Mutex::new(Some(AbortOnDrop(lookup))))
            }
            Some(_) | None => Voucher::Nobody,
        };
        Self {
            store: parts.store.clone(),
            voucher,
            verifying,
        }
    }

    async fn checksums(
        &self,
        database: &Arc<dyn ChecksumSource>,
        started: &Mutex<Option<AbortOnDrop>>,
        module: &ModuleVersion,
    ) -> Result<Checksums, VerifyError> {
        let started = started.lock().take();
        let looked_up = match started {
            Some(mut lookup) => match (&mut lookup.0).await {
                Ok(looked_up) => looked_up,
                Err(died) => Err(ChecksumError::Unavailable(format!(
                    "the lookup died: {died}"
                ))),
            },
            None => database.lookup(module).await,
        };
        looked_up.map_err(|error| match error {
            ChecksumError::Unknown {
                database,
                module,
                text,
            } => VerifyError::UnknownToDatabase {
                database,
                module,
                text,
            },
            ChecksumError::Unavailable(text) => VerifyError::DatabaseUnavailable(text),
            ChecksumError::Misbehaves(text) => VerifyError::DatabaseMisbehaves(text),
        })
    }

    async fn vouched(&self, key: &FileKey, got: H1) -> Result<VerifiedBy, VerifyError> {
        let record = self
            .store
            .record(key.namespace, &key.module)
            .await
            .map_err(|error| VerifyError::Io(error.to_string()))?;
        let remembered = record
            .as_ref()
            .and_then(|record| remembered_hash(record, key.kind));
        if let Some(expected) = remembered
            && expected != got
        {
            let by_database = record
                .and_then(|record| vouched_by(&record, key.kind))
                .is_some_and(|by| matches!(by, VerifiedBy::ChecksumDatabase(_)));
            return Err(if by_database {
                let by = "the first download, which the checksum database vouched for".into();
                VerifyError::Mismatch { got, expected, by }
            } else {
                VerifyError::DiffersFromFirst { got, expected }
            });
        }
        let Voucher::Database(database, started) = &self.voucher else {
            return Ok(VerifiedBy::FirstSight);
        };
        // What a database vouched for once needs no second word: the hash is the same.
        if let (Some(_), Some(by)) = (
            remembered,
            record.and_then(|record| vouched_by(&record, key.kind)),
        ) && matches!(by, VerifiedBy::ChecksumDatabase(_))
        {
            return Ok(by);
        }
        let checksums = self.checksums(database, started, &key.module).await?;
        let expected = match key.kind {
            FileKind::Zip => checksums.zip.map(|hash| hash.0),
            FileKind::Mod => checksums.go_mod.map(|hash| hash.0),
            FileKind::Info => None,
        };
        match expected {
            Some(expected) if expected == got => {
                Ok(VerifiedBy::ChecksumDatabase(checksums.database))
            }
            Some(expected) => Err(VerifyError::Mismatch {
                got,
                expected,
                by: checksums.database,
            }),
            None => Err(VerifyError::UnknownToDatabase {
                database: checksums.database,
                module: key.module.to_string(),
                text: format!("its record has no line for the .{}", key.kind.extension()),
            }),
        }
    }
}

#[async_trait]
impl Verifier for ModuleVerifier {
    async fn judge(&self, staged: &Staged) -> Result<Accepted, VerifyError> {
        let key = staged.key();
        let hash = match key.kind {
            FileKind::Info => {
                let bytes = whole(staged)?;
                let info =
                    Info::parse(&bytes).map_err(|error| VerifyError::Invalid(error.to_string()))?;
                if info.version != *key.module.version() {
                    return Err(VerifyError::Invalid(format!(
                        "the .info of {} says that it is {}",
                        key.module, info.version
                    )));
                }
                return Ok(Accepted {
                    by: VerifiedBy::Shape,
                    hash: None,
                });
            }
            FileKind::Mod => GoModHash::of(&whole(staged)?).0,
            FileKind::Zip => self.zip_hash(staged).await?,
        };
        let by = self.vouched(key, hash).await?;
        Ok(Accepted {
            by,
            hash: Some(hash),
        })
    }
}

impl ModuleVerifier {
    async fn zip_hash(&self, staged: &Staged) -> Result<H1, VerifyError> {
        let (body, len_bytes, module) = (
            staged.body(),
            staged.len_bytes(),
            staged.key().module.clone(),
        );
        // As the go command names a zip that it refuses.
        let name = format!(
            "{}/@v/{}.zip",
            module.path().escape().as_str(),
            module.version().escape().as_str()
        );
        let turn = self.verifying.clone().acquire_owned().await;
        let judged = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let limits = Limits::default();
            match body {
                Body::Bytes(bytes) => check_and_hash(&bytes[..], len_bytes, &module, &limits),
                Body::File(file) => check_and_hash(&FileAt(file), len_bytes, &module, &limits),
            }
        });
        match judged.await {
            Ok(Ok(report)) => Ok(report.hash.0),
            Ok(Err(ZipError::Invalid(text))) => {
                Err(VerifyError::Invalid(format!("unzip {name}: {text}")))
            }
            Ok(Err(ZipError::OutsideModule { name: file, prefix })) => {
                Err(VerifyError::Invalid(format!(
                    "zip for {} has unexpected file {file}",
                    prefix.trim_end_matches('/')
                )))
            }
            Ok(Err(ZipError::TooLarge(text))) => Err(VerifyError::TooLarge(text)),
            Ok(Err(ZipError::Io(error))) => Err(VerifyError::Io(error.to_string())),
            Err(died) => Err(VerifyError::Io(format!("the verification died: {died}"))),
        }
    }
}

fn remembered_hash(record: &Record, kind: FileKind) -> Option<H1> {
    match kind {
        FileKind::Zip => record.zip_hash.map(|hash| hash.0),
        FileKind::Mod => record.go_mod_hash.map(|hash| hash.0),
        FileKind::Info => None,
    }
}

fn vouched_by(record: &Record, kind: FileKind) -> Option<VerifiedBy> {
    let file = match kind {
        FileKind::Zip => &record.zip,
        FileKind::Mod => &record.go_mod,
        FileKind::Info => &record.info,
    };
    file.as_ref().map(|file| file.verified_by.clone())
}

/// The bytes of a small file. `.info` and `.mod` are bounded far below what memory holds.
fn whole(staged: &Staged) -> Result<bytes::Bytes, VerifyError> {
    match staged.body() {
        Body::Bytes(bytes) => Ok(bytes),
        Body::File(file) => {
            let len = usize::try_from(staged.len_bytes())
                .map_err(|_| VerifyError::TooLarge("the file is larger than memory".into()))?;
            let mut buffer = vec![0; len];
            file.read_exact_at(&mut buffer, 0)
                .map_err(|error| VerifyError::Io(error.to_string()))?;
            Ok(buffer.into())
        }
    }
}

/// An open file as gomod reads archives.
struct FileAt(Arc<File>);

impl ReadAt for FileAt {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
}

/// A task that ends with the fill that started it.
struct AbortOnDrop(JoinHandle<Result<Checksums, ChecksumError>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
