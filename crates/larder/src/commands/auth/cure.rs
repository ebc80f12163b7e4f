//! What helps when a repository can't be read: by what happened, and by whose host it is.

use source::{Access, GitProtocol, RepositoryUrl};

/// One failure.
pub(super) struct Case<'a> {
    pub(super) url: &'a RepositoryUrl,
    /// What the host made of the credential; `None` for what is not HTTP.
    pub(super) access: Option<Access>,
    /// The rule that was tried.
    pub(super) rule: Option<&'a str>,
    /// What git wrote.
    pub(super) said: &'a str,
}

/// Whose software a host runs, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Software {
    GitHub,
    GitLab,
    Other,
}

impl Case<'_> {
    /// What to do, the most likely first.
    pub(super) fn cures(&self) -> Vec<String> {
        match self.access {
            Some(access) => self.of_web(access),
            None if self.url.protocol() == GitProtocol::Ssh => self.of_ssh(),
            None => Vec::new(),
        }
    }

    fn of_web(&self, access: Access) -> Vec<String> {
        let text: &[&str] = match (access, self.software()) {
            (Access::NotAccepted, Software::GitHub) => &[
                "make a new token: this one may have expired or been revoked (Settings, Developer settings)",
            ],
            (Access::NotAccepted, Software::GitLab) => &[
                "make a new token with `read_repository`: this one may have expired or been revoked; a job's token ends with its job",
                "a deploy token needs its own user: `gitlab_deploy_token = { user = …, token_file = … }`",
            ],
            (Access::NotAccepted, Software::Other) => {
                &["make a new token or password: this one may be wrong, expired or revoked"]
            }
            (Access::NotAllowed, Software::GitHub) => &[
                "authorise the token for the organisation's single sign-on (Configure SSO, beside the token)",
                "a fine-grained token needs *Contents: read-only*, and the organisation's approval; a classic one the scope `repo`",
            ],
            (Access::NotAllowed, Software::GitLab) => &[
                "give the token the scope `read_repository`",
                "for a job's token, let the other project allow this one (Settings, CI/CD, Job token permissions)",
            ],
            (Access::NotAllowed, Software::Other) => {
                &["let the account or token read this repository"]
            }
            (Access::NotSeen, Software::GitHub) => &[
                "if it exists, let the token see it: a fine-grained token names its repositories, an app is installed on them",
                "compare the spelling with the repository's page",
            ],
            (Access::NotSeen, Software::GitLab) => &[
                "if it exists, let the token see it: a deploy token is for one project or group, others act as a member with the role Reporter or more",
                "a module below a GitLab subgroup needs `.git` behind the project in its path, or an `https://` address",
            ],
            (Access::NotSeen, Software::Other) => &[
                "if it exists, let the account or token see it; compare the spelling with the repository's page",
            ],
            (Access::Wanted, _) => return vec![self.rule_to_add()],
            (Access::Granted | Access::Open, _) => &[
                "the host lets this be read; look at git's own words and set-up (`git config --list --show-origin`)",
            ],
            (Access::Unclear, _) if self.rule.is_none() => {
                return vec![
                    self.rule_to_add(),
                    "compare the spelling with the repository's page".to_owned(),
                ];
            }
            (Access::Unreached, _) => &[
                "this is no matter of credentials: look at the name, the network, HTTP proxies and certificates",
            ],
            (Access::Unclear, _) => &[],
        };
        text.iter().map(|text| (*text).to_owned()).collect()
    }

    fn of_ssh(&self) -> Vec<String> {
        let host = self.url.host();
        let said = self.said.to_ascii_lowercase();
        if said.contains("identification has changed") {
            return vec![format!(
                "the host shows another key than before: find out why, then `ssh-keygen -R {host}` and add the new one"
            )];
        }
        if said.contains("host key verification failed") {
            let port = match self.url.port() {
                Some(port) if port != 22 => format!("-p {port} "),
                _ => String::new(),
            };
            return vec![format!(
                "make the host's key known, after comparing its fingerprint with what the host publishes: \
                 `ssh-keyscan {port}{host} >> ~/.ssh/known_hosts`, as the user that runs larder"
            )];
        }
        if said.contains("permission denied (") {
            return vec![
                match self.rule {
                    Some(_) => "add the public half of the key to the repository as a deploy key, read-only".to_owned(),
                    None => self.rule_to_add(),
                },
                "a key with a passphrase can't be used, nor one that others may read (`chmod 600`)".to_owned(),
            ];
        }
        if said.contains("not found")
            || said.contains("could not be found")
            || said.contains("does not exist")
        {
            return vec![
                "a deploy key is for one repository: add it to this one, or name this one's key in a rule of its own".to_owned(),
                "compare the spelling with the repository's page".to_owned(),
            ];
        }
        Vec::new()
    }

    fn rule_to_add(&self) -> String {
        let host = self.url.host();
        let port = match self.url.port() {
            port if port == self.url.protocol().port() => String::new(),
            Some(port) => format!(":{port}"),
            None => String::new(),
        };
        let folder = self.url.path().trim_start_matches('/');
        let folder = folder.split('/').next().unwrap_or_default();
        let grant = match self.url.protocol() {
            GitProtocol::Ssh => "ssh_key = \"/etc/larder/deploy-key\"",
            _ => "token_file = \"/etc/larder/token\"",
        };
        format!(
            "add a rule to the settings file: `[[credential]]`, `match = \"{host}{port}/{folder}\"`, `{grant}`"
        )
    }

    fn software(&self) -> Software {
        let host = self.url.host();
        let rule = self.rule.unwrap_or_default();
        if host == "github.com" || host.ends_with(".ghe.com") || host.contains("github") {
            Software::GitHub
        } else if host.contains("gitlab") || rule.contains("gitlab") {
            Software::GitLab
        } else {
            Software::Other
        }
    }
}
