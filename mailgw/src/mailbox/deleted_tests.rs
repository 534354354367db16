#![allow(clippy::unwrap_used)]
use std::sync::Arc;

use protocol::imap::exchange::SpecialUse;
use store::{Memory, Store};

use super::*;
use crate::mailbox::test_keys::data_key;
use crate::mailbox::{Delivery, Quota};

const BOX: &str = "1234567897";

fn mail(store: &Arc<Memory>, bytes: u64) -> MessageStore {
    MessageStore::new(Arc::clone(store) as Arc<dyn Store>, data_key()).with_quota(move |_| Quota { bytes, messages: 100 })
}

fn deliver(mail: &MessageStore, folder: &str, text: &str) {
    let delivery = Delivery { mailbox: BOX.into(), folder: folder.into(), content: text.as_bytes().to_vec().into(), unix_millis: 1_000, flags: Flags::new().with(SystemFlag::Seen), event: None, mark: None };
    mail.deliver(&[delivery], 1).unwrap();
}

fn bodies(store: &Memory) -> usize {
    let (from, to) = Key::range("body", &[]);
    store.scan(&from, &to, 99).unwrap().len()
}

/// Records of large messages beside their first.
fn pieces(store: &Memory) -> usize {
    let (from, to) = Key::range("body piece", &[]);
    store.scan(&from, &to, 99).unwrap().len()
}

fn expunge(mail: &MessageStore, folder: &str, uids: &[u32], now: u64) {
    let folder = mail.folder(BOX, folder).unwrap();
    mail.store_flags(BOX, &folder, uids, StoreOp::Add, &Flags::new().with(SystemFlag::Deleted)).unwrap();
    assert_eq!(mail.expunge(BOX, &folder, uids, now).unwrap(), uids);
}

fn texts(mail: &MessageStore, folder: &str) -> Vec<(u32, String)> {
    let view = mail.view(BOX, folder).unwrap();
    view.messages.iter().map(|message| (message.uid, String::from_utf8(mail.load(&view.folder, message.uid).unwrap()).unwrap())).collect()
}

fn forget(mail: &MessageStore, before: u64, held: bool) -> usize {
    mail.forget_deleted(before, &|_| Ok::<_, MailError>(held), &|| true).unwrap()
}

#[test]
fn a_large_message_is_shared_and_goes_with_all_its_pieces() {
    let store = Arc::new(Memory::new());
    let mail = mail(&store, 100 << 20);
    ["INBOX", "a"].iter().for_each(|name| mail.create_folder(BOX, name).unwrap());
    let large = "Subject: large\r\n\r\n".to_owned() + &"0123456789abcdef\r\n".repeat(150_000);
    deliver(&mail, "INBOX", &large);
    deliver(&mail, "INBOX", &large);
    assert_eq!((bodies(&store), pieces(&store)), (2, 4));
    mail.copy(&mail.folder(BOX, "INBOX").unwrap(), &[1], BOX, "a", 2).unwrap();
    assert_eq!((bodies(&store), pieces(&store)), (2, 4));
    expunge(&mail, "INBOX", &[1, 2], 10);
    assert_eq!(forget(&mail, 11, false), 2);
    assert_eq!((bodies(&store), pieces(&store), texts(&mail, "a")), (1, 2, vec![(1, large)]));
    expunge(&mail, "a", &[1], 20);
    assert_eq!(forget(&mail, 21, false), 1);
    assert_eq!((bodies(&store), pieces(&store)), (0, 0));
}

#[test]
fn what_was_deleted_comes_back_under_a_new_uid_with_all_that_it_was() {
    let store = Arc::new(Memory::new());
    let mail = mail(&store, 100);
    ["INBOX", "a"].iter().for_each(|name| mail.create_folder(BOX, name).unwrap());
    deliver(&mail, "INBOX", "one");
    deliver(&mail, "INBOX", "two");
    deliver(&mail, "a", "three");
    // One of two copies is deleted, then a whole folder.
    mail.copy(&mail.folder(BOX, "INBOX").unwrap(), &[1], BOX, "a", 2).unwrap();
    expunge(&mail, "INBOX", &[1], 10);
    mail.delete_folder(BOX, "a", 20).unwrap();
    assert_eq!((bodies(&store), mail.used(BOX).unwrap()), (3, Quota { bytes: 3, messages: 1 }));
    let kept = mail.deleted(BOX, &Choice::default()).unwrap();
    assert_eq!(kept.iter().map(|one| (one.deleted.name.as_str(), one.deleted.uid, one.deleted.unix_millis)).collect::<Vec<_>>(), [("INBOX", 1, 10), ("a", 1, 20), ("a", 2, 20)]);
    assert_eq!(mail.load_deleted(&kept[1]).unwrap(), b"three");
    // By choice, then all; twice is once.
    let watch = mail.open(BOX, "INBOX").unwrap().1;
    assert_eq!(mail.restore(BOX, &Choice { folder: Some("INBOX".into()), since: None }, "00", 30).unwrap(), 1);
    assert_eq!(mail.restore(BOX, &Choice { folder: None, since: Some(21) }, "00", 30).unwrap(), 0);
    assert_eq!((mail.restore(BOX, &Choice::default(), "00", 30).unwrap(), mail.restore(BOX, &Choice::default(), "00", 30).unwrap()), (2, 0));
    drop(watch);
    assert_eq!(texts(&mail, "INBOX"), [(2, "two".to_owned()), (3, "one".to_owned())]);
    assert_eq!(texts(&mail, "a"), [(1, "three".to_owned()), (2, "one".to_owned())]);
    assert_eq!(mail.used(BOX).unwrap(), Quota { bytes: 14, messages: 4 });
    let back = &mail.view(BOX, "INBOX").unwrap().messages[1];
    assert!(back.flags.has(SystemFlag::Seen) && !back.flags.has(SystemFlag::Deleted) && back.internal_date.unix_timestamp() == 1);
    // Nothing is left to be forgotten, and nothing is forgotten that is there.
    assert_eq!((forget(&mail, u64::MAX, false), bodies(&store)), (0, 3));
    expunge(&mail, "INBOX", &[2, 3], 40);
    assert_eq!((forget(&mail, 40, false), forget(&mail, 41, false), bodies(&store)), (0, 2, 2));
    assert_eq!(texts(&mail, "a").len(), 2);
}

