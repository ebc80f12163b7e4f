//! What a start costs: time until it says that it can serve and until its first answer, and the memory it then
//! holds; over a small folder and over one with a hundred thousand files.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::program::{Program, at_most, mebibytes};
use super::{corpus, median, start_larder};
use crate::{Outcome, http};

const STARTS: usize = 15;
const FILES: usize = 100_000;
/// After so long without a request a server is idle.
const IDLE_AFTER: Duration = Duration::from_secs(2);

/// Both folders.
#[derive(Serialize)]
pub(super) struct Start {
    small: Starts,
    large: Starts,
    files: usize,
    filled_s: f64,
}

/// Medians over all starts.
#[derive(Serialize)]
struct Starts {
    ready_ms: f64,
    first_answer_ms: f64,
    resident_mib: f64,
    /// Of the last start, when it had been idle for a while.
    idle_resident_mib: f64,
}

#[derive(Deserialize)]
struct Filled {
    files: usize,
    path: String,
}

pub(super) fn measure(
    program: &Program,
    binary: &Path,
    work: &Path,
    memory: &Path,
) -> Outcome<Start> {
    let folder = work.join("start");
    let samples = corpus::write(&folder.join("origin"))?;
    let path = &samples.first().ok_or("no samples")?.path;
    let upstream = format!("file://{}", folder.join("origin").display());
    let online = ["--upstream", &upstream, "--sumdb", "off"];
    let log = folder.join("larder.log");
    let small = starts(binary, &online, &folder.join("store"), path, &log)?;

    println!("start: filling a folder with {FILES} files");
    let many = memory.join("many");
    fs_err::create_dir_all(&many)?;
    let began = Instant::now();
    let filled: Filled =
        program.measure(&["store", &many.to_string_lossy(), &FILES.to_string()])?;
    let filled_s = began.elapsed().as_secs_f64();
    let offline = ["--offline", "--upstream", "off", "--sumdb", "off"];
    let large = starts(binary, &offline, &many, &filled.path, &log)?;
    fs_err::remove_dir_all(&many)?;
    Ok(Start {
        small,
        large,
        files: filled.files,
        filled_s,
    })
}

fn starts(
    binary: &Path,
    arguments: &[&str],
    store: &Path,
    path: &str,
    log: &Path,
) -> Outcome<Starts> {
    let (mut ready, mut first_answer, mut resident) = (Vec::new(), Vec::new(), Vec::new());
    let mut idle_resident_mib = 0.0;
    // The first start may fill the store and is not counted.
    for start in 0..=STARTS {
        let began = Instant::now();
        let larder = start_larder(binary, arguments, store, log)?;
        http::get(&format!("{}{path}", larder.url))?;
        let answered = began.elapsed();
        let usage = larder.usage()?;
        let ready_after = larder.ready_after;
        if start == STARTS {
            std::thread::sleep(IDLE_AFTER);
            idle_resident_mib = mebibytes(larder.usage()?.resident_bytes);
        }
        larder.stop()?;
        if start > 0 {
            ready.push(ready_after.as_secs_f64() * 1000.0);
            first_answer.push(answered.as_secs_f64() * 1000.0);
            resident.push(mebibytes(usage.resident_bytes));
        }
    }
    Ok(Starts {
        ready_ms: median(ready),
        first_answer_ms: median(first_answer),
        resident_mib: median(resident),
        idle_resident_mib,
    })
}

impl Start {
    pub(super) fn report(&self) -> String {
        let mut text = format!(
            "\n### Start\n\nMedians of {STARTS} starts over folders whose pages the kernel holds; the large one was written by the store itself.\n\n\
             | | ready after ms | first answer after ms | MiB resident then | MiB when idle |\n|---|---|---|---|---|\n"
        );
        for (name, starts) in [
            ("a small folder".to_owned(), &self.small),
            (format!("{} files", self.files), &self.large),
        ] {
            text.push_str(&format!(
                "| {name} | {:.1} | {} | {:.1} | {} |\n",
                starts.ready_ms,
                at_most(starts.first_answer_ms, 25.0),
                starts.resident_mib,
                at_most(starts.idle_resident_mib, 12.0),
            ));
        }
        text
    }
}
