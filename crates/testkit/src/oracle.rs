//! The stock go command as the judge of `direct`: what `go` makes of a repository with `GOPROXY=direct`, and what
//! Larder makes of it, compared question by question.
//!
//! Repositories come from two places: [`shapes`] makes our own, and [`fixtures`] lets the
//! Go installation at hand make those that the go command is tested with. Both sides see them under the names of hosts
//! that do not exist, by the means of a user who mirrors hosts: `url.….insteadOf` for git, a proxy for the
//! pages that name repositories.
//!
//! [`go_side`] asks `go` and keeps its answers, [`larder_side`] asks a running Larder
//! over HTTP, [`compare()`] says where they differ. `cargo xtask oracle` runs everything (the program is
//! `src/bin/oracle.rs`); a test of the `larder` crate runs a few shapes.

mod compare;
mod fixtures;
mod go_side;
mod larder_side;
mod questions;
mod shapes;

pub use compare::{Counts, Difference, Report};

use crate::{ForwardProxy, GitHttpServer, Larder, LarderBuilder, TestCa};
use compare::compare;
use go_side::Said;
use parking_lot::Mutex;
use questions::{Questions, Repository};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

/// The host of our own repositories.
const OWN_HOST: &str = "git.larder.example";
/// The host of the repositories that Go's tests use.
const GO_HOST: &str = "vcs-test.golang.org";
/// A host whose pages say where repositories are.
const VANITY_HOST: &str = "vanity.larder.example";
/// The host with rules of its own.
const GOPKG_HOST: &str = "gopkg.in";

/// How many modules are asked about at once.
const WORKERS: usize = 4;

/// Every so many-th module path is asked about as a public one, too.
const PUBLIC_SAMPLE: usize = 4;

/// By which way modules come to their repositories.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// By private patterns.
    Private,
    /// By `direct` in the list of upstreams, without a checksum database.
    Public,
}

/// Repositories, and what is asked of them.
pub struct Oracle {
    /// Folders `own`, `go` and `gopkg`, with a bare repository `NAME.git` and a link `NAME` to it for each.
    repositories: PathBuf,
    /// What `go` said before, by a hash of everything that its answers depend on.
    memory: PathBuf,
    subjects: Vec<Subject>,
    /// The go-import pages, by path: one server plays all hosts.
    pages: Vec<(&'static str, String)>,
}

/// One module path and the repository that holds it.
pub(crate) struct Subject {
    module_path: String,
    /// The part of the module path that stands for the repository's root.
    root: String,
    /// The folder of the repository that the root stands for.
    root_folder: &'static str,
    folder: PathBuf,
}

/// Go-import pages: path of the page, prefix, repository, folder in the repository, and module paths below the prefix.
const PAGES: &[(&str, &str, &str, &str, &[&str])] = &[
    (
        "/pkg",
        "vanity.larder.example/pkg",
        "nested",
        "",
        &["", "/sub", "/none", "/sub/deep"],
    ),
    (
        "/inner",
        "vanity.larder.example/inner",
        "nested",
        "sub",
        &["", "/deep"],
    ),
    (
        "/major",
        "vanity.larder.example/major",
        "major-folder",
        "",
        &["", "/v2"],
    ),
    (
        "/exact/v2",
        "vanity.larder.example/exact/v2",
        "major-branch",
        "",
        &[""],
    ),
];

/// What gopkg.in would be asked for.
const GOPKG_PATHS: &[&str] = &[
    "same-commit.v0",
    "same-commit.v1",
    "same-commit.v2",
    "same-commit.v3",
    "incompatible.v2",
    "incompatible.v3-unstable",
    "module-lines.v2",
    "pre-releases.v1",
    "major-branch.v2",
];

impl Oracle {
    /// Makes the repositories below `folder`. Those of Go's tests, and what `go` said of a repository, are taken from an
    /// earlier run. `filters`: only module paths that contain one of these texts; none means all.
    pub fn prepare(folder: &Path, filters: &[&str], go_fixtures: GoFixtures) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let folder = folder.canonicalize().unwrap();
        let mut oracle = Self {
            repositories: folder.join("repositories"),
            memory: folder.join("answers"),
            subjects: Vec::new(),
            pages: Vec::new(),
        };
        oracle.add_own();
        if go_fixtures == GoFixtures::Include {
            oracle.add_go();
        }
        oracle.add_pages();
        oracle.add_gopkg();
        oracle.subjects.retain(|subject| {
            filters.is_empty()
                || filters
                    .iter()
                    .any(|filter| subject.module_path.contains(filter))
        });
        oracle.make_own();
        oracle
    }

    /// How many module paths are asked about.
    pub fn module_paths(&self) -> usize {
        self.subjects.len()
    }

