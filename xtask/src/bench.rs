//! `cargo xtask bench`: figures, as ratios in one run: against nginx serving the same folder, against no proxy at
//! all, against the healthy one of two upstreams, and against the go command.
//!
//! One file a part: cached files under load, what a start costs, the download of a real graph, faults of upstreams,
//! many clients, a soak, zips fetched ahead, modules straight from git, and what a diagnosis costs. A person reads `bench/RESULTS.md`, where each run adds a
//! section; every single measurement is in `bench/results/`, the pictures of the latest run are beside it.
//! CPU is what the kernel counts for the server's processes, so it holds on a busy machine too;
//! requests per second do not.

mod corpus;
mod direct;
mod doctor;
mod faults;
mod files;
mod generator;
mod graph;
mod load;
mod nginx;
mod plot;
mod prefetch;
mod program;
mod soak;
mod start;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::larder::{self, Larder};
use crate::process::output;
use crate::{Outcome, repository};
use program::Program;

/// What `cargo xtask bench` without a part measures, in this order.
const PARTS: &[&str] = &["files", "start", "graph", "faults", "load", "soak"];

/// Everything but `prefetch`, `direct` and `doctor`, appended to the results.
///
/// # Errors
/// A server that does not start, an answer that is wrong, or what is missing on this machine.
pub(crate) fn run_all() -> Outcome {
    run_parts(PARTS, soak::SECONDS, "")
}

/// One part, appended to the results.
///
/// # Errors
/// As [`run_all`], and a part that there is not.
pub(crate) fn run_part(part: &str) -> Outcome {
    run_parts(&[part], soak::SECONDS, &format!("-{part}"))
}

/// A soak of so many seconds, appended to the results.
///
/// # Errors
/// As [`run_all`], and what must hold in a soak and does not.
pub(crate) fn run_soak(seconds: &str) -> Outcome {
    run_parts(&["soak"], seconds.parse()?, "-soak")
}

/// Cached files in one setting, shown and not kept: for trying a change out.
///
/// # Errors
/// As [`run_all`], and a setting that there is not.
pub(crate) fn show_files(setting: &str) -> Outcome {
    let setting = files::Setting::named(setting)?;
    let binary = larder::build()?;
    let program = Program::find()?;
    program.build()?;
    nginx::install()?;
    let work = Work::fresh()?;
    let files = files::measure(&program, &binary, &work.disk, Some(setting))?;
    println!("{}", files::report(&files));
    Ok(())
}

/// One way to download the graph, printed and not appended: for profiles, and before and after a change.
///
/// # Errors
/// As [`run_all`], and a way that there is not.
pub(crate) fn show_graph(way: &str) -> Outcome {
    let binary = larder::build()?;
    let program = Program::find()?;
    program.build()?;
    graph::try_way(&program, &binary, &Work::fresh()?, way)
}

fn run_parts(parts: &[&str], soak_seconds: u64, name: &str) -> Outcome {
    if let Some(part) = parts
        .iter()
        .find(|part| !PARTS.contains(part) && !["prefetch", "direct", "doctor"].contains(part))
    {
        let known = PARTS.join(", ");
        return Err(format!("no part `{part}`: {known}, prefetch, direct, doctor").into());
    }
    let binary = larder::build()?;
    let program = Program::find()?;
    if parts != ["direct"] && parts != ["doctor"] {
        program.build()?;
    }
    let work = Work::fresh()?;
    let machine = Machine::of_this_run()?;
    let mut section = machine.heading();
    let mut raw = Map::new();
    raw.insert("machine".to_owned(), json!(machine));
    let mut broken = Vec::new();
    for part in parts {
        println!("==> {part}");
        let (report, figures) = match *part {
            "files" => {
                nginx::install()?;
                let files = files::measure(&program, &binary, &work.disk, None)?;
                draw("files.svg", &plot::ratios(&files::ratios(&files)))?;
                let report = files::report(&files) + "\n![The ratios as bars](files.svg)\n";
                (report, json!(files))
            }
            "start" => {
                let start = start::measure(&program, &binary, &work.disk, &work.memory)?;
                (start.report(), json!(start))
            }
            "graph" => {
                let graph = graph::measure(&program, &binary, &work)?;
                (graph.report(), json!(graph))
            }
            "faults" => {
                let faults = faults::measure(&program, &binary, &work.memory)?;
                draw("faults.svg", &plot::timelines(&faults))?;
                (faults.report(), json!(faults))
            }
            "load" => {
                let load = load::measure(&program, &binary, &work.memory)?;
                (load.report(), json!(load))
            }
            "soak" => {
                let soak = soak::measure(&program, &binary, &work.memory, soak_seconds)?;
                broken.extend(soak.faults_found());
                (soak.report(), json!(soak))
            }
            "prefetch" => {
                let prefetched = prefetch::measure(&program, &binary, &work)?;
                (prefetched.report(), json!(prefetched))
            }
            "doctor" => {
                let doctor = doctor::measure(&binary, &work.disk)?;
                (doctor.report(), json!(doctor))
            }
            _ => {
                let direct = direct::measure(&binary, &work.disk)?;
                (direct.report(), json!(direct))
            }
        };
        println!("{report}");
        section.push_str(&report);
        raw.insert((*part).to_owned(), figures);
    }
    keep(&machine, name, &section, &Value::Object(raw))?;
    if broken.is_empty() {
        Ok(())
    } else {
        Err(broken.join("\n").into())
    }
}

