//! A GOPROXY that serves what a test put there, counts, and misbehaves on request.
mod body;
mod connection;

use crate::git::GitRoutes;
use crate::module::{Module, ZipVariant, escape, sha256_hex};
use crate::{Gate, LargeZip, TestCa, eventually, patience, runtime};
use body::{Script, ScriptedBody};
use bytes::Bytes;
use connection::Flushes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header, request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A GOPROXY on loopback. Stops when dropped.
pub struct FakeUpstream {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    listening: Mutex<Option<connection::Listening>>,
    tls: Option<Arc<rustls::ServerConfig>>,
}

/// What a fake upstream is before it listens.
#[derive(Default)]
pub struct FakeUpstreamBuilder {
    tls: Option<Arc<rustls::ServerConfig>>,
    no_ranges: bool,
    no_etags: bool,
}

/// A request that the upstream saw.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `GET`, `HEAD`…
    pub method: String,
    /// The path with `%21` read as `!`, and the query where there was one.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// `HTTP/1.1`, `HTTP/2.0`.
    pub protocol: String,
}

/// What something that is mounted under a path answers: status, content type and body.
#[derive(Clone, Debug)]
pub struct Mounted {
    /// The status.
    pub status: u16,
    /// The content type.
    pub content_type: &'static str,
    /// The body.
    pub body: Bytes,
}

type Handler = Arc<dyn Fn(&str) -> Mounted + Send + Sync>;

/// How an answer is unlike that of a good upstream. Combine as needed; what is not said is normal.
#[derive(Clone, Default)]
pub struct Behaviour {
    times: Option<usize>,
    skip: usize,
    before_headers: Option<Gate>,
    in_body: Option<(u64, Gate)>,
    latency: Duration,
    trickle: Option<(usize, Duration)>,
    cut_after: Option<u64>,
    hang_up: bool,
    length_lie: i64,
    chunked: bool,
    replacement: Option<Replacement>,
}

#[derive(Clone)]
struct Replacement {
    status: u16,
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    asked: Condvar,
    git: GitRoutes,
    no_ranges: bool,
    no_etags: bool,
}

#[derive(Default)]
struct State {
    resources: BTreeMap<String, Resource>,
    lists: BTreeMap<String, Vec<String>>,
    rules: Vec<Rule>,
    mounts: Vec<(String, Handler)>,
    seen: Vec<Seen>,
}

struct Rule {
    scope: Scope,
    behaviour: Behaviour,
}

enum Scope {
    Path(String),
    Prefix(String),
}

#[derive(Clone)]
struct Resource {
    content: Content,
    content_type: &'static str,
    etag: Option<String>,
}

#[derive(Clone)]
enum Content {
    Bytes(Bytes),
    File(Arc<File>, u64),
}

impl FakeUpstream {
    /// An upstream over plain HTTP/1.1 and HTTP/2, with strong ETags and Range.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// An upstream with choices.
    pub fn builder() -> FakeUpstreamBuilder {
        FakeUpstreamBuilder::default()
    }

