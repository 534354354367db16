//! The log's public forms: checkpoints, keys, tiles, leaves, edges and proofs. What is read is written back the same.

use merkle::{Checkpoint, Hash, Kind, Leaf, NoteSigner, Tile, Tree, VerifierKey, leaf_hash, verify_consistency, verify_inclusion};
use ring::signature::{Ed25519KeyPair, KeyPair};

const ORIGIN: &str = "ca.example.cn/log";

struct Signer(Ed25519KeyPair);

impl Signer {
    fn new() -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key for tests"))
    }

    fn verifier(&self) -> VerifierKey {
        VerifierKey::new(ORIGIN, self.0.public_key().as_ref().try_into().expect("32 octets")).expect("a name")
    }
}

impl NoteSigner for Signer {
    fn name(&self) -> &str {
        ORIGIN
    }

    fn key_id(&self) -> [u8; 4] {
        self.verifier().key_id()
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        Ok(self.0.sign(text).as_ref().to_vec())
    }
}

/// Nobody makes another promise out of a signed one.
pub(super) fn checkpoint(note: &[u8]) {
    if let Ok(checkpoint) = Checkpoint::open(note, &Signer::new().verifier()) {
        assert_eq!((checkpoint.size(), checkpoint.root()), (70_000, &leaf_hash(b"root")));
        assert!(note.starts_with(format!("{}\n", checkpoint.text()).as_bytes()));
    }
    if let Ok(Ok(key)) = std::str::from_utf8(note).map(str::parse::<VerifierKey>) {
        assert_eq!(key.to_string().as_bytes(), note);
    }
}

pub(super) fn checkpoint_seeds() -> Vec<Vec<u8>> {
    let signer = Signer::new();
    let note = Checkpoint::new(ORIGIN, 70_000, leaf_hash(b"root")).and_then(|checkpoint| checkpoint.sign(&signer)).expect("signed");
    let witnessed = format!("{note}— witness.example AAAAAGFiYw==\n");
    vec![note.into_bytes(), witnessed.into_bytes(), signer.verifier().to_string().into_bytes()]
}

pub(super) fn tile(input: &[u8]) {
    if let Ok(Ok(tile)) = std::str::from_utf8(input).map(Tile::parse) {
        assert_eq!(tile.path().as_bytes(), input);
    }
    // The first octet says how many entries there should be.
    if let Some((width, bytes)) = input.split_first()
        && let Ok(tile) = Tile::new(Kind::Entries, 0, u16::from(*width))
    {
        if let Ok(entries) = tile.entries(bytes) {
            let written: Vec<u8> = entries.iter().flat_map(|entry| [&u16::try_from(entry.len()).unwrap_or(0).to_be_bytes(), *entry].concat()).collect();
            assert_eq!((entries.len(), written.as_slice()), (usize::from(*width), bytes));
        }
        if let Ok(hashes) = tile.hashes(bytes) {
            assert_eq!(hashes.as_flattened(), bytes);
        }
    }
    if let Ok(leaf) = Leaf::parse(input) {
        assert_eq!(leaf.to_bytes(), input);
    }
    if let Ok(edge) = Tree::from_bytes(input) {
        assert_eq!(edge.to_bytes(), input);
        edge.root();
    }
}

pub(super) fn tile_seeds() -> Vec<Vec<u8>> {
    let mut tree = Tree::new();
    (0..11_u8).for_each(|leaf| tree.append(leaf_hash(&[leaf])));
    let leaf = Leaf::new(3, 1_795_000_000_000, r#"{"serial":"01"}"#.to_owned()).expect("a leaf");
    let paths = ["tile/entries/x001/x234/067", "tile/0/x001/234.p/5"].map(|path| path.as_bytes().to_vec());
    let mut seeds = vec![tree.to_bytes(), leaf.to_bytes(), [vec![2], vec![7; 64]].concat(), vec![3, 0, 1, 9, 0, 0, 0, 2, 5, 5]];
    seeds.extend(paths);
    seeds
}

const LEAVES: u8 = 11;

/// `old u64 | new u64 | hashes`: for a tree that is known, no proof proves what is not so.
pub(super) fn proof(input: &[u8]) {
    let Some((old, rest)) = input.split_first_chunk::<8>() else { return };
    let Some((new, rest)) = rest.split_first_chunk::<8>() else { return };
    let (old, new) = (u64::from_be_bytes(*old), u64::from_be_bytes(*new));
    let (hashes, _) = rest.as_chunks::<32>();
    let leaves = leaves();
    let root = |size: u64| usize::try_from(size).ok().and_then(|size| leaves.get(..size)).map(merkle::root);
    let expected = root(u64::from(LEAVES)).expect("a root");
    // The leaf a proof is for is the one at its place.
    if verify_inclusion(leaf_hash(b"\x05"), old, u64::from(LEAVES), hashes, &expected).is_ok() {
        assert_eq!(old, 5);
    }
    let _ = verify_inclusion(leaf_hash(b"\x05"), old, new, hashes, &expected);
    if let Some(older) = root(old)
        && verify_consistency(old, &older, new, &expected, hashes).is_ok()
    {
        assert!(old <= new);
    }
    let _ = verify_consistency(old, &expected, new, &expected, hashes);
}

fn leaves() -> Vec<Hash> {
    (0..LEAVES).map(|leaf| leaf_hash(&[leaf])).collect()
}

pub(super) fn proof_seeds() -> Vec<Vec<u8>> {
    let leaves = leaves();
    let written = |old: u64, proof: Vec<Hash>| [&old.to_be_bytes(), &u64::from(LEAVES).to_be_bytes(), proof.as_flattened()].concat();
    vec![written(5, merkle::inclusion(&leaves, 5).expect("a proof")), written(6, merkle::consistency(&leaves, 6).expect("a proof"))]
}
