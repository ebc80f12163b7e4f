//! Is `larder doctor` right? Every case of the fault lab is put before it: the cause that it names first, and
//! the words that it says go would print, against what go did print.
//!
//! `cargo xtask faults` runs all cases and prints the table; the test run takes some of each kind.

use serde_json::Value;
use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};
use testkit::faults::{Case, Lab, Prepared, all, mask, recorded, witness};

/// Cases that no target of the doctor can express.
const NOT_ASKED: [(&str, &str); 1] =
    [("flag-insecure", "a flag on another program's command line")];

/// So many are examined at the same time: most of the time is spent waiting for silent peers.
const AT_ONCE: usize = 4;

/// One case, examined.
struct Row {
    id: &'static str,
    expected: &'static str,
    named: String,
    is_right: bool,
    /// Go's words and the doctor's, where there is something to compare.
    words: Option<(String, String)>,
    took: Duration,
}

#[test]
fn the_doctor_names_the_cause_of_each_fault_and_says_what_go_says() {
    let whole = std::env::var("LARDER_FAULTS").is_ok_and(|value| value == "all");
    let lab = Lab::open();
    let mut prepared = Vec::new();
    for case in all().filter(|case| whole || is_quick(case)) {
        if let Some((_, reason)) = NOT_ASKED.iter().find(|(id, _)| *id == case.id) {
            eprintln!("{}: not asked: {reason}", case.id);
            continue;
        }
        match case.prepare(&lab) {
            Ok(ready) => prepared.push((case, ready)),
            Err(reason) => eprintln!("{}: not run: {reason}", case.id),
        }
    }
    let rows = examine_all(&lab, prepared, whole);
    eprint!("{}", table(&rows));
    let wrong = rows.iter().filter(|row| !row.is_right);
    let causes = share(wrong.count(), rows.len());
    let compared: Vec<&(String, String)> =
        rows.iter().filter_map(|row| row.words.as_ref()).collect();
    let unlike = compared.iter().filter(|(go, doctor)| go != doctor);
    let words = share(unlike.count(), compared.len());
    let alarms: Vec<&str> = rows
        .iter()
        .filter(|row| row.expected == "healthy" && !row.is_right)
        .map(|row| row.id)
        .collect();
    assert!(alarms.is_empty(), "false alarms: {alarms:?}");
    let (enough_causes, enough_words) = if whole { (98.0, 95.0) } else { (100.0, 100.0) };
    assert!(causes >= enough_causes, "right causes: {causes:.1} %");
    assert!(words >= enough_words, "go's words: {words:.1} %");
}

fn share(wrong: usize, of: usize) -> f64 {
    100.0 * (of - wrong) as f64 / of.max(1) as f64
}

fn examine_all(lab: &Lab, mut waiting: Vec<(&'static Case, Prepared)>, whole: bool) -> Vec<Row> {
    waiting.reverse();
    let waiting = parking_lot::Mutex::new(waiting);
    let rows = parking_lot::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((case, prepared)) = waiting.lock().pop() else {
                        return;
                    };
                    let row = examine(lab, case, &prepared, whole);
                    rows.lock().push(row);
                }
            });
        }
    });
    let mut rows = rows.into_inner();
    rows.sort_by_key(|row| all().position(|case| case.id == row.id));
    rows
}

/// What the doctor says of a case, asked with these arguments in front of its target, as `--json`; and how its
/// command ended.
pub(crate) fn doctor(
    case: &Case,
    prepared: &Prepared,
    arguments: &[&str],
) -> (Value, witness::Said) {
    let place = witness::Place::of(prepared);
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command
        .args(["doctor", "--json"])
        .args(arguments)
        .args(case.module());
    if let Some(resolver) = prepared.resolver {
        command.args(["--resolver", &resolver.to_string()]);
    }
    command
        .current_dir(place.work())
        .env_clear()
        .envs(place.environment(prepared));
    let names_nobody_else =
        prepared.url.contains("localhost") || prepared.url.contains("127.0.0.1");
    if names_nobody_else && prepared.variable("HTTPS_PROXY").is_none() {
        // Whatever is asked beyond the lab ends at a closed port: loopback is never asked through a proxy.
        command.env("HTTPS_PROXY", "http://127.0.0.1:9");
    }
    let said = witness::run(command, Duration::from_secs(120));
    let answer: Value = serde_json::from_str(&said.stdout)
        .unwrap_or_else(|error| panic!("{}: {error}: {}{}", case.id, said.stdout, said.stderr));
    (answer, said)
}

