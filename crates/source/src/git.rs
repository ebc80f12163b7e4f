//! The git program as [`crate::Repositories`]: mirrors, the processes that fill and read them, and how
//! their failures are told apart. Knows nothing of modules and versions.

use async_trait::async_trait;

use crate::{Credential, RepositoryUrl, Trust};

/// What a host says of a repository that git could not list. Code hosts answer "not found" to those who may
/// not read, so git's own words prove nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostVerdict {
    /// There is no such repository for anyone who may know it; how that was proven, as one phrase.
    Absent(String),
    /// The host did not accept whoever asked; what it said, as one phrase.
    Refused(String),
    /// Neither can be told; why, as one phrase.
    Unproven(String),
}

/// Judges whether a repository that git could not list is absent. Asked only where git's failure leaves
/// that open: never after a failed name lookup, connection, TLS handshake or a stall.
#[async_trait]
pub trait HostProbe: Send + Sync {
    /// The verdict on an address. `trust` is that of [`crate::Repositories::open`]: to those who are not known a
    /// code host says "not found" of what is private, so for an address that the operator named, or that a
    /// private name led to, the word of a host to nobody in particular proves nothing. `credential` is what git
    /// was given, `stderr` what it wrote: its last 16 KiB, without passwords.
    async fn judge(
        &self,
        url: &RepositoryUrl,
        trust: Trust,
        credential: Option<&Credential>,
        stderr: &str,
    ) -> HostVerdict;
}

/// Judges nothing: no absence of a repository is ever proven.
#[derive(Clone, Copy, Debug)]
pub struct NoHostProbe;

#[async_trait]
impl HostProbe for NoHostProbe {
    async fn judge(
        &self,
        _: &RepositoryUrl,
        _: Trust,
        _: Option<&Credential>,
        _: &str,
    ) -> HostVerdict {
        HostVerdict::Unproven("the host was not asked".to_owned())
    }
}
