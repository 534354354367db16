//! Each of the fourteen checks refuses what it is there for.

use filing::desk::flow::proceed::proceed;
use filing::desk::receipt::Decision;
use filing::desk::record::filing::Status;
use pki::certificate::CertificatePlan;
use pki::crl::{Entry, Reason};
use pki::ocsp::CertStatus;
use time::Duration;

use crate::city::Authority;
use crate::office::{CODE, Firm, NOW, OTHER, Office, SOCIAL, firm, id, json, receipted, refused, revoked, sign, vat};

#[test]
fn one_form() {
    let office = Office::open();
    let firm = office.firm(CODE);
    let mut not_canonical = vat(CODE, |_| {});
    not_canonical.push(b' ');
    for wrong in [
        not_canonical,
        b"{}".to_vec(),
        vat(CODE, |filing| filing["kind"] = "NO_SUCH".into()),
        vat(CODE, |filing| filing["form_version"] = "1999-1".into()),
        vat(CODE, |filing| filing["period"] = "2026".into()),
        vat(CODE, |filing| filing["uscc"] = "91440101MAT000018H".into()),
        vat(CODE, |filing| filing["attachments"] = serde_json::json!([{"name": "a.pdf", "size": 3, "sha256": "00".repeat(32), "media_type": "application/pdf"}])),
    ] {
        assert_eq!(office.refused(&firm, &wrong), [1], "{}", String::from_utf8_lossy(&wrong));
    }
    let small = Office::open_with(|documents| documents[1].1 = documents[1].1.replace("max_bytes = 8388608", "max_bytes = 16384"));
    let long = vat(CODE, |filing| filing["payload"]["general_month"]["note"] = "x".repeat(20_000).into());
    assert_eq!(small.refused(&small.firm(CODE), &long), [1]);
}

#[test]
fn two_and_three_cms_and_signature() {
    let office = Office::open();
    let firm = office.firm(CODE);
    let filing = vat(CODE, |_| {});
    let good = office.sign(&firm, &filing);
    let with = |signature: Vec<u8>| refused(office.submit_signed(&firm, &filing, signature).unwrap());
    assert_eq!(with(b"no CMS".to_vec()), [2]);
    assert_eq!(with(good[..good.len() - 1].to_vec()), [2]);
    // Over other octets; and a last octet that was turned.
    assert_eq!(with(office.sign(&firm, b"other")), [3]);
    let mut turned = good.clone();
    *turned.last_mut().unwrap() ^= 1;
    assert!([2, 3].contains(&with(turned)[0]));
}

/// From an untrusted caller: refused, where it once ended the thread.
#[test]
fn two_a_validity_that_ends_before_it_begins() {
    let office = Office::open();
    let (firm, filing) = (office.firm(CODE), vat(CODE, |_| {}));
    let good = office.sign(&firm, &filing);
    let view = pki::view::CertificateView::parse(&firm.certificate).unwrap();
    // The signature does not cover the certificate's validity: its two times are exchanged.
    let der = |at: time::OffsetDateTime| format!("{:02}{:02}{:02}{:02}{:02}{:02}Z", at.year() % 100, u8::from(at.month()), at.day(), at.hour(), at.minute(), at.second());
    let [before, after] = [view.not_before, view.not_after].map(der);
    let mut turned = good.clone();
    let place = |text: &str| firm.certificate.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    let start = good.windows(firm.certificate.len()).position(|window| window == firm.certificate).unwrap();
    for (from, to) in [(place(&before), &after), (place(&after), &before)] {
        turned[start + from..start + from + to.len()].copy_from_slice(to.as_bytes());
    }
    assert_eq!(refused(office.submit_signed(&firm, &filing, turned).unwrap()), [2]);
}

