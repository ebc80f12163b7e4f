//! Answers that may change: lists, `@latest`, and what a revision name means.
//!
//! Called by `serve` with what the gate admitted, and by `fill` when a new version came. An answer
//! is fresh for a short while, asked again by one flight for all who wait, and served with its age
//! when upstream is down. Files never pass here. What policy hides is cut out after this cache, by
//! `serve`, never in it.

mod offline;

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gomod::{Info, ModulePath, ModuleVersion, Version};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use source::{Source, SourceError, SourceErrorKind, Touched};
use store::answers::{Answer, AnswerKey};
use store::first_seen::FirstSeen;
use store::{Namespace, Store};
use tokio::sync::watch;

use crate::failure::Failure;
use crate::fill::{Fetch, stored_above};
use crate::gate::AdmittedAnswer;
use crate::observe::Metrics;

/// What answers kept in memory may weigh; others are read from the folder. And what one weighs
/// beside its texts.
const REMEMBERED_BYTES: u64 = 32 << 20;
const ANSWER_BYTES: u64 = 256;
/// Questions under way at once, at most.
const FLIGHTS: usize = 8192;
/// After an outage, how long a stale answer is given without asking again: a client should not
/// wait for a time-out that the one before it has just waited for.
const OUTAGE_PAUSE: Duration = Duration::from_secs(5);

/// How an answer came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Asked just now.
    Asked,
    /// Young enough to be given again.
    Fresh,
    /// Old: upstream could not be asked.
    Stale,
    /// Computed from the store.
    Computed,
}

/// An answer with its age.
#[derive(Clone, Debug)]
pub struct Given {
    /// What it says.
    pub answer: Arc<Said>,
    /// How it came to be.
    pub freshness: Freshness,
    /// Its age.
    pub age: Duration,
}

/// What a source said.
#[derive(Clone, Debug)]
pub struct Said {
    /// The parsed words.
    pub words: Words,
    /// Who said it.
    pub source: Arc<str>,
}

/// The two kinds of answers.
#[derive(Clone, Debug)]
pub enum Words {
    /// Versions, sorted.
    List(Vec<Version>),
    /// The `.info` that `@latest` or a revision name led to.
    Info {
        /// As it came.
        body: Bytes,
        /// What it says.
        info: Info,
    },
}

