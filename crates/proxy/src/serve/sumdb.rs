//! `/sumdb/NAME/…`: the checksum database's data, for clients.

use http::{HeaderValue, Response, header};
use source::sumdb::Mirrored;

use gomod::SumdbRequest;

use super::Room;
use super::body::AnswerBody;
use super::respond::{CACHE, Reply, TEXT, public_for};
use crate::failure::Failure;
use crate::gate::AdmittedSumdb;
use crate::observe::Outcome;

/// How long caches may keep what never changes.
const FOR_EVER: u64 = 365 * 24 * 3600;

pub(super) async fn answer(room: &Room, wanted: &AdmittedSumdb) -> Result<Reply, Failure> {
    let served = room
        .sumdb
        .as_ref()
        .filter(|mirror| mirror.name() == wanted.name);
    let Some(mirror) = served else {
        return Err(Failure::UnknownDatabase(wanted.name.clone()));
    };
    let Mirrored {
        body,
        origin,
        seconds,
    } = mirror
        .answer(&wanted.request)
        .await
        .map_err(|error| Failure::Checksum(error.into()))?;
    let _ = (origin, seconds);
    let content_type = match wanted.request {
        SumdbRequest::Tile(_) => "application/octet-stream",
        _ => TEXT,
    };
    let mut response = Response::new(AnswerBody::whole(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, public_for(FOR_EVER));
    headers.insert(CACHE, HeaderValue::from_static(Outcome::Filled.name()));
    Ok(Reply {
        response,
        outcome: Outcome::Filled,
        source: None,
    })
}
