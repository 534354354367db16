//! When the counter withdrew a mailbox's password: it stands until there is another. `1 | Unix milliseconds u64 big-endian`.

use policies::mailbox::MailboxNumber;
use store::Key;

use super::{RecordError, VERSION, versioned};

const KIND: &str = "withdrawn password";

pub fn key(number: MailboxNumber) -> Key {
    Key::numbered(KIND, &[], number.get())
}

pub fn encode(unix_millis: u64) -> Vec<u8> {
    [&[VERSION][..], &unix_millis.to_be_bytes()].concat()
}

pub fn decode(stored: &[u8]) -> Result<u64, RecordError> {
    let at = versioned(KIND, stored)?.try_into().map(u64::from_be_bytes);
    at.map_err(|_| RecordError::Damaged { kind: KIND, reason: "it is no time" })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_form_in_which_it_stands() {
        assert_eq!(encode(0x0102), b"\x01\0\0\0\0\0\0\x01\x02");
        assert_eq!(decode(&encode(7)).unwrap(), 7);
        assert!(decode(b"\x01\0").is_err() && decode(b"\x02\0\0\0\0\0\0\0\x07").is_err());
    }
}
