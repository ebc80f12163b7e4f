//! Does it help to fetch zips before they are asked for? Three real graphs, from an upstream that is 20 ms away.
//!
//! Nothing of `--prefetch` was tuned on any of them. Each is walked in three ways: `go mod download`, which wants
//! every zip; a build, which wants some; and `go mod graph`, which wants none, so that all that comes is wasted.
//! Each walk is made through an empty store, and through one that the other two graphs were downloaded through before:
//! a team's proxy that sees a new project.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::program::{Program, mebibytes};
use super::{Work, median, start_larder};
use crate::graph::{Client, filled_folder};
use crate::larder::Larder;
use crate::process::run;
use crate::{Outcome, http};

const ROUNDS: usize = 3;
/// One way.
const DELAY: Duration = Duration::from_millis(10);
const RATE: &str = "64MiB";
/// Fixtures with a go.mod and a go.sum, and how they are walked; the first one has no package to build.
const GRAPHS: &[(&str, &[Walk])] = &[
    ("graph", &[Walk::Download, Walk::Look]),
    ("graphs/web", &[Walk::Download, Walk::Build, Walk::Look]),
    ("graphs/cluster", &[Walk::Download, Walk::Build, Walk::Look]),
];
/// The database that vouches for the files when they are first fetched.
const DATABASE: &str = "sum.golang.org";

#[derive(Serialize)]
pub(super) struct Prefetched {
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    graph: &'static str,
    walk: Walk,
    store: Store,
    off: Vec<Walked>,
    on: Vec<Walked>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Walk {
    Download,
    Build,
    Look,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Store {
    /// Nothing is known.
    Empty,
    /// The other graphs were downloaded through it.
    Used,
}

#[derive(Serialize)]
struct Walked {
    wall_s: f64,
    upstream_bytes: u64,
    prefetched: u64,
    asked_for: u64,
}

impl Walk {
    fn name(self) -> &'static str {
        match self {
            Self::Download => "`go mod download`",
            Self::Build => "`go list -deps`",
            Self::Look => "`go mod graph`",
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Download => &["mod", "download"],
            Self::Build => &["list", "-deps", "-e", "./..."],
            Self::Look => &["mod", "graph"],
        }
    }
}

impl Store {
    fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Used => "used",
        }
    }
}

pub(super) fn measure(program: &Program, binary: &Path, work: &Work) -> Outcome<Prefetched> {
    let filled = filled_folder()?;
    fill(binary, &filled, work)?;
    let arguments = [
        "--offline",
        "--upstream",
        "off",
        "--sumdb",
        "off",
        "--access-log",
        "off",
    ];
    let upstream = start_larder(binary, &arguments, &filled, &work.disk.join("upstream.log"))?;
    let pipe = program.pipe(http::split(&upstream.url)?.0.parse()?, DELAY)?;
    let bench = Bench {
        binary,
        work,
        near: &upstream.url,
        far: &pipe.url,
    };
    let mut rows = Vec::new();
    for (graph, walks) in GRAPHS {
        let used = bench.used_without(graph)?;
        for walk in *walks {
            for store in [Store::Empty, Store::Used] {
                println!("prefetch: {graph}, {}, store {}", walk.name(), store.name());
                let mut row = Row {
                    graph,
                    walk: *walk,
                    store,
                    off: Vec::new(),
                    on: Vec::new(),
                };
                for _ in 0..ROUNDS {
                    let from = (store == Store::Used).then_some(used.as_path());
                    row.off.push(bench.walk(graph, *walk, from, "0")?);
                    row.on.push(bench.walk(graph, *walk, from, RATE)?);
                }
                rows.push(row);
            }
        }
        fs_err::remove_dir_all(&used)?;
    }
    upstream.stop()?;
    Ok(Prefetched { rows })
}

/// Brings what is missing of the graphs into the folder that serves as upstream, from the user's own upstreams.
fn fill(binary: &Path, filled: &Path, work: &Work) -> Outcome {
    let done = filled.join("graphs");
    if done.exists() {
        return Ok(());
    }
    let serve = vec!["--cache-dir".to_owned(), filled.display().to_string()];
    let larder = Larder::start(binary, &serve, &[], &work.disk.join("filling.log"))?;
    for (graph, walks) in GRAPHS {
        for walk in *walks {
            let client = Client::of(graph, &work.disk, "filling", &larder.url, DATABASE)?;
            client.go_quietly(walk.arguments())?;
            client.clear()?;
        }
    }
    larder.stop()?;
    Ok(fs_err::write(done, "")?)
}

