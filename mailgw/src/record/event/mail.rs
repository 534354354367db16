//! Leaves of mail that comes and goes, and of what the gateway itself sends.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    pub mailbox: String,
    pub digest: String,
    pub size: u64,
}

/// A report to another domain about TLS with its servers, or about mail in its name, on a day (counted from 1970, UTC), by the number
/// under which it waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsReport {
    pub day: u64,
    pub domain: String,
    pub queued: String,
}

/// A message of another host that was filed as junk, and the name of the reason that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Junked {
    pub mailbox: String,
    pub digest: String,
    pub size: u64,
    pub reason: String,
}

/// Mail of somebody who logged in, `digest` and `size` as it was completed; the copies for mailboxes here have leaves of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submitted {
    pub mailbox: String,
    pub digest: String,
    pub size: u64,
    /// Recipients here, and elsewhere.
    pub here: u64,
    pub elsewhere: u64,
    /// The number under which it waits for those elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<String>,
    /// The operator of the institution's mailbox who sent it, and the id that `Received` bears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// A recipient of a queued message, by its place, whom another server took, or whom nobody takes; `status` is the enhanced code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settled {
    pub queued: String,
    pub recipient: u64,
    pub status: String,
}

/// A selector of mail signatures that was made, or that new mail is signed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DkimSelector {
    pub selector: String,
}

/// An administrator's word about a queued message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueuedMail {
    pub queued: String,
}

/// A notice of the authority: `notice` is the digest of its id, `digest` that of the message. This log is published nowhere and
/// names the mailbox itself, so the digest tells whoever reads it nothing of whom; the authority's log, which everybody
/// reads, has it under a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    pub mailbox: String,
    pub notice: String,
    pub digest: String,
    pub size: u64,
}
