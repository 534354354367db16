//! Changes of messages that are there: flags, copies, removal. A copy shares its body: a record beside the
//! body counts its messages once they are two or more, and a body goes with the last of them; one that was deleted counts until it is
//! forgotten.

use std::collections::BTreeMap;

use protocol::imap::exchange::{Change, Flags, MessageInfo, StoreOp, SystemFlag};
use store::{Batch, CommitError, Expectation, Key};

use super::deleted::keep;
use super::index::note_removal;
use super::messages::{ATTEMPTS, MailError, MessageStore};
use super::quota::Use;
use super::steps::Steps;
use super::trusted;
use crate::record::RecordError;
use crate::record::body::{self, BodyId};
use crate::record::deleted::Deleted;
use crate::record::expunged;
use crate::record::folder::{self, DeletedFolder, Folder};
use crate::record::message::{self, Message};
use crate::record::warning;

/// Messages of a deleted folder that go in one commit.
const SWEEP: usize = 200;

/// Bytes of records that one commit changes: some 200,000 messages with few flags.
const MOST_AT_ONCE: usize = 32 << 20;

/// How many messages have a body, where it is more than one.
pub(super) fn shared_key(body: BodyId) -> Key {
    Key::numbered("shared body", &[], body.0)
}

impl MessageStore {
    /// The messages as they are after the change; those gone meanwhile are left out.
    pub fn store_flags(&self, mailbox: &str, folder: &Folder, uids: &[u32], op: StoreOp, flags: &Flags) -> Result<Vec<MessageInfo>, MailError> {
        self.store_flags_since(mailbox, folder, uids, op, flags, u64::MAX).map(|(after, _)| after)
    }

    /// As `store_flags`, but messages whose MODSEQ is above `since` are left alone: they are the second list.
    pub fn store_flags_since(&self, mailbox: &str, folder: &Folder, uids: &[u32], op: StoreOp, flags: &Flags, since: u64) -> Result<(Vec<MessageInfo>, Vec<u32>), MailError> {
        self.retried(|| {
            let (mut batch, mut steps) = (Batch::new(), Steps::default());
            let step = steps.of(&mut batch, mailbox, folder);
            let (mut after, mut changed, mut modified) = (Vec::new(), Vec::new(), Vec::new());
            for (uid, found) in self.found(folder, uids)? {
                let (mut message, modseq) = Message::decode(&found)?;
                if modseq > since {
                    modified.push(uid);
                    continue;
                }
                let wanted = message.flags.after(op, flags);
                let wanted = trusted::flags(&wanted, trusted::is_marked(&message.flags));
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
                return Ok((after, modified));
            }
            let (_, mut done) = steps.commit(batch, &*self.store, &self.broadcast)?;
            for index in changed {
                let Some(info) = after.get_mut(index) else { continue };
                done.change(mailbox, folder.id, |modseq| {
                    info.modseq = modseq;
                    Ok(Change::Flags(info.clone()))
                })?;
            }
            done.tell();
            Ok((after, modified))
        })
    }

    /// Copies into another folder of the mailbox, all in one commit: pairs of old and new UID, and the UIDVALIDITY there.
    pub fn copy(&self, from: &Folder, uids: &[u32], mailbox: &str, to: &str, now_unix_millis: u64) -> Result<(u32, Vec<(u32, u32)>), MailError> {
        self.transfer(from, uids, mailbox, to, false, now_unix_millis)
    }

    /// As `copy`, and the old messages are gone in the same commit.
    pub fn move_to(&self, from: &Folder, uids: &[u32], mailbox: &str, to: &str, now_unix_millis: u64) -> Result<(u32, Vec<(u32, u32)>), MailError> {
        self.transfer(from, uids, mailbox, to, true, now_unix_millis)
    }

