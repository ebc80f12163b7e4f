//! `larder trace` shows what `go get` asks, and says what go would.
use crate::{expect_parts, hello, larder};
use testkit::{Exited, FakeSumdb, FakeUpstream, GitRepository, Module, TestCa, ZipVariant};

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

/// A module at `git.corp.example/lib.git`, which the user's git configuration leads to a folder.
fn private_module(arguments: &[&str]) -> (FakeUpstream, Exited) {
    let repository = GitRepository::new();
    let commit = repository
        .commit("main")
        .file("go.mod", "module git.corp.example/lib.git\n")
        .file("lib.go", "package lib\n")
        .write();
    repository.tag("v1.0.0", &commit);
    let upstream = FakeUpstream::start();
    let key = format!("url.file://{}.insteadOf", repository.folder().display());
    let path = std::env::var("PATH").unwrap();
    let variables = [
        ("GOPRIVATE", "git.corp.example"),
        ("PATH", &path),
        ("LARDER_GIT_PROTOCOLS", "https,file"),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", &key),
        ("GIT_CONFIG_VALUE_0", "https://git.corp.example/lib"),
    ];
    let exited = trace(&upstream.url(), &variables, arguments);
    (upstream, exited)
}

#[test]
fn a_private_module_is_walked_to_its_repository_and_nobody_else_hears_of_it() {
    let (upstream, exited) = private_module(&["git.corp.example/lib.git", "--json"]);
    assert!(exited.status.success(), "{exited:?}");
    let said = json(&exited);
    assert_eq!(said["version"], "v1.0.0");
    let steps: Vec<&str> = said["direct"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["what"].as_str().unwrap())
        .collect();
    assert_eq!(steps, ["latest", "mod", "zip"]);
    assert_eq!(
        said["direct"][0]["repository"],
        "https://git.corp.example/lib"
    );
    let kinds = said["direct"][0]["processes"].as_array().unwrap();
    assert!(
        kinds.iter().any(|process| process["kind"] == "listing"),
        "{said:#}"
    );
    assert_eq!(upstream.total(), 0);
}

#[test]
fn a_private_version_that_is_not_there_is_told_in_gos_words() {
    let (upstream, exited) = private_module(&["git.corp.example/lib.git@v9.9.9"]);
    assert_eq!(exited.status.code(), Some(1), "{exited:?}");
    expect_parts(
        &exited.stdout,
        &["no proxy is asked", "unknown revision v9.9.9"],
    );
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
    expect_parts(&exited.stdout, &["TLS 1.3", "until 4096", "█ body"]);
    let url = upstream.url().replace("https://", "https://me:secret@");
    let exited = trace(
        &url,
        &[],
        &["example.com/hello@v1.0.0", "--ca", ca_file, "--curl"],
    );
    expect_parts(
        &exited.stdout,
        &[
            "curl -sS",
            "roots=$(mktemp); cat ",
            &format!("{ca_file} > \"$roots\""),
            "--cacert \"$roots\"",
            "/example.com/hello/@v/v1.0.0.zip",
        ],
    );
    assert!(!exited.stdout.contains("secret"), "{}", exited.stdout);
    let folder = folder.path().to_str().unwrap();
    let named = trace(
        &upstream.url(),
        &[("SSL_CERT_FILE", ca_file), ("SSL_CERT_DIR", "/nowhere")],
        &["example.com/hello@v1.0.0", "--curl"],
    );
    expect_parts(&named.stdout, &[&format!(" --cacert {ca_file} ")]);
    assert!(!named.stdout.contains("--capath"), "{}", named.stdout);
    // A file of any name in it is read by go, and not by curl.
    let plain_names = trace(
        &upstream.url(),
        &[("SSL_CERT_FILE", "/nowhere"), ("SSL_CERT_DIR", folder)],
        &["example.com/hello@v1.0.0", "--curl"],
    );
    assert!(plain_names.status.success(), "{plain_names:?}");
    expect_parts(
        &plain_names.stdout,
        &[&format!("cat {folder}/* > \"$roots\"")],
    );
    fs_err::write(format!("{folder}/0a1b2c3d.0"), "").unwrap();
    let hashed_names = trace(
        &upstream.url(),
        &[("SSL_CERT_FILE", "/nowhere"), ("SSL_CERT_DIR", folder)],
        &["example.com/hello@v1.0.0", "--curl"],
    );
    expect_parts(&hashed_names.stdout, &[&format!(" --capath {folder} ")]);
    let untrusted = trace(&upstream.url(), &[], &["example.com/hello@v1.0.0"]);
    assert_eq!(untrusted.status.code(), Some(1));
    expect_parts(&untrusted.stdout, &["TLS:"]);
}
