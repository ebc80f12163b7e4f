//! The real go, git, curl and openssl, asked about a case.

use super::{Case, Lab, Prepared};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What a client said.
#[derive(Debug)]
pub struct Said {
    /// Whether it ended with status 0; `None` where it was still waiting when its time was up.
    pub passed: Option<bool>,
    /// What it wrote on stderr.
    pub stderr: String,
    /// What it wrote on stdout.
    pub stdout: String,
}

/// Whether there is a git command to ask.
pub fn git_is_here() -> bool {
    is_here("git", "--version")
}

/// Whether there is a go command to ask.
pub fn go_is_here() -> bool {
    is_here("go", "version")
}

/// Whether the go command is of the release whose words were recorded.
pub fn go_is_the_recorded_one() -> bool {
    let output = Command::new("go").arg("version").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(" go1.26"))
}

/// Whether there is an openssl command to ask.
pub fn openssl_is_here() -> bool {
    is_here("openssl", "version")
}

/// Whether git's HTTPS is that of GnuTLS, in whose words git's messages were recorded.
pub fn git_speaks_gnutls() -> bool {
    let folder = Command::new("git").arg("--exec-path").output().unwrap();
    let folder = PathBuf::from(String::from_utf8_lossy(&folder.stdout).trim());
    let libraries = Command::new("ldd")
        .arg(folder.join("git-remote-https"))
        .output();
    libraries.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("gnutls"))
}

fn is_here(program: &str, version: &str) -> bool {
    Command::new(program)
        .arg(version)
        .output()
        .is_ok_and(|output| output.status.success())
}

/// A home and a working folder, with the files of the case and nothing of this machine's user.
pub struct Place {
    folder: TempDir,
}

impl Place {
    /// The folders of this case.
    pub fn of(prepared: &Prepared) -> Self {
        let place = Self {
            folder: TempDir::with_prefix("larder-lab-home-").unwrap(),
        };
        std::fs::create_dir(place.work()).unwrap();
        for (name, text) in &prepared.folder_files {
            std::fs::write(place.work().join(name), text).unwrap();
        }
        for (name, text) in &prepared.home_files {
            std::fs::write(place.home().join(name), text).unwrap();
        }
        place
    }

    /// The home folder.
    pub fn home(&self) -> &Path {
        self.folder.path()
    }

    /// Where commands run.
    pub fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// The environment of the case in this place.
    pub fn environment(&self, prepared: &Prepared) -> Vec<(String, String)> {
        let home = self.home().to_str().unwrap().to_owned();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut environment: Vec<(String, String)> = [
            ("PATH", path),
            ("GOPATH", format!("{home}/gopath")),
            ("GOCACHE", build_cache().to_owned()),
            ("HOME", home),
            ("GOENV", "off".into()),
            ("GOFLAGS", String::new()),
            ("GOTOOLCHAIN", "local".into()),
            ("GOTELEMETRY", "off".into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        for (name, value) in &prepared.environment {
            environment.retain(|(known, _)| known != name);
            environment.push((name.clone(), value.clone()));
        }
        environment
    }
}

/// One build cache for all: what the witness program is built of takes half a minute without.
fn build_cache() -> &'static str {
    static CACHE: OnceLock<String> = OnceLock::new();
    CACHE.get_or_init(|| {
        let output = Command::new("go").args(["env", "GOCACHE"]).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        text.unwrap_or_default()
    })
}

/// What the go command says to this case. Where the case has a name server of its own, which the go
/// command can't be told, Go's own HTTP client asks for the same file in its place.
pub fn go(lab: &Lab, case: &Case, prepared: &Prepared) -> Said {
    let place = Place::of(prepared);
    let mut command = match prepared.resolver {
        None => {
            let mut command = Command::new("go");
            command.args(case.go);
            command
        }
        Some(resolver) => {
            let mut command = Command::new(http_client(lab));
            let url = format!("{}/example.lab/m/@v/v1.0.0.info", prepared.url);
            command.args([resolver.to_string(), url]);
            command
        }
    };
    command
        .current_dir(place.work())
        .env_clear()
        .envs(place.environment(prepared));
    let said = run(command, Duration::from_secs(20 + case.go_waits_seconds));
    make_removable(&place);
    said
}

/// The module cache is read-only, and would outlive its temporary folder.
fn make_removable(place: &Place) {
    let _ = Command::new("chmod")
        .args(["-R", "u+w"])
        .arg(place.home().join("gopath"))
        .stderr(Stdio::null())
        .status();
}

/// What `git ls-remote` says to a repository at the case's URL.
pub fn git(prepared: &Prepared) -> Said {
    let place = Place::of(prepared);
    let mut command = Command::new("git");
    let roots = prepared.variable("SSL_CERT_FILE").unwrap_or_default();
    command
        .args(["ls-remote", &format!("{}/repo.git", prepared.url)])
        .current_dir(place.work())
        .env_clear()
        .envs(place.environment(prepared))
        .env("GIT_SSL_CAINFO", roots)
        .env("GIT_TERMINAL_PROMPT", "0");
    run(command, Duration::from_secs(15))
}

/// The number of the last "Verify return code" of `openssl s_client`; `None` where it says none.
pub fn openssl_verify_code(prepared: &Prepared) -> Option<u64> {
    let rest = prepared.url.strip_prefix("https://")?;
    let (host, port) = rest.rsplit_once(':')?;
    let mut command = Command::new("openssl");
    command
        .args(["s_client", "-connect", &format!("127.0.0.1:{port}")])
        .args(["-CAfile", prepared.variable("SSL_CERT_FILE")?])
        .stdin(Stdio::null());
    if host == "localhost" {
        command.args(["-servername", host, "-verify_hostname", host]);
    } else {
        command.args(["-verify_ip", host]);
    }
    let said = run(command, Duration::from_secs(15));
    let line = said
        .stdout
        .lines()
        .rev()
        .find_map(|line| line.trim().strip_prefix("Verify return code: "))?;
    line.split(' ').next()?.parse().ok()
}

/// A program that asks for a URL as the go command does, with the name server that it is told.
fn http_client(lab: &Lab) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let program = lab.folder().join("http-client");
    BUILT.get_or_init(|| {
        let source = lab.folder().join("http_client.go");
        std::fs::write(&source, HTTP_CLIENT).unwrap();
        let status = Command::new("go")
            .args(["build", "-o"])
            .arg(&program)
            .arg(&source)
            .current_dir(lab.folder())
            .env("GOFLAGS", "")
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "the witness does not build"
        );
    });
    program
}

/// Prints the error as go does, with its prefix.
const HTTP_CLIENT: &str = r#"package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
)

func main() {
	resolver := &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "udp", os.Args[1])
		},
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Resolver: resolver}).DialContext
	answer, err := (&http.Client{Transport: transport}).Get(os.Args[2])
	if err != nil {
		fmt.Fprintf(os.Stderr, "go: example.lab/m@v1.0.0: %v\n", err)
		os.Exit(1)
	}
	answer.Body.Close()
}
"#;

/// Runs a command for at most so long.
pub fn run(mut command: Command, longest: Duration) -> Said {
    let folder = TempDir::with_prefix("larder-lab-said-").unwrap();
    let (stdout, stderr) = (folder.path().join("stdout"), folder.path().join("stderr"));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&stdout).unwrap())
        .stderr(std::fs::File::create(&stderr).unwrap())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if start.elapsed() > longest {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let read = |file: &Path| String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned();
    Said {
        passed: status.map(|status| status.success()),
        stderr: read(&stderr),
        stdout: read(&stdout),
    }
}
