//! How long logs take that were made to be slow: `cargo run --release -p diagnosis --example speed`. Logs as
//! builds write them are measured by `cargo xtask bench doctor`, with the whole program.
#![expect(
    clippy::print_stdout,
    reason = "a program for developers; its figures go to stdout"
)]

use std::time::Instant;

/// As much as `larder explain` reads.
const BYTES: usize = 16 << 20;

fn main() {
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
