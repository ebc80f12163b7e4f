//! What answers of the GOPROXY protocol must look like before anybody reads them.

use bytes::Bytes;
use gomod::{FileKind, Info, ModulePath, ModuleVersion, Revision, Version};

use crate::{SourceError, SourceErrorKind};

const MEBIBYTE: u64 = 1 << 20;

/// Which answer is awaited; the bounds and the first look differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerKind {
    List,
    Info,
    Mod,
    Zip,
    /// A note, a tile or a record of a checksum database.
    Database,
}

impl AnswerKind {
    pub(crate) fn of_file(kind: FileKind) -> Self {
        match kind {
            FileKind::Info => Self::Info,
            FileKind::Mod => Self::Mod,
            FileKind::Zip => Self::Zip,
        }
    }

    /// The longest body that is taken. The zip's is Go's own (`codehost.MaxZipFile`).
    pub(crate) fn limit_bytes(self) -> u64 {
        match self {
            Self::List => 32 * MEBIBYTE,
            Self::Info | Self::Database => MEBIBYTE,
            Self::Mod => 16 * MEBIBYTE,
            Self::Zip => 500 * MEBIBYTE,
        }
    }

    /// Judges a body by its first bytes: [`FIRST_LOOK_BYTES`] of it, or all of a shorter one.
    pub(crate) fn check_beginning(self, beginning: &[u8]) -> Result<(), SourceError> {
        let text = beginning.trim_ascii_start();
        let fits = match self {
            // A local file header, or the end record of an archive without files.
            Self::Zip => {
                beginning.starts_with(b"PK\x03\x04") || beginning.starts_with(b"PK\x05\x06")
            }
            Self::Info => text.first() == Some(&b'{'),
            // Tiles are bytes of any value; four that spell a page are one.
            Self::Database => !matches!(
                beginning
                    .get(..FIRST_LOOK_BYTES)
                    .map(<[u8]>::to_ascii_lowercase)
                    .as_deref(),
                Some(b"<htm" | b"<!do")
            ),
            Self::Mod | Self::List => !matches!(text.first(), Some(b'<' | b'{' | b'[')),
        };
        if fits {
            return Ok(());
        }
        let wanted = match self {
            Self::Zip => "a zip file",
            Self::Info => "the JSON of a version",
            Self::Mod => "a go.mod file",
            Self::List => "a list of versions",
            Self::Database => "data of a checksum database",
        };
        let got = match text.first() {
            None => "nothing",
            Some(b'<') => "HTML or XML",
            _ => "something else",
        };
        Err(SourceError::new(
            SourceErrorKind::BadAnswer,
            format!("the answer should be {wanted} and is {got}"),
        ))
    }
}

/// How much of a body [`AnswerKind::check_beginning`] wants to see.
pub(crate) const FIRST_LOOK_BYTES: usize = 4;

/// Reads the lines of `@v/list`: the first word of each that is a canonical version.
pub(crate) fn read_list(body: &[u8]) -> Vec<Version> {
    let text = String::from_utf8_lossy(body);
    let mut versions: Vec<Version> = text
        .lines()
        .filter_map(|line| Version::parse(line.split_whitespace().next()?).ok())
        .collect();
    versions.sort();
    versions.dedup();
    versions
}

/// Reads the JSON of a version.
pub(crate) fn read_info(body: &[u8]) -> Result<Info, SourceError> {
    Info::parse(body).map_err(|error| {
        SourceError::new(
            SourceErrorKind::BadAnswer,
            format!("the answer is not the JSON of a version: {error}"),
        )
    })
}

/// A file's `.info` must speak of the version that was asked for (rule 27).
pub(crate) fn check_info_of(module: &ModuleVersion, body: &[u8]) -> Result<(), SourceError> {
    let info = read_info(body)?;
    same_version(&info, module.version())
}

