//! Several operators of one enterprise, each with a key of their own: who may sign what, and who says so.

use filing::desk::flow::{mandate, operator};
use filing::desk::record::archive;
use filing::desk::record::mandate::MandateRecord;
use filing::desk::record::operator::OperatorRecord;
use filing::desk::problem::DeskError;
use filing::document::{MandateId, Value};
use pki::view::CertificateView;
use ring::digest::{SHA256, digest};
use time::Duration;

use crate::office::{CODE, Firm, NOW, OTHER, Office, id, json, vat};

fn key(firm: &Firm) -> String {
    let view = CertificateView::parse(&firm.certificate).unwrap();
    digest(&SHA256, view.spki).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn canonical(value: &serde_json::Value) -> Vec<u8> {
    Value::parse(value.to_string().as_bytes()).unwrap().canonical()
}

fn document(authorisation: &str, operator: &Firm, kinds: &[&str], until: &str) -> Vec<u8> {
    canonical(&serde_json::json!({"kind": "OPERATOR", "authorisation_id": authorisation, "uscc": CODE, "key": key(operator), "name": "办税员甲", "kinds": kinds, "from": "2026-11-01", "until": until}))
}

fn authorise(office: &Office, by: &Firm, document: &[u8]) -> Result<MandateId, DeskError> {
    operator::authorise(&office.desk, &office.caller(by), document, &office.sign(by, document))
}

fn as_operator(period: &str) -> Vec<u8> {
    vat(CODE, |filing| {
        filing["signer_role"] = "operator".into();
        filing["period"] = period.into();
    })
}

#[test]
fn an_operator_signs_what_it_is_authorised_for_until_that_ends() {
    let office = Office::open();
    let (own, first, second) = (office.firm(CODE), office.firm(CODE), office.firm(CODE));
    // 1. Before anybody is authorised a role is what the filing says, and the receipt says so.
    let receipt = json(&office.receipt(&first, &as_operator("202601")).document);
    assert_eq!((receipt["signer"]["role"].as_str(), receipt["signer"]["role_by"].as_str()), (Some("operator"), Some("declared")));
    // 2. One is authorised: by the enterprise, not by itself and not by another's.
    let authorisation = id();
    let document_of_first = document(&authorisation, &first, &["VAT_GENERAL"], "2026-11-30");
    assert!(matches!(authorise(&office, &first, &document_of_first), Err(DeskError::Request(_))));
    assert!(matches!(authorise(&office, &office.firm(OTHER), &document_of_first), Err(DeskError::NotYours { .. })));
    authorise(&office, &own, &document_of_first).unwrap();
    authorise(&office, &own, &document_of_first).unwrap();
    let receipt = json(&office.receipt(&first, &as_operator("202603")).document);
    assert_eq!(receipt["signer"]["role_by"], "authorisation");
    // 3. From then on no other key signs as an operator, and this one signs as nobody else and makes no others.
    assert_eq!(office.refused(&second, &as_operator("202605")), [10]);
    assert_eq!(office.refused(&first, &vat(CODE, |filing| filing["period"] = "202605".into())), [10]);
    assert!(authorise(&office, &first, &document(&id(), &second, &["VAT_GENERAL"], "2026-11-30")).unwrap_err().to_string().contains("operator"));
    office.receipt(&own, &vat(CODE, |filing| filing["period"] = "202605".into()));
    // 4. For its kinds only.
    authorise(&office, &own, &document(&id(), &second, &["SI_STAFF_CHANGE"], "2026-11-30")).unwrap();
    assert_eq!(office.refused(&second, &as_operator("202607")), [10]);
    // 5. Until it is taken back, for ever.
    let withdrawal = canonical(&serde_json::json!({"kind": "OPERATOR_WITHDRAWAL", "authorisation_id": authorisation, "uscc": CODE}));
    assert!(operator::withdraw(&office.desk, &office.caller(&first), &withdrawal, &office.sign(&first, &withdrawal)).is_err());
    operator::withdraw(&office.desk, &office.caller(&own), &withdrawal, &office.sign(&own, &withdrawal)).unwrap();
    // It calls no more, neither to file nor to read; and whoever brings what it signs is refused as well.
    let calls = |firm: &Firm| office.callers.authorise(&office.desk, &[&firm.certificate, &office.world.issuer.certificate].map(|der| der.clone().into()));
    assert!(matches!(calls(&first), Err(DeskError::OperatorEnded)) && calls(&second).is_ok());
    let brought = as_operator("202607");
    assert_eq!(crate::office::refused(office.submit_signed(&own, &brought, office.sign(&first, &brought)).unwrap()), [10]);
    assert!(authorise(&office, &own, &document_of_first).unwrap_err().to_string().contains("withdrawn"));
    // 6. A new one lives, until its last day.
    authorise(&office, &own, &document(&id(), &first, &["VAT_GENERAL"], "2026-11-05")).unwrap();
    let late = as_operator("202609");
    let signed = office.stamped(&office.sign(&first, &late), NOW);
    office.receipt(&first, &as_operator("202607"));
    office.clock.advance(Duration::days(1));
    assert!(matches!(calls(&first), Err(DeskError::OperatorEnded)));
    assert_eq!(crate::office::refused(office.submit_signed(&own, &late, signed).unwrap()), [10]);
    // The log tells of each, and of nobody by number.
    let kinds: Vec<u8> = office.desk.store.read_stream("log", 0, 100).unwrap().iter().map(|leaf| merkle::Leaf::parse(leaf).unwrap().kind()).filter(|kind| [125, 126].contains(kind)).collect();
    assert_eq!(kinds, [125, 125, 126, 125]);
}

fn own(authorisation: &str, successor: &Firm) -> Vec<u8> {
    canonical(&serde_json::json!({"kind": "OWN_KEY", "authorisation_id": authorisation, "uscc": CODE, "key": key(successor), "name": "换发后的证书"}))
}

fn withdraw(office: &Office, by: &Firm, authorisation: &str) -> Result<MandateId, DeskError> {
    let document = canonical(&serde_json::json!({"kind": "OPERATOR_WITHDRAWAL", "authorisation_id": authorisation, "uscc": CODE}));
    operator::withdraw(&office.desk, &office.caller(by), &document, &office.sign(by, &document))
}

fn mandate(office: &Office, by: &Firm, mandate: &str) -> Result<(), DeskError> {
    let document = canonical(&serde_json::json!({"kind": "MANDATE", "mandate_id": mandate, "principal": CODE, "agent": OTHER, "kinds": ["VAT_GENERAL", "SI_STAFF_CHANGE"], "from": "2026-11-01", "until": "2026-11-30"}));
    mandate::give(&office.desk, &office.caller(by), &document, &office.sign(by, &document)).map(drop)
}

fn take_back(office: &Office, by: &Firm, mandate: &str) -> Result<(), DeskError> {
    let document = canonical(&serde_json::json!({"kind": "MANDATE_WITHDRAWAL", "mandate_id": mandate, "principal": CODE}));
    mandate::withdraw(&office.desk, &office.caller(by), &document, &office.sign(by, &document)).map(drop)
}

fn as_representative(period: &str) -> Vec<u8> {
    vat(CODE, |filing| filing["period"] = period.into())
}

/// An operator renews its certificate: the new key is nobody's until the enterprise's own names it.
#[test]
fn a_renewed_operator_is_no_more_than_it_was() {
    let office = Office::open();
    let (representative, clerk, renewed) = (office.firm(CODE), office.firm(CODE), office.firm(CODE));
    authorise(&office, &representative, &document(&id(), &clerk, &["VAT_GENERAL"], "2026-11-30")).unwrap();
    let given = id();
    mandate(&office, &representative, &given).unwrap();
    // 1. Neither the operator nor its renewed key signs as another, names keys, or gives and takes back mandates.
    for by in [&clerk, &renewed] {
        assert_eq!(office.refused(by, &as_representative("202601")), [10]);
        assert!(matches!(authorise(&office, by, &document(&id(), &office.firm(CODE), &["SI_STAFF_CHANGE"], "2026-11-30")), Err(DeskError::Request(_))));
        assert!(matches!(authorise(&office, by, &own(&id(), &office.firm(CODE))), Err(DeskError::Request(_))));
        assert!(matches!(mandate(&office, by, &id()), Err(DeskError::Request(_))));
        assert!(matches!(take_back(&office, by, &given), Err(DeskError::Request(_))));
    }
    assert!(mandate(&office, &renewed, &id()).unwrap_err().to_string().contains("have its own key name this one first"));
    assert_eq!(office.refused(&renewed, &as_operator("202601")), [10]);
    // 2. Named anew it signs for what it is named for.
    authorise(&office, &representative, &document(&id(), &renewed, &["VAT_GENERAL"], "2026-11-30")).unwrap();
    office.receipt(&renewed, &as_operator("202601"));
    assert_eq!(office.refused(&renewed, &as_representative("202603")), [10]);
    take_back(&office, &representative, &given).unwrap();
}

/// The enterprise's own key is renewed: the old one names the new one, which then does all that the old one did.
#[test]
fn an_own_key_names_the_one_that_comes_after_it() {
    let office = Office::open();
    let (first, clerk, second) = (office.firm(CODE), office.firm(CODE), office.firm(CODE));
    authorise(&office, &first, &document(&id(), &clerk, &["VAT_GENERAL"], "2026-11-30")).unwrap();
    assert_eq!(office.refused(&second, &as_representative("202601")), [10]);
    let named = id();
    authorise(&office, &first, &own(&named, &second)).unwrap();
    authorise(&office, &first, &own(&named, &second)).unwrap();
    office.receipt(&second, &as_representative("202601"));
    mandate(&office, &second, &id()).unwrap();
    // A key is the enterprise's own or an operator's, for ever.
    assert!(authorise(&office, &first, &own(&id(), &clerk)).is_err());
    assert!(authorise(&office, &first, &document(&id(), &second, &["VAT_GENERAL"], "2026-11-30")).is_err());
    // Not by itself, and then it is nobody's.
    assert!(withdraw(&office, &second, &named).unwrap_err().to_string().contains("another"));
    withdraw(&office, &first, &named).unwrap();
    assert_eq!(office.refused(&second, &as_representative("202603")), [10]);
    assert!(authorise(&office, &first, &own(&named, &second)).unwrap_err().to_string().contains("withdrawn"));
    office.receipt(&first, &as_representative("202603"));
}

/// The key that spoke first is stolen: another of the enterprise's own takes it back by itself, and no operator is taken for it.
#[test]
fn the_key_that_spoke_first_is_taken_back_by_another_and_its_operators_are_not() {
    let office = Office::open();
    let (stolen, clerk, successor) = (office.firm(CODE), office.firm(CODE), office.firm(CODE));
    let authorisation = id();
    authorise(&office, &stolen, &document(&authorisation, &clerk, &["VAT_GENERAL"], "2026-11-30")).unwrap();
    authorise(&office, &stolen, &own(&id(), &successor)).unwrap();
    // 1. No document names it.
    let of = |firm: &Firm| operator::list(&office.desk, &office.caller(&successor), None).unwrap().own.into_iter().find(|(listed, _)| *listed == key(firm));
    assert_eq!(of(&stolen), Some((key(&stolen), None)));
    // 2. Not by an operator, not by itself, not a key that is none.
    let end = |by: &Firm, of: &Firm| {
        let document = canonical(&serde_json::json!({"kind": "OWN_KEY_WITHDRAWAL", "withdrawal_id": id(), "uscc": CODE, "key": key(of)}));
        operator::withdraw(&office.desk, &office.caller(by), &document, &office.sign(by, &document)).map(|_| document)
    };
    for (by, key, why) in [(&clerk, &stolen, "an operator's"), (&stolen, &stolen, "does not withdraw itself"), (&successor, &clerk, "none of the enterprise's own")] {
        let said = end(by, key).unwrap_err().to_string();
        assert!(said.contains(why), "{why}: {said}");
    }
    // 3. By another: its operator still signs, it does not; the same again changes nothing.
    let said = end(&successor, &stolen).unwrap();
    operator::withdraw(&office.desk, &office.caller(&successor), &said, &office.sign(&successor, &said)).unwrap();
    assert_eq!((of(&stolen), office.refused(&stolen, &as_representative("202601"))), (None, vec![10]));
    assert!(authorise(&office, &stolen, &own(&id(), &office.firm(CODE))).is_err());
    office.receipt(&clerk, &as_operator("202601"));
    // 4. Named anew it is the enterprise's own again, whatever is sent again.
    authorise(&office, &successor, &own(&id(), &stolen)).unwrap();
    operator::withdraw(&office.desk, &office.caller(&successor), &said, &office.sign(&successor, &said)).unwrap();
    office.receipt(&stolen, &as_representative("202603"));
    // 5. Its operator taken back, it stays.
    withdraw(&office, &stolen, &authorisation).unwrap();
    office.receipt(&stolen, &as_representative("202605"));
    let kinds: Vec<u8> = office.desk.store.read_stream("log", 0, 100).unwrap().iter().map(|leaf| merkle::Leaf::parse(leaf).unwrap().kind()).filter(|kind| *kind == 131).collect();
    assert_eq!(kinds, [131]);
}

/// A store from before own keys were kept: who signed the first authorisation is known from it.
#[test]
fn who_authorised_before_own_keys_were_kept_is_known() {
    let office = Office::open();
    let (first, clerk, other) = (office.firm(CODE), office.firm(CODE), office.firm(CODE));
    authorise(&office, &first, &document(&id(), &clerk, &["VAT_GENERAL"], "2026-11-30")).unwrap();
    office.desk.store.commit(store::Batch::new().delete(OperatorRecord::own(CODE, &key(&first)))).unwrap();
    assert_eq!(office.refused(&other, &as_representative("202601")), [10]);
    office.receipt(&first, &as_representative("202601"));
    authorise(&office, &first, &own(&id(), &other)).unwrap();
    office.receipt(&first, &as_representative("202603"));
    office.receipt(&other, &as_representative("202605"));
}

/// What an enterprise said of an agent and of a key is proved as its filings are, with the check that it fails, and kept as
/// they are: with nothing but the root it passes when every certificate has ended.
#[test]
fn mandates_and_what_is_said_of_keys_are_proved_and_kept_as_filings_are() {
    let office = Office::open();
    office.world.roll(time::macros::datetime!(2029-01-01 0:00 UTC));
    let (own, clerk) = (office.firm(CODE), office.firm(CODE));
    // 1. Each check of a signature, by its code.
    let revoked = office.firm(CODE);
    office.world.statuses.lock().unwrap().insert(revoked.serial(), crate::office::revoked(NOW - Duration::days(1), pki::crl::Reason::Superseded));
    let foreign = crate::office::firm(&crate::city::Authority::root("另一根"), CODE, |_| {});
    let encrypting = office.firm_with(CODE, |plan| plan.extensions.key_usage = vec![2]);
    let unfit = office.firm_with(CODE, |plan| plan.extensions.policies = vec![crate::office::SOCIAL]);
    for (by, check) in [(&revoked, "check-08-revocation"), (&foreign, "check-04-path"), (&encrypting, "check-05-usage"), (&unfit, "check-06-policy")] {
        let said = document(&id(), &clerk, &["VAT_GENERAL"], "2026-11-30");
        let refused = operator::authorise(&office.desk, &office.caller(&own), &said, &office.sign(by, &said)).unwrap_err().to_string();
        assert!(refused.starts_with(check), "{check}: {refused}");
    }
    let said = document(&id(), &clerk, &["VAT_GENERAL"], "2026-11-30");
    let lying = office.stamped(&office.sign(&own, b"other"), NOW);
    assert!(operator::authorise(&office.desk, &office.caller(&own), &said, &lying).unwrap_err().to_string().starts_with("check-03-signature"));
    // Good when it signed and revoked since: of a filing that is enough, of what acts from now on it is not.
    let since = office.firm(CODE);
    let said = document(&id(), &clerk, &["VAT_GENERAL"], "2026-11-30");
    let signed = office.stamped(&office.sign(&since, &said), NOW - Duration::minutes(2));
    office.world.statuses.lock().unwrap().insert(since.serial(), crate::office::revoked(NOW - Duration::minutes(1), pki::crl::Reason::Superseded));
    assert!(operator::authorise(&office.desk, &office.caller(&own), &said, &signed).unwrap_err().to_string().starts_with("check-08-revocation"));
    // So of one whose certificate has ended since.
    let ended = office.firm_with(CODE, |plan| plan.not_after = NOW - Duration::minutes(1));
    let signed = office.stamped(&office.sign(&ended, &said), NOW - Duration::minutes(2));
    assert!(operator::authorise(&office.desk, &office.caller(&own), &said, &signed).unwrap_err().to_string().starts_with("check-07-time"));
    // 2. Given and taken back: four words, of which one is from before they were archived.
    let (authorisation, given) = (id(), id());
    authorise(&office, &own, &document(&authorisation, &clerk, &["VAT_GENERAL"], "2026-11-30")).unwrap();
    mandate(&office, &own, &given).unwrap();
    take_back(&office, &own, &given).unwrap();
    withdraw(&office, &own, &authorisation).unwrap();
    let name = archive::Kept::Mandate.name(&given);
    office.desk.store.commit(archive::drop_plan(&*office.desk.store, &name, store::Batch::new()).unwrap()).unwrap();
    office.clock.advance(Duration::hours(27));
    let passed = filing::desk::flow::archive::pass(&office.desk, &|| false).unwrap();
    assert_eq!((passed.renewed, passed.failed), (4, 0));
    for year in 2027..=2033 {
        office.clock.set(time::Date::from_calendar_date(year, time::Month::August, 1).unwrap().midnight().assume_utc());
        if year % 2 == 0 {
            office.world.roll(office.clock_now() + Duration::days(1_100));
        }
        assert_eq!(filing::desk::flow::archive::pass(&office.desk, &|| false).unwrap().failed, 0, "{year}");
    }
    // 3. With the root alone.
    let (mandate, operator) = (MandateRecord::decode(&office.desk.store.get(&MandateRecord::key(&given)).unwrap().unwrap()).unwrap(), OperatorRecord::decode(&office.desk.store.get(&OperatorRecord::key(&authorisation)).unwrap().unwrap()).unwrap());
    let anchors = pki::path::Anchors::new(std::slice::from_ref(&office.world.root.certificate)).unwrap();
    let terms = filing::verify::Terms::new(&policies::filing::Archive::shipped().unwrap());
    let (taken, ended) = (mandate.withdrawn.unwrap(), operator.withdrawn.unwrap());
    for (said, signature) in [(mandate.document, mandate.signature), (taken.document, taken.signature), (operator.document, operator.signature), (ended.document, ended.signature)] {
        use base64::Engine as _;
        let signature = base64::engine::general_purpose::STANDARD.decode(signature).unwrap();
        let asked = filing::verify::Asked { document: said.as_bytes(), signature: &signature, anchors: &anchors, timestamp_anchors: &anchors, terms: &terms, policies: &[], credit_code: Some(CODE), answers: &[], existed_at: None };
        let verdict = filing::verify::verify(&asked, office.clock_now());
        assert_eq!((verdict.passed(), verdict.level), (true, Some("B-LTA")), "{verdict:?}");
    }
}

/// All own keys are lost: with the authority's new certificate and a bureau's decision, which the log keeps, another speaks.
#[test]
fn an_enterprise_that_lost_its_own_keys_is_let_in_again_by_the_bureau() {
    use filing::desk::record::bureau::Chain;
    let office = Office::open();
    let (lost, clerk, found) = (office.firm(CODE), office.firm(CODE), office.firm(CODE));
    let chain = |firm: &Firm| Chain::new(vec![firm.certificate.clone(), office.world.issuer.certificate.clone()]).unwrap();
    let reinstate = |firm: &Firm, reason: &str| operator::reinstate(&office.desk, &chain(firm), reason, &crate::office::officer());
    let told = |result: Result<_, DeskError>| result.map(drop).unwrap_err().to_string();
    // Before it named any there is nothing to decide.
    assert!(told(reinstate(&found, "营业执照")).contains("named no keys"));
    authorise(&office, &lost, &document(&id(), &clerk, &["VAT_GENERAL"], "2026-11-30")).unwrap();
    let successor = office.firm(CODE);
    let named = id();
    authorise(&office, &lost, &own(&named, &successor)).unwrap();
    assert_eq!(office.refused(&found, &as_representative("202601")), [10]);
    // Not an operator's key, not a revoked or a foreign certificate, not without a reason or with a person's number.
    let revoked = office.firm(CODE);
    office.world.statuses.lock().unwrap().insert(revoked.serial(), crate::office::revoked(NOW - Duration::days(1), pki::crl::Reason::KeyCompromise));
    let foreign = crate::office::firm(&crate::city::Authority::root("另一根"), CODE, |_| {});
    for (by, reason, why) in [(&clerk, "x", "an operator's for ever"), (&revoked, "x", "revoked"), (&foreign, "x", "issuer"), (&found, " ", "one line"), (&found, "440105190003010052", "person's number")] {
        let said = told(reinstate(by, reason));
        assert!(said.contains(why), "{why}: {said}");
    }
    assert_eq!(office.refused(&found, &as_representative("202601")), [10]);
    // Decided: it speaks, the lost ones and their successor do not, operators stay what they are.
    assert_eq!(reinstate(&found, "法定代表人持营业执照到场").unwrap().as_str(), CODE);
    office.receipt(&found, &as_representative("202601"));
    for by in [&lost, &successor] {
        assert_eq!(office.refused(by, &as_representative("202603")), [10]);
        assert!(authorise(&office, by, &document(&id(), &office.firm(CODE), &["VAT_GENERAL"], "2026-11-30")).is_err());
    }
    // Sent again by who still has it, what named the successor names nobody any more.
    assert!(authorise(&office, &lost, &own(&named, &successor)).is_err());
    office.receipt(&clerk, &as_operator("202603"));
    authorise(&office, &found, &own(&id(), &office.firm(CODE))).unwrap();
    let leaves = office.desk.store.read_stream("log", 0, 100).unwrap();
    let decided: Vec<merkle::Leaf> = leaves.iter().map(|leaf| merkle::Leaf::parse(leaf).unwrap()).filter(|leaf| leaf.kind() == 36).collect();
    assert!(decided.len() == 1 && decided[0].payload().contains("法定代表人持营业执照到场") && decided[0].payload().contains("\"officer\":\"陈一\"") && !decided[0].payload().contains(CODE), "{}", decided[0].payload());
}

#[test]
fn what_an_enterprise_said_of_its_keys_is_shown_to_it() {
    let office = Office::open();
    let (first, clerk, other) = (office.firm(CODE), office.firm(CODE), office.firm(CODE));
    let (authorisation, named) = (id(), id());
    authorise(&office, &first, &document(&authorisation, &clerk, &["VAT_GENERAL"], "2026-11-05")).unwrap();
    authorise(&office, &first, &own(&named, &other)).unwrap();
    let listed = |firm: &Firm| operator::list(&office.desk, &office.caller(firm), None).unwrap();
    let keys = listed(&other);
    assert_eq!(keys.operators.iter().map(|one| (one.id.as_str(), one.state.name())).collect::<Vec<_>>(), [(authorisation.as_str(), "live")]);
    let mut own_keys: Vec<String> = keys.own.iter().map(|(key, _)| key.clone()).collect();
    own_keys.sort();
    let mut expected = vec![key(&first), key(&other)];
    expected.sort();
    assert_eq!((own_keys, keys.next), (expected, None));
    assert!(operator::list(&office.desk, &office.caller(&first), Some(&key(&clerk))).unwrap().operators.is_empty());
    office.clock.advance(Duration::days(1));
    assert_eq!(listed(&first).operators[0].state.name(), "ended");
    withdraw(&office, &first, &authorisation).unwrap();
    assert_eq!(listed(&first).operators[0].state.name(), "withdrawn");
    assert!(listed(&office.firm(OTHER)).operators.is_empty() && listed(&office.firm(OTHER)).own.is_empty());
}
