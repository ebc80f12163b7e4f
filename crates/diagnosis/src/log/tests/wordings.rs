//! Messages in the words of many releases, systems and programs, one line each.

use crate::explain;

#[track_caller]
fn check(log: &str, cause: &str) {
    let findings = explain(log);
    let causes: Vec<&str> = findings.iter().map(|finding| finding.cause).collect();
    assert_eq!(causes.first(), Some(&cause), "{log}\n{causes:?}");
}

#[test]
fn go_speaks_of_connections() {
    for (log, cause) in [
        (
            "go: example.org/a/b@v1.0.0: Get \"https://mirror.example/example.org/a/b/@v/v1.0.0.mod\": dial tcp 192.0.2.1:443: connectex: A connection attempt failed because the connected party did not properly respond after a period of time, or established connection failed because connected host has failed to respond.",
            "net-timeout",
        ),
        (
            "go: example.org/a/b@v1.0.0: Get \"https://mirror.example/example.org/a/b/@v/v1.0.0.mod\": dial tcp 192.0.2.1:443: connectex: No connection could be made because the target machine actively refused it.",
            "net-refused",
        ),
        (
            "go: example.org/a/b@v1.0.0: Get \"https://mirror.example/example.org/a/b/@v/v1.0.0.zip\": read tcp 192.0.2.7:5012->192.0.2.1:443: wsarecv: An existing connection was forcibly closed by the remote host.",
            "net-reset",
        ),
        (
            "go: example.org/a/b@v1.0.0: Get \"https://mirror.example/example.org/a/b/@v/list\": dial tcp: lookup mirror.example: getaddrinfow: The requested name is valid, but no data of the requested type was found.",
            "dns-nxdomain",
        ),
        (
            "go: example.org/a/b@v1.0.0: Get \"https://mirror.example/x/@v/list\": dial tcp: lookup mirror.example on [::1]:53: read udp [::1]:4000->[::1]:53: read: connection refused",
            "dns-unreachable",
        ),
        (
            "go: example.org/a/b@v1.0.0: Get \"https://mirror.example/x/@v/list\": dial tcp: lookup mirror.example: Temporary failure in name resolution",
            "dns-unreachable",
        ),
        (
            "go: example.org/a/b@v1.0.0: Get \"https://mirror.example/x/@v/list\": dial tcp 192.0.2.1:443: connect: operation timed out",
            "net-timeout",
        ),
        (
            "go: example.org/a/b@v1.0.0: Get \"https://mirror.example/x/@v/list\": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
            "net-timeout",
        ),
        (
            "go: example.org/a/b@v1.0.0: Get \"https://mirror.example/x/@v/list\": dial tcp [2001:db8::1]:443: connect: network is unreachable",
            "net-refused",
        ),
        (
            "go: example.org/a/b@v1.0.0: Get \"https://mirror.example/x/@v/list\": http2: server sent GOAWAY and closed the connection; LastStreamID=1999, ErrCode=NO_ERROR, debug=\"\"",
            "net-http2-stream",
        ),
        (
            "go: example.org/a/b@v1.0.0: read \"https://mirror.example/x/@v/v1.0.0.zip\": read tcp 10.0.0.2:1->192.0.2.1:443: read: connection reset by peer",
            "net-reset",
        ),
        (
            "go: example.org/a/b@v1.0.0: Get \"https://mirror.example/x/@v/v1.0.0.zip\": write tcp 10.0.0.2:1->192.0.2.1:443: write: broken pipe",
            "net-reset",
        ),
        (
            "go: example.org/a/b@v1.0.0: Get \"http://mirror.example:443/x/@v/list\": net/http: HTTP/1.x transport connection broken: malformed HTTP response \"\\x15\\x03\\x01\\x00\\x02\\x02\"",
            "http-to-tls-port",
        ),
        (
            "go: example.org/a/b@v1.0.0: Get \"https://mirror.example/x/@v/list\": proxyconnect tcp: dial tcp: lookup proxy.corp.example: no such host",
            "http-proxy-unreachable",
        ),
        (
            "go: example.org/a/b@v1.0.0: Get \"https://mirror.example/x/@v/list\": proxyconnect tcp: tls: first record does not look like a TLS handshake",
            "http-proxy-bad",
        ),
        (
            "go: example.org/a/b@v1.0.0: Get \"https://mirror.example/x/@v/list\": socks connect tcp 127.0.0.1:1080->mirror.example:443: dial tcp 127.0.0.1:1080: connect: connection refused",
            "http-proxy-unreachable",
        ),
        (
            "go: example.org/a/b@v1.0.0: Get \"https://mirror.example/x/@v/list\": Service Unavailable",
            "http-proxy-upstream",
        ),
        (
            "go: example.org/a: unrecognized import path \"example.org/a\" (https fetch: Get https://example.org/a?go-get=1: Forbidden)",
            "http-proxy-forbidden",
        ),
        (
            "go: example.org/a/b@v1.0.0: Get \"https://sum.golang.org/lookup/example.org/a/b@v1.0.0\": EOF",
            "sumdb-unreachable",
        ),
        (
            "go: example.org/a/b@v1.0.0: verifying module: example.org/a/b@v1.0.0: reading https://sum.golang.org/tile/8/0/x123/456: 503 Service Unavailable",
            "sumdb-unreachable",
        ),
    ] {
        check(log, cause);
    }
}

