//! Where the bytes of sources go: into staging, to the followers, and before the verifier.
//!
//! A fill has one [`Contest`] and, where several upstreams are asked at once, several [`FillSink`]s: each
//! stages one body in a place of its own. The first body that is complete and verified wins, whoever
//! began first.
//!
//! Of a large file one sink *leads*: its bytes are handed out while they arrive. Two upstreams may serve
//! different bytes for the same module (another order of files in the zip has the same `h1:`), so another
//! sink takes the lead only when it has more to hand out **and** what was handed out already is byte for
//! byte the beginning of its own body. A sink whose bytes differ from these can't win any more and is told
//! so. What makes the comparison cheap is that it happens once a byte, in the blocking pool, through the
//! page cache, and only for bytes that were handed out.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use gomod::{FileKind, Info};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use source::{ObjectName, Sink, SinkError, SourceError, SourceErrorKind, SourceName};
use store::staging::StagingFile;
use store::{Body, FileKey, Staging, Store, StoreError, Verified, VerifyError};
use tokio::sync::watch;

use super::flight::{Arriving, Progress};
use super::verifier::ModuleVerifier;
use super::{RELEASE_STEP_BYTES, RELEASE_WHOLE_BYTES, TAIL_BYTES};
use crate::failure::Failure;
use crate::serve::read_ahead::read_whole;

/// How much of each of two files is in memory while they are compared.
const COMPARED_BYTES: usize = 64 << 10;
/// Sources that are known to have lied, at most, and for how long.
const LIARS: usize = 64;
const LIES_ARE_REMEMBERED: Duration = Duration::from_secs(600);

/// When a large file may be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Release {
    /// While it comes, all but its tail.
    AsItComes,
    /// Only when it is verified.
    WhenVerified,
}

/// Sources that lied: in a file of which clients had the beginning, or against the checksum database. What they send next
/// is handed out when it is verified, so that nobody's download breaks off for it. (A file that is merely invalid, or not
/// what came first, says less of its source, and whoever asks for such a one must not slow down all others.)
pub(super) struct Liars(Cache<SourceName, Instant>);

impl Liars {
    pub(super) fn new() -> Self {
        Self(Cache::new(LIARS))
    }

    fn caught(&self, source: &SourceName) {
        self.0.insert(source.clone(), Instant::now());
    }

    fn lately(&self, source: &SourceName) -> bool {
        let caught = self.0.get(source);
        caught.is_some_and(|caught| caught.elapsed() < LIES_ARE_REMEMBERED)
    }
}

/// What the sinks of one fill share.
pub(super) struct Contest {
    key: FileKey,
    store: Arc<dyn Store>,
    staging: Arc<Staging>,
    verifier: ModuleVerifier,
    progress: watch::Sender<Progress>,
    release: Release,
    liars: Arc<Liars>,
    standing: Mutex<Standing>,
}

#[derive(Default)]
struct Standing {
    /// Sinks so far; the next one's number.
    sinks: u32,
    lead: Option<Lead>,
    verified: Option<Arc<Verified>>,
    refusal: Option<Failure>,
}

/// Whose bytes clients have, and how many of them.
#[derive(Clone)]
struct Lead {
    sink: u32,
    file: Arc<File>,
    released_bytes: u64,
    /// What clients were promised.
    total_bytes: Option<u64>,
    source: SourceName,
}

impl Contest {
    pub(super) fn new(
        key: FileKey,
        store: Arc<dyn Store>,
        staging: Arc<Staging>,
        verifier: ModuleVerifier,
        progress: watch::Sender<Progress>,
        release: Release,
        liars: Arc<Liars>,
    ) -> Arc<Self> {
        Arc::new(Self {
            key,
            store,
            staging,
            verifier,
            progress,
            release,
            liars,
            standing: Mutex::default(),
        })
    }

    /// A further sink for the file.
    pub(super) fn sink(self: &Arc<Self>) -> FillSink {
        let mut standing = self.standing.lock();
        standing.sinks = standing.sinks.wrapping_add(1);
        FillSink {
            number: standing.sinks,
            contest: self.clone(),
            staged: None,
            source: "".into(),
            commit: None,
            total_bytes: None,
            equal_bytes: 0,
            release: self.release,
        }
    }

    /// The verified file, and the last refusal.
    pub(super) fn outcome(&self) -> (Option<Arc<Verified>>, Option<Failure>) {
        let mut standing = self.standing.lock();
        (standing.verified.take(), standing.refusal.take())
    }

