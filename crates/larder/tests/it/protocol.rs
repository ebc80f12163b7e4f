//! The GOPROXY protocol as clients speak it.
use crate::{expect_error, expect_parts, hello, larder, larder_over};
use testkit::http2::Http2;
use testkit::{Behaviour, FakeUpstream, Module, sha256_hex};

fn azure() -> Module {
    Module::new("github.com/Azure/sdk", "v1.2.3-RC1")
}

#[test]
fn serves_the_five_kinds_of_answers_as_upstream_has_them() {
    let upstream = FakeUpstream::with([&hello(), &Module::new("example.com/hello", "v1.1.0")]);
    let larder = larder_over(&upstream);
    let (list, latest) = ("/example.com/hello/@v/list", "/example.com/hello/@latest");
    let newest = Module::new("example.com/hello", "v1.1.0");
    let cases: [(&str, &[u8], &str); 5] = [
        (list, b"v1.0.0\nv1.1.0\n", "text/plain; charset=utf-8"),
        (latest, &newest.info(), "application/json"),
        (
            &hello().url_path("info"),
            &hello().info(),
            "application/json",
        ),
        (
            &hello().url_path("mod"),
            &hello().go_mod_file(),
            "text/plain; charset=utf-8",
        ),
        (&hello().url_path("zip"), &hello().zip(), "application/zip"),
    ];
    for (path, body, content_type) in cases {
        for _ in 0..2 {
            let answer = larder.get(path).expect_body(body);
            assert_eq!(answer.header("content-type"), Some(content_type), "{path}");
            let length = body.len().to_string();
            assert_eq!(answer.header("content-length"), Some(&*length), "{path}");
        }
        assert_eq!(upstream.count(path), 1, "{path} is asked of upstream once");
    }
}

#[test]
fn info_keeps_the_origin_that_upstream_tells() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    let info = larder.get(&hello().url_path("info")).text();
    expect_parts(
        &info,
        &["\"Origin\":{\"VCS\":\"git\",\"URL\":\"https://example.com/hello\""],
    );
}

#[test]
fn upper_case_letters_come_as_an_exclamation_mark_or_percent_encoded() {
    let upstream = FakeUpstream::with([&azure()]);
    let larder = larder_over(&upstream);
    larder
        .get("/github.com/!azure/sdk/@v/v1.2.3-!r!c1.mod")
        .expect_body(&azure().go_mod_file());
    larder
        .get("/github.com/%21azure/sdk/@v/v1.2.3-%21r%21c1.mod")
        .expect_body(&azure().go_mod_file());
    assert_eq!(upstream.count(&azure().url_path("mod")), 1);
}

#[test]
fn head_says_what_get_says_without_the_body() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    let list = "/example.com/hello/@v/list".to_owned();
    for path in [
        list,
        hello().url_path("info"),
        hello().url_path("mod"),
        hello().url_path("zip"),
    ] {
        let cold = larder.head(&path);
        let get = larder.get(&path);
        let head = larder.head(&path);
        assert_eq!((head.status(), head.body.len()), (200, 0), "{path}");
        for name in ["content-type", "content-length", "etag", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{name} of {path}");
            if name != "cache-control" {
                assert_eq!(
                    cold.header(name),
                    get.header(name),
                    "{name} of {path}, not yet stored"
                );
            }
        }
        let length = get.body.len().to_string();
        assert_eq!(head.header("content-length"), Some(&*length), "{path}");
    }
}

#[test]
fn files_have_the_sha256_of_their_bytes_as_etag_and_may_be_kept_for_ever() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    for (path, body) in [
        (hello().url_path("info"), hello().info()),
        (hello().url_path("mod"), hello().go_mod_file()),
        (hello().url_path("zip"), hello().zip()),
    ] {
        let etag = format!("\"{}\"", sha256_hex(&body));
        for _ in 0..2 {
            let answer = larder.get(&path).expect_status(200);
            assert_eq!(answer.header("etag"), Some(&*etag), "{path}");
            expect_parts(
                answer.header("cache-control").unwrap(),
                &["public", "immutable"],
            );
        }
    }
}

#[test]
fn answers_that_may_change_are_kept_by_caches_no_longer_than_they_are_fresh() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder()
        .upstream(upstream.url())
        .args(["--fresh", "7"])
        .start();
    for path in ["/example.com/hello/@v/list", "/example.com/hello/@latest"] {
        let answer = larder.get(path).expect_status(200);
        assert_eq!(
            answer.header("cache-control"),
            Some("public, max-age=7"),
            "{path}"
        );
    }
    let absent = larder
        .get("/example.com/nothing/@v/list")
        .expect_status(404);
    assert_eq!(absent.header("cache-control"), Some("public, max-age=7"));
}

