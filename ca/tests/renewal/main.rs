//! Renewing, replacing and correcting: signed by OpenSSL, through faults at every commit, races and hostile requests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod by_holder;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use ca::authority::Authority;
use ca::flow::hold::{FreezeOrder, freeze, suspend};
use ca::flow::issue::{Order, issue};
use ca::flow::plan::Words;
use ca::flow::renew::{Renew, renew, renew_by_possession};
use ca::flow::replace::{Correct, Replace, correct, replace};
use ca::flow::revoke::{Revoke, revoke};
use ca::flow::succeed::{SuccessionError, successors};
use ca::flow::{Authorised, Operator};
use ca::init::{Opened, init, open};
use ca::job::{Health, Jobs};
use ca::problem::IssueError;
use ca::record::{Act, CertificateRecord, Intent, Reason, Status, log, serial_text};
use ca::service::Service;
use keys::Passphrase;
use runtime::clock::{Clock, FakeClock};
use store::{Batch, Between, Fault, Faulty, Key, Store};
use time::{Duration, OffsetDateTime};

const NAME: &str = "广州天河测试有限公司";
const CODE: &str = "91440101MAT000018G";
const MAILBOX: &str = "1234567890@mail.example.cn";

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery".into()).unwrap()
}

fn founded(home: &Path) -> (Opened, Arc<FakeClock>) {
    let clock = Arc::new(FakeClock::new(OffsetDateTime::now_utc().replace_nanosecond(0).unwrap()));
    let listen = "127.0.0.1:8440".parse().unwrap();
    (init(home, "http://127.0.0.1:8440", listen, &passphrase(), &passphrase(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap(), clock)
}

fn reopened(home: &Path, clock: &Arc<FakeClock>) -> Opened {
    open(home, None, &passphrase(), Arc::clone(clock) as Arc<dyn Clock>).unwrap()
}

fn admin() -> Authorised<Operator> {
    Authorised::by_ownership(7)
}

fn request(key: &rcgen::KeyPair) -> Vec<u8> {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.serialize_request(key).unwrap().der().to_vec()
}

fn new_request() -> Vec<u8> {
    request(&rcgen::KeyPair::generate().unwrap())
}

/// A holder: a key and its certificate.
struct Holder {
    key: rcgen::KeyPair,
    serial: Vec<u8>,
    der: Vec<u8>,
}

fn holder_of(authority: &Authority, profile: &str, applicant: Words) -> Holder {
    let key = rcgen::KeyPair::generate().unwrap();
    let issued = issue(authority, admin(), Order { profile: profile.into(), request: request(&key), applicant, issuer: None }).unwrap();
    Holder { serial: issued.what().serial.clone(), der: issued.what().record.der.clone(), key }
}

fn organization(name: &str, code: &str) -> Words {
    Words { name: Some(name.into()), code: Some(code.into()), ..Words::default() }
}

fn holder(authority: &Authority) -> Holder {
    holder_of(authority, "enterprise-signing", Words { mailbox: Some(MAILBOX.into()), ..organization(NAME, CODE) })
}

impl Holder {
    /// `content`, signed by OpenSSL with this certificate, the content inside.
    fn signs(&self, content: &[u8]) -> Vec<u8> {
        signed(content, &[self], &[])
    }

    fn text(&self) -> String {
        serial_text(&self.serial)
    }
}

fn signed(content: &[u8], signers: &[&Holder], more: &[&str]) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let at = |name: String| place.path().join(name).to_string_lossy().into_owned();
    std::fs::write(at("content".into()), content).unwrap();
    let mut command = Command::new("openssl");
    command.args(["cms", "-sign", "-nodetach", "-binary", "-outform", "DER", "-in", &at("content".into())]).args(more);
    for (number, signer) in signers.iter().enumerate() {
        let (certificate, key) = (at(format!("{number}.pem")), at(format!("{number}.key")));
        std::fs::write(&certificate, pem::encode(&pem::Pem::new("CERTIFICATE", signer.der.clone()))).unwrap();
        std::fs::write(&key, signer.key.serialize_pem()).unwrap();
        command.args(["-signer", &certificate, "-inkey", &key]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn status(authority: &Authority, serial: &[u8]) -> Status {
    ca::register::get(&*authority.store, serial).unwrap().status
}

fn all(store: &dyn Store, table: &str) -> usize {
    let (from, to) = Key::range(table, &[]);
    store.scan(&from, &to, 10_000).unwrap().len()
}

fn logged(authority: &Authority, kind: u8) -> Vec<String> {
    let entries = authority.store.read_stream(log::STREAM, 0, 10_000).unwrap();
    entries.iter().filter(|entry| entry[1] == kind).map(|entry| String::from_utf8_lossy(&entry[10..]).into_owned()).collect()
}

/// The authority, seen through a store in which `other` happens before our first commit.
fn while_other(authority: &Authority, other: impl FnOnce(&Authority) + Send + 'static) -> Authority {
    while_other_at(authority, 0, other)
}

fn while_other_at(authority: &Authority, at: u64, other: impl FnOnce(&Authority) + Send + 'static) -> Authority {
    let theirs = authority.over(Arc::clone(&authority.store));
    authority.over(Arc::new(Between::before_commit(Arc::clone(&authority.store), at, move || other(&theirs))))
}

/// To a day on which what was issued now for two years may be renewed.
fn near_the_end(clock: &FakeClock) {
    clock.advance(Duration::days(700));
}

#[test]
fn a_holder_renews_with_the_key_of_the_old_certificate_and_gets_the_same_again() {
    let place = tempfile::tempdir().unwrap();
    let (opened, clock) = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    let old = holder(authority);
    let wanted = new_request();
    let asked = old.signs(&wanted);
    assert!(matches!(renew_by_possession(authority, &asked), Err(SuccessionError::TooEarly { from, .. }) if from.starts_with("20")));
    near_the_end(&clock);
    let before = authority.store.stream_length(log::STREAM).unwrap();
    let new = renew_by_possession(authority, &asked).unwrap();
    assert!(!new.again && new.serial != old.serial);
    // In PEM, or signed once more: it is the same request.
    let pem = pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", wanted.clone()));
    for again in [asked.clone(), old.signs(&wanted), old.signs(pem.as_bytes())] {
        let again = renew_by_possession(authority, &again).unwrap();
        assert!(again.again && again.serial == new.serial && again.record.der == new.record.der);
    }
    // Intent, certificate, whose name it is in, the link; and nothing more for what was said again.
    assert_eq!(authority.store.stream_length(log::STREAM).unwrap(), before + 4);
    // The facts are those of the old one, the days are new, and the old one stays.
    let (first, second) = (pki::path::CertificateFacts::parse(&old.der).unwrap(), pki::path::CertificateFacts::parse(&new.record.der).unwrap());
    assert_eq!((first.common_name.as_deref(), first.credit_code(), &first.emails), (second.common_name.as_deref(), second.credit_code(), &second.emails));
    assert_eq!((second.credit_code(), second.emails.as_slice()), (Some(CODE), [MAILBOX.to_owned()].as_slice()));
    assert!(second.not_after > first.not_after);
    assert_eq!(status(authority, &old.serial), Status::Good);
    let links = successors(authority, &old.serial).unwrap();
    assert!(links.len() == 1 && links[0].serial == serial_text(&new.serial) && links[0].act == Act::Renewed);
    assert_eq!(new.record.predecessor.as_ref().unwrap().serial, old.text());
    assert_eq!(logged(authority, 55), [format!("{{\"issuer\":\"enterprise-ca\",\"serial\":\"{}\",\"old\":\"{}\",\"act\":\"renewed\"}}", serial_text(&new.serial), old.text())]);
    // Another request loses, at the counter too; once the new one is revoked, the still valid old one may be renewed again.
    let other = new_request();
    assert!(matches!(renew_by_possession(authority, &old.signs(&other)), Err(SuccessionError::Taken { by, .. }) if by == serial_text(&new.serial)));
    let counter = Renew { serial: old.text(), request: other };
    assert!(matches!(renew(authority, &admin(), &counter), Err(SuccessionError::Taken { .. })));
    revoke(authority, &admin(), &Revoke { serial: serial_text(&new.serial), reason: Reason::Superseded, at: None, invalid_since: None }).unwrap();
    assert!(matches!(renew_by_possession(authority, &asked), Err(SuccessionError::SuccessorRevoked { .. })));
    let third = renew(authority, &admin(), &counter).unwrap();
    assert!(renew(authority, &admin(), &counter).unwrap().serial == third.serial && successors(authority, &old.serial).unwrap().len() == 2);
}

#[test]
fn nobody_renews_what_is_not_theirs_or_not_good() {
    let place = tempfile::tempdir().unwrap();
    let (opened, clock) = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    let (old, revoked, suspended, frozen, seal) = (
        holder(authority),
        holder(authority),
        holder(authority),
        holder(authority),
        holder_of(authority, "bureau-seal", Words { mailbox: Some(MAILBOX.into()), ..organization(NAME, CODE) }),
    );
    let ended = holder_of(authority, "tls-server", Words { dns: vec!["mx.example.cn".into()], ..Words::default() });
    near_the_end(&clock);
    let (bureau, server) = (
        holder_of(authority, "bureau-seal", Words { mailbox: Some(MAILBOX.into()), ..organization(NAME, CODE) }),
        holder_of(authority, "tls-server", Words { dns: vec!["mx.example.cn".into()], ip: vec!["::1".parse().unwrap()], ..Words::default() }),
    );
    clock.advance(Duration::days(5));
    revoke(authority, &admin(), &Revoke { serial: revoked.text(), reason: Reason::Superseded, at: None, invalid_since: None }).unwrap();
    suspend(authority, &admin(), &suspended.text()).unwrap();
    let until = clock.now().unix_timestamp() + 86_400;
    freeze(authority, &admin(), FreezeOrder { serial: frozen.text(), authority: "穗城区人民法院".into(), reason: "(2026)穗执1号".into(), until }).unwrap();
    let length = || authority.store.stream_length(log::STREAM).unwrap();
    let (before, wanted) = (length(), new_request());
    let said = |signed: &[u8]| renew_by_possession(authority, signed).unwrap_err();
    assert!(matches!(said(&revoked.signs(&wanted)), SuccessionError::Issue(IssueError::AlreadyRevoked { .. })));
    assert!(matches!(said(&suspended.signs(&wanted)), SuccessionError::Held { .. }));
    assert!(matches!(said(&frozen.signs(&wanted)), SuccessionError::Issue(IssueError::Frozen { .. })));
    assert!(matches!(said(&ended.signs(&wanted)), SuccessionError::Over { .. }));
    assert!(matches!(said(&seal.signs(&wanted)), SuccessionError::Over { .. }));
    assert!(matches!(said(&bureau.signs(&wanted)), SuccessionError::NotRenewed { .. }));
    assert!(matches!(said(&server.signs(&wanted)), SuccessionError::TooEarly { .. }));
    assert!(matches!(said(&old.signs(&request(&old.key))), SuccessionError::SameKey { .. }));
    // A certificate of a stranger's making with a number and names of ours, and its own key.
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.serial_number = Some(old.serial.clone().into());
    let key = rcgen::KeyPair::generate().unwrap();
    let forged = Holder { der: parameters.self_signed(&key).unwrap().der().to_vec(), serial: old.serial.clone(), key };
    assert!(matches!(said(&forged.signs(&wanted)), SuccessionError::NotOurs));
    let mut honest = old.signs(&wanted);
    assert!(matches!(said(&signed(&wanted, &[&old, &bureau], &[])), SuccessionError::Signed(_)));
    assert!(matches!(said(&signed(&wanted, &[&old], &["-noattr"])), SuccessionError::Signed(_)));
    assert!(matches!(said(&signed(&wanted, &[&old], &["-keyid"])), SuccessionError::Signed(_)));
    // The request is another than the one signed.
    let at = honest.windows(wanted.len()).position(|window| window == wanted).unwrap();
    honest[at..at + wanted.len()].copy_from_slice(&{
        let mut other = new_request();
        other.resize(wanted.len(), 0);
        other
    });
    assert!(matches!(said(&honest), SuccessionError::Signed(_)));
    // What is signed is no request, asks for somebody else's name, or to be an authority.
    assert!(matches!(said(&old.signs(b"renew me")), SuccessionError::Issue(IssueError::Request(_))));
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "广州越秀另一有限公司");
    let foreign = parameters.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec();
    assert!(matches!(said(&old.signs(&foreign)), SuccessionError::Issue(IssueError::Refused(_))));
    for nonsense in [&b""[..], b"0", &[0x30; 70_000], &[b'-'; 100_000]] {
        assert!(matches!(said(nonsense), SuccessionError::Signed(_)));
    }
    // The key of the request is another enterprise's.
    let other = holder_of(authority, "enterprise-signing", organization("广州越秀另一有限公司", "91440101MAT000026B"));
    let issued = length();
    assert!(matches!(said(&old.signs(&request(&other.key))), SuccessionError::Issue(IssueError::KeyOfAnother)));
    assert_eq!((issued, length()), (before + 3, before + 3), "something was changed");
    // Signed and answered, then the old one is revoked: saying it again gets nothing more.
    let asked = old.signs(&wanted);
    renew_by_possession(authority, &asked).unwrap();
    revoke(authority, &admin(), &Revoke { serial: old.text(), reason: Reason::KeyCompromise, at: None, invalid_since: None }).unwrap();
    assert!(matches!(said(&asked), SuccessionError::Issue(IssueError::AlreadyRevoked { .. })));
    assert_eq!(successors(authority, &old.serial).unwrap().len(), 1);
}

#[test]
fn a_server_keeps_its_names_and_may_keep_its_key_and_an_officer_stays_the_same() {
    let place = tempfile::tempdir().unwrap();
    let (opened, clock) = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    let server = holder_of(authority, "tls-server", Words { dns: vec!["mx.example.cn".into(), "mail.example.cn".into()], ip: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()], ..Words::default() });
    let officer = holder_of(authority, "officer", Words { officer: Some("陈一".into()), number: Some("OP-007".into()), ..Words::default() });
    clock.advance(Duration::days(70));
    let new = renew_by_possession(authority, &server.signs(&request(&server.key))).unwrap();
    let names = |der: &[u8]| {
        let view = pki::view::CertificateView::parse(der).unwrap();
        (view.subject.to_vec(), view.extension(&pki::view::ALTERNATIVE_NAME).unwrap_or_default().to_vec())
    };
    assert_eq!(names(&new.record.der), names(&server.der));
    clock.advance(Duration::days(250));
    let new = renew_by_possession(authority, &officer.signs(&new_request())).unwrap();
    assert_eq!(names(&new.record.der), names(&officer.der));
}

#[test]
fn one_renewal_is_one_certificate_whatever_fails() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("ca");
    let (opened, clock) = founded(&home);
    let commits = {
        let old = holder(&opened.authority);
        near_the_end(&clock);
        let counted = Arc::new(Faulty::new(Arc::clone(&opened.authority.store)));
        renew_by_possession(&opened.authority.over(Arc::clone(&counted) as _), &old.signs(&new_request())).unwrap();
        counted.commits()
    };
    assert_eq!(commits, 2);
    drop(opened);
    for commit in 0..commits {
        for fault in [Fault::Lost, Fault::DoneReportedLost] {
            let at = format!("commit {commit}, {fault:?}");
            let opened = reopened(&home, &clock);
            let old = holder(&opened.authority);
            near_the_end(&clock);
            let asked = old.signs(&new_request());
            let count = all(&*opened.authority.store, CertificateRecord::TABLE);
            let faulty = Arc::new(Faulty::new(Arc::clone(&opened.authority.store)).at(commit, fault));
            assert!(renew_by_possession(&opened.authority.over(faulty as _), &asked).is_err(), "{at}");
            drop(opened);
            let opened = reopened(&home, &clock);
            assert_eq!(all(&*opened.authority.store, Intent::TABLE), 0, "{at}");
            let new = renew_by_possession(&opened.authority, &asked).unwrap();
            assert_eq!(new.again, (commit, fault) != (0, Fault::Lost), "{at}");
            assert_eq!(all(&*opened.authority.store, CertificateRecord::TABLE), count + 1, "{at}: not exactly one");
            let links = successors(&opened.authority, &old.serial).unwrap();
            assert!(links.len() == 1 && links[0].serial == serial_text(&new.serial), "{at}");
            assert_eq!(logged(&opened.authority, 55).iter().filter(|entry| entry.contains(&old.text())).count(), 1, "{at}");
        }
    }
}

#[test]
fn of_two_who_come_at_once_the_loser_hears_why() {
    let place = tempfile::tempdir().unwrap();
    let (opened, clock) = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    let olds: Vec<Holder> = (0..4).map(|_| holder(authority)).collect();
    near_the_end(&clock);
    let count = || all(&*authority.store, CertificateRecord::TABLE);
    let before = count();
    let serial = olds[0].text();
    let ours = while_other(authority, move |other| {
        revoke(other, &admin(), &Revoke { serial, reason: Reason::CessationOfOperation, at: None, invalid_since: None }).unwrap();
    });
    assert!(matches!(renew_by_possession(&ours, &olds[0].signs(&new_request())), Err(SuccessionError::Issue(IssueError::AlreadyRevoked { .. }))));
    let serial = olds[1].text();
    let ours = while_other(authority, move |other| {
        suspend(other, &admin(), &serial).unwrap();
    });
    assert!(matches!(renew_by_possession(&ours, &olds[1].signs(&new_request())), Err(SuccessionError::Held { .. })));
    assert_eq!(count(), before);
    let theirs = olds[2].signs(&new_request());
    let ours = while_other(authority, move |other| {
        renew_by_possession(other, &theirs).unwrap();
    });
    assert!(matches!(renew_by_possession(&ours, &olds[2].signs(&new_request())), Err(SuccessionError::Taken { .. })));
    assert_eq!(count(), before + 1);
    // The same request by the same holder, twice at once, and eight times at once.
    let asked = olds[3].signs(&new_request());
    let twice = asked.clone();
    let ours = while_other(authority, move |other| {
        renew_by_possession(other, &twice).unwrap();
    });
    let first = renew_by_possession(&ours, &asked).unwrap();
    assert!(first.again);
    assert_eq!(count(), before + 2);
    let many = holder(authority);
    near_the_end(&clock);
    let asked = many.signs(&new_request());
    let serials: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(|| renew_by_possession(authority, &asked).unwrap().serial)).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(serials.iter().all(|serial| *serial == serials[0]));
    assert_eq!(count(), before + 4);
}

