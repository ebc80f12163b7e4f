//! Cached files under load: each size from nginx and from Larder in turns, so that whatever else this
//! machine does meets both. Over plain HTTP/1.1 with 32 and with 512 connections, and over TLS 1.3 with HTTP/2.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::corpus::{self, Sample};
use super::generator;
use super::nginx::{AccessLog, Nginx};
use super::program::{Listening, Program, at_least, at_most};
use super::{median, start_larder};
use crate::larder::{Larder, Usage};
use crate::{Outcome, http};

const ROUNDS: usize = 5;
/// How long one server is asked for one file in one round.
const CELL: Duration = Duration::from_millis(1000);

/// How both servers are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Setting {
    /// 32 connections, both access logs on.
    Logged,
    /// 32 connections, no access logs.
    Quiet,
    /// 512 connections, both access logs on.
    Crowded,
    /// HTTP/2 over TLS 1.3, both access logs on.
    Http2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Peer {
    Nginx,
    Larder,
    /// A server that does the least that one can, for small files without access logs.
    Floor,
}

/// All rounds of one server with one file.
#[derive(Serialize)]
pub(super) struct Cell {
    setting: Setting,
    peer: Peer,
    file: &'static str,
    bytes: u64,
    rounds: Vec<Round>,
}

#[derive(Serialize)]
struct Round {
    requests: u64,
    seconds: f64,
    server_cpu_us: u64,
    generator_cpu_us: u64,
}

const SETTINGS: &[(Setting, &str)] = &[
    (Setting::Logged, "32 connections, access logs on"),
    (Setting::Quiet, "32 connections, access logs off"),
    (Setting::Crowded, "512 connections, access logs on"),
    (
        Setting::Http2,
        "TLS 1.3 with HTTP/2: 8 connections of 4 streams, access logs on",
    ),
];

impl Setting {
    /// By the name that a command line gives it.
    ///
    /// # Errors
    /// A name that no setting has.
    pub(super) fn named(name: &str) -> Outcome<Self> {
        match name {
            "logged" => Ok(Self::Logged),
            "quiet" => Ok(Self::Quiet),
            "crowded" => Ok(Self::Crowded),
            "http2" => Ok(Self::Http2),
            _ => Err(format!("no setting `{name}`: logged, quiet, crowded, http2").into()),
        }
    }

    /// Keep-alive connections of the plain load generator.
    fn connections(self) -> usize {
        match self {
            Self::Logged | Self::Quiet | Self::Http2 => 32,
            Self::Crowded => 512,
        }
    }

    /// The most that Larder's CPU may be of nginx's, for one request of this file; the goal for throughput is 1 in each.
    fn cpu_goal(self, file: &str) -> Option<f64> {
        match self {
            Self::Logged if is_small(file) => Some(0.8),
            Self::Quiet if is_small(file) => Some(0.65),
            Self::Logged if file == "100 kB zip" => Some(0.8),
            Self::Logged => Some(1.0),
            Self::Quiet | Self::Crowded | Self::Http2 => None,
        }
    }
}

fn is_small(file: &str) -> bool {
    matches!(file, ".info" | ".mod")
}

impl Cell {
    fn median_of(&self, value: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(value).collect())
    }

    fn requests_per_second(&self) -> f64 {
        self.median_of(|round| float(round.requests) / round.seconds)
    }

    fn cpu_us_per_request(&self) -> f64 {
        self.median_of(|round| float(round.server_cpu_us) / float(round.requests.max(1)))
    }

    /// Of one core.
    fn generator_share(&self) -> f64 {
        self.median_of(|round| float(round.generator_cpu_us) / 1e6 / round.seconds)
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
    Floor(Listening),
}

impl Server {
    fn peer(&self) -> Peer {
        match self {
            Self::Nginx(_) => Peer::Nginx,
            Self::Larder(_) => Peer::Larder,
            Self::Floor(_) => Peer::Floor,
        }
    }

    fn address(&self) -> Outcome<SocketAddr> {
        match self {
            Self::Nginx(nginx) => Ok(nginx.address),
            Self::Larder(Larder { url, .. }) | Self::Floor(Listening { url, .. }) => {
                let (_, authority) = url.split_once("://").ok_or("no URL")?;
                Ok(authority.parse()?)
            }
        }
    }

    fn usage(&self) -> Outcome<Usage> {
        match self {
            Self::Nginx(nginx) => nginx.usage(),
            Self::Larder(larder) => larder.usage(),
            Self::Floor(floor) => floor.usage(),
        }
    }
}

