//! Numbers of other tools: OpenSSL's verify codes, TLS alerts, the exit statuses of curl and git.

use crate::cause;
use crate::finding::{Confidence, Evidence, Finding, Subject};

/// A number with the tool that speaks it, as in `openssl:20`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    tool: Tool,
    number: u16,
}

/// Whose numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    OpenSsl,
    TlsAlert,
    Curl,
    Git,
}

impl Code {
    /// What `--code` takes, for help and complaints.
    pub const FORMS: &'static str = "openssl:20, tls-alert:48, curl:60 or git:128";

    /// Reads `TOOL:NUMBER`; `None` where the tool is not known or the number is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (tool, number) = text.split_once(':')?;
        let tool = match tool.trim().to_ascii_lowercase().as_str() {
            "openssl" => Tool::OpenSsl,
            "tls-alert" | "tls" | "alert" => Tool::TlsAlert,
            "curl" => Tool::Curl,
            "git" => Tool::Git,
            _ => return None,
        };
        let number = number.trim().parse().ok()?;
        Some(Self { tool, number })
    }
}

/// One number's meaning.
struct Entry {
    number: u16,
    text: &'static str,
    cause: &'static str,
    /// What says the same.
    also: &'static [&'static str],
    confidence: Confidence,
}

/// What the number says; empty where it is not known or names no fault of its own.
pub fn explain(code: Code) -> Vec<Finding> {
    let (name, entries) = match code.tool {
        Tool::OpenSsl => ("OpenSSL verify code", OPENSSL),
        Tool::TlsAlert => ("TLS alert", TLS_ALERTS),
        Tool::Curl => ("curl exit status", CURL),
        Tool::Git => ("git exit status", GIT),
    };
    entries
        .iter()
        .filter(|entry| entry.number == code.number)
        .filter_map(|entry| {
            let catalogued = cause::find(entry.cause)?;
            let subject = Subject::default();
            Some(Finding {
                cause: entry.cause,
                confidence: entry.confidence,
                also_possible: entry.also.to_vec(),
                whose: catalogued.whose,
                evidence: vec![Evidence {
                    line: None,
                    text: format!("{name} {}: {}", entry.number, entry.text),
                }],
                cures: catalogued
                    .cures
                    .iter()
                    .flat_map(|cures| cures.iter())
                    .copied()
                    .collect(),
                settle: (entry.confidence != Confidence::Certain)
                    .then(|| catalogued.probe(&subject))
                    .flatten(),
                subject,
            })
        })
        .collect()
}

const fn certain(number: u16, text: &'static str, cause: &'static str) -> Entry {
    Entry {
        number,
        text,
        cause,
        also: &[],
        confidence: Confidence::Certain,
    }
}

const fn open(
    number: u16,
    text: &'static str,
    cause: &'static str,
    also: &'static [&'static str],
) -> Entry {
    Entry {
        number,
        text,
        cause,
        also,
        confidence: Confidence::Possible,
    }
}

