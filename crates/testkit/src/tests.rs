//! The fakes do what they say; the real go command is the judge where it can be.
use crate::{
    Behaviour, Connection, Ending, FakeUpstream, Gate, GoCommand, Module, TestCa, ZipVariant,
    http2::Http2,
};
use std::time::Duration;

fn module() -> Module {
    Module::new("example.com/Upper/mod", "v1.2.3").file("sub/sub.go", "package sub\n")
}

fn get(upstream: &FakeUpstream, target: &str, headers: &[(&str, &str)]) -> crate::Answer {
    Connection::open(upstream.address()).ask("GET", target, headers)
}

#[test]
fn go_downloads_from_the_fake_and_computes_the_same_sums() {
    let old = Module::new("example.com/old", "v0.1.0").without_go_mod();
    let other_bytes = Module::new("example.com/other/v2", "v2.0.0");
    let upstream = FakeUpstream::with([&module(), &old, &other_bytes]);
    upstream.replace_zip(&other_bytes, &ZipVariant::OtherBytes);
    let Some(go) = GoCommand::find(&upstream.url()) else {
        return;
    };
    let folder = go.main_module("main", "module main\n", "package main\n");
    for module in [&module(), &old, &other_bytes] {
        let output = go
            .run(&folder, &["mod", "download", "-json", &module.name()])
            .success();
        for expected in [module.zip_hash(), module.go_mod_hash()] {
            assert!(
                output.stdout.contains(&expected),
                "{expected} in {}",
                output.stdout
            );
        }
        upstream.assert_counts(&[(&module.url_path("zip"), 1)]);
    }
}

#[test]
fn go_refuses_the_wrong_zips() {
    let variants = [
        ZipVariant::DirectoryPointsElsewhere,
        ZipVariant::BadName("example.com/Upper/mod@v1.2.3/../evil.go".into()),
        ZipVariant::BadName("elsewhere/evil.go".into()),
        ZipVariant::Bomb(600 << 20),
        ZipVariant::LyingBomb(2 << 20),
        ZipVariant::WrongContent,
    ];
    for variant in variants {
        let upstream = FakeUpstream::with([&module()]);
        upstream.replace_zip(&module(), &variant);
        let Some(go) = GoCommand::find(&upstream.url()) else {
            return;
        };
        let main = "module main\n\nrequire example.com/Upper/mod v1.2.3\n";
        let folder = go.main_module("main", main, "package main\n");
        std::fs::write(folder.join("go.sum"), module().go_sum()).unwrap();
        let output = go.run(&folder, &["mod", "download"]);
        assert!(!output.status.success(), "{variant:?} was accepted");
    }
}

#[test]
fn counts_requests_and_says_404_for_the_rest() {
    let upstream = FakeUpstream::with([&module()]);
    assert_eq!(
        get(&upstream, "/example.com/%21upper/mod/@v/list", &[]).text(),
        "v1.2.3\n"
    );
    get(&upstream, &module().url_path("mod"), &[]).expect_body(&module().go_mod_file());
    get(&upstream, "/nowhere.test/@v/list", &[]).expect_status(404);
    upstream.assert_counts(&[
        ("/example.com/!upper/mod/@v/list", 1),
        ("/nowhere.test/@v/list", 1),
        (&module().url_path("zip"), 0),
    ]);
    assert_eq!(upstream.total(), 3);
}

#[test]
fn a_cut_body_ends_after_exactly_so_many_bytes_and_resumes_by_range() {
    let module = module().incompressible(3 << 20);
    let (zip, path) = (module.zip(), module.url_path("zip"));
    let upstream = FakeUpstream::with([&module]);
    for quarter in [0, zip.len() / 4, zip.len() / 2, zip.len() - 1] {
        upstream.misbehave(
            &path,
            Behaviour::normal().cut_after(quarter as u64).times(1),
        );
        let cut = get(&upstream, &path, &[]);
        assert_eq!((cut.body.len(), cut.ending), (quarter, Ending::CutShort));
        let range = format!("bytes={quarter}-");
        let etag = cut.header("etag").unwrap();
        let rest = get(&upstream, &path, &[("Range", &range), ("If-Range", etag)]);
        let whole = if quarter == 0 {
            rest.body
        } else {
            [cut.body, rest.body].concat()
        };
        assert!(whole == zip, "spliced at {quarter}");
        let other = get(
            &upstream,
            &path,
            &[("Range", &range), ("If-Range", "\"other\"")],
        );
        other.expect_body(&zip);
    }
}

