//! What owners deleted is kept for some time, sealed as it was, and can be had back; under a legal hold it is kept as long as that lasts. It
//! takes no part of the quota but where it is more than its bound, and no client sees it.

use std::collections::BTreeMap;

use protocol::imap::exchange::{Change, Flags, SpecialUses, StoreOp, SystemFlag};
use store::{Batch, CommitError, Expectation, Key};

#[cfg(test)]
use super::change::shared_key;
use super::messages::{MailError, MessageStore};
use super::quota::Use;
use super::steps::Steps;
use crate::record::body;
use crate::record::deleted::{self, Deleted};
use crate::record::event::{self, Event};
use crate::record::folder::{self, Folder};
use crate::record::mailbox_hold as hold;
use crate::record::message::{self, Message};

/// Messages of one commit.
const AT_ONCE: usize = 200;
/// Where something goes whose folder is no more and cannot be made again.
const INBOX: &str = "INBOX";

/// A deleted message that can be had back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub deleted: Deleted,
    pub size: u32,
    /// SHA-256 of the message.
    pub digest: [u8; 32],
    key: Key,
}

/// Which deleted messages are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Of this folder.
    pub folder: Option<String>,
    /// Deleted since then, Unix milliseconds.
    pub since: Option<u64>,
}

impl Choice {
    fn takes(&self, deleted: &Deleted) -> bool {
        self.folder.as_ref().is_none_or(|folder| *folder == deleted.name) && self.since.is_none_or(|since| deleted.unix_millis >= since)
    }
}

/// Puts a deleted message by. It still counts as one of its body's.
pub(super) fn keep(mut batch: Batch, mailbox: &str, deleted: &Deleted) -> Result<Batch, MailError> {
    batch.add(&deleted::bytes_sum(mailbox), i64::from(Message::decode(&deleted.message)?.0.size));
    let by_time = deleted::encode_place(mailbox, deleted)?;
    Ok(batch.put(deleted::key(mailbox, deleted.folder, deleted.uid), deleted.encode()).put(deleted::time_key(mailbox, deleted), by_time))
}

impl MessageStore {
    /// What a folder is called now and what it is for; a folder that is gone has no name.
    pub(super) fn name_and_uses(&self, mailbox: &str, folder: u64) -> Result<(String, SpecialUses), MailError> {
        for (name, stored) in self.folders(mailbox)? {
            let found = Folder::decode(&stored)?;
            if found.id == folder {
                return Ok((name, found.uses));
            }
        }
        Ok((String::new(), SpecialUses::NONE))
    }

    /// What can be had back, folder by folder.
    pub fn deleted(&self, mailbox: &str, choice: &Choice) -> Result<Vec<Kept>, MailError> {
        let (from, to) = deleted::range(mailbox);
        let mut kept = Vec::new();
        for (key, value) in self.store.scan(&from, &to, usize::MAX)? {
            let deleted = Deleted::decode(&value)?;
            if choice.takes(&deleted) {
                let (message, _) = Message::decode(&deleted.message)?;
                kept.push(Kept { deleted, size: message.size, digest: message.digest, key });
            }
        }
        Ok(kept)
    }

    /// The octets of a deleted message.
    pub fn load_deleted(&self, kept: &Kept) -> Result<Vec<u8>, MailError> {
        let (message, _) = Message::decode(&kept.deleted.message)?;
        self.open_body(message.body, message.size, &message.digest)
    }

    /// Puts deleted messages back where they were, under new UIDs and without `\Deleted`; into a folder made anew where theirs is gone,
    /// for the uses it had as far as no other has them by now. Nothing is put back where not all of it fits. Some at a time are durable: asked again it goes on.
    /// How many. `request`: the digest of the owner's request.
    ///
    /// 1 what is meant, and that it fits · 2 its folder · 3 moved in one commit, counted and told of in the log · 4 sessions hear of it.
    pub fn restore(&self, mailbox: &str, choice: &Choice, request: &str, now_unix_millis: u64) -> Result<usize, MailError> {
        // 1
        let kept = self.deleted(mailbox, choice)?;
        let mut all = Use::default();
        kept.iter().for_each(|one| all.add(one.size));
        if !kept.is_empty() && !self.fits(mailbox, &all)? {
            return Err(MailError::OverQuota { delivery: 0 });
        }
        let mut by_name: BTreeMap<String, Vec<Kept>> = BTreeMap::new();
        let mut count = 0;
        for one in kept {
            by_name.entry(one.deleted.name.clone()).or_default().push(one);
        }
        for (name, kept) in by_name {
            // 2
            let last = kept.iter().max_by_key(|one| one.deleted.unix_millis);
            let name = self.folder_for(mailbox, &name, last.map_or(SpecialUses::NONE, |one| one.deleted.uses))?;
            for some in kept.chunks(AT_ONCE) {
                count += self.retried(|| self.put_back(mailbox, &name, some, request, now_unix_millis))?;
            }
        }
        Ok(count)
    }

