//! That a client's program fetched a statement, and that its owner said to have read it: the number of the batch of evidence that says so, once for a statement's message.

use store::{Batch, CounterSlot, Expectation, Key, Part, Template};

use super::{RecordError, VERSION, versioned};

const KIND: &str = "statement access";
const OF_PUSH: &str = "evidence access";

fn key(bureau: &str, statement: &str, message: &[u8; 32]) -> Key {
    Key::new(KIND, &[bureau.as_bytes(), statement.as_bytes(), message])
}

/// Whether it is recorded, and what a commit that records it expects.
pub fn known(store: &dyn store::Store, bureau: &str, statement: &str, message: &[u8; 32]) -> Result<(bool, Expectation), store::StoreError> {
    let key = key(bureau, statement, message);
    Ok((store.get(&key)?.is_some(), Expectation::Absent(key)))
}

/// Puts that it is said in the batch of evidence that the slot numbers, and that this batch speaks of the push.
pub fn put(write: Batch, bureau: &str, statement: &str, message: &[u8; 32], push: &str, slot: CounterSlot) -> Batch {
    speaks_of(write.put(key(bureau, statement, message), number_of(slot)), bureau, push, slot)
}

/// Puts that the batch of evidence speaks of this push, beside the push's own.
pub fn speaks_of(write: Batch, bureau: &str, push: &str, slot: CounterSlot) -> Batch {
    write.put(Template::numbered(OF_PUSH, &[bureau.as_bytes(), push.as_bytes()], slot), number_of(slot))
}

fn number_of(slot: CounterSlot) -> Template {
    Template::new(vec![Part::Bytes(vec![VERSION]), Part::Counter(slot)])
}

fn reading_key(bureau: &str, statement: &str, message: &[u8; 32]) -> Key {
    Key::new(KIND, &[bureau.as_bytes(), statement.as_bytes(), message, b"read"])
}

/// Whether its owner said to have read it, and what a commit that records it expects.
pub fn read(store: &dyn store::Store, bureau: &str, statement: &str, message: &[u8; 32]) -> Result<(bool, Expectation), store::StoreError> {
    let key = reading_key(bureau, statement, message);
    Ok((store.get(&key)?.is_some(), Expectation::Absent(key)))
}

/// Puts that its owner said so, in the batch of evidence that the slot numbers, which speaks of the push.
pub fn put_read(write: Batch, bureau: &str, statement: &str, message: &[u8; 32], push: &str, slot: CounterSlot) -> Batch {
    speaks_of(write.put(reading_key(bureau, statement, message), number_of(slot)), bureau, push, slot)
}

/// What says that a statement's messages were fetched, or read.
pub fn of_statement(bureau: &str, statement: &str) -> (Key, Key) {
    Key::range(KIND, &[bureau.as_bytes(), statement.as_bytes()])
}

/// The batches of evidence that say what became of a push since it ended: what was fetched, and who was told elsewhere.
pub fn of_push(bureau: &str, push: &str) -> (Key, Key) {
    Key::range(OF_PUSH, &[bureau.as_bytes(), push.as_bytes()])
}

pub fn number(bytes: &[u8]) -> Result<u64, RecordError> {
    versioned(KIND, bytes)?.try_into().map(u64::from_be_bytes).map_err(|_| RecordError::Damaged { kind: KIND, reason: "it is no number" })
}
