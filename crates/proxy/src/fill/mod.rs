//! Bringing missing files into the store.
//!
//! Called by `serve` with what the gate admitted. Identical misses share one [`flight`]; the fill
//! behind it is a task of its own that outlives the client who asked first. The only room that
//! writes to a store. It does not know lists, statuses or callers.
//!
//! Files up to [`RELEASE_WHOLE_BYTES`] are handed out when they are verified. Larger ones stream to
//! all followers while they arrive, the last [`TAIL_BYTES`] held back until the whole is verified,
//! so that nobody ever holds a complete file that failed.

pub mod flight;
mod prefetch;
mod sink;
mod verifier;

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gomod::{FileKind, ModuleVersion};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use source::privacy::Privacy;
use source::sumdb::ChecksumSource;
use source::{Source, Touched};
use store::first_seen::FirstSeen;
use store::{Committed, FileKey, Opened, Staging, Store, Verified, VerifyError};
use tokio::sync::{Notify, Semaphore, watch};

use crate::answer::Answers;
use crate::failure::Failure;
use crate::gate::AdmittedFile;
use crate::observe::Metrics;
use flight::{Boarded, Flight, Following, Progress};
use prefetch::{Prefetch, Signal};
use sink::{Contest, Liars, Release};
use verifier::ModuleVerifier;

/// Files up to this size are released whole, when verified.
pub const RELEASE_WHOLE_BYTES: u64 = 8 << 20;
/// What is held back of a larger file until the whole is verified. The end of a zip is its central
/// directory, without which no reader can open it.
pub const TAIL_BYTES: u64 = 256 << 10;
/// Followers are told of new bytes in steps of at least this, so that wake-ups don't outweigh the copy.
const RELEASE_STEP_BYTES: u64 = 256 << 10;
/// Fills under way at once; the rest waits.
const FILLS: usize = 256;
/// Flights at most, waiting ones included: the bound on what a flood of misses can cost.
const FLIGHTS: usize = 8192;
/// How long a fill waits for its turn. The go command never retries, so waiting beats refusing.
const QUEUE_DEADLINE: Duration = Duration::from_secs(120);
/// How long a fill that nobody follows any more may go on.
const ABANDONED_DEADLINE: Duration = Duration::from_secs(600);
/// How long the refusal of a file is remembered that broke off before the eyes of its first clients and was
/// refused once more when it was fetched whole: each further ask gets the words without another download.
const REFUSED_TWICE: Duration = Duration::from_secs(600);
/// What remembered failures may weigh, and what one weighs beside its texts.
const REMEMBERED_BYTES: u64 = 8 << 20;
const FAILURE_BYTES: u64 = 512;
/// Files that landed lately, or that no longer stream; at most.
const LATELY: usize = 4096;
/// `.info` and `.mod` fetched behind a zip, at once; more are dropped: the next client brings them.
const FOLLOW_UPS: usize = 32;

/// May a missing file be fetched for this request?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// Yes.
    Allowed,
    /// The client sent `Disable-Module-Fetch: true`.
    Forbidden,
}

/// How a file came to the client.
#[derive(Debug)]
pub enum Served {
    /// It was stored.
    Stored(Opened),
    /// It was fetched for this request, or for one that was there first.
    Fetched {
        /// The verified file.
        opened: Opened,
        /// True where another request had started the flight.
        joined: Joined,
    },
    /// It is being fetched and is handed out as it comes.
    Arriving {
        /// The growing file.
        following: Following,
        /// True where another request had started the flight.
        joined: Joined,
    },
}

/// A file that is in the store.
#[derive(Clone, Debug)]
pub struct Brought {
    /// Its bytes.
    pub opened: Opened,
    /// True where it was stored already.
    pub was_there: bool,
    /// Its `h1:`, for zips and go.mod files.
    pub hash: Option<gomod::H1>,
}

/// Whether a request started its flight or joined one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// It was the first.
    Started,
    /// Another was there before it.
    Joined,
}

