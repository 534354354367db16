//! A witness before logs that lie: forged, rolled back, rewritten, with other entries than were signed, with parts missing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use ca::own_name::Secret;
use ca::witness::{Alarm, OwnName, Remembered, Round, Warning, WatchError, Witness};
use merkle::{Checkpoint, Leaf, NoteSigner, Tile, TileWriter, VerifierKey};
use ring::signature::{Ed25519KeyPair, KeyPair};
use runtime::exit::{Exit, Problem};
use runtime::fetch::FetchError;

const NAME: &str = "ca.example.cn/ca";
type Files = BTreeMap<String, Vec<u8>>;

struct Key(Ed25519KeyPair);

impl Key {
    fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    fn public(&self) -> VerifierKey {
        VerifierKey::new(NAME, self.0.public_key().as_ref().try_into().unwrap()).unwrap()
    }
}

impl NoteSigner for Key {
    fn name(&self) -> &str {
        NAME
    }
    fn key_id(&self) -> [u8; 4] {
        self.public().key_id()
    }
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        Ok(self.0.sign(text).as_ref().to_vec())
    }
}

fn files(entries: &[Vec<u8>], key: &Key) -> Files {
    let (mut writer, mut files) = (TileWriter::new(), Files::new());
    let mut put = |tile: Tile, bytes: &[u8]| {
        files.insert(tile.path(), bytes.to_vec());
        Ok::<_, String>(())
    };
    entries.iter().for_each(|entry| writer.push(entry, &mut put).unwrap());
    writer.partials(&mut put).unwrap();
    let head = Checkpoint::new(NAME, writer.size(), writer.tree().root()).unwrap();
    files.insert("checkpoint".into(), head.sign(key).unwrap().into_bytes());
    files
}

fn secret(digit: char) -> Secret {
    Secret::parse(&digit.to_string().repeat(64)).unwrap()
}

fn serial(number: u64) -> String {
    format!("40{number:030x}")
}

/// The two entries of a certificate in the name of whoever has the secret.
fn issued(number: u64, whose: &Secret) -> [Vec<u8>; 2] {
    let octets: Vec<u8> = [&[0x40][..], &[0; 7], &number.to_be_bytes()].concat();
    let leaf = |kind, payload: String| Leaf::new(kind, 1_700_000_000_000 + number, payload).unwrap().to_bytes();
    let head = format!("{{\"issuer\":\"enterprise-ca\",\"serial\":\"{}\"", serial(number));
    [leaf(4, format!("{head},\"profile\":\"x\",\"sha256\":\"00\"}}")), leaf(70, format!("{head},\"tag\":\"{}\"}}", whose.tag(&octets)))]
}

/// Of `count` certificates every hundredth is in the name of the secret of ones.
fn entries(count: u64) -> Vec<Vec<u8>> {
    (0..count).flat_map(|number| issued(number, &secret(if number % 100 == 7 { '1' } else { '2' }))).collect()
}

fn witness(own: Option<char>, entries: bool) -> Witness {
    Witness { key: Key::new(1).public(), own_name: own.map(|digit| OwnName { serial: serial(7), secrets: vec![secret('9'), secret(digit)] }), entries }
}

fn round(witness: &Witness, before: &Remembered, files: &Files) -> Result<Round, WatchError> {
    let read = |path: &str, limit: usize| {
        let found = files.get(path).cloned();
        assert!(found.as_ref().is_none_or(|bytes| bytes.len() <= limit), "{path}");
        Ok(found)
    };
    witness.round(before, read, |_, _| ())
}

fn code(error: WatchError) -> (Exit, String) {
    let problem = Problem::from(error);
    (problem.exit, problem.code)
}

