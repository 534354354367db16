//! A batch is data: it can be printed, compared, replayed and tried again.

use crate::Key;
use crate::record::ReadyRecord;

/// What must hold, at the moment of the commit, for any of the batch to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    Absent(Key),
    Present(Key),
    Equals(Key, Vec<u8>),
}

impl Expectation {
    pub(crate) fn key(&self) -> &Key {
        match self {
            Self::Absent(key) | Self::Present(key) | Self::Equals(key, _) => key,
        }
    }
}

/// The place of an append in its batch: the receipt knows the position it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamSlot(pub(crate) usize);

/// The place of a counter's step in its batch: the receipt knows the number it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterSlot(pub(crate) usize);

/// A piece of a key or value. Numbers the store assigns are spliced in, eight bytes big-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Bytes(Vec<u8>),
    Position(StreamSlot),
    Counter(CounterSlot),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(pub(crate) Vec<Part>);

impl Template {
    pub fn new(parts: Vec<Part>) -> Self {
        Self(parts)
    }

    /// A key that ends in a number the store will give: [`Key::numbered`] finds it again.
    pub fn numbered(table: &str, parts: &[&[u8]], number: CounterSlot) -> Self {
        Self(vec![Part::Bytes(Key::new(table, parts).as_bytes().to_vec()), Part::Counter(number)])
    }
}

impl Template {
    fn size(&self) -> usize {
        self.0.iter().map(|part| if let Part::Bytes(bytes) = part { bytes.len() } else { 8 }).sum()
    }
}

impl From<Vec<u8>> for Template {
    fn from(bytes: Vec<u8>) -> Self {
        Self(vec![Part::Bytes(bytes)])
    }
}

impl From<&[u8]> for Template {
    fn from(bytes: &[u8]) -> Self {
        bytes.to_vec().into()
    }
}

impl From<Key> for Template {
    fn from(key: Key) -> Self {
        key.into_bytes().into()
    }
}

/// Sums that stand in one record, since one commit adds to all of them. Where that is not there yet they are what sums of these names came
/// to, which it takes the place of: a store from before is read as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Together {
    pub(crate) name: String,
    pub(crate) former: Vec<String>,
}

impl Together {
    pub fn new(name: String, former: Vec<String>) -> Self {
        Self { name, former }
    }
}

/// Expectations, writes, appends and counter steps that are done together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub(crate) expectations: Vec<Expectation>,
    pub(crate) puts: Vec<(Template, Template)>,
    pub(crate) ready: Vec<ReadyRecord>,
    pub(crate) deletes: Vec<Key>,
    pub(crate) appends: Vec<(String, Template)>,
    pub(crate) counters: Vec<String>,
    pub(crate) sums: Vec<(String, i64)>,
    pub(crate) together: Vec<(Together, Vec<i64>)>,
}

impl Batch {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn expect(mut self, expectation: Expectation) -> Self {
        self.expectations.push(expectation);
        self
    }

    /// How many expectations there are: the next one gets this number in a conflict.
    pub fn expectations(&self) -> usize {
        self.expectations.len()
    }

    pub fn put(mut self, key: impl Into<Template>, value: impl Into<Template>) -> Self {
        self.puts.push((key.into(), value.into()));
        self
    }

    /// As `put`, of what was made ready: it is copied no more. Of its key it wins over a `put` of the same batch.
    pub fn put_ready(mut self, record: &ReadyRecord) -> Self {
        self.ready.push(record.clone());
        self
    }

    pub fn delete(mut self, key: Key) -> Self {
        self.deletes.push(key);
        self
    }

    /// Adds to the end of a stream; streams have no gaps and begin at 0.
    pub fn append(&mut self, stream: &str, bytes: impl Into<Template>) -> StreamSlot {
        self.appends.push((stream.to_owned(), bytes.into()));
        StreamSlot(self.appends.len() - 1)
    }

    /// Steps a counter; the first number is 1 and none is given twice.
    pub fn next(&mut self, counter: &str) -> CounterSlot {
        self.counters.push(counter.to_owned());
        CounterSlot(self.counters.len() - 1)
    }

    /// Adds to a sum, such as the bytes a mailbox holds. Sums are of their own: no counter shares their name.
    /// A sum that would leave the numbers from 0 to 2^64 - 1 stays at the nearer end.
    pub fn add(&mut self, sum: &str, amount: i64) {
        self.sums.push((sum.to_owned(), amount));
    }

    /// Adds to each of the sums of a record, as `add` does.
    pub fn add_together(&mut self, sums: Together, amounts: &[i64]) {
        self.together.push((sums, amounts.to_vec()));
    }

    /// About how many bytes it writes.
    pub(crate) fn size(&self) -> usize {
        let puts = self.puts.iter().map(|(key, value)| key.size().saturating_add(value.size()));
        let appends = self.appends.iter().map(|(stream, entry)| stream.len().saturating_add(entry.size()));
        puts.chain(appends).chain(self.ready.iter().map(ReadyRecord::size)).fold(0, usize::saturating_add)
    }
}
