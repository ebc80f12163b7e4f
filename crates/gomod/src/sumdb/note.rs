//! Signed notes (golang.org/x/mod/sumdb/note) and the keys that verify them.
use crate::ParseError;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;

/// The one algorithm of notes: Ed25519.
pub(super) const ALGORITHM: u8 = 1;
pub(super) const SIGNATURE_PREFIX: &str = "\u{2014} ";
/// Go's limit.
const MAX_SIGNATURES: usize = 100;
/// Far above any note: a tree note has three lines and a signature (Go's `tlog.ParseTree` has the same limit).
const MAX_NOTE_BYTES: usize = 1_000_000;

/// A verifier key, `NAME+HASH+KEY`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Verifier {
    name: Arc<str>,
    key_id: u32,
    public_key: [u8; 32],
}

impl Verifier {
    /// Reads `NAME+HASH+KEY`: the hash is eight hex digits, the key base64 of the algorithm byte and
    /// 32 bytes (Go's `note.NewVerifier`).
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let error = |reason: &str| ParseError::new("verifier key", text, reason);
        let mut fields = text.splitn(3, '+');
        let (Some(name), Some(key_id), Some(key)) = (fields.next(), fields.next(), fields.next())
        else {
            return Err(error("not of the form `NAME+HASH+KEY`"));
        };
        let key_id = Some(key_id)
            .filter(|digits| digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or_else(|| error("the hash is not eight hex digits"))?;
        let key = STANDARD
            .decode(key)
            .map_err(|_| error("the key is not base64"))?;
        if !is_signer_name(name) {
            return Err(error("a name is not empty and has neither spaces nor `+`"));
        }
        let public_key = match key.split_first() {
            Some((&ALGORITHM, public_key)) => <[u8; 32]>::try_from(public_key).ok(),
            _ => None,
        }
        .ok_or_else(|| error("not an Ed25519 key"))?;
        let verifier = Self::new(name, public_key);
        if verifier.key_id != key_id {
            return Err(error("the hash is not that of the name and the key"));
        }
        Ok(verifier)
    }

    /// The verifier of a name that is known to be a signer's name.
    pub(super) fn new(name: &str, public_key: [u8; 32]) -> Self {
        Self {
            name: name.into(),
            key_id: key_id(name, &public_key),
            public_key,
        }
    }

    /// The signer's name: the database's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of the hash of name and key.
    pub fn key_id(&self) -> u32 {
        self.key_id
    }

    fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public_key)
            .verify(text, signature)
            .is_ok()
    }
}

impl std::fmt::Display for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut key = vec![ALGORITHM];
        key.extend_from_slice(&self.public_key);
        write!(
            f,
            "{}+{:08x}+{}",
            self.name,
            self.key_id,
            STANDARD.encode(key)
        )
    }
}

/// SHA-256(name ‖ newline ‖ algorithm ‖ public key), its first four bytes.
fn key_id(name: &str, public_key: &[u8; 32]) -> u32 {
    let mut hashed = name.as_bytes().to_vec();
    hashed.extend_from_slice(&[b'\n', ALGORITHM]);
    hashed.extend_from_slice(public_key);
    let [a, b, c, d, ..] = crate::Sha256::of(&hashed).0;
    u32::from_be_bytes([a, b, c, d])
}

/// Go's `note.isValidName`.
pub(super) fn is_signer_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+')
}

/// True for text that a note may hold: no control characters but newlines.
pub(super) fn is_note_text(text: &str) -> bool {
    !text.bytes().any(|byte| byte < 0x20 && byte != b'\n')
}

/// A note whose signature was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    signed: String,
    text_bytes: usize,
}

/// Why a note was not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a note at all.
    #[error("malformed note: {0}")]
    Malformed(&'static str),
    /// A note without a signature by the key that is trusted: nothing is known of it.
    #[error("note has no signature by {0}")]
    Unsigned(String),
    /// A signature that names the trusted key and is not made with it.
    #[error("invalid signature for key {0}")]
    BadSignature(String),
}

impl Note {
    /// Opens a note that `verifier` must have signed (Go's `note.Open`). Signatures by other keys are
    /// ignored.
    pub fn open(signed: &[u8], verifier: &Verifier) -> Result<Self, NoteError> {
        if signed.len() > MAX_NOTE_BYTES {
            return Err(NoteError::Malformed("longer than 1,000,000 bytes"));
        }
        let signed = std::str::from_utf8(signed).map_err(|_| NoteError::Malformed("not UTF-8"))?;
        if !is_note_text(signed) {
            return Err(NoteError::Malformed("control characters"));
        }
        let Some((before, signatures)) = signed.rsplit_once("\n\n") else {
            return Err(NoteError::Malformed("no blank line before the signatures"));
        };
        // The text ends with the newline before the blank line.
        let text_bytes = before.len() + 1;
        let text = signed.get(..text_bytes).unwrap_or_default();
        let Some(signatures) = signatures.strip_suffix('\n') else {
            return Err(NoteError::Malformed("the last line does not end"));
        };
        let mut is_signed = false;
        for (index, line) in signatures.split('\n').enumerate() {
            if index >= MAX_SIGNATURES {
                return Err(NoteError::Malformed("more than 100 signatures"));
            }
            let (name, key_id, signature) =
                read_signature(line).ok_or(NoteError::Malformed("a line that is no signature"))?;
            if is_signed || name != verifier.name() || key_id != verifier.key_id {
                continue;
            }
            if !verifier.verifies(text.as_bytes(), &signature) {
                return Err(NoteError::BadSignature(name.to_owned()));
            }
            is_signed = true;
        }
        if !is_signed {
            return Err(NoteError::Unsigned(verifier.name().to_owned()));
        }
        Ok(Self {
            signed: signed.to_owned(),
            text_bytes,
        })
    }

    /// The text that is signed, its last newline included.
    pub fn text(&self) -> &str {
        self.signed.get(..self.text_bytes).unwrap_or_default()
    }

    /// The whole note as it came, signatures included.
    pub fn signed(&self) -> &str {
        &self.signed
    }
}

/// `— NAME BASE64`, where the base64 holds the key's four-byte id and the signature.
fn read_signature(line: &str) -> Option<(&str, u32, Vec<u8>)> {
    let (name, encoded) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
    let decoded = STANDARD.decode(encoded).ok()?;
    let (key_id, signature) = decoded.split_first_chunk::<4>()?;
    (is_signer_name(name) && !signature.is_empty())
        .then(|| (name, u32::from_be_bytes(*key_id), signature.to_vec()))
}
