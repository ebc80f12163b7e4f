//! What a module straight from git costs, for `cargo xtask bench direct`: `direct_cost LARDER FOLDER [GOPROXY]`.
//!
//! The same repositories, served by the same code host over HTTPS, are fetched by the stock go command in direct mode,
//! by Larder, and by a peer if its program is given (`goproxy` of github.com/goproxy/goproxy). Processes are counted by `strace`, in a run of their own, since it slows everything down; CPU and
//! bytes written are the kernel's own figures, children included. Prints one JSON object.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program for measurements: it fails loudly, prints its figures and reads its arguments"
)]

use serde::Serialize;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use testkit::{Connection, ForwardProxy, GitHttpServer, GitRepository, GoCommand, Larder, TestCa};

/// Repositories, each fetched once by each side: what one costs is the mean.
const REPOSITORIES: usize = 6;
/// How often a known list is asked for.
const KNOWN_LISTS: usize = 20;
const HOST: &str = "git.larder.example";

/// What one kind of question costs on one side, for one question.
#[derive(Debug, Default, Serialize)]
struct Cost {
    /// Programs started whose names begin with `git`.
    git_processes: f64,
    /// All programs started.
    processes: f64,
    cpu_seconds: f64,
    wall_seconds: f64,
    /// Bytes written to the disk, those that are deleted again included.
    written_bytes: f64,
}

/// How a module path says where its repository is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Paths {
    /// `HOST/name.git`
    Suffix,
    /// `HOST/name`, whose page names the repository.
    Page,
}

#[derive(Debug, Serialize)]
struct Costs {
    cold_version: Cost,
    second_version: Cost,
    cold_list: Cost,
    known_list: Cost,
}

#[derive(Serialize)]
struct Measured {
    zip_bytes: usize,
    go: Costs,
    larder: Costs,
    /// A cold version of a path whose page names the repository.
    go_page: Cost,
    larder_page: Cost,
    /// A cold version and a cold list, asked of the peer.
    peer: Option<(Cost, Cost)>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (binary, folder, peer) = match arguments.as_slice() {
        [binary, folder] => (binary, folder, None),
        [binary, folder, peer] => (binary, folder, Some(peer)),
        _ => panic!("usage: direct_cost LARDER FOLDER [GOPROXY]"),
    };
    let folder = Path::new(folder);
    std::fs::create_dir_all(folder).unwrap();
    let host = Host::start(&folder.canonicalize().unwrap());
    let (go, go_page) = go(&host);
    let (larder, larder_page, zip_bytes) = larder(&host, binary);
    let measured = Measured {
        zip_bytes,
        go,
        larder,
        go_page,
        larder_page,
        peer: peer.map(|program| measure_peer(&host, program)),
    };
    println!("{}", serde_json::to_string(&measured).unwrap());
}

/// The code host with its repositories, and the environment that leads there.
struct Host {
    _server: GitHttpServer,
    _proxy: ForwardProxy,
    _repositories: Vec<GitRepository>,
    environment: Vec<(String, String)>,
    work: PathBuf,
}

impl Host {
    fn start(work: &Path) -> Self {
        let ca = TestCa::new();
        let certificates = ca.write(work).display().to_string();
        let server = GitHttpServer::start_tls(&ca, &[HOST]);
        // The pages' host is a name that no resolver knows.
        let proxy = ForwardProxy::start(&[(HOST, server.http().address())]);
        let mut repositories = Vec::new();
        for paths in [Paths::Suffix, Paths::Page] {
            for number in 0..REPOSITORIES {
                let repository = repository(paths, number);
                let name = name(paths, number);
                server.serve(&format!("/{name}"), &repository);
                let module = module(paths, number);
                if paths == Paths::Page {
                    let entry = format!("{module} git https://{module}");
                    server.go_import(&format!("/{name}"), &[&entry]);
                }
                repositories.push(repository);
            }
        }
        let environment = [
            ("SSL_CERT_FILE", certificates.clone()),
            ("GIT_SSL_CAINFO", certificates),
            ("HTTPS_PROXY", proxy.url()),
            // Git asks a proxy for loopback, too.
            ("NO_PROXY", "127.0.0.1".to_owned()),
            ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
            ("GIT_CONFIG_GLOBAL", "/dev/null".to_owned()),
            ("GIT_CONFIG_COUNT", "1".to_owned()),
            (
                "GIT_CONFIG_KEY_0",
                format!("url.{}/.insteadOf", server.url("")),
            ),
            ("GIT_CONFIG_VALUE_0", format!("https://{HOST}/")),
        ];
        Self {
            _server: server,
            _proxy: proxy,
            _repositories: repositories,
            environment: environment
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            work: work.to_owned(),
        }
    }
}

