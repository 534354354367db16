#![allow(clippy::unwrap_used)]
use std::sync::Arc;

use protocol::imap::exchange::Flags;
use store::{Key, Memory, Store};

use super::*;
use crate::mailbox::Delivery;

const BOX: &str = "1234567897";

fn open_mailbox() -> (Arc<dyn Store>, MessageStore) {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    store.commit(standard_folders(Batch::new(), BOX)).unwrap();
    let mail = MessageStore::new(Arc::clone(&store), crate::mailbox::test_keys::data_key());
    (store, mail)
}

fn deliver(mail: &MessageStore, folder: &str, texts: &[&str]) {
    let delivery = |text: &&str| Delivery {
        mailbox: BOX.into(),
        folder: folder.into(),
        content: text.as_bytes().to_vec().into(),
        unix_millis: 1,
        flags: Flags::new(),
        event: None,
        mark: None,
    };
    mail.deliver(&texts.iter().map(delivery).collect::<Vec<_>>(), 1).unwrap();
}

/// Names, each with `-` when it is no folder, `s` when subscribed, `+` when it has children.
fn names(mail: &MessageStore) -> Vec<String> {
    let text = |info: &MailboxInfo| {
        let mark = |holds: bool, mark: &'static str| if holds { mark } else { "" };
        format!("{}{}{}{}", info.name, mark(!info.exists(), "-"), mark(info.subscribed, "s"), mark(info.has_children, "+"))
    };
    mail.list(BOX).unwrap().iter().map(text).collect()
}

#[test]
fn a_mailbox_begins_with_the_standard_folders() {
    let (_, mail) = open_mailbox();
    assert_eq!(names(&mail), ["INBOXs", "Archives", "Draftss", "Junks", "Sents", "Trashs"]);
    let uses: Vec<_> = mail.list(BOX).unwrap().iter().map(|info| info.uses).collect();
    assert_eq!(uses, STANDARD.map(|(_, special_use)| special_use.into_iter().collect::<SpecialUses>()));
    let validities: Vec<u32> = STANDARD.iter().map(|(name, _)| mail.folder(BOX, name).unwrap().uid_validity).collect();
    assert_eq!(validities, [1, 2, 3, 4, 5, 6]);
    assert!(mail.list("2234567890").unwrap().is_empty());
}

#[test]
fn creating_makes_the_levels_above() {
    let (_, mail) = open_mailbox();
    mail.create_folder(BOX, "单位/2026/十月").unwrap();
    assert_eq!(names(&mail)[6..], ["单位+", "单位/2026+", "单位/2026/十月"]);
    assert_eq!(mail.create_folder(BOX, "单位/2026"), Err(MailError::FolderExists));
    assert_eq!(mail.create_folder(BOX, &"穗".repeat(256)), Err(MailError::NameTooLong));
    assert_eq!(names(&mail).len(), 9);
}