    /// Asks both sides everything. `None` where there is no go.
    pub fn run(&self, binary: &str) -> Option<Report> {
        let hosts = Hosts::start(self);
        let mut report = Report::default();
        for (way, every) in [(Way::Private, 1), (Way::Public, PUBLIC_SAMPLE)] {
            let larder = hosts.larder(binary, way).start();
            let judge = |subject: &Subject| self.judge(subject, &hosts, &larder);
            let judged = self.for_each(every, judge)?;
            report = judged.into_iter().fold(report, Report::with);
        }
        report.sort();
        Some(report)
    }

    /// Asks `go` only, keeps its answers for later runs and says how many they are. `None` where there is no go.
    pub fn record(&self) -> Option<usize> {
        let hosts = Hosts::start(self);
        let ask = |subject: &Subject| Some(self.ask_go(subject, &hosts)?.1.len());
        Some(self.for_each(1, ask)?.into_iter().sum())
    }

    /// Works on every so many-th module, a few at a time.
    fn for_each<T: Send>(
        &self,
        every: usize,
        work: impl Fn(&Subject) -> Option<T> + Sync,
    ) -> Option<Vec<T>> {
        let subjects: Vec<&Subject> = self.subjects.iter().step_by(every).collect();
        let done = Mutex::new(Some(Vec::new()));
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| {
                    while let Some(subject) = subjects.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let result = work(subject);
                        let mut done = done.lock();
                        match (done.as_mut(), result) {
                            (Some(results), Some(result)) => results.push(result),
                            _ => *done = None,
                        }
                    }
                });
            }
        });
        done.into_inner()
    }

    fn judge(&self, subject: &Subject, hosts: &Hosts, larder: &Larder) -> Option<Report> {
        let (questions, said) = self.ask_go(subject, hosts)?;
        Some(compare(subject, &questions, &said, larder))
    }

    fn ask_go(&self, subject: &Subject, hosts: &Hosts) -> Option<(Questions, Said)> {
        let repository = Repository::read(&subject.folder);
        let questions = questions::about(subject, &repository);
        let said = go_side::ask(subject, &repository, &questions, hosts, &self.memory)?;
        Some((questions, said))
    }

    fn add_own(&mut self) {
        for shape in shapes::SHAPES {
            let folder = self.own(shape.name);
            let root = format!("{OWN_HOST}/{}.git", shape.name);
            for suffix in shape.modules {
                let module_path = match *suffix {
                    "" => root.clone(),
                    suffix => format!("{root}/{suffix}"),
                };
                self.add(module_path, &root, "", &folder);
            }
        }
    }

    fn own(&self, name: &str) -> PathBuf {
        self.repositories.join("own").join(format!("{name}.git"))
    }

    /// Makes those of our own repositories that are asked about. They are made anew each time, since a shape
    /// may have been changed; the same shape has the same objects.
    fn make_own(&self) {
        let own = self.repositories.join("own");
        if own.exists() {
            std::fs::remove_dir_all(&own).unwrap();
        }
        for shape in shapes::SHAPES {
            let folder = self.own(shape.name);
            if self.subjects.iter().any(|subject| subject.folder == folder) {
                drop(shape.make(&folder));
                link(&own, shape.name);
            }
        }
    }

    fn add_go(&mut self) {
        let folder = self.repositories.join("go");
        for (name, suffixes) in fixtures::make(&folder) {
            let root = format!("{GO_HOST}/git/{name}.git");
            let repository = folder.join(format!("{name}.git"));
            for suffix in suffixes {
                self.add(format!("{root}{suffix}"), &root, "", &repository);
            }
        }
    }

    fn add_pages(&mut self) {
        for (page, prefix, repository, root_folder, suffixes) in PAGES {
            let url = format!("https://{OWN_HOST}/{repository}");
            let entry = format!("{prefix} git {url} {root_folder}");
            let folder = self.own(repository);
            for suffix in *suffixes {
                self.add(format!("{prefix}{suffix}"), prefix, root_folder, &folder);
                self.pages.push((page, entry.trim_end().to_owned()));
            }
        }
    }

    fn add_gopkg(&mut self) {
        let folder = self.repositories.join("gopkg");
        std::fs::create_dir_all(&folder).unwrap();
        for name in GOPKG_PATHS {
            let (repository, _) = name.rsplit_once(".v").expect("a gopkg.in path");
            let target = self.own(repository);
            let link = folder.join(name);
            if link.symlink_metadata().is_err() {
                std::os::unix::fs::symlink(&target, &link).unwrap();
            }
            let root = format!("{GOPKG_HOST}/{name}");
            self.add(root.clone(), &root, "", &target);
        }
    }

    fn add(&mut self, module_path: String, root: &str, root_folder: &'static str, folder: &Path) {
        self.subjects.push(Subject {
            module_path,
            root: root.into(),
            root_folder,
            folder: folder.into(),
        });
    }
}

