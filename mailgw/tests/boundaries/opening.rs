//! Mailboxes that citizens apply for: everyone alike, nothing told to strangers, never a second mailbox, and whole after a fault at any write.

use mailgw::bureau::registries;
use mailgw::directory::{DirectoryError, Refusal, Scope, Words};
use mailgw::flow::opening::answer::{self, Acceptance, Refusal as Answer};
use mailgw::flow::opening::findings::Findings;
use mailgw::flow::approval::{ApprovalError, SignedRequest};
use mailgw::flow::opening::document_withdrawal::{self, Withdrawal};
use mailgw::flow::opening::further_document::{self, By, FurtherDocument, Officers};
use mailgw::flow::opening::renaming::{Renaming, rename};
use mailgw::flow::opening::{Application, OpeningError, Sent, Shown, apply, lapse, show, withdraw};
use mailgw::record::application::State;
use mailgw::service::TypedPassword;
use ::secrecy::SecretString;
use time::{Duration, OffsetDateTime};

use super::recovery::{Officer, SALT, signed_document};
use super::*;
use crate::city::DOMAIN;

const REGISTRY: &str = "gz-cards";
const PASSWORD: &str = "几个互不相关的词语拼成一句";

fn typed(text: &str) -> TypedPassword {
    TypedPassword::new(text.to_owned())
}

fn sent(key: &str, (id_type, id_no, name): (&str, &str, &str)) -> Sent {
    Sent { key: format!("{key:-<32}"), id_type: id_type.into(), id_no: typed(id_no), name: typed(name), password: typed(PASSWORD), evidence: Vec::new(), assertion: None, signature: None }
}

fn text(sent: &Sent) -> String {
    Application::parse(sent, today(NOW)).unwrap().text(DOMAIN).to_string()
}

