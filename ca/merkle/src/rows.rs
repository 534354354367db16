//! The hashes of a log that is served while it grows: every row of its tiles above the leaves.
//!
//! The leaves' own hashes are 256 times as many and are made from one bundle when their tile is asked for; all that is
//! above them takes an eighth of an octet for each entry, so a log of ten million is kept in little more than a megabyte.

use crate::hash::Hash;
use crate::tree::{Tree, root};

/// Hashes in a full tile.
const FULL: usize = 256;
/// Rows above the leaves that a log of fewer than 2^64 entries can have.
const ABOVE: usize = 7;

#[derive(Clone, Debug, Default)]
pub struct Rows {
    size: u64,
    /// Of the tile of leaves that is being filled: fewer than 256.
    leaves: Vec<Hash>,
    /// Level 1 first; each is whole.
    above: [Vec<Hash>; ABOVE],
}

impl Rows {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf by its hash.
    pub fn append(&mut self, leaf: Hash) {
        self.size += 1;
        self.leaves.push(leaf);
        if self.leaves.len() < FULL {
            return;
        }
        let mut node = root(&self.leaves);
        self.leaves.clear();
        for row in &mut self.above {
            row.push(node);
            if row.len() % FULL != 0 {
                break;
            }
            node = root(row.last_chunk::<FULL>().map_or(&[][..], |tile| tile));
        }
    }

    /// The tree so far: its peaks are the subtrees of the highest row's last, partial tile first.
    pub fn tree(&self) -> Tree {
        let mut peaks = Vec::with_capacity(self.size.count_ones() as usize);
        let filling = self.above.iter().rev().map(|row| row.get(row.len() - row.len() % FULL..).unwrap_or_default());
        for mut rest in filling.chain([self.leaves.as_slice()]) {
            while !rest.is_empty() {
                let (peak, others) = rest.split_at(1 << rest.len().ilog2());
                peaks.push(root(peak));
                rest = others;
            }
        }
        Tree::from_peaks(self.size, peaks)
    }

    /// The octets of a hash tile above the leaves; `None` where the log has not come so far, and for level 0.
    pub fn tile(&self, level: u8, index: u64, width: u16) -> Option<Vec<u8>> {
        let row = self.above.get(usize::from(level).checked_sub(1)?)?;
        let from = usize::try_from(index).ok()?.checked_mul(FULL)?;
        let hashes = row.get(from..from.checked_add(usize::from(width))?)?;
        Some(hashes.as_flattened().to_vec())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{Kind, Tile, TileWriter, leaf_hash};
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    #[test]
    fn the_same_tiles_and_tree_as_the_writer_makes() {
        let entry = |index: u64| index.to_be_bytes();
        let (mut writer, mut rows, mut files) = (TileWriter::new(), Rows::new(), BTreeMap::new());
        for index in 0..66_600 {
            let put = |tile: Tile, bytes: &[u8]| {
                files.insert(tile.path(), bytes.to_vec());
                Ok::<_, Infallible>(())
            };
            writer.push(&entry(index), put).unwrap();
            rows.append(leaf_hash(&entry(index)));
            if index % 977 == 0 || index % 256 > 253 {
                assert_eq!(rows.tree(), writer.tree(), "{index}");
            }
        }
        let put = |tile: Tile, bytes: &[u8]| {
            files.insert(tile.path(), bytes.to_vec());
            Ok::<_, Infallible>(())
        };
        writer.partials(put).unwrap();
        let mut seen = 0;
        for tile in Tile::all(66_600) {
            let Kind::Hashes(level @ 1..) = tile.kind() else { continue };
            assert_eq!(rows.tile(level, tile.index(), tile.width()).as_ref(), files.get(&tile.path()), "{}", tile.path());
            seen += 1;
        }
        assert_eq!(seen, 3);
        // An earlier, narrower state of a tile is its beginning; what is not there yet is not made up.
        assert_eq!(rows.tile(1, 1, 2).unwrap(), files["tile/1/001.p/4"][..64]);
        assert_eq!(rows.tile(1, 1, 5), None);
        assert_eq!((rows.tile(0, 0, 1), rows.tile(8, 0, 1), rows.tile(1, u64::MAX, 256)), (None, None, None));
        assert_eq!(Rows::new().tree().root(), Tree::new().root());
    }
}