/// `X509_verify_cert_error_string`'s numbers (openssl-verification-options(1)).
const OPENSSL: &[Entry] = &[
    open(
        2,
        "unable to get issuer certificate",
        "tls-untrusted-ca",
        &["tls-incomplete-chain", "tls-missing-ca-bundle"],
    ),
    certain(
        3,
        "unable to get certificate CRL (go never looks)",
        "tls-cert-policy",
    ),
    open(
        4,
        "unable to decrypt certificate's signature",
        "tls-bad-certificate",
        &["tls-stale-ca"],
    ),
    certain(
        6,
        "unable to decode issuer public key",
        "tls-bad-certificate",
    ),
    open(
        7,
        "certificate signature failure",
        "tls-bad-certificate",
        &["tls-stale-ca", "tls-wrong-intermediate"],
    ),
    open(
        9,
        "certificate is not yet valid",
        "tls-clock-skew",
        &["tls-not-yet-valid"],
    ),
    open(
        10,
        "certificate has expired",
        "tls-cert-expired",
        &["tls-ca-expired", "tls-clock-skew"],
    ),
    certain(12, "CRL has expired (go never looks)", "tls-cert-policy"),
    certain(
        13,
        "format error in certificate's notBefore field",
        "tls-bad-certificate",
    ),
    certain(
        14,
        "format error in certificate's notAfter field",
        "tls-bad-certificate",
    ),
    open(
        18,
        "self-signed certificate: the leaf signs itself",
        "tls-self-signed",
        &["tls-untrusted-ca", "tls-intercepted"],
    ),
    open(
        19,
        "self-signed certificate in certificate chain: the unknown root was sent too",
        "tls-untrusted-ca",
        &["tls-intercepted", "tls-missing-ca-bundle"],
    ),
    open(
        20,
        "unable to get local issuer certificate: the issuer of the last certificate is neither sent nor known",
        "tls-untrusted-ca",
        &[
            "tls-incomplete-chain",
            "tls-intercepted",
            "tls-missing-ca-bundle",
            "tls-wrong-intermediate",
        ],
    ),
    open(
        21,
        "unable to verify the first certificate: only one usable certificate was sent",
        "tls-incomplete-chain",
        &[
            "tls-wrong-intermediate",
            "tls-intercepted",
            "tls-untrusted-ca",
        ],
    ),
    open(
        22,
        "certificate chain too long: more issuers than the client follows",
        "tls-wrong-intermediate",
        &["tls-bad-certificate"],
    ),
    certain(
        23,
        "certificate revoked (go never looks)",
        "tls-cert-policy",
    ),
    certain(24, "invalid CA certificate", "tls-key-usage"),
    certain(25, "path length constraint exceeded", "tls-key-usage"),
    open(
        26,
        "unsuitable certificate purpose",
        "tls-key-usage",
        &["tls-chain-order"],
    ),
    open(
        27,
        "certificate not trusted",
        "tls-untrusted-ca",
        &["tls-intercepted"],
    ),
    open(
        28,
        "certificate rejected: the store knows the root, and not for this purpose",
        "tls-untrusted-ca",
        &["tls-key-usage"],
    ),
    open(
        29,
        "subject issuer mismatch",
        "tls-wrong-intermediate",
        &["tls-chain-order"],
    ),
    open(
        30,
        "authority and subject key identifier mismatch",
        "tls-wrong-intermediate",
        &["tls-stale-ca"],
    ),
    open(
        31,
        "authority and issuer serial number mismatch",
        "tls-wrong-intermediate",
        &["tls-stale-ca"],
    ),
    certain(
        32,
        "key usage does not include certificate signing",
        "tls-key-usage",
    ),
    certain(
        33,
        "unable to get CRL issuer certificate (go never looks)",
        "tls-cert-policy",
    ),
    certain(34, "unhandled critical extension", "tls-bad-certificate"),
    certain(
        37,
        "invalid non-CA certificate (has CA markings)",
        "tls-key-usage",
    ),
    certain(
        41,
        "invalid or inconsistent certificate extension",
        "tls-bad-certificate",
    ),
    certain(
        42,
        "invalid or inconsistent certificate policy extension",
        "tls-key-usage",
    ),
    certain(43, "no explicit policy", "tls-key-usage"),
    certain(47, "permitted subtree violation", "tls-name-constraints"),
    certain(48, "excluded subtree violation", "tls-name-constraints"),
    certain(
        51,
        "unsupported name constraint type",
        "tls-name-constraints",
    ),
    certain(
        52,
        "unsupported or invalid name constraint syntax",
        "tls-name-constraints",
    ),
    certain(
        53,
        "unsupported or invalid name syntax",
        "tls-name-constraints",
    ),
    open(
        62,
        "hostname mismatch",
        "tls-name-mismatch",
        &["tls-san-missing", "tls-intercepted"],
    ),
    open(
        64,
        "IP address mismatch",
        "tls-san-missing",
        &["tls-name-mismatch"],
    ),
    certain(
        66,
        "certificate key too weak (go accepts RSA from 1024 bits on)",
        "tls-weak-key",
    ),
    certain(67, "CA certificate key too weak", "tls-weak-key"),
    certain(
        68,
        "CA signature digest algorithm too weak",
        "tls-weak-signature",
    ),
    certain(
        71,
        "no valid SCTs found: certificate transparency (go never looks)",
        "tls-cert-policy",
    ),
    certain(
        73,
        "OCSP verification needed (go never looks)",
        "tls-cert-policy",
    ),
    certain(
        76,
        "cannot find certificate signature algorithm",
        "tls-bad-certificate",
    ),
    certain(
        77,
        "subject signature algorithm and issuer public key algorithm mismatch",
        "tls-bad-certificate",
    ),
    certain(
        78,
        "cert info signature and signature algorithm mismatch",
        "tls-bad-certificate",
    ),
    certain(79, "invalid CA certificate", "tls-key-usage"),
    certain(
        85,
        "missing Authority Key Identifier (a strict check, as Python makes since 3.13; go does not)",
        "tls-cert-policy",
    ),
    certain(
        86,
        "missing Subject Key Identifier (a strict check; go does not make it)",
        "tls-cert-policy",
    ),
    certain(
        89,
        "Basic Constraints of CA cert not marked critical (a strict check; go does not make it)",
        "tls-cert-policy",
    ),
    certain(
        92,
        "CA cert does not include key usage extension (a strict check; go does not make it)",
        "tls-cert-policy",
    ),
];

