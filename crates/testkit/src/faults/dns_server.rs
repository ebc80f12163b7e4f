//! A name server on loopback that knows a few names, or fails in one chosen way.

use crate::runtime;
use std::net::{IpAddr, SocketAddr};
use tokio::net::UdpSocket;

/// How questions are answered.
#[derive(Clone)]
pub(crate) enum Names {
    /// These names have these addresses; every other name does not exist.
    Are(Vec<(&'static str, IpAddr)>),
    /// SERVFAIL to everything.
    ServerFailure,
    /// No answer.
    Silent,
}

/// A name server. Stops when dropped.
pub(crate) struct DnsServer {
    pub(crate) address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens on a free UDP port.
pub(crate) fn dns_server(names: Names) -> DnsServer {
    let socket = runtime()
        .block_on(UdpSocket::bind(("127.0.0.1", 0)))
        .unwrap();
    let address = socket.local_addr().unwrap();
    let task = runtime().spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            if let Some(answer) = answer(&buffer[..length], &names) {
                let _ = socket.send_to(&answer, client).await;
            }
        }
    });
    DnsServer { address, task }
}

/// RFC 1035, section 4: header, the question again, and the addresses.
fn answer(query: &[u8], names: &Names) -> Option<Vec<u8>> {
    const NO_ERROR: u8 = 0;
    const SERVER_FAILURE: u8 = 2;
    const NAME_ERROR: u8 = 3;
    let question_len = query.get(12..)?.iter().position(|byte| *byte == 0)? + 5;
    let question = query.get(12..12 + question_len)?;
    let wanted_type = question[question_len - 3];
    let (code, addresses) = match names {
        Names::Silent => return None,
        Names::ServerFailure => (SERVER_FAILURE, Vec::new()),
        Names::Are(known) => {
            let name = name_of(question);
            let of_name: Vec<IpAddr> = known
                .iter()
                .filter(|(known, _)| *known == name)
                .map(|(_, address)| *address)
                .collect();
            let code = if of_name.is_empty() {
                NAME_ERROR
            } else {
                NO_ERROR
            };
            (code, of_name)
        }
    };
    let mut records = Vec::new();
    let mut count = 0;
    for address in addresses {
        let (kind, bytes) = match address {
            IpAddr::V4(address) => (1, address.octets().to_vec()),
            IpAddr::V6(address) => (28, address.octets().to_vec()),
        };
        if kind == wanted_type {
            count += 1;
            // A pointer to the question's name, type, class IN, 60 seconds, length.
            records.extend([0xc0, 0x0c, 0, kind, 0, 1, 0, 0, 0, 60, 0, bytes.len() as u8]);
            records.extend(bytes);
        }
    }
    let mut answer = query.get(..2)?.to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    answer.extend(question);
    answer.extend(records);
    Some(answer)
}

fn name_of(question: &[u8]) -> String {
    let mut labels = Vec::new();
    let mut rest = question;
    while let Some((length, after)) = rest.split_first()
        && *length > 0
    {
        let (label, behind) = after.split_at(usize::from(*length).min(after.len()));
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        rest = behind;
    }
    labels.join(".")
}
