//! One repository: its listing, its mirror, and the order in which a revision is looked for (rule 18).

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gomod::semver;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::archive::{self, ArchiveBounds, ArchiveFailure};
use super::environment;
use super::failure::{self, Meaning};
use super::listing::Listings;
use super::mirror::{Mirror, ObjectFormat};
use super::names::{self, Meant};
use super::objects::{Lease, Mode};
use super::process::{Bounds, DiskWatch, Finished, Launch, ProcessKind};
use super::user_config;
use super::{Engine, HostVerdict, Passage};
use crate::{
    Archive, Clue, Commit, Credential, Freshness, GitProtocol, ObjectName, Refs, Repository,
    RepositoryUrl, SourceError, SourceErrorKind, TreeEntry, Trust,
};

/// A listing of the last seconds: many questions about one version share it.
const RECENT: Duration = Duration::from_secs(5);
/// A listing that proves absence.
const NOW: Duration = Duration::from_secs(1);
/// Moved tags that one fetch is told to leave alone; git leaves others alone, too, but complains.
const MOST_EXCLUSIONS: usize = 500;
/// So many packs are put together; those of a geometric row stay.
const SCATTERED_PACKS: usize = 20;
/// The pause between looks at a lock that another process holds.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Why an operation did not succeed.
pub(super) enum Trouble {
    /// The mirror is gone or broken: what and how.
    Damaged(String),
    /// Anything else.
    Failed(SourceError),
}

impl From<SourceError> for Trouble {
    fn from(error: SourceError) -> Self {
        Self::Failed(error)
    }
}

/// A repository behind its mirror.
pub(super) struct GitRepository {
    pub(super) engine: Arc<Engine>,
    pub(super) url: RepositoryUrl,
    pub(super) trust: Trust,
    mirror: Mirror,
    listings: Listings,
    /// Held by whoever brings something in or makes the mirror anew.
    writing: tokio::sync::Mutex<()>,
    /// Held by whoever asks the reader of objects: one reader a repository.
    reading: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    /// How the last attempt to reach the remote ended.
    is_unreached: AtomicBool,
}

#[derive(Default)]
struct State {
    /// The tags that were handed out and what they were then; `None` before they were read.
    first_tags: Option<BTreeMap<String, ObjectName>>,
    /// Which moves were told.
    told: HashSet<(String, ObjectName)>,
}

/// What git is sent to the remote for.
struct Errand<'a> {
    kind: ProcessKind,
    /// What it is to do, for the text of a failure.
    doing: &'static str,
    /// The command and its options; the address and the refspecs follow.
    arguments: Vec<OsString>,
    refspecs: &'a [String],
    bounds: Bounds,
    watch: Option<DiskWatch>,
    packets: Packets,
}

/// Whether git tells of the packets that it is sent, on its standard error.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Packets {
    Unseen,
    Shown,
}

/// Both locks of a mirror.
struct Writing<'a> {
    _here: tokio::sync::MutexGuard<'a, ()>,
    _everywhere: File,
}

/// The reader of a mirror and the turn to ask it.
struct Reading<'a> {
    lease: Lease,
    _turn: tokio::sync::MutexGuard<'a, ()>,
}

/// A commit of the mirror and its time.
type Found = (ObjectName, i64);

impl GitRepository {
    pub(super) fn new(engine: Arc<Engine>, url: RepositoryUrl, trust: Trust) -> Self {
        let mirror = Mirror::new(&engine.options.folder, &url, trust);
        let mirror_key = mirror.key.clone();
        Self {
            mirror,
            url,
            trust,
            listings: Listings::new(mirror_key, engine.listed.clone()),
            engine,
            writing: tokio::sync::Mutex::default(),
            reading: tokio::sync::Mutex::default(),
            state: Mutex::default(),
            is_unreached: AtomicBool::new(false),
        }
    }

    // --- the listing

    /// A listing that was begun at most `age` before this question.
    async fn listing(&self, age: Duration) -> Result<Arc<Refs>, SourceError> {
        let listing = self.listings.recent(age, || self.list()).await;
        self.is_unreached.store(listing.is_err(), Ordering::Relaxed);
        let listed = listing?;
        self.look_for_moved_tags(&listed).await;
        Ok(listed)
    }

    /// A listing of the last seconds if the remote answers. One that did not a moment ago is not asked again.
    async fn listing_if_answered(&self) -> Option<Arc<Refs>> {
        if self.listings.failed_within(RECENT) {
            return self.listings.known();
        }
        match self.listing(RECENT).await {
            Ok(refs) => Some(refs),
            Err(_) => self.listings.known(),
        }
    }

    async fn list(&self) -> Result<Refs, SourceError> {
        let began = Instant::now();
        let (refs, ..) = self.ask_for_refs(Packets::Unseen).await?;
        if refs.iter().next().is_some() || !self.may_be_no_repository().await {
            return Ok(refs);
        }
        // Once more, because only packets of git's own protocol prove that nothing is what there is.
        let (refs, finished, credential) = self.ask_for_refs(Packets::Shown).await?;
        if refs.iter().next().is_some() || failure::spoke_of_packets(&finished.stderr) {
            return Ok(refs);
        }
        let text = format!(
            "{} lists no branch and no tag, and nothing in its answer is of a git server: a page (a login?) answers in its place",
            self.url
        );
        Err(failure::tried(
            failure::failure(
                SourceErrorKind::BadAnswer,
                &self.url,
                text,
                "",
                began.elapsed(),
            )
            .with_clue(Clue::NothingListed),
            credential.as_ref(),
            &self.url,
        ))
    }

