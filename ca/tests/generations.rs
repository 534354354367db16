//! A new generation takes over while others are issued for; ceremonies whose inputs are not what was reviewed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ca::authority::{Authority, ROOT};
use ca::ceremony::{self, CeremonyError, file::FileError};
use ca::flow::certified::CertifiedError;
use ca::flow::issue::{Order, issue};
use ca::flow::approve::{Decided, decide};
use ca::flow::officer::{Grant, grant};
use ca::flow::order::{Applied, place_online};
use ca::flow::plan::Words;
use ca::flow::roots::{self, Across, NewRoot, RootsError};
use ca::flow::recover::{self, RecoverError};
use ca::flow::revoke::{Revoke, revoke};
use ca::flow::take_over::{self, TakeOverError};
use ca::flow::{Authorised, Office, Operator, publish};
use ca::init::{Opened, init, open};
use ca::job::{Health, Jobs};
use ca::problem::IssueError;
use ca::order_proof;
use ca::record::{CertificateRecord, CrlRecord, Decision, IssuerRecord, OrderState, Reason, Verdict, decode, encode, log, serial_text};
use ca::service::Service;
use ca::status::Status as Responder;
use keys::Passphrase;
use pki::cms::SignerPlan;
use pki::signer::SignatureAlgorithm;
use policies::authority::Power;
use pki::ocsp::{CertId, HashAlgorithm, OcspRequest};
use runtime::clock::{Clock, FakeClock};
use store::Batch;
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer, X509Certificate};

const FIRST: &str = "enterprise-ca";
const SECOND: &str = "enterprise-ca-2";
/// OCSPResponseStatus. spec: rfc6960#4.2.1
const TRY_LATER: u8 = 3;
const UNAUTHORIZED: u8 = 6;
/// The kind of the log's entry about a new OCSP signer.
const REPLACED: u8 = 8;
const URL: &str = "http://127.0.0.1:8440";

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

