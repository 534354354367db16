//! Before the end is near: the holder changes the key, or says what the certificate says no longer rightly.

#[path = "../office/mod.rs"]
mod office;

use ca::flow::approve::{Decided, decide};
use ca::flow::correction::{CorrectionError, correct_by_possession, ordered_before};
use ca::flow::ending;
use ca::flow::order::{Applied, OrderError, advance, cancel_by_possession, load, place};
use ca::flow::rekey::rekey_by_possession;
use ca::flow::renew::prove;
use ca::registry::{NoRegistry, Registered, Registry, RegistryError};
use ca::record::{Decision, Flag, OrderId, OrderState, Verdict};
use office::{Office, Officer};
use policies::authority::Power;
use rcgen::DnType;

use super::*;

const RENAMED: &str = "广州天河改名测试有限公司";

/// A request whose subject says what is meant.
fn says(key: &rcgen::KeyPair, words: &[(DnType, &str)]) -> Vec<u8> {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    words.iter().for_each(|(kind, text)| parameters.distinguished_name.push(kind.clone(), *text));
    parameters.serialize_request(key).unwrap().der().to_vec()
}

fn rekey(serial: &str) -> Vec<u8> {
    says(&rcgen::KeyPair::generate().unwrap(), &[(DnType::CommonName, &format!("rekey {serial}"))])
}

fn correction(serial: &str, name: &str) -> Vec<u8> {
    says(&rcgen::KeyPair::generate().unwrap(), &[(DnType::CommonName, &format!("correct {serial}")), (DnType::OrganizationName, name)])
}

#[test]
fn a_holder_changes_the_key_and_gains_no_day_by_it() {
    let place = tempfile::tempdir().unwrap();
    let (opened, clock) = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    let old = holder(authority);
    let wanted = rekey(&old.text());
    let asked = old.signs(&wanted);
    let before = authority.store.stream_length(log::STREAM).unwrap();
    assert!(matches!(rekey_by_possession(authority, &asked), Err(SuccessionError::TooYoung { .. })));
    clock.advance(Duration::days(100));
    assert_eq!(authority.store.stream_length(log::STREAM).unwrap(), before);
    let new = rekey_by_possession(authority, &asked).unwrap();
    let again = rekey_by_possession(authority, &old.signs(&wanted)).unwrap();
    assert!(!new.again && again.again && again.serial == new.serial);
    // The same holder, another key, and the end that was promised.
    let (first, second) = (pki::path::CertificateFacts::parse(&old.der).unwrap(), pki::path::CertificateFacts::parse(&new.record.der).unwrap());
    assert_eq!((first.common_name.as_deref(), first.credit_code(), &first.emails, first.not_after), (second.common_name.as_deref(), second.credit_code(), &second.emails, second.not_after));
    assert!(second.not_before > first.not_before && new.record.predecessor.as_ref().unwrap().on_word_of_key());
    assert!(logged(authority, 55).iter().any(|entry| entry.contains("\"act\":\"rekeyed\"")));
    // The old one stands beside it for the days of the policy, and then falls.
    assert_eq!(status(authority, &old.serial), Status::Good);
    clock.advance(Duration::days(5) - Duration::seconds(1));
    assert_eq!(ending::due(authority, &admin()).unwrap(), 0);
    clock.advance(Duration::seconds(1));
    assert_eq!(ending::due(authority, &admin()).unwrap(), 1);
    assert!(matches!(status(authority, &old.serial), Status::Revoked(revocation) if revocation.reason == Reason::Superseded));
    assert_eq!(status(authority, &new.serial), Status::Good);
    // A new key that was revoked leaves the holder the old one; one on the word of a compromised key falls with that.
    let (kept, stolen) = (holder(authority), holder(authority));
    clock.advance(Duration::days(1));
    let lost = rekey_by_possession(authority, &kept.signs(&rekey(&kept.text()))).unwrap();
    revoke(authority, &admin(), &Revoke { serial: serial_text(&lost.serial), reason: Reason::Superseded, at: None, invalid_since: None }).unwrap();
    let thiefs = rekey_by_possession(authority, &stolen.signs(&rekey(&stolen.text()))).unwrap();
    revoke(authority, &admin(), &Revoke { serial: stolen.text(), reason: Reason::KeyCompromise, at: None, invalid_since: None }).unwrap();
    assert!(matches!(status(authority, &thiefs.serial), Status::Revoked(revocation) if revocation.reason == Reason::PrivilegeWithdrawn));
    clock.advance(Duration::days(6));
    ending::due(authority, &admin()).unwrap();
    assert_eq!(status(authority, &kept.serial), Status::Good);
}

