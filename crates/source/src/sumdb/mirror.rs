//! The database's data for clients of ours: what `/sumdb/NAME/` answers with.
//!
//! Answered from what is kept where that is right, fetched and verified otherwise. A client verifies
//! again for itself; nothing here is meant to be believed.
//!
//! Those who ask for the same at the same time share one answer. Questions that need the database take
//! turns of their own, so that they never take up all of those that our own verification needs.

use super::database::{Client, Database, take_turn};
use super::{ChecksumError, TransportError};
use crate::flights::Flights;
use bytes::Bytes;
use gomod::sumdb::{CLIENT_TILE_HEIGHT, HashPosition, Tile};
use gomod::{ModuleVersion, SumdbRequest};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Questions that may need the database, at the same time: half of the turns that verification has.
const QUESTIONS_AT_ONCE: usize = 16;
/// How long the answer to a lookup is again that the database does not know the version: the go command
/// asks twice. Absent tiles are not remembered, since the next one to come must be seen when it comes.
const ABSENCE_HOLDS: Duration = Duration::from_secs(30);
/// Absent versions that are remembered; each holds the few lines that the database said.
const REMEMBERED_ABSENCES: usize = 1024;

/// How long an answer of `/latest` is given again without asking.
const LATEST_HOLDS: Duration = Duration::from_secs(10);
/// A full tile that is proven never changes.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// A lookup's record never changes; its tree head is one of many.
const LONG: Duration = Duration::from_secs(24 * 3600);
/// Tree heads, partial tiles, tiles that could not be proven, and whether we serve at all.
const SHORT: Duration = Duration::from_secs(60);

/// A database's data on its way to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirrored {
    /// The bytes.
    pub body: Bytes,
    /// How long any cache may keep them.
    pub max_age: Duration,
    /// True where nothing had to be fetched.
    pub kept: bool,
}

/// The database's data, for clients: `/sumdb/NAME/…`. Cheap to clone.
#[derive(Clone)]
pub struct SumdbMirror {
    client: Arc<Client>,
    shared: Arc<Shared>,
}

/// What all clones have in common.
struct Shared {
    latest: Mutex<Option<(Bytes, Instant)>>,
    under_way: Flights<SumdbRequest, Result<Mirrored, ChecksumError>>,
    absent: Cache<ModuleVersion, (ChecksumError, Instant)>,
    turns: Semaphore,
}

impl SumdbMirror {
    /// Serves what `database` knows.
    pub fn new(database: &Database) -> Self {
        Self {
            client: Arc::clone(&database.0),
            shared: Arc::new(Shared {
                latest: Mutex::new(None),
                under_way: Flights::default(),
                absent: Cache::new(REMEMBERED_ABSENCES),
                turns: Semaphore::new(QUESTIONS_AT_ONCE),
            }),
        }
    }

    /// The database's name: the one that is served; requests for any other are answered with 404.
    pub fn name(&self) -> &str {
        self.client.verifier.name()
    }

    /// Answers one request. [`ChecksumError::Unknown`] stands for 404: what the database itself doesn't
    /// have, and `supported` where a client had better go to the database itself.
    pub async fn answer(&self, request: &SumdbRequest) -> Result<Mirrored, ChecksumError> {
        self.client.load().await?;
        match request {
            SumdbRequest::Supported => self.supported().await,
            request => self.share(request).await,
        }
    }

    /// The answer to a request, found once for all who make it at the same time.
    async fn share(&self, request: &SumdbRequest) -> Result<Mirrored, ChecksumError> {
        let flight = self.shared.under_way.join(request.clone(), || {
            let (mirror, request) = (self.clone(), request.clone());
            async move {
                match &request {
                    // Whether we serve at all follows from whether there is a head.
                    SumdbRequest::Supported | SumdbRequest::Latest => mirror.latest().await,
                    SumdbRequest::Lookup(module) => mirror.lookup(module).await,
                    SumdbRequest::Tile(tile) => mirror.tile(tile).await,
                }
            }
        });
        flight
            .landed()
            .await
            .unwrap_or_else(|| Err(self.client.unavailable("the request was interrupted")))
    }

    /// Asks the database for what our own verification does not ask for.
    async fn get(&self, path: &str) -> Result<Bytes, TransportError> {
        let _turn = take_turn(&self.shared.turns).await?;
        self.client.transport.get(path).await
    }

    /// Yes where something is kept or the database can be reached. A client that hears yes never goes
    /// to the database itself.
    async fn supported(&self) -> Result<Mirrored, ChecksumError> {
        let kept = self.client.newest().head.size > 0;
        if !kept {
            let latest = self.share(&SumdbRequest::Latest).await;
            latest.map_err(|error| match error {
                ChecksumError::Unavailable(text) => self.absent("supported", text),
                error => error,
            })?;
        }
        Ok(Mirrored {
            body: Bytes::new(),
            max_age: SHORT,
            kept,
        })
    }

