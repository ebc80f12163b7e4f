//! Sudden death and two processes on one folder: what is served is whole, always.
use crate::larder;
use std::path::Path;
use std::time::{Duration, Instant};
use testkit::{Behaviour, Connection, FakeUpstream, Larder, Module, eventually};

const ROUNDS: usize = 100;
/// All rounds must be done by then.
const TIME_LIMIT: Duration = Duration::from_secs(240);

#[test]
fn after_kill_9_at_any_moment_nothing_partial_is_served() {
    let upstream = FakeUpstream::start();
    let mut builder = larder()
        .upstream(upstream.url())
        .args(["--access-log", "off"]);
    let cache = builder.cache().to_owned();
    let mut moment = Moments(0x1234_5678_9abc_def1);
    let mut under_way: Vec<Module> = Vec::new();
    let (mut whole, mut absent) = (0, 0);
    let start = Instant::now();
    let mut rounds = 0;
    while rounds < ROUNDS && start.elapsed() < TIME_LIMIT {
        let larder = builder.start();
        // What the process before was killed over: whole, or not there at all.
        for module in &under_way {
            for extension in ["info", "mod", "zip"] {
                match stored(&larder, module, extension) {
                    Stored::Whole => whole += 1,
                    Stored::Absent => absent += 1,
                }
            }
        }
        under_way = modules_of(rounds);
        for module in &under_way {
            upstream.add(module);
        }
        // Some in several pieces with time between them, so that death meets them half-way.
        let slow = Behaviour::normal().trickle(64 << 10, Duration::from_millis(1));
        upstream.misbehave(&under_way[0].url_path("zip"), slow);
        let mut clients: Vec<Connection> = Vec::new();
        for module in &under_way {
            for extension in ["zip", "mod", "info"] {
                let mut client = larder.connect();
                client.request("GET", &module.url_path(extension), &[]);
                clients.push(client);
            }
        }
        std::thread::sleep(moment.next_up_to(Duration::from_millis(30)));
        builder = larder.kill();
        rounds += 1;
    }
    assert_eq!(rounds, ROUNDS, "not all rounds in {:?}", start.elapsed());
    assert!(
        whole > 0 && absent > 0,
        "the moments were no good: {whole} whole, {absent} absent"
    );

    upstream.behave();
    let larder = builder.start();
    for round in 0..rounds {
        for module in modules_of(round) {
            larder
                .get(&module.url_path("zip"))
                .expect_body(&module.zip());
            larder
                .get(&module.url_path("mod"))
                .expect_body(&module.go_mod_file());
            larder
                .get(&module.url_path("info"))
                .expect_body(&module.info());
        }
    }
    // Only what belongs to the living is left: as much as a server has that never met a death.
    let fresh = crate::larder_over(&upstream);
    let of_one_process = entries(&fresh.cache_dir().join("staging"));
    eventually("the dead processes' staging is swept", || {
        (entries(&cache.join("staging")) == of_one_process).then_some(())
    });
}

#[test]
fn two_processes_on_one_folder_serve_the_same_whole_files() {
    let modules: Vec<Module> = (0..20).flat_map(modules_of).collect();
    let upstream = FakeUpstream::with(&modules);
    let builder = larder().upstream(upstream.url());
    let servers = [builder.clone().start(), builder.start()];
    let mut waiting = Vec::new();
    for module in &modules {
        for server in &servers {
            let mut client = server.connect();
            client.request("GET", &module.url_path("zip"), &[]);
            waiting.push((client, module));
        }
    }
    for (client, module) in &mut waiting {
        client.read_answer().expect_body(&module.zip());
    }
    for module in &modules {
        assert!(upstream.count(&module.url_path("zip")) <= servers.len());
    }
    for module in &modules {
        for server in &servers {
            eventually("both see the file", || {
                match stored(server, module, "zip") {
                    Stored::Whole => Some(()),
                    Stored::Absent => None,
                }
            });
        }
    }
    let [first, second] = servers;
    assert!(first.terminate().0.status.success());
    second
        .get(&modules[0].url_path("zip"))
        .expect_body(&modules[0].zip());
}

/// One of a hundred kilobytes or, now and then, of more than a fill keeps in memory; and a small one.
fn modules_of(round: usize) -> Vec<Module> {
    let middle = if round % 10 == 3 { 9 << 20 } else { 100 << 10 };
    vec![
        Module::new(&format!("example.com/middle{round}"), "v1.0.0").incompressible(middle),
        Module::new(&format!("example.com/small{round}"), "v1.0.0"),
    ]
}

enum Stored {
    Whole,
    Absent,
}

/// What the store alone says of a file; fails the test where it is not the whole file.
#[track_caller]
fn stored(larder: &Larder, module: &Module, extension: &str) -> Stored {
    let path = module.url_path(extension);
    let answer = larder.get_with(&path, &[("Disable-Module-Fetch", "true")]);
    if answer.status() == 404 {
        return Stored::Absent;
    }
    answer.expect_body(&match extension {
        "info" => module.info(),
        "mod" => module.go_mod_file(),
        _ => module.zip(),
    });
    Stored::Whole
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

/// Moments to die at, the same in every run (xorshift64).
struct Moments(u64);

impl Moments {
    fn next_up_to(&mut self, longest: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let part = u32::try_from(self.0 % 1000).unwrap();
        longest * part / 1000
    }
}
