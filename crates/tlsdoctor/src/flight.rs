//! A server's first answer to a ClientHello: records, alerts, ServerHello, and up to TLS 1.2 its
//! certificates.
//!
//! Fed with bytes as they come; nothing is kept beyond [`LARGEST_FLIGHT_BYTES`], and any bytes are read
//! without a panic.

use crate::hello::version;

/// More than this is not read of one answer. The longest chains seen are a tenth of it.
pub const LARGEST_FLIGHT_BYTES: usize = 256 << 10;

/// What has come so far, and what it means.
#[derive(Clone, Debug, Default)]
pub struct Flight {
    received: Vec<u8>,
    /// How far records were taken apart.
    taken: usize,
    /// Handshake messages, put together from their records.
    messages: Vec<u8>,
    read: usize,
    /// What was understood.
    pub found: Found,
}

/// What an answer holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The ServerHello.
    pub server: Option<ServerHello>,
    /// The Certificate message's list, DER, up to TLS 1.2; empty lists count.
    pub certificates: Option<Vec<Vec<u8>>>,
    /// Whether the server asked for a client certificate.
    pub asks_for_certificate: bool,
    /// Level and number of an alert.
    pub alert: Option<(u8, u8)>,
    /// Nothing more is to come that is worth waiting for.
    pub is_complete: bool,
    /// The first bytes are no TLS.
    pub is_other: bool,
}

/// What a server chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHello {
    /// On the wire.
    pub version: u16,
    /// On the wire.
    pub cipher: u16,
    /// The group of TLS 1.3.
    pub group: Option<u16>,
    /// It asks for another group and has not agreed yet.
    pub is_retry: bool,
}

/// SHA-256 of `HelloRetryRequest`, which stands in place of the random bytes (RFC 8446, 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

impl Flight {
    /// Takes more bytes. What lies beyond the bound is dropped, and the answer is complete.
    pub fn feed(&mut self, bytes: &[u8]) {
        let room = LARGEST_FLIGHT_BYTES.saturating_sub(self.received.len());
        self.received.extend(bytes.get(..room).unwrap_or(bytes));
        self.take_records();
        if self.received.len() >= LARGEST_FLIGHT_BYTES {
            self.found.is_complete = true;
        }
    }

    /// The first bytes that came.
    pub fn beginning(&self) -> &[u8] {
        self.received.get(..64).unwrap_or(&self.received)
    }

    fn take_records(&mut self) {
        while !self.found.is_complete {
            let rest = self.received.get(self.taken..).unwrap_or(&[]);
            let [kind, major, minor, high, low, body @ ..] = rest else {
                // Text shows in its first byte.
                let starts_other = rest.first().is_some_and(|kind| !(20..=24).contains(kind));
                if starts_other && self.taken == 0 {
                    self.found.is_other = true;
                }
                return;
            };
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            // Records of TLS are 16 KiB and a little (RFC 8446, 5.2); the first byte and the version tell text.
            if !(20..=24).contains(kind) || *major != 3 || *minor > 4 || length > 18432 {
                self.found.is_other = self.taken == 0;
                self.found.is_complete = true;
                return;
            }
            let Some(body) = body.get(..length) else {
                return;
            };
            match kind {
                21 => {
                    if let [level, number, ..] = body {
                        self.found.alert = Some((*level, *number));
                        // A warning may come before the ServerHello (unrecognized name, from old servers).
                        self.found.is_complete = *level == 2 || *number == 0;
                    }
                }
                22 => {
                    self.messages.extend(body);
                    self.take_messages();
                }
                // From here everything is encrypted.
                _ => self.found.is_complete = true,
            }
            self.taken += 5 + length;
        }
    }

    fn take_messages(&mut self) {
        while !self.found.is_complete {
            let rest = self.messages.get(self.read..).unwrap_or(&[]);
            let [kind, high, middle, low, body @ ..] = rest else {
                return;
            };
            let length = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
            let Some(body) = body.get(..length) else {
                return;
            };
            match kind {
                2 => {
                    let Some(server) = server_hello(body) else {
                        self.found.is_complete = true;
                        return;
                    };
                    self.found.is_complete = server.version >= version::TLS_1_3;
                    self.found.server = Some(server);
                }
                11 => self.found.certificates = certificates(body),
                13 => self.found.asks_for_certificate = true,
                14 => self.found.is_complete = true,
                _ => {}
            }
            self.read += 4 + length;
        }
    }
}

/// A number of bytes, then the rest.
fn split(bytes: &[u8], count: usize) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(count)
}

fn word(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (word, rest) = bytes.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*word), rest))
}

