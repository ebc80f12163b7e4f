//! Hashes of the tree, and proofs that a hash is part of it (RFC 6962, section 2.1; x/mod's tlog).
//!
//! No audit paths travel: a client reads tiles, and a tile is believed only when its hashes lead up
//! to the root of a signed head. [`TreeProof`] works in two steps, so that fetching stays outside:
//! it names the tiles that it lacks, and then judges what was brought.
use super::{Tile, TreeHead};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::sync::Arc;

/// A hash of the tree. Displayed as base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The root of the tree without records: the hash of nothing.
    pub const EMPTY_TREE: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9,
        0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52,
        0xb8, 0x55,
    ]);

    /// Reads base64 of 32 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// The hash of a record's text: a leaf.
pub fn record_hash(text: &[u8]) -> Hash {
    let mut hashed = Vec::with_capacity(text.len() + 1);
    hashed.push(0);
    hashed.extend_from_slice(text);
    Hash(crate::Sha256::of(&hashed).0)
}

/// The hash of two neighbouring hashes.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hashed = [1; 65];
    let (_, children) = hashed.split_at_mut(1);
    let (first, second) = children.split_at_mut(32);
    first.copy_from_slice(&left.0);
    second.copy_from_slice(&right.0);
    Hash(crate::Sha256::of(&hashed).0)
}

/// Where a hash lies: that of the complete subtree over the 2^`level` records from `index << level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HashPosition {
    /// Distance from the leaves.
    pub level: u8,
    /// Number within the level.
    pub index: u64,
}

impl HashPosition {
    /// The leaf of record `id`.
    pub fn of_record(id: u64) -> Self {
        Self {
            level: 0,
            index: id,
        }
    }

    /// The tile of a tree of `size` records that the hash is computed from, if the tree is that large.
    fn tile(self, height: u8, size: u64) -> Option<Tile> {
        let is_inside = (u128::from(self.index) + 1)
            .checked_shl(self.level.into())
            .is_some_and(|end| end <= size.into());
        if !is_inside || !(1..=30).contains(&height) {
            return None;
        }
        let level = self.level / height;
        let first = self.index << (self.level % height);
        tile_at(height, level, first >> height, size)
    }
}

/// The tile with the width that it has in a tree of `size` records; `None` where the tree ends
/// before it.
fn tile_at(height: u8, level: u8, number: u64, size: u64) -> Option<Tile> {
    let hashes_of_level = size
        .checked_shr(u32::from(level) * u32::from(height))
        .unwrap_or(0);
    let hashes_before = number.checked_mul(1 << height)?;
    let width = hashes_of_level.checked_sub(hashes_before)?.min(1 << height);
    Some(Tile {
        height,
        level: Some(level),
        number,
        width: u32::try_from(width).ok().filter(|width| *width > 0)?,
    })
}

/// The complete subtrees that a tree of `size` records consists of, from left to right: one for each
/// bit of its size.
pub fn subtrees(size: u64) -> Vec<HashPosition> {
    (0..64_u8)
        .rev()
        .filter(|level| size >> level & 1 == 1)
        .map(|level| HashPosition {
            level,
            index: (size >> level) - 1,
        })
        .collect()
}

/// The root of the tree that consists of these complete subtrees.
pub fn root_of_subtrees(hashes: &[Hash]) -> Hash {
    hashes
        .iter()
        .rev()
        .copied()
        .reduce(|right, left| node_hash(&left, &right))
        .unwrap_or(Hash::EMPTY_TREE)
}

