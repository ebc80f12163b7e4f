//! Canonical versions, revision names, and the pair of path and version (rules 4 to 7).

use std::cmp::Ordering;
use std::sync::Arc;

use crate::{EscapedVersion, ModulePath, ParseError, PseudoVersion, escape, path, semver};

/// A canonical version: full semver with a leading `v`, no build metadata but `+incompatible`.
/// Ordered by semver precedence, ties by text (rule 6). Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version(Arc<str>);

impl Version {
    /// Reads a canonical version; anything else is an error (`version X is not canonical`).
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if is_canonical(text) {
            return Ok(Self(text.into()));
        }
        Err(not_canonical(text))
    }

    /// Wraps a version that is known to be canonical.
    pub(crate) fn from_checked(text: Arc<str>) -> Self {
        debug_assert!(is_canonical(&text), "{text:?}");
        Self(text)
    }

    /// The version as users write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The version as URLs and file names hold it. Allocates only if it has upper-case letters.
    pub fn escape(&self) -> EscapedVersion {
        EscapedVersion(escape::escape_shared(&self.0))
    }

    /// The same name as a revision.
    pub fn to_revision(&self) -> Revision {
        Revision(Arc::clone(&self.0))
    }

    /// `v2` of `v2.3.4`.
    pub fn major(&self) -> &str {
        semver::major(&self.0)
    }

    /// True for a version with a pre-release part, pseudo-versions included.
    pub fn is_prerelease(&self) -> bool {
        !semver::prerelease(&self.0).is_empty()
    }

    /// True for a version that ends in `+incompatible`.
    pub fn is_incompatible(&self) -> bool {
        self.0.ends_with(INCOMPATIBLE)
    }

    /// True for a pseudo-version (Go's `module.IsPseudoVersion`).
    pub fn is_pseudo(&self) -> bool {
        crate::pseudo::is_pseudo_version(&self.0)
    }

    /// The parts of a pseudo-version.
    pub fn pseudo(&self) -> Option<PseudoVersion> {
        PseudoVersion::of(self)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        semver::compare(&self.0, &other.0).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that may be asked of `@v/NAME.info`: branch, tag, commit, or a version (rule 4: one valid
/// file element without `!`, so no slash). Never interpreted here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision(Arc<str>);

impl Revision {
    /// Reads a revision name. Only ASCII: nothing else can be asked for through a proxy (rule 3).
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        match check_revision(text) {
            Ok(()) => Ok(Self(text.into())),
            Err(reason) => Err(ParseError::new("version", text, reason)),
        }
    }

    /// The name as users write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as URLs hold it. Allocates only if it has upper-case letters.
    pub fn escape(&self) -> EscapedVersion {
        EscapedVersion(escape::escape_shared(&self.0))
    }

    /// Wraps a name that is known to be valid.
    pub(crate) fn from_checked(text: Arc<str>) -> Self {
        debug_assert_eq!(check_revision(&text), Ok(()));
        Self(text)
    }
}

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A module path with a canonical version whose major fits the path (Go's `module.CheckPathMajor`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleVersion {
    path: ModulePath,
    version: Version,
}

impl ModuleVersion {
    /// Pairs the two, or says why the version cannot belong to the path.
    ///
    /// Stricter than Go's function in one point, as the go command itself is when it resolves
    /// versions: `+incompatible` needs a path without major suffix and a major of at least 2.
    pub fn new(path: ModulePath, version: Version) -> Result<Self, ParseError> {
        let (_, path_major) = path.split_major();
        let checked = check_path_major(&version.0, path_major)
            .and_then(|()| check_incompatible(&version, path_major));
        if let Err(reason) = checked {
            let text = format!("{path}@{version}");
            return Err(ParseError::new("module version", &text, reason));
        }
        Ok(Self { path, version })
    }

    /// The module path.
    pub fn path(&self) -> &ModulePath {
        &self.path
    }

    /// The version.
    pub fn version(&self) -> &Version {
        &self.version
    }
}

impl std::fmt::Display for ModuleVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.path, self.version)
    }
}

/// Which of the three files of a module version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileKind {
    /// `VERSION.info`: JSON with the version and its time.
    Info,
    /// `VERSION.mod`: the go.mod file.
    Mod,
    /// `VERSION.zip`: the module's files.
    Zip,
}

impl FileKind {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Info, Self::Mod, Self::Zip];

    /// `info`, `mod` or `zip`.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Mod => "mod",
            Self::Zip => "zip",
        }
    }

    /// The kind that has this extension.
    pub fn from_extension(extension: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.extension() == extension)
    }
}

const INCOMPATIBLE: &str = "+incompatible";

/// True if Go's `module.CanonicalVersion` leaves the text as it is.
pub(crate) fn is_canonical(text: &str) -> bool {
    semver::Parts::of(text).is_some_and(|parts| {
        parts.missing.is_empty() && (parts.build.is_empty() || parts.build == INCOMPATIBLE)
    })
}

pub(crate) fn not_canonical(text: &str) -> ParseError {
    let error = ParseError::new("version", text, "");
    let reason = format!("version {} is not canonical", error.text);
    ParseError { reason, ..error }
}

/// What Go's `module.EscapeVersion` takes: one valid file-name element of ASCII without `!`.
pub(crate) fn check_revision(text: &str) -> Result<(), String> {
    let is_allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || b"#$%&()+,-.=@[]^_{}~ ".contains(&byte);
    path::check_dots(text)
        .and_then(|()| path::check_bytes(text, is_allowed))
        .and_then(|()| path::check_reserved_on_windows(text))
        .map_err(|reason| format!("disallowed version string: {reason}"))
}

/// Go's `module.CheckPathMajor`.
pub(crate) fn check_path_major(version: &str, path_major: &str) -> Result<(), String> {
    let path_major = match path_major.strip_suffix("-unstable") {
        Some(stable) if path_major.starts_with(".v") => stable,
        _ => path_major,
    };
    // The go command once made such pseudo-versions by mistake, and go.mod files still name them.
    if path_major == ".v1" && version.starts_with("v0.0.0-") {
        return Ok(());
    }
    let major = semver::major(version);
    let wanted = match path_major.strip_prefix(['/', '.']) {
        Some(wanted) if wanted == major => return Ok(()),
        Some(wanted) => wanted,
        None if matches!(major, "v0" | "v1") || semver::build(version) == INCOMPATIBLE => {
            return Ok(());
        }
        None => "v0 or v1",
    };
    Err(format!("should be {wanted}, not {major}"))
}

/// The go command's own rules for `+incompatible` (rule 21), as far as the names alone tell.
fn check_incompatible(version: &Version, path_major: &str) -> Result<(), String> {
    if !version.is_incompatible() {
        return Ok(());
    }
    if !path_major.is_empty() {
        return Err("+incompatible suffix not allowed: module path includes a major version suffix, so major version must match".into());
    }
    match version.major() {
        major @ ("v0" | "v1") => Err(format!(
            "+incompatible suffix not allowed: major version {major} is compatible"
        )),
        _ => Ok(()),
    }
}
