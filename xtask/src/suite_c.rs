//! `cargo xtask suite-c`: Go's own module scripts against Go's own test proxy, once directly and once
//! with Larder between. The score: no script that passes with the test proxy alone fails behind
//! Larder.
//!
//! Go's test program starts its proxy inside itself and hands its address to each script. A few words
//! of that one file are changed in a copy, made at run time from the Go installation at hand and laid over
//! the original with `go test -overlay`: on which port the proxy listens, and which address the scripts are
//! given. Scripts expect that address to end in `/mod`, so they are given a reverse proxy that takes `/mod` away,
//! as an operator would who offers Larder below a path. Larder itself is a plain `larder serve` with the test
//! proxy as its upstream; it has no route for tests.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::go_scripts::{self, Run, Verdict};
use crate::larder::{self, Larder};
use crate::process::run;
use crate::{Outcome, repository};

/// Scripts that ask the test proxy for its deliberate faults, by sub-paths of its own (`/mod/404/…`,
/// `/mod/sumdb-wrong/…`, `/mod/redirect/…`): no module proxy in front of it can have those, so they are always
/// given the test proxy itself.
const OF_THE_TEST_PROXY: &[&str] = &[
    "mod_download_too_many_redirects",
    "mod_list_update_nolatest",
    "mod_proxy_invalid",
    "mod_proxy_list",
    "mod_sum_absent",
    "mod_sumdb",
    "mod_sumdb_cache",
    "mod_sumdb_proxy",
];

/// What the test proxy's own checksum database gets wrong: it leaves files that begin with a dot out
/// of its hashes. Larder refuses such a module as it must, so it is exempt, as an operator would exempt it.
const WRONG_IN_THE_DATABASE: &str = "example.com/dotname";

/// The environment variable that tells the changed test program where its proxy listens.
const LISTEN: &str = "SUITE_TEST_PROXY_ADDRESS";
/// The environment variable that tells it which address the scripts are given instead.
const FRONT: &str = "SUITE_PROXY_IN_FRONT";

/// Runs the suite. `only`: a regular expression for script names, instead of `mod_`.
///
/// # Errors
/// Scripts that pass with the test proxy alone and fail behind Larder, by name.
pub(crate) fn run_suite(only: Option<&str>) -> Outcome {
    let suite = Suite::prepare(only.unwrap_or("mod_"))?;
    let binary = larder::build()?;
    println!("\n==> the test proxy alone");
    let alone = suite.run("alone", None, &[])?;
    println!("\n==> with Larder in front of the test proxy");
    let front = suite.larder_in_front(&binary)?;
    let behind = suite.run(
        "behind",
        Some(&front.url),
        &[
            "-test.skip",
            &format!("TestScript/^({})$", OF_THE_TEST_PROXY.join("|")),
        ],
    )?;
    let requests = front.requests();
    let usage = front.stop()?;

    println!("\n| run | passed | failed | skipped |\n|---|---|---|---|");
    println!("| the test proxy alone | {} |", alone.cells());
    println!("| Larder in front | {} |", behind.cells());
    println!(
        "\n{} scripts are of the test proxy's own faults and always ask it directly. Larder answered {} requests \
         with {:.1} s of CPU; its peak was {} MiB.",
        OF_THE_TEST_PROXY.len(),
        requests.map_or_else(
            || "an unknown number of".to_owned(),
            |requests| requests.to_string()
        ),
        usage.cpu.as_secs_f64(),
        usage.peak_bytes >> 20,
    );
    let worse = worse_behind(&alone.results, &behind.results);
    if worse.is_empty() {
        println!("No script that passes with the test proxy alone fails behind Larder.");
        return Ok(());
    }
    println!("\nPass with the test proxy alone and fail behind Larder:");
    for script in &worse {
        println!("  {script}");
    }
    Err(format!(
        "{} scripts fail behind Larder only; see {}",
        worse.len(),
        behind.log.display()
    )
    .into())
}

/// Scripts that passed first and did not the second time; one that was not run the second time is
/// not worse.
fn worse_behind(
    alone: &BTreeMap<String, Verdict>,
    behind: &BTreeMap<String, Verdict>,
) -> Vec<String> {
    alone
        .iter()
        .filter(|(_, verdict)| **verdict == Verdict::Passed)
        .filter(|(script, _)| {
            behind
                .get(*script)
                .is_some_and(|verdict| *verdict == Verdict::Failed)
        })
        .map(|(script, _)| script.clone())
        .collect()
}

struct Suite {
    /// Go's test program with the two words changed.
    program: PathBuf,
    /// The folder that the test program must run in.
    source: PathBuf,
    /// Logs and the cache folder; emptied before each run.
    work: PathBuf,
    /// A port that was free a moment ago, for the test proxy.
    address: String,
    /// The verifier key of the test proxy's checksum database.
    database: String,
    scripts: String,
}

