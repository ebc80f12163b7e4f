//! What a message speaks of: URLs and what answers behind them, module paths, hosts that are not
//! public, packages of the standard library.

use std::collections::HashSet;
use std::iter;
use std::sync::LazyLock;

/// What stands behind a URL, told by its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// A file, list or query of a GOPROXY.
    ModuleProxy,
    /// The checksum database itself.
    ChecksumDatabase,
    /// The checksum database through a GOPROXY.
    ProxiedChecksumDatabase,
    /// `?go-get=1`: where is this module's repository?
    Discovery,
    /// A signed address of an object store, where a proxy keeps its zips.
    ObjectStore,
    /// Anything else: a repository, a page.
    Other,
}

/// One URL of a line.
#[derive(Clone, Debug)]
pub(super) struct Url<'a> {
    pub(super) start: usize,
    pub(super) end: usize,
    /// `None` of go's own shortened form, whose path is not the one that was asked.
    pub(super) scheme: Option<&'static str>,
    /// With the port, without user information.
    pub(super) host: &'a str,
    /// With the query.
    pub(super) path: &'a str,
}

/// All URLs of a line, in order. Go's own shortened form `https:/host/@v/…` counts.
pub(super) fn urls(text: &str) -> Vec<Url<'_>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find(":/")) {
        let colon = from + at;
        from = colon + 2;
        let scheme = ["https", "http", "ssh", "git"].into_iter().find(|scheme| {
            text.get(..colon).is_some_and(|before| {
                before.ends_with(scheme)
                    && !before
                        .get(..before.len() - scheme.len())
                        .unwrap_or_default()
                        .ends_with(|letter: char| letter.is_alphanumeric())
            })
        });
        let Some(scheme) = scheme else { continue };
        let start = colon - scheme.len();
        let rest = text.get(colon + 1..).unwrap_or_default();
        let slashes = rest.len() - rest.trim_start_matches('/').len();
        let body = rest.get(slashes..).unwrap_or_default();
        let stop = |letter: char| letter.is_whitespace() || "\"'()<>,`|".contains(letter);
        let length = body.find(stop).unwrap_or(body.len());
        // Punctuation of the sentence around it. A bracket may belong to an IPv6 address.
        let body = body
            .get(..length)
            .unwrap_or_default()
            .trim_end_matches([':', '.', ';', '\\']);
        let end = colon + 1 + slashes + body.len();
        let split = body.find(['/', '?']).unwrap_or(body.len());
        let (authority, path) = body.split_at_checked(split).unwrap_or((body, ""));
        let host = authority.rsplit('@').next().unwrap_or(authority);
        from = end.max(from);
        if host.is_empty() {
            continue;
        }
        found.push(Url {
            start,
            end,
            scheme: (slashes == 2).then_some(scheme),
            host,
            path,
        });
    }
    found
}