/// What the fills stand on.
pub struct FillParts {
    /// Where files rest.
    pub store: Arc<dyn Store>,
    /// Where they wait for a verdict.
    pub staging: Arc<Staging>,
    /// Where they come from; `None` when offline.
    pub source: Option<Arc<dyn Source>>,
    /// Who vouches for them; `None` when no database is configured.
    pub checksums: Option<Arc<dyn ChecksumSource>>,
    /// Which names may be said where.
    pub privacy: Privacy,
    /// Where first sight is remembered.
    pub first_seen: Arc<FirstSeen>,
    /// Told of new versions, so that lists are renewed.
    pub answers: Arc<Answers>,
    /// How long proven absence is remembered.
    pub negative: Duration,
    /// Bytes a second that may be fetched before they are asked for; 0 fetches nothing ahead.
    pub prefetch_bytes_per_second: u64,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// All fills of a server. Cheap to clone.
#[derive(Clone)]
pub struct Fills {
    inner: Arc<Inner>,
}

struct Inner {
    parts: FillParts,
    flights: Mutex<HashMap<FileKey, Flight>>,
    failures: Cache<FileKey, (Instant, Failure), ByText>,
    /// Files of which some had been handed out when they were refused or broke off. Another source may have a good
    /// one, so they are fetched anew, and handed out only when verified: who asks next gets the file or the words.
    distrusted: Cache<FileKey, ()>,
    liars: Arc<Liars>,
    /// Files that were stored lately: who looked into the store just before looks again.
    stored_lately: Cache<FileKey, ()>,
    queue: Semaphore,
    verifying: Arc<Semaphore>,
    follow_ups: Arc<Semaphore>,
    prefetch: Option<Prefetch>,
    /// Told of each flight that ends.
    landed: Notify,
    /// Refreshes so far: absence that was found before one is not remembered after it.
    refreshes: AtomicU64,
}

impl Fills {
    /// Fills over `parts`.
    pub fn new(parts: FillParts) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let prefetch = (parts.prefetch_bytes_per_second > 0).then(|| {
            Prefetch::new(
                parts.prefetch_bytes_per_second,
                parts.metrics.clone(),
                Instant::now(),
            )
        });
        Self {
            inner: Arc::new(Inner {
                parts,
                prefetch,
                flights: Mutex::default(),
                failures: Cache::with_weighter(4096, REMEMBERED_BYTES, ByText),
                distrusted: Cache::new(LATELY),
                liars: Arc::new(Liars::new()),
                stored_lately: Cache::new(LATELY),
                queue: Semaphore::new(FILLS),
                // Verification is pure CPU; more at once than cores would only hold more memory.
                verifying: Arc::new(Semaphore::new(cores)),
                follow_ups: Arc::new(Semaphore::new(FOLLOW_UPS)),
                landed: Notify::new(),
                refreshes: AtomicU64::new(0),
            }),
        }
    }

    /// The file if it is in memory.
    pub fn open_now(&self, file: &AdmittedFile) -> Option<Opened> {
        let opened = self.inner.parts.store.open_now(file.key())?;
        if file.key().kind == FileKind::Zip {
            self.foresee(file.key());
        }
        Some(opened)
    }

    /// The file if it is stored. Nothing is fetched.
    ///
    /// # Errors
    /// Whatever kept the store from being read.
    pub async fn open_stored(&self, file: &AdmittedFile) -> Result<Option<Opened>, Failure> {
        let stored = self.inner.parts.store.open(file.key()).await;
        let stored = stored.map_err(Failure::store)?;
        // Of one that is not stored, the way that fetches it takes notice.
        if stored.is_some() {
            self.foresee(file.key());
        }
        Ok(stored)
    }

    /// The file from the store, or through a flight.
    ///
    /// # Errors
    /// Whatever kept the file from being brought; [`Failure::NotStored`] and [`Failure::Offline`]
    /// where it may not be fetched.
    pub async fn open(&self, file: &AdmittedFile, fetch: Fetch) -> Result<Served, Failure> {
        self.seek(file, fetch, Wanted::AsItComes).await
    }

    /// The whole file, waiting for a flight's end where it is being fetched: for ranges and for
    /// conditions on its ETag. Never [`Served::Arriving`].
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_whole(&self, file: &AdmittedFile, fetch: Fetch) -> Result<Served, Failure> {
        self.seek(file, fetch, Wanted::Whole).await
    }

    async fn seek(
        &self,
        file: &AdmittedFile,
        fetch: Fetch,
        wanted: Wanted,
    ) -> Result<Served, Failure> {
        let key = file.key();
        if fetch == Fetch::Allowed {
            self.foresee(key);
        }
        let distrusted = self.is_distrusted(key);
        let outcome = self.try_once(key, fetch, wanted).await;
        // It broke off before the eyes of others. Here nobody has seen a byte, so there is a second try, of the whole.
        if outcome.is_err() && !distrusted && self.is_distrusted(key) {
            return self.try_once(key, fetch, wanted).await;
        }
        outcome
    }

