//! A change of the policies: proposed, approved by others, in force from the next start; files that nobody accepted are
//! refused; at every commit that fails. And the proof of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod office;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ca::documents::Documents;
use ca::flow::act::{decide, load, work};
use ca::flow::approve::ApproveError;
use ca::flow::policies::{PoliciesError, Proposed, propose, standing};
use ca::flow::Authorised;
use ca::init::InitError;
use ca::record::{AcceptedOnce, AcceptedPolicies, ActState, OrderId, PolicyPiece, Verdict, decode as read_record, encode};
use office::{Office, Officer};
use policies::authority::Power;
use store::{Batch, Fault, Faulty, Store};
use time::Duration;

const RENEWED: &str = "authority/suspension.toml";

/// The shipped ones with one document changed.
fn with(place: &str, change: impl Fn(&str) -> String) -> Documents {
    let mut documents: BTreeMap<String, String> = Documents::shipped().into();
    let text = change(&documents[place]);
    assert_ne!(text, documents[place]);
    documents.insert(place.to_owned(), text);
    documents.try_into().unwrap()
}

fn days(days: u8) -> Documents {
    with(RENEWED, |text| text.replace("max_days = 15", &format!("max_days = {days}")))
}

fn edit(home: &Path, days: u8) {
    std::fs::write(home.join("policies").join(RENEWED), days_text(days)).unwrap();
}

fn days_text(days: u8) -> String {
    let documents = if days == 15 { Documents::shipped() } else { self::days(days) };
    documents.get(RENEWED).unwrap().to_owned()
}

fn awaits(proposed: Proposed) -> OrderId {
    match proposed {
        Proposed::Awaits(id, _) => id,
        other @ Proposed::Accepted(_) => panic!("{other:?}"),
    }
}

/// Two administrators and an operator.
fn staffed() -> (Office, Officer, Officer, Officer) {
    let office = Office::found();
    let owner = Authorised::by_ownership(7);
    let operator = office.officer("o", "B-1", Some(Power::Operator), &owner);
    let first = office.officer("a", "A-1", Some(Power::Administrator), &owner);
    let second = office.officer("b", "A-2", Some(Power::Administrator), &first.administers(office.authority()));
    (office, first, second, operator)
}

fn suspension(office: &Office) -> u16 {
    office.authority().rules.suspension.max_days.into()
}

#[test]
fn before_there_are_officers_the_files_count_and_the_log_has_them() {
    let office = Office::found();
    assert_eq!(office.logged(1).len(), 1);
    let office = office.changed(|home| edit(home, 9)).map_err(|(error, _)| error).unwrap();
    assert_eq!((suspension(&office), office.logged(1).len()), (9, 2));
    assert_eq!(standing(office.authority()).unwrap().accepted_sha256, days(9).digest());
    // Proposed, they are accepted at once, gone by at the next start, and the files follow.
    let by = Authorised::by_ownership(7);
    assert!(matches!(propose(office.authority(), &by, &days(8)).unwrap(), Proposed::Accepted(standing) if standing.in_force_sha256 == days(9).digest()));
    assert_eq!((suspension(&office), office.logged(72).len()), (9, 1));
    let office = office.reopen();
    // Nobody need approve them, and they were accepted all the same: the start goes by them and brings the files up to date.
    assert_eq!(suspension(&office), 8);
    assert_eq!(std::fs::read_to_string(office.home.join("policies").join(RENEWED)).unwrap(), days_text(8));
    // Nothing waits any more: the owner's files are the owner's word where nobody else has one.
    let office = office.changed(|home| edit(home, 7)).map_err(|(error, _)| error).unwrap();
    assert_eq!(suspension(&office), 7);
    // Files that changed beside a change that waits are not written over, and the change is not lost either.
    propose(office.authority(), &by, &days(6)).unwrap();
    let Err((error, closed)) = office.changed(|home| edit(home, 5)) else { panic!("one of two changes was lost") };
    assert!(matches!(&error, InitError::NotAccepted { places, .. } if *places == [RENEWED]), "{error}");
    let office = closed.opened(|home| edit(home, 7)).map_err(|(error, _)| error).unwrap();
    assert_eq!(suspension(&office), 6);
}

