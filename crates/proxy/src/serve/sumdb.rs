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

pub(super) async fn answer(room: &Room, wanted: &AdmittedSumdb) -> Result<Reply, Failure> {
    let served = room
        .sumdb
        .as_ref()
        .filter(|mirror| mirror.name() == wanted.name());
    let Some(mirror) = served else {
        return Err(Failure::UnknownDatabase(wanted.name().to_owned()));
    };
    let Mirrored {
        body,
        max_age,
        kept,
    } = mirror
        .answer(wanted.request())
        .await
        .map_err(|error| Failure::Checksum(error.into()))?;
    let content_type = match wanted.request() {
        SumdbRequest::Tile(_) => "application/octet-stream",
        _ => TEXT,
    };
    let mut response = Response::new(AnswerBody::whole(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, public_for(max_age.as_secs()));
    let outcome = if kept {
        Outcome::HitDisk
    } else {
        Outcome::Filled
    };
    headers.insert(CACHE, HeaderValue::from_static(outcome.name()));
    Ok(Reply {
        response,
        outcome,
        source: None,
    })
}