fn name(paths: Paths, number: usize) -> String {
    match paths {
        Paths::Suffix => format!("cost{number}"),
        Paths::Page => format!("page{number}"),
    }
}

fn module(paths: Paths, number: usize) -> String {
    let name = name(paths, number);
    match paths {
        Paths::Suffix => format!("{HOST}/{name}.git"),
        Paths::Page => format!("{HOST}/{name}"),
    }
}

/// 200 files, which make a zip of some 1.27 MB, with a history of twenty commits and two tags.
fn repository(paths: Paths, number: usize) -> GitRepository {
    let repository = GitRepository::new();
    let mut noise = Noise(u64::try_from(number).unwrap() + 1);
    let mut commit = repository
        .commit("main")
        .file("go.mod", format!("module {}\n", module(paths, number)));
    for file in 0..200 {
        commit = commit.file(
            format!("package{}/file{file}.go", file % 10),
            noise.text(8_350),
        );
    }
    commit.write();
    for change in 0..18 {
        let path = format!("package{}/file{change}.go", change % 10);
        repository
            .commit("main")
            .file(path, noise.text(8_350))
            .write();
    }
    repository.tag("v1.0.0", &repository.head("main"));
    let second = repository
        .commit("main")
        .file("package0/file0.go", noise.text(8_350))
        .write();
    repository.tag("v1.1.0", &second);
    repository
}

/// Text that deflate makes a quarter smaller (xorshift).
struct Noise(u64);

impl Noise {
    fn text(&mut self, len_bytes: usize) -> Vec<u8> {
        const LETTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+ ";
        let mut text = b"package p // ".to_vec();
        while text.len() < len_bytes {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            let index = usize::try_from(self.0 % 64).unwrap();
            text.push(LETTERS[index]);
        }
        text.push(b'\n');
        text
    }
}

/// What has been used so far.
#[derive(Clone, Copy, Default)]
struct Used {
    cpu: Duration,
    written_bytes: u64,
}

fn go(host: &Host) -> (Costs, Cost) {
    let run = |go: &GoCommand, trace: Option<&Path>, arguments: &[&str]| {
        run_go(host, go, trace, arguments)
    };
    let measure_of =
        |paths: Paths, version: &str, before: Option<&str>, list: bool, times: usize| {
            let mut cost = Cost::default();
            let rounds = REPOSITORIES * times;
            for number in 0..REPOSITORIES {
                for traced in [true, false] {
                    let mut go = GoCommand::find("direct").expect("go").env("GOVCS", "*:git");
                    for (name, value) in &host.environment {
                        go = go.env(name, value);
                    }
                    let question = |version: &str| -> Vec<String> {
                        let words: &[&str] = if list {
                            &["list", "-m", "-versions"]
                        } else {
                            &["mod", "download"]
                        };
                        let name = if list {
                            module(paths, number)
                        } else {
                            format!("{}@{version}", module(paths, number))
                        };
                        words
                            .iter()
                            .map(|word| (*word).to_owned())
                            .chain([name])
                            .collect()
                    };
                    if let Some(before) = before {
                        let words = question(before);
                        run(
                            &go,
                            None,
                            &words.iter().map(String::as_str).collect::<Vec<_>>(),
                        );
                    }
                    let words = question(version);
                    let words: Vec<&str> = words.iter().map(String::as_str).collect();
                    for _ in 0..times {
                        if traced {
                            let trace = host.work.join("trace");
                            run(&go, Some(&trace), &words);
                            cost.count(&trace);
                        } else {
                            let began = Instant::now();
                            let used = run(&go, None, &words);
                            cost.add(began.elapsed(), used);
                        }
                    }
                }
            }
            cost.mean(rounds)
        };
    let measure = |version: &str, before: Option<&str>, list: bool, times: usize| {
        measure_of(Paths::Suffix, version, before, list, times)
    };
    let costs = Costs {
        cold_version: measure("v1.0.0", None, false, 1),
        second_version: measure("v1.1.0", Some("v1.0.0"), false, 1),
        cold_list: measure("", None, true, 1),
        known_list: measure("", Some(""), true, 2),
    };
    (costs, measure_of(Paths::Page, "v1.0.0", None, false, 1))
}

