//! The files of a module version at a proxy: list, info, go.mod and zip.

use super::environment;
use super::examined::{Examined, Stage, finding};
use super::go_words;
use super::machine::Machine;
use super::module::{Failure, answered};
use crate::way_out;
use async_trait::async_trait;
use bytes::Bytes;
use diagnosis::{Confidence, Subject};
use gomod::zip::{Limits, ZipError, check_and_hash};
use gomod::{FileKind, ModulePath, ModuleVersion, SafeUrl, Version, ZipHash, modfile};
use source::{
    AddressGuard, Sink, SinkError, Source as _, SourceErrorKind, SourceName, TlsRoots, Upstream,
    UpstreamOptions,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tlsdoctor::{Expects, StageStatus};

/// Larger zips are not fetched: the point is whether it is one.
const LARGEST_ZIP_BYTES: usize = 32 << 20;

/// A body that is shown with so many bytes may have been longer: only its beginning is kept.
const WHOLE_BODY_BYTES: usize = 2000;

/// A version that a proxy has.
pub(super) struct Found {
    pub(super) module: ModuleVersion,
    /// Its go.mod as it was served; absent where it could not be looked at.
    pub(super) go_mod: Option<Vec<u8>>,
    base: SafeUrl,
}

/// Asks one proxy for a version, its info and its go.mod. `None` where the proxy is reached, but not by this
/// program: then nothing more can be said.
pub(super) async fn resolve(
    machine: &Machine,
    base: &SafeUrl,
    path: &ModulePath,
    query: &str,
    examined: &mut Examined,
) -> Result<Option<Found>, Failure> {
    let asking = Asking {
        machine,
        base,
        path,
    };
    // `go get` in a module first reads the go.mod of what is required already.
    if let Some(required) = required(machine, path)
        && required.as_str() != query
    {
        let Some(text) = asking.go_mod(&required, examined).await? else {
            return Ok(None);
        };
        if modfile::module_path(text.as_bytes()).is_none() {
            return Err(asking.no_go_mod(&required, &text));
        }
    }
    let version = match Version::parse(query) {
        Ok(version) => version,
        Err(_) => match asking.version(query, examined).await? {
            Some(version) => version,
            None => return Ok(None),
        },
    };
    if asking.info(&version, examined).await?.is_none() {
        return Ok(None);
    }
    let Ok(module) = ModuleVersion::new(path.clone(), version.clone()) else {
        return Ok(None);
    };
    let go_mod = asking.go_mod(&version, examined).await?;
    if let Some(text) = &go_mod {
        asking.judge_go_mod(&version, text, examined)?;
    }
    let go_mod = match go_mod {
        Some(_) => whole(machine, base, &module, FileKind::Mod).await,
        None => None,
    };
    Ok(Some(Found {
        module,
        go_mod,
        base: base.clone(),
    }))
}

/// The version that the main module of this folder requires.
fn required(machine: &Machine, path: &ModulePath) -> Option<Version> {
    let go_mod = environment::go_mod(machine)?;
    let mut required = go_mod.require.into_iter();
    let required = required.find(|required| required.path.as_str() == path.as_str())?;
    Version::parse(required.version.as_str()).ok()
}

struct Asking<'a> {
    machine: &'a Machine,
    base: &'a SafeUrl,
    path: &'a ModulePath,
}

