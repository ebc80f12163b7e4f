//! `.info`, `.mod` and `.zip` of canonical versions: they never change.

use gomod::{FileKind, Sha256};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use store::{Body, Opened, Tier};

use super::Room;
use super::body::AnswerBody;
use super::conditional::{Wanted, needs_whole_file, wanted};
use super::respond::{CACHE, Reply, SOURCE, TEXT};
use crate::failure::Failure;
use crate::fill::{Fetch, Joined, Served};
use crate::gate::AdmittedFile;
use crate::observe::Outcome;

/// A file may be kept by any cache for ever; the longest time that caches agree on is a year.
pub(super) const IMMUTABLE: &str = "public, max-age=31536000, immutable";

pub(super) async fn answer(
    room: &Room,
    head: &http::request::Parts,
    file: &AdmittedFile,
    fetch: Fetch,
) -> Result<Reply, Failure> {
    let kind = file.key().kind;
    if let Some(opened) = room.fills.open_now(file) {
        return Ok(stored(head, kind, &opened));
    }
    let served = if needs_whole_file(&head.headers) {
        room.fills.open_whole(file, fetch).await?
    } else {
        room.fills.open(file, fetch).await?
    };
    Ok(reply(head, kind, served))
}

/// Answers with a file that was asked for by `head`.
pub(super) fn reply(head: &http::request::Parts, kind: FileKind, served: Served) -> Reply {
    match served {
        Served::Stored(opened) => stored(head, kind, &opened),
        Served::Fetched { opened, joined } => complete(head, kind, &opened, outcome(joined)),
        Served::Arriving { following, joined } => {
            let source = following.source().clone();
            let length = following.total_bytes();
            let mut response = Response::new(AnswerBody::arriving(following));
            let headers = response.headers_mut();
            describe(headers, kind);
            if let Some(length) = length {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            }
            label(headers, outcome(joined), &source);
            Reply {
                response,
                outcome: outcome(joined),
                source: Some(source),
            }
        }
    }
}

/// A file that was fetched.
pub(super) fn outcome(joined: Joined) -> Outcome {
    match joined {
        Joined::Started => Outcome::Filled,
        Joined::Joined => Outcome::Joined,
    }
}

fn stored(head: &http::request::Parts, kind: FileKind, opened: &Opened) -> Reply {
    complete(head, kind, opened, outcome_of(opened.tier))
}

/// A hit, by the tier that answered.
pub(super) fn outcome_of(tier: Tier) -> Outcome {
    match tier {
        Tier::Memory => Outcome::HitMemory,
        Tier::Disk => Outcome::HitDisk,
    }
}

fn complete(
    head: &http::request::Parts,
    kind: FileKind,
    opened: &Opened,
    outcome: Outcome,
) -> Reply {
    let etag = etag(&opened.sha256);
    let unconditional = head.method == Method::GET && !needs_whole_file(&head.headers);
    let wanted = if unconditional {
        Wanted::Whole
    } else {
        wanted(
            &head.method,
            &head.headers,
            etag_text(&etag),
            opened.len_bytes,
        )
    };
    let mut response = match &wanted {
        Wanted::Whole => Response::new(content(&opened.body, 0, opened.len_bytes)),
        Wanted::Part(range) => {
            let mut response = Response::new(content(&opened.body, range.start, range.end));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let text = format!(
                "bytes {}-{}/{}",
                range.start,
                range.end - 1,
                opened.len_bytes
            );
            insert_text(response.headers_mut(), header::CONTENT_RANGE, text);
            response
        }
        Wanted::NotModified => bare(StatusCode::NOT_MODIFIED),
        Wanted::PreconditionFailed => bare(StatusCode::PRECONDITION_FAILED),
        Wanted::Unsatisfiable => {
            let mut response = bare(StatusCode::RANGE_NOT_SATISFIABLE);
            let text = format!("bytes */{}", opened.len_bytes);
            insert_text(response.headers_mut(), header::CONTENT_RANGE, text);
            response
        }
    };
    let has_content = matches!(wanted, Wanted::Whole | Wanted::Part(_));
    let length = http_body::Body::size_hint(response.body()).exact();
    let headers = response.headers_mut();
    if has_content {
        describe(headers, kind);
        if let Some(length) = length {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
    } else {
        // Only "you have it" holds for ever; a refused condition or range says nothing of the file.
        let keep = match wanted {
            Wanted::NotModified => HeaderValue::from_static(IMMUTABLE),
            _ => HeaderValue::from_static("no-store"),
        };
        headers.insert(header::CACHE_CONTROL, keep);
    }
    headers.insert(header::ETAG, etag);
    label(headers, outcome, &opened.source);
    Reply {
        response,
        outcome,
        source: Some(opened.source.clone()),
    }
}

fn bare(status: StatusCode) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::empty());
    *response.status_mut() = status;
    response
}

fn content(body: &Body, start: u64, end: u64) -> AnswerBody {
    match body {
        Body::Bytes(bytes) => {
            let part = usize::try_from(start).ok().zip(usize::try_from(end).ok());
            let part = part.filter(|(start, end)| start <= end && *end <= bytes.len());
            AnswerBody::whole(
                part.map_or_else(Default::default, |(start, end)| bytes.slice(start..end)),
            )
        }
        Body::File(file) => AnswerBody::file(file.clone(), start, end),
    }
}

/// The `Content-Type` of a kind of file.
pub(super) fn content_type(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Info => "application/json",
        FileKind::Mod => TEXT,
        FileKind::Zip => "application/zip",
    }
}

fn describe(headers: &mut HeaderMap, kind: FileKind) {
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(content_type(kind)),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(IMMUTABLE));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
}

fn label(headers: &mut HeaderMap, outcome: Outcome, source: &str) {
    headers.insert(CACHE, HeaderValue::from_static(outcome.name()));
    insert_text(headers, SOURCE, source.to_owned());
}

fn etag(sha256: &Sha256) -> HeaderValue {
    HeaderValue::from_bytes(&etag_bytes(sha256)).expect("hex digits and quotes are a header value")
}

/// The strong ETag: the SHA-256 of the bytes, in quotes.
pub(super) fn etag_bytes(sha256: &Sha256) -> [u8; 66] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut quoted = [b'"'; 66];
    for (pair, byte) in quoted[1..65].chunks_exact_mut(2).zip(sha256.0) {
        pair.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    quoted
}

fn etag_text(etag: &HeaderValue) -> &str {
    etag.to_str().unwrap_or_default()
}

/// Leaves the header out where its text is none that a header can hold.
pub(super) fn insert_text(headers: &mut HeaderMap, name: header::HeaderName, text: String) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}
