//! From bytes to a request and back: connections, TLS, HTTP, statuses and headers.
//!
//! The only room that names HTTP statuses. A request is parsed once, passes the gate, and is
//! answered by the room that its kind belongs to; [`respond`] is the table of contents.

mod answers;
mod body;
mod cause;
mod conditional;
mod drain;
mod error;
mod files;
mod gathered;
mod http2;
mod impatient;
pub mod lane;
mod operations;
pub mod read_ahead;
mod refresh;
mod respond;
mod rewound;
mod sumdb;
mod tls;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gomod::{FileKind, ModuleVersion};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use source::privacy::Privacy;
use source::sumdb::{ChecksumSource, SumdbMirror};
use source::{Refresher, Source, UpstreamList};
use store::first_seen::FirstSeen;
use store::{Staging, Store};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::answer::{AnswerParts, Answers};
use crate::failure::Failure;
use crate::fill::{Brought, FillParts, Fills};
use crate::gate::{Caller, Gate};
use crate::observe::{AccessLog, Metrics};
use crate::policy::Policy;
use crate::refresh::Refreshes;
use crate::refresh::access::RefreshAccess;
use drain::{Drain, Draining};
use impatient::Impatient;
use lane::follow::Turns;
use lane::{Left, Senders, Unencrypted};
use refresh::RefreshDoor;
use rewound::Rewound;
use tls::CurrentCertificate;
pub use tls::{TlsError, TlsFiles};

/// Open connections at most; more wait in the kernel's queue.
const CONNECTIONS: usize = 16 * 1024;
/// How long a client may take to send a request's head, to shake hands, and to stay idle between
/// requests.
const HEAD_DEADLINE: Duration = Duration::from_secs(75);
/// How long a client may take not one byte of its answer.
const WRITE_PATIENCE: Duration = Duration::from_secs(120);
/// What a request's head may weigh. The longest legal module path is far below.
const HEAD_BYTES: usize = 128 << 10;
/// HTTP/2 streams on one connection. Each may hold one chunk of a file that its client does not take;
/// the go command asks for some ten at once, and opens another connection past the limit.
const STREAMS: u32 = 64;
/// An HTTP/2 client that says nothing for so long is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(60);
/// How long requests under way may take after the server was told to stop.
const DRAIN_DEADLINE: Duration = Duration::from_secs(60);
/// How long the store may then take for the files that were handed out.
const SETTLE_DEADLINE: Duration = Duration::from_secs(30);
/// Pause after the system refused another connection (out of descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a server stands on.
pub struct Parts {
    /// Where files rest.
    pub store: Arc<dyn Store>,
    /// Where they wait for a verdict.
    pub staging: Arc<Staging>,
    /// Where answers are kept.
    pub kept_answers: Arc<store::answers::Answers>,
    /// Where first sight is remembered.
    pub first_seen: Arc<FirstSeen>,
    /// Where files and answers come from; `None` when offline.
    pub source: Option<Arc<dyn Source>>,
    /// The upstreams among that, for those who look how they are.
    pub upstreams: UpstreamList,
    /// Who vouches for files; `None` where no checksum database is configured.
    pub checksums: Option<Arc<dyn ChecksumSource>>,
    /// The database's data, for clients; `None` where none is configured.
    pub sumdb: Option<Arc<SumdbMirror>>,
    /// Which names may be said where.
    pub privacy: Privacy,
    /// Who may have what.
    pub policy: Arc<dyn Policy>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The access log.
    pub access_log: Arc<AccessLog>,
    /// Who may have what is remembered of a module forgotten.
    pub refresh_access: RefreshAccess,
    /// What the sources remember of repositories; those that know roots before those that know listings.
    pub refreshers: Vec<Arc<dyn Refresher>>,
    /// The page of a cause in HTML, by its id, and their index by an empty one: what error bodies lead to.
    pub cause_page: fn(&str) -> Option<String>,
}

/// How a server behaves.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// How long lists and `@latest` are fresh.
    pub fresh: Duration,
    /// How long proven absence is remembered, at most.
    pub negative: Duration,
    /// Bytes a second that may be fetched before they are asked for; 0 fetches nothing ahead.
    pub prefetch_bytes_per_second: u64,
    /// The token that tells this server from others in `Via` headers ([`source::via_name`]): a
    /// request that carries it has been here before.
    pub instance: String,
    /// The certificate; `None` for plain HTTP.
    pub tls: Option<TlsFiles>,
}

/// A server that is ready to accept.
pub struct Server {
    room: Arc<Room>,
    tls: Option<Arc<CurrentCertificate>>,
}

/// What every request shares.
struct Room {
    gate: Gate,
    fills: Fills,
    answers: Arc<Answers>,
    upstreams: UpstreamList,
    sumdb: Option<Arc<SumdbMirror>>,
    metrics: Arc<Metrics>,
    access_log: Arc<AccessLog>,
    refresh: RefreshDoor,
    cause_page: fn(&str) -> Option<String>,
    senders: Senders,
    options: ServeOptions,
    turns: Turns,
    draining: AtomicBool,
}

