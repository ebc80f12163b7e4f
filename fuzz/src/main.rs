//! No panic on any bytes: every reader of foreign text and files, fed with broken input.
//!
//! A driver of our own rather than a coverage-guided one, so that it runs on the stable compiler,
//! in CI and on any machine, and each run says how to repeat it. A target is a plain function; it
//! panics if the input does, or if something does not hold that always must. An input that made a
//! target panic becomes a unit test of the crate that it was found in.
//!
//! ```text
//! cargo run -p fuzz -- [--seconds N] [--target NAME] [--seed N]
//! cargo run -p fuzz -- --target NAME --replay HEX
//! ```
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for developers; its figures go to stdout, what is wrong to stderr"
)]
mod mutate;
mod targets;

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use targets::{TARGETS, Target};

const USAGE: &str = "\
usage: fuzz [--seconds N] [--target NAME] [--seed N]
       fuzz --target NAME --replay HEX

  --seconds N     how long each target runs; 10 if not given
  --target NAME   only this target
  --seed N        repeat the inputs of a run that printed this seed
  --replay HEX    run one input, as it was printed after a panic";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = Options::read(&arguments).and_then(|options| match &options.replay {
        Some(input) => replay(&options.targets, input),
        None => fuzz(&options),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::FAILURE
        }
    }
}

struct Options {
    time: Duration,
    targets: Vec<&'static Target>,
    seed: u64,
    replay: Option<Vec<u8>>,
}

impl Options {
    fn read(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self {
            time: Duration::from_secs(10),
            targets: TARGETS.iter().collect(),
            seed: fastrand::u64(..),
            replay: None,
        };
        for pair in arguments.chunks(2) {
            let [name, value] = pair else {
                return Err(USAGE.into());
            };
            let number = || {
                value
                    .parse()
                    .map_err(|_| format!("not a number: {value}\n{USAGE}"))
            };
            match name.as_str() {
                "--seconds" => options.time = Duration::from_secs(number()?),
                "--seed" => options.seed = number()?,
                "--target" => options.targets = vec![target(value)?],
                "--replay" => {
                    let bytes = from_hex(value).ok_or_else(|| format!("not hex: {value}"))?;
                    options.replay = Some(bytes);
                }
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }
}

fn target(name: &str) -> Result<&'static Target, String> {
    let found = TARGETS.iter().find(|target| target.name == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        format!("no target `{name}`; there are {}", names.join(", "))
    })
}

fn replay(targets: &[&Target], input: &[u8]) -> Result<(), String> {
    let [target] = targets else {
        return Err(format!("--replay needs a --target\n{USAGE}"));
    };
    (target.run)(input);
    println!("{}: {} bytes, no panic", target.name, input.len());
    Ok(())
}

/// Runs each target for its time. A panic ends the run of its target, not that of the others.
fn fuzz(options: &Options) -> Result<(), String> {
    println!("seed {}", options.seed);
    let mut failed = Vec::new();
    for target in &options.targets {
        let report = run(target, options);
        println!("{}", report.line(target));
        if let Some(input) = report.panicked_on {
            eprintln!(
                "{} panicked on {} bytes; to repeat:\n  cargo run -p fuzz -- --target {} --replay {}",
                target.name,
                input.len(),
                target.name,
                to_hex(&input)
            );
            failed.push(target.name);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!("panicked: {}", failed.join(", ")))
}

struct Report {
    runs: u64,
    time: Duration,
    slowest: Duration,
    panicked_on: Option<Vec<u8>>,
}

impl Report {
    fn line(&self, target: &Target) -> String {
        let (runs, seconds) = (self.runs, self.time.as_secs_f64());
        let slowest = self.slowest.as_secs_f64() * 1000.0;
        let name = target.name;
        format!("{name:12} {runs:9} runs in {seconds:4.1} s, the slowest {slowest:.1} ms")
    }
}

fn run(target: &Target, options: &Options) -> Report {
    let mut random = fastrand::Rng::with_seed(options.seed);
    let corpus = (target.corpus)();
    let start = Instant::now();
    let mut report = Report {
        runs: 0,
        time: Duration::ZERO,
        slowest: Duration::ZERO,
        panicked_on: None,
    };
    // The corpus itself goes first: broken seeds would make everything after it worthless.
    let mut seeds = corpus.iter();
    while report.time < options.time {
        let input = match seeds.next() {
            Some(seed) => seed.clone(),
            None => mutate::mutated(&corpus, target.words, &mut random),
        };
        let run_start = Instant::now();
        let outcome = catch_unwind(|| (target.run)(&input));
        report.slowest = report.slowest.max(run_start.elapsed());
        report.time = start.elapsed();
        report.runs += 1;
        if outcome.is_err() {
            report.panicked_on = Some(input);
            break;
        }
    }
    report
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> Result<Options, String> {
        let arguments: Vec<String> = arguments.iter().copied().map(String::from).collect();
        Options::read(&arguments)
    }

    #[test]
    fn a_panic_is_caught_and_its_input_kept() {
        let broken = Target {
            name: "broken",
            run: |input| assert!(input.len() < 3, "as planned"),
            corpus: || vec![vec![1], vec![1, 2, 3]],
            words: &[],
        };
        let report = run(&broken, &options(&["--seconds", "10"]).unwrap());
        assert_eq!((report.runs, report.panicked_on), (2, Some(vec![1, 2, 3])));
    }

    #[test]
    fn an_input_is_replayed_from_what_was_printed() {
        let input = [0, 0x7f, 0xff];
        assert_eq!(from_hex(&to_hex(&input)).as_deref(), Some(&input[..]));
        assert_eq!(from_hex("0"), None);
        assert_eq!(from_hex("zz"), None);
        let options = options(&["--target", "go-mod", "--replay", "6d6f64"]).unwrap();
        assert_eq!(options.replay.as_deref(), Some(&b"mod"[..]));
        assert_eq!(replay(&options.targets, b"mod"), Ok(()));
    }

    #[test]
    fn wrong_arguments_are_told() {
        let check = |arguments: &[&str], expected: &str| match options(arguments) {
            Ok(_) => panic!("{arguments:?} was accepted"),
            Err(fault) => assert!(fault.contains(expected), "{fault}"),
        };
        check(&["--seconds"], "usage");
        check(&["--seconds", "soon"], "not a number: soon");
        check(
            &["--target", "nothing"],
            "no target `nothing`; there are failure-log, request",
        );
        check(&["--replay", "xyz"], "not hex");
        check(&["--speed", "9"], "usage");
    }

    #[test]
    fn no_seed_is_broken_itself() {
        for target in TARGETS {
            let corpus = (target.corpus)();
            assert!(!corpus.is_empty(), "{}", target.name);
            corpus.iter().for_each(|seed| (target.run)(seed));
        }
    }
}
