//! Messages in folders: delivery in one commit, the view of a folder, bodies.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use keys::{DataKey, DataKeyError};
use protocol::imap::exchange::{Flags, MessageInfo};
use store::{Batch, CommitError, Expectation, Store, StoreError};

use crate::record::body::{self, BodyId};
use crate::record::event::Event;
use crate::record::folder::{self, Folder};
use crate::record::message::{self, Message};
use crate::record::{RecordError, event};

/// Ids of bodies are reserved in blocks, so that a body can be sealed for its id before its commit.
const BLOCK: u64 = 1 << 20;
/// Commits that lose a race are decided anew, this many times.
pub(super) const ATTEMPTS: usize = 64;
/// The most messages of one delivery.
pub const MAX_BATCH: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    #[error("the folder does not exist; create it first")]
    NoFolder,
    #[error("the folder exists already; choose another name")]
    FolderExists,
    #[error("the message is gone")]
    Gone,
    #[error("the message has {size} bytes and the limit is {limit}; send less", limit = body::MAX_BYTES)]
    TooLarge { size: usize },
    #[error("{count} messages are too many for one delivery; send at most {MAX_BATCH}")]
    TooMany { count: usize },
    #[error("others changed the same records again and again; try again")]
    Busy,
    #[error("the folder has given all its UIDs; move its messages to another")]
    UidsExhausted,
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Key(#[from] DataKeyError),
}

pub struct Delivery {
    pub mailbox: String,
    pub folder: String,
    pub bytes: Vec<u8>,
    pub unix_millis: i64,
    pub flags: Flags,
}

/// Where a message came to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uid {
    pub uid_validity: u32,
    pub uid: u32,
}

/// A folder as a session opens it; `messages` ascend and `uid_next` is above them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub folder: Folder,
    pub uid_next: u32,
    pub highest_modseq: u64,
    pub messages: Vec<MessageInfo>,
}

pub struct MessageStore {
    pub(super) store: Arc<dyn Store>,
    key: Arc<DataKey>,
    body_ids: Mutex<Range<u64>>,
}

impl MessageStore {
    pub fn new(store: Arc<dyn Store>, key: Arc<DataKey>) -> Self {
        Self { store, key, body_ids: Mutex::new(0..0) }
    }

    pub fn create_folder(&self, mailbox: &str, name: &str) -> Result<(), MailError> {
        let key = folder::key(mailbox, name);
        let mut batch = Batch::new().expect(Expectation::Absent(key.clone()));
        let id = batch.next(folder::IDS);
        let validity = batch.next(&folder::validity_counter(mailbox));
        match self.store.commit(batch.put(key, folder::template(id, validity))) {
            Err(CommitError::Conflict { .. }) => Err(MailError::FolderExists),
            done => Ok(done.map(|_| ())?),
        }
    }

    pub fn folder(&self, mailbox: &str, name: &str) -> Result<Folder, MailError> {
        let found = self.store.get(&folder::key(mailbox, name))?.ok_or(MailError::NoFolder)?;
        Ok(Folder::decode(&found)?)
    }

