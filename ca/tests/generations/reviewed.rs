//! Ceremonies whose inputs are not what was reviewed.

use std::path::Path;

use ca::authority::ROOT;
use ca::ceremony::{self, CeremonyError, file::FileError};
use ca::flow::certified::CertifiedError;
use ca::flow::take_over::{self, TakeOverError};
use ca::init::Opened;
use ca::problem::IssueError;
use ca::record::CertificateRecord;
use runtime::clock::Clock;
use store::Batch;
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::place::{Place, Said, admin, passphrase, sha256};

#[test]
fn nothing_is_signed_that_was_not_reviewed() {
    let place = Place::new();
    let opened = place.found();
    let good = place.words(&opened);
    let other = Place::new();
    drop(other.found());
    std::fs::rename(other.path("ca/root-keys"), place.path("other-keys")).unwrap();
    let hold = |words: &Said| place.hold(words, "ca/root-keys", "out", false).err().unwrap();
    let file = |error: CeremonyError| if let CeremonyError::File(error) = error { error } else { panic!("{error}") };
    let changed = |change: fn(&mut Said)| {
        let mut words = good.clone();
        change(&mut words);
        words
    };
    // The file itself, and each input.
    let reviewed = place.file(&good);
    std::fs::write(place.path("ceremony.toml"), std::fs::read_to_string(place.path("ceremony.toml")).unwrap().replace("机构 2", "机构 3")).unwrap();
    let unread = ceremony::run(&place.path("ceremony.toml"), &reviewed, &place.path("ca/root-keys"), &passphrase(), &place.path("out"), false, &*place.clock);
    assert!(matches!(unread, Err(CeremonyError::File(FileError::NotReviewed { .. }))));
    assert!(matches!(file(hold(&changed(|words| words.request_sha256 = "00".repeat(32)))), FileError::OtherInput { .. }));
    assert!(matches!(hold(&changed(|words| words.policies_sha256 = "00".repeat(32))), CeremonyError::OtherPolicies { .. }));
    assert!(matches!(hold(&changed(|words| words.key_id = "00".repeat(20))), CeremonyError::NoRoot(_)));
    assert!(matches!(place.hold(&good, "other-keys", "out", false), Err(CeremonyError::OtherKey)));
    assert!(matches!(file(hold(&changed(|words| words.present = "[\"a\", \"a\"]"))), FileError::Present { count: 1 }));
    assert!(matches!(hold(&changed(|words| words.path_length = 1)), CeremonyError::PathLength { .. }));
    // Dates of the root, of the profile, and in their order.
    assert!(matches!(hold(&changed(|words| words.from = "2027-01-14T00:00:00Z")), CeremonyError::Certified(CertifiedError::Dates)));
    assert!(matches!(hold(&changed(|words| words.until = "2099-01-01T00:00:00Z")), CeremonyError::Certified(CertifiedError::Dates)));
    assert!(matches!(hold(&changed(|words| words.until = "2027-03-01T00:00:00Z")), CeremonyError::Certified(CertifiedError::Dates)));
    assert!(matches!(hold(&changed(|words| words.until = "2037-03-01T00:00:00Z")), CeremonyError::Certified(CertifiedError::TooLong { .. })));
    // A request of somebody who does not hold the key, or asks for a name.
    let altered = std::fs::read_to_string(place.path("next.csr")).unwrap();
    let mut der = pem::parse(&altered).unwrap().into_contents();
    *der.last_mut().unwrap() ^= 1;
    std::fs::write(place.path("altered.csr"), &der).unwrap();
    let mut words = good.clone();
    (words.request, words.request_sha256) = ("altered.csr".into(), sha256(&der));
    assert!(matches!(hold(&words), CeremonyError::Issue(IssueError::Request(_))));
    assert!(!place.path("out").exists() && !place.path("out.unfinished").exists());
    refused_keys(&place, &opened, &good);
    // What stands is never overwritten, a link that leads nowhere and what a crash left neither, and what was held is proved; a changed bit of it is not.
    std::os::unix::fs::symlink(place.path("nowhere"), place.path("out")).unwrap();
    assert!(matches!(hold(&good), CeremonyError::Exists { .. }));
    std::fs::remove_file(place.path("out")).unwrap();
    std::fs::create_dir(place.path("out.unfinished")).unwrap();
    assert!(matches!(hold(&good), CeremonyError::Exists { .. }));
    assert!(!place.path("nowhere").exists() && std::fs::read_dir(place.path("out.unfinished")).unwrap().next().is_none());
    std::fs::remove_dir(place.path("out.unfinished")).unwrap();
    // On a full or read-only disk there is no signature at all.
    assert!(matches!(place.hold(&good, "ca/root-keys", "no-such/out", false), Err(CeremonyError::Disk { .. })));
    let judged = place.hold(&good, "ca/root-keys", "out", false).unwrap().tbs_sha256;
    assert_eq!(sha256(&std::fs::read(place.path("out/to-be-signed.der")).unwrap()), judged);
    assert!(matches!(hold(&good), CeremonyError::Exists { .. }));
    let root = place.path("ca/root.pem");
    let proved = ceremony::verify(&place.path("out"), &root).unwrap();
    assert_eq!((proved.kind.as_str(), proved.people, proved.ceremony_sha256), ("issuing", 2, place.file(&good)));
    for name in ["transcript.jsonl", "transcript.sig", "certificate.pem"] {
        let path = place.path("out").join(name);
        let whole = std::fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(3) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert!(ceremony::verify(&place.path("out"), &root).is_err(), "{name} at {at}");
        }
        std::fs::write(&path, &whole).unwrap();
    }
    assert!(ceremony::verify(&place.path("out"), &place.path("ca/tls-ca.pem")).is_err());
    spliced(&place, &good);
    // Another authority takes in nothing of this root.
    let stranger = Place::new();
    let theirs = stranger.found();
    assert!(matches!(take_over::install(&theirs.authority, &admin::<ca::flow::Administrator>(), &place.certified("out")), Err(TakeOverError::NotRequested)));
    install_only_when_valid(&place, &opened);
}