fn server_hello(body: &[u8]) -> Option<ServerHello> {
    let (mut version, rest) = word(body)?;
    let (random, rest) = split(rest, 32)?;
    let (&session, rest) = rest.split_first()?;
    let (_, rest) = split(rest, usize::from(session))?;
    let (cipher, rest) = word(rest)?;
    let (_, rest) = split(rest, 1)?;
    let mut group = None;
    // A ServerHello of TLS 1.0 may end here.
    if let Some((length, rest)) = word(rest) {
        let mut extensions = rest.get(..usize::from(length))?;
        while !extensions.is_empty() {
            let (kind, rest) = word(extensions)?;
            let (length, rest) = word(rest)?;
            let (content, rest) = split(rest, usize::from(length))?;
            match kind {
                43 => version = word(content)?.0,
                51 => group = Some(word(content)?.0),
                _ => {}
            }
            extensions = rest;
        }
    }
    Some(ServerHello {
        version,
        cipher,
        group,
        is_retry: random == RETRY,
    })
}

/// `None` where the list is broken.
fn certificates(body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let sized = |bytes: &[u8]| -> Option<(usize, usize)> {
        let [high, middle, low, ..] = *bytes else {
            return None;
        };
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        Some((3, 3 + length))
    };
    let (from, to) = sized(body)?;
    let mut list = body.get(from..to)?;
    let mut found = Vec::new();
    while !list.is_empty() {
        let (from, to) = sized(list)?;
        found.push(list.get(from..to)?.to_vec());
        list = list.get(to..)?;
    }
    Some(found)
}

/// What the first bytes of an answer are, where they are no TLS.
pub fn protocol_name(first: &[u8]) -> &'static str {
    let text = String::from_utf8_lossy(first).to_ascii_lowercase();
    let starts = |words: &[&str]| words.iter().any(|word| text.starts_with(word));
    if starts(&["http/", "<!doctype", "<html"]) {
        "HTTP"
    } else if starts(&["ssh-"]) {
        "SSH"
    } else if starts(&["220"]) && text.contains("ftp") {
        "FTP"
    } else if starts(&["220", "421", "554"]) {
        "SMTP"
    } else if starts(&["* ok"]) {
        "IMAP"
    } else if starts(&["+ok"]) {
        "POP3"
    } else if starts(&["-err", "-noauth", "-denied"]) {
        "Redis"
    } else if starts(&["rfb "]) {
        "VNC"
    } else if matches!(first, [_, _, 0, 0, 0x0a | 0xff, ..]) {
        "MySQL"
    } else if matches!(first, [5, 0 | 0xff] | [0, 0x5a..=0x5d, ..]) {
        "SOCKS"
    } else if matches!(first, [0, 0, _, 4, 0, ..]) {
        "HTTP/2 without TLS"
    } else if first.starts_with(b"E\0") || first == b"N" {
        "PostgreSQL"
    } else {
        "something else"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind, 3, 3], &length[..], body].concat()
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind], &length[1..], body].concat()
    }

    fn fed(bytes: &[u8]) -> Found {
        let mut flight = Flight::default();
        // Byte by byte: networks cut where they like.
        bytes.iter().for_each(|byte| flight.feed(&[*byte]));
        flight.found
    }

    #[test]
    fn a_flight_of_tls_1_2_shows_the_certificates() {
        let mut hello = vec![3, 3];
        hello.extend([7; 32]);
        hello.extend([0, 0xc0, 0x2f, 0]);
        let list = [0, 0, 5, 0, 0, 2, 0x30, 0];
        let messages = [
            message(2, &hello),
            message(11, &list),
            message(13, &[0]),
            message(14, &[]),
        ]
        .concat();
        let (one, other) = messages.split_at(50);
        let found = fed(&[record(22, one), record(22, other)].concat());
        assert_eq!(found.server.unwrap().cipher, 0xc02f);
        assert_eq!(found.certificates, Some(vec![vec![0x30, 0]]));
        assert!(found.asks_for_certificate && found.is_complete && !found.is_other);
    }

    #[test]
    fn alerts_and_other_protocols_are_told_apart() {
        let found = fed(&record(21, &[2, 40]));
        assert_eq!((found.alert, found.is_complete), (Some((2, 40)), true));
        assert!(fed(b"HTTP/1.1 400 Bad Request\r\n").is_other);
        assert!(fed(b"SSH-2.0-x\r\n").is_other);
        assert!(!fed(&[22, 3]).is_other);
        assert!(fed(b"2").is_other);
    }

    #[test]
    fn protocols_are_known_by_their_first_bytes() {
        let check = |first: &[u8], name: &str| assert_eq!(protocol_name(first), name);
        check(b"HTTP/1.1 400 Bad Request", "HTTP");
        check(b"SSH-2.0-OpenSSH_9.2", "SSH");
        check(b"220 mail.example ESMTP", "SMTP");
        check(b"220 ProFTPD Server", "FTP");
        check(b"\x4a\0\0\0\x0a8.0.36", "MySQL");
        check(b"\x05\xff", "SOCKS");
        check(b"what", "something else");
    }
}
