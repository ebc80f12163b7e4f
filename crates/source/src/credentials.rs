//! Which credential a repository gets: the operator's rules by host and path, then the netrc file.
//!
//! `git` asks [`CredentialRules`] through [`Credentials`]; the settings of `larder` make the [`CredentialBook`]
//! behind it and read it again when a file changed; [`RepositoryProbe`] asks the host itself whether a
//! repository is absent. Where no rule matches, the answer is nothing, and the user's own git, SSH and
//! credential helpers decide. Secrets go to the host that the rule names and nowhere else: they are in no error,
//! no log line and no argument of a program.

mod command;
mod expiring;
mod github_app;
mod http;
mod place;
mod probe;
mod rule;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;
use url::Url;

use crate::address::AddressGuard;
use crate::{
    Credential, Credentials, GitProtocol, Means, RepositoryUrl, Secret, SourceError,
    SourceErrorKind, UpstreamOptions,
};
use command::Answers;
use github_app::AppToken;
use http::Clients;

pub use command::SECRET_VARIABLES;
pub use place::{CredentialPlace, NearMiss};
pub use probe::{Access, Inspection, RepositoryProbe};
pub use rule::{CredentialBook, CredentialCommand, CredentialRule, GithubApp, Grant, SecretSource};

/// Files are looked at for changes at most once in this time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The book that is in use, and how it is read again.
pub struct CredentialRules {
    clients: Clients,
    source: BookSource,
    shelf: Mutex<Shelf>,
}

/// Where a [`CredentialBook`] comes from.
#[derive(Clone)]
pub struct BookSource {
    /// The files that it is made of, besides those of the secrets, which are read at each use.
    pub files: Vec<PathBuf>,
    /// Makes it anew; the error says why what stands there now can't be used. Blocks.
    pub read: ReadBook,
}

/// Reads a book; the error is a phrase.
pub type ReadBook = Arc<dyn Fn() -> Result<CredentialBook, String> + Send + Sync>;

impl fmt::Debug for BookSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BookSource({:?})", self.files)
    }
}

/// What a rule does for one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleMatch {
    /// The rule.
    pub rule: CredentialRule,
    /// `None` for the rule that applies.
    pub miss: Option<NearMiss>,
}

struct Shelf {
    book: Arc<LiveBook>,
    stamps: Vec<Stamp>,
    looked_at: Instant,
}

struct LiveBook {
    rules: Vec<Arc<LiveRule>>,
    netrc: crate::Netrc,
    /// The variables that hold the secrets of rules.
    secret_variables: Vec<Arc<str>>,
}

/// A rule and what it has learnt.
struct LiveRule {
    rule: CredentialRule,
    answers: Answers,
    token: AppToken,
}

impl CredentialRules {
    /// Rules that are read again when one of the files changes. `guard` and `options` say how hosts are asked
    /// over HTTPS; hosts that the rules name may be anywhere.
    pub fn new(
        book: CredentialBook,
        source: BookSource,
        guard: Arc<AddressGuard>,
        options: UpstreamOptions,
    ) -> Self {
        let shelf = Shelf {
            stamps: source.files.iter().map(Stamp::of).collect(),
            book: Arc::new(LiveBook::new(book, &[])),
            looked_at: Instant::now(),
        };
        Self {
            clients: Clients::new(guard, options),
            source,
            shelf: Mutex::new(shelf),
        }
    }

    /// The rules that name the host of an address: the one that applies first, then those that nearly do.
    pub fn matches(&self, url: &RepositoryUrl) -> Vec<RuleMatch> {
        let book = self.shelf.lock().book.clone();
        let applies = book.rule_for(url);
        let mut matches: Vec<RuleMatch> = book
            .rules
            .iter()
            .filter_map(|live| {
                let miss = match live.rule.place.covers(url)? {
                    Err(miss) => Some(miss),
                    Ok(()) if applies.is_some_and(|it| Arc::ptr_eq(it, live)) => None,
                    Ok(()) => match live.rule.grant.protocol() {
                        protocol if protocol != url.protocol() => {
                            Some(NearMiss::Protocol(protocol))
                        }
                        _ => Some(NearMiss::Shorter),
                    },
                };
                Some(RuleMatch {
                    rule: live.rule.clone(),
                    miss,
                })
            })
            .collect();
        matches.sort_by_key(|it| it.miss.is_some());
        matches
    }

    /// Drops the tokens of a rule that were kept, because a host did not accept one. `rule` as in
    /// [`Credential::rule`].
    pub async fn forget(&self, rule: &str) {
        let book = self.shelf.lock().book.clone();
        for live in book.rules.iter().filter(|live| live.rule.name() == rule) {
            live.answers.forget().await;
            live.token.forget().await;
        }
    }

