//! Changes of messages that are there: flags, copies, removal. A copy shares its body: a record beside the
//! body counts its messages once they are two or more, and a body goes with the last of them.

use std::collections::BTreeMap;

use protocol::imap::exchange::{Flags, MessageInfo, StoreOp, SystemFlag};
use store::{Batch, CommitError, Expectation, Key};

use super::messages::{ATTEMPTS, MailError, MessageStore};
use crate::record::RecordError;
use crate::record::body::BodyId;
use crate::record::folder::{self, Folder};
use crate::record::message::{self, Message};

fn shared_key(body: BodyId) -> Key {
    Key::numbered("shared body", &[], body.0)
}

impl MessageStore {
    /// The messages as they are after the change; those gone meanwhile are left out.
    pub fn store_flags(&self, folder: &Folder, uids: &[u32], op: StoreOp, flags: &Flags) -> Result<Vec<MessageInfo>, MailError> {
        self.retried(|| {
            let mut batch = Batch::new();
            let step = batch.next(&folder.modseq_counter());
            let (mut after, mut changed) = (Vec::new(), Vec::new());
            for (uid, found) in self.found(folder, uids)? {
                let (mut message, modseq) = Message::decode(&found)?;
                let wanted = message.flags.after(op, flags);
                // What does not change keeps its MODSEQ.
                if wanted != message.flags {
                    message.flags = wanted;
                    let key = message::key(folder.id, uid);
                    batch = batch.expect(Expectation::Equals(key.clone(), found)).put(key, message.template(step));
                    changed.push(after.len());
                }
                after.push(message.info(uid, modseq)?);
            }
            if changed.is_empty() {
                return Ok(after);
            }
            let modseq = self.store.commit(batch)?.counter(step).ok_or(CommitError::UnknownSlot)?.saturating_add(1);
            for (_, info) in after.iter_mut().enumerate().filter(|(index, _)| changed.contains(index)) {
                info.modseq = modseq;
            }
            Ok(after)
        })
    }

    /// Copies into a folder of `mailbox`, all in one commit: pairs of old and new UID, and the UIDVALIDITY there.
    pub fn copy(&self, from: &Folder, uids: &[u32], mailbox: &str, to: &str) -> Result<(u32, Vec<(u32, u32)>), MailError> {
        self.transfer(from, uids, mailbox, to, false)
    }

    /// As `copy`, and the old messages are gone in the same commit.
    pub fn move_to(&self, from: &Folder, uids: &[u32], mailbox: &str, to: &str) -> Result<(u32, Vec<(u32, u32)>), MailError> {
        self.transfer(from, uids, mailbox, to, true)
    }

    fn transfer(&self, from: &Folder, uids: &[u32], mailbox: &str, to: &str, take: bool) -> Result<(u32, Vec<(u32, u32)>), MailError> {
        self.retried(|| {
            let key = folder::key(mailbox, to);
            let stored = self.store.get(&key)?.ok_or(MailError::NoFolder)?;
            let target = Folder::decode(&stored)?;
            let mut batch = Batch::new().expect(Expectation::Equals(key, stored));
            let (mut slots, mut bodies) = (Vec::new(), BTreeMap::new());
            for (uid, found) in self.found(from, uids)? {
                let (message, _) = Message::decode(&found)?;
                let (new, step) = (batch.next(&target.uid_counter()), batch.next(&target.modseq_counter()));
                let old = message::key(from.id, uid);
                batch = batch.expect(Expectation::Equals(old.clone(), found));
                if take {
                    batch = batch.delete(old);
                } else {
                    *bodies.entry(message.body).or_insert(0_i64) += 1;
                }
                batch = batch.put(message::new_key(target.id, new), message.template(step));
                slots.push((uid, new));
            }
            if take {
                let _ = batch.next(&from.modseq_counter());
            }
            let receipt = self.store.commit(self.count(batch, &bodies)?)?;
            let new = |slot| receipt.counter(slot).and_then(|uid| u32::try_from(uid).ok()).ok_or(MailError::UidsExhausted);
            let pairs = slots.into_iter().map(|(uid, slot)| Ok((uid, new(slot)?))).collect::<Result<_, MailError>>()?;
            Ok((target.uid_validity, pairs))
        })
    }

    /// Removes those of `uids` that bear `\Deleted`, and each body with its last message. The UIDs removed.
    pub fn expunge(&self, folder: &Folder, uids: &[u32]) -> Result<Vec<u32>, MailError> {
        self.retried(|| {
            let mut batch = Batch::new();
            let (mut gone, mut bodies) = (Vec::new(), BTreeMap::new());
            for (uid, found) in self.found(folder, uids)? {
                let (message, _) = Message::decode(&found)?;
                if message.flags.has(SystemFlag::Deleted) {
                    let key = message::key(folder.id, uid);
                    batch = batch.expect(Expectation::Equals(key.clone(), found)).delete(key);
                    *bodies.entry(message.body).or_insert(0_i64) -= 1;
                    gone.push(uid);
                }
            }
            if !gone.is_empty() {
                let _ = batch.next(&folder.modseq_counter());
                self.store.commit(self.count(batch, &bodies)?)?;
            }
            Ok(gone)
        })
    }

    fn found(&self, folder: &Folder, uids: &[u32]) -> Result<Vec<(u32, Vec<u8>)>, MailError> {
        let get = |&uid: &u32| Ok(self.store.get(&message::key(folder.id, uid))?.map(|found| (uid, found)));
        uids.iter().filter_map(|uid| get(uid).transpose()).collect()
    }

    /// The counts of shared bodies after so many messages more or fewer, expected as they were read.
    fn count(&self, mut batch: Batch, bodies: &BTreeMap<BodyId, i64>) -> Result<Batch, MailError> {
        for (body, more) in bodies {
            let key = shared_key(*body);
            let stored = self.store.get(&key)?;
            let before = match &stored {
                None => 1,
                Some(bytes) => bytes.as_slice().try_into().map(u64::from_be_bytes).map_err(|_| damaged())?,
            };
            batch = batch.expect(stored.map_or_else(|| Expectation::Absent(key.clone()), |bytes| Expectation::Equals(key.clone(), bytes)));
            batch = match before.checked_add_signed(*more).ok_or_else(damaged)? {
                0 => batch.delete(key).delete(body.key()),
                1 => batch.delete(key),
                count => batch.put(key, count.to_be_bytes().as_slice()),
            };
        }
        Ok(batch)
    }

    fn retried<T>(&self, attempt: impl Fn() -> Result<T, MailError>) -> Result<T, MailError> {
        for _ in 0..ATTEMPTS {
            match attempt() {
                Err(MailError::Commit(CommitError::Conflict { .. })) => continue,
                done => return done,
            }
        }
        Err(MailError::Busy)
    }
}

fn damaged() -> RecordError {
    RecordError::Damaged { kind: "shared body", reason: "it is no count of messages" }
}