#[test]
fn go_speaks_of_certificates() {
    let message = |inner: &str| {
        format!(
            "go: example.org/a/b@v1.0.0: Get \"https://mirror.example/example.org/a/b/@v/v1.0.0.info\": {inner}"
        )
    };
    for (inner, cause) in [
        (
            "x509: “mirror.example” certificate is not trusted",
            "tls-cert-policy",
        ),
        (
            "x509: “mirror.example” certificate is not standards compliant",
            "tls-cert-policy",
        ),
        (
            "x509: “mirror.example” certificate is expired",
            "tls-cert-expired",
        ),
        (
            "x509: “mirror.example” certificate name does not match input",
            "tls-name-mismatch",
        ),
        (
            "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: ",
            "tls-cert-expired",
        ),
        (
            "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 1970-01-01T00:12:01Z is before 2024-01-01T00:00:00Z",
            "tls-clock-skew",
        ),
        (
            "tls: failed to verify certificate: x509: certificate is valid for *.corp.example, not mirror.example",
            "tls-name-mismatch",
        ),
        (
            "x509: certificate is not valid for any names, but wanted to match mirror.example",
            "tls-name-mismatch",
        ),
        (
            "x509: cannot validate certificate for 192.0.2.1 because it doesn't contain any IP SANs",
            "tls-san-missing",
        ),
        (
            "x509: certificate relies on legacy Common Name field, use SANs or temporarily enable Common Name matching with GODEBUG=x509ignoreCN=0",
            "tls-san-missing",
        ),
        (
            "tls: failed to verify certificate: x509: too many intermediates for path length constraint",
            "tls-key-usage",
        ),
        ("remote error: tls: bad certificate", "tls-handshake-alert"),
        ("remote error: tls: access denied", "tls-handshake-alert"),
        (
            "tls: server selected unsupported protocol version 301",
            "tls-version-too-old",
        ),
        (
            "x509: failed to load system roots and no roots provided",
            "tls-missing-ca-bundle",
        ),
        ("net/http: TLS handshake timeout", "tls-handshake-timeout"),
        (
            "tls: first record does not look like a TLS handshake",
            "tls-plain-http",
        ),
    ] {
        check(&message(inner), cause);
    }
}