/// Runs `go` below a shell that says what it and its children used.
fn run_go(host: &Host, go: &GoCommand, trace: Option<&Path>, arguments: &[&str]) -> Used {
    let used = host.work.join("used");
    let script =
        "\"$@\" >/dev/null; status=$?; { times; cat /proc/$$/io; } >\"$USED\"; exit $status";
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, "sh"]);
    if let Some(trace) = trace {
        command
            .args([
                "strace",
                "-f",
                "-qq",
                "-e",
                "trace=execve",
                "-e",
                "signal=none",
                "-o",
            ])
            .arg(trace);
    }
    command.arg(go.program()).args(arguments);
    let output = command
        .env_clear()
        .envs(go.environment())
        .env("USED", &used)
        .current_dir(go.folder())
        .output()
        .expect("a shell starts");
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = std::fs::read_to_string(used).unwrap();
    // The second line of `times` is that of the children: `0m0.010000s 0m0.020000s`.
    let cpu = text.lines().nth(1).unwrap().split(' ').map(|time| {
        let (minutes, seconds) = time.trim_end_matches('s').split_once('m').unwrap();
        let minutes: f64 = minutes.parse().unwrap();
        minutes * 60.0 + seconds.parse::<f64>().unwrap()
    });
    Used {
        cpu: Duration::from_secs_f64(cpu.sum()),
        written_bytes: written_bytes(&text),
    }
}

/// What a server is asked for a version.
const VERSION: [&str; 3] = ["v1.0.0.info", "v1.0.0.mod", "v1.0.0.zip"];

fn larder(host: &Host, binary: &str) -> (Costs, Cost, usize) {
    let start = |binary: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut builder = Larder::builder(binary)
            .upstream("direct")
            .args(["--private", HOST])
            .env("PATH", path);
        for (name, value) in &host.environment {
            builder = builder.env(name, value.as_str());
        }
        builder.start()
    };
    let (traced_binary, trace) = traced(host, "larder", binary);
    let mut zip_bytes = 0;
    let mut measure =
        |paths: Paths, traced: &Larder, plain: &Larder, times: usize, targets: &[&str]| {
            let mut cost = Cost::default();
            for number in 0..REPOSITORIES {
                let mut ask = |larder: &Larder| {
                    for target in targets {
                        let answer = larder
                            .get(&format!("/{}/@v/{target}", module(paths, number)))
                            .expect_status(200);
                        zip_bytes = zip_bytes.max(answer.body.len());
                    }
                };
                for _ in 0..times {
                    std::fs::write(&trace, "").unwrap();
                    ask(traced);
                    settle(traced.process_id());
                    cost.count(&trace);
                    let before = used_by(plain.process_id());
                    let began = Instant::now();
                    ask(plain);
                    let wall = began.elapsed();
                    settle(plain.process_id());
                    cost.add(wall, used_by(plain.process_id()).since(before));
                }
            }
            cost.mean(REPOSITORIES * times)
        };
    let (traced, plain) = (start(traced_binary.to_str().unwrap()), start(binary));
    let cold_version = measure(Paths::Suffix, &traced, &plain, 1, &VERSION);
    let page = measure(Paths::Page, &traced, &plain, 1, &VERSION);
    let second_version = measure(
        Paths::Suffix,
        &traced,
        &plain,
        1,
        &["v1.1.0.info", "v1.1.0.mod", "v1.1.0.zip"],
    );
    drop((traced, plain));
    let (traced, plain) = (start(traced_binary.to_str().unwrap()), start(binary));
    let cold_list = measure(Paths::Suffix, &traced, &plain, 1, &["list"]);
    let known_list = measure(Paths::Suffix, &traced, &plain, KNOWN_LISTS, &["list"]);
    let costs = Costs {
        cold_version,
        second_version,
        cold_list,
        known_list,
    };
    (costs, page, zip_bytes)
}

/// A script that runs a program under `strace`, and what that writes.
fn traced(host: &Host, name: &str, binary: &str) -> (PathBuf, PathBuf) {
    let trace = host.work.join(format!("trace-of-{name}"));
    let script = host.work.join(format!("{name}-traced"));
    // Detached, so that signals reach the program itself.
    let text = format!(
        "#!/bin/sh\nexec strace -D -f -qq -e trace=execve -e signal=none -o '{}' '{binary}' \"$@\"\n",
        trace.display()
    );
    std::fs::write(&script, text).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    (script, trace)
}

