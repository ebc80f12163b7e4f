//! Where the repository is and which files it tracks.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, process};

/// The folder with the workspace's `Cargo.toml`. Known at compile time: this program is always run
/// from the tree it was built from.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a folder of the workspace")
}

/// The files that git tracks or would track (new ones that are not ignored), relative to the root,
/// sorted. Deleted ones are left out.
pub(crate) fn files() -> Outcome<Vec<PathBuf>> {
    let listing = process::output(
        Command::new("git")
            .args([
                "ls-files",
                "--cached",
                "--others",
                "--exclude-standard",
                "-z",
            ])
            .current_dir(root()),
    )?;
    let mut files: Vec<PathBuf> = listing
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(PathBuf::from)
        .filter(|file| root().join(file).is_file())
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// Where cargo puts what it builds (`CARGO_TARGET_DIR` and the user's configuration included).
pub(crate) fn target_folder() -> Outcome<PathBuf> {
    let metadata = process::output(
        process::cargo()
            .args(["metadata", "--format-version", "1", "--no-deps"])
            .current_dir(root()),
    )?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let folder = metadata["target_directory"]
        .as_str()
        .ok_or("cargo metadata names no target folder")?;
    Ok(PathBuf::from(folder))
}
