//! Fetching from repositories: git with the user's environment, the options of discovery, and what is said of
//! it at the start.

use super::credentials::rules_and_probe;
use crate::settings::complaint::Complaint;
use crate::settings::config::{Config, GitProgram};
use gomod::ProxyEntry;
use proxy::observe::Metrics;
use source::privacy::Privacy;
use source::{
    AddressGuard, Credentials, Direct, DirectError, DirectOptions, DiscoveryOptions, GitOptions,
    UpstreamOptions,
};
use std::path::Path;
use std::sync::Arc;

/// Looks for git and says what was found. Without it everything else works.
pub(super) async fn direct(
    config: &Config,
    entries: &[ProxyEntry],
    privacy: &Arc<Privacy>,
    guard: &Arc<AddressGuard>,
    http: UpstreamOptions,
    metrics: &Arc<Metrics>,
) -> Result<Direct, Complaint> {
    let folder = config.cache_dir.join("state").join("git");
    let (rules, probe) = rules_and_probe(config, guard, &http);
    let discovery = discovery_options(config, privacy.clone(), guard.clone(), http, rules.clone());
    let mut git = match git_options(config, &folder, guard) {
        Ok(git) => git,
        Err(why) => return Direct::without_git(why, discovery).map_err(Complaint::from_error),
    };
    git.observer = metrics.clone();
    git.credentials = rules;
    git.probe = probe;
    let options = DirectOptions {
        git,
        discovery: discovery.clone(),
    };
    match Direct::with_git(options).await {
        Ok((direct, found)) => {
            tracing::info!(
                version = found.version,
                program = %found.program.display(),
                "git fetches private modules and what `direct` is for"
            );
            Ok(direct)
        }
        Err(DirectError::Git(missing)) => {
            // Behind a mirror, `direct` is seldom needed.
            let is_needed =
                !config.private.is_empty() || entries.first() == Some(&ProxyEntry::Direct);
            if is_needed {
                tracing::warn!(
                    "no module can be fetched from its repository (`direct`, private patterns): {missing}"
                );
            } else {
                tracing::info!("nothing is fetched from repositories: {missing}");
            }
            let why = format!("this server has no git: {missing}");
            Direct::without_git(why, discovery).map_err(Complaint::from_error)
        }
        Err(error @ DirectError::Client(_)) => Err(Complaint::from_error(error)),
    }
}

/// How git is used, but for credentials; or why it is not, as one clause.
pub(super) fn git_options(
    config: &Config,
    folder: &Path,
    guard: &Arc<AddressGuard>,
) -> Result<GitOptions, String> {
    let GitProgram::At(program) = &config.git else {
        return Err("git is switched off on this server (--git off)".into());
    };
    let environment = config
        .git_environment
        .pairs()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut options = GitOptions::new(folder, environment.collect());
    options.program.clone_from(program);
    options.protocols = config.git_protocols.iter().copied().collect();
    options.children = usize::try_from(config.git_processes).unwrap_or(usize::MAX);
    options.stall_timeout = config.stall_timeout;
    options.mirrors_bytes = config.git_mirrors_bytes;
    options.guard = guard.clone();
    Ok(options)
}

/// How repositories are found.
pub(super) fn discovery_options(
    config: &Config,
    privacy: Arc<Privacy>,
    guard: Arc<AddressGuard>,
    http: UpstreamOptions,
    credentials: Arc<dyn Credentials>,
) -> DiscoveryOptions {
    DiscoveryOptions {
        privacy,
        insecure: config.insecure.clone(),
        govcs: config.govcs.clone(),
        protocols: config.git_protocols.clone(),
        fresh: config.fresh,
        guard,
        http,
        credentials,
    }
}
