//! The walk where a module comes straight from its repository: discovery, git and the module rules of the server
//! itself, with a clock on each question and each git process.

use super::walk::Failed;
use crate::commands::settings;
use crate::settings::environment::Environment;
use crate::settings::written::Purpose;
use crate::wiring;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use gomod::{FileKind, ModulePath, ModuleVersion, Query, Version};
use parking_lot::Mutex;
use serde::Serialize;
use source::{
    GitObserver, ProcessKind, Sink, SinkError, Source, SourceError, SourceErrorKind, SourceName,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// One question to a repository.
#[derive(Clone, Debug, Serialize)]
pub(super) struct DirectStep {
    /// `list`, `info`, `mod`, `zip`, `latest`.
    pub(super) what: &'static str,
    /// Where the answer came from; empty where there was none.
    pub(super) repository: String,
    pub(super) ms: f64,
    pub(super) bytes: usize,
    /// The git processes that it took, in the order of their end.
    pub(super) processes: Vec<Process>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// One git process.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Process {
    pub(super) kind: &'static str,
    pub(super) ms: f64,
    pub(super) succeeded: bool,
}

/// Takes note of git's processes.
#[derive(Default)]
struct Watch(Mutex<Vec<Process>>);

impl GitObserver for Watch {
    fn process_finished(
        &self,
        kind: ProcessKind,
        outcome: Result<(), SourceErrorKind>,
        elapsed: Duration,
    ) {
        self.0.lock().push(Process {
            kind: kind.name(),
            ms: elapsed.as_secs_f64() * 1000.0,
            succeeded: outcome.is_ok(),
        });
    }
}

/// A module straight from its repository.
pub(super) struct DirectWalk {
    source: Arc<dyn Source>,
    watch: Arc<Watch>,
    /// Where git keeps what it learns meanwhile. Removed when dropped.
    _folder: tempfile::TempDir,
}

impl DirectWalk {
    /// The way to repositories of this environment; or why there is none.
    pub(super) async fn new(environment: &Environment) -> Result<Self, String> {
        // Upstreams are not asked, so that they need not be set.
        let flags = [("offline", "true".to_owned())];
        let resolved = settings(&flags, environment, Purpose::Serve).map_err(|complaints| {
            let texts: Vec<String> = complaints
                .into_iter()
                .map(|complaint| complaint.text)
                .collect();
            texts.join("; ")
        })?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let watch = Arc::new(Watch::default());
        let source = wiring::direct_source(&resolved.config, folder.path(), watch.clone())
            .await
            .map_err(|complaint| complaint.text)?;
        Ok(Self {
            source,
            watch,
            _folder: folder,
        })
    }

    /// The version that the query means.
    pub(super) async fn choose(
        &self,
        module_path: &ModulePath,
        query: &Query,
        steps: &mut Vec<DirectStep>,
    ) -> Result<Version, Failed> {
        let revision = match query {
            Query::Exact(version) => Some(version.to_revision()),
            Query::Revision(revision) => Some(revision.clone()),
            Query::Latest => None,
            query => {
                let began = Instant::now();
                let listed = self.source.list(module_path).await;
                let noted = listed
                    .as_ref()
                    .map(|listing| (listing.source.clone(), listing.versions.len()));
                steps.push(self.step("list", began, noted));
                let listing = listed.map_err(|error| failed(&error))?;
                return query
                    .select(&listing.versions, |_| true)
                    .cloned()
                    .ok_or_else(|| Failed::Absent("no matching versions for query".into()));
            }
        };
        let began = Instant::now();
        let (what, resolved) = match &revision {
            Some(revision) => ("info", self.source.resolve(module_path, revision).await),
            None => ("latest", self.source.latest(module_path).await),
        };
        let noted = resolved
            .as_ref()
            .map(|resolved| (resolved.source.clone(), resolved.body.len()));
        steps.push(self.step(what, began, noted));
        resolved
            .map(|resolved| resolved.info.version)
            .map_err(|error| failed(&error))
    }

    /// One file, whole.
    pub(super) async fn file(
        &self,
        module: &ModuleVersion,
        kind: FileKind,
        limit_bytes: usize,
        steps: &mut Vec<DirectStep>,
    ) -> Result<Bytes, Failed> {
        let began = Instant::now();
        let mut sink = Whole {
            bytes: BytesMut::new(),
            limit_bytes,
        };
        let fetched = self.source.fetch(module, kind, &mut sink).await;
        let bytes = sink.bytes.freeze();
        let noted = fetched
            .as_ref()
            .map(|fetched| (fetched.source.clone(), bytes.len()));
        steps.push(self.step(kind.extension(), began, noted));
        fetched.map(|_| bytes).map_err(|error| failed(&error))
    }

    fn step(
        &self,
        what: &'static str,
        began: Instant,
        noted: Result<(SourceName, usize), &SourceError>,
    ) -> DirectStep {
        let error = noted.as_ref().err().map(|error| words(error));
        let (repository, bytes) = noted.unwrap_or_else(|_| ("".into(), 0));
        DirectStep {
            what,
            repository: repository.to_string(),
            ms: began.elapsed().as_secs_f64() * 1000.0,
            bytes,
            processes: std::mem::take(&mut *self.watch.0.lock()),
            error,
        }
    }
}

fn failed(error: &SourceError) -> Failed {
    match error.is_absence() {
        true => Failed::Absent(words(error)),
        false => Failed::Broken(words(error)),
    }
}

/// The failure with what git or the host wrote, on one line.
fn words(error: &SourceError) -> String {
    let failure = &error.0;
    let said = failure.upstream_text.iter().flat_map(|text| text.lines());
    let all = std::iter::once(failure.text.as_str()).chain(said);
    let notes = failure.notes.iter().map(String::as_str);
    all.chain(notes).collect::<Vec<_>>().join("; ")
}

/// Keeps a file in memory.
struct Whole {
    bytes: BytesMut,
    limit_bytes: usize,
}

#[async_trait]
impl Sink for Whole {
    async fn begin(&mut self, _: &SourceName, _: Option<u64>) -> Result<(), SinkError> {
        self.bytes.clear();
        Ok(())
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), SinkError> {
        if self.bytes.len() + chunk.len() > self.limit_bytes {
            let limit = self.limit_bytes;
            return Err(SinkError::Fatal(format!(
                "the file is longer than {limit} bytes, which are not walked through here"
            )));
        }
        self.bytes.extend_from_slice(&chunk);
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
