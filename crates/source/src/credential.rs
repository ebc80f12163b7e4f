//! What git is given to prove who asks: the seam between the transport and the rules that choose.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{RepositoryUrl, SourceError};

/// A text that never prints itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a password or token.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text, for the one who is to be convinced by it only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What one rule grants for one address.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The rule as the operator knows it: `.netrc (machine git.example)`, `[[credential]] git.example/team`.
    /// Holds no secret.
    pub rule: Arc<str>,
    /// How the host is convinced.
    pub means: Means,
}

/// How a host is convinced.
#[derive(Clone, Debug)]
pub enum Means {
    /// User and password (or token) over HTTPS.
    Password {
        /// The user.
        username: String,
        /// The password or token.
        password: Secret,
    },
    /// A private key for SSH.
    SshKey {
        /// The key's file.
        file: PathBuf,
    },
}

/// Chooses the credential of an address. What the user's own git, SSH and netrc set-up would do by itself
/// needs no rule.
#[async_trait]
pub trait Credentials: Send + Sync {
    /// The credential for an address, freshly made where it must be (tokens that expire); `None` where no rule
    /// matches.
    async fn for_repository(&self, url: &RepositoryUrl) -> Result<Option<Credential>, SourceError>;
}

/// No rules at all.
pub struct NoCredentials;

#[async_trait]
impl Credentials for NoCredentials {
    async fn for_repository(&self, _: &RepositoryUrl) -> Result<Option<Credential>, SourceError> {
        Ok(None)
    }
}