/// What the answers stand on.
pub struct AnswerParts {
    /// Where they come from; `None` when offline.
    pub source: Option<Arc<dyn Source>>,
    /// What can be computed from.
    pub store: Arc<dyn Store>,
    /// Where they are kept.
    pub kept: Arc<store::answers::Answers>,
    /// Where first sight is remembered.
    pub first_seen: Arc<FirstSeen>,
    /// How long an answer is fresh.
    pub fresh: Duration,
    /// How long proven absence is remembered.
    pub negative: Duration,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// All answers of a server.
pub struct Answers {
    parts: AnswerParts,
    memory: Cache<AnswerKey, Arc<Remembered>, ByText>,
    board: Mutex<Board>,
}

/// The questions under way that a request may join.
#[derive(Default)]
struct Board {
    flights: HashMap<AnswerKey, Flight>,
    started: u64,
}

struct Flight {
    /// Its number: a refresh takes a flight off the board, and another one of the same key may follow.
    number: u64,
    landed: watch::Receiver<Option<Outcome>>,
}

type Outcome = Result<Given, Failure>;

struct Remembered {
    outcome: Result<Arc<Said>, Failure>,
    freshness: Freshness,
    fetched_at: jiff::Timestamp,
    good_until: Instant,
}

impl Answers {
    /// Answers over `parts`.
    pub fn new(parts: AnswerParts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            memory: Cache::with_weighter(4096, REMEMBERED_BYTES, ByText),
            board: Mutex::default(),
        })
    }

    /// The answer, asked anew where it is not fresh.
    ///
    /// # Errors
    /// Proven absence, or an outage without an older answer to give.
    pub async fn give(
        self: &Arc<Self>,
        answer: &AdmittedAnswer,
        fetch: Fetch,
    ) -> Result<Given, Failure> {
        let key = answer.key();
        if let Some(remembered) = self.memory.get(key)
            && Instant::now() < remembered.good_until
        {
            return match &remembered.outcome {
                Ok(said) => Ok(given(said, remembered.freshness, remembered.fetched_at)),
                Err(failure) => Err(failure.clone()),
            };
        }
        if self.parts.source.is_none() || fetch == Fetch::Forbidden {
            return self.say_from_store(key, fetch).await;
        }
        let mut flight = self.join(key)?;
        let landed = flight.wait_for(Option::is_some).await;
        match landed.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            Ok(None) | Err(_) => Err(Failure::Internal("the question's flight died".into())),
        }
    }

    /// Makes the cached list due for renewal if it does not name a version that exists after all.
    pub fn note_filled(&self, namespace: Namespace, module: &ModuleVersion) {
        if module.version().is_pseudo() {
            return;
        }
        let list = AnswerKey::List(namespace, module.path().clone());
        let outdated = self
            .memory
            .get(&list)
            .is_some_and(|remembered| match &remembered.outcome {
                Ok(said) => match &said.words {
                    Words::List(versions) => versions.binary_search(module.version()).is_err(),
                    Words::Info { .. } => false,
                },
                Err(_) => true,
            });
        if outdated {
            self.memory.remove(&list);
            self.memory
                .remove(&AnswerKey::Latest(namespace, module.path().clone()));
        }
    }

    /// Makes every touched answer due: the next request asks upstream anew, and joins no question that
    /// was asked before. What was said last is still given when upstream is down. How many were due.
    pub fn forget(&self, touched: &Touched) -> usize {
        let is_touched = |key: &AnswerKey| touched.covers(module_path(key).as_str());
        // The flights first: one that lands between the two finds itself off the board and is not remembered.
        self.board.lock().flights.retain(|key, _| !is_touched(key));
        let due = Cell::new(0);
        self.memory.retain(|key, _| {
            let stays = !is_touched(key);
            due.set(due.get() + usize::from(!stays));
            stays
        });
        due.get()
    }

    fn join(
        self: &Arc<Self>,
        key: &AnswerKey,
    ) -> Result<watch::Receiver<Option<Outcome>>, Failure> {
        let mut board = self.board.lock();
        if let Some(flight) = board.flights.get(key) {
            return Ok(flight.landed.clone());
        }
        if board.flights.len() >= FLIGHTS {
            return Err(Failure::Overloaded {
                retry_after: Duration::from_secs(5),
            });
        }
        let (sender, receiver) = watch::channel(None);
        board.started += 1;
        let number = board.started;
        let flight = Flight {
            number,
            landed: receiver.clone(),
        };
        board.flights.insert(key.clone(), flight);
        drop(board);
        // A task of its own, so that a client who hangs up does not cancel it for the others.
        let landing = Landing {
            answers: self.clone(),
            key: key.clone(),
            number,
        };
        tokio::spawn(async move {
            let outcome = landing.answers.ask(&landing).await;
            // Off the board before it is told: who asks after an answer must not join its past.
            drop(landing);
            sender.send_replace(Some(outcome));
        });
        Ok(receiver)
    }

    async fn ask(&self, landing: &Landing) -> Outcome {
        let key = &landing.key;
        let now = jiff::Timestamp::now();
        match self.ask_source(key).await {
            Ok(said) => {
                let said = Arc::new(said);
                self.remember(
                    landing,
                    Ok(said.clone()),
                    Freshness::Fresh,
                    now,
                    self.parts.fresh,
                );
                self.keep(key, &said, now).await;
                Ok(given(&said, Freshness::Asked, now))
            }
            Err(error) if error.is_absence() => {
                let failure = Failure::source(error);
                self.remember(
                    landing,
                    Err(failure.clone()),
                    Freshness::Fresh,
                    now,
                    self.parts.negative,
                );
                Err(failure)
            }
            Err(error) if !is_outage(error.kind()) => Err(Failure::source(error)),
            Err(error) => {
                let Some((said, fetched_at)) = self.recall(key).await else {
                    return Err(Failure::source(error));
                };
                self.parts.metrics.stale_answers.inc();
                tracing::warn!(%error, ?key, "upstream is down: an older answer is given");
                let pause = error
                    .0
                    .retry_after
                    .unwrap_or(OUTAGE_PAUSE)
                    .min(OUTAGE_PAUSE);
                self.remember(
                    landing,
                    Ok(said.clone()),
                    Freshness::Stale,
                    fetched_at,
                    pause,
                );
                Ok(given(&said, Freshness::Stale, fetched_at))
            }
        }
    }

    async fn ask_source(&self, key: &AnswerKey) -> Result<Said, SourceError> {
        let Some(source) = &self.parts.source else {
            return Err(SourceError::new(
                SourceErrorKind::Off,
                "this server is offline",
            ));
        };
        match key {
            AnswerKey::List(_, path) => {
                let listing = source.list(path).await?;
                Ok(Said {
                    words: Words::List(listing.versions),
                    source: listing.source,
                })
            }
            AnswerKey::Latest(_, path) => source.latest(path).await.map(resolved),
            AnswerKey::Resolve(_, path, revision) => {
                source.resolve(path, revision).await.map(resolved)
            }
        }
    }

    /// Remembers what a question led to, unless a refresh came while it was asked.
    fn remember(
        &self,
        landing: &Landing,
        outcome: Result<Arc<Said>, Failure>,
        freshness: Freshness,
        fetched_at: jiff::Timestamp,
        good_for: Duration,
    ) {
        let good_until = Instant::now() + good_for;
        let remembered = Arc::new(Remembered {
            outcome,
            freshness,
            fetched_at,
            good_until,
        });
        // Held until it is remembered, so that a refresh comes either before, and it is not, or after, and
        // forgets it.
        let board = self.board.lock();
        if board.is_up(landing) {
            self.memory.insert(landing.key.clone(), remembered);
        }
    }

    async fn keep(&self, key: &AnswerKey, said: &Said, now: jiff::Timestamp) {
        let body = match &said.words {
            Words::List(versions) => list_body(versions),
            Words::Info { body, .. } => body.clone(),
        };
        let answer = Answer {
            body,
            fetched_at: now,
            source: said.source.to_string(),
        };
        if let Err(error) = self.parts.kept.write(key, &answer).await {
            tracing::warn!(%error, "an answer was given but could not be kept");
        }
        let (namespace, path, versions) = match (key, &said.words) {
            (AnswerKey::List(namespace, path), Words::List(versions)) => {
                (*namespace, path, versions.as_slice())
            }
            (
                AnswerKey::Latest(namespace, path) | AnswerKey::Resolve(namespace, path, _),
                Words::Info { info, .. },
            ) => (*namespace, path, std::slice::from_ref(&info.version)),
            _ => return,
        };
        if let Err(error) = self
            .parts
            .first_seen
            .note(namespace, path, versions, now)
            .await
        {
            tracing::warn!(%error, "first sight of a version was not recorded");
        }
    }

    /// The last answer, however old: from memory, else from the folder.
    async fn recall(&self, key: &AnswerKey) -> Option<(Arc<Said>, jiff::Timestamp)> {
        if let Some(remembered) = self.memory.get(key)
            && let Ok(said) = &remembered.outcome
        {
            return Some((said.clone(), remembered.fetched_at));
        }
        let answer = self.parts.kept.read(key).await.ok()??;
        let words = match key {
            AnswerKey::List(..) => Words::List(read_list(&answer.body)),
            AnswerKey::Latest(..) | AnswerKey::Resolve(..) => Words::Info {
                info: Info::parse(&answer.body).ok()?,
                body: answer.body,
            },
        };
        let said = Said {
            words,
            source: answer.source.into(),
        };
        Some((Arc::new(said), answer.fetched_at))
    }

    /// What the store alone can say.
    async fn say_from_store(&self, key: &AnswerKey, fetch: Fetch) -> Outcome {
        let store = &*self.parts.store;
        let (path, what) = match key {
            AnswerKey::List(_, path) => (path, format!("the list of {path}")),
            AnswerKey::Latest(_, path) => (path, format!("the latest version of {path}")),
            AnswerKey::Resolve(_, path, revision) => (path, format!("{path}@{revision}")),
        };
        let computed = match key {
            AnswerKey::List(namespace, _) => offline::list(store, *namespace, path).await?,
            AnswerKey::Latest(namespace, _) => offline::latest(store, *namespace, path).await?,
            AnswerKey::Resolve(..) => None,
        };
        if let Some(words) = computed {
            let said = Arc::new(Said {
                words,
                source: "store".into(),
            });
            return Ok(given(&said, Freshness::Computed, jiff::Timestamp::now()));
        }
        if let Some((said, fetched_at)) = self.recall(key).await {
            return Ok(given(&said, Freshness::Stale, fetched_at));
        }
        if fetch == Fetch::Forbidden {
            return Err(Failure::NotStored(what));
        }
        Err(Failure::Offline {
            what,
            below: stored_above(store, path).await?,
        })
    }
}

