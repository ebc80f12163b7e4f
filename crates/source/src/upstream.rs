//! One module proxy of a GOPROXY list, asked over HTTP.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use gomod::{FileKind, ModulePath, ModuleVersion, Request, Revision, SafeUrl};
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use url::Url;

use crate::address::AddressGuard;
use crate::answer::{self, AnswerKind, FIRST_LOOK_BYTES};
use crate::breaker::{Admission, Breaker, is_reached_by};
use crate::http_client::{BodyFailure, ClientError, HttpClient, Reply, RequestFailure, text_of};
use crate::options::{Repeats, UpstreamOptions};
use crate::vitals::Vitals;
use crate::{
    Fetched, Listing, Resolved, Sink, SinkError, Source, SourceError, SourceErrorKind, SourceName,
};

/// A module proxy behind `http` or `https`.
///
/// It repeats what may heal, resumes what was cut, and judges each answer before it passes it on; whether
/// a file is the right one is for the sink to say.
pub struct Upstream {
    name: SourceName,
    base: Url,
    client: HttpClient,
    options: UpstreamOptions,
    breaker: Arc<Breaker>,
    turns: Semaphore,
    /// Zips take long, and small answers must not wait for them.
    zip_turns: Semaphore,
    vitals: Mutex<Vitals>,
}

impl Upstream {
    /// A source at a base URL; its password, if it holds one, goes to that origin only.
    pub fn new(
        base: &SafeUrl,
        guard: Arc<AddressGuard>,
        options: UpstreamOptions,
    ) -> Result<Self, ClientError> {
        Ok(Self {
            name: base.to_string().trim_end_matches('/').into(),
            base: base.expose().clone(),
            client: HttpClient::new(base.expose(), guard, &options)?,
            breaker: Arc::new(Breaker::new(options.breaker_outages, options.breaker_rest)),
            turns: Semaphore::new(options.concurrent_requests.max(1)),
            zip_turns: Semaphore::new(options.concurrent_requests.max(1)),
            vitals: Mutex::default(),
            options,
        })
    }

    /// How it is asked.
    pub(crate) fn options(&self) -> &UpstreamOptions {
        &self.options
    }

    /// Whether it is taken to be down.
    pub fn breaker(&self) -> &Arc<Breaker> {
        &self.breaker
    }

    /// What it was like lately.
    pub fn vitals(&self) -> Vitals {
        *self.vitals.lock()
    }

    /// Asks for `path` (below the base, escaped, without a leading slash) and brings the answer to `sink`:
    /// takes turns, tells the breaker and the observer. The sink's `finish` is called where the body came
    /// whole, and after the turn is given back: a sink may wait for another question's answer. Returns the
    /// number of requests.
    pub(crate) async fn ask(
        &self,
        path: &str,
        kind: AnswerKind,
        sink: &mut dyn Sink,
    ) -> Result<u32, SourceError> {
        let asked = Instant::now();
        let mut transfer = Transfer::new(self.url_of(path), kind);
        let outcome = match self.enter(kind).await {
            Err(failure) => Err(failure),
            Ok((turn, admission)) => {
                let mut admission = Some(admission);
                let outcome = self.repeat(&mut transfer, sink, turn, &mut admission).await;
                if let Some(admission) = admission {
                    admission.finished(&outcome);
                }
                outcome
            }
        };
        let elapsed = asked.elapsed();
        // Our own queue says nothing about upstream.
        if transfer.attempts > 0 {
            let is_own = |error: &SourceError| error.kind().is_upstreams_own();
            let mut vitals = self.vitals.lock();
            vitals.note_first_byte(transfer.first_byte.unwrap_or(elapsed));
            vitals.note_outcome(!outcome.as_ref().is_err_and(is_own));
        }
        let outcome = match outcome {
            Ok(()) => sink.finish().await.map_err(refused_by_sink),
            Err(failure) => Err(failure),
        };
        self.options.observer.finished(
            &self.name,
            outcome.as_ref().map(drop).map_err(SourceError::kind),
            transfer.bytes_in_all,
            elapsed,
        );
        outcome.map(|()| transfer.attempts).map_err(|mut error| {
            let failure = &mut error.0;
            failure.source = Some(self.name.clone());
            failure.url = Some(format!("{}/{path}", self.name));
            failure.attempts = transfer.attempts;
            failure.elapsed = elapsed;
            error
        })
    }

    fn url_of(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        // `set_path` escapes what a path cannot hold, but takes a per cent sign for an escape.
        let below = path.replace('%', "%25");
        url.set_path(&format!(
            "{}/{below}",
            self.base.path().trim_end_matches('/')
        ));
        url
    }

