//! All of a store as it was at one moment, written out as one stream of bytes and taken in by a new store of any engine.
//!
//! `suiyin store 1`, a line feed; then each record as the length of its key, the length of its value (four octets each,
//! big-endian), key and value, in the order of the keys; at the end a length of 0, which no key has, and the number of
//! records in eight octets.

use std::io::{self, Read, Write};
use std::path::Path;

use crate::committer::{Engine, guarded};
use crate::contract::{Snapshot, StoreError};
use crate::open::engine;
use crate::plan::{decode, entry_key, length_key};
use crate::record::Stored;
use crate::{Key, fjall_engine, record};

const HEAD: &[u8] = b"suiyin store 1\n";
/// Read from a snapshot, and written to a store, at a time.
const PAGE_BYTES: usize = 4 << 20;
/// The most records in one write.
const PAGE_RECORDS: usize = 16_384;

#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the copy cannot be written or read: {0}; look at the disk")]
    Io(#[from] io::Error),
    #[error("this is no whole copy of a store: {0}; take another one")]
    Form(&'static str),
    #[error("a {what} of {bytes} bytes is more than this engine takes; restore into the engine it came from")]
    TooLarge { what: &'static str, bytes: usize },
}

/// Writes all records; `progress` is told how many there were so far.
pub fn write_out(snapshot: &dyn Snapshot, out: &mut dyn Write, progress: &mut dyn FnMut(u64)) -> Result<u64, CopyError> {
    out.write_all(HEAD)?;
    let (mut records, mut last) = (0_u64, None);
    loop {
        let page = snapshot.page(last.as_ref(), PAGE_BYTES)?;
        let Some((end, _)) = page.last() else { break };
        let end = end.clone();
        for (key, value) in &page {
            let length = |bytes: &[u8]| u32::try_from(bytes.len()).map(u32::to_be_bytes).map_err(|_| CopyError::Form("a record has 4 GiB"));
            out.write_all(&length(key.as_bytes())?)?;
            out.write_all(&length(value)?)?;
            out.write_all(key.as_bytes())?;
            out.write_all(value)?;
        }
        records += page.len() as u64;
        last = Some(end);
        progress(records);
    }
    out.write_all(&[0; 4])?;
    out.write_all(&records.to_be_bytes())?;
    Ok(records)
}

/// Makes the store that `configuration` names, which must not stand yet, of all that `input` holds.
pub fn take_in(configuration: &str, base: &Path, input: &mut dyn Read, progress: &mut dyn FnMut(u64)) -> Result<u64, CopyError> {
    let engine = engine(configuration, base)?;
    let mut reader = Reader::new(input)?;
    let mut writes = Vec::new();
    let mut held = 0;
    while let Some((key, value)) = reader.next()? {
        for (what, bytes, limit) in [("key", key.as_bytes().len(), engine.limits().key), ("value", value.len(), engine.limits().value)] {
            if bytes > limit {
                return Err(CopyError::TooLarge { what, bytes });
            }
        }
        held += key.as_bytes().len() + value.len();
        let sealed = record::seal(&key, &value);
        writes.push((key, Some(sealed)));
        if held >= PAGE_BYTES || writes.len() == PAGE_RECORDS {
            write(&*engine, &mut writes)?;
            held = 0;
            progress(reader.records);
        }
    }
    write(&*engine, &mut writes)?;
    Ok(reader.records)
}

/// Reads a copy to its end without keeping it, and hands out the entries of `stream` in their order. Gives the number of
/// records and of entries.
pub fn read_through(input: &mut dyn Read, stream: &str, visit: &mut dyn FnMut(&[u8])) -> Result<(u64, u64), CopyError> {
    let mut reader = Reader::new(input)?;
    let (mut entries, mut length) = (0, 0);
    while let Some((key, value)) = reader.next()? {
        if key == entry_key(stream, entries) {
            visit(&value);
            entries += 1;
        } else if key == length_key(stream) {
            length = decode(Some(value))?;
        }
    }
    if entries == length { Ok((reader.records, entries)) } else { Err(CopyError::Form("a stream has a gap")) }
}

fn write(engine: &dyn Engine, writes: &mut Vec<(Key, Option<Stored>)>) -> Result<(), StoreError> {
    let page = std::mem::take(writes);
    if page.is_empty() { Ok(()) } else { guarded(|| engine.write(page)) }
}

struct Reader<'a> {
    input: &'a mut dyn Read,
    records: u64,
    last: Option<Key>,
}

impl<'a> Reader<'a> {
    fn new(input: &'a mut dyn Read) -> Result<Self, CopyError> {
        let mut this = Self { input, records: 0, last: None };
        if this.take(HEAD.len())? == HEAD { Ok(this) } else { Err(CopyError::Form("it does not begin as one")) }
    }

    fn next(&mut self) -> Result<Option<(Key, Vec<u8>)>, CopyError> {
        let key = self.length(fjall_engine::LIMITS.key)?;
        if key == 0 {
            let records = <[u8; 8]>::try_from(self.take(8)?).map(u64::from_be_bytes);
            let ends = self.input.read(&mut [0])? == 0;
            return if records == Ok(self.records) && ends { Ok(None) } else { Err(CopyError::Form("its end does not fit")) };
        }
        let value = self.length(fjall_engine::LIMITS.value)?;
        let (key, value) = (Key::raw(self.take(key)?), self.take(value)?);
        if self.last.as_ref().is_some_and(|last| *last >= key) {
            return Err(CopyError::Form("its records are not in their order"));
        }
        self.last = Some(key.clone());
        self.records += 1;
        Ok(Some((key, value)))
    }

    fn length(&mut self, most: usize) -> Result<usize, CopyError> {
        let length = <[u8; 4]>::try_from(self.take(4)?).map(u32::from_be_bytes).ok().and_then(|length| usize::try_from(length).ok());
        length.filter(|length| *length <= most).ok_or(CopyError::Form("a record is too long"))
    }

    /// Memory is taken as the bytes come, not as a length promises.
    fn take(&mut self, length: usize) -> Result<Vec<u8>, CopyError> {
        let mut bytes = Vec::new();
        self.input.take(length as u64).read_to_end(&mut bytes)?;
        if bytes.len() == length { Ok(bytes) } else { Err(CopyError::Form("it ends too early")) }
    }
}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
