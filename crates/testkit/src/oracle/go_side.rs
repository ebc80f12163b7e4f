//! What the stock go command says, asked once and remembered.

use super::questions::{Questions, Repository, major};
use super::{Hosts, Subject};
use crate::GoCommand;
use crate::module::sha256_hex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

/// Everything that `go` says of one module.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Said {
    /// What `go list -m -versions -retracted` lists.
    pub(super) versions: Vec<String>,
    /// `@latest`.
    pub(super) latest: Option<Answer>,
    /// By question: a version, a branch, a hash.
    pub(super) answers: BTreeMap<String, Answer>,
    /// By canonical version.
    pub(super) files: BTreeMap<String, Files>,
}

/// One question's answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// A version.
    Found {
        /// Which.
        version: String,
        /// What an `.info` holds beside the version, as JSON: `Time` and `Origin`.
        time: serde_json::Value,
        origin: serde_json::Value,
    },
    /// No version, and why.
    Refused(String),
}

/// The files of one version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Files {
    /// `.mod`, or why there is none.
    pub(super) go_mod: Result<Vec<u8>, String>,
    /// `.zip`, or why there is none.
    pub(super) zip: Result<Zip, String>,
}

/// What is in a zip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Zip {
    /// Names and SHA-256 of contents, in their order.
    pub(super) entries: Vec<(String, String)>,
    /// `h1:…`
    pub(super) hash: String,
}

/// Changes when what is recorded does.
const RECORDING: u32 = 1;

/// How many versions one command is asked for: its command line has an end.
const BATCH: usize = 200;

impl Said {
    /// How many answers these are.
    pub(super) fn len(&self) -> usize {
        self.answers.len() + 2 * self.files.len() + 2
    }
}

/// What `go` says, now or as it was remembered. `None` where there is no go.
pub(super) fn ask(
    subject: &Subject,
    repository: &Repository,
    questions: &Questions,
    hosts: &Hosts,
    memory: &Path,
) -> Option<Said> {
    let mut go = GoCommand::find("direct")?;
    for (name, value) in hosts.environment_of_go() {
        go = go.env(&name, &value);
    }
    // Go's own default for what is public.
    let go = go.env("GOVCS", "*:git").env("GONOSUMDB", "*");
    let asker = Asker { go, subject };
    let remembered = memory.join(format!("{}.json", asker.key(repository, questions)));
    if let Some(said) = std::fs::read(&remembered)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
    {
        return Some(said);
    }
    let said = asker.ask(questions);
    std::fs::create_dir_all(memory).unwrap();
    let new = remembered.with_extension("new");
    std::fs::write(&new, serde_json::to_vec_pretty(&said).unwrap()).unwrap();
    std::fs::rename(&new, &remembered).unwrap();
    Some(said)
}

struct Asker<'a> {
    go: GoCommand,
    subject: &'a Subject,
}

/// What `go mod download -json` prints of one version.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Downloaded {
    version: String,
    query: String,
    error: Option<String>,
    info: Option<String>,
    go_mod: Option<String>,
    zip: Option<String>,
    sum: Option<String>,
    origin: Option<serde_json::Value>,
}