    fn folder_for(&self, mailbox: &str, name: &str, uses: SpecialUses) -> Result<String, MailError> {
        if name.is_empty() {
            return Ok(INBOX.to_owned());
        }
        match self.create_folder_again(mailbox, name, uses) {
            Ok(_) | Err(MailError::FolderExists) => Ok(name.to_owned()),
            Err(MailError::TooManyFolders { .. } | MailError::NameTooLong) => Ok(INBOX.to_owned()),
            Err(error) => Err(error),
        }
    }

    fn put_back(&self, mailbox: &str, name: &str, kept: &[Kept], request: &str, now: u64) -> Result<usize, MailError> {
        let place = folder::key(mailbox, name);
        let stored = self.store.get(&place)?.ok_or(MailError::NoFolder)?;
        let target = Folder::decode(&stored)?;
        let (mut batch, mut steps) = (Batch::new().expect(Expectation::Equals(place, stored)), Steps::default());
        let (mut placed, mut more, mut digests) = (Vec::new(), Use::default(), Vec::new());
        for one in kept {
            // 3: one that was put back, or went for good, since it was looked for.
            if self.store.get(&one.key)?.is_none() {
                continue;
            }
            let (mut message, _) = Message::decode(&one.deleted.message)?;
            message.flags = message.flags.after(StoreOp::Remove, &Flags::new().with(SystemFlag::Deleted));
            message.saved_unix_millis = i64::try_from(now).ok();
            let (uid, step) = (batch.next(&target.uid_counter()), steps.of(&mut batch, mailbox, &target));
            batch = batch.expect(Expectation::Equals(one.key.clone(), one.deleted.encode())).delete(one.key.clone()).delete(deleted::time_key(mailbox, &one.deleted));
            batch = batch.put(message::new_key(target.id, uid), message.template(step));
            batch.add(&deleted::bytes_sum(mailbox), -i64::from(message.size));
            more.add(message.size);
            digests.extend_from_slice(&message.digest);
            placed.push((uid, message));
        }
        if placed.is_empty() {
            return Ok(0);
        }
        more.count(&mut batch, mailbox);
        let (messages, digests) = (placed.len() as u64, crate::hex(&body::digest(&digests)));
        let event = event::Restored { mailbox: mailbox.to_owned(), messages, digests, request: request.to_owned() };
        Event::MessagesRestored(event).append(&mut batch, now)?;
        let (receipt, mut done) = steps.commit(batch, &*self.store, &self.broadcast)?;
        // 4
        let count = placed.len();
        for (slot, message) in placed {
            let uid = receipt.counter(slot).and_then(|uid| u32::try_from(uid).ok()).ok_or(MailError::UidsExhausted)?;
            done.change(mailbox, target.id, |modseq| Ok(Change::New(message.info(uid, modseq)?)))?;
        }
        done.tell();
        self.note_came(mailbox, count);
        Ok(count)
    }

    /// What was deleted before `unix_millis` goes for good, each body with the last that has it; what a legal hold keeps stays. How many.
    /// `held` says whether a mailbox is held; a hold that comes at this moment wins.
    pub fn forget_deleted<E: From<MailError>>(&self, unix_millis: u64, held: &dyn Fn(&str) -> Result<bool, E>, go_on: &dyn Fn() -> bool) -> Result<usize, E> {
        let (mut from, to) = deleted::before(unix_millis);
        let mut count = 0;
        while go_on() {
            let page = self.store.scan(&from, &to, AT_ONCE).map_err(MailError::from)?;
            let Some((last, _)) = page.last() else { break };
            from = last.successor();
            let mut by_mailbox: BTreeMap<String, Vec<(Key, Key)>> = BTreeMap::new();
            for (by_time, value) in page {
                let (mailbox, folder, uid) = deleted::decode_place(&value).map_err(MailError::from)?;
                let key = deleted::key(&mailbox, folder, uid);
                by_mailbox.entry(mailbox).or_default().push((by_time, key));
            }
            for (mailbox, places) in by_mailbox {
                // Read before it is asked: a hold that comes after makes the commit fail.
                let unheld = self.unheld(&mailbox)?;
                if !held(&mailbox)? {
                    count += self.forget_some_deleted(&mailbox, &places, &unheld)?.unwrap_or(0);
                }
            }
        }
        Ok(count)
    }