    /// One `ls-remote`.
    async fn ask_for_refs(
        &self,
        packets: Packets,
    ) -> Result<(Refs, Finished, Option<Credential>), SourceError> {
        let began = Instant::now();
        let errand = Errand {
            kind: ProcessKind::Listing,
            doing: "list the repository",
            arguments: ["ls-remote", "-q", "--end-of-options"]
                .map(OsString::from)
                .into(),
            refspecs: &[],
            bounds: Bounds {
                stdout_bytes: self.engine.options.listing_bytes,
                ..self.engine.bounds()
            },
            watch: None,
            packets,
        };
        let (finished, credential) = self.transport(errand).await?;
        if !finished.status.success() {
            return Err(self
                .listing_failed("ls-remote", &finished, credential.as_ref(), began.elapsed())
                .await);
        }
        let refs = Refs::parse(&String::from_utf8_lossy(&finished.stdout));
        let limit = self.engine.options.listing_refs;
        if refs.iter().count() > limit {
            return Err(failure::failure(
                SourceErrorKind::TooLarge,
                &self.url,
                format!("the repository has more than {limit} heads and tags"),
                "",
                began.elapsed(),
            ));
        }
        Ok((refs, finished, credential))
    }

    /// True if a listing without refs proves nothing: over HTTP git takes a page without a line's end, or an empty
    /// one, for an empty repository, a login page for instance. Of a public name the go command takes it for absence.
    async fn may_be_no_repository(&self) -> bool {
        let user_config = self.engine.user_config().await;
        let protocol = match user_config.rewritten(self.url.as_str()) {
            Some(there) => user_config::protocol_of(&there),
            None => Some(self.url.protocol()),
        };
        self.trust != Trust::Chosen
            && matches!(protocol, Some(GitProtocol::Https | GitProtocol::Http))
    }

    /// What the failure of a listing, or of the fetch in its place, means. Whoever may not read is told "not
    /// found", too: the probe decides.
    async fn listing_failed(
        &self,
        command: &str,
        finished: &Finished,
        credential: Option<&Credential>,
        elapsed: Duration,
    ) -> SourceError {
        let stderr = failure::clean(&finished.stderr, credential);
        let said = failure::meaning(&stderr);
        let url = &self.url;
        // As the go command writes of the same failure, so that what people search for is found.
        let ended = format!("git {command} {url}: {}", failure::ending(finished.status));
        let fail = |kind, text: String| {
            let mut error = failure::tried(
                failure::failure(kind, url, text, &stderr, elapsed),
                credential,
                url,
            );
            if stderr.contains("could not read Username") {
                error.0.notes.push(
                    "check the module path for a slip; if the repository is private, give larder a \
                     credential for its host"
                        .to_owned(),
                );
            }
            error
        };
        if let Meaning::Kind(kind) = said {
            return fail(kind, ended);
        }
        // Where a rewritten address led, the probe is not sent with what was meant for that place.
        let is_rewritten = self
            .engine
            .user_config()
            .await
            .rewritten(url.as_str())
            .is_some();
        let for_probe = credential.filter(|_| !is_rewritten);
        match self
            .engine
            .options
            .probe
            .judge(url, self.trust, for_probe, &stderr)
            .await
        {
            HostVerdict::Absent(how) => fail(
                SourceErrorKind::NotExist,
                format!("{ended}: there is no such repository: {how}"),
            ),
            HostVerdict::Refused(how) => fail(
                SourceErrorKind::Refused,
                format!("{ended}: it may not be read: {how}"),
            ),
            HostVerdict::Unproven(how) if said == Meaning::NotFound => fail(
                SourceErrorKind::Refused,
                format!(
                    "{ended}: the host says that there is no such repository, as it would to those who may not read it: {how}"
                ),
            ),
            HostVerdict::Unproven(how) => fail(
                SourceErrorKind::Refused,
                format!("{ended}: the host wants to know who asks: {how}"),
            ),
        }
    }

    /// Tells of each tag that was handed out and now points elsewhere, once.
    async fn look_for_moved_tags(&self, listed: &Refs) {
        // Without the record nothing is known to have moved.
        let _ = self.check().await;
        let mut moved = Vec::new();
        {
            let mut state = self.state.lock();
            let State { first_tags, told } = &mut *state;
            for (tag, first) in first_tags.iter().flatten() {
                if let Some(now) = listed.get(&format!("refs/tags/{tag}"))
                    && now != first
                    && told.insert((tag.clone(), now.clone()))
                {
                    moved.push((tag.clone(), first.clone(), now.clone()));
                }
            }
        }
        for (tag, first, now) in moved {
            tracing::error!(
                url = %self.url,
                tag = %tag.escape_debug(),
                %first,
                %now,
                "a tag was moved; what it was first stays"
            );
            self.engine
                .options
                .observer
                .moved_tag(&self.url, &tag, &first, &now);
        }
    }

    // --- processes

