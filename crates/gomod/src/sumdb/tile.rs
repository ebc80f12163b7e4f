//! Where a tile lies in the tree, and how URLs say it.
use crate::ParseError;

/// The coordinates of a tile (golang.org/x/mod/sumdb/tlog.Tile).
///
/// Tile `number` of a level holds up to 2^`height` consecutive hashes of the tree's level
/// `level * height`, counted from `number << height`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    /// Height: 1 to 30.
    pub height: u8,
    /// Level: 0 to 63, `None` for a data tile, which holds the records themselves.
    pub level: Option<u8>,
    /// Number within the level.
    pub number: u64,
    /// Hashes in the tile: 1 to 2^height; less than that is a partial tile.
    pub width: u32,
}

const WHAT: &str = "tile path";

/// Numbers are written in groups of three digits, so that no folder grows beyond a thousand entries.
const GROUP: u64 = 1000;

impl Tile {
    /// Reads `tile/H/L/NNN[.p/W]` or `tile/H/data/NNN[.p/W]` (Go's `tlog.ParseTilePath`). There is one
    /// way to write each tile; any other is an error.
    pub fn parse_path(text: &str) -> Result<Self, ParseError> {
        Self::read_path(text)
            .filter(|tile| tile.path() == text)
            .ok_or_else(|| ParseError::new(WHAT, text, "not of the form `tile/H/L/NNN[.p/W]`"))
    }

    fn read_path(text: &str) -> Option<Self> {
        // The longest one: 19 digits of a number, in seven groups, with the smallest of heights.
        if text.len() > 80 {
            return None;
        }
        let rest = text.strip_prefix("tile/")?;
        let (height, rest) = rest.split_once('/')?;
        let (level, rest) = rest.split_once('/')?;
        let height = height
            .parse()
            .ok()
            .filter(|height| (1..=30).contains(height))?;
        let level = match level {
            "data" => None,
            level => Some(level.parse().ok().filter(|level| *level <= 63)?),
        };
        let (number, width) = match rest.split_once(".p/") {
            None => (rest, 1_u32 << height),
            Some((number, width)) => (number, width.parse().ok()?),
        };
        if width == 0 || width > 1_u32 << height {
            return None;
        }
        let number = number.split('/').try_fold(0_u64, |number, group| {
            let group = group.strip_prefix('x').unwrap_or(group);
            number
                .checked_mul(GROUP)?
                .checked_add(group.parse().ok().filter(|group| *group < GROUP)?)
        })?;
        // Go counts with signed 64-bit numbers.
        i64::try_from(number).ok()?;
        Some(Self {
            height,
            level,
            number,
            width,
        })
    }

    /// The path as URLs hold it, without a leading slash (Go's `tlog.Tile.Path`).
    pub fn path(&self) -> String {
        let mut groups = format!("{:03}", self.number % GROUP);
        let mut rest = self.number / GROUP;
        while rest > 0 {
            groups = format!("x{:03}/{groups}", rest % GROUP);
            rest /= GROUP;
        }
        let level = self
            .level
            .map_or_else(|| "data".to_owned(), |level| level.to_string());
        let mut path = format!("tile/{}/{level}/{groups}", self.height);
        if self.is_partial() {
            path.push_str(&format!(".p/{}", self.width));
        }
        path
    }

    /// True for a tile that the tree has not filled.
    pub fn is_partial(&self) -> bool {
        self.width < 1 << self.height
    }

    /// The full tile of which this one is the beginning.
    pub fn full(self) -> Self {
        Self {
            width: 1 << self.height,
            ..self
        }
    }

    /// The bytes of the tile's hashes, 32 each. Meaningless for data tiles, whose records have any
    /// length.
    pub fn hash_bytes(&self) -> usize {
        usize::try_from(self.width)
            .unwrap_or(usize::MAX)
            .saturating_mul(32)
    }
}

impl std::fmt::Display for Tile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path())
    }
}
