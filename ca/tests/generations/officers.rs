//! The officers' authority: officers of every generation decide, and a revoked one comes back.

use std::sync::Arc;

use ca::authority::ROOT;
use ca::ceremony::{self};
use ca::flow::issue::{Order, issue};
use ca::flow::approve::{Decided, decide};
use ca::flow::officer::{Grant, grant};
use ca::flow::order::{Applied, place_online};
use ca::flow::plan::Words;
use ca::flow::roots::{self, NewRoot};
use ca::flow::recover::{self, RecoverError};
use ca::flow::take_over::{self, TakeOverError};
use ca::flow::{Authorised, Operator, publish};
use ca::problem::IssueError;
use ca::order_proof;
use ca::record::{Decision, OrderState, Verdict, log, serial_text};
use ca::service::Service;
use pki::cms::SignerPlan;
use pki::signer::SignatureAlgorithm;
use policies::authority::Power;
use runtime::clock::Clock;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::place::{Place, URL, admin, end, passphrase, sha256};

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
