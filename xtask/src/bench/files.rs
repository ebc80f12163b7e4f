//! Cached files under load: each size from nginx and from Larder in turns, so that whatever else this
//! machine does meets both.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::corpus::{self, Sample};
use super::load::{self, CONNECTIONS};
use super::nginx::{AccessLog, Nginx};
use super::{median, start_larder};
use crate::larder::{Larder, Usage};
use crate::{Outcome, http};

const ROUNDS: usize = 5;
/// How long one server is asked for one file in one round.
const CELL: Duration = Duration::from_millis(1500);

/// All rounds of one server with one file.
#[derive(Serialize)]
pub(super) struct Cell {
    server: &'static str,
    file: &'static str,
    bytes: u64,
    rounds: Vec<Round>,
}

#[derive(Serialize)]
struct Round {
    requests: u64,
    seconds: f64,
    server_cpu_us: u64,
}

impl Cell {
    fn requests_per_second(&self) -> f64 {
        median(
            self.rounds
                .iter()
                .map(|round| float(round.requests) / round.seconds)
                .collect(),
        )
    }

    fn cpu_us_per_request(&self) -> f64 {
        median(
            self.rounds
                .iter()
                .map(|round| float(round.server_cpu_us) / float(round.requests.max(1)))
                .collect(),
        )
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of one run are far below 2^53"
)]
fn float(count: u64) -> f64 {
    count as f64
}

enum Server {
    Nginx(Nginx),
    Larder(Larder),
}

impl Server {
    fn address(&self) -> Outcome<SocketAddr> {
        match self {
            Self::Nginx(nginx) => Ok(nginx.address),
            Self::Larder(larder) => Ok(http::split(&larder.url)?.0.parse()?),
        }
    }

    fn usage(&self) -> Outcome<Usage> {
        match self {
            Self::Nginx(nginx) => nginx.usage(),
            Self::Larder(larder) => larder.usage(),
        }
    }
}

/// The arguments of a Larder that writes no line for a request.
const QUIET: &[&str] = &["--access-log", "off"];

const NGINX: &str = "nginx";
const NGINX_LOGGED: &str = "nginx, access log";
const LARDER: &str = "larder";
const LARDER_LOGGED: &str = "larder, access log";

/// nginx and Larder, each with and without access log, over the folder that Larder filled.
pub(super) fn measure(binary: &Path, work: &Path) -> Outcome<Vec<Cell>> {
    let origin = work.join("origin");
    let samples = corpus::write(&origin)?;
    let store = work.join("store");
    fill(binary, &origin, &store, &samples, work)?;

    let served = store.join("download");
    let offline = ["--offline", "--upstream", "off", "--sumdb", "off"];
    let quiet: Vec<&str> = offline.iter().chain(QUIET).copied().collect();
    let servers = [
        (
            NGINX,
            Server::Nginx(Nginx::start(&served, &work.join("nginx"), AccessLog::Off)?),
        ),
        (
            LARDER,
            Server::Larder(start_larder(
                binary,
                &quiet,
                &store,
                &work.join("larder.log"),
            )?),
        ),
        (
            NGINX_LOGGED,
            Server::Nginx(Nginx::start(
                &served,
                &work.join("nginx-logged"),
                AccessLog::On,
            )?),
        ),
        (
            LARDER_LOGGED,
            Server::Larder(start_larder(
                binary,
                &offline,
                &store,
                &work.join("larder-logged.log"),
            )?),
        ),
    ];
    rounds(&servers, &samples)
}

/// The peer alone: does the harness see what is known of nginx?
pub(super) fn measure_nginx_alone(work: &Path) -> Outcome<Vec<Cell>> {
    let origin = work.join("origin");
    let samples = corpus::write(&origin)?;
    let servers = [
        (
            NGINX,
            Server::Nginx(Nginx::start(&origin, &work.join("nginx"), AccessLog::Off)?),
        ),
        (
            NGINX_LOGGED,
            Server::Nginx(Nginx::start(
                &origin,
                &work.join("nginx-logged"),
                AccessLog::On,
            )?),
        ),
    ];
    rounds(&servers, &samples)
}

