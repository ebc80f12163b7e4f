//! `larder auth test`: which credential rule holds for a repository, what its host makes of it, and what helps.
//!
//! Asks the host twice over HTTPS, with the credential and without, then lets git list the repository as the
//! server would. Prints no secret: what hosts and git write passes through the rooms that leave them out.

mod cure;

use super::{Outcome, settings};
use crate::command_line::{Flags, Form};
use crate::settings::complaint::Complaint;
use crate::settings::environment::Environment;
use crate::settings::written::Purpose;
use crate::wiring::{self, AuthTools};
use crate::{logging, terminal};
use cure::Case;
use gomod::ModulePath;
use serde::Serialize;
use source::{
    Access, Credential, Credentials as _, Freshness, GitProtocol, Inspection, Location,
    RepositoryRoot, RepositoryUrl, RuleMatch, SourceError, SourceErrorKind, Trust,
};
use std::fmt::Write as _;

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A module path, whose repository is looked for first.
    Module(ModulePath),
    /// The address of a repository.
    Repository(RepositoryUrl),
}

impl Target {
    /// Reads what stands on the command line; a version behind the path is passed over.
    pub(crate) fn parse(text: &str) -> Result<Self, Complaint> {
        if text.contains("://") {
            let url = RepositoryUrl::parse(text).map_err(Complaint::from_error)?;
            return Ok(Self::Repository(url));
        }
        let path = text.split_once('@').map_or(text, |(path, _)| path);
        ModulePath::parse(path).map(Self::Module).map_err(|error| {
            Complaint::from_error(error)
                .hint("give a module path, or the address of a repository: `https://git.example/team/tool`")
        })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Module(module_path) => module_path.fmt(f),
            Self::Repository(url) => url.fmt(f),
        }
    }
}

/// What was found, with the names that scripts read.
#[derive(Debug, Serialize)]
struct Report {
    target: String,
    /// The repository's address; `null` where it was not found.
    repository: Option<String>,
    verdict: Verdict,
    /// Whether the host knows the credential of the rule; `null` where that was not seen.
    accepted: Option<bool>,
    /// The rule that holds; `null` where none does.
    rule: Option<Rule>,
    /// Rules that name the host and do not hold.
    nearly: Vec<Rule>,
    /// What the host said over HTTPS.
    host: Option<String>,
    /// What git said when it was to list the repository.
    git: Option<String>,
    cures: Vec<String>,
}

/// One rule.
#[derive(Debug, Serialize)]
struct Rule {
    name: String,
    /// What it grants: files, users and variables, no secrets.
    grants: Option<String>,
    /// Where it is written.
    place: Option<String>,
    /// Why it does not hold.
    why_not: Option<String>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    /// Git lists the repository.
    Readable,
    /// The host does not let us read it.
    Refused,
    /// The host knows the credential and shows no such repository.
    NotFound,
    /// The rule that holds gives no credential.
    RuleUnusable,
    /// The module's repository was not found.
    NoRepository,
    /// The host was not reached.
    Unreached,
    /// What the host said proves nothing.
    Unclear,
}

/// Tests the credential of a target.
pub(crate) fn test(
    flags: &Flags,
    environment: &Environment,
    target: &Target,
    form: Form,
) -> Outcome {
    // Upstreams are not asked, so that they need not be set.
    let mut flags = flags.clone();
    flags.push(("offline", "true".to_owned()));
    let resolved = match settings(&flags, environment, Purpose::Serve) {
        Ok(resolved) => resolved,
        Err(complaints) => {
            terminal::complain(&complaints);
            return Outcome::UsedWrongly;
        }
    };
    terminal::warn(&resolved.warnings);
    let config = &resolved.config;
    let tested = logging::install(config.log_format, crate::settings::config::LogLevel::Error)
        .and_then(|_log| {
            wiring::runtime()?.block_on(async {
                let tools = wiring::auth_tools(config).await?;
                Ok(report(&tools, target).await)
            })
        });
    let report = match tested {
        Ok(report) => report,
        Err(complaint) => {
            terminal::complain(&[complaint]);
            return Outcome::FoundFault;
        }
    };
    match form {
        Form::Json => terminal::data(&format!("{:#}\n", serde_json::json!(report))),
        Form::Text => terminal::data(&text(&report)),
    }
    match report.verdict {
        Verdict::Readable => Outcome::Fine,
        _ => Outcome::FoundFault,
    }
}

