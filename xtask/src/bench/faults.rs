//! One of two upstreams breaks: what clients see, and what it costs upstream.
//!
//! testkit's program `pull_path faults` does the measuring; its source defines each figure.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::median;
use super::program::{Program, at_most};
use crate::Outcome;

const REQUESTS: &str = "2000";
const ROUNDS: &str = "5";

/// Both twins, all modes.
#[derive(Serialize, Deserialize)]
pub(super) struct Faults {
    requests: usize,
    concurrency: usize,
    fault_at: usize,
    detection_requests: usize,
    stall_timeout_s: u64,
    alone: Vec<Alone>,
    pub(super) runs: Vec<Run>,
    both_die: Vec<BothDie>,
    unknown_modes: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Alone {
    p50_ms: f64,
    p99_ms: f64,
    upstream_requests: usize,
    errors: usize,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) mode: String,
    pub(super) fault: String,
    pub(super) round: usize,
    p50_ms: f64,
    p99_ms: f64,
    p50_ratio: f64,
    p99_ratio: f64,
    detection_ms: f64,
    detection_worst_ms: f64,
    worst_after_ms: f64,
    extra_requests_percent: f64,
    errors_small: u32,
    errors_large: u32,
    errors_large_in_flight: u32,
    pub(super) timeline: Vec<Point>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Point {
    pub(super) from_fault_ms: f64,
    pub(super) p50_ms: f64,
    pub(super) worst_ms: f64,
}

#[derive(Serialize, Deserialize)]
struct BothDie {
    fault: String,
    cached_asked: usize,
    cached_errors: usize,
    answers_asked: usize,
    answers_stale_with_age: usize,
    misses_asked: usize,
    misses_502_to_504: usize,
    misses_worst_ms: f64,
    later_misses_worst_ms: f64,
}

pub(super) fn measure(program: &Program, binary: &Path, memory: &Path) -> Outcome<Faults> {
    let folder = memory.join("faults");
    fs_err::create_dir_all(&folder)?;
    let (binary, folder) = (binary.to_string_lossy(), folder.to_string_lossy());
    program.measure(&["faults", &binary, &folder, REQUESTS, ROUNDS])
}

impl Faults {
    pub(super) fn report(&self) -> String {
        let alone = |value: fn(&Alone) -> f64| median(self.alone.iter().map(value).collect());
        let mut text = format!(
            "\n### Faults\n\n{} cold requests at concurrency {}, one in 200 for a file above 8 MiB; two upstreams with other zip bytes and the same hashes, behind pipes \
             of 8 and 10 ms a round trip; checksum database on; stall time-out {} s. The nearer one breaks at request {}; the {} requests from there are the \
             detection phase, what begins later is \"after\". Ratios are to the other upstream alone in the same round (p50 {:.1} ms, p99 {:.1} ms); medians of {} rounds \
             with `hedge`, one round of the others (`order` has no answer to a trickle: Go leaves an upstream only when it fails); errors are sums. Bodies are held to the SHA-256 of what either upstream serves.\n\n\
             | mode, fault | p50 after | p99 after | worst after ms | detection ms | its worst request ms | extra requests % | errors: small, large, large in flight |\n\
             |---|---|---|---|---|---|---|---|\n",
            self.requests,
            self.concurrency,
            self.stall_timeout_s,
            self.fault_at,
            self.detection_requests,
            alone(|alone| alone.p50_ms),
            alone(|alone| alone.p99_ms),
            self.alone.len(),
        );
        let mut rows: Vec<(&str, &str)> = Vec::new();
        for run in &self.runs {
            if !rows.contains(&(&run.mode, &run.fault)) {
                rows.push((&run.mode, &run.fault));
            }
        }
        for (mode, fault) in rows {
            let of = |value: fn(&Run) -> f64| -> Vec<f64> {
                self.runs
                    .iter()
                    .filter(|run| run.mode == mode && run.fault == fault)
                    .map(value)
                    .collect()
            };
            let sum = |value: fn(&Run) -> f64| of(value).iter().sum::<f64>();
            let judged = mode == "hedge";
            let ratio = |figure: f64, goal: f64| {
                if judged {
                    at_most(figure, goal)
                } else {
                    format!("{figure:.2}")
                }
            };
            // Writing to a text cannot fail.
            let _ = writeln!(
                text,
                "| {mode}, {fault} | {} | {} | {:.0} | {:.0} | {:.0} | {} | {}, {}, {} |",
                ratio(median(of(|run| run.p50_ratio)), 1.05),
                ratio(median(of(|run| run.p99_ratio)), 1.2),
                median(of(|run| run.worst_after_ms)),
                median(of(|run| run.detection_ms)),
                median(of(|run| run.detection_worst_ms)),
                ratio(median(of(|run| run.extra_requests_percent)), 10.0),
                sum(|run| f64::from(run.errors_small)),
                sum(|run| f64::from(run.errors_large)),
                sum(|run| f64::from(run.errors_large_in_flight)),
            );
        }
        if !self.unknown_modes.is_empty() {
            let _ = writeln!(
                text,
                "\nThis Larder does not know: {}.",
                self.unknown_modes.join(", ")
            );
        }
        text.push_str("\n![Each fault over time](faults.svg)\n");
        text.push_str(
            "\n| both upstreams die | cached files served | list and latest stale with `Age` | misses 502–504 | slowest of 32 at once, right after those answers, of the stall time-out | slowest of the next 32 |\n|---|---|---|---|---|---|\n",
        );
        for both in &self.both_die {
            let _ = writeln!(
                text,
                "| {} | {} of {} | {} of {} | {} of {} | {} | {} |",
                both.fault,
                both.cached_asked - both.cached_errors,
                both.cached_asked,
                both.answers_stale_with_age,
                both.answers_asked,
                both.misses_502_to_504,
                both.misses_asked,
                self.of_stall_timeout(both.misses_worst_ms),
                self.of_stall_timeout(both.later_misses_worst_ms),
            );
        }
        text
    }

    /// In hundredths: a time-out never ends early.
    fn of_stall_timeout(&self, ms: f64) -> String {
        let of_it = Duration::from_secs_f64(ms / 1000.0)
            .div_duration_f64(Duration::from_secs(self.stall_timeout_s));
        at_most((of_it * 100.0).round() / 100.0, 1.0)
    }
}
