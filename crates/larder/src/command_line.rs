//! The command line: which command, and which settings as flags.
//!
//! The flags of the settings come from the table; this file adds the commands and what only one of
//! them takes. A command that is not built yet is not here.

mod cache;

use crate::commands::auth::Target;
use crate::commands::cache::Task;
use crate::commands::compare;
use crate::commands::doctor::{self, Subject};
use crate::commands::env::profile::{Emit, Profile, Wish};
use crate::commands::explain::{Probing, Question};
use crate::commands::trace;
use crate::settings::complaint::{Complaint, did_you_mean};
use crate::settings::table::{Fallback, Kind, SETTINGS, Setting};
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command as Grammar};
use diagnosis::code::Code;
use gomod::{ModulePath, ModuleVersion, Query, SafeUrl, Version};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Keys and texts of the flags that were given.
pub(crate) type Flags = Vec<(&'static str, String)>;

/// What larder was started for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Serve {
        flags: Flags,
    },
    /// Run one command behind a proxy; its program and arguments, at least one.
    Exec {
        flags: Flags,
        command: Vec<OsString>,
    },
    ConfigCheck {
        flags: Flags,
        form: Form,
    },
    ConfigShow {
        flags: Flags,
        form: Form,
        origins: Origins,
    },
    /// Say which credential a repository gets and what its host makes of it.
    AuthTest {
        flags: Flags,
        target: Target,
        form: Form,
    },
    /// Say what a log or a code of another tool means.
    Explain {
        question: Question,
        probing: Probing,
        form: Form,
    },
    /// Examine connections, proxies and modules.
    Doctor {
        question: doctor::Question,
        form: Form,
    },
    /// Show the go environment, with what is odd in it.
    Env {
        form: Form,
    },
    /// Say who is asked for a module path.
    EnvRoute {
        module_path: ModulePath,
        form: Form,
    },
    /// Change the go environment.
    EnvUse {
        wish: Wish,
        form: Form,
    },
    /// Walk as `go get` does, and show it.
    Trace {
        question: trace::Question,
        form: Form,
    },
    /// Set GOPROXY services side by side.
    Compare {
        question: compare::Question,
        form: Form,
    },
    /// Look into the cache folder, or change it.
    Cache {
        flags: Flags,
        task: Task,
        form: Form,
    },
    /// Print the pages of the reference, for `docs/`.
    Reference,
}

/// For whom the output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Json,
}

/// Whether each value is shown with where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origins {
    Shown,
    Hidden,
}

/// Why there is no action.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Help or the version was asked for: to stdout, exit 0.
    Text(String),
    /// Used wrongly: to stderr, exit 2.
    Wrong(Complaint),
}

/// Reads the arguments, the program's name first.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Action, Stop> {
    let matches = grammar().try_get_matches_from(arguments).map_err(stop)?;
    match matches.subcommand() {
        Some(("serve", matches)) => Ok(Action::Serve {
            flags: flags(matches),
        }),
        Some(("exec", matches)) => Ok(Action::Exec {
            flags: flags(matches),
            command: matches
                .get_many::<OsString>(COMMAND)
                .map(|words| words.cloned().collect())
                .unwrap_or_default(),
        }),
        Some(("config", matches)) => Ok(config_action(matches)),
        Some(("explain", matches)) => explain_action(matches),
        Some(("auth", matches)) => auth_action(matches),
        Some(("doctor", matches)) => doctor_action(matches),
        Some(("env", matches)) => env_action(matches),
        Some(("trace", matches)) => trace_action(matches),
        Some(("compare", matches)) => compare_action(matches),
        Some(("cache", matches)) => cache::action(matches),
        Some((REFERENCE, _)) => Ok(Action::Reference),
        _ => Err(Stop::Text(grammar().render_help().to_string())),
    }
}

