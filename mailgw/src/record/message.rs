//! What is known of a message without its body, small enough to scan a whole folder:
//! `2 | step u64 | body u64 | unix milliseconds i64 | saved, unix milliseconds i64 | size u32 | SHA-256 | system flags u8 | keywords`,
//! numbers big-endian, keywords parted by spaces. MODSEQ is the step plus one. Records of version 1 have no time of saving.

use protocol::imap::exchange::{Flags, Keyword, MessageInfo};
use store::{CounterSlot, Key, Part, Template};
use time::OffsetDateTime;

use super::body::BodyId;
use super::{RecordError, versioned};

const KIND: &str = "message";
const WITH_SAVED: u8 = 2;
/// Stands for a time of saving that was not kept.
const NOT_KEPT: i64 = i64::MIN;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub body: BodyId,
    pub unix_millis: i64,
    /// When it came into this folder.
    pub saved_unix_millis: Option<i64>,
    pub size: u32,
    pub digest: [u8; 32],
    pub flags: Flags,
}

pub fn key(folder: u64, uid: u32) -> Key {
    Key::numbered(KIND, &[&folder.to_be_bytes()], u64::from(uid))
}

/// A key whose UID the store gives.
pub fn new_key(folder: u64, uid: CounterSlot) -> Template {
    Template::numbered(KIND, &[&folder.to_be_bytes()], uid)
}

pub fn range(folder: u64) -> (Key, Key) {
    Key::range(KIND, &[&folder.to_be_bytes()])
}

/// The UID in a key of this folder.
pub fn uid(folder: u64, key: &Key) -> Result<u32, RecordError> {
    let uid = key.number(KIND, &[&folder.to_be_bytes()]).and_then(|uid| u32::try_from(uid).ok());
    uid.ok_or(RecordError::Damaged { kind: KIND, reason: "its key holds no UID" })
}

impl Message {
    /// The record at a step of the folder's MODSEQ that the store gives.
    pub fn template(&self, step: CounterSlot) -> Template {
        let mut rest = Vec::with_capacity(64);
        rest.extend(self.body.0.to_be_bytes());
        rest.extend(self.unix_millis.to_be_bytes());
        rest.extend(self.saved_unix_millis.unwrap_or(NOT_KEPT).to_be_bytes());
        rest.extend(self.size.to_be_bytes());
        rest.extend(self.digest);
        rest.push(self.flags.bits());
        let keywords: Vec<&str> = self.flags.keywords().map(Keyword::as_str).collect();
        rest.extend(keywords.join(" ").into_bytes());
        Template::new(vec![Part::Bytes(vec![WITH_SAVED]), Part::Counter(step), Part::Bytes(rest)])
    }

    /// The message and its MODSEQ.
    pub fn decode(bytes: &[u8]) -> Result<(Self, u64), RecordError> {
        let damaged = || RecordError::Damaged { kind: KIND, reason: "it is too short or its flags are none" };
        let (has_saved, rest) = match bytes {
            [WITH_SAVED, rest @ ..] => (true, rest),
            _ => (false, versioned(KIND, bytes)?),
        };
        let (step, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (body, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (millis, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (saved, rest) = match rest.split_first_chunk::<8>().filter(|_| has_saved) {
            Some((saved, rest)) => (Some(i64::from_be_bytes(*saved)).filter(|saved| *saved != NOT_KEPT), rest),
            None => (None, rest),
        };
        let (size, rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let (digest, rest) = rest.split_first_chunk::<32>().ok_or_else(damaged)?;
        let (bits, keywords) = rest.split_first().ok_or_else(damaged)?;
        let keywords = std::str::from_utf8(keywords).map_err(|_| damaged())?;
        let keywords: Option<Vec<Keyword>> = keywords.split(' ').filter(|word| !word.is_empty()).map(Keyword::new).collect();
        let message = Self {
            body: BodyId(u64::from_be_bytes(*body)),
            unix_millis: i64::from_be_bytes(*millis),
            saved_unix_millis: saved,
            size: u32::from_be_bytes(*size),
            digest: *digest,
            flags: Flags::from_parts(*bits, keywords.ok_or_else(damaged)?),
        };
        Ok((message, u64::from_be_bytes(*step).saturating_add(1)))
    }

    pub fn info(self, uid: u32, modseq: u64) -> Result<MessageInfo, RecordError> {
        // A day of the calendar, as SEARCH asks for it, is one of the city.
        let moment = |millis: i64| {
            let date = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok()?;
            Some(date.checked_to_offset(time::macros::offset!(+8)).unwrap_or(date))
        };
        let internal_date = moment(self.unix_millis).ok_or(RecordError::Damaged { kind: KIND, reason: "its date is none" })?;
        let saved = self.saved_unix_millis.and_then(moment);
        Ok(MessageInfo { uid, flags: self.flags, modseq, internal_date, saved, size: u64::from(self.size), content: self.body.0 })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use store::{Batch, Memory, Store};

    use super::*;

    #[test]
    fn records_of_before_times_of_saving_are_read() {
        let message = Message { body: BodyId(7), unix_millis: 1_000, saved_unix_millis: Some(2_000), size: 3, digest: [9; 32], flags: Flags::from_parts(1, [Keyword::new("$x").unwrap()]) };
        let (store, place) = (Memory::new(), Key::new("x", &[]));
        let mut batch = Batch::new();
        let step = batch.next("step");
        store.commit(batch.put(place.clone(), message.template(step))).unwrap();
        let bytes = store.get(&place).unwrap().unwrap();
        assert_eq!(Message::decode(&bytes).unwrap(), (message.clone(), 2));
        let former = [&[1], &bytes[1..25], &bytes[33..]].concat();
        assert_eq!(Message::decode(&former).unwrap(), (Message { saved_unix_millis: None, ..message }, 2));
        assert!(Message::decode(&bytes[..40]).is_err());
    }
}
