//! GET and HEAD over HTTP with a clock on each phase: name, connection, TLS, first byte, body.
//!
//! For `larder trace` and `larder compare`, which show what the server's own client hides. It goes the way the go
//! command would: HTTP proxies and netrc of the environment, redirects followed, connections kept. Everything is
//! bounded: time by the deadline, answers by the limit. Passwords are sent and never shown.

use base64::Engine as _;
use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use rustls::ProtocolVersion;
use rustls::pki_types::{CertificateDer, ServerName};
use serde::Serialize;
use source::{HttpProxies, Netrc};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use url::Url;

/// As Go's client.
const REDIRECTS: usize = 10;

/// The head of a CONNECT answer may not be longer.
const CONNECT_HEAD_BYTES: usize = 16 << 10;

/// How long each phase took, in milliseconds; a phase that was not needed is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Phases {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dns: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) connect: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_byte: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<f64>,
}

impl Phases {
    /// All of them together.
    pub(crate) fn total(&self) -> f64 {
        [self.dns, self.connect, self.tls, self.first_byte, self.body]
            .into_iter()
            .flatten()
            .sum()
    }
}

/// What TLS agreed on, and who answered.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// `TLS 1.3`.
    pub(crate) version: String,
    /// The chain as it was sent, the server's own certificate first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
}

/// One request and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) method: Method,
    /// With passwords: for the next request only. [`shown`] makes it fit to be seen.
    pub(crate) url: Url,
    /// When it began, since the client was made.
    pub(crate) began_ms: f64,
    pub(crate) phases: Phases,
    /// Whom the connection was to.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) peer: Option<Arc<Peer>>,
    /// The HTTP proxy on the way.
    pub(crate) proxy: Option<String>,
    /// A connection that was open already.
    pub(crate) reused: bool,
    pub(crate) result: Result<Reply, String>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) http2: bool,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A URL without its password and query.
pub(crate) fn shown(url: &Url) -> String {
    gomod::SafeUrl::parse(url.as_str())
        .map_or_else(|_| url.scheme().to_owned(), |url| url.to_string())
}

/// How requests are made.
pub(crate) struct TimedOptions {
    pub(crate) tls: Arc<rustls::ClientConfig>,
    pub(crate) http_proxies: HttpProxies,
    pub(crate) netrc: Netrc,
    /// From the first packet to the last byte of one request.
    pub(crate) deadline: Duration,
}

/// A client that keeps its connections, and a record of every request.
pub(crate) struct TimedClient {
    options: TimedOptions,
    made: Instant,
    /// Idle ones, by scheme, host and port.
    connections: Mutex<HashMap<String, Connection>>,
    record: Mutex<Vec<Exchange>>,
}

/// An open connection.
struct Connection {
    sender: Sender,
    address: Option<SocketAddr>,
    peer: Option<Arc<Peer>>,
    proxy: Option<String>,
}

enum Sender {
    Http1(hyper::client::conn::http1::SendRequest<Empty<Bytes>>),
    Http2(hyper::client::conn::http2::SendRequest<Empty<Bytes>>),
}

impl TimedClient {
    pub(crate) fn new(options: TimedOptions) -> Self {
        Self {
            options,
            made: Instant::now(),
            connections: Mutex::default(),
            record: Mutex::default(),
        }
    }

    /// Every request so far, redirects included, in the order of their beginning.
    pub(crate) fn take_record(&self) -> Vec<Exchange> {
        std::mem::take(&mut self.record.lock())
    }

