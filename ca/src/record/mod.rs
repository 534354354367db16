//! What the authority remembers: the shapes of its records and the keys they stand under.

mod act;
mod administration;
mod approval;
mod certificate;
mod crl;
mod hold;
mod incident;
mod issuer;
mod key;
pub mod log;
mod officer;
mod notice;
mod order;
mod own_name;
mod policies;
mod reading;
mod recovery;
mod registrar;
mod succession;
mod timestamp;

use serde::{Serialize, de::DeserializeOwned};

pub use act::{ActDecision, ActRecord, ActState, Asked, Deed};
pub use administration::AdministrationCertificate;
pub use approval::{act_of, ApprovalRecord, DECISION_LIMIT, Decision, SIGNATURE_LIMIT, Said, Verdict};
pub use certificate::{CertificateRecord, Intent, Reason, Revocation, Status, serial_text};
pub use crl::{CrlBase, CrlChange, CrlHead, CrlIntent, CrlRecord, Partitions, Scope};
pub use hold::{EnterpriseFreeze, Freeze, Hold, Lift, Listed, Salt};
pub use incident::{BulkAct, Came, Incident, Item, Stage};
pub use issuer::{Generation, IssuerRecord, IssuerRequest, OcspSigner, PublishedRoot, Settings};
pub use key::KeyOwner;
pub use officer::{Officer, Person, Roster, serial_of};
pub use notice::{About, Notice, NoticeStage, NoticeState, Recipient, Unread, looked_at};
pub use order::{Application, Channel, Correcting, Evidence, Flag, Ground, OrderId, OrderIdError, OrderRecord, OrderState};
pub use own_name::OwnNameChanges;
pub use policies::{AcceptedOnce, AcceptedPolicies, BroughtPolicies, PolicyPiece, ProposalTurns};
pub use reading::Reading;
pub use recovery::Recovery;
pub use registrar::{MailboxRecord, Registrar, StatementRecord};
pub use succession::{Act, Outgoing, Predecessor, Succession};
pub use timestamp::{BatchId, LatestTimestamp, TimestampBatch, TimestampRecord, TimestampSigner, timestamp_place, timestamp_serial};

/// What the store holds under one key: JSON, every key known. Where a record is about some DER, that follows it as it
/// is, after an octet 0, which JSON never holds.
pub trait Record: Serialize + DeserializeOwned {
    /// What follows the JSON; most records are JSON alone.
    fn body(&self) -> &[u8] {
        &[]
    }

    /// The record with what followed its JSON; `None` when one has what the other lacks.
    fn with_body(self, body: &[u8]) -> Option<Self> {
        body.is_empty().then_some(self)
    }
}

impl Record for Revocation {}
impl Record for Listed {}
impl Record for Freeze {}

impl Record for Lift {}
impl Record for Settings {}
impl Record for IssuerRecord {}
impl Record for PublishedRoot {}
impl Record for IssuerRequest {}
impl Record for CrlIntent {}
impl Record for Officer {}
impl Record for AdministrationCertificate {}
impl Record for Roster {}
impl Record for Succession {}
impl Record for Incident {}
impl Record for Item {}
impl Record for EnterpriseFreeze {}
impl Record for Outgoing {}
impl Record for CrlHead {}
impl Record for CrlBase {}
impl Record for Partitions {}
impl Record for Recovery {}

pub fn encode(record: &impl Record) -> Result<Vec<u8>, serde_json::Error> {
    let body = record.body();
    let mut bytes = Vec::with_capacity(512 + body.len());
    serde_json::to_writer(&mut bytes, record)?;
    if !body.is_empty() {
        bytes.push(0);
        bytes.extend_from_slice(body);
    }
    Ok(bytes)
}

/// As [`encode`], with a body that is moved: a list is tens of megabytes.
pub fn encode_around(record: &impl Record, mut body: Vec<u8>) -> Result<Vec<u8>, serde_json::Error> {
    let mut json = serde_json::to_vec(record)?;
    json.push(0);
    body.splice(..0, json);
    Ok(body)
}

pub fn decode<T: Record>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    let mut parts = bytes.splitn(2, |octet| *octet == 0);
    let (json, body) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let record: T = serde_json::from_slice(json)?;
    record.with_body(body).ok_or_else(|| serde::de::Error::custom("a record's DER is missing or too much"))
}

/// Octets inside the JSON of a record: base64, a third longer instead of four times.
pub(crate) mod der_text {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(der: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(der))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn der_follows_the_json_and_neither_is_taken_without_the_other() {
        let list = CrlRecord { number: 1, this_update: 2, next_update: 3, entries: 4, der: vec![0x30, 2, 5, 0] };
        let bytes = encode(&list).unwrap();
        assert!(bytes.ends_with(b"}\0\x30\x02\x05\x00"));
        assert_eq!(decode::<CrlRecord>(&bytes).unwrap(), list);
        assert!(decode::<CrlRecord>(&bytes[..bytes.len() - 4]).is_err());
        assert!(decode::<CrlRecord>(&bytes[..bytes.len() - 5]).is_err());
        let revocation = encode(&Revocation::new(1, Reason::Superseded)).unwrap();
        assert!(decode::<Revocation>(&revocation).is_ok());
        assert!(decode::<Revocation>(&[&revocation[..], &[0, 1]].concat()).is_err());
    }
}
