//! Bringing files: one fill for all who wait, and nobody waits for someone else's.
use crate::{expect_error, hello, larder, larder_over};
use std::time::{Duration, Instant};
use testkit::{
    Behaviour, Connection, Ending, FakeUpstream, Gate, Larder, Module, ZipVariant, eventually,
};

/// Larger than what is verified before its first byte is sent.
fn large() -> Module {
    Module::new("example.com/large", "v1.0.0").incompressible(12 << 20)
}

/// The value of a counter or gauge without labels.
fn metric(larder: &Larder, name: &str) -> usize {
    let text = larder.get("/-/metrics").expect_status(200).text();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.map_or(0, |value| value.trim().parse().unwrap())
}

/// Waits until the store has the file, so that it can be served without upstream.
fn wait_until_stored(larder: &Larder, path: &str) {
    eventually("the file is stored", || {
        let answer = larder.get_with(path, &[("Disable-Module-Fetch", "true")]);
        (answer.status() == 200).then_some(())
    });
}

fn clients_share_one_request(clients: usize) {
    let upstream = FakeUpstream::with([&hello()]);
    let (gate, path) = (Gate::new(), hello().url_path("zip"));
    upstream.misbehave(&path, Behaviour::normal().stall(&gate));
    let larder = larder_over(&upstream);
    let mut connections: Vec<Connection> = (0..clients).map(|_| larder.connect()).collect();
    for connection in &mut connections {
        connection.request("GET", &path, &[]);
    }
    eventually("all but one have joined", || {
        (metric(&larder, "larder_fills_joined_total") == clients - 1).then_some(())
    });
    gate.open();
    for connection in &mut connections {
        connection.read_answer().expect_body(&hello().zip());
    }
    upstream.assert_counts(&[(&path, 1)]);
}

#[test]
fn sixty_four_clients_for_one_cold_zip_are_one_request_upstream() {
    clients_share_one_request(64);
}

#[test]
fn a_thousand_clients_for_one_cold_zip_are_one_request_upstream() {
    clients_share_one_request(1000);
}

#[test]
fn followers_of_a_large_zip_get_its_bytes_while_it_arrives_but_not_its_end() {
    let module = large();
    let (zip, path) = (module.zip(), module.url_path("zip"));
    let upstream = FakeUpstream::with([&module]);
    let (beginning, middle, end) = (Gate::new(), Gate::new(), Gate::new());
    let stalls = Behaviour::normal().stall(&beginning);
    upstream.misbehave(&path, stalls.stall_in_body(10 << 20, &middle));
    let larder = larder_over(&upstream);

    let mut first = larder.connect();
    first.request("GET", &path, &[]);
    let mut follower = larder.connect();
    follower.request("GET", &path, &[]);
    eventually("the second follows the first", || {
        (metric(&larder, "larder_fills_joined_total") == 1).then_some(())
    });
    beginning.open();
    for connection in [&mut first, &mut follower] {
        assert_eq!(
            connection.read_head().header("content-length"),
            Some(&*zip.len().to_string())
        );
        assert!(connection.read_some(8 << 20) == zip[..8 << 20]);
    }
    // Who comes now begins when it goes on.
    let mut late = larder.connect();
    late.request("GET", &path, &[]);
    eventually("the third follows the first", || {
        (metric(&larder, "larder_fills_joined_total") == 2).then_some(())
    });
    middle.open();
    for connection in [&mut first, &mut follower] {
        let (rest, ending) = connection.read_rest();
        assert_eq!(ending, Ending::Complete);
        assert!(rest == zip[8 << 20..]);
    }
    late.read_answer().expect_body(&zip);
    upstream.assert_counts(&[(&path, 1)]);

    // All but the last byte has arrived: the end must not have been handed out.
    let other = Module::new("example.com/other", "v1.0.0").incompressible(12 << 20);
    let (zip, path) = (other.zip(), other.url_path("zip"));
    upstream.add(&other);
    let all_but_one = zip.len() as u64 - 1;
    upstream.misbehave(&path, Behaviour::normal().stall_in_body(all_but_one, &end));
    let mut client = larder.connect();
    client.request("GET", &path, &[]);
    client.read_head();
    end.wait_for_arrivals(1);
    upstream.refuse_connections();
    let (part, ending) = client.read_rest();
    assert_eq!(ending, Ending::CutShort);
    assert!(
        zip.starts_with(&part) && part.len() <= zip.len() - (128 << 10),
        "{}",
        part.len()
    );
}