async fn report(tools: &AuthTools, target: &Target) -> Report {
    let mut report = Report {
        target: target.to_string(),
        repository: None,
        verdict: Verdict::Unclear,
        accepted: None,
        rule: None,
        nearly: Vec::new(),
        host: None,
        git: None,
        cures: Vec::new(),
    };
    let (url, trust) = match locate(tools, target).await {
        Ok(found) => found,
        Err(error) => {
            report.verdict = Verdict::NoRepository;
            report.git = Some(error.to_string());
            report.cures.extend(error.0.notes);
            report
                .cures
                .push("give the repository's address instead of the module path".to_owned());
            return report;
        }
    };
    report.repository = Some(url.to_string());
    for found in tools.rules.matches(&url) {
        match found.miss {
            None => report.rule = Some(told(&found)),
            Some(_) => report.nearly.push(told(&found)),
        }
    }
    let credential = match tools.rules.for_repository(&url).await {
        Ok(credential) => credential,
        Err(error) => {
            report.verdict = Verdict::RuleUnusable;
            report.git = Some(error.to_string());
            report.cures.extend(error.0.notes);
            return report;
        }
    };
    if let (None, Some(credential)) = (&report.rule, &credential) {
        report.rule = Some(Rule {
            name: credential.rule.to_string(),
            grants: None,
            place: None,
            why_not: None,
        });
    }
    ask(tools, &url, trust, credential.as_ref(), &mut report).await;
    report
}

/// Where the repository is, and who chose its address.
async fn locate(tools: &AuthTools, target: &Target) -> Result<(RepositoryUrl, Trust), SourceError> {
    let module_path = match target {
        Target::Repository(url) => return Ok((url.clone(), Trust::Named)),
        Target::Module(module_path) => module_path,
    };
    let mut location = tools.roots.locate(module_path).await?;
    // A path such as `host/a.git` leaves the protocol open.
    if let Location::Repository(root) = &location
        && let Err(failed) = tools
            .repositories
            .open(&root.url, root.trust)?
            .refs(Freshness::Recent)
            .await
        && let Ok(Some(other)) = tools
            .roots
            .locate_otherwise(module_path, &location, &failed)
            .await
    {
        location = other;
    }
    match location {
        Location::Repository(RepositoryRoot { url, trust, .. }) => Ok((url, trust)),
        Location::Proxy { url, .. } => Err(SourceError::new(
            SourceErrorKind::BadAnswer,
            format!("`{module_path}` is served by the module proxy {url}, not by a repository"),
        )),
    }
}

fn told(found: &RuleMatch) -> Rule {
    Rule {
        name: found.rule.name(),
        grants: Some(found.rule.grant.describe()),
        place: Some(found.rule.written_at.clone()),
        why_not: found.miss.map(|miss| miss.to_string()),
    }
}

