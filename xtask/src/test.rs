//! `cargo xtask test`: everything that must hold before a change lands, in the order in which a
//! fault is found cheapest. Stops at the first step that fails.
//!
//! No step changes RUSTFLAGS: it is part of what cargo builds for, so each change would build every
//! dependency anew. Warnings are errors through clippy, which sees all targets and the compiler's
//! own warnings too, and through RUSTDOCFLAGS, which only the documentation step reads.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::process::{cargo, run as run_command};
use crate::{Outcome, dependencies, docs, repository, tools, walls};

/// How long a run of the test command fuzzes each target.
const FUZZ_SECONDS: &str = "1";

type Step = (&'static str, fn() -> Outcome);

const STEPS: &[Step] = &[
    ("tools", tools::check),
    ("formatting", formatting),
    ("dependency policy", dependencies::check),
    ("walls", walls::check),
    ("lints", lints),
    ("documentation builds", rustdoc),
    ("build", build),
    ("documents", docs::check),
    ("fuzz smoke", fuzz),
    ("tests", tests),
];

/// Runs all steps.
///
/// # Errors
/// The first step that fails, with its name; the summary of what ran is printed before.
pub(crate) fn run() -> Outcome {
    let began = Instant::now();
    let mut done: Vec<(&str, Duration, bool)> = Vec::new();
    let mut outcome = Ok(());
    for (name, step) in STEPS {
        println!("\n==> {name}");
        let step_began = Instant::now();
        let result = step();
        done.push((name, step_began.elapsed(), result.is_ok()));
        if let Err(failure) = result {
            outcome = Err(format!("step `{name}`: {failure}").into());
            break;
        }
    }
    println!("\n==> summary");
    for (name, took, passed) in &done {
        let word = if *passed { "ok" } else { "FAILED" };
        println!("  {word:<6} {:>7.1} s  {name}", took.as_secs_f64());
    }
    for (name, _) in STEPS.iter().skip(done.len()) {
        println!("  not run           {name}");
    }
    println!(
        "  {} in {:.1} s",
        if outcome.is_ok() {
            "all passed"
        } else {
            "stopped"
        },
        began.elapsed().as_secs_f64()
    );
    outcome
}

fn formatting() -> Outcome {
    run_command(
        cargo()
            .args(["fmt", "--all", "--check"])
            .current_dir(repository::root()),
    )
    .map_err(|failure| format!("{failure}; `cargo fmt --all` mends it").into())
}

fn lints() -> Outcome {
    run_command(
        cargo()
            .args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ])
            .current_dir(repository::root()),
    )
}

fn rustdoc() -> Outcome {
    run_command(
        cargo()
            .args([
                "doc",
                "--workspace",
                "--no-deps",
                "--document-private-items",
            ])
            // Private items are documented too, so links to them lead somewhere.
            .env(
                "RUSTDOCFLAGS",
                "-D warnings -A rustdoc::private-intra-doc-links",
            )
            .current_dir(repository::root()),
    )
}

fn build() -> Outcome {
    run_command(
        cargo()
            .args(["build", "--workspace"])
            .current_dir(repository::root()),
    )?;
    run_command(
        cargo()
            .args(["test", "--workspace", "--no-run", "--quiet"])
            .current_dir(repository::root()),
    )
}

fn fuzz() -> Outcome {
    let driver = repository::target_folder()?.join("debug").join("fuzz");
    run_command(
        std::process::Command::new(driver)
            .args(["--seconds", FUZZ_SECONDS])
            .current_dir(repository::root()),
    )
}

/// All tests of the workspace, shown as they run, and counted: a run that executed none is a failure.
fn tests() -> Outcome {
    let mut command = cargo();
    command
        .args(["test", "--workspace", "--no-fail-fast"])
        .current_dir(repository::root())
        .stdout(Stdio::piped());
    if tools::in_ci() {
        command
            .env("LARDER_REQUIRE_GO", "1")
            .env("LARDER_REQUIRE_SSHD", "1")
            .env("LARDER_REQUIRE_MOUNTS", "1");
    }
    let mut child = command.spawn()?;
    let stdout = child.stdout.take().ok_or("cargo test has no stdout")?;
    let mut total = Counted::default();
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        let mut terminal = std::io::stdout().lock();
        writeln!(terminal, "{line}")?;
        terminal.flush()?;
        total.add(&line);
    }
    let status = child.wait()?;
    println!(
        "\n{} passed, {} failed, {} skipped",
        total.passed, total.failed, total.ignored
    );
    if !status.success() || total.failed > 0 {
        return Err(format!("cargo test ended with {status}").into());
    }
    if total.passed == 0 {
        return Err("no test ran".into());
    }
    if total.ignored > 0 {
        return Err(format!(
            "{} tests are ignored; a test runs or is deleted",
            total.ignored
        )
        .into());
    }
    Ok(())
}

/// The sum of cargo's own `test result:` lines.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counted {
    passed: usize,
    failed: usize,
    ignored: usize,
}

impl Counted {
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in counts.split(';') {
            let mut words = part.split_whitespace();
            let (Some(number), Some(what)) = (
                words.next().and_then(|word| word.parse::<usize>().ok()),
                words.next(),
            ) else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Counted;

    #[test]
    fn result_lines_of_several_test_programs_add_up() {
        let mut total = Counted::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.00s",
            "test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s",
        ] {
            total.add(line);
        }
        assert_eq!(
            total,
            Counted {
                passed: 5,
                failed: 4,
                ignored: 1
            }
        );
    }
}
