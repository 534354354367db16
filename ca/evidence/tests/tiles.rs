//! Tiles that are served, while the log grows, are those of its export, octet for octet.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use evidence::{Evidence, LogSigner, STREAM};
use keys::{KeyStore, Passphrase};
use merkle::Tile;
use store::{Batch, Memory, Store};

/// More than a full tile of level 1.
const ENTRIES: u64 = 66_600;

fn entries(store: &dyn Store, from: u64, to: u64) {
    let mut at = from;
    while at < to {
        let end = to.min(at + 10_000);
        let mut batch = Batch::new();
        for number in at..end {
            batch.append(STREAM, format!("entry {number}").into_bytes());
        }
        store.commit(batch).unwrap();
        at = end;
    }
}

fn signer(place: &std::path::Path) -> LogSigner {
    let keys = place.join("keys");
    let passphrase = Passphrase::new("correct horse battery".into()).unwrap();
    let keys = if keys.exists() { KeyStore::open(&keys, &passphrase) } else { KeyStore::create(&keys, &passphrase) };
    LogSigner { origin: "ca.example.cn/ca".into(), key: keys.unwrap().note_key("log").unwrap() }
}

#[test]
fn what_is_served_is_what_is_exported() {
    let place = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let evidence = Evidence::open(Arc::clone(&store), signer(place.path()), place.path()).unwrap();
    assert_eq!((evidence.note(), evidence.signed()), (None, 0));
    // Half of it while it is open, half found at the next start.
    entries(&*store, 0, 300);
    evidence.advance().unwrap();
    entries(&*store, 300, 40_000);
    evidence.advance().unwrap();
    entries(&*store, 40_000, ENTRIES);
    let evidence = Evidence::open(Arc::clone(&store), signer(place.path()), place.path()).unwrap();
    let last = Tile::all(ENTRIES).last().unwrap();
    assert_eq!((evidence.signed(), evidence.tile(&last).unwrap()), (40_000, None), "nothing is shown before it is signed");
    let exported = place.path().join("exported");
    assert_eq!(evidence.export(&exported, &|_, _| {}).unwrap(), ENTRIES);
    let mut seen = 0;
    for tile in Tile::all(ENTRIES) {
        assert_eq!(evidence.tile(&tile).unwrap(), Some(std::fs::read(exported.join(tile.path())).unwrap()), "{}", tile.path());
        seen += 1;
    }
    assert_eq!(seen, 261 + 261 + 2 + 1);
    assert_eq!(evidence.note().unwrap().into_bytes(), std::fs::read(exported.join("checkpoint")).unwrap());
}
