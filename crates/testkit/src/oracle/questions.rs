//! What is asked of a module: every tag, branch and commit that there is, and many that there are not.

use super::Subject;
use crate::git::clean_git;
use std::collections::BTreeSet;
use std::path::Path;

/// What git says of a repository.
pub(super) struct Repository {
    /// Full names and objects; `HEAD` is not among them.
    pub(super) refs: Vec<(String, String)>,
    /// What `HEAD` stands for, whether that exists or not.
    pub(super) head: String,
    /// All commits, hidden ones too, the youngest first.
    pub(super) commits: Vec<Commit>,
}

pub(super) struct Commit {
    pub(super) name: String,
    /// `yyyymmddhhmmss`, UTC.
    time: String,
}

/// The questions about a module, by how `go` has to be asked them.
#[derive(Default)]
pub(super) struct Questions {
    /// Canonical versions, good and bad.
    pub(super) versions: BTreeSet<String>,
    /// Branches, `HEAD`, tags that are no versions.
    pub(super) names: BTreeSet<String>,
    /// Names of commits and what may be taken for them.
    pub(super) hashes: BTreeSet<String>,
}

/// How many commits are asked for by name, and as pseudo-versions.
const COMMITS: usize = 8;
/// How many commits are given all wrong pseudo-versions, too.
const COMMITS_IN_DETAIL: usize = 2;
/// How many tags serve as bases of pseudo-versions.
const BASES: usize = 3;

impl Repository {
    pub(super) fn read(folder: &Path) -> Self {
        let git = |arguments: &[&str]| {
            let output = clean_git(folder).env("TZ", "UTC").args(arguments).output();
            let output = output.expect("git starts");
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let pairs = |text: String| -> Vec<(String, String)> {
            let pair = |line: &str| {
                let (first, second) = line.split_once(' ').expect("two words");
                (first.to_owned(), second.to_owned())
            };
            text.lines().map(pair).collect()
        };
        let log = git(&[
            "log",
            "--all",
            "--date-order",
            "--format=%H %cd",
            "--date=format-local:%Y%m%d%H%M%S",
        ]);
        Self {
            refs: pairs(git(&["for-each-ref", "--format=%(refname) %(objectname)"])),
            head: std::fs::read_to_string(folder.join("HEAD")).unwrap(),
            commits: pairs(log)
                .into_iter()
                .map(|(name, time)| Commit { name, time })
                .collect(),
        }
    }

    fn named<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.refs
            .iter()
            .filter_map(move |(name, _)| name.strip_prefix(prefix))
    }
}

/// All questions about a module.
pub(super) fn about(subject: &Subject, repository: &Repository) -> Questions {
    let below = subject
        .module_path
        .strip_prefix(&subject.root)
        .unwrap_or_default();
    let major = major(&subject.module_path);
    let folder = below.strip_suffix(&format!("/v{major}")).unwrap_or(below);
    let folder = [subject.root_folder, folder.trim_matches('/')]
        .iter()
        .filter(|part| !part.is_empty())
        .copied()
        .collect::<Vec<_>>()
        .join("/");
    let prefix = if folder.is_empty() {
        folder
    } else {
        folder + "/"
    };

    let mut questions = Questions::default();
    for name in ["HEAD", "nosuch", "no-such-branch", "refs"] {
        questions.name(name);
    }
    let mut bases: Vec<&str> = Vec::new();
    for tag in repository.named("refs/tags/") {
        if let Some(version) = tag.strip_prefix(&prefix) {
            questions.name_or_version(version);
            if is_canonical(version) && !version.contains('+') {
                bases.push(version);
            }
        }
        questions.name_or_version(tag);
    }
    for branch in repository.named("refs/heads/") {
        questions.name_or_version(branch);
    }
    for version in [
        "v0.0.0-nosuch",
        "v9.9.9",
        "v2.99.0+incompatible",
        "v1.0.0+incompatible",
    ] {
        questions.versions.insert(version.into());
    }
    for version in ["0", "1", "2", "3", "4"].map(|major| format!("v{major}.77.0")) {
        questions.versions.insert(version);
    }
    for commit in repository.commits.iter().take(COMMITS) {
        questions.commit(commit);
        questions
            .versions
            .insert(format!("v{major}.0.0-{}", commit.segment()));
        for base in spread(&bases, BASES) {
            questions.versions.insert(on_base(base, &commit.segment()));
        }
    }
    for commit in spread(&repository.commits, COMMITS_IN_DETAIL) {
        questions.wrong_pseudo_versions(commit, major, bases.last().copied());
    }
    for hash in [
        "0000000",
        "deadbee",
        "abcdefabcdef",
        &"f".repeat(40),
        &"f".repeat(64),
    ] {
        questions.hashes.insert(hash.into());
    }
    questions
}

