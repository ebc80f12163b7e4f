//! Names: what the system says, and what each name server says for itself.
//!
//! The messages are written and read here (RFC 1035), because a resolver library hides what a diagnosis
//! needs: which server was silent, whose port is closed, SERVFAIL against NXDOMAIN, A apart from AAAA.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::timeout;

use crate::connect::NetworkFault;
use crate::options::Resolvers;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
}

impl RecordKind {
    fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
        }
    }
}

/// A server's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsAnswer {
    /// The number that the question carried.
    pub id: u16,
    /// 0 no error, 2 server failure, 3 no such name, 5 refused.
    pub code: u8,
    /// Whether it was cut because it is too long for one datagram.
    pub is_truncated: bool,
    /// The addresses, at most [`MOST_ADDRESSES`].
    pub addresses: Vec<IpAddr>,
}

/// More addresses than these are not kept.
pub const MOST_ADDRESSES: usize = 64;

impl DnsAnswer {
    /// Reads a message; `None` if it is no answer. Names are skipped, never followed, so that no bytes make
    /// this run for long.
    pub fn read(message: &[u8]) -> Option<Self> {
        let mut reader = Reader { rest: message };
        let id = reader.word()?;
        let flags = reader.word()?;
        let (questions, answers) = (reader.word()?, reader.word()?);
        reader.skip(4)?;
        if flags & 0x8000 == 0 {
            return None;
        }
        for _ in 0..questions {
            reader.name()?;
            reader.skip(4)?;
        }
        let mut addresses = Vec::new();
        for _ in 0..answers {
            reader.name()?;
            let (kind, class) = (reader.word()?, reader.word()?);
            reader.skip(4)?;
            let length = usize::from(reader.word()?);
            let data = reader.skip(length)?;
            let address: Option<IpAddr> = match (class, kind) {
                (1, 1) => <[u8; 4]>::try_from(data)
                    .ok()
                    .map(|it| IpAddr::V4(it.into())),
                (1, 28) => <[u8; 16]>::try_from(data)
                    .ok()
                    .map(|it| IpAddr::V6(it.into())),
                _ => None,
            };
            addresses.extend(address.filter(|_| addresses.len() < MOST_ADDRESSES));
        }
        Some(Self {
            id,
            code: u8::try_from(flags & 15).unwrap_or(0),
            is_truncated: flags & 0x0200 != 0,
            addresses,
        })
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn skip(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn word(&mut self) -> Option<u16> {
        let (word, rest) = self.rest.split_first_chunk::<2>()?;
        self.rest = rest;
        Some(u16::from_be_bytes(*word))
    }

    /// A name ends with an empty label or with a pointer.
    fn name(&mut self) -> Option<()> {
        loop {
            match *self.skip(1)?.first()? {
                0 => return Some(()),
                length @ 1..=63 => self.skip(usize::from(length))?,
                192..=255 => return self.skip(1).map(|_| ()),
                _ => return None,
            };
        }
    }
}

/// The question, recursion desired; `None` if the name cannot be asked for.
fn question(id: u16, name: &str, kind: RecordKind) -> Option<Vec<u8>> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.strip_suffix('.').unwrap_or(name).split('.') {
        let length = u8::try_from(label.len()).ok();
        message.push(length.filter(|length| (1..=63).contains(length))?);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(kind.number().to_be_bytes());
    message.extend([0, 1]);
    (message.len() <= 12 + 255 + 4).then_some(message)
}

/// What one server did with one question.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) server: SocketAddr,
    pub(crate) kind: RecordKind,
    pub(crate) outcome: Result<DnsAnswer, DnsFault>,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) ms: f64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DnsFault {
    Silent,
    Network(NetworkFault),
    Malformed,
}

impl Asked {
    /// One line for people.
    pub(crate) fn describe(&self) -> String {
        let (server, kind) = (self.server, self.kind.name());
        let what = match &self.outcome {
            Ok(answer) => match (answer.code, answer.addresses.as_slice()) {
                (0, []) => "has no address of this kind".to_owned(),
                (0, addresses) => addresses
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", "),
                (2, _) => "SERVFAIL".to_owned(),
                (3, _) => "NXDOMAIN: no such name".to_owned(),
                (5, _) => "REFUSED".to_owned(),
                (code, _) => format!("answers with code {code}"),
            },
            Err(DnsFault::Silent) => "no answer".to_owned(),
            Err(DnsFault::Network(fault)) => fault.describe(),
            Err(DnsFault::Malformed) => "answers with something that is no DNS message".to_owned(),
        };
        format!("{server} {kind}: {what} ({:.1} ms)", self.ms)
    }
}

/// What was found out about a name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resolution {
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) asked: Vec<Asked>,
    /// The system's own error.
    pub(crate) system_error: Option<String>,
}

