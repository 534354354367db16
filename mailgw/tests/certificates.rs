//! Citizens' certificates from the gateway's side: one for what was asked whatever fails, none that is not the owner's, and an end
//! that the authority hears of whenever it can be reached.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keys::{KeyHandle, KeyStore, Passphrase};
use mailgw::bureau::trust::Anchors;
use mailgw::directory::{Applicant, NewPassword, Words, today};
use mailgw::flow::certificate::{Told, certify, show, take, tell_all, withdraw};
use mailgw::gateway::Gateway;
use mailgw::policy;
use mailgw::record::event::{Event, STREAM};
use mailgw::record::owner_notice::{Act, OwnerNotice};
use mailgw::record::settings::Settings;
use mailgw::registrar::authority::Authority;
use mailgw::registrar::{self, Signed};
use pki::certificate::{self, AlternativeName, BasicConstraints, CertificatePlan, Extensions};
use pki::name::{COMMON_NAME, COUNTRY, PSEUDONYM, Subject};
use pki::request::Request;
use pki::signer::{SignatureAlgorithm, Signer};
use policies::mailbox::MailboxNumber;
use policies::registrar::{Ending, Said, Standing, Statement};
use runtime::clock::{Clock, FakeClock};
use runtime::exit::{Exit, Problem};
use store::{Between, Fault, Faulty, Memory, Store};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-11-29 01:00 UTC);
const DOMAIN: &str = "mail.gz.example";
const ARC: &str = "1.3.6.1.4.1.32473";
const URL: &str = "http://127.0.0.1:1";

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn plan(subject: Subject, spki: &[u8], usage: &str, policy: &str, names: Vec<AlternativeName>) -> CertificatePlan {
    let oid = |text: &str| const_oid::ObjectIdentifier::new(text).unwrap();
    let extensions = Extensions { key_usage: vec![0], extended_key_usage: vec![oid(usage)], policies: vec![oid(&format!("{ARC}.{policy}"))], alternative_names: names, ..Extensions::default() };
    CertificatePlan { serial: [0x41; 16], issuer: Vec::new(), subject, not_before: NOW - Duration::days(1), not_after: NOW + Duration::days(700), spki: spki.to_vec(), extensions }
}

fn named(name: &str) -> Subject {
    Subject::new().with(COUNTRY, "CN").unwrap().with(COMMON_NAME, name).unwrap()
}

/// How the authority behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mood {
    Well,
    /// It hears nothing.
    Away,
    /// It does what it is asked, and its answer is lost.
    Mute,
    /// It answers with another key, another address, another root.
    OtherKey,
    OtherAddress,
    OtherRoot,
    Refuses,
}

/// An authority that keeps to the rules, in memory.
struct Fake {
    key: KeyHandle,
    other: KeyHandle,
    root: Vec<u8>,
    registrar: Mutex<Vec<u8>>,
    clock: Arc<FakeClock>,
    mood: Mutex<Mood>,
    /// By statement: the certificate, and its mailbox.
    issued: Mutex<BTreeMap<String, (String, String)>>,
    live: Mutex<BTreeMap<String, u32>>,
    withdrawn: Mutex<Vec<(String, Standing, Ending)>>,
}