/// What is delivered to the junk folder must find it again.
#[test]
fn a_folder_made_again_is_for_what_it_was_unless_another_is_by_now() {
    let store = Arc::new(Memory::new());
    let mail = mail(&store, 1_000);
    let of = |all: &[SpecialUse]| all.iter().copied().collect::<SpecialUses>();
    mail.create_folder_for(BOX, "垃圾邮件", of(&[SpecialUse::Junk])).unwrap();
    mail.create_folder_for(BOX, "both", of(&[SpecialUse::Sent, SpecialUse::Trash])).unwrap();
    mail.create_folder_for(BOX, "taken", of(&[SpecialUse::Archive])).unwrap();
    for folder in ["垃圾邮件", "both", "taken"] {
        deliver(&mail, folder, "one");
    }
    // One message went before its folder did.
    expunge(&mail, "垃圾邮件", &[1], 10);
    ["垃圾邮件", "both", "taken"].iter().for_each(|name| mail.delete_folder(BOX, name, 20).unwrap());
    mail.create_folder_for(BOX, "other", of(&[SpecialUse::Archive, SpecialUse::Trash])).unwrap();
    mail.create_folder(BOX, "plain").unwrap();
    deliver(&mail, "plain", "two");
    mail.delete_folder(BOX, "plain", 20).unwrap();
    assert_eq!(mail.restore(BOX, &Choice::default(), "00", 30).unwrap(), 4);
    let uses = |name: &str| mail.folder(BOX, name).unwrap().uses;
    assert_eq!((uses("垃圾邮件"), uses("both")), (of(&[SpecialUse::Junk]), of(&[SpecialUse::Sent])));
    assert_eq!((uses("taken"), uses("other"), uses("plain")), (of(&[]), of(&[SpecialUse::Archive, SpecialUse::Trash]), of(&[])));
    assert_eq!(mail.folder_of_use(BOX, SpecialUse::Junk), Ok(Some("垃圾邮件".to_owned())));
    // A folder that is there keeps what it is for.
    mail.delete_folder(BOX, "垃圾邮件", 40).unwrap();
    mail.create_folder(BOX, "垃圾邮件").unwrap();
    assert_eq!((mail.restore(BOX, &Choice::default(), "00", 50).unwrap(), uses("垃圾邮件")), (1, of(&[])));
}

/// A crash between the folder's end and its messages' forgets no use.
#[test]
fn what_a_crash_left_of_a_folder_knows_its_use() {
    let store = Arc::new(Memory::new());
    mail(&store, 1_000).create_folder_for(BOX, "sent", SpecialUses::NONE.with(SpecialUse::Sent)).unwrap();
    deliver(&mail(&store, 1_000), "sent", "one");
    let faulty: Arc<dyn Store> = Arc::new(store::Faulty::new(Arc::clone(&store) as Arc<dyn Store>).at(1, store::Fault::Lost));
    assert!(MessageStore::new(faulty, data_key()).delete_folder(BOX, "sent", 20).is_err());
    let mail = mail(&store, 1_000);
    assert_eq!(mail.folder_of_use(BOX, SpecialUse::Sent), Ok(None));
    mail.sweep().unwrap();
    assert_eq!(mail.restore(BOX, &Choice::default(), "00", 30).unwrap(), 1);
    assert_eq!(mail.folder_of_use(BOX, SpecialUse::Sent), Ok(Some("sent".to_owned())));
}