#[test]
fn conditions_are_judged_by_the_etag() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    let path = hello().url_path("zip");
    let etag = format!("\"{}\"", sha256_hex(&hello().zip()));
    let check = |headers: &[(&str, &str)], status: u16| {
        let answer = larder.get_with(&path, headers);
        assert_eq!(answer.status(), status, "{headers:?}");
        let expected_body = if status == 200 {
            hello().zip().to_vec()
        } else {
            Vec::new()
        };
        assert!(
            answer.body == expected_body,
            "{headers:?}: {}",
            answer.text()
        );
        answer
    };
    // The first one meets a cold store: what it asks for is known only once the file is here.
    check(&[("If-None-Match", &etag)], 304);
    let not_modified = check(&[("If-None-Match", &etag)], 304);
    assert_eq!(not_modified.header("etag"), Some(&*etag));
    expect_parts(
        not_modified.header("cache-control").unwrap(),
        &["immutable"],
    );
    check(&[("If-None-Match", &format!("\"other\", W/{etag}"))], 304);
    check(&[("If-None-Match", "*")], 304);
    check(&[("If-None-Match", "\"other\"")], 200);
    check(&[("If-Match", &etag)], 200);
    check(&[("If-Match", "\"other\"")], 412);
    check(
        &[("If-Modified-Since", "Wed, 21 Oct 2037 07:28:00 GMT")],
        200,
    );
    assert_eq!(upstream.count(&path), 1);
}

#[test]
fn ranges_give_the_asked_part() {
    let module = hello().incompressible(5000);
    let zip = module.zip();
    let upstream = FakeUpstream::with([&module]);
    let larder = larder_over(&upstream);
    let path = module.url_path("zip");
    let ask = |range: &str| larder.get_with(&path, &[("Range", range)]);
    let check = |range: &str, from: usize, to: usize| {
        let answer = ask(range).expect_status(206);
        assert!(
            answer.body == zip[from..to],
            "{range}: {} bytes",
            answer.body.len()
        );
        let content_range = format!("bytes {from}-{}/{}", to - 1, zip.len());
        assert_eq!(
            answer.header("content-range"),
            Some(&*content_range),
            "{range}"
        );
        assert_eq!(
            answer.header("content-type"),
            Some("application/zip"),
            "{range}"
        );
    };
    check("bytes=0-0", 0, 1);
    check("bytes=10-99", 10, 100);
    check("bytes=100-", 100, zip.len());
    check("bytes=-22", zip.len() - 22, zip.len());
    check("bytes=-999999999", 0, zip.len());
    check("bytes=10-999999999", 10, zip.len());

    for unsatisfiable in ["bytes=999999-", "bytes=-0"] {
        let answer = ask(unsatisfiable);
        assert_eq!(answer.status(), 416, "{unsatisfiable}");
        let content_range = format!("bytes */{}", zip.len());
        assert_eq!(
            answer.header("content-range"),
            Some(&*content_range),
            "{unsatisfiable}"
        );
    }
    for ignored in [
        "bytes=9-2",
        "bytes=",
        "bytes=x-y",
        "lines=1-2",
        "bytes=0-1,5-6",
    ] {
        ask(ignored).expect_body(&zip);
    }
    let etag = format!("\"{}\"", sha256_hex(&zip));
    for (tag, status) in [(&*etag, 206), ("\"other\"", 200)] {
        let answer = larder.get_with(&path, &[("Range", "bytes=0-9"), ("If-Range", tag)]);
        assert_eq!(answer.status(), status, "{tag}");
    }
    assert_eq!(upstream.count(&path), 1);
}

#[test]
fn a_request_that_forbids_fetching_is_answered_from_the_store_alone() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    let forbid = [("Disable-Module-Fetch", "true")];
    for path in [hello().url_path("zip"), "/example.com/hello/@v/list".into()] {
        expect_error(larder.get_with(&path, &forbid), 404);
        expect_error(larder.get(&format!("/cached-only{path}")), 404);
    }
    assert_eq!(upstream.total(), 0);
    larder.get(&hello().url_path("zip")).expect_status(200);
    testkit::eventually("the file is stored", || {
        let answer = larder.get_with(&hello().url_path("zip"), &forbid);
        (answer.status() == 200).then(|| answer.expect_body(&hello().zip()))
    });
    larder
        .get(&format!("/cached-only{}", hello().url_path("zip")))
        .expect_body(&hello().zip());
}