impl Questions {
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        [&self.versions, &self.names, &self.hashes]
            .into_iter()
            .flatten()
            .map(String::as_str)
    }

    /// True where Go's own answer depends on what it has fetched before: `Origin.Ref` is then that of a ref that points
    /// there, the question itself, or missing. So it is for commits, for branches whose names could be commits', and
    /// for `HEAD`, which a go command that has fetched nothing yet fetches as a commit.
    pub(super) fn ref_depends_on_what_was_fetched(&self, question: &str) -> bool {
        let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        question == "HEAD" || question.bytes().all(hexadecimal) || is_pseudo(question)
    }

    fn name(&mut self, name: &str) {
        if can_be_asked(name) {
            self.names.insert(name.into());
        }
    }

    /// A tag or a branch: one that reads like a version is asked for as a version, with variants.
    fn name_or_version(&mut self, name: &str) {
        if !is_canonical(name) {
            self.name(name);
            return;
        }
        let release = name.strip_suffix("+incompatible").unwrap_or(name);
        if release.contains('+') {
            // The go command drops other metadata from what it asks for.
            return;
        }
        self.versions.insert(release.into());
        if !release.starts_with("v0.") {
            self.versions.insert(format!("{release}+incompatible"));
        }
    }

    fn commit(&mut self, commit: &Commit) {
        for digits in [6, 7, 12, 40, 64] {
            if let Some(hash) = commit.name.get(..digits) {
                self.hashes.insert(hash.into());
            }
        }
    }

    fn wrong_pseudo_versions(&mut self, commit: &Commit, major: &str, base: Option<&str>) {
        let (time, name) = (&commit.time, &commit.name);
        let (short, long) = (&name[..11], &name[..13]);
        let right = commit.segment();
        let other_time = format!("20010101000000-{}", &name[..12]);
        for version in [
            format!("v{major}.0.0-{other_time}"),
            format!("v{major}.0.0-{time}-{short}"),
            format!("v{major}.0.0-{time}-{long}"),
            format!("v{major}.0.0-{time}-{name}"),
            format!("v{major}.0.0-{time}-abcdefabcdef"),
            format!("v{major}.0.0-{right}+incompatible"),
            format!("v{major}.7.8-0.{right}"),
            format!("v{major}.7.0-0.{right}"),
            format!("v{major}.7.8-pre.0.{right}"),
            format!("v{major}.7.8-{right}"),
            format!("v0.0.0-{right}"),
            format!("v1.0.0-{right}"),
            format!("v2.0.0-{right}"),
            format!("v5.0.0-{right}"),
            format!("v0.0.1-0.{right}"),
            format!("v2.0.1-0.{right}"),
            format!("v2.0.1-0.{right}+incompatible"),
        ] {
            self.versions.insert(version);
        }
        if let Some(base) = base {
            for segment in [
                other_time,
                format!("{time}-{short}"),
                format!("{time}-{long}"),
            ] {
                self.versions.insert(on_base(base, &segment));
            }
            self.versions
                .insert(format!("{}+incompatible", on_base(base, &right)));
        }
    }
}

impl Commit {
    fn segment(&self) -> String {
        format!("{}-{}", self.time, &self.name[..12])
    }
}

/// The pseudo-version that follows a version.
fn on_base(base: &str, segment: &str) -> String {
    if base.contains('-') {
        return format!("{base}.0.{segment}");
    }
    let (rest, patch) = base.rsplit_once('.').expect("a canonical version");
    match patch.parse::<u128>() {
        Ok(patch) => format!("{rest}.{}-0.{segment}", patch + 1),
        Err(_) => format!("{base}-0.{segment}"),
    }
}

/// The first, the last, and others between, `count` at most.
fn spread<T>(items: &[T], count: usize) -> impl Iterator<Item = &T> {
    let step = items.len().div_ceil(count).max(1);
    items.iter().rev().step_by(step)
}

/// The major version that a module path asks for; 0 where it names none.
pub(super) fn major(module_path: &str) -> &str {
    let named = match module_path.strip_prefix("gopkg.in/") {
        Some(rest) => rest.trim_end_matches("-unstable").rsplit_once(".v"),
        None => module_path.rsplit_once("/v"),
    };
    let digits = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    named.map(|(_, major)| major).filter(digits).unwrap_or("0")
}

/// `vX.Y.Z` with anything behind it.
fn is_canonical(name: &str) -> bool {
    let Some(rest) = name.strip_prefix('v') else {
        return false;
    };
    let core = rest.split(['-', '+']).next().unwrap_or_default();
    let number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    let after = rest.strip_prefix(core).unwrap_or_default();
    core.split('.').count() == 3 && core.split('.').all(number) && after.len() != 1
}

/// A time and a revision at the end.
pub(super) fn is_pseudo(version: &str) -> bool {
    let core = version.strip_suffix("+incompatible").unwrap_or(version);
    let mut parts = core.rsplit('-');
    let revision = parts.next().unwrap_or_default();
    let time = parts
        .next()
        .and_then(|part| part.rsplit('.').next())
        .unwrap_or_default();
    !revision.is_empty() && time.len() == 14 && time.bytes().all(|byte| byte.is_ascii_digit())
}

/// True for names that the go command hands on as they are: not what it understands itself, and nothing
/// that the protocol cannot say.
fn can_be_asked(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let understood = matches!(name, "latest" | "upgrade" | "patch" | "none");
    let parts = name.strip_prefix('v').unwrap_or_default();
    let numbers = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let prefix_of_a_version = !parts.is_empty() && parts.split('.').all(numbers);
    !name.is_empty()
        && name.bytes().all(allowed)
        && !name.ends_with('.')
        && !name.starts_with('-')
        && !understood
        && !prefix_of_a_version
}