#[test]
fn what_is_replaced_or_corrected_ends_when_it_was_said_to() {
    let place = tempfile::tempdir().unwrap();
    let (opened, clock) = founded(&place.path().join("ca"));
    let status_of = Arc::new(ca::status::Status::new(&opened.authority).unwrap());
    let service = Service { authority: Arc::new(opened.authority), evidence: opened.evidence };
    let jobs = Jobs::new(service.clone(), status_of, opened.keys, Arc::new(Health::default()));
    let authority = &*service.authority;
    let after = |time: Duration| {
        clock.advance(time);
        (0..20).for_each(|_| jobs.turn());
        jobs.health.check().unwrap();
    };
    let revoked = |serial: &[u8]| if let Status::Revoked(revocation) = status(authority, serial) { Some(revocation.reason) } else { None };
    let replacing = |old: &Holder, compromised, overlap_days| replace(authority, &admin(), &Replace { serial: old.text(), request: new_request(), compromised, overlap_days });
    // At once, also when it was suspended; after days; and as compromised with every sibling.
    let (lost, broken, stolen) = (holder(authority), holder(authority), holder(authority));
    suspend(authority, &admin(), &lost.text()).unwrap();
    let new = replacing(&lost, false, None).unwrap();
    assert_eq!((revoked(&lost.serial), status(authority, &new.serial)), (Some(Reason::Superseded), Status::Good));
    replacing(&broken, false, Some(3)).unwrap();
    after(Duration::days(3) - Duration::seconds(1));
    assert_eq!(revoked(&broken.serial), None);
    after(Duration::seconds(1));
    assert_eq!(revoked(&broken.serial), Some(Reason::Superseded));
    assert!(matches!(replacing(&stolen, true, Some(1)), Err(SuccessionError::Overlap { most: 0 })));
    assert!(matches!(replacing(&stolen, false, Some(31)), Err(SuccessionError::Overlap { most: 30 })));
    let same = Replace { serial: stolen.text(), request: request(&stolen.key), compromised: true, overlap_days: None };
    assert!(matches!(replace(authority, &admin(), &same), Err(SuccessionError::SameKey { .. })));
    let sibling = issue(authority, admin(), Order { profile: "enterprise-signing".into(), request: request(&stolen.key), applicant: organization(NAME, CODE), issuer: None }).unwrap().what().serial.clone();
    replacing(&stolen, true, None).unwrap();
    assert_eq!((revoked(&stolen.serial), revoked(&sibling)), (Some(Reason::KeyCompromise), Some(Reason::KeyCompromise)));
    // Corrected: another name and mailbox, the same code.
    let wrong = holder(authority);
    let correcting = |name: Option<&str>, reason| Correct { serial: wrong.text(), request: request(&wrong.key), name: name.map(str::to_owned), mailbox: Some("1000000009@mail.example.cn".into()), reason, overlap_days: None };
    assert!(matches!(correct(authority, &admin(), &correcting(Some("广州天河新名有限公司"), Reason::KeyCompromise)), Err(SuccessionError::Reason)));
    assert!(matches!(correct(authority, &admin(), &Correct { mailbox: None, ..correcting(None, Reason::Superseded) }), Err(SuccessionError::NothingNew)));
    let new = correct(authority, &admin(), &correcting(Some("广州天河新名有限公司"), Reason::AffiliationChanged)).unwrap();
    let facts = pki::path::CertificateFacts::parse(&new.record.der).unwrap();
    assert_eq!((facts.common_name.as_deref(), facts.credit_code(), facts.emails.as_slice()), (Some("广州天河新名有限公司"), Some(CODE), ["1000000009@mail.example.cn".to_owned()].as_slice()));
    after(Duration::days(5) - Duration::seconds(1));
    assert_eq!(revoked(&wrong.serial), None);
    after(Duration::seconds(1));
    assert_eq!((revoked(&wrong.serial), status(authority, &new.serial)), (Some(Reason::AffiliationChanged), Status::Good));
    // The authority's own are nobody's to replace.
    let own = serial_text(&authority.issuers["enterprise-ca"].serial);
    assert!(matches!(replace(authority, &admin(), &Replace { serial: own, request: new_request(), compromised: false, overlap_days: None }), Err(SuccessionError::NotOfAHolder { .. })));
    assert_eq!(all(&*authority.store, "outgoing"), 0);
}

