//! The settings as they were written: every layer laid over the one before, with where each value
//! came from.
//!
//! Every value that is written anywhere is checked, also those that a stronger layer replaces: a
//! faulty line is a fault on the day on which it is written, not on the day on which it counts.

use super::complaint::{Complaint, did_you_mean};
use super::environment::Environment;
use super::file::{self, CredentialTable, Section, UpstreamTable};
use super::origin::{GoEnvPlace, Origin};
use super::table::{Draft, PROFILES, SETTINGS, Setting, by_key};
use super::value::Given;
use crate::go_env::GoEnv;
use source::SECRET_VARIABLES;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Which command the settings are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A server for others.
    #[default]
    Serve,
    /// A server for one command: on a free port of this machine alone, without TLS, unless flags
    /// say otherwise, and quiet unless something else says otherwise.
    Exec,
}

/// One value and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

/// All layers, laid over each other.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// By key; what is set nowhere and has no default is missing.
    pub(crate) entries: BTreeMap<&'static str, Entry>,
    /// Instead of the entry called `upstream`.
    pub(crate) upstream_tables: Vec<UpstreamTable>,
    /// Where those came from.
    pub(crate) upstream_tables_origin: Option<Origin>,
    /// `[[credential]]` tables of the file, then of the profile, with where each came from.
    pub(crate) credential_tables: Vec<(CredentialTable, Origin)>,
    /// The parsed values of the entries.
    pub(crate) draft: Draft,
    pub(crate) complaints: Vec<Complaint>,
    pub(crate) warnings: Vec<String>,
    /// What it takes, besides the environment, to read all of this again.
    pub(crate) layers: Layers,
}

/// The flags that were given, and what for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layers {
    pub(crate) flags: Vec<(&'static str, String)>,
    pub(crate) purpose: Purpose,
}

