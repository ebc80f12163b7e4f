//! The client's state machine (rule 70; golang.org/x/mod/sumdb.Client).
//!
//! There is one timeline: each signed head that is seen must lie on it, before or behind the newest
//! one that is known. A newer head is written down before anything is believed because of it, so that
//! a database cannot show another history after a restart.

use super::behind::Behind;
use super::{
    ChecksumError, ChecksumSource, Checksums, StateError, SumdbState, SumdbTransport, Swapped,
    TransportError,
};
use crate::flights::Flights;
use async_trait::async_trait;
use bytes::Bytes;
use gomod::ModuleVersion;
use gomod::sumdb::{
    CLIENT_TILE_HEIGHT, HashPosition, Lookup, Note, NoteError, ProofError, ProvenTiles, Record,
    Tile, TileData, TreeHead, TreeProof, Verifier, subtrees,
};
use parking_lot::RwLock;
use quick_cache::sync::Cache;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OnceCell, Semaphore, SemaphorePermit};

/// Proven tiles in memory: 512 full ones.
const TILE_CACHE_BYTES: u64 = 4 << 20;
/// Proven lookups in memory: some 1,500.
const LOOKUP_CACHE_BYTES: u64 = 1 << 20;
/// Heads that are known to lie on the timeline; each lookup comes with one.
const KNOWN_HEADS: usize = 1024;
/// Requests under way at the same time.
const REQUESTS_AT_ONCE: usize = 32;
/// How long a request waits for its turn among them.
const LONGEST_WAIT_FOR_TURN: Duration = Duration::from_secs(60);
/// How often a newer head of another process may come between before we give up.
const SWAP_ROUNDS: usize = 16;

/// Tiles of the newest head's right edge, which change with each head: in two slots, so that those of
/// the stored head are there whenever a crash comes.
const EDGE_FILES: [&str; 2] = ["tile/edge/0", "tile/edge/1"];
/// What the database was caught at.
const FORK_FILE: &str = "tile/fork";

/// One checksum database. Cheap to clone.
#[derive(Clone)]
pub struct Database(pub(super) Arc<Client>);

impl Database {
    /// The database that signs with `verifier`'s key, reached through `transport`. Nothing is read or
    /// asked before the first question.
    pub fn new(
        verifier: Verifier,
        transport: Arc<dyn SumdbTransport>,
        state: Arc<dyn SumdbState>,
    ) -> Self {
        Self(Arc::new(Client {
            verifier,
            transport,
            behind: Behind::new(Arc::clone(&state)),
            state,
            timeline: RwLock::default(),
            loaded: OnceCell::new(),
            moving: Mutex::default(),
            fork: RwLock::default(),
            tiles: Cache::with_weighter(512, TILE_CACHE_BYTES, Bytewise),
            lookups: Cache::with_weighter(1500, LOOKUP_CACHE_BYTES, Bytewise),
            known_heads: Cache::new(KNOWN_HEADS),
            tile_flights: Flights::default(),
            lookup_flights: Flights::default(),
            requests: Semaphore::new(REQUESTS_AT_ONCE),
        }))
    }
}

#[async_trait]
impl ChecksumSource for Database {
    async fn lookup(&self, module: &ModuleVersion) -> Result<Checksums, ChecksumError> {
        Ok(self.0.lookup(module).await?.checksums.clone())
    }
    fn name(&self) -> &str {
        self.0.verifier.name()
    }
    async fn settled(&self) {
        self.0.behind.settled().await;
    }
}

/// A lookup whose record is proven to be in the log.
#[derive(Debug)]
pub(super) struct Proven {
    /// The answer as it came.
    pub(super) answer: Bytes,
    /// True where the database was not asked for it.
    pub(super) is_kept: bool,
    checksums: Checksums,
}

/// The newest head that is known, and what proves it.
#[derive(Clone)]
pub(super) struct Newest {
    pub(super) head: TreeHead,
    /// The note as it is stored; empty before the first one.
    pub(super) signed: Bytes,
    /// The tiles of the right edge.
    edge: HashMap<(u8, u64), TileData>,
    /// Which of [`EDGE_FILES`] holds them.
    edge_slot: usize,
    /// False for a head that could not be written down: good for one lookup, and then forgotten.
    is_stored: bool,
}

