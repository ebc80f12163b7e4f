//! Writing a hit: from memory in one system call, from the folder by `sendfile`.
//!
//! `sendfile` waits for the disk where the page cache lacks a page, whatever the socket's mode, and
//! nothing that may be called without `unsafe` says beforehand whether it will. So it runs on the
//! blocking pool, where a wait stalls nobody: it writes until the socket takes no more, and the wait for
//! the client is the reactor's again. A client that keeps up costs a hop for each filling of its
//! socket's buffer (some megabytes), and one that reads slowly holds no thread while it does.
//!
//! Each wait for a client that takes nothing is bounded by [`WRITE_PATIENCE`], as by the long way.

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use tokio::io::{AsyncWrite as _, Interest};
use tokio::net::TcpStream;

use super::deadline::Deadline;
use crate::observe::Exchange;
use crate::serve::WRITE_PATIENCE;

/// Whether [`file()`] works here.
pub(super) const CAN_SEND_FILES: bool = cfg!(target_os = "linux");

/// Writes `head` and `body`, together where the socket has room for both.
///
/// # Errors
/// The connection broke, or its client took nothing for too long.
pub(super) async fn memory(
    mut stream: TcpStream,
    deadline: &mut Deadline,
    exchange: &mut Exchange,
    head: &[u8],
    body: &[u8],
) -> io::Result<TcpStream> {
    let all = head.len() + body.len();
    let mut written = 0;
    let mut patience = Patience::new(deadline);
    while written < all {
        let head_left = head.get(written..).unwrap_or_default();
        let body_left = body.get(written.saturating_sub(head.len())..);
        let slices = [head_left, body_left.unwrap_or_default()].map(IoSlice::new);
        let count =
            poll_fn(
                |context| match Pin::new(&mut stream).poll_write_vectored(context, &slices) {
                    Poll::Ready(count) => Poll::Ready(count),
                    Poll::Pending => patience.wait(context),
                },
            )
            .await?;
        if count == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
        patience.rewarded();
        let of_body = (written + count).saturating_sub(head.len().max(written));
        exchange.sent(of_body as u64);
        written += count;
    }
    Ok(stream)
}

/// Writes `head` and the first `len_bytes` of a stored file.
///
/// # Errors
/// As for [`memory`], and [`ErrorKind::UnexpectedEof`] where the file is shorter.
pub(super) async fn file(
    mut stream: TcpStream,
    deadline: &mut Deadline,
    exchange: &mut Exchange,
    head: &[u8],
    file: Arc<File>,
    len_bytes: u64,
) -> io::Result<TcpStream> {
    let mut patience = Patience::new(deadline);
    let mut head_left = head;
    while !head_left.is_empty() {
        writable(&stream, &mut patience).await?;
        match stream.try_io(Interest::WRITABLE, || send_with_more(&stream, head_left)) {
            Ok(count) => head_left = head_left.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    let mut position = 0;
    while position < len_bytes {
        writable(&stream, &mut patience).await?;
        let file = file.clone();
        let hop = tokio::task::spawn_blocking(move || {
            let filled = fill_socket(&stream, &file, position, len_bytes);
            (stream, filled)
        });
        let (stream_back, filled) = hop.await.map_err(io::Error::other)?;
        stream = stream_back;
        let filled = filled?;
        if filled > 0 {
            patience.rewarded();
        }
        exchange.sent(filled);
        position += filled;
    }
    Ok(stream)
}

pub(super) async fn writable(stream: &TcpStream, patience: &mut Patience<'_>) -> io::Result<()> {
    poll_fn(|context| match stream.poll_write_ready(context) {
        Poll::Ready(ready) => Poll::Ready(ready),
        Poll::Pending => patience.wait(context),
    })
    .await
}

/// Bounds a wait for the client. The timer is only touched when there is something to wait for.
pub(super) struct Patience<'deadline> {
    deadline: &'deadline mut Deadline,
    waiting: bool,
}

impl<'deadline> Patience<'deadline> {
    pub(super) fn new(deadline: &'deadline mut Deadline) -> Self {
        Self {
            deadline,
            waiting: false,
        }
    }

    fn wait<T>(&mut self, context: &mut std::task::Context<'_>) -> Poll<io::Result<T>> {
        if !self.waiting {
            self.waiting = true;
            self.deadline.set(WRITE_PATIENCE);
        }
        ready!(self.deadline.poll(context));
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }

    /// The client took something.
    fn rewarded(&mut self) {
        self.waiting = false;
    }
}

/// The head leaves with the first bytes of the file.
#[cfg(target_os = "linux")]
fn send_with_more(stream: &TcpStream, head: &[u8]) -> io::Result<usize> {
    use rustix::net::{SendFlags, send};
    Ok(send(stream, head, SendFlags::MORE | SendFlags::NOSIGNAL)?)
}

/// Writes from `position` until the socket takes no more. How many bytes that were.
#[cfg(target_os = "linux")]
pub(super) fn fill_socket(
    stream: &TcpStream,
    file: &File,
    mut position: u64,
    end: u64,
) -> io::Result<u64> {
    /// Of one call, so that the count of what was sent follows the transfer.
    const WINDOW_BYTES: u64 = 64 << 20;
    let start = position;
    while position < end {
        let wanted = usize::try_from((end - position).min(WINDOW_BYTES)).unwrap_or(usize::MAX);
        let sent = stream.try_io(Interest::WRITABLE, || {
            Ok(rustix::fs::sendfile(
                stream,
                file,
                Some(&mut position),
                wanted,
            )?)
        });
        match sent {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(position - start)
}

#[cfg(not(target_os = "linux"))]
fn send_with_more(_: &TcpStream, _: &[u8]) -> io::Result<usize> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn fill_socket(_: &TcpStream, _: &File, _: u64, _: u64) -> io::Result<u64> {
    Err(ErrorKind::Unsupported.into())
}
