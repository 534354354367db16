//! Who may vouch for citizens, what they said, and which certificates a mailbox has.

use serde::{Deserialize, Serialize};
use store::Key;

use super::{Record, der_text};

/// A gateway's certificate by which statements about mailboxes are believed.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Registrar {
    /// What stands after the `@` of the mailboxes it may speak of; none once that was withdrawn.
    pub domain: Option<String>,
}

impl Registrar {
    pub const TABLE: &str = "registrar";

    pub fn key(serial: &[u8]) -> Key {
        Key::new(Self::TABLE, &[serial])
    }
}

/// A statement that was acted on, once, with the signature that proves it for ever.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct StatementRecord {
    /// The very text that was signed.
    pub statement: String,
    /// CMS SignedData, DER.
    #[serde(with = "der_text")]
    pub signature: Vec<u8>,
    /// Serials: the certificate that was issued on it, or those that ended.
    pub certificates: Vec<String>,
    /// Unix seconds.
    pub at: i64,
}

impl StatementRecord {
    pub const TABLE: &str = "registrar-statement";

    /// `id` is the statement's own.
    pub fn key(id: &[u8]) -> Key {
        Key::new(Self::TABLE, &[id])
    }
}

/// Serials of certificates issued for one mailbox on a registrar's word, those that are over left out: what every statement
/// about the mailbox rests on and replaces, so that one is judged after the other.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct MailboxRecord {
    pub changes: u64,
    pub serials: Vec<String>,
}

impl MailboxRecord {
    pub fn key(mailbox: &str) -> Key {
        Key::new("citizen-mailbox", &[mailbox.as_bytes()])
    }
}

impl Record for Registrar {}
impl Record for StatementRecord {}
impl Record for MailboxRecord {}

/// Without what was said: it names a mailbox and its owner's pseudonym.
impl std::fmt::Debug for StatementRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatementRecord").field("certificates", &self.certificates).field("at", &self.at).finish_non_exhaustive()
    }
}