#[test]
fn revision_names_are_asked_of_upstream_and_answered_with_the_canonical_version() {
    let upstream = FakeUpstream::with([&hello()]);
    upstream.add_revision("master", &hello());
    upstream.add_revision("0123456789ab", &hello());
    let larder = larder_over(&upstream);
    for name in ["master", "0123456789ab"] {
        let path = format!("/example.com/hello/@v/{name}.info");
        larder.get(&path).expect_body(&hello().info());
        assert_eq!(upstream.count(&path), 1);
    }
    expect_error(larder.get("/example.com/hello/@v/no-such-branch.info"), 404);
    for extension in ["mod", "zip"] {
        let answer = larder.get(&format!("/example.com/hello/@v/master.{extension}"));
        expect_error(answer, 400);
    }
}

#[test]
fn a_version_that_upstream_answers_with_another_one_is_refused() {
    let upstream = FakeUpstream::with([&hello()]);
    let other = Module::new("example.com/hello", "v1.5.0");
    upstream.serve(&other.url_path("info"), hello().info(), "application/json");
    let larder = larder_over(&upstream);
    expect_error(larder.get(&other.url_path("info")), 502);
}

#[test]
fn toolchains_are_modules_like_any_other() {
    let toolchain = Module::new("golang.org/toolchain", "v0.0.1-go1.99.0.linux-amd64")
        .go_mod("module golang.org/toolchain\n");
    let upstream = FakeUpstream::with([&toolchain]);
    let larder = larder_over(&upstream);
    larder
        .get("/golang.org/toolchain/@v/list")
        .expect_body(b"v0.0.1-go1.99.0.linux-amd64\n");
    larder
        .get(&toolchain.url_path("zip"))
        .expect_body(&toolchain.zip());
}

#[test]
fn other_methods_are_refused_and_told_which_ones_are_not() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = larder.connect().ask(method, &hello().url_path("mod"), &[]);
        assert_eq!(answer.status(), 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method}");
    }
    assert_eq!(upstream.total(), 0);
}

#[test]
fn operations_answer_under_a_path_that_no_module_can_have() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    larder.get("/-/healthz").expect_status(200);
    larder.get("/-/readyz").expect_status(200);
    larder.get(&hello().url_path("mod")).expect_status(200);
    larder.get(&hello().url_path("mod")).expect_status(200);
    let metrics = larder.get("/-/metrics").expect_status(200).text();
    expect_parts(&metrics, &["# TYPE larder_", "# HELP larder_", "# EOF"]);
    assert!(
        !metrics.contains("example.com/hello"),
        "a module's name in the metrics"
    );
    larder.get("/-/nothing").expect_status(404);
}

#[test]
fn malformed_requests_are_told_what_is_wrong_and_never_reach_upstream() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    let paths = [
        "/example.com/hello/@v/../../secret.mod",
        "/../etc/passwd",
        "/example.com/..%2f..%2fetc/@v/list",
        "/example.com/!!x/@v/list",
        "/example.com/Hello/@v/list",
        "/example.com/hello!/@v/list",
        "/example.com/hello/@v/v1.0.0.exe",
        "/example.com/hello/@v/",
        "/example.com/hello/@v",
        "/example.com/hello",
        "/hello/@v/list/",
        "/example.com/hello/@v/v1.0.0%00.mod",
        "/example.com/hel%zzlo/@v/list",
        "/example.com/hel%FFlo/@v/list",
        "/example.com//hello/@v/list",
        "/example.com/hello/@v/v2.0.0.mod",
        "/example.com/hello/@v/v1.0.mod",
        "/example.com/hello/@v/v1.0.0+meta.zip",
        "/example.com/con/@v/list",
        "/sumdb/sum.golang.org/lookup/nothing",
        "/sumdb/sum.golang.org/tile/8/0/x",
    ];
    for path in paths {
        let answer = larder.get(path);
        assert_eq!(answer.status(), 400, "{path}: {}", answer.text());
        expect_error(answer, 400);
    }
    assert_eq!(upstream.total(), 0);
}

