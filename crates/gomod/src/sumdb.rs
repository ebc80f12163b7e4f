//! The checksum database's data: verifier keys and GOSUMDB values, signed notes, tree heads, lookups,
//! tiles and proofs (rules 65 to 70).
//!
//! The client (`source::sumdb`) fetches and remembers; what is fetched is read and judged here. A
//! database is an append-only log of records: its tree head is the root of a Merkle tree (RFC 6962,
//! section 2) over all records, signed as a [note](Note), and the tree is served in [tiles](Tile).
//! [`TreeProof`] says which tiles prove a hash to be part of a tree and checks them. [`log`] is the
//! other side: a small log that signs, for tests and for a database of one's own.
//!
//! Nothing here fetches, stores or decides whom to believe.

pub mod log;
mod lookup;
mod note;
mod proof;
mod setting;
mod tile;

pub use lookup::{Lookup, Record, TreeHead};
pub use note::{Note, NoteError, Verifier};
pub use proof::{
    Hash, HashPosition, ProofError, ProvenTiles, TileData, TreeProof, node_hash, record_hash,
    root_of_subtrees, subtrees,
};
pub use setting::SumdbSetting;
pub use tile::Tile;

/// The tile height of every client (x/mod/sumdb.Client's default).
pub const CLIENT_TILE_HEIGHT: u8 = 8;

#[cfg(test)]
mod tests;