/// The alert descriptions of RFC 8446, section 6.
const TLS_ALERTS: &[Entry] = &[
    open(
        0,
        "close_notify: an end in good order; in a handshake it is none",
        "tls-truncated",
        &["net-reset"],
    ),
    open(
        10,
        "unexpected_message",
        "tls-handshake-alert",
        &["tls-plain-http"],
    ),
    open(
        20,
        "bad_record_mac: bytes were changed on the way",
        "net-reset",
        &["tls-intercepted"],
    ),
    open(22, "record_overflow", "tls-plain-http", &["tls-not-tls"]),
    open(
        40,
        "handshake_failure: nothing in common, or no wish to talk",
        "tls-handshake-alert",
        &[
            "tls-no-shared-cipher",
            "tls-client-cert-required",
            "tls-weak-key",
            "tls-sni-refused",
        ],
    ),
    open(
        42,
        "bad_certificate: the peer did not accept the certificate that it was shown",
        "tls-untrusted-ca",
        &["tls-client-cert-required", "tls-bad-certificate"],
    ),
    open(
        43,
        "unsupported_certificate",
        "tls-cert-policy",
        &["tls-weak-key"],
    ),
    certain(44, "certificate_revoked", "tls-cert-policy"),
    open(
        45,
        "certificate_expired",
        "tls-cert-expired",
        &["tls-clock-skew", "tls-ca-expired"],
    ),
    open(
        46,
        "certificate_unknown: the peer refuses the certificate for another reason",
        "tls-untrusted-ca",
        &["tls-cert-policy", "tls-name-mismatch"],
    ),
    open(
        47,
        "illegal_parameter",
        "tls-handshake-alert",
        &["tls-hello-too-large"],
    ),
    open(
        48,
        "unknown_ca: the peer does not know the authority behind the certificate that it was shown",
        "tls-untrusted-ca",
        &[
            "tls-incomplete-chain",
            "tls-intercepted",
            "tls-missing-ca-bundle",
        ],
    ),
    open(
        49,
        "access_denied",
        "tls-handshake-alert",
        &["tls-client-cert-required"],
    ),
    open(
        50,
        "decode_error",
        "tls-handshake-alert",
        &["tls-hello-too-large"],
    ),
    open(
        51,
        "decrypt_error: a signature did not verify",
        "tls-bad-certificate",
        &["tls-handshake-alert"],
    ),
    certain(70, "protocol_version", "tls-version-too-old"),
    open(
        71,
        "insufficient_security",
        "tls-no-shared-cipher",
        &["tls-weak-key"],
    ),
    open(
        80,
        "internal_error: often no certificate for the name",
        "tls-handshake-alert",
        &["tls-sni-refused"],
    ),
    open(
        86,
        "inappropriate_fallback",
        "tls-version-too-old",
        &["tls-handshake-alert"],
    ),
    open(
        109,
        "missing_extension",
        "tls-handshake-alert",
        &["tls-sni-refused"],
    ),
    certain(112, "unrecognized_name", "tls-sni-refused"),
    certain(116, "certificate_required", "tls-client-cert-required"),
    certain(120, "no_application_protocol", "tls-alpn"),
];

