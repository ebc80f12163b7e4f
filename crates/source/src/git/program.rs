//! The program itself: where it is and whether it is new enough.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::GitOptions;
use super::environment;
use super::failure;
use super::process::{Bounds, Children, Launch, ProcessKind};
use super::user_config::{self, UserConfig};

/// The oldest version that will do: it knows repositories of SHA-256 and refspecs that exclude.
const OLDEST: (u32, u32) = (2, 29);

/// Why git cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GitMissing {
    /// No such program.
    #[error("there is no `{0}` that can be run; install git 2.29 or newer")]
    NotFound(PathBuf),
    /// It does not say what it is.
    #[error("`{program}` does not work as git: {text}; install git 2.29 or newer")]
    Broken {
        /// Where it is.
        program: PathBuf,
        /// What happened.
        text: String,
    },
    /// It is too old.
    #[error("`{program}` is git {version}; install git 2.29 or newer")]
    TooOld {
        /// Where it is.
        program: PathBuf,
        /// Its version.
        version: String,
    },
    /// The mirrors' folder cannot be made.
    #[error("the folder of the git mirrors cannot be made: {0}")]
    Folder(String),
}

/// A path as it is, and a name as the first program of the PATH that can be executed. Relative entries are passed
/// over: they would depend on where larder was started.
pub(super) fn find(
    program: &Path,
    environment: &[(OsString, OsString)],
) -> Result<PathBuf, GitMissing> {
    let missing = || GitMissing::NotFound(program.to_owned());
    if program.components().count() > 1 {
        let program = std::path::absolute(program).map_err(|_| missing())?;
        return match is_executable(&program) {
            true => Ok(program),
            false => Err(missing()),
        };
    }
    let path = environment::value(environment, "PATH").unwrap_or_default();
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|program| is_executable(program))
        .ok_or_else(missing)
}

fn is_executable(program: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs_err::metadata(program)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Asks the program for its version.
pub(super) async fn version(
    program: &Path,
    options: &GitOptions,
    children: &Children,
) -> Result<String, GitMissing> {
    let broken = |text: String| GitMissing::Broken {
        program: program.to_owned(),
        text,
    };
    let setting = environment::transport(
        &options.environment,
        Path::new("/dev/null"),
        &BTreeSet::new(),
        false,
    );
    let launch = Launch {
        kind: ProcessKind::Settings,
        program: program.to_owned(),
        folder: options.folder.clone(),
        arguments: vec!["version".into()],
        environment: setting.environment,
    };
    let bounds = Bounds {
        stall: options.stall_timeout,
        total: options.stall_timeout,
        stdout_bytes: 4096,
    };
    let finished = children
        .run(launch, bounds, None)
        .await
        .map_err(|stopped| broken(format!("{stopped:?}")))?;
    if !finished.status.success() {
        return Err(broken(finished.stderr));
    }
    let said = String::from_utf8_lossy(&finished.stdout).into_owned();
    let version = parse(&said).ok_or_else(|| broken(format!("it says `{}`", said.trim())))?;
    if is_at_least(&version, OLDEST) {
        Ok(version)
    } else {
        Err(GitMissing::TooOld {
            program: program.to_owned(),
            version,
        })
    }
}

/// Asks for what of the user's configuration decides where git goes.
pub(super) async fn user_config(
    program: &Path,
    options: &GitOptions,
    children: &Children,
) -> UserConfig {
    // No repository: only what holds for all of them.
    let nowhere = options.folder.join("none.git");
    let setting = environment::transport(&options.environment, &nowhere, &BTreeSet::new(), false);
    let arguments = ["config", "-z", "--get-regexp", user_config::PATTERN];
    let launch = Launch {
        kind: ProcessKind::Settings,
        program: program.to_owned(),
        folder: options.folder.clone(),
        arguments: setting
            .arguments
            .into_iter()
            .chain(arguments.map(OsString::from))
            .collect(),
        environment: setting.environment,
    };
    let bounds = Bounds {
        stall: options.stall_timeout,
        total: options.stall_timeout,
        stdout_bytes: 1 << 20,
    };
    match children.run(launch, bounds, None).await {
        Ok(finished) if finished.status.success() => UserConfig::parse(&finished.stdout),
        // Nothing of the kind is set.
        Ok(finished) if finished.status.code() == Some(1) => UserConfig::default(),
        Ok(finished) => {
            let said = failure::last_words(&failure::clean(&finished.stderr, None));
            tracing::warn!(said, "git's configuration cannot be read");
            UserConfig::default()
        }
        Err(stopped) => {
            tracing::warn!(?stopped, "git's configuration cannot be read");
            UserConfig::default()
        }
    }
}

/// `git version 2.39.5 (Apple Git-154)` says `2.39.5`.
fn parse(said: &str) -> Option<String> {
    let rest = said.trim().strip_prefix("git version ")?;
    let version = rest.split_whitespace().next()?;
    let numbers: Vec<&str> = version
        .split('.')
        .take_while(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    (numbers.len() >= 2).then(|| numbers.join("."))
}

/// Compares versions as far as features go.
pub(super) fn is_at_least(version: &str, least: (u32, u32)) -> bool {
    let mut numbers = version
        .split('.')
        .map_while(|part| part.parse::<u32>().ok());
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (major, minor) >= least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_as_vendors_write_it() {
        let check = |said: &str, version: Option<&str>, new_enough: bool| {
            let parsed = parse(said);
            assert_eq!(parsed.as_deref(), version, "{said}");
            assert_eq!(
                parsed.is_some_and(|version| is_at_least(&version, OLDEST)),
                new_enough,
                "{said}"
            );
        };
        check("git version 2.39.5\n", Some("2.39.5"), true);
        check("git version 2.39.5 (Apple Git-154)", Some("2.39.5"), true);
        check("git version 2.45.1.windows.1", Some("2.45.1"), true);
        check("git version 2.29.0-rc1", Some("2.29"), true);
        check("git version 2.28.1", Some("2.28.1"), false);
        check("git version 1.99", Some("1.99"), false);
        check("git version 3.0", Some("3.0"), true);
        check("hg 6", None, false);
        check("git version x", None, false);
    }
}
