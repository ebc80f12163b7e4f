//! The extensions that Go handles (`processExtensions`), with its words for broken ones.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{BasicConstraints, Certificate, hex};
use crate::der::{self, Der, tag};
use crate::verify::{is_domain_name, parse_mailbox};

/// nameConstraints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameConstraints {
    /// Names that may be certified; all of a kind may, where none of it is listed.
    pub permitted: Subtrees,
    /// Names that may not.
    pub excluded: Subtrees,
}

/// One side of the constraints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subtrees {
    /// DNS names.
    pub dns_names: Vec<String>,
    /// Addresses.
    pub addresses: Vec<AddressRange>,
    /// Mailboxes, or domains of mailboxes.
    pub emails: Vec<String>,
    /// Domains of URIs.
    pub uri_domains: Vec<String>,
}

/// Addresses with a common beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// An address of it.
    pub address: IpAddr,
    /// How many leading bits hold.
    pub prefix_bits: u32,
}

/// What a certificate says of policies (RFC 5280, 4.2.1.4, .5, .11 and .14).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyConstraints {
    /// Policies, as encoded identifiers.
    pub identifiers: Vec<Vec<u8>>,
    /// Pairs of policies of the issuer's and the subject's domain.
    pub mappings: Vec<(Vec<u8>, Vec<u8>)>,
    /// After how many certificates a policy is needed.
    pub require_explicit: Option<u64>,
    /// After how many certificates mapping ends.
    pub inhibit_mapping: Option<u64>,
    /// After how many certificates the policy for any stands for none.
    pub inhibit_any: Option<u64>,
}

