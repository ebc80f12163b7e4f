//! `larder env use PROFILE`: a few known-good sets of go's variables, written through the file of
//! `go env -w`, or for another place. Every change is shown, and the last one can be undone.

use crate::command_line::Form;
use crate::commands::Outcome;
use crate::go_env::effective::without_passwords;
use crate::go_env::user_file::{self, Change, Wanted};
use crate::settings::complaint::Complaint;
use crate::settings::environment::Environment;
use crate::shell;
use crate::terminal;
use gomod::ProxyList;
use serde_json::json;
use std::fmt::Write as _;

/// A set of variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    Public,
    China,
    Corp,
    Offline,
    Ci,
}

impl Profile {
    /// As they are written.
    pub(crate) const NAMES: [&'static str; 5] = ["public", "china", "corp", "offline", "ci"];

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "public" => Self::Public,
            "china" => Self::China,
            "corp" => Self::Corp,
            "offline" => Self::Offline,
            "ci" => Self::Ci,
            _ => return None,
        })
    }
}

/// For which other place a set is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Emit {
    Docker,
    GitHub,
    GitLab,
    Direnv,
}

impl Emit {
    /// As they are written.
    pub(crate) const NAMES: [&'static str; 4] = ["docker", "github", "gitlab", "direnv"];

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "docker" => Self::Docker,
            "github" => Self::GitHub,
            "gitlab" => Self::GitLab,
            "direnv" => Self::Direnv,
            _ => return None,
        })
    }
}

/// What is wished for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    /// `None` only when undoing.
    pub(crate) profile: Option<Profile>,
    pub(crate) proxy: Option<String>,
    pub(crate) private: Option<String>,
    pub(crate) emit: Option<Emit>,
    pub(crate) dry_run: bool,
    pub(crate) undo: bool,
}

/// Changes the user's file, or writes the set for another place.
pub(crate) fn apply(environment: &Environment, wish: &Wish, form: Form) -> Outcome {
    match try_apply(environment, wish, form) {
        Ok(()) => Outcome::Fine,
        Err(complaint) => {
            terminal::complain(&[complaint]);
            Outcome::UsedWrongly
        }
    }
}

fn try_apply(environment: &Environment, wish: &Wish, form: Form) -> Result<(), Complaint> {
    let wanted = match wish.profile {
        Some(profile) => wanted(profile, wish)?,
        None => Wanted::new(),
    };
    if let Some(emit) = wish.emit {
        terminal::data(&emitted(emit, &wanted));
        let with_password: Vec<String> = wanted
            .iter()
            .filter(|(_, value)| value.as_ref().is_some_and(|it| without_passwords(it) != *it))
            .map(|(name, _)| {
                format!("{name} holds a password: keep it out of files that others read; .netrc is its place")
            })
            .collect();
        terminal::warn(&with_password);
        return Ok(());
    }
    let plan = match wish.undo {
        true => user_file::undo(environment)?,
        false => user_file::plan(environment, &wanted)?,
    };
    let shown = match form {
        Form::Json => {
            let changes: Vec<_> = plan.changes.iter().map(change_json).collect();
            let all = json!({
                "file": plan.path.display().to_string(),
                "changes": changes,
                "written": !wish.dry_run,
            });
            format!("{all:#}\n")
        }
        Form::Text => plan.changes.iter().map(change_text).collect(),
    };
    if !wish.dry_run && !plan.changes.is_empty() {
        plan.write()?;
    }
    terminal::data(&shown);
    let file = plan.path.display();
    terminal::talk(&match (plan.changes.is_empty(), wish.dry_run) {
        (true, _) => format!("{file}: nothing to change\n"),
        (false, true) => format!("{file}: nothing was written (--dry-run)\n"),
        (false, false) => {
            format!("{file}: written; `larder env use --undo` brings back what was there\n")
        }
    });
    let hiding: Vec<String> = plan
        .changes
        .iter()
        .filter(|change| environment.os(&change.name).is_some())
        .map(|change| {
            let name = &change.name;
            format!("{name} is exported in this environment, which hides the file: `unset {name}`")
        })
        .collect();
    terminal::warn(&hiding);
    Ok(())
}

/// Every variable that a set speaks of, so that nothing of another set stays behind.
const GOVERNED: [&str; 7] = [
    "GOPROXY",
    "GOPRIVATE",
    "GONOPROXY",
    "GONOSUMDB",
    "GOSUMDB",
    "GOTOOLCHAIN",
    "GOFLAGS",
];

/// The checksum database's address for places that the usual one is not reached from (`sumdb.go`).
const SUMDB_CHINA: &str = "sum.golang.google.cn";

