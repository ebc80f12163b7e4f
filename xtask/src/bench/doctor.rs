//! What a diagnosis costs: `larder doctor` on a healthy host against the same request by curl, on hosts that say
//! nothing, and `larder explain` on long logs. All figures are of whole processes.
//!
//! The hosts are those of the fault lab, which testkit's program `lab` sets up.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::ScopedJoinHandle;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::median;
use super::program::at_most;
use crate::process::{answers, cargo, run};
use crate::{Outcome, repository};

/// Pairs of a healthy host, for each delay.
const PAIRS: usize = 21;
/// Added to each direction: a round trip takes twice as long.
const DELAYS_MS: [u64; 3] = [0, 10, 25];
/// Runs of each log.
const RUNS: usize = 11;
const LINES: usize = 10_000;
/// What a healthy host may cost, from 20 ms a round trip on.
const GOAL_RATIO: f64 = 1.5;
const GOAL_EXPLAIN_MS: f64 = 50.0;
/// What may be added to the time-out of a host that says nothing.
const GOAL_DEAD_S: f64 = 2.0;

/// Cases of the lab that end in a time-out, and which one it is, in seconds (`tlsdoctor::Timeouts`).
const DEAD: [(&str, f64); 4] = [
    ("connect-timeout", 10.0),
    ("hang-handshake", 10.0),
    ("dns-timeout", 5.0),
    ("silent-after-handshake", 15.0),
];

#[derive(Serialize)]
pub(super) struct Doctor {
    healthy: Vec<Healthy>,
    dead: Vec<Dead>,
    explain: Vec<Explain>,
}

/// A healthy host behind a round trip of this length.
#[derive(Serialize)]
struct Healthy {
    round_trip_ms: u64,
    curl_ms: Vec<f64>,
    doctor_ms: Vec<f64>,
}

#[derive(Serialize)]
struct Dead {
    case: String,
    timeout_s: f64,
    took_s: f64,
    cause: String,
}

#[derive(Serialize)]
struct Explain {
    log: String,
    bytes: usize,
    findings: usize,
    ms: Vec<f64>,
}

/// # Errors
/// What is missing (`curl`), a lab that does not stand, a host that is told to be what it is not.
pub(super) fn measure(binary: &Path, folder: &Path) -> Outcome<Doctor> {
    if !answers("curl", &["--version"]) {
        return Err("curl is missing: a healthy host is measured against it".into());
    }
    run(cargo()
        .args(["build", "--package", "testkit", "--bin", "lab"])
        .current_dir(repository::root()))?;
    let program = repository::target_folder()?.join("debug").join("lab");
    let mut healthy = Vec::new();
    for delay_ms in DELAYS_MS {
        healthy.push(Healthy::measure(&program, binary, delay_ms)?);
    }
    let mut explain = Vec::new();
    let folder = folder.join("doctor");
    fs_err::create_dir_all(&folder)?;
    for (name, log) in logs() {
        let file = folder.join("log");
        fs_err::write(&file, &log)?;
        explain.push(Explain::measure(binary, name, &file, log.len())?);
    }
    Ok(Doctor {
        healthy,
        dead: dead(&program, binary)?,
        explain,
    })
}

impl Healthy {
    /// Turn by turn: what else runs on the machine meets both.
    fn measure(program: &Path, binary: &Path, delay_ms: u64) -> Outcome<Self> {
        let host = Standing::start(program, &["ok", &delay_ms.to_string()])?;
        let url = format!("{}/example.lab/m/@v/v1.0.0.info", host.told.url);
        let roots = host.variable("SSL_CERT_FILE")?;
        let mut measured = Self {
            round_trip_ms: 2 * delay_ms,
            curl_ms: Vec::new(),
            doctor_ms: Vec::new(),
        };
        for _ in 0..PAIRS {
            let mut curl = Command::new("curl");
            curl.args([
                "--silent",
                "--show-error",
                "--fail",
                "--output",
                "/dev/null",
            ]);
            curl.args(["--cacert", &roots, &url]);
            measured.curl_ms.push(timed(&mut curl)?.0);
            let mut doctor = host.command(binary);
            doctor.args(["doctor", "--json", &url]);
            measured.doctor_ms.push(timed(&mut doctor)?.0);
        }
        Ok(measured)
    }

    /// The median of the pairs' ratios.
    fn ratio(&self) -> f64 {
        let pairs = self.curl_ms.iter().zip(&self.doctor_ms);
        median(pairs.map(|(curl, doctor)| doctor / curl).collect())
    }
}

/// All at once: they do nothing but wait.
fn dead(program: &Path, binary: &Path) -> Outcome<Vec<Dead>> {
    let examine = |case: &str, timeout_s: f64| -> Result<Dead, String> {
        let host = Standing::start(program, &[case]).map_err(|error| error.to_string())?;
        let mut doctor = host.command(binary);
        doctor.args(["doctor", "--json"]);
        if let Some(resolver) = &host.told.resolver {
            doctor.args(["--resolver", resolver]);
        }
        doctor.arg(&host.told.url);
        let start = Instant::now();
        let output = doctor.output().map_err(|error| error.to_string())?;
        let took_s = start.elapsed().as_secs_f64();
        let told: serde_json::Value =
            serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
        let cause = told["targets"][0]["findings"][0]["cause"].as_str();
        Ok(Dead {
            case: case.to_owned(),
            timeout_s,
            took_s,
            cause: cause.ok_or_else(|| format!("{case}: no cause"))?.to_owned(),
        })
    };
    let results: Vec<Result<Dead, String>> = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (case, timeout_s) in DEAD {
            threads.push(scope.spawn(move || examine(case, timeout_s)));
        }
        let ends = threads.into_iter().map(ScopedJoinHandle::join);
        ends.map(|end| end.unwrap_or_else(|_| Err("a panic".to_owned())))
            .collect()
    });
    Ok(results.into_iter().collect::<Result<_, _>>()?)
}

