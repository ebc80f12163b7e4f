//! Everything at once for some minutes: hits, misses, faults of one upstream, evictions at a small limit.
//!
//! What no client may see: an answer that is not 200, a body that breaks off, or bytes that neither upstream has. The
//! one exception is a file above 8 MiB that was under way when a fault began, since such files are released before
//! they are whole. One upstream at a time is broken, so everything else can be had from the other one.

use crate::client::Client;
use crate::figures::{Process, percentile};
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use testkit::{FakeSumdb, FakeUpstream, Fault, Larder, Link, Module, Twins};

const CLIENTS: usize = 8;
const MODULES: usize = 600;
const LARGE_MODULES: usize = 4;
const LARGE_BYTES: usize = 9 << 20;
/// Half of what the modules take, so that eviction never rests.
const CACHE_BYTES: u64 = 64 << 20;
const MEMORY_BYTES: u64 = 4 << 20;
const STALL_TIMEOUT_S: u64 = 2;
/// A fault begins so often and lasts half of that.
const FAULT_EVERY: Duration = Duration::from_secs(6);
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
const CLIENT_PATIENCE: Duration = Duration::from_secs(60);
const FAULTS: &[Fault] = &[
    Fault::Stall,
    Fault::Reset,
    Fault::Trickle,
    Fault::ServerError,
    Fault::Lie,
    Fault::Refuse,
];

#[derive(Serialize)]
pub(crate) struct Soak {
    seconds: u64,
    mode: &'static str,
    /// Whether this Larder has a limit on its folder.
    evicts: bool,
    requests: u64,
    errors: u64,
    /// The first of them.
    error_samples: Vec<String>,
    errors_large_in_flight: u64,
    faults: u64,
    /// Of the second fifth of the time, and of the last one.
    resident_bytes: [u64; 2],
    descriptors: [u64; 2],
    peak_bytes: u64,
    folder_bytes_worst: u64,
    evicted_files: Option<u64>,
    files_after: usize,
    /// Files of the folder that are not what one of the upstreams has.
    files_wrong_after: usize,
    /// What `larder cache verify` said, where there is that command.
    verify: Option<String>,
}

struct Sample {
    resident_bytes: u64,
    descriptors: u64,
}