#[test]
fn deleting_takes_messages_and_bodies_but_not_what_is_below() {
    let (store, mail) = open_mailbox();
    mail.create_folder(BOX, "a/b").unwrap();
    mail.subscribe(BOX, "a").unwrap();
    let many: Vec<String> = (0..450).map(|n| n.to_string()).collect();
    deliver(&mail, "a", &many.iter().map(String::as_str).collect::<Vec<_>>());
    let old = mail.folder(BOX, "a").unwrap();
    mail.copy(&old, &[3], BOX, "Archive", 5).unwrap();
    let (_, mut watch) = mail.open(BOX, "a").unwrap();
    mail.delete_folder(BOX, "a", 9).unwrap();
    assert!(tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(watch.next()).is_none());
    let count = |table| {
        let (from, to) = Key::range(table, &[]);
        store.scan(&from, &to, usize::MAX).unwrap().len()
    };
    assert_eq!((count("body"), count("message"), count("deleted message"), count("shared body"), count("deleted folder")), (450, 1, 450, 1, 0));
    mail.forget_deleted(10, &|_| Ok::<_, MailError>(false), &|| true).unwrap();
    assert_eq!((count("body"), count("message"), count("deleted message"), count("shared body")), (1, 1, 0, 0));
    assert_eq!(mail.load(&mail.folder(BOX, "Archive").unwrap(), 1).unwrap(), b"2");
    assert_eq!(names(&mail)[6..], ["a-s+", "a/b"]);
    assert_eq!(mail.delete_folder(BOX, "a", 9), Err(MailError::NoFolder));
    assert_eq!(mail.delete_folder(BOX, "INBOX", 9), Err(MailError::Inbox));
    mail.create_folder(BOX, "a").unwrap();
    let new = mail.folder(BOX, "a").unwrap();
    assert!(new.uid_validity > old.uid_validity && new.id != old.id);
    assert!(mail.view(BOX, "a").unwrap().messages.is_empty());
    mail.delete_folder(BOX, "a/b", 9).unwrap();
    mail.delete_folder(BOX, "a", 9).unwrap();
    assert_eq!(names(&mail)[6..], ["a-s"]);
    mail.unsubscribe(BOX, "a").unwrap();
    assert_eq!(names(&mail).len(), 6);
}

#[test]
fn renaming_takes_along_what_is_below() {
    let (_, mail) = open_mailbox();
    mail.create_folder(BOX, "a/b/c").unwrap();
    mail.create_folder(BOX, "ab").unwrap();
    deliver(&mail, "a/b", &["kept"]);
    let before = mail.folder(BOX, "a/b").unwrap();
    assert_eq!(mail.rename_folder(BOX, "a", "a/x"), Err(MailError::IntoItself));
    assert_eq!(mail.rename_folder(BOX, "a", "ab"), Err(MailError::FolderExists));
    assert_eq!(mail.rename_folder(BOX, "none", "z"), Err(MailError::NoFolder));
    assert_eq!(mail.rename_folder(BOX, "a", &"x".repeat(252)), Err(MailError::NameTooLong));
    mail.rename_folder(BOX, "a", "new/place").unwrap();
    assert_eq!(names(&mail)[6..], ["ab", "new+", "new/place+", "new/place/b+", "new/place/b/c"]);
    assert_eq!(mail.folder(BOX, "new/place/b").unwrap(), before);
    assert_eq!(mail.load(&before, 1).unwrap(), b"kept");
    mail.create_folder(BOX, "x/b").unwrap();
    mail.delete_folder(BOX, "x", 9).unwrap();
    assert_eq!(mail.rename_folder(BOX, "new/place", "x"), Err(MailError::FolderExists));
}

#[test]
fn renaming_inbox_leaves_an_empty_one() {
    let (_, mail) = open_mailbox();
    mail.create_folder(BOX, "INBOX/below").unwrap();
    deliver(&mail, "INBOX", &["one", "two"]);
    let old = mail.folder(BOX, "INBOX").unwrap();
    mail.rename_folder(BOX, "INBOX", "old").unwrap();
    let (inbox, moved) = (mail.view(BOX, "INBOX").unwrap(), mail.view(BOX, "old").unwrap());
    assert_eq!((inbox.messages.len(), inbox.uid_next, moved.messages.len()), (0, 1, 2));
    assert!(inbox.folder.uid_validity > old.uid_validity);
    assert_eq!(names(&mail), ["INBOXs+", "Archives", "Draftss", "INBOX/below", "Junks", "Sents", "Trashs", "old"]);
    deliver(&mail, "INBOX", &["three"]);
    assert_eq!(mail.view(BOX, "old").unwrap().messages.len(), 2);
    assert_eq!(mail.rename_folder(BOX, "old", "INBOX"), Err(MailError::FolderExists));
}

