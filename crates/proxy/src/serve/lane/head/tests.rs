use super::*;

#[track_caller]
fn check(bytes: &str, expected: Reading<'_>) {
    assert_eq!(read(bytes.as_bytes()), expected, "{bytes:?}");
}

const HOST: &str = "Host: larder.test\r\n";

#[test]
fn what_the_go_command_sends_is_plain() {
    let bytes = "GET /github.com/!azure/sdk/@v/v1.2.3+incompatible.info HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\
                 User-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n\r\n";
    let plain = |method| {
        Reading::Plain(PlainHead {
            method,
            target: "/github.com/!azure/sdk/@v/v1.2.3+incompatible.info",
            len_bytes: bytes.len(),
        })
    };
    check(bytes, plain(PlainMethod::Get));
    check(&format!("{bytes}GET /next"), plain(PlainMethod::Get));
    let head = bytes.replacen("GET", "HEAD", 1);
    let Reading::Plain(read_head) = read(head.as_bytes()) else {
        panic!("HEAD is plain");
    };
    assert_eq!(
        (read_head.method, read_head.len_bytes),
        (PlainMethod::Head, head.len())
    );
}

#[test]
fn every_beginning_of_a_plain_request_is_waited_for() {
    let bytes = format!("GET /a.b/@v/list HTTP/1.1\r\n{HOST}\r\n");
    for end in 0..bytes.len() {
        check(&bytes[..end], Reading::Incomplete);
    }
}

#[test]
fn unusual_request_lines_are_left_to_hyper() {
    for line in [
        "POST / HTTP/1.1",
        "get /a.b/@v/list HTTP/1.1",
        "GET  /a.b/@v/list HTTP/1.1",
        "GET /a.b/@v/list  HTTP/1.1",
        "GET /a.b/@v/list HTTP/1.0",
        "GET /a.b/@v/list HTTP/1.2",
        "GET /a.b/@v/list HTTP/2.0",
        "GET /a.b/@v/list",
        "GET http://larder.test/a.b/@v/list HTTP/1.1",
        "GET * HTTP/1.1",
        "GET /a.b/@v/list?x=y HTTP/1.1",
        "GET /a.b/@v/list#x HTTP/1.1",
        "GET /a.b/%21c/@v/list HTTP/1.1",
        "GET /a.b/\u{e9}/@v/list HTTP/1.1",
        "GET /a.b/\0/@v/list HTTP/1.1",
        "GET /a.b\t/@v/list HTTP/1.1",
        "GET /a.b\\c/@v/list HTTP/1.1",
        "PRI * HTTP/2.0",
        "\r\nGET /a.b/@v/list HTTP/1.1",
        " GET /a.b/@v/list HTTP/1.1",
    ] {
        check(&format!("{line}\r\n{HOST}\r\n"), Reading::Unusual);
    }
}

#[test]
fn headers_that_mean_something_take_the_request_to_hyper_and_the_connection_stays() {
    for headers in [
        "Range: bytes=0-0",
        "If-None-Match: *",
        "If-Range: \"x\"",
        "Disable-Module-Fetch: true",
        "Via: 1.1 larder",
        "Authorization: Basic eDp5",
        "Cookie: a=b",
        "X-Unheard-Of: 1",
        "Accept: */*\r\nX-Unheard-Of: 1\r\nConnection: keep-alive",
    ] {
        let bytes = format!("GET /a.b/@v/list HTTP/1.1\r\n{HOST}{headers}\r\n\r\n");
        let len_bytes = bytes.len();
        check(
            &format!("{bytes}GET /next"),
            Reading::Meaningful { len_bytes },
        );
    }
}

#[test]
fn headers_that_frame_or_are_faulty_are_left_to_hyper() {
    for headers in [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nhost: b\r\n",
        "Host : a\r\n",
        "Host: a\r\n folded\r\n",
        "Host: a\r\n\tfolded\r\n",
        "Host: a\r\nContent-Length: 0\r\n",
        "Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Host: a\r\nTransfer-Encoding: chunked\r\n",
        "Host: a\r\ntransfer-encoding:identity\r\n",
        "Host: a\r\nExpect: 100-continue\r\n",
        "Host: a\r\nUpgrade: h2c\r\n",
        "Host: a\r\nConnection: close\r\n",
        "Host: a\r\nConnection: keep-alive, upgrade\r\n",
        "Host: a\r\nRange: bytes=0-0\r\nContent-Length: 0\r\n",
        "Host: a\r\nTE: trailers\r\n",
        "Host: a\r\nKeep-Alive: 5\r\n",
        "Host: a\r\nAccept: \u{e9}\r\n",
        "Host: a\r\nAccept: a\tb\r\n",
        "Host: a\r\nAccept: \0\r\n",
        "Host: a\r\nAccept: x\rContent-Length: 5\r\n",
        "Host: a\r\nAccept: x\nContent-Length: 5\r\n",
        "Host: a\r\n: x\r\n",
        "Host: a\r\nAccept\r\n",
    ] {
        let bytes = format!("GET /a.b/@v/list HTTP/1.1\r\n{headers}\r\n");
        check(&bytes, Reading::Unusual);
    }
    let many = "Accept: */*\r\n".repeat(HEADERS);
    check(
        &format!("GET /a.b/@v/list HTTP/1.1\r\n{HOST}{many}\r\n"),
        Reading::Unusual,
    );
}

#[test]
fn lines_that_end_with_a_bare_line_feed_are_left_to_hyper() {
    check("GET /a.b/@v/list HTTP/1.1\nHost: a\n\n", Reading::Unusual);
    check(
        "GET /a.b/@v/list HTTP/1.1\r\nHost: a\n\r\n",
        Reading::Unusual,
    );
    check(
        "GET /a.b/@v/list HTTP/1.1\r\nHost: a\r\n\n",
        Reading::Unusual,
    );
    check(
        "GET /a.b/@v/list HTTP/1.1\nHost: a\r\n\r\n",
        Reading::Unusual,
    );
}
