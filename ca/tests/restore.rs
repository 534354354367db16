//! Backups taken while others issue, restored with and without what came after them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ca::authority::Authority;
use ca::flow::adopt::{self, AdoptError};
use ca::flow::backup::{BackupError, back_up};
use ca::flow::hold::suspend;
use ca::flow::issue::{Order, issue};
use ca::flow::plan::Words;
use ca::flow::restore::{self, RestoreError, Restored, Word, verify};
use ca::flow::revoke::{Revoke, revoke};
use ca::flow::{Authorised, Office, Operator, publish};
use ca::init::{Opened, init, open};
use ca::record::{CertificateRecord, CrlRecord, Intent, Reason, Status, decode, encode, log, serial_text};
use ca::status::Status as Responder;
use keys::Passphrase;
use pki::ocsp::{CertId, HashAlgorithm, OcspRequest};
use runtime::clock::{Clock, FakeClock};
use store::{Batch, Key};
use time::{Duration, OffsetDateTime};

const ISSUER: &str = "enterprise-ca";

struct Place {
    home: tempfile::TempDir,
    clock: Arc<FakeClock>,
}

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".into()).unwrap()
}

fn admin<R: Office>() -> Authorised<R> {
    Authorised::by_ownership(7)
}

impl Place {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), clock: Arc::new(FakeClock::new(OffsetDateTime::now_utc().replace_nanosecond(0).unwrap())) }
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as _
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn found(&self) -> Opened {
        init(&self.path("ca"), "http://127.0.0.1:8440", "127.0.0.1:8440".parse().unwrap(), &passphrase(), &passphrase(), self.clock()).unwrap()
    }

    fn back_up(&self, opened: &Opened, name: &str) -> PathBuf {
        back_up(&opened.authority, &opened.evidence, &self.path(name), &mut |_| ()).unwrap();
        self.path(name)
    }

    fn restore(&self, backup: &Path, name: &str, checkpoint: Option<&[u8]>, word: Word) -> Result<Restored, RestoreError> {
        let verified = verify(backup, &passphrase(), checkpoint, &mut |_| ())?;
        let directory = self.path(name);
        let order = restore::Order { directory: &directory, verified, word, store: None, passphrase: &passphrase(), clock: self.clock(), user: 7 };
        restore::restore(order, &mut |_| ())
    }

    fn open(&self, name: &str) -> Opened {
        open(&self.path(name), None, &passphrase(), self.clock()).unwrap()
    }
}

fn certify(authority: &Authority) -> (Vec<u8>, Vec<u8>) {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let request = parameters.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec();
    let applicant = Words { name: Some("广州天河测试有限公司".into()), code: Some("91440101MAT000018G".into()), ..Words::default() };
    let issued = issue(authority, admin(), Order { profile: "enterprise-signing".into(), request, applicant, issuer: None }).unwrap();
    (issued.what().serial.clone(), issued.what().record.der.clone())
}

fn end(authority: &Authority, serial: &[u8], reason: Reason) {
    let order: Revoke = serde_json::from_value(serde_json::json!({ "serial": serial_text(serial), "reason": reason, "at": null })).unwrap();
    revoke(authority, &admin::<Operator>(), &order).unwrap();
}

fn status(authority: &Authority, serial: &[u8]) -> Option<Status> {
    ca::register::find(&*authority.store, serial).unwrap().map(|record| record.status)
}

/// The first octet of the answer's certStatus: 80 good, a1 revoked, 82 unknown.
fn ocsp(authority: &Authority, serial: &[u8]) -> u8 {
    let issuer = &authority.issuers[ISSUER];
    let id = CertId::new(HashAlgorithm::Sha1, &issuer.name, &issuer.public_key_info, serial).unwrap();
    let body = Responder::new(authority).unwrap().make(&OcspRequest { ids: vec![id.clone()], nonce: None }).body;
    let at = body.windows(id.der.len()).position(|window| *window == id.der[..]).unwrap() + id.der.len();
    body[at]
}

fn newest_list(authority: &Authority) -> CrlRecord {
    publish::publish(authority, &admin(), &authority.issuers[ISSUER]).unwrap();
    decode(&authority.store.get(&CrlRecord::key(ISSUER)).unwrap().unwrap()).unwrap()
}