    /// All messages in one durable commit, or none: each in its folder, with its body and its leaf of the log.
    pub fn deliver(&self, deliveries: &[Delivery], now_unix_millis: u64) -> Result<Vec<Uid>, MailError> {
        if deliveries.len() > MAX_BATCH {
            return Err(MailError::TooMany { count: deliveries.len() });
        }
        let bodies: Vec<_> = deliveries.iter().map(|delivery| self.body(&delivery.bytes)).collect::<Result<_, _>>()?;
        for _ in 0..ATTEMPTS {
            let mut batch = Batch::new();
            let mut slots = Vec::with_capacity(deliveries.len());
            for (delivery, (id, size, digest, sealed)) in deliveries.iter().zip(&bodies) {
                // A folder renamed or deleted meanwhile fails the expectation: nothing goes to a folder that is gone.
                let key = folder::key(&delivery.mailbox, &delivery.folder);
                let found = self.store.get(&key)?.ok_or(MailError::NoFolder)?;
                let folder = Folder::decode(&found)?;
                let (uid, step) = (batch.next(&folder.uid_counter()), batch.next(&folder.modseq_counter()));
                let flags = delivery.flags.clone();
                let message = Message { body: *id, unix_millis: delivery.unix_millis, size: *size, digest: *digest, flags };
                let accepted = event::Message { mailbox: delivery.mailbox.clone(), digest: hex(digest), size: u64::from(*size) };
                Event::MessageAccepted(accepted).append(&mut batch, now_unix_millis)?;
                batch = batch.expect(Expectation::Equals(key, found)).put(message::new_key(folder.id, uid), message.template(step));
                batch = batch.put(id.key(), sealed.as_slice());
                slots.push((folder.uid_validity, uid));
            }
            match self.store.commit(batch) {
                Err(CommitError::Conflict { .. }) => continue,
                Err(error) => return Err(error.into()),
                Ok(receipt) => {
                    let uid = |slot| receipt.counter(slot).and_then(|uid| u32::try_from(uid).ok()).ok_or(MailError::UidsExhausted);
                    return slots.into_iter().map(|(uid_validity, slot)| Ok(Uid { uid_validity, uid: uid(slot)? })).collect();
                }
            }
        }
        Err(MailError::Busy)
    }

    /// Counters are read before the messages, so a message delivered meanwhile is left to the next look.
    pub fn view(&self, mailbox: &str, name: &str) -> Result<View, MailError> {
        let folder = self.folder(mailbox, name)?;
        let last = u32::try_from(self.store.counter(&folder.uid_counter())?).map_err(|_| MailError::UidsExhausted)?;
        let uid_next = last.checked_add(1).ok_or(MailError::UidsExhausted)?;
        let highest_modseq = self.store.counter(&folder.modseq_counter())?.saturating_add(1);
        let (from, _) = message::range(folder.id);
        let found = self.store.scan(&from, &message::key(folder.id, uid_next), usize::MAX)?;
        let info = |(key, value): &(store::Key, Vec<u8>)| {
            let (message, modseq) = Message::decode(value)?;
            message.info(message::uid(folder.id, key)?, modseq)
        };
        let messages = found.iter().map(info).collect::<Result<_, RecordError>>()?;
        Ok(View { folder, uid_next, highest_modseq, messages })
    }

    /// The bytes as they were delivered; their digest is checked.
    pub fn load(&self, folder: &Folder, uid: u32) -> Result<Vec<u8>, MailError> {
        let found = self.store.get(&message::key(folder.id, uid))?.ok_or(MailError::Gone)?;
        let (message, _) = Message::decode(&found)?;
        let sealed = self.store.get(&message.body.key())?;
        let sealed = sealed.ok_or(RecordError::Damaged { kind: "body", reason: "it is missing though its message stands" })?;
        Ok(body::open(message.body, &sealed, message.size, &message.digest, &self.key)?)
    }

    fn body(&self, bytes: &[u8]) -> Result<(BodyId, u32, [u8; 32], Vec<u8>), MailError> {
        let too_large = || MailError::TooLarge { size: bytes.len() };
        let size = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= body::MAX_BYTES).ok_or_else(too_large)?;
        let id = self.next_body_id()?;
        Ok((id, size, body::digest(bytes), body::seal(id, bytes, &self.key)?))
    }

    fn next_body_id(&self) -> Result<BodyId, MailError> {
        // A panic elsewhere leaves a range that is still whole.
        let mut ids = self.body_ids.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(id) = ids.next() {
            return Ok(BodyId(id));
        }
        let mut batch = Batch::new();
        let slot = batch.next("body block");
        let block = self.store.commit(batch)?.counter(slot).ok_or(CommitError::UnknownSlot)?;
        let first = block.saturating_mul(BLOCK);
        *ids = first + 1..first.saturating_add(BLOCK);
        Ok(BodyId(first))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;
