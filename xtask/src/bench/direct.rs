//! What a module straight from git costs, against the stock go command in direct mode.
//!
//! testkit's program `direct_cost` does the measuring: it has the code host and the repositories.

use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::process::{answers, cargo, output, run};
use crate::{Outcome, repository};

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Cost {
    git_processes: f64,
    processes: f64,
    cpu_seconds: f64,
    wall_seconds: f64,
    written_bytes: f64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Costs {
    cold_version: Cost,
    second_version: Cost,
    cold_list: Cost,
    known_list: Cost,
}

/// Both sides' figures.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Direct {
    zip_bytes: u64,
    go: Costs,
    larder: Costs,
    go_page: Cost,
    larder_page: Cost,
    /// A cold version and a cold list, where a peer was measured.
    peer: Option<(Cost, Cost)>,
}

/// Where the peer's program is: `goproxy` of github.com/goproxy/goproxy. Without it no peer is measured.
const PEER: &str = "XTASK_GOPROXY";

/// Measures both sides.
///
/// # Errors
/// What is missing (`strace`), and whatever stops the program.
pub(super) fn measure(binary: &Path, work: &Path) -> Outcome<Direct> {
    if !answers("strace", &["-V"]) {
        return Err("strace is missing: processes are counted with it; install your system's package `strace`".into());
    }
    run(cargo()
        .args(["build", "--package", "testkit"])
        .current_dir(repository::root()))?;
    let program = repository::target_folder()?
        .join("debug")
        .join("direct_cost");
    let mut command = Command::new(program);
    command.arg(binary).arg(work.join("direct"));
    command.args(std::env::var_os(PEER));
    let text = output(&mut command)?;
    Ok(serde_json::from_str(&text)?)
}

impl Direct {
    /// The section of the results.
    pub(super) fn report(&self) -> String {
        let mut text = format!(
            "\n### Straight from git\n\nSix repositories of 200 files and 20 commits, whose zips have {:.2} MB, on a code host over HTTPS on this machine; \
             means. `go` is the stock command with `GOPROXY=direct`, its module cache empty at first; Larder is asked for `.info`, `.mod` and `.zip`, or for \
             the list, over an empty folder. CPU and bytes written are the kernel's, children included (the code host's are not); processes are those that \
             `strace` saw start. Goals: a cold version with at most 1/4 of the processes and 1/2 of the CPU, a known list with at most 1/10.\n\n\
             | | go: processes (git) | larder | ratio | go: CPU ms | larder | ratio | go: wall ms | larder | go: MB written | larder |\n\
             |---|---|---|---|---|---|---|---|---|---|---|\n",
            to_mega(f64_of(self.zip_bytes)),
        );
        for (name, go, larder) in [
            (
                "cold version",
                &self.go.cold_version,
                &self.larder.cold_version,
            ),
            (
                "second version",
                &self.go.second_version,
                &self.larder.second_version,
            ),
            ("cold list", &self.go.cold_list, &self.larder.cold_list),
            ("known list", &self.go.known_list, &self.larder.known_list),
            (
                "cold version, path by page",
                &self.go_page,
                &self.larder_page,
            ),
        ] {
            text.push_str(&row(name, go, larder));
        }
        if let Some((version, list)) = &self.peer {
            text.push_str(
                "\nA peer in the same run, asked for the same files of the same repositories over an empty folder: goproxy 0.18.0 \
                 (github.com/goproxy/goproxy, `GOPROXY=direct`, `GOSUMDB=off`).\n\n\
                 | | goproxy: processes (git) | larder | ratio | goproxy: CPU ms | larder | ratio | goproxy: wall ms | larder | goproxy: MB written | larder |\n\
                 |---|---|---|---|---|---|---|---|---|---|---|\n",
            );
            text.push_str(&row("cold version", version, &self.larder.cold_version));
            text.push_str(&row("cold list", list, &self.larder.cold_list));
        }
        text
    }
}

fn row(name: &str, other: &Cost, larder: &Cost) -> String {
    format!(
        "| {name} | {:.0} ({:.0}) | {:.1} ({:.1}) | {:.2} | {:.0} | {:.1} | {:.2} | {:.0} | {:.0} | {:.1} | {:.1} |\n",
        other.processes,
        other.git_processes,
        larder.processes,
        larder.git_processes,
        larder.processes / other.processes,
        other.cpu_seconds * 1000.0,
        larder.cpu_seconds * 1000.0,
        larder.cpu_seconds / other.cpu_seconds,
        other.wall_seconds * 1000.0,
        larder.wall_seconds * 1000.0,
        to_mega(other.written_bytes),
        to_mega(larder.written_bytes),
    )
}

fn to_mega(bytes: f64) -> f64 {
    bytes / 1e6
}

fn f64_of(bytes: u64) -> f64 {
    // A zip is far smaller than 4 GiB.
    u32::try_from(bytes).map_or(f64::INFINITY, f64::from)
}