fn sha256(bytes: &[u8]) -> String {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a ceremony's file says, to be changed line by line.
#[derive(Clone)]
struct Said {
    request: String,
    request_sha256: String,
    key_id: String,
    from: &'static str,
    until: &'static str,
    path_length: u8,
    policies_sha256: String,
    present: &'static str,
    /// Further lines.
    more: String,
}

impl Place {
    fn new() -> Self {
        let now = time::macros::datetime!(2027-01-15 00:00 UTC);
        Self { home: tempfile::tempdir().unwrap(), clock: Arc::new(FakeClock::new(now)) }
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as _
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Founded in January; the ceremonies below are held on the first of March.
    fn found(&self) -> Opened {
        let opened = init(&self.path("ca"), URL, "127.0.0.1:8440".parse().unwrap(), &passphrase(), &passphrase(), self.clock()).unwrap();
        self.clock.advance(Duration::days(45));
        opened
    }

    fn open(&self) -> Opened {
        open(&self.path("ca"), None, &passphrase(), self.clock()).unwrap()
    }

    /// The request of the next generation, and what is to be said of it.
    fn words(&self, opened: &Opened) -> Said {
        self.words_of(opened, FIRST)
    }

    fn words_of(&self, opened: &Opened, issuer: &str) -> Said {
        let requested = take_over::request(&opened.authority, &Authorised::<ca::flow::Administrator>::service(), issuer).unwrap();
        assert_eq!(requested.id, format!("{issuer}-2"));
        std::fs::write(self.path("next.csr"), &requested.request).unwrap();
        let policies = ca::init::read_policies(&self.path("ca/policies")).unwrap();
        let key_id = opened.authority.issuers[ROOT].key_id.iter().map(|byte| format!("{byte:02x}")).collect();
        Said {
            request: "next.csr".into(),
            request_sha256: sha256(requested.request.as_bytes()),
            key_id,
            from: "2027-03-01T00:00:00Z",
            until: "2037-02-01T00:00:00Z",
            path_length: 0,
            policies_sha256: policies.digest,
            present: "[\"a\", \"b\"]",
            more: String::new(),
        }
    }

    /// Writes the file; its digest.
    fn file(&self, words: &Said) -> String {
        let root = sha256(&std::fs::read(self.path("ca/root.pem")).unwrap());
        let text = format!(
            "kind = \"issuing\"\nroot = {{ file = \"ca/root.pem\", sha256 = \"{root}\" }}\nroot_key_id = \"{}\"\nrequest = {{ file = \"{}\", sha256 = \"{}\" }}\nname = \"穗印企业证书签发机构 2\"\n\
             not_before = \"{}\"\nnot_after = \"{}\"\npath_length = {}\nbase_url = \"{URL}\"\npolicies = \"ca/policies\"\npolicies_sha256 = \"{}\"\npresent = {}\n{}",
            words.key_id, words.request, words.request_sha256, words.from, words.until, words.path_length, words.policies_sha256, words.present, words.more
        );
        std::fs::write(self.path("ceremony.toml"), &text).unwrap();
        sha256(text.as_bytes())
    }

    fn hold(&self, words: &Said, keys: &str, out: &str, rehearsal: bool) -> Result<ceremony::Done, CeremonyError> {
        let reviewed = self.file(words);
        ceremony::run(&self.path("ceremony.toml"), &reviewed, &self.path(keys), &passphrase(), &self.path(out), rehearsal, &*self.clock)
    }

    fn certified(&self, out: &str) -> Vec<u8> {
        pem::parse(std::fs::read(self.path(out).join("certificate.pem")).unwrap()).unwrap().into_contents()
    }
}

fn certify(authority: &Authority) -> (Vec<u8>, CertificateRecord) {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let request = parameters.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec();
    let applicant = Words { name: Some("广州天河测试有限公司".into()), code: Some("91440101MAT000018G".into()), ..Words::default() };
    let issued = issue(authority, admin::<Operator>(), Order { profile: "enterprise-signing".into(), request, applicant, issuer: None }).unwrap();
    (issued.what().serial.clone(), issued.what().record.clone())
}

fn end(authority: &Authority, serial: &[u8]) {
    let order: Revoke = serde_json::from_value(serde_json::json!({ "serial": serial_text(serial), "reason": Reason::Superseded, "at": null })).unwrap();
    revoke(authority, &admin::<Operator>(), &order).unwrap();
}

/// The first octet of the answer's certStatus, after its signature was verified by the issuer's own signer.
fn ocsp(authority: &Authority, status: &Responder, issuer: &str, serial: &[u8]) -> u8 {
    let issuer = &authority.issuers[issuer];
    let id = CertId::new(HashAlgorithm::Sha256, &issuer.name, &issuer.public_key_info, serial).unwrap();
    let body = status.make(&OcspRequest { ids: vec![id.clone()], nonce: None }).body;
    let at = body.windows(id.der.len()).position(|window| *window == id.der[..]).unwrap() + id.der.len();
    assert!(body.windows(32).any(|window| window == &issuer.record.ocsp.as_ref().unwrap().der[..32]), "another issuer's signer answered");
    body[at]
}

fn listed(authority: &Authority, issuer: &str) -> Vec<Vec<u8>> {
    publish::publish(authority, &admin(), &authority.issuers[issuer]).unwrap();
    let list: CrlRecord = decode(&authority.store.get(&CrlRecord::key(issuer)).unwrap().unwrap()).unwrap();
    let (_, read) = x509_parser::revocation_list::CertificateRevocationList::from_der(&list.der).unwrap();
    let (_, key) = x509_parser::x509::SubjectPublicKeyInfo::from_der(&authority.issuers[issuer].public_key_info).unwrap();
    read.verify_signature(&key).unwrap();
    read.iter_revoked_certificates().map(|entry| entry.raw_serial().to_vec()).collect()
}

fn signed_by(record: &CertificateRecord, authority: &Authority) {
    let issuer = &authority.issuers[record.issuer.as_str()];
    let (_, read) = X509Certificate::from_der(&record.der).unwrap();
    let (_, by) = X509Certificate::from_der(&issuer.record.der).unwrap();
    read.verify_signature(Some(by.public_key())).unwrap();
    let told = String::from_utf8_lossy(&record.der).into_owned();
    let list = record.shard.map_or_else(|| format!("{URL}/crl/{}.crl", record.issuer), |shard| format!("{URL}/crl/{}/{shard}.crl", record.issuer));
    assert!(told.contains(&list) && told.contains(&format!("{URL}/issuer/{}.der", record.issuer)));
}

#[test]
fn officers_of_both_generations_decide_about_orders() {
    let place = Place::new();
    let opened = place.found();
    let authority = &opened.authority;
    publish::publish(authority, &admin(), &authority.issuers["officer-ca"]).unwrap();
    let keys = keys::KeyStore::create(&place.path("officers"), &passphrase()).unwrap();
    let approved_by = |number: &str| {
        let key = keys.generate(&number.to_lowercase(), SignatureAlgorithm::EcdsaP256Sha256).unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        let applicant = Words { officer: Some("陈一".into()), number: Some(number.into()), ..Words::default() };
        let order = Order { profile: "officer".into(), request: parameters.serialize_request(&key).unwrap().der().to_vec(), applicant, issuer: None };
        let officer = issue(authority, admin::<Operator>(), order).unwrap();
        let (serial, record) = (serial_text(&officer.what().serial), &officer.what().record);
        grant(authority, &admin(), &Grant { serial, power: Power::Operator }).unwrap();
        let request = parameters.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec();
        let applicant = Words { name: Some("广州天河测试有限公司".into()), code: Some("91440101MAT000018G".into()), ..Words::default() };
        let applied = Applied { profile: "enterprise-signing".into(), request, applicant, issuer: None, evidence: Vec::new(), key: number.into() };
        let placed = place_online(authority, applied).unwrap();
        let now = place.clock.now();
        let decision = Decision::about(&placed.id, &placed.order, Verdict::Approve, String::new(), now.unix_timestamp()).text().unwrap();
        let digest: [u8; 32] = ring::digest::digest(&ring::digest::SHA256, decision.as_bytes()).as_ref().try_into().unwrap();
        let above = roots::above(authority, &record.issuer);
        let above: Vec<&[u8]> = above.iter().map(Vec::as_slice).collect();
        let signature = SignerPlan::new(&record.der, &above).unwrap().seal(digest, now, &key).unwrap();
        let decided = decide(authority, &Decided { order: placed.id, decision, signature }).unwrap();
        assert!(matches!(decided.state, OrderState::Issued { .. }));
        // Proved by nothing but the root and the log's key.
        let proof = order_proof::export(authority, &opened.evidence, &placed.id).unwrap().text().unwrap();
        let policies = authority.policies.profile("officer").unwrap().policies().to_vec();
        assert_eq!(order_proof::verify(proof.as_bytes(), &authority.issuers[ROOT].record.der, &authority.settings.log_key, policies).unwrap().approved_by.len(), 1);
        record.issuer.clone()
    };
    assert_eq!(approved_by("B-1"), "officer-ca");
    place.hold(&place.words_of(&opened, "officer-ca"), "ca/root-keys", "out", false).unwrap();
    take_over::install(authority, &admin::<ca::flow::Administrator>(), &place.certified("out")).unwrap();
    assert_eq!(approved_by("B-2"), "officer-ca-2");
    // And of one that a second root certified: proved by the first root alone, through what leads across.
    let hold = |text: String, keys: &str, out: &str| {
        std::fs::write(place.path("c.toml"), &text).unwrap();
        ceremony::run(&place.path("c.toml"), &sha256(text.as_bytes()), &place.path(keys), &passphrase(), &place.path(out), false, &*place.clock).unwrap();
        place.certified(out)
    };
    let file = |name: &str| format!("{{ file = \"{name}\", sha256 = \"{}\" }}", sha256(&std::fs::read(place.path(name)).unwrap()));
    let policies = ca::init::read_policies(&place.path("ca/policies")).unwrap().digest;
    let common = |length: u8| format!("not_before = \"2027-03-01T00:00:00Z\"\nnot_after = \"2036-02-01T00:00:00Z\"\npath_length = {length}\nbase_url = \"{URL}\"\npolicies = \"ca/policies\"\npolicies_sha256 = \"{policies}\"\npresent = [\"a\", \"b\"]\n");
    let by = |root: &str, der: &[u8], published_as: &str| {
        let (_, read) = X509Certificate::from_der(der).unwrap();
        let key_id: String = pki::certificate::key_id(read.public_key().raw).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("root = {}\nroot_key_id = \"{key_id}\"\npublished_as = \"{published_as}\"\n", file(root))
    };
    let first = authority.issuers[ROOT].record.der.clone();
    let root = hold(format!("kind = \"root\"\nsucceeds = {}\npublished_as = \"root-2\"\nname = \"穗印根证书机构\"\n{}", file("ca/root.pem"), common(1)), "next-keys", "next");
    let across = hold(format!("kind = \"cross\"\n{}certified = {}\n{}", by("ca/root.pem", &first, "root"), file("next/certificate.pem"), common(1)), "ca/root-keys", "across");
    roots::install(authority, &admin(), &NewRoot { root: root.clone(), by_present: across, by_new: None }).unwrap();
    let requested = take_over::request(authority, &Authorised::<ca::flow::Administrator>::service(), "officer-ca").unwrap();
    std::fs::write(place.path("third.csr"), &requested.request).unwrap();
    let third = hold(format!("kind = \"issuing\"\n{}request = {}\nname = \"穗印政务证书签发机构 3\"\n{}", by("next/certificate.pem", &root, "root-2"), file("third.csr"), common(0)), "next-keys", "third");
    assert!(matches!(take_over::install(authority, &admin::<ca::flow::Administrator>(), &third), Err(TakeOverError::NoList { root }) if root == "root-2"));
    let second_root = &authority.issuers["root-2"];
    let prepared = publish::prepare(authority, &admin(), second_root).unwrap();
    let next_key = keys::KeyStore::open(&place.path("next-keys"), &passphrase()).unwrap().load(ROOT).unwrap();
    publish::accept(authority, &admin(), second_root, ceremony::root_crl::sign(&prepared.tbs, &next_key).unwrap()).unwrap();
    take_over::install(authority, &admin::<ca::flow::Administrator>(), &third).unwrap();
    assert_eq!(approved_by("B-3"), "officer-ca-3");
}

#[test]
fn where_the_officers_authority_is_revoked_the_owner_asks_for_its_next_generation() {
    let place = Place::new();
    let opened = place.found();
    let authority = &opened.authority;
    publish::publish(authority, &admin(), &authority.issuers["officer-ca"]).unwrap();
    let asked = |number: &str| {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        let request = parameters.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec();
        Order { profile: "officer".into(), request, applicant: Words { officer: Some("陈一".into()), number: Some(number.into()), ..Words::default() }, issuer: None }
    };
    let refused = |issuer: &str| recover::succession(authority, 7, issuer).unwrap_err();
    assert!(matches!(refused("officer-ca"), RecoverError::NoneYet));
    let first = issue(authority, admin::<Operator>(), asked("A-1")).unwrap();
    grant(authority, &admin(), &Grant { serial: serial_text(&first.what().serial), power: Power::Administrator }).unwrap();
    assert!(matches!(refused("officer-ca"), RecoverError::Administered { count: 1 }));
    // With the authority all its officers fall, and nobody can be certified by it.
    end(authority, &authority.issuers["officer-ca"].serial.clone());
    assert!(matches!(recover::recover(authority, 7, asked("A-2"), "政务证书签发机构已吊销"), Err(RecoverError::Issue(IssueError::IssuerRevoked { .. }))));
    assert!(matches!(refused("enterprise-ca"), RecoverError::OtherIssuer { .. }));
    let service = Service { authority: Arc::new(authority.over(Arc::clone(&authority.store))), evidence: Arc::clone(&opened.evidence) };
    let told = ca::doctor::examine(&service).unwrap().findings;
    assert!(told.iter().any(|finding| finding.what.starts_with("officers: no administrator") && finding.next.contains("ca issuer request officer-ca --recover")), "{told:?}");
    let requested = take_over::request(authority, &recover::succession(authority, 7, "officer-ca").unwrap(), "officer-ca").unwrap();
    assert_eq!(requested.id, "officer-ca-2");
    place.hold(&place.words_of(&opened, "officer-ca"), "ca/root-keys", "out", false).unwrap();
    let installed = recover::install(authority, 7, &place.certified("out")).unwrap();
    assert_eq!(installed.id(), "officer-ca-2");
    // It is good: the owner has no further say in it, and makes one administrator as ever.
    assert!(matches!(refused("officer-ca"), RecoverError::OtherIssuer { .. }));
    let done = recover::recover(authority, 7, asked("A-2"), "政务证书签发机构已吊销").unwrap();
    assert_eq!(done.record.issuer, "officer-ca-2");
    assert!(matches!(refused("officer-ca"), RecoverError::Administered { count: 1 }));
    let entries = authority.store.read_stream(log::STREAM, 0, 100_000).unwrap();
    assert!(entries.iter().any(|entry| entry[1] == 84 && String::from_utf8_lossy(entry).contains("\"by\":\"uid:7\"")));
    // No other authority gets its next generation in this way.
    let waiting = place.words(&opened);
    place.hold(&waiting, "ca/root-keys", "other", false).unwrap();
    assert!(matches!(recover::install(authority, 7, &place.certified("other")), Err(RecoverError::Administered { .. })));
    // What a revoked root certified is not taken in.
    end(authority, &authority.issuers[ROOT].serial.clone());
    assert!(matches!(take_over::install(authority, &admin::<ca::flow::Administrator>(), &place.certified("other")), Err(TakeOverError::Issue(IssueError::IssuerRevoked { issuer })) if issuer == ROOT));
}

#[test]
fn a_generation_takes_over_without_a_gap() {
    let place = Place::new();
    let mut opened = place.found();
    let status = Arc::new(Responder::new(&opened.authority).unwrap());
    opened.authority.watchers.push(Arc::clone(&status) as _);
    // Asked twice, it is the same key.
    let key = || take_over::request(&opened.authority, &Authorised::<ca::flow::Administrator>::service(), FIRST).unwrap().key_sha256;
    let entries = || opened.authority.store.stream_length(ca::record::log::STREAM).unwrap();
    let before = entries();
    assert_eq!(key(), key());
    // And one entry of the log, which names who asked.
    let made = opened.authority.store.read_stream(ca::record::log::STREAM, before, 2).unwrap();
    assert!(made.len() == 1 && made[0][1] == 88 && String::from_utf8_lossy(&made[0]).contains("\"by\":\"service\""), "{made:?}");
    let words = place.words(&opened);
    let authority = &opened.authority;
    let (old, _) = certify(authority);
    let done = place.hold(&words, "ca/root-keys", "out", true).unwrap();
    assert!(done.output.is_none() && !place.path("out").exists());
    place.hold(&words, "ca/root-keys", "out", false).unwrap();
    let der = place.certified("out");
    // Whoever issues meanwhile is never refused, and nobody is issued for by a generation whose answers are not there.
    let (ended, begun) = (AtomicBool::new(false), AtomicUsize::new(0));
    let issued = std::thread::scope(|scope| {
        let issuing = || {
            let (mut issued, mut after) = (Vec::new(), 0);
            while after < 5 {
                issued.push(certify(authority));
                begun.store(issued.len(), Ordering::Relaxed);
                assert_eq!(ocsp(authority, &status, &issued.last().unwrap().1.issuer, &issued.last().unwrap().0), 0x80);
                after += usize::from(ended.load(Ordering::Relaxed));
            }
            issued
        };
        let issuing = scope.spawn(issuing);
        while begun.load(Ordering::Relaxed) < 3 {
            std::thread::yield_now();
        }
        let installed = take_over::install(authority, &admin::<ca::flow::Administrator>(), &der).unwrap();
        assert_eq!((installed.id(), installed.policy_name()), (SECOND, FIRST));
        ended.store(true, Ordering::Relaxed);
        issuing.join().unwrap()
    });
    let by = |id: &str| issued.iter().filter(|(_, record)| record.issuer == id).count();
    assert!(by(FIRST) > 0 && by(SECOND) >= 4 && by(FIRST) + by(SECOND) == issued.len());
    let turn = issued.iter().position(|(_, record)| record.issuer == SECOND).unwrap();
    assert!(issued[turn..].iter().all(|(_, record)| record.issuer == SECOND));
    issued.iter().for_each(|(_, record)| signed_by(record, authority));
    // Both answer, list and revoke, each for its own.
    let new = &issued.last().unwrap().0;
    end(authority, &old);
    end(authority, new);
    assert_eq!([ocsp(authority, &status, FIRST, &old), ocsp(authority, &status, SECOND, new)], [0xa1, 0xa1]);
    assert_eq!((listed(authority, FIRST), listed(authority, SECOND)), (vec![old.clone()], vec![new.clone()]));
    assert!(authority.unmatched().is_empty());
    let told = authority.store.read_stream(log::STREAM, 0, 100_000).unwrap();
    assert_eq!(told.iter().filter(|entry| entry[1] == 84).count(), 1);
    // Once only, and by nobody else's key.
    assert!(matches!(take_over::install(authority, &admin::<ca::flow::Administrator>(), &der), Err(TakeOverError::NotRequested)));
    assert!(matches!(take_over::request(authority, &Authorised::<ca::flow::Administrator>::service(), "nobody-ca"), Err(TakeOverError::Unknown { .. })));
    opened.evidence.advance().unwrap();
    drop((opened, status));
    // It is as durable as all else; one that was cut off before it had a signer gets it at the next start.
    let opened = place.open();
    let record: IssuerRecord = decode(&opened.authority.store.get(&IssuerRecord::key(SECOND)).unwrap().unwrap()).unwrap();
    assert_eq!(certify(&opened.authority).1.issuer, SECOND);
    opened.authority.store.commit(Batch::new().put(IssuerRecord::key(SECOND), encode(&IssuerRecord { ocsp: None, ..record }).unwrap())).unwrap();
    drop(opened);
    let opened = place.open();
    assert_eq!(certify(&opened.authority).1.issuer, SECOND);
    // The jobs see to both, signers too, years later; when the first has ended it is let rest.
    let status = Arc::new(Responder::new(&opened.authority).unwrap());
    let service = Service { authority: Arc::new(opened.authority), evidence: opened.evidence };
    let jobs = Jobs::new(service.clone(), Arc::clone(&status), opened.keys, Arc::new(Health::default()));
    let signers = || service.authority.store.read_stream(log::STREAM, 0, 100_000).unwrap().iter().filter(|entry| entry[1] == REPLACED).count();
    let first = || {
        let issuer = &service.authority.issuers[FIRST];
        let id = CertId::new(HashAlgorithm::Sha1, &issuer.name, &issuer.public_key_info, &old).unwrap();
        let body = status.make(&OcspRequest { ids: vec![id.clone()], nonce: None }).body;
        body.windows(id.der.len()).position(|window| *window == id.der[..]).map_or_else(|| body[4], |at| body[at + id.der.len()])
    };
    let turns = || (0..40).for_each(|_| jobs.turn());
    // Its signer ended long ago, as all its certificates did: it answers again as soon as the jobs come to it, to its own
    // last moment, and no signer is made that would not outlive the one before.
    place.clock.advance(Duration::days(3_600));
    assert_eq!(first(), TRY_LATER);
    turns();
    assert_eq!(first(), 0xa1);
    place.clock.set(service.authority.issuers[FIRST].not_after - Duration::minutes(3));
    let before = signers();
    turns();
    turns();
    assert_eq!((first(), signers() - before), (0xa1, 0));
    // After that nobody can vouch for an answer, and nobody is told to come back.
    for step in [Duration::minutes(4), Duration::days(7)] {
        place.clock.advance(step);
        turns();
        assert_eq!(first(), UNAUTHORIZED);
        assert!(!jobs.health.metrics().contains("part=\"crl\"} 1") && !jobs.health.metrics().contains("part=\"ocsp-signer\"} 1"), "{}", jobs.health.metrics());
    }
    let fresh = |issuer: &str| {
        let list: CrlRecord = decode(&service.authority.store.get(&CrlRecord::key(issuer)).unwrap().unwrap()).unwrap();
        list.next_update > place.clock.now().unix_timestamp()
    };
    assert!(fresh(SECOND) && !fresh(FIRST));
}

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

#[test]
fn a_new_root_is_published_beside_the_present_one_with_what_vouches_for_both() {
    let place = Place::new();
    let opened = place.found();
    let policies = ca::init::read_policies(&place.path("ca/policies")).unwrap().digest;
    let dates = "not_before = \"2027-03-01T00:00:00Z\"\nnot_after = \"2037-02-01T00:00:00Z\"\npath_length = 1\n";
    let ends = format!("policies = \"ca/policies\"\npolicies_sha256 = \"{policies}\"\npresent = [\"a\", \"b\"]\n");
    let held = |text: String, keys: &str, out: &str| {
        std::fs::write(place.path("c.toml"), &text).unwrap();
        ceremony::run(&place.path("c.toml"), &sha256(text.as_bytes()), &place.path(keys), &passphrase(), &place.path(out), false, &*place.clock).unwrap();
        place.certified(out)
    };
    let file = |name: &str| format!("{{ file = \"{name}\", sha256 = \"{}\" }}", sha256(&std::fs::read(place.path(name)).unwrap()));
    let key_id = |name: &str| {
        let der = pem::parse(std::fs::read(place.path(name)).unwrap()).unwrap().into_contents();
        let (_, read) = X509Certificate::from_der(&der).unwrap();
        pki::certificate::key_id(read.public_key().raw).unwrap().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let cross = |keys: &str, by: &str, of: &str, name: &str, out: &str| {
        let text = format!("kind = \"cross\"\nroot = {}\nroot_key_id = \"{}\"\npublished_as = \"{name}\"\ncertified = {}\nbase_url = \"{URL}\"\n{dates}{ends}", file(by), key_id(by), file(of));
        held(text, keys, out)
    };
    let root = held(format!("kind = \"root\"\nsucceeds = {}\npublished_as = \"root-2\"\nbase_url = \"{URL}\"\nname = \"穗印根证书机构\"\n{dates}{ends}", file("ca/root.pem")), "new-keys", "new");
    let by_present = cross("ca/root-keys", "ca/root.pem", "new/certificate.pem", "root", "new-by-old");
    let by_new = cross("new-keys", "new/certificate.pem", "ca/root.pem", "root-2", "old-by-new");
    let misnamed = cross("new-keys", "new/certificate.pem", "ca/root.pem", "root-3", "misnamed");
    let authority = &opened.authority;
    let given = |root: &[u8], by_present: &[u8], by_new: Option<&[u8]>| NewRoot { root: root.to_vec(), by_present: by_present.to_vec(), by_new: by_new.map(|der| Across(der.to_vec())) };
    let install = |new: NewRoot| roots::install(authority, &admin(), &new);
    // Nothing but what the ceremonies make of these very keys.
    let present = authority.issuers[ROOT].record.der.clone();
    assert!(matches!(install(given(&present, &by_present, None)), Err(RootsError::Present)));
    assert!(matches!(install(given(&by_present, &by_present, None)), Err(RootsError::Ceremony(_))));
    assert!(matches!(install(given(&root, &by_new, None)), Err(RootsError::OtherKey { of: "new" })));
    assert!(matches!(install(given(&root, &root, None)), Err(RootsError::Certified(_))));
    assert!(matches!(install(given(&root, &by_present, Some(&by_present))), Err(RootsError::OtherKey { of: "present" })));
    assert!(matches!(install(given(&root, &by_present, Some(&misnamed))), Err(RootsError::Certified(_))));
    let entries = authority.store.stream_length(log::STREAM).unwrap();
    let named = |published: Vec<roots::Published>| published.into_iter().map(|one| one.id).collect::<Vec<_>>();
    // The certificate the other way round may come later, and then it is published.
    assert_eq!(named(install(given(&root, &by_present, None)).unwrap()), ["root-2", "root-2-by-root"]);
    let without = authority.store.stream_length(log::STREAM).unwrap();
    let published = install(given(&root, &by_present, Some(&by_new))).unwrap();
    assert_eq!(authority.store.stream_length(log::STREAM).unwrap() - without, 3);
    // Another one in its place is refused.
    assert!(matches!(install(given(&root, &by_present, Some(&misnamed))), Err(RootsError::Different { id }) if id == "root-by-root-2"));
    assert!(matches!(install(given(&root, &by_new, None)), Err(RootsError::Different { id }) if id == "root-2-by-root"));
    assert_eq!(published[0].address, format!("{URL}/issuer/root-2.der"));
    assert_eq!(named(published), ["root-2", "root-2-by-root", "root-by-root-2"]);
    // The register knows what the present root signed; said again, nothing is done.
    let (_, read) = X509Certificate::from_der(&by_present).unwrap();
    assert_eq!(ca::register::get(&*authority.store, read.raw_serial()).unwrap().issuer, ROOT);
    let after = authority.store.stream_length(log::STREAM).unwrap();
    assert_eq!(after - entries, 8);
    assert_eq!(named(install(given(&root, &by_present, None)).unwrap()), ["root-2", "root-2-by-root", "root-by-root-2"]);
    assert_eq!(authority.store.stream_length(log::STREAM).unwrap(), after);
    drop(opened);
    let opened = place.open();
    assert_eq!(roots::published(&opened.authority).unwrap().iter().map(|one| one.der.as_slice()).collect::<Vec<_>>(), [&root[..], &by_present, &by_new]);
    // The service goes on as before.
    certify(&opened.authority);
}
