//! SHA-256 of bytes and the `h1:` hashes of go.sum (rule 64).
//!
//! An `h1:` is a hash of hashes: SHA-256 over a text with one line a file, sorted by name. Reading the
//! files is the caller's part; [`crate::zip`] and the fillers bring names and digests here.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::ParseError;

/// SHA-256 of some bytes. Displayed as lower-case hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(digest_array(&digest::digest(&digest::SHA256, bytes)))
    }

    /// Reads 64 lower-case hex digits.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let fail = || ParseError::new("SHA-256", text, "want 64 lower-case hex digits");
        let mut digest = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != digest.len() || !rest.is_empty() {
            return Err(fail());
        }
        for (byte, &[high, low]) in digest.iter_mut().zip(pairs) {
            *byte = hex_value(high).ok_or_else(fail)? << 4 | hex_value(low).ok_or_else(fail)?;
        }
        Ok(Self(digest))
    }
}

impl std::fmt::Display for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(std::str::from_utf8(&hex_digits(&self.0)).unwrap_or_default())
    }
}

/// A Go `h1:` hash. Displayed as `h1:BASE64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct H1(pub [u8; 32]);

impl H1 {
    /// Go's `dirhash.Hash1` over `(name, SHA-256 of the content)`, in any order; sorts the slice by
    /// name. Names with a newline are refused, because they could forge lines of the hashed text.
    pub fn of(files: &mut [(String, Sha256)]) -> Result<Self, ParseError> {
        files.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        let mut text = digest::Context::new(&digest::SHA256);
        for (name, sha256) in files.iter() {
            if name.contains('\n') {
                let reason = "filenames with newlines are not supported";
                return Err(ParseError::new("file name", name, reason));
            }
            add_line(&mut text, name, sha256);
        }
        Ok(Self(digest_array(&text.finish())))
    }

    /// Reads `h1:BASE64`.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let fail = |reason: &str| ParseError::new("h1: hash", text, reason);
        let base64 = text
            .strip_prefix("h1:")
            .ok_or_else(|| fail("does not start with h1:"))?;
        // 32 bytes are 44 characters; a longer text is not worth decoding.
        if base64.len() != 44 {
            return Err(fail("want 44 characters of base64"));
        }
        let bytes = STANDARD
            .decode(base64)
            .map_err(|_| fail("not valid base64"))?;
        <[u8; 32]>::try_from(bytes)
            .map(Self)
            .map_err(|_| fail("want 32 bytes"))
    }
}

impl std::fmt::Display for H1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "h1:{}", STANDARD.encode(self.0))
    }
}

/// The `h1:` of a module zip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ZipHash(pub H1);

impl std::fmt::Display for ZipHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The `h1:` of a go.mod file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GoModHash(pub H1);

impl GoModHash {
    /// The hash of a go.mod file's bytes: that of a tree with the one file `go.mod`.
    pub fn of(go_mod: &[u8]) -> Self {
        let mut text = digest::Context::new(&digest::SHA256);
        add_line(&mut text, "go.mod", &Sha256::of(go_mod));
        Self(H1(digest_array(&text.finish())))
    }
}

impl std::fmt::Display for GoModHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

fn add_line(text: &mut digest::Context, name: &str, sha256: &Sha256) {
    text.update(&hex_digits(&sha256.0));
    text.update(b"  ");
    text.update(name.as_bytes());
    text.update(b"\n");
}

fn digest_array(digest: &digest::Digest) -> [u8; 32] {
    let mut array = [0; 32];
    array.copy_from_slice(digest.as_ref());
    array
}

fn hex_digits(bytes: &[u8; 32]) -> [u8; 64] {
    let mut digits = [0; 64];
    let (pairs, _) = digits.as_chunks_mut::<2>();
    for ([high, low], byte) in pairs.iter_mut().zip(bytes) {
        *high = hex_digit(byte >> 4);
        *low = hex_digit(byte & 15);
    }
    digits
}

fn hex_digit(value: u8) -> u8 {
    if value < 10 {
        b'0' + value
    } else {
        b'a' + value - 10
    }
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
