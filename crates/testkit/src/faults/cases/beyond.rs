//! Cases of which there is no recording: what go says to them is asked when they run.

use super::super::authorities::{Authority, authority_params, leaf_params};
use super::super::http_proxy::{Tunnel, http_proxy};
use super::super::listener::{Wire, alert};
use super::super::tls_server::{Door, TlsServer};
use super::super::web::{Reply, always, module_proxy, reply, reply_with};
use super::super::{Case, Needs, case};
use super::certificates::{alternative_name, leaf_with, under};
use super::protocols::{healthy, only_ml_kem, openssl};
use super::transport::misbehaving;
use rcgen::{
    BasicConstraints, CustomExtension, GeneralSubtree, IsCa, NameConstraints, date_time_ymd,
};
use std::sync::Arc;

pub(in super::super) const CASES: &[Case] = &[
    case("healthy-http2", "healthy", |lab| {
        let server = healthy(lab)
            .protocols(&["h2", "http/1.1"])
            .serve_http2(module_proxy());
        lab.at(server.address).keep(server)
    }),
    case("healthy-tls12", "healthy", |lab| {
        lab.proxy(healthy(lab).versions(&[&rustls::version::TLS12]))
    }),
    case("healthy-ecdsa", "healthy", |lab| {
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let leaf = lab.issuing.sign(&leaf_params(&["localhost"]), &key);
        let sent = vec![leaf, lab.issuing.der()];
        lab.proxy_showing(&super::super::authorities::Identity::new(sent, &key))
    }),
    case("healthy-many-names", "healthy", |lab| {
        leaf_with(lab, |params| {
            for number in 0..60 {
                params
                    .subject_alt_names
                    .push(alternative_name(&format!("host{number}.lab.test")));
            }
        })
    }),
    case("healthy-redirect", "healthy", |lab| {
        let inner = module_proxy();
        lab.healthy_web(Arc::new(move |request| {
            match request.target.strip_prefix("/mirror") {
                None => {
                    let place = format!("/mirror{}", request.target);
                    reply_with(302, "Found", &[("Location", &place)], b"")
                }
                Some(rest) => {
                    let mut request = request.clone();
                    request.target = rest.to_owned();
                    inner(&request)
                }
            }
        }))
    }),
    case("healthy-ml-kem-only", "healthy", only_ml_kem),
    case("cross-signed", "healthy", |lab| {
        // The chain leads to a new root, which the old one has signed too; only the old is trusted.
        let new_root = Authority::root(authority_params("Lab Root CA 2"), &lab.other_key);
        let cross = lab
            .root
            .intermediate(authority_params("Lab Root CA 2"), &lab.other_key);
        let issuing =
            new_root.intermediate(authority_params("Lab Issuing CA 2"), lab.issuing.key_pem());
        let leaf = issuing.sign(&leaf_params(&["localhost"]), &lab.leaf_key);
        lab.proxy_showing(&lab.showing(vec![leaf, issuing.der(), cross.der()]))
    }),
    case("expired-intermediate", "tls-ca-expired", |lab| {
        let mut params = authority_params("Lab Issuing CA 0");
        params.not_after = date_time_ymd(2023, 3, 1);
        under(lab, params, &leaf_params(&["localhost"]))
    }),
    case("path-length", "tls-key-usage", |lab| {
        let mut params = authority_params("Lab Short CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let short = lab.root.intermediate(params, &lab.other_key);
        let below = short.intermediate(authority_params("Lab Long CA"), lab.issuing.key_pem());
        let leaf = below.sign(&leaf_params(&["localhost"]), &lab.leaf_key);
        lab.proxy_showing(&lab.showing(vec![leaf, below.der(), short.der()]))
    }),
    case("name-constraint-excluded", "tls-name-constraints", |lab| {
        let mut params = authority_params("Lab Excluding CA");
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: Vec::new(),
            excluded_subtrees: vec![GeneralSubtree::DnsName("localhost".into())],
        });
        under(lab, params, &leaf_params(&["localhost"]))
    }),
    case("unknown-critical-extension", "tls-bad-certificate", |lab| {
        leaf_with(lab, |params| {
            let mut odd =
                CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
            odd.set_criticality(true);
            params.custom_extensions = vec![odd];
        })
    }),
    case("private-ca-root-sent", "tls-untrusted-ca", |lab| {
        let leaf = lab
            .private_issuing
            .sign(&leaf_params(&["localhost"]), &lab.leaf_key);
        let sent = vec![leaf, lab.private_issuing.der(), lab.private_root.der()];
        lab.proxy_showing(&lab.showing(sent))
    }),
    case("trust-file-der", "tls-missing-ca-bundle", |lab| {
        let file = lab.folder().join("roots.der");
        std::fs::write(&file, lab.root.der()).unwrap();
        lab.proxy_showing(&lab.healthy(&["localhost"]))
            .trusting(&file)
    }),
    case("ip-other-san", "tls-name-mismatch", |lab| {
        let server = TlsServer::new(&lab.healthy(&["127.0.0.9"])).serve(module_proxy());
        lab.url(format!("https://127.0.0.1:{}", server.address.port()))
            .keep(server)
    }),
    case("mtls-required-12", "tls-client-cert-required", |lab| {
        let versions = [&rustls::version::TLS12];
        lab.proxy(
            healthy(lab)
                .versions(&versions)
                .client_certificate(lab.private_root.der()),
        )
    }),
    case("tls11-only", "tls-version-too-old", |lab| {
        openssl(
            lab,
            "tls11-only",
            &["-tls1_1", "-cipher", "ALL:!aNULL:!eNULL:@SECLEVEL=0"],
        )
    })
    .needs(Needs::Openssl),
    case("dhe-only", "tls-no-shared-cipher", |lab| {
        openssl(
            lab,
            "dhe-only",
            &["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"],
        )
    })
    .needs(Needs::Openssl),
    case("big-clienthello-dropped", "tls-hello-too-large", |lab| {
        lab.proxy(healthy(lab).door(Door::Small(1300, Wire::Silence)))
    })
    .go_waits(10),
    case("filtered-by-name", "tls-sni-refused", |lab| {
        lab.proxy(healthy(lab).door(Door::Filtered("localhost", Wire::ResetAfterHello)))
    }),
    case("alert-49", "tls-handshake-alert", |lab| {
        misbehaving(lab, Wire::Answer(alert(49)))
    }),
    case("smtp-on-port", "tls-not-tls", |lab| {
        misbehaving(
            lab,
            Wire::Greet(b"220 mail.lab.test ESMTP ready\r\n".to_vec()),
        )
    }),
    case("reset-after-hello", "tls-truncated", |lab| {
        misbehaving(lab, Wire::ResetAfterHello)
    }),
    case("captive-redirect", "captive-portal", |lab| {
        lab.healthy_web(Arc::new(|request| {
            if request.target.starts_with("/hotspot") {
                reply(
                    200,
                    "OK",
                    "text/html",
                    super::super::web::LOGIN_PAGE.as_bytes(),
                )
            } else {
                reply_with(
                    302,
                    "Found",
                    &[("Location", "/hotspot/login?from=lab")],
                    b"",
                )
            }
        }))
    }),
    case("http-503", "proxy-server-error", |lab| {
        lab.healthy_web(always(
            503,
            "Service Unavailable",
            "text/html",
            "<html>busy</html>",
        ))
    }),
    case("silent-after-handshake", "no-answer", |lab| {
        lab.healthy_web(Arc::new(|_| Reply::Silence))
    })
    .go_waits(100),
    case("proxy-env-silent-port", "http-proxy-unreachable", |lab| {
        let listener = super::super::listener::full_backlog();
        lab.url("https://proxy.lab.test".into())
            .env("HTTPS_PROXY", format!("http://{}", listener.address))
            .keep(listener)
    })
    .go_waits(30),
    case("proxy-env-504", "http-proxy-upstream", |lab| {
        let proxy = http_proxy(Tunnel::Answer(
            "HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n",
        ));
        lab.url("https://proxy.lab.test".into())
            .env("HTTPS_PROXY", format!("http://{}", proxy.address))
            .keep(proxy)
    }),
];