#[test]
fn an_end_that_a_crash_left_undone_is_done_by_the_jobs() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("ca");
    let (opened, clock) = founded(&home);
    drop(opened);
    // Intent, record, revocation with the end of the matter.
    for commit in 0..3 {
        for fault in [Fault::Lost, Fault::DoneReportedLost] {
            let at = format!("commit {commit}, {fault:?}");
            let opened = reopened(&home, &clock);
            let old = holder(&opened.authority);
            let order = Replace { serial: old.text(), request: new_request(), compromised: false, overlap_days: None };
            let faulty = Arc::new(Faulty::new(Arc::clone(&opened.authority.store)).at(commit, fault));
            assert!(replace(&opened.authority.over(Arc::clone(&faulty) as _), &admin(), &order).is_err(), "{at}");
            drop((faulty, opened));
            let opened = reopened(&home, &clock);
            ca::flow::ending::due(&opened.authority, &admin()).unwrap();
            let issued = successors(&opened.authority, &old.serial).unwrap();
            assert_eq!(issued.len(), usize::from((commit, fault) != (0, Fault::Lost)), "{at}");
            assert_eq!(matches!(status(&opened.authority, &old.serial), Status::Revoked(_)), !issued.is_empty(), "{at}");
            assert_eq!(all(&*opened.authority.store, "outgoing"), 0, "{at}");
        }
    }
}

