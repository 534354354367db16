//! Mail for elsewhere, from its acceptance until its last recipient is settled.
//!
//! The store holds all of it: a message is queued in the commit that accepts it, and what came of a try is one commit with its
//! leaves of the log and with what its sender is told. What is due when is kept in memory as well and made anew at every start.
//! Calls block.

pub mod decide;
mod explained;
mod order;
pub mod report;
mod schedule;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keys::DataKey;
use policies::mailbox::{MailboxNumber, SendingPolicy};
use protocol::imap::exchange::Flags;
use protocol::smtp::exchange::{Address, Addressee, Domain, Envelope, Host, Recipient};
use store::{Batch, Expectation, Key, Store};
use time::OffsetDateTime;
use tokio::sync::Notify;

use self::decide::{Action, Outcome, Told};
use self::report::Report;
use self::schedule::Schedule;
use crate::directory::{Directory, Random};
use crate::gateway::unix_millis;
use crate::mailbox::{Body, Delivery, MailError, MessageStore};
use crate::record::body::{self, BodyId};
use crate::record::event::{self, Event};
use crate::record::notification::Settled;
use crate::record::queue::{self as record, End, Queued, Waiting};

pub use order::{Listed, Page, QueueError, ShownMessage, ShownRecipient};
pub use schedule::Item;

/// Changes that lose a race are decided anew, this many times.
const ATTEMPTS: usize = 64;
/// Records read at once at a start.
const PAGE: usize = 500;
/// Milliseconds after which a record that could not be read is read again.
const REREAD: u64 = 60_000;

pub struct Queue {
    store: Arc<dyn Store>,
    messages: Arc<MessageStore>,
    directory: Arc<Directory>,
    key: DataKey,
    random: Arc<dyn Random>,
    host: Domain,
    domain: Domain,
    schedule: Mutex<Schedule>,
    /// Messages whose records could not be read, and when to read them again, once that is said.
    unread: Mutex<BTreeMap<u64, Option<u64>>>,
    /// The schedule changed: look again for what is due.
    changed: Notify,
}

/// The number of a message as people are told it.
pub fn shown(id: BodyId) -> String {
    format!("{:x}", id.0)
}

impl Queue {
    pub fn new(
        store: Arc<dyn Store>, messages: Arc<MessageStore>, directory: Arc<Directory>, key: DataKey, random: Arc<dyn Random>, host: Domain, domain: Domain,
    ) -> Self {
        let sending = directory.policy().sending();
        let schedule = Mutex::new(Schedule::new(sending.per_destination(), sending.per_sender(), sending.at_once()));
        Self { store, messages, directory, key, random, host, domain, schedule, unread: Mutex::default(), changed: Notify::new() }
    }

    /// Adds a message to the batch that accepts it; it is on its way once `accepted` is called after that commit.
    pub fn enqueue(&self, batch: Batch, body: &Body, mailbox: &str, envelope: &Envelope, elsewhere: &[&Addressee], now: OffsetDateTime) -> Result<Batch, MailError> {
        let now = unix_millis(now);
        let waiting = |addressee: &&Addressee| {
            let domain = match &addressee.recipient {
                Recipient::Mailbox(address) => match address.host() {
                    Host::Name(name) => name.as_str().to_lowercase(),
                    Host::Literal(_) => return None,
                },
                Recipient::Postmaster => return None,
            };
            let (notify, original) = (addressee.notify.map(|notify| notify.to_string()), addressee.original.as_ref().map(|original| original.encoded()));
            Some(Waiting { address: addressee.as_str().to_owned(), domain, notify, original, tries: 0, due: now, late_told: false, last: None, end: None, untold: None })
        };
        let queued = Queued {
            mailbox: mailbox.to_owned(),
            reverse_path: envelope.reverse_path.as_ref().map(|address| address.as_str().to_owned()),
            ret: envelope.ret.map(|ret| ret.as_str().to_owned()),
            envelope_id: envelope.envelope_id.as_ref().map(|id| id.encoded()),
            smtputf8: envelope.smtputf8,
            require_tls: envelope.require_tls,
            size: body.size(),
            digest: crate::hex(body.digest()),
            accepted: now,
            held: false,
            notification: None,
            recipients: elsewhere.iter().filter_map(waiting).collect(),
        };
        let key = record::key(body.id());
        Ok(body.put(batch.expect(Expectation::Absent(key.clone())).put(key, queued.seal(body.id(), &self.key)?)))
    }

    /// The same of what the gateway itself has to tell somebody elsewhere. Nothing comes back of it.
    pub fn enqueue_own(&self, batch: Batch, body: &Body, recipient: &Address, now: OffsetDateTime) -> Result<Batch, MailError> {
        self.enqueue_of(batch, body, recipient, None, false, now)
    }