impl Url<'_> {
    /// What can be asked again: of http and https, without user information, and without the query, which may hold a
    /// signature.
    pub(super) fn asked(&self) -> Option<String> {
        let scheme = self.scheme.filter(|scheme| scheme.starts_with("http"))?;
        let (path, query) = self.path.split_once('?').unwrap_or((self.path, ""));
        let query = if query == "go-get=1" { "?go-get=1" } else { "" };
        Some(format!("{scheme}://{}{path}{query}", self.host))
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        let (path, query) = self.path.split_once('?').unwrap_or((self.path, ""));
        let has = |name: &str| query.to_ascii_lowercase().contains(name);
        if path.contains("/sumdb/") {
            Endpoint::ProxiedChecksumDatabase
        } else if self.host.starts_with("sum.")
            || path.contains("/lookup/")
            || path.starts_with("/tile/")
            || path == "/latest"
        {
            Endpoint::ChecksumDatabase
        } else if has("signature=") || has("x-amz-") || has("googleaccessid") || has("sig=") {
            Endpoint::ObjectStore
        } else if path.contains("/@v/") || path.ends_with("/@latest") || path.ends_with("/@v") {
            Endpoint::ModuleProxy
        } else if has("go-get=1") {
            Endpoint::Discovery
        } else {
            Endpoint::Other
        }
    }

    /// The escaped module path in a proxy's or database's URL, and the version.
    pub(super) fn module(&self) -> Option<(String, Option<String>)> {
        let (path, _) = self.path.split_once('?').unwrap_or((self.path, ""));
        let path = path.strip_prefix('/').unwrap_or(path);
        let (module, version) = match self.endpoint() {
            Endpoint::ChecksumDatabase | Endpoint::ProxiedChecksumDatabase => {
                let (_, module) = path.split_once("lookup/")?;
                module.split_once('@')?
            }
            Endpoint::ModuleProxy => match path.split_once("/@v/") {
                Some((module, file)) => (
                    module,
                    file.rsplit_once('.').map_or("", |(version, _)| version),
                ),
                None => (path.strip_suffix("/@latest")?, "latest"),
            },
            Endpoint::Discovery => return Some((format!("{}/{path}", self.host), None)),
            Endpoint::ObjectStore | Endpoint::Other => return None,
        };
        // What stands before the first element with a dot is the proxy's own base path.
        let start = module
            .split('/')
            .take_while(|element| !element.contains('.'))
            .map(|element| element.len() + 1)
            .sum::<usize>();
        let module = module.get(start..).filter(|module| !module.is_empty())?;
        let version = (!version.is_empty()).then(|| unescaped(version));
        Some((unescaped(module), version))
    }

    /// A proxy of one's own: a repository manager's base path, a port, a private address or name.
    pub(super) fn is_self_hosted(&self) -> bool {
        let first = self
            .path
            .trim_start_matches('/')
            .split('/')
            .next()
            .unwrap_or_default();
        let has_base = !first.is_empty() && !first.contains('.') && !first.starts_with('@');
        has_base || looks_private(self.host)
    }
}

/// `!a` and `%21a` are capital letters.
fn unescaped(path: &str) -> String {
    if !path.contains(['!', '%']) {
        return path.to_owned();
    }
    let path = path.replace("%21", "!");
    let mut text = String::with_capacity(path.len());
    let mut capital = false;
    for letter in path.chars() {
        match letter {
            '!' => capital = true,
            letter if capital => {
                text.push(letter.to_ascii_uppercase());
                capital = false;
            }
            letter => text.push(letter),
        }
    }
    text
}

/// The module and version that a line names: `path@version`, else `module path`.
pub(super) fn module_in(text: &str) -> Option<(String, Option<String>)> {
    let mut words = text.split([' ', '\t', '"', '(', ')', '\'']).peekable();
    let mut named = None;
    while let Some(word) = words.next() {
        let word = word.trim_end_matches([':', ',', ';', '.']);
        if let Some((path, version)) = word.split_once('@')
            && is_module_path(path)
            && !version.is_empty()
        {
            let version = version.split(['/', ':']).next().unwrap_or(version);
            return Some((path.to_owned(), Some(version.to_owned())));
        }
        let introduces = matches!(
            word,
            "module" | "package" | "path" | "download" | "get" | "go:"
        );
        if named.is_none() && introduces {
            let next = words
                .peek()
                .map(|next| next.trim_end_matches([':', ',', ';']));
            named = next.filter(|next| is_module_path(next)).map(str::to_owned);
        }
    }
    named.map(|path| (path, None))
}

/// A host with a dot, then elements.
fn is_module_path(path: &str) -> bool {
    let host = path.split('/').next().unwrap_or_default();
    host.contains('.')
        && !host.starts_with(['.', '-'])
        && !host.ends_with('.')
        && !path.contains("://")
        && !path.starts_with("git@")
        && path.contains('/')
        && path
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-._~/!%+".contains(letter))
}

