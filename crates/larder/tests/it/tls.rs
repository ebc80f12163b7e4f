//! HTTPS with a certificate that is renewed while the server runs.
use crate::{hello, larder};
use testkit::http2::Http2;
use testkit::{
    Behaviour, Connection, FakeUpstream, Gate, Larder, LarderBuilder, Module, TestCa, eventually,
};

fn with_certificate(builder: LarderBuilder, ca: &TestCa) -> (Larder, Vec<u8>) {
    let leaf = ca.leaf();
    let (certificate, key) = leaf.write(builder.home());
    let flags = ["--tls-cert".into(), certificate, "--tls-key".into(), key];
    (builder.args(flags).start(), leaf.certificate_der)
}

#[test]
fn https_speaks_http1_and_http2() {
    let ca = TestCa::new();
    let module = hello().incompressible(300_000);
    let upstream = FakeUpstream::with([&module]);
    let (larder, _) = with_certificate(larder().upstream(upstream.url()), &ca);
    assert!(larder.url().starts_with("https://"));
    let path = module.url_path("zip");
    Connection::open_tls(larder.address(), &ca)
        .ask("GET", &path, &[])
        .expect_body(&module.zip());
    Http2::open_tls(larder.address(), &ca)
        .ask("GET", &path, &[])
        .expect_body(&module.zip());
    assert_eq!(upstream.count(&path), 1);
}

#[test]
fn http2_answers_what_is_there_beside_what_is_not() {
    let ca = TestCa::new();
    let (hit, large) = (hello(), Module::new("example.com/large", "v1.0.0"));
    let large = large.incompressible(3_000_000);
    let missed = Module::new("example.com/missed", "v1.0.0");
    let upstream = FakeUpstream::with([&hit, &large, &missed]);
    let gate = Gate::new();
    let stalled = missed.url_path("mod");
    upstream.misbehave(&stalled, Behaviour::normal().stall(&gate));
    let (larder, _) = with_certificate(larder().upstream(upstream.url()), &ca);
    let mut connection = Http2::open_tls(larder.address(), &ca);
    for path in [hit.url_path("mod"), large.url_path("zip")] {
        connection.ask("GET", &path, &[]).expect_status(200);
    }

    let waiting = connection.begin("GET", &stalled, &[]);
    gate.wait_for_arrivals(1);
    // More than one turn answers, with small and large bodies, refusals and heads among them.
    for _ in 0..4 {
        let zip = connection.begin("GET", &large.url_path("zip"), &[]);
        let hits: Vec<_> = (0..20)
            .map(|_| connection.begin("GET", &hit.url_path("mod"), &[]))
            .collect();
        let head = connection.begin("HEAD", &hit.url_path("mod"), &[]);
        let refused = connection.begin("POST", &hit.url_path("mod"), &[]);
        for hit_again in hits {
            hit_again.answer().expect_body(&hit.go_mod_file());
        }
        head.answer().expect_body(b"");
        refused.answer().expect_status(405);
        zip.answer().expect_body(&large.zip());
    }
    assert!(!waiting.is_answered(), "its upstream has not answered");
    gate.open();
    waiting.answer().expect_body(&missed.go_mod_file());
}

#[test]
fn sigterm_lets_a_stream_under_way_finish_and_ends_the_connection() {
    let ca = TestCa::new();
    let upstream = FakeUpstream::with([&hello()]);
    let gate = Gate::new();
    let path = hello().url_path("zip");
    upstream.misbehave(&path, Behaviour::normal().stall(&gate));
    let (larder, _) = with_certificate(larder().upstream(upstream.url()), &ca);
    let connection = Http2::open_tls(larder.address(), &ca);
    let waiting = connection.begin("GET", &path, &[]);
    gate.wait_for_arrivals(1);
    larder.ask_to_terminate();
    eventually("new connections are refused", || {
        std::net::TcpStream::connect(larder.address()).err()
    });
    gate.open();
    waiting.answer().expect_body(&hello().zip());
    let (exited, _) = larder.wait();
    assert_eq!(exited.status.code(), Some(0), "{}", exited.stderr);
}

#[test]
fn a_renewed_certificate_is_shown_to_new_connections_and_old_ones_live_on() {
    let ca = TestCa::new();
    let upstream = FakeUpstream::with([&hello()]);
    let builder = larder().upstream(upstream.url());
    let folder = builder.home().to_owned();
    let (larder, first) = with_certificate(builder, &ca);
    let path = hello().url_path("zip");
    let mut old = Connection::open_tls(larder.address(), &ca);
    assert_eq!(old.certificate_der(), Some(&first[..]));
    old.ask("GET", &path, &[]).expect_body(&hello().zip());
    let mut old_http2 = Http2::open_tls(larder.address(), &ca);
    old_http2.ask("GET", &path, &[]).expect_body(&hello().zip());

    let renewed = ca.leaf();
    renewed.write(&folder);
    let mut new = eventually("the renewed certificate is shown", || {
        let connection = Connection::open_tls(larder.address(), &ca);
        (connection.certificate_der() == Some(&renewed.certificate_der[..])).then_some(connection)
    });
    for connection in [&mut new, &mut old] {
        connection
            .ask("GET", &path, &[])
            .expect_body(&hello().zip());
    }
    old_http2.ask("GET", &path, &[]).expect_body(&hello().zip());

    // A file that is no certificate changes nothing but a line in the log.
    std::fs::write(folder.join("leaf.pem"), "half a certif").unwrap();
    eventually("the broken file is told of", || {
        larder.stderr().contains("leaf.pem").then_some(())
    });
    let connection = Connection::open_tls(larder.address(), &ca);
    assert_eq!(
        connection.certificate_der(),
        Some(&renewed.certificate_der[..])
    );
}

#[test]
fn a_certificate_without_its_key_or_with_another_ones_is_told_before_the_start() {
    let ca = TestCa::new();
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (certificate, _) = ca.leaf().write(first.path());
    let (_, other_key) = ca.leaf().write(second.path());
    let start = |flags: Vec<std::path::PathBuf>| {
        larder()
            .upstream("http://127.0.0.1:9")
            .args(flags)
            .run_serve()
    };
    let exited = start(vec!["--tls-cert".into(), certificate.clone()]);
    assert_eq!(exited.status.code(), Some(2), "{}", exited.stderr);
    crate::expect_parts(&exited.stderr, &["tls_key"]);
    let flags = vec![
        "--tls-cert".into(),
        certificate,
        "--tls-key".into(),
        other_key,
    ];
    let exited = start(flags);
    assert!(!exited.status.success(), "{}", exited.stderr);
    assert_eq!(exited.stdout, "");
}
