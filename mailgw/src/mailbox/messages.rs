//! Messages in folders: the view of a folder, bodies.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use keys::{DataKey, DataKeyError};
use protocol::imap::exchange::Messages;
use store::{Batch, CommitError, ReadyRecord, Store, StoreError};

use super::account_watch::AccountWatch;
use super::broadcast::{Broadcast, Watch};
use super::deliver::MAX_BATCH;
use super::dictionaries::Dictionaries;
use super::fetched::Fetched;
use super::fresh::{self, Fresh};
use super::index::{self, Due};
use super::outlines;
use super::quota::Quota;
use super::rules::RuleError;
use super::views::Kept;
use crate::record::RecordError;
use crate::record::body::{self, BodyId};
use crate::record::dictionary::Dictionary;
use crate::record::folder::{self, Folder};
use crate::record::message::{self, Message};

/// Ids of bodies are reserved in blocks, so that a body can be sealed for its id before its commit.
const BLOCK: u64 = 1 << 20;
/// Commits that lose a race are decided anew, this many times.
pub(super) const ATTEMPTS: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    #[error("the folder does not exist; create it first")]
    NoFolder,
    #[error("the folder exists already; choose another name")]
    FolderExists,
    #[error("another folder has that use; delete it first")]
    UseTaken,
    #[error("no folder is kept for that use here, and INBOX for none; choose another")]
    NoSuchUse,
    #[error("the folder is INBOX, which stays; choose another")]
    Inbox,
    #[error("a folder cannot go below itself; choose another name")]
    IntoItself,
    #[error("the name is longer than 255 characters; choose a shorter one")]
    NameTooLong,
    #[error("the mailbox has {limit} folders and may have no more; delete some")]
    TooManyFolders { limit: usize },
    #[error("the message is gone")]
    Gone,
    #[error("delivery {delivery} does not fit into its mailbox; delete messages there")]
    OverQuota { delivery: usize },
    #[error("expectation {expectation} of the caller does not hold; read again and decide anew")]
    Conflict { expectation: usize },
    #[error("the message has {size} bytes and the limit is {limit}; send less", limit = body::MAX_BYTES)]
    TooLarge { size: usize },
    #[error("{count} messages are too many for one delivery; send at most {MAX_BATCH}")]
    TooMany { count: usize },
    #[error("{count} messages with their flags are too much for one change; change fewer at once")]
    TooMuchAtOnce { count: usize },
    #[error("the mailbox has {limit} annotations and may have no more; remove some")]
    TooManyAnnotations { limit: usize },
    #[error(transparent)]
    Rules(#[from] RuleError),
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

/// A message's bytes, compressed and sealed for their place in the store. Deliveries of one commit may share it; a second
/// commit may not.
pub struct Body {
    pub(super) id: BodyId,
    pub(super) size: u32,
    pub(super) digest: [u8; 32],
    pub(super) records: Vec<ReadyRecord>,
    /// It bears the mark of a verified sender.
    pub(super) verified: bool,
}

impl Body {
    /// SHA-256 of the message.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Octets of the message.
    pub fn size(&self) -> u32 {
        self.size
    }

    pub fn id(&self) -> BodyId {
        self.id
    }

    /// Kept by the batch outside of every mailbox: whoever keeps it there deletes it.
    pub(crate) fn put(&self, batch: Batch) -> Batch {
        self.records.iter().fold(batch, Batch::put_ready)
    }
}

/// A folder as a session opens it; `messages` ascend and `uid_next` is above them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub folder: Folder,
    pub uid_next: u32,
    pub highest_modseq: u64,
    pub messages: Messages,
}

pub struct MessageStore {
    pub(super) store: Arc<dyn Store>,
    pub(super) broadcast: Arc<Broadcast>,
    /// What a mailbox may hold.
    pub(super) quota: Box<dyn Fn(&str) -> Quota + Send + Sync>,
    /// Bytes beyond it, for notices.
    pub(super) reserve: u64,
    /// How full a mailbox is when its owner is warned, percent, ascending.
    pub(super) warnings: Vec<u8>,
    /// How much of the quota's octets deleted messages may take beside it, percent.
    pub(super) deleted_percent: Option<u16>,
    pub(super) key: Arc<DataKey>,
    pub(super) due: Due,
    pub(super) outlines_due: Due,
    /// Statements that clients' programs got.
    pub(super) fetched: Fetched,
    /// Messages that came of late, as they came.
    pub(super) fresh: Fresh,
    pub(super) dictionaries: Dictionaries,
    body_ids: Mutex<Range<u64>>,
}

impl MessageStore {
    /// Without a quota.
    pub fn new(store: Arc<dyn Store>, key: Arc<DataKey>) -> Self {
        Self { store, key, broadcast: Arc::default(), due: Due::new(index::LEAST), outlines_due: Due::new(outlines::LEAST), fetched: Fetched::default(), fresh: Fresh::default(), quota: Box::new(|_| Quota::NONE), reserve: 0, warnings: Vec::new(), deleted_percent: None, dictionaries: Dictionaries::default(), body_ids: Mutex::new(0..0) }
    }

    /// What each mailbox may hold. Deliveries that race can pass the limit by what is under way.
    pub fn with_quota(mut self, quota: impl Fn(&str) -> Quota + Send + Sync + 'static) -> Self {
        self.quota = Box::new(quota);
        self
    }

    /// Bytes that a full mailbox still takes, of notices alone.
    pub fn with_reserve(mut self, bytes: u64) -> Self {
        self.reserve = bytes;
        self
    }

