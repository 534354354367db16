//! An incident: what was to be done to many certificates, how far it is, and what came of each.

use serde::{Deserialize, Serialize};
use store::Key;

use super::{OrderId, Reason, der_text};

/// What is done to many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BulkAct {
    Revoke,
    Reissue,
}

impl BulkAct {
    pub fn name(self) -> &'static str {
        match self {
            Self::Revoke => "revoke",
            Self::Reissue => "reissue",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The certificates are being written down; nothing was done to any.
    Gathering,
    /// They are written down, and other officers decide about them.
    Awaiting,
    Running,
    Done,
}

/// One act of one incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    pub incident: String,
    pub act: BulkAct,
    /// Of a revocation.
    pub reason: Option<Reason>,
    pub stage: Stage,
    /// SHA-256 of what the certificates were chosen by, in hexadecimal.
    pub chosen_by: String,
    pub total: u64,
    /// The number of the first certificate that nothing was done to yet.
    pub next: u64,
    /// Those that were revoked, or issued anew.
    pub done: u64,
    /// Those that could not be, each with its reason.
    pub refused: u64,
    /// Unix seconds.
    pub begun_at: i64,
    pub ended_at: Option<i64>,
    pub by: String,
    /// The number of the act that others approve or approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderId>,
    /// Whether they are those of authorities, to be revoked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub authorities: bool,
}

impl Incident {
    const TABLE: &str = "incident";

    pub fn key(incident: &str, act: BulkAct) -> Key {
        Key::new(Self::TABLE, &[incident.as_bytes(), act.name().as_bytes()])
    }

    /// The place among those that others approved and the service works off.
    pub fn approved(incident: &str, act: BulkAct) -> Key {
        Key::new("incident-approved", &[incident.as_bytes(), act.name().as_bytes()])
    }

    /// Every act of every incident.
    pub fn all() -> (Key, Key) {
        Key::range(Self::TABLE, &[])
    }

    pub fn all_approved() -> (Key, Key) {
        Key::range("incident-approved", &[])
    }
}

/// One certificate of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    #[serde(with = "der_text")]
    pub serial: Vec<u8>,
    /// Nothing was done to it yet when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub came: Option<Came>,
}

/// What came of one certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Came {
    Revoked,
    /// By the certificate of this serial, 32 hexadecimal digits.
    Reissued { new: String },
    /// The code of the problem.
    Refused { code: String },
}

impl Item {
    const TABLE: &str = "incident-item";

    pub fn key(incident: &str, act: BulkAct, number: u64) -> Key {
        Key::new(Self::TABLE, &[incident.as_bytes(), act.name().as_bytes(), &number.to_be_bytes()])
    }

    /// From one number on.
    pub fn from(incident: &str, act: BulkAct, number: u64) -> (Key, Key) {
        (Self::key(incident, act, number), Key::range(Self::TABLE, &[incident.as_bytes(), act.name().as_bytes()]).1)
    }
}
