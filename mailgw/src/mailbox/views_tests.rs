#![allow(clippy::unwrap_used)]
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use protocol::imap::exchange::{Flags, StoreOp};
use store::{Batch, CommitError, Fault, Faulty, Key, Layer, Memory, Receipt, Store, StoreError};

use super::*;
use crate::mailbox::test_keys::data_key;
use crate::mailbox::{Delivery, standard_folders};

const BOX: &str = "1234567897";

/// Counts the scans of whole folders.
struct Counting(Memory, AtomicUsize);

impl Layer for Counting {
    fn below(&self) -> &dyn Store {
        &self.0
    }

    fn scan_over(&self, from: &Key, to: &Key, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
        self.1.fetch_add(usize::from(from.as_bytes().starts_with(b"message\0")), Ordering::Relaxed);
        self.0.scan(from, to, limit)
    }

    fn commit_over(&self, batch: Batch) -> Result<Receipt, CommitError> {
        self.0.commit(batch)
    }
}

fn town() -> (Arc<Counting>, MessageStore) {
    let store = Arc::new(Counting(Memory::new(), AtomicUsize::new(0)));
    store.commit(standard_folders(Batch::new(), BOX)).unwrap();
    (Arc::clone(&store), MessageStore::new(store, data_key()))
}

fn delivery(folder: &str, flags: Flags) -> Delivery {
    Delivery { mailbox: BOX.into(), folder: folder.into(), content: b"x".to_vec().into(), unix_millis: 1, flags, event: None, mark: None }
}

/// As the records have it: a store that was opened this moment keeps nothing.
fn truth(store: &Arc<Counting>, name: &str) -> View {
    MessageStore::new(Arc::clone(store) as Arc<dyn Store>, data_key()).view(BOX, name).unwrap()
}

#[test]
fn what_was_read_once_follows_every_commit_and_is_not_read_again() {
    let (store, mail) = town();
    let inbox = mail.folder(BOX, "INBOX").unwrap();
    for name in ["INBOX", "Trash"] {
        mail.open(BOX, name).unwrap();
    }
    let read = store.1.load(Ordering::Relaxed);
    for round in 0..30_u32 {
        mail.deliver(&[0, 1, 2].map(|_| delivery("INBOX", Flags::new())), 1).unwrap();
        let uids: Vec<u32> = (1..round * 3).filter(|uid| uid % 5 == round % 5).collect();
        mail.store_flags(BOX, &inbox, &uids, StoreOp::Replace, &Flags::from_parts((round % 32) as u8, None)).unwrap();
        match round % 3 {
            0 => drop(mail.expunge(BOX, &inbox, &uids, 1).unwrap()),
            1 => drop(mail.move_to(&inbox, uids.get(..3).unwrap_or_default(), BOX, "Trash", 1).unwrap()),
            _ => drop(mail.copy(&inbox, uids.get(..3).unwrap_or_default(), BOX, "Trash", 1).unwrap()),
        }
        for name in ["INBOX", "Trash"] {
            let (before, view) = (store.1.load(Ordering::Relaxed), mail.view(BOX, name).unwrap());
            assert_eq!(store.1.load(Ordering::Relaxed), before, "it was read again");
            assert_eq!(view, truth(&store, name), "round {round}, {name}");
            assert_eq!(mail.open_kept(BOX, name).unwrap().0, view, "round {round}, {name}");
        }
    }
    assert!(read <= 2);
    // A folder of the same name is another.
    mail.delete_folder(BOX, "Trash", 1).unwrap();
    assert!(matches!(mail.view(BOX, "Trash"), Err(MailError::NoFolder)) && mail.open_kept(BOX, "Trash").is_none());
    mail.create_folder(BOX, "Trash").unwrap();
    assert_eq!(mail.view(BOX, "Trash").unwrap(), truth(&store, "Trash"));
}

#[test]
fn what_was_committed_and_not_told_is_not_missed() {
    let (store, mail) = town();
    mail.view(BOX, "INBOX").unwrap();
    // Another hand: this one's broadcast hears nothing of it.
    MessageStore::new(Arc::clone(&store) as Arc<dyn Store>, data_key()).deliver(&[delivery("INBOX", Flags::new())], 1).unwrap();
    assert_eq!(mail.view(BOX, "INBOX").unwrap(), truth(&store, "INBOX"));
    assert_eq!(mail.view(BOX, "INBOX").unwrap().messages.len(), 1);
}

/// Right before the messages of a folder are read, another delivers one and changes one that was there.
struct Meanwhile(Arc<Counting>, AtomicUsize);

impl Layer for Meanwhile {
    fn below(&self) -> &dyn Store {
        &*self.0
    }

