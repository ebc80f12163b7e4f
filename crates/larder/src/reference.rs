//! The pages of `docs/reference` that are made from the table, the grammar and the catalogue of causes.
//!
//! `cargo xtask docs` writes what `larder __reference` prints, a JSON object of file names and texts;
//! `cargo xtask docs --check` says when a page is out of date.

use crate::command_line;
use crate::settings::table::{Fallback, Group, Kind, PROFILES, SETTINGS, Setting};
use diagnosis::cause::page;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Every generated page by its file name below `docs/reference`.
pub(crate) fn pages() -> BTreeMap<String, String> {
    let mut pages = BTreeMap::from([
        ("settings.md".to_owned(), settings_markdown()),
        ("larder.toml".to_owned(), sample_toml()),
        ("cli.md".to_owned(), cli_markdown()),
        ("metrics.md".to_owned(), metrics_markdown()),
        (
            "causes/README.md".to_owned(),
            page::index(page::Place::Repository),
        ),
    ]);
    for cause in diagnosis::cause::all() {
        let name = format!("causes/{}.md", cause.id);
        pages.insert(name, page::of(cause, page::Place::Repository));
    }
    pages
}

/// The reference of all settings.
fn settings_markdown() -> String {
    let mut page = String::from(SETTINGS_INTRODUCTION);
    for group in Group::ALL {
        let _ = write!(page, "\n## {}\n", group.title());
        for setting in of_group(*group) {
            setting_markdown(setting, &mut page);
        }
    }
    page.push_str(UPSTREAM_TABLES);
    page.push_str(CREDENTIAL_TABLES);
    page.push_str("\n## Profiles\n\nA profile is laid over the file's other keys: first what it means by itself, then its section of the file.\n\n");
    for (name, values) in PROFILES {
        let values: Vec<String> = values
            .iter()
            .map(|(key, text)| format!("`{key} = \"{text}\"`"))
            .collect();
        let _ = writeln!(page, "- `{name}`: {}", values.join(", "));
    }
    page.push_str(PROFILE_EXAMPLE);
    page.push_str(OTHER_VARIABLES);
    page
}

/// The reference of all metrics.
fn metrics_markdown() -> String {
    let mut page = String::from(METRICS_INTRODUCTION);
    for metric in proxy::observe::described() {
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let _ = write!(page, "\n## `{}`\n\n{}\n\n", metric.name, metric.help);
        let _ = writeln!(page, "- type: {}", metric.kind);
        if !labels.is_empty() {
            let _ = writeln!(page, "- labels: {}", labels.join(", "));
        }
    }
    page
}

fn setting_markdown(setting: &Setting, page: &mut String) {
    let key = setting.key;
    let _ = write!(
        page,
        "\n### `{key}`\n\n{}. {}\n\n",
        setting.summary, setting.details
    );
    let value = match setting.kind {
        Kind::Choice(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            words.join(", ")
        }
        Kind::Switch => "`true`, `false`".into(),
        Kind::Size => "bytes, or a number with `KiB`, `MiB`, `GiB`, `kB`, `MB`, `GB`".into(),
        Kind::Duration => "seconds, or a number with `ms`, `s`, `m`, `h`".into(),
        Kind::Count => "a whole number".into(),
        Kind::File | Kind::Folder => "a path".into(),
        Kind::Text(name) => format!("`{name}`"),
        Kind::List(_) => "words separated by commas; in the file also an array of strings".into(),
        Kind::Upstream => "a GOPROXY list; in the file also `[[upstream]]` tables".into(),
    };
    let _ = writeln!(page, "- value: {value}");
    let _ = writeln!(page, "- default: {}", default_markdown(setting.default));
    let _ = writeln!(page, "- flag: `--{}`", setting.flag);
    let _ = writeln!(page, "- environment: `{}`", setting.environment);
    if setting.in_file {
        let _ = writeln!(page, "- file: `{key} = {}`", setting.example);
    } else {
        page.push_str("- file: not there\n");
    }
    if setting.secret {
        page.push_str("- may hold a password, which `larder config show` and the logs leave out\n");
    }
    let _ = writeln!(page, "- since: {}", setting.since);
}

fn default_markdown(default: Fallback) -> String {
    match default {
        Fallback::Value(text) => format!("`{text}`"),
        Fallback::Unset => "not set".into(),
        Fallback::GoEnv(variables) => {
            let names: Vec<String> = variables.iter().map(|name| format!("`{name}`")).collect();
            format!("{} of your go command", names.join(", else "))
        }
        Fallback::GoEnvElse(variables, text) => {
            format!(
                "{}, else `{text}`",
                default_markdown(Fallback::GoEnv(variables))
            )
        }
        Fallback::UserCacheFolder => {
            "`larder` in your cache folder (`$XDG_CACHE_HOME`, else `~/.cache`)".into()
        }
    }
}

