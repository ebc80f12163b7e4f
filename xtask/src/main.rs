//! All automation of this repository, in Rust, so that a fresh clone needs no second tool chain.
//!
//! `cargo xtask` is an alias for this program (`.cargo/config.toml`). People and CI call
//! `cargo xtask test`; the other commands make the figures and proofs that are too long or need a network.
//! Nothing here is part of what a user runs, and no crate depends on it.

#![expect(
    clippy::disallowed_methods,
    reason = "automation starts processes and reads the environment"
)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the terminal is its only output"
)]

mod bench;
mod dependencies;
mod docs;
mod faults;
mod go_scripts;
mod graph;
mod http;
mod larder;
mod oracle;
mod process;
mod repository;
mod suite_b;
mod suite_c;
mod test;
mod tools;
mod walls;
mod zip_sums;

use std::process::ExitCode;

/// What every task returns: done, or words that say what is wrong and what to do.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test              everything that must hold before a change lands; what CI runs
  docs [--check]    write the generated references; with --check: are they, the links and the words right?
  faults            every fault of the lab, before go, git, openssl and `larder doctor`
  graph             a real graph of modules over your own GOPROXY: cold, warm, offline, from the folder
  bench [PART]      figures against nginx, no proxy, a healthy upstream; appended to bench/RESULTS.md. Parts: files,
                    start, graph, faults, load, soak [SECONDS]; and `direct`, which a run of all leaves out:
                    modules straight from git against the go command
  bench files SETTING  one setting of `files`, shown only: logged, quiet, crowded or http2
  bench graph WAY      two runs of one way of `graph`, shown only: cold, cold_verified, cold_on_disk, …
  oracle [FILTER]   every answer of `direct` beside that of the go command, over repositories of every shape
  suite-b [REGEX]   Go's own scripts of direct mode, with Larder in the place of the repositories
  suite-c [REGEX]   Go's own module scripts against Go's test proxy, with and without Larder in front
  zip-sums [N]      the zips of N published modules (60), made anew and compared with Go's own table of hashes

bench, graph, oracle and suite-c use the binary that XTASK_LARDER names, if it is set, instead of building one.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test"] => test::run(),
        ["docs"] => docs::write(),
        ["docs", "--check"] => docs::check(),
        ["faults"] => faults::run_all(),
        ["graph"] => graph::run_graph(),
        ["bench"] => bench::run_all(),
        ["bench", "soak", seconds] => bench::run_soak(seconds),
        ["bench", "files", setting] => bench::show_files(setting),
        ["bench", "graph", way] => bench::show_graph(way),
        ["bench", part] => bench::run_part(part),
        ["oracle"] => oracle::run(None),
        ["oracle", filter] => oracle::run(Some(filter)),
        ["suite-b"] => suite_b::run_suite(None),
        ["suite-b", scripts] => suite_b::run_suite(Some(scripts)),
        ["suite-c"] => suite_c::run_suite(None),
        ["zip-sums"] => zip_sums::compare(None),
        ["zip-sums", modules] => zip_sums::compare(Some(modules)),
        ["suite-c", scripts] => suite_c::run_suite(Some(scripts)),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
