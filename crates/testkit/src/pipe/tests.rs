//! What a client sees through each kind of pipe. Times are only ever asserted as "not sooner than".
use super::{Link, Pipe};
use crate::{FakeUpstream, Module, eventually, patience};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// A server that sends back what it is sent, to each client in turn.
fn echo() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut reader = stream.try_clone().unwrap();
                let _ = std::io::copy(&mut reader, &mut stream);
                let _ = stream.shutdown(std::net::Shutdown::Write);
            });
        }
    });
    address
}

fn dial(pipe: &Pipe) -> TcpStream {
    let stream = TcpStream::connect(pipe.address()).unwrap();
    stream.set_read_timeout(Some(patience())).unwrap();
    stream
}

fn expect_echo(stream: &mut TcpStream, text: &[u8]) {
    stream.write_all(text).unwrap();
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, text);
}

#[test]
fn bytes_pass_in_order_and_are_counted() {
    let pipe = Pipe::to(echo());
    let mut stream = dial(&pipe);
    let sent: Vec<u8> = (0..3_000_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    let mut writer = stream.try_clone().unwrap();
    let content = sent.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&content).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    writing.join().unwrap();
    assert!(back == sent, "other bytes came back");
    let passed = pipe.passed();
    assert_eq!(
        (passed.connections, passed.bytes_up, passed.bytes_down),
        (1, 3_000_000, 3_000_000)
    );
}

#[test]
fn a_delay_is_added_in_each_direction() {
    let pipe = Pipe::to(echo());
    pipe.pass(Link {
        delay: Duration::from_millis(30),
        ..Link::default()
    });
    let mut stream = dial(&pipe);
    let began = Instant::now();
    expect_echo(&mut stream, b"there and back");
    assert!(
        began.elapsed() >= Duration::from_millis(60),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_limit_holds_for_each_connection() {
    let pipe = Pipe::to(echo());
    pipe.pass(Link {
        bytes_per_second: Some(20_000),
        ..Link::default()
    });
    let mut stream = dial(&pipe);
    let began = Instant::now();
    // The first and the last portion wait for nothing, and the two directions overlap.
    expect_echo(&mut stream, &[7; 5000]);
    assert!(
        began.elapsed() >= Duration::from_millis(150),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_stall_holds_back_and_a_heal_lets_go() {
    let pipe = Pipe::to(echo());
    let mut stream = dial(&pipe);
    expect_echo(&mut stream, b"before");
    pipe.stall();
    stream.write_all(b"during").unwrap();
    let mut second = dial(&pipe);
    second.write_all(b"second").unwrap();
    eventually("the second connection is accepted", || {
        (pipe.passed().connections == 2).then_some(())
    });
    assert_eq!(
        pipe.passed().bytes_up,
        6,
        "only what came before the stall passed"
    );
    pipe.heal();
    for (stream, text) in [(&mut stream, b"during"), (&mut second, b"second")] {
        let mut back = [0; 6];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(&back, text);
    }
}

#[test]
fn a_reset_breaks_open_and_new_connections_until_it_heals() {
    let pipe = Pipe::to(echo());
    let mut open = dial(&pipe);
    expect_echo(&mut open, b"before");
    pipe.reset();
    let broken = |stream: &mut TcpStream| {
        let error = stream.read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    };
    broken(&mut open);
    broken(&mut dial(&pipe));
    pipe.heal();
    expect_echo(&mut dial(&pipe), b"after");
}

#[test]
fn a_refusing_pipe_cannot_be_dialled_until_it_heals() {
    let pipe = Pipe::to(echo());
    let mut open = dial(&pipe);
    expect_echo(&mut open, b"before");
    pipe.refuse();
    let error = TcpStream::connect(pipe.address()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    let error = open.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    pipe.heal();
    expect_echo(&mut dial(&pipe), b"after");
}

#[test]
fn http_goes_through_a_pipe_and_trickles_when_told_to() {
    let module = Module::new("example.com/piped", "v1.0.0");
    let upstream = FakeUpstream::with([&module]);
    let pipe = Pipe::to(upstream.address());
    let mut connection = crate::Connection::open(pipe.address());
    connection
        .ask("GET", &module.url_path("mod"), &[])
        .expect_body(&module.go_mod_file());
    pipe.trickle();
    let began = Instant::now();
    connection
        .ask("GET", &module.url_path("zip"), &[])
        .expect_body(&module.zip());
    assert!(
        began.elapsed() >= Duration::from_millis(100),
        "{:?}",
        began.elapsed()
    );
}
