#![allow(clippy::unwrap_used)]
use std::sync::Arc;

use protocol::imap::exchange::{Flags, StoreOp, SystemFlag};
use store::{Memory, Store};

use super::*;
use crate::mailbox::test_keys::data_key;
use crate::mailbox::{Choice, Delivery, standard_folders};

const BOX: &str = "1234567897";

fn town() -> (Arc<Memory>, MessageStore) {
    let store = Arc::new(Memory::new());
    store.commit(standard_folders(Batch::new(), BOX)).unwrap();
    (Arc::clone(&store), MessageStore::new(store, data_key()))
}

fn deliver(mail: &MessageStore, folder: &str, numbers: std::ops::Range<usize>) {
    let delivery = |number: usize| {
        let content = format!("Subject: =?utf-8?B?5YWs56ev6YeR?= {number}\r\nFrom: <a{number}@b.cn>\r\n\r\nbody {number}\r\n").into_bytes().into();
        Delivery { mailbox: BOX.into(), folder: folder.into(), content, unix_millis: 1, flags: Flags::new(), event: None, mark: None }
    };
    for some in numbers.collect::<Vec<_>>().chunks(500) {
        mail.deliver(&some.iter().map(|number| delivery(*number)).collect::<Vec<_>>(), 1).unwrap();
    }
}

/// How many of how many messages of a folder are kept; each as a listing that reads it would tell it.
fn kept(mail: &MessageStore, name: &str) -> (usize, usize) {
    let view = mail.view(BOX, name).unwrap();
    let contents: Vec<u64> = view.messages.iter().map(|info| info.content).collect();
    let outlines = mail.outlines(BOX, &contents, true, true).unwrap();
    let (listed, headers) = (mail.outlines(BOX, &contents, true, false).unwrap(), mail.outlines(BOX, &contents, false, true).unwrap());
    for info in &view.messages {
        if let Some(told) = outlines.get(info.content) {
            let read = content::outline(&mail.load(&view.folder, info.uid).unwrap());
            assert_eq!(told, read.texts());
            assert_eq!(listed.get(info.content), Some(Texts { header: &[], ..read.texts() }));
            assert_eq!(headers.get(info.content), Some(Texts { header: &read.header, ..Texts::default() }));
        }
    }
    (outlines.len(), contents.len())
}

/// Every content that a block knows.
fn known(store: &Memory) -> Vec<u64> {
    let (from, to) = outline::range(BOX);
    let found = store.scan(&from, &to, usize::MAX).unwrap();
    let contents = |found: &[(Key, Vec<u8>)]| -> Vec<u64> {
        found.iter().flat_map(|(key, stored)| outline::open(key, stored, &data_key()).unwrap().unwrap().all().map(|one| one.0).collect::<Vec<_>>()).collect()
    };
    // And so do the blocks of headers.
    let (from, to) = outline::headers_range(BOX);
    assert_eq!(contents(&store.scan(&from, &to, usize::MAX).unwrap()), contents(&found));
    contents(&found)
}

#[test]
fn blocks_are_made_as_mail_comes_and_filled_before_others_begin() {
    let (store, mail) = town();
    deliver(&mail, "INBOX", 0..LEAST - 1);
    assert_eq!((mail.outline_due(&|| true).unwrap(), kept(&mail, "INBOX")), (0, (0, LEAST - 1)));
    deliver(&mail, "INBOX", LEAST - 1..700);
    assert_eq!((mail.outline_due(&|| true).unwrap(), kept(&mail, "INBOX")), (1, (700, 700)));
    assert_eq!(mail.outline_due(&|| true).unwrap(), 0);
    for round in 0..12 {
        deliver(&mail, "INBOX", 700 + round * 70..770 + round * 70);
        mail.outline_due(&|| true).unwrap();
    }
    assert_eq!(kept(&mail, "INBOX"), (1540, 1540));
    let blocks = mail.blocks(BOX).unwrap().0;
    assert!(blocks.len() == 7 && blocks.iter().rev().skip(1).all(|block| block.messages == BLOCK), "{blocks:?}");
    // Few of one block are read.
    let first = mail.view(BOX, "INBOX").unwrap().messages[0].content;
    assert!(mail.outlines(BOX, &[first], true, true).unwrap().is_empty());
    // Nothing stands there in the clear.
    for (from, to) in [outline::range(BOX), outline::headers_range(BOX)] {
        let found = store.scan(&from, &to, usize::MAX).unwrap();
        assert!(found.len() == 7 && found.iter().all(|(_, stored)| !stored.windows(7).any(|part| part == b"5YWs56e")));
    }
}

