//! Every write boundary of every change, with the write lost and with it done but reported lost: opened again, the mailbox
//! is as before or as after, and no body is missing or left behind.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::imap::exchange::{Flags, StoreOp, SystemFlag};
use store::{Batch, Fault, Faulty, Key, Memory, Store};

use super::{Delivery, MailError, MessageStore, Quota, standard_folders};
use crate::record::folder::Folder;
use crate::record::message::{self, Message};

const BOX: &str = "1234567897";

fn opened(store: &Arc<dyn Store>) -> MessageStore {
    MessageStore::new(Arc::clone(store), super::test_keys::data_key())
}

fn delivery(folder: &str, text: &str) -> Delivery {
    Delivery { mailbox: BOX.into(), folder: folder.into(), content: text.as_bytes().to_vec().into(), unix_millis: 1, flags: Flags::new(), event: None, mark: None }
}

/// INBOX with five messages, two of them copied to `a`, one of these marked for removal; `a/b` with one.
fn prepared() -> Arc<dyn Store> {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    store.commit(standard_folders(Batch::new(), BOX)).unwrap();
    let mail = opened(&store);
    mail.create_folder(BOX, "a/b").unwrap();
    mail.deliver(&["1", "2", "3", "4", "5"].map(|text| delivery("INBOX", text)), 1).unwrap();
    mail.deliver(&[delivery("a/b", "6")], 1).unwrap();
    let inbox = mail.folder(BOX, "INBOX").unwrap();
    mail.copy(&inbox, &[1, 2], BOX, "a", 5).unwrap();
    mail.store_flags(BOX, &inbox, &[2, 3], StoreOp::Add, &Flags::new().with(SystemFlag::Deleted)).unwrap();
    store
}

type Contents = BTreeMap<String, Vec<(u32, Vec<u8>, u8)>>;

fn contents(mail: &MessageStore) -> Contents {
    let folder = |name: String| {
        let view = mail.view(BOX, &name).unwrap();
        let message = |info: &protocol::imap::exchange::MessageInfo| (info.uid, mail.load(&view.folder, info.uid).unwrap(), info.flags.bits());
        let messages = view.messages.iter().map(message).collect();
        (name, messages)
    };
    mail.list(BOX).unwrap().into_iter().filter(|info| info.exists()).map(|info| folder(info.name)).collect()
}

/// What the records say of each other must agree.
fn audit(store: &Arc<dyn Store>) {
    let scan = |table| {
        let (from, to) = Key::range(table, &[]);
        store.scan(&from, &to, usize::MAX).unwrap()
    };
    let folders: Vec<Folder> = scan("folder").iter().map(|(_, value)| Folder::decode(value).unwrap()).collect();
    let mut ids: Vec<u64> = folders.iter().map(|folder| folder.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), folders.len(), "two folders have one id");
    let (mut bodies, mut bytes, mut count) = (BTreeMap::<Key, u64>::new(), 0, 0);
    for folder in &folders {
        let (from, to) = message::range(folder.id);
        for (key, value) in store.scan(&from, &to, usize::MAX).unwrap() {
            assert!(u64::from(message::uid(folder.id, &key).unwrap()) <= store.counter(&folder.uid_counter()).unwrap());
            let (message, _) = Message::decode(&value).unwrap();
            *bodies.entry(message.body.key()).or_default() += 1;
            bytes += u64::from(message.size);
            count += 1;
        }
    }
    let kept = scan("deleted message");
    for (_, value) in &kept {
        let deleted = crate::record::deleted::Deleted::decode(value).unwrap();
        *bodies.entry(Message::decode(&deleted.message).unwrap().0.body.key()).or_default() += 1;
    }
    assert_eq!(scan("deleted at").len(), kept.len());
    assert_eq!(scan("message").len(), usize::try_from(count).unwrap(), "messages of no folder");
    assert_eq!(scan("body").into_iter().map(|(key, _)| key).collect::<Vec<_>>(), bodies.keys().cloned().collect::<Vec<_>>());
    let shared: Vec<u64> = scan("shared body").iter().map(|(_, value)| u64::from_be_bytes(value.as_slice().try_into().unwrap())).collect();
    assert_eq!(shared, bodies.values().copied().filter(|count| *count > 1).collect::<Vec<_>>());
    assert!(scan("deleted folder").is_empty());
    assert_eq!(opened(store).used(BOX).unwrap(), Quota { bytes, messages: count });
}