#[test]
fn a_log_that_grows_is_followed_and_own_certificates_are_told_once() {
    let all = entries(400);
    for (own, every) in [(None, false), (None, true), (Some('1'), false)] {
        let witness = witness(own, every);
        let (mut remembered, mut told, mut sizes) = (Remembered::default(), Vec::new(), Vec::new());
        for size in [0, 2, 2, 510, 512, 514, 800] {
            let round = round(&witness, &remembered, &files(&all[..size], &Key::new(1))).unwrap();
            remembered = serde_json::from_str(&serde_json::to_string(&round.remembered).unwrap()).unwrap();
            told.extend(round.warnings);
            sizes.push(round.new);
        }
        assert_eq!(sizes, [0, 2, 0, 508, 2, 2, 286]);
        let own_names: Vec<_> = told.iter().map(|warning| if let Warning::OwnName(one) = warning { (one.serial.clone(), one.entry) } else { panic!("{warning:?}") }).collect();
        let expected = [7_u64, 107, 207, 307].map(|number| (serial(number), 2 * number + 1));
        assert_eq!(own_names, if own.is_some() { expected.to_vec() } else { Vec::new() });
    }
    // Who first only proved that the log goes on reads it from the beginning when a name is looked for later.
    let seen = round(&witness(None, false), &Remembered::default(), &files(&all[..600], &Key::new(1))).unwrap().remembered;
    assert_eq!(round(&witness(Some('1'), false), &seen, &files(&all, &Key::new(1))).unwrap().warnings.len(), 4);
}

#[test]
fn whoever_watches_with_a_secret_learns_that_it_was_changed() {
    let changed = |number: u64, before: &Secret| {
        let octets: Vec<u8> = [&[0x40][..], &[0; 7], &number.to_be_bytes()].concat();
        let payload = format!("{{\"issuer\":\"enterprise-ca\",\"serial\":\"{}\",\"changes\":1,\"tag\":\"{}\",\"by\":\"key:00\"}}", serial(number), before.change_tag(&octets));
        Leaf::new(95, 1_700_000_000_000, payload).unwrap().to_bytes()
    };
    let (key, mine) = (Key::new(1), secret('1'));
    let mut all = entries(10);
    all.push(changed(3, &secret('2')));
    let before = round(&witness(Some('1'), false), &Remembered::default(), &files(&all, &key)).unwrap();
    assert_eq!(before.warnings.len(), 1, "others' secrets are others' matter");
    all.push(changed(7, &mine));
    // From here on its own certificates are tagged under a secret that it does not know.
    all.extend(issued(200, &secret('5')));
    let after = round(&witness(Some('1'), false), &before.remembered, &files(&all, &key)).unwrap();
    assert!(matches!(after.warnings.as_slice(), [Warning::SecretChanged(one)] if one.serial == serial(7) && one.entry == 21), "{:?}", after.warnings);
    assert_eq!(serde_json::to_value(&after.warnings[0]).unwrap()["warning"], "secret-changed");
    // Told once.
    assert_eq!(round(&witness(Some('1'), false), &after.remembered, &files(&all, &key)).unwrap().warnings, []);
    // With the new one beside the old, from the beginning: what was there, the change, and what came after it.
    let both = Witness { own_name: Some(OwnName { serial: serial(7), secrets: vec![secret('5'), mine] }), ..witness(None, false) };
    let all_of_it = round(&both, &Remembered::default(), &files(&all, &key)).unwrap().warnings;
    assert!(matches!(all_of_it.as_slice(), [Warning::OwnName(_), Warning::SecretChanged(_), Warning::OwnName(last)] if last.serial == serial(200)), "{all_of_it:?}");
}

#[test]
fn a_head_that_is_not_the_logs_is_noticed() {
    let all = entries(10);
    let (key, other) = (Key::new(1), Key::new(2));
    let seen = round(&witness(None, false), &Remembered::default(), &files(&all, &key)).unwrap().remembered;
    let refused = |files: &Files| code(round(&witness(None, false), &seen, files).unwrap_err());
    assert_eq!(refused(&files(&all, &other)), (Exit::Damaged, "log-forged".into()));
    let mut forged = files(&all, &key);
    for at in 0..forged["checkpoint"].len() {
        forged.get_mut("checkpoint").unwrap()[at] ^= 1;
        assert_eq!(refused(&forged).1, "log-forged", "{at}");
        forged.get_mut("checkpoint").unwrap()[at] ^= 1;
    }
    // What was remembered is believed no more than what is shown.
    let altered: Remembered = serde_json::from_str(&serde_json::to_string(&seen).unwrap().replace("\\n20\\n", "\\n2\\n")).unwrap();
    assert_ne!(altered, seen);
    assert_eq!(round(&witness(None, false), &altered, &files(&all, &key)).unwrap_err(), WatchError::Remembered);
}