/// A noisy build with few failures; a log of failures of two lines each; and one whose failures have names that
/// nothing is alike in.
fn logs() -> [(&'static str, String); 3] {
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
    let named = |number: usize| {
        let name: String = (0..4_u32)
            .filter_map(|place| {
                const SYLLABLES: &[u8] = b"bcdfghklmnprstvz";
                let letter = (number >> (4 * place)) & 15;
                SYLLABLES
                    .get(letter)
                    .map(|letter| format!("{}o", char::from(*letter)))
            })
            .collect();
        format!(
            "2031-02-03T04:05:06.{number:07}Z #12 {number}.1 go: {name}.example/x/{name}@v1.0.0: Get \"https://mirror.example/{name}.example/x/{name}/@v/v1.0.0.zip\": tls: failed to verify certificate: x509: certificate signed by unknown authority\n"
        )
    };
    [
        ("noisy", (0..LINES).map(noisy).collect()),
        ("failing", (0..LINES / 2).map(failing).collect()),
        ("failing, decorated", (0..LINES).map(named).collect()),
    ]
}

impl Explain {
    fn measure(binary: &Path, name: &str, file: &Path, bytes: usize) -> Outcome<Self> {
        let mut ms = Vec::new();
        let mut findings = 0;
        for _ in 0..RUNS {
            let mut explain = Command::new(binary);
            explain.args(["explain", "--json"]).arg(file);
            let (took, stdout) = timed(&mut explain)?;
            let told: serde_json::Value = serde_json::from_slice(&stdout)?;
            findings = told["findings"].as_array().map_or(0, Vec::len);
            ms.push(took);
        }
        Ok(Self {
            log: name.to_owned(),
            bytes,
            findings,
            ms,
        })
    }
}

/// How long a command that must succeed takes, in milliseconds, and what it wrote.
fn timed(command: &mut Command) -> Outcome<(f64, Vec<u8>)> {
    let start = Instant::now();
    let output = command.output()?;
    let ms = start.elapsed().as_secs_f64() * 1000.0;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{}`: {said}", crate::process::line(command)).into());
    }
    Ok((ms, output.stdout))
}

/// What the lab says of a case.
#[derive(Deserialize)]
struct Told {
    url: String,
    environment: Vec<(String, String)>,
    resolver: Option<String>,
    folder: PathBuf,
}

/// A case of the lab that stands as long as this.
struct Standing {
    child: Child,
    told: Told,
}

impl Standing {
    fn start(program: &Path, arguments: &[&str]) -> Outcome<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("the lab has no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let told = serde_json::from_str(&line)?;
        Ok(Self { child, told })
    }

    fn variable(&self, name: &str) -> Outcome<String> {
        let mut variables = self.told.environment.iter();
        let found = variables.find(|(known, _)| known == name);
        Ok(found
            .ok_or("the lab's environment lacks a variable")?
            .1
            .clone())
    }

    /// A command in the case's place, with nothing of this machine's environment.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.told.folder)
            .env_clear()
            .envs(self.told.environment.iter().cloned());
        command
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        // It ends with its stdin, and takes its folders along.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

impl Doctor {
    /// The section of the results.
    pub(super) fn report(&self) -> String {
        let mut text = format!(
            "\n### Diagnosis\n\nWhole processes. A healthy host on loopback is asked for one `.info` over TLS 1.3, by `larder doctor URL` and by curl with the same \
             roots, turn by turn, {PAIRS} pairs; the ratio is the median of the pairs'.\n\n\
             | round trip ms | curl ms | doctor ms | ratio |\n|---|---|---|---|\n"
        );
        for healthy in &self.healthy {
            let ratio = match healthy.round_trip_ms {
                0..20 => format!("{:.2}", healthy.ratio()),
                _ => at_most(healthy.ratio(), GOAL_RATIO),
            };
            // Writing to a text cannot fail.
            let _ = writeln!(
                text,
                "| {} | {:.1} | {:.1} | {ratio} |",
                healthy.round_trip_ms,
                median(healthy.curl_ms.clone()),
                median(healthy.doctor_ms.clone()),
            );
        }
        text.push_str(
            "\nHosts that say nothing, each told within its own time-out and 2 s:\n\n| case | cause | its time-out s | over it s |\n|---|---|---|---|\n",
        );
        for dead in &self.dead {
            let _ = writeln!(
                text,
                "| {} | {} | {:.0} | {} |",
                dead.case,
                dead.cause,
                dead.timeout_s,
                at_most(dead.took_s - dead.timeout_s, GOAL_DEAD_S),
            );
        }
        let _ = writeln!(
            text,
            "\n`larder explain` of a log of {LINES} lines, {RUNS} runs:\n\n| log | MB | findings | median ms | worst ms |\n|---|---|---|---|---|"
        );
        for explain in &self.explain {
            let worst = explain.ms.iter().copied().fold(0.0, f64::max);
            let bytes = u32::try_from(explain.bytes).unwrap_or(u32::MAX);
            let _ = writeln!(
                text,
                "| {} | {:.2} | {} | {} | {worst:.1} |",
                explain.log,
                f64::from(bytes) / 1e6,
                explain.findings,
                at_most(median(explain.ms.clone()), GOAL_EXPLAIN_MS),
            );
        }
        text
    }
}