    /// The same of what a sender elsewhere is told of its message: it says as much as the message's header does, so it goes under
    /// TLS alone where the message came so. spec: rfc8689#5
    pub fn enqueue_report(&self, batch: Batch, body: &Body, sender: &Address, envelope: &Envelope, now: OffsetDateTime) -> Result<Batch, MailError> {
        self.enqueue_of(batch, body, sender, None, envelope.require_tls, now)
    }

    /// The same of a notice, whose end is marked when the message's own is.
    pub fn enqueue_notification(&self, batch: Batch, body: &Body, recipient: &Address, notice: &str, now: OffsetDateTime) -> Result<Batch, MailError> {
        self.enqueue_of(batch, body, recipient, Some(notice.to_owned()), false, now)
    }

    fn enqueue_of(
        &self, batch: Batch, body: &Body, recipient: &Address, notification: Option<String>, require_tls: bool, now: OffsetDateTime,
    ) -> Result<Batch, MailError> {
        let Host::Name(domain) = recipient.host() else { return Ok(batch) };
        let now = unix_millis(now);
        let address = recipient.as_str().to_owned();
        let waiting = Waiting { address, domain: domain.as_str().to_lowercase(), notify: None, original: None, tries: 0, due: now, late_told: false, last: None, end: None, untold: None };
        let queued = Queued {
            mailbox: String::new(),
            reverse_path: None,
            ret: None,
            envelope_id: None,
            smtputf8: !recipient.is_ascii(),
            require_tls,
            size: body.size(),
            digest: crate::hex(body.digest()),
            accepted: now,
            held: false,
            notification,
            recipients: vec![waiting],
        };
        let key = record::key(body.id());
        Ok(body.put(batch.expect(Expectation::Absent(key.clone())).put(key, queued.seal(body.id(), &self.key)?)))
    }

    /// The message is durable: it may go.
    pub fn accepted(&self, id: BodyId) {
        self.replan(id);
    }

    /// Plans a message by its record; one that cannot be read now is read again by `reread`.
    fn replan(&self, id: BodyId) {
        if let Err(error) = self.refresh(id) {
            tracing::error!(%error, queued = shown(id), "a queued message cannot be read; it is read again in a minute");
            self.unread().insert(id.0, None);
            self.changed.notify_one();
        }
    }

    /// Reads again what could not be read a minute ago. Called at least once a minute.
    pub fn reread(&self, now: OffsetDateTime) {
        let now = unix_millis(now);
        let mut due = Vec::new();
        for (id, at) in self.unread().iter_mut() {
            if now >= *at.get_or_insert(now.saturating_add(REREAD)) {
                *at = None;
                due.push(BodyId(*id));
            }
        }
        for id in due {
            self.unread().remove(&id.0);
            self.replan(id);
        }
    }

    fn unread(&self) -> MutexGuard<'_, BTreeMap<u64, Option<u64>>> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all that waits in the store into the schedule; how many messages there are.
    pub fn load(&self) -> Result<usize, MailError> {
        let ((mut from, to), mut count) = (record::range(), 0);
        loop {
            let found = self.store.scan(&from, &to, PAGE)?;
            let Some((last, _)) = found.last() else { return Ok(count) };
            from = last.successor();
            for (key, stored) in &found {
                let id = record::id(key)?;
                match Queued::open(id, stored, &self.key) {
                    Ok(queued) => self.plan(id, &queued),
                    // One that cannot be read must not keep the others from going.
                    Err(error) => tracing::error!(%error, queued = shown(id), "a queued message cannot be read"),
                }
                count += 1;
            }
        }
    }

    pub fn get(&self, id: BodyId) -> Result<Option<Queued>, MailError> {
        Ok(self.read(id)?.map(|(queued, _)| queued))
    }

    /// The message as it goes out.
    pub fn message(&self, id: BodyId, queued: &Queued) -> Result<Vec<u8>, MailError> {
        self.messages.open_body(id, queued.size, &queued.digest_bytes()?)
    }

    /// The next message that is due at a domain with room for one more. It counts as on its way until `back`.
    pub fn take(&self, now: OffsetDateTime) -> Option<Item> {
        self.schedule().take(unix_millis(now))
    }

    /// When the next one is due.
    pub fn next_due(&self) -> Option<u64> {
        self.schedule().next()
    }

    /// Wakes when there may be more to take than before.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Messages that wait, once for each domain, and those on their way.
    pub fn counts(&self) -> (usize, usize) {
        self.schedule().counts()
    }

    /// The try is over and settled: what is left of the message is due as its record says.
    pub fn back(&self, item: &Item) {
        self.schedule().done(item);
        self.replan(BodyId(item.id));
    }