#[test]
fn a_client_that_hangs_up_never_cancels_the_fill() {
    for module in [hello(), large()] {
        let (gate, path) = (Gate::new(), module.url_path("zip"));
        let upstream = FakeUpstream::with([&module]);
        upstream.misbehave(&path, Behaviour::normal().stall_in_body(300, &gate));
        let larder = larder_over(&upstream);
        let mut client = larder.connect();
        client.request("GET", &path, &[]);
        gate.wait_for_arrivals(1);
        drop(client);
        eventually("the server has seen the client go", || {
            // The connection that asks is the only one left.
            (metric(&larder, "larder_connections") == 1).then_some(())
        });
        gate.open();
        wait_until_stored(&larder, &path);
        larder.get(&path).expect_body(&module.zip());
        upstream.assert_counts(&[(&path, 1)]);
    }
}

#[test]
fn a_client_that_asks_for_the_zip_alone_makes_the_version_complete() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    larder.get(&hello().url_path("zip")).expect_status(200);
    for extension in ["info", "mod"] {
        wait_until_stored(&larder, &hello().url_path(extension));
    }
    let list = larder
        .cache_dir()
        .join("download/example.com/hello/@v/list");
    eventually("the folder's own list names it", || {
        (std::fs::read_to_string(&list).ok()? == "v1.0.0\n").then_some(())
    });
    for extension in ["info", "mod", "zip"] {
        upstream.assert_counts(&[(&hello().url_path(extension), 1)]);
    }
}

#[test]
fn everyone_who_waits_is_told_when_the_fill_dies() {
    for (module, sent) in [(hello(), 300), (large(), 9 << 20)] {
        let (gate, path) = (Gate::new(), module.url_path("zip"));
        let upstream = FakeUpstream::with([&module]);
        upstream.misbehave(&path, Behaviour::normal().stall_in_body(sent, &gate));
        let larder = larder_over(&upstream);
        let mut clients: Vec<Connection> = (0..10).map(|_| larder.connect()).collect();
        for client in &mut clients {
            client.request("GET", &path, &[]);
        }
        eventually("all wait for one fill", || {
            (metric(&larder, "larder_fills_joined_total") == 9).then_some(())
        });
        gate.wait_for_arrivals(1);
        upstream.refuse_connections();
        for client in &mut clients {
            let answer = client.read_answer();
            match answer.ending {
                Ending::CutShort => {
                    assert!(answer.body.len() < module.zip().len());
                    assert!(module.zip().starts_with(&answer.body));
                }
                Ending::Complete => {
                    expect_error(answer, 502);
                }
            }
        }
        expect_error(larder.get(&path), 502);
    }
}

#[test]
fn a_hit_is_answered_at_once_while_a_hundred_misses_hang() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    let hits = [hello().url_path("mod"), hello().url_path("zip")];
    for path in &hits {
        larder.get(path).expect_status(200);
        wait_until_stored(&larder, path);
    }
    let gate = Gate::new();
    upstream.misbehave_under("/", Behaviour::normal().stall(&gate));
    let mut hanging: Vec<Connection> = (0..100)
        .map(|number| {
            let mut connection = larder.connect();
            let path = format!("/example.com/missing{number}/@v/v1.0.0.zip");
            connection.request("GET", &path, &[]);
            connection
        })
        .collect();
    eventually("all hundred are under way", || {
        (metric(&larder, "larder_fills") >= 100).then_some(())
    });
    let mut connection = larder.connect();
    let mut times: Vec<Duration> = (0..40)
        .map(|number| {
            let asked = Instant::now();
            connection
                .ask("GET", &hits[number % 2], &[])
                .expect_status(200);
            asked.elapsed()
        })
        .collect();
    times.sort();
    assert!(times[20] < Duration::from_millis(50), "median of {times:?}");
    gate.open();
    for connection in &mut hanging {
        connection.read_answer().expect_status(404);
    }
}

