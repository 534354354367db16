//! From a batch to plain writes: expectations judged, positions and numbers given. The same on every engine.

use std::collections::BTreeMap;

use crate::batch::{Expectation, Part, Template};
use crate::contract::{CommitError, Receipt, StoreError};
use crate::record::Value;
use crate::{Batch, Key};

/// What the planner may ask of the state the batch is applied to.
pub(crate) trait State {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError>;
}

/// The record that holds a stream's length.
pub(crate) fn length_key(stream: &str) -> Key {
    Key::new("\u{1}length", &[stream.as_bytes()])
}

pub(crate) fn entry_key(stream: &str, position: u64) -> Key {
    Key::new("\u{1}stream", &[stream.as_bytes(), &position.to_be_bytes()])
}

pub(crate) fn counter_key(counter: &str) -> Key {
    Key::new("\u{1}counter", &[counter.as_bytes()])
}

pub(crate) fn sum_key(sum: &str) -> Key {
    Key::new("\u{1}sum", &[sum.as_bytes()])
}

pub(crate) fn together_key(name: &str) -> Key {
    Key::new("\u{1}sums", &[name.as_bytes()])
}

/// The writes of one batch: `None` deletes.
pub(crate) type Writes = BTreeMap<Key, Option<Value>>;

/// The largest key and value an engine takes, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) key: usize,
    pub(crate) value: usize,
}