    async fn try_once(
        &self,
        key: &FileKey,
        fetch: Fetch,
        wanted: Wanted,
    ) -> Result<Served, Failure> {
        let (mut boarded, joined) = loop {
            if fetch == Fetch::Allowed
                && let Some(boarded) = self.under_way(key)
            {
                break (boarded, Joined::Joined);
            }
            let stored = self.inner.parts.store.open(key).await;
            if let Some(opened) = stored.map_err(Failure::store)? {
                return Ok(Served::Stored(opened));
            }
            if fetch == Fetch::Allowed && self.inner.parts.source.is_none() {
                let below = stored_above(&*self.inner.parts.store, key.module.path()).await?;
                return Err(Failure::Offline {
                    what: file_name(key),
                    below,
                });
            }
            match self.board(key, fetch)? {
                Boarding::Flight(boarded, joined) => break (boarded, joined),
                Boarding::Landing(opened) => return Ok(Served::Stored(opened)),
                Boarding::LandedMeanwhile => {}
            }
        };
        if joined == Joined::Joined {
            self.inner.parts.metrics.flights_joined.inc();
        }
        if wanted == Wanted::Whole {
            // Without a place in the crowd: nobody's bulk waits for the first bytes of one who takes none before the end.
            return ended(boarded.into_progress(), joined).await;
        }
        let mut released_before = 0;
        // Who comes to a large file that is under way begins with the next bytes that come. If none do, the transfer is
        // breaking off, and must not take those with it who have nothing of it yet.
        if let Progress::Arriving(arriving) = &*boarded.progress.borrow() {
            released_before = arriving.released_bytes;
        }
        loop {
            let now = boarded.progress.borrow_and_update().clone();
            match now {
                Progress::Arriving(arriving) if arriving.released_bytes > released_before => {
                    let following = Following::new(arriving, boarded);
                    return Ok(Served::Arriving { following, joined });
                }
                Progress::Waiting | Progress::Arriving(_) => {}
                Progress::Done(Ok(opened)) => return Ok(Served::Fetched { opened, joined }),
                Progress::Done(Err(failure)) => return Err(failure),
            }
            if boarded.progress.changed().await.is_err() {
                return Err(died());
            }
        }
    }

    fn is_distrusted(&self, key: &FileKey) -> bool {
        self.inner.distrusted.get(key).is_some()
    }

    /// Brings the file into the store, as a request for it would, and waits until it is stored.
    ///
    /// # Errors
    /// As [`Self::open`]; and where it was fetched and could not be stored.
    pub async fn bring_in(&self, file: &AdmittedFile) -> Result<Brought, Failure> {
        let served = self.open_whole(file, Fetch::Allowed).await?;
        let was_there = matches!(served, Served::Stored(_));
        let key = file.key();
        loop {
            let mut landed = std::pin::pin!(self.inner.landed.notified());
            landed.as_mut().enable();
            if !self.inner.flights.lock().contains_key(key) {
                break;
            }
            landed.await;
        }
        let store = &self.inner.parts.store;
        let Some(opened) = store.open(key).await.map_err(Failure::store)? else {
            return Err(Failure::Internal(format!(
                "{} was fetched and could not be stored; the log says why",
                file_name(key)
            )));
        };
        let record = store.record(key.namespace, &key.module).await;
        let record = record.map_err(Failure::store)?;
        Ok(Brought {
            opened,
            was_there,
            hash: record.and_then(|record| record.hash(key.kind)),
        })
    }

    /// Waits until every file that was handed out is stored, and what vouched for it is kept. Fills that are still
    /// fetching are not waited for: their next client begins them anew.
    pub(crate) async fn settled(&self) {
        loop {
            let mut landed = std::pin::pin!(self.inner.landed.notified());
            landed.as_mut().enable();
            let committing =
                |flight: &Flight| matches!(&*flight.progress.borrow(), Progress::Done(Ok(_)));
            if !self.inner.flights.lock().values().any(committing) {
                break;
            }
            landed.await;
        }
        if let Some(checksums) = &self.inner.parts.checksums {
            checksums.settled().await;
        }
    }

    /// Forgets the failures of touched modules, so that the next request fetches anew. How many there were.
    /// Files are never forgotten.
    pub fn forget(&self, touched: &Touched) -> usize {
        self.inner.refreshes.fetch_add(1, Ordering::AcqRel);
        let forgotten = Cell::new(0);
        self.inner.failures.retain(|key, _| {
            let stays = !touched.covers(key.module.path().as_str());
            forgotten.set(forgotten.get() + usize::from(!stays));
            stays
        });
        forgotten.get()
    }

