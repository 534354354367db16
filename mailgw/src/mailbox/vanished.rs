//! What is gone from a folder since a client last looked, and how far each folder has come. spec: rfc7162#3.2

use store::{Batch, Expectation, Key};

use super::messages::{MailError, MessageStore};
use crate::record::expunged;
use crate::record::folder::{self, Folder};
use crate::record::message;

/// Commits that removed something and are remembered one by one; beyond that the oldest half is forgotten.
const KEPT: usize = 10_000;
/// Every so many removals a folder's tombstones are counted.
const COUNTED: u64 = 1_024;
/// Tombstones that go in one commit.
const SWEEP: usize = 1_000;

impl MessageStore {
    /// UIDs that are in the folder no more, as ascending ranges: those removed after `modseq`, and all that were ever removed
    /// where it is too long ago to tell.
    pub fn vanished(&self, folder: &Folder, modseq: u64) -> Result<Vec<(u32, u32)>, MailError> {
        let since = modseq.saturating_sub(1);
        let (from, to) = expunged::after(folder.id, since);
        let found = self.store.scan(&from, &to, usize::MAX)?;
        // Read after the tombstones: those dropped in between are above no floor read before.
        if since < self.floor(folder)? {
            return self.gaps(folder);
        }
        let mut all = Vec::new();
        for (_, value) in found {
            all.extend(expunged::decode(&value)?);
        }
        all.sort_unstable();
        Ok(all)
    }

    /// The UIDs once given whose messages are not there.
    fn gaps(&self, folder: &Folder) -> Result<Vec<(u32, u32)>, MailError> {
        let last = u32::try_from(self.store.counter(&folder.uid_counter())?).map_err(|_| MailError::UidsExhausted)?;
        let (from, to) = message::range(folder.id);
        let (mut gaps, mut next) = (Vec::new(), 1_u32);
        for (key, _) in self.store.scan(&from, &to, usize::MAX)? {
            let uid = message::uid(folder.id, &key)?;
            if uid > next {
                gaps.push((next, uid - 1));
            }
            next = uid.saturating_add(1);
        }
        if last >= next {
            gaps.push((next, last));
        }
        Ok(gaps)
    }

    /// The step of the folder's last change.
    pub(super) fn last_step(&self, folder: &Folder) -> Result<u64, MailError> {
        match self.store.get(&folder::last_step_key(folder.id))? {
            Some(bytes) => Ok(folder::last_step(&bytes)?),
            None => Ok(0),
        }
    }

    fn floor(&self, folder: &Folder) -> Result<u64, MailError> {
        match self.store.get(&expunged::floor_key(folder.id))? {
            Some(bytes) => Ok(expunged::floor(&bytes)?),
            None => Ok(0),
        }
    }

    /// After the folder's removal of this number: now and then the oldest tombstones go. The removal stands whether or not they do.
    pub(super) fn forget_some(&self, folder: &Folder, removal: u64) {
        if removal.is_multiple_of(COUNTED)
            && let Err(error) = self.forget_oldest(folder)
        {
            tracing::warn!(%error, "tombstones of a folder were not thinned out");
        }
    }

    fn forget_oldest(&self, folder: &Folder) -> Result<(), MailError> {
        let (from, to) = expunged::range(folder.id);
        let found = self.store.scan(&from, &to, KEPT + 1)?;
        if found.len() <= KEPT {
            return Ok(());
        }
        let oldest = found.get(..KEPT / 2).unwrap_or_default();
        let Some((last, _)) = oldest.last() else { return Ok(()) };
        let floor = expunged::encode_floor(expunged::step(folder.id, last)?);
        let batch = Batch::new().put(expunged::floor_key(folder.id), floor);
        self.store.commit(oldest.iter().fold(batch, |batch, (key, _)| batch.delete(key.clone())))?;
        Ok(())
    }

    /// Of a folder that is deleted.
    pub(super) fn sweep_tombstones(&self, folder: u64) -> Result<(), MailError> {
        let (from, to) = expunged::range(folder);
        loop {
            let found = self.store.scan(&from, &to, SWEEP)?;
            let batch = Batch::new().delete(folder::last_step_key(folder)).delete(expunged::floor_key(folder));
            self.store.commit(found.iter().fold(batch, |batch, (key, _)| batch.delete(key.clone())))?;
            if found.len() < SWEEP {
                return Ok(());
            }
        }
    }

    /// Stores in which each folder counted its own steps: from now on mailboxes count, above all their folders did. Removals of
    /// before are known only as UIDs that are not there. To be called once at opening; the second time it does nothing.
    pub fn count_by_mailbox(&self) -> Result<(), MailError> {
        let mark = Key::new("steps by mailbox", &[]);
        if self.store.get(&mark)?.is_some() {
            return Ok(());
        }
        let (from, to) = folder::all();
        for (key, stored) in self.store.scan(&from, &to, usize::MAX)? {
            let (mailbox, folder) = (folder::mailbox(&key)?, Folder::decode(&stored)?);
            let former = self.store.counter(&folder.former_steps())?;
            if former == 0 || self.store.get(&folder::last_step_key(folder.id))?.is_some() {
                continue;
            }
            let counter = folder::steps(&mailbox);
            while self.store.counter(&counter)? < former {
                let mut batch = Batch::new();
                let missing = former.saturating_sub(self.store.counter(&counter)?).min(10_000);
                for _ in 0..missing {
                    batch.next(&counter);
                }
                self.store.commit(batch)?;
            }
            let step = expunged::encode_floor(former);
            self.store.commit(Batch::new().put(folder::last_step_key(folder.id), step.clone()).put(expunged::floor_key(folder.id), step))?;
        }
        self.store.commit(Batch::new().expect(Expectation::Absent(mark.clone())).put(mark, vec![crate::record::VERSION]))?;
        Ok(())
    }
}