    /// Runs git against the remote with the user's set-up and the credential that the rules name.
    async fn transport(
        &self,
        errand: Errand<'_>,
    ) -> Result<(Finished, Option<Credential>), SourceError> {
        let began = Instant::now();
        let Passage {
            mut setting,
            pass,
            credential,
        } = self
            .engine
            .passage(&self.url, self.trust, &self.mirror.folder)
            .await?;
        if errand.packets == Packets::Shown {
            setting.show_packets();
        }
        let mut arguments = setting.arguments;
        arguments.extend(errand.arguments);
        arguments.push(self.url.as_str().into());
        arguments.extend(errand.refspecs.iter().map(OsString::from));
        let launch = Launch {
            kind: errand.kind,
            program: self.engine.program.clone(),
            folder: self.engine.options.folder.clone(),
            arguments,
            environment: setting.environment,
        };
        let finished = self
            .engine
            .children
            .run(launch, errand.bounds, errand.watch)
            .await
            .map_err(|stopped| {
                failure::stopped(stopped, errand.doing, &self.url, began.elapsed())
            })?;
        if let Some(refusal) = pass.and_then(|pass| pass.refused()) {
            return Err(failure::forbidden(&self.url, refusal.to_string()));
        }
        Ok((finished, credential))
    }

    /// Runs git on the mirror alone.
    async fn read(&self, arguments: &[&str]) -> Result<Finished, SourceError> {
        let began = Instant::now();
        let launch = self.reading_launch(ProcessKind::History, arguments);
        let bounds = Bounds {
            stdout_bytes: self.engine.options.listing_bytes,
            ..self.engine.bounds()
        };
        self.engine
            .children
            .run(launch, bounds, None)
            .await
            .map_err(|stopped| {
                failure::stopped(stopped, "read the mirror", &self.url, began.elapsed())
            })
    }

    fn reading_launch(&self, kind: ProcessKind, arguments: &[&str]) -> Launch {
        let setting = environment::reading(&self.engine.options.environment, &self.mirror.folder);
        let mut all = setting.arguments;
        all.extend(arguments.iter().map(OsString::from));
        Launch {
            kind,
            program: self.engine.program.clone(),
            folder: self.engine.options.folder.clone(),
            arguments: all,
            environment: setting.environment,
        }
    }

    // --- the mirror

