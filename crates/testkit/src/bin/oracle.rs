//! The oracle as a program: `cargo xtask oracle` builds it and the binary under test, and calls
//! `oracle LARDER FOLDER [FILTER]`.
//!
//! `LARDER` is the binary under test, or `-` to ask `go` only; `FOLDER` is where repositories and Go's answers
//! are kept between runs. Ends with 1 if anything differs.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program for people: stdout is where it reports, and it reads its arguments"
)]

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use testkit::oracle::{GoFixtures, Oracle};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (binary, folder, filters) = match arguments.as_slice() {
        [binary, folder] => (binary, folder, Vec::new()),
        [binary, folder, filter] => (binary, folder, vec![filter.as_str()]),
        _ => {
            println!("usage: oracle LARDER FOLDER [FILTER]");
            return ExitCode::from(2);
        }
    };
    let began = Instant::now();
    let oracle = Oracle::prepare(Path::new(folder), &filters, GoFixtures::Include);
    println!(
        "{} module paths; their repositories are there after {:.1} s",
        oracle.module_paths(),
        began.elapsed().as_secs_f64()
    );
    if binary == "-" {
        let answers = oracle.record();
        println!(
            "{answers:?} answers of go after {:.1} s",
            began.elapsed().as_secs_f64()
        );
        return if answers.is_some() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    let Some(report) = oracle.run(binary) else {
        return ExitCode::FAILURE;
    };
    for difference in &report.differences {
        println!("{difference}");
    }
    for difference in &report.by_design {
        println!("by design: {difference}");
    }
    println!(
        "{}; {} by design, {} differences; {:.1} s",
        report.counts,
        report.by_design.len(),
        report.differences.len(),
        began.elapsed().as_secs_f64()
    );
    if report.differences.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