fn examine(lab: &Lab, case: &'static Case, prepared: &Prepared, whole: bool) -> Row {
    let start = Instant::now();
    let (answer, said) = doctor(case, prepared, &[]);
    let took = start.elapsed();
    let targets = answer["targets"].as_array().unwrap();
    let faulty = targets.iter().find(|target| target["verdict"] == "faulty");
    let told = faulty.or_else(|| {
        let mut told = targets.iter();
        told.find(|target| {
            target["findings"]
                .as_array()
                .is_some_and(|found| !found.is_empty())
        })
    });
    let named = told.and_then(|target| target["findings"][0]["cause"].as_str());
    let is_right = match case.is_healthy() {
        true => faulty.is_none() && said.passed == Some(true),
        false => named == Some(case.cause),
    };
    let message = told.and_then(|target| target["clients"]["go"]["message"].as_str());
    let words = go_words(lab, case, prepared, whole)
        .map(|go| (mask::masked(&go), mask::masked(message.unwrap_or_default())));
    Row {
        id: case.id,
        expected: case.cause,
        named: match faulty {
            None if named.is_none() => "healthy".into(),
            _ => named.unwrap_or("nothing").to_owned(),
        },
        is_right,
        words,
        took,
    }
}

/// What go printed: as recorded, or asked now where there is no recording.
fn go_words(lab: &Lab, case: &Case, prepared: &Prepared, whole: bool) -> Option<String> {
    match recorded::find(case.id) {
        Some(recording) if recording.go.starts_with("[no output") => None,
        Some(recording) => Some(recording.go.clone()),
        // The doctor does not look where go would go on, and says so.
        None if case.cause == "redirect-private" => None,
        None if whole && case.go_waits_seconds == 0 && witness::go_is_the_recorded_one() => {
            Some(witness::go(lab, case, prepared).stderr)
        }
        None => None,
    }
}

fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let sign = if row.is_right { "✓" } else { "✗" };
        let words = match &row.words {
            None => " ",
            Some((go, doctor)) if go == doctor => "=",
            Some(_) => "≠",
        };
        let _ = writeln!(
            text,
            "{sign} {words} {:28} {:26} {:26} {:7.2} s",
            row.id,
            row.expected,
            if row.is_right { "" } else { row.named.as_str() },
            row.took.as_secs_f64()
        );
        if let Some((go, doctor)) = row.words.as_ref().filter(|(go, doctor)| go != doctor) {
            let _ = writeln!(
                text,
                "      go:     {}",
                go.replace('\n', "\n              ")
            );
            let _ = writeln!(
                text,
                "      doctor: {}",
                doctor.replace('\n', "\n              ")
            );
        }
    }
    let right = rows.iter().filter(|row| row.is_right).count();
    let compared: Vec<_> = rows.iter().filter_map(|row| row.words.as_ref()).collect();
    let alike = compared.iter().filter(|(go, doctor)| go == doctor).count();
    let _ = writeln!(
        text,
        "causes: {right} of {} right; go's words: {alike} of {} alike",
        rows.len(),
        compared.len()
    );
    text
}

/// Some of each kind that end at once.
fn is_quick(case: &Case) -> bool {
    [
        "ok",
        "incomplete-chain",
        "private-ca",
        "self-signed",
        "expired-leaf",
        "hostname-mismatch",
        "sni-unrecognized",
        "http-on-tls-port",
        "refused",
        "http-403",
        "http-404",
        "captive-200",
        "proxy-env-407",
        "goproxy-off",
        "sumdb-404",
        "direct-nometa",
        "healthy-http2",
        "healthy-tls12",
    ]
    .contains(&case.id)
}
