//! Upstreams that refuse, stall, trickle, cut and lie.
use crate::{expect_error, expect_parts, hello, larder, larder_over};
use std::net::TcpListener;
use std::time::Duration;
use testkit::{Behaviour, Ending, FakeUpstream, Gate, Module};

/// Larger than what is verified before its first byte is sent.
fn large() -> Module {
    Module::new("example.com/large", "v1.0.0").incompressible(12 << 20)
}

#[test]
fn an_upstream_that_refuses_connections_is_an_outage_and_no_absence() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    larder.get(&hello().url_path("mod")).expect_status(200);
    upstream.refuse_connections();
    expect_error(larder.get(&hello().url_path("zip")), 502);
    expect_error(larder.get("/example.com/other/@v/list"), 502);
    larder
        .get(&hello().url_path("mod"))
        .expect_body(&hello().go_mod_file());
    upstream.accept_connections();
    larder
        .get(&hello().url_path("zip"))
        .expect_body(&hello().zip());
}

#[test]
fn an_upstream_that_goes_silent_is_given_up_with_504() {
    let upstream = FakeUpstream::builder().without_ranges().start();
    upstream.add(&hello());
    upstream.add(&large());
    let never = Gate::new();
    upstream.misbehave(&hello().url_path("mod"), Behaviour::normal().stall(&never));
    upstream.misbehave(
        &hello().url_path("zip"),
        Behaviour::normal().stall_in_body(100, &never),
    );
    let most = large().zip().len() as u64 * 9 / 10;
    let in_large = Behaviour::normal().stall_in_body(most, &never);
    upstream.misbehave(&large().url_path("zip"), in_large);
    let larder = larder()
        .upstream(upstream.url())
        .args(["--stall-timeout", "1"])
        .start();

    expect_error(larder.get(&hello().url_path("mod")), 504);
    expect_error(larder.get(&hello().url_path("zip")), 504);
    let cut = larder.get(&large().url_path("zip"));
    assert_eq!((cut.status(), cut.ending), (200, Ending::CutShort));
    assert!(cut.body.len() as u64 <= most);
    never.open();
}

#[test]
fn a_slow_upstream_is_waited_for_as_long_as_it_sends() {
    let upstream = FakeUpstream::with([&hello()]);
    let zip = hello().zip();
    // Three times as long as it may be silent, in all.
    let piece = zip.len() / 30 + 1;
    let slow = Behaviour::normal().trickle(piece, Duration::from_millis(100));
    upstream.misbehave(&hello().url_path("zip"), slow);
    let larder = larder()
        .upstream(upstream.url())
        .args(["--stall-timeout", "1"])
        .start();
    larder.get(&hello().url_path("zip")).expect_body(&zip);
    upstream.assert_counts(&[(&hello().url_path("zip"), 1)]);
}

#[test]
fn a_cut_transfer_is_resumed_where_it_was_cut_with_the_same_strong_etag() {
    let module = large();
    let (zip, path) = (module.zip(), module.url_path("zip"));
    let upstream = FakeUpstream::with([&module]);
    for quarter in 1..4 {
        upstream.forget_requests();
        let cut = zip.len() / 4 * quarter;
        upstream.misbehave(&path, Behaviour::normal().cut_after(cut as u64).times(1));
        let larder = larder_over(&upstream);
        larder.get(&path).expect_body(&zip);
        let seen = upstream.seen();
        let zips: Vec<_> = seen.iter().filter(|seen| seen.path == path).collect();
        assert_eq!(zips.len(), 2, "cut at quarter {quarter}");
        assert_eq!(zips[1].headers["range"], format!("bytes={cut}-"));
        assert!(
            zips[1].headers["if-range"]
                .to_str()
                .unwrap()
                .starts_with("\"up-")
        );
    }
}

#[test]
fn a_cut_transfer_is_begun_anew_where_it_cannot_be_resumed() {
    let module = large();
    let (zip, path) = (module.zip(), module.url_path("zip"));
    let upstreams = [
        FakeUpstream::builder().without_ranges().start(),
        FakeUpstream::builder().without_etags().start(),
    ];
    for upstream in upstreams {
        upstream.add(&module);
        for quarter in 0..4 {
            upstream.forget_requests();
            let cut = zip.len() as u64 / 4 * quarter;
            upstream.misbehave(&path, Behaviour::normal().cut_after(cut).times(1));
            let larder = larder_over(&upstream);
            larder.get(&path).expect_body(&zip);
            upstream.assert_counts(&[(&path, 2)]);
        }
    }
}

