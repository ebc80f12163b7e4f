//! Hits, misses, faults and evictions, all at once, for some minutes.
//!
//! testkit's program `pull_path soak` does the measuring; its source says which errors no client may see.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::program::{Program, mebibytes};
use crate::Outcome;

/// How long, unless it is said.
pub(super) const SECONDS: u64 = 300;
/// What may be added between the second and the last fifth: the allocator's and the log's own play.
const GROWTH_MIB: f64 = 4.0;
const GROWTH_DESCRIPTORS: u64 = 32;

/// What was seen.
#[derive(Serialize, Deserialize)]
pub(super) struct Soak {
    seconds: u64,
    mode: String,
    evicts: bool,
    requests: u64,
    errors: u64,
    error_samples: Vec<String>,
    errors_large_in_flight: u64,
    faults: u64,
    resident_bytes: [u64; 2],
    descriptors: [u64; 2],
    peak_bytes: u64,
    folder_bytes_worst: u64,
    evicted_files: Option<u64>,
    files_after: usize,
    files_wrong_after: usize,
    verify: Option<String>,
}

pub(super) fn measure(
    program: &Program,
    binary: &Path,
    memory: &Path,
    seconds: u64,
) -> Outcome<Soak> {
    let folder = memory.join("soak");
    fs_err::create_dir_all(&folder)?;
    let (binary, folder) = (binary.to_string_lossy(), folder.to_string_lossy());
    program.measure(&["soak", &binary, &folder, &seconds.to_string()])
}

impl Soak {
    /// What must hold and does not.
    pub(super) fn faults_found(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.errors > 0 {
            found.push(format!(
                "{} errors that clients saw: {:#?}",
                self.errors, self.error_samples
            ));
        }
        let [early, late] = self.resident_bytes.map(mebibytes);
        if late > early + GROWTH_MIB {
            found.push(format!("memory grew from {early} to {late} MiB"));
        }
        let [early, late] = self.descriptors;
        if late > early + GROWTH_DESCRIPTORS {
            found.push(format!("descriptors grew from {early} to {late}"));
        }
        if self.files_wrong_after > 0 {
            found.push(format!("{} files are wrong", self.files_wrong_after));
        }
        if let Some(said) = &self.verify
            && !said.starts_with("exit status: 0")
        {
            found.push(format!("`larder cache verify`: {said}"));
        }
        found
    }

    pub(super) fn report(&self) -> String {
        let or_none = |value: &Option<String>, none: &str| {
            value
                .as_deref()
                .map_or_else(|| none.to_owned(), |said| said.replace('\n', " "))
        };
        let faults = self.faults_found();
        format!(
            "\n### Soak\n\n{} s with mode `{}` and {}: 8 clients of 600 modules (127 MB, some above 8 MiB), half of the requests for a tenth of them; every 6 s one of the two upstreams \
             stalls, resets, trickles, answers 500, lies or refuses for 3 s. Memory and descriptors are medians of the second and the last fifth.\n\n\
             | | |\n|---|---|\n\
             | requests; faults | {}; {} |\n\
             | errors that a client saw, but for large files under way when a fault began (those: {}) | {} |\n\
             | resident MiB, early and late; peak | {:.1} and {:.1}; {:.1} |\n\
             | descriptors, early and late | {} and {} |\n\
             | the folder's largest size, MiB; files evicted | {:.1}; {} |\n\
             | files in it afterwards; of them wrong | {}; {} |\n\
             | `larder cache verify` | {} |\n\
             | verdict | {} |\n",
            self.seconds,
            self.mode,
            if self.evicts {
                "a limit of 64 MiB for the folder"
            } else {
                "no limit for the folder (this Larder has none)"
            },
            self.requests,
            self.faults,
            self.errors_large_in_flight,
            self.errors,
            mebibytes(self.resident_bytes[0]),
            mebibytes(self.resident_bytes[1]),
            mebibytes(self.peak_bytes),
            self.descriptors[0],
            self.descriptors[1],
            mebibytes(self.folder_bytes_worst),
            self.evicted_files
                .map_or_else(|| "–".to_owned(), |count| count.to_string()),
            self.files_after,
            self.files_wrong_after,
            or_none(&self.verify, "not there"),
            if faults.is_empty() {
                "met".to_owned()
            } else {
                format!("**missed**: {}", faults.join("; ").replace('\n', " "))
            },
        )
    }
}
