//! The names of everything in the cache folder: one function renders each key.
//!
//! Module paths and versions are typed and escaped, so that no name can leave the folder and none
//! differ in case only. `@v` and its like cannot be elements of a module path, so a module's own
//! files never meet those of a module whose path is longer.

use crate::answers::AnswerKey;
use crate::{FileKey, Namespace};
use gomod::{ModulePath, ModuleVersion, Sha256};
use std::path::{Path, PathBuf};

/// `DIR/staging`.
pub(crate) fn staging(dir: &Path) -> PathBuf {
    dir.join("staging")
}

/// The static GOPROXY of a namespace.
pub(crate) fn download(dir: &Path, namespace: Namespace) -> PathBuf {
    match namespace {
        Namespace::Shared => dir.join("download"),
    }
}

/// The namespace's part of `DIR/state/KIND`.
pub(crate) fn state(dir: &Path, kind: &str, namespace: Namespace) -> PathBuf {
    let state = dir.join("state").join(kind);
    match namespace {
        Namespace::Shared => state.join("shared"),
    }
}

/// `ESCAPED_PATH/@v` of the static GOPROXY.
pub(crate) fn versions(dir: &Path, namespace: Namespace, module_path: &ModulePath) -> PathBuf {
    download(dir, namespace)
        .join(module_path.escape().as_str())
        .join("@v")
}

/// A module file.
pub(crate) fn file(dir: &Path, key: &FileKey) -> PathBuf {
    let name = format!(
        "{}.{}",
        key.module.version().escape().as_str(),
        key.kind.extension()
    );
    versions(dir, key.namespace, key.module.path()).join(name)
}

/// The record of a version.
pub(crate) fn record(dir: &Path, namespace: Namespace, module: &ModuleVersion) -> PathBuf {
    state(dir, "records", namespace)
        .join(module.path().escape().as_str())
        .join("@v")
        .join(format!("{}.json", module.version().escape().as_str()))
}

/// The journals of a namespace.
pub(crate) fn journals(dir: &Path, namespace: Namespace) -> PathBuf {
    state(dir, "journal", namespace)
}

/// When files were last asked for.
pub(crate) fn last_use(dir: &Path) -> PathBuf {
    dir.join("state").join("last-use")
}

/// `DIR/state/locks`.
pub(crate) fn locks(dir: &Path) -> PathBuf {
    dir.join("state").join("locks")
}

/// `DIR/state/pins`.
pub(crate) fn pins(dir: &Path) -> PathBuf {
    dir.join("state").join("pins")
}

/// `DIR/state/quarantine`.
pub(crate) fn quarantine(dir: &Path) -> PathBuf {
    dir.join("state").join("quarantine")
}

/// Where the scrub is: `DIR/state/scrub`.
pub(crate) fn scrub(dir: &Path) -> PathBuf {
    dir.join("state").join("scrub")
}

/// The first-seen times of a module.
pub(crate) fn seen(dir: &Path, namespace: Namespace, module_path: &ModulePath) -> PathBuf {
    state(dir, "seen", namespace)
        .join(module_path.escape().as_str())
        .join("@seen")
}

/// An answer that may change.
pub(crate) fn answer(dir: &Path, key: &AnswerKey) -> PathBuf {
    let (namespace, module_path, name) = match key {
        AnswerKey::List(namespace, module_path) => (namespace, module_path, "list.answer".into()),
        AnswerKey::Latest(namespace, module_path) => {
            (namespace, module_path, "latest.answer".into())
        }
        AnswerKey::Resolve(namespace, module_path, revision) => {
            let escaped = revision.escape();
            // A branch may have a name that is too long for a file; `!!` begins no escaped name.
            let name = if escaped.as_str().len() <= 200 {
                escaped.as_str().to_owned()
            } else {
                format!("!!{}", Sha256::of(escaped.as_str().as_bytes()))
            };
            (namespace, module_path, format!("{name}.info.answer"))
        }
    };
    state(dir, "answers", *namespace)
        .join(module_path.escape().as_str())
        .join("@v")
        .join(name)
}
