//! `@v/list`, `@latest` and revision names: what may change.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gomod::{FileKind, Info, ModulePath, ModuleVersion, Request, Version};
use http::{HeaderValue, Response, header};
use store::Body;

use super::Room;
use super::body::AnswerBody;
use super::files::insert_text;
use super::read_ahead::read_whole;
use super::respond::{CACHE, Reply, SOURCE, TEXT, public_for};
use crate::answer::{Freshness, Given, Words, latest_of, list_body};
use crate::failure::Failure;
use crate::fill::{Fetch, Served};
use crate::gate::{Admitted, AdmittedAnswer, refused_revision};
use crate::observe::Outcome;
use crate::policy::Reason;

/// What may be kept of an answer that is already old.
const STALE_SECONDS: u64 = 5;

pub(super) async fn answer(
    room: &Arc<Room>,
    admitted: &Admitted,
    answer: &AdmittedAnswer,
    fetch: Fetch,
) -> Result<Reply, Failure> {
    let given = room.answers.give(answer, fetch).await?;
    let (body, content_type) = match &given.answer.words {
        Words::List(versions) => {
            let path = crate::answer::module_path(answer.key());
            let selection = room.gate.select(admitted.caller(), path, versions).await?;
            (list_body(&selection.shown), TEXT)
        }
        Words::Info { body, info } => {
            let path = crate::answer::module_path(answer.key());
            (
                visible_info(room, admitted, path, body, info, fetch).await?,
                "application/json",
            )
        }
    };
    Ok(reply(room, &given, body, content_type, fetch))
}

/// The `.info` itself where the caller may see its version; for `@latest`, else that of the latest
/// version that the caller may see.
async fn visible_info(
    room: &Arc<Room>,
    admitted: &Admitted,
    path: &ModulePath,
    body: &Bytes,
    info: &Info,
    fetch: Fetch,
) -> Result<Bytes, Failure> {
    let found = std::slice::from_ref(&info.version);
    let selection = room.gate.select(admitted.caller(), path, found).await?;
    let Some((hidden, reason)) = selection.hidden.into_iter().next() else {
        return Ok(body.clone());
    };
    match admitted.request() {
        Request::Latest(_) => latest_visible(room, admitted, path, &hidden, reason, fetch).await,
        Request::Resolve(_, revision) => Err(refused_revision(path, revision, &hidden, reason)),
        Request::List(_) | Request::File(..) | Request::Sumdb { .. } => Err(Failure::Internal(
            "an answer of another kind than was asked".into(),
        )),
    }
}

async fn latest_visible(
    room: &Arc<Room>,
    admitted: &Admitted,
    path: &ModulePath,
    hidden: &Version,
    reason: Reason,
    fetch: Fetch,
) -> Result<Bytes, Failure> {
    let refused = || Failure::Denied {
        what: format!("{path}@{hidden} (the latest)"),
        reason: reason.clone(),
    };
    let list = room
        .gate
        .admit(admitted.caller().clone(), Request::List(path.clone()))
        .await?;
    let crate::gate::Way::Answer(list) = list.way() else {
        return Err(refused());
    };
    let given = room.answers.give(&list, fetch).await?;
    let Words::List(versions) = &given.answer.words else {
        return Err(refused());
    };
    let selection = room.gate.select(admitted.caller(), path, versions).await?;
    let Some(latest) = latest_of(&selection.shown) else {
        return Err(refused());
    };
    let Ok(module) = ModuleVersion::new(path.clone(), latest.clone()) else {
        return Err(refused());
    };
    let file = room
        .gate
        .admit_file(admitted.caller(), module, FileKind::Info)
        .await?;
    let opened = match room.fills.open_whole(&file, fetch).await? {
        Served::Stored(opened) | Served::Fetched { opened, .. } => opened,
        Served::Arriving { .. } => {
            return Err(Failure::Internal(
                "an .info that is larger than any may be".into(),
            ));
        }
    };
    match opened.body {
        Body::Bytes(bytes) => Ok(bytes),
        Body::File(file) => read_whole(&file, opened.len_bytes)
            .await
            .map_err(|error| Failure::store(error.into())),
    }
}

fn reply(
    room: &Room,
    given: &Given,
    body: Bytes,
    content_type: &'static str,
    fetch: Fetch,
) -> Reply {
    let outcome = match given.freshness {
        Freshness::Asked => Outcome::Filled,
        Freshness::Fresh => Outcome::HitMemory,
        Freshness::Stale => Outcome::Stale,
        Freshness::Computed => Outcome::Computed,
    };
    let seconds = match given.freshness {
        Freshness::Asked | Freshness::Fresh | Freshness::Computed => room.options.fresh.as_secs(),
        // Caches subtract Age from max-age: the answer stays usable for a moment from now.
        Freshness::Stale => given.age.as_secs().saturating_add(STALE_SECONDS),
    };
    let source = given.answer.source.clone();
    let mut response = Response::new(AnswerBody::whole(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(
        header::CACHE_CONTROL,
        match fetch {
            Fetch::Allowed => public_for(seconds),
            // What the store alone says is less than what everyone else gets at this address.
            Fetch::Forbidden => HeaderValue::from_static("no-store"),
        },
    );
    headers.insert(CACHE, HeaderValue::from_static(outcome.name()));
    if given.age >= Duration::from_secs(1) {
        headers.insert(header::AGE, HeaderValue::from(given.age.as_secs()));
    } else if given.freshness != Freshness::Asked {
        headers.insert(header::AGE, HeaderValue::from(0));
    }
    insert_text(headers, SOURCE, source.to_string());
    Reply {
        response,
        outcome,
        source: Some(source),
    }
}