impl Fake {
    fn sign(&self, by: &KeyHandle, mut plan: CertificatePlan) -> Vec<u8> {
        plan.issuer = named("root").to_der();
        plan.extensions.authority_key_id = Some(certificate::key_id(by.public_key_info()).unwrap());
        let tbs = certificate::tbs_der(&plan, by.algorithm()).unwrap();
        certificate::assemble(&tbs, by.algorithm(), &by.sign(&tbs).unwrap())
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// The statement, if it is the gateway's and of now.
    fn hear(&self, signed: &Signed) -> Result<(Mood, Statement), Problem> {
        let mood = *self.mood.lock().unwrap();
        let away = || Problem::new(Exit::Unavailable, "unreachable", "nobody answers", "try again");
        if mood == Mood::Away {
            return Err(away());
        }
        let verified = pki::cms::verify(&STANDARD.decode(&signed.signature).unwrap(), signed.statement.as_bytes(), &[]).unwrap();
        assert_eq!(verified.signer_certificate(), *self.registrar.lock().unwrap());
        Ok((mood, Statement::parse(&signed.statement).unwrap()))
    }

    fn fresh(&self, statement: &Statement) -> Result<(), Problem> {
        let apart = (self.clock.now() - statement.at).whole_seconds().abs();
        if apart > 600 { Err(Problem::new(Exit::Refused, "statement-time", "it is old", "sign a new one")) } else { Ok(()) }
    }

    fn count(&self) -> usize {
        self.issued.lock().unwrap().len()
    }

    fn lives(&self, address: &str) -> u32 {
        self.live.lock().unwrap().get(address).copied().unwrap_or(0)
    }
}

impl Authority for Fake {
    fn certify(&self, url: &str, signed: &Signed, request: &str) -> Result<String, Problem> {
        assert_eq!(url, URL);
        let (mood, statement) = self.hear(signed)?;
        let Said::Certify { pseudonym, request_sha256 } = &statement.said else { panic!("{statement:?}") };
        let request = Request::parse(request.as_bytes()).unwrap();
        assert_eq!(ring::digest::digest(&ring::digest::SHA256, request.der()).as_ref(), request_sha256);
        assert_eq!(statement.standing, Standing::Open);
        if mood == Mood::Refuses {
            return Err(Problem::new(Exit::Refused, "blocked-key", "the key is blocked", "make another"));
        }
        let address = statement.mailbox.to_string();
        let mut issued = self.issued.lock().unwrap();
        if !issued.contains_key(&signed.statement) {
            self.fresh(&statement)?;
            if self.lives(&address) > 0 {
                return Err(Problem::new(Exit::Conflict, "mailbox-has-certificate", "it has one", "withdraw it"));
            }
            let subject = Subject::new().with(COUNTRY, "CN").unwrap().with(PSEUDONYM, pseudonym.as_str()).unwrap().with(COMMON_NAME, &address).unwrap();
            let spki = if mood == Mood::OtherKey { self.other.public_key_info() } else { &request.spki };
            let name = if mood == Mood::OtherAddress { format!("1234567897@{DOMAIN}") } else { address.clone() };
            let by = if mood == Mood::OtherRoot { &self.other } else { &self.key };
            let der = self.sign(by, plan(subject, spki, "1.3.6.1.5.5.7.3.4", "2.2", vec![AlternativeName::Email(name)]));
            issued.insert(signed.statement.clone(), (pem("CERTIFICATE", &der), address.clone()));
            *self.live.lock().unwrap().entry(address).or_default() += 1;
        }
        if mood == Mood::Mute {
            return Err(Problem::new(Exit::Unavailable, "unreachable", "no whole answer", "try again"));
        }
        Ok(issued.get(&signed.statement).unwrap().0.clone())
    }