fn explain_action(matches: &ArgMatches) -> Result<Action, Stop> {
    let question = match (
        matches.get_one::<String>(CODE),
        matches.get_one::<PathBuf>(FILE),
    ) {
        (Some(text), _) => Question::Code(Code::parse(text).ok_or_else(|| {
            let forms = Code::FORMS;
            Stop::Wrong(
                Complaint::new(format!("`{text}` is no code")).hint(format!("write {forms}")),
            )
        })?),
        (None, Some(file)) if file.as_os_str() != "-" => Question::File(file.clone()),
        (None, _) => Question::Stdin,
    };
    let probing = match matches.get_flag(PROBE) {
        true => Probing::Done,
        false => Probing::Named,
    };
    Ok(Action::Explain {
        question,
        probing,
        form: form(matches),
    })
}

fn doctor_action(matches: &ArgMatches) -> Result<Action, Stop> {
    let paths = |name: &str| -> Vec<PathBuf> {
        let given = matches.get_many::<PathBuf>(name);
        given
            .map(|paths| paths.cloned().collect())
            .unwrap_or_default()
    };
    let targets = matches.get_many::<String>(SUBJECT).into_iter().flatten();
    let resolvers = matches.get_many::<String>(RESOLVER).into_iter().flatten();
    let question = doctor::Question {
        targets: targets
            .map(|text| Subject::parse(text).map_err(Stop::Wrong))
            .collect::<Result<_, _>>()?,
        ca_files: paths(CA),
        resolvers: resolvers
            .map(|text| name_server(text))
            .collect::<Result<_, _>>()?,
        fix_script: matches.get_one::<PathBuf>(FIX_SCRIPT).cloned(),
        private_issuers: matches.get_flag(PRIVATE_ISSUERS),
    };
    Ok(Action::Doctor {
        question,
        form: form(matches),
    })
}

/// `ADDRESS` or `ADDRESS:PORT`; names are asked at port 53.
fn name_server(text: &str) -> Result<SocketAddr, Stop> {
    let bare = || Some(SocketAddr::new(text.parse().ok()?, 53));
    text.parse().ok().or_else(bare).ok_or_else(|| {
        Stop::Wrong(
            Complaint::new(format!("`{text}` is no address of a name server"))
                .hint("write ADDRESS or ADDRESS:PORT, such as 192.0.2.53"),
        )
    })
}

fn form(matches: &ArgMatches) -> Form {
    match matches.get_flag(JSON) {
        true => Form::Json,
        false => Form::Text,
    }
}

fn env_action(matches: &ArgMatches) -> Result<Action, Stop> {
    match matches.subcommand() {
        Some(("route", matches)) => {
            let (module_path, _query) = module_and_query(matches)?;
            Ok(Action::EnvRoute {
                module_path,
                form: form(matches),
            })
        }
        Some(("use", matches)) => {
            let text = |name: &str| matches.get_one::<String>(name).cloned();
            let profile = text(PROFILE).and_then(|name| Profile::of_name(&name));
            let wish = Wish {
                profile,
                proxy: text(PROXY),
                private: text(PRIVATE_PATTERNS),
                emit: text(EMIT).and_then(|name| Emit::of_name(&name)),
                dry_run: matches.get_flag(DRY_RUN),
                undo: matches.get_flag(UNDO),
            };
            Ok(Action::EnvUse {
                wish,
                form: form(matches),
            })
        }
        _ => Ok(Action::Env {
            form: form(matches),
        }),
    }
}

fn auth_action(matches: &ArgMatches) -> Result<Action, Stop> {
    // The one command below `auth`, which clap requires.
    let matches = matches.subcommand().map_or(matches, |(_, matches)| matches);
    let target = matches.get_one::<String>(TARGET);
    let target = target.map(String::as_str).unwrap_or_default();
    Ok(Action::AuthTest {
        flags: flags(matches),
        target: Target::parse(target).map_err(Stop::Wrong)?,
        form: form(matches),
    })
}