/// Why tiles prove nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The tree is too small to hold the hash.
    #[error("cannot validate hash {index} of level {level} in a tree of {size} records")]
    OutsideTree {
        /// Distance from the leaves.
        level: u8,
        /// Number within the level.
        index: u64,
        /// The tree's records.
        size: u64,
    },
    /// Something else than the tile.
    #[error("{tile} has {got} bytes instead of {expected}")]
    WrongLength {
        /// Which tile.
        tile: Tile,
        /// Bytes it must have.
        expected: usize,
        /// Bytes that came.
        got: usize,
    },
    /// The tiles of the tree's right edge do not lead to the signed root.
    #[error("downloaded inconsistent tiles: they hash to {got}, the signed root is {expected}")]
    WrongRoot {
        /// What was signed.
        expected: Hash,
        /// What the tiles say.
        got: Hash,
    },
    /// A tile contradicts the one above it.
    #[error("downloaded inconsistent tile: {tile} does not hash to what the level above says")]
    WrongTile {
        /// Which tile.
        tile: Tile,
    },
}

/// Bytes of a tile: 32 for each hash. May be longer than the tile that was asked for: a tile never
/// changes, it only grows.
pub type TileData = Arc<[u8]>;

/// A proof under way: which hashes of which tree, and which tiles it takes.
#[derive(Debug)]
pub struct TreeProof {
    head: TreeHead,
    /// Tiles to be brought; a tile comes before those that are checked against it.
    lacking: Vec<Tile>,
    needs_root: bool,
    tiles: ProvenTiles,
}

/// Tiles that are part of a tree.
#[derive(Clone, Debug)]
pub struct ProvenTiles {
    height: u8,
    size: u64,
    by_place: HashMap<(u8, u64), TileData>,
    brought: Vec<(Tile, TileData)>,
}

impl TreeProof {
    /// Plans the proof of `wanted` hashes in the tree of `head`, cut into tiles of `height`.
    ///
    /// `proven` gives tiles that are already known to be part of this very tree, at least as wide as
    /// asked for. Without any, tiles are checked from the root down, as Go's `tlog.TileHashReader` does.
    pub fn new(
        head: TreeHead,
        height: u8,
        wanted: &[HashPosition],
        proven: &dyn Fn(Tile) -> Option<TileData>,
    ) -> Result<Self, ProofError> {
        let mut proof = Self {
            head,
            lacking: Vec::new(),
            needs_root: false,
            tiles: ProvenTiles {
                height,
                size: head.size,
                by_place: HashMap::new(),
                brought: Vec::new(),
            },
        };
        for position in wanted {
            let mut next = Some(proof.tile_of(*position)?);
            while let Some(tile) = next {
                next = proof.add(tile, proven)?;
            }
        }
        if proof.needs_root {
            proof.add_root(proven)?;
        }
        proof
            .lacking
            .sort_by_key(|tile| std::cmp::Reverse(tile.level));
        Ok(proof)
    }

    /// Plans the proof of the tree's whole right edge: what shows that a head is that of a tree at all.
    pub fn of_root(
        head: TreeHead,
        height: u8,
        wanted: &[HashPosition],
    ) -> Result<Self, ProofError> {
        let mut proof = Self::new(head, height, wanted, &|_| None)?;
        proof.add_root(&|_| None)?;
        proof
            .lacking
            .sort_by_key(|tile| std::cmp::Reverse(tile.level));
        Ok(proof)
    }

    /// Adds a tile and returns the one that it is to be checked against.
    fn add(
        &mut self,
        tile: Tile,
        proven: &dyn Fn(Tile) -> Option<TileData>,
    ) -> Result<Option<Tile>, ProofError> {
        let level = tile.level.unwrap_or(0);
        if self.tiles.by_place.contains_key(&(level, tile.number)) || self.lacking.contains(&tile) {
            return Ok(None);
        }
        if let Some(data) = proven(tile).filter(|data| data.len() >= tile.hash_bytes()) {
            self.tiles.by_place.insert((level, tile.number), data);
            return Ok(None);
        }
        self.lacking.push(tile);
        if tile.is_partial() {
            // Each hash of a partial tile goes into the root.
            self.needs_root = true;
            return Ok(None);
        }
        self.tile_of(HashPosition {
            level: (level + 1) * tile.height,
            index: tile.number,
        })
        .map(Some)
    }

