//! `cargo xtask oracle`: the stock go command as the judge of `direct`.
//!
//! The work is done by testkit's program of that name, which makes repositories of every shape and lets the Go
//! installation make those of its own tests; `go` and Larder are asked for every tag, branch, commit and for
//! what there is not, and every difference is shown. What `go` said is kept below the target folder, so that a second
//! run only asks Larder.

use std::path::PathBuf;

use crate::process::{cargo, run as run_command};
use crate::{Outcome, repository};

/// Compares everything. `filter`: only module paths that contain this text.
///
/// # Errors
/// Differences, which the program has printed by then.
pub(crate) fn run(filter: Option<&str>) -> Outcome {
    // What is compared are answers, not speed: the binary that the tests use is built already.
    run_command(
        cargo()
            .args(["build", "--package", "larder", "--package", "testkit"])
            .current_dir(repository::root()),
    )?;
    let target = repository::target_folder()?;
    let built = target.join("debug").join("larder");
    let binary = std::env::var_os("XTASK_LARDER").map_or(built, PathBuf::from);
    let mut command = std::process::Command::new(target.join("debug").join("oracle"));
    command.arg(binary).arg(target.join("oracle"));
    if let Some(filter) = filter {
        command.arg(filter);
    }
    run_command(command.current_dir(repository::root()))
}
