//! The certificate itself, field by field in Go's order (`parseCertificate`), so that the first
//! complaint is the one that Go prints.

use std::collections::HashSet;

use aws_lc_rs::digest;
use jiff::{Timestamp, tz::Offset};

use super::{
    Certificate, Curve, Name, PolicyConstraints, PublicKey, Serial, SignatureAlgorithm, Unreadable,
    extensions, hex,
};
use crate::der::{Der, tag};
use crate::verify::NEGATIVE_SERIAL;

/// The first complaint is Go's.
#[derive(Default)]
struct Complaint(Option<String>);

impl Complaint {
    fn add(&mut self, text: impl Into<String>) {
        self.0.get_or_insert_with(|| text.into());
    }

    /// Ends the reading with the first complaint there was.
    fn end(&mut self, text: &str) -> Unreadable {
        Unreadable {
            text: self.0.take().unwrap_or_else(|| text.to_owned()),
        }
    }
}

pub(super) fn read(der: &[u8]) -> Result<Certificate, Unreadable> {
    let mut complaint = Complaint::default();
    let certificate = complaint_of(|| Der::new(der).element(tag::SEQUENCE), "certificate")?;
    let mut outer = Der::new(certificate.content);
    let signed = complaint_of(|| outer.element(tag::SEQUENCE), "tbs certificate")?;
    let mut fields = Der::new(signed.content);

    let version = match fields.optional(tag::context_constructed(0)) {
        Some(None) => 0,
        Some(Some(mut version)) => complaint_of(|| version.unsigned(), "version")?,
        None => return Err(complaint.end("x509: malformed version")),
    };
    let version = u8::try_from(version + 1)
        .ok()
        .filter(|version| *version <= 3)
        .ok_or_else(|| complaint.end("x509: invalid version"))?;

    let serial = Serial(complaint_of(|| fields.integer(), "serial number")?.to_vec());
    if serial.is_negative() {
        complaint.add(NEGATIVE_SERIAL);
    }

    let inner = complaint_of(
        || fields.element(tag::SEQUENCE),
        "signature algorithm identifier",
    )?;
    match outer.element(tag::SEQUENCE) {
        None => complaint.add("x509: malformed algorithm identifier"),
        Some(outer) if outer.content != inner.content => {
            complaint.add("x509: inner and outer signature algorithm identifiers don't match")
        }
        Some(_) => {}
    }
    let signature_algorithm = match algorithm(inner.content) {
        Ok((identifier, parameters)) => signature_algorithm(&identifier, parameters),
        Err(fault) => {
            complaint.add(fault);
            SignatureAlgorithm::Unknown
        }
    };

    let issuer = complaint_of(|| fields.element(tag::SEQUENCE), "issuer")?;
    let (issuer, fault) = Name::read(issuer.whole);
    fault.into_iter().for_each(|fault| complaint.add(fault));

    let mut validity = fields
        .inside(tag::SEQUENCE)
        .ok_or_else(|| complaint.end("x509: malformed validity"))?;
    let not_before = time(&mut validity).map_err(|fault| complaint.end(fault))?;
    let not_after = time(&mut validity).map_err(|fault| complaint.end(fault))?;

    let subject = fields
        .element(tag::SEQUENCE)
        .ok_or_else(|| complaint.end("x509: malformed issuer"))?;
    let (subject, fault) = Name::read(subject.whole);
    fault.into_iter().for_each(|fault| complaint.add(fault));

    let key_info = fields
        .element(tag::SEQUENCE)
        .ok_or_else(|| complaint.end("x509: malformed spki"))?;
    let key = public_key(key_info.content, &mut complaint)?;

    let mut certificate = Certificate {
        der: der.to_vec(),
        complaint: None,
        version,
        serial,
        subject,
        issuer,
        not_before,
        not_after,
        signature_algorithm,
        key,
        key_fingerprint: hex(digest::digest(&digest::SHA256, key_info.whole).as_ref()),
        dns_names: Vec::new(),
        addresses: Vec::new(),
        emails: Vec::new(),
        uris: Vec::new(),
        has_alternative_names: false,
        basic_constraints: None,
        key_usage: 0,
        extended_key_usage: Vec::new(),
        subject_key_id: Vec::new(),
        authority_key_id: Vec::new(),
        name_constraints: None,
        policies: PolicyConstraints::default(),
        issuer_urls: Vec::new(),
        unhandled_critical: Vec::new(),
        must_staple: false,
        signed_part: signed.whole.to_vec(),
        signature: Vec::new(),
        alternative_names: None,
        key_info: key_info.whole.to_vec(),
    };
    if version > 1 {
        for (number, name) in [(1, "issuerUniqueID"), (2, "subjectUniqueID")] {
            if fields.optional(tag::context(number)).is_none() {
                complaint.add(format!("x509: malformed {name}"));
            }
        }
    }
    if version == 3 {
        read_extensions(&mut certificate, fields, &mut complaint);
    }
    match outer.bit_string() {
        Some(signature) => certificate.signature = signature.right_aligned(),
        None => complaint.add("x509: malformed signature"),
    }
    // The whole is compared last: a certificate with bytes behind it is one for all other purposes.
    if Der::new(der)
        .any()
        .is_none_or(|it| it.whole.len() != der.len())
    {
        complaint.add("x509: trailing data");
    }
    certificate.complaint = complaint.0;
    Ok(certificate)
}

