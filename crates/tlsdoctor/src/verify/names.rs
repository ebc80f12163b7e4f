//! Host names against certificates, and the names that Go takes for valid.

use std::net::IpAddr;

use super::Reason;
use crate::certificate::Certificate;

/// Beyond so many names Go prints only their number.
const NAMES_PRINTED: usize = 100;

/// `Certificate.VerifyHostname`: addresses against addresses, names against names, never the common name.
pub fn valid_for(certificate: &Certificate, host: &str) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        let address = address.to_canonical();
        return certificate
            .addresses
            .iter()
            .any(|candidate| candidate.to_canonical() == address);
    }
    let host = host.to_ascii_lowercase();
    let is_host = is_host_name(&host, false);
    certificate.dns_names.iter().any(|name| {
        if is_host && is_host_name(name, true) {
            matches_pattern(name, &host)
        } else {
            let empty = |name: &str| name.is_empty() || name == ".";
            !empty(name) && !empty(&host) && name.eq_ignore_ascii_case(&host)
        }
    })
}

/// `HostnameError.Error`.
pub(super) fn mismatch(certificate: &Certificate, host: &str) -> (String, Reason) {
    let common_name = certificate.subject.common_name().unwrap_or_default();
    if !certificate.has_alternative_names
        && !common_name.is_empty()
        && matches_pattern(common_name, &host.to_ascii_lowercase())
    {
        return (
            "x509: certificate relies on legacy Common Name field, use SANs instead".to_owned(),
            Reason::NoNames,
        );
    }
    let valid = if host.parse::<IpAddr>().is_ok() {
        let addresses = &certificate.addresses;
        if addresses.is_empty() {
            return (
                format!(
                    "x509: cannot validate certificate for {host} because it doesn't contain any IP SANs"
                ),
                Reason::NoNames,
            );
        }
        if addresses.len() >= NAMES_PRINTED {
            return (
                format!(
                    "x509: certificate is valid for {} IP SANs, but none matched {host}",
                    addresses.len()
                ),
                Reason::NameMismatch,
            );
        }
        let texts: Vec<_> = addresses
            .iter()
            .map(|address| address.to_canonical().to_string())
            .collect();
        texts.join(", ")
    } else {
        let names = &certificate.dns_names;
        if names.len() >= NAMES_PRINTED {
            return (
                format!(
                    "x509: certificate is valid for {} names, but none matched {host}",
                    names.len()
                ),
                Reason::NameMismatch,
            );
        }
        names.join(", ")
    };
    if valid.is_empty() {
        return (
            format!("x509: certificate is not valid for any names, but wanted to match {host}"),
            Reason::NoNames,
        );
    }
    (
        format!("x509: certificate is valid for {valid}, not {host}"),
        Reason::NameMismatch,
    )
}

/// `validHostname`: letters, digits, hyphens not in front, underscores; `*` only as the whole first label.
fn is_host_name(name: &str, as_pattern: bool) -> bool {
    let name = match name.strip_suffix('.') {
        Some(shorter) if !as_pattern => shorter,
        _ => name,
    };
    if name.is_empty() || name == "*" {
        return false;
    }
    name.split('.').enumerate().all(|(index, label)| {
        as_pattern && index == 0 && label == "*"
            || !label.is_empty()
                && !label.starts_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    })
}

/// `matchHostnames`; `host` in lower case.
fn matches_pattern(pattern: &str, host: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(host);
    if pattern.is_empty() {
        return false;
    }
    let wanted: Vec<&str> = pattern.split('.').collect();
    let labels: Vec<&str> = host.split('.').collect();
    wanted.len() == labels.len()
        && wanted
            .iter()
            .zip(&labels)
            .enumerate()
            .all(|(index, (wanted, label))| index == 0 && *wanted == "*" || wanted == label)
}

/// `domainNameValid`: no empty label, no dot at the end, printable ASCII; a constraint may begin with a dot.
pub(crate) fn is_domain_name(name: &str, is_constraint: bool) -> bool {
    if name.is_empty() {
        return true;
    }
    let labels = match name.strip_prefix('.') {
        Some(rest) if is_constraint => rest,
        _ => name,
    };
    labels
        .split('.')
        .all(|label| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// `parseRFC2821Mailbox`: the local part with its quoting taken off, and the domain.
pub(crate) fn parse_mailbox(mailbox: &str) -> Option<(String, String)> {
    let mut local = String::new();
    let mut rest = mailbox.chars();
    if let Some(inside) = mailbox.strip_prefix('"') {
        rest = inside.chars();
        loop {
            match rest.next()? {
                '"' => break,
                '\\' => {
                    let escaped = rest.next()?;
                    if !matches!(escaped, '\x01'..='\x09' | '\x0b' | '\x0c' | '\x0e'..='\x7f') {
                        return None;
                    }
                    local.push(escaped);
                }
                letter
                @ ('\x01'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x21' | '\x23'..='\x7f') => {
                    local.push(letter);
                }
                _ => return None,
            }
        }
    } else {
        loop {
            let ahead = rest.clone();
            match rest.next() {
                Some('\\') => local.push(rest.next()?),
                Some(letter)
                    if letter.is_ascii_alphanumeric()
                        || "!#$%&'*+-/=?^_`{|}~.".contains(letter) =>
                {
                    local.push(letter);
                }
                _ => {
                    rest = ahead;
                    break;
                }
            }
        }
        if local.is_empty()
            || local.starts_with('.')
            || local.ends_with('.')
            || local.contains("..")
        {
            return None;
        }
    }
    let domain = rest.as_str().strip_prefix('@')?;
    let is_domain = domain.is_empty()
        || domain
            .split('.')
            .all(|label| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_graphic()));
    is_domain.then(|| (local, domain.to_owned()))
}