#[test]
fn other_programs_meet_the_same_faults() {
    for (log, cause) in [
        (
            "requests.exceptions.SSLError: HTTPSConnectionPool(host='mirror.example', port=443): Max retries exceeded with url: / (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate (_ssl.c:1129)')))",
            "tls-untrusted-ca",
        ),
        (
            "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1129)",
            "tls-cert-expired",
        ),
        (
            "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch, certificate is not valid for 'mirror.example'. (_ssl.c:1129)",
            "tls-name-mismatch",
        ),
        (
            "javax.net.ssl.SSLHandshakeException: PKIX path building failed: sun.security.provider.certpath.SunCertPathBuilderException: unable to find valid certification path to requested target",
            "tls-untrusted-ca",
        ),
        (
            "java.security.cert.CertificateExpiredException: NotAfter: Thu Dec 09 23:59:59 UTC 2021",
            "tls-cert-expired",
        ),
        (
            "java.security.cert.CertificateException: No subject alternative DNS name matching mirror.example found.",
            "tls-name-mismatch",
        ),
        (
            "javax.net.ssl.SSLHandshakeException: Received fatal alert: handshake_failure",
            "tls-handshake-alert",
        ),
        (
            "Error: unable to verify the first certificate\n    at TLSSocket.onConnectSecure\n  code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'",
            "tls-untrusted-ca",
        ),
        ("npm ERR! code SELF_SIGNED_CERT_IN_CHAIN", "tls-intercepted"),
        ("NET::ERR_CERT_AUTHORITY_INVALID", "tls-untrusted-ca"),
        ("net::ERR_CERT_COMMON_NAME_INVALID", "tls-name-mismatch"),
        ("Error code: SEC_ERROR_UNKNOWN_ISSUER", "tls-untrusted-ca"),
        ("Error code: SSL_ERROR_RX_RECORD_TOO_LONG", "tls-plain-http"),
        (
            "2024/05/01 10:11:12 [crit] 7#7: *1 SSL_do_handshake() failed (SSL: error:0A0000C1:SSL routines::no shared cipher) while SSL handshaking, client: 192.0.2.9, server: 0.0.0.0:443",
            "tls-no-shared-cipher",
        ),
        (
            "2024/05/01 10:11:12 [info] 7#7: *1 SSL_do_handshake() failed (SSL: error:14094418:SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca:SSL alert number 48) while SSL handshaking",
            "tls-untrusted-ca",
        ),
        (
            "2024/05/01 10:11:12 [info] 7#7: *1 client sent plain HTTP request to HTTPS port while reading client request headers",
            "http-to-tls-port",
        ),
        (
            "May  1 10:11:12 lb haproxy[99]: 192.0.2.9:4000 [01/May/2024:10:11:12.000] fe/1: SSL handshake failure (error:0A0000C1:SSL routines::no shared cipher)",
            "tls-no-shared-cipher",
        ),
        (
            "http: TLS handshake error from 192.0.2.9:4000: remote error: tls: unknown certificate authority",
            "tls-untrusted-ca",
        ),
        (
            "curl: (35) error:1408F10B:SSL routines:ssl3_get_record:wrong version number",
            "tls-plain-http",
        ),
        (
            "verify error:num=21:unable to verify the first certificate",
            "tls-untrusted-ca",
        ),
    ] {
        check(log, cause);
    }
}

#[test]
fn git_and_ssh_speak_below_go() {
    let below = |inner: &str| {
        format!(
            "go: example.org/a/b@v1.0.0: invalid version: git ls-remote -q origin in /go/pkg/mod/cache/vcs/0f: exit status 128:\n\t{}",
            inner.replace('\n', "\n\t")
        )
    };
    for (inner, cause) in [
        (
            "remote: HTTP Basic: Access denied. The provided password or token is incorrect or your account has 2FA enabled\nfatal: Authentication failed for 'https://git.corp.example/a/b.git/'",
            "vcs-auth-https",
        ),
        (
            "fatal: could not read Username for 'https://github.com': No such device or address",
            "vcs-auth-https",
        ),
        (
            "remote: Support for password authentication was removed on August 13, 2021.\nfatal: Authentication failed for 'https://github.com/a/b/'",
            "vcs-auth-https",
        ),
        (
            "remote: Repository not found.\nfatal: repository 'https://github.com/a/b/' not found",
            "vcs-repo-not-found",
        ),
        (
            "ERROR: Repository not found.\nfatal: Could not read from remote repository.",
            "vcs-repo-not-found",
        ),
        (
            "git@github.com: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            "vcs-ssh-auth",
        ),
        (
            "Host key verification failed.\nfatal: Could not read from remote repository.",
            "vcs-host-key",
        ),
        (
            "@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@\nHost key verification failed.\nfatal: Could not read from remote repository.",
            "vcs-host-key-changed",
        ),
        (
            "ssh: connect to host github.com port 22: Connection timed out\nfatal: Could not read from remote repository.",
            "vcs-network",
        ),
        (
            "fatal: unable to access 'https://github.com/a/b/': SSL certificate problem: unable to get local issuer certificate",
            "vcs-tls",
        ),
        (
            "fatal: unable to access 'https://github.com/a/b/': server certificate verification failed. CAfile: none CRLfile: none",
            "vcs-tls",
        ),
        (
            "fatal: unable to access 'https://github.com/a/b/': schannel: next InitializeSecurityContext failed: Unknown error (0x80092012) - The revocation function was unable to check revocation for the certificate.",
            "vcs-tls",
        ),
        (
            "fatal: unable to access 'https://github.com/a/b/': OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to github.com:443",
            "vcs-tls",
        ),
        (
            "fatal: unable to access 'https://github.com/a/b/': Failed to connect to github.com port 443 after 130001 ms: Connection timed out",
            "vcs-network",
        ),
        (
            "error: RPC failed; curl 92 HTTP/2 stream 5 was not closed cleanly: CANCEL (err 8)\nfatal: early EOF\nfatal: index-pack failed",
            "vcs-network",
        ),
        (
            "fatal: unable to access 'https://github.com/a/b/': Received HTTP code 407 from proxy after CONNECT",
            "http-proxy-auth",
        ),
        (
            "fatal: unable to access 'https://github.com/a/b/': Could not resolve proxy: proxy.corp.example",
            "http-proxy-unreachable",
        ),
        (
            "fatal: unable to access 'https://git.corp.example/a/b/': The requested URL returned error: 403",
            "vcs-auth-https",
        ),
    ] {
        check(&below(inner), cause);
    }
}