fn head(directory: &Path) -> Vec<u8> {
    std::fs::read(directory.join("log-head")).unwrap()
}

fn kinds(authority: &Authority, kind: u8) -> Vec<String> {
    let entries = authority.store.read_stream(log::STREAM, 0, 100_000).unwrap();
    entries.iter().filter(|entry| entry[1] == kind).map(|entry| String::from_utf8_lossy(&entry[10..]).into_owned()).collect()
}

#[test]
fn a_backup_taken_while_others_issue_is_of_one_moment() {
    let place = Place::new();
    let opened = place.found();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let issuing = || {
            while !ended.load(Ordering::Relaxed) {
                let (serial, _) = certify(&opened.authority);
                end(&opened.authority, &serial, Reason::Superseded);
            }
        };
        scope.spawn(issuing);
        for round in 0..4 {
            place.back_up(&opened, &format!("backup-{round}"));
        }
        ended.store(true, Ordering::Relaxed);
    });
    opened.evidence.advance().unwrap();
    let newest = head(&place.path("ca"));
    for round in 0..4 {
        let (backup, name) = (place.path(&format!("backup-{round}")), format!("restored-{round}"));
        let refused = place.restore(&backup, &name, Some(&newest), Word::default());
        assert!(matches!(refused, Err(RestoreError::Lost { known, found }) if known > found), "{refused:?}");
        assert!(!place.path(&name).exists());
        place.restore(&backup, &name, Some(&newest), Word { accept_loss: true, crl_number: None }).unwrap();
        // Opening reads the whole log and finishes what was left; every revocation is of a certificate that is there.
        let restored = place.open(&name);
        let (from, to) = Key::range("revoked", &[ISSUER.as_bytes()]);
        for (key, _) in restored.authority.store.scan(&from, &to, 10_000).unwrap() {
            assert!(matches!(status(&restored.authority, &key.last_part().unwrap()), Some(Status::Revoked(_))));
        }
        newest_list(&restored.authority);
    }
}

#[test]
fn where_nothing_came_after_the_same_log_goes_on() {
    let place = Place::new();
    let opened = place.found();
    let (before, _) = certify(&opened.authority);
    let last = newest_list(&opened.authority);
    // Somebody else's entries reach the head only now.
    let note = opened.evidence.advance().unwrap();
    let backup = place.back_up(&opened, "backup");
    let vkey = opened.authority.settings.log_key.clone();
    drop(opened);
    // Without a word about what came after, and with an old one, nothing is restored.
    assert!(matches!(place.restore(&backup, "new", None, Word::default()), Err(RestoreError::Untold { known: 0, .. })));
    let restored = place.restore(&backup, "new", Some(note.as_bytes()), Word { accept_loss: false, crl_number: Some(4_000_000_000_000_000) }).unwrap();
    assert_eq!((restored.earlier, &restored.vkey), (None, &vkey));
    let opened = place.open("new");
    assert_eq!(opened.authority.settings.log_key, vkey);
    assert_eq!(status(&opened.authority, &before), Some(Status::Good));
    assert_eq!(opened.authority.store.stream_length(log::STREAM).unwrap(), restored.entries + 2);
    let next = newest_list(&opened.authority);
    assert!(next.number > 4_000_000_000_000_000 && next.number > last.number);
    assert_eq!(newest_list(&opened.authority).number, next.number + 1);
    let told = kinds(&opened.authority, 80);
    assert!(told.len() == 1 && told[0].contains("\"before\":null") && told[0].contains("\"by\":\"uid:7\""), "{told:?}");
    // A backup of the restored one is one like any other, and its numbers leap over those of the first.
    let note = opened.evidence.advance().unwrap();
    let again = place.back_up(&opened, "again");
    drop(opened);
    place.clock.advance(Duration::hours(1));
    let restored = place.restore(&again, "third", Some(note.as_bytes()), Word::default()).unwrap();
    assert!(restored.crl_numbers_above > next.number + 3_600 * 1_000_000);
    // A clock behind the backup would give numbers and dates that were used.
    place.clock.set(OffsetDateTime::now_utc() - Duration::days(2));
    assert!(matches!(place.restore(&again, "fourth", Some(note.as_bytes()), Word::default()), Err(RestoreError::Clock { .. })));
}