    /// Does blocking work on the mirror's folder.
    async fn on_mirror<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Mirror) -> io::Result<T> + Send + 'static,
    ) -> Result<T, SourceError> {
        let mirror = self.mirror.clone();
        let done = tokio::task::spawn_blocking(move || work(&mirror)).await;
        match done {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(SourceError::new(
                SourceErrorKind::Internal,
                format!("the mirror of {} cannot be used: {error}", self.url),
            )),
            Err(_) => Err(SourceError::new(
                SourceErrorKind::Internal,
                "the work on a mirror broke off",
            )),
        }
    }

    /// What the mirror is, if there is one; its record of tags is read when it is first seen.
    async fn check(&self) -> Result<Option<ObjectFormat>, SourceError> {
        let is_new_to_us = self.state.lock().first_tags.is_none();
        let (format, tags) = self
            .on_mirror(move |mirror| {
                let format = mirror.check()?;
                if format.is_none() {
                    return Ok((None, None));
                }
                mirror.note_use()?;
                let tags = is_new_to_us.then(|| mirror.first_tags()).transpose()?;
                Ok((format, tags))
            })
            .await?;
        if format.is_none() {
            self.engine.readers.close(&self.mirror.key);
            self.state.lock().first_tags = None;
        } else if let Some(tags) = tags {
            self.state.lock().first_tags.get_or_insert(tags);
        }
        Ok(format)
    }

    /// Both locks, waited for in the queue's time.
    async fn lock(&self) -> Result<Writing<'_>, SourceError> {
        let busy = || {
            SourceError::new(
                SourceErrorKind::Busy,
                format!("the mirror of {} is in use by others", self.url),
            )
        };
        let patience = self.engine.options.queue_timeout;
        let both = async {
            let here = self.writing.lock().await;
            loop {
                if let Some(everywhere) = self.on_mirror(Mirror::try_lock).await? {
                    return Ok(Writing {
                        _here: here,
                        _everywhere: everywhere,
                    });
                }
                // Another process brings something in; the system wakes nobody who would not block.
                tokio::time::sleep(LOCK_PAUSE).await;
            }
        };
        tokio::time::timeout(patience, both)
            .await
            .map_err(|_| busy())?
    }

    /// The reader of objects; `None` without a mirror.
    async fn reader(&self) -> Result<Option<Reading<'_>>, SourceError> {
        if self.check().await?.is_none() {
            return Ok(None);
        }
        let turn = self.reading.lock().await;
        let began = Instant::now();
        let lease = self
            .engine
            .readers
            .lease(&self.mirror.key, || {
                self.reading_launch(ProcessKind::Objects, &["cat-file", "--batch"])
            })
            .await
            .map_err(|stopped| {
                failure::stopped(stopped, "read objects", &self.url, began.elapsed())
            })?;
        Ok(Some(Reading { lease, _turn: turn }))
    }

    /// A commit of the mirror by an object's name, a ref's, or a beginning.
    async fn local(&self, name: &str) -> Result<Option<Found>, Trouble> {
        match self.reader().await? {
            Some(mut reading) => reading.lease.commit(name).await,
            None => Ok(None),
        }
    }

    /// Throws a broken mirror away.
    async fn discard(&self, why: &str) -> Result<(), SourceError> {
        let _writing = self.lock().await?;
        tracing::warn!(url = %self.url, why, "a mirror is made anew");
        self.engine.readers.close(&self.mirror.key);
        self.on_mirror(Mirror::remove).await
    }

    // --- finding

    async fn find_once(&self, revision: &str) -> Result<Option<Commit>, Trouble> {
        let format = self.check().await?;
        if let Some(format) = format {
            if let Some(found) = self.local_tag(revision).await? {
                let name = format!("refs/tags/{revision}");
                return Ok(Some(self.handed_out(found, Some(name)).await?));
            }
            if names::is_object_prefix(revision, format.hex_digits())
                && let Some(found) = self.local(revision).await?
            {
                // Which ref stands for it is only known by a listing; the commit itself needs none.
                let listed = self.listing_if_answered().await;
                let found_by = listed.and_then(|refs| match names::meant(&refs, revision) {
                    Meant::Ref { name, commit, .. } if commit == found.0 => by_its_hash(name),
                    _ => None,
                });
                return Ok(Some(self.handed_out(found, found_by).await?));
            }
        }
        // Whoever is bringing something in may be bringing this very tag.
        if is_version_tag(revision) && self.writing.try_lock().is_err() {
            drop(self.lock().await?);
            if self.check().await?.is_some()
                && let Some(found) = self.local_tag(revision).await?
            {
                let name = format!("refs/tags/{revision}");
                return Ok(Some(self.handed_out(found, Some(name)).await?));
            }
        }
        // A new repository, and nothing listed a moment ago, which would know better.
        if format.is_none()
            && is_version_tag(revision)
            && !self.listings.is_recent(RECENT)
            && let Some(found) = self.bring_unlisted_tag(revision).await?
        {
            let name = format!("refs/tags/{revision}");
            return Ok(Some(self.handed_out(found, Some(name)).await?));
        }
        let mut age = RECENT;
        loop {
            let refs = self.listing(age).await?;
            match names::meant(&refs, revision) {
                Meant::Ambiguous => {
                    return Err(Trouble::Failed(SourceError::new(
                        SourceErrorKind::NotExist,
                        format!("ambiguous revision {revision}"),
                    )));
                }
                Meant::Unknown if age == NOW => return Ok(None),
                // Absence is only proven by a listing of now.
                Meant::Unknown => {}
                Meant::Object(prefix) => {
                    if let Some(found) = self.bring_history_for(&refs, &prefix).await? {
                        return Ok(Some(self.handed_out(found, None).await?));
                    }
                    if age == NOW {
                        return Ok(None);
                    }
                }
                Meant::Ref {
                    name,
                    commit,
                    is_name,
                } => {
                    if let Some(found) = self.bring(&refs, &name, &commit).await? {
                        let found_by = if is_name {
                            Some(name)
                        } else {
                            by_its_hash(name)
                        };
                        return Ok(Some(self.handed_out(found, found_by).await?));
                    }
                    // The ref went elsewhere while it was fetched.
                    if age == NOW {
                        return Ok(None);
                    }
                    self.listings.forget();
                }
            }
            age = NOW;
        }
    }

    /// A tag that the mirror has: what it was first.
    async fn local_tag(&self, tag: &str) -> Result<Option<Found>, Trouble> {
        let first = self.first_tag(tag);
        if let Some(first) = first {
            let found = self.local(first.as_str()).await?;
            let gone = || Trouble::Damaged(format!("commit {first} of a tag is gone"));
            return found.map(Some).ok_or_else(gone);
        }
        let name = format!("refs/tags/{tag}");
        if names::is_ref_name(&name) {
            return self.local(&name).await;
        }
        Ok(None)
    }

    fn first_tag(&self, tag: &str) -> Option<ObjectName> {
        self.state.lock().first_tags.as_ref()?.get(tag).cloned()
    }

    /// The answer, with all tags of the commit; a tag that it was found by is remembered.
    async fn handed_out(
        &self,
        (name, committed_unix_seconds): Found,
        found_by: Option<String>,
    ) -> Result<Commit, Trouble> {
        let tag = found_by
            .as_deref()
            .and_then(|name| name.strip_prefix("refs/tags/"));
        if let Some(tag) = tag
            && self.first_tag(tag).is_none()
        {
            let (tag, commit) = (tag.to_owned(), name.clone());
            self.state
                .lock()
                .first_tags
                .get_or_insert_default()
                .insert(tag.clone(), commit.clone());
            self.on_mirror(move |mirror| mirror.add_first_tag(&tag, &commit))
                .await?;
        }
        // A canonical version says enough; other names may stand for a version that another tag gives.
        let says_enough = tag.is_some_and(is_version_tag);
        let listed = if says_enough {
            self.listings.known()
        } else {
            // As in Go, what is here is enough where the remote does not answer.
            self.listing_if_answered().await
        };
        let mut tags = BTreeSet::new();
        {
            let state = self.state.lock();
            let first_tags = state.first_tags.as_ref();
            let first = |tag: &str| first_tags.and_then(|tags| tags.get(tag));
            if let Some(listed) = &listed {
                tags = listed.tags_of(&name);
                tags.retain(|tag| first(tag).is_none_or(|first| *first == name));
            }
            tags.extend(
                first_tags
                    .iter()
                    .flat_map(|tags| tags.iter())
                    .filter(|(_, commit)| **commit == name)
                    .map(|(tag, _)| tag.clone()),
            );
        }
        Ok(Commit {
            name,
            committed_unix_seconds,
            found_by,
            tags,
        })
    }

    // --- bringing in

    /// The commit of a listed ref, brought in if it is not here: the one ref first, then everything.
    async fn bring(
        &self,
        refs: &Refs,
        name: &str,
        commit: &ObjectName,
    ) -> Result<Option<Found>, Trouble> {
        let _writing = self.lock().await?;
        let holds_something = self.prepare(commit).await?;
        if holds_something && let Some(found) = self.local(commit.as_str()).await? {
            if let Some(tag) = name.strip_prefix("refs/tags/") {
                self.point_tag(tag, commit).await?;
            }
            return Ok(Some(found));
        }
        if let Some(found) = self.fetch_ref(name, commit).await? {
            return Ok(Some(found));
        }
        self.fetch_history(refs).await?;
        self.local(commit.as_str()).await
    }

    /// The first thing that is asked of a repository, where that is the tag of a version: fetched without a
    /// listing, because its name says everything, and most versions that are asked for are there. `None` where
    /// that did not bring it, and a listing has to say why. Later questions list first: one listing often
    /// shows that several tags stand for a commit that is here.
    async fn bring_unlisted_tag(&self, tag: &str) -> Result<Option<Found>, Trouble> {
        let name = format!("refs/tags/{tag}");
        if !names::is_ref_name(&name) {
            return Ok(None);
        }
        let arrived = Instant::now();
        let _writing = self.lock().await?;
        // Whoever was here before may have learnt enough.
        if let Some(error) = self.listings.failed_after(arrived) {
            return Err(error.into());
        }
        if self.check().await?.is_some() {
            return self.local_tag(tag).await;
        }
        // Nearly all repositories have SHA-1 names; git refuses to mix, and then a listing tells.
        self.create(ObjectFormat::Sha1).await?;
        let began = Instant::now();
        let fetched = self
            .fetch(&["--depth=1"], &[format!("{name}:{name}")])
            .await;
        let error = match fetched {
            Ok((finished, _)) if finished.status.success() => {
                self.is_unreached.store(false, Ordering::Relaxed);
                return self.local(&name).await;
            }
            Ok((finished, credential)) => {
                self.engine.readers.close(&self.mirror.key);
                self.on_mirror(Mirror::remove).await?;
                let stderr = failure::clean(&finished.stderr, credential.as_ref());
                match failure::meaning(&stderr) {
                    // No such tag, other hashes, a server that cannot do this, or no network: soon told.
                    Meaning::Kind(SourceErrorKind::Unreachable) => return Ok(None),
                    Meaning::Kind(_) | Meaning::Authentication | Meaning::NotFound => {
                        let credential = credential.as_ref();
                        self.listing_failed("fetch", &finished, credential, began.elapsed())
                            .await
                    }
                }
            }
            Err(error) => error,
        };
        self.is_unreached.store(true, Ordering::Relaxed);
        self.listings.note_failure(&error);
        Err(error.into())
    }

    /// An object that no ref is known to have: everything is brought in, and git may find it in the history.
    async fn bring_history_for(&self, refs: &Refs, prefix: &str) -> Result<Option<Found>, Trouble> {
        let Some((_, any)) = refs.iter().next() else {
            return Ok(None);
        };
        let _writing = self.lock().await?;
        let holds_something = self.prepare(any).await?;
        if holds_something && let Some(found) = self.local(prefix).await? {
            return Ok(Some(found));
        }
        if self.history_is_here(refs).await? {
            return Ok(None);
        }
        self.fetch_history(refs).await?;
        self.local(prefix).await
    }

    /// Sees to a mirror of the format that the remote has. True if there was one: a new one holds nothing, and
    /// need not be asked.
    async fn prepare(&self, any: &ObjectName) -> Result<bool, SourceError> {
        let wanted = ObjectFormat::of(any);
        if self.check().await? == Some(wanted) {
            return Ok(true);
        }
        self.create(wanted).await?;
        Ok(false)
    }

    /// An empty mirror.
    async fn create(&self, format: ObjectFormat) -> Result<(), SourceError> {
        self.engine.readers.close(&self.mirror.key);
        self.on_mirror(move |mirror| mirror.create(format)).await?;
        self.state.lock().first_tags = Some(BTreeMap::new());
        Ok(())
    }

    /// How deep a fetch goes: one commit, unless the mirror has histories.
    async fn depth(&self) -> Result<&'static [&'static str], SourceError> {
        let has_histories = self
            .on_mirror(|mirror| Ok(mirror.complete_for().is_some()))
            .await?;
        Ok(if has_histories { &[] } else { &["--depth=1"] })
    }

    /// Lets a tag point to a commit that came in by another name, as the go command does.
    async fn point_tag(&self, tag: &str, commit: &ObjectName) -> Result<(), SourceError> {
        if !names::is_ref_name(&format!("refs/tags/{tag}")) {
            return Ok(());
        }
        let (tag, commit) = (tag.to_owned(), commit.clone());
        self.on_mirror(move |mirror| mirror.point_tag(&tag, &commit))
            .await
    }

    /// The one ref, without its history unless the mirror has histories; `None` where that did not bring it.
    async fn fetch_ref(&self, name: &str, commit: &ObjectName) -> Result<Option<Found>, Trouble> {
        // Branches move, and their names may come to stand in each other's way: they are kept by commit.
        let kept = format!("refs/commits/{commit}");
        let (refspec, kept) = if name == "HEAD" {
            (format!("{commit}:{kept}"), kept)
        } else if !names::is_ref_name(name) {
            return Ok(None);
        } else if name.starts_with("refs/tags/") {
            (format!("{name}:{name}"), name.to_owned())
        } else {
            (format!("+{name}:{kept}"), kept)
        };
        let depth = self.depth().await?;
        let (finished, credential) = self.fetch(depth, &[refspec]).await?;
        if finished.status.success() {
            return self.local(&kept).await;
        }
        let stderr = failure::clean(&finished.stderr, credential.as_ref());
        if let Some(damage) = failure::damage(&stderr) {
            return Err(Trouble::Damaged(damage));
        }
        match failure::meaning(&stderr) {
            // What else went wrong varies with git's version: everything may be fetched where one ref cannot.
            Meaning::Kind(SourceErrorKind::Unreachable)
            | Meaning::Authentication
            | Meaning::NotFound => Ok(None),
            Meaning::Kind(kind) => Err(Trouble::Failed(self.fetch_failed(
                kind,
                &stderr,
                credential.as_ref(),
            ))),
        }
    }

    async fn history_is_here(&self, refs: &Refs) -> Result<bool, SourceError> {
        let complete_for = self.on_mirror(|mirror| Ok(mirror.complete_for())).await?;
        Ok(complete_for.is_some_and(|sum| sum == refs.repository_sum()))
    }

    /// All heads and tags with their histories; tags that the mirror has stay what they were first.
    async fn fetch_history(&self, refs: &Refs) -> Result<(), Trouble> {
        let moved: Vec<String> = {
            let state = self.state.lock();
            state
                .first_tags
                .iter()
                .flatten()
                .map(|(tag, first)| (format!("refs/tags/{tag}"), first))
                .filter(|(name, first)| {
                    names::is_ref_name(name) && refs.get(name).is_some_and(|now| now != *first)
                })
                .map(|(name, _)| format!("^{name}"))
                .take(MOST_EXCLUSIONS)
                .collect()
        };
        let mut refspecs = vec![
            "+refs/heads/*:refs/branches/*".to_owned(),
            "refs/tags/*:refs/tags/*".to_owned(),
        ];
        refspecs.extend(moved);
        let is_shallow = self.on_mirror(|mirror| Ok(mirror.is_shallow())).await?;
        let depth: &[&str] = if is_shallow { &["--unshallow"] } else { &[] };
        let (mut finished, mut credential) = self.fetch(depth, &refspecs).await?;
        if !finished.status.success() && finished.stderr.contains("cannot lock ref") {
            // Branches `a` and `a/b`, one after the other.
            self.on_mirror(Mirror::forget_branches).await?;
            (finished, credential) = self.fetch(depth, &refspecs).await?;
        }
        let stderr = failure::clean(&finished.stderr, credential.as_ref());
        if !finished.status.success() && !only_tags_rejected(&stderr) {
            if let Some(damage) = failure::damage(&stderr) {
                return Err(Trouble::Damaged(damage));
            }
            let kind = match failure::meaning(&stderr) {
                Meaning::Kind(kind) => kind,
                Meaning::Authentication | Meaning::NotFound => SourceErrorKind::Refused,
            };
            return Err(self.fetch_failed(kind, &stderr, credential.as_ref()).into());
        }
        let sum = refs.repository_sum();
        self.on_mirror(move |mirror| mirror.note_complete(&sum))
            .await?;
        Ok(())
    }

    async fn fetch(
        &self,
        depth: &[&str],
        refspecs: &[String],
    ) -> Result<(Finished, Option<Credential>), SourceError> {
        // Protocol 2 lists only what is asked for, and its servers send the tags of a shallow fetch.
        let mut arguments: Vec<OsString> = ["-c", "protocol.version=2", "fetch"]
            .map(OsString::from)
            .into();
        arguments.extend(["--progress", "--no-tags", "--no-write-fetch-head"].map(OsString::from));
        arguments.extend(depth.iter().map(OsString::from));
        arguments.push("--end-of-options".into());
        let errand = Errand {
            kind: ProcessKind::Fetch,
            doing: "fetch",
            arguments,
            refspecs,
            bounds: self.engine.bounds(),
            watch: Some(DiskWatch {
                folder: self.mirror.folder.join("objects"),
                limit_bytes: self.engine.options.fetch_bytes,
            }),
            packets: Packets::Unseen,
        };
        self.on_mirror(Mirror::begin_fetch).await?;
        let outcome = self.transport(errand).await;
        match &outcome {
            Err(error) if error.kind() == SourceErrorKind::TooLarge => {
                // What came of it would be in the way of everything else.
                self.engine.readers.close(&self.mirror.key);
                self.on_mirror(Mirror::remove).await?;
            }
            // It was stopped: the next one clears away what it left.
            Err(_) => {}
            Ok(_) => {
                // A repack that is killed with this process leaves files, too: it is noted with the fetch.
                self.repack_if_scattered().await?;
                self.on_mirror(Mirror::end_fetch).await?;
                self.engine.shrink_soon();
            }
        }
        outcome
    }

    /// Puts small packs together once there are many: every lookup goes through all of them.
    async fn repack_if_scattered(&self) -> Result<(), SourceError> {
        if self.on_mirror(Mirror::packs).await? < SCATTERED_PACKS || !self.engine.can_repack {
            return Ok(());
        }
        let arguments = ["repack", "--geometric=2", "-d", "-q"];
        let launch = self.reading_launch(ProcessKind::Repack, &arguments);
        let bounds = Bounds {
            // It is silent as long as it works.
            stall: self.engine.options.longest_process,
            ..self.engine.bounds()
        };
        if let Err(stopped) = self.engine.children.run(launch, bounds, None).await {
            tracing::warn!(url = %self.url, ?stopped, "a mirror's packs could not be put together");
            // Noted anew, so that what it left is cleared away.
            self.on_mirror(Mirror::begin_fetch).await?;
        }
        Ok(())
    }

    fn fetch_failed(
        &self,
        kind: SourceErrorKind,
        stderr: &str,
        credential: Option<&Credential>,
    ) -> SourceError {
        let text = format!("git could not fetch from {}", self.url);
        failure::tried(
            failure::failure(kind, &self.url, text, stderr, Duration::ZERO),
            credential,
            &self.url,
        )
    }

    // --- reading

    /// A reader of a mirror that has the commit; it is brought in again if the mirror was deleted.
    async fn reader_with(&self, commit: &ObjectName) -> Result<Reading<'_>, Trouble> {
        if let Some(mut reading) = self.reader().await?
            && reading.lease.commit(commit.as_str()).await?.is_some()
        {
            return Ok(reading);
        }
        let absent = || {
            SourceError::new(
                SourceErrorKind::NotExist,
                format!("unknown revision {commit}"),
            )
        };
        self.find_once(commit.as_str()).await?.ok_or_else(absent)?;
        Ok(self.reader().await?.ok_or_else(absent)?)
    }

    async fn file_once(
        &self,
        commit: &ObjectName,
        path: &str,
        limit_bytes: u64,
    ) -> Result<Option<Bytes>, Trouble> {
        let mut reading = self.reader_with(commit).await?;
        let Some(entry) = reading.lease.entry_at(commit, path).await? else {
            return Ok(None);
        };
        if !matches!(entry.mode, Mode::File | Mode::Symlink) {
            return Ok(None);
        }
        let object = reading
            .lease
            .object(entry.object.as_str(), limit_bytes)
            .await?
            .ok_or_else(|| Trouble::Damaged(format!("object {} is gone", entry.object)))?;
        Ok(Some(object.bytes))
    }

    async fn tree_once(
        &self,
        commit: &ObjectName,
        folder: &str,
    ) -> Result<Option<Vec<TreeEntry>>, Trouble> {
        let mut reading = self.reader_with(commit).await?;
        let entry = reading.lease.entry_at(commit, folder).await?;
        match entry.filter(|entry| entry.mode == Mode::Folder) {
            Some(entry) => {
                let most = self.engine.options.files;
                let files = reading.lease.files_below(&entry.object, most).await?;
                Ok(Some(files))
            }
            None => Ok(None),
        }
    }

    async fn archive_once(&self, commit: &ObjectName, folder: &str) -> Result<Archive, Trouble> {
        drop(self.reader_with(commit).await?);
        let mut arguments = vec![
            "archive",
            "--format=tar",
            "--end-of-options",
            commit.as_str(),
        ];
        if !folder.is_empty() {
            arguments.push(folder);
        }
        let began = Instant::now();
        let running = self
            .engine
            .children
            .start_archive(self.reading_launch(ProcessKind::Archive, &arguments))
            .await
            .map_err(|stopped| {
                failure::stopped(stopped, "make an archive", &self.url, began.elapsed())
            })?;
        let bounds = ArchiveBounds {
            stall: self.engine.options.stall_timeout,
            bytes: self.engine.options.archive_bytes,
        };
        match archive::stream(running, bounds, self.url.clone()).await {
            Ok(archive) => Ok(archive),
            Err(ArchiveFailure::NoSuchFolder) => Err(Trouble::Failed(SourceError::new(
                SourceErrorKind::NotExist,
                format!("commit {commit} has no folder `{}`", folder.escape_debug()),
            ))),
            Err(ArchiveFailure::Damaged(why)) => Err(Trouble::Damaged(why)),
            Err(ArchiveFailure::Failed(error)) => Err(error.into()),
        }
    }

    async fn merged_once(&self, commit: &ObjectName) -> Result<Vec<String>, Trouble> {
        drop(self.reader_with(commit).await?);
        let merged = format!("--merged={commit}");
        let finished = self
            .read(&["for-each-ref", "--format=%(refname)", &merged, "refs/tags"])
            .await?;
        if !finished.status.success() {
            return Err(Trouble::Damaged(failure::last_words(&finished.stderr)));
        }
        Ok(String::from_utf8_lossy(&finished.stdout)
            .lines()
            .filter_map(|line| line.strip_prefix("refs/tags/"))
            .map(str::to_owned)
            .collect())
    }

    async fn descends_once(&self, commit: &ObjectName, tag: &str) -> Result<bool, Trouble> {
        let name = format!("refs/tags/{tag}");
        if !names::is_ref_name(&name) {
            return Ok(false);
        }
        drop(self.reader_with(commit).await?);
        if self.local(&name).await?.is_none() {
            return Ok(false);
        }
        let finished = self
            .read(&["merge-base", "--is-ancestor", "--", &name, commit.as_str()])
            .await?;
        match finished.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(Trouble::Damaged(failure::last_words(&finished.stderr))),
        }
    }

    async fn complete_once(&self) -> Result<(), Trouble> {
        let refs = self.listing(RECENT).await?;
        let Some((_, any)) = refs.iter().next() else {
            return Ok(());
        };
        if self.check().await?.is_some() && self.history_is_here(&refs).await? {
            return Ok(());
        }
        let _writing = self.lock().await?;
        self.prepare(any).await?;
        if self.history_is_here(&refs).await? {
            return Ok(());
        }
        self.fetch_history(&refs).await
    }
}

