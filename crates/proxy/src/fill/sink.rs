//! Where a source's bytes go: into staging, to the followers, and before the verifier.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use source::{Sink, SinkError, SourceError, SourceErrorKind, SourceName};
use store::staging::StagingFile;
use store::{FileKey, Staging, StoreError, Verified, VerifyError};
use tokio::sync::watch;

use super::flight::{Arriving, Progress};
use super::verifier::ModuleVerifier;
use super::{RELEASE_STEP_BYTES, RELEASE_WHOLE_BYTES, TAIL_BYTES};
use crate::failure::Failure;

/// When a large file may be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Release {
    /// While it comes, all but its tail.
    AsItComes,
    /// Only when it is verified.
    WhenVerified,
}

pub(super) struct FillSink<'fill> {
    key: &'fill FileKey,
    staging: Arc<Staging>,
    verifier: &'fill ModuleVerifier,
    progress: &'fill watch::Sender<Progress>,
    staged: Option<StagingFile>,
    source: SourceName,
    total_bytes: Option<u64>,
    release: Release,
    released_bytes: u64,
    verified: Option<Arc<Verified>>,
    refusal: Option<Failure>,
}

impl<'fill> FillSink<'fill> {
    pub(super) fn new(
        key: &'fill FileKey,
        staging: Arc<Staging>,
        verifier: &'fill ModuleVerifier,
        progress: &'fill watch::Sender<Progress>,
        release: Release,
    ) -> Self {
        Self {
            key,
            staging,
            verifier,
            progress,
            staged: None,
            source: "".into(),
            total_bytes: None,
            release,
            released_bytes: 0,
            verified: None,
            refusal: None,
        }
    }

    /// The verified file, and the last refusal.
    pub(super) fn into_outcome(self) -> (Option<Arc<Verified>>, Option<Failure>) {
        (self.verified, self.refusal)
    }

    fn has_released(&self) -> bool {
        self.released_bytes > 0
    }

    fn fatal(&mut self, failure: Failure) -> SinkError {
        let text = failure.to_string();
        self.refusal = Some(failure);
        SinkError::Fatal(text)
    }

    fn store_failed(&mut self, error: StoreError) -> SinkError {
        self.fatal(Failure::store(error))
    }

    async fn release(&mut self) -> Result<(), SinkError> {
        let Some(staged) = &mut self.staged else {
            return Ok(());
        };
        if self.release == Release::WhenVerified {
            return Ok(());
        }
        let written = staged.len_bytes();
        let expected = self.total_bytes.map_or(written, |total| total.min(written));
        if self.total_bytes.unwrap_or(written) <= RELEASE_WHOLE_BYTES {
            return Ok(());
        }
        let may_go = expected.saturating_sub(TAIL_BYTES);
        if may_go < self.released_bytes + RELEASE_STEP_BYTES {
            return Ok(());
        }
        if let Err(error) = staged.spill().await {
            return Err(self.store_failed(error));
        }
        // What staging still gathers for its next write can't be read by followers yet.
        let may_go = may_go.min(staged.readable_bytes());
        if may_go < self.released_bytes + RELEASE_STEP_BYTES {
            return Ok(());
        }
        let Some(file) = staged.release(may_go) else {
            return Ok(());
        };
        self.released_bytes = may_go;
        self.progress.send_replace(Progress::Arriving(Arriving {
            file,
            released_bytes: may_go,
            total_bytes: self.total_bytes,
            source: self.source.clone(),
        }));
        Ok(())
    }
}

#[async_trait]
impl Sink for FillSink<'_> {
    async fn begin(
        &mut self,
        source: &SourceName,
        total_bytes: Option<u64>,
    ) -> Result<(), SinkError> {
        if self.has_released() && total_bytes != self.total_bytes {
            let error = SourceError::new(
                SourceErrorKind::BadAnswer,
                "the download broke off, and what came next has another length than clients were promised",
            );
            return Err(self.fatal(Failure::source(error)));
        }
        self.source = source.clone();
        self.total_bytes = total_bytes;
        match &mut self.staged {
            Some(staged) => {
                if let Err(error) = staged.restart() {
                    return Err(self.store_failed(error));
                }
            }
            None => self.staged = Some(self.staging.begin(self.key.clone())),
        }
        Ok(())
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), SinkError> {
        let Some(staged) = &mut self.staged else {
            return Err(SinkError::Fatal("bytes came before their beginning".into()));
        };
        if let Err(error) = staged.write(chunk).await {
            return Err(self.store_failed(error));
        }
        self.release().await
    }

    async fn finish(&mut self) -> Result<(), SinkError> {
        let Some(staged) = self.staged.take() else {
            return Err(SinkError::Fatal("a file ended before its beginning".into()));
        };
        let staged = match staged.finish(self.source.to_string()).await {
            Ok(staged) => staged,
            Err(error) => return Err(self.store_failed(error)),
        };
        match staged.verify(self.verifier).await {
            Ok(verified) => {
                self.verified = Some(Arc::new(verified));
                Ok(())
            }
            Err(refused) => {
                let (_, error) = *refused;
                let another_source_may_help = match &error {
                    VerifyError::Invalid(_)
                    | VerifyError::TooLarge(_)
                    | VerifyError::Mismatch { .. }
                    | VerifyError::DiffersFromFirst { .. } => !self.has_released(),
                    VerifyError::UnknownToDatabase { .. }
                    | VerifyError::DatabaseUnavailable(_)
                    | VerifyError::DatabaseMisbehaves(_)
                    | VerifyError::Io(_) => false,
                };
                let text = error.to_string();
                self.refusal = Some(Failure::Unverified {
                    module: self.key.module.clone(),
                    source_name: self.source.to_string(),
                    error: Arc::new(error),
                });
                if another_source_may_help {
                    tracing::warn!(module = %self.key.module, source = %self.source, reason = %text, "a source's file was refused");
                    Err(SinkError::Rejected(text))
                } else {
                    Err(SinkError::Fatal(text))
                }
            }
        }
    }
}
