//! go.mod files with positions (golang.org/x/mod/modfile).
//!
//! Three readers, as in Go: [`ModFile::parse`] strictly for a file that somebody is working on, in
//! lax mode for the file of a dependency, and [`module_path()`] where only the name is wanted and
//! the rest may be broken. Nothing here edits or formats a file, except for [`synthesise`], which
//! makes the one that a module without go.mod is given. Required and replaced versions are made
//! canonical and never resolved: a branch name in a `require` is an error, as it is for every
//! go.mod file that has been published.
mod directive;
mod syntax;

use crate::{ModulePath, Version, quote, semver};

/// The most faults that are told about one file.
const MAX_ERRORS: usize = 100;

/// How much of a file must be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Go's `modfile.Parse`: what is unknown is an error.
    Strict,
    /// Go's `modfile.ParseLax`, for dependencies: only `module`, `go`, `require`, `retract` and
    /// `ignore` are read, and retractions in an unknown form are passed over.
    Lax,
}

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1. Go counts runes here.
    pub column: usize,
    /// Bytes before it in the file.
    pub byte: usize,
}

/// One fault of a go.mod file. Displayed as Go does: `go.mod:LINE: what`, with the column unless it
/// is 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {text}", go_mod_place(.position))]
pub struct ModFileError {
    /// Where: the beginning of the directive, or where reading stopped.
    pub position: Position,
    /// What is wrong, in Go's words.
    pub text: String,
}

fn go_mod_place(position: &Position) -> String {
    match position.column {
        1 => format!("go.mod:{}", position.line),
        column => format!("go.mod:{}:{column}", position.line),
    }
}

/// All faults of a go.mod file, in the order of the file; at least one and at most 100. Displayed
/// one on a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ModFileErrors(pub Vec<ModFileError>);

/// A go.mod file. Lists are in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModFile {
    /// The `module` directive.
    pub module: Option<Module>,
    /// The `go` directive.
    pub go: Option<GoDirective>,
    /// The `toolchain` directive.
    pub toolchain: Option<Toolchain>,
    /// The `godebug` directives.
    pub godebug: Vec<Godebug>,
    /// The `require` directives.
    pub require: Vec<Require>,
    /// The `exclude` directives.
    pub exclude: Vec<Exclude>,
    /// The `replace` directives.
    pub replace: Vec<Replace>,
    /// The `retract` directives.
    pub retract: Vec<Retract>,
    /// The `tool` directives.
    pub tool: Vec<Tool>,
    /// The `ignore` directives.
    pub ignore: Vec<Ignore>,
}

/// `module PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The path as written: Go does not check it here either.
    pub path: String,
    /// The text of a `// Deprecated:` paragraph in its comment.
    pub deprecated: Option<String>,
    /// Where the directive begins.
    pub position: Position,
}

/// `go VERSION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoDirective {
    /// `1.21`, `1.23.4`, `1.22rc2`.
    pub version: String,
    /// Where the directive begins.
    pub position: Position,
}

/// `toolchain NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// `go1.23.4` or `default`.
    pub name: String,
    /// Where the directive begins.
    pub position: Position,
}

/// `godebug KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Godebug {
    /// Before the `=`.
    pub key: String,
    /// After the `=`.
    pub value: String,
    /// Where the directive begins.
    pub position: Position,
}

/// `require PATH VERSION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Require {
    /// The module path as written.
    pub path: String,
    /// The version, made canonical; its major fits the path.
    pub version: Version,
    /// True with an `// indirect` comment.
    pub indirect: bool,
    /// Where the directive begins.
    pub position: Position,
}

/// `exclude PATH VERSION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exclude {
    /// The module path as written.
    pub path: String,
    /// The version, made canonical; its major fits the path.
    pub version: Version,
    /// Where the directive begins.
    pub position: Position,
}

/// `replace PATH [VERSION] => …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replace {
    /// The path that is replaced.
    pub path: String,
    /// The one version that is replaced, or all.
    pub version: Option<Version>,
    /// What takes its place.
    pub replacement: Replacement,
    /// Where the directive begins.
    pub position: Position,
}