#[test]
fn zips_of_two_upstreams_with_the_same_sum_and_other_bytes_are_never_spliced() {
    // A small one is not handed out before it is whole: the second upstream's takes its place.
    let small = Module::new("example.com/small", "v1.0.0").incompressible(1 << 20);
    let (first, second) = two_upstreams(&small);
    let larder = larder()
        .upstream(format!("{}|{}", first.url(), second.url()))
        .start();
    larder.get(&small.url_path("zip")).expect_body(&small.zip());

    // Of a large one clients have the first upstream's beginning: it cannot go on with the other's end.
    let large = large();
    let (first, second) = two_upstreams(&large);
    let larder = crate::larder()
        .upstream(format!("{}|{}", first.url(), second.url()))
        .start();
    let answer = larder.get(&large.url_path("zip"));
    assert_eq!((answer.status(), answer.ending), (200, Ending::CutShort));
    assert!(
        large
            .zip_as(&ZipVariant::OtherBytes)
            .starts_with(&answer.body)
    );
    assert!(!answer.body.is_empty());
    // Who asks next has nothing of it yet, and gets the other's.
    larder.get(&large.url_path("zip")).expect_body(&large.zip());
}

/// Two upstreams with the same module: the first sends other bytes, and half of them.
fn two_upstreams(module: &Module) -> (FakeUpstream, FakeUpstream) {
    let first = FakeUpstream::builder().without_ranges().start();
    first.add(module);
    first.replace_zip(module, &ZipVariant::OtherBytes);
    let most = module.zip().len() as u64 * 9 / 10;
    first.misbehave(&module.url_path("zip"), Behaviour::normal().cut_after(most));
    (first, FakeUpstream::with([module]))
}

#[test]
fn four_hundred_megabytes_for_32_clients_take_less_than_96_mib_of_memory() {
    const CLIENTS: usize = 32;
    let folder = tempfile::tempdir().unwrap();
    let module = Module::new("example.com/huge", "v1.0.0");
    let zip = module.large_zip(folder.path(), 400_000_000);
    let upstream = FakeUpstream::with([&module]);
    upstream.replace_zip_with_large(&module, &zip);
    let (gate, path) = (Gate::new(), module.url_path("zip"));
    upstream.misbehave(&path, Behaviour::normal().stall(&gate));
    let larder = larder_over(&upstream);

    let mut clients: Vec<Connection> = (0..CLIENTS).map(|_| larder.connect()).collect();
    for client in &mut clients {
        client.request("GET", &path, &[]);
    }
    gate.wait_for_arrivals(1);
    gate.open();
    let threads: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(number, mut client)| {
            std::thread::spawn(move || {
                assert_eq!(client.read_head().status, 200);
                match number {
                    // One looks at the bytes; for all to do so would take the test's time.
                    0 => {
                        let (len_bytes, sum, ending) = client.digest_rest();
                        (len_bytes, Some(sum), ending)
                    }
                    _ => {
                        let (len_bytes, ending) = client.skip_rest();
                        (len_bytes, None, ending)
                    }
                }
            })
        })
        .collect();
    let mut sum = None;
    for thread in threads {
        let (len_bytes, its_sum, ending) = thread.join().unwrap();
        assert_eq!((len_bytes, ending), (zip.len_bytes, Ending::Complete));
        sum = sum.or(its_sum);
    }
    upstream.assert_counts(&[(&path, 1)]);
    let peak = larder.peak_memory_bytes();
    assert!(peak < 96 << 20, "peak memory: {} MiB", peak >> 20);
    let etag = larder.head(&path).header("etag").unwrap().to_owned();
    assert_eq!(etag, format!("\"{}\"", sum.unwrap()));
}
