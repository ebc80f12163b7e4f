//! One request and its answer, over a connection that stands.
//!
//! HTTP/2 where ALPN agreed on it, as Go's client does. Redirects are followed on the same host only; where
//! one leads elsewhere is told and not followed. Bodies are read up to a bound.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::{http1, http2};
use hyper::{Method, Request, Response, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use url::Url;

use crate::connect::{NetworkFault, Stream};
use crate::handshake::{FaultKind, fault_kind};
use crate::report::Answer;
use crate::target::Target;

/// Of a body no more is read.
const LARGEST_BODY_BYTES: usize = 256 << 10;

/// Of a body no more is kept: enough for a certificate.
const KEPT_BODY_BYTES: usize = 64 << 10;

/// Of a body no more is shown.
const SHOWN_BODY_BYTES: usize = 2048;

/// How long a connection takes to tell why it ended.
const MOMENT: Duration = Duration::from_millis(200);

/// Go's own bound.
const REDIRECTS: usize = 10;

/// An answer with what a diagnosis needs of it.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    pub(crate) answer: Answer,
    pub(crate) date: Option<Timestamp>,
    pub(crate) retry_after: Option<String>,
    pub(crate) asks: Option<String>,
    /// The connection ended before the body did.
    pub(crate) is_cut: bool,
    pub(crate) led: Led,
    /// The beginning of the body.
    pub(crate) body: Vec<u8>,
}

/// Where redirects led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Led {
    /// Nowhere, or to an answer of this host.
    Here,
    /// Round and round; the last Location as it was written.
    InCircles(String),
    /// From https to http.
    ToPlain { from: String, to: String },
    /// To another host, where nobody followed.
    Elsewhere(String),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HttpFault {
    Silent,
    Closed,
    Network(NetworkFault),
    Alert(u8),
    /// Something else than the protocol; the first bytes that came.
    Protocol {
        text: String,
        first: Vec<u8>,
    },
}

/// An HTTP connection.
pub(crate) struct Http {
    sender: Sender,
    first: Arc<Mutex<Vec<u8>>>,
    /// Ends with what went wrong outside of a request.
    driver: JoinHandle<Option<HttpFault>>,
}

enum Sender {
    One(http1::SendRequest<Empty<Bytes>>),
    Two(http2::SendRequest<Empty<Bytes>>),
}

impl Drop for Http {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Http {
    pub(crate) async fn over(
        stream: impl Stream + 'static,
        is_two: bool,
    ) -> Result<Self, HttpFault> {
        let first = Arc::new(Mutex::new(Vec::new()));
        let io = TokioIo::new(Recorded {
            stream,
            first: first.clone(),
        });
        fn fault(error: hyper::Error, first: &Mutex<Vec<u8>>) -> HttpFault {
            fault_of(&error, &first.lock())
        }
        if is_two {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io)
                .await
                .map_err(|error| fault(error, &first))?;
            let seen = first.clone();
            let driver = tokio::spawn(async move {
                let error = connection.await.err()?;
                Some(fault(error, &seen))
            });
            let sender = Sender::Two(sender);
            return Ok(Self {
                sender,
                first,
                driver,
            });
        }
        let (sender, connection) = http1::handshake(io)
            .await
            .map_err(|error| fault(error, &first))?;
        let seen = first.clone();
        let driver = tokio::spawn(async move {
            let error = connection.await.err()?;
            Some(fault(error, &seen))
        });
        let sender = Sender::One(sender);
        Ok(Self {
            sender,
            first,
            driver,
        })
    }

    /// GET, with redirects.
    pub(crate) async fn fetch(
        &mut self,
        target: &Target,
        manner: &Manner<'_>,
        time: Duration,
    ) -> Result<Fetched, HttpFault> {
        timeout(time, self.follow(target, manner))
            .await
            .unwrap_or(Err(HttpFault::Silent))
    }

