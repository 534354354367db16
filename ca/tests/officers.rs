//! Officers through days of a clock of our own: who becomes one, who may do what, and who decides first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, Barrier};

use ca::authority::Authority;
use ca::flow::hold::suspend;
use ca::flow::issue::{Order, issue};
use ca::flow::block::{KeyDigest, block};
use ca::flow::officer::{Grant, Withdraw, grant, list, withdraw};
use ca::flow::plan::Words;
use ca::flow::revoke::{Revoke, revoke};
use ca::doctor::Grade;
use ca::flow::{Administrator, Authorised, Proven};
use ca::init::init;
use ca::problem::{IssueError, OfficerError};
use ca::record::{Reason, log, serial_text};
use ca::operation::Operation;
use ca::service::{Outcome, Service};
use keys::Passphrase;
use policies::authority::Power;
use runtime::clock::{Clock, FakeClock};
use store::{Fault, Faulty};
use time::{Duration, OffsetDateTime};

struct Office {
    service: Service,
    clock: Arc<FakeClock>,
    _place: tempfile::TempDir,
}

/// A certificate of an officer.
#[derive(Clone)]
struct Certified {
    serial: String,
    der: Vec<u8>,
}

impl Office {
    fn found() -> Self {
        let place = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::new(OffsetDateTime::now_utc().replace_nanosecond(0).unwrap()));
        let passphrase = || Passphrase::new("correct horse battery".into()).unwrap();
        let opened = init(&place.path().join("ca"), "http://127.0.0.1:8440", "127.0.0.1:8440".parse().unwrap(), &passphrase(), &passphrase(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        Self { service: Service { authority: Arc::new(opened.authority), evidence: opened.evidence }, clock, _place: place }
    }

    fn authority(&self) -> &Authority {
        &self.service.authority
    }

    fn certify(&self, profile: &str, applicant: Words) -> Certified {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        let request = parameters.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec();
        let issued = issue(self.authority(), Authorised::service(), Order { profile: profile.into(), request, applicant, issuer: None }).unwrap();
        Certified { serial: serial_text(&issued.what().serial), der: issued.what().record.der.clone() }
    }

    fn officer(&self, number: &str) -> Certified {
        self.certify("officer", Words { officer: Some("陈一".into()), number: Some(number.into()), ..Words::default() })
    }

    /// One to whom the owner of the machine or an administrator granted a power.
    fn with(&self, number: &str, power: Power, by: &Authorised<Administrator>) -> Certified {
        let certified = self.officer(number);
        grant(self.authority(), by, &Grant { serial: certified.serial.clone(), power }).unwrap();
        certified
    }

    fn proven(&self, of: &Certified) -> Result<Proven, OfficerError> {
        Proven::officer(self.authority(), &of.der)
    }

    fn administrator(&self, of: &Certified) -> Authorised<Administrator> {
        self.proven(of).unwrap().acting().unwrap()
    }

    fn local(&self) -> Proven {
        Proven::local(self.authority(), 7).unwrap()
    }

    fn logged(&self, kind: u8) -> Vec<String> {
        let entries = self.authority().store.read_stream(log::STREAM, 0, 10_000).unwrap();
        entries.iter().filter(|entry| entry[1] == kind).map(|entry| String::from_utf8_lossy(&entry[10..]).into_owned()).collect()
    }
}

fn owner() -> Authorised<Administrator> {
    Authorised::by_ownership(7)
}

fn one(serial: &Certified, power: Power) -> Grant {
    Grant { serial: serial.serial.clone(), power }
}

fn all(serial: &Certified) -> Withdraw {
    Withdraw { serial: serial.serial.clone(), power: None }
}

#[test]
fn the_owner_of_the_machine_may_do_all_until_there_is_an_administrator() {
    let office = Office::found();
    let authority = office.authority();
    assert_eq!(office.local().powers().len(), 3);
    // Other powers first: who grants is still the owner.
    office.with("B-1", Power::Operator, &owner());
    assert_eq!(office.local().powers().len(), 3);
    let first = office.with("A-1", Power::Administrator, &owner());
    assert_eq!(office.local().powers().iter().collect::<Vec<_>>(), [&Power::Auditor]);
    let second = office.officer("A-2");
    // A proof from before counts no more.
    assert!(matches!(grant(authority, &owner(), &one(&second, Power::Administrator)), Err(OfficerError::Powerless { local: true, .. })));
    assert!(matches!(withdraw(authority, &owner(), &all(&first)), Err(OfficerError::Powerless { .. })));
    let refused = office.service.perform(&office.local(), Operation::PrepareRootCrl { root: None }).map(|_| ()).unwrap_err();
    assert_eq!((refused.exit, refused.code.as_str()), (runtime::exit::Exit::Denied, "powerless"));
    grant(authority, &office.administrator(&first), &one(&second, Power::Administrator)).unwrap();
    let entries = office.logged(10);
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[1], format!("{{\"serial\":\"{}\",\"power\":\"administrator\",\"by\":\"uid:7\"}}", first.serial));
    assert_eq!(entries[2], format!("{{\"serial\":\"{}\",\"power\":\"administrator\",\"by\":\"officer:{}\"}}", second.serial, first.serial));
    // Neither names nor numbers, nor what could be guessed from.
    assert!(entries.iter().all(|entry| !entry.contains("陈") && !entry.contains("A-") && entry.len() < 160));
}

