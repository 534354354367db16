//! Folders kept in memory as they are, so that opening one, its STATUS and its flags read a few records however much mail it holds. What is
//! kept is what was read once and every commit told since, in the order of MODSEQ; it is given only when nothing was committed beyond
//! that, and read anew otherwise: what was committed is never missing, and what was not is never there.
//!
//! Who opens a folder that was opened before is given it without any look at the store: what was told is in it, and nobody is answered
//! before what was done is told. A commit that ends without being told, as when it is not known whether it is durable, is one after which
//! nothing of its mailboxes is kept.

use std::collections::BTreeMap;

use protocol::imap::exchange::{Change, MessageInfo, Messages, SystemFlag};

use super::messages::{MailError, MessageStore, View};
use crate::record::RecordError;
use crate::record::folder::{self, Folder};
use crate::record::message::{self, Message};

/// Messages of all views together, some hundred bytes each, and what a view takes beside its messages, in messages.
pub(super) const MOST: usize = 500_000;
const BESIDE: usize = 8;
/// Changes that are remembered while a folder is read.
const MOST_MISSED: usize = 10_000;
/// A commit is told a moment after it is durable: that is waited for, so often and so long, before the folder is read instead.
const LOOKS: usize = 10;
const MOMENT: std::time::Duration = std::time::Duration::from_micros(200);

/// A folder without its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub messages: Messages,
    pub uid_next: u32,
    pub highest_modseq: u64,
}

impl Kept {
    /// A change may be known already, since it was committed while the folder was read.
    fn hear(&mut self, change: &Change) {
        let (Change::New(MessageInfo { modseq, .. }) | Change::Flags(MessageInfo { modseq, .. }) | Change::Gone { modseq, .. }) = change;
        self.highest_modseq = self.highest_modseq.max(*modseq);
        match change {
            Change::New(info) => {
                self.uid_next = self.uid_next.max(info.uid.saturating_add(1));
                if self.messages.find(info.uid).is_none() {
                    self.messages.insert(info.clone());
                }
            }
            Change::Flags(info) => {
                if self.messages.find(info.uid).is_some_and(|(_, known)| known.modseq <= info.modseq) {
                    self.messages.set(info.clone());
                }
            }
            Change::Gone { uid, .. } => drop(self.messages.remove(*uid)),
        }
    }
}

enum Slot {
    /// It is being read by the one with this number; what was told since.
    Awaited(u64, Vec<Change>),
    /// With the time of its last use.
    There(Kept, u64),
}

/// The folders of one mailbox that are kept.
#[derive(Default)]
pub(super) struct Views {
    kept: BTreeMap<u64, Slot>,
    /// Of those that are there, the ones that were opened by their names.
    named: BTreeMap<String, Folder>,
}

impl Views {
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub fn renamed(&mut self) {
        self.named.clear();
    }

    /// A name as it is in the store.
    pub fn name(&mut self, name: &str, folder: Folder) {
        if matches!(self.kept.get(&folder.id), Some(Slot::There(..))) {
            self.named.insert(name.to_owned(), folder);
        }
    }

    pub fn by_name(&mut self, name: &str, now: u64) -> Option<(Folder, Kept)> {
        let folder = *self.named.get(name)?;
        Some((folder, self.given(folder.id, now)?))
    }

    pub fn forget_all(&mut self) {
        self.kept.clear();
        self.named.clear();
    }

    pub fn hear(&mut self, folder: u64, changes: &[Change]) {
        match self.kept.get_mut(&folder) {
            Some(Slot::There(kept, _)) => changes.iter().for_each(|change| kept.hear(change)),
            Some(Slot::Awaited(_, missed)) if missed.len() < MOST_MISSED => missed.extend_from_slice(changes),
            // It would miss some.
            Some(Slot::Awaited(..)) => self.forget(folder),
            None => {}
        }
    }

    pub fn given(&mut self, folder: u64, now: u64) -> Option<Kept> {
        match self.kept.get_mut(&folder) {
            Some(Slot::There(kept, used)) => {
                *used = now;
                Some(kept.clone())
            }
            _ => None,
        }
    }

    /// Whether it is for the one with this number to be read.
    pub fn awaits(&mut self, folder: u64, number: u64) -> bool {
        let free = !self.kept.contains_key(&folder);
        if free {
            self.kept.insert(folder, Slot::Awaited(number, Vec::new()));
        }
        free
    }

