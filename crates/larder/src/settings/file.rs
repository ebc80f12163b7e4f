//! The settings file: TOML with the keys of the table, `[[upstream]]`, `[[credential]]` and `[profile.NAME]`.
//!
//! Reads the whole file into texts with their line numbers and complains about everything that it
//! can't place. It does not know which profile is in use, and parses no setting's value.

mod credential;

use super::complaint::{Complaint, did_you_mean};
use super::origin::Origin;
use super::table::{Kind, PROFILES, SETTINGS, Setting, by_key};
use super::value::{self, Given};
use gomod::FallBack;
use source::GroupMode;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(crate) use credential::{CredentialTable, SecretPlace, WrittenGrant, WrittenSecret};

/// The file's own keys and those of its profiles.
#[derive(Debug, Default)]
pub(crate) struct SettingsFile {
    pub(crate) main: Section,
    pub(crate) profiles: BTreeMap<&'static str, Section>,
}

/// One set of keys.
#[derive(Debug, Default)]
pub(crate) struct Section {
    pub(crate) values: Vec<FileValue>,
    /// `[[upstream]]` tables; empty where there are none.
    pub(crate) upstreams: Vec<UpstreamTable>,
    /// `[[credential]]` tables; empty where there are none.
    pub(crate) credentials: Vec<CredentialTable>,
}

/// The one key of the file that is no setting of the table: it takes tables only.
const CREDENTIAL: &str = "credential";

/// One key's value, as text.
pub(crate) struct FileValue {
    pub(crate) setting: &'static Setting,
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl std::fmt::Debug for FileValue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} at line {}", self.setting.key, self.line)
    }
}

/// One `[[upstream]]` table.
#[derive(Clone)]
pub(crate) struct UpstreamTable {
    /// Its entries, with their lines. May hold passwords.
    pub(crate) urls: Vec<(String, usize)>,
    pub(crate) fall_back: FallBack,
    /// How its entries are asked as one; `None` for one after the other.
    pub(crate) mode: Option<GroupMode>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) credentials: Option<WrittenCredentials>,
    pub(crate) line: usize,
}

impl std::fmt::Debug for UpstreamTable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "[[upstream]] at line {}", self.line)
    }
}

/// A user, and the file that holds the password.
#[derive(Clone, Debug)]
pub(crate) struct WrittenCredentials {
    pub(crate) user: String,
    pub(crate) password_file: PathBuf,
}

/// Reads a file.
pub(crate) fn read(path: &Path, complaints: &mut Vec<Complaint>) -> SettingsFile {
    match fs_err::read_to_string(path) {
        Ok(text) => parse(&text, path, complaints),
        Err(error) => {
            complaints.push(Complaint::new(format!(
                "the settings file can't be read: {error}"
            )));
            SettingsFile::default()
        }
    }
}

/// Reads a file's text.
pub(crate) fn parse(text: &str, path: &Path, complaints: &mut Vec<Complaint>) -> SettingsFile {
    let mut reader = Reader {
        text,
        path,
        base: path.parent().unwrap_or_else(|| Path::new("")),
        complaints,
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        reader.complain(at, format!("is not TOML: {}", error.message().trim()));
    }
    // What was recovered from a broken file is a guess: complaints about it would mislead.
    if !errors.is_empty() {
        return SettingsFile::default();
    }
    reader.file(table.get_ref())
}

struct Reader<'a> {
    text: &'a str,
    path: &'a Path,
    base: &'a Path,
    complaints: &'a mut Vec<Complaint>,
}