    /// Asks, follows redirects, and gives the last exchange. Every one is recorded. At most `limit_bytes` of a body
    /// are taken; a longer one is a failure.
    pub(crate) async fn ask(
        &self,
        method: Method,
        url: &Url,
        headers: &[(HeaderName, HeaderValue)],
        limit_bytes: usize,
    ) -> Exchange {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            let exchange = self.once(method.clone(), &url, headers, limit_bytes).await;
            self.record.lock().push(exchange.clone());
            match redirect(&exchange) {
                Some(target) => url = target,
                None => return exchange,
            }
        }
        let mut exchange = self.once(method, &url, headers, limit_bytes).await;
        exchange.result = Err(format!("more than {REDIRECTS} redirects"));
        exchange
    }

    async fn once(
        &self,
        method: Method,
        url: &Url,
        headers: &[(HeaderName, HeaderValue)],
        limit_bytes: usize,
    ) -> Exchange {
        let mut exchange = Exchange {
            method,
            url: url.clone(),
            began_ms: milliseconds(self.made.elapsed()),
            phases: Phases::default(),
            address: None,
            peer: None,
            proxy: None,
            reused: false,
            result: Err(String::new()),
        };
        let deadline = self.options.deadline;
        let answered =
            tokio::time::timeout(deadline, self.exchange(&mut exchange, headers, limit_bytes))
                .await;
        exchange.result =
            answered.unwrap_or_else(|_| Err(format!("no answer within {} s", deadline.as_secs())));
        exchange
    }

    async fn exchange(
        &self,
        exchange: &mut Exchange,
        headers: &[(HeaderName, HeaderValue)],
        limit_bytes: usize,
    ) -> Result<Reply, String> {
        let origin = exchange.url.origin().ascii_serialization();
        let idle = self.connections.lock().remove(&origin);
        let mut connection = match idle.filter(Connection::is_open) {
            Some(connection) => {
                exchange.reused = true;
                connection
            }
            None => self.connect(exchange).await?,
        };
        if let Some(shared) = connection.shared() {
            self.connections.lock().insert(origin.clone(), shared);
        }
        exchange.address = connection.address;
        exchange.peer.clone_from(&connection.peer);
        exchange.proxy.clone_from(&connection.proxy);
        let request = self.request(exchange, headers, &connection)?;
        let sent = Instant::now();
        let response = connection.send(request).await?;
        exchange.phases.first_byte = Some(milliseconds(sent.elapsed()));
        let started = Instant::now();
        let (head, body) = response.into_parts();
        let body = read(body, limit_bytes).await?;
        exchange.phases.body = Some(milliseconds(started.elapsed()));
        let http2 = matches!(connection.sender, Sender::Http2(_));
        if connection.is_open() {
            self.connections.lock().insert(origin, connection);
        }
        Ok(Reply {
            status: head.status.as_u16(),
            http2,
            headers: head.headers,
            body,
        })
    }

    fn request(
        &self,
        exchange: &Exchange,
        headers: &[(HeaderName, HeaderValue)],
        connection: &Connection,
    ) -> Result<Request<Empty<Bytes>>, String> {
        let url = &exchange.url;
        let mut bare = url.clone();
        // Credentials travel in a header, never in the request line.
        let _ = bare.set_username("");
        let _ = bare.set_password(None);
        let through_proxy = connection.proxy.is_some() && url.scheme() == "http";
        let target = match (&connection.sender, through_proxy) {
            (Sender::Http1(_), false) => bare[url::Position::BeforePath..].to_owned(),
            (Sender::Http1(_), true) | (Sender::Http2(_), _) => bare.to_string(),
        };
        let target: Uri = target
            .parse()
            .map_err(|error| format!("the URL cannot be asked: {error}"))?;
        let mut request = Request::builder()
            .method(exchange.method.clone())
            .uri(target)
            .header(USER_AGENT, concat!("larder/", env!("CARGO_PKG_VERSION")));
        if matches!(connection.sender, Sender::Http1(_)) {
            request = request.header(
                HOST,
                &bare[url::Position::BeforeHost..url::Position::AfterPort],
            );
        }
        let own = (!url.username().is_empty() || url.password().is_some()).then(|| {
            (
                decoded(url.username()),
                decoded(url.password().unwrap_or_default()),
            )
        });
        let credentials = own.or_else(|| {
            let (user, password) = self.options.netrc.credentials(url)?;
            Some((user.to_owned(), password.to_owned()))
        });
        if let Some((user, password)) = credentials {
            request = request.header(AUTHORIZATION, basic(&user, &password));
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request
            .body(Empty::new())
            .map_err(|error| error.to_string())
    }

    async fn connect(&self, exchange: &mut Exchange) -> Result<Connection, String> {
        let url = exchange.url.clone();
        let host = url.host_str().ok_or("the URL names no host")?.to_owned();
        let port = url.port_or_known_default().ok_or("the URL names no port")?;
        let proxy = self.options.http_proxies.for_url(&url).cloned();
        let (dial_host, dial_port) = match &proxy {
            Some(proxy) if !matches!(proxy.scheme(), "http") => {
                return Err(format!(
                    "a proxy of kind {} is not gone through here",
                    proxy.scheme()
                ));
            }
            Some(proxy) => (
                proxy.host_str().unwrap_or_default().to_owned(),
                proxy.port_or_known_default().unwrap_or(80),
            ),
            None => (host.clone(), port),
        };
        let mut stream = dial(exchange, &dial_host, dial_port).await?;
        let address = stream.peer_addr().ok();
        let proxy_name = proxy.as_ref().map(shown);
        if let Some(proxy) = &proxy
            && url.scheme() == "https"
        {
            let asked = Instant::now();
            tunnel(&mut stream, proxy, &host, port).await?;
            let waited = milliseconds(asked.elapsed());
            exchange.phases.connect = Some(exchange.phases.connect.unwrap_or_default() + waited);
        }
        if url.scheme() != "https" {
            let sender = Sender::http1(stream).await?;
            return Ok(Connection {
                sender,
                address,
                peer: None,
                proxy: proxy_name,
            });
        }
        let began = Instant::now();
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|_| format!("`{host}` is no name that TLS can ask for"))?;
        let connector = TlsConnector::from(self.options.tls.clone());
        let stream = connector
            .connect(name, stream)
            .await
            .map_err(|error| format!("TLS: {error}"))?;
        exchange.phases.tls = Some(milliseconds(began.elapsed()));
        let (_, session) = stream.get_ref();
        let version = session.protocol_version();
        let peer = Peer {
            version: version.map_or_else(|| "TLS".to_owned(), version_name),
            chain: session
                .peer_certificates()
                .unwrap_or_default()
                .iter()
                .map(|certificate| certificate.clone().into_owned())
                .collect(),
        };
        let http2 = session.alpn_protocol() == Some(b"h2");
        let sender = match http2 {
            true => Sender::http2(stream).await?,
            false => Sender::http1(stream).await?,
        };
        Ok(Connection {
            sender,
            address,
            peer: Some(Arc::new(peer)),
            proxy: proxy_name,
        })
    }
}

