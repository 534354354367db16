//! That a client's program fetched a statement: the number of the batch of evidence that says so, once for a statement's message.

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
    let number = || Template::new(vec![Part::Bytes(vec![VERSION]), Part::Counter(slot)]);
    write.put(key(bureau, statement, message), number()).put(Template::numbered(OF_PUSH, &[bureau.as_bytes(), push.as_bytes()], slot), number())
}

/// What says that a statement's messages were fetched.
pub fn of_statement(bureau: &str, statement: &str) -> (Key, Key) {
    Key::range(KIND, &[bureau.as_bytes(), statement.as_bytes()])
}

/// The batches of evidence that say what was fetched of a push.
pub fn of_push(bureau: &str, push: &str) -> (Key, Key) {
    Key::range(OF_PUSH, &[bureau.as_bytes(), push.as_bytes()])
}

pub fn number(bytes: &[u8]) -> Result<u64, RecordError> {
    versioned(KIND, bytes)?.try_into().map(u64::from_be_bytes).map_err(|_| RecordError::Damaged { kind: KIND, reason: "it is no number" })
}
