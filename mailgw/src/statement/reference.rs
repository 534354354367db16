//! Names a statement on the outside of its message, where the gateway finds it again though the inside be encrypted. Sealed: whoever carries or
//! keeps the message learns no number from it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use keys::{DataKey, DataKeyError};

const FIELD: &[u8] = b"Statement-Reference:";
/// What the seal is for: no other sealed value opens as a reference.
const PLACE: &[u8] = b"suiyin statement reference v1";
/// Longer than every header of ours before the end of that field.
const HEADER: usize = 8 * 1024;
/// Of the two names together, and of what they come to when sealed.
const MAX_NAMES: usize = 260;
const MAX_SEALED: usize = 512;
/// Columns of the value, in lines of 78. spec: rfc5322#2.1.1
const COLUMNS: usize = 76;

/// The bureau and its number of a statement. That a message bears them says that we made such a message, not that it is the one or whose it is:
/// it can be copied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Named {
    pub bureau: String,
    pub statement: String,
}

impl Named {
    pub fn seal(&self, key: &DataKey) -> Result<String, DataKeyError> {
        Ok(BASE64.encode(key.seal(PLACE, format!("{} {}", self.bureau, self.statement).as_bytes())?))
    }

    /// None where we did not make it.
    pub fn open(reference: &str, key: &DataKey) -> Option<Self> {
        let names = String::from_utf8(key.open(PLACE, &BASE64.decode(reference).ok()?).ok()?).ok()?;
        let (bureau, statement) = names.split_once(' ').filter(|_| names.len() <= MAX_NAMES)?;
        Some(Self { bureau: bureau.to_owned(), statement: statement.to_owned() })
    }
}

/// The field, folded.
pub(super) fn put(out: &mut Vec<u8>, reference: &str) {
    out.extend_from_slice(FIELD);
    for line in reference.as_bytes().chunks(COLUMNS) {
        out.extend_from_slice(b"\r\n ");
        out.extend_from_slice(line);
    }
    out.extend_from_slice(b"\r\n");
}

/// What stands in the field of a message, still sealed.
pub fn reference_of(message: &[u8]) -> Option<String> {
    let header = message.get(..HEADER.min(message.len()))?;
    let mut lines = header.split(|byte| *byte == b'\n').take_while(|line| !matches!(line, [] | [b'\r'])).skip_while(|line| !line.starts_with(FIELD));
    let mut value = lines.next()?.strip_prefix(FIELD)?.to_vec();
    lines.take_while(|line| matches!(line, [b' ' | b'\t', ..])).for_each(|line| value.extend_from_slice(line));
    value.retain(|byte| !byte.is_ascii_whitespace());
    String::from_utf8(value).ok().filter(|value| (1..=MAX_SEALED).contains(&value.len()))
}

/// The statement that a message names.
pub fn named_by(message: &[u8], key: &DataKey) -> Option<Named> {
    Named::open(&reference_of(message)?, key)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn message(reference: &str) -> Vec<u8> {
        let mut out = b"To: a@b\r\n".to_vec();
        put(&mut out, reference);
        out.extend_from_slice(b"MIME-Version: 1.0\r\n\r\nStatement-Reference: x\r\n");
        out
    }

    #[test]
    fn a_reference_is_found_folded_and_opens_under_its_key_alone() {
        let (key, other) = (DataKey::fleeting().unwrap(), DataKey::fleeting().unwrap());
        for length in [1, 20, 128] {
            let named = Named { bureau: "B".repeat(length), statement: "HF1".repeat(length).chars().take(128).collect() };
            let reference = named.seal(&key).unwrap();
            let bytes = message(&reference);
            assert!(bytes.split(|byte| *byte == b'\n').all(|line| line.len() <= 79));
            assert_eq!(named_by(&bytes, &key), Some(named));
            assert_eq!((named_by(&bytes, &other), reference_of(&bytes)), (None, Some(reference)));
        }
    }

    #[test]
    fn what_we_did_not_make_names_nothing() {
        let key = DataKey::fleeting().unwrap();
        let elsewhere = BASE64.encode(key.seal(b"another place", b"bureau HF1").unwrap());
        for reference in ["", "nobody x", "AAAA", "\u{7a57}", elsewhere.as_str(), &"A".repeat(9_000)] {
            assert_eq!(named_by(&message(reference), &key), None, "{reference}");
        }
        // Of a header alone, and never of the body.
        assert_eq!(reference_of(b"To: a\r\n\r\nStatement-Reference: AAAA\r\n"), None);
        assert_eq!(reference_of(b""), None);
    }
}