fn complaint_of<T>(read: impl FnOnce() -> Option<T>, what: &str) -> Result<T, Unreadable> {
    read().ok_or_else(|| Unreadable {
        text: format!("x509: malformed {what}"),
    })
}

fn read_extensions(certificate: &mut Certificate, mut fields: Der<'_>, complaint: &mut Complaint) {
    let list = match fields.optional(tag::context_constructed(3)) {
        Some(None) => return,
        Some(Some(mut wrapped)) => wrapped.inside(tag::SEQUENCE),
        None => None,
    };
    let Some(mut list) = list else {
        return complaint.add("x509: malformed extensions");
    };
    let mut found: Vec<(String, bool, &[u8])> = Vec::new();
    let mut seen = HashSet::new();
    while !list.is_empty() {
        let Some(mut extension) = list.inside(tag::SEQUENCE) else {
            complaint.add("x509: malformed extension");
            break;
        };
        let Some(identifier) = extension.identifier() else {
            complaint.add("x509: malformed extension OID field");
            continue;
        };
        let critical = if extension.peek(tag::BOOLEAN) {
            extension.boolean().unwrap_or_else(|| {
                complaint.add("x509: malformed extension critical field");
                false
            })
        } else {
            false
        };
        let Some(value) = extension.element(tag::OCTET_STRING) else {
            complaint.add("x509: malformed extension value field");
            continue;
        };
        if !seen.insert(identifier.clone()) {
            complaint.add(format!(
                "x509: certificate contains duplicate extension with OID {identifier:?}"
            ));
            continue;
        }
        found.push((identifier, critical, value.content));
    }
    for (identifier, critical, value) in found {
        if identifier == "2.5.29.17" {
            certificate.has_alternative_names = true;
            certificate.alternative_names = Some(value.to_vec());
        }
        match extensions::read(certificate, &identifier, critical, value) {
            Ok(false) if critical => certificate.unhandled_critical.push(identifier),
            Ok(_) => {}
            Err(fault) => complaint.add(fault),
        }
    }
}

/// Identifier and the whole parameters, empty where there are none.
fn algorithm(content: &[u8]) -> Result<(String, &[u8]), &'static str> {
    let mut fields = Der::new(content);
    let identifier = fields.identifier().ok_or("x509: malformed OID")?;
    if fields.is_empty() {
        return Ok((identifier, &[]));
    }
    let parameters = fields.any().ok_or("x509: malformed parameters")?;
    Ok((identifier, parameters.whole))
}

fn signature_algorithm(identifier: &str, parameters: &[u8]) -> SignatureAlgorithm {
    use SignatureAlgorithm as Kind;
    match identifier {
        "1.2.840.113549.1.1.4" => Kind::Md5Rsa,
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => Kind::Sha1Rsa,
        "1.2.840.113549.1.1.11" => Kind::Sha256Rsa,
        "1.2.840.113549.1.1.12" => Kind::Sha384Rsa,
        "1.2.840.113549.1.1.13" => Kind::Sha512Rsa,
        "1.2.840.113549.1.1.10" => probabilistic(parameters).unwrap_or(Kind::Unknown),
        "1.2.840.10040.4.3" => Kind::Sha1Dsa,
        "2.16.840.1.101.3.4.3.2" => Kind::Sha256Dsa,
        "1.2.840.10045.4.1" => Kind::Sha1Ecdsa,
        "1.2.840.10045.4.3.2" => Kind::Sha256Ecdsa,
        "1.2.840.10045.4.3.3" => Kind::Sha384Ecdsa,
        "1.2.840.10045.4.3.4" => Kind::Sha512Ecdsa,
        "1.3.101.112" if parameters.is_empty() => Kind::Ed25519,
        _ => Kind::Unknown,
    }
}