#[test]
fn a_small_file_that_is_cut_again_and_again_is_an_error_with_words() {
    let upstream = FakeUpstream::with([&hello()]);
    upstream.misbehave(&hello().url_path("zip"), Behaviour::normal().cut_after(50));
    let larder = larder_over(&upstream);
    expect_error(larder.get(&hello().url_path("zip")), 502);
    upstream.behave();
    larder
        .get(&hello().url_path("zip"))
        .expect_body(&hello().zip());
}

#[test]
fn a_length_that_lies_is_never_passed_on() {
    let path = hello().url_path("zip");
    for lie in [-30, 30] {
        let upstream = FakeUpstream::with([&hello()]);
        upstream.misbehave(&path, Behaviour::normal().lie_in_length(lie));
        let larder = larder_over(&upstream);
        expect_error(larder.get(&path), 502);
        upstream.behave();
        larder.get(&path).expect_body(&hello().zip());
    }
}

#[test]
fn a_file_of_unknown_length_is_served_with_its_length_once_it_is_here() {
    for module in [hello(), large()] {
        let path = module.url_path("zip");
        let upstream = FakeUpstream::with([&module]);
        upstream.misbehave(&path, Behaviour::normal().without_length());
        let larder = larder_over(&upstream);
        larder.get(&path).expect_body(&module.zip());
        let again = larder.get(&path).expect_body(&module.zip());
        assert_eq!(
            again.header("content-length"),
            Some(&*module.zip().len().to_string())
        );
        upstream.assert_counts(&[(&path, 1)]);
    }
}

#[test]
fn a_login_page_instead_of_a_module_is_named_as_such_and_not_kept() {
    let upstream = FakeUpstream::with([&hello()]);
    upstream.misbehave_under("/", Behaviour::normal().html());
    let larder = larder_over(&upstream);
    let paths = ["info", "mod", "zip"].map(|extension| hello().url_path(extension));
    let answers = ["/example.com/hello/@v/list", "/example.com/hello/@latest"];
    for path in paths.iter().map(String::as_str).chain(answers) {
        let text = expect_error(larder.get(path), 502);
        expect_parts(&text, &["HTML"]);
    }
    upstream.behave();
    for path in paths.iter().map(String::as_str).chain(answers) {
        larder.get(path).expect_status(200);
    }
}

