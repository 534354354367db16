//! A certificate on hold: suspended by its operator, or frozen by the order of a named authority.

use ring::rand::SecureRandom;
use serde::{Deserialize, Serialize};
use store::{CounterSlot, Key, Template};
use time::OffsetDateTime;

use super::{Revocation, der_text};

/// Since when relying parties are told not to rely on a certificate, and what ends that.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// Unix seconds: the date on the list and in OCSP, also of a revocation that follows.
    pub at: i64,
    /// The days of a suspension are counted from here; it is later than `at` where a freeze came between.
    pub counted_from: i64,
    /// The order that keeps it frozen; a suspension has none.
    pub freeze: Option<Freeze>,
}

/// The order of an authority, in force until its end date or until it is lifted.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    pub authority: String,
    pub reason: String,
    /// Unix seconds.
    pub at: i64,
    pub until: i64,
    /// The certificate was suspended before: when the freeze ends, the suspension goes on.
    pub suspended: bool,
    /// The order is for the whole enterprise: it ends for all its certificates at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub enterprise: bool,
    /// Orders from before there was any have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<Salt>,
}

/// On whose word and by which document an order ended before its date: kept for ever, like the order.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Lift {
    pub authority: String,
    pub reason: String,
    /// Unix seconds.
    pub at: i64,
    pub salt: Salt,
}

/// Without the words: the reason may name people.
impl std::fmt::Debug for Lift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lift").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Lift {
    /// Of a certificate by its serial, of an enterprise by its code.
    pub fn kept(what: &[u8], number: CounterSlot) -> Template {
        Template::numbered("freeze-lift", &[what], number)
    }

    pub fn all_kept(what: &[u8]) -> (Key, Key) {
        Key::range("freeze-lift", &[what])
    }
}

/// Random octets in a record whose digest stands in the public log: without them nobody finds the record's words by trying
/// those that it may have, though courts, codes and docket numbers are few. Whoever is shown the record can still prove it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Salt(#[serde(with = "der_text")] Vec<u8>);

impl Salt {
    pub fn draw(random: &dyn SecureRandom) -> Result<Self, ring::error::Unspecified> {
        let mut octets = vec![0; 32];
        random.fill(&mut octets)?;
        Ok(Self(octets))
    }
}

/// The order that freezes an enterprise: every certificate of its code, and nothing is issued for it.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct EnterpriseFreeze {
    pub code: String,
    pub order: Freeze,
    /// It is over or lifted, and its certificates are about to be told.
    pub ending: bool,
}

impl std::fmt::Debug for EnterpriseFreeze {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnterpriseFreeze").field("order", &self.order).field("ending", &self.ending).finish_non_exhaustive()
    }
}

impl EnterpriseFreeze {
    const TABLE: &str = "frozen-enterprise";

    pub fn key(code: &str) -> Key {
        Key::new(Self::TABLE, &[code.as_bytes()])
    }

    pub fn all() -> (Key, Key) {
        Key::range(Self::TABLE, &[])
    }

    /// Orders are kept for ever: the log holds only their digests.
    pub fn kept(code: &str, number: CounterSlot) -> Template {
        Template::numbered("enterprise-freeze-order", &[code.as_bytes()], number)
    }

    pub fn in_force(&self, now: OffsetDateTime) -> bool {
        !self.ending && now.unix_timestamp() < self.order.until
    }
}

/// Without the words: the reason may name people.
impl std::fmt::Debug for Freeze {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Freeze").field("at", &self.at).field("until", &self.until).field("suspended", &self.suspended).finish_non_exhaustive()
    }
}

impl Freeze {
    const TABLE: &str = "freeze-order";

    /// Orders are kept for ever, in the order in which they came: the log holds only their digests.
    pub fn kept(serial: &[u8], number: CounterSlot) -> Template {
        Template::numbered(Self::TABLE, &[serial], number)
    }

    pub fn all_kept(serial: &[u8]) -> (Key, Key) {
        Key::range(Self::TABLE, &[serial])
    }
}

impl Hold {
    const TABLE: &str = "held";
    const FROZEN: &[u8] = b"frozen";
    const SUSPENDED: &[u8] = b"suspended";

    /// The place among those held, by when something is due: the end of a freeze, the beginning of a suspension.
    /// Big-endian seconds, so that a scan goes from the first.
    pub fn due_key(&self, serial: &[u8]) -> Key {
        let (kind, at) = self.freeze.as_ref().map_or((Self::SUSPENDED, self.counted_from), |freeze| (Self::FROZEN, freeze.until));
        Key::new(Self::TABLE, &[kind, &at.max(0).to_be_bytes(), serial])
    }

