//! Forward proxies: what HTTPS_PROXY names, working or broken in one chosen way.

use super::listener::{Server, listen, swallow};
use super::web::read_request;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;

/// What a forward proxy answers to CONNECT.
#[derive(Clone)]
pub(crate) enum Tunnel {
    /// Opens a tunnel to the address that this table gives for `host:port`; 502 for every other.
    To(Arc<Vec<(String, SocketAddr)>>),
    /// This whole answer, then the end.
    Answer(&'static str),
    /// Only the end.
    Hangup,
    /// Nothing.
    Silence,
}

/// A forward proxy on loopback.
pub(crate) fn http_proxy(tunnel: Tunnel) -> Server {
    listen(move |stream| answer(stream, tunnel.clone()))
}

/// A working one that finds these names.
pub(crate) fn tunnel_to(names: &[(&str, SocketAddr)]) -> Server {
    let names = names
        .iter()
        .map(|(name, address)| ((*name).to_owned(), *address));
    http_proxy(Tunnel::To(Arc::new(names.collect())))
}

async fn answer(mut stream: TcpStream, tunnel: Tunnel) {
    let Some(request) = read_request(&mut stream).await else {
        return;
    };
    match tunnel {
        Tunnel::Answer(bytes) => {
            let _ = stream.write_all(bytes.as_bytes()).await;
            let _ = stream.shutdown().await;
            let brief = std::time::Duration::from_secs(2);
            let _ = tokio::time::timeout(brief, swallow(&mut stream)).await;
        }
        Tunnel::Hangup => {
            let _ = stream.shutdown().await;
        }
        Tunnel::Silence => swallow(&mut stream).await,
        Tunnel::To(names) => {
            // `CONNECT host:port`, or `GET http://host/path` of a client that speaks plain HTTP.
            let plain = request.target.strip_prefix("http://").map(|rest| {
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                let port = if host.contains(':') { "" } else { ":80" };
                (format!("{host}{port}"), format!("/{path}"))
            });
            let wanted = plain.as_ref().map_or(&request.target, |(host, _)| host);
            let known = names.iter().find(|(name, _)| name == wanted);
            let upstream = match known {
                Some((_, address)) => TcpStream::connect(address).await.ok(),
                None => None,
            };
            let Some(mut upstream) = upstream else {
                let _ = stream
                    .write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                    .await;
                return;
            };
            let opening = match &plain {
                None => {
                    stream
                        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                        .await
                }
                Some((host, path)) => {
                    let head = format!(
                        "{} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
                        request.method
                    );
                    upstream.write_all(head.as_bytes()).await
                }
            };
            if opening.is_ok() {
                let _ = copy_bidirectional(&mut stream, &mut upstream).await;
            }
        }
    }
}
