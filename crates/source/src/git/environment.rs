//! The two environments that git runs in: transport with the user's own set-up but never a prompt, a hook or
//! a protocol beyond the allowed ones; and reading with nothing of the user's, so that what is read depends
//! on the repository alone.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::path::Path;

use crate::{Credential, GitProtocol, Means};

/// Variables of the user's that would lead git to another repository or let it print secrets.
const NOT_PASSED: &[&str] = &[
    "GIT_DIR",
    "GIT_COMMON_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_QUARANTINE_PATH",
    "GIT_ATTR_SOURCE",
    "GIT_CONFIG",
    "GIT_DEFAULT_HASH",
    "GIT_CURL_VERBOSE",
    "GIT_PREFIX",
    "SSH_ASKPASS",
    "LANGUAGE",
];

/// Name beginnings of the same kind: traces, and larder's own settings with their secrets.
const NOT_PASSED_BEGINNINGS: &[&str] = &["GIT_TRACE", "GIT_TRACE2", "LARDER_"];

/// Settings of transport that the user's own cannot overrule.
const TRANSPORT_CONFIG: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "fetch.recurseSubmodules=no",
    "submodule.recurse=false",
    "fetch.prune=false",
    "fetch.pruneTags=false",
    "fetch.writeCommitGraph=false",
    // What comes is one pack, which appears whole or not at all: a fetch that is stopped leaves no commit
    // without its files.
    "fetch.unpackLimit=1",
    "transfer.unpackLimit=1",
    // A server may not send git to addresses of its own for parts of the answer.
    "transfer.bundleURI=false",
    "fetch.uriProtocols=",
    "credential.interactive=false",
];

/// Settings of reading: the go command's own, and none of a file.
const READING_CONFIG: &[&str] = &[
    "core.autocrlf=input",
    "core.eol=lf",
    "core.attributesFile=/dev/null",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "repack.writeBitmaps=false",
    "protocol.allow=never",
];

/// The variables by which the credential helper learns what it says. Not in any argument list.
const USERNAME: &str = "LARDER_GIT_USERNAME";
const PASSWORD: &str = "LARDER_GIT_PASSWORD";

/// How ssh is called where the user says nothing: it never asks.
const SSH: &str = "ssh -o BatchMode=yes";

/// An argument list's beginning and an environment.
pub(super) struct Setting {
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
}

impl Setting {
    /// Settings that the user's own cannot overrule.
    pub(super) fn config(&mut self, settings: &[&str]) {
        for setting in settings {
            self.arguments.push("-c".into());
            self.arguments.push((*setting).into());
        }
    }

    fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.into(), value.into()));
    }

    /// Settings that no argument list may show, behind those that the user gives the same way.
    pub(super) fn secret_config(&mut self, settings: &[(String, String)]) {
        let count: usize = self
            .value("GIT_CONFIG_COUNT")
            .and_then(|count| count.to_str()?.parse().ok())
            .unwrap_or(0);
        for (at, (key, value)) in (count..).zip(settings) {
            self.set(&format!("GIT_CONFIG_KEY_{at}"), key.as_str());
            self.set(&format!("GIT_CONFIG_VALUE_{at}"), value.as_str());
        }
        self.set("GIT_CONFIG_COUNT", (count + settings.len()).to_string());
    }

    /// Lets git write each packet of its protocol to its standard error. Headers, and so credentials, are in none.
    pub(super) fn show_packets(&mut self) {
        self.set("GIT_TRACE_PACKET", "1");
    }

    fn value(&self, name: &str) -> Option<&OsStr> {
        value(&self.environment, name)
    }

    /// Takes variables away.
    pub(super) fn unset(&mut self, names: &[&str]) {
        self.environment
            .retain(|(known, _)| !names.iter().any(|name| known == name));
    }

    /// Lets ssh be called like this, whatever the user says.
    pub(super) fn ssh(&mut self, command: &str) {
        self.unset(&["GIT_SSH", "GIT_SSH_VARIANT"]);
        self.set("GIT_SSH_COMMAND", command);
    }
}

/// The value of a variable in an environment.
pub(super) fn value<'a>(environment: &'a [(OsString, OsString)], name: &str) -> Option<&'a OsStr> {
    environment
        .iter()
        .rev()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_os_str())
}

