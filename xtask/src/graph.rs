//! `cargo xtask graph`: the main job on real input. A real graph of 759 modules is downloaded by the
//! real go command through `larder serve`, over the upstream that the user's own `go` command uses,
//! with the checksum database on: cold, warm, offline from the store alone, and from the folder without
//! any Larder.
//!
//! It transfers some 190 MB from the user's upstream, as one developer's first build does; run it seldom. The
//! filled folder stays in the target folder: `cargo xtask bench` serves it as a local upstream.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::larder::{self, Larder, Usage};
use crate::process::{output, run};
use crate::{Outcome, repository};

/// A module of the graph whose versions are listed and which is added to a new module. It requires no
/// other, so everything that a new module needs of it is in the graph.
const SAMPLE: (&str, &str) = ("github.com/BurntSushi/toml", "v1.6.0");

/// Where the filled folder of the last run is.
pub(crate) fn filled_folder() -> Outcome<PathBuf> {
    Ok(repository::target_folder()?.join("graph").join("cache"))
}

/// # Errors
/// The first step that fails, with what the go command or Larder said.
pub(crate) fn run_graph() -> Outcome {
    let binary = larder::build()?;
    let work = repository::target_folder()?.join("graph");
    if work.exists() {
        fs_err::remove_dir_all(&work)?;
    }
    fs_err::create_dir_all(&work)?;
    let cache = filled_folder()?;
    let database = output(Command::new("go").args(["env", "GOSUMDB"]))?
        .trim()
        .to_owned();
    if database == "off" {
        return Err(
            "this machine's go environment has GOSUMDB=off: nothing would be verified".into(),
        );
    }

    let mut table = Table::default();
    let outcome = download(&binary, &work, &cache, &database, &mut table);
    table.print();
    outcome?;
    println!("\n{}", contents(&cache.join("download"))?);
    Ok(())
}

/// All steps, up to the first that fails.
fn download(
    binary: &Path,
    work: &Path,
    cache: &Path,
    database: &str,
    table: &mut Table,
) -> Outcome {
    let serve = vec!["--cache-dir".to_owned(), cache.display().to_string()];
    let larder = Larder::start(binary, &serve, &[], &work.join("online.log"))?;
    let client = Client::new(work, "cold", &larder.url, database)?;
    table.measured("cold: go mod download", &larder, || {
        client.go(&["mod", "download"])
    })?;
    table.measured("go mod verify", &larder, || client.go(&["mod", "verify"]))?;
    client.clear()?;
    let client = Client::new(work, "warm", &larder.url, database)?;
    table.measured("warm: go mod download", &larder, || {
        client.go(&["mod", "download"])
    })?;
    client.clear()?;
    // Without a go.sum the go command itself asks the checksum database for every file, through Larder.
    let client = Client::without_go_sum(work, "unsummed", &larder.url, database)?;
    table.measured("warm, without go.sum: every sum asked", &larder, || {
        client.go(&["mod", "download"])
    })?;
    client.clear()?;
    println!(
        "ready to serve {} ms after its start",
        larder.ready_after.as_millis()
    );
    larder.stop()?;

    let mut offline = serve;
    offline.push("--offline".to_owned());
    let larder = Larder::start(binary, &offline, &[], &work.join("offline.log"))?;
    let client = Client::new(work, "offline", &larder.url, database)?;
    table.measured("offline: go mod download", &larder, || {
        client.go(&["mod", "download"])
    })?;
    table.measured("go mod verify", &larder, || client.go(&["mod", "verify"]))?;
    client.clear()?;
    let client = Client::without_go_sum(work, "offline-unsummed", &larder.url, database)?;
    table.measured("offline, without go.sum", &larder, || {
        client.go(&["mod", "download"])
    })?;
    client.clear()?;
    larder.stop()?;

    let folder = format!("file://{}", cache.join("download").display());
    let client = Client::new(work, "folder", &folder, database)?;
    table.unserved("folder: go mod download", || {
        client.go(&["mod", "download"])
    })?;
    table.unserved("go mod verify", || client.go(&["mod", "verify"]))?;
    client.clear()?;
    // A folder has no checksum database, and a new module has no go.sum yet. What is in the folder
    // was verified when it came in.
    let client = Client::empty(work, "folder-get", &folder, "off")?;
    let (module, version) = SAMPLE;
    table.unserved("folder: go list -m -versions", || {
        let versions = client.ask(&["list", "-m", "-versions", module])?;
        if versions.split_whitespace().any(|listed| listed == version) {
            return Ok(());
        }
        Err(format!("{version} is not among the listed versions: {versions}").into())
    })?;
    table.unserved("folder: go get", || {
        client.go(&["get", &format!("{module}@{version}")])
    })?;
    client.clear()
}

/// What the store's folder holds, in numbers.
fn contents(folder: &Path) -> Outcome<String> {
    let mut counts = [("info", 0_u32, 0_u64), ("mod", 0, 0), ("zip", 0, 0)];
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs_err::read_dir(next)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            for (kind, count, bytes) in &mut counts {
                if name.ends_with(&format!(".{kind}")) {
                    *count += 1;
                    *bytes += entry.metadata()?.len();
                }
            }
        }
    }
    let words: Vec<String> = counts
        .iter()
        .map(|(kind, count, bytes)| format!("{count} .{kind} ({} kB)", bytes / 1000))
        .collect();
    Ok(format!("the folder holds {}", words.join(", ")))
}

/// The go command with a project and a module cache of its own, and no other setting of this machine.
pub(crate) struct Client {
    project: PathBuf,
    module_cache: PathBuf,
    go_path: PathBuf,
    proxy: String,
    database: String,
}