#[test]
fn what_came_after_is_entered_again_by_its_proofs() {
    let place = Place::new();
    let opened = place.found();
    let authority = &opened.authority;
    let (kept, _) = certify(authority);
    let (ended, _) = certify(authority);
    let (held, _) = certify(authority);
    // One about to be signed when the backup is taken: it may have been signed since.
    let (pending, _) = certify(authority);
    let record: CertificateRecord = decode(&authority.store.get(&CertificateRecord::key(&pending)).unwrap().unwrap()).unwrap();
    let (_, read) = x509_parser::parse_x509_certificate(&record.der).unwrap();
    let intent = Intent { issuer: ISSUER.into(), profile: record.profile, name: record.name, code: None, order: None, not_before: 0, not_after: 1, key_digest: vec![7; 32], shard: None, predecessor: None, tbs: read.tbs_certificate.as_ref().to_vec() };
    authority.store.commit(Batch::new().put(Intent::key(&pending), encode(&intent).unwrap())).unwrap();
    let backup = place.back_up(&opened, "backup");
    authority.store.commit(Batch::new().delete(Intent::key(&pending))).unwrap();
    let (good, good_der) = certify(authority);
    let (gone, gone_der) = certify(authority);
    let (stopped, stopped_der) = certify(authority);
    end(authority, &ended, Reason::Superseded);
    end(authority, &gone, Reason::KeyCompromise);
    suspend(authority, &admin(), &serial_text(&held)).unwrap();
    suspend(authority, &admin(), &serial_text(&stopped)).unwrap();
    let last = newest_list(authority);
    let list = place.path("newest.crl");
    std::fs::write(&list, &last.der).unwrap();
    let foreign = place.path("foreign.crl");
    std::fs::write(&foreign, newest_list_of_another().der).unwrap();
    let newest = opened.evidence.advance().unwrap();
    let earlier = authority.settings.log_key.clone();
    drop(opened);
    std::fs::remove_dir_all(place.path("ca")).unwrap();
    place.clock.advance(Duration::hours(3));
    let restored = place.restore(&backup, "ca", Some(newest.as_bytes()), Word { accept_loss: true, crl_number: None }).unwrap();
    assert_eq!((restored.earlier.as_deref(), restored.intents_dropped), (Some(earlier.as_str()), vec![serial_text(&pending)]));
    let opened = place.open("ca");
    let authority = &opened.authority;
    assert_eq!(authority.settings.log_origin, format!("127.0.0.1:8440/ca/{}", place.clock.now().unix_timestamp()));
    // The same backup once more, when that authority is lost too: its log is another again, and not a fork of the second.
    place.clock.advance(Duration::hours(1));
    let third = place.restore(&backup, "third", None, Word { accept_loss: true, crl_number: None }).unwrap();
    assert!(third.earlier == restored.earlier && third.vkey != restored.vkey && third.crl_numbers_above > restored.crl_numbers_above);
    assert_eq!(authority.settings.earlier_logs, [earlier]);
    assert!(kinds(authority, 80)[0].contains("\"intents_dropped\":1"));
    assert_eq!([&kept, &ended, &held, &good, &gone].map(|serial| ocsp(authority, serial)), [0x80, 0x80, 0x80, 0x82, 0x82]);
    assert!(newest_list(authority).number > last.number);
    // Others' signatures count nothing, nor do bytes that are none of these.
    assert!(matches!(adopt::list(authority, &admin(), adopt::read_list(&foreign).unwrap()), Err(AdoptError::NotOurs)));
    let mut altered = good_der.clone();
    *altered.last_mut().unwrap() ^= 1;
    assert!(matches!(adopt::certificate(authority, &admin(), &altered, None), Err(AdoptError::NotOurs)));
    assert!(matches!(adopt::certificate(authority, &admin(), b"no certificate", None), Err(AdoptError::NoCertificate)));
    // The list first: what it says holds for those known and for those not known yet.
    let told = adopt::list(authority, &admin(), adopt::read_list(&list).unwrap()).unwrap();
    assert_eq!((told.number, told.entries, told.changed, told.unknown), (last.number, 4, 2, 2));
    assert_eq!([&kept, &ended, &held, &good, &gone, &stopped].map(|serial| ocsp(authority, serial)), [0x80, 0xa1, 0xa1, 0x82, 0xa1, 0xa1]);
    assert_eq!(newest_list(authority).entries, 4);
    let told = adopt::list(authority, &admin(), adopt::read_list(&list).unwrap()).unwrap();
    assert_eq!((told.changed, told.unknown), (0, 2));
    // Then the certificates: once, of the profile that made them, in the state that the list told.
    for (serial, der, wanted) in [(&good, &good_der, 0x80), (&gone, &gone_der, 0xa1), (&stopped, &stopped_der, 0xa1)] {
        let adopted = adopt::certificate(authority, &admin(), der, None).unwrap();
        assert_eq!((&adopted.serial, adopted.before, adopted.record.profile.as_str(), adopted.record.code.as_deref()), (serial, false, "enterprise-signing", Some("91440101MAT000018G")));
        assert_eq!(ocsp(authority, serial), wanted);
        assert!(adopt::certificate(authority, &admin(), der, None).unwrap().before);
    }
    assert!(matches!(status(authority, &stopped), Some(Status::Held(_))));
    assert!(matches!(status(authority, &gone), Some(Status::Revoked(revocation)) if revocation.reason == Reason::KeyCompromise));
    assert!(authority.store.get(&CertificateRecord::blocked_key(&ca::register::get(&*authority.store, &gone).unwrap().key_digest)).unwrap().is_some());
    ca::flow::hold::resume(authority, &admin(), &serde_json::from_value(serde_json::json!({ "serial": serial_text(&stopped), "freeze": null })).unwrap()).unwrap();
    end(authority, &good, Reason::Superseded);
    assert_eq!(newest_list(authority).entries, 4);
    assert_eq!((kinds(authority, 82).len(), kinds(authority, 83).len()), (3, 2));
    opened.evidence.advance().unwrap();
    drop(opened);
    // All of it is there after the next start.
    let opened = place.open("ca");
    assert_eq!([&good, &gone, &stopped].map(|serial| ocsp(&opened.authority, serial)), [0xa1, 0xa1, 0x80]);
}

