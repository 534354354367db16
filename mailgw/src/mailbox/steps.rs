//! One step of MODSEQ for each folder that a commit touches, and what the commit did there.

use std::collections::BTreeMap;

use protocol::imap::exchange::Change;
use store::{Batch, CommitError, CounterSlot, Receipt};

use super::broadcast::{Broadcast, Told};
use super::messages::MailError;
use crate::record::folder::Folder;

/// Of a batch that is being made.
#[derive(Default)]
pub(super) struct Steps(BTreeMap<u64, CounterSlot>);

/// Of a batch that is committed.
pub(super) struct Done(BTreeMap<u64, (u64, Vec<Change>)>);

impl Steps {
    pub fn of(&mut self, batch: &mut Batch, folder: &Folder) -> CounterSlot {
        *self.0.entry(folder.id).or_insert_with(|| batch.next(&folder.modseq_counter()))
    }

    pub fn done(self, receipt: &Receipt) -> Done {
        let step = |(folder, slot)| Some((folder, (receipt.counter(slot)?, Vec::new())));
        Done(self.0.into_iter().filter_map(step).collect())
    }
}

impl Done {
    /// A change of this folder, made of its new MODSEQ.
    pub fn change(&mut self, folder: u64, change: impl FnOnce(u64) -> Result<Change, MailError>) -> Result<(), MailError> {
        let (step, changes) = self.0.get_mut(&folder).ok_or(CommitError::UnknownSlot)?;
        changes.push(change(step.saturating_add(1))?);
        Ok(())
    }

    pub fn tell(self, broadcast: &Broadcast) {
        broadcast.tell(self.0.into_iter().map(|(folder, (step, changes))| Told { folder, step, changes }).collect());
    }
}