/// Transport on the mirror at `folder`, which need not exist yet.
pub(super) fn transport(
    user: &[(OsString, OsString)],
    folder: &Path,
    protocols: &BTreeSet<GitProtocol>,
    user_has_ssh_command: bool,
) -> Setting {
    let environment = user
        .iter()
        .filter(|(name, _)| {
            let name = name.to_string_lossy();
            !NOT_PASSED.contains(&name.as_ref())
                && !NOT_PASSED_BEGINNINGS
                    .iter()
                    .any(|beginning| name.starts_with(beginning))
        })
        .cloned()
        .collect();
    let mut setting = Setting {
        arguments: Vec::new(),
        environment,
    };
    // What the user allows even less of stays disallowed.
    let users = value(user, "GIT_ALLOW_PROTOCOL").map(OsStr::to_string_lossy);
    let allowed: Vec<&str> = protocols
        .iter()
        .map(|protocol| protocol.name())
        .filter(|name| {
            let allows = |users: &str| users.split(':').any(|user| user == *name);
            users.as_deref().is_none_or(allows)
        })
        .collect();
    // Overrules every `protocol.*` setting, those of unknown transports too.
    setting.set("GIT_ALLOW_PROTOCOL", allowed.join(":"));
    setting.set("GIT_DIR", folder);
    setting.set("GIT_TERMINAL_PROMPT", "0");
    setting.set("GIT_ASKPASS", "");
    setting.set("SSH_ASKPASS_REQUIRE", "never");
    setting.set("GCM_INTERACTIVE", "never");
    // The phrases that failures are told by.
    setting.set("LC_ALL", "C");
    setting.config(TRANSPORT_CONFIG);
    let user_says =
        setting.value("GIT_SSH_COMMAND").is_some() || setting.value("GIT_SSH").is_some();
    if !user_says && !user_has_ssh_command {
        setting.set("GIT_SSH_COMMAND", SSH);
    }
    setting
}

/// Variables that send git's HTTP library to a proxy, or past one.
const PROXY_VARIABLES: &[&str] = &[
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];

/// Sends all HTTP of an address, redirects included, through a proxy of ours. Its URL is a secret.
pub(super) fn through_proxy(setting: &mut Setting, url: &str, proxy: &str) {
    setting.unset(PROXY_VARIABLES);
    // The one for the whole address wins over whatever the user wrote for a part of it.
    setting.secret_config(&[
        ("http.proxy".to_owned(), proxy.to_owned()),
        (format!("http.{url}.proxy"), proxy.to_owned()),
    ]);
}

/// Lets ssh go to this address of the host and nowhere else, under the host's own key.
pub(super) fn pin_ssh(setting: &mut Setting, host: &str, port: Option<u16>, address: IpAddr) {
    let alias = match port {
        Some(port) if port != 22 => format!("[{host}]:{port}"),
        _ => host.to_owned(),
    };
    let command = setting
        .value("GIT_SSH_COMMAND")
        .and_then(OsStr::to_str)
        .unwrap_or(SSH)
        .to_owned();
    setting.ssh(&format!(
        "{command} -o HostName={address} -o HostKeyAlias={} -o ProxyCommand=none -o ProxyJump=none",
        shell_quoted(&alias)
    ));
}

/// True if the user says how ssh is to be called.
pub(super) fn has_ssh_command(user: &[(OsString, OsString)]) -> bool {
    value(user, "GIT_SSH_COMMAND").is_some() || value(user, "GIT_SSH").is_some()
}

/// Gives git what a rule grants for an address. `origin` is scheme, host and port: a redirect to another host
/// gets nothing.
pub(super) fn grant(setting: &mut Setting, credential: &Credential, origin: &str) {
    match &credential.means {
        Means::Password { username, password } => {
            setting.set(USERNAME, username.as_str());
            setting.set(PASSWORD, password.expose());
            let helper = format!(
                "!f() {{ test \"$1\" = get && printf 'username=%s\\npassword=%s\\n' \"${USERNAME}\" \"${PASSWORD}\"; }}; f"
            );
            let scoped = format!("credential.{origin}.helper={helper}");
            // The empty one forgets the user's own helpers: the rule was chosen for this address.
            setting.config(&["credential.helper=", &scoped]);
        }
        Means::SshKey { file } => {
            let key = shell_quoted(&file.to_string_lossy());
            setting.ssh(&format!("{SSH} -i {key} -o IdentitiesOnly=yes"));
        }
    }
}

