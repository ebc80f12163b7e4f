//! Tree heads and the answers of `/lookup/`.
use super::{Hash, Note, NoteError, Verifier, record_hash};
use crate::{GoModHash, H1, ModuleVersion, ParseError, ZipHash};

/// The first line of a tree head.
pub(super) const TREE_HEAD_TITLE: &str = "go.sum database tree\n";

/// How large a database is, and the root of its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TreeHead {
    /// Records in the tree; at most 2^63 - 1.
    pub size: u64,
    /// The root.
    pub root: Hash,
}

impl TreeHead {
    /// The tree without records: what a client starts with.
    pub const EMPTY: Self = Self {
        size: 0,
        root: Hash::EMPTY_TREE,
    };

    /// Reads the text of a signed note (Go's `tlog.ParseTree`). Lines after the third are allowed and
    /// ignored.
    pub fn of(note: &Note) -> Result<Self, ParseError> {
        let text = note.text();
        let error = |reason: &str| ParseError::new("tree head", text, reason);
        let rest = text
            .strip_prefix(TREE_HEAD_TITLE)
            .ok_or_else(|| error("does not begin with `go.sum database tree`"))?;
        let mut lines = rest.split_inclusive('\n');
        let mut line = || lines.next().and_then(|line| line.strip_suffix('\n'));
        let size = line()
            .and_then(read_number)
            .ok_or_else(|| error("no size in the second line"))?;
        let root = line()
            .and_then(Hash::parse)
            .ok_or_else(|| error("no hash in the third line"))?;
        Ok(Self { size, root })
    }

    /// The text that a database signs.
    pub fn text(&self) -> String {
        format!("{TREE_HEAD_TITLE}{}\n{}\n", self.size, self.root)
    }
}

/// One record of a database: its number and its text.
///
/// Where it comes from a [`Lookup`] its place in the tree is *not yet proven*.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number, counted from 0.
    pub id: u64,
    /// go.sum lines, the last newline included.
    pub text: String,
}

impl Record {
    /// The leaf of the tree: the hash of the text, without the number.
    pub fn hash(&self) -> Hash {
        record_hash(self.text.as_bytes())
    }

    /// The hashes of `module` that the record names. Lines of other modules and versions are ignored,
    /// and of several lines for the same file the first one counts (rule 66).
    pub fn hashes_of(&self, module: &ModuleVersion) -> (Option<ZipHash>, Option<GoModHash>) {
        let find = |version: &str| {
            let prefix = format!("{} {version} ", module.path());
            self.text
                .lines()
                .filter_map(|line| line.strip_prefix(&prefix))
                .find_map(|hash| H1::parse(hash).ok())
        };
        let version = module.version().as_str();
        (
            find(version).map(ZipHash),
            find(&format!("{version}/go.mod")).map(GoModHash),
        )
    }
}

/// An answer of `/lookup/PATH@VERSION`: a record and the signed head of a tree that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The record; claimed by the answer, proven by a [`TreeProof`](super::TreeProof) only.
    pub record: Record,
    signed_head: Vec<u8>,
}

impl Lookup {
    /// Reads `ID`, the record's lines, a blank line and a note (Go's `tlog.ParseRecord`).
    pub fn parse(answer: &[u8]) -> Result<Self, ParseError> {
        let error = |reason: &str| {
            ParseError::new(
                "lookup",
                &String::from_utf8_lossy(answer.get(..200).unwrap_or(answer)),
                reason,
            )
        };
        let end_of_id = find(answer, b"\n").ok_or_else(|| error("no number in the first line"))?;
        let (id, rest) = answer.split_at(end_of_id);
        let id = std::str::from_utf8(id)
            .ok()
            .and_then(read_number)
            .ok_or_else(|| error("no number in the first line"))?;
        let rest = rest.get(1..).unwrap_or_default();
        let end_of_text =
            find(rest, b"\n\n").ok_or_else(|| error("no blank line behind the record"))? + 1;
        let (text, rest) = rest.split_at(end_of_text);
        let text = std::str::from_utf8(text)
            .ok()
            .filter(|text| is_record_text(text))
            .ok_or_else(|| error("a record of something else than lines of text"))?;
        Ok(Self {
            record: Record {
                id,
                text: text.to_owned(),
            },
            signed_head: rest.get(1..).unwrap_or_default().to_vec(),
        })
    }

    /// The signed tree head, unopened.
    pub fn signed_head(&self) -> &[u8] {
        &self.signed_head
    }

    /// Opens the signed tree head.
    pub fn open_head(&self, verifier: &Verifier) -> Result<Note, NoteError> {
        Note::open(&self.signed_head, verifier)
    }
}

/// Go's `tlog.isValidRecordText`: lines of text, none of them empty, the last one ended.
pub(super) fn is_record_text(text: &str) -> bool {
    super::note::is_note_text(text)
        && text.ends_with('\n')
        && !text.starts_with('\n')
        && !text.contains("\n\n")
}

/// Decimal digits without sign or leading zeros, within Go's signed 64 bits.
fn read_number(text: &str) -> Option<u64> {
    let number = text.parse::<u64>().ok()?;
    i64::try_from(number).ok()?;
    (number.to_string() == text).then_some(number)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