/// `MODULE[@QUERY]`.
fn module_and_query(matches: &ArgMatches) -> Result<(ModulePath, Query), Stop> {
    let text = matches
        .get_one::<String>(MODULE)
        .cloned()
        .unwrap_or_default();
    let (path, query) = text.split_once('@').unwrap_or((&text, ""));
    let wrong = |error| {
        Stop::Wrong(
            Complaint::from_error(error)
                .hint("write it as for `go get`: git.example/team/module@v1.2.3"),
        )
    };
    Ok((
        ModulePath::parse(path).map_err(wrong)?,
        Query::parse(query).map_err(wrong)?,
    ))
}

fn trace_action(matches: &ArgMatches) -> Result<Action, Stop> {
    let (module_path, query) = module_and_query(matches)?;
    let question = trace::Question {
        module_path,
        query,
        proxy: matches.get_one::<String>(PROXY).cloned(),
        ca_file: matches.get_one::<PathBuf>(CA).cloned(),
        curl: matches.get_flag(CURL),
    };
    Ok(Action::Trace {
        question,
        form: form(matches),
    })
}

fn compare_action(matches: &ArgMatches) -> Result<Action, Stop> {
    let texts = |name: &str| -> Vec<String> {
        let given = matches.get_many::<String>(name);
        given.into_iter().flatten().cloned().collect()
    };
    let wrong = |error, hint: &str| Stop::Wrong(Complaint::from_error(error).hint(hint));
    let service = |text: &String| match SafeUrl::parse(text) {
        Ok(url) if matches!(url.expose().scheme(), "http" | "https") => Ok(url),
        Ok(url) => Err(Stop::Wrong(
            Complaint::new(format!("`{url}` is no http or https URL"))
                .hint("name the base URL of a GOPROXY service: https://mirror.example"),
        )),
        Err(error) => Err(wrong(
            error,
            "name the base URL of a GOPROXY service: https://mirror.example",
        )),
    };
    let module = |text: &String| {
        let (path, version) = text.split_once('@').unwrap_or((text, ""));
        let parsed = ModulePath::parse(path)
            .and_then(|path| ModuleVersion::new(path, Version::parse(version)?));
        parsed.map_err(|error| {
            wrong(
                error,
                "write MODULE@VERSION with a whole version: example.com/a@v1.2.3",
            )
        })
    };
    let private = match matches.get_one::<String>(PRIVATE_MODULE) {
        Some(text) => {
            Some(ModulePath::parse(text).map_err(|error| wrong(error, "write a module path"))?)
        }
        None => None,
    };
    let question = compare::Question {
        services: texts(URL).iter().map(service).collect::<Result<_, _>>()?,
        modules: texts(SAMPLE).iter().map(module).collect::<Result<_, _>>()?,
        private,
        requests: matches.get_one::<u32>(REQUESTS).copied().unwrap_or(60),
        ca_file: matches.get_one::<PathBuf>(CA).cloned(),
    };
    Ok(Action::Compare {
        question,
        form: form(matches),
    })
}

fn config_action(matches: &ArgMatches) -> Action {
    match matches.subcommand() {
        Some(("show", matches)) => Action::ConfigShow {
            flags: flags(matches),
            form: form(matches),
            origins: match matches.get_flag(ORIGIN) {
                true => Origins::Shown,
                false => Origins::Hidden,
            },
        },
        Some((_, matches)) => Action::ConfigCheck {
            flags: flags(matches),
            form: form(matches),
        },
        None => Action::ConfigCheck {
            flags: Flags::new(),
            form: Form::Text,
        },
    }
}

const CA: &str = "ca";
const CODE: &str = "code";
const COMMAND: &str = "COMMAND";
const FILE: &str = "FILE";
const FIX_SCRIPT: &str = "fix-script";
const JSON: &str = "json";
const ORIGIN: &str = "origin";
const TARGET: &str = "MODULE|URL";
const PRIVATE_ISSUERS: &str = "private-issuers";
const PROBE: &str = "probe";
const REFERENCE: &str = "__reference";
const RESOLVER: &str = "resolver";
const SUBJECT: &str = "TARGET";
const MODULE: &str = "MODULE";
const PROFILE: &str = "PROFILE";
const PROXY: &str = "proxy";
const PRIVATE_PATTERNS: &str = "private-patterns";
const EMIT: &str = "emit";
const DRY_RUN: &str = "dry-run";
const UNDO: &str = "undo";
const CURL: &str = "curl";
const URL: &str = "URL";
const SAMPLE: &str = "module";
const PRIVATE_MODULE: &str = "private-module";
const REQUESTS: &str = "requests";

