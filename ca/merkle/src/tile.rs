//! Where the pieces of a log lie: hash tiles of height 8 and bundles of entries, by path (C2SP tlog-tiles).

use crate::hash::Hash;

/// Hashes in a full tile, entries in a full bundle.
pub const FULL: u16 = 256;
/// The longest entry that a bundle's 16-bit length can announce, in octets.
pub const ENTRY_LIMIT: usize = 0xffff;
/// The longest path: a level of two digits and an index of 2^64.
const PATH_LIMIT: usize = 64;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The log's entries themselves.
    Entries,
    /// Hashes of subtrees of 256^level leaves; level 0 holds leaf hashes, level 7 is the last that 2^64 needs.
    Hashes(u8),
}

/// One file of the log: its kind, its index in that kind, and how many of its 256 places are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    kind: Kind,
    index: u64,
    width: u16,
}

/// Why a path or a tile's content was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    #[error("this is not the path of a tile; see tlog-tiles for the form tile/<level>/<index>[.p/<width>]")]
    Path,
    #[error("a tile has a level from 0 to 7 and a width from 1 to 256")]
    Coordinates,
    #[error("the tile has {found} octets where {expected} belong; it was cut short or is another tile")]
    Length { found: usize, expected: usize },
    #[error("the bundle ends inside entry {at}; it was cut short")]
    Truncated { at: u16 },
    #[error("{octets} octets follow the bundle's last entry; it is another bundle or was added to")]
    Trailing { octets: usize },
    #[error("an entry of {length} octets does not fit a bundle, which takes 65,535; make the record smaller")]
    EntryTooLong { length: usize },
}

impl Tile {
    /// `width` is 1 to 256; only the last tile of a level is narrower than 256.
    pub fn new(kind: Kind, index: u64, width: u16) -> Result<Self, TileError> {
        let level_exists = matches!(kind, Kind::Entries | Kind::Hashes(0..=7));
        if level_exists && (1..=FULL).contains(&width) { Ok(Self { kind, index, width }) } else { Err(TileError::Coordinates) }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn index(&self) -> u64 {
        self.index
    }

    pub fn width(&self) -> u16 {
        self.width
    }

    /// `tile/0/x001/234.p/5`, `tile/entries/000`.
    // spec: tlog-tiles#merkle-tree
    pub fn path(&self) -> String {
        let mut path = match self.kind {
            Kind::Entries => "tile/entries".to_owned(),
            Kind::Hashes(level) => format!("tile/{level}"),
        };
        let mut divisor = 1_000_000_000_000_000_000_u64;
        while divisor > 1 {
            if self.index >= divisor {
                path.push_str(&format!("/x{:03}", self.index / divisor % 1000));
            }
            divisor /= 1000;
        }
        path.push_str(&format!("/{:03}", self.index % 1000));
        if self.width < FULL {
            path.push_str(&format!(".p/{}", self.width));
        }
        path
    }

    /// Reads a path; each tile has exactly one.
    pub fn parse(path: &str) -> Result<Self, TileError> {
        if path.len() > PATH_LIMIT {
            return Err(TileError::Path);
        }
        let (whole, width) = match path.split_once(".p/") {
            Some((whole, width)) => (whole, decimal(width)?),
            None => (path, u64::from(FULL)),
        };
        let (kind, index) = whole.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or(TileError::Path)?;
        let kind = match kind {
            "entries" => Kind::Entries,
            level => Kind::Hashes(u8::try_from(decimal(level)?).map_err(|_| TileError::Path)?),
        };
        let mut number = 0_u64;
        for group in index.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(TileError::Path);
            }
            let digits = digits.parse::<u64>().map_err(|_| TileError::Path)?;
            number = number.checked_mul(1000).and_then(|n| n.checked_add(digits)).ok_or(TileError::Path)?;
        }
        let tile = Self::new(kind, number, u16::try_from(width).map_err(|_| TileError::Path)?)?;
        // Only the one right spelling is read: no leading zeros, no missing x, no `.p/256`.
        if tile.path() == path { Ok(tile) } else { Err(TileError::Path) }
    }

    /// Every file of a log of `size` entries: the bundles, then each level of hashes.
    // spec: tlog-tiles#partial-tiles
    pub fn all(size: u64) -> impl Iterator<Item = Self> {
        let kinds = std::iter::once(Kind::Entries).chain((0..=7).map(Kind::Hashes));
        kinds.flat_map(move |kind| {
            let places = match kind {
                Kind::Entries => size,
                Kind::Hashes(level) => size >> (8 * u32::from(level)),
            };
            let full = (0..places >> 8).map(move |index| Self { kind, index, width: FULL });
            let rest = (places & 0xff) as u16;
            full.chain((rest > 0).then_some(Self { kind, index: places >> 8, width: rest }))
        })
    }

    /// The hashes in a tile's file.
    pub fn hashes<'a>(&self, bytes: &'a [u8]) -> Result<&'a [Hash], TileError> {
        let expected = 32 * usize::from(self.width);
        let (hashes, _) = bytes.as_chunks::<32>();
        if bytes.len() == expected { Ok(hashes) } else { Err(TileError::Length { found: bytes.len(), expected }) }
    }

    /// The entries in a bundle's file.
    // spec: tlog-tiles#log-entries
    pub fn entries<'a>(&self, bytes: &'a [u8]) -> Result<Vec<&'a [u8]>, TileError> {
        let (mut rest, mut entries) = (bytes, Vec::with_capacity(usize::from(self.width)));
        for at in 0..self.width {
            let (length, tail) = rest.split_first_chunk::<2>().ok_or(TileError::Truncated { at })?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (entry, tail) = tail.split_at_checked(length).ok_or(TileError::Truncated { at })?;
            entries.push(entry);
            rest = tail;
        }
        if rest.is_empty() { Ok(entries) } else { Err(TileError::Trailing { octets: rest.len() }) }
    }
}