#[test]
fn go_speaks_of_modules() {
    for (log, cause) in [
        (
            "go: example.org/a/b@v1.0.0: reading https://nexus.corp.example/repository/go-group/example.org/a/b/@v/v1.0.0.mod: 404 Not Found",
            "proxy-not-found",
        ),
        (
            "go: example.org/a/b@v1.0.0: reading https://mirror.example/example.org/a/b/@v/v1.0.0.info: 429 Too Many Requests",
            "proxy-rate-limit",
        ),
        (
            "go: example.org/a/b@v1.0.0: reading https://mirror.example/example.org/a/b/@v/v1.0.0.info: 401 Unauthorized",
            "proxy-auth-required",
        ),
        (
            "go: example.org/a/b@v1.0.0: reading https://mirror.example/example.org/a/b/@v/v1.0.0.info: 520 ",
            "proxy-server-error",
        ),
        (
            "go: git.corp.example/a/b@v1.0.0: reading https://sum.golang.org/lookup/git.corp.example/a/b@v1.0.0: 410 Gone\n\tserver response: not found: git.corp.example/a/b@v1.0.0: unrecognized import path \"git.corp.example/a/b\": https fetch: Get \"https://git.corp.example/a/b?go-get=1\": dial tcp: lookup git.corp.example on 192.0.2.53:53: no such host",
            "private-not-excluded",
        ),
        (
            "go: git.corp.example/a/b@v1.0.0: reading https://mirror.example/git.corp.example/a/b/@v/v1.0.0.mod: 404 Not Found\n\tserver response: not found: git.corp.example/a/b@v1.0.0: invalid version: git ls-remote -q origin in /tmp/x: exit status 128:\n\t\tfatal: could not read Username for 'https://git.corp.example': terminal prompts disabled",
            "private-not-excluded",
        ),
        (
            "go: example.org/a/b@v1.0.0: verifying module: checksum mismatch\n\tdownloaded: h1:aaaa=\n\tsum.golang.org: h1:bbbb=\n\nSECURITY ERROR",
            "sum-mismatch-sumdb",
        ),
        (
            "verifying example.org/a/b@v1.0.0: checksum mismatch\n\tdownloaded: h1:aaaa=\n\tgo.sum:     h1:bbbb=",
            "sum-mismatch-gosum",
        ),
        (
            "go: example.org/a/b@v1.0.0: missing go.sum entry for go.mod file; to add it:\n\tgo mod download example.org/a/b",
            "sum-missing-entry",
        ),
        (
            "go: example.org/a/b@v2.0.0: invalid version: module contains a go.mod file, so module path must match major version (\"example.org/a/b/v2\")",
            "ver-major-suffix",
        ),
        (
            "go: example.org/a/b@v2.0.0+incompatible: invalid version: +incompatible suffix not allowed: module contains a go.mod file, so semantic import versioning is required",
            "ver-major-suffix",
        ),
        (
            "require example.org/a/b: version \"v2.1.0\" invalid: should be v0 or v1, not v2",
            "ver-major-suffix",
        ),
        (
            "go: example.org/a/b@v0.0.0-20200101000000-0123456789ab: invalid pseudo-version: does not match version-control timestamp (expected 20200102000000)",
            "ver-pseudo-invalid",
        ),
        (
            "go: example.org/a/b@v9.9.9: no matching versions for query \"v9.9.9\"",
            "ver-no-match",
        ),
        (
            "main.go:4:2: package slices is not in GOROOT (/usr/local/go/src/slices)",
            "go-too-old",
        ),
        (
            "main.go:4:2: package log/slog is not in std (/usr/local/go/src/log/slog)",
            "go-too-old",
        ),
        (
            "main.go:4:2: package fmt is not in GOROOT (/opt/go/src/fmt)",
            "goroot-wrong",
        ),
        (
            "main.go:4:2: package mylib/thing is not in std (/usr/local/go/src/mylib/thing)",
            "gomod-bad-path",
        ),
        (
            "go: cannot find main module, but found .git/config in /src\n\tto create a module there, run:\n\tgo mod init",
            "no-main-module",
        ),
        (
            "main.go:5:2: cannot find package \"example.org/a/b\" in any of:\n\t/usr/local/go/src/example.org/a/b (from $GOROOT)\n\t/home/dev/go/src/example.org/a/b (from $GOPATH)",
            "gopath-mode",
        ),
        (
            "go: module cache not found: neither GOMODCACHE nor GOPATH is set",
            "env-home-unset",
        ),
        (
            "go: writing go.mod cache: mkdir /go/pkg/mod/cache: permission denied",
            "disk-permission",
        ),
        (
            "mkdir C:\\Program Files\\Go\\pkg\\mod: Access is denied.",
            "disk-permission",
        ),
        (
            "go: example.org/a/b@v1.0.0: read \"https:/mirror.example/@v/v1.0.0.zip\": write /tmp/x.zip: no space left on device",
            "disk-full",
        ),
        (
            "go: RLock /nfs/go/pkg/mod/cache/lock: no locks available",
            "cache-lock",
        ),
        (
            "go: errors parsing go.mod:\n/src/go.mod:5: unknown directive: toolchain",
            "go-too-old",
        ),
        (
            "go: errors parsing go.mod:\n/src/go.mod:3: invalid go version '1.21.0': must match format 1.23",
            "go-too-old",
        ),
        (
            "go: download go1.23 for linux/amd64: toolchain not available",
            "toolchain-unavailable",
        ),
        (
            "go: download go1.22.1: golang.org/toolchain@v0.0.1-go1.22.1.linux-amd64: reading https://nexus.corp.example/repository/go/golang.org/toolchain/@v/v0.0.1-go1.22.1.linux-amd64.zip: 404 Not Found",
            "toolchain-unavailable",
        ),
        (
            "go: example.org/a/b@v1.0.0: module lookup disabled by GOPROXY=off",
            "goproxy-off",
        ),
        (
            "go: invalid proxy URL missing scheme: mirror.example",
            "goproxy-config",
        ),
        (
            "go install: example.org/a/b@latest (in example.org/a/b@v1.0.0):\n\tThe go.mod file for the module providing named packages contains one or more\n\treplace directives. It must not contain directives that would cause\n\tit to be interpreted differently than if it were the main module.",
            "install-replace",
        ),
        (
            "go: github.com/a/b@v1.0.0: create zip: module source tree too large (max size is 524288000 bytes)",
            "module-too-large",
        ),
        (
            "go: git.corp.example/a/b: unrecognized import path \"git.corp.example/a/b\": parse https://git.corp.example/a/b?go-get=1: no go-import meta tags ()",
            "goget-meta-missing",
        ),
        // Whose 401 it is: the proxy's own.
        (
            "go: a.example/b@v1.0.0: reading https://proxy.corp.example/a.example/b/@v/v1.0.0.mod: 401 Unauthorized\n\tserver response: Bad credentials",
            "proxy-auth-required",
        ),
    ] {
        check(log, cause);
    }
}