/// The whole grammar, for parsing and for the reference.
pub(crate) fn grammar() -> Grammar {
    let json = || {
        Arg::new(JSON)
            .long(JSON)
            .action(ArgAction::SetTrue)
            .help("Write JSON with stable field names")
    };
    Grammar::new("larder")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Keeps a team's Go modules close: a GOPROXY with a verified cache")
        .after_help("A command's own `--help` says what it takes. `larder serve` works without any setting.")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(
            Grammar::new("serve")
                .about("Run the proxy")
                .long_about(
                    "Run the proxy until SIGTERM or SIGINT, which let requests under way finish.\n\n\
                     When it can serve, it writes one line to stdout: `listening on http(s)://HOST:PORT`. The line to \
                     paste into a shell and all logs go to stderr.",
                )
                .args(setting_flags()),
        )
        .subcommand(
            Grammar::new("exec")
                .about("Run one command behind a proxy that lives as long as it does")
                .long_about(
                    "Run one command behind a proxy that lives as long as it does, over larder's own cache folder.\n\n\
                     GOPROXY is set for the command, and GONOPROXY and GONOSUMDB where there are private patterns. \
                     Its exit status is larder's.",
                )
                .args(setting_flags())
                .arg(
                    Arg::new(COMMAND)
                        .last(true)
                        .required(true)
                        .num_args(1..)
                        .value_parser(clap::value_parser!(OsString))
                        .help("The command and its arguments, after `--`"),
                ),
        )
        .subcommand(
            Grammar::new("doctor")
                .about("Say whether modules can be fetched from here, and if not, why")
                .long_about(
                    "Say whether modules can be fetched from here, and if not, why: go environment, names, connections, \
                     HTTP proxy, TLS, certificates, HTTP, module proxies, checksum database, git, each with its time. For \
                     a fault: its cause, the evidence, what go would print, and what helps.\n\n\
                     A target is a URL, HOST:PORT or MODULE[@VERSION]; without one, everything that your go environment \
                     would touch. Nothing is changed. Exit status: 0 healthy, 1 a fault found, 2 used wrongly.",
                )
                .arg(
                    Arg::new(SUBJECT)
                        .num_args(0..)
                        .help("https://HOST[:PORT][/PATH], HOST:PORT or MODULE[@VERSION]"),
                )
                .arg(
                    Arg::new(CA)
                        .long(CA)
                        .value_name("FILE")
                        .action(ArgAction::Append)
                        .value_parser(clap::value_parser!(PathBuf))
                        .help("Trust the certificates of this PEM file too"),
                )
                .arg(
                    Arg::new(RESOLVER)
                        .long(RESOLVER)
                        .value_name("ADDRESS")
                        .action(ArgAction::Append)
                        .help("Ask this name server in place of the system's"),
                )
                .arg(
                    Arg::new(PRIVATE_ISSUERS)
                        .long(PRIVATE_ISSUERS)
                        .action(ArgAction::SetTrue)
                        .help("Follow redirects, and fetch missing issuers, into private networks too"),
                )
                .arg(
                    Arg::new(FIX_SCRIPT)
                        .long(FIX_SCRIPT)
                        .value_name("FILE")
                        .value_parser(clap::value_parser!(PathBuf))
                        .help("Write what helps as a script to read first; the file must not exist"),
                )
                .arg(json()),
        )
        .subcommand(
            Grammar::new("explain")
                .about("Say why a download failed, from what go wrote")
                .long_about(
                    "Say why a download failed, from what go wrote: the cause first, the lines that show it, what else \
                     they could mean, the command that would tell, and what helps.\n\n\
                     The log may come from a CI system or a container build, as it is. Nothing is asked of any server, \
                     unless `--probe` says so. \
                     Exit status: 0 explained, 1 nothing recognised, 2 used wrongly.",
                )
                .arg(
                    Arg::new(FILE)
                        .value_parser(clap::value_parser!(PathBuf))
                        .help("The log, at most 16 MiB; `-` or nothing for stdin"),
                )
                .arg(
                    Arg::new(CODE)
                        .long(CODE)
                        .value_name("TOOL:NUMBER")
                        .conflicts_with(FILE)
                        .help(format!("Explain a number of another tool: {}", Code::FORMS)),
                )
                .arg(
                    Arg::new(PROBE)
                        .long(PROBE)
                        .action(ArgAction::SetTrue)
                        .conflicts_with(CODE)
                        .help("Then examine what the first cause is about, as `larder doctor` does"),
                )
                .arg(json()),
        )
        .subcommand(trace_grammar(&json))
        .subcommand(compare_grammar(&json))
        .subcommand(env_grammar(&json))
        .subcommand(cache::grammar(&json))
        .subcommand(
            Grammar::new("auth")
                .about("Test the credentials of private repositories")
                .subcommand_required(true)
                .arg_required_else_help(true)
                .disable_help_subcommand(true)
                .subcommand(
                    Grammar::new("test")
                        .about("Say which credential a repository gets, and what its host makes of it")
                        .long_about(
                            "Say which credential rule holds for a repository and which nearly do, whether the host takes \
                             the credential, what git says, and what helps. Secrets are never printed.\n\n\
                             Exit status: 0 the repository can be read, 1 it cannot, 2 used wrongly.",
                        )
                        .arg(
                            Arg::new(TARGET)
                                .required(true)
                                .help("A module path, or the address of a repository"),
                        )
                        .arg(json())
                        .args(setting_flags()),
                ),
        )
        .subcommand(
            Grammar::new("config")
                .about("Check or show the settings")
                .subcommand_required(true)
                .arg_required_else_help(true)
                .disable_help_subcommand(true)
                .subcommand(
                    Grammar::new("check")
                        .about("Say everything that is wrong with the settings; start nothing")
                        .arg(json())
                        .args(setting_flags()),
                )
                .subcommand(
                    Grammar::new("show")
                        .about("Show every setting's value, as the file would have it")
                        .arg(
                            Arg::new(ORIGIN)
                                .long(ORIGIN)
                                .action(ArgAction::SetTrue)
                                .help("Say where each value came from"),
                        )
                        .arg(json())
                        .args(setting_flags()),
                ),
        )
        .subcommand(Grammar::new(REFERENCE).hide(true))
}