#[test]
fn folders_are_bounded() {
    let (_, mail) = open_mailbox();
    for at in 6..MAX_FOLDERS {
        mail.create_folder(BOX, &format!("f{at}")).unwrap();
    }
    let full = Err(MailError::TooManyFolders { limit: MAX_FOLDERS });
    assert_eq!(mail.create_folder(BOX, "more"), full);
    mail.delete_folder(BOX, "f10", 9).unwrap();
    assert_eq!(mail.create_folder(BOX, "more/below"), full);
    mail.create_folder(BOX, "more").unwrap();
}

#[test]
fn status_counts() {
    let (_, mail) = open_mailbox();
    deliver(&mail, "INBOX", &["one", "two"]);
    let status = mail.status(BOX, "INBOX").unwrap();
    assert_eq!((status.messages, status.unseen, status.uid_next, status.uid_validity, status.highest_modseq), (2, 2, 3, 1, 2));
    assert_eq!(mail.status(BOX, "none"), Err(MailError::NoFolder));
}

/// Whoever looks for the folder of a use finds the one that has it, whatever it is called.
#[test]
fn a_use_goes_from_a_folder_that_is_deleted_to_one_made_for_it() {
    let (store, mail) = open_mailbox();
    let of = |all: &[SpecialUse]| all.iter().copied().collect::<SpecialUses>();
    assert_eq!(mail.create_folder_for(BOX, "垃圾邮件", of(&[SpecialUse::Junk])), Err(MailError::UseTaken));
    mail.delete_folder(BOX, "Junk", 9).unwrap();
    assert_eq!(mail.folder_of_use(BOX, SpecialUse::Junk), Ok(None));
    // All or none of them.
    assert_eq!(mail.create_folder_for(BOX, "垃圾邮件", of(&[SpecialUse::Junk, SpecialUse::Sent])), Err(MailError::UseTaken));
    let id = mail.create_folder_for(BOX, "垃圾邮件", of(&[SpecialUse::Junk])).unwrap();
    assert_eq!(mail.folder(BOX, "垃圾邮件").unwrap().id, id);
    assert_eq!(mail.folder_of_use(BOX, SpecialUse::Junk), Ok(Some("垃圾邮件".to_owned())));
    // It stays with the folder when that has another name, and after all is read anew.
    mail.rename_folder(BOX, "垃圾邮件", "spam").unwrap();
    ["Trash", "Drafts"].iter().for_each(|name| mail.delete_folder(BOX, name, 9).unwrap());
    mail.create_folder_for(BOX, "both/below", of(&[SpecialUse::Trash, SpecialUse::Drafts])).unwrap();
    let mail = MessageStore::new(store, crate::mailbox::test_keys::data_key());
    assert_eq!(mail.folder_of_use(BOX, SpecialUse::Junk), Ok(Some("spam".to_owned())));
    assert_eq!(mail.folder(BOX, "both/below").unwrap().uses, of(&[SpecialUse::Drafts, SpecialUse::Trash]));
    assert!(mail.folder(BOX, "both").unwrap().uses.is_empty());
    assert_eq!(mail.create_folder_for(BOX, "more", of(&[SpecialUse::Drafts])), Err(MailError::UseTaken));
}

#[test]
fn of_many_who_want_a_use_at_once_one_gets_it() {
    let (_, mail) = open_mailbox();
    let mail = Arc::new(mail);
    mail.delete_folder(BOX, "Sent", 9).unwrap();
    let made: Vec<_> = (0..8).map(|number| std::thread::spawn({
        let mail = Arc::clone(&mail);
        move || mail.create_folder_for(BOX, &format!("sent {number}"), SpecialUses::NONE.with(SpecialUse::Sent))
    })).collect();
    let made: Vec<_> = made.into_iter().map(|made| made.join().unwrap()).collect();
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1, "{made:?}");
    assert!(made.iter().all(|made| matches!(made, Ok(_) | Err(MailError::UseTaken | MailError::Busy))), "{made:?}");
    assert_eq!(mail.list(BOX).unwrap().iter().filter(|info| info.uses.has(SpecialUse::Sent)).count(), 1);
}
