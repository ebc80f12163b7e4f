//! What the directives of a go.mod file mean, and the faults that they can have.
use super::syntax::{Block, Comments, Line, Listener};
use super::{
    Exclude, GoDirective, Godebug, Ignore, MAX_ERRORS, ModFile, ModFileError, ModFileErrors, Mode,
    Module, Replace, Replacement, Require, Retract, Tool, Toolchain,
};
use crate::quote::{quote, unquote};
use crate::{Version, path, semver, version};

const BAD_REPLACE: &str = "usage: replace module/path [v1.2.3] => other/module v1.4\n\t or replace module/path [v1.2.3] => ../local/directory";

/// A file that is being read.
pub(super) struct Reading {
    mode: Mode,
    file: ModFile,
    errors: Vec<ModFileError>,
    /// The block that was opened last has no meaning, so its lines have none.
    skips_block: bool,
}

impl Listener for Reading {
    fn block(&mut self, block: &Block<'_>) {
        self.skips_block = !matches!(
            block.words.as_slice(),
            ["module"
                | "godebug"
                | "require"
                | "exclude"
                | "replace"
                | "retract"
                | "tool"
                | "ignore"]
        );
        if self.skips_block && self.mode == Mode::Strict && self.has_room() {
            // Only a quotation: a line may have millions of words.
            let words = block.words.get(..16).unwrap_or(&block.words).join(" ");
            self.errors.push(ModFileError {
                position: block.position,
                text: format!("unknown block type: {words}"),
            });
        }
    }

    fn line(&mut self, line: &Line<'_>, block: Option<&Block<'_>>) {
        let (verb, arguments) = match (block, line.words.split_first()) {
            (Some(_), _) if self.skips_block => return,
            (Some(block), _) => (block.words.first().copied(), line.words.as_slice()),
            (None, Some((verb, arguments))) => (Some(*verb), arguments),
            (None, None) => return,
        };
        let result = self.directive(verb.unwrap_or_default(), arguments, line, block);
        if let Err(text) = result
            && self.has_room()
        {
            self.errors.push(ModFileError {
                position: line.position,
                text,
            });
        }
    }
}

impl Reading {
    pub(super) fn new(mode: Mode) -> Self {
        Self {
            mode,
            file: ModFile::default(),
            errors: Vec::new(),
            skips_block: false,
        }
    }

    pub(super) fn finish(self) -> Result<ModFile, ModFileErrors> {
        if self.errors.is_empty() {
            Ok(self.file)
        } else {
            Err(ModFileErrors(self.errors))
        }
    }

    fn has_room(&self) -> bool {
        self.errors.len() < MAX_ERRORS
    }

    fn directive(
        &mut self,
        verb: &str,
        arguments: &[&str],
        line: &Line<'_>,
        block: Option<&Block<'_>>,
    ) -> Result<(), String> {
        // The rest concerns the main module only, or a Go that is yet to come.
        let matters_to_all = matches!(verb, "go" | "module" | "retract" | "require" | "ignore");
        if self.mode == Mode::Lax && !matters_to_all {
            return Ok(());
        }
        let position = line.position;
        match verb {
            "module" => self.module(arguments, line, block)?,
            "go" => self.go(arguments, line)?,
            "toolchain" => {
                if self.file.toolchain.is_some() {
                    return Err("repeated toolchain statement".into());
                }
                let name = only(
                    arguments,
                    "toolchain directive expects exactly one argument",
                )?;
                if !(matches!(name, "default" | "go1") || name.starts_with("go1.")) {
                    return Err(format!(
                        "invalid toolchain version '{name}': must match format go1.23.0 or default"
                    ));
                }
                self.file.toolchain = Some(Toolchain {
                    name: name.into(),
                    position,
                });
            }
            "godebug" => {
                let usage = "usage: godebug key=value";
                let (key, value) = only(arguments, usage)?.split_once('=').ok_or(usage)?;
                if [key, value]
                    .iter()
                    .any(|part| part.contains(['"', '`', '\'', ',']))
                {
                    return Err(usage.into());
                }
                self.file.godebug.push(Godebug {
                    key: key.into(),
                    value: value.into(),
                    position,
                });
            }
            "require" => {
                let (path, version) = path_and_version(verb, arguments)?;
                self.file.require.push(Require {
                    path,
                    version,
                    indirect: is_indirect(&line.comments),
                    position,
                });
            }
            "exclude" => {
                let (path, version) = path_and_version(verb, arguments)?;
                self.file.exclude.push(Exclude {
                    path,
                    version,
                    position,
                });
            }
            "replace" => {
                let (path, version, replacement) = replace(arguments)?;
                self.file.replace.push(Replace {
                    path,
                    version,
                    replacement,
                    position,
                });
            }
            "retract" => self.retract(arguments, line, block)?,
            "tool" => {
                let path = one_string(verb, arguments)?;
                self.file.tool.push(Tool { path, position });
            }
            "ignore" => {
                let path = one_string(verb, arguments)?;
                self.file.ignore.push(Ignore { path, position });
            }
            _ => return Err(format!("unknown directive: {verb}")),
        }
        Ok(())
    }