#[test]
fn one_person_holds_no_two_powers_by_whatever_certificates() {
    let office = Office::found();
    let authority = office.authority();
    let (first, operator) = (office.with("A-1", Power::Administrator, &owner()), office.officer("b-7"));
    let admin = office.administrator(&first);
    grant(authority, &admin, &one(&operator, Power::Operator)).unwrap();
    let excluded = |of: &Certified, power| matches!(grant(authority, &admin, &one(of, power)), Err(OfficerError::Excluded { .. }));
    assert!(excluded(&operator, Power::Auditor) && excluded(&operator, Power::Administrator));
    // A second certificate of the same person, its number in other letters, is the same person's.
    let again = office.officer("B-7");
    assert!(excluded(&again, Power::Auditor));
    grant(authority, &admin, &one(&again, Power::Operator)).unwrap();
    assert!(matches!(grant(authority, &admin, &one(&again, Power::Operator)), Err(OfficerError::Granted { .. })));
    // The powers are the certificate's: the other one, not yet granted any, is nobody.
    let third = office.officer("B-7");
    assert!(matches!(office.proven(&third), Err(OfficerError::NoPowers { .. })));
    withdraw(authority, &admin, &all(&operator)).unwrap();
    assert!(excluded(&third, Power::Auditor), "the second certificate still has it");
    withdraw(authority, &admin, &all(&again)).unwrap();
    grant(authority, &admin, &one(&third, Power::Auditor)).unwrap();
    assert_eq!(list(authority).unwrap().iter().filter(|one| one.powers.is_empty()).count(), 2);
    // Nobody gives themselves more; a renewed certificate gets what its holder has.
    let renewed = office.officer("A-1");
    grant(authority, &admin, &one(&renewed, Power::Administrator)).unwrap();
    assert!(matches!(grant(authority, &admin, &one(&renewed, Power::Auditor)), Err(OfficerError::Excluded { .. })));
}

#[test]
fn where_powers_do_not_exclude_each_other_nobody_grants_them_to_themselves() {
    let mut office = Office::found();
    let rules = policies::authority::SHIPPED.map(|(file, text)| (file, if file == "officers.toml" { "exclusive = []\nlocal_powers = []" } else { text }));
    Arc::get_mut(&mut office.service.authority).unwrap().rules = policies::authority::Rules::parse(rules).unwrap();
    let (first, second) = (office.with("A-1", Power::Administrator, &owner()), office.officer("A-1"));
    let admin = office.administrator(&first);
    for own in [&first, &second] {
        assert!(matches!(grant(office.authority(), &admin, &one(own, Power::Operator)), Err(OfficerError::Own)));
    }
    assert!(office.local().powers().is_empty());
}