    fn withdraw(&self, _: &str, signed: &Signed) -> Result<Vec<String>, Problem> {
        let (mood, statement) = self.hear(signed)?;
        self.fresh(&statement)?;
        let Said::Withdraw { reason } = statement.said else { panic!("{statement:?}") };
        let address = statement.mailbox.to_string();
        let ended = self.live.lock().unwrap().remove(&address).unwrap_or(0);
        self.withdrawn.lock().unwrap().push((address, statement.standing, reason));
        if mood == Mood::Mute {
            return Err(Problem::new(Exit::Unavailable, "unreachable", "no whole answer", "try again"));
        }
        Ok((0..ended).map(|number| format!("{number:032x}")).collect())
    }
}

struct City {
    place: tempfile::TempDir,
    store: Arc<dyn Store>,
    keys: Arc<KeyStore>,
    clock: Arc<FakeClock>,
    fake: Fake,
}

impl City {
    /// A gateway that is a registrar.
    fn found() -> Self {
        let place = tempfile::tempdir().unwrap();
        let [keys, theirs] = ["keys", "authority"].map(|name| KeyStore::create(&place.path().join(name), &Passphrase::new("correct horse battery".into()).unwrap()).unwrap());
        let [key, other] = ["root", "other"].map(|name| theirs.generate(name, SignatureAlgorithm::EcdsaP256Sha256).unwrap());
        let mut root = plan(named("root"), key.public_key_info(), "1.3.6.1.5.5.7.3.4", "1", Vec::new());
        root.extensions = Extensions { key_usage: vec![5, 6], basic_constraints: Some(BasicConstraints { ca: true, path_len: None }), ..Extensions::default() };
        let clock = Arc::new(FakeClock::new(NOW));
        let fake = Fake { root: certificate::self_signed(root, &key).unwrap(), key, other, registrar: Mutex::default(), clock: Arc::clone(&clock), mood: Mutex::new(Mood::Well), issued: Mutex::default(), live: Mutex::default(), withdrawn: Mutex::default() };
        for (below, shipped) in [("mailbox", &policies::mailbox::SHIPPED[..]), ("push", &policies::push::SHIPPED[..]), ("senders", &policies::sender::SHIPPED[..]), ("statements", &policies::statement::SHIPPED[..])] {
            std::fs::create_dir_all(place.path().join("policies").join(below)).unwrap();
            shipped.iter().for_each(|(file, text)| std::fs::write(place.path().join("policies").join(below).join(file), text).unwrap());
        }
        let city = Self { store: Arc::new(Memory::new()), keys: Arc::new(keys), clock, fake, place };
        let gateway = city.gateway();
        let request = registrar::request(&*gateway.store, &gateway.keys, "mx.mail.gz.example").unwrap();
        let spki = Request::parse(request.as_bytes()).unwrap().spki;
        let install = |pem: &str, url: &str| registrar::install(&*gateway.store, &gateway.keys, &gateway.anchors, pem.as_bytes(), url, NOW).map_err(|error| Problem::from(error).code);
        let certificate = |usage: &str, policy: &str, spki: &[u8]| city.fake.sign(&city.fake.key, plan(named("mx.mail.gz.example"), spki, usage, policy, Vec::new()));
        // Neither a certificate of another kind nor one of another key makes it one, nor one without an address to ask.
        let good = certificate("1.3.6.1.5.5.7.3.36", "6.5", &spki);
        for (der, url, code) in [
            (certificate("1.3.6.1.5.5.7.3.2", "6.5", &spki), URL, "certificate-not-trusted"),
            (certificate("1.3.6.1.5.5.7.3.36", "6.2", &spki), URL, "certificate-not-trusted"),
            (city.fake.sign(&city.fake.other, plan(named("mx"), &spki, "1.3.6.1.5.5.7.3.36", "6.5", Vec::new())), URL, "certificate-not-trusted"),
            (certificate("1.3.6.1.5.5.7.3.36", "6.5", city.fake.other.public_key_info()), URL, "certificate"),
            (good.clone(), "https://ca.example.cn", "address"),
        ] {
            assert_eq!(install(&pem("CERTIFICATE", &der), url), Err(code.to_owned()), "{url}");
        }
        assert_eq!(code(certify(&gateway, &city.fake, &city.citizen(0), &request)), "no-registrar");
        install(&pem("CERTIFICATE", &good), &format!("{URL}/")).unwrap();
        *city.fake.registrar.lock().unwrap() = good;
        city
    }

    fn over(&self, store: Arc<dyn Store>) -> Gateway {
        let settings = Settings { domain: DOMAIN.into(), host: "mx.mail.gz.example".into(), log_origin: "mx/mailgw".into(), log_key: "unused".into() };
        let anchors = Anchors::parse(pem("CERTIFICATE", &self.fake.root).as_bytes(), ARC).unwrap();
        let policies = policy::read(&self.place.path().join("policies")).unwrap();
        Gateway::open(store, settings, Arc::clone(&self.keys), anchors, policies, Arc::clone(&self.clock) as Arc<dyn Clock>).unwrap()
    }

