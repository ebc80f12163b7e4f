//! The download of a real graph by the real go command, from an upstream on this machine.
//!
//! The upstream is a second Larder with `--offline` over the folder that `cargo xtask graph` filled: it
//! serves the files and the checksum database that came with them, so the Larder that is measured
//! verifies everything as it would against a public mirror. The go command's module cache is in memory; the
//! store is once in memory and once on disk. nginx over the filled folder is the peer for the warm run: it
//! verifies nothing and cannot fill.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::nginx::{AccessLog, Nginx};
use super::{Work, median, start_larder};
use crate::Outcome;
use crate::graph::{Client, filled_folder};
use crate::larder::Usage;

const ROUNDS: usize = 3;
/// The database whose signed answers the filled folder holds.
const DATABASE: &str = "sum.golang.org";

#[derive(Serialize)]
pub(super) struct Graph {
    rows: Vec<Row>,
}

/// One way to download the graph, all rounds.
#[derive(Serialize)]
struct Row {
    what: String,
    downloads: Vec<Download>,
}

#[derive(Serialize)]
struct Download {
    wall_s: f64,
    server_cpu_s: f64,
    server_peak_mib: u64,
}

pub(super) fn measure(binary: &Path, work: &Work) -> Outcome<Graph> {
    let filled = filled_folder()?;
    if !filled.join("download").is_dir() {
        return Err(
            "there is no filled folder to serve as the upstream: run `cargo xtask graph` first"
                .into(),
        );
    }
    let upstream = start_larder(
        binary,
        &[
            "--offline",
            "--upstream",
            "off",
            "--sumdb",
            DATABASE,
            "--access-log",
            "off",
        ],
        &filled,
        &work.disk.join("upstream.log"),
    )?;
    let nginx = Nginx::start(
        &filled.join("download"),
        &work.disk.join("nginx-graph"),
        AccessLog::Off,
    )?;

    let mut rows: Vec<Row> = Vec::new();
    for round in 1..=ROUNDS {
        println!("graph: round {round} of {ROUNDS}");
        for (medium, folder) in [("memory", &work.memory), ("disk", &work.disk)] {
            let store = folder.join("graph-store");
            let log = work.disk.join("graph.log");
            let arguments = ["--upstream", &upstream.url, "--sumdb", DATABASE];
            let larder = start_larder(binary, &arguments, &store, &log)?;
            for temperature in ["cold", "warm"] {
                let download = download(&work.memory, &larder.url, || larder.usage())?;
                add(
                    &mut rows,
                    format!("larder, {temperature}, store in {medium}"),
                    download,
                );
            }
            larder.stop()?;
            fs_err::remove_dir_all(&store)?;
        }
        let served = format!("http://{}", nginx.address);
        add(
            &mut rows,
            "nginx over the filled folder".to_owned(),
            download(&work.memory, &served, || nginx.usage())?,
        );
        let plain = format!("file://{}", filled.join("download").display());
        add(
            &mut rows,
            "no server: the folder itself".to_owned(),
            download(&work.memory, &plain, || Ok(Usage::default()))?,
        );
    }
    upstream.stop()?;
    Ok(Graph { rows })
}

/// One `go mod download` of the graph with an empty module cache in memory.
fn download(memory: &Path, proxy: &str, usage: impl Fn() -> Outcome<Usage>) -> Outcome<Download> {
    let client = Client::new(memory, "client", proxy, DATABASE)?;
    let before = usage()?.cpu;
    let began = Instant::now();
    client.go(&["mod", "download"])?;
    let wall = began.elapsed();
    let after = usage()?;
    client.clear()?;
    Ok(Download {
        wall_s: wall.as_secs_f64(),
        server_cpu_s: Duration::as_secs_f64(&after.cpu.saturating_sub(before)),
        server_peak_mib: after.peak_bytes >> 20,
    })
}

fn add(rows: &mut Vec<Row>, what: String, download: Download) {
    match rows.iter_mut().find(|row| row.what == what) {
        Some(row) => row.downloads.push(download),
        None => rows.push(Row {
            what,
            downloads: vec![download],
        }),
    }
}

impl Graph {
    pub(super) fn report(&self) -> String {
        let mut text = format!(
            "\n### A real graph: 759 modules, 215 zips, 186 MB\n\n`go mod download`, module cache in memory, medians of {ROUNDS}. The upstream is a second \
             Larder with `--offline` over a filled folder, on this machine; the measured one verifies every file against {DATABASE}'s signed data. \
             Goal: ≤ 2.5 s of CPU for the cold download.\n\n\
             | | wall s | server CPU s | server peak MiB |\n|---|---|---|---|\n"
        );
        for row in &self.rows {
            let of =
                |value: fn(&Download) -> f64| median(row.downloads.iter().map(value).collect());
            let peak = row
                .downloads
                .iter()
                .map(|download| download.server_peak_mib)
                .max()
                .unwrap_or(0);
            let _ = writeln!(
                text,
                "| {} | {:.2} | {:.2} | {peak} |",
                row.what,
                of(|download| download.wall_s),
                of(|download| download.server_cpu_s)
            );
        }
        text
    }
}
