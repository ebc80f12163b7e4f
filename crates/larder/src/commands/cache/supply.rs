//! Bringing many files, a bounded number at a time: into the store here, or through a server that runs.
//!
//! Into the store they go as a request's files do: gate, flight, verification, commit. There is no other way in.

use super::named;
use super::progress::Progress;
use crate::settings::complaint::Complaint;
use crate::settings::config::Config;
use crate::wiring;
use async_trait::async_trait;
use bytes::Bytes;
use gomod::zip::{Limits, ReadAt, check_and_hash};
use gomod::{FileKind, GoModHash, H1, ModuleVersion, SafeUrl};
use proxy::Server;
use source::{Sink, SinkError, Source, SourceName};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use store::Body;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Files that are brought at once.
pub(super) const AT_ONCE: usize = 32;
/// go.mod files are handed back up to this size, as upstreams are asked for no larger ones.
const GO_MOD_BYTES: u64 = 16 << 20;

/// Who brings files.
#[derive(Clone)]
pub(super) enum Supplier {
    /// Into the store of this machine.
    Store(Arc<Server>),
    /// Through a server, whose store keeps them.
    Server(Arc<dyn Source>),
}

/// One file to bring.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Wanted {
    pub(super) module: ModuleVersion,
    pub(super) kind: FileKind,
}

/// A file that was brought.
pub(super) struct Got {
    pub(super) bytes: u64,
    /// Whether it was stored already; nobody says so of a server.
    pub(super) was_there: bool,
    /// Of zips and go.mod files.
    pub(super) hash: Option<H1>,
    /// Of go.mod files.
    pub(super) go_mod: Option<Bytes>,
}

impl Supplier {
    /// The store of the settings, over the upstreams of the settings.
    pub(super) async fn store(config: &Config) -> Result<Self, Complaint> {
        let built = wiring::server(config).await?;
        Ok(Self::Store(Arc::new(built.server)))
    }

    /// The server at `url`.
    pub(super) fn server(config: &Config, url: &SafeUrl) -> Result<Self, Complaint> {
        Ok(Self::Server(wiring::one_upstream(config, url)?))
    }

    /// Brings one file.
    pub(super) async fn bring(&self, wanted: &Wanted) -> Result<Got, String> {
        let Wanted { module, kind } = wanted;
        match self {
            Self::Store(server) => {
                let brought = server.bring_in(module.clone(), *kind).await;
                let brought = brought.map_err(|failure| failure.to_string())?;
                let go_mod = match kind {
                    FileKind::Mod => Some(whole(brought.opened.body, brought.opened.len_bytes)?),
                    FileKind::Info | FileKind::Zip => None,
                };
                Ok(Got {
                    bytes: brought.opened.len_bytes,
                    was_there: brought.was_there,
                    hash: brought.hash,
                    go_mod,
                })
            }
            Self::Server(source) => {
                let mut sink = Taken::default();
                let fetched = source.fetch(module, *kind, &mut sink).await;
                fetched.map_err(|error| error.to_string())?;
                sink.judge(wanted).await
            }
        }
    }

    /// Brings all of them and hands each outcome to `each`, in no order.
    pub(super) async fn bring_all(
        &self,
        all: impl IntoIterator<Item = Wanted>,
        progress: &Progress,
        mut each: impl FnMut(Wanted, Result<Got, String>),
    ) {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let mut running = JoinSet::new();
        let mut take = |(wanted, got): (Wanted, Result<Got, String>)| {
            progress.add_file();
            if let Ok(got) = &got {
                progress.add_bytes(got.bytes);
            }
            each(wanted, got);
        };
        for wanted in all {
            while let Some(done) = running.try_join_next() {
                done.into_iter().for_each(&mut take);
            }
            let Ok(turn) = turns.clone().acquire_owned().await else {
                return;
            };
            let supplier = self.clone();
            running.spawn(async move {
                let got = supplier.bring(&wanted).await;
                drop(turn);
                (wanted, got)
            });
        }
        while let Some(done) = running.join_next().await {
            done.into_iter().for_each(&mut take);
        }
    }

    /// Waits until everything is stored, what came along with other files included.
    pub(super) async fn settled(&self) {
        if let Self::Store(server) = self {
            server.settled().await;
        }
    }
}

fn whole(body: Body, len_bytes: u64) -> Result<Bytes, String> {
    match body {
        Body::Bytes(bytes) => Ok(bytes),
        Body::File(_) if len_bytes > GO_MOD_BYTES => Err("its go.mod file is too large".to_owned()),
        Body::File(file) => {
            let len = usize::try_from(len_bytes).map_err(|error| error.to_string())?;
            let mut bytes = vec![0; len];
            file.read_exact_at(&mut bytes, 0)
                .map_err(|error| error.to_string())?;
            Ok(bytes.into())
        }
    }
}

/// What a server sent: small files in memory, zips in a temporary file.
#[derive(Default)]
struct Taken {
    file: Option<File>,
    bytes: u64,
}

#[async_trait]
impl Sink for Taken {
    async fn begin(&mut self, _: &SourceName, _: Option<u64>) -> Result<(), SinkError> {
        self.bytes = 0;
        self.file =
            Some(tempfile::tempfile().map_err(|error| SinkError::Fatal(error.to_string()))?);
        Ok(())
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), SinkError> {
        let Some(mut file) = self.file.as_ref() else {
            return Err(SinkError::Fatal("bytes came before their beginning".into()));
        };
        self.bytes += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        file.write_all(&chunk)
            .map_err(|error| SinkError::Fatal(error.to_string()))
    }

    async fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

impl Taken {
    /// Its hash and, of a go.mod file, its content.
    async fn judge(self, wanted: &Wanted) -> Result<Got, String> {
        let file = self.file.ok_or("nothing was sent")?;
        let wanted = wanted.clone();
        let judged = tokio::task::spawn_blocking(move || {
            let (hash, go_mod) = match wanted.kind {
                FileKind::Info => (None, None),
                FileKind::Mod => {
                    let bytes = whole(Body::File(Arc::new(file)), self.bytes)?;
                    (Some(GoModHash::of(&bytes).0), Some(bytes))
                }
                FileKind::Zip => {
                    let limits = Limits::default();
                    let report = check_and_hash(&FileAt(file), self.bytes, &wanted.module, &limits);
                    let report = report.map_err(|error| {
                        format!("{}: {error}", named(&wanted.module, wanted.kind))
                    })?;
                    (Some(report.hash.0), None)
                }
            };
            Ok(Got {
                bytes: self.bytes,
                was_there: false,
                hash,
                go_mod,
            })
        });
        judged.await.map_err(|error| error.to_string())?
    }
}

/// An open file as gomod reads archives.
struct FileAt(File);

impl ReadAt for FileAt {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
}
