//! The credential rules, from `[[credential]]` tables and from `LARDER_CREDENTIALS`, and how they are read
//! again while the server runs.
//!
//! Looks at every file and variable that a rule names, so that a fault is said before it matters. Complaints
//! and warnings show no secret, nor what may be one that was written in the wrong place.

use super::complaint::{Complaint, Fault};
use super::environment::Environment;
use super::file::{CredentialTable, SecretPlace, WrittenGrant, WrittenSecret};
use super::origin::Origin;
use super::written::{Layers, Written};
use crate::way_out;
use gomod::SafeUrl;
use source::{
    BookSource, CredentialBook, CredentialCommand, CredentialPlace, CredentialRule, GithubApp,
    Grant, Netrc, Secret, SecretSource,
};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// The variable of container set-ups: addresses with users and passwords, as git's own credential file has them.
pub(crate) const VARIABLE: &str = "LARDER_CREDENTIALS";

/// The layer's name in the rules of the file.
const TABLES: &str = "[[credential]]";

/// How long an operator's program may take to answer.
const COMMAND_TIME_LIMIT: Duration = Duration::from_secs(30);

/// More rules than this are refused: each is looked at for each question.
const MOST_RULES: usize = 1000;

/// What of the outside the rules need.
pub(super) struct Checks<'a> {
    pub(super) environment: &'a Environment,
    pub(super) complaints: &'a mut Vec<Complaint>,
    pub(super) warnings: &'a mut Vec<String>,
}

/// All rules, the weakest layer first.
pub(super) fn rules(written: &Written, mut checks: Checks<'_>) -> Vec<CredentialRule> {
    let mut rules: Vec<CredentialRule> = Vec::new();
    for (table, origin) in &written.credential_tables {
        rules.extend(checks.rule(table, origin));
    }
    rules.extend(checks.rules_of_variable());
    if rules.len() > MOST_RULES {
        let text = format!("there are more than {MOST_RULES} credentials");
        checks.complaints.push(Complaint::new(text));
    }
    rules
}

/// Where the rules come from while the server runs: the same layers, read again when the settings file or the
/// netrc file changed.
pub(super) fn source(written: &Written, environment: &Environment) -> BookSource {
    let config = written.draft.config.clone();
    let (layers, environment) = (written.layers.clone(), environment.clone());
    BookSource {
        files: config
            .into_iter()
            .chain(way_out::netrc_file(&environment))
            .collect(),
        read: Arc::new(move || read_again(&layers, &environment)),
    }
}

fn read_again(layers: &Layers, environment: &Environment) -> Result<CredentialBook, String> {
    let written = Written::collect(&layers.flags, environment, layers.purpose);
    let mut complaints = written.complaints.clone();
    let mut warnings = Vec::new();
    let netrc = netrc(environment, &mut warnings);
    let checks = Checks {
        environment,
        complaints: &mut complaints,
        warnings: &mut warnings,
    };
    let rules = rules(&written, checks);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    if complaints.is_empty() {
        return Ok(CredentialBook { rules, netrc });
    }
    let texts: Vec<String> = complaints.iter().map(Complaint::line).collect();
    Err(texts.join("; "))
}

/// A netrc file that is not there holds nothing; one that can't be read is worth a word, because requests will
/// lack passwords.
pub(super) fn netrc(environment: &Environment, warnings: &mut Vec<String>) -> Netrc {
    way_out::netrc(environment).unwrap_or_else(|error| {
        warnings.push(format!("the netrc file is not used: {error}"));
        Netrc::default()
    })
}