    fn module(
        &mut self,
        arguments: &[&str],
        line: &Line<'_>,
        block: Option<&Block<'_>>,
    ) -> Result<(), String> {
        if self.file.module.is_some() {
            return Err("repeated module statement".into());
        }
        let comment = comment_text(line, block);
        let module = self.file.module.insert(Module {
            path: String::new(),
            deprecated: deprecation(&comment).map(str::to_owned),
            position: line.position,
        });
        module.path = string(only(arguments, "usage: module module/path")?)?;
        Ok(())
    }

    fn go(&mut self, arguments: &[&str], line: &Line<'_>) -> Result<(), String> {
        if self.file.go.is_some() {
            return Err("repeated go statement".into());
        }
        let text = only(arguments, "go directive expects exactly one argument")?;
        let version = if is_go_version(text) {
            Some(text)
        } else if self.mode == Mode::Lax {
            start_of_go_version(text)
        } else {
            None
        };
        let Some(version) = version else {
            return Err(format!(
                "invalid go version '{text}': must match format 1.23.0"
            ));
        };
        self.file.go = Some(GoDirective {
            version: version.into(),
            position: line.position,
        });
        Ok(())
    }

    fn retract(
        &mut self,
        arguments: &[&str],
        line: &Line<'_>,
        block: Option<&Block<'_>>,
    ) -> Result<(), String> {
        let (low, high, rest) = match interval(arguments) {
            Ok(interval) => interval,
            // There may be other forms one day, and a dependency that uses them must stay usable.
            Err(_) if self.mode == Mode::Lax => return Ok(()),
            Err(reason) => return Err(reason),
        };
        if let (Some(extra), Mode::Strict) = (rest.first(), self.mode) {
            return Err(format!("unexpected token after version: {}", quote(extra)));
        }
        self.file.retract.push(Retract {
            low,
            high,
            rationale: comment_text(line, block),
            position: line.position,
        });
        Ok(())
    }
}

fn only<'a>(arguments: &[&'a str], usage: &str) -> Result<&'a str, String> {
    match arguments {
        [argument] => Ok(argument),
        _ => Err(usage.into()),
    }
}

fn one_string(verb: &str, arguments: &[&str]) -> Result<String, String> {
    match arguments {
        [argument] => string(argument),
        _ => Err(format!("{verb} directive expects exactly one argument")),
    }
}

/// A path, quoted or not.
fn string(word: &str) -> Result<String, String> {
    bare_string(word).map_err(|reason| format!("invalid quoted string: {reason}"))
}

fn bare_string(word: &str) -> Result<String, &'static str> {
    if word.starts_with('"') {
        return unquote(word).ok_or("invalid syntax");
    }
    // Go keeps the other quotes for later, so backquoted strings are words but not yet values.
    if word.contains(['"', '\'', '`']) {
        return Err("unquoted string cannot contain quote");
    }
    Ok(word.into())
}