/// RSASSA-PSS with one hash for everything and a salt as long as it (RFC 4055, 3.1): Go takes no other.
fn probabilistic(parameters: &[u8]) -> Option<SignatureAlgorithm> {
    const NULL: &[u8] = &[tag::NULL, 0];
    let mut fields = Der::new(parameters).inside(tag::SEQUENCE)?;
    let mut explicit = |number| fields.optional(tag::context_constructed(number))?;
    let hash = explicit(0)?.inside(tag::SEQUENCE)?;
    let mask = explicit(1)?.inside(tag::SEQUENCE)?;
    let salt = explicit(2)?.unsigned()?;
    let trailer = match explicit(3) {
        Some(mut trailer) => trailer.unsigned()?,
        None => 1,
    };
    let (hash, hash_parameters) = algorithm(hash.bytes()).ok()?;
    let (mask, mask_parameters) = algorithm(mask.bytes()).ok()?;
    let mask_hash = Der::new(mask_parameters).inside(tag::SEQUENCE)?;
    let (mask_hash, mask_hash_parameters) = algorithm(mask_hash.bytes()).ok()?;
    let plain = |parameters: &[u8]| parameters.is_empty() || parameters == NULL;
    if mask != "1.2.840.113549.1.1.8"
        || mask_hash != hash
        || trailer != 1
        || !plain(hash_parameters)
        || !plain(mask_hash_parameters)
    {
        return None;
    }
    match (hash.as_str(), salt) {
        ("2.16.840.1.101.3.4.2.1", 32) => Some(SignatureAlgorithm::Sha256RsaPss),
        ("2.16.840.1.101.3.4.2.2", 48) => Some(SignatureAlgorithm::Sha384RsaPss),
        ("2.16.840.1.101.3.4.2.3", 64) => Some(SignatureAlgorithm::Sha512RsaPss),
        _ => None,
    }
}

fn public_key(content: &[u8], complaint: &mut Complaint) -> Result<PublicKey, Unreadable> {
    let mut fields = Der::new(content);
    let kind = fields
        .inside(tag::SEQUENCE)
        .ok_or_else(|| complaint.end("x509: malformed public key algorithm identifier"))?;
    let (identifier, parameters) = algorithm(kind.bytes()).map_err(|fault| complaint.end(fault))?;
    let data = fields
        .bit_string()
        .ok_or_else(|| complaint.end("x509: malformed subjectPublicKey"))?
        .right_aligned();
    let known = match identifier.as_str() {
        "1.2.840.113549.1.1.1" => rsa_key(parameters, &data),
        "1.2.840.10045.2.1" => match elliptic_key(parameters, data) {
            Ok(key) => Ok(key),
            Err((curve, fault)) => {
                complaint.add(fault);
                return Ok(PublicKey::Unknown(curve.unwrap_or(identifier)));
            }
        },
        "1.3.101.112" if !parameters.is_empty() => {
            Err("x509: Ed25519 key encoded with illegal parameters")
        }
        "1.3.101.112" if data.len() != 32 => Err("x509: wrong Ed25519 public key size"),
        "1.3.101.112" => Ok(PublicKey::Ed25519(data)),
        "1.2.840.10040.4.1" => dsa_key(parameters, &data),
        _ => return Ok(PublicKey::Unknown(identifier)),
    };
    Ok(known.unwrap_or_else(|fault| {
        complaint.add(fault);
        PublicKey::Unknown(identifier)
    }))
}

fn rsa_key(parameters: &[u8], data: &[u8]) -> Result<PublicKey, &'static str> {
    if parameters != [tag::NULL, 0] {
        return Err("x509: RSA key missing NULL parameters");
    }
    let mut fields = Der::new(data)
        .inside(tag::SEQUENCE)
        .ok_or("x509: invalid RSA public key")?;
    let modulus = fields.integer().ok_or("x509: invalid RSA modulus")?;
    let exponent = fields
        .integer()
        .filter(|exponent| exponent.len() <= 8)
        .ok_or("x509: invalid RSA public exponent")?;
    if !is_positive(modulus) {
        return Err("x509: RSA modulus is not a positive number");
    }
    if !is_positive(exponent) {
        return Err("x509: RSA public exponent is not a positive number");
    }
    Ok(PublicKey::Rsa {
        bits: bits(modulus),
        key: data.to_vec(),
    })
}

