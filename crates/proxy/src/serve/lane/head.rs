//! The lane's reading of a request's head: the plain usual one, or nothing.
//!
//! The parser is the one that hyper uses, so that both have one opinion of the bytes; what it lets
//! pass and others read differently (bare line feeds, for one) is left to hyper as a whole. Headers
//! that the lane knows to be without meaning here are named, not those that have one: a header that
//! nobody thought of goes to hyper, whose way gives it its meaning.

/// Headers read at most; the go command sends four, a proxy before us some more.
const HEADERS: usize = 32;

/// What the bytes that came so far are to the lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading<'bytes> {
    /// The beginning of what may become a plain request.
    Incomplete,
    /// A whole head of a request without a body, and nothing in it that has a meaning of its own.
    Plain(PlainHead<'bytes>),
    /// Anything else: another method or version, a body, a header with a meaning, a fault.
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
    match plain(bytes, &request, len_bytes) {
        Some(head) => Reading::Plain(head),
        None => Reading::Unusual,
    }
}

/// False as soon as the first bytes can no longer become `GET /` or `HEAD /`.
fn begins_plainly(bytes: &[u8]) -> bool {
    [&b"GET /"[..], b"HEAD /"].iter().any(|beginning| {
        let both = beginning.len().min(bytes.len());
        beginning.get(..both) == bytes.get(..both)
    })
}

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
        && lines_end_with_both(bytes.get(..len_bytes)?)
        && headers_are_plain(request.headers);
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

fn headers_are_plain(headers: &[httparse::Header<'_>]) -> bool {
    let mut hosts = 0;
    for header in headers {
        if !header.value.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            return false;
        }
        if header.name.eq_ignore_ascii_case("host") {
            hosts += 1;
            continue;
        }
        let is_plain = if header.name.eq_ignore_ascii_case("connection") {
            header.value.eq_ignore_ascii_case(b"keep-alive")
        } else {
            WITHOUT_MEANING
                .iter()
                .any(|name| header.name.eq_ignore_ascii_case(name))
        };
        if !is_plain {
            return false;
        }
    }
    hosts == 1
}

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
