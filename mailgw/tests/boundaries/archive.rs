//! A mailbox as files and back: exported, proved with the root alone, altered and found out, loaded elsewhere once however often it is asked.
//! And what its owner deleted, under a legal hold.

use std::path::Path;

use mailgw::archive::inventory::{self, Format, InventoryError};
use mailgw::bureau::trust::Anchors;
use mailgw::flow::evidence::install;
use mailgw::flow::approval::ApprovalError;
use mailgw::flow::approval::SignedRequest;
use mailgw::flow::hold::{self, HoldError, Word};
use mailgw::flow::{export, load};
use mailgw::mailbox::{Choice, Delivery};
use protocol::imap::exchange::{Flags, Keyword, MessageInfo, StoreOp, SystemFlag};
use time::Duration;

use super::*;
use super::recovery::Officer;
use crate::city::{DOMAIN, REVOKED};

const DAY: i64 = 86_400_000;

fn mailbox(gateway: &Gateway, at: usize) -> String {
    let (id_type, id_no, _) = PEOPLE[at];
    gateway.directory.find_person(&Document::parse(id_type, id_no, today(NOW)).unwrap()).unwrap().unwrap().mailbox()
}

fn deliver(gateway: &Gateway, mailbox: &str, folder: &str, text: &[u8], flags: Flags, day: i64) {
    let unix_millis = NOW.unix_timestamp() * 1_000 - day * DAY + 500;
    let delivery = Delivery { mailbox: mailbox.into(), folder: folder.into(), content: text.to_vec().into(), unix_millis, flags, event: None, mark: None };
    gateway.messages.deliver(&[delivery], gateway.now_unix_millis()).unwrap();
}

/// Folder, octets, flags and date of everything.
fn everything(gateway: &Gateway, mailbox: &str) -> BTreeSet<(String, Vec<u8>, String, i64)> {
    let mut all = BTreeSet::new();
    for folder in gateway.messages.list(mailbox).unwrap() {
        let view = gateway.messages.view(mailbox, &folder.name).unwrap();
        let one = |message: &MessageInfo| {
            let bytes = gateway.messages.load(&view.folder, message.uid).unwrap();
            (folder.name.clone(), bytes, format!("{:?}", message.flags), message.internal_date.unix_timestamp())
        };
        all.extend(view.messages.iter().map(one));
    }
    all
}

fn with_signer(city: &City) -> Gateway {
    let gateway = city.gateway(Arc::clone(&city.store));
    mailgw::flow::evidence::request(&gateway, "广州市政务邮箱运营中心").unwrap();
    install(&gateway, &city.lists, city.evidence_certificate(&gateway, "3.2").as_bytes(), NOW).unwrap();
    gateway
}

/// Mail of several kinds in folders of several names.
fn filled(city: &City, gateway: &Gateway) -> String {
    let one = mailbox(gateway, 0);
    gateway.messages.create_folder(&one, "公积金/2026").unwrap();
    gateway.messages.create_folder(&one, "cur").unwrap();
    let seen = Flags::from_parts(SystemFlag::Seen as u8 | SystemFlag::Answered as u8, Keyword::new("$Forwarded"));
    deliver(gateway, &one, "INBOX", b"Subject: a\r\n\r\nFrom here\r\n>From there\r\n\r\n\r\nFrom x\r\n", seen, 3);
    deliver(gateway, &one, "公积金/2026", b"Subject: b\n\nbare lines\n", Flags::new(), 2);
    deliver(gateway, &one, "cur", b"no end of line", Flags::new().with(SystemFlag::Flagged), 1);
    deliver(gateway, &one, "cur", b"", Flags::new(), 1);
    let (sealer, month) = (Watched::new(city, Arc::clone(&city.sealing), None), month(city, "housing-fund", "archived", 3));
    pushed(city, gateway, &sealer, &month).unwrap();
    one
}

fn wanted(city: &City, mailbox: &str, name: &str, format: Format) -> export::Wanted {
    export::Wanted { mailbox: mailbox.into(), directory: city.path(name), format, deleted: true, statements: false, octets: false, request: "form 78".into() }
}

