//! Acts that other officers approve: powers granted and what is done in bulk. Who may decide, over which bytes; at every
//! commit that fails, at the same moment, and when somebody falls between approval and act. And the proof of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod office;

use std::sync::Arc;

use ca::act_proof;
use ca::authority::Authority;
use ca::flow::act::{ask_grant, ask_registrar, decide, list, load, work};
use ca::flow::approve::{ApproveError, Decided};
use ca::flow::bulk::{self, BulkError, BulkOrder, Chosen, Ordered};
use ca::flow::issue::{Order, issue};
use ca::flow::plan::Words;
use ca::flow::registrar::{self, SetRegistrar};
use ca::flow::officer::{Grant, Withdraw, grant, withdraw};
use ca::flow::publish::publish;
use ca::flow::revoke::{Revoke, revoke};
use ca::flow::{Administrator, Authorised, Operator, Proven};
use ca::order_proof::ProofError;
use ca::problem::{IssueError, OfficerError};
use ca::record::{ActDecision, ActRecord, ActState, BulkAct, CertificateRecord, Item, OrderId, Reason, Stage, Status, Verdict, decode, encode, serial_text};
use office::{CODE, Office, Officer, company, new_request};
use policies::authority::Power;
use runtime::clock::Clock;
use store::{Fault, Faulty, Store};
use time::Duration;

impl Officer {
    fn approves(&self, authority: &Authority, id: &OrderId) -> Result<ActState, ApproveError> {
        decide(authority, &self.says_of_act(authority, id, Verdict::Approve, "")).map(|act| act.state)
    }
}

/// What the tests of acts ask an office besides.
trait Acts {
    fn holds(&self, officer: &Officer, power: Power) -> bool;
    fn certificates(&self, count: usize) -> Vec<Vec<u8>>;
    fn revoked(&self, serials: &[Vec<u8>]) -> usize;
}

impl Acts for Office {
    fn holds(&self, officer: &Officer, power: Power) -> bool {
        Proven::officer(self.authority(), &officer.der).is_ok_and(|proven| proven.powers().contains(&power))
    }

    fn certificates(&self, count: usize) -> Vec<Vec<u8>> {
        let one = |_| {
            let order = Order { profile: "enterprise-signing".into(), request: new_request(), applicant: company(CODE), issuer: None };
            issue(self.authority(), Authorised::<Operator>::service(), order).unwrap().what().serial.clone()
        };
        (0..count).map(one).collect()
    }

    fn revoked(&self, serials: &[Vec<u8>]) -> usize {
        let record = |serial: &Vec<u8>| decode::<CertificateRecord>(&self.authority().store.get(&CertificateRecord::key(serial)).unwrap().unwrap()).unwrap();
        serials.iter().filter(|serial| matches!(record(serial).status, Status::Revoked(_))).count()
    }
}

/// An operator, and two administrators of whom the first has two certificates.
fn staffed() -> (Office, Staff) {
    let office = Office::found();
    let owner = Authorised::by_ownership(7);
    let operator = office.officer("o", "B-1", Some(Power::Operator), &owner);
    let first = office.officer("a", "A-1", Some(Power::Administrator), &owner);
    let by = first.administers(office.authority());
    let again = office.officer("a2", "a-1", Some(Power::Administrator), &by);
    let second = office.officer("b", "A-2", Some(Power::Administrator), &by);
    (office, Staff { first, again, second, operator })
}

struct Staff {
    first: Officer,
    again: Officer,
    second: Officer,
    operator: Officer,
}

fn one(officer: &Officer, power: Power) -> Grant {
    Grant { serial: officer.serial.clone(), power }
}

fn in_bulk(incident: &str, serials: &[Vec<u8>]) -> BulkOrder {
    let chosen = Chosen::Serials(serials.iter().map(|serial| serial_text(serial)).collect());
    BulkOrder { incident: incident.into(), act: BulkAct::Revoke, reason: Some(Reason::Superseded), chosen, execute: true, confirm: None }
}

