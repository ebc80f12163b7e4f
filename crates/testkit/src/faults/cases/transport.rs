//! Ports that are closed, silent, cut, or belong to something else.

use super::super::dns_server::{Names, dns_server};
use super::super::lab::{Lab, Prepared};
use super::super::listener::{Wire, closed_port, full_backlog, listen, wire};
use super::super::tls_server::{Door, TlsServer};
use super::super::web::{self, module_proxy};
use super::super::{Case, Needs, case};
use super::protocols::healthy;
use std::sync::Arc;

pub(in super::super) const CASES: &[Case] = &[
    case("http-on-tls-port", "tls-plain-http", |lab| {
        let web = module_proxy();
        let server = listen(move |stream| web::serve(stream, Arc::clone(&web)));
        lab.at(server.address).keep(server)
    }),
    case("https-on-http-url", "http-to-tls-port", |lab| {
        let server = healthy(lab).door(Door::OnlyTls).serve(module_proxy());
        lab.url(format!("http://localhost:{}", server.address.port()))
            .keep(server)
    }),
    case("ssh-on-port", "tls-not-tls", |lab| {
        misbehaving(lab, Wire::Greet(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()))
    }),
    case("eof-handshake", "tls-truncated", |lab| {
        misbehaving(lab, Wire::CloseAfterHello)
    }),
    case("rst-on-accept", "net-reset", |lab| {
        misbehaving(lab, Wire::ResetAtOnce)
    }),
    case("hang-handshake", "tls-handshake-timeout", |lab| {
        misbehaving(lab, Wire::Silence)
    })
    .go_waits(10),
    case("refused", "net-refused", |lab| lab.at(closed_port())),
    case("connect-timeout", "net-timeout", |lab| {
        let listener = full_backlog();
        lab.at(listener.address).keep(listener)
    })
    .go_waits(30),
    case("ipv6-only-refused", "net-refused", |lab| {
        let names = dns_server(Names::Are(vec![(
            "v6only.lab.test",
            "::1".parse().unwrap(),
        )]));
        let url = format!("https://v6only.lab.test:{}", closed_port().port());
        lab.url(url).resolver(names.address).keep(names)
    })
    .needs(Needs::Ipv6Loopback),
    case("ipv6-broken-v4-ok", "healthy", |lab| {
        let names = dns_server(Names::Are(vec![
            ("both.lab.test", "::1".parse().unwrap()),
            ("both.lab.test", "127.0.0.1".parse().unwrap()),
        ]));
        let server = TlsServer::new(&lab.healthy(&["both.lab.test"])).serve(module_proxy());
        let url = format!("https://both.lab.test:{}", server.address.port());
        lab.url(url)
            .resolver(names.address)
            .keep(names)
            .keep(server)
    })
    .needs(Needs::Ipv6Loopback),
    case("ipv6-unroutable", "ipv6-broken", |lab| {
        lab.url("https://[2001:db8::1]:443".into())
    })
    .needs(Needs::NoIpv6Route),
    case("dns-nxdomain", "dns-nxdomain", |lab| {
        unknown_name(lab, Names::Are(Vec::new()))
    }),
    case("dns-servfail", "dns-server-failure", |lab| {
        unknown_name(lab, Names::ServerFailure)
    }),
    case("dns-timeout", "dns-unreachable", |lab| {
        unknown_name(lab, Names::Silent)
    })
    .go_waits(10),
    case("dns-no-server", "dns-unreachable", |lab| {
        let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        lab.url("https://nope.lab.test".into()).resolver(address)
    }),
];

/// A port that answers so.
pub(super) fn misbehaving(lab: &Lab, behaviour: Wire) -> Prepared {
    let server = wire(behaviour);
    lab.at(server.address).keep(server)
}

fn unknown_name(lab: &Lab, names: Names) -> Prepared {
    let server = dns_server(names);
    lab.url("https://nope.lab.test".into())
        .resolver(server.address)
        .keep(server)
}
