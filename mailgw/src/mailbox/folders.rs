//! The folders of a mailbox and the names it subscribes to. Levels of a name are parted by `/`.

use std::collections::{BTreeMap, BTreeSet};

use protocol::imap::exchange::{AccountChanges, MailboxInfo, MailboxStatus, SpecialUse, SpecialUses};
use store::{Batch, CommitError, CounterSlot, Expectation};

use super::messages::{MailError, MessageStore};
use crate::record::folder::{self, DeletedFolder, Folder};
use crate::record::{RecordError, VERSION};

/// The most folders of one mailbox, and the most names it subscribes to. Creations that race can pass it by one each.
pub const MAX_FOLDERS: usize = 1_000;
/// Characters of a name.
const MAX_NAME: usize = 255;
const INBOX: &str = "INBOX";

const STANDARD: [(&str, Option<SpecialUse>); 6] = [
    (INBOX, None),
    ("Archive", Some(SpecialUse::Archive)),
    ("Drafts", Some(SpecialUse::Drafts)),
    ("Junk", Some(SpecialUse::Junk)),
    ("Sent", Some(SpecialUse::Sent)),
    ("Trash", Some(SpecialUse::Trash)),
];

/// The folders every mailbox begins with, all subscribed, added to the batch that opens it.
pub fn standard_folders(mut batch: Batch, mailbox: &str) -> Batch {
    for (name, special_use) in STANDARD {
        batch = added(batch, mailbox, name, special_use.into_iter().collect()).0.put(folder::subscription_key(mailbox, name), vec![VERSION]);
    }
    batch
}

/// The slot is that of its id.
fn added(mut batch: Batch, mailbox: &str, name: &str, uses: SpecialUses) -> (Batch, CounterSlot) {
    let id = batch.next(folder::IDS);
    let validity = batch.next(&folder::validity_counter(mailbox));
    (batch.put(folder::key(mailbox, name), folder::template(id, validity, uses)), id)
}

/// The uses that any of these folders has.
fn taken<'f>(folders: impl Iterator<Item = &'f Vec<u8>>) -> Result<SpecialUses, MailError> {
    let mut taken = SpecialUses::NONE;
    for stored in folders {
        taken = taken.with_all(Folder::decode(stored)?.uses);
    }
    Ok(taken)
}

/// Uses are given in this batch, if none were since `last` was read.
fn giving_uses(batch: Batch, mailbox: &str, last: Option<Vec<u8>>) -> Batch {
    let key = folder::uses_key(mailbox);
    let mut batch = batch.expect(last.map_or_else(|| Expectation::Absent(key.clone()), |last| Expectation::Equals(key.clone(), last)));
    let number = batch.next(&folder::uses_counter(mailbox));
    batch.put(key, folder::uses_template(number))
}

/// The levels above a name, the highest first.
fn above(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').filter_map(|(at, _)| name.get(..at))
}

fn is_below(name: &str, parent: &str) -> bool {
    name.strip_prefix(parent).is_some_and(|rest| rest.starts_with('/'))
}

impl MessageStore {
    /// Creates the levels above it that are missing, too. spec: rfc3501#6.3.3
    pub fn create_folder(&self, mailbox: &str, name: &str) -> Result<(), MailError> {
        self.create_folder_for(mailbox, name, SpecialUses::NONE).map(drop)
    }

    /// A folder for uses that no other of the mailbox has; its id. spec: rfc6154#3
    pub fn create_folder_for(&self, mailbox: &str, name: &str, uses: SpecialUses) -> Result<u64, MailError> {
        self.create(mailbox, name, uses, |uses, taken| if taken.meets(uses) { Err(MailError::UseTaken) } else { Ok(uses) })
    }

    /// A folder that was deleted, for those of its uses that no other has by now; its id.
    pub(super) fn create_folder_again(&self, mailbox: &str, name: &str, uses: SpecialUses) -> Result<u64, MailError> {
        self.create(mailbox, name, uses, |uses, taken| Ok(uses.without(taken)))
    }

