//! Tiles (c2sp.org/tlog-tiles): the tree as static resources of at most 256 hashes, and bundles of its entries.

use super::LedgerError;

/// Hashes in a full tile.
pub const TILE_WIDTH: u16 = 256;
const LEVEL_MAX: u8 = 7;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TileKind {
    /// Hashes of nodes at tree level `8 * level`.
    Hashes {
        /// Level of the tile.
        level: u8,
    },
    /// Entries, each framed by its length (u16, big-endian).
    Entries,
}

/// The coordinates of a tile. `width` is 1 to 256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// What it holds.
    pub kind: TileKind,
    /// Its index on its level.
    pub index: u64,
    /// How many of its 256 places are filled.
    pub width: u16,
}

impl Tile {
    /// The path under the log's prefix: `tile/<L>/<N>[.p/<W>]`.
    #[must_use]
    pub fn path(&self) -> String {
        let mut number = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            number = format!("x{:03}/{number}", rest % 1000);
            rest /= 1000;
        }
        let level = match self.kind {
            TileKind::Hashes { level } => level.to_string(),
            TileKind::Entries => "entries".to_owned(),
        };
        let partial = if self.width == TILE_WIDTH { String::new() } else { format!(".p/{}", self.width) };
        format!("tile/{level}/{number}{partial}")
    }

    /// Reads a path; only the one way of writing it is accepted.
    ///
    /// # Errors
    /// [`LedgerError::Tile`].
    pub fn parse(path: &str) -> Result<Self, LedgerError> {
        let refuse = || LedgerError::Tile { path: crate::identity::clip(path) };
        if path.len() > 64 {
            return Err(refuse());
        }
        let (path_full, width) = match path.rsplit_once(".p/") {
            Some((full, width)) => (full, width.parse().map_err(|_| refuse())?),
            None => (path, TILE_WIDTH),
        };
        let rest = path_full.strip_prefix("tile/").ok_or_else(refuse)?;
        let (level, number) = rest.split_once('/').ok_or_else(refuse)?;
        let kind = match level {
            "entries" => TileKind::Entries,
            level => TileKind::Hashes { level: level.parse().map_err(|_| refuse())? },
        };
        let mut index: u64 = 0;
        for part in number.split('/') {
            let digits: u64 = part.trim_start_matches('x').parse().map_err(|_| refuse())?;
            index = index.checked_mul(1000).and_then(|i| i.checked_add(digits)).ok_or_else(refuse)?;
        }
        let tile = Self { kind, index, width };
        let level_ok = !matches!(kind, TileKind::Hashes { level } if level > LEVEL_MAX);
        if (1..=TILE_WIDTH).contains(&width) && level_ok && tile.path() == path {
            Ok(tile)
        } else {
            Err(refuse())
        }
    }

    /// The tree level of its hashes, and the range of indices on that level.
    ///
    /// # Errors
    /// [`LedgerError::Tile`] when it lies beyond any tree.
    pub fn range(&self) -> Result<(u8, u64, u64), LedgerError> {
        let level = match self.kind {
            TileKind::Hashes { level } => level * 8,
            TileKind::Entries => 0,
        };
        let first = self.index.checked_mul(u64::from(TILE_WIDTH));
        let end = first.and_then(|f| f.checked_add(u64::from(self.width)));
        match (first, end) {
            (Some(first), Some(end)) if end <= u64::MAX >> level => Ok((level, first, end)),
            _ => Err(LedgerError::Tile { path: self.path() }),
        }
    }
}
