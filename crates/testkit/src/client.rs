//! An HTTP/1.1 client that sends any bytes and hides nothing of what comes back.
use crate::{TestCa, assert_loopback, module::hex, patience};
use aws_lc_rs::digest;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How the body of an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With its last byte, as its length or its last chunk said.
    Complete,
    /// Before its last byte: the connection broke, or the stream was reset.
    CutShort,
}

/// Status and headers of an answer.
#[derive(Clone, Debug)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// The headers in their order, names in lower case.
    pub headers: Vec<(String, String)>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status and headers.
    pub head: Head,
    /// What came of the body.
    pub body: Vec<u8>,
    /// How it ended.
    pub ending: Ending,
}

/// One connection, plain or TLS. Reads and writes give up after [`patience`].
pub struct Connection {
    stream: BufReader<Box<dyn Stream>>,
    certificate_der: Option<Vec<u8>>,
    unread: Unread,
    head_only: bool,
}

trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

/// What is left of the body that is being read.
#[derive(Clone, Copy)]
enum Unread {
    Bytes(u64),
    Chunks { left_in_chunk: u64 },
    UntilClosed,
}

impl Connection {
    /// Connects without TLS.
    pub fn open(address: SocketAddr) -> Self {
        Self::over(Box::new(dial(address)), None)
    }

    /// Connects with TLS, trusting `ca` alone and offering HTTP/1.1 alone.
    pub fn open_tls(address: SocketAddr, ca: &TestCa) -> Self {
        let name = rustls::pki_types::ServerName::from(address.ip());
        let mut tls = rustls::ClientConnection::new(ca.client_config(&["http/1.1"]), name).unwrap();
        let mut socket = dial(address);
        while tls.is_handshaking() {
            tls.complete_io(&mut socket).expect("TLS handshake");
        }
        let certificate = tls.peer_certificates().and_then(|chain| chain.first());
        let certificate_der = certificate.map(|certificate| certificate.to_vec());
        Self::over(
            Box::new(rustls::StreamOwned::new(tls, socket)),
            certificate_der,
        )
    }

    /// The certificate that the server showed, DER.
    pub fn certificate_der(&self) -> Option<&[u8]> {
        self.certificate_der.as_deref()
    }