#[test]
fn a_64_kib_path_is_refused_and_the_server_goes_on() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    for len in [8 << 10, 64 << 10] {
        let path = format!("/example.com/{}/@v/list", "x".repeat(len));
        let status = larder.get(&path).status();
        assert!((400..500).contains(&status), "{status} for {len} bytes");
    }
    larder.get(&hello().url_path("mod")).expect_status(200);
    assert_eq!(upstream.total(), 1);
}

#[test]
fn garbage_on_the_wire_is_refused_and_the_server_goes_on() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not a TLS handshake\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nbroken header\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let mut connection = larder.connect();
        connection.send(garbage);
        if let Ok(head) = connection.try_read_head() {
            assert!(
                (400..500).contains(&head.status),
                "{} for {garbage:?}",
                head.status
            );
        }
    }
    larder.get(&hello().url_path("mod")).expect_status(200);
}

#[test]
fn one_connection_serves_many_requests_pipelined_ones_too() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    let mut connection = larder.connect();
    connection
        .ask("GET", &hello().url_path("zip"), &[])
        .expect_body(&hello().zip());
    let three = format!(
        "GET {} HTTP/1.1\r\nHost: x\r\n\r\nGET {} HTTP/1.1\r\nHost: x\r\n\r\nGET {} HTTP/1.1\r\nHost: x\r\n\r\n",
        hello().url_path("mod"),
        hello().url_path("zip"),
        hello().url_path("info")
    );
    connection.send(three.as_bytes());
    connection.read_answer().expect_body(&hello().go_mod_file());
    connection.read_answer().expect_body(&hello().zip());
    connection.read_answer().expect_body(&hello().info());
}

#[test]
fn http2_serves_the_same() {
    let module = hello().incompressible(300_000);
    let upstream = FakeUpstream::with([&module]);
    let larder = larder_over(&upstream);
    let mut connection = Http2::open(larder.address());
    for _ in 0..2 {
        let answer = connection
            .ask("GET", &module.url_path("zip"), &[])
            .expect_body(&module.zip());
        assert_eq!(answer.header("content-type"), Some("application/zip"));
    }
    let part = connection.ask("GET", &module.url_path("zip"), &[("range", "bytes=5-9")]);
    assert_eq!((part.status(), &part.body[..]), (206, &module.zip()[5..10]));
    let head = connection.ask("HEAD", &module.url_path("zip"), &[]);
    assert_eq!((head.status(), head.body.len()), (200, 0));
    let length = module.zip().len().to_string();
    assert_eq!(head.header("content-length"), Some(&*length));
    connection
        .ask("GET", "/example.com/nothing/@v/list", &[])
        .expect_status(404);
    assert_eq!(upstream.count(&module.url_path("zip")), 1);
}

#[test]
fn says_where_an_answer_came_from() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    let first = larder.get(&hello().url_path("zip")).expect_status(200);
    assert_eq!(first.header("x-larder-cache"), Some("filled"));
    expect_parts(first.header("x-larder-source").unwrap(), &[&upstream.url()]);
    testkit::eventually("the file is stored", || {
        let again = larder.get(&hello().url_path("zip")).expect_status(200);
        again
            .header("x-larder-cache")?
            .starts_with("hit/")
            .then_some(())
    });
}

#[test]
fn mod_and_info_never_pull_the_zip() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    larder.get(&hello().url_path("mod")).expect_status(200);
    larder.get(&hello().url_path("info")).expect_status(200);
    larder.get("/example.com/hello/@v/list").expect_status(200);
    let (exited, _) = larder.terminate();
    assert!(exited.status.success());
    upstream.assert_counts(&[(&hello().url_path("zip"), 0)]);
}

#[test]
fn sigterm_lets_a_request_under_way_finish_and_exits_with_0() {
    let upstream = FakeUpstream::with([&hello()]);
    let gate = testkit::Gate::new();
    upstream.misbehave(&hello().url_path("zip"), Behaviour::normal().stall(&gate));
    let larder = larder_over(&upstream);
    let mut waiting = larder.connect();
    waiting.request("GET", &hello().url_path("zip"), &[]);
    gate.wait_for_arrivals(1);
    larder.ask_to_terminate();
    testkit::eventually("new connections are refused", || {
        std::net::TcpStream::connect(larder.address())
            .is_err()
            .then_some(())
    });
    gate.open();
    waiting.read_answer().expect_body(&hello().zip());
    drop(waiting);
    let (exited, _) = larder.wait();
    assert_eq!(exited.status.code(), Some(0), "{}", exited.stderr);
    assert_eq!(exited.stdout.lines().count(), 1, "{}", exited.stdout);
}
