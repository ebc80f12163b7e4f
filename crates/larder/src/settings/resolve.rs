//! From what was written to what the program runs with; all faults at once.
//!
//! Looks at files and names (`listen` is looked up, certificates are read) but makes, binds and
//! dials nothing.

use super::complaint::{Complaint, Fault};
use super::config::{Config, Listen, TlsFiles, Upstream, UpstreamGroup};
use super::credentials;
use super::environment::Environment;
use super::file::{UpstreamTable, WrittenCredentials};
use super::origin::Origin;
use super::value::HostPort;
use super::written::Written;
use crate::way_out;
use gomod::{ProxyEntry, ProxyList, SafeUrl};
use proxy::refresh::access::RefreshAccess;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use source::{CredentialBook, HttpProxies, SECRET_VARIABLES, Secret, is_this_server};
use std::io::Read as _;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};

/// Settings without a fault.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) config: Config,
    /// What is odd but does not stop the start, for the log.
    pub(crate) warnings: Vec<String>,
}

/// Checks and completes what was written.
pub(crate) fn resolve(
    written: &Written,
    environment: &Environment,
) -> Result<Resolved, Vec<Complaint>> {
    let mut resolver = Resolver {
        written,
        environment,
        complaints: written.complaints.clone(),
        warnings: written.warnings.clone(),
    };
    let config = resolver.config();
    match config {
        Some(config) if resolver.complaints.is_empty() => Ok(Resolved {
            config,
            warnings: resolver.warnings,
        }),
        _ => Err(resolver.complaints),
    }
}

struct Resolver<'a> {
    written: &'a Written,
    environment: &'a Environment,
    complaints: Vec<Complaint>,
    warnings: Vec<String>,
}

