//! The download of a real graph by the real go command, from an upstream that is 20 ms a round trip away.
//!
//! The upstream is a second Larder with `--offline` over the folder that `cargo xtask graph` filled, behind a pipe: it
//! serves the files and the checksum database that came with them, so the Larder that is measured
//! verifies everything as it would against a public mirror. Each way is held to the same download without any
//! proxy between go and that pipe. Client, Larder, pipe and upstream share the machine.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::program::{Listening, Program, at_most};
use super::{Work, median, start_larder};
use crate::graph::{Client, filled_folder};
use crate::larder::{Larder, Usage};
use crate::{Outcome, http};

const ROUNDS: usize = 5;
/// The database whose signed answers the filled folder holds.
const DATABASE: &str = "sum.golang.org";
/// One way.
const DELAY: Duration = Duration::from_millis(10);
const MEMORY_TIER: &str = "16MiB";

#[derive(Serialize)]
pub(super) struct Graph {
    rows: Vec<Row>,
}

/// One way to download the graph, all rounds.
#[derive(Serialize)]
struct Row {
    way: Way,
    downloads: Vec<Download>,
}

#[derive(Serialize)]
struct Download {
    wall_s: f64,
    server_cpu_s: f64,
    server_peak_mib: u64,
}

/// How the graph reaches the go command. The store is in memory but for [`Way::ColdOnDisk`].
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    /// go asks the upstream; no checksum database.
    Direct,
    /// Through an empty Larder; no checksum database on either side.
    Cold,
    /// Once more through the same Larder.
    Warm,
    /// go asks the upstream and, without a go.sum, its checksum database for every module.
    DirectSums,
    /// The same through an empty Larder, which verifies too.
    ColdSums,
    /// Larder verifies everything; the client has its go.sum.
    ColdVerified,
    /// The same with the store on disk.
    ColdOnDisk,
}

const WAYS: &[(Way, &str)] = &[
    (Way::Direct, "no proxy, database off"),
    (Way::Cold, "larder, cold, database off"),
    (Way::Warm, "larder, warm, database off"),
    (Way::DirectSums, "no proxy, database on, no go.sum"),
    (Way::ColdSums, "larder, cold, database on, no go.sum"),
    (Way::ColdVerified, "larder, cold, database on, with go.sum"),
    (Way::ColdOnDisk, "the same, store on disk"),
];

pub(super) fn measure(program: &Program, binary: &Path, work: &Work) -> Outcome<Graph> {
    let (upstream, pipe) = delayed_upstream(program, binary, work)?;
    let bench = Bench {
        binary,
        work,
        upstream: &pipe.url,
    };
    let mut rows: Vec<Row> = WAYS
        .iter()
        .map(|(way, _)| Row {
            way: *way,
            downloads: Vec::new(),
        })
        .collect();
    // Round 0 brings the upstream's folder into the kernel's memory and is not kept.
    for round in 0..=ROUNDS {
        println!("graph: round {round} of {ROUNDS}");
        if round == 0 {
            bench.round(&mut |_, _| {}, &[Way::Direct])?;
            continue;
        }
        let mut keep = |way: Way, download: Download| {
            if let Some(row) = rows.iter_mut().find(|row| row.way == way) {
                row.downloads.push(download);
            }
        };
        let all: Vec<Way> = WAYS.iter().map(|(way, _)| *way).collect();
        bench.round(&mut keep, &all)?;
    }
    upstream.stop()?;
    Ok(Graph { rows })
}

/// One way, twice, for whoever works on it: printed and not kept. `name` is as the raw figures have it: `cold`,
/// `cold_verified`, `cold_on_disk`.
pub(super) fn try_way(program: &Program, binary: &Path, work: &Work, name: &str) -> Outcome {
    let way: Way = serde_json::from_value(json!(name))?;
    let (upstream, pipe) = delayed_upstream(program, binary, work)?;
    let bench = Bench {
        binary,
        work,
        upstream: &pipe.url,
    };
    for _ in 0..2 {
        let mut show = |way: Way, download: Download| {
            println!("{}: {}", json!(way), json!(download));
        };
        bench.round(&mut show, &[way])?;
    }
    upstream.stop()?;
    Ok(())
}

/// A second Larder over the filled folder, and the pipe that it is asked through.
fn delayed_upstream(program: &Program, binary: &Path, work: &Work) -> Outcome<(Larder, Listening)> {
    let filled = filled_folder()?;
    if !filled.join("download").is_dir() {
        return Err(
            "there is no filled folder to serve as the upstream: run `cargo xtask graph` first"
                .into(),
        );
    }
    let arguments = [
        "--offline",
        "--upstream",
        "off",
        "--sumdb",
        DATABASE,
        "--access-log",
        "off",
    ];
    let upstream = start_larder(binary, &arguments, &filled, &work.disk.join("upstream.log"))?;
    let pipe = program.pipe(http::split(&upstream.url)?.0.parse()?, DELAY)?;
    Ok((upstream, pipe))
}

struct Bench<'a> {
    binary: &'a Path,
    work: &'a Work,
    upstream: &'a str,
}

