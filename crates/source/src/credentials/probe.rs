//! Is a repository absent, or only closed to us? The host is asked, because git's own words prove nothing.
//!
//! Code hosts answer "not found" to those who may not read, and a client's `,` list takes our "not found" as
//! leave to carry the name elsewhere. So absence is said of a public address when an anonymous GET of it is
//! answered 404 or 410, as the go command has it, and of any other only by a host that looked at our
//! credential and accepted it: over HTTPS it says 404 with the credential and 401 without, over SSH it
//! let us in and then said that there is no such repository. No wrong password is ever sent.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use http::header::{self, HeaderMap, HeaderValue};
use url::Url;

use super::CredentialRules;
use super::http::{Clients, words};
use crate::address::AddressGuard;
use crate::git::{HostProbe, HostVerdict};
use crate::http_client::{HttpClient, basic, without_credentials};
use crate::{Credential, GitProtocol, Means, RepositoryUrl, Secret, Trust, UpstreamOptions};

/// How long one question may take, redirects included.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// Redirects within the host that are followed with a credential: a repository that was renamed.
const REDIRECTS: usize = 5;

/// Bytes of an answer that are read for its words.
const MOST_BYTES: usize = 4096;

/// Asks hosts about repositories that git could not list.
pub struct RepositoryProbe {
    clients: Clients,
    rules: Option<Arc<CredentialRules>>,
}

/// What came of asking a host about one repository, with a credential and without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// What it means.
    pub access: Access,
    /// What the host said, as one clause; without secrets.
    pub said: String,
}

/// What a host makes of whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody may read the repository; a credential was not refused.
    Open,
    /// The credential may read what strangers may not.
    Granted,
    /// The host does not know the credential.
    NotAccepted,
    /// The host knows the credential, which may not read this.
    NotAllowed,
    /// The host knows the credential and says that there is no such repository: it is absent, or this credential may
    /// not see it.
    NotSeen,
    /// No credential was sent, and the host wants one.
    Wanted,
    /// The host was not reached, or did not answer as one does.
    Unreached,
    /// None of these.
    Unclear,
}

impl Inspection {
    fn of(known: Option<&Word>, unknown: &Word) -> Self {
        let without = format!("{}{}", unknown.status, unknown.said);
        let Some(known) = known else {
            return Self {
                access: match unknown.status {
                    200..=299 => Access::Open,
                    401 | 403 => Access::Wanted,
                    _ => Access::Unclear,
                },
                said: format!("to strangers it answers {without}"),
            };
        };
        let access = match (known.status, unknown.status) {
            (200..=299, 200..=299) => Access::Open,
            (200..=299, _) => Access::Granted,
            (401, _) => Access::NotAccepted,
            (403, _) => Access::NotAllowed,
            (404 | 410, 401 | 403) => Access::NotSeen,
            _ => Access::Unclear,
        };
        Self {
            access,
            said: format!(
                "with the credential it answers {}{}, without it {without}",
                known.status, known.said
            ),
        }
    }
}

/// What a host says of the first request that git makes.
pub(super) struct Word {
    status: u16,
    /// Its own words, as [`words`] gives them.
    said: String,
}

impl RepositoryProbe {
    /// A probe that dials what `guard` allows. Tokens of `rules` that a host refuses are made anew.
    pub fn new(
        guard: Arc<AddressGuard>,
        options: UpstreamOptions,
        rules: Option<Arc<CredentialRules>>,
    ) -> Self {
        Self {
            clients: Clients::new(guard, options),
            rules,
        }
    }

    /// What a host makes of a credential, for someone who asks just that. Only for addresses with `https` or
    /// `http`; of others only git can tell.
    pub async fn inspect(
        &self,
        url: &RepositoryUrl,
        trust: Trust,
        credential: Option<&Credential>,
    ) -> Inspection {
        match self.both_words(url, trust, credential).await {
            Ok((known, unknown)) => Inspection::of(known.as_ref(), &unknown),
            Err(reason) => Inspection {
                access: Access::Unreached,
                said: reason,
            },
        }
    }

