//! Orders decided by officers' own keys: who may, over which bytes, how often; at every commit that fails, at the same
//! moment, and when an officer falls between approval and issue. And the proof of it all, of which no bit can be turned.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod office;

use std::sync::Arc;

use ca::authority::Authority;
use ca::flow::approve::{ApproveError, Decided, decide};
use ca::flow::issue::{Order, issue};
use ca::flow::officer::{Grant, Withdraw, grant, withdraw};
use ca::flow::order::{Applied, OrderError, Placed, load, place, place_online, work};
use ca::flow::plan::Words;
use ca::flow::renew::{Renew, renew};
use ca::flow::revoke::{Revoke, revoke};
use ca::flow::succeed::SuccessionError;
use ca::flow::{Administrator, Authorised, Operator, Proven};
use ca::order_proof;
use ca::problem::{IssueError, OfficerError};
use ca::record::{CertificateRecord, Decision, OrderId, OrderState, Reason, Verdict, decode};
use pki::signer::SignatureAlgorithm;
use office::{CODE, Office, Officer, company, new_request};
use policies::authority::Power;
use runtime::clock::Clock;
use store::{Fault, Faulty, Key, Store};
use time::Duration;

impl Officer {
    fn says(&self, authority: &Authority, id: &OrderId, verdict: Verdict, reason: &str) -> Decided {
        let (_, order) = load(authority, id).unwrap();
        let now = authority.clock.now();
        let decision = Decision::about(id, &order, verdict, reason.into(), now.unix_timestamp()).text().unwrap();
        Decided { order: *id, signature: self.signed(&decision, now), decision }
    }

    fn approves(&self, authority: &Authority, id: &OrderId) -> Result<OrderState, ApproveError> {
        decide(authority, &self.says(authority, id, Verdict::Approve, "")).map(|order| order.state)
    }
}

/// What the tests of orders ask an office besides.
trait Orders {
    fn granted(&self, id: &str, number: &str, power: Option<Power>) -> Officer;
    fn ordered(&self, key: &str) -> OrderId;
    fn two_are_asked_for(&mut self);
    fn certificates(&self) -> usize;
    fn exported(&self, id: &OrderId) -> String;
    fn verified(&self, proof: &str) -> Result<order_proof::Proven, order_proof::ProofError>;
}

impl Orders for Office {
    /// By the owner of the machine.
    fn granted(&self, id: &str, number: &str, power: Option<Power>) -> Officer {
        self.officer(id, number, power, &Authorised::by_ownership(7))
    }

    fn ordered(&self, key: &str) -> OrderId {
        let Placed { id, order, .. } = place_online(self.authority(), application(key)).unwrap();
        assert_eq!(order.state, OrderState::AwaitingApproval);
        id
    }

    fn two_are_asked_for(&mut self) {
        let text = "[issue.enterprise-signing]\nby = \"operator\"\ncounter = 0\nonline = 2\n[issue.officer]\nby = \"administrator\"\ncounter = 1\nonline = 1\nbootstrap = true\n";
        self.rules(|_| text.to_owned());
    }

    fn certificates(&self) -> usize {
        let (from, to) = Key::range(CertificateRecord::TABLE, &[]);
        let all = self.authority().store.scan(&from, &to, 10_000).unwrap();
        all.iter().filter(|(_, bytes)| decode::<CertificateRecord>(bytes).unwrap().profile == "enterprise-signing").count()
    }

    fn exported(&self, id: &OrderId) -> String {
        order_proof::export(self.authority(), &self.opened.evidence, id).unwrap().text().unwrap()
    }

    fn verified(&self, proof: &str) -> Result<order_proof::Proven, order_proof::ProofError> {
        order_proof::verify(proof.as_bytes(), &self.authority().issuers["root"].record.der, &self.authority().settings.log_key, self.officers_policies())
    }
}

fn application(key: &str) -> Applied {
    Applied { profile: "enterprise-signing".into(), request: new_request(), applicant: company(CODE), issuer: None, evidence: Vec::new(), key: key.into() }
}