    /// The commit that a file of the version was read from first, so that the others are of the same one even where
    /// the tag was moved and the mirror is gone. Of a version that came from elsewhere its `.info` may name one.
    async fn first_commit(&self) -> Option<String> {
        let record = self.store.record(self.key.namespace, &self.key.module);
        let record = record.await.ok()?.unwrap_or_default();
        if let Some(commit) = record.commit() {
            return Some(commit.to_owned());
        }
        if self.key.kind == FileKind::Info {
            return None;
        }
        let info = FileKey {
            kind: FileKind::Info,
            ..self.key.clone()
        };
        let opened = self.store.open(&info).await.ok()??;
        let bytes = match opened.body {
            Body::Bytes(bytes) => bytes,
            Body::File(file) => read_whole(&file, opened.len_bytes).await.ok()?,
        };
        let origin = Info::parse(&bytes).ok()?.origin?;
        let origin: serde_json::Value = serde_json::from_str(&origin).ok()?;
        Some(origin.get("Hash")?.as_str()?.to_owned())
    }

    fn lead(&self) -> Option<Lead> {
        self.standing.lock().lead.clone()
    }

    fn is_won(&self) -> bool {
        self.standing.lock().verified.is_some()
    }

    /// Hands out more, if nothing was handed out since `known` and nobody has won.
    fn lead_on(&self, known: Option<&Lead>, next: Lead) -> bool {
        let mut standing = self.standing.lock();
        let unchanged = match (&standing.lead, known) {
            (None, None) => true,
            (Some(now), Some(known)) => {
                now.sink == known.sink && now.released_bytes == known.released_bytes
            }
            (None, Some(_)) | (Some(_), None) => false,
        };
        if !unchanged || standing.verified.is_some() {
            return false;
        }
        self.progress.send_replace(Progress::Arriving(Arriving {
            file: next.file.clone(),
            released_bytes: next.released_bytes,
            total_bytes: next.total_bytes,
            source: next.source.clone(),
        }));
        standing.lead = Some(next);
        true
    }

    fn refused(&self, failure: Failure) {
        self.standing.lock().refusal = Some(failure);
    }
}

/// Takes one body of the file.
pub(super) struct FillSink {
    number: u32,
    contest: Arc<Contest>,
    staged: Option<StagingFile>,
    source: SourceName,
    /// The repository that was read from last, and the commit: that of the body where the names agree.
    commit: Option<(SourceName, String)>,
    total_bytes: Option<u64>,
    /// How many of the bytes that another sink handed out are known to be the same here.
    equal_bytes: u64,
    /// That of the contest, unless the body comes from a source that was caught at a lie.
    release: Release,
}

impl FillSink {
    fn fatal(&mut self, failure: Failure) -> SinkError {
        self.staged = None;
        let text = failure.to_string();
        self.contest.refused(failure);
        SinkError::Fatal(text)
    }

    fn store_failed(&mut self, error: StoreError) -> SinkError {
        self.fatal(Failure::store(error))
    }

    /// This sink is out, through no fault of its source; what it staged is removed at once.
    fn superseded(&mut self, text: String) -> SinkError {
        self.staged = None;
        let mut standing = self.contest.standing.lock();
        // Told only where nothing better is known in the end.
        if standing.refusal.is_none() {
            let error = SourceError::new(SourceErrorKind::BadAnswer, text.clone());
            standing.refusal = Some(Failure::source(error));
        }
        SinkError::Superseded(text)
    }

    fn check_not_won(&mut self) -> Result<(), SinkError> {
        if self.contest.is_won() {
            return Err(self.superseded("another upstream has sent the whole file first".into()));
        }
        Ok(())
    }

    fn leads(&self, lead: &Lead) -> bool {
        lead.sink == self.number
    }

    /// The lead of another sink.
    fn foreign_lead(&self) -> Option<Lead> {
        self.contest.lead().filter(|lead| !self.leads(lead))
    }

    /// Holds our first bytes, up to `end` and as far as they were handed out, to those that clients have.
    async fn compare(&mut self, lead: &Lead, own: Body, end: u64) -> Result<(), SinkError> {
        let (start, end) = (self.equal_bytes, end.min(lead.released_bytes));
        if start >= end {
            return Ok(());
        }
        let theirs = lead.file.clone();
        let compared =
            tokio::task::spawn_blocking(move || first_difference(&own, &theirs, start, end));
        let difference = match compared.await {
            Ok(compared) => compared.map_err(|error| self.store_failed(error.into()))?,
            Err(died) => return Err(self.store_failed(std::io::Error::other(died).into())),
        };
        if let Some(offset) = difference {
            let text = format!(
                "what {} sends differs at byte {offset} from what {} sent, which clients have already",
                self.source, lead.source
            );
            return Err(self.superseded(text));
        }
        self.equal_bytes = end;
        Ok(())
    }