#[test]
fn four_five_six_path_usage_policy() {
    let office = Office::open();
    let filing = vat(CODE, |_| {});
    // The caller's own certificate is good; what signed is not.
    let caller = office.firm(CODE);
    let by = |other: &Firm, with: &Authority| {
        let plan = pki::cms::SignerPlan::new(&other.certificate, &[&with.certificate]).unwrap();
        let mut content = [0; 32];
        content.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, &filing).as_ref());
        refused(office.submit_signed(&caller, &filing, plan.seal(content, NOW, &other.key).unwrap()).unwrap())
    };
    let stranger = Authority::root("穗印根");
    assert_eq!(by(&firm(&stranger, CODE, |_| {}), &stranger)[0], 4);
    let encrypting = office.firm_with(CODE, |plan: &mut CertificatePlan| plan.extensions.key_usage = vec![2]);
    assert_eq!(by(&encrypting, &office.world.issuer), [5]);
    let social = office.firm_with(CODE, |plan: &mut CertificatePlan| plan.extensions.policies = vec![SOCIAL]);
    assert_eq!(by(&social, &office.world.issuer), [6]);
    let both = office.firm_with(CODE, |plan: &mut CertificatePlan| {
        plan.extensions.key_usage = vec![2];
        plan.extensions.policies = vec![SOCIAL];
    });
    assert_eq!(by(&both, &office.world.issuer), [5, 6]);
}

#[test]
fn seven_time() {
    let office = Office::open();
    let firm = office.firm(CODE);
    let filing = vat(CODE, |_| {});
    let bare = office.sign(&firm, &filing);
    let with = |signature: Vec<u8>| refused(office.submit_signed(&firm, &filing, signature).unwrap());
    // Stamped in the future; signed at another time than claimed.
    assert_eq!(with(office.stamped(&bare, NOW + Duration::minutes(1))), [7]);
    assert_eq!(with(office.stamped(&sign(&office.world, &firm, &filing, NOW - Duration::hours(1)), NOW)), [7]);
    // The authority that we ask is ahead, behind or nobody's: that is not the enterprise's fault, and nothing is recorded.
    for offset in [Duration::minutes(2), -Duration::minutes(2)] {
        *office.world.stamp_offset.lock().unwrap() = offset;
        let length = office.desk.store.stream_length("log").unwrap();
        let told = office.submit_signed(&firm, &filing, bare.clone()).unwrap_err();
        assert!(matches!(told, filing::desk::problem::DeskError::Away { what: "the timestamp authority", .. }), "{told}");
        assert_eq!(office.desk.store.stream_length("log").unwrap(), length);
    }
    *office.world.stamp_offset.lock().unwrap() = Duration::ZERO;
    // What waited here for its timestamp is compared with its arrival.
    assert_eq!(with(sign(&office.world, &firm, &filing, NOW - Duration::minutes(6))), [7]);
    let august = vat(CODE, |filing| filing["period"] = "202608".into());
    receipted(office.submit_signed(&firm, &august, sign(&office.world, &firm, &august, NOW - Duration::minutes(4))).unwrap());
    // Expired before it signed, while the caller has a new one.
    let old = office.firm_with(CODE, |plan| plan.not_after = NOW - Duration::days(1));
    assert_eq!(refused(office.submit_signed(&firm, &filing, office.sign(&old, &filing)).unwrap()), [7]);
    // A timestamp of nobody's: of an authority that we do not know.
    let strange = Office::open();
    assert_eq!(with(strange.stamped(&bare, NOW)), [7]);
    // Expired since, but stamped while it was good.
    let ending = office.firm_with(CODE, |plan| plan.not_after = NOW + Duration::minutes(1));
    let signed = office.stamped(&office.sign(&ending, &filing), NOW);
    office.clock.advance(Duration::minutes(10));
    receipted(office.submit_signed(&office.firm(CODE), &filing, signed).unwrap());
}

