//! What other programs say of the same faults: OpenSSL and whoever prints its words (curl, Python, Ruby, Node),
//! Java, .NET, browsers, and the servers in their own logs.
//!
//! OpenSSL's reasons come in three dresses: as they are (`no shared cipher`), in capitals behind `[SSL: ` in Python
//! and behind `ERR_SSL_` in Node.

use super::Mark as M;
use super::Meaning::{self, Follows, Handshake, Mark as Marks, Says, Trust};
use super::Transport as T;
use super::transport;

/// Grouped by who says it; the order does not matter.
pub(super) const OTHER_PROGRAMS: &[(&str, Meaning)] = &[
    // OpenSSL's verifier, in the mouth of curl, git, Python, Ruby, Node
    (
        "unable to get local issuer certificate",
        Trust("tls-untrusted-ca"),
    ),
    (
        "unable to get issuer certificate",
        Trust("tls-untrusted-ca"),
    ),
    (
        "unable to verify the first certificate",
        Trust("tls-incomplete-chain"),
    ),
    (
        "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
        Trust("tls-incomplete-chain"),
    ),
    (
        "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
        Trust("tls-untrusted-ca"),
    ),
    ("UNABLE_TO_GET_ISSUER_CERT", Trust("tls-untrusted-ca")),
    ("SELF_SIGNED_CERT_IN_CHAIN", Trust("tls-intercepted")),
    ("DEPTH_ZERO_SELF_SIGNED_CERT", Trust("tls-self-signed")),
    ("CERT_HAS_EXPIRED", Trust("tls-cert-expired")),
    ("CERT_NOT_YET_VALID", Trust("tls-clock-skew")),
    ("ERR_TLS_CERT_ALTNAME_INVALID", Trust("tls-name-mismatch")),
    (
        "self signed certificate in certificate chain",
        Trust("tls-intercepted"),
    ),
    (
        "self-signed certificate in certificate chain",
        Trust("tls-intercepted"),
    ),
    ("self signed certificate", Trust("tls-self-signed")),
    ("self-signed certificate", Trust("tls-self-signed")),
    ("certificate is not yet valid", Trust("tls-clock-skew")),
    ("is not yet valid: current time", Trust("tls-cert-expired")),
    (
        "certificate has expired or is not yet valid",
        Trust("tls-cert-expired"),
    ),
    (
        "does not match target host name",
        Trust("tls-name-mismatch"),
    ),
    ("hostname mismatch", Trust("tls-name-mismatch")),
    ("IP address mismatch", Trust("tls-name-mismatch")),
    (
        "Hostname doesn't match certificate",
        Trust("tls-name-mismatch"),
    ),
    (
        "No subject alternative DNS name matching",
        Trust("tls-name-mismatch"),
    ),
    ("No subject alternative names", Trust("tls-san-missing")),
    ("digest algorithm too weak", Trust("tls-weak-signature")),
    ("md too weak", Trust("tls-weak-signature")),
    ("certificate key too weak", Trust("tls-weak-key")),
    ("ee key too small", Trust("tls-weak-key")),
    ("ca key too small", Trust("tls-weak-key")),
    ("unsuitable certificate purpose", Trust("tls-key-usage")),
    ("invalid CA certificate", Trust("tls-key-usage")),
    ("path length constraint exceeded", Trust("tls-key-usage")),
    ("permitted subtree violation", Trust("tls-name-constraints")),
    ("excluded subtree violation", Trust("tls-name-constraints")),
    ("certificate revoked", Trust("tls-cert-policy")),
    ("certificate verify failed", Trust("tls-untrusted-ca")),
    ("CERTIFICATE_VERIFY_FAILED", Trust("tls-untrusted-ca")),
    (
        "error setting certificate file",
        Trust("tls-missing-ca-bundle"),
    ),
    (
        "error setting certificate verify locations",
        Trust("tls-missing-ca-bundle"),
    ),
    (
        "Problem with the SSL CA cert",
        Trust("tls-missing-ca-bundle"),
    ),
    ("SSL certificate problem", Marks(M::Curl)),
    // OpenSSL's verifier: more of its reasons, and their names in Node
    (
        "certificate signature failure",
        Trust("tls-bad-certificate"),
    ),
    ("CERT_SIGNATURE_FAILURE", Trust("tls-bad-certificate")),
    ("certificate not trusted", Trust("tls-untrusted-ca")),
    ("CERT_UNTRUSTED", Trust("tls-untrusted-ca")),
    ("INVALID_CA", Trust("tls-key-usage")),
    ("INVALID_PURPOSE", Trust("tls-key-usage")),
    ("PATH_LENGTH_EXCEEDED", Trust("tls-key-usage")),
    ("CERT_REVOKED", Trust("tls-cert-policy")),
    ("HOSTNAME_MISMATCH", Trust("tls-name-mismatch")),
    // its strict checks, which Python makes since 3.13, and go does not
    ("Missing Authority Key Identifier", Trust("tls-cert-policy")),
    ("Missing Subject Key Identifier", Trust("tls-cert-policy")),
    (
        "Basic Constraints of CA cert not marked critical",
        Trust("tls-cert-policy"),
    ),
    (
        "CA cert does not include key usage extension",
        Trust("tls-cert-policy"),
    ),
    (
        "Key usage keyCertSign invalid for non-CA cert",
        Trust("tls-cert-policy"),
    ),
    (
        "Authority Key Identifier marked critical",
        Trust("tls-cert-policy"),
    ),
    // OpenSSL's handshake
    ("WRONG_VERSION_NUMBER", Handshake("tls-plain-http")),
    ("SSL: HTTP_REQUEST", Says("http-to-tls-port")),
    ("ERR_SSL_HTTP_REQUEST", Says("http-to-tls-port")),
    (":http request", Says("http-to-tls-port")),
    (
        "SSL: UNSUPPORTED_PROTOCOL",
        Handshake("tls-version-too-old"),
    ),
    (
        "ERR_SSL_UNSUPPORTED_PROTOCOL",
        Handshake("tls-version-too-old"),
    ),
    ("ALERT_PROTOCOL_VERSION", Handshake("tls-version-too-old")),
    ("no protocols available", Handshake("tls-version-too-old")),
    ("NO_PROTOCOLS_AVAILABLE", Handshake("tls-version-too-old")),
    ("ALERT_HANDSHAKE_FAILURE", Handshake("tls-handshake-alert")),
    ("ALERT_INTERNAL_ERROR", Handshake("tls-handshake-alert")),
    (
        "ALERT_CERTIFICATE_REQUIRED",
        Handshake("tls-client-cert-required"),
    ),
    ("TLSV1_UNRECOGNIZED_NAME", Handshake("tls-sni-refused")),
    ("ALERT_NO_APPLICATION_PROTOCOL", Handshake("tls-alpn")),
    ("ALERT_UNKNOWN_CA", Trust("tls-untrusted-ca")),
    ("ALERT_BAD_CERTIFICATE", Trust("tls-untrusted-ca")),
    ("alert certificate unknown", Trust("tls-untrusted-ca")),
    ("ALERT_CERTIFICATE_UNKNOWN", Trust("tls-untrusted-ca")),
    ("NO_SHARED_CIPHER", Handshake("tls-no-shared-cipher")),
    ("bad key share", Handshake("tls-no-shared-cipher")),
    ("no suitable key share", Handshake("tls-no-shared-cipher")),
    (
        "no suitable signature algorithm",
        Handshake("tls-no-shared-cipher"),
    ),
    ("DH_KEY_TOO_SMALL", Handshake("tls-weak-key")),
    ("EE_KEY_TOO_SMALL", Trust("tls-weak-key")),
    ("CA_KEY_TOO_SMALL", Trust("tls-weak-key")),
    ("CA_MD_TOO_WEAK", Trust("tls-weak-signature")),
    ("write:errno=", transport(T::Reset)),
    // curl, wget
    (
        "Received HTTP/0.9 when not allowed",
        Says("http-to-tls-port"),
    ),
    (
        "unable to set private key file",
        Handshake("tls-client-cert-required"),
    ),
    ("'s certificate, issued by", Follows("tls-untrusted-ca")),
    (
        "Unable to locally verify the issuer",
        Trust("tls-untrusted-ca"),
    ),
    (
        "Self-signed certificate encountered",
        Trust("tls-self-signed"),
    ),
    ("Issued certificate has expired", Trust("tls-cert-expired")),
    ("Issued certificate not yet valid", Trust("tls-clock-skew")),
    ("matches requested host name", Trust("tls-name-mismatch")),
    ("match requested host name", Trust("tls-name-mismatch")),
    (
        "Unable to establish SSL connection",
        Follows("tls-handshake-alert"),
    ),
    // Python
    ("doesn't match either of", Trust("tls-name-mismatch")),
    ("CertificateError: hostname", Trust("tls-name-mismatch")),
    (
        "Could not find a suitable TLS CA certificate bundle",
        Trust("tls-missing-ca-bundle"),
    ),
    // Java
    (
        "CertificateException: No name matching",
        Trust("tls-name-mismatch"),
    ),
    (
        "conform to algorithm constraints",
        Trust("tls-weak-signature"),
    ),
    (
        "Algorithm constraints check failed on signature algorithm",
        Trust("tls-weak-signature"),
    ),
    (
        "Algorithm constraints check failed on keysize",
        Trust("tls-weak-key"),
    ),
    ("Extended key usage does not permit", Trust("tls-key-usage")),
    ("KeyUsage does not allow", Trust("tls-key-usage")),
    ("basic constraints check failed", Trust("tls-key-usage")),
    ("signature check failed", Trust("tls-stale-ca")),
    (
        "chain with any of the trust anchors",
        Trust("tls-untrusted-ca"),
    ),
    ("Remote host terminated the handshake", transport(T::Ended)),
    (
        "Remote host closed connection during handshake",
        transport(T::Ended),
    ),
    ("SSL peer shut down incorrectly", transport(T::Ended)),
    (
        "that protocol version is not enabled or not supported",
        Handshake("tls-version-too-old"),
    ),
    (
        "received fatal alert: unknown_ca",
        Trust("tls-untrusted-ca"),
    ),
    (
        "received fatal alert: bad_certificate",
        Trust("tls-untrusted-ca"),
    ),
    (
        "received fatal alert: certificate_unknown",
        Trust("tls-untrusted-ca"),
    ),
    (
        "received fatal alert: certificate_expired",
        Trust("tls-cert-expired"),
    ),
    (
        "received fatal alert: no_application_protocol",
        Handshake("tls-alpn"),
    ),
    (
        "received fatal alert: insufficient_security",
        Handshake("tls-no-shared-cipher"),
    ),
    ("PKIX path building failed", Trust("tls-untrusted-ca")),
    (
        "unable to find valid certification path",
        Trust("tls-untrusted-ca"),
    ),
    ("PKIX path validation failed", Trust("tls-untrusted-ca")),
    ("validity check failed", Trust("tls-cert-expired")),
    ("CertificateExpiredException", Trust("tls-cert-expired")),
    ("CertificateNotYetValidException", Trust("tls-clock-skew")),
    (
        "trustAnchors parameter must be non-empty",
        Trust("tls-missing-ca-bundle"),
    ),
    ("No appropriate protocol", Handshake("tls-version-too-old")),
    (
        "Unsupported or unrecognized SSL message",
        Handshake("tls-plain-http"),
    ),
    (
        "match any of the subject alternative names",
        Trust("tls-name-mismatch"),
    ),
    (
        "is not accepted by client preferences",
        Handshake("tls-version-too-old"),
    ),
    // Ruby
    ("SSL_connect returned=1 errno=", Marks(M::Curl)),
    // rustls
    (
        "invalid peer certificate: UnknownIssuer",
        Trust("tls-untrusted-ca"),
    ),
    (
        "invalid peer certificate: Expired",
        Trust("tls-cert-expired"),
    ),
    (
        "invalid peer certificate: NotValidYet",
        Trust("tls-clock-skew"),
    ),
    (
        "invalid peer certificate: NotValidForName",
        Trust("tls-name-mismatch"),
    ),
    (
        "invalid peer certificate: NotValidForNameContext",
        Trust("tls-name-mismatch"),
    ),
    (
        "invalid peer certificate: certificate not valid for name",
        Trust("tls-name-mismatch"),
    ),
    (
        "invalid peer certificate: certificate expired",
        Trust("tls-cert-expired"),
    ),
    // .NET
    (
        "Could not establish trust relationship",
        Trust("tls-untrusted-ca"),
    ),
    (
        "certificate chain: UntrustedRoot",
        Trust("tls-untrusted-ca"),
    ),
    ("certificate chain: PartialChain", Trust("tls-untrusted-ca")),
    ("certificate chain: NotTimeValid", Trust("tls-cert-expired")),
    ("RemoteCertificateNameMismatch", Trust("tls-name-mismatch")),
    // browsers
    ("ERR_CERT_INVALID", Trust("tls-bad-certificate")),
    (
        "ERR_SSL_SERVER_CERT_BAD_FORMAT",
        Trust("tls-bad-certificate"),
    ),
    ("ERR_CERT_WEAK_KEY", Trust("tls-weak-key")),
    (
        "ERR_CERT_NAME_CONSTRAINT_VIOLATION",
        Trust("tls-name-constraints"),
    ),
    (
        "ERR_CERTIFICATE_TRANSPARENCY_REQUIRED",
        Trust("tls-cert-policy"),
    ),
    ("ERR_CERT_VALIDITY_TOO_LONG", Trust("tls-cert-policy")),
    (
        "ERR_CERT_UNABLE_TO_CHECK_REVOCATION",
        Trust("tls-cert-policy"),
    ),
    (
        "ERR_CERT_KNOWN_INTERCEPTION_BLOCKED",
        Trust("tls-intercepted"),
    ),
    (
        "ERR_SSL_PINNED_KEY_NOT_IN_CERT_CHAIN",
        Trust("tls-intercepted"),
    ),
    ("ERR_SSL_KEY_USAGE_INCOMPATIBLE", Trust("tls-key-usage")),
    ("ERR_SSL_OBSOLETE_VERSION", Handshake("tls-version-too-old")),
    (
        "ERR_SSL_UNRECOGNIZED_NAME_ALERT",
        Handshake("tls-sni-refused"),
    ),
    (
        "ERR_SSL_CLIENT_AUTH_CERT_NEEDED",
        Handshake("tls-client-cert-required"),
    ),
    ("ERR_CONNECTION_CLOSED", transport(T::Ended)),
    ("ERR_CONNECTION_ABORTED", transport(T::Reset)),
    ("ERR_ADDRESS_UNREACHABLE", transport(T::Unroutable)),
    ("ERR_HTTP2_PROTOCOL_ERROR", transport(T::Stream)),
    ("ERR_TOO_MANY_REDIRECTS", Says("redirect-loop")),
    ("SEC_ERROR_UNTRUSTED_ISSUER", Trust("tls-untrusted-ca")),
    ("SEC_ERROR_CA_CERT_INVALID", Trust("tls-key-usage")),
    ("SEC_ERROR_INADEQUATE_KEY_USAGE", Trust("tls-key-usage")),
    ("SEC_ERROR_INADEQUATE_CERT_TYPE", Trust("tls-key-usage")),
    (
        "SEC_ERROR_PATH_LEN_CONSTRAINT_INVALID",
        Trust("tls-key-usage"),
    ),
    (
        "MOZILLA_PKIX_ERROR_CA_CERT_USED_AS_END_ENTITY",
        Trust("tls-key-usage"),
    ),
    (
        "SEC_ERROR_CERT_NOT_IN_NAME_SPACE",
        Trust("tls-name-constraints"),
    ),
    ("SEC_ERROR_BAD_SIGNATURE", Trust("tls-bad-certificate")),
    ("SEC_ERROR_BAD_DER", Trust("tls-bad-certificate")),
    (
        "SEC_ERROR_UNKNOWN_CRITICAL_EXTENSION",
        Trust("tls-bad-certificate"),
    ),
    (
        "MOZILLA_PKIX_ERROR_INADEQUATE_KEY_SIZE",
        Trust("tls-weak-key"),
    ),
    ("SSL_ERROR_WEAK_SERVER_CERT_KEY", Trust("tls-weak-key")),
    (
        "MOZILLA_PKIX_ERROR_REQUIRED_TLS_FEATURE_MISSING",
        Trust("tls-cert-policy"),
    ),
    (
        "MOZILLA_PKIX_ERROR_NOT_YET_VALID_ISSUER_CERTIFICATE",
        Trust("tls-clock-skew"),
    ),
    ("SSL_ERROR_UNKNOWN_CA_ALERT", Trust("tls-untrusted-ca")),
    (
        "SSL_ERROR_BAD_CERT_ALERT",
        Handshake("tls-client-cert-required"),
    ),
    (
        "SSL_ERROR_RX_CERTIFICATE_REQUIRED_ALERT",
        Handshake("tls-client-cert-required"),
    ),
    (
        "SSL_ERROR_PROTOCOL_VERSION_ALERT",
        Handshake("tls-version-too-old"),
    ),
    (
        "SSL_ERROR_HANDSHAKE_FAILURE_ALERT",
        Handshake("tls-handshake-alert"),
    ),
    (
        "SSL_ERROR_INTERNAL_ERROR_ALERT",
        Handshake("tls-handshake-alert"),
    ),
    (
        "SSL_ERROR_UNRECOGNIZED_NAME_ALERT",
        Handshake("tls-sni-refused"),
    ),
    ("PR_CONNECT_RESET_ERROR", transport(T::Reset)),
    ("PR_END_OF_FILE_ERROR", transport(T::Ended)),
    (
        "uses an unsupported protocol",
        Handshake("tls-handshake-alert"),
    ),
    ("ERR_CERT_AUTHORITY_INVALID", Trust("tls-untrusted-ca")),
    ("SEC_ERROR_UNKNOWN_ISSUER", Trust("tls-untrusted-ca")),
    ("MOZILLA_PKIX_ERROR_MITM_DETECTED", Trust("tls-intercepted")),
    (
        "MOZILLA_PKIX_ERROR_SELF_SIGNED_CERT",
        Trust("tls-self-signed"),
    ),
    ("ERR_CERT_DATE_INVALID", Trust("tls-cert-expired")),
    ("SEC_ERROR_EXPIRED_CERTIFICATE", Trust("tls-cert-expired")),
    (
        "SEC_ERROR_EXPIRED_ISSUER_CERTIFICATE",
        Trust("tls-ca-expired"),
    ),
    (
        "MOZILLA_PKIX_ERROR_NOT_YET_VALID_CERTIFICATE",
        Trust("tls-clock-skew"),
    ),
    ("ERR_CERT_COMMON_NAME_INVALID", Trust("tls-name-mismatch")),
    ("SSL_ERROR_BAD_CERT_DOMAIN", Trust("tls-name-mismatch")),
    (
        "ERR_CERT_WEAK_SIGNATURE_ALGORITHM",
        Trust("tls-weak-signature"),
    ),
    (
        "SEC_ERROR_CERT_SIGNATURE_ALGORITHM_DISABLED",
        Trust("tls-weak-signature"),
    ),
    ("ERR_CERT_REVOKED", Trust("tls-cert-policy")),
    ("SEC_ERROR_REVOKED_CERTIFICATE", Trust("tls-cert-policy")),
    ("ERR_SSL_PROTOCOL_ERROR", Handshake("tls-plain-http")),
    ("SSL_ERROR_RX_RECORD_TOO_LONG", Handshake("tls-plain-http")),
    (
        "ERR_BAD_SSL_CLIENT_AUTH_CERT",
        Handshake("tls-client-cert-required"),
    ),
    (
        "No required SSL certificate was sent",
        Handshake("tls-client-cert-required"),
    ),
    (
        "SSL_ERROR_UNSUPPORTED_VERSION",
        Handshake("tls-version-too-old"),
    ),
    // servers' own logs
    (
        "is defined in server listening on SSL port",
        Handshake("tls-handshake-alert"),
    ),
    (
        "peer closed connection in SSL handshake",
        transport(T::Ended),
    ),
    (
        "Connection closed during SSL handshake",
        transport(T::Ended),
    ),
    (
        "Timeout during SSL handshake",
        transport(T::HandshakeSilent),
    ),
    ("key values mismatch", Trust("tls-bad-certificate")),
    ("no start line", Trust("tls-bad-certificate")),
    ("No Private Key found in", Trust("tls-bad-certificate")),
    (
        "upstream SSL certificate does not match",
        Trust("tls-name-mismatch"),
    ),
    ("alert unknown ca", Trust("tls-untrusted-ca")),
    ("alert internal error", Handshake("tls-handshake-alert")),
    ("alert access denied", Handshake("tls-handshake-alert")),
    ("alert decode error", Handshake("tls-handshake-alert")),
    ("alert decrypt error", Handshake("tls-handshake-alert")),
    ("alert illegal parameter", Handshake("tls-handshake-alert")),
    ("alert unexpected message", Handshake("tls-handshake-alert")),
    (
        "alert insufficient security",
        Handshake("tls-no-shared-cipher"),
    ),
    ("TLS fatal alert", Handshake("tls-handshake-alert")),
    ("received fatal alert", Handshake("tls-handshake-alert")),
    (
        "fatal alert: protocol_version",
        Handshake("tls-version-too-old"),
    ),
    (
        "fatal alert: unrecognized_name",
        Handshake("tls-sni-refused"),
    ),
    (
        "fatal alert: certificate_required",
        Handshake("tls-client-cert-required"),
    ),
    (
        "received fatal alert: protocol_version",
        Handshake("tls-version-too-old"),
    ),
    (
        "received fatal alert: unrecognized_name",
        Handshake("tls-sni-refused"),
    ),
    (
        "received fatal alert: certificate_required",
        Handshake("tls-client-cert-required"),
    ),
    ("legacy sigalg disallowed", Handshake("tls-version-too-old")),
    ("asn1 encoding routines", Trust("tls-bad-certificate")),
    ("rsa routines", Trust("tls-bad-certificate")),
    ("length mismatch", Trust("tls-bad-certificate")),
    (
        "no alternative certificate subject name matches",
        Trust("tls-name-mismatch"),
    ),
    ("redirects followed", Says("redirect-loop")),
    ("Unsupported proxy syntax", Says("http-proxy-config")),
    ("alert bad certificate", Trust("tls-untrusted-ca")),
    ("TLS handshake error from", Marks(M::ServerLog)),
    ("alert certificate expired", Trust("tls-cert-expired")),
    (
        "peer did not return a certificate",
        Handshake("tls-client-cert-required"),
    ),
    (
        "client sent no required SSL certificate",
        Handshake("tls-client-cert-required"),
    ),
    ("SSL handshake failure", Handshake("tls-handshake-alert")),
    (
        "client sent plain HTTP request to HTTPS port",
        Says("http-to-tls-port"),
    ),
];