    /// Hands out what may be handed out.
    async fn advance(&mut self) -> Result<(), SinkError> {
        if self.release == Release::WhenVerified {
            return Ok(());
        }
        let lead = self.contest.lead();
        let foreign = lead.as_ref().filter(|lead| !self.leads(lead));
        let released_bytes = lead.as_ref().map_or(0, |lead| lead.released_bytes);
        let Some(staged) = &mut self.staged else {
            return Ok(());
        };
        let written = staged.len_bytes();
        if foreign.is_none() {
            let expected = self.total_bytes.map_or(written, |total| total.min(written));
            if self.total_bytes.unwrap_or(written) <= RELEASE_WHOLE_BYTES
                || expected.saturating_sub(TAIL_BYTES) < released_bytes + RELEASE_STEP_BYTES
            {
                return Ok(());
            }
        }
        if let Err(error) = staged.spill().await {
            return Err(self.store_failed(error));
        }
        // What staging still gathers for its next write can't be read by followers yet.
        let (readable, file) = (staged.readable_bytes(), staged.file());
        let Some(file) = file else { return Ok(()) };
        if let Some(foreign) = foreign {
            self.compare(foreign, Body::File(file.clone()), readable)
                .await?;
            if self.equal_bytes < foreign.released_bytes {
                return Ok(());
            }
        }
        let end = self.total_bytes.map_or(written, |total| total.min(written));
        let may_go = end.saturating_sub(TAIL_BYTES).min(readable);
        if may_go < released_bytes + RELEASE_STEP_BYTES {
            return Ok(());
        }
        let next = Lead {
            sink: self.number,
            file,
            released_bytes: may_go,
            total_bytes: lead
                .as_ref()
                .map_or(self.total_bytes, |lead| lead.total_bytes),
            source: self.source.clone(),
        };
        if self.contest.lead_on(lead.as_ref(), next) {
            if let Some(foreign) = foreign {
                tracing::info!(
                    module = %self.contest.key.module, from = %foreign.source, to = %self.source,
                    bytes = released_bytes,
                    "a download goes on from another upstream, which sends the same bytes"
                );
            }
            self.equal_bytes = may_go;
            if let Some(staged) = &mut self.staged {
                staged.release(may_go);
            }
        }
        Ok(())
    }

    /// What a verifier's refusal is to the source.
    fn not_accepted(&self, error: VerifyError) -> SinkError {
        let leads = self.contest.lead().is_some_and(|lead| self.leads(&lead));
        let another_source_may_help = error.is_of_the_bytes() && !leads;
        let is_against_the_database = matches!(error, VerifyError::Mismatch { .. });
        if is_against_the_database || (error.is_of_the_bytes() && leads) {
            self.contest.liars.caught(&self.source);
        }
        let text = error.to_string();
        let module = &self.contest.key.module;
        self.contest.refused(Failure::Unverified {
            module: module.clone(),
            source_name: self.source.to_string(),
            error: Arc::new(error),
        });
        if another_source_may_help {
            tracing::warn!(%module, source = %self.source, reason = %text, "a source's file was refused");
            SinkError::Rejected(text)
        } else {
            SinkError::Fatal(text)
        }
    }

    /// Wins, unless somebody else has, or what clients have is not the beginning of this file.
    async fn win(&mut self, verified: Arc<Verified>) -> Result<(), SinkError> {
        loop {
            let lead = self.contest.lead();
            if let Some(foreign) = lead.clone().filter(|lead| !self.leads(lead)) {
                let staged = verified.staged();
                let (own, len_bytes) = (staged.body(), staged.len_bytes());
                let promised = foreign.total_bytes.unwrap_or(len_bytes);
                if promised != len_bytes || foreign.released_bytes > len_bytes {
                    let text = format!(
                        "{} sends {len_bytes} bytes, where clients were promised those of {}",
                        self.source, foreign.source
                    );
                    return Err(self.superseded(text));
                }
                self.compare(&foreign, own, len_bytes).await?;
            }
            self.check_not_won()?;
            let mut standing = self.contest.standing.lock();
            let equal_to_all = match &standing.lead {
                None => true,
                Some(now) => now.sink == self.number || now.released_bytes <= self.equal_bytes,
            };
            if equal_to_all && standing.verified.is_none() {
                standing.verified = Some(verified);
                return Ok(());
            }
        }
    }
}

