use super::*;
use crate::settings::environment::Environment;

fn shown_text(flags: &[(&'static str, &str)], variables: &[(&str, &str)]) -> String {
    let own = [
        ("HOME", "/"),
        ("GOENV", "off"),
        ("GOPROXY", "https://go.example,direct"),
    ];
    let environment: Environment = own.iter().chain(variables).copied().collect();
    let flags: Vec<(&'static str, String)> = flags
        .iter()
        .map(|(key, text)| (*key, (*text).to_owned()))
        .collect();
    let written = Written::collect(&flags, &environment, Purpose::Serve);
    let config = resolve(&written, &environment).unwrap().config;
    format!(
        "{}\n{}",
        show_text(&written, &config, Origins::Shown),
        show_json(&written, &config)
    )
}

#[test]
#[cfg(target_os = "linux")]
fn each_value_is_shown_with_where_it_came_from() {
    let flags = [("fresh", "5m"), ("offline", "true")];
    let variables = [("LARDER_PROFILE", "prod"), ("GOPRIVATE", "corp.example/*")];
    let text = shown_text(&flags, &variables);
    let (text, _) = text.split_once("\n{").unwrap();
    insta::assert_snapshot!(text, @r#"
    listen = "127.0.0.1:8080"                # default
    # tls_cert is not set                    # default
    # tls_key is not set                     # default
    cache_dir = "/.cache/larder"             # default
    # cache_limit is not set                 # default
    # disk_free is not set                   # default
    memory = "64MiB"                         # default
    fill_memory = "64MiB"                    # default
    prefetch = 0                             # default
    scrub = "4MiB"                           # default
    upstream = "https://go.example/,direct"  # go env GOPROXY
    offline = true                           # flag --offline
    fresh = "5m"                             # flag --fresh
    # refresh_token_file is not set          # default
    # webhook_secret_file is not set         # default
    connect_timeout = 10                     # default
    stall_timeout = 30                       # default
    upstream_concurrency = 64                # default
    # ca_file is not set                     # default
    git = "git"                              # default
    git_protocols = "https,ssh"              # default
    git_mirrors = "10GiB"                    # default
    git_processes = 16                       # default
    # govcs is not set                       # default
    # insecure is not set                    # default
    private = "corp.example/*"               # go env GOPRIVATE
    allow_anonymous_private = false          # default
    sumdb = "sum.golang.org"                 # default
    no_sumdb = "corp.example/*"              # go env GOPRIVATE
    log_format = "json"                      # profile prod
    log_level = "info"                       # default
    access_log = "on"                        # default
    # config is not set                      # default
    # profile = "prod"                       # environment LARDER_PROFILE
    "#);
}

#[test]
fn passwords_are_never_shown() {
    let text = shown_text(
        &[
            ("upstream", "https://larder:secret-word@mirror.example"),
            (
                "sumdb",
                "sum.golang.org https://larder:secret-word@sums.example",
            ),
        ],
        &[],
    );
    assert!(!text.contains("secret-word"), "{text}");
    assert!(text.contains("https://REDACTED@mirror.example"), "{text}");
    assert!(
        text.contains("sum.golang.org https://REDACTED@sums.example"),
        "{text}"
    );
}
