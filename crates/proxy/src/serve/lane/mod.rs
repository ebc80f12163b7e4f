//! The short way for files over plain HTTP/1.1, before hyper.
//!
//! Called with each accepted connection that speaks no TLS. A head that is nothing but a usual `GET` or
//! `HEAD` ([`head`]) passes the gate as any other, and a file that is stored is written at once: from memory
//! head and body in one system call, from the folder by `sendfile` ([`send`]). One that is missing is
//! fetched and followed ([`follow`]). Everything else goes to hyper with every byte that was read; the lane
//! never says a status but 200. A request without a body takes a [`detour`] and the connection comes back;
//! any other takes its connection with it.
//!
//! While a connection waits for its next request it holds a socket, one timer and a few hundred bytes;
//! buffers belong to the request ([`scratch`]). Requests that came together are answered in their order,
//! one after the other.

mod answer;
mod deadline;
mod detour;
pub(super) mod follow;
pub mod head;
mod scratch;
mod send;
mod senders;

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use gomod::{FileKind, Request};
use http::StatusCode;
use store::{Body, Opened};
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;

use super::read_ahead::read_whole;
use super::respond::{kind_of, names_a_module};
use super::{HEAD_DEADLINE, Room, files};
use crate::Failure;
use crate::gate::{AdmittedFile, Caller, Way};
use crate::observe::{Asked, Exchange, Outcome};
use answer::{After, Described};
use deadline::Deadline;
use follow::Sought;
use head::{PlainHead, PlainMethod, Reading};
use scratch::Scratch;
pub(super) use senders::Senders;

/// Files up to this size are read and written like those in memory: less work than a hop to the blocking pool.
const READ_BYTES: u64 = 64 << 10;

/// A connection on which the client reads what is written to the socket, byte for byte, from here on. Only
/// such a one may enter the lane: plain TCP now, TLS once the kernel encrypts it.
pub(super) struct Unencrypted(pub(super) TcpStream);

/// How a connection left the lane.
pub(super) enum Left {
    /// It is over.
    Closed,
    /// Its next request is not one for the lane.
    Unusual {
        /// The connection.
        stream: TcpStream,
        /// What was read of that request, and of those behind it.
        read: Bytes,
    },
}

