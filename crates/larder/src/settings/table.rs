//! Every setting, once.
//!
//! The flags, the environment's names, the keys of the file, the reference page, the sample file,
//! `larder config show` and the tests are all made from [`SETTINGS`]. A new setting is one entry
//! here, one field of [`Draft`] and one of [`Config`](super::config::Config).

use super::complaint::Fault;
use super::config::{GitProgram, LogFormat, LogLevel};
use super::value::{self, Given, HostPort};
use gomod::sumdb::SumdbSetting;
use gomod::{PathPatterns, ProxyList};
use source::{GitProtocol, GoVcs};
use std::path::PathBuf;
use std::time::Duration;

/// One thing that can be set.
pub(crate) struct Setting {
    /// Its name in the file: words joined by `_`.
    pub(crate) key: &'static str,
    /// The flag, without the two dashes.
    pub(crate) flag: &'static str,
    /// The environment variable.
    pub(crate) environment: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: Fallback,
    /// The heading that it stands under in the help and in the reference.
    pub(crate) group: Group,
    /// One line without a full stop.
    pub(crate) summary: &'static str,
    /// What else there is to know: full sentences, Markdown.
    pub(crate) details: &'static str,
    /// A value as it is written in the file.
    pub(crate) example: &'static str,
    /// The first version that has it.
    pub(crate) since: &'static str,
    /// May hold a password: is never shown as it was written.
    pub(crate) secret: bool,
    /// Whether it may stand in the file: what picks the file and the profile may not.
    pub(crate) in_file: bool,
    /// Parses a text and notes the value.
    pub(crate) apply: fn(&mut Draft, &Given<'_>) -> Result<(), Fault>,
}

/// What a setting's values look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `true` or `false`; as a flag, its name alone means `true`.
    Switch,
    /// A whole number.
    Count,
    /// Seconds, or a number with a unit.
    Duration,
    /// Bytes, or a number with a unit.
    Size,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A file.
    File,
    /// A folder.
    Folder,
    /// Anything else, named as the help shows it.
    Text(&'static str),
    /// Words separated by commas; in the file an array of strings will do, too.
    List(&'static str),
    /// A GOPROXY list; in the file `[[upstream]]` tables will do, too.
    Upstream,
}

impl Kind {
    /// What stands for a value in the help.
    pub(crate) fn value_name(self) -> &'static str {
        match self {
            Self::Switch => "BOOL",
            Self::Count => "NUMBER",
            Self::Duration => "SECONDS",
            Self::Size => "BYTES",
            Self::Choice(_) => "WORD",
            Self::File => "FILE",
            Self::Folder => "DIR",
            Self::Text(name) | Self::List(name) => name,
            Self::Upstream => "LIST",
        }
    }
}

/// What holds where nothing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fallback {
    /// This text.
    Value(&'static str),
    /// Nothing: the feature is off.
    Unset,
    /// What the user's go command would use: the first of these variables that go finds.
    GoEnv(&'static [&'static str]),
    /// The same, and this text where go finds none of them.
    GoEnvElse(&'static [&'static str], &'static str),
    /// `larder` in the user's cache folder.
    UserCacheFolder,
}

impl Fallback {
    /// The text that holds where nothing else does.
    pub(crate) fn text(self) -> Option<&'static str> {
        match self {
            Self::Value(text) | Self::GoEnvElse(_, text) => Some(text),
            Self::Unset | Self::GoEnv(_) | Self::UserCacheFolder => None,
        }
    }

    /// Go's variables, the first of which that go finds holds where nothing is written.
    pub(crate) fn go_variables(self) -> &'static [&'static str] {
        match self {
            Self::GoEnv(variables) | Self::GoEnvElse(variables, _) => variables,
            Self::Value(_) | Self::Unset | Self::UserCacheFolder => &[],
        }
    }
}

/// The headings, in the order in which people need them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    Listening,
    Storage,
    Upstreams,
    Repositories,
    Privacy,
    Logs,
    Sources,
}