/// Code hosts, and domains of well-known modules, that anyone can reach. Only what a path *cannot*
/// tell is answered from here: a private repository on such a host looks the same.
const PUBLIC: &[&str] = &[
    "github.com",
    "gitlab.com",
    "bitbucket.org",
    "codeberg.org",
    "gitee.com",
    "git.sr.ht",
    "golang.org",
    "google.golang.org",
    "gopkg.in",
    "k8s.io",
    "sigs.k8s.io",
    "go.uber.org",
    "go.etcd.io",
    "go.opentelemetry.io",
    "cloud.google.com",
    "go.mongodb.org",
    "gorm.io",
    "gonum.org",
    "honnef.co",
    "mvdan.cc",
    "modernc.org",
    "rsc.io",
    "go.yaml.in",
    "istio.io",
    "knative.dev",
];

/// Names that companies give to what only they can reach.
const PRIVATE_LABELS: &[&str] = &[
    "corp",
    "internal",
    "intranet",
    "intern",
    "local",
    "localhost",
    "localdomain",
    "lan",
    "private",
    "priv",
    "home",
    "svc",
    "cluster",
    "vpn",
    "git",
    "gitlab",
    "github",
    "ghe",
    "gitea",
    "gogs",
    "gerrit",
    "bitbucket",
    "stash",
    "scm",
    "svn",
    "vcs",
    "code",
    "repo",
    "source",
    "artifactory",
    "nexus",
    "athens",
    "jfrog",
    "registry",
    "artifacts",
    "packages",
    "dev",
    "devops",
    "tfs",
];

/// A log of ten thousand lines asks about as many hosts.
static PUBLIC_SET: LazyLock<HashSet<&str>> = LazyLock::new(|| PUBLIC.iter().copied().collect());

static PRIVATE_SET: LazyLock<HashSet<&str>> =
    LazyLock::new(|| PRIVATE_LABELS.iter().copied().collect());

/// Does the host of this module path, or this host of a URL, look as if only some could reach it?
pub(super) fn looks_private(path_or_host: &str) -> bool {
    let host = path_or_host.split('/').next().unwrap_or_default();
    if host.starts_with('[') {
        return true;
    }
    let (name, port) = host
        .rsplit_once(':')
        .map_or((host, None), |(name, port)| (name, Some(port)));
    if port.is_some_and(|port| port != "443" && port != "80") {
        return true;
    }
    let mut domains = iter::successors(Some(name), |name| Some(name.split_once('.')?.1));
    if domains.any(|domain| PUBLIC_SET.contains(domain)) {
        return false;
    }
    let labels: Vec<&str> = name.split('.').collect();
    if labels.len() < 2
        || labels
            .iter()
            .all(|label| label.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return true;
    }
    // The last label is a public suffix unless it is one that nobody can register.
    let (last, names) = labels.split_last().unwrap_or((&"", &[]));
    let private = |label: &str| {
        PRIVATE_SET.contains(label)
            || label.contains('-')
                && label
                    .split('-')
                    .any(|part| part.len() > 2 && part != "dev" && PRIVATE_SET.contains(part))
    };
    names.iter().any(|label| private(label))
        || matches!(
            *last,
            "corp"
                | "internal"
                | "intranet"
                | "local"
                | "lan"
                | "private"
                | "home"
                | "localdomain"
                | "test"
        )
}

