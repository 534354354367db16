//! What an officer decides about an order, in the very bytes that are signed, and the signature as it is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::Key;

use super::{ActDecision, Correcting, Evidence, OrderId, OrderRecord, Person, Record};

/// The longest decision and the longest signature over one that are read.
pub const DECISION_LIMIT: usize = 8 * 1024;
pub const SIGNATURE_LIMIT: usize = 16 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Approve,
    Refuse,
}

/// All that an officer says, and nothing that they were not shown. The bytes signed are its JSON, keys in this order,
/// without spaces.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// `issue`, or `correct SERIAL` where a certificate takes the place of another: no signature for one act is taken for
    /// another.
    pub act: String,
    pub order: OrderId,
    pub profile: String,
    pub request_sha256: String,
    /// Who the certificate is for: word and what was said.
    pub applicant: BTreeMap<String, String>,
    pub evidence: Vec<Evidence>,
    pub decision: Verdict,
    /// In the officer's words; a refusal has one.
    pub reason: String,
    /// Unix seconds, by the officer's clock.
    pub at: i64,
}

/// Without the words: an officer's name is a person's.
impl std::fmt::Debug for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decision").field("decision", &self.decision).field("at", &self.at).finish_non_exhaustive()
    }
}

/// What officers sign, of whatever act.
pub trait Said: Sized {
    /// Only from the one form that it is written in.
    fn read(text: &str) -> Option<Self>;
    /// The verdict, its reason, and when it was said.
    fn said(&self) -> (Verdict, &str, i64);
}

impl Said for Decision {
    fn read(text: &str) -> Option<Self> {
        Self::parse(text)
    }

    fn said(&self) -> (Verdict, &str, i64) {
        (self.decision, &self.reason, self.at)
    }
}

impl Said for ActDecision {
    fn read(text: &str) -> Option<Self> {
        Self::parse(text)
    }

    fn said(&self) -> (Verdict, &str, i64) {
        (self.decision, &self.reason, self.at)
    }
}

/// To issue the certificate that an order is for.
pub fn act_of(corrects: Option<&Correcting>) -> String {
    corrects.map_or_else(|| "issue".to_owned(), |correcting| format!("correct {}", correcting.serial))
}

impl Decision {
    /// About an order, as it stands.
    pub fn about(id: &OrderId, order: &OrderRecord, decision: Verdict, reason: String, at: i64) -> Self {
        let application = &order.application;
        Self {
            act: act_of(application.corrects.as_ref()),
            order: *id,
            profile: application.profile.clone(),
            request_sha256: crate::sha256_hex(&order.request),
            applicant: application.applicant.said().into_iter().map(|(word, said)| (word.to_owned(), said)).collect(),
            evidence: application.evidence.clone(),
            decision,
            reason,
            at,
        }
    }

    /// The bytes that are signed.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// Only from the one form that it is written in.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > DECISION_LIMIT {
            return None;
        }
        let decision: Self = serde_json::from_str(text).ok()?;
        (decision.text().ok()? == text).then_some(decision)
    }

    /// Whether it is about this order: its request, its profile and its words.
    pub fn is_about(&self, id: &OrderId, order: &OrderRecord) -> bool {
        *self == Self::about(id, order, self.decision, self.reason.clone(), self.at)
    }
}

/// A decision that was signed, verified and recorded.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalRecord {
    /// The very text that was signed.
    pub decision: String,
    /// The lists that were in force: issuer and number.
    pub lists: Vec<(String, u64)>,
    /// When it was recorded, in Unix seconds.
    pub at: i64,
    /// CMS SignedData, DER, detached.
    #[serde(skip)]
    pub signature: Vec<u8>,
}

impl Record for ApprovalRecord {
    fn body(&self) -> &[u8] {
        &self.signature
    }

    fn with_body(self, signature: &[u8]) -> Option<Self> {
        (!signature.is_empty()).then(|| Self { signature: signature.to_vec(), ..self })
    }
}

impl ApprovalRecord {
    const TABLE: &str = "order-approval";

    pub fn key(id: &OrderId, person: Person) -> Key {
        Key::new(Self::TABLE, &[id.bytes(), String::from(person).as_bytes()])
    }

    pub fn all(id: &OrderId) -> (Key, Key) {
        Key::range(Self::TABLE, &[id.bytes()])
    }

    /// A list that was in force when something was approved, kept for whoever asks later.
    pub fn list(issuer: &str, number: u64) -> Key {
        Key::new("crl-kept", &[issuer.as_bytes(), &number.to_be_bytes()])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn decision(words: BTreeMap<String, String>, reason: String, at: i64) -> Decision {
        Decision {
            act: act_of(None),
            order: "00112233445566778899aabbccddeeff".parse().unwrap(),
            profile: "enterprise-signing".into(),
            request_sha256: "ab".repeat(32),
            applicant: words,
            evidence: vec![Evidence { kind: "licence".into(), sha256: "cd".repeat(32) }],
            decision: Verdict::Approve,
            reason,
            at,
        }
    }

    #[test]
    fn the_bytes_are_these() {
        let words = BTreeMap::from([("name".to_owned(), "广州某某有限公司".to_owned()), ("code".to_owned(), "91440101MAT000018G".to_owned())]);
        let text = decision(words, String::new(), 7).text().unwrap();
        let expected = format!(
            "{{\"act\":\"issue\",\"order\":\"00112233445566778899aabbccddeeff\",\"profile\":\"enterprise-signing\",\"request_sha256\":\"{}\",\"applicant\":{{\"code\":\"91440101MAT000018G\",\"name\":\"广州某某有限公司\"}},\"evidence\":[{{\"kind\":\"licence\",\"sha256\":\"{}\"}}],\"decision\":\"approve\",\"reason\":\"\",\"at\":7}}",
            "ab".repeat(32),
            "cd".repeat(32)
        );
        assert_eq!(text, expected);
        assert!(Decision::parse(&text).is_some());
        // The same said in other bytes is not what was signed.
        for other in [text.replace("\"at\":7", "\"at\": 7"), text.replace("issue", "\\u0069ssue"), format!(" {text}"), text.replace("\"at\":7", "\"at\":7,\"at\":7"), text.replace("\"at\":7", "\"at\":7,\"more\":1")] {
            assert_eq!(Decision::parse(&other), None, "{other}");
        }
        assert_eq!(Decision::parse(&text.to_uppercase()), None);
    }

    proptest! {
        #[test]
        fn a_decision_has_one_form_and_each_form_one_decision(words in prop::collection::btree_map(".{0,12}", ".{0,40}", 0..5), reason in ".{0,40}", at: i64, place: prop::sample::Index, bit in 0_u8..8) {
            let decision = decision(words, reason, at);
            let text = decision.text().unwrap();
            prop_assert_eq!(Decision::parse(&text), Some(decision.clone()));
            let mut bytes = text.clone().into_bytes();
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            if let Ok(other) = String::from_utf8(bytes) {
                // Whatever is read of changed bytes, it is not the same decision.
                prop_assert_ne!(Decision::parse(&other), Some(decision));
            }
        }
    }
}
