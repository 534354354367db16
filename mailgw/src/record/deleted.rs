//! A message that its owner deleted, as it stood, for as long as it is kept: `1 | when u64 | folder u64 | uid u32 | name's length u16 | name of
//! the folder | the message's record`. It counts as one of its body's messages. Beside it, by time, stands which to look at next.

use store::{Few, Key};

use super::{RecordError, VERSION, from_json, to_json, versioned};

const KIND: &str = "deleted message";
const BY_TIME: &str = "deleted at";
const BYTES: &str = "deleted bytes/";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    pub unix_millis: u64,
    /// Where it stood.
    pub folder: u64,
    pub uid: u32,
    /// As the folder was called.
    pub name: String,
    /// The record of the message.
    pub message: Vec<u8>,
}

pub fn key(mailbox: &str, folder: u64, uid: u32) -> Key {
    Key::numbered(KIND, &[mailbox.as_bytes(), &folder.to_be_bytes()], u64::from(uid))
}

/// Of one mailbox.
pub fn range(mailbox: &str) -> (Key, Key) {
    Key::range(KIND, &[mailbox.as_bytes()])
}

pub fn time_key(mailbox: &str, deleted: &Deleted) -> Key {
    Key::new(BY_TIME, &[&deleted.unix_millis.to_be_bytes(), mailbox.as_bytes(), &deleted.folder.to_be_bytes(), &deleted.uid.to_be_bytes()])
}

/// The sum of what a mailbox's deleted messages take.
pub fn bytes_sum(mailbox: &str) -> String {
    format!("{BYTES}{mailbox}")
}

/// Few mailboxes have deleted anything, of all that statements come to.
pub fn few() -> Few {
    Few::sums(BYTES)
}

/// Those deleted before a time, the oldest first.
pub fn before(unix_millis: u64) -> (Key, Key) {
    (Key::range(BY_TIME, &[]).0, Key::new(BY_TIME, &[&unix_millis.to_be_bytes()]))
}

/// Which it is: what stands by time.
pub fn encode_place(mailbox: &str, deleted: &Deleted) -> Result<Vec<u8>, RecordError> {
    to_json(BY_TIME, &(mailbox, deleted.folder, deleted.uid))
}

pub fn decode_place(bytes: &[u8]) -> Result<(String, u64, u32), RecordError> {
    from_json(BY_TIME, bytes)
}

impl Deleted {
    pub fn encode(&self) -> Vec<u8> {
        let length = u16::try_from(self.name.len()).unwrap_or(u16::MAX);
        let name = self.name.as_bytes().get(..usize::from(length)).unwrap_or_default();
        let parts: [&[u8]; 7] = [&[VERSION], &self.unix_millis.to_be_bytes(), &self.folder.to_be_bytes(), &self.uid.to_be_bytes(), &length.to_be_bytes(), name, &self.message];
        parts.concat()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let damaged = || RecordError::Damaged { kind: KIND, reason: "it is too short" };
        let (when, rest) = versioned(KIND, bytes)?.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (folder, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (uid, rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(damaged)?;
        let (name, message) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or_else(damaged)?;
        let name = String::from_utf8(name.to_vec()).map_err(|_| damaged())?;
        Ok(Self { unix_millis: u64::from_be_bytes(*when), folder: u64::from_be_bytes(*folder), uid: u32::from_be_bytes(*uid), name, message: message.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn it_comes_back_and_stands_in_its_time() {
        let deleted = Deleted { unix_millis: 7, folder: 1, uid: 2, name: "公积金/2026".into(), message: vec![0, 1, 2] };
        assert_eq!(Deleted::decode(&deleted.encode()).unwrap(), deleted);
        for end in 0..20 {
            assert!(Deleted::decode(deleted.encode().get(..end).unwrap()).is_err());
        }
        let (from, to) = before(8);
        let key = time_key("1234567897", &deleted);
        assert!(from < key && key < to && before(7).1 < key);
        assert_eq!(decode_place(&encode_place("1234567897", &deleted).unwrap()).unwrap(), ("1234567897".to_owned(), 1, 2));
    }
}