/// A settings file that changes nothing: every key, commented out.
fn sample_toml() -> String {
    let mut file = String::from(SAMPLE_INTRODUCTION);
    for group in Group::ALL {
        let mut settings = of_group(*group)
            .filter(|setting| setting.in_file)
            .peekable();
        if settings.peek().is_none() {
            continue;
        }
        let _ = write!(file, "\n# {}\n", group.title());
        for setting in settings {
            let _ = write!(file, "\n# {}", setting.summary);
            let value = match setting.default {
                Fallback::Value(text) => toml_value(setting.kind, text),
                Fallback::Unset => {
                    file.push_str(" (not set; an example)");
                    setting.example.into()
                }
                Fallback::GoEnv(variables) | Fallback::GoEnvElse(variables, _) => {
                    let _ = write!(
                        file,
                        " (your go's {}; an example)",
                        variables.join(", else ")
                    );
                    setting.example.into()
                }
                Fallback::UserCacheFolder => {
                    file.push_str(" (your cache folder; an example)");
                    setting.example.into()
                }
            };
            let _ = write!(file, "\n# {} = {value}\n", setting.key);
        }
    }
    file.push_str(SAMPLE_END);
    file
}

/// A text as TOML, in the type that the file has for this kind.
pub(crate) fn toml_value(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Switch | Kind::Count => text.into(),
        Kind::Duration | Kind::Size if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.into()
        }
        _ => toml::Value::from(text).to_string(),
    }
}

/// The reference of all commands.
fn cli_markdown() -> String {
    let mut page = String::from(
        "# The command line\n\n\
         Made by `cargo xtask docs` from the program itself. What each flag means: [settings](settings.md).\n\n\
         Data goes to stdout, talk to stderr. Exit status: 0 fine, 1 found something wrong, 2 used wrongly; \
         `larder exec` exits with the status of its command, 128 and the signal's number when a signal ended it.\n",
    );
    let mut grammar = command_line::grammar();
    grammar.build();
    command_markdown(&mut grammar, &mut page);
    page
}

fn command_markdown(command: &mut clap::Command, page: &mut String) {
    let name = command.get_bin_name().unwrap_or("larder").to_owned();
    let _ = write!(
        page,
        "\n## `{name}`\n\n```text\n{}\n```\n",
        unspaced(&command.render_help().to_string())
    );
    for command in command.get_subcommands_mut() {
        if !command.is_hide_set() {
            command_markdown(command, page);
        }
    }
}

/// Without the spaces that end lines.
fn unspaced(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().map(str::trim_end).collect();
    lines.join("\n")
}

fn of_group(group: Group) -> impl Iterator<Item = &'static Setting> {
    SETTINGS
        .iter()
        .filter(move |setting| setting.group == group)
}

const SETTINGS_INTRODUCTION: &str = "\
# Settings

Made by `cargo xtask docs` from the table of settings in the program.

Each setting can be a flag of `larder serve` and `larder exec`, an environment variable, or a key of the settings file. The layers, the
stronger below the weaker: defaults, the file, the profile, the environment, flags. What is set nowhere but exists in go, is taken
from your go command: the environment, then the file that `go env -w` writes, then the `go.env` of the Go installation. A variable
that is empty counts as not set.

`larder config check` says everything that is wrong at once; `larder config show --origin` says what holds and where it came from.
A [sample file](larder.toml) has every key. A key or flag that does not exist is an error, and the nearest one is named.
";

const UPSTREAM_TABLES: &str = r#"
## `[[upstream]]` tables

In the file, tables may stand instead of `upstream = "LIST"`. They are asked in the order in which they stand:

```toml
[[upstream]]
urls = ["https://modules.corp.example"]
ca_file = "/etc/ssl/company-ca.pem"
credentials = { user = "larder", password_file = "/etc/larder/modules-password" }

[[upstream]]
urls = ["https://mirror.example", "https://other-mirror.example"]
fallback = "any"
```

- `urls`: one or more entries as in a GOPROXY list, also `direct` and `off`; nothing may follow those two.
- `mode`: `"order"` (the default), one after the other. `"hedge"` and `"race"` make the entries a group that holds the same modules and is asked
  as one: `"hedge"` the first of them, and another beside it where it is slower than usual; `"race"` all at once. The
  [guide](../guides/upstream-groups.md) says when to use which.
