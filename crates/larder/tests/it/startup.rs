//! Starting, or saying precisely why not.
use crate::{expect_error, expect_parts, hello, larder, larder_over, paste_line};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use testkit::{Exited, FakeUpstream, LarderBuilder, Module};

/// Longer than a connection takes that anybody waits for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The binary with an upstream that is never asked.
fn with_upstream() -> LarderBuilder {
    larder().upstream("http://127.0.0.1:9")
}

#[track_caller]
fn expect_refusal(exited: &Exited, parts: &[&str]) {
    assert_eq!(exited.status.code(), Some(2), "{}", exited.stderr);
    assert_eq!(exited.stdout, "");
    expect_parts(&exited.stderr, parts);
}

#[test]
fn says_one_line_on_stdout_and_the_line_to_paste_on_stderr() {
    let upstream = FakeUpstream::start();
    let larder = larder_over(&upstream);
    assert_eq!(larder.stdout(), format!("listening on {}\n", larder.url()));
    expect_parts(
        &paste_line(&larder),
        &[&format!("export GOPROXY={}", larder.url())],
    );
    assert_eq!(upstream.total(), 0, "starting asks nobody");
}

#[test]
fn the_line_to_paste_makes_private_patterns_work() {
    let larder = with_upstream()
        .env("GOPRIVATE", "corp.example/*")
        .env("GONOSUMDB", "other.example")
        .start();
    let paste = paste_line(&larder);
    expect_parts(
        &paste,
        &[
            "GONOPROXY=none",
            "GONOSUMDB=",
            "corp.example/*",
            "other.example",
        ],
    );
}

#[test]
fn an_unknown_flag_gets_the_likely_one_named() {
    let exited = larder().run(&["serve", "--upstrem", "http://127.0.0.1:9"]);
    expect_refusal(&exited, &["--upstrem", "--upstream"]);
    let exited = larder().run(&["srve"]);
    expect_refusal(&exited, &["srve", "serve"]);
}

#[test]
fn an_unknown_key_of_the_file_gets_the_likely_one_and_its_line_named() {
    let builder = larder();
    let file = builder.home().join("larder.toml");
    std::fs::write(&file, "offline = true\ncahce_dir = \"x\"\n").unwrap();
    let exited = builder.run(&["serve", "--config", file.to_str().unwrap()]);
    expect_refusal(&exited, &["larder.toml", "cahce_dir", "cache_dir", "2"]);
}

#[test]
fn all_faults_of_a_configuration_are_told_at_once() {
    let builder = larder();
    let file = builder.home().join("larder.toml");
    std::fs::write(
        &file,
        "fresh = \"soon\"\nlisten = 8080\nmemory = \"lots\"\n",
    )
    .unwrap();
    let exited = builder.run(&[
        "serve",
        "--config",
        file.to_str().unwrap(),
        "--log-level",
        "loud",
    ]);
    expect_refusal(&exited, &["fresh", "listen", "memory", "loud"]);
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let upstream = FakeUpstream::start();
    let first = larder_over(&upstream);
    let exited = with_upstream()
        .listen(first.address().to_string())
        .run_serve();
    assert_eq!(exited.status.code(), Some(1), "{}", exited.stderr);
    assert_eq!(exited.stdout, "");
    expect_parts(
        &exited.stderr,
        &[&first.address().to_string(), "hint:", "--listen"],
    );
}

#[test]
fn a_cache_folder_that_cannot_be_made_is_named() {
    let builder = with_upstream();
    let file = builder.home().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let exited = builder.cache_dir(file.join("cache")).run_serve();
    expect_refusal(&exited, &["cache_dir", file.to_str().unwrap()]);
}

#[test]
fn without_an_upstream_anywhere_the_start_is_refused_with_what_to_set() {
    let exited = larder().run_serve();
    expect_refusal(&exited, &["no upstream", "--upstream", "GOPROXY"]);
}

#[test]
fn goproxy_of_the_environment_is_the_upstream_where_nothing_else_is_set() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder().env("GOPROXY", upstream.url()).start();
    larder
        .get(&hello().url_path("mod"))
        .expect_body(&hello().go_mod_file());
}

#[test]
fn a_flag_outranks_the_environment_which_outranks_the_file() {
    let upstream = FakeUpstream::with([&hello()]);
    let nobody = "http://127.0.0.1:9";
    let builder = larder();
    let file = builder.home().join("larder.toml");
    std::fs::write(&file, format!("upstream = \"{nobody}\"\nfresh = 7\n")).unwrap();
    let larder = builder
        .args(["--config".into(), file])
        .env("LARDER_UPSTREAM", upstream.url())
        .start();
    let list = larder.get("/example.com/hello/@v/list").expect_status(200);
    assert_eq!(list.header("cache-control"), Some("public, max-age=7"));
    let (_, builder) = larder.terminate();
    let larder = builder.args(["--fresh", "9"]).start();
    let list = larder.get("/example.com/hello/@v/list").expect_status(200);
    assert_eq!(list.header("cache-control"), Some("public, max-age=9"));
}

#[test]
fn on_a_full_disk_what_fits_in_memory_is_served_and_the_rest_says_which_folder_is_full() {
    let small = Module::new("example.com/small", "v1.0.0").incompressible(5 << 20);
    let large = Module::new("example.com/large", "v1.0.0").incompressible(12 << 20);
    let upstream = FakeUpstream::with([&small, &large]);
    let larder = larder()
        .upstream(upstream.url())
        .full_disk_beyond(128)
        .start();
    larder.get(&small.url_path("zip")).expect_body(&small.zip());
    let text = expect_error(larder.get(&large.url_path("zip")), 503);
    expect_parts(
        &text,
        &["disk is full", larder.cache_dir().to_str().unwrap()],
    );
    larder
        .get(&small.url_path("mod"))
        .expect_body(&small.go_mod_file());
}

#[test]
fn a_thousand_connections_that_come_at_once_need_not_come_again() {
    let larder = with_upstream().start();
    larder.hold();
    let connections: Vec<_> = (0..1000)
        .map(|number| {
            // One that finds the queue full hears nothing until the server goes on.
            let connected = TcpStream::connect_timeout(&larder.address(), PATIENCE);
            connected.unwrap_or_else(|error| panic!("connection {number}: {error}"))
        })
        .collect();
    larder.go_on();
    for mut connection in connections {
        let request = b"GET /-/healthz HTTP/1.1\r\nHost: larder.test\r\n\r\n";
        connection.write_all(request).unwrap();
        let mut begin = [0; 12];
        connection.read_exact(&mut begin).unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200");
    }
}