impl Server {
    /// Builds the rooms. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// A certificate that can't be used.
    pub fn new(parts: Parts, options: ServeOptions) -> Result<Self, TlsError> {
        let tls = options
            .tls
            .clone()
            .map(CurrentCertificate::read)
            .transpose()?;
        let negative = options.negative.min(options.fresh);
        let answers = Answers::new(AnswerParts {
            source: parts.source.clone(),
            store: parts.store.clone(),
            kept: parts.kept_answers,
            first_seen: parts.first_seen.clone(),
            fresh: options.fresh,
            negative,
            metrics: parts.metrics.clone(),
        });
        let fills = Fills::new(FillParts {
            store: parts.store,
            staging: parts.staging,
            source: parts.source,
            checksums: parts.checksums,
            privacy: parts.privacy.clone(),
            first_seen: parts.first_seen.clone(),
            answers: answers.clone(),
            negative,
            prefetch_bytes_per_second: options.prefetch_bytes_per_second,
            metrics: parts.metrics.clone(),
        });
        let refreshes = Refreshes::new(
            answers.clone(),
            fills.clone(),
            parts.refreshers,
            parts.metrics.clone(),
        );
        let room = Room {
            refresh: RefreshDoor::new(refreshes, parts.refresh_access),
            gate: Gate::new(parts.policy, parts.privacy, parts.first_seen),
            fills,
            answers,
            upstreams: parts.upstreams,
            sumdb: parts.sumdb,
            metrics: parts.metrics,
            access_log: parts.access_log,
            cause_page: parts.cause_page,
            senders: Senders::default(),
            options,
            turns: Turns::new(),
            draining: AtomicBool::new(false),
        };
        Ok(Self {
            room: Arc::new(room),
            tls,
        })
    }

    /// Brings a file into the store as a request for it would: through the gate, verified, one flight for
    /// all who want it. For commands that fill the cache.
    ///
    /// # Errors
    /// What a request would be told.
    pub async fn bring_in(
        &self,
        module: ModuleVersion,
        kind: FileKind,
    ) -> Result<Brought, Failure> {
        let caller = Caller::anonymous(None);
        let file = self.room.gate.admit_file(&caller, module, kind).await?;
        self.room.fills.bring_in(&file).await
    }

    /// Waits until every file that was fetched is stored, those that came along with others included.
    pub async fn settled(&self) {
        self.room.fills.settled().await;
    }

    /// Serves until `stop` resolves, then lets the requests under way end.
    ///
    /// # Errors
    /// A TLS configuration that the crypto library refuses.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> Result<(), rustls::Error> {
        let acceptor = match &self.tls {
            Some(certificate) => Some(TlsAcceptor::from(certificate.server_config()?)),
            None => None,
        };
        let renewal = self
            .tls
            .map(|certificate| tokio::spawn(certificate.follow_files()));
        let connections = Arc::new(Semaphore::new(CONNECTIONS));
        let drain = Drain::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = async {
                let place = connections.clone().acquire_owned().await;
                (place, listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = accepted => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let (room, acceptor) = (self.room.clone(), acceptor.clone());
                    let draining = drain.watcher();
                    tokio::spawn(async move {
                        let _place = place;
                        room.metrics.connections.inc();
                        connection(&room, stream, peer, acceptor, draining).await;
                        room.metrics.connections.dec();
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        self.room.draining.store(true, Ordering::Relaxed);
        if tokio::time::timeout(DRAIN_DEADLINE, drain.finish())
            .await
            .is_err()
        {
            tracing::warn!("requests under way did not end in time and are cut off");
        }
        if tokio::time::timeout(SETTLE_DEADLINE, self.room.fills.settled())
            .await
            .is_err()
        {
            tracing::warn!("files that were served did not reach the store in time");
        }
        if let Some(renewal) = renewal {
            renewal.abort();
        }
        self.room.access_log.close();
        Ok(())
    }
}

/// How a connection ended.
type Ended = Result<(), Box<dyn std::error::Error + Send + Sync>>;

async fn connection(
    room: &Arc<Room>,
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    mut draining: Draining,
) {
    // Answers are written whole; waiting to gather more would only delay them.
    let _unsupported = stream.set_nodelay(true);
    let mut stop = pin!(draining.begun());
    let served = match acceptor {
        None => match lane::serve(room, Unencrypted(stream), peer, stop.as_mut()).await {
            Left::Closed => return,
            Left::Unusual { stream, read } => {
                let stream = Rewound::new(read, stream);
                // Boxed: a connection that stays in the lane has no room for it.
                Box::pin(by_hyper(room, stream, peer, stop)).await
            }
        },
        Some(acceptor) => {
            match tokio::time::timeout(HEAD_DEADLINE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) if tls::is_http2(&stream) => {
                    Box::pin(http2::serve(room, stream, peer, stop)).await
                }
                Ok(Ok(stream)) => Box::pin(by_hyper(room, stream, peer, stop)).await,
                Ok(Err(error)) => {
                    tracing::debug!(%peer, %error, "a TLS handshake failed");
                    return;
                }
                Err(_) => return,
            }
        }
    };
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}

/// A connection whose protocol is not known, to its end. After `stop` the requests under way end and no more are taken.
async fn by_hyper<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    room: &Arc<Room>,
    stream: S,
    peer: SocketAddr,
    stop: Pin<&mut impl Future<Output = ()>>,
) -> Ended {
    let service_room = room.clone();
    let service = service_fn(move |request| {
        let room = service_room.clone();
        async move { Ok::<_, std::convert::Infallible>(respond::respond(&room, request, peer).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(Some(PING_INTERVAL));
    let io = TokioIo::new(Impatient::new(stream, HEAD_DEADLINE, WRITE_PATIENCE));
    let mut connection = pin!(builder.serve_connection(io, service));
    tokio::select! {
        served = connection.as_mut() => return served,
        () = stop => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}
