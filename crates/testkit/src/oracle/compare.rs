//! Where the two sides differ.

use super::Subject;
use super::go_side::{Answer, Files, Said};
use super::larder_side::{LarderSide, zip};
use super::questions::Questions;
use crate::Larder;
use serde_json::Value;
use std::fmt;

/// What was compared, and what was found.
#[derive(Debug, Default)]
pub struct Report {
    /// How many comparisons, by kind.
    pub counts: Counts,
    /// What differs.
    pub differences: Vec<Difference>,
    /// What differs and is meant to, with the reason.
    pub by_design: Vec<Difference>,
}

/// How many comparisons were made.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// `@v/list`.
    pub lists: usize,
    /// `@latest`.
    pub latest: usize,
    /// `.info` that both have.
    pub infos: usize,
    /// `.mod` that both have.
    pub go_mods: usize,
    /// `.zip` that both have.
    pub zips: usize,
    /// Whatever both refuse.
    pub absences: usize,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// `MODULE@QUESTION .KIND`
    pub what: String,
    /// Both sides' words.
    pub how: String,
}

impl Counts {
    /// All of them.
    pub fn total(&self) -> usize {
        self.lists + self.latest + self.infos + self.go_mods + self.zips + self.absences
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} comparisons: {} lists, {} latest, {} infos, {} mods, {} zips, {} refusals",
            self.total(),
            self.lists,
            self.latest,
            self.infos,
            self.go_mods,
            self.zips,
            self.absences
        )
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.what, self.how)
    }
}

impl Report {
    pub(super) fn with(mut self, other: Self) -> Self {
        self.counts.lists += other.counts.lists;
        self.counts.latest += other.counts.latest;
        self.counts.infos += other.counts.infos;
        self.counts.go_mods += other.counts.go_mods;
        self.counts.zips += other.counts.zips;
        self.counts.absences += other.counts.absences;
        self.differences.extend(other.differences);
        self.by_design.extend(other.by_design);
        self
    }

    pub(super) fn sort(&mut self) {
        self.differences.sort();
        self.by_design.sort();
    }
}

/// Where Larder is not to do as `go` does: a word of the module path, a word of what `go` said, and why.
const BY_DESIGN: &[(&str, &str, &str)] = &[(
    "newer-go",
    "requires go >= 1.99",
    "go refuses a module whose go line is newer than itself; a proxy serves it to those who have that go",
)];

/// Compares all answers about one module.
pub(super) fn compare(
    subject: &Subject,
    questions: &Questions,
    said: &Said,
    larder: &Larder,
) -> Report {
    let mut comparison = Comparison {
        subject,
        questions,
        larder: LarderSide::new(larder, subject),
        report: Report::default(),
    };
    comparison.list(said);
    if let Some(latest) = &said.latest {
        comparison.report.counts.latest += 1;
        let answer = comparison.larder.latest();
        comparison.info("latest", "@latest", latest, &answer);
    }
    for (question, answer) in &said.answers {
        let counts = &mut comparison.report.counts;
        match answer {
            Answer::Found { .. } => counts.infos += 1,
            Answer::Refused(_) => counts.absences += 1,
        }
        let given = comparison.larder.file(question, "info");
        comparison.info(question, ".info", answer, &given);
        if let (Answer::Refused(why), true) = (answer, questions.versions.contains(question)) {
            for kind in ["mod", "zip"] {
                comparison.report.counts.absences += 1;
                let given = comparison.larder.file(question, kind);
                if given.status() == 400 && given.text().starts_with("malformed ") {
                    // No module of this path can have such a version, whatever its repository holds.
                    continue;
                }
                comparison.refusal(question, &format!(".{kind}"), why, &given, &[404]);
            }
        }
    }
    for (version, files) in &said.files {
        comparison.files(version, files);
    }
    comparison.report
}

struct Comparison<'a> {
    subject: &'a Subject,
    questions: &'a Questions,
    larder: LarderSide<'a>,
    report: Report,
}

