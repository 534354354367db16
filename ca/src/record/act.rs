//! An act that other officers approve: what exactly is done, who asked, and what became of it; and what is signed about it.

use policies::authority::Power;
use serde::{Deserialize, Serialize};
use store::{Key, Part, StreamSlot, Template};

use super::{BulkAct, DECISION_LIMIT, Ground, OrderId, Person, Reason, Record, Verdict};

/// What is done, in words that cannot mean two things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Deed {
    GrantPower { serial: String, certificate_sha256: String, power: Power },
    /// The holder of a certificate is believed about the mailboxes of a domain.
    SetRegistrar { serial: String, certificate_sha256: String, domain: String },
    /// The digests are over all documents: those accepted, and those to take their place.
    ChangePolicies { before_sha256: String, after_sha256: String },
    /// The digest is of the serials, one after the other, as the log has it.
    Bulk {
        incident: String,
        act: BulkAct,
        reason: Option<Reason>,
        certificates: u64,
        serials_sha256: String,
        /// Whether they are those of authorities.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        authorities: bool,
    },
}

impl Deed {
    /// The serial of the certificate that it is about, when it is about one.
    pub fn certificate(&self) -> Option<&str> {
        match self {
            Self::GrantPower { serial, .. } | Self::SetRegistrar { serial, .. } => Some(serial),
            Self::ChangePolicies { .. } | Self::Bulk { .. } => None,
        }
    }

    /// One word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::GrantPower { .. } => "grant-power",
            Self::SetRegistrar { .. } => "set-registrar",
            Self::ChangePolicies { .. } => "change-policies",
            Self::Bulk { act: BulkAct::Revoke, .. } => "bulk-revoke",
            Self::Bulk { act: BulkAct::Reissue, .. } => "bulk-reissue",
        }
    }
}

/// Where an act stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActState {
    AwaitingApproval,
    /// Enough officers approved: the service does it.
    Approved,
    /// It was done, or, in bulk, begun.
    Done,
    Refused(Ground),
    Expired,
}

impl ActState {
    pub fn word(&self) -> &'static str {
        match self {
            Self::AwaitingApproval => "awaiting-approval",
            Self::Approved => "approved",
            Self::Done => "done",
            Self::Refused(_) => "refused",
            Self::Expired => "expired",
        }
    }

    /// As the log tells of it: without the reasons of a refusal.
    pub fn told(word: &str) -> Option<Self> {
        Some(match word {
            "awaiting-approval" => Self::AwaitingApproval,
            "approved" => Self::Approved,
            "done" => Self::Done,
            "refused" => Self::Refused(Ground { code: String::new(), message: String::new() }),
            "expired" => Self::Expired,
            _ => return None,
        })
    }

    pub fn is_open(&self) -> bool {
        matches!(self, Self::AwaitingApproval | Self::Approved)
    }

    /// The moves there are. An approval that no longer counts leads back to waiting for one.
    pub fn may_become(&self, next: &Self) -> bool {
        match (self, next) {
            (Self::AwaitingApproval, Self::Approved | Self::Refused(_) | Self::Expired) => true,
            (Self::Approved, Self::AwaitingApproval | Self::Done | Self::Refused(_)) => true,
            _ => false,
        }
    }
}

/// What was asked for: never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub deed: Deed,
    /// Who asked, as the log names them.
    pub by: String,
    /// Which person that officer is: nobody decides about what they asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Person>,
    /// Unix seconds.
    pub at: i64,
}

impl Asked {
    /// SHA-256 over all that was asked for; the number in it keeps the digest from being guessed.
    pub fn digest(&self, id: &OrderId) -> Result<String, serde_json::Error> {
        Ok(crate::sha256_hex(&serde_json::to_vec(&(id, self))?))
    }
}

/// An act as it stands.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActRecord {
    pub asked: Asked,
    pub state: ActState,
    /// Unix seconds.
    pub changed_at: i64,
    /// When it ends if nobody decides on it before.
    pub ends_at: i64,
    /// How many officers have decided, either way.
    pub decisions: u32,
}

impl Record for ActRecord {}

/// Without the words: a reason may name people.
impl std::fmt::Debug for ActRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ActRecord").field("deed", &self.asked.deed).field("state", &self.state.word()).finish_non_exhaustive()
    }
}

impl ActRecord {
    const OPEN: &str = "act-open";
    const ENTRIES: &str = "act-entry";

    pub fn key(id: &OrderId) -> Key {
        Key::new("act", &[id.bytes()])
    }

    pub fn all() -> (Key, Key) {
        Key::range("act", &[])
    }