/// The curve's identifier goes with the fault where Go does not know it.
fn elliptic_key(
    parameters: &[u8],
    point: Vec<u8>,
) -> Result<PublicKey, (Option<String>, &'static str)> {
    let identifier = Der::new(parameters)
        .identifier()
        .ok_or((None, "x509: invalid ECDSA parameters"))?;
    let (curve, length) = match identifier.as_str() {
        "1.3.132.0.33" => (Curve::P224, 57),
        "1.2.840.10045.3.1.7" => (Curve::P256, 65),
        "1.3.132.0.34" => (Curve::P384, 97),
        "1.3.132.0.35" => (Curve::P521, 133),
        _ => return Err((Some(identifier), "x509: unsupported elliptic curve")),
    };
    if point.first() != Some(&4) || point.len() != length {
        return Err((
            Some(identifier),
            "crypto/ecdsa: invalid uncompressed public key",
        ));
    }
    Ok(PublicKey::Ecdsa { curve, point })
}

fn dsa_key(parameters: &[u8], data: &[u8]) -> Result<PublicKey, &'static str> {
    let public = Der::new(data)
        .integer()
        .ok_or("x509: invalid DSA public key")?;
    let mut fields = Der::new(parameters)
        .inside(tag::SEQUENCE)
        .ok_or("x509: invalid DSA parameters")?;
    let mut number = || fields.integer().ok_or("x509: invalid DSA parameters");
    let numbers = [public, number()?, number()?, number()?];
    if !numbers.iter().all(|number| is_positive(number)) {
        return Err("x509: zero or negative DSA parameter");
    }
    let [_, prime, ..] = numbers;
    Ok(PublicKey::Dsa { bits: bits(prime) })
}

fn is_positive(content: &[u8]) -> bool {
    content.first().is_some_and(|byte| byte & 0x80 == 0) && content.iter().any(|byte| *byte != 0)
}

fn bits(content: &[u8]) -> usize {
    let zeros = content.iter().take_while(|byte| **byte == 0).count();
    let first = content.get(zeros).copied().unwrap_or(0);
    (content.len() - zeros) * 8 - usize::try_from(first.leading_zeros()).unwrap_or(0)
}

/// UTCTime with or without seconds, GeneralizedTime with seconds, as DER or with an offset.
fn time(der: &mut Der<'_>) -> Result<Timestamp, &'static str> {
    if let Some(time) = der.element(tag::UTC_TIME) {
        let (digits, zone) = time_parts(time.content).ok_or("x509: malformed UTCTime")?;
        let full = match digits.len() {
            10 => format!("{digits}00"),
            _ => digits.to_owned(),
        };
        // Two digits of the year stand for 1950 to 2049 (RFC 5280, 4.1.2.5.1).
        let century = if full.as_str() < "5" { "20" } else { "19" };
        return timestamp(&format!("{century}{full}"), zone).ok_or("x509: malformed UTCTime");
    }
    if let Some(time) = der.element(tag::GENERALIZED_TIME) {
        return time_parts(time.content)
            .and_then(|(digits, zone)| timestamp(digits, zone))
            .ok_or("x509: malformed GeneralizedTime");
    }
    Err("x509: unsupported time format")
}

/// The digits, and the offset from UTC in seconds.
fn time_parts(content: &[u8]) -> Option<(&str, i32)> {
    let text = std::str::from_utf8(content).ok()?;
    let end = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (digits, zone) = text.split_at_checked(end)?;
    if zone == "Z" {
        return Some((digits, 0));
    }
    let (sign, clock) = match zone.strip_prefix('+') {
        Some(clock) => (1, clock),
        None => (-1, zone.strip_prefix('-')?),
    };
    let (hours, minutes) = clock.split_at_checked(2).filter(|_| clock.len() == 4)?;
    let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
    // `+0000` is not what the time would be written as again, and Go checks that.
    (seconds != 0).then_some((digits, sign * seconds))
}

fn timestamp(digits: &str, offset_seconds: i32) -> Option<Timestamp> {
    if digits.len() != 14 {
        return None;
    }
    let number = |range: std::ops::Range<usize>| digits.get(range)?.parse::<i16>().ok();
    let small = |range| i8::try_from(number(range)?).ok();
    let time = jiff::civil::DateTime::new(
        number(0..4)?,
        small(4..6)?,
        small(6..8)?,
        small(8..10)?,
        small(10..12)?,
        small(12..14)?,
        0,
    )
    .ok()?;
    let offset = Offset::from_seconds(offset_seconds).ok()?;
    offset.to_timestamp(time).ok()
}
