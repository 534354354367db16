//! The frozen form of a log entry; `FORMAT.md` tells it to auditors.

/// The only version there is.
pub const LEAF_VERSION: u8 = 1;
/// The longest entry, in octets.
pub const LEAF_LIMIT: usize = crate::tile::ENTRY_LIMIT;
const HEAD: usize = 10;

/// Why bytes are no entry, or an entry cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    #[error("an entry has {HEAD} to {LEAF_LIMIT} octets, not {0}")]
    Length(usize),
    #[error("entry version {0} is not known; use a newer verifier")]
    Version(u8),
    #[error("entry kind 0 is not used; give the kind of the event")]
    Kind,
    #[error("the entry's payload is not one JSON object in UTF-8")]
    Payload,
}

/// One event of a service, as it is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    kind: u8,
    unix_ms: u64,
    payload: String,
}

impl Leaf {
    /// `kind` is the service's number of the event, not 0; `payload` the text of a JSON object.
    pub fn new(kind: u8, unix_ms: u64, payload: String) -> Result<Self, LeafError> {
        let length = HEAD.saturating_add(payload.len());
        if length > LEAF_LIMIT {
            return Err(LeafError::Length(length));
        }
        if kind == 0 {
            return Err(LeafError::Kind);
        }
        match serde_json::from_str::<serde_json::Value>(&payload) {
            Ok(serde_json::Value::Object(_)) => Ok(Self { kind, unix_ms, payload }),
            _ => Err(LeafError::Payload),
        }
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, LeafError> {
        let length = LeafError::Length(bytes.len());
        let Some(([version, kind, time @ ..], payload)) = bytes.split_first_chunk::<HEAD>() else { return Err(length) };
        if *version != LEAF_VERSION {
            return Err(LeafError::Version(*version));
        }
        if bytes.len() > LEAF_LIMIT {
            return Err(length);
        }
        let payload = std::str::from_utf8(payload).map_err(|_| LeafError::Payload)?;
        Self::new(*kind, u64::from_be_bytes(*time), payload.to_owned())
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.payload.len());
        bytes.extend([LEAF_VERSION, self.kind]);
        bytes.extend(self.unix_ms.to_be_bytes());
        bytes.extend(self.payload.as_bytes());
        bytes
    }

    pub fn kind(&self) -> u8 {
        self.kind
    }

    pub fn unix_ms(&self) -> u64 {
        self.unix_ms
    }

    pub fn payload(&self) -> &str {
        &self.payload
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_frozen_form() {
        let leaf = Leaf::new(3, 0x0102_0304, r#"{"a":1}"#.into()).unwrap();
        let bytes = [&[1, 3, 0, 0, 0, 0, 1, 2, 3, 4][..], br#"{"a":1}"#].concat();
        assert_eq!(leaf.to_bytes(), bytes);
        assert_eq!(Leaf::parse(&bytes), Ok(leaf));
    }

    #[test]
    fn what_is_no_entry() {
        let head = [1, 3, 0, 0, 0, 0, 0, 0, 0, 0];
        for payload in [&b""[..], b"{", b"[]", b"1", b"{}{}", b"{\"a\":\"\xff\"}", b"\xef\xbb\xbf{}"] {
            assert_eq!(Leaf::parse(&[&head, payload].concat()), Err(LeafError::Payload));
        }
        assert_eq!(Leaf::parse(&head[..9]), Err(LeafError::Length(9)));
        assert_eq!(Leaf::parse(&[2; 12]), Err(LeafError::Version(2)));
        assert_eq!(Leaf::new(0, 0, "{}".into()), Err(LeafError::Kind));
        let nested = "{\"a\":".repeat(10_000) + "1" + &"}".repeat(10_000);
        assert!(Leaf::new(1, 0, nested).is_err());
        let longest = format!("{{\"a\":\"{}\"}}", "x".repeat(LEAF_LIMIT - HEAD - 8));
        assert_eq!(Leaf::new(1, 0, longest.clone()).unwrap().to_bytes().len(), LEAF_LIMIT);
        assert_eq!(Leaf::new(1, 0, longest + " "), Err(LeafError::Length(LEAF_LIMIT + 1)));
    }
}
