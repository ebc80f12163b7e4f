//! What is odd in a go environment: contradictions, values that do nothing, names that go where they
//! should not. For `larder env` and `larder doctor`.
//!
//! Each remark rests on what the go command does (`go help environment`, `modfetch`, `cfg`), not on taste.
//! Looks at the files that the environment names; asks no server.

use super::GoEnv;
use super::effective::{self, Effective, Layer};
use gomod::{FallBack, PathPatterns, ProxyEntry};
use serde::Serialize;
use std::path::Path;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Commands fail, or nothing is verified.
    Error,
    /// Does not do what it seems to.
    Warning,
    /// Good to know.
    Note,
}

/// One oddity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Remark {
    /// A stable name.
    pub(crate) rule: &'static str,
    pub(crate) severity: Severity,
    pub(crate) variable: &'static str,
    /// Where the value stands.
    pub(crate) place: String,
    /// What is odd, and what follows from it.
    pub(crate) text: String,
    /// What to do.
    pub(crate) cure: String,
    /// A page of the reference of causes, where one fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<&'static str>,
}

/// Everything odd, the worst first.
pub(crate) fn lint(go_env: &GoEnv) -> Vec<Remark> {
    let mut linter = Linter {
        go_env,
        variables: effective::effective(go_env),
        remarks: Vec::new(),
    };
    linter.empty_exports();
    linter.hidden_values();
    linter.proxy_list();
    linter.public_before_private();
    linter.patterns();
    linter.private_names();
    linter.checksum_database();
    linter.insecure();
    linter.flags();
    linter.modules_off();
    linter.http_proxies();
    linter.files();
    linter.remarks.sort_by_key(|remark| remark.severity);
    linter.remarks
}

struct Linter<'a> {
    go_env: &'a GoEnv,
    variables: Vec<Effective>,
    remarks: Vec<Remark>,
}