fn ca() -> Arg {
    Arg::new(CA)
        .long(CA)
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("Trust these certificates (PEM) besides the system's")
}

fn trace_grammar(json: &dyn Fn() -> Arg) -> Grammar {
    Grammar::new("trace")
        .about("Show what `go get` asks, request by request, with timings and verification")
        .long_about(
            "Show what `go get MODULE@QUERY` asks, request by request, live: the list, the version, the go.mod file, the checksum \
             database with its proofs, the zip; of whom, how long each part took, who answered with which certificate, and \
             why the other entries of GOPROXY did not. Everything is verified; nothing is kept.\n\n\
             Exit status: 0 `go get` would work, 1 it would fail, 2 used wrongly.",
        )
        .arg(
            Arg::new(MODULE)
                .value_name("MODULE[@QUERY]")
                .required(true)
                .help("A module path, and a version, branch, commit or range"),
        )
        .arg(
            Arg::new(PROXY)
                .long(PROXY)
                .value_name("LIST")
                .help("A GOPROXY list instead of the environment's"),
        )
        .arg(ca())
        .arg(
            Arg::new(CURL)
                .long(CURL)
                .action(ArgAction::SetTrue)
                .conflicts_with(JSON)
                .help("Show the walk as curl commands"),
        )
        .arg(json())
}