#[test]
fn a_redirect_may_lead_on_but_not_into_this_machine() {
    let upstream = FakeUpstream::with([&hello()]);
    let elsewhere = format!("{}{}", upstream.url(), hello().url_path("zip"));
    upstream.misbehave(
        "/example.com/moved/@v/v1.0.0.zip",
        Behaviour::normal().redirect(&elsewhere),
    );
    let path = hello().url_path("mod");
    let moved = format!("{}/moved", upstream.url());
    upstream.serve("/moved", hello().go_mod_file(), "text/plain");
    upstream.misbehave(&path, Behaviour::normal().redirect(&moved));
    let larder = larder_over(&upstream);
    larder.get(&path).expect_body(&hello().go_mod_file());

    // Another loopback address, which no setting names.
    let inside = TcpListener::bind("127.0.0.2:0").unwrap();
    inside.set_nonblocking(true).unwrap();
    let forbidden = format!("http://{}/secret", inside.local_addr().unwrap());
    upstream.misbehave(
        &hello().url_path("zip"),
        Behaviour::normal().redirect(&forbidden),
    );
    let text = expect_error(larder.get(&hello().url_path("zip")), 502);
    expect_parts(&text, &["127.0.0.2"]);
    let dialled = inside.accept();
    assert!(dialled.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
}

#[test]
fn redirects_in_a_circle_end() {
    let upstream = FakeUpstream::with([&hello()]);
    let path = hello().url_path("mod");
    let again = format!("{}{path}", upstream.url());
    upstream.misbehave(&path, Behaviour::normal().redirect(&again));
    let larder = larder_over(&upstream);
    expect_error(larder.get(&path), 502);
    assert!(
        upstream.count(&path) <= 11 * 4,
        "{} requests",
        upstream.count(&path)
    );
}

#[test]
fn retry_after_is_obeyed_where_it_is_short() {
    let upstream = FakeUpstream::with([&hello()]);
    let busy = || {
        Behaviour::normal()
            .status(429, "slow down\n")
            .header("retry-after", "1")
    };
    upstream.misbehave(&hello().url_path("mod"), busy().times(1));
    let larder = larder_over(&upstream);
    let asked = std::time::Instant::now();
    larder
        .get(&hello().url_path("mod"))
        .expect_body(&hello().go_mod_file());
    assert!(
        asked.elapsed() >= Duration::from_secs(1),
        "came back after {:?}",
        asked.elapsed()
    );
    upstream.assert_counts(&[(&hello().url_path("mod"), 2)]);
}

#[test]
fn a_long_retry_after_is_passed_on() {
    let upstream = FakeUpstream::with([&hello()]);
    for status in [429, 503] {
        let busy = Behaviour::normal().status(status, "come back later\n");
        upstream.misbehave_under("/", busy.header("retry-after", "3600"));
        let larder = larder_over(&upstream);
        let answer = larder.get(&hello().url_path("mod"));
        assert_eq!(answer.header("retry-after"), Some("3600"));
        expect_parts(&expect_error(answer, 503), &["come back later"]);
        upstream.behave();
    }
}

#[test]
fn a_503_says_when_to_come_back_though_upstream_did_not() {
    let upstream = FakeUpstream::with([&hello()]);
    upstream.misbehave_under("/", Behaviour::normal().status(429, "slow down\n"));
    let larder = larder_over(&upstream);
    let answer = larder.get(&hello().url_path("mod"));
    let pause = answer.header("retry-after").map(str::to_owned);
    assert!(pause.is_some_and(|pause| pause.parse::<u32>().is_ok()));
    expect_error(answer, 503);
}

#[test]
fn an_upstream_that_comes_back_is_used_again() {
    let upstream = FakeUpstream::with([&hello()]);
    upstream.misbehave_under("/", Behaviour::normal().status(501, "no\n"));
    let larder = larder_over(&upstream);
    for number in 0..12 {
        expect_error(larder.get(&format!("/example.com/m{number}/@v/list")), 502);
    }
    upstream.behave();
    larder
        .get(&hello().url_path("zip"))
        .expect_body(&hello().zip());
}

#[test]
fn http2_and_tls_upstreams_serve_with_an_authority_of_their_own() {
    let ca = testkit::TestCa::new();
    for protocols in [&["h2", "http/1.1"][..], &["http/1.1"]] {
        let upstream = FakeUpstream::builder().tls(&ca, protocols).start();
        upstream.add(&large());
        let untrusting = larder_over(&upstream);
        expect_error(untrusting.get(&large().url_path("mod")), 502);
        assert_eq!(upstream.total(), 0);

        let builder = larder().upstream(upstream.url());
        let ca_file = ca.write(builder.home());
        let larder = builder.env("SSL_CERT_FILE", ca_file).start();
        larder
            .get(&large().url_path("zip"))
            .expect_body(&large().zip());
        let expected = if protocols[0] == "h2" {
            "HTTP/2.0"
        } else {
            "HTTP/1.1"
        };
        assert_eq!(upstream.seen()[0].protocol, expected);
    }
}

#[test]
fn what_a_client_got_before_a_large_transfer_failed_is_never_a_whole_file() {
    let module = large();
    let (zip, path) = (module.zip(), module.url_path("zip"));
    let upstream = FakeUpstream::builder().without_ranges().start();
    upstream.add(&module);
    let almost_all = zip.len() as u64 - 10;
    upstream.misbehave(&path, Behaviour::normal().cut_after(almost_all));
    let larder = larder_over(&upstream);
    let answer = larder.get(&path);
    assert_eq!((answer.status(), answer.ending), (200, Ending::CutShort));
    assert!(zip.starts_with(&answer.body));
    assert!(
        answer.body.len() <= zip.len() - (128 << 10),
        "{} bytes",
        answer.body.len()
    );
    // The next one gets the words.
    expect_error(larder.get(&path), 502);
}
