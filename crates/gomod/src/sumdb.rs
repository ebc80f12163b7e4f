//! The checksum database's data: signed notes, tree heads, lookups, tiles and proofs (rules 65 to 70).

/// The coordinates of a tile (golang.org/x/mod/sumdb/tlog.Tile).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    /// Height: 1 to 30.
    pub height: u8,
    /// Level: 0 to 63, `None` for a data tile.
    pub level: Option<u8>,
    /// Number within the level.
    pub number: u64,
    /// Hashes in the tile: 1 to 2^height; less than that is a partial tile.
    pub width: u32,
}
