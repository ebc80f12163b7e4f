//! A proxy for HTTP and HTTPS that takes names of hosts that do not exist to servers of the test.

use crate::{assert_loopback, runtime};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What `HTTPS_PROXY` and `HTTP_PROXY` name: tunnels by `CONNECT`, and plain requests in absolute form. Stops
/// when dropped.
pub struct ForwardProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    routes: BTreeMap<String, SocketAddr>,
    asked: Mutex<Vec<String>>,
}

/// A request head that is longer is not one of a client that is being tested.
const MAX_HEAD_BYTES: usize = 16 << 10;

impl ForwardProxy {
    /// A proxy that knows these hosts (without a port); all others are answered 403.
    pub fn start(routes: &[(&str, SocketAddr)]) -> Self {
        let routes = routes.iter().map(|(host, address)| {
            assert_loopback(*address);
            ((*host).to_owned(), *address)
        });
        let shared = Arc::new(Shared {
            routes: routes.collect(),
            asked: Mutex::default(),
        });
        let listener = runtime()
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let task = runtime().spawn(accept(listener, shared.clone()));
        Self {
            address,
            shared,
            task,
        }
    }

    /// Its URL, for `HTTPS_PROXY`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The hosts with their ports that were asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().clone()
    }
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // The connections end with the proxy.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(forward(stream, shared.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn forward(mut client: TcpStream, shared: Arc<Shared>) -> Option<()> {
    let head = read_head(&mut client).await?;
    let text = String::from_utf8_lossy(&head);
    let mut words = text.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let tunnel = method == "CONNECT";
    let authority = if tunnel {
        target
    } else {
        target.split_once("://")?.1.split('/').next()?
    };
    shared.asked.lock().push(authority.to_owned());
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    let Some(address) = shared.routes.get(host) else {
        let refused = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return client.write_all(refused).await.ok();
    };
    let mut server = TcpStream::connect(address).await.ok()?;
    if tunnel {
        client
            .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
            .await
            .ok()?;
    } else {
        // A server understands the absolute form too.
        server.write_all(&head).await.ok()?;
    }
    tokio::io::copy_bidirectional(&mut client, &mut server)
        .await
        .ok()?;
    Some(())
}

/// The head of a request with its blank line, and nothing of what follows.
async fn read_head(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > MAX_HEAD_BYTES {
            return None;
        }
        head.push(stream.read_u8().await.ok()?);
    }
    Some(head)
}