impl Default for Newest {
    fn default() -> Self {
        Self {
            head: TreeHead::EMPTY,
            signed: Bytes::new(),
            edge: HashMap::new(),
            edge_slot: 0,
            is_stored: true,
        }
    }
}

pub(super) struct Client {
    pub(super) verifier: Verifier,
    pub(super) transport: Arc<dyn SumdbTransport>,
    state: Arc<dyn SumdbState>,
    pub(super) behind: Arc<Behind>,
    timeline: RwLock<Arc<Newest>>,
    loaded: OnceCell<()>,
    /// Held by who moves the timeline forward.
    moving: Mutex<()>,
    fork: RwLock<Option<Arc<str>>>,
    tiles: Cache<(u8, u64), TileData, Bytewise>,
    lookups: Cache<ModuleVersion, Arc<Proven>, Bytewise>,
    known_heads: Cache<TreeHead, ()>,
    tile_flights: Flights<(Tile, Freshly), Result<Brought, TransportError>>,
    lookup_flights: Flights<ModuleVersion, Result<Arc<Proven>, ChecksumError>>,
    requests: Semaphore,
}

/// Entries weigh what they hold in memory, keys and counters roughly included.
#[derive(Clone)]
struct Bytewise;

impl quick_cache::Weighter<(u8, u64), TileData> for Bytewise {
    fn weight(&self, _: &(u8, u64), data: &TileData) -> u64 {
        data.len() as u64
    }
}

impl quick_cache::Weighter<ModuleVersion, Arc<Proven>> for Bytewise {
    fn weight(&self, _: &ModuleVersion, proven: &Arc<Proven>) -> u64 {
        proven.answer.len() as u64 + 300
    }
}

/// Whether kept tiles will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Freshly {
    No,
    Yes,
}

#[derive(Clone)]
struct Brought {
    data: TileData,
    is_kept: bool,
}

impl Client {
    /// A record with its proof: from memory, from what is kept, or from the database.
    pub(super) async fn lookup(
        self: &Arc<Self>,
        module: &ModuleVersion,
    ) -> Result<Arc<Proven>, ChecksumError> {
        if let Some(proven) = self.lookups.get(module) {
            return Ok(proven);
        }
        let flight = self.lookup_flights.join(module.clone(), || {
            let (client, module) = (Arc::clone(self), module.clone());
            async move {
                let proven = client.look_up(&module).await?;
                client.lookups.insert(module, Arc::clone(&proven));
                Ok(proven)
            }
        });
        flight
            .landed()
            .await
            .unwrap_or_else(|| Err(self.unavailable("the lookup died")))
    }

    async fn look_up(
        self: &Arc<Self>,
        module: &ModuleVersion,
    ) -> Result<Arc<Proven>, ChecksumError> {
        self.load().await?;
        let file = format!(
            "lookup/{}@{}",
            module.path().escape().as_str(),
            module.version().escape().as_str()
        );
        if let Some(kept) = self.read(&file).await {
            match self.prove(module, kept.into()).await {
                Ok(proven) => return Ok(Arc::new(proven)),
                // Damaged, or proven by tiles that are not kept: as if it were not there.
                Err(error) => tracing::debug!(%module, %error, "asking again for a kept lookup"),
            }
        }
        if let Some(fork) = self.fork() {
            return Err(ChecksumError::Misbehaves(fork.to_string()));
        }
        let answer = self
            .get(&format!("/{file}"))
            .await
            .map_err(|error| match error {
                TransportError::Absent { text, .. } => ChecksumError::Unknown {
                    database: self.verifier.name().to_owned(),
                    module: module.to_string(),
                    text,
                },
                TransportError::Unavailable { text } => self.unavailable(text),
            })?;
        let mut proven = self.prove(module, answer).await?;
        proven.is_kept = false;
        self.behind.keep([(file, proven.answer.to_vec())]);
        Ok(Arc::new(proven))
    }