    fn scan_over(&self, from: &Key, to: &Key, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
        if from.as_bytes().starts_with(b"message\0") && self.1.fetch_add(1, Ordering::Relaxed) == 0 {
            let other = MessageStore::new(Arc::clone(&self.0) as Arc<dyn Store>, data_key());
            other.deliver(&[delivery("INBOX", Flags::new())], 1).unwrap();
            let inbox = other.folder(BOX, "INBOX").unwrap();
            other.store_flags(BOX, &inbox, &[1], StoreOp::Replace, &Flags::from_parts(8, None)).unwrap();
        }
        self.0.scan(from, to, limit)
    }

    fn commit_over(&self, batch: Batch) -> Result<Receipt, CommitError> {
        self.0.commit(batch)
    }
}

/// A program that asks what changed after the highest MODSEQ is told of each message that it was not told of.
#[test]
fn the_highest_modseq_is_above_no_message_that_is_left_out() {
    let (store, mail) = town();
    mail.deliver(&[delivery("INBOX", Flags::new())], 1).unwrap();
    assert_eq!(truth(&store, "INBOX").highest_modseq, 2, "a message that came bears it, and the folder nothing");
    let view = MessageStore::new(Arc::new(Meanwhile(Arc::clone(&store), AtomicUsize::new(0))), data_key()).view(BOX, "INBOX").unwrap();
    assert_eq!((view.messages.len(), view.highest_modseq), (1, 2), "nor does it go back");
    let now = truth(&store, "INBOX");
    assert_eq!((now.messages.len(), now.highest_modseq, now.messages.iter().map(|message| message.modseq).max()), (2, 4, Some(4)));
    assert!(now.messages.iter().any(|message| message.uid == 2 && message.modseq > view.highest_modseq));
}

/// Before the step of a mailbox is looked at for the second time, another delivers: it is told to nobody who watches.
struct Between(Arc<Counting>, AtomicUsize);

impl Layer for Between {
    fn below(&self) -> &dyn Store {
        &*self.0
    }

    fn counter_over(&self, counter: &str) -> Result<u64, StoreError> {
        if counter == crate::record::folder::steps(BOX) && self.1.fetch_add(1, Ordering::Relaxed) == 1 {
            MessageStore::new(Arc::clone(&self.0) as Arc<dyn Store>, data_key()).deliver(&[delivery("INBOX", Flags::new())], 1).unwrap();
        }
        self.0.counter(counter)
    }

    fn commit_over(&self, batch: Batch) -> Result<Receipt, CommitError> {
        self.0.commit(batch)
    }
}

#[test]
fn the_highest_modseq_is_below_no_message_that_is_there() {
    let (store, mail) = town();
    mail.deliver(&[delivery("INBOX", Flags::new())], 1).unwrap();
    let mail = MessageStore::new(Arc::new(Between(Arc::clone(&store), AtomicUsize::new(0))), data_key());
    for _ in 0..2 {
        let view = mail.view(BOX, "INBOX").unwrap();
        assert_eq!((view.messages.len(), view.highest_modseq), (2, 3));
        assert_eq!(view, truth(&store, "INBOX"));
    }
}

#[test]
fn whoever_committed_sees_it_however_many_commit() {
    let (store, mail) = town();
    let inbox = mail.folder(BOX, "INBOX").unwrap();
    std::thread::scope(|scope| {
        for one in 0..4_u8 {
            let (mail, inbox) = (&mail, &inbox);
            scope.spawn(move || {
                for _ in 0..60 {
                    let uid = mail.deliver(&[delivery("INBOX", Flags::new())], 1).unwrap()[0].uid;
                    assert!(mail.view(BOX, "INBOX").unwrap().messages.find(uid).is_some());
                    assert!(mail.open_kept(BOX, "INBOX").is_none_or(|(view, _)| view.messages.find(uid).is_some()));
                    let flags = Flags::from_parts(8 | one, None);
                    mail.store_flags(BOX, inbox, &[uid], StoreOp::Replace, &flags).unwrap();
                    let view = mail.open(BOX, "INBOX").unwrap().0;
                    assert_eq!(view.messages.find(uid).unwrap().1.flags, flags);
                    mail.expunge(BOX, inbox, &[uid], 1).unwrap();
                    assert!(mail.view(BOX, "INBOX").unwrap().messages.find(uid).is_none());
                    assert!(mail.open_kept(BOX, "INBOX").is_none_or(|(view, _)| view.messages.find(uid).is_none()));
                }
            });
        }
    });
    assert_eq!(mail.view(BOX, "INBOX").unwrap(), truth(&store, "INBOX"));
}

