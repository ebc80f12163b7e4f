//! Small files that are not synced: a header line with the SHA-256 of the rest, so that a file which
//! a loss of power tore reads as absent.
//!
//! For what can be asked again (answers, tiles, lookups). Records are synced instead.

use gomod::Sha256;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Header<H> {
    sha256: String,
    #[serde(flatten)]
    about: H,
}

/// The header line and the body.
pub(crate) fn seal<H: Serialize>(about: H, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let header = Header {
        sha256: Sha256::of(body).to_string(),
        about,
    };
    let mut sealed = serde_json::to_vec(&header)?;
    sealed.push(b'\n');
    sealed.extend_from_slice(body);
    Ok(sealed)
}

/// What was said about the body, and where in `sealed` the body begins; `None` where the file is not
/// what was sealed.
pub(crate) fn unseal<H: for<'de> Deserialize<'de>>(sealed: &[u8]) -> Option<(H, usize)> {
    let end = sealed.iter().position(|&byte| byte == b'\n')?;
    let (header, body) = sealed.split_at(end + 1);
    let header: Header<H> = serde_json::from_slice(header).ok()?;
    (Sha256::of(body).to_string() == header.sha256).then_some((header.about, end + 1))
}
