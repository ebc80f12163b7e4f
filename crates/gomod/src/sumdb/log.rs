//! The other side of the protocol: a log that grows, signs its head and serves tiles.
//!
//! Small and in memory: the tests' fake database stands on it, and a database of one's own can.
//! It does not decide what is recorded, and keeps nothing.
use super::lookup::is_record_text;
use super::note::{ALGORITHM, SIGNATURE_PREFIX, is_note_text, is_signer_name};
use super::{
    Hash, Record, Tile, TreeHead, Verifier, node_hash, record_hash, root_of_subtrees, subtrees,
};
use crate::ParseError;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The key that signs a database's notes. Cannot print itself.
pub struct SigningKey {
    verifier: Verifier,
    seed: [u8; 32],
    key_pair: Ed25519KeyPair,
}

impl SigningKey {
    /// The key of `name` that a 32-byte secret stands for (Go's `note.GenerateKey` with that much
    /// randomness).
    pub fn from_seed(name: &str, seed: [u8; 32]) -> Result<Self, ParseError> {
        let error = |reason: &str| ParseError::new("signer name", name, reason);
        if !is_signer_name(name) {
            return Err(error("a name is not empty and has neither spaces nor `+`"));
        }
        let key_pair =
            Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| error("no key for the seed"))?;
        let public_key = <[u8; 32]>::try_from(key_pair.public_key().as_ref())
            .map_err(|_| error("no key for the seed"))?;
        Ok(Self {
            verifier: Verifier::new(name, public_key),
            seed,
            key_pair,
        })
    }

    /// Reads `PRIVATE+KEY+NAME+HASH+KEY` (Go's `note.NewSigner`). The error does not repeat the key.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let error = || {
            ParseError::new(
                "signer key",
                "PRIVATE+KEY+…",
                "not of the form `PRIVATE+KEY+NAME+HASH+KEY`",
            )
        };
        let mut fields = text
            .strip_prefix("PRIVATE+KEY+")
            .ok_or_else(error)?
            .splitn(3, '+');
        let (Some(name), Some(key_id), Some(seed)) = (fields.next(), fields.next(), fields.next())
        else {
            return Err(error());
        };
        let seed = STANDARD.decode(seed).map_err(|_| error())?;
        let Some((&ALGORITHM, seed)) = seed.split_first() else {
            return Err(error());
        };
        let key = Self::from_seed(name, seed.try_into().map_err(|_| error())?)?;
        if format!("{:08x}", key.verifier.key_id()) != key_id {
            return Err(error());
        }
        Ok(key)
    }

    /// The signer key as text: a secret.
    pub fn expose(&self) -> String {
        let mut key = vec![ALGORITHM];
        key.extend_from_slice(&self.seed);
        format!(
            "PRIVATE+KEY+{}+{:08x}+{}",
            self.verifier.name(),
            self.verifier.key_id(),
            STANDARD.encode(key)
        )
    }

    /// The key that others verify with.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Signs a text, which must end with a newline and hold no control characters but newlines
    /// (Go's `note.Sign`).
    pub fn sign(&self, text: &str) -> Result<String, ParseError> {
        if !text.ends_with('\n') || !is_note_text(text) {
            return Err(ParseError::new("note text", text, "not lines of text"));
        }
        let mut signature = self.verifier.key_id().to_be_bytes().to_vec();
        signature.extend_from_slice(self.key_pair.sign(text.as_bytes()).as_ref());
        Ok(format!(
            "{text}\n{SIGNATURE_PREFIX}{} {}\n",
            self.verifier.name(),
            STANDARD.encode(signature)
        ))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.verifier.name())
    }
}

/// Records, and the hashes of all complete subtrees over them.
#[derive(Clone, Debug, Default)]
pub struct Log {
    records: Vec<String>,
    /// `hashes[level][index]`, as [`HashPosition`](super::HashPosition) counts them.
    hashes: Vec<Vec<Hash>>,
}

impl Log {
    /// Adds a record and returns its number. Its text is one or more lines, each ended, none empty.
    pub fn append(&mut self, text: &str) -> Result<u64, ParseError> {
        if !is_record_text(text) {
            return Err(ParseError::new("record", text, "not lines of text"));
        }
        let id = self.size();
        self.records.push(text.to_owned());
        let mut hash = record_hash(text.as_bytes());
        for level in 0.. {
            if level == self.hashes.len() {
                self.hashes.push(Vec::new());
            }
            let Some(hashes) = self.hashes.get_mut(level) else {
                break;
            };
            hashes.push(hash);
            // An even number of hashes: the last two are a complete pair.
            match hashes.as_slice() {
                [.., left, right] if hashes.len() % 2 == 0 => hash = node_hash(left, right),
                _ => break,
            }
        }
        Ok(id)
    }

    /// Records in the log.
    pub fn size(&self) -> u64 {
        self.records.len() as u64
    }

    /// The head of the tree of the first `size` records; `None` if there are fewer.
    pub fn head(&self, size: u64) -> Option<TreeHead> {
        if size > self.size() {
            return None;
        }
        let hashes = subtrees(size)
            .into_iter()
            .map(|position| self.hash(position.level, position.index))
            .collect::<Option<Vec<_>>>()?;
        Some(TreeHead {
            size,
            root: root_of_subtrees(&hashes),
        })
    }

    fn hash(&self, level: u8, index: u64) -> Option<Hash> {
        self.hashes
            .get(usize::from(level))?
            .get(usize::try_from(index).ok()?)
            .copied()
    }

    /// A record by its number.
    pub fn record(&self, id: u64) -> Option<Record> {
        Some(Record {
            id,
            text: self.records.get(usize::try_from(id).ok()?)?.clone(),
        })
    }

    /// The bytes of a tile: hashes, or for a data tile the records with an empty line between them.
    /// `None` where the log is too small to fill it.
    pub fn tile(&self, tile: &Tile) -> Option<Vec<u8>> {
        let first = usize::try_from(tile.number.checked_mul(1 << tile.height)?).ok()?;
        let places = first..first.checked_add(usize::try_from(tile.width).ok()?)?;
        match tile.level {
            None => Some(self.records.get(places)?.join("\n").into_bytes()),
            Some(level) => {
                let level = usize::from(level).checked_mul(tile.height.into())?;
                let hashes = self.hashes.get(level)?.get(places)?;
                Some(hashes.iter().flat_map(|hash| hash.0).collect())
            }
        }
    }

    /// The answer of `/lookup/` for record `id`, with a head that `key` signs: that of the first
    /// `size` records. `None` where that tree does not hold the record.
    pub fn lookup(&self, id: u64, size: u64, key: &SigningKey) -> Option<String> {
        let record = self.record(id).filter(|record| record.id < size)?;
        let signed_head = key.sign(&self.head(size)?.text()).ok()?;
        Some(format!("{id}\n{}\n{signed_head}", record.text))
    }
}
