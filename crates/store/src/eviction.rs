//! Keeping the cache folder below its limit, and its file system above a floor of free bytes.
//!
//! [`Tended`] stands before the store of a server: it notes each use and what comes and goes, and takes no
//! lock that a hit could wait for. [`Evictor::tend`] runs beside it and [`Evictor::run`] does the work; a command
//! may call that, too.
//!
//! What was asked for longest ago goes first, as far as [`LastUse`] knows; a file that nobody asked for counts as
//! used when it was stored. The folder is walked twice, once to see how far back is far enough and
//! once to delete, so that memory does not grow with it; and a tenth of the limit goes at once, so
//! that it need not be walked again soon.
//!
//! Never evicted are: what [`Pins`] name; private modules; and versions that a list of upstream which is newer than
//! the file does not name any more, for nobody could bring them back. A deletion takes a name, not the
//! bytes from whoever reads them. The record stays.

use crate::answers::{AnswerKey, Answers};
use crate::disk::DiskStore;
use crate::folder::blocking;
use crate::last_use::{FileHash, LastUse, LastUseTable, Minute};
use crate::pins::{PinSet, Pins};
use crate::walk::{Found, WalkedFile};
use crate::*;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Of the limit, what goes at once beyond what must.
const HYSTERESIS: u64 = 10;
/// Files that are deleted at once: they share a batch of the store.
const DELETIONS: usize = 64;
/// How often the free bytes are looked at, and the clock of the last uses is set.
const LOOK: Duration = Duration::from_secs(20);
/// The free bytes are looked at after so many committed bytes, too.
const LOOK_AFTER_BYTES: u64 = 64 << 20;
/// How often the last uses are written.
const WRITE: Duration = Duration::from_secs(300);
/// How long no second attempt is made, and nobody is told again, where a run could not free enough.
const HOLD_OFF: Duration = Duration::from_secs(600);
/// The walk that counts the folder behind the start rests after so many files, so that it is not felt.
const COUNTED_AT_ONCE: usize = 500;
const COUNTING_REST: Duration = Duration::from_millis(20);
/// The default floor: this, or a twentieth of the file system where that is less.
const FREE_BYTES: u64 = 1 << 30;

/// How much may be stored, and how much must stay free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of module files at most; `None` for no limit.
    pub cache_bytes: Option<u64>,
    /// Bytes of the file system that stay free.
    pub free: FreeFloor,
}

/// Bytes of the file system that stay free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeFloor {
    /// 1 GiB, or a twentieth of the file system where that is less.
    Default,
    /// So many; 0 for no floor.
    Bytes(u64),
}

/// Why a file was evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The folder was above its limit.
    CacheLimit,
    /// The file system was below its floor of free bytes.
    DiskFree,
}

impl Reason {
    /// As metrics and logs name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CacheLimit => "cache-limit",
            Self::DiskFree => "disk-free",
        }
    }
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evicted {
    /// Files that went.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of module files that are left.
    pub left_bytes: u64,
    /// Those of them that are pinned.
    pub pinned_bytes: u64,
    /// What is still missing to the limit and the floor, because the rest is pinned.
    pub short_bytes: u64,
}

/// Hears of each eviction, and of how much is stored.
pub trait EvictionObserver: Send + Sync {
    /// A file went; of a plan, it would go.
    fn evicted(&self, key: &FileKey, reason: Reason, bytes: u64);
    /// So many bytes of module files are stored.
    fn stored_bytes(&self, bytes: u64);
}

/// What is kept of a store's use: by whom it is tended, and by the store itself.
#[derive(Debug)]
pub struct Usage {
    last_use: LastUse,
    stored_bytes: AtomicU64,
    /// Whether `stored_bytes` was counted yet.
    counted: AtomicBool,
    limit_bytes: Option<u64>,
    unlooked_bytes: AtomicU64,
    wake: Notify,
}