#[test]
fn lengths_can_lie_and_be_missing() {
    let (zip, path) = (module().zip(), module().url_path("zip"));
    let upstream = FakeUpstream::with([&module()]);
    upstream.misbehave(&path, Behaviour::normal().lie_in_length(10));
    let answer = get(&upstream, &path, &[]);
    assert_eq!(
        (answer.body.len(), answer.ending),
        (zip.len(), Ending::CutShort)
    );
    upstream.misbehave(&path, Behaviour::normal().lie_in_length(-10));
    let answer = get(&upstream, &path, &[]);
    assert_eq!(
        (answer.body.len(), answer.ending),
        (zip.len() - 10, Ending::Complete)
    );
    upstream.misbehave(&path, Behaviour::normal().without_length());
    let answer = get(&upstream, &path, &[]).expect_body(&zip);
    assert_eq!(answer.header("content-length"), None);
}

#[test]
fn stalls_until_the_gate_opens() {
    let (zip, path) = (module().zip(), module().url_path("zip"));
    let upstream = FakeUpstream::with([&module()]);
    let gate = Gate::new();
    upstream.misbehave(
        &path,
        Behaviour::normal().stall_in_body(100, &gate).times(1),
    );
    let mut connection = Connection::open(upstream.address());
    connection.request("GET", &path, &[]);
    assert_eq!(connection.read_head().status, 200);
    assert_eq!(connection.read_some(100), zip[..100]);
    gate.wait_for_arrivals(1);
    gate.open();
    assert_eq!(
        connection.read_rest(),
        (zip[100..].to_vec(), Ending::Complete)
    );

    let gate = Gate::new();
    upstream.misbehave(&path, Behaviour::normal().stall(&gate));
    connection.request("GET", &path, &[]);
    gate.wait_for_arrivals(1);
    gate.open();
    connection.read_answer().expect_body(&zip);
}

#[test]
fn refuses_connections_and_accepts_them_again_at_the_same_address() {
    let upstream = FakeUpstream::with([&module()]);
    let mut kept = Connection::open(upstream.address());
    kept.ask("GET", &module().url_path("mod"), &[])
        .expect_status(200);
    upstream.refuse_connections();
    assert!(std::net::TcpStream::connect(upstream.address()).is_err());
    upstream.accept_connections();
    get(&upstream, &module().url_path("mod"), &[]).expect_status(200);
}

#[test]
fn answers_what_it_is_told_to_and_then_normally() {
    let path = module().url_path("info");
    let upstream = FakeUpstream::with([&module()]);
    let busy = Behaviour::normal()
        .status(429, "slow down\n")
        .header("retry-after", "7");
    upstream.misbehave_under("/", busy.times(1));
    let answer = get(&upstream, &path, &[]).expect_status(429);
    assert_eq!(
        (answer.header("retry-after"), &*answer.text()),
        (Some("7"), "slow down\n")
    );
    get(&upstream, &path, &[]).expect_body(&module().info());
    upstream.misbehave(
        &path,
        Behaviour::normal().trickle(50, Duration::from_millis(1)),
    );
    get(&upstream, &path, &[]).expect_body(&module().info());
}

#[test]
fn speaks_http2_and_tls() {
    let ca = TestCa::new();
    let zip = module().zip();
    let path = module().url_path("zip");
    let upstream = FakeUpstream::builder()
        .tls(&ca, &["h2", "http/1.1"])
        .start();
    upstream.add(&module());
    Http2::open_tls(upstream.address(), &ca)
        .ask("GET", &path, &[])
        .expect_body(&zip);
    let mut connection = Connection::open_tls(upstream.address(), &ca);
    connection.ask("GET", &path, &[]).expect_body(&zip);
    let protocols: Vec<String> = upstream
        .seen()
        .into_iter()
        .map(|seen| seen.protocol)
        .collect();
    assert_eq!(protocols, ["HTTP/2.0", "HTTP/1.1"]);

    let plain = FakeUpstream::with([&module()]);
    let mut connection = Http2::open(plain.address());
    connection.ask("GET", &path, &[]).expect_body(&zip);
    plain.misbehave(&path, Behaviour::normal().cut_after(10));
    let cut = connection.ask("GET", &path, &[]);
    assert_eq!((cut.body.len(), cut.ending), (10, Ending::CutShort));
}

#[test]
fn a_large_zip_has_the_sum_that_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let module = Module::new("example.com/large", "v1.0.0");
    let zip = module.large_zip(folder.path(), 3 << 20);
    let upstream = FakeUpstream::with([&module]);
    upstream.replace_zip_with_large(&module, &zip);
    let Some(go) = GoCommand::find(&upstream.url()) else {
        return;
    };
    let main = go.main_module("main", "module main\n", "package main\n");
    let output = go
        .run(&main, &["mod", "download", "-json", &module.name()])
        .success();
    assert!(
        output.stdout.contains(&zip.zip_hash),
        "{} in {}",
        zip.zip_hash,
        output.stdout
    );
}