/// A registry's word about an application.
fn asserted(city: &City, sent: &Sent, (document, person): (&str, &str), at: OffsetDateTime) -> Sent {
    let json = format!(r#"{{"kind":"suiyin identity assertion v1","registry":"{REGISTRY}","application":"{}","document":["{document}"],"person":["{person}"],"at":{}}}"#, hex(&digest(text(sent).as_bytes())), at.unix_timestamp() * 1_000);
    let signature = city.sign(&json);
    Sent { assertion: Some(serde_json::from_value(serde_json::json!({ "text": json, "signature": signature })).unwrap()), ..sent.clone() }
}

fn with_pictures(sent: &Sent) -> Sent {
    Sent { evidence: serde_json::from_value(serde_json::json!([{ "kind": "document-front", "sha256": hex(&digest(b"a picture")) }])).unwrap(), ..sent.clone() }
}

fn registered(city: &City) -> Gateway {
    let gateway = city.gateway(Arc::clone(&city.store));
    registries::register(&*gateway.store, &gateway.anchors, &city.lists, (REGISTRY, &[city.registry_pem().to_owned()]), NOW).unwrap();
    gateway
}

fn token(shown: &Shown) -> &str {
    shown.application.rsplit('/').next().unwrap()
}

fn accounts(city: &City) -> usize {
    all(&*city.store, "account").len()
}

#[test]
fn everyone_opens_a_mailbox_alike() {
    let city = City::found();
    let gateway = registered(&city);
    let before = accounts(&city);
    let people = [
        ("01", "510104189707071279", "李志强"), ("03", "UTO-L898902C3", "ANNA MARIA ERIKSSON"), ("04", "944840189602290018", "ANNA MARIA ERIKSSON"),
        ("05", "820000189510100031", "何嘉欣"), ("05", "830000189702280059", "林志玲"), ("06", "H12345678", "司徒嘉敏"), ("07", "01234567", "林志明"),
    ];
    for (at, person) in people.into_iter().enumerate() {
        let application = asserted(&city, &sent(&format!("a{at}"), person), ("chip", "face"), NOW);
        let shown = apply(&gateway, &city.lists, &application).unwrap();
        assert_eq!((shown.state.as_str(), shown.document.as_str(), shown.person.as_str()), ("opened", "proved", "proved"), "{person:?}");
        let mailbox = shown.address.clone().unwrap();
        // The password is the one that was applied with, and the document finds the mailbox.
        let login = gateway.directory.authenticate(&mailbox, &SecretString::from(PASSWORD), Scope::Imap, [192, 0, 2, 7].into(), NOW);
        assert!(login.is_ok(), "{person:?}");
        let found = gateway.directory.find_person(&Document::parse(person.0, person.1, today(NOW)).unwrap()).unwrap().unwrap();
        assert_eq!(gateway.directory.address(found.number), mailbox);
        // The same again is the same; its one address says the same.
        assert_eq!((apply(&gateway, &city.lists, &application).unwrap(), show(&gateway, token(&shown)).unwrap()), (shown.clone(), shown));
    }
    assert_eq!(accounts(&city), before + people.len());
    let leaves = city.store.read_stream(STREAM, 0, usize::MAX).unwrap();
    let (from, to) = (Key::range("", &[]).0, Key::new("\u{ff}", &[]));
    let records = city.store.scan(&from, &to, usize::MAX).unwrap();
    for (_, number, name) in people {
        let number = number.trim_start_matches("UTO-").as_bytes();
        let has = |bytes: &[u8]| [number, name.as_bytes()].iter().any(|word| bytes.windows(word.len()).any(|part| part == *word));
        assert!(!leaves.iter().any(|leaf| has(leaf)) && !records.iter().any(|(key, value)| has(key.as_bytes()) || has(value)), "a number or a name is in the clear");
    }
    let told = events(&*city.store);
    assert_eq!(told.iter().filter(|event| matches!(event, Event::MailboxApplied(_))).count(), people.len());
    assert_eq!(told.iter().filter(|event| matches!(event, Event::ApplicationAnswered(answered) if answered.state == "opened")).count(), people.len());
}

#[test]
fn strangers_learn_nothing_and_nobody_gets_a_second_mailbox() {
    let city = City::found();
    let gateway = registered(&city);
    let (before, has, has_none) = (accounts(&city), PEOPLE[0], ("01", "510104189707071279", "李志强"));
    // Who proves little hears the same, whether or not the person has a mailbox.
    let stranger = |key: &str, person| {
        let shown = apply(&gateway, &city.lists, &with_pictures(&sent(key, person))).unwrap();
        (shown.state.clone(), shown.document.clone(), shown.person.clone(), shown.reasons.clone(), shown.address.clone(), shown.id)
    };
    let (one, two) = (stranger("b1", has), stranger("b2", has_none));
    assert_eq!((&one.0, &one.1, &one.2, &one.3, &one.4), (&two.0, &two.1, &two.2, &two.3, &two.4));
    assert_eq!((one.0.as_str(), one.4.clone(), accounts(&city)), ("waiting", None, before));
    let nothing = apply(&gateway, &city.lists, &sent("b3", has)).unwrap();
    assert_eq!((nothing.state.as_str(), nothing.reasons[0].code.as_str()), ("refused", "not-proved"));
    // An operator reads the number from the paper, and says what was looked at.
    let accept = |id: &str, (id_type, id_no, name): (&str, &str, &str), document: Option<&str>, person: Option<&str>, evidence: &[u8]| {
        let evidence = vec![hex(&digest(evidence))];
        answer::accept(&gateway, &city.lists, &Acceptance { id: id.into(), id_type: id_type.into(), id_no: typed(id_no), name: typed(name), document: document.map(Into::into), person: person.map(Into::into), evidence, papers: "counter 12, form 91".into() })
    };
    let (good, here) = (Some("original"), Some("present"));
    assert!(matches!(accept(&two.5, has, good, here, b"a picture"), Err(OpeningError::NotTheSame)));
    assert!(matches!(accept(&two.5, ("01", "510104189707071279", "李志"), good, here, b"a picture"), Err(OpeningError::NotTheSame)));
    assert!(matches!(accept(&two.5, has_none, good, here, b"another"), Err(OpeningError::OtherEvidence)));
    assert!(matches!(accept(&two.5, has_none, good, None, b"a picture"), Err(OpeningError::NotEnough { .. })));
    assert!(matches!(accept(&two.5, has_none, Some("seen"), here, b"a picture"), Err(OpeningError::Finding(_))));
    let opened = accept(&two.5, has_none, Some("copy"), Some("video"), b"a picture").unwrap();
    assert!(matches!(opened.state, State::Opened { .. }) && opened.name.is_none() && opened.masked.is_empty());
    assert!(matches!(accept(&two.5, has_none, good, here, b"a picture"), Err(OpeningError::Answered)));
    // Who has one is led to it; it hears of it, and keeps its password.
    let mailbox = gateway.directory.find_person(&Document::parse(has.0, has.1, today(NOW)).unwrap()).unwrap().unwrap().mailbox();
    let exists = accept(&one.5, has, good, here, b"a picture").unwrap();
    assert_eq!(exists.state, State::Exists { mailbox: mailbox.clone(), closed: false });
    let proved = apply(&gateway, &city.lists, &asserted(&city, &sent("b4", has), ("chip", "present"), NOW)).unwrap();
    assert_eq!((proved.state.as_str(), proved.reasons[0].code.as_str(), proved.address.as_deref()), ("exists", "has-mailbox", Some(format!("{mailbox}@{DOMAIN}").as_str())));
    assert_eq!(gateway.messages.view(&mailbox, "INBOX").unwrap().messages.len(), 2);
    let login = gateway.directory.authenticate(&mailbox, &SecretString::from(PASSWORD), Scope::Imap, [192, 0, 2, 7].into(), NOW);
    assert!(matches!(login, Err(Refusal::Credentials { .. })));
    assert_eq!(accounts(&city), before + 1);
    // A closed one is not opened again either.
    gateway.directory.close(policies::mailbox::MailboxNumber::parse(&mailbox).unwrap(), NOW).unwrap();
    let closed = apply(&gateway, &city.lists, &asserted(&city, &sent("b5", has), ("chip", "present"), NOW)).unwrap();
    assert_eq!((closed.reasons[0].code.as_str(), closed.address, accounts(&city)), ("had-mailbox", None, before + 1));
}

#[test]
fn a_word_is_believed_from_its_registry_of_its_application_while_it_is_fresh() {
    let city = City::found();
    let gateway = registered(&city);
    let person = ("05", "830000189702280059", "林志玲");
    let applied = |application: &Sent| apply(&gateway, &city.more_lists(), application);
    let refused = |application: &Sent, why: &str| match applied(application) {
        Err(OpeningError::Assertion { reason }) => assert!(reason.contains(why), "{why}: {reason}"),
        other => panic!("{why}: {other:?}"),
    };
    let (one, other) = (sent("c1", person), sent("c2", person));
    let word = asserted(&city, &one, ("chip", "face"), NOW);
    refused(&Sent { assertion: word.assertion.clone(), ..other.clone() }, "another application");
    refused(&asserted(&city, &one, ("chip", "face"), NOW - Duration::hours(25)), "too old");
    refused(&asserted(&city, &one, ("chip", "face"), NOW + Duration::hours(1)), "time to come");
    refused(&asserted(&city, &one, ("seen", "face"), NOW), "of the document");
    let mut altered = word.clone();
    altered.assertion.as_mut().unwrap().text = word.assertion.as_ref().unwrap().text.replace("chip", "clip");
    assert!(matches!(applied(&altered), Err(OpeningError::Assertion { .. })));
    assert!(all(&*city.store, "mailbox application").is_empty(), "what does not hold leaves nothing");
    // One rule does not make up for the other: an operator looks.
    assert_eq!(applied(&asserted(&city, &other, ("chip", "login"), NOW)).unwrap().state, "waiting");
    // Another's word with a key that was used, or another password.
    assert!(matches!(applied(&asserted(&city, &other, ("chip", "face"), NOW)), Err(OpeningError::KeyUsed)));
    assert!(matches!(applied(&Sent { password: typed("another few unrelated words"), ..asserted(&city, &other, ("chip", "login"), NOW) }), Err(OpeningError::KeyUsed)));
    // Withdrawn, it is believed no more.
    registries::withdraw(&*gateway.store, REGISTRY, NOW).unwrap();
    refused(&word, "not believed here");
    let told = |event: &Event| matches!(event, Event::RegistrySet(_));
    assert_eq!(events(&*city.store).iter().filter(|event| told(event)).count(), 2);
}

#[test]
fn what_waits_is_withdrawn_refused_or_lapses_and_goes() {
    let city = City::found();
    let gateway = registered(&city);
    let waits = |key: &str| apply(&gateway, &city.lists, &with_pictures(&sent(key, ("01", "510104189707071279", "李志强")))).unwrap();
    let [one, two, three] = ["d1", "d2", "d3"].map(waits);
    assert_eq!(answer::list(&gateway, false).unwrap().len(), 3);
    assert_eq!(withdraw(&gateway, token(&one)).unwrap().state, "withdrawn");
    assert_eq!(withdraw(&gateway, token(&one)).unwrap().state, "withdrawn");
    let refuse = |reason: &str| answer::refuse(&gateway, &Answer { id: two.id.clone(), reason: reason.into(), papers: "form 92".into() });
    assert!(matches!(refuse("ugly"), Err(OpeningError::Reason(_))));
    refuse("papers-unreadable").unwrap();
    assert_eq!(show(&gateway, token(&two)).unwrap().reasons[0].code, "papers-unreadable");
    assert!(matches!(withdraw(&gateway, token(&two)), Err(OpeningError::Answered)));
    assert!(matches!(show(&gateway, &"0".repeat(64)), Err(OpeningError::Unknown)));
    assert_eq!(answer::list(&gateway, false).unwrap().iter().map(|one| one.id.clone()).collect::<Vec<_>>(), [three.id.clone()]);
    city.clock.set(NOW + Duration::days(31));
    assert_eq!((lapse(&gateway, &|| true).unwrap(), show(&gateway, token(&three)).unwrap().state.as_str()), (1, "lapsed"));
    assert!(answer::list(&gateway, true).unwrap().iter().all(|one| one.name.is_none() && one.masked.is_empty()));
    city.clock.set(NOW + Duration::days(31 + 181));
    assert_eq!((lapse(&gateway, &|| true).unwrap(), answer::list(&gateway, true).unwrap().len()), (0, 0));
}

#[test]
fn who_signs_with_a_mailboxs_certificate_has_one() {
    let city = City::found();
    let gateway = registered(&city);
    let keys = KeyStore::create(&city.path("citizen").join("keys"), &city::passphrase()).unwrap();
    let key = keys.generate("own", pki::signer::SignatureAlgorithm::EcdsaP256Sha256).unwrap();
    let account = gateway.directory.find_person(&Document::parse(PEOPLE[0].0, PEOPLE[0].1, today(NOW)).unwrap()).unwrap().unwrap();
    let (leaf, issuer) = city.citizen(pki::signer::Signer::public_key_info(&key).to_vec(), &gateway.directory.address(account.number), 71, &[0], 24);
    let plan = pki::cms::SignerPlan::new(&leaf, &[&issuer]).unwrap();
    let signed = |sent: &Sent| Sent { signature: Some(typed(&city::pem("CMS", &plan.seal(digest(text(sent).as_bytes()), NOW, &key).unwrap()))), ..sent.clone() };
    // A renewed document: by its number nobody has a mailbox.
    let renewed = ("03", "E12345678", PEOPLE[0].2);
    let application = signed(&with_pictures(&sent("e1", renewed)));
    let shown = apply(&gateway, &city.lists, &application).unwrap();
    assert_eq!((shown.state.as_str(), shown.person.as_str()), ("waiting", "shown"));
    assert_eq!(answer::show(&gateway, &shown.id).unwrap().signed_by, Some(account.mailbox()));
    let other = Sent { name: typed("李志强"), ..with_pictures(&sent("e2", renewed)) };
    assert!(matches!(apply(&gateway, &city.lists, &signed(&other)), Err(OpeningError::Signature { .. })));
    let before = accounts(&city);
    let acceptance = Acceptance { id: shown.id, id_type: renewed.0.into(), id_no: typed(renewed.1), name: typed(renewed.2), document: Some("original".into()), person: Some("present".into()), evidence: Vec::new(), papers: "form 93".into() };
    // The signature counts while its certificate stands.
    let by_signature = Acceptance { person: None, ..acceptance };
    city.clock.set(NOW + Duration::hours(25));
    assert!(matches!(answer::accept(&gateway, &city.lists, &by_signature), Err(OpeningError::NotEnough { .. })));
    city.clock.set(NOW);
    let accepted = answer::accept(&gateway, &city.lists, &by_signature).unwrap();
    assert_eq!((accepted.state, accounts(&city)), (State::Exists { mailbox: account.mailbox(), closed: false }, before));
    // With a registry's word beside it, which would open one at once, it leads to the same mailbox.
    let both = signed(&asserted(&city, &sent("e3", ("03", "E23456789", PEOPLE[0].2)), ("chip", "face"), NOW));
    let shown = apply(&gateway, &city.lists, &both).unwrap();
    assert_eq!((shown.document.as_str(), shown.person.as_str(), shown.state.as_str()), ("proved", "proved", "exists"));
    assert_eq!((shown.address, accounts(&city)), (Some(gateway.directory.address(account.number)), before));
    // Closed since, it counts no more.
    let waits = apply(&gateway, &city.lists, &signed(&with_pictures(&sent("e4", renewed)))).unwrap();
    gateway.directory.close(account.number, NOW).unwrap();
    assert!(matches!(answer::accept(&gateway, &city.lists, &Acceptance { id: waits.id, ..by_signature }), Err(OpeningError::NotEnough { .. })));
}

#[test]
fn an_operator_accepts_by_what_holds_still_and_was_looked_at() {
    let city = City::found();
    let gateway = registered(&city);
    let (id_type, id_no, name) = ("05", "830000189702280059", "林志玲");
    let waits = apply(&gateway, &city.lists, &asserted(&city, &sent("g1", (id_type, id_no, name)), ("chip", "login"), NOW)).unwrap();
    assert_eq!(waits.state, "waiting");
    let accept = |document: Option<&str>, person: Option<&str>| {
        let acceptance = Acceptance { id: waits.id.clone(), id_type: id_type.into(), id_no: typed(id_no), name: typed(name), document: document.map(Into::into), person: person.map(Into::into), evidence: Vec::new(), papers: "form 94".into() };
        answer::accept(&gateway, &city.lists, &acceptance)
    };
    // Of a copy the very file is named.
    assert!(matches!(accept(Some("copy"), Some("video")), Err(OpeningError::OtherEvidence)));
    // The word that came with it was enough, until its registry was withdrawn.
    registries::withdraw(&*gateway.store, REGISTRY, NOW).unwrap();
    assert!(matches!(accept(None, None), Err(OpeningError::NotEnough { .. })));
    assert!(matches!(accept(None, Some("present")), Err(OpeningError::NotEnough { .. })));
    assert!(matches!(accept(Some("original"), Some("present")).unwrap().state, State::Opened { .. }));
}

fn findings(document: Option<&str>, person: Option<&str>, evidence: &[&str]) -> Findings {
    Findings { document: document.map(str::to_owned), person: person.map(str::to_owned), evidence: evidence.iter().map(|digest| (*digest).to_owned()).collect(), papers: "counter 12, form 91".into() }
}

/// A person with another legal name shows a document that the mailbox knows; the two rules grade what the operator saw.
#[test]
fn a_person_is_renamed_by_what_proves_it_as_an_opening() {
    let city = City::found();
    let gateway = registered(&city);
    let (id_type, id_no, name) = PEOPLE[0];
    let number = gateway.directory.find_person(&Document::parse(id_type, id_no, today(NOW)).unwrap()).unwrap().unwrap().number;
    let renaming = |document: Option<&str>, person: Option<&str>, evidence: &[&str]| Renaming {
        mailbox: number.to_string(),
        holder: Words { id_type: Some(id_type.into()), id_no: Some(id_no.into()), name: Some("陈新名".into()), ..Words::default() },
        findings: findings(document, person, evidence),
    };
    let try_it = |document, person, evidence: &[&str]| rename(&gateway, number, &renaming(document, person, evidence));
    let (before, picture) = (all(&*city.store, "account"), hex(&digest(b"a picture")));
    assert!(matches!(try_it(None, None, &[]), Err(OpeningError::NotEnough { document, person }) if document == "none" && person == "none"));
    assert!(matches!(try_it(Some("original"), None, &[]), Err(OpeningError::NotEnough { .. })));
    assert!(matches!(try_it(None, Some("present"), &[]), Err(OpeningError::NotEnough { .. })));
    assert!(matches!(try_it(Some("copy"), Some("video"), &[]), Err(OpeningError::NoCopy)));
    assert!(matches!(try_it(Some("copy"), Some("video"), &["a picture"]), Err(OpeningError::Evidence)));
    assert!(matches!(try_it(Some("looked"), Some("video"), &[]), Err(OpeningError::Finding(word)) if word == "looked"));
    let without = Renaming { findings: Findings { papers: " ".into(), ..findings(Some("original"), Some("present"), &[]) }, ..renaming(Some("original"), Some("present"), &[]) };
    assert!(matches!(rename(&gateway, number, &without), Err(OpeningError::Papers)));
    let named = Renaming { holder: Words { aliases: vec!["chen".into()], code: Some("91440101MAT000018G".into()), name: Some("x".into()), ..Words::default() }, ..renaming(Some("original"), Some("present"), &[]) };
    assert!(matches!(rename(&gateway, number, &named), Err(OpeningError::Applicant(_))));
    assert!(all(&*city.store, "account") == before && !events(&*city.store).iter().any(|event| matches!(event, Event::HolderRenamed(_))));
    let account = try_it(Some("copy"), Some("video"), &[&picture]).unwrap();
    assert_eq!((account.number, account.person().map(|name| name.expose().to_owned())), (number, Some("陈新名".to_owned())));
    let Some(Event::HolderRenamed(told)) = events(&*city.store).pop() else { panic!("the log does not know of it") };
    assert_eq!((told.document, told.person, told.document_grade.as_str(), told.person_grade.as_str(), told.evidence), (vec!["operator-copy".to_owned()], vec!["operator-video".to_owned()], "shown", "shown", vec![picture]));
    assert!(told.papers == hex(&digest("counter 12, form 91".as_bytes())) && told.name.len() == 64);
    // As an administrator is shown it.
    let former = gateway.directory.former_names(number).unwrap();
    assert!(former.len() == 1 && former[0].name != name && former[0].name.starts_with(name.chars().next().unwrap()), "{former:?}");
    // The owner is told, and not what the name was or is.
    assert_eq!(mailgw::flow::owner_notices::tell_all(&gateway).unwrap(), 1);
    let view = gateway.messages.view(&number.to_string(), "INBOX").unwrap();
    let mail = gateway.messages.load(&view.folder, view.messages.iter().last().unwrap().uid).unwrap();
    let mail = mail_parser::MessageParser::new().parse(&mail).unwrap();
    assert!(mail.subject().unwrap().ends_with("The holder of your mailbox was renamed") && !mail.body_text(0).unwrap().contains(name), "{mail:?}");
}

/// A renewed card leads to the mailbox, and later counts in its recovery: it takes what an opening takes, and a document that is held.
#[test]
fn a_further_document_is_taken_in_by_what_proves_it_as_an_opening() {
    let city = City::found();
    let gateway = registered(&city);
    let (id_type, id_no, name) = PEOPLE[0];
    let number = gateway.directory.find_person(&Document::parse(id_type, id_no, today(NOW)).unwrap()).unwrap().unwrap().number;
    let held = |id_type: &str, id_no: &str| By::Held { id_type: id_type.into(), id_no: typed(id_no) };
    let add_by = |name: &str, by: By, findings: Findings| {
        let document = Words { id_type: Some("03".into()), id_no: Some("E12345678".into()), name: Some(name.into()), ..Words::default() };
        further_document::add(&gateway, &city.more_lists(), number, &FurtherDocument { mailbox: number.to_string(), document, by, findings })
    };
    let add = |name: &str, findings: Findings| add_by(name, held(id_type, id_no), findings);
    let (before, leaves, picture) = (all(&*city.store, "account"), city.store.stream_length(STREAM).unwrap(), hex(&digest(b"a picture")));
    assert!(matches!(add(name, findings(None, None, &[])), Err(OpeningError::NotEnough { document, person }) if document == "none" && person == "none"));
    assert!(matches!(add(name, findings(Some("original"), None, &[])), Err(OpeningError::NotEnough { .. })));
    assert!(matches!(add(name, findings(None, Some("present"), &[])), Err(OpeningError::NotEnough { .. })));
    assert!(matches!(add(name, findings(Some("copy"), Some("video"), &[])), Err(OpeningError::NoCopy)));
    assert!(matches!(add(name, findings(Some("copy"), Some("video"), &["a picture"])), Err(OpeningError::Evidence)));
    assert!(matches!(add(name, findings(Some("looked"), Some("video"), &[])), Err(OpeningError::Finding(word)) if word == "looked"));
    assert!(matches!(add(name, Findings { papers: " ".into(), ..findings(Some("original"), Some("present"), &[]) }), Err(OpeningError::Papers)));
    let seen = || findings(Some("original"), Some("present"), &[]);
    assert!(matches!(add("陈别名", seen()), Err(OpeningError::Directory(DirectoryError::OtherName { .. }))));
    // With another's, with one that nobody has, with itself, with what is none: the name alone is a namesake's, too.
    for (id_type, id_no) in [(PEOPLE[1].0, PEOPLE[1].1), ("06", "H12345678"), ("03", "E12345678")] {
        assert!(matches!(add_by(name, held(id_type, id_no), seen()), Err(OpeningError::Directory(DirectoryError::NotHeld { mailbox })) if mailbox == number), "{id_type}");
    }
    assert!(matches!(add_by(name, held("01", "440106189602290016"), seen()), Err(OpeningError::HeldDocument(_))));
    assert!(all(&*city.store, "account") == before && city.store.stream_length(STREAM).unwrap() == leaves && all(&*city.store, "owner notice").is_empty());
    add(name, findings(Some("copy"), Some("video"), &[&picture])).unwrap();
    let Some(Event::DocumentProved(told)) = events(&*city.store).pop() else { panic!("the log does not know of it") };
    assert_eq!((told.document, told.person, told.document_grade.as_str(), told.person_grade.as_str(), told.evidence), (vec!["operator-copy".to_owned()], vec!["operator-video".to_owned()], "shown", "shown", vec![picture]));
    assert!(told.papers == hex(&digest("counter 12, form 91".as_bytes())) && told.held_shown);
    let found = gateway.directory.find_person(&Document::parse("03", "E12345678", today(NOW)).unwrap()).unwrap().unwrap();
    assert_eq!((found.number, all(&*city.store, "owner notice").len()), (number, 1));
}

/// Where none that is held can be shown any more: two officers sign for that very document, whose number stands nowhere in what they sign.
#[test]
fn a_further_document_of_one_who_lost_all_is_taken_in_by_two_officers() {
    let city = City::found();
    let gateway = registered(&city);
    let (id_type, id_no, name) = PEOPLE[0];
    let find = |id_type: &str, id_no: &str| gateway.directory.find_person(&Document::parse(id_type, id_no, today(NOW)).unwrap()).unwrap().map(|account| account.number);
    let number = find(id_type, id_no).unwrap();
    let keys = KeyStore::create(&city.path("officers").join("keys"), &city::passphrase()).unwrap();
    let [one, two] = [(80, "A-1"), (81, "A-2")].map(|(serial, number)| Officer::new(&city, &keys, serial, number, "6.1"));
    let salt = SALT;
    let asked_of = |id_no: &str, name: &str| {
        let document = signed_document(id_no, name);
        format!(r#"{{"kind":"suiyin mailbox document v1","mailbox":"{number}@{DOMAIN}","id_type":"03","document":"{document}","proof":"passport read by chip, face compared","papers":"form 93"}}"#)
    };
    let asked = |id_no: &str| asked_of(id_no, name);
    let add = |id_no: &str, salt: &str, request: &str, approvals: Vec<String>| {
        let document = Words { id_type: Some("03".into()), id_no: Some(id_no.into()), name: Some(name.into()), ..Words::default() };
        let by = By::Officers(Officers { signed: SignedRequest { request: request.into(), approvals }, salt: typed(salt) });
        further_document::add(&gateway, &city.more_lists(), number, &FurtherDocument { mailbox: number.to_string(), document, by, findings: findings(Some("original"), Some("present"), &[]) })
    };
    let both = |request: &str| vec![one.signs(request, NOW), two.signs(request, NOW)];
    let request = asked("E12345678");
    let before = (all(&*city.store, "account"), city.store.stream_length(STREAM).unwrap());
    // Of another kind, for another gateway or mailbox, of another type, saying nothing.
    let other = find(PEOPLE[1].0, PEOPLE[1].1).unwrap();
    for (from, to) in [("document v1", "document v2"), (DOMAIN, "mail.elsewhere.example"), (&number.to_string(), &other.to_string()), (r#""id_type":"03""#, r#""id_type":"06""#), ("form 93", " "), (r#""papers""#, r#""paper""#)] {
        let wrong = request.replace(from, to);
        assert!(wrong != request && matches!(add("E12345678", salt, &wrong, both(&wrong)), Err(OpeningError::Request { .. })), "{wrong}");
    }
    // Another document than they signed for, another salt, one that could be tried out.
    for (id_no, salt) in [("E12345679", salt), ("E12345678", "00112233445566778899aabbccddeefe"), ("E12345678", "0011"), ("E12345678", "")] {
        let refused = add(id_no, salt, &request, both(&request)).unwrap_err();
        assert!(matches!(refused, OpeningError::Request { .. }) && !refused.to_string().contains("1234567"), "{refused}");
    }
    // They saw it with another name.
    let named = asked_of("E12345678", "李志强");
    assert!(matches!(add("E12345678", salt, &named, both(&named)), Err(OpeningError::Request { .. })));
    // One officer; one who signed other words.
    assert!(matches!(add("E12345678", salt, &request, vec![one.signs(&request, NOW)]), Err(OpeningError::Approval(ApprovalError::Officers))));
    assert!(matches!(add("E12345678", salt, &request, vec![one.signs(&request, NOW), two.signs(&asked("E12345679"), NOW)]), Err(OpeningError::Approval(ApprovalError::Signature { number: 2, .. }))));
    assert!((all(&*city.store, "account"), city.store.stream_length(STREAM).unwrap()) == before && find("03", "E12345678").is_none());
    add("E12345678", salt, &request, both(&request)).unwrap();
    assert_eq!(find("03", "E12345678"), Some(number));
    let Some(Event::DocumentProved(told)) = events(&*city.store).pop() else { panic!("the log does not know of it") };
    assert_eq!((told.held_shown, told.request, told.officers), (false, Some(hex(&digest(request.as_bytes()))), vec!["A-1".to_owned(), "A-2".to_owned()]));
    // Said again after its answer was lost, it is there.
    assert!(matches!(add("E12345678", salt, &request, both(&request)), Err(OpeningError::Directory(DirectoryError::Exists { mailbox, .. })) if mailbox == number));
}

/// One word takes a young document away, two officers' signatures one that counts; whose it is may have a mailbox then.
#[test]
fn a_document_is_withdrawn_while_it_is_young_or_by_two_officers() {
    let city = City::found();
    let gateway = registered(&city);
    let (id_type, id_no, name) = PEOPLE[0];
    let find = |id_type: &str, id_no: &str| gateway.directory.find_person(&Document::parse(id_type, id_no, today(NOW)).unwrap()).unwrap().map(|account| account.number);
    let number = find(id_type, id_no).unwrap();
    let keys = KeyStore::create(&city.path("officers").join("keys"), &city::passphrase()).unwrap();
    let [one, two] = [(80, "A-1"), (81, "A-2")].map(|(serial, number)| Officer::new(&city, &keys, serial, number, "6.1"));
    let words = |(id_type, id_no, name): (&str, &str, &str)| Words { id_type: Some(id_type.into()), id_no: Some(id_no.into()), name: Some(name.into()), ..Words::default() };
    let add = || {
        let by = By::Held { id_type: id_type.into(), id_no: typed(id_no) };
        let further = FurtherDocument { mailbox: number.to_string(), document: words(("03", "E12345678", name)), by, findings: findings(Some("original"), Some("present"), &[]) };
        further_document::add(&gateway, &city.more_lists(), number, &further).unwrap()
    };
    let withdraw_by = |document: (&str, &str, &str), papers: &str, officers: Option<Officers>| {
        document_withdrawal::withdraw(&gateway, &city.more_lists(), number, &Withdrawal { mailbox: number.to_string(), document: words(document), papers: papers.into(), officers })
    };
    let withdraw = |document| withdraw_by(document, "counter 12, form 94", None);
    let young = ("03", "E12345678", name);
    assert!(matches!(withdraw(PEOPLE[0]), Err(OpeningError::Directory(DirectoryError::LastDocument { .. }))));
    add();
    let before = (all(&*city.store, "account"), all(&*city.store, "person"), city.store.stream_length(STREAM).unwrap());
    // Another's, nobody's, with another name; without papers; one that counts.
    for document in [PEOPLE[1], ("03", "E12345679", name)] {
        let refused = withdraw((document.0, document.1, name)).unwrap_err();
        assert!(matches!(refused, OpeningError::Directory(DirectoryError::NoSuchDocument { .. })) && !refused.to_string().contains(document.1), "{refused}");
    }
    assert!(matches!(withdraw(("03", "E12345678", "李志强")), Err(OpeningError::Directory(DirectoryError::OtherName { .. }))));
    assert!(matches!(withdraw_by(young, " ", None), Err(OpeningError::Papers)));
    assert!(matches!(withdraw(PEOPLE[0]), Err(OpeningError::Directory(DirectoryError::DocumentCounts { .. }))));
    assert!((all(&*city.store, "account"), all(&*city.store, "person"), city.store.stream_length(STREAM).unwrap()) == before);
    // One word, while it is young; and it is free.
    withdraw(young).unwrap();
    let Some(Event::DocumentWithdrawn(told)) = events(&*city.store).pop() else { panic!("the log does not know of it") };
    assert_eq!((told.mailbox, told.papers, told.request, told.officers.len()), (number.to_string(), hex(&digest(b"counter 12, form 94")), None, 0));
    assert!(find("03", "E12345678").is_none() && matches!(withdraw(young), Err(OpeningError::Directory(DirectoryError::NoSuchDocument { .. }))));
    mailgw::flow::owner_notices::tell_all(&gateway).unwrap();
    let view = gateway.messages.view(&number.to_string(), "INBOX").unwrap();
    let mail = gateway.messages.load(&view.folder, view.messages.iter().last().unwrap().uid).unwrap();
    let mail = mail_parser::MessageParser::new().parse(&mail).unwrap();
    assert!(mail.subject().unwrap().ends_with("A document of yours was withdrawn from your mailbox") && !mail.body_text(0).unwrap().contains("12345678"), "{mail:?}");
    // One that was taken in thirty days ago counts, and two officers sign.
    city.clock.set(NOW - Duration::days(30));
    add();
    city.clock.set(NOW);
    assert!(matches!(withdraw(young), Err(OpeningError::Directory(DirectoryError::DocumentCounts { .. }))));
    let asked = |kind: &str, document: &str| format!(r#"{{"kind":"{kind}","mailbox":"{number}@{DOMAIN}","id_type":"03","document":"{document}","proof":"its holder came","papers":"form 95"}}"#);
    let officers = |request: &str, approvals: Vec<String>| Some(Officers { signed: SignedRequest { request: request.into(), approvals }, salt: typed(SALT) });
    let both = |request: &str, at| officers(request, vec![one.signs(request, at), two.signs(request, at)]);
    let by = |officers| withdraw_by(young, "form 95", officers);
    // What was signed to take one in takes none away; nor does what names another, or an officer alone.
    for wrong in [asked("suiyin mailbox document v1", &signed_document("E12345678", name)), asked(document_withdrawal::KIND, &signed_document("E12345679", name)), asked(document_withdrawal::KIND, &signed_document("E12345678", "李志强"))] {
        assert!(matches!(by(both(&wrong, NOW)), Err(OpeningError::Request { .. })), "{wrong}");
    }
    let request = asked(document_withdrawal::KIND, &signed_document("E12345678", name));
    assert!(matches!(by(officers(&request, vec![one.signs(&request, NOW)])), Err(OpeningError::Approval(ApprovalError::Officers))));
    by(both(&request, NOW)).unwrap();
    let Some(Event::DocumentWithdrawn(told)) = events(&*city.store).pop() else { panic!("the log does not know of it") };
    assert_eq!((told.request, told.officers), (Some(hex(&digest(request.as_bytes()))), vec!["A-1".to_owned(), "A-2".to_owned()]));
    // Taken in once more, it stands against what was signed before: used once, and older than it.
    city.clock.set(NOW + Duration::seconds(10));
    add();
    assert!(matches!(by(both(&request, NOW + Duration::seconds(10))), Err(OpeningError::Directory(DirectoryError::Spent))));
    let request = request.replace("form 95", "form 96");
    assert!(matches!(by(both(&request, NOW)), Err(OpeningError::Approval(ApprovalError::Signature { number: 1, .. }))));
    assert_eq!(find("03", "E12345678"), Some(number));
}

#[test]
fn an_application_is_whole_after_a_fault_at_any_write() {
    let city = City::found();
    drop(registered(&city));
    for (at, fault) in FAULTS.into_iter().enumerate() {
        let person = [("01", "510104189707071279", "李志强"), ("06", "H12345678", "司徒嘉敏")][at];
        let application = asserted(&city, &sent(&format!("f{at}"), person), ("chip", "face"), NOW);
        let (before, leaves) = (accounts(&city), city.store.stream_length(STREAM).unwrap());
        assert!(apply(&city.gateway(faulty(&city.store, Some((0, fault)))), &city.lists, &application).is_err());
        let done = usize::from(fault == Fault::DoneReportedLost);
        assert_eq!(accounts(&city), before + done);
        // Said again it is one mailbox, and the log tells of it once.
        let gateway = city.gateway(Arc::clone(&city.store));
        assert_eq!(apply(&gateway, &city.lists, &application).unwrap().state, "opened");
        assert_eq!((accounts(&city), city.store.stream_length(STREAM).unwrap()), (before + 1, leaves + 3));
    }
}