fn loads(gateway: &Gateway, mailbox: &str, from: &Path, folder: Option<&str>) -> (u64, u64) {
    let order = load::Order { mailbox: mailbox.into(), from: from.to_owned(), folder: folder.map(str::to_owned), request: "form 79".into() };
    let loaded = load::load(gateway, &order, &mut |_| true).unwrap();
    (loaded.new, loaded.known)
}

#[test]
fn what_leaves_as_files_is_proved_and_comes_back_the_same() {
    let city = City::found();
    let gateway = with_signer(&city);
    let one = filled(&city, &gateway);
    let inbox = gateway.messages.folder(&one, "INBOX").unwrap();
    // One that was deleted.
    deliver(&gateway, &one, "INBOX", b"Subject: gone\r\n\r\n", Flags::new().with(SystemFlag::Deleted), 1);
    let last = gateway.messages.view(&one, "INBOX").unwrap().messages.last().unwrap().uid;
    gateway.messages.expunge(&one, &inbox, &[last], gateway.now_unix_millis()).unwrap();
    let anchors = Anchors::parse(city.root_pem.as_bytes(), "1.3.6.1.4.1.32473").unwrap();
    for (format, name, other) in [(Format::Maildir, "maildir", 1), (Format::Mbox, "mbox", 2)] {
        let at = city.path(name);
        let written = export::export(&gateway, &city.lists, &wanted(&city, &one, name, format), &mut |_, _| true).unwrap();
        assert_eq!(written.messages, everything(&gateway, &one).len() as u64 + 1);
        assert!(export::export(&gateway, &city.lists, &wanted(&city, &one, name, format), &mut |_, _| true).is_err(), "written over");
        let verified = inventory::verify(&at, &anchors).unwrap();
        assert_eq!((verified.messages, verified.bytes, verified.address), (written.messages, written.bytes, format!("{one}@{DOMAIN}")));
        let said = events(&*gateway.store).into_iter().rev().find_map(|event| if let Event::MailboxArchived(export) = event { Some(export.inventory) } else { None });
        assert_eq!(said.unwrap(), hex(&digest(&std::fs::read(at.join(inventory::FILE)).unwrap())));
        // Into another mailbox; again it is all there; marks of bureaus hold.
        let two = mailbox(&gateway, other);
        let before = everything(&gateway, &two).len() as u64;
        assert_eq!(loads(&gateway, &two, &at, None).0, written.messages);
        assert_eq!(loads(&gateway, &two, &at, None), (0, written.messages));
        let (ours, theirs) = (everything(&gateway, &one), everything(&gateway, &two));
        assert!(ours.is_subset(&theirs) && theirs.len() as u64 == before + written.messages);
        assert_eq!(gateway.messages.count_marked(&two).unwrap(), before + 1);
        // A stranger's inventory, an altered one, an altered message.
        assert!(matches!(inventory::verify(&at, &Anchors::parse(City::found().root_pem.as_bytes(), "1.3.6.1.4.1.32473").unwrap()), Err(InventoryError::Trust(_))));
        let text = std::fs::read_to_string(at.join(inventory::FILE)).unwrap();
        std::fs::write(at.join(inventory::FILE), text.replacen("\\\\Seen", "\\\\Draft", 1)).unwrap();
        assert!(matches!(inventory::verify(&at, &anchors), Err(InventoryError::Signature(_))));
        std::fs::write(at.join(inventory::FILE), &text).unwrap();
        inventory::verify(&at, &anchors).unwrap();
        let file = if format == Format::Mbox { at.join("mail/INBOX.mbox") } else { first_file(&at.join("mail/INBOX/cur")) };
        let bytes = std::fs::read(&file).unwrap();
        let changed = String::from_utf8(bytes).unwrap().replacen("Subject", "Subjekt", 1);
        std::fs::write(&file, changed).unwrap();
        assert!(matches!(inventory::verify(&at, &anchors), Err(InventoryError::Altered { .. })));
    }
}