    fn gateway(&self) -> Gateway {
        self.over(Arc::clone(&self.store))
    }

    fn open(&self, words: &Words) -> String {
        let gateway = self.gateway();
        let applicant = Applicant::parse(words, gateway.directory.policy(), today(NOW)).unwrap();
        gateway.directory.open(applicant, NewPassword::Generated, NOW).unwrap().account.mailbox()
    }

    /// The mailbox of one of several people.
    fn citizen(&self, number: usize) -> String {
        let (id_no, name) = [("440106189602290015", "陈秀英"), ("650102189001010018", "阿依古丽·买买提")][number];
        let words = Words { id_type: Some("01".into()), id_no: Some(id_no.into()), name: Some(name.into()), ..Words::default() };
        let gateway = self.gateway();
        match gateway.directory.open(Applicant::parse(&words, gateway.directory.policy(), today(NOW)).unwrap(), NewPassword::Generated, NOW) {
            Ok(opened) => opened.account.mailbox(),
            Err(mailgw::directory::DirectoryError::Exists { mailbox, .. }) => mailbox.to_string(),
            Err(error) => panic!("{error}"),
        }
    }

    /// What owners are to be told, and whose mailbox it is of.
    fn owed(&self) -> Vec<(String, Act)> {
        let (from, to) = OwnerNotice::range();
        self.store.scan(&from, &to, 100).unwrap().iter().map(|(_, owed)| OwnerNotice::decode(owed).unwrap()).map(|owed| (owed.mailbox, owed.act)).collect()
    }

    fn events(&self) -> Vec<Event> {
        self.store.read_stream(STREAM, 0, 10_000).unwrap().iter().map(|leaf| Event::from_leaf(leaf).unwrap().0).collect()
    }
}

fn new_request() -> String {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().pem().unwrap()
}

fn code<T>(result: Result<T, impl Into<Problem>>) -> String {
    result.map(|_| "done".to_owned()).unwrap_or_else(|error| error.into().code)
}

fn address(mailbox: &str) -> String {
    format!("{mailbox}@{DOMAIN}")
}

#[test]
fn a_certificate_is_kept_with_its_mailbox_and_found_by_pseudonym_here_alone() {
    let city = City::found();
    let (gateway, fake) = (city.gateway(), &city.fake);
    let [mine, other] = [0, 1].map(|number| city.citizen(number));
    assert_eq!(code(show(&gateway, &mine)), "no-certificate");
    let kept = certify(&gateway, fake, &mine, &new_request()).unwrap();
    let theirs = certify(&gateway, fake, &address(&other), &new_request()).unwrap();
    assert!(kept.address == address(&mine) && kept.pseudonym != theirs.pseudonym && !kept.pseudonym.contains(&mine));
    let shown = show(&gateway, &mine).unwrap();
    assert!(shown.chain == kept.chain && shown.pseudonym == kept.pseudonym);
    // The same mailbox has the same pseudonym at every start, and is found by it.
    let again = city.gateway();
    assert_eq!(again.directory.find(&kept.pseudonym).unwrap().unwrap().number, MailboxNumber::parse(&mine).unwrap());
    assert!(again.directory.find("P-00000000-00000000").unwrap().is_none());
    // Nothing at rest tells whose it is: neither address nor pseudonym stands in a record, the log has digests.
    let from = store::Key::new("", &[]);
    let to = store::Key::new("~", &[&[0xff; 16]]);
    let all = city.store.scan(&from, &to, 10_000).unwrap();
    let leaves = city.store.read_stream(STREAM, 0, 10_000).unwrap();
    for bytes in all.iter().flat_map(|(key, value)| [key.as_bytes().to_vec(), value.clone()]).chain(leaves) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(!text.contains(&kept.pseudonym) && !text.contains(&format!("@{DOMAIN}\"")), "{text}");
    }
    assert!(!all.is_empty());
    let events = city.events();
    let kinds = |wanted: fn(&Event) -> bool| events.iter().filter(|event| wanted(event)).count();
    assert_eq!((kinds(|event| matches!(event, Event::RegistrarInstalled(_))), kinds(|event| matches!(event, Event::CertificateAsked(_))), kinds(|event| matches!(event, Event::CertificateHeld(_)))), (1, 2, 2));
    // Both owners are told that one was asked for.
    assert_eq!(city.owed(), [(mine.clone(), Act::CertificateAsked), (other, Act::CertificateAsked)]);
    // Who gets none.
    let institution = city.open(&Words { code: Some("12440100MAT9901707".into()), name: Some("运营中心".into()), ..Words::default() });
    for (mailbox, request, expected) in [(institution.as_str(), new_request(), "institution"), ("1234567897", new_request(), "mailbox"), (&mine, "no request".into(), "request"), (&mine, "x".repeat(20_000), "request")] {
        let refused = code(certify(&gateway, fake, mailbox, &request));
        assert!(refused.contains(expected) || (expected == "mailbox" && refused == "not-found"), "{refused}");
    }
    assert_eq!(code(certify(&gateway, fake, &mine, &new_request())), "mailbox-has-certificate");
    assert!(show(&gateway, &mine).unwrap().chain == kept.chain, "what was refused takes nothing away");
}

