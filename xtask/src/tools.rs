//! What the tests need beyond cargo: installed where that is one safe command, and otherwise named
//! together with the way to get it. Nothing is skipped silently.

use std::path::PathBuf;
use std::process::Command;

use crate::{Outcome, process};

/// Whether this run is CI's: there nothing may be missing.
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// Makes sure that all tools are there. Errors name everything that is missing at once.
///
/// A missing `go` or `sshd` is an error in CI only: elsewhere the tests that drive them say themselves
/// that they could not run.
pub(crate) fn check() -> Outcome {
    let mut missing = Vec::new();
    for component in ["rustfmt", "clippy"] {
        if let Err(cure) = rust_component(component) {
            missing.push(cure);
        }
    }
    if !process::answers("git", &["--version"]) {
        missing.push("git: install your system's package `git`".to_owned());
    }
    if !process::answers("cc", &["--version"]) {
        missing.push(
            "cc: the crypto library is built with a C compiler (package `gcc` or `clang`)"
                .to_owned(),
        );
    }
    if !process::answers("go", &["version"]) {
        let cure = "go: install Go (https://go.dev/doc/install) and put `go` on the PATH";
        if in_ci() {
            missing.push(cure.to_owned());
        } else {
            eprintln!("missing, so the tests that drive the go command cannot run:\n  {cure}");
        }
    }
    if !sshd_is_there() {
        if in_ci() {
            install_sshd();
        }
        let cure = "sshd: install your system's package `openssh-server` (the tests start one of their own; none needs to run)";
        if !sshd_is_there() && in_ci() {
            missing.push(cure.to_owned());
        } else if !sshd_is_there() {
            eprintln!("missing, so the tests of git over SSH cannot run:\n  {cure}");
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("missing on this machine:\n  {}", missing.join("\n  ")).into())
}

/// Where Debian and others put `sshd`, which is on nobody's PATH but root's.
fn sshd_is_there() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .any(|folder| folder.join("sshd").is_file())
}

/// Installs Debian's `openssh-server`. Only done in CI: on a person's machine the package would start a server.
fn install_sshd() {
    println!("sshd is missing: trying `apt-get install openssh-server`");
    // Whether it worked is told by whether `sshd` is there.
    let _ = Command::new("apt-get").args(["update", "--quiet"]).status();
    let _ = Command::new("apt-get")
        .args([
            "install",
            "--yes",
            "--quiet",
            "--no-install-recommends",
            "openssh-server",
        ])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status();
}

/// The component's own cargo command answers, or rustup can add it.
fn rust_component(component: &str) -> Result<(), String> {
    let subcommand = if component == "rustfmt" {
        "fmt"
    } else {
        component
    };
    let present = || {
        process::cargo()
            .args([subcommand, "--version"])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if present() {
        return Ok(());
    }
    println!("{component} is missing: trying `rustup component add {component}`");
    // Whether it worked is told by the component itself.
    let _ = Command::new("rustup")
        .args(["component", "add", component])
        .status();
    if present() {
        return Ok(());
    }
    Err(format!(
        "{component}: run `rustup component add {component}`, or install it with the package manager that \
         installed Rust"
    ))
}