fn bad_version(verb: &str, module_path: &str, word: &str, reason: &str) -> String {
    let place = if module_path.is_empty() {
        verb.to_owned()
    } else {
        format!("{verb} {module_path}")
    };
    format!("{place}: version {} invalid: {reason}", quote(word))
}

/// A version, made canonical.
fn canonical(verb: &str, module_path: &str, word: &str) -> Result<Version, String> {
    let fault = |text: &str, reason: &str| bad_version(verb, module_path, text, reason);
    let text = bare_string(word).map_err(|reason| fault(word, reason))?;
    let mut canonical = semver::canonical(&text);
    if semver::build(&text) == "+incompatible" {
        canonical.push_str("+incompatible");
    }
    Version::parse(&canonical).map_err(|_| fault(&text, "must be of the form v1.2.3"))
}

/// The `/v2`, `.v2` or empty end of a path.
fn path_major(module_path: &str) -> Result<&str, String> {
    match path::split_path_version(module_path) {
        Some((_, major)) => Ok(major),
        None => Err("invalid module path".into()),
    }
}

fn check_major(verb: &str, module_path: &str, version: &Version) -> Result<(), String> {
    version::check_path_major(version.as_str(), path_major(module_path)?).map_err(|reason| {
        let version = quote(version.as_str());
        format!("{verb} {module_path}: version {version} invalid: {reason}")
    })
}

fn path_and_version(verb: &str, arguments: &[&str]) -> Result<(String, Version), String> {
    let [path, version] = arguments else {
        return Err(format!("usage: {verb} module/path v1.2.3"));
    };
    let path = string(path)?;
    let version = canonical(verb, &path, version)?;
    check_major(verb, &path, &version)?;
    Ok((path, version))
}

fn replace(arguments: &[&str]) -> Result<(String, Option<Version>, Replacement), String> {
    let verb = "replace";
    let (path, version, replacement) = match arguments {
        [path, "=>", replacement @ ..] => (path, None, replacement),
        [path, version, "=>", replacement @ ..] => (path, Some(*version), replacement),
        _ => return Err(BAD_REPLACE.into()),
    };
    let (new_path, new_version) = match replacement {
        [new_path] => (new_path, None),
        [new_path, new_version] => (new_path, Some(*new_version)),
        _ => return Err(BAD_REPLACE.into()),
    };
    let path = string(path)?;
    path_major(&path).map_err(|reason| format!("{verb} {path}: {reason}"))?;
    let version = match version {
        Some(word) => {
            let version = canonical(verb, &path, word)?;
            check_major(verb, &path, &version)?;
            Some(version)
        }
        None => None,
    };
    let new_path = string(new_path)?;
    let is_directory = is_directory_path(&new_path);
    let replacement = match new_version {
        Some(word) => {
            let version = canonical(verb, &new_path, word)?;
            if is_directory {
                return Err(format!(
                    "replacement module directory path {} cannot have version",
                    quote(&new_path)
                ));
            }
            Replacement::Module {
                path: new_path,
                version,
            }
        }
        None if is_directory && new_path.contains('\\') => {
            return Err(
                "replacement directory appears to be Windows path (on a non-windows system)".into(),
            );
        }
        None if is_directory => Replacement::Directory(new_path),
        None if new_path.contains('@') => {
            return Err(
                "replacement module must match format 'path version', not 'path@version'".into(),
            );
        }
        None => {
            return Err("replacement module without version must be directory path (rooted or starting with . or ..)".into());
        }
    };
    Ok((path, version, replacement))
}

/// Go's `modfile.IsDirectoryPath`: the forms of all systems, because go.mod files travel.
fn is_directory_path(text: &str) -> bool {
    let has_drive = matches!(text.as_bytes(), [drive, b':', ..] if drive.is_ascii_alphabetic());
    matches!(text, "." | "..")
        || ["./", ".\\", "../", "..\\", "/", "\\"]
            .iter()
            .any(|start| text.starts_with(start))
        || has_drive
}