pub(crate) fn measure(binary: &str, folder: &Path, seconds: u64) -> Soak {
    let modules = modules();
    let paths: Vec<(String, bool)> = modules
        .iter()
        .enumerate()
        .flat_map(|(index, module)| {
            let is_large = index < LARGE_MODULES;
            ["info", "mod", "zip"].map(|kind| (module.url_path(kind), is_large && kind == "zip"))
        })
        .collect();
    let link = |milliseconds| Link {
        delay: Duration::from_millis(milliseconds),
        ..Link::default()
    };
    let mut twins = Twins::start(&modules, link(2));
    twins.first.set_usual(link(1));
    twins.first.heal();
    let right = what_is_right(&paths, &twins);
    let database = FakeSumdb::new("sum.soak.example");
    for module in &modules {
        database.add_module(module);
    }
    let key = database.verifier_key();
    let server = FakeUpstream::start();
    server.mount("/sumdb/", move |path| database.mounted(path));
    let sumdb = format!("{key} {}/sumdb", server.url());

    let cache = folder.join("soak");
    let (larder, mode, evicts) = start(binary, folder, &cache, &twins, &sumdb);
    let process = Process(larder.process_id());
    let ends = Instant::now() + Duration::from_secs(seconds);
    let running = AtomicBool::new(true);
    let began = Instant::now();
    // When the last fault began, and when it had taken hold.
    let broke_at = Mutex::new(None::<(Instant, Option<Instant>)>);
    let (requests, errors, in_flight_errors, faults) = (
        AtomicU64::new(0),
        AtomicU64::new(0),
        AtomicU64::new(0),
        AtomicU64::new(0),
    );
    let error_samples = Mutex::new(Vec::new());
    let mut samples = Vec::new();
    let mut folder_bytes_worst = 0;
    std::thread::scope(|scope| {
        for worker in 0..CLIENTS {
            let (paths, right, address) = (&paths, &right, larder.address());
            let (running, broke_at, error_samples) = (&running, &broke_at, &error_samples);
            let (requests, errors, in_flight_errors) = (&requests, &errors, &in_flight_errors);
            scope.spawn(move || {
                let mut client = Client::new(address, CLIENT_PATIENCE);
                let mut choice = Choice::new(worker);
                while running.load(Ordering::Relaxed) {
                    let (path, is_large) = &paths[choice.next(paths.len())];
                    let reply = client.get(path);
                    requests.fetch_add(1, Ordering::Relaxed);
                    if reply.is_good() && right[path].contains(&reply.sha256) {
                        continue;
                    }
                    let ended = reply.began + reply.total;
                    let broke = *broke_at.lock();
                    let was_under_way = broke.is_some_and(|(begins, holds)| {
                        begins < ended && holds.is_none_or(|holds| reply.began < holds)
                    });
                    if *is_large && was_under_way {
                        in_flight_errors.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    errors.fetch_add(1, Ordering::Relaxed);
                    let mut samples = error_samples.lock();
                    if samples.len() < 20 {
                        samples.push(format!(
                            "{path}: asked {:.3} s after the start, status {:?}, {} bytes, complete: {}, after {:?}; \
                             the last fault was {:?} ago",
                            (reply.began - began).as_secs_f64(),
                            reply.status,
                            reply.body_bytes,
                            reply.complete,
                            reply.total,
                            broke.map(|(begins, _)| begins.elapsed()),
                        ));
                    }
                }
            });
        }
        // Faults of one twin after the other, each followed by as much quiet.
        scope.spawn(|| {
            let twins = [&twins.first, &twins.second];
            for number in 0.. {
                let (twin, fault) = (twins[number % 2], FAULTS[number % FAULTS.len()]);
                if !sleep_while(&running, FAULT_EVERY / 2) {
                    return;
                }
                let begins = Instant::now();
                *broke_at.lock() = Some((begins, None));
                twin.break_with(fault);
                *broke_at.lock() = Some((begins, Some(Instant::now())));
                faults.fetch_add(1, Ordering::Relaxed);
                let goes_on = sleep_while(&running, FAULT_EVERY / 2);
                twin.heal();
                if !goes_on {
                    return;
                }
            }
        });
        while Instant::now() < ends {
            std::thread::sleep(SAMPLE_EVERY);
            samples.push(Sample {
                resident_bytes: process.resident_bytes(),
                descriptors: process.descriptors() as u64,
            });
            folder_bytes_worst = folder_bytes_worst.max(folder_bytes(&cache.join("download")));
        }
        running.store(false, Ordering::Relaxed);
    });

    let evicted_files = metric(&larder, "larder_evicted_files_total");
    let peak_bytes = larder.peak_memory_bytes();
    let (exited, builder) = larder.terminate();
    assert!(exited.status.success(), "{}", exited.stderr);
    let (files_after, files_wrong_after) = check_folder(&cache.join("download"), &right);
    let help = builder.clone().run(&["cache", "verify", "--help"]);
    let verify = help.status.success().then(|| {
        let folder = cache.to_str().unwrap();
        let said = builder.run(&["cache", "verify", "--cache-dir", folder]);
        format!(
            "{}: {} {}",
            said.status,
            said.stdout.trim(),
            said.stderr.trim()
        )
    });
    let median = |fifth: usize, value: fn(&Sample) -> u64| {
        let length = samples.len() / 5;
        let part = samples.iter().skip(fifth * length).take(length);
        percentile(
            &part.map(|sample| value(sample) as f64).collect::<Vec<_>>(),
            50.0,
        ) as u64
    };
    let early_and_late = |value| [median(1, value), median(4, value)];
    Soak {
        seconds,
        mode,
        evicts,
        requests: requests.into_inner(),
        errors: errors.into_inner(),
        error_samples: error_samples.into_inner(),
        errors_large_in_flight: in_flight_errors.into_inner(),
        faults: faults.into_inner(),
        resident_bytes: early_and_late(|sample| sample.resident_bytes),
        descriptors: early_and_late(|sample| sample.descriptors),
        peak_bytes,
        folder_bytes_worst,
        evicted_files,
        files_after,
        files_wrong_after,
        verify,
    }
}

fn modules() -> Vec<Module> {
    let module = |index: usize| {
        let len_bytes = if index < LARGE_MODULES {
            LARGE_BYTES
        } else {
            // Up to 300 kB, 150 on average.
            1000 + index * 104_729 % 300_000
        };
        Module::new(&format!("soak.example/m{index:04}"), "v1.0.0").incompressible(len_bytes)
    };
    (0..MODULES).map(module).collect()
}

/// SHA-256 of what each twin serves at each path.
fn what_is_right(paths: &[(String, bool)], twins: &Twins) -> HashMap<String, [Vec<u8>; 2]> {
    let mut clients = [&twins.first, &twins.second]
        .map(|twin| Client::new(twin.upstream.address(), CLIENT_PATIENCE));
    let sums = |path: &str| clients.each_mut().map(|client| client.get(path).sha256);
    let mut sums = sums;
    paths
        .iter()
        .map(|(path, _)| (path.clone(), sums(path)))
        .collect()
}

/// With the newest that this Larder knows: hedging, else order; with a limit on its folder, else without.
fn start(
    binary: &str,
    folder: &Path,
    cache: &Path,
    twins: &Twins,
    sumdb: &str,
) -> (Larder, &'static str, bool) {
    let file = folder.join("soak.toml");
    let memory = MEMORY_BYTES.to_string();
    let limit = CACHE_BYTES.to_string();
    let stall_timeout = STALL_TIMEOUT_S.to_string();
    let mut refusals = Vec::new();
    for (mode, evicts) in [
        ("hedge", true),
        ("hedge", false),
        ("order", true),
        ("order", false),
    ] {
        if cache.exists() {
            std::fs::remove_dir_all(cache).unwrap();
        }
        let urls = [twins.first.url(), twins.second.url()];
        let text =
            format!("[[upstream]]\nurls = {urls:?}\nmode = \"{mode}\"\nfallback = \"any\"\n");
        std::fs::write(&file, text).unwrap();
        let mut builder = Larder::builder(binary)
            .cache_dir(cache)
            .sumdb(sumdb)
            .args(["--config".as_ref(), file.as_os_str()])
            .args(["--memory", &memory, "--access-log", "off"])
            .args(["--stall-timeout", &stall_timeout]);
        if evicts {
            builder = builder.args(["--cache-limit", &limit]);
        }
        match builder.try_start() {
            Ok(larder) => return (larder, mode, evicts),
            Err(exited) => refusals.push(exited.stderr),
        }
    }
    panic!("larder did not start: {refusals:#?}");
}

/// False when it is over before the time.
fn sleep_while(running: &AtomicBool, time: Duration) -> bool {
    let until = Instant::now() + time;
    while Instant::now() < until {
        if !running.load(Ordering::Relaxed) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Half of the requests are for a tenth of the paths.
struct Choice(u64);

impl Choice {
    fn new(worker: usize) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ (worker as u64 + 1))
    }

    fn next(&mut self, paths: usize) -> usize {
        let hot = self.draw().is_multiple_of(2);
        let among = if hot { paths / 10 } else { paths };
        self.draw() as usize % among.max(1)
    }

    /// xorshift64*.
    fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
}

/// The sum of all counters whose names begin so.
fn metric(larder: &Larder, beginning: &str) -> Option<u64> {
    let answer = larder.get("/-/metrics");
    let text = answer.text();
    let values = text.lines().filter(|line| line.starts_with(beginning));
    let values: Vec<f64> = values
        .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
        .collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() as u64)
}

fn files(folder: &Path) -> Vec<(std::path::PathBuf, u64)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        // Eviction removes files while this looks.
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => found.push((entry.path(), metadata.len())),
                Err(_) => {}
            }
        }
    }
    found
}

fn folder_bytes(folder: &Path) -> u64 {
    files(folder).iter().map(|(_, len_bytes)| len_bytes).sum()
}

/// How many module files the folder holds, and how many of them are wrong.
fn check_folder(folder: &Path, right: &HashMap<String, [Vec<u8>; 2]>) -> (usize, usize) {
    let (mut count, mut wrong) = (0, 0);
    for (file, _) in files(folder) {
        let path = format!("/{}", file.strip_prefix(folder).unwrap().display());
        let Some(sums) = right.get(&path) else {
            // Lists.
            continue;
        };
        let content = std::fs::read(&file).unwrap();
        let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &content);
        count += 1;
        if !sums.iter().any(|right| right == sum.as_ref()) {
            wrong += 1;
        }
    }
    (count, wrong)
}