    /// The flight of a file that is not there yet, so that a herd does not look for it in the folder.
    fn under_way(&self, key: &FileKey) -> Option<Boarded> {
        let flights = self.inner.flights.lock();
        let flight = flights.get(key)?;
        let is_under_way = !matches!(&*flight.progress.borrow(), Progress::Done(_));
        is_under_way.then(|| flight.board())
    }

    /// Joins the flight of a file that was not in the store, or starts one where that is allowed.
    fn board(&self, key: &FileKey, fetch: Fetch) -> Result<Boarding, Failure> {
        let mut flights = self.inner.flights.lock();
        if let Some(flight) = flights.get(key) {
            if fetch == Fetch::Allowed {
                return Ok(Boarding::Flight(flight.board(), Joined::Joined));
            }
            // Handed out already and on its way into the store: that is stored enough.
            if let Progress::Done(Ok(opened)) = &*flight.progress.borrow() {
                return Ok(Boarding::Landing(opened.clone()));
            }
        } else if self.inner.stored_lately.remove(key).is_some() {
            return Ok(Boarding::LandedMeanwhile);
        }
        if fetch == Fetch::Forbidden {
            return Err(Failure::NotStored(file_name(key)));
        }
        if let Some((until, failure)) = self.inner.failures.get(key) {
            if Instant::now() < until {
                return Err(failure);
            }
            self.inner.failures.remove(key);
        }
        if flights.len() >= FLIGHTS {
            return Err(Failure::Overloaded {
                retry_after: Duration::from_secs(5),
            });
        }
        let sender = watch::Sender::new(Progress::Waiting);
        let flight = Flight::new(sender.clone());
        let boarded = flight.board();
        flights.insert(key.clone(), flight);
        self.inner.parts.metrics.flights.inc();
        drop(flights);
        let landing = Landing {
            inner: self.inner.clone(),
            key: key.clone(),
        };
        let fills = self.clone();
        tokio::spawn(async move {
            fills.fly(landing, &sender).await;
        });
        Ok(Boarding::Flight(boarded, Joined::Started))
    }

    async fn fly(&self, landing: Landing, progress: &watch::Sender<Progress>) {
        let key = &landing.key;
        let parts = &self.inner.parts;
        let refreshes = self.inner.refreshes.load(Ordering::Acquire);
        let brought = tokio::select! {
            brought = self.bring(key, progress) => brought,
            // Nobody hears of it, and the next client begins anew.
            () = abandoned(progress) => return,
        };
        let streamed = matches!(&*progress.borrow(), Progress::Arriving(_));
        let verified = match brought {
            Ok(verified) => verified,
            Err(failure) => {
                let refreshed = self.inner.refreshes.load(Ordering::Acquire) != refreshes;
                if !(refreshed && failure.is_absence()) {
                    self.remember(key, &failure, streamed);
                }
                // Off the board before it is told: who asks after an answer must not join its past.
                drop(landing);
                progress.send_replace(Progress::Done(Err(failure)));
                return;
            }
        };
        self.inner.distrusted.remove(key);
        // Before anyone hears of the file: who asks for the list next must find it named there.
        parts.answers.note_filled(key.namespace, &key.module);
        progress.send_replace(Progress::Done(Ok(verified.open())));
        self.commit(key, verified).await;
        self.inner.stored_lately.insert(key.clone(), ());
        let seen = parts.first_seen.note(
            key.namespace,
            key.module.path(),
            std::slice::from_ref(key.module.version()),
            jiff::Timestamp::now(),
        );
        if let Err(error) = seen.await {
            tracing::warn!(%error, "first sight of a version was not recorded");
        }
        if key.kind == FileKind::Zip {
            self.follow_up(key);
        }
    }