fn leaf_kind(leaf: &str) -> u8 {
    base64::Engine::decode(&base64::engine::general_purpose::STANDARD, leaf).unwrap()[1]
}

fn is_issued(state: &OrderState) -> bool {
    matches!(state, OrderState::Issued { .. })
}

#[test]
fn an_operator_approves_with_the_own_key_and_nobody_else_can() {
    let office = Office::found();
    let authority = office.authority();
    let (operator, powerless) = (office.granted("a", "B-1", Some(Power::Operator)), office.granted("b", "B-2", None));
    let auditor = office.granted("c", "C-1", Some(Power::Auditor));
    let id = office.ordered("1");
    assert!(matches!(powerless.approves(authority, &id), Err(ApproveError::Officer(OfficerError::NoPowers { .. }))));
    assert!(matches!(auditor.approves(authority, &id), Err(ApproveError::Powerless { by: Power::Operator })));
    // A bureau's certificate is from the same issuer and for the same use of its key.
    let bureau_key = office.keys.generate("bureau", SignatureAlgorithm::EcdsaP256Sha256).unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let request = parameters.serialize_request(&bureau_key).unwrap().der().to_vec();
    let words = Words { name: Some("广州某局".into()), code: Some("12440100000000123A".into()), ..Words::default() };
    let bureau = issue(authority, Authorised::service(), Order { profile: "bureau-client".into(), request, applicant: words, issuer: None }).unwrap();
    let bureau = Officer { key: bureau_key, serial: String::new(), der: bureau.what().record.der.clone(), issuer: operator.issuer.clone() };
    assert!(matches!(bureau.approves(authority, &id), Err(ApproveError::Signed(_))));
    // What is signed is this order and no other, in these bytes, now.
    let other = office.ordered("2");
    let said = operator.says(authority, &other, Verdict::Approve, "");
    let replayed = Decided { order: id, ..said.clone() };
    assert!(matches!(decide(authority, &replayed), Err(ApproveError::Other)));
    let mut turned = operator.says(authority, &id, Verdict::Refuse, "不符");
    turned.decision = turned.decision.replace("refuse", "approve");
    assert!(matches!(decide(authority, &turned), Err(ApproveError::Signed(_))));
    let again = |change: &dyn Fn(&mut Decision)| {
        let mut decision = Decision::parse(&said.decision).unwrap();
        change(&mut decision);
        let text = decision.text().unwrap();
        decide(authority, &Decided { order: other, signature: operator.signed(&text, authority.clock.now()), decision: text })
    };
    assert!(matches!(again(&|decision| drop(decision.applicant.insert("name".into(), "另一家公司".into()))), Err(ApproveError::Other)));
    assert!(matches!(again(&|decision| decision.request_sha256 = "ab".repeat(32)), Err(ApproveError::Other)));
    assert!(matches!(again(&|decision| decision.act = "revoke".into()), Err(ApproveError::Other)));
    assert!(matches!(again(&|decision| decision.at -= 901), Err(ApproveError::Time)));
    assert!(matches!(again(&|decision| decision.at += 301), Err(ApproveError::Time)));
    assert!(matches!(again(&|decision| decision.decision = Verdict::Refuse), Err(ApproveError::Reason)));
    assert!(matches!(again(&|decision| decision.reason = "a\u{1b}[2J".into()), Err(ApproveError::Reason)));
    assert_eq!(office.certificates(), 0);
    assert!(is_issued(&operator.approves(authority, &id).unwrap()));
    assert!(matches!(operator.approves(authority, &id), Err(ApproveError::NotAwaited { state: "issued" })));
    // The other is refused, and the applicant reads why.
    let state = decide(authority, &operator.says(authority, &other, Verdict::Refuse, "营业执照已过期")).unwrap().state;
    assert!(matches!(&state, OrderState::Refused(ground) if ground.code == "refused-by-officer" && ground.message == "营业执照已过期"));
    assert_eq!(office.certificates(), 1);
}

