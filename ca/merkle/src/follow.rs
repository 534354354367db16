//! Proofs made out of a log's tiles by whoever follows it: a few tiles are read, however long the log is.

use std::collections::BTreeMap;

use crate::export::{ExportError, Fault};
use crate::hash::{Hash, node_hash};
use crate::tile::{FULL, Kind, Tile};
use crate::tree::root;
use crate::writer::fetch;

/// The hashes that show the first `old` entries unchanged in the log of `new`, for [`crate::verify_consistency`], which
/// also judges sizes that make no sense. `read` gives a file of the log of `new` entries by its path.
// spec: rfc9162#2.1.4.1
pub fn consistency_from_tiles<E>(old: u64, new: u64, read: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>) -> Result<Vec<Hash>, ExportError<E>> {
    if old == 0 || old >= new {
        return Ok(Vec::new());
    }
    let mut tiles = Tiles { size: new, read, known: BTreeMap::new() };
    let (mut from, mut to, mut known, mut path) = (0, new, true, Vec::new());
    while old != to {
        let middle = from + split(to - from);
        if old <= middle {
            path.push(tiles.subtree(middle, to)?);
            to = middle;
        } else {
            path.push(tiles.subtree(from, middle)?);
            from = middle;
            known = false;
        }
    }
    // Who verifies knows the old root itself, unless the old log ends inside a right branch.
    if !known {
        path.push(tiles.subtree(from, to)?);
    }
    path.reverse();
    Ok(path)
}

