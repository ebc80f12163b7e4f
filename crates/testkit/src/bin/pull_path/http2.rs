//! A load generator for HTTP/2 over TLS 1.3: a few connections, several streams on each, one request outstanding
//! on every stream. It checks status and length of every answer.

use crate::figures::Process;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde::Serialize;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::assert_loopback;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const CONNECTIONS: usize = 8;
const STREAMS: usize = 4;
/// An answer that takes longer is an error.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Serialize)]
pub(crate) struct Answered {
    requests: u64,
    seconds: f64,
    client_cpu_us: u64,
}

pub(crate) fn load(
    address: SocketAddr,
    authority: &Path,
    path: &str,
    length: u64,
    time: Duration,
) -> Answered {
    assert_loopback(address);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let connector = TlsConnector::from(Arc::new(trusting(authority)));
    let uri: http::Uri = format!("https://{address}{path}").parse().unwrap();
    runtime.block_on(async {
        let mut senders = Vec::new();
        for _ in 0..CONNECTIONS {
            senders.push(connect(&connector, address).await);
        }
        let process = Process(std::process::id());
        let (cpu_before, began) = (process.cpu(), Instant::now());
        let mut streams = tokio::task::JoinSet::new();
        for sender in &senders {
            for _ in 0..STREAMS {
                streams.spawn(ask_until(sender.clone(), uri.clone(), length, began + time));
            }
        }
        let requests = streams.join_all().await.iter().sum();
        Answered {
            requests,
            seconds: began.elapsed().as_secs_f64(),
            client_cpu_us: (process.cpu() - cpu_before).as_micros() as u64,
        }
    })
}

fn trusting(authority: &Path) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(authority).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

async fn connect(connector: &TlsConnector, address: SocketAddr) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let name = ServerName::from(address.ip());
    let stream = connector.connect(name, stream).await.unwrap();
    let protocol = stream.get_ref().1.alpn_protocol();
    assert_eq!(protocol, Some(&b"h2"[..]), "protocol by ALPN");
    let stream = TokioIo::new(stream);
    let (sender, connection) = handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn ask_until(
    mut sender: SendRequest<Empty<Bytes>>,
    uri: http::Uri,
    length: u64,
    until: Instant,
) -> u64 {
    let mut answered = 0;
    while Instant::now() < until {
        let request = http::Request::get(uri.clone()).body(Empty::new()).unwrap();
        let answer = async {
            let mut response = sender.send_request(request).await.unwrap();
            assert_eq!(response.status(), 200);
            let mut taken = 0;
            while let Some(frame) = response.frame().await {
                taken += frame.unwrap().data_ref().map_or(0, Bytes::len) as u64;
            }
            assert_eq!(taken, length, "length of the body");
        };
        tokio::time::timeout(PATIENCE, answer)
            .await
            .expect("an answer");
        answered += 1;
    }
    answered
}
