//! A package for a court proves itself with the root alone, names no number of a document, and one flipped bit is refused.

use mailgw::bureau::trust::Anchors;
use mailgw::erds::court::{EVIDENCE, INDEX, LOG, MESSAGE, NOTICE, README, SIGNATURE, verify_package};
use mailgw::flow::evidence::{CourtWanted, EvidenceError, court};

use super::corrections::{go, superseding, withdrawing};
use super::evidence::install;
use super::*;

#[test]
fn a_package_for_a_court_is_whole_and_proves_itself_offline() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    install(&city, &gateway);
    let month = month(&city, "housing-fund", "c", 501);
    pushed(&city, &gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &month).unwrap();
    let mailbox = gateway.directory.find_person(&Document::parse(PEOPLE[1].0, PEOPLE[1].1, today(NOW)).unwrap()).unwrap().unwrap().mailbox();
    let view = gateway.messages.view(&mailbox, "INBOX").unwrap();
    view.messages.iter().for_each(|message| drop(gateway.messages.show(&mailbox, &view.folder, message.uid, mailgw_millis()).unwrap()));
    mailgw::flow::access::record(&gateway).unwrap();
    let log = city.log(Arc::clone(&city.store));
    let wanted = |statement: &str, directory: &str| CourtWanted { bureau: FUND.into(), statement: statement.into(), order: "(2026)粤01民初123号".into(), directory: city.path(directory) };
    assert!(matches!(court(&gateway, &log, &city.lists, &wanted("none", "x")), Err(EvidenceError::UnknownStatement { .. })));
    let package = court(&gateway, &log, &city.lists, &wanted("c-1", "case")).unwrap();
    // Accepted, consigned, fetched.
    assert_eq!(package.items, 3);
    assert!(court(&gateway, &log, &city.lists, &wanted("c-1", "case")).is_err(), "a package that is there is not written over");
    let anchors = Anchors::parse(city.root_pem.as_bytes(), "1.3.6.1.4.1.32473").unwrap();
    let proved = verify_package(&package.directory, &anchors).unwrap();
    assert_eq!((proved.index.order.as_str(), proved.events.len(), proved.sealed.is_some()), ("(2026)粤01民初123号", 3, true));
    // No number, no name, in any file of it.
    for entry in std::fs::read_dir(&package.directory).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(PEOPLE.iter().all(|(_, number, name)| !text.contains(number) && !text.contains(name)));
    }
    // Every file is covered: one bit of each, and a file too many or too few.
    let names: Vec<_> = std::fs::read_dir(&package.directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(names.len(), 7);
    for path in &names {
        let whole = std::fs::read(path).unwrap();
        for at in [0, whole.len() / 2, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            std::fs::write(path, &flipped).unwrap();
            let told = verify_package(&package.directory, &anchors).unwrap_err().to_string();
            // Whoever reads that looks at the file, and not at a line of none.
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(name == INDEX || name == SIGNATURE || told.starts_with(&format!("{name} is not the file")), "octet {at} of {name}: {told}");
        }
        std::fs::remove_file(path).unwrap();
        assert!(verify_package(&package.directory, &anchors).is_err());
        std::fs::write(path, &whole).unwrap();
    }
    std::fs::write(package.directory.join("more"), b"").unwrap();
    assert!(verify_package(&package.directory, &anchors).is_err());
    std::fs::remove_file(package.directory.join("more")).unwrap();
    assert!(verify_package(&package.directory, &anchors).is_ok());
    // Another city's root vouches for nothing of it.
    assert!(verify_package(&package.directory, &Anchors::parse(City::found().root_pem.as_bytes(), "1.3.6.1.4.1.32473").unwrap()).is_err());
    for file in [INDEX, MESSAGE, EVIDENCE, LOG] {
        assert!(package.directory.join(file).is_file());
    }
    let log: Vec<_> = events(&*city.store).into_iter().filter_map(|event| if let Event::CourtPackage(court) = event { Some(court.package) } else { None }).collect();
    assert_eq!(log, [package.sha256]);
}

#[test]
fn a_statement_that_holds_no_more_is_not_shown_to_a_court_as_if_it_did() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    install(&city, &gateway);
    pushed(&city, &gateway, &Watched::new(&city, Arc::clone(&city.sealing), None), &month(&city, "housing-fund", "e", 3)).unwrap();
    for order in [superseding(&city, "e2", &[("e2-1", "e-1", 1)]), withdrawing(&city, "e3", &["e-2"])] {
        go(&city, &order).unwrap();
    }
    // What was fetched of the old and of the new stands in one batch of evidence, which is one line.
    let mailbox = gateway.directory.find_person(&Document::parse(PEOPLE[1].0, PEOPLE[1].1, today(NOW)).unwrap()).unwrap().unwrap().mailbox();
    let view = gateway.messages.view(&mailbox, "INBOX").unwrap();
    view.messages.iter().for_each(|message| drop(gateway.messages.show(&mailbox, &view.folder, message.uid, mailgw_millis()).unwrap()));
    mailgw::flow::access::record(&gateway).unwrap();
    let (log, anchors) = (city.log(Arc::clone(&city.store)), Anchors::parse(city.root_pem.as_bytes(), "1.3.6.1.4.1.32473").unwrap());
    for (statement, by, fetched) in [("e-1", "e2", 2), ("e-2", "e3", 0), ("e-0", "", 0)] {
        let wanted = CourtWanted { bureau: FUND.into(), statement: statement.into(), order: "(2026)粤01民初124号".into(), directory: city.path(statement) };
        let package = court(&gateway, &log, &city.lists, &wanted).unwrap();
        let proved = verify_package(&package.directory, &anchors).unwrap();
        let of = |event: &str| proved.events.get(event).copied().unwrap_or(0);
        assert_eq!((of("ContentConsignment"), of("ContentAccessTracking")), (if by.is_empty() { 1 } else { 2 }, fetched), "{statement}");
        let evidence = std::fs::read_to_string(package.directory.join(EVIDENCE)).unwrap();
        assert!(by.is_empty() || evidence.contains(&format!("\\\"{by}\\\"")), "{statement}: who ended it is not named");
        // Index, README and what told the reader say so, and all three are signed over.
        let readme = std::fs::read_to_string(package.directory.join(README)).unwrap();
        let notice = package.directory.join(NOTICE);
        let Some(ended) = &proved.index.ended else {
            assert!(by.is_empty() && readme.contains("In force") && !readme.contains(NOTICE) && !notice.exists());
            continue;
        };
        let superseded = (statement == "e-1").then_some("e2-1");
        assert_eq!((ended.batch.as_str(), ended.superseded_by.as_deref()), (by, superseded));
        assert!(readme.contains("【已失效】") && readme.contains(&format!("NOT IN FORCE: {}", ended.words().1)) && readme.contains(&ended.reason), "{readme}");
        let whole = std::fs::read(&notice).unwrap();
        assert_eq!(hex(&digest(&whole)), ended.notice);
        std::fs::write(&notice, [whole.as_slice(), b"\r\n"].concat()).unwrap();
        assert_eq!(verify_package(&package.directory, &anchors).unwrap_err().to_string(), "notice.eml is not the file that the package's index was signed over; do not rely on the package");
        std::fs::remove_file(&notice).unwrap();
        assert!(verify_package(&package.directory, &anchors).is_err());
    }
}

fn mailgw_millis() -> u64 {
    u64::try_from(NOW.unix_timestamp_nanos() / 1_000_000).unwrap()
}
