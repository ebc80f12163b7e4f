//! What policy says of one module version for one caller. Pure and synchronous: facts are gathered
//! before, by the gate.

use gomod::{ModulePath, ModuleVersion, Version};
use std::collections::HashMap;

use crate::gate::Caller;

/// Which facts a policy wants gathered before it judges; gathering costs IO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// It judges by caller and name alone.
    Nothing,
    /// It wants to know when a version was first seen.
    FirstSeen,
}

/// What is known of one version.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// When this server first saw it; `None` where it never did, or where the policy did not ask.
    pub first_seen: Option<jiff::Timestamp>,
}

/// What a policy says of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Allow,
    /// Refuse.
    Deny(Reason),
}

/// Why a policy refuses, in words for the developer who reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The rule's stable id.
    pub rule: String,
    /// Why, in one lower-case sentence.
    pub text: String,
    /// What the developer can do.
    pub cure: String,
}

/// The outcome of a selection among versions.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Versions that the caller may see, in the order given.
    pub shown: Vec<Version>,
    /// Versions that are held back, with the reason.
    pub hidden: Vec<(Version, Reason)>,
}

/// The rules of a team. Called for every request, so it must neither block nor wait.
pub trait Policy: Send + Sync {
    /// A number that changes whenever the rules do; decisions are cached under it.
    fn revision(&self) -> u64;
    /// The facts that the rules look at.
    fn wants(&self) -> Wants;
    /// May this caller have files of this version?
    fn judge(&self, caller: &Caller, module: &ModuleVersion, facts: &Facts) -> Verdict;
    /// Which of a module's versions may this caller see? Runs after the shared cache, never into it.
    fn select(
        &self,
        caller: &Caller,
        module_path: &ModulePath,
        versions: &[Version],
        facts: &HashMap<Version, Facts>,
    ) -> Selection {
        let mut selection = Selection::default();
        let unknown = Facts::default();
        for version in versions {
            let verdict = match ModuleVersion::new(module_path.clone(), version.clone()) {
                Ok(module) => self.judge(caller, &module, facts.get(version).unwrap_or(&unknown)),
                // A version that cannot belong to the path names no file, so there is nothing to refuse.
                Err(_) => Verdict::Allow,
            };
            match verdict {
                Verdict::Allow => selection.shown.push(version.clone()),
                Verdict::Deny(reason) => selection.hidden.push((version.clone(), reason)),
            }
        }
        selection
    }
}

/// The policy until rules exist: everyone may have everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAll;

impl Policy for AllowAll {
    fn revision(&self) -> u64 {
        0
    }
    fn wants(&self) -> Wants {
        Wants::Nothing
    }
    fn judge(&self, _: &Caller, _: &ModuleVersion, _: &Facts) -> Verdict {
        Verdict::Allow
    }
    fn select(
        &self,
        _: &Caller,
        _: &ModulePath,
        versions: &[Version],
        _: &HashMap<Version, Facts>,
    ) -> Selection {
        Selection {
            shown: versions.to_vec(),
            hidden: Vec::new(),
        }
    }
}
