//! `larder trace` shows what `go get` asks, and says what go would.
use crate::{expect_parts, hello, larder};
use testkit::{Exited, FakeSumdb, FakeUpstream, Module, TestCa, ZipVariant};

fn trace(list: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Exited {
    let mut builder = larder().env("GOPROXY", list).env("GOSUMDB", "off");
    for (name, value) in variables {
        builder = builder.env(name, *value);
    }
    builder.run(&[&["trace"], arguments].concat())
}

fn json(exited: &Exited) -> serde_json::Value {
    serde_json::from_str(&exited.stdout).unwrap_or_else(|_| panic!("{exited:?}"))
}

fn with_database(modules: &[Module]) -> (FakeUpstream, FakeSumdb) {
    let database = FakeSumdb::new("sum.test.example");
    database.grow(300);
    for module in modules {
        database.add_module(module);
    }
    let upstream = FakeUpstream::with(modules);
    let mounted = database.clone();
    upstream.mount("/sumdb/sum.test.example/", move |path| {
        mounted.mounted(path)
    });
    (upstream, database)
}

#[test]
fn every_request_is_shown_with_its_phases_and_every_file_with_its_voucher() {
    let newest = Module::new("example.com/hello", "v1.2.0");
    let (upstream, database) = with_database(&[hello(), newest]);
    let key = database.verifier_key();
    let exited = trace(
        &upstream.url(),
        &[("GOSUMDB", &key)],
        &["example.com/hello", "--json"],
    );
    assert!(exited.status.success(), "{exited:?}");
    let said = json(&exited);
    assert_eq!(said["version"], "v1.2.0");
    let steps: Vec<&str> = said["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|request| request["what"].as_str().unwrap())
        .collect();
    assert_eq!(steps[..4], ["list", "mod", "info", "mod"]);
    assert!(steps.contains(&"checksum database"), "{steps:?}");
    assert_eq!(steps.last(), Some(&"zip"));
    let first = &said["requests"][0];
    for phase in ["dns", "connect", "first_byte", "body"] {
        assert!(first["phases_ms"][phase].is_f64(), "{phase}: {first}");
    }
    assert_eq!(said["requests"][1]["reused"], true);
    for file in 0..2 {
        assert_eq!(said["verified"][file]["by"], "sum.test.example");
    }
}

#[test]
fn a_file_that_the_database_does_not_vouch_for_fails_as_it_would_for_go() {
    let (upstream, database) = with_database(&[hello()]);
    upstream.replace_zip(&hello(), &ZipVariant::WrongContent);
    let key = database.verifier_key();
    let exited = trace(
        &upstream.url(),
        &[("GOSUMDB", &key)],
        &["example.com/hello@v1.0.0"],
    );
    assert_eq!(exited.status.code(), Some(1));
    expect_parts(&exited.stdout, &["SECURITY", "sum.test.example"]);
}

#[test]
fn entries_that_do_not_answer_are_named_with_the_reason() {
    let (empty, full) = (FakeUpstream::start(), FakeUpstream::with(&[hello()]));
    let list = format!("http://127.0.0.1:1|{},{}", empty.url(), full.url());
    let exited = trace(&list, &[], &["example.com/hello@v1.0.0"]);
    assert!(exited.status.success(), "{exited:?}");
    expect_parts(
        &exited.stdout,
        &[
            "Connection refused",
            "`|` lets the next entry be asked",
            "answered 404",
            "not verified: GOSUMDB=off",
        ],
    );
    let stopped = format!("http://127.0.0.1:1,{}", full.url());
    let exited = trace(&stopped, &[], &["example.com/hello@v1.0.0"]);
    assert_eq!(exited.status.code(), Some(1));
    expect_parts(&exited.stdout, &["`,` lets nobody else be asked"]);
}

#[test]
fn a_private_name_is_asked_of_nobody() {
    let upstream = FakeUpstream::with(&[hello()]);
    let exited = trace(
        &upstream.url(),
        &[("GOPRIVATE", "example.com")],
        &["example.com/hello"],
    );
    assert_eq!(exited.status.code(), Some(1));
    expect_parts(&exited.stdout, &["no proxy is asked"]);
    assert_eq!(upstream.total(), 0);
}

#[test]
fn through_larder_the_tier_that_answered_is_shown() {
    let upstream = FakeUpstream::with(&[hello()]);
    let server = larder().upstream(upstream.url()).sumdb("off").start();
    let cold = trace(&server.url(), &[], &["example.com/hello@v1.0.0", "--json"]);
    let warm = trace(&server.url(), &[], &["example.com/hello@v1.0.0", "--json"]);
    let cache = |exited: &Exited| {
        json(exited)["requests"][0]["cache"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_ne!(cache(&cold), cache(&warm));
    expect_parts(&cache(&warm), &["hit"]);
}

#[test]
fn the_certificate_of_the_peer_is_shown_and_curl_repeats_the_walk() {
    let ca = TestCa::new();
    let upstream = FakeUpstream::builder()
        .tls(&ca, &["h2", "http/1.1"])
        .start();
    upstream.add(&hello());
    let folder = tempfile::tempdir().unwrap();
    let ca_file = ca.write(folder.path());
    let ca_file = ca_file.to_str().unwrap();
    let exited = trace(
        &upstream.url(),
        &[],
        &["example.com/hello@v1.0.0", "--ca", ca_file],
    );
    assert!(exited.status.success(), "{exited:?}");
    expect_parts(&exited.stdout, &["TLSv1_3", "until 4096", "█ body"]);
    let url = upstream.url().replace("https://", "https://me:secret@");
    let exited = trace(
        &url,
        &[],
        &["example.com/hello@v1.0.0", "--ca", ca_file, "--curl"],
    );
    expect_parts(
        &exited.stdout,
        &["curl -sS", "--cacert", "/example.com/hello/@v/v1.0.0.zip"],
    );
    assert!(!exited.stdout.contains("secret"), "{}", exited.stdout);
    let untrusted = trace(&upstream.url(), &[], &["example.com/hello@v1.0.0"]);
    assert_eq!(untrusted.status.code(), Some(1));
    expect_parts(&untrusted.stdout, &["TLS:"]);
}