/// Reading the mirror at `folder`.
pub(super) fn reading(user: &[(OsString, OsString)], folder: &Path) -> Setting {
    let mut setting = Setting {
        arguments: Vec::new(),
        environment: Vec::new(),
    };
    if let Some(path) = value(user, "PATH") {
        setting.set("PATH", path);
    }
    // Where git's own programs lie is the installation's matter.
    if let Some(path) = value(user, "GIT_EXEC_PATH") {
        setting.set("GIT_EXEC_PATH", path);
    }
    for (name, value) in [
        ("HOME", "/dev/null"),
        ("XDG_CONFIG_HOME", "/dev/null"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_SYSTEM", "/dev/null"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        ("GIT_NO_REPLACE_OBJECTS", "1"),
        ("GIT_NO_LAZY_FETCH", "1"),
        ("GIT_LITERAL_PATHSPECS", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_ALLOW_PROTOCOL", ""),
        ("LC_ALL", "C"),
    ] {
        setting.set(name, value);
    }
    setting.set("GIT_DIR", folder);
    setting.config(READING_CONFIG);
    setting
}

/// A text as one word of a shell.
pub(super) fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn the_users_set_up_reaches_transport_and_nothing_that_leads_elsewhere() {
        let user = pairs(&[
            ("HOME", "/home/ann"),
            ("SSH_AUTH_SOCK", "/run/agent"),
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "http.sslCAInfo"),
            ("GIT_DIR", "/elsewhere"),
            ("GIT_TRACE_CURL", "1"),
            ("LARDER_TOKEN", "s3cret"),
            ("GIT_ALLOW_PROTOCOL", "ext:https"),
            ("GIT_TERMINAL_PROMPT", "1"),
        ]);
        let setting = transport(
            &user,
            Path::new("/m"),
            &BTreeSet::from([GitProtocol::Https, GitProtocol::Ssh]),
            false,
        );
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(setting.value(name), expected.map(OsStr::new), "{name}");
        };
        check("HOME", Some("/home/ann"));
        check("SSH_AUTH_SOCK", Some("/run/agent"));
        check("GIT_CONFIG_KEY_0", Some("http.sslCAInfo"));
        check("GIT_DIR", Some("/m"));
        check("GIT_TRACE_CURL", None);
        check("LARDER_TOKEN", None);
        check("GIT_ALLOW_PROTOCOL", Some("https"));
        check("GIT_TERMINAL_PROMPT", Some("0"));
        check("GIT_SSH_COMMAND", Some("ssh -o BatchMode=yes"));
    }

    #[test]
    fn a_password_is_in_no_argument_and_a_key_is_one_word() {
        let grant_of = |means: Means| {
            let mut setting = transport(&[], Path::new("/m"), &BTreeSet::new(), false);
            let credential = Credential {
                rule: "a rule".into(),
                means,
            };
            grant(&mut setting, &credential, "https://git.example:8443");
            setting
        };
        let setting = grant_of(Means::Password {
            username: "ann".to_owned(),
            password: Secret::new("s3cret"),
        });
        let arguments = format!("{:?}", setting.arguments);
        assert!(!arguments.contains("s3cret"), "{arguments}");
        assert!(arguments.contains("credential.https://git.example:8443.helper=!f()"));
        assert_eq!(setting.value(PASSWORD), Some(OsStr::new("s3cret")));
        let setting = grant_of(Means::SshKey {
            file: "/keys/o'brien; rm".into(),
        });
        assert_eq!(
            setting.value("GIT_SSH_COMMAND"),
            Some(OsStr::new(
                r"ssh -o BatchMode=yes -i '/keys/o'\''brien; rm' -o IdentitiesOnly=yes"
            ))
        );
    }

    #[test]
    fn secret_settings_stand_behind_the_users() {
        let user = pairs(&[("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "a.b")]);
        let mut setting = transport(&user, Path::new("/m"), &BTreeSet::new(), false);
        setting.secret_config(&[("http.proxy".to_owned(), "x".to_owned())]);
        assert_eq!(setting.value("GIT_CONFIG_COUNT"), Some(OsStr::new("2")));
        assert_eq!(setting.value("GIT_CONFIG_KEY_0"), Some(OsStr::new("a.b")));
        assert_eq!(
            setting.value("GIT_CONFIG_KEY_1"),
            Some(OsStr::new("http.proxy"))
        );
    }

    #[test]
    fn reading_knows_nothing_of_the_user() {
        let user = pairs(&[
            ("HOME", "/home/ann"),
            ("PATH", "/bin"),
            ("GIT_CONFIG_COUNT", "1"),
        ]);
        let setting = reading(&user, Path::new("/m"));
        assert_eq!(setting.value("HOME"), Some(OsStr::new("/dev/null")));
        assert_eq!(setting.value("PATH"), Some(OsStr::new("/bin")));
        assert_eq!(setting.value("GIT_CONFIG_COUNT"), None);
    }
}