/// A mailbox that is closed takes no mail and lets nobody in; what is in it is kept, and told to whoever may have it.
#[test]
fn a_mailbox_that_is_closed_is_exported_whole() {
    let city = City::found();
    let gateway = with_signer(&city);
    let one = filled(&city, &gateway);
    let before = everything(&gateway, &one);
    let number = policies::mailbox::MailboxNumber::parse(&one).unwrap();
    gateway.directory.close(number, NOW).unwrap();
    // As whoever starts it anew finds it.
    drop(gateway);
    let gateway = city.gateway(Arc::clone(&city.store));
    assert_eq!(gateway.directory.get(number).unwrap().unwrap().state(), mailgw::record::account::State::Closed);
    assert!(everything(&gateway, &one) == before);
    let anchors = Anchors::parse(city.root_pem.as_bytes(), "1.3.6.1.4.1.32473").unwrap();
    let at = city.path("closed");
    let wanted = export::Wanted { octets: true, ..wanted(&city, &one, "closed", Format::Maildir) };
    let written = export::export(&gateway, &city.lists, &wanted, &mut |_, _| true).unwrap();
    let verified = inventory::verify(&at, &anchors).unwrap();
    assert_eq!((verified.messages, verified.bytes, verified.address), (before.len() as u64, written.bytes, format!("{one}@{DOMAIN}")));
    // Octet for octet, in the files themselves.
    let mut files = Vec::new();
    let mut places = vec![at.join(inventory::MAIL)];
    while let Some(place) = places.pop() {
        for entry in std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() { places.push(entry) } else { files.push(std::fs::read(entry).unwrap()) }
        }
    }
    files.sort();
    let mut octets: Vec<Vec<u8>> = before.into_iter().map(|(_, octets, ..)| octets).collect();
    octets.sort();
    assert!(files == octets, "{} files of {} messages", files.len(), octets.len());
}

fn first_file(directory: &Path) -> std::path::PathBuf {
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.remove(0)
}

#[test]
fn an_export_that_is_cut_off_leaves_nothing_and_a_load_goes_on() {
    let city = City::found();
    let gateway = with_signer(&city);
    let one = filled(&city, &gateway);
    let mut left = 3;
    let stops = &mut |_, _| {
        left -= 1;
        left > 0
    };
    assert!(export::export(&gateway, &city.lists, &wanted(&city, &one, "cut", Format::Maildir), stops).is_err());
    assert!(!city.path("cut").exists() && !city.path("cut.new").exists());
    // Another program's mbox: its flags, its dates, its line ends.
    let text: String = (0..250).map(|n| format!("From a@b.cn Thu Nov 05 08:09:10 2026\nSubject: {n}\nStatus: RO\nX-Status: F\n\nFrom\n>From me {n}\n\n")).collect();
    std::fs::write(city.path("old.mbox"), text).unwrap();
    let order = load::Order { mailbox: one.clone(), from: city.path("old.mbox"), folder: Some("Old/Mail".into()), request: "form 80".into() };
    assert!(matches!(load::load(&gateway, &order, &mut |_| false), Err(load::LoadError::Stopped { new: 100 })));
    assert_eq!(loads(&gateway, &one, &city.path("old.mbox"), Some("Old/Mail")), (150, 100));
    let view = gateway.messages.view(&one, "Old/Mail").unwrap();
    assert_eq!(view.messages.len(), 250);
    let first = &view.messages[0];
    assert_eq!(gateway.messages.load(&view.folder, first.uid).unwrap(), b"Subject: 0\r\nStatus: RO\r\nX-Status: F\r\n\r\nFrom\r\nFrom me 0\r\n");
    assert!(first.flags.has(SystemFlag::Seen) && first.flags.has(SystemFlag::Flagged) && !first.flags.has(SystemFlag::Deleted));
    assert_eq!(first.internal_date, time::macros::datetime!(2026-11-05 08:09:10 UTC));
    std::fs::write(city.path("none"), "Subject: no mbox\n\n").unwrap();
    let none = load::Order { from: city.path("none"), ..order };
    assert!(matches!(load::load(&gateway, &none, &mut |_| true), Err(load::LoadError::Unreadable { .. })));
}

