//! A Larder of one's own for a measurement or a suite: built from this tree, started on a free port,
//! watched from outside, and stopped as an operator would stop it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::{cargo, line, run};
use crate::{Outcome, repository};

/// Go's own settings: a run sets what it needs of them, and none may leak in from this machine.
pub(crate) const GO_SETTINGS: &[&str] = &[
    "GOPROXY",
    "GOSUMDB",
    "GOPRIVATE",
    "GONOPROXY",
    "GONOSUMDB",
    "GOINSECURE",
    "GOFLAGS",
    "GOVCS",
    "GOAUTH",
];

/// Builds the release binary of this tree and returns its path; `XTASK_LARDER` names another to use.
pub(crate) fn build() -> Outcome<PathBuf> {
    if let Some(binary) = std::env::var_os("XTASK_LARDER") {
        return Ok(PathBuf::from(binary));
    }
    run(cargo()
        .args(["build", "--release", "--package", "larder"])
        .current_dir(repository::root()))?;
    Ok(repository::target_folder()?.join("release").join("larder"))
}

/// A running `larder serve`. Killed when dropped, stopped politely by [`Larder::stop`].
pub(crate) struct Larder {
    child: Child,
    /// `http://127.0.0.1:PORT`, as it announced itself.
    pub(crate) url: String,
    /// From starting the process to its line on stdout.
    pub(crate) ready_after: Duration,
    log: PathBuf,
}

impl Larder {
    /// Starts `BINARY serve --listen 127.0.0.1:0 ARGUMENTS…` with its stderr in the file `log`, and waits until it
    /// says where it listens. `environment` is added to this process's own.
    ///
    /// # Errors
    /// The end of its log, if it ends before it can serve.
    pub(crate) fn start(
        binary: &Path,
        arguments: &[String],
        environment: &[(&str, &str)],
        log: &Path,
    ) -> Outcome<Self> {
        let mut command = Command::new(binary);
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs_err::File::create(log)?.into_parts().0);
        let began = Instant::now();
        let mut child = command
            .spawn()
            .map_err(|error| format!("`{}`: {error}", line(&command)))?;
        let stdout = child.stdout.take().ok_or("larder has no stdout")?;
        let mut announced = String::new();
        BufReader::new(stdout).read_line(&mut announced)?;
        let ready_after = began.elapsed();
        let Some(url) = announced.trim_end().strip_prefix("listening on ") else {
            let _ = child.kill();
            let status = child.wait()?;
            return Err(format!(
                "`{}` ended before it could serve ({status}):\n{}",
                line(&command),
                tail(log)
            )
            .into());
        };
        Ok(Self {
            url: url.to_owned(),
            child,
            ready_after,
            log: log.to_owned(),
        })
    }

    pub(crate) fn usage(&self) -> Outcome<Usage> {
        Usage::of(self.child.id())
    }

    /// The requests answered so far, by what its own metrics say. `None` where they do not say.
    pub(crate) fn requests(&self) -> Option<u64> {
        let metrics = crate::http::get(&format!("{}/-/metrics", self.url)).ok()?;
        let counts = metrics
            .lines()
            .filter(|line| line.starts_with("larder_requests_total"));
        let mut total = 0.0;
        for count in counts {
            let value: f64 = count.rsplit(' ').next()?.parse().ok()?;
            total += value;
        }
        // A counter of requests is a whole number far below 2^53.
        format!("{total:.0}").parse().ok()
    }

    /// SIGTERM, and then status 0 is expected within 30 seconds.
    pub(crate) fn stop(mut self) -> Outcome<Usage> {
        let usage = self.usage()?;
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM)?;
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait()? {
                if status.success() {
                    return Ok(usage);
                }
                return Err(format!(
                    "larder ended with {status} at SIGTERM:\n{}",
                    tail(&self.log)
                )
                .into());
            }
            if Instant::now() > deadline {
                return Err("larder did not end within 30 s of SIGTERM".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Larder {
    fn drop(&mut self) {
        // Already ended when `stop` was called; nobody is left to tell otherwise.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process has used, as the kernel counts it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    pub(crate) resident_bytes: u64,
    pub(crate) peak_bytes: u64,
}

impl Usage {
    /// Of one process, its threads included and its children not.
    pub(crate) fn of(process: u32) -> Outcome<Self> {
        let stat = fs_err::read_to_string(format!("/proc/{process}/stat"))?;
        // The second field is the program's name in parentheses and may hold blanks; the rest is plain.
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let ticks = |index: usize| {
            fields
                .get(index)
                .and_then(|field| field.parse::<u64>().ok())
                .unwrap_or(0)
        };
        // User and system time are the fields 14 and 15 of proc(5); the fields here begin with the third.
        let (user, system) = (ticks(11), ticks(12));
        let status = fs_err::read_to_string(format!("/proc/{process}/status"))?;
        let kibibytes = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .and_then(|rest| rest.split_whitespace().next())
                .and_then(|number| number.parse::<u64>().ok())
                .unwrap_or(0)
        };
        Ok(Self {
            cpu: Duration::from_millis(
                (user + system) * 1000 / rustix::param::clock_ticks_per_second(),
            ),
            resident_bytes: kibibytes("VmRSS:") * 1024,
            peak_bytes: kibibytes("VmHWM:") * 1024,
        })
    }
}

/// The last lines of a log, for an error message.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs_err::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(15)..)
        .unwrap_or_default()
        .join("\n")
}