#[test]
fn nobody_counts_twice_and_nobody_decides_what_they_ordered() {
    let mut office = Office::found();
    office.two_are_asked_for();
    let authority = office.authority();
    let (first, second) = (office.granted("a", "B-1", Some(Power::Operator)), office.granted("b", "B-2", Some(Power::Operator)));
    // The same person with another certificate.
    let again = office.granted("c", "b-1", Some(Power::Operator));
    let id = office.ordered("1");
    assert_eq!(first.approves(authority, &id).unwrap(), OrderState::AwaitingApproval);
    for one in [&first, &again] {
        assert!(matches!(one.approves(authority, &id), Err(ApproveError::Twice)));
    }
    assert!(is_issued(&second.approves(authority, &id).unwrap()));
    // The proof has both, and neither can be left out: the log tells how many there were.
    let proof = office.exported(&id);
    assert_eq!(office.verified(&proof).unwrap().approved_by.len(), 2);
    assert!(office.logged(73)[0].contains("\"approvals\":2,\"needed\":2,\"power\":\"operator\""));
    let whole = order_proof::Proof::parse(proof.as_bytes()).unwrap();
    let kinds = |proof: &order_proof::Proof| -> Vec<usize> { (0..proof.entries.len()).filter(|at| leaf_kind(&proof.entries[*at].leaf) == 21).collect() };
    for (decision, entry) in [0, 1].into_iter().flat_map(|decision| kinds(&whole).into_iter().map(move |entry| (decision, entry))) {
        let mut fewer = whole.clone();
        fewer.decisions.remove(decision);
        fewer.entries.remove(entry);
        assert!(office.verified(&fewer.text().unwrap()).is_err(), "{decision} {entry}");
    }
    // An officer's certificate, ordered by an operator who may not decide on it.
    let administrator = office.granted("d", "A-1", Some(Power::Administrator));
    let operator: Authorised<Operator> = Proven::officer(authority, &first.der).unwrap().acting().unwrap();
    let application = Applied { profile: "officer".into(), applicant: Words { officer: Some("王五".into()), number: Some("B-9".into()), ..Words::default() }, ..application("o") };
    let placed = place(authority, &operator, application.clone()).unwrap();
    assert_eq!(placed.order.state, OrderState::AwaitingApproval);
    assert!(matches!(first.approves(authority, &placed.id), Err(ApproveError::Powerless { by: Power::Administrator })));
    assert!(is_issued(&administrator.approves(authority, &placed.id).unwrap()));
    let direct = Order { profile: "officer".into(), request: application.request, applicant: application.applicant, issuer: None };
    assert!(matches!(issue(authority, operator.clone(), direct), Err(IssueError::ApprovalNeeded { .. })));
    // Whoever ordered does not decide, whatever power the rules ask for.
    let mut rules = office.opened.authority.rules.clone();
    let text = "[issue.enterprise-signing]\nby = \"operator\"\ncounter = 1\nonline = 1\n";
    rules.approvals = policies::authority::Rules::parse(policies::authority::SHIPPED.map(|(file, shipped)| (file, if file == "approvals.toml" { text } else { shipped }))).unwrap().approvals;
    office.opened.authority.rules = rules;
    let authority = office.authority();
    let own = place(authority, &operator, self::application("own")).unwrap();
    for one in [&first, &again] {
        assert!(matches!(one.approves(authority, &own.id), Err(ApproveError::Own)));
    }
    assert!(is_issued(&second.approves(authority, &own.id).unwrap()));
}