/// libcurl-errors(3), as far as a download meets them.
const CURL: &[Entry] = &[
    open(
        1,
        "a protocol that this curl does not speak, or an answer older than HTTP/1",
        "http-to-tls-port",
        &["tls-not-tls", "goproxy-config"],
    ),
    certain(3, "the URL cannot be read", "goproxy-config"),
    certain(
        5,
        "the HTTP proxy's name cannot be resolved",
        "http-proxy-unreachable",
    ),
    open(
        6,
        "the host's name cannot be resolved",
        "net-dns",
        &["dns-nxdomain", "dns-unreachable", "dns-server-failure"],
    ),
    open(
        7,
        "no connection to the host",
        "net-refused",
        &["net-timeout", "ipv6-broken", "http-proxy-unreachable"],
    ),
    open(
        8,
        "an answer that is no HTTP",
        "proxy-bad-body",
        &["http-to-tls-port", "tls-not-tls"],
    ),
    open(
        16,
        "a problem in the HTTP/2 framing",
        "net-http2-stream",
        &["tls-alpn"],
    ),
    open(
        18,
        "a part of the file only",
        "body-truncated",
        &["net-reset"],
    ),
    open(
        22,
        "a status of 400 or more",
        "proxy-server-error",
        &["proxy-not-found", "proxy-forbidden", "proxy-auth-required"],
    ),
    open(
        23,
        "the answer cannot be written here",
        "disk-full",
        &["disk-permission"],
    ),
    open(
        28,
        "the time was over",
        "net-timeout",
        &["tls-handshake-timeout", "no-answer", "net-dns"],
    ),
    open(
        35,
        "the TLS handshake failed",
        "tls-handshake-alert",
        &[
            "tls-version-too-old",
            "tls-no-shared-cipher",
            "tls-plain-http",
            "net-reset",
        ],
    ),
    certain(47, "too many redirects", "redirect-loop"),
    open(
        51,
        "the certificate is not for this host",
        "tls-name-mismatch",
        &["tls-untrusted-ca"],
    ),
    open(52, "the server said nothing", "no-answer", &["net-reset"]),
    open(55, "sending failed", "net-reset", &["tls-truncated"]),
    open(
        56,
        "receiving failed",
        "net-reset",
        &[
            "body-truncated",
            "http-proxy-bad",
            "tls-client-cert-required",
        ],
    ),
    open(
        58,
        "the client certificate cannot be used",
        "tls-client-cert-required",
        &["tls-bad-certificate"],
    ),
    open(
        59,
        "none of the wished-for cipher suites can be used",
        "tls-no-shared-cipher",
        &[],
    ),
    open(
        60,
        "the server's certificate cannot be verified",
        "tls-untrusted-ca",
        &[
            "tls-incomplete-chain",
            "tls-intercepted",
            "tls-missing-ca-bundle",
            "tls-cert-expired",
            "tls-name-mismatch",
        ],
    ),
    open(
        61,
        "a transfer encoding that is not known",
        "proxy-bad-body",
        &[],
    ),
    open(
        77,
        "the list of authorities cannot be read",
        "tls-missing-ca-bundle",
        &["disk-permission"],
    ),
    certain(83, "the issuer is not the expected one", "tls-intercepted"),
    certain(
        90,
        "the public key is not the pinned one",
        "tls-intercepted",
    ),
    open(
        91,
        "the stapled status of the certificate is bad (go never looks)",
        "tls-cert-policy",
        &[],
    ),
    open(
        92,
        "an HTTP/2 stream was not closed cleanly",
        "net-http2-stream",
        &["net-reset"],
    ),
    open(
        97,
        "the hop to the proxy failed",
        "http-proxy-bad",
        &["http-proxy-config"],
    ),
    certain(
        98,
        "the server wants a client certificate",
        "tls-client-cert-required",
    ),
];

/// git's own exit statuses; 128 is every fatal error, and only its text tells which.
const GIT: &[Entry] = &[
    open(127, "the shell found no git", "vcs-missing-binary", &[]),
    open(
        128,
        "a fatal error: the line that begins with `fatal:` says which",
        "vcs-auth-https",
        &[
            "vcs-repo-not-found",
            "vcs-network",
            "vcs-tls",
            "vcs-ssh-auth",
            "vcs-host-key",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_name_their_cause() {
        let check = |text: &str, causes: &[&str]| {
            let found: Vec<&str> = Code::parse(text)
                .map(explain)
                .unwrap_or_default()
                .iter()
                .map(|finding| finding.cause)
                .collect();
            assert_eq!(found, causes, "{text}");
        };
        check("openssl:20", &["tls-untrusted-ca"]);
        check("OpenSSL:18", &["tls-self-signed"]);
        check("tls-alert:48", &["tls-untrusted-ca"]);
        check("tls-alert:70", &["tls-version-too-old"]);
        check("curl:60", &["tls-untrusted-ca"]);
        check("git:128", &["vcs-auth-https"]);
        check("openssl:85", &["tls-cert-policy"]);
        check("curl:98", &["tls-client-cert-required"]);
        check("openssl:0", &[]);
        check("curl:99999", &[]);
        check("wget:4", &[]);
    }

    #[test]
    fn every_code_leads_into_the_catalogue() {
        for entry in [OPENSSL, TLS_ALERTS, CURL, GIT].into_iter().flatten() {
            for id in entry.also.iter().chain([&entry.cause]) {
                assert!(cause::find(id).is_some(), "{}: {id}", entry.text);
            }
        }
    }

    #[test]
    fn every_number_is_told_once_and_in_order() {
        for entries in [OPENSSL, TLS_ALERTS, CURL, GIT] {
            let sorted = entries.is_sorted_by(|one, next| one.number < next.number);
            assert!(
                sorted,
                "after {:?}",
                entries.first().map(|entry| entry.text)
            );
        }
    }
}