impl Reader<'_> {
    fn file(&mut self, table: &DeTable<'_>) -> SettingsFile {
        let mut file = SettingsFile::default();
        for (key, value) in table {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("profile", DeValue::Table(profiles)) => self.profiles(profiles, &mut file),
                ("profile", _) => self.complain_with(
                    key.span().start,
                    "`profile` can't be picked in the file".into(),
                    Some("set `LARDER_PROFILE` or give `--profile`".into()),
                ),
                _ => self.key(key, value, "", &mut file.main),
            }
        }
        file
    }

    fn profiles(&mut self, profiles: &DeTable<'_>, file: &mut SettingsFile) {
        for (name, value) in profiles {
            let known = PROFILES.iter().find(|(known, _)| known == name.get_ref());
            let Some((known, _)) = known else {
                let names = PROFILES.iter().map(|(known, _)| *known);
                let hint = did_you_mean(name.get_ref(), names).map_or_else(
                    || "the profiles are `dev`, `staging` and `prod`".into(),
                    |meant| format!("did you mean `[profile.{meant}]`?"),
                );
                self.complain_with(
                    name.span().start,
                    format!("unknown profile `{}`", name.get_ref()),
                    Some(hint),
                );
                continue;
            };
            let DeValue::Table(keys) = value.get_ref() else {
                self.complain(
                    name.span().start,
                    format!("`profile.{known}` must be a table"),
                );
                continue;
            };
            let mut section = Section::default();
            for (key, value) in keys {
                self.key(key, value, &format!("profile.{known}."), &mut section);
            }
            file.profiles.insert(known, section);
        }
    }

    fn key(
        &mut self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
        prefix: &str,
        section: &mut Section,
    ) {
        let name = key.get_ref().as_ref();
        let at = key.span().start;
        if name == CREDENTIAL {
            section.credentials.extend(self.credentials_of(value));
            return;
        }
        let Some(setting) = by_key(name) else {
            let keys = SETTINGS
                .iter()
                .filter(|setting| setting.in_file)
                .map(|setting| setting.key)
                .chain([CREDENTIAL]);
            let hint = did_you_mean(name, keys).map(|meant| format!("did you mean `{meant}`?"));
            self.complain_with(at, format!("unknown key `{prefix}{name}`"), hint);
            return;
        };
        if !setting.in_file {
            self.complain_with(
                at,
                format!("`{name}` can't be set in the file"),
                Some(format!(
                    "set `{}` or give `--{}`",
                    setting.environment, setting.flag
                )),
            );
            return;
        }
        if setting.kind == Kind::Upstream
            && let DeValue::Array(tables) = value.get_ref()
        {
            for table in tables.iter() {
                section.upstreams.extend(self.upstream(table));
            }
            return;
        }
        match text_of(setting, value.get_ref()) {
            Some(text) => section.values.push(FileValue {
                setting,
                text,
                line: self.line(value.span().start),
            }),
            None => self.complain_with(
                value.span().start,
                format!("`{prefix}{name}` has a value of the wrong type"),
                Some(format!("write `{name} = {}`", setting.example)),
            ),
        }
    }

    /// One `[[upstream]]` table, if it is whole.
    fn upstream(&mut self, value: &Spanned<DeValue<'_>>) -> Option<UpstreamTable> {
        const KEYS: [&str; 5] = ["urls", "mode", "fallback", "ca_file", "credentials"];
        let start = value.span().start;
        let DeValue::Table(table) = value.get_ref() else {
            self.complain_with(
                start,
                "`upstream` must be one text or `[[upstream]]` tables".into(),
                Some("write `upstream = \"https://mirror.example,direct\"`".into()),
            );
            return None;
        };
        let mut urls = Vec::new();
        let mut fall_back = FallBack::Absent;
        let mut mode = None;
        let mut ca_file = None;
        let mut credentials = None;
        for (key, value) in table {
            let at = value.span().start;
            match key.get_ref().as_ref() {
                "urls" => urls = self.urls(value),
                "mode" => mode = self.mode(value),
                "fallback" => match value.get_ref().as_str() {
                    Some("absent") => fall_back = FallBack::Absent,
                    Some("any") => fall_back = FallBack::Any,
                    _ => self.complain_with(
                        at,
                        "`upstream.fallback` must be `\"absent\"` or `\"any\"`".into(),
                        Some("`absent` goes on after 404 and 410 (a comma in a GOPROXY list), `any` after every error (a pipe)".into()),
                    ),
                },
                "ca_file" => ca_file = self.path("upstream.ca_file", value),
                "credentials" => credentials = self.credentials(value),
                other => self.unknown_key("upstream.", other, key.span().start, &KEYS),
            }
        }
        if !table.contains_key("urls") {
            self.complain_with(
                start,
                "`[[upstream]]` without `urls`".into(),
                Some("write `urls = [\"https://mirror.example\"]`".into()),
            );
        }
        (!urls.is_empty()).then(|| UpstreamTable {
            urls,
            fall_back,
            mode,
            ca_file,
            credentials,
            line: self.line(start),
        })
    }

    fn urls(&mut self, value: &Spanned<DeValue<'_>>) -> Vec<(String, usize)> {
        let mut urls = Vec::new();
        let entries = value.get_ref().as_array();
        for entry in entries.into_iter().flat_map(|entries| entries.iter()) {
            match entry.get_ref().as_str() {
                Some(url) => urls.push((url.to_owned(), self.line(entry.span().start))),
                None => self.complain(
                    entry.span().start,
                    "`upstream.urls` has an entry that is no text".into(),
                ),
            }
        }
        if entries.is_none_or(|entries| entries.is_empty()) {
            self.complain_with(
                value.span().start,
                "`upstream.urls` must be an array with at least one URL".into(),
                Some("write `urls = [\"https://mirror.example\"]`".into()),
            );
        }
        urls
    }

    fn mode(&mut self, value: &Spanned<DeValue<'_>>) -> Option<GroupMode> {
        match value.get_ref().as_str() {
            Some("order") => None,
            Some("hedge") => Some(GroupMode::Hedge),
            Some("race") => Some(GroupMode::Race),
            _ => {
                self.complain_with(
                    value.span().start,
                    "`upstream.mode` must be `\"order\"`, `\"hedge\"` or `\"race\"`".into(),
                    Some("`order` asks one after the other, `hedge` another beside one that is slower than usual, `race` all at once".into()),
                );
                None
            }
        }
    }

    fn credentials(&mut self, value: &Spanned<DeValue<'_>>) -> Option<WrittenCredentials> {
        const SHAPE: &str =
            "write `credentials = { user = \"larder\", password_file = \"/etc/larder/password\" }`";
        let DeValue::Table(table) = value.get_ref() else {
            self.complain_with(
                value.span().start,
                "`upstream.credentials` must be a table".into(),
                Some(SHAPE.into()),
            );
            return None;
        };
        let mut user = None;
        let mut password_file = None;
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "user" => user = value.get_ref().as_str().map(str::to_owned),
                "password_file" => {
                    password_file = self.path("upstream.credentials.password_file", value);
                }
                "password" => self.complain_with(
                    key.span().start,
                    "a password can't stand in the settings file".into(),
                    Some("put it into a file of its own and name that as `password_file`".into()),
                ),
                other => self.unknown_key(
                    "upstream.credentials.",
                    other,
                    key.span().start,
                    &["user", "password_file"],
                ),
            }
        }
        match (user, password_file) {
            (Some(user), Some(password_file)) => Some(WrittenCredentials {
                user,
                password_file,
            }),
            _ => {
                self.complain_with(
                    value.span().start,
                    "`upstream.credentials` needs `user` and `password_file`".into(),
                    Some(SHAPE.into()),
                );
                None
            }
        }
    }

    fn path(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> Option<PathBuf> {
        let at = value.span().start;
        let Some(text) = value.get_ref().as_str() else {
            self.complain(at, format!("`{name}` must be a path"));
            return None;
        };
        let given = Given {
            text,
            base: self.base,
        };
        match value::path(&given) {
            Ok(path) => Some(path),
            Err(fault) => {
                let origin = self.origin(at);
                self.complaints.push(fault.into_complaint(name, &origin));
                None
            }
        }
    }

    fn unknown_key(&mut self, prefix: &str, key: &str, at: usize, known: &[&str]) {
        let hint = did_you_mean(key, known.iter().copied())
            .map(|meant| format!("did you mean `{meant}`?"));
        self.complain_with(at, format!("unknown key `{prefix}{key}`"), hint);
    }

    fn complain(&mut self, at: usize, text: String) {
        self.complain_with(at, text, None);
    }

    fn complain_with(&mut self, at: usize, text: String, hint: Option<String>) {
        let origin = self.origin(at);
        self.complaints.push(Complaint {
            origin: Some(origin),
            text,
            hint,
        });
    }

    fn complain_at_line(&mut self, line: usize, text: String) {
        self.complaints.push(Complaint::new(text).at(&Origin::File {
            path: self.path.to_owned(),
            line,
        }));
    }

    fn origin(&self, at: usize) -> Origin {
        Origin::File {
            path: self.path.to_owned(),
            line: self.line(at),
        }
    }

    /// The line, counted from 1, of a byte offset.
    fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().iter().take(at);
        1 + before.filter(|byte| **byte == b'\n').count()
    }
}

/// A TOML value as the text that a flag would have, if the type fits the setting.
fn text_of(setting: &Setting, value: &DeValue<'_>) -> Option<String> {
    match (setting.kind, value) {
        (Kind::Switch, DeValue::Boolean(on)) => Some(on.to_string()),
        (Kind::Choice(["on", "off"]), DeValue::Boolean(on)) => {
            Some(if *on { "on" } else { "off" }.into())
        }
        (Kind::Switch, _) => None,
        (Kind::Count | Kind::Duration | Kind::Size, DeValue::Integer(number)) => {
            Some(number.to_string())
        }
        (Kind::Count, _) => None,
        (Kind::List(_), DeValue::Array(words)) => words
            .iter()
            .map(|word| word.get_ref().as_str())
            .collect::<Option<Vec<&str>>>()
            .map(|words| words.join(",")),
        (_, DeValue::String(text)) => Some(text.to_string()),
        _ => None,
    }
}