impl Group {
    pub(crate) const ALL: &'static [Self] = &[
        Self::Listening,
        Self::Storage,
        Self::Upstreams,
        Self::Repositories,
        Self::Privacy,
        Self::Logs,
        Self::Sources,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Listening => "Listening",
            Self::Storage => "Cache and memory",
            Self::Upstreams => "Upstreams",
            Self::Repositories => "Git repositories",
            Self::Privacy => "Private modules and checksums",
            Self::Logs => "Logs",
            Self::Sources => "Where settings come from",
        }
    }
}

/// The values of one or more layers, parsed; what no layer set is `None`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    pub(crate) listen: Option<HostPort>,
    pub(crate) tls_cert: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    pub(crate) cache_dir: Option<PathBuf>,
    pub(crate) cache_limit_bytes: Option<u64>,
    pub(crate) disk_free_bytes: Option<u64>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) fill_memory_bytes: Option<u64>,
    pub(crate) scrub_bytes_per_second: Option<u64>,
    pub(crate) prefetch_bytes_per_second: Option<u64>,
    pub(crate) upstream: Option<ProxyList>,
    pub(crate) offline: Option<bool>,
    pub(crate) fresh: Option<Duration>,
    pub(crate) refresh_token_file: Option<PathBuf>,
    pub(crate) webhook_secret_file: Option<PathBuf>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) stall_timeout: Option<Duration>,
    pub(crate) upstream_concurrency: Option<u32>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) git: Option<GitProgram>,
    pub(crate) git_protocols: Option<Vec<GitProtocol>>,
    pub(crate) git_mirrors_bytes: Option<u64>,
    pub(crate) git_processes: Option<u32>,
    pub(crate) govcs: Option<GoVcs>,
    pub(crate) insecure: Option<PathPatterns>,
    pub(crate) private: Option<PathPatterns>,
    pub(crate) allow_anonymous_private: Option<bool>,
    pub(crate) sumdb: Option<SumdbSetting>,
    pub(crate) no_sumdb: Option<PathPatterns>,
    pub(crate) log_format: Option<LogFormat>,
    pub(crate) log_level: Option<LogLevel>,
    pub(crate) access_log: Option<bool>,
    pub(crate) config: Option<PathBuf>,
    pub(crate) profile: Option<String>,
}

/// The profiles that exist, and what each means where the file does not say otherwise.
pub(crate) const PROFILES: &[(&str, &[(&str, &str)])] = &[
    ("dev", &[("log_level", "debug")]),
    ("staging", &[("log_format", "json"), ("log_level", "debug")]),
    ("prod", &[("log_format", "json")]),
];

/// Files up to this size are verified before their first byte is sent, from the fill memory.
const SMALLEST_FILL_MEMORY_BYTES: u64 = 8 << 20;

/// Less than a few mirrors would be fetched again and again.
const SMALLEST_MIRRORS_BYTES: u64 = 64 << 20;

/// What cmd/go uses where GOSUMDB is found nowhere.
const GO_SUMDB: &str = "sum.golang.org";

