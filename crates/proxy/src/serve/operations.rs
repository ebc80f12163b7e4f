//! `/-/…`: health, readiness, metrics. No module path can begin with it.

use std::sync::atomic::Ordering;

use http::{HeaderValue, Response, StatusCode, header};

use super::Room;
use super::body::AnswerBody;
use super::respond::{Reply, TEXT};
use crate::observe::Outcome;

/// The content type of OpenMetrics text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn answer(room: &Room, operation: &str) -> Reply {
    match operation {
        "healthz" => text(StatusCode::OK, "ok\n".into(), TEXT),
        "readyz" if room.draining.load(Ordering::Relaxed) => {
            text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n".into(), TEXT)
        }
        "readyz" => text(StatusCode::OK, "ready\n".into(), TEXT),
        "metrics" => text(StatusCode::OK, room.metrics.render(), OPEN_METRICS),
        _ => text(
            StatusCode::NOT_FOUND,
            "nothing here: /-/healthz, /-/readyz and /-/metrics are\n".into(),
            TEXT,
        ),
    }
}

/// What a person sees who opens the server's address in a browser.
pub(super) fn landing() -> Reply {
    text(
        StatusCode::OK,
        "This is Larder, a Go module proxy. Point the go command at it: GOPROXY=<this address>\n\
         Health: /-/healthz  Readiness: /-/readyz  Metrics: /-/metrics\n"
            .into(),
        TEXT,
    )
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