#[test]
fn what_was_asked_has_one_certificate_whatever_fails() {
    for fault in [Fault::Lost, Fault::DoneReportedLost] {
        for commit in 0..2 {
            let city = City::found();
            let (mine, request) = (city.citizen(0), new_request());
            let faulty = city.over(Arc::new(Faulty::new(Arc::clone(&city.store)).at(commit, fault)));
            certify(&faulty, &city.fake, &mine, &request).map(|_| ()).unwrap_err();
            // As after a start: the same again, and once more.
            let gateway = city.gateway();
            let kept = [0, 1].map(|_| certify(&gateway, &city.fake, &mine, &request).unwrap());
            assert!(kept.iter().all(|kept| kept.chain == show(&gateway, &mine).unwrap().chain));
            assert_eq!((city.fake.count(), city.fake.lives(&address(&mine))), (1, 1), "{fault:?} {commit}");
        }
    }
    // The authority's answer is lost; it does not hear at all; and hears days later.
    for mood in [Mood::Mute, Mood::Away] {
        let city = City::found();
        let (gateway, mine, request) = (city.gateway(), city.citizen(0), new_request());
        city.fake.set(mood);
        assert_eq!(code(certify(&gateway, &city.fake, &mine, &request)), "unreachable");
        assert_eq!(code(certify(&gateway, &city.fake, &mine, &request)), "unreachable");
        city.clock.advance(Duration::days(3));
        city.fake.set(Mood::Well);
        certify(&gateway, &city.fake, &mine, &request).map(|_| ()).unwrap();
        assert_eq!((city.fake.count(), city.fake.lives(&address(&mine))), (1, 1), "{mood:?}");
    }
    // What was refused is not asked again: the next request is heard.
    let city = City::found();
    let (gateway, mine) = (city.gateway(), city.citizen(0));
    city.fake.set(Mood::Refuses);
    assert_eq!(code(certify(&gateway, &city.fake, &mine, &new_request())), "blocked-key");
    city.fake.set(Mood::Well);
    certify(&gateway, &city.fake, &mine, &new_request()).map(|_| ()).unwrap();
}

