#![allow(clippy::unwrap_used)]
use protocol::imap::exchange::Flags;
use store::{Key, Memory, open_fjall};

use super::*;
use crate::mailbox::{Delivery, Mark};
use crate::record::event::{self, Event};

fn data_key() -> Arc<DataKey> {
    crate::mailbox::test_keys::data_key()
}

fn delivery(text: String) -> Delivery {
    let (mailbox, folder) = ("1234567897".to_owned(), "INBOX".to_owned());
    Delivery { mailbox, folder, content: text.into_bytes().into(), unix_millis: 1_795_000_000_000, flags: Flags::new(), event: None, mark: None }
}

fn eight_threads_lose_and_double_nothing(store: Arc<dyn Store>) {
    let mail = MessageStore::new(Arc::clone(&store), data_key());
    mail.create_folder("1234567897", "INBOX").unwrap();
    assert_eq!(mail.create_folder("1234567897", "INBOX"), Err(MailError::FolderExists));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let mail = &mail;
            scope.spawn(move || {
                for n in 0..50 {
                    let uid = mail.deliver(&[delivery(format!("plaintext {thread} {n}"))], 1).unwrap()[0];
                    let folder = mail.folder("1234567897", "INBOX").unwrap();
                    assert_eq!(mail.load(&folder, uid.uid).unwrap(), format!("plaintext {thread} {n}").into_bytes());
                }
            });
        }
    });
    let view = mail.view("1234567897", "INBOX").unwrap();
    assert_eq!(view.messages.iter().map(|message| message.uid).collect::<Vec<_>>(), (1..=400).collect::<Vec<_>>());
    let mut modseqs: Vec<u64> = view.messages.iter().map(|message| message.modseq).collect();
    modseqs.sort_unstable();
    assert_eq!(modseqs, (2..=401).collect::<Vec<_>>());
    assert_eq!((view.uid_next, view.highest_modseq), (401, 401));
    assert_eq!(store.stream_length(event::STREAM).unwrap(), 400);
    let (first, _) = Key::range("", &[]);
    for (key, value) in store.scan(&first, &Key::new("\u{ff}", &[]), usize::MAX).unwrap() {
        assert!(![key.as_bytes(), &value].iter().any(|bytes| bytes.windows(9).any(|window| window == b"plaintext")));
    }
}

#[test]
fn on_memory() {
    eight_threads_lose_and_double_nothing(Arc::new(Memory::new()));
}

#[test]
fn on_fjall_and_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    eight_threads_lose_and_double_nothing(Arc::new(open_fjall(directory.path()).unwrap()));
    let mail = MessageStore::new(Arc::new(open_fjall(directory.path()).unwrap()), crate::mailbox::test_keys::other_data_key());
    let view = mail.view("1234567897", "INBOX").unwrap();
    assert_eq!((view.messages.len(), view.folder.uid_validity, view.uid_next, view.highest_modseq), (400, 1, 401, 401));
    assert!(matches!(mail.load(&view.folder, 1), Err(MailError::Record(RecordError::Key(DataKeyError::Open)))));
    assert_eq!(mail.deliver(&[delivery("x".into()), delivery("y".into())], 2).unwrap()[1].uid, 402);
}

#[test]
fn a_folder_that_is_not_there_takes_nothing() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let mail = MessageStore::new(Arc::clone(&store), data_key());
    assert_eq!(mail.deliver(&[delivery("x".into())], 1), Err(MailError::NoFolder));
    assert_eq!(store.stream_length(event::STREAM).unwrap(), 0);
}

#[test]
fn flags_and_keywords_come_back() {
    use protocol::imap::exchange::{Keyword, SystemFlag};
    let mail = MessageStore::new(Arc::new(Memory::new()), data_key());
    mail.create_folder("1234567897", "INBOX").unwrap();
    let flags = Flags::from_parts(SystemFlag::Seen as u8, ["$Forwarded", "Work"].iter().filter_map(|word| Keyword::new(word)));
    mail.deliver(&[Delivery { flags: flags.clone(), ..delivery("x".into()) }], 1).unwrap();
    let view = mail.view("1234567897", "INBOX").unwrap();
    assert_eq!(view.messages[0].flags, flags);
    assert_eq!(view.messages[0].internal_date.unix_timestamp(), 1_795_000_000);
}