impl Checks<'_> {
    fn rule(&mut self, table: &CredentialTable, origin: &Origin) -> Option<CredentialRule> {
        let grant = match &table.grant {
            WrittenGrant::Token(token) => Grant::Token(self.line(token, origin)?),
            WrittenGrant::Password { user, password } => Grant::Password {
                user: user.clone(),
                password: self.line(password, origin)?,
            },
            WrittenGrant::SshKey(file) => {
                self.ssh_key(file, origin)?;
                Grant::SshKey { file: file.clone() }
            }
            WrittenGrant::Command { program, arguments } => {
                self.program(program, origin)?;
                Grant::Command(CredentialCommand {
                    program: program.clone(),
                    arguments: arguments.clone(),
                    time_limit: COMMAND_TIME_LIMIT,
                })
            }
            WrittenGrant::GithubApp {
                id,
                installation,
                key,
                api,
            } => Grant::GithubApp(GithubApp {
                id: id.clone(),
                installation: *installation,
                key: self.app_key(key, origin)?,
                api: SafeUrl::parse(api)
                    .map_err(|error| {
                        let fault = Fault::new(format!("is no URL: {error}"));
                        self.complain("github_app.api", fault, origin);
                    })
                    .ok()?,
            }),
        };
        Some(CredentialRule {
            place: table.place.clone(),
            grant,
            layer: TABLES.into(),
            written_at: origin.place(),
        })
    }

    /// A secret of one line: a password or a token.
    fn line(&mut self, written: &WrittenSecret, origin: &Origin) -> Option<SecretSource> {
        let (source, text) = self.secret(written, origin)?;
        self.expect(written, source.one_line(&text), origin)?;
        Some(source)
    }

    fn app_key(&mut self, written: &WrittenSecret, origin: &Origin) -> Option<SecretSource> {
        let (source, text) = self.secret(written, origin)?;
        self.expect(written, GithubApp::check_key(&text), origin)?;
        Some(source)
    }

    /// Where a secret is, and what is there now.
    fn secret(
        &mut self,
        written: &WrittenSecret,
        origin: &Origin,
    ) -> Option<(SecretSource, Secret)> {
        let source = match &written.place {
            SecretPlace::File(path) => SecretSource::File(path.clone()),
            SecretPlace::Variable(name) => match self.environment.text(name) {
                Some(value) => SecretSource::Variable {
                    name: name.as_str().into(),
                    value: Secret::new(value),
                },
                None => {
                    let fault = Fault::new(format!("is `{name}`, a variable that is not set"));
                    self.complain(&written.key, fault, origin);
                    return None;
                }
            },
        };
        let text = self.expect(written, source.read(), origin)?;
        if let SecretSource::File(path) = &source {
            self.warn_of_readers(path);
        }
        Some((source, text))
    }

    fn expect<Value>(
        &mut self,
        written: &WrittenSecret,
        found: Result<Value, String>,
        origin: &Origin,
    ) -> Option<Value> {
        let reason = match found {
            Ok(value) => return Some(value),
            Err(reason) => reason,
        };
        let fault = match &written.place {
            SecretPlace::File(path) if may_be_a_secret(path) => {
                Fault::new("names no file that can be used").hint(
                    "if that is the secret itself, put it into a file of its own, name that, and make a new secret",
                )
            }
            SecretPlace::File(path) => Fault::new(format!("is `{}`: {reason}", path.display())),
            SecretPlace::Variable(name) => Fault::new(format!("is `{name}`: {reason}")),
        };
        self.complain(&written.key, fault, origin);
        None
    }

    fn ssh_key(&mut self, file: &Path, origin: &Origin) -> Option<()> {
        let opened = fs_err::File::open(file).and_then(|file| file.metadata());
        match opened {
            Ok(metadata) if metadata.is_file() => {
                if metadata.permissions().mode() & 0o077 != 0 {
                    self.warnings.push(format!(
                        "others than its owner may use the SSH key `{0}`, and ssh refuses such a key: `chmod 600 {0}`",
                        file.display()
                    ));
                }
                Some(())
            }
            Ok(_) => {
                let fault = Fault::new(format!("is `{}`, which is no file", file.display()));
                self.complain("ssh_key", fault, origin);
                None
            }
            Err(error) => {
                self.complain(
                    "ssh_key",
                    Fault::new(format!("can't be read: {error}")),
                    origin,
                );
                None
            }
        }
    }

    fn program(&mut self, program: &Path, origin: &Origin) -> Option<()> {
        let runs = |path: &Path| {
            path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
        };
        let is_path = program.components().count() > 1;
        let folders = self.environment.text("PATH").unwrap_or_default();
        let found = match is_path {
            true => runs(program),
            false => std::env::split_paths(&folders).any(|folder| runs(&folder.join(program))),
        };
        if found {
            return Some(());
        }
        let shown = program.display();
        let fault = match is_path {
            true => Fault::new(format!("is `{shown}`, which is no program that can be run")),
            false => Fault::new(format!("is `{shown}`, which is not found in `PATH`"))
                .hint("give the whole path"),
        };
        self.complain("command", fault, origin);
        None
    }

    fn warn_of_readers(&mut self, file: &Path) {
        let mode = fs_err::metadata(file).map(|metadata| metadata.permissions().mode());
        if mode.is_ok_and(|mode| mode & 0o004 != 0) {
            self.warnings.push(format!(
                "every user of this machine may read the secret in `{0}`: `chmod 600 {0}`",
                file.display()
            ));
        }
    }

    /// The entries of the variable. None is ever shown.
    fn rules_of_variable(&mut self) -> Vec<CredentialRule> {
        let Some(text) = self.environment.text(VARIABLE) else {
            return Vec::new();
        };
        let origin = Origin::Environment {
            variable: VARIABLE.into(),
        };
        let mut rules = Vec::new();
        for (index, entry) in text.split_whitespace().enumerate() {
            let number = index + 1;
            match entry_of_variable(entry) {
                Ok((place, grant)) => rules.push(CredentialRule {
                    place,
                    grant,
                    layer: VARIABLE.into(),
                    written_at: format!("{VARIABLE}, entry {number}"),
                }),
                Err(reason) => self.complaints.push(
                    Complaint::new(format!("entry {number} {reason}"))
                        .at(&origin)
                        .hint("write `https://USER:PASSWORD@HOST/PATH` or `https://TOKEN@HOST/PATH`, spaces between them, `%40` for an `@` in a password"),
                ),
            }
        }
        rules
    }

    fn complain(&mut self, key: &str, fault: Fault, origin: &Origin) {
        let name = format!("credential.{key}");
        self.complaints.push(fault.into_complaint(&name, origin));
    }
}