#[test]
fn an_answer_that_is_not_the_owners_is_not_kept() {
    for (mood, expected) in [(Mood::OtherKey, "other-certificate"), (Mood::OtherAddress, "other-certificate"), (Mood::OtherRoot, "certificate-not-trusted")] {
        let city = City::found();
        let (gateway, mine) = (city.gateway(), city.citizen(0));
        city.fake.set(mood);
        assert_eq!(code(certify(&gateway, &city.fake, &mine, &new_request())), expected);
        assert_eq!(code(show(&gateway, &mine)), "no-certificate");
    }
    // A renewed one that is brought is proved the same way.
    let city = City::found();
    let (gateway, mine) = (city.gateway(), city.citizen(0));
    let certificate = |by: &KeyHandle, usage: &str, policy: &str, mailbox: &str| {
        let names = vec![AlternativeName::Email(mailbox.to_owned())];
        pem("CERTIFICATE", &city.fake.sign(by, plan(named(mailbox), city.fake.other.public_key_info(), usage, policy, names)))
    };
    let (root, mail) = (&city.fake.key, "1.3.6.1.5.5.7.3.4");
    for (brought, expected) in [
        (certificate(&city.fake.other, mail, "2.2", &address(&mine)), "certificate-not-trusted"),
        (certificate(root, mail, "2.1", &address(&mine)), "certificate-not-trusted"),
        (certificate(root, "1.3.6.1.5.5.7.3.2", "2.2", &address(&mine)), "certificate-not-trusted"),
        (certificate(root, mail, "2.2", &address("1234567897")), "other-certificate"),
        ("nothing".into(), "certificate-file"),
    ] {
        assert_eq!(code(take(&gateway, &mine, &brought)), expected);
    }
    assert!(city.owed().iter().all(|(_, act)| *act == Act::CertificateAsked));
    take(&gateway, &mine, &certificate(root, mail, "2.2", &address(&mine))).map(|_| ()).unwrap();
    assert_eq!(city.owed().last(), Some(&(mine.clone(), Act::CertificateRenewed)));
    assert!(show(&gateway, &mine).is_ok());
}

#[test]
fn a_closed_mailbox_ends_its_certificate_whenever_the_authority_can_hear_it() {
    let city = City::found();
    let (gateway, mine) = (city.gateway(), city.citizen(0));
    let number = MailboxNumber::parse(&mine).unwrap();
    certify(&gateway, &city.fake, &mine, &new_request()).map(|_| ()).unwrap();
    // At the counter's word, while the authority is away: owed, and nothing is asked before it is told.
    city.fake.set(Mood::Away);
    assert_eq!(code(withdraw(&gateway, &city.fake, &mine, "affiliation-changed")), "reason");
    assert_eq!(code(withdraw(&gateway, &city.fake, &mine, "key-compromise")), "unreachable");
    assert_eq!(code(certify(&gateway, &city.fake, &mine, &new_request())), "unreachable");
    let (told, failed) = tell_all(&gateway, &city.fake);
    assert_eq!((told, failed.is_some()), (Told { told: 0, owed: 1 }, true));
    city.fake.set(Mood::Well);
    certify(&city.gateway(), &city.fake, &mine, &new_request()).map(|_| ()).unwrap();
    assert_eq!(city.fake.withdrawn.lock().unwrap().as_slice(), [(address(&mine), Standing::Open, Ending::KeyCompromise)]);
    assert_eq!(city.fake.lives(&address(&mine)), 1);
    // Closed, and told by the job; the answer is lost once, and said again it does no harm.
    gateway.directory.close(number, NOW).unwrap();
    assert_eq!(code(certify(&gateway, &city.fake, &mine, &new_request())), "mailbox-closed");
    city.fake.set(Mood::Mute);
    assert_eq!(tell_all(&gateway, &city.fake).0, Told { told: 0, owed: 1 });
    city.fake.set(Mood::Well);
    assert_eq!(tell_all(&city.gateway(), &city.fake).0, Told { told: 1, owed: 0 });
    assert_eq!(tell_all(&gateway, &city.fake).0, Told::default());
    assert_eq!(city.fake.withdrawn.lock().unwrap().last().unwrap(), &(address(&mine), Standing::Closed, Ending::CessationOfOperation));
    assert_eq!((city.fake.lives(&address(&mine)), code(show(&gateway, &mine))), (0, "no-certificate".into()));
    // One without a certificate owes nothing.
    let other = city.citizen(1);
    gateway.directory.close(MailboxNumber::parse(&other).unwrap(), NOW).unwrap();
    assert_eq!(tell_all(&gateway, &city.fake).0, Told::default());
}

