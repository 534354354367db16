//! Proofs that entries are in the log: made in one pass over it, with as many hashes in memory as the paths are long.

use merkle::{Checkpoint, Hash, Tree, leaf_hash};

use crate::{Evidence, EvidenceError, PAGE, STREAM};

/// An entry and the hashes that lead from it to the root, nearest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    pub index: u64,
    pub leaf: Vec<u8>,
    pub path: Vec<Hash>,
}

/// The subtrees beside the way from a leaf to the root, nearest first, as ranges of leaves.
// spec: rfc9162#2.1.3.1
fn beside(index: u64, size: u64) -> Vec<(u64, u64)> {
    let (mut from, mut to, mut ranges) = (0, size, Vec::new());
    while to - from > 1 {
        // The largest power of two below the number of leaves.
        let middle = from + (1 << (63 - (to - from - 1).leading_zeros()));
        if index < middle {
            ranges.push((middle, to));
            to = middle;
        } else {
            ranges.push((from, middle));
            from = middle;
        }
    }
    ranges.reverse();
    ranges
}

impl Evidence {
    /// The newest signed head, and for each index the entry and its proof under that head. Reads the whole log.
    pub fn prove(&self, indexes: &[u64]) -> Result<(String, Vec<Proved>), EvidenceError> {
        let note = self.advance()?;
        let head = Checkpoint::open(note.as_bytes(), &self.verifier()?).map_err(|error| EvidenceError::Export(error.to_string()))?;
        let size = head.size();
        let absent = |index: u64| EvidenceError::Export(format!("there is no entry {index}"));
        if let Some(index) = indexes.iter().find(|index| **index >= size) {
            return Err(absent(*index));
        }
        let ranges: Vec<Vec<(u64, u64)>> = indexes.iter().map(|index| beside(*index, size)).collect();
        let mut trees: Vec<Vec<Tree>> = ranges.iter().map(|ranges| vec![Tree::new(); ranges.len()]).collect();
        let mut leaves: Vec<Option<Vec<u8>>> = vec![None; indexes.len()];
        let mut at = 0;
        while at < size {
            let wanted = usize::try_from(size - at).unwrap_or(PAGE).min(PAGE);
            let page = self.store.read_stream(STREAM, at, wanted)?;
            if page.is_empty() {
                return Err(EvidenceError::Behind { found: at, promised: size });
            }
            for leaf in page {
                let hash = leaf_hash(&leaf);
                for ((index, kept), (ranges, trees)) in indexes.iter().zip(&mut leaves).zip(ranges.iter().zip(&mut trees)) {
                    if *index == at {
                        *kept = Some(leaf.clone());
                    }
                    ranges.iter().zip(trees).filter(|((from, to), _)| (*from..*to).contains(&at)).for_each(|(_, tree)| tree.append(hash));
                }
                at += 1;
            }
        }
        let proved = indexes.iter().zip(leaves).zip(trees).map(|((index, leaf), trees)| {
            Ok(Proved { index: *index, leaf: leaf.ok_or_else(|| absent(*index))?, path: trees.iter().map(Tree::root).collect() })
        });
        Ok((note, proved.collect::<Result<_, EvidenceError>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subtrees_beside_are_those_of_the_definition() {
        for size in 1_u64..70 {
            let leaves: Vec<Hash> = (0..size).map(|leaf| leaf_hash(&leaf.to_be_bytes())).collect();
            for index in 0..size {
                let at = |place: u64| usize::try_from(place).unwrap_or_default();
                let path: Vec<Hash> = beside(index, size).into_iter().map(|(from, to)| merkle::root(&leaves[at(from)..at(to)])).collect();
                assert_eq!(Ok(path), merkle::inclusion(&leaves, at(index)), "{index} of {size}");
            }
        }
    }
}