impl Resolver<'_> {
    /// `None` only together with a complaint. Each part is looked at whatever the others say.
    fn config(&mut self) -> Option<Config> {
        let draft = &self.written.draft;
        let listen = self.listen();
        let tls = self.tls();
        let cache_dir = self.cache_dir();
        let upstreams = self.upstreams(listen.as_ref());
        let ca_file = self.ca_file();
        let refresh_access = RefreshAccess {
            tokens: self.secrets(REFRESH_TOKEN, draft.refresh_token_file.as_deref()),
            webhook_secrets: self.secrets(WEBHOOK_SECRET, draft.webhook_secret_file.as_deref()),
        };
        let http_proxies = self.http_proxies();
        let netrc = credentials::netrc(self.environment, &mut self.warnings);
        let checks = credentials::Checks {
            environment: self.environment,
            complaints: &mut self.complaints,
            warnings: &mut self.warnings,
        };
        let credentials = CredentialBook {
            rules: credentials::rules(self.written, checks),
            netrc: netrc.clone(),
        };
        self.expect_no_strangers(listen.as_ref(), upstreams.as_deref(), &credentials);
        Some(Config {
            listen: listen?,
            tls,
            cache_dir: cache_dir?,
            upstreams: upstreams?,
            private: draft.private.clone().unwrap_or_default(),
            no_sumdb: draft.no_sumdb.clone().unwrap_or_default(),
            sumdb: draft.sumdb.clone().expect(HAS_DEFAULT),
            offline: draft.offline.expect(HAS_DEFAULT),
            fresh: draft.fresh.expect(HAS_DEFAULT),
            refresh_access,
            git: draft.git.clone().expect(HAS_DEFAULT),
            git_environment: self.environment.clone(),
            git_protocols: draft.git_protocols.clone().expect(HAS_DEFAULT),
            git_mirrors_bytes: draft.git_mirrors_bytes.expect(HAS_DEFAULT),
            git_processes: draft.git_processes.expect(HAS_DEFAULT),
            govcs: draft.govcs.clone().unwrap_or_default(),
            insecure: draft.insecure.clone().unwrap_or_default(),
            cache_limit_bytes: draft.cache_limit_bytes,
            disk_free_bytes: draft.disk_free_bytes,
            memory_bytes: draft.memory_bytes.expect(HAS_DEFAULT),
            fill_memory_bytes: draft.fill_memory_bytes.expect(HAS_DEFAULT),
            scrub_bytes_per_second: draft.scrub_bytes_per_second.expect(HAS_DEFAULT),
            connect_timeout: draft.connect_timeout.expect(HAS_DEFAULT),
            stall_timeout: draft.stall_timeout.expect(HAS_DEFAULT),
            prefetch_bytes_per_second: draft.prefetch_bytes_per_second.expect(HAS_DEFAULT),
            upstream_concurrency: draft.upstream_concurrency.expect(HAS_DEFAULT),
            tls_settings: way_out::tls_settings(self.environment),
            ca_file,
            http_proxies: http_proxies?,
            netrc,
            credentials,
            credential_source: credentials::source(self.written, self.environment),
            log_format: draft.log_format.expect(HAS_DEFAULT),
            log_level: draft.log_level.expect(HAS_DEFAULT),
            access_log: draft.access_log.expect(HAS_DEFAULT),
        })
    }

    fn listen(&mut self) -> Option<Listen> {
        let HostPort { text, host, port } = self.written.draft.listen.as_ref().expect(HAS_DEFAULT);
        let addresses: Vec<SocketAddr> = match (host.as_str(), *port).to_socket_addrs() {
            Ok(addresses) => addresses.collect(),
            Err(error) => {
                let reason = format!("is `{text}`, and `{host}` can't be looked up: {error}");
                self.complain("listen", Fault::new(reason));
                return None;
            }
        };
        if addresses.is_empty() {
            let reason = format!("is `{text}`, and `{host}` has no address");
            self.complain("listen", Fault::new(reason));
            return None;
        }
        Some(Listen {
            text: text.clone(),
            addresses,
        })
    }

    fn tls(&mut self) -> Option<TlsFiles> {
        let draft = &self.written.draft;
        match (&draft.tls_cert, &draft.tls_key) {
            (None, None) => None,
            (Some(_), None) => {
                let fault = Fault::new("is set, but `tls_key` is not")
                    .hint("HTTPS needs both, plain HTTP neither");
                self.complain("tls_cert", fault);
                None
            }
            (None, Some(_)) => {
                let fault = Fault::new("is set, but `tls_cert` is not")
                    .hint("HTTPS needs both, plain HTTP neither");
                self.complain("tls_key", fault);
                None
            }
            (Some(certificates), Some(key)) => {
                self.expect_certificates("tls_cert", certificates);
                if let Err(error) = PrivateKeyDer::from_pem_file(key) {
                    let reason = format!(
                        "is `{}`: {}",
                        key.display(),
                        pem_error(&error, "private key")
                    );
                    self.complain("tls_key", Fault::new(reason));
                }
                Some(TlsFiles {
                    certificates: certificates.clone(),
                    key: key.clone(),
                })
            }
        }
    }

    fn cache_dir(&mut self) -> Option<PathBuf> {
        let folder = match &self.written.draft.cache_dir {
            Some(folder) => folder.clone(),
            None => match user_cache_folder(self.environment) {
                Some(folder) => folder.join("larder"),
                None => {
                    self.complaints.push(
                        Complaint::new("no folder to keep modules in: neither `XDG_CACHE_HOME` nor `HOME` is set to a whole path")
                            .hint("give `--cache-dir DIR` or set `LARDER_CACHE_DIR`"),
                    );
                    return None;
                }
            },
        };
        let folder = match std::path::absolute(&folder) {
            Ok(folder) => folder,
            Err(error) => {
                let reason = format!("is `{}`: {error}", folder.display());
                self.complain("cache_dir", Fault::new(reason));
                return None;
            }
        };
        let Some(existing) = folder.ancestors().find(|ancestor| ancestor.exists()) else {
            return Some(folder);
        };
        let whose = if existing == folder {
            String::new()
        } else {
            format!(" to be made in `{}`", existing.display())
        };
        if !existing.is_dir() {
            let reason = format!("is `{}`{whose}, which is not a folder", folder.display());
            self.complain("cache_dir", Fault::new(reason));
        } else if let Err(error) = rustix::fs::access(
            existing,
            rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
        ) {
            let reason = format!(
                "is `{}`{whose}, which can't be written to: {}",
                folder.display(),
                std::io::Error::from(error)
            );
            let fault = Fault::new(reason)
                .hint("name another folder, or let the user that runs larder write to this one");
            self.complain("cache_dir", fault);
        }
        Some(folder)
    }

    /// The list, flat. `None` after a complaint.
    fn upstreams(&mut self, listen: Option<&Listen>) -> Option<Vec<Upstream>> {
        let faults_before = self.complaints.len();
        let mut upstreams = Vec::new();
        if let Some(list) = &self.written.draft.upstream {
            upstreams.extend(list.entries().iter().map(|entry| Upstream {
                entry: entry.clone(),
                ca_file: None,
                group: None,
            }));
        }
        for (number, table) in self.written.upstream_tables.iter().enumerate() {
            self.expand(number, table, &mut upstreams);
        }
        if self.complaints.len() > faults_before {
            return None;
        }
        let before = upstreams.len();
        if let Some(listen) = listen {
            upstreams.retain(|upstream| {
                let ProxyEntry::Proxy(proxy) = &upstream.entry else {
                    return true;
                };
                let own = is_this_server(&proxy.url, &listen.addresses);
                if own {
                    self.warnings.push(format!(
                        "upstream `{}` is this very server and is left out",
                        proxy.url
                    ));
                }
                !own
            });
        }
        if !upstreams.is_empty() || self.written.draft.offline == Some(true) {
            return Some(upstreams);
        }
        if before > 0 {
            let origin = self.origin("upstream");
            let mut complaint =
                Complaint::new("`upstream` names nothing but this very server").hint(
                    "say where modules really come from with `--upstream LIST` or `LARDER_UPSTREAM`; \
                     GOPROXY in this shell may already point at larder",
                );
            complaint.origin = origin;
            self.complaints.push(complaint);
        } else if !self.already_about("upstream") {
            self.complaints.push(
                Complaint::new("no upstream: neither a setting nor the go environment says where modules come from").hint(
                    "give `--upstream LIST`, set `LARDER_UPSTREAM` or `GOPROXY`, or install go, whose `go.env` names one",
                ),
            );
        }
        None
    }

    /// The entries of one `[[upstream]]` table.
    fn expand(&mut self, number: usize, table: &UpstreamTable, upstreams: &mut Vec<Upstream>) {
        if let Some(ca_file) = &table.ca_file
            && let Err(reason) = read_certificates(ca_file)
        {
            let reason = format!("is `{}`: {reason}", ca_file.display());
            self.complain_in_table("upstream.ca_file", Fault::new(reason), table.line);
        }
        let credentials = table
            .credentials
            .as_ref()
            .and_then(|credentials| self.credentials(credentials, table.line));
        let group = table.mode.map(|mode| UpstreamGroup { number, mode });
        self.expect_a_group(table);
        for (url, line) in &table.urls {
            match one_entry(url) {
                Ok(ProxyEntry::Direct | ProxyEntry::Off) if group.is_some() => {
                    let fault = Fault::new(
                        "has `direct` or `off`, which can't be a member of a group: they hold other things than a proxy",
                    )
                    .hint("give it an `[[upstream]]` table of its own behind this one");
                    self.complain_in_table("upstream.urls", fault, *line);
                }
                Ok(_) if matches!(upstreams.last(), Some(last) if ends_the_list(&last.entry)) => {
                    let fault =
                        Fault::new("has an entry after `direct` or `off`, which is never asked");
                    self.complain_in_table("upstream.urls", fault, *line);
                }
                Ok(mut entry) => {
                    if let ProxyEntry::Proxy(proxy) = &mut entry {
                        proxy.fall_back = table.fall_back;
                        if let Some(credentials) = &credentials {
                            proxy.url = credentials.put_into(&proxy.url);
                        }
                    }
                    upstreams.push(Upstream {
                        entry,
                        ca_file: table.ca_file.clone(),
                        group,
                    });
                }
                Err(fault) => self.complain_in_table("upstream.urls", fault, *line),
            }
        }
    }

    /// A group of one helps nobody, and one upstream named twice would be asked twice.
    fn expect_a_group(&mut self, table: &UpstreamTable) {
        let Some(mode) = table.mode else { return };
        if table.urls.len() < 2 {
            let fault = Fault::new(format!("is `{}` for a single URL", mode.name()))
                .hint("name a second upstream that holds the same, or write `mode = \"order\"`");
            self.complain_in_table("upstream.mode", fault, table.line);
        }
        let mut seen = std::collections::BTreeSet::new();
        for (url, line) in &table.urls {
            if !seen.insert(url.trim_end_matches('/')) {
                let fault = Fault::new("names one upstream twice");
                self.complain_in_table("upstream.urls", fault, *line);
            }
        }
    }

    fn credentials(&mut self, written: &WrittenCredentials, line: usize) -> Option<Credentials> {
        match fs_err::read_to_string(&written.password_file) {
            Ok(text) => Some(Credentials {
                user: written.user.clone(),
                password: text.trim_end_matches(['\r', '\n']).into(),
            }),
            Err(error) => {
                let fault = Fault::new(format!("can't be read: {error}"));
                self.complain_in_table("upstream.credentials.password_file", fault, line);
                None
            }
        }
    }

    /// The secrets of a file, one a line, and that of a variable. Complaints never show one.
    fn secrets(&mut self, names: SecretNames, file: Option<&Path>) -> Vec<Secret> {
        let mut secrets = Vec::new();
        if let Some(file) = file {
            match read_secrets(file) {
                Ok(found) => secrets.extend(found),
                Err(reason) => {
                    let fault = Fault::new(format!("is `{}`: {reason}", file.display()));
                    self.complain(names.file_key, fault);
                }
            }
        }
        if let Some(text) = self.environment.text(names.variable) {
            match secret(text.trim()) {
                Ok(secret) => secrets.push(secret),
                Err(reason) => {
                    let complaint = Complaint::new(format!("its value {reason}"));
                    self.complaints.push(complaint.at(&Origin::Environment {
                        variable: names.variable.into(),
                    }));
                }
            }
        }
        secrets
    }

    fn ca_file(&mut self) -> Option<PathBuf> {
        let ca_file = self.written.draft.ca_file.clone()?;
        self.expect_certificates("ca_file", &ca_file);
        Some(ca_file)
    }

    fn http_proxies(&mut self) -> Option<HttpProxies> {
        match way_out::http_proxies(self.environment) {
            Ok(proxies) => Some(proxies),
            Err(error) => {
                let text = format!("`{}` is of no use: {}", error.what, error.reason);
                self.complaints.push(Complaint::new(text).hint(
                    "write `http://HOST:PORT`, or the same with `https`, `socks5` or `socks5h`",
                ));
                None
            }
        }
    }

    /// Whoever reaches the server reads what it fetches: with private sources that may be this machine's
    /// users only, unless the operator says otherwise.
    fn expect_no_strangers(
        &mut self,
        listen: Option<&Listen>,
        upstreams: Option<&[Upstream]>,
        credentials: &CredentialBook,
    ) {
        let draft = &self.written.draft;
        let (Some(listen), Some(upstreams)) = (listen, upstreams) else {
            return;
        };
        let is_loopback = |address: &SocketAddr| address.ip().to_canonical().is_loopback();
        if listen.addresses.iter().all(is_loopback) || draft.allow_anonymous_private == Some(true) {
            return;
        }
        let is_direct = upstreams
            .iter()
            .any(|upstream| matches!(upstream.entry, ProxyEntry::Direct));
        let of_upstreams: Vec<&str> = upstreams
            .iter()
            .filter_map(|upstream| match &upstream.entry {
                ProxyEntry::Proxy(proxy) => proxy.url.host(),
                ProxyEntry::Direct | ProxyEntry::Off => None,
            })
            .collect();
        let code_host = credentials.netrc.machines().find(|machine| {
            let host = machine.split(':').next().unwrap_or_default();
            !of_upstreams.contains(&host)
        });
        let private = draft.private.clone().unwrap_or_default();
        let why = if !private.is_empty() {
            format!("modules are private here (`{private}`)")
        } else if let Some(rule) = credentials.rules.first().filter(|_| is_direct) {
            format!(
                "the upstream list has `direct`, and there is a credential rule for `{}`",
                rule.place
            )
        } else if let Some(machine) = code_host.filter(|_| is_direct) {
            format!(
                "the upstream list has `direct`, and the netrc file has a password for `{machine}`"
            )
        } else {
            return;
        };
        let reason = format!(
            "is `{}`, which others can reach, and {why}: whoever connects could read private modules",
            listen.text
        );
        let fault = Fault::new(reason).hint(
            "listen on `127.0.0.1`, or let only those connect who may read everything and say so with \
             `--allow-anonymous-private`",
        );
        self.complain("listen", fault);
    }

    fn expect_certificates(&mut self, key: &'static str, file: &Path) {
        if let Err(reason) = read_certificates(file) {
            self.complain(
                key,
                Fault::new(format!("is `{}`: {reason}", file.display())),
            );
        }
    }

    fn origin(&self, key: &str) -> Option<Origin> {
        match self.written.entries.get(key) {
            Some(entry) => Some(entry.origin.clone()),
            None => self.written.upstream_tables_origin.clone(),
        }
    }

    fn complain(&mut self, key: &'static str, fault: Fault) {
        let origin = self.written.entries.get(key).map(|entry| &entry.origin);
        let origin = origin.unwrap_or(&Origin::Default);
        self.complaints.push(fault.into_complaint(key, origin));
    }

    /// A fault of a line in the table that `line` is in.
    fn complain_in_table(&mut self, name: &str, fault: Fault, line: usize) {
        let origin = match &self.written.upstream_tables_origin {
            Some(origin) => origin.at_line(line),
            None => Origin::Default,
        };
        self.complaints.push(fault.into_complaint(name, &origin));
    }

    /// Whether a fault of this setting was already found, so that its absence needs no word.
    fn already_about(&self, key: &str) -> bool {
        let name = format!("`{key}");
        self.complaints
            .iter()
            .any(|complaint| complaint.text.starts_with(&name))
    }
}

