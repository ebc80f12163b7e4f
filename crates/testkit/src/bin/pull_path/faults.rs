//! One of two upstreams breaks while cold requests run: what do clients see, and what does it cost upstream?
//!
//! The first twin is a little nearer than the second, so that it is the one in use when it breaks; the second one
//! alone is what the figures after detection are held to. Every request is for a file that is not in the store, and
//! every body is held to the SHA-256 of what one of the twins has: a body spliced of both counts as an error.

use crate::client::{Client, Reply};
use crate::figures::{milliseconds, percentile, worst};
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use testkit::{FakeSumdb, FakeUpstream, Fault, Larder, Link, Module, Twins};

/// Requests under way at the same time.
const CONCURRENCY: usize = 16;
/// Of 2,000 requests, the fault begins at the 500th.
const FAULT_AT_PERCENT: usize = 25;
/// Of 2,000 requests, the 100 after the fault are the detection phase.
const DETECTION_PERCENT: usize = 5;
/// One request in so many is for a file above 8 MiB, which is released before it is verified.
const LARGE_EVERY: usize = 200;
const LARGE_BYTES: usize = 9 << 20;
/// One way; the first twin is the nearer one.
const FIRST_DELAY: Duration = Duration::from_millis(4);
const SECOND_DELAY: Duration = Duration::from_millis(5);
const STALL_TIMEOUT: Duration = Duration::from_secs(2);
/// A client whose answer is not complete after so long counts an error.
const CLIENT_PATIENCE: Duration = Duration::from_secs(60);
/// Requests that one point of a timeline stands for.
const BUCKET: usize = 20;

const FAULTS: &[(&str, Fault)] = &[
    ("stall", Fault::Stall),
    ("reset", Fault::Reset),
    ("trickle", Fault::Trickle),
    ("500", Fault::ServerError),
    ("lie", Fault::Lie),
];
/// The modes, and whether each is measured in every round.
const MODES: &[(&str, bool)] = &[("hedge", true), ("order", false), ("race", false)];

#[derive(Serialize)]
pub(crate) struct Faults {
    requests: usize,
    concurrency: usize,
    fault_at: usize,
    detection_requests: usize,
    stall_timeout_s: u64,
    alone: Vec<Alone>,
    runs: Vec<Run>,
    both_die: Vec<BothDie>,
    /// Modes that this Larder does not know.
    unknown_modes: Vec<String>,
}

/// The second twin only, whole.
#[derive(Clone, Serialize)]
struct Alone {
    p50_ms: f64,
    p99_ms: f64,
    upstream_requests: usize,
    errors: usize,
}

#[derive(Serialize)]
struct Run {
    mode: &'static str,
    fault: &'static str,
    round: usize,
    p50_ms: f64,
    p99_ms: f64,
    /// Against the round's run with the second twin alone.
    p50_ratio: f64,
    p99_ratio: f64,
    /// From the fault to the end of the last request of the detection phase.
    detection_ms: f64,
    detection_worst_ms: f64,
    worst_after_ms: f64,
    /// Requests that both upstreams saw, beyond those of the run with one of them.
    extra_requests_percent: f64,
    errors_small: usize,
    errors_large: usize,
    /// Large files that were under way when the fault began, whose errors nobody could spare the client.
    errors_large_in_flight: usize,
    /// Median and maximum of [`BUCKET`] requests each, in the order of their begin.
    timeline: Vec<Point>,
}

#[derive(Serialize)]
struct Point {
    from_fault_ms: f64,
    p50_ms: f64,
    worst_ms: f64,
}

/// Both twins are gone.
#[derive(Serialize)]
struct BothDie {
    fault: &'static str,
    cached_asked: usize,
    cached_errors: usize,
    answers_asked: usize,
    answers_stale_with_age: usize,
    misses_asked: usize,
    misses_502_to_504: usize,
    /// Of those that are asked for right after the stale answers, whose refreshes have met the outage already.
    misses_worst_ms: f64,
    /// Of those that are asked for after them.
    later_misses_worst_ms: f64,
}