impl Asking<'_> {
    /// The text that the proxy answers for a path below the module.
    async fn text(&self, below: &str, examined: &mut Examined) -> Result<Option<String>, Failure> {
        let url = self
            .base
            .join_path(&format!("{}/{below}", self.path.escape().as_str()));
        let report = self.machine.diagnose(url.expose(), Expects::Data).await;
        let answer = answered(report, &url.to_string(), &self.subject(None), examined);
        answer
            .map(|answer| answer.map(|answer| answer.body))
            .map_err(|mut failure| {
                // Of a page in place of data go says what its reader makes of it.
                if below.ends_with(".info")
                    && let Some(words) = self.words_for_page(examined)
                {
                    failure.words = words;
                }
                failure
            })
    }

    fn words_for_page(&self, examined: &Examined) -> Option<String> {
        let answer = examined.reports.last()?.answer.as_ref()?;
        let is_text = answer.status == 200 && answer.body.trim_start().starts_with('<');
        is_text.then(|| go_words::no_json(self.base_name(), &answer.body))
    }

    fn base_name(&self) -> &str {
        self.base.expose().as_str().trim_end_matches('/')
    }

    /// The newest release of the list, or what `@latest` says; any other query is left to `.info`.
    async fn version(
        &self,
        query: &str,
        examined: &mut Examined,
    ) -> Result<Option<Version>, Failure> {
        if query == "latest" {
            let Some(list) = self.text("@v/list", examined).await? else {
                return Ok(None);
            };
            let mut versions: Vec<Version> = list
                .lines()
                .filter_map(|line| Version::parse(line.split_whitespace().next()?).ok())
                .collect();
            versions.sort();
            let release = versions
                .iter()
                .rev()
                .find(|version| !version.is_prerelease());
            if list.len() < WHOLE_BODY_BYTES
                && let Some(newest) = release.or_else(|| versions.last())
            {
                return Ok(Some(newest.clone()));
            }
        }
        let below = match query {
            "latest" => "@latest".to_owned(),
            query => format!("@v/{query}.info"),
        };
        let Some(text) = self.text(&below, examined).await? else {
            return Ok(None);
        };
        match info_version(&text).and_then(|version| Version::parse(&version).ok()) {
            Some(version) => Ok(Some(version)),
            None => Err(self.bad_info(&text, None)),
        }
    }

    async fn info(
        &self,
        version: &Version,
        examined: &mut Examined,
    ) -> Result<Option<()>, Failure> {
        let below = format!("@v/{}.info", version.escape().as_str());
        let Some(text) = self.text(&below, examined).await? else {
            return Ok(None);
        };
        match info_version(&text) {
            Some(told) if told == version.as_str() => Ok(Some(())),
            None if text.len() >= WHOLE_BODY_BYTES => Ok(Some(())),
            told => {
                let stage = Stage::since(Instant::now(), "module", StageStatus::Failed);
                examined
                    .stages
                    .push(stage.seen(first_of("the info", &text)));
                Err(self.bad_info(&text, told.or_else(|| is_json(&text).then(String::new))))
            }
        }
    }

    /// An info that is none, or one of another version (`told`).
    fn bad_info(&self, text: &str, told: Option<String>) -> Failure {
        let is_page = text.trim_start().starts_with('<');
        let cause = if is_page {
            "captive-portal"
        } else {
            "proxy-bad-body"
        };
        let words = match told {
            Some(told) => {
                format!("proxy returned info for version {told} instead of requested version")
            }
            None => go_words::no_json(self.base_name(), text),
        };
        let evidence = [first_of("in place of an info", text)];
        Failure {
            findings: vec![finding(
                cause,
                Confidence::Certain,
                self.subject(None),
                evidence,
            )],
            words,
            is_absent: false,
        }
    }

    async fn go_mod(
        &self,
        version: &Version,
        examined: &mut Examined,
    ) -> Result<Option<String>, Failure> {
        let below = format!("@v/{}.mod", version.escape().as_str());
        self.text(&below, examined).await.map_err(|mut failure| {
            let answer = examined
                .reports
                .last()
                .and_then(|report| report.answer.as_ref());
            if let Some(answer) = answer.filter(|answer| answer.status == 200)
                && answer.body.trim_start().starts_with('<')
            {
                failure.words = "parsing go.mod: missing module line".into();
            }
            let module = format!("{}@{version}", self.path);
            failure.words = format!("go: {module}: {}", failure.words);
            failure
        })
    }

    fn no_go_mod(&self, version: &Version, text: &str) -> Failure {
        let is_page = text.trim_start().starts_with('<');
        let cause = if is_page {
            "captive-portal"
        } else {
            "proxy-bad-body"
        };
        let evidence = [first_of("in place of a go.mod", text)];
        let words = "parsing go.mod: missing module line";
        Failure {
            findings: vec![finding(
                cause,
                Confidence::Certain,
                self.subject(Some(version)),
                evidence,
            )],
            words: go_words::of_module(self.path.as_str(), version.as_str(), words),
            is_absent: false,
        }
    }

    /// `go mod download` takes any go.mod; `go get` and `go build` refuse one of another module.
    fn judge_go_mod(
        &self,
        version: &Version,
        text: &str,
        examined: &mut Examined,
    ) -> Result<(), Failure> {
        let start = Instant::now();
        match modfile::module_path(text.as_bytes()) {
            Some(declared) if declared == self.path.as_str() => {
                examined.stages.push(
                    Stage::since(start, "module", StageStatus::Passed)
                        .of(self.base.host().unwrap_or_default())
                        .seen(format!(
                            "{} {version} is there; its go.mod is its own",
                            self.path
                        )),
                );
                Ok(())
            }
            Some(declared) => {
                let evidence = format!("its go.mod says `module {declared}`");
                examined.stages.push(
                    Stage::since(start, "module", StageStatus::Warning).seen(evidence.clone()),
                );
                examined.findings.push(finding(
                    "ver-path-mismatch",
                    Confidence::Certain,
                    self.subject(Some(version)),
                    [
                        evidence,
                        "`go mod download` does not look; `go get` and `go build` refuse it".into(),
                    ],
                ));
                Ok(())
            }
            None if text.len() >= WHOLE_BODY_BYTES => Ok(()),
            None => Err(self.no_go_mod(version, text)),
        }
    }

    fn subject(&self, version: Option<&Version>) -> Subject {
        Subject {
            host: self.base.host().map(str::to_owned),
            module: Some(self.path.to_string()),
            version: version.map(ToString::to_string),
            ..Subject::default()
        }
    }
}