impl Asker<'_> {
    /// A hash of everything that the answers depend on.
    fn key(&self, repository: &Repository, questions: &Questions) -> String {
        let folder = self.go.folder();
        let go = self.go.run(folder, &["version"]).success().stdout;
        let git = std::process::Command::new("git")
            .arg("version")
            .output()
            .expect("git starts");
        let mut text = format!(
            "{RECORDING}\n{go}{}{}\n{} {}\n{}",
            String::from_utf8_lossy(&git.stdout),
            self.subject.module_path,
            self.subject.root,
            self.subject.root_folder,
            repository.head,
        );
        for (name, object) in &repository.refs {
            text += &format!("{name} {object}\n");
        }
        questions.all().for_each(|question| {
            text.push_str(question);
            text.push('\n');
        });
        sha256_hex(text.as_bytes())
    }

    fn ask(&self, questions: &Questions) -> Said {
        let mut said = Said {
            versions: self.list(),
            ..Said::default()
        };
        // Each kind of question meets an empty download folder: what is kept there from another question
        // would be the answer. The clone of the repository may stay.
        self.download(&questions.versions, &mut said);
        let asked: BTreeSet<String> = said.files.keys().cloned().collect();
        self.forget_downloads();
        self.download(&questions.names, &mut said);
        self.forget_downloads();
        self.download(&questions.hashes, &mut said);
        self.forget_downloads();
        let latest = BTreeSet::from(["latest".to_owned()]);
        self.download(&latest, &mut said);
        said.latest = said.answers.remove("latest");
        // Versions that only a name or a hash led to.
        let found: BTreeSet<String> = said
            .files
            .keys()
            .filter(|version| !asked.contains(*version))
            .cloned()
            .collect();
        self.forget_downloads();
        self.download(&found, &mut said);
        said
    }

    /// `go list` wants to resolve `@latest` first, which may fail, unless the module is in the build list: so it
    /// is required there, and replaced so that nothing of it is needed.
    fn list(&self) -> Vec<String> {
        let path = &self.subject.module_path;
        let version = format!("v{}.0.0", major(path));
        let go_mod = format!(
            "module oracle.example/main\n\ngo 1.20\n\nrequire {path} {version}\n\nreplace {path} => ./empty\n"
        );
        let folder = self.go.main_module("main", &go_mod, "package main\n");
        std::fs::create_dir_all(folder.join("empty")).unwrap();
        std::fs::write(folder.join("empty/go.mod"), format!("module {path}\n")).unwrap();
        let arguments = [
            "list",
            "-m",
            "-e",
            "-mod=mod",
            "-versions",
            "-retracted",
            "-json=Versions",
            path,
        ];
        let output = self.go.run(&folder, &arguments).success();
        let listed: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
        let versions = listed["Versions"].as_array().into_iter().flatten();
        versions
            .map(|version| version.as_str().expect("a version").to_owned())
            .collect()
    }

    fn download(&self, questions: &BTreeSet<String>, said: &mut Said) {
        let questions: Vec<&String> = questions.iter().collect();
        for batch in questions.chunks(BATCH) {
            let arguments: Vec<String> = ["mod", "download", "-json"]
                .map(str::to_owned)
                .into_iter()
                .chain(
                    batch
                        .iter()
                        .map(|question| format!("{}@{question}", self.subject.module_path)),
                )
                .collect();
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let output = self.go.run(self.go.folder(), &arguments);
            let stream = serde_json::Deserializer::from_str(&output.stdout).into_iter();
            let mut printed = 0;
            for downloaded in stream {
                let downloaded: Downloaded = downloaded.expect("JSON");
                self.note(downloaded, said);
                printed += 1;
            }
            assert_eq!(printed, batch.len(), "{batch:?}: {}", output.stderr);
        }
    }

    fn note(&self, downloaded: Downloaded, said: &mut Said) {
        let question = if downloaded.query.is_empty() {
            &downloaded.version
        } else {
            &downloaded.query
        };
        let error = || downloaded.error.clone().unwrap_or_default();
        let info = downloaded
            .info
            .as_ref()
            .map(|file| std::fs::read(file).unwrap());
        let Some(info) = info else {
            said.answers
                .insert(question.clone(), Answer::Refused(error()));
            return;
        };
        let info: serde_json::Value = serde_json::from_slice(&info).expect("JSON");
        let answer = Answer::Found {
            version: downloaded.version.clone(),
            time: info["Time"].clone(),
            origin: downloaded.origin.clone().unwrap_or_default(),
        };
        said.answers.insert(question.clone(), answer);
        said.files
            .entry(downloaded.version.clone())
            .or_insert_with(|| Files {
                go_mod: downloaded
                    .go_mod
                    .as_ref()
                    .map(|file| std::fs::read(file).unwrap())
                    .ok_or_else(error),
                zip: match (&downloaded.zip, &downloaded.sum) {
                    (Some(file), Some(sum)) => {
                        let entries =
                            entries(&std::fs::read(file).unwrap()).expect("go makes good zips");
                        Ok(Zip {
                            entries,
                            hash: sum.clone(),
                        })
                    }
                    _ => Err(error()),
                },
            });
    }

    fn forget_downloads(&self) {
        let folder = self.go.download_folder();
        if folder.exists() {
            std::fs::remove_dir_all(folder).unwrap();
        }
    }
}

/// Names and SHA-256 of contents of a zip, in their order.
pub(super) fn entries(zip: &[u8]) -> Result<Vec<(String, String)>, String> {
    let mut archive =
        ::zip::ZipArchive::new(std::io::Cursor::new(zip)).map_err(|error| error.to_string())?;
    (0..archive.len())
        .map(|index| {
            let mut file = archive.by_index(index).map_err(|error| error.to_string())?;
            let mut content = Vec::new();
            file.read_to_end(&mut content)
                .map_err(|error| error.to_string())?;
            let name = file.name().map_err(|error| error.to_string())?.into_owned();
            Ok((name, sha256_hex(&content)))
        })
        .collect()
}
