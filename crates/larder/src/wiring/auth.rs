//! What `larder auth test` asks with: the server's own ways to a repository, without a server.

use super::credentials::rules_and_probe;
use super::upstream_options;
use crate::go_env::GoEnv;
use crate::settings::complaint::Complaint;
use crate::settings::config::{self, Config};
use crate::settings::environment::Environment;
use gomod::PathPatterns;
use proxy::observe::Metrics;
use source::privacy::Privacy;
use source::{
    AddressGuard, CredentialRules, Discovery, DiscoveryOptions, Git, GitOptions, GitProtocol,
    GoVcs, Repositories, RepositoryProbe, Roots,
};
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
pub(crate) async fn auth_tools(
    config: &Config,
    environment: &Environment,
) -> Result<AuthTools, Complaint> {
    let guard = Arc::new(AddressGuard::new(config.credentials.hosts()));
    let http = upstream_options(config, "auth-test", &Metrics::new())?;
    let (rules, probe) = rules_and_probe(config, &guard, &http);
    let folder = tempfile::tempdir().map_err(Complaint::from_error)?;
    let variables = environment
        .pairs()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let protocols: Vec<GitProtocol> = config.git_protocols.iter().map(protocol).collect();
    let mut git = GitOptions::new(folder.path(), variables.collect());
    git.protocols = protocols.iter().copied().collect();
    git.stall_timeout = config.stall_timeout;
    git.credentials = rules.clone();
    git.probe = probe.clone();
    git.guard = guard.clone();
    let git: Arc<dyn Repositories> = Arc::new(Git::find(git).await.map_err(Complaint::from_error)?);
    let go_env = GoEnv::read(environment);
    let of_go = |variable| match go_env.lookup(variable) {
        Some((text, _)) => text,
        None => String::new(),
    };
    let discovery = DiscoveryOptions {
        privacy: Arc::new(Privacy {
            private: config.private.clone(),
            no_sumdb: config.no_sumdb.clone(),
        }),
        insecure: PathPatterns::parse(&of_go("GOINSECURE")),
        govcs: GoVcs::parse(&of_go("GOVCS"))
            .map_err(|reason| Complaint::new(format!("GOVCS: {reason}")))?,
        protocols,
        fresh: config.fresh,
        guard,
        http,
        credentials: rules.clone(),
    };
    let discovery = Discovery::new(discovery, git.clone()).map_err(Complaint::from_error)?;
    Ok(AuthTools {
        roots: Arc::new(discovery),
        repositories: git,
        rules,
        probe,
        _folder: folder,
    })
}

fn protocol(protocol: &config::GitProtocol) -> GitProtocol {
    match protocol {
        config::GitProtocol::Https => GitProtocol::Https,
        config::GitProtocol::Ssh => GitProtocol::Ssh,
        config::GitProtocol::Http => GitProtocol::Http,
        config::GitProtocol::Git => GitProtocol::Git,
        config::GitProtocol::File => GitProtocol::File,
    }
}