/// Everything, with `rounds` rounds of the mode `hedge` and one of the others.
pub(crate) fn measure(larder: &str, folder: &Path, requests: usize, rounds: usize) -> Faults {
    let lab = Lab::new(larder, folder, requests);
    let mut faults = Faults {
        requests,
        concurrency: CONCURRENCY,
        fault_at: lab.fault_at(),
        detection_requests: lab.detection_requests(),
        stall_timeout_s: STALL_TIMEOUT.as_secs(),
        alone: Vec::new(),
        runs: Vec::new(),
        both_die: Vec::new(),
        unknown_modes: Vec::new(),
    };
    for round in 0..rounds {
        let alone = lab.alone();
        for (mode, every_round) in MODES {
            if round > 0 && !every_round {
                continue;
            }
            for (name, fault) in FAULTS {
                // Go's order leaves an upstream when it fails, and a trickle is no failure: every file would crawl.
                if *mode == "order" && *fault == Fault::Trickle {
                    continue;
                }
                eprintln!("faults: round {} of {rounds}, {mode}, {name}", round + 1);
                match lab.run(mode, (name, *fault), round, &alone) {
                    Some(run) => faults.runs.push(run),
                    None => {
                        faults.unknown_modes.push((*mode).to_owned());
                        break;
                    }
                }
            }
        }
        faults.alone.push(alone);
    }
    for (name, fault) in [("stall", Fault::Stall), ("refuse", Fault::Refuse)] {
        eprintln!("faults: both die: {name}");
        faults.both_die.extend(lab.both_die(name, fault));
    }
    faults
}

/// What all runs share.
struct Lab<'a> {
    larder: &'a str,
    folder: &'a Path,
    modules: Vec<Module>,
    /// What is asked for, in this order.
    paths: Vec<String>,
    /// SHA-256 of what each twin serves there.
    right: HashMap<String, [Vec<u8>; 2]>,
    twins: Twins,
    /// Carries the checksum database; it never breaks.
    _database_server: FakeUpstream,
    sumdb: String,
}

/// One request of a run.
struct Asked {
    index: usize,
    began: Instant,
    total: Duration,
    good: bool,
}

impl<'a> Lab<'a> {
    fn new(larder: &'a str, folder: &'a Path, requests: usize) -> Self {
        let mut modules = Vec::new();
        let mut paths = Vec::new();
        for index in 0..requests {
            let module = Module::new(&format!("faults.example/m{index:05}"), "v1.0.0");
            let is_large = index % LARGE_EVERY == LARGE_EVERY / 2;
            // From 1 to 60 kB, as most modules are.
            let len_bytes = if is_large {
                LARGE_BYTES
            } else {
                1000 + index * 7919 % 60_000
            };
            let module = module.incompressible(len_bytes);
            let kind = match index % 3 {
                _ if is_large => "zip",
                0 => "info",
                1 => "mod",
                _ => "zip",
            };
            paths.push(module.url_path(kind));
            modules.push(module);
        }
        let link = |delay| Link {
            delay,
            ..Link::default()
        };
        let mut twins = Twins::start(&modules, link(SECOND_DELAY));
        twins.first.set_usual(link(FIRST_DELAY));

        let database = FakeSumdb::new("sum.faults.example");
        for module in &modules {
            database.add_module(module);
        }
        let sumdb_key = database.verifier_key();
        let server = FakeUpstream::start();
        server.mount("/sumdb/", move |path| database.mounted(path));
        let sumdb = format!("{sumdb_key} {}/sumdb", server.url());

        let mut lab = Self {
            larder,
            folder,
            modules,
            paths,
            right: HashMap::new(),
            twins,
            _database_server: server,
            sumdb,
        };
        lab.learn_what_is_right();
        lab
    }

    fn learn_what_is_right(&mut self) {
        for path in &self.paths {
            let sums = [&self.twins.first, &self.twins.second].map(|twin| {
                let mut client = Client::new(twin.upstream.address(), CLIENT_PATIENCE);
                let reply = client.get(path);
                assert!(reply.is_good(), "{path}: {:?}", reply.status);
                reply.sha256
            });
            self.right.insert(path.clone(), sums);
        }
    }

    fn fault_at(&self) -> usize {
        self.paths.len() * FAULT_AT_PERCENT / 100
    }

    fn detection_requests(&self) -> usize {
        self.paths.len() * DETECTION_PERCENT / 100
    }

    /// The first request after the detection phase.
    fn detected_at(&self) -> usize {
        self.fault_at() + self.detection_requests()
    }

    fn is_large(&self, index: usize) -> bool {
        index % LARGE_EVERY == LARGE_EVERY / 2
    }