#[test]
fn only_a_certificate_that_is_good_at_this_moment_makes_an_officer() {
    let office = Office::found();
    let authority = office.authority();
    let admin = office.with("A-1", Power::Administrator, &owner());
    let auditor = office.with("C-1", Power::Auditor, &office.administrator(&admin));
    let grantable = |of: &Certified| grant(authority, &office.administrator(&admin), &one(of, Power::Auditor)).map(|_| ());
    assert_eq!(office.proven(&auditor).unwrap().powers().len(), 1);
    // Suspended, it counts for nothing; resumed, it counts again.
    suspend(authority, &Authorised::by_ownership(7), &auditor.serial).unwrap();
    assert!(matches!(office.proven(&auditor), Err(OfficerError::Held { .. })));
    ca::flow::hold::resume(authority, &Authorised::by_ownership(7), &ca::flow::hold::Resume { serial: auditor.serial.clone(), freeze: None }).unwrap();
    assert!(office.proven(&auditor).is_ok());
    revoke(authority, &Authorised::<ca::flow::Operator>::by_ownership(7), &Revoke { serial: auditor.serial.clone(), reason: Reason::Superseded, at: None, invalid_since: None }).unwrap();
    assert!(matches!(office.proven(&auditor), Err(OfficerError::Revoked { .. })) && matches!(grantable(&auditor), Err(OfficerError::Revoked { .. })));
    // Another profile, though the same authority signed it for the same use.
    let bureau = office.certify("bureau-client", Words { name: Some("广州天河测试有限公司".into()), code: Some("91440101MAT000018G".into()), ..Words::default() });
    assert!(matches!(office.proven(&bureau), Err(OfficerError::OtherProfile { .. })) && matches!(grantable(&bureau), Err(OfficerError::OtherProfile { .. })));
    // One octet differs, and it is another certificate.
    let mut forged = admin.clone();
    *forged.der.last_mut().unwrap() ^= 1;
    assert!(matches!(office.proven(&forged), Err(OfficerError::NotOfHere)));
    for garbage in [&b""[..], b"\x30\x00", &[0x30; 4_000]] {
        assert!(matches!(Proven::officer(authority, garbage), Err(OfficerError::NotOfHere)));
    }
    office.clock.advance(Duration::days(366));
    assert!(matches!(office.proven(&admin), Err(OfficerError::NotValid { .. })));
    office.clock.advance(Duration::days(-367));
    assert!(matches!(office.proven(&admin), Err(OfficerError::NotValid { .. })));
}

#[test]
fn an_issuing_authority_that_is_revoked_vouches_for_no_officer() {
    let office = Office::found();
    let admin = office.with("A-1", Power::Administrator, &owner());
    let issuer = serial_text(&office.authority().issuers["officer-ca"].serial);
    // Not by one officer: with it all officers fall.
    let operator = office.with("B-1", Power::Operator, &office.administrator(&admin));
    let alone = revoke(office.authority(), &office.proven(&operator).unwrap().acting::<ca::flow::Operator>().unwrap(), &Revoke { serial: issuer.clone(), reason: Reason::Superseded, at: None, invalid_since: None });
    assert!(matches!(alone, Err(ca::problem::IssueError::AuthorityCertificate { .. })), "{alone:?}");
    // Nor by way of its key.
    let key = KeyDigest::of(&office.authority().issuers["officer-ca"].public_key_info);
    let alone = block(office.authority(), &office.proven(&operator).unwrap().acting::<ca::flow::Operator>().unwrap(), key);
    assert!(matches!(alone, Err(ca::problem::IssueError::AuthorityCertificate { .. })), "{alone:?}");
    assert!(office.proven(&admin).is_ok());
    // Nor does anybody choose the day from which on somebody was no officer any more.
    let early = Revoke { serial: admin.serial.clone(), reason: Reason::Superseded, at: Some(office.clock.now().unix_timestamp() - 60), invalid_since: None };
    let refused = revoke(office.authority(), &office.proven(&operator).unwrap().acting::<ca::flow::Operator>().unwrap(), &early);
    assert!(matches!(refused, Err(ca::problem::IssueError::RevocationDate(_))), "{refused:?}");
    revoke(office.authority(), &Authorised::<ca::flow::Operator>::by_ownership(7), &Revoke { serial: issuer, reason: Reason::Superseded, at: None, invalid_since: None }).unwrap();
    assert!(matches!(office.proven(&admin), Err(OfficerError::Revoked { .. })));
}

