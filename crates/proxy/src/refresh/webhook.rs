//! What code hosts send when something was pushed: which repository it is about.
//!
//! Of a payload only the addresses of its repository are read; everything else, the commits and the
//! names of people among it, is passed over and kept nowhere.

use serde::Deserialize;
use source::{RepositoryAddress, Touched};

use super::access::Proof;
use crate::observe::RefreshedBy;

/// Who sends a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeHost {
    /// GitHub, its Enterprise Server too.
    GitHub,
    /// GitLab.
    GitLab,
    /// Gitea, and Forgejo, which sends the same.
    Gitea,
}

impl CodeHost {
    /// Every host.
    pub const ALL: [Self; 3] = [Self::GitHub, Self::GitLab, Self::Gitea];

    /// The host that a webhook's path names.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|host| host.name() == name)
    }

    /// Its name in paths and labels.
    pub fn name(self) -> &'static str {
        self.refreshed_by().name()
    }

    /// What metrics and log call it.
    pub fn refreshed_by(self) -> RefreshedBy {
        match self {
            Self::GitHub => RefreshedBy::GitHub,
            Self::GitLab => RefreshedBy::GitLab,
            Self::Gitea => RefreshedBy::Gitea,
        }
    }

    /// The header that proves the sender, and how.
    pub fn proof(self) -> (&'static str, Proof) {
        match self {
            Self::GitHub => (
                "x-hub-signature-256",
                Proof::Signature { prefix: "sha256=" },
            ),
            Self::GitLab => ("x-gitlab-token", Proof::Secret),
            Self::Gitea => ("x-gitea-signature", Proof::Signature { prefix: "" }),
        }
    }
}

/// Why a payload says nothing.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// It is not the JSON of a webhook.
    #[error("the body is not the JSON of a webhook: {0}")]
    NotJson(#[from] serde_json::Error),
}

/// The repository that a payload is about; `None` for one that is about none, such as the first ping of an
/// organisation's webhook.
///
/// # Errors
/// A body that isn't JSON, or whose repository isn't written as the hosts write it.
pub fn touched(body: &[u8]) -> Result<Option<Touched>, PayloadError> {
    let payload: Payload = serde_json::from_slice(body)?;
    let named = [payload.repository, payload.project];
    let addresses = named
        .iter()
        .flatten()
        .flat_map(Named::addresses)
        .filter_map(RepositoryAddress::parse);
    let mut touched = Touched::default();
    for address in addresses {
        touched.add_address(address);
    }
    Ok((!touched.repositories().is_empty()).then_some(touched))
}

#[derive(Deserialize)]
struct Payload {
    repository: Option<Named>,
    /// GitLab's name for it; its `repository` lacks the protocols that its `project` has.
    project: Option<Named>,
}

/// The addresses of a repository, by the hosts' names for them. They differ where HTTPS and SSH are reached
/// at different hosts or below different paths.
#[derive(Deserialize)]
struct Named {
    clone_url: Option<String>,
    ssh_url: Option<String>,
    html_url: Option<String>,
    git_http_url: Option<String>,
    git_ssh_url: Option<String>,
    web_url: Option<String>,
    homepage: Option<String>,
}

impl Named {
    fn addresses(&self) -> impl Iterator<Item = &str> {
        [
            &self.clone_url,
            &self.ssh_url,
            &self.html_url,
            &self.git_http_url,
            &self.git_ssh_url,
            &self.web_url,
            &self.homepage,
        ]
        .into_iter()
        .flatten()
        .map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Option<&[&str]>) {
        let touched = touched(body.as_bytes()).unwrap();
        let addresses = touched.map(|touched| {
            let addresses = touched.repositories().iter();
            addresses.map(ToString::to_string).collect::<Vec<_>>()
        });
        let expected =
            expected.map(|addresses| addresses.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(addresses, expected, "{body}");
    }

    #[test]
    fn each_host_names_its_repository_in_its_own_way() {
        check(
            r#"{"ref":"refs/tags/v1.2.0","repository":{"id":1,"full_name":"Team/Tool","private":true,
                "clone_url":"https://github.example/Team/Tool.git","ssh_url":"git@github.example:Team/Tool.git",
                "html_url":"https://github.example/Team/Tool","url":"https://api.github.example/repos/Team/Tool"}}"#,
            Some(&["github.example/team/tool"]),
        );
        check(
            r#"{"object_kind":"tag_push","project":{"name":"Tool","path_with_namespace":"team/sub/tool",
                "web_url":"https://gitlab.example/team/sub/tool","git_http_url":"https://gitlab.example/team/sub/tool.git",
                "git_ssh_url":"ssh://git@ssh.gitlab.example:2222/team/sub/tool.git"},
                "repository":{"name":"Tool","homepage":"https://gitlab.example/team/sub/tool"}}"#,
            Some(&[
                "gitlab.example/team/sub/tool",
                "ssh.gitlab.example/team/sub/tool",
            ]),
        );
        check(
            r#"{"ref":"v1.0.0","ref_type":"tag","repository":{"full_name":"team/tool",
                "clone_url":"https://gitea.example/forge/team/tool.git","ssh_url":"ssh://git@gitea.example/team/tool.git"}}"#,
            Some(&["gitea.example/forge/team/tool", "gitea.example/team/tool"]),
        );
    }

    #[test]
    fn a_payload_without_a_repository_touches_nothing() {
        check(r#"{"zen":"Keep it simple."}"#, None);
        check(r#"{"repository":null}"#, None);
        check(r#"{"repository":{}}"#, None);
        check(r#"{"repository":{"clone_url":"nonsense"}}"#, None);
        check(r#"{"repository":{"clone_url":"file:///etc/passwd"}}"#, None);
    }

    #[test]
    fn what_is_no_payload_is_said_to_be_none() {
        let nested = "[".repeat(100_000);
        for body in [
            "",
            "{",
            "[]",
            "null",
            "payload=%7B%7D",
            r#"{"repository":"team/tool"}"#,
            r#"{"repository":{"clone_url":7}}"#,
            "\u{feff}{}",
            &nested,
        ] {
            assert!(touched(body.as_bytes()).is_err(), "{body:.40}");
        }
        assert!(touched(b"\xff\xfe{}").is_err());
    }
}