#[test]
fn what_changed_since_is_left_alone() {
    use protocol::imap::exchange::{StoreOp, SystemFlag};
    let mail = MessageStore::new(Arc::new(Memory::new()), data_key());
    mail.create_folder("1234567897", "INBOX").unwrap();
    mail.deliver(&[delivery("one".into()), delivery("two".into())], 1).unwrap();
    let inbox = mail.folder("1234567897", "INBOX").unwrap();
    let (seen, draft) = (Flags::new().with(SystemFlag::Seen), Flags::new().with(SystemFlag::Draft));
    let before = mail.open("1234567897", "INBOX").unwrap().0.highest_modseq;
    let changed = mail.store_flags("1234567897", &inbox, &[2], StoreOp::Add, &seen).unwrap()[0].modseq;
    let (after, modified) = mail.store_flags_since("1234567897", &inbox, &[1, 2], StoreOp::Replace, &draft, before).unwrap();
    assert!(changed > before && modified == [2] && after.len() == 1 && after[0].uid == 1 && after[0].modseq > changed);
    let (after, modified) = mail.store_flags_since("1234567897", &inbox, &[2], StoreOp::Replace, &draft, changed).unwrap();
    assert!(modified.is_empty() && after[0].flags == draft);
    assert_eq!(mail.store_flags_since("1234567897", &inbox, &[1, 2], StoreOp::Add, &seen, 0).unwrap(), (vec![], vec![1, 2]));
    let status = mail.status("1234567897", "INBOX").unwrap();
    assert_eq!((status.size, status.deleted, status.highest_modseq), (6, 0, after[0].modseq));
}

#[test]
fn a_body_goes_with_the_last_of_its_messages() {
    use protocol::imap::exchange::{StoreOp, SystemFlag};
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let mail = MessageStore::new(Arc::clone(&store), data_key());
    mail.create_folder("1234567897", "INBOX").unwrap();
    mail.create_folder("1234567897", "Archive").unwrap();
    mail.deliver(&[delivery("one".into()), delivery("two".into())], 1).unwrap();
    let (inbox, archive) = (mail.folder("1234567897", "INBOX").unwrap(), mail.folder("1234567897", "Archive").unwrap());
    assert_eq!(mail.copy(&inbox, &[1, 2, 99], "1234567897", "Archive", 5).unwrap(), (2, vec![(1, 1), (2, 2)]));
    let deleted = Flags::new().with(SystemFlag::Deleted);
    // All folders of a mailbox count together.
    assert_eq!(mail.store_flags("1234567897", &inbox, &[1], StoreOp::Add, &deleted).unwrap()[0].modseq, 4);
    assert_eq!(mail.store_flags("1234567897", &inbox, &[1], StoreOp::Add, &deleted).unwrap()[0].modseq, 4);
    assert_eq!(mail.expunge("1234567897", &inbox, &[1, 2], 9).unwrap(), [1]);
    assert_eq!(mail.load(&inbox, 1), Err(MailError::Gone));
    assert_eq!(mail.load(&archive, 1).unwrap(), b"one");
    assert_eq!(mail.view("1234567897", "INBOX").unwrap().highest_modseq, 5);
    mail.store_flags("1234567897", &archive, &[1], StoreOp::Add, &deleted).unwrap();
    assert_eq!(mail.expunge("1234567897", &archive, &[1], 9).unwrap(), [1]);
    let (from, to) = Key::range("body", &[]);
    // What was deleted is kept for a while, and then goes.
    assert_eq!(store.scan(&from, &to, 10).unwrap().len(), 2);
    assert_eq!(mail.forget_deleted(10, &|_| Ok::<_, MailError>(false), &|| true).unwrap(), 2);
    assert_eq!(store.scan(&from, &to, 10).unwrap().len(), 1);
    assert_eq!(mail.load(&archive, 2).unwrap(), b"two");
}