#[test]
fn nobody_gets_around_the_approval_of_an_officers_certificate() {
    let office = Office::found();
    let authority = office.authority();
    let (operator, administrator) = (office.granted("b", "B-1", Some(Power::Operator)), office.granted("a", "A-1", Some(Power::Administrator)));
    let other = office.granted("c", "A-2", None);
    let grants: Authorised<Administrator> = Proven::officer(authority, &administrator.der).unwrap().acting().unwrap();
    grant(authority, &grants, &Grant { serial: other.serial.clone(), power: Power::Administrator }).unwrap();
    let operates: Authorised<Operator> = Proven::officer(authority, &operator.der).unwrap().acting().unwrap();
    // A certificate for the very person who would approve it, whoever entered the order.
    let application = Applied { profile: "officer".into(), applicant: Words { officer: Some("陈一".into()), number: Some("a-1".into()), ..Words::default() }, ..application("own") };
    let placed = place(authority, &operates, application.clone()).unwrap();
    assert!(matches!(administrator.approves(authority, &placed.id), Err(ApproveError::Own)));
    let said = other.says(authority, &placed.id, Verdict::Approve, "");
    assert!(!format!("{said:?} {application:?} {:?}", Order { profile: "officer".into(), request: Vec::new(), applicant: application.applicant.clone(), issuer: None }).contains("陈一"));
    assert!(is_issued(&decide(authority, &said).unwrap().state));
    office.verified(&office.exported(&placed.id)).unwrap();
    // An administrator's certificate renewed at the counter, with a key that is whoever's.
    office.clock.advance(Duration::days(320));
    let asked = Renew { serial: administrator.serial.clone(), request: self::application("x").request };
    assert!(matches!(renew(authority, &operates, &asked), Err(SuccessionError::Issue(IssueError::ApprovalNeeded { officers: 1, .. }))));
}

#[test]
fn a_proof_without_one_of_its_parts_is_none() {
    let mut office = Office::found();
    office.two_are_asked_for();
    let authority = office.authority();
    let (first, second) = (office.granted("a", "B-1", Some(Power::Operator)), office.granted("b", "B-2", Some(Power::Operator)));
    let (id, refused) = (office.ordered("1"), office.ordered("2"));
    first.approves(authority, &id).unwrap();
    office.clock.advance(Duration::minutes(1));
    assert!(is_issued(&second.approves(authority, &id).unwrap()));
    decide(authority, &second.says(authority, &refused, Verdict::Refuse, "不符")).unwrap();
    for id in [&id, &refused] {
        let whole = order_proof::Proof::parse(office.exported(id).as_bytes()).unwrap();
        office.verified(&whole.text().unwrap()).unwrap();
        for left_out in 0..whole.entries.len() {
            let mut part = whole.clone();
            part.entries.remove(left_out);
            assert!(office.verified(&part.text().unwrap()).is_err(), "entry {left_out}");
        }
        // The last decision, with what the log says of it.
        let mut part = whole.clone();
        part.decisions.pop();
        let of_kind = |entry: &ca::proof::Entry, kind: u8| base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &entry.leaf).unwrap()[1] == kind;
        let last = part.entries.iter().rposition(|entry| of_kind(entry, 21)).unwrap();
        part.entries.remove(last);
        assert!(matches!(office.verified(&part.text().unwrap()), Err(order_proof::ProofError::Story(_))));
        // An entry of another order's certificate beside its own.
        let other = office.ordered(&format!("other-{id}"));
        first.approves(authority, &other).unwrap();
        second.approves(authority, &other).unwrap();
        let (mut mixed, other) = (order_proof::Proof::parse(office.exported(id).as_bytes()).unwrap(), order_proof::Proof::parse(office.exported(&other).as_bytes()).unwrap());
        office.verified(&mixed.text().unwrap()).unwrap();
        assert_eq!(mixed.checkpoint, other.checkpoint);
        mixed.entries.extend(other.entries.into_iter().filter(|entry| of_kind(entry, 4)));
        assert!(matches!(office.verified(&mixed.text().unwrap()), Err(order_proof::ProofError::Story(_))));
    }
}