    /// What the host says with the credential, if there is one for it, and without.
    async fn both_words(
        &self,
        url: &RepositoryUrl,
        trust: Trust,
        credential: Option<&Credential>,
    ) -> Result<(Option<Word>, Word), String> {
        let address = Url::parse(url.as_str()).map_err(|error| error.to_string())?;
        let address = without_credentials(address);
        let client = self.clients.of(url.host(), trust);
        let client = client.map_err(|error| error.to_string())?;
        let Some(Means::Password { username, password }) = credential.map(|it| &it.means) else {
            return Ok((None, refs_word(&client, &address, None).await?));
        };
        let known = refs_word(&client, &address, Some((username, password))).await?;
        let mut unknown = refs_word(&client, &address, None).await?;
        // A host may remember what it was sent a moment ago.
        unknown.said = unknown.said.replace(password.expose(), "***");
        Ok((Some(known), unknown))
    }

    async fn judge_web(
        &self,
        url: &RepositoryUrl,
        trust: Trust,
        credential: Option<&Credential>,
    ) -> HostVerdict {
        let host = url.host();
        let Ok(address) = Url::parse(url.as_str()).map(without_credentials) else {
            return HostVerdict::Unproven("its address is no URL".to_owned());
        };
        let client = match self.clients.of(host, trust) {
            Ok(client) => client,
            Err(error) => return HostVerdict::Unproven(error.to_string()),
        };
        let password = credential.and_then(|credential| match &credential.means {
            Means::Password { username, password } => Some((credential, username, password)),
            Means::SshKey { .. } => None,
        });
        let Some((credential, username, password)) = password else {
            return match trust {
                Trust::Chosen => anonymous(&client, &address, host).await,
                Trust::Named | Trust::PrivatelyChosen => stranger(&client, &address, host).await,
            };
        };
        let rule = &credential.rule;
        let known = match refs_word(&client, &address, Some((username, password))).await {
            Ok(word) => word,
            Err(reason) => return HostVerdict::Unproven(format!("`{host}`: {reason}")),
        };
        let said = &known.said;
        match known.status {
            401 => {
                if let Some(rules) = &self.rules {
                    rules.forget(rule).await;
                }
                HostVerdict::Refused(format!(
                    "`{host}` does not accept the credential of `{rule}` (401{said}): it may be wrong, expired or revoked"
                ))
            }
            403 => HostVerdict::Refused(format!(
                "`{host}` knows the credential of `{rule}` but does not let it read this repository (403{said}): it may \
                 lack a scope, or the organisation's single sign-on"
            )),
            404 | 410 => {
                let unknown = match refs_word(&client, &address, None).await {
                    Ok(word) => word,
                    Err(reason) => return HostVerdict::Unproven(format!("`{host}`: {reason}")),
                };
                let status = known.status;
                match (unknown.status, trust) {
                    (401 | 403, _) => HostVerdict::Absent(format!(
                        "`{host}` accepts the credential of `{rule}` and says {status}"
                    )),
                    (_, Trust::Chosen) => anonymous(&client, &address, host).await,
                    (other, Trust::Named | Trust::PrivatelyChosen) => {
                        HostVerdict::Unproven(format!(
                            "`{host}` says {status} with the credential of `{rule}` and {other} without, so it is not known \
                         whether it looked at the credential"
                        ))
                    }
                }
            }
            200..=299 => HostVerdict::Unproven(format!(
                "`{host}` lets the credential of `{rule}` read it, so it is there"
            )),
            other => HostVerdict::Unproven(format!(
                "`{host}` answers {other}{said} to the credential of `{rule}`"
            )),
        }
    }
}

#[async_trait]
impl HostProbe for RepositoryProbe {
    async fn judge(
        &self,
        url: &RepositoryUrl,
        trust: Trust,
        credential: Option<&Credential>,
        stderr: &str,
    ) -> HostVerdict {
        // Git may have been led to SSH by the user's own `insteadOf`: what it wrote tells.
        if url.protocol() == GitProtocol::Ssh || ssh_ended(stderr) {
            return judge_ssh(url, credential, stderr);
        }
        match url.protocol() {
            GitProtocol::Https | GitProtocol::Http => self.judge_web(url, trust, credential).await,
            GitProtocol::File => judge_folder(url).await,
            GitProtocol::Git | GitProtocol::Ssh => HostVerdict::Unproven(format!(
                "over `{}://` a host does not say who may read",
                url.protocol()
            )),
        }
    }
}