#[test]
fn what_moves_keeps_its_body_and_leaves_its_place() {
    let mail = MessageStore::new(Arc::new(Memory::new()), data_key());
    mail.create_folder("1234567897", "INBOX").unwrap();
    mail.create_folder("1234567897", "Archive").unwrap();
    mail.deliver(&[delivery("one".into()), delivery("two".into())], 1).unwrap();
    let (inbox, archive) = (mail.folder("1234567897", "INBOX").unwrap(), mail.folder("1234567897", "Archive").unwrap());
    assert_eq!(mail.move_to(&inbox, &[2], "1234567897", "nowhere", 5), Err(MailError::NoFolder));
    assert_eq!(mail.move_to(&inbox, &[2], "1234567897", "Archive", 5).unwrap(), (2, vec![(2, 1)]));
    assert_eq!(mail.load(&inbox, 2), Err(MailError::Gone));
    assert_eq!(mail.load(&archive, 1).unwrap(), b"two");
    let view = mail.view("1234567897", "INBOX").unwrap();
    assert_eq!((view.messages.len(), view.uid_next, view.highest_modseq), (1, 3, 3));
}

#[test]
fn what_the_caller_expects_is_never_tried_again() {
    use store::Expectation;
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let mail = MessageStore::new(Arc::clone(&store), data_key());
    mail.create_folder("1234567897", "INBOX").unwrap();
    let item = |text: &str| Key::new("item", &[text.as_bytes()]);
    let with = |text| Batch::new().expect(Expectation::Absent(item("other"))).expect(Expectation::Absent(item(text))).put(item(text), vec![1]);
    let event = Event::StatementDelivered(event::Statement {
        mailbox: "1234567897".into(),
        bureau: "gjj".into(),
        item: "0a".into(),
        row: "0b".into(),
        digest: "0c".into(),
        size: 3,
    });
    let delivery = Delivery { event: Some(event.clone()), ..delivery("one".into()) };
    let deliveries = std::slice::from_ref(&delivery);
    assert_eq!(mail.deliver_with(deliveries, with("a"), 5).unwrap()[0].uid, 1);
    assert_eq!(mail.deliver_with(deliveries, with("a"), 6), Err(MailError::Conflict { expectation: 1 }));
    assert_eq!(mail.deliver_with(deliveries, with("b"), 7).unwrap()[0].uid, 2);
    let leaves = store.read_stream(event::STREAM, 0, 10).unwrap();
    assert_eq!(leaves.iter().map(|leaf| Event::from_leaf(leaf).unwrap()).collect::<Vec<_>>(), [(event.clone(), 5), (event, 7)]);
}

#[test]
fn a_mailbox_holds_no_more_than_its_quota() {
    use protocol::imap::exchange::{StoreOp, SystemFlag};
    let mail = MessageStore::new(Arc::new(Memory::new()), data_key()).with_quota(|_| Quota { bytes: 10, messages: 3 });
    mail.create_folder("1234567897", "INBOX").unwrap();
    mail.create_folder("1234567897", "Archive").unwrap();
    mail.create_folder("2234567890", "INBOX").unwrap();
    let deliver = |texts: &[&str]| mail.deliver(&texts.iter().map(|text| delivery((*text).into())).collect::<Vec<_>>(), 1);
    let held = || mail.used("1234567897").unwrap();
    assert_eq!(deliver(&["123456", "12345"]), Err(MailError::OverQuota { delivery: 1 }));
    assert_eq!(held(), Quota { bytes: 0, messages: 0 });
    deliver(&["12345"]).unwrap();
    let (inbox, archive) = (mail.folder("1234567897", "INBOX").unwrap(), mail.folder("1234567897", "Archive").unwrap());
    mail.copy(&inbox, &[1], "1234567897", "Archive", 5).unwrap();
    assert_eq!(held(), Quota { bytes: 10, messages: 2 });
    assert_eq!(mail.copy(&inbox, &[1], "1234567897", "Archive", 5), Err(MailError::OverQuota { delivery: 0 }));
    assert_eq!(deliver(&["1"]), Err(MailError::OverQuota { delivery: 0 }));
    deliver(&[""]).unwrap();
    assert_eq!(deliver(&[""]), Err(MailError::OverQuota { delivery: 0 }));
    mail.deliver(&[Delivery { mailbox: "2234567890".into(), ..delivery("its own".into()) }], 1).unwrap();
    mail.move_to(&inbox, &[1], "1234567897", "Archive", 5).unwrap();
    assert_eq!(held(), Quota { bytes: 10, messages: 3 });
    mail.store_flags("1234567897", &archive, &[1], StoreOp::Add, &Flags::new().with(SystemFlag::Deleted)).unwrap();
    mail.expunge("1234567897", &archive, &[1, 2], 9).unwrap();
    assert_eq!(held(), Quota { bytes: 5, messages: 2 });
    mail.delete_folder("1234567897", "Archive", 9).unwrap();
    assert_eq!(held(), Quota { bytes: 0, messages: 1 });
}

