//! `cargo xtask suite-b`: Go's own scripts of direct mode, with Larder in the place of the repositories.
//!
//! The scripts say `GOPROXY=direct` and find their repositories on a server that Go's test program starts inside
//! itself, at ports that only the scripts know. So in copies of them, made at run time from the Go
//! installation at hand, the word `direct` is replaced by the address of testkit's program `vcs_route`, with those
//! ports in the path; that program starts a plain `larder serve --upstream direct` for each test server that
//! it is told of, and hands requests on. Larder itself has no route for tests.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::go_scripts::{self, Run, Verdict};
use crate::process::{cargo, line, run};
use crate::{Outcome, repository};

/// Scripts that ask for modules in direct mode and nothing that a proxy cannot give.
const MUST_PASS: &[&str] = &[
    "mod_download_git_decorate_full",
    "mod_get_direct",
    "mod_get_major",
    "mod_get_pseudo",
    "mod_get_pseudo_other_branch",
    "mod_get_pseudo_prefix",
    "mod_get_subdir",
    "mod_list_direct",
    "mod_list_odd_tags",
    "mod_missing_repo",
];

/// Scripts that reach their repositories because they call them private: for these, the checksum database is
/// switched off for the same names instead, and the proxy is asked like in the others.
const CALLED_PRIVATE: &[&str] = &[
    "build_git_sha256_go_get_branch",
    "build_git_sha256_moddep",
    "mod_download_git_bareRepository",
    "mod_download_git_bareRepository_sha256",
    "mod_get_issue47650",
];

/// Runs the suite. `only`: a regular expression for script names, instead of those that must pass.
///
/// # Errors
/// Scripts that must pass and do not, and scripts that pass without having asked Larder.
pub(crate) fn run_suite(only: Option<&str>) -> Outcome {
    let all: Vec<&str> = MUST_PASS.iter().chain(CALLED_PRIVATE).copied().collect();
    let scripts = only.map_or_else(|| format!("({})$", all.join("|")), str::to_owned);
    let suite = Suite::prepare()?;
    let route = Route::start(&suite.work)?;
    suite.rewrite(&route.url)?;
    let ran = suite.run(&scripts)?;
    let asked = route.stop()?;

    println!(
        "\n| passed | failed | skipped |\n|---|---|---|\n| {} |\n",
        ran.cells()
    );
    for (script, verdict) in &ran.results {
        println!("  {verdict:?} {script}");
    }
    println!("\nLarder was asked {asked} times.");
    let wanted = |script: &&String| only.is_some() || all.contains(&script.as_str());
    let failed: Vec<&String> = ran
        .results
        .iter()
        .filter(|(_, verdict)| **verdict != Verdict::Passed)
        .map(|(script, _)| script)
        .filter(wanted)
        .collect();
    if asked == 0 {
        return Err("the scripts passed Larder by: it was not asked once".into());
    }
    if only.is_none() && ran.results.len() != all.len() {
        return Err(format!("{} of {} scripts ran", ran.results.len(), all.len()).into());
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{} scripts do not pass; see {}",
        failed.len(),
        ran.log.display()
    )
    .into())
}

struct Suite {
    program: PathBuf,
    /// Where Go's test program runs: it reads `testdata` here.
    folder: PathBuf,
    work: PathBuf,
}

impl Suite {
    fn prepare() -> Outcome<Self> {
        let work = repository::target_folder()?.join("suite-b");
        if work.exists() {
            fs_err::remove_dir_all(&work)?;
        }
        let folder = work.join("go");
        fs_err::create_dir_all(&folder)?;
        copy_folder(
            &go_scripts::source_folder()?.join("testdata"),
            &folder.join("testdata"),
        )?;
        let program = work.join("cmdgo.test");
        println!("building Go's own test program (a minute when cold)");
        run(Command::new("go")
            .args(["test", "-c", "-o"])
            .arg(&program)
            .arg("cmd/go"))?;
        Ok(Self {
            program,
            folder,
            work,
        })
    }

