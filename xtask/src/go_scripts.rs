//! Go's own script tests (`cmd/go/testdata/script`): running those of a name and reading what became of them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Outcome;
use crate::larder::tail;
use crate::process::{line, output};

/// `GOROOT/src/cmd/go`.
pub(crate) fn source_folder() -> Outcome<PathBuf> {
    let root = PathBuf::from(output(Command::new("go").args(["env", "GOROOT"]))?.trim());
    Ok(root.join("src/cmd/go"))
}

/// What became of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Failed,
    Skipped,
}

/// What became of all scripts of one run.
pub(crate) struct Run {
    pub(crate) results: BTreeMap<String, Verdict>,
    pub(crate) log: PathBuf,
}

impl Run {
    /// Passed, failed, skipped, as cells of a table.
    pub(crate) fn cells(&self) -> String {
        let count = |verdict| {
            self.results
                .values()
                .filter(|found| **found == verdict)
                .count()
        };
        format!(
            "{} | {} | {}",
            count(Verdict::Passed),
            count(Verdict::Failed),
            count(Verdict::Skipped)
        )
    }
}

/// Runs the scripts whose names match the regular expression `scripts` with Go's test program, which `command` names with
/// its folder and its environment; everything that it says goes to `log`.
///
/// # Errors
/// When no script ran.
pub(crate) fn run(command: &mut Command, scripts: &str, log: &Path) -> Outcome<Run> {
    let file = fs_err::File::create(log)?.into_parts().0;
    command
        .args([
            "-test.v",
            "-test.parallel",
            "2",
            "-test.timeout",
            "40m",
            "-test.run",
        ])
        .arg(format!("TestScript/^{scripts}"))
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file);
    let began = Instant::now();
    // Its status says whether any script failed, and some need a network that is not there: what
    // counts is each script.
    let status = command
        .status()
        .map_err(|error| format!("`{}`: {error}", line(command)))?;
    let results = verdicts(log)?;
    if results.is_empty() {
        return Err(format!("no script ran ({status}):\n{}", tail(log)).into());
    }
    println!(
        "{} scripts in {:.0} s",
        results.len(),
        began.elapsed().as_secs_f64()
    );
    Ok(Run {
        results,
        log: log.to_owned(),
    })
}

fn verdicts(log: &Path) -> Outcome<BTreeMap<String, Verdict>> {
    let mut results = BTreeMap::new();
    for line in BufReader::new(fs_err::File::open(log)?).split(b'\n') {
        if let Some((script, verdict)) = verdict(&String::from_utf8_lossy(&line?)) {
            results.insert(script, verdict);
        }
    }
    Ok(results)
}

/// `    --- PASS: TestScript/mod_case (1.20s)` as its script and its verdict.
fn verdict(line: &str) -> Option<(String, Verdict)> {
    let (word, rest) = line
        .trim_start()
        .strip_prefix("--- ")?
        .split_once(": TestScript/")?;
    let verdict = match word {
        "PASS" => Verdict::Passed,
        "FAIL" => Verdict::Failed,
        "SKIP" => Verdict::Skipped,
        _ => return None,
    };
    Some((rest.split(' ').next()?.to_owned(), verdict))
}

#[cfg(test)]
mod tests {
    use super::{Verdict, verdict};

    #[test]
    fn result_lines_are_read() {
        let check = |line: &str, expected: Option<(&str, Verdict)>| {
            assert_eq!(
                verdict(line),
                expected.map(|(script, verdict)| (script.to_owned(), verdict)),
                "{line}"
            );
        };
        check(
            "    --- PASS: TestScript/mod_case (1.20s)",
            Some(("mod_case", Verdict::Passed)),
        );
        check(
            "    --- FAIL: TestScript/mod_query (0.10s)",
            Some(("mod_query", Verdict::Failed)),
        );
        check(
            "    --- SKIP: TestScript/mod_hg (0.00s)",
            Some(("mod_hg", Verdict::Skipped)),
        );
        check("--- PASS: TestScript (0.10s)", None);
        check("=== RUN   TestScript/mod_case", None);
    }
}