    async fn bring(
        &self,
        key: &FileKey,
        progress: &watch::Sender<Progress>,
    ) -> Result<Arc<Verified>, Failure> {
        let parts = &self.inner.parts;
        let Some(source) = &parts.source else {
            return Err(Failure::Offline {
                what: file_name(key),
                below: None,
            });
        };
        let Ok(Ok(_turn)) = tokio::time::timeout(QUEUE_DEADLINE, self.inner.queue.acquire()).await
        else {
            return Err(Failure::Overloaded {
                retry_after: Duration::from_secs(30),
            });
        };
        let release = if self.is_distrusted(key) {
            Release::WhenVerified
        } else {
            Release::AsItComes
        };
        let verifier = ModuleVerifier::begin(parts, key, self.inner.verifying.clone());
        let contest = Contest::new(
            key.clone(),
            parts.store.clone(),
            parts.staging.clone(),
            verifier,
            progress.clone(),
            release,
            Arc::clone(&self.inner.liars),
        );
        let mut sink = contest.sink();
        let fetched = source.fetch(&key.module, key.kind, &mut sink).await;
        let (verified, refusal) = contest.outcome();
        match (fetched, verified, refusal) {
            (Ok(_), Some(verified), _) => {
                parts.metrics.verified(&verified.accepted().by);
                Ok(verified)
            }
            (Ok(_), None, _) => Err(Failure::Internal(
                "a source reported a file that it did not deliver".into(),
            )),
            (Err(error), _, Some(refusal)) if refused_by_sink(&error) => {
                parts.metrics.refused.inc();
                if is_of_moved_tag(&refusal) {
                    parts.metrics.moved_tags.inc();
                }
                tracing::error!(module = %key.module, kind = key.kind.extension(), %refusal, "a file was refused");
                Err(refusal)
            }
            (Err(error), _, _) => Err(Failure::source(error)),
        }
    }

    async fn commit(&self, key: &FileKey, verified: Arc<Verified>) {
        let parts = &self.inner.parts;
        match parts.store.commit(verified).await {
            Ok(Committed::Stored | Committed::Same) => {}
            Ok(Committed::Differs(record)) => {
                parts.metrics.refused.inc();
                parts.metrics.moved_tags.inc();
                tracing::error!(
                    module = %key.module,
                    kind = key.kind.extension(),
                    ?record,
                    "SECURITY: a file differs from the one that was stored first; the first one stays"
                );
            }
            Err(error) => {
                parts.metrics.commit_failures.inc();
                tracing::error!(
                    module = %key.module,
                    kind = key.kind.extension(),
                    %error,
                    "a verified file was served but could not be stored"
                );
            }
        }
    }

    fn remember(&self, key: &FileKey, failure: &Failure, streamed: bool) {
        if streamed {
            self.inner.distrusted.insert(key.clone(), ());
            return;
        }
        let for_how_long = match failure {
            Failure::Unverified { error, .. }
                if error.is_of_the_bytes() && self.is_distrusted(key) =>
            {
                REFUSED_TWICE
            }
            failure if failure.is_absence() => self.inner.parts.negative,
            _ => return,
        };
        if !for_how_long.is_zero() {
            self.inner.failures.insert(
                key.clone(),
                (Instant::now() + for_how_long, failure.clone()),
            );
        }
    }

    /// Brings the `.info` and `.mod` beside a zip, so that the version is complete for listing and
    /// for offline use even if its first client asked for the zip alone.
    fn follow_up(&self, zip: &FileKey) {
        for kind in [FileKind::Info, FileKind::Mod] {
            let Ok(turn) = self.inner.follow_ups.clone().try_acquire_owned() else {
                return;
            };
            let fills = self.clone();
            let key = FileKey {
                kind,
                ..zip.clone()
            };
            tokio::spawn(async move {
                let _turn = turn;
                if matches!(fills.inner.parts.store.open(&key).await, Ok(None))
                    && let Ok(Boarding::Flight(boarded, _)) = fills.board(&key, Fetch::Allowed)
                {
                    let mut progress = boarded.into_progress();
                    // Followed to its end, so that it does not count as abandoned.
                    let _ended = progress
                        .wait_for(|now| matches!(now, Progress::Done(_)))
                        .await;
                }
            });
        }
    }

    /// Learns from a request which zips follow, and fetches the one that is likely to follow this. It is of the very
    /// version that the gate admitted.
    fn foresee(&self, asked: &FileKey) {
        let (Some(prefetch), Some(_)) = (&self.inner.prefetch, &self.inner.parts.source) else {
            return;
        };
        if asked.kind == FileKind::Zip {
            return prefetch.zip_asked(asked, Instant::now());
        }
        let Ok(turn) = prefetch.turns.clone().try_acquire_owned() else {
            return;
        };
        let (fills, asked) = (self.clone(), asked.clone());
        tokio::spawn(async move {
            fills.fetch_ahead(&asked).await;
            drop(turn);
        });
    }