#[test]
fn approved_is_what_counts_even_when_it_asks_nobody_any_more() {
    const ASKED: &str = "[policies]\nby = [\"administrator\", \"operator\"]\napprovals = 1";
    for asked in ["", "[policies]\nby = [\"administrator\", \"operator\"]\napprovals = 0"] {
        let (office, first, second, _) = staffed();
        let after = with("authority/approvals.toml", |text| text.replace(ASKED, asked));
        let id = awaits(propose(office.authority(), &first.administers(office.authority()), &after).unwrap());
        decide(office.authority(), &second.says_of_act(office.authority(), &id, Verdict::Approve, "")).unwrap();
        let office = office.reopen();
        assert_eq!(Documents::read(&office.home.join("policies")).unwrap(), after);
        let standing = standing(office.authority()).unwrap();
        assert_eq!((standing.act, standing.accepted_sha256, standing.in_force_sha256), (Some(id), after.digest(), after.digest()));
        // And from then on the files count again.
        let office = office.changed(|home| edit(home, 9)).map_err(|(error, _)| error).unwrap();
        assert_eq!(suspension(&office), 9);
    }
}

#[test]
fn what_this_version_brings_leaves_the_act_that_approved_the_rest() {
    let (office, first, second, _) = staffed();
    let id = awaits(propose(office.authority(), &first.administers(office.authority()), &days(9)).unwrap());
    decide(office.authority(), &second.says_of_act(office.authority(), &id, Verdict::Approve, "")).unwrap();
    let office = office.reopen();
    // As an older version would have accepted and read them: without a document that this one ships.
    let mut older: BTreeMap<String, String> = days(9).into();
    older.remove("authority/retention.toml").unwrap();
    let older = Documents::try_from(older).unwrap();
    let store = &office.authority().store;
    let accepted: AcceptedPolicies = read_record(&store.get(&AcceptedPolicies::key()).unwrap().unwrap()).unwrap();
    let mut batch = Batch::new().put(AcceptedPolicies::key(), encode(&AcceptedPolicies { sha256: older.digest(), ..accepted }).unwrap());
    batch = batch.put(AcceptedPolicies::read_last(), older.digest().into_bytes());
    let text: Vec<char> = serde_json::to_string(&older).unwrap().chars().collect();
    for (number, piece) in text.chunks(PolicyPiece::LONGEST / 4).enumerate() {
        batch = batch.put(PolicyPiece::key(&older.digest(), number as u32), encode(&PolicyPiece { text: piece.iter().collect() }).unwrap());
    }
    store.commit(batch).unwrap();
    let office = office.reopen();
    let standing = || standing(office.authority()).unwrap();
    assert_eq!((standing().act, standing().accepted_sha256), (Some(id), days(9).digest()));
    // It is in force and nobody accepted it: log and doctor say so until an administrator does, approved like every change.
    let expected = format!("{{\"before_sha256\":\"{}\",\"sha256\":\"{}\",\"places\":[\"authority/retention.toml\"]}}", older.digest(), days(9).digest());
    assert_eq!(office.logged(94), [expected]);
    assert_eq!(brought_finding(&office), 1);
    let id = awaits(propose(office.authority(), &first.administers(office.authority()), &days(9)).unwrap());
    assert_eq!(decide(office.authority(), &second.says_of_act(office.authority(), &id, Verdict::Approve, "")).unwrap().state, ActState::Done);
    assert_eq!((standing().act, standing().in_force_sha256, brought_finding(&office)), (Some(id), days(9).digest(), 0));
    office.act_verified(&office.act_exported(&id)).unwrap();
    assert!(matches!(propose(office.authority(), &first.administers(office.authority()), &days(9)), Err(PoliciesError::Same)));
    let office = office.reopen();
    assert_eq!((office.logged(94).len(), brought_finding(&office)), (1, 0));
}

/// How often the doctor finds policies that nobody accepted.
fn brought_finding(office: &Office) -> usize {
    let authority = office.authority().over(Arc::clone(&office.authority().store));
    let service = ca::service::Service { authority: Arc::new(authority), evidence: Arc::clone(&office.opened.evidence) };
    let found = ca::doctor::examine(&service).unwrap().findings;
    found.iter().filter(|finding| finding.grade == ca::doctor::Grade::Warn && finding.what.contains("brought authority/retention.toml")).count()
}