/// Where a secret may be written: in a file that a setting names, or as it is in a variable. No flag takes one,
/// because every user of a machine sees the flags of its processes.
#[derive(Clone, Copy)]
struct SecretNames {
    file_key: &'static str,
    variable: &'static str,
}

const REFRESH_TOKEN: SecretNames = SecretNames {
    file_key: "refresh_token_file",
    variable: SECRET_VARIABLES[0],
};
const WEBHOOK_SECRET: SecretNames = SecretNames {
    file_key: "webhook_secret_file",
    variable: SECRET_VARIABLES[1],
};

/// Where the table gives a default, it was laid first, and nothing removes it.
const HAS_DEFAULT: &str = "each default of the table parses, which a test holds";

/// Go's `os.UserCacheDir`.
fn user_cache_folder(environment: &Environment) -> Option<PathBuf> {
    let home = environment.path("HOME");
    if cfg!(target_os = "macos") {
        return Some(home?.join("Library").join("Caches"));
    }
    match environment.path("XDG_CACHE_HOME") {
        Some(folder) => folder.is_absolute().then_some(folder),
        None => Some(home?.join(".cache")),
    }
}

/// Reads one entry of `urls`, which is not a list of its own.
fn one_entry(text: &str) -> Result<ProxyEntry, Fault> {
    if text.contains([',', '|']) {
        return Err(Fault::new("has a `,` or `|` in a URL").hint(
            "give each URL as an entry of its own, and say `fallback = \"absent\"` or `\"any\"`",
        ));
    }
    let list = ProxyList::parse(text)
        .map_err(|error| Fault::new(format!("has an entry that is none: {}", error.reason)))?;
    match list.entries() {
        [entry] => Ok(entry.clone()),
        _ => Err(Fault::new("has an empty entry")),
    }
}

