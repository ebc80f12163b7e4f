//! Refreshes, as metrics count them.

/// Who asked for a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshedBy {
    /// An operator, with a token.
    Operator,
    /// A webhook of GitHub.
    GitHub,
    /// A webhook of GitLab.
    GitLab,
    /// A webhook of Gitea or Forgejo.
    Gitea,
}

impl RefreshedBy {
    /// Its name in labels, log lines and paths.
    pub fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Gitea => "gitea",
        }
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// What it touches is asked anew.
    Done,
    /// No token or signature, or a wrong one.
    Refused,
    /// The request could not be read.
    Malformed,
    /// Too many came at once.
    TooMany,
}

impl RefreshOutcome {
    /// Its name in labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
            Self::TooMany => "too-many",
        }
    }
}
