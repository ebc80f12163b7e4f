//! What a user sees of the real binary: over HTTP, through the real go command, and at its exit.
//!
//! Every test starts its own server and its own upstream on loopback; what upstream was asked is
//! counted. `testkit` says how. One binary for all, so that it links once.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests fail loudly and read what the process left behind"
)]

mod broken_twin;
mod cache;
mod checksum;
mod compare;
mod crash;
mod credentials;
mod direct;
mod doctor;
mod env;
mod fallback;
mod faults;
mod fill;
mod follow;
mod go_command;
mod groups;
mod lane;
mod offline;
mod oracle;
mod prefetch;
mod protocol;
mod refresh;
mod startup;
mod tls;
mod trace;
mod upstream_faults;

use testkit::{Answer, FakeUpstream, Larder, LarderBuilder, Module, eventually};

/// The binary under test.
fn larder() -> LarderBuilder {
    Larder::builder(env!("CARGO_BIN_EXE_larder"))
}

/// The binary under test in front of one upstream.
fn larder_over(upstream: &FakeUpstream) -> Larder {
    larder().upstream(upstream.url()).start()
}

/// A small module.
fn hello() -> Module {
    Module::new("example.com/hello", "v1.0.0")
}

/// The line on stderr that a developer pastes into a shell.
fn paste_line(larder: &Larder) -> String {
    eventually("the line to paste", || {
        let stderr = larder.stderr();
        let line = stderr.lines().find(|line| line.starts_with("export "))?;
        Some(line.to_owned())
    })
}

/// Fails the test unless the answer is an error as the go command can print it: plain text of at most
/// 8 lines and 600 bytes.
#[track_caller]
fn expect_error(answer: Answer, status: u16) -> String {
    let answer = answer.expect_status(status);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    let text = answer.text();
    assert!(!text.trim().is_empty(), "an error without a word");
    assert!(
        text.len() <= 600 && text.lines().count() <= 8,
        "{} bytes: {text}",
        text.len()
    );
    assert!(
        text.lines().all(|line| !line.trim().is_empty()),
        "go stops at a blank line: {text}"
    );
    text
}

/// Fails the test unless `text` holds each of `parts`.
#[track_caller]
fn expect_parts(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
}