#[test]
fn approvals_at_the_same_moment_are_one_after_the_other() {
    let mut office = Office::found();
    office.two_are_asked_for();
    let authority = office.authority();
    let officers: Vec<Officer> = (0..4).map(|number| office.granted(&format!("o{number}"), &format!("B-{number}"), Some(Power::Operator))).collect();
    for round in 0..3 {
        let id = office.ordered(&format!("r{round}"));
        let decided: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = officers.iter().map(|officer| scope.spawn(move || officer.approves(authority, &id))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(decided.iter().filter(|one| one.is_ok()).count() >= 2, "{decided:?}");
        assert!(decided.iter().all(|one| matches!(one, Ok(_) | Err(ApproveError::NotAwaited { .. }))), "{decided:?}");
        assert!(is_issued(&load(authority, &id).unwrap().1.state));
        assert_eq!(office.certificates(), round + 1);
    }
}

#[test]
fn an_officer_who_falls_between_approval_and_issue_counts_no_more() {
    for fall in ["revoked", "withdrawn"] {
        let office = Office::found();
        let (operator, next) = (office.granted("a", "B-1", Some(Power::Operator)), office.granted("b", "B-2", Some(Power::Operator)));
        let id = office.ordered("1");
        // The approval is durable; the service ends before it issues.
        let faulty = Arc::new(Faulty::new(Arc::clone(&office.authority().store)).at(1, Fault::Lost));
        let said = operator.says(office.authority(), &id, Verdict::Approve, "");
        assert_eq!(decide(&office.opened.authority.over(faulty as Arc<dyn Store>), &said).unwrap().state, OrderState::Approved);
        let authority = office.authority();
        match fall {
            "revoked" => drop(revoke(authority, &Authorised::<Operator>::by_ownership(7), &Revoke { serial: operator.serial.clone(), reason: Reason::PrivilegeWithdrawn, at: None, invalid_since: None }).unwrap()),
            _ => drop(withdraw(authority, &Authorised::by_ownership(7), &Withdraw { serial: operator.serial.clone(), power: None }).unwrap()),
        }
        work(authority, None).unwrap();
        assert_eq!(load(authority, &id).unwrap().1.state, OrderState::AwaitingApproval, "{fall}");
        assert_eq!(office.certificates(), 0);
        assert!(operator.approves(authority, &id).is_err());
        assert!(is_issued(&next.approves(authority, &id).unwrap()), "{fall}");
        assert_eq!(office.certificates(), 1);
    }
}

#[test]
fn an_approval_leads_to_one_certificate_at_whatever_commit_the_store_fails() {
    let mut office = Office::found();
    let operator = office.granted("a", "B-1", Some(Power::Operator));
    let mut expected = 0;
    // Decision, intent, certificate.
    for commit in 0..3 {
        for fault in [Fault::Lost, Fault::DoneReportedLost] {
            let at = format!("commit {commit}, {fault:?}");
            let id = office.ordered(&format!("{commit}-{fault:?}"));
            let said = operator.says(office.authority(), &id, Verdict::Approve, "");
            let faulty = Arc::new(Faulty::new(Arc::clone(&office.authority().store)).at(commit, fault));
            let told = decide(&office.opened.authority.over(faulty as Arc<dyn Store>), &said);
            assert_eq!(told.is_ok(), commit > 0, "{at}");
            office = office.reopen();
            work(office.authority(), None).unwrap();
            // Sent again, as one who heard nothing would.
            let again = decide(office.authority(), &said);
            assert!(matches!(again, Ok(_) | Err(ApproveError::NotAwaited { state: "issued" })), "{at}: {again:?}");
            assert!(is_issued(&load(office.authority(), &id).unwrap().1.state), "{at}");
            expected += 1;
            assert_eq!(office.certificates(), expected, "{at}");
            office.verified(&office.exported(&id)).unwrap();
        }
    }
}

#[test]
fn a_changed_record_is_not_issued() {
    let office = Office::found();
    let operator = office.granted("a", "B-1", Some(Power::Operator));
    let id = office.ordered("1");
    let said = operator.says(office.authority(), &id, Verdict::Approve, "");
    let faulty = Arc::new(Faulty::new(Arc::clone(&office.authority().store)).at(1, Fault::Lost));
    decide(&office.opened.authority.over(faulty as Arc<dyn Store>), &said).unwrap();
    // Somebody who can write into the store puts other words under the approval.
    let authority = office.authority();
    let (_, mut order) = load(authority, &id).unwrap();
    order.application.applicant.name = Some("另一家有限公司".into());
    authority.store.commit(store::Batch::new().put(ca::record::OrderRecord::key(&id), ca::record::encode(&order).unwrap())).unwrap();
    let worked = work(authority, None).unwrap();
    assert!(worked.fault.is_none(), "{:?}", worked.fault);
    assert_eq!((load(authority, &id).unwrap().1.state, office.certificates()), (OrderState::AwaitingApproval, 0));
    assert!(matches!(office.verified(&office.exported(&id)), Err(order_proof::ProofError::Content)));
}

#[test]
fn a_proof_stands_alone_and_no_bit_of_it_can_be_turned() {
    let office = Office::found();
    let operator = office.granted("a", "B-1", Some(Power::Operator));
    let id = office.ordered("1");
    assert!(office.verified(&office.exported(&id)).unwrap().serial.is_none());
    office.clock.advance(Duration::minutes(5));
    assert!(is_issued(&operator.approves(office.authority(), &id).unwrap()));
    let proof = office.exported(&id);
    let proven = office.verified(&proof).unwrap();
    assert_eq!((proven.state.as_str(), &proven.approved_by), ("issued", &vec![operator.serial.clone()]));
    assert_eq!(proven.state_at - proven.received_at, 300);
    // Days later, and when the officer is long gone, it is as true as before.
    revoke(office.authority(), &Authorised::<Operator>::by_ownership(7), &Revoke { serial: operator.serial.clone(), reason: Reason::CessationOfOperation, at: None, invalid_since: None }).unwrap();
    office.clock.advance(Duration::days(500));
    office.verified(&proof).unwrap();
    office.verified(&office.exported(&id)).unwrap();
    // Another root, another log's key.
    let (key, root) = (&office.authority().settings.log_key, &office.authority().issuers["root"].record.der);
    let officers = || office.authority().policies.profile("officer").unwrap().policies().to_vec();
    assert!(order_proof::verify(proof.as_bytes(), &office.authority().issuers["tls-ca"].record.der, key, officers()).is_err());
    let stranger = Office::found();
    assert!(order_proof::verify(proof.as_bytes(), root, &stranger.authority().settings.log_key, officers()).is_err());
    assert!(order_proof::verify(proof.as_bytes(), &stranger.authority().issuers["root"].record.der, key, officers()).is_err());
    // Left out, exchanged, put elsewhere.
    let other = office.ordered("2");
    let read: serde_json::Value = serde_json::from_str(&proof).unwrap();
    let elsewhere: serde_json::Value = serde_json::from_str(&office.exported(&other)).unwrap();
    for part in ["application", "request", "decisions", "certificates", "entries", "checkpoint", "order", "state"] {
        let mut changed = order_proof::Proof::parse(proof.as_bytes()).unwrap();
        let mut value = read.clone();
        value[part] = elsewhere[part].clone();
        if let Ok(parsed) = serde_json::from_value(value) {
            changed = parsed;
        }
        assert!(office.verified(&changed.text().unwrap()).is_err(), "{part}");
    }
    let bytes = proof.as_bytes();
    for (at, bit) in (0..bytes.len()).step_by(23).zip((0..8).cycle()) {
        let mut turned = bytes.to_vec();
        turned[at] ^= 1 << bit;
        let refused = order_proof::verify(&turned, root, key, officers());
        assert!(refused.is_err(), "byte {at}, bit {bit}");
    }
}

#[test]
fn a_number_that_is_none_is_not_found() {
    let office = Office::found();
    let id: OrderId = "00112233445566778899aabbccddeeff".parse().unwrap();
    assert!(matches!(load(office.authority(), &id), Err(OrderError::NotFound)));
    assert!(order_proof::export(office.authority(), &office.opened.evidence, &id).is_err());
}
