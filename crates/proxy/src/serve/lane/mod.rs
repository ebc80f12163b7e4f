//! The short way for hits over plain HTTP/1.1, before hyper.
//!
//! Called with each accepted connection that speaks no TLS. A head that is nothing but a usual `GET` or
//! `HEAD` ([`head`]) passes the gate as any other, and a file that is stored is written at once: from memory
//! head and body in one system call, from the folder by `sendfile` ([`send`]). Everything else, misses
//! and refusals included, goes to hyper with every byte that was read; the lane never says a status but 200.
//! A plain request that is no hit takes a [`detour`] and the connection comes back; one that is not plain
//! takes its connection with it.
//!
//! While a connection waits for its next request it holds a socket, one timer and a few hundred bytes;
//! buffers belong to the request ([`scratch`]). Requests that came together are answered in their order,
//! one after the other.

mod answer;
mod deadline;
mod detour;
pub mod head;
mod scratch;
mod send;

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
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
use crate::gate::{Caller, Way};
use crate::observe::{Asked, Exchange};
use answer::After;
use deadline::Deadline;
use head::{PlainHead, PlainMethod, Reading};
use scratch::Scratch;

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
            let head = match head::read(unread) {
                Reading::Plain(head) => head,
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
            let used = head.len_bytes;
            let Some(hit) = hit(room, peer, &head).await else {
                room.metrics.lane_declined.inc();
                let own = Bytes::copy_from_slice(unread.get(..used).unwrap_or_default());
                // Boxed: a connection that waits has no room for it.
                let answered = Box::pin(detour::by_hyper(room, stream, own, peer)).await;
                let Some(back) = answered else {
                    return Left::Closed;
                };
                stream = back;
                scratch.used(used);
                if room.draining.load(Ordering::Relaxed) {
                    return Left::Closed;
                }
                deadline.set(HEAD_DEADLINE);
                if scratch.unread().is_empty() {
                    break;
                }
                continue;
            };
            let after = match room.draining.load(Ordering::Relaxed) {
                true => After::Closes,
                false => After::Stays,
            };
            let mut exchange = opened_exchange(room, peer, &head, &hit);
            answer::write_head(out, hit.kind, &hit.opened, hit.outcome(), after);
            let body = match (head.method, hit.opened.body) {
                (PlainMethod::Head, _) => Body::Bytes(Bytes::new()),
                (PlainMethod::Get, body) => body,
            };
            let sent = match body {
                Body::Bytes(bytes) => {
                    send::memory(stream, &mut deadline, &mut exchange, out, &bytes).await
                }
                Body::File(file) if hit.opened.len_bytes <= READ_BYTES => {
                    let Ok(bytes) = read_whole(&file, hit.opened.len_bytes).await else {
                        exchange.broke_off(&Failure::Internal("a stored file ended early".into()));
                        return Left::Closed;
                    };
                    send::memory(stream, &mut deadline, &mut exchange, out, &bytes).await
                }
                Body::File(file) => {
                    let len_bytes = hit.opened.len_bytes;
                    send::file(stream, &mut deadline, &mut exchange, out, file, len_bytes).await
                }
            };
            stream = match sent {
                Ok(stream) => stream,
                Err(error) => {
                    if error.kind() == io::ErrorKind::UnexpectedEof {
                        exchange.broke_off(&Failure::Internal("a stored file ended early".into()));
                    }
                    tracing::debug!(%peer, %error, "a connection ended early");
                    return Left::Closed;
                }
            };
            drop(exchange);
            scratch.used(used);
            if after == After::Closes {
                let _gone = stream.shutdown().await;
                return Left::Closed;
            }
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

/// A stored file that the caller may have.
struct Hit {
    kind: FileKind,
    opened: Opened,
}

impl Hit {
    fn outcome(&self) -> crate::observe::Outcome {
        files::outcome_of(self.opened.tier)
    }
}

/// `None` for whatever is no hit, or not allowed: the long way says so.
async fn hit(room: &Room, peer: SocketAddr, head: &PlainHead<'_>) -> Option<Hit> {
    if !names_a_module(head.target) {
        return None;
    }
    let request = Request::parse(head.target).ok()?;
    let Request::File(_, kind) = request else {
        return None;
    };
    let caller = Caller::anonymous(Some(peer));
    let admitted = room.gate.admit(caller, request).await.ok()?;
    let Way::File(file) = admitted.way() else {
        return None;
    };
    let opened = match room.fills.open_now(&file) {
        Some(opened) => opened,
        None => room.fills.open_stored(&file).await.ok()??,
    };
    let sendable = send::CAN_SEND_FILES || matches!(opened.body, Body::Bytes(_));
    sendable.then_some(Hit { kind, opened })
}

fn opened_exchange(room: &Room, peer: SocketAddr, head: &PlainHead<'_>, hit: &Hit) -> Exchange {
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
    exchange.asked(kind_of(hit.kind));
    let source = Some(hit.opened.source.clone());
    exchange.answered(StatusCode::OK, hit.outcome(), source);
    exchange
}