/// Reads one extension into the certificate. `Ok(true)` if Go handles it.
pub(super) fn read(
    certificate: &mut Certificate,
    identifier: &str,
    critical: bool,
    value: &[u8],
) -> Result<bool, String> {
    let mut der = Der::new(value);
    match identifier {
        "2.5.29.15" => {
            let bits = der.bit_string().ok_or("x509: invalid key usage")?;
            certificate.key_usage = (0..9_u16)
                .filter(|bit| bits.bit(usize::from(*bit)))
                .fold(0, |sum, bit| sum | 1 << bit);
        }
        "2.5.29.19" => {
            certificate.basic_constraints =
                Some(basic_constraints(der).ok_or("x509: invalid basic constraints")?);
        }
        "2.5.29.17" => return alternative_names(certificate, der),
        "2.5.29.30" => return name_constraints(certificate, der),
        "2.5.29.31" => distribution_points(der)?,
        "2.5.29.35" => {
            if critical {
                return Err("x509: authority key identifier incorrectly marked critical".into());
            }
            certificate.authority_key_id =
                authority_key_id(der).ok_or("x509: invalid authority key identifier")?;
        }
        "2.5.29.14" => {
            if critical {
                return Err("x509: subject key identifier incorrectly marked critical".into());
            }
            let id = der.element(tag::OCTET_STRING);
            certificate.subject_key_id = id
                .ok_or("x509: invalid subject key identifier")?
                .content
                .to_vec();
        }
        "2.5.29.37" => {
            certificate.extended_key_usage =
                identifiers(der).ok_or("x509: invalid extended key usages")?;
        }
        "2.5.29.32" => {
            certificate.policies.identifiers =
                policies(der).ok_or("x509: invalid certificate policies")?;
        }
        "2.5.29.33" => {
            certificate.policies.mappings =
                mappings(der).ok_or("x509: invalid policy mappings extension")?;
        }
        "2.5.29.36" => {
            let (explicit, mapping) =
                policy_constraints(der).ok_or("x509: invalid policy constraints extension")?;
            certificate.policies.require_explicit = explicit;
            certificate.policies.inhibit_mapping = mapping;
        }
        "2.5.29.54" => {
            let number = der.unsigned();
            certificate.policies.inhibit_any =
                Some(number.ok_or("x509: invalid inhibit any policy extension")?);
        }
        "1.3.6.1.5.5.7.1.1" => {
            if critical {
                return Err("x509: authority info access incorrectly marked critical".into());
            }
            certificate.issuer_urls =
                issuer_urls(der).ok_or("x509: invalid authority info access")?;
        }
        "1.3.6.1.5.5.7.1.24" => {
            certificate.must_staple = true;
            return Ok(false);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn basic_constraints(mut der: Der<'_>) -> Option<BasicConstraints> {
    let mut fields = der.inside(tag::SEQUENCE)?;
    let is_authority = fields.peek(tag::BOOLEAN) && fields.boolean()?;
    let path_length = if fields.peek(tag::INTEGER) {
        Some(fields.unsigned().filter(|n| i64::try_from(*n).is_ok())?)
    } else {
        None
    };
    Some(BasicConstraints {
        is_authority,
        path_length,
    })
}

fn alternative_names(certificate: &mut Certificate, mut der: Der<'_>) -> Result<bool, String> {
    let mut names = der
        .inside(tag::SEQUENCE)
        .ok_or("x509: invalid subject alternative names")?;
    while !names.is_empty() {
        let name = names
            .any()
            .ok_or("x509: invalid subject alternative name")?;
        let ascii = |kind: &str| {
            ascii(name.content).ok_or_else(|| format!("x509: SAN {kind} is malformed"))
        };
        match name.tag ^ 0x80 {
            1 => certificate.emails.push(ascii("rfc822Name")?),
            2 => certificate.dns_names.push(ascii("dNSName")?),
            6 => certificate.uris.push(ascii("uniformResourceIdentifier")?),
            7 => certificate
                .addresses
                .push(address(name.content).ok_or_else(|| {
                    let length = name.content.len();
                    format!("x509: cannot parse IP address of length {length}")
                })?),
            _ => {}
        }
    }
    Ok(!certificate.dns_names.is_empty()
        || !certificate.emails.is_empty()
        || !certificate.addresses.is_empty()
        || !certificate.uris.is_empty())
}

fn name_constraints(certificate: &mut Certificate, mut der: Der<'_>) -> Result<bool, String> {
    let invalid = || "x509: invalid NameConstraints extension".to_owned();
    let mut fields = der.inside(tag::SEQUENCE).ok_or_else(invalid)?;
    let permitted = fields
        .optional(tag::context_constructed(0))
        .ok_or_else(invalid)?;
    let excluded = fields
        .optional(tag::context_constructed(1))
        .ok_or_else(invalid)?;
    if !der.is_empty() || !fields.is_empty() {
        return Err(invalid());
    }
    let is_empty = |side: Option<Der<'_>>| side.is_none_or(|side| side.is_empty());
    if is_empty(permitted) && is_empty(excluded) {
        return Err("x509: empty name constraints extension".into());
    }
    let mut handled = true;
    let mut read = |side: Option<Der<'_>>| match side {
        Some(side) => subtrees(side, &mut handled),
        None => Ok(Subtrees::default()),
    };
    let constraints = NameConstraints {
        permitted: read(permitted)?,
        excluded: read(excluded)?,
    };
    certificate.name_constraints = Some(constraints);
    Ok(handled)
}

fn subtrees(mut der: Der<'_>, handled: &mut bool) -> Result<Subtrees, String> {
    let mut subtrees = Subtrees::default();
    while !der.is_empty() {
        let base = der.inside(tag::SEQUENCE).and_then(|mut tree| tree.any());
        let base = base.ok_or("x509: invalid NameConstraints extension")?;
        let ascii = || {
            ascii(base.content).ok_or_else(|| {
                let text = String::from_utf8_lossy(base.content);
                format!("x509: invalid constraint value: x509: {text:?} cannot be encoded as an IA5String")
            })
        };
        match base.tag ^ 0x80 {
            2 => {
                let domain = ascii()?;
                if !is_domain_name(&domain, true) {
                    return Err(format!(
                        "x509: failed to parse dnsName constraint {domain:?}"
                    ));
                }
                subtrees.dns_names.push(domain);
            }
            7 => subtrees.addresses.push(address_range(base.content)?),
            1 => {
                let email = ascii()?;
                let valid = if email.contains('@') {
                    parse_mailbox(&email).is_some()
                } else {
                    is_domain_name(&email, true)
                };
                if !valid {
                    return Err(format!(
                        "x509: failed to parse rfc822Name constraint {email:?}"
                    ));
                }
                subtrees.emails.push(email);
            }
            6 => {
                let domain = ascii()?;
                if domain.parse::<IpAddr>().is_ok() {
                    return Err(format!(
                        "x509: failed to parse URI constraint {domain:?}: cannot be IP address"
                    ));
                }
                if !is_domain_name(&domain, true) {
                    return Err(format!("x509: failed to parse URI constraint {domain:?}"));
                }
                subtrees.uri_domains.push(domain);
            }
            _ => *handled = false,
        }
    }
    Ok(subtrees)
}

fn address_range(value: &[u8]) -> Result<AddressRange, String> {
    let half = value.len() / 2;
    let (network, mask) = value.split_at_checked(half).unwrap_or((value, &[]));
    let address = (mask.len() == half)
        .then(|| address(network))
        .flatten()
        .ok_or_else(|| {
            format!(
                "x509: IP constraint contained value of length {}",
                value.len()
            )
        })?;
    let ones: u32 = mask.iter().map(|byte| byte.leading_ones()).sum();
    let in_front = mask
        .iter()
        .skip_while(|byte| **byte == 0xff)
        .enumerate()
        .all(|(index, byte)| *byte == 0 || index == 0 && byte.leading_ones() == byte.count_ones());
    if !in_front {
        return Err(format!(
            "x509: IP constraint contained invalid mask {}",
            hex(mask)
        ));
    }
    Ok(AddressRange {
        address,
        prefix_bits: ones,
    })
}

fn distribution_points(mut der: Der<'_>) -> Result<(), String> {
    let invalid = || "x509: invalid CRL distribution point".to_owned();
    let mut points = der
        .inside(tag::SEQUENCE)
        .ok_or("x509: invalid CRL distribution points")?;
    while !points.is_empty() {
        let mut point = points.inside(tag::SEQUENCE).ok_or_else(invalid)?;
        let name = point
            .optional(tag::context_constructed(0))
            .ok_or_else(invalid)?;
        let Some(mut name) = name else {
            continue;
        };
        let mut full_name = name
            .inside(tag::context_constructed(0))
            .ok_or_else(invalid)?;
        while full_name.peek(tag::context(6)) {
            full_name.inside(tag::context(6)).ok_or_else(invalid)?;
        }
    }
    Ok(())
}

fn authority_key_id(mut der: Der<'_>) -> Option<Vec<u8>> {
    let mut fields = der.inside(tag::SEQUENCE)?;
    let id = fields.optional(tag::context(0))?;
    Some(id.map(|id| id.bytes().to_vec()).unwrap_or_default())
}

fn identifiers(mut der: Der<'_>) -> Option<Vec<String>> {
    let mut list = der.inside(tag::SEQUENCE)?;
    let mut found = Vec::new();
    while !list.is_empty() {
        found.push(list.identifier()?);
    }
    Some(found)
}

fn policies(mut der: Der<'_>) -> Option<Vec<Vec<u8>>> {
    let mut list = der.inside(tag::SEQUENCE)?;
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut seen = HashSet::new();
    while !list.is_empty() {
        let policy = list
            .inside(tag::SEQUENCE)?
            .element(tag::OBJECT_IDENTIFIER)?
            .content;
        if !seen.insert(policy) || policy.last()? & 0x80 != 0 {
            return None;
        }
        found.push(policy.to_vec());
    }
    Some(found)
}

fn mappings(mut der: Der<'_>) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut list = der.inside(tag::SEQUENCE)?;
    let mut found = Vec::new();
    while !list.is_empty() {
        let mut pair = list.inside(tag::SEQUENCE)?;
        let issuer = pair.element(tag::OBJECT_IDENTIFIER)?.content.to_vec();
        let subject = pair.element(tag::OBJECT_IDENTIFIER)?.content.to_vec();
        found.push((issuer, subject));
    }
    Some(found)
}

fn policy_constraints(mut der: Der<'_>) -> Option<(Option<u64>, Option<u64>)> {
    let mut fields = der.inside(tag::SEQUENCE)?;
    let mut number = |tag: u8| -> Option<Option<u64>> {
        match fields.optional(tag)? {
            None => Some(None),
            Some(content) if der::is_minimal_integer(content.bytes()) => {
                Some(der::unsigned(content.bytes()))
            }
            Some(_) => None,
        }
    };
    Some((number(tag::context(0))?, number(tag::context(1))?))
}

fn issuer_urls(mut der: Der<'_>) -> Option<Vec<String>> {
    let mut list = der.inside(tag::SEQUENCE)?;
    let mut found = Vec::new();
    while !list.is_empty() {
        let mut access = list.inside(tag::SEQUENCE)?;
        let method = access.identifier()?;
        if !access.peek(tag::context(6)) {
            continue;
        }
        let url = access.element(tag::context(6))?.content;
        if method == "1.3.6.1.5.5.7.48.2" {
            found.push(String::from_utf8_lossy(url).into_owned());
        }
    }
    Some(found)
}

fn ascii(bytes: &[u8]) -> Option<String> {
    bytes
        .is_ascii()
        .then(|| String::from_utf8_lossy(bytes).into_owned())
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::V4(Ipv4Addr::from(four)));
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    Some(IpAddr::V6(Ipv6Addr::from(sixteen)))
}
