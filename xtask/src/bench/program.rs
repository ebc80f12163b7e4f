//! testkit's program `pull_path`, which has what this program must not depend on: upstreams that misbehave, a pipe,
//! thousands of clients, the store. It is built with all optimisations, so that it is not what is measured.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::larder::Usage;
use crate::process::{cargo, line, run};
use crate::{Outcome, repository};

/// Where it is, or will be once it is built.
pub(super) struct Program {
    path: PathBuf,
}

impl Program {
    pub(super) fn find() -> Outcome<Self> {
        let target = repository::target_folder()?;
        Ok(Self {
            path: target.join("release").join("pull_path"),
        })
    }

    pub(super) fn build(&self) -> Outcome {
        run(cargo()
            .args(["build", "--release", "--package", "testkit", "--bin"])
            .arg("pull_path")
            .current_dir(repository::root()))
    }

    /// Runs one of its commands and reads the figures that it prints; what it says meanwhile is shown.
    pub(super) fn measure<T: DeserializeOwned>(&self, arguments: &[&str]) -> Outcome<T> {
        let mut command = Command::new(&self.path);
        command.args(arguments).stdin(Stdio::null());
        let output = command.stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(format!("`{}` failed: {}", line(&command), output.status).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Puts a pipe in front of a server. A round trip through it takes twice `delay` longer.
    pub(super) fn pipe(&self, server: SocketAddr, delay: Duration) -> Outcome<Listening> {
        self.start(&["pipe", &server.to_string(), &delay.as_millis().to_string()])
    }

    /// Starts the server that does the least that one can, for these paths of `folder`.
    pub(super) fn floor(&self, folder: &Path, paths: &[&str]) -> Outcome<Listening> {
        let folder = folder.to_string_lossy();
        self.start(&[&["floor", &folder], paths].concat())
    }

    fn start(&self, arguments: &[&str]) -> Outcome<Listening> {
        let mut child = Command::new(&self.path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("it has no stdout")?;
        let mut announced = String::new();
        BufReader::new(stdout).read_line(&mut announced)?;
        let url = announced
            .trim_end()
            .strip_prefix("listening on ")
            .ok_or_else(|| format!("pull_path {arguments:?} does not say where it listens"))?
            .to_owned();
        Ok(Listening { child, url })
    }
}

/// A pipe or a server that lives as long as this.
pub(super) struct Listening {
    child: Child,
    pub(super) url: String,
}

impl Listening {
    pub(super) fn usage(&self) -> Outcome<Usage> {
        Usage::of(self.child.id())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // It would end with its stdin, too; nobody could be told that this failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A figure beside its goal: `1.03 (≤ 1.05: met)`.
pub(super) fn at_most(figure: f64, goal: f64) -> String {
    let word = if figure <= goal { "met" } else { "**missed**" };
    format!("{figure:.2} (≤ {goal}: {word})")
}

/// As [`at_most`], where more is better.
pub(super) fn at_least(figure: f64, goal: f64) -> String {
    let word = if figure >= goal { "met" } else { "**missed**" };
    format!("{figure:.2} (≥ {goal}: {word})")
}

/// With one decimal.
pub(super) fn mebibytes(bytes: u64) -> f64 {
    let tenths = u32::try_from(bytes * 10 / (1 << 20)).unwrap_or(u32::MAX);
    f64::from(tenths) / 10.0
}

#[cfg(test)]
mod tests {
    use super::{at_least, at_most, mebibytes};

    #[test]
    fn a_figure_says_whether_it_meets_its_goal() {
        assert_eq!(at_most(1.04, 1.05), "1.04 (≤ 1.05: met)");
        assert_eq!(at_most(1.06, 1.05), "1.06 (≤ 1.05: **missed**)");
        assert_eq!(at_least(0.5, 1.0), "0.50 (≥ 1: **missed**)");
        assert_eq!(mebibytes(3 << 19).to_string(), "1.5");
    }
}
