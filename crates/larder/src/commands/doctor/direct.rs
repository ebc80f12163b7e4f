//! Straight from a code host: the go-import page, GOVCS, and git's own first request, which asks a repository
//! for its refs. Over HTTPS no git is started: what a host answers to that request is what git would meet.
//! Over SSH it is asked itself.

use super::examined::{Examined, Stage, finding};
use super::go_words;
use super::machine::Machine;
use super::module::Failure;
use diagnosis::cause::Whose;
use diagnosis::{Confidence, Subject};
use gomod::ModulePath;
use source::{
    Freshness, Git, GitOptions, GoVcs, Repositories as _, RepositoryUrl, SourceFailure, Trust,
};
use std::time::{Duration, Instant};
use tlsdoctor::{Answer, Expects, Scheme, StageStatus, Target};
use url::Url;

/// Whether the path's host is asked for a page.
pub(super) fn has_own_page(path: &ModulePath) -> bool {
    source::repository_named_by(path.as_str()).is_none()
}

/// A `go-import` element.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GoImport {
    root: String,
    system: String,
    repository: String,
}

/// The go-import of a page for this path.
pub(super) fn go_import(page: &str, path: &ModulePath) -> Option<GoImport> {
    go_imports(page).find(|import| {
        let rest = path.as_str().strip_prefix(import.root.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// All of a page, whatever their path.
fn go_imports(page: &str) -> impl Iterator<Item = GoImport> {
    page.split("<meta ").skip(1).filter_map(|rest| {
        let element = rest.split('>').next()?;
        (attribute(element, "name")? == "go-import").then_some(())?;
        let mut words = attribute(element, "content")?.split_whitespace();
        Some(GoImport {
            root: words.next()?.to_owned(),
            system: words.next()?.to_owned(),
            repository: words.next()?.to_owned(),
        })
    })
}

fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = element.split_once(&format!("{name}="))?;
    let quote = rest
        .chars()
        .next()
        .filter(|letter| matches!(letter, '"' | '\''))?;
    rest.get(1..)?.split(quote).next()
}

/// What go wants of the repository, which its words begin with.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// Which version a query means (`go get MODULE@QUERY`).
    Version,
    /// The go.mod file of a version that this folder's go.mod names (`go mod download`).
    GoMod(&'a str),
}

impl Wanted<'_> {
    /// What stands before git's command. A pseudo-version is looked up before its go.mod is read
    /// (`modfetch.codeRepo.GoMod`, `findDir`).
    fn before_git(self, path: &ModulePath, root: &str) -> String {
        let Self::GoMod(version) = self else {
            return "invalid version: ".into();
        };
        let is_pseudo = gomod::Version::parse(version).is_ok_and(|version| version.is_pseudo());
        if is_pseudo {
            return "invalid version: ".into();
        }
        let revision = version.trim_end_matches("+incompatible");
        let below = path.split_major().0.strip_prefix(root).unwrap_or_default();
        let folder = below.trim_matches('/');
        let tag = if folder.is_empty() { "" } else { "/" };
        format!("reading {root}{below}/go.mod at revision {folder}{tag}{revision}: ")
    }
}

/// Examines the way from a module path to its repository.
pub(super) async fn examine(
    machine: &Machine,
    path: &ModulePath,
    wanted: Wanted<'_>,
    examined: &mut Examined,
) -> Result<(), Failure> {
    let import = if has_own_page(path) {
        page(machine, path, examined).await?
    } else {
        named(path)
    };
    let Some(import) = import else {
        return Ok(());
    };
    allowed(machine, path, &import, examined)?;
    if import.system != "git" {
        let stage = Stage::since(Instant::now(), "git", StageStatus::Skipped);
        examined
            .stages
            .push(stage.seen(format!("{} is not examined", import.system)));
        return Ok(());
    }
    repository(machine, path, &import, examined)
        .await
        .map_err(|mut failure| {
            failure
                .words
                .insert_str(0, &wanted.before_git(path, &import.root));
            failure
        })
}

/// A repository that the path names itself.
fn named(path: &ModulePath) -> Option<GoImport> {
    let text = path.as_str();
    let root = match text.find(".git") {
        Some(end) => text.get(..end + 4)?.to_owned(),
        None => text.split('/').take(3).collect::<Vec<_>>().join("/"),
    };
    Some(GoImport {
        repository: format!("https://{root}"),
        root,
        system: "git".into(),
    })
}

/// Asks for the go-import page.
async fn page(
    machine: &Machine,
    path: &ModulePath,
    examined: &mut Examined,
) -> Result<Option<GoImport>, Failure> {
    let start = Instant::now();
    let address = format!("https://{path}?go-get=1");
    let Ok(url) = Url::parse(&address) else {
        return Ok(None);
    };
    let mut report = machine.diagnose(&url, Expects::Anything).await;
    let insecure = machine.matches("GOINSECURE", path.as_str());
    if !report.clients.go.ok
        && insecure
        && let Ok(plain) = Url::parse(&format!("http://{path}?go-get=1"))
    {
        report = machine.diagnose(&plain, Expects::Anything).await;
    }
    let prefix = format!("unrecognized import path \"{path}\": ");
    let mut findings = std::mem::take(&mut report.findings);
    let (ok, words) = (report.clients.go.ok, go_words::no_answer(&report));
    let (answer, asked) = (report.answer.clone(), report.target.clone());
    examined.take(report);
    // Go reads the page before it looks at the status.
    let import = answer
        .as_ref()
        .and_then(|answer| go_import(&answer.body, path));
    if let Some(import) = import {
        let seen = format!("{} is at {}", import.root, import.repository);
        let stage = Stage::since(start, "git", StageStatus::Passed);
        examined.stages.push(stage.seen(seen));
        return Ok(Some(import));
    }
    let refused = answer.as_ref().filter(|answer| answer.status >= 400);
    if !ok {
        // It was no module proxy that answered.
        for found in &mut findings {
            if refused.is_some() && found.whose == Whose::ModuleProxy {
                found.whose = Whose::CodeHost;
            }
        }
        let words = match refused {
            Some(answer) => go_words::status(&asked.to_string(), answer),
            None => format!("https fetch: {words}"),
        };
        return Err(Failure {
            findings,
            words: format!("{prefix}{words}"),
            is_absent: false,
        });
    }
    let Some(answer) = &answer else {
        return Ok(None);
    };
    let no_import = NoImport::of(machine, &asked, answer, path).await;
    let words = match refused {
        Some(answer) => go_words::status(&asked.to_string(), answer),
        None => no_meta(&asked, answer, path),
    };
    let evidence = no_import.evidence.join("; ");
    let stage = Stage::since(start, "git", StageStatus::Failed);
    examined.stages.push(stage.seen(evidence));
    let mut found = finding(
        no_import.cause,
        Confidence::Likely,
        subject(path),
        no_import.evidence,
    );
    if found.whose == Whose::ModuleProxy {
        found.whose = Whose::CodeHost;
    }
    Err(Failure {
        findings: vec![found],
        words: format!("{prefix}{words}"),
        is_absent: matches!(answer.status, 404 | 410),
    })
}

/// What an answer is that names no repository.
struct NoImport {
    cause: &'static str,
    evidence: Vec<String>,
}

impl NoImport {
    async fn of(machine: &Machine, asked: &Target, answer: &Answer, path: &ModulePath) -> Self {
        let mut evidence = vec![format!("GET {asked}: {} {}", answer.status, answer.reason)];
        let places = answer.redirects.iter();
        evidence.extend(places.map(|place| format!("redirected to {place}")));
        let cause = match answer.status {
            401 | 403 => "vcs-auth-https",
            404 | 410 => "vcs-repo-not-found",
            400.. => "proxy-bad-body",
            _ => {
                let (cause, seen) = Self::of_page(machine, asked, answer, path).await;
                evidence.push(seen);
                cause
            }
        };
        Self { cause, evidence }
    }

    async fn of_page(
        machine: &Machine,
        asked: &Target,
        answer: &Answer,
        path: &ModulePath,
    ) -> (&'static str, String) {
        let others: Vec<String> = go_imports(&answer.body)
            .map(|import| import.root)
            .take(3)
            .collect();
        if !others.is_empty() {
            let names = others.join(", ");
            let seen = format!("its go-import names {names}, which {path} does not begin with");
            return ("goget-meta-missing", seen);
        }
        if !answer.redirects.is_empty() && asks_to_sign_in(answer) {
            let seen = "it leads to a page for people who are to sign in".to_owned();
            return ("vcs-auth-https", seen);
        }
        // Over TLS the page is the host's own; in the clear anybody on the way can have written it.
        if asked.scheme == Scheme::Http {
            let nowhere = asked.at("/larder-doctor-asks-for-nothing?go-get=1");
            let report = machine.diagnose_given(&nowhere, Expects::Anything).await;
            let also = report.answer.filter(|also| also.status == 200);
            if also.is_some_and(|also| also.body == answer.body) {
                let seen = format!("{nowhere}, which no server has, is answered by the same page");
                return ("captive-portal", seen);
            }
        }
        if has_password_field(&answer.body) {
            return (
                "vcs-auth-https",
                "its page has a field for a password".into(),
            );
        }
        let kind = answer.content_type.as_deref().unwrap_or("no content type");
        let seen = format!("what came ({kind}) has no go-import tag");
        ("goget-meta-missing", seen)
    }
}

/// Go's words for a page without a tag for the path.
fn no_meta(asked: &Target, answer: &Answer, path: &ModulePath) -> String {
    let mismatches: Vec<String> = go_imports(&answer.body)
        .map(|import| format!("meta tag {} did not match import path {path}", import.root))
        .collect();
    let mismatches = mismatches.join(", ");
    format!("parse {asked}: no go-import meta tags ({mismatches})")
}

fn has_password_field(page: &str) -> bool {
    let page = page.to_ascii_lowercase();
    let mut inputs = page.split("<input").skip(1);
    inputs.any(|rest| {
        let element = rest.split('>').next().unwrap_or_default();
        attribute(element, "type") == Some("password")
    })
}

/// A redirect to a page for people who are to sign in.
fn asks_to_sign_in(answer: &Answer) -> bool {
    let place = answer.url.to_ascii_lowercase();
    let words = [
        "sign_in", "signin", "sign-in", "login", "log_in", "auth", "sso",
    ];
    words.iter().any(|word| place.contains(word))
}

/// GOVCS, which go asks before it starts anything.
fn allowed(
    machine: &Machine,
    path: &ModulePath,
    import: &GoImport,
    examined: &mut Examined,
) -> Result<(), Failure> {
    let is_private = machine.matches("GOPRIVATE", path.as_str());
    let setting = machine.value("GOVCS");
    if allows(&setting, path.as_str(), is_private, &import.system) {
        return Ok(());
    }
    let kind = if is_private { "private" } else { "public" };
    let evidence = format!(
        "GOVCS={setting}: {} is not allowed for {kind} modules",
        import.system
    );
    let stage = Stage::since(Instant::now(), "git", StageStatus::Failed);
    examined.stages.push(stage.seen(evidence.clone()));
    Err(Failure {
        findings: vec![finding(
            "vcs-disallowed",
            Confidence::Certain,
            subject(path),
            [evidence],
        )],
        words: format!(
            "unrecognized import path \"{path}\": GOVCS disallows using {} for {kind} {path}; see 'go help vcs'",
            import.system
        ),
        is_absent: false,
    })
}

/// `go help vcs`: the first rule that matches decides; without one, git and hg for public modules and
/// everything for private ones. A setting that cannot be read allows nothing.
fn allows(setting: &str, path: &str, is_private: bool, system: &str) -> bool {
    if GoVcs::parse(setting).is_err() {
        return false;
    }
    let rules = setting.split(',').chain(["public:git|hg", "private:all"]);
    for rule in rules.filter(|rule| !rule.trim().is_empty()) {
        let (pattern, systems) = rule.trim().split_once(':').unwrap_or((rule, ""));
        let matches = match pattern {
            "public" => !is_private,
            "private" => is_private,
            pattern => gomod::PathPatterns::parse(pattern).matches(path),
        };
        if matches {
            return systems
                .split('|')
                .any(|allowed| allowed == "all" || allowed == system);
        }
    }
    false
}

/// Asks the repository for its refs, as git does first.
async fn repository(
    machine: &Machine,
    path: &ModulePath,
    import: &GoImport,
    examined: &mut Examined,
) -> Result<(), Failure> {
    let start = Instant::now();
    let stage = |status| Stage::since(start, "git", status);
    let repository = import.repository.trim_end_matches('/');
    let url = format!("{repository}/info/refs?service=git-upload-pack");
    let Some(url) = Url::parse(&url)
        .ok()
        .filter(|url| matches!(url.scheme(), "https" | "http"))
    else {
        return over_git(machine, path, repository, examined).await;
    };
    let git = match machine.diagnose_as_git(&url).await {
        Some(report) => report,
        None => machine.diagnose(&url, Expects::Anything).await,
    };
    if !git.clients.git.ok && git.answer.is_none() {
        let message = git.clients.git.message.clone();
        let evidence: Vec<String> = git
            .findings
            .iter()
            .flat_map(|found| found.evidence.iter().map(|evidence| evidence.text.clone()))
            .chain([format!(
                "go's own request to {repository} passes; git has another list of authorities"
            )])
            .collect();
        let inner = git.findings.first().map(|found| found.cause);
        examined.take(without_findings(git));
        let mut found = finding("vcs-tls", Confidence::Certain, subject(path), evidence);
        found.also_possible.extend(inner);
        let said = format!("fatal: unable to access '{repository}/': {message}");
        return Err(failed_git(repository, &said, vec![found], machine));
    }
    let answer = git.answer.clone();
    examined.take(without_findings(git));
    let Some(answer) = answer else {
        return Ok(());
    };
    let origin = url.origin().ascii_serialization();
    let (cause, said, hint) = match answer.status {
        200 => {
            examined
                .stages
                .push(stage(StageStatus::Passed).seen(format!("{repository} answers git")));
            return Ok(());
        }
        401 | 403 => (
            "vcs-auth-https",
            format!("fatal: could not read Username for '{origin}': terminal prompts disabled"),
            "\nConfirm the import path was entered correctly.\nIf this is a private repository, see \
             https://golang.org/doc/faq#git_https for additional information.",
        ),
        404 | 410 => (
            "vcs-repo-not-found",
            format!(
                "{}fatal: repository '{repository}/' not found",
                remote(&answer)
            ),
            "",
        ),
        status => (
            "vcs-network",
            format!(
                "fatal: unable to access '{repository}/': The requested URL returned error: {status}"
            ),
            "",
        ),
    };
    let evidence = [format!("GET {url}: {} {}", answer.status, answer.reason)];
    examined
        .stages
        .push(stage(StageStatus::Failed).seen(evidence.join("")));
    let mut found = finding(cause, Confidence::Likely, subject(path), evidence);
    // Code hosts hide what they have from whom they do not know.
    found.also_possible = match cause {
        "vcs-auth-https" => vec!["vcs-repo-not-found"],
        "vcs-repo-not-found" => vec!["vcs-auth-https"],
        _ => Vec::new(),
    };
    let mut failure = failed_git(repository, &said, vec![found], machine);
    failure.words.push_str(hint);
    Err(failure)
}

/// What only the git program can say: a repository over SSH. It lists the refs and keeps nothing.
async fn over_git(
    machine: &Machine,
    path: &ModulePath,
    repository: &str,
    examined: &mut Examined,
) -> Result<(), Failure> {
    let start = Instant::now();
    let stage = |status| Stage::since(start, "git", status);
    let failed = match list_refs(machine, repository).await {
        Ok(()) => {
            let seen = format!("git lists the refs of {repository}");
            examined.stages.push(stage(StageStatus::Passed).seen(seen));
            return Ok(());
        }
        Err(NotListed::NoGit(why)) => {
            examined.stages.push(stage(StageStatus::Skipped).seen(why));
            return Ok(());
        }
        Err(NotListed::Refused(failed)) => failed,
    };
    let said = failed.upstream_text.as_deref().unwrap_or(&failed.text);
    examined
        .stages
        .push(stage(StageStatus::Failed).seen(format!("git ls-remote {repository}")));
    // Git's own words are read as those of a log are.
    let read = diagnosis::explain(said).into_iter().next();
    let lines = said.lines().map(str::to_owned);
    let found = match read {
        Some(read) => finding(read.cause, read.confidence, subject(path), lines),
        None => finding("vcs-network", Confidence::Possible, subject(path), lines),
    };
    // The blank line that git writes there is not kept by who read it.
    let said = said.replace("repository.\nPlease", "repository.\n\nPlease");
    let said: Vec<&str> = said.lines().collect();
    Err(failed_git(
        repository,
        &said.join("\n\t"),
        vec![found],
        machine,
    ))
}

/// Why git listed nothing.
enum NotListed {
    /// It could not be asked.
    NoGit(String),
    Refused(Box<SourceFailure>),
}

async fn list_refs(machine: &Machine, repository: &str) -> Result<(), NotListed> {
    let no_git = |error: &dyn std::fmt::Display| NotListed::NoGit(error.to_string());
    let url = RepositoryUrl::parse(repository).map_err(|error| no_git(&error))?;
    let folder = tempfile::tempdir().map_err(|error| no_git(&error))?;
    let variables = machine.go_env.environment().pairs();
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut options = GitOptions::new(folder.path(), variables.collect());
    options.longest_process = Duration::from_secs(20);
    let git = Git::find(options).await.map_err(|error| no_git(&error))?;
    let opened = git.open(&url, Trust::Named);
    let opened = opened.map_err(|error| NotListed::Refused(error.0))?;
    let listed = opened.refs(Freshness::Recent).await;
    listed
        .map(|_| ())
        .map_err(|error| NotListed::Refused(error.0))
}

fn without_findings(mut report: tlsdoctor::Report) -> tlsdoctor::Report {
    report.findings.clear();
    report
}

/// Git repeats a plain text behind `remote:`.
fn remote(answer: &Answer) -> String {
    let is_plain = answer
        .content_type
        .as_deref()
        .is_some_and(|kind| kind.starts_with("text/plain"));
    match is_plain {
        true => answer
            .body
            .lines()
            .map(|line| format!("remote: {line}\n\t"))
            .collect(),
        false => String::new(),
    }
}

fn failed_git(
    repository: &str,
    said: &str,
    findings: Vec<diagnosis::Finding>,
    machine: &Machine,
) -> Failure {
    let cache = machine.value("GOMODCACHE");
    Failure {
        findings,
        words: format!(
            "git ls-remote -q --end-of-options {repository} in {cache}/cache/vcs/…: exit status 128:\n\t{said}"
        ),
        is_absent: false,
    }
}

fn subject(path: &ModulePath) -> Subject {
    Subject {
        host: path.as_str().split('/').next().map(str::to_owned),
        module: Some(path.to_string()),
        ..Subject::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_wants_of_a_repository_stands_before_gits_command() {
        let check = |path: &str, wanted: Wanted<'_>, expected: &str| {
            let path = ModulePath::parse(path).unwrap();
            assert_eq!(wanted.before_git(&path, "a.example/r"), expected, "{path}");
        };
        let version = "invalid version: ";
        check("a.example/r", Wanted::Version, version);
        check(
            "a.example/r",
            Wanted::GoMod("v0.0.0-20240102030405-0123456789ab"),
            version,
        );
        check(
            "a.example/r",
            Wanted::GoMod("v1.2.3"),
            "reading a.example/r/go.mod at revision v1.2.3: ",
        );
        check(
            "a.example/r/v2",
            Wanted::GoMod("v2.0.1"),
            "reading a.example/r/go.mod at revision v2.0.1: ",
        );
        check(
            "a.example/r/sub/tool",
            Wanted::GoMod("v1.0.0"),
            "reading a.example/r/sub/tool/go.mod at revision sub/tool/v1.0.0: ",
        );
        check(
            "a.example/r",
            Wanted::GoMod("v3.0.0+incompatible"),
            "reading a.example/r/go.mod at revision v3.0.0: ",
        );
    }

    #[test]
    fn the_go_import_of_a_page_is_found_for_its_path_only() {
        let page = "<html><head><meta name=\"go-import\" content=\"a.example/x git https://a.example/x.git\"></head>";
        let check = |path: &str, expected: Option<&str>| {
            let found = go_import(page, &ModulePath::parse(path).unwrap());
            assert_eq!(
                found.map(|import| import.repository).as_deref(),
                expected,
                "{path}"
            );
        };
        check("a.example/x", Some("https://a.example/x.git"));
        check("a.example/x/sub", Some("https://a.example/x.git"));
        check("a.example/xy", None);
    }

    #[test]
    fn govcs_allows_git_and_hg_for_public_modules_unless_a_rule_says_otherwise() {
        let check = |setting: &str, is_private: bool, system: &str, expected: bool| {
            let allowed = allows(setting, "a.example/x", is_private, system);
            assert_eq!(allowed, expected, "{setting} {system}");
        };
        check("public:git|hg,private:all", false, "git", true);
        check("public:git|hg,private:all", false, "svn", false);
        check("public:git|hg,private:all", true, "svn", true);
        check("a.example:svn", false, "svn", true);
        check("a.example:off", false, "git", false);
    }
}
