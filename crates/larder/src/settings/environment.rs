//! The one seam through which the program reads its environment.
//!
//! `main` takes a copy of the process's variables once, at the start; everything else is given that
//! copy. Tests make one from a list. Nothing in Larder sets a variable of its own process.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

/// A copy of environment variables. As in Go, one that is empty counts as not set.
#[derive(Clone, Default)]
pub(crate) struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// The variables of this process, as they are now.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the environment"
    )]
    pub(crate) fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// The value of a variable, if it is set and not empty.
    pub(crate) fn os(&self, name: &str) -> Option<&OsStr> {
        self.variables
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// True for a variable that is exported without a value: it counts as not set, which surprises people.
    pub(crate) fn is_empty(&self, name: &str) -> bool {
        self.variables
            .get(OsStr::new(name))
            .is_some_and(|value| value.is_empty())
    }

    /// The same as text; what is not UTF-8 in it becomes `U+FFFD`, which no setting accepts.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        Some(self.os(name)?.to_string_lossy().into_owned())
    }

    /// The same as a path.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.os(name).map(PathBuf::from)
    }

    /// The first of several names that is set, with its value.
    pub(crate) fn first(&self, names: &[&'static str]) -> Option<(&'static str, String)> {
        names
            .iter()
            .find_map(|name| Some((*name, self.text(name)?)))
    }

    /// Everything, for a program that is started with the user's own set-up.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// The names of all variables that begin with `prefix`, sorted.
    pub(crate) fn names_with_prefix(&self, prefix: &str) -> impl Iterator<Item = &str> {
        self.variables
            .keys()
            .filter_map(|name| name.to_str())
            .filter(move |name| name.starts_with(prefix))
    }
}

/// The names only: values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

impl<Name: Into<OsString>, Value: Into<OsString>> FromIterator<(Name, Value)> for Environment {
    fn from_iter<Pairs: IntoIterator<Item = (Name, Value)>>(pairs: Pairs) -> Self {
        Self {
            variables: pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }
}