fn ends_the_list(entry: &ProxyEntry) -> bool {
    matches!(entry, ProxyEntry::Direct | ProxyEntry::Off)
}

/// A user and a password, on their way into a URL that hides them.
struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    /// The URL with these credentials instead of its own; `file` URLs have none.
    fn put_into(&self, url: &SafeUrl) -> SafeUrl {
        let mut changed = url.expose().clone();
        let put = changed
            .set_username(&self.user)
            .and_then(|()| changed.set_password(Some(&self.password)));
        match put.map(|()| SafeUrl::parse(changed.as_str())) {
            Ok(Ok(url)) => url,
            _ => url.clone(),
        }
    }
}

/// What a shorter secret would be guessed in.
const SHORTEST_SECRET: usize = 16;
/// What a file of secrets may weigh, and how many it may hold: each is tried on every request.
const SECRETS_BYTES: u64 = 64 << 10;
const SECRETS: usize = 16;

fn read_secrets(file: &Path) -> Result<Vec<Secret>, String> {
    let mut text = String::new();
    let read = fs_err::File::open(file)
        .and_then(|file| file.take(SECRETS_BYTES + 1).read_to_string(&mut text));
    read.map_err(|error| error.to_string())?;
    if text.len() as u64 > SECRETS_BYTES {
        return Err("it is larger than 64 KiB".into());
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let secrets: Vec<Secret> = lines
        .map(|line| secret(line).map_err(|reason| format!("a line of it {reason}")))
        .collect::<Result<_, _>>()?;
    match secrets.len() {
        0 => Err("it is empty".into()),
        1..=SECRETS => Ok(secrets),
        _ => Err(format!("it holds more than {SECRETS} lines")),
    }
}

/// A secret that can stand in a header and is not soon guessed.
fn secret(text: &str) -> Result<Secret, String> {
    if text.len() < SHORTEST_SECRET {
        return Err(format!(
            "is shorter than {SHORTEST_SECRET} letters; `openssl rand -hex 32` makes a good one"
        ));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("holds a space or a letter that is not ASCII".into());
    }
    Ok(Secret::new(text))
}

/// Checks that a PEM file holds certificates; the reason says why it does not.
fn read_certificates(file: &Path) -> Result<(), String> {
    let mut certificates = 0;
    let read =
        CertificateDer::pem_file_iter(file).map_err(|error| pem_error(&error, "certificate"))?;
    for certificate in read {
        certificate.map_err(|error| pem_error(&error, "certificate"))?;
        certificates += 1;
    }
    match certificates {
        0 => Err("it holds no certificate in PEM form".into()),
        _ => Ok(()),
    }
}

fn pem_error(error: &rustls::pki_types::pem::Error, what: &str) -> String {
    use rustls::pki_types::pem::Error;
    match error {
        Error::Io(error) => error.to_string(),
        Error::NoItemsFound => format!("it holds no {what} in PEM form"),
        other => format!("it holds no {what} in PEM form that can be read ({other})"),
    }
}

#[cfg(test)]
mod tests;
