//! The answers to a session's requests, out of the message store. Everything here blocks.

use protocol::imap::exchange::{Flags, StoreOp, SystemFlag};
use protocol::pop3::exchange::{Answer, Entry};

use crate::mailbox::{MailError, MessageStore};
use crate::record::folder::Folder;

/// What a maildrop is.
const INBOX: &str = "INBOX";
/// Messages removed in one commit.
const EXPUNGE: usize = 1_000;

pub(super) fn open(messages: &MessageStore, mailbox: &str) -> (Answer, Option<Folder>) {
    match messages.view(mailbox, INBOX) {
        Ok(view) => {
            let entries = view.messages.iter().map(|message| Entry { uid: message.uid, size: message.size }).collect();
            (Answer::Maildrop { uid_validity: view.folder.uid_validity, entries }, Some(view.folder))
        }
        Err(error) => (failed(&error), None),
    }
}

/// `shown`: to whose program, and when, where it gets more than the header.
pub(super) fn load(messages: &MessageStore, folder: &Folder, uid: u32, shown: Option<(String, u64)>) -> Answer {
    let loaded = match &shown {
        Some((mailbox, now_unix_millis)) => messages.show(mailbox, folder, uid, *now_unix_millis),
        None => messages.load(folder, uid),
    };
    match loaded {
        Ok(bytes) => Answer::Bytes(bytes.into()),
        Err(MailError::Gone | MailError::NoFolder) => Answer::Gone,
        Err(error) => failed(&error),
    }
}

/// As an IMAP client removes them: flagged, then expunged by the line of the mailbox, so that other sessions hear of it and what
/// keeps a message from being removed keeps it here too. One that is gone already is removed.
pub(super) fn remove(messages: &MessageStore, mailbox: &str, folder: &Folder, uids: &[u32], now_unix_millis: u64) -> Result<u64, MailError> {
    let mut removed = 0;
    for some in uids.chunks(EXPUNGE) {
        messages.store_flags(mailbox, folder, some, StoreOp::Add, &Flags::new().with(SystemFlag::Deleted))?;
        removed += messages.expunge(mailbox, folder, some, now_unix_millis)?.len() as u64;
    }
    Ok(removed)
}

/// The operator learns the reason.
pub(super) fn failed(error: &MailError) -> Answer {
    tracing::error!(%error, "a POP3 request failed");
    Answer::Failed
}