fn compare_grammar(json: &dyn Fn() -> Arg) -> Grammar {
    Grammar::new("compare")
        .about("Set GOPROXY services side by side: speed, completeness, hashes, protocol")
        .long_about(
            "Ask every service for the same modules, one request at a time, and set side by side how fast it answers, what is \
             missing, whether its hashes are those of the checksum database, what it lists, and how it keeps to the \
             protocol. The last line is a GOPROXY list of the sound ones.\n\n\
             Exit status: 0 all are sound, 1 one is not, 2 used wrongly.",
        )
        .arg(
            Arg::new(URL)
                .required(true)
                .num_args(1..)
                .help("The base URLs of the services"),
        )
        .arg(
            Arg::new(SAMPLE)
                .long(SAMPLE)
                .value_name("MODULE@VERSION")
                .action(ArgAction::Append)
                .help("Ask for this module instead of the fixed set; may be repeated"),
        )
        .arg(
            Arg::new(PRIVATE_MODULE)
                .long(PRIVATE_MODULE)
                .value_name("MODULE")
                .help("Also ask for this private module; every service learns its name"),
        )
        .arg(
            Arg::new(REQUESTS)
                .long(REQUESTS)
                .value_name("NUMBER")
                .value_parser(clap::value_parser!(u32).range(1..=10_000))
                .help("The most requests to one service [default: 60]"),
        )
        .arg(ca())
        .arg(json())
}

fn env_grammar(json: &dyn Fn() -> Arg) -> Grammar {
    Grammar::new("env")
        .about("Show, check and change the environment of the go command")
        .long_about(
            "Show the variables that decide where go gets modules from, with the place that each value comes from, and \
             what is odd in them.\n\n\
             Nothing is asked of any server, and go need not be installed. Exit status: 0 nothing odd, 1 something is, \
             2 used wrongly.",
        )
        .disable_help_subcommand(true)
        .arg(json())
        .subcommand(
            Grammar::new("route")
                .about("Say who would be asked for a module, and what each would learn")
                .arg(Arg::new(MODULE).required(true).help("A module path"))
                .arg(json()),
        )
        .subcommand(
            Grammar::new("use")
                .about("Change the file that `go env -w` writes to one of a few known-good sets")
                .long_about(
                    "Change the file that `go env -w` writes to one of a few known-good sets, and show every change. \
                     The file as it was is kept, and `--undo` brings it back.\n\n\
                     public: what Go itself comes with. china: a proxy of your choice (`--proxy`) and the checksum \
                     database's address that is reached from there. corp: your own proxy (`--proxy`) for everything, \
                     private names (`--private-patterns`) exempt from the public checksum database. offline: only what is in the module \
                     cache. ci: like corp where `--proxy` is given, and no change of go.mod or of the Go version by the way.",
                )
                .arg(
                    Arg::new(PROFILE)
                        .value_parser(Profile::NAMES)
                        .required_unless_present(UNDO)
                        .help("Which set"),
                )
                .arg(
                    Arg::new(PROXY)
                        .long(PROXY)
                        .value_name("LIST")
                        .help("The GOPROXY list of this set"),
                )
                .arg(
                    Arg::new(PRIVATE_PATTERNS)
                        .long(PRIVATE_PATTERNS)
                        .value_name("PATTERNS")
                        .help("Your private names, as GOPRIVATE has them"),
                )
                .arg(
                    Arg::new(EMIT)
                        .long(EMIT)
                        .value_name("FORMAT")
                        .value_parser(Emit::NAMES)
                        .help("Write the set for another place to stdout instead"),
                )
                .arg(
                    Arg::new(DRY_RUN)
                        .long(DRY_RUN)
                        .action(ArgAction::SetTrue)
                        .help("Show the changes; write nothing"),
                )
                .arg(
                    Arg::new(UNDO)
                        .long(UNDO)
                        .action(ArgAction::SetTrue)
                        .conflicts_with_all([PROFILE, PROXY, PRIVATE_PATTERNS, EMIT])
                        .help("Bring back the file as it was before the last change"),
                )
                .arg(json()),
        )
}

