//! ClientHello messages as Go sends them, and variations of one thing at a time.
//!
//! No key belongs to what is offered here: a server's first answer (ServerHello, alert, silence) does not
//! depend on one, and up to TLS 1.2 it is followed by the certificates in the clear. The order of
//! extensions is Go's.

use crate::go_debug::GoDebug;

/// TLS versions as they stand on the wire.
pub(crate) mod version {
    pub(crate) const TLS_1_0: u16 = 0x0301;
    pub(crate) const TLS_1_1: u16 = 0x0302;
    pub(crate) const TLS_1_2: u16 = 0x0303;
    pub(crate) const TLS_1_3: u16 = 0x0304;

    pub(crate) fn name(version: u16) -> String {
        match version {
            0x0300 => "SSL 3.0".to_owned(),
            TLS_1_0 => "TLS 1.0".to_owned(),
            TLS_1_1 => "TLS 1.1".to_owned(),
            TLS_1_2 => "TLS 1.2".to_owned(),
            TLS_1_3 => "TLS 1.3".to_owned(),
            other => format!("version {other:#06x}"),
        }
    }
}

/// What Go offers for TLS 1.2 and below, in its order.
pub(crate) const GO_CIPHERS: &[u16] = &[
    0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc009, 0xc013, 0xc00a, 0xc014,
];

/// What Go offers for TLS 1.3.
pub(crate) const GO_CIPHERS_13: &[u16] = &[0x1301, 0x1302, 0x1303];

/// What Go does not offer and servers may insist on: static RSA, DHE, ECDHE with CBC and SHA-2, CCM,
/// Camellia, ARIA, 3DES. Never anonymous or without encryption: a server would gladly take those and tell
/// nothing of its certificate.
const OTHER_CIPHERS: &[u16] = &[
    0x009c, 0x009d, 0x002f, 0x0035, 0x003c, 0x003d, 0x000a, 0x0005, 0x009e, 0x009f, 0x0033, 0x0039,
    0x0067, 0x006b, 0x0032, 0x0038, 0x00a2, 0x00a3, 0x0040, 0x006a, 0xccaa, 0xc023, 0xc024, 0xc027,
    0xc028, 0xc008, 0xc012, 0xc0ac, 0xc0ad, 0xc0ae, 0xc0af, 0xc09c, 0xc09d, 0xc072, 0xc073, 0xc076,
    0xc077, 0xc086, 0xc087, 0xc08a, 0xc08b, 0x0041, 0x0084, 0xc050, 0xc051, 0xc05c, 0xc05d, 0xc060,
    0xc061, 0xc048, 0xc049, 0xc04c, 0xc04d,
];

/// Groups of key exchange.
pub(crate) mod group {
    pub(crate) const X25519_MLKEM768: u16 = 0x11ec;
    pub(crate) const X25519: u16 = 0x001d;

    /// What Go 1.26 offers.
    pub(crate) const OF_GO: &[u16] = &[
        X25519_MLKEM768,
        0x11eb,
        0x11ed,
        X25519,
        0x0017,
        0x0018,
        0x0019,
    ];
    /// What Go offered before it knew post-quantum ones.
    pub(crate) const SMALL: &[u16] = &[X25519, 0x0017, 0x0018, 0x0019];
    /// What Go does not offer: X448, Brainpool, secp256k1, finite fields, pure ML-KEM.
    pub(crate) const OTHERS: &[u16] = &[
        0x001e, 0x001a, 0x001b, 0x001c, 0x001f, 0x0020, 0x0021, 0x0016, 0x0100, 0x0101, 0x0102,
        0x0103, 0x0104, 0x0200, 0x0201, 0x0202,
    ];

    pub(crate) fn name(group: u16) -> String {
        let name = match group {
            X25519_MLKEM768 => "X25519MLKEM768",
            0x11eb => "SecP256r1MLKEM768",
            0x11ed => "SecP384r1MLKEM1024",
            X25519 => "X25519",
            0x0017 => "P-256",
            0x0018 => "P-384",
            0x0019 => "P-521",
            0x001e => "X448",
            0x001a | 0x001f => "brainpoolP256r1",
            0x001b | 0x0020 => "brainpoolP384r1",
            0x001c | 0x0021 => "brainpoolP512r1",
            0x0016 => "secp256k1",
            0x0100 => "ffdhe2048",
            0x0101 => "ffdhe3072",
            0x0102 => "ffdhe4096",
            0x0103 => "ffdhe6144",
            0x0104 => "ffdhe8192",
            0x0200 => "MLKEM512",
            0x0201 => "MLKEM768",
            0x0202 => "MLKEM1024",
            other => return format!("group {other:#06x}"),
        };
        name.to_owned()
    }
}