fn awaits(ordered: Ordered) -> OrderId {
    match ordered {
        Ordered::Awaits(id) => id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn with_two_administrators_a_power_takes_both() {
    let (office, staff) = staffed();
    let authority = office.authority();
    let by = staff.first.administers(authority);
    let new = office.officer("c", "B-2", None, &by);
    assert!(matches!(grant(authority, &by, &one(&new, Power::Operator)), Err(OfficerError::ApprovalNeeded { approvals: 1 })));
    let (id, act) = ask_grant(authority, &by, &one(&new, Power::Operator)).unwrap();
    assert_eq!(act.state, ActState::AwaitingApproval);
    // Asked for again, by whomever, it is the same act; another power is another.
    assert_eq!(ask_grant(authority, &staff.second.administers(authority), &one(&new, Power::Operator)).unwrap().0, id);
    assert_ne!(ask_grant(authority, &by, &one(&new, Power::Auditor)).unwrap().0, id);
    assert_eq!(list(authority).unwrap().len(), 2);
    // Nobody approves the own, by whatever certificate; nor without the power.
    for own in [&staff.first, &staff.again] {
        assert!(matches!(own.approves(authority, &id), Err(ApproveError::Own)));
        assert!(matches!(decide(authority, &own.says_of_act(authority, &id, Verdict::Refuse, "错了")), Err(ApproveError::Own)));
    }
    assert!(matches!(staff.operator.approves(authority, &id), Err(ApproveError::PowerlessForAct { .. })));
    assert!(matches!(new.approves(authority, &id), Err(ApproveError::Officer(OfficerError::NoPowers { .. }))));
    // It is these words that are signed.
    let said = staff.second.says_of_act(authority, &id, Verdict::Approve, "");
    let again = |change: &dyn Fn(&mut ActDecision)| {
        let mut decision = ActDecision::parse(&said.decision).unwrap();
        change(&mut decision);
        let text = decision.text().unwrap();
        decide(authority, &Decided { order: id, signature: staff.second.signed(&text, authority.clock.now()), decision: text })
    };
    let other = ca::record::Deed::GrantPower { serial: new.serial.clone(), certificate_sha256: "ab".repeat(32), power: Power::Operator };
    assert!(matches!(again(&|decision| decision.act = other.clone()), Err(ApproveError::Other)));
    assert!(matches!(again(&|decision| decision.asked_by = "uid:7".into()), Err(ApproveError::Other)));
    assert!(matches!(again(&|decision| decision.at -= 901), Err(ApproveError::Time)));
    assert!(matches!(again(&|decision| decision.decision = Verdict::Refuse), Err(ApproveError::Reason)));
    let mut turned = said.clone();
    turned.decision = turned.decision.replace("operator", "auditor");
    assert!(matches!(decide(authority, &turned), Err(ApproveError::Signed(_))));
    assert!(!office.holds(&new, Power::Operator));
    assert_eq!(decide(authority, &said).unwrap().state, ActState::Done);
    assert!(office.holds(&new, Power::Operator));
    assert!(matches!(decide(authority, &said), Err(ApproveError::NotAwaited { state: "done" })));
    // The other can be done no more: nobody is operator and auditor.
    let (other, _) = list(authority).unwrap()[0];
    assert!(matches!(staff.second.approves(authority, &other).unwrap(), ActState::Refused(ground) if ground.code == "excluded"));
    assert!(list(authority).unwrap().is_empty());
    assert_eq!(office.logged(10).last().unwrap(), &format!("{{\"serial\":\"{}\",\"power\":\"operator\",\"by\":\"officer:{}\"}}", new.serial, staff.first.serial));
    assert!(office.logged(23).iter().chain(&office.logged(24)).chain(&office.logged(25)).all(|entry| !entry.contains('陈') && !entry.contains("B-2") && !entry.contains(&id.to_string())));
    // And it is proved, long after whoever approved is gone.
    let proof = office.act_exported(&id);
    revoke(authority, &Authorised::<Operator>::by_ownership(7), &Revoke { serial: staff.second.serial.clone(), reason: Reason::CessationOfOperation, at: None, invalid_since: None }).unwrap();
    let proven = office.act_verified(&proof).unwrap();
    assert_eq!((proven.state.as_str(), &proven.approved_by, proven.asked_by), ("done", &vec![staff.second.serial.clone()], format!("officer:{}", staff.first.serial)));
    office.act_verified(&office.act_exported(&other)).unwrap();
    let stranger = Office::found();
    assert!(stranger.act_verified(&proof).is_err());
    let mut changed = act_proof::ActProof::parse(proof.as_bytes()).unwrap();
    changed.entries.pop();
    assert!(office.act_verified(&changed.text().unwrap()).is_err());
    for (at, bit) in (0..proof.len()).step_by(41).zip((0..8).cycle()) {
        let mut bytes = proof.clone().into_bytes();
        bytes[at] ^= 1 << bit;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(office.act_verified(&text).is_err(), "byte {at}, bit {bit}");
    }
}

#[test]
fn with_two_administrators_a_registrar_takes_both() {
    let (office, staff) = staffed();
    let authority = office.authority();
    let by = staff.first.administers(authority);
    let applicant = Words { dns: vec!["mx.mail.example.cn".into()], ..Words::default() };
    let issued = issue(authority, Authorised::<Operator>::service(), Order { profile: "registrar".into(), request: new_request(), applicant, issuer: None }).unwrap();
    let serial = serial_text(&issued.what().serial);
    let order = |domain: &str| SetRegistrar { serial: serial.clone(), domain: domain.into() };
    assert!(matches!(registrar::set(authority, &by, &order("mail.example.cn")), Err(OfficerError::ApprovalNeeded { approvals: 1 })));
    let (id, act) = ask_registrar(authority, &by, &order("Mail.Example.cn")).unwrap();
    assert_eq!((act.state, registrar::list(authority).unwrap().len()), (ActState::AwaitingApproval, 0));
    assert_eq!(ask_registrar(authority, &by, &order("mail.example.cn")).unwrap().0, id);
    assert!(matches!(staff.again.approves(authority, &id), Err(ApproveError::Own)));
    assert!(matches!(staff.operator.approves(authority, &id), Err(ApproveError::PowerlessForAct { .. })));
    assert_eq!(staff.second.approves(authority, &id).unwrap(), ActState::Done);
    assert_eq!(registrar::list(authority).unwrap()[0].domain.as_deref(), Some("mail.example.cn"));
    assert_eq!(office.logged(90), [format!("{{\"serial\":\"{serial}\",\"domain\":\"mail.example.cn\",\"by\":\"officer:{}\"}}", staff.first.serial)]);
    // Said again, it is so; another domain takes both again, and distrust nobody.
    registrar::set(authority, &by, &order("mail.example.cn")).unwrap();
    let (other, _) = ask_registrar(authority, &by, &order("mail.other.cn")).unwrap();
    registrar::withdraw(authority, &by, &serial).unwrap();
    // What is asked for of a certificate that fell meanwhile is refused.
    revoke(authority, &Authorised::<Operator>::by_ownership(7), &Revoke { serial: serial.clone(), reason: Reason::CessationOfOperation, at: None, invalid_since: None }).unwrap();
    assert!(matches!(staff.second.approves(authority, &other).unwrap(), ActState::Refused(ground) if ground.code.contains("revoked")));
    assert_eq!(registrar::list(authority).unwrap()[0].domain, None);
    let proof = office.act_exported(&id);
    let proven = office.act_verified(&proof).unwrap();
    assert_eq!((proven.state.as_str(), proven.approved_by), ("done", vec![staff.second.serial.clone()]));
    office.act_verified(&office.act_exported(&other)).unwrap();
    let mut changed = act_proof::ActProof::parse(proof.as_bytes()).unwrap();
    changed.certificate = None;
    assert!(office.act_verified(&changed.text().unwrap()).is_err());
    let Some(ca::record::Deed::SetRegistrar { domain, .. }) = Some(&mut changed.asked.deed) else { panic!() };
    *domain = "mail.other.cn".into();
    assert!(office.act_verified(&changed.text().unwrap()).is_err());
}

#[test]
fn nobody_approves_what_is_granted_to_themselves() {
    let (office, staff) = staffed();
    let authority = office.authority();
    let renewed = office.officer("b2", "a-2", None, &staff.first.administers(authority));
    let (id, _) = ask_grant(authority, &staff.first.administers(authority), &one(&renewed, Power::Administrator)).unwrap();
    assert!(matches!(staff.second.approves(authority, &id), Err(ApproveError::Beneficiary)));
    // Nobody else can: it ends by itself. Asked for by themselves, the other one approves it.
    office.clock.advance(Duration::days(8));
    assert_eq!(work(authority).unwrap().expired, 1);
    assert_eq!(load(authority, &id).unwrap().1.state, ActState::Expired);
    publish(authority, &Authorised::service(), &authority.issuers["officer-ca"]).unwrap();
    let (id, _) = ask_grant(authority, &staff.second.administers(authority), &one(&renewed, Power::Administrator)).unwrap();
    assert_eq!(staff.first.approves(authority, &id).unwrap(), ActState::Done);
    assert!(office.holds(&renewed, Power::Administrator));
    // Whoever is left alone grants by themselves.
    let by = staff.first.administers(authority);
    for serial in [&staff.second.serial, &renewed.serial] {
        withdraw(authority, &by, &Withdraw { serial: serial.clone(), power: None }).unwrap();
    }
    office.clock.advance(Duration::days(8));
    office.officer("d", "A-9", Some(Power::Administrator), &by);
}

#[test]
fn nobody_makes_themselves_the_only_administrator_and_grants_alone() {
    let (office, staff) = staffed();
    let authority = office.authority();
    let puppet = office.officer("p", "B-9", None, &staff.first.administers(authority));
    let grants = |by: &Authorised<Administrator>| ca::flow::officer::grant(authority, by, &one(&puppet, Power::Operator));
    let refused = |by: &Authorised<Administrator>| matches!(grants(by), Err(OfficerError::ApprovalNeeded { approvals: 1 }));
    let by = staff.first.administers(authority);
    assert!(refused(&by));
    // The other one suspended by an operator, resumed, revoked, or withdrawn by whoever wants to be alone: all the same.
    let operator = Authorised::<Operator>::by_ownership(7);
    ca::flow::hold::suspend(authority, &operator, &staff.second.serial).unwrap();
    assert!(refused(&by));
    ca::flow::hold::resume(authority, &operator, &ca::flow::hold::Resume { serial: staff.second.serial.clone(), freeze: None }).unwrap();
    withdraw(authority, &by, &Withdraw { serial: staff.second.serial.clone(), power: None }).unwrap();
    assert!(refused(&by));
    // Nor is the power given back without approval, and nobody is left who could approve: it takes the days.
    assert!(matches!(ca::flow::officer::grant(authority, &by, &Grant { serial: staff.second.serial.clone(), power: Power::Administrator }), Err(OfficerError::ApprovalNeeded { .. })));
    office.clock.advance(Duration::days(6));
    assert!(refused(&by));
    office.clock.advance(Duration::days(2));
    grants(&by).unwrap();
}

#[test]
fn two_administrators_end_an_authority_and_no_officer_does_alone() {
    let (office, staff) = staffed();
    let authority = office.authority();
    let by = staff.first.administers(authority);
    let issuer = authority.issuers["enterprise-ca"].serial.clone();
    let holders = office.certificates(1);
    // Named with others it is refused by itself, as ever.
    let order = in_bulk("MIXED", &[issuer.clone(), holders[0].clone()]);
    assert!(matches!(bulk::order(authority, &by, &order).unwrap(), Ordered::Incident(_)));
    bulk::step(authority, &by, "MIXED", BulkAct::Revoke).unwrap();
    assert_eq!((office.revoked(&holders), office.revoked(std::slice::from_ref(&issuer))), (1, 0));
    let id = awaits(bulk::order(authority, &by, &in_bulk("END", std::slice::from_ref(&issuer))).unwrap());
    // Not even by whoever sent the other one away a moment ago.
    let (alone, others) = staffed();
    let first = others.first.administers(alone.authority());
    withdraw(alone.authority(), &first, &Withdraw { serial: others.second.serial.clone(), power: None }).unwrap();
    awaits(bulk::order(alone.authority(), &first, &in_bulk("ALONE", std::slice::from_ref(&alone.authority().issuers["enterprise-ca"].serial))).unwrap());
    assert!(matches!(staff.operator.approves(authority, &id), Err(ApproveError::PowerlessForAct { .. })));
    assert!(matches!(staff.again.approves(authority, &id), Err(ApproveError::Own)));
    assert_eq!(staff.second.approves(authority, &id).unwrap(), ActState::Done);
    bulk::work(authority).unwrap();
    assert_eq!(office.revoked(std::slice::from_ref(&issuer)), 1);
    office.act_verified(&office.act_exported(&id)).unwrap();
    let refused = issue(authority, Authorised::<Operator>::service(), Order { profile: "enterprise-signing".into(), request: new_request(), applicant: company(CODE), issuer: None });
    assert!(matches!(refused, Err(IssueError::IssuerRevoked { issuer }) if issuer == "enterprise-ca"));
}

#[test]
fn many_small_acts_in_bulk_are_a_large_one() {
    let (mut office, staff) = staffed();
    office.rules(|text| text.replace("above = 100", "above = 3"));
    let authority = office.authority();
    let by = staff.first.administers(authority);
    let serials = office.certificates(7);
    assert!(matches!(bulk::order(authority, &by, &in_bulk("A", &serials[..2])).unwrap(), Ordered::Incident(_)));
    assert!(matches!(bulk::order(authority, &by, &in_bulk("B", &serials[2..3])).unwrap(), Ordered::Incident(_)));
    awaits(bulk::order(authority, &by, &in_bulk("C", &serials[3..4])).unwrap());
    // At the same moment, too: of several that began without approval each saw those before it.
    office.clock.advance(Duration::days(2));
    let more = office.certificates(8);
    let names: Vec<String> = (0..4).map(|number| format!("AT-ONCE-{number}")).collect();
    let begun = std::thread::scope(|scope| {
        let asking: Vec<_> = names.iter().zip(more.chunks(2)).map(|(name, serials)| scope.spawn(|| bulk::order(authority, &staff.first.administers(authority), &in_bulk(name, serials)).unwrap())).collect();
        asking.into_iter().map(|one| one.join().unwrap()).filter(|one| matches!(one, Ordered::Incident(_))).count()
    });
    assert_eq!(begun, 1);
    // A day later it is a small one.
    office.clock.advance(Duration::days(1));
    assert!(matches!(bulk::order(authority, &by, &in_bulk("D", &serials[4..6])).unwrap(), Ordered::Incident(_)));
}

#[test]
fn whoever_falls_between_approval_and_act_counts_no_more() {
    for fall in ["approver withdrawn", "approver revoked", "asker withdrawn", "asker revoked", "certificate revoked"] {
        let (office, staff) = staffed();
        let whole = office.authority();
        let new = office.officer("c", "B-2", None, &staff.first.administers(whole));
        let (id, _) = ask_grant(whole, &staff.first.administers(whole), &one(&new, Power::Operator)).unwrap();
        // The approval is durable; the service ends before it grants.
        let faulty = Arc::new(Faulty::new(Arc::clone(&whole.store)).at(1, Fault::Lost));
        let said = staff.second.says_of_act(whole, &id, Verdict::Approve, "");
        assert_eq!(decide(&office.opened.authority.over(faulty as Arc<dyn Store>), &said).unwrap().state, ActState::Approved, "{fall}");
        let serial = match fall.split_once(' ').unwrap().0 {
            "approver" => &staff.second.serial,
            "asker" => &staff.first.serial,
            _ => &new.serial,
        };
        if fall.ends_with("revoked") {
            revoke(whole, &Authorised::<Operator>::by_ownership(7), &Revoke { serial: serial.clone(), reason: Reason::PrivilegeWithdrawn, at: None, invalid_since: None }).unwrap();
        } else {
            let by = if fall.starts_with("asker") { staff.second.administers(whole) } else { staff.first.administers(whole) };
            withdraw(whole, &by, &Withdraw { serial: serial.clone(), power: None }).unwrap();
        }
        let worked = work(whole).unwrap();
        assert!(worked.fault.is_none() && worked.done == 0, "{fall}: {:?}", worked.fault);
        let state = load(whole, &id).unwrap().1.state;
        match fall {
            "approver withdrawn" | "approver revoked" => assert_eq!(state, ActState::AwaitingApproval, "{fall}"),
            "asker withdrawn" => assert!(matches!(&state, ActState::Refused(ground) if ground.code == "no-powers"), "{state:?}"),
            _ => assert!(matches!(&state, ActState::Refused(ground) if ground.code == "officer-revoked"), "{state:?}"),
        }
        assert!(!office.holds(&new, Power::Operator), "{fall}");
        office.act_verified(&office.act_exported(&id)).unwrap();
    }
}

#[test]
fn an_approved_power_is_granted_once_at_whatever_commit_the_store_fails() {
    // Asking, decision, act.
    for commit in 0..3 {
        for fault in [Fault::Lost, Fault::DoneReportedLost] {
            let at = format!("commit {commit}, {fault:?}");
            let (office, staff) = staffed();
            let whole = office.authority();
            let new = office.officer("c", "B-2", None, &staff.first.administers(whole));
            let faulty = Arc::new(Faulty::new(Arc::clone(&whole.store)).at(commit, fault));
            let failing = office.opened.authority.over(faulty as Arc<dyn Store>);
            let asked = ask_grant(&failing, &staff.first.administers(whole), &one(&new, Power::Operator));
            assert_eq!(asked.is_ok(), commit > 0, "{at}");
            // Asked for again, as one who heard nothing would.
            let (id, _) = ask_grant(whole, &staff.first.administers(whole), &one(&new, Power::Operator)).unwrap();
            let said = staff.second.says_of_act(whole, &id, Verdict::Approve, "");
            // A store that failed refuses all until it is opened again.
            assert_eq!(decide(&failing, &said).is_ok(), commit > 1, "{at}");
            drop(failing);
            let office = office.reopen();
            let again = decide(office.authority(), &said);
            assert!(matches!(again, Ok(_) | Err(ApproveError::NotAwaited { .. })), "{at}: {again:?}");
            work(office.authority()).unwrap();
            assert_eq!(load(office.authority(), &id).unwrap().1.state, ActState::Done, "{at}");
            assert!(office.holds(&new, Power::Operator), "{at}");
            assert_eq!(office.logged(10).iter().filter(|entry| entry.contains(&new.serial)).count(), 1, "{at}");
            office.act_verified(&office.act_exported(&id)).unwrap();
        }
    }
}

#[test]
fn at_the_same_moment_it_is_one_act_done_once() {
    let (office, staff) = staffed();
    let authority = office.authority();
    let third = office.officer("e", "A-3", None, &staff.first.administers(authority));
    let (id, _) = ask_grant(authority, &staff.first.administers(authority), &one(&third, Power::Administrator)).unwrap();
    assert_eq!(staff.second.approves(authority, &id).unwrap(), ActState::Done);
    for round in 0..3 {
        let new = office.officer(&format!("n{round}"), &format!("C-{round}"), None, &staff.first.administers(authority));
        let asked: Vec<OrderId> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| ask_grant(authority, &staff.first.administers(authority), &one(&new, Power::Auditor)).unwrap().0)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(asked.iter().all(|id| *id == asked[0]));
        let decided: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = [&staff.second, &third].into_iter().map(|officer| scope.spawn(|| officer.approves(authority, &asked[0]))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(decided.iter().any(Result::is_ok) && decided.iter().all(|one| matches!(one, Ok(_) | Err(ApproveError::NotAwaited { .. }))), "{decided:?}");
        assert_eq!(load(authority, &asked[0]).unwrap().1.state, ActState::Done);
        assert_eq!(office.logged(10).iter().filter(|entry| entry.contains(&new.serial)).count(), 1);
    }
}

#[test]
fn many_certificates_are_revoked_once_others_saw_the_list() {
    let (mut office, staff) = staffed();
    office.rules(|text| text.replace("above = 100", "above = 3"));
    let authority = office.authority();
    let by = staff.first.administers(authority);
    let serials = office.certificates(6);
    // So few pass as before.
    assert!(matches!(bulk::order(authority, &by, &in_bulk("FEW", &serials[..3])).unwrap(), Ordered::Incident(incident) if incident.stage == Stage::Running));
    let order = in_bulk("INC-1", &serials);
    let id = awaits(bulk::order(authority, &by, &order).unwrap());
    assert_eq!(awaits(bulk::order(authority, &by, &order).unwrap()), id);
    assert!(matches!(bulk::order(authority, &by, &in_bulk("INC-1", &serials[1..])), Err(BulkError::Differs { .. })));
    assert_eq!(bulk::step(authority, &by, "INC-1", BulkAct::Revoke).unwrap().stage, Stage::Awaiting);
    assert!(bulk::work(authority).unwrap().is_none());
    assert!(matches!(staff.again.approves(authority, &id), Err(ApproveError::Own)));
    // Refused, it may be begun anew, with what is right.
    assert!(matches!(decide(authority, &staff.operator.says_of_act(authority, &id, Verdict::Refuse, "名单有误")).unwrap().state, ActState::Refused(_)));
    assert_eq!(office.revoked(&serials), 0);
    let id = awaits(bulk::order(authority, &by, &in_bulk("INC-1", &serials[1..])).unwrap());
    assert_eq!(staff.operator.approves(authority, &id).unwrap(), ActState::Done);
    while bulk::work(authority).unwrap().is_some() {}
    assert_eq!((office.revoked(&serials), office.revoked(&serials[..1])), (5, 0));
    assert!(matches!(bulk::order(authority, &by, &in_bulk("INC-1", &serials[1..])).unwrap(), Ordered::Incident(incident) if incident.stage == Stage::Done && incident.done == 5));
    let proven = office.act_verified(&office.act_exported(&id)).unwrap();
    assert_eq!((proven.state.as_str(), proven.approved_by), ("done", vec![staff.operator.serial.clone()]));
    // Left alone, it ends.
    let id = awaits(bulk::order(authority, &by, &in_bulk("INC-2", &serials)).unwrap());
    office.clock.advance(Duration::days(8));
    assert_eq!(work(authority).unwrap().expired, 1);
    assert!(matches!(staff.operator.approves(authority, &id), Err(ApproveError::NotAwaited { state: "expired" })));
}

#[test]
fn a_changed_list_is_not_revoked() {
    let (mut office, staff) = staffed();
    office.rules(|text| text.replace("above = 100", "above = 1"));
    let authority = office.authority();
    let serials = office.certificates(3);
    let id = awaits(bulk::order(authority, &staff.first.administers(authority), &in_bulk("INC-1", &serials[..2])).unwrap());
    let said = staff.operator.says_of_act(authority, &id, Verdict::Approve, "");
    // Somebody who can write into the store puts another certificate under the approval.
    let item = Item { serial: serials[2].clone(), came: None };
    authority.store.commit(store::Batch::new().put(Item::key("INC-1", BulkAct::Revoke, 1), encode(&item).unwrap())).unwrap();
    assert!(matches!(decide(authority, &said).unwrap().state, ActState::Refused(ground) if ground.code == "incident-differs"));
    assert!(bulk::work(authority).unwrap().is_none());
    assert_eq!(office.revoked(&serials), 0);
    // The same with the words of a grant: what stands in the store is not what was signed.
    let new = office.officer("c", "B-2", None, &staff.first.administers(authority));
    let (id, _) = ask_grant(authority, &staff.first.administers(authority), &one(&new, Power::Operator)).unwrap();
    let faulty = Arc::new(Faulty::new(Arc::clone(&authority.store)).at(1, Fault::Lost));
    assert_eq!(decide(&office.opened.authority.over(faulty as Arc<dyn Store>), &staff.second.says_of_act(authority, &id, Verdict::Approve, "")).unwrap().state, ActState::Approved);
    let mut act: ActRecord = load(authority, &id).unwrap().1;
    if let ca::record::Deed::GrantPower { power, .. } = &mut act.asked.deed {
        *power = Power::Administrator;
    }
    authority.store.commit(store::Batch::new().put(ActRecord::key(&id), encode(&act).unwrap())).unwrap();
    assert_eq!(work(authority).unwrap().done, 0);
    assert!(Proven::officer(authority, &new.der).is_err());
    assert!(matches!(office.act_verified(&office.act_exported(&id)), Err(ProofError::Content)));
}

#[test]
fn an_approved_list_is_worked_off_at_whatever_commit_the_store_fails() {
    let (mut office, staff) = staffed();
    // Gathering, its list, asking; then decision, beginning, portion.
    for commit in 0..6 {
        for fault in [Fault::Lost, Fault::DoneReportedLost] {
            office.rules(|text| text.replace("above = 100", "above = 1"));
            let at = format!("commit {commit}, {fault:?}");
            let incident = format!("INC-{commit}-{fault:?}");
            let serials = office.certificates(2);
            let whole = office.authority();
            let failing = office.opened.authority.over(Arc::new(Faulty::new(Arc::clone(&whole.store)).at(commit, fault)) as Arc<dyn Store>);
            let by = staff.first.administers(whole);
            let _ = bulk::order(&failing, &by, &in_bulk(&incident, &serials));
            let id = awaits(bulk::order(whole, &by, &in_bulk(&incident, &serials)).unwrap());
            let said = staff.operator.says_of_act(whole, &id, Verdict::Approve, "");
            let _ = decide(&failing, &said);
            let _ = bulk::work(&failing);
            drop(failing);
            office = office.reopen();
            let authority = office.authority();
            let again = decide(authority, &said);
            assert!(matches!(again, Ok(_) | Err(ApproveError::NotAwaited { .. })), "{at}: {again:?}");
            work(authority).unwrap();
            while bulk::work(authority).unwrap().is_some() {}
            assert_eq!(office.revoked(&serials), 2, "{at}");
            let begun = |kind: u8| office.logged(kind).iter().filter(|entry| entry.contains(&incident)).count();
            assert_eq!((begun(58), begun(59)), (1, 1), "{at}");
            office.act_verified(&office.act_exported(&id)).unwrap();
        }
    }
}