/// Why it was revoked, and since when it was not right.
fn revoked(authority: &Authority, serial: &[u8]) -> Option<(Reason, Option<i64>)> {
    if let Status::Revoked(revocation) = status(authority, serial) { Some((revocation.reason, revocation.invalid_since)) } else { None }
}

#[test]
fn what_was_renewed_on_a_compromised_keys_word_falls_with_it() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("ca");
    let (opened, clock) = founded(&home);
    let authority = &opened.authority;
    let report = |serial: &str, invalid_since: Option<i64>| revoke(authority, &admin(), &Revoke { serial: serial.into(), reason: Reason::KeyCompromise, at: None, invalid_since }).unwrap();
    let [stolen, early, late, desk, blocked] = [(); 5].map(|()| holder(authority));
    near_the_end(&clock);
    let thiefs = rcgen::KeyPair::generate().unwrap();
    let new = renew_by_possession(authority, &stolen.signs(&request(&thiefs))).unwrap();
    let renewed = |old: &Holder| renew_by_possession(authority, &old.signs(&new_request())).unwrap();
    let (by_early, by_late, by_blocked) = (renewed(&early), renewed(&late), renewed(&blocked));
    let at_desk = renew(authority, &admin(), &Renew { serial: desk.text(), request: new_request() }).unwrap();
    let made = clock.now().unix_timestamp();
    // The new one was ended since, after it was renewed in its turn.
    near_the_end(&clock);
    let second = Holder { key: thiefs, serial: new.serial.clone(), der: new.record.der.clone() };
    let third = renewed(&second);
    revoke(authority, &admin(), &Revoke { serial: second.text(), reason: Reason::Superseded, at: None, invalid_since: None }).unwrap();
    let fallen = report(&stolen.text(), None);
    assert_eq!(fallen.certificates.iter().map(|(serial, _)| serial).collect::<Vec<_>>(), [&stolen.serial, &third.serial]);
    assert_eq!(revoked(authority, &third.serial), Some((Reason::PrivilegeWithdrawn, None)));
    // It is on the list and in the log as any other; and its own key is nobody's shame.
    assert!(authority.store.get(&CertificateRecord::revoked("enterprise-ca", &third.serial)).unwrap().is_some());
    assert!(authority.store.get(&CertificateRecord::blocked_key(&third.record.key_digest)).unwrap().is_none());
    assert!(logged(authority, 5).iter().any(|entry| entry.contains(&serial_text(&third.serial))));
    // Since a time after the renewal, before it, and where the counter saw the holder.
    report(&late.text(), Some(made + 3 * 86_400));
    assert_eq!(revoked(authority, &by_late.serial), None);
    report(&early.text(), Some(made - 86_400));
    assert_eq!(revoked(authority, &by_early.serial), Some((Reason::PrivilegeWithdrawn, Some(by_early.record.not_before))));
    report(&desk.text(), None);
    assert_eq!(revoked(authority, &at_desk.serial), None);
    // The key is reported when its certificate is revoked already.
    revoke(authority, &admin(), &Revoke { serial: blocked.text(), reason: Reason::Superseded, at: None, invalid_since: None }).unwrap();
    let key = ca::flow::block::KeyDigest::of(&rcgen::PublicKeyData::subject_public_key_info(&blocked.key));
    assert_eq!(ca::flow::block::block(authority, &admin(), key).unwrap().revoked.len(), 1);
    assert_eq!(revoked(authority, &by_blocked.serial), Some((Reason::PrivilegeWithdrawn, None)));
    // The next start finds nothing more to revoke.
    opened.evidence.advance().unwrap();
    drop(opened);
    let opened = reopened(&home, &clock);
    assert_eq!(revoked(&opened.authority, &by_late.serial), None);
}