/// Answers weigh what their texts do: a list may name ten thousand versions.
#[derive(Clone)]
struct ByText;

impl quick_cache::Weighter<AnswerKey, Arc<Remembered>> for ByText {
    fn weight(&self, key: &AnswerKey, remembered: &Arc<Remembered>) -> u64 {
        let outcome = match &remembered.outcome {
            Ok(said) => match &said.words {
                Words::List(versions) => versions
                    .iter()
                    .map(|version| version.as_str().len() as u64 + 40)
                    .sum(),
                Words::Info { body, .. } => 2 * body.len() as u64,
            },
            Err(failure) => failure.text_bytes(),
        };
        ANSWER_BYTES + 2 * module_path(key).as_str().len() as u64 + outcome
    }
}

/// True where an older answer is better than none: upstream could not be asked, or answered nonsense.
/// A refusal is an answer, and so is what the settings say.
fn is_outage(kind: SourceErrorKind) -> bool {
    match kind {
        SourceErrorKind::Busy
        | SourceErrorKind::Unreachable
        | SourceErrorKind::Tls
        | SourceErrorKind::TimedOut
        | SourceErrorKind::BadAnswer
        | SourceErrorKind::TooLarge => true,
        SourceErrorKind::NotExist
        | SourceErrorKind::Gone
        | SourceErrorKind::Refused
        | SourceErrorKind::Rejected
        | SourceErrorKind::Sink
        | SourceErrorKind::Off
        | SourceErrorKind::PrivateUnserved
        | SourceErrorKind::Unsupported
        | SourceErrorKind::Disallowed
        | SourceErrorKind::ForbiddenAddress
        | SourceErrorKind::Loop
        | SourceErrorKind::Internal => false,
    }
}

