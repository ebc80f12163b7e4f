//! Pseudo-versions (rules 8, 9 and 11): versions made of a commit's time and name.
//!
//! Whether the commit exists and the base is its ancestor is the fetcher's question.

use crate::{ParseError, Version, calendar, semver};

/// The parts of a pseudo-version, which agree with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PseudoVersion {
    version: Version,
}

impl PseudoVersion {
    /// Go's `module.PseudoVersion`: `major` is `v0`, `v2`… or empty; `older` the base tag or empty;
    /// `time` is `yyyymmddhhmmss`; `revision` the 12-digit form.
    ///
    /// Build metadata of `older` other than `+incompatible` is refused: the result would not be canonical.
    pub fn build(
        major: &str,
        older: &str,
        time: &str,
        revision: &str,
    ) -> Result<Version, ParseError> {
        let major = if major.is_empty() { "v0" } else { major };
        let base = semver::canonical(older);
        let build = semver::build(older);
        let text = if base.is_empty() {
            format!("{major}.0.0-{time}-{revision}")
        } else if !semver::prerelease(older).is_empty() {
            format!("{base}.0.{time}-{revision}{build}")
        } else {
            let (release, patch) = base.rsplit_once('.').unwrap_or_default();
            let next_patch = increment(patch);
            format!("{release}.{next_patch}-0.{time}-{revision}{build}")
        };
        let version = Version::parse(&text)?;
        match Self::of(&version) {
            Some(pseudo) if pseudo.revision() == revision => {}
            _ => return Err(malformed(&text, "malformed pseudo-version")),
        }
        Ok(version)
    }

    /// Go's `module.IsPseudoVersion`, for any text: tags and requested names may look like one without being
    /// canonical.
    pub fn recognises(text: &str) -> bool {
        is_pseudo_version(text)
    }

    /// The revision in a text that [`PseudoVersion::recognises`].
    pub fn revision_in(text: &str) -> Option<&str> {
        cut(text).map(|parts| parts.revision)
    }

    /// The parts of `version`, if it is a pseudo-version.
    pub fn of(version: &Version) -> Option<Self> {
        cut(version.as_str())?;
        Some(Self {
            version: version.clone(),
        })
    }

    /// The whole version.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Go's `module.PseudoVersionBase`: the tag it is based on, if any.
    pub fn base(&self) -> Result<Option<Version>, ParseError> {
        let Parts { base, build, .. } = self.parts();
        let text = match base {
            Base::None if build.is_empty() => return Ok(None),
            Base::None => {
                return Err(self.invalid("lacks base version, but has build metadata"));
            }
            Base::Prerelease(tag) => format!("{tag}{build}"),
            Base::Release(next) => {
                let (release, next_patch) = next.rsplit_once('.').unwrap_or_default();
                let patch = decrement(next_patch).ok_or_else(|| {
                    self.invalid(&format!(
                        "version before {next} would have negative patch number"
                    ))
                })?;
                format!("{release}.{patch}{build}")
            }
        };
        Version::parse(&text).map(Some)
    }

    /// Go's `module.PseudoVersionTime` as RFC 3339 (`2006-01-02T15:04:05Z`).
    pub fn time_rfc3339(&self) -> Result<String, ParseError> {
        let time = self.time();
        calendar::rfc3339_from_digits(time)
            .ok_or_else(|| self.invalid(&format!("malformed time {time:?}")))
    }

    /// The commit time as it stands in the version: 14 digits, `yyyymmddhhmmss`.
    pub fn time(&self) -> &str {
        self.parts().time
    }

    /// Go's `module.PseudoVersionRev`.
    pub fn revision(&self) -> &str {
        self.parts().revision
    }

    fn parts(&self) -> Parts<'_> {
        cut(self.version.as_str()).expect("the constructor has cut this text before")
    }

    fn invalid(&self, reason: &str) -> ParseError {
        malformed(self.version.as_str(), reason)
    }
}

/// Go's `module.IsPseudoVersion`.
pub(crate) fn is_pseudo_version(text: &str) -> bool {
    cut(text).is_some()
}

struct Parts<'a> {
    base: Base<'a>,
    time: &'a str,
    revision: &'a str,
    /// With its `+`, or empty.
    build: &'a str,
}

enum Base<'a> {
    /// `vX.0.0-TIME-REVISION`.
    None,
    /// `vX.Y.(Z+1)-0.TIME-REVISION`: the release that would follow the base.
    Release(&'a str),
    /// `vX.Y.Z-pre.0.TIME-REVISION`: the base itself.
    Prerelease(&'a str),
}

fn cut(text: &str) -> Option<Parts<'_>> {
    let version = semver::Parts::of(text)?;
    let core = text.strip_suffix(version.build)?;
    let (rest, revision) = core.rsplit_once('-')?;
    let (rest, time) = rest.split_at_checked(rest.len().checked_sub(14)?)?;
    let is_well_formed = !revision.is_empty()
        && revision.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && time.bytes().all(|byte| byte.is_ascii_digit());
    if !is_well_formed {
        return None;
    }
    // What is left: `vX.Y.Z`, a dash, and of the pre-release what precedes the time.
    let release = core.strip_suffix(version.prerelease)?;
    let base = match rest.strip_prefix(release)?.strip_prefix('-')? {
        "" if version.minor == "0" && version.patch == "0" => Base::None,
        "0." => Base::Release(release),
        prerelease if prerelease.ends_with(".0.") => Base::Prerelease(rest.strip_suffix(".0.")?),
        _ => return None,
    };
    Some(Parts {
        base,
        time,
        revision,
        build: version.build,
    })
}

/// The next decimal number, of any length.
fn increment(decimal: &str) -> String {
    let stem = decimal.trim_end_matches('9');
    let nines = decimal.len() - stem.len();
    let mut digits = stem.to_owned();
    let next = match digits.pop() {
        Some(digit) => char::from_digit(digit.to_digit(10).unwrap_or_default() + 1, 10),
        None => Some('1'),
    };
    digits.extend(next);
    digits.extend(std::iter::repeat_n('0', nines));
    digits
}

/// The decimal number before, of any length; `None` for that before 0.
fn decrement(decimal: &str) -> Option<String> {
    let stem = decimal.trim_end_matches('0');
    let zeros = decimal.len() - stem.len();
    let mut digits = stem.to_owned();
    let previous = char::from_digit(digits.pop()?.to_digit(10)?.checked_sub(1)?, 10)?;
    // 10 becomes 9, not 09.
    if previous != '0' || !digits.is_empty() || zeros == 0 {
        digits.push(previous);
    }
    digits.extend(std::iter::repeat_n('9', zeros));
    Some(digits)
}

fn malformed(text: &str, reason: &str) -> ParseError {
    ParseError::new("pseudo-version", text, reason)
}

#[cfg(test)]
mod tests;
