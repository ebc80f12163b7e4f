//! GOVCS: which version control systems may be used for which paths (rule 53).

use gomod::PathPatterns;

use super::VersionControl;
use crate::privacy::Route;

/// The value of GOVCS, with Go's own rules behind it: private code by any system, public code by git and
/// Mercurial.
#[derive(Clone, Debug, Default)]
pub struct GoVcs {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    whom: Whom,
    /// The names of systems, or `all`.
    allowed: Vec<String>,
}

#[derive(Clone, Debug)]
enum Whom {
    Private,
    Public,
    Matching(PathPatterns),
}

impl GoVcs {
    /// Reads a value such as `github.com:git,evil.example:off,*:git|hg`; empty for Go's rules alone. Faults
    /// are told in Go's words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rules = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        if text.trim().is_empty() {
            return Ok(Self { rules });
        }
        for item in text.split(',').map(str::trim) {
            if item.is_empty() {
                return Err("empty entry in GOVCS".to_owned());
            }
            let quoted = gomod::go_quote(item);
            let Some((pattern, systems)) = item.split_once(':') else {
                return Err(format!(
                    "malformed entry in GOVCS (missing colon): {quoted}"
                ));
            };
            let (pattern, systems) = (pattern.trim(), systems.trim());
            if pattern.is_empty() {
                return Err(format!("empty pattern in GOVCS: {quoted}"));
            }
            if systems.is_empty() {
                return Err(format!("empty VCS list in GOVCS: {quoted}"));
            }
            let is_relative = matches!(pattern, "." | "..")
                || pattern.starts_with("./")
                || pattern.starts_with("../");
            if is_relative {
                return Err(format!(
                    "relative pattern not allowed in GOVCS: {}",
                    gomod::go_quote(pattern)
                ));
            }
            if seen.contains(&pattern) {
                return Err(format!("unreachable pattern in GOVCS: {quoted}"));
            }
            seen.push(pattern);
            let allowed: Vec<String> = systems
                .split('|')
                .map(|system| system.trim().to_owned())
                .collect();
            if allowed.iter().any(String::is_empty) {
                return Err(format!("empty VCS name in GOVCS: {quoted}"));
            }
            rules.push(Rule {
                whom: match pattern {
                    "private" => Whom::Private,
                    "public" => Whom::Public,
                    other => Whom::Matching(PathPatterns::parse(other)),
                },
                allowed,
            });
        }
        Ok(Self { rules })
    }

    /// Whether a system may be used for the repository that `root` stands for. The error has Go's words.
    pub(super) fn check(
        &self,
        system: VersionControl,
        root: &str,
        route: Route,
    ) -> Result<(), String> {
        if system == VersionControl::Proxy || self.allows(system, root, route) {
            return Ok(());
        }
        let what = match route {
            Route::Private => "private",
            Route::Public => "public",
        };
        Err(format!(
            "GOVCS disallows using {} for {what} {root}; see 'go help vcs'",
            system.command()
        ))
    }

    fn allows(&self, system: VersionControl, root: &str, route: Route) -> bool {
        let matching = self.rules.iter().find(|rule| match &rule.whom {
            Whom::Private => route == Route::Private,
            Whom::Public => route == Route::Public,
            Whom::Matching(pattern) => pattern.matches(root),
        });
        match matching {
            Some(rule) => rule
                .allowed
                .iter()
                .any(|allowed| allowed == "all" || allowed == system.command()),
            None => {
                route == Route::Private
                    || matches!(system, VersionControl::Git | VersionControl::Mercurial)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_decides_and_go_has_the_last_word() {
        use Route::{Private, Public};
        use VersionControl::{Fossil, Git, Mercurial, Subversion};
        let check =
            |value: &str, system: VersionControl, root: &str, route: Route, allowed: bool| {
                let said = GoVcs::parse(value).unwrap().check(system, root, route);
                assert_eq!(
                    said.is_ok(),
                    allowed,
                    "{value:?} {system:?} {root} {said:?}"
                );
            };
        check("", Git, "a.example/x", Public, true);
        check("", Mercurial, "a.example/x", Public, true);
        check("", Subversion, "a.example/x", Public, false);
        check("", Fossil, "a.example/x", Private, true);
        check("public:off", Git, "a.example/x", Public, false);
        check("public:off", Git, "a.example/x", Private, true);
        check(
            "a.example:svn,public:git",
            Git,
            "a.example/x",
            Public,
            false,
        );
        check(
            "a.example:svn,public:git",
            Subversion,
            "a.example/x",
            Public,
            true,
        );
        check("a.example:svn,public:git", Git, "b.example/x", Public, true);
        check("a.example/*:all", Fossil, "a.example/x", Public, true);
        check(
            " a.example : git | svn ",
            Subversion,
            "a.example/x",
            Public,
            true,
        );
        check("*:off", Git, "b.example/x", Private, false);
        check("*:off", VersionControl::Proxy, "b.example/x", Public, true);
    }

    #[test]
    fn a_refusal_names_the_system_and_the_root_as_go_does() {
        let refused = GoVcs::default().check(VersionControl::Bazaar, "a.example/x", Route::Public);
        assert_eq!(
            refused.unwrap_err(),
            "GOVCS disallows using bzr for public a.example/x; see 'go help vcs'"
        );
    }

    #[test]
    fn a_malformed_value_is_told_with_its_entry() {
        let check = |value: &str, expected: &str| {
            let said = GoVcs::parse(value).unwrap_err();
            assert!(said.contains(expected), "{value:?}: {said}");
        };
        check("a:git,,b:git", "empty entry");
        check("a", "missing colon");
        check(":git", "empty pattern");
        check("a:", "empty VCS list");
        check("a:git|", "empty VCS name");
        check("./a:git", "relative pattern");
        check("a:git,a:hg", "unreachable pattern");
    }
}
