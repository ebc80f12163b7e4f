//! Zips that come before they are asked for.

use crate::{hello, larder};
use testkit::{Behaviour, FakeUpstream, Gate, Module, eventually};

#[test]
fn a_zip_is_on_its_way_before_the_client_asks_for_it() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder()
        .upstream(upstream.url())
        .args(["--prefetch", "8MiB"])
        .start();
    larder.get(&hello().url_path("info")).expect_status(200);
    upstream.wait_for(&hello().url_path("zip"), 1);
    larder.get(&hello().url_path("mod")).expect_status(200);
    larder.get(&hello().url_path("zip")).expect_status(200);
    assert_eq!(upstream.count(&hello().url_path("zip")), 1);
    eventually("the zip is counted as asked for", || {
        larder
            .get("/-/metrics")
            .text()
            .contains(r#"larder_prefetched_files_total{outcome="asked"} 1"#)
            .then_some(())
    });
}

#[test]
fn nothing_is_fetched_unasked_unless_a_rate_is_set() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder().upstream(upstream.url()).start();
    larder.get(&hello().url_path("info")).expect_status(200);
    larder.get(&hello().url_path("mod")).expect_status(200);
    // Requests that come later overtake nothing: had the zip been wanted, it would be under way by now.
    larder.get("/example.com/hello/@v/list").expect_status(200);
    larder.terminate();
    assert_eq!(upstream.count(&hello().url_path("zip")), 0);
}

#[test]
fn a_client_that_asks_while_the_zip_is_coming_waits_for_that_one_transfer() {
    let upstream = FakeUpstream::with([&hello()]);
    let gate = Gate::new();
    upstream.misbehave(&hello().url_path("zip"), Behaviour::normal().stall(&gate));
    let larder = larder()
        .upstream(upstream.url())
        .args(["--prefetch", "8MiB"])
        .start();
    larder.get(&hello().url_path("info")).expect_status(200);
    upstream.wait_for(&hello().url_path("zip"), 1);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| larder.get(&hello().url_path("zip")));
        eventually("the client joined the fill", || {
            let metrics = larder.get("/-/metrics").text();
            metrics
                .contains("larder_fills_joined_total 1")
                .then_some(())
        });
        gate.open();
        asking.join().unwrap().expect_status(200);
    });
    assert_eq!(upstream.count(&hello().url_path("zip")), 1);
}

#[test]
fn a_module_that_was_built_before_has_its_next_zip_fetched_with_its_go_mod() {
    let next = Module::new("example.com/hello", "v1.1.0");
    let upstream = FakeUpstream::with([&hello(), &next]);
    let larder = larder()
        .upstream(upstream.url())
        .args(["--prefetch", "8MiB"])
        .start();
    larder.get(&hello().url_path("zip")).expect_status(200);
    // Before anything is learned a go.mod promises too little.
    for number in 0..8 {
        let module = Module::new("example.com/hello", &format!("v1.2.{number}"));
        upstream.add(&module);
        larder.get(&module.url_path("mod")).expect_status(200);
        larder.get(&module.url_path("zip")).expect_status(200);
    }
    larder.get(&next.url_path("mod")).expect_status(200);
    upstream.wait_for(&next.url_path("zip"), 1);
}
