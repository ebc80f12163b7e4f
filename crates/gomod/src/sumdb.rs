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

impl Tile {
    /// Reads `tile/H/L/N[.p/W]` or `tile/H/data/N[.p/W]` (Go's `tlog.ParseTilePath`): only the one canonical
    /// spelling of each tile.
    pub fn parse_path(text: &str) -> Result<Self, crate::ParseError> {
        Self::from_path(text)
            .filter(|tile| tile.to_path() == text)
            .ok_or_else(|| crate::ParseError::new("tile path", text, "malformed tile path"))
    }

    fn from_path(text: &str) -> Option<Self> {
        let (height, rest) = text.strip_prefix("tile/")?.split_once('/')?;
        let (level, rest) = rest.split_once('/')?;
        let height = height
            .parse()
            .ok()
            .filter(|height| (1..=30).contains(height))?;
        let level = match level {
            "data" => None,
            level => Some(level.parse().ok().filter(|level| *level < 64)?),
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, width.parse().ok()?),
            None => (rest, 1_u32 << height),
        };
        let number = number.split('/').try_fold(0_u64, |number, group| {
            let group: u16 = group.strip_prefix('x').unwrap_or(group).parse().ok()?;
            number.checked_mul(1000)?.checked_add(group.into())
        })?;
        (1..=1_u32 << height).contains(&width).then_some(Self {
            height,
            level,
            number,
            width,
        })
    }

    fn to_path(self) -> String {
        let mut groups = format!("{:03}", self.number % 1000);
        let mut rest = self.number / 1000;
        while rest > 0 {
            groups = format!("x{:03}/{groups}", rest % 1000);
            rest /= 1000;
        }
        let level = self.level.map_or("data".into(), |level| level.to_string());
        let partial = if self.width == 1 << self.height {
            String::new()
        } else {
            format!(".p/{}", self.width)
        };
        format!("tile/{}/{level}/{groups}{partial}", self.height)
    }
}