#[test]
fn what_was_signed_for_one_purpose_serves_no_other() {
    let place = tempfile::tempdir().unwrap();
    let (opened, clock) = founded(&place.path().join("ca"));
    let authority = &opened.authority;
    let (old, other, suspended, frozen) = (holder(authority), holder(authority), holder(authority), holder(authority));
    let seal = holder_of(authority, "bureau-seal", Words { mailbox: Some(MAILBOX.into()), ..organization(NAME, CODE) });
    near_the_end(&clock);
    suspend(authority, &admin(), &suspended.text()).unwrap();
    let until = clock.now().unix_timestamp() + 86_400;
    freeze(authority, &admin(), FreezeOrder { serial: frozen.text(), authority: "穗城区人民法院".into(), reason: "(2026)穗执1号".into(), until }).unwrap();
    let before = authority.store.stream_length(log::STREAM).unwrap();
    let renewal = old.signs(&new_request());
    let (rekeying, correcting) = (old.signs(&rekey(&old.text())), old.signs(&correction(&old.text(), RENAMED)));
    for signed in [&rekeying, &correcting] {
        assert!(matches!(renew_by_possession(authority, signed), Err(SuccessionError::MeantOtherwise)));
    }
    for signed in [&renewal, &correcting, &old.signs(&rekey(&other.text()))] {
        assert!(matches!(rekey_by_possession(authority, signed), Err(SuccessionError::NotMeant { .. })));
    }
    for signed in [&renewal, &rekeying, &old.signs(&correction(&other.text(), RENAMED))] {
        assert!(matches!(correct_by_possession(authority, signed), Err(CorrectionError::Succession(SuccessionError::NotMeant { .. }))));
    }
    let same_key = says(&old.key, &[(DnType::CommonName, &format!("rekey {}", old.text()))]);
    assert!(matches!(rekey_by_possession(authority, &old.signs(&same_key)), Err(SuccessionError::SameKey { .. })));
    for (held, expected) in [(&suspended, "suspended"), (&frozen, "frozen")] {
        let code = |problem: runtime::exit::Problem| problem.code;
        assert_eq!(code(rekey_by_possession(authority, &held.signs(&rekey(&held.text()))).unwrap_err().into()), expected);
        assert_eq!(code(correct_by_possession(authority, &held.signs(&correction(&held.text(), RENAMED))).unwrap_err().into()), expected);
    }
    // Signed by somebody else's certificate of ours; of a profile that is not ordered over the network; nothing new.
    assert!(matches!(rekey_by_possession(authority, &other.signs(&rekey(&old.text()))), Err(SuccessionError::NotMeant { .. })));
    assert!(matches!(rekey_by_possession(authority, &seal.signs(&rekey(&seal.text()))), Err(SuccessionError::Over { .. } | SuccessionError::NotRekeyed { .. })));
    assert!(matches!(correct_by_possession(authority, &old.signs(&correction(&old.text(), NAME))), Err(CorrectionError::Succession(SuccessionError::NothingNew))));
    assert_eq!(authority.store.stream_length(log::STREAM).unwrap(), before);
}

fn approves(officer: &Officer, authority: &Authority, id: &OrderId) -> OrderState {
    let (_, order) = load(authority, id).unwrap();
    let now = authority.clock.now();
    let decision = Decision::about(id, &order, Verdict::Approve, String::new(), now.unix_timestamp()).text().unwrap();
    assert!(order.application.corrects.is_none() || decision.starts_with("{\"act\":\"correct "), "{decision}");
    decide(authority, &Decided { order: *id, signature: officer.signed(&decision, now), decision }).unwrap().state
}

