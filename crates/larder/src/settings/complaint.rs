//! What is wrong with the settings, said once for all of them.

use super::origin::Origin;

/// One fault of the configuration: where it is, what is wrong, and perhaps what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// Where the faulty value was written; `None` for something that was written nowhere.
    pub(crate) origin: Option<Origin>,
    /// What is wrong: lower case, no full stop, values in backticks. Never contains a password.
    pub(crate) text: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl Complaint {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            origin: None,
            text: text.into(),
            hint: None,
        }
    }

    /// A failure that the system or a room of ours has put into words, with its causes.
    pub(crate) fn from_error(error: impl std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        Self::new(text)
    }

    pub(crate) fn at(mut self, origin: &Origin) -> Self {
        self.origin = Some(origin.clone());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Place and text on one line, for a log.
    pub(crate) fn line(&self) -> String {
        match &self.origin {
            Some(origin) => format!("{}: {}", origin.place(), self.text),
            None => self.text.clone(),
        }
    }

    /// `error:` and `hint:` lines for a terminal.
    pub(crate) fn render(&self) -> String {
        let mut lines = String::from("error: ");
        if let Some(origin) = &self.origin {
            lines.push_str(&origin.place());
            lines.push_str(": ");
        }
        lines.push_str(&self.text);
        lines.push('\n');
        if let Some(hint) = &self.hint {
            lines.push_str("hint: ");
            lines.push_str(hint);
            lines.push('\n');
        }
        lines
    }
}

/// Why a text is not a value of its setting, before it is known where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: String,
    pub(crate) hint: Option<String>,
}

impl Fault {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The complaint about the setting called `name`, written at `origin`.
    pub(crate) fn into_complaint(self, name: &str, origin: &Origin) -> Complaint {
        Complaint {
            origin: Some(origin.clone()),
            text: format!("`{name}` {}", self.reason),
            hint: self.hint,
        }
    }
}

/// The name that was most likely meant, where one is close enough to be worth saying.
pub(crate) fn did_you_mean<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let normalised = written.replace('-', "_").to_lowercase();
    known
        .into_iter()
        .map(|name| {
            let score = strsim::jaro_winkler(&normalised, &name.replace('-', "_").to_lowercase());
            (score, name)
        })
        .filter(|(score, _)| *score >= 0.8)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, name)| name)
}
