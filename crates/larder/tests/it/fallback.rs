//! GOPROXY lists: who is asked after whom, and what the client is told.
use crate::{expect_error, expect_parts, hello, larder};
use testkit::{Behaviour, FakeUpstream, Module};

/// Two upstreams with the separator between them; the first answers everything with `first`, the
/// second is good. Gives the status for a zip, and how often the second was asked.
fn ask_two(separator: &str, first: Behaviour) -> (u16, usize) {
    let (bad, good) = (FakeUpstream::start(), FakeUpstream::with([&hello()]));
    bad.misbehave_under("/", first);
    let list = format!("{}{separator}{}", bad.url(), good.url());
    let larder = larder().upstream(list).start();
    let answer = larder.get(&hello().url_path("zip"));
    (answer.status(), zips_asked(&good))
}

fn zips_asked(upstream: &FakeUpstream) -> usize {
    upstream.count(&hello().url_path("zip"))
}

#[test]
fn after_a_comma_the_next_is_asked_only_where_absence_is_proven() {
    let status = |status| Behaviour::normal().status(status, "no\n");
    assert_eq!(ask_two(",", status(404)), (200, 1));
    assert_eq!(ask_two(",", status(410)), (200, 1));
    assert_eq!(ask_two(",", status(401)), (403, 0));
    assert_eq!(ask_two(",", status(403)), (403, 0));
    assert_eq!(ask_two(",", status(400)), (502, 0));
    assert_eq!(ask_two(",", status(501)), (502, 0));
    assert_eq!(ask_two(",", Behaviour::normal().html()), (502, 0));
}

#[test]
fn after_a_bar_the_next_is_asked_whatever_went_wrong() {
    let status = |status| Behaviour::normal().status(status, "no\n");
    for status_code in [404, 410, 401, 403, 400, 501] {
        assert_eq!(ask_two("|", status(status_code)), (200, 1), "{status_code}");
    }
    assert_eq!(ask_two("|", Behaviour::normal().html()), (200, 1));
}

#[test]
fn what_heals_by_itself_is_asked_again_before_the_next_one_or_an_error() {
    for (separator, expected) in [(",", (502, 0)), ("|", (200, 1))] {
        let (bad, good) = (FakeUpstream::start(), FakeUpstream::with([&hello()]));
        bad.misbehave_under("/", Behaviour::normal().status(500, "oops\n"));
        let list = format!("{}{separator}{}", bad.url(), good.url());
        let larder = larder().upstream(list).start();
        let answer = larder.get(&hello().url_path("zip"));
        assert_eq!(
            (answer.status(), zips_asked(&good)),
            expected,
            "{separator}"
        );
        assert!(zips_asked(&bad) > 1, "a 500 may heal");
    }
}

#[test]
fn an_upstream_that_fails_each_time_is_not_waited_for_by_each_where_another_is_asked() {
    let modules: Vec<Module> = (0..24)
        .map(|number| Module::new(&format!("example.com/m{number}"), "v1.0.0"))
        .collect();
    let (bad, good) = (FakeUpstream::start(), FakeUpstream::with(&modules));
    bad.misbehave_under("/", Behaviour::normal().status(500, "oops\n"));
    let larder = larder()
        .upstream(format!("{}|{}", bad.url(), good.url()))
        .start();
    let mut asked = Vec::new();
    for module in &modules {
        let mod_file = module.url_path("mod");
        larder.get(&mod_file).expect_body(&module.go_mod_file());
        asked.push(bad.count(&mod_file));
    }
    assert!(asked[0] > 1, "the first may heal: {asked:?}");
    assert_eq!(asked[12..], [1; 12], "{asked:?}");

    bad.behave();
    modules.iter().for_each(|module| bad.add(module));
    let newer: Vec<Module> = (0..24)
        .map(|number| Module::new(&format!("example.com/n{number}"), "v1.0.0"))
        .collect();
    newer.iter().for_each(|module| bad.add(module));
    for module in &newer {
        larder.get(&module.url_path("mod")).expect_status(200);
    }
    bad.misbehave(
        "/example.com/hello/@v/v1.0.0.mod",
        Behaviour::normal().status(500, "oops\n").times(1),
    );
    bad.add(&hello());
    larder.get(&hello().url_path("mod")).expect_status(200);
    assert_eq!(bad.count(&hello().url_path("mod")), 2, "it is well again");
}

#[test]
fn each_outcome_of_the_only_upstream_has_its_status() {
    let check = |behaviour: Behaviour, status: u16, parts: &[&str]| {
        let upstream = FakeUpstream::start();
        upstream.misbehave_under("/", behaviour);
        let larder = larder().upstream(upstream.url()).start();
        for path in [
            hello().url_path("mod"),
            "/example.com/hello/@v/list".to_owned(),
        ] {
            let text = expect_error(larder.get(&path), status);
            expect_parts(&text, parts);
        }
    };
    let status = |status, text| Behaviour::normal().status(status, text);
    check(
        status(404, "not found: no such module\n"),
        404,
        &["no such module"],
    );
    check(status(410, "gone for good\n"), 410, &["gone for good"]);
    check(status(401, "who are you\n"), 403, &["who are you"]);
    check(status(403, "not for you\n"), 403, &["not for you"]);
    check(status(500, "oops\n"), 502, &["oops"]);
    check(status(503, "down for repair\n"), 502, &["down for repair"]);
    check(status(204, ""), 502, &["204"]);
    check(Behaviour::normal().html(), 502, &["HTML"]);
    check(Behaviour::normal().hang_up(), 502, &[]);
}

