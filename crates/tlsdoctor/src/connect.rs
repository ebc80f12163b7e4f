//! Connections: to each address, through a forward proxy or without one.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::forward_proxy::{ForwardProxy, ProxyKind};
use crate::target::Target;

/// What TLS and HTTP are spoken over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(crate) type Connection = Box<dyn Stream>;

/// Why there is no connection, or none any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NetworkFault {
    Refused,
    Reset,
    NoRoute(&'static str),
    TimedOut,
    Other(String),
}

impl NetworkFault {
    pub(crate) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Self::Reset,
            io::ErrorKind::HostUnreachable => Self::NoRoute("no route to host"),
            io::ErrorKind::NetworkUnreachable => Self::NoRoute("network is unreachable"),
            io::ErrorKind::AddrNotAvailable => Self::NoRoute("cannot assign requested address"),
            io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Other(error.to_string()),
        }
    }

    /// Go's words for a failed dial to this address.
    pub(crate) fn dial_text(&self, address: SocketAddr) -> String {
        match self {
            Self::TimedOut => format!("dial tcp {address}: i/o timeout"),
            other => format!("dial tcp {address}: connect: {}", other.describe()),
        }
    }

    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Refused => "connection refused".to_owned(),
            Self::Reset => "connection reset by peer".to_owned(),
            Self::NoRoute(text) => (*text).to_owned(),
            Self::TimedOut => "no answer".to_owned(),
            Self::Other(text) => text.clone(),
        }
    }
}

/// What became of one address.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) address: SocketAddr,
    pub(crate) outcome: Result<(), NetworkFault>,
    pub(crate) ms: f64,
}

/// Tries addresses side by side, a bounded number of them, and gives the first connection. The others are
/// awaited for a moment only, so that a dead address does not delay a live one.
pub(crate) async fn connect_all(
    addresses: &[SocketAddr],
    time: Duration,
) -> (Option<(TcpStream, SocketAddr)>, Vec<Attempt>) {
    const ADDRESSES: usize = 16;
    const GRACE: Duration = Duration::from_millis(50);
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for (index, &address) in addresses.iter().take(ADDRESSES).enumerate() {
        tasks.spawn(async move {
            let outcome = connect(address, time).await;
            (index, address, outcome)
        });
    }
    let mut found = None;
    let mut attempts = Vec::new();
    loop {
        let next = match found {
            None => tasks.join_next().await,
            Some(_) => timeout(GRACE, tasks.join_next()).await.unwrap_or(None),
        };
        let Some(joined) = next else { break };
        let Ok((index, address, outcome)) = joined else {
            continue;
        };
        let ms = started.elapsed().as_secs_f64() * 1000.0;
        let outcome = match outcome {
            Ok(stream) => {
                found.get_or_insert((stream, address));
                Ok(())
            }
            Err(fault) => Err(fault),
        };
        attempts.push((
            index,
            Attempt {
                address,
                outcome,
                ms,
            },
        ));
    }
    attempts.sort_by_key(|(index, _)| *index);
    (found, attempts.into_iter().map(|(_, it)| it).collect())
}

pub(crate) async fn connect(
    address: SocketAddr,
    time: Duration,
) -> Result<TcpStream, NetworkFault> {
    match timeout(time, TcpStream::connect(address)).await {
        Err(_) => Err(NetworkFault::TimedOut),
        Ok(Err(error)) => Err(NetworkFault::of(&error)),
        Ok(Ok(stream)) => {
            // A failure costs some delay and nothing else.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
    }
}

/// The way to the target that is known to work up to TLS.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) address: SocketAddr,
    pub(crate) proxy: Option<ForwardProxy>,
    pub(crate) target: Target,
    pub(crate) time: Duration,
}

/// What a forward proxy did with CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProxyFault {
    /// No connection to it any more.
    Network(NetworkFault),
    /// It closed before or within its answer.
    Closed {
        received: usize,
    },
    Silent,
    /// Another status than 200.
    Status {
        status: u16,
        reason: String,
        asks: Option<String>,
    },
    /// A web page, as if it were a web server.
    WebPage(String),
    /// No HTTP, no SOCKS.
    OtherProtocol(Vec<u8>),
    /// SOCKS refused with this code.
    SocksRefused(u8),
    /// TLS to the proxy itself failed.
    Tls(String),
}

impl Route {
    /// A connection to the target, through the proxy if there is one.
    pub(crate) async fn open(&self) -> Result<Connection, ProxyFault> {
        let stream = connect(self.address, self.time)
            .await
            .map_err(ProxyFault::Network)?;
        self.over(stream).await
    }

