//! What the operator's settings say of credentials, as data. The settings of `larder` make these.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gomod::SafeUrl;

use super::place::CredentialPlace;
use crate::{GitProtocol, Netrc, Secret};

/// More of a secret's file is not read.
const MOST_BYTES: u64 = 64 << 10;

/// The user that goes with a token where the host asks for none in particular.
const TOKEN_USER: &str = "x-access-token";

/// The user that goes with an access token of Bitbucket's cloud, which does ask.
const BITBUCKET_TOKEN_USER: &str = "x-token-auth";

/// Everything that was written about credentials.
#[derive(Clone, Debug, Default)]
pub struct CredentialBook {
    /// The rules. Of two for the same place and protocol the later one holds.
    pub rules: Vec<CredentialRule>,
    /// What holds for HTTPS where no rule does.
    pub netrc: Netrc,
}

/// One rule: a place and what is granted there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRule {
    /// Where it applies.
    pub place: CredentialPlace,
    /// What it grants.
    pub grant: Grant,
    /// Which layer wrote it, as callers may read it: `[[credential]]`, `LARDER_CREDENTIALS`.
    pub layer: Arc<str>,
    /// Where the operator finds it: `larder.toml:12`. For the operator only.
    pub written_at: String,
}

/// What a rule grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// A token, with the user that the host expects beside one.
    Token(SecretSource),
    /// A user and a password or token.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: SecretSource,
    },
    /// A private key for SSH.
    SshKey {
        /// Its file.
        file: PathBuf,
    },
    /// What a program of the operator answers.
    Command(CredentialCommand),
    /// Short-lived tokens of an installation of a GitHub App.
    GithubApp(GithubApp),
}

/// A program that answers in the format of git's credential helpers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialCommand {
    /// A whole path, or a name that is looked for in `PATH`.
    pub program: PathBuf,
    /// Its arguments. No secrets: every user of the machine may read them.
    pub arguments: Vec<String>,
    /// How long it may take.
    pub time_limit: Duration,
}

/// An installation of a GitHub App.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GithubApp {
    /// The app's id or client id.
    pub id: String,
    /// The installation's id.
    pub installation: u64,
    /// The app's private key: RSA, PEM.
    pub key: SecretSource,
    /// The base URL of GitHub's API.
    pub api: SafeUrl,
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file, which is read at each use.
    File(PathBuf),
    /// In an environment variable, whose value was read at the start.
    Variable {
        /// Its name.
        name: Arc<str>,
        /// Its value.
        value: Secret,
    },
}

impl CredentialBook {
    /// The hosts that the rules name: the operator chose them, so they may be anywhere.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.place.host())
    }
}

impl CredentialRule {
    /// The rule as the operator knows it and callers may: `[[credential]] git.example/team`.
    pub fn name(&self) -> String {
        format!("{} {}", self.layer, self.place)
    }
}

impl Grant {
    /// The environment variable that holds its secret, if one does.
    pub fn secret_variable(&self) -> Option<&Arc<str>> {
        let secret = match self {
            Self::Token(secret) => secret,
            Self::Password { password, .. } => password,
            Self::GithubApp(app) => &app.key,
            Self::SshKey { .. } | Self::Command(_) => return None,
        };
        match secret {
            SecretSource::Variable { name, .. } => Some(name),
            SecretSource::File(_) => None,
        }
    }

    /// The protocol of the addresses that it serves.
    pub fn protocol(&self) -> GitProtocol {
        match self {
            Self::SshKey { .. } => GitProtocol::Ssh,
            Self::Token(_) | Self::Password { .. } | Self::Command(_) | Self::GithubApp(_) => {
                GitProtocol::Https
            }
        }
    }

    /// What it is, for the operator: names files, users and variables, holds no secret.
    pub fn describe(&self) -> String {
        match self {
            Self::Token(token) => format!("a token from {token}"),
            Self::Password { user, password } => format!("user `{user}`, password from {password}"),
            Self::SshKey { file } => format!("the SSH key `{}`", file.display()),
            Self::Command(command) => format!("the command `{}`", command.program.display()),
            Self::GithubApp(app) => format!(
                "GitHub App `{}`, installation {}, key from {}, asked at {}",
                app.id, app.installation, app.key, app.api
            ),
        }
    }

    /// The user that goes with a token at a place.
    pub(super) fn token_user(place: &CredentialPlace) -> &'static str {
        match place.host() {
            "bitbucket.org" => BITBUCKET_TOKEN_USER,
            _ => TOKEN_USER,
        }
    }
}

impl GithubApp {
    /// Where GitHub's API is for repositories of a host: its own for the cloud, below the host for an
    /// enterprise server.
    pub fn api_of_host(host: &str) -> String {
        match host {
            "github.com" => "https://api.github.com".to_owned(),
            cloud if cloud.ends_with(".ghe.com") => format!("https://api.{cloud}"),
            own => format!("https://{own}/api/v3"),
        }
    }
}

impl SecretSource {
    /// The secret, which must be one line: a password or token. The error is a phrase about it that names
    /// no path.
    pub(super) async fn line(&self) -> Result<Secret, String> {
        self.one_line(&self.text().await?)
    }

    /// A secret of one line, without the line's end.
    pub fn one_line(&self, text: &Secret) -> Result<Secret, String> {
        let line = text.expose().trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            return Err(format!("{} is empty", self.without_path()));
        }
        if line.chars().any(char::is_control) {
            return Err(format!("{} holds more than one line", self.without_path()));
        }
        Ok(Secret::new(line))
    }

    /// The secret as it stands there.
    pub(super) async fn text(&self) -> Result<Secret, String> {
        let own = self.clone();
        let read = tokio::task::spawn_blocking(move || own.read()).await;
        read.unwrap_or_else(|_| Err("its file could not be read: the reader died".to_owned()))
    }

    /// The secret as it stands there, at most 64 KiB; the error is a phrase that names no path. Blocks.
    pub fn read(&self) -> Result<Secret, String> {
        match self {
            Self::File(path) => read_text(path),
            Self::Variable { value, .. } => Ok(value.clone()),
        }
    }

    fn without_path(&self) -> &'static str {
        match self {
            Self::File(_) => "its file",
            Self::Variable { .. } => "its variable",
        }
    }
}

fn read_text(path: &std::path::Path) -> Result<Secret, String> {
    // The library's error would name the path, which callers need not know.
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "its file is not there".to_owned(),
        std::io::ErrorKind::PermissionDenied => "its file may not be read".to_owned(),
        other => format!("its file can't be read: {other}"),
    };
    let file = fs_err::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    let read = file.take(MOST_BYTES + 1).read_to_string(&mut text);
    let length = read.map_err(unreadable)?;
    if u64::try_from(length).unwrap_or(u64::MAX) > MOST_BYTES {
        return Err("its file is larger than 64 KiB".to_owned());
    }
    Ok(Secret::new(text))
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file `{}`", path.display()),
            Self::Variable { name, .. } => write!(f, "the variable `{name}`"),
        }
    }
}