    /// Deleted messages take so much of the quota's octets beside it, percent.
    pub fn with_deleted(mut self, percent: u16) -> Self {
        self.deleted_percent = Some(percent);
        self
    }

    /// Owners are warned when their mailboxes are so full, percent, ascending.
    pub fn with_warnings(mut self, percent: &[u8]) -> Self {
        self.warnings = percent.to_vec();
        self
    }

    pub fn folder(&self, mailbox: &str, name: &str) -> Result<Folder, MailError> {
        let found = self.store.get(&folder::key(mailbox, name))?.ok_or(MailError::NoFolder)?;
        Ok(Folder::decode(&found)?)
    }

    /// The changes committed to this folder from now on. What is read after this call holds all that came before.
    pub fn watch(&self, mailbox: &str, folder: &Folder) -> Result<Watch, MailError> {
        self.broadcast.watch(mailbox, folder.id, || Ok(self.store.counter(&folder::steps(mailbox))?))
    }

    /// All that is committed to the mailbox from now on, whichever the folder.
    pub fn watch_account(&self, mailbox: &str) -> AccountWatch {
        self.broadcast.watch_account(mailbox)
    }

    /// A folder as it is, and what is committed to it from then on, with no gap between. A change may be in both.
    pub fn open(&self, mailbox: &str, name: &str) -> Result<(View, Watch), MailError> {
        for _ in 0..ATTEMPTS {
            let renamings = self.broadcast.renamings();
            let watch = self.watch(mailbox, &self.folder(mailbox, name)?)?;
            let view = self.view(mailbox, name)?;
            // Another folder may have come to bear the name in between.
            if watch.is_of(&view.folder) {
                self.broadcast.named(mailbox, name, view.folder, renamings);
                return Ok((view, watch));
            }
        }
        Err(MailError::Busy)
    }

    /// As `open`, without a look at the store and without waiting for anyone, where the folder is kept as it is: what was answered before
    /// this call is in it.
    pub fn open_kept(&self, mailbox: &str, name: &str) -> Option<(View, Watch)> {
        let (folder, Kept { messages, uid_next, highest_modseq }, watch) = self.broadcast.opened(mailbox, name)?;
        Some((View { folder, uid_next, highest_modseq, messages }, watch))
    }

    /// The bytes as they were delivered. Where they are read from the store their digest is checked.
    pub fn load(&self, folder: &Folder, uid: u32) -> Result<Vec<u8>, MailError> {
        self.load_from(folder.id, uid)
    }

    pub(super) fn load_from(&self, folder: u64, uid: u32) -> Result<Vec<u8>, MailError> {
        Ok(self.load_with_digest(folder, uid)?.0)
    }

    /// With their SHA-256.
    pub(crate) fn load_with_digest(&self, folder: u64, uid: u32) -> Result<(Vec<u8>, [u8; 32]), MailError> {
        let found = self.store.get(&message::key(folder, uid))?.ok_or(MailError::Gone)?;
        let (message, _) = Message::decode(&found)?;
        if let Some(bytes) = self.fresh.get(message.body) {
            return Ok((bytes.to_vec(), message.digest));
        }
        let sealed = self.store.get(&message.body.key())?;
        let sealed = sealed.ok_or(RecordError::Damaged { kind: "body", reason: "it is missing though its message stands" })?;
        Ok((self.opened(message.body, &sealed, message.size, &message.digest)?, message.digest))
    }

    /// The bytes of a body that stands outside of mailboxes.
    pub(crate) fn open_body(&self, id: BodyId, size: u32, digest: &[u8; 32]) -> Result<Vec<u8>, MailError> {
        let sealed = self.store.get(&id.key())?.ok_or(MailError::Gone)?;
        self.opened(id, &sealed, size, digest)
    }

    fn opened(&self, id: BodyId, sealed: &[u8], size: u32, digest: &[u8; 32]) -> Result<Vec<u8>, MailError> {
        body::open(id, sealed, size, digest, &self.key, |number| self.dictionary(number), |piece| Ok(self.store.get(piece)?))
    }

    /// Compresses and seals: the part of a delivery that takes time and can be done ahead. A mark of a verified sender that is not
    /// true is taken out, and nothing else is changed.
    pub fn body(&self, bytes: &[u8]) -> Result<Body, MailError> {
        let (pieces, mark) = self.unforged(bytes);
        let pieces: Vec<&[u8]> = pieces.iter().map(AsRef::as_ref).collect();
        self.sealed(&pieces, mark.is_some(), None)
    }

    /// Of pieces one after another; with a dictionary of the store, or the one that serves all mail.
    pub(super) fn sealed(&self, pieces: &[&[u8]], verified: bool, dictionary: Option<&Arc<Dictionary>>) -> Result<Body, MailError> {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let size = u32::try_from(length).ok().filter(|_| length <= body::MAX_BYTES).ok_or(MailError::TooLarge { size: length })?;
        let id = self.next_body_id()?;
        // A small one is put together once, for all that read it now and in the next moments.
        let whole = (length <= fresh::LARGEST).then(|| Arc::new(pieces.concat()));
        let whole_piece = whole.as_ref().map(|whole| [whole.as_slice()]);
        let pieces = whole_piece.as_ref().map_or(pieces, |piece| piece.as_slice());
        if let (Some(whole), None) = (&whole, dictionary) {
            self.fresh.note(id, Arc::clone(whole));
        }
        Ok(Body { id, size, digest: body::digest_of(pieces), records: body::seal(id, pieces, dictionary, &self.key)?, verified })
    }

    /// Messages that came of late, held in memory as they came.
    pub fn fresh(&self) -> &Fresh {
        &self.fresh
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

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;