/// Brings the samples into a store as any client would, from a folder as the upstream.
fn fill(binary: &Path, origin: &Path, store: &Path, samples: &[Sample], work: &Path) -> Outcome {
    let upstream = format!("file://{}", origin.display());
    let larder = start_larder(
        binary,
        &["--upstream", &upstream, "--sumdb", "off"],
        store,
        &work.join("fill.log"),
    )?;
    for sample in samples {
        http::get(&format!("{}{}", larder.url, sample.path))?;
    }
    larder.stop()?;
    for sample in samples {
        let path = sample.path.trim_start_matches('/');
        if fs_err::read(store.join("download").join(path))? != fs_err::read(origin.join(path))? {
            return Err(format!("{path} is not in the store as it was served").into());
        }
    }
    Ok(())
}

fn rounds(servers: &[(&'static str, Server)], samples: &[Sample]) -> Outcome<Vec<Cell>> {
    let mut cells: Vec<Cell> = samples
        .iter()
        .flat_map(|sample| {
            servers.iter().map(|(server, _)| Cell {
                server,
                file: sample.name,
                bytes: sample.bytes,
                rounds: Vec::new(),
            })
        })
        .collect();
    for round in 0..=ROUNDS {
        // Round 0 warms caches and is not kept.
        let time = if round == 0 { CELL / 5 } else { CELL };
        println!("files: round {round} of {ROUNDS}");
        for (index, cell) in cells.iter_mut().enumerate() {
            let (sample, (name, server)) = (
                &samples[index / servers.len()],
                &servers[index % servers.len()],
            );
            let before = server.usage()?.cpu;
            let answered = load::run(server.address()?, &sample.path, sample.bytes, time)
                .map_err(|error| format!("{name}, {}: {error}", sample.name))?;
            let cpu = server.usage()?.cpu.saturating_sub(before);
            if round > 0 {
                cell.rounds.push(Round {
                    requests: answered.requests,
                    seconds: answered.elapsed.as_secs_f64(),
                    server_cpu_us: u64::try_from(cpu.as_micros())?,
                });
            }
        }
    }
    Ok(cells)
}

/// A table for each way of logging: Larder's figures beside nginx's, and their ratio.
pub(super) fn report(cells: &[Cell]) -> String {
    let mut text = format!(
        "\n### Cached files\n\n{CONNECTIONS} keep-alive connections from one process with two threads, {ROUNDS} rounds in turns of {} ms, medians. \
         Server CPU is user and system time of all its processes. Goal: on `.info`, `.mod` and 100 kB at least as good as nginx \
         (ratio of CPU ≤ 1).\n",
        CELL.as_millis()
    );
    for (title, peer, ours) in [
        ("without access log", NGINX, LARDER),
        ("with access log", NGINX_LOGGED, LARDER_LOGGED),
    ] {
        let _ = write!(
            text,
            "\n| {title} | nginx req/s | larder req/s | ratio | nginx µs CPU | larder µs CPU | ratio |\n|---|---|---|---|---|---|---|\n"
        );
        for nginx in cells.iter().filter(|cell| cell.server == peer) {
            let larder = cells
                .iter()
                .find(|cell| cell.server == ours && cell.file == nginx.file);
            let (rate, cpu) = (nginx.requests_per_second(), nginx.cpu_us_per_request());
            let _ = match larder {
                None => writeln!(
                    text,
                    "| {} | {rate:.0} | – | – | {cpu:.1} | – | – |",
                    nginx.file
                ),
                Some(larder) => {
                    let (our_rate, our_cpu) =
                        (larder.requests_per_second(), larder.cpu_us_per_request());
                    writeln!(
                        text,
                        "| {} | {rate:.0} | {our_rate:.0} | {:.2} | {cpu:.1} | {our_cpu:.1} | {:.2} |",
                        nginx.file,
                        our_rate / rate,
                        our_cpu / cpu
                    )
                }
            };
        }
    }
    text
}