#[test]
fn other_programs_that_meet_the_same_host_are_understood() {
    for (log, cause) in [
        (
            "SSL_connect returned=1 errno=0 peeraddr=192.0.2.9:443 state=error: certificate verify failed (unable to get local issuer certificate) (OpenSSL::SSL::SSLError)",
            "tls-untrusted-ca",
        ),
        (
            "error sending request for url (https://a.example/): invalid peer certificate: UnknownIssuer",
            "tls-untrusted-ca",
        ),
        (
            "invalid peer certificate: NotValidForNameContext { expected: DnsName(\"a.example\") }",
            "tls-name-mismatch",
        ),
        (
            "AuthenticationException: The remote certificate is invalid because of errors in the certificate chain: PartialChain",
            "tls-untrusted-ca",
        ),
        (
            "javax.net.ssl.SSLPeerUnverifiedException: Certificate for <a.example> doesn't match any of the subject alternative names: [b.example]",
            "tls-name-mismatch",
        ),
        (
            "javax.net.ssl.SSLHandshakeException: The server selected protocol version TLS10 is not accepted by client preferences [TLS13, TLS12]",
            "tls-version-too-old",
        ),
        (
            "a.example uses an unsupported protocol.\nERR_SSL_VERSION_OR_CIPHER_MISMATCH",
            "tls-handshake-alert",
        ),
        (
            "2031/05/06 07:08:09 [error] 31#31: *17 upstream SSL certificate does not match \"a.example\" while SSL handshaking to upstream",
            "tls-name-mismatch",
        ),
    ] {
        check(log, cause);
    }
}