    /// Checks an answer of `/lookup/`: signature, timeline, place of the record.
    async fn prove(
        self: &Arc<Self>,
        module: &ModuleVersion,
        answer: Bytes,
    ) -> Result<Proven, ChecksumError> {
        let lookup = Lookup::parse(&answer).map_err(|error| self.unavailable(error))?;
        let newest = self.place(lookup.signed_head()).await?;
        self.check_record(&newest, &lookup.record).await?;
        let (zip, go_mod) = lookup.record.hashes_of(module);
        if zip.is_none() && go_mod.is_none() {
            return Err(self.misbehaves(format!(
                "the record that was given for {module} does not name it:\n{}",
                lookup.record.text
            )));
        }
        Ok(Proven {
            answer,
            is_kept: true,
            checksums: Checksums {
                zip,
                go_mod,
                database: self.verifier.name().to_owned(),
            },
        })
    }

    async fn check_record(
        self: &Arc<Self>,
        newest: &Newest,
        record: &Record,
    ) -> Result<(), ChecksumError> {
        if record.id >= newest.head.size {
            return Err(self.misbehaves(format!(
                "cannot validate record {} in tree of size {}",
                record.id, newest.head.size
            )));
        }
        let position = HashPosition::of_record(record.id);
        let tiles = self.tiles_of(newest, &[position]).await?;
        if tiles.hash(position).ok() != Some(record.hash()) {
            return Err(self.misbehaves("cannot authenticate record data in server response"));
        }
        Ok(())
    }

    /// Finds the place of a signed head on the timeline, moves the timeline forward if it is a newer
    /// one, and returns the newest head.
    pub(super) async fn place(
        self: &Arc<Self>,
        signed: &[u8],
    ) -> Result<Arc<Newest>, ChecksumError> {
        let (note, head) = self.open(signed)?;
        let newest = self.newest();
        if head.size > newest.head.size {
            return self.move_to(&note, head).await;
        }
        self.check_older(&note, head, &newest).await?;
        Ok(newest)
    }

    pub(super) fn newest(&self) -> Arc<Newest> {
        Arc::clone(&self.timeline.read())
    }

    pub(super) fn open(&self, signed: &[u8]) -> Result<(Note, TreeHead), ChecksumError> {
        let note = Note::open(signed, &self.verifier).map_err(|error| {
            let text = format!(
                "reading tree note: {error}\nnote:\n{}",
                String::from_utf8_lossy(signed.get(..1000).unwrap_or(signed))
            );
            match error {
                NoteError::BadSignature(_) => self.misbehaves(text),
                NoteError::Malformed(_) | NoteError::Unsigned(_) => self.unavailable(text),
            }
        })?;
        let head = TreeHead::of(&note).map_err(|error| self.misbehaves(error))?;
        Ok((note, head))
    }

    /// Checks that an older head, or another one of the same size, lies on the timeline.
    async fn check_older(
        self: &Arc<Self>,
        note: &Note,
        head: TreeHead,
        newest: &Newest,
    ) -> Result<(), ChecksumError> {
        if head == newest.head || self.known_heads.get(&head).is_some() {
            return Ok(());
        }
        if head.size < newest.head.size {
            let tiles = self.tiles_of(newest, &subtrees(head.size)).await?;
            if tiles.root(head.size).ok() == Some(head.root) {
                self.known_heads.insert(head, ());
                return Ok(());
            }
        }
        Err(self
            .remember_fork(note.signed(), &String::from_utf8_lossy(&newest.signed))
            .await)
    }

