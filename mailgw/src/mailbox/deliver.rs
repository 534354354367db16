//! Delivery: messages in their folders, with their bodies and their leaves of the log, in one commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::imap::exchange::{Change, Flags};
use store::{Batch, CommitError, CounterSlot, Expectation, Receipt};
use tokio::sync::oneshot;

use super::change::shared_key;
use super::marks::{self, Mark};
use super::messages::{ATTEMPTS, Body, MailError, MessageStore};
use super::quota::Use;
use super::steps::{Done, Steps};
use super::trusted;
use crate::record::event::{self, Event};
use crate::record::folder::{self, Folder};
use crate::record::message::{self, Message};
use crate::record::warning;

/// The most messages of one delivery.
pub const MAX_BATCH: usize = 1_000;

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
    /// Nothing.
    Owed,
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

impl MessageStore {
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

    /// As `deliver_notices`, of what owners must hear whatever their mailbox holds: that somebody else may open it. Each is a person's act
    /// at the counter, so that they are few.
    pub fn deliver_owed(&self, notices: &[Delivery], with: Batch, now_unix_millis: u64) -> Result<Vec<Uid>, MailError> {
        self.delivered(notices, with, now_unix_millis, Room::Owed)
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

    /// As `commit_assembled`, without a thread that waits. It goes on when who asked for it is gone: those who watch hear of it all the same.
    pub async fn committed(self: &Arc<Self>, assembled: Assembled) -> Result<Vec<Uid>, MailError> {
        let this = Arc::clone(self);
        let done = tokio::spawn(async move { this.commit_and_tell(assembled).await });
        done.await.unwrap_or_else(|error| Err(CommitError::Poisoned { reason: error.to_string() }.into()))
    }

    async fn commit_and_tell(&self, Assembled { batch, steps, placed, marked }: Assembled) -> Result<Vec<Uid>, MailError> {
        let untold = steps.untold(&self.broadcast);
        let (heard, outcome) = oneshot::channel();
        self.store.commit_then(batch, Box::new(move |outcome| drop(heard.send(outcome))));
        // Nobody tells: the committer died in the middle.
        let outcome = outcome.await.unwrap_or_else(|_| Err(CommitError::Poisoned { reason: "the committer ended".into() }));
        match steps.committed(outcome, untold) {
            Ok((receipt, done)) => self.tell(&receipt, done, placed, marked),
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
                Room::Owed => (true, None),
            };
            if let Some(percent) = crosses {
                crossed.insert(delivery.mailbox.as_str(), percent);
            }
            if !fits {
                return Err(MailError::OverQuota { delivery: at });
            }
            let (uid, step) = (batch.next(&folder.uid_counter()), steps.of_new(&mut batch, &delivery.mailbox));
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
                batch = body.put(batch);
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
        let (receipt, done) = steps.commit(batch, &*self.store, &self.broadcast)?;
        self.tell(&receipt, done, placed, marked)
    }

    /// Tells of what is durable.
    fn tell(&self, receipt: &Receipt, mut done: Done<'_>, placed: Vec<Placed>, marked: Vec<marks::Marked>) -> Result<Vec<Uid>, MailError> {
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
        done.tell();
        uids
    }
}
