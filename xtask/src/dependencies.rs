//! The dependency policy, checked without a network: the licences and the banned crates of
//! `deny.toml`, against what cargo would really build for any target.
//!
//! `cargo deny` reads the same file where it is installed and adds what needs a network
//! (advisories). `Cargo.lock` alone is not the truth here: it also names crates that a weak feature
//! could pull in and that nothing builds.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::process::{cargo, output};
use crate::{Outcome, repository};

#[derive(Deserialize)]
struct Policy {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

/// # Errors
/// Every crate that the policy refuses, each with why.
pub(crate) fn check() -> Outcome {
    let policy: Policy = toml::from_str(&fs_err::read_to_string(
        repository::root().join("deny.toml"),
    )?)?;
    let tree = output(
        cargo()
            .args([
                "tree",
                "--workspace",
                "--target",
                "all",
                "--edges",
                "all",
                "--prefix",
                "none",
            ])
            .args(["--format", "{p}|{l}", "--locked"])
            .current_dir(repository::root()),
    )?;
    let crates: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter_map(|line| line.strip_suffix(" (*)").unwrap_or(line).split_once('|'))
        .collect();
    let mut refused = Vec::new();
    for (package, license) in &crates {
        let name = package.split_whitespace().next().unwrap_or(package);
        if let Some(ban) = policy.bans.deny.iter().find(|ban| ban.name == name) {
            refused.push(format!("{package} is banned: {}", ban.reason));
        }
        if !allowed(license, &policy.licenses.allow) {
            refused.push(format!(
                "{package}: `{license}` is not among the licences of deny.toml"
            ));
        }
    }
    println!("{} crates, {} refused", crates.len(), refused.len());
    if refused.is_empty() {
        Ok(())
    } else {
        Err(refused.join("\n").into())
    }
}

/// Whether an SPDX expression can be met with the allowed licences alone. `/` is how crates wrote
/// `OR` before SPDX; `AND` binds tighter than `OR`. What cannot be read is not allowed.
fn allowed(expression: &str, licenses: &BTreeSet<String>) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader {
        words: &words,
        licenses,
    };
    reader
        .alternatives()
        .is_some_and(|met| met && reader.words.is_empty())
}

struct Reader<'a> {
    words: &'a [&'a str],
    licenses: &'a BTreeSet<String>,
}

impl Reader<'_> {
    fn next_is(&mut self, word: &str) -> bool {
        match self.words.split_first() {
            Some((first, rest)) if *first == word => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }

    fn alternatives(&mut self) -> Option<bool> {
        let mut met = self.all_of()?;
        while self.next_is("OR") {
            met |= self.all_of()?;
        }
        Some(met)
    }

    fn all_of(&mut self) -> Option<bool> {
        let mut met = self.one()?;
        while self.next_is("AND") {
            met &= self.one()?;
        }
        Some(met)
    }

    fn one(&mut self) -> Option<bool> {
        if self.next_is("(") {
            let met = self.alternatives()?;
            return self.next_is(")").then_some(met);
        }
        let (license, rest) = self.words.split_first()?;
        self.words = rest;
        if self.next_is("WITH") {
            let (exception, rest) = self.words.split_first()?;
            self.words = rest;
            return Some(
                self.licenses
                    .contains(&format!("{license} WITH {exception}")),
            );
        }
        Some(self.licenses.contains(*license))
    }
}

#[cfg(test)]
mod tests {
    use super::allowed;

    #[test]
    fn a_licence_expression_is_met_by_allowed_licences_only() {
        let licenses = ["MIT", "Apache-2.0", "ISC", "Apache-2.0 WITH LLVM-exception"]
            .map(str::to_owned)
            .into();
        for (expression, met) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("GPL-3.0 OR MIT", true),
            ("Unlicense/MIT", true),
            ("Apache-2.0 / MIT", true),
            ("MIT AND GPL-3.0", false),
            ("ISC AND (Apache-2.0 OR GPL-3.0)", true),
            ("GPL-3.0 AND MIT OR ISC", true),
            ("GPL-3.0 AND (MIT OR ISC)", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("MIT WITH LLVM-exception", false),
            ("(MIT", false),
            ("MIT MIT", false),
            ("", false),
        ] {
            assert_eq!(allowed(expression, &licenses), met, "{expression}");
        }
    }
}