    fn transfer(&self, from: &Folder, uids: &[u32], mailbox: &str, to: &str, take: bool, now: u64) -> Result<(u32, Vec<(u32, u32)>), MailError> {
        self.retried(|| {
            let key = folder::key(mailbox, to);
            let stored = self.store.get(&key)?.ok_or(MailError::NoFolder)?;
            let target = Folder::decode(&stored)?;
            let (mut batch, mut steps) = (Batch::new().expect(Expectation::Equals(key, stored)), Steps::default());
            let (mut placed, mut bodies, mut more) = (Vec::new(), BTreeMap::new(), Use::default());
            for (uid, found) in self.found(from, uids)? {
                let (mut message, _) = Message::decode(&found)?;
                message.saved_unix_millis = i64::try_from(now).ok();
                let (new, step) = (batch.next(&target.uid_counter()), steps.of(&mut batch, mailbox, &target));
                let old = message::key(from.id, uid);
                batch = batch.expect(Expectation::Equals(old.clone(), found));
                if take {
                    batch = batch.delete(old);
                } else {
                    *bodies.entry((message.body, message.size)).or_insert(0_i64) += 1;
                    more.add(message.size);
                }
                batch = batch.put(message::new_key(target.id, new), message.template(step));
                placed.push((uid, new, message));
            }
            if placed.is_empty() {
                return Ok((target.uid_validity, Vec::new()));
            }
            let step = steps.of(&mut batch, mailbox, &target);
            let removal = take.then(|| batch.next(&from.removals_counter()));
            if take {
                steps.of(&mut batch, mailbox, from);
                batch = batch.put(expunged::new_key(from.id, step), expunged::encode(&expunged::ranges(placed.iter().map(|(uid, ..)| *uid))));
            }
            if !take {
                let (fits, crosses) = self.weigh(mailbox, &more.with_bytes(self.deleted_beyond(mailbox)?), &more)?;
                if !fits {
                    return Err(MailError::OverQuota { delivery: 0 });
                }
                if let Some(percent) = crosses {
                    batch = batch.put(warning::key(mailbox), warning::encode(percent));
                }
            }
            more.count(&mut batch, mailbox);
            let (receipt, mut done) = steps.commit(self.count(batch, &bodies)?, &*self.store, &self.broadcast)?;
            let pairs = placed.into_iter().map(|(old, slot, message)| {
                let new = receipt.counter(slot).and_then(|uid| u32::try_from(uid).ok()).ok_or(MailError::UidsExhausted)?;
                if take {
                    done.change(mailbox, from.id, |modseq| Ok(Change::Gone { uid: old, modseq }))?;
                }
                done.change(mailbox, target.id, |modseq| Ok(Change::New(message.info(new, modseq)?)))?;
                Ok((old, new))
            });
            let pairs = pairs.collect::<Result<_, MailError>>();
            done.tell();
            if take {
                self.forget_some(from, removal.and_then(|slot| receipt.counter(slot)).unwrap_or(1));
            }
            Ok((target.uid_validity, pairs?))
        })
    }

