//! Answers that may change, kept with their age so that they can be served when upstream is down.
//!
//! Read and written by the fill, whose business freshness is; here nothing expires.

use crate::folder::{Durable, WorkFolder, blocking, create_folders, read_if_there};
use crate::sealed::{seal, unseal};
use crate::{Namespace, StoreError, layout};
use bytes::Bytes;
use gomod::{ModulePath, Revision};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names one answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AnswerKey {
    /// `@v/list`.
    List(Namespace, ModulePath),
    /// `@latest`.
    Latest(Namespace, ModulePath),
    /// The `.info` of a revision name.
    Resolve(Namespace, ModulePath, Revision),
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What upstream said, in canonical form.
    pub body: Bytes,
    /// When it was asked.
    pub fetched_at: jiff::Timestamp,
    /// Who said it.
    pub source: String,
}

/// `DIR/state/answers`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Answers {
    dir: Arc<Path>,
    work: Arc<WorkFolder>,
}

#[derive(Serialize, Deserialize)]
struct About {
    fetched_at: String,
    source: String,
}

impl Answers {
    /// Opens or creates `state/answers` of the cache folder `dir`.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let work = create_folders(&layout::state(dir, "answers", Namespace::Shared))
            .and_then(|()| create_folders(&layout::staging(dir)))
            .and_then(|()| WorkFolder::create(&layout::staging(dir)))
            .map_err(|error| StoreError::unusable(dir, &error))?;
        Ok(Self {
            dir: dir.into(),
            work,
        })
    }

    /// The last answer, however old. A damaged file is no answer.
    pub async fn read(&self, key: &AnswerKey) -> Result<Option<Answer>, StoreError> {
        let (answers, key) = (self.clone(), key.clone());
        blocking(move || answers.read_blocking(&key)).await
    }

    /// The same on the caller's thread.
    pub(crate) fn read_blocking(&self, key: &AnswerKey) -> Result<Option<Answer>, StoreError> {
        let path = self.path(key);
        let Some(sealed) = read_if_there(&path)? else {
            return Ok(None);
        };
        let answer = read_answer(sealed);
        if answer.is_none() {
            tracing::warn!(path = %path.display(), "a kept answer is damaged and not used");
        }
        Ok(answer)
    }

    /// Replaces the answer (atomic; not fsynced: it can be asked again).
    pub async fn write(&self, key: &AnswerKey, answer: &Answer) -> Result<(), StoreError> {
        let (path, answer) = (self.path(key), answer.clone());
        let (dir, work) = (Arc::clone(&self.dir), Arc::clone(&self.work));
        blocking(move || {
            let about = About {
                fetched_at: answer.fetched_at.to_string(),
                source: answer.source,
            };
            let sealed = seal(about, &answer.body)?;
            work.replace(&path, &sealed, Durable::No)
                .map_err(|error| StoreError::Io(error).in_folder(&dir))
        })
        .await
    }

    fn path(&self, key: &AnswerKey) -> PathBuf {
        layout::answer(&self.dir, key)
    }
}

fn read_answer(sealed: Vec<u8>) -> Option<Answer> {
    let (about, body_from) = unseal::<About>(&sealed)?;
    Some(Answer {
        fetched_at: about.fetched_at.parse().ok()?,
        source: about.source,
        body: Bytes::from(sealed).slice(body_from..),
    })
}

#[cfg(test)]
mod tests;
