//! Files that are missing, asked for over plain HTTP: what comes while they arrive, and how it ends.
use crate::lane::{LONG_WAY, by_the_lane, without_date};
use crate::{expect_error, hello, larder_over};
use std::time::{Duration, Instant};
use testkit::{
    Behaviour, Connection, Ending, FakeUpstream, Gate, Larder, Module, Pipe, ZipVariant, eventually,
};

/// Larger than what is verified before its first byte is sent.
fn large() -> Module {
    Module::new("example.com/large", "v1.0.0").incompressible(12 << 20)
}

/// Clients that have asked for one path.
fn herd(larder: &Larder, path: &str, clients: usize) -> Vec<Connection> {
    let mut herd: Vec<Connection> = (0..clients).map(|_| larder.connect()).collect();
    for client in &mut herd {
        client.request("GET", path, &[]);
    }
    herd
}

fn joined(larder: &Larder) -> Option<usize> {
    metric(larder, "larder_fills_joined_total")?.parse().ok()
}

fn metric(larder: &Larder, name: &str) -> Option<String> {
    let metrics = larder.get("/-/metrics").text();
    let value = |line: &str| Some(line.strip_prefix(name)?.trim().to_owned());
    metrics.lines().find_map(value)
}

/// Lines of the access log that name the path.
fn logged(larder: &Larder, path: &str) -> Vec<String> {
    let stderr = larder.stderr();
    let lines = stderr
        .lines()
        .filter(|line| line.contains(" access ") && line.contains(path));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_herd_on_a_cold_zip_goes_the_short_way_and_sees_what_the_long_way_says() {
    let upstream = FakeUpstream::with([&large()]);
    let (path, zip, middle) = (large().url_path("zip"), large().zip(), Gate::new());
    upstream.misbehave(&path, Behaviour::normal().stall_in_body(10 << 20, &middle));
    let larder = larder_over(&upstream);
    by_the_lane(&larder, || {
        let mut first = larder.connect();
        first.request("GET", &path, &[]);
        let head = first.read_head();
        assert_eq!(head.header("x-larder-cache"), Some("filled"));
        let mut herd = herd(&larder, &path, 50);
        for client in &mut herd {
            assert_eq!(client.read_head().header("x-larder-cache"), Some("joined"));
            assert!(client.read_some(8 << 20) == zip[..8 << 20]);
        }
        middle.open();
        let all = first.read_rest();
        assert!(all == (zip.to_vec(), Ending::Complete));
        for mut client in herd {
            let (rest, ending) = client.read_rest();
            assert!(ending == Ending::Complete && rest == zip[8 << 20..]);
            client.ask("HEAD", &path, &[]).expect_status(200);
        }
    });
    upstream.assert_counts(&[(&path, 1)]);

    // Both ways beside each other.
    let other = Module::new("example.com/other", "v1.0.0").incompressible(12 << 20);
    let (path, middle) = (other.url_path("zip"), Gate::new());
    upstream.add(&other);
    upstream.misbehave(&path, Behaviour::normal().stall_in_body(10 << 20, &middle));
    let mut starts = larder.connect();
    starts.request("GET", &path, &[]);
    starts.read_head();
    let ways = [&[][..], &[LONG_WAY]].map(|headers| {
        let mut client = larder.connect();
        client.request("GET", &path, headers);
        let head = client.read_head();
        (head, client)
    });
    middle.open();
    let [short, long] = ways.map(|(head, mut client)| {
        let (body, ending) = client.read_rest();
        without_date(&testkit::Answer { head, body, ending })
    });
    assert_eq!(short, long);
}

#[test]
fn each_of_a_herd_sees_that_its_file_is_short_when_the_upstream_dies_or_lies() {
    const CLIENTS: usize = 20;
    for way in ["dies", "lies"] {
        let upstream = FakeUpstream::with([&large()]);
        let (path, gate) = (large().url_path("zip"), Gate::new());
        if way == "lies" {
            upstream.replace_zip(&large(), &ZipVariant::DirectoryPointsElsewhere);
        }
        upstream.misbehave(&path, Behaviour::normal().stall_in_body(9 << 20, &gate));
        let larder = larder_over(&upstream);
        let mut herd = herd(&larder, &path, CLIENTS);
        eventually("all wait for one fill", || {
            (joined(&larder)? == CLIENTS - 1).then_some(())
        });
        for client in &mut herd {
            assert_eq!(client.read_head().status, 200, "{way}");
        }
        match way {
            "dies" => upstream.refuse_connections(),
            _ => gate.open(),
        }
        for client in &mut herd {
            let (part, ending) = client.read_rest();
            assert_eq!(ending, Ending::CutShort, "{way}");
            assert!(part.len() < large().zip().len() - (128 << 10), "{way}");
        }
        let lines = eventually("a line for each", || {
            let lines = logged(&larder, &path);
            (lines.len() == CLIENTS).then_some(lines)
        });
        assert!(
            lines
                .iter()
                .all(|line| line.contains("cache=failed") && line.contains("error=")),
            "{way}: {lines:#?}"
        );
        expect_error(larder.get(&path), 502);
    }
}

#[test]
fn a_miss_that_fails_is_asked_of_the_upstream_once_told_once_and_leaves_its_connection_usable() {
    let upstream = FakeUpstream::with([&hello()]);
    let missing = "/example.com/missing/@v/v1.0.0.zip".to_owned();
    let broken = hello().url_path("zip");
    upstream.misbehave(&broken, Behaviour::normal().status(500, "no"));
    let larder = larder_over(&upstream);
    let mut client = larder.connect();
    let there = hello().url_path("mod");
    let requests = [&missing, &there, &broken, &there]
        .map(|path| format!("GET {path} HTTP/1.1\r\nHost: larder.test\r\n\r\n"));
    client.send(requests.concat().as_bytes());
    expect_error(client.read_answer(), 404);
    client.read_answer().expect_body(&hello().go_mod_file());
    expect_error(client.read_answer(), 502);
    client.read_answer().expect_body(&hello().go_mod_file());
    upstream.assert_counts(&[(&missing, 1), (&there, 1)]);
    for (path, says) in [(&missing, "cache=absent"), (&broken, "cache=failed")] {
        let lines = eventually("its line in the log", || {
            let lines = logged(&larder, path);
            (!lines.is_empty()).then_some(lines)
        });
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines[0].contains(says), "{lines:#?}");
    }
}

