//! How many files and connections the process may have open.
//!
//! Each connection is a descriptor, and the soft limit that shells and service managers hand out
//! (1024) is that low only for programs that call `select`; Larder doesn't.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one. Where that is refused, the old one stays, which is enough
/// for a small team. Programs that are started from then on inherit the raised limit.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, ?limit, "the limit of open files can't be raised");
    }
}
