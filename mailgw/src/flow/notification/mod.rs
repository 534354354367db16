//! Owners are told on a phone or in another mailbox that something arrived, and nothing of what: who enrolled and proved the place, nobody
//! else. It never delays a delivery: the mark that something arrived is in the commit that delivers, and all else comes after.
//!
//! | # | Step | Why here |
//! |---|---|---|
//! | 1 | arrived: a mark in the commit of the delivery, for whoever wishes it | after a crash nobody is forgotten |
//! | 2 | collected: what came within some minutes becomes one notice, outside of quiet hours, so many a day | nobody is flooded |
//! | 3 | sent: a text handed to whoever sends them, or a mail of the outbound queue, tried again for a day | the name of a notice is the same for every try |
//! | 4 | told: what came of it in one commit — evidence for each row of a push, a leaf of the log, the notice's end | a failed notice is evidence of its own |
// spec: EN 319 522-1#6 (events D.3, D.4: ConsignmentNotification, ConsignmentNotificationFailure)

mod asked;
mod collect;
mod enrol;
mod letter;
mod send;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ring::rand::SystemRandom;
use runtime::exit::{Exit, Problem};
use store::{Batch, CommitError, Store, StoreError};
use time::OffsetDateTime;

use crate::directory::{DirectoryError, NoRandomness, Random};
use crate::gateway::{Gateway, unix_millis};
use crate::mailbox::MailError;
use crate::record::RecordError;
use crate::record::body::BodyId;
use crate::record::event::{self, Event};
use crate::record::evidence::ReadError;
use crate::texts::Texts;
use crate::record::notification::{Arrived, Channel, Counted, Going, Place, Pushed, Says, Wish};

pub(in crate::flow) use asked::is_automatic;
pub(in crate::flow) use letter::finish;
pub use asked::{ADDRESS, Request, answer_all};
pub use collect::{Collector, collect};
pub use enrol::{Shown, ShownPlace, Word, say};
pub use send::{Done, send, settle};

/// Commits that lose a race are decided anew, this many times.
const ATTEMPTS: usize = 16;
const PAGE: usize = 500;