#[test]
fn a_kept_folder_is_opened_by_the_name_it_has_now_and_followed_from_there() {
    let (store, mail) = town();
    assert!(mail.open_kept(BOX, "Archive").is_none(), "nobody opened it yet");
    for name in ["INBOX", "Archive", "Drafts"] {
        drop(mail.open(BOX, name).unwrap());
    }
    // Between the look and the next commit nothing is missed.
    let (view, mut watch) = mail.open_kept(BOX, "INBOX").unwrap();
    mail.deliver(&[delivery("INBOX", Flags::new())], 1).unwrap();
    assert_eq!((view.messages.len(), watch.try_next().map(|changes| changes.len())), (0, Some(1)));
    assert_eq!(mail.open_kept(BOX, "INBOX").unwrap().0, truth(&store, "INBOX"));
    // Another name, and another folder under the name.
    let id = mail.folder(BOX, "Archive").unwrap().id;
    mail.rename_folder(BOX, "Archive", "Old").unwrap();
    mail.rename_folder(BOX, "Drafts", "Archive").unwrap();
    assert!(mail.open_kept(BOX, "Archive").is_none() && mail.open_kept(BOX, "Old").is_none());
    assert_eq!(mail.open(BOX, "Old").unwrap().0.folder.id, id);
    for name in ["Old", "Archive"] {
        mail.open(BOX, name).unwrap();
        assert_eq!(mail.open_kept(BOX, name).unwrap().0, truth(&store, name));
    }
    mail.rename_folder(BOX, "INBOX", "Before").unwrap();
    assert!(mail.open_kept(BOX, "INBOX").is_none());
    assert_eq!(mail.open(BOX, "INBOX").unwrap().0, truth(&store, "INBOX"));
    assert_eq!(mail.open_kept(BOX, "INBOX").unwrap().0.messages.len(), 0);
}

/// A name that was read before it became another's is not kept.
#[test]
fn a_name_read_at_the_moment_of_a_renaming_is_not_kept() {
    let (_, mail) = town();
    let (view, _watch) = mail.open(BOX, "Trash").unwrap();
    let renamings = mail.broadcast.renamings();
    mail.rename_folder(BOX, "Trash", "Old").unwrap();
    mail.broadcast.named(BOX, "Trash", view.folder, renamings);
    assert!(mail.open_kept(BOX, "Trash").is_none());
    // Nor is that of a folder that is deleted, of a mailbox that nobody is at any more.
    let (view, watch) = mail.open(BOX, "Old").unwrap();
    drop(watch);
    let renamings = mail.broadcast.renamings();
    mail.delete_folder(BOX, "Old", 1).unwrap();
    mail.kept(BOX, &view.folder).unwrap();
    mail.broadcast.named(BOX, "Old", view.folder, renamings);
    assert!(mail.open_kept(BOX, "Old").is_none());
}

#[test]
fn nothing_is_kept_after_a_commit_of_which_it_is_not_known_whether_it_was_done() {
    for fault in [Fault::Lost, Fault::DoneReportedLost] {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        store.commit(standard_folders(Batch::new(), BOX)).unwrap();
        // The first commit reserves ids of bodies, the second delivers.
        let mail = MessageStore::new(Arc::new(Faulty::new(Arc::clone(&store)).at(2, fault)), data_key());
        mail.deliver(&[delivery("INBOX", Flags::new())], 1).unwrap();
        drop(mail.open(BOX, "INBOX").unwrap());
        assert!(mail.open_kept(BOX, "INBOX").is_some());
        assert!(mail.deliver(&[delivery("INBOX", Flags::new())], 1).is_err());
        assert!(mail.open_kept(BOX, "INBOX").is_none(), "{fault:?}");
        let truth = MessageStore::new(Arc::clone(&store), data_key()).view(BOX, "INBOX").unwrap();
        assert_eq!(mail.open(BOX, "INBOX").unwrap().0, truth, "{fault:?}");
        assert_eq!(truth.messages.len(), if fault == Fault::Lost { 1 } else { 2 });
    }
}

#[test]
fn views_are_bounded_and_those_used_last_stay() {
    let (store, mail) = town();
    for name in ["INBOX", "Drafts", "Sent", "Trash"] {
        mail.deliver(&(0..100).map(|_| delivery(name, Flags::new())).collect::<Vec<_>>(), 1).unwrap();
        mail.view(BOX, name).unwrap();
    }
    mail.view(BOX, "INBOX").unwrap();
    mail.broadcast.bound(4 * (100 + BESIDE) - 1);
    let read_again = |name: &str| {
        let before = store.1.load(Ordering::Relaxed);
        mail.view(BOX, name).unwrap();
        store.1.load(Ordering::Relaxed) > before
    };
    assert_eq!(["INBOX", "Trash", "Sent", "Drafts"].map(read_again), [false, false, true, true]);
}