impl Limits {
    fn check(self, writes: &Writes) -> Result<(), CommitError> {
        for (key, value) in writes {
            if key.as_bytes().len() > self.key {
                return Err(CommitError::TooLarge { what: "key", bytes: key.as_bytes().len(), limit: self.key });
            }
            match value {
                Some(value) if value.bytes().len() > self.value => return Err(CommitError::TooLarge { what: "value", bytes: value.bytes().len(), limit: self.value }),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The store's own tables begin with U+0001; a caller reads them through streams, counters and sums only.
fn of_the_caller(key: &Key) -> Result<(), CommitError> {
    match key.as_bytes().first() {
        None => Err(CommitError::UnusableKey { reason: "is empty" }),
        Some(1) => Err(CommitError::UnusableKey { reason: "is of a table of the store's own" }),
        Some(_) => Ok(()),
    }
}

fn step(number: u64) -> Result<u64, StoreError> {
    number.checked_add(1).ok_or_else(|| StoreError::Corrupt { reason: "a counter or stream is at its end, 2^64 - 1".into() })
}

pub(crate) fn plan(batch: Batch, state: &dyn State, limits: Limits) -> Result<(Writes, Receipt), CommitError> {
    for (index, expectation) in batch.expectations.iter().enumerate() {
        of_the_caller(expectation.key())?;
        if !holds(expectation, state)? {
            return Err(CommitError::Conflict { expectation: index });
        }
    }
    let mut writes = Writes::new();
    let mut receipt = Receipt { positions: Vec::new(), counters: Vec::new() };
    for counter in &batch.counters {
        let key = counter_key(counter);
        let number = step(number(&key, &writes, state)?)?;
        writes.insert(key, Some(plain(number)));
        receipt.counters.push(number);
    }
    for (sum, amount) in &batch.sums {
        let key = sum_key(sum);
        let total = number(&key, &writes, state)?.saturating_add_signed(*amount);
        writes.insert(key, Some(plain(total)));
    }
    for (sums, amounts) in &batch.together {
        let key = together_key(&sums.name);
        let mut totals = match written_or_stored(&key, &writes, state)? {
            Some(bytes) => decode_together(&bytes, sums.former.len())?,
            None => {
                let mut totals = Vec::with_capacity(sums.former.len());
                for former in sums.former.iter().map(|former| sum_key(former)) {
                    let found = written_or_stored(&former, &writes, state)?;
                    if found.is_some() {
                        writes.insert(former, None);
                    }
                    totals.push(decode(found)?);
                }
                totals
            }
        };
        totals.iter_mut().zip(amounts).for_each(|(total, amount)| *total = total.saturating_add_signed(*amount));
        writes.insert(key, Some(Value::Plain(totals.iter().flat_map(|total| total.to_be_bytes()).collect())));
    }
    // All positions are known before any entry is filled in: an entry may name a later one.
    for (stream, _) in &batch.appends {
        let key = length_key(stream);
        let position = number(&key, &writes, state)?;
        writes.insert(key, Some(plain(step(position)?)));
        receipt.positions.push(position);
    }
    for ((stream, entry), position) in batch.appends.into_iter().zip(&receipt.positions) {
        writes.insert(entry_key(&stream, *position), Some(Value::Plain(fill(entry, &receipt)?)));
    }
    for (key, value) in batch.puts {
        let key = Key::raw(fill(key, &receipt)?);
        of_the_caller(&key)?;
        writes.insert(key, Some(Value::Plain(fill(value, &receipt)?)));
    }
    for record in batch.ready {
        of_the_caller(&record.key)?;
        writes.insert(record.key, Some(Value::Ready(record.stored)));
    }
    for key in batch.deletes {
        of_the_caller(&key)?;
        writes.insert(key, None);
    }
    limits.check(&writes)?;
    Ok((writes, receipt))
}

fn plain(number: u64) -> Value {
    Value::Plain(number.to_be_bytes().to_vec())
}

fn holds(expectation: &Expectation, state: &dyn State) -> Result<bool, StoreError> {
    Ok(match expectation {
        Expectation::Absent(key) => state.get(key)?.is_none(),
        Expectation::Present(key) => state.get(key)?.is_some(),
        Expectation::Equals(key, value) => state.get(key)?.as_ref() == Some(value),
    })
}

/// A number as this batch has left it so far.
pub(crate) fn number(key: &Key, writes: &Writes, state: &dyn State) -> Result<u64, StoreError> {
    decode(written_or_stored(key, writes, state)?)
}

fn written_or_stored(key: &Key, writes: &Writes, state: &dyn State) -> Result<Option<Vec<u8>>, StoreError> {
    match writes.get(key) {
        Some(written) => Ok(written.as_ref().map(|value| value.bytes().to_vec())),
        None => state.get(key),
    }
}

/// Sums that stand in one record.
pub(crate) fn decode_together(bytes: &[u8], count: usize) -> Result<Vec<u64>, StoreError> {
    let (sums, []) = bytes.as_chunks::<8>() else { return Err(StoreError::Corrupt { reason: "sums are not eight bytes each".into() }) };
    if sums.len() == count { Ok(sums.iter().map(|sum| u64::from_be_bytes(*sum)).collect()) } else { Err(StoreError::Corrupt { reason: "a record has another number of sums".into() }) }
}

/// A counter, sum or length as it is stored; none yet is nought.
pub(crate) fn decode(bytes: Option<Vec<u8>>) -> Result<u64, StoreError> {
    let Some(bytes) = bytes else { return Ok(0) };
    let bytes: [u8; 8] = bytes.try_into().map_err(|_| StoreError::Corrupt { reason: "a counter is not eight bytes".into() })?;
    Ok(u64::from_be_bytes(bytes))
}

fn fill(template: Template, receipt: &Receipt) -> Result<Vec<u8>, CommitError> {
    let mut bytes = Vec::new();
    for part in template.0 {
        match part {
            // Nearly every template is one piece, and becomes what is written without a copy.
            Part::Bytes(first) if bytes.is_empty() => bytes = first,
            Part::Bytes(more) => bytes.extend_from_slice(&more),
            Part::Position(slot) => bytes.extend(receipt.position(slot).ok_or(CommitError::UnknownSlot)?.to_be_bytes()),
            Part::Counter(slot) => bytes.extend(receipt.counter(slot).ok_or(CommitError::UnknownSlot)?.to_be_bytes()),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_of_a_counter_or_stream_has_no_next() {
        struct Full;
        impl State for Full {
            fn get(&self, _: &Key) -> Result<Option<Vec<u8>>, StoreError> {
                Ok(Some(u64::MAX.to_be_bytes().to_vec()))
            }
        }
        let (mut counting, mut appending) = (Batch::new(), Batch::new());
        counting.next("serial");
        appending.append("log", b"entry".as_slice());
        for batch in [counting, appending] {
            let refusal = plan(batch, &Full, Limits { key: 100, value: 100 });
            assert!(matches!(refusal, Err(CommitError::Store(StoreError::Corrupt { .. }))), "{refusal:?}");
        }
    }
}
