//! One ClientHello, and what comes back.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::connect::{Connection, NetworkFault, ProxyFault, Route};
use crate::flight::{Flight, Found, protocol_name};
use crate::hello::Offer;

/// What a server did with a ClientHello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// It went along.
    Agreed(Box<Found>),
    /// It refused with this alert.
    Alert(u8),
    /// It speaks something else; its first bytes.
    Other(Vec<u8>),
    Closed,
    Reset,
    Silent,
    /// No connection any more.
    Gone(String),
}

impl Reaction {
    pub(crate) fn agreed(&self) -> bool {
        matches!(self, Self::Agreed(_))
    }

    /// One half sentence for people.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Agreed(found) => match &found.server {
                Some(server) => format!(
                    "ServerHello, {}, {}",
                    crate::hello::version::name(server.version),
                    crate::hello::cipher_name(server.cipher)
                ),
                None => "an answer without ServerHello".to_owned(),
            },
            Self::Alert(number) => format!("alert {number} ({})", alert_text(*number)),
            Self::Other(first) => format!("no TLS but {}: {}", protocol_name(first), shown(first)),
            Self::Closed => "the connection was closed".to_owned(),
            Self::Reset => "the connection was reset".to_owned(),
            Self::Silent => "no answer".to_owned(),
            Self::Gone(text) => text.clone(),
        }
    }
}

/// Sends the hello and reads until the answer is whole.
pub(crate) async fn probe(route: &Route, offer: &Offer) -> Reaction {
    let connection = match route.open().await {
        Ok(connection) => connection,
        Err(fault) => return gone(&fault),
    };
    exchange(connection, Some(&offer.record()), route.time).await
}

/// Connects and says nothing: what speaks first is no TLS server, and what resets now does not mind the
/// hello.
pub(crate) async fn listen(route: &Route) -> Reaction {
    const MOMENT: Duration = Duration::from_millis(300);
    match route.open().await {
        Ok(connection) => exchange(connection, None, MOMENT.min(route.time)).await,
        Err(fault) => gone(&fault),
    }
}

fn gone(fault: &ProxyFault) -> Reaction {
    match fault {
        ProxyFault::Network(NetworkFault::Reset) => Reaction::Reset,
        other => Reaction::Gone(format!("no connection: {other:?}")),
    }
}

async fn exchange(mut connection: Connection, hello: Option<&[u8]>, time: Duration) -> Reaction {
    let mut flight = Flight::default();
    let end = timeout(time, converse(&mut connection, hello, &mut flight)).await;
    let found = &flight.found;
    if found.is_other {
        return Reaction::Other(flight.beginning().to_vec());
    }
    if found.server.is_some() {
        return Reaction::Agreed(Box::new(flight.found));
    }
    if let Some((_, number)) = found.alert {
        return Reaction::Alert(number);
    }
    match end {
        Err(_) => Reaction::Silent,
        Ok(Ok(())) => Reaction::Closed,
        Ok(Err(error)) => match NetworkFault::of(&error) {
            NetworkFault::Reset => Reaction::Reset,
            _ => Reaction::Closed,
        },
    }
}

async fn converse(
    connection: &mut Connection,
    hello: Option<&[u8]>,
    flight: &mut Flight,
) -> io::Result<()> {
    let written = match hello {
        Some(hello) => connection.write_all(hello).await,
        None => Ok(()),
    };
    let mut buffer = vec![0; 16 << 10];
    loop {
        // What was said before a reset may still be read.
        let length = connection.read(&mut buffer).await?;
        if length == 0 {
            return written;
        }
        flight.feed(buffer.get(..length).unwrap_or(&[]));
        if flight.found.is_complete {
            return Ok(());
        }
        if flight.found.is_other && flight.beginning().len() >= 8 {
            return Ok(());
        }
    }
}

/// Bytes as text that cannot disturb a terminal.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let text: String = bytes
        .iter()
        .take(48)
        .map(|byte| match byte {
            0x20..=0x7e => char::from(*byte),
            _ => '.',
        })
        .collect();
    format!("`{}`", text.trim_end_matches('.'))
}

/// Go's words for an alert.
pub(crate) fn alert_text(number: u8) -> String {
    let text = match number {
        0 => "close notify",
        10 => "unexpected message",
        20 => "bad record MAC",
        21 => "decryption failed",
        22 => "record overflow",
        30 => "decompression failure",
        40 => "handshake failure",
        42 => "bad certificate",
        43 => "unsupported certificate",
        44 => "revoked certificate",
        45 => "expired certificate",
        46 => "unknown certificate",
        47 => "illegal parameter",
        48 => "unknown certificate authority",
        49 => "access denied",
        50 => "error decoding message",
        51 => "error decrypting message",
        60 => "export restriction",
        70 => "protocol version not supported",
        71 => "insufficient security level",
        80 => "internal error",
        86 => "inappropriate fallback",
        90 => "user canceled",
        100 => "no renegotiation",
        109 => "missing extension",
        110 => "unsupported extension",
        111 => "certificate unobtainable",
        112 => "unrecognized name",
        113 => "bad certificate status response",
        114 => "bad certificate hash value",
        115 => "unknown PSK identity",
        116 => "certificate required",
        120 => "no application protocol",
        121 => "encrypted client hello required",
        other => return format!("alert({other})"),
    };
    text.to_owned()
}
