//! The verdict that Go would give on a server's certificates, in Go's own words.
//!
//! This follows `crypto/x509` (`Certificate.Verify`) and what `crypto/tls` does around it
//! (`verifyServerCertificate`) as of Go 1.26, on every system where Go verifies itself: Linux and the
//! BSDs. rustls is not asked: it accepts what Go refuses and the other way round (an expired root, a
//! short RSA key, a negative serial number, an authority that may not sign). Signatures are checked by
//! aws-lc-rs. Roots, time and name are given; nothing is fetched and nobody's revocation list is read,
//! because Go reads none.

mod constraints;
mod names;
mod policies;
mod signature;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::certificate::{Certificate, PublicKey, purpose};
use crate::go_debug::GoDebug;

pub use names::valid_for;
pub(crate) use names::{is_domain_name, parse_mailbox};
pub(crate) use signature::is_signed_with;
use signature::{SignatureFault, check_signature_from};

/// What `x509negativeserial=1` forgives.
pub(crate) const NEGATIVE_SERIAL: &str = "x509: negative serial number";

/// RSA keys that Go's TLS takes, in bits.
const LARGEST_RSA_BITS: usize = 8192;

/// RSA keys that Go's signature check takes, in bits (`crypto/rsa`, since Go 1.24).
pub(crate) const SMALLEST_RSA_BITS: usize = 1024;

/// Signature checks of one verification, so that a hostile chain ends (`maxChainSignatureChecks`).
const SIGNATURE_CHECKS: usize = 100;

/// Certificates to build chains from.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    certificates: Vec<Arc<Certificate>>,
    by_subject: HashMap<Vec<u8>, Vec<usize>>,
    known: HashSet<Vec<u8>>,
}

impl Pool {
    /// Adds a certificate, once.
    pub fn add(&mut self, certificate: Arc<Certificate>) {
        if self.known.insert(certificate.der.clone()) {
            self.by_subject
                .entry(certificate.subject.raw.clone())
                .or_default()
                .push(self.certificates.len());
            self.certificates.push(certificate);
        }
    }

    /// Whether this very certificate is in it.
    pub fn contains(&self, certificate: &Certificate) -> bool {
        self.known.contains(&certificate.der)
    }

    /// The certificates of this subject.
    pub fn of_subject<'a>(&'a self, raw: &[u8]) -> impl Iterator<Item = &'a Arc<Certificate>> {
        let found = self.by_subject.get(raw).into_iter().flatten();
        found.filter_map(|index| self.certificates.get(*index))
    }

    /// All certificates, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Certificate>> {
        self.certificates.iter()
    }

    /// How many certificates there are.
    pub fn len(&self) -> usize {
        self.certificates.len()
    }

    /// True without certificates.
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    /// Who may have issued this certificate, the likeliest first: key identifiers that match, one
    /// identifier only, identifiers that differ.
    fn possible_issuers(&self, certificate: &Certificate) -> Vec<Arc<Certificate>> {
        let mut candidates: Vec<_> = self
            .of_subject(&certificate.issuer.raw)
            .map(|candidate| {
                let (its, wanted) = (&candidate.subject_key_id, &certificate.authority_key_id);
                let rank = match (its == wanted, its.is_empty() != wanted.is_empty()) {
                    (true, _) => 0,
                    (false, true) => 1,
                    (false, false) => 2,
                };
                (rank, candidate.clone())
            })
            .collect();
        candidates.sort_by_key(|(rank, _)| *rank);
        candidates.into_iter().map(|(_, it)| it).collect()
    }
}

impl FromIterator<Arc<Certificate>> for Pool {
    fn from_iter<T: IntoIterator<Item = Arc<Certificate>>>(certificates: T) -> Self {
        let mut pool = Self::default();
        certificates.into_iter().for_each(|it| pool.add(it));
        pool
    }
}

/// A chain from a leaf to a root.
pub type Chain = Vec<Arc<Certificate>>;

/// Why Go refuses, for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No certificate was sent.
    Empty,
    /// Go cannot parse one.
    Unparsable,
    /// One has expired.
    Expired,
    /// One is not valid yet.
    NotYetValid,
    /// Names of the right kind, and none matches.
    NameMismatch,
    /// No name of the kind that is needed, at most a common name.
    NoNames,
    /// No chain to a trusted root, and why a candidate was left out.
    UnknownAuthority(Option<Hint>),
    /// The chain does not allow serving.
    KeyUsage,
    /// An authority stands above more authorities than it may.
    TooManyIntermediates,
    /// An authority may not sign for this name.
    NameConstraints,
    /// An authority may not sign at all.
    NotAuthorizedToSign,
    /// A critical extension that Go does not handle.
    UnhandledCritical,
    /// The policies do not fit together.
    Policies,
    /// A key that is too short or too long, or of a kind that Go cannot use here.
    Key,
    /// Too many candidates for one name.
    SignatureLimit,
}