/// The hashes that lead from entry `index` to the root of the log of `size`, for [`crate::verify_inclusion`].
// spec: rfc9162#2.1.3.1
pub fn inclusion_from_tiles<E>(index: u64, size: u64, read: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>) -> Result<Vec<Hash>, ExportError<E>> {
    if index >= size {
        return Ok(Vec::new());
    }
    let mut tiles = Tiles { size, read, known: BTreeMap::new() };
    let (mut from, mut to, mut path) = (0, size, Vec::new());
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            path.push(tiles.subtree(middle, to)?);
            to = middle;
        } else {
            path.push(tiles.subtree(from, middle)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The largest power of two smaller than `size`, which is at least 2.
fn split(size: u64) -> u64 {
    1 << (u64::BITS - 1 - (size - 1).leading_zeros())
}

/// The files of a log of `size`, each read once; a proof needs two of a level at most.
struct Tiles<R> {
    size: u64,
    read: R,
    known: BTreeMap<String, Vec<u8>>,
}

impl<R, E> Tiles<R>
where
    R: FnMut(&str) -> Result<Option<Vec<u8>>, E>,
{
    /// The root over the leaves from `from` up to `to`, a subtree of the whole.
    fn subtree(&mut self, from: u64, to: u64) -> Result<Hash, ExportError<E>> {
        let leaves = to - from;
        if leaves.is_power_of_two() && from.is_multiple_of(leaves) {
            return self.full(from, leaves.ilog2());
        }
        let middle = from + split(leaves);
        Ok(node_hash(&self.subtree(from, middle)?, &self.subtree(middle, to)?))
    }

    /// The root over the 2^`height` leaves from `from` on: of a few hashes that stand side by side in one tile.
    fn full(&mut self, from: u64, height: u32) -> Result<Hash, ExportError<E>> {
        let level = height / 8;
        let (first, count) = (from >> (8 * level), 1_usize << (height % 8));
        let (index, places) = (first >> 8, self.size >> (8 * level));
        let width = places.saturating_sub(index << 8).min(u64::from(FULL));
        let wrong = |why| ExportError::new("tile", Fault::Content(why));
        let tile = Tile::new(Kind::Hashes(u8::try_from(level).unwrap_or(u8::MAX)), index, u16::try_from(width).unwrap_or(FULL)).map_err(wrong)?;
        let path = tile.path();
        if !self.known.contains_key(&path) {
            let bytes = fetch(&path, &mut self.read)?;
            self.known.insert(path.clone(), bytes);
        }
        let bytes = self.known.get(&path).map(Vec::as_slice).unwrap_or_default();
        let hashes = tile.hashes(bytes).map_err(|why| ExportError::new(path.clone(), Fault::Content(why)))?;
        let start = usize::try_from(first & 0xff).unwrap_or(usize::MAX);
        let side_by_side = hashes.get(start..start.saturating_add(count)).ok_or_else(|| ExportError::new(path, Fault::Missing))?;
        Ok(root(side_by_side))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{TileWriter, consistency, inclusion, leaf_hash, verify_consistency, verify_inclusion};
    use std::convert::Infallible;

    type Files = BTreeMap<String, Vec<u8>>;

    fn log(size: u64) -> (Vec<Hash>, Files) {
        let (mut writer, mut files) = (TileWriter::new(), Files::new());
        let mut put = |tile: Tile, bytes: &[u8]| {
            files.insert(tile.path(), bytes.to_vec());
            Ok::<_, Infallible>(())
        };
        (0..size).for_each(|index| writer.push(&index.to_be_bytes(), &mut put).unwrap());
        writer.partials(&mut put).unwrap();
        ((0..size).map(|index| leaf_hash(&index.to_be_bytes())).collect(), files)
    }

    #[test]
    fn the_proofs_are_those_made_from_all_leaves() {
        for size in [1, 2, 3, 255, 256, 257, 300, 511, 512, 65_536, 66_100] {
            let (leaves, files) = log(size);
            let read = |path: &str| Ok::<_, Infallible>(files.get(path).cloned());
            let stride = 1 + size / 40;
            for at in (0..size).step_by(usize::try_from(stride).unwrap()) {
                let place = usize::try_from(at).unwrap();
                assert_eq!(consistency_from_tiles(at, size, read).unwrap(), consistency(&leaves, place).unwrap(), "{at} of {size}");
                let proof = inclusion_from_tiles(at, size, read).unwrap();
                assert_eq!(proof, inclusion(&leaves, place).unwrap(), "{at} of {size}");
                assert!(verify_inclusion(leaves[place], at, size, &proof, &root(&leaves)).is_ok());
            }
            assert!(consistency_from_tiles(size, size, read).unwrap().is_empty());
        }
    }

    #[test]
    fn few_tiles_are_read_and_damaged_ones_prove_nothing() {
        let (leaves, files) = log(66_100);
        let mut asked = Vec::new();
        let read = |path: &str| {
            asked.push(path.to_owned());
            Ok::<_, Infallible>(files.get(path).cloned())
        };
        let proof = consistency_from_tiles(65_999, 66_100, read).unwrap();
        assert!(asked.len() <= 4, "{asked:?}");
        assert!(verify_consistency(65_999, &root(&leaves[..65_999]), 66_100, &root(&leaves), &proof).is_ok());
        for path in &asked {
            let mut damaged = files.clone();
            damaged.get_mut(path).unwrap().iter_mut().for_each(|octet| *octet ^= 1);
            let proof = consistency_from_tiles(65_999, 66_100, |path| Ok::<_, Infallible>(damaged.get(path).cloned())).unwrap();
            assert!(verify_consistency(65_999, &root(&leaves[..65_999]), 66_100, &root(&leaves), &proof).is_err(), "{path}");
            damaged.remove(path);
            let missing = consistency_from_tiles(65_999, 66_100, |path| Ok::<_, Infallible>(damaged.get(path).cloned()));
            assert_eq!(missing.unwrap_err(), ExportError::new(path.clone(), Fault::Missing));
            damaged.insert(path.clone(), vec![0; 31]);
            assert!(consistency_from_tiles(65_999, 66_100, |path| Ok::<_, Infallible>(damaged.get(path).cloned())).is_err());
        }
    }

    #[test]
    fn sizes_that_make_no_sense_ask_for_nothing() {
        let never = |_: &str| -> Result<Option<Vec<u8>>, &str> { Err("asked") };
        assert_eq!(consistency_from_tiles(5, 4, never), Ok(Vec::new()));
        assert_eq!(inclusion_from_tiles(4, 4, never), Ok(Vec::new()));
        assert!(inclusion_from_tiles(0, u64::MAX, never).is_err());
    }
}
