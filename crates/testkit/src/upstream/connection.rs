//! Listening, TLS, and the wire underneath an answer.
use super::{Shared, runtime};
use crate::assert_loopback;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// A listener with its connections.
pub(super) struct Listening {
    stop: watch::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

/// The answer ends here, before its time.
#[derive(Debug)]
pub(crate) struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken on purpose")
    }
}

impl std::error::Error for Broken {}

/// Counts how often everything that was to be sent had been handed to the kernel.
#[derive(Clone, Default)]
pub(crate) struct Flushes(Arc<Mutex<FlushCount>>);

#[derive(Default)]
struct FlushCount {
    count: u64,
    waiting: Vec<Waker>,
}

/// Listens on `address` and answers until stopped.
pub(super) fn listen(
    address: SocketAddr,
    shared: Arc<Shared>,
    tls: Option<Arc<rustls::ServerConfig>>,
) -> io::Result<(SocketAddr, Listening)> {
    assert_loopback(address);
    let listener = runtime().block_on(TcpListener::bind(address))?;
    let address = listener.local_addr()?;
    let (stop, stopped) = watch::channel(());
    let task = runtime().spawn(accept(listener, shared, tls, stopped));
    Ok((address, Listening { stop, task }))
}

impl Listening {
    /// Closes the listener, then every connection.
    pub(super) fn stop(self) {
        self.task.abort();
        // The listener is closed when the aborted task is gone, not before.
        let _ = runtime().block_on(self.task);
        drop(self.stop);
    }
}

async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    tls: Option<Arc<rustls::ServerConfig>>,
    stopped: watch::Receiver<()>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let (shared, tls, mut stopped) = (shared.clone(), tls.clone(), stopped.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = serve(stream, shared, tls) => {}
                _ = stopped.changed() => {}
            }
        });
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>, tls: Option<Arc<rustls::ServerConfig>>) {
    match tls {
        None => answer_on(stream, shared).await,
        Some(config) => {
            // A client that does not trust the certificate ends the handshake; that is its right.
            if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                answer_on(stream, shared).await;
            }
        }
    }
}

async fn answer_on<S>(stream: S, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let flushes = Flushes::default();
    let stream = CountedStream {
        stream,
        flushes: flushes.clone(),
    };
    let service = service_fn(move |request| shared.clone().answer(request, flushes.clone()));
    // Breaking off is what many tests ask for.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Flushes {
    pub(super) fn count(&self) -> u64 {
        self.0.lock().count
    }

    pub(super) fn poll_reached(&self, count: u64, context: &Context<'_>) -> Poll<()> {
        let mut flushes = self.0.lock();
        if flushes.count >= count {
            return Poll::Ready(());
        }
        flushes.waiting.push(context.waker().clone());
        Poll::Pending
    }

    fn add(&self) {
        let mut flushes = self.0.lock();
        flushes.count += 1;
        for waker in flushes.waiting.drain(..) {
            waker.wake();
        }
    }
}

/// A stream that counts its flushes.
struct CountedStream<S> {
    stream: S,
    flushes: Flushes,
}

impl<S: AsyncRead + Unpin> AsyncRead for CountedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CountedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if let Poll::Ready(Ok(())) = &flushed {
            self.flushes.add();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
