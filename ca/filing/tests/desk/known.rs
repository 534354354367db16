//! What the desk knows of an enterprise beside its certificate: the registry, its name, who is insured through it.

use std::path::{Path, PathBuf};

use filing::desk::flow::{mandate, proceed::proceed, receive::Outcome, staff as staff_list};
use filing::desk::receipt::Decision;
use filing::desk::record::enterprise::EnterpriseRecord;
use filing::desk::record::filing::Status;
use filing::desk::record::mandate::MandateRecord;
use filing::desk::registry;
use policies::identity::CreditCode;
use store::Batch;

use crate::office::{CODE, Firm, OTHER, Office, id, json, staff, vat};

const FIRST: &str = "440105190003010052";
const SECOND: &str = "44010218880808003X";

fn file(office: &Office, name: &str, text: &str) -> PathBuf {
    let path = office.place.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn newest(office: &Office) -> (u8, String) {
    let last = office.desk.store.stream_length("log").unwrap() - 1;
    let leaf = merkle::Leaf::parse(&office.desk.store.read_stream("log", last, 1).unwrap().remove(0)).unwrap();
    (leaf.kind(), leaf.payload().to_owned())
}

fn fields(office: &Office, firm: &Firm, filing: &[u8]) -> Vec<(u8, String)> {
    let Outcome::Refused(findings) = office.submit(firm, filing).unwrap() else { panic!("it was receipted") };
    findings.iter().map(|finding| (finding.check.number(), finding.field.clone().unwrap_or_default())).collect()
}

#[test]
fn who_was_struck_off_or_is_unknown_files_nothing() {
    let office = Office::open();
    let (firm, other) = (office.firm(CODE), office.firm(OTHER));
    let registry = |text: &str| registry::import(&office.desk, &file(&office, "registry.csv", text));
    // 1. Without a registry the certificate alone counts.
    office.receipt(&other, &vat(OTHER, |filing| filing["period"] = "202605".into()));
    // 2. What makes no sense changes nothing.
    let length = office.desk.store.stream_length("log").unwrap();
    for wrong in [
        "code,name\n",
        "",
        &format!("code,name,state\n{CODE},广州某某有限公司,closed\n"),
        &format!("code,name,state\n91440101MAT000018H,广州某某有限公司,in-business\n"),
        &format!("code,name,state\n{CODE},广州某某有限公司,in-business\n{CODE},另一公司,struck-off\n"),
    ] {
        assert!(registry(wrong).is_err(), "{wrong}");
    }
    assert!(registry::import(&office.desk, Path::new("/nowhere.csv")).is_err());
    // A row without an end is not read to it: one whose quote is never closed, and a device.
    let endless = file(&office, "registry.csv", &format!("code,name,state\n{CODE},\"{}", "x\n".repeat(2 << 20)));
    for path in [endless.as_path(), Path::new("/dev/zero")] {
        let told = registry::import(&office.desk, path).unwrap_err().to_string();
        assert!(told.contains("a row has more than 1048576 bytes"), "{told}");
    }
    assert_eq!(office.desk.store.stream_length("log").unwrap(), length);
    // 3. Struck off, and unknown.
    registry(&format!("\u{feff}code,name,state\r\n{CODE},广州某某有限公司,in-business\r\n{OTHER},广州某某有限公司,struck-off\r\n")).unwrap();
    let (kind, told) = newest(&office);
    assert!(kind == 30 && told.contains("\"rows\":2") && !told.contains(CODE), "{told}");
    assert_eq!(fields(&office, &other, &vat(OTHER, |_| {})), [(9, "/uscc".to_owned())]);
    let receipt = json(&office.receipt(&firm, &vat(CODE, |_| {})).document);
    assert_eq!((receipt["unit_name"].as_str(), receipt["unit_name_by"].as_str()), (Some("广州某某有限公司"), Some("registry")));
    // 4. The next one takes its place whole.
    registry(&format!("code,name,state\n{OTHER},改名后的公司,suspended\n")).unwrap();
    let next = vat(CODE, |filing| filing["period"] = "202608".into());
    assert_eq!(fields(&office, &firm, &next), [(9, "/uscc".to_owned())]);
    let receipt = json(&office.receipt(&other, &vat(OTHER, |filing| filing["period"] = "202608".into())).document);
    assert_eq!(receipt["unit_name"], "改名后的公司");
    for (import, left) in [(1, 0), (2, 1)] {
        let (from, to) = EnterpriseRecord::all_of(import);
        assert_eq!(office.desk.store.scan(&from, &to, 9).unwrap().len(), left);
    }
}

#[test]
fn an_agent_that_was_struck_off_files_for_nobody() {
    let office = Office::open();
    let (principal, agent) = (office.firm(CODE), office.firm(OTHER));
    let mandate_id = give(&office, &principal);
    let text = format!("code,name,state\n{CODE},广州某某有限公司,in-business\n{OTHER},代理公司,struck-off\n");
    registry::import(&office.desk, &file(&office, "registry.csv", &text)).unwrap();
    assert_eq!(office.refused(&agent, &by_agent(&mandate_id, |_| {})), [9]);
    // Nor one that the registry does not know.
    registry::import(&office.desk, &file(&office, "registry.csv", &format!("code,name,state\n{CODE},广州某某有限公司,in-business\n"))).unwrap();
    assert_eq!(office.refused(&agent, &by_agent(&mandate_id, |_| {})), [9]);
    registry::import(&office.desk, &file(&office, "registry.csv", &text.replace("struck-off", "in-business"))).unwrap();
    office.receipt(&agent, &by_agent(&mandate_id, |_| {}));
    // One import at a time.
    let importing = office.desk.importing.lock().unwrap();
    assert!(registry::import(&office.desk, &file(&office, "registry.csv", &text)).is_err());
    drop(importing);
}

fn give(office: &Office, principal: &Firm) -> String {
    let mandate_id = id();
    let text = serde_json::json!({"kind": "MANDATE", "mandate_id": mandate_id, "principal": CODE, "agent": OTHER, "kinds": ["VAT_GENERAL"], "from": "2026-11-01", "until": "2026-11-30"});
    let document = filing::document::Value::parse(text.to_string().as_bytes()).unwrap().canonical();
    mandate::give(&office.desk, &office.caller(principal), &document, &office.sign(principal, &document)).unwrap();
    mandate_id
}

fn by_agent(mandate: &str, change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    vat(CODE, |filing| {
        filing["signer_role"] = "agent".into();
        filing["mandate"] = mandate.into();
        change(filing);
    })
}

#[test]
fn a_name_is_sealed_as_somebody_vouches_for_it() {
    let office = Office::open();
    let (firm, agent) = (office.firm(CODE), office.firm(OTHER));
    let told = |sealed: filing::desk::flow::seal::Sealed| {
        let receipt = json(&sealed.document);
        (receipt["unit_name"].as_str().unwrap().to_owned(), receipt["unit_name_by"].as_str().unwrap().to_owned())
    };
    let expected = |by: &str| ("广州某某有限公司".to_owned(), by.to_owned());
    // 1. Its own: the certificate's, whatever the filing leaves out, and no other.
    assert_eq!(fields(&office, &firm, &vat(CODE, |filing| filing["unit_name"] = "广州某某集团".into())), [(9, "/unit_name".to_owned())]);
    assert_eq!(told(office.receipt(&firm, &vat(CODE, |filing| filing["unit_name"] = "广州某某 有限公司".into()))), expected("certificate"));
    // 2. An agent's: the principal's certificate said it with the mandate; never the agent's own name.
    let mandate_id = give(&office, &firm);
    let september = |change: &dyn Fn(&mut serde_json::Value)| {
        by_agent(&mandate_id, |filing| {
            filing["period"] = "202608".into();
            change(filing);
        })
    };
    assert_eq!(fields(&office, &agent, &september(&|filing| filing["unit_name"] = "别的公司".into())), [(9, "/unit_name".to_owned())]);
    assert_eq!(told(office.receipt(&agent, &september(&|_| {}))), expected("mandate"));
    // 3. A mandate from before names were kept: declared, and people are told so.
    let key = MandateRecord::key(&mandate_id);
    let record = MandateRecord::decode(&office.desk.store.get(&key).unwrap().unwrap()).unwrap();
    let without = MandateRecord { principal_name: None, ..record };
    office.desk.store.commit(Batch::new().put(key, without.encode().unwrap())).unwrap();
    let sealed = office.receipt(&agent, &by_agent(&mandate_id, |filing| {
        filing["period"] = "202607".into();
        filing["unit_name"] = "自报的名称".into();
    }));
    assert!(filing::desk::receipt::html::page(&sealed.document).unwrap().contains("自报的名称（自报，未经核对"));
    assert_eq!(told(sealed), ("自报的名称".to_owned(), "declared".to_owned()));
}

#[test]
fn staff_is_followed_filing_by_filing_and_a_rejected_one_is_taken_out() {
    let office = Office::open();
    let firm = office.firm(CODE);
    let next = |revision: u32, previous: &serde_json::Value, joins: &[&str], leaves: &[&str]| {
        staff(CODE, joins, leaves, |filing| {
            filing["revision"] = revision.into();
            filing["prev_filing_id"] = previous.clone();
        })
    };
    // 1. Nothing is known: what cannot be judged is told, and remembered.
    let first = json(&office.receipt(&firm, &staff(CODE, &[FIRST], &[SECOND], |_| {})).document);
    assert_eq!(first["not_judged"], serde_json::json!(["check-09-registry", "S4"]));
    // 2. Who joined joins no second time, who left leaves no second time.
    let again = fields(&office, &firm, &next(2, &first["filing_id"], &[FIRST], &[SECOND]));
    assert_eq!(again.iter().filter(|(check, field)| *check == 14 && field.ends_with("/id_no")).count(), 2, "{again:?}");
    let second = json(&office.receipt(&firm, &next(2, &first["filing_id"], &[SECOND], &[FIRST])).document);
    assert_eq!(second["not_judged"], serde_json::json!(["check-09-registry"]));
    // 3. That one is rejected: it is as if it had not been filed.
    let decision = Decision { reasons: vec!["重复".into()], ..Decision::default() };
    proceed(&office.desk, second["filing_id"].as_str().unwrap(), Status::Rejected, &decision, &crate::office::officer()).unwrap();
    let third = json(&office.receipt(&firm, &next(3, &second["filing_id"], &[SECOND], &[FIRST])).document);
    // 4. At rest nobody's number is to be read.
    let stored = office.desk.store.get(&filing::desk::record::staff::key(CODE)).unwrap().unwrap();
    assert!(!stored.windows(FIRST.len()).any(|window| window == FIRST.as_bytes()));
    // 5. The bureau's own list counts from then on: everybody else is not insured.
    let list = file(&office, "staff.csv", &format!("id_type,id_no,insurances\n01,{FIRST},110 210 310 410\n"));
    let code = CreditCode::parse(CODE).unwrap();
    assert_eq!(staff_list::import(&office.desk, &code, &list).unwrap(), 1);
    let (kind, told) = newest(&office);
    let plain: String = ring::digest::digest(&ring::digest::SHA256, CODE.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(kind == 114 && !told.contains(&plain) && told.contains("\"people\":1") && !told.contains(CODE) && !told.contains(FIRST), "{told}");
    let wrong = fields(&office, &firm, &next(4, &third["filing_id"], &[FIRST], &[SECOND]));
    assert_eq!(wrong.iter().filter(|(check, field)| *check == 14 && field.ends_with("/id_no")).count(), 2, "{wrong:?}");
    office.receipt(&firm, &next(4, &third["filing_id"], &[SECOND], &[]));
    // 6. A list that makes no sense changes nothing, and nobody's number is told.
    let before = office.desk.store.get(&filing::desk::record::staff::key(CODE)).unwrap();
    for wrong in ["id_type,id_no\n", "", "id_type,id_no,insurances\n01,440105190003010053,110\n", &format!("id_type,id_no,insurances\n01,{FIRST},110\n01,{FIRST},210\n"), &format!("id_type,id_no,insurances\n01,{FIRST},pension\n")] {
        let error = staff_list::import(&office.desk, &code, &file(&office, "staff.csv", wrong)).unwrap_err().to_string();
        assert!(!error.contains("44010"), "{error}");
    }
    assert_eq!(office.desk.store.get(&filing::desk::record::staff::key(CODE)).unwrap(), before);
}

/// Between judging and recording the list is replaced: the filing is judged by the new one.
#[test]
fn a_list_that_changes_at_that_moment_is_judged_by() {
    use std::sync::Arc;
    use store::Between;
    let founded = crate::office::Founded::new();
    let memory = crate::office::founded_store();
    let first = Arc::new(founded.desk(Arc::clone(&memory), |_| {}));
    founded.seal(&first);
    let firm = crate::office::firm(&founded.world.issuer, CODE, |_| {});
    let place = tempfile::tempdir().unwrap();
    let list = place.path().join("staff.csv");
    std::fs::write(&list, format!("id_type,id_no,insurances\n01,{FIRST},110 210 310 410\n")).unwrap();
    let other = { let first = Arc::clone(&first); move || assert_eq!(staff_list::import(&first, &CreditCode::parse(CODE).unwrap(), &list).unwrap(), 1) };
    let desk = founded.desk(Arc::new(Between::before_commit(Arc::clone(&memory), 0, other)), |_| {});
    let filing = staff(CODE, &[FIRST], &[], |_| {});
    let chain = [firm.certificate.clone(), founded.world.issuer.certificate.clone()].map(rustls::pki_types::CertificateDer::from);
    let caller = filing::desk::flow::authorise::Callers::default().authorise(&desk, &chain).unwrap();
    let signature = crate::office::sign(&founded.world, &firm, &filing, crate::office::NOW);
    let outcome = filing::desk::flow::receive::receive(&desk, &caller, &filing::desk::flow::receive::Submission { filing, signature, received_at: desk.clock.now() }).unwrap();
    assert_eq!(crate::office::refused(outcome), [14]);
}
