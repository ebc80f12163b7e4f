//! TLS in front of a server that has none, under any name.

use crate::{TestCa, assert_loopback, runtime};
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Ends TLS with a certificate of a [`TestCa`] and hands the bytes on. Stops when dropped.
pub struct TlsRelay {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl TlsRelay {
    /// A relay to a server on loopback, with a certificate for these names besides `127.0.0.1` and `localhost`.
    pub fn start(ca: &TestCa, names: &[&str], to: SocketAddr) -> Self {
        assert_loopback(to);
        let acceptor = TlsAcceptor::from(ca.server_config(&["http/1.1"], names));
        let listener = runtime()
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let task = runtime().spawn(async move {
            // The connections end with the relay.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    let mut client = acceptor.accept(stream).await.ok()?;
                    let mut server = TcpStream::connect(to).await.ok()?;
                    tokio::io::copy_bidirectional(&mut client, &mut server)
                        .await
                        .ok()
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TlsRelay {
    fn drop(&mut self) {
        self.task.abort();
    }
}