    /// Puts the route in the place of `direct`.
    fn rewrite(&self, route: &str) -> Outcome {
        let proxy = format!(
            "GOPROXY={route}/_vcs/$TESTGO_VCSTEST_HOST/$TESTGO_VCSTEST_TLS_HOST$TESTGO_VCSTEST_CERT/_"
        );
        let folder = self.folder.join("testdata/script");
        let mut changed = 0;
        for entry in fs_err::read_dir(&folder)? {
            let file = entry?.path();
            let Some(name) = file.file_stem().and_then(|name| name.to_str()) else {
                continue;
            };
            if !file.is_file() {
                continue;
            }
            // One of Go's scripts is not UTF-8, on purpose; it asks for no module.
            let Ok(text) = String::from_utf8(fs_err::read(&file)?) else {
                continue;
            };
            let new = rewritten(name, &text, &proxy);
            if new != text {
                fs_err::write(&file, new)?;
                changed += 1;
            }
        }
        println!("{changed} scripts say another GOPROXY now");
        Ok(())
    }

    fn run(&self, scripts: &str) -> Outcome<Run> {
        let mut command = Command::new(&self.program);
        go_scripts::run(
            command.current_dir(&self.folder),
            scripts,
            &self.work.join("scripts.log"),
        )
    }
}

fn rewritten(name: &str, text: &str, proxy: &str) -> String {
    let mut text = text.replace("GOPROXY=direct", proxy);
    if CALLED_PRIVATE.contains(&name) {
        let private = "env GOPRIVATE=vcs-test.golang.org";
        text = text.replace(
            private,
            &format!("env GONOSUMDB=vcs-test.golang.org\nenv {proxy}"),
        );
    }
    text
}

fn copy_folder(from: &Path, to: &Path) -> Outcome {
    fs_err::create_dir_all(to)?;
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs_err::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// The running `vcs_route`.
struct Route {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    url: String,
}

impl Route {
    fn start(work: &Path) -> Outcome<Self> {
        run(cargo()
            .args(["build", "--package", "larder", "--package", "testkit"])
            .current_dir(repository::root()))?;
        let built = repository::target_folder()?.join("debug");
        let binary =
            std::env::var_os("XTASK_LARDER").map_or_else(|| built.join("larder"), PathBuf::from);
        let mut command = Command::new(built.join("vcs_route"));
        command
            .arg(binary)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs_err::File::create(work.join("route.log"))?.into_parts().0);
        let mut child = command
            .spawn()
            .map_err(|error| format!("`{}`: {error}", line(&command)))?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let mut first = String::new();
        stdout.read_line(&mut first)?;
        let url = first
            .trim_end()
            .strip_prefix("listening on ")
            .ok_or("vcs_route says no address")?
            .to_owned();
        Ok(Self { child, stdout, url })
    }

    /// Ends it by closing its stdin; it says how often Larder was asked.
    fn stop(mut self) -> Outcome<u64> {
        drop(self.child.stdin.take());
        let mut last = String::new();
        self.stdout.read_line(&mut last)?;
        self.child.wait()?;
        let count = last
            .trim_end()
            .strip_suffix(" requests")
            .ok_or("vcs_route says no count")?;
        Ok(count.parse()?)
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        // Its own end is the better one: it ends the servers that it started.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::rewritten;

    #[test]
    fn scripts_ask_the_route_instead_of_repositories() {
        let check = |name: &str, text: &str, expected: &str| {
            assert_eq!(rewritten(name, text, "GOPROXY=http://route"), expected);
        };
        check(
            "mod_get_direct",
            "env GOPROXY=direct\n",
            "env GOPROXY=http://route\n",
        );
        let private = "env GOPRIVATE=vcs-test.golang.org\n";
        check("mod_auth", private, private);
        check(
            "mod_get_issue47650",
            private,
            "env GONOSUMDB=vcs-test.golang.org\nenv GOPROXY=http://route\n",
        );
    }
}