impl Linter<'_> {
    fn variable(&self, name: &str) -> Option<&Effective> {
        self.variables
            .iter()
            .find(|variable| variable.known.name == name)
    }

    fn value(&self, name: &str) -> String {
        self.variable(name)
            .map(|variable| variable.value.clone())
            .unwrap_or_default()
    }

    fn is_written(&self, name: &str) -> bool {
        self.variable(name).is_some_and(|variable| {
            matches!(
                variable.layer,
                Layer::Environment { .. } | Layer::UserFile { .. }
            )
        })
    }

    fn remark(
        &mut self,
        rule: &'static str,
        severity: Severity,
        variable: &'static str,
        text: impl Into<String>,
        cure: impl Into<String>,
    ) -> &mut Remark {
        let place = self
            .variable(variable)
            .map(|variable| variable.layer.place())
            .unwrap_or_default();
        self.remarks.push(Remark {
            rule,
            severity,
            variable,
            place,
            text: text.into(),
            cure: cure.into(),
            cause: None,
        });
        self.remarks
            .last_mut()
            .expect("a remark was pushed just now")
    }

    fn empty_exports(&mut self) {
        for known in effective::KNOWN {
            if known.in_go_files && self.go_env.environment().is_empty(known.name) {
                let name = known.name;
                let nothing = match name {
                    "GOPROXY" | "GOSUMDB" | "GO111MODULE" => " (`off` switches it off)",
                    "GOPRIVATE" | "GONOPROXY" | "GONOSUMDB" => " (`none` covers nothing)",
                    _ => "",
                };
                self.remark(
                    "empty-export",
                    Severity::Note,
                    name,
                    format!("{name} is exported without a value: go takes it as not set, and looks into its files"),
                    format!("unset {name}, or give it a value{nothing}"),
                );
            }
        }
    }

    fn hidden_values(&mut self) {
        let hidden: Vec<(&'static str, String)> = self
            .variables
            .iter()
            .filter(|variable| matches!(variable.layer, Layer::Environment { .. }))
            .filter_map(|variable| {
                let (value, layer) = variable.hidden.iter().find(|(value, layer)| {
                    matches!(layer, Layer::UserFile { .. }) && *value != variable.value
                })?;
                let value = effective::without_passwords(value);
                let text = format!(
                    "the environment's value hides `{value}` ({}): `go env -w` changes nothing here",
                    layer.place()
                );
                Some((variable.known.name, text))
            })
            .collect();
        for (name, text) in hidden {
            let cure = format!("unset {name} where it is exported, or `go env -u {name}`");
            self.remark("hidden-value", Severity::Note, name, text, cure);
        }
    }

    fn proxy_list(&mut self) {
        let text = self.value("GOPROXY");
        if text.is_empty() {
            return;
        }
        if effective::proxies(self.go_env).is_none() {
            self.remark(
                "goproxy-unreadable",
                Severity::Error,
                "GOPROXY",
                "GOPROXY is no list that go accepts: no command can download anything",
                "write URLs, `direct` or `off`, separated by `,` or `|`",
            )
            .cause = Some("goproxy-config");
            return;
        }
        let words: Vec<&str> = text.split([',', '|']).map(str::trim).collect();
        if let Some(end) = words
            .iter()
            .position(|word| matches!(*word, "direct" | "off"))
            && words.iter().skip(end + 1).any(|word| !word.is_empty())
        {
            self.remark(
                "goproxy-after-end",
                Severity::Warning,
                "GOPROXY",
                "what stands behind `direct` or `off` is never asked",
                "put `direct` or `off` last",
            )
            .cause = Some("goproxy-config");
        }
        if words == ["off"] {
            self.remark(
                "goproxy-off",
                Severity::Warning,
                "GOPROXY",
                "GOPROXY=off: what is not in the module cache fails, public or not",
                "`go env -u GOPROXY`, or `larder env use public`",
            )
            .cause = Some("goproxy-off");
        }
        let entries = effective::proxies(self.go_env).unwrap_or_default();
        for entry in &entries {
            let ProxyEntry::Proxy(proxy) = entry else {
                continue;
            };
            let url = proxy.url.expose();
            let host = url.host_str().unwrap_or_default();
            let is_local = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
            if url.scheme() == "http" && proxy.url.has_credentials() && !is_local {
                self.remark(
                    "goproxy-password-in-clear",
                    Severity::Warning,
                    "GOPROXY",
                    format!("the password for `{host}` is sent without TLS"),
                    "use https, and put the password into .netrc",
                );
            } else if proxy.url.has_credentials() {
                self.remark(
                    "goproxy-password",
                    Severity::Note,
                    "GOPROXY",
                    format!("the password for `{host}` stands in GOPROXY, which `go env` and build logs print"),
                    "put it into .netrc: `machine HOST login USER password PASSWORD`",
                );
            }
        }
    }

    /// The installation's own list is the one public list that we know of.
    fn public_before_private(&mut self) {
        let Some(installed) = self.go_env.installed("GOPROXY") else {
            return;
        };
        let public: Vec<String> = gomod::ProxyList::parse(installed)
            .map(|list| hosts(list.entries()))
            .unwrap_or_default();
        let entries = effective::proxies(self.go_env).unwrap_or_default();
        let hosts_in_order = hosts(&entries);
        let first_public = hosts_in_order.iter().position(|host| public.contains(host));
        let last_own = hosts_in_order
            .iter()
            .rposition(|host| !public.contains(host));
        if let (Some(first_public), Some(last_own)) = (first_public, last_own)
            && first_public < last_own
        {
            let text = format!(
                "the public proxy is asked before `{}`: it hears of every name, private ones too",
                hosts_in_order.get(last_own).map_or("", String::as_str)
            );
            self.remark(
                "public-before-private",
                Severity::Warning,
                "GOPROXY",
                text,
                "put your own proxy first; let it ask the public one",
            )
            .cause = Some("private-not-excluded");
        }
        let any = entries.iter().any(
            |entry| matches!(entry, ProxyEntry::Proxy(proxy) if proxy.fall_back == FallBack::Any),
        );
        if any && !self.value("GOPRIVATE").is_empty() && self.value("GONOPROXY") == "none" {
            self.remark(
                "fall-back-carries-names",
                Severity::Warning,
                "GOPROXY",
                "`|` asks the next entry whenever one fails: an outage of your proxy carries private names to it",
                "separate the entries by `,`",
            );
        }
    }

    fn patterns(&mut self) {
        for name in ["GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOINSECURE"] {
            if !self.is_written(name) {
                continue;
            }
            for pattern in self.value(name).split(',') {
                if let Some((reason, cure)) = pattern_fault(pattern) {
                    self.remark(
                        "pattern-matches-nothing",
                        Severity::Warning,
                        name,
                        format!("the pattern `{pattern}` of {name} matches nothing: {reason}"),
                        cure,
                    )
                    .cause = Some("private-not-excluded");
                }
            }
        }
    }

    fn private_names(&mut self) {
        let private = self.value("GOPRIVATE");
        let no_proxy = self.value("GONOPROXY");
        let no_sumdb = self.value("GONOSUMDB");
        if self.is_written("GONOPROXY")
            && no_proxy != "none"
            && !(self.is_written("GONOSUMDB") && first_uncovered(&private, &no_sumdb).is_some())
            && self.value("GOSUMDB") != "off"
            && let Some(uncovered) = first_uncovered(&no_proxy, &no_sumdb)
        {
            self.remark(
                "private-asked-of-database",
                Severity::Error,
                "GONOPROXY",
                format!(
                    "`{uncovered}` bypasses the proxies, but the checksum database is asked for its names: they leak, and \
                     `go get` fails with 404 or 410"
                ),
                format!("`go env -w GOPRIVATE={no_proxy}` sets both"),
            )
            .cause = Some("private-not-excluded");
        }
        if self.is_written("GONOSUMDB")
            && self.value("GOSUMDB") != "off"
            && let Some(uncovered) = first_uncovered(&private, &no_sumdb)
        {
            self.remark(
                "private-asked-of-database",
                Severity::Error,
                "GONOSUMDB",
                format!(
                    "`{uncovered}` is in GOPRIVATE, but GONOSUMDB replaces it there: the checksum database is asked for its \
                     names, and `go get` fails with 404 or 410"
                ),
                "unset GONOSUMDB, or repeat the pattern there",
            )
            .cause = Some("private-not-excluded");
        }
        if !private.is_empty()
            && self.is_written("GONOPROXY")
            && no_proxy != "none"
            && let Some(uncovered) = first_uncovered(&private, &no_proxy)
        {
            self.remark(
                "private-asked-of-proxy",
                Severity::Warning,
                "GONOPROXY",
                format!("`{uncovered}` is in GOPRIVATE, but GONOPROXY replaces it there: proxies are asked for it"),
                "unset GONOPROXY, or repeat the pattern there",
            )
            .cause = Some("private-not-excluded");
        }
        let ends_direct = effective::proxies(self.go_env)
            .unwrap_or_default()
            .iter()
            .any(|entry| matches!(entry, ProxyEntry::Off));
        if ends_direct && !no_proxy.is_empty() && no_proxy != "none" {
            self.remark(
                "private-in-spite-of-off",
                Severity::Note,
                "GOPROXY",
                "`off` does not hold for names in GONOPROXY: they are fetched directly all the same",
                "set GONOPROXY=none if nothing may be fetched directly",
            );
        }
    }

    fn checksum_database(&mut self) {
        let setting = self.value("GOSUMDB");
        if setting == "off" {
            self.remark(
                "sumdb-off",
                Severity::Warning,
                "GOSUMDB",
                "GOSUMDB=off: a module that go.sum does not know yet is taken as it comes",
                "`go env -u GOSUMDB`; exempt your own names with GOPRIVATE",
            )
            .cause = Some("sumdb-config");
        } else if !setting.is_empty() && gomod::sumdb::SumdbSetting::parse(&setting).is_err() {
            self.remark(
                "sumdb-unreadable",
                Severity::Error,
                "GOSUMDB",
                "GOSUMDB is nothing that go accepts: what go.sum does not know cannot be downloaded",
                "`go env -u GOSUMDB`; other databases need their key: NAME+HASH+KEY",
            )
            .cause = Some("sumdb-config");
        }
        if self
            .value("GONOSUMDB")
            .split(',')
            .any(|pattern| pattern == "*")
        {
            self.remark(
                "sumdb-exempts-all",
                Severity::Warning,
                "GONOSUMDB",
                "the pattern `*` exempts every module from the checksum database",
                "name your own hosts only",
            );
        }
    }

    fn insecure(&mut self) {
        let insecure = self.value("GOINSECURE");
        if insecure.is_empty() {
            return;
        }
        let no_proxy = self.value("GONOPROXY");
        let has_direct = effective::proxies(self.go_env)
            .unwrap_or_default()
            .iter()
            .any(|entry| matches!(entry, ProxyEntry::Direct));
        if !has_direct && let Some(uncovered) = first_uncovered(&insecure, &no_proxy) {
            self.remark(
                "insecure-does-nothing",
                Severity::Warning,
                "GOINSECURE",
                format!(
                    "GOINSECURE only counts for direct fetches, and `{uncovered}` is asked of a proxy: it changes nothing, and it \
                     does not switch the checksum database off either"
                ),
                "trust the certificate authority instead: `larder doctor HOST` says which",
            )
            .cause = Some("insecure-http");
        }
    }

    fn flags(&mut self) {
        for flag in self.value("GOFLAGS").split_whitespace() {
            let (name, _) = flag.split_once('=').unwrap_or((flag, ""));
            match (name.trim_start_matches('-'), flag) {
                ("insecure", _) => {
                    self.remark(
                        "flag-insecure",
                        Severity::Error,
                        "GOFLAGS",
                        "-insecure was removed in Go 1.17: go refuses it, or passes over it",
                        "take it out; GOINSECURE names hosts for direct fetches",
                    )
                    .cause = Some("insecure-http");
                }
                ("mod", "-mod=vendor") => {
                    self.remark(
                        "flag-vendor",
                        Severity::Note,
                        "GOFLAGS",
                        "-mod=vendor holds for every command: `go get` and `go mod download` are hindered, proxies are not asked",
                        "give it to the commands that need it",
                    )
                    .cause = Some("vendor-mismatch");
                }
                ("mod", "-mod=readonly") => {
                    self.remark(
                        "flag-readonly",
                        Severity::Note,
                        "GOFLAGS",
                        "-mod=readonly is the default since Go 1.16",
                        "it may go",
                    );
                }
                _ if !flag.starts_with('-') => {
                    let text = format!("`{flag}` is no flag: values with spaces are cut apart");
                    self.remark(
                        "flag-unreadable",
                        Severity::Error,
                        "GOFLAGS",
                        text,
                        "each entry must be a single -flag=value",
                    );
                }
                _ => {}
            }
        }
    }

    fn modules_off(&mut self) {
        if self.value("GO111MODULE") == "off" {
            self.remark(
                "modules-off",
                Severity::Error,
                "GO111MODULE",
                "GO111MODULE=off: go uses GOPATH; no proxy and no checksum database is asked",
                "`go env -u GO111MODULE`",
            )
            .cause = Some("gopath-mode");
        }
    }

    fn http_proxies(&mut self) {
        let environment = self.go_env.environment();
        for name in ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"] {
            let capitals = environment.text(name);
            let lower = environment.text(&name.to_lowercase());
            if let (Some(capitals), Some(lower)) = (&capitals, &lower)
                && capitals != lower
            {
                self.remark(
                    "http-proxy-two-values",
                    Severity::Warning,
                    name,
                    format!(
                        "{name} and {} differ: go takes the one in capitals, curl and git the other",
                        name.to_lowercase()
                    ),
                    "set both alike",
                )
                .cause = Some("http-proxy-config");
            }
        }
        let (http, https) = (self.value("HTTP_PROXY"), self.value("HTTPS_PROXY"));
        if https.is_empty() && !http.is_empty() {
            self.remark(
                "http-proxy-not-for-https",
                Severity::Warning,
                "HTTP_PROXY",
                "HTTP_PROXY is set and HTTPS_PROXY is not: https requests, which nearly all are, go past the proxy",
                "set HTTPS_PROXY too",
            )
            .cause = Some("http-proxy-config");
        }
        if source::HttpProxies::parse(&http, &https, &self.value("NO_PROXY")).is_err() {
            self.remark(
                "http-proxy-unreadable",
                Severity::Error,
                "HTTPS_PROXY",
                "the address of the HTTP proxy cannot be read",
                "write http://HOST:PORT",
            )
            .cause = Some("http-proxy-config");
        }
    }

    fn files(&mut self) {
        let file = self.value("SSL_CERT_FILE");
        if !file.is_empty() {
            let fault = match fs_err::read(Path::new(&file)) {
                Err(error) => Some(format!("SSL_CERT_FILE can't be read: {error}")),
                Ok(bytes) if bytes.is_empty() => Some(format!("SSL_CERT_FILE `{file}` is empty")),
                Ok(bytes) if bytes.first() == Some(&0x30) => Some(format!(
                    "SSL_CERT_FILE `{file}` is DER; go reads PEM only, and trusts nobody"
                )),
                Ok(bytes) if !contains(&bytes, b"-----BEGIN CERTIFICATE-----") => {
                    Some(format!("SSL_CERT_FILE `{file}` holds no certificate"))
                }
                Ok(_) => None,
            };
            if let Some(fault) = fault {
                self.remark(
                    "ca-file",
                    Severity::Error,
                    "SSL_CERT_FILE",
                    fault,
                    "name a PEM bundle, or unset it; from DER: openssl x509 -inform der -in FILE",
                )
                .cause = Some("tls-missing-ca-bundle");
            }
        }
        let netrc = self.value("NETRC");
        if !netrc.is_empty() && !Path::new(&netrc).is_file() {
            self.remark(
                "netrc-missing",
                Severity::Warning,
                "NETRC",
                format!("NETRC names `{netrc}`, which is no file: no passwords are sent"),
                "write the file, or unset NETRC",
            );
        }
    }
}

