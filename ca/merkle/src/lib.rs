//! The mathematics of the append-only log: hashes, trees and proofs (RFC 9162 §2).
//!
//! Pure: the caller brings the leaves. A leaf's bytes are hashed as given; their form is the business of
//! the service that owns the log.
#![forbid(unsafe_code)]

mod hash;
mod proof;
mod tree;

pub use hash::{Hash, leaf_hash, node_hash};
pub use proof::{ProofError, consistency, inclusion, verify_consistency, verify_inclusion};
pub use tree::{Tree, root};
