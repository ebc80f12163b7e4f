//! `h1:` hashes (rule 64) and SHA-256 of bytes.
use crate::ParseError;

/// SHA-256 of some bytes. Displayed as lower-case hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut digest = [0; 32];
        digest
            .copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
        Self(digest)
    }
    /// Reads 64 lower-case hex digits.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let _ = text;
        todo!()
    }
}
impl std::fmt::Display for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A Go `h1:` hash. Displayed as `h1:BASE64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct H1(pub [u8; 32]);

impl H1 {
    /// Go's `dirhash.Hash1` over `(name, SHA-256 of the content)`, in any order. Names with a newline are refused.
    pub fn of(files: &mut [(String, Sha256)]) -> Result<Self, ParseError> {
        let _ = files;
        todo!()
    }
    /// Reads `h1:BASE64`.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let _ = text;
        todo!()
    }
}
impl std::fmt::Display for H1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let _ = f;
        todo!()
    }
}

/// The `h1:` of a module zip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ZipHash(pub H1);
/// The `h1:` of a go.mod file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GoModHash(pub H1);

impl GoModHash {
    /// The hash of a go.mod file's bytes.
    pub fn of(go_mod: &[u8]) -> Self {
        let _ = go_mod;
        todo!()
    }
}
impl std::fmt::Display for ZipHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
impl std::fmt::Display for GoModHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
