//! The one function that decides where a module's name may be said.
use gomod::{ModulePath, PathPatterns};

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
