//! The lane's reading of a request's head, held to what hyper reads of the same bytes.

use std::cell::RefCell;
use std::future::{Future, ready};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::{Body as _, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, Version, header};
use proxy::serve::lane::head::{PlainMethod, Reading, read};

use super::Target;

pub(super) const REQUEST_HEAD: Target = Target {
    name: "request-head",
    run: request_head,
    corpus,
    words: &[
        b"GET /",
        b"HEAD /",
        b" HTTP/1.1\r\n",
        b" HTTP/1.0\r\n",
        b"http://a.b/",
        b"Host: a\r\n",
        b"host:b\r\n",
        b"Host : a\r\n",
        b"Accept: */*\r\n",
        b"Connection: keep-alive\r\n",
        b"Connection: close\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"Upgrade: h2c\r\n",
        b"Range: bytes=0-0\r\n",
        b"Via: 1.1 x\r\n",
        b"\r\n\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"\t",
        b" ",
        b":",
        b"%00",
        b"?",
        b"#",
        b"\x7f",
        b"\xff",
    ],
};

/// Heads as clients send them, and as those who would smuggle one do.
fn corpus() -> Vec<Vec<u8>> {
    let line = "GET /a.b/c/@v/v1.0.0.mod HTTP/1.1\r\n";
    let mut corpus = vec![
        format!(
            "{line}Host: 127.0.0.1:8080\r\nUser-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n\r\n"
        ),
        format!("{line}Host: a\r\n\r\n{line}Host: b\r\n\r\n"),
        format!("{line}Connection: keep-alive\r\nhOST:a\r\nX-Forwarded-For: ::1\r\n\r\nrest"),
        format!("{line}Host: a\r\nHost: a\r\n\r\n"),
        format!(
            "{line}Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        format!("{line}Host: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
        format!("{line}Host: a\r\nAccept: x\r\n folded\r\n\r\n"),
        format!("{line}Host: a\r\nAccept: x\nContent-Length: 9\r\n\r\n"),
        format!("{line}Host: a\r\nAccept: x\rContent-Length: 9\r\n\r\n"),
        format!("{line}Host: a\r\nAccept: \0\r\n\r\n"),
        format!("{line}Host: a\r\nAccept:\t\u{e9} \r\n\r\n"),
        format!("{line}Host: {}\r\n\r\n", "a".repeat(9000)),
        format!("{line}Host: a\r\nConnection: close\r\n\r\n"),
        line.replace('\r', "") + "Host: a\n\n",
        line.replace("GET", "get") + "Host: a\r\n\r\n",
        line.replace("1.1", "1.0") + "Host: a\r\n\r\n",
        line.replace("/a.b", "http://a.b") + "Host: a\r\n\r\n",
        line.replace("/a.b", "//a.b") + "Host: a\r\n\r\n",
        format!("\r\n{line}Host: a\r\n\r\n"),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
    ];
    for header in [
        "Range: bytes=0-0",
        "Authorization: Basic eDp5",
        "X-Unheard-Of: 1",
        "Keep-Alive: 5",
        "TE: trailers",
    ] {
        corpus.push(format!("{line}Host: a\r\n{header}\r\n\r\n{line}"));
    }
    corpus.push(line.replacen("GET", "HEAD", 1) + "Host: a\r\nAccept: */*\r\n\r\n");
    corpus.into_iter().map(String::into_bytes).collect()
}

/// What follows a head: nothing that a sender of the head could have written by chance.
const BEHIND: &[u8] = b"DELETE /behind?1 HTTP/1.1\r\nHost: behind\r\nX-Behind: 1\r\n\r\n";

/// What the lane takes, hyper reads in the same way, to the byte at which the next request begins; so it does
/// what the lane hands it alone; and what the lane waits for, hyper waits for too.
fn request_head(bytes: &[u8]) {
    let reading = read(bytes);
    let len_bytes = match &reading {
        Reading::Unusual => return,
        Reading::Incomplete => {
            let seen = by_hyper(bytes);
            assert!(seen.is_empty(), "hyper sees a request where the lane waits");
            return;
        }
        Reading::Plain(head) => head.len_bytes,
        Reading::Meaningful { len_bytes } => *len_bytes,
    };
    let (own, _) = bytes.split_at(len_bytes);
    assert_eq!(read(own), reading, "what follows matters");
    let shorter = own.split_last().map(|(_, shorter)| read(shorter));
    assert_eq!(shorter, Some(Reading::Incomplete), "it ended before");

    let seen = by_hyper(&[own, BEHIND].concat());
    let [first, behind] = &seen[..] else {
        panic!("hyper sees {} requests and not two", seen.len());
    };
    assert_eq!(first.version, Version::HTTP_11);
    assert!(first.has_no_body, "hyper sees a body");
    for (name, value) in &first.headers {
        check_framing(name.as_str(), value.as_bytes());
    }
    assert_eq!(first.headers.get_all(header::HOST).iter().count(), 1);
    assert_eq!(first.headers.len(), lines(own) - 1, "a header is missing");
    assert_eq!(
        (&behind.method, &*behind.target, behind.headers.len()),
        (&Method::DELETE, "/behind?1", 2)
    );
    if let Reading::Plain(head) = reading {
        let method = match head.method {
            PlainMethod::Get => Method::GET,
            PlainMethod::Head => Method::HEAD,
        };
        assert_eq!((&first.method, &*first.target), (&method, head.target));
        for name in first.headers.keys() {
            check_meaning(name.as_str());
        }
    } else {
        assert!(matches!(first.method, Method::GET | Method::HEAD));
        // Alone it is the same request, and nothing more is waited for.
        let alone = by_hyper(own);
        assert_eq!(alone.len(), 1);
    }
}

/// Fails on headers that frame a message or speak of its connection.
fn check_framing(name: &str, value: &[u8]) {
    const FRAMING: [&str; 8] = [
        "content-length",
        "transfer-encoding",
        "te",
        "trailer",
        "expect",
        "upgrade",
        "proxy-connection",
        "http2-settings",
    ];
    assert!(!FRAMING.contains(&name), "{name} frames");
    if name == "connection" {
        assert!(value.eq_ignore_ascii_case(b"keep-alive"), "{value:?}");
    }
}

/// Fails on headers that the server gives a meaning to.
fn check_meaning(name: &str) {
    const MEANING: [&str; 4] = ["range", "via", "disable-module-fetch", "authorization"];
    assert!(
        !MEANING.contains(&name) && !name.starts_with("if-"),
        "{name} has a meaning"
    );
}

/// Lines of a head, its empty one not counted.
fn lines(head: &[u8]) -> usize {
    head.iter().filter(|byte| **byte == b'\n').count() - 1
}

/// A request as hyper reads it.
struct Seen {
    method: Method,
    target: String,
    version: Version,
    headers: HeaderMap,
    has_no_body: bool,
}

/// The requests that hyper reads of a connection on which these bytes came, and no more.
fn by_hyper(bytes: &[u8]) -> Vec<Seen> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let (head, body) = request.into_parts();
        seen.borrow_mut().push(Seen {
            method: head.method,
            target: head.uri.to_string(),
            version: head.version,
            headers: head.headers,
            has_no_body: body.is_end_stream(),
        });
        ready(Ok::<_, io::Error>(Response::new(Empty::<Bytes>::new())))
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .max_buf_size(128 << 10)
        .serve_connection(Came(bytes.to_vec(), 0), service);
    let mut connection = pin!(connection);
    // All is there from the start, so nothing waits; hyper only pauses to let others have their turn.
    for _turn in 0..1000 {
        let polled = connection
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        if polled.is_ready() {
            return seen.take();
        }
    }
    panic!("hyper never ends");
}

/// A client that has sent these bytes, of which some are read, and that hears nothing.
struct Came(Vec<u8>, usize);

impl Read for Came {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut room: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let unread = self.0.get(self.1..).unwrap_or_default();
        let count = unread.len().min(room.remaining());
        room.put_slice(unread.get(..count).unwrap_or_default());
        self.1 += count;
        Poll::Ready(Ok(()))
    }
}

impl Write for Came {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