/// The `Version` of an info; `None` where it is no JSON or has none.
fn info_version(text: &str) -> Option<String> {
    let info: serde_json::Value = serde_json::from_str(text).ok()?;
    Some(info.get("Version")?.as_str()?.to_owned())
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok()
}

fn first_of(what: &str, text: &str) -> String {
    let first: String = text.trim_start().chars().take(80).collect();
    format!("{what}: {:?}", first.lines().next().unwrap_or_default())
}

/// Fetches the zip and reads it as go does. A zip that this program cannot fetch where go can is passed over.
pub(super) async fn zip(
    machine: &Machine,
    found: &Found,
    examined: &mut Examined,
) -> Result<(), Failure> {
    let start = Instant::now();
    let stage = |status| Stage::since(start, "zip", status);
    let Some(bytes) = whole(machine, &found.base, &found.module, FileKind::Zip).await else {
        let why = "not fetched: this program's own client does not get it where go may";
        examined.stages.push(stage(StageStatus::Skipped).seen(why));
        return Ok(());
    };
    let size = bytes.len() as u64;
    let module = &found.module;
    let subject = Subject {
        host: found.base.host().map(str::to_owned),
        module: Some(module.path().to_string()),
        version: Some(module.version().to_string()),
        ..Subject::default()
    };
    let (words, evidence) = match check_and_hash(bytes.as_slice(), size, module, &Limits::default())
    {
        Ok(report) => {
            examined
                .stages
                .push(stage(StageStatus::Passed).seen(format!(
                    "{} files, {size} bytes, {}",
                    report.files, report.hash.0
                )));
            return recorded(machine, module, &report.hash, examined);
        }
        Err(ZipError::OutsideModule { name, prefix: _ }) => (
            format!("go: zip for {module} has unexpected file {name}"),
            format!("the zip holds {name}"),
        ),
        Err(error) => {
            let begins: String =
                String::from_utf8_lossy(bytes.get(..40).unwrap_or(&bytes)).into_owned();
            (
                match bytes.starts_with(b"PK") {
                    true => format!("zip: {error}"),
                    false => "go: zip: not a valid zip file".into(),
                },
                format!("the file begins with {begins:?}: {error}"),
            )
        }
    };
    examined
        .stages
        .push(stage(StageStatus::Failed).seen(evidence.clone()));
    Err(Failure {
        findings: vec![finding(
            "zip-invalid",
            Confidence::Certain,
            subject,
            [evidence],
        )],
        words,
        is_absent: false,
    })
}

