//! Statements that their owner alone can read: sealed, then encrypted to the owner's certificate while it serves.

use std::process::Command;

use mailgw::erds::Item as Evidence;
use mailgw::flow::certificate::CertificateError;
use mailgw::flow::paper::{self, PaperError, Wanted};
use mailgw::flow::encryption::say;
use mailgw::record::bureau::Chain;
use mailgw::record::certificate::{Held, Sealed as _};
use mailgw::statement::{PaperError as Unmade, named_by};
use store::Batch;

use super::*;

fn openssl(city: &City, arguments: &[&str]) -> Vec<u8> {
    let out = Command::new("openssl").args(arguments).current_dir(city.home.path()).output().unwrap();
    assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

fn account_of(gateway: &Gateway, person: usize) -> mailgw::directory::Account {
    let (id_type, id_no, _) = PEOPLE[person];
    gateway.directory.find_person(&Document::parse(id_type, id_no, today(NOW)).unwrap()).unwrap().unwrap()
}

/// A certificate of this person, kept with the mailbox as the counter keeps it; the key stays with OpenSSL.
fn certified(city: &City, gateway: &Gateway, person: usize, serial: u8, key_usage: &[u8], hours: i64) {
    let account = account_of(gateway, person);
    openssl(city, &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "own.key"]);
    let spki = openssl(city, &["pkey", "-in", "own.key", "-pubout", "-outform", "DER"]);
    let (leaf, issuer) = city.citizen(spki, &gateway.directory.address(account.number), serial, key_usage, hours);
    std::fs::write(city.path("own.pem"), city::pem("CERTIFICATE", &leaf)).unwrap();
    let held = Held { chain: Chain::new(vec![leaf, issuer]).unwrap(), since: 0 }.seal(account.number, &gateway.directory_key).unwrap();
    city.store.commit(Batch::new().put(Held::key(account.number), held)).unwrap();
}

fn last(gateway: &Gateway, person: usize) -> Vec<u8> {
    let mailbox = account_of(gateway, person).mailbox();
    let view = gateway.messages.view(&mailbox, "INBOX").unwrap();
    gateway.messages.load(&view.folder, view.messages.last().unwrap().uid).unwrap()
}

/// What evidence says of the encryption of a push's rows: to whom, or why not.
fn said(city: &City, batch: &str) -> Vec<(u64, Option<String>, Option<String>)> {
    let count = city.store.counter(mailgw::record::evidence::BATCHES).unwrap();
    let lines = (1..=count).flat_map(|number| mailgw::record::evidence::items(&*city.store, number).unwrap().unwrap());
    let items = lines.map(|line| Evidence::read(&line).unwrap()).filter(|item| item.submission.batch == batch && item.event.name() == "ContentConsignment");
    items.filter_map(|item| item.user_content_info.map(|content| (item.submission.row, content.encrypted_to, content.not_encrypted))).collect()
}

#[test]
fn who_asked_for_it_gets_what_only_the_own_key_opens_and_the_seal_is_inside() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    let mailbox = account_of(&gateway, 0).mailbox();
    assert!(matches!(say(&gateway, &mailbox, Some(true)), Err(CertificateError::None)));
    certified(&city, &gateway, 0, 40, &[0, 4], 24);
    // A certificate alone changes nothing.
    pushed(&city, &gateway, &sealer, &month(&city, "housing-fund", "before", 3)).unwrap();
    assert!(String::from_utf8_lossy(&last(&gateway, 0)).contains("multipart/signed") && said(&city, "before").iter().all(|(_, to, not)| to.is_none() && not.is_none()));
    assert!(say(&gateway, &mailbox, Some(true)).unwrap().encrypted && say(&gateway, &mailbox, None).unwrap().encrypted);
    let month = month(&city, "housing-fund", "after", 3);
    pushed(&city, &gateway, &sealer, &month).unwrap();
    let message = last(&gateway, 0);
    let text = String::from_utf8(message.clone()).unwrap();
    assert!(text.contains("smime-type=authEnveloped-data") && !text.contains("163,492.96") && !text.contains("multipart/signed"), "{text}");
    assert!(text.lines().all(|line| line.len() <= 78));
    std::fs::write(city.path("sealed.eml"), &message).unwrap();
    std::fs::write(city.path("root.pem"), &city.root_pem).unwrap();
    let opened = openssl(&city, &["cms", "-decrypt", "-in", "sealed.eml", "-recip", "own.pem", "-inkey", "own.key"]);
    std::fs::write(city.path("opened.eml"), &opened).unwrap();
    let content = openssl(&city, &["cms", "-verify", "-in", "opened.eml", "-CAfile", "root.pem", "-purpose", "any", "-attime", &NOW.unix_timestamp().to_string()]);
    // Row 1 is the first person's; what the sealer signed is what the reader reads.
    let recorded = city.sealing.get(&sealing::row_key(FUND, "after", 1)).unwrap().unwrap();
    assert_eq!(digest(&content), sealing::decode(&recorded).unwrap());
    assert!(String::from_utf8_lossy(&content).contains("163,492.96"));
    let certificate = hex(&digest(&openssl(&city, &["x509", "-in", "own.pem", "-outform", "DER"])));
    assert_eq!(said(&city, "after"), [(1, Some(certificate), None), (2, None, None), (3, None, None)]);
    // Nobody here can put it on paper, and a client that fetches it is access as ever.
    let wanted = Wanted { bureau: FUND.into(), statement: "after-0".into(), file: None, seal: None, deliver: false };
    assert!(matches!(paper::make(&gateway, &sealer, &city.lists, &wanted), Err(PaperError::Unmade(Unmade::Encrypted))));
    let view = gateway.messages.view(&mailbox, "INBOX").unwrap();
    gateway.messages.show(&mailbox, &view.folder, view.messages.last().unwrap().uid, 1).unwrap();
    assert_eq!(mailgw::flow::access::record(&gateway).unwrap(), 1);
    // Taken back, it is as before.
    assert!(!say(&gateway, &mailbox, Some(false)).unwrap().encrypted);
    pushed(&city, &gateway, &sealer, &super::month(&city, "housing-fund", "off", 3)).unwrap();
    assert!(String::from_utf8_lossy(&last(&gateway, 0)).contains("multipart/signed"));
    let log: Vec<bool> = events(&*city.store).into_iter().filter_map(|event| if let Event::EncryptionSet(set) = event { Some(set.holds) } else { None }).collect();
    assert_eq!(log, [true, false]);
}

