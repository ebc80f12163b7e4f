//! A certificate's facts, read leniently, with what Go would say against reading it.
//!
//! Called with what a server sent and with what lies in a trust store. A certificate that Go refuses
//! to parse still yields its facts, because people must be told which certificate it is; only bytes
//! that have no readable structure at all yield none. Nothing is judged here but the encoding: see
//! [`crate::verify`] for the verdict.

mod extensions;
mod name;
mod reader;

use std::fmt::Write as _;
use std::net::IpAddr;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

pub use extensions::{AddressRange, NameConstraints, PolicyConstraints};
pub use name::Name;

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The bytes as they came.
    pub der: Vec<u8>,
    /// What Go would say instead of parsing it, with the `x509: ` before it; `None` where Go parses it.
    pub complaint: Option<String>,
    /// 1, 2 or 3.
    pub version: u8,
    /// The serial number.
    pub serial: Serial,
    /// Who is certified.
    pub subject: Name,
    /// Who certifies.
    pub issuer: Name,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid, inclusive.
    pub not_after: Timestamp,
    /// How the issuer signed.
    pub signature_algorithm: SignatureAlgorithm,
    /// The certified key.
    pub key: PublicKey,
    /// SHA-256 of the key with its algorithm: the same for two certificates of one key.
    pub key_fingerprint: String,
    /// dNSName entries of subjectAltName.
    pub dns_names: Vec<String>,
    /// iPAddress entries.
    pub addresses: Vec<IpAddr>,
    /// rfc822Name entries.
    pub emails: Vec<String>,
    /// uniformResourceIdentifier entries.
    pub uris: Vec<String>,
    /// Whether there is a subjectAltName extension, whatever is in it.
    pub has_alternative_names: bool,
    /// basicConstraints, where there are any.
    pub basic_constraints: Option<BasicConstraints>,
    /// keyUsage: the bits from the left, none where the extension is absent.
    pub key_usage: u16,
    /// extendedKeyUsage as dotted identifiers; empty where the extension is absent.
    pub extended_key_usage: Vec<String>,
    /// subjectKeyIdentifier.
    pub subject_key_id: Vec<u8>,
    /// The key identifier of authorityKeyIdentifier.
    pub authority_key_id: Vec<u8>,
    /// nameConstraints, where there are any.
    pub name_constraints: Option<NameConstraints>,
    /// What is said of policies.
    pub policies: PolicyConstraints,
    /// Where the issuer's certificate can be fetched (authorityInfoAccess, caIssuers).
    pub issuer_urls: Vec<String>,
    /// Critical extensions that Go does not handle, as dotted identifiers.
    pub unhandled_critical: Vec<String>,
    /// Whether the certificate asks that an OCSP answer be stapled; Go does not look.
    pub must_staple: bool,
    pub(crate) signed_part: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) alternative_names: Option<Vec<u8>>,
    pub(crate) key_info: Vec<u8>,
}

/// The bytes have no structure of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Unreadable {
    /// What Go says, with the `x509: ` before it.
    pub text: String,
}

/// A serial number; its bytes are an INTEGER's content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Serial(pub Vec<u8>);

/// basicConstraints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasicConstraints {
    /// Whether it may certify others.
    pub is_authority: bool,
    /// How many authorities may stand between it and a leaf.
    pub path_length: Option<u64>,
}

/// How a certificate is signed, in the kinds that Go tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// Refused by Go since 1.4.
    Md5Rsa,
    /// Refused by Go since 1.24, by default since 1.18.
    Sha1Rsa,
    /// RSASSA-PKCS1-v1_5.
    Sha256Rsa,
    /// RSASSA-PKCS1-v1_5.
    Sha384Rsa,
    /// RSASSA-PKCS1-v1_5.
    Sha512Rsa,
    /// RSASSA-PSS with the salt as long as the hash.
    Sha256RsaPss,
    /// RSASSA-PSS with the salt as long as the hash.
    Sha384RsaPss,
    /// RSASSA-PSS with the salt as long as the hash.
    Sha512RsaPss,
    /// Never verified by Go.
    Sha1Dsa,
    /// Never verified by Go.
    Sha256Dsa,
    /// Refused as SHA-1 with RSA is.
    Sha1Ecdsa,
    /// ECDSA.
    Sha256Ecdsa,
    /// ECDSA.
    Sha384Ecdsa,
    /// ECDSA.
    Sha512Ecdsa,
    /// Ed25519.
    Ed25519,
    /// One that Go does not know.
    Unknown,
}

