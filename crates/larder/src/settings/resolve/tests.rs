use super::*;
use crate::settings::written::Purpose;

/// A home folder, and files in it.
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs_err::write(&path, text).unwrap();
        path.into_os_string().into_string().unwrap()
    }

    fn environment(&self, variables: &[(&str, &str)]) -> Environment {
        let home = self.folder.path().to_str().unwrap();
        let own = [
            ("HOME", home),
            ("GOENV", "off"),
            ("GOPROXY", "https://go.example,direct"),
        ];
        own.iter().chain(variables).copied().collect()
    }

    fn resolve(
        &self,
        flags: &[(&'static str, &str)],
        variables: &[(&str, &str)],
    ) -> Result<Resolved, Vec<Complaint>> {
        self.resolve_for(Purpose::Serve, flags, variables)
    }

    fn resolve_for(
        &self,
        purpose: Purpose,
        flags: &[(&'static str, &str)],
        variables: &[(&str, &str)],
    ) -> Result<Resolved, Vec<Complaint>> {
        let environment = self.environment(variables);
        let flags: Vec<(&'static str, String)> = flags
            .iter()
            .map(|(key, text)| (*key, (*text).to_owned()))
            .collect();
        resolve(
            &Written::collect(&flags, &environment, purpose),
            &environment,
        )
    }

    /// The complaints, with this home folder written as `HOME`.
    fn complaints(&self, flags: &[(&'static str, &str)], variables: &[(&str, &str)]) -> String {
        let complaints = self.resolve(flags, variables).unwrap_err();
        let text: String = complaints.iter().map(Complaint::render).collect();
        text.replace(self.folder.path().to_str().unwrap(), "HOME")
    }
}

fn upstreams(config: &Config) -> Vec<String> {
    config
        .upstreams
        .iter()
        .map(|upstream| match &upstream.entry {
            ProxyEntry::Proxy(proxy) => format!("{} {:?}", proxy.url.expose(), proxy.fall_back),
            ProxyEntry::Direct => "direct".into(),
            ProxyEntry::Off => "off".into(),
        })
        .collect()
}

#[test]
fn without_any_setting_larder_does_what_the_users_go_command_would() {
    let home = Home::new();
    let config = home
        .resolve(
            &[],
            &[
                ("GOPRIVATE", "corp.example/*"),
                ("GONOSUMDB", "corp.example/*,other.example"),
                ("GOSUMDB", "off"),
            ],
        )
        .unwrap()
        .config;
    assert_eq!(upstreams(&config), ["https://go.example/ Absent", "direct"]);
    assert_eq!(config.private.as_str(), "corp.example/*");
    assert_eq!(config.no_sumdb.as_str(), "corp.example/*,other.example");
    assert_eq!(config.sumdb, gomod::sumdb::SumdbSetting::Off);
    assert_eq!(config.listen.text, "127.0.0.1:8080");
    assert!(config.tls.is_none());
    #[cfg(target_os = "linux")]
    assert_eq!(config.cache_dir, home.folder.path().join(".cache/larder"));
}

#[test]
fn gonoproxy_wins_over_goprivate() {
    let variables = [("GOPRIVATE", "a.example"), ("GONOPROXY", "b.example")];
    let config = Home::new().resolve(&[], &variables).unwrap().config;
    assert_eq!(config.private.as_str(), "b.example");
    assert_eq!(config.no_sumdb.as_str(), "a.example");
}

#[test]
fn a_shell_with_the_line_that_larder_prints_keeps_private_names_private() {
    let variables = [("GOPRIVATE", "corp.example/*"), ("GONOPROXY", "none")];
    let config = Home::new().resolve(&[], &variables).unwrap().config;
    assert_eq!(config.private.as_str(), "corp.example/*");
    let config = Home::new().resolve(&[], &[("GONOPROXY", "none")]);
    assert!(config.unwrap().config.private.is_empty());
}

#[test]
fn a_stronger_layer_wins_file_profile_environment_flag() {
    let home = Home::new();
    let file = home.write(
        "larder.toml",
        "fresh = 1\nmemory = \"1MiB\"\nlog_format = \"text\"\nconnect_timeout = 1\n\
         [profile.prod]\nfresh = 2\nmemory = \"2MiB\"\n[profile.dev]\nfresh = 9\n",
    );
    let config = home
        .resolve(
            &[("config", &file), ("fresh", "4")],
            &[
                ("LARDER_PROFILE", "prod"),
                ("LARDER_FRESH", "3"),
                ("LARDER_MEMORY", "3MiB"),
                ("LARDER_STALL_TIMEOUT", ""),
            ],
        )
        .unwrap()
        .config;
    assert_eq!(config.fresh, std::time::Duration::from_secs(4));
    assert_eq!(config.memory_bytes, 3 << 20);
    assert_eq!(config.connect_timeout, std::time::Duration::from_secs(1));
    assert_eq!(config.stall_timeout, std::time::Duration::from_secs(30));
    // What a profile means by itself is laid over the file, too.
    assert_eq!(config.log_format, super::super::config::LogFormat::Json);
}

#[test]
fn an_empty_flag_takes_back_gos_patterns() {
    let config = Home::new()
        .resolve(&[("private", "")], &[("GOPRIVATE", "corp.example")])
        .unwrap()
        .config;
    assert!(config.private.is_empty());
}

#[test]
fn all_faults_are_said_at_once() {
    let home = Home::new();
    let file = home.write(
        "larder.toml",
        "memroy = 1\nfill_memory = \"1MiB\"\n[profile.staging]\nfresh = \"never\"\n",
    );
    let text = home.complaints(
        &[
            ("config", &file),
            ("listen", "127.0.0.1"),
            ("tls_cert", "/nowhere/tls.crt"),
            ("log_level", "inof"),
        ],
        &[
            ("LARDER_UPSTREAM", "ftp://user:secret-word@mirror.example"),
            ("LARDER_UPSTREAM_CONCURRENCY", "0"),
            ("LARDER_SUMDB", "sum.example"),
            ("LARDER_GIT_PROTOCOLS", "https,shh"),
            ("HTTPS_PROXY", "ftp://user:secret-word@proxy.example"),
        ],
    );
    assert!(!text.contains("secret-word"), "{text}");
    insta::assert_snapshot!(text, @r#"
    error: HOME/larder.toml:1: unknown key `memroy`
    hint: did you mean `memory`?
    error: HOME/larder.toml:2: `fill_memory` is `1MiB`, but `8MiB` is the least that works
    error: HOME/larder.toml:4 (staging): `fresh` is `never`, which is no length of time
    hint: write seconds, or a number with a unit: `60`, `90s`, `5m`, `1h`, `500ms`
    error: LARDER_UPSTREAM: `upstream` is no GOPROXY list: invalid proxy URL scheme (must be https, http, file)
    error: LARDER_UPSTREAM_CONCURRENCY: `upstream_concurrency` is `0`, but must be a whole number, 1 or more
    error: LARDER_GIT_PROTOCOLS: `git_protocols` is `shh`, but must be one of `https`, `ssh`, `http`, `git`, `file`
    error: LARDER_SUMDB: `sumdb` is no GOSUMDB value: only the key of sum.golang.org is built in; write `NAME+HASH+KEY`
    hint: write `sum.golang.org`, `NAME+HASH+KEY`, either of them with a URL after a space, or `off`
    error: --listen: `listen` is `127.0.0.1`, which has no port
    hint: write `127.0.0.1:8080`
    error: --log-level: `log_level` is `inof`, but must be one of `error`, `warn`, `info`, `debug`, `trace`
    hint: did you mean `info`?
    error: --tls-cert: `tls_cert` is set, but `tls_key` is not
    hint: HTTPS needs both, plain HTTP neither
    error: `HTTPS_PROXY` is of no use: its scheme must be http, https, socks5 or socks5h
    hint: write `http://HOST:PORT`, or the same with `https`, `socks5` or `socks5h`
    "#);
}

#[test]
fn tables_of_upstreams_become_one_list() {
    let home = Home::new();
    home.write("password", "word\n");
    let file = home.write(
        "larder.toml",
        r#"
        [[upstream]]
        urls = ["https://a.example/go", "b.example"]
        fallback = "any"
        credentials = { user = "larder", password_file = "password" }
        [[upstream]]
        urls = ["https://c.example", "direct"]
        "#,
    );
    let resolved = home.resolve(&[("config", &file)], &[]).unwrap();
    assert_eq!(
        upstreams(&resolved.config),
        [
            "https://larder:word@a.example/go Any",
            "https://larder:word@b.example/ Any",
            "https://c.example/ Absent",
            "direct"
        ]
    );
    assert!(!format!("{:?}", resolved.config).contains("word@"));
}

#[test]
fn faults_in_upstream_tables_name_their_lines() {
    let home = Home::new();
    let file = home.write(
        "larder.toml",
        "[[upstream]]\nurls = [\"direct\", \"https://a.example\"]\n\
         [[upstream]]\nurls = [\"a.example,b.example\", \"word\"]\nca_file = \"ca.pem\"\n\
         credentials = { user = \"larder\", password_file = \"password\" }\n",
    );
    insta::assert_snapshot!(home.complaints(&[("config", &file)], &[]), @r#"
    error: HOME/larder.toml:2: `upstream.urls` has an entry after `direct` or `off`, which is never asked
    error: HOME/larder.toml:3: `upstream.ca_file` is `HOME/ca.pem`: No such file or directory (os error 2)
    error: HOME/larder.toml:3: `upstream.credentials.password_file` can't be read: failed to open file `HOME/password`: No such file or directory (os error 2)
    error: HOME/larder.toml:4: `upstream.urls` has a `,` or `|` in a URL
    hint: give each URL as an entry of its own, and say `fallback = "absent"` or `"any"`
    error: HOME/larder.toml:4: `upstream.urls` has an entry that is none: invalid proxy URL missing scheme
    "#);
}

#[test]
fn an_upstream_that_is_this_very_server_is_left_out_with_a_warning() {
    let home = Home::new();
    let list = "http://127.0.0.1:8080,http://localhost:8080|https://mirror.example";
    let resolved = home.resolve(&[("upstream", list)], &[]).unwrap();
    assert_eq!(
        upstreams(&resolved.config),
        ["https://mirror.example/ Absent"]
    );
    assert_eq!(
        resolved.warnings.first().map(String::as_str),
        Some("upstream `http://127.0.0.1:8080/` is this very server and is left out")
    );
    let other_port = [("upstream", list), ("listen", "127.0.0.1:8081")];
    let resolved = home.resolve(&other_port, &[]).unwrap();
    assert_eq!(resolved.config.upstreams.len(), 3);
}

#[test]
fn nothing_but_this_very_server_and_no_upstream_at_all_stop_the_start() {
    let home = Home::new();
    let own = home.complaints(&[], &[("GOPROXY", "http://127.0.0.1:8080")]);
    insta::assert_snapshot!(own, @r#"
    error: GOPROXY: `upstream` names nothing but this very server
    hint: say where modules really come from with `--upstream LIST` or `LARDER_UPSTREAM`; GOPROXY in this shell may already point at larder
    "#);
    let none = home.complaints(&[], &[("GOPROXY", ""), ("PATH", "")]);
    insta::assert_snapshot!(none, @r#"
    error: no upstream: neither a setting nor the go environment says where modules come from
    hint: give `--upstream LIST`, set `LARDER_UPSTREAM` or `GOPROXY`, or install go, whose `go.env` names one
    "#);
    let offline = home
        .resolve(&[("offline", "true")], &[("GOPROXY", "")])
        .unwrap();
    assert!(offline.config.upstreams.is_empty());
}

#[test]
fn half_of_tls_and_files_without_certificates_are_refused() {
    let home = Home::new();
    let empty = home.write("empty.pem", "no certificate\n");
    let check = |flags: &[(&'static str, &str)], expected: &str| {
        let text = home.complaints(flags, &[]);
        assert!(text.contains(expected), "{text}");
    };
    check(
        &[("tls_key", &empty)],
        "`tls_key` is set, but `tls_cert` is not",
    );
    check(
        &[("tls_cert", &empty), ("tls_key", &empty)],
        "`tls_cert` is `HOME/empty.pem`: it holds no certificate in PEM form",
    );
    check(
        &[("tls_cert", &empty), ("tls_key", &empty)],
        "`tls_key` is `HOME/empty.pem`: it holds no private key in PEM form",
    );
    check(
        &[("ca_file", &empty)],
        "`ca_file` is `HOME/empty.pem`: it holds no certificate",
    );
}

#[test]
fn a_cache_folder_that_is_a_file_or_below_one_is_refused() {
    let home = Home::new();
    let file = home.write("file", "");
    let text = home.complaints(&[("cache_dir", &file)], &[]);
    assert!(text.contains("which is not a folder"), "{text}");
    let below = format!("{file}/cache");
    let text = home.complaints(&[("cache_dir", &below)], &[]);
    assert!(
        text.contains("to be made in `HOME/file`, which is not a folder"),
        "{text}"
    );
}

#[test]
fn exec_keeps_away_from_the_servers_address_and_certificate() {
    let home = Home::new();
    let file = home.write("larder.toml", "listen = \"127.0.0.1:8080\"\n");
    let variables = [
        ("LARDER_CONFIG", file.as_str()),
        ("LARDER_LISTEN", "127.0.0.1:9090"),
    ];
    let config = home
        .resolve_for(Purpose::Exec, &[], &variables)
        .unwrap()
        .config;
    assert_eq!(config.listen.text, "127.0.0.1:0");
    assert!(!config.access_log);
    let flags = [("listen", "127.0.0.1:7070"), ("access_log", "on")];
    let config = home
        .resolve_for(Purpose::Exec, &flags, &variables)
        .unwrap()
        .config;
    assert_eq!(config.listen.text, "127.0.0.1:7070");
    assert!(config.access_log);
}