    /// The newest signed tree head; that which is known where the database is out of reach.
    async fn latest(&self) -> Result<Mirrored, ChecksumError> {
        let mirrored = |body, kept| Mirrored {
            body,
            max_age: LATEST_HOLDS,
            kept,
        };
        let remembered = self.shared.latest.lock().clone();
        if let Some((body, since)) = remembered
            && since.elapsed() < LATEST_HOLDS
        {
            return Ok(mirrored(body, true));
        }
        if let Some(fork) = self.client.fork() {
            return Err(ChecksumError::Misbehaves(fork.to_string()));
        }
        let placed = match self.get("/latest").await {
            Ok(signed) => self.client.place(&signed).await,
            Err(error) => Err(self.client.unavailable(error)),
        };
        match placed {
            // Never an older head than one that a lookup of ours came with.
            Ok(newest) => {
                let body = newest.signed.clone();
                *self.shared.latest.lock() = Some((body.clone(), Instant::now()));
                Ok(mirrored(body, false))
            }
            Err(ChecksumError::Unavailable(_)) if self.client.newest().head.size > 0 => {
                Ok(mirrored(self.client.newest().signed.clone(), true))
            }
            Err(error) => Err(error),
        }
    }

    /// The record of a version, proven to be in the log, with a tree head that holds it.
    async fn lookup(&self, module: &ModuleVersion) -> Result<Mirrored, ChecksumError> {
        if let Some((unknown, since)) = self.shared.absent.get(module)
            && since.elapsed() < ABSENCE_HOLDS
        {
            return Err(unknown);
        }
        let _turn = match self.client.remembers(module) {
            true => None,
            false => {
                let turn = take_turn(&self.shared.turns).await;
                Some(turn.map_err(|error| self.client.unavailable(error))?)
            }
        };
        let proven = self.client.lookup(module).await.inspect_err(|error| {
            if matches!(error, ChecksumError::Unknown { .. }) {
                let unknown = (error.clone(), Instant::now());
                self.shared.absent.insert(module.clone(), unknown);
            }
        })?;
        Ok(Mirrored {
            body: proven.answer.clone(),
            max_age: LONG,
            kept: proven.is_kept,
        })
    }

    /// A tile: proven where it lies within the tree that is known, passed on as it came otherwise, as
    /// are data tiles and tiles of another height than the go command's.
    async fn tile(&self, tile: &Tile) -> Result<Mirrored, ChecksumError> {
        let newest = self.client.newest();
        let mirrored = |data: &[u8], kept| Mirrored {
            body: Bytes::copy_from_slice(data),
            max_age: if tile.is_partial() { SHORT } else { FOR_EVER },
            kept,
        };
        if let Some(position) = last_hash(tile, newest.head.size) {
            let kept = match self.client.proven_tile(&newest, tile) {
                Some(data) => Some(data),
                // Only what was proven is kept.
                None => self.client.read(&tile.full().path()).await.map(Arc::from),
            };
            if let Some(data) = kept.as_ref().and_then(|data| data.get(..tile.hash_bytes())) {
                return Ok(mirrored(data, true));
            }
            let turn = take_turn(&self.shared.turns).await;
            let _turn = turn.map_err(|error| self.client.unavailable(error))?;
            let tiles = self.client.tiles_of(&newest, &[position]).await?;
            return tiles
                .tile(tile)
                .map(|data| mirrored(data, false))
                .ok_or_else(|| self.client.unavailable("a tile that is not in the tree"));
        }
        match self.get(&format!("/{}", tile.path())).await {
            Ok(body) => Ok(Mirrored {
                body,
                max_age: SHORT,
                kept: false,
            }),
            Err(TransportError::Absent { text, .. }) => Err(self.absent(&tile.path(), text)),
            Err(error) => Err(self.client.unavailable(error)),
        }
    }

    fn absent(&self, what: &str, text: String) -> ChecksumError {
        ChecksumError::Unknown {
            database: self.name().to_owned(),
            module: what.to_owned(),
            text,
        }
    }
}

/// The position of a tile's last hash, if a tree of `size` records has it and clients read such tiles.
fn last_hash(tile: &Tile, size: u64) -> Option<HashPosition> {
    let level = tile
        .level
        .filter(|_| tile.height == CLIENT_TILE_HEIGHT)?
        .checked_mul(tile.height)?;
    let index = tile
        .number
        .checked_mul(1 << tile.height)?
        .checked_add(u64::from(tile.width) - 1)?;
    (index < size.checked_shr(level.into()).unwrap_or(0)).then_some(HashPosition { level, index })
}
