//! One request by hyper, and back: a miss, a list or a refusal between hits does not cost the connection
//! its short way, nor leaves hyper's buffers with it.
//!
//! hyper is given the head that the lane has read, and after it the end of the stream: it answers, finds
//! nothing more and ends, and the connection is the lane's again. What was pipelined behind the head is
//! never shown to it. The head is one that the lane's reader took, so both know that no body follows.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::serve::impatient::Impatient;
use crate::serve::respond::{self, Found};
use crate::serve::{HEAD_BYTES, HEAD_DEADLINE, Room, WRITE_PATIENCE};

/// Answers the request of `head` the long way, with what was `found` of it where the lane has looked. `None` where the connection is over then: the client left
/// or the answer broke off.
pub(super) async fn by_hyper(
    room: &Arc<Room>,
    stream: TcpStream,
    head: Bytes,
    peer: SocketAddr,
    found: Option<Found>,
) -> Option<TcpStream> {
    let found = Cell::new(found);
    let stream = Arc::new(stream);
    let io = Lent {
        head,
        stream: stream.clone(),
    };
    let io = TokioIo::new(Impatient::new(io, HEAD_DEADLINE, WRITE_PATIENCE));
    let service = service_fn(move |request| {
        let found = found.take();
        Box::pin(async move {
            Ok::<_, std::convert::Infallible>(match found {
                Some(found) => respond::respond_with(room, request, found),
                None => respond::respond(room, request, peer).await,
            })
        })
    });
    let answered = {
        let mut connection = http1::Builder::new()
            // The end of the stream that it is shown is not the client's.
            .half_close(true)
            .header_read_timeout(None)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(io, service);
        tokio::select! {
            answered = poll_fn(|context| connection.poll_without_shutdown(context)) => answered,
            () = client_left(&stream) => return None,
        }
    };
    match answered {
        Ok(()) => Arc::into_inner(stream),
        Err(error) => {
            tracing::debug!(%peer, %error, "a connection ended early");
            None
        }
    }
}

/// Resolves when the client has closed the connection, or its side of it. What it sends meanwhile waits.
pub(super) async fn client_left(stream: &TcpStream) {
    if let Ok(1..) = stream.peek(&mut [0]).await {
        // It has asked for more, so it is there; that it leaves is seen when it takes no answer.
        pending().await
    }
}

/// A connection as hyper sees it for one request.
struct Lent {
    head: Bytes,
    stream: Arc<TcpStream>,
}

impl AsyncRead for Lent {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = self.head.len().min(buffer.remaining());
        buffer.put_slice(self.head.get(..count).unwrap_or_default());
        self.head.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Lent {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(context))?;
            match self.stream.try_write_vectored(slices) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