    /// The frozen whose end date is not after `now`.
    pub fn frozen_until(now: i64) -> (Key, Key) {
        Self::up_to(Self::FROZEN, now)
    }

    /// The suspended whose days are counted from `since` or before.
    pub fn suspended_since(since: i64) -> (Key, Key) {
        Self::up_to(Self::SUSPENDED, since)
    }

    fn up_to(kind: &[u8], last: i64) -> (Key, Key) {
        (Key::new(Self::TABLE, &[kind]), Key::new(Self::TABLE, &[kind, &last.saturating_add(1).max(0).to_be_bytes()]))
    }
}

/// What stands on the list for one serial. A revocation is written as it was before there were suspensions.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(untagged, deny_unknown_fields)]
pub enum Listed {
    Revoked(Revocation),
    Held { held_since: i64 },
}

impl Listed {
    /// As [`super::decode`], but revocations, which are nearly all of a list, are not tried as anything else before.
    pub fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes).map(Self::Revoked).or_else(|_| super::decode(bytes))
    }

    /// The date and the reason as lists and OCSP tell them.
    // spec: rfc5280#5.3.1
    pub fn crl(&self) -> (i64, pki::crl::Reason) {
        match self {
            Self::Revoked(revocation) => (revocation.at, revocation.reason.crl()),
            Self::Held { held_since } => (*held_since, pki::crl::Reason::CertificateHold),
        }
    }

    // spec: rfc5280#5.3.2
    pub fn invalid_since(&self) -> Option<i64> {
        match self {
            Self::Revoked(revocation) => revocation.invalid_since,
            Self::Held { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::record::{Reason, Status, decode, encode};

    #[test]
    fn what_was_written_before_there_were_suspensions_is_read() {
        let before = br#"{"at":7,"reason":"superseded"}"#;
        let revocation = Revocation::new(7, Reason::Superseded);
        assert_eq!(decode::<Listed>(before).unwrap(), Listed::Revoked(revocation));
        assert_eq!(encode(&Listed::Revoked(revocation)).unwrap(), before);
        assert_eq!(serde_json::from_str::<Status>(r#"{"revoked":{"at":7,"reason":"superseded"}}"#).unwrap(), Status::Revoked(revocation));
        assert_eq!(serde_json::from_str::<Status>(r#""good""#).unwrap(), Status::Good);
        let held = Listed::Held { held_since: 9 };
        assert_eq!(decode::<Listed>(&encode(&held).unwrap()).unwrap(), held);
        assert!(decode::<Listed>(br#"{"at":7,"reason":"superseded","held_since":9}"#).is_err());
    }

    #[test]
    fn an_order_of_before_there_was_salt_is_read_and_written_as_it_was() {
        let before = r#"{"authority":"法院","reason":"1","at":1,"until":2,"suspended":false}"#.as_bytes();
        let order: Freeze = decode(before).unwrap();
        assert_eq!((order.salt.is_none(), encode(&order).unwrap().as_slice()), (true, before));
        let salted = Freeze { salt: Some(Salt::draw(&ring::rand::SystemRandom::new()).unwrap()), ..order };
        assert!(decode::<Freeze>(&encode(&salted).unwrap()).unwrap() == salted);
    }

    #[test]
    fn only_what_is_due_lies_in_the_range() {
        let suspended = |counted_from| Hold { at: 1, counted_from, freeze: None }.due_key(&[0x40; 16]);
        let freeze = Freeze { authority: "a".into(), reason: "r".into(), at: 1, until: 256, suspended: false, enterprise: false, salt: None };
        let frozen = Hold { at: 1, counted_from: 1, freeze: Some(freeze) }.due_key(&[0xff; 16]);
        let inside = |(from, to): (Key, Key), key: &Key| from <= *key && *key < to;
        for (since, due) in [(254, false), (255, true), (256, true), (i64::MAX, true), (-1, false)] {
            assert_eq!(inside(Hold::suspended_since(since), &suspended(255)), due, "{since}");
        }
        assert!(inside(Hold::frozen_until(256), &frozen) && !inside(Hold::frozen_until(255), &frozen) && !inside(Hold::suspended_since(i64::MAX), &frozen));
    }
}
