//! The lane's reading of a request's head: the plain usual one, or nothing.
//!
//! The parser is the one that hyper uses, so that both have one opinion of the bytes; what it lets
//! pass and others read differently (bare line feeds, for one) is left to hyper as a whole. Headers
//! that the lane knows to be without meaning here are named, not those that have one: a header that
//! nobody thought of goes to hyper, whose way gives it its meaning. What frames a message is named, too
//! (RFC 9112, section 6): without any of it the request ends with its head, so that the connection can
//! come back.

/// Headers read at most; the go command sends four, a proxy before us some more.
const HEADERS: usize = 32;

/// What the bytes that came so far are to the lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading<'bytes> {
    /// The beginning of what may become a plain request.
    Incomplete,
    /// A whole head of a request without a body, and nothing in it that has a meaning of its own.
    Plain(PlainHead<'bytes>),
    /// A whole head of a request without a body, whose headers mean something to the long way.
    Meaningful {
        /// Bytes of the head with its empty line: the next request begins there.
        len_bytes: usize,
    },
    /// Anything else: another method or version, a body, something about the connection itself, a fault.
    Unusual,
}

/// A request that is all said with its method and target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainHead<'bytes> {
    /// GET or HEAD.
    pub method: PlainMethod,
    /// The target: a path of letters, digits and `!-./@_~+`, without query and percent-escapes.
    pub target: &'bytes str,
    /// Bytes of the head with its empty line: the next request begins there.
    pub len_bytes: usize,
}

/// The methods that the lane answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainMethod {
    /// The file.
    Get,
    /// What GET would say, without the file.
    Head,
}

/// Reads the head at the beginning of `bytes`.
pub fn read(bytes: &[u8]) -> Reading<'_> {
    if !begins_plainly(bytes) {
        return Reading::Unusual;
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let len_bytes = match request.parse(bytes) {
        Ok(httparse::Status::Complete(len_bytes)) => len_bytes,
        Ok(httparse::Status::Partial) => return Reading::Incomplete,
        Err(_) => return Reading::Unusual,
    };
    match (plain(bytes, &request, len_bytes), meaning(request.headers)) {
        (Some(head), Meaning::Nothing) => Reading::Plain(head),
        (Some(_), Meaning::Something) => Reading::Meaningful { len_bytes },
        (Some(_), Meaning::Framing) | (None, _) => Reading::Unusual,
    }
}

/// False as soon as the first bytes can no longer become `GET /` or `HEAD /`.
fn begins_plainly(bytes: &[u8]) -> bool {
    [&b"GET /"[..], b"HEAD /"].iter().any(|beginning| {
        let both = beginning.len().min(bytes.len());
        beginning.get(..both) == bytes.get(..both)
    })
}

/// Whatever its headers mean.
fn plain<'bytes>(
    bytes: &[u8],
    request: &httparse::Request<'_, 'bytes>,
    len_bytes: usize,
) -> Option<PlainHead<'bytes>> {
    let method = match request.method? {
        "GET" => PlainMethod::Get,
        "HEAD" => PlainMethod::Head,
        _ => return None,
    };
    let target = request.path?;
    let is_plain = request.version == Some(1)
        && target.bytes().all(is_plain_in_target)
        && lines_end_with_both(bytes.get(..len_bytes)?);
    is_plain.then_some(PlainHead {
        method,
        target,
        len_bytes,
    })
}

fn is_plain_in_target(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'/' | b'.' | b'-' | b'_' | b'!' | b'@' | b'~' | b'+')
}

/// True if each line ends with CR LF and neither stands alone. The parser takes a bare LF for the end
/// of a line; a proxy before us may not, and would see the request end elsewhere (RFC 9112, section 2.2).
fn lines_end_with_both(head: &[u8]) -> bool {
    let mut before = 0;
    for &byte in head {
        if (byte == b'\n') != (before == b'\r') {
            return false;
        }
        before = byte;
    }
    before == b'\n'
}

/// What headers say that matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Meaning {
    Nothing,
    /// Something about the answer.
    Something,
    /// Where the message ends, what becomes of the connection, or nothing that is allowed.
    Framing,
}

fn meaning(headers: &[httparse::Header<'_>]) -> Meaning {
    let mut hosts = 0;
    let mut most = Meaning::Nothing;
    for header in headers {
        if !header.value.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            return Meaning::Framing;
        }
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let meaning = if is("host") {
            hosts += 1;
            Meaning::Nothing
        } else if is("connection") && header.value.eq_ignore_ascii_case(b"keep-alive") {
            Meaning::Nothing
        } else if FRAMING.iter().any(|name| is(name)) {
            Meaning::Framing
        } else if WITHOUT_MEANING.iter().any(|name| is(name)) {
            Meaning::Nothing
        } else {
            Meaning::Something
        };
        most = most.max(meaning);
    }
    if hosts == 1 { most } else { Meaning::Framing }
}

/// Headers that frame a message, or that speak of the connection (RFC 9110, section 7.6.1).
const FRAMING: &[&str] = &[
    "content-length",
    "transfer-encoding",
    "connection",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
];

/// Headers that change nothing about an answer here: what clients say of themselves, and what proxies
/// and tracing add. None of them frames the message.
const WITHOUT_MEANING: &[&str] = &[
    "user-agent",
    "accept",
    "accept-encoding",
    "accept-language",
    "accept-charset",
    "cache-control",
    "pragma",
    "referer",
    "dnt",
    "from",
    "priority",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-real-ip",
    "x-request-id",
    "x-correlation-id",
    "traceparent",
    "tracestate",
    "baggage",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-user",
    "upgrade-insecure-requests",
];

#[cfg(test)]
mod tests;