impl Suite {
    fn prepare(scripts: &str) -> Outcome<Self> {
        let source = go_scripts::source_folder()?;
        let original = source.join("proxy_test.go");
        let text = fs_err::read_to_string(&original)?;
        let work = repository::target_folder()?.join("suite-c");
        if work.exists() {
            fs_err::remove_dir_all(&work)?;
        }
        fs_err::create_dir_all(&work)?;

        let changed = work.join("proxy_test.go");
        fs_err::write(&changed, with_front(&text)?)?;
        let overlay = work.join("overlay.json");
        fs_err::write(
            &overlay,
            serde_json::json!({ "Replace": { original.display().to_string(): changed } })
                .to_string(),
        )?;
        let program = work.join("cmdgo.test");
        println!("building Go's own test program (a minute when cold)");
        run(Command::new("go")
            .args(["test", "-c", "-overlay"])
            .arg(&overlay)
            .arg("-o")
            .arg(&program)
            .arg("cmd/go"))?;

        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        Ok(Self {
            program,
            source,
            work,
            address: free.to_string(),
            database: constant(&text, "testSumDBVerifierKey")?.to_owned(),
            scripts: scripts.to_owned(),
        })
    }

    fn larder_in_front(&self, binary: &Path) -> Outcome<Larder> {
        let upstream = format!("http://{}/mod", self.address);
        let cache = self.work.join("cache");
        let arguments = [
            "--upstream",
            &upstream,
            "--fresh",
            "0",
            "--sumdb",
            &self.database,
            "--no-sumdb",
            WRONG_IN_THE_DATABASE,
            "--cache-dir",
        ]
        .map(str::to_owned)
        .into_iter()
        .chain([cache.display().to_string()])
        .collect::<Vec<_>>();
        // The scripts must see what the flags say, not what this machine's go environment says.
        let mut environment: Vec<(&str, &str)> =
            larder::GO_SETTINGS.iter().map(|name| (*name, "")).collect();
        environment.push(("GOENV", "off"));
        Larder::start(
            binary,
            &arguments,
            &environment,
            &self.work.join("larder.log"),
        )
    }

    fn run(&self, name: &str, front: Option<&str>, arguments: &[&str]) -> Outcome<Run> {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env(LISTEN, &self.address)
            .env(FRONT, front.unwrap_or_default())
            .current_dir(&self.source);
        go_scripts::run(
            &mut command,
            &self.scripts,
            &self.work.join(format!("{name}.log")),
        )
    }
}

/// Go's `proxy_test.go` with the address of its proxy, and the one that scripts are given, from the
/// environment.
fn with_front(text: &str) -> Outcome<String> {
    let changes = [
        (
            "\t\"net/http\"\n",
            "\t\"net/http\"\n\t\"net/http/httputil\"\n\t\"net/url\"\n".to_owned(),
        ),
        (
            "addr = \"localhost:0\"",
            format!("addr = os.Getenv(\"{LISTEN}\")"),
        ),
        (
            "proxyURL = \"http://\" + *proxyAddr + \"/mod\"",
            format!(
                "proxyURL = \"http://\" + *proxyAddr + \"/mod\"\n{}",
                REVERSE_PROXY.replace("FRONT", FRONT)
            ),
        ),
    ];
    let mut changed = text.to_owned();
    for (from, to) in changes {
        if changed.matches(from).count() != 1 {
            return Err(format!(
                "Go's proxy_test.go has changed: `{from}` is not there exactly once"
            )
            .into());
        }
        changed = changed.replace(from, &to);
    }
    Ok(changed)
}

/// Go code of ours: the address that scripts are given, when something stands in front.
const REVERSE_PROXY: &str = r#"
		if front, err := url.Parse(os.Getenv("FRONT")); err == nil && front.Host != "" {
			below, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				log.Fatal(err)
			}
			proxyURL = "http://" + below.Addr().String() + "/mod"
			go http.Serve(below, http.StripPrefix("/mod", httputil.NewSingleHostReverseProxy(front)))
		}
"#;

/// The value of a string constant in Go source.
fn constant<'a>(text: &'a str, name: &str) -> Outcome<&'a str> {
    text.lines()
        .find_map(|line| {
            line.trim()
                .strip_prefix(name)?
                .trim()
                .strip_prefix('=')?
                .trim()
                .strip_prefix('"')?
                .strip_suffix('"')
        })
        .ok_or_else(|| format!("Go's proxy_test.go has no constant {name}").into())
}

#[cfg(test)]
mod tests {
    use super::{Verdict, constant, with_front, worse_behind};

    #[test]
    fn only_scripts_that_fail_behind_alone_are_worse() {
        let run = |pairs: &[(&str, Verdict)]| {
            pairs
                .iter()
                .map(|(script, verdict)| ((*script).to_owned(), *verdict))
                .collect()
        };
        let alone = run(&[
            ("a", Verdict::Passed),
            ("b", Verdict::Failed),
            ("c", Verdict::Passed),
            ("d", Verdict::Passed),
        ]);
        let behind = run(&[
            ("a", Verdict::Failed),
            ("b", Verdict::Failed),
            ("c", Verdict::Passed),
        ]);
        assert_eq!(worse_behind(&alone, &behind), ["a"]);
    }

    #[test]
    fn a_go_source_that_has_changed_is_an_error_and_not_a_silent_pass() {
        assert!(with_front("addr = \"localhost:0\"\n").is_err());
        let text = "\t\"net/http\"\n\taddr = \"localhost:0\"\nproxyURL = \"http://\" + *proxyAddr + \"/mod\"\n\tname   = \"value+key\"\n";
        let changed = with_front(text).unwrap();
        assert!(
            changed.contains("os.Getenv(\"SUITE_TEST_PROXY_ADDRESS\")"),
            "{changed}"
        );
        assert_eq!(constant(text, "name").unwrap(), "value+key");
        assert!(constant(text, "absent").is_err());
    }
}
