//! The readers of `tlsdoctor`: certificates, TLS records, DNS answers.

use std::sync::Arc;

use jiff::Timestamp;
use tlsdoctor::certificate::Certificate;
use tlsdoctor::dns::{DnsAnswer, MOST_ADDRESSES};
use tlsdoctor::flight::{Flight, LARGEST_FLIGHT_BYTES};
use tlsdoctor::public_roots;
use tlsdoctor::verify::{Pool, Question, verify_sent};

use super::Target;

pub(super) const CERTIFICATE: Target = Target {
    name: "certificate",
    run: certificate,
    corpus: || public_roots().iter().map(|root| root.der.clone()).collect(),
    words: &[
        &[0x30, 0x82],
        &[0x30, 0x80],
        &[0xa3, 0x82],
        &[0x02, 0x01, 0x80],
        &[0x01, 0x01, 0xff],
        &[0x06, 0x03, 0x55, 0x1d, 0x11],
        &[0x06, 0x03, 0x55, 0x1d, 0x1e],
        &[0x06, 0x03, 0x55, 0x1d, 0x20],
        &[0x06, 0x03, 0x55, 0x1d, 0x21],
        &[0x06, 0x03, 0x55, 0x1d, 0x24],
        &[0x06, 0x03, 0x55, 0x1d, 0x25],
        &[0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x01],
        &[0x84, 0xff, 0xff, 0xff, 0xff],
        b"490101000000Z",
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----END CERTIFICATE-----\n",
    ],
};

pub(super) const TLS_RECORDS: Target = Target {
    name: "tls-records",
    run: tls_records,
    corpus: flights,
    words: &[
        &[22, 3, 3],
        &[21, 3, 3, 0, 2, 2, 40],
        &[20, 3, 3, 0, 1, 1],
        &[2, 0, 0],
        &[11, 0, 0],
        &[13, 0, 0, 0],
        &[14, 0, 0, 0],
        &[0, 43, 0, 2, 3, 4],
        &[0, 51, 0, 2],
        b"HTTP/1.1 400 Bad Request\r\n",
        b"SSH-2.0-",
    ],
};

pub(super) const DNS_ANSWER: Target = Target {
    name: "dns-answer",
    run: dns_answer,
    corpus: dns_answers,
    words: &[
        &[0xc0, 0x0c],
        &[0, 1, 0, 1],
        &[0, 28, 0, 1],
        &[0, 5, 0, 1],
        &[0x81, 0x80],
        &[0x83, 0x80],
        &[63],
        &[0xff, 0xff],
    ],
};

/// What is read is the same when it is read again from PEM, and the verdict ends whatever is sent twice.
fn certificate(bytes: &[u8]) {
    if let Ok(certificate) = Certificate::parse(bytes) {
        let again = Certificate::from_pem(certificate.to_pem().as_bytes());
        assert_eq!(again.is_empty(), certificate.complaint.is_some());
        assert!(!certificate.serial.decimal().is_empty());
        assert_eq!(certificate.fingerprint().len(), 64);
        let roots: Pool = [Arc::new(certificate)].into_iter().collect();
        let question = Question {
            roots: &roots,
            host: "a.example",
            now: Timestamp::UNIX_EPOCH,
            go_debug: tlsdoctor::GoDebug::default(),
        };
        if let Err(refusal) = verify_sent(&[bytes.to_vec(), bytes.to_vec()], question) {
            assert!(refusal.text.starts_with("tls: "));
        }
    }
    for found in Certificate::from_pem(bytes) {
        assert_eq!(found.complaint, None);
    }
}

/// Networks cut where they like: what is understood does not depend on it.
fn tls_records(bytes: &[u8]) {
    let mut whole = Flight::default();
    whole.feed(bytes);
    let mut parts = Flight::default();
    for part in bytes.chunks(7) {
        parts.feed(part);
    }
    assert_eq!(whole.found, parts.found);
    let sent = whole.found.certificates.iter().flatten();
    assert!(sent.map(Vec::len).sum::<usize>() <= LARGEST_FLIGHT_BYTES);
    tlsdoctor::flight::protocol_name(whole.beginning());
}

