//! Name constraints of a chain (RFC 5280, 4.2.1.10), with Go's words.

use std::net::IpAddr;
use std::sync::Arc;

use super::{names, quoted};
use crate::certificate::{AddressRange, Certificate};

/// Every name of every certificate against the constraints of all authorities above it.
pub(super) fn check(chain: &[Arc<Certificate>]) -> Result<(), String> {
    for (index, certificate) in chain.iter().enumerate() {
        let above: Vec<_> = chain
            .iter()
            .skip(index + 1)
            .filter(|it| it.name_constraints.is_some())
            .collect();
        if !certificate.has_alternative_names || above.is_empty() {
            continue;
        }
        let mut uri_hosts = Vec::new();
        for uri in &certificate.uris {
            uri_hosts.push((uri, uri_host(uri)?));
        }
        let mut mailboxes = Vec::new();
        for email in &certificate.emails {
            let (local, domain) = names::parse_mailbox(email)
                .ok_or_else(|| format!("cannot parse rfc822Name {}", quoted(email)))?;
            mailboxes.push((local, domain.to_ascii_lowercase()));
        }
        for authority in above {
            let Some(constraints) = &authority.name_constraints else {
                continue;
            };
            let (permitted, excluded) = (&constraints.permitted, &constraints.excluded);
            for address in &certificate.addresses {
                let find = |ranges: &[AddressRange]| {
                    let range = ranges.iter().find(|range| contains(range, *address))?;
                    Some(format!("{}/{}", range.address, range.prefix_bits))
                };
                judge(
                    "IP address",
                    &address.to_canonical().to_string(),
                    permitted.addresses.is_empty() || find(&permitted.addresses).is_some(),
                    find(&excluded.addresses),
                )?;
            }
            for name in &certificate.dns_names {
                if !names::is_domain_name(name, false) {
                    return Err(format!("x509: cannot parse dnsName {}", quoted(name)));
                }
                judge(
                    "DNS name",
                    name,
                    permitted.dns_names.is_empty() || domain(&permitted.dns_names, name).is_some(),
                    excluded_domain(&excluded.dns_names, name),
                )?;
            }
            for (uri, host) in &uri_hosts {
                judge(
                    "URI",
                    uri,
                    permitted.uri_domains.is_empty()
                        || domain(&permitted.uri_domains, host).is_some(),
                    excluded_domain(&excluded.uri_domains, host),
                )?;
            }
            for (local, host) in &mailboxes {
                judge(
                    "email address",
                    &format!("{local}@{host}"),
                    permitted.emails.is_empty()
                        || mailbox(&permitted.emails, local, host).is_some(),
                    mailbox(&excluded.emails, local, host),
                )?;
            }
        }
    }
    Ok(())
}

fn judge(
    kind: &str,
    name: &str,
    is_permitted: bool,
    excluded_by: Option<String>,
) -> Result<(), String> {
    if !is_permitted {
        return Err(format!(
            "{kind} {} is not permitted by any constraint",
            quoted(name)
        ));
    }
    match excluded_by {
        Some(constraint) => Err(format!(
            "{kind} {} is excluded by constraint {}",
            quoted(name),
            quoted(&constraint)
        )),
        None => Ok(()),
    }
}

fn contains(range: &AddressRange, address: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(four) => u128::from(u32::from(four)) << 96,
        IpAddr::V6(six) => u128::from(six),
    };
    if range.address.is_ipv4() != address.is_ipv4() {
        return false;
    }
    let difference = bits(range.address) ^ bits(address);
    difference.leading_zeros() >= range.prefix_bits
}

/// The widest constraint that the name lies under: the same name, or a suffix of whole labels. One with a
/// dot in front covers only what lies below it; an empty one covers everything.
fn domain(constraints: &[String], name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    constraints
        .iter()
        .filter(|constraint| {
            let constraint = constraint.to_ascii_lowercase();
            name.strip_suffix(&constraint).is_some_and(|before| {
                before.is_empty()
                    || constraint.is_empty()
                    || constraint.starts_with('.')
                    || before.ends_with('.')
            })
        })
        .min_by_key(|constraint| constraint.len())
        .cloned()
}

/// A wildcard is also excluded by a constraint for one of the names that it stands for.
fn excluded_domain(constraints: &[String], name: &str) -> Option<String> {
    domain(constraints, name).or_else(|| {
        let parent = name.strip_prefix('*')?.to_ascii_lowercase();
        constraints
            .iter()
            .map(|constraint| constraint.to_ascii_lowercase())
            .find(|constraint| {
                constraint
                    .find('.')
                    .and_then(|dot| constraint.get(dot..))
                    .is_some_and(|rest| rest == parent)
            })
    })
}

fn mailbox(constraints: &[String], local: &str, host: &str) -> Option<String> {
    let exact = constraints
        .iter()
        .filter(|constraint| constraint.contains('@'))
        .filter_map(|constraint| names::parse_mailbox(constraint))
        .find(|(its_local, its_host)| its_local == local && its_host.eq_ignore_ascii_case(host));
    if exact.is_some() {
        return Some(format!("{local}@{host}"));
    }
    let domains: Vec<String> = constraints
        .iter()
        .filter(|constraint| !constraint.contains('@'))
        .cloned()
        .collect();
    domain(&domains, host)
}

fn uri_host(uri: &str) -> Result<String, String> {
    let parsed = url::Url::parse(uri).ok();
    match parsed.as_ref().and_then(url::Url::host) {
        None => Err(format!(
            "URI with empty host ({}) cannot be matched against constraints",
            quoted(uri)
        )),
        Some(url::Host::Domain(host)) => Ok(host.to_ascii_lowercase()),
        Some(_) => Err(format!(
            "URI with IP ({}) cannot be matched against constraints",
            quoted(uri)
        )),
    }
}
