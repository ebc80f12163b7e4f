//! Where in a repository a module lies (`modfetch.newCodeRepo`, rule 28), and what tags and requested names
//! mean there. Pure names, nothing is read.

use gomod::{ModulePath, PathMajor, PseudoVersion, semver};

use super::words;
use crate::{RepositoryRoot, SourceError};

/// A module path together with the root of the repository that it lives in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The module's path.
    pub(super) module_path: ModulePath,
    /// The path that stands for the repository's root (Go's `codeRoot`).
    pub(super) root: String,
    /// The folder that should hold the module; empty for the repository's root (`codeDir`). With a major
    /// suffix, the folder of that name in it may hold it instead.
    pub(super) folder: String,
    /// The module path without its major suffix, for messages (`pathPrefix`).
    pub(super) path_prefix: String,
    /// The module path's major suffix (`pathMajor`).
    pub(super) path_major: PathMajor,
}

impl Place {
    /// The place of a module below a root.
    ///
    /// # Errors
    /// Absence: the root does not stand above the path, or cuts it between its name and its major suffix.
    pub(super) fn new(
        module_path: &ModulePath,
        root: &RepositoryRoot,
    ) -> Result<Self, SourceError> {
        let path = module_path.as_str();
        let prefix = &root.prefix;
        if below(path, prefix).is_none() {
            return Err(words::absent(format!(
                "mismatched repo: found {prefix} for {path}"
            )));
        }
        let path_prefix = if prefix == path {
            path
        } else {
            module_path.split_major().0
        };
        // A root that is the whole path, major suffix and all, holds the module itself.
        let folder = below(path_prefix, prefix).ok_or_else(|| {
            words::absent(format!(
                "repository rooted at {prefix} cannot contain module {path}"
            ))
        })?;
        Ok(Self {
            module_path: module_path.clone(),
            root: prefix.clone(),
            folder: joined(folder, &root.subdirectory),
            path_prefix: path_prefix.to_owned(),
            path_major: PathMajor::of_module(module_path),
        })
    }

    /// True for the paths below gopkg.in that have no tags at all: those of the stable path are not theirs.
    pub(super) fn is_unstable(&self) -> bool {
        let path = self.module_path.as_str();
        path.starts_with("gopkg.in/") && path.ends_with("-unstable")
    }

    /// True if the module path is the repository's root, major suffix and all.
    fn is_root(&self) -> bool {
        self.root == self.module_path.as_str()
    }

    /// The folder that may hold the module instead of [`Place::folder`]: that of its major version.
    pub(super) fn major_folder(&self) -> Option<String> {
        if self.is_root() {
            return None;
        }
        self.path_major
            .folder()
            .map(|major| joined(&self.folder, major))
    }

    /// What the module's tags begin with: nothing, or the folder and a slash.
    pub(super) fn tag_prefix(&self) -> String {
        match self.folder.as_str() {
            "" => String::new(),
            folder => format!("{folder}/"),
        }
    }

    /// What the tags begin with that a pseudo-version depends on (`Origin.TagPrefix`).
    pub(super) fn pseudo_tag_prefix(&self) -> String {
        let mut prefix = self.tag_prefix();
        if !self.path_major.is_empty() {
            prefix.push_str(self.path_major.name());
            prefix.push('.');
        }
        prefix
    }

    /// True if the path says that majors of 2 and more may be `+incompatible`, as far as the path tells.
    pub(super) fn may_be_incompatible(&self) -> bool {
        self.folder.is_empty() && self.path_major.is_empty()
    }

    /// The name by which the repository knows a requested version or revision (`revToRev`): a tag, the commit
    /// of a pseudo-version, or the name itself.
    pub(super) fn revision_of(&self, asked: &str) -> String {
        if !semver::is_valid(asked) {
            return asked.to_owned();
        }
        if let Some(revision) = PseudoVersion::revision_in(asked) {
            return revision.to_owned();
        }
        let tag = match semver::build(asked) {
            INCOMPATIBLE => asked.strip_suffix(INCOMPATIBLE).unwrap_or(asked),
            _ => asked,
        };
        format!("{}{tag}", self.tag_prefix())
    }

    /// The version that a tag stands for (`tagToVersion`); `None` for those that are no version of the
    /// module, those with incomplete numbers, and those that look like pseudo-versions.
    pub(super) fn version_of_tag(&self, tag: &str) -> Option<TagVersion> {
        let name = tag.strip_prefix(&self.tag_prefix())?;
        // The whole tag is looked at, so that of a module in a folder none looks like a pseudo-version. Go
        // does so too, and versions depend on it.
        if PseudoVersion::recognises(tag) {
            return None;
        }
        let version = semver::canonical(name);
        (!version.is_empty() && name.starts_with(&version)).then(|| TagVersion {
            is_canonical: version == name,
            version,
        })
    }
}

/// What a tag stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TagVersion {
    /// The version without build metadata.
    pub(super) version: String,
    /// True if the tag is just that version; one with metadata can only be the base of pseudo-versions.
    pub(super) is_canonical: bool,
}

/// The suffix of versions that lie beyond v1 and belong to a path without major suffix all the same.
pub(super) const INCOMPATIBLE: &str = "+incompatible";