impl Bench<'_> {
    /// Each of these ways once.
    fn round(&self, keep: &mut dyn FnMut(Way, Download), ways: &[Way]) -> Outcome {
        for way in ways {
            match way {
                Way::Direct => keep(*way, self.download(self.upstream, Sums::Off, None)?),
                Way::DirectSums => {
                    keep(*way, self.download(self.upstream, Sums::AskedByGo, None)?);
                }
                Way::Cold => {
                    let larder = self.larder("off", &self.work.memory)?;
                    for way in [Way::Cold, Way::Warm] {
                        let download = self.download(&larder.url, Sums::Off, Some(&larder))?;
                        keep(way, download);
                    }
                    self.end(larder)?;
                }
                // Follows its cold run, above.
                Way::Warm => {}
                Way::ColdSums => self.cold(keep, *way, Sums::AskedByGo, &self.work.memory)?,
                Way::ColdVerified => self.cold(keep, *way, Sums::Known, &self.work.memory)?,
                Way::ColdOnDisk => self.cold(keep, *way, Sums::Known, &self.work.disk)?,
            }
        }
        Ok(())
    }

    fn cold(
        &self,
        keep: &mut dyn FnMut(Way, Download),
        way: Way,
        sums: Sums,
        medium: &Path,
    ) -> Outcome {
        let larder = self.larder(DATABASE, medium)?;
        keep(way, self.download(&larder.url, sums, Some(&larder))?);
        self.end(larder)
    }

    /// A Larder with an empty store.
    fn larder(&self, database: &str, medium: &Path) -> Outcome<Larder> {
        let arguments = [
            "--upstream",
            self.upstream,
            "--sumdb",
            database,
            "--memory",
            MEMORY_TIER,
        ];
        let log = self.work.disk.join("graph.log");
        start_larder(self.binary, &arguments, &medium.join("graph-store"), &log)
    }

    fn end(&self, larder: Larder) -> Outcome {
        larder.stop()?;
        for medium in [&self.work.memory, &self.work.disk] {
            let store = medium.join("graph-store");
            if store.exists() {
                fs_err::remove_dir_all(store)?;
            }
        }
        Ok(())
    }

    /// One `go mod download` of the graph with an empty module cache in memory.
    fn download(&self, proxy: &str, sums: Sums, larder: Option<&Larder>) -> Outcome<Download> {
        let memory = &self.work.memory;
        let client = match sums {
            Sums::Off => Client::new(memory, "client", proxy, "off")?,
            Sums::Known => Client::new(memory, "client", proxy, DATABASE)?,
            Sums::AskedByGo => Client::without_go_sum(memory, "client", proxy, DATABASE)?,
        };
        let usage = || larder.map_or(Ok(Usage::default()), Larder::usage);
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
}

/// Who knows the checksums of the client's modules.
#[derive(Clone, Copy)]
enum Sums {
    /// Its go.sum; no database anywhere.
    Off,
    /// Its go.sum, and the database for Larder.
    Known,
    /// The database alone.
    AskedByGo,
}

impl Graph {
    pub(super) fn report(&self) -> String {
        let mut text = format!(
            "\n### A real graph: 759 modules, 215 zips, 186 MB\n\n`go mod download`, module cache in memory, memory tier {MEMORY_TIER}, medians of {ROUNDS} interleaved rounds. The upstream \
             is a second Larder with `--offline` over a filled folder on this machine, {} ms a round trip away; it carries {DATABASE}'s signed data. Ratios of wall \
             time are to the download without a proxy with the same use of the database, medians of each round's own.\n\n\
             | | wall s | of no proxy | server CPU s | server peak MiB |\n|---|---|---|---|---|\n",
            2 * DELAY.as_millis()
        );
        for (way, name) in WAYS {
            let walls = |way: Way| {
                let rows = self.rows.iter().filter(move |row| row.way == way);
                rows.flat_map(|row| row.downloads.iter().map(|download| download.wall_s))
            };
            let (plain, wall_goal, cpu_goal) = way.held_to();
            let ratio = median(
                walls(*way)
                    .zip(walls(plain))
                    .map(|(wall, plain)| wall / plain)
                    .collect(),
            );
            let Some(row) = self.rows.iter().find(|row| row.way == *way) else {
                continue;
            };
            let downloads = &row.downloads;
            let cpu = median(
                downloads
                    .iter()
                    .map(|download| download.server_cpu_s)
                    .collect(),
            );
            let peaks = downloads.iter().map(|download| download.server_peak_mib);
            let peak = peaks.max().unwrap_or(0);
            let against = |figure: f64, goal: Option<f64>| {
                goal.map_or_else(|| format!("{figure:.2}"), |goal| at_most(figure, goal))
            };
            let peak = u32::try_from(peak).map_or(f64::INFINITY, f64::from);
            let peak_goal = (*way == Way::ColdVerified).then_some(40.0);
            // Writing to a text cannot fail.
            let _ = writeln!(
                text,
                "| {name} | {:.2} | {} | {} | {} |",
                median(walls(*way).collect()),
                against(ratio, wall_goal),
                against(cpu, cpu_goal),
                against(peak, peak_goal),
            );
        }
        text
    }
}

impl Way {
    /// The way without a proxy that it is held to, the goal for wall time, and that for Larder's CPU.
    fn held_to(self) -> (Self, Option<f64>, Option<f64>) {
        match self {
            Self::Direct => (Self::Direct, None, None),
            Self::Cold => (Self::Direct, Some(1.10), None),
            Self::Warm => (Self::Direct, Some(0.5), Some(0.15)),
            Self::DirectSums => (Self::DirectSums, None, None),
            Self::ColdSums => (Self::DirectSums, Some(1.15), None),
            Self::ColdVerified => (Self::Direct, None, Some(1.8)),
            Self::ColdOnDisk => (Self::Direct, None, None),
        }
    }
}
