//! Cases in which a target leads to another host: redirects, the place of a missing issuer, the code host of a
//! private module. There is no recording of them.

use super::super::authorities::leaf_params;
use super::super::dns_server::{Names, dns_server};
use super::super::http_proxy::tunnel_to;
use super::super::lab::{Lab, Prepared};
use super::super::listener::{Server, closed_port};
use super::super::tls_server::TlsServer;
use super::super::web::{Reply, Web, module_proxy, reply_with};
use super::super::{Case, Needs, case};
use super::certificates::{issuer_files, leaf_alone};
use super::protocols::healthy;
use super::version_control::code_host;
use rcgen::date_time_ymd;
use std::sync::Arc;

pub(in super::super) const CASES: &[Case] = &[
    case("redirect-elsewhere", "healthy", |lab| {
        let behind = healthy(lab).serve(module_proxy());
        let place = format!("https://localhost:{}", behind.address.port());
        lab.healthy_web(redirecting(place)).keep(behind)
    }),
    case("redirect-to-expired", "tls-cert-expired", |lab| {
        let mut params = leaf_params(&["localhost"]);
        params.not_before = date_time_ymd(2021, 1, 1);
        params.not_after = date_time_ymd(2022, 2, 1);
        let expired = lab.showing(vec![lab.leaf(&params), lab.issuing.der()]);
        let behind = TlsServer::new(&expired).serve(module_proxy());
        let place = format!("https://localhost:{}", behind.address.port());
        lab.healthy_web(redirecting(place)).keep(behind)
    }),
    // Whoever asks is outside: the name is met behind a forward proxy.
    case("redirect-inside", "redirect-private", |lab| {
        let names = dns_server(Names::Are(vec![(
            "inside.lab.test",
            "127.0.0.1".parse().unwrap(),
        )]));
        let place = format!("https://inside.lab.test:{}", closed_port().port());
        let outside = TlsServer::new(&lab.healthy(&["outside.lab.test"])).serve(redirecting(place));
        behind_proxy(lab, "outside.lab.test", outside)
            .env("NO_PROXY", "inside.lab.test")
            .resolver(names.address)
            .keep(names)
    }),
    case(
        "incomplete-chain-behind-proxy",
        "tls-incomplete-chain",
        |lab| {
            let files = issuer_files(lab);
            let identity = leaf_alone(lab, "proxy.lab.test", "http://pki.lab.test");
            let server = TlsServer::new(&identity).serve(module_proxy());
            let proxy = tunnel_to(&[
                ("proxy.lab.test:443", server.address),
                ("pki.lab.test:80", files.address),
            ]);
            lab.url("https://proxy.lab.test".into())
                .env("HTTPS_PROXY", format!("http://{}", proxy.address))
                .keep((server, files, proxy))
        },
    ),
    case("incomplete-chain-inside", "tls-incomplete-chain", |lab| {
        let files = issuer_files(lab);
        let here = "127.0.0.1".parse().unwrap();
        let names = dns_server(Names::Are(vec![
            ("server.lab.test", here),
            ("pki.lab.test", here),
        ]));
        let place = format!("http://pki.lab.test:{}", files.address.port());
        let identity = leaf_alone(lab, "server.lab.test", &place);
        let server = TlsServer::new(&identity).serve(module_proxy());
        lab.url(format!("https://server.lab.test:{}", server.address.port()))
            .resolver(names.address)
            .keep((server, files, names))
    }),
    case("timeless", "healthy", |lab| {
        let inner = module_proxy();
        lab.healthy_web(Arc::new(move |request| without_date(inner(request))))
    }),
    case("private-code-host", "vcs-auth-https", |lab| {
        let proxy = lab.proxy(healthy(lab));
        code_host(lab)
            .env("GOPROXY", proxy.url.clone())
            .env("GOPRIVATE", "git.lab.test")
            .file("go.mod", REQUIRING)
            .keep(proxy)
    })
    .asked(&["mod", "download"])
    .needs(Needs::Git),
];

const REQUIRING: &str = "module x.test/a\n\ngo 1.20\n\nrequire git.lab.test/priv v1.0.0\n";

/// Every path leads to the same one at `place`.
fn redirecting(place: String) -> Web {
    Arc::new(move |request| {
        let there = format!("{place}{}", request.target);
        reply_with(302, "Found", &[("Location", &there)], b"")
    })
}

/// A name to which only a forward proxy knows the way.
fn behind_proxy(lab: &Lab, name: &str, server: Server) -> Prepared {
    let authority = format!("{name}:443");
    let proxy = tunnel_to(&[(&authority, server.address)]);
    lab.url(format!("https://{name}"))
        .env("HTTPS_PROXY", format!("http://{}", proxy.address))
        .keep((server, proxy))
}

fn without_date(reply: Reply) -> Reply {
    let Reply::Bytes(bytes) = reply else {
        return reply;
    };
    let Some(start) = bytes.windows(6).position(|six| six == b"Date: ") else {
        return Reply::Bytes(bytes);
    };
    let length = bytes[start..].iter().position(|byte| *byte == b'\n');
    let end = start + length.expect("a line has an end") + 1;
    Reply::Bytes([&bytes[..start], &bytes[end..]].concat())
}
