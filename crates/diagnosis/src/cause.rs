//! The catalogue: every cause that a module download can fail of, as data.
//!
//! `explain` and, later, live probes speak only the ids of this table; the pages of
//! `docs/reference/causes` are written from it. Ids hold: scripts and server messages use them.
//!
//! A cause without a parent can be told from a log. A finer one (`parent`) is told by a probe, or by
//! words that say it outright. No cure switches verification off.

mod checksums;
mod configuration;
mod finer;
mod module_proxy;
mod network;
pub mod page;
mod shared_cures;
mod tls;
mod version_control;
mod versions;

use serde::{Serialize, Serializer};

use crate::finding::{Confidence, Subject};

/// One cause.
#[derive(Clone, Copy, Debug)]
pub struct Cause {
    /// Its name for scripts, links and other findings.
    pub id: &'static str,
    /// One line for people.
    pub title: &'static str,
    /// What it means and how it comes about.
    pub meaning: &'static str,
    /// The evidence that proves it.
    pub certain_when: &'static str,
    /// Who can mend it.
    pub whose: Whose,
    /// The coarser cause that is told where the evidence goes no further.
    pub parent: Option<&'static str>,
    /// How much its own message in a log proves.
    pub message_proves: Confidence,
    /// Causes whose messages look the same.
    pub confused_with: &'static [&'static str],
    /// What helps, in lists so that some can be shared.
    pub cures: &'static [&'static [Cure]],
    /// The command that decides, with `{host}`, `{module}` and `{version}` to fill in.
    pub settle: Option<&'static str>,
}

/// Who can mend a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    /// The machine that runs go.
    Client,
    /// Whoever runs the server that was asked.
    Server,
    /// The way between.
    Network,
    /// The hop of HTTP_PROXY or HTTPS_PROXY.
    HttpProxy,
    /// A GOPROXY.
    ModuleProxy,
    /// The checksum database.
    ChecksumDatabase,
    /// Where the module's repository lives, and its author.
    CodeHost,
}

impl Whose {
    /// As JSON spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Network => "network",
            Self::HttpProxy => "http-proxy",
            Self::ModuleProxy => "module-proxy",
            Self::ChecksumDatabase => "checksum-database",
            Self::CodeHost => "code-host",
        }
    }
}

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cure {
    /// On which side.
    pub place: Whose,
    /// `any`, a system (`debian`, `macos`, …) or a program (`docker`, `git`, `nginx`, …).
    pub os: &'static str,
    /// What to do, one sentence.
    pub text: &'static str,
    /// Lines to paste; for a server's configuration, the lines of its file.
    pub commands: &'static [&'static str],
}

impl Serialize for Cure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut fields = serializer.serialize_struct("Cure", 4)?;
        fields.serialize_field("where", self.place.name())?;
        fields.serialize_field("os", self.os)?;
        fields.serialize_field("text", self.text)?;
        fields.serialize_field("commands", self.commands)?;
        fields.end()
    }
}

/// All causes, in the order of the reference.
pub static CAUSES: &[&[Cause]] = &[
    tls::CAUSES,
    network::CAUSES,
    module_proxy::CAUSES,
    version_control::CAUSES,
    checksums::CAUSES,
    configuration::CAUSES,
    versions::CAUSES,
    finer::CAUSES,
];

/// The titles of the groups of [`CAUSES`], one each.
pub const GROUPS: [&str; 8] = [
    "TLS",
    "Network",
    "Module proxy",
    "Private modules and version control",
    "Checksums",
    "Configuration",
    "Versions, paths, disk",
    "Finer causes",
];

/// Every cause, group after group.
pub fn all() -> impl Iterator<Item = &'static Cause> {
    CAUSES.iter().flat_map(|group| group.iter())
}

/// The cause of this id.
pub fn find(id: &str) -> Option<&'static Cause> {
    all().find(|cause| cause.id == id)
}

impl Cause {
    /// The deciding command for this subject; `None` where there is none, or where the subject lacks
    /// what the command needs.
    pub(crate) fn probe(&self, subject: &Subject) -> Option<String> {
        let mut command = self.settle?.to_owned();
        let without_tls = |url: &String| url.starts_with("http://");
        if subject.url.as_ref().is_some_and(without_tls) {
            command = command.replace("https://{host}", "http://{host}");
        }
        let fields = [
            ("{host}", &subject.host),
            ("{module}", &subject.module),
            ("{version}", &subject.version),
        ];
        for (name, value) in fields {
            if command.contains(name) {
                let fallback = name.trim_matches(['{', '}']).to_uppercase();
                // What a log names goes into a command line only if it needs no quoting there.
                let plain = |text: &&String| {
                    text.chars().all(|letter| {
                        letter.is_ascii_alphanumeric() || "._-/:[]+~".contains(letter)
                    }) && !text.starts_with('-')
                };
                let value = value.as_ref().filter(plain).cloned();
                let value = match (name, value) {
                    ("{version}", None) => "latest".to_owned(),
                    (_, value) => value.unwrap_or(fallback),
                };
                command = command.replace(name, &value);
            }
        }
        // Where a port is needed and the log named none, it is that of https.
        let host_has_port = subject.host.as_deref().is_some_and(|host| {
            host.rsplit_once(':')
                .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
        });
        Some(if host_has_port {
            command.replace(":443", "")
        } else {
            command
        })
    }
}

/// A cause told from a log; the rest is added with the functions below.
const fn cause(
    id: &'static str,
    whose: Whose,
    title: &'static str,
    meaning: &'static str,
    certain_when: &'static str,
) -> Cause {
    Cause {
        id,
        title,
        meaning,
        certain_when,
        whose,
        parent: None,
        message_proves: Confidence::Likely,
        confused_with: &[],
        cures: &[],
        settle: None,
    }
}

impl Cause {
    /// The message in a log says it outright.
    const fn said_outright(mut self) -> Self {
        self.message_proves = Confidence::Certain;
        self
    }

    /// The message in a log is that of several causes.
    const fn ambiguous(mut self) -> Self {
        self.message_proves = Confidence::Possible;
        self
    }

    const fn finer_than(mut self, parent: &'static str) -> Self {
        self.parent = Some(parent);
        self
    }

    const fn confused_with(mut self, others: &'static [&'static str]) -> Self {
        self.confused_with = others;
        self
    }

    const fn cured_by(mut self, cures: &'static [&'static [Cure]]) -> Self {
        self.cures = cures;
        self
    }

    const fn settled_by(mut self, command: &'static str) -> Self {
        self.settle = Some(command);
        self
    }
}

/// A cure on the side of the client, for any system.
const fn client(text: &'static str, commands: &'static [&'static str]) -> Cure {
    at(Whose::Client, "any", text, commands)
}

const fn server(text: &'static str, commands: &'static [&'static str]) -> Cure {
    at(Whose::Server, "any", text, commands)
}

const fn at(
    place: Whose,
    os: &'static str,
    text: &'static str,
    commands: &'static [&'static str],
) -> Cure {
    Cure {
        place,
        os,
        text,
        commands,
    }
}

#[cfg(test)]
mod tests;
