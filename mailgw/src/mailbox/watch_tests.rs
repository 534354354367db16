//! Whoever opens a folder at whatever moment, between whatever commits, ends with what is there.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::imap::exchange::{Change, Flags, MessageInfo, StoreOp, SystemFlag};
use store::{Batch, Memory, Store, open_fjall};

use super::{Delivery, MessageStore, View, Watch, standard_folders};

const BOX: &str = "1234567897";
const ROUNDS: u32 = 40;

fn delivery(flags: Flags) -> Delivery {
    Delivery { mailbox: BOX.into(), folder: "INBOX".into(), content: b"x".to_vec().into(), unix_millis: 1, flags, event: None, mark: None }
}

/// Some 250 commits: deliveries of one and of three, flags, removals, moves out and copies in.
fn write(mail: &MessageStore, writer: u32) {
    let inbox = mail.folder(BOX, "INBOX").unwrap();
    for round in 0..ROUNDS {
        let uids = mail.deliver(&[delivery(Flags::new())], 1).unwrap();
        mail.deliver(&[0, 1, 2].map(|_| delivery(Flags::new().with(SystemFlag::Draft))), 1).unwrap();
        let others: Vec<u32> = (1..uids[0].uid).filter(|uid| (uid + round + writer).is_multiple_of(7)).collect();
        let op = if round.is_multiple_of(2) { StoreOp::Add } else { StoreOp::Remove };
        mail.store_flags(BOX, &inbox, &others, op, &Flags::new().with(SystemFlag::Flagged)).unwrap();
        mail.store_flags(BOX, &inbox, &[uids[0].uid], StoreOp::Add, &Flags::new().with(SystemFlag::Deleted)).unwrap();
        match round % 3 {
            0 => drop(mail.expunge(BOX, &inbox, &[uids[0].uid], 9).unwrap()),
            1 => drop(mail.move_to(&inbox, &[uids[0].uid], BOX, "Trash", 5).unwrap()),
            _ => drop(mail.copy(&inbox, &[uids[0].uid], BOX, "INBOX", 5).unwrap()),
        }
    }
}

/// The view with all that was told since, in order.
fn caught_up(view: View, watch: &mut Watch) -> BTreeMap<u32, MessageInfo> {
    let mut highest = view.uid_next - 1;
    let mut messages: BTreeMap<u32, MessageInfo> = view.messages.into_iter().map(|info| (info.uid, info)).collect();
    let mut last = 0;
    while let Some(changes) = watch.try_next() {
        for change in changes.iter() {
            match change {
                Change::New(info) => {
                    assert!(info.modseq >= last, "told out of order");
                    last = info.modseq;
                    if info.uid > highest {
                        highest = info.uid;
                        messages.insert(info.uid, info.clone());
                    }
                }
                Change::Flags(info) => {
                    assert!(info.modseq >= last, "told out of order");
                    last = info.modseq;
                    if let Some(known) = messages.get_mut(&info.uid).filter(|known| known.modseq <= info.modseq) {
                        *known = info.clone();
                    }
                }
                Change::Gone { uid, .. } => drop(messages.remove(uid)),
            }
        }
    }
    messages
}

fn no_gap_between_view_and_watch(store: Arc<dyn Store>) {
    store.commit(standard_folders(Batch::new(), BOX)).unwrap();
    let mail = MessageStore::new(store, super::test_keys::data_key());
    let writing = AtomicBool::new(true);
    let opened = std::thread::scope(|scope| {
        let opener = scope.spawn(|| {
            let mut opened = Vec::new();
            while writing.load(Ordering::Relaxed) {
                opened.push(mail.open(BOX, "INBOX").unwrap());
                // Most watch for a while only: topics come and go, too.
                if opened.len() > 20 {
                    opened.drain(..19);
                }
                if opened.len() % 7 == 3 {
                    opened.clear();
                }
            }
            opened
        });
        let writers: Vec<_> = (0..3).map(|writer| scope.spawn({
            let mail = &mail;
            move || write(mail, writer)
        })).collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        writing.store(false, Ordering::Relaxed);
        opener.join().unwrap()
    });
    let truth: BTreeMap<u32, MessageInfo> = mail.view(BOX, "INBOX").unwrap().messages.into_iter().map(|info| (info.uid, info)).collect();
    for (view, mut watch) in opened {
        assert!(caught_up(view, &mut watch) == truth);
    }
    // One that watched from the first commit to the last.
    let (view, mut watch) = mail.open(BOX, "INBOX").unwrap();
    write(&mail, 9);
    let truth: BTreeMap<u32, MessageInfo> = mail.view(BOX, "INBOX").unwrap().messages.into_iter().map(|info| (info.uid, info)).collect();
    assert!(caught_up(view, &mut watch) == truth);
}

#[test]
fn no_gap_on_memory() {
    no_gap_between_view_and_watch(Arc::new(Memory::new()));
}

#[test]
fn no_gap_on_fjall() {
    let directory = tempfile::tempdir().unwrap();
    no_gap_between_view_and_watch(Arc::new(open_fjall(directory.path()).unwrap()));
}
