//! A load generator: HTTP/1.1 over keep-alive connections, one request outstanding on each, for a
//! bounded time. It counts complete answers and checks status and length of every one.
//!
//! Each thread polls its own connections, so a slow answer on one holds up no other. Nothing is kept of the
//! bodies. It only ever talks to this machine.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::Outcome;
use crate::larder::Usage;

const THREADS: usize = 2;
/// How much is taken from one connection before the others have their turn.
const READ_BYTES: usize = 256 * 1024;
/// An answer's head that is longer is an error.
const HEAD_BYTES: usize = 16 * 1024;
/// No progress on any connection for so long is an error.
const STALL: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};

/// What was answered, completely and rightly.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Answered {
    pub(super) requests: u64,
    pub(super) body_bytes: u64,
    /// From the first request to the last byte of the last answer.
    pub(super) elapsed: Duration,
    /// What this process used meanwhile: had it used both cores, it would be what was measured.
    pub(super) generator_cpu: Duration,
}

/// Asks for `path` over this many connections again and again for about `time`, then reads what is outstanding to its end.
///
/// # Errors
/// Any answer that is not 200 with `length` bytes, a connection that ends, or ten seconds without a byte.
pub(super) fn run(
    address: SocketAddr,
    path: &str,
    length: u64,
    connections: usize,
    time: Duration,
) -> Outcome<Answered> {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: larder-bench\r\n\r\n");
    let cpu_before = Usage::of(std::process::id())?.cpu;
    let began = Instant::now();
    let until = began + time;
    let results = std::thread::scope(|scope| {
        let mut workers = Vec::new();
        for _ in 0..THREADS {
            let request = request.as_bytes();
            workers.push(scope.spawn(move || {
                work(address, request, length, connections / THREADS, until)
                    .map_err(|error| error.to_string())
            }));
        }
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .map_err(|_| "a load thread panicked".to_owned())?
            })
            .collect::<Vec<_>>()
    });
    let mut total = Answered::default();
    for result in results {
        let requests = result?;
        total.requests += requests;
        total.body_bytes += requests * length;
    }
    total.elapsed = began.elapsed();
    total.generator_cpu = Usage::of(std::process::id())?
        .cpu
        .saturating_sub(cpu_before);
    Ok(total)
}

/// One thread: returns how many answers were complete.
fn work(
    address: SocketAddr,
    request: &[u8],
    length: u64,
    count: usize,
    until: Instant,
) -> Outcome<u64> {
    let mut connections = Vec::new();
    for _ in 0..count {
        let mut connection = Connection::open(address)?;
        connection.ask(request)?;
        connections.push(connection);
    }
    let mut buffer = vec![0; READ_BYTES];
    let mut answered = 0;
    while !connections.is_empty() {
        let ready: Vec<bool> = {
            let mut polled: Vec<PollFd<'_>> = connections
                .iter()
                .map(|connection| {
                    PollFd::from_borrowed_fd(connection.stream.as_fd(), PollFlags::IN)
                })
                .collect();
            if poll(&mut polled, Some(&STALL))? == 0 {
                return Err("no answer for 10 s".into());
            }
            polled
                .iter()
                .map(|polled| !polled.revents().is_empty())
                .collect()
        };
        let more = Instant::now() < until;
        let mut kept = Vec::with_capacity(connections.len());
        for (mut connection, ready) in connections.into_iter().zip(ready) {
            if ready && connection.read(&mut buffer, length)? {
                answered += 1;
                if !more {
                    continue;
                }
                connection.ask(request)?;
            }
            kept.push(connection);
        }
        connections = kept;
    }
    Ok(answered)
}

struct Connection {
    stream: TcpStream,
    /// The head as far as it has come; `None` when all of it was read.
    head: Option<Vec<u8>>,
    /// Bytes of the body that are still to come.
    remaining: u64,
}

impl Connection {
    fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            head: None,
            remaining: 0,
        })
    }

    /// A request is far smaller than a socket's buffer, which is empty between answers.
    fn ask(&mut self, request: &[u8]) -> Outcome {
        self.head = Some(Vec::new());
        Ok(self.stream.write_all(request)?)
    }

    /// Takes what has come, once. True when the answer is complete.
    fn read(&mut self, buffer: &mut [u8], length: u64) -> Outcome<bool> {
        let count = match self.stream.read(buffer) {
            Ok(0) => return Err("the server closed a keep-alive connection".into()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let mut body = u64::try_from(count)?;
        if let Some(head) = &mut self.head {
            let before = head.len();
            head.extend_from_slice(buffer.get(..count.min(HEAD_BYTES)).unwrap_or_default());
            let Some(end) = end_of_head(head) else {
                if head.len() > HEAD_BYTES {
                    return Err("the head of an answer is too long".into());
                }
                return Ok(false);
            };
            check_head(head.get(..end).unwrap_or_default(), length)?;
            body -= u64::try_from(end - before)?;
            self.remaining = length;
            self.head = None;
        }
        self.remaining = self
            .remaining
            .checked_sub(body)
            .ok_or("more bytes than the answer announced")?;
        Ok(self.remaining == 0)
    }
}

/// The length of the head with its empty line.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|at| at + 4)
}

fn check_head(head: &[u8], length: u64) -> Outcome {
    let head = String::from_utf8_lossy(head);
    let status = head.split(' ').nth(1).unwrap_or_default();
    let announced = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<u64>().ok())?
    });
    if status == "200" && announced == Some(length) {
        return Ok(());
    }
    Err(format!("status {status} with length {announced:?}, expected 200 with {length}").into())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::{check_head, end_of_head, run};

    /// A server that gives every request on every connection the same answer.
    fn serve(answer: &'static str) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let reader = BufReader::new(stream.try_clone().unwrap());
                    for line in reader.lines() {
                        let Ok(line) = line else { return };
                        if line.is_empty() && stream.write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    #[test]
    fn complete_answers_are_counted() {
        let address = serve("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
        let answered = run(address, "/", 5, 32, Duration::from_millis(50)).unwrap();
        assert!(answered.requests >= 32, "{answered:?}");
        assert_eq!(answered.body_bytes, answered.requests * 5);
    }

    #[test]
    fn a_wrong_status_or_length_is_an_error() {
        let address = serve("HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nhello");
        let error = run(address, "/", 5, 32, Duration::from_millis(50))
            .unwrap_err()
            .to_string();
        assert!(error.contains("status 404"), "{error}");
        assert!(check_head(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", 5).is_err());
        assert!(check_head(b"HTTP/1.1 200 OK\r\n\r\n", 5).is_err());
    }

    #[test]
    fn a_head_ends_with_an_empty_line() {
        assert_eq!(
            end_of_head(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody"),
            Some(25)
        );
        assert_eq!(end_of_head(b"HTTP/1.1 200 OK\r\n"), None);
    }
}
