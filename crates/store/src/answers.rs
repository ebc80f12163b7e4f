//! Answers that may change, kept with their age so that they can be served when upstream is down.
use crate::{Namespace, StoreError};
use bytes::Bytes;
use gomod::{ModulePath, Revision};

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

/// `DIR/state/answers`.
#[derive(Debug)]
pub struct Answers {}

impl Answers {
    /// Opens or creates the folder.
    pub fn open(dir: &std::path::Path) -> Result<Self, StoreError> {
        let _ = dir;
        todo!()
    }
    /// The last answer, however old. A damaged file is no answer.
    pub async fn read(&self, key: &AnswerKey) -> Result<Option<Answer>, StoreError> {
        let _ = key;
        todo!()
    }
    /// Replaces the answer (atomic; not fsynced: it can be asked again).
    pub async fn write(&self, key: &AnswerKey, answer: &Answer) -> Result<(), StoreError> {
        let _ = (key, answer);
        todo!()
    }
}
