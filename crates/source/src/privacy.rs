//! The one function that decides where a module's name may be said, and the source that keeps to it.

use std::sync::Arc;

use async_trait::async_trait;
use gomod::{FileKind, ModulePath, ModuleVersion, PathPatterns, Revision};

use crate::{Fetched, Listing, Resolved, Sink, Source, SourceError, SourceErrorKind, SourceName};

/// Where a name may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Anywhere.
    Public,
    /// Only to where private modules live.
    Private,
}

/// The patterns of private names.
#[derive(Clone, Debug, Default)]
pub struct Privacy {
    /// GONOPROXY (whose default is GOPRIVATE): never asked of an upstream proxy, a checksum database, nor exported.
    pub private: PathPatterns,
    /// GONOSUMDB (whose default is GOPRIVATE): not looked up in the checksum database.
    pub no_sumdb: PathPatterns,
}

impl Privacy {
    /// Where the name may go.
    pub fn route(&self, module_path: &ModulePath) -> Route {
        if self.private.matches(module_path.as_str()) {
            Route::Private
        } else {
            Route::Public
        }
    }
    /// True if the checksum database is asked for this module. golang.org/toolchain always is (rule 63).
    pub fn checked_by_database(&self, module_path: &ModulePath) -> bool {
        self.route(module_path) == Route::Public
            && (module_path.as_str() == "golang.org/toolchain"
                || !self.no_sumdb.matches(module_path.as_str()))
    }
}

/// Lets each name through to the sources that may hear it: public ones to the list of upstreams, private ones
/// to their repositories and to nobody else.
pub struct PrivateAware {
    public: Arc<dyn Source>,
    /// Or why there is none, as one clause.
    private: Result<Arc<dyn Source>, Arc<str>>,
    privacy: Arc<Privacy>,
}

impl PrivateAware {
    /// Guards `public`; private names go to `private`, or get an error that says why they can't.
    pub fn new(
        public: Arc<dyn Source>,
        private: Result<Arc<dyn Source>, Arc<str>>,
        privacy: Arc<Privacy>,
    ) -> Self {
        Self {
            public,
            private,
            privacy,
        }
    }

    fn source_for(&self, module_path: &ModulePath) -> Result<&dyn Source, SourceError> {
        match (self.privacy.route(module_path), &self.private) {
            (Route::Public, _) => Ok(&*self.public),
            (Route::Private, Ok(private)) => Ok(&**private),
            (Route::Private, Err(why)) => Err(SourceError::new(
                SourceErrorKind::PrivateUnserved,
                format!(
                    "`{module_path}` is private here (the patterns are `{}`), and {why}: let the go command \
                     fetch it directly by naming it in GONOPROXY, or take it out of the server's private patterns",
                    self.privacy.private.as_str()
                ),
            )),
        }
    }
}

#[async_trait]
impl Source for PrivateAware {
    async fn list(&self, module_path: &ModulePath) -> Result<Listing, SourceError> {
        self.source_for(module_path)?.list(module_path).await
    }

    async fn latest(&self, module_path: &ModulePath) -> Result<Resolved, SourceError> {
        self.source_for(module_path)?.latest(module_path).await
    }

    async fn resolve(
        &self,
        module_path: &ModulePath,
        revision: &Revision,
    ) -> Result<Resolved, SourceError> {
        let source = self.source_for(module_path)?;
        source.resolve(module_path, revision).await
    }

    async fn fetch(
        &self,
        module: &ModuleVersion,
        kind: FileKind,
        sink: &mut dyn Sink,
    ) -> Result<Fetched, SourceError> {
        let source = self.source_for(module.path())?;
        source.fetch(module, kind, sink).await
    }

    fn name(&self) -> SourceName {
        self.public.name()
    }
}
