//! What is known of a message without its body, small enough to scan a whole folder:
//! `1 | step u64 | body u64 | unix milliseconds i64 | size u32 | SHA-256 | system flags u8 | keywords`,
//! numbers big-endian, keywords parted by spaces. MODSEQ is the step plus one.

use protocol::imap::exchange::{Flags, Keyword, MessageInfo};
use store::{CounterSlot, Key, Part, Template};
use time::OffsetDateTime;

use super::body::BodyId;
use super::{RecordError, VERSION, versioned};

const KIND: &str = "message";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub body: BodyId,
    pub unix_millis: i64,
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
        rest.extend(self.size.to_be_bytes());
        rest.extend(self.digest);
        rest.push(self.flags.bits());
        let keywords: Vec<&str> = self.flags.keywords().map(Keyword::as_str).collect();
        rest.extend(keywords.join(" ").into_bytes());
        Template::new(vec![Part::Bytes(vec![VERSION]), Part::Counter(step), Part::Bytes(rest)])
    }

    /// The message and its MODSEQ.
    pub fn decode(bytes: &[u8]) -> Result<(Self, u64), RecordError> {
        let damaged = || RecordError::Damaged { kind: KIND, reason: "it is too short or its flags are none" };
        let rest = versioned(KIND, bytes)?;
        let (step, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (body, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (millis, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (size, rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let (digest, rest) = rest.split_first_chunk::<32>().ok_or_else(damaged)?;
        let (bits, keywords) = rest.split_first().ok_or_else(damaged)?;
        let keywords = std::str::from_utf8(keywords).map_err(|_| damaged())?;
        let keywords: Option<Vec<Keyword>> = keywords.split(' ').filter(|word| !word.is_empty()).map(Keyword::new).collect();
        let message = Self {
            body: BodyId(u64::from_be_bytes(*body)),
            unix_millis: i64::from_be_bytes(*millis),
            size: u32::from_be_bytes(*size),
            digest: *digest,
            flags: Flags::from_parts(*bits, keywords.ok_or_else(damaged)?),
        };
        Ok((message, u64::from_be_bytes(*step).saturating_add(1)))
    }

    pub fn info(self, uid: u32, modseq: u64) -> Result<MessageInfo, RecordError> {
        let date = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.unix_millis) * 1_000_000);
        let internal_date = date.map_err(|_| RecordError::Damaged { kind: KIND, reason: "its date is none" })?;
        // A day of the calendar, as SEARCH asks for it, is one of the city.
        let internal_date = internal_date.checked_to_offset(time::macros::offset!(+8)).unwrap_or(internal_date);
        Ok(MessageInfo { uid, flags: self.flags, modseq, internal_date, size: u64::from(self.size), content: self.body.0 })
    }
}