#[test]
fn a_hold_keeps_what_would_go() {
    let store = Arc::new(Memory::new());
    let mail = mail(&store, 100);
    mail.create_folder(BOX, "INBOX").unwrap();
    deliver(&mail, "INBOX", "one");
    expunge(&mail, "INBOX", &[1], 10);
    assert_eq!((forget(&mail, 99, true), bodies(&store)), (0, 1));
    // One that comes between the question and the commit.
    let comes = |_: &str| {
        store.commit(Batch::new().put(hold::mark_key(BOX), hold::mark(1))).unwrap();
        Ok::<_, MailError>(false)
    };
    assert_eq!(mail.forget_deleted(99, &comes, &|| true).unwrap(), 0);
    assert_eq!((bodies(&store), mail.deleted(BOX, &Choice::default()).unwrap().len()), (1, 1));
    assert_eq!((forget(&mail, 99, false), bodies(&store)), (1, 0));
}

#[test]
fn what_does_not_fit_stays_where_it_is() {
    let store = Arc::new(Memory::new());
    let mail = mail(&store, 10);
    mail.create_folder(BOX, "INBOX").unwrap();
    deliver(&mail, "INBOX", "123456");
    expunge(&mail, "INBOX", &[1], 10);
    deliver(&mail, "INBOX", "1234567");
    assert_eq!(mail.restore(BOX, &Choice::default(), "00", 30), Err(MailError::OverQuota { delivery: 0 }));
    assert_eq!(mail.deleted(BOX, &Choice::default()).unwrap().len(), 1);
    // What a message is replaced by may be larger; what it was can be had back once there is room.
    expunge(&mail, "INBOX", &[2], 11);
    assert_eq!(mail.restore(BOX, &Choice { folder: None, since: Some(11) }, "00", 30).unwrap(), 1);
    assert_eq!(texts(&mail, "INBOX"), [(3, "1234567".to_owned())]);
    let body = Message::decode(&mail.deleted(BOX, &Choice::default()).unwrap()[0].deleted.message).unwrap().0.body;
    assert_eq!(mail.sharing(body), 1);
}

#[test]
fn deleted_mail_is_bounded_by_a_quota_the_oldest_goes_first_and_what_is_held_counts_where_its_owner_stores_more() {
    let store = Arc::new(Memory::new());
    let mail = MessageStore::new(Arc::clone(&store) as Arc<dyn Store>, data_key()).with_quota(|_| Quota { bytes: 100, messages: 100 }).with_deleted(100);
    mail.create_folder(BOX, "INBOX").unwrap();
    let churn = |uid: u32, size: usize| {
        deliver(&mail, "INBOX", &uid.to_string().repeat(size));
        expunge(&mail, "INBOX", &[uid], u64::from(uid));
    };
    let kept = || mail.deleted(BOX, &Choice::default()).unwrap().iter().map(|one| one.deleted.uid).collect::<Vec<_>>();
    (1..=3).for_each(|uid| churn(uid, 30));
    assert_eq!(kept(), [1, 2, 3]);
    churn(4, 30);
    assert_eq!((kept(), bodies(&store)), (vec![2, 3, 4], 3), "the oldest goes, with its body");
    // What comes back is no more among it.
    assert_eq!(mail.restore(BOX, &Choice { folder: None, since: Some(4) }, "00", 30).unwrap(), 1);
    churn(6, 35);
    assert_eq!(kept(), [2, 3, 6]);
    // Under a hold all stays. The owner stores less for it, and still gets what is sent.
    let order = hold::mark_key(BOX);
    store.commit(Batch::new().put(order.clone(), hold::mark(1))).unwrap();
    churn(7, 40);
    assert_eq!((kept(), mail.used(BOX).unwrap().bytes, mail.deleted_beyond(BOX).unwrap()), (vec![2, 3, 6, 7], 30, 35));
    let delivery = |size: usize| Delivery { mailbox: BOX.into(), folder: "INBOX".into(), content: vec![b'x'; size].into(), unix_millis: 1, flags: Flags::new(), event: None, mark: None };
    assert_eq!(mail.deliver(&[delivery(36)], 1), Err(MailError::OverQuota { delivery: 0 }));
    // A message in the place of another is stored, too: what it is larger by counts as that does.
    let inbox = mail.folder(BOX, "INBOX").unwrap();
    assert_eq!(mail.replace(&inbox, 5, &delivery(30 + 36), 8), Err(MailError::OverQuota { delivery: 0 }));
    assert!(mail.has_room(BOX, 36).unwrap() && mail.deliver(&[delivery(35)], 1).is_ok());
    assert_eq!(mail.deliver_promised(&[delivery(30)], Batch::new(), 1).unwrap().len(), 1);
    // It ends: what is beyond goes.
    store.commit(Batch::new().delete(order)).unwrap();
    assert_eq!(mail.bound_deleted(BOX, &|| Ok::<_, MailError>(false)).unwrap(), 2);
    assert_eq!((kept(), mail.deleted_beyond(BOX).unwrap()), (vec![6, 7], 0));
}
