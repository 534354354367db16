//! A message that its owner deleted, as it stood, for as long as it is kept: `1 | when u64 | folder u64 | uid u32 | name's length u16 | name of
//! the folder | the message's record`; where the folder was for special uses `2`, and after the name `how many u8 | the uses`. It counts as one
//! of its body's messages. Beside it, by time, stands which to look at next.

use protocol::imap::exchange::SpecialUses;
use store::{Few, Key};

use super::{RecordError, VERSION, folder, from_json, to_json};

const KIND: &str = "deleted message";
const BY_TIME: &str = "deleted at";
const BYTES: &str = "deleted bytes/";
/// Of a record that tells the folder's uses, too.
const WITH_USES: u8 = 2;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    pub unix_millis: u64,
    /// Where it stood.
    pub folder: u64,
    pub uid: u32,
    /// As the folder was called.
    pub name: String,
    /// What the folder was for.
    pub uses: SpecialUses,
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
        let (version, uses) = if self.uses.is_empty() { (VERSION, Vec::new()) } else { (WITH_USES, folder::encode_uses(self.uses)) };
        let parts: [&[u8]; 8] = [&[version], &self.unix_millis.to_be_bytes(), &self.folder.to_be_bytes(), &self.uid.to_be_bytes(), &length.to_be_bytes(), name, &uses, &self.message];
        parts.concat()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let damaged = || RecordError::Damaged { kind: KIND, reason: "it is too short" };
        let (version, rest) = bytes.split_first().ok_or_else(damaged)?;
        if !matches!(*version, VERSION | WITH_USES) {
            return Err(RecordError::Version { kind: KIND, version: *version });
        }
        let (when, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (folder, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (uid, rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(damaged)?;
        let (name, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or_else(damaged)?;
        let name = String::from_utf8(name.to_vec()).map_err(|_| damaged())?;
        let (uses, message) = if *version == WITH_USES { folder::decode_uses(rest).ok_or_else(damaged)? } else { (SpecialUses::NONE, rest) };
        Ok(Self { unix_millis: u64::from_be_bytes(*when), folder: u64::from_be_bytes(*folder), uid: u32::from_be_bytes(*uid), name, uses, message: message.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use protocol::imap::exchange::SpecialUse;

    use super::*;

    #[test]
    fn it_comes_back_and_stands_in_its_time() {
        let deleted = Deleted { unix_millis: 7, folder: 1, uid: 2, name: "公积金/2026".into(), uses: SpecialUses::NONE, message: vec![0, 1, 2] };
        assert_eq!(Deleted::decode(&deleted.encode()).unwrap(), deleted);
        for end in 0..20 {
            assert!(Deleted::decode(deleted.encode().get(..end).unwrap()).is_err());
        }
        // As they were written before uses were kept.
        let old = [&b"\x01\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x01\0\0\0\x02\0\x0e"[..], "公积金/2026".as_bytes(), &[0, 1, 2]].concat();
        assert_eq!(Deleted::decode(&old).unwrap(), deleted);
        let sent = Deleted { uses: SpecialUses::NONE.with(SpecialUse::Sent), ..deleted.clone() };
        assert_eq!(Deleted::decode(&sent.encode()).unwrap(), sent);
        assert!(matches!(Deleted::decode(&[&[3], old.get(1..).unwrap()].concat()), Err(RecordError::Version { version: 3, .. })));
        let (from, to) = before(8);
        let key = time_key("1234567897", &deleted);
        assert!(from < key && key < to && before(7).1 < key);
        assert_eq!(decode_place(&encode_place("1234567897", &deleted).unwrap()).unwrap(), ("1234567897".to_owned(), 1, 2));
    }
}