/// A picture of the latest run, which `bench/RESULTS.md` shows.
fn draw(name: &str, picture: &str) -> Outcome {
    let file = repository::root().join("bench").join(name);
    Ok(fs_err::write(file, picture)?)
}

/// Appends a section to the results, and writes the raw figures beside them.
fn keep(machine: &Machine, part: &str, section: &str, raw: &Value) -> Outcome {
    let name = format!("{}-{}{part}.json", machine.date, machine.commit);
    let folder = repository::root().join("bench");
    fs_err::write(
        folder.join("results").join(&name),
        format!("{}\n", serde_json::to_string(raw)?),
    )?;
    let results = folder.join("RESULTS.md");
    let mut text = fs_err::read_to_string(&results)?;
    write!(text, "\n{section}\nRaw: [{name}](results/{name})\n")?;
    fs_err::write(&results, text)?;
    println!("appended to {}", results.display());
    Ok(())
}

/// Two folders of one's own, emptied: one below the target folder, one in memory.
struct Work {
    disk: PathBuf,
    memory: PathBuf,
}

impl Work {
    fn fresh() -> Outcome<Self> {
        let disk = repository::target_folder()?.join("bench");
        let memory = Path::new("/dev/shm").join(format!("larder-bench-{}", std::process::id()));
        if disk.exists() {
            fs_err::remove_dir_all(&disk)?;
        }
        fs_err::create_dir_all(&disk)?;
        fs_err::create_dir_all(&memory)?;
        Ok(Self { disk, memory })
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // Memory is given back in any case; nobody could be told that it failed.
        let _ = fs_err::remove_dir_all(&self.memory);
    }
}

/// Where and of what a run was made.
#[derive(Serialize)]
struct Machine {
    date: String,
    commit: String,
    processor: String,
    cores: usize,
    memory_gib: u64,
    kernel: String,
    rust: String,
    go: String,
}

impl Machine {
    fn of_this_run() -> Outcome<Self> {
        let said = |program: &str, arguments: &[&str]| -> Outcome<String> {
            let text = output(
                Command::new(program)
                    .args(arguments)
                    .current_dir(repository::root()),
            )?;
            Ok(text.trim().to_owned())
        };
        let field = |file: &str, name: &str| -> Outcome<String> {
            let text = fs_err::read_to_string(file)?;
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or_default();
            Ok(line.trim_start_matches([' ', '\t', ':']).to_owned())
        };
        let mut commit = said("git", &["rev-parse", "--short=10", "HEAD"])?;
        // The results themselves grow with each part of a run.
        let changed = [
            "status",
            "--porcelain",
            "--untracked-files=no",
            "--",
            ":!bench",
        ];
        if !said("git", &changed)?.is_empty() {
            commit.push_str("-changed");
        }
        let memory_kib = field("/proc/meminfo", "MemTotal")?;
        let memory_kib: u64 = memory_kib.trim_end_matches(" kB").parse()?;
        Ok(Self {
            date: said("date", &["-u", "+%Y-%m-%d"])?,
            commit,
            processor: field("/proc/cpuinfo", "model name")?,
            cores: std::thread::available_parallelism()?.get(),
            memory_gib: memory_kib.div_ceil(1 << 20),
            kernel: said("uname", &["-sr"])?,
            rust: said("rustc", &["--version"])?,
            go: said("go", &["env", "GOVERSION"])?,
        })
    }

    fn heading(&self) -> String {
        format!(
            "## {}, commit {}\n\n{}, {} cores, {} GiB, {}; {}, {}.\n",
            self.date,
            self.commit,
            self.processor,
            self.cores,
            self.memory_gib,
            self.kernel,
            self.rust,
            self.go
        )
    }
}

/// A Larder that sees nothing of this machine's go environment.
fn start_larder(binary: &Path, arguments: &[&str], cache: &Path, log: &Path) -> Outcome<Larder> {
    let arguments: Vec<String> = arguments
        .iter()
        .map(|argument| (*argument).to_owned())
        .chain(["--cache-dir".to_owned(), cache.display().to_string()])
        .collect();
    let mut environment: Vec<(&str, &str)> =
        larder::GO_SETTINGS.iter().map(|name| (*name, "")).collect();
    environment.push(("GOENV", "off"));
    Larder::start(binary, &arguments, &environment, log)
}

/// The middle value; of an even number the lower one of the two in the middle. 0 of nothing.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values
        .get(values.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle_value() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]).to_string(), "2");
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]).to_string(), "2");
        assert_eq!(median(vec![]).to_string(), "0");
    }
}
