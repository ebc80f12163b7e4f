//! The one place where a request is allowed or refused, before anything is opened.
//!
//! [`Gate::admit`] is the only maker of [`Admitted`], and everything that opens a file or asks a
//! source takes an [`Admitted`]: a way out that forgets the gate does not compile.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use gomod::{FileKind, ModulePath, ModuleVersion, Request, Revision, SumdbRequest, Version};
use quick_cache::sync::Cache;
use source::privacy::Privacy;
use store::Namespace;
use store::first_seen::FirstSeen;

use crate::failure::Failure;
use crate::policy::{Facts, Policy, Reason, Selection, Verdict, Wants};

/// Decisions remembered at most, over all policy revisions.
const DECISIONS: usize = 64 * 1024;

/// Who asks. Anonymous for now; later a user, a team, a machine.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What is known of who they are.
    pub identity: Identity,
    /// The way they came.
    pub peer: Option<SocketAddr>,
}

/// What is known of a caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// Nothing.
    Anonymous,
}

/// Callers that policy cannot tell apart; decisions are cached by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AccessClass(u32);

impl Caller {
    /// A caller of whom nothing is known.
    pub fn anonymous(peer: Option<SocketAddr>) -> Self {
        Self {
            identity: Identity::Anonymous,
            peer,
        }
    }
    /// The class under which decisions for this caller are cached.
    pub fn access_class(&self) -> AccessClass {
        match self.identity {
            Identity::Anonymous => AccessClass(0),
        }
    }
}

/// A request that may be answered, with for whom and in which scope.
#[derive(Clone, Debug)]
pub struct Admitted {
    request: Request,
    caller: Caller,
    namespace: Namespace,
}

impl Admitted {
    /// What may be answered.
    pub fn request(&self) -> &Request {
        &self.request
    }
    /// For whom.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
    /// The scope that it is answered from.
    pub fn namespace(&self) -> Namespace {
        self.namespace
    }
}

/// A file that may be opened. Split off [`Admitted`] so that rooms which only know files need not
/// match on requests.
#[derive(Clone, Debug)]
pub struct AdmittedFile(store::FileKey);

impl AdmittedFile {
    /// Which file.
    pub fn key(&self) -> &store::FileKey {
        &self.0
    }
}

/// An answer that may be given.
#[derive(Clone, Debug)]
pub struct AdmittedAnswer(store::answers::AnswerKey);

impl AdmittedAnswer {
    /// Which answer.
    pub fn key(&self) -> &store::answers::AnswerKey {
        &self.0
    }
}

/// Something of a checksum database that may be given.
#[derive(Clone, Debug)]
pub struct AdmittedSumdb {
    name: String,
    request: SumdbRequest,
}

impl AdmittedSumdb {
    /// The database.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// What of it.
    pub fn request(&self) -> &SumdbRequest {
        &self.request
    }
}

/// An admitted request by the kind of room that answers it.
#[derive(Clone, Debug)]
pub enum Way {
    /// A file: `fill`.
    File(AdmittedFile),
    /// An answer that may change: `answer`.
    Answer(AdmittedAnswer),
    /// The checksum database.
    Sumdb(AdmittedSumdb),
}

impl Admitted {
    /// The way that this request goes.
    pub fn way(&self) -> Way {
        use store::answers::AnswerKey;
        let namespace = self.namespace;
        match &self.request {
            Request::File(module, kind) => Way::File(AdmittedFile(store::FileKey {
                namespace,
                module: module.clone(),
                kind: *kind,
            })),
            Request::List(path) => {
                Way::Answer(AdmittedAnswer(AnswerKey::List(namespace, path.clone())))
            }
            Request::Latest(path) => {
                Way::Answer(AdmittedAnswer(AnswerKey::Latest(namespace, path.clone())))
            }
            Request::Resolve(path, revision) => Way::Answer(AdmittedAnswer(AnswerKey::Resolve(
                namespace,
                path.clone(),
                revision.clone(),
            ))),
            Request::Sumdb { name, request } => Way::Sumdb(AdmittedSumdb {
                name: name.clone(),
                request: request.clone(),
            }),
        }
    }
}