    /// `given`: of the uses asked for, and those that other folders have, what it gets.
    fn create(&self, mailbox: &str, name: &str, asked: SpecialUses, given: impl Fn(SpecialUses, SpecialUses) -> Result<SpecialUses, MailError>) -> Result<u64, MailError> {
        let id = self.retried(|| {
            // Read before the folders: what is given since then is a conflict.
            let last = if asked.is_empty() { None } else { Some(self.store.get(&folder::uses_key(mailbox))?) };
            let folders = self.folders(mailbox)?;
            let mut batch = self.room_for(Batch::new(), mailbox, name, &folders)?;
            batch = batch.expect(Expectation::Absent(folder::key(mailbox, name)));
            let mut uses = SpecialUses::NONE;
            if let Some(last) = last {
                uses = given(asked, taken(folders.values())?)?;
                batch = giving_uses(batch, mailbox, last);
            }
            let (batch, id) = added(batch, mailbox, name, uses);
            self.store.commit(batch)?.counter(id).ok_or(MailError::Commit(CommitError::UnknownSlot))
        })?;
        self.broadcast.note(mailbox, AccountChanges::mailboxes);
        Ok(id)
    }

    /// Adds to a batch that a folder is for these uses and for no others; none of them may be another folder's. spec: rfc6154#4
    pub(super) fn with_uses(&self, mut batch: Batch, mailbox: &str, name: &str, uses: SpecialUses) -> Result<Batch, MailError> {
        // What comes in is nobody's sent mail, and what is junk goes elsewhere.
        if name == INBOX && !uses.is_empty() {
            return Err(MailError::NoSuchUse);
        }
        // Read before the folders: what is given since then is a conflict.
        let last = self.store.get(&folder::uses_key(mailbox))?;
        let folders = self.folders(mailbox)?;
        let stored = folders.get(name).ok_or(MailError::NoFolder)?;
        if taken(folders.iter().filter(|(other, _)| *other != name).map(|(_, stored)| stored))?.meets(uses) {
            return Err(MailError::UseTaken);
        }
        let (key, changed) = (folder::key(mailbox, name), Folder { uses, ..Folder::decode(stored)? });
        batch = batch.expect(Expectation::Equals(key.clone(), stored.clone())).put(key, changed.encode());
        Ok(if uses.is_empty() { batch } else { giving_uses(batch, mailbox, last) })
    }

    /// Its messages go too; folders below it stay. spec: rfc3501#6.3.4
    pub fn delete_folder(&self, mailbox: &str, name: &str, now_unix_millis: u64) -> Result<(), MailError> {
        if name == INBOX {
            return Err(MailError::Inbox);
        }
        let renaming = self.broadcast.renaming(mailbox);
        let (id, deleted) = self.retried(|| {
            let key = folder::key(mailbox, name);
            let stored = self.store.get(&key)?.ok_or(MailError::NoFolder)?;
            let Folder { id, uses, .. } = Folder::decode(&stored)?;
            let deleted = DeletedFolder { mailbox: mailbox.to_owned(), name: name.to_owned(), uses, unix_millis: now_unix_millis };
            let batch = Batch::new().expect(Expectation::Equals(key.clone(), stored)).delete(key);
            self.store.commit(batch.put(folder::deleted_key(id), deleted.encode()))?;
            Ok((id, deleted))
        })?;
        drop(renaming);
        self.broadcast.end(mailbox, id);
        self.broadcast.note(mailbox, AccountChanges::mailboxes);
        self.sweep_folder(id, &deleted)
    }

