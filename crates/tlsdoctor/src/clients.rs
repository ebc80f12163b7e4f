//! What git and curl say where Go says something else: measured once, kept as a table.
//!
//! curl is 7.88 with OpenSSL 3.0; git is 2.39 with libcurl on GnuTLS, which has one text for nearly all
//! faults of certificates. A git on OpenSSL prints curl's words.

use crate::report::{ClientVerdict, Clients};
use crate::verify::{HintFault, Reason, Refusal};

/// For a fault that all three meet, with a cause as the key.
pub(crate) fn for_cause(cause: &str, go: String, host: &str, root_was_sent: bool) -> Clients {
    let problem = |text: &str| format!("curl: (60) SSL certificate problem: {text}");
    let unverified =
        || "server certificate verification failed. CAfile: none CRLfile: none".to_owned();
    let (curl, git) = match cause {
        "tls-self-signed" => (problem("self-signed certificate"), unverified()),
        "tls-incomplete-chain"
        | "tls-untrusted-ca"
        | "tls-intercepted"
        | "tls-wrong-intermediate"
        | "tls-stale-ca"
        | "tls-missing-ca-bundle" => {
            let text = if root_was_sent {
                "self-signed certificate in certificate chain"
            } else {
                "unable to get local issuer certificate"
            };
            (problem(text), unverified())
        }
        "tls-cert-expired" | "tls-ca-expired" => (problem("certificate has expired"), unverified()),
        "tls-not-yet-valid" => (problem("certificate is not yet valid"), unverified()),
        "tls-name-constraints" => (problem("permitted subtree violation"), unverified()),
        "tls-weak-signature" => (
            problem("CA signature digest algorithm too weak"),
            unverified(),
        ),
        "tls-weak-key" => (problem("EE certificate key too weak"), unverified()),
        "tls-key-usage" => (problem("invalid CA certificate"), unverified()),
        "tls-name-mismatch" | "tls-san-missing" | "tls-chain-order" => (
            format!(
                "curl: (60) SSL: no alternative certificate subject name matches target host name '{host}'"
            ),
            format!("SSL: certificate subject name does not match target host name '{host}'"),
        ),
        "tls-plain-http" | "tls-not-tls" => (
            "curl: (35) error:0A00010B:SSL routines::wrong version number".to_owned(),
            "gnutls_handshake() failed: An unexpected TLS packet was received.".to_owned(),
        ),
        "tls-no-shared-cipher" | "tls-handshake-alert" => (
            "curl: (35) error:0A000410:SSL routines::sslv3 alert handshake failure".to_owned(),
            "gnutls_handshake() failed: Handshake failed".to_owned(),
        ),
        "tls-sni-refused" => (
            "curl: (35) error:0A000458:SSL routines::tlsv1 unrecognized name".to_owned(),
            "gnutls_handshake() failed: The server name sent was not recognized".to_owned(),
        ),
        "tls-alpn" => (
            "curl: (35) error:0A000460:SSL routines::tlsv1 alert no application protocol"
                .to_owned(),
            "gnutls_handshake() failed: No supported application protocol could be negotiated"
                .to_owned(),
        ),
        "tls-client-cert-required" => (
            "curl: (56) error:0A00045C:SSL routines::tlsv13 alert certificate required".to_owned(),
            "GnuTLS recv error (-12): A TLS fatal alert has been received.".to_owned(),
        ),
        "tls-handshake-timeout" => (
            "curl: (28) SSL connection timeout".to_owned(),
            "gnutls_handshake() failed: The operation timed out".to_owned(),
        ),
        "tls-truncated" => (
            "curl: (35) OpenSSL SSL_connect: SSL_ERROR_SYSCALL".to_owned(),
            "gnutls_handshake() failed: The TLS connection was non-properly terminated.".to_owned(),
        ),
        "dns-nxdomain" | "dns-server-failure" | "dns-unreachable" | "net-dns" => (
            format!("curl: (6) Could not resolve host: {host}"),
            format!("Could not resolve host: {host}"),
        ),
        "net-refused" | "net-reset" | "ipv6-broken" => (
            format!("curl: (7) Failed to connect to {host}: Couldn't connect to server"),
            format!("Failed to connect to {host}: Couldn't connect to server"),
        ),
        "net-timeout" => (
            "curl: (28) Connection timed out".to_owned(),
            format!("Failed to connect to {host}: Connection timed out"),
        ),
        "no-answer" => (
            "curl: (52) Empty reply from server".to_owned(),
            "Empty reply from server".to_owned(),
        ),
        "body-truncated" => (
            "curl: (18) transfer closed with outstanding read data remaining".to_owned(),
            "transfer closed with outstanding read data remaining".to_owned(),
        ),
        _ => (go.clone(), go.clone()),
    };
    let mut clients = Clients {
        go: ClientVerdict::failing(go),
        git: ClientVerdict::failing(git),
        curl: ClientVerdict::failing(curl),
    };
    match cause {
        // Measured: they connect where Go does not.
        "tls-hello-too-large" => {
            clients.git = ClientVerdict::default();
            clients.curl = ClientVerdict::default();
        }
        "tls-version-too-old" => {
            clients.git = ClientVerdict::default();
            clients.curl = ClientVerdict::failing(
                "curl: (35) error:0A00014D:SSL routines::legacy sigalg disallowed or unsupported",
            );
        }
        _ => {}
    }
    clients
}

/// Where a certificate's fault is finer than its cause, or is one for Go alone.
pub(crate) fn for_refusal(clients: &mut Clients, refusal: &Refusal) {
    let problem =
        |text: &str| ClientVerdict::failing(format!("curl: (60) SSL certificate problem: {text}"));
    match &refusal.reason {
        Reason::NoNames if refusal.text.contains("legacy Common Name") => {
            clients.git = ClientVerdict::default();
            clients.curl = ClientVerdict::default();
        }
        Reason::Unparsable if refusal.text.contains("negative serial") => {
            clients.git = ClientVerdict::default();
            clients.curl = ClientVerdict::default();
        }
        Reason::KeyUsage => {
            clients.git = ClientVerdict::default();
            clients.curl = problem("unsuitable certificate purpose");
        }
        Reason::TooManyIntermediates => {
            clients.curl = problem("path length constraint exceeded");
        }
        Reason::UnknownAuthority(Some(hint)) if hint.fault == HintFault::WrongSignature => {
            clients.curl = problem("certificate signature failure");
        }
        _ => {}
    }
}
