use crate::{StoreError, VerifiedBy};
use gomod::{FileKind, GoModHash, H1, ParseError, Sha256, ZipHash};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What is remembered of a version for ever; it outlives eviction and deletion. The hashes here are
/// what any later fetch is held to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The `h1:` of its zip, once one was accepted.
    pub zip_hash: Option<ZipHash>,
    /// The `h1:` of its go.mod, once one was accepted.
    pub go_mod_hash: Option<GoModHash>,
    /// The `.info` that was stored, if one was.
    pub info: Option<FileRecord>,
    /// The `.mod` that was stored, if one was.
    pub go_mod: Option<FileRecord>,
    /// The `.zip` that was stored, if one was.
    pub zip: Option<FileRecord>,
}

/// What is remembered of one stored file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRecord {
    /// SHA-256 of its bytes.
    pub sha256: Sha256,
    /// Number of bytes.
    pub len_bytes: u64,
    /// When it was committed.
    pub stored_at: jiff::Timestamp,
    /// Who vouched for it.
    pub verified_by: VerifiedBy,
    /// Where it came from: the source's name, without credentials.
    pub source: String,
    /// The commit that it was read from, where its source is a repository.
    pub commit: Option<String>,
}

impl Record {
    /// What is remembered of one of the three files.
    pub fn file(&self, kind: FileKind) -> Option<&FileRecord> {
        match kind {
            FileKind::Info => self.info.as_ref(),
            FileKind::Mod => self.go_mod.as_ref(),
            FileKind::Zip => self.zip.as_ref(),
        }
    }

    /// The `h1:` that later files of this kind are held to; `.info` has none.
    pub fn hash(&self, kind: FileKind) -> Option<H1> {
        match kind {
            FileKind::Info => None,
            FileKind::Mod => self.go_mod_hash.map(|hash| hash.0),
            FileKind::Zip => self.zip_hash.map(|hash| hash.0),
        }
    }

    /// The commit of a repository that the version's files were read from, if one of them was.
    pub fn commit(&self) -> Option<&str> {
        let files = [&self.info, &self.go_mod, &self.zip];
        files
            .into_iter()
            .flatten()
            .find_map(|file| file.commit.as_deref())
    }

    /// Remembers a file in place of what was remembered of that kind.
    pub(crate) fn remember(&mut self, kind: FileKind, hash: Option<H1>, file: FileRecord) {
        match kind {
            FileKind::Info => self.info = Some(file),
            FileKind::Mod => {
                self.go_mod_hash = hash.map(GoModHash);
                self.go_mod = Some(file);
            }
            FileKind::Zip => {
                self.zip_hash = hash.map(ZipHash);
                self.zip = Some(file);
            }
        }
    }

    /// Adds what `other` knows and this one does not. A file counts as known from whoever stored it later;
    /// where the hashes differ, nothing is taken: the hash that is here stays.
    pub(crate) fn merge(&mut self, other: Self) {
        self.zip_hash = self.zip_hash.or(other.zip_hash);
        self.go_mod_hash = self.go_mod_hash.or(other.go_mod_hash);
        take_later(&mut self.info, other.info);
        if self.zip_hash == other.zip_hash {
            take_later(&mut self.zip, other.zip);
        }
        if self.go_mod_hash == other.go_mod_hash {
            take_later(&mut self.go_mod, other.go_mod);
        }
    }

    /// The record as a journal holds it.
    pub(crate) fn written(&self) -> WrittenRecord {
        WrittenRecord::from(self)
    }

    /// The record as its file holds it.
    pub(crate) fn to_json(&self) -> std::io::Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(&WrittenRecord::from(self))?;
        json.push(b'\n');
        Ok(json)
    }

    /// Reads what [`Self::to_json`] wrote to `path`. A record that does not read is an error, never
    /// absence: it says what later files are held to.
    pub(crate) fn from_json(path: &Path, json: &[u8]) -> Result<Self, StoreError> {
        let damaged = |reason: String| StoreError::Damaged {
            path: path.to_path_buf(),
            reason,
        };
        let written: WrittenRecord =
            serde_json::from_slice(json).map_err(|error| damaged(error.to_string()))?;
        written.read().map_err(damaged)
    }
}

fn take_later(mine: &mut Option<FileRecord>, other: Option<FileRecord>) {
    let stored_at = |file: &Option<FileRecord>| file.as_ref().map(|file| file.stored_at);
    if stored_at(&other) > stored_at(mine) {
        *mine = other;
    }
}

/// The file's form. Unknown fields are left to later releases.
#[derive(Serialize, Deserialize)]
pub(crate) struct WrittenRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zip_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    go_mod_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    info: Option<WrittenFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    go_mod: Option<WrittenFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zip: Option<WrittenFile>,
}

#[derive(Serialize, Deserialize)]
struct WrittenFile {
    sha256: String,
    len_bytes: u64,
    stored_at: String,
    verified_by: WrittenVerifiedBy,
    source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenVerifiedBy {
    ChecksumDatabase(String),
    FirstSight,
    Shape,
}

impl From<&Record> for WrittenRecord {
    fn from(record: &Record) -> Self {
        Self {
            zip_hash: record.zip_hash.map(|hash| hash.to_string()),
            go_mod_hash: record.go_mod_hash.map(|hash| hash.to_string()),
            info: record.info.as_ref().map(WrittenFile::from),
            go_mod: record.go_mod.as_ref().map(WrittenFile::from),
            zip: record.zip.as_ref().map(WrittenFile::from),
        }
    }
}

impl From<&FileRecord> for WrittenFile {
    fn from(file: &FileRecord) -> Self {
        Self {
            sha256: file.sha256.to_string(),
            len_bytes: file.len_bytes,
            stored_at: file.stored_at.to_string(),
            verified_by: match &file.verified_by {
                VerifiedBy::ChecksumDatabase(name) => {
                    WrittenVerifiedBy::ChecksumDatabase(name.clone())
                }
                VerifiedBy::FirstSight => WrittenVerifiedBy::FirstSight,
                VerifiedBy::Shape => WrittenVerifiedBy::Shape,
            },
            source: file.source.clone(),
            commit: file.commit.clone(),
        }
    }
}

impl WrittenRecord {
    pub(crate) fn read(self) -> Result<Record, String> {
        let hash = |text: Option<String>| text.map(|text| H1::parse(&text)).transpose();
        let told = |error: ParseError| error.to_string();
        Ok(Record {
            zip_hash: hash(self.zip_hash).map_err(told)?.map(ZipHash),
            go_mod_hash: hash(self.go_mod_hash).map_err(told)?.map(GoModHash),
            info: self.info.map(WrittenFile::read).transpose()?,
            go_mod: self.go_mod.map(WrittenFile::read).transpose()?,
            zip: self.zip.map(WrittenFile::read).transpose()?,
        })
    }
}

impl WrittenFile {
    fn read(self) -> Result<FileRecord, String> {
        Ok(FileRecord {
            sha256: Sha256::parse(&self.sha256).map_err(|error| error.to_string())?,
            len_bytes: self.len_bytes,
            stored_at: self
                .stored_at
                .parse()
                .map_err(|error: jiff::Error| error.to_string())?,
            verified_by: match self.verified_by {
                WrittenVerifiedBy::ChecksumDatabase(name) => VerifiedBy::ChecksumDatabase(name),
                WrittenVerifiedBy::FirstSight => VerifiedBy::FirstSight,
                WrittenVerifiedBy::Shape => VerifiedBy::Shape,
            },
            source: self.source,
            commit: self.commit,
        })
    }
}
