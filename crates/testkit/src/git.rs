//! Git for tests: repositories made for the test, and servers that hand them out.
//!
//! A [`GitRepository`] is a real one, written by git itself in an environment without this machine's
//! settings, with fixed dates and names, so that the same calls make the same object names everywhere.
//! [`GitHttpServer`] and [`SshServer`] serve repositories as code hosts do, with what can go wrong;
//! [`ForwardProxy`] gives such a server the name of a host that does not exist.

mod forward_proxy;
mod http;
mod repository;
mod ssh;
#[cfg(test)]
mod tests;
mod tls_relay;

pub use forward_proxy::ForwardProxy;
pub use http::GitHttpServer;
pub(crate) use http::GitRoutes;
pub use repository::{GitRepository, NewCommit};
pub use ssh::SshServer;
pub use tls_relay::TlsRelay;

use std::path::Path;
use std::process::Command;

/// A git command that sees nothing of this machine's configuration.
pub(crate) fn clean_git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0");
    command
}