struct Bench<'a> {
    binary: &'a Path,
    work: &'a Work,
    /// The upstream without its distance, for what is not measured.
    near: &'a str,
    far: &'a str,
}

impl Bench<'_> {
    /// A store that all graphs but one were downloaded through.
    fn used_without(&self, without: &str) -> Outcome<PathBuf> {
        let folder = self.work.memory.join("used-store");
        let larder = self.larder(self.near, &folder, "0")?;
        for (graph, _) in GRAPHS.iter().filter(|(graph, _)| *graph != without) {
            let client = Client::of(graph, &self.work.memory, "client", &larder.url, "off")?;
            client.go_quietly(Walk::Download.arguments())?;
            client.clear()?;
        }
        larder.stop()?;
        Ok(folder)
    }

    fn walk(
        &self,
        graph: &str,
        walk: Walk,
        used: Option<&Path>,
        prefetch: &str,
    ) -> Outcome<Walked> {
        let folder = self.work.memory.join("walked-store");
        if let Some(used) = used {
            run(Command::new("cp").arg("-a").arg(used).arg(&folder))?;
        }
        let larder = self.larder(self.far, &folder, prefetch)?;
        let client = Client::of(graph, &self.work.memory, "client", &larder.url, "off")?;
        let began = Instant::now();
        client.go_quietly(walk.arguments())?;
        let wall = began.elapsed();
        client.clear()?;
        let metrics = http::get(&format!("{}/-/metrics", larder.url))?;
        let counted = |name: &str| -> u64 {
            metrics
                .lines()
                .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
                .unwrap_or(0)
        };
        let walked = Walked {
            wall_s: wall.as_secs_f64(),
            upstream_bytes: counted("larder_upstream_received_bytes_total"),
            prefetched: counted("larder_prefetches_total"),
            asked_for: counted("larder_prefetched_files_total{outcome=\"asked\"}"),
        };
        larder.stop()?;
        fs_err::remove_dir_all(&folder)?;
        Ok(walked)
    }

    fn larder(&self, upstream: &str, folder: &Path, prefetch: &str) -> Outcome<Larder> {
        let arguments = [
            "--upstream",
            upstream,
            "--sumdb",
            "off",
            "--prefetch",
            prefetch,
        ];
        start_larder(
            self.binary,
            &arguments,
            folder,
            &self.work.disk.join("prefetch.log"),
        )
    }
}

impl Prefetched {
    pub(super) fn report(&self) -> String {
        let mut text = format!(
            "\n### Zips before they are asked for\n\nThe go command through Larder from an upstream {} ms a round trip away, checksum database off, module cache in memory, medians of {ROUNDS}; \
             with `--prefetch {RATE}` and without. *Used* is a store that the other two graphs were downloaded through. Wasted is what came from upstream beyond the run without.\n\n\
             | graph | walk | store | wall s without | with | ratio | zips fetched ahead | of them asked for | MiB wasted |\n|---|---|---|---|---|---|---|---|---|\n",
            2 * DELAY.as_millis()
        );
        for row in &self.rows {
            let wall =
                |walked: &[Walked]| median(walked.iter().map(|walked| walked.wall_s).collect());
            let middle = |of: fn(&Walked) -> u64, walked: &[Walked]| {
                let mut values: Vec<u64> = walked.iter().map(of).collect();
                values.sort_unstable();
                values.get(values.len() / 2).copied().unwrap_or(0)
            };
            let ratio = median(
                row.off
                    .iter()
                    .zip(&row.on)
                    .map(|(off, on)| on.wall_s / off.wall_s)
                    .collect(),
            );
            let upstream = |walked: &[Walked]| middle(|walked| walked.upstream_bytes, walked);
            // Writing to a text cannot fail.
            let _ = writeln!(
                text,
                "| {} | {} | {} | {:.2} | {:.2} | {ratio:.2} | {} | {} | {} |",
                row.graph.trim_start_matches("graphs/"),
                row.walk.name(),
                row.store.name(),
                wall(&row.off),
                wall(&row.on),
                middle(|walked| walked.prefetched, &row.on),
                middle(|walked| walked.asked_for, &row.on),
                mebibytes(upstream(&row.on).saturating_sub(upstream(&row.off))),
            );
        }
        text
    }
}