fn pieces(office: &Office, documents: &Documents) -> usize {
    let (from, to) = PolicyPiece::all(&documents.digest());
    office.authority().store.scan(&from, &to, 10_000).unwrap().len()
}

#[test]
fn documents_of_a_proposal_that_came_to_nothing_are_forgotten() {
    let (office, first, second, operator) = staffed();
    let authority = office.authority();
    let by = first.administers(authority);
    let (refused, expired) = (awaits(propose(authority, &by, &days(9)).unwrap()), awaits(propose(authority, &by, &days(8)).unwrap()));
    assert!(pieces(&office, &days(9)) > 0 && pieces(&office, &days(8)) > 0);
    decide(authority, &operator.says_of_act(authority, &refused, Verdict::Refuse, "太短")).unwrap();
    assert_eq!((pieces(&office, &days(9)), pieces(&office, &Documents::shipped()) > 0), (0, true));
    // Proposed anew they are there anew.
    let again = awaits(propose(authority, &by, &days(9)).unwrap());
    assert!(pieces(&office, &days(9)) > 0);
    // Of what is accepted meanwhile from another start, the documents stay while one proposal of them is open.
    let accepted = awaits(propose(authority, &by, &days(7)).unwrap());
    assert_eq!(decide(authority, &second.says_of_act(authority, &accepted, Verdict::Approve, "")).unwrap().state, ActState::Done);
    let other = awaits(propose(authority, &by, &days(9)).unwrap());
    assert_ne!(other, again);
    assert!(matches!(decide(authority, &second.says_of_act(authority, &again, Verdict::Approve, "")).unwrap().state, ActState::Refused(ground) if ground.code == "policies-changed"));
    assert!(pieces(&office, &days(9)) > 0);
    assert_eq!(decide(authority, &second.says_of_act(authority, &other, Verdict::Approve, "")).unwrap().state, ActState::Done);
    assert!(pieces(&office, &days(9)) > 0 && pieces(&office, &days(7)) > 0);
    office.clock.advance(Duration::days(8));
    assert_eq!(work(authority).unwrap().expired, 1);
    assert_eq!(pieces(&office, &days(8)), 0);
    // Proved all the same: what was signed is the digest. Those that were accepted after all are there.
    for id in [refused, expired, again, accepted, other] {
        office.act_verified(&office.act_exported(&id)).unwrap();
        assert_eq!(ca::flow::policies::change(authority, &load(authority, &id).unwrap().1).unwrap().is_some(), id != expired);
    }
}

#[test]
fn what_was_in_force_once_stays_though_proposed_again_in_vain() {
    let (office, first, second, operator) = staffed();
    let authority = office.authority();
    let by = first.administers(authority);
    let done = |documents: &Documents| {
        let id = awaits(propose(authority, &by, documents).unwrap());
        assert_eq!(decide(authority, &second.says_of_act(authority, &id, Verdict::Approve, "")).unwrap().state, ActState::Done);
        id
    };
    let acts = [done(&days(9)), done(&days(8)), done(&days(7))];
    let whole = || {
        for id in acts {
            office.act_verified(&office.act_exported(&id)).unwrap();
            assert!(ca::flow::policies::change(authority, &load(authority, &id).unwrap().1).unwrap().is_some());
        }
    };
    let in_vain = |documents: &Documents| {
        let id = awaits(propose(authority, &by, documents).unwrap());
        decide(authority, &operator.says_of_act(authority, &id, Verdict::Refuse, "不改回")).unwrap();
    };
    // Those that the files were before there were officers, and those that acts accepted; also where a version marked nothing.
    for marked in [true, false] {
        for documents in [Documents::shipped(), days(9), days(8)] {
            let once = AcceptedOnce::key(&documents.digest());
            assert_eq!(authority.store.get(&once).unwrap().is_some(), marked);
            in_vain(&documents);
            whole();
            authority.store.commit(Batch::new().delete(once)).unwrap();
        }
    }
    // What never was is forgotten all the same.
    in_vain(&days(6));
    assert_eq!(pieces(&office, &days(6)), 0);
    let expires = awaits(propose(authority, &by, &days(9)).unwrap());
    office.clock.advance(Duration::days(8));
    assert_eq!((work(authority).unwrap().expired, load(authority, &expires).unwrap().1.state), (1, ActState::Expired));
    whole();
}