    /// Moves the timeline forward to `head`, or further where others have been.
    async fn move_to(
        self: &Arc<Self>,
        note: &Note,
        head: TreeHead,
    ) -> Result<Arc<Newest>, ChecksumError> {
        let _moving = self.moving.lock().await;
        let mut stored = self.newest().signed.clone();
        for _ in 0..SWAP_ROUNDS {
            let newest = self.newest();
            if head.size <= newest.head.size {
                self.check_older(note, head, &newest).await?;
                return Ok(newest);
            }
            let mut next = self.prove_newer(&newest, note, head).await?;
            let (state, old, new) = (Arc::clone(&self.state), stored.clone(), next.signed.clone());
            let edge = (
                EDGE_FILES[next.edge_slot % 2].to_owned(),
                write_edge(&next.edge),
            );
            let swapped = self
                .blocking(move || {
                    // The edge first: with a head alone nothing could be proven offline.
                    if let Err(error) = state.write(&edge.0, &edge.1) {
                        tracing::warn!(%error, "cannot keep tiles of the checksum database");
                    }
                    state.swap_head(&old, &new)
                })
                .await;
            match swapped {
                Some(Ok(Swapped::Stored)) => {
                    return Ok(self.install(next));
                }
                Some(Ok(Swapped::Changed(theirs))) => {
                    self.follow(&newest, &theirs, note, head).await?;
                    stored = theirs.into();
                }
                // Full disk: each lookup is proven against a head that follows from the stored one,
                // and no head is believed beyond that.
                failed => {
                    let error = failed
                        .and_then(Result::err)
                        .map_or_else(|| "interrupted".to_owned(), |error| error.to_string());
                    tracing::warn!(%error, "cannot store the checksum database's tree head");
                    next.is_stored = false;
                    return Ok(Arc::new(next));
                }
            }
        }
        Err(self.unavailable("the stored tree head changes faster than it can be followed"))
    }

    /// Takes note of the head that another process stored, while this one is about to store `head`.
    async fn follow(
        self: &Arc<Self>,
        newest: &Newest,
        theirs: &[u8],
        note: &Note,
        head: TreeHead,
    ) -> Result<(), ChecksumError> {
        if theirs.is_empty() {
            // Someone emptied the cache; what we know in memory we go on knowing.
            return Ok(());
        }
        let (their_note, their_head) = self.open(theirs)?;
        if their_head.size <= head.size {
            // Ours and theirs are both beginnings of one tree then, and so of each other.
            let theirs = Newest {
                head: their_head,
                signed: Bytes::copy_from_slice(theirs),
                ..Newest::default()
            };
            self.prove_newer(&theirs, note, head).await?;
            return Ok(());
        }
        let mut next = self.prove_newer(newest, &their_note, their_head).await?;
        // They chose the slot of their edge themselves; ours goes into the other one as before.
        next.edge_slot = newest.edge_slot;
        self.install(next);
        Ok(())
    }

    fn install(&self, next: Newest) -> Arc<Newest> {
        let next = Arc::new(next);
        *self.timeline.write() = Arc::clone(&next);
        next
    }

    /// Proves that the tree of `head` begins with the tree that is known.
    async fn prove_newer(
        self: &Arc<Self>,
        newest: &Newest,
        note: &Note,
        head: TreeHead,
    ) -> Result<Newest, ChecksumError> {
        let plan = || TreeProof::of_root(head, CLIENT_TILE_HEIGHT, &subtrees(newest.head.size));
        let tiles = self.carry_out(&plan).await?;
        if tiles.root(newest.head.size).ok() != Some(newest.head.root) {
            return Err(self
                .remember_fork(&String::from_utf8_lossy(&newest.signed), note.signed())
                .await);
        }
        Ok(Newest {
            head,
            signed: Bytes::copy_from_slice(note.signed().as_bytes()),
            edge: tiles
                .brought()
                .iter()
                .filter(|(tile, _)| tile.is_partial())
                .map(|(tile, data)| ((tile.level.unwrap_or(0), tile.number), data.clone()))
                .collect(),
            edge_slot: (newest.edge_slot + 1) % 2,
            is_stored: true,
        })
    }

    /// Tiles that prove `wanted` hashes to be part of the tree of the newest head.
    pub(super) async fn tiles_of(
        self: &Arc<Self>,
        newest: &Newest,
        wanted: &[HashPosition],
    ) -> Result<ProvenTiles, ChecksumError> {
        let proven = |tile: Tile| self.proven_tile(newest, &tile);
        let plan = || TreeProof::new(newest.head, CLIENT_TILE_HEIGHT, wanted, &proven);
        let tiles = self.carry_out(&plan).await?;
        if newest.is_stored {
            for (tile, data) in tiles.brought() {
                self.tiles
                    .insert((tile.level.unwrap_or(0), tile.number), data.clone());
            }
        }
        Ok(tiles)
    }