#[test]
fn copies_are_known_what_is_deleted_is_forgotten_and_what_comes_back_is_kept_again() {
    let (store, mail) = town();
    deliver(&mail, "INBOX", 0..600);
    mail.outline_due(&|| true).unwrap();
    let inbox = mail.folder(BOX, "INBOX").unwrap();
    let every = |step: usize| (1..=600).step_by(step).collect::<Vec<u32>>();
    mail.move_to(&inbox, &every(7), BOX, "Archive", 1).unwrap();
    assert_eq!((kept(&mail, "Archive"), kept(&mail, "INBOX")), ((86, 86), (514, 514)));
    mail.store_flags(BOX, &inbox, &every(2), StoreOp::Replace, &Flags::new().with(SystemFlag::Deleted)).unwrap();
    let gone = mail.expunge(BOX, &inbox, &every(2), 1).unwrap();
    assert_eq!((gone.len(), known(&store).len()), (257, 600));
    mail.forget_removed(&|| true).unwrap();
    assert_eq!(known(&store).len(), 343);
    let left = kept(&mail, "INBOX");
    assert_eq!(left, (257, 257));
    // Those of the blocks in between come back.
    assert_eq!(mail.restore(BOX, &Choice::default(), "asked for", 2).unwrap(), 257);
    mail.outline(BOX, false, &|| true).unwrap();
    assert_eq!(kept(&mail, "INBOX"), (514, 514));
    // All that is there goes.
    let all: Vec<u32> = mail.view(BOX, "INBOX").unwrap().messages.iter().map(|info| info.uid).collect();
    mail.store_flags(BOX, &inbox, &all, StoreOp::Replace, &Flags::new().with(SystemFlag::Deleted)).unwrap();
    mail.expunge(BOX, &inbox, &all, 1).unwrap();
    mail.forget_removed(&|| true).unwrap();
    assert_eq!(known(&store).len(), 86);
}

#[test]
fn late_ones_come_to_their_place_and_a_full_block_becomes_two() {
    let (_, mail) = town();
    let late: Vec<Arc<crate::mailbox::Body>> = (0..400).map(|number| Arc::new(mail.body(format!("Subject: late {number}\r\n\r\n").as_bytes()).unwrap())).collect();
    deliver(&mail, "INBOX", 0..BLOCK);
    mail.outline_due(&|| true).unwrap();
    let before = mail.blocks(BOX).unwrap().0;
    for some in late.chunks(80) {
        let delivery = |body: &Arc<crate::mailbox::Body>| Delivery { mailbox: BOX.into(), folder: "INBOX".into(), content: Arc::clone(body).into(), unix_millis: 1, flags: Flags::new(), event: None, mark: None };
        mail.deliver(&some.iter().map(delivery).collect::<Vec<_>>(), 1).unwrap();
        mail.outline_due(&|| true).unwrap();
        let (known, all) = kept(&mail, "INBOX");
        assert_eq!(known, all);
    }
    let blocks = mail.blocks(BOX).unwrap().0;
    assert_eq!((before.len(), blocks.iter().map(|block| block.messages).sum::<usize>()), (1, BLOCK + 400));
    assert!(blocks.len() == 3 && blocks.iter().all(|block| block.messages <= 2 * BLOCK), "{blocks:?}");
    mail.outline_anew(BOX).unwrap();
    assert_eq!(kept(&mail, "INBOX"), (BLOCK + 400, BLOCK + 400));
}

#[test]
fn what_cannot_be_read_or_is_too_long_is_left_to_be_read() {
    let (store, mail) = town();
    let long = format!("Subject: {}\r\n\r\n", "x".repeat(2 * MOST));
    mail.deliver(&[Delivery { mailbox: BOX.into(), folder: "INBOX".into(), content: long.into_bytes().into(), unix_millis: 1, flags: Flags::new(), event: None, mark: None }], 1).unwrap();
    deliver(&mail, "INBOX", 0..99);
    let damaged = mail.view(BOX, "INBOX").unwrap().messages[50].content;
    store.commit(Batch::new().put(crate::record::body::BodyId(damaged).key(), b"\x01nonsense".as_slice())).unwrap();
    // Some time after it came.
    (0..2).for_each(|_| mail.fresh().turn());
    mail.outline_due(&|| true).unwrap();
    let contents: Vec<u64> = mail.view(BOX, "INBOX").unwrap().messages.iter().map(|info| info.content).collect();
    let outlines = mail.outlines(BOX, &contents, true, false).unwrap();
    assert!(outlines.len() == 98 && outlines.get(damaged).is_none() && outlines.get(contents[0]).is_none());
    // They are in the list of what was looked at, so that they are not looked at again and again.
    assert_eq!(mail.blocks(BOX).unwrap().0[0].messages, 100);
}

