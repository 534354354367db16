//! Citizens' certificates: on a registrar's word, once, for an open mailbox; and what strangers get.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;

use ca::authority::{Authority, ROOT};
use ca::flow::bulk::{self, BulkOrder, Chosen, Ordered};
use ca::flow::citizen::{Certified, CitizenError, Sent, certify, withdraw};
use ca::flow::hold::suspend;
use ca::flow::issue::{Order, issue};
use ca::flow::plan::Words;
use ca::flow::registrar::{self, SetRegistrar};
use ca::flow::renew::renew_by_possession;
use ca::flow::replace::{Replace, replace};
use ca::flow::revoke::{Revoke, revoke};
use ca::flow::succeed::SuccessionError;
use ca::flow::{Administrator, Authorised, Operator, take_over};
use ca::init::{Opened, init, open};
use ca::problem::{IssueError, OfficerError};
use ca::record::{BulkAct, Came, IssuerRecord, Reason, Stage, StatementRecord, Status, log, serial_of, serial_text};
use keys::{KeyHandle, KeyStore, Passphrase};
use pki::cms::SignerPlan;
use pki::signer::SignatureAlgorithm;
use policies::certificate::{Email, Pseudonym};
use policies::registrar::{Ending, Said, Standing, Statement, StatementId};
use runtime::clock::{Clock, FakeClock};
use runtime::exit::Problem;
use store::{Batch, Between};
use time::{Duration, OffsetDateTime};

const MAILBOX: &str = "1234567897@mail.example.cn";

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".into()).unwrap()
}

fn operator() -> Authorised<Operator> {
    Authorised::by_ownership(7)
}

fn administrator() -> Authorised<Administrator> {
    Authorised::by_ownership(7)
}

/// Somebody with a key and a certificate, who signs statements.
struct Signer {
    key: KeyHandle,
    certificate: Vec<u8>,
    serial: String,
}

impl Signer {
    fn sign(&self, statement: &str, at: OffsetDateTime) -> Sent {
        let digest: [u8; 32] = ring::digest::digest(&ring::digest::SHA256, statement.as_bytes()).as_ref().try_into().unwrap();
        let signature = SignerPlan::new(&self.certificate, &[]).unwrap().seal(digest, at, &self.key).unwrap();
        Sent { statement: statement.to_owned(), signature }
    }
}

struct City {
    opened: Opened,
    clock: Arc<FakeClock>,
    keys: KeyStore,
    /// How many statements were made.
    count: std::sync::atomic::AtomicU8,
    place: tempfile::TempDir,
}

fn request(key: &rcgen::KeyPair) -> Vec<u8> {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.serialize_request(key).unwrap().der().to_vec()
}

fn new_request() -> Vec<u8> {
    request(&rcgen::KeyPair::generate().unwrap())
}

fn code<T>(result: Result<T, CitizenError>) -> String {
    result.map(|_| "done".to_owned()).unwrap_or_else(|error| Problem::from(error).code)
}