#[test]
fn followers_that_take_next_to_nothing_hold_no_thread_and_stall_nobody() {
    const SLOW: usize = 200;
    let upstream = FakeUpstream::with([&large(), &hello()]);
    let (path, middle) = (large().url_path("zip"), Gate::new());
    upstream.misbehave(&path, Behaviour::normal().stall_in_body(11 << 20, &middle));
    let larder = larder_over(&upstream);
    let small = hello().url_path("mod");
    larder.get(&small).expect_status(200);
    let mut slow = herd(&larder, &path, SLOW);
    for client in &mut slow {
        client.read_head();
        assert_eq!(client.read_some(1).len(), 1);
    }
    let mut quick = larder.connect();
    quick.request("GET", &path, &[]);
    quick.read_head();
    assert_eq!(quick.read_some(10 << 20).len(), 10 << 20);
    let mut times: Vec<Duration> = (0..40)
        .map(|_| {
            let asked = Instant::now();
            larder.get(&small).expect_body(&hello().go_mod_file());
            asked.elapsed()
        })
        .collect();
    times.sort();
    assert!(times[20] < Duration::from_millis(50), "median of {times:?}");
    middle.open();
    let (rest, ending) = quick.read_rest();
    assert!(ending == Ending::Complete && large().zip().ends_with(&rest));
    for client in &mut slow {
        assert_eq!(client.read_some(1).len(), 1);
    }
    // Those that come and go with the reads of the store included.
    let threads = eventually("threads come to rest", || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", larder.process_id()));
        Some(tasks.ok()?.count()).filter(|threads| *threads < SLOW / 2)
    });
    assert!(threads > 1);
    let (last, ending) = slow.pop().unwrap().read_rest();
    assert!(ending == Ending::Complete && large().zip().ends_with(&last));
}