    /// A turn, and leave to ask. The turn comes first, so that a probe asks at once; whoever waits for a
    /// probe holds none. Our own queue says nothing about upstream.
    async fn enter(
        &self,
        kind: AnswerKind,
    ) -> Result<(SemaphorePermit<'_>, Admission), SourceError> {
        let deadline = Instant::now() + self.options.queue_timeout;
        loop {
            let turn = self.turn(kind, deadline).await?;
            match self.breaker.try_admit() {
                Ok(admission) => return Ok((turn, admission)),
                Err(probe) => {
                    drop(turn);
                    probe.ended(deadline).await?;
                }
            }
        }
    }

    async fn turn(
        &self,
        kind: AnswerKind,
        deadline: Instant,
    ) -> Result<SemaphorePermit<'_>, SourceError> {
        let turns = match kind {
            AnswerKind::Zip => &self.zip_turns,
            _ => &self.turns,
        };
        match tokio::time::timeout_at(deadline, turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(closed)) => Err(SourceError::new(
                SourceErrorKind::Internal,
                closed.to_string(),
            )),
            Err(_) => Err(SourceError::new(
                SourceErrorKind::Busy,
                match self.options.concurrent_requests {
                    0 | 1 => "another request to it was in flight".to_owned(),
                    several => format!("{several} requests to it were in flight"),
                } + &format!(
                    ", and none ended within {} s",
                    self.options.queue_timeout.as_secs()
                ),
            )),
        }
    }

    /// Asks until it is answered or tried often enough. The turn is given back during the pauses.
    async fn repeat<'turns>(
        &'turns self,
        transfer: &mut Transfer,
        sink: &mut dyn Sink,
        mut turn: SemaphorePermit<'turns>,
        admission: &mut Option<Admission>,
    ) -> Result<(), SourceError> {
        loop {
            transfer.attempts += 1;
            let failure = match self.attempt(transfer, sink, admission).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            let unanswered = transfer.received == 0 && failure.error.0.retry_after.is_none();
            if unanswered && !self.repeats() {
                return Err(failure.error);
            }
            let pause = self.pause_before_retry(&failure.error, transfer.attempts);
            match pause {
                Some(pause) if failure.may_heal => {
                    tracing::debug!(
                        upstream = %self.name, attempt = transfer.attempts, reason = %failure.error,
                        "asking upstream again"
                    );
                    drop(turn);
                    tokio::time::sleep(pause).await;
                    let deadline = Instant::now() + self.options.queue_timeout;
                    turn = match self.turn(transfer.kind, deadline).await {
                        Ok(turn) => turn,
                        // What upstream did is better known than what it would have done.
                        Err(_) => return Err(failure.error),
                    };
                }
                _ => return Err(failure.error),
            }
        }
    }

    /// True where a question is worth asking again that was not answered.
    fn repeats(&self) -> bool {
        match self.options.repeats {
            Repeats::Always => true,
            Repeats::WhileWell => self.vitals().error_rate < 0.5,
            Repeats::Never => false,
        }
    }

    /// `None` when it was tried often enough, or upstream wants a longer pause than we grant.
    fn pause_before_retry(&self, error: &SourceError, attempts: u32) -> Option<Duration> {
        if attempts >= self.options.attempts {
            return None;
        }
        if let Some(wanted) = error.0.retry_after {
            return (wanted <= self.options.longest_retry_after).then_some(wanted);
        }
        let doublings = attempts.saturating_sub(1).min(16);
        let pause = self
            .options
            .first_backoff
            .saturating_mul(1 << doublings)
            .min(self.options.longest_backoff);
        Some(pause.mul_f64(0.5 + fastrand::f64() / 2.0))
    }

    async fn attempt(
        &self,
        transfer: &mut Transfer,
        sink: &mut dyn Sink,
        admission: &mut Option<Admission>,
    ) -> Result<(), RequestFailure> {
        let headers = transfer.range_headers();
        let asked = Instant::now();
        let reply = self.client.get(transfer.url.clone(), &headers).await?;
        transfer.first_byte.get_or_insert_with(|| asked.elapsed());
        if is_reached_by(reply.status.as_u16())
            && let Some(admission) = admission.take()
        {
            admission.reached();
        }
        let wants_rest = !headers.is_empty();
        match reply.status {
            StatusCode::OK => {
                transfer.begin_anew();
                self.receive(transfer, reply, sink).await
            }
            StatusCode::PARTIAL_CONTENT if wants_rest => {
                if !transfer.is_continued_by(&reply.headers) {
                    transfer.begin_anew();
                    return Err(heals(SourceError::new(
                        SourceErrorKind::BadAnswer,
                        "it resumed the transfer at another place than was asked",
                    )));
                }
                self.receive(transfer, reply, sink).await
            }
            StatusCode::RANGE_NOT_SATISFIABLE if wants_rest => {
                transfer.begin_anew();
                Err(heals(SourceError::new(
                    SourceErrorKind::BadAnswer,
                    "it does not resume the transfer that was cut",
                )))
            }
            _ => Err(failure_of_status(reply).await),
        }
    }

    /// Takes the body, from wherever the transfer stands.
    async fn receive(
        &self,
        transfer: &mut Transfer,
        reply: Reply,
        sink: &mut dyn Sink,
    ) -> Result<(), RequestFailure> {
        let Reply {
            headers, mut body, ..
        } = reply;
        if let Some(encoding) = text_of(&headers, header::CONTENT_ENCODING)
            && !encoding.eq_ignore_ascii_case("identity")
        {
            return Err(final_failure(SourceError::new(
                SourceErrorKind::BadAnswer,
                format!("it sent the file encoded as {encoding:?}, which was not asked for"),
            )));
        }
        let is_new = transfer.received == 0;
        if is_new {
            transfer.note_beginning(&headers);
            transfer.check_total()?;
        }
        let mut held_back = is_new.then(BytesMut::new);
        loop {
            let chunk = match body.chunk().await {
                Ok(chunk) => chunk,
                Err(failure) => {
                    // A body that was cut within its first bytes has not reached the sink.
                    if held_back.is_some() {
                        transfer.begin_anew();
                    }
                    return Err(transfer.interrupted(failure));
                }
            };
            let at_end = chunk.is_none();
            let mut bytes = chunk.unwrap_or_default();
            transfer.count(bytes.len())?;
            if let Some(mut beginning) = held_back.take() {
                beginning.extend_from_slice(&bytes);
                if beginning.len() < FIRST_LOOK_BYTES && !at_end {
                    held_back = Some(beginning);
                    continue;
                }
                bytes = beginning.freeze();
                transfer
                    .kind
                    .check_beginning(&bytes)
                    .map_err(final_failure)?;
                sink.begin(&self.name, transfer.total)
                    .await
                    .map_err(|error| final_failure(refused_by_sink(error)))?;
            }
            if !bytes.is_empty() {
                sink.write(bytes)
                    .await
                    .map_err(|error| final_failure(refused_by_sink(error)))?;
            }
            if at_end {
                return transfer.check_complete();
            }
        }
    }

    pub(crate) async fn ask_small(
        &self,
        path: &str,
        kind: AnswerKind,
    ) -> Result<(Bytes, u32), SourceError> {
        let mut memory = MemorySink::default();
        let attempts = self.ask(path, kind, &mut memory).await?;
        Ok((memory.0.freeze(), attempts))
    }

    /// Adds to a judgement on an answer where the answer came from.
    fn blame(&self, mut error: SourceError, path: &str) -> SourceError {
        error.0.source = Some(self.name.clone());
        error.0.url = Some(format!("{}/{path}", self.name));
        error
    }
}

