//! A repository to ask, and an engine whose program is counted.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::process::Command;

use crate::git::{Git, GitObserver, GitOptions, ProcessKind};
use crate::{
    GitProtocol, ObjectName, Repositories, Repository, RepositoryUrl, SourceErrorKind, Trust,
};

/// A repository with a work tree, made by the real program.
pub(super) struct Fixture {
    pub(super) folder: TempDir,
    clock: Mutex<u32>,
}

impl Fixture {
    pub(super) async fn new() -> Self {
        Self::of_format("sha1").await
    }

    pub(super) async fn of_format(format: &str) -> Self {
        let fixture = Self {
            folder: TempDir::new().unwrap(),
            clock: Mutex::new(1_600_000_000),
        };
        let format = format!("--object-format={format}");
        fixture.git(&["init", "-q", "-b", "main", &format]).await;
        fixture
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn url(&self) -> RepositoryUrl {
        RepositoryUrl::parse(&format!("file://{}", self.path().display())).unwrap()
    }

    /// Runs git in the repository; every call is a second later than the one before.
    pub(super) async fn git(&self, arguments: &[&str]) -> String {
        let now = {
            let mut clock = self.clock.lock();
            *clock += 1;
            format!("{clock} +0000")
        };
        let output = Command::new("git")
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Ann")
            .env("GIT_AUTHOR_EMAIL", "ann@git.example")
            .env("GIT_COMMITTER_NAME", "Ann")
            .env("GIT_COMMITTER_EMAIL", "ann@git.example")
            .env("GIT_AUTHOR_DATE", "1500000000 +0000")
            .env("GIT_COMMITTER_DATE", now)
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let file = self.path().join(name);
        fs_err::create_dir_all(file.parent().unwrap()).unwrap();
        fs_err::write(file, content).unwrap();
    }

    /// Commits all that is there.
    pub(super) async fn commit(&self, message: &str) -> ObjectName {
        self.git(&["add", "-A"]).await;
        self.git(&["commit", "-q", "--allow-empty", "-m", message])
            .await;
        self.name("HEAD").await
    }

    pub(super) async fn name(&self, revision: &str) -> ObjectName {
        ObjectName::parse(&self.git(&["rev-parse", revision]).await).unwrap()
    }
}

/// The PATH that the tests run with.
pub(super) fn path() -> &'static str {
    option_env!("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin")
}

/// What an observer heard.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) started: Mutex<Vec<ProcessKind>>,
    pub(super) finished: Mutex<Vec<(ProcessKind, Result<(), SourceErrorKind>)>>,
    pub(super) moved: Mutex<Vec<(String, ObjectName, ObjectName)>>,
}

impl GitObserver for Heard {
    fn process_started(&self, kind: ProcessKind) {
        self.started.lock().push(kind);
    }
    fn process_finished(
        &self,
        kind: ProcessKind,
        outcome: Result<(), SourceErrorKind>,
        _: Duration,
    ) {
        self.finished.lock().push((kind, outcome));
    }
    fn moved_tag(&self, _: &RepositoryUrl, tag: &str, first: &ObjectName, now: &ObjectName) {
        self.moved
            .lock()
            .push((tag.to_owned(), first.clone(), now.clone()));
    }
}

/// The folders of an engine, and its options until it starts.
pub(super) struct Setup {
    pub(super) folder: TempDir,
    pub(super) options: GitOptions,
    pub(super) heard: Arc<Heard>,
}

impl Setup {
    /// An engine that may fetch from this machine. Its `git` is a script that notes each command line.
    pub(super) async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        for name in ["bin", "home"] {
            fs_err::create_dir(folder.path().join(name)).unwrap();
        }
        let log = folder.path().join("log");
        let mut environment: Vec<(OsString, OsString)> = Vec::new();
        let bin = folder.path().join("bin");
        environment.push((
            "PATH".into(),
            format!("{}:{}", bin.display(), path()).into(),
        ));
        environment.push(("HOME".into(), folder.path().join("home").into()));
        environment.push(("GIT_CONFIG_NOSYSTEM".into(), "1".into()));
        let heard = Arc::new(Heard::default());
        let mut options = GitOptions::new(folder.path().join("mirrors"), environment);
        options.protocols.insert(GitProtocol::File);
        options.observer = heard.clone();
        let setup = Self {
            folder,
            options,
            heard,
        };
        let real = real_git();
        setup
            .program(&format!(
                "printf '%s\\n' \"$*\" >> {}\nexec {} \"$@\"",
                log.display(),
                real.display()
            ))
            .await;
        setup
    }

    /// Makes this script the git program.
    pub(super) async fn program(&self, script: &str) {
        self.program_at(&self.folder.path().join("bin/git"), script)
            .await;
    }

    /// Writes a script that can be executed.
    pub(super) async fn program_at(&self, file: &Path, script: &str) {
        // Written by another process, so that no child of ours holds it open for writing when it is started.
        let status = Command::new("sh")
            .args([
                "-c",
                "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$2\" && chmod +x \"$2\"",
                "sh",
            ])
            .arg(script)
            .arg(file)
            .status()
            .await
            .unwrap();
        assert!(status.success());
    }

    /// The command lines since the start.
    pub(super) fn lines(&self) -> Vec<String> {
        fs_err::read_to_string(self.folder.path().join("log"))
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// The git commands that were run since the start, without `version` and `config`.
    pub(super) fn commands(&self) -> Vec<String> {
        let known = [
            "ls-remote",
            "fetch",
            "cat-file",
            "archive",
            "for-each-ref",
            "merge-base",
        ];
        self.lines()
            .iter()
            .filter_map(|line| line.split(' ').find(|word| known.contains(word)))
            .map(str::to_owned)
            .collect()
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.options.environment.push((name.into(), value.into()));
    }

    /// Writes the user's own configuration.
    pub(super) fn user_config(&self, text: &str) {
        fs_err::write(self.folder.path().join("home/.gitconfig"), text).unwrap();
    }

    pub(super) async fn start(&self) -> Git {
        Git::find(self.options.clone()).await.unwrap()
    }

    pub(super) async fn open(&self, url: &RepositoryUrl) -> Arc<dyn Repository> {
        self.start().await.open(url, Trust::Named).unwrap()
    }

    /// The only mirror.
    pub(super) fn mirror(&self) -> PathBuf {
        let mut mirrors: Vec<PathBuf> = fs_err::read_dir(&self.options.folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "git"))
            .collect();
        assert_eq!(mirrors.len(), 1, "{mirrors:?}");
        mirrors.remove(0)
    }
}

pub(super) fn real_git() -> PathBuf {
    path()
        .split(':')
        .map(|folder| Path::new(folder).join("git"))
        .find(|program| program.is_file())
        .unwrap()
}