- `fallback`: when the entry after one of this table is asked, here or in the next table. `"absent"` (the default): after 404 or 410,
  as `,` in a list. `"any"`: after any error, as `|`. Within a group the next is asked after any failure, and this is for the table behind it.
- `ca_file`: certificates to trust for these URLs, besides all others.
- `credentials`: `user` and `password_file`, sent as basic authentication. They win over those in a URL and in the netrc file.
"#;

const CREDENTIAL_TABLES: &str = r#"
## `[[credential]]` tables

Which credential git gets at which host and path; in the file only. The [guide](../guides/credentials.md) has an example of each kind.

```toml
[[credential]]
match = "git.example/team"
token_file = "/etc/larder/team-token"
```

- `match`: a host, or a host and a path that covers all that lies below it. The longest one that covers an address holds. A rule for
  HTTPS is for port 443 unless it names another (`git.example:8443/team`); one for SSH is for every port.
- Exactly one of these says what is granted:
  - `token_file`, `token_env`: a token.
  - `user` with `password_file` or `password_env`.
  - `ssh_key`: the file of a private key; for addresses with `ssh://`.
  - `command`: a program, or an array of a program and its arguments; asked as git asks credential helpers, without a shell, for at most 30
    seconds. Its answer is kept for a minute, or until its `password_expiry_utc`.
  - `github_app`: a table of `id`, `installation`, and `key_file` or `key_env`; `api` where it is neither that of github.com nor below
    `https://HOST/api/v3`.
  - `gitlab_job_token`: a table of `token_file` or `token_env`.
  - `gitlab_deploy_token`: a table of `user`, and `token_file` or `token_env`.

The tables of a profile hold besides the others; for the same `match` they win. What stands in no rule is looked for in the netrc file (HTTPS
only); where that has nothing either, the user's own git set-up decides. Files of secrets are read at each use, the settings file and the
netrc file again within a second of a change; variables are read at the start. `larder auth test MODULE` says what a host makes of it.
"#;

const METRICS_INTRODUCTION: &str = "\
# Metrics

Made by `cargo xtask docs` from the metrics in the program.

`/-/metrics` answers in the text form of OpenMetrics, which Prometheus reads. The samples of a counter end in `_total`, those of a histogram in
`_bucket`, `_sum` and `_count`. Labels come from closed sets, but for `upstream`, which names the entries of the upstream list; no label ever
holds a module path, a repository or a credential.
";

const PROFILE_EXAMPLE: &str = r#"
```toml
[profile.prod]
listen = "[::]:8080"
cache_dir = "/var/cache/larder"
```
"#;

const OTHER_VARIABLES: &str = "
## Other variables that are read

- `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`, and the same in lower case: HTTP proxies on the way to upstreams.
- `SSL_CERT_FILE`, `SSL_CERT_DIR`: trusted certificates instead of the system's.
- `NETRC`, else `.netrc` in `HOME`: credentials by host.
- `LARDER_CREDENTIALS`: credentials for git, where there is no settings file: `https://USER:PASSWORD@HOST/PATH` or `https://TOKEN@HOST/PATH`,
  spaces between them, `%40` for an `@` in a password. They win over `[[credential]]` tables for the same place.
- the variables that `[[credential]]` tables name.
- `LARDER_REFRESH_TOKEN`, `LARDER_WEBHOOK_SECRET`: secrets themselves, beside `refresh_token_file` and `webhook_secret_file`.
- `GOENV`, `GOROOT`, `PATH`, `XDG_CONFIG_HOME`, `HOME`: where go's own settings are.
- `XDG_CACHE_HOME`, `HOME`: where the cache folder is.
";

const SAMPLE_INTRODUCTION: &str = "\
# Settings of larder. Made by `cargo xtask docs`; docs/reference/settings.md explains each key.
#
# Every line is commented out and shows the default, or an example where there is no fixed one.
# Use it with `larder serve --config larder.toml`; check it with `larder config check --config larder.toml`.
";

const SAMPLE_END: &str = r#"
# Upstreams as tables, instead of `upstream` above

# [[upstream]]
# urls = ["https://mirror.example"]
# mode = "order"
# fallback = "absent"
# ca_file = "/etc/ssl/company-ca.pem"
# credentials = { user = "larder", password_file = "/etc/larder/password" }

# Credentials for git, each with one of the kinds that docs/guides/credentials.md shows

# [[credential]]
# match = "git.example/team"
# token_file = "/etc/larder/team-token"

# Profiles: the same keys, laid over those above by `--profile NAME` or `LARDER_PROFILE`

# [profile.dev]
# log_level = "debug"

# [profile.prod]
# log_format = "json"
"#;

#[cfg(test)]
mod tests;
