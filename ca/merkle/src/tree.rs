//! A tree that grows by one leaf at a time and remembers only its right edge.

use crate::hash::{Hash, empty, node_hash};

/// The roots of the full subtrees that make up the tree, largest first: as many as `size` has one-bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    peaks: Vec<Hash>,
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
}