fn wanted(profile: Profile, wish: &Wish) -> Result<Wanted, Complaint> {
    let proxy = wish.proxy.as_deref();
    if let Some(list) = proxy {
        ProxyList::parse(list).map_err(|error| {
            Complaint::from_error(error)
                .hint("write URLs, `direct` or `off`, separated by `,` or `|`")
        })?;
    }
    let needs_proxy = |what: &str| {
        Complaint::new(format!("the set `{what}` needs `--proxy LIST`"))
            .hint("name your own proxy, such as `--proxy http://larder.corp.example:8080`")
    };
    let mut wanted: Wanted = GOVERNED.iter().map(|name| (*name, None)).collect();
    // What the set does not decide stays as it is.
    let keep = |wanted: &mut Wanted, names: &[&'static str]| {
        names.iter().for_each(|name| drop(wanted.remove(name)))
    };
    let set = |wanted: &mut Wanted, name: &'static str, value: &str| {
        wanted.insert(name, Some(value.to_owned()));
    };
    match profile {
        Profile::Public => {
            keep(&mut wanted, &["GOTOOLCHAIN", "GOFLAGS"]);
            if let Some(list) = proxy {
                set(&mut wanted, "GOPROXY", list);
            }
        }
        Profile::China => {
            keep(&mut wanted, &["GOTOOLCHAIN", "GOFLAGS"]);
            set(
                &mut wanted,
                "GOPROXY",
                proxy.ok_or_else(|| needs_proxy("china"))?,
            );
            set(&mut wanted, "GOSUMDB", SUMDB_CHINA);
        }
        Profile::Corp => {
            keep(&mut wanted, &["GOTOOLCHAIN", "GOFLAGS"]);
            set(
                &mut wanted,
                "GOPROXY",
                proxy.ok_or_else(|| needs_proxy("corp"))?,
            );
        }
        Profile::Offline => {
            keep(
                &mut wanted,
                &["GOPRIVATE", "GONOSUMDB", "GOSUMDB", "GOFLAGS"],
            );
            set(&mut wanted, "GOPROXY", proxy.unwrap_or("off"));
            // Without it, private names would be fetched directly all the same.
            set(&mut wanted, "GONOPROXY", "none");
            set(&mut wanted, "GOTOOLCHAIN", "local");
        }
        Profile::Ci => {
            if proxy.is_none() {
                keep(
                    &mut wanted,
                    &["GOPROXY", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOSUMDB"],
                );
            }
            if let Some(list) = proxy {
                set(&mut wanted, "GOPROXY", list);
            }
            set(&mut wanted, "GOTOOLCHAIN", "local");
            set(&mut wanted, "GOFLAGS", "-mod=readonly");
        }
    }
    if let Some(private) = wish.private.as_deref() {
        match profile {
            // The own proxy fetches private modules too; the public database must not hear of them.
            Profile::Corp | Profile::Ci if proxy.is_some() => {
                set(&mut wanted, "GONOPROXY", "none");
                set(&mut wanted, "GONOSUMDB", private);
            }
            _ => {}
        }
        set(&mut wanted, "GOPRIVATE", private);
    }
    Ok(wanted)
}

fn change_json(change: &Change) -> serde_json::Value {
    let shown = |value: &Option<String>| value.as_deref().map(without_passwords);
    json!({"name": change.name, "before": shown(&change.before), "after": shown(&change.after)})
}

fn change_text(change: &Change) -> String {
    let mut text = String::new();
    if let Some(before) = &change.before {
        let _ = writeln!(text, "- {}={}", change.name, without_passwords(before));
    }
    if let Some(after) = &change.after {
        let _ = writeln!(text, "+ {}={}", change.name, without_passwords(after));
    }
    text
}

/// The set for another place. Passwords are written: the place needs them, and the user gave them.
fn emitted(emit: Emit, wanted: &Wanted) -> String {
    let set: Vec<(&str, &str)> = wanted
        .iter()
        .filter_map(|(name, value)| Some((*name, value.as_deref()?)))
        .collect();
    let cleared: Vec<&str> = wanted
        .iter()
        .filter(|(_, value)| value.is_none())
        .map(|(name, _)| *name)
        .collect();
    let mut text = String::new();
    if set.is_empty() && emit != Emit::Direnv {
        let _ = writeln!(
            text,
            "# go's own defaults: take {} out where they are set",
            cleared.join(", ")
        );
        return text;
    }
    match emit {
        Emit::Docker => {
            for (name, value) in set {
                let _ = writeln!(text, "ENV {name}={}", quoted(value).replace('$', "\\$"));
            }
        }
        Emit::GitHub => {
            text.push_str("env:\n");
            for (name, value) in set {
                let _ = writeln!(text, "  {name}: {}", quoted(value));
            }
        }
        Emit::GitLab => {
            text.push_str("variables:\n");
            for (name, value) in set {
                let _ = writeln!(text, "  {name}: {}", quoted(value).replace('$', "$$"));
            }
        }
        Emit::Direnv => {
            if !cleared.is_empty() {
                let _ = writeln!(text, "unset {}", cleared.join(" "));
            }
            for (name, value) in set {
                let _ = writeln!(text, "export {name}={}", shell::quoted(value));
            }
        }
    }
    text
}