    /// A Larder with an empty folder over a group of these upstreams; `None` where it refuses the mode.
    fn start(&self, urls: &[String], mode: &str) -> Option<Larder> {
        let cache = self.folder.join("store");
        if cache.exists() {
            std::fs::remove_dir_all(&cache).unwrap();
        }
        let file = self.folder.join("larder.toml");
        let text =
            format!("[[upstream]]\nurls = {urls:?}\nmode = \"{mode}\"\nfallback = \"any\"\n");
        std::fs::write(&file, text).unwrap();
        for twin in [&self.twins.first, &self.twins.second] {
            twin.heal();
            twin.upstream.forget_requests();
        }
        let stall_timeout = STALL_TIMEOUT.as_secs().to_string();
        let builder = Larder::builder(self.larder)
            .cache_dir(cache)
            .sumdb(&self.sumdb)
            .args(["--config".as_ref(), file.as_os_str()])
            .args(["--stall-timeout", &stall_timeout, "--access-log", "off"])
            .args(["--fresh", "1"]);
        match builder.try_start() {
            Ok(larder) => Some(larder),
            Err(exited) if exited.stderr.contains("mode") => {
                eprintln!("faults: mode {mode}: {}", exited.stderr.trim());
                None
            }
            Err(exited) => panic!("larder did not start: {}", exited.stderr),
        }
    }

    fn upstream_requests(&self) -> usize {
        self.twins.first.upstream.total() + self.twins.second.upstream.total()
    }

    fn alone(&self) -> Alone {
        let larder = self
            .start(&[self.twins.second.url()], "order")
            .expect("a group of one");
        let asked = self.ask_everything(&larder, || {});
        let after = self.times(&asked, |asked| asked.index >= self.detected_at());
        Alone {
            p50_ms: percentile(&after, 50.0),
            p99_ms: percentile(&after, 99.0),
            upstream_requests: self.upstream_requests(),
            errors: asked.iter().filter(|asked| !asked.good).count(),
        }
    }

    fn run(
        &self,
        mode: &'static str,
        (name, fault): (&'static str, Fault),
        round: usize,
        alone: &Alone,
    ) -> Option<Run> {
        let urls = [self.twins.first.url(), self.twins.second.url()];
        let larder = self.start(&urls, mode)?;
        let broke_at = Mutex::new(Instant::now());
        let mut asked = self.ask_everything(&larder, || {
            self.twins.first.break_with(fault);
            *broke_at.lock() = Instant::now();
        });
        let broke_at = *broke_at.lock();
        asked.sort_by_key(|asked| asked.began);

        let detecting =
            |asked: &&Asked| (self.fault_at()..self.detected_at()).contains(&asked.index);
        let detection_end = asked
            .iter()
            .filter(detecting)
            .map(|asked| asked.began + asked.total)
            .max();
        let after = self.times(&asked, |asked| asked.index >= self.detected_at());
        let (p50_ms, p99_ms) = (percentile(&after, 50.0), percentile(&after, 99.0));
        let failed = |of: &dyn Fn(&&Asked) -> bool| {
            let failed = asked.iter().filter(|asked| !asked.good);
            failed.filter(of).count()
        };
        let in_flight =
            |asked: &Asked| asked.began < broke_at && asked.began + asked.total > broke_at;
        let from_fault = |began: Instant| match began.checked_duration_since(broke_at) {
            Some(after) => milliseconds(after),
            None => -milliseconds(broke_at.duration_since(began)),
        };
        let point = |bucket: &[Asked]| {
            let times = self.times(bucket, |_| true);
            Point {
                from_fault_ms: from_fault(bucket[0].began),
                p50_ms: percentile(&times, 50.0),
                worst_ms: worst(&times),
            }
        };
        Some(Run {
            mode,
            fault: name,
            round,
            p50_ms,
            p99_ms,
            p50_ratio: p50_ms / alone.p50_ms,
            p99_ratio: p99_ms / alone.p99_ms,
            detection_ms: detection_end.map_or(0.0, |end| {
                milliseconds(end.saturating_duration_since(broke_at))
            }),
            detection_worst_ms: worst(&self.times(&asked, |asked| detecting(&asked))),
            worst_after_ms: worst(&after),
            extra_requests_percent: (self.upstream_requests() as f64
                / alone.upstream_requests as f64
                - 1.0)
                * 100.0,
            errors_small: failed(&|asked| !self.is_large(asked.index)),
            errors_large: failed(&|asked| self.is_large(asked.index) && !in_flight(asked)),
            errors_large_in_flight: failed(&|asked| self.is_large(asked.index) && in_flight(asked)),
            timeline: asked.chunks(BUCKET).map(point).collect(),
        })
    }

    fn times(&self, asked: &[Asked], of: impl Fn(&Asked) -> bool) -> Vec<f64> {
        let of_those = asked.iter().filter(|asked| of(asked));
        of_those.map(|asked| milliseconds(asked.total)).collect()
    }

    /// Asks for every path once; `break_it` runs before the request at which the fault begins.
    fn ask_everything(&self, larder: &Larder, break_it: impl Fn() + Sync) -> Vec<Asked> {
        let next = AtomicUsize::new(0);
        let all = Mutex::new(Vec::with_capacity(self.paths.len()));
        std::thread::scope(|scope| {
            for _ in 0..CONCURRENCY {
                scope.spawn(|| {
                    let mut client = Client::new(larder.address(), CLIENT_PATIENCE);
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(path) = self.paths.get(index) else {
                            return;
                        };
                        if index == self.fault_at() {
                            break_it();
                        }
                        let reply = client.get(path);
                        let good = self.is_right(path, &reply);
                        if !good {
                            eprintln!(
                                "faults: {path}: status {:?}, {} bytes after {:?}",
                                reply.status, reply.body_bytes, reply.total
                            );
                        }
                        all.lock().push(Asked {
                            index,
                            began: reply.began,
                            total: reply.total,
                            good,
                        });
                    }
                });
            }
        });
        all.into_inner()
    }

