//! `larder env route MODULE`: who would be asked for a module, in which order, and what each would
//! learn. Mirrors `modfetch.TryProxies`, `useSumDB` and the order of rule 65; asks nobody.

use crate::command_line::Form;
use crate::commands::Outcome;
use crate::go_env::GoEnv;
use crate::go_env::effective;
use crate::settings::complaint::Complaint;
use crate::settings::environment::Environment;
use crate::terminal;
use crate::way_out;
use gomod::sumdb::SumdbSetting;
use gomod::{FallBack, ModulePath, PathPatterns, ProxyEntry, SafeUrl};
use serde::Serialize;
use source::HttpProxies;
use std::fmt::Write as _;

/// Who is asked.
#[derive(Debug, Serialize)]
struct Route {
    module: String,
    /// Whether GOPRIVATE matches.
    private: bool,
    /// In the order in which they are asked.
    steps: Vec<Step>,
    checksum_database: Checked,
}

/// One who is asked.
#[derive(Debug, Serialize)]
struct Step {
    kind: &'static str,
    /// The proxy's URL without passwords, or the host that is asked directly.
    target: String,
    /// When the next one is asked: `absent` (404, 410), `any` failure, or `never`.
    next_after: &'static str,
    learns: String,
    /// The HTTP proxy on the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    through: Option<String>,
}

/// What the checksum database has to do with it.
#[derive(Debug, Serialize)]
struct Checked {
    asked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
    text: String,
}

/// Prints the route of a module path.
pub(crate) fn route(environment: &Environment, module_path: &ModulePath, form: Form) -> Outcome {
    let go_env = GoEnv::read(environment);
    let route = match of(&go_env, module_path) {
        Ok(route) => route,
        Err(complaint) => {
            terminal::complain(&[complaint]);
            return Outcome::FoundFault;
        }
    };
    match form {
        Form::Json => terminal::data(&format!("{:#}\n", serde_json::json!(route))),
        Form::Text => terminal::data(&text(&route)),
    }
    Outcome::Fine
}

fn of(go_env: &GoEnv, module_path: &ModulePath) -> Result<Route, Complaint> {
    let value = |name: &str| effective::value(go_env, name);
    let matches = |name: &str| PathPatterns::parse(&value(name)).matches(module_path.as_str());
    let http_proxies =
        way_out::http_proxies(go_env.environment()).map_err(Complaint::from_error)?;
    let entries = effective::proxies(go_env).ok_or_else(|| {
        Complaint::new("GOPROXY is empty or no list that go accepts")
            .hint("`larder env` says where it is set")
    })?;
    let direct = |why: &str| direct(go_env, module_path, &http_proxies, why);
    let bypasses = matches("GONOPROXY");
    let steps = match bypasses {
        true => vec![direct("GONOPROXY matches, so no proxy is asked")],
        false => entries
            .iter()
            .map(|entry| match entry {
                ProxyEntry::Proxy(proxy) => Step {
                    kind: "proxy",
                    target: proxy.url.to_string(),
                    next_after: match proxy.fall_back {
                        FallBack::Absent => "absent",
                        FallBack::Any => "any",
                    },
                    learns: "the module path, the versions, your address".into(),
                    through: through(&http_proxies, &proxy.url),
                },
                ProxyEntry::Direct => direct("`direct` stands in GOPROXY"),
                ProxyEntry::Off => Step {
                    kind: "off",
                    target: "nobody".into(),
                    next_after: "never",
                    learns: "nothing: the command fails here".into(),
                    through: None,
                },
            })
            .collect(),
    };
    let toolchain = module_path.as_str() == "golang.org/toolchain";
    let exempt = matches("GONOSUMDB") && !toolchain;
    let checksum_database = checked(&value("GOSUMDB"), exempt, &entries);
    Ok(Route {
        module: module_path.to_string(),
        private: matches("GOPRIVATE"),
        steps,
        checksum_database,
    })
}

/// The last entry's separator counts for nothing, which the reader sees by there being no next one.
fn direct(go_env: &GoEnv, module_path: &ModulePath, http_proxies: &HttpProxies, why: &str) -> Step {
    let insecure = PathPatterns::parse(&effective::value(go_env, "GOINSECURE"));
    let host = module_path.as_str().split('/').next().unwrap_or_default();
    let path = module_path.as_str();
    let schemes = match insecure.matches(path) {
        true => "https, or http without TLS (GOINSECURE)",
        false => "https",
    };
    let (target, learns) = match source::repository_named_by(path) {
        Some(Ok(named)) => (
            match named.scheme {
                Some(scheme) => {
                    format!("{scheme}://{} ({})", named.address, named.system.command())
                }
                None => format!(
                    "{host} ({}, by the name in the path)",
                    named.system.command()
                ),
            },
            "the repository's name and which revisions are fetched",
        ),
        Some(Err(impossible)) => (
            format!("nobody: {impossible}"),
            "nothing: go refuses the path before it asks",
        ),
        None => (
            format!(
                "https://{path}?go-get=1 by {schemes}, then the repository that the page names (git)"
            ),
            "the module path; the repository's host learns which revisions are fetched",
        ),
    };
    let asked = SafeUrl::parse(&format!("https://{host}/")).ok();
    Step {
        kind: "direct",
        target,
        next_after: "never",
        learns: format!("{learns} ({why})"),
        through: asked.and_then(|url| through(http_proxies, &url)),
    }
}