#[async_trait]
impl Sink for FillSink {
    async fn begin(
        &mut self,
        source: &SourceName,
        total_bytes: Option<u64>,
    ) -> Result<(), SinkError> {
        self.check_not_won()?;
        self.source = source.clone();
        self.release = if self.contest.liars.lately(source) {
            Release::WhenVerified
        } else {
            self.contest.release
        };
        self.total_bytes = total_bytes;
        if let Some(lead) = self.contest.lead() {
            const OTHER_LENGTH: &str = "the download broke off, and what came next has another length than clients were promised";
            if self.leads(&lead) {
                if total_bytes != lead.total_bytes {
                    let error = SourceError::new(SourceErrorKind::BadAnswer, OTHER_LENGTH);
                    return Err(self.fatal(Failure::source(error)));
                }
            } else {
                self.equal_bytes = 0;
                if total_bytes.is_some()
                    && lead.total_bytes.is_some()
                    && total_bytes != lead.total_bytes
                {
                    return Err(self.superseded(OTHER_LENGTH.into()));
                }
            }
        }
        match &mut self.staged {
            Some(staged) => {
                if let Err(error) = staged.restart() {
                    return Err(self.store_failed(error));
                }
            }
            None => self.staged = Some(self.contest.staging.begin(self.contest.key.clone())),
        }
        if let (Some(staged), Some(total_bytes)) = (&mut self.staged, total_bytes)
            && let Err(error) = staged.expect(total_bytes).await
        {
            return Err(self.store_failed(error));
        }
        Ok(())
    }

    async fn read_from(
        &mut self,
        repository: &SourceName,
        commit: &ObjectName,
    ) -> Result<(), SinkError> {
        let moved = match self.contest.first_commit().await {
            Some(first) if first != commit.as_str() => Failure::MovedTag {
                module: self.contest.key.module.clone(),
                source_name: repository.to_string(),
                first,
                now: commit.to_string(),
            },
            Some(_) | None => {
                self.commit = Some((repository.clone(), commit.to_string()));
                return Ok(());
            }
        };
        Err(self.fatal(moved))
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), SinkError> {
        self.check_not_won()?;
        let Some(staged) = &mut self.staged else {
            return Err(SinkError::Fatal("bytes came before their beginning".into()));
        };
        if let Err(error) = staged.write(chunk).await {
            return Err(self.store_failed(error));
        }
        self.advance().await
    }

    async fn finish(&mut self) -> Result<(), SinkError> {
        self.check_not_won()?;
        let Some(staged) = self.staged.take() else {
            return Err(SinkError::Fatal("a file ended before its beginning".into()));
        };
        let read_from = self.commit.take();
        let commit = read_from.and_then(|(name, commit)| (name == self.source).then_some(commit));
        let staged = match staged.finish(self.source.to_string()).await {
            Ok(staged) => staged.read_from(commit),
            Err(error) => return Err(self.store_failed(error)),
        };
        // Before the costly part: a body that can't win needs no verdict.
        if let Some(foreign) = self.foreign_lead() {
            self.compare(&foreign, staged.body(), staged.len_bytes())
                .await?;
        }
        match staged.verify(&self.contest.verifier).await {
            Ok(verified) => self.win(Arc::new(verified)).await,
            Err(refused) => {
                let (_, error) = *refused;
                Err(self.not_accepted(error))
            }
        }
    }

    fn rival(&self) -> Option<Box<dyn Sink>> {
        Some(Box::new(self.contest.sink()))
    }
}

/// Where the bytes `start..end` of two bodies differ first. Blocks on file IO.
fn first_difference(
    own: &Body,
    theirs: &File,
    start: u64,
    end: u64,
) -> std::io::Result<Option<u64>> {
    let mut buffers = [vec![0; COMPARED_BYTES], vec![0; COMPARED_BYTES]];
    let [here, there] = &mut buffers;
    let mut at = start;
    while at < end {
        let wanted =
            usize::try_from(end - at).map_or(COMPARED_BYTES, |left| left.min(COMPARED_BYTES));
        let (Some(here), Some(there)) = (here.get_mut(..wanted), there.get_mut(..wanted)) else {
            return Ok(Some(at));
        };
        match own {
            Body::File(file) => file.read_exact_at(here, at)?,
            Body::Bytes(bytes) => {
                let from = usize::try_from(at).unwrap_or(usize::MAX);
                match bytes.get(from..from.saturating_add(wanted)) {
                    Some(part) => here.copy_from_slice(part),
                    None => return Ok(Some(bytes.len() as u64)),
                }
            }
        }
        theirs.read_exact_at(there, at)?;
        if let Some(index) = here
            .iter()
            .zip(&*there)
            .position(|(own, other)| own != other)
        {
            return Ok(Some(at + index as u64));
        }
        at += wanted as u64;
    }
    Ok(None)
}
