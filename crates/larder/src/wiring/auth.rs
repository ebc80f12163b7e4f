//! What `larder auth test` and `larder trace` ask with: the server's own ways to a repository, without a server.

use super::credentials::rules_and_probe;
use super::direct::{discovery_options, git_options};
use super::upstream_options;
use crate::settings::complaint::Complaint;
use crate::settings::config::Config;
use proxy::observe::Metrics;
use source::privacy::Privacy;
use source::{
    AddressGuard, CredentialRules, Direct, DirectOptions, Discovery, Git, GitObserver,
    Repositories, RepositoryProbe, Roots, Source,
};
use std::path::Path;
use std::sync::Arc;

/// Everything that a test of credentials asks.
pub(crate) struct AuthTools {
    pub(crate) roots: Arc<dyn Roots>,
    pub(crate) repositories: Arc<dyn Repositories>,
    pub(crate) rules: Arc<CredentialRules>,
    pub(crate) probe: Arc<RepositoryProbe>,
    /// Where git keeps what it learns meanwhile. Removed when dropped.
    _folder: tempfile::TempDir,
}

/// Makes the tools. A folder of its own keeps the test away from the server's mirrors.
pub(crate) async fn auth_tools(config: &Config) -> Result<AuthTools, Complaint> {
    let guard = Arc::new(AddressGuard::new(config.credentials.hosts()));
    let http = upstream_options(config, "auth-test", &Metrics::new())?;
    let (rules, probe) = rules_and_probe(config, &guard, &http);
    let folder = tempfile::tempdir().map_err(Complaint::from_error)?;
    let mut git = git_options(config, folder.path(), &guard).map_err(Complaint::new)?;
    git.credentials = rules.clone();
    git.probe = probe.clone();
    let git: Arc<dyn Repositories> = Arc::new(Git::find(git).await.map_err(Complaint::from_error)?);
    let privacy = Arc::new(Privacy {
        private: config.private.clone(),
        no_sumdb: config.no_sumdb.clone(),
    });
    let discovery = discovery_options(config, privacy, guard, http, rules.clone());
    let discovery = Discovery::new(discovery, git.clone()).map_err(Complaint::from_error)?;
    Ok(AuthTools {
        roots: Arc::new(discovery),
        repositories: git,
        rules,
        probe,
        _folder: folder,
    })
}

/// The source of modules straight from repositories, with mirrors in `folder`; `observer` is told of git's
/// processes.
pub(crate) async fn direct_source(
    config: &Config,
    folder: &Path,
    observer: Arc<dyn GitObserver>,
) -> Result<Arc<dyn Source>, Complaint> {
    let guard = Arc::new(AddressGuard::new(config.credentials.hosts()));
    let http = upstream_options(config, "trace", &Metrics::new())?;
    let (rules, probe) = rules_and_probe(config, &guard, &http);
    let mut git = git_options(config, folder, &guard).map_err(Complaint::new)?;
    git.credentials = rules.clone();
    git.probe = probe;
    git.observer = observer;
    let privacy = Arc::new(Privacy {
        private: config.private.clone(),
        no_sumdb: config.no_sumdb.clone(),
    });
    let discovery = discovery_options(config, privacy, guard, http, rules);
    let (direct, _found) = Direct::with_git(DirectOptions { git, discovery })
        .await
        .map_err(Complaint::from_error)?;
    direct
        .source()
        .map_err(|why| Complaint::new(why.to_string()))
}
