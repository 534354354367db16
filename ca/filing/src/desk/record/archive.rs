//! When the proof of a signature or a seal is to be looked at, and those whose proof cannot be kept. Both by the name of what is
//! kept: a filing's id, a receipt's number, or an id with what it is of before it.

use store::{Batch, Key, Store, StoreError};

use super::receipt::ReceiptNumber;
use super::{RecordError, plain, versioned};

const DUE: &str = "archive due";
const QUEUE: &str = "archive queue";
const FAULT: &str = "archive fault";
const QUEUED: &str = "archive queued";
const WORDS_QUEUED: &str = "archive queued words";
const TERMS: &str = "archive terms";

/// What is kept provable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Filing,
    Receipt,
    Mandate,
    MandateWithdrawal,
    Operator,
    OperatorWithdrawal,
}

impl Kept {
    /// Before the id, so that a mandate is never taken for a filing of the same letters.
    fn before(self) -> &'static str {
        match self {
            Self::Filing | Self::Receipt => "",
            Self::Mandate => "mandate/",
            Self::MandateWithdrawal => "mandate-withdrawal/",
            Self::Operator => "operator/",
            Self::OperatorWithdrawal => "operator-withdrawal/",
        }
    }

    pub fn name(self, id: &str) -> String {
        format!("{}{id}", self.before())
    }

    /// What a name stands for, and the id in it.
    pub fn of(name: &str) -> (Self, &str) {
        let words = [Self::Mandate, Self::MandateWithdrawal, Self::Operator, Self::OperatorWithdrawal];
        let found = words.into_iter().find_map(|kept| Some((kept, name.strip_prefix(kept.before())?)));
        found.unwrap_or((if ReceiptNumber::parse(name).is_some() { Self::Receipt } else { Self::Filing }, name))
    }
}

/// Seconds since 1970, and none before.
fn seconds(at: i64) -> [u8; 8] {
    u64::try_from(at).unwrap_or(0).to_be_bytes()
}

fn due_key(name: &str) -> Key {
    Key::new(DUE, &[name.as_bytes()])
}

fn queue_key(at: i64, name: &str) -> Key {
    Key::new(QUEUE, &[&seconds(at), name.as_bytes()])
}

/// Looked at for the first time at `at`, Unix seconds.
pub fn plan(name: &str, at: i64, batch: Batch) -> Batch {
    batch.put(due_key(name), plain(&at.to_be_bytes())).put(queue_key(at, name), name.as_bytes())
}

/// Looked at next at `at`; what was planned before is not any more.
pub fn replan(store: &dyn Store, name: &str, at: i64, batch: Batch) -> Result<Batch, RecordStoreError> {
    let before = planned(store, name)?;
    let batch = before.into_iter().filter(|before| seconds(*before) != seconds(at)).fold(batch, |batch, before| batch.delete(queue_key(before, name)));
    Ok(plan(name, at, batch))
}

/// No more to be looked at.
pub fn drop_plan(store: &dyn Store, name: &str, batch: Batch) -> Result<Batch, RecordStoreError> {
    Ok(planned(store, name)?.into_iter().fold(batch.delete(due_key(name)), |batch, before| batch.delete(queue_key(before, name))))
}

/// When it is to be looked at, if that was ever decided.
pub fn planned(store: &dyn Store, name: &str) -> Result<Option<i64>, RecordStoreError> {
    let Some(bytes) = store.get(&due_key(name))? else { return Ok(None) };
    let damaged = RecordError::Damaged { kind: DUE, reason: "it is no time" };
    let at = versioned(DUE, &bytes)?.first_chunk::<8>().map(|octets| i64::from_be_bytes(*octets)).ok_or(damaged)?;
    Ok(Some(at))
}

/// Those whose turn has come at `at`, the first first; their values are the names.
pub fn due(at: i64) -> (Key, Key) {
    (Key::new(QUEUE, &[]), Key::new(QUEUE, &[&seconds(at.saturating_add(1))]))
}

/// Those whose turn comes after `at`.
pub fn after(at: i64) -> (Key, Key) {
    (Key::new(QUEUE, &[&seconds(at.saturating_add(1))]), Key::range(QUEUE, &[]).1)
}

/// By which terms everything was planned: the digest of `archive.toml`.
pub fn terms_key() -> Key {
    Key::new(TERMS, &[])
}

/// Why the proof of one cannot be kept; its value is the reason.
pub fn fault_key(name: &str) -> Key {
    Key::new(FAULT, &[name.as_bytes()])
}

pub fn faults() -> (Key, Key) {
    Key::range(FAULT, &[])
}

/// Stands once everything that was kept before there was a queue is in it.
pub fn queued_key() -> Key {
    Key::new(QUEUED, &[])
}

/// Stands once mandates and what was said of keys before they were archived are in it too.
pub fn words_queued_key() -> Key {
    Key::new(WORDS_QUEUED, &[])
}

#[derive(Debug, thiserror::Error)]
pub enum RecordStoreError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