impl SignatureAlgorithm {
    /// The name that Go prints.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5Rsa => "MD5-RSA",
            Self::Sha1Rsa => "SHA1-RSA",
            Self::Sha256Rsa => "SHA256-RSA",
            Self::Sha384Rsa => "SHA384-RSA",
            Self::Sha512Rsa => "SHA512-RSA",
            Self::Sha256RsaPss => "SHA256-RSAPSS",
            Self::Sha384RsaPss => "SHA384-RSAPSS",
            Self::Sha512RsaPss => "SHA512-RSAPSS",
            Self::Sha1Dsa => "DSA-SHA1",
            Self::Sha256Dsa => "DSA-SHA256",
            Self::Sha1Ecdsa => "ECDSA-SHA1",
            Self::Sha256Ecdsa => "ECDSA-SHA256",
            Self::Sha384Ecdsa => "ECDSA-SHA384",
            Self::Sha512Ecdsa => "ECDSA-SHA512",
            Self::Ed25519 => "Ed25519",
            Self::Unknown => "0",
        }
    }

    /// Whether the hash is one that nobody should trust any more.
    pub fn is_weak(self) -> bool {
        matches!(
            self,
            Self::Md5Rsa | Self::Sha1Rsa | Self::Sha1Dsa | Self::Sha1Ecdsa
        )
    }
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA.
    Rsa {
        /// Length of the modulus.
        bits: usize,
        /// The RSAPublicKey structure.
        key: Vec<u8>,
    },
    /// ECDSA on a curve that Go knows.
    Ecdsa {
        /// The curve.
        curve: Curve,
        /// The uncompressed point.
        point: Vec<u8>,
    },
    /// Ed25519.
    Ed25519(Vec<u8>),
    /// DSA; Go parses it and verifies nothing with it.
    Dsa {
        /// Length of the prime.
        bits: usize,
    },
    /// One that Go does not know; the algorithm, or the curve, as a dotted identifier.
    Unknown(String),
}

impl PublicKey {
    /// For people: `RSA 2048`, `ECDSA P-256`.
    pub fn describe(&self) -> String {
        match self {
            Self::Rsa { bits, .. } => format!("RSA {bits}"),
            Self::Ecdsa { curve, .. } => format!("ECDSA {}", curve.name()),
            Self::Ed25519(_) => "Ed25519".to_owned(),
            Self::Dsa { bits } => format!("DSA {bits}"),
            Self::Unknown(identifier) => match identifier.as_str() {
                "1.3.36.3.3.2.8.1.1.7" => "ECDSA brainpoolP256r1".to_owned(),
                "1.3.36.3.3.2.8.1.1.11" => "ECDSA brainpoolP384r1".to_owned(),
                "1.3.36.3.3.2.8.1.1.13" => "ECDSA brainpoolP512r1".to_owned(),
                "1.3.132.0.10" => "ECDSA secp256k1".to_owned(),
                "1.3.101.113" => "Ed448".to_owned(),
                other => format!("of the unknown kind {other}"),
            },
        }
    }

    /// Go's type of it, as `%T` prints.
    pub(crate) fn go_type(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "*rsa.PublicKey",
            Self::Ecdsa { .. } => "*ecdsa.PublicKey",
            Self::Ed25519(_) => "ed25519.PublicKey",
            Self::Dsa { .. } => "*dsa.PublicKey",
            Self::Unknown(_) => "<nil>",
        }
    }
}

/// The curves that Go knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// secp224r1.
    P224,
    /// secp256r1.
    P256,
    /// secp384r1.
    P384,
    /// secp521r1.
    P521,
}

impl Curve {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::P224 => "P-224",
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }
}

/// Bits of keyUsage.
pub(crate) const KEY_CERT_SIGN: u16 = 1 << 5;

/// Identifiers of extended key usages.
pub(crate) mod purpose {
    pub(crate) const ANY: &str = "2.5.29.37.0";
    pub(crate) const SERVER: &str = "1.3.6.1.5.5.7.3.1";
}

impl Certificate {
    /// Reads one certificate.
    ///
    /// # Errors
    /// Go's own words, where not even the names and the key can be found.
    pub fn parse(der: &[u8]) -> Result<Self, Unreadable> {
        reader::read(der)
    }

