//! Messages in folders: delivery in one commit, the view of a folder, bodies.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use keys::{DataKey, DataKeyError};
use protocol::imap::exchange::{Change, Flags, Messages};
use store::{Batch, CommitError, CounterSlot, Expectation, Receipt, Store, StoreError};
use tokio::sync::oneshot;

use super::change::shared_key;
use super::account_watch::AccountWatch;
use super::broadcast::{Broadcast, Watch};
use super::dictionaries::Dictionaries;
use super::fetched::Fetched;
use super::index::{self, Due};
use super::outlines;
use super::marks::{self, Mark};
use super::quota::{Quota, Use};
use super::rules::RuleError;
use super::steps::Steps;
use super::trusted;
use crate::record::body::{self, BodyId};
use crate::record::dictionary::Dictionary;
use crate::record::event::Event;
use crate::record::folder::{self, Folder};
use crate::record::message::{self, Message};
use crate::record::{RecordError, event, warning};

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
    id: BodyId,
    size: u32,
    digest: [u8; 32],
    sealed: Vec<u8>,
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
        batch.put(self.id.key(), self.sealed.as_slice())
    }
}

/// What a delivery brings.
#[derive(Clone)]
pub enum Content {
    Bytes(Vec<u8>),
    Body(Arc<Body>),
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Arc<Body>> for Content {
    fn from(body: Arc<Body>) -> Self {
        Self::Body(body)
    }
}

pub struct Delivery {
    pub mailbox: String,
    pub folder: String,
    pub content: Content,
    pub unix_millis: i64,
    pub flags: Flags,
    /// The leaf of the log; `None`: `MessageAccepted`.
    pub event: Option<Event>,
    /// What it says of another message of the mailbox.
    pub mark: Option<Mark>,
}

/// What keeps a delivery from a mailbox.
#[derive(Clone, Copy)]
enum Room {
    /// That it would overfill it.
    Asked,
    /// That it is full already.
    Promised,
    /// That the reserve is used up, too.
    Reserve,
    /// As promised for the first of them, as the reserve for the rest.
    PromisedThenReserve(usize),
}

/// Deliveries put together, before their commit.
pub struct Assembled {
    batch: Batch,
    steps: Steps,
    placed: Vec<Placed>,
    marked: Vec<marks::Marked>,
}

/// A message in its place, whose UID the commit gives.
struct Placed {
    mailbox: String,
    folder: Folder,
    uid: CounterSlot,
    message: Message,
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
    pub(super) dictionaries: Dictionaries,
    body_ids: Mutex<Range<u64>>,
}

impl MessageStore {
    /// Without a quota.
    pub fn new(store: Arc<dyn Store>, key: Arc<DataKey>) -> Self {
        Self { store, key, broadcast: Arc::default(), due: Due::new(index::LEAST), outlines_due: Due::new(outlines::LEAST), fetched: Fetched::default(), quota: Box::new(|_| Quota::NONE), reserve: 0, warnings: Vec::new(), deleted_percent: None, dictionaries: Dictionaries::default(), body_ids: Mutex::new(0..0) }
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

    /// All messages in one durable commit, or none: each in its folder, with its body and its leaf of the log.
    pub fn deliver(&self, deliveries: &[Delivery], now_unix_millis: u64) -> Result<Vec<Uid>, MailError> {
        self.deliver_with(deliveries, Batch::new(), now_unix_millis)
    }

    /// As `deliver`, with what `with` holds in the same commit. An expectation of `with` that does not hold is a `Conflict`.
    pub fn deliver_with(&self, deliveries: &[Delivery], with: Batch, now_unix_millis: u64) -> Result<Vec<Uid>, MailError> {
        self.delivered(deliveries, with, now_unix_millis, Room::Asked)
    }

    /// As `deliver_with`, into mailboxes that were promised room for it: only one that is full meanwhile is in the way, not
    /// one that this message overfills.
    pub fn deliver_promised(&self, deliveries: &[Delivery], with: Batch, now_unix_millis: u64) -> Result<Vec<Uid>, MailError> {
        self.delivered(deliveries, with, now_unix_millis, Room::Promised)
    }

    /// As `deliver_promised` for the first `promised` of them, and as `deliver_notices` for the rest, all in one commit.
    pub fn deliver_promised_and_notices(&self, deliveries: &[Delivery], promised: usize, with: Batch, now_unix_millis: u64) -> Result<Vec<Uid>, MailError> {
        self.delivered(deliveries, with, now_unix_millis, Room::PromisedThenReserve(promised))
    }

    /// As `deliver_promised`, of what the gateway itself has to tell: a mailbox is full for it when the reserve is used up, too.
    pub fn deliver_notices(&self, notices: &[Delivery], with: Batch, now_unix_millis: u64) -> Result<Vec<Uid>, MailError> {
        self.delivered(notices, with, now_unix_millis, Room::Reserve)
    }

    fn delivered(&self, deliveries: &[Delivery], with: Batch, now_unix_millis: u64, room: Room) -> Result<Vec<Uid>, MailError> {
        // Whatever race a commit loses, each body is sealed once.
        let bodies = self.bodies(deliveries)?;
        let theirs = with.expectations();
        for _ in 0..ATTEMPTS {
            let assembled = self.assemble(deliveries, &bodies, with.clone(), now_unix_millis, room)?;
            match self.commit(assembled) {
                Err(MailError::Commit(CommitError::Conflict { expectation })) if expectation < theirs => {
                    return Err(MailError::Conflict { expectation });
                }
                Err(MailError::Commit(CommitError::Conflict { .. })) => continue,
                done => return done,
            }
        }
        Err(MailError::Busy)
    }

    /// What `deliver_with`, or of notices `deliver_notices`, would commit: read and put together ahead, while others commit. The room of a
    /// mailbox is that of now.
    pub fn assembled(&self, deliveries: &[Delivery], with: Batch, now_unix_millis: u64, notices: bool) -> Result<Assembled, MailError> {
        self.assemble(deliveries, &self.bodies(deliveries)?, with, now_unix_millis, if notices { Room::Reserve } else { Room::Asked })
    }

    /// As `assembled`, of what `deliver_promised` would commit.
    pub fn assembled_promised(&self, deliveries: &[Delivery], with: Batch, now_unix_millis: u64) -> Result<Assembled, MailError> {
        self.assemble(deliveries, &self.bodies(deliveries)?, with, now_unix_millis, Room::Promised)
    }

    /// As `commit_assembled`, without a thread that waits. It is not given up while the process goes on: those who watch would not hear of it.
    pub async fn committed(&self, Assembled { batch, steps, placed, marked }: Assembled) -> Result<Vec<Uid>, MailError> {
        let (heard, outcome) = oneshot::channel();
        self.store.commit_then(batch, Box::new(move |outcome| drop(heard.send(outcome))));
        // Nobody tells: the committer died in the middle.
        match outcome.await.unwrap_or_else(|_| Err(CommitError::Poisoned { reason: "the committer ended".into() })) {
            Ok(receipt) => self.tell(&receipt, steps, placed, marked),
            Err(CommitError::Conflict { expectation }) => Err(MailError::Conflict { expectation }),
            Err(error) => Err(error.into()),
        }
    }

    /// Commits it. A `Conflict`, whose number says nothing here: what it rests on was changed meanwhile, and has to be read again.
    pub fn commit_assembled(&self, assembled: Assembled) -> Result<Vec<Uid>, MailError> {
        match self.commit(assembled) {
            Err(MailError::Commit(CommitError::Conflict { expectation })) => Err(MailError::Conflict { expectation }),
            done => done,
        }
    }

    fn bodies(&self, deliveries: &[Delivery]) -> Result<Vec<Arc<Body>>, MailError> {
        if deliveries.len() > MAX_BATCH {
            return Err(MailError::TooMany { count: deliveries.len() });
        }
        let body = |delivery: &Delivery| match &delivery.content {
            Content::Bytes(bytes) => self.body(bytes).map(Arc::new),
            Content::Body(body) => Ok(Arc::clone(body)),
        };
        deliveries.iter().map(body).collect()
    }

    fn assemble(&self, deliveries: &[Delivery], bodies: &[Arc<Body>], mut batch: Batch, now: u64, room: Room) -> Result<Assembled, MailError> {
        let mut steps = Steps::default();
        let mut uses: BTreeMap<&str, Use> = BTreeMap::new();
        let mut shared = BTreeMap::new();
        let (mut placed, mut marked, mut crossed) = (Vec::with_capacity(deliveries.len()), Vec::new(), BTreeMap::new());
        for (at, (delivery, body)) in deliveries.iter().zip(bodies).enumerate() {
            // A folder renamed or deleted meanwhile fails the expectation: nothing goes to a folder that is gone.
            let key = folder::key(&delivery.mailbox, &delivery.folder);
            let found = self.store.get(&key)?.ok_or(MailError::NoFolder)?;
            let folder = Folder::decode(&found)?;
            let more = uses.entry(&delivery.mailbox).or_default();
            more.add(body.size);
            let (fits, crosses) = match room {
                // What a legal hold keeps beyond the bound counts, too: for what owners store, never for what is sent to them.
                Room::Asked => self.weigh(&delivery.mailbox, &more.with_bytes(self.deleted_beyond(&delivery.mailbox)?), more)?,
                Room::PromisedThenReserve(promised) if at >= promised => (self.has_room_for_notices(&delivery.mailbox)?, None),
                Room::Promised | Room::PromisedThenReserve(_) => self.weigh(&delivery.mailbox, &Use::LEAST, more)?,
                Room::Reserve => (self.has_room_for_notices(&delivery.mailbox)?, None),
            };
            if let Some(percent) = crosses {
                crossed.insert(delivery.mailbox.as_str(), percent);
            }
            if !fits {
                return Err(MailError::OverQuota { delivery: at });
            }
            let (uid, step) = (batch.next(&folder.uid_counter()), steps.of(&mut batch, &delivery.mailbox, &folder));
            let message = Message {
                body: body.id,
                unix_millis: delivery.unix_millis,
                saved_unix_millis: i64::try_from(now).ok(),
                size: body.size,
                digest: body.digest,
                flags: trusted::flags(&delivery.flags, body.verified),
            };
            let accepted = || {
                let digest = crate::hex(&body.digest);
                Event::MessageAccepted(event::Message { mailbox: delivery.mailbox.clone(), digest, size: u64::from(body.size) })
            };
            match &delivery.event {
                Some(event) => event.append(&mut batch, now)?,
                None => accepted().append(&mut batch, now)?,
            };
            batch = batch.expect(Expectation::Equals(key, found)).put(message::new_key(folder.id, uid), message.template(step));
            let messages = shared.entry(body.id).or_insert(0_u64);
            if *messages == 0 {
                batch = batch.put(body.id.key(), body.sealed.as_slice());
            }
            *messages += 1;
            placed.push(Placed { mailbox: delivery.mailbox.clone(), folder, uid, message });
            if let Some(mark) = &delivery.mark {
                batch = self.mark(batch, &mut steps, &delivery.mailbox, mark, &mut marked)?;
            }
        }
        for (id, messages) in shared.into_iter().filter(|(_, messages)| *messages > 1) {
            batch = batch.expect(Expectation::Absent(shared_key(id))).put(shared_key(id), messages.to_be_bytes().as_slice());
        }
        for (mailbox, more) in &uses {
            more.count(&mut batch, mailbox);
        }
        for (mailbox, percent) in crossed {
            batch = batch.put(warning::key(mailbox), warning::encode(percent));
        }
        Ok(Assembled { batch, steps, placed, marked })
    }

    fn commit(&self, Assembled { batch, steps, placed, marked }: Assembled) -> Result<Vec<Uid>, MailError> {
        let receipt = self.store.commit(batch)?;
        self.tell(&receipt, steps, placed, marked)
    }

    /// Tells of what is durable.
    fn tell(&self, receipt: &Receipt, steps: Steps, placed: Vec<Placed>, marked: Vec<marks::Marked>) -> Result<Vec<Uid>, MailError> {
        let mut done = steps.done(receipt);
        let mut uids = Ok(Vec::with_capacity(placed.len()));
        for Placed { mailbox, folder, uid, message } in placed {
            self.note_came(&mailbox, 1);
            let placed = receipt.counter(uid).and_then(|uid| u32::try_from(uid).ok()).ok_or(MailError::UidsExhausted).and_then(|uid| {
                done.change(&mailbox, folder.id, |modseq| Ok(Change::New(message.info(uid, modseq)?)))?;
                Ok(Uid { uid_validity: folder.uid_validity, uid })
            });
            uids = uids.and_then(|mut all: Vec<Uid>| {
                all.push(placed?);
                Ok(all)
            });
        }
        marks::tell(&mut done, marked)?;
        done.tell(&self.broadcast);
        uids
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
            let watch = self.watch(mailbox, &self.folder(mailbox, name)?)?;
            let view = self.view(mailbox, name)?;
            // Another folder may have come to bear the name in between.
            if watch.is_of(&view.folder) {
                return Ok((view, watch));
            }
        }
        Err(MailError::Busy)
    }