impl Written {
    /// Reads all layers. `flags` are key and text, as given.
    pub(crate) fn collect(
        flags: &[(&'static str, String)],
        environment: &Environment,
        purpose: Purpose,
    ) -> Self {
        let mut written = Self {
            layers: Layers {
                flags: flags.to_vec(),
                purpose,
            },
            ..Self::default()
        };
        for setting in SETTINGS {
            if let Some(text) = setting.default.text() {
                written.lay(setting, text, Path::new(""), Origin::Default);
            }
        }
        if purpose == Purpose::Exec {
            written.lay_command("access_log", "off");
            written.lay_command("log_level", "warn");
        }
        let pick = |key: &str| pick(key, flags, environment);
        written.lay_file(pick("config"), pick("profile"));
        if purpose == Purpose::Exec {
            written.forget_the_servers_address();
        }
        written.lay_environment(environment, purpose);
        for (key, text) in flags {
            if let Some(setting) = by_key(key) {
                let origin = Origin::Flag {
                    flag: setting.flag.into(),
                };
                written.lay(setting, text, Path::new(""), origin);
            }
        }
        written.lay_go_env(environment);
        written
    }

    /// Lays one value over what is there. A text that can't be parsed is complained about and
    /// leaves the weaker value in place.
    fn lay(&mut self, setting: &'static Setting, text: &str, base: &Path, origin: Origin) {
        let given = Given { text, base };
        if let Err(fault) = (setting.apply)(&mut self.draft, &given) {
            let complaint = fault.into_complaint(setting.key, &origin);
            self.complaints.push(complaint);
            return;
        }
        if setting.key == "upstream" {
            self.upstream_tables.clear();
            self.upstream_tables_origin = None;
        }
        let entry = Entry {
            text: text.into(),
            origin,
        };
        self.entries.insert(setting.key, entry);
    }

    fn lay_upstream_tables(&mut self, tables: &[UpstreamTable], origin: Origin) {
        self.entries.remove("upstream");
        self.draft.upstream = None;
        self.upstream_tables = tables.to_vec();
        self.upstream_tables_origin = Some(origin);
    }

    fn lay_file(&mut self, config: Option<String>, profile: Option<String>) {
        let path = config.map(PathBuf::from);
        let file = match &path {
            Some(path) => file::read(path, &mut self.complaints),
            None => file::SettingsFile::default(),
        };
        let path = path.unwrap_or_default();
        self.lay_section(&file.main, &path, |line| Origin::File {
            path: path.clone(),
            line,
        });
        for (name, built_in) in PROFILES {
            let section = file.profiles.get(name);
            if profile.as_deref() == Some(name) {
                self.lay_built_in(name, built_in);
                if let Some(section) = section {
                    self.lay_section(section, &path, |line| Origin::Profile {
                        profile: (*name).into(),
                        path: path.clone(),
                        line,
                    });
                }
            } else if let Some(section) = section {
                // Not in use, but checked: laid over a copy that only its complaints leave.
                let mut aside = Self::default();
                aside.lay_section(section, &path, |line| Origin::Profile {
                    profile: (*name).into(),
                    path: path.clone(),
                    line,
                });
                self.complaints.append(&mut aside.complaints);
            }
        }
    }

    fn lay_built_in(&mut self, profile: &str, values: &[(&str, &str)]) {
        for (key, text) in values {
            if let Some(setting) = by_key(key) {
                let origin = Origin::BuiltInProfile {
                    profile: profile.into(),
                };
                self.lay(setting, text, Path::new(""), origin);
            }
        }
    }

    fn lay_section(&mut self, section: &Section, path: &Path, origin: impl Fn(usize) -> Origin) {
        let base = path.parent().unwrap_or_else(|| Path::new(""));
        for value in &section.values {
            self.lay(value.setting, &value.text, base, origin(value.line));
        }
        if let Some(first) = section.upstreams.first() {
            self.lay_upstream_tables(&section.upstreams, origin(first.line));
        }
        // Tables of all layers hold together; for the same place the later one does.
        let tables = section.credentials.iter();
        self.credential_tables
            .extend(tables.map(|table| (table.clone(), origin(table.line))));
    }

    fn lay_environment(&mut self, environment: &Environment, purpose: Purpose) {
        for setting in SETTINGS {
            let Some(value) = environment.os(setting.environment) else {
                continue;
            };
            if purpose == Purpose::Exec && ADDRESS_KEYS.contains(&setting.key) {
                continue;
            }
            let origin = Origin::Environment {
                variable: setting.environment.into(),
            };
            match value.to_str() {
                Some(text) => self.lay(setting, text, Path::new(""), origin),
                None => self
                    .complaints
                    .push(Complaint::new("its value is not UTF-8").at(&origin)),
            }
        }
        self.warn_of_misspelt_variables(environment);
    }

    /// A warning and no fault: orchestrators set variables of this prefix for a service of this
    /// name (`LARDER_PORT`, `LARDER_SERVICE_HOST`).
    fn warn_of_misspelt_variables(&mut self, environment: &Environment) {
        let known = || SETTINGS.iter().map(|setting| setting.environment);
        for name in environment.names_with_prefix("LARDER_") {
            if known().any(|environment| environment == name) || SECRET_VARIABLES.contains(&name) {
                continue;
            }
            let known = known().chain(SECRET_VARIABLES);
            let suffixes = known.filter_map(|known| known.strip_prefix("LARDER_"));
            let written = name.strip_prefix("LARDER_").unwrap_or(name);
            if let Some(meant) = did_you_mean(written, suffixes) {
                self.warnings.push(format!(
                    "`{name}` is no setting; did you mean `LARDER_{meant}`?"
                ));
            }
        }
    }

    /// What is written for the server does not hold for the proxy of one command, which would meet
    /// the server at its port and whose client would not trust its certificate.
    fn forget_the_servers_address(&mut self) {
        for key in ADDRESS_KEYS {
            self.entries.remove(key);
        }
        self.draft.tls_cert = None;
        self.draft.tls_key = None;
        self.lay_command("listen", "127.0.0.1:0");
    }

    /// What `larder exec` means by itself: its output is its command's.
    fn lay_command(&mut self, key: &str, text: &str) {
        if let Some(setting) = by_key(key) {
            let origin = Origin::Command { command: "exec" };
            self.lay(setting, text, Path::new(""), origin);
        }
    }

    /// Fills in what no layer has written.
    fn lay_go_env(&mut self, environment: &Environment) {
        let mut go_env = None;
        for setting in SETTINGS {
            let variables = setting.default.go_variables();
            if variables.is_empty() || self.is_written(setting) {
                continue;
            }
            let go_env = go_env.get_or_insert_with(|| GoEnv::read(environment));
            let found = variables.iter().find_map(|variable| {
                let (text, place) = go_env.lookup(variable)?;
                let says_which = (*variable, text.as_str()) != NO_EXCEPTIONS;
                says_which.then_some((*variable, text, place))
            });
            if let Some((variable, text, place)) = found {
                self.lay_from_go(setting, variable, &text, place);
            }
        }
    }

    fn is_written(&self, setting: &Setting) -> bool {
        let entry = self.entries.get(setting.key);
        entry.is_some_and(|entry| entry.origin != Origin::Default)
            || (setting.key == "upstream" && self.upstream_tables_origin.is_some())
    }

    fn lay_from_go(
        &mut self,
        setting: &'static Setting,
        variable: &'static str,
        text: &str,
        place: GoEnvPlace,
    ) {
        let origin = Origin::GoEnv { variable, place };
        self.lay(setting, text, Path::new(""), origin);
    }
}

/// Makes go ask its proxy for private modules too, as the line that Larder prints does. It doesn't say
/// that there are none: their names must not go past Larder because its shell has that line.
const NO_EXCEPTIONS: (&str, &str) = ("GONOPROXY", "none");

/// What `larder exec` takes from its own flags alone.
const ADDRESS_KEYS: [&str; 3] = ["listen", "tls_cert", "tls_key"];

/// The text of a setting that picks the other layers, from the two layers that may set it.
fn pick(key: &str, flags: &[(&'static str, String)], environment: &Environment) -> Option<String> {
    let flag = flags.iter().rev().find(|(flag, _)| *flag == key);
    match flag {
        Some((_, text)) => Some(text.clone()),
        None => environment.text(by_key(key)?.environment),
    }
}