#[test]
fn a_certificate_that_serves_no_more_hides_no_statement_and_evidence_says_why() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    let mailbox = account_of(&gateway, 0).mailbox();
    for (serial, usage, hours, why) in [(city::REVOKED, [0, 4].as_slice(), 24, "certificate-revoked"), (41, &[0, 4], -1, "certificate-expired"), (42, &[0], 24, "certificate-not-for-encryption")] {
        certified(&city, &gateway, 0, serial, usage, hours);
        say(&gateway, &mailbox, Some(true)).unwrap();
        let month = month(&city, "housing-fund", why, 3);
        assert_eq!(pushed(&city, &gateway, &sealer, &month).unwrap().counts.delivered, 3, "{why}");
        assert!(String::from_utf8_lossy(&last(&gateway, 0)).contains("multipart/signed"), "{why}");
        assert_eq!(said(&city, why), [(1, None, Some(why.to_owned())), (2, None, None), (3, None, None)]);
    }
    // A stranger's certificate under no root of ours.
    let other = City::found();
    let account = account_of(&gateway, 0);
    let (leaf, issuer) = other.citizen(openssl(&city, &["pkey", "-in", "own.key", "-pubout", "-outform", "DER"]), "x@y.cn", 43, &[0, 4], 24);
    let held = Held { chain: Chain::new(vec![leaf, issuer]).unwrap(), since: 0 }.seal(account.number, &gateway.directory_key).unwrap();
    city.store.commit(Batch::new().put(Held::key(account.number), held)).unwrap();
    pushed(&city, &gateway, &sealer, &month(&city, "housing-fund", "stranger", 3)).unwrap();
    assert_eq!(said(&city, "stranger").first().unwrap().2.as_deref(), Some("certificate-not-trusted"));
}

/// Who asked for secrecy is not given away because a revocation list is away, and evidence says that the status was not known.
#[test]
fn a_certificate_of_unknown_status_is_encrypted_to_and_evidence_says_so() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let sealer = Watched::new(&city, Arc::clone(&city.sealing), None);
    let account = account_of(&gateway, 0);
    openssl(&city, &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "own.key"]);
    let spki = openssl(&city, &["pkey", "-in", "own.key", "-pubout", "-outform", "DER"]);
    // Nobody listens there.
    let (leaf, issuer) = city.citizen_listed(spki, &gateway.directory.address(account.number), 44, &[0, 4], 24, "http://127.0.0.1:9/away.crl");
    let certificate = hex(&digest(&leaf));
    let held = Held { chain: Chain::new(vec![leaf, issuer]).unwrap(), since: 0 }.seal(account.number, &gateway.directory_key).unwrap();
    city.store.commit(Batch::new().put(Held::key(account.number), held)).unwrap();
    say(&gateway, &account.mailbox(), Some(true)).unwrap();
    pushed(&city, &gateway, &sealer, &month(&city, "housing-fund", "away", 3)).unwrap();
    assert!(String::from_utf8_lossy(&last(&gateway, 0)).contains("authEnveloped-data"));
    assert_eq!(said(&city, "away"), [(1, Some(certificate), None), (2, None, None), (3, None, None)]);
    let count = city.store.counter(mailgw::record::evidence::BATCHES).unwrap();
    let lines = (1..=count).flat_map(|number| mailgw::record::evidence::items(&*city.store, number).unwrap().unwrap());
    let unknown = lines.filter(|line| Evidence::read(line).unwrap().user_content_info.is_some_and(|content| content.certificate_status.as_deref() == Some("unknown")));
    assert_eq!(unknown.filter(|line| line.contains("ContentConsignment")).count(), 1);
}

#[test]
fn an_encrypted_month_is_whole_after_a_fault_at_any_write() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    certified(&city, &gateway, 0, 44, &[0, 4], 24);
    say(&gateway, &account_of(&gateway, 0).mailbox(), Some(true)).unwrap();
    for (commit, fault) in (1..4).flat_map(|commit| FAULTS.map(|fault| (commit, fault))) {
        let batch = format!("f{commit}{}", fault == Fault::Lost);
        let (month, sealer) = (month(&city, "housing-fund", &batch, 3), Watched::new(&city, Arc::clone(&city.sealing), None));
        assert!(pushed(&city, &city.gateway(faulty(&city.store, Some((commit, fault)))), &sealer, &month).is_err());
        let report = pushed(&city, &city.gateway(Arc::clone(&city.store)), &sealer, &month).unwrap();
        assert_eq!(report.counts, Counts { delivered: 3, duplicate: 1, quarantined: 2, undeliverable: 1 }, "{batch}");
        let mailbox = account_of(&gateway, 0).mailbox();
        let view = gateway.messages.view(&mailbox, "INBOX").unwrap();
        let named = view.messages.iter().filter(|message| named_by(&gateway.messages.load(&view.folder, message.uid).unwrap(), &gateway.directory_key).is_some_and(|named| named.statement == format!("{batch}-0"))).count();
        assert_eq!(named, 1, "{batch}");
    }
}