#[test]
fn a_mailbox_closed_while_its_certificate_is_asked_for_ends_it() {
    let city = City::found();
    let mine = city.citizen(0);
    let number = MailboxNumber::parse(&mine).unwrap();
    let whole = city.gateway();
    // The statement is the first commit, the certificate the second.
    let store = Between::before_commit(Arc::clone(&city.store), 1, move || drop(whole.directory.close(number, NOW).unwrap()));
    let gateway = city.over(Arc::new(store));
    assert_eq!(code(certify(&gateway, &city.fake, &mine, &new_request())), "mailbox-closed");
    assert_eq!(city.fake.lives(&address(&mine)), 1, "it was issued");
    assert_eq!(tell_all(&city.gateway(), &city.fake).0, Told { told: 1, owed: 0 });
    assert_eq!((city.fake.lives(&address(&mine)), code(show(&gateway, &mine))), (0, "no-certificate".into()));
}

#[test]
fn a_certificate_that_comes_while_its_mailbox_is_being_closed_ends_too() {
    let city = Arc::new(City::found());
    let mine = city.citizen(0);
    let number = MailboxNumber::parse(&mine).unwrap();
    let (theirs, whole, asked) = (Arc::clone(&city), city.gateway(), mine.clone());
    // Closing has seen no certificate; before it commits, one is asked for and kept.
    let store = Between::before_commit(Arc::clone(&city.store), 0, move || certify(&whole, &theirs.fake, &asked, &new_request()).map(|_| ()).unwrap());
    city.over(Arc::new(store)).directory.close(number, NOW).unwrap();
    assert_eq!(city.fake.lives(&address(&mine)), 1, "it was issued");
    assert_eq!(tell_all(&city.gateway(), &city.fake).0, Told { told: 1, owed: 0 });
    assert_eq!((city.fake.lives(&address(&mine)), code(show(&city.gateway(), &mine))), (0, "no-certificate".into()));
}

#[test]
fn a_certificate_withdrawn_while_it_is_asked_for_is_not_kept() {
    let city = Arc::new(City::found());
    let mine = city.citizen(0);
    let (theirs, whole, asked) = (Arc::clone(&city), city.gateway(), mine.clone());
    // It was issued; before it is kept, the counter withdraws it.
    let store = Between::before_commit(Arc::clone(&city.store), 1, move || drop(withdraw(&whole, &theirs.fake, &asked, "key-compromise").unwrap()));
    assert_eq!(code(certify(&city.over(Arc::new(store)), &city.fake, &mine, &new_request())), "settled-meanwhile");
    assert_eq!((city.fake.lives(&address(&mine)), code(show(&city.gateway(), &mine))), (0, "no-certificate".into()));
}

#[test]
fn an_end_that_cannot_be_told_holds_up_no_other() {
    let city = City::found();
    let gateway = city.gateway();
    let people = [city.citizen(0), city.citizen(1)];
    for mine in &people {
        certify(&gateway, &city.fake, mine, &new_request()).map(|_| ()).unwrap();
        gateway.directory.close(MailboxNumber::parse(mine).unwrap(), NOW).unwrap();
    }
    // The record of the first in the job's order is damaged.
    let (from, to) = mailgw::record::certificate::Ending::range();
    let first = city.store.scan(&from, &to, 1).unwrap().remove(0);
    city.store.commit(store::Batch::new().put(first.0.clone(), vec![0])).unwrap();
    let (told, failed) = tell_all(&gateway, &city.fake);
    assert_eq!((told, failed.is_some()), (Told { told: 1, owed: 1 }, true));
    // Mended, it is told in its turn.
    city.store.commit(store::Batch::new().put(first.0, first.1)).unwrap();
    assert_eq!(tell_all(&gateway, &city.fake).0, Told { told: 1, owed: 0 });
    people.iter().for_each(|mine| assert_eq!(city.fake.lives(&address(mine)), 0));
}