    fn add_root(&mut self, proven: &dyn Fn(Tile) -> Option<TileData>) -> Result<(), ProofError> {
        self.needs_root = true;
        for position in subtrees(self.head.size) {
            // Subtrees of the right edge lie in partial tiles, which have none above them.
            self.add(self.tile_of(position)?, proven)?;
        }
        Ok(())
    }

    fn tile_of(&self, position: HashPosition) -> Result<Tile, ProofError> {
        position
            .tile(self.tiles.height, self.head.size)
            .ok_or(ProofError::OutsideTree {
                level: position.level,
                index: position.index,
                size: self.head.size,
            })
    }

    /// The tiles to bring.
    pub fn lacking(&self) -> &[Tile] {
        &self.lacking
    }

    /// Judges what was brought for [`lacking`](Self::lacking), in the same order.
    pub fn check(mut self, brought: Vec<TileData>) -> Result<ProvenTiles, ProofError> {
        for (index, tile) in self.lacking.iter().enumerate() {
            let data = brought.get(index).cloned().unwrap_or_default();
            if data.len() != tile.hash_bytes() {
                return Err(ProofError::WrongLength {
                    tile: *tile,
                    expected: tile.hash_bytes(),
                    got: data.len(),
                });
            }
            let place = (tile.level.unwrap_or(0), tile.number);
            self.tiles.by_place.insert(place, data.clone());
            self.tiles.brought.push((*tile, data));
        }
        if self.needs_root {
            let got = self.tiles.root(self.head.size)?;
            if got != self.head.root {
                return Err(ProofError::WrongRoot {
                    expected: self.head.root,
                    got,
                });
            }
        }
        for tile in self.lacking.iter().filter(|tile| !tile.is_partial()) {
            let level = tile.level.unwrap_or(0);
            let above = HashPosition {
                level: (level + 1) * tile.height,
                index: tile.number,
            };
            let data = self.tiles.by_place.get(&(level, tile.number));
            if data.map(|data| subtree_hash(data)) != Some(self.tiles.hash(above)?) {
                return Err(ProofError::WrongTile { tile: *tile });
            }
        }
        Ok(self.tiles)
    }
}

impl ProvenTiles {
    /// A hash that was wanted of the proof.
    pub fn hash(&self, position: HashPosition) -> Result<Hash, ProofError> {
        self.find(position).ok_or(ProofError::OutsideTree {
            level: position.level,
            index: position.index,
            size: self.size,
        })
    }

    fn find(&self, position: HashPosition) -> Option<Hash> {
        let tile = position.tile(self.height, self.size)?;
        let data = self.by_place.get(&(tile.level?, tile.number))?;
        let below = position.level % self.height;
        let first = (position.index << below).checked_sub(tile.number << self.height)?;
        let start = usize::try_from(first).ok()?.checked_mul(32)?;
        let end = start.checked_add(32_usize.checked_shl(below.into())?)?;
        data.get(start..end).map(subtree_hash)
    }

    /// The root of the tree of the first `size` records; its [`subtrees`] were wanted of the proof.
    pub fn root(&self, size: u64) -> Result<Hash, ProofError> {
        let hashes = subtrees(size)
            .into_iter()
            .map(|position| self.hash(position))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(root_of_subtrees(&hashes))
    }

    /// The bytes of a tile that the proof went through, as wide as asked for.
    pub fn tile(&self, tile: &Tile) -> Option<&[u8]> {
        self.by_place
            .get(&(tile.level?, tile.number))?
            .get(..tile.hash_bytes())
    }

    /// The tiles that the proof lacked, and which are now proven.
    pub fn brought(&self) -> &[(Tile, TileData)] {
        &self.brought
    }
}

/// The root over a power of two of hashes, at least one.
fn subtree_hash(hashes: &[u8]) -> Hash {
    if let Ok(hash) = hashes.try_into() {
        return Hash(hash);
    }
    let (left, right) = hashes.split_at(hashes.len() / 2);
    node_hash(&subtree_hash(left), &subtree_hash(right))
}