#[test]
fn eight_revocation_as_of_the_signature() {
    let office = Office::open();
    let firm = office.firm(CODE);
    let set = |status: CertStatus| office.world.statuses.lock().unwrap().insert(firm.serial(), status);
    let fresh = || vat(CODE, |_| {});
    for status in [
        revoked(NOW - Duration::seconds(1), Reason::Superseded),
        revoked(NOW, Reason::CessationOfOperation),
        // Whoever had the key may have signed it.
        revoked(NOW + Duration::hours(1), Reason::KeyCompromise),
        CertStatus::Revoked { at: NOW + Duration::hours(1), reason: Reason::Superseded, invalid_since: Some(NOW - Duration::days(1)) },
        revoked(NOW - Duration::days(1), Reason::CertificateHold),
        CertStatus::Unknown,
    ] {
        set(status);
        assert_eq!(office.refused(&firm, &fresh()), [8], "{status:?}");
    }
    // Told why and since when, to people in their words and their time.
    set(revoked(NOW - Duration::seconds(1), Reason::Superseded));
    let filing::desk::flow::receive::Outcome::Refused(findings) = office.submit(&firm, &fresh()).unwrap() else { panic!("it was receipted") };
    assert_eq!((findings[0].zh.as_str(), findings[0].en.as_str()), ("证书在签署时已被吊销或冻结：已被新证书取代，自 2026-11-05 11:59:59（北京时间）起", "the certificate was revoked or on hold when it signed: Superseded, 2026-11-05T03:59:59Z"));
    // As it was judged: since its key is not believed, though that was said later.
    set(CertStatus::Revoked { at: NOW + Duration::hours(1), reason: Reason::PrivilegeWithdrawn, invalid_since: Some(NOW - Duration::days(1)) });
    let filing::desk::flow::receive::Outcome::Refused(findings) = office.submit(&firm, &fresh()).unwrap() else { panic!("it was receipted") };
    assert!(findings[0].zh.ends_with("资格被取消，自 2026-11-04 12:00:00（北京时间）起"), "{}", findings[0].zh);
    // A hold ends, and the very same filing is taken.
    let held = fresh();
    set(revoked(NOW - Duration::days(1), Reason::CertificateHold));
    assert_eq!(office.refused(&firm, &held), [8]);
    set(CertStatus::Good);
    let first = office.receipt(&firm, &held);
    // Revoked later it is still valid, and so is one that was stamped before and comes after.
    let previous = json(&first.document)["filing_id"].clone();
    let late = vat(CODE, |filing| {
        filing["revision"] = 2.into();
        filing["prev_filing_id"] = previous;
        crate::office::corrected(filing);
    });
    let signed = office.stamped(&office.sign(&firm, &late), NOW);
    office.clock.advance(Duration::hours(2));
    set(revoked(NOW + Duration::hours(1), Reason::Superseded));
    receipted(office.submit_signed(&office.firm(CODE), &late, signed).unwrap());
    // Nobody answers: nothing is recorded, and nobody is refused for it.
    *office.world.responder_fails.lock().unwrap() = true;
    let before = office.desk.store.stream_length("log").unwrap();
    assert!(office.submit(&firm, &vat(CODE, |filing| filing["period"] = "202609".into())).is_err());
    assert_eq!(office.desk.store.stream_length("log").unwrap(), before);
}

#[test]
fn eight_the_issuing_authority_too() {
    let office = Office::open();
    let firm = office.firm(CODE);
    let caller = office.caller(&firm);
    let issuer = pki::view::CertificateView::parse(&office.world.issuer.certificate).unwrap().serial.to_vec();
    office.world.listed.lock().unwrap()[1] = vec![Entry { serial: issuer, revoked_at: NOW - Duration::days(1), reason: Reason::CaCompromise, invalidity_date: None }];
    // What was believed for a minute is asked again.
    office.clock.advance(Duration::minutes(2));
    let filing = vat(CODE, |_| {});
    let submission = filing::desk::flow::receive::Submission { signature: office.sign(&firm, &filing), filing, received_at: office.clock_now() };
    let outcome = filing::desk::flow::receive::receive(&office.desk, &caller, &submission).unwrap();
    // The timestamp authority stands below the same one, which is our own affair.
    assert_eq!(refused(outcome), [8]);
}