fn through_every_boundary(change: impl Fn(&MessageStore) -> Result<(), MailError>) {
    let store = prepared();
    audit(&store);
    let before = contents(&opened(&store));
    let counted = Arc::new(Faulty::new(Arc::clone(&store)));
    change(&opened(&(Arc::clone(&counted) as Arc<dyn Store>))).unwrap();
    let after = contents(&opened(&store));
    audit(&store);
    assert_ne!(before, after);
    let mut seen = (false, false);
    for at in 0..counted.commits() {
        for fault in [Fault::Lost, Fault::DoneReportedLost] {
            let store = prepared();
            let faulty: Arc<dyn Store> = Arc::new(Faulty::new(Arc::clone(&store)).at(at, fault));
            assert!(change(&opened(&faulty)).is_err(), "commit {at} {fault:?} was not told");
            let mail = opened(&store);
            mail.sweep().unwrap();
            let found = contents(&mail);
            assert!(found == before || found == after, "commit {at} {fault:?} left {found:?}");
            seen = (seen.0 || found == before, seen.1 || found == after);
            audit(&store);
            // The next message goes where it should, whatever happened.
            mail.deliver(&[delivery("INBOX", "next")], 2).unwrap();
            audit(&store);
        }
    }
    assert_eq!(seen, (true, true));
}

#[test]
fn delivering() {
    through_every_boundary(|mail| mail.deliver(&[delivery("INBOX", "x"), delivery("a", "y"), delivery("a", "z")], 2).map(|_| ()));
}

#[test]
fn changing_flags() {
    let flags = Flags::new().with(SystemFlag::Seen);
    through_every_boundary(|mail| mail.store_flags(BOX, &mail.folder(BOX, "INBOX")?, &[1, 4], StoreOp::Add, &flags).map(|_| ()));
}

#[test]
fn copying() {
    through_every_boundary(|mail| mail.copy(&mail.folder(BOX, "INBOX")?, &[1, 3, 4], BOX, "a", 5).map(|_| ()));
}

#[test]
fn copying_beside_itself() {
    through_every_boundary(|mail| mail.copy(&mail.folder(BOX, "a")?, &[1, 2], BOX, "a", 5).map(|_| ()));
}

#[test]
fn moving() {
    through_every_boundary(|mail| mail.move_to(&mail.folder(BOX, "INBOX")?, &[1, 3, 4], BOX, "a", 5).map(|_| ()));
}

#[test]
fn moving_within_a_folder() {
    through_every_boundary(|mail| mail.move_to(&mail.folder(BOX, "INBOX")?, &[1, 3], BOX, "INBOX", 5).map(|_| ()));
}

#[test]
fn expunging() {
    through_every_boundary(|mail| mail.expunge(BOX, &mail.folder(BOX, "INBOX")?, &[1, 2, 3], 9).map(|_| ()));
}

#[test]
fn creating() {
    through_every_boundary(|mail| mail.create_folder(BOX, "x/y/z"));
}

#[test]
fn renaming() {
    through_every_boundary(|mail| mail.rename_folder(BOX, "a", "x/y"));
}

#[test]
fn renaming_inbox() {
    through_every_boundary(|mail| mail.rename_folder(BOX, "INBOX", "old"));
}

#[test]
fn deleting() {
    through_every_boundary(|mail| mail.delete_folder(BOX, "a", 9));
}
