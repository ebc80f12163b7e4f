//! The repositories of Go's own tests, made at run time by the Go installation at hand. Nothing of them is kept in
//! this repository.

use super::link;
use crate::git::clean_git;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Module paths below repositories that have more than the module at their root.
const DEEPER: &[(&str, &[&str])] = &[
    ("empty-v2-without-v1", &["/v2"]),
    ("gitreposubdir", &["/foo/subdir"]),
    ("gitreposubdirv2", &["/v2", "/subdir", "/subdir/v2"]),
    ("gitrepo1", &["/v2", "/v3"]),
    ("issue61415", &["/nested"]),
    ("prefixtagtests", &["/sub"]),
    ("querytest", &["/v2"]),
    ("semver-branch", &["/v2"]),
    ("v2repo", &["/v2"]),
    ("v2sub", &["/v2"]),
    ("v3pkg", &["/v3"]),
    ("vgotest1", &["/v2", "/submod", "/v3"]),
];

/// Makes the repositories in `folder`, where an earlier run has not, and gives their names with what follows
/// the repository in the module paths to ask for. Empty where Go's sources are not there.
pub(super) fn make(folder: &Path) -> Vec<(String, Vec<&'static str>)> {
    let Some(scripts) = scripts() else {
        eprintln!("Go's own repositories are left out: GOROOT has no cmd/go/testdata/vcstest");
        return Vec::new();
    };
    if !folder.join("complete").exists() {
        clone_all(folder, &scripts);
        std::fs::write(folder.join("complete"), "").unwrap();
    }
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().ok()?;
            Some(name.strip_suffix(".git")?.to_owned())
        })
        .collect();
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let deeper = DEEPER.iter().find(|(known, _)| *known == name);
            let deeper = deeper.map_or(&[][..], |(_, deeper)| deeper);
            let suffixes = [""].iter().chain(deeper).copied().collect();
            (name, suffixes)
        })
        .collect()
}

/// `GOROOT/src/cmd/go/testdata/vcstest/git`.
fn scripts() -> Option<PathBuf> {
    let output = Command::new("go").args(["env", "GOROOT"]).output().ok()?;
    let root = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    let folder = root.join("src/cmd/go/testdata/vcstest/git");
    folder.is_dir().then_some(folder)
}

/// Builds Go's server of repositories, and fetches each of them from it.
fn clone_all(folder: &Path, scripts: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let program = folder.join("vcstest.test");
    let status = Command::new("go")
        .args(["test", "-c", "-o"])
        .arg(&program)
        .arg("cmd/go/internal/vcweb/vcstest")
        .env("GOFLAGS", "")
        .status()
        .expect("go starts");
    assert!(
        status.success(),
        "Go's server of repositories cannot be built: {status}"
    );
    let package = scripts
        .ancestors()
        .nth(3)
        .unwrap()
        .join("internal/vcweb/vcstest");
    let server = VcsServer::start(&program, &package);
    for entry in std::fs::read_dir(scripts).unwrap() {
        let file = entry.unwrap().path();
        let name = file
            .file_stem()
            .unwrap()
            .to_str()
            .expect("a plain name")
            .to_owned();
        let target = folder.join(format!("{name}.git"));
        let output = clean_git(folder)
            .args([
                "clone",
                "--quiet",
                "--mirror",
                &format!("{}git/{name}", server.url),
            ])
            .arg(&target)
            .output()
            .expect("git starts");
        if output.status.success() {
            link(folder, &name);
        } else if target.exists() {
            // One of them is there to be missing.
            std::fs::remove_dir_all(&target).unwrap();
        }
    }
}

/// Go's server of repositories. Killed when dropped.
struct VcsServer {
    child: Child,
    url: String,
    _scratch: tempfile::TempDir,
}

impl VcsServer {
    fn start(program: &Path, package: &Path) -> Self {
        // Its own repositories go where they can be thrown away: it is not asked to end, it is ended.
        let scratch = tempfile::TempDir::with_prefix("larder-oracle-go-").unwrap();
        let mut child = Command::new(program)
            .args(["-test.v", "-host=127.0.0.1", "-port=0"])
            .env("TMPDIR", scratch.path())
            .current_dir(package)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Go's server of repositories starts");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("serving on ")?.1.to_owned()))
            .expect("Go's server of repositories says where it serves");
        // What it says of each request must go somewhere.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self {
            child,
            url,
            _scratch: scratch,
        }
    }
}

impl Drop for VcsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