#[test]
fn only_so_many_proposals_wait_at_one_time() {
    let (mut office, first, _, operator) = staffed();
    office.opened.authority.rules.approvals.proposals.open = 2;
    let authority = office.authority();
    let by = first.administers(authority);
    let ids: Vec<_> = [9, 8].map(|count| awaits(propose(authority, &by, &days(count)).unwrap())).into();
    assert!(matches!(propose(authority, &by, &days(7)), Err(PoliciesError::TooMany { open: 2, .. })));
    assert_eq!(pieces(&office, &days(7)), 0);
    // One that waits already is not one more.
    assert_eq!(awaits(propose(authority, &by, &days(9)).unwrap()), ids[0]);
    decide(authority, &operator.says_of_act(authority, &ids[0], Verdict::Refuse, "不必")).unwrap();
    awaits(propose(authority, &by, &days(7)).unwrap());
    let octets = days(6).octets();
    let (mut office, first, ..) = staffed();
    office.opened.authority.rules.approvals.proposals.octets = octets + octets / 2;
    let authority = office.authority();
    let by = first.administers(authority);
    awaits(propose(authority, &by, &days(9)).unwrap());
    assert!(matches!(propose(authority, &by, &days(8)), Err(PoliciesError::TooMany { open: 1, .. })));
}

#[test]
fn once_a_stricter_rule_is_accepted_the_next_change_goes_by_it_before_any_start() {
    let (office, first, second, operator) = staffed();
    let authority = office.authority();
    let by = first.administers(authority);
    let rule = |approvals: u8| with("authority/approvals.toml", |text| text.replace("[policies]\nby = [\"administrator\", \"operator\"]\napprovals = 1", &format!("[policies]\nby = [\"administrator\", \"operator\"]\napprovals = {approvals}")));
    let id = awaits(propose(authority, &by, &rule(2)).unwrap());
    assert_eq!(decide(authority, &second.says_of_act(authority, &id, Verdict::Approve, "")).unwrap().state, ActState::Done);
    // Back to one, or to none: that takes two by now.
    let back = awaits(propose(authority, &by, &rule(0)).unwrap());
    assert_eq!(decide(authority, &second.says_of_act(authority, &back, Verdict::Approve, "")).unwrap().state, ActState::AwaitingApproval);
    assert_eq!(decide(authority, &operator.says_of_act(authority, &back, Verdict::Approve, "")).unwrap().state, ActState::Done);
    // And what was accepted to ask nobody asks as the rule in force until the next start.
    let id = awaits(propose(authority, &by, &days(9)).unwrap());
    assert_eq!(decide(authority, &second.says_of_act(authority, &id, Verdict::Approve, "")).unwrap().state, ActState::Done);
}

