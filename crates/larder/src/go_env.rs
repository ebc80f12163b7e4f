//! What the user's go command would use: GOPROXY and its relatives, found without running go.
//!
//! The order is that of cmd/go's `cfg.Getenv`: the environment; the file that `go env -w` writes;
//! the `go.env` of the Go installation. A variable that is empty counts as not set, but one that is
//! empty in the user's file hides the installation's. Nothing is compiled in: where go is not
//! installed and nothing is set, there is no value.

pub(crate) mod effective;
pub(crate) mod lint;
pub(crate) mod user_file;

use crate::settings::environment::Environment;
use crate::settings::origin::GoEnvPlace;
use std::path::{Path, PathBuf};

/// Go's variables, as they were when this was read.
#[derive(Debug)]
pub(crate) struct GoEnv {
    environment: Environment,
    user_file: Option<EnvFile>,
    installation_file: Option<EnvFile>,
}

impl GoEnv {
    /// Reads the files. One that is missing or unreadable counts as empty, as it does for go.
    pub(crate) fn read(environment: &Environment) -> Self {
        let user_file = user_file(environment).and_then(EnvFile::read);
        let goroot = environment.path("GOROOT").or_else(|| {
            let (root, _line) = user_file.as_ref()?.last("GOROOT")?;
            (!root.is_empty()).then(|| PathBuf::from(root))
        });
        let installation_file = match goroot {
            Some(root) => EnvFile::read(root.join("go.env")),
            None => installation_in_path(environment),
        };
        Self {
            environment: environment.clone(),
            user_file,
            installation_file,
        }
    }

    /// The user's file, then the installation's.
    fn files(&self) -> impl Iterator<Item = &EnvFile> {
        self.user_file.iter().chain(&self.installation_file)
    }

    /// Every value that is written for a variable, the one that counts first; empty ones of files included.
    pub(crate) fn every_place(&self, variable: &str) -> Vec<(String, GoEnvPlace)> {
        let exported = self
            .environment
            .text(variable)
            .map(|value| (value, GoEnvPlace::Environment));
        let written = self.files().filter_map(|file| {
            let (value, line) = file.last(variable)?;
            let path = file.path.clone();
            Some((value.to_owned(), GoEnvPlace::File { path, line }))
        });
        exported.into_iter().chain(written).collect()
    }

    /// What the Go installation itself says of a variable, whatever the user says.
    pub(crate) fn installed(&self, variable: &str) -> Option<&str> {
        let (value, _line) = self.installation_file.as_ref()?.last(variable)?;
        Some(value)
    }

    /// The folder of the Go installation, where its `go.env` was found.
    pub(crate) fn installation(&self) -> Option<&Path> {
        self.installation_file.as_ref()?.path.parent()
    }

    /// True for the file that `go env -w` writes.
    pub(crate) fn is_user_file(&self, path: &Path) -> bool {
        self.user_file
            .as_ref()
            .is_some_and(|file| file.path == path)
    }

    /// The environment that this was read in.
    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The value of a variable and where it was found.
    pub(crate) fn lookup(&self, variable: &str) -> Option<(String, GoEnvPlace)> {
        if let Some(value) = self.environment.text(variable) {
            return Some((value, GoEnvPlace::Environment));
        }
        let (file, (value, line)) = self
            .files()
            .find_map(|file| Some((file, file.last(variable)?)))?;
        let place = GoEnvPlace::File {
            path: file.path.clone(),
            line,
        };
        (!value.is_empty()).then(|| (value.to_owned(), place))
    }
}

/// The file that `go env -w` writes (cmd/go's `cfg.EnvFile`).
pub(crate) fn user_file(environment: &Environment) -> Option<PathBuf> {
    match environment.path("GOENV") {
        Some(file) if file.as_os_str() == "off" => None,
        Some(file) => Some(file),
        None => Some(user_config_folder(environment)?.join("go").join("env")),
    }
}

/// Go's `os.UserConfigDir`.
fn user_config_folder(environment: &Environment) -> Option<PathBuf> {
    let home = environment.path("HOME");
    if cfg!(target_os = "macos") {
        return Some(home?.join("Library").join("Application Support"));
    }
    match environment.path("XDG_CONFIG_HOME") {
        Some(folder) => folder.is_absolute().then_some(folder),
        None => Some(home?.join(".config")),
    }
}

/// The `go.env` of the first go in PATH that has one beside its `bin` folder. Distributions link
/// `/usr/bin/go` to the installation; a version manager's stand-in leads nowhere and is passed over.
fn installation_in_path(environment: &Environment) -> Option<EnvFile> {
    let path = environment.os("PATH")?;
    std::env::split_paths(path).find_map(|folder| {
        let go = fs_err::canonicalize(folder.join("go")).ok()?;
        let root = go.parent()?.parent()?;
        EnvFile::read(root.join("go.env"))
    })
}

/// One file of `NAME=value` lines.
#[derive(Debug)]
struct EnvFile {
    path: PathBuf,
    /// Name, value and line number, in the file's order.
    lines: Vec<(String, String, usize)>,
}

impl EnvFile {
    fn read(path: impl AsRef<Path>) -> Option<Self> {
        let path = path.as_ref();
        let bytes = fs_err::read(path).ok()?;
        Some(Self {
            path: path.to_owned(),
            lines: parse(&String::from_utf8_lossy(&bytes)),
        })
    }

    /// The value of the last line that sets `name`, which is the one that counts.
    fn last(&self, name: &str) -> Option<(&str, usize)> {
        self.lines
            .iter()
            .rev()
            .find(|(written, _, _)| written == name)
            .map(|(_, value, line)| (value.as_str(), *line))
    }
}

/// As cmd/go's `readEnvFile`: a line counts when it has a `=` and begins with a capital letter.
/// Nothing is trimmed or unquoted.
fn parse(text: &str) -> Vec<(String, String, usize)> {
    text.split('\n')
        .zip(1..)
        .filter(|(line, _)| line.starts_with(|first: char| first.is_ascii_uppercase()))
        .filter_map(|(line, number)| {
            let (name, value) = line.split_once('=')?;
            Some((name.to_owned(), value.to_owned(), number))
        })
        .collect()
}

#[cfg(test)]
mod tests;
