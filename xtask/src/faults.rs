//! `cargo xtask faults`: the whole fault lab. The real go, git and openssl are asked again about every case,
//! and `larder doctor` is put before all of them; both tables are printed. Takes some minutes, because silence
//! is a fault too. Everything is on loopback.

use crate::process::{cargo, run};
use crate::{Outcome, repository};

/// # Errors
/// If a witness says something else than was recorded, or the doctor is right too seldom.
pub(crate) fn run_all() -> Outcome {
    tests(&["-p", "testkit", "--lib", "faults::"])?;
    tests(&["-p", "larder", "--test", "it", "faults::the_doctor"])
}

fn tests(arguments: &[&str]) -> Outcome {
    run(cargo()
        .arg("test")
        .args(arguments)
        .args(["--", "--nocapture"])
        .env("LARDER_FAULTS", "all")
        .current_dir(repository::root()))
}