    async fn fetch_ahead(&self, asked: &FileKey) {
        let (Some(prefetch), store) = (&self.inner.prefetch, &self.inner.parts.store) else {
            return;
        };
        let module_path = asked.module.path();
        let module_is_known = prefetch.knows(module_path)
            || matches!(store.versions(asked.namespace, module_path).await, Ok(stored) if !stored.is_empty());
        let zip = FileKey {
            kind: FileKind::Zip,
            ..asked.clone()
        };
        let Some(signal) = Signal::of(asked.kind, module_is_known) else {
            return;
        };
        if prefetch.signalled(&zip, signal, Instant::now())
            && matches!(store.open(&zip).await, Ok(None))
            && let Ok(Boarding::Flight(boarded, Joined::Started)) = self.board(&zip, Fetch::Allowed)
        {
            let mut progress = boarded.into_progress();
            self.inner.parts.metrics.prefetches.inc();
            let ended = progress
                .wait_for(|now| matches!(now, Progress::Done(_)))
                .await;
            if let Ok(Progress::Done(Ok(opened))) = ended.as_deref() {
                prefetch.fetched(&zip, opened.len_bytes);
            }
        }
    }
}

/// What a request can begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// The beginning of a large file, while the rest still comes.
    AsItComes,
    /// The whole alone.
    Whole,
}

/// How a request that found nothing in the store goes on.
enum Boarding {
    /// It follows a flight.
    Flight(Boarded, Joined),
    /// The file is verified and about to be stored.
    Landing(Opened),
    /// It was stored between the look into the store and now.
    LandedMeanwhile,
}

/// Remembered failures weigh what their texts do: a request chooses how long its path is.
#[derive(Clone)]
struct ByText;

impl quick_cache::Weighter<FileKey, (Instant, Failure)> for ByText {
    fn weight(&self, key: &FileKey, (_, failure): &(Instant, Failure)) -> u64 {
        let names = key.module.path().as_str().len() + key.module.version().as_str().len();
        FAILURE_BYTES + 2 * names as u64 + failure.text_bytes()
    }
}

/// The nearest stored module above a path: below it the go command probes paths that are no modules.
pub(crate) async fn stored_above(
    store: &dyn Store,
    module_path: &gomod::ModulePath,
) -> Result<Option<gomod::ModulePath>, Failure> {
    if store
        .knows(store::Namespace::Shared, module_path)
        .await
        .map_err(Failure::store)?
    {
        return Ok(None);
    }
    for parent in module_path.parents() {
        if store
            .knows(store::Namespace::Shared, &parent)
            .await
            .map_err(Failure::store)?
        {
            return Ok(Some(parent));
        }
    }
    Ok(None)
}

/// Takes the flight off the board when its task ends, panics included.
struct Landing {
    inner: Arc<Inner>,
    key: FileKey,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.inner.flights.lock().remove(&self.key);
        self.inner.parts.metrics.flights.dec();
        self.inner.landed.notify_waiters();
    }
}

async fn abandoned(progress: &watch::Sender<Progress>) {
    loop {
        progress.closed().await;
        tokio::time::sleep(ABANDONED_DEADLINE).await;
        if progress.is_closed() {
            return;
        }
    }
}

/// What a flight brings in the end.
async fn ended(mut progress: watch::Receiver<Progress>, joined: Joined) -> Result<Served, Failure> {
    let ended = progress.wait_for(|now| matches!(now, Progress::Done(_)));
    match ended.await.as_deref() {
        Ok(Progress::Done(Ok(opened))) => Ok(Served::Fetched {
            opened: opened.clone(),
            joined,
        }),
        Ok(Progress::Done(Err(failure))) => Err(failure.clone()),
        Ok(Progress::Waiting | Progress::Arriving(_)) | Err(_) => Err(died()),
    }
}

fn died() -> Failure {
    Failure::Internal("the fill of this file died".into())
}

fn is_of_moved_tag(refusal: &Failure) -> bool {
    match refusal {
        Failure::MovedTag { .. } => true,
        Failure::Unverified { error, .. } => {
            matches!(**error, VerifyError::DiffersFromFirst { .. })
        }
        _ => false,
    }
}

fn refused_by_sink(error: &source::SourceError) -> bool {
    matches!(
        error.kind(),
        source::SourceErrorKind::Rejected | source::SourceErrorKind::Sink
    )
}

fn file_name(key: &FileKey) -> String {
    let module: &ModuleVersion = &key.module;
    format!("{module} ({})", key.kind.extension())
}