    /// The book as the files have it now, looked at no more often than [`LOOK_AGAIN`].
    async fn book(&self) -> Arc<LiveBook> {
        let known = {
            let mut shelf = self.shelf.lock();
            if shelf.looked_at.elapsed() < LOOK_AGAIN || self.source.files.is_empty() {
                return shelf.book.clone();
            }
            shelf.looked_at = Instant::now();
            shelf.stamps.clone()
        };
        let source = self.source.clone();
        let read = tokio::task::spawn_blocking(move || source.read_if_changed(&known)).await;
        let mut shelf = self.shelf.lock();
        // A reader that died leaves the book as it is.
        if let Ok(Some((stamps, read))) = read {
            // Taken as seen either way, so that a fault is said once a change.
            shelf.stamps = stamps;
            match read {
                Ok(book) => {
                    shelf.book = Arc::new(LiveBook::new(book, &shelf.book.rules));
                    tracing::info!(
                        rules = shelf.book.rules.len(),
                        "credential rules read again"
                    );
                }
                Err(reason) => tracing::error!(
                    %reason,
                    "credential rules changed but can't be used; those from before hold"
                ),
            }
        }
        shelf.book.clone()
    }
}

impl BookSource {
    fn read_if_changed(
        &self,
        known: &[Stamp],
    ) -> Option<(Vec<Stamp>, Result<CredentialBook, String>)> {
        let stamps: Vec<Stamp> = self.files.iter().map(Stamp::of).collect();
        (stamps != known).then(|| (stamps, (self.read)()))
    }
}

#[async_trait]
impl Credentials for CredentialRules {
    async fn for_repository(&self, url: &RepositoryUrl) -> Result<Option<Credential>, SourceError> {
        let book = self.book().await;
        match book.rule_for(url) {
            Some(live) => live
                .credential(url, &self.clients, &book.secret_variables)
                .await
                .map(Some),
            None => Ok(book.netrc_for(url)),
        }
    }
}

impl LiveBook {
    /// Rules that did not change keep what they have learnt.
    fn new(book: CredentialBook, previous: &[Arc<LiveRule>]) -> Self {
        let secret_variables = book
            .rules
            .iter()
            .filter_map(|rule| rule.grant.secret_variable().cloned())
            .collect();
        let rules = book.rules.into_iter().map(|rule| {
            let known = previous.iter().find(|live| live.rule == rule);
            known.cloned().unwrap_or_else(|| {
                Arc::new(LiveRule {
                    rule,
                    answers: Answers::new(),
                    token: AppToken::new(),
                })
            })
        });
        Self {
            rules: rules.collect(),
            netrc: book.netrc,
            secret_variables,
        }
    }

    /// The most exact rule for an address; of equals the last.
    fn rule_for(&self, url: &RepositoryUrl) -> Option<&Arc<LiveRule>> {
        self.rules
            .iter()
            .filter(|live| {
                live.rule.grant.protocol() == url.protocol()
                    && live.rule.place.covers(url) == Some(Ok(()))
            })
            .max_by_key(|live| live.rule.place.precision())
    }

    fn netrc_for(&self, url: &RepositoryUrl) -> Option<Credential> {
        if url.protocol() != GitProtocol::Https {
            return None;
        }
        let parsed = Url::parse(url.as_str()).ok()?;
        let (login, password) = self.netrc.credentials(&parsed)?;
        Some(Credential {
            rule: format!(".netrc (machine {})", url.host()).into(),
            means: Means::Password {
                username: login.to_owned(),
                password: Secret::new(password),
            },
        })
    }
}

impl LiveRule {
    async fn credential(
        &self,
        url: &RepositoryUrl,
        clients: &Clients,
        secret_variables: &[Arc<str>],
    ) -> Result<Credential, SourceError> {
        let name = self.rule.name();
        let line = async |secret: &SecretSource| {
            let line = secret.line().await;
            line.map_err(|reason| unusable(&name, &reason, ""))
        };
        let means = match &self.rule.grant {
            Grant::Token(token) => Means::Password {
                username: Grant::token_user(&self.rule.place).to_owned(),
                password: line(token).await?,
            },
            Grant::Password { user, password } => Means::Password {
                username: user.clone(),
                password: line(password).await?,
            },
            Grant::SshKey { file } => Means::SshKey { file: file.clone() },
            Grant::Command(command) => {
                self.answers
                    .means(&name, command, secret_variables, url)
                    .await?
            }
            Grant::GithubApp(app) => self.token.means(&name, app, clients).await?,
        };
        Ok(Credential {
            rule: name.into(),
            means,
        })
    }
}

/// A rule that matches but gives nothing: never absence, and a fault of this server's set-up.
fn unusable(rule: &str, what: &str, cure: &str) -> SourceError {
    let text = format!("the credential rule `{rule}` can't be used: {what}");
    let mut error = SourceError::new(SourceErrorKind::Internal, text);
    if !cure.is_empty() {
        error.0.notes.push(cure.to_owned());
    }
    error
}

/// What tells one state of a file from the next. Follows links, so that a mounted secret that is swapped
/// is seen.
#[derive(Clone, PartialEq, Eq)]
struct Stamp(Option<(SystemTime, u64, u64)>);

impl Stamp {
    fn of(path: &PathBuf) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        let stamp = fs_err::metadata(path)
            .ok()
            .and_then(|metadata| Some((metadata.modified().ok()?, metadata.len(), metadata.ino())));
        Self(stamp)
    }
}