/// Compares with the go.sum of the folder.
fn recorded(
    machine: &Machine,
    module: &ModuleVersion,
    hash: &ZipHash,
    examined: &mut Examined,
) -> Result<(), Failure> {
    let Some(go_sum) = environment::go_sum(machine) else {
        return Ok(());
    };
    let (path, version) = (module.path().as_str(), module.version().as_str());
    let mut lines = go_sum.lines.iter();
    let line =
        lines.find(|line| !line.go_mod && line.module_path == path && line.version == version);
    let Some(line) = line.filter(|line| line.hash != hash.0) else {
        return Ok(());
    };
    let evidence = [
        format!("downloaded: {}", hash.0),
        format!("go.sum: {}", line.hash),
    ];
    examined
        .stages
        .push(Stage::since(Instant::now(), "zip", StageStatus::Failed).seen(evidence.join("; ")));
    let mismatch = go_words::mismatch(&hash.0.to_string(), "go.sum", &line.hash.to_string());
    Err(Failure {
        findings: vec![finding(
            "sum-mismatch-gosum",
            Confidence::Certain,
            Subject::default(),
            evidence,
        )],
        words: format!("verifying {module}: {mismatch}"),
        is_absent: false,
    })
}

/// A file with every byte of it, which the examination of a connection doesn't keep. `None` where Larder's own
/// client does not get it.
pub(super) async fn whole(
    machine: &Machine,
    base: &SafeUrl,
    module: &ModuleVersion,
    kind: FileKind,
) -> Option<Vec<u8>> {
    if machine.has_own_resolvers() {
        return None;
    }
    let upstream = upstream(machine, base)?;
    let mut file = InMemory::default();
    match upstream.fetch(module, kind, &mut file).await {
        Ok(_) => Some(file.bytes),
        // A page in place of the file, which is what go gets to read.
        Err(error)
            if error.kind() == SourceErrorKind::BadAnswer
                && error.0.status.is_none_or(|status| status == 200) =>
        {
            Some(file.bytes)
        }
        Err(_) => None,
    }
}

/// Larder's own client, which asks once and waits little.
fn upstream(machine: &Machine, base: &SafeUrl) -> Option<Upstream> {
    let environment = machine.go_env.environment();
    let roots = TlsRoots::load(&way_out::tls_settings(environment));
    let mut options = UpstreamOptions::new("doctor", roots);
    options.attempts = 1;
    options.stall_timeout = Duration::from_secs(10);
    options.http_proxies = machine.http_proxies().clone();
    options.extra_ca_files = machine.ca_files().to_vec();
    let guard = Arc::new(AddressGuard::new(base.host()));
    Upstream::new(base, guard, options).ok()
}

/// A file in memory.
#[derive(Default)]
struct InMemory {
    bytes: Vec<u8>,
}

#[async_trait]
impl Sink for InMemory {
    async fn begin(&mut self, _: &SourceName, _: Option<u64>) -> Result<(), SinkError> {
        self.bytes.clear();
        Ok(())
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), SinkError> {
        if self.bytes.len() + chunk.len() > LARGEST_ZIP_BYTES {
            return Err(SinkError::Fatal("larger than is looked at".into()));
        }
        self.bytes.extend_from_slice(&chunk);
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