#[test]
fn with_officers_a_change_takes_another_one_and_a_start() {
    let (office, first, second, operator) = staffed();
    let authority = office.authority();
    let by = first.administers(authority);
    let id = awaits(propose(authority, &by, &days(9)).unwrap());
    // The same proposed again, by whomever, is the same act; nonsense is none.
    assert_eq!(awaits(propose(authority, &second.administers(authority), &days(9)).unwrap()), id);
    assert!(matches!(propose(authority, &by, &Documents::shipped()), Err(PoliciesError::Same)));
    assert!(matches!(propose(authority, &by, &days(0)), Err(PoliciesError::Document(error)) if error.file == "suspension.toml"));
    let unmatched = with("authority/approvals.toml", |text| text.replace("[issue.enterprise-signing]", "[issue.no-such]"));
    assert!(matches!(propose(authority, &by, &unmatched), Err(PoliciesError::Unmatched { .. })));
    // Nobody approves what they proposed.
    let said = first.says_of_act(authority, &id, Verdict::Approve, "");
    assert!(matches!(decide(authority, &said), Err(ApproveError::Own)));
    // Another change is proposed beside it; the one that comes second was made of what is no longer accepted.
    let other = awaits(propose(authority, &by, &days(8)).unwrap());
    let said = operator.says_of_act(authority, &id, Verdict::Approve, "");
    assert_eq!(decide(authority, &said).unwrap().state, ActState::Done);
    let late = second.says_of_act(authority, &other, Verdict::Approve, "");
    assert!(matches!(decide(authority, &late).unwrap().state, ActState::Refused(ground) if ground.code == "policies-changed"));
    let expected = format!("{{\"before_sha256\":\"{}\",\"sha256\":\"{}\",\"by\":\"officer:{}\"}}", Documents::shipped().digest(), days(9).digest(), first.serial);
    assert_eq!(office.logged(72), [expected]);
    // Nothing changes under what is being judged; from the next start on it does, and the files follow.
    assert_eq!(suspension(&office), 15);
    let office = office.reopen();
    assert_eq!(suspension(&office), 9);
    assert_eq!(std::fs::read_to_string(office.home.join("policies").join(RENEWED)).unwrap(), days_text(9));
    assert!(office.logged(1).last().unwrap().contains(&days(9).digest()));
    let standing = standing(office.authority()).unwrap();
    assert_eq!((standing.act, standing.in_force_sha256), (Some(id), standing.accepted_sha256));
    // And it is proved, with the documents, to whoever has root and key.
    let proof = office.act_exported(&id);
    let proven = office.act_verified(&proof).unwrap();
    assert_eq!((proven.state.as_str(), proven.approved_by), ("done", vec![operator.serial.clone()]));
    let mut changed = ca::act_proof::ActProof::parse(proof.as_bytes()).unwrap();
    changed.policies = Some(days(7));
    assert!(office.act_verified(&changed.text().unwrap()).is_err());
    changed.policies = None;
    assert!(office.act_verified(&changed.text().unwrap()).is_err());
    office.act_verified(&office.act_exported(&other)).unwrap();
}

#[test]
fn files_that_nobody_accepted_are_refused_and_a_missing_copy_is_written_again() {
    let (office, first, second, _) = staffed();
    let Err((error, closed)) = office.changed(|home| edit(home, 9)) else { panic!("other files were taken") };
    assert!(matches!(&error, InitError::NotAccepted { places, .. } if *places == [RENEWED]), "{error}");
    let problem = runtime::exit::Problem::from(error);
    assert!(problem.code == "policies-not-accepted" && problem.next.contains("ca policy propose"), "{problem:?}");
    // A rule that asks nobody is no way around it, and neither is a document more or less.
    let approvals = |home: &Path| {
        edit(home, 15);
        let file = home.join("policies/authority/approvals.toml");
        std::fs::write(&file, std::fs::read_to_string(&file).unwrap().replace("[policies]\nby = [\"administrator\", \"operator\"]\napprovals = 1", "")).unwrap();
    };
    let Err((error, closed)) = closed.opened(approvals) else { panic!("other rules were taken") };
    assert!(matches!(&error, InitError::NotAccepted { places, .. } if *places == ["authority/approvals.toml"]), "{error}");
    let half = |home: &Path| {
        std::fs::remove_dir_all(home.join("policies")).unwrap();
        std::fs::create_dir_all(home.join("policies/certificates")).unwrap();
    };
    let Err((error, closed)) = closed.opened(half) else { panic!("half of them was taken") };
    assert!(matches!(error, InitError::File { .. }));
    // Moved away, they are written as they were accepted.
    let away = |home: &Path| std::fs::remove_dir_all(home.join("policies")).unwrap();
    let office = closed.opened(away).map_err(|(error, _)| error).unwrap();
    assert_eq!(Documents::read(&office.home.join("policies")).unwrap(), Documents::shipped());
    // Accepted, and the writing cut off half-way: it is gone on with.
    let mut documents: BTreeMap<String, String> = days(9).into();
    documents.insert("practice-statement.md".into(), "# 声明\n".into());
    let documents = Documents::try_from(documents).unwrap();
    let id = awaits(propose(office.authority(), &first.administers(office.authority()), &documents).unwrap());
    decide(office.authority(), &second.says_of_act(office.authority(), &id, Verdict::Approve, "")).unwrap();
    let office = office.changed(|home| edit(home, 9)).map_err(|(error, _)| error).unwrap();
    assert_eq!(Documents::read(&office.home.join("policies")).unwrap(), documents);
    assert_eq!(suspension(&office), 9);
}