fn hosts(entries: &[ProxyEntry]) -> Vec<String> {
    entries
        .iter()
        .filter_map(|entry| match entry {
            ProxyEntry::Proxy(proxy) => Some(proxy.url.host()?.to_owned()),
            ProxyEntry::Direct | ProxyEntry::Off => None,
        })
        .collect()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The first pattern of one list that the other does not cover. A pattern is compared as the name it is
/// made of, up to its first wildcard; one that begins with a wildcard only as it is written.
fn first_uncovered(patterns: &str, by: &str) -> Option<String> {
    let covering = PathPatterns::parse(by);
    let is_written = |pattern: &str| {
        by.split(',').any(|other| {
            pattern
                .strip_prefix(other)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    let name_of = |pattern: &str| {
        let parts = pattern.split('/');
        let plain = parts.take_while(|part| !part.contains(['*', '?', '[']));
        plain.collect::<Vec<_>>().join("/")
    };
    patterns
        .split(',')
        .filter(|pattern| !pattern.is_empty() && *pattern != "none")
        .find(|pattern| {
            let name = name_of(pattern);
            !(is_written(pattern) || !name.is_empty() && covering.matches(&name))
        })
        .map(str::to_owned)
}

/// Why a pattern can match no module path.
fn pattern_fault(pattern: &str) -> Option<(&'static str, String)> {
    let bare = pattern.trim();
    if bare.is_empty() || bare == "none" || bare == "off" {
        return None;
    }
    if bare != pattern {
        return Some((
            "the blank belongs to it",
            format!("write `{bare}`, without blanks around the commas"),
        ));
    }
    if let Some((_, rest)) = pattern.split_once("://") {
        return Some((
            "module paths have no scheme",
            format!("write `{}`", rest.trim_end_matches('/')),
        ));
    }
    if pattern.contains("...") {
        return Some((
            "`...` is no wildcard here",
            format!(
                "write `{}`: it covers everything below",
                pattern.trim_end_matches('.').trim_end_matches('/')
            ),
        ));
    }
    if let Some((_, rest)) = pattern.split_once('@') {
        return Some((
            "module paths have no user",
            format!("write `{}`", rest.replace(':', "/")),
        ));
    }
    let host = pattern.split('/').next().unwrap_or_default();
    if host.contains(':') {
        return Some((
            "module paths have no port",
            format!("write `{}`", host.split(':').next().unwrap_or_default()),
        ));
    }
    if host.contains(|c: char| c.is_ascii_uppercase()) {
        return Some((
            "hosts of module paths are in lower case",
            format!("write `{}`", pattern.to_lowercase()),
        ));
    }
    if PathPatterns::parse(pattern).is_empty() {
        return Some(("it is malformed", "see `go help private`".into()));
    }
    None
}

#[cfg(test)]
mod tests;
