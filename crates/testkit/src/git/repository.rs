//! Repositories with a history that a test spells out.

use super::clean_git;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The committer time of a repository's first commit: 2023-11-14 22:13:20 UTC. Each later one is a minute
/// younger unless it says otherwise.
const FIRST_COMMIT_UNIX_SECONDS: i64 = 1_700_000_000;
/// Author and committer; times are written in a zone two hours east, so that nobody takes them for UTC.
const PERSON: &str = "Larder Test <test@larder.example>";
const ZONE: &str = "+0200";

/// A bare repository with branch `main`.
pub struct GitRepository {
    folder: PathBuf,
    /// Takes the folder away with the repository, where it is its own.
    _owned: Option<TempDir>,
    state: Mutex<State>,
}

struct State {
    heads: BTreeMap<String, String>,
    next_unix_seconds: i64,
}

/// A commit that is being put together; [`NewCommit::write`] writes it.
#[must_use = "a commit is written by `write`"]
pub struct NewCommit<'a> {
    repository: &'a GitRepository,
    branch: String,
    parents: Option<Vec<String>>,
    merged: Vec<String>,
    unix_seconds: Option<i64>,
    message: String,
    changes: Vec<u8>,
}

impl GitRepository {
    /// An empty repository in a temporary folder.
    pub fn new() -> Self {
        Self::temporary(&[])
    }

    /// An empty repository whose objects are named by SHA-256, in a temporary folder.
    pub fn sha256() -> Self {
        Self::temporary(&["--object-format=sha256"])
    }

    /// An empty repository in a folder that stays; the folder must not exist or be empty.
    pub fn at(folder: &Path) -> Self {
        Self::create(folder.to_owned(), None, &[])
    }

    /// As [`GitRepository::at`], with SHA-256.
    pub fn sha256_at(folder: &Path) -> Self {
        Self::create(folder.to_owned(), None, &["--object-format=sha256"])
    }

    fn temporary(arguments: &[&str]) -> Self {
        let folder = TempDir::with_prefix("larder-test-git-").unwrap();
        Self::create(
            folder.path().join("repository.git"),
            Some(folder),
            arguments,
        )
    }

    fn create(folder: PathBuf, owned: Option<TempDir>, arguments: &[&str]) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        let repository = Self {
            folder,
            _owned: owned,
            state: Mutex::new(State {
                heads: BTreeMap::new(),
                next_unix_seconds: FIRST_COMMIT_UNIX_SECONDS,
            }),
        };
        let init = [
            "init",
            "--quiet",
            "--bare",
            "--template=",
            "--initial-branch=main",
        ];
        repository.git(&[&init[..], arguments, &["."]].concat());
        repository
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Begins a commit on top of a branch; the branch comes into being with its first commit, which has no
    /// parent unless [`NewCommit::parent`] names one.
    pub fn commit(&self, branch: &str) -> NewCommit<'_> {
        NewCommit {
            repository: self,
            branch: branch.into(),
            parents: None,
            merged: Vec::new(),
            unix_seconds: None,
            message: "a change\n".into(),
            changes: Vec::new(),
        }
    }

    /// The commit at the head of a branch.
    pub fn head(&self, branch: &str) -> String {
        self.state
            .lock()
            .heads
            .get(branch)
            .expect("a branch with commits")
            .clone()
    }

    /// Makes or moves a light tag.
    pub fn tag(&self, name: &str, commit: &str) {
        self.reference(&format!("refs/tags/{name}"), commit);
    }

    /// Makes or moves an annotated tag. It was made a year after the first commit, whatever it is on.
    pub fn annotated_tag(&self, name: &str, commit: &str) {
        let later = FIRST_COMMIT_UNIX_SECONDS + 365 * 24 * 3600;
        self.run(
            self.command(&[
                "tag",
                "--annotate",
                "--force",
                "--message=a tag",
                name,
                commit,
            ])
            .env("GIT_COMMITTER_NAME", "Larder Test")
            .env("GIT_COMMITTER_EMAIL", "test@larder.example")
            .env("GIT_COMMITTER_DATE", format!("@{later} {ZONE}")),
        );
    }

    /// Takes a tag away.
    pub fn delete_tag(&self, name: &str) {
        self.git(&["update-ref", "-d", &format!("refs/tags/{name}")]);
    }

    /// Makes or moves a branch.
    pub fn branch(&self, name: &str, commit: &str) {
        self.reference(&format!("refs/heads/{name}"), commit);
        self.state.lock().heads.insert(name.into(), commit.into());
    }

    /// Makes or moves any ref, as `refs/pull/1/head`.
    pub fn reference(&self, full_name: &str, object: &str) {
        self.git(&["update-ref", full_name, object]);
    }

    /// Lets `HEAD` stand for this branch.
    pub fn default_branch(&self, name: &str) {
        self.git(&["symbolic-ref", "HEAD", &format!("refs/heads/{name}")]);
    }

    /// Runs any git command in the repository and gives what it printed, without the last line break.
    pub fn git(&self, arguments: &[&str]) -> String {
        self.run(&mut self.command(arguments))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = clean_git(&self.folder);
        command.args(arguments);
        command
    }

    #[track_caller]
    fn run(&self, command: &mut Command) -> String {
        let output = command.stdin(Stdio::null()).output().expect("git starts");
        assert!(
            output.status.success(),
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }
}

