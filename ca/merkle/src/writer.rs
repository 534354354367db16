//! From entries to tiles, one entry at a time: what is kept in memory is the last tile of each level.

use crate::export::{ExportError, Fault};
use crate::hash::{Hash, leaf_hash};
use crate::tile::{ENTRY_LIMIT, FULL, Kind, Tile, TileError};
use crate::tree::{Tree, root};

/// Levels that a log of fewer than 2^64 entries can have.
const LEVELS: usize = 8;

/// Writes the tiles and bundles of a growing log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TileWriter {
    size: u64,
    /// The bundle being filled, as it will be in its file.
    bundle: Vec<u8>,
    /// The hashes of each level's tile being filled: fewer than 256.
    levels: [Vec<Hash>; LEVELS],
}

impl TileWriter {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds an entry and hands every tile and bundle that became full to `put`.
    ///
    /// After an error the writer no longer knows what was written: drop it and `resume` from the last checkpoint.
    pub fn push<E>(&mut self, entry: &[u8], mut put: impl FnMut(Tile, &[u8]) -> Result<(), E>) -> Result<(), ExportError<E>> {
        let length = u16::try_from(entry.len()).map_err(|_| {
            ExportError::new("tile/entries", Fault::Content(TileError::EntryTooLong { length: entry.len() }))
        })?;
        debug_assert!(entry.len() <= ENTRY_LIMIT);
        self.bundle.extend(length.to_be_bytes());
        self.bundle.extend(entry);
        let index = self.size;
        self.size += 1;
        if index & 0xff == 0xff {
            give(Kind::Entries, index >> 8, FULL, &self.bundle, &mut put)?;
            self.bundle.clear();
        }
        let (mut node, mut index) = (leaf_hash(entry), index);
        for (level, tile) in (0_u8..).zip(self.levels.iter_mut()) {
            tile.push(node);
            if index & 0xff != 0xff {
                break;
            }
            give(Kind::Hashes(level), index >> 8, FULL, tile.as_flattened(), &mut put)?;
            node = root(tile);
            tile.clear();
            index >>= 8;
        }
        Ok(())
    }

    /// Hands the partial tiles and the partial bundle of the present size to `put`; the writer goes on after it.
    pub fn partials<E>(&self, mut put: impl FnMut(Tile, &[u8]) -> Result<(), E>) -> Result<(), ExportError<E>> {
        let taken = (self.size & 0xff) as u16;
        if taken > 0 {
            give(Kind::Entries, self.size >> 8, taken, &self.bundle, &mut put)?;
        }
        for (level, tile) in (0_u8..).zip(&self.levels) {
            if !tile.is_empty() {
                let index = (self.size >> (8 * u32::from(level))) >> 8;
                give(Kind::Hashes(level), index, tile.len() as u16, tile.as_flattened(), &mut put)?;
            }
        }
        Ok(())
    }

    /// The tree so far: its peaks are the subtrees of the highest level's hashes first.
    pub fn tree(&self) -> Tree {
        let mut peaks = Vec::with_capacity(self.size.count_ones() as usize);
        for tile in self.levels.iter().rev() {
            let mut rest = tile.as_slice();
            while !rest.is_empty() {
                let (peak, others) = rest.split_at(1 << rest.len().ilog2());
                peaks.push(root(peak));
                rest = others;
            }
        }
        Tree::from_peaks(self.size, peaks)
    }

