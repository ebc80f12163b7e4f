//! What the environment says: forward proxies, GOPROXY, flags, toolchains.

use super::super::dns_server::{Names, dns_server};
use super::super::http_proxy::{Tunnel, http_proxy, tunnel_to};
use super::super::lab::{Lab, Prepared};
use super::super::listener::closed_port;
use super::super::tls_server::TlsServer;
use super::super::web::{always, module_proxy};
use super::super::{Case, case};
use std::sync::Arc;

pub(in super::super) const CASES: &[Case] = &[
    case("proxy-env-ok", "healthy", |lab| {
        let server = TlsServer::new(&lab.healthy(&["proxy.lab.test"])).serve(module_proxy());
        let proxy = tunnel_to(&[("proxy.lab.test:443", server.address)]);
        behind(lab, format!("http://{}", proxy.address))
            .keep(proxy)
            .keep(server)
    }),
    case("proxy-env-refused", "http-proxy-unreachable", |lab| {
        behind(lab, format!("http://{}", closed_port()))
    }),
    case("proxy-env-407", "http-proxy-auth", |lab| {
        answering(
            lab,
            "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"lab\"\r\nContent-Length: 0\r\n\r\n",
        )
    }),
    case("proxy-env-403", "http-proxy-forbidden", |lab| {
        answering(lab, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    }),
    case("proxy-env-502", "http-proxy-upstream", |lab| {
        answering(lab, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
    }),
    case("proxy-env-html", "http-proxy-config", |lab| {
        answering(
            lab,
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 24\r\nConnection: close\r\n\r\n<html>It works!</html>\r\n",
        )
    }),
    case("proxy-env-eof", "http-proxy-no-answer", |lab| {
        tunnelling(lab, Tunnel::Hangup)
    }),
    case("proxy-env-mitm", "tls-intercepted", |lab| {
        let server = TlsServer::minting(Arc::clone(&lab.inspection), lab.leaf_key.clone())
            .serve(module_proxy());
        let proxy = tunnel_to(&[("proxy.lab.test:443", server.address)]);
        behind(lab, format!("http://{}", proxy.address))
            .keep(proxy)
            .keep(server)
    }),
    case("proxy-env-hang", "http-proxy-no-answer", |lab| {
        tunnelling(lab, Tunnel::Silence)
    })
    .go_waits(60),
    case("proxy-env-invalid", "http-proxy-config", |lab| {
        let names = dns_server(Names::Are(Vec::new()));
        behind(lab, "http://[bad".into())
            .resolver(names.address)
            .keep(names)
    }),
    case("proxy-env-socks", "http-proxy-config", |lab| {
        let proxy = http_proxy(Tunnel::Silence);
        behind(lab, format!("socks5://{}", proxy.address)).keep(proxy)
    })
    .go_waits(100),
    case("proxy-env-localhost", "healthy", |lab| {
        lab.proxy_showing(&lab.healthy(&["localhost"]))
            .env("HTTPS_PROXY", format!("http://{}", closed_port()))
    }),
    case("goproxy-off", "goproxy-off", |lab| lab.url("off".into())),
    case("goproxy-no-scheme", "healthy", |lab| {
        let prepared = lab.proxy_showing(&lab.healthy(&["localhost"]));
        let bare = prepared.url.trim_start_matches("https://").to_owned();
        prepared.env("GOPROXY", bare)
    }),
    case("goproxy-empty-item", "goproxy-config", |lab| {
        lab.url(",".into())
    }),
    case("goflags-insecure", "insecure-http", |lab| {
        main_module(lab).env("GOFLAGS", "-insecure")
    })
    .asked(&["get", "example.lab/m@v1.0.0"]),
    case("flag-insecure", "insecure-http", main_module).asked(&[
        "get",
        "-insecure",
        "example.lab/m@v1.0.0",
    ]),
    case("toolchain-download", "go-too-old", |lab| {
        lab.proxy_showing(&lab.healthy(&["localhost"]))
            .file("go.mod", "module x.test/a\n\ngo 1.99\n")
    })
    .asked(&["list", "-m", "all"]),
    case("toolchain-auto", "toolchain-unavailable", |lab| {
        lab.healthy_web(always(404, "Not Found", "text/plain", "not found"))
            .file("go.mod", "module x.test/a\n\ngo 1.20\n")
            .env("GOTOOLCHAIN", "go1.99.0")
    })
    .asked(&["list", "-m", "all"]),
];

fn main_module(lab: &Lab) -> Prepared {
    lab.proxy_showing(&lab.healthy(&["localhost"]))
        .file("go.mod", "module x.test/a\n\ngo 1.20\n")
}

/// `proxy.lab.test`, to which only this forward proxy knows the way.
fn behind(lab: &Lab, proxy: String) -> Prepared {
    lab.url("https://proxy.lab.test".into())
        .env("HTTPS_PROXY", proxy)
}

fn tunnelling(lab: &Lab, tunnel: Tunnel) -> Prepared {
    let proxy = http_proxy(tunnel);
    behind(lab, format!("http://{}", proxy.address)).keep(proxy)
}

fn answering(lab: &Lab, answer: &'static str) -> Prepared {
    tunnelling(lab, Tunnel::Answer(answer))
}
