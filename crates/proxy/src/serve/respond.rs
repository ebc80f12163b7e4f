//! The table of contents: which request is answered where.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use gomod::{FileKind, Request};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use hyper::body::Incoming;

use super::body::AnswerBody;
use super::{Room, answers, cause, error, files, operations, refresh, sumdb};
use crate::failure::Failure;
use crate::fill::{Fetch, Served};
use crate::gate::{Admitted, Caller, Way};
use crate::observe::{Asked, Exchange, Outcome, RequestKind};

/// The public mirror's newer spelling of `Disable-Module-Fetch: true` (rule 61).
const CACHED_ONLY: &str = "/cached-only";

/// A response on its way out, with what log and metrics say of it.
pub(super) struct Reply {
    pub(super) response: Response<AnswerBody>,
    pub(super) outcome: Outcome,
    pub(super) source: Option<Arc<str>>,
}

/// What the short way has found out of a request that it leaves to the long one.
pub(super) struct Found {
    /// The record that it opened.
    pub(super) exchange: Exchange,
    pub(super) kind: FileKind,
    pub(super) served: Result<Served, Failure>,
}

/// Answers one request. Never fails: a failure is an answer too.
pub(super) async fn respond(
    room: &Arc<Room>,
    request: http::Request<Incoming>,
    peer: SocketAddr,
) -> Response<AnswerBody> {
    let (head, body) = request.into_parts();
    let asked = Asked {
        method: head.method.clone(),
        path: head.uri.path(),
        version: head.version,
    };
    let mut exchange = Exchange::open(
        room.access_log.clone(),
        room.metrics.clone(),
        Some(peer),
        &asked,
    );
    let caller = Caller::anonymous(Some(peer));
    let reply = match route(room, &head, body, caller, &mut exchange).await {
        Ok(reply) => reply,
        Err(failure) => {
            exchange.failed(&failure);
            failed(room, &failure, &head)
        }
    };
    finished(&head, exchange, reply)
}

/// Answers a request whose file was asked for already, with what came of it.
pub(super) fn respond_with(
    room: &Room,
    request: http::Request<Incoming>,
    found: Found,
) -> Response<AnswerBody> {
    let (head, _) = request.into_parts();
    let mut exchange = found.exchange;
    let reply = match found.served {
        Ok(served) => files::reply(&head, found.kind, served),
        Err(failure) => {
            exchange.failed(&failure);
            failed(room, &failure, &head)
        }
    };
    finished(&head, exchange, reply)
}

fn finished(
    head: &http::request::Parts,
    mut exchange: Exchange,
    reply: Reply,
) -> Response<AnswerBody> {
    exchange.answered(reply.response.status(), reply.outcome, reply.source);
    let (mut parts, mut body) = reply.response.into_parts();
    if head.method == Method::HEAD {
        body = without_content(&mut parts.headers, &body);
    }
    Response::from_parts(parts, body.with_exchange(exchange))
}

async fn route(
    room: &Arc<Room>,
    head: &http::request::Parts,
    body: Incoming,
    caller: Caller,
    exchange: &mut Exchange,
) -> Result<Reply, Failure> {
    let path = head.uri.path();
    let operation = path.strip_prefix("/-/");
    if let Some(operation) = operation
        && let Some(reply) = refresh::answer(room, head, body, operation).await
    {
        exchange.asked(RequestKind::Operations);
        return Ok(reply);
    }
    if head.method != Method::GET && head.method != Method::HEAD {
        return Ok(method_not_allowed());
    }
    if has_been_here(&head.headers, &room.options.instance) {
        return Err(Failure::Loop);
    }
    if let Some(operation) = operation {
        exchange.asked(RequestKind::Operations);
        return Ok(operations::answer(room, operation));
    }
    if path == "/" {
        exchange.asked(RequestKind::Operations);
        return Ok(operations::landing());
    }
    let (path, fetch) = fetch_allowed(path, &head.headers);
    let request = Request::parse(&path).map_err(|error| Failure::Malformed(Arc::new(error)))?;
    exchange.asked(kind(&request));
    let admitted: Admitted = room.gate.admit(caller, request).await?;
    match admitted.way() {
        Way::File(file) => files::answer(room, head, &file, fetch).await,
        Way::Answer(answer) => answers::answer(room, &admitted, &answer, fetch).await,
        Way::Sumdb(wanted) => sumdb::answer(room, &wanted).await,
    }
}

