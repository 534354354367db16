//! A filing that passed: what is found of it, what it says (sealed), its signature, and the place it takes.

use keys::DataKey;
use serde::{Deserialize, Serialize};
use store::Key;

use super::{RecordError, from_json, plain, to_json, versioned};

const KIND: &str = "filing";
const BODY: &str = "filing body";
const SIGNATURE: &str = "filing signature";
const OF: &str = "filing of";
const SLOT: &str = "filing slot";
const PAYLOAD: &str = "filing payload";

/// How far a filing is. Its last receipt says the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    Received,
    Accepted,
    Rejected,
    Processed,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Received => "RECEIVED",
            Self::Accepted => "ACCEPTED",
            Self::Rejected => "REJECTED",
            Self::Processed => "PROCESSED",
        }
    }

    /// What a reader sees.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Received => ("已接收", "received"),
            Self::Accepted => ("已受理", "accepted"),
            Self::Rejected => ("不予受理", "rejected"),
            Self::Processed => ("已办结", "processed"),
        }
    }

    /// Forward only, and never out of a decision.
    pub fn may_become(self, next: Self) -> bool {
        matches!((self, next), (Self::Received, Self::Accepted | Self::Rejected) | (Self::Accepted, Self::Processed | Self::Rejected))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilingRecord {
    pub uscc: String,
    pub kind: String,
    pub period: String,
    pub revision: u32,
    pub bureau: String,
    /// Who handed it in: the enterprise itself or its agent.
    pub by: String,
    /// The serial number of the signer's certificate, hexadecimal: of several operators the one who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// SHA-256 of the canonical octets, hexadecimal.
    pub content: String,
    /// The same by SM3; filings from before it was kept have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_sm3: Option<String>,
    /// Unix milliseconds, by the desk's clock.
    pub received_at: u64,
    pub timely: bool,
    pub status: Status,
    /// How many receipts there are.
    pub receipts: u32,
    /// Where its receipts are mailed, when that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<String>,
    /// Where the agent reads the same, when an agent signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_mailbox: Option<String>,
    /// What the desk could not judge, for want of a registry of enterprises or of what was filed before: the bureau's to judge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_judged: Vec<String>,
}

impl FilingRecord {
    pub fn key(id: &str) -> Key {
        Key::new(KIND, &[id.as_bytes()])
    }

    /// Of one enterprise, the first first.
    pub fn of(uscc: &str, received_at: u64, id: &str) -> Key {
        Key::new(OF, &[uscc.as_bytes(), &received_at.to_be_bytes(), id.as_bytes()])
    }

    pub fn all_of(uscc: &str) -> (Key, Key) {
        Key::range(OF, &[uscc.as_bytes()])
    }

    pub fn all() -> (Key, Key) {
        Key::range(KIND, &[])
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(KIND, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(KIND, bytes)
    }
}

pub fn body_key(id: &str) -> Key {
    Key::new(BODY, &[id.as_bytes()])
}

pub fn seal_body(id: &str, canonical: &[u8], key: &DataKey) -> Result<Vec<u8>, RecordError> {
    Ok(plain(&key.seal(body_key(id).as_bytes(), canonical)?))
}

/// The canonical octets.
pub fn open_body(id: &str, stored: &[u8], key: &DataKey) -> Result<Vec<u8>, RecordError> {
    Ok(key.open(body_key(id).as_bytes(), versioned(BODY, stored)?)?)
}

/// The signature with what the desk added to it: timestamp and evidence.
pub fn signature_key(id: &str) -> Key {
    Key::new(SIGNATURE, &[id.as_bytes()])
}

pub fn signature(stored: &[u8]) -> Result<&[u8], RecordError> {
    versioned(SIGNATURE, stored)
}

/// What a filing says for its period, as the store tells it: a return of nothing is quickly guessed, and whoever has the disk has
/// not the key; nor do two enterprises that say the same, or one that says it again in another month, stand there alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// HMAC-SHA-256 under the desk's data key of the slot's key and of SHA-256 of the payload's canonical octets; hexadecimal.
    pub keyed: String,
    /// What records from before hold, where there may be any: HMAC of the digest alone, and the plain digest.
    older: Option<[String; 2]>,
}

impl Said {
    /// Of what stands, or would stand, in `slot`. `older` where the store is from before payloads were keyed with their place.
    pub fn of(slot: &Key, payload: &[u8], data: &DataKey, older: bool) -> Self {
        let plain = crate::desk::sha256_hex(payload);
        let keyed = crate::desk::hex(&data.index("suiyin desk filing payload 2", &[slot.as_bytes(), plain.as_bytes()].concat()));
        let older = older.then(|| [crate::desk::hex(&data.index("suiyin desk filing payload 1", plain.as_bytes())), plain]);
        Self { keyed, older }
    }

    /// The keys where a filing that said so may stand, the newest form first.
    pub fn keys(&self, uscc: &str, kind: &str, period: &str) -> Vec<Key> {
        std::iter::once(&self.keyed).chain(self.older.iter().flatten()).map(|payload| Slot::said(uscc, kind, period, payload)).collect()
    }

    pub fn is(&self, slot: &Slot) -> bool {
        std::iter::once(&self.keyed).chain(self.older.iter().flatten()).any(|payload| slot.payload == *payload)
    }

    /// Stands in a store that was founded with the newest form: no older one is looked for there.
    pub fn newest_alone() -> Key {
        Key::new("filing payloads keyed with their place", &[])
    }
}

/// What stands for an enterprise, a kind and a period: its newest revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    pub revision: u32,
    pub filing: String,
    /// As [`Said`] tells it; slots from before have an older form.
    pub payload: String,
    /// Nothing more is taken for this period.
    pub closed: bool,
    /// The newest revision was rejected: the one before it is in force again, and its content may be filed again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rejected: bool,
}

impl Slot {
    pub fn key(uscc: &str, kind: &str, period: &str) -> Key {
        Key::new(SLOT, &[uscc.as_bytes(), kind.as_bytes(), period.as_bytes()])
    }

    /// Stands while what this payload says for a period was received and not rejected: its value is the filing's id. `payload`
    /// is one of [`Said`].
    pub fn said(uscc: &str, kind: &str, period: &str, payload: &str) -> Key {
        Key::new(PAYLOAD, &[uscc.as_bytes(), kind.as_bytes(), period.as_bytes(), payload.as_bytes()])
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(SLOT, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(SLOT, bytes)
    }
}