fn through(http_proxies: &HttpProxies, url: &SafeUrl) -> Option<String> {
    let proxy = http_proxies.for_url(url.expose())?;
    Some(effective::without_passwords(proxy.as_str()))
}

fn checked(setting: &str, exempt: bool, entries: &[ProxyEntry]) -> Checked {
    let not_asked = |text: &str| Checked {
        asked: false,
        database: None,
        text: text.to_owned(),
    };
    if exempt {
        return not_asked("GONOSUMDB (or GOPRIVATE) matches: only go.sum remembers its hashes");
    }
    let (name, url) = match SumdbSetting::parse(setting) {
        Ok(SumdbSetting::Off) => {
            return not_asked("GOSUMDB=off: what go.sum does not know is taken as it comes");
        }
        Ok(SumdbSetting::Database { verifier, url }) => (verifier.name().to_owned(), url),
        Err(_) => return not_asked("GOSUMDB cannot be read: downloads of unknown modules fail"),
    };
    let first_proxy = entries.iter().find_map(|entry| match entry {
        ProxyEntry::Proxy(proxy) => Some(proxy.url.to_string()),
        ProxyEntry::Direct | ProxyEntry::Off => None,
    });
    let way = match (url, first_proxy) {
        (Some(url), _) => format!("at {url} only"),
        (None, Some(proxy)) => {
            format!("through {proxy} if it offers /sumdb/{name}/supported, else at https://{name}")
        }
        (None, None) => format!("at https://{name}"),
    };
    Checked {
        asked: true,
        text: format!(
            "asked {way}, for what go.sum does not know; it learns the module path and version"
        ),
        database: Some(name),
    }
}

fn text(route: &Route) -> String {
    let mut text = format!(
        "{}{}\n",
        route.module,
        if route.private {
            " (private: GOPRIVATE matches)"
        } else {
            ""
        }
    );
    for (number, step) in (1..).zip(&route.steps) {
        let _ = writeln!(text, "{number}. {}: {}", step.kind, step.target);
        let _ = writeln!(text, "     learns: {}", step.learns);
        if let Some(proxy) = &step.through {
            let _ = writeln!(text, "     through the HTTP proxy {proxy}");
        }
        let is_last = number == route.steps.len();
        match step.next_after {
            "absent" if !is_last => {
                text.push_str("     the next one is asked only after 404 or 410\n")
            }
            "any" if !is_last => text.push_str("     the next one is asked after any failure\n"),
            _ => {}
        }
    }
    let checked = &route.checksum_database;
    let name = checked.database.as_deref().unwrap_or("none");
    let _ = writeln!(text, "checksum database: {name}\n     {}", checked.text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_environment(variables: &[(&str, &str)], module_path: &str) -> String {
        let environment: Environment = variables.iter().copied().collect();
        let route = of(
            &GoEnv::read(&environment),
            &ModulePath::parse(module_path).unwrap(),
        );
        text(&route.unwrap())
    }

    #[test]
    fn a_private_name_goes_to_its_host_alone() {
        let text = of_environment(
            &[
                ("GOPROXY", "https://proxy.example,direct"),
                ("GOPRIVATE", "git.corp.example"),
                ("GOSUMDB", "sum.golang.org"),
            ],
            "git.corp.example/team/module",
        );
        assert!(text.contains("private: GOPRIVATE matches"), "{text}");
        assert!(
            text.contains("1. direct: https://git.corp.example/team/module?go-get=1"),
            "{text}"
        );
        assert!(!text.contains("proxy.example"), "{text}");
        assert!(text.contains("checksum database: none"), "{text}");
    }

    #[test]
    fn a_public_name_walks_the_list_and_the_database_is_asked_through_the_first_proxy() {
        let text = of_environment(
            &[
                (
                    "GOPROXY",
                    "https://u:secret@proxy.example|https://second.example,direct",
                ),
                ("GOSUMDB", "sum.golang.org"),
                ("HTTPS_PROXY", "http://gate.example:3128"),
            ],
            "github.com/pkg/errors/v2",
        );
        assert!(text.contains("after any failure"), "{text}");
        assert!(text.contains("only after 404 or 410"), "{text}");
        assert!(
            text.contains("3. direct: https://github.com/pkg/errors (git)"),
            "{text}"
        );
        assert!(
            text.contains("through the HTTP proxy http://gate.example:3128"),
            "{text}"
        );
        assert!(text.contains("/sumdb/sum.golang.org/supported"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}