#[test]
fn a_log_rolled_back_or_rewritten_is_noticed_and_both_heads_are_kept() {
    let (key, all) = (Key::new(1), entries(400));
    let remember = |size: usize| round(&witness(None, false), &Remembered::default(), &files(&all[..size], &key)).unwrap().remembered;
    let mut rewritten = all.clone();
    rewritten.swap(3, 4);
    for size in [5_usize, 255, 256, 257, 511, 512, 700, 800] {
        let seen = remember(size);
        let shorter = files(&all[..size - 1], &key);
        match round(&witness(None, false), &seen, &shorter).unwrap_err() {
            WatchError::Alarm { alarm, remembered, shown } => {
                assert_eq!(alarm, Alarm::Shorter { known: size as u64, found: size as u64 - 1 });
                assert_eq!((remembered, shown), (seen.checkpoint.clone(), shorter["checkpoint"].clone()));
            }
            other => panic!("{other}"),
        }
        // Grown since, grown by nothing: the same history or none.
        for now in [size, 800] {
            assert!(round(&witness(None, false), &seen, &files(&all[..now], &key)).is_ok());
            let split = round(&witness(None, true), &seen, &files(&rewritten[..now], &key)).unwrap_err();
            assert_eq!(code(split), (Exit::Damaged, "log-split-view".into()), "{size} {now}");
        }
    }
}

#[test]
fn entries_that_were_not_signed_and_missing_proofs_prove_nothing() {
    let (key, all) = (Key::new(1), entries(400));
    let seen = round(&witness(None, true), &Remembered::default(), &files(&all[..300], &key)).unwrap().remembered;
    let whole = files(&all, &key);
    for path in whole.keys().filter(|path| *path != "checkpoint") {
        let mut without = whole.clone();
        without.remove(path);
        match round(&witness(None, true), &seen, &without) {
            // Nobody needs the first bundle again, nor tiles off the way.
            Ok(round) => assert!(["tile/entries/000", "tile/0/000", "tile/0/002"].contains(&path.as_str()) && round.new == 500, "{path}"),
            Err(error) => assert_eq!(code(error), (Exit::Damaged, "log-unproved".into()), "{path}"),
        }
    }
    let mut exchanged = all.clone();
    exchanged.swap(700, 702);
    let mut mixed = whole.clone();
    mixed.insert("tile/entries/002".into(), files(&exchanged, &key)["tile/entries/002"].clone());
    assert_eq!(code(round(&witness(None, true), &seen, &mixed).unwrap_err()), (Exit::Damaged, "log-entries".into()));
    // Who only follows the heads was told nothing of entries.
    assert!(round(&witness(None, false), &seen, &mixed).is_ok());
    let away = witness(None, true).round(&seen, |path, _| Err(FetchError::Unreachable { url: path.into(), reason: "away".into() }), |_, _| ()).unwrap_err();
    assert_eq!(Problem::from(away).exit, Exit::Unavailable);
}

#[test]
fn a_certificate_without_a_tag_and_a_secret_of_others_are_told() {
    let key = Key::new(1);
    let mut all = entries(3);
    // The first log entries are from before there were tags.
    all.insert(0, issued(90, &secret('2'))[0].clone());
    all.insert(5, issued(91, &secret('2'))[0].clone());
    all.push(issued(92, &secret('2'))[0].clone());
    all.push(issued(93, &secret('2'))[1].clone());
    let warnings = round(&witness(None, true), &Remembered::default(), &files(&all, &key)).unwrap().warnings;
    let untagged: Vec<_> = warnings.iter().map(|warning| if let Warning::Untagged(one) = warning { one.serial.clone() } else { panic!("{warning:?}") }).collect();
    assert_eq!(untagged, [serial(91), serial(92)]);
    // At the very end of what is shown its tag may still come.
    all.pop();
    let seen = round(&witness(None, true), &Remembered::default(), &files(&all, &key)).unwrap();
    assert_eq!(seen.warnings.len(), 1);
    all.push(issued(92, &secret('2'))[1].clone());
    assert_eq!(round(&witness(None, true), &seen.remembered, &files(&all, &key)).unwrap().warnings, []);
    let wrong = round(&witness(Some('3'), false), &Remembered::default(), &files(&entries(20), &key)).unwrap_err();
    assert_eq!(wrong, WatchError::WrongSecret { serial: serial(7) });
}