#[async_trait]
impl Source for Upstream {
    async fn list(&self, module_path: &ModulePath) -> Result<Listing, SourceError> {
        let path = Request::List(module_path.clone()).path();
        let (body, _) = self.ask_small(&path, AnswerKind::List).await?;
        Ok(Listing {
            versions: answer::read_list(&body),
            source: self.name.clone(),
        })
    }

    async fn latest(&self, module_path: &ModulePath) -> Result<Resolved, SourceError> {
        let path = Request::Latest(module_path.clone()).path();
        let (body, _) = self.ask_small(&path, AnswerKind::Info).await?;
        Ok(Resolved {
            info: answer::read_info(&body).map_err(|error| self.blame(error, &path))?,
            body,
            source: self.name.clone(),
        })
    }

    async fn resolve(
        &self,
        module_path: &ModulePath,
        revision: &Revision,
    ) -> Result<Resolved, SourceError> {
        let path = Request::Resolve(module_path.clone(), revision.clone()).path();
        let (body, _) = self.ask_small(&path, AnswerKind::Info).await?;
        Ok(Resolved {
            info: answer::read_resolved(module_path, revision, &body)
                .map_err(|error| self.blame(error, &path))?,
            body,
            source: self.name.clone(),
        })
    }

    async fn fetch(
        &self,
        module: &ModuleVersion,
        kind: FileKind,
        sink: &mut dyn Sink,
    ) -> Result<Fetched, SourceError> {
        let path = Request::File(module.clone(), kind).path();
        let attempts = if kind == FileKind::Info {
            let (body, attempts) = self.ask_small(&path, AnswerKind::Info).await?;
            answer::check_info_of(module, &body).map_err(|error| self.blame(error, &path))?;
            pour(&self.name, body, sink)
                .await
                .map_err(|error| self.blame(refused_by_sink(error), &path))?;
            attempts
        } else {
            self.ask(&path, AnswerKind::of_file(kind), sink).await?
        };
        Ok(Fetched {
            source: self.name.clone(),
            attempts,
        })
    }