    /// An upstream over plain HTTP that serves these modules.
    pub fn with<'a>(modules: impl IntoIterator<Item = &'a Module>) -> Self {
        let upstream = Self::start();
        for module in modules {
            upstream.add(module);
        }
        upstream
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves the module's files, names it in `list` (pseudo-versions are never listed) and answers
    /// `@latest` with it.
    pub fn add(&self, module: &Module) {
        self.add_unlisted(module);
        let mut state = self.shared.state.lock();
        let versions = state.lists.entry(module.about("@v/list")).or_default();
        if !is_pseudo(module.version()) && !versions.iter().any(|v| v == module.version()) {
            versions.push(module.version().into());
        }
        let info = text(module.info(), "application/json");
        state.resources.insert(module.about("@latest"), info);
    }

    /// Serves the module's files without naming it anywhere.
    pub fn add_unlisted(&self, module: &Module) {
        self.serve(&module.url_path("info"), module.info(), "application/json");
        self.serve(
            &module.url_path("mod"),
            module.go_mod_file(),
            "text/plain; charset=utf-8",
        );
        self.serve(&module.url_path("zip"), module.zip(), "application/zip");
        let mut state = self.shared.state.lock();
        state.lists.entry(module.about("@v/list")).or_default();
    }

    /// Replaces the module's zip with another kind.
    pub fn replace_zip(&self, module: &Module, variant: &ZipVariant) {
        self.serve(
            &module.url_path("zip"),
            module.zip_as(variant),
            "application/zip",
        );
    }

    /// Replaces the module's zip with a large one.
    pub fn replace_zip_with_large(&self, module: &Module, zip: &LargeZip) {
        let resource = Resource {
            content: Content::File(zip.file.clone(), zip.len_bytes),
            content_type: "application/zip",
            etag: Some(format!("\"large-{}\"", zip.len_bytes)),
        };
        self.shared
            .state
            .lock()
            .resources
            .insert(module.url_path("zip"), resource);
    }

    /// Lets a branch, tag or commit of the module's repository be this version.
    pub fn add_revision(&self, name: &str, module: &Module) {
        let path = module.about(&format!("@v/{}.info", escape(name)));
        self.serve(&path, module.info(), "application/json");
    }

    /// Serves any bytes at a path, with a strong ETag that is not the SHA-256 alone.
    pub fn serve(&self, path: &str, body: impl Into<Bytes>, content_type: &'static str) {
        let body = body.into();
        let etag = (!self.shared.no_etags).then(|| format!("\"up-{}\"", &sha256_hex(&body)[..20]));
        let resource = Resource {
            etag,
            ..text(body, content_type)
        };
        self.shared
            .state
            .lock()
            .resources
            .insert(path.into(), resource);
    }

    /// Takes a path away: 404 from now on.
    pub fn remove(&self, path: &str) {
        let mut state = self.shared.state.lock();
        state.resources.remove(path);
        state.lists.remove(path);
    }

    /// Answers everything under `prefix` (which ends in `/`) with `handler`, which is given the rest
    /// of the path.
    pub fn mount(&self, prefix: &str, handler: impl Fn(&str) -> Mounted + Send + Sync + 'static) {
        self.shared
            .state
            .lock()
            .mounts
            .push((prefix.into(), Arc::new(handler)));
    }

    /// Misbehaves at one path from now on. Replaces what was said of the path before.
    pub fn misbehave(&self, path: &str, behaviour: Behaviour) {
        let mut state = self.shared.state.lock();
        state
            .rules
            .retain(|rule| !matches!(&rule.scope, Scope::Path(other) if other == path));
        state.rules.push(Rule {
            scope: Scope::Path(path.into()),
            behaviour,
        });
    }

    /// Misbehaves under a prefix from now on (`/` is everywhere). What is said of a path goes first.
    pub fn misbehave_under(&self, prefix: &str, behaviour: Behaviour) {
        let scope = Scope::Prefix(prefix.into());
        self.shared
            .state
            .lock()
            .rules
            .push(Rule { scope, behaviour });
    }

    /// Behaves again everywhere. What is under way stays as it was.
    pub fn behave(&self) {
        self.shared.state.lock().rules.clear();
    }

    /// Stops listening and breaks every connection: from now on a dial is refused.
    pub fn refuse_connections(&self) {
        if let Some(listening) = self.listening.lock().take() {
            listening.stop();
        }
    }

    /// Listens again, at the same address.
    pub fn accept_connections(&self) {
        let mut listening = self.listening.lock();
        if listening.is_none() {
            let started = eventually("the address is free again", || {
                connection::listen(self.address, self.shared.clone(), self.tls.clone()).ok()
            });
            *listening = Some(started.1);
        }
    }

    /// The repositories that it serves beside modules.
    pub(crate) fn git_routes(&self) -> &GitRoutes {
        &self.shared.git
    }

    /// Every request so far, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state.lock().seen.clone()
    }

    /// How many requests were made for this path, whatever the method.
    pub fn count(&self, path: &str) -> usize {
        self.shared.count(|seen| seen.path == path)
    }

    /// How many requests were made for paths that hold this text.
    pub fn count_matching(&self, part: &str) -> usize {
        self.shared.count(|seen| seen.path.contains(part))
    }

    /// How many requests were made.
    pub fn total(&self) -> usize {
        self.shared.count(|_| true)
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.shared.state.lock().seen.clear();
    }

    /// Waits until `count` requests were made for this path.
    #[track_caller]
    pub fn wait_for(&self, path: &str, count: usize) {
        let mut state = self.shared.state.lock();
        while state.seen.iter().filter(|seen| seen.path == path).count() < count {
            let waited = self.shared.asked.wait_for(&mut state, patience());
            assert!(
                !waited.timed_out(),
                "upstream was not asked {count} times for {path}"
            );
        }
    }

    /// Checks how often each of these paths was asked for, and says what was asked where it differs.
    #[track_caller]
    pub fn assert_counts(&self, expected: &[(&str, usize)]) {
        for (path, count) in expected {
            let paths: Vec<String> = self.seen().into_iter().map(|seen| seen.path).collect();
            assert_eq!(
                self.count(path),
                *count,
                "requests for {path} among {paths:#?}"
            );
        }
    }
}

