//! Conditions and ranges on files (RFC 9110, sections 13 and 14). One range at a time: an answer to
//! several would be larger than the file, and no module client asks for it.

use std::ops::Range;

use http::{HeaderMap, Method, header};

/// What a request's conditions and range ask of a file that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// These bytes of it.
    Part(Range<u64>),
    /// Nothing: the client has it (304).
    NotModified,
    /// Nothing: the client wants another file than this (412).
    PreconditionFailed,
    /// Nothing: no byte of the range exists (416).
    Unsatisfiable,
}

/// True if the answer depends on the ETag or the length of the whole file, so that a file which is
/// still arriving must be waited for.
pub(super) fn needs_whole_file(headers: &HeaderMap) -> bool {
    [
        header::RANGE,
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        header::IF_RANGE,
    ]
    .iter()
    .any(|name| headers.contains_key(name))
}

/// Evaluates in the order of RFC 9110, section 13.2.2. `etag` is the strong tag with its quotes.
pub(super) fn wanted(method: &Method, headers: &HeaderMap, etag: &str, len_bytes: u64) -> Wanted {
    if headers.contains_key(header::IF_MATCH)
        && !any_tag(headers, header::IF_MATCH, etag, Weak::Differs)
    {
        return Wanted::PreconditionFailed;
    }
    if any_tag(headers, header::IF_NONE_MATCH, etag, Weak::Matches) {
        return Wanted::NotModified;
    }
    if method != Method::GET {
        return Wanted::Whole;
    }
    let Some(range) = headers
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok())
    else {
        return Wanted::Whole;
    };
    // A date in If-Range is never a strong validator here, so it asks for the whole.
    let still_the_same = headers
        .get(header::IF_RANGE)
        .is_none_or(|tag| tag.as_bytes() == etag.as_bytes());
    if !still_the_same {
        return Wanted::Whole;
    }
    match single_range(range, len_bytes) {
        Parsed::Ignored => Wanted::Whole,
        Parsed::Satisfiable(range) => Wanted::Part(range),
        Parsed::Unsatisfiable => Wanted::Unsatisfiable,
    }
}

/// How weak tags (`W/"…"`) compare (RFC 9110, section 8.8.3.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weak {
    Matches,
    Differs,
}

fn any_tag(headers: &HeaderMap, name: header::HeaderName, etag: &str, weak: Weak) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| match tag.strip_prefix("W/") {
            _ if tag == "*" => true,
            Some(opaque) => weak == Weak::Matches && opaque == etag,
            None => tag == etag,
        })
}

enum Parsed {
    Ignored,
    Satisfiable(Range<u64>),
    Unsatisfiable,
}

fn single_range(value: &str, len_bytes: u64) -> Parsed {
    let Some(set) = value.trim().strip_prefix("bytes=") else {
        return Parsed::Ignored;
    };
    let Some((first, last)) = set.trim().split_once('-') else {
        return Parsed::Ignored;
    };
    let number = |text: &str| {
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let range = match (first.trim(), last.trim()) {
        ("", suffix) => match number(suffix) {
            Some(suffix) => len_bytes.saturating_sub(suffix)..len_bytes,
            None => return Parsed::Ignored,
        },
        (first, "") => match number(first) {
            Some(first) => first..len_bytes,
            None => return Parsed::Ignored,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => {
                first..last.saturating_add(1).min(len_bytes)
            }
            _ => return Parsed::Ignored,
        },
    };
    if range.start < range.end {
        Parsed::Satisfiable(range)
    } else {
        Parsed::Unsatisfiable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: &str = "\"abc\"";

    #[track_caller]
    fn check(method: Method, headers: &[(header::HeaderName, &'static str)], expected: Wanted) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value.parse().expect("a header value"));
        }
        assert_eq!(wanted(&method, &map, ETAG, 100), expected, "{headers:?}");
    }

    #[test]
    fn ranges_are_served_as_the_rfc_says() {
        use header::RANGE;
        check(Method::GET, &[], Wanted::Whole);
        check(Method::GET, &[(RANGE, "bytes=0-0")], Wanted::Part(0..1));
        check(Method::GET, &[(RANGE, "bytes=10-19")], Wanted::Part(10..20));
        check(Method::GET, &[(RANGE, "bytes=90-")], Wanted::Part(90..100));
        check(
            Method::GET,
            &[(RANGE, "bytes=90-1000")],
            Wanted::Part(90..100),
        );
        check(Method::GET, &[(RANGE, "bytes=-10")], Wanted::Part(90..100));
        check(Method::GET, &[(RANGE, "bytes=-1000")], Wanted::Part(0..100));
        check(Method::GET, &[(RANGE, "bytes=100-")], Wanted::Unsatisfiable);
        check(Method::GET, &[(RANGE, "bytes=-0")], Wanted::Unsatisfiable);
        check(
            Method::GET,
            &[(RANGE, "bytes=99999999999999999999999-")],
            Wanted::Unsatisfiable,
        );
        check(Method::GET, &[(RANGE, "bytes=20-10")], Wanted::Whole);
        check(Method::GET, &[(RANGE, "bytes=0-1,5-6")], Wanted::Whole);
        check(Method::GET, &[(RANGE, "lines=0-1")], Wanted::Whole);
        check(Method::GET, &[(RANGE, "bytes=+1-2")], Wanted::Whole);
        check(Method::HEAD, &[(RANGE, "bytes=0-0")], Wanted::Whole);
    }

    #[test]
    fn conditions_come_before_ranges() {
        use header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};
        check(
            Method::GET,
            &[(IF_NONE_MATCH, "\"abc\"")],
            Wanted::NotModified,
        );
        check(
            Method::HEAD,
            &[(IF_NONE_MATCH, "W/\"abc\"")],
            Wanted::NotModified,
        );
        check(
            Method::GET,
            &[(IF_NONE_MATCH, "\"x\", \"abc\"")],
            Wanted::NotModified,
        );
        check(Method::GET, &[(IF_NONE_MATCH, "*")], Wanted::NotModified);
        check(Method::GET, &[(IF_NONE_MATCH, "\"x\"")], Wanted::Whole);
        check(
            Method::GET,
            &[(IF_MATCH, "\"x\"")],
            Wanted::PreconditionFailed,
        );
        check(
            Method::GET,
            &[(IF_MATCH, "W/\"abc\"")],
            Wanted::PreconditionFailed,
        );
        check(Method::GET, &[(IF_MATCH, "\"abc\"")], Wanted::Whole);
        check(
            Method::GET,
            &[(RANGE, "bytes=0-0"), (IF_RANGE, "\"abc\"")],
            Wanted::Part(0..1),
        );
        check(
            Method::GET,
            &[(RANGE, "bytes=0-0"), (IF_RANGE, "\"x\"")],
            Wanted::Whole,
        );
        check(
            Method::GET,
            &[(RANGE, "bytes=0-0"), (IF_NONE_MATCH, "\"abc\"")],
            Wanted::NotModified,
        );
    }
}