/// The gate.
pub struct Gate {
    policy: Arc<dyn Policy>,
    privacy: Privacy,
    first_seen: Arc<FirstSeen>,
    decisions: Cache<(u64, AccessClass, ModuleVersion), Verdict>,
}

impl Gate {
    /// A gate that asks `policy`, with the facts that it wants.
    pub fn new(policy: Arc<dyn Policy>, privacy: Privacy, first_seen: Arc<FirstSeen>) -> Self {
        Self {
            policy,
            privacy,
            first_seen,
            decisions: Cache::new(DECISIONS),
        }
    }

    /// Allows or refuses a request. Lists, `@latest` and revision names pass here and are narrowed
    /// by [`Gate::select`] once their versions are known.
    ///
    /// # Errors
    /// [`Failure::Denied`], or [`Failure::PrivateAtSumdb`] for a private or exempt name at a
    /// checksum database: it would be sent on to a third party.
    pub async fn admit(&self, caller: Caller, request: Request) -> Result<Admitted, Failure> {
        match &request {
            Request::File(module, _) => self.judge(&caller, module).await?,
            Request::Sumdb {
                request: SumdbRequest::Lookup(module),
                ..
            } if !self.privacy.checked_by_database(module.path()) => {
                return Err(Failure::PrivateAtSumdb(module.clone()));
            }
            Request::List(_)
            | Request::Latest(_)
            | Request::Resolve(..)
            | Request::Sumdb { .. } => {}
        }
        Ok(Admitted {
            request,
            caller,
            namespace: Namespace::Shared,
        })
    }

    /// Narrows a module's versions to those that the caller may see.
    pub async fn select(
        &self,
        caller: &Caller,
        module_path: &ModulePath,
        versions: &[Version],
    ) -> Result<Selection, Failure> {
        let facts = match self.policy.wants() {
            Wants::Nothing => HashMap::new(),
            Wants::FirstSeen => self
                .first_seen
                .all(Namespace::Shared, module_path)
                .await
                .map_err(Failure::store)?
                .into_iter()
                .map(|(version, seen)| {
                    (
                        version,
                        Facts {
                            first_seen: Some(seen),
                        },
                    )
                })
                .collect(),
        };
        Ok(self.policy.select(caller, module_path, versions, &facts))
    }

    /// Refuses a version that a revision name or `@latest` led to, or gives leave to open its file.
    pub async fn admit_file(
        &self,
        caller: &Caller,
        module: ModuleVersion,
        kind: FileKind,
    ) -> Result<AdmittedFile, Failure> {
        self.judge(caller, &module).await?;
        Ok(AdmittedFile(store::FileKey {
            namespace: Namespace::Shared,
            module,
            kind,
        }))
    }

    async fn judge(&self, caller: &Caller, module: &ModuleVersion) -> Result<(), Failure> {
        let verdict = match self.policy.wants() {
            Wants::Nothing => self.policy.judge(caller, module, &Facts::default()),
            Wants::FirstSeen => {
                let key = (
                    self.policy.revision(),
                    caller.access_class(),
                    module.clone(),
                );
                match self.decisions.get(&key) {
                    Some(verdict) => verdict,
                    None => {
                        let first_seen = self
                            .first_seen
                            .of(Namespace::Shared, module)
                            .await
                            .map_err(Failure::store)?;
                        let verdict = self.policy.judge(caller, module, &Facts { first_seen });
                        // A refusal may lapse with time alone, so only leave is remembered.
                        if verdict == Verdict::Allow {
                            self.decisions.insert(key, verdict.clone());
                        }
                        verdict
                    }
                }
            }
        };
        match verdict {
            Verdict::Allow => Ok(()),
            Verdict::Deny(reason) => Err(Failure::denied(module, reason)),
        }
    }
}

/// Names a revision's refusal for the developer who asked for it.
pub(crate) fn refused_revision(
    module_path: &ModulePath,
    revision: &Revision,
    version: &Version,
    reason: Reason,
) -> Failure {
    Failure::Denied {
        what: format!("{module_path}@{revision} (which is {version})"),
        reason,
    }
}
