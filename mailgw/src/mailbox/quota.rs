//! What a mailbox holds and may hold. Copies count as often as they are there, though they share a body.

use std::collections::BTreeMap;

use protocol::imap::exchange;
use store::{Batch, Store, Together};

use super::messages::{MailError, MessageStore};
use crate::record::RecordError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub bytes: u64,
    pub messages: u64,
}

impl Quota {
    pub const NONE: Self = Self { bytes: u64::MAX, messages: u64::MAX };
}

/// Bytes and messages, which were sums of their own before.
fn held(mailbox: &str) -> Together {
    Together::new(format!("held/{mailbox}"), vec![format!("bytes/{mailbox}"), format!("messages/{mailbox}")])
}

/// What a commit adds to a mailbox or takes from it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Use {
    bytes: i64,
    messages: i64,
}

impl Use {
    /// The least that any message takes: what is left to one that was promised its place.
    pub const LEAST: Self = Self { bytes: 1, messages: 1 };

    pub fn add(&mut self, size: u32) {
        self.bytes = self.bytes.saturating_add(i64::from(size));
        self.messages = self.messages.saturating_add(1);
    }

    pub fn with_bytes(self, bytes: u64) -> Self {
        Self { bytes: self.bytes.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX)), ..self }
    }

    pub fn take(&mut self, size: u32) {
        self.bytes = self.bytes.saturating_sub(i64::from(size));
        self.messages = self.messages.saturating_sub(1);
    }

    /// Of a message in the place of another: bytes change where the number of messages does not.
    pub fn count_always(&self, batch: &mut Batch, mailbox: &str) {
        batch.add_together(held(mailbox), &[self.bytes, self.messages]);
    }

    pub fn count(&self, batch: &mut Batch, mailbox: &str) {
        if self.messages != 0 {
            self.count_always(batch, mailbox);
        }
    }
}

/// What a mailbox holds.
pub(super) fn used(store: &dyn Store, mailbox: &str) -> Result<Quota, MailError> {
    let sums = store.sums(&held(mailbox))?;
    let [bytes, messages] = sums.as_slice() else { return Err(RecordError::Damaged { kind: "quota", reason: "it is not two sums" }.into()) };
    Ok(Quota { bytes: *bytes, messages: *messages })
}

impl MessageStore {
    /// Bytes and messages a mailbox holds.
    pub fn used(&self, mailbox: &str) -> Result<Quota, MailError> {
        used(&*self.store, mailbox)
    }

    /// The same with what it may hold.
    pub fn quota_of(&self, mailbox: &str) -> Result<exchange::Quota, MailError> {
        let (used, limit) = (self.used(mailbox)?, (self.quota)(mailbox));
        let told = |limit: u64| (limit != u64::MAX).then_some(limit);
        Ok(exchange::Quota { used_octets: used.bytes, octets: told(limit.bytes), used_messages: used.messages, messages: told(limit.messages) })
    }

    /// Whether a message of so many bytes fits now; where they are not told, whether there is any room.
    pub fn has_room(&self, mailbox: &str, bytes: u64) -> Result<bool, MailError> {
        self.fits(mailbox, &Use { bytes: i64::try_from(bytes.max(1)).unwrap_or(i64::MAX), messages: 1 })
    }

    /// Whether a message of so many bytes fits on top of others that come first: so many of so many bytes. As a delivery of all of them asks.
    pub fn has_room_beside(&self, mailbox: &str, (messages, held): (u64, u64), bytes: u64) -> Result<bool, MailError> {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let all = Use { bytes: signed(held.saturating_add(bytes.max(1))), messages: signed(messages.saturating_add(1)) };
        self.fits(mailbox, &all.with_bytes(self.deleted_beyond(mailbox)?))
    }

    /// Which of these messages do not fit, in their order: each on top of those before it that do. As a delivery of all of them asks.
    pub fn overfilling<'m>(&self, messages: impl IntoIterator<Item = (&'m str, u32)>) -> Result<Vec<bool>, MailError> {
        let mut uses: BTreeMap<&str, Use> = BTreeMap::new();
        let one = |(mailbox, size)| {
            let held = uses.entry(mailbox).or_default();
            let mut with = *held;
            with.add(size);
            let fits = self.fits(mailbox, &with.with_bytes(self.deleted_beyond(mailbox)?))?;
            if fits {
                *held = with;
            }
            Ok(!fits)
        };
        messages.into_iter().map(one).collect()
    }

    /// Whether the owner can be told something: full mailboxes have a reserve for that.
    pub fn has_room_for_notices(&self, mailbox: &str) -> Result<bool, MailError> {
        let Quota { bytes, messages } = (self.quota)(mailbox);
        let more = |limit: u64, more: u64| limit.saturating_add(more);
        // As many messages as empty ones would be without it.
        self.fit(mailbox, &Use::LEAST, Quota { bytes: more(bytes, self.reserve), messages: more(messages, self.reserve / 1_024) })
    }

    pub(super) fn fits(&self, mailbox: &str, more: &Use) -> Result<bool, MailError> {
        self.fit(mailbox, more, (self.quota)(mailbox))
    }

    /// Whether `need` fits, and the highest part of which the owner is to be told that `more` comes to.
    pub(super) fn weigh(&self, mailbox: &str, need: &Use, more: &Use) -> Result<(bool, Option<u8>), MailError> {
        let limit = (self.quota)(mailbox);
        if limit == Quota::NONE {
            return Ok((true, None));
        }
        let held = self.used(mailbox)?;
        let reaches = |held: u64, limit: u64, percent: u8| u128::from(held) * 100 >= u128::from(limit) * u128::from(percent);
        let crosses = |held: u64, more: i64, limit: u64, percent: u8| !reaches(held, limit, percent) && reaches(held.saturating_add_signed(more), limit, percent);
        let part = self.warnings.iter().rev().find(|percent| crosses(held.bytes, more.bytes, limit.bytes, **percent) || crosses(held.messages, more.messages, limit.messages, **percent));
        Ok((is_within(held, need, limit), part.copied()))
    }

    fn fit(&self, mailbox: &str, more: &Use, limit: Quota) -> Result<bool, MailError> {
        if limit == Quota::NONE {
            return Ok(true);
        }
        Ok(is_within(self.used(mailbox)?, more, limit))
    }
}

fn is_within(held: Quota, more: &Use, limit: Quota) -> bool {
    let within = |held: u64, more: i64, limit: u64| held.saturating_add_signed(more) <= limit;
    within(held.bytes, more.bytes, limit.bytes) && within(held.messages, more.messages, limit.messages)
}
