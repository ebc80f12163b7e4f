//! HTTP/2 clients, with prior knowledge or over TLS.
use crate::{Answer, Ending, Head, TestCa, assert_loopback, patience, runtime};
use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// One HTTP/2 connection.
pub struct Http2 {
    sender: SendRequest<Empty<Bytes>>,
    authority: String,
}

impl Http2 {
    /// Connects without TLS.
    pub fn open(address: SocketAddr) -> Self {
        bounded(async {
            let stream = TokioIo::new(dial(address).await);
            let (sender, connection) = handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(connection);
            Self {
                sender,
                authority: format!("http://{address}"),
            }
        })
    }

    /// Connects with TLS, trusting `ca` alone. Fails unless the server chooses `h2` by ALPN.
    pub fn open_tls(address: SocketAddr, ca: &TestCa) -> Self {
        let connector = TlsConnector::from(ca.client_config(&["h2"]));
        bounded(async {
            let name = rustls::pki_types::ServerName::from(address.ip());
            let stream = connector.connect(name, dial(address).await).await.unwrap();
            assert_eq!(
                stream.get_ref().1.alpn_protocol(),
                Some(&b"h2"[..]),
                "protocol by ALPN"
            );
            let stream = TokioIo::new(stream);
            let (sender, connection) = handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(connection);
            Self {
                sender,
                authority: format!("https://{address}"),
            }
        })
    }

    /// Asks and reads the whole answer.
    pub fn ask(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.begin(method, target, headers).answer()
    }

    /// Asks and reads the answer meanwhile, so that several requests may be under way.
    pub fn begin(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> UnderWay {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{target}", self.authority))
            .version(Version::HTTP_2);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::new()).unwrap();
        UnderWay(runtime().spawn(exchange(self.sender.clone(), request)))
    }
}

/// A request whose answer is being read.
pub struct UnderWay(tokio::task::JoinHandle<Answer>);

impl UnderWay {
    /// The whole answer.
    pub fn answer(self) -> Answer {
        bounded(self.0).unwrap()
    }

    /// True once [`UnderWay::answer`] has nothing to wait for.
    pub fn is_answered(&self) -> bool {
        self.0.is_finished()
    }
}

async fn exchange(mut sender: SendRequest<Empty<Bytes>>, request: Request<Empty<Bytes>>) -> Answer {
    let response = sender.send_request(request).await.expect("an answer");
    let (parts, mut incoming) = response.into_parts();
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (
            name.to_string(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    };
    let head = Head {
        status: parts.status.as_u16(),
        headers: parts.headers.iter().map(header).collect(),
    };
    let mut body = Vec::new();
    let mut ending = Ending::Complete;
    while let Some(frame) = incoming.frame().await {
        match frame {
            Ok(frame) => body.extend(frame.into_data().unwrap_or_default()),
            Err(_) => {
                ending = Ending::CutShort;
                break;
            }
        }
    }
    Answer { head, body, ending }
}

async fn dial(address: SocketAddr) -> TcpStream {
    assert_loopback(address);
    TcpStream::connect(address).await.unwrap()
}

fn bounded<T>(work: impl Future<Output = T>) -> T {
    let bounded = async { tokio::time::timeout(patience(), work).await };
    runtime()
        .block_on(bounded)
        .expect("done within the patience of the tests")
}
