//! The checksum database: its settings, its files in the cache folder, and the way to it.

use crate::settings::complaint::Complaint;
use crate::settings::config::Config;
use async_trait::async_trait;
use bytes::Bytes;
use gomod::ProxyEntry;
use gomod::sumdb::SumdbSetting;
use source::DatabaseHttp;
use source::sumdb::{
    ChosenTransport, Database, StateError, SumdbState, SumdbTransport, Swapped, TransportError,
};
use std::sync::Arc;
use store::sumdb_files::{self, SumdbFiles};

/// The database of the settings; `None` where they say `off`. Without `http` it is asked nothing and
/// answers from what is kept.
pub(super) fn database(
    config: &Config,
    entries: &[ProxyEntry],
    http: Option<Arc<DatabaseHttp>>,
) -> Result<Option<Database>, Complaint> {
    let SumdbSetting::Database { verifier, url } = &config.sumdb else {
        return Ok(None);
    };
    let name = verifier.name();
    let transport: Arc<dyn SumdbTransport> = match http {
        Some(http) => Arc::new(ChosenTransport::new(name, url.clone(), entries, http)),
        None => Arc::new(Offline),
    };
    let files = SumdbFiles::open(&config.cache_dir, name).map_err(Complaint::from_error)?;
    let kept = Arc::new(Kept(files));
    Ok(Some(Database::new(verifier.clone(), transport, kept)))
}

/// The database's files in the cache folder, as its client wants them: the two rooms do not know
/// each other.
struct Kept(SumdbFiles);

impl SumdbState for Kept {
    fn read(&self, file: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.0.read(file).map_err(state_error)
    }

    fn read_at_once(&self, file: &str) -> Option<Result<Option<Vec<u8>>, StateError>> {
        let read = self.0.read_at_once(file)?;
        Some(read.map_err(state_error))
    }

    fn write(&self, file: &str, bytes: &[u8]) -> Result<(), StateError> {
        self.0.write(file, bytes).map_err(state_error)
    }

    fn head(&self) -> Result<Vec<u8>, StateError> {
        self.0.head().map_err(state_error)
    }

    fn swap_head(&self, old: &[u8], new: &[u8]) -> Result<Swapped, StateError> {
        match self.0.swap_head(old, new).map_err(state_error)? {
            sumdb_files::Swapped::Stored => Ok(Swapped::Stored),
            sumdb_files::Swapped::Changed(there) => Ok(Swapped::Changed(there)),
        }
    }
}

fn state_error(error: store::StoreError) -> StateError {
    StateError(error.to_string())
}

/// Nobody is asked.
struct Offline;

#[async_trait]
impl SumdbTransport for Offline {
    async fn get(&self, _path: &str) -> Result<Bytes, TransportError> {
        Err(TransportError::Unavailable {
            text: "larder runs with `--offline` and asks no checksum database".into(),
        })
    }
}
