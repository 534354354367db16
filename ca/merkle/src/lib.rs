//! The append-only log: hashes, trees, proofs (RFC 9162 §2), tiles, checkpoints and the form of an entry.
//!
//! Pure: the caller brings the entries and stores the files. `FORMAT.md` tells an outside auditor all of it.
#![forbid(unsafe_code)]

mod checkpoint;
mod export;
mod follow;
mod hash;
mod leaf;
mod proof;
mod rows;
mod tile;
mod tree;
mod writer;

pub use checkpoint::{Checkpoint, NAME_LIMIT, NOTE_LIMIT, NoteError, NoteSigner, VerifierKey, key_id, open_note, sign_note};
pub use export::{ExportError, Fault, Verified, read_export, verify_export, verify_growth};
pub use follow::{consistency_from_tiles, inclusion_from_tiles};
pub use hash::{Hash, leaf_hash, node_hash};
pub use leaf::{LEAF_LIMIT, LEAF_VERSION, Leaf, LeafError};
pub use proof::{ProofError, consistency, inclusion, verify_consistency, verify_inclusion};
pub use rows::Rows;
pub use tile::{ENTRY_LIMIT, FULL, Kind, Tile, TileError};
pub use tree::{EdgeError, Tree, root};
pub use writer::TileWriter;