fn kind(request: &Request) -> RequestKind {
    match request {
        Request::List(_) => RequestKind::List,
        Request::Latest(_) => RequestKind::Latest,
        Request::File(_, kind) => kind_of(*kind),
        Request::Resolve(..) => RequestKind::Resolve,
        Request::Sumdb { .. } => RequestKind::Sumdb,
    }
}

/// A request for a file, as log and metrics name it.
pub(super) fn kind_of(file: FileKind) -> RequestKind {
    match file {
        FileKind::Info => RequestKind::Info,
        FileKind::Mod => RequestKind::Mod,
        FileKind::Zip => RequestKind::Zip,
    }
}

/// False for paths that are the server's own, and for those with a prefix that changes what they ask for.
pub(super) fn names_a_module(path: &str) -> bool {
    let prefixed = |prefix| {
        path.strip_prefix(prefix)
            .is_some_and(|rest: &str| rest.starts_with('/'))
    };
    !prefixed("/-") && !prefixed(CACHED_ONLY)
}

fn fetch_allowed<'path>(path: &'path str, headers: &HeaderMap) -> (Cow<'path, str>, Fetch) {
    if let Some(rest) = path.strip_prefix(CACHED_ONLY)
        && rest.starts_with('/')
    {
        return (rest.into(), Fetch::Forbidden);
    }
    let forbidden = headers
        .get("disable-module-fetch")
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
    (
        path.into(),
        if forbidden {
            Fetch::Forbidden
        } else {
            Fetch::Allowed
        },
    )
}

/// True if a `Via` header names this very server (RFC 9110, section 7.6.3).
fn has_been_here(headers: &HeaderMap, instance: &str) -> bool {
    let via = headers
        .get_all(header::VIA)
        .iter()
        .filter_map(|value| value.to_str().ok());
    headers.contains_key(header::VIA) && source::has_passed_through(instance, via)
}

fn failed(room: &Room, failure: &Failure, head: &http::request::Parts) -> Reply {
    let server = cause::server_address(head, room.options.tls.is_some());
    let said = error::say(failure, &server);
    let mut response = Response::new(AnswerBody::whole(said.body));
    *response.status_mut() = said.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(TEXT));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        match said.status {
            StatusCode::NOT_FOUND | StatusCode::GONE if failure.is_absence() => {
                public_for(room.options.negative.min(room.options.fresh).as_secs())
            }
            _ => HeaderValue::from_static("no-store"),
        },
    );
    if let Some(pause) = said.retry_after {
        headers.insert(
            header::RETRY_AFTER,
            HeaderValue::from(pause.as_secs().max(1)),
        );
    }
    headers.insert(CACHE, HeaderValue::from_static(said.outcome.name()));
    Reply {
        response,
        outcome: said.outcome,
        source: None,
    }
}

fn method_not_allowed() -> Reply {
    let mut response = Response::new(AnswerBody::whole("only GET and HEAD are answered here\n"));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(TEXT));
    Reply {
        response,
        outcome: Outcome::Failed,
        source: None,
    }
}

/// Takes the content off an answer to HEAD and leaves its length.
fn without_content(headers: &mut HeaderMap, body: &AnswerBody) -> AnswerBody {
    if !headers.contains_key(header::CONTENT_LENGTH)
        && let Some(length) = http_body::Body::size_hint(body).exact()
    {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    AnswerBody::empty()
}

/// The header that says which tier answered.
pub(super) const CACHE: header::HeaderName = header::HeaderName::from_static("x-larder-cache");
/// The header that says which source sent it.
pub(super) const SOURCE: header::HeaderName = header::HeaderName::from_static("x-larder-source");
/// Plain text, as the go command prints it.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// `Cache-Control` of what any cache may keep for some seconds.
pub(super) fn public_for(seconds: u64) -> HeaderValue {
    HeaderValue::try_from(format!("public, max-age={seconds}"))
        .unwrap_or_else(|_| HeaderValue::from_static("no-store"))
}