impl Drop for FakeUpstream {
    fn drop(&mut self) {
        self.refuse_connections();
    }
}

impl FakeUpstreamBuilder {
    /// Serves HTTPS with a certificate of `ca`; offers these protocols by ALPN (`h2`, `http/1.1`).
    pub fn tls(mut self, ca: &TestCa, protocols: &[&str]) -> Self {
        self.tls = Some(ca.server_config(protocols, &[]));
        self
    }

    /// As [`Self::tls`], with a certificate that holds these names too.
    pub fn tls_for(mut self, ca: &TestCa, protocols: &[&str], names: &[&str]) -> Self {
        self.tls = Some(ca.server_config(protocols, names));
        self
    }

    /// Answers Range requests with the whole file.
    pub fn without_ranges(mut self) -> Self {
        self.no_ranges = true;
        self
    }

    /// Sends no ETag.
    pub fn without_etags(mut self) -> Self {
        self.no_etags = true;
        self
    }

    /// Starts listening.
    pub fn start(self) -> FakeUpstream {
        let shared = Arc::new(Shared {
            no_ranges: self.no_ranges,
            no_etags: self.no_etags,
            ..Shared::default()
        });
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let (address, listening) =
            connection::listen(any_port, shared.clone(), self.tls.clone()).unwrap();
        FakeUpstream {
            address,
            scheme: if self.tls.is_some() { "https" } else { "http" },
            shared,
            listening: Mutex::new(Some(listening)),
            tls: self.tls,
        }
    }
}

impl Behaviour {
    /// As a good upstream does.
    pub fn normal() -> Self {
        Self::default()
    }

    /// Only for the next `count` requests that it concerns; normal from then on.
    pub fn times(mut self, count: usize) -> Self {
        self.times = Some(count);
        self
    }

    /// Lets the first `count` requests that it concerns pass as normal.
    pub fn after(mut self, count: usize) -> Self {
        self.skip = count;
        self
    }

    /// Says nothing at all until the gate opens.
    pub fn stall(mut self, gate: &Gate) -> Self {
        self.before_headers = Some(gate.clone());
        self
    }

    /// Sends headers and `len_bytes` of the body, then nothing until the gate opens.
    pub fn stall_in_body(mut self, len_bytes: u64, gate: &Gate) -> Self {
        self.in_body = Some((len_bytes, gate.clone()));
        self
    }

    /// Waits this long before it answers, as a far-away upstream does.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Sends `len_bytes` of the body every `interval`.
    pub fn trickle(mut self, len_bytes: usize, interval: Duration) -> Self {
        self.trickle = Some((len_bytes, interval));
        self
    }

    /// Breaks the connection (HTTP/2: resets the stream) after `len_bytes` of the body were sent.
    pub fn cut_after(mut self, len_bytes: u64) -> Self {
        self.cut_after = Some(len_bytes);
        self
    }

    /// Breaks the connection instead of answering.
    pub fn hang_up(mut self) -> Self {
        self.hang_up = true;
        self
    }

    /// Says a Content-Length that is off by this much.
    pub fn lie_in_length(mut self, off_by: i64) -> Self {
        self.length_lie = off_by;
        self
    }