    /// How many are gone; none where the mailbox is held from this moment on.
    fn forget_some_deleted(&self, mailbox: &str, places: &[(Key, Key)], unheld: &Expectation) -> Result<Option<usize>, MailError> {
        for _ in 0..super::messages::ATTEMPTS {
            let (mut batch, mut bodies, mut count) = (Batch::new().expect(unheld.clone()), BTreeMap::new(), 0);
            for (by_time, key) in places {
                batch = batch.delete(by_time.clone());
                let Some(found) = self.store.get(key)? else { continue };
                let (message, _) = Message::decode(&Deleted::decode(&found)?.message)?;
                batch = batch.expect(Expectation::Equals(key.clone(), found)).delete(key.clone());
                batch.add(&deleted::bytes_sum(mailbox), -i64::from(message.size));
                *bodies.entry((message.body, message.size)).or_insert(0_i64) -= 1;
                count += 1;
            }
            match self.store.commit(self.count(batch, &bodies)?) {
                Err(CommitError::Conflict { expectation: 0 }) => return Ok(None),
                Err(CommitError::Conflict { .. }) => continue,
                done => return Ok(done.map(|_| Some(count))?),
            }
        }
        Err(MailError::Busy)
    }

    /// What stands of holds on a mailbox, to be expected by a commit that deletes for good.
    fn unheld(&self, mailbox: &str) -> Result<Expectation, MailError> {
        let key = hold::mark_key(mailbox);
        Ok(match self.store.get(&key)? {
            Some(found) => Expectation::Equals(key, found),
            None => Expectation::Absent(key),
        })
    }

    /// Octets of deleted messages beyond their bound: a legal hold keeps them.
    pub(super) fn deleted_beyond(&self, mailbox: &str) -> Result<u64, MailError> {
        Ok(self.store.sum(&deleted::bytes_sum(mailbox))?.saturating_sub(self.deleted_bound(mailbox)))
    }

    fn deleted_bound(&self, mailbox: &str) -> u64 {
        let bytes = (self.quota)(mailbox).bytes;
        match self.deleted_percent {
            Some(percent) if bytes != u64::MAX => u64::try_from(u128::from(bytes) * u128::from(percent) / 100).unwrap_or(u64::MAX),
            _ => u64::MAX,
        }
    }

    /// As `bound_deleted` where no hold ever was, which is known without opening one: other mailboxes wait for the next look at all. What
    /// was deleted stays deleted when this fails, and is bounded with the next.
    pub(super) fn bound_deleted_now(&self, mailbox: &str) {
        let ever_held = || -> Result<bool, MailError> { Ok(matches!(self.unheld(mailbox)?, Expectation::Equals(..))) };
        if let Err(error) = self.bound_deleted(mailbox, &ever_held) {
            tracing::warn!(%error, "deleted messages beyond their bound are not gone yet");
        }
    }

    /// Of an owner's deleted messages the oldest go for good where they take more than their bound, with a sixteenth of it to spare, so
    /// that not each deletion looks at them all. How many.
    pub fn bound_deleted<E: From<MailError>>(&self, mailbox: &str, held: &dyn Fn() -> Result<bool, E>) -> Result<usize, E> {
        if self.deleted_beyond(mailbox)? == 0 {
            return Ok(0);
        }
        // Read before it is asked: a hold that comes after makes the commit fail.
        let unheld = self.unheld(mailbox)?;
        if held()? {
            return Ok(0);
        }
        let bound = self.deleted_bound(mailbox);
        let mut kept = self.deleted(mailbox, &Choice::default())?;
        kept.sort_by_key(|one| (one.deleted.unix_millis, one.deleted.folder, one.deleted.uid));
        let mut over = kept.iter().map(|one| u64::from(one.size)).sum::<u64>().saturating_sub(bound - bound / 16);
        let mut places = Vec::new();
        for one in kept.into_iter().take_while(|one| {
            let goes = over > 0;
            over = over.saturating_sub(u64::from(one.size));
            goes
        }) {
            places.push((deleted::time_key(mailbox, &one.deleted), one.key));
        }
        let mut count = 0;
        for some in places.chunks(AT_ONCE) {
            let Some(gone) = self.forget_some_deleted(mailbox, some, &unheld)? else { break };
            count += gone;
        }
        Ok(count)
    }

    /// How many messages share a body that is there once at least.
    #[cfg(test)]
    pub(super) fn sharing(&self, body: body::BodyId) -> u64 {
        self.store.get(&shared_key(body)).ok().flatten().and_then(|bytes| bytes.as_slice().try_into().ok().map(u64::from_be_bytes)).unwrap_or(1)
    }
}

#[cfg(test)]
#[path = "deleted_tests.rs"]
mod tests;