/// All settings, grouped.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        key: "listen",
        flag: "listen",
        environment: "LARDER_LISTEN",
        kind: Kind::Text("HOST:PORT"),
        default: Fallback::Value("127.0.0.1:8080"),
        group: Group::Listening,
        summary: "Where to accept requests",
        details: "Port 0 picks a free one. A name is looked up once, at the start; the first of its addresses that \
                  this machine has is taken. The default is reached from this machine alone; `[::]:8080` is reached from \
                  every network. `larder exec` listens on a free port of 127.0.0.1 unless the flag says otherwise.",
        example: "\"127.0.0.1:8080\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| value::host_port(given).map(|it| draft.listen = Some(it)),
    },
    Setting {
        key: "tls_cert",
        flag: "tls-cert",
        environment: "LARDER_TLS_CERT",
        kind: Kind::File,
        default: Fallback::Unset,
        group: Group::Listening,
        summary: "Serve HTTPS with this certificate (PEM)",
        details: "The certificate first, then its intermediates. Needs `tls_key`. The file is read again when it \
                  changes, without dropping a connection.",
        example: "\"/etc/larder/tls.crt\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| value::path(given).map(|it| draft.tls_cert = Some(it)),
    },
    Setting {
        key: "tls_key",
        flag: "tls-key",
        environment: "LARDER_TLS_KEY",
        kind: Kind::File,
        default: Fallback::Unset,
        group: Group::Listening,
        summary: "The private key of `tls_cert` (PEM)",
        details: "Read again when it changes.",
        example: "\"/etc/larder/tls.key\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| value::path(given).map(|it| draft.tls_key = Some(it)),
    },
    Setting {
        key: "cache_dir",
        flag: "cache-dir",
        environment: "LARDER_CACHE_DIR",
        kind: Kind::Folder,
        default: Fallback::UserCacheFolder,
        group: Group::Storage,
        summary: "The folder where modules are kept",
        details: "Made when it is missing. Its `download` folder is a static GOPROXY: `GOPROXY=file://DIR/download` \
                  reads it. Two processes may share one folder.",
        example: "\"/var/cache/larder\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| value::path(given).map(|it| draft.cache_dir = Some(it)),
    },
    Setting {
        key: "cache_limit",
        flag: "cache-limit",
        environment: "LARDER_CACHE_LIMIT",
        kind: Kind::Size,
        default: Fallback::Unset,
        group: Group::Storage,
        summary: "Bytes of module files to keep; what was asked for longest ago goes first",
        details: "Where nothing is set, the cache grows until `disk_free` holds it. Never evicted are pinned versions, private \
                  modules, and versions that upstream no longer lists. A tenth goes at once.",
        example: "\"20GiB\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| value::bytes(given, 1).map(|it| draft.cache_limit_bytes = Some(it)),
    },
    Setting {
        key: "disk_free",
        flag: "disk-free",
        environment: "LARDER_DISK_FREE",
        kind: Kind::Size,
        default: Fallback::Unset,
        group: Group::Storage,
        summary: "Bytes of the disk that the cache leaves free",
        details: "Where nothing is set: 1 GiB, or a twentieth of the file system where that is less, so that a small volume can \
                  be filled, too. Below it files are evicted as for `cache_limit`. 0 turns it off.",
        example: "\"5GiB\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| value::bytes(given, 0).map(|it| draft.disk_free_bytes = Some(it)),
    },
    Setting {
        key: "memory",
        flag: "memory",
        environment: "LARDER_MEMORY",
        kind: Kind::Size,
        default: Fallback::Value("64MiB"),
        group: Group::Storage,
        summary: "Memory for small files that are asked for often",
        details: "In front of the folder, not instead of it. 0 turns it off.",
        example: "\"64MiB\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| value::bytes(given, 0).map(|it| draft.memory_bytes = Some(it)),
    },
    Setting {
        key: "fill_memory",
        flag: "fill-memory",
        environment: "LARDER_FILL_MEMORY",
        kind: Kind::Size,
        default: Fallback::Value("64MiB"),
        group: Group::Storage,
        summary: "Memory that all downloads from upstreams share",
        details: "A file that fits is served even when the disk is full. At least 8 MiB, the size up to which a file is \
                  verified before its first byte is sent.",
        example: "\"64MiB\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| {
            value::bytes(given, SMALLEST_FILL_MEMORY_BYTES)
                .map(|it| draft.fill_memory_bytes = Some(it))
        },
    },
    Setting {
        key: "prefetch",
        flag: "prefetch",
        environment: "LARDER_PREFETCH",
        kind: Kind::Size,
        default: Fallback::Value("0"),
        group: Group::Upstreams,
        summary: "Bytes a second that may be fetched before they are asked for",
        details: "When a client asks for the `.info` or `.mod` of a version whose zip is likely to be wanted next, \
                  the zip is fetched at once, on average within this rate. What is likely is learned from this \
                  server's own clients; the metrics `larder_prefetched_*` say how much was wanted. 0 turns it off.",
        example: "\"8MiB\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| {
            value::bytes(given, 0).map(|it| draft.prefetch_bytes_per_second = Some(it))
        },
    },
    Setting {
        key: "scrub",
        flag: "scrub",
        environment: "LARDER_SCRUB",
        kind: Kind::Size,
        default: Fallback::Value("4MiB"),
        group: Group::Storage,
        summary: "Bytes a second that stored files are read again with, to find damage",
        details: "In the background, at most one round a day, one file at a time and past the page cache where the file \
                  system can. A damaged file is moved to `DIR/state/quarantine`, and the next request fetches it anew. \
                  0 turns it off; `larder cache verify` does the same at once.",
        example: "\"4MiB\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| {
            value::bytes(given, 0).map(|it| draft.scrub_bytes_per_second = Some(it))
        },
    },
    Setting {
        key: "upstream",
        flag: "upstream",
        environment: "LARDER_UPSTREAM",
        kind: Kind::Upstream,
        default: Fallback::GoEnv(&["GOPROXY"]),
        group: Group::Upstreams,
        summary: "Where modules come from: a GOPROXY list",
        details: "Entries are `http://`, `https://` or `file://` URLs, `direct` or `off`. After `,` the next entry is \
                  asked when the one before it answered 404 or 410, after `|` when it failed in any way. A URL may \
                  hold credentials (`https://user:password@host`), which are never printed; a netrc file serves, too. \
                  `direct` fetches a module from its repository, with git; what comes from there is checked against \
                  the checksum database like anything else. An entry that is this very server is dropped with a warning.",
        example: "\"https://mirror.example,direct\"",
        since: "0.1.0",
        secret: true,
        in_file: true,
        apply: |draft, given| value::upstream_list(given).map(|it| draft.upstream = Some(it)),
    },
    Setting {
        key: "offline",
        flag: "offline",
        environment: "LARDER_OFFLINE",
        kind: Kind::Switch,
        default: Fallback::Value("false"),
        group: Group::Upstreams,
        summary: "Answer from the cache folder alone",
        details: "Nothing is fetched. `list` and `@latest` are computed from what is stored, by Go's rules; what is not \
                  stored is answered with 503.",
        example: "true",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| value::switch(given).map(|it| draft.offline = Some(it)),
    },
    Setting {
        key: "fresh",
        flag: "fresh",
        environment: "LARDER_FRESH",
        kind: Kind::Duration,
        default: Fallback::Value("60"),
        group: Group::Upstreams,
        summary: "How long a `list` or `@latest` is served without asking upstream again",
        details: "A new version is seen at most this much later. When upstream is down, older answers are served with \
                  their age.",
        example: "60",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| value::duration(given).map(|it| draft.fresh = Some(it)),
    },
    Setting {
        key: "refresh_token_file",
        flag: "refresh-token-file",
        environment: "LARDER_REFRESH_TOKEN_FILE",
        kind: Kind::File,
        default: Fallback::Unset,
        group: Group::Upstreams,
        summary: "A file with the token that `POST /-/refresh/MODULE` asks for",
        details: "One token a line, at least 16 letters each; every line holds, so that a token can be replaced without \
                  a gap. The variable `LARDER_REFRESH_TOKEN` may hold the token itself. Without either, nothing is \
                  refreshed on request. The guide on refreshes and webhooks says what for.",
        example: "\"/etc/larder/refresh-token\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| value::path(given).map(|it| draft.refresh_token_file = Some(it)),
    },
    Setting {
        key: "webhook_secret_file",
        flag: "webhook-secret-file",
        environment: "LARDER_WEBHOOK_SECRET_FILE",
        kind: Kind::File,
        default: Fallback::Unset,
        group: Group::Upstreams,
        summary: "A file with the secret that code hosts sign their webhooks with",
        details: "As `refresh_token_file`: one secret a line, at least 16 letters each. The variable \
                  `LARDER_WEBHOOK_SECRET` may hold the secret itself. Without either, no webhook is taken.",
        example: "\"/etc/larder/webhook-secret\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| value::path(given).map(|it| draft.webhook_secret_file = Some(it)),
    },
    Setting {
        key: "connect_timeout",
        flag: "connect-timeout",
        environment: "LARDER_CONNECT_TIMEOUT",
        kind: Kind::Duration,
        default: Fallback::Value("10"),
        group: Group::Upstreams,
        summary: "How long connecting to an upstream may take",
        details: "Name look-up, TCP and TLS together.",
        example: "10",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| value::deadline(given).map(|it| draft.connect_timeout = Some(it)),
    },
    Setting {
        key: "stall_timeout",
        flag: "stall-timeout",
        environment: "LARDER_STALL_TIMEOUT",
        kind: Kind::Duration,
        default: Fallback::Value("30"),
        group: Group::Upstreams,
        summary: "How long an upstream may send nothing",
        details: "There is no limit on the whole of a download: a large file on a slow line is fine as long as it flows.",
        example: "30",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| value::deadline(given).map(|it| draft.stall_timeout = Some(it)),
    },
    Setting {
        key: "upstream_concurrency",
        flag: "upstream-concurrency",
        environment: "LARDER_UPSTREAM_CONCURRENCY",
        kind: Kind::Count,
        default: Fallback::Value("64"),
        group: Group::Upstreams,
        summary: "Requests under way to one upstream at the same time",
        details: "Further ones wait. What is in the cache never waits behind them.",
        example: "64",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| {
            value::count(given, 1).map(|it| draft.upstream_concurrency = Some(it))
        },
    },
    Setting {
        key: "ca_file",
        flag: "ca-file",
        environment: "LARDER_CA_FILE",
        kind: Kind::File,
        default: Fallback::Unset,
        group: Group::Upstreams,
        summary: "Certificates to trust on connections to upstreams (PEM)",
        details: "Besides those that the system trusts, or those in `SSL_CERT_FILE` and `SSL_CERT_DIR`, which are read \
                  as Go reads them. An `[[upstream]]` table may name one for itself alone.",
        example: "\"/etc/ssl/company-ca.pem\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| value::path(given).map(|it| draft.ca_file = Some(it)),
    },
    Setting {
        key: "git",
        flag: "git",
        environment: "LARDER_GIT",
        kind: Kind::Text("PROGRAM"),
        default: Fallback::Value("git"),
        group: Group::Repositories,
        summary: "The git program, by name or path; `off` for none",
        details: "For `direct` and for private modules; version 2.29 or later. It runs with this server's environment, so that \
                  SSH, credential helpers, `url.….insteadOf`, client certificates and `http.sslCAInfo` work as they do in a \
                  shell, but it never asks anything. Without git everything else works, and what only git could fetch is \
                  answered with 502.",
        example: "\"/usr/local/bin/git\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| value::git_program(given).map(|it| draft.git = Some(it)),
    },
    Setting {
        key: "git_protocols",
        flag: "git-protocols",
        environment: "LARDER_GIT_PROTOCOLS",
        kind: Kind::List("LIST"),
        default: Fallback::Value("https,ssh"),
        group: Group::Repositories,
        summary: "How git repositories may be reached, the preferred first",
        details: "Any of `https`, `ssh`, `http`, `git` and `file`. `http` and `git` are not encrypted and hold for what \
                  `insecure` names only, whether they stand here or not; `file` only for addresses that your own git \
                  configuration rewrites (`url.….insteadOf`).",
        example: "\"https,ssh\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| value::git_protocols(given).map(|it| draft.git_protocols = Some(it)),
    },
    Setting {
        key: "git_mirrors",
        flag: "git-mirrors",
        environment: "LARDER_GIT_MIRRORS",
        kind: Kind::Size,
        default: Fallback::Value("10GiB"),
        group: Group::Repositories,
        summary: "Disk space for mirrors of git repositories",
        details: "They lie in `state/git` of the cache folder and may be deleted at any time. Those that were not used for \
                  the longest time go first; one alone may take a quarter of this.",
        example: "\"10GiB\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| {
            value::bytes(given, SMALLEST_MIRRORS_BYTES).map(|it| draft.git_mirrors_bytes = Some(it))
        },
    },
    Setting {
        key: "git_processes",
        flag: "git-processes",
        environment: "LARDER_GIT_PROCESSES",
        kind: Kind::Count,
        default: Fallback::Value("16"),
        group: Group::Repositories,
        summary: "Git processes that may run at the same time",
        details: "Further ones wait. What is in the cache never waits behind them.",
        example: "16",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| value::count(given, 2).map(|it| draft.git_processes = Some(it)),
    },
    Setting {
        key: "govcs",
        flag: "govcs",
        environment: "LARDER_GOVCS",
        kind: Kind::Text("VALUE"),
        default: Fallback::GoEnv(&["GOVCS"]),
        group: Group::Repositories,
        summary: "Which version control systems may be used for which modules: a GOVCS value",
        details: "As in Go: `PATTERN:SYSTEM|SYSTEM` with commas between, where `public` and `private` are patterns too; the \
                  first that matches holds, and behind them stands `private:all,public:git|hg`. Larder fetches from git \
                  only, so what remains is to forbid it (`public:off`).",
        example: "\"github.com:git,public:off\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| value::govcs(given).map(|it| draft.govcs = Some(it)),
    },
    Setting {
        key: "insecure",
        flag: "insecure",
        environment: "LARDER_INSECURE",
        kind: Kind::List("PATTERNS"),
        default: Fallback::GoEnv(&["GOINSECURE"]),
        group: Group::Repositories,
        summary: "Modules whose repositories may be found and fetched without encryption",
        details: "Patterns as in GOINSECURE. For these, `http` and `git` addresses are taken, no certificate is verified while \
                  looking for the repository, and their hosts may be in this server's own network. Whether git verifies \
                  certificates is for its own configuration to say (`http.sslVerify`).",
        example: "\"git.lab.example/*\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| value::patterns(given).map(|it| draft.insecure = Some(it)),
    },
    Setting {
        key: "private",
        flag: "private",
        environment: "LARDER_PRIVATE",
        kind: Kind::List("PATTERNS"),
        default: Fallback::GoEnv(&["GONOPROXY", "GOPRIVATE"]),
        group: Group::Privacy,
        summary: "Modules whose names no upstream and no checksum database hears",
        details: "Patterns as in GOPRIVATE: globs of leading path elements, separated by commas. They are fetched from their \
                  repositories and from nowhere else, and the hosts that the patterns name may be in this server's own network. \
                  A GONOPROXY of `none` only makes `go` ask its proxy for private modules too, and does not say which \
                  they are: then GOPRIVATE holds. The guide on private modules says more.",
        example: "\"corp.example/*,github.com/our-company\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| value::patterns(given).map(|it| draft.private = Some(it)),
    },
    Setting {
        key: "allow_anonymous_private",
        flag: "allow-anonymous-private",
        environment: "LARDER_ALLOW_ANONYMOUS_PRIVATE",
        kind: Kind::Switch,
        default: Fallback::Value("false"),
        group: Group::Privacy,
        summary: "Serve private modules to whoever can connect",
        details: "Whoever can connect reads what this server has fetched. Where there are private sources (private patterns, or \
                  `direct` together with passwords for code hosts), a server that listens on more than this machine's \
                  loopback refuses to start unless this is set.",
        example: "true",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| {
            value::switch(given).map(|it| draft.allow_anonymous_private = Some(it))
        },
    },
    Setting {
        key: "sumdb",
        flag: "sumdb",
        environment: "LARDER_SUMDB",
        kind: Kind::Text("VALUE"),
        default: Fallback::GoEnvElse(&["GOSUMDB"], GO_SUMDB),
        group: Group::Privacy,
        summary: "The checksum database: a GOSUMDB value",
        details: "A name whose key go knows (`sum.golang.org`), `NAME+HASH+KEY`, either of them with a URL after a space, \
                  or `off`. Every module that is not exempt is checked before it is stored.",
        example: "\"sum.golang.org\"",
        since: "0.1.0",
        secret: true,
        in_file: true,
        apply: |draft, given| value::sumdb(given).map(|it| draft.sumdb = Some(it)),
    },
    Setting {
        key: "no_sumdb",
        flag: "no-sumdb",
        environment: "LARDER_NO_SUMDB",
        kind: Kind::List("PATTERNS"),
        default: Fallback::GoEnv(&["GONOSUMDB", "GOPRIVATE"]),
        group: Group::Privacy,
        summary: "Modules that are not looked up in the checksum database",
        details: "Patterns as in GONOSUMDB. Private modules never are, whatever stands here. What is exempt is trusted \
                  at first sight and held to it.",
        example: "\"corp.example/*\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| value::patterns(given).map(|it| draft.no_sumdb = Some(it)),
    },
    Setting {
        key: "log_format",
        flag: "log-format",
        environment: "LARDER_LOG_FORMAT",
        kind: Kind::Choice(&["text", "json"]),
        default: Fallback::Value("text"),
        group: Group::Logs,
        summary: "How log lines are written",
        details: "They go to stderr.",
        example: "\"json\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| {
            value::choice(
                given,
                &[("text", LogFormat::Text), ("json", LogFormat::Json)],
            )
            .map(|it| draft.log_format = Some(it))
        },
    },
    Setting {
        key: "log_level",
        flag: "log-level",
        environment: "LARDER_LOG_LEVEL",
        kind: Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        default: Fallback::Value("info"),
        group: Group::Logs,
        summary: "What is worth a log line",
        details: "The libraries below Larder log only what is wrong, whatever stands here.",
        example: "\"info\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| {
            let levels = [
                ("error", LogLevel::Error),
                ("warn", LogLevel::Warn),
                ("info", LogLevel::Info),
                ("debug", LogLevel::Debug),
                ("trace", LogLevel::Trace),
            ];
            value::choice(given, &levels).map(|it| draft.log_level = Some(it))
        },
    },
    Setting {
        key: "access_log",
        flag: "access-log",
        environment: "LARDER_ACCESS_LOG",
        kind: Kind::Choice(&["on", "off"]),
        default: Fallback::Value("on"),
        group: Group::Logs,
        summary: "Write one log line a request",
        details: "It may name private modules; metrics never do.",
        example: "\"off\"",
        since: "0.1.0",
        secret: false,
        in_file: true,
        apply: |draft, given| {
            value::choice(given, &[("on", true), ("off", false)])
                .map(|it| draft.access_log = Some(it))
        },
    },
    Setting {
        key: "config",
        flag: "config",
        environment: "LARDER_CONFIG",
        kind: Kind::File,
        default: Fallback::Unset,
        group: Group::Sources,
        summary: "The settings file (TOML)",
        details: "No file is read unless one is named. Relative paths in it are relative to its folder.",
        example: "\"/etc/larder/larder.toml\"",
        since: "0.1.0",
        secret: false,
        in_file: false,
        apply: |draft, given| value::path(given).map(|it| draft.config = Some(it)),
    },
    Setting {
        key: "profile",
        flag: "profile",
        environment: "LARDER_PROFILE",
        kind: Kind::Choice(&["dev", "staging", "prod"]),
        default: Fallback::Unset,
        group: Group::Sources,
        summary: "The section of the file that is laid over the rest",
        details: "`[profile.NAME]` takes the same keys as the file itself.",
        example: "\"prod\"",
        since: "0.1.0",
        secret: false,
        in_file: false,
        apply: |draft, given| {
            let names: Vec<(&'static str, &'static str)> =
                PROFILES.iter().map(|(name, _)| (*name, *name)).collect();
            value::choice(given, &names).map(|it| draft.profile = Some(it.into()))
        },
    },
];

/// The setting with this key.
pub(crate) fn by_key(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}
