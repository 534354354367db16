#![allow(clippy::unwrap_used)]
use super::*;
use ring::signature::{Ed25519KeyPair, KeyPair};

struct Key(String, Ed25519KeyPair);

impl Key {
    fn new(name: &str, seed: u8) -> Self {
        Self(name.into(), Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }
    fn public(&self) -> VerifierKey {
        VerifierKey::new(&self.0, self.1.public_key().as_ref().try_into().unwrap()).unwrap()
    }
}

impl NoteSigner for Key {
    fn name(&self) -> &str {
        &self.0
    }
    fn key_id(&self) -> [u8; 4] {
        self.public().key_id()
    }
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        Ok(self.1.sign(text).as_ref().to_vec())
    }
}

/// The key and signature that implementations of signed notes share as test data.
#[test]
fn published_key_and_signature() {
    let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    let key: VerifierKey = text.parse().unwrap();
    assert_eq!(key.to_string(), text);
    let note = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    let line = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
    assert_eq!(verify_signatures(note, line, &key), Ok(()));
    assert!(verify_signatures(&note.replace("know", "knew"), line, &key).is_err());
    for bad in ["", "+", "a+b+c", &text[1..], &text[..text.len() - 1], &text.replace("c74f", "C74f"), &text.replace("ARpc", "Ahpc")] {
        assert!(bad.parse::<VerifierKey>().is_err(), "{bad}");
    }
}

#[test]
fn a_checkpoint_comes_back_and_no_changed_one() {
    let key = Key::new("log.example/ca", 1);
    let head = Checkpoint::new("log.example/ca", 20_852_163, [7; 32]).unwrap();
    let note = head.sign(&key).unwrap();
    assert_eq!(Checkpoint::open(note.as_bytes(), &key.public()), Ok(head.clone()));
    for at in 0..note.len() {
        for bit in 0..8 {
            let mut bad = note.clone().into_bytes();
            bad[at] ^= 1 << bit;
            assert!(Checkpoint::open(&bad, &key.public()).is_err(), "{at} {bit}");
        }
        assert!(Checkpoint::open(&note.as_bytes()[..at], &key.public()).is_err());
    }
    let witness = Key::new("witness.example", 2);
    let line = Checkpoint::new("witness.example", 1, [0; 32]).unwrap().sign(&witness).unwrap();
    let line = line.split("\n\n").nth(1).unwrap();
    assert_eq!(Checkpoint::open(format!("{note}{line}").as_bytes(), &key.public()), Ok(head.clone()));
    assert!(matches!(Checkpoint::open(note.as_bytes(), &Key::new("log.example/ca", 3).public()), Err(NoteError::Unsigned { .. })));
    assert!(matches!(head.sign(&witness), Err(NoteError::OtherLog { .. })));
}

#[test]
fn signed_text_that_is_no_checkpoint() {
    let key = Key::new("log.example", 1);
    let root = STANDARD.encode([7; 32]);
    for text in [
        format!("log.example\n01\n{root}\n"), format!("log.example\n+1\n{root}\n"), format!("log.example\n1\n{root}\nextension\n"),
        "log.example\n1\nAAAA\n".into(), "log.example\n1\n".into(), format!("other.example\n1\n{root}\n"),
        format!("log.example\n18446744073709551616\n{root}\n"), format!("\n1\n{root}\n"),
    ] {
        let blob = [key.key_id().to_vec(), key.sign(text.as_bytes()).unwrap()].concat();
        let note = format!("{text}\n— log.example {}\n", STANDARD.encode(blob));
        assert!(Checkpoint::open(note.as_bytes(), &key.public()).is_err(), "{text}");
    }
    assert_eq!(Checkpoint::open(&vec![b'\n'; NOTE_LIMIT + 1], &key.public()), Err(NoteError::TooLong));
}
