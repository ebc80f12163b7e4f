//! How long a log of 10,000 lines takes: `cargo run --release -p diagnosis --example speed`.
//!
//! Two logs: a noisy build with few failures, and one where every line is a failure.
#![expect(
    clippy::print_stdout,
    reason = "a program for developers; its figures go to stdout"
)]

use std::time::Instant;

const LINES: usize = 10_000;

fn main() {
    let noisy = |number: usize| match number % 50 {
        0 => format!(
            "#12 {number}.5 go: a.example/m{number}@v1.0.0: Get \"https://mirror.example/a.example/m{number}/@v/v1.0.0.mod\": dial tcp 192.0.2.1:443: i/o timeout\n"
        ),
        _ => format!(
            "2031-02-03T04:05:06Z #12 {number}.1 go: downloading a.example/m{number} v1.0.{number}\n"
        ),
    };
    let failing = |number: usize| {
        format!(
            "go: a.example/m{number}@v1.0.0: reading https://mirror.example/a.example/m{number}/@v/v1.0.0.mod: 410 Gone\n\tserver response: not found: a.example/m{number}@v1.0.0: invalid version: unknown revision v1.0.0\n"
        )
    };
    measure("noisy", &(0..LINES).map(noisy).collect::<String>());
    measure("failing", &(0..LINES / 2).map(failing).collect::<String>());
    measure_hostile();
}

/// As much as `larder explain` reads, made to be slow.
fn measure_hostile() {
    const BYTES: usize = 16 << 20;
    for piece in [
        "git : exit status 1:",
        "git : exit status 1:\n",
        "https://a.b/@v/v1.info: 404 Not Found server response: ",
        "reading https://sum.golang.org/lookup/a.b/c@v1: 410 Gone\n",
        "checksum mismatch\n",
        "{\"log\":\"{\\\"log\\\":\\\"EOF\\\"}\"}\n",
        "\\\\n",
        "\u{1b}[",
        "[a] ",
        "> ",
    ] {
        let log = piece.repeat(BYTES / piece.len());
        let began = Instant::now();
        let findings = diagnosis::explain(&log).len();
        println!(
            "16 MiB of {piece:?}: {:.0} ms, {findings} findings",
            began.elapsed().as_secs_f64() * 1e3
        );
    }
}

fn measure(name: &str, log: &str) {
    let mut times: Vec<f64> = (0..11)
        .map(|_| {
            let began = Instant::now();
            let findings = diagnosis::explain(log);
            assert!(!findings.is_empty());
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    let first = times.first().copied().unwrap_or_default();
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    println!(
        "{name}: {LINES} lines, {} bytes: first {first:.1} ms, median {median:.1} ms",
        log.len()
    );
}
