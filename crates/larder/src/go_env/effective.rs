//! The go environment as the go command would see it, with the layer that each value comes from.
//!
//! For `larder env` and `larder doctor`. Only the variables that decide where modules come from.

use super::GoEnv;
use crate::settings::origin::GoEnvPlace;
use gomod::{ProxyEntry, ProxyList, SafeUrl};

/// A variable that decides where modules come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    /// What it decides, in a few words.
    pub(crate) about: &'static str,
    /// Whether the go command reads it from its own files too, so that `go env -w` can set it.
    pub(crate) in_go_files: bool,
}

const fn go(name: &'static str, about: &'static str) -> Known {
    Known {
        name,
        about,
        in_go_files: true,
    }
}

const fn system(name: &'static str, about: &'static str) -> Known {
    Known {
        name,
        about,
        in_go_files: false,
    }
}

/// Go's own variables, then those of the system that its connections obey (`go help environment`).
pub(crate) const KNOWN: &[Known] = &[
    go("GOPROXY", "where modules are asked for, in order"),
    go("GOPRIVATE", "private names: no proxy, no checksum database"),
    go("GONOPROXY", "names that no proxy is asked for"),
    go(
        "GONOSUMDB",
        "names that the checksum database is not asked for",
    ),
    go("GOSUMDB", "the checksum database"),
    go(
        "GOINSECURE",
        "names that may be fetched without TLS, directly",
    ),
    go("GOVCS", "which version control may fetch what"),
    go("GOAUTH", "where passwords come from"),
    go("GOFLAGS", "flags of every go command"),
    go("GOTOOLCHAIN", "which Go is used"),
    go("GO111MODULE", "whether modules are used at all"),
    go("GOPATH", "the folder of Go's own files"),
    go("GOMODCACHE", "the folder of downloaded modules"),
    system("GOENV", "the file that `go env -w` writes"),
    system("HTTPS_PROXY", "the HTTP proxy of https requests"),
    system("HTTP_PROXY", "the HTTP proxy of http requests"),
    system("NO_PROXY", "hosts that are reached without one"),
    system("SSL_CERT_FILE", "the certificates that are trusted"),
    system("SSL_CERT_DIR", "folders of certificates that are trusted"),
    system("NETRC", "the file of passwords"),
];

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    Environment {
        /// Its name there: proxies may be written in lower case.
        name: String,
    },
    /// The file that `go env -w` writes.
    UserFile { place: String },
    /// The `go.env` of the Go installation.
    Installation { place: String },
    /// Another variable, whose value is the default of this one.
    From(&'static str),
    /// Go's own rule.
    GoDefault,
    /// It has no value.
    Unset,
}

impl Layer {
    /// The layer's name, for machines.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Environment { .. } => "environment",
            Self::UserFile { .. } => "go env file",
            Self::Installation { .. } => "installation",
            Self::From(_) => "derived",
            Self::GoDefault => "default",
            Self::Unset => "unset",
        }
    }

    /// Where to look.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Environment { name } => format!("environment: {name}"),
            Self::UserFile { place } => format!("go env -w: {place}"),
            Self::Installation { place } => format!("installation: {place}"),
            Self::From(variable) => format!("from {variable}"),
            Self::GoDefault => "go's default".into(),
            Self::Unset => "not set".into(),
        }
    }
}

/// A variable and what it comes to.
#[derive(Clone, Debug)]
pub(crate) struct Effective {
    pub(crate) known: Known,
    /// As go would use it; may hold a password.
    pub(crate) value: String,
    pub(crate) layer: Layer,
    /// What is written for it elsewhere and does not count.
    pub(crate) hidden: Vec<(String, Layer)>,
}

impl Effective {
    /// The value without passwords.
    pub(crate) fn shown(&self) -> String {
        without_passwords(&self.value)
    }
}

/// Every known variable.
pub(crate) fn effective(go_env: &GoEnv) -> Vec<Effective> {
    KNOWN.iter().map(|known| one(go_env, *known)).collect()
}