impl Client {
    /// With the graph's go.mod and go.sum.
    pub(crate) fn new(work: &Path, name: &str, proxy: &str, database: &str) -> Outcome<Self> {
        Self::of("graph", work, name, proxy, database)
    }

    /// With the files of another fixture that has a go.mod and a go.sum.
    pub(crate) fn of(
        fixture: &str,
        work: &Path,
        name: &str,
        proxy: &str,
        database: &str,
    ) -> Outcome<Self> {
        let client = Self::at(work, name, proxy, database)?;
        let fixture = repository::root().join("fixtures").join(fixture);
        for file in fs_err::read_dir(fixture)? {
            let file = file?;
            fs_err::copy(file.path(), client.project.join(file.file_name()))?;
        }
        Ok(client)
    }

    /// As [`Self::new`], without the go.sum: the go command asks the checksum database for everything.
    pub(crate) fn without_go_sum(
        work: &Path,
        name: &str,
        proxy: &str,
        database: &str,
    ) -> Outcome<Self> {
        let client = Self::new(work, name, proxy, database)?;
        fs_err::remove_file(client.project.join("go.sum"))?;
        Ok(client)
    }

    /// With a module that requires nothing yet.
    fn empty(work: &Path, name: &str, proxy: &str, database: &str) -> Outcome<Self> {
        let client = Self::at(work, name, proxy, database)?;
        fs_err::write(
            client.project.join("go.mod"),
            "module example.com/new\n\ngo 1.21\n",
        )?;
        Ok(client)
    }

    fn at(work: &Path, name: &str, proxy: &str, database: &str) -> Outcome<Self> {
        let folder = work.join(name);
        let project = folder.join("project");
        fs_err::create_dir_all(&project)?;
        Ok(Self {
            project,
            module_cache: folder.join("modules"),
            go_path: folder.join("go"),
            proxy: proxy.to_owned(),
            database: database.to_owned(),
        })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("go");
        command.args(arguments).current_dir(&self.project);
        for name in larder::GO_SETTINGS {
            command.env_remove(name);
        }
        command
            .env("GOENV", "off")
            .env("GOPROXY", &self.proxy)
            .env("GOSUMDB", &self.database)
            .env("GOMODCACHE", &self.module_cache)
            // Where go remembers the newest tree head that it saw, of which an offline store need not have the tiles.
            .env("GOPATH", &self.go_path)
            .env("GOFLAGS", "-modcacherw")
            .env("GOTOOLCHAIN", "local");
        command
    }

    /// Runs the go command; what it says is shown.
    pub(crate) fn go(&self, arguments: &[&str]) -> Outcome {
        run(&mut self.command(arguments))
    }

    /// Runs the go command; what it prints is not shown.
    pub(crate) fn go_quietly(&self, arguments: &[&str]) -> Outcome {
        self.ask(arguments).map(|_| ())
    }

    fn ask(&self, arguments: &[&str]) -> Outcome<String> {
        output(&mut self.command(arguments))
    }

    /// Removes project and module cache, which is some 700 MB.
    pub(crate) fn clear(self) -> Outcome {
        for folder in [&self.module_cache, &self.go_path, &self.project] {
            if folder.exists() {
                fs_err::remove_dir_all(folder)?;
            }
        }
        Ok(())
    }
}

/// What each step took.
#[derive(Default)]
struct Table {
    rows: Vec<Row>,
}

struct Row {
    step: String,
    wall: Duration,
    /// `None` where no server was asked.
    served: Option<Served>,
}

struct Served {
    cpu: Duration,
    usage: Usage,
    requests: Option<u64>,
}

impl Table {
    /// Runs a step that asks the given Larder.
    fn measured(&mut self, step: &str, larder: &Larder, run: impl FnOnce() -> Outcome) -> Outcome {
        println!("==> {step}");
        let before = larder.usage()?;
        let requests_before = larder.requests();
        let began = Instant::now();
        run()?;
        let wall = began.elapsed();
        let usage = larder.usage()?;
        let requests = larder
            .requests()
            .zip(requests_before)
            .map(|(after, before)| after.saturating_sub(before));
        let cpu = usage.cpu.saturating_sub(before.cpu);
        self.rows.push(Row {
            step: step.to_owned(),
            wall,
            served: Some(Served {
                cpu,
                usage,
                requests,
            }),
        });
        Ok(())
    }

    /// Runs a step that asks no server.
    fn unserved(&mut self, step: &str, run: impl FnOnce() -> Outcome) -> Outcome {
        println!("==> {step}");
        let began = Instant::now();
        run()?;
        self.rows.push(Row {
            step: step.to_owned(),
            wall: began.elapsed(),
            served: None,
        });
        Ok(())
    }

    fn print(&self) {
        println!(
            "\n| step | wall s | larder CPU s | resident MiB | peak MiB | requests |\n|---|---|---|---|---|---|"
        );
        for Row { step, wall, served } in &self.rows {
            let wall = wall.as_secs_f64();
            let Some(Served {
                cpu,
                usage,
                requests,
            }) = served
            else {
                println!("| {step} | {wall:.2} | – | – | – | – |");
                continue;
            };
            println!(
                "| {step} | {wall:.2} | {:.2} | {} | {} | {} |",
                cpu.as_secs_f64(),
                usage.resident_bytes >> 20,
                usage.peak_bytes >> 20,
                requests.map_or_else(|| "?".to_owned(), |requests| requests.to_string()),
            );
        }
    }
}