    /// Takes up writing after the checkpoint of this size and root, from the partial tiles written for it.
    ///
    /// Reads at most eight tiles and one bundle, and believes them only when they lead to the root.
    pub fn resume<E>(
        size: u64,
        expected: &Hash,
        mut read: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Self, ExportError<E>> {
        let mut writer = Self { size, ..Self::default() };
        for (level, kept) in (0_u8..).zip(writer.levels.iter_mut()) {
            let places = size >> (8 * u32::from(level));
            let Ok(tile) = Tile::new(Kind::Hashes(level), places >> 8, (places & 0xff) as u16) else { continue };
            let bytes = fetch(&tile.path(), &mut read)?;
            *kept = tile.hashes(&bytes).map_err(|why| ExportError::new(tile.path(), Fault::Content(why)))?.to_vec();
        }
        if let Ok(tile) = Tile::new(Kind::Entries, size >> 8, (size & 0xff) as u16) {
            writer.bundle = fetch(&tile.path(), &mut read)?;
            let entries = tile.entries(&writer.bundle).map_err(|why| ExportError::new(tile.path(), Fault::Content(why)))?;
            if !entries.iter().map(|entry| leaf_hash(entry)).eq(writer.levels[0].iter().copied()) {
                return Err(ExportError::new(tile.path(), Fault::Differs));
            }
        }
        if writer.tree().root() != *expected {
            return Err(ExportError::new("checkpoint", Fault::WrongRoot));
        }
        Ok(writer)
    }
}

fn give<E>(
    kind: Kind,
    index: u64,
    width: u16,
    bytes: &[u8],
    put: &mut impl FnMut(Tile, &[u8]) -> Result<(), E>,
) -> Result<(), ExportError<E>> {
    let tile = Tile::new(kind, index, width).map_err(|why| ExportError::new("tile", Fault::Content(why)))?;
    put(tile, bytes).map_err(|why| ExportError::new(tile.path(), Fault::Io(why)))
}

/// A file that must be there.
pub(crate) fn fetch<E>(path: &str, read: &mut impl FnMut(&str) -> Result<Option<Vec<u8>>, E>) -> Result<Vec<u8>, ExportError<E>> {
    match read(path) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(ExportError::new(path, Fault::Missing)),
        Err(why) => Err(ExportError::new(path, Fault::Io(why))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    fn entry(index: u64) -> Vec<u8> {
        format!("entry {index}").into_bytes()
    }

    /// A log that was written up to `size` in one go.
    fn written(size: u64) -> (TileWriter, BTreeMap<String, Vec<u8>>) {
        let (mut writer, mut files) = (TileWriter::new(), BTreeMap::new());
        let mut put = |tile: Tile, bytes: &[u8]| {
            files.insert(tile.path(), bytes.to_vec());
            Ok::<_, Infallible>(())
        };
        (0..size).for_each(|index| writer.push(&entry(index), &mut put).unwrap());
        writer.partials(&mut put).unwrap();
        (writer, files)
    }

    #[test]
    fn writes_every_tile_and_no_other() {
        for size in [0, 1, 2, 255, 256, 257, 511, 512, 70_000] {
            let (_, files) = written(size);
            let mut paths: Vec<_> = Tile::all(size).map(|tile| tile.path()).collect();
            paths.sort();
            assert!(files.keys().eq(&paths), "{size}");
            for tile in Tile::all(size) {
                let bytes = &files[&tile.path()];
                match tile.kind() {
                    Kind::Entries => assert_eq!(tile.entries(bytes).unwrap()[0], entry(256 * tile.index())),
                    Kind::Hashes(_) => assert_eq!(tile.hashes(bytes).unwrap().len(), usize::from(tile.width())),
                }
            }
        }
    }

    #[test]
    fn the_tree_of_the_tiles_is_the_tree() {
        let (mut writer, mut tree) = (TileWriter::new(), Tree::new());
        for index in 0..66_000 {
            writer.push(&entry(index), |_, _| Ok::<_, Infallible>(())).unwrap();
            tree.append(leaf_hash(&entry(index)));
            if !(600..=65_500).contains(&index) {
                assert_eq!(writer.tree(), tree);
            }
        }
    }

    #[test]
    fn goes_on_from_any_checkpoint() {
        for old in [0, 1, 200, 256, 300, 511, 512, 65_536, 65_800] {
            let (before, files) = written(old);
            let read = |path: &str| Ok::<_, Infallible>(files.get(path).cloned());
            let resumed = TileWriter::resume(old, &before.tree().root(), read).unwrap();
            assert_eq!(resumed, before);
        }
    }

    #[test]
    fn damaged_partials_are_not_resumed() {
        let (before, files) = written(300);
        let root = before.tree().root();
        for path in ["tile/entries/001.p/44", "tile/0/001.p/44", "tile/1/000.p/1"] {
            for at in 0..files[path].len() {
                let mut files = files.clone();
                files.get_mut(path).unwrap()[at] ^= 1;
                assert!(TileWriter::resume(300, &root, |path| Ok::<_, Infallible>(files.get(path).cloned())).is_err());
            }
            let without = TileWriter::resume(300, &root, |asked| Ok::<_, Infallible>(files.get(asked).filter(|_| asked != path).cloned()));
            assert_eq!(without.unwrap_err(), ExportError::new(path, Fault::Missing));
        }
    }

    #[test]
    fn an_entry_that_is_too_long_or_not_written() {
        let mut writer = TileWriter::new();
        let longest = vec![0; ENTRY_LIMIT];
        assert!(writer.push(&longest, |_, _| Ok::<_, Infallible>(())).is_ok());
        assert!(writer.push(&[longest, vec![0]].concat(), |_, _| Ok::<_, Infallible>(())).is_err());
        let refused = writer.partials(|_, _| Err("disk full"));
        assert_eq!(refused, Err(ExportError::new("tile/entries/000.p/1", Fault::Io("disk full"))));
    }
}