/// A text without a folder in it that is long and has digits, or that begins as tokens do.
fn may_be_a_secret(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return false;
    };
    diagnosis::begins_as_token(name)
        || (name.len() >= 20 && !name.contains('.') && name.contains(|c: char| c.is_ascii_digit()))
}

/// One address with a user and a password, or with a token alone. The error is a phrase that shows nothing of it.
fn entry_of_variable(entry: &str) -> Result<(CredentialPlace, Grant), String> {
    let url = Url::parse(entry).map_err(|_| "is no URL".to_owned())?;
    if url.scheme() != "https" {
        return Err("does not begin with `https://`".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a query or a fragment".to_owned());
    }
    let host = url.host_str().unwrap_or_default();
    let port = match url.port() {
        Some(port) => format!(":{port}"),
        None => String::new(),
    };
    let place = CredentialPlace::parse(&format!("{host}{port}{}", url.path()))
        .map_err(|_| "names no host and path that can be used".to_owned())?;
    let decoded = |text: &str| {
        let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
        let decoded = decoded.map_err(|_| "is not UTF-8".to_owned())?;
        match decoded.chars().any(char::is_control) {
            true => Err("holds control characters".to_owned()),
            false => Ok(decoded.into_owned()),
        }
    };
    let secret = |text: &str| {
        Ok::<_, String>(SecretSource::Variable {
            name: VARIABLE.into(),
            value: Secret::new(decoded(text)?),
        })
    };
    let grant = match (url.username(), url.password()) {
        ("", _) => return Err("holds no user and no token".to_owned()),
        (token, None | Some("")) => Grant::Token(secret(token)?),
        (user, Some(password)) => Grant::Password {
            user: decoded(user)?,
            password: secret(password)?,
        },
    };
    Ok((place, grant))
}

#[cfg(test)]
mod tests;