/// A running `goproxy server`, over empty folders. Killed when dropped.
struct Peer {
    child: std::process::Child,
    address: SocketAddr,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peer {
    fn start(host: &Host, program: &Path, name: &str) -> Self {
        let folder = host.work.join(name);
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        for part in ["temporary", "home"] {
            std::fs::create_dir_all(folder.join(part)).unwrap();
        }
        let child = Command::new(program)
            .args(["server", "--address", &address.to_string()])
            .arg("--cacher-dir")
            .arg(folder.join("cache"))
            .arg("--temp-dir")
            .arg(folder.join("temporary"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder.join("home"))
            .envs(host.environment.iter().cloned())
            .env("GOPROXY", "direct")
            .env("GOSUMDB", "off")
            .env("GOVCS", "*:git")
            .env("GOFLAGS", "-modcacherw")
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the peer starts");
        let peer = Self { child, address };
        testkit::eventually("the peer to listen", || {
            std::net::TcpStream::connect(address).ok()
        });
        peer
    }

    fn get(&self, target: &str) {
        let answer = Connection::open(self.address).ask("GET", target, &[]);
        answer.expect_status(200);
    }
}

/// A cold version and a cold list.
fn measure_peer(host: &Host, program: &str) -> (Cost, Cost) {
    let (traced_program, trace) = traced(host, "peer", program);
    let measure = |name: &str, targets: &[&str]| {
        let traced = Peer::start(host, &traced_program, &format!("{name}-traced"));
        let plain = Peer::start(host, Path::new(program), name);
        let mut cost = Cost::default();
        for number in 0..REPOSITORIES {
            let ask = |peer: &Peer| {
                for target in targets {
                    peer.get(&format!("/{}/@v/{target}", module(Paths::Suffix, number)));
                }
            };
            std::fs::write(&trace, "").unwrap();
            ask(&traced);
            settle(traced.child.id());
            cost.count(&trace);
            let before = used_by(plain.child.id());
            let began = Instant::now();
            ask(&plain);
            let wall = began.elapsed();
            settle(plain.child.id());
            cost.add(wall, used_by(plain.child.id()).since(before));
        }
        cost.mean(REPOSITORIES)
    };
    (
        measure("peer-version", &VERSION),
        measure("peer-list", &["list"]),
    )
}

/// Waits until a server has nothing left to do: what follows behind an answer belongs to its cost.
fn settle(process: u32) {
    let mut before = used_by(process).cpu;
    loop {
        std::thread::sleep(Duration::from_millis(60));
        let now = used_by(process).cpu;
        if now == before {
            return;
        }
        before = now;
    }
}

/// What a server and the children that it has waited for have used (proc(5)).
fn used_by(process: u32) -> Used {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    // The fields 14 to 17: user and system time, the children's user and system time; the first here is the third.
    let ticks: u64 = (11..15)
        .map(|index| fields[index].parse::<u64>().unwrap())
        .sum();
    let io = std::fs::read_to_string(format!("/proc/{process}/io")).unwrap();
    Used {
        cpu: Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()),
        written_bytes: written_bytes(&io),
    }
}

fn written_bytes(io: &str) -> u64 {
    let line = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "));
    line.expect("a kernel that counts what is written")
        .parse()
        .unwrap()
}

impl Used {
    fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            written_bytes: self.written_bytes.saturating_sub(before.written_bytes),
        }
    }
}

impl Cost {
    fn add(&mut self, wall: Duration, used: Used) {
        self.wall_seconds += wall.as_secs_f64();
        self.cpu_seconds += used.cpu.as_secs_f64();
        self.written_bytes += used.written_bytes as f64;
    }

    /// Counts the programs that were started, by what `strace` wrote.
    fn count(&mut self, trace: &Path) {
        for line in std::fs::read_to_string(trace).unwrap().lines() {
            let Some((_, call)) = line.split_once("execve(\"") else {
                continue;
            };
            let Some((program, _)) = call.split_once('"').filter(|_| line.ends_with("= 0")) else {
                continue;
            };
            self.processes += 1.0;
            if program
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .starts_with("git")
            {
                self.git_processes += 1.0;
            }
        }
    }

    fn mean(mut self, rounds: usize) -> Self {
        let rounds = rounds as f64;
        for figure in [
            &mut self.git_processes,
            &mut self.processes,
            &mut self.cpu_seconds,
            &mut self.wall_seconds,
            &mut self.written_bytes,
        ] {
            *figure /= rounds;
        }
        self
    }
}