#[test]
fn absence_is_said_where_every_upstream_says_so_and_never_where_one_is_down() {
    let (down, empty) = (FakeUpstream::start(), FakeUpstream::start());
    down.misbehave_under("/", Behaviour::normal().status(501, "broken\n"));
    let list = format!("{}|{}", down.url(), empty.url());
    let larder = larder().upstream(list).start();
    expect_error(larder.get(&hello().url_path("mod")), 502);
    down.behave();
    let other = Module::new("example.com/other", "v1.0.0");
    expect_error(larder.get(&other.url_path("mod")), 404);
}

#[test]
fn off_ends_the_list_and_says_so() {
    let empty = FakeUpstream::start();
    let text = |list: String| {
        let larder = larder().upstream(list).start();
        let answer = larder.get(&hello().url_path("mod"));
        (answer.status(), answer.text())
    };
    let (_, words) = text("off".into());
    expect_parts(&words, &["disabled by GOPROXY=off"]);
    let (_, words) = text(format!("{},off", empty.url()));
    expect_parts(&words, &["disabled by GOPROXY=off"]);
}

#[test]
fn direct_that_cannot_be_tried_behind_absence_proves_none() {
    let empty = FakeUpstream::start();
    let larder = larder().upstream(format!("{},direct", empty.url())).start();
    let text = expect_error(larder.get("/github.com/team/tool/@v/v1.0.0.mod"), 502);
    expect_parts(&text, &["direct was not tried"]);
}

#[test]
fn a_folder_is_an_upstream() {
    let folder = tempfile::tempdir().unwrap();
    let module = Module::new("github.com/Azure/sdk", "v1.2.3");
    for (extension, bytes) in [
        ("info", module.info()),
        ("mod", module.go_mod_file()),
        ("zip", module.zip()),
    ] {
        let file = folder.path().join(&module.url_path(extension)[1..]);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
    let list = folder.path().join("github.com/!azure/sdk/@v/list");
    std::fs::write(list, "v1.2.3\n").unwrap();
    let larder = larder()
        .upstream(format!("file://{}", folder.path().display()))
        .start();
    larder
        .get("/github.com/!azure/sdk/@v/list")
        .expect_body(b"v1.2.3\n");
    larder
        .get(&module.url_path("info"))
        .expect_body(&module.info());
    larder
        .get(&module.url_path("mod"))
        .expect_body(&module.go_mod_file());
    larder
        .get(&module.url_path("zip"))
        .expect_body(&module.zip());
    expect_error(larder.get(&hello().url_path("mod")), 404);
}

#[test]
fn an_entry_that_is_this_very_server_is_dropped_with_a_warning() {
    let upstream = FakeUpstream::with([&hello()]);
    let port = free_port();
    let own = format!("http://127.0.0.1:{port}");
    let listed = larder()
        .upstream(format!("{own},{}", upstream.url()))
        .listen(format!("127.0.0.1:{port}"))
        .start();
    listed
        .get(&hello().url_path("mod"))
        .expect_body(&hello().go_mod_file());
    expect_parts(&listed.stderr(), &["this very server"]);

    let alone = larder()
        .upstream(&own)
        .listen(format!("127.0.0.1:{port}"))
        .run_serve();
    assert_eq!(alone.status.code(), Some(2), "{}", alone.stderr);
}

#[test]
fn a_request_that_comes_back_to_this_server_by_a_detour_ends_with_508() {
    let detour = FakeUpstream::start();
    let larder = larder().upstream(detour.url()).start();
    let path = hello().url_path("mod");
    let back = format!("{}{path}", larder.url());
    detour.misbehave(&path, Behaviour::normal().redirect(&back));
    let text = expect_error(larder.get(&path), 508);
    expect_parts(&text, &["this very server"]);
    assert_eq!(detour.count(&path), 1);
}

#[test]
fn credentials_of_the_url_are_sent_and_never_shown() {
    let upstream = FakeUpstream::with([&hello()]);
    let url = upstream.url().replace("http://", "http://reader:hunter2@");
    let larder = larder()
        .upstream(url)
        .args(["--log-level", "debug"])
        .start();
    let answer = larder.get(&hello().url_path("mod")).expect_status(200);
    assert!(
        answer
            .head
            .headers
            .iter()
            .all(|(_, value)| !value.contains("hunter2"))
    );
    let authorization = upstream.seen()[0].headers["authorization"].clone();
    assert_eq!(authorization, "Basic cmVhZGVyOmh1bnRlcjI=");
    let failed = larder
        .get("/example.com/nothing/@v/list")
        .expect_status(404);
    assert!(!failed.text().contains("hunter2"));
    let (exited, _) = larder.terminate();
    assert!(!exited.stderr.contains("hunter2"), "{}", exited.stderr);
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

#[test]
fn two_servers_that_ask_each_other_end_with_an_error_and_not_with_absence() {
    let back = free_port();
    let patience = ["--stall-timeout", "1"];
    let first = larder()
        .upstream(format!("http://127.0.0.1:{back}"))
        .args(patience)
        .start();
    let second = larder()
        .upstream(first.url())
        .listen(format!("127.0.0.1:{back}"))
        .args(patience)
        .start();
    let status = second.get(&hello().url_path("mod")).status();
    assert!([504, 508].contains(&status), "{status}");
}