impl Usage {
    /// Of the cache folder `dir`.
    pub fn of(dir: &std::path::Path, limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            last_use: LastUse::of(dir, jiff::Timestamp::now()),
            stored_bytes: AtomicU64::new(0),
            counted: AtomicBool::new(false),
            limit_bytes: limits.cache_bytes,
            unlooked_bytes: AtomicU64::new(0),
            wake: Notify::new(),
        })
    }

    /// True where nobody is left who would hear of a walk's end: the server has stopped.
    fn is_forsaken(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1
    }

    fn stored(&self, bytes: u64) {
        let total = self.stored_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let unlooked = self.unlooked_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let is_over = self.limit_bytes.is_some_and(|limit| total > limit);
        if (is_over && self.counted.load(Ordering::Relaxed)) || unlooked >= LOOK_AFTER_BYTES {
            self.unlooked_bytes.store(0, Ordering::Relaxed);
            self.wake.notify_one();
        }
    }

    fn gone(&self, bytes: u64) {
        let less = |total: u64| Some(total.saturating_sub(bytes));
        // It always finds a value.
        let _ = self
            .stored_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

/// A store whose uses are noted.
pub struct Tended {
    inner: Arc<dyn Store>,
    usage: Arc<Usage>,
}

impl Tended {
    /// Notes the uses of `inner` in `usage`.
    pub fn new(inner: Arc<dyn Store>, usage: Arc<Usage>) -> Self {
        Self { inner, usage }
    }
}

#[async_trait]
impl Store for Tended {
    fn open_now(&self, key: &FileKey) -> Option<Opened> {
        let opened = self.inner.open_now(key)?;
        self.usage.last_use.touch(key);
        Some(opened)
    }
    async fn open(&self, key: &FileKey) -> Result<Option<Opened>, StoreError> {
        let opened = self.inner.open(key).await?;
        if opened.is_some() {
            self.usage.last_use.touch(key);
        }
        Ok(opened)
    }
    async fn commit(&self, file: Arc<Verified>) -> Result<Committed, StoreError> {
        let committed = self.inner.commit(Arc::clone(&file)).await?;
        if matches!(committed, Committed::Stored) {
            self.usage.last_use.touch(file.staged().key());
            self.usage.stored(file.staged().len_bytes());
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
        let record = self.inner.record(key.namespace, &key.module).await?;
        let deleted = self.inner.delete(key).await?;
        if deleted && let Some(file) = record.as_ref().and_then(|record| record.file(key.kind)) {
            self.usage.gone(file.len_bytes);
        }
        Ok(deleted)
    }
}

/// What an [`Evictor`] stands on.
pub struct EvictorParts {
    /// The folder that is walked.
    pub disk: DiskStore,
    /// The store that files are deleted from, so that faster tiers forget them, too.
    pub store: Arc<dyn Store>,
    /// The uses that [`Tended`] notes.
    pub usage: Arc<Usage>,
    /// What is never evicted.
    pub pins: Pins,
    /// Whether a module is private: nobody else could bring it back.
    pub is_private: Arc<dyn Fn(&ModulePath) -> bool + Send + Sync>,
    /// The lists that upstream gave.
    pub answers: Answers,
    /// How much may be stored.
    pub limits: Limits,
    /// Who counts.
    pub observer: Arc<dyn EvictionObserver>,
}

/// Brings a folder below its limit and its file system above its floor.
pub struct Evictor {
    parts: EvictorParts,
}

/// Whether files go, or are only named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Errand {
    Evict,
    Plan,
}

/// How much is to go, and why.
#[derive(Clone, Copy, Debug)]
struct Excess {
    reason: Reason,
    bytes: u64,
}

/// What the first walk saw.
struct Survey {
    table: LastUseTable,
    /// Evictable bytes by when they were last asked for.
    by_minute: BTreeMap<Minute, u64>,
    stored_bytes: u64,
    pinned_bytes: u64,
}

/// What is evicted: what was last asked for before `minute`, and of that very minute so many bytes.
#[derive(Clone, Copy, Debug)]
struct Cut {
    minute: Minute,
    bytes_of_minute: u64,
}

impl Evictor {
    /// An evictor over `parts`.
    pub fn new(parts: EvictorParts) -> Arc<Self> {
        Arc::new(Self { parts })
    }

    /// Counts the folder, and evicts whenever it must, for as long as the runtime lives.
    pub async fn tend(self: Arc<Self>) {
        let usage = Arc::clone(&self.parts.usage);
        if let Err(error) = self.count().await {
            tracing::warn!(%error, "cannot count what is stored");
        }
        usage.counted.store(true, Ordering::Relaxed);
        let mut written = Instant::now();
        let mut held_off = None::<(Instant, u64)>;
        loop {
            self.look(&mut held_off).await;
            tokio::select! {
                () = usage.wake.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            usage.last_use.tick(jiff::Timestamp::now());
            if written.elapsed() >= WRITE || usage.last_use.is_filling() {
                written = Instant::now();
                let usage = Arc::clone(&usage);
                if let Err(error) = blocking(move || usage.last_use.write()).await {
                    tracing::warn!(%error, "what was used last is not remembered");
                }
            }
        }
    }

    /// Runs where something must go, unless it was tried in vain lately.
    async fn look(&self, held_off: &mut Option<(Instant, u64)>) {
        let stored = self.parts.usage.stored_bytes.load(Ordering::Relaxed);
        self.parts.observer.stored_bytes(stored);
        match self.excess(stored) {
            Ok(Some(_)) => {}
            Ok(None) => {
                *held_off = None;
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot see how much of the disk is free");
                return;
            }
        }
        if let Some((since, tried_at)) = *held_off
            && since.elapsed() < HOLD_OFF
            // What came since can go again, once it is worth a walk.
            && stored < tried_at.saturating_add(tried_at / HYSTERESIS).saturating_add(1)
        {
            return;
        }
        let told = held_off.is_some_and(|(since, _)| since.elapsed() < HOLD_OFF);
        match self.run().await {
            Ok(evicted) if evicted.short_bytes > 0 => {
                if !told {
                    tracing::warn!(
                        short_bytes = evicted.short_bytes,
                        pinned_bytes = evicted.pinned_bytes,
                        left_bytes = evicted.left_bytes,
                        "the cache stays above its limit: what is left is pinned (pins, private modules, versions that upstream no longer has); raise --cache-limit, unpin, or make room on the disk"
                    );
                }
                let since = held_off
                    .filter(|_| told)
                    .map_or_else(Instant::now, |(since, _)| since);
                *held_off = Some((since, evicted.left_bytes));
            }
            Ok(_) => *held_off = None,
            Err(error) => {
                tracing::warn!(%error, "cannot evict");
                *held_off = Some((Instant::now(), stored));
            }
        }
    }

    /// Evicts until the folder is below its limit, and the file system above its floor, by a margin; nothing where
    /// it is. Names of files go; whoever reads them reads on.
    ///
    /// # Errors
    /// Where the pins or the folder cannot be read: then nothing goes.
    pub async fn run(&self) -> Result<Evicted, StoreError> {
        self.carry(Errand::Evict).await
    }

    /// What [`Self::run`] would do; nothing goes.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn plan(&self) -> Result<Evicted, StoreError> {
        self.carry(Errand::Plan).await
    }

    async fn carry(&self, errand: Errand) -> Result<Evicted, StoreError> {
        let survey = self.survey().await?;
        let usage = &self.parts.usage;
        usage
            .stored_bytes
            .store(survey.stored_bytes, Ordering::Relaxed);
        let mut evicted = Evicted {
            left_bytes: survey.stored_bytes,
            pinned_bytes: survey.pinned_bytes,
            ..Evicted::default()
        };
        if let Some(excess) = self.excess(survey.stored_bytes)? {
            let cut = survey.cut(excess.bytes);
            self.evict(errand, survey.table, cut, excess.reason, &mut evicted)
                .await?;
            evicted.left_bytes = evicted.left_bytes.saturating_sub(evicted.bytes);
            let must = self.excess(evicted.left_bytes)?;
            evicted.short_bytes = must.map_or(0, |_| excess.bytes.saturating_sub(evicted.bytes));
            if errand == Errand::Evict {
                tracing::info!(
                    reason = excess.reason.name(),
                    files = evicted.files,
                    bytes = evicted.bytes,
                    left_bytes = evicted.left_bytes,
                    "evicted what was asked for longest ago"
                );
            }
        } else {
            let last_uses = Arc::clone(usage);
            blocking(move || last_uses.last_use.retain_asked(survey.table)).await?;
        }
        self.parts
            .observer
            .stored_bytes(usage.stored_bytes.load(Ordering::Relaxed));
        Ok(evicted)
    }

    /// What must go, with the margin; `None` where both bounds are kept.
    fn excess(&self, stored_bytes: u64) -> Result<Option<Excess>, StoreError> {
        let over = self.parts.limits.cache_bytes.and_then(|limit| {
            let low = limit - limit / HYSTERESIS;
            (stored_bytes > limit).then(|| Excess {
                reason: Reason::CacheLimit,
                bytes: stored_bytes - low,
            })
        });
        let space = FreeSpace::of(self.parts.disk.dir())?;
        let floor = match self.parts.limits.free {
            FreeFloor::Bytes(bytes) => bytes,
            FreeFloor::Default => FREE_BYTES.min(space.total_bytes / 20),
        };
        let below = (space.free_bytes < floor).then(|| Excess {
            reason: Reason::DiskFree,
            bytes: floor + floor / HYSTERESIS - space.free_bytes,
        });
        Ok(match (over, below) {
            (Some(over), Some(below)) if below.bytes > over.bytes => Some(below),
            (over, below) => over.or(below),
        })
    }

    async fn count(&self) -> Result<(), StoreError> {
        let (disk, usage) = (self.parts.disk.clone(), Arc::clone(&self.parts.usage));
        // What is committed meanwhile is counted by the commit, perhaps twice; the next walk sets it right.
        let at_once = match self.parts.limits.cache_bytes {
            Some(_) => usize::MAX,
            None => COUNTED_AT_ONCE,
        };
        blocking(move || {
            let mut bytes = 0_u64;
            for (number, found) in disk.walk().enumerate() {
                if usage.is_forsaken() {
                    return Ok(());
                }
                if let Ok(Found::File(file)) = found {
                    bytes += file.len_bytes;
                }
                if number % at_once == at_once - 1 {
                    std::thread::sleep(COUNTING_REST);
                }
            }
            usage.stored_bytes.fetch_add(bytes, Ordering::Relaxed);
            Ok(())
        })
        .await
    }

    async fn survey(&self) -> Result<Survey, StoreError> {
        let (disk, usage) = (self.parts.disk.clone(), Arc::clone(&self.parts.usage));
        let pinned = self.pinned();
        blocking(move || {
            let mut pinned = pinned()?;
            let mut survey = Survey {
                table: usage.last_use.table()?,
                by_minute: BTreeMap::new(),
                stored_bytes: 0,
                pinned_bytes: 0,
            };
            for found in disk.walk() {
                if usage.is_forsaken() {
                    break;
                }
                let Some(file) = file_of(found) else {
                    continue;
                };
                survey.stored_bytes += file.len_bytes;
                let minute = last_used(&mut survey.table, &file);
                if pinned.by(&file).is_some() {
                    survey.pinned_bytes += file.len_bytes;
                } else {
                    *survey.by_minute.entry(minute).or_default() += file.len_bytes;
                }
            }
            Ok(survey)
        })
        .await
    }

    /// The second walk: deletes what the cut names.
    async fn evict(
        &self,
        errand: Errand,
        mut table: LastUseTable,
        cut: Cut,
        reason: Reason,
        evicted: &mut Evicted,
    ) -> Result<(), StoreError> {
        let (disk, usage) = (self.parts.disk.clone(), Arc::clone(&self.parts.usage));
        let pinned = self.pinned();
        let (found, mut candidates) = mpsc::channel::<WalkedFile>(DELETIONS);
        let walk = tokio::spawn(blocking(move || {
            let mut pinned = pinned()?;
            let mut left_of_minute = cut.bytes_of_minute;
            for walked in disk.walk() {
                if usage.is_forsaken() {
                    return Ok(());
                }
                let Some(file) = file_of(walked) else {
                    continue;
                };
                let minute = last_used(&mut table, &file);
                let lately = usage.last_use.lately(FileHash::of(&file.key));
                if minute.max(lately.unwrap_or_default()) > cut.minute || pinned.by(&file).is_some()
                {
                    continue;
                }
                if minute == cut.minute {
                    if left_of_minute == 0 {
                        continue;
                    }
                    left_of_minute = left_of_minute.saturating_sub(file.len_bytes);
                }
                if found.blocking_send(file).is_err() {
                    break;
                }
            }
            usage.last_use.retain_asked(table)
        }));
        let mut deletions = JoinSet::new();
        let mut failure = None;
        loop {
            tokio::select! {
                file = candidates.recv(), if deletions.len() < DELETIONS => {
                    let Some(file) = file else {
                        break;
                    };
                    let store = Arc::clone(&self.parts.store);
                    deletions.spawn(async move {
                        let deleted = match errand {
                            Errand::Evict => store.delete(&file.key).await,
                            Errand::Plan => Ok(true),
                        };
                        (file, deleted)
                    });
                }
                Some(done) = deletions.join_next() => {
                    if let Err(error) = self.evicted(errand, done, reason, evicted) {
                        failure = Some(error);
                        // Ends the walk.
                        candidates.close();
                    }
                }
            }
        }
        while let Some(done) = deletions.join_next().await {
            if let Err(error) = self.evicted(errand, done, reason, evicted) {
                failure = Some(error);
            }
        }
        walk.await
            .map_err(|died| StoreError::Io(std::io::Error::other(died)))??;
        failure.map_or(Ok(()), Err)
    }

    fn evicted(
        &self,
        errand: Errand,
        done: Result<(WalkedFile, Result<bool, StoreError>), tokio::task::JoinError>,
        reason: Reason,
        evicted: &mut Evicted,
    ) -> Result<(), StoreError> {
        let (file, deleted) = done.map_err(std::io::Error::other)?;
        if !deleted? {
            return Ok(());
        }
        evicted.files += 1;
        evicted.bytes += file.len_bytes;
        self.parts
            .observer
            .evicted(&file.key, reason, file.len_bytes);
        if errand == Errand::Evict {
            tracing::info!(
                module = %file.key.module,
                kind = file.key.kind.extension(),
                bytes = file.len_bytes,
                reason = reason.name(),
                "evicted"
            );
        }
        Ok(())
    }

    /// What reads, off the reactor, what may not go.
    fn pinned(&self) -> impl FnOnce() -> Result<Pinned, StoreError> + Send + 'static {
        let pins = self.parts.pins.clone();
        let is_private = Arc::clone(&self.parts.is_private);
        let answers = self.parts.answers.clone();
        move || Pinned::now(&pins, is_private, answers)
    }
}