    fn is_right(&self, path: &str, reply: &Reply) -> bool {
        reply.is_good() && self.right[path].contains(&reply.sha256)
    }

    /// Fills a store, remembers some lists, and takes both upstreams away.
    fn both_die(&self, name: &'static str, fault: Fault) -> Option<BothDie> {
        const ANSWERS: usize = 25;
        let urls = [self.twins.first.url(), self.twins.second.url()];
        let larder = self
            .start(&urls, "hedge")
            .or_else(|| self.start(&urls, "order"))?;
        self.ask_everything(&larder, || {});
        let mut client = Client::new(larder.address(), CLIENT_PATIENCE);
        let answers: Vec<String> = self.modules[..ANSWERS.min(self.modules.len())]
            .iter()
            .flat_map(|module| [module.about("@v/list"), module.about("@latest")])
            .collect();
        for path in &answers {
            assert!(client.get(path).is_good(), "{path} while all is well");
        }
        for twin in [&self.twins.first, &self.twins.second] {
            twin.break_with(fault);
        }
        // Answers are fresh for a second here; what is asked for later must be told as stale.
        std::thread::sleep(Duration::from_millis(2100));

        let cached = self.ask_everything(&larder, || {});
        let stale = answers.iter().filter(|path| {
            let reply = client.get(path);
            let age = reply.header("age").and_then(|age| age.parse::<u64>().ok());
            reply.is_good() && age.is_some_and(|age| age >= 1)
        });
        let answers_stale_with_age = stale.count();
        let first = ask_for_missing(&larder, "first");
        let later = ask_for_missing(&larder, "later");
        let is_told = |reply: &&Reply| matches!(reply.status, Some(502..=504));
        Some(BothDie {
            fault: name,
            cached_asked: cached.len(),
            cached_errors: cached.iter().filter(|asked| !asked.good).count(),
            answers_asked: answers.len(),
            answers_stale_with_age,
            misses_asked: first.len() + later.len(),
            misses_502_to_504: first.iter().chain(&later).filter(is_told).count(),
            misses_worst_ms: slowest_ms(&first),
            later_misses_worst_ms: slowest_ms(&later),
        })
    }
}

/// Zips that no store has, all at once.
fn ask_for_missing(larder: &Larder, when: &str) -> Vec<Reply> {
    const MISSES: usize = 32;
    let replies = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for number in 0..MISSES {
            let (replies, address) = (&replies, larder.address());
            scope.spawn(move || {
                let path = format!("/missing.example/{when}{number}/@v/v1.0.0.zip");
                let reply = Client::new(address, CLIENT_PATIENCE).get(&path);
                replies.lock().push(reply);
            });
        }
    });
    replies.into_inner()
}

fn slowest_ms(replies: &[Reply]) -> f64 {
    let times: Vec<f64> = replies
        .iter()
        .map(|reply| milliseconds(reply.total))
        .collect();
    worst(&times)
}
