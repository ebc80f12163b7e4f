//! What client and server cannot agree on.

use super::super::lab::{Lab, Prepared};
use super::super::listener::{Wire, alert, wire};
use super::super::openssl::Oddity;
use super::super::tls_server::{Door, TlsServer};
use super::super::web::module_proxy;
use super::super::{Case, Needs, case};
use super::certificates::served_by_openssl;
use rustls::crypto::aws_lc_rs::kx_group;

pub(in super::super) const CASES: &[Case] = &[
    case("tls10-only", "tls-version-too-old", tls10).needs(Needs::Openssl),
    case("tls13-only", "healthy", |lab| {
        lab.proxy(healthy(lab).versions(&[&rustls::version::TLS13]))
    }),
    case("cipher-rsa-kex", "tls-no-shared-cipher", static_rsa).needs(Needs::Openssl),
    case("cipher-camellia", "tls-no-shared-cipher", |lab| {
        let ciphers = "ECDHE-RSA-CAMELLIA128-SHA256:ECDHE-ARIA128-GCM-SHA256";
        openssl(lab, "cipher-camellia", &["-tls1_2", "-cipher", ciphers])
    })
    .needs(Needs::Openssl),
    case("cipher-cbc-sha", "healthy", |lab| {
        openssl(
            lab,
            "cipher-cbc-sha",
            &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"],
        )
    })
    .needs(Needs::Openssl),
    case("group-x448", "tls-no-shared-cipher", |lab| {
        openssl(lab, "group-x448", &["-tls1_3", "-groups", "X448"])
    })
    .needs(Needs::Openssl),
    // Recorded with a server that offers a group which it then refuses to everybody: only the alert shows.
    case("group-mlkem-only", "tls-no-shared-cipher", |lab| {
        openssl(
            lab,
            "group-mlkem-only",
            &["-tls1_3", "-groups", "ffdhe8192"],
        )
    })
    .needs(Needs::Openssl),
    case("sni-unrecognized", "tls-sni-refused", |lab| {
        lab.proxy(healthy(lab).door(Door::NamesOnly("proxy.lab.test")))
    }),
    case("sni-default-cert", "tls-name-mismatch", |lab| {
        let named = lab.healthy(&["proxy.lab.test"]);
        let default = lab.healthy(&["other.example", "www.other.example"]);
        lab.proxy(TlsServer::by_name("proxy.lab.test", &named, &default))
    }),
    case("mtls-required-13", "tls-client-cert-required", |lab| {
        let versions = [&rustls::version::TLS13];
        lab.proxy(
            healthy(lab)
                .versions(&versions)
                .client_certificate(lab.private_root.der()),
        )
    }),
    case("alpn-h2-but-h1", "tls-alpn", |lab| {
        let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let server = healthy(lab).protocols(&["h2"]).blurt(answer);
        lab.at(server.address).keep(server)
    }),
    case("alpn-required", "tls-alpn", |lab| {
        lab.proxy(healthy(lab).protocols(&["foo"]))
    }),
    case("big-clienthello-rst", "tls-hello-too-large", big_hello),
    case("alert-40", "tls-handshake-alert", |lab| alerting(lab, 40)),
    case("alert-70", "tls-version-too-old", |lab| alerting(lab, 70)),
    case("alert-80", "tls-handshake-alert", |lab| alerting(lab, 80)),
    case("server-no-cert", "tls-handshake-alert", |lab| {
        alerting(lab, 80)
    }),
    case("godebug-rsakex", "healthy", |lab| {
        static_rsa(lab).env("GODEBUG", "tlsrsakex=1")
    })
    .needs(Needs::Openssl),
    case("godebug-tls10", "tls-version-too-old", |lab| {
        tls10(lab).env("GODEBUG", "tls10server=1")
    })
    .needs(Needs::Openssl),
    case("godebug-mlkem", "healthy", |lab| {
        big_hello(lab).env("GODEBUG", "tlsmlkem=0")
    }),
];

/// A healthy TLS server for `localhost`.
pub(super) fn healthy(lab: &Lab) -> TlsServer {
    TlsServer::new(&lab.healthy(&["localhost"]))
}

/// A certificate of the ordinary kind, served by openssl.
pub(super) fn openssl(lab: &Lab, name: &str, arguments: &[&str]) -> Prepared {
    let oddity = Oddity {
        signing: &["-sha256"],
        key: &[],
    };
    served_by_openssl(lab, name, &oddity, arguments)
}

fn tls10(lab: &Lab) -> Prepared {
    openssl(
        lab,
        "tls10-only",
        &["-tls1", "-cipher", "ALL:!aNULL:!eNULL:@SECLEVEL=0"],
    )
}

fn static_rsa(lab: &Lab) -> Prepared {
    openssl(
        lab,
        "cipher-rsa-kex",
        &["-tls1_2", "-cipher", "AES128-GCM-SHA256"],
    )
}

/// A middlebox that resets what is larger than one segment.
fn big_hello(lab: &Lab) -> Prepared {
    lab.proxy(healthy(lab).door(Door::Small(1300, Wire::ResetAfterHello)))
}

fn alerting(lab: &Lab, number: u8) -> Prepared {
    let server = wire(Wire::Answer(alert(number)));
    lab.at(server.address).keep(server)
}

/// Only the hybrid group of ML-KEM: Go since 1.24 has it.
pub(super) fn only_ml_kem(lab: &Lab) -> Prepared {
    let server = healthy(lab)
        .group(kx_group::X25519MLKEM768)
        .serve(module_proxy());
    lab.at(server.address).keep(server)
}