    /// Records what came of a try: the record, leaves of the log and what the sender is told are one durable commit. With its
    /// last recipient the message goes.
    pub fn settle(&self, id: BodyId, outcomes: &[(usize, Outcome)], now: OffsetDateTime) -> Result<(), MailError> {
        // What a mailbox takes no notice of is kept with the message, and told later.
        let mut full = false;
        for _ in 0..ATTEMPTS {
            // 1. The record as it stands: an administrator may have changed it meanwhile.
            let Some((before, stored)) = self.read(id)? else { return Ok(()) };
            // 2. What the outcomes mean.
            let (mut after, mut told) = decide::settle(before.clone(), outcomes, self.policy(), unix_millis(now));
            if full {
                let lost;
                (after, lost) = decide::untold(after, std::mem::take(&mut told), self.policy(), unix_millis(now));
                if !lost.is_empty() {
                    tracing::warn!(queued = shown(id), "a sender is never told what became of its message: its mailbox was full all the time");
                }
            }
            if after == before {
                return Ok(());
            }
            // 3. Record or end, leaves, notices.
            let mut batch = self.written(id, &after, stored)?;
            for (place, (was, is)) in before.recipients.iter().zip(&after.recipients).enumerate() {
                if let (None, Some(end)) = (was.end, is.end) {
                    ended(id, place, end, is).append(&mut batch, unix_millis(now))?;
                    if let Some(notice) = &after.notification {
                        let settled = Settled { sent: end == End::Sent, status: is.last.as_ref().map_or_else(String::new, |said| said.status.clone()) };
                        batch = batch.put(Settled::key(notice), settled.encode()?);
                    }
                }
            }
            let notices = self.notices(id, &after, &told, now)?;
            match self.messages.deliver_notices(&notices, batch, unix_millis(now)) {
                Ok(_) => return Ok(()),
                Err(MailError::Conflict { .. }) => continue,
                Err(MailError::OverQuota { .. } | MailError::NoFolder) if !notices.is_empty() => {
                    tracing::info!(queued = shown(id), "a sender's mailbox is full; it is told later what became of its message");
                    full = true;
                }
                Err(error) => return Err(error),
            }
        }
        Err(MailError::Busy)
    }

    /// What a sender hears of recipients here who wanted success to be told: a delivery for the commit that delivers to them.
    pub fn delivered(&self, mailbox: &str, envelope: &Envelope, here: &[&Addressee], message: &[u8], now: OffsetDateTime) -> Result<Option<Delivery>, MailError> {
        let (queued, told) = self.arrived(mailbox, envelope, here, now);
        self.notice(&queued, &told, message, now)
    }

    /// The same for a sender elsewhere: what goes back to it, signed by nobody yet.
    pub fn delivered_elsewhere(&self, envelope: &Envelope, message: &[u8], now: OffsetDateTime) -> Result<Option<Vec<u8>>, MailError> {
        let here: Vec<&Addressee> = envelope.recipients.iter().collect();
        let (queued, told) = self.arrived("", envelope, &here, now);
        self.rendered(&queued, &told, message, now)
    }

    fn arrived(&self, mailbox: &str, envelope: &Envelope, here: &[&Addressee], now: OffsetDateTime) -> (Queued, Vec<Told>) {
        let waiting = |addressee: &&Addressee| Waiting {
            address: addressee.as_str().to_owned(),
            domain: String::new(),
            notify: None,
            original: addressee.original.as_ref().map(|original| original.encoded()),
            tries: 0,
            due: 0,
            late_told: false,
            last: None,
            end: Some(End::Sent),
            untold: None,
        };
        let said = record::Said { host: None, code: 0, status: "2.1.5".to_owned(), text: String::new() };
        let recipients: Vec<Waiting> = here.iter().filter(|addressee| addressee.notify.is_some_and(|notify| notify.success)).map(waiting).collect();
        let told: Vec<Told> = (0..recipients.len()).map(|recipient| Told { recipient, action: Action::Delivered, said: said.clone() }).collect();
        let queued = Queued {
            mailbox: mailbox.to_owned(),
            reverse_path: envelope.reverse_path.as_ref().map(|address| address.as_str().to_owned()),
            // Of what arrived only the header is shown. spec: rfc3461#6.3
            ret: None,
            envelope_id: envelope.envelope_id.as_ref().map(|id| id.encoded()),
            smtputf8: envelope.smtputf8,
            require_tls: envelope.require_tls,
            size: 0,
            digest: String::new(),
            accepted: unix_millis(now),
            held: false,
            notification: None,
            recipients,
        };
        (queued, told)
    }

