//! For tests only: real servers on loopback that count, stall, cut and lie, and the real binary.
//!
//! Behaviour tests are plain `#[test]` functions: everything here has a blocking interface, and what
//! is asynchronous inside runs on one runtime of this crate. A test reads: given an upstream with
//! these modules, when HTTP or `go` asks Larder, then the client sees this and the upstream was
//! asked n times.
//!
//! - [`Module`] makes the three files of a module version, as Go makes them or wrong in a chosen way.
//! - [`FakeUpstream`] serves modules, counts every request, and misbehaves as a [`Behaviour`] says;
//!   what must wait, waits at a [`Gate`] that the test opens, so that no test needs to sleep.
//! - A [`Pipe`] is the network between two of them, which can be slow, stall, reset and refuse; [`Twins`]
//!   are two upstreams behind pipes, with the same modules in different bytes.
//! - [`FakeSumdb`] is a checksum database with a key of its own, which can fork, roll back and fail.
//! - [`Larder`] runs the real binary, [`GoCommand`] the real `go`, both in an environment of their own.
//! - [`Connection`] and [`http2`] are clients that say exactly what the test wants said.
//! - [`GitRepository`] makes real repositories; [`GitHttpServer`] and [`SshServer`] serve them, and
//!   [`ForwardProxy`] gives a server the name of a host that does not exist.
//! - [`TestCa`] makes certificates at run time, so that none can expire in the repository.
//!
//! Nothing here dials outside loopback: each dial goes through [`assert_loopback`]. The crate knows
//! nothing of Larder's own types, so that a fault there cannot hide itself here: hashes, zips and
//! escapes are computed a second time. The one exception is [`FakeSumdb`], whose log is `gomod`'s and
//! which the real go command checks.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    reason = "this crate is for tests: it fails loudly, starts processes and reads the environment"
)]

mod ca;
mod client;
pub mod faults;
mod gate;
mod git;
mod go_command;
pub mod http2;
mod larder;
mod module;
pub mod oracle;
mod pipe;
mod sumdb;
#[cfg(test)]
mod tests;
mod twins;
mod upstream;
mod zip;

pub use ca::{Leaf, TestCa};
pub use client::{Answer, Connection, Ending, Head};
pub use gate::Gate;
pub use git::{ForwardProxy, GitHttpServer, GitRepository, NewCommit, SshServer, TlsRelay};
pub use go_command::{GoCommand, GoOutput};
pub use larder::{Exited, Larder, LarderBuilder};
pub use module::{LargeZip, Module, ZipVariant, escape, sha256_hex};
pub use pipe::{Link, Passed, Pipe};
pub use sumdb::FakeSumdb;
pub use twins::{Fault, Twin, Twins};
pub use upstream::{Behaviour, FakeUpstream, FakeUpstreamBuilder, Mounted, Seen};

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long a test waits for what must happen before it fails: `LARDER_TEST_PATIENCE_SECONDS`, by
/// default 60 seconds. No test waits for this long unless it fails.
pub fn patience() -> Duration {
    static PATIENCE: OnceLock<Duration> = OnceLock::new();
    *PATIENCE.get_or_init(|| {
        let seconds = std::env::var("LARDER_TEST_PATIENCE_SECONDS").ok();
        Duration::from_secs(seconds.map_or(60, |text| text.parse().expect("whole seconds")))
    })
}

/// Asks `condition` again and again until it answers `Some`, and fails the test after [`patience`].
#[track_caller]
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(
            start.elapsed() < patience(),
            "did not happen within {:?}: {what}",
            patience()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Refuses every address but loopback: a test cannot leave the machine.
#[track_caller]
pub fn assert_loopback(address: SocketAddr) {
    assert!(
        address.ip().is_loopback(),
        "a test may not dial {address}: only loopback"
    );
}

/// The runtime that the fakes of all tests share.
pub(crate) fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
    })
}