#[test]
fn a_key_reported_while_its_renewal_is_signed_leaves_nothing_good() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("ca");
    let (opened, clock) = founded(&home);
    let authority = &opened.authority;
    let [old, left] = [(); 2].map(|()| holder(authority));
    near_the_end(&clock);
    let said = |serial: String| move |other: &Authority| drop(revoke(other, &admin(), &Revoke { serial, reason: Reason::KeyCompromise, at: None, invalid_since: None }).unwrap());
    let ours = while_other_at(authority, 1, said(old.text()));
    assert!(matches!(renew_by_possession(&ours, &old.signs(&new_request())), Err(SuccessionError::Issue(IssueError::AlreadyRevoked { .. }))));
    let [new] = &successors(authority, &old.serial).unwrap()[..] else { panic!() };
    assert_eq!(revoked(authority, &ca::register::serial(&new.serial).unwrap()), Some((Reason::PrivilegeWithdrawn, None)));
    // The same where a crash comes between, and the start goes on with the intent.
    let faulty = Arc::new(Faulty::new(Arc::clone(&authority.store)).at(1, Fault::Lost));
    assert!(renew_by_possession(&authority.over(faulty as _), &left.signs(&new_request())).is_err());
    said(left.text())(authority);
    drop((ours, opened));
    let opened = reopened(&home, &clock);
    let [new] = &successors(&opened.authority, &left.serial).unwrap()[..] else { panic!() };
    assert_eq!(revoked(&opened.authority, &ca::register::serial(&new.serial).unwrap()), Some((Reason::PrivilegeWithdrawn, None)));
}