/// What takes the place of a replaced module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// Another module.
    Module {
        /// Its path as written.
        path: String,
        /// Its version, made canonical.
        version: Version,
    },
    /// A folder.
    Directory(String),
}

/// `retract VERSION` or `retract [LOW, HIGH]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retract {
    /// The lowest version that is retracted, as written: Go checks it only in the main module.
    pub low: String,
    /// The highest; the same for a single version.
    pub high: String,
    /// The directive's comment; may be empty.
    pub rationale: String,
    /// Where the directive begins.
    pub position: Position,
}

/// `tool PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// The package path.
    pub path: String,
    /// Where the directive begins.
    pub position: Position,
}

/// `ignore PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignore {
    /// The folder.
    pub path: String,
    /// Where the directive begins.
    pub position: Position,
}

impl ModFile {
    /// Reads a go.mod file. Bytes that are not UTF-8 are read as U+FFFD. Memory grows with the
    /// file, so bound it before: Go takes at most 16 MiB.
    pub fn parse(bytes: &[u8], mode: Mode) -> Result<Self, ModFileErrors> {
        let text = String::from_utf8_lossy(bytes);
        let mut reading = directive::Reading::new(mode);
        // As in Go, a syntax error is told alone: what was understood before it may have been
        // misread.
        syntax::read(&text, &mut reading).map_err(|error| ModFileErrors(vec![error]))?;
        reading.finish()
    }

    /// The path of the `module` directive, as written.
    pub fn module_path(&self) -> Option<&str> {
        self.module.as_ref().map(|module| module.path.as_str())
    }

    /// The version of the `go` directive: `1.21`.
    pub fn go_version(&self) -> Option<&str> {
        self.go.as_ref().map(|go| go.version.as_str())
    }

    /// The text of the `// Deprecated:` comment, if the module is deprecated.
    pub fn deprecated(&self) -> Option<&str> {
        self.module.as_ref()?.deprecated.as_deref()
    }

    /// Why a version is retracted, if it is: the first rationale that says something, or an empty
    /// one. Compared by precedence, as cmd/go's `modload.CheckRetractions` does.
    pub fn retracts(&self, version: &Version) -> Option<&str> {
        let is_within = |retract: &&Retract| {
            semver::compare(&retract.low, version.as_str()).is_le()
                && semver::compare(version.as_str(), &retract.high).is_le()
        };
        let mut rationales = self
            .retract
            .iter()
            .filter(is_within)
            .map(|retract| retract.rationale.as_str());
        let first = rationales.next()?;
        Some(match first {
            "" => rationales.find(|text| !text.is_empty()).unwrap_or(first),
            _ => first,
        })
    }
}

/// Go's `modfile.ModulePath`: the path of the first line that begins with `module`, whatever else
/// is wrong with the file. `None` where Go says "is missing module path".
pub fn module_path(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let path = text.split('\n').find_map(|line| {
        let line = line.split("//").next().unwrap_or_default().trim();
        let rest = line.strip_prefix("module")?;
        let path = rest.trim_start();
        (path.len() < rest.len() && !path.is_empty()).then_some(path)
    })?;
    if path.starts_with(['"', '`']) {
        return quote::unquote(path).filter(|path| !path.is_empty());
    }
    Some(path.to_owned())
}

/// The go.mod file of a module that has none (rule 29): `module PATH\n` and nothing else, the path
/// quoted if need be.
pub fn synthesise(module_path: &ModulePath) -> String {
    format!("module {}\n", auto_quote(module_path.as_str()))
}

/// Go's `modfile.AutoQuote`.
fn auto_quote(text: &str) -> String {
    let must_quote = |rune| match rune {
        ' ' | '"' | '\'' | '`' => true,
        '(' | ')' | '[' | ']' | '{' | '}' | ',' => text.len() > 1,
        _ => !crate::unicode::is_printable(rune),
    };
    if text.is_empty() || text.contains("//") || text.contains("/*") || text.chars().any(must_quote)
    {
        return quote::quote(text);
    }
    text.to_owned()
}

#[cfg(test)]
mod tests;