    /// Sends the body chunked, without saying its length.
    pub fn without_length(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// Answers with this status and plain text.
    pub fn status(self, status: u16, text: &str) -> Self {
        self.replace(status, "text/plain; charset=utf-8", text)
    }

    /// Answers 200 with a page of HTML, as a login wall does.
    pub fn html(self) -> Self {
        let page = "<!doctype html><html><body><h1>Please log in</h1></body></html>\n";
        self.replace(200, "text/html; charset=utf-8", page)
    }

    /// Sends the client elsewhere.
    pub fn redirect(self, location: &str) -> Self {
        self.status(302, "").header("location", location)
    }

    /// Adds a header to the answer of `status` and the like.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let replacement = self
            .replacement
            .as_mut()
            .expect("an answer to add the header to");
        replacement.headers.push((name, value.into()));
        self
    }

    /// Answers with this status, type and body.
    pub fn replace(mut self, status: u16, content_type: &'static str, body: &str) -> Self {
        let body = Bytes::copy_from_slice(body.as_bytes());
        self.replacement = Some(Replacement {
            status,
            content_type,
            headers: Vec::new(),
            body,
        });
        self
    }
}

impl Shared {
    /// Answers one request; an error breaks the connection.
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        flushes: Flushes,
    ) -> Result<Response<ScriptedBody>, connection::Broken> {
        let (request, body) = request.into_parts();
        let target = request
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let path = target.replace("%21", "!");
        let behaviour = self.note(&request, &path);
        if let Some(gate) = &behaviour.before_headers {
            gate.pass().await;
        }
        if !behaviour.latency.is_zero() {
            tokio::time::sleep(behaviour.latency).await;
        }
        if behaviour.hang_up {
            return Err(connection::Broken);
        }
        let (mut head, content) = match &behaviour.replacement {
            Some(replacement) => replacement.answer(),
            None => self.normal(&path, &request, body).await?,
        };
        let len_bytes = content.len_bytes();
        if !behaviour.chunked {
            let declared = len_bytes.checked_add_signed(behaviour.length_lie).unwrap();
            head.headers_mut()
                .insert(header::CONTENT_LENGTH, declared.into());
        }
        if request.method == Method::HEAD {
            return Ok(head.map(|()| ScriptedBody::empty()));
        }
        let script = Script {
            stall: behaviour.in_body,
            trickle: behaviour.trickle,
            // A body that ends before the length that was said is a broken connection.
            cut_after: behaviour
                .cut_after
                .or_else(|| (behaviour.length_lie > 0).then_some(len_bytes)),
        };
        let body = ScriptedBody::play(content, script, flushes);
        Ok(head.map(|()| body))
    }

    /// Counts the request and says how it is to be answered.
    fn note(&self, request: &request::Parts, path: &str) -> Behaviour {
        let mut state = self.state.lock();
        state.seen.push(Seen {
            method: request.method.to_string(),
            path: path.into(),
            headers: request.headers.clone(),
            protocol: format!("{:?}", request.version),
        });
        self.asked.notify_all();
        let exact = |rule: &&mut Rule| matches!(&rule.scope, Scope::Path(p) if p == path);
        let under = |rule: &&mut Rule| matches!(&rule.scope, Scope::Prefix(prefix) if path.starts_with(prefix.as_str()));
        let rules = &mut state.rules;
        let rule = match rules.iter_mut().find(exact) {
            Some(rule) => Some(rule),
            None => rules.iter_mut().find(under),
        };
        rule.and_then(|rule| rule.behaviour.take_turn())
            .unwrap_or_default()
    }

    /// What a server that behaves answers.
    async fn normal(
        &self,
        path: &str,
        request: &request::Parts,
        body: Incoming,
    ) -> Result<(Response<()>, Content), connection::Broken> {
        if !self.git.allows(path, &request.headers) {
            let head = Response::builder()
                .status(StatusCode::UNAUTHORIZED)
                .header(header::WWW_AUTHENTICATE, "Basic realm=\"larder test\"")
                .header(header::CONTENT_TYPE, "text/plain; charset=utf-8");
            let body = Bytes::from_static(b"log in first\n");
            return Ok((head.body(()).unwrap(), Content::Bytes(body)));
        }
        let Some((folder, target)) = self.git.find(path) else {
            return Ok(self.find(path, &request.headers));
        };
        // A client that hangs up in its own request needs no answer.
        let body = body.collect().await.map_err(|_| connection::Broken)?;
        let (head, body) = GitRoutes::answer(folder, &target, request, body.to_bytes()).await;
        Ok((head, Content::Bytes(body)))
    }

    fn find(&self, path: &str, headers: &HeaderMap) -> (Response<()>, Content) {
        let (resource, mount) = {
            let state = self.state.lock();
            let list = state.lists.get(path).map(|versions| {
                let lines: String = versions
                    .iter()
                    .map(|version| format!("{version}\n"))
                    .collect();
                text(lines.into(), "text/plain; charset=utf-8")
            });
            let mount = state.mounts.iter().find_map(|(prefix, handler)| {
                path.strip_prefix(prefix.as_str())
                    .map(|rest| (handler.clone(), rest.to_owned()))
            });
            (state.resources.get(path).cloned().or(list), mount)
        };
        if let Some(resource) = resource {
            return resource.answer(headers, self.no_ranges);
        }
        let mounted = match mount {
            Some((handler, rest)) => handler(&rest),
            None => Mounted {
                status: 404,
                content_type: "text/plain; charset=utf-8",
                body: format!("not found: {path}\n").into(),
            },
        };
        let head = Response::builder()
            .status(mounted.status)
            .header(header::CONTENT_TYPE, mounted.content_type)
            .body(())
            .unwrap();
        (head, Content::Bytes(mounted.body))
    }

    fn count(&self, matching: impl Fn(&Seen) -> bool) -> usize {
        self.state
            .lock()
            .seen
            .iter()
            .filter(|seen| matching(seen))
            .count()
    }
}