    /// Ends what a crash interrupted: messages of deleted folders that are still there. Call it once at start.
    pub fn sweep(&self) -> Result<(), MailError> {
        let (from, to) = folder::deleted();
        for (key, stored) in self.store.scan(&from, &to, usize::MAX)? {
            let damaged = || RecordError::Damaged { kind: "deleted folder", reason: "it names no folder and mailbox" };
            let deleted = DeletedFolder::decode(&stored).ok_or_else(damaged)?;
            self.sweep_folder(folder::deleted_id(&key).ok_or_else(damaged)?, &deleted)?;
        }
        Ok(())
    }

    fn sweep_folder(&self, id: u64, deleted: &DeletedFolder) -> Result<(), MailError> {
        let mailbox = &deleted.mailbox;
        while self.sweep_some(id, deleted)? {
            self.bound_deleted_now(mailbox);
        }
        self.sweep_annotations(mailbox, id)?;
        self.sweep_tombstones(id)?;
        self.store.commit(Batch::new().delete(folder::deleted_key(id)))?;
        Ok(())
    }

    /// Folders below move along. INBOX stays, empty, and its messages come under the new name. spec: rfc3501#6.3.5
    pub fn rename_folder(&self, mailbox: &str, from: &str, to: &str) -> Result<(), MailError> {
        let renaming = self.broadcast.renaming(mailbox);
        let left = self.retried(|| {
            let folders = self.folders(mailbox)?;
            let mut batch = self.room_for(Batch::new(), mailbox, to, &folders)?;
            let moves = |name: &str| name == from || (from != INBOX && is_below(name, from));
            let (mut found, mut left) = (false, None);
            for (name, stored) in folders.iter().filter(|(name, _)| moves(name)) {
                found = true;
                let new = format!("{to}{}", name.strip_prefix(from).unwrap_or_default());
                if new.chars().count() > MAX_NAME {
                    return Err(MailError::NameTooLong);
                }
                if folders.contains_key(&new) {
                    return Err(MailError::FolderExists);
                }
                let (old, new) = (folder::key(mailbox, name), folder::key(mailbox, &new));
                batch = batch.expect(Expectation::Equals(old.clone(), stored.clone())).expect(Expectation::Absent(new.clone()));
                batch = batch.put(new, stored.as_slice());
                if from == INBOX {
                    left = Some(Folder::decode(stored)?.id);
                    batch = added(batch, mailbox, INBOX, SpecialUses::NONE).0;
                } else {
                    batch = batch.delete(old);
                }
            }
            if !found {
                return Err(MailError::NoFolder);
            }
            // A folder below itself would be at no place that can be reached.
            if from != INBOX && is_below(to, from) {
                return Err(MailError::IntoItself);
            }
            self.store.commit(batch)?;
            Ok(left)
        })?;
        drop(renaming);
        // Sessions with INBOX open looked at the folder that has another name now.
        if let Some(id) = left {
            self.broadcast.end(mailbox, id);
        }
        self.broadcast.note(mailbox, AccountChanges::mailboxes);
        Ok(())
    }

    /// The name stays subscribed when its folder is deleted. spec: rfc3501#6.3.6
    pub fn subscribe(&self, mailbox: &str, name: &str) -> Result<(), MailError> {
        let (from, to) = folder::subscriptions(mailbox);
        self.folder(mailbox, name)?;
        if self.store.scan(&from, &to, MAX_FOLDERS)?.len() >= MAX_FOLDERS {
            return Err(MailError::TooManyFolders { limit: MAX_FOLDERS });
        }
        self.store.commit(Batch::new().put(folder::subscription_key(mailbox, name), vec![VERSION]))?;
        self.broadcast.note(mailbox, AccountChanges::mailboxes);
        Ok(())
    }

    pub fn unsubscribe(&self, mailbox: &str, name: &str) -> Result<(), MailError> {
        self.store.commit(Batch::new().delete(folder::subscription_key(mailbox, name)))?;
        self.broadcast.note(mailbox, AccountChanges::mailboxes);
        Ok(())
    }