    /// The place among the open ones, by what is done: asked for twice, it is one act.
    pub fn open(deed: &Deed) -> Result<Key, serde_json::Error> {
        Ok(Key::new(Self::OPEN, &[crate::sha256_hex(&serde_json::to_vec(deed)?).as_bytes()]))
    }

    pub fn all_open() -> (Key, Key) {
        Key::range(Self::OPEN, &[])
    }

    /// The log's entries about an act, by their positions: what its proof is made of.
    pub fn entry(id: &OrderId, position: StreamSlot) -> Template {
        Template::new(vec![Part::Bytes(Key::new(Self::ENTRIES, &[id.bytes()]).as_bytes().to_vec()), Part::Position(position)])
    }

    pub fn entries(id: &OrderId) -> (Key, Key) {
        Key::range(Self::ENTRIES, &[id.bytes()])
    }

    pub fn position(id: &OrderId, entry: &Key) -> Option<u64> {
        entry.number(Self::ENTRIES, &[id.bytes()])
    }
}

/// All that an officer says about an act. The bytes signed are its JSON, keys in this order, without spaces; what is said
/// about an order begins with a word where this has the deed, so that neither is taken for the other.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActDecision {
    pub act: Deed,
    /// The act's number.
    pub order: OrderId,
    pub asked_by: String,
    /// Unix seconds.
    pub asked_at: i64,
    pub decision: Verdict,
    /// In the officer's words; a refusal has one.
    pub reason: String,
    /// Unix seconds, by the officer's clock.
    pub at: i64,
}

/// Without the words: a reason may name people.
impl std::fmt::Debug for ActDecision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ActDecision").field("decision", &self.decision).field("at", &self.at).finish_non_exhaustive()
    }
}

impl ActDecision {
    /// About an act, as it was asked for.
    pub fn about(id: &OrderId, asked: &Asked, decision: Verdict, reason: String, at: i64) -> Self {
        Self { act: asked.deed.clone(), order: *id, asked_by: asked.by.clone(), asked_at: asked.at, decision, reason, at }
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

    pub fn is_about(&self, id: &OrderId, asked: &Asked) -> bool {
        *self == Self::about(id, asked, self.decision, self.reason.clone(), self.at)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Decision;
    use super::*;

    #[test]
    fn the_bytes_are_these() {
        let deed = Deed::GrantPower { serial: "5f".into(), certificate_sha256: "ab".into(), power: Power::Operator };
        let asked = Asked { deed, by: "officer:1a".into(), person: None, at: 5 };
        let id = "00112233445566778899aabbccddeeff".parse().unwrap();
        let decision = ActDecision::about(&id, &asked, Verdict::Approve, String::new(), 7);
        let text = decision.text().unwrap();
        let deed = "{\"grant-power\":{\"serial\":\"5f\",\"certificate_sha256\":\"ab\",\"power\":\"operator\"}}";
        assert_eq!(text, format!("{{\"act\":{deed},\"order\":\"00112233445566778899aabbccddeeff\",\"asked_by\":\"officer:1a\",\"asked_at\":5,\"decision\":\"approve\",\"reason\":\"\",\"at\":7}}"));
        assert!(ActDecision::parse(&text).unwrap().is_about(&id, &asked));
        assert_eq!(Decision::parse(&text), None);
        for other in [text.replace("operator", "administrator"), text.replace("\"asked_at\":5", "\"asked_at\":6"), text.replace("officer:1a", "officer:1b")] {
            assert!(!ActDecision::parse(&other).unwrap().is_about(&id, &asked), "{other}");
        }
        for other in [format!(" {text}"), text.replace("\"at\":7", "\"at\":7,\"more\":1"), text.replace("\"power\"", "\"more\":1,\"power\"")] {
            assert_eq!(ActDecision::parse(&other), None, "{other}");
        }
    }

    #[test]
    fn the_moves_are_these_and_no_others() {
        let refused = || ActState::Refused(Ground { code: "a".into(), message: "b".into() });
        let all = [ActState::AwaitingApproval, ActState::Approved, ActState::Done, refused(), ActState::Expired];
        // From the rows to the columns, in the order above.
        let table = ["-x-xx", "x-xx-", "-----", "-----", "-----"];
        for (from, row) in all.iter().zip(table) {
            for (to, cell) in all.iter().zip(row.chars()) {
                assert_eq!(from.may_become(to), cell == 'x', "{} to {}", from.word(), to.word());
            }
            assert_eq!(from.is_open(), row.contains('x'), "{}", from.word());
            assert_eq!(ActState::told(from.word()).unwrap().word(), from.word());
        }
    }
}
