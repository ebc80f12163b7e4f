//! TLS between go, or a Go proxy, and a server.

use super::shared_cures::{
    ANOTHER_SOURCE, INSTALL_ROOTS, REPLACE_CERTIFICATE, SERVE_THE_CHAIN, TRUST_A_CA,
};
use super::{Cause, Whose, at, cause, client, server};

const SHOW_CHAIN: &str = "larder doctor https://{host}/";
const SHOW_DATE: &str = "curl -sSI http://{host}/ | grep -i '^date:'; date -u";

pub(super) const CAUSES: &[Cause] = &[
    cause("tls-untrusted-ca", Whose::Client,
        "The certificate leads to an authority that is not trusted here",
        "The chain of the server's certificate ends in an authority that is in no trust store of this machine. The same words stand for a private authority, an inspecting firewall, a missing list of authorities and a server that forgets its intermediate certificate; the message alone cannot tell them apart.",
        "Every link but the root is sent and verifies; the top issuer is neither in the store nor public.")
        .ambiguous()
        .confused_with(&["tls-intercepted", "tls-missing-ca-bundle", "tls-incomplete-chain"])
        .cured_by(&[TRUST_A_CA])
        .settled_by(SHOW_CHAIN),
    cause("tls-intercepted", Whose::Network,
        "A device on the way re-signs TLS with its own authority",
        "A firewall or security product answers in the server's place with a certificate that it signed itself. A public host with an unknown issuer is its mark; often only some hosts are inspected, such as the object store that serves zips.",
        "The same unknown issuer signs unrelated public hosts, or the certificate differs inside and outside of the HTTP proxy.")
        .confused_with(&["tls-untrusted-ca", "tls-missing-ca-bundle"])
        .cured_by(&[&[at(Whose::Network, "any", "Have the host exempted from inspection, or get the inspecting authority's root certificate and install it.", &[])], TRUST_A_CA])
        .settled_by("larder doctor https://{host}/"),
    cause("tls-missing-ca-bundle", Whose::Client,
        "This machine has no list of authorities, or an old one",
        "The server's chain is a public one, but the client's root store is absent, empty, unreadable, not PEM, or too old. Slim images and old systems are where it happens.",
        "The store that go would read holds no certificate, or SSL_CERT_FILE names no readable PEM file.")
        .confused_with(&["tls-untrusted-ca", "tls-intercepted"])
        .cured_by(&[INSTALL_ROOTS])
        .settled_by("ls -lL /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; echo \"$SSL_CERT_FILE\""),
    cause("tls-incomplete-chain", Whose::Server,
        "The server does not send its intermediate certificate",
        "Only the leaf is sent. Browsers and macOS fetch or remember the missing certificate and succeed; go on Linux does not look for it.",
        "No certificate that was sent is the leaf's issuer, and the issuer found by the leaf's own pointer ends in a trusted root.")
        .ambiguous()
        .confused_with(&["tls-untrusted-ca", "tls-intercepted"])
        .cured_by(&[SERVE_THE_CHAIN])
        .settled_by(SHOW_CHAIN),
    cause("tls-cert-expired", Whose::Server,
        "The server's certificate has expired",
        "The time on this machine is after the certificate's end. Where the message prints no times, a wrong clock says the same.",
        "The leaf's end has passed by a second clock too.")
        .confused_with(&["tls-ca-expired", "tls-clock-skew"])
        .cured_by(&[REPLACE_CERTIFICATE, &[client("It is another's server: tell its operator, and use another source until then.", &[])], ANOTHER_SOURCE])
        .settled_by(SHOW_DATE),
    cause("tls-clock-skew", Whose::Client,
        "The clock of this machine is wrong",
        "The certificate's dates do not hold at the time that this machine believes in: before their beginning, or many years behind their end.",
        "The date in two servers' answers differs from the local clock by more than five minutes, and the certificate is valid at that date.")
        .confused_with(&["tls-cert-expired"])
        .cured_by(&[&[
            at(Whose::Client, "debian", "Set the clock and keep it set.", &["sudo timedatectl set-ntp true", "timedatectl status"]),
            at(Whose::Client, "rhel", "Set the clock and keep it set.", &["sudo timedatectl set-ntp true"]),
            at(Whose::Client, "alpine", "Set the clock once.", &["ntpd -d -q -n -p pool.ntp.org"]),
            at(Whose::Client, "arch", "Set the clock and keep it set.", &["sudo timedatectl set-ntp true"]),
            at(Whose::Client, "macos", "Set the clock.", &["sudo sntp -sS time.apple.com"]),
            at(Whose::Client, "windows", "Set the clock.", &["w32tm /resync"]),
            at(Whose::Client, "docker", "A container has its host's clock; after sleep a virtual machine's may stand: restart it.", &[]),
        ]])
        .settled_by(SHOW_DATE),
    cause("tls-name-mismatch", Whose::Server,
        "The certificate is for other names",
        "The server answered with a certificate that does not name the host that was asked: a wildcard of another depth, a default site, a name that points to the wrong server, or a name that has no certificate yet.",
        "The served leaf has names of the right kind and none matches.")
        .said_outright()
        .confused_with(&["tls-intercepted", "tls-san-missing"])
        .cured_by(&[&[server("Get a certificate that holds the name in use, or point the name to the server that has one.", &[]), client("Or use a name that the certificate has.", &[])], REPLACE_CERTIFICATE])
        .settled_by("larder doctor https://{host}/"),
    cause("tls-san-missing", Whose::Server,
        "The certificate lacks a subject alternative name",
        "go looks at subject alternative names alone: a common name, or DNS names where an address was dialled, do not count. Since Go 1.17 no switch changes that.",
        "The leaf has no DNS name entry, or for an address no IP entry.")
        .said_outright()
        .confused_with(&["tls-name-mismatch"])
        .cured_by(&[&[server("Reissue with the name, and with the address where it is dialled by address.", &[
            "openssl req -new -key key.pem -subj /CN=HOST -addext 'subjectAltName=DNS:HOST,IP:192.0.2.1' -out host.csr",
        ])], REPLACE_CERTIFICATE])
        .settled_by("larder doctor https://{host}/"),
    cause("tls-cert-policy", Whose::Server,
        "The certificate breaks a rule of the verifier",
        "The signature may be right, but the platform or a policy refuses the certificate: too long a life on macOS, a revoked certificate, a forbidden algorithm.",
        "The message names the rule.")
        .said_outright()
        .confused_with(&["tls-untrusted-ca"])
        .cured_by(&[&[server("Reissue the certificate within the rule that is named; for macOS at most 398 days (825 from a private authority), with subject alternative names and the server purpose.", &[])], REPLACE_CERTIFICATE, TRUST_A_CA])
        .settled_by("larder doctor https://{host}/"),
    cause("tls-plain-http", Whose::Server,
        "The other side does not speak TLS",
        "https was asked of a port that answers in plain HTTP, or in no protocol that TLS knows.",
        "The answer to the greeting begins with `HTTP/`.")
        .confused_with(&["tls-not-tls"])
        .cured_by(&[&[
            client("Put the right scheme and port into GOPROXY.", &["go env GOPROXY"]),
            at(Whose::Server, "nginx", "Switch TLS on for this port.", &["listen 443 ssl;"]),
            at(Whose::Server, "apache", "Switch TLS on for this port.", &["Listen 443 https", "SSLEngine on"]),
            at(Whose::Server, "haproxy", "Switch TLS on for this port.", &["bind :443 ssl crt /etc/haproxy/site.pem"]),
            at(Whose::Server, "caddy", "Name the site with https and not with a bare port.", &["https://modules.corp.example {", "}"]),
            at(Whose::Server, "traefik", "Switch TLS on for the router.", &["traefik.http.routers.modules.tls=true"]),
        ]])
        .settled_by("larder doctor https://{host}/"),
    cause("tls-handshake-alert", Whose::Server,
        "The server refuses the handshake and does not say why",
        "The server broke the handshake off with an alert. No shared suite or group, a missing certificate for the name, a client certificate that is wanted, or a policy: the alert alone does not tell.",
        "The same alert comes for every version, suite, name and protocol that is tried.")
        .confused_with(&["tls-no-shared-cipher", "tls-client-cert-required", "tls-sni-refused"])
        .cured_by(&[&[server("Read the server's own log at that second: it names the reason.", &[])], super::shared_cures::MODERN_TLS])
        .settled_by("larder doctor https://{host}/"),
    cause("tls-handshake-timeout", Whose::Network,
        "The connection opened, but no TLS handshake came",
        "TCP connected, and within ten seconds the server did not answer go's greeting: a firewall that lets only the connection pass, an overloaded server, a slow tunnel, or the wrong port.",
        "TCP connects and no byte answers a small and a large greeting.")
        .confused_with(&["net-timeout", "tls-hello-too-large"])
        .cured_by(&[&[
            client("Try without the large key share: if it works, a device on the way drops large greetings.", &["GODEBUG=tlsmlkem=0 go mod download"]),
            client("Try from another network.", &[]),
        ], ANOTHER_SOURCE])
        .settled_by("larder doctor https://{host}/"),
];