#[test]
fn owners_are_told_once_that_a_mailbox_fills_up_and_rules_are_followed() {
    use mailgw::flow::warnings::warn_all;
    let city = City::found();
    let limits = city.path("policies/mailbox/limits.toml");
    let text = std::fs::read_to_string(&limits).unwrap();
    std::fs::write(&limits, text.replace("citizen = 1_073_741_824", "citizen = 1_000_000").replace("max_bytes = 26_214_400", "max_bytes = 65_536")).unwrap();
    let gateway = city.gateway(Arc::clone(&city.store));
    let one = mailbox(&gateway, 0);
    let said = || {
        let told = warn_all(&gateway).unwrap();
        let warned: Vec<u8> = events(&*city.store).into_iter().filter_map(|event| if let Event::QuotaWarned(warned) = event { Some(warned.percent) } else { None }).collect();
        (told, warned)
    };
    let fill = |bytes: usize| deliver(&gateway, &one, "INBOX", &[b"Subject: x\r\n\r\n".as_slice(), &vec![b'x'; bytes - 14]].concat(), Flags::new(), 0);
    (0..12).for_each(|_| fill(65_000));
    assert_eq!(said(), (0, vec![]));
    fill(30_000);
    assert_eq!((said(), said()), ((1, vec![80]), (0, vec![80])));
    let view = gateway.messages.view(&one, "INBOX").unwrap();
    let notice = String::from_utf8(gateway.messages.load(&view.folder, view.messages.last().unwrap().uid).unwrap()).unwrap();
    assert!(notice.contains("Auto-Submitted: auto-generated") && notice.contains("To: <"), "{notice}");
    // Below it and above again on the same day is no news; the next part is.
    gateway.messages.store_flags(&one, &view.folder, &[1], StoreOp::Add, &Flags::new().with(SystemFlag::Deleted)).unwrap();
    gateway.messages.expunge(&one, &view.folder, &[1], gateway.now_unix_millis()).unwrap();
    fill(65_000);
    assert_eq!(said(), (0, vec![80]));
    (0..2).for_each(|_| fill(65_000));
    fill(20_000);
    assert_eq!(said(), (1, vec![80, 95]));
    // A statement goes where its owner wants it, and into the inbox where there is no such folder.
    let two = mailbox(&gateway, 1);
    let rules = |mailbox: &str, text: &str| gateway.messages.annotate(mailbox, None, &[(mailgw::mailbox::RULES.to_owned(), Some(text.as_bytes().to_vec()))]).unwrap();
    gateway.messages.create_folder(&two, "公积金").unwrap();
    rules(&two, &format!("@{DOMAIN} 公积金\n"));
    rules(&mailbox(&gateway, 2), &format!("@{DOMAIN} nowhere\n"));
    let (sealer, month) = (Watched::new(&city, Arc::clone(&city.sealing), None), month(&city, "housing-fund", "ruled", 3));
    pushed(&city, &gateway, &sealer, &month).unwrap();
    let count = |mailbox: &str, folder: &str| gateway.messages.view(mailbox, folder).unwrap().messages.len();
    assert_eq!((count(&two, "INBOX"), count(&two, "公积金"), count(&mailbox(&gateway, 2), "INBOX")), (0, 1, 1));
}

