//! Connections whose client has stopped taking part are cut after a while: they would hold their
//! place, a file and a buffer for ever.
//!
//! hyper bounds how long a head may take to arrive once it knows which protocol is spoken, not how
//! long a client may say nothing at all, nor how long an answer may take to leave.

use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Bytes from which hyper knows the protocol (the HTTP/2 preface, RFC 9113, section 3.4). The
/// shortest request that asks for anything of a module is longer.
const OPENING_BYTES: usize = 24;

/// A stream that fails when the client does not say its first bytes within `opening`, or takes not
/// one byte for `patience` where some wait to be written.
pub(super) struct Impatient<S> {
    stream: S,
    /// Runs until the first bytes are there.
    opening: Option<Pin<Box<Sleep>>>,
    opening_bytes: usize,
    patience: Duration,
    /// Made at the first write that has to wait; most connections never do.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl<S> Impatient<S> {
    pub(super) fn new(stream: S, opening: Duration, patience: Duration) -> Self {
        Self {
            stream,
            opening: Some(Box::pin(tokio::time::sleep(opening))),
            opening_bytes: 0,
            patience,
            timer: None,
            waiting: false,
        }
    }

    fn judge<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.waiting = false;
            return polled;
        }
        let deadline = Instant::now() + self.patience;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if !self.waiting {
            self.waiting = true;
            timer.as_mut().reset(deadline);
        }
        match timer.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        let Some(opening) = &mut this.opening else {
            return polled;
        };
        this.opening_bytes += buffer.filled().len() - before;
        if this.opening_bytes >= OPENING_BYTES {
            this.opening = None;
        } else if polled.is_pending() && opening.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.judge(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.judge(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.judge(context, polled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_is_cut_and_one_that_asked_is_not() {
        for (said, is_cut) in [
            ("", true),
            ("PRI * HTTP/2.0", true),
            ("GET /a.b/@v/list HTTP/1.1", false),
        ] {
            let (mut client, server) = tokio::io::duplex(64);
            let mut server = Impatient::new(server, Duration::from_secs(75), HOUR);
            client.write_all(said.as_bytes()).await.expect("room");
            let reading = tokio::spawn(async move {
                let mut all = Vec::new();
                server.read_to_end(&mut all).await
            });
            tokio::time::sleep(Duration::from_secs(100)).await;
            drop(client);
            let read = reading.await.expect("no panic");
            assert_eq!(read.is_err(), is_cut, "{said:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_cut_and_a_slow_one_is_not() {
        let (mut client, server) = tokio::io::duplex(4);
        let mut server = Impatient::new(server, HOUR, Duration::from_secs(120));
        let writing = tokio::spawn(async move { server.write_all(&[0; 64]).await });
        let mut byte = [0];
        for _ in 0..32 {
            tokio::time::advance(Duration::from_secs(100)).await;
            client.read_exact(&mut byte).await.expect("a byte");
        }
        let written = writing.await.expect("no panic");
        assert_eq!(written.expect_err("cut off").kind(), ErrorKind::TimedOut);
    }
}
