//! What the lab's HTTP servers answer, byte for byte: half of the faults are answers that no HTTP
//! library would write.

use crate::Module;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// One request, as far as the lab cares.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// As it stands in the request line.
    pub(crate) target: String,
}

/// One answer.
pub(crate) enum Reply {
    /// These bytes; the connection stays open.
    Bytes(Vec<u8>),
    /// These bytes, then the end.
    Last(Vec<u8>),
    /// The end.
    Hangup,
    /// Nothing, until the client gives up.
    Silence,
}

/// What a server answers to which request.
pub(crate) type Web = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

/// A whole, well-formed answer.
pub(crate) fn reply(status: u16, reason: &str, content_type: &str, body: &[u8]) -> Reply {
    reply_with(status, reason, &[("Content-Type", content_type)], body)
}

/// As [`reply`], with these headers.
pub(crate) fn reply_with(
    status: u16,
    reason: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let now = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT");
    let mut text = format!("HTTP/1.1 {status} {reason}\r\n");
    if !headers.iter().any(|(name, _)| *name == "Date") {
        text.push_str(&format!("Date: {now}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    let mut bytes = text.into_bytes();
    bytes.extend(body);
    Reply::Bytes(bytes)
}

/// The module whose files the lab's proxies serve.
pub(crate) fn module() -> Module {
    Module::new("example.lab/m", "v1.0.0")
}

/// A GOPROXY with one module version, and nothing else.
pub(crate) fn module_proxy() -> Web {
    module_proxy_of(module())
}

/// A GOPROXY with this module version.
pub(crate) fn module_proxy_of(module: Module) -> Web {
    Arc::new(move |request| {
        let path = request.target.trim_start_matches('/');
        let below = |rest: &str| path == format!("{}/{rest}", crate::escape(module.path()));
        let file = |extension: &str| below(&format!("@v/{}.{extension}", module.version()));
        if below("@v/list") {
            let list = format!("{}\n", module.version());
            reply(200, "OK", "text/plain; charset=utf-8", list.as_bytes())
        } else if below("@latest") || file("info") {
            reply(200, "OK", "application/json", &module.info())
        } else if file("mod") {
            reply(
                200,
                "OK",
                "text/plain; charset=utf-8",
                &module.go_mod_file(),
            )
        } else if file("zip") {
            reply(200, "OK", "application/zip", &module.zip())
        } else {
            let words = format!(
                "not found: {}: unknown revision {}",
                module.name(),
                module.version()
            );
            reply(
                404,
                "Not Found",
                "text/plain; charset=utf-8",
                words.as_bytes(),
            )
        }
    })
}

/// The same answer to everything.
pub(crate) fn always(
    status: u16,
    reason: &'static str,
    content_type: &'static str,
    body: &'static str,
) -> Web {
    Arc::new(move |_| reply(status, reason, content_type, body.as_bytes()))
}

/// A login page, as a captive portal shows it.
pub(crate) const LOGIN_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Guest network login</title></head>\
    <body><form action=\"/login\">Please sign in</form></body></html>\n";

/// Serves one connection until it ends.
pub(crate) async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, web: Web) {
    while let Some(request) = read_request(&mut stream).await {
        if request.method == NOISE {
            let answer = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nbad request";
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
            let mut buffer = [0; 1024];
            while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
            return;
        }
        match web(&request) {
            Reply::Bytes(bytes) => {
                let bytes = if request.method == "HEAD" {
                    head_of(bytes)
                } else {
                    bytes
                };
                if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
            Reply::Last(bytes) => {
                let _ = stream.write_all(&bytes).await;
                break;
            }
            Reply::Hangup => break,
            Reply::Silence => {
                let mut buffer = [0; 1024];
                while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
                return;
            }
        }
    }
    let _ = stream.shutdown().await;
}

fn head_of(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
        bytes.truncate(end + 4);
    }
    bytes
}

/// The method of what is no request.
const NOISE: &str = "";

/// The head of the next request; requests of the lab have no body worth reading.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 64 * 1024 {
            return None;
        }
        head.push(stream.read_u8().await.ok()?);
        // What begins like this is no request, and has no end to wait for.
        if !head[0].is_ascii_alphabetic() {
            return Some(Request {
                method: NOISE.into(),
                target: String::new(),
            });
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut words = head.lines().next()?.split(' ');
    Some(Request {
        method: words.next()?.to_owned(),
        target: words.next()?.to_owned(),
    })
}