/// Does something; once more with a new reader if what is here seems broken, and once more with a new mirror.
macro_rules! with_a_whole_mirror {
    ($self:ident, $operation:expr) => {{
        let mut attempt = 1;
        loop {
            match $operation {
                Ok(value) => break Ok(value),
                Err(Trouble::Failed(error)) => break Err(error),
                Err(Trouble::Damaged(_)) if attempt == 1 => {
                    $self.engine.readers.close(&$self.mirror.key);
                }
                Err(Trouble::Damaged(why)) if attempt == 2 => $self.discard(&why).await?,
                Err(Trouble::Damaged(why)) => {
                    break Err(SourceError::new(
                        SourceErrorKind::Internal,
                        format!("the mirror of {} breaks again and again: {why}", $self.url),
                    ));
                }
            }
            attempt += 1;
        }
    }};
}

#[async_trait]
impl Repository for GitRepository {
    fn url(&self) -> &RepositoryUrl {
        &self.url
    }

    async fn refs(&self, freshness: Freshness) -> Result<Arc<Refs>, SourceError> {
        match freshness {
            Freshness::Recent => self.listing(RECENT).await,
            Freshness::Known => match self.listings.known() {
                Some(refs) => Ok(refs),
                None => self.listing(RECENT).await,
            },
        }
    }