/// Looks the name up and connects to the first address that answers, as Go does one after the other.
async fn dial(exchange: &mut Exchange, host: &str, port: u16) -> Result<TcpStream, String> {
    let began = Instant::now();
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host.trim_matches(['[', ']']), port))
        .await
        .map_err(|error| format!("lookup {host}: {error}"))?
        .collect();
    exchange.phases.dns = Some(milliseconds(began.elapsed()));
    let began = Instant::now();
    let mut failure = format!("lookup {host}: no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                exchange.phases.connect = Some(milliseconds(began.elapsed()));
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => failure = format!("dial {address}: {error}"),
        }
    }
    Err(failure)
}

/// Asks an HTTP proxy for a way through (RFC 9110, section 9.3.6).
async fn tunnel(stream: &mut TcpStream, proxy: &Url, host: &str, port: u16) -> Result<(), String> {
    let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
    if !proxy.username().is_empty() || proxy.password().is_some() {
        let value = basic(
            &decoded(proxy.username()),
            &decoded(proxy.password().unwrap_or_default()),
        );
        let value = value.to_str().unwrap_or_default().to_owned();
        request.push_str(&format!("Proxy-Authorization: {value}\r\n"));
    }
    request.push_str("\r\n");
    let fail = |error: std::io::Error| format!("the HTTP proxy broke off: {error}");
    stream.write_all(request.as_bytes()).await.map_err(fail)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= CONNECT_HEAD_BYTES {
            return Err("the HTTP proxy's answer to CONNECT has no end".into());
        }
        // Byte by byte: what follows the head belongs to the tunnel.
        head.push(stream.read_u8().await.map_err(fail)?);
    }
    let head = String::from_utf8_lossy(&head);
    let first = head.lines().next().unwrap_or_default();
    match first.split_whitespace().nth(1) {
        Some("200") => Ok(()),
        _ => Err(format!("the HTTP proxy answered CONNECT with `{first}`")),
    }
}

impl Sender {
    async fn http1(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Self, String> {
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        // It ends when the sender is dropped, or with the peer.
        tokio::spawn(connection);
        Ok(Self::Http1(sender))
    }

    async fn http2(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Self, String> {
        let handshake = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20)
            .handshake(TokioIo::new(stream));
        let (sender, connection) = handshake.await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        Ok(Self::Http2(sender))
    }
}

impl Connection {
    fn is_open(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => !sender.is_closed(),
            Sender::Http2(sender) => !sender.is_closed(),
        }
    }

    /// The same connection for requests at the same time, where HTTP/2 allows it.
    fn shared(&self) -> Option<Self> {
        let Sender::Http2(sender) = &self.sender else {
            return None;
        };
        Some(Self {
            sender: Sender::Http2(sender.clone()),
            address: self.address,
            peer: self.peer.clone(),
            proxy: self.proxy.clone(),
        })
    }

    async fn send(
        &mut self,
        request: Request<Empty<Bytes>>,
    ) -> Result<http::Response<Incoming>, String> {
        let sent = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await.map_err(|error| error.to_string())?;
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                sender.ready().await.map_err(|error| error.to_string())?;
                sender.send_request(request).await
            }
        };
        sent.map_err(|error| match std::error::Error::source(&error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        })
    }
}

async fn read(mut body: Incoming, limit_bytes: usize) -> Result<Bytes, String> {
    let mut taken = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| format!("the body broke off: {error}"))?;
        if let Some(data) = frame.data_ref() {
            if taken.len() + data.len() > limit_bytes {
                return Err(format!("the answer is longer than {limit_bytes} bytes"));
            }
            taken.extend_from_slice(data);
        }
    }
    Ok(taken.freeze())
}

/// Where an answer sends us. From https to http is refused, as Go refuses it for modules.
fn redirect(exchange: &Exchange) -> Option<Url> {
    let reply = exchange.result.as_ref().ok()?;
    if !matches!(reply.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let target = exchange.url.join(reply.header(LOCATION.as_str())?).ok()?;
    let downgrade = exchange.url.scheme() == "https" && target.scheme() != "https";
    (!downgrade && matches!(target.scheme(), "http" | "https")).then_some(target)
}

fn basic(user: &str, password: &str) -> HeaderValue {
    let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    let mut value = HeaderValue::try_from(format!("Basic {text}"))
        .unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

/// To the microsecond: clocks tell no more.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

/// `TLS 1.3`, where rustls says `TLSv1_3`.
fn version_name(version: ProtocolVersion) -> String {
    format!("{version:?}")
        .replacen("TLSv", "TLS ", 1)
        .replace('_', ".")
}
