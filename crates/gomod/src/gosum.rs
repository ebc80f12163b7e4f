//! go.sum files.
//!
//! Read as cmd/go's `readGoSum` does: fields between any white space, blank lines skipped, no order
//! expected and duplicates kept. Paths and versions stay as written, because the go command
//! compares them as texts too.
use crate::{H1, ParseError};

/// The hash of an empty go.mod file. An old go command wrote it for things that are not modules; Go
/// drops it since.
const EMPTY_GO_MOD: &str = "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=";

/// One line of a go.sum file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoSumLine {
    /// The module path as written.
    pub module_path: String,
    /// The version without `/go.mod`.
    pub version: String,
    /// True for the line of the go.mod file alone.
    pub go_mod: bool,
    /// The hash.
    pub hash: H1,
}

/// A go.sum file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoSum {
    /// Its lines, in order.
    pub lines: Vec<GoSumLine>,
}

impl GoSum {
    /// Reads a go.sum file. Memory grows with the text, so bound it before.
    ///
    /// A line with more or fewer than three fields is an error, as in Go. A hash of another kind
    /// than `h1:` is skipped: Go keeps it for a later go command and verifies nothing by it. A
    /// broken `h1:` is an error here; Go would keep it and fail later, as it can match nothing.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut lines = Vec::new();
        for (index, line) in text.split('\n').enumerate() {
            let fault = |reason: &str| {
                let number = index + 1;
                ParseError::new("go.sum line", line, format!("line {number}: {reason}"))
            };
            let mut fields = line.split_whitespace();
            let (module_path, version, hash) =
                match (fields.next(), fields.next(), fields.next(), fields.next()) {
                    (None, ..) => continue,
                    (Some(path), Some(version), Some(hash), None) => (path, version, hash),
                    _ => {
                        let count = line.split_whitespace().count();
                        return Err(fault(&format!("wrong number of fields {count}")));
                    }
                };
            if hash == EMPTY_GO_MOD || !hash.starts_with("h1:") {
                continue;
            }
            let hash = H1::parse(hash).map_err(|error| fault(&error.reason))?;
            let (version, go_mod) = match version.strip_suffix("/go.mod") {
                Some(version) => (version, true),
                None => (version, false),
            };
            lines.push(GoSumLine {
                module_path: module_path.into(),
                version: version.into(),
                go_mod,
                hash,
            });
        }
        Ok(Self { lines })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    fn lines(text: &str) -> Vec<String> {
        let line = |line: &GoSumLine| {
            let suffix = if line.go_mod { " (go.mod)" } else { "" };
            format!(
                "{} {} {}{suffix}",
                line.module_path, line.version, line.hash
            )
        };
        GoSum::parse(text).unwrap().lines.iter().map(line).collect()
    }

    #[test]
    fn lines_are_read_as_leniently_as_go_reads_them() {
        let check = |text: &str, expected: &[&str]| assert_eq!(lines(text), expected, "{text}");
        let plain = format!("a.b/c v1.0.0 {HASH}");
        let go_mod = format!("a.b/c v1.0.0 {HASH} (go.mod)");
        check("", &[]);
        check("\n \t\r\n\n", &[]);
        check(&format!("a.b/c v1.0.0 {HASH}\n"), &[&plain]);
        check(&format!("a.b/c v1.0.0 {HASH}"), &[&plain]);
        check(&format!("  a.b/c\tv1.0.0   {HASH} \r\n"), &[&plain]);
        check(&format!("a.b/c v1.0.0/go.mod {HASH}\n"), &[&go_mod]);
        // Duplicates and any order are fine.
        check(
            &format!("a.b/c v1.0.0/go.mod {HASH}\n\na.b/c v1.0.0 {HASH}\na.b/c v1.0.0 {HASH}\n"),
            &[&go_mod, &plain, &plain],
        );
        // Hashes to come, and those that old versions wrote by mistake.
        check("a.b/c v1.0.0 h2:whatever\n", &[]);
        check(&format!("a.b/c v1.0.0/go.mod {EMPTY_GO_MOD}\n"), &[]);
        // Nothing is checked that Go does not check.
        check(
            &format!("no-path master {HASH}\n"),
            &[&format!("no-path master {HASH}")],
        );
    }

    #[test]
    fn a_malformed_line_is_named_with_its_number() {
        let check = |text: &str, expected: &str| {
            assert_eq!(GoSum::parse(text).unwrap_err().reason, expected, "{text}");
        };
        check("\na.b/c v1.0.0\n", "line 2: wrong number of fields 2");
        check("a b c d e", "line 1: wrong number of fields 5");
        check(
            "a.b/c v1.0.0 h1:abc\n",
            "line 1: want 44 characters of base64",
        );
    }
}