    fn forget_listing(&self) {
        self.listings.forget();
    }

    fn is_unreached(&self) -> bool {
        self.is_unreached.load(Ordering::Relaxed)
    }

    async fn find(&self, revision: &str) -> Result<Option<Commit>, SourceError> {
        with_a_whole_mirror!(self, self.find_once(revision).await)
    }

    async fn file(
        &self,
        commit: &ObjectName,
        path: &str,
        limit_bytes: u64,
    ) -> Result<Option<Bytes>, SourceError> {
        with_a_whole_mirror!(self, self.file_once(commit, path, limit_bytes).await)
    }

    async fn merged_tags(&self, commit: &ObjectName) -> Result<Vec<String>, SourceError> {
        with_a_whole_mirror!(self, self.merged_once(commit).await)
    }

    async fn descends_from(&self, commit: &ObjectName, tag: &str) -> Result<bool, SourceError> {
        with_a_whole_mirror!(self, self.descends_once(commit, tag).await)
    }

    async fn complete_history(&self) -> Result<(), SourceError> {
        with_a_whole_mirror!(self, self.complete_once().await)
    }

    async fn tree(
        &self,
        commit: &ObjectName,
        folder: &str,
    ) -> Result<Option<Vec<TreeEntry>>, SourceError> {
        with_a_whole_mirror!(self, self.tree_once(commit, folder).await)
    }

    async fn archive(&self, commit: &ObjectName, folder: &str) -> Result<Archive, SourceError> {
        with_a_whole_mirror!(self, self.archive_once(commit, folder).await)
    }
}

/// True for the tag of a canonical version, in the root or in a folder: it can mean nothing else.
fn is_version_tag(tag: &str) -> bool {
    let version = tag.rsplit('/').next().unwrap_or(tag);
    !version.is_empty() && semver::canonical(version) == version
}

/// What a commit that was asked for by its name was found by: HEAD is no ref that would be recorded.
fn by_its_hash(name: String) -> Option<String> {
    (name != "HEAD").then_some(name)
}

/// True if git fetched everything but tags that are here already and were something else.
fn only_tags_rejected(stderr: &str) -> bool {
    let mut rejected = false;
    for line in stderr.lines() {
        if line.starts_with("fatal:") || line.starts_with("error:") {
            return false;
        }
        if line.contains("[rejected]") {
            if !line.contains("would clobber existing tag") {
                return false;
            }
            rejected = true;
        }
    }
    rejected
}
