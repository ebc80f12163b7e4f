//! The short way for hits: what a client sees is what the long way answers, whatever it does in between.
use crate::{hello, larder_over};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use testkit::{Answer, Connection, FakeUpstream, Larder, Module, eventually};

/// Larger than what the memory tier takes, and than a socket's buffers.
fn large() -> Module {
    Module::new("example.com/large", "v1.0.0").incompressible(16 << 20)
}

/// Waits until it is stored and, where it is small, in memory: a fill is stored behind its answer.
fn warm(larder: &Larder, path: &str) {
    eventually("a hit", || {
        let answer = larder.get(path).expect_status(200);
        answer
            .header("x-larder-cache")?
            .strip_prefix("hit/")
            .map(drop)
    });
}

/// Requests over plain HTTP that did not go the short way, this question included.
fn declined(larder: &Larder) -> u64 {
    let metrics = larder.get("/-/metrics").text();
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("larder_lane_declined_total "));
    line.unwrap().parse().unwrap()
}

/// Fails the test unless every request of `during` went the short way.
pub(crate) fn by_the_lane(larder: &Larder, during: impl FnOnce()) {
    let before = declined(larder);
    during();
    assert_eq!(declined(larder), before + 1, "declined by the lane");
}

/// A header that means nothing to anyone, so that the lane leaves the request to hyper.
pub(crate) const LONG_WAY: (&str, &str) = ("X-Unheard-Of", "1");

pub(crate) fn without_date(answer: &Answer) -> Vec<(String, String)> {
    let mut headers = answer.head.headers.clone();
    let before = headers.len();
    headers.retain(|(name, _)| name != "date");
    assert_eq!(headers.len() + 1, before, "one date: {headers:?}");
    headers
}

fn as_bytes(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: larder.test\r\n\r\n").into_bytes()
}

#[test]
fn a_hit_has_the_same_head_and_body_by_both_ways() {
    let upstream = FakeUpstream::with([&hello(), &large()]);
    let larder = larder_over(&upstream);
    let paths = [
        hello().url_path("info"),
        hello().url_path("mod"),
        hello().url_path("zip"),
        large().url_path("zip"),
    ];
    for path in &paths {
        warm(&larder, path);
        for method in ["GET", "HEAD"] {
            let long = larder.connect().ask(method, path, &[LONG_WAY]);
            by_the_lane(&larder, || {
                let short = larder.connect().ask(method, path, &[]).expect_status(200);
                assert_eq!(without_date(&short), without_date(&long), "{method} {path}");
                assert!(short.body == long.body, "{method} {path}: bodies differ");
                assert_eq!(short.header("date").unwrap().len(), 29, "{path}");
            });
        }
    }
    // What is on disk and not yet in memory goes the short way too.
    let (_, builder) = larder.terminate();
    let larder = builder.start();
    for path in &paths {
        by_the_lane(&larder, || {
            let first = larder.get(path).expect_status(200);
            assert_eq!(first.header("x-larder-cache"), Some("hit/disk"), "{path}");
        });
    }
}

#[test]
fn pipelined_requests_are_answered_in_their_order_across_both_ways() {
    let upstream = FakeUpstream::with([&hello(), &large()]);
    let larder = larder_over(&upstream);
    let list = "/example.com/hello/@v/list".to_owned();
    let (info, go_mod, zip) = (
        hello().url_path("info"),
        hello().url_path("mod"),
        large().url_path("zip"),
    );
    for path in [&info, &go_mod, &zip, &list] {
        warm(&larder, path);
    }
    let asked = [&info, &zip, &go_mod, &list, &info, &zip, &go_mod];
    let alone: Vec<Vec<u8>> = asked.iter().map(|path| larder.get(path).body).collect();
    let mut connection = larder.connect();
    connection.send(
        &asked
            .iter()
            .flat_map(|path| as_bytes(path))
            .collect::<Vec<_>>(),
    );
    for (path, alone) in asked.iter().zip(alone) {
        connection.read_answer().expect_body(&alone);
        assert!(!alone.is_empty(), "{path}");
    }
}

#[test]
fn a_head_may_come_byte_by_byte() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    let path = hello().url_path("mod");
    warm(&larder, &path);
    by_the_lane(&larder, || {
        let mut connection = larder.connect();
        for _ in 0..2 {
            for byte in as_bytes(&path) {
                connection.send(&[byte]);
            }
            connection.read_answer().expect_body(&hello().go_mod_file());
        }
    });
}

#[test]
fn a_request_that_turns_out_unusual_reaches_hyper_whole() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    let path = hello().url_path("mod");
    warm(&larder, &path);
    // A head in two pieces, of which the second one makes it unusual; longer than the lane's buffer, too.
    for filler in [10, 20_000] {
        let mut connection = larder.connect();
        let filler = "x".repeat(filler);
        let (first, second) = (
            format!("GET {path} HTTP/1.1\r\nHost: larder.test\r\nUser-Agent: {filler}"),
            "\r\nRange: bytes=0-5\r\n\r\n".to_owned(),
        );
        connection.send(first.as_bytes());
        connection.send(second.as_bytes());
        let answer = connection.read_answer().expect_status(206);
        assert_eq!(answer.body, &hello().go_mod_file()[..6]);
    }
    let mut connection = larder.connect();
    connection.send(b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(connection.read_answer().status(), 400);
}

