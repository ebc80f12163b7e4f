//! An HTTP/1.1 client that takes every failure as a figure: it never panics at what a server does.

use aws_lc_rs::digest;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use testkit::assert_loopback;

/// One keep-alive connection, dialled anew when it was closed.
pub(crate) struct Client {
    address: SocketAddr,
    patience: Duration,
    stream: Option<BufReader<TcpStream>>,
}

/// What came of one request.
pub(crate) struct Reply {
    pub(crate) began: Instant,
    /// `None` where no answer came.
    pub(crate) status: Option<u16>,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body came to its end.
    pub(crate) complete: bool,
    pub(crate) body_bytes: u64,
    /// SHA-256 of the body as far as it came.
    pub(crate) sha256: Vec<u8>,
    pub(crate) first_byte: Duration,
    pub(crate) total: Duration,
}

const CHUNK_BYTES: usize = 64 << 10;

impl Client {
    /// A client that gives up when an answer is not complete after so long.
    pub(crate) fn new(address: SocketAddr, patience: Duration) -> Self {
        assert_loopback(address);
        Self {
            address,
            patience,
            stream: None,
        }
    }

    /// Asks, and reads the answer to its end. A connection that the server closed between two requests is dialled
    /// again, as every client does.
    pub(crate) fn get(&mut self, path: &str) -> Reply {
        let reused = self.stream.is_some();
        let reply = self.try_get(path);
        if reused && reply.status.is_none() && reply.total < self.patience {
            return self.try_get(path);
        }
        reply
    }

    fn try_get(&mut self, path: &str) -> Reply {
        let mut reply = Reply {
            began: Instant::now(),
            status: None,
            headers: Vec::new(),
            complete: false,
            body_bytes: 0,
            sha256: Vec::new(),
            first_byte: Duration::ZERO,
            total: Duration::ZERO,
        };
        let outcome = self.exchange(path, &mut reply);
        reply.total = reply.began.elapsed();
        reply.complete = outcome.is_ok();
        let keep = reply
            .header("connection")
            .is_none_or(|word| !word.eq_ignore_ascii_case("close"));
        if outcome.is_err() || !keep {
            self.stream = None;
        }
        reply
    }

    fn exchange(&mut self, path: &str, reply: &mut Reply) -> io::Result<()> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(self.patience))?;
                stream.set_write_timeout(Some(self.patience))?;
                self.stream
                    .insert(BufReader::with_capacity(CHUNK_BYTES, stream))
            }
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        stream.get_mut().write_all(request.as_bytes())?;
        let status_line = line(stream)?;
        reply.first_byte = reply.began.elapsed();
        let status = status_line.split(' ').nth(1);
        reply.status = Some(
            status
                .and_then(|word| word.parse().ok())
                .ok_or_else(broken)?,
        );
        loop {
            let header = line(stream)?;
            if header.is_empty() {
                break;
            }
            let (name, value) = header.split_once(':').ok_or_else(broken)?;
            let header = (name.to_ascii_lowercase(), value.trim().to_owned());
            reply.headers.push(header);
        }
        let until = reply.began + self.patience;
        let mut sum = digest::Context::new(&digest::SHA256);
        if let Some(length) = reply.header("content-length") {
            let length = length.parse().map_err(|_| broken())?;
            take(stream, length, &mut sum, &mut reply.body_bytes, until)?;
        } else {
            loop {
                let length = u64::from_str_radix(&line(stream)?, 16).map_err(|_| broken())?;
                take(stream, length, &mut sum, &mut reply.body_bytes, until)?;
                if !line(stream)?.is_empty() {
                    return Err(broken());
                }
                if length == 0 {
                    break;
                }
            }
        }
        reply.sha256 = sum.finish().as_ref().to_vec();
        Ok(())
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known == name)?;
        Some(&found.1)
    }

    /// A complete answer with status 200.
    pub(crate) fn is_good(&self) -> bool {
        self.status == Some(200) && self.complete
    }
}

/// A line without its end.
fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    const LONGEST: u64 = 16 << 10;
    let mut line = String::new();
    stream.by_ref().take(LONGEST).read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(broken()),
    }
}

fn take(
    stream: &mut BufReader<TcpStream>,
    length: u64,
    sum: &mut digest::Context,
    taken: &mut u64,
    until: Instant,
) -> io::Result<()> {
    let mut left = length;
    while left > 0 {
        if Instant::now() > until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let buffer = stream.fill_buf()?;
        let count = buffer.len().min(left as usize);
        if count == 0 {
            return Err(broken());
        }
        sum.update(&buffer[..count]);
        stream.consume(count);
        *taken += count as u64;
        left -= count as u64;
    }
    Ok(())
}

fn broken() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}