impl Behaviour {
    /// This behaviour, if it is to be shown this time.
    fn take_turn(&mut self) -> Option<Self> {
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        match &mut self.times {
            Some(0) => return None,
            Some(times) => *times -= 1,
            None => {}
        }
        Some(self.clone())
    }
}

impl Replacement {
    fn answer(&self) -> (Response<()>, Content) {
        let mut head = Response::builder()
            .status(self.status)
            .header(header::CONTENT_TYPE, self.content_type);
        for (name, value) in &self.headers {
            head = head.header(*name, value);
        }
        (head.body(()).unwrap(), Content::Bytes(self.body.clone()))
    }
}

impl Resource {
    fn answer(&self, headers: &HeaderMap, no_ranges: bool) -> (Response<()>, Content) {
        let mut head = Response::builder().header(header::CONTENT_TYPE, self.content_type);
        if let Some(etag) = &self.etag {
            head = head.header(header::ETAG, etag);
        }
        let start = if no_ranges {
            None
        } else {
            self.range_start(headers)
        };
        let len_bytes = self.content.len_bytes();
        let Some(start) = start.filter(|start| *start < len_bytes) else {
            return (head.body(()).unwrap(), self.content.clone());
        };
        let range = format!("bytes {start}-{}/{len_bytes}", len_bytes - 1);
        let head = head
            .status(StatusCode::PARTIAL_CONTENT)
            .header(header::CONTENT_RANGE, range);
        (head.body(()).unwrap(), self.content.from(start))
    }

    /// The start of a `bytes=START-` range, unless `If-Range` names another file.
    fn range_start(&self, headers: &HeaderMap) -> Option<u64> {
        let range = headers.get(header::RANGE)?.to_str().ok()?;
        let same = headers
            .get(header::IF_RANGE)
            .is_none_or(|given| Some(given.as_bytes()) == self.etag.as_deref().map(str::as_bytes));
        let start = range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()?;
        same.then_some(start)
    }
}

impl Content {
    fn len_bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, len_bytes) => *len_bytes,
        }
    }

    /// What is left from `start` on.
    fn from(&self, start: u64) -> Self {
        match self {
            Self::Bytes(bytes) => Self::Bytes(bytes.slice(start as usize..)),
            Self::File(..) => panic!("large zips are served whole only"),
        }
    }
}

fn text(body: Bytes, content_type: &'static str) -> Resource {
    Resource {
        content: Content::Bytes(body),
        content_type,
        etag: None,
    }
}

/// True for versions that end in a time and a revision.
fn is_pseudo(version: &str) -> bool {
    let core = version.split('+').next().unwrap_or_default();
    let mut parts = core.rsplit('-');
    let revision = parts.next().unwrap_or_default();
    let time = parts
        .next()
        .and_then(|part| part.rsplit('.').next())
        .unwrap_or_default();
    revision.len() == 12 && time.len() == 14 && time.bytes().all(|byte| byte.is_ascii_digit())
}
