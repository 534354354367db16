//! A message that waits for servers elsewhere: `1 | sealed JSON`, under the number of its body, until the last recipient is settled.

use keys::DataKey;
use serde::{Deserialize, Serialize};
use store::Key;
use zeroize::Zeroizing;

use super::body::BodyId;
use super::{RecordError, VERSION, versioned};

const KIND: &str = "queued";

/// Whose addresses are sealed with the rest: they are people's. Not `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queued {
    /// The mailbox that sent it; empty: the gateway itself.
    pub mailbox: String,
    /// `None`: the null path; nothing is ever returned to it.
    pub reverse_path: Option<String>,
    /// `FULL` or `HDRS`, where the sender said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ret: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope_id: Option<String>,
    pub smtputf8: bool,
    /// It goes under TLS with a server that proves its name, or comes back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_tls: bool,
    pub size: u32,
    /// SHA-256 of the message, hexadecimal.
    pub digest: String,
    /// Unix milliseconds, as all times here.
    pub accepted: u64,
    /// Kept back by an administrator.
    pub held: bool,
    /// The notice that it is, of which is told what came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification: Option<String>,
    pub recipients: Vec<Waiting>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    pub address: String,
    /// In lower case; which server it is for.
    pub domain: String,
    /// As NOTIFY and ORCPT said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
    pub tries: u32,
    pub due: u64,
    /// The sender heard that it is late.
    pub late_told: bool,
    /// What was said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Said>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// What the sender could not be told, since its mailbox was full; `due` is when that is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untold: Option<Action>,
}

/// What a sender is told of a recipient. spec: rfc3464#2.3.3
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Failed,
    Delayed,
    /// Handed to a server that tells nothing of its own.
    Relayed,
    /// In a mailbox here.
    Delivered,
}

/// What another server said, or what kept it from saying anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// The server, where one answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// 0: nothing was said.
    pub code: u16,
    /// `4.4.1`.
    pub status: String,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Another server took it.
    Sent,
    /// It cannot be sent.
    Returned,
    /// An administrator took it out.
    Cancelled,
}

impl Waiting {
    /// Something is to be done for it: it is to be sent, or its sender is to be told.
    pub fn waits(&self) -> bool {
        self.end.is_none() || self.untold.is_some()
    }
}

impl Queued {
    pub fn is_ended(&self) -> bool {
        !self.recipients.iter().any(Waiting::waits)
    }

    /// Whether the sender is to be told now of a recipient at this domain.
    pub fn owes(&self, domain: &str, now: u64) -> bool {
        self.recipients.iter().any(|recipient| recipient.untold.is_some() && recipient.domain == domain && recipient.due <= now)
    }

    pub fn digest_bytes(&self) -> Result<[u8; 32], RecordError> {
        let pair = |at: usize| self.digest.get(2 * at..2 * at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let mut digest = [0; 32];
        for (at, byte) in digest.iter_mut().enumerate() {
            *byte = pair(at).ok_or(RecordError::Damaged { kind: KIND, reason: "its digest is none" })?;
        }
        Ok(digest)
    }

    pub fn seal(&self, id: BodyId, data_key: &DataKey) -> Result<Vec<u8>, RecordError> {
        let json = serde_json::to_vec(self).map_err(|_| RecordError::Damaged { kind: KIND, reason: "it cannot be written as JSON" })?;
        let sealed = data_key.seal(key(id).as_bytes(), &Zeroizing::new(json))?;
        Ok([&[VERSION], sealed.as_slice()].concat())
    }

    pub fn open(id: BodyId, stored: &[u8], data_key: &DataKey) -> Result<Self, RecordError> {
        let json = Zeroizing::new(data_key.open(key(id).as_bytes(), versioned(KIND, stored)?)?);
        serde_json::from_slice(&json).map_err(|_| RecordError::Damaged { kind: KIND, reason: "its fields are not those of its version" })
    }
}

pub fn key(id: BodyId) -> Key {
    Key::numbered(KIND, &[], id.0)
}

/// Every message that waits, the oldest first.
pub fn range() -> (Key, Key) {
    Key::range(KIND, &[])
}

pub fn id(key: &Key) -> Result<BodyId, RecordError> {
    key.number(KIND, &[]).map(BodyId).ok_or(RecordError::Damaged { kind: KIND, reason: "its key holds no number" })
}