#[derive(Debug, thiserror::Error)]
pub enum NotificationError {
    #[error("there is no open mailbox {mailbox}; look it up with `mailgw mailbox list`")]
    NoMailbox { mailbox: String },
    #[error("no phone can be told here; name the gateway of text messages as [texts] in mailgw.toml")]
    NoTexts,
    #[error("no other mailbox can be told here; name a resolver as [sending] in mailgw.toml")]
    NoMail,
    #[error("{0}; correct the number")]
    Phone(#[from] policies::mailbox::PhoneError),
    #[error("it is no mail address outside of this domain; write it as name@example.cn")]
    Address,
    #[error("{most} codes were sent today, for this mailbox or to this place; try again tomorrow")]
    TooManyCodes { most: u32 },
    #[error("no code waits for this mailbox; name the phone or the address again, and a new one is sent")]
    NoCode,
    #[error("the code is over, or was tried too often; name the phone or the address again, and a new one is sent")]
    CodeOver,
    #[error("it is not the code that was sent; look again: {left} tries are left")]
    WrongCode { left: u32 },
    #[error("nothing is told elsewhere for this mailbox; there is nothing to withdraw")]
    NotEnrolled,
    #[error("a password that a program holds sets no notices; log in by your own password or certificate, and write again")]
    Program,
    #[error("somebody else changes the same; try again")]
    Busy,
    #[error(transparent)]
    Random(#[from] NoRandomness),
    #[error("the mail signature of a notice was not made: {0}; look at `mailgw dkim show`")]
    Dkim(#[from] keys::DkimFailure),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<StoreError> for NotificationError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<ReadError> for NotificationError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error.into(),
            ReadError::Record(error) => error.into(),
        }
    }
}

impl From<NotificationError> for Problem {
    fn from(error: NotificationError) -> Self {
        let (exit, code) = match error {
            NotificationError::Directory(error) => return error.into(),
            NotificationError::NoMailbox { .. } => (Exit::NotFound, "unknown-mailbox"),
            NotificationError::NotEnrolled => (Exit::NotFound, "not-enrolled"),
            NotificationError::NoTexts | NotificationError::NoMail => (Exit::Refused, "not-offered"),
            NotificationError::Phone(_) => (Exit::Usage, "phone"),
            NotificationError::Address => (Exit::Usage, "address"),
            NotificationError::TooManyCodes { .. } => (Exit::Refused, "too-many-codes"),
            NotificationError::NoCode | NotificationError::CodeOver | NotificationError::WrongCode { .. } => (Exit::Refused, "code"),
            NotificationError::Program => (Exit::Refused, "program"),
            NotificationError::Busy => (Exit::Unavailable, "busy"),
            NotificationError::Random(_) => (Exit::Unavailable, "randomness"),
            NotificationError::Dkim(_) => (Exit::Unavailable, "dkim"),
            NotificationError::Mail(_) => (Exit::Unavailable, "mail"),
            NotificationError::Record(_) => (Exit::Damaged, "store-damaged"),
            NotificationError::Commit(ref error) => crate::problem::store_class(error),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// What deliveries ask: whether an owner wishes to be told. Where nobody does, it costs nothing.
pub struct Notifications {
    store: Arc<dyn Store>,
    random: SystemRandom,
    anybody: AtomicBool,
    texts: AtomicBool,
    mail: AtomicBool,
}

impl Notifications {
    pub fn open(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let (from, to) = Wish::all();
        let anybody = AtomicBool::new(!store.scan(&from, &to, 1)?.is_empty());
        Ok(Self { store, random: SystemRandom::new(), anybody, texts: AtomicBool::new(false), mail: AtomicBool::new(false) })
    }

    /// The ways that the configuration gives; without one nobody enrols for it.
    pub fn offer(&self, texts: bool, mail: bool) {
        self.texts.store(texts, Ordering::Relaxed);
        self.mail.store(mail, Ordering::Relaxed);
    }

    fn offers(&self, channel: Channel) -> bool {
        match channel {
            Channel::Text => self.texts.load(Ordering::Relaxed),
            Channel::Mail => self.mail.load(Ordering::Relaxed),
        }
    }

    /// Before the first wish is recorded: deliveries look from now on.
    fn somebody(&self) {
        self.anybody.store(true, Ordering::SeqCst);
    }

    fn wish(&self, mailbox: &str) -> Result<Option<Wish>, ReadError> {
        if !self.anybody.load(Ordering::SeqCst) {
            return Ok(None);
        }
        Ok(self.store.get(&Wish::key(mailbox))?.map(|bytes| Wish::decode(&bytes)).transpose()?)
    }

    /// Adds to a delivery's commit that the row of a push arrived, where its owner wishes to be told.
    pub fn pushed(&self, batch: Batch, mailbox: &str, pushed: impl FnOnce() -> Pushed, unix_millis: u64) -> Result<Batch, ReadError> {
        if self.wish(mailbox)?.is_none() {
            return Ok(batch);
        }
        let arrived = Arrived { mailbox: mailbox.to_owned(), unix_millis, pushed: Some(pushed()) };
        Ok(batch.put(arrived.key(), arrived.encode()?))
    }

    /// The same of ordinary mail, which fewer wish to be told of; nobody is told of what programs write to each other. What waits already
    /// is due when the first of it is. It is put again all the same: who collects it meanwhile would end it before this one came.
    pub fn mailed<'a>(&self, mut batch: Batch, mailboxes: impl Iterator<Item = &'a str>, message: &[u8], unix_millis: u64) -> Result<Batch, ReadError> {
        let mut automatic = None;
        for mailbox in mailboxes {
            if self.wish(mailbox)? == Some(Wish::EveryMail) && !*automatic.get_or_insert_with(|| asked::is_automatic(message)) {
                batch = self.came(batch, mailbox, unix_millis)?;
            }
        }
        Ok(batch)
    }

    /// The same of what owners must hear, that somebody else may open their mailbox: whoever is told of anything is told of that.
    pub fn owed(&self, batch: Batch, mailbox: &str, unix_millis: u64) -> Result<Batch, ReadError> {
        if self.wish(mailbox)?.is_some() { self.came(batch, mailbox, unix_millis) } else { Ok(batch) }
    }

    fn came(&self, batch: Batch, mailbox: &str, unix_millis: u64) -> Result<Batch, ReadError> {
        let mut arrived = Arrived { mailbox: mailbox.to_owned(), unix_millis, pushed: None };
        let key = arrived.key();
        // One that cannot be read delays no delivery: it begins anew.
        if let Some(waits) = self.store.get(&key)?.and_then(|stored| Arrived::decode(&stored).ok()) {
            arrived.unix_millis = unix_millis.min(waits.unix_millis);
        }
        Ok(batch.put(key, arrived.encode()?))
    }

    /// A name for a notice.
    fn name(&self) -> Result<String, NoRandomness> {
        let mut bytes = [0; 16];
        Random::fill(&self.random, &mut bytes)?;
        Ok(crate::hex(&bytes))
    }

    /// Six digits, each as likely as any other.
    pub(in crate::flow) fn code(&self) -> Result<String, NoRandomness> {
        const CODES: u32 = 1_000_000;
        loop {
            let mut bytes = [0; 4];
            Random::fill(&self.random, &mut bytes)?;
            let drawn = u32::from_be_bytes(bytes);
            if drawn < u32::MAX / CODES * CODES {
                return Ok(format!("{:06}", drawn % CODES));
            }
        }
    }
}

/// One turn of all that there is to do, for as long as `go_on`; what went wrong with one part keeps none of the others.
pub fn turn(gateway: &Gateway, texts: Option<&dyn Texts>, collector: &mut Collector, go_on: &dyn Fn() -> bool) -> Result<Done, NotificationError> {
    let answered = answer_all(gateway);
    let collected = collect(gateway, collector);
    let (sent, settled) = (send(gateway, texts, go_on), settle(gateway));
    answered?;
    collected?;
    let (sent, settled) = (sent?, settled?);
    Ok(Done { sent: sent.sent + settled.sent, failed: sent.failed + settled.failed, later: sent.later + settled.later })
}

/// A notice put on its way by a commit: a text waits for its turn, a mail is one of the outbound queue.
fn put(gateway: &Gateway, batch: Batch, going: &Going, now: OffsetDateTime) -> Result<(Batch, Option<BodyId>), NotificationError> {
    let id = gateway.notifications.name()?;
    let key = going.place_of(&id);
    let batch = batch.put(key.clone(), going.seal(&key, &gateway.directory_key)?);
    if going.place.channel == Channel::Text {
        return Ok((batch, None));
    }
    let to = protocol::smtp::exchange::Address::parse(&going.place.address).map_err(|_| RecordError::Damaged { kind: "notification going", reason: "its address is none" })?;
    let letter = letter::write(&gateway.settings.domain, &to, &going.says, &id, now);
    let signed = [gateway.dkim.sign(&letter, now)?, letter].concat();
    let body = gateway.messages.body(&signed)?;
    Ok((gateway.queue.enqueue_notification(batch, &body, &to, &id, now)?, Some(body.id())))
}

fn going(mailbox: &str, place: &Place, says: Says, of: Vec<Arrived>, now: u64) -> Going {
    Going { mailbox: mailbox.to_owned(), place: place.clone(), says, of, made_unix_millis: now, due_unix_millis: now, tries: 0 }
}

/// A leaf of the log: where notices of a mailbox go.
fn place_event(gateway: &Gateway, mailbox: &str, place: &Place, state: &str, every_mail: bool) -> Event {
    let (channel, digest) = (place.channel.name().to_owned(), place.digest(&gateway.directory_key));
    Event::NotificationPlaceSet(event::NotificationPlace { mailbox: mailbox.to_owned(), channel, place: digest, state: state.to_owned(), every_mail })
}

fn today(now: OffsetDateTime) -> String {
    policies::mailbox::day_of(now).to_string()
}

/// Deletes what was counted of days that are over. How many.
pub fn forget_counted(gateway: &Gateway) -> Result<usize, NotificationError> {
    let ((mut from, to), day, mut count) = (Counted::all(), today(gateway.clock.now()), 0);
    loop {
        let page = gateway.store.scan(&from, &to, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(count) };
        from = last.successor();
        for (key, stored) in page {
            if Counted::decode(&stored)?.day == day {
                continue;
            }
            match gateway.store.commit(Batch::new().expect(store::Expectation::Equals(key.clone(), stored)).delete(key)) {
                // Somebody counts at this moment.
                Err(CommitError::Conflict { .. }) => {}
                done => {
                    done?;
                    count += 1;
                }
            }
        }
    }
}

/// Milliseconds of now, and now.
fn moment(gateway: &Gateway) -> (u64, OffsetDateTime) {
    let now = gateway.clock.now();
    (unix_millis(now), now)
}
