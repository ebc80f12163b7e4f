//! The credential rules and what asks hosts about them, from the settings.

use crate::settings::config::Config;
use source::{AddressGuard, CredentialRules, RepositoryProbe, UpstreamOptions};
use std::sync::Arc;

/// The rules, which follow their files, and the probe that tells absence from refusal.
pub(crate) fn rules_and_probe(
    config: &Config,
    guard: &Arc<AddressGuard>,
    http: &UpstreamOptions,
) -> (Arc<CredentialRules>, Arc<RepositoryProbe>) {
    let rules = Arc::new(CredentialRules::new(
        config.credentials.clone(),
        config.credential_source.clone(),
        guard.clone(),
        http.clone(),
    ));
    let probe = RepositoryProbe::new(guard.clone(), http.clone(), Some(rules.clone()));
    (rules, Arc::new(probe))
}
