//! A fault at every commit: whoever tries again ends with the one filing and the one receipt.

use std::sync::Arc;

use filing::desk::flow::authorise::Callers;
use filing::desk::flow::receive::{Outcome, Submission, receive};
use filing::desk::flow::seal;
use filing::desk::record::receipt::ReceiptNumber;
use rustls::pki_types::CertificateDer;
use store::{Between, Fault, Faulty};

use crate::office::{CODE, Firm, Founded, Office, firm, id, json, receipted, sign, vat};

fn submit(desk: &filing::desk::Desk, founded: &Founded, firm: &Firm, filing: &[u8]) -> Result<Outcome, filing::desk::problem::DeskError> {
    let chain = [CertificateDer::from(firm.certificate.clone()), CertificateDer::from(founded.world.issuer.certificate.clone())];
    let caller = Callers::default().authorise(desk, &chain).unwrap();
    receive(desk, &caller, &Submission { filing: filing.to_vec(), signature: sign(&founded.world, firm, filing, crate::office::NOW), received_at: desk.clock.now() })
}

#[test]
fn nothing_is_lost_or_doubled_whichever_commit_fails() {
    for fault in [Fault::Lost, Fault::DoneReportedLost] {
        for at in 0..2 {
            let founded = Founded::new();
            let memory = crate::office::founded_store();
            founded.seal(&founded.desk(Arc::clone(&memory), |_| {}));
            let firm = firm(&founded.world.issuer, CODE, |_| {});
            let filing = vat(CODE, |_| {});
            // 1. The commit fails, and the process ends.
            let broken = founded.desk(Arc::new(Faulty::new(Arc::clone(&memory)).at(at, fault)), |_| {});
            assert!(submit(&broken, &founded, &firm, &filing).is_err(), "{fault:?} {at}");
            // 2. The next one goes on with what it finds.
            let desk = founded.desk(Arc::clone(&memory), |_| {});
            let number = ReceiptNumber::new(json(&filing)["filing_id"].as_str().unwrap(), 1);
            assert_eq!(seal::resume(&desk).unwrap(), 0);
            let resumed = seal::stored(&desk, &number).unwrap();
            let recorded = at == 1 || fault == Fault::DoneReportedLost;
            assert_eq!(resumed.is_some(), recorded, "{fault:?} {at}");
            // 3. Whoever sends it again gets that receipt.
            let again = receipted(submit(&desk, &founded, &firm, &filing).unwrap());
            assert!(resumed.is_none_or(|resumed| resumed == again));
            let (from, to) = filing::desk::record::filing::FilingRecord::all();
            assert_eq!(memory.scan(&from, &to, 9).unwrap().len(), 1);
            assert_eq!(memory.stream_length("log").unwrap(), 4);
        }
    }
}

#[test]
fn a_timestamp_authority_that_is_away_after_the_commit_loses_no_receipt() {
    let office = Office::open();
    let firm = office.firm(CODE);
    let filing = vat(CODE, |_| {});
    let signed = office.stamped(&office.sign(&firm, &filing), crate::office::NOW);
    // It stamped a moment ago.
    office.receipt(&office.firm(crate::office::OTHER), &vat(crate::office::OTHER, |_| {}));
    // The filing brings its own timestamp: the one for the seal is missing.
    *office.world.stamps_fail.lock().unwrap() = 1;
    assert!(matches!(office.submit_signed(&firm, &filing, signed), Err(filing::desk::problem::DeskError::Pending { .. })));
    assert_eq!(seal::resume(&office.desk).unwrap(), 0);
    let number = ReceiptNumber::new(json(&filing)["filing_id"].as_str().unwrap(), 1);
    let sealed = seal::stored(&office.desk, &number).unwrap().unwrap();
    assert_eq!(office.receipt(&firm, &filing), sealed);
    // Away before anything is recorded, nothing is.
    *office.world.stamps_fail.lock().unwrap() = 1;
    let length = office.desk.store.stream_length("log").unwrap();
    assert!(office.submit(&firm, &vat(CODE, |filing| filing["period"] = "202609".into())).is_err());
    assert_eq!(office.desk.store.stream_length("log").unwrap(), length);
}

#[test]
fn of_two_at_one_moment_one_is_the_revision_and_the_other_is_told_so() {
    let founded = Founded::new();
    let memory = crate::office::founded_store();
    let first = Arc::new(founded.desk(Arc::clone(&memory), |_| {}));
    founded.seal(&first);
    let firm = Arc::new(firm(&founded.world.issuer, CODE, |_| {}));
    let founded = Arc::new(founded);
    let (theirs, ours) = (vat(CODE, |_| {}), vat(CODE, |filing| filing["filing_id"] = id().into()));
    let other = {
        let (founded, firm, desk) = (Arc::clone(&founded), Arc::clone(&firm), Arc::clone(&first));
        move || {
            receipted(submit(&desk, &founded, &firm, &theirs).unwrap());
        }
    };
    let between = founded.desk(Arc::new(Between::before_commit(Arc::clone(&memory), 0, other)), |_| {});
    let outcome = submit(&between, &founded, &firm, &ours).unwrap();
    let Outcome::Refused(findings) = outcome else { panic!("two first revisions") };
    assert!(findings.iter().all(|finding| [11, 12].contains(&finding.check.number())), "{findings:?}");
    let (from, to) = filing::desk::record::filing::FilingRecord::all();
    assert_eq!(memory.scan(&from, &to, 9).unwrap().len(), 1);
}