/// What asks.
struct Load<'a> {
    program: &'a Program,
    authority: String,
}

/// What one cell of one round gave.
#[derive(Deserialize)]
struct Answered {
    requests: u64,
    seconds: f64,
    client_cpu_us: u64,
}

/// nginx and Larder in one setting or in every one, over the folder that Larder filled.
pub(super) fn measure(
    program: &Program,
    binary: &Path,
    work: &Path,
    only: Option<Setting>,
) -> Outcome<Vec<Cell>> {
    let origin = work.join("origin");
    let samples = corpus::write(&origin)?;
    let store = work.join("store");
    fill(binary, &origin, &store, &samples, work)?;
    let _: serde_json::Value = program.measure(&["certificate", &work.to_string_lossy()])?;
    let (certificate, key) = (work.join("leaf.pem"), work.join("leaf.key"));

    let served = store.join("download");
    let nginx = |name: &str, log: AccessLog, tls: bool| -> Outcome<Server> {
        let certificate = tls.then_some((certificate.as_path(), key.as_path()));
        let nginx = Nginx::start(&served, &work.join(name), log, certificate)?;
        Ok(Server::Nginx(nginx))
    };
    let larder = |name: &str, more: &[&str]| -> Outcome<Server> {
        let offline = ["--offline", "--upstream", "off", "--sumdb", "off"];
        let arguments: Vec<&str> = offline.iter().chain(more).copied().collect();
        let log = work.join(format!("{name}.log"));
        Ok(Server::Larder(start_larder(
            binary, &arguments, &store, &log,
        )?))
    };
    let (certificate_text, key_text) = (certificate.to_string_lossy(), key.to_string_lossy());
    let tls = ["--tls-cert", &certificate_text, "--tls-key", &key_text];
    let small: Vec<&str> = samples
        .iter()
        .filter(|sample| is_small(sample.name))
        .map(|sample| sample.path.as_str())
        .collect();
    let logged = vec![
        nginx("nginx-logged", AccessLog::On, false)?,
        larder("larder-logged", &[])?,
    ];
    let quiet = vec![
        nginx("nginx", AccessLog::Off, false)?,
        larder("larder", &["--access-log", "off"])?,
        Server::Floor(program.floor(&served, &small)?),
    ];
    let over_tls = vec![
        nginx("nginx-tls", AccessLog::On, true)?,
        larder("larder-tls", &tls)?,
    ];
    let mut servers = vec![
        (Setting::Logged, &logged),
        (Setting::Quiet, &quiet),
        (Setting::Crowded, &logged),
        (Setting::Http2, &over_tls),
    ];
    servers.retain(|(setting, _)| only.is_none_or(|only| only == *setting));
    let load = Load {
        program,
        authority: work.join("ca.pem").to_string_lossy().into_owned(),
    };
    rounds(&load, &servers, &samples)
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

fn rounds(
    load: &Load<'_>,
    servers: &[(Setting, &Vec<Server>)],
    samples: &[Sample],
) -> Outcome<Vec<Cell>> {
    let mut cells = Vec::new();
    for (setting, of_setting) in servers {
        for sample in samples {
            for server in *of_setting {
                let peer = server.peer();
                if peer == Peer::Floor && !is_small(sample.name) {
                    continue;
                }
                let cell = Cell {
                    setting: *setting,
                    peer,
                    file: sample.name,
                    bytes: sample.bytes,
                    rounds: Vec::new(),
                };
                cells.push((cell, sample, server));
            }
        }
    }
    for round in 0..=ROUNDS {
        // Round 0 warms caches and is not kept.
        let time = if round == 0 { CELL / 5 } else { CELL };
        println!("files: round {round} of {ROUNDS}");
        for (cell, sample, server) in &mut cells {
            let before = server.usage()?.cpu;
            let answered = load
                .run(cell.setting, server, sample, time)
                .map_err(|error| format!("{:?}, {}: {error}", cell.peer, sample.name))?;
            let cpu = server.usage()?.cpu.saturating_sub(before);
            if round > 0 {
                cell.rounds.push(Round {
                    requests: answered.requests,
                    seconds: answered.seconds,
                    server_cpu_us: u64::try_from(cpu.as_micros())?,
                    generator_cpu_us: answered.client_cpu_us,
                });
            }
        }
    }
    Ok(cells.into_iter().map(|(cell, ..)| cell).collect())
}

impl Load<'_> {
    fn run(
        &self,
        setting: Setting,
        server: &Server,
        sample: &Sample,
        time: Duration,
    ) -> Outcome<Answered> {
        let address = server.address()?;
        if setting == Setting::Http2 {
            return self.program.measure(&[
                "http2",
                &address.to_string(),
                &self.authority,
                &sample.path,
                &sample.bytes.to_string(),
                &time.as_millis().to_string(),
            ]);
        }
        let connections = setting.connections();
        let answered = generator::run(address, &sample.path, sample.bytes, connections, time)?;
        Ok(Answered {
            requests: answered.requests,
            seconds: answered.elapsed.as_secs_f64(),
            client_cpu_us: u64::try_from(answered.generator_cpu.as_micros())?,
        })
    }
}