    /// A tile that is known to lie on the timeline, at least as wide as asked for.
    pub(super) fn proven_tile(&self, newest: &Newest, tile: &Tile) -> Option<TileData> {
        let place = (tile.level?, tile.number);
        let is_enough = |data: &TileData| data.len() >= tile.hash_bytes();
        newest
            .edge
            .get(&place)
            .cloned()
            .filter(is_enough)
            .or_else(|| self.tiles.get(&place).filter(is_enough))
    }

    /// Brings the tiles that a proof lacks, judges them, and keeps the full ones.
    async fn carry_out(
        self: &Arc<Self>,
        plan: &(dyn Fn() -> Result<TreeProof, ProofError> + Sync),
    ) -> Result<ProvenTiles, ChecksumError> {
        // A kept tile may be damaged, or prove another history than the one that is shown now: the
        // second time all come from the database, and what they say is its own word.
        for freshly in [Freshly::No, Freshly::Yes] {
            let proof = plan().map_err(|error| self.misbehaves(error))?;
            let brought = self.bring(proof.lacking(), freshly).await?;
            let is_new: Vec<_> = brought.iter().map(|brought| !brought.is_kept).collect();
            let tiles = brought.into_iter().map(|brought| brought.data).collect();
            match proof.check(tiles) {
                Ok(tiles) => {
                    let files = tiles.brought().iter().zip(is_new);
                    self.behind.keep(
                        files
                            .filter(|((tile, _), is_new)| *is_new && !tile.is_partial())
                            .map(|((tile, data), _)| (tile.path(), data.to_vec())),
                    );
                    return Ok(tiles);
                }
                Err(error) if freshly == Freshly::Yes => return Err(self.misbehaves(error)),
                Err(error) => tracing::debug!(%error, "asking again for tiles"),
            }
        }
        Err(self.unavailable("no tiles"))
    }

    /// Tiles from memory, from what is kept, or from the database.
    async fn bring(
        self: &Arc<Self>,
        tiles: &[Tile],
        freshly: Freshly,
    ) -> Result<Vec<Brought>, ChecksumError> {
        let mut brought: Vec<Option<Brought>> = match freshly {
            Freshly::No => self.kept_tiles(tiles).await,
            Freshly::Yes => vec![None; tiles.len()],
        };
        let flights: Vec<_> = tiles
            .iter()
            .zip(&mut brought)
            .filter(|(_, brought)| brought.is_none())
            .map(|(tile, place)| {
                let flight = self.tile_flights.join((*tile, freshly), || {
                    let (client, tile) = (Arc::clone(self), *tile);
                    async move { client.ask_for_tile(tile, freshly).await }
                });
                (flight, place)
            })
            .collect();
        for (flight, place) in flights {
            let tile = flight
                .landed()
                .await
                .ok_or_else(|| self.unavailable("a tile's request died"))?;
            *place = Some(tile.map_err(|error| self.unavailable(error))?);
        }
        Ok(brought.into_iter().flatten().collect())
    }

    /// Those of the tiles that are in memory or kept, each in its place. The files that can't be read at once are read
    /// on one trip off the reactor.
    async fn kept_tiles(&self, tiles: &[Tile]) -> Vec<Option<Brought>> {
        let newest = self.newest();
        let mut found: Vec<Option<TileData>> = Vec::with_capacity(tiles.len());
        let mut unread = Vec::new();
        for (index, tile) in tiles.iter().enumerate() {
            let mut data = self.proven_tile(&newest, tile);
            if data.is_none() {
                let file = tile.full().path();
                match self.state.read_at_once(&file) {
                    Some(read) => data = readable(&file, read).map(Arc::from),
                    None => unread.push((index, file)),
                }
            }
            found.push(data);
        }
        if !unread.is_empty() {
            let state = Arc::clone(&self.state);
            let read = move || -> Vec<_> {
                let read_one = |(index, file): (usize, String)| (index, read_kept(&*state, &file));
                unread.into_iter().map(read_one).collect()
            };
            for (index, kept) in self.blocking(read).await.unwrap_or_default() {
                if let Some(found) = found.get_mut(index) {
                    *found = kept.map(Arc::from);
                }
            }
        }
        let wide_enough = |(found, tile): (Option<TileData>, &Tile)| {
            let data = found?.get(..tile.hash_bytes())?.into();
            Some(Brought {
                data,
                is_kept: true,
            })
        };
        found.into_iter().zip(tiles).map(wide_enough).collect()
    }

