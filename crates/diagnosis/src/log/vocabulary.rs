//! What the words mean: the vocabulary of go, git, OpenSSL, curl and the others that meet the same
//! faults.
//!
//! A phrase here is a message of a program, and its meaning holds whoever wraps it. What it means
//! *for the reader of the log* depends on where it stands — inside a server's answer, behind
//! `lookup`, said by git — and that is decided in `judge`, not here. All phrases are found in one
//! pass over a line; where two begin at one place the longer wins.

mod other_programs;

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

/// A phrase that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) meaning: Meaning,
}

/// What a phrase says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Names its cause, whoever says it and wherever it stands.
    Says(&'static str),
    /// Names a cause that is often only the consequence of another: it counts where nothing
    /// better was said.
    Follows(&'static str),
    /// Something happened to a connection.
    Transport(Transport),
    /// A name could not be resolved; the cause if it was the server's name.
    Resolver(&'static str),
    /// A certificate was refused; the cause if the client is not git.
    Trust(&'static str),
    /// A handshake failed before a certificate was judged; the cause if the client is not git.
    Handshake(&'static str),
    /// A code host wants to know who asks.
    Login,
    /// A code host has no such repository, or hides it.
    NoRepository,
    /// A version, tag or commit is not there.
    Revision,
    /// A project below a GitLab group was not found.
    GitLabProject,
    /// An HTTP status with its reason.
    Status(u16),
    /// A reason without a number: the answer to CONNECT, where it ends the line behind a URL.
    Reason(u16),
    /// A package is nowhere; whether it is one of the standard library decides.
    PackageNowhere,
    /// `malformed module path "X"`; the path decides.
    MalformedPath,
    /// `found meta tag`: where the import path's host sends go.
    MetaTag,
    /// git's own protocol was tried, which go does last.
    GitDaemon,
    /// `checksum mismatch`; the second label decides.
    ChecksumMismatch,
    /// `permission denied` and its kin: a local file, unless a connection was being made.
    Denied,
    /// Something that shifts what other words mean.
    Mark(Mark),
}

/// What happened to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    TimedOut,
    Refused,
    /// No way to the address.
    Unroutable,
    /// Cut by a reset.
    Reset,
    /// Ended without an answer.
    Ended,
    /// Ended in the middle.
    Truncated,
    /// Open, but no handshake came.
    HandshakeSilent,
    /// An HTTP/2 stream or connection was broken off.
    Stream,
}

/// What shifts the meaning of other words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// `proxyconnect tcp:`, `socks connect`: the hop to the HTTP(S)_PROXY.
    ProxyConnect,
    /// git or curl: the proxy's answer to CONNECT, with a number behind it.
    ProxyAnswer,
    /// `lookup HOST`: the resolver is asked.
    Lookup,
    /// `server response:`: what follows was said by the other side.
    ServerResponse,
    /// `exit status N:`: what follows was said by a program that go ran.
    ExitStatus,
    /// git speaks.
    Git,
    /// curl speaks.
    Curl,
    /// A status number follows.
    StatusFollows,
    /// The checksum of a download is being verified.
    Verifying,
    /// `Get "URL":`: a request was sent, or should have been.
    Asked,
    /// `read "URL":`: the body was being read.
    ReadingBody,
    /// The toolchain is being downloaded.
    Toolchain,
    /// The user asked for insecure access.
    Insecure,
    /// A TLS server speaks of its client.
    ServerLog,
    /// Modules are off.
    ModulesOff,
    /// A setting of the go environment, `NAME=value`.
    Setting,
    /// `go version go1.x`, `running go 1.x`.
    GoVersion,
    /// A minimal image or old system, where certificates are missing.
    BareImage,
}

/// All phrases of a line, in order.
pub(super) fn hits(text: &str) -> Vec<Hit> {
    let bytes = text.as_bytes();
    MATCHER
        .find_iter(text)
        .filter_map(|found| {
            let (phrase, meaning) = *phrases().nth(found.pattern().as_usize())?;
            let starts_word = phrase.starts_with(|letter: char| letter.is_ascii_alphanumeric());
            let before = found.start().checked_sub(1).and_then(|at| bytes.get(at));
            let within_word = starts_word && before.is_some_and(u8::is_ascii_alphanumeric);
            let ends_word = phrase.ends_with(|letter: char| letter.is_ascii_alphabetic());
            let after = bytes.get(found.end());
            let goes_on = ends_word && after.is_some_and(u8::is_ascii_alphabetic);
            (!within_word && !goes_on).then_some(Hit {
                start: found.start(),
                end: found.end(),
                meaning,
            })
        })
        .collect()
}

/// All phrases, each at the place that the matcher knows it by.
fn phrases() -> std::iter::Chain<Phrases, Phrases> {
    PHRASES.iter().chain(OTHER_PROGRAMS)
}

type Phrases = std::slice::Iter<'static, (&'static str, Meaning)>;

static MATCHER: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::LeftmostLongest)
        .build(phrases().map(|(phrase, _)| phrase))
        .expect("the phrases are few and short: the automaton stays far below its limits")
});

