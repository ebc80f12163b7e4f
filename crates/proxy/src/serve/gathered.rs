//! Writes that leave together: what a connection says in one turn becomes one TLS record and one system call.
//!
//! HTTP/2 as hyper speaks it writes and flushes each frame of some size by itself; over TLS each such write is a
//! record that is sealed, sent, received and opened apart. Here small writes are gathered, and a flush waits until
//! the connection's turn is over ([`Gathered::send`]). What is larger than a record goes through without a copy.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is gathered at most: the content of one TLS record (RFC 8446, section 5.1).
const GATHERED_BYTES: usize = 16 << 10;
/// Memory that is kept for the next turn.
const KEPT_BYTES: usize = 4 << 10;

/// A stream whose writes are gathered until [`Gathered::send`]. Clones are the same stream: hyper has one of them,
/// and who drives it another.
pub(super) struct Gathered<S>(Arc<Mutex<Gathering<S>>>);

struct Gathering<S> {
    stream: S,
    /// Written by the connection and not yet to the stream.
    held: Vec<u8>,
}

impl<S> Clone for Gathered<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    pub(super) fn new(stream: S) -> Self {
        let held = Vec::new();
        Self(Arc::new(Mutex::new(Gathering { stream, held })))
    }

    /// Writes and flushes what was gathered.
    pub(super) fn send(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let gathering = &mut *self.0.lock();
        ready!(gathering.write_held(context))?;
        Pin::new(&mut gathering.stream).poll_flush(context)
    }
}

impl<S: AsyncWrite + Unpin> Gathering<S> {
    fn write(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = slices.iter().map(|slice| slice.len()).sum();
        if self.held.len() + count > GATHERED_BYTES {
            ready!(self.write_held(context))?;
        }
        if count > GATHERED_BYTES {
            return Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        }
        for slice in slices {
            self.held.extend_from_slice(slice);
        }
        Poll::Ready(Ok(count))
    }

    fn write_held(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(context, &self.held))?;
            if count == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            self.held.drain(..count.min(self.held.len()));
        }
        if self.held.capacity() > KEPT_BYTES {
            self.held = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.lock().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().write(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().write(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing yet: the turn goes on.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let gathering = &mut *self.0.lock();
        ready!(gathering.write_held(context))?;
        Pin::new(&mut gathering.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// Keeps every write apart.
    #[derive(Default)]
    struct Writes(Vec<Vec<u8>>);

    impl AsyncWrite for Writes {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.push(bytes.to_vec());
            Poll::Ready(Ok(bytes.len()))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn written(stream: &Gathered<Writes>) -> Vec<Vec<u8>> {
        stream.0.lock().stream.0.clone()
    }

    #[tokio::test]
    async fn what_is_said_in_one_turn_leaves_as_one_write() {
        let stream = Gathered::new(Writes::default());
        let mut writer = stream.clone();
        for answer in ["head", "body", "head of another"] {
            writer.write_all(answer.as_bytes()).await.expect("room");
            writer.flush().await.expect("nothing to wait for");
        }
        assert!(written(&stream).is_empty(), "the turn is not over");
        for _ in 0..2 {
            poll_fn(|context| stream.send(context)).await.expect("sent");
            assert_eq!(written(&stream), [b"headbodyhead of another"]);
        }
    }

    #[tokio::test]
    async fn what_is_larger_than_a_record_follows_what_came_before_it() {
        let stream = Gathered::new(Writes::default());
        let mut writer = stream.clone();
        let large = vec![7; GATHERED_BYTES + 1];
        writer.write_all(b"small").await.expect("room");
        writer.write_all(&large).await.expect("room");
        writer.write_all(b"last").await.expect("room");
        assert_eq!(written(&stream), [b"small".to_vec(), large.clone()]);
        writer.shutdown().await.expect("shut down");
        assert_eq!(written(&stream).last(), Some(&b"last".to_vec()));
    }

    #[tokio::test]
    async fn a_client_that_takes_little_gets_all_of_it_in_order_and_bounds_what_is_held() {
        let (mut client, server) = tokio::io::duplex(1000);
        let stream = Gathered::new(server);
        let mut writer = stream.clone();
        let sent: Vec<u8> = (0..=255).cycle().take(5 * GATHERED_BYTES).collect();
        let expected = sent.clone();
        let writing = tokio::spawn(async move {
            for piece in sent.chunks(3000) {
                writer.write_all(piece).await.expect("room");
                assert!(writer.0.lock().held.len() <= GATHERED_BYTES);
            }
            poll_fn(|context| writer.send(context)).await.expect("sent");
        });
        let mut received = vec![0; expected.len()];
        client.read_exact(&mut received).await.expect("all of it");
        writing.await.expect("no panic");
        assert_eq!(received, expected);
    }
}