/// Takes the question off the board when its task ends, panics included.
struct Landing {
    answers: Arc<Answers>,
    key: AnswerKey,
    number: u64,
}

impl Board {
    /// False for a flight that a refresh took off, whether another followed it or not.
    fn is_up(&self, landing: &Landing) -> bool {
        self.flights
            .get(&landing.key)
            .is_some_and(|flight| flight.number == landing.number)
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut board = self.answers.board.lock();
        if board.is_up(self) {
            board.flights.remove(&self.key);
        }
    }
}

/// The newest of `versions` by the rule of `@latest` (rule 25): the highest release, else the
/// highest pre-release, else the newest pseudo-version; any compatible version before
/// `+incompatible` ones.
pub fn latest_of<'versions>(
    versions: impl IntoIterator<Item = &'versions Version>,
) -> Option<&'versions Version> {
    versions
        .into_iter()
        .max_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.cmp(b)))
}

fn rank(version: &Version) -> (bool, u8) {
    let maturity = match (version.is_pseudo(), version.is_prerelease()) {
        (true, _) => 0,
        (false, true) => 1,
        (false, false) => 2,
    };
    (!version.is_incompatible(), maturity)
}

/// The text of a list: one version a line.
pub fn list_body(versions: &[Version]) -> Bytes {
    let mut text = String::with_capacity(versions.iter().map(|v| v.as_str().len() + 1).sum());
    for version in versions {
        text.push_str(version.as_str());
        text.push('\n');
    }
    text.into()
}

fn read_list(body: &[u8]) -> Vec<Version> {
    let text = String::from_utf8_lossy(body);
    text.lines()
        .filter_map(|line| Version::parse(line).ok())
        .collect()
}

fn resolved(resolved: source::Resolved) -> Said {
    Said {
        words: Words::Info {
            body: resolved.body,
            info: resolved.info,
        },
        source: resolved.source,
    }
}

fn given(said: &Arc<Said>, freshness: Freshness, fetched_at: jiff::Timestamp) -> Given {
    let age = jiff::Timestamp::now().duration_since(fetched_at);
    Given {
        answer: said.clone(),
        freshness,
        age: Duration::try_from(age).unwrap_or_default(),
    }
}

/// The module path of an answer.
pub(crate) fn module_path(key: &AnswerKey) -> &ModulePath {
    match key {
        AnswerKey::List(_, path) | AnswerKey::Latest(_, path) | AnswerKey::Resolve(_, path, _) => {
            path
        }
    }
}