#[test]
fn crossing_a_part_of_the_quota_is_remembered_once() {
    use crate::record::warning;
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let mail = MessageStore::new(Arc::clone(&store), data_key()).with_quota(|_| Quota { bytes: 100, messages: 100 }).with_warnings(&[80, 95]);
    mail.create_folder("1234567897", "INBOX").unwrap();
    let crossed = || {
        let found = store.get(&warning::key("1234567897")).unwrap().map(|found| warning::decode(&found).unwrap());
        store.commit(Batch::new().delete(warning::key("1234567897"))).unwrap();
        found
    };
    let deliver = |bytes: usize| mail.deliver(&[delivery("x".repeat(bytes))], 1).map(|_| crossed());
    assert_eq!((deliver(79), deliver(1), deliver(14), deliver(1)), (Ok(None), Ok(Some(80)), Ok(None), Ok(Some(95))));
    let inbox = mail.folder("1234567897", "INBOX").unwrap();
    mail.store_flags("1234567897", &inbox, &[1], protocol::imap::exchange::StoreOp::Add, &Flags::new().with(protocol::imap::exchange::SystemFlag::Deleted)).unwrap();
    mail.expunge("1234567897", &inbox, &[1], 9).unwrap();
    // By a copy, too, and both at once are the higher.
    mail.copy(&inbox, &[2, 3, 4], "1234567897", "INBOX", 5).unwrap();
    assert_eq!((crossed(), deliver(64)), (None, Ok(Some(95))));
}

#[test]
fn a_mailbox_that_one_message_overfills_keeps_no_other_from_its_mail() {
    let mail = MessageStore::new(Arc::new(Memory::new()), data_key()).with_quota(|mailbox| Quota { bytes: if mailbox == "1234567897" { 10 } else { 1_000 }, messages: 100 });
    for mailbox in ["1234567897", "2234567890"] {
        mail.create_folder(mailbox, "INBOX").unwrap();
    }
    let both = || ["1234567897", "2234567890"].map(|mailbox| Delivery { mailbox: mailbox.into(), ..delivery("longer than the quota".into()) });
    // It was asked before: there is some room.
    assert!(mail.has_room("1234567897", 0).unwrap() && !mail.has_room("1234567897", 11).unwrap());
    // Beside what comes first there is less.
    for (before, bytes, fits) in [((0, 0), 10, true), ((1, 4), 6, true), ((1, 4), 7, false), ((99, 0), 1, true), ((100, 0), 1, false)] {
        assert_eq!(mail.has_room_beside("1234567897", before, bytes).unwrap(), fits, "{before:?}");
    }
    mail.deliver_promised(&both(), Batch::new(), 1).unwrap();
    assert_eq!((mail.used("1234567897").unwrap().messages, mail.used("2234567890").unwrap().messages), (1, 1));
    // Full now: the next is refused where its recipient is named, and at worst here.
    assert!(!mail.has_room("1234567897", 0).unwrap());
    assert_eq!(mail.deliver_promised(&both(), Batch::new(), 1), Err(MailError::OverQuota { delivery: 0 }));
}

#[test]
fn a_full_mailbox_takes_notices_until_its_reserve_is_used_up() {
    let mail = MessageStore::new(Arc::new(Memory::new()), data_key()).with_quota(|_| Quota { bytes: 10, messages: 100 }).with_reserve(2_048);
    mail.create_folder("1234567897", "INBOX").unwrap();
    mail.deliver(&[delivery("0123456789".into())], 1).unwrap();
    let notice = || mail.deliver_notices(&[delivery("x".repeat(1_500))], Batch::new(), 1);
    assert!(!mail.has_room("1234567897", 0).unwrap() && mail.has_room_for_notices("1234567897").unwrap());
    notice().unwrap();
    notice().unwrap();
    assert!(!mail.has_room_for_notices("1234567897").unwrap());
    assert_eq!(notice(), Err(MailError::OverQuota { delivery: 0 }));
}