/// A number without a sign or leading zeros.
fn decimal(text: &str) -> Result<u64, TileError> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().map_err(|_| TileError::Path) } else { Err(TileError::Path) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn published_paths() {
        let path = |kind, index, width| Tile::new(kind, index, width).unwrap().path();
        assert_eq!(path(Kind::Hashes(0), 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(path(Kind::Hashes(0), 1_234, 5), "tile/0/x001/234.p/5");
        assert_eq!(path(Kind::Entries, 0, 1), "tile/entries/000.p/1");
        assert_eq!(path(Kind::Hashes(7), 1_000_000, 255), "tile/7/x001/x000/000.p/255");
        assert_eq!(path(Kind::Entries, u64::MAX, 256), "tile/entries/x018/x446/x744/x073/x709/x551/615");
    }

    #[test]
    fn other_spellings_are_refused() {
        for path in [
            "", "tile", "tile/", "tile/0", "tile/0/", "tile/00/000", "tile/8/000", "tile/-1/000", "tile/0/0", "tile/0/0000",
            "tile/0/x000/001", "tile/0/001/234", "tile/0/x001/x234", "tile/0/x001/", "tile/0/000.p/0", "tile/0/000.p/256",
            "tile/0/000.p/01", "tile/0/000.p/", "tile/0/000.p", "tile/0/+01", "tile/entries/xx01/000", "/tile/0/000",
            "tile/0/../000", "tile/entries/x018/x446/x744/x073/x709/x551/616", "tile/data/000", "tile/0/x00/000", "tile/0/０００",
        ] {
            assert!(Tile::parse(path).is_err(), "{path}");
        }
    }

    /// The example that the specification works through.
    #[test]
    fn a_log_of_seventy_thousand() {
        let count = |kind, width| Tile::all(70_000).filter(|tile| tile.kind == kind && tile.width == width).count();
        assert_eq!(count(Kind::Hashes(0), 256), 273);
        assert_eq!(count(Kind::Hashes(0), 112), 1);
        assert_eq!(count(Kind::Hashes(1), 256), 1);
        assert_eq!(count(Kind::Hashes(1), 17), 1);
        assert_eq!(count(Kind::Hashes(2), 1), 1);
        assert_eq!(Tile::all(70_000).count(), 274 + 277);
        assert_eq!(Tile::all(256).map(|tile| tile.path()).collect::<Vec<_>>(), ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(Tile::all(0).count(), 0);
    }

    #[test]
    fn contents_of_the_wrong_length() {
        let tile = Tile::new(Kind::Hashes(0), 0, 2).unwrap();
        assert_eq!(tile.hashes(&[7; 64]).unwrap().len(), 2);
        assert_eq!(tile.hashes(&[7; 63]), Err(TileError::Length { found: 63, expected: 64 }));
        assert_eq!(tile.hashes(&[7; 96]), Err(TileError::Length { found: 96, expected: 64 }));
        let bundle = Tile::new(Kind::Entries, 0, 2).unwrap();
        assert_eq!(bundle.entries(&[0, 1, 9, 0, 0]).unwrap(), [&[9][..], &[]]);
        assert_eq!(bundle.entries(&[0, 1, 9, 0]), Err(TileError::Truncated { at: 1 }));
        assert_eq!(bundle.entries(&[0, 2, 9]), Err(TileError::Truncated { at: 0 }));
        assert_eq!(bundle.entries(&[0, 0, 0, 0, 5]), Err(TileError::Trailing { octets: 1 }));
    }

    proptest! {
        #[test]
        fn paths_come_back(index: u64, width in 1..=256_u16, level in 0..=8_u8) {
            let kind = if level == 8 { Kind::Entries } else { Kind::Hashes(level) };
            let tile = Tile::new(kind, index, width).unwrap();
            prop_assert_eq!(Tile::parse(&tile.path()), Ok(tile));
        }

        #[test]
        fn any_text_is_read_without_panic(path in "(tile/)?[0-9x/.pe]{0,30}") {
            if let Ok(tile) = Tile::parse(&path) {
                prop_assert_eq!(tile.path(), path);
            }
        }
    }
}