    /// The bytes as they were delivered; their digest is checked.
    pub fn load(&self, folder: &Folder, uid: u32) -> Result<Vec<u8>, MailError> {
        self.load_from(folder.id, uid)
    }

    pub(super) fn load_from(&self, folder: u64, uid: u32) -> Result<Vec<u8>, MailError> {
        Ok(self.load_with_digest(folder, uid)?.0)
    }

    pub(super) fn load_with_digest(&self, folder: u64, uid: u32) -> Result<(Vec<u8>, [u8; 32]), MailError> {
        let found = self.store.get(&message::key(folder, uid))?.ok_or(MailError::Gone)?;
        let (message, _) = Message::decode(&found)?;
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
        body::open(id, sealed, size, digest, &self.key, |number| self.dictionary(number))
    }

    /// Compresses and seals: the part of a delivery that takes time and can be done ahead. A mark of a verified sender that is not
    /// true is taken out, and nothing else is changed.
    pub fn body(&self, bytes: &[u8]) -> Result<Body, MailError> {
        let (bytes, mark) = self.unforged(bytes);
        self.sealed(&bytes, mark.is_some(), None)
    }

    /// With a dictionary of the store, or the one that serves all mail.
    pub(super) fn sealed(&self, bytes: &[u8], verified: bool, dictionary: Option<&Arc<Dictionary>>) -> Result<Body, MailError> {
        let too_large = || MailError::TooLarge { size: bytes.len() };
        let size = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= body::MAX_BYTES).ok_or_else(too_large)?;
        let id = self.next_body_id()?;
        Ok(Body { id, size, digest: body::digest(bytes), sealed: body::seal(id, bytes, dictionary, &self.key)?, verified })
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