#[test]
fn a_damaged_block_or_list_is_made_anew_and_keeps_nothing_from_being_forgotten() {
    let (store, mail) = town();
    deliver(&mail, "INBOX", 0..600);
    mail.outline_due(&|| true).unwrap();
    let blocks = mail.blocks(BOX).unwrap().0;
    let damage = |key: Key| drop(store.commit(Batch::new().put(key, [1, content::WORDING, 0xff].as_slice())).unwrap());
    damage(outline::key(BOX, blocks[0].highest));
    // What it told is read.
    assert_eq!(kept(&mail, "INBOX"), (600 - blocks[0].messages, 600));
    mail.outline(BOX, true, &|| true).unwrap();
    assert_eq!((kept(&mail, "INBOX"), known(&store).len()), ((600, 600), 600));
    // One of which nothing is left goes, too.
    let inbox = mail.folder(BOX, "INBOX").unwrap();
    let gone: Vec<u32> = mail.view(BOX, "INBOX").unwrap().messages.iter().filter(|info| info.content <= blocks[0].highest).map(|info| info.uid).collect();
    damage(outline::key(BOX, blocks[0].highest));
    mail.store_flags(BOX, &inbox, &gone, StoreOp::Replace, &Flags::new().with(SystemFlag::Deleted)).unwrap();
    mail.expunge(BOX, &inbox, &gone, 1).unwrap();
    mail.forget_removed(&|| true).unwrap();
    let left = 600 - gone.len();
    assert_eq!((kept(&mail, "INBOX"), known(&store).len(), mail.blocks(BOX).unwrap().0.len()), ((left, left), left, blocks.len() - 1));
    damage(outline::list_key(BOX));
    mail.outline(BOX, true, &|| true).unwrap();
    assert_eq!((kept(&mail, "INBOX"), known(&store).len()), ((left, left), left));
    // Of damaged headers the listing is told all the same, and both are made anew.
    let block = mail.blocks(BOX).unwrap().0[0];
    damage(outline::headers_key(BOX, block.highest));
    let contents: Vec<u64> = mail.view(BOX, "INBOX").unwrap().messages.iter().map(|info| info.content).collect();
    let told = |listing, header| mail.outlines(BOX, &contents, listing, header).unwrap().len();
    assert_eq!((told(true, false), told(false, true), told(true, true)), (left, left - block.messages, left - block.messages));
    mail.outline(BOX, true, &|| true).unwrap();
    assert_eq!((kept(&mail, "INBOX"), known(&store).len()), ((left, left), left));
}

#[test]
fn what_is_made_of_a_large_mailbox_stops_at_a_block_and_is_gone_on_with() {
    let (store, mail) = town();
    deliver(&mail, "INBOX", 0..5 * BLOCK);
    let asked = std::cell::Cell::new(0);
    let some = || asked.replace(asked.get() + 1) < 3;
    assert_eq!((mail.outline_due(&some).unwrap(), known(&store).len()), (0, 2 * BLOCK));
    // What no block knows is read, and the listing calls for the rest.
    assert_eq!(kept(&mail, "INBOX"), (2 * BLOCK, 5 * BLOCK));
    assert_eq!((mail.outline_due(&|| true).unwrap(), kept(&mail, "INBOX")), (1, (5 * BLOCK, 5 * BLOCK)));
    // What is forgotten by halves only is looked at again.
    let inbox = mail.folder(BOX, "INBOX").unwrap();
    let gone: Vec<u32> = mail.view(BOX, "INBOX").unwrap().messages.iter().map(|info| info.uid).filter(|uid| uid % 2 == 0).collect();
    mail.store_flags(BOX, &inbox, &gone, StoreOp::Replace, &Flags::new().with(SystemFlag::Deleted)).unwrap();
    mail.expunge(BOX, &inbox, &gone, 1).unwrap();
    asked.set(0);
    let some = || asked.replace(asked.get() + 1) < 4;
    assert_eq!(mail.forget_removed(&some).unwrap(), 0);
    assert!((5 * BLOCK / 2 + 1..5 * BLOCK).contains(&known(&store).len()));
    assert_eq!((mail.forget_removed(&|| true).unwrap(), known(&store).len()), (1, 5 * BLOCK / 2));
}

#[test]
fn what_is_told_at_once_is_bounded_and_the_rest_is_read() {
    let (_, mail) = town();
    let long = |number: usize| Delivery { mailbox: BOX.into(), folder: "INBOX".into(), content: format!("Subject: {number}\r\nX-Long: {}\r\n\r\n", "x".repeat(MOST - 100)).into_bytes().into(), unix_millis: 1, flags: Flags::new(), event: None, mark: None };
    mail.deliver(&(0..BLOCK).map(long).collect::<Vec<_>>(), 1).unwrap();
    mail.outline_due(&|| true).unwrap();
    let (told, all) = kept(&mail, "INBOX");
    assert!(all == BLOCK && (50..=AT_ONCE / (MOST - 100)).contains(&told), "{told} of {all}");
    // Where there is no header in it, there is room for all.
    let contents: Vec<u64> = mail.view(BOX, "INBOX").unwrap().messages.iter().map(|info| info.content).collect();
    assert_eq!(mail.outlines(BOX, &contents, true, false).unwrap().len(), BLOCK);
}
