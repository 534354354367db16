//! The final report of a push: what became of its rows, as one document that the evidence key signs and anybody proves
//! with the root certificate alone. It holds no number and no name of a person.

use policies::statement::Rule;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::file::{EvidenceError, hash, signed};
use crate::bureau::trust::Anchors;
use crate::record::RecordError;

/// The one form that is written.
pub const VERSION: u8 = 1;
/// Tells a report from a statement over evidence, which the same key signs.
pub const FORM: &str = "push report";
/// The most bytes of a report's file: ten million rows have twenty thousand roots.
pub const MAX_REPORT: usize = 16 << 20;
/// With the codes of rules (`V1` to `P7`) the closed list of reasons, and what each says.
pub const REASONS: [(&str, &str); 20] = [
    ("unreadable", "a value of the row cannot be one; the detail names its column"),
    ("other-month-or-kind", "the row is of another month or kind than the manifest"),
    ("unknown-person", "no mailbox is known for this person"),
    ("mailbox-closed", "the mailbox is closed"),
    ("mailbox-full", "the mailbox has no room"),
    ("delivered-before", "the same row was delivered before, under the same stmt_id"),
    ("other-content", "another row was delivered under this stmt_id"),
    ("changed-since-sealed", "what would be sent is another content than was sealed before a break; send the row under another batch_id"),
    ("not-kept-back", "the row that this one mends was not kept back, or was mended already"),
    ("unknown-statement", "the statement that is superseded or withdrawn was delivered in no batch before"),
    ("other-recipient", "the statement that is superseded went to another person"),
    ("superseded-before", "the statement was superseded already"),
    ("withdrawn-before", "the statement was withdrawn already"),
    ("kind-rule", "the row breaks a rule of its kind's policy; the detail names it"),
    ("no-consent", "the owner gave this sender no consent, which the kind needs"),
    ("quota-reached", "the recipient had as many of this kind as a month allows"),
    ("other-statement", "the row that this one mends was another statement; mend it under its own stmt_id"),
    ("account-of-another", "the account's statements went to another person; withdraw those first, if they were wrong"),
    ("month-delivered", "a statement of this account and month was delivered under another stmt_id; supersede that one"),
    ("gave-way", "the row gave way to another of its block, which did not go out in the end; send it again under another batch_id"),
];

/// Whether a reason is one of the closed list.
pub fn is_reason(reason: &str) -> bool {
    Rule::ALL.iter().any(|rule| rule.code() == reason) || REASONS.iter().any(|(code, _)| *code == reason)
}

/// Rows of one state that have one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Kept {
    /// `duplicate`, `quarantined` or `undeliverable`.
    pub state: String,
    pub reason: String,
    pub rows: u64,
}

/// A batch of evidence that the push gave rise to, as its own signature names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct EvidenceRoot {
    pub batch: u64,
    pub items: u64,
    /// Hexadecimal.
    pub root: String,
}

/// Signed as the octets that `write` gives. Digests are SHA-256, hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct FinalReport {
    /// [`VERSION`] and [`FORM`].
    pub version: u8,
    pub form: String,
    /// The host of the gateway, and its log, which holds the report's digest.
    pub issuer: String,
    pub log: String,
    /// The bureau's code and its own name for the batch.
    pub sender: String,
    pub batch: String,
    pub kind: String,
    pub period: String,
    #[serde(with = "time::serde::rfc3339")]
    pub begun: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub ended: OffsetDateTime,
    /// Of the manifest, and of the file as the manifest says.
    pub manifest: String,
    pub file: String,
    /// Rows of the manifest; the four after it are as many.
    pub rows: u64,
    pub delivered: u64,
    pub duplicate: u64,
    pub quarantined: u64,
    pub undeliverable: u64,
    /// Why rows were not delivered: as many as were not.
    pub reasons: Vec<Kept>,
    /// Of the outcomes, one JSON object a line, as they are given out.
    pub outcomes: String,
    pub evidence: Vec<EvidenceRoot>,
    /// The batch whose kept-back rows this one sent again, and those that sent again rows of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mends: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mended_by: Vec<String>,
}


impl FinalReport {
    pub fn write(&self) -> Result<String, RecordError> {
        serde_json::to_string(self).map_err(|_| RecordError::Damaged { kind: FORM, reason: "it cannot be written as JSON" })
    }

    /// What is wrong with it as a report, whoever signed it.
    fn wrong(&self) -> Option<&'static str> {
        if self.version != VERSION || self.form != FORM {
            return Some("it is of another form");
        }
        let of = |state: &str| self.reasons.iter().filter(|kept| kept.state == state).try_fold(0_u64, |sum, kept| sum.checked_add(kept.rows));
        let counted = [("duplicate", self.duplicate), ("quarantined", self.quarantined), ("undeliverable", self.undeliverable)];
        let all = counted.iter().try_fold(self.delivered, |sum, (_, count)| sum.checked_add(*count));
        if all != Some(self.rows) || counted.iter().any(|(state, count)| of(state) != Some(*count)) {
            return Some("its counts are not its rows");
        }
        let reasons = self.reasons.iter().all(|kept| is_reason(&kept.reason) && counted.iter().any(|(state, _)| *state == kept.state));
        if !reasons {
            return Some("it gives a reason that is none");
        }
        let digests = [&self.manifest, &self.file, &self.outcomes].into_iter().chain(self.evidence.iter().map(|one| &one.root));
        if digests.into_iter().any(|digest| hash(digest).is_none()) { Some("a digest of it is none") } else { None }
    }
}

/// A report, its signature and what proves its signer: a file of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedReport {
    /// As it was signed.
    pub report: String,
    /// Detached CMS over the report, DER in base64.
    pub signature: String,
    /// DER in base64.
    pub revocation_lists: Vec<String>,
}

/// A report that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerifiedReport {
    pub report: FinalReport,
    #[serde(with = "time::serde::rfc3339")]
    pub signed: OffsetDateTime,
    pub signer: String,
}

/// Proves a report's file: 1 its form · 2 signed, by a certificate for evidence that was good at that moment · 3 it is a report
/// whose counts are its rows · 4 signed after what it tells of.
pub fn verify_report(file: &[u8], anchors: &Anchors) -> Result<VerifiedReport, EvidenceError> {
    let wrong = |reason| EvidenceError::Line { line: 1, reason };
    // 1
    if file.len() > MAX_REPORT {
        return Err(EvidenceError::Unreadable { reason: format!("it has more than {MAX_REPORT} bytes") });
    }
    let shown: SignedReport = serde_json::from_slice(file).map_err(|_| wrong("it is not of the form of a signed report"))?;
    // 2
    let by = signed(1, &shown.report, &shown.signature, &shown.revocation_lists, anchors)?;
    // 3
    let report: FinalReport = serde_json::from_str(&shown.report).map_err(|_| wrong("what was signed is no report"))?;
    report.wrong().map_or(Ok(()), |reason| Err(wrong(reason)))?;
    // 4
    if report.ended > by.sealed + time::Duration::SECOND {
        return Err(wrong("it is of a time after its seal"));
    }
    Ok(VerifiedReport { report, signed: by.sealed, signer: by.signer })
}