/// Resolves a name. The servers are asked one by one only where the system knows no address.
pub(crate) async fn resolve(name: &str, resolvers: &Resolvers, time: Duration) -> Resolution {
    match resolvers {
        Resolvers::Servers(servers) => {
            let asked = ask_all(servers, name, time).await;
            Resolution {
                addresses: addresses(&asked),
                asked,
                system_error: None,
            }
        }
        Resolvers::System => {
            let system_error = match timeout(time, lookup_host((name, 0))).await {
                Ok(Ok(found)) => {
                    let mut addresses: Vec<IpAddr> = Vec::new();
                    for address in found.map(|it| it.ip()).take(MOST_ADDRESSES) {
                        if !addresses.contains(&address) {
                            addresses.push(address);
                        }
                    }
                    if !addresses.is_empty() {
                        return Resolution {
                            addresses,
                            ..Resolution::default()
                        };
                    }
                    "no address".to_owned()
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {} s", time.as_secs_f64()),
            };
            let servers = system_servers().await;
            Resolution {
                addresses: Vec::new(),
                asked: ask_all(&servers, name, time.min(Duration::from_secs(2))).await,
                system_error: Some(system_error),
            }
        }
    }
}

/// Of the first server that knows any, IPv6 first as RFC 6724 orders them.
fn addresses(asked: &[Asked]) -> Vec<IpAddr> {
    let of = |one: &Asked| match &one.outcome {
        Ok(answer) if answer.code == 0 => answer.addresses.clone(),
        _ => Vec::new(),
    };
    let Some(server) = asked.iter().find(|one| !of(one).is_empty()) else {
        return Vec::new();
    };
    let same = asked.iter().filter(|one| one.server == server.server);
    let mut found: Vec<IpAddr> = same.flat_map(of).collect();
    found.sort_by_key(|address| address.is_ipv4());
    found.dedup();
    found
}

/// The servers of `resolv.conf`, three at most as everywhere.
async fn system_servers() -> Vec<SocketAddr> {
    let read = tokio::task::spawn_blocking(|| fs_err::read_to_string("/etc/resolv.conf"));
    let text = read.await.ok().and_then(Result::ok).unwrap_or_default();
    servers_of(&text)
}

fn servers_of(resolv_conf: &str) -> Vec<SocketAddr> {
    resolv_conf
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some("nameserver")).then(|| words.next())?
        })
        .filter_map(|word| Some(SocketAddr::new(word.split('%').next()?.parse().ok()?, 53)))
        .take(3)
        .collect()
}

async fn ask_all(servers: &[SocketAddr], name: &str, time: Duration) -> Vec<Asked> {
    const SERVERS: usize = 8;
    let mut tasks = tokio::task::JoinSet::new();
    let questions = servers
        .iter()
        .take(SERVERS)
        .flat_map(|server| [(*server, RecordKind::A), (*server, RecordKind::Aaaa)]);
    for (index, (server, kind)) in questions.enumerate() {
        let name = name.to_owned();
        tasks.spawn(async move { (index, ask(server, &name, kind, time).await) });
    }
    let mut asked = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        asked.extend(joined.ok());
    }
    asked.sort_by_key(|(index, _)| *index);
    asked.into_iter().map(|(_, one)| one).collect()
}

async fn ask(server: SocketAddr, name: &str, kind: RecordKind, time: Duration) -> Asked {
    let started = Instant::now();
    let mut local = None;
    let outcome = match timeout(time, exchange(server, name, kind, &mut local)).await {
        Err(_) => Err(DnsFault::Silent),
        Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => Err(DnsFault::Malformed),
        Ok(Err(error)) => Err(DnsFault::Network(NetworkFault::of(&error))),
        Ok(Ok(answer)) => Ok(answer),
    };
    Asked {
        server,
        kind,
        outcome,
        local,
        ms: started.elapsed().as_secs_f64() * 1000.0,
    }
}

/// One question over UDP, and over TCP if the answer was cut.
async fn exchange(
    server: SocketAddr,
    name: &str,
    kind: RecordKind,
    local: &mut Option<SocketAddr>,
) -> io::Result<DnsAnswer> {
    let id = fastrand::u16(..);
    let malformed = || io::Error::from(io::ErrorKind::InvalidData);
    let message = question(id, name, kind).ok_or_else(malformed)?;
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    *local = socket.local_addr().ok();
    socket.send(&message).await?;
    let mut buffer = [0; 4096];
    let answer = loop {
        let length = socket.recv(&mut buffer).await?;
        let read = DnsAnswer::read(buffer.get(..length).unwrap_or(&[]));
        match read {
            None => return Err(malformed()),
            // An answer to an older question.
            Some(answer) if answer.id != id => {}
            Some(answer) => break answer,
        }
    };
    if !answer.is_truncated {
        return Ok(answer);
    }
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(message.len()).map_err(|_| malformed())?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(&message).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    DnsAnswer::read(&answer).ok_or_else(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_names_in_them_skipped() {
        let mut message = question(7, "a.example", RecordKind::A).unwrap();
        message[2] = 0x81;
        message[3] = 0x80;
        message[7] = 2;
        message.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, 12]);
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1]);
        let answer = DnsAnswer::read(&message).unwrap();
        assert_eq!((answer.id, answer.code), (7, 0));
        assert_eq!(answer.addresses, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        for end in 0..message.len() {
            assert_eq!(DnsAnswer::read(&message[..end]), None, "{end}");
        }
    }

    #[test]
    fn a_name_with_an_empty_or_long_label_is_not_asked_for() {
        let check = |name: &str, asked: bool| {
            assert_eq!(question(1, name, RecordKind::A).is_some(), asked, "{name}");
        };
        check("a.example.", true);
        check("a..example", false);
        check(&"a".repeat(64), false);
        check(&"abcdefg.".repeat(40), false);
    }

    #[test]
    fn servers_are_read_from_resolv_conf() {
        let text =
            "# c\nnameserver 127.0.0.53\nsearch x\nnameserver fe80::1%eth0\nnameserver bad\n";
        let expected: Vec<SocketAddr> = vec![
            "127.0.0.53:53".parse().unwrap(),
            "[fe80::1]:53".parse().unwrap(),
        ];
        assert_eq!(servers_of(text), expected);
    }
}
