//! `[[credential]]` tables: which credential git gets at which host and path.
//!
//! Reads shapes and complains about them; whether the files are there and the variables set is seen when
//! the settings are resolved. Secrets never stand in the file, and what may be one by mistake is not repeated.

use super::Reader;
use source::{CredentialPlace, GitProtocol, GithubApp};
use std::path::PathBuf;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One `[[credential]]` table.
#[derive(Clone, Debug)]
pub(crate) struct CredentialTable {
    pub(crate) place: CredentialPlace,
    pub(crate) grant: WrittenGrant,
    pub(crate) line: usize,
}

/// What a table grants, nothing of it looked at yet.
#[derive(Clone, Debug)]
pub(crate) enum WrittenGrant {
    Token(WrittenSecret),
    Password {
        user: String,
        password: WrittenSecret,
    },
    SshKey(PathBuf),
    Command {
        /// With a slash: a path. Without: looked for in `PATH`.
        program: PathBuf,
        arguments: Vec<String>,
    },
    GithubApp {
        id: String,
        installation: u64,
        key: WrittenSecret,
        api: String,
    },
}

/// Where a secret is, and the key that says so.
#[derive(Clone, Debug)]
pub(crate) struct WrittenSecret {
    /// `token_file`, `github_app.key_env`.
    pub(crate) key: String,
    pub(crate) place: SecretPlace,
}

#[derive(Clone, Debug)]
pub(crate) enum SecretPlace {
    File(PathBuf),
    Variable(String),
}

impl WrittenGrant {
    /// The protocol of the addresses that it serves.
    pub(crate) fn protocol(&self) -> GitProtocol {
        match self {
            Self::SshKey(_) => GitProtocol::Ssh,
            Self::Token(_)
            | Self::Password { .. }
            | Self::Command { .. }
            | Self::GithubApp { .. } => GitProtocol::Https,
        }
    }
}

/// The user of a GitLab job token.
const GITLAB_JOB_USER: &str = "gitlab-ci-token";

const KEYS: [&str; 11] = [
    "match",
    "token_file",
    "token_env",
    "user",
    "password_file",
    "password_env",
    "ssh_key",
    "command",
    "github_app",
    "gitlab_job_token",
    "gitlab_deploy_token",
];

/// The ways in which a table can grant something, each with the keys by which it is known.
const WAYS: [(Way, &[&str]); 7] = [
    (Way::Token, &["token_file", "token_env"]),
    (Way::Password, &["user", "password_file", "password_env"]),
    (Way::SshKey, &["ssh_key"]),
    (Way::Command, &["command"]),
    (Way::GithubApp, &["github_app"]),
    (Way::GitlabJobToken, &["gitlab_job_token"]),
    (Way::GitlabDeployToken, &["gitlab_deploy_token"]),
];

#[derive(Clone, Copy)]
enum Way {
    Token,
    Password,
    SshKey,
    Command,
    GithubApp,
    GitlabJobToken,
    GitlabDeployToken,
}

const KINDS: &str = "one of `token_file`, `token_env`, `user` with `password_file` or `password_env`, `ssh_key`, \
                     `command`, `github_app`, `gitlab_job_token`, `gitlab_deploy_token`";

/// Keys under which someone may have put a secret itself, and what to write instead.
const LITERAL_SECRETS: [(&str, &str); 6] = [
    ("token", "token_file"),
    ("access_token", "token_file"),
    ("secret", "token_file"),
    ("password", "password_file"),
    ("key", "key_file"),
    ("private_key", "key_file"),
];

type Table<'a> = DeTable<'a>;
type Value<'a> = Spanned<DeValue<'a>>;