#[test]
fn a_client_that_has_said_all_and_closed_its_side_gets_its_answer() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    let path = hello().url_path("mod");
    warm(&larder, &path);
    let mut socket = TcpStream::connect(larder.address()).unwrap();
    socket.write_all(&as_bytes(&path)).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert!(answer.ends_with(&hello().go_mod_file()));
}

#[test]
fn clients_that_do_not_read_hold_up_nobody() {
    let upstream = FakeUpstream::with([&hello(), &large()]);
    let larder = larder_over(&upstream);
    let (small, large) = (hello().url_path("mod"), large().url_path("zip"));
    warm(&larder, &small);
    warm(&larder, &large);
    let mut slow: Vec<Connection> = (0..32).map(|_| larder.connect()).collect();
    for connection in &mut slow {
        connection.request("GET", &large, &[]);
        connection.read_head();
        assert_eq!(connection.read_some(1).len(), 1);
    }
    by_the_lane(&larder, || {
        for _ in 0..50 {
            larder.get(&small).expect_body(&hello().go_mod_file());
        }
        let (len_bytes, _) = {
            let mut quick = larder.connect();
            quick.request("GET", &large, &[]);
            quick.read_head();
            quick.skip_rest()
        };
        assert!(len_bytes > 16 << 20);
    });
}

#[test]
fn a_drain_closes_what_waits_and_finishes_what_is_under_way() {
    let upstream = FakeUpstream::with([&hello(), &large()]);
    let larder = larder_over(&upstream);
    let (small, path) = (hello().url_path("mod"), large().url_path("zip"));
    warm(&larder, &small);
    warm(&larder, &path);
    let mut idle = larder.connect();
    idle.ask("GET", &small, &[]).expect_status(200);
    let mut under_way = larder.connect();
    under_way.request("GET", &path, &[]);
    let head = under_way.read_head();
    let length: u64 = head.header("content-length").unwrap().parse().unwrap();
    larder.ask_to_terminate();
    assert!(
        idle.try_read_head().is_err(),
        "an idle connection is closed"
    );
    eventually("the listener is closed", || {
        TcpStream::connect(larder.address()).err()
    });
    assert_eq!(under_way.skip_rest().0, length);
    assert!(under_way.try_read_head().is_err(), "and closed behind it");
    assert!(larder.wait().0.status.success());
}

#[test]
fn a_hit_has_the_same_line_in_the_log_by_both_ways() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    let path = hello().url_path("mod");
    warm(&larder, &path);
    larder.get(&path).expect_status(200);
    larder.get_with(&path, &[LONG_WAY]).expect_status(200);
    let lines = eventually("two lines of hits", || {
        let stderr = larder.stderr();
        let lines: Vec<String> = stderr
            .lines()
            .filter(|line| line.contains(&path) && line.contains("cache=hit/memory"))
            .map(|line| {
                let (_, rest) = line.split_once(" access ").unwrap();
                let fields = rest
                    .split(' ')
                    .filter(|field| !field.starts_with("ms=") && !field.starts_with("peer="));
                fields.collect::<Vec<_>>().join(" ")
            })
            .collect();
        (lines.len() >= 2).then_some(lines)
    });
    let by_the_long_way = lines.last().unwrap();
    assert!(
        lines.iter().all(|line| line == by_the_long_way),
        "{lines:#?}"
    );
}

#[test]
fn ten_thousand_connections_that_wait_cost_little_memory() {
    waiting_connections_cost_little_memory(10_000, "");
}

#[test]
fn connections_that_asked_with_a_password_cost_little_memory_while_they_wait() {
    // What stayed with hyper took 26 KiB a connection: 100 MiB of them all.
    waiting_connections_cost_little_memory(4_000, "Authorization: Basic eDp5\r\n");
}

fn waiting_connections_cost_little_memory(connections: usize, header: &str) {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    let path = hello().url_path("mod");
    warm(&larder, &path);
    let content = hello().go_mod_file();
    let asked = format!("GET {path} HTTP/1.1\r\nHost: larder.test\r\n{header}\r\n").into_bytes();
    let ask = |socket: &mut TcpStream| {
        socket.write_all(&asked).unwrap();
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        while !answer.ends_with(&content) {
            let count = socket.read(&mut piece).unwrap();
            assert_ne!(
                count,
                0,
                "closed after {}",
                String::from_utf8_lossy(&answer)
            );
            answer.extend_from_slice(&piece[..count]);
        }
    };
    let mut waiting = Vec::new();
    for _ in 0..connections {
        let mut socket = TcpStream::connect(larder.address()).unwrap();
        socket.set_read_timeout(Some(testkit::patience())).unwrap();
        ask(&mut socket);
        waiting.push(socket);
    }
    let peak = larder.peak_memory_bytes();
    // 30 MiB are for the process itself.
    let most = (30 << 20) + connections as u64 * (7 << 10);
    assert!(peak < most, "{} KiB at most", peak >> 10);
    waiting.iter_mut().step_by(1000).for_each(ask);
}
