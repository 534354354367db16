//! The verdict in the words of EN 319 102-1, as JSON: what was found, of what, by which evidence, under which terms.
//!
//! Whoever has the document, the signature and the answers named here by their digests comes to the same verdict again.
// spec: en319102-1#5.1.3

use pki::cades::{Assessment, Finding, Indication, TimestampFacts};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Asked;
use crate::desk::{hex, sha256_hex};

/// Digests are SHA-256 in lower-case hexadecimal, times RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub kind: &'static str,
    /// `TOTAL-PASSED`, `INDETERMINATE` or `TOTAL-FAILED`.
    pub verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_indication: Option<&'static str>,
    /// The same in Chinese, for people.
    pub text: &'static str,
    /// Everything that does not hold; the first that decides is the sub-indication.
    pub findings: Vec<FindingText>,
    /// What travels along and proves nothing; it takes nothing from the rest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
    pub document_sha256: String,
    pub signature_sha256: String,
    pub validated_at: String,
    /// `B-B`, `B-T`, `B-LT`, `B-LTA`: what is there and believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<&'static str>,
    /// The oldest moment by which the signature is proved to have been there; that of validation when nothing proves an older one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_signature_time: Option<String>,
    /// As the signer claims it; nobody else vouches for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed_signing_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<Signer>,
    /// Certificates from the signer's to the anchor.
    pub path_sha256: Vec<String>,
    pub timestamps: Vec<Timestamp>,
    pub revocation_answers: Vec<Answer>,
    /// One of these was asked for; none when any would do.
    pub policies: Vec<String>,
}

/// `what` is an `archive`, `signature` or `content` timestamp, or an `answer` about revocations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PassedOver {
    pub what: &'static str,
    pub sub_indication: &'static str,
    pub detail: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FindingText {
    pub sub_indication: &'static str,
    pub detail: String,
}

/// No person's name: the certificate's digest names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Signer {
    pub certificate_sha256: String,
    /// Hexadecimal.
    pub serial: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uscc: Option<String>,
    pub not_before: String,
    pub not_after: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Timestamp {
    /// `archive`, `signature` or `content`.
    pub over: &'static str,
    pub time: String,
    pub authority_sha256: String,
    /// Hexadecimal.
    pub serial: String,
    /// Why it proves nothing; left out when it is believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<FindingText>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// `crl` or `ocsp`.
    pub form: &'static str,
    pub sha256: String,
    pub this_update: String,
    /// Whether it travels with the signature.
    pub inside: bool,
}

fn moment(at: OffsetDateTime) -> String {
    at.to_offset(time::UtcOffset::UTC).format(&Rfc3339).unwrap_or_default()
}

fn finding(finding: &Finding) -> FindingText {
    FindingText { sub_indication: finding.sub.name(), detail: finding.detail.clone() }
}

impl Verdict {
    pub(super) fn new(asked: &Asked<'_>, found: &Result<Assessment, Finding>, now: OffsetDateTime) -> Self {
        let (indication, decisive) = match found {
            Ok(found) => found.verdict(),
            Err(finding) => (finding.indication(), Some(finding)),
        };
        let findings = match found {
            Ok(found) => found.findings().into_iter().map(finding).collect(),
            Err(one) => vec![finding(one)],
        };
        let known = found.as_ref().ok();
        Self {
            kind: "VERDICT",
            verdict: indication.name(),
            sub_indication: decisive.map(|finding| finding.sub.name()),
            text: chinese(indication),
            findings,
            passed_over: known.map(|found| found.passed_over.iter().map(passed_over).collect()).unwrap_or_default(),
            document_sha256: sha256_hex(asked.document),
            signature_sha256: sha256_hex(asked.signature),
            validated_at: moment(now),
            level: known.map(|found| found.level.name()),
            best_signature_time: known.map(|found| moment(found.best_signature_time)),
            claimed_signing_time: known.and_then(|found| found.proved.signing_time()).map(moment),
            signer: known.map(signer),
            path_sha256: known.and_then(|found| found.judged.path.as_ref().ok()).map(|path| path.iter().map(|one| sha256_hex(one)).collect()).unwrap_or_default(),
            timestamps: known.map(|found| found.timestamps.iter().map(timestamp).collect()).unwrap_or_default(),
            revocation_answers: known.map(answers).unwrap_or_default(),
            policies: asked.policies.iter().map(ToString::to_string).collect(),
        }
    }

    pub fn passed(&self) -> bool {
        self.verdict == Indication::TotalPassed.name()
    }
}

fn chinese(indication: Indication) -> &'static str {
    match indication {
        Indication::TotalPassed => "签名有效",
        Indication::Indeterminate => "尚不能确定签名是否有效",
        Indication::TotalFailed => "签名无效",
    }
}

fn signer(found: &Assessment) -> Signer {
    let facts = &found.signer;
    Signer {
        certificate_sha256: sha256_hex(found.proved.signer_certificate()),
        serial: hex(&facts.serial),
        organization: facts.organization.clone(),
        uscc: facts.credit_code().map(str::to_owned),
        not_before: moment(facts.not_before),
        not_after: moment(facts.not_after),
    }
}

fn timestamp(facts: &TimestampFacts) -> Timestamp {
    Timestamp {
        over: facts.over,
        time: moment(facts.gen_time),
        authority_sha256: sha256_hex(&facts.certificate),
        serial: hex(&facts.serial),
        finding: facts.judged.findings().next().map(finding),
    }
}

fn passed_over(one: &pki::cades::PassedOver) -> PassedOver {
    PassedOver { what: one.what, sub_indication: one.finding.sub.name(), detail: one.finding.detail.clone() }
}

fn answers(found: &Assessment) -> Vec<Answer> {
    found.answers().into_iter().map(|used| Answer { form: used.form, sha256: hex(&used.digest), this_update: moment(used.this_update), inside: used.inside }).collect()
}
