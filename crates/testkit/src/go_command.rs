//! The real go command, which asks one proxy and nobody else.
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use tempfile::TempDir;

/// A go command with a home, a module cache and a build cache of its own.
pub struct GoCommand {
    program: PathBuf,
    home: TempDir,
    environment: Vec<(String, String)>,
}

/// What a go command said.
#[derive(Debug)]
pub struct GoOutput {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote on stdout.
    pub stdout: String,
    /// What it wrote on stderr.
    pub stderr: String,
}

impl GoCommand {
    /// The go command of this machine with this GOPROXY, and without a checksum database. `None`
    /// where there is no go: then the test says so and passes, unless `LARDER_REQUIRE_GO=1`.
    pub fn find(goproxy: &str) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let program = std::env::split_paths(&path).map(|folder| folder.join("go"));
        let Some(program) = program.into_iter().find(|program| program.is_file()) else {
            let required = std::env::var("LARDER_REQUIRE_GO").is_ok_and(|value| value == "1");
            assert!(
                !required,
                "LARDER_REQUIRE_GO=1, but there is no `go` in PATH"
            );
            eprintln!("THIS TEST DID NOT RUN: there is no `go` in PATH");
            return None;
        };
        let home = TempDir::with_prefix("larder-test-go-").unwrap();
        let go = Self {
            program,
            home,
            environment: Vec::new(),
        };
        Some(go.env("GOPROXY", goproxy).env("GOSUMDB", "off"))
    }

    /// Sets a variable; the last word on a name holds.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// A folder for the test's files.
    pub fn folder(&self) -> &Path {
        self.home.path()
    }

    /// Where `go` is.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The environment that it runs in, for a command that starts `go` itself.
    pub fn environment(&self) -> Vec<(String, String)> {
        let home = self
            .home
            .path()
            .to_str()
            .expect("a temporary folder with a UTF-8 name");
        let mut path = self.program.parent().unwrap().as_os_str().to_owned();
        path.push(":/usr/bin:/bin");
        let mut environment: Vec<(String, String)> = [
            ("PATH", path.to_string_lossy().into_owned()),
            ("HOME", home.to_owned()),
            ("GOPATH", format!("{home}/gopath")),
            ("GOCACHE", format!("{home}/build-cache")),
            ("GOENV", "off".into()),
            ("GOFLAGS", "-modcacherw".into()),
            ("GOTOOLCHAIN", "local".into()),
            ("GOTELEMETRY", "off".into()),
            ("GOVCS", "*:off".into()),
            // A dial outside loopback meets a closed port: go never asks an HTTP proxy for loopback.
            ("HTTP_PROXY", "http://127.0.0.1:9".into()),
            ("HTTPS_PROXY", "http://127.0.0.1:9".into()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        environment.extend(self.environment.iter().cloned());
        environment
    }

    /// Writes a main module into a folder of its own: its go.mod and one file.
    pub fn main_module(&self, name: &str, go_mod: &str, source: &str) -> PathBuf {
        let folder = self.home.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("go.mod"), go_mod).unwrap();
        std::fs::write(folder.join("main.go"), source).unwrap();
        folder
    }

    /// Runs `go` in a folder.
    pub fn run(&self, folder: &Path, arguments: &[&str]) -> GoOutput {
        let output = Command::new(&self.program)
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .envs(self.environment())
            .output()
            .expect("go starts");
        GoOutput {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The module cache's download folder.
    pub fn download_folder(&self) -> PathBuf {
        self.home.path().join("gopath/pkg/mod/cache/download")
    }

    /// Throws the module cache away.
    pub fn forget_modules(&self) {
        let folder = self.home.path().join("gopath/pkg/mod");
        if folder.exists() {
            std::fs::remove_dir_all(folder).unwrap();
        }
    }
}

impl GoOutput {
    /// Fails the test unless the command succeeded.
    #[track_caller]
    pub fn success(self) -> Self {
        assert!(
            self.status.success(),
            "{}\n{}\n{}",
            self.status,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Fails the test unless the command failed.
    #[track_caller]
    pub fn failure(self) -> Self {
        assert!(
            !self.status.success(),
            "succeeded:\n{}\n{}",
            self.stdout,
            self.stderr
        );
        self
    }
}