#[test]
fn nine_and_ten_enterprise_and_signer() {
    let office = Office::open();
    let (firm, other) = (office.firm(CODE), office.firm(OTHER));
    assert_eq!(office.refused(&other, &vat(CODE, |_| {})), [9]);
    // The two places in the certificate differ.
    let torn = office.firm_with(CODE, |plan| plan.extensions.credit_code = Some(OTHER.into()));
    let filing = vat(CODE, |_| {});
    assert_eq!(refused(office.submit_signed(&firm, &filing, office.sign(&torn, &filing)).unwrap()), [9]);
    // And one alone agrees with nothing.
    let half = office.firm_with(CODE, |plan| plan.extensions.credit_code = None);
    assert_eq!(refused(office.submit_signed(&firm, &filing, office.sign(&half, &filing)).unwrap()), [9]);
    // Brought by another enterprise than the one that signed it.
    assert_eq!(refused(office.submit_signed(&other, &filing, office.sign(&firm, &filing)).unwrap()), [9]);
    let agent = vat(CODE, |filing| {
        filing["signer_role"] = "agent".into();
        filing["mandate"] = id().into();
    });
    assert_eq!(office.refused(&other, &agent), [10]);
}

#[test]
fn eleven_and_twelve_replay_and_sequence() {
    let office = Office::open();
    let firm = office.firm(CODE);
    let first = vat(CODE, |_| {});
    let taken = json(&office.receipt(&firm, &first).document)["filing_id"].clone();
    let other_content = vat(CODE, |filing| {
        filing["filing_id"] = taken.clone();
        crate::office::corrected(filing);
    });
    assert_eq!(office.refused(&firm, &other_content)[0], 11);
    let again = vat(CODE, |filing| {
        filing["revision"] = 2.into();
        filing["prev_filing_id"] = taken.clone();
    });
    assert_eq!(office.refused(&firm, &again), [11]);
    let change = |filing: &mut serde_json::Value, revision: u32, previous: serde_json::Value| {
        filing["revision"] = revision.into();
        filing["prev_filing_id"] = previous;
        crate::office::corrected(filing);
    };
    assert_eq!(office.refused(&firm, &vat(CODE, |filing| change(filing, 3, taken.clone()))), [12]);
    assert_eq!(office.refused(&firm, &vat(CODE, |filing| change(filing, 2, id().into()))), [12]);
    assert_eq!(office.refused(&firm, &vat(CODE, |filing| filing["period"] = "202612".into())), [12]);
    let second = json(&office.receipt(&firm, &vat(CODE, |filing| change(filing, 2, taken.clone()))).document)["filing_id"].clone();
    // What an earlier revision said is not said again either, until that one is rejected.
    let back = |filing: &mut serde_json::Value| {
        filing["revision"] = 3.into();
        filing["prev_filing_id"] = second.clone();
    };
    assert_eq!(office.refused(&firm, &vat(CODE, back)), [11]);
    let reject = |id: &serde_json::Value| proceed(&office.desk, id.as_str().unwrap(), Status::Rejected, &Decision::default(), &crate::office::officer()).unwrap();
    reject(&taken);
    office.receipt(&firm, &vat(CODE, back));
}