/// What is left of a path below one of its prefixes, without slashes around it; `None` if it lies elsewhere.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix)?;
    let is_below =
        rest.is_empty() || rest.starts_with('/') || (prefix.ends_with('/') && !prefix.is_empty());
    is_below.then(|| rest.trim_matches('/'))
}

/// Two folders one below the other, cleaned as `path.Join` does.
pub(super) fn joined(folder: &str, below: &str) -> String {
    let mut elements: Vec<&str> = Vec::new();
    for element in folder.split('/').chain(below.split('/')) {
        match element {
            "" | "." => {}
            ".." if elements.last().is_some_and(|last| *last != "..") => {
                elements.pop();
            }
            element => elements.push(element),
        }
    }
    elements.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RepositoryUrl, Trust};

    fn root(prefix: &str, subdirectory: &str) -> RepositoryRoot {
        RepositoryRoot {
            prefix: prefix.to_owned(),
            url: RepositoryUrl::parse("https://git.example/r").unwrap(),
            subdirectory: subdirectory.to_owned(),
            trust: Trust::Chosen,
        }
    }

    fn place(path: &str, prefix: &str, subdirectory: &str) -> Place {
        Place::new(
            &ModulePath::parse(path).unwrap(),
            &root(prefix, subdirectory),
        )
        .unwrap()
    }

    #[test]
    fn a_module_lies_where_its_path_and_its_root_say() {
        let check =
            |path: &str, prefix: &str, subdirectory: &str, expected: (&str, Option<&str>)| {
                let place = place(path, prefix, subdirectory);
                let major_folder = place.major_folder();
                assert_eq!(
                    (place.folder.as_str(), major_folder.as_deref()),
                    expected,
                    "{path} in {prefix}"
                );
            };
        check("h.example/r", "h.example/r", "", ("", None));
        check("h.example/r/a/b", "h.example/r", "", ("a/b", None));
        check("h.example/r/v2", "h.example/r", "", ("", Some("v2")));
        check("h.example/r/a/v2", "h.example/r", "", ("a", Some("a/v2")));
        check("h.example/r/v2", "h.example/r/v2", "", ("", None));
        check("gopkg.in/yaml.v2", "gopkg.in/yaml.v2", "", ("", None));
        check("h.example/r", "h.example/r", "sub/dir", ("sub/dir", None));
        check(
            "h.example/r/a/v2",
            "h.example/r",
            "sub",
            ("a/sub", Some("a/sub/v2")),
        );
    }

    #[test]
    fn a_root_that_cannot_hold_the_module_is_refused_in_gos_words() {
        let check = |path: &str, prefix: &str, expected: &str| {
            let path = ModulePath::parse(path).unwrap();
            let error = Place::new(&path, &root(prefix, "")).unwrap_err();
            assert!(error.is_absence());
            assert_eq!(error.to_string(), expected);
        };
        check(
            "h.example/rest",
            "h.example/r",
            "mismatched repo: found h.example/r for h.example/rest",
        );
        check(
            "h.example/r",
            "h.example/r/a",
            "mismatched repo: found h.example/r/a for h.example/r",
        );
    }

    #[test]
    fn requested_names_are_those_of_tags_or_commits() {
        let check = |path: &str, asked: &str, expected: &str| {
            assert_eq!(place(path, "h.example/r", "").revision_of(asked), expected);
        };
        check("h.example/r", "main", "main");
        check("h.example/r", "v1.2.3", "v1.2.3");
        check("h.example/r/a", "v1.2.3", "a/v1.2.3");
        check("h.example/r/a/v2", "v2.0.0", "a/v2.0.0");
        check("h.example/r", "v2.0.0+incompatible", "v2.0.0");
        check("h.example/r", "v1.2.3+meta", "v1.2.3+meta");
        check(
            "h.example/r/a",
            "v0.0.0-20200102030405-abcdefabcdef",
            "abcdefabcdef",
        );
    }

    #[test]
    fn tags_stand_for_versions() {
        let check = |path: &str, tag: &str, expected: Option<(&str, bool)>| {
            let version = place(path, "h.example/r", "").version_of_tag(tag);
            let got = version
                .as_ref()
                .map(|tag| (tag.version.as_str(), tag.is_canonical));
            assert_eq!(got, expected, "{path} {tag}");
        };
        check("h.example/r", "v1.2.3", Some(("v1.2.3", true)));
        check("h.example/r", "v1.2.3+meta", Some(("v1.2.3", false)));
        check("h.example/r", "v1.2", None);
        check("h.example/r", "a/v1.2.3", None);
        check("h.example/r/a", "a/v1.2.3", Some(("v1.2.3", true)));
        let pseudo = "v0.0.0-20200102030405-abcdefabcdef";
        check("h.example/r", pseudo, None);
        check(
            "h.example/r/a",
            &format!("a/{pseudo}"),
            Some((pseudo, true)),
        );
    }

    #[test]
    fn folders_are_joined_and_cleaned() {
        let check = |folder, below, expected: &str| assert_eq!(joined(folder, below), expected);
        check("", "", "");
        check("a", "b/c", "a/b/c");
        check("a", "./b//c/", "a/b/c");
        check("a", "../..", "..");
    }
}