/// Names of the cipher suites that are met most.
pub(crate) fn cipher_name(cipher: u16) -> String {
    let name = match cipher {
        0x1301 => "TLS_AES_128_GCM_SHA256",
        0x1302 => "TLS_AES_256_GCM_SHA384",
        0x1303 => "TLS_CHACHA20_POLY1305_SHA256",
        0xc02b => "ECDHE_ECDSA_AES_128_GCM_SHA256",
        0xc02f => "ECDHE_RSA_AES_128_GCM_SHA256",
        0xc02c => "ECDHE_ECDSA_AES_256_GCM_SHA384",
        0xc030 => "ECDHE_RSA_AES_256_GCM_SHA384",
        0xcca9 => "ECDHE_ECDSA_CHACHA20_POLY1305",
        0xcca8 => "ECDHE_RSA_CHACHA20_POLY1305",
        0xc009 => "ECDHE_ECDSA_AES_128_CBC_SHA",
        0xc013 => "ECDHE_RSA_AES_128_CBC_SHA",
        0xc00a => "ECDHE_ECDSA_AES_256_CBC_SHA",
        0xc014 => "ECDHE_RSA_AES_256_CBC_SHA",
        0x009c => "RSA_AES_128_GCM_SHA256 (static RSA)",
        0x009d => "RSA_AES_256_GCM_SHA384 (static RSA)",
        0x002f => "RSA_AES_128_CBC_SHA (static RSA)",
        0x0035 => "RSA_AES_256_CBC_SHA (static RSA)",
        0x003c | 0x003d => "RSA_AES_CBC_SHA256 (static RSA)",
        0x000a => "RSA_3DES_EDE_CBC_SHA (static RSA)",
        0x009e | 0x009f | 0x0033 | 0x0039 | 0x0067 | 0x006b | 0xccaa => "a DHE_RSA suite",
        0x0032 | 0x0038 | 0x00a2 | 0x00a3 | 0x0040 | 0x006a => "a DHE_DSS suite",
        0xc072 | 0xc073 | 0xc076 | 0xc077 | 0xc086 | 0xc087 | 0xc08a | 0xc08b => {
            "an ECDHE suite with Camellia"
        }
        0xc048 | 0xc049 | 0xc04c | 0xc04d | 0xc05c | 0xc05d | 0xc060 | 0xc061 => {
            "an ECDHE suite with ARIA"
        }
        0xc0ac..=0xc0af => "an ECDHE suite with AES-CCM",
        0xc023 | 0xc024 | 0xc027 | 0xc028 => "an ECDHE suite with CBC and SHA-2",
        other => return format!("cipher suite {other:#06x}"),
    };
    name.to_owned()
}

/// Signature schemes that Go offers, in its order.
const GO_SCHEMES: &[u16] = &[
    0x0804, 0x0403, 0x0807, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0503, 0x0603, 0x0201, 0x0203,
];

/// Those and what Go does not: MD5, DSA, Ed448, Brainpool.
const MORE_SCHEMES: &[u16] = &[
    0x0101, 0x0202, 0x0402, 0x0502, 0x0602, 0x0808, 0x081a, 0x081b, 0x081c, 0x0301, 0x0303,
];

/// What to offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) lowest: u16,
    pub(crate) highest: u16,
    pub(crate) ciphers: Vec<u16>,
    pub(crate) groups: Vec<u16>,
    pub(crate) schemes: Vec<u16>,
    pub(crate) schemes_of_certificates: Vec<u16>,
    pub(crate) server_name: Option<String>,
    pub(crate) protocols: Vec<&'static str>,
}

impl Offer {
    /// What `net/http` of Go 1.26 offers to this host; an address is no server name.
    pub(crate) fn of_go(host: &str) -> Self {
        let name = host.strip_suffix('.').unwrap_or(host);
        let is_name = name.parse::<std::net::IpAddr>().is_err() && !name.is_empty();
        Self {
            lowest: version::TLS_1_2,
            highest: version::TLS_1_3,
            ciphers: [GO_CIPHERS, GO_CIPHERS_13].concat(),
            groups: group::OF_GO.to_vec(),
            schemes: GO_SCHEMES.to_vec(),
            schemes_of_certificates: GO_SCHEMES.to_vec(),
            server_name: is_name.then(|| name.to_owned()),
            protocols: vec!["h2", "http/1.1"],
        }
    }

    /// As GODEBUG changes it.
    pub(crate) fn with(mut self, settings: GoDebug) -> Self {
        if settings.static_rsa {
            self.ciphers.extend([0x009c, 0x009d, 0x002f, 0x0035]);
        }
        match settings.without_ml_kem {
            true => self.small(),
            false => self,
        }
    }

    /// Without the post-quantum share: it fits into one segment.
    pub(crate) fn small(mut self) -> Self {
        self.groups = group::SMALL.to_vec();
        self
    }

    pub(crate) fn server_name(mut self, name: Option<&str>) -> Self {
        self.server_name = name.map(str::to_owned);
        self
    }

    pub(crate) fn without_protocols(mut self) -> Self {
        self.protocols.clear();
        self
    }

    /// Only this version.
    pub(crate) fn only(mut self, version: u16) -> Self {
        (self.lowest, self.highest) = (version, version);
        if version < version::TLS_1_2 {
            self.ciphers.extend_from_slice(OTHER_CIPHERS);
        }
        self
    }

