//! The real binary, in an environment of its own.
use crate::{Answer, Connection, assert_loopback, eventually, patience};
use parking_lot::Mutex;
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use tempfile::TempDir;

/// A running `larder serve`. Killed when dropped.
pub struct Larder {
    process: Process,
    address: SocketAddr,
    scheme: String,
    builder: LarderBuilder,
}

/// How the binary is to be started. The environment is empty but for a HOME of its own, `GOENV=off`
/// and what is asked for: neither the user's settings nor a proxy of the machine reach the test.
#[derive(Clone)]
pub struct LarderBuilder {
    binary: PathBuf,
    home: Arc<TempDir>,
    listen: String,
    cache_dir: PathBuf,
    upstream: Option<String>,
    sumdb: Option<String>,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    file_limit_kibibytes: Option<u64>,
}

/// A process that ended.
#[derive(Debug)]
pub struct Exited {
    /// How.
    pub status: ExitStatus,
    /// What it wrote on stdout.
    pub stdout: String,
    /// What it wrote on stderr: the last 256 KiB.
    pub stderr: String,
}

impl Larder {
    /// Prepares to start this binary: `env!("CARGO_BIN_EXE_larder")` of the test's own crate. The cache
    /// folder is new and empty, the checksum database off, and no upstream is set.
    pub fn builder(binary: &str) -> LarderBuilder {
        let home = TempDir::with_prefix("larder-test-").unwrap();
        LarderBuilder {
            binary: binary.into(),
            listen: "127.0.0.1:0".into(),
            cache_dir: home.path().join("cache"),
            home: Arc::new(home),
            upstream: None,
            sumdb: Some("off".into()),
            arguments: Vec::new(),
            environment: Vec::new(),
            file_limit_kibibytes: None,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Its cache folder.
    pub fn cache_dir(&self) -> &Path {
        &self.builder.cache_dir
    }

    /// Its process.
    pub fn process_id(&self) -> u32 {
        self.process.child.id()
    }

    /// A new connection, without TLS.
    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// GET over a new connection.
    #[track_caller]
    pub fn get(&self, target: &str) -> Answer {
        self.get_with(target, &[])
    }

    /// GET with headers over a new connection.
    #[track_caller]
    pub fn get_with(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.connect().ask("GET", target, headers)
    }

    /// HEAD over a new connection.
    #[track_caller]
    pub fn head(&self, target: &str) -> Answer {
        self.connect().ask("HEAD", target, &[])
    }

    /// What it wrote on stderr so far: the last 256 KiB.
    pub fn stderr(&self) -> String {
        self.process.stderr.text()
    }

    /// What it wrote on stdout so far.
    pub fn stdout(&self) -> String {
        self.process.stdout.text()
    }

    /// The most memory that the process ever had resident (Linux: `VmHWM`).
    pub fn peak_memory_bytes(&self) -> u64 {
        let id = self.process.child.id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kibibytes * 1024
    }

    /// Sends SIGTERM and waits for the end. The builder starts it again over the same folder.
    pub fn terminate(mut self) -> (Exited, LarderBuilder) {
        self.process.signal(Signal::TERM);
        (self.process.wait(), self.builder)
    }

    /// Stops the process where it is (SIGSTOP); it answers nothing until it may [go on](Self::go_on).
    pub fn hold(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Lets a process that was held go on (SIGCONT).
    pub fn go_on(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Sends SIGTERM and goes on.
    pub fn ask_to_terminate(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Waits for the end of a process that was asked to terminate.
    pub fn wait(mut self) -> (Exited, LarderBuilder) {
        (self.process.wait(), self.builder)
    }

    /// Sends SIGKILL. The builder starts it again over the same folder.
    pub fn kill(mut self) -> LarderBuilder {
        self.process.signal(Signal::KILL);
        self.process.wait();
        self.builder
    }
}

impl LarderBuilder {
    /// Sets `--listen`, which is `127.0.0.1:0` else.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = address.into();
        self
    }

    /// Sets `--upstream`.
    pub fn upstream(mut self, list: impl Into<String>) -> Self {
        self.upstream = Some(list.into());
        self
    }

    /// Sets `--sumdb`.
    pub fn sumdb(mut self, value: impl Into<String>) -> Self {
        self.sumdb = Some(value.into());
        self
    }

    /// Leaves out `--sumdb`.
    pub fn without_sumdb_flag(mut self) -> Self {
        self.sumdb = None;
        self
    }

    /// Sets `--cache-dir`.
    pub fn cache_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache_dir = folder.into();
        self
    }

    /// Adds arguments of `serve` (or `exec`).
    pub fn args<S: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds a variable to the environment.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Lets no file grow beyond this, as if the disk were full then.
    pub fn full_disk_beyond(mut self, kibibytes: u64) -> Self {
        self.file_limit_kibibytes = Some(kibibytes);
        self
    }

    /// The folder that is HOME, for files of the test; goes away with the last builder or process.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The cache folder.
    pub fn cache(&self) -> &Path {
        &self.cache_dir
    }

    /// Starts `larder serve` and waits until it says where it listens.
    #[track_caller]
    pub fn start(self) -> Larder {
        match self.try_start() {
            Ok(larder) => larder,
            Err(exited) => panic!(
                "larder did not start ({}): {}",
                exited.status, exited.stderr
            ),
        }
    }

    /// Starts `larder serve` and waits until it says where it listens, or ends.
    pub fn try_start(self) -> Result<Larder, Exited> {
        let mut command = self.command();
        command
            .arg("serve")
            .args(["--listen", &self.listen])
            .args(self.serve_arguments());
        let mut process = Process::start(command);
        let line = eventually("a line on stdout, or the end", || {
            if let Some((line, _)) = process.stdout.text().split_once('\n') {
                return Some(Some(line.to_owned()));
            }
            process.child.try_wait().unwrap().map(|_| None)
        });
        let Some(line) = line else {
            return Err(process.wait());
        };
        let url = line
            .strip_prefix("listening on ")
            .expect("`listening on URL` on stdout");
        let (scheme, address) = url.split_once("://").expect("a URL");
        let address: SocketAddr = address.parse().expect("an IP address and a port");
        assert_loopback(address);
        Ok(Larder {
            process,
            address,
            scheme: scheme.into(),
            builder: self,
        })
    }

    /// Runs `larder serve` with the arguments given and waits for its end.
    pub fn run_serve(self) -> Exited {
        let mut command = self.command();
        command
            .arg("serve")
            .args(["--listen", &self.listen])
            .args(self.serve_arguments());
        Process::start(command).wait()
    }

    /// Runs `larder exec`, with the arguments given, on a command, and waits for its end.
    pub fn run_exec(self, folder: &Path, command_line: &[&str]) -> Exited {
        let mut command = self.command();
        command
            .arg("exec")
            .args(self.serve_arguments())
            .arg("--")
            .args(command_line);
        command.current_dir(folder);
        Process::start(command).wait()
    }

    /// Runs the binary with exactly these arguments and waits for its end.
    pub fn run(self, arguments: &[&str]) -> Exited {
        let mut command = self.command();
        command.args(arguments);
        Process::start(command).wait()
    }

    fn command(&self) -> Command {
        raise_file_limit();
        let mut command = match self.file_limit_kibibytes {
            None => Command::new(&self.binary),
            Some(kibibytes) => {
                // A POSIX shell counts blocks of 512 bytes. The signal would kill instead of failing.
                let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", kibibytes * 2);
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", &script, "sh"]).arg(&self.binary);
                shell
            }
        };
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("GOENV", "off");
        command.envs(self.environment.iter().cloned());
        command
    }

    fn serve_arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["--cache-dir".into(), (&self.cache_dir).into()];
        for (flag, value) in [("--upstream", &self.upstream), ("--sumdb", &self.sumdb)] {
            if let Some(value) = value {
                arguments.extend([flag.into(), value.into()]);
            }
        }
        arguments.extend(self.arguments.iter().cloned());
        arguments
    }
}

/// A child with what it writes.
struct Process {
    child: Child,
    stdout: Output,
    stderr: Output,
}

impl Process {
    fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let stdout = Output::collect(child.stdout.take().unwrap());
        let stderr = Output::collect(child.stderr.take().unwrap());
        Self {
            child,
            stdout,
            stderr,
        }
    }

    fn signal(&self, signal: Signal) {
        // A process that has ended already needs no signal.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    fn wait(&mut self) -> Exited {
        let status = eventually("the process ends", || self.child.try_wait().unwrap());
        self.stdout.finish();
        self.stderr.finish();
        Exited {
            status,
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last bytes of a stream, collected in the background.
struct Output {
    bytes: Arc<Mutex<VecDeque<u8>>>,
    reader: Option<JoinHandle<()>>,
}

const OUTPUT_BYTES: usize = 256 << 10;

impl Output {
    fn collect(mut stream: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(VecDeque::new()));
        let collected = bytes.clone();
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                let mut bytes = collected.lock();
                bytes.extend(&buffer[..count]);
                let surplus = bytes.len().saturating_sub(OUTPUT_BYTES);
                bytes.drain(..surplus);
            }
        });
        Self {
            bytes,
            reader: Some(reader),
        }
    }

    fn text(&self) -> String {
        let bytes = self.bytes.lock();
        String::from_utf8_lossy(&bytes.iter().copied().collect::<Vec<u8>>()).into_owned()
    }

    /// Waits for the end of the stream; a grandchild that holds it open is not waited for.
    fn finish(&mut self) {
        if let Some(reader) = self.reader.take() {
            let start = std::time::Instant::now();
            while !reader.is_finished() && start.elapsed() < patience().min(GRANDCHILD_WAIT) {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
    }
}

const GRANDCHILD_WAIT: std::time::Duration = std::time::Duration::from_secs(5);

/// Tests with a thousand clients need more open files than some machines allow at first.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        // Where the system refuses, the tests that need it will say so.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}
