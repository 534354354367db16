//! `filing verify` of a filing: the desk's checks without the desk, with the very same codes.

use filing::desk::flow::mandate;
use filing::desk::outside::Outside as _;
use filing::desk::policy;
use filing::verify::{Filed, examine};
use pki::crl::{Entry, Reason};
use pki::ocsp::{CertId, HashAlgorithm};
use pki::view::CertificateView;
use policies::certificate::Arc as PolicyArc;
use time::Duration;

use crate::city::Authority;
use crate::office::{CODE, Firm, NOW, OTHER, Office, SOCIAL, firm, id, json, refused, revoked, vat};

/// What a bureau would have beside a filing: the lists as they are published now, and the responder's answer about its signer.
fn given(office: &Office, firm: &Firm) -> Filed {
    let (view, above) = (CertificateView::parse(&firm.certificate).unwrap(), CertificateView::parse(&office.world.issuer.certificate).unwrap());
    let asked = CertId::new(HashAlgorithm::Sha256, above.subject, above.spki, view.serial).unwrap();
    Filed {
        policies: policy::shipped(PolicyArc::parse("arc.toml", "arc = \"1.3.6.1.4.1.32473\"").unwrap()).unwrap(),
        anchors: vec![office.world.root.certificate.clone()],
        timestamp_anchors: None,
        lists: vec![office.world.list(0), office.world.list(1)],
        ocsp: vec![office.world.ocsp("", pki::ocsp::request(&asked, None)).unwrap()],
        registry: None,
        staff: None,
        words: Vec::new(),
        earlier: None,
        attachments: None,
        caller: None,
        received_at: office.clock_now(),
    }
}

fn found(given: Filed, filing: &[u8], signature: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let examined = examine(given, filing, signature).unwrap();
    (examined.findings.iter().map(|finding| finding.check.number()).collect(), examined.not_judged.iter().map(|one| one.check).collect())
}

#[test]
fn without_a_desk_a_filing_fails_the_checks_that_it_fails_at_the_desk() {
    let office = Office::open();
    let ours = office.firm(CODE);
    let other = office.firm(OTHER);
    let (held, dead) = (office.firm(CODE), office.firm(CODE));
    let hold = pki::ocsp::CertStatus::Revoked { at: NOW - Duration::days(1), reason: Reason::CertificateHold, invalid_since: None };
    office.world.statuses.lock().unwrap().extend([(held.serial(), hold), (dead.serial(), revoked(NOW + Duration::seconds(1), Reason::KeyCompromise))]);
    let right = vat(CODE, |_| {});
    let wrong_sum = vat(CODE, |filing| filing["payload"]["general_month"]["l19"] = "35001.00".into());
    let spaced = [right.as_slice(), b" "].concat();
    let cases: [(&str, &Firm, Vec<u8>); 10] = [
        ("not canonical", &ours, spaced),
        ("of no authority that is believed", &firm(&Authority::root("另一根"), CODE, |_| {}), right.clone()),
        ("for encryption alone", &office.firm_with(CODE, |plan| plan.extensions.key_usage = vec![2]), right.clone()),
        ("of another policy", &office.firm_with(CODE, |plan| plan.extensions.policies = vec![SOCIAL]), right.clone()),
        ("on hold", &held, right.clone()),
        ("its key is others' too", &dead, right.clone()),
        ("another enterprise's", &other, right.clone()),
        ("another role", &ours, vat(CODE, |filing| filing["signer_role"] = "agent".into())),
        ("of a period to come", &ours, vat(CODE, |filing| filing["period"] = "202612".into())),
        ("against its rules, of an ended certificate", &office.firm_with(CODE, |plan| plan.not_after = NOW - Duration::days(1)), wrong_sum),
    ];
    for (what, by, filing) in &cases {
        let signed = office.stamped(&office.sign(by, filing), NOW);
        // Whoever signed brings it, as far as it may call at all.
        let caller = if what.starts_with("another enterprise") { &other } else { &ours };
        let at_the_desk = refused(office.submit_signed(caller, filing, signed.clone()).unwrap());
        let (alone, _) = found(given(&office, by), filing, &signed);
        assert_eq!(alone, at_the_desk, "{what}");
        assert!(!alone.is_empty(), "{what}");
    }
    // Another content than was signed; a timestamp of tomorrow.
    let signed = office.stamped(&office.sign(&ours, b"other"), NOW);
    assert_eq!(found(given(&office, &ours), &right, &signed).0, [3]);
    let early = office.stamped(&office.sign(&ours, &right), NOW + Duration::days(1));
    assert!(found(given(&office, &ours), &right, &early).0.contains(&7));
    assert_eq!(found(given(&office, &ours), &right, b"no signature"), (vec![2], (3..=14).collect()));
}