/// Larder's figures of one file in one setting, as ratios to nginx's.
pub(super) struct Ratio {
    pub(super) setting: Setting,
    pub(super) file: &'static str,
    pub(super) throughput: f64,
    pub(super) cpu: f64,
}

/// All of them, in the order of the tables.
pub(super) fn ratios(cells: &[Cell]) -> Vec<Ratio> {
    pairs(cells)
        .map(|(nginx, larder)| Ratio {
            setting: nginx.setting,
            file: nginx.file,
            throughput: larder.requests_per_second() / nginx.requests_per_second(),
            cpu: larder.cpu_us_per_request() / nginx.cpu_us_per_request(),
        })
        .collect()
}

fn pairs(cells: &[Cell]) -> impl Iterator<Item = (&Cell, &Cell)> {
    of_peer(cells, Peer::Nginx).zip(of_peer(cells, Peer::Larder))
}

fn of_peer(cells: &[Cell], peer: Peer) -> impl Iterator<Item = &Cell> {
    cells.iter().filter(move |cell| cell.peer == peer)
}

/// A table for each setting: Larder's figures beside nginx's, and their ratio.
pub(super) fn report(cells: &[Cell]) -> String {
    let mut text = format!(
        "\n### Cached files\n\nnginx with `sendfile`, `tcp_nopush`, `open_file_cache` and, where it logs, `buffer=64k`; Larder with metrics and gate. The load comes from one process with \
         two threads, {ROUNDS} rounds in turns of {} ms, medians. Server CPU is user and system time of all its processes. Load CPU is that of the load generator beside nginx \
         and beside Larder, in cores: it has two of them to share with the server.\n",
        CELL.as_millis()
    );
    for (setting, title) in SETTINGS {
        if !cells.iter().any(|cell| cell.setting == *setting) {
            continue;
        }
        let _ = write!(
            text,
            "\n| {title} | nginx req/s | larder req/s | ratio | nginx µs CPU | larder µs CPU | ratio | load CPU |\n|---|---|---|---|---|---|---|---|\n"
        );
        for (nginx, larder) in pairs(cells).filter(|(nginx, _)| nginx.setting == *setting) {
            let (rate, our_rate) = (nginx.requests_per_second(), larder.requests_per_second());
            let (cpu, our_cpu) = (nginx.cpu_us_per_request(), larder.cpu_us_per_request());
            let throughput = if *setting == Setting::Quiet {
                format!("{:.2}", our_rate / rate)
            } else {
                at_least(our_rate / rate, 1.0)
            };
            let cpu_ratio = setting.cpu_goal(nginx.file).map_or_else(
                || format!("{:.2}", our_cpu / cpu),
                |goal| at_most(our_cpu / cpu, goal),
            );
            // Writing to a text cannot fail.
            let _ = writeln!(
                text,
                "| {} | {rate:.0} | {our_rate:.0} | {throughput} | {cpu:.1} | {our_cpu:.1} | {cpu_ratio} | {:.2}, {:.2} |",
                nginx.file,
                nginx.generator_share(),
                larder.generator_share(),
            );
        }
        for floor in of_peer(cells, Peer::Floor).filter(|cell| cell.setting == *setting) {
            let same = |cell: &&Cell| cell.setting == *setting && cell.file == floor.file;
            let Some(nginx) = of_peer(cells, Peer::Nginx).find(same) else {
                continue;
            };
            let _ = write!(
                text,
                "\nThe floor, a server that does nothing but `epoll_wait`, `recv` and `send` of as many bytes, {}: {:.0} req/s, {:.1} µs CPU, {:.2} of nginx's.\n",
                floor.file,
                floor.requests_per_second(),
                floor.cpu_us_per_request(),
                floor.cpu_us_per_request() / nginx.cpu_us_per_request(),
            );
        }
    }
    text
}
