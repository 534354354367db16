//! A letter in the outbox: which receipt goes to which mailbox, and how far it is. Its words are made when it is handed over.

use serde::{Deserialize, Serialize};
use store::{Batch, Expectation, Key};

use super::{RecordError, from_json, to_json};

const KIND: &str = "letter";
const QUEUE: &str = "letter queue";
const MAILBOX: &str = "mailbox of";

/// After a receipt's number: the letter to the agent who signed. The gateway delivers nothing twice under one id.
const TO_AGENT: &str = "/agent";

/// The id of the letter to the agent.
pub fn to_agent(receipt: &str) -> String {
    format!("{receipt}{TO_AGENT}")
}

/// The number of the receipt that a letter holds.
pub fn receipt_of(id: &str) -> &str {
    id.strip_suffix(TO_AGENT).unwrap_or(id)
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LetterRecord {
    pub to: String,
    pub bureau: String,
    pub state: LetterState,
    /// Unix seconds: when it came into its state; of one that is queued, when it is handed over next.
    pub at: i64,
    pub attempts: u32,
    /// What the gateway said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Unread>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LetterState {
    Queued,
    Sent,
    /// The gateway cannot deliver it; the receipt is to be had at the desk.
    Failed,
}

/// Why the gateway did not deliver.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Unread {
    UnknownMailbox,
    ClosedMailbox,
    /// The address is not of the gateway's domain.
    Elsewhere,
    MailboxFull,
    /// The gateway itself could not, for now.
    Gateway,
}

impl LetterRecord {
    /// `receipt` is the letter's id: the receipt's number, or what `to_agent` makes of it.
    pub fn key(receipt: &str) -> Key {
        Key::new(KIND, &[receipt.as_bytes()])
    }

    /// Big-endian seconds, so that a scan goes from the first.
    fn queue(at: i64, receipt: &str) -> Key {
        Key::new(QUEUE, &[&at.max(0).to_be_bytes(), receipt.as_bytes()])
    }

    /// Those whose turn has come at `at`.
    pub fn due(at: i64) -> (Key, Key) {
        (Key::new(QUEUE, &[]), Key::new(QUEUE, &[&at.saturating_add(1).max(0).to_be_bytes()]))
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(KIND, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(KIND, bytes)
    }

    /// A new one, in its places.
    pub fn put(&self, receipt: &str, batch: Batch) -> Result<Batch, RecordError> {
        let batch = batch.put(Self::key(receipt), self.encode()?);
        Ok(if self.state == LetterState::Queued { batch.put(Self::queue(self.at, receipt), receipt.as_bytes()) } else { batch })
    }

    /// In the place of what it was before, if nobody else changed that meanwhile.
    pub fn replace(&self, before: &Self, receipt: &str) -> Result<Batch, RecordError> {
        let mut batch = Batch::new().expect(Expectation::Equals(Self::key(receipt), before.encode()?));
        let (old, new) = (Self::queue(before.at, receipt), Self::queue(self.at, receipt));
        if before.state == LetterState::Queued && !(self.state == LetterState::Queued && old == new) {
            batch = batch.delete(old);
        }
        self.put(receipt, batch)
    }
}

/// The mailbox that the desk was told for an enterprise; it goes before the one in a certificate.
pub fn mailbox_key(uscc: &str) -> Key {
    Key::new(MAILBOX, &[uscc.as_bytes()])
}