fn newest_list_of_another() -> CrlRecord {
    let other = Place::new();
    newest_list(&other.found().authority)
}

#[test]
fn a_backup_altered_anywhere_is_refused_and_nothing_is_written() {
    let place = Place::new();
    let opened = place.found();
    certify(&opened.authority);
    let note = opened.evidence.advance().unwrap();
    let backup = place.back_up(&opened, "backup");
    assert!(matches!(back_up(&opened.authority, &opened.evidence, &backup, &mut |_| ()), Err(BackupError::Exists { .. })));
    assert!(matches!(back_up(&opened.authority, &opened.evidence, &place.path("ca/backup"), &mut |_| ()), Err(BackupError::Inside { .. })));
    std::fs::create_dir(place.path("half.unfinished")).unwrap();
    assert!(matches!(back_up(&opened.authority, &opened.evidence, &place.path("half"), &mut |_| ()), Err(BackupError::Unfinished { .. })));
    drop(opened);
    let mut files = Vec::new();
    walk(&backup, &mut files);
    assert!(files.iter().any(|file| file.ends_with("keys/enterprise-ca.key")) && !files.iter().any(|file| file.to_string_lossy().contains("root-keys")));
    // Argon2id takes its time: one file of each kind.
    let kinds = ["ca.toml", "log-head", "manifest.json", "manifest.note", "store.records", "keys/log.key", "keys/enterprise-ca.key", "root.pem", "policies/practice-statement.md"];
    for (file, longer) in kinds.iter().map(|file| (file, false)).chain([(&"store.records", true), (&"manifest.json", true)]) {
        let file = backup.join(file);
        let whole = std::fs::read(&file).unwrap();
        let mut bytes = whole.clone();
        let middle = bytes.len() / 2;
        if longer { bytes.push(b' ') } else { bytes[middle] ^= 1 }
        std::fs::write(&file, bytes).unwrap();
        let refused = place.restore(&backup, "new", Some(note.as_bytes()), Word { accept_loss: true, crl_number: None });
        assert!(refused.is_err() && !place.path("new").exists(), "{}", file.display());
        std::fs::write(&file, whole).unwrap();
    }
    std::fs::rename(backup.join("tls-ca.pem"), place.path("taken-away")).unwrap();
    assert!(place.restore(&backup, "new", Some(note.as_bytes()), Word::default()).is_err() && !place.path("new").exists());
    std::fs::rename(place.path("taken-away"), backup.join("tls-ca.pem")).unwrap();
    // A checkpoint of this log that is not of these entries: two logs under one key.
    let taken = place.restore(&backup, "other", Some(note.as_bytes()), Word::default()).unwrap();
    assert_eq!(taken.earlier, None);
    let opened = place.open("other");
    let forked = opened.evidence.advance().unwrap();
    drop(opened);
    place.clock.advance(Duration::seconds(5));
    let third = place.restore(&backup, "third", Some(note.as_bytes()), Word::default()).unwrap();
    assert_eq!(third.entries, taken.entries);
    let opened = place.open("third");
    certify(&opened.authority);
    certify(&opened.authority);
    let of_third = place.back_up(&opened, "of-third");
    drop(opened);
    let restored = place.restore(&of_third, "fourth", Some(forked.as_bytes()), Word { accept_loss: true, crl_number: None });
    assert!(matches!(restored, Err(RestoreError::Forked { .. })) && !place.path("fourth").exists(), "{restored:?}");
}