/// The go command's rule for public repositories: a GET of the address says 404 or 410.
async fn anonymous(client: &HttpClient, address: &Url, host: &str) -> HostVerdict {
    let headers = HeaderMap::new();
    let get = client.get(address.clone(), &headers);
    let reply = match tokio::time::timeout(TIME_LIMIT, get).await {
        Err(_) => return HostVerdict::Unproven(format!("`{host}` did not answer in time")),
        Ok(Err(failure)) => {
            return HostVerdict::Unproven(format!("`{host}`: {}", failure.error));
        }
        Ok(Ok(reply)) => reply,
    };
    match reply.status.as_u16() {
        status @ (404 | 410) => {
            HostVerdict::Absent(format!("`{host}` answers {status} to everybody"))
        }
        status @ (401 | 403) => HostVerdict::Refused(format!(
            "`{host}` answers {status}, and no credential rule matches"
        )),
        status => HostVerdict::Unproven(format!(
            "`{host}` answers {status} at the repository's address"
        )),
    }
}

/// Of a private name, or of an address that the operator named, what a host says to strangers proves at most that it wants a
/// credential.
async fn stranger(client: &HttpClient, address: &Url, host: &str) -> HostVerdict {
    match refs_word(client, address, None).await {
        Ok(Word {
            status: status @ (401 | 403),
            said,
        }) => HostVerdict::Refused(format!(
            "`{host}` wants to know who asks ({status}{said}), and no credential rule matches"
        )),
        Ok(Word { status, .. }) => HostVerdict::Unproven(format!(
            "`{host}` answers {status} to strangers, which it may also do for what they may not see; no credential \
             rule matches"
        )),
        Err(reason) => HostVerdict::Unproven(format!("`{host}`: {reason}")),
    }
}

/// What the host says to the first request that git makes; the error is a phrase. The credential is sent to
/// the origin of the address and to no other.
pub(super) async fn refs_word(
    client: &HttpClient,
    address: &Url,
    credential: Option<(&String, &Secret)>,
) -> Result<Word, String> {
    let asked = ask_refs(client, address, credential);
    tokio::time::timeout(TIME_LIMIT, asked)
        .await
        .map_err(|_| "it did not answer in time".to_owned())?
}

async fn ask_refs(
    client: &HttpClient,
    address: &Url,
    credential: Option<(&String, &Secret)>,
) -> Result<Word, String> {
    let base = address.as_str().trim_end_matches('/');
    let mut url = Url::parse(&format!("{base}/info/refs?service=git-upload-pack"))
        .map_err(|error| error.to_string())?;
    let mut headers = HeaderMap::new();
    // As git asks: some hosts answer other programs with a page.
    headers.insert(
        header::USER_AGENT,
        HeaderValue::from_static(concat!("git/2 (larder/", env!("CARGO_PKG_VERSION"), ")")),
    );
    let mut sent = Vec::new();
    if let Some((username, password)) = credential {
        if url.scheme() != "https" {
            return Err("a password is not sent over plain HTTP".to_owned());
        }
        let value = basic(username.as_bytes(), password.expose().as_bytes())
            .ok_or_else(|| "the credential cannot stand in a header".to_owned())?;
        headers.insert(header::AUTHORIZATION, value);
        sent.push(password);
    }
    for _ in 0..=REDIRECTS {
        let reply = client
            .ask_once(Method::GET, &url, &headers)
            .await
            .map_err(|failure| failure.error.to_string())?;
        let status = reply.status.as_u16();
        if !matches!(status, 301 | 302 | 303 | 307 | 308) {
            let body = reply.body.beginning(MOST_BYTES).await;
            // A good answer is a listing, not words.
            let said = match status {
                200..=299 => String::new(),
                _ => words(&body, &sent),
            };
            return Ok(Word { status, said });
        }
        let next = reply
            .headers
            .get(header::LOCATION)
            .and_then(|location| url.join(location.to_str().ok()?).ok())
            .map(without_credentials)
            .ok_or("it redirects to nowhere")?;
        if next.origin() != url.origin() {
            return Err("it redirects to another host".to_owned());
        }
        url = next;
    }
    Err(format!("it redirects more than {REDIRECTS} times"))
}