    /// Sends any bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        let stream = self.stream.get_mut();
        stream
            .write_all(bytes)
            .and_then(|()| stream.flush())
            .expect("the server reads");
        self.head_only = bytes.starts_with(b"HEAD ");
    }

    /// Sends a request with these headers, then keeps the connection.
    pub fn request(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) {
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: larder.test\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        self.send(text.as_bytes());
    }

    /// Reads status and headers.
    #[track_caller]
    pub fn read_head(&mut self) -> Head {
        match self.try_read_head() {
            Ok(head) => head,
            Err(error) => panic!("no answer: {error}"),
        }
    }

    /// Reads status and headers, unless the connection ends first.
    pub fn try_read_head(&mut self) -> io::Result<Head> {
        let status_line = self.line()?;
        let status = status_line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .ok_or_else(|| io::Error::other(format!("status line {status_line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').expect("a header with a colon");
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let head = Head { status, headers };
        self.unread = if self.head_only || matches!(status, 204 | 304) {
            Unread::Bytes(0)
        } else if head
            .header("transfer-encoding")
            .is_some_and(|coding| coding == "chunked")
        {
            Unread::Chunks { left_in_chunk: 0 }
        } else if let Some(length) = head.header("content-length") {
            Unread::Bytes(length.parse().expect("a length in digits"))
        } else {
            Unread::UntilClosed
        };
        Ok(head)
    }

    /// Reads what is there of the body, at most `buffer`; 0 at its end.
    pub fn read_body(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Unread::Chunks { left_in_chunk: 0 } = self.unread {
            let size = self.line()?;
            let left_in_chunk = u64::from_str_radix(&size, 16).map_err(io::Error::other)?;
            self.unread = if left_in_chunk == 0 {
                self.line()?;
                Unread::Bytes(0)
            } else {
                Unread::Chunks { left_in_chunk }
            };
        }
        let left = match self.unread {
            Unread::Bytes(left)
            | Unread::Chunks {
                left_in_chunk: left,
            } => left,
            Unread::UntilClosed => u64::MAX,
        };
        let at_most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if at_most == 0 {
            return Ok(0);
        }
        let count = self.stream.read(&mut buffer[..at_most])?;
        match &mut self.unread {
            Unread::Bytes(_) | Unread::Chunks { .. } if count == 0 => {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Unread::Bytes(left) => *left -= count as u64,
            Unread::Chunks { left_in_chunk } => {
                *left_in_chunk -= count as u64;
                if *left_in_chunk == 0 {
                    self.line()?;
                }
            }
            Unread::UntilClosed => {}
        }
        Ok(count)
    }

    /// Reads exactly `len_bytes` of the body; fewer where it ends before.
    pub fn read_some(&mut self, len_bytes: usize) -> Vec<u8> {
        let mut body = vec![0; len_bytes];
        let mut filled = 0;
        while filled < len_bytes {
            match self.read_body(&mut body[filled..]) {
                Ok(0) | Err(_) => break,
                Ok(count) => filled += count,
            }
        }
        body.truncate(filled);
        body
    }

    /// Reads the rest of the body.
    pub fn read_rest(&mut self) -> (Vec<u8>, Ending) {
        let mut body = Vec::new();
        let ending = self.drain(|chunk| body.extend_from_slice(chunk));
        (body, ending)
    }

    /// Reads the rest of the body without keeping it: its length and its SHA-256 in hex.
    pub fn digest_rest(&mut self) -> (u64, String, Ending) {
        let mut len_bytes = 0;
        let mut sum = digest::Context::new(&digest::SHA256);
        let ending = self.drain(|chunk| {
            len_bytes += chunk.len() as u64;
            sum.update(chunk);
        });
        (len_bytes, hex(sum.finish().as_ref()), ending)
    }

    /// Reads the rest of the body and forgets it: its length.
    pub fn skip_rest(&mut self) -> (u64, Ending) {
        let mut len_bytes = 0;
        let ending = self.drain(|chunk| len_bytes += chunk.len() as u64);
        (len_bytes, ending)
    }

    /// Asks and reads the whole answer.
    #[track_caller]
    pub fn ask(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.request(method, target, headers);
        self.read_answer()
    }

    /// Reads a whole answer.
    #[track_caller]
    pub fn read_answer(&mut self) -> Answer {
        let head = self.read_head();
        let (body, ending) = self.read_rest();
        Answer { head, body, ending }
    }

    fn over(stream: Box<dyn Stream>, certificate_der: Option<Vec<u8>>) -> Self {
        Self {
            stream: BufReader::with_capacity(64 << 10, stream),
            certificate_der,
            unread: Unread::Bytes(0),
            head_only: false,
        }
    }

    fn drain(&mut self, mut chunk: impl FnMut(&[u8])) -> Ending {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match self.read_body(&mut buffer) {
                Ok(0) => return Ending::Complete,
                Ok(count) => chunk(&buffer[..count]),
                Err(error) if is_time_out(&error) => panic!("the body never ended: {error}"),
                Err(_) => return Ending::CutShort,
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(text) => Ok(text.to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Head {
    /// The value of a header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Answer {
    /// The status.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The value of a header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Fails the test unless the answer is complete and has this status.
    #[track_caller]
    pub fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status(), status, "body: {}", self.beginning());
        assert_eq!(
            self.ending,
            Ending::Complete,
            "body of {} bytes",
            self.body.len()
        );
        self
    }

    /// What a failed test shows of the body.
    fn beginning(&self) -> String {
        let shown = &self.body[..self.body.len().min(800)];
        String::from_utf8_lossy(shown).escape_debug().to_string()
    }

    /// Fails the test unless the body, which must be complete, is this.
    #[track_caller]
    pub fn expect_body(self, expected: &[u8]) -> Self {
        let answer = self.expect_status(200);
        assert!(
            answer.body == expected,
            "{} other bytes than the {} expected: {}",
            answer.body.len(),
            expected.len(),
            answer.beginning()
        );
        answer
    }
}

fn dial(address: SocketAddr) -> TcpStream {
    assert_loopback(address);
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(10)).expect("connect");
    stream.set_read_timeout(Some(patience())).unwrap();
    stream.set_write_timeout(Some(patience())).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn is_time_out(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
