//! For tests: a server on loopback that says exactly the bytes it is told to, and remembers what it was asked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gomod::SafeUrl;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{TlsRoots, UpstreamOptions};

/// What the server does with one connection, after it has read one request.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send(Vec<u8>),
    /// One byte at a time, with so long between them.
    Trickle(Vec<u8>, Duration),
    /// Says nothing more and keeps the connection open.
    Hang,
}

type Script = Arc<dyn Fn(usize, &str) -> Vec<Step> + Send + Sync>;

/// Ends with the test's runtime.
pub(crate) struct RawServer {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl RawServer {
    /// `script` gets the number of the request, from 0, and its head.
    pub(crate) async fn start(
        script: impl Fn(usize, &str) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(None, Arc::new(script)).await
    }

    /// The same at this address.
    pub(crate) async fn start_at(
        address: SocketAddr,
        script: impl Fn(usize, &str) -> Vec<Step> + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self::listening(listener, None, Arc::new(script)))
    }

    pub(crate) async fn start_tls(
        acceptor: TlsAcceptor,
        script: impl Fn(usize, &str) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(Some(acceptor), Arc::new(script)).await
    }

    async fn start_with(acceptor: Option<TlsAcceptor>, script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::listening(listener, acceptor, script)
    }

    fn listening(listener: TcpListener, acceptor: Option<TlsAcceptor>, script: Script) -> Self {
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (script, seen, acceptor) = (script.clone(), seen.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => converse(connection, script, seen).await,
                        Some(acceptor) => {
                            if let Ok(connection) = acceptor.accept(connection).await {
                                converse(connection, script, seen).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self) -> SafeUrl {
        SafeUrl::parse(&format!("http://{}", self.address)).unwrap()
    }

    /// The heads of the requests so far, in lower case.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().clone()
    }
}

async fn converse(
    mut connection: impl AsyncRead + AsyncWrite + Unpin,
    script: Script,
    seen: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match connection.read(&mut byte).await {
            Ok(1) => head.extend_from_slice(&byte),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let number = {
        let mut seen = seen.lock();
        seen.push(head.clone());
        seen.len() - 1
    };
    for step in script(number, &head) {
        let said = match step {
            Step::Send(bytes) => connection.write_all(&bytes).await,
            Step::Trickle(bytes, pause) => {
                let mut said = Ok(());
                for byte in bytes {
                    said = connection.write_all(&[byte]).await;
                    if said.is_err() {
                        break;
                    }
                    tokio::time::sleep(pause).await;
                }
                said
            }
            // The other side's patience ends first.
            Step::Hang => connection.read(&mut byte).await.map(drop),
        };
        if said.is_err() {
            return;
        }
    }
    let _ = connection.shutdown().await;
}

/// A whole answer. The connection closes behind it.
pub(crate) fn answer(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<Step> {
    let mut bytes = head(status, headers, Some(body.len()));
    bytes.extend_from_slice(body);
    vec![Step::Send(bytes)]
}

/// The head of an answer that announces so many bytes.
pub(crate) fn head(status: &str, headers: &[(&str, &str)], length: Option<usize>) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    if let Some(length) = length {
        head += &format!("Content-Length: {length}\r\n");
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    (head + "\r\n").into_bytes()
}

/// A port of loopback on which nobody listens.
pub(crate) async fn dead_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// Waits until somebody has asked so many times.
pub(crate) async fn until_asked(server: &RawServer, times: usize) {
    while server.requests().len() < times {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Options with time-outs that tests can wait for. They trust nobody.
pub(crate) fn impatient() -> UpstreamOptions {
    UpstreamOptions {
        connect_timeout: Duration::from_secs(5),
        stall_timeout: Duration::from_secs(5),
        minimum_rate_window: Duration::from_millis(250),
        first_backoff: Duration::from_millis(1),
        ..UpstreamOptions::new("test", TlsRoots::none())
    }
}