fn walk(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

#[test]
fn the_link_of_an_adopted_certificate_is_entered_by_whoever_knows_it() {
    let place = Place::new();
    let opened = place.found();
    let (old, _) = certify(&opened.authority);
    let backup = place.back_up(&opened, "backup");
    place.clock.advance(Duration::hours(1));
    let (new, der) = certify(&opened.authority);
    let (third, third_der) = certify(&opened.authority);
    opened.evidence.advance().unwrap();
    let newest = head(&place.path("ca"));
    drop(opened);
    place.restore(&backup, "new", Some(&newest), Word { accept_loss: true, crl_number: None }).unwrap();
    let opened = place.open("new");
    let authority = &opened.authority;
    for der in [&der, &third_der] {
        adopt::certificate(authority, &admin(), der, None).unwrap();
    }
    let succeeds = |new: &[u8], old: &[u8]| adopt::succeeds(authority, &admin(), new, &adopt::Succeeds { old: serial_text(old), act: ca::record::Act::Renewed });
    assert!(matches!(succeeds(&old, &new), Err(AdoptError::NoSuccessor { .. })));
    assert!(matches!(succeeds(&new, &new), Err(AdoptError::NoSuccessor { .. })));
    let officers = authority.issuers["officer-ca"].serial.clone();
    assert!(matches!(succeeds(&new, &officers), Err(AdoptError::NoSuccessor { .. })));
    let linked = succeeds(&new, &old).unwrap();
    assert_eq!(linked.predecessor.as_ref().map(|link| link.serial.clone()), Some(serial_text(&old)));
    let links: Vec<_> = ca::flow::succeed::successors(authority, &old).unwrap().into_iter().map(|link| link.serial).collect();
    assert_eq!(links, [serial_text(&new)]);
    // Said again it is the same; nothing else takes that place, and it took no other.
    assert_eq!(succeeds(&new, &old).unwrap(), linked);
    assert!(matches!(succeeds(&third, &old), Err(AdoptError::Linked { .. })));
    assert!(matches!(succeeds(&new, &third), Err(AdoptError::Linked { .. })));
    // Two of one second: either may come first, and then not the other way round, nor by way of a third.
    let second = |serial: &[u8]| ca::register::get(&*authority.store, serial).unwrap().not_before;
    assert_eq!(second(&new), second(&third));
    succeeds(&third, &new).unwrap();
    assert!(matches!(succeeds(&new, &third), Err(AdoptError::Linked { .. })));
    let (fourth, fifth, sixth) = (certify(authority).0, certify(authority).0, certify(authority).0);
    assert!(second(&fourth) == second(&fifth) && second(&fifth) == second(&sixth));
    succeeds(&fifth, &fourth).unwrap();
    assert!(matches!(succeeds(&fourth, &fifth), Err(AdoptError::Circle { .. })));
    succeeds(&sixth, &fifth).unwrap();
    assert!(matches!(succeeds(&fourth, &sixth), Err(AdoptError::Circle { .. })));
    assert_eq!(kinds(authority, 78).len(), 4);
}