/// Git's last word when an SSH session ended before the repository was listed.
fn ssh_ended(stderr: &str) -> bool {
    stderr.contains("Could not read from remote repository")
}

/// What SSH servers write before there is a session: nobody looked at the repository.
const NO_SESSION: [(&str, &str); 9] = [
    (
        "Host key verification failed",
        "its host key is not known, or has changed",
    ),
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its host key has changed",
    ),
    ("Could not resolve hostname", "its name can't be looked up"),
    ("Connection refused", "it refuses connections"),
    ("Connection timed out", "it does not answer"),
    ("Connection closed by", "it closed the connection"),
    ("Connection reset by", "it reset the connection"),
    ("No route to host", "there is no way to it"),
    (
        "kex_exchange_identification",
        "it broke off before the keys were exchanged",
    ),
];

/// What servers write when no key was accepted.
const NOT_LET_IN: [&str; 3] = [
    "Permission denied (",
    "Too many authentication failures",
    "No supported authentication methods",
];

/// What servers write inside a session, to someone they know, of what they do not have: GitHub, GitLab,
/// Bitbucket, Gitea and its kin, and git itself on a plain server.
const NO_SUCH_REPOSITORY: [&str; 6] = [
    "ERROR: Repository not found",
    "The project you were looking for could not be found",
    "The requested repository does not exist",
    "Repository does not exist or you do not have access",
    "Cannot find repository",
    "does not appear to be a git repository",
];

/// What servers write inside a session to someone who may not read.
const MAY_NOT_READ: [&str; 4] = [
    "access denied",
    "Access denied",
    "You are not allowed to",
    "has not been granted access",
];

fn judge_ssh(url: &RepositoryUrl, credential: Option<&Credential>, stderr: &str) -> HostVerdict {
    let host = url.host();
    let who = match credential {
        Some(credential) => format!("the key of `{}`", credential.rule),
        None => "the keys of the user that runs larder (no credential rule matches)".to_owned(),
    };
    let says_any = |phrases: &[&str]| phrases.iter().any(|phrase| stderr.contains(phrase));
    if let Some((_, why)) = NO_SESSION
        .iter()
        .find(|(phrase, _)| stderr.contains(phrase))
    {
        return HostVerdict::Unproven(format!("no SSH session with `{host}`: {why}"));
    }
    if says_any(&NOT_LET_IN) {
        return HostVerdict::Refused(format!("`{host}` does not accept {who}"));
    }
    if !ssh_ended(stderr) {
        return HostVerdict::Unproven(format!("`{host}` was not heard over SSH"));
    }
    if says_any(&NO_SUCH_REPOSITORY) {
        return HostVerdict::Absent(format!(
            "`{host}` lets {who} in and says that there is no such repository"
        ));
    }
    if says_any(&MAY_NOT_READ) {
        return HostVerdict::Refused(format!("`{host}` does not let {who} read it"));
    }
    HostVerdict::Unproven(format!("`{host}` says nothing that proves it, to {who}"))
}

/// A folder of this machine is there or not.
async fn judge_folder(url: &RepositoryUrl) -> HostVerdict {
    let path: Vec<u8> = percent_encoding::percent_decode_str(url.path()).collect();
    let there = tokio::task::spawn_blocking(move || {
        use std::os::unix::ffi::OsStrExt as _;
        std::path::Path::new(std::ffi::OsStr::from_bytes(&path)).try_exists()
    });
    match there.await {
        Ok(Ok(false)) => HostVerdict::Absent("there is no such folder".to_owned()),
        Ok(Ok(true)) => HostVerdict::Unproven("the folder is there".to_owned()),
        _ => HostVerdict::Unproven("the folder can't be looked at".to_owned()),
    }
}

#[cfg(test)]
mod tests;
