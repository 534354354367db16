//! Leaves of applications for mailboxes, and of the registries whose word is believed about applicants.

use serde::{Deserialize, Serialize};

/// Somebody applied for a mailbox: `applicant` is a keyed digest of the document, which this gateway alone can make; the proofs by their
/// names, and what both rules gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Applied {
    pub application: String,
    pub applicant: String,
    pub document: Vec<String>,
    pub person: Vec<String>,
    pub document_grade: String,
    pub person_grade: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
}

/// What became of an application: `opened`, `exists`, `refused`, `withdrawn` or `lapsed`. Where an operator decided, `found` is what both
/// rules gave with what the operator found, and `papers` the digest of where the papers are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    pub application: String,
    pub state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub papers: Option<String>,
}

/// A card registry is believed from now on, or no more; `record` is the digest of its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardRegistry {
    pub registry: String,
    pub record: String,
    pub holds: bool,
}