    fn name(&self) -> SourceName {
        self.name.clone()
    }
}

/// One question, across its requests.
struct Transfer {
    url: Url,
    kind: AnswerKind,
    attempts: u32,
    /// Bytes of the present body; those that the sink holds, but for the first few that are held back.
    received: u64,
    /// Bytes of all bodies.
    bytes_in_all: u64,
    total: Option<u64>,
    /// Strong, or `None`.
    etag: Option<HeaderValue>,
    /// Bytes received when the last request began.
    received_before: u64,
    /// How long the first head took that came.
    first_byte: Option<Duration>,
}

impl Transfer {
    fn new(url: Url, kind: AnswerKind) -> Self {
        Self {
            url,
            kind,
            attempts: 0,
            received: 0,
            bytes_in_all: 0,
            total: None,
            etag: None,
            received_before: 0,
            first_byte: None,
        }
    }

    fn begin_anew(&mut self) {
        self.received = 0;
        self.received_before = 0;
        self.total = None;
        self.etag = None;
    }

    /// What asks for the rest of a body that was cut; empty where only a new beginning is safe.
    fn range_headers(&mut self) -> HeaderMap {
        self.received_before = self.received;
        let mut headers = HeaderMap::new();
        if self.received > 0
            && let Some(etag) = &self.etag
            && let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", self.received))
        {
            headers.insert(header::RANGE, range);
            headers.insert(header::IF_RANGE, etag.clone());
        }
        headers
    }

    /// Takes what the head of a whole answer says about its body.
    fn note_beginning(&mut self, headers: &HeaderMap) {
        self.total = text_of(headers, header::CONTENT_LENGTH).and_then(|text| text.parse().ok());
        self.etag = headers
            .get(header::ETAG)
            .filter(|etag| etag.as_bytes().starts_with(b"\""))
            .cloned();
    }

    /// True if a partial answer begins where we stand, within the same body (RFC 9110, sections 14.4 and 15.3.7).
    fn is_continued_by(&self, headers: &HeaderMap) -> bool {
        let same_etag = headers
            .get(header::ETAG)
            .is_none_or(|etag| Some(etag) == self.etag.as_ref());
        let Some((first, last, total)) =
            text_of(headers, header::CONTENT_RANGE).and_then(read_content_range)
        else {
            return false;
        };
        let fits = match (self.total, total) {
            (Some(known), Some(said)) => known == said && last + 1 == known,
            (Some(known), None) => last + 1 == known,
            (None, Some(said)) => last + 1 == said,
            (None, None) => false,
        };
        same_etag && fits && first == self.received
    }

    fn count(&mut self, bytes: usize) -> Result<(), RequestFailure> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.received = self.received.saturating_add(bytes);
        self.bytes_in_all = self.bytes_in_all.saturating_add(bytes);
        if self.received > self.kind.limit_bytes() {
            return Err(self.too_large(self.received));
        }
        Ok(())
    }

    fn check_total(&self) -> Result<(), RequestFailure> {
        match self.total {
            Some(total) if total > self.kind.limit_bytes() => Err(self.too_large(total)),
            _ => Ok(()),
        }
    }

    fn check_complete(&self) -> Result<(), RequestFailure> {
        match self.total {
            Some(total) if total != self.received => Err(heals(SourceError::new(
                SourceErrorKind::BadAnswer,
                format!("{total} bytes were announced and {} came", self.received),
            ))),
            _ => Ok(()),
        }
    }

    fn too_large(&self, bytes: u64) -> RequestFailure {
        final_failure(SourceError::new(
            SourceErrorKind::TooLarge,
            format!(
                "the answer is too large: {bytes} bytes, where {} are the most that is taken",
                self.kind.limit_bytes()
            ),
        ))
    }

    /// A cut heals. A standstill heals only if the request had brought something: an upstream that stays
    /// silent is down, and the next source is the better choice.
    fn interrupted(&self, failure: BodyFailure) -> RequestFailure {
        let may_heal = match failure {
            BodyFailure::Cut(_) => true,
            BodyFailure::Stalled(_) => self.received > self.received_before,
            BodyFailure::TooSlow { .. } => false,
        };
        let mut error = failure.into_error();
        let of_total = match self.total {
            Some(total) => format!(" of {total}"),
            None => String::new(),
        };
        error.0.text = format!("{} (after {}{of_total} bytes)", error.0.text, self.received);
        RequestFailure { error, may_heal }
    }
}