    async fn ask_for_tile(&self, tile: Tile, freshly: Freshly) -> Result<Brought, TransportError> {
        let width = tile.hash_bytes();
        // Another flight may have landed while the files were looked for.
        if freshly == Freshly::No
            && let Some(data) = self.proven_tile(&self.newest(), &tile)
            && let Some(data) = data.get(..width)
        {
            return Ok(Brought {
                data: data.into(),
                is_kept: true,
            });
        }
        let mut answer = self.get(&format!("/{}", tile.path())).await;
        if tile.is_partial() && matches!(answer, Err(TransportError::Absent { .. })) {
            // A database need not keep the partial tiles of a tile that is full by now.
            let full = self.get(&format!("/{}", tile.full().path())).await?;
            // Too short a tile is refused by the proof.
            answer = Ok(full.slice(..width.min(full.len())));
        }
        Ok(Brought {
            data: Arc::from(answer?.as_ref()),
            is_kept: false,
        })
    }

    /// True if a lookup is in memory: [`Self::lookup`] asks nobody then.
    pub(super) fn remembers(&self, module: &ModuleVersion) -> bool {
        self.lookups.get(module).is_some()
    }

    /// Asks the database, after waiting for a turn.
    pub(super) async fn get(&self, path: &str) -> Result<Bytes, TransportError> {
        let _turn = take_turn(&self.requests).await?;
        self.transport.get(path).await
    }

    /// Reads what is kept of the timeline, once.
    pub(super) async fn load(self: &Arc<Self>) -> Result<(), ChecksumError> {
        self.loaded
            .get_or_try_init(|| self.read_timeline())
            .await
            .copied()
    }

    async fn read_timeline(self: &Arc<Self>) -> Result<(), ChecksumError> {
        let state = Arc::clone(&self.state);
        let read = self
            .blocking(move || {
                let edges = EDGE_FILES.map(|file| state.read(file).ok().flatten());
                let fork = state.read(FORK_FILE).ok().flatten();
                state.head().map(|head| (head, edges, fork))
            })
            .await;
        let (signed, edges, fork) = match read {
            Some(Ok(read)) => read,
            Some(Err(error)) => return Err(self.unavailable(error)),
            None => return Err(self.unavailable("interrupted")),
        };
        if let Some(text) = fork.and_then(|text| String::from_utf8(text).ok()) {
            *self.fork.write() = Some(text.into());
        }
        if signed.is_empty() {
            return Ok(());
        }
        let (_, head) = self.open(&signed).map_err(|error| {
            self.unavailable(format!(
                "the tree head that is kept is not to be trusted: {error}"
            ))
        })?;
        let mut newest = Newest {
            head,
            signed: signed.into(),
            ..Newest::default()
        };
        // Tiles of an edge are believed when they lead to the head; without them the edge is fetched.
        for (slot, edge) in edges.iter().enumerate() {
            if let Some(edge) = edge.as_deref().and_then(|edge| proven_edge(head, edge)) {
                newest.edge = edge;
                newest.edge_slot = slot;
            }
        }
        self.install(newest);
        Ok(())
    }

    /// A kept file.
    pub(super) async fn read(&self, file: &str) -> Option<Vec<u8>> {
        if let Some(read) = self.state.read_at_once(file) {
            return readable(file, read);
        }
        let (state, file) = (Arc::clone(&self.state), file.to_owned());
        self.blocking(move || read_kept(&*state, &file)).await?
    }

    async fn blocking<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Option<R> {
        tokio::task::spawn_blocking(work).await.ok()
    }