/// What officers sign for the end of a hold.
pub fn lifting(mailbox: &str, hold: u64, authority: &str) -> String {
    format!(r#"{{"kind":"suiyin mailbox hold lift v1","mailbox":"{mailbox}@{DOMAIN}","hold":{hold},"authority":"{authority}","reason":"(2026)粤01执124号","papers":"counter 12, form 91"}}"#)
}

#[test]
fn a_legal_hold_is_lifted_by_two_officers_and_by_nobody_less() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let [one, two] = [0, 1].map(|at| mailbox(&gateway, at));
    let (court, lists) = ("广州市中级人民法院", city.more_lists());
    for mailbox in [&one, &one, &two] {
        hold::set(&gateway, mailbox, &Word { authority: court.into(), reason: "(2026)粤01执123号".into(), until_unix_millis: None }).unwrap();
    }
    let keys = KeyStore::create(&city.path("officers").join("keys"), &city::passphrase()).unwrap();
    let officer = |serial, number: &str, policy: &str| Officer::new(&city, &keys, serial, number, policy);
    let [first, second] = [officer(80, "A-1", "6.1"), officer(81, "A-2", "6.1")];
    let lift = |mailbox: &str, request: &str, approvals: Vec<String>| hold::lift(&gateway, &lists, mailbox, &SignedRequest { request: request.into(), approvals });
    let both = |request: &str| vec![first.signs(request, NOW), second.signs(request, NOW)];
    let request = lifting(&one, 1, court);
    // One, the same twice, one person with two keys, other words, long ago, one who is none, one who is no more.
    for elsewhere in [request.replace(&format!("@{DOMAIN}"), ""), request.replace(DOMAIN, "mail.elsewhere.example")] {
        assert!(matches!(lift(&one, &elsewhere, both(&elsewhere)), Err(HoldError::Request { .. })), "{elsewhere}");
    }
    let few = |approvals| matches!(lift(&one, &request, approvals), Err(HoldError::Approval(ApprovalError::Officers)));
    assert!(few(vec![]) && few(vec![first.signs(&request, NOW)]) && few(vec![first.signs(&request, NOW), first.signs(&request, NOW)]));
    assert!(few(vec![first.signs(&request, NOW), officer(82, "A-1", "6.1").signs(&request, NOW)]));
    for approval in [second.signs(&lifting(&one, 2, court), NOW), second.signs(&request, NOW - Duration::days(2))] {
        assert!(matches!(lift(&one, &request, vec![first.signs(&request, NOW), approval]), Err(HoldError::Approval(ApprovalError::Signature { number: 2, .. }))));
    }
    for other in [officer(83, "A-3", "6.2"), officer(REVOKED, "A-4", "6.1")] {
        assert!(matches!(lift(&one, &request, vec![first.signs(&request, NOW), other.signs(&request, NOW)]), Err(HoldError::Approval(ApprovalError::Trust(_)))));
    }
    // Of another kind, of another form, of another mailbox, without papers, of another authority, of a hold that is not there.
    let recovery = format!(r#"{{"kind":"suiyin mailbox recovery v1","mailbox":"{one}@{DOMAIN}","proof":"x","papers":"x"}}"#);
    for wrong in [recovery, request.replace("lift v1", "lift v2"), request.replace(r#""hold":1"#, r#""hold":"1""#), lifting(&two, 1, court)] {
        assert!(matches!(lift(&one, &wrong, both(&wrong)), Err(HoldError::Request { .. })), "{wrong}");
    }
    let bare = request.replace("counter 12, form 91", " ");
    assert!(matches!(lift(&one, &bare, both(&bare)), Err(HoldError::Words { field: "papers" })));
    let other = lifting(&one, 1, "广州市公安局");
    assert!(matches!(lift(&one, &other, both(&other)), Err(HoldError::OtherAuthority { number: 1 })));
    let none = lifting(&one, 3, court);
    assert!(matches!(lift(&one, &none, both(&none)), Err(HoldError::NoHold { number: 3 })));
    // Signed before it was set, whoever knew that it would be.
    let early = |request: &str| vec![first.signs(request, NOW), second.signs(request, NOW - Duration::seconds(1))];
    assert!(matches!(lift(&one, &request, early(&request)), Err(HoldError::Approval(ApprovalError::Signature { number: 2, .. }))));
    assert!(hold::show(&gateway, &one).unwrap().iter().all(|hold| hold.holds));
    // Two: that hold alone, and once.
    let shown = lift(&one, &request, both(&request)).unwrap();
    assert_eq!(shown.iter().map(|hold| hold.holds).collect::<Vec<_>>(), [false, true]);
    assert_eq!(shown[0].lifted_by, ["A-1", "A-2"]);
    assert!(matches!(lift(&one, &request, both(&request)), Err(HoldError::NoHold { number: 1 })));
    assert!(hold::show(&gateway, &two).unwrap().iter().all(|hold| hold.holds));
    let lifted: Vec<_> = events(&*city.store).into_iter().filter_map(|event| if let Event::MailboxHoldLifted(lifted) = event { Some(lifted) } else { None }).collect();
    assert_eq!((lifted.len(), lifted[0].number, lifted[0].officers.as_slice()), (1, 1, ["A-1".to_owned(), "A-2".to_owned()].as_slice()));
    assert_eq!(lifted[0].request.as_deref(), Some(crate::hex(&digest(request.as_bytes())).as_str()));
}

#[test]
fn a_legal_hold_outlasts_deletion_and_ends_by_its_own_authority() {
    let city = City::found();
    let gateway = city.gateway(Arc::clone(&city.store));
    let one = mailbox(&gateway, 0);
    let court = "广州市中级人民法院";
    let until = |days| u64::try_from((NOW + Duration::days(days)).unix_timestamp()).unwrap() * 1_000;
    let lists = city.more_lists();
    let keys = KeyStore::create(&city.path("officers").join("keys"), &city::passphrase()).unwrap();
    let officers = [(80, "A-1"), (81, "A-2")].map(|(serial, number)| Officer::new(&city, &keys, serial, number, "6.1"));
    let set = |authority: &str, days| hold::set(&gateway, &one, &Word { authority: authority.into(), reason: "(2026)粤01执123号".into(), until_unix_millis: Some(until(days)) });
    assert!(matches!(set("", 90), Err(HoldError::Words { .. })) && matches!(set(court, 0), Err(HoldError::Until)) && matches!(set(court, 4_000), Err(HoldError::Until)));
    set(court, 90).unwrap();
    set("广州市公安局", 40).unwrap();
    let deleted = || gateway.messages.deleted(&one, &Choice::default()).unwrap().len();
    let delete = || {
        deliver(&gateway, &one, "INBOX", b"Subject: evidence\r\n\r\n", Flags::new(), 0);
        let view = gateway.messages.view(&one, "INBOX").unwrap();
        let uids: Vec<u32> = view.messages.iter().map(|message| message.uid).collect();
        gateway.messages.store_flags(&one, &view.folder, &uids, StoreOp::Add, &Flags::new().with(SystemFlag::Deleted)).unwrap();
        gateway.messages.expunge(&one, &view.folder, &uids, gateway.now_unix_millis()).unwrap();
    };
    let at = |days| {
        city.clock.set(NOW + Duration::days(days));
        hold::forget_deleted(&gateway, &|| true).unwrap()
    };
    delete();
    assert_eq!((at(29), at(31), at(50), deleted()), (0, 0, 0, 1));
    let lift = |number, authority: &str| {
        let request = lifting(&one, number, authority);
        hold::lift(&gateway, &lists, &one, &SignedRequest { approvals: officers.iter().map(|officer| officer.signs(&request, NOW)).collect(), request })
    };
    assert!(matches!(lift(1, "广州市公安局"), Err(HoldError::OtherAuthority { number: 1 })));
    assert!(matches!(lift(2, "广州市公安局"), Err(HoldError::NoHold { number: 2 })), "it is over");
    city.clock.set(NOW);
    assert_eq!(lift(1, court).unwrap().iter().map(|hold| hold.holds).collect::<Vec<_>>(), [false, true]);
    assert_eq!((at(51), deleted()), (1, 0));
    // Without a hold: a month.
    delete();
    assert_eq!((at(80), deleted(), at(82), deleted()), (0, 1, 1, 0));
    // One that ends by itself.
    hold::set(&gateway, &one, &Word { authority: court.into(), reason: "x".into(), until_unix_millis: Some(until(150)) }).unwrap();
    delete();
    assert_eq!((at(149), at(151), deleted()), (0, 1, 0));
    // One without an end ends when it is lifted; officers' lists are of the first days, and they sign after it was set.
    delete();
    city.clock.set(NOW);
    hold::set(&gateway, &one, &Word { authority: court.into(), reason: "x".into(), until_unix_millis: None }).unwrap();
    assert_eq!((at(190), at(9_000), deleted()), (0, 0, 1));
    city.clock.set(NOW);
    lift(4, court).unwrap();
    assert_eq!((at(9_001), deleted()), (1, 0));
    // The words are nowhere but sealed.
    let leaves = city.store.read_stream(STREAM, 0, 10_000).unwrap();
    let (from, _) = Key::range("", &[]);
    let records = city.store.scan(&from, &Key::new("\u{ff}", &[]), usize::MAX).unwrap();
    let names = |bytes: &[u8]| bytes.windows(court.len()).any(|part| part == court.as_bytes());
    assert!(!leaves.iter().any(|leaf| names(leaf)) && !records.iter().any(|(key, value)| names(key.as_bytes()) || names(value)));
    assert_eq!(events(&*city.store).iter().filter(|event| matches!(event, Event::MailboxHoldSet(_) | Event::MailboxHoldLifted(_))).count(), 6);
}