/// What a revision's `.info` says; where the revision is itself a version of the module, it must be that
/// one (rule 27).
pub(crate) fn read_resolved(
    module_path: &ModulePath,
    revision: &Revision,
    body: &Bytes,
) -> Result<Info, SourceError> {
    let info = read_info(body)?;
    if let Ok(version) = Version::parse(revision.as_str())
        && ModuleVersion::new(module_path.clone(), version.clone()).is_ok()
    {
        same_version(&info, &version)?;
    }
    Ok(info)
}

fn same_version(info: &Info, asked: &Version) -> Result<(), SourceError> {
    if info.version == *asked {
        return Ok(());
    }
    Err(SourceError::new(
        SourceErrorKind::BadAnswer,
        format!(
            "the answer speaks of version {} instead of {asked}",
            info.version
        ),
    ))
}

/// What upstream wrote with an error, where that is short plain text that may be shown: at most 8 lines
/// and 600 bytes, cut at the first empty line, without control characters.
pub(crate) fn presentable(content_type: Option<&str>, body: &[u8]) -> Option<String> {
    let content_type = content_type.unwrap_or("text/plain").to_ascii_lowercase();
    let mut parameters = content_type.split(';').map(str::trim);
    if parameters.next() != Some("text/plain")
        || parameters.any(|parameter| {
            parameter
                .strip_prefix("charset=")
                .is_some_and(|charset| !matches!(charset.trim_matches('"'), "utf-8" | "us-ascii"))
        })
    {
        return None;
    }
    let text = std::str::from_utf8(body).ok()?.replace("\r\n", "\n");
    let lines: Vec<&str> = text
        .trim()
        .lines()
        .map(str::trim_end)
        .take_while(|line| !line.is_empty())
        .take(9)
        .collect();
    let text = lines.join("\n");
    let shown = !text.is_empty()
        && lines.len() <= 8
        && text.len() <= 600
        && !text
            .chars()
            .any(|character| character.is_control() && character != '\n');
    shown.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_text(content_type: Option<&str>, body: &str, expected: Option<&str>) {
        assert_eq!(
            presentable(content_type, body.as_bytes()).as_deref(),
            expected
        );
    }

    #[test]
    fn only_short_plain_text_of_an_error_is_shown() {
        check_text(None, "not found: module x\n", Some("not found: module x"));
        check_text(Some("text/plain; charset=UTF-8"), "a\r\nb", Some("a\nb"));
        check_text(Some("text/plain; charset=latin1"), "a", None);
        check_text(Some("text/html"), "a", None);
        check_text(None, "a\n\nb", Some("a"));
        check_text(None, "\u{1b}[31mred", None);
        check_text(None, "1\n2\n3\n4\n5\n6\n7\n8\n9", None);
        check_text(None, &"x".repeat(601), None);
        check_text(None, "", None);
    }

    #[test]
    fn a_page_is_not_taken_for_a_file() {
        let check = |kind: AnswerKind, body: &[u8], fits: bool| {
            assert_eq!(
                kind.check_beginning(body).is_ok(),
                fits,
                "{kind:?} {body:?}"
            );
        };
        check(AnswerKind::Zip, b"PK\x03\x04", true);
        check(AnswerKind::Zip, b"PK\x05\x06", true);
        check(AnswerKind::Zip, b"PK", false);
        check(AnswerKind::Zip, b"", false);
        check(AnswerKind::Zip, b"<htm", false);
        check(AnswerKind::Mod, b"modu", true);
        check(AnswerKind::Mod, b"", true);
        check(AnswerKind::Mod, b"\n<!D", false);
        check(AnswerKind::List, b"", true);
        check(AnswerKind::List, b"v1.0", true);
        check(AnswerKind::List, b"{\"er", false);
        check(AnswerKind::Info, b"{\"Ve", true);
        check(AnswerKind::Info, b"<htm", false);
        check(AnswerKind::Database, b"", true);
        check(AnswerKind::Database, b"<\x00\x01\x02\x03", true);
        check(AnswerKind::Database, b"<!DOCTYPE html>", false);
    }
}
