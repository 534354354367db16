//! Proofs that a leaf is in a tree, and that a tree is the beginning of a later one.

use crate::hash::{Hash, node_hash};
use crate::tree::{root, split};

/// Why a proof was not made or not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error("leaf {index} is not in a tree of {size}; ask for a smaller index or a later tree")]
    OutOfRange { index: u64, size: u64 },
    #[error("a tree of {old} cannot be the beginning of one of {new}; swap them")]
    NotEarlier { old: u64, new: u64 },
    #[error("the proof has the wrong number of hashes for these sizes")]
    WrongLength,
    #[error("the proof leads to another root: the log was changed, or the proof is of another log")]
    WrongRoot,
}

/// The hashes that lead from leaf `index` to the root, nearest first.
// spec: rfc9162#2.1.3.1
pub fn inclusion(leaves: &[Hash], index: usize) -> Result<Vec<Hash>, ProofError> {
    if index >= leaves.len() {
        return Err(ProofError::OutOfRange { index: index as u64, size: leaves.len() as u64 });
    }
    let (mut range, mut at, mut path) = (leaves, index, Vec::new());
    while range.len() > 1 {
        let (left, right) = range.split_at(split(range.len()));
        if at < left.len() {
            path.push(root(right));
            range = left;
        } else {
            path.push(root(left));
            at -= left.len();
            range = right;
        }
    }
    path.reverse();
    Ok(path)
}

// spec: rfc9162#2.1.3.2
pub fn verify_inclusion(leaf: Hash, index: u64, size: u64, proof: &[Hash], expected: &Hash) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange { index, size });
    }
    let (mut at, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::WrongLength);
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::WrongLength);
    }
    if hash == *expected { Ok(()) } else { Err(ProofError::WrongRoot) }
}

/// The hashes that show the first `old` leaves unchanged in the whole.
// spec: rfc9162#2.1.4.1
pub fn consistency(leaves: &[Hash], old: usize) -> Result<Vec<Hash>, ProofError> {
    if old > leaves.len() {
        return Err(ProofError::NotEarlier { old: old as u64, new: leaves.len() as u64 });
    }
    if old == 0 || old == leaves.len() {
        return Ok(Vec::new());
    }
    let (mut range, mut old, mut known, mut path) = (leaves, old, true, Vec::new());
    while old != range.len() {
        let (left, right) = range.split_at(split(range.len()));
        if old <= left.len() {
            path.push(root(right));
            range = left;
        } else {
            path.push(root(left));
            old -= left.len();
            range = right;
            known = false;
        }
    }
    // The verifier knows the old root itself unless the old tree ends inside a right branch.
    if !known {
        path.push(root(range));
    }
    path.reverse();
    Ok(path)
}

// spec: rfc9162#2.1.4.2
pub fn verify_consistency(old: u64, old_root: &Hash, new: u64, new_root: &Hash, proof: &[Hash]) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::NotEarlier { old, new });
    }
    if old == 0 || old == new {
        return match proof {
            [] if old == 0 || old_root == new_root => Ok(()),
            [] => Err(ProofError::WrongRoot),
            _ => Err(ProofError::WrongLength),
        };
    }
    let (first, rest) = if old.is_power_of_two() {
        (*old_root, proof)
    } else {
        proof.split_first().map(|(first, rest)| (*first, rest)).ok_or(ProofError::WrongLength)?
    };
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut to_old, mut to_new) = (first, first);
    for sibling in rest {
        if last == 0 {
            return Err(ProofError::WrongLength);
        }
        if at & 1 == 1 || at == last {
            to_old = node_hash(sibling, &to_old);
            to_new = node_hash(sibling, &to_new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            to_new = node_hash(&to_new, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::WrongLength);
    }
    if to_old == *old_root && to_new == *new_root { Ok(()) } else { Err(ProofError::WrongRoot) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::leaf_hash;

    fn leaves(count: u32) -> Vec<Hash> {
        (0..count).map(|index| leaf_hash(&index.to_be_bytes())).collect()
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proved() {
        for size in 1..=70_u32 {
            let all = leaves(size);
            let whole = root(&all);
            for index in 0..all.len() {
                let proof = inclusion(&all, index).unwrap();
                let check = |leaf, at, proof: &[Hash]| verify_inclusion(leaf, at, u64::from(size), proof, &whole);
                assert_eq!(check(all[index], index as u64, &proof), Ok(()));
                assert!(check(leaf_hash(b"another"), index as u64, &proof).is_err());
                for damaged in 0..proof.len() {
                    let mut bad = proof.clone();
                    bad[damaged][7] ^= 1;
                    assert_eq!(check(all[index], index as u64, &bad), Err(ProofError::WrongRoot));
                }
                let mut longer = proof.clone();
                longer.push([0; 32]);
                assert!(check(all[index], index as u64, &longer).is_err());
            }
        }
    }

    #[test]
    fn every_beginning_of_every_small_tree_is_proved() {
        for size in 1..=70_usize {
            let all = leaves(size as u32);
            let whole = root(&all);
            for old in 0..=size {
                let before = root(&all[..old]);
                let proof = consistency(&all, old).unwrap();
                assert_eq!(verify_consistency(old as u64, &before, size as u64, &whole, &proof), Ok(()));
                for damaged in 0..proof.len() {
                    let mut bad = proof.clone();
                    bad[damaged][31] ^= 0x80;
                    assert!(verify_consistency(old as u64, &before, size as u64, &whole, &bad).is_err());
                }
                if old > 0 {
                    let mut forged = before;
                    forged[0] ^= 1;
                    assert!(verify_consistency(old as u64, &forged, size as u64, &whole, &proof).is_err());
                }
            }
        }
    }

    #[test]
    fn impossible_questions_are_refused() {
        let all = leaves(3);
        assert_eq!(inclusion(&all, 3), Err(ProofError::OutOfRange { index: 3, size: 3 }));
        assert_eq!(consistency(&all, 4), Err(ProofError::NotEarlier { old: 4, new: 3 }));
        assert!(verify_inclusion(all[0], 0, 0, &[], &all[0]).is_err());
    }
}
