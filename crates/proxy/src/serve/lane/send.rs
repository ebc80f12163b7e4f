//! Writing a hit: from memory in one system call, from the folder by `sendfile`, on the threads of
//! [`Senders`].
//!
//! Each wait for a client that takes nothing is bounded by [`WRITE_PATIENCE`], as by the long way.

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncWrite as _, Interest};
use tokio::net::TcpStream;

use super::deadline::Deadline;
use super::senders::Senders;
use crate::observe::Exchange;
use crate::serve::WRITE_PATIENCE;
use crate::serve::read_ahead::is_cached;

/// Of one file before the next one's turn.
const TURN_BYTES: u64 = 4 << 20;

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
    senders: &Senders,
    stream: TcpStream,
    exchange: &mut Exchange,
    head: &[u8],
    file: Arc<File>,
    len_bytes: u64,
) -> io::Result<TcpStream> {
    let transfer = Transfer {
        head: Bytes::copy_from_slice(head),
        file,
        position: 0,
        end: len_bytes,
    };
    let (transfer, sent) = senders.run(transfer.run(stream)).await?;
    exchange.sent(transfer.position);
    match sent? {
        Sent::OnCallers(stream) => Ok(stream),
        Sent::OnOurs(stream) => TcpStream::from_std(stream.into_std()?),
    }
}

/// A file on its way to a client.
struct Transfer {
    head: Bytes,
    file: Arc<File>,
    position: u64,
    end: u64,
}

/// A connection, by the reactor that knows it.
enum Sent {
    /// The caller's, still.
    OnCallers(TcpStream),
    /// That of the sending threads.
    OnOurs(TcpStream),
}

/// Why a transfer pauses, or that it ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Filled {
    /// All was written.
    All,
    /// The socket takes no more.
    UntilFull,
    /// Others are due.
    Turn,
}

impl Transfer {
    async fn run(mut self, stream: TcpStream) -> (Self, io::Result<Sent>) {
        let sent = self.send(stream).await;
        (self, sent)
    }

    /// What fits into the socket's buffer leaves the connection with the caller's reactor: to tell another
    /// one and back are four system calls.
    async fn send(&mut self, stream: TcpStream) -> io::Result<Sent> {
        if self.fill(&stream).await? == Filled::All {
            return Ok(Sent::OnCallers(stream));
        }
        let stream = TcpStream::from_std(stream.into_std()?)?;
        loop {
            tokio::time::timeout(WRITE_PATIENCE, stream.writable()).await??;
            match self.fill(&stream).await? {
                Filled::All => return Ok(Sent::OnOurs(stream)),
                Filled::UntilFull => {}
                Filled::Turn => tokio::task::yield_now().await,
            }
        }
    }

    async fn fill(&mut self, stream: &TcpStream) -> io::Result<Filled> {
        while !self.head.is_empty() {
            // It leaves with the first bytes of the file.
            match stream.try_io(Interest::WRITABLE, || send_with_more(stream, &self.head)) {
                Ok(count) => self.head.advance(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok(Filled::UntilFull);
                }
                Err(error) => return Err(error),
            }
        }
        let turn = self.end.min(self.position.saturating_add(TURN_BYTES));
        while self.position < turn {
            if !is_cached(&self.file, self.position) {
                read_from_disk(self.file.clone(), self.position).await?;
            }
            let wanted = usize::try_from(turn - self.position).unwrap_or(usize::MAX);
            let (file, position) = (&self.file, &mut self.position);
            let sent = stream.try_io(Interest::WRITABLE, || {
                send_file(stream, file, position, wanted)
            });
            match sent {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok(Filled::UntilFull);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(if turn == self.end {
            Filled::All
        } else {
            Filled::Turn
        })
    }
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

/// Writes from `position` until the socket takes no more. How many bytes that were.
pub(super) fn fill_socket(
    stream: &TcpStream,
    file: &File,
    mut position: u64,
    end: u64,
) -> io::Result<u64> {
    let start = position;
    while position < end {
        let wanted = usize::try_from(end - position).unwrap_or(usize::MAX);
        let sent = stream.try_io(Interest::WRITABLE, || {
            send_file(stream, file, &mut position, wanted)
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

/// Reads the byte at `position`, and has the kernel read on from there.
async fn read_from_disk(file: Arc<File>, position: u64) -> io::Result<()> {
    let read = tokio::task::spawn_blocking(move || {
        advise_reading(&file, position);
        file.read_at(&mut [0], position)
    });
    read.await.map_err(io::Error::other)??;
    Ok(())
}

#[cfg(target_os = "linux")]
fn advise_reading(file: &File, position: u64) {
    // Advice: what a file system makes of it changes no byte.
    let _ignored = rustix::fs::fadvise(
        file,
        position,
        std::num::NonZeroU64::new(TURN_BYTES),
        rustix::fs::Advice::WillNeed,
    );
}

#[cfg(target_os = "linux")]
fn send_with_more(stream: &TcpStream, head: &[u8]) -> io::Result<usize> {
    use rustix::net::{SendFlags, send};
    Ok(send(stream, head, SendFlags::MORE | SendFlags::NOSIGNAL)?)
}

/// One call of `sendfile`, which moves the position.
#[cfg(target_os = "linux")]
fn send_file(
    stream: &TcpStream,
    file: &File,
    position: &mut u64,
    wanted: usize,
) -> io::Result<usize> {
    Ok(rustix::fs::sendfile(stream, file, Some(position), wanted)?)
}

#[cfg(not(target_os = "linux"))]
fn advise_reading(_: &File, _: u64) {}

#[cfg(not(target_os = "linux"))]
fn send_with_more(_: &TcpStream, _: &[u8]) -> io::Result<usize> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
fn send_file(_: &TcpStream, _: &File, _: &mut u64, _: usize) -> io::Result<usize> {
    Err(ErrorKind::Unsupported.into())
}