#[test]
fn a_correction_is_an_order_that_an_officer_approves_and_takes_the_old_ones_place() {
    let office = Office::found();
    let authority = office.authority();
    let operator = office.officer("a", "B-1", Some(Power::Operator), &Authorised::by_ownership(7));
    let old = holder(authority);
    let key = rcgen::KeyPair::generate().unwrap();
    let wanted = says(&key, &[(DnType::CommonName, &format!("correct {}", old.text())), (DnType::OrganizationName, RENAMED)]);
    let placed = correct_by_possession(authority, &old.signs(&wanted)).unwrap();
    // Sent again in another form, it is the same order; the old one is no duplicate of it.
    let again = correct_by_possession(authority, &old.signs(pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", wanted.clone())).as_bytes())).unwrap();
    assert!(again.before && again.id == placed.id && placed.order.state == OrderState::AwaitingApproval);
    assert!(!placed.order.flags.contains(&Flag::DuplicateCertificate) && placed.order.code() == Some(CODE));
    let OrderState::Issued { serial } = approves(&operator, authority, &placed.id) else { panic!("not issued") };
    let new = ca::register::get(&*authority.store, &ca::register::serial(&serial).unwrap()).unwrap();
    assert_eq!((new.name.as_str(), new.code.as_deref()), (RENAMED, Some(CODE)));
    let predecessor = new.predecessor.unwrap();
    assert!(predecessor.serial == old.text() && predecessor.act == Act::Corrected && predecessor.ends.unwrap().reason == Reason::AffiliationChanged);
    office.clock.advance(Duration::days(5));
    assert_eq!(ending::due(authority, &admin()).unwrap(), 1);
    assert!(matches!(status(authority, &old.serial), Status::Revoked(revocation) if revocation.reason == Reason::AffiliationChanged));
    // Whoever never heard the answer asks again and finds the order with its certificate; in other words nothing is ordered any more.
    let found = correct_by_possession(authority, &old.signs(&wanted)).unwrap();
    assert!(found.before && found.id == placed.id && matches!(&found.order.state, OrderState::Issued { serial: issued } if *issued == serial));
    assert!(correct_by_possession(authority, &old.signs(&correction(&old.text(), RENAMED))).is_err());
    // The proof of the order tells of it, and of no other act.
    let proof = ca::order_proof::export(authority, &office.opened.evidence, &placed.id).unwrap().text().unwrap();
    let root = &authority.issuers["root"].record.der;
    let proven = ca::order_proof::verify(proof.as_bytes(), root, &authority.settings.log_key, office.officers_policies()).unwrap();
    assert!(proven.serial == Some(serial) && proven.approved_by == [operator.serial.clone()]);
    let altered = proof.replacen("affiliation-changed", "superseded", 1);
    assert!(altered != proof && ca::order_proof::verify(altered.as_bytes(), root, &authority.settings.log_key, office.officers_policies()).is_err());
}

/// A thief has a name corrected before the holder says that the key is stolen, or while the correction is being signed.
#[test]
fn a_correction_on_a_compromised_keys_word_falls_with_it() {
    let office = Office::found();
    let authority = office.authority();
    let operator = office.officer("a", "B-1", Some(Power::Operator), &Authorised::by_ownership(7));
    let stolen = holder(authority);
    let placed = correct_by_possession(authority, &stolen.signs(&correction(&stolen.text(), RENAMED))).unwrap();
    let OrderState::Issued { serial } = approves(&operator, authority, &placed.id) else { panic!("not issued") };
    let new = ca::register::serial(&serial).unwrap();
    let compromised = |old: &Holder| Revoke { serial: old.text(), reason: Reason::KeyCompromise, at: None, invalid_since: None };
    revoke(authority, &admin(), &compromised(&stolen)).unwrap();
    assert!(matches!(status(authority, &new), Status::Revoked(revocation) if revocation.reason == Reason::PrivilegeWithdrawn));
    // Between the intent and the record: the order has its certificate, which is of no use.
    let other = holder(authority);
    let placed = correct_by_possession(authority, &other.signs(&correction(&other.text(), RENAMED))).unwrap();
    let order = compromised(&other);
    // The decision is the first commit, the intent the second.
    let seen = while_other_at(authority, 2, move |authority| drop(revoke(authority, &admin(), &order).unwrap()));
    let OrderState::Issued { serial } = approves(&operator, &seen, &placed.id) else { panic!("not issued") };
    assert!(matches!(status(authority, &ca::register::serial(&serial).unwrap()), Status::Revoked(revocation) if revocation.reason == Reason::PrivilegeWithdrawn));
    assert_eq!(advance(authority, &placed.id).unwrap().state, OrderState::Issued { serial });
}

#[test]
fn a_correction_that_comes_too_late_is_refused_with_the_reason() {
    let office = Office::found();
    let authority = office.authority();
    let operator = office.officer("a", "B-1", Some(Power::Operator), &Authorised::by_ownership(7));
    let ordered = |old: &Holder| correct_by_possession(authority, &old.signs(&correction(&old.text(), RENAMED))).unwrap();
    let (revoked, replaced, cancelled) = (holder(authority), holder(authority), holder(authority));
    let orders = [&revoked, &replaced].map(|old| ordered(old));
    assert!(orders.iter().all(|placed| placed.order.state == OrderState::AwaitingApproval));
    revoke(authority, &admin(), &Revoke { serial: revoked.text(), reason: Reason::Superseded, at: None, invalid_since: None }).unwrap();
    replace(authority, &admin(), &Replace { serial: replaced.text(), request: new_request(), compromised: false, overlap_days: Some(5) }).unwrap();
    for (placed, expected) in orders.iter().zip(["already-revoked", "succeeded"]) {
        let state = approves(&operator, authority, &placed.id);
        assert!(matches!(&state, OrderState::Refused(ground) if ground.code == expected), "{state:?}");
        assert_eq!(advance(authority, &placed.id).unwrap().state, state);
    }
    // Whoever has the new key may take it back; the old one stays as it is.
    let key = rcgen::KeyPair::generate().unwrap();
    let wanted = says(&key, &[(DnType::CommonName, &format!("correct {}", cancelled.text())), (DnType::OrganizationName, RENAMED)]);
    let placed = correct_by_possession(authority, &cancelled.signs(&wanted)).unwrap();
    let said = says(&key, &[(DnType::CommonName, &format!("cancel order {}", placed.id))]);
    assert_eq!(cancel_by_possession(authority, &placed.id, &said).unwrap().state, OrderState::Cancelled);
    assert_eq!(status(authority, &cancelled.serial), Status::Good);
    // Another profile's holders are heard at the counter alone.
    let client = holder_of(authority, "bureau-client", organization(NAME, CODE));
    assert!(matches!(correct_by_possession(authority, &client.signs(&correction(&client.text(), RENAMED))), Err(CorrectionError::Order(OrderError::NotOnline { .. }))));
}

/// It was there, and cannot be read at this moment.
struct Away;

impl Registry for Away {
    fn find(&self, _: &policies::identity::CreditCode) -> Result<Option<Registered>, RegistryError> {
        Err(RegistryError::Torn { path: "registry.csv".into() })
    }
}

/// An error of ours is no end of an order: whoever asks again is told of the order, and it goes on when the reason is gone.
#[test]
fn an_order_that_cannot_go_on_now_is_told_again_as_it_stands() {
    let mut office = Office::found();
    let old = holder(office.authority());
    let asked = old.signs(&correction(&old.text(), RENAMED));
    office.opened.authority.registry = Arc::new(Away);
    let authority = office.authority();
    let applied = Applied { profile: "enterprise-signing".into(), request: new_request(), applicant: organization("广州另一测试有限公司", "91440101MAT000026B"), issuer: None, evidence: Vec::new(), key: "k-1".into() };
    let at_the_counter = place(authority, &admin(), applied.clone()).unwrap();
    let corrected = correct_by_possession(authority, &asked).unwrap();
    assert!(matches!(advance(authority, &corrected.id), Err(OrderError::Registry(_))));
    for (first, again) in [(&at_the_counter, place(authority, &admin(), applied)), (&corrected, Ok(correct_by_possession(authority, &asked).unwrap()))] {
        let again = again.unwrap();
        assert!(!first.before && again.before && again.id == first.id && again.order.state == OrderState::Received);
    }
    office.opened.authority.registry = Arc::new(NoRegistry);
    assert_eq!(correct_by_possession(office.authority(), &asked).unwrap().order.state, OrderState::AwaitingApproval);
}

#[test]
fn to_ask_what_a_correction_ordered_orders_nothing() {
    let office = Office::found();
    let authority = office.authority();
    let old = holder(authority);
    let asked = old.signs(&correction(&old.text(), RENAMED));
    let before = authority.store.stream_length(log::STREAM).unwrap();
    let fate = || ordered_before(authority, &prove(authority, &asked).unwrap());
    for _ in 0..2 {
        assert!(matches!(fate(), Err(CorrectionError::Order(OrderError::NotFound))));
    }
    assert_eq!(authority.store.stream_length(log::STREAM).unwrap(), before);
    let placed = correct_by_possession(authority, &asked).unwrap();
    let found = fate().unwrap();
    assert!(found.before && found.id == placed.id && found.order.state == OrderState::AwaitingApproval);
    // Other words of the same holder, and the same words of another request, are no order.
    let other = old.signs(&correction(&old.text(), RENAMED));
    assert!(matches!(ordered_before(authority, &prove(authority, &other).unwrap()), Err(CorrectionError::Order(OrderError::NotFound))));
}
