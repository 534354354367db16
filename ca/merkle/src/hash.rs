//! Leaf and node hashes, kept apart by a prefix so that a node can never pass for a leaf.

use ring::digest::{Context, SHA256};

/// A SHA-256 hash of a leaf, a node or a whole tree.
pub type Hash = [u8; 32];

fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

// spec: rfc9162#2.1.1
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    sha256(&[&[0], leaf])
}

// spec: rfc9162#2.1.1
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

pub(crate) fn empty() -> Hash {
    sha256(&[])
}