impl Comparison<'_> {
    fn list(&mut self, said: &Said) {
        self.report.counts.lists += 1;
        let given = self.larder.list();
        let go: String = said
            .versions
            .iter()
            .map(|version| format!("{version}\n"))
            .collect();
        let nothing_there = said.versions.is_empty() && said.files.is_empty();
        let same = match given.status() {
            200 => given.text() == go,
            404 => nothing_there,
            _ => false,
        };
        if !same {
            self.differ("", "@v/list", &go, &shown(&given));
        }
    }

    fn info(&mut self, question: &str, kind: &str, answer: &Answer, given: &crate::Answer) {
        let (version, time, origin) = match answer {
            Answer::Refused(why) => return self.refusal(question, kind, why, given, &[404]),
            Answer::Found {
                version,
                time,
                origin,
            } => (version, time, origin),
        };
        let expected = serde_json::json!({ "Version": version, "Time": time, "Origin": origin });
        let parsed: Value = serde_json::from_slice(&given.body).unwrap_or_default();
        let mut same = given.status() == 200 && parsed == expected;
        if !same && self.questions.ref_depends_on_what_was_fetched(question) {
            same = given.status() == 200 && without_ref(parsed) == without_ref(expected.clone());
        }
        if !same {
            self.differ(question, kind, &expected.to_string(), &shown(given));
        }
    }

    fn files(&mut self, version: &str, files: &Files) {
        let given = self.larder.file(version, "mod");
        match &files.go_mod {
            Ok(go_mod) => {
                self.report.counts.go_mods += 1;
                if given.status() != 200 || given.body != go_mod[..] {
                    self.differ(
                        version,
                        ".mod",
                        &String::from_utf8_lossy(go_mod),
                        &shown(&given),
                    );
                }
            }
            Err(why) => {
                self.report.counts.absences += 1;
                self.refusal(version, ".mod", why, &given, &[404]);
            }
        }
        let given = self.larder.file(version, "zip");
        match &files.zip {
            Ok(expected) => {
                self.report.counts.zips += 1;
                let got = match given.status() {
                    200 => zip(&given.body),
                    _ => Err(shown(&given)),
                };
                match got {
                    Ok(got) if got == *expected => {}
                    Ok(got) => self.differ(version, ".zip", &entries(expected), &entries(&got)),
                    Err(why) => self.differ(version, ".zip", &expected.hash, &why),
                }
            }
            Err(why) => {
                self.report.counts.absences += 1;
                // There is such a version, but it makes no module zip: the fault lies with what was fetched.
                self.refusal(version, ".zip", why, &given, &[404, 502]);
            }
        }
    }

    fn refusal(
        &mut self,
        question: &str,
        kind: &str,
        why: &str,
        given: &crate::Answer,
        statuses: &[u16],
    ) {
        let text = given.text();
        let said = reason(why, &self.subject.module_path, question)
            .is_none_or(|reason| text.contains(&reason));
        if !statuses.contains(&given.status()) || !said {
            self.differ(question, kind, why, &shown(given));
        }
    }

    fn differ(&mut self, question: &str, kind: &str, go: &str, larder: &str) {
        let module_path = &self.subject.module_path;
        let mut difference = Difference {
            what: format!("{module_path}@{question} {kind}"),
            how: format!("  go:     {}\n  larder: {}", indented(go), indented(larder)),
        };
        let by_design = BY_DESIGN
            .iter()
            .find(|(part, words, _)| module_path.contains(part) && go.contains(words));
        match by_design {
            Some((.., reason)) => {
                difference.how = format!("  {reason}");
                self.report.by_design.push(difference);
            }
            None => self.report.differences.push(difference),
        }
    }
}

/// What is the same in all of Go's words for one cause: without the names that stand before it, and nothing where
/// what follows is git's own.
fn reason(error: &str, module_path: &str, question: &str) -> Option<String> {
    let words = error
        .strip_prefix(&format!("{module_path}@{question}: "))
        .or_else(|| error.strip_prefix(&format!("{module_path}: ")))
        .unwrap_or(error);
    let words = words.strip_prefix("invalid version: ").unwrap_or(words);
    // How a client searches for a latest version is its own business.
    let of_client = words.contains("no matching versions for query");
    let of_git = words.contains('\n')
        || words.starts_with("git ")
        || words.contains("from git log")
        || words.contains("exit status");
    (!of_git && !of_client && !words.is_empty()).then(|| words.to_owned())
}

fn without_ref(mut info: Value) -> Value {
    if let Some(origin) = info.get_mut("Origin").and_then(Value::as_object_mut) {
        origin.remove("Ref");
    }
    info
}

fn shown(answer: &crate::Answer) -> String {
    let text = answer.text();
    let text: String = text.chars().take(600).collect();
    format!("{} {}", answer.status(), text.trim_end())
}

fn entries(zip: &super::go_side::Zip) -> String {
    let lines = zip
        .entries
        .iter()
        .take(60)
        .map(|(name, hash)| format!("{} {name}", &hash[..8]));
    std::iter::once(zip.hash.clone())
        .chain(lines)
        .collect::<Vec<_>>()
        .join("\n")
}

fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n          ")
}