/// One variable.
pub(crate) fn one(go_env: &GoEnv, known: Known) -> Effective {
    let environment = go_env.environment();
    let mut written: Vec<(String, Layer)> = if known.in_go_files {
        go_env
            .every_place(known.name)
            .into_iter()
            .map(|(value, place)| (value, layer(go_env, known.name, place)))
            .collect()
    } else {
        // Go reads the proxies in capitals first.
        [known.name.to_owned(), known.name.to_lowercase()]
            .into_iter()
            .filter(|name| name == known.name || is_proxy_variable(known.name))
            .filter_map(|name| Some((environment.text(&name)?, Layer::Environment { name })))
            .collect()
    };
    let (value, layer) = match written.is_empty() {
        false => match written.remove(0) {
            // An empty line of the user's file hides the installation's value.
            (value, Layer::UserFile { .. }) if value.is_empty() => default(go_env, known.name),
            found => found,
        },
        true => default(go_env, known.name),
    };
    Effective {
        known,
        value,
        layer,
        hidden: written,
    }
}

/// The value of one of [`KNOWN`], by its name; empty where it has none.
pub(crate) fn value(go_env: &GoEnv, name: &str) -> String {
    KNOWN
        .iter()
        .find(|known| known.name == name)
        .map(|known| one(go_env, *known).value)
        .unwrap_or_default()
}

fn is_proxy_variable(name: &str) -> bool {
    matches!(name, "HTTP_PROXY" | "HTTPS_PROXY" | "NO_PROXY")
}

fn layer(go_env: &GoEnv, name: &str, place: GoEnvPlace) -> Layer {
    match place {
        GoEnvPlace::Environment => Layer::Environment {
            name: name.to_owned(),
        },
        GoEnvPlace::File { path, line } => {
            let place = format!("{}:{line}", path.display());
            match go_env.is_user_file(&path) {
                true => Layer::UserFile { place },
                false => Layer::Installation { place },
            }
        }
    }
}

/// What holds where nothing is written (`cfg`'s initialisers).
fn default(go_env: &GoEnv, name: &str) -> (String, Layer) {
    let environment = go_env.environment();
    let ours = |value: String| (value, Layer::GoDefault);
    match name {
        "GONOPROXY" | "GONOSUMDB" => match value(go_env, "GOPRIVATE") {
            private if private.is_empty() => (private, Layer::Unset),
            private => (private, Layer::From("GOPRIVATE")),
        },
        "GOVCS" => ours("public:git|hg,private:all".into()),
        "GOAUTH" => ours("netrc".into()),
        "GO111MODULE" => ours("on".into()),
        "GOENV" => match super::user_file(environment) {
            Some(file) => ours(file.display().to_string()),
            None => (String::new(), Layer::Unset),
        },
        "GOPATH" => match environment.path("HOME") {
            Some(home) => ours(home.join("go").display().to_string()),
            None => (String::new(), Layer::Unset),
        },
        "GOMODCACHE" => {
            let path = value(go_env, "GOPATH");
            match std::env::split_paths(&path).next() {
                Some(first) if !first.as_os_str().is_empty() => (
                    first.join("pkg").join("mod").display().to_string(),
                    Layer::From("GOPATH"),
                ),
                _ => (String::new(), Layer::Unset),
            }
        }
        _ => (String::new(), Layer::Unset),
    }
}

/// A value with the passwords of its URLs left out. What looks like a URL with a user and cannot be read
/// loses everything before the `@`.
pub(crate) fn without_passwords(value: &str) -> String {
    let mut shown = String::with_capacity(value.len());
    for part in value.split_inclusive([',', '|', ' ']) {
        let (word, separator) = match part.char_indices().next_back() {
            Some((at, last @ (',' | '|' | ' '))) => {
                (part.get(..at).unwrap_or_default(), Some(last))
            }
            _ => (part, None),
        };
        if !word.contains('@') {
            shown.push_str(word);
        } else {
            match SafeUrl::parse(word) {
                Ok(url) if url.has_credentials() => shown.push_str(&url.to_string()),
                Ok(url) if url.host().is_some() => shown.push_str(word),
                // `user:password@host:port` reads as a URL with the scheme `user`.
                Ok(_) | Err(_) => {
                    let host = word.rsplit_once('@').map_or(word, |(_, host)| host);
                    shown.push_str("…@");
                    shown.push_str(host);
                }
            }
        }
        shown.extend(separator);
    }
    shown
}

/// The entries of GOPROXY, where it can be read.
pub(crate) fn proxies(go_env: &GoEnv) -> Option<Vec<ProxyEntry>> {
    let list = ProxyList::parse(&value(go_env, "GOPROXY")).ok()?;
    Some(list.entries().to_vec())
}