/// Answers hits on a connection until it ends, asks for something else, or the server stops.
pub(super) async fn serve(
    room: &Arc<Room>,
    Unencrypted(mut stream): Unencrypted,
    peer: SocketAddr,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> Left {
    let mut deadline = Deadline::after(HEAD_DEADLINE);
    loop {
        let arrived = arrival(&mut stream, None, &mut deadline, stop.as_mut()).await;
        let Some(mut scratch) = arrived else {
            return Left::Closed;
        };
        // From here on until all that was read is answered, the connection has its scratch.
        loop {
            let is_full = scratch.is_full();
            let (unread, out) = scratch.parts();
            let (plain, used) = match head::read(unread) {
                Reading::Plain(head) => {
                    let used = head.len_bytes;
                    let file = admitted(room, peer, &head).await;
                    (file.map(|file| (head, file)), used)
                }
                Reading::Meaningful { len_bytes } => (None, len_bytes),
                Reading::Incomplete if !is_full => {
                    let arrived =
                        arrival(&mut stream, Some(scratch), &mut deadline, stop.as_mut()).await;
                    let Some(more) = arrived else {
                        return Left::Closed;
                    };
                    scratch = more;
                    continue;
                }
                Reading::Incomplete | Reading::Unusual => return unusual(room, stream, &scratch),
            };
            let own = |bytes: &[u8]| Bytes::copy_from_slice(bytes.get(..used).unwrap_or_default());
            let Some((head, file)) = plain else {
                room.metrics.lane_declined.inc();
                let own = own(unread);
                let behind = scratch.behind(used);
                // Boxed: a connection that waits has no room for it.
                let answered = Box::pin(detour::by_hyper(room, stream, own, peer, None)).await;
                let Some(back) = answered else {
                    return Left::Closed;
                };
                stream = back;
                if After::of(room) == After::Closes {
                    return Left::Closed;
                }
                deadline.set(HEAD_DEADLINE);
                let Some(behind) = behind else { break };
                scratch = behind;
                continue;
            };
            let mut exchange = opened_exchange(room, peer, &head, &file);
            let Some(opened) = in_memory(room, &file) else {
                let sought = Sought {
                    head: own(unread),
                    method: head.method,
                    file,
                    exchange,
                };
                let behind = scratch.behind(used);
                let answered = follow::answer(room, stream, peer, &mut deadline, sought);
                // Boxed: a connection that waits has no room for it.
                let Some(back) = Box::pin(answered).await else {
                    return Left::Closed;
                };
                stream = back;
                deadline.set(HEAD_DEADLINE);
                let Some(behind) = behind else { break };
                scratch = behind;
                continue;
            };
            let after = After::of(room);
            let outcome = files::outcome_of(opened.tier);
            let complete = Complete {
                kind: file.key().kind,
                opened,
                outcome,
                after,
            };
            let sent = send_opened(
                room,
                stream,
                &mut deadline,
                &mut exchange,
                head.method,
                complete,
                out,
            );
            let Some(back) = ended(sent.await, exchange, peer, after).await else {
                return Left::Closed;
            };
            stream = back;
            scratch.used(used);
            deadline.set(HEAD_DEADLINE);
            if scratch.unread().is_empty() {
                break;
            }
        }
    }
}

fn unusual(room: &Room, stream: TcpStream, scratch: &Scratch) -> Left {
    room.metrics.lane_declined.inc();
    Left::Unusual {
        stream,
        read: Bytes::copy_from_slice(scratch.unread()),
    }
}

/// Waits for more bytes, which join those in `scratch`; without one, it takes one when they are there.
/// `None` where none will come: the client left or took too long, or the server stops.
async fn arrival(
    stream: &mut TcpStream,
    mut scratch: Option<Scratch>,
    deadline: &mut Deadline,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> Option<Scratch> {
    poll_fn(|context| {
        if let Poll::Ready(ready) = stream.poll_read_ready(context) {
            if ready.is_err() {
                return Poll::Ready(None);
            }
            let mut space = scratch.take().unwrap_or_else(Scratch::take);
            let mut buffer = ReadBuf::new(space.room());
            let read = Pin::new(&mut *stream).poll_read(context, &mut buffer);
            let count = buffer.filled().len();
            match read {
                Poll::Ready(Ok(())) if count > 0 => {
                    space.filled(count);
                    return Poll::Ready(Some(space));
                }
                Poll::Ready(_) => return Poll::Ready(None),
                Poll::Pending if !space.unread().is_empty() => scratch = Some(space),
                Poll::Pending => {}
            }
        }
        if stop.as_mut().poll(context).is_ready() || deadline.poll(context).is_ready() {
            return Poll::Ready(None);
        }
        Poll::Pending
    })
    .await
}

/// The file that is asked for, if it is one and the caller may have it: the long way says why not.
async fn admitted(room: &Room, peer: SocketAddr, head: &PlainHead<'_>) -> Option<AdmittedFile> {
    if !names_a_module(head.target) {
        return None;
    }
    let request = Request::parse(head.target).ok()?;
    if !matches!(request, Request::File(..)) {
        return None;
    }
    let caller = Caller::anonymous(Some(peer));
    let admitted = room.gate.admit(caller, request).await.ok()?;
    match admitted.way() {
        Way::File(file) => Some(file),
        Way::Answer(_) | Way::Sumdb(_) => None,
    }
}

/// The file, if that is known without waiting for anything.
fn in_memory(room: &Room, file: &AdmittedFile) -> Option<Opened> {
    room.fills.open_now(file).filter(is_sendable)
}

fn is_sendable(opened: &Opened) -> bool {
    send::CAN_SEND_FILES || matches!(opened.body, Body::Bytes(_)) || opened.len_bytes <= READ_BYTES
}

fn opened_exchange(
    room: &Room,
    peer: SocketAddr,
    head: &PlainHead<'_>,
    file: &AdmittedFile,
) -> Exchange {
    let asked = Asked {
        method: match head.method {
            PlainMethod::Get => http::Method::GET,
            PlainMethod::Head => http::Method::HEAD,
        },
        path: head.target,
        version: http::Version::HTTP_11,
    };
    let mut exchange = Exchange::open(
        room.access_log.clone(),
        room.metrics.clone(),
        Some(peer),
        &asked,
    );
    exchange.asked(kind_of(file.key().kind));
    exchange
}

/// A whole file, and how it is answered with.
struct Complete {
    kind: FileKind,
    opened: Opened,
    outcome: Outcome,
    after: After,
}

/// Writes a complete file, or what is said of it.
///
/// # Errors
/// As of [`send::file`].
async fn send_opened(
    room: &Room,
    stream: TcpStream,
    deadline: &mut Deadline,
    exchange: &mut Exchange,
    method: PlainMethod,
    complete: Complete,
    out: &mut Vec<u8>,
) -> io::Result<TcpStream> {
    let Complete {
        kind,
        opened,
        outcome,
        after,
    } = complete;
    answer::write_head(out, Described::of(kind, &opened, outcome), after);
    exchange.answered(StatusCode::OK, outcome, Some(opened.source));
    match (method, opened.body) {
        (PlainMethod::Head, _) => send::memory(stream, deadline, exchange, out, b"").await,
        (PlainMethod::Get, Body::Bytes(bytes)) => {
            send::memory(stream, deadline, exchange, out, &bytes).await
        }
        (PlainMethod::Get, Body::File(file)) if opened.len_bytes <= READ_BYTES => {
            let bytes = read_whole(&file, opened.len_bytes).await?;
            send::memory(stream, deadline, exchange, out, &bytes).await
        }
        (PlainMethod::Get, Body::File(file)) => {
            send::file(&room.senders, stream, exchange, out, file, opened.len_bytes).await
        }
    }
}

/// Closes the record of a request. The connection, if it goes on.
async fn ended(
    sent: io::Result<TcpStream>,
    mut exchange: Exchange,
    peer: SocketAddr,
    after: After,
) -> Option<TcpStream> {
    match sent {
        Ok(stream) if after == After::Stays => Some(stream),
        Ok(mut stream) => {
            drop(exchange);
            let _gone = stream.shutdown().await;
            None
        }
        Err(error) => {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                exchange.broke_off(&Failure::Internal("a stored file ended early".into()));
            }
            tracing::debug!(%peer, %error, "a connection ended early");
            None
        }
    }
}
