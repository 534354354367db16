//! One step of MODSEQ for each mailbox that a commit touches, and what the commit did there.

use std::collections::{BTreeMap, BTreeSet};

use protocol::imap::exchange::Change;
use store::{Batch, CommitError, CounterSlot, Receipt, Store};

use super::broadcast::{Broadcast, Told};
use super::messages::MailError;
use crate::record::folder::{self, Folder};

/// Of a batch that is being made.
#[derive(Default)]
pub(super) struct Steps(BTreeMap<String, (CounterSlot, BTreeSet<u64>)>);

/// Of a batch that is committed; what is not told of it is not known to those who keep folders.
pub(super) struct Done<'b> {
    changes: BTreeMap<String, (u64, Vec<(u64, Change)>)>,
    untold: Untold<'b>,
}

/// What is kept of these mailboxes is worth nothing, until what was committed is told or known not to be there.
pub(super) struct Untold<'b> {
    broadcast: &'b Broadcast,
    mailboxes: Vec<String>,
}

impl Drop for Untold<'_> {
    fn drop(&mut self) {
        self.mailboxes.iter().for_each(|mailbox| self.broadcast.unsure(mailbox));
    }
}

impl Steps {
    /// The step of this mailbox, of a message that comes: it bears the step itself, so that the folder need not remember it.
    pub fn of_new(&mut self, batch: &mut Batch, mailbox: &str) -> CounterSlot {
        self.0.entry(mailbox.to_owned()).or_insert_with(|| (batch.next(&folder::steps(mailbox)), BTreeSet::new())).0
    }

    /// The step of this mailbox; the folder remembers it as its last.
    pub fn of(&mut self, batch: &mut Batch, mailbox: &str, folder: &Folder) -> CounterSlot {
        let (slot, folders) = self.0.entry(mailbox.to_owned()).or_insert_with(|| (batch.next(&folder::steps(mailbox)), BTreeSet::new()));
        if folders.insert(folder.id) {
            *batch = std::mem::take(batch).put(folder::last_step_key(folder.id), folder::last_step_template(*slot));
        }
        *slot
    }

    /// Commits the batch they were made for.
    pub fn commit<'b>(self, batch: Batch, store: &dyn Store, broadcast: &'b Broadcast) -> Result<(Receipt, Done<'b>), CommitError> {
        let untold = self.untold(broadcast);
        self.committed(store.commit(batch), untold)
    }

    /// Before that batch is committed.
    pub fn untold<'b>(&self, broadcast: &'b Broadcast) -> Untold<'b> {
        Untold { broadcast, mailboxes: self.0.keys().cloned().collect() }
    }

    /// After it was, or was not.
    pub fn committed<'b>(self, outcome: Result<Receipt, CommitError>, mut untold: Untold<'b>) -> Result<(Receipt, Done<'b>), CommitError> {
        let receipt = outcome.inspect_err(|error| {
            // Nothing was changed.
            if matches!(error, CommitError::Conflict { .. }) {
                untold.mailboxes.clear();
            }
        })?;
        let step = |(mailbox, (slot, _))| Some((mailbox, (receipt.counter(slot)?, Vec::new())));
        let changes = self.0.into_iter().filter_map(step).collect();
        Ok((receipt, Done { changes, untold }))
    }
}

impl Done<'_> {
    /// A change of this folder, made of its new MODSEQ.
    pub fn change(&mut self, mailbox: &str, folder: u64, change: impl FnOnce(u64) -> Result<Change, MailError>) -> Result<(), MailError> {
        let (step, changes) = self.changes.get_mut(mailbox).ok_or(CommitError::UnknownSlot)?;
        changes.push((folder, change(step.saturating_add(1))?));
        Ok(())
    }

    pub fn tell(mut self) {
        self.untold.broadcast.tell(std::mem::take(&mut self.changes).into_iter().map(|(mailbox, (step, changes))| Told { mailbox, step, changes }).collect());
        self.untold.mailboxes.clear();
    }
}
