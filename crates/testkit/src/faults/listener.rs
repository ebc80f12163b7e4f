//! Listeners on loopback that answer a connection in one chosen way.

use crate::{assert_loopback, runtime};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A server of the lab. Stops when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// No connection of the lab lives longer, whatever its client does.
const LONGEST: Duration = Duration::from_secs(150);

/// Answers every connection with a task of `answer`.
pub(crate) fn listen<F>(answer: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    let address: SocketAddr = ([127, 0, 0, 1], 0).into();
    assert_loopback(address);
    let listener = runtime().block_on(TcpListener::bind(address)).unwrap();
    let address = listener.local_addr().unwrap();
    let task = runtime().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(tokio::time::timeout(LONGEST, answer(stream)));
        }
    });
    Server { address, task }
}

/// What happens to a connection below TLS.
#[derive(Clone)]
pub(crate) enum Wire {
    /// RST as soon as it is accepted.
    ResetAtOnce,
    /// Nothing, ever.
    Silence,
    /// These bytes at once, as servers greet that speak first; then what comes is swallowed.
    Greet(Vec<u8>),
    /// FIN after the first bytes came.
    CloseAfterHello,
    /// RST after the first bytes came.
    ResetAfterHello,
    /// These bytes after the first bytes came, then FIN.
    Answer(Vec<u8>),
}

/// A listener that speaks no TLS.
pub(crate) fn wire(wire: Wire) -> Server {
    listen(move |stream| misbehave(stream, wire.clone()))
}

/// Treats one connection so.
pub(crate) async fn misbehave(mut stream: TcpStream, wire: Wire) {
    match wire {
        Wire::ResetAtOnce => {
            // The client must have seen that it is connected, or it would call this a failed dial.
            tokio::time::sleep(Duration::from_millis(20)).await;
            reset(stream);
        }
        Wire::Silence => swallow(&mut stream).await,
        Wire::Greet(bytes) => {
            let _ = stream.write_all(&bytes).await;
            swallow(&mut stream).await;
        }
        Wire::CloseAfterHello => {
            if read_some(&mut stream).await {
                let _ = stream.shutdown().await;
                // What else arrives is read, or the kernel would say RST rather than FIN.
                swallow_briefly(&mut stream).await;
            }
        }
        Wire::ResetAfterHello => {
            if read_some(&mut stream).await {
                reset(stream);
            }
        }
        Wire::Answer(bytes) => {
            if read_some(&mut stream).await {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                swallow_briefly(&mut stream).await;
            }
        }
    }
}

/// A TLS alert record of this number (RFC 8446, section 6).
pub(crate) fn alert(number: u8) -> Vec<u8> {
    vec![21, 3, 3, 0, 2, 2, number]
}

/// The type of a TLS record that carries handshake messages.
pub(crate) const HANDSHAKE: u8 = 22;

/// The first record of a connection, without taking it from the stream.
pub(crate) async fn peek_record(stream: &TcpStream) -> Vec<u8> {
    let mut buffer = vec![0; 16 * 1024 + 5];
    loop {
        let Ok(have) = stream.peek(&mut buffer).await else {
            return Vec::new();
        };
        if have > 0 && buffer[0] != HANDSHAKE {
            buffer.truncate(have);
            return buffer;
        }
        let wanted = match buffer.get(3..5) {
            Some(length) if have >= 5 => {
                5 + usize::from(u16::from_be_bytes([length[0], length[1]]))
            }
            _ => 5,
        };
        if have >= wanted || have == 0 || have == buffer.len() {
            buffer.truncate(have);
            return buffer;
        }
        // Peeking again at once would spin: more is readable only when it arrives.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The server name of a ClientHello, where it has one.
pub(crate) fn server_name(record: &[u8]) -> Option<String> {
    let mut acceptor = rustls::server::Acceptor::default();
    acceptor.read_tls(&mut &record[..]).ok()?;
    let accepted = acceptor.accept().ok()??;
    Some(accepted.client_hello().server_name()?.to_owned())
}

/// Closes with RST.
pub(crate) fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
}

async fn read_some(stream: &mut TcpStream) -> bool {
    let mut buffer = vec![0; 16 * 1024];
    stream.read(&mut buffer).await.is_ok_and(|count| count > 0)
}

/// Reads until the client hangs up.
pub(crate) async fn swallow(stream: &mut TcpStream) {
    let mut buffer = vec![0; 4096];
    while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
}

async fn swallow_briefly(stream: &mut TcpStream) {
    let _ = tokio::time::timeout(Duration::from_secs(2), swallow(stream)).await;
}

/// A port where nothing listens, and nothing else will for as long as the tests run: it is taken by a socket
/// that never listens.
pub(crate) fn closed_port() -> SocketAddr {
    use rustix::net::{AddressFamily, SocketType, bind, socket};
    static TAKEN: Mutex<Vec<rustix::fd::OwnedFd>> = Mutex::new(Vec::new());
    let taken = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let free: SocketAddr = ([127, 0, 0, 1], 0).into();
    bind(&taken, &free).unwrap();
    let address = rustix::net::getsockname(&taken).unwrap();
    TAKEN.lock().push(taken);
    address.try_into().unwrap()
}

/// A listener that drops every SYN because its backlog is full, and the connections that fill it.
pub(crate) struct FullBacklog {
    pub(crate) address: SocketAddr,
    _listener: rustix::fd::OwnedFd,
    _filling: Vec<std::net::TcpStream>,
}

/// Fills a backlog of one: from then on no SYN is answered.
pub(crate) fn full_backlog() -> Arc<FullBacklog> {
    use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let free: SocketAddr = ([127, 0, 0, 1], 0).into();
    bind(&listener, &free).unwrap();
    listen(&listener, 0).unwrap();
    let address: SocketAddr = rustix::net::getsockname(&listener)
        .unwrap()
        .try_into()
        .unwrap();
    let mut filling = Vec::new();
    while let Ok(stream) =
        std::net::TcpStream::connect_timeout(&address, Duration::from_millis(300))
    {
        filling.push(stream);
        assert!(filling.len() < 16, "a backlog that never fills");
    }
    Arc::new(FullBacklog {
        address,
        _listener: listener,
        _filling: filling,
    })
}