    async fn follow(&mut self, target: &Target, manner: &Manner<'_>) -> Result<Fetched, HttpFault> {
        let mut target = target.clone();
        let mut redirects: Vec<String> = Vec::new();
        loop {
            let response = self.request(&target, manner).await?;
            let location = response
                .headers()
                .get("location")
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned);
            let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            let mut fetched = read(&target, response).await;
            fetched.answer.redirects.clone_from(&redirects);
            let Some(location) = location.filter(|_| is_redirect) else {
                return Ok(fetched);
            };
            let from = target.to_string();
            let next = Url::parse(&from).and_then(|base| base.join(&location));
            let Some(next) = next.ok().as_ref().and_then(Target::of) else {
                return Ok(fetched);
            };
            redirects.push(next.to_string());
            fetched.answer.redirects.clone_from(&redirects);
            let is_plain = target.scheme == crate::Scheme::Https && next.scheme != target.scheme;
            let led = if is_plain {
                let to = next.to_string();
                Some(Led::ToPlain { from, to })
            } else if next.host != target.host
                || next.port != target.port
                || next.scheme != target.scheme
            {
                Some(Led::Elsewhere(next.to_string()))
            } else if redirects.len() >= REDIRECTS {
                Some(Led::InCircles(location))
            } else {
                None
            };
            if let Some(led) = led {
                fetched.led = led;
                return Ok(fetched);
            }
            target = target.at(&next.path);
        }
    }

    async fn request(
        &mut self,
        target: &Target,
        manner: &Manner<'_>,
    ) -> Result<Response<Incoming>, HttpFault> {
        let is_two = matches!(self.sender, Sender::Two(_));
        let uri = if is_two || manner.is_proxied {
            target.to_string()
        } else {
            target.path.clone()
        };
        let mut request = Request::builder()
            .method(Method::GET)
            .uri(uri)
            .header("user-agent", "Go-http-client/1.1");
        if !is_two {
            request = request.header("host", target.short_authority());
        }
        if let Some(value) = manner.authorization {
            request = request.header("authorization", value);
        }
        if let Some(value) = manner.proxy_authorization {
            request = request.header("proxy-authorization", value);
        }
        let request = request
            .body(Empty::new())
            .map_err(|error| HttpFault::Protocol {
                text: error.to_string(),
                first: Vec::new(),
            })?;
        let result = match &mut self.sender {
            Sender::One(sender) => match sender.ready().await {
                Ok(()) => sender.send_request(request).await,
                Err(error) => Err(error),
            },
            Sender::Two(sender) => match sender.ready().await {
                Ok(()) => sender.send_request(request).await,
                Err(error) => Err(error),
            },
        };
        let error = match result {
            Ok(response) => return Ok(response),
            Err(error) => fault_of(&error, &self.first.lock()),
        };
        // An alert that comes before the request is sent ends the connection, and the request only hears that
        // it is closed.
        if error == HttpFault::Closed
            && let Ok(Ok(Some(fault))) = timeout(MOMENT, &mut self.driver).await
        {
            return Err(fault);
        }
        Err(error)
    }
}

/// How a request is sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner<'a> {
    pub(crate) authorization: Option<&'a str>,
    /// To a forward proxy, without a tunnel.
    pub(crate) is_proxied: bool,
    pub(crate) proxy_authorization: Option<&'a str>,
}

async fn read(target: &Target, response: Response<Incoming>) -> Fetched {
    let header = |name: &str| {
        let value = response.headers().get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let status = response.status();
    let reason = response
        .extensions()
        .get::<hyper::ext::ReasonPhrase>()
        .map(|phrase| String::from_utf8_lossy(phrase.as_bytes()).into_owned())
        .or_else(|| status.canonical_reason().map(str::to_owned))
        .unwrap_or_default();
    let date = header("date");
    let mut fetched = Fetched {
        date: date
            .as_deref()
            .and_then(|date| jiff::fmt::rfc2822::parse(date).ok())
            .map(|date| date.timestamp()),
        retry_after: header("retry-after"),
        asks: header("www-authenticate"),
        is_cut: false,
        led: Led::Here,
        body: Vec::new(),
        answer: Answer {
            url: target.to_string(),
            status: status.as_u16(),
            reason,
            content_type: header("content-type"),
            date,
            redirects: Vec::new(),
            body: String::new(),
        },
    };
    let mut body = response.into_body();
    let mut kept = Vec::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            fetched.is_cut = true;
            break;
        };
        if let Some(data) = frame.data_ref() {
            let room = KEPT_BODY_BYTES.saturating_sub(kept.len());
            kept.extend(data.iter().take(room));
            length += data.len();
        }
        if length > LARGEST_BODY_BYTES {
            break;
        }
    }
    let shown = kept.get(..SHOWN_BODY_BYTES).unwrap_or(&kept);
    fetched.answer.body = String::from_utf8_lossy(shown)
        .chars()
        .filter(|letter| !letter.is_control() || matches!(letter, '\n' | '\t'))
        .collect();
    fetched.body = kept;
    fetched
}

fn fault_of(error: &hyper::Error, first: &[u8]) -> HttpFault {
    let mut source: Option<&(dyn Error + 'static)> = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            match fault_kind(io) {
                FaultKind::Alert(number) => return HttpFault::Alert(number),
                FaultKind::Network(network) => return HttpFault::Network(network),
                FaultKind::Closed => return HttpFault::Closed,
                _ => break,
            }
        }
        source = inner.source();
    }
    if first.is_empty()
        && (error.is_incomplete_message() || error.is_closed() || error.is_canceled())
    {
        return HttpFault::Closed;
    }
    HttpFault::Protocol {
        text: error.to_string(),
        first: first.to_vec(),
    }
}

/// Keeps the first bytes that are read.
struct Recorded<S> {
    stream: S,
    first: Arc<Mutex<Vec<u8>>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Recorded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        const KEPT_BYTES: usize = 64;
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        let mut first = self.first.lock();
        if first.len() < KEPT_BYTES {
            let new = buffer.filled().get(before..).unwrap_or(&[]);
            let room = KEPT_BYTES - first.len();
            first.extend(new.iter().take(room));
        }
        drop(first);
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recorded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
