//! Where a setting's value came from.

use std::path::PathBuf;

/// The layer and the place in it, from the weakest layer to the strongest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Larder's own default.
    Default,
    /// What the user's go command would use: a variable, and where go finds it.
    GoEnv {
        variable: &'static str,
        place: GoEnvPlace,
    },
    /// The settings file.
    File { path: PathBuf, line: usize },
    /// What a profile means when the file does not say otherwise.
    BuiltInProfile { profile: String },
    /// The profile's section of the settings file.
    Profile {
        profile: String,
        path: PathBuf,
        line: usize,
    },
    /// An environment variable.
    Environment { variable: String },
    /// A flag.
    Flag { flag: String },
    /// What the command itself decides: `larder exec` picks a port of its own.
    Command { command: &'static str },
}

/// Where go finds one of its variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GoEnvPlace {
    /// The environment.
    Environment,
    /// The file that `go env -w` writes, or the `go.env` of the Go installation.
    File { path: PathBuf, line: usize },
}

impl Origin {
    /// The layer's name, for machines and people.
    pub(crate) fn layer(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::GoEnv { .. } => "go env",
            Self::File { .. } => "file",
            Self::BuiltInProfile { .. } | Self::Profile { .. } => "profile",
            Self::Environment { .. } => "environment",
            Self::Flag { .. } => "flag",
            Self::Command { .. } => "command",
        }
    }

    /// The place to look at: `larder.toml:3`, a variable's name, a flag.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Default => "default".into(),
            Self::GoEnv {
                variable,
                place: GoEnvPlace::Environment,
            } => (*variable).into(),
            Self::GoEnv {
                variable,
                place: GoEnvPlace::File { path, line },
            } => format!("{variable} in {}:{line}", path.display()),
            Self::File { path, line } => format!("{}:{line}", path.display()),
            Self::BuiltInProfile { profile } => profile.clone(),
            Self::Profile {
                profile,
                path,
                line,
            } => format!("{}:{line} ({profile})", path.display()),
            Self::Environment { variable } => variable.clone(),
            Self::Flag { flag } => format!("--{flag}"),
            Self::Command { command } => format!("larder {command}"),
        }
    }

    /// Layer and place on one line: `file larder.toml:3`.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Default => "default".into(),
            other => format!("{} {}", other.layer(), other.place()),
        }
    }

    /// The same file, another line.
    pub(crate) fn at_line(&self, line: usize) -> Self {
        let mut origin = self.clone();
        if let Self::File { line: own, .. } | Self::Profile { line: own, .. } = &mut origin {
            *own = line;
        }
        origin
    }
}
