//! HTTP/2 for the healthy controls: hyper's server over the same answers.

use super::web::{Reply, Request, Web};
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use tokio::io::{AsyncRead, AsyncWrite};

/// Serves one connection until it ends.
pub(super) async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, web: Web) {
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let answer = web(&Request {
            method: request.method().to_string(),
            target: request
                .uri()
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
        });
        async move { Ok::<_, Infallible>(response(answer)) }
    });
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// The HTTP/1.1 answer said again for HTTP/2: status, type, place and body.
fn response(reply: Reply) -> http::Response<Full<Bytes>> {
    let (Reply::Bytes(bytes) | Reply::Last(bytes)) = reply else {
        panic!("only whole answers are served over HTTP/2");
    };
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let status: u16 = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let mut response = http::Response::builder().status(status);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        response = response.header(name, value);
    }
    response
        .body(Full::new(Bytes::copy_from_slice(&bytes[end + 4..])))
        .unwrap()
}