#[test]
fn what_one_change_reads_is_bounded() {
    use protocol::imap::exchange::{Keyword, StoreOp, SystemFlag};
    let mail = MessageStore::new(Arc::new(Memory::new()), data_key());
    mail.create_folder("1234567897", "INBOX").unwrap();
    mail.deliver(&[delivery("short".into())], 1).unwrap();
    let inbox = mail.folder("1234567897", "INBOX").unwrap();
    let mut wordy = Flags::new();
    for n in 0..64 {
        assert!(wordy.add_keyword(Keyword::new(&format!("{n:0>60}")).unwrap()));
    }
    mail.store_flags("1234567897", &inbox, &[1], StoreOp::Add, &wordy).unwrap();
    // Nearly 4 kB of keywords: 32 MiB are reached before ten thousand.
    let seen = Flags::new().with(SystemFlag::Seen);
    assert_eq!(mail.store_flags("1234567897", &inbox, &[1; 10_000], StoreOp::Add, &seen), Err(MailError::TooMuchAtOnce { count: 10_000 }));
    assert!(!mail.open("1234567897", "INBOX").unwrap().0.messages[0].flags.has(SystemFlag::Seen));
    assert_eq!(mail.store_flags("1234567897", &inbox, &[1; 1_000], StoreOp::Add, &seen).map(|stored| stored[0].flags.has(SystemFlag::Seen)), Ok(true));
}

#[test]
fn a_store_whose_folders_counted_for_themselves_counts_on() {
    use protocol::imap::exchange::{StoreOp, SystemFlag};
    let store = Arc::new(Memory::new());
    let mail = MessageStore::new(Arc::clone(&store) as Arc<dyn Store>, data_key());
    mail.create_folder("1234567897", "INBOX").unwrap();
    let inbox = mail.folder("1234567897", "INBOX").unwrap();
    mail.deliver(&[delivery("one".into()), delivery("two".into())], 1).unwrap();
    // As it was: the folder's counter is far, the mailbox has none.
    let mut batch = Batch::new().delete(crate::record::folder::last_step_key(inbox.id));
    for _ in 0..9 {
        batch.next(&inbox.former_steps());
    }
    store.commit(batch).unwrap();
    for _ in 0..2 {
        mail.count_by_mailbox().unwrap();
        assert_eq!(mail.view("1234567897", "INBOX").unwrap().highest_modseq, 10);
    }
    // What was removed before is known only as what is not there.
    mail.store_flags("1234567897", &inbox, &[1], StoreOp::Add, &Flags::new().with(SystemFlag::Deleted)).unwrap();
    mail.expunge("1234567897", &inbox, &[1], 9).unwrap();
    assert_eq!(mail.view("1234567897", "INBOX").unwrap().highest_modseq, 12);
    assert_eq!(mail.vanished(&inbox, 5).unwrap(), [(1, 1)]);
    assert_eq!(mail.vanished(&inbox, 11).unwrap(), [(1, 1)]);
    assert_eq!(mail.vanished(&inbox, 12).unwrap(), []);
}

/// The mailbox's step says nothing of how often a folder lost something: its own removals are counted.
#[test]
fn tombstones_are_thinned_out_whatever_the_mailboxs_step_is() {
    use protocol::imap::exchange::{StoreOp, SystemFlag};

    use crate::record::expunged;
    let store = Arc::new(Memory::new());
    let mail = MessageStore::new(Arc::clone(&store) as Arc<dyn Store>, data_key());
    mail.create_folder("1234567897", "INBOX").unwrap();
    let inbox = mail.folder("1234567897", "INBOX").unwrap();
    mail.deliver(&[delivery("one".into())], 1).unwrap();
    let mut batch = Batch::new();
    for step in 100..10_200 {
        batch = batch.put(expunged::after(inbox.id, step).0, expunged::encode(&[(7, 7)]));
    }
    for _ in 0..1_024 {
        batch.next(&inbox.removals_counter());
    }
    store.commit(batch).unwrap();
    mail.store_flags("1234567897", &inbox, &[1], StoreOp::Add, &Flags::new().with(SystemFlag::Deleted)).unwrap();
    for _ in 0..1_023 {
        let mut batch = Batch::new();
        batch.next(&inbox.removals_counter());
        store.commit(batch).unwrap();
    }
    mail.expunge("1234567897", &inbox, &[1], 9).unwrap();
    let (from, to) = expunged::range(inbox.id);
    assert!(store.scan(&from, &to, usize::MAX).unwrap().len() < 5_200);
}