    /// All certificates of a PEM text that Go would take from it (`AppendCertsFromPEM`): blocks of another
    /// type, with headers, or that Go cannot parse are passed over.
    pub fn from_pem(text: &[u8]) -> Vec<Self> {
        pem_blocks(text)
            .filter_map(|der| Self::parse(&der).ok())
            .filter(|certificate| certificate.complaint.is_none())
            .collect()
    }

    /// The certificate in PEM form.
    pub fn to_pem(&self) -> String {
        let text = STANDARD.encode(&self.der);
        let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at_checked(64).unwrap_or((rest, ""));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        pem
    }

    /// SHA-256 of the certificate, in hex.
    pub fn fingerprint(&self) -> String {
        hex(digest::digest(&digest::SHA256, &self.der).as_ref())
    }

    /// Whether subject and issuer are the same name.
    pub fn is_self_issued(&self) -> bool {
        self.subject.raw == self.issuer.raw
    }

    /// Whether it is signed with its own key, whatever that key may sign.
    pub fn signs_itself(&self) -> bool {
        self.is_self_issued() && crate::verify::is_signed_with(self, &self.key)
    }

    /// Whether it may certify others, by its basic constraints alone.
    pub fn is_authority(&self) -> bool {
        self.basic_constraints
            .is_some_and(|constraints| constraints.is_authority)
    }

    /// The name that Go takes in its hints: the common name, else the organisation, else the serial.
    pub(crate) fn hint_name(&self) -> String {
        if let Some(name) = self.subject.common_name().filter(|name| !name.is_empty()) {
            return name.to_owned();
        }
        match self.subject.organization() {
            Some(organization) => organization.to_owned(),
            None => format!("serial:{}", self.serial.decimal()),
        }
    }

    /// What a person calls it: its common name, its first name, or the whole subject.
    pub fn display_name(&self) -> String {
        self.subject
            .common_name()
            .filter(|name| !name.is_empty())
            .or_else(|| self.dns_names.first().map(String::as_str))
            .map_or_else(|| self.subject.to_string(), str::to_owned)
    }
}

impl Serial {
    /// In hex, as most tools print it; a negative one with its sign.
    pub fn hex(&self) -> String {
        let (sign, magnitude) = self.magnitude();
        format!("{sign}{}", hex(&magnitude))
    }

    /// Whether the number is below zero, which no authority may issue.
    pub fn is_negative(&self) -> bool {
        self.0.first().is_some_and(|byte| byte & 0x80 != 0)
    }

    /// In decimal, as Go prints it.
    pub fn decimal(&self) -> String {
        let (sign, mut magnitude) = self.magnitude();
        let mut digits = String::new();
        while magnitude.iter().any(|byte| *byte != 0) {
            let mut remainder = 0_u16;
            for byte in &mut magnitude {
                let value = remainder << 8 | u16::from(*byte);
                *byte = u8::try_from(value / 10).unwrap_or(u8::MAX);
                remainder = value % 10;
            }
            digits.push(char::from(b'0' + u8::try_from(remainder).unwrap_or(0)));
        }
        if digits.is_empty() {
            digits.push('0');
        }
        sign.chars().chain(digits.chars().rev()).collect()
    }

    fn magnitude(&self) -> (&'static str, Vec<u8>) {
        // A serial number has 20 bytes at most (RFC 5280, 4.1.2.2); what is longer is cut, so that
        // printing one stays cheap.
        let bytes = self.0.get(..64).unwrap_or(&self.0);
        if !self.is_negative() {
            return ("", bytes.strip_prefix(&[0]).unwrap_or(bytes).to_vec());
        }
        let mut carry = true;
        let mut magnitude: Vec<u8> = bytes
            .iter()
            .rev()
            .map(|byte| {
                let (value, overflowed) = (!byte).overflowing_add(u8::from(carry));
                carry = overflowed;
                value
            })
            .collect();
        magnitude.reverse();
        ("-", magnitude)
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The contents of the `CERTIFICATE` blocks without headers, in order. Anything between blocks, and
/// blocks whose content is no base64, are passed over as Go's `pem.Decode` does.
pub(crate) fn pem_blocks(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let text = String::from_utf8_lossy(text);
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        let line = line.trim_end();
        if line == BEGIN {
            open = Some(String::new());
        } else if line == END {
            let block = open.take().and_then(|block| STANDARD.decode(block).ok());
            blocks.extend(block);
        } else if let Some(block) = &mut open {
            block.extend(line.chars().filter(|letter| !letter.is_whitespace()));
        }
    }
    blocks.into_iter()
}

#[cfg(test)]
mod tests;