impl City {
    fn found() -> Self {
        let place = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::new(OffsetDateTime::now_utc().replace_nanosecond(0).unwrap()));
        let opened = init(&place.path().join("ca"), "http://127.0.0.1:8440", "127.0.0.1:8440".parse().unwrap(), &passphrase(), &passphrase(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let keys = KeyStore::create(&place.path().join("others"), &passphrase()).unwrap();
        Self { opened, clock, keys, count: Default::default(), place }
    }

    fn authority(&self) -> &Authority {
        &self.opened.authority
    }

    fn signer(&self, name: &str, profile: &str, applicant: Words) -> Signer {
        let key = self.keys.generate(name, SignatureAlgorithm::EcdsaP256Sha256).unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        let request = parameters.serialize_request(&key).unwrap().der().to_vec();
        let issued = issue(self.authority(), operator(), Order { profile: profile.into(), request, applicant, issuer: None }).unwrap();
        Signer { key, certificate: issued.what().record.der.clone(), serial: serial_text(&issued.what().serial) }
    }

    fn gateway(&self, name: &str) -> Signer {
        self.signer(name, "registrar", Words { dns: vec![format!("{name}.example.cn")], ..Words::default() })
    }

    fn registrar(&self, name: &str) -> Signer {
        let signer = self.gateway(name);
        registrar::set(self.authority(), &administrator(), &SetRegistrar { serial: signer.serial.clone(), domain: "mail.example.cn".into() }).unwrap();
        signer
    }

    /// About an open mailbox, now, for this request; each of another number.
    fn statement(&self, request: &[u8]) -> Statement {
        let request_sha256 = ring::digest::digest(&ring::digest::SHA256, request).as_ref().try_into().unwrap();
        let number = self.count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Statement {
            id: StatementId::new([number; 16]),
            mailbox: Email::parse(MAILBOX).unwrap(),
            standing: Standing::Open,
            at: self.clock.now(),
            said: Said::Certify { pseudonym: Pseudonym::of([7; 10]), request_sha256 },
        }
    }

    fn sent(&self, by: &Signer, statement: &Statement) -> Sent {
        by.sign(&statement.text().unwrap(), self.clock.now())
    }

    fn certify(&self, by: &Signer, request: &[u8]) -> Result<Certified, CitizenError> {
        certify(self.authority(), &self.sent(by, &self.statement(request)), request)
    }

    fn withdraw(&self, by: &Signer, reason: Ending) -> Result<Vec<String>, CitizenError> {
        let statement = Statement { said: Said::Withdraw { reason }, standing: Standing::Closed, ..self.statement(b"") };
        withdraw(self.authority(), &self.sent(by, &statement)).map(|done| done.serials)
    }

    fn status(&self, serial: &[u8]) -> Status {
        ca::register::get(&*self.authority().store, serial).unwrap().status
    }

    fn logged(&self, kind: u8) -> usize {
        self.authority().store.read_stream(log::STREAM, 0, 10_000).unwrap().iter().filter(|leaf| leaf[1] == kind).count()
    }

    fn changes(&self) -> u64 {
        self.authority().store.stream_length(log::STREAM).unwrap()
    }
}

#[test]
fn a_citizen_is_certified_once_on_one_statement_and_one_at_a_time() {
    let city = City::found();
    let gateway = city.registrar("mx");
    let wanted = new_request();
    let sent = city.sent(&gateway, &city.statement(&wanted));
    let first = certify(city.authority(), &sent, &wanted).unwrap();
    assert!(!first.again && first.record.profile == "citizen" && first.record.issuer == "citizen-ca" && first.record.name == MAILBOX && first.record.code.is_none());
    let subject = x509_parser::parse_x509_certificate(&first.record.der).unwrap().1.subject().to_string();
    assert_eq!(subject, format!("C=CN, OID(2.5.4.65)={}, CN={MAILBOX}", Pseudonym::of([7; 10])));
    // The gateway did not hear: the same statement has the same answer, also when it is old.
    city.clock.advance(Duration::days(3));
    let again = certify(city.authority(), &sent, &wanted).unwrap();
    assert!(again.again && again.serial == first.serial);
    // Another one for the same mailbox is refused, by whatever key.
    assert_eq!(code(city.certify(&gateway, &new_request())), "mailbox-has-certificate");
    // The statement is kept with its signature; the log has its digest beside the intent, and neither mailbox nor pseudonym.
    let kept: StatementRecord = ca::record::decode(&city.authority().store.get(&StatementRecord::key(&[0; 16])).unwrap().unwrap()).unwrap();
    assert_eq!((kept.statement.as_str(), &kept.signature, &kept.certificates), (sent.statement.as_str(), &sent.signature, &vec![serial_text(&first.serial)]));
    assert_eq!((city.logged(90), city.logged(92)), (1, 1));
    let log = city.authority().store.read_stream(log::STREAM, 0, 10_000).unwrap();
    assert!(log.iter().all(|leaf| { let text = String::from_utf8_lossy(leaf); !text.contains("1234567897") && !text.contains("P-") }));
    // Its end, and nothing follows from the old statement any more.
    assert_eq!(city.withdraw(&gateway, Ending::Superseded).unwrap(), [serial_text(&first.serial)]);
    assert!(matches!(city.status(&first.serial), Status::Revoked(revocation) if revocation.reason == Reason::Superseded));
    assert_eq!(code(certify(city.authority(), &sent, &wanted)), "certificate-over");
    let second = city.certify(&gateway, &new_request()).unwrap();
    assert!(second.serial != first.serial && city.logged(93) == 1);
    // A mailbox without certificates is withdrawn all the same, once for each statement.
    let end = Statement { said: Said::Withdraw { reason: Ending::CessationOfOperation }, ..city.statement(b"") };
    let end = city.sent(&gateway, &end);
    for _ in 0..2 {
        assert_eq!(withdraw(city.authority(), &end).unwrap().serials, [serial_text(&second.serial)]);
    }
    let third = city.certify(&gateway, &new_request()).unwrap();
    assert_eq!(withdraw(city.authority(), &end).unwrap().serials, [serial_text(&second.serial)]);
    assert_eq!(city.status(&third.serial), Status::Good, "a statement said again ends nothing new");
}

#[test]
fn strangers_and_changed_words_get_nothing() {
    let city = City::found();
    let (gateway, authority) = (city.registrar("mx"), city.authority());
    let wanted = new_request();
    let bureau = Words { name: Some("广州天河测试有限公司".into()), code: Some("91440101MAT000018G".into()), ..Words::default() };
    let (bureau, ungranted) = (city.signer("bureau", "bureau-client", bureau), city.gateway("other"));
    let [withdrawn, revoked, suspended] = ["withdrawn", "revoked", "suspended"].map(|name| city.registrar(name));
    registrar::withdraw(authority, &administrator(), &withdrawn.serial).unwrap();
    revoke(authority, &operator(), &Revoke { serial: revoked.serial.clone(), reason: Reason::Superseded, at: None, invalid_since: None }).unwrap();
    suspend(authority, &operator(), &suspended.serial).unwrap();
    // Another city's gateway, whose certificate is as good there as ours is here.
    let elsewhere = City::found();
    let foreign = elsewhere.registrar("mx");
    // The key of a stranger beside the certificate of our registrar.
    let forged = Signer { key: city.keys.generate("forged", SignatureAlgorithm::EcdsaP256Sha256).unwrap(), certificate: gateway.certificate.clone(), serial: String::new() };
    let before = city.changes();
    for signer in [&bureau, &ungranted, &withdrawn, &revoked, &suspended, &foreign] {
        assert_eq!(code(city.certify(signer, &wanted)), "not-a-registrar");
        assert_eq!(code(city.withdraw(signer, Ending::Superseded)), "not-a-registrar");
    }
    let digest: [u8; 32] = [1; 32];
    assert!(SignerPlan::new(&forged.certificate, &[]).unwrap().seal(digest, city.clock.now(), &forged.key).is_err());
    let good = city.statement(&wanted);
    let told = |statement: Statement| code(certify(authority, &city.sent(&gateway, &statement), &wanted));
    assert_eq!(told(Statement { mailbox: Email::parse("1234567897@other.example.cn").unwrap(), ..good.clone() }), "other-domain");
    assert_eq!(told(Statement { mailbox: Email::parse("1234567897@x.mail.example.cn").unwrap(), ..good.clone() }), "other-domain");
    assert_eq!(told(Statement { standing: Standing::Closed, ..good.clone() }), "mailbox-not-open");
    assert_eq!(told(Statement { at: good.at - Duration::seconds(601), ..good.clone() }), "statement-time");
    assert_eq!(told(Statement { at: good.at + Duration::seconds(601), ..good.clone() }), "statement-time");
    assert_eq!(told(Statement { said: Said::Withdraw { reason: Ending::Superseded }, ..good.clone() }), "other-act");
    assert_eq!(code(certify(authority, &city.sent(&gateway, &good), &new_request())), "other-request");
    // Words changed after they were signed, and a signature over other words.
    let sent = city.sent(&gateway, &good);
    let changed = sent.statement.replace("1234567897@", "1234567889@");
    assert_eq!(code(certify(authority, &Sent { statement: changed, signature: sent.signature.clone() }, &wanted)), "signature");
    assert_eq!(code(certify(authority, &Sent { statement: format!("{} ", sent.statement), signature: sent.signature.clone() }, &wanted)), "statement");
    assert_eq!(code(certify(authority, &Sent { statement: sent.statement.clone(), signature: vec![0x30; 20_000] }, &wanted)), "signature");
    for at in (0..sent.signature.len()).step_by(7) {
        let mut signature = sent.signature.clone();
        signature[at] ^= 1;
        let refused = code(certify(authority, &Sent { statement: sent.statement.clone(), signature }, &wanted));
        assert!(["signature", "not-a-registrar"].contains(&refused.as_str()), "{at}: {refused}");
    }
    // Requests that no holder would be certified on.
    let big = Statement { said: Said::Certify { pseudonym: Pseudonym::of([7; 10]), request_sha256: [0; 32] }, ..city.statement(b"") };
    assert_eq!(code(certify(authority, &city.sent(&gateway, &big), b"no request")), "request");
    let of_rsa = std::process::Command::new("openssl").args(["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/C=CN", "-keyout", "/dev/null", "-outform", "DER"]).output().unwrap().stdout;
    assert_eq!(code(city.certify(&gateway, &of_rsa)), "key-not-allowed");
    let named = rcgen::KeyPair::generate().unwrap();
    let named = rcgen::CertificateParams::new(Vec::new()).unwrap().serialize_request(&named).unwrap().der().to_vec();
    assert_eq!(code(city.certify(&gateway, &named)), "foreign-name");
    assert_eq!(city.changes(), before, "nobody who was refused changed anything");
    // The true one still counts, and its number is used up by it.
    assert_eq!(code(certify(authority, &sent, &wanted)), "done");
    assert_eq!(told(Statement { standing: Standing::Closed, ..good }), "statement-used");
    // A key that is one citizen's is no other's.
    let other = Statement { mailbox: Email::parse("1234567889@mail.example.cn").unwrap(), said: Said::Certify { pseudonym: Pseudonym::of([8; 10]), request_sha256: ring::digest::digest(&ring::digest::SHA256, &wanted).as_ref().try_into().unwrap() }, ..city.statement(b"") };
    assert_eq!(told(other), "key-of-another");
}

#[test]
fn only_an_administrator_makes_a_registrar_and_only_of_a_registrars_certificate() {
    let city = City::found();
    let authority = city.authority();
    let set = |serial: &str, domain: &str| registrar::set(authority, &administrator(), &SetRegistrar { serial: serial.into(), domain: domain.into() });
    let gateway = city.gateway("mx");
    let server = city.signer("server", "tls-server", Words { dns: vec!["mx.example.cn".into()], ..Words::default() });
    assert!(matches!(set(&server.serial, "mail.example.cn"), Err(OfficerError::NoRegistrarsCertificate { .. })));
    assert!(matches!(set(&gateway.serial, "mail_example"), Err(OfficerError::Issue(IssueError::Word { .. }))));
    assert!(matches!(registrar::withdraw(authority, &administrator(), &gateway.serial), Err(OfficerError::NoRegistrar { .. })));
    assert_eq!(set(&gateway.serial, "Mail.Example.CN").unwrap().domain.as_deref(), Some("mail.example.cn"));
    set(&gateway.serial, "mail.example.cn").unwrap();
    assert_eq!(city.logged(90), 1, "said again, nothing changes");
    assert_eq!(registrar::list(authority).unwrap().len(), 1);
    registrar::withdraw(authority, &administrator(), &gateway.serial).unwrap();
    assert!(registrar::list(authority).unwrap()[0].domain.is_none() && city.logged(91) == 1);
    revoke(authority, &operator(), &Revoke { serial: gateway.serial.clone(), reason: Reason::Superseded, at: None, invalid_since: None }).unwrap();
    assert!(matches!(set(&gateway.serial, "mail.example.cn"), Err(OfficerError::Revoked { .. })));
}

#[test]
fn a_holder_renews_by_key_the_counter_does_not_and_a_closed_mailbox_ends_both() {
    let city = City::found();
    let gateway = city.registrar("mx");
    let key = city.keys.generate("holder", SignatureAlgorithm::EcdsaP256Sha256).unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let first = city.certify(&gateway, parameters.serialize_request(&key).unwrap().der()).unwrap();
    let serial = serial_text(&first.serial);
    // An operator knows no citizens: neither words for one nor another's place.
    let order = |applicant: Words| issue(city.authority(), operator(), Order { profile: "citizen".into(), request: new_request(), applicant, issuer: None });
    assert!(matches!(order(Words { mailbox: Some(MAILBOX.into()), ..Words::default() }), Err(IssueError::NoApplicant)));
    assert!(serde_json::from_value::<Words>(serde_json::json!({ "pseudonym": "P-00000000-00000000", "mailbox": MAILBOX })).is_err());
    let replaced = replace(city.authority(), &operator(), &Replace { serial: serial.clone(), request: new_request(), compromised: false, overlap_days: None });
    assert!(matches!(replaced, Err(SuccessionError::AtTheGateway { .. })));
    city.clock.advance(Duration::days(700));
    let wanted = new_request();
    let signed = openssl_signed(&city, &wanted, &key, &first.record.der);
    // While the new one is being signed the mailbox does not end without it: the statement waits.
    let next = city.registrar("mx-2");
    let end = Statement { said: Said::Withdraw { reason: Ending::CessationOfOperation }, ..city.statement(b"") };
    let end = city.sent(&next, &end);
    let other = city.authority().over(Arc::clone(&city.authority().store));
    let told = Arc::new(std::sync::Mutex::new(String::new()));
    let heard = Arc::clone(&told);
    let store = Between::before_commit(Arc::clone(&city.authority().store), 1, move || *heard.lock().unwrap() = code(withdraw(&other, &end)));
    let renewed = renew_by_possession(&city.authority().over(Arc::new(store)), &signed).unwrap();
    assert_eq!((told.lock().unwrap().as_str(), city.status(&first.serial)), ("being-issued", Status::Good));
    assert_eq!((renewed.record.name.as_str(), renewed.record.profile.as_str(), city.status(&first.serial)), (MAILBOX, "citizen", Status::Good));
    let pseudonym = |der: &[u8]| x509_parser::parse_x509_certificate(der).unwrap().1.subject().to_string();
    assert_eq!(pseudonym(&renewed.record.der), pseudonym(&first.record.der));
    // Three more days, and the registrar's own certificate is over: another one speaks for the same domain.
    assert_eq!(code(city.withdraw(&gateway, Ending::CessationOfOperation)), "not-a-registrar");
    let mut ended = city.withdraw(&next, Ending::CessationOfOperation).unwrap();
    ended.sort();
    let mut both = vec![serial, serial_text(&renewed.serial)];
    both.sort();
    assert_eq!(ended, both);
    assert!(matches!(city.status(&renewed.serial), Status::Revoked(revocation) if revocation.reason == Reason::CessationOfOperation));
}

/// A request signed with the key of a certificate, its content inside.
fn openssl_signed(city: &City, request: &[u8], key: &KeyHandle, certificate: &[u8]) -> Vec<u8> {
    // The CMS of `openssl cms -sign -nodetach` by a key in our store: detached, then put inside by hand.
    let digest: [u8; 32] = ring::digest::digest(&ring::digest::SHA256, request).as_ref().try_into().unwrap();
    let detached = SignerPlan::new(certificate, &[]).unwrap().seal(digest, city.clock.now(), key).unwrap();
    let data = pki::asn1::seq(&[&pki::asn1::oid(&"1.2.840.113549.1.7.1".parse().unwrap())]);
    let inside = pki::asn1::seq(&[&pki::asn1::oid(&"1.2.840.113549.1.7.1".parse().unwrap()), &pki::asn1::tlv(0xa0, &pki::asn1::tlv(4, request))]);
    let mut outer = pki::asn1::Reader::new(pki::asn1::Reader::only(&detached, 0x30).unwrap());
    let kind = outer.whole(6).unwrap().to_vec();
    let signed = pki::asn1::Reader::only(outer.take(0xa0).unwrap(), 0x30).unwrap().to_vec();
    let at = signed.windows(data.len()).position(|window| window == data).unwrap();
    let whole = [&signed[..at], &inside, &signed[at + data.len()..]].concat();
    pki::asn1::seq(&[&kind, &pki::asn1::tlv(0xa0, &pki::asn1::tlv(0x30, &whole))])
}

#[test]
fn after_an_incident_the_same_key_is_certified_anew_with_what_it_had() {
    let city = City::found();
    let first = city.certify(&city.registrar("mx"), &new_request()).unwrap();
    city.clock.advance(Duration::days(3));
    let chosen = Chosen::Serials(vec![serial_text(&first.serial)]);
    let order = BulkOrder { incident: "INC-1".into(), act: BulkAct::Reissue, reason: None, chosen, execute: true, confirm: None };
    let Ordered::Incident(mut incident) = bulk::order(city.authority(), &administrator(), &order).unwrap() else { panic!("nothing was done") };
    while incident.stage == Stage::Running {
        incident = bulk::step(city.authority(), &administrator(), "INC-1", BulkAct::Reissue).unwrap();
    }
    let Some(Came::Reissued { new }) = bulk::items(city.authority(), "INC-1", BulkAct::Reissue, 0).unwrap()[0].came.clone() else { panic!("{incident:?}") };
    let record = ca::register::get(&*city.authority().store, &ca::register::serial(&new).unwrap()).unwrap();
    let subject = |der: &[u8]| x509_parser::parse_x509_certificate(der).unwrap().1.subject().to_string();
    assert_eq!((record.key_digest, subject(&record.der)), (first.record.key_digest, subject(&first.record.der)));
}

#[test]
fn a_citizen_is_told_in_the_mailbox_before_the_certificate_ends() {
    let city = City::found();
    let certified = city.certify(&city.registrar("mx"), &new_request()).unwrap();
    let letters = || {
        while ca::flow::notice::due(city.authority()).unwrap().looked_at > 0 {}
        ca::flow::outbox::collect(city.authority(), &Authorised::by_outbox(8)).unwrap().letters
    };
    let ours = |letters: Vec<ca::letter::Letter>| letters.into_iter().filter(|letter| letter.id.starts_with(&serial_text(&certified.serial))).collect::<Vec<_>>();
    assert!(ours(letters()).is_empty());
    city.clock.set(OffsetDateTime::from_unix_timestamp(certified.record.not_after).unwrap() - Duration::days(30));
    let told = ours(letters());
    assert!(!told.is_empty() && told.iter().all(|letter| letter.to == ca::record::Recipient::Mailbox(MAILBOX.into()) && letter.subject.contains("个人邮件证书")), "{told:?}");
    assert!(told[0].text.contains("/renew") && !told[0].subject.contains("P-"));
}

#[test]
fn two_at_once_get_one_certificate_and_a_registrar_revoked_meanwhile_gets_none() {
    let city = City::found();
    let gateway = city.registrar("mx");
    let (ours, theirs) = (new_request(), new_request());
    let their_statement = city.sent(&gateway, &city.statement(&theirs));
    let our_statement = city.sent(&gateway, &city.statement(&ours));
    // Another statement about the mailbox is acted on right before our intent.
    let other = city.authority().over(Arc::clone(&city.authority().store));
    let request = theirs.clone();
    let store = Between::before_commit(Arc::clone(&city.authority().store), 0, move || drop(certify(&other, &their_statement, &request).unwrap()));
    let outrun = city.authority().over(Arc::new(store));
    assert_eq!(code(certify(&outrun, &our_statement, &ours)), "mailbox-has-certificate");
    assert_eq!(city.logged(92), 1);
    // What is being signed is not ended unseen: the statement waits.
    let their_serial = ca::register::list(&*city.authority().store, &ca::register::Query { profile: Some("citizen".into()), ..Default::default() }, 0).unwrap()[0].0.clone();
    city.withdraw(&gateway, Ending::Superseded).unwrap();
    assert!(matches!(city.status(&their_serial), Status::Revoked(_)));
    let end = Statement { said: Said::Withdraw { reason: Ending::CessationOfOperation }, ..city.statement(b"") };
    let end = city.sent(&gateway, &end);
    let other = city.authority().over(Arc::clone(&city.authority().store));
    let told = Arc::new(std::sync::Mutex::new(String::new()));
    let heard = Arc::clone(&told);
    // The intent is the first commit, the record the second.
    let store = Between::before_commit(Arc::clone(&city.authority().store), 1, move || *heard.lock().unwrap() = code(withdraw(&other, &end)));
    let slow = city.authority().over(Arc::new(store));
    assert_eq!(code(certify(&slow, &our_statement, &ours)), "done");
    assert_eq!(*told.lock().unwrap(), "being-issued");
    city.withdraw(&gateway, Ending::Superseded).unwrap();
    // The registrar is revoked between the look at it and the intent.
    let wanted = new_request();
    let sent = city.sent(&gateway, &city.statement(&wanted));
    let other = city.authority().over(Arc::clone(&city.authority().store));
    let serial = gateway.serial.clone();
    let store = Between::before_commit(Arc::clone(&city.authority().store), 0, move || {
        revoke(&other, &operator(), &Revoke { serial, reason: Reason::KeyCompromise, at: None, invalid_since: None }).unwrap();
    });
    let issued = city.logged(4);
    let late = city.authority().over(Arc::new(store));
    assert_eq!(code(certify(&late, &sent, &wanted)), "not-a-registrar");
    assert_eq!(city.logged(4), issued);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A directory as an earlier version left it, whose authority gets the fourth issuer by a ceremony.
#[test]
fn an_older_directory_goes_on_and_gets_the_authority_for_citizens_by_a_ceremony() {
    let city = City::found();
    let City { opened, clock, place, .. } = city;
    let home = place.path().join("ca");
    // What an earlier version knew nothing of goes away.
    opened.authority.store.commit(Batch::new().delete(IssuerRecord::key("citizen-ca"))).unwrap();
    drop(opened);
    for file in ["keys/citizen-ca.key", "keys/citizen-ca-ocsp.key", "citizen-ca.pem", "policies/authority/citizens.toml", "policies/certificates/citizen.toml", "policies/certificates/registrar.toml"] {
        std::fs::remove_file(home.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    let signers = home.join("policies/certificates/ocsp.toml");
    let shipped = std::fs::read_to_string(&signers).unwrap();
    std::fs::write(&signers, shipped.replace(", \"citizen-ca\"", "")).unwrap();
    let again = || open(&home, None, &passphrase(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let opened = again();
    assert_eq!(opened.authority.dormant(), ["the profile citizen waits for its authority"]);
    assert!(home.join("policies/certificates/citizen.toml").exists());
    assert!(matches!(take_over::request(&opened.authority, &administrator(), "citizen-ca"), Err(take_over::TakeOverError::NoSigner { .. })));
    assert!(matches!(take_over::request(&opened.authority, &administrator(), "nobody-ca"), Err(take_over::TakeOverError::Unknown { .. })));
    drop(opened);
    std::fs::write(&signers, &shipped).unwrap();
    let opened = again();
    let requested = take_over::request(&opened.authority, &administrator(), "citizen-ca").unwrap();
    assert_eq!((requested.id.as_str(), requested.first), ("citizen-ca", true));
    // The ceremony, where the root's key is.
    std::fs::write(place.path().join("next.csr"), &requested.request).unwrap();
    let sha256 = |bytes: &[u8]| hex(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    let of = |name: &str| sha256(&std::fs::read(place.path().join(name)).unwrap());
    let policies = ca::init::read_policies(&home.join("policies")).unwrap().digest;
    let written = |at: OffsetDateTime| at.format(&time::format_description::well_known::Rfc3339).unwrap();
    let text = format!(
        "kind = \"issuing\"\nroot = {{ file = \"ca/root.pem\", sha256 = \"{}\" }}\nroot_key_id = \"{}\"\nrequest = {{ file = \"next.csr\", sha256 = \"{}\" }}\nname = \"{}\"\n\
         not_before = \"{}\"\nnot_after = \"{}\"\npath_length = 0\nbase_url = \"{}\"\npolicies = \"ca/policies\"\npolicies_sha256 = \"{policies}\"\npresent = [\"a\", \"b\"]\n",
        of("ca/root.pem"), hex(&opened.authority.issuers[ROOT].key_id), of("next.csr"), requested.present_name,
        written(clock.now()), written(clock.now() + Duration::days(3_000)), opened.authority.settings.base_url
    );
    std::fs::write(place.path().join("ceremony.toml"), &text).unwrap();
    ca::ceremony::run(&place.path().join("ceremony.toml"), &sha256(text.as_bytes()), &home.join("root-keys"), &passphrase(), &place.path().join("out"), false, &*clock).unwrap();
    let der = pem::parse(std::fs::read(place.path().join("out/certificate.pem")).unwrap()).unwrap().into_contents();
    take_over::install(&opened.authority, &administrator(), &der).unwrap();
    assert!(opened.authority.dormant().is_empty() && opened.authority.unmatched().is_empty());
    let keys = KeyStore::open(&place.path().join("others"), &passphrase()).unwrap();
    let city = City { opened, clock, keys, count: Default::default(), place };
    let certified = city.certify(&city.registrar("mx"), &new_request()).unwrap();
    assert_eq!((certified.record.issuer.as_str(), serial_of(&certified.record.der)), ("citizen-ca", Some(certified.serial.clone())));
    // It is there after a restart too, and its next generation is the second.
    let City { opened, place, clock, .. } = city;
    drop(opened);
    let opened = open(&place.path().join("ca"), None, &passphrase(), clock).unwrap();
    assert!(opened.authority.dormant().is_empty());
    assert_eq!(take_over::request(&opened.authority, &administrator(), "citizen-ca").unwrap().id, "citizen-ca-2");
}