fn dns_answer(bytes: &[u8]) {
    if let Some(answer) = DnsAnswer::read(bytes) {
        assert!(answer.addresses.len() <= MOST_ADDRESSES && answer.code < 16);
    }
}

fn flights() -> Vec<Vec<u8>> {
    let record = |kind: u8, body: &[u8]| {
        let length = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
        [&[kind, 3, 3], &length[..], body].concat()
    };
    let message = |kind: u8, body: &[u8]| {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
        [&[kind], &length[1..], body].concat()
    };
    let hello = |cipher: [u8; 2], extensions: &[u8]| {
        let length = u16::try_from(extensions.len()).unwrap_or(0).to_be_bytes();
        let body = [
            &[3, 3],
            &[7; 32][..],
            &[0],
            &cipher,
            &[0],
            &length,
            extensions,
        ]
        .concat();
        message(2, &body)
    };
    let der: Vec<u8> = vec![0x30, 3, 2, 1, 5];
    let list = [&[0, 0, 16], &[0, 0, 5], &der[..], &[0, 0, 5], &der[..]].concat();
    let old = [
        hello([0xc0, 0x2f], &[]),
        message(11, &list),
        message(12, &[3, 0, 29]),
        message(13, &[1, 1, 0, 0]),
        message(14, &[]),
    ]
    .concat();
    let (one, other) = old.split_at(60);
    let new = hello([0x13, 1], &[0, 43, 0, 2, 3, 4, 0, 51, 0, 4, 0, 29, 0, 0]);
    vec![
        record(22, &old),
        [record(22, one), record(22, other)].concat(),
        [record(22, &new), record(20, &[1]), record(23, &[0; 40])].concat(),
        record(21, &[2, 40]),
        [record(21, &[1, 112]), record(22, &old)].concat(),
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH\r\n".to_vec(),
    ]
}

fn dns_answers() -> Vec<Vec<u8>> {
    let head = |flags: [u8; 2], answers: u8| {
        let name = b"\x05proxy\x07example\x00";
        [
            &[7, 7],
            &flags[..],
            &[0, 1, 0, answers, 0, 0, 0, 0],
            name,
            &[0, 1, 0, 1],
        ]
        .concat()
    };
    let four = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1];
    let six = [
        &[0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16][..],
        &[0x20; 16],
    ]
    .concat();
    let alias = [0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 4, 1, b'a', 0xc0, 12];
    vec![
        [head([0x81, 0x80], 1), four.to_vec()].concat(),
        [head([0x81, 0x80], 3), alias.to_vec(), four.to_vec(), six].concat(),
        head([0x81, 0x83], 0),
        head([0x83, 0x80], 0),
        head([0x01, 0x00], 0),
    ]
}

#[cfg(test)]
mod tests {
    use tlsdoctor::flight::Found;

    use super::*;

    fn found(flight: &[u8]) -> Found {
        let mut reader = Flight::default();
        reader.feed(flight);
        reader.found
    }

    #[test]
    fn the_answers_to_be_broken_are_good() {
        let flights = flights();
        for old in flights.iter().take(2) {
            assert_eq!(found(old).certificates.map(|list| list.len()), Some(2));
        }
        assert_eq!(
            found(&flights[2]).server.map(|server| server.version),
            Some(0x0304)
        );
        assert_eq!(found(&flights[3]).alert, Some((2, 40)));
        let addresses = dns_answers()
            .iter()
            .filter_map(|answer| DnsAnswer::read(answer))
            .map(|answer| answer.addresses.len())
            .collect::<Vec<_>>();
        assert_eq!(addresses, [1, 2, 0, 0]);
    }
}
