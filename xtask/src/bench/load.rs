//! Many clients at once: a herd on one cold zip, idle connections, slow clients.
//!
//! testkit's program `pull_path load` does the measuring.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::median;
use super::program::{Program, at_most, mebibytes};
use crate::Outcome;

const ROUNDS: &str = "5";

/// All three.
#[derive(Serialize, Deserialize)]
pub(super) struct Load {
    herd: Vec<Herd>,
    idle: Idle,
    slow: Vec<Slow>,
}

#[derive(Serialize, Deserialize)]
struct Herd {
    clients: usize,
    zip_bytes: u64,
    upstream_first_byte_ms: f64,
    first_byte_p50_ms: f64,
    first_byte_p99_ms: f64,
    first_byte_worst_ms: f64,
    upstream_requests: usize,
    complete: usize,
    wall_s: f64,
    server_cpu_s: f64,
    peak_bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct Idle {
    connections: usize,
    resident_before_bytes: u64,
    resident_bytes: u64,
    hit_p99_ms: f64,
}

#[derive(Serialize, Deserialize)]
struct Slow {
    p99_without_ms: f64,
    p99_with_ms: f64,
    resident_without_bytes: u64,
    resident_with_bytes: u64,
}

pub(super) fn measure(program: &Program, binary: &Path, memory: &Path) -> Outcome<Load> {
    let folder = memory.join("load");
    fs_err::create_dir_all(&folder)?;
    let (binary, folder) = (binary.to_string_lossy(), folder.to_string_lossy());
    program.measure(&["load", &binary, &folder, ROUNDS])
}

impl Load {
    pub(super) fn report(&self) -> String {
        let herd = |value: fn(&Herd) -> f64| median(self.herd.iter().map(value).collect());
        let slow = |value: fn(&Slow) -> f64| median(self.slow.iter().map(value).collect());
        let (clients, complete) = self
            .herd
            .first()
            .map_or((0, 0), |herd| (herd.clients, herd.complete));
        let requests: Vec<String> = self
            .herd
            .iter()
            .map(|herd| herd.upstream_requests.to_string())
            .collect();
        format!(
            "\n### Load\n\nClients and upstream are one process on the same two cores. The herd asks at once, over connections that are open already; the upstream is 200 ms a round trip away. \
             As if each had a machine of its own, its clients take turns after each read, and have the kernel drop what they don't look at. \
             Medians of {} and {} rounds.\n\n\
             | | |\n|---|---|\n\
             | {clients} clients of one cold zip of 40 MB: requests upstream (goal: 1) | {} |\n\
             | complete answers | {complete} |\n\
             | upstream's first byte, asked directly, ms | {:.0} |\n\
             | first byte of the median client, of it | {} |\n\
             | first byte of the slowest client, of it | {} |\n\
             | peak memory, MiB | {} |\n\
             | wall s; server CPU s | {:.1}; {:.1} |\n\
             | {} idle keep-alive connections: resident MiB | {} (before: {:.1}) |\n\
             | a hit beside them, p99 ms | {:.2} |\n\
             | hits beside 200 clients that take a byte a second and 200 half-open ones: p99, of that without them | {} ({:.2} and {:.2} ms) |\n\
             | resident MiB without and with them | {:.1} and {:.1} |\n",
            self.herd.len(),
            self.slow.len(),
            requests.join(", "),
            herd(|herd| herd.upstream_first_byte_ms),
            at_most(
                herd(|herd| herd.first_byte_p50_ms / herd.upstream_first_byte_ms),
                1.2
            ),
            at_most(
                herd(|herd| herd.first_byte_worst_ms / herd.upstream_first_byte_ms),
                1.2
            ),
            at_most(herd(|herd| mebibytes(herd.peak_bytes)), 96.0),
            herd(|herd| herd.wall_s),
            herd(|herd| herd.server_cpu_s),
            self.idle.connections,
            at_most(mebibytes(self.idle.resident_bytes), 100.0),
            mebibytes(self.idle.resident_before_bytes),
            self.idle.hit_p99_ms,
            at_most(slow(|slow| slow.p99_with_ms / slow.p99_without_ms), 1.2),
            slow(|slow| slow.p99_without_ms),
            slow(|slow| slow.p99_with_ms),
            slow(|slow| mebibytes(slow.resident_without_bytes)),
            slow(|slow| mebibytes(slow.resident_with_bytes)),
        )
    }
}