    /// The same over a connection that stands already.
    pub(crate) async fn over(&self, stream: TcpStream) -> Result<Connection, ProxyFault> {
        let Some(proxy) = &self.proxy else {
            return Ok(Box::new(stream));
        };
        match timeout(self.time, self.tunnel(proxy, stream)).await {
            Ok(result) => result,
            Err(_) => Err(ProxyFault::Silent),
        }
    }

    async fn tunnel(
        &self,
        proxy: &ForwardProxy,
        stream: TcpStream,
    ) -> Result<Connection, ProxyFault> {
        match proxy.kind {
            ProxyKind::Socks5 => socks(stream, &self.target).await,
            // Plain http goes to an HTTP proxy whole; there is no tunnel.
            ProxyKind::Http if self.target.scheme == crate::Scheme::Http => Ok(Box::new(stream)),
            ProxyKind::Http => http_connect(Box::new(stream), proxy, &self.target).await,
            ProxyKind::Https => {
                let secured = crate::handshake::plain_tls(Box::new(stream), &proxy.host)
                    .await
                    .map_err(ProxyFault::Tls)?;
                http_connect(secured, proxy, &self.target).await
            }
        }
    }
}

async fn http_connect(
    mut stream: Connection,
    proxy: &ForwardProxy,
    target: &Target,
) -> Result<Connection, ProxyFault> {
    const LARGEST_HEAD_BYTES: usize = 16 << 10;
    let authority = target.authority();
    let credentials = match proxy.authorization() {
        Some(value) => format!("Proxy-Authorization: {value}\r\n"),
        None => String::new(),
    };
    let request = format!(
        "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: Go-http-client/1.1\r\n{credentials}\r\n"
    );
    let network = |error: io::Error| ProxyFault::Network(NetworkFault::of(&error));
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(network)?;
    let mut head = Vec::new();
    let mut byte = [0; 1];
    // Byte by byte: what follows the head belongs to the tunnel.
    while !head.ends_with(b"\r\n\r\n") && head.len() < LARGEST_HEAD_BYTES {
        match stream.read(&mut byte).await {
            Ok(0) => {
                return Err(ProxyFault::Closed {
                    received: head.len(),
                });
            }
            Ok(_) => head.extend(byte),
            Err(error) => return Err(network(error)),
        }
        if !b"HTTP/".starts_with(head.get(..5).unwrap_or(&head)) {
            return Err(ProxyFault::OtherProtocol(head));
        }
    }
    let text = String::from_utf8_lossy(&head);
    let mut lines = text.lines();
    let line = lines.next().unwrap_or_default();
    let mut words = line.splitn(3, ' ').skip(1);
    let status = words.next().and_then(|word| word.parse::<u16>().ok());
    let Some(status) = status else {
        return Err(ProxyFault::OtherProtocol(head));
    };
    let header = |wanted: &str| {
        lines.clone().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let found = name.eq_ignore_ascii_case(wanted);
            found.then(|| value.trim().to_owned())
        })
    };
    if status != 200 {
        return Err(ProxyFault::Status {
            status,
            reason: words.next().unwrap_or_default().trim().to_owned(),
            asks: header("Proxy-Authenticate"),
        });
    }
    let kind = header("Content-Type").unwrap_or_default();
    if kind.to_ascii_lowercase().contains("html") {
        return Err(ProxyFault::WebPage(kind));
    }
    Ok(stream)
}

/// SOCKS 5 without credentials (RFC 1928).
async fn socks(mut stream: TcpStream, target: &Target) -> Result<Connection, ProxyFault> {
    let network = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ProxyFault::Closed { received: 0 },
        _ => ProxyFault::Network(NetworkFault::of(&error)),
    };
    stream.write_all(&[5, 1, 0]).await.map_err(network)?;
    let mut method = [0; 2];
    stream.read_exact(&mut method).await.map_err(network)?;
    match method {
        [5, 0] => {}
        [5, _] => return Err(ProxyFault::SocksRefused(0xff)),
        other => return Err(ProxyFault::OtherProtocol(other.to_vec())),
    }
    let mut request = vec![5, 1, 0, 3];
    request.push(u8::try_from(target.host.len()).unwrap_or(u8::MAX));
    request.extend(target.host.bytes().take(255));
    request.extend(target.port.to_be_bytes());
    stream.write_all(&request).await.map_err(network)?;
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).await.map_err(network)?;
    let [version, code, _, kind] = reply;
    if version != 5 || code != 0 {
        return Err(ProxyFault::SocksRefused(code));
    }
    let length = match kind {
        1 => 4,
        4 => 16,
        _ => usize::from(stream.read_u8().await.map_err(network)?),
    };
    let mut bound = vec![0; length + 2];
    stream.read_exact(&mut bound).await.map_err(network)?;
    Ok(Box::new(stream))
}