/// Holds a small answer; its size was bounded by [`AnswerKind::limit_bytes`] before it gets here.
#[derive(Default)]
struct MemorySink(BytesMut);

#[async_trait]
impl Sink for MemorySink {
    async fn begin(&mut self, _: &SourceName, _: Option<u64>) -> Result<(), SinkError> {
        self.0.clear();
        Ok(())
    }
    async fn write(&mut self, chunk: Bytes) -> Result<(), SinkError> {
        self.0.extend_from_slice(&chunk);
        Ok(())
    }
    async fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Gives a whole body to a sink.
pub(crate) async fn pour(
    source: &SourceName,
    body: Bytes,
    sink: &mut dyn Sink,
) -> Result<(), SinkError> {
    sink.begin(source, u64::try_from(body.len()).ok()).await?;
    if !body.is_empty() {
        sink.write(body).await?;
    }
    sink.finish().await
}

/// What a sink's refusal is to whoever asked the source.
pub(crate) fn refused_by_sink(refusal: SinkError) -> SourceError {
    let (kind, text) = match &refusal {
        SinkError::Rejected(text) => (SourceErrorKind::Rejected, text.clone()),
        SinkError::Superseded(text) | SinkError::Fatal(text) => {
            (SourceErrorKind::Sink, text.clone())
        }
    };
    let mut error = SourceError::new(kind, text);
    error.0.sink = Some(refusal);
    error
}

/// `bytes FIRST-LAST/TOTAL`, where the total may be `*`.
fn read_content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let total = match total {
        "*" => None,
        digits => Some(digits.parse().ok()?),
    };
    let last: u64 = last.parse().ok()?;
    // A range that ends with the largest number leaves no room for the length.
    last.checked_add(1)?;
    Some((first.parse().ok()?, last, total))
}

async fn failure_of_status(reply: Reply) -> RequestFailure {
    let status = reply.status.as_u16();
    let retry_after = text_of(&reply.headers, header::RETRY_AFTER).and_then(read_retry_after);
    let (kind, may_heal) = match status {
        404 => (SourceErrorKind::NotExist, false),
        410 => (SourceErrorKind::Gone, false),
        401 | 403 | 451 => (SourceErrorKind::Refused, false),
        408 => (SourceErrorKind::TimedOut, true),
        407 => (SourceErrorKind::Unreachable, false),
        429 => (SourceErrorKind::Busy, true),
        503 if retry_after.is_some() => (SourceErrorKind::Busy, true),
        501 => (SourceErrorKind::Unreachable, false),
        508 => (SourceErrorKind::Loop, false),
        500..=599 => (SourceErrorKind::Unreachable, true),
        _ => (SourceErrorKind::BadAnswer, false),
    };
    let text = match (kind, reply.status.canonical_reason()) {
        (SourceErrorKind::Loop, _) => {
            "the request came back to this server: the upstream list leads in a circle".to_owned()
        }
        (_, Some(reason)) => format!("it answered {status} {reason}"),
        (_, None) => format!("it answered {status}"),
    };
    let content_type = text_of(&reply.headers, header::CONTENT_TYPE).map(str::to_owned);
    // Longer texts are not shown, so no more of them needs to be read.
    let beginning = reply.body.beginning(601).await;
    let mut error = SourceError::new(kind, text);
    error.0.status = Some(status);
    error.0.retry_after = retry_after;
    error.0.upstream_text = answer::presentable(content_type.as_deref(), &beginning);
    RequestFailure { error, may_heal }
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
fn read_retry_after(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let wait = date.duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO))
}

fn heals(error: SourceError) -> RequestFailure {
    RequestFailure {
        error,
        may_heal: true,
    }
}

fn final_failure(error: SourceError) -> RequestFailure {
    RequestFailure {
        error,
        may_heal: false,
    }
}

#[cfg(test)]
mod tests;
