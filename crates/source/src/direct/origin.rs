//! What a revision came to, and the `.info` that says so (`modfetch.RevInfo`, rules 23 and 24).

use bytes::Bytes;
use gomod::{Info, Version};

use crate::{Clue, Commit, SourceError, SourceErrorKind};

/// Where an answer comes from (`codehost.Origin`). Empty texts are left out of the JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) url: String,
    pub(super) subdirectory: String,
    pub(super) hash: String,
    pub(super) tag_prefix: String,
    pub(super) tag_sum: String,
    pub(super) reference: String,
}

impl Origin {
    /// Two origins of one answer in one (`modload.mergeOrigin`); `None` where they contradict each other.
    pub(super) fn merged(&self, other: &Self) -> Option<Self> {
        let fits =
            |mine: &str, others: &str| mine.is_empty() || others.is_empty() || mine == others;
        let is_same_place = self.url == other.url && self.subdirectory == other.subdirectory;
        let has_same_tags = self.tag_sum.is_empty()
            || other.tag_sum.is_empty()
            || (self.tag_sum == other.tag_sum && self.tag_prefix == other.tag_prefix);
        if !is_same_place
            || !has_same_tags
            || !fits(&self.hash, &other.hash)
            || !fits(&self.reference, &other.reference)
        {
            return None;
        }
        let mut merged = self.clone();
        if !other.tag_sum.is_empty() {
            merged.tag_sum.clone_from(&other.tag_sum);
            merged.tag_prefix.clone_from(&other.tag_prefix);
        }
        for (mine, others) in [
            (&mut merged.hash, &other.hash),
            (&mut merged.reference, &other.reference),
        ] {
            if !others.is_empty() {
                mine.clone_from(others);
            }
        }
        Some(merged)
    }

    fn to_json(&self) -> String {
        let fields = [
            ("VCS", "git"),
            ("URL", &self.url),
            ("Subdir", &self.subdirectory),
            ("Hash", &self.hash),
            ("TagPrefix", &self.tag_prefix),
            ("TagSum", &self.tag_sum),
            ("Ref", &self.reference),
        ];
        let fields: Vec<String> = fields
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("\"{name}\":{}", go_json(value)))
            .collect();
        format!("{{{}}}", fields.join(","))
    }
}

/// What a revision came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RevisionInfo {
    pub(super) version: Version,
    pub(super) time: CommitTime,
    /// `None` where the parts of the answer contradict each other.
    pub(super) origin: Option<Origin>,
}

impl RevisionInfo {
    pub(super) fn info(&self) -> Info {
        Info {
            version: self.version.clone(),
            time: Some(self.time.rfc3339()),
            origin: self.origin.as_ref().map(Origin::to_json),
        }
    }

    /// The `.info` file: compact, without a newline, as the go command keeps it.
    pub(super) fn body(&self) -> Bytes {
        Bytes::from(self.info().to_json())
    }
}

/// When a commit was made, to the second, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CommitTime(jiff::Timestamp);

impl CommitTime {
    /// # Errors
    /// A time that no `.info` can hold, before the year 0 or after the year 9999.
    pub(super) fn of(commit: &Commit) -> Result<Self, SourceError> {
        let seconds = commit.committed_unix_seconds;
        jiff::Timestamp::from_second(seconds)
            .ok()
            .filter(|_| seconds >= YEAR_0)
            .map(Self)
            .ok_or_else(|| {
                SourceError::new(
                    SourceErrorKind::BadAnswer,
                    format!(
                        "commit {} was made {seconds} seconds after 1970, which is no time of this calendar",
                        commit.name
                    ),
                )
                .with_clue(Clue::BrokenTransfer)
            })
    }

    /// `2006-01-02T15:04:05Z`.
    fn rfc3339(self) -> String {
        self.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// `20060102150405`, as it stands in pseudo-versions.
    pub(super) fn digits(self) -> String {
        self.0.strftime("%Y%m%d%H%M%S").to_string()
    }
}

/// The beginning of the year 0, in seconds since 1970.
const YEAR_0: i64 = -62_167_219_200;

/// A JSON string as Go's encoder writes it: fit to stand in HTML.
fn go_json(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for rune in text.chars() {
        match rune {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            '<' | '>' | '&' | '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => {
                json.push_str(&format!("\\u{:04x}", u32::from(rune)));
            }
            _ => json.push(rune),
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ObjectName;

    fn made_at(committed_unix_seconds: i64) -> Result<CommitTime, SourceError> {
        CommitTime::of(&Commit {
            name: ObjectName::parse(&"a".repeat(40)).unwrap(),
            committed_unix_seconds,
            found_by: None,
            tags: BTreeSet::new(),
        })
    }

    #[test]
    fn an_info_is_compact_json_in_gos_order() {
        let info = RevisionInfo {
            version: Version::parse("v1.2.3").unwrap(),
            time: made_at(1_523_994_202).unwrap(),
            origin: Some(Origin {
                url: "https://git.example/a&b".to_owned(),
                subdirectory: "sub".to_owned(),
                hash: "abc".to_owned(),
                tag_prefix: "sub/".to_owned(),
                tag_sum: "t1:x".to_owned(),
                reference: "HEAD".to_owned(),
            }),
        };
        assert_eq!(
            info.body(),
            "{\"Version\":\"v1.2.3\",\"Time\":\"2018-04-17T19:43:22Z\",\"Origin\":{\"VCS\":\"git\",\
             \"URL\":\"https://git.example/a\\u0026b\",\"Subdir\":\"sub\",\"Hash\":\"abc\",\"TagPrefix\":\"sub/\",\
             \"TagSum\":\"t1:x\",\"Ref\":\"HEAD\"}}"
        );
    }

    #[test]
    fn times_that_no_info_can_hold_are_refused() {
        let check = |seconds, expected: Option<&str>| {
            let digits = made_at(seconds).ok().map(CommitTime::digits);
            assert_eq!(digits.as_deref(), expected, "{seconds}");
        };
        check(0, Some("19700101000000"));
        check(-1, Some("19691231235959"));
        check(YEAR_0, Some("00000101000000"));
        check(YEAR_0 - 1, None);
        check(253_402_300_800, None);
        check(i64::MAX, None);
    }

    #[test]
    fn texts_are_escaped_as_go_does() {
        let check = |text, expected: &str| assert_eq!(go_json(text), expected);
        check("a\"\\\n", "\"a\\\"\\\\\\n\"");
        check(
            "<&>\u{1}\u{2028}é\u{7f}",
            "\"\\u003c\\u0026\\u003e\\u0001\\u2028é\u{7f}\"",
        );
    }
}