async fn ask(
    tools: &AuthTools,
    url: &RepositoryUrl,
    trust: Trust,
    credential: Option<&Credential>,
    report: &mut Report,
) {
    let is_web = matches!(url.protocol(), GitProtocol::Https | GitProtocol::Http);
    let inspection = match is_web {
        true => Some(tools.probe.inspect(url, trust, credential).await),
        false => None,
    };
    let listed = match tools.repositories.open(url, trust) {
        Ok(repository) => repository.refs(Freshness::Recent).await,
        Err(error) => Err(error),
    };
    report.host = inspection.as_ref().map(|it| it.said.clone());
    report.git = Some(match &listed {
        Ok(refs) => format!("it lists {} refs", refs.iter().count()),
        Err(error) => match &error.0.upstream_text {
            Some(said) => format!("{error}: {}", said.lines().collect::<Vec<_>>().join(" / ")),
            None => error.to_string(),
        },
    });
    let access = inspection.map(|Inspection { access, .. }| access);
    report.accepted = match (access, credential) {
        (_, None) => None,
        (Some(Access::Granted | Access::NotAllowed | Access::NotSeen), _) => Some(true),
        (Some(Access::NotAccepted), _) => Some(false),
        (Some(_), _) => None,
        // SSH: the key that let git in is the rule's, because no other is offered beside it.
        (None, Some(_)) => match &listed {
            Ok(_) => Some(true),
            Err(error) if error.kind() == SourceErrorKind::NotExist => Some(true),
            Err(error) if is_denied(error) => Some(false),
            Err(_) => None,
        },
    };
    report.verdict = match (&listed, access) {
        (Ok(_), _) => Verdict::Readable,
        (Err(_), Some(Access::NotAccepted | Access::NotAllowed | Access::Wanted)) => {
            Verdict::Refused
        }
        (Err(_), Some(Access::NotSeen)) => Verdict::NotFound,
        (Err(_), Some(Access::Unreached)) => Verdict::Unreached,
        (Err(error), _) => match error.kind() {
            SourceErrorKind::NotExist | SourceErrorKind::Gone => Verdict::NotFound,
            SourceErrorKind::Refused => Verdict::Refused,
            SourceErrorKind::Unreachable | SourceErrorKind::TimedOut | SourceErrorKind::Tls => {
                Verdict::Unreached
            }
            _ => Verdict::Unclear,
        },
    };
    if let Err(error) = &listed {
        let case = Case {
            url,
            access,
            rule: report.rule.as_ref().map(|rule| rule.name.as_str()),
            said: report.git.as_deref().unwrap_or_default(),
        };
        report.cures = case.cures();
        if report.cures.is_empty() {
            report.cures.extend(error.0.notes.iter().cloned());
        }
    }
}

/// SSH's own word for a key that no server knows; a host key that is not known is refused by ourselves.
fn is_denied(error: &SourceError) -> bool {
    let said = error.0.upstream_text.as_deref().unwrap_or_default();
    said.contains("Permission denied (") || error.to_string().contains("Permission denied (")
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<12}{value}");
    };
    line("target", &report.target);
    if let Some(repository) = &report.repository {
        line("repository", repository);
        match &report.rule {
            Some(rule) => line("rule", &rule_line(rule)),
            None => line("rule", "none: git is left to the user's own set-up"),
        }
    }
    for rule in &report.nearly {
        line("not", &rule_line(rule));
    }
    if let Some(host) = &report.host {
        line("the host", host);
    }
    if let Some(git) = &report.git {
        line("git", git);
    }
    line("result", result(report));
    for cure in &report.cures {
        line("", &format!("- {cure}"));
    }
    text
}

fn rule_line(rule: &Rule) -> String {
    let mut line = rule.name.clone();
    if let Some(grants) = &rule.grants {
        let _ = write!(line, ": {grants}");
    }
    if let Some(place) = &rule.place {
        let _ = write!(line, " ({place})");
    }
    if let Some(why_not) = &rule.why_not {
        let _ = write!(line, "; {why_not}");
    }
    line
}

fn result(report: &Report) -> &'static str {
    match (report.verdict, report.accepted, &report.rule) {
        (Verdict::Readable, Some(true), _) => "the credential works",
        (Verdict::Readable, _, None) => "git can read it without a rule",
        (Verdict::Readable, _, Some(_)) => {
            "git can read it; whether that is the credential's doing is not seen, because others may read it too"
        }
        (Verdict::Refused, Some(true), _) => {
            "the host knows the credential but does not let it read this repository"
        }
        (Verdict::Refused, Some(false), _) => "the host does not accept the credential",
        (Verdict::Refused, None, Some(_)) => "the repository can't be read; see git's own words",
        (Verdict::Refused, _, None) => "the host wants a credential, and no rule matches",
        (Verdict::NotFound, Some(true), _) => {
            "the host knows the credential and says that there is no such repository: it is absent, or this credential \
             may not see it"
        }
        (Verdict::NotFound, _, _) => "the host says that there is no such repository",
        (Verdict::RuleUnusable, _, _) => "the rule that holds gives no credential",
        (Verdict::NoRepository, _, _) => "the module's repository was not found",
        (Verdict::Unreached, _, _) => "the host was not reached",
        (Verdict::Unclear, _, _) => "what the host makes of the credential is not known",
    }
}

#[cfg(test)]
mod tests;
