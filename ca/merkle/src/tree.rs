//! A tree that grows by one leaf at a time and remembers only its right edge.

use crate::hash::{Hash, empty, node_hash};

/// The roots of the full subtrees that make up the tree, largest first: as many as `size` has one-bits.
///
/// This is all a log needs to go on growing: at most 64 hashes, whatever its size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    peaks: Vec<Hash>,
}

/// A stored right edge that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these {length} bytes are not a stored tree of size {size}; rebuild the tree from its leaves")]
pub struct EdgeError {
    pub length: usize,
    pub size: u64,
}

impl Tree {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf by its hash; two subtrees of one height become one of the next.
    pub fn append(&mut self, leaf: Hash) {
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The size (8 octets, big-endian) and the peaks, largest first: 8 + 32 × one-bits of the size.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + 32 * self.peaks.len());
        bytes.extend(self.size.to_be_bytes());
        bytes.extend(self.peaks.iter().flatten());
        bytes
    }

    /// Reads what `to_bytes` wrote. Nothing in it proves the hashes: compare `root` with a signed checkpoint.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EdgeError> {
        let Some((size, hashes)) = bytes.split_first_chunk::<8>() else {
            return Err(EdgeError { length: bytes.len(), size: 0 });
        };
        let size = u64::from_be_bytes(*size);
        let (peaks, rest) = hashes.as_chunks::<32>();
        if !rest.is_empty() || peaks.len() != size.count_ones() as usize {
            return Err(EdgeError { length: bytes.len(), size });
        }
        Ok(Self { size, peaks: peaks.to_vec() })
    }

    /// The number of leaves must equal the one-bits that `peaks` stand for; the caller counts them.
    pub(crate) fn from_peaks(size: u64, peaks: Vec<Hash>) -> Self {
        Self { size, peaks }
    }

    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return empty() };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// The root over leaf hashes, by the recursive definition.
// spec: rfc9162#2.1.1
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty(),
        [only] => *only,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// The largest power of two smaller than `size`, which is at least 2.
pub(crate) fn split(size: usize) -> usize {
    1 << (usize::BITS - 1 - (size - 1).leading_zeros())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::leaf_hash;

    fn hex(hash: Hash) -> String {
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_empty_tree_is_the_hash_of_nothing() {
        assert_eq!(hex(Tree::new().root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn one_empty_leaf() {
        let mut tree = Tree::new();
        tree.append(leaf_hash(b""));
        assert_eq!(hex(tree.root()), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    }

    /// The eight leaves that the Certificate Transparency projects share as test data.
    #[test]
    fn eight_published_leaves() {
        let leaves: [&[u8]; 8] = [
            b"", b"\x00", b"\x10", b"\x20\x21", b"\x30\x31", b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let mut tree = Tree::new();
        for leaf in leaves {
            tree.append(leaf_hash(leaf));
        }
        assert_eq!(hex(tree.root()), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
    }

    #[test]
    fn growing_equals_the_definition() {
        let mut tree = Tree::new();
        let mut leaves = Vec::new();
        for index in 0_u32..300 {
            assert_eq!(tree.root(), root(&leaves));
            let leaf = leaf_hash(&index.to_be_bytes());
            tree.append(leaf);
            leaves.push(leaf);
            assert_eq!(tree.size(), leaves.len() as u64);
        }
    }

    #[test]
    fn a_stored_edge_goes_on_growing() {
        let (mut kept, mut whole) = (Tree::new(), Tree::new());
        for index in 0_u32..600 {
            kept = Tree::from_bytes(&kept.to_bytes()).unwrap();
            kept.append(leaf_hash(&index.to_be_bytes()));
            whole.append(leaf_hash(&index.to_be_bytes()));
            assert_eq!(kept, whole);
        }
    }

    #[test]
    fn a_damaged_edge_is_refused() {
        let mut tree = Tree::new();
        (0..11).for_each(|index: u8| tree.append(leaf_hash(&[index])));
        let bytes = tree.to_bytes();
        for length in 0..bytes.len() {
            assert!(Tree::from_bytes(&bytes[..length]).is_err());
        }
        let mut other = bytes.clone();
        other[7] ^= 4;
        assert_eq!(Tree::from_bytes(&other), Err(EdgeError { length: bytes.len(), size: 15 }));
        assert!(Tree::from_bytes(&[bytes.as_slice(), &[0; 32]].concat()).is_err());
    }
}
