//! Words that messages of a mailbox bear from a delivery on: the one that tells of a correction marks what it corrects, in
//! its own commit. The octets of what is marked stay as they are.

use protocol::imap::exchange::{Change, Keyword};
use store::{Batch, Expectation};

use super::messages::{MailError, MessageStore};
use super::steps::{Done, Steps};
use crate::record::folder::Folder;
use crate::record::message::{self, Message};

/// Every message of the mailbox with this content, wherever its owner put it, bears the keyword.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// SHA-256 of the message.
    pub digest: [u8; 32],
    pub keyword: Keyword,
}

/// A message that is marked by a batch.
pub(super) struct Marked {
    mailbox: String,
    folder: u64,
    uid: u32,
    message: Message,
}

impl MessageStore {
    /// Puts the mark in the batch, as the messages stand now. One that its owner deleted is marked no more.
    pub(super) fn mark(&self, mut batch: Batch, steps: &mut Steps, mailbox: &str, mark: &Mark, marked: &mut Vec<Marked>) -> Result<Batch, MailError> {
        for stored in self.folders(mailbox)?.values() {
            let folder = Folder::decode(stored)?;
            let (from, to) = message::range(folder.id);
            for (key, value) in self.store.scan(&from, &to, usize::MAX)? {
                let (mut message, _) = Message::decode(&value)?;
                let other = message.digest != mark.digest || message.flags.has_keyword(&mark.keyword);
                if other || !message.flags.add_keyword(mark.keyword.clone()) {
                    continue;
                }
                let step = steps.of(&mut batch, mailbox, &folder);
                let uid = message::uid(folder.id, &key)?;
                batch = batch.expect(Expectation::Equals(key.clone(), value)).put(key, message.template(step));
                marked.push(Marked { mailbox: mailbox.to_owned(), folder: folder.id, uid, message });
            }
        }
        Ok(batch)
    }
}

/// Tells open sessions of them.
pub(super) fn tell(done: &mut Done<'_>, marked: Vec<Marked>) -> Result<(), MailError> {
    for Marked { mailbox, folder, uid, message } in marked {
        done.change(&mailbox, folder, |modseq| Ok(Change::Flags(message.info(uid, modseq)?)))?;
    }
    Ok(())
}
