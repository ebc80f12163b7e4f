//! Go's words for what breaks a module rule (`module.ModuleError` around `module.InvalidVersionError`).

use gomod::ModulePath;

use crate::{SourceError, SourceErrorKind};

/// Proven absence.
pub(super) fn absent(text: impl Into<String>) -> SourceError {
    SourceError::new(SourceErrorKind::NotExist, text)
}

/// `PATH@VERSION: invalid version: REASON`.
pub(super) fn invalid_version(
    module_path: &ModulePath,
    version: &str,
    reason: impl std::fmt::Display,
) -> SourceError {
    absent(format!(
        "{module_path}@{version}: invalid version: {reason}"
    ))
}

/// `PATH@VERSION: invalid pseudo-version: REASON`.
pub(super) fn invalid_pseudo_version(
    module_path: &ModulePath,
    version: &str,
    reason: impl std::fmt::Display,
) -> SourceError {
    absent(format!(
        "{module_path}@{version}: invalid pseudo-version: {reason}"
    ))
}