    /// Removes those of `uids` that bear `\Deleted`: nobody finds them but who asks for what was deleted. The UIDs removed.
    pub fn expunge(&self, mailbox: &str, folder: &Folder, uids: &[u32], now_unix_millis: u64) -> Result<Vec<u32>, MailError> {
        let (name, uses) = self.name_and_uses(mailbox, folder.id)?;
        self.retried(|| {
            let (mut batch, mut steps) = (Batch::new(), Steps::default());
            let (mut gone, mut less) = (Vec::new(), Use::default());
            for (uid, found) in self.found(folder, uids)? {
                let (message, _) = Message::decode(&found)?;
                if message.flags.has(SystemFlag::Deleted) {
                    let key = message::key(folder.id, uid);
                    batch = batch.expect(Expectation::Equals(key.clone(), found.clone())).delete(key);
                    batch = keep(batch, mailbox, &Deleted { unix_millis: now_unix_millis, folder: folder.id, uid, name: name.clone(), uses, message: found })?;
                    less.take(message.size);
                    gone.push(uid);
                }
            }
            if gone.is_empty() {
                return Ok(gone);
            }
            let (step, removal) = (steps.of(&mut batch, mailbox, folder), batch.next(&folder.removals_counter()));
            batch = batch.put(expunged::new_key(folder.id, step), expunged::encode(&expunged::ranges(gone.iter().copied())));
            less.count(&mut batch, mailbox);
            note_removal(&mut batch, mailbox);
            let (receipt, mut done) = steps.commit(batch, &*self.store, &self.broadcast)?;
            for uid in &gone {
                done.change(mailbox, folder.id, |modseq| Ok(Change::Gone { uid: *uid, modseq }))?;
            }
            done.tell();
            self.forget_some(folder, receipt.counter(removal).unwrap_or(1));
            Ok(gone)
        })
        .inspect(|_| self.bound_deleted_now(mailbox))
    }

    /// Removes a bounded number of messages of a folder that is deleted; whether there were any.
    pub(super) fn sweep_some(&self, folder: u64, deleted: &DeletedFolder) -> Result<bool, MailError> {
        let DeletedFolder { mailbox, name, uses, unix_millis } = deleted;
        self.retried(|| {
            let (from, to) = message::range(folder);
            let found = self.store.scan(&from, &to, SWEEP)?;
            let (mut batch, mut less) = (Batch::new(), Use::default());
            for (key, value) in &found {
                let (message, _) = Message::decode(value)?;
                batch = batch.expect(Expectation::Equals(key.clone(), value.clone())).delete(key.clone());
                let uid = message::uid(folder, key)?;
                batch = keep(batch, mailbox, &Deleted { unix_millis: *unix_millis, folder, uid, name: name.clone(), uses: *uses, message: value.clone() })?;
                less.take(message.size);
            }
            if !found.is_empty() {
                less.count(&mut batch, mailbox);
                note_removal(&mut batch, mailbox);
                self.store.commit(batch)?;
            }
            Ok(!found.is_empty())
        })
    }

    /// Bounded in bytes: what one commit changes stands in memory several times.
    fn found(&self, folder: &Folder, uids: &[u32]) -> Result<Vec<(u32, Vec<u8>)>, MailError> {
        let (mut all, mut bytes) = (Vec::new(), 0);
        for &uid in uids {
            if let Some(found) = self.store.get(&message::key(folder.id, uid))? {
                bytes += found.len();
                if bytes > MOST_AT_ONCE {
                    return Err(MailError::TooMuchAtOnce { count: uids.len() });
                }
                all.push((uid, found));
            }
        }
        Ok(all)
    }

    /// The counts of shared bodies, each with its size, after so many messages more or fewer, expected as they were read.
    pub(super) fn count(&self, mut batch: Batch, bodies: &BTreeMap<(BodyId, u32), i64>) -> Result<Batch, MailError> {
        for ((body, size), more) in bodies {
            let key = shared_key(*body);
            let stored = self.store.get(&key)?;
            let before = match &stored {
                None => 1,
                Some(bytes) => bytes.as_slice().try_into().map(u64::from_be_bytes).map_err(|_| damaged())?,
            };
            batch = batch.expect(stored.map_or_else(|| Expectation::Absent(key.clone()), |bytes| Expectation::Equals(key.clone(), bytes)));
            batch = match before.checked_add_signed(*more).ok_or_else(damaged)? {
                0 => body::keys(*body, *size as usize).fold(batch.delete(key), Batch::delete),
                1 => batch.delete(key),
                count => batch.put(key, count.to_be_bytes().as_slice()),
            };
        }
        Ok(batch)
    }

    /// A commit that lost a race is decided anew.
    pub(super) fn retried<T>(&self, attempt: impl Fn() -> Result<T, MailError>) -> Result<T, MailError> {
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