#[test]
fn a_change_is_accepted_once_at_whatever_commit_the_store_fails() {
    // Proposal, decision, acceptance.
    for commit in 0..3 {
        for fault in [Fault::Lost, Fault::DoneReportedLost] {
            let at = format!("commit {commit}, {fault:?}");
            let (office, first, second, _) = staffed();
            let whole = office.authority();
            let faulty = Arc::new(Faulty::new(Arc::clone(&whole.store)).at(commit, fault));
            let failing = whole.over(faulty as Arc<dyn Store>);
            assert_eq!(propose(&failing, &first.administers(whole), &days(9)).is_ok(), commit > 0, "{at}");
            let id = awaits(propose(whole, &first.administers(whole), &days(9)).unwrap());
            let said = second.says_of_act(whole, &id, Verdict::Approve, "");
            assert_eq!(decide(&failing, &said).is_ok(), commit > 1, "{at}");
            drop(failing);
            let office = office.reopen();
            let again = decide(office.authority(), &said);
            assert!(matches!(again, Ok(_) | Err(ApproveError::NotAwaited { .. })), "{at}: {again:?}");
            work(office.authority()).unwrap();
            assert_eq!((load(office.authority(), &id).unwrap().1.state, office.logged(72).len()), (ActState::Done, 1), "{at}");
            assert_eq!(suspension(&office.reopen()), 9, "{at}");
        }
    }
}

#[test]
fn a_proposal_that_nobody_decides_on_changes_nothing() {
    let (office, first, _, operator) = staffed();
    let id = awaits(propose(office.authority(), &first.administers(office.authority()), &days(9)).unwrap());
    let refused = awaits(propose(office.authority(), &first.administers(office.authority()), &days(8)).unwrap());
    decide(office.authority(), &operator.says_of_act(office.authority(), &refused, Verdict::Refuse, "太短")).unwrap();
    office.clock.advance(Duration::days(8));
    assert_eq!(work(office.authority()).unwrap().expired, 1);
    assert_eq!(load(office.authority(), &id).unwrap().1.state, ActState::Expired);
    let office = office.reopen();
    assert_eq!((suspension(&office), office.logged(72).len()), (15, 0));
}

#[test]
fn no_change_locks_every_officer_out() {
    let (office, first, second, operator) = staffed();
    let authority = office.authority();
    let by = first.administers(authority);
    let proposed = |documents: &Documents| propose(authority, &by, documents);
    let unfit = |documents: &Documents| assert!(matches!(proposed(documents), Err(PoliciesError::OfficersUnfit { officers: 3 })), "{:?}", proposed(documents));
    unfit(&with("certificates/officer.toml", |text| text.replace("policies = [\".6.1\"]", "policies = [\".6.9\"]")));
    unfit(&with("certificates/arc.toml", |text| text.replace("32473", "32474")));
    let approvals = |approvals: u8| with("authority/approvals.toml", |text| text.replace("[policies]\nby = [\"administrator\", \"operator\"]\napprovals = 1", &format!("[policies]\nby = [\"administrator\", \"operator\"]\napprovals = {approvals}")));
    // Three persons, of whom one proposes.
    assert!(matches!(proposed(&approvals(3)), Err(PoliciesError::TooFewApprove { approvals: 3, there: 2 })));
    // What still fits may be changed to: a second policy beside the first, and as many approvals as there are others.
    awaits(proposed(&with("certificates/officer.toml", |text| text.replace("policies = [\".6.1\"]", "policies = [\".6.1\", \".6.9\"]"))).unwrap());
    let id = awaits(proposed(&approvals(2)).unwrap());
    // Judged once more when it is accepted: by then one of them holds no power.
    ca::flow::officer::withdraw(authority, &by, &ca::flow::officer::Withdraw { serial: operator.serial, power: None }).unwrap();
    let said = second.says_of_act(authority, &id, Verdict::Approve, "");
    assert!(matches!(decide(authority, &said).unwrap().state, ActState::Refused(ground) if ground.code == "officers-locked-out"));
    assert_eq!(office.logged(72).len(), 0);
}