impl Survey {
    /// How far back is far enough for `bytes`.
    fn cut(&self, bytes: u64) -> Cut {
        let mut left = bytes;
        for (minute, of_minute) in &self.by_minute {
            if *of_minute >= left {
                return Cut {
                    minute: *minute,
                    bytes_of_minute: left,
                };
            }
            left -= of_minute;
        }
        Cut {
            minute: Minute(u32::MAX),
            bytes_of_minute: 0,
        }
    }
}

/// Why a file is never evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinnedBy {
    /// [`Pins`] name it.
    Pins,
    /// Its module is private.
    Private,
    /// A newer list of upstream does not name its version any more.
    Withdrawn,
}

impl PinnedBy {
    /// As reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pins => "pins",
            Self::Private => "private",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// What may not go, while a walk passes the modules one after the other.
pub struct Pinned {
    set: Arc<PinSet>,
    is_private: Arc<dyn Fn(&ModulePath) -> bool + Send + Sync>,
    answers: Answers,
    /// The list of the module that the walk is at.
    listed: Option<(ModulePath, Option<Listed>)>,
}

struct Listed {
    fetched_at: jiff::Timestamp,
    versions: HashSet<String>,
}

impl Pinned {
    /// By these pins as they are now, by what is private, and by the lists that upstream gave. Blocks.
    ///
    /// # Errors
    /// The pins cannot be read.
    pub fn now(
        pins: &Pins,
        is_private: Arc<dyn Fn(&ModulePath) -> bool + Send + Sync>,
        answers: Answers,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            set: pins.current()?,
            is_private,
            answers,
            listed: None,
        })
    }

    /// Why a file stays; `None` where it may go. Blocks. The files of a module are best asked for one after the other.
    pub fn by(&mut self, file: &WalkedFile) -> Option<PinnedBy> {
        let module = &file.key.module;
        if self.set.covers(module) {
            Some(PinnedBy::Pins)
        } else if (self.is_private)(module.path()) {
            Some(PinnedBy::Private)
        } else {
            self.is_gone_upstream(file).then_some(PinnedBy::Withdrawn)
        }
    }

    /// A list never names pseudo-versions, so that their absence there says nothing.
    fn is_gone_upstream(&mut self, file: &WalkedFile) -> bool {
        let version = file.key.module.version();
        if version.is_pseudo() {
            return false;
        }
        let module_path = file.key.module.path();
        if self
            .listed
            .as_ref()
            .is_none_or(|(path, _)| path != module_path)
        {
            let key = AnswerKey::List(file.key.namespace, module_path.clone());
            // A list that cannot be read says nothing.
            let answer = self.answers.read_blocking(&key).ok().flatten();
            let listed = answer.map(|answer| Listed {
                fetched_at: answer.fetched_at,
                versions: String::from_utf8_lossy(&answer.body)
                    .lines()
                    .map(|line| line.trim().to_owned())
                    .collect(),
            });
            self.listed = Some((module_path.clone(), listed));
        }
        self.listed
            .as_ref()
            .and_then(|(_, listed)| listed.as_ref())
            .is_some_and(|listed| {
                listed.fetched_at > file.stored_at && !listed.versions.contains(version.as_str())
            })
    }
}

/// What cannot be looked at is left alone, and told.
fn file_of(found: Result<Found, walk::WalkError>) -> Option<WalkedFile> {
    match found {
        Ok(Found::File(file)) => Some(file),
        Ok(Found::Stranger(_)) => None,
        Err(error) => {
            tracing::warn!(%error, "left alone by eviction");
            None
        }
    }
}

fn last_used(table: &mut LastUseTable, file: &WalkedFile) -> Minute {
    let asked = table.ask(FileHash::of(&file.key));
    asked.unwrap_or_default().max(Minute::of(file.stored_at))
}

/// The room of a file system.
#[derive(Clone, Copy, Debug)]
struct FreeSpace {
    free_bytes: u64,
    total_bytes: u64,
}

impl FreeSpace {
    fn of(dir: &std::path::Path) -> Result<Self, StoreError> {
        let told = rustix::fs::statvfs(dir).map_err(std::io::Error::from)?;
        Ok(Self {
            free_bytes: told.f_bavail.saturating_mul(told.f_frsize),
            total_bytes: told.f_blocks.saturating_mul(told.f_frsize),
        })
    }
}

#[cfg(test)]
mod tests;
