//! A file that is not in memory, for one plain request: looked for in the folder, fetched where it is
//! missing, and followed while it arrives, without leaving the lane.
//!
//! A thousand clients may wait here for one file. Each holds its connection, the bytes of its request and a
//! place among the followers; buffers and threads are only held while something is sent. The first bytes
//! of a file that arrives are few and written at once, so that nobody's wait behind another's bulk. The
//! bulk goes by `sendfile`, a turn each, by at most as many threads as [`Turns`] has.
//!
//! `sendfile` waits where the page cache lacks a page. What was just written to a growing file is in there
//! (the kernel drops no page before it is written to the disk, and those used last at the end), but a
//! follower that lags by gigabytes may find that the beginning is gone. So turns are taken on the blocking
//! pool, never on the reactor, and a disk that is slow to read holds up those who follow files, nobody else.
//! A client that takes nothing has no turn: it waits at the reactor until its socket has room again.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;

use bytes::Bytes;
use gomod::FileKind;
use http::StatusCode;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::answer::{After, Described};
use super::deadline::Deadline;
use super::head::PlainMethod;
use super::{Complete, answer, detour, ended, is_sendable, send, send_opened};
use crate::fill::flight::{Following, Part};
use crate::fill::{Fetch, Served};
use crate::gate::AdmittedFile;
use crate::observe::{Exchange, Outcome};
use crate::serve::respond::Found;
use crate::serve::{Room, files};

/// Sent in one turn: followers that keep up read the same part one after the other, while it is in the
/// processor's cache.
const TURN_BYTES: u64 = 1 << 20;

/// How many followers may be sent to at the same time.
pub(in crate::serve) struct Turns(Arc<Semaphore>);

impl Turns {
    /// Two a core: one that waits for the disk leaves its core to another.
    pub(in crate::serve) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self(Arc::new(Semaphore::new(2 * cores)))
    }
}

/// A plain request whose file is not in memory.
pub(super) struct Sought {
    /// The bytes of its head.
    pub(super) head: Bytes,
    pub(super) method: PlainMethod,
    pub(super) file: AdmittedFile,
    pub(super) exchange: Exchange,
}

/// Answers with a file from the folder or from upstream. `None` where the connection is over then.
pub(super) async fn answer(
    room: &Arc<Room>,
    stream: TcpStream,
    peer: SocketAddr,
    deadline: &mut Deadline,
    sought: Sought,
) -> Option<TcpStream> {
    let kind = sought.file.key().kind;
    let served = tokio::select! {
        biased;
        served = room.fills.open(&sought.file, Fetch::Allowed) => served,
        () = detour::client_left(&stream) => return None,
    };
    let mut exchange = sought.exchange;
    let after = After::of(room);
    let mut out = Vec::new();
    let complete = match &served {
        Ok(Served::Stored(opened)) => Some((opened.clone(), files::outcome_of(opened.tier))),
        Ok(Served::Fetched { opened, joined }) => Some((opened.clone(), files::outcome(*joined))),
        Ok(Served::Arriving { .. }) | Err(_) => None,
    };
    if let Some((opened, outcome)) = complete.filter(|(opened, _)| is_sendable(opened)) {
        let complete = Complete {
            kind,
            opened,
            outcome,
            after,
        };
        let method = sought.method;
        let sent = send_opened(
            room,
            stream,
            deadline,
            &mut exchange,
            method,
            complete,
            &mut out,
        );
        return ended(sent.await, exchange, peer, after).await;
    }
    let sent = match served {
        Ok(Served::Arriving { following, joined }) if is_for_the_lane(&following) => {
            let outcome = files::outcome(joined);
            describe(&mut out, &mut exchange, kind, &following, outcome, after);
            match sought.method {
                PlainMethod::Head => send::memory(stream, deadline, &mut exchange, &out, b"").await,
                PlainMethod::Get => {
                    follow(room, stream, deadline, &mut exchange, &out, following).await
                }
            }
        }
        served => {
            let found = Found {
                exchange,
                kind,
                served,
            };
            // Boxed: those who wait have no room for it.
            let answered = Box::pin(detour::by_hyper(
                room,
                stream,
                sought.head,
                peer,
                Some(found),
            ));
            let answered = answered.await;
            return answered.filter(|_| After::of(room) == After::Stays);
        }
    };
    ended(sent, exchange, peer, after).await
}

/// False for one whose length nobody knows: it is framed in chunks, which hyper writes.
fn is_for_the_lane(following: &Following) -> bool {
    send::CAN_SEND_FILES && following.total_bytes().is_some()
}

fn describe(
    out: &mut Vec<u8>,
    exchange: &mut Exchange,
    kind: FileKind,
    following: &Following,
    outcome: Outcome,
    after: After,
) {
    let source = following.source().clone();
    let described = Described {
        kind,
        len_bytes: following.total_bytes().unwrap_or_default(),
        sha256: None,
        outcome,
        source: &source,
    };
    answer::write_head(out, described, after);
    exchange.answered(StatusCode::OK, outcome, Some(source));
}

/// Writes `head`, and the file as it arrives.
///
/// # Errors
/// The connection broke, its client took nothing for too long, or the rest of the file will not come:
/// then the connection must be broken, so that the client sees that its file is short.
async fn follow(
    room: &Room,
    mut stream: TcpStream,
    deadline: &mut Deadline,
    exchange: &mut Exchange,
    head: &[u8],
    mut following: Following,
) -> io::Result<TcpStream> {
    let mut head = head;
    loop {
        let part = tokio::select! {
            biased;
            part = following.part() => part,
            () = detour::client_left(&stream) => return Err(ErrorKind::ConnectionAborted.into()),
        };
        let part = match part {
            Ok(Some(part)) => part,
            Ok(None) => return Ok(stream),
            Err(failure) => {
                exchange.broke_off(&failure);
                return Err(io::Error::other(failure));
            }
        };
        let took = match part {
            Part::File { file, start, end } if head.is_empty() => {
                let end = end.min(start + TURN_BYTES);
                let (back, sent) = turn(room, stream, deadline, file, start, end).await?;
                stream = back;
                exchange.sent(sent);
                sent
            }
            Part::File { file, end, .. } => {
                let first = following.first_bytes(&file, end).await?;
                stream = send::memory(stream, deadline, exchange, head, &first).await?;
                head = b"";
                following.took(first.len() as u64);
                following.crowd_has_begun().await;
                continue;
            }
            Part::Bytes(bytes) => {
                stream = send::memory(stream, deadline, exchange, head, &bytes).await?;
                head = b"";
                bytes.len() as u64
            }
        };
        following.took(took);
    }
}

/// Sends from `start`, up to `end` and as long as the socket takes it; at least one byte. How many.
async fn turn(
    room: &Room,
    mut stream: TcpStream,
    deadline: &mut Deadline,
    file: Arc<File>,
    start: u64,
    end: u64,
) -> io::Result<(TcpStream, u64)> {
    let mut patience = send::Patience::new(deadline);
    loop {
        send::writable(&stream, &mut patience).await?;
        let turn = room.turns.0.clone().acquire_owned().await;
        let turn = turn.map_err(io::Error::other)?;
        let file = file.clone();
        let hop = tokio::task::spawn_blocking(move || {
            let filled = send::fill_socket(&stream, &file, start, end);
            drop(turn);
            (stream, filled)
        });
        let (back, filled) = hop.await.map_err(io::Error::other)?;
        stream = back;
        match filled? {
            0 => {}
            filled => return Ok((stream, filled)),
        }
    }
}