/// Who has the disk and not the key sees neither what a return says nor who says the same; what was noted before in an older form
/// is found all the same, and goes when its filing is rejected.
#[test]
fn equal_returns_do_not_stand_alike_and_older_forms_are_found() {
    use filing::desk::record::filing::Slot;
    // A store from before: without the mark that `init` sets.
    let office = Office::over(std::sync::Arc::new(store::Memory::new()), |_| {});
    let (firm, other) = (office.firm(CODE), office.firm(OTHER));
    let first = json(&office.receipt(&firm, &vat(CODE, |_| {})).document)["filing_id"].clone();
    office.receipt(&other, &vat(OTHER, |_| {}));
    let slot = |code| Slot::decode(&office.desk.store.get(&Slot::key(code, "VAT_GENERAL", "202610")).unwrap().unwrap()).unwrap();
    let payload = filing::document::Filing::parse(&vat(CODE, |_| {})).unwrap().payload().canonical();
    let plain = digest_text(&payload);
    assert!(slot(CODE).payload != slot(OTHER).payload && slot(CODE).payload != plain);
    // As it was told before: by a key and the digest alone, and by the plain digest.
    let keyed: String = office.desk.data.index("suiyin desk filing payload 1", plain.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    for older in [keyed, plain] {
        let now = slot(CODE);
        let (place, said) = (Slot::key(CODE, "VAT_GENERAL", "202610"), |text: &str| Slot::said(CODE, "VAT_GENERAL", "202610", text));
        let before = Slot { payload: older.clone(), ..now.clone() };
        let moved = store::Batch::new().delete(said(&now.payload)).put(said(&older), first.as_str().unwrap().as_bytes()).put(place.clone(), before.encode().unwrap());
        office.desk.store.commit(moved).unwrap();
        let again = |filing: &mut serde_json::Value| {
            filing["revision"] = 2.into();
            filing["prev_filing_id"] = first.clone();
        };
        assert_eq!(office.refused(&firm, &vat(CODE, again)), [11], "{older}");
        // A slot from before it was noted what each revision said.
        office.desk.store.commit(store::Batch::new().delete(said(&older))).unwrap();
        assert_eq!(office.refused(&firm, &vat(CODE, again)), [11], "{older}");
        office.desk.store.commit(store::Batch::new().put(said(&older), first.as_str().unwrap().as_bytes())).unwrap();
    }
    proceed(&office.desk, first.as_str().unwrap(), Status::Rejected, &Decision::default(), &crate::office::officer()).unwrap();
    office.receipt(&firm, &vat(CODE, |filing| {
        filing["revision"] = 2.into();
        filing["prev_filing_id"] = first.clone();
    }));
}

/// A store that was founded with the newest form holds no other: nobody's return is held against an older one there.
#[test]
fn a_new_desk_looks_for_no_older_forms() {
    use filing::desk::record::filing::Slot;
    let office = Office::open();
    let firm = office.firm(CODE);
    let first = json(&office.receipt(&firm, &vat(CODE, |_| {})).document)["filing_id"].clone();
    let again = |filing: &mut serde_json::Value| {
        filing["revision"] = 2.into();
        filing["prev_filing_id"] = first.clone();
    };
    assert_eq!(office.refused(&firm, &vat(CODE, again)), [11]);
    let place = Slot::key(CODE, "VAT_GENERAL", "202610");
    let said = |text: &str| Slot::said(CODE, "VAT_GENERAL", "202610", text);
    let now = Slot::decode(&office.desk.store.get(&place).unwrap().unwrap()).unwrap();
    let older = digest_text(&filing::document::Filing::parse(&vat(CODE, |_| {})).unwrap().payload().canonical());
    let before = Slot { payload: older.clone(), ..now.clone() };
    office.desk.store.commit(store::Batch::new().delete(said(&now.payload)).put(said(&older), first.as_str().unwrap().as_bytes()).put(place, before.encode().unwrap())).unwrap();
    office.receipt(&firm, &vat(CODE, again));
}

fn digest_text(bytes: &[u8]) -> String {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A correction that is rejected leaves standing what it was to correct: the next month is judged by it.
#[test]
fn a_rejected_correction_leaves_the_revision_before_it_in_force() {
    let office = Office::open();
    let firm = office.firm(CODE);
    // September carries nothing forward, and October claims five thousand.
    let first = json(&office.receipt(&firm, &vat(CODE, |filing| filing["period"] = "202609".into())).document)["filing_id"].clone();
    let correction = vat(CODE, |filing| {
        filing["period"] = "202609".into();
        filing["revision"] = 2.into();
        filing["prev_filing_id"] = first.clone();
        crate::office::corrected(filing);
    });
    let second = json(&office.receipt(&firm, &correction).document)["filing_id"].clone();
    let reject = |id: &serde_json::Value| proceed(&office.desk, id.as_str().unwrap(), Status::Rejected, &Decision::default(), &crate::office::officer()).unwrap();
    reject(&second);
    assert_eq!(office.refused(&firm, &vat(CODE, |_| {})), [14]);
    // Without any that stands there is nothing to judge October by, and the receipt says so.
    reject(&first);
    let receipt = json(&office.receipt(&firm, &vat(CODE, |_| {})).document);
    assert!(!receipt["not_judged"].as_array().unwrap().is_empty(), "{receipt}");
}

/// What the bureau keeps is made anew around what was signed: the receipt is of both, and of nothing else.
#[test]
fn a_receipt_is_of_the_signature_that_came_and_of_the_one_that_is_kept() {
    use filing::desk::record::filing::{signature, signature_key};
    let office = Office::open();
    let (firm, filing) = (office.firm(CODE), vat(CODE, |_| {}));
    let came = office.sign(&firm, &filing);
    let sealed = receipted(office.submit_signed(&firm, &filing, came.clone()).unwrap());
    let (receipt, filed) = (filing::keep::Receipt::parse(&sealed.document).unwrap(), filing::document::Filing::parse(&filing).unwrap());
    let stored = office.desk.store.get(&signature_key(filed.id().as_str())).unwrap().unwrap();
    let kept = signature(&stored).unwrap().to_vec();
    assert_ne!(came, kept);
    assert_eq!((receipt.is_of(&filed, &came), receipt.is_of(&filed, &kept)), (Ok(()), Ok(())));
    assert!(receipt.is_of(&filed, &office.sign(&office.firm(CODE), &filing)).is_err());
}

#[test]
fn thirteen_the_deadline() {
    let late = |office: &Office| {
        office.clock.set(time::macros::datetime!(2026-11-16 16:00:00 UTC));
        (office.firm(CODE), vat(CODE, |_| {}))
    };
    let office = Office::open();
    // The last second of the last day, by the city's time.
    office.clock.set(time::macros::datetime!(2026-11-16 15:59:59 UTC));
    assert_eq!(json(&office.receipt(&office.firm(OTHER), &vat(OTHER, |_| {})).document)["timely"], true);
    let (firm, filing) = late(&office);
    assert_eq!(json(&office.receipt(&firm, &filing).document)["timely"], false);
    let strict = Office::open_with(|documents| documents[0].1 = documents[0].1.replacen("late = \"flag\"", "late = \"refuse\"", 1));
    let (firm, filing) = late(&strict);
    assert_eq!(strict.refused(&firm, &filing), [13]);
    // Here in time, and its turn and our own stamp come after midnight: it counts.
    let waited = Office::open_with(|documents| documents[0].1 = documents[0].1.replacen("late = \"flag\"", "late = \"refuse\"", 1));
    let (waits, whole) = late(&waited);
    let submission = filing::desk::flow::receive::Submission { signature: waited.sign(&waits, &whole), filing: whole, received_at: waited.clock_now() - Duration::seconds(1) };
    waited.clock.advance(Duration::seconds(1));
    let receipt = json(&receipted(filing::desk::flow::receive::receive(&waited.desk, &waited.caller(&waits), &submission).unwrap()).document);
    assert_eq!((receipt["timely"].as_bool(), receipt["received_at"].as_str().map(|at| at.starts_with("2026-11-16T15:59:59"))), (Some(true), Some(true)), "{receipt}");
    // Stamped in time and sent within a day it counts; from a drawer it does not.
    let signed = strict.stamped(&sign(&strict.world, &firm, &filing, time::macros::datetime!(2026-11-16 15:59 UTC)), time::macros::datetime!(2026-11-16 15:59 UTC));
    strict.clock.advance(Duration::days(3));
    assert_eq!(refused(strict.submit_signed(&firm, &filing, signed.clone()).unwrap()), [13]);
    strict.clock.set(time::macros::datetime!(2026-11-17 3:00 UTC));
    receipted(strict.submit_signed(&firm, &filing, signed).unwrap());
}

#[test]
fn fourteen_the_rules_of_the_kind_every_failure_at_once() {
    let office = Office::open();
    let firm = office.firm(CODE);
    let wrong = vat(CODE, |filing| {
        filing["payload"]["general_month"]["l19"] = "35000.01".into();
        filing["payload"]["general_month"]["l20"] = "7.00".into();
    });
    let outcome = office.submit(&firm, &wrong).unwrap();
    let filing::desk::flow::receive::Outcome::Refused(findings) = outcome else { panic!("it was receipted") };
    let fields: Vec<&str> = findings.iter().filter_map(|finding| finding.field.as_deref()).collect();
    assert!(findings.iter().all(|finding| finding.check.number() == 14 && finding.rule.is_some()), "{findings:?}");
    assert!(fields.contains(&"/payload/general_month/l19") && fields.contains(&"/payload/general_month/l20"), "{fields:?}");
    // What is brought forward is what the month before left: line 13 of October is line 20 of September.
    let september = vat(CODE, |filing| filing["period"] = "202609".into());
    office.receipt(&firm, &september);
    let outcome = office.submit(&firm, &vat(CODE, |_| {})).unwrap();
    let filing::desk::flow::receive::Outcome::Refused(findings) = outcome else { panic!("it was receipted") };
    assert_eq!(findings.iter().map(|finding| finding.field.as_deref().unwrap_or_default()).collect::<Vec<_>>(), ["/payload/general_month/l13"], "{findings:?}");
}

/// A rejected return is not in force: the month after is not compared with it, and its content may come again.
#[test]
fn what_was_rejected_is_in_nobodys_way() {
    let office = Office::open();
    let firm = office.firm(CODE);
    let september = |change: &dyn Fn(&mut serde_json::Value)| {
        vat(CODE, |filing| {
            filing["period"] = "202609".into();
            change(filing);
        })
    };
    let rejected = json(&office.receipt(&firm, &september(&|_| {})).document)["filing_id"].clone();
    assert_eq!(office.refused(&firm, &vat(CODE, |_| {})), [14]);
    let decision = filing::desk::receipt::Decision { reasons: vec!["another period".into()], ..Default::default() };
    filing::desk::flow::proceed::proceed(&office.desk, rejected.as_str().unwrap(), filing::desk::record::filing::Status::Rejected, &decision, &crate::office::officer()).unwrap();
    let october = json(&office.receipt(&firm, &vat(CODE, |_| {})).document);
    assert_eq!(october["not_judged"], serde_json::json!(["check-09-registry", "V13"]));
    let again = |filing: &mut serde_json::Value| {
        filing["revision"] = 2.into();
        filing["prev_filing_id"] = rejected.clone();
    };
    office.receipt(&firm, &september(&again));
    // The new revision is in force again.
    assert_eq!(office.refused(&firm, &vat(CODE, |filing| {
        filing["revision"] = 2.into();
        filing["prev_filing_id"] = october["filing_id"].clone();
        crate::office::corrected(filing);
    })), [14]);
}

/// What the desk cannot know is not passed over in silence.
#[test]
fn fourteen_what_was_not_judged_stands_in_record_and_receipt() {
    let office = Office::open();
    let firm = office.firm(CODE);
    let receipt = json(&office.receipt(&firm, &vat(CODE, |_| {})).document);
    assert_eq!(receipt["not_judged"], serde_json::json!(["check-09-registry", "V13"]));
    let shown = filing::desk::service::shown(&office.desk, receipt["filing_id"].as_str().unwrap()).unwrap();
    assert_eq!(shown.record.not_judged, ["check-09-registry", "V13"]);
    assert_eq!(office.refused(&firm, &vat(CODE, |filing| filing["period"] = "202212".into())), [1]);
}

#[test]
fn a_refusal_is_recorded_with_every_check_it_failed_and_nothing_else_is() {
    let office = Office::open_with(|documents| documents[0].1 = documents[0].1.replacen("late = \"flag\"", "late = \"refuse\"", 1));
    let other = office.firm(OTHER);
    office.clock.set(time::macros::datetime!(2026-12-20 0:00 UTC));
    office.world.statuses.lock().unwrap().insert(other.serial(), revoked(NOW, Reason::Superseded));
    let filing = vat(CODE, |filing| {
        filing["revision"] = 2.into();
        filing["prev_filing_id"] = id().into();
    });
    assert_eq!(office.refused(&other, &filing), [8, 9, 12, 13]);
    let leaf = office.desk.store.read_stream("log", 2, 1).unwrap().remove(0);
    let leaf = merkle::Leaf::parse(&leaf).unwrap();
    assert!(leaf.kind() == 2 && leaf.payload().contains("\"checks\":[8,9,12,13]"), "{}", leaf.payload());
    let (from, to) = filing::desk::record::filing::FilingRecord::all();
    assert!(office.desk.store.scan(&from, &to, 1).unwrap().is_empty());
}

/// What came with a signature and nobody signed is not kept; what is kept is what was assessed, and passes when asked later.
#[test]
fn what_is_kept_passes_its_own_verdict_later() {
    let office = Office::open();
    let firm = office.firm(CODE);
    let filing = vat(CODE, |_| {});
    let strange = Office::open();
    let stranger = Authority::root("他");
    let bare = office.sign(&firm, &filing);
    // Two timestamps that are believed, one of a stranger's, certificates and answers that belong to nothing or cannot be read.
    let stuffed = strange.stamped(&office.stamped(&office.stamped(&bare, NOW + Duration::seconds(2)), NOW), NOW - Duration::days(1));
    let list = stranger.crl(&stranger.crl_plan(), vec![]);
    let stuffed = pki::cades::Signature::read(&stuffed).unwrap().with_evidence([stranger.certificate.as_slice()], [&[0x30, 0][..]], [list.as_slice()]).unwrap();
    let sealed = receipted(office.submit_signed(&firm, &filing, stuffed.der().to_vec()).unwrap());
    let stored = office.desk.store.get(&filing::desk::record::filing::signature_key(json(&sealed.document)["filing_id"].as_str().unwrap())).unwrap().unwrap();
    let kept = pki::cades::Signature::read(filing::desk::record::filing::signature(&stored).unwrap()).unwrap();
    assert_eq!((kept.value(), kept.signature_timestamps().count()), (stuffed.value(), 1));
    let token = pki::timestamp::verify(kept.signature_timestamps().next().unwrap(), &[]).unwrap();
    assert_eq!(token.gen_time(), NOW);
    assert!(!kept.certificates().contains(&stranger.certificate) && kept.der().len() < stuffed.der().len());
    // A third party asks for the verdict of what is kept, and of what came: both pass, and of what came the rest is named.
    let bureau = office.desk.policies.desk.bureaus().first().unwrap();
    for (signature, passed_over) in [(kept.der(), 0), (stuffed.der(), 1)] {
        let told = json(&filing::desk::flow::verify::answer(&office.desk, bureau, &filing, signature).unwrap().document);
        assert_eq!(told["verdict"], "TOTAL-PASSED", "{told}");
        assert_eq!(told["passed_over"].as_array().map_or(0, Vec::len), passed_over);
    }
    // The archive makes of it what lasts.
    office.clock.advance(Duration::hours(27));
    assert_eq!(filing::desk::flow::archive::pass(&office.desk, &|| false).unwrap().failed, 0);
}

/// What the envelope says of place, time and people is judged where it can be, and told again by the receipt.
#[test]
fn place_time_and_people_are_judged_and_stand_in_the_receipt() {
    let office = Office::open();
    let firm = office.firm(CODE);
    for (member, wrong) in [("region", "440300"), ("created_at", "2026-11-07T00:00:00+08:00")] {
        assert_eq!(office.refused(&firm, &vat(CODE, |filing| filing[member] = wrong.into())), [14], "{member}");
    }
    let receipt = office.receipt(&firm, &vat(CODE, |filing| {
        filing["region"] = "440106".into();
        filing["created_at"] = "2026-11-05T11:00:00+08:00".into();
        filing["prepared_by"] = serde_json::json!({"person_ref": "李四", "role": "operator"});
    }));
    let told = json(&receipt.document);
    assert_eq!((told["region"].as_str(), told["prepared_by"]["person_ref"].as_str(), told["created_at"].as_str()), (Some("440106"), Some("李四"), Some("2026-11-05T11:00:00+08:00")));
    let page = filing::desk::receipt::html::page(&receipt.document).unwrap();
    assert!(page.contains("李四") && page.contains("440106") && page.contains("2026-11-05 11:00:00"));
}