    /// Everything up to TLS 1.2 that somebody might insist on; from there the answer shows certificates.
    pub(crate) fn wide(mut self) -> Self {
        self.highest = version::TLS_1_2;
        self.ciphers = [GO_CIPHERS, OTHER_CIPHERS].concat();
        self.groups = [group::SMALL, group::OTHERS].concat();
        self.schemes = [GO_SCHEMES, MORE_SCHEMES].concat();
        self.schemes_of_certificates.clear();
        self
    }

    /// Every group there is, in TLS 1.3.
    pub(crate) fn all_groups(mut self) -> Self {
        self.groups = [group::OF_GO, group::OTHERS].concat();
        self.only(version::TLS_1_3)
    }

    /// The record, ready to be sent.
    pub(crate) fn record(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(2048);
        body.extend(self.highest.min(version::TLS_1_2).to_be_bytes());
        body.extend(random(32));
        vector8(&mut body, &random(32));
        let ciphers = match (self.lowest, self.highest) {
            (version::TLS_1_3, _) => GO_CIPHERS_13,
            _ => &self.ciphers,
        };
        vector16(&mut body, &words(ciphers));
        body.extend([1, 0]);
        let extensions = self.extensions();
        vector16(&mut body, &extensions);

        let mut message = vec![1];
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
        message.extend(length.get(1..).unwrap_or(&[]));
        message.extend(body);
        let mut record = vec![22];
        // The first record says 1.0 for old servers' sake (RFC 8446, 5.1).
        record.extend(version::TLS_1_0.to_be_bytes());
        vector16(&mut record, &message);
        record
    }

    fn extensions(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut extension = |kind: u16, content: &[u8]| {
            out.extend(kind.to_be_bytes());
            vector16(&mut out, content);
        };
        if let Some(name) = &self.server_name {
            let mut entry = vec![0];
            vector16(&mut entry, name.as_bytes());
            extension(0, &list16(&entry));
        }
        extension(11, &[1, 0]);
        extension(0xff01, &[0]);
        extension(23, &[]);
        extension(18, &[]);
        extension(5, &[1, 0, 0, 0, 0]);
        extension(10, &list16(&words(&self.groups)));
        if self.highest >= version::TLS_1_2 {
            extension(13, &list16(&words(&self.schemes)));
            if !self.schemes_of_certificates.is_empty() {
                extension(50, &list16(&words(&self.schemes_of_certificates)));
            }
        }
        if !self.protocols.is_empty() {
            let mut names = Vec::new();
            for protocol in &self.protocols {
                vector8(&mut names, protocol.as_bytes());
            }
            extension(16, &list16(&names));
        }
        if self.highest >= version::TLS_1_3 {
            let versions: Vec<u16> = (self.lowest..=self.highest).rev().collect();
            let mut content = Vec::new();
            vector8(&mut content, &words(&versions));
            extension(43, &content);
            let mut shares = Vec::new();
            if self.groups.contains(&group::X25519_MLKEM768) {
                shares.extend(group::X25519_MLKEM768.to_be_bytes());
                vector16(&mut shares, &[encapsulation_key(), random(32)].concat());
            }
            shares.extend(group::X25519.to_be_bytes());
            vector16(&mut shares, &random(32));
            extension(51, &list16(&shares));
        }
        out
    }
}

/// An ML-KEM-768 key of nobody's: 768 numbers below 3329 of 12 bits, and a seed. Servers check the
/// numbers, so plain noise would not do.
fn encapsulation_key() -> Vec<u8> {
    let mut key = Vec::with_capacity(1184);
    for _ in 0..384 {
        let (one, other) = (fastrand::u16(0..3329), fastrand::u16(0..3329));
        let [low_one, high_one] = one.to_le_bytes();
        let [low_other, high_other] = other.to_le_bytes();
        key.extend([
            low_one,
            high_one | low_other << 4,
            low_other >> 4 | high_other << 4,
        ]);
    }
    key.extend(random(32));
    key
}

/// Nothing here is secret.
fn random(count: usize) -> Vec<u8> {
    std::iter::repeat_with(|| fastrand::u8(..))
        .take(count)
        .collect()
}

fn words(values: &[u16]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_be_bytes())
        .collect()
}

fn vector8(out: &mut Vec<u8>, content: &[u8]) {
    out.push(u8::try_from(content.len()).unwrap_or(u8::MAX));
    out.extend(content);
}

fn vector16(out: &mut Vec<u8>, content: &[u8]) {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    out.extend(length.to_be_bytes());
    out.extend(content);
}

fn list16(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    vector16(&mut out, content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gos_hello_does_not_fit_into_one_segment_and_the_small_one_does() {
        let go = Offer::of_go("proxy.example").record();
        assert!((1450..1700).contains(&go.len()), "{}", go.len());
        let small = Offer::of_go("proxy.example").small().record();
        assert!(small.len() < 512, "{}", small.len());
    }

    #[test]
    fn an_address_is_no_server_name() {
        assert_eq!(Offer::of_go("192.0.2.1").server_name, None);
        assert_eq!(Offer::of_go("::1").server_name, None);
        assert_eq!(
            Offer::of_go("a.example.").server_name.as_deref(),
            Some("a.example")
        );
    }
}