    /// Says that two signed heads contradict each other, and never trusts the database's new words
    /// again: the evidence is kept until someone removes it.
    async fn remember_fork(&self, older: &str, newer: &str) -> ChecksumError {
        let indent = |note: &str| note.replace('\n', "\n\t");
        let text = format!(
            "SECURITY ERROR go.sum database server misbehavior detected!\n\n\
             old database:\n\t{}\nnew database:\n\t{}\n",
            indent(older),
            indent(newer)
        );
        tracing::error!(database = self.verifier.name(), "{text}");
        *self.fork.write() = Some(text.as_str().into());
        let (state, evidence) = (Arc::clone(&self.state), text.clone());
        let written = self.blocking(move || state.write(FORK_FILE, evidence.as_bytes()));
        if let Some(Err(error)) = written.await {
            tracing::error!(%error, "cannot keep the evidence against the checksum database");
        }
        ChecksumError::Misbehaves(text)
    }

    /// What the database was caught at.
    pub(super) fn fork(&self) -> Option<Arc<str>> {
        self.fork.read().clone()
    }

    pub(super) fn unavailable(&self, reason: impl std::fmt::Display) -> ChecksumError {
        ChecksumError::Unavailable(format!("{}: {reason}", self.verifier.name()))
    }

    fn misbehaves(&self, reason: impl std::fmt::Display) -> ChecksumError {
        ChecksumError::Misbehaves(format!("{}: {reason}", self.verifier.name()))
    }
}

/// Reads a kept file; blocks.
fn read_kept(state: &dyn SumdbState, file: &str) -> Option<Vec<u8>> {
    readable(file, state.read(file))
}

/// One that can't be read is asked for again.
fn readable(file: &str, read: Result<Option<Vec<u8>>, StateError>) -> Option<Vec<u8>> {
    read.unwrap_or_else(|error| {
        tracing::warn!(%error, file, "cannot read what is kept of the checksum database");
        None
    })
}

/// Waits for a turn, and not for ever: a database that answers nobody must not keep everybody.
pub(super) async fn take_turn(turns: &Semaphore) -> Result<SemaphorePermit<'_>, TransportError> {
    let turn = tokio::time::timeout(LONGEST_WAIT_FOR_TURN, turns.acquire()).await;
    turn.ok()
        .and_then(Result::ok)
        .ok_or_else(|| TransportError::Unavailable {
            text: format!(
                "too many earlier requests are still without an answer; waited {} s for a turn",
                LONGEST_WAIT_FOR_TURN.as_secs()
            ),
        })
}

/// The tiles of an edge as one file: for each its path, a newline, and its bytes.
fn write_edge(edge: &HashMap<(u8, u64), TileData>) -> Vec<u8> {
    let mut file = Vec::new();
    for ((level, number), data) in edge {
        let tile = Tile {
            height: CLIENT_TILE_HEIGHT,
            level: Some(*level),
            number: *number,
            width: u32::try_from(data.len() / 32).unwrap_or(0),
        };
        file.extend_from_slice(tile.path().as_bytes());
        file.push(b'\n');
        file.extend_from_slice(data);
    }
    file
}

fn proven_edge(head: TreeHead, mut file: &[u8]) -> Option<HashMap<(u8, u64), TileData>> {
    let mut tiles = HashMap::new();
    while !file.is_empty() {
        let end = file.iter().position(|byte| *byte == b'\n')?;
        let (path, rest) = file.split_at(end);
        let tile = Tile::parse_path(std::str::from_utf8(path).ok()?).ok()?;
        let (data, rest) = rest.get(1..)?.split_at_checked(tile.hash_bytes())?;
        tiles.insert((tile.level?, tile.number), TileData::from(data));
        file = rest;
    }
    let proof = TreeProof::of_root(head, CLIENT_TILE_HEIGHT, &[]).ok()?;
    let brought = proof
        .lacking()
        .iter()
        .map(|tile| tiles.get(&(tile.level?, tile.number)).cloned())
        .collect::<Option<Vec<_>>>()?;
    proof.check(brought).ok()?;
    Some(tiles)
}