#[test]
fn a_mark_finds_its_message_wherever_it_went_and_changes_nothing_else() {
    use protocol::imap::exchange::{Keyword, SystemFlag};
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let mail = MessageStore::new(Arc::clone(&store), data_key());
    ["INBOX", "Kept"].iter().for_each(|name| mail.create_folder("1234567897", name).unwrap());
    let seen = Flags::new().with(SystemFlag::Seen);
    mail.deliver(&[Delivery { flags: seen.clone(), ..delivery("wrong".into()) }, delivery("other".into())], 1).unwrap();
    let inbox = mail.folder("1234567897", "INBOX").unwrap();
    mail.copy(&inbox, &[1], "1234567897", "Kept", 2).unwrap();
    let (before, mut watch) = mail.open("1234567897", "Kept").unwrap();
    let superseded = Keyword::new("$Superseded").unwrap();
    let mark = Mark { digest: crate::record::body::digest(b"wrong"), keyword: superseded.clone() };
    mail.deliver(&[Delivery { mark: Some(mark.clone()), ..delivery("right".into()) }], 2).unwrap();
    for name in ["INBOX", "Kept"] {
        let view = mail.view("1234567897", name).unwrap();
        assert!(view.messages[0].flags.has_keyword(&superseded) && view.messages[0].flags.has(SystemFlag::Seen), "{name}");
        assert!(view.messages.iter().skip(1).all(|message| message.flags.is_empty()), "{name}");
        assert_eq!(mail.load(&view.folder, 1).unwrap(), b"wrong");
    }
    // An open session hears of it.
    let after = mail.view("1234567897", "Kept").unwrap();
    assert!(after.highest_modseq > before.highest_modseq);
    let told = watch.try_next().unwrap();
    assert!(matches!(&*told, [protocol::imap::exchange::Change::Flags(info)] if info.uid == 1 && info.modseq == after.messages[0].modseq));
    // What bears it already, or is gone, is left alone.
    let step = after.messages[0].modseq;
    mail.deliver(&[Delivery { mark: Some(mark), ..delivery("again".into()) }], 3).unwrap();
    assert_eq!(mail.view("1234567897", "Kept").unwrap().messages[0].modseq, step);
}

/// A sender whose own mailbox is full hears of the others all the same, in the one commit that delivers to them.
#[test]
fn what_a_full_sender_is_told_goes_into_the_reserve() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let quota = crate::mailbox::Quota { bytes: 100, messages: 10 };
    let mail = MessageStore::new(Arc::clone(&store), data_key()).with_quota(move |_| quota).with_reserve(1_000);
    ["1234567897", "0000000006"].iter().for_each(|mailbox| mail.create_folder(mailbox, "INBOX").unwrap());
    mail.deliver(&[delivery("x".repeat(100))], 1).unwrap();
    let copy = Delivery { mailbox: "0000000006".to_owned(), ..delivery("a letter".into()) };
    let both = [copy, delivery("it arrived".into())];
    assert_eq!(mail.deliver_promised(&both, Batch::new(), 2), Err(MailError::OverQuota { delivery: 1 }));
    assert_eq!(mail.deliver_promised_and_notices(&both, 1, Batch::new(), 2).unwrap().len(), 2);
    // What is promised is not taken from the reserve.
    assert_eq!(mail.deliver_promised_and_notices(&[delivery("more".into())], 1, Batch::new(), 3), Err(MailError::OverQuota { delivery: 0 }));
}

#[test]
fn annotations_that_race_keep_to_their_number() {
    let mail = MessageStore::new(Arc::new(Memory::new()), data_key());
    let set = |entry: String| mail.annotate("1234567897", None, &[(entry, Some(b"x".to_vec()))]);
    let many: Vec<(String, Option<Vec<u8>>)> = (0..497).map(|at| (format!("/private/comment/{at}"), Some(b"x".to_vec()))).collect();
    mail.annotate("1234567897", None, &many).unwrap();
    let set = &set;
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || (0..4).for_each(|at| drop(set(format!("/private/more/{thread}-{at}")))));
        }
    });
    assert_eq!(set("/private/last".to_owned()), Err(MailError::TooManyAnnotations { limit: 500 }));
    assert_eq!(mail.annotations("1234567897", None).unwrap().len(), 500);
}
