//! Major suffixes of module paths (rules 7 and 28), and which versions they admit.

use crate::{ModulePath, path, version};

/// The major suffix of a module path: `/v2`, `.v3`, `.v3-unstable`, or empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathMajor(String);

impl PathMajor {
    /// The suffix of any path, also of one that nobody has checked, as the `module` line of a go.mod file
    /// holds it (`module.SplitPathVersion`); `None` where Go says that the path is malformed.
    pub fn of(path: &str) -> Option<Self> {
        path::split_path_version(path).map(|(_, major)| Self(major.to_owned()))
    }

    /// The suffix of a module path.
    pub fn of_module(module_path: &ModulePath) -> Self {
        Self(module_path.split_major().1.to_owned())
    }

    /// The suffix with its `/` or `.`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for the paths of v0 and v1.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The folder that may hold the module: `v2` for `/v2`; `None` for gopkg.in paths and where there is no
    /// suffix.
    pub fn folder(&self) -> Option<&str> {
        self.0.strip_prefix('/')
    }

    /// The suffix without its `/` or `.`: `v2`, `v3-unstable`.
    pub fn name(&self) -> &str {
        self.0.get(1..).unwrap_or_default()
    }

    /// The major version that pseudo-versions begin with (`module.PathMajorPrefix`); empty for v0.
    pub fn version_prefix(&self) -> &str {
        let name = self.name();
        match name.strip_suffix("-unstable") {
            Some(stable) if self.0.starts_with(".v") => stable,
            _ => name,
        }
    }

    /// True if versions of that major belong to the path (`module.MatchPathMajor`).
    pub fn admits(&self, version: &str) -> bool {
        version::check_path_major(version, &self.0).is_ok()
    }

    /// True if a go.mod file with this `module` line may stand for a path with this suffix: only the majors
    /// are compared, because forks are fetched under other paths (`isMajor` of the go command).
    pub fn agrees_with(&self, module_line: &str) -> bool {
        if module_line.is_empty() {
            return false;
        }
        let Some(claimed) = Self::of(module_line) else {
            return false;
        };
        if self.is_empty() {
            return matches!(claimed.version_prefix(), "" | "v0" | "v1");
        }
        !claimed.is_empty() && claimed.name() == self.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suffix(path: &str) -> PathMajor {
        PathMajor::of(path).unwrap()
    }

    #[test]
    fn suffixes_are_cut_from_any_path() {
        let check = |path, expected: Option<(&str, Option<&str>, &str)>| {
            let suffix = PathMajor::of(path);
            let got = suffix
                .as_ref()
                .map(|suffix| (suffix.as_str(), suffix.folder(), suffix.version_prefix()));
            assert_eq!(got, expected, "{path}");
        };
        check("example.com/m", Some(("", None, "")));
        check("example.com/m/v2", Some(("/v2", Some("v2"), "v2")));
        check("gopkg.in/yaml.v3", Some((".v3", None, "v3")));
        check("gopkg.in/x.v2-unstable", Some((".v2-unstable", None, "v2")));
        check("example.com/m/v1", None);
        check("gopkg.in/yaml", None);
    }

    #[test]
    fn suffixes_admit_the_versions_of_their_major() {
        let check = |path, version, expected| {
            assert_eq!(suffix(path).admits(version), expected, "{path} {version}");
        };
        check("example.com/m", "v1.2.3", true);
        check("example.com/m", "v2.0.0", false);
        check("example.com/m/v2", "v2.0.0", true);
        check("example.com/m/v2", "v3.0.0", false);
        check("gopkg.in/x.v2-unstable", "v2.1.0", true);
        check(
            "gopkg.in/check.v1",
            "v0.0.0-20161208181325-20d25e280405",
            true,
        );
    }

    #[test]
    fn a_module_line_agrees_by_its_major_alone() {
        let check = |path, line, expected| {
            assert_eq!(suffix(path).agrees_with(line), expected, "{path} {line}");
        };
        check("example.com/m", "example.com/fork", true);
        check("example.com/m", "gopkg.in/yaml.v1", true);
        check("example.com/m", "gopkg.in/yaml.v2", false);
        check("example.com/m", "example.com/m/v2", false);
        check("example.com/m", "example.com/m/v1", false);
        check("example.com/m", "", false);
        check("example.com/m/v2", "example.org/n/v2", true);
        check("example.com/m/v2", "gopkg.in/n.v2", true);
        check("example.com/m/v2", "gopkg.in/n.v2-unstable", false);
        check("example.com/m/v2", "example.com/m", false);
        check("gopkg.in/yaml.v1", "example.com/yaml", false);
    }
}
