//! The walls of the architecture that no lint and no type can hold: which crate may use which, and
//! which words belong to one place only.
//!
//! The scans look at product code line by line. They know nothing of Rust beyond comments: a wall is
//! a name that must not be written elsewhere, and that is easily seen.

use std::path::Path;

use crate::process::{cargo, output};
use crate::{Outcome, repository};

/// What each crate of ours may build upon; a crate that is not named here has no wall yet, and that
/// is an error too. Dependencies for tests are free.
const MAY_USE: &[(&str, &[&str])] = &[
    ("diagnosis", &[]),
    ("gomod", &[]),
    ("heap", &[]),
    ("store", &["gomod"]),
    // One catalogue of causes for what a log shows and what a probe sees.
    ("tlsdoctor", &["diagnosis"]),
    ("source", &["gomod"]),
    ("proxy", &["gomod", "store", "source"]),
    (
        "larder",
        &[
            "diagnosis",
            "gomod",
            "heap",
            "store",
            "source",
            "proxy",
            "tlsdoctor",
        ],
    ),
    ("testkit", &["gomod", "store", "source", "proxy"]),
    ("fuzz", &["diagnosis", "gomod", "proxy", "tlsdoctor"]),
    ("xtask", &[]),
];

/// Words that only some places may write.
struct Wall {
    words: &'static [&'static str],
    /// The folder that the wall guards.
    within: &'static str,
    /// Paths that may write the words: a file, or every file below a folder or with that beginning.
    allowed: &'static [&'static str],
    reason: &'static str,
}

const WALLS: &[Wall] = &[
    Wall {
        words: &[
            "std::process::Command",
            "tokio::process",
            "process::Command",
            "Command::new",
        ],
        within: "crates/",
        allowed: &[
            "crates/source/src/git",
            // A program that the operator's own credential rule names.
            "crates/source/src/credentials/command.rs",
            "crates/larder/src/exec",
            "crates/larder/src/commands/exec",
            "crates/testkit/",
        ],
        reason: "only git transport, an operator's credential command and `larder exec` start processes",
    },
    Wall {
        words: &["StatusCode"],
        within: "crates/",
        allowed: &[
            "crates/proxy/src/serve",
            "crates/proxy/src/observe",
            "crates/source/src/http_client.rs",
            "crates/source/src/upstream.rs",
            "crates/source/src/discovery.rs",
            "crates/testkit/",
        ],
        reason: "only `proxy/serve` decides on HTTP statuses; `observe` counts them, and an upstream's are read where it is asked",
    },
    Wall {
        words: &[
            "std::fs",
            "fs_err",
            "std::net",
            "tokio::",
            "SystemTime",
            "Instant",
        ],
        within: "crates/gomod/",
        allowed: &[],
        reason: "`gomod` is the language only: no IO, no clock, no async",
    },
    Wall {
        words: &[
            "std::fs",
            "fs_err",
            "std::net",
            "tokio::",
            "SystemTime",
            "Instant",
            "println!",
        ],
        within: "crates/diagnosis/src/",
        allowed: &[],
        reason: "`diagnosis` turns text into findings: no IO, no clock, nothing printed",
    },
    Wall {
        words: &["unsafe {", "unsafe_code"],
        within: "crates/",
        allowed: &["crates/heap/"],
        reason: "`heap` holds the one piece of unsafe code",
    },
    Wall {
        words: &["todo!", "unimplemented!", "TODO", "FIXME", "#[ignore"],
        within: "crates/",
        allowed: &[],
        reason: "nothing is left open in what lands",
    },
];

/// # Errors
/// Every broken wall, with file, line and the wall's reason.
pub(crate) fn check() -> Outcome {
    let mut broken = crate_edges()?;
    for file in repository::files()? {
        let Some(name) = file.to_str().filter(|name| name.ends_with(".rs")) else {
            continue;
        };
        if is_test(&file) {
            continue;
        }
        let text = fs_err::read_to_string(repository::root().join(&file))?;
        broken.extend(broken_walls(name, &text));
    }
    if broken.is_empty() {
        Ok(())
    } else {
        Err(broken.join("\n").into())
    }
}

/// The dependencies between our own crates that are not in the table.
fn crate_edges() -> Outcome<Vec<String>> {
    let metadata = output(
        cargo()
            .args(["metadata", "--format-version", "1", "--no-deps"])
            .current_dir(repository::root()),
    )?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"]
        .as_array()
        .ok_or("cargo metadata lists no packages")?;
    let mut broken = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
            broken.push(format!(
                "crate `{name}` has no wall: say in xtask/src/walls.rs what it may use"
            ));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let used = dependency["name"].as_str().unwrap_or_default();
            let ours = dependency["path"].is_string();
            let for_tests = dependency["kind"] == "dev";
            if ours && !for_tests && !allowed.contains(&used) {
                broken.push(format!(
                    "crate `{name}` uses `{used}`: allowed are {allowed:?}"
                ));
            }
        }
    }
    Ok(broken)
}

/// Tests live in `tests.rs` beside the module, or in a `tests` folder.
fn is_test(file: &Path) -> bool {
    file.iter().any(|part| part == "tests")
        || file.file_name().is_some_and(|name| name == "tests.rs")
}

fn broken_walls(file: &str, text: &str) -> Vec<String> {
    let walls: Vec<&Wall> = WALLS
        .iter()
        .filter(|wall| {
            file.starts_with(wall.within)
                && !wall.allowed.iter().any(|allowed| file.starts_with(allowed))
        })
        .collect();
    let mut broken = Vec::new();
    for (number, line) in text.lines().enumerate() {
        // Short test modules end their file (house style: top-down, tests last).
        if line.trim() == "#[cfg(test)]"
            && text
                .lines()
                .nth(number + 1)
                .is_some_and(|next| next.ends_with('{'))
        {
            break;
        }
        let code = line.split("//").next().unwrap_or(line);
        for wall in &walls {
            if let Some(word) = wall.words.iter().find(|word| code.contains(*word)) {
                broken.push(format!("{file}:{}: `{word}`: {}", number + 1, wall.reason));
            }
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::broken_walls;

    #[test]
    fn a_word_behind_a_wall_is_found_in_code_only() {
        let check = |file: &str, text: &str, lines: &[usize]| {
            let found: Vec<usize> = broken_walls(file, text)
                .iter()
                .filter_map(|message| message.split(':').nth(1)?.parse().ok())
                .collect();
            assert_eq!(found, lines, "{file}: {text}");
        };
        check(
            "crates/store/src/disk.rs",
            "let a = 1;\nuse http::StatusCode;\n",
            &[2],
        );
        check(
            "crates/store/src/disk.rs",
            "// StatusCode is not ours to name\n",
            &[],
        );
        check(
            "crates/proxy/src/serve/error.rs",
            "use http::StatusCode;\n",
            &[],
        );
        check(
            "crates/gomod/src/path.rs",
            "use std::fs;\n#[cfg(test)]\nmod tests {\nuse std::fs;\n",
            &[1],
        );
        check("crates/store/src/disk.rs", "use std::fs;\n", &[]);
        check(
            "crates/source/src/upstream.rs",
            "std::process::Command::new(\"git\")",
            &[1],
        );
    }
}