fn setting_flags() -> impl Iterator<Item = Arg> {
    SETTINGS.iter().map(setting_flag)
}

fn setting_flag(setting: &'static Setting) -> Arg {
    let argument = Arg::new(setting.key)
        .long(setting.flag)
        .value_name(setting.kind.value_name())
        .help(summary(setting))
        .long_help(format!("{}\n{}", summary(setting), setting.details))
        .help_heading(setting.group.title())
        .allow_hyphen_values(false);
    match setting.kind {
        Kind::Switch => argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        _ => argument.num_args(1),
    }
}

/// The summary with the words that it takes and the default, for the help.
fn summary(setting: &Setting) -> String {
    let words = match setting.kind {
        Kind::Choice(words) => format!(" [one of: {}]", words.join(", ")),
        _ => String::new(),
    };
    format!("{}{words}{}", setting.summary, default(setting))
}

fn default(setting: &Setting) -> String {
    match setting.default {
        Fallback::Value(text) => format!(" [default: {text}]"),
        Fallback::Unset => String::new(),
        Fallback::GoEnv(variables) | Fallback::GoEnvElse(variables, _) => {
            format!(" [default: go's {}]", variables.join(" or "))
        }
        Fallback::UserCacheFolder => " [default: `larder` in your cache folder]".into(),
    }
}

/// The setting flags that were given.
fn flags(matches: &ArgMatches) -> Flags {
    SETTINGS
        .iter()
        .filter_map(|setting| {
            let text = matches.get_one::<String>(setting.key)?;
            Some((setting.key, text.clone()))
        })
        .collect()
}

/// Clap's finding in our words.
fn stop(error: clap::Error) -> Stop {
    let text_of = |kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            Stop::Text(error.render().to_string())
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Stop::Wrong(
            Complaint::new("no command given")
                .hint("`larder serve` runs the proxy, `larder --help` lists the commands"),
        ),
        ErrorKind::UnknownArgument => {
            let written = text_of(ContextKind::InvalidArg).unwrap_or_default();
            let complaint = Complaint::new(format!("unknown argument `{written}`"));
            let flags = SETTINGS.iter().map(|setting| setting.flag).chain([
                JSON,
                ORIGIN,
                CODE,
                PROXY,
                PRIVATE_PATTERNS,
                EMIT,
                DRY_RUN,
                UNDO,
                CA,
                CURL,
                SAMPLE,
                PRIVATE_MODULE,
                REQUESTS,
            ]);
            let flags = flags.chain(cache::FLAGS);
            let name = written.trim_start_matches('-');
            match did_you_mean(name, flags) {
                Some(meant) if written.starts_with("--") => {
                    Stop::Wrong(complaint.hint(format!("did you mean `--{meant}`?")))
                }
                _ => Stop::Wrong(complaint.hint("`--help` lists what is known")),
            }
        }
        ErrorKind::InvalidSubcommand => {
            let written = text_of(ContextKind::InvalidSubcommand).unwrap_or_default();
            let complaint = Complaint::new(format!("unknown command `{written}`"));
            match did_you_mean(&written, COMMANDS.into_iter().chain(cache::COMMANDS)) {
                Some(meant) => Stop::Wrong(complaint.hint(format!("did you mean `{meant}`?"))),
                None => Stop::Wrong(complaint.hint("`larder --help` lists the commands")),
            }
        }
        _ => Stop::Wrong(first_line(&error.render())),
    }
}

const COMMANDS: [&str; 14] = [
    "serve", "exec", "explain", "doctor", "trace", "compare", "auth", "test", "env", "route",
    "use", "config", "check", "show",
];

/// Clap's first line without its `error:`, for what needs no words of our own.
fn first_line(rendered: &StyledStr) -> Complaint {
    let text = rendered.to_string();
    let first = text.lines().next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    Complaint::new(first.replace('\'', "`")).hint("`--help` lists what is known")
}

#[cfg(test)]
mod tests;