impl Default for GitRepository {
    fn default() -> Self {
        Self::new()
    }
}

impl NewCommit<'_> {
    /// Writes a file: these bytes and no others, whatever attributes say.
    pub fn file(self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        self.blob("100644", path.as_ref(), content.as_ref())
    }

    /// Writes a file that may be executed.
    pub fn executable(self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        self.blob("100755", path.as_ref(), content.as_ref())
    }

    /// Writes a symbolic link.
    pub fn symlink(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.blob("120000", path.as_ref(), target.as_ref())
    }

    /// Writes a submodule: the name of a commit of some other repository.
    pub fn submodule(mut self, path: impl AsRef<[u8]>, commit: &str) -> Self {
        write!(self.changes, "M 160000 {commit} ").unwrap();
        quote(&mut self.changes, path.as_ref());
        self
    }

    /// Takes a file or a folder away.
    pub fn remove(mut self, path: impl AsRef<[u8]>) -> Self {
        self.changes.extend(b"D ");
        quote(&mut self.changes, path.as_ref());
        self
    }

    /// Takes everything away that the parent has.
    pub fn remove_all(mut self) -> Self {
        self.changes.extend(b"deleteall\n");
        self
    }

    /// Builds upon this commit instead of the branch's head.
    pub fn parent(mut self, commit: &str) -> Self {
        self.parents = Some(vec![commit.into()]);
        self
    }

    /// Builds upon nothing.
    pub fn orphan(mut self) -> Self {
        self.parents = Some(Vec::new());
        self
    }

    /// Merges another commit's history (not its files).
    pub fn merge(mut self, commit: &str) -> Self {
        self.merged.push(commit.into());
        self
    }

    /// Committed at this time; authored a day before.
    pub fn at(mut self, unix_seconds: i64) -> Self {
        self.unix_seconds = Some(unix_seconds);
        self
    }

    /// The commit's message.
    pub fn message(mut self, text: &str) -> Self {
        self.message = text.into();
        self
    }

    /// Writes the commit, moves the branch, and gives the commit's name.
    #[track_caller]
    pub fn write(self) -> String {
        let mut state = self.repository.state.lock();
        let unix_seconds = self.unix_seconds.unwrap_or(state.next_unix_seconds);
        state.next_unix_seconds = unix_seconds + 60;
        let head = state.heads.get(&self.branch).cloned();
        let new_root = self.parents.as_ref().is_some_and(Vec::is_empty);
        let parents = self.parents.unwrap_or_else(|| head.into_iter().collect());

        let mut stream = Vec::new();
        if new_root {
            writeln!(stream, "reset refs/heads/{}\n", self.branch).unwrap();
        }
        writeln!(stream, "commit refs/heads/{}\nmark :1", self.branch).unwrap();
        let authored = unix_seconds - 24 * 3600;
        writeln!(stream, "author {PERSON} {authored} {ZONE}").unwrap();
        writeln!(stream, "committer {PERSON} {unix_seconds} {ZONE}").unwrap();
        data(&mut stream, self.message.as_bytes());
        for (word, commits) in [("from", &parents), ("merge", &self.merged)] {
            for commit in commits {
                writeln!(stream, "{word} {commit}").unwrap();
            }
        }
        stream.extend(&self.changes);
        stream.extend(b"\nget-mark :1\ndone\n");

        // Nothing is kept for good here, and a pack for each commit is as good as loose objects.
        let mut command = self.repository.command(&[
            "-c",
            "core.fsync=none",
            "-c",
            "fastimport.unpackLimit=0",
            "fast-import",
            "--quiet",
            "--done",
            "--force",
            "--date-format=raw",
        ]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("git starts");
        let mut input = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || {
            // Where git ends early, its own words say more than a broken pipe.
            let _ = input.write_all(&stream);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(
            output.status.success(),
            "git fast-import: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let commit = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        state.heads.insert(self.branch, commit.clone());
        commit
    }

    fn blob(mut self, mode: &str, path: &[u8], content: &[u8]) -> Self {
        write!(self.changes, "M {mode} inline ").unwrap();
        quote(&mut self.changes, path);
        data(&mut self.changes, content);
        self
    }
}

fn data(stream: &mut Vec<u8>, content: &[u8]) {
    writeln!(stream, "data {}", content.len()).unwrap();
    stream.extend(content);
    stream.push(b'\n');
}

/// A path as a quoted string of the C language, which can say any byte, and the end of the line.
fn quote(stream: &mut Vec<u8>, path: &[u8]) {
    stream.push(b'"');
    for byte in path {
        match byte {
            b'"' | b'\\' => stream.extend([b'\\', *byte]),
            b' '..=b'~' => stream.push(*byte),
            _ => write!(stream, "\\{byte:03o}").unwrap(),
        }
    }
    stream.extend(b"\"\n");
}
