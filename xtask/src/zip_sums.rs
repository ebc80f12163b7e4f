//! `cargo xtask zip-sums [N]`: the zips that Larder makes of repositories, against the table of hashes that
//! comes with the Go installation.
//!
//! This program only says where things are; the comparison is `crates/source/examples/zip_sums.rs`, because it
//! needs the very code that makes zips. Downloads go to the module proxies of this machine's go environment,
//! one after the other, and are kept in the target folder: a second run asks nobody.

use std::process::Command;

use crate::process::{cargo, output, run};
use crate::{Outcome, repository};

/// How many modules are compared if nobody says.
const MODULES: usize = 60;

/// The table, below GOROOT.
const TABLE: &str = "src/cmd/go/internal/modfetch/zip_sum_test/testdata/zip_sums.csv";

/// # Errors
/// Zips that differ, or too few that could be downloaded.
pub(crate) fn compare(modules: Option<&str>) -> Outcome {
    let modules: usize = match modules {
        Some(number) => number
            .parse()
            .map_err(|error| format!("`{number}` is no number of modules: {error}"))?,
        None => MODULES,
    };
    let environment = output(Command::new("go").args(["env", "GOROOT", "GOPROXY"]))?;
    let mut lines = environment.lines();
    let (Some(goroot), Some(proxies)) = (lines.next(), lines.next()) else {
        return Err("`go env` names no GOROOT and GOPROXY".into());
    };
    run(cargo()
        .args(["run", "--quiet", "--package", "source"])
        .args(["--example", "zip_sums", "--"])
        .args([&format!("{goroot}/{TABLE}"), proxies])
        .arg(repository::target_folder()?.join("zip-sums"))
        .arg(modules.to_string())
        .current_dir(repository::root()))
}