/// Why a candidate issuer was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The reason.
    pub fault: HintFault,
    /// Whose certificate it is.
    pub candidate: Arc<Certificate>,
}

/// Reasons against a candidate issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HintFault {
    /// The signature does not verify with its key.
    WrongSignature,
    /// MD5 or SHA-1.
    InsecureAlgorithm,
    /// An algorithm or key that Go does not know.
    UnknownAlgorithm,
    /// No authority, or one that may not sign certificates.
    CannotSign,
    /// Its key is too short.
    ShortKey,
    /// It is no valid link itself.
    Invalid(Box<Reason>),
}

/// Go's refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What Go's TLS prints: `tls: failed to verify certificate: x509: …`.
    pub text: String,
    /// Why.
    pub reason: Reason,
    /// The certificate that is at fault, where one is.
    pub certificate: Option<Arc<Certificate>>,
}

/// What to verify against.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The trusted roots.
    pub roots: &'a Pool,
    /// The host name or address of the URL, without port.
    pub host: &'a str,
    /// The time.
    pub now: Timestamp,
    /// What GODEBUG changes.
    pub go_debug: GoDebug,
}

/// What Go's TLS client says of the certificates that a server sent, the leaf first.
///
/// # Errors
/// Go's refusal. The accepted chains, leaf first, otherwise.
pub fn verify_sent(sent: &[Vec<u8>], question: Question<'_>) -> Result<Vec<Chain>, Refusal> {
    let mut certificates = Vec::with_capacity(sent.len());
    for der in sent {
        let parsed = Certificate::parse(der);
        let complaint = match &parsed {
            Ok(certificate) => certificate.complaint.clone(),
            Err(fault) => Some(fault.text.clone()),
        };
        let certificate = parsed.ok().map(Arc::new);
        let is_forgiven =
            |text: &String| question.go_debug.negative_serials && text == NEGATIVE_SERIAL;
        if let Some(complaint) = complaint.filter(|text| !is_forgiven(text)) {
            return Err(Refusal {
                text: format!("tls: failed to parse certificate from server: {complaint}"),
                reason: Reason::Unparsable,
                certificate,
            });
        }
        let Some(certificate) = certificate else {
            continue;
        };
        if let PublicKey::Rsa { bits, .. } = certificate.key
            && bits > LARGEST_RSA_BITS
        {
            return Err(Refusal {
                text: format!(
                    "tls: server sent certificate containing RSA key larger than {LARGEST_RSA_BITS} bits"
                ),
                reason: Reason::Key,
                certificate: Some(certificate),
            });
        }
        certificates.push(certificate);
    }
    let Some((leaf, others)) = certificates.split_first() else {
        return Err(Refusal {
            text: "tls: received empty certificates message".to_owned(),
            reason: Reason::Empty,
            certificate: None,
        });
    };
    let chains =
        verify(leaf, &others.iter().cloned().collect(), question).map_err(|refusal| Refusal {
            text: format!("tls: failed to verify certificate: {}", refusal.text),
            ..refusal
        })?;
    match &leaf.key {
        PublicKey::Rsa { bits, .. }
            if *bits < SMALLEST_RSA_BITS && !question.go_debug.short_rsa_keys =>
        {
            Err(Refusal {
                text: format!(
                    "tls: invalid signature by the server certificate: {}",
                    signature::short_key(*bits)
                ),
                reason: Reason::Key,
                certificate: Some(leaf.clone()),
            })
        }
        PublicKey::Rsa { .. } | PublicKey::Ecdsa { .. } | PublicKey::Ed25519(_) => Ok(chains),
        PublicKey::Dsa { .. } | PublicKey::Unknown(_) => Err(Refusal {
            text: format!(
                "tls: server's certificate contains an unsupported type of public key: {}",
                leaf.key.go_type()
            ),
            reason: Reason::Key,
            certificate: Some(leaf.clone()),
        }),
    }
}

