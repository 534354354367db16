//! What an administrator may do with messages that wait: look, keep back, let go, hurry, take out.

use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};
use store::CommitError;
use time::OffsetDateTime;

use super::decide::Outcome;
use super::{ATTEMPTS, Queue, shown};
use crate::gateway::unix_millis;
use crate::mailbox::MailError;
use crate::record::body::BodyId;
use crate::record::event::{self, Event};
use crate::record::queue::{self as record, End, Queued, Said};

/// The most messages of one page.
const MAX_PAGE: usize = 1_000;

#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    #[error("there is no such message in the queue; `mailgw queue list` shows what waits")]
    NotFound,
    #[error("{text:?} is no number of a queued message; write it as `mailgw queue list` shows it")]
    Number { text: String },
    #[error("the message is kept back; let it go with `mailgw queue release` first")]
    Held,
    #[error("the message is on its way at this moment; try again when that try is over")]
    Running,
    #[error(transparent)]
    Mail(#[from] MailError),
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        let (exit, code) = match &error {
            QueueError::NotFound => (Exit::NotFound, "queued"),
            QueueError::Number { .. } => (Exit::Usage, "queued"),
            QueueError::Held => (Exit::Conflict, "held"),
            QueueError::Running => (Exit::Conflict, "running"),
            QueueError::Mail(MailError::Commit(error)) => crate::problem::store_class(error),
            QueueError::Mail(MailError::Record(_)) => (Exit::Damaged, "store-damaged"),
            QueueError::Mail(_) => (Exit::Unavailable, "queue"),
        };
        crate::problem::told(exit, code, &error.to_string())
    }
}

/// Which messages to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Listed {
    pub limit: Option<usize>,
    /// Go on after this one.
    pub after: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page {
    pub messages: Vec<ShownMessage>,
    /// Where there may be more.
    pub next: Option<String>,
}

/// Times are Unix milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownMessage {
    pub id: String,
    pub mailbox: String,
    pub accepted: u64,
    pub size: u32,
    pub held: bool,
    pub recipients: Vec<ShownRecipient>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownRecipient {
    pub address: String,
    /// None while it waits.
    pub end: Option<End>,
    pub tries: u32,
    pub due: u64,
    pub last: Option<Said>,
}

fn message(id: BodyId, queued: Queued) -> ShownMessage {
    let recipients = queued.recipients.into_iter();
    let recipients = recipients.map(|one| ShownRecipient { address: one.address, end: one.end, tries: one.tries, due: one.due, last: one.last });
    ShownMessage { id: shown(id), mailbox: queued.mailbox, accepted: queued.accepted, size: queued.size, held: queued.held, recipients: recipients.collect() }
}

fn number(text: &str) -> Result<BodyId, QueueError> {
    u64::from_str_radix(text, 16).map(BodyId).map_err(|_| QueueError::Number { text: text.chars().take(40).collect() })
}

impl Queue {
    pub fn list(&self, listed: &Listed) -> Result<Page, QueueError> {
        let limit = listed.limit.unwrap_or(100).clamp(1, MAX_PAGE);
        let (mut from, to) = record::range();
        if let Some(after) = &listed.after {
            from = record::key(number(after)?).successor();
        }
        let found = self.store.scan(&from, &to, limit).map_err(MailError::from)?;
        let mut messages = Vec::with_capacity(found.len());
        for (key, stored) in &found {
            let id = record::id(key).map_err(MailError::from)?;
            messages.push(message(id, Queued::open(id, stored, &self.key).map_err(MailError::from)?));
        }
        let next = if messages.len() == limit { messages.last().map(|message| message.id.clone()) } else { None };
        Ok(Page { messages, next })
    }

    pub fn show(&self, id: &str) -> Result<ShownMessage, QueueError> {
        let id = number(id)?;
        Ok(message(id, self.get(id)?.ok_or(QueueError::NotFound)?))
    }

    /// Kept back until it is let go. A try that is on its way ends as it ends.
    pub fn hold(&self, id: &str, now: OffsetDateTime) -> Result<ShownMessage, QueueError> {
        let told = |id| Event::MailHeld(event::QueuedMail { queued: shown(id) });
        self.ordered(id, now, |queued| queued.held = true, told)
    }

    /// It goes on from where it was.
    pub fn release(&self, id: &str, now: OffsetDateTime) -> Result<ShownMessage, QueueError> {
        let told = |id| Event::MailReleased(event::QueuedMail { queued: shown(id) });
        self.ordered(id, now, |queued| queued.held = false, told)
    }

    /// Every recipient that waits is due now.
    pub fn flush(&self, id: &str, now: OffsetDateTime) -> Result<ShownMessage, QueueError> {
        if self.show(id)?.held {
            return Err(QueueError::Held);
        }
        let due = unix_millis(now);
        let hurry = |queued: &mut Queued| queued.recipients.iter_mut().filter(|one| one.waits()).for_each(|one| one.due = due.min(one.due));
        self.ordered(id, now, hurry, |id| Event::MailFlushed(event::QueuedMail { queued: shown(id) }))
    }

    /// Taken out for good; its sender is told.
    pub fn cancel(&self, id: &str, now: OffsetDateTime) -> Result<ShownMessage, QueueError> {
        let id = number(id)?;
        let before = self.get(id)?.ok_or(QueueError::NotFound)?;
        // What another server may be taking right now is not called taken out. Nothing else of it begins meanwhile.
        if !self.schedule().withdraw(id.0) {
            return Err(QueueError::Running);
        }
        let all: Vec<(usize, Outcome)> = (0..before.recipients.len()).map(|place| (place, Outcome::Cancelled)).collect();
        if let Err(error) = self.settle(id, &all, now) {
            self.replan(id);
            return Err(error.into());
        }
        let mut cancelled = message(id, before);
        for recipient in cancelled.recipients.iter_mut().filter(|recipient| recipient.end.is_none()) {
            recipient.end = Some(End::Cancelled);
        }
        Ok(cancelled)
    }

    fn ordered(&self, id: &str, now: OffsetDateTime, order: impl Fn(&mut Queued), told: impl Fn(BodyId) -> Event) -> Result<ShownMessage, QueueError> {
        let id = number(id)?;
        for _ in 0..ATTEMPTS {
            let (before, stored) = self.read(id)?.ok_or(QueueError::NotFound)?;
            let mut after = before.clone();
            order(&mut after);
            if after != before {
                let mut batch = self.written(id, &after, stored)?;
                told(id).append(&mut batch, unix_millis(now)).map_err(MailError::from)?;
                match self.store.commit(batch) {
                    Err(CommitError::Conflict { .. }) => continue,
                    done => done.map_err(MailError::from)?,
                };
            }
            self.refresh(id)?;
            return Ok(message(id, after));
        }
        Err(MailError::Busy.into())
    }
}
