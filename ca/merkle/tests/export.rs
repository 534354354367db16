//! An exported log is believed only as it was written.
#![allow(clippy::unwrap_used)]
use merkle::{Checkpoint, ExportError, Fault, Leaf, NoteSigner, Tile, TileWriter, VerifierKey, verify_export, verify_growth};
use ring::signature::{Ed25519KeyPair, KeyPair};
use std::collections::BTreeMap;
use std::convert::Infallible;

const NAME: &str = "127.0.0.1/ca";
type Files = BTreeMap<String, Vec<u8>>;

struct Key(Ed25519KeyPair);

impl NoteSigner for Key {
    fn name(&self) -> &str {
        NAME
    }
    fn key_id(&self) -> [u8; 4] {
        vkey(&self.0).key_id()
    }
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        Ok(self.0.sign(text).as_ref().to_vec())
    }
}

fn vkey(pair: &Ed25519KeyPair) -> VerifierKey {
    VerifierKey::new(NAME, pair.public_key().as_ref().try_into().unwrap()).unwrap()
}

fn key(seed: u8) -> Key {
    Key(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
}

fn export(entries: &[Vec<u8>]) -> (Files, Checkpoint) {
    let (mut writer, mut files) = (TileWriter::new(), Files::new());
    let mut put = |tile: Tile, bytes: &[u8]| {
        files.insert(tile.path(), bytes.to_vec());
        Ok::<_, Infallible>(())
    };
    entries.iter().for_each(|entry| writer.push(entry, &mut put).unwrap());
    writer.partials(&mut put).unwrap();
    let head = Checkpoint::new(NAME, writer.size(), writer.tree().root()).unwrap();
    files.insert("checkpoint".into(), head.sign(&key(1)).unwrap().into_bytes());
    (files, head)
}

fn entries(count: u64) -> Vec<Vec<u8>> {
    (0..count).map(|n| Leaf::new(1, n, format!("{{\"n\":{n}}}")).unwrap().to_bytes()).collect()
}

fn check(files: &Files) -> Result<merkle::Verified, ExportError<Infallible>> {
    verify_export(|path| Ok(files.get(path).cloned()), &vkey(&key(1).0))
}

#[test]
fn whole_logs_verify() {
    for count in [0, 1, 255, 256, 257, 513] {
        let (files, head) = export(&entries(count));
        let found = check(&files).unwrap();
        assert_eq!((found.size, &found.root), (count, head.root()));
    }
}

#[test]
fn every_changed_or_missing_octet_is_found() {
    let (files, _) = export(&entries(258));
    for (path, bytes) in &files {
        let mut bad = files.clone();
        // Every octet of small files; a stride through the large ones, whose every octet goes the same way.
        let stride = if bytes.len() > 1000 { 61 } else { 1 };
        for at in (0..bytes.len()).step_by(stride) {
            bad.get_mut(path).unwrap()[at] ^= 1;
            assert!(check(&bad).is_err(), "{path} {at}");
            bad.get_mut(path).unwrap()[at] ^= 1;
        }
        bad.get_mut(path).unwrap().pop();
        assert!(check(&bad).is_err());
        bad.insert(path.clone(), [bytes.as_slice(), &[0]].concat());
        assert!(check(&bad).is_err());
        bad.remove(path);
        assert_eq!(check(&bad).unwrap_err(), ExportError { path: path.clone(), reason: Fault::Missing });
    }
}

#[test]
fn exchanged_entries_and_a_rewritten_log() {
    let (files, head) = export(&entries(10));
    let mut swapped = entries(10);
    swapped.swap(3, 4);
    let (mut other, _) = export(&swapped);
    let mut mixed = files.clone();
    mixed.insert("tile/entries/000.p/10".into(), other["tile/entries/000.p/10"].clone());
    assert_eq!(check(&mixed).unwrap_err(), ExportError { path: "tile/0/000.p/10".into(), reason: Fault::Differs });
    other.insert("checkpoint".into(), files["checkpoint"].clone());
    assert_eq!(check(&other).unwrap_err().reason, Fault::WrongRoot);
    // The operator signs another history: only an earlier checkpoint tells.
    let mut longer = entries(300);
    let grown = |files: &Files, older| verify_growth(|path| Ok::<_, Infallible>(files.get(path).cloned()), &vkey(&key(1).0), older);
    assert_eq!(grown(&export(&longer).0, &head).unwrap().size, 300);
    longer.swap(3, 4);
    let (rewritten, new_head) = export(&longer);
    assert!(check(&rewritten).is_ok());
    assert_eq!(grown(&rewritten, &head).unwrap_err().reason, Fault::SplitView { size: 10 });
    assert_eq!(grown(&files, &new_head).unwrap_err().reason, Fault::Shorter { found: 10, known: 300 });
}

#[test]
fn another_key_is_not_believed() {
    let (files, _) = export(&entries(3));
    let found = verify_export(|path| Ok::<_, Infallible>(files.get(path).cloned()), &vkey(&key(2).0));
    assert!(matches!(found.unwrap_err().reason, Fault::Note(_)));
}

/// The verifier written from FORMAT.md in another language agrees, and refuses what we refuse.
#[test]
fn the_independent_verifier_agrees() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../certs-test/oracles/verify_log.py");
    let dir = std::env::temp_dir().join(format!("merkle-export-{}", std::process::id()));
    let (files, _) = export(&entries(600));
    for (path, bytes) in &files {
        let file = dir.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
    let run = || {
        let key = vkey(&key(1).0).to_string();
        std::process::Command::new("python3").arg(script).arg(&dir).arg(key).output().unwrap()
    };
    let good = run();
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
    assert!(String::from_utf8_lossy(&good.stdout).contains("600"));
    let tile = dir.join("tile/1/000.p/2");
    let mut bytes = std::fs::read(&tile).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&tile, bytes).unwrap();
    assert!(!run().status.success());
    std::fs::remove_dir_all(&dir).unwrap();
}
