//! The same failure in other clothes keeps its cause: other names, times, decoration, line ends, and
//! the wordings of other releases.

use std::fmt::Write as _;

use super::corpus::failures;
use crate::explain;

fn cause(log: &str) -> &'static str {
    explain(log)
        .first()
        .map_or("nothing", |finding| finding.cause)
}

/// A name for the failure list, and the change.
type Mutation = (&'static str, fn(&str) -> String);

const MUTATIONS: &[Mutation] = &[
    ("timestamps", |log| {
        each_line(log, |_, line| {
            format!("2031-02-03T04:05:06.7891234Z {line}")
        })
    }),
    ("container build", |log| {
        each_line(log, |index, line| {
            format!("#7 {}.{:03} {line}", index, (index * 37) % 1000)
        })
    }),
    ("clock in brackets", |log| {
        each_line(log, |_, line| format!("[04:05:06] {line}"))
    }),
    ("quoted", |log| {
        each_line(log, |_, line| format!("> {line}"))
    }),
    ("composed service", |log| {
        each_line(log, |_, line| format!("builder_1  | {line}"))
    }),
    ("colours", |log| {
        each_line(log, |_, line| format!("\u{1b}[0;31m{line}\u{1b}[0m"))
    }),
    ("two layers", |log| {
        each_line(log, |_, line| {
            format!("2031-02-03T04:05:06Z #9 1.250 {line}")
        })
    }),
    ("Windows line ends", |log| log.replace('\n', "\r\n")),
    ("one JSON record", |log| {
        serde_json::json!({"level": "error", "msg": log}).to_string()
    }),
    ("one logfmt record", |log| {
        format!("time=\"2031-02-03\" level=error msg={log:?}")
    }),
    ("escaped line breaks", |log| {
        format!(
            "command failed: {}",
            log.replace('\t', "\\t").replace('\n', "\\n")
        )
    }),
    ("talk around", |log| {
        format!(
            "$ make build\nbuilding for linux/amd64\n{log}\nmake: *** [Makefile:7: build] Error 1\nERROR: Job failed: exit code 1\n"
        )
    }),
    ("other names", |log| {
        log.replace("acme", "zebra")
            .replace("Acme", "Zebra")
            .replace("mirror.example", "modules.example")
            .replace("goproxy.example", "delivery.example")
    }),
    ("other people's folders", |log| {
        log.replace("/home/dev", "/Users/runner")
            .replace("/go/pkg", "/builds/42/pkg")
            .replace("/tmp/", "/var/tmp/")
    }),
    ("other addresses", |log| {
        log.replace("203.0.113.", "198.51.100.")
            .replace("172.17.0.", "10.88.3.")
    }),
    ("newer verification words", |log| {
        log.replace("tls: failed to verify certificate: ", "")
            .replace(": x509: ", ": tls: failed to verify certificate: x509: ")
    }),
    ("older URL quoting", |log| unquoted_urls(log)),
    ("statuses as before 1.13", |log| unexpected_statuses(log)),
    ("names as before 1.16", |log| {
        log.replace(
            "go: go.mod file not found",
            "go: cannot find main module, but go.mod file not found",
        )
        .replace("source tree too large", "source tree too big")
        .replace("go: module ", "go get: module ")
    }),
    ("errors of `go list`", |log| {
        log.replace("go: ", "go list -m: ")
    }),
    ("twice", |log| format!("{log}\n{log}")),
    ("spaces for tabs", |log| log.replace('\t', "        ")),
];

fn each_line(log: &str, change: impl Fn(usize, &str) -> String) -> String {
    let mut text = String::new();
    for (index, line) in log.lines().enumerate() {
        let _ = writeln!(text, "{}", change(index, line));
    }
    text
}

/// `Get "URL":` as releases before 1.14 wrote it.
fn unquoted_urls(log: &str) -> String {
    let mut text = String::new();
    let mut rest = log;
    while let Some((before, after)) = rest.split_once("Get \"") {
        let (url, after) = after.split_once('"').unwrap_or((after, ""));
        let _ = write!(text, "{before}Get {url}");
        rest = after;
    }
    text.push_str(rest);
    text
}

/// `reading URL: 404 Not Found` as releases before 1.13 wrote it.
fn unexpected_statuses(log: &str) -> String {
    each_line(log, |_, line| {
        let Some((before, rest)) = line.split_once("reading http") else {
            return line.to_owned();
        };
        match rest.split_once(": ") {
            Some((url, status)) if status.starts_with(|letter: char| letter.is_ascii_digit()) => {
                format!("{before}unexpected status (http{url}): {status}")
            }
            _ => line.to_owned(),
        }
    })
}

#[test]
fn a_failure_in_other_clothes_keeps_its_cause() {
    let mut wrong = String::new();
    for failure in failures() {
        let plain = cause(&failure.log);
        for (name, mutate) in MUTATIONS {
            let changed = cause(&mutate(&failure.log));
            if changed != plain {
                let _ = writeln!(
                    wrong,
                    "{} with {name}: {changed} and not {plain}",
                    failure.id
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn any_part_of_a_log_and_any_noise_is_read_without_harm() {
    let mut random = fastrand::Rng::with_seed(5);
    for failure in failures() {
        let bytes = failure.log.as_bytes();
        for _ in 0..8 {
            let mut changed = bytes.to_vec();
            for _ in 0..random.usize(1..6) {
                let at = random.usize(0..changed.len());
                match random.u8(0..3) {
                    0 => changed.truncate(at.max(1)),
                    1 => changed.insert(at, random.u8(..)),
                    _ => {
                        if let Some(byte) = changed.get_mut(at) {
                            *byte = random.u8(..);
                        }
                    }
                }
            }
            let findings = explain(&String::from_utf8_lossy(&changed));
            for finding in findings {
                assert!(finding.entry().is_some());
                assert!(!finding.evidence.is_empty());
            }
        }
    }
}