#[test]
fn somebody_is_always_left_who_can_grant() {
    let office = Office::found();
    let authority = office.authority();
    let first = office.with("A-1", Power::Administrator, &owner());
    let admin = || office.administrator(&first);
    let last = |of: &Certified| matches!(withdraw(authority, &admin(), &all(of)), Err(OfficerError::LastAdministrator));
    assert!(last(&first));
    let second = office.with("A-2", Power::Administrator, &admin());
    // One whose certificate is revoked is nobody to rely on.
    revoke(authority, &Authorised::<ca::flow::Operator>::by_ownership(7), &Revoke { serial: second.serial.clone(), reason: Reason::Superseded, at: None, invalid_since: None }).unwrap();
    assert!(last(&first));
    withdraw(authority, &admin(), &all(&second)).unwrap();
    assert!(matches!(withdraw(authority, &admin(), &all(&second)), Err(OfficerError::NoPowers { .. })));
    office.clock.advance(Duration::days(8));
    let third = office.with("A-3", Power::Administrator, &admin());
    let (before, proof) = (office.logged(11).len(), admin());
    withdraw(authority, &proof, &all(&first)).unwrap();
    assert_eq!(office.logged(11).len(), before + 1);
    assert!(office.proven(&first).is_err());
    // A proof made before the withdrawal is worth nothing after it.
    assert!(matches!(grant(authority, &proof, &one(&office.officer("A-4"), Power::Operator)), Err(OfficerError::Powerless { .. })));
    assert!(matches!(withdraw(authority, &office.administrator(&third), &Withdraw { serial: third.serial.clone(), power: Some(Power::Administrator) }), Err(OfficerError::LastAdministrator)));
}

/// Runs both at the same moment, and gives what came of them.
fn at_once<A: Send, B: Send>(one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B + Send) -> (A, B) {
    let barrier = Barrier::new(2);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            barrier.wait();
            other()
        });
        barrier.wait();
        (one(), other.join().unwrap())
    })
}

#[test]
fn of_two_who_decide_at_once_the_second_is_judged_by_what_the_first_left() {
    let office = Office::found();
    let authority = office.authority();
    let mut first = office.with("A-0", Power::Administrator, &owner());
    for round in 1..20 {
        let second = office.with(&format!("A-{round}"), Power::Administrator, &office.administrator(&first));
        // Each withdraws the other: one stays, and the one that stays acts.
        let (by_first, by_second) = (office.administrator(&first), office.administrator(&second));
        let (one_done, other_done) = at_once(|| withdraw(authority, &by_first, &all(&second)), || withdraw(authority, &by_second, &all(&first)));
        assert_eq!(usize::from(one_done.is_ok()) + usize::from(other_done.is_ok()), 1, "{one_done:?} {other_done:?}");
        let (stays, goes) = if one_done.is_ok() { (first, second) } else { (second, first) };
        assert!(office.proven(&goes).is_err());
        // Whoever went counts for some days more, in which nobody grants alone.
        assert!(matches!(grant(authority, &office.administrator(&stays), &one(&office.officer("Z-1"), Power::Auditor)), Err(OfficerError::ApprovalNeeded { approvals: 1 })));
        office.clock.advance(Duration::days(8));
        // Two powers that exclude each other, for two certificates of one person: one is granted.
        let (a, b) = (office.officer(&format!("B-{round}")), office.officer(&format!("b-{round}")));
        let admin = office.administrator(&stays);
        let (granted, also) = at_once(|| grant(authority, &admin, &one(&a, Power::Operator)), || grant(authority, &admin, &one(&b, Power::Auditor)));
        assert!(matches!((&granted, &also), (Ok(_), Err(OfficerError::Excluded { .. })) | (Err(OfficerError::Excluded { .. }), Ok(_))), "{granted:?} {also:?}");
        // Granted and withdrawn at once: whatever came last is what holds, and the log tells both or the one.
        let c = office.officer(&format!("C-{round}"));
        let (before, taken) = (office.logged(10).len(), office.logged(11).len());
        let (granted, withdrawn) = at_once(|| grant(authority, &admin, &one(&c, Power::Operator)), || withdraw(authority, &admin, &all(&c)));
        granted.unwrap();
        assert_eq!(office.proven(&c).is_ok(), withdrawn.is_err(), "{withdrawn:?}");
        assert_eq!((office.logged(10).len() - before, office.logged(11).len() - taken), (1, usize::from(withdrawn.is_ok())));
        first = stays;
    }
}

