//! Percentiles, and what the kernel counts for a process.

use std::time::Duration;

/// The value below which `percent` of the values lie; 0 of nothing.
pub(crate) fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// The largest value; 0 of nothing.
pub(crate) fn worst(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    // Microseconds are enough, and they keep the raw figures short.
    (time.as_secs_f64() * 1e6).round() / 1000.0
}

/// A process as the kernel sees it (proc(5)).
#[derive(Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// User and system time, its threads included.
    pub(crate) fn cpu(self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap();
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        // The fields 14 and 15; the first here is the third.
        let ticks: u64 = fields[11..13]
            .iter()
            .map(|field| field.parse::<u64>().unwrap())
            .sum();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
    }

    pub(crate) fn resident_bytes(self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
        kibibytes.parse::<u64>().unwrap() * 1024
    }

    pub(crate) fn descriptors(self) -> usize {
        let folder = format!("/proc/{}/fd", self.0);
        std::fs::read_dir(folder).unwrap().count()
    }
}