use Mark as M;
use Meaning::{
    ChecksumMismatch, Denied, Follows, GitDaemon, GitLabProject, Handshake, Login, MalformedPath,
    Mark as Marks, MetaTag, NoRepository, PackageNowhere, Reason, Resolver, Revision, Says, Status,
    Trust,
};
use Transport as T;
use other_programs::OTHER_PROGRAMS;

const fn transport(what: Transport) -> Meaning {
    Meaning::Transport(what)
}

/// What go, git and the operating systems say. Grouped by who says it; the order does not matter.
const PHRASES: &[(&str, Meaning)] = &[
    // net: the operating system's words, Unix and Windows
    ("i/o timeout", transport(T::TimedOut)),
    ("connection timed out", transport(T::TimedOut)),
    ("operation timed out", transport(T::TimedOut)),
    (
        "connected party did not properly respond",
        transport(T::TimedOut),
    ),
    (
        "connected host has failed to respond",
        transport(T::TimedOut),
    ),
    ("context deadline exceeded", transport(T::TimedOut)),
    ("Client.Timeout exceeded", transport(T::TimedOut)),
    (
        "Client.Timeout or context cancellation",
        transport(T::TimedOut),
    ),
    ("timeout awaiting response headers", transport(T::TimedOut)),
    (
        "request canceled while waiting for connection",
        transport(T::TimedOut),
    ),
    ("ETIMEDOUT", transport(T::TimedOut)),
    ("ERR_CONNECTION_TIMED_OUT", transport(T::TimedOut)),
    ("connect timed out", transport(T::TimedOut)),
    ("timed out after", transport(T::TimedOut)),
    ("connection refused", transport(T::Refused)),
    ("actively refused", transport(T::Refused)),
    ("ECONNREFUSED", transport(T::Refused)),
    ("ERR_CONNECTION_REFUSED", transport(T::Refused)),
    ("forbidden by its access permissions", transport(T::Refused)),
    ("no route to host", transport(T::Unroutable)),
    ("network is unreachable", transport(T::Unroutable)),
    ("cannot assign requested address", transport(T::Unroutable)),
    ("can't assign requested address", transport(T::Unroutable)),
    ("host is down", transport(T::Unroutable)),
    ("host is unreachable", transport(T::Unroutable)),
    ("unreachable network", transport(T::Unroutable)),
    ("unreachable host", transport(T::Unroutable)),
    (
        "requested address is not valid in its context",
        transport(T::Unroutable),
    ),
    ("EHOSTUNREACH", transport(T::Unroutable)),
    ("ENETUNREACH", transport(T::Unroutable)),
    ("connection reset by peer", transport(T::Reset)),
    ("connection was reset", transport(T::Reset)),
    ("connection reset", transport(T::Reset)),
    ("forcibly closed", transport(T::Reset)),
    ("connection was aborted", transport(T::Reset)),
    ("connection was forcibly", transport(T::Reset)),
    ("software caused connection abort", transport(T::Reset)),
    ("broken pipe", transport(T::Reset)),
    ("ECONNRESET", transport(T::Reset)),
    ("ERR_CONNECTION_RESET", transport(T::Reset)),
    ("transport connection broken", transport(T::Reset)),
    ("server closed idle connection", transport(T::Reset)),
    ("use of closed network connection", transport(T::Reset)),
    ("EOF", transport(T::Ended)),
    ("Empty reply from server", transport(T::Ended)),
    ("ERR_EMPTY_RESPONSE", transport(T::Ended)),
    ("socket hang up", transport(T::Ended)),
    ("unexpected EOF", transport(T::Truncated)),
    ("transfer closed with", transport(T::Truncated)),
    ("TLS handshake timeout", transport(T::HandshakeSilent)),
    ("stream error: stream ID", transport(T::Stream)),
    ("http2: server sent GOAWAY", transport(T::Stream)),
    ("GOAWAY", transport(T::Stream)),
    ("http2: client connection lost", transport(T::Stream)),
    (
        "http2: client connection force closed",
        transport(T::Stream),
    ),
    ("http2: Transport received", transport(T::Stream)),
    ("was not closed cleanly", transport(T::Stream)),
    // net: names
    ("lookup ", Marks(M::Lookup)),
    ("no such host", Resolver("dns-nxdomain")),
    ("No such host is known", Resolver("dns-nxdomain")),
    (
        "no DNS data of the requested type",
        Resolver("dns-nxdomain"),
    ),
    (
        "requested name is valid, but no data",
        Resolver("dns-nxdomain"),
    ),
    ("DNS name does not exist", Resolver("dns-nxdomain")),
    ("NXDOMAIN", Resolver("dns-nxdomain")),
    ("Name or service not known", Resolver("net-dns")),
    ("nodename nor servname provided", Resolver("net-dns")),
    ("ENOTFOUND", Resolver("net-dns")),
    ("UnknownHostException", Resolver("net-dns")),
    ("ERR_NAME_NOT_RESOLVED", Resolver("net-dns")),
    ("Could not resolve host", Resolver("net-dns")),
    ("Couldn't resolve host", Resolver("net-dns")),
    ("server misbehaving", Resolver("dns-server-failure")),
    ("SERVFAIL", Resolver("dns-server-failure")),
    (
        "cannot unmarshal DNS message",
        Resolver("dns-server-failure"),
    ),
    ("invalid DNS response", Resolver("dns-server-failure")),
    ("no answer from DNS server", Resolver("dns-unreachable")),
    (
        "temporary failure in name resolution",
        Resolver("dns-unreachable"),
    ),
    (
        "temporary error during hostname resolution",
        Resolver("dns-unreachable"),
    ),
    ("EAI_AGAIN", Resolver("dns-unreachable")),
    // the HTTP(S)_PROXY hop
    ("proxyconnect", Marks(M::ProxyConnect)),
    ("socks connect", Marks(M::ProxyConnect)),
    ("from proxy after CONNECT", Marks(M::ProxyAnswer)),
    ("CONNECT tunnel failed", Marks(M::ProxyAnswer)),
    ("Proxy CONNECT aborted", Says("http-proxy-bad")),
    ("Could not resolve proxy", Says("http-proxy-unreachable")),
    ("Couldn't resolve proxy", Says("http-proxy-unreachable")),
    (
        "ERR_PROXY_CONNECTION_FAILED",
        Says("http-proxy-unreachable"),
    ),
    ("ERR_TUNNEL_CONNECTION_FAILED", Says("http-proxy-bad")),
    ("Unable to tunnel through proxy", Says("http-proxy-bad")),
    ("invalid proxy address", Says("http-proxy-bad")),
    ("407 Proxy Authentication Required", Status(407)),
    ("Proxy Authentication Required", Says("http-proxy-auth")),
    ("Forbidden", Reason(403)),
    ("Bad Gateway", Reason(502)),
    ("Service Unavailable", Reason(503)),
    ("Gateway Timeout", Reason(504)),
    ("Gateway Time-out", Reason(504)),
    ("Method Not Allowed", Reason(405)),
    ("Unauthorized", Reason(401)),
    // HTTP
    ("400 Bad Request", Status(400)),
    ("401 Unauthorized", Status(401)),
    ("402 Payment Required", Status(402)),
    ("403 Forbidden", Status(403)),
    ("404 Not Found", Status(404)),
    ("404 page not found", Status(404)),
    ("405 Method Not Allowed", Status(405)),
    ("406 Not Acceptable", Status(406)),
    ("408 Request Timeout", Status(408)),
    ("409 Conflict", Status(409)),
    ("410 Gone", Status(410)),
    ("429 Too Many Requests", Status(429)),
    ("451 Unavailable For Legal Reasons", Status(451)),
    ("500 Internal Server Error", Status(500)),
    ("501 Not Implemented", Status(501)),
    ("502 Bad Gateway", Status(502)),
    ("503 Service Unavailable", Status(503)),
    ("503 Service Temporarily Unavailable", Status(503)),
    ("504 Gateway Timeout", Status(504)),
    ("504 Gateway Time-out", Status(504)),
    ("Too Many Requests", Says("proxy-rate-limit")),
    ("returned error: ", Marks(M::StatusFollows)),
    ("HTTP code = ", Marks(M::StatusFollows)),
    ("RPC failed; HTTP ", Marks(M::StatusFollows)),
    ("returned status ", Marks(M::StatusFollows)),
    ("response code ", Marks(M::StatusFollows)),
    ("status code ", Marks(M::StatusFollows)),
    ("status code: ", Marks(M::StatusFollows)),
    ("unexpected status ", Marks(M::StatusFollows)),
    ("stopped after 10 redirects", Says("redirect-loop")),
    ("redirected from secure URL", Says("redirect-insecure")),
    ("invalid character '<'", Says("proxy-bad-body")),
    ("looking for beginning of value", Says("proxy-bad-body")),
    ("invalid response from proxy", Says("proxy-bad-body")),
    ("unexpected end of JSON input", Says("proxy-bad-body")),
    ("returned info for version", Says("proxy-bad-body")),
    ("missing module line", Says("proxy-bad-body")),
    ("malformed HTTP response", Says("http-to-tls-port")),
    ("malformed HTTP status code", Says("proxy-bad-body")),
    ("sent to HTTPS port", Says("http-to-tls-port")),
    ("HTTP request to an HTTPS server", Says("http-to-tls-port")),
    ("captive portal", Says("captive-portal")),
    ("read \"https:/", Marks(M::ReadingBody)),
    ("read \"http:/", Marks(M::ReadingBody)),
    ("read https:/", Marks(M::ReadingBody)),
    ("read http:/", Marks(M::ReadingBody)),
    ("Get \"https://", Marks(M::Asked)),
    ("Get \"http://", Marks(M::Asked)),
    ("Get https://", Marks(M::Asked)),
    ("reading https://", Marks(M::StatusFollows)),
    ("reading http://", Marks(M::StatusFollows)),
    // crypto/tls and crypto/x509
    (
        "certificate signed by unknown authority",
        Trust("tls-untrusted-ca"),
    ),
    ("certificate is not trusted", Trust("tls-cert-policy")),
    ("is not standards compliant", Trust("tls-cert-policy")),
    ("certificate is revoked", Trust("tls-cert-policy")),
    (
        "certificate is not permitted for this usage",
        Trust("tls-key-usage"),
    ),
    (
        "certificate name does not match",
        Trust("tls-name-mismatch"),
    ),
    ("certificate is expired", Trust("tls-cert-expired")),
    ("certificate has expired", Trust("tls-cert-expired")),
    ("certificate is valid for", Trust("tls-name-mismatch")),
    (
        "certificate is not valid for any names",
        Trust("tls-name-mismatch"),
    ),
    ("cannot validate certificate for", Trust("tls-san-missing")),
    ("legacy Common Name field", Trust("tls-san-missing")),
    (
        "Common Name is not a valid hostname",
        Trust("tls-san-missing"),
    ),
    (
        "certificate specifies an incompatible key usage",
        Trust("tls-key-usage"),
    ),
    (
        "cannot sign this kind of certificate",
        Trust("tls-key-usage"),
    ),
    (
        "too many intermediates for path length constraint",
        Trust("tls-key-usage"),
    ),
    (
        "certificate is not authorized to sign other certificates",
        Trust("tls-key-usage"),
    ),
    (
        "not authorized to sign for this name",
        Trust("tls-name-constraints"),
    ),
    (
        "not permitted by any constraint",
        Trust("tls-name-constraints"),
    ),
    ("excluded by constraint", Trust("tls-name-constraints")),
    ("name constraints", Trust("tls-name-constraints")),
    ("insecure algorithm", Trust("tls-weak-signature")),
    ("crypto/rsa: verification error", Trust("tls-stale-ca")),
    ("ECDSA verification failure", Trust("tls-stale-ca")),
    ("Ed25519 verification failure", Trust("tls-stale-ca")),
    ("bit keys are insecure", Trust("tls-weak-key")),
    ("unsupported elliptic curve", Trust("tls-weak-key")),
    ("unsupported public key", Trust("tls-weak-key")),
    ("failed to parse certificate", Trust("tls-bad-certificate")),
    ("malformed certificate", Trust("tls-bad-certificate")),
    ("negative serial number", Trust("tls-bad-certificate")),
    (
        "received empty certificates message",
        Trust("tls-bad-certificate"),
    ),
    ("unhandled critical extension", Trust("tls-bad-certificate")),
    (
        "invalid signature by the server certificate",
        Trust("tls-bad-certificate"),
    ),
    (
        "failed to load system roots",
        Trust("tls-missing-ca-bundle"),
    ),
    (
        "system root pool is not available",
        Trust("tls-missing-ca-bundle"),
    ),
    (
        "terminated in a root certificate which is not trusted",
        Trust("tls-untrusted-ca"),
    ),
    (
        "first record does not look like a TLS handshake",
        Handshake("tls-plain-http"),
    ),
    (
        "server gave HTTP response to HTTPS client",
        Handshake("tls-plain-http"),
    ),
    ("wrong version number", Handshake("tls-plain-http")),
    ("unexpected TLS packet", Handshake("tls-plain-http")),
    ("unknown protocol:", Handshake("tls-plain-http")),
    ("oversized record received", Handshake("tls-plain-http")),
    ("remote error: tls: ", Handshake("tls-handshake-alert")),
    ("handshake failure", Handshake("tls-handshake-alert")),
    ("no shared cipher", Handshake("tls-no-shared-cipher")),
    (
        "no cipher suite supported",
        Handshake("tls-no-shared-cipher"),
    ),
    (
        "ERR_SSL_VERSION_OR_CIPHER_MISMATCH",
        Handshake("tls-handshake-alert"),
    ),
    (
        "SSL_ERROR_NO_CYPHER_OVERLAP",
        Handshake("tls-no-shared-cipher"),
    ),
    (
        "unsupported protocol version",
        Handshake("tls-version-too-old"),
    ),
    (
        "protocol version not supported",
        Handshake("tls-version-too-old"),
    ),
    ("alert protocol version", Handshake("tls-version-too-old")),
    (
        "selected unsupported protocol",
        Handshake("tls-version-too-old"),
    ),
    ("unsupported protocol", Handshake("tls-version-too-old")),
    ("dh key too small", Handshake("tls-weak-key")),
    (
        "remote error: tls: certificate required",
        Handshake("tls-client-cert-required"),
    ),
    (
        "alert certificate required",
        Handshake("tls-client-cert-required"),
    ),
    (
        "remote error: tls: unrecognized name",
        Handshake("tls-sni-refused"),
    ),
    ("tlsv1 unrecognized name", Handshake("tls-sni-refused")),
    (
        "server name sent was not recognized",
        Handshake("tls-sni-refused"),
    ),
    ("no application protocol", Handshake("tls-alpn")),
    ("looked like an HTTP/1.1 header", Handshake("tls-alpn")),
    ("No supported application protocol", Handshake("tls-alpn")),
    // git and its transports
    ("fatal: ", Marks(M::Git)),
    ("unable to access", Marks(M::Git)),
    ("git ls-remote", Marks(M::Git)),
    ("git fetch", Marks(M::Git)),
    ("git clone", Marks(M::Git)),
    ("Cloning into", Marks(M::Git)),
    ("exit status ", Marks(M::ExitStatus)),
    ("server response", Marks(M::ServerResponse)),
    ("could not read Username", Login),
    ("could not read Password", Login),
    ("terminal prompts disabled", Login),
    ("Authentication failed for", Login),
    ("HTTP Basic: Access denied", Login),
    ("Invalid username or", Login),
    ("Support for password authentication was removed", Login),
    ("has enabled or enforced SAML SSO", Login),
    ("Write access to repository not granted", Login),
    ("TF400813", Login),
    ("Bad credentials", Login),
    ("Repository not found", NoRepository),
    ("' not found", NoRepository),
    ("no longer exists in this workspace", NoRepository),
    ("TF401019", NoRepository),
    ("remote: Not Found", NoRepository),
    ("does not appear to be a git repository", NoRepository),
    ("repository does not exist", NoRepository),
    (
        "project you were looking for could not be found",
        GitLabProject,
    ),
    ("Permission denied (publickey", Says("vcs-ssh-auth")),
    (
        "Permission denied (keyboard-interactive",
        Says("vcs-ssh-auth"),
    ),
    ("Permission denied (password", Says("vcs-ssh-auth")),
    ("sign_and_send_pubkey", Says("vcs-ssh-auth")),
    ("Host key verification failed", Says("vcs-host-key")),
    ("host key is known for", Says("vcs-host-key")),
    ("authenticity of host", Says("vcs-host-key")),
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        Says("vcs-host-key-changed"),
    ),
    (
        "has changed and you have requested strict checking",
        Says("vcs-host-key-changed"),
    ),
    (
        "Could not read from remote repository",
        Follows("vcs-ssh-auth"),
    ),
    ("Unknown SSL protocol error", Handshake("net-reset")),
    ("SSL_ERROR_SYSCALL", Handshake("net-reset")),
    (
        "server certificate verification failed",
        Trust("tls-untrusted-ca"),
    ),
    (
        "gnutls_handshake() failed",
        Handshake("tls-handshake-alert"),
    ),
    ("non-properly terminated", Handshake("net-reset")),
    ("Error in the pull function", Handshake("net-reset")),
    (
        "SSL peer certificate or SSH remote key was not OK",
        Trust("tls-untrusted-ca"),
    ),
    ("schannel: ", Handshake("tls-handshake-alert")),
    ("SEC_E_UNTRUSTED_ROOT", Trust("tls-untrusted-ca")),
    ("CRYPT_E_NO_REVOCATION_CHECK", Trust("tls-cert-policy")),
    ("CRYPT_E_REVOCATION_OFFLINE", Trust("tls-cert-policy")),
    ("RPC failed", Says("vcs-network")),
    ("early EOF", Follows("vcs-network")),
    ("remote end hung up", Follows("vcs-network")),
    ("unexpected disconnect", Follows("vcs-network")),
    ("errno=", Follows("vcs-network")),
    ("inflate: data stream error", Says("vcs-network")),
    ("bad pack header", Says("vcs-network")),
    ("pack has bad object", Says("vcs-network")),
    ("protocol error: bad", Says("vcs-network")),
    ("unable to connect to ", GitDaemon),
    ("index-pack failed", Follows("vcs-network")),
    ("invalid index-pack output", Follows("vcs-network")),
    ("Failed to connect to", transport(T::Refused)),
    ("Couldn't connect to server", transport(T::Refused)),
    ("kex_exchange_identification", Says("vcs-network")),
    ("ssh: connect to host", Marks(M::Git)),
    ("ssh: Could not resolve hostname", Marks(M::Git)),
    ("GnuTLS recv error", transport(T::Reset)),
    ("SSL_read", transport(T::Reset)),
    ("couldn't find remote ref", Revision),
    ("reference is not a tree", Revision),
    ("not our ref", Revision),
    ("unadvertised object", Revision),
    ("bad object", Revision),
    ("GOVCS disallows using", Says("vcs-disallowed")),
    ("exec: \"git\"", Says("vcs-missing-binary")),
    ("exec: \"hg\"", Says("vcs-missing-binary")),
    ("exec: \"bzr\"", Says("vcs-missing-binary")),
    ("exec: \"svn\"", Says("vcs-missing-binary")),
    ("exec: \"fossil\"", Says("vcs-missing-binary")),
    ("exec: git: ", Says("vcs-missing-binary")),
    ("exec: hg: ", Says("vcs-missing-binary")),
    ("missing Git command", Says("vcs-missing-binary")),
    ("missing Mercurial command", Says("vcs-missing-binary")),
    ("missing Bazaar command", Says("vcs-missing-binary")),
    ("missing Subversion command", Says("vcs-missing-binary")),
    ("git: command not found", Says("vcs-missing-binary")),
    ("git: not found", Says("vcs-missing-binary")),
    ("'git' is not recognized", Says("vcs-missing-binary")),
    ("error: cannot run ssh", Says("vcs-missing-binary")),
    ("no go-import meta tags", Says("goget-meta-missing")),
    ("XML syntax error", Says("goget-meta-missing")),
    ("expected element type", Says("goget-meta-missing")),
    ("found meta tag ", MetaTag),
    ("did not match import path", Says("goget-meta-missing")),
    ("invalid repo root", Says("goget-meta-missing")),
    (
        "-insecure flag is no longer supported",
        Says("insecure-http"),
    ),
    ("not defined: -insecure", Says("insecure-http")),
    ("uses insecure protocol", Says("insecure-http")),
    ("insecure protocol", Says("insecure-http")),
    ("-insecure", Marks(M::Insecure)),
    ("GOINSECURE", Marks(M::Insecure)),
    // modfetch and the checksum database
    ("verifying ", Marks(M::Verifying)),
    ("checksum mismatch", ChecksumMismatch),
    ("missing go.sum entry", Says("sum-missing-entry")),
    ("invalid GOSUMDB", Says("sumdb-config")),
    ("malformed verifier id", Says("sumdb-config")),
    ("unknown GOSUMDB", Says("sumdb-config")),
    ("missing GOSUMDB", Says("sumdb-config")),
    ("no verifiable signatures", Says("sumdb-wrong-key")),
    ("invalid signature for key", Says("sumdb-wrong-key")),
    ("malformed record data", Says("sumdb-bad-answer")),
    ("fetch timed out", Says("sumdb-fetch-timeout")),
    ("malformed note", Says("sumdb-local-state")),
    ("malformed tree note", Says("sumdb-local-state")),
    ("inconsistent tree", Says("sumdb-local-state")),
    ("cached tree", Says("sumdb-local-state")),
    ("not a valid zip file", Says("zip-invalid")),
    ("has unexpected file", Says("zip-invalid")),
    ("zip: checksum error", Says("zip-invalid")),
    ("zip: unsupported compression", Says("zip-invalid")),
    ("flate: corrupt input", Says("zip-invalid")),
    ("invalid zip", Says("zip-invalid")),
    ("content is not a zip", Says("zip-invalid")),
    ("malformed file path", Says("zip-bad-path")),
    ("case-insensitive file name collision", Says("zip-bad-path")),
    ("source tree too large", Says("module-too-large")),
    ("source tree too big", Says("module-too-large")),
    (
        "GOPROXY list is not the empty string",
        Says("goproxy-config"),
    ),
    ("contains no entries", Says("goproxy-config")),
    ("invalid proxy URL", Says("goproxy-config")),
    ("missing scheme", Says("goproxy-config")),
    ("unsupported protocol scheme", Says("goproxy-config")),
    (
        "first path segment in URL cannot contain colon",
        Says("goproxy-config"),
    ),
    ("disabled by GOPROXY=off", Says("goproxy-off")),
    // modload
    ("GO111MODULE=off", Marks(M::ModulesOff)),
    ("GO111MODULE=\"off\"", Marks(M::ModulesOff)),
    ("GO111MODULE='off'", Marks(M::ModulesOff)),
    ("modules disabled by GO111MODULE", Says("gopath-mode")),
    ("modules disabled inside GOPATH", Says("gopath-mode")),
    ("go.mod file not found", Says("no-main-module")),
    ("cannot find main module", Says("no-main-module")),
    ("not part of a module", Says("no-main-module")),
    (
        "no longer supported outside a module",
        Says("no-main-module"),
    ),
    ("outside main module", Says("no-main-module")),
    ("outside available modules", Says("no-main-module")),
    ("not one of the workspace modules", Says("no-main-module")),
    ("no modules specified", Says("no-main-module")),
    ("does not contain main module", Says("no-main-module")),
    ("inconsistent vendoring", Says("vendor-mismatch")),
    ("due to -mod=vendor", Says("vendor-mismatch")),
    ("disabled by -mod=vendor", Says("vendor-mismatch")),
    ("using the vendor directory", Says("vendor-mismatch")),
    ("not marked as explicit in vendor", Says("vendor-mismatch")),
    ("updates to go.mod needed", Says("mod-readonly")),
    ("updates to go.sum needed", Says("mod-readonly")),
    ("disabled by -mod=readonly", Says("mod-readonly")),
    (
        "existing contents have changed since last read",
        Says("mod-readonly"),
    ),
    ("module cache not found", Says("env-home-unset")),
    ("missing $GOPATH", Says("env-home-unset")),
    ("GOCACHE is not defined", Says("env-home-unset")),
    ("GOPATH entry is relative", Says("env-home-unset")),
    ("$HOME is not defined", Says("env-home-unset")),
    ("build cache is required", Says("env-home-unset")),
    ("GOENV is not defined", Says("env-home-unset")),
    ("cannot find GOROOT directory", Says("goroot-wrong")),
    ("does not match go tool version", Says("goroot-wrong")),
    (
        "contains one or more replace directives",
        Says("install-replace"),
    ),
    (
        "interpreted differently than if it were the main module",
        Says("install-replace"),
    ),
    ("unknown revision", Revision),
    ("revision not found", Revision),
    ("invalid pseudo-version", Says("ver-pseudo-invalid")),
    (
        "does not match version-control timestamp",
        Says("ver-pseudo-invalid"),
    ),
    (
        "revision is shorter than canonical",
        Says("ver-pseudo-invalid"),
    ),
    (
        "revision is longer than canonical",
        Says("ver-pseudo-invalid"),
    ),
    ("preceding tag", Says("ver-pseudo-invalid")),
    ("no matching versions for query", Says("ver-no-match")),
    ("module declares its path as", Says("ver-path-mismatch")),
    ("but does not contain package", Says("ver-package-missing")),
    ("ambiguous import", Says("ver-ambiguous-import")),
    ("should be v0 or v1, not v", Says("ver-major-suffix")),
    ("should be v", Says("ver-major-suffix")),
    ("post-v", Says("ver-major-suffix")),
    ("go.mod has non-", Says("ver-major-suffix")),
    (
        "module path must match major version",
        Says("ver-major-suffix"),
    ),
    (
        "semantic import versioning is required",
        Says("ver-major-suffix"),
    ),
    ("+incompatible suffix not allowed", Says("ver-major-suffix")),
    (
        "no required module provides package",
        Follows("pkg-not-required"),
    ),
    (
        "cannot find module providing package",
        Follows("pkg-not-required"),
    ),
    ("cannot find module for path", Follows("pkg-not-required")),
    ("is not in GOROOT", PackageNowhere),
    ("is not in std", PackageNowhere),
    ("cannot find package", PackageNowhere),
    ("missing dot in first path element", PackageNowhere),
    ("path does not begin with hostname", PackageNowhere),
    ("malformed module path", MalformedPath),
    ("malformed import path", Follows("gomod-bad-path")),
    (
        "relative import paths are not supported",
        Says("gomod-bad-path"),
    ),
    ("case-insensitive import collision", Says("case-collision")),
    ("requires go >=", Says("go-too-old")),
    ("requires go@", Says("go-too-old")),
    ("requires go1.", Says("go-too-old")),
    ("module requires Go 1.", Says("go-too-old")),
    ("requires newer Go version", Says("go-too-old")),
    ("unknown directive", Says("go-too-old")),
    ("unknown block type", Says("go-too-old")),
    ("must match format 1.23", Says("go-too-old")),
    ("invalid go version", Says("go-too-old")),
    ("lower than the targeted Go version", Says("go-too-old")),
    ("cannot compile Go 1.", Says("go-too-old")),
    ("not defined: -modfile", Says("go-too-old")),
    ("unknown subcommand \"mod\"", Says("go-too-old")),
    ("toolchain not available", Says("toolchain-unavailable")),
    (
        "checksum database disabled by GOSUMDB=off",
        Says("toolchain-unavailable"),
    ),
    ("invalid GOTOOLCHAIN", Says("toolchain-unavailable")),
    ("cannot find \"go1.", Says("toolchain-unavailable")),
    ("in host name", Says("goproxy-config")),
    ("invalid control character in URL", Says("goproxy-config")),
    ("no Location header in response", Says("proxy-bad-body")),
    ("invalid version: missing ", Follows("ver-major-suffix")),
    ("must be of the form v1.2.3", Revision),
    ("disallowed version string", Revision),
    ("invalid escaped version", Revision),
    ("invalid escaped module path", Says("gomod-bad-path")),
    (
        "xcrun: error: invalid active developer path",
        Says("vcs-missing-binary"),
    ),
    ("agreed to the Xcode license", Says("vcs-missing-binary")),
    ("SecPolicyCreateSSL", Trust("tls-cert-policy")),
    ("x509: OSStatus", Trust("tls-cert-policy")),
    (
        "cannot use path@version syntax in GOPATH mode",
        Says("gopath-mode"),
    ),
    ("can only use path@version syntax", Says("gopath-mode")),
    ("GOPATH entry cannot", Says("env-home-unset")),
    ("server misbehavior detected", Says("sumdb-local-state")),
    ("initializing sumdb.Client", Follows("sumdb-local-state")),
    ("API rate limit exceeded", Says("proxy-rate-limit")),
    ("Connection closed by ", Says("vcs-network")),
    ("unauthenticated git protocol", Says("vcs-network")),
    ("access denied or repository not exported", NoRepository),
    ("golang.org/toolchain", Marks(M::Toolchain)),
    ("no space left on device", Says("disk-full")),
    ("not enough space on the disk", Says("disk-full")),
    ("disk quota exceeded", Says("disk-full")),
    ("permission denied", Denied),
    ("Access is denied", Denied),
    ("operation not permitted", Denied),
    ("read-only file system", Says("disk-permission")),
    ("no locks available", Says("cache-lock")),
    ("RLock ", Follows("cache-lock")),
    // what else a log tells
    ("GOPROXY=", Marks(M::Setting)),
    ("GOFLAGS=", Marks(M::Setting)),
    ("GONOSUMDB=", Marks(M::Setting)),
    ("GOPRIVATE=", Marks(M::Setting)),
    ("go version go", Marks(M::GoVersion)),
    ("running go ", Marks(M::GoVersion)),
    ("GOVERSION=\"go", Marks(M::GoVersion)),
    ("curl: (", Marks(M::Curl)),
    ("apk add", Marks(M::BareImage)),
    ("alpine", Marks(M::BareImage)),
    ("FROM scratch", Marks(M::BareImage)),
];