/// `Certificate.Verify`: the chains from a leaf to a root, for serving this host at this time.
///
/// # Errors
/// Go's refusal, with the words of `crypto/x509`.
pub fn verify(
    leaf: &Arc<Certificate>,
    intermediates: &Pool,
    question: Question<'_>,
) -> Result<Vec<Chain>, Refusal> {
    check_validity(leaf, Place::Leaf, &[], question.now)?;
    if !question.host.is_empty() {
        check_host(leaf, question.host)?;
    }
    let candidates = if question.roots.contains(leaf) {
        vec![vec![leaf.clone()]]
    } else {
        let mut search = Search {
            roots: question.roots,
            intermediates,
            now: question.now,
            short_keys: question.go_debug.short_rsa_keys,
            checks: 0,
        };
        search.chains(std::slice::from_ref(leaf))?
    };
    let (mut bad_policies, mut bad_usages) = (0, 0);
    let mut constraint_fault = None;
    let mut chains = Vec::new();
    for chain in candidates {
        if !policies::are_valid(&chain) {
            bad_policies += 1;
        } else if !chain.iter().all(|it| may_serve(it)) {
            bad_usages += 1;
        } else if let Err(fault) = constraints::check(&chain) {
            constraint_fault.get_or_insert(fault);
        } else {
            chains.push(chain);
        }
    }
    if !chains.is_empty() {
        return Ok(chains);
    }
    let refusal = |text: String, reason| Refusal {
        text,
        reason,
        certificate: Some(leaf.clone()),
    };
    if let Some(fault) = constraint_fault {
        return Err(refusal(
            format!(
                "x509: a root or intermediate certificate is not authorized to sign for this name: {fault}"
            ),
            Reason::NameConstraints,
        ));
    }
    if bad_usages > 0 && bad_policies == 0 {
        return Err(refusal(
            "x509: certificate specifies an incompatible key usage".to_owned(),
            Reason::KeyUsage,
        ));
    }
    let mut details = Vec::new();
    if bad_usages > 0 {
        details.push(format!(
            "{bad_usages} candidate chains with incompatible key usage"
        ));
    }
    if bad_policies > 0 {
        details.push(format!(
            "{bad_policies} candidate chains with invalid policies"
        ));
    }
    Err(refusal(
        format!("x509: no valid chains built: {}", details.join(", ")),
        Reason::Policies,
    ))
}

fn check_host(leaf: &Arc<Certificate>, host: &str) -> Result<(), Refusal> {
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .filter(|host| host.parse::<IpAddr>().is_ok())
        .unwrap_or(host);
    if valid_for(leaf, host) {
        return Ok(());
    }
    let (text, reason) = names::mismatch(leaf, host);
    Err(Refusal {
        text,
        reason,
        certificate: Some(leaf.clone()),
    })
}

fn may_serve(certificate: &Certificate) -> bool {
    let usages = &certificate.extended_key_usage;
    usages.is_empty()
        || usages
            .iter()
            .any(|usage| usage == purpose::ANY || usage == purpose::SERVER)
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Leaf,
    Intermediate,
    Root,
}

/// `Certificate.isValid`: dates, critical extensions and what an authority needs, for a certificate that
/// would come behind `chain`.
fn check_validity(
    certificate: &Arc<Certificate>,
    place: Place,
    chain: &[Arc<Certificate>],
    now: Timestamp,
) -> Result<(), Refusal> {
    let refuse = |text: String, reason| {
        Err(Refusal {
            text,
            reason,
            certificate: Some(certificate.clone()),
        })
    };
    if !certificate.unhandled_critical.is_empty() {
        return refuse(
            "x509: unhandled critical extension".to_owned(),
            Reason::UnhandledCritical,
        );
    }
    let dates = "x509: certificate has expired or is not yet valid: current time";
    let seconds = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    if now < certificate.not_before {
        let bound = seconds(certificate.not_before);
        let text = format!("{dates} {} is before {bound}", seconds(now));
        return refuse(text, Reason::NotYetValid);
    }
    if now > certificate.not_after {
        let bound = seconds(certificate.not_after);
        let text = format!("{dates} {} is after {bound}", seconds(now));
        return refuse(text, Reason::Expired);
    }
    if place == Place::Intermediate && !certificate.is_authority() {
        return refuse(
            "x509: certificate is not authorized to sign other certificates".to_owned(),
            Reason::NotAuthorizedToSign,
        );
    }
    let limit = certificate
        .basic_constraints
        .and_then(|constraints| constraints.path_length);
    let intermediates = chain.len().saturating_sub(1);
    if place != Place::Leaf
        && let Some(limit) = limit
        && u64::try_from(intermediates).is_ok_and(|count| count > limit)
    {
        return refuse(
            "x509: too many intermediates for path length constraint".to_owned(),
            Reason::TooManyIntermediates,
        );
    }
    Ok(())
}