    /// What was read; nothing, where that failed or it is too large to be kept.
    pub fn read(&mut self, folder: u64, number: u64, read: Option<Kept>) {
        let Some(Slot::Awaited(awaited, missed)) = self.kept.get_mut(&folder).filter(|slot| matches!(slot, Slot::Awaited(awaited, _) if *awaited == number)) else { return };
        let (used, missed) = (*awaited, std::mem::take(missed));
        match read {
            Some(mut kept) => {
                missed.iter().for_each(|change| kept.hear(change));
                self.kept.insert(folder, Slot::There(kept, used));
            }
            None => self.forget(folder),
        }
    }

    pub fn forget(&mut self, folder: u64) {
        self.kept.remove(&folder);
        self.named.retain(|_, named| named.id != folder);
    }

    /// Of each that is there: when it was used last, which it is, what it weighs.
    pub fn weighed(&self) -> impl Iterator<Item = (u64, u64, usize)> {
        self.kept.iter().filter_map(|(folder, slot)| match slot {
            Slot::There(kept, used) => Some((*used, *folder, weight(kept))),
            Slot::Awaited(..) => None,
        })
    }
}

pub(super) fn weight(kept: &Kept) -> usize {
    kept.messages.len() + BESIDE
}

impl MessageStore {
    /// A folder as it is: what is committed before this call is in it, and what is told before it returns.
    pub fn view(&self, mailbox: &str, name: &str) -> Result<View, MailError> {
        let folder = self.folder(mailbox, name)?;
        let Kept { messages, uid_next, highest_modseq } = self.kept(mailbox, &folder)?;
        Ok(View { folder, uid_next, highest_modseq, messages })
    }

    /// The UIDs of a folder's messages that bear a flag, ascending.
    pub fn with_flag(&self, mailbox: &str, folder: &Folder, flag: SystemFlag) -> Result<Vec<u32>, MailError> {
        let kept = self.kept(mailbox, folder)?;
        Ok(kept.messages.iter().filter(|message| message.flags.has(flag)).map(|message| message.uid).collect())
    }

    pub(super) fn kept(&self, mailbox: &str, folder: &Folder) -> Result<Kept, MailError> {
        let last_step = || Ok(self.store.counter(&folder::steps(mailbox))?);
        // Once: what comes while it is looked for is nobody's who asked before.
        let committed = last_step()?;
        for look in 0..LOOKS {
            if let Some(kept) = self.broadcast.given(mailbox, folder.id, committed) {
                return Ok(kept);
            }
            if let Some(reading) = self.broadcast.awaits(mailbox, folder.id, last_step)? {
                let read = self.read(mailbox, folder);
                reading.read(read.as_ref().ok().cloned());
                return read;
            }
            if look + 1 < LOOKS {
                std::thread::sleep(MOMENT);
            }
        }
        self.read(mailbox, folder)
    }

    /// The UID counter is read before the messages, so a message delivered meanwhile is left to the next look; and a step of the mailbox
    /// before both, so that no message is left out whose step is not above it. It is read here and not by who asked: what was committed in
    /// between is told no more, and its step is borne by nothing but the message. The folder's last step is borne by a message that came or
    /// was changed then, or was left beside by what was changed or removed: it is read last, since what bore it may be removed meanwhile.
    fn read(&self, mailbox: &str, folder: &Folder) -> Result<Kept, MailError> {
        let committed = self.store.counter(&folder::steps(mailbox))?;
        let last = u32::try_from(self.store.counter(&folder.uid_counter())?).map_err(|_| MailError::UidsExhausted)?;
        let uid_next = last.checked_add(1).ok_or(MailError::UidsExhausted)?;
        let (from, _) = message::range(folder.id);
        let found = self.store.scan(&from, &message::key(folder.id, uid_next), usize::MAX)?;
        let mut highest = 0;
        let mut info = |(key, value): &(store::Key, Vec<u8>)| {
            let (message, modseq) = Message::decode(value)?;
            highest = highest.max(modseq);
            message.info(message::uid(folder.id, key)?, modseq)
        };
        let messages = found.iter().map(&mut info).collect::<Result<_, RecordError>>()?;
        let highest_modseq = highest.max(self.last_step(folder)?.saturating_add(1)).min(committed.saturating_add(1));
        Ok(Kept { messages, uid_next, highest_modseq })
    }
}

#[cfg(test)]
#[path = "views_tests.rs"]
mod tests;