/// Since which minor version of Go 1 a package is in the standard library; 0 for those that were
/// there before modules. `None` for what is no such package.
pub(super) fn standard_package(path: &str) -> Option<u32> {
    const YOUNG: &[(&str, u32)] = &[
        ("embed", 16),
        ("io/fs", 16),
        ("testing/fstest", 16),
        ("runtime/metrics", 16),
        ("go/build/constraint", 16),
        ("net/netip", 18),
        ("debug/buildinfo", 18),
        ("hash/maphash", 14),
        ("time/tzdata", 15),
        ("crypto/ed25519", 13),
        ("runtime/coverage", 20),
        ("crypto/ecdh", 20),
        ("cmp", 21),
        ("maps", 21),
        ("slices", 21),
        ("log/slog", 21),
        ("testing/slogtest", 21),
        ("go/version", 22),
        ("math/rand/v2", 22),
        ("iter", 23),
        ("structs", 23),
        ("unique", 23),
        ("weak", 24),
        ("crypto/fips140", 24),
        ("crypto/hkdf", 24),
        ("crypto/mlkem", 24),
        ("crypto/pbkdf2", 24),
        ("crypto/sha3", 24),
        ("testing/synctest", 25),
        ("encoding/json/v2", 25),
        ("encoding/json/jsontext", 25),
    ];
    const ROOTS: &[&str] = &[
        "archive",
        "bufio",
        "builtin",
        "bytes",
        "cmd",
        "compress",
        "container",
        "context",
        "crypto",
        "database",
        "debug",
        "encoding",
        "errors",
        "expvar",
        "flag",
        "fmt",
        "go",
        "hash",
        "html",
        "image",
        "index",
        "internal",
        "io",
        "log",
        "math",
        "mime",
        "net",
        "os",
        "path",
        "plugin",
        "reflect",
        "regexp",
        "runtime",
        "sort",
        "strconv",
        "strings",
        "sync",
        "syscall",
        "testing",
        "text",
        "time",
        "unicode",
        "unsafe",
    ];
    if let Some((_, since)) = YOUNG.iter().find(|(young, _)| *young == path) {
        return Some(*since);
    }
    // What the standard library itself depends on lies in GOROOT under these two names.
    if path.starts_with("golang_org/") || path.starts_with("vendor/golang") {
        return Some(0);
    }
    let root = path.split('/').next().unwrap_or_default();
    ROOTS.contains(&root).then_some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_found_in_every_form_that_go_writes() {
        let check = |text: &str, expected: &[(&str, Endpoint)]| {
            let found: Vec<(&str, Endpoint)> = urls(text)
                .iter()
                .map(|url| (url.host, url.endpoint()))
                .collect();
            assert_eq!(found, expected, "{text}");
        };
        check(
            "Get \"https://mirror.example/a.example/b/@v/v1.mod\": EOF",
            &[("mirror.example", Endpoint::ModuleProxy)],
        );
        check(
            "Get https://a.example/b?go-get=1: EOF",
            &[("a.example", Endpoint::Discovery)],
        );
        check(
            "unexpected status (http://127.0.0.1:81/a.example/b/@v/list): 404 Not Found",
            &[("127.0.0.1:81", Endpoint::ModuleProxy)],
        );
        check(
            "read \"https:/mirror.example/@v/v1.zip\": EOF",
            &[("mirror.example", Endpoint::ModuleProxy)],
        );
        check(
            "reading https://sum.golang.org/lookup/a.example/b@v1: 410 Gone",
            &[("sum.golang.org", Endpoint::ChecksumDatabase)],
        );
        check(
            "https://[2001:db8::1]:443/a.example/@v/list: x",
            &[("[2001:db8::1]:443", Endpoint::ModuleProxy)],
        );
        check("C:/a:/b :/ ://", &[]);
    }

    #[test]
    fn a_proxy_url_names_its_module() {
        let check = |text: &str, module: &str, version: Option<&str>| {
            let found = urls(text).first().and_then(Url::module);
            assert_eq!(
                found,
                Some((module.to_owned(), version.map(str::to_owned))),
                "{text}"
            );
        };
        check(
            "https://m.example/github.com/%21a/b/@v/v1.2.3.mod",
            "github.com/A/b",
            Some("v1.2.3"),
        );
        check(
            "https://r.example/artifactory/api/go/go/a.example/b/@v/list",
            "a.example/b",
            None,
        );
        check(
            "https://sum.golang.org/lookup/github.com/!a/b@v1.0.0",
            "github.com/A/b",
            Some("v1.0.0"),
        );
        check("https://a.example/b/c?go-get=1", "a.example/b/c", None);
    }

    #[test]
    fn private_hosts_are_told_by_their_names() {
        for private in [
            "git.acme.example/a",
            "gitlab.corp.example/a",
            "host/a",
            "10.0.0.1:8081",
            "a.example:8443",
            "x.local",
            "go-proxy.internal",
        ] {
            assert!(looks_private(private), "{private}");
        }
        for public in [
            "github.com/a/b",
            "gitlab.com/a",
            "go.acme.example/a",
            "mirror.example",
            "golang.org/x/net",
            "go.dev",
        ] {
            assert!(!looks_private(public), "{public}");
        }
    }
}