impl Reader<'_> {
    /// All tables of one section, in their order.
    pub(super) fn credentials_of(&mut self, value: &Value<'_>) -> Vec<CredentialTable> {
        let Some(tables) = value.get_ref().as_array() else {
            self.complain_with(
                value.span().start,
                "`credential` must be `[[credential]]` tables".into(),
                Some(
                    "begin each with a line `[[credential]]`, then `match = \"git.example/team\"`"
                        .into(),
                ),
            );
            return Vec::new();
        };
        let mut read: Vec<CredentialTable> = Vec::new();
        for table in tables.iter() {
            let Some(table) = self.credential(table) else {
                continue;
            };
            let twin = read.iter().find(|other| {
                other.place == table.place && other.grant.protocol() == table.grant.protocol()
            });
            if let Some(twin) = twin {
                let text = format!(
                    "there are two credentials for `{}` over {}: the other is in line {}",
                    table.place,
                    table.grant.protocol(),
                    twin.line
                );
                self.complain_at_line(table.line, text);
            }
            read.push(table);
        }
        read
    }

    fn credential(&mut self, value: &Value<'_>) -> Option<CredentialTable> {
        let start = value.span().start;
        let DeValue::Table(table) = value.get_ref() else {
            self.complain(start, "`credential` has an entry that is no table".into());
            return None;
        };
        let faults_before = self.complaints.len();
        for (key, _) in table {
            self.known_key("credential.", key, &KEYS);
        }
        let misspelt = self.complaints.len() > faults_before;
        let place = self.place(table, start);
        if misspelt
            && !WAYS
                .iter()
                .any(|(_, keys)| keys.iter().any(|key| table.contains_key(*key)))
        {
            // What it was to grant stands under a key that was complained about.
            return None;
        }
        let grant = self.grant(table, start, place.as_ref());
        Some(CredentialTable {
            place: place?,
            grant: grant?,
            line: self.line(start),
        })
    }

    fn place(&mut self, table: &Table<'_>, start: usize) -> Option<CredentialPlace> {
        const SHAPE: &str = "write `match = \"git.example\"` or `match = \"git.example/team\"`";
        let Some(value) = table.get("match") else {
            self.complain_with(
                start,
                "`[[credential]]` without `match`".into(),
                Some(SHAPE.into()),
            );
            return None;
        };
        let at = value.span().start;
        let Some(text) = value.get_ref().as_str() else {
            self.complain_with(
                at,
                "`credential.match` must be a text".into(),
                Some(SHAPE.into()),
            );
            return None;
        };
        match CredentialPlace::parse(text) {
            Ok(place) => Some(place),
            Err(reason) => {
                // A URL may hold a password.
                let shown = match text.contains('@') {
                    true => String::new(),
                    false => format!(" is `{text}`, which"),
                };
                let text = format!("`credential.match`{shown} {reason}");
                self.complain_with(at, text, Some(SHAPE.into()));
                None
            }
        }
    }

    /// The one thing that a table grants.
    fn grant(
        &mut self,
        table: &Table<'_>,
        start: usize,
        place: Option<&CredentialPlace>,
    ) -> Option<WrittenGrant> {
        let written: Vec<(Way, &str)> = WAYS
            .iter()
            .filter_map(|(way, keys)| {
                let key = keys.iter().find(|key| table.contains_key(**key))?;
                Some((*way, *key))
            })
            .collect();
        let place_name = place.map(|place| format!(" for `{place}`"));
        let place_name = place_name.unwrap_or_default();
        match written.as_slice() {
            [] => {
                self.complain_with(
                    start,
                    format!("`[[credential]]`{place_name} grants nothing"),
                    Some(format!("write {KINDS}")),
                );
                None
            }
            [(way, key)] => self.grant_by(*way, table, table.get(*key)?, start, place),
            [(first, first_key), (second, second_key), ..] => {
                let hint = match (first, second) {
                    (Way::Token, Way::Password) => {
                        "a token that has a user of its own is written `user` with `password_file` or `password_env`"
                    }
                    _ => "write a `[[credential]]` table for each",
                };
                self.complain_with(
                    start,
                    format!("`[[credential]]`{place_name} grants in two ways, `{first_key}` and `{second_key}`"),
                    Some(hint.into()),
                );
                None
            }
        }
    }

    /// `value` is that of the key by which the way was known.
    fn grant_by(
        &mut self,
        way: Way,
        table: &Table<'_>,
        value: &Value<'_>,
        start: usize,
        place: Option<&CredentialPlace>,
    ) -> Option<WrittenGrant> {
        match way {
            Way::Token => Some(WrittenGrant::Token(self.secret(table, start, "", "token")?)),
            Way::Password => {
                let user = self.user(table, start, "");
                let password = self.secret(table, start, "", "password");
                Some(WrittenGrant::Password {
                    user: user?,
                    password: password?,
                })
            }
            Way::SshKey => {
                let path = self.path("credential.ssh_key", value)?;
                Some(WrittenGrant::SshKey(path))
            }
            Way::Command => self.command(value),
            Way::GithubApp => self.github_app(value, place),
            Way::GitlabJobToken => {
                let keys = ["token_file", "token_env"];
                let (inner, at) = self.inner("gitlab_job_token", value, &keys)?;
                Some(WrittenGrant::Password {
                    user: GITLAB_JOB_USER.to_owned(),
                    password: self.secret(inner, at, "gitlab_job_token.", "token")?,
                })
            }
            Way::GitlabDeployToken => {
                let keys = ["user", "token_file", "token_env"];
                let (inner, at) = self.inner("gitlab_deploy_token", value, &keys)?;
                let user = self.user(inner, at, "gitlab_deploy_token.");
                let password = self.secret(inner, at, "gitlab_deploy_token.", "token");
                Some(WrittenGrant::Password {
                    user: user?,
                    password: password?,
                })
            }
        }
    }

    /// `NAME_file` or `NAME_env` of a table; exactly one of them.
    fn secret(
        &mut self,
        table: &Table<'_>,
        start: usize,
        prefix: &str,
        name: &str,
    ) -> Option<WrittenSecret> {
        let (file, variable) = (format!("{name}_file"), format!("{name}_env"));
        match (table.get(file.as_str()), table.get(variable.as_str())) {
            (Some(value), None) => {
                let key = format!("{prefix}{file}");
                let path = self.path(&format!("credential.{key}"), value)?;
                Some(WrittenSecret {
                    key,
                    place: SecretPlace::File(path),
                })
            }
            (None, Some(value)) => {
                let key = format!("{prefix}{variable}");
                let Some(name) = value.get_ref().as_str().filter(|name| is_variable(name)) else {
                    self.complain_with(
                        value.span().start,
                        format!("`credential.{key}` must be the name of an environment variable"),
                        Some("name the variable, such as `CI_JOB_TOKEN`; the secret itself stays out of the file".into()),
                    );
                    return None;
                };
                Some(WrittenSecret {
                    key,
                    place: SecretPlace::Variable(name.to_owned()),
                })
            }
            (Some(_), Some(_)) => {
                let text =
                    format!("`credential.{prefix}{file}` and `{variable}` exclude each other");
                self.complain(start, text);
                None
            }
            (None, None) => {
                let text = format!("`credential` needs `{prefix}{file}` or `{prefix}{variable}`");
                self.complain(start, text);
                None
            }
        }
    }

    fn user(&mut self, table: &Table<'_>, start: usize, prefix: &str) -> Option<String> {
        let user = table.get("user").map(|value| value.get_ref().as_str());
        match user {
            Some(Some(user)) if !user.is_empty() && !user.contains([':', '\n', '\r', '\0']) => {
                Some(user.to_owned())
            }
            Some(_) => {
                let text = format!("`credential.{prefix}user` must be a text without colons");
                self.complain(start, text);
                None
            }
            None => {
                self.complain(start, format!("`credential` needs `{prefix}user`"));
                None
            }
        }
    }

    fn command(&mut self, value: &Value<'_>) -> Option<WrittenGrant> {
        const SHAPE: &str = "write `command = [\"/usr/local/bin/git-credential-vault\", \"get\"]`";
        let at = value.span().start;
        let words: Option<Vec<&str>> = match value.get_ref() {
            DeValue::String(program) => Some(vec![program]),
            DeValue::Array(words) => words.iter().map(|word| word.get_ref().as_str()).collect(),
            _ => None,
        };
        let words = words.unwrap_or_default();
        let Some((program, arguments)) = words.split_first().filter(|(it, _)| !it.is_empty())
        else {
            self.complain_with(
                at,
                "`credential.command` must be a program, or an array of a program and its arguments".into(),
                Some(SHAPE.into()),
            );
            return None;
        };
        if arguments.is_empty() && program.contains(' ') {
            self.complain_with(
                at,
                "`credential.command` has a space in its program: no shell splits it".into(),
                Some(SHAPE.into()),
            );
            return None;
        }
        if words.iter().any(|word| word.contains('\0')) {
            self.complain(at, "`credential.command` holds a zero byte".into());
            return None;
        }
        let program = match program.contains('/') {
            true => self.base.join(program),
            false => PathBuf::from(program),
        };
        Some(WrittenGrant::Command {
            program,
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
        })
    }

    fn github_app(
        &mut self,
        value: &Value<'_>,
        place: Option<&CredentialPlace>,
    ) -> Option<WrittenGrant> {
        const SHAPE: &str = "write `github_app = { id = 12345, installation = 67890, key_file = \"/etc/larder/app.pem\" }`";
        let keys = ["id", "installation", "key_file", "key_env", "api"];
        let (table, at) = self.inner("github_app", value, &keys)?;
        let id = table.get("id").and_then(|id| match id.get_ref() {
            DeValue::Integer(number) => Some(number.to_string()),
            DeValue::String(text) if !text.is_empty() => Some(text.to_string()),
            _ => None,
        });
        let installation = table.get("installation").and_then(|id| match id.get_ref() {
            DeValue::Integer(number) => number.to_string().parse().ok(),
            DeValue::String(text) => text.parse().ok(),
            _ => None,
        });
        if id.is_none() || installation.is_none() {
            self.complain_with(
                at,
                "`credential.github_app` needs `id` and `installation`, both numbers".into(),
                Some(SHAPE.into()),
            );
        }
        let key = self.secret(table, at, "github_app.", "key");
        let api = match table.get("api") {
            None => place.map(|place| GithubApp::api_of_host(place.host())),
            Some(value) => {
                let https = value
                    .get_ref()
                    .as_str()
                    .filter(|api| api.starts_with("https://") && !api.contains(['@', '?', '#']));
                if https.is_none() {
                    self.complain_with(
                        value.span().start,
                        "`credential.github_app.api` must be an `https://` URL without a user"
                            .into(),
                        Some(
                            "write `api = \"https://github.corp.example/api/v3\"`, or leave it out"
                                .into(),
                        ),
                    );
                }
                https.map(str::to_owned)
            }
        };
        Some(WrittenGrant::GithubApp {
            id: id?,
            installation: installation?,
            key: key?,
            api: api?,
        })
    }

    /// A table within the table, its keys checked.
    fn inner<'t, 'v>(
        &mut self,
        name: &str,
        value: &'t Value<'v>,
        keys: &[&str],
    ) -> Option<(&'t Table<'v>, usize)> {
        let at = value.span().start;
        let DeValue::Table(table) = value.get_ref() else {
            let list = keys.join("`, `");
            self.complain_with(
                at,
                format!("`credential.{name}` must be a table"),
                Some(format!("write `{name} = {{ … }}` with `{list}`")),
            );
            return None;
        };
        for (key, _) in table {
            self.known_key(&format!("credential.{name}."), key, keys);
        }
        Some((table, at))
    }

    fn known_key(&mut self, prefix: &str, key: &Spanned<std::borrow::Cow<'_, str>>, keys: &[&str]) {
        let name = key.get_ref().as_ref();
        if keys.contains(&name) {
            return;
        }
        let at = key.span().start;
        match LITERAL_SECRETS.iter().find(|(literal, _)| *literal == name) {
            Some((_, instead)) => {
                // Only an app has a key besides those for SSH.
                let instead = match keys.contains(instead) {
                    true => instead,
                    false => "ssh_key",
                };
                self.complain_with(
                    at,
                    format!("`{prefix}{name}`: a secret can't stand in the settings file"),
                    Some(format!(
                        "put it into a file of its own and name that as `{instead}`"
                    )),
                );
            }
            None => self.unknown_key(prefix, name, at, keys),
        }
    }
}

/// The names that shells and orchestrators use. A token that was put here by mistake is none.
fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}