    fn notices(&self, id: BodyId, queued: &Queued, told: &[Told], now: OffsetDateTime) -> Result<Vec<Delivery>, MailError> {
        if told.is_empty() || !self.is_open(&queued.mailbox) {
            return Ok(Vec::new());
        }
        // What cannot be read cannot be shown: its sender hears all the same.
        let message = self.message(id, queued).unwrap_or_else(|error| {
            tracing::error!(%error, queued = shown(id), "the bytes of a queued message cannot be read; its sender is told without them");
            Vec::new()
        });
        let mut by_action: BTreeMap<Action, Vec<Told>> = BTreeMap::new();
        for one in told {
            by_action.entry(one.action).or_default().push(one.clone());
        }
        let notices = by_action.values().map(|told| self.notice(queued, told, &message, now));
        Ok(notices.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    fn notice(&self, queued: &Queued, told: &[Told], message: &[u8], now: OffsetDateTime) -> Result<Option<Delivery>, MailError> {
        let unix_millis = i64::try_from(unix_millis(now)).unwrap_or(i64::MAX);
        let delivery = |bytes: Vec<u8>| Delivery { mailbox: queued.mailbox.clone(), folder: "INBOX".to_owned(), content: bytes.into(), unix_millis, flags: Flags::new(), event: None, mark: None };
        Ok(self.rendered(queued, told, message, now)?.map(delivery))
    }

    fn rendered(&self, queued: &Queued, told: &[Told], message: &[u8], now: OffsetDateTime) -> Result<Option<Vec<u8>>, MailError> {
        let mut token = [0; 16];
        self.random.fill(&mut token).map_err(|_| MailError::Busy)?;
        let token = crate::hex(&token);
        let gives_up = queued.accepted.saturating_add(self.policy().give_up_after());
        let gives_up = OffsetDateTime::from_unix_timestamp_nanos(i128::from(gives_up) * 1_000_000).unwrap_or(now);
        let report = Report { queued, told, message, host: &self.host, domain: &self.domain, gives_up, now, token: &token };
        Ok(report.render())
    }

    fn is_open(&self, mailbox: &str) -> bool {
        let account = MailboxNumber::parse(mailbox).ok().and_then(|number| self.directory.get(number).ok().flatten());
        account.is_some_and(|account| account.is_open())
    }

    /// The record as it shall stand if it still stands as it was read; a message that is settled goes, with its bytes.
    fn written(&self, id: BodyId, after: &Queued, stored: Vec<u8>) -> Result<Batch, MailError> {
        let key: Key = record::key(id);
        let batch = Batch::new().expect(Expectation::Equals(key.clone(), stored));
        Ok(if after.is_ended() { body::keys(id, after.size as usize).fold(batch.delete(key), Batch::delete) } else { batch.put(key, after.seal(id, &self.key)?) })
    }

    fn read(&self, id: BodyId) -> Result<Option<(Queued, Vec<u8>)>, MailError> {
        let Some(stored) = self.store.get(&record::key(id))? else { return Ok(None) };
        Ok(Some((Queued::open(id, &stored, &self.key)?, stored)))
    }

    /// Plans a message by its record.
    fn refresh(&self, id: BodyId) -> Result<(), MailError> {
        if let Some(queued) = self.get(id)? {
            self.plan(id, &queued);
        }
        self.changed.notify_one();
        Ok(())
    }

    fn plan(&self, id: BodyId, queued: &Queued) {
        let mut due: BTreeMap<&str, u64> = BTreeMap::new();
        for recipient in queued.recipients.iter().filter(|recipient| recipient.waits() && !queued.held) {
            let first = due.entry(&recipient.domain).or_insert(recipient.due);
            *first = recipient.due.min(*first);
        }
        let domains: BTreeSet<&str> = queued.recipients.iter().map(|recipient| recipient.domain.as_str()).collect();
        let mut schedule = self.schedule();
        for domain in domains {
            let item = Item { id: id.0, domain: domain.to_owned(), sender: queued.mailbox.clone() };
            match due.get(domain) {
                Some(due) => schedule.set(item, *due),
                None => schedule.remove(&item),
            }
        }
    }

    fn policy(&self) -> &SendingPolicy {
        self.directory.policy().sending()
    }

    // A panic elsewhere leaves a schedule that is made anew at the next start.
    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ended(id: BodyId, place: usize, end: End, recipient: &Waiting) -> Event {
    let status = recipient.last.as_ref().map_or_else(String::new, |said| said.status.clone());
    let settled = event::Settled { queued: shown(id), recipient: place as u64, status };
    match end {
        End::Sent => Event::MailSent(settled),
        End::Returned => Event::MailReturned(settled),
        End::Cancelled => Event::MailCancelled(settled),
    }
}