#[test]
fn a_client_that_leaves_while_it_follows_is_noticed_before_more_comes() {
    for sent in [300, 10 << 20] {
        let upstream = FakeUpstream::with([&large()]);
        let (path, gate) = (large().url_path("zip"), Gate::new());
        upstream.misbehave(&path, Behaviour::normal().stall_in_body(sent, &gate));
        let larder = larder_over(&upstream);
        let mut herd = herd(&larder, &path, 10);
        gate.wait_for_arrivals(1);
        if sent > 300 {
            for client in &mut herd {
                client.read_head();
                client.read_some(8 << 20);
            }
        }
        drop(herd);
        eventually("the server has seen the clients go", || {
            (metric(&larder, "larder_connections ")? == "1").then_some(())
        });
        let lines = eventually("a line for each", || {
            let lines = logged(&larder, &path);
            (lines.len() == 10).then_some(lines)
        });
        assert!(lines.iter().all(|line| line.contains("zip")), "{lines:#?}");
        gate.open();
        larder.get(&path).expect_body(&large().zip());
        upstream.assert_counts(&[(&path, 1)]);
    }
}

#[test]
fn head_of_a_cold_file_says_its_length_and_the_next_request_is_answered() {
    let upstream = FakeUpstream::with([&large(), &hello()]);
    let larder = larder_over(&upstream);
    by_the_lane(&larder, || {
        for module in [large(), hello()] {
            let path = module.url_path("zip");
            let mut client = larder.connect();
            let answer = client.ask("HEAD", &path, &[]).expect_status(200);
            let length = module.zip().len().to_string();
            assert_eq!(answer.header("content-length"), Some(&*length));
            assert!(answer.body.is_empty());
            client.ask("GET", &path, &[]).expect_body(&module.zip());
            upstream.assert_counts(&[(&path, 1)]);
        }
    });
}

#[test]
fn a_file_of_unannounced_length_comes_whole_and_its_connection_goes_on() {
    let upstream = FakeUpstream::with([&large()]);
    let path = large().url_path("zip");
    upstream.misbehave(&path, Behaviour::normal().without_length());
    let larder = larder_over(&upstream);
    let mut herd = herd(&larder, &path, 5);
    for client in &mut herd {
        client.read_answer().expect_body(&large().zip());
        client.ask("GET", &path, &[]).expect_body(&large().zip());
    }
    upstream.assert_counts(&[(&path, 1)]);
}

#[test]
fn a_drain_lets_followers_have_their_file_and_then_closes() {
    let upstream = FakeUpstream::with([&large()]);
    let (path, middle) = (large().url_path("zip"), Gate::new());
    upstream.misbehave(&path, Behaviour::normal().stall_in_body(10 << 20, &middle));
    let larder = larder_over(&upstream);
    let mut idle = larder.connect();
    idle.ask("GET", "/-/healthz", &[]);
    let mut herd = herd(&larder, &path, 10);
    for client in &mut herd {
        client.read_head();
    }
    larder.ask_to_terminate();
    assert!(
        idle.try_read_head().is_err(),
        "an idle connection is closed"
    );
    middle.open();
    for client in &mut herd {
        let (body, ending) = client.read_rest();
        assert!(ending == Ending::Complete && body == large().zip());
        assert!(client.try_read_head().is_err(), "and closed behind it");
    }
    assert!(larder.wait().0.status.success());
}

#[test]
fn a_stalling_upstream_costs_its_followers_their_file_and_nobody_else_anything() {
    let upstream = FakeUpstream::with([&large(), &hello()]);
    let pipe = Pipe::to(upstream.address());
    let larder = crate::larder()
        .upstream(pipe.url())
        .args(["--stall-timeout", "1"])
        .start();
    let (path, small) = (large().url_path("zip"), hello().url_path("mod"));
    larder.get(&small).expect_status(200);
    let (middle, in_the_middle) = (Gate::new(), 10 << 20);
    upstream.misbehave(
        &path,
        Behaviour::normal().stall_in_body(in_the_middle, &middle),
    );
    let mut herd = herd(&larder, &path, 20);
    middle.wait_for_arrivals(1);
    for client in &mut herd {
        client.read_head();
        larder.get(&small).expect_status(200);
    }
    pipe.stall();
    for client in &mut herd {
        let (part, ending) = client.read_rest();
        assert_eq!(ending, Ending::CutShort);
        assert!(large().zip().starts_with(&part));
        larder.get(&small).expect_status(200);
    }
    middle.open();
}
