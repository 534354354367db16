//! One step of MODSEQ for each mailbox that a commit touches, and what the commit did there.

use std::collections::{BTreeMap, BTreeSet};

use protocol::imap::exchange::Change;
use store::{Batch, CommitError, CounterSlot, Receipt};

use super::broadcast::{Broadcast, Told};
use super::messages::MailError;
use crate::record::folder::{self, Folder};

/// Of a batch that is being made.
#[derive(Default)]
pub(super) struct Steps(BTreeMap<String, (CounterSlot, BTreeSet<u64>)>);

/// Of a batch that is committed.
pub(super) struct Done(BTreeMap<String, (u64, Vec<(u64, Change)>)>);

impl Steps {
    /// The step of this mailbox; the folder remembers it as its last.
    pub fn of(&mut self, batch: &mut Batch, mailbox: &str, folder: &Folder) -> CounterSlot {
        let (slot, folders) = self.0.entry(mailbox.to_owned()).or_insert_with(|| (batch.next(&folder::steps(mailbox)), BTreeSet::new()));
        if folders.insert(folder.id) {
            *batch = std::mem::take(batch).put(folder::last_step_key(folder.id), folder::last_step_template(*slot));
        }
        *slot
    }

    pub fn done(self, receipt: &Receipt) -> Done {
        let step = |(mailbox, (slot, _))| Some((mailbox, (receipt.counter(slot)?, Vec::new())));
        Done(self.0.into_iter().filter_map(step).collect())
    }
}

impl Done {
    /// A change of this folder, made of its new MODSEQ.
    pub fn change(&mut self, mailbox: &str, folder: u64, change: impl FnOnce(u64) -> Result<Change, MailError>) -> Result<(), MailError> {
        let (step, changes) = self.0.get_mut(mailbox).ok_or(CommitError::UnknownSlot)?;
        changes.push((folder, change(step.saturating_add(1))?));
        Ok(())
    }

    pub fn tell(self, broadcast: &Broadcast) {
        broadcast.tell(self.0.into_iter().map(|(mailbox, (step, changes))| Told { mailbox, step, changes }).collect());
    }
}