/// The lists of refused keys are reviewed too, and a key on one of them is not certified, nor the root's own.
fn refused_keys(place: &Place, opened: &Opened, good: &Said) {
    let request = pem::parse(std::fs::read(place.path(&good.request)).unwrap()).unwrap().into_contents();
    let keys = [pki::request::Request::parse(&request).unwrap().spki, opened.authority.issuers[ROOT].public_key_info.clone()];
    std::fs::create_dir(place.path("lists")).unwrap();
    for key in keys {
        std::fs::write(place.path("lists/known.txt"), format!("{}\n", sha256(&key))).unwrap();
        let digest = ca::key_lists::read(&place.path("lists")).unwrap().digest;
        let mut words = Said { more: format!("blocked_keys = {{ directory = \"lists\", sha256 = \"{digest}\" }}\n"), ..good.clone() };
        assert!(matches!(place.hold(&words, "ca/root-keys", "out", false), Err(CeremonyError::Issue(IssueError::ListedKey))));
        words.more = words.more.replace(&digest, &"0".repeat(64));
        assert!(matches!(place.hold(&words, "ca/root-keys", "out", false), Err(CeremonyError::OtherLists { .. })));
    }
    let root = keys::KeyStore::open(&place.path("ca/root-keys"), &passphrase()).unwrap().load(ROOT).unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let own = parameters.serialize_request(&root).unwrap().der().to_vec();
    std::fs::write(place.path("own.csr"), &own).unwrap();
    let words = Said { request: "own.csr".into(), request_sha256: sha256(&own), ..good.clone() };
    assert!(matches!(place.hold(&words, "ca/root-keys", "out", false), Err(CeremonyError::RootsKey)));
}

/// Lines of a transcript taken away, put in another order, or of another ceremony with the same key.
fn spliced(place: &Place, good: &Said) {
    let root = place.path("ca/root.pem");
    place.hold(good, "ca/root-keys", "again", false).unwrap();
    let files = ["transcript.jsonl", "transcript.sig", "certificate.pem"];
    let read = |directory: &str| files.map(|name| std::fs::read(place.path(directory).join(name)).unwrap());
    let (first, again) = (read("out"), read("again"));
    let holds = |three: [&Vec<u8>; 3]| {
        std::fs::create_dir_all(place.path("spliced")).unwrap();
        files.iter().zip(three).for_each(|(name, bytes)| std::fs::write(place.path("spliced").join(name), bytes).unwrap());
        ceremony::verify(&place.path("spliced"), &root).is_ok()
    };
    assert!(holds([&first[0], &first[1], &first[2]]) && holds([&again[0], &again[1], &again[2]]));
    for at in 0..3 {
        let mut mixed = [&first[0], &first[1], &first[2]];
        mixed[at] = &again[at];
        assert!(!holds(mixed), "{}", files[at]);
    }
    let lines: Vec<&[u8]> = first[0].split_inclusive(|byte| *byte == b'\n').collect();
    for at in 0..lines.len() {
        let mut shorter = lines.clone();
        shorter.remove(at);
        let mut swapped = lines.clone();
        swapped.swap(at, (at + 1) % lines.len());
        for other in [shorter.concat(), swapped.concat(), lines[..at].concat()] {
            assert!(!holds([&other, &first[1], &first[2]]), "line {at}");
        }
    }
}

fn install_only_when_valid(place: &Place, opened: &Opened) {
    let der = place.certified("out");
    place.clock.set(OffsetDateTime::from_unix_timestamp(place.clock.now().unix_timestamp() - 60).unwrap());
    assert!(matches!(take_over::install(&opened.authority, &admin::<ca::flow::Administrator>(), &der), Err(TakeOverError::NotNow)));
    place.clock.advance(Duration::seconds(61));
    // A key that was reported since it was born takes over nothing.
    let (_, read) = X509Certificate::from_der(&der).unwrap();
    let blocked = CertificateRecord::blocked_key(ring::digest::digest(&ring::digest::SHA256, read.public_key().raw).as_ref());
    opened.authority.store.commit(Batch::new().put(blocked.clone(), vec![])).unwrap();
    assert!(matches!(take_over::install(&opened.authority, &admin::<ca::flow::Administrator>(), &der), Err(TakeOverError::Issue(IssueError::BlockedKey))));
    opened.authority.store.commit(Batch::new().delete(blocked)).unwrap();
    take_over::install(&opened.authority, &admin::<ca::flow::Administrator>(), &der).unwrap();
    assert!(Path::new(&place.path("ca")).exists());
}
