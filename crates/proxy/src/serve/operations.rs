//! `/-/…`: health, readiness, metrics, the upstreams, the pages of causes. No module path can begin with it.

use std::sync::atomic::Ordering;

use http::{HeaderValue, Response, StatusCode, header};

use super::Room;
use super::body::AnswerBody;
use super::cause::PAGES;
use super::respond::{Reply, TEXT};
use crate::observe::{Outcome, UpstreamsDocument};

/// The content type of OpenMetrics text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The content type of JSON.
const JSON: &str = "application/json";

/// The content type of a page for people.
const HTML: &str = "text/html; charset=utf-8";

pub(super) fn answer(room: &Room, operation: &str) -> Reply {
    if let Some(id) = operation.strip_prefix(PAGES)
        && let Some(id) = id.strip_prefix('/')
        && let Some(page) = (room.cause_page)(id)
    {
        return page_for_people(page);
    }
    match operation {
        "healthz" => text(StatusCode::OK, "ok\n".into(), TEXT),
        "readyz" if room.draining.load(Ordering::Relaxed) => {
            text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n".into(), TEXT)
        }
        "readyz" => text(StatusCode::OK, "ready\n".into(), TEXT),
        "metrics" => {
            room.metrics.upstreams(&room.upstreams.report());
            text(StatusCode::OK, room.metrics.render(), OPEN_METRICS)
        }
        "upstreams" => upstreams(room),
        _ => text(
            StatusCode::NOT_FOUND,
            "nothing here: /-/healthz, /-/readyz, /-/metrics, /-/upstreams and /-/causes/ are\n"
                .into(),
            TEXT,
        ),
    }
}

/// How the upstreams are: of use to whoever asks why a download is slow, `larder trace` among them. It names
/// what the metrics name.
fn upstreams(room: &Room) -> Reply {
    let document = UpstreamsDocument::from(room.upstreams.report().as_slice());
    match serde_json::to_string_pretty(&document) {
        Ok(json) => text(StatusCode::OK, json + "\n", JSON),
        Err(error) => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("{error}\n"),
            TEXT,
        ),
    }
}

/// What a person sees who opens the server's address in a browser.
pub(super) fn landing() -> Reply {
    text(
        StatusCode::OK,
        "This is Larder, a Go module proxy. Point the go command at it: GOPROXY=<this address>\n\
         Health: /-/healthz  Readiness: /-/readyz  Metrics: /-/metrics  Upstreams: /-/upstreams  \
         Why a download fails: /-/causes/\n"
            .into(),
        TEXT,
    )
}

/// Our own words only, and nothing in them may run.
fn page_for_people(page: String) -> Reply {
    let mut reply = text(StatusCode::OK, page, HTML);
    let headers = reply.response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    reply
}

fn text(status: StatusCode, text: String, content_type: &'static str) -> Reply {
    let mut response = Response::new(AnswerBody::whole(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Reply {
        response,
        outcome: Outcome::Own,
        source: None,
    }
}
