//! The wind-down package: all that another authority needs to take over what this one has to keep, and that an auditor
//! can verify without either.
//!
//! | file | |
//! |---|---|
//! | `MANIFEST` | SHA-256 of every other file but its note, as `sha256sum --check` reads it |
//! | `MANIFEST.note` | a signed note over the digest of `MANIFEST`, by the key of the log |
//! | `package.json` | when and of whom it is, and how many lines the other files have |
//! | `certificates.jsonl`, `certificates.pem` | every certificate, in the order of the serials: the register's record with what the log tells of it, and the certificate itself |
//! | `issuers.jsonl`, `issuers/ID.pem` | every issuer of every generation, the root among them |
//! | `lists.jsonl`, `lists/ID.crl` | the whole list that each issuer published last, DER |
//! | `records/NAME.jsonl` | the other records: key, record, and the DER or other octets that go with it, base64 |
//! | `log/` | the log as tiles with its checkpoint and key |
//! | `policies/` | policies and practice statement |
//!
//! Keys are not in it: they are destroyed or handed over by other means.

pub mod history;
pub mod verify;

use std::collections::BTreeMap;

use runtime::exit::{Exit, Problem};
use serde::{Deserialize, Serialize};

use crate::record::{CertificateRecord, IssuerRecord};
use history::Event;

pub const MANIFEST: &str = "MANIFEST";
pub const NOTE: &str = "MANIFEST.note";
pub const PACKAGE: &str = "package.json";
pub const CERTIFICATES: &str = "certificates.jsonl";
pub const CERTIFICATES_PEM: &str = "certificates.pem";
pub const ISSUERS: &str = "issuers.jsonl";
pub const LISTS: &str = "lists.jsonl";
pub const LOG: &str = "log";
pub const POLICIES: &str = "policies";
pub const ORDERS: &str = "records/orders.jsonl";
const FIRST_LINE: &str = "suiyin wind-down 1";

/// The tables that are copied as they are, and the files they go to. Places that only find records again are not among
/// them, nor what is about to be signed.
pub const RECORDS: [(&str, &str); 19] = [
    ("act", "records/acts.jsonl"),
    ("blocked-key", "records/blocked-keys.jsonl"),
    ("crl-kept", "records/lists-of-approvals.jsonl"),
    ("enterprise-freeze-order", "records/enterprise-freeze-orders.jsonl"),
    ("freeze-lift", "records/freeze-lifts.jsonl"),
    ("freeze-order", "records/freeze-orders.jsonl"),
    ("frozen-enterprise", "records/frozen-enterprises.jsonl"),
    ("incident", "records/incidents.jsonl"),
    ("incident-item", "records/incident-items.jsonl"),
    ("key-owner", "records/key-owners.jsonl"),
    ("officer", "records/officers.jsonl"),
    ("order", ORDERS),
    ("order-approval", "records/approvals.jsonl"),
    ("policy-piece", "records/policies.jsonl"),
    ("registrar", "records/registrars.jsonl"),
    ("registrar-statement", "records/registrars-statements.jsonl"),
    ("succession", "records/successions.jsonl"),
    ("timestamp", "records/timestamps.jsonl"),
    ("timestamp-batch", "records/timestamp-batches.jsonl"),
];

/// What `package.json` holds. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    pub version: u32,
    /// When the records were as they are.
    pub taken: i64,
    pub base_url: String,
    /// The log's name, as its checkpoints have it.
    pub origin: String,
    /// The verifier keys of the logs that this one went on from.
    pub earlier_logs: Vec<String>,
    pub log_entries: u64,
    pub certificates: u64,
    pub issuers: u64,
    pub lists: u64,
    /// Lines of each file of records.
    pub records: BTreeMap<String, u64>,
}

/// A line of `certificates.jsonl`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateLine {
    pub serial: String,
    pub sha256: String,
    pub record: CertificateRecord,
    pub history: Vec<Event>,
}

/// A line of `issuers.jsonl`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerLine {
    pub sha256: String,
    pub record: IssuerRecord,
}

/// A line of `lists.jsonl`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListLine {
    pub issuer: String,
    pub number: u64,
    pub this_update: i64,
    pub next_update: i64,
    pub entries: u64,
    pub sha256: String,
}

/// A line of the other records.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordLine {
    /// What follows the table in the key of the store, in hexadecimal.
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<serde_json::Value>,
    /// Base64: the DER of a record, or all of one that is no JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub octets: Option<String>,
}

/// The text that the log's key signs for a `MANIFEST` of this digest.
pub fn note_text(sha256: &str) -> String {
    format!("{FIRST_LINE}\n{sha256}\n")
}

/// What was written, whole and durable.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WoundDown {
    pub directory: std::path::PathBuf,
    /// Unix seconds.
    pub taken: i64,
    pub certificates: u64,
    pub log_entries: u64,
    pub files: u64,
    pub bytes: u64,
    /// Names the package: SHA-256 of its `MANIFEST`.
    pub sha256: String,
    /// The log's key, which signed that.
    pub vkey: String,
}

#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    #[error("{path} cannot be read: {reason}; give the directory that `ca wind-down export` made")]
    Unread { path: String, reason: String },
    #[error("{path} is missing; ask for the package again")]
    Missing { path: String },
    #[error("{path} is not among the files that were signed; ask for the package again")]
    Strange { path: String },
    #[error("{path} is not the file that was signed; believe nothing in the package, and ask for it again")]
    Changed { path: String },
    #[error("{path} does not hold: {reason}; believe nothing in the package, and ask for it again")]
    Wrong { path: String, reason: String },
    #[error("{path}, line {line}, certificate {serial}: {reason}; the register and the log of this package do not agree")]
    Certificate { path: &'static str, line: u64, serial: String, reason: &'static str },
    #[error("{path}, entry {entry} is about the certificate {serial}, of which there is no record; the register and the log of this package do not agree")]
    Untold { path: &'static str, entry: u64, serial: String },
    #[error("the root given is no certificate of one's own signature; give the root's certificate from a source you trust")]
    Root,
    #[error("the log's key given is none: {0}; give it from a source you trust")]
    Key(String),
}

impl From<PackageError> for Problem {
    fn from(error: PackageError) -> Self {
        let exit = match error {
            PackageError::Root | PackageError::Key(_) => Exit::Usage,
            PackageError::Unread { .. } => Exit::Unavailable,
            _ => Exit::Damaged,
        };
        let text = error.to_string();
        let (message, next) = text.rsplit_once("; ").unwrap_or((&text, "ask for the package again"));
        Self::new(exit, "wind-down", message, next)
    }
}