/// `v1.2.3` or `[v1.2.3, v1.3.0]`, and what follows it.
fn interval<'a, 't>(words: &'a [&'t str]) -> Result<(String, String, &'a [&'t str]), String> {
    let version =
        |word: &str| bare_string(word).map_err(|reason| bad_version("retract", "", word, reason));
    let expected = |what: &str| Err(format!("expected {what}"));
    let (first, rest) = match words.split_first() {
        None | Some((&"(", _)) => return expected("'[' or version"),
        Some(split) => split,
    };
    if *first != "[" {
        let single = version(first)?;
        return Ok((single.clone(), single, rest));
    }
    let Some((low, rest)) = rest.split_first() else {
        return expected("version after '['");
    };
    let low = version(low)?;
    let Some((&",", rest)) = rest.split_first() else {
        return expected("',' after version");
    };
    let Some((high, rest)) = rest.split_first() else {
        return expected("version after ','");
    };
    let high = version(high)?;
    let Some((&"]", rest)) = rest.split_first() else {
        return expected("']' after version");
    };
    Ok((low, high, rest))
}

/// `// indirect` alone, or with more behind a semicolon.
fn is_indirect(comments: &Comments<'_>) -> bool {
    let Some(comment) = comments.suffix else {
        return false;
    };
    let text = comment.strip_prefix("//").unwrap_or(comment);
    let mut words = text.split_whitespace();
    match (words.next(), words.next()) {
        (Some("indirect"), None) => true,
        (Some(first), Some(_)) => first == "indirect;",
        _ => false,
    }
}

/// The text of a line's comments; those of its block if it has none itself.
fn comment_text(line: &Line<'_>, block: Option<&Block<'_>>) -> String {
    let comments = match block {
        Some(block) if line.comments.is_empty() => &block.comments,
        _ => &line.comments,
    };
    let lines: Vec<&str> = comments
        .before
        .iter()
        .chain(&comments.suffix)
        .filter_map(|comment| comment.strip_prefix("//"))
        .map(str::trim)
        .collect();
    lines.join("\n")
}

/// The paragraph that begins with `Deprecated:`, if it says something.
fn deprecation(comment: &str) -> Option<&str> {
    const MARK: &str = "Deprecated:";
    let text = match comment.strip_prefix(MARK) {
        Some(text) => text,
        None => comment.split_once("\n\nDeprecated:")?.1,
    };
    let text = text.trim_start_matches(' ');
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    (!paragraph.is_empty()).then_some(paragraph)
}

/// Go's `modfile.GoVersionRE`: `1.21`, `1.21.3`, `1.21rc2`.
fn is_go_version(text: &str) -> bool {
    let Some((_, mut rest)) = major_minor(text) else {
        return false;
    };
    if let Some(patch) = rest.strip_prefix('.') {
        match number(patch) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    let digits = rest.trim_start_matches(|c: char| c.is_ascii_lowercase());
    let has_letters = digits.len() < rest.len();
    let are_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    rest.is_empty() || has_letters && are_digits
}

/// What Go makes of versions in dependencies that it does not know: `v1.21-local` counts as `1.21`.
fn start_of_go_version(text: &str) -> Option<&str> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (version, rest) = major_minor(text)?;
    let goes_on = rest.chars().next().is_some_and(|c| !c.is_ascii_digit());
    (goes_on && !rest.contains('\n')).then_some(version)
}

/// `MAJOR.MINOR` and the rest; the major is at least 1.
fn major_minor(text: &str) -> Option<(&str, &str)> {
    let (major, rest) = number(text)?;
    let (_, rest) = number(rest.strip_prefix('.')?)?;
    let version = text.get(..text.len() - rest.len())?;
    (major != "0").then_some((version, rest))
}

/// A decimal number without leading zeros, and the rest.
fn number(text: &str) -> Option<(&str, &str)> {
    let end = match text.as_bytes() {
        [b'0', ..] => 1,
        bytes => bytes
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count(),
    };
    text.split_at_checked(end)
        .filter(|(digits, _)| !digits.is_empty())
}