#[test]
fn a_holder_who_revokes_what_it_renews_does_not_fill_the_lists() {
    let place = tempfile::tempdir().unwrap();
    let (opened, clock) = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    let old = holder(authority);
    near_the_end(&clock);
    for _ in 0..5 {
        let asked = old.signs(&new_request());
        let new = renew_by_possession(authority, &asked).unwrap();
        assert!(renew_by_possession(authority, &asked).unwrap().again);
        revoke(authority, &admin(), &Revoke { serial: serial_text(&new.serial), reason: Reason::Superseded, at: None, invalid_since: None }).unwrap();
    }
    let length = authority.store.stream_length(log::STREAM).unwrap();
    assert!(matches!(renew_by_possession(authority, &old.signs(&new_request())), Err(SuccessionError::TooOften { .. })));
    assert_eq!(authority.store.stream_length(log::STREAM).unwrap(), length);
    renew(authority, &admin(), &Renew { serial: old.text(), request: new_request() }).unwrap();
}

#[test]
fn a_claim_whose_intent_a_restore_dropped_holds_nobody_up() {
    let place = tempfile::tempdir().unwrap();
    let (opened, clock) = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    let old = holder(authority);
    near_the_end(&clock);
    let asked = old.signs(&new_request());
    let faulty = Arc::new(Faulty::new(Arc::clone(&authority.store)).at(1, Fault::Lost));
    assert!(renew_by_possession(&authority.over(faulty as _), &asked).is_err());
    let (from, to) = Key::range(Intent::TABLE, &[]);
    for (intent, _) in authority.store.scan(&from, &to, 10).unwrap() {
        authority.store.commit(Batch::new().delete(intent)).unwrap();
    }
    assert!(!renew_by_possession(authority, &asked).unwrap().again);
    assert!(matches!(renew_by_possession(authority, &old.signs(&new_request())), Err(SuccessionError::Taken { .. })));
}