    /// All folders, the names subscribed to, and the levels above them, in the order of their names, INBOX first.
    pub fn list(&self, mailbox: &str) -> Result<Vec<MailboxInfo>, MailError> {
        let folders = self.folders(mailbox)?;
        let (from, to) = folder::subscriptions(mailbox);
        let subscribed = self.store.scan(&from, &to, MAX_FOLDERS)?;
        let subscribed = subscribed.iter().map(|(key, _)| folder::name(key)).collect::<Result<BTreeSet<_>, _>>()?;
        let parents: BTreeSet<&str> = folders.keys().flat_map(|name| above(name)).collect();
        let mut names: BTreeSet<&str> = folders.keys().chain(&subscribed).map(String::as_str).collect();
        names.extend(folders.keys().chain(&subscribed).flat_map(|name| above(name)));
        let info = |name: &str| {
            let folder = folders.get(name).map(|stored| Folder::decode(stored)).transpose()?;
            Ok(MailboxInfo {
                name: name.to_owned(),
                id: folder.map(|folder| folder.id),
                subscribed: subscribed.contains(name),
                uses: folder.map_or(SpecialUses::NONE, |folder| folder.uses),
                has_children: parents.contains(name),
            })
        };
        let (inbox, others): (Vec<&str>, Vec<&str>) = names.into_iter().partition(|name| *name == INBOX);
        inbox.into_iter().chain(others).map(info).collect()
    }

    pub fn status(&self, mailbox: &str, name: &str) -> Result<MailboxStatus, MailError> {
        let view = self.view(mailbox, name)?;
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let sums = view.messages.sums();
        Ok(MailboxStatus {
            messages: count(view.messages.len()),
            unseen: count(sums.unseen),
            deleted: count(sums.deleted),
            deleted_size: sums.deleted_octets,
            id: view.folder.id,
            size: sums.octets,
            uid_next: view.uid_next,
            uid_validity: view.folder.uid_validity,
            highest_modseq: view.highest_modseq,
        })
    }

    /// The name of the mailbox's folder for a use, where it has one.
    pub fn folder_of_use(&self, mailbox: &str, special_use: SpecialUse) -> Result<Option<String>, MailError> {
        for (name, stored) in self.folders(mailbox)? {
            if Folder::decode(&stored)?.uses.has(special_use) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    pub(super) fn folder_ids(&self, mailbox: &str) -> Result<Vec<u64>, MailError> {
        self.folders(mailbox)?.values().map(|stored| Ok(Folder::decode(stored)?.id)).collect()
    }

    /// The records of a mailbox's folders by name.
    pub(super) fn folders(&self, mailbox: &str) -> Result<BTreeMap<String, Vec<u8>>, MailError> {
        let (from, to) = folder::range(mailbox);
        let found = self.store.scan(&from, &to, usize::MAX)?;
        Ok(found.into_iter().map(|(key, stored)| Ok((folder::name(&key)?, stored))).collect::<Result<_, RecordError>>()?)
    }

    /// A batch that makes the missing levels above `name`, which must not exist itself.
    fn room_for(&self, mut batch: Batch, mailbox: &str, name: &str, folders: &BTreeMap<String, Vec<u8>>) -> Result<Batch, MailError> {
        if folders.contains_key(name) {
            return Err(MailError::FolderExists);
        }
        if name.chars().count() > MAX_NAME {
            return Err(MailError::NameTooLong);
        }
        let missing: Vec<&str> = above(name).filter(|level| !folders.contains_key(*level)).collect();
        if folders.len() + missing.len() >= MAX_FOLDERS {
            return Err(MailError::TooManyFolders { limit: MAX_FOLDERS });
        }
        for level in missing {
            batch = added(batch.expect(Expectation::Absent(folder::key(mailbox, level))), mailbox, level, SpecialUses::NONE).0;
        }
        Ok(batch)
    }
}

#[cfg(test)]
#[path = "folders_tests.rs"]
mod tests;
