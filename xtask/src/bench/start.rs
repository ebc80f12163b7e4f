//! What a start costs: time until it says that it can serve and until its first answer, and the memory
//! it then holds.

use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use super::{corpus, median, start_larder};
use crate::{Outcome, http};

const STARTS: usize = 15;

/// Medians over all starts.
#[derive(Serialize)]
pub(super) struct Start {
    ready_ms: f64,
    first_answer_ms: f64,
    idle_resident_mib: f64,
}

pub(super) fn measure(binary: &Path, work: &Path) -> Outcome<Start> {
    let folder = work.join("start");
    let samples = corpus::write(&folder.join("origin"))?;
    let path = &samples.first().ok_or("no samples")?.path;
    let upstream = format!("file://{}", folder.join("origin").display());
    let arguments = ["--upstream", &upstream, "--sumdb", "off"];
    let store = folder.join("store");
    let (mut ready, mut first_answer, mut resident) = (Vec::new(), Vec::new(), Vec::new());
    // The first start fills the store and is not counted.
    for start in 0..=STARTS {
        let began = Instant::now();
        let larder = start_larder(binary, &arguments, &store, &folder.join("larder.log"))?;
        http::get(&format!("{}{path}", larder.url))?;
        let answered = began.elapsed();
        let usage = larder.usage()?;
        let ready_after = larder.ready_after;
        larder.stop()?;
        if start > 0 {
            ready.push(ready_after.as_secs_f64() * 1000.0);
            first_answer.push(answered.as_secs_f64() * 1000.0);
            resident.push(mebibytes(usage.resident_bytes));
        }
    }
    Ok(Start {
        ready_ms: median(ready),
        first_answer_ms: median(first_answer),
        idle_resident_mib: median(resident),
    })
}

/// With one decimal.
fn mebibytes(bytes: u64) -> f64 {
    let tenths = u32::try_from(bytes * 10 / (1 << 20)).unwrap_or(u32::MAX);
    f64::from(tenths) / 10.0
}

impl Start {
    pub(super) fn report(&self) -> String {
        format!(
            "\n### Start\n\nMedians of {STARTS} starts over a filled folder: ready after {:.1} ms, first file answered after \
             {:.1} ms, {:.1} MiB resident then (goal: ≤ 15).\n",
            self.ready_ms, self.first_answer_ms, self.idle_resident_mib
        )
    }
}
