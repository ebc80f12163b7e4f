//! `larder compare` finds what is missing and wrong, and asks no more than it may.
use crate::{expect_parts, hello, larder};
use testkit::{Behaviour, Exited, FakeSumdb, FakeUpstream, Module, ZipVariant};

fn compare(database: &FakeSumdb, arguments: &[&str]) -> Exited {
    larder()
        .env("GOPROXY", "off")
        .env("GOSUMDB", database.verifier_key())
        .run(&[&["compare"], arguments].concat())
}

/// A service that knows the module and hands on the database.
fn service(modules: &[Module], database: &FakeSumdb) -> FakeUpstream {
    let upstream = FakeUpstream::with(modules);
    let mounted = database.clone();
    upstream.mount("/sumdb/sum.test.example/", move |path| {
        mounted.mounted(path)
    });
    upstream
}

fn database() -> FakeSumdb {
    let database = FakeSumdb::new("sum.test.example");
    database.add_module(&hello());
    database
}

#[test]
fn what_is_missing_or_wrong_is_found_and_the_sound_ones_are_recommended() {
    let database = database();
    let newer = Module::new("example.com/hello", "v1.1.0");
    let sound = service(&[hello(), newer], &database);
    let lying = service(&[hello()], &database);
    lying.replace_zip(&hello(), &ZipVariant::WrongContent);
    let failing = service(&[], &database);
    failing.misbehave_under("/", Behaviour::normal().status(500, "broken"));
    let exited = compare(
        &database,
        &[
            &sound.url(),
            &lying.url(),
            &failing.url(),
            "http://127.0.0.1:1",
            "--module",
            "example.com/hello@v1.0.0",
            "--json",
        ],
    );
    assert_eq!(exited.status.code(), Some(1), "{exited:?}");
    let said: serde_json::Value = serde_json::from_str(&exited.stdout).unwrap();
    let services = said["services"].as_array().unwrap();
    assert_eq!(
        services[0]["wrong"].as_array().unwrap().len(),
        0,
        "{said:#}"
    );
    assert_eq!(services[0]["verified"], 2);
    assert_eq!(services[0]["behind"], 0);
    assert_eq!(services[0]["absent_status"], 404);
    assert_eq!(services[0]["private_status"], serde_json::Value::Null);
    assert_eq!(
        services[1]["wrong"].as_array().unwrap().len(),
        1,
        "{said:#}"
    );
    assert_eq!(services[1]["behind"], 1);
    assert_eq!(services[2]["complete"][0], 0);
    expect_parts(
        services[3]["failure"].as_str().unwrap(),
        &["Connection refused"],
    );
    assert_eq!(said["recommended"], format!("{},direct", sound.url()));
}

#[test]
fn no_service_is_asked_more_than_the_budget_allows_and_private_names_only_on_request() {
    let database = database();
    let one = service(&[hello()], &database);
    let arguments = ["--module", "example.com/hello@v1.0.0", "--requests", "9"];
    let exited = compare(&database, &[&[one.url().as_str()], &arguments[..]].concat());
    assert!(exited.status.success(), "{exited:?}");
    expect_parts(
        &exited.stdout,
        &["requests made", "first byte, p50", "GOPROXY="],
    );
    let asked = one.total() - one.count_matching("/sumdb/");
    assert!(asked <= 9, "{asked}");
    assert_eq!(one.count_matching("private"), 0);
    let private = [
        "--private-module",
        "corp.example/private",
        "--module",
        "example.com/hello@v1.0.0",
    ];
    compare(&database, &[&[one.url().as_str()], &private[..]].concat());
    assert_eq!(one.count("/corp.example/private/@v/list"), 1);
}

#[test]
fn services_that_disagree_about_a_file_nobody_vouches_for_are_not_recommended() {
    let one = FakeUpstream::with(&[hello()]);
    let other = FakeUpstream::with(&[hello()]);
    other.replace_zip(&hello(), &ZipVariant::WrongContent);
    let arguments = ["compare", "--module", "example.com/hello@v1.0.0"];
    let exited = larder()
        .env("GOPROXY", "off")
        .env("GOSUMDB", "off")
        .run(&[&arguments[..], &[&one.url(), &other.url()]].concat());
    assert_eq!(exited.status.code(), Some(1), "{exited:?}");
    expect_parts(
        &exited.stdout,
        &[
            "hashes disputed",
            "example.com/hello@v1.0.0 .zip",
            "no checksum database",
            "none of them can be recommended",
        ],
    );
    assert!(!exited.stdout.contains("v1.0.0 .mod:"), "{exited:?}");
}