/// `Certificate.buildChains`.
struct Search<'a> {
    roots: &'a Pool,
    intermediates: &'a Pool,
    now: Timestamp,
    short_keys: bool,
    checks: usize,
}

impl Search<'_> {
    fn chains(&mut self, chain: &[Arc<Certificate>]) -> Result<Vec<Chain>, Refusal> {
        let Some(last) = chain.last() else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        let mut hint: Option<(Hint, String)> = None;
        // The last word on a candidate is what remains, as in Go: a later candidate that is valid, but
        // leads nowhere, clears what was said of an earlier one.
        let mut refusal: Option<Refusal> = None;
        let candidates = [
            (Place::Root, self.roots.possible_issuers(last)),
            (
                Place::Intermediate,
                self.intermediates.possible_issuers(last),
            ),
        ];
        for (place, candidate) in candidates
            .into_iter()
            .flat_map(|(place, list)| list.into_iter().map(move |it| (place, it)))
        {
            self.checks += 1;
            if self.checks > SIGNATURE_CHECKS {
                refusal = Some(Refusal {
                    text: "x509: signature check attempts limit reached while verifying certificate chain"
                        .to_owned(),
                    reason: Reason::SignatureLimit,
                    certificate: None,
                });
                break;
            }
            if matches!(candidate.key, PublicKey::Unknown(_)) || is_in(&candidate, chain) {
                continue;
            }
            let signed = check_signature_from(last, &candidate);
            let is_forgiven = |fault: &SignatureFault| {
                self.short_keys && matches!(fault, SignatureFault::ShortKey(_))
            };
            if let Some(fault) = signed.err().filter(|fault| !is_forgiven(fault)) {
                hint.get_or_insert_with(|| {
                    let text = fault.text(last, &candidate);
                    let fault = fault.hint();
                    (Hint { fault, candidate }, text)
                });
                continue;
            }
            if let Err(fault) = check_validity(&candidate, place, chain, self.now) {
                hint.get_or_insert_with(|| {
                    let invalid = HintFault::Invalid(Box::new(fault.reason.clone()));
                    let candidate = candidate.clone();
                    (
                        Hint {
                            fault: invalid,
                            candidate,
                        },
                        fault.text.clone(),
                    )
                });
                refusal = Some(fault);
                continue;
            }
            let mut longer = chain.to_vec();
            longer.push(candidate);
            if place == Place::Root {
                refusal = None;
                found.push(longer);
                continue;
            }
            match self.chains(&longer) {
                Ok(chains) => {
                    refusal = None;
                    found.extend(chains);
                }
                Err(fault) => {
                    let ends = fault.reason == Reason::SignatureLimit;
                    refusal = Some(fault);
                    if ends {
                        break;
                    }
                }
            }
        }
        if !found.is_empty() {
            return Ok(found);
        }
        Err(refusal.unwrap_or_else(|| unknown_authority(last, hint)))
    }
}

fn unknown_authority(certificate: &Arc<Certificate>, hint: Option<(Hint, String)>) -> Refusal {
    let mut text = "x509: certificate signed by unknown authority".to_owned();
    if let Some((hint, why)) = &hint {
        text.push_str(&format!(
            " (possibly because of {} while trying to verify candidate authority certificate {})",
            quoted(why),
            quoted(&hint.candidate.hint_name())
        ));
    }
    Refusal {
        text,
        reason: Reason::UnknownAuthority(hint.map(|(hint, _)| hint)),
        certificate: Some(certificate.clone()),
    }
}

/// `alreadyInChain`: the same subject, key and alternative names. Two certificates of one subject and key of
/// which only one has alternative names end the search, as they do in Go.
fn is_in(candidate: &Certificate, chain: &[Arc<Certificate>]) -> bool {
    for certificate in chain {
        if candidate.subject.raw != certificate.subject.raw
            || candidate.key_info != certificate.key_info
        {
            continue;
        }
        match (&candidate.alternative_names, &certificate.alternative_names) {
            (None, None) => return true,
            (Some(one), Some(other)) if one == other => return true,
            (Some(_), Some(_)) => {}
            _ => return false,
        }
    }
    false
}

/// A text as Go's `%q` prints it.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\x0b' => out.push_str("\\v"),
            letter if u32::from(letter) < 0x20 || letter == '\x7f' => {
                out.push_str(&format!("\\x{:02x}", u32::from(letter)));
            }
            letter if letter.is_control() => {
                out.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