#[test]
fn a_power_and_its_entry_are_there_together_or_not_at_all() {
    let office = Office::found();
    let whole = office.authority();
    let first = office.with("A-1", Power::Administrator, &owner());
    let admin = office.administrator(&first);
    for fault in [Fault::Lost, Fault::DoneReportedLost] {
        let of = office.officer("B-1");
        let faulty = |at| whole.over(Arc::new(Faulty::new(Arc::clone(&whole.store)).at(at, fault)));
        let entries = || (office.logged(10).len(), office.logged(11).len());
        let before = entries();
        assert!(grant(&faulty(0), &admin, &one(&of, Power::Operator)).is_err());
        let done = usize::from(fault == Fault::DoneReportedLost);
        assert_eq!((office.proven(&of).is_ok(), entries()), (done == 1, (before.0 + done, before.1)), "{fault:?}");
        // Asked again, it is there once.
        assert_eq!(grant(whole, &admin, &one(&of, Power::Operator)).is_ok(), done == 0);
        assert!(withdraw(&faulty(0), &admin, &all(&of)).is_err());
        assert_eq!((office.proven(&of).is_ok(), entries()), (done == 0, (before.0 + 1, before.1 + done)), "{fault:?}");
        assert_eq!(withdraw(whole, &admin, &all(&of)).is_ok(), done == 0);
    }
}

#[test]
fn the_doctor_tells_when_nobody_else_can_grant() {
    let office = Office::found();
    let told = || match office.service.perform(&office.local(), Operation::Doctor).map_err(|problem| problem.message).unwrap() {
        Outcome::Examined(examined) => examined.findings.into_iter().find(|finding| finding.what.starts_with("officers: ")).map(|finding| finding.grade),
        _ => panic!("something else"),
    };
    assert_eq!(told(), None);
    let first = office.with("A-1", Power::Administrator, &owner());
    assert_eq!(told(), Some(Grade::Warn));
    // A second certificate of the same person is no second person.
    let again = office.officer("a-1");
    grant(office.authority(), &office.administrator(&first), &one(&again, Power::Administrator)).unwrap();
    assert_eq!(told(), Some(Grade::Warn));
    office.with("A-2", Power::Administrator, &office.administrator(&first));
    assert_eq!(told(), Some(Grade::Ok));
    office.clock.advance(Duration::days(366));
    assert_eq!(told(), Some(Grade::Fail));
}

#[test]
fn what_is_asked_for_is_refused_before_it_is_read_and_changes_nothing() {
    let office = Office::found();
    let authority = office.authority();
    let admin = office.with("A-1", Power::Administrator, &owner());
    let length = || authority.store.stream_length(log::STREAM).unwrap();
    let before = length();
    for serial in ["", "zz", "40000000000000000000000000000001"] {
        let refused = grant(authority, &office.administrator(&admin), &Grant { serial: serial.into(), power: Power::Operator });
        assert!(matches!(refused, Err(OfficerError::Issue(IssueError::Register(_)))), "{refused:?}");
        assert!(withdraw(authority, &office.administrator(&admin), &Withdraw { serial: serial.into(), power: None }).is_err());
    }
    let stranger = office.officer("A-2");
    let issued = length();
    assert!(matches!(withdraw(authority, &office.administrator(&admin), &all(&stranger)), Err(OfficerError::NoPowers { .. })));
    assert_eq!((length(), issued - before), (issued, 3));
    // The network names no directory of this machine.
    let auditor = office.with("C-1", Power::Auditor, &office.administrator(&admin));
    let export = || Operation::ExportLog { directory: office._place.path().join("export") };
    assert_eq!(office.service.perform(&office.proven(&auditor).unwrap(), export()).map(|_| ()).unwrap_err().code, "local-only");
    assert!(!office._place.path().join("export").exists());
    assert!(matches!(office.service.perform(&office.local(), export()), Ok(Outcome::Exported(_))));
}