/// What rests on what only a desk has is told as not judged, and judged once it is given.
#[test]
fn what_is_not_given_is_told_as_not_judged() {
    let office = Office::open();
    let (principal, agent) = (office.firm(CODE), office.firm(OTHER));
    let filing = vat(CODE, |_| {});
    let signed = office.stamped(&office.sign(&principal, &filing), NOW);
    // 1. Nothing is wrong; registry, keys, and what was filed before are not known, and l13 has nothing to be held against.
    assert_eq!(found(given(&office, &principal), &filing, &signed), (vec![], vec![9, 10, 11, 12, 14]));
    // No evidence: neither passed nor failed. No timestamp: a desk would have it stamped.
    assert_eq!(found(Filed { lists: Vec::new(), ocsp: Vec::new(), ..given(&office, &principal) }, &filing, &signed).1, [7, 8, 9, 10, 11, 12, 14]);
    let bare = office.sign(&principal, &filing);
    assert_eq!(found(given(&office, &principal), &filing, &bare), (vec![], vec![7, 9, 10, 11, 12, 14]));
    // The signer's status by lists alone: good, and on hold.
    let lists_only = |office: &Office| Filed { ocsp: Vec::new(), ..given(office, &principal) };
    assert_eq!(found(lists_only(&office), &filing, &signed).0, Vec::<u8>::new());
    office.world.listed.lock().unwrap()[0] = vec![Entry { serial: principal.serial(), revoked_at: NOW, reason: Reason::CertificateHold, invalidity_date: None }];
    assert_eq!(found(lists_only(&office), &filing, &signed).0, [8]);
    office.world.listed.lock().unwrap()[0].clear();
    // 2. With a registry: in business, struck off, unknown.
    let registry = office.place.path().join("registry.csv");
    for (rows, expected) in [(format!("{CODE},广州某某有限公司,in-business\n"), vec![]), (format!("{CODE},广州某某有限公司,struck-off\n"), vec![9]), (String::new(), vec![9])] {
        std::fs::write(&registry, format!("code,name,state\n{rows}")).unwrap();
        let (findings, open) = found(Filed { registry: Some(registry.clone()), ..given(&office, &principal) }, &filing, &signed);
        assert_eq!(findings, expected, "{rows}");
        assert!(!open.contains(&9));
    }
    // 3. With what was filed before: said again, out of turn, and the next revision; the month before carried nothing forward.
    let first = json(&filing)["filing_id"].clone();
    let later = |revision: u32, change: fn(&mut serde_json::Value)| {
        vat(CODE, |filing| {
            filing["revision"] = revision.into();
            filing["prev_filing_id"] = first.clone();
            change(filing);
        })
    };
    let with = |earlier: Vec<Vec<u8>>, filing: &[u8]| found(Filed { earlier: Some(earlier), ..given(&office, &principal) }, filing, &office.stamped(&office.sign(&principal, filing), NOW));
    assert_eq!(with(Vec::new(), &filing), (vec![], vec![9, 10, 14]));
    assert_eq!(with(vec![filing.clone()], &later(2, |_| {})).0, [11]);
    assert_eq!(with(vec![filing.clone()], &later(3, crate::office::corrected)).0, [12]);
    assert_eq!(with(vec![filing.clone()], &later(2, crate::office::corrected)).0, Vec::<u8>::new());
    let september = vat(CODE, |filing| filing["period"] = "202609".into());
    assert_eq!(with(vec![september], &filing).0, [14]);
    // 4. With the mandate: covered, taken back.
    let mandate_id = id();
    let canonical = |value: serde_json::Value| filing::document::Value::parse(value.to_string().as_bytes()).unwrap().canonical();
    let mandate = canonical(serde_json::json!({"kind": "MANDATE", "mandate_id": mandate_id, "principal": CODE, "agent": OTHER, "kinds": ["VAT_GENERAL"], "from": "2026-11-01", "until": "2026-11-30"}));
    let withdrawal = canonical(serde_json::json!({"kind": "MANDATE_WITHDRAWAL", "mandate_id": mandate_id, "principal": CODE}));
    let words = |documents: &[&Vec<u8>]| documents.iter().map(|document| ((*document).clone(), office.stamped(&office.sign(&principal, document), NOW))).collect::<Vec<_>>();
    let by_agent = vat(CODE, |filing| {
        filing["signer_role"] = "agent".into();
        filing["mandate"] = mandate_id.clone().into();
    });
    let signed = office.stamped(&office.sign(&agent, &by_agent), NOW);
    let with = |words| found(Filed { words, ..given(&office, &agent) }, &by_agent, &signed);
    assert_eq!(with(Vec::new()), (vec![], vec![9, 10, 11, 12, 14]));
    assert_eq!(with(words(&[&mandate])), (vec![], vec![9, 11, 12, 14]));
    assert_eq!(with(words(&[&mandate, &withdrawal])).0, [10]);
    // Not its principal's: nothing is judged by it.
    let stranger = vec![(mandate.clone(), office.stamped(&office.sign(&agent, &mandate), NOW))];
    assert!(examine(Filed { words: stranger, ..given(&office, &agent) }, &by_agent, &signed).unwrap_err().to_string().starts_with("check-09-enterprise"));
    // The desk comes to the same with what it has.
    assert_eq!(office.refused(&agent, &by_agent)[0], 10);
    mandate::give(&office.desk, &office.caller(&principal), &mandate, &office.sign(&principal, &mandate)).unwrap();
    office.receipt(&agent, &by_agent);
    // 5. Words of before are read as the desk took them: their last day is over, or their signer's certificate was replaced since.
    let ended = canonical(serde_json::json!({"kind": "MANDATE", "mandate_id": mandate_id, "principal": CODE, "agent": OTHER, "kinds": ["VAT_GENERAL"], "from": "2026-11-01", "until": "2026-11-05"}));
    let (before, replaced) = (words(&[&ended]), words(&[&mandate]));
    office.world.listed.lock().unwrap()[0] = vec![Entry { serial: principal.serial(), revoked_at: NOW + Duration::seconds(1), reason: Reason::Superseded, invalidity_date: None }];
    office.clock.advance(Duration::days(1));
    let signed = office.stamped(&office.sign(&agent, &by_agent), office.clock_now());
    let with = |words| found(Filed { words, ..given(&office, &agent) }, &by_agent, &signed);
    assert_eq!((with(before).0, with(replaced).0), (vec![10], vec![]));
}

#[test]
fn files_that_go_with_it_are_what_it_says() {
    let office = Office::open();
    let ours = office.firm(CODE);
    let digest: String = ring::digest::digest(&ring::digest::SHA256, b"contract").as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let filing = vat(CODE, |filing| filing["attachments"] = serde_json::json!([{"name": "a.pdf", "size": 8, "sha256": digest, "media_type": "application/pdf"}]));
    let signed = office.stamped(&office.sign(&ours, &filing), NOW);
    let at = office.place.path().to_owned();
    let with = |attachments| found(Filed { attachments, ..given(&office, &ours) }, &filing, &signed);
    assert!(with(None).1.contains(&1) && with(Some(at.clone())).1.contains(&1));
    std::fs::write(at.join("a.pdf"), b"contract").unwrap();
    assert_eq!(with(Some(at.clone())), (vec![], vec![9, 10, 11, 12, 14]));
    std::fs::write(at.join("a.pdf"), b"c0ntract").unwrap();
    assert_eq!(with(Some(at)).0, [1]);
}