/// In double quotes, as YAML and Dockerfiles alike take them. Where `$` begins a variable the caller escapes it.
fn quoted(value: &str) -> String {
    let escaped = value.replace('\\', r"\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(profile: Profile, proxy: Option<&str>, private: Option<&str>) -> Wish {
        Wish {
            profile: Some(profile),
            proxy: proxy.map(str::to_owned),
            private: private.map(str::to_owned),
            emit: None,
            dry_run: false,
            undo: false,
        }
    }

    fn lines(profile: Profile, proxy: Option<&str>, private: Option<&str>) -> Vec<String> {
        wanted(profile, &wish(profile, proxy, private))
            .unwrap()
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", value?)))
            .collect()
    }

    #[test]
    fn each_set_says_what_its_name_promises() {
        let none: [&str; 0] = [];
        assert_eq!(lines(Profile::Public, None, None), none);
        assert_eq!(
            lines(
                Profile::Corp,
                Some("http://larder.example"),
                Some("git.corp.example")
            ),
            [
                "GONOPROXY=none",
                "GONOSUMDB=git.corp.example",
                "GOPRIVATE=git.corp.example",
                "GOPROXY=http://larder.example"
            ]
        );
        assert_eq!(
            lines(Profile::China, Some("https://mirror.example,direct"), None),
            [
                "GOPROXY=https://mirror.example,direct",
                "GOSUMDB=sum.golang.google.cn"
            ]
        );
        assert_eq!(
            lines(Profile::Offline, None, None),
            ["GONOPROXY=none", "GOPROXY=off", "GOTOOLCHAIN=local"]
        );
        assert_eq!(
            lines(Profile::Ci, None, None),
            ["GOFLAGS=-mod=readonly", "GOTOOLCHAIN=local"]
        );
    }

    #[test]
    fn a_set_that_needs_a_proxy_says_so_and_a_bad_list_is_refused() {
        let refuse = |profile, proxy| {
            wanted(profile, &wish(profile, proxy, None))
                .unwrap_err()
                .text
        };
        assert!(refuse(Profile::Corp, None).contains("--proxy"));
        assert!(refuse(Profile::China, None).contains("--proxy"));
        assert!(refuse(Profile::Corp, Some("ftp://x")).contains("ftp"));
    }

    #[test]
    fn other_places_get_the_set_in_their_own_words() {
        let wanted = wanted(
            Profile::Ci,
            &wish(Profile::Ci, Some("https://p.example"), None),
        )
        .unwrap();
        assert!(emitted(Emit::Docker, &wanted).contains("ENV GOPROXY=\"https://p.example\"\n"));
        assert!(emitted(Emit::GitHub, &wanted).starts_with("env:\n  GOFLAGS: \"-mod=readonly\"\n"));
        assert!(emitted(Emit::GitLab, &wanted).starts_with("variables:\n"));
        assert!(emitted(Emit::Direnv, &wanted).contains("export GOPROXY=https://p.example\n"));
    }

    #[test]
    fn a_set_of_nothing_is_said_in_words_that_every_place_reads() {
        let wanted = wanted(Profile::Public, &wish(Profile::Public, None, None)).unwrap();
        for emit in [Emit::Docker, Emit::GitHub, Emit::GitLab] {
            let text = emitted(emit, &wanted);
            assert!(text.starts_with("# ") && text.contains("GOPROXY"), "{text}");
            assert_eq!(text.lines().count(), 1, "{text}");
        }
        assert!(emitted(Emit::Direnv, &wanted).starts_with("unset GO"));
    }

    #[test]
    fn a_dollar_of_a_password_stays_what_it_is() {
        let list = "https://me:a$b@p.example";
        let wanted = wanted(Profile::Ci, &wish(Profile::Ci, Some(list), None)).unwrap();
        let check = |emit, expected| assert!(emitted(emit, &wanted).contains(expected));
        check(Emit::Docker, r#"ENV GOPROXY="https://me:a\$b@p.example""#);
        check(Emit::GitHub, r#"GOPROXY: "https://me:a$b@p.example""#);
        check(Emit::GitLab, r#"GOPROXY: "https://me:a$$b@p.example""#);
        check(Emit::Direnv, "export GOPROXY='https://me:a$b@p.example'");
    }
}