/// Whether the repositories of Go's own tests are asked about, too: building what makes them takes a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GoFixtures {
    /// Only our own.
    Leave,
    /// Theirs, too.
    Include,
}

/// `NAME` beside `NAME.git`: git is given the address without the ending that the module path has.
fn link(folder: &Path, name: &str) {
    std::os::unix::fs::symlink(format!("{name}.git"), folder.join(name)).unwrap();
}

/// The servers that play the hosts, and the environment that leads to them.
struct Hosts {
    server: GitHttpServer,
    proxy: ForwardProxy,
    certificates: PathBuf,
    repositories: PathBuf,
    _folder: TempDir,
}

impl Hosts {
    fn start(oracle: &Oracle) -> Self {
        let ca = TestCa::new();
        let folder = TempDir::with_prefix("larder-oracle-").unwrap();
        let certificates = ca.write(folder.path());
        let server = GitHttpServer::start_tls(&ca, &[OWN_HOST, GO_HOST, VANITY_HOST, GOPKG_HOST]);
        for part in ["own", "go", "gopkg"] {
            let Ok(entries) = std::fs::read_dir(oracle.repositories.join(part)) else {
                continue;
            };
            for entry in entries.map(Result::unwrap) {
                let name = entry.file_name().into_string().expect("our own names");
                server.serve_folder(&format!("/{part}/{name}"), &entry.path());
            }
        }
        for subject in &oracle.subjects {
            let Some(name) = subject.root.strip_prefix("gopkg.in/") else {
                continue;
            };
            let entry = format!("{} git https://{GOPKG_HOST}/{name}", subject.root);
            server.go_import(&format!("/{name}"), &[&entry]);
        }
        for (page, entry) in &oracle.pages {
            server.go_import(page, &[entry]);
        }
        for (page, prefix, .., suffixes) in PAGES {
            let entry = oracle.pages.iter().find(|(known, _)| known == page);
            for suffix in suffixes.iter().filter(|suffix| !suffix.is_empty()) {
                let path = format!("{}{suffix}", prefix.trim_start_matches(VANITY_HOST));
                if let Some((_, entry)) = entry {
                    server.go_import(&path, &[entry]);
                }
            }
        }
        let address = server.http().address();
        let proxy = ForwardProxy::start(&[(VANITY_HOST, address), (GOPKG_HOST, address)]);
        Self {
            server,
            proxy,
            certificates,
            repositories: oracle.repositories.clone(),
            _folder: folder,
        }
    }

    /// What both sides need to find the pages.
    fn environment(&self) -> Vec<(String, String)> {
        let certificates = self.certificates.display().to_string();
        [
            ("SSL_CERT_FILE", certificates.clone()),
            ("SSL_CERT_DIR", "/nonexistent".to_owned()),
            ("GIT_SSL_CAINFO", certificates),
            ("HTTPS_PROXY", self.proxy.url()),
            ("NO_PROXY", "127.0.0.1".to_owned()),
            ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
            ("GIT_CONFIG_GLOBAL", "/dev/null".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// The way of `go` to the repositories: the folders themselves, which is the fastest.
    fn environment_of_go(&self) -> Vec<(String, String)> {
        let base = format!("file://{}", self.repositories.display());
        let mut environment = self.environment();
        environment.extend(instead_of(&base));
        environment
    }

    /// A Larder whose way to the repositories is a code host over HTTPS.
    fn larder(&self, binary: &str, way: Way) -> LarderBuilder {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let private = match way {
            Way::Private => [OWN_HOST, GO_HOST, VANITY_HOST, GOPKG_HOST].join(","),
            Way::Public => String::new(),
        };
        let mut builder = Larder::builder(binary)
            .upstream("direct")
            .args(["--private", &private])
            .env("PATH", path);
        let base = self.server.url("");
        for (name, value) in self.environment().into_iter().chain(instead_of(&base)) {
            builder = builder.env(&name, value);
        }
        builder
    }
}

/// The git configuration, as variables, that leads from the hosts to their repositories below `base`.
fn instead_of(base: &str) -> Vec<(String, String)> {
    let rules = [
        ("own", format!("https://{OWN_HOST}/")),
        ("go", format!("https://{GO_HOST}/git/")),
        ("gopkg", format!("https://{GOPKG_HOST}/")),
    ];
    let mut environment = vec![("GIT_CONFIG_COUNT".to_owned(), rules.len().to_string())];
    for (number, (part, from)) in rules.into_iter().enumerate() {
        environment.push((
            format!("GIT_CONFIG_KEY_{number}"),
            format!("url.{base}/{part}/.insteadOf"),
        ));
        environment.push((format!("GIT_CONFIG_VALUE_{number}"), from));
    }
    environment
}
