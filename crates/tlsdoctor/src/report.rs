//! What a diagnosis found, as data. The field names of what is serialized hold for scripts.

use diagnosis::Finding;
use serde::Serialize;

use crate::certificate::{Certificate, hex};
use crate::target::Target;

/// All that was found out about one target.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was diagnosed.
    pub target: Target,
    /// Whether the go command could use it.
    pub verdict: Verdict,
    /// What was done, in order, with the time that each step took.
    pub stages: Vec<Stage>,
    /// What is wrong, the root cause first. One whose client is not go (`clients.go.ok`) leaves the verdict
    /// healthy.
    pub findings: Vec<Finding>,
    /// What the programs that meet this host would say.
    pub clients: Clients,
    /// The TLS handshake, as far as it came.
    pub handshake: Option<Handshake>,
    /// The certificates as they were sent.
    pub chain: Vec<SentCertificate>,
    /// What the server must send, where it sends too little.
    pub repair: Option<ChainRepair>,
    /// The answer to the request, if there was one.
    pub answer: Option<Answer>,
    /// Whether the target was met in a private network, this machine included.
    pub is_in_private_network: bool,
}

/// Whether the go command could use the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It could.
    Healthy,
    /// It could not.
    Faulty,
}

/// One step of the diagnosis.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    /// Of which host: the target's, or one that it led to.
    pub host: String,
    /// Which.
    pub stage: StageName,
    /// How it ended.
    pub status: StageStatus,
    /// How long it took, in milliseconds.
    pub ms: f64,
    /// What was seen, each line repeatable by hand.
    pub evidence: Vec<String>,
}

/// The steps, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StageName {
    /// Name to addresses.
    Dns,
    /// Connections to each address.
    Tcp,
    /// The forward proxy.
    Proxy,
    /// The handshake.
    Tls,
    /// The certificates.
    Certificate,
    /// A request.
    Http,
}

impl StageName {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::Certificate => "certificate",
            Self::Http => "http",
        }
    }
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StageStatus {
    /// Nothing is wrong.
    Passed,
    /// It works, and something about it is worth knowing.
    Warning,
    /// It is broken; later steps were not tried.
    Failed,
    /// It was not tried, because it needs something that this program cannot do; the evidence says what.
    Skipped,
}

/// What three programs would say of the target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Clients {
    /// The go command, version 1.26.
    pub go: ClientVerdict,
    /// git, with libcurl on GnuTLS as Debian and Ubuntu build it.
    pub git: ClientVerdict,
    /// curl, with OpenSSL 3.
    pub curl: ClientVerdict,
}

/// What one program would say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientVerdict {
    /// Whether it could use the target.
    pub ok: bool,
    /// What it would print; empty if all is well.
    pub message: String,
}

impl Default for ClientVerdict {
    fn default() -> Self {
        Self {
            ok: true,
            message: String::new(),
        }
    }
}

impl ClientVerdict {
    /// A program that fails with these words.
    pub fn failing(message: impl Into<String>) -> Self {
        Self {
            ok: false,
            message: message.into(),
        }
    }
}

/// What was agreed in a handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Handshake {
    /// `TLS 1.3` and so on.
    pub version: String,
    /// The cipher suite's name.
    pub cipher: String,
    /// The group of the key exchange, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The protocol agreed by ALPN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpn: Option<String>,
    /// Whether the server asked for a client certificate.
    pub asks_for_certificate: bool,
}

/// One certificate as it was sent, for people and scripts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SentCertificate {
    /// Subject.
    pub subject: String,
    /// Issuer.
    pub issuer: String,
    /// Names and addresses that it is for.
    pub names: Vec<String>,
    /// From when.
    pub not_before: String,
    /// Until when.
    pub not_after: String,
    /// Days until it expires, negative where it has.
    pub days_left: i64,
    /// In hex.
    pub serial: String,
    /// Kind and length.
    pub key: String,
    /// As Go names it.
    pub signature_algorithm: String,
    /// Whether it may certify others.
    pub is_authority: bool,
    /// How many authorities may stand below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_length: Option<u64>,
    /// Whether subject and issuer are one name.
    pub is_self_issued: bool,
    /// In hex; empty where absent.
    pub subject_key_id: String,
    /// In hex; empty where absent.
    pub authority_key_id: String,
    /// SHA-256 of the certificate, in hex.
    pub fingerprint: String,
    /// What Go has against its encoding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complaint: Option<String>,
    /// The certificate.
    pub pem: String,
}

impl SentCertificate {
    /// Its facts; `now` is what the days left are counted from.
    pub fn of(certificate: &Certificate, now: jiff::Timestamp) -> Self {
        let addresses = certificate.addresses.iter().map(ToString::to_string);
        let seconds_left = certificate.not_after.as_second() - now.as_second();
        Self {
            subject: certificate.subject.to_string(),
            issuer: certificate.issuer.to_string(),
            names: certificate
                .dns_names
                .iter()
                .cloned()
                .chain(addresses)
                .collect(),
            not_before: certificate.not_before.to_string(),
            not_after: certificate.not_after.to_string(),
            days_left: seconds_left.div_euclid(24 * 60 * 60),
            serial: certificate.serial.hex(),
            key: certificate.key.describe(),
            signature_algorithm: certificate.signature_algorithm.name().to_owned(),
            is_authority: certificate.is_authority(),
            path_length: certificate
                .basic_constraints
                .and_then(|constraints| constraints.path_length),
            is_self_issued: certificate.is_self_issued(),
            subject_key_id: hex(&certificate.subject_key_id),
            authority_key_id: hex(&certificate.authority_key_id),
            fingerprint: certificate.fingerprint(),
            complaint: certificate.complaint.clone(),
            pem: certificate.to_pem(),
        }
    }
}

/// What a server with an incomplete chain must send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainRepair {
    /// The certificates that are missing, PEM, in the order in which they follow the leaf.
    pub missing: Vec<String>,
    /// Where each was fetched from.
    pub sources: Vec<String>,
    /// The whole file to serve: the leaf and its issuers without the root.
    pub chain_file: String,
}

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The last URL, after redirects.
    pub url: String,
    /// HTTP status.
    pub status: u16,
    /// The reason phrase of HTTP/1.1, or the usual one.
    pub reason: String,
    /// The media type, if it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The server's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Where redirects led.
    pub redirects: Vec<String>,
    /// The beginning of the body; what is no text is left out.
    pub body: String,
}
