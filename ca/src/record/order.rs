//! An order: what was applied for, by whom, and what became of it.

use ring::rand::SecureRandom;
use serde::{Deserialize, Serialize};
use store::{CounterSlot, Key, Part, StreamSlot, Template};

use super::{Person, Reason, Record};
use crate::flow::plan::Words;

/// 128 random bits. Whoever knows it sees the order, so it is in no log and no error.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrderId([u8; 16]);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no order's number; write its 32 hexadecimal digits, as the answer to the order gave them")]
pub struct OrderIdError;

impl OrderId {
    pub fn draw(random: &dyn SecureRandom) -> Result<Self, ring::error::Unspecified> {
        let mut id = [0; 16];
        random.fill(&mut id)?;
        Ok(Self(id))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// How the log names the order: everybody may read the log, and nobody finds the order by this.
    pub fn digest(&self) -> String {
        crate::sha256_hex(&self.0)
    }
}

impl std::str::FromStr for OrderId {
    type Err = OrderIdError;

    fn from_str(text: &str) -> Result<Self, OrderIdError> {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or(OrderIdError);
        let (pairs, rest) = text.trim().as_bytes().as_chunks::<2>();
        if pairs.len() != 16 || !rest.is_empty() {
            return Err(OrderIdError);
        }
        let mut id = [0; 16];
        for (to, [high, low]) in id.iter_mut().zip(pairs) {
            *to = digit(high)? * 16 + digit(low)?;
        }
        Ok(Self(id))
    }
}

impl TryFrom<String> for OrderId {
    type Error = OrderIdError;

    fn try_from(text: String) -> Result<Self, OrderIdError> {
        text.parse()
    }
}

impl From<OrderId> for String {
    fn from(id: OrderId) -> Self {
        id.to_string()
    }
}

impl std::fmt::Display for OrderId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::hex(&self.0))
    }
}

impl std::fmt::Debug for OrderId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OrderId(..)")
    }
}

/// How an order came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// Entered by an operator.
    Counter,
    /// Sent by the enterprise.
    Online,
}

/// A document that was shown, by its digest; the document itself stays with whoever looked at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// One word, such as `licence`.
    pub kind: String,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

impl Evidence {
    /// The most documents of one order.
    pub const MOST: usize = 16;

    pub fn is_well_formed(&self) -> bool {
        let kind = (1..=32).contains(&self.kind.len()) && self.kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        kind && self.sha256.len() == 64 && self.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    }
}

/// Why an order was refused: a word for programs and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ground {
    pub code: String,
    pub message: String,
}

/// Something that whoever decides should know, and that refuses nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flag {
    /// An earlier order of the same code and profile is open.
    DuplicateOrder,
    /// A good certificate of the same code and profile exists.
    DuplicateCertificate,
    /// The registry does not know the code.
    NotInRegistry,
    /// The registry says that business is suspended.
    BusinessSuspended,
}

/// Where an order stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderState {
    /// Durable, and not looked at yet.
    Received,
    AwaitingApproval,
    /// Enough officers approved, or none are asked for: the service issues it.
    Approved,
    /// The intent to sign this serial is durable.
    Issuing { serial: String },
    Issued { serial: String },
    Refused(Ground),
    Cancelled,
    Expired,
}

impl OrderState {
    /// One word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::AwaitingApproval => "awaiting-approval",
            Self::Approved => "approved",
            Self::Issuing { .. } => Self::ISSUING,
            Self::Issued { .. } => "issued",
            Self::Refused(_) => "refused",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// As the log tells of it: without the reasons of a refusal.
    pub fn told(word: &str, serial: &str) -> Option<Self> {
        Some(match word {
            "received" => Self::Received,
            "awaiting-approval" => Self::AwaitingApproval,
            "approved" => Self::Approved,
            "issuing" => Self::Issuing { serial: serial.to_owned() },
            "issued" => Self::Issued { serial: serial.to_owned() },
            "refused" => Self::Refused(Ground { code: String::new(), message: String::new() }),
            "cancelled" => Self::Cancelled,
            "expired" => Self::Expired,
            _ => return None,
        })
    }

    pub const ISSUING: &str = "issuing";
    pub const WORDS: [&str; 8] = ["received", "awaiting-approval", "approved", "issuing", "issued", "refused", "cancelled", "expired"];

    /// Whether something may still become of it.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Received | Self::AwaitingApproval | Self::Approved | Self::Issuing { .. })
    }

    /// The moves there are. An approval that no longer counts leads back to waiting for one; from the intent on, the
    /// only way is the certificate of that very serial, or none where a restore dropped the intent.
    pub fn may_become(&self, next: &Self) -> bool {
        match (self, next) {
            (Self::Received, Self::AwaitingApproval | Self::Approved | Self::Refused(_) | Self::Cancelled | Self::Expired) => true,
            (Self::AwaitingApproval, Self::Approved | Self::Refused(_) | Self::Cancelled | Self::Expired) => true,
            (Self::Approved, Self::Issuing { .. } | Self::AwaitingApproval | Self::Refused(_) | Self::Cancelled) => true,
            (Self::Issuing { serial }, Self::Issued { serial: issued }) => serial == issued,
            (Self::Issuing { .. }, Self::Refused(_)) => true,
            _ => false,
        }
    }
}

/// What was applied for: never changed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    pub profile: String,
    /// Which authority is to sign, where the profile leaves a choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// In the form that the policies' types give them.
    pub applicant: Words,
    pub evidence: Vec<Evidence>,
    /// The applicant's own name for it.
    pub key: String,
    pub channel: Channel,
    /// Who placed it, as the log names them.
    pub by: String,
    /// Which person that officer is: nobody decides about what they ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Person>,
    /// Unix seconds.
    pub placed_at: i64,
    /// The certificate whose place this one takes, since it says what is no longer so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<Correcting>,
}

/// What an order corrects, on the word of the certificate's own key, and why the old one ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correcting {
    pub serial: String,
    pub reason: Reason,
}

impl Application {
    /// Whether it is a person's own: they ordered it, or it is for a certificate in their name.
    pub fn is_of(&self, person: Person) -> bool {
        self.person == Some(person) || self.applicant.number.as_deref().map(Person::numbered) == Some(person)
    }
}

/// An order as it stands.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderRecord {
    pub application: Application,
    pub state: OrderState,
    /// Unix seconds.
    pub changed_at: i64,
    /// When it ends if nobody decides on it before.
    pub ends_at: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Flag>,
    /// How many officers have decided, either way.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub decisions: u32,
    /// The PKCS#10 request, DER.
    #[serde(skip)]
    pub request: Vec<u8>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Record for OrderRecord {
    fn body(&self) -> &[u8] {
        &self.request
    }

    fn with_body(self, request: &[u8]) -> Option<Self> {
        (!request.is_empty()).then(|| Self { request: request.to_vec(), ..self })
    }
}

/// Without the words: an officer's name is a person's.
impl std::fmt::Debug for OrderRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OrderRecord").field("profile", &self.application.profile).field("state", &self.state.word()).finish_non_exhaustive()
    }
}

/// All of an application that is proved: what its digest in the log covers. The number in it keeps the digest from
/// telling who applied.
#[derive(Serialize)]
struct Content<'a> {
    order: String,
    application: &'a Application,
    request_sha256: String,
}

impl OrderRecord {
    const BY_STATE: &str = "order-by-state";
    const ENDS: &str = "order-ends";
    const OPEN: &str = "order-open";
    const ENTRIES: &str = "order-entry";
    /// How many orders are open: a sum of the store.
    pub const OPEN_SUM: &str = "orders-open";

    pub fn key(id: &OrderId) -> Key {
        Key::new("order", &[id.bytes()])
    }

    /// The applicant's key names one order: at the counter of all, over the network of one code's.
    pub fn by_key(channel: Channel, code: Option<&str>, key: &str) -> Key {
        match channel {
            Channel::Counter => Key::new("order-by-key", &[b"counter", key.as_bytes()]),
            Channel::Online => Key::new("order-by-key", &[b"online", code.unwrap_or_default().as_bytes(), key.as_bytes()]),
        }
    }

    pub fn by_code(code: &str, id: &OrderId) -> Key {
        Key::new("order-by-code", &[code.as_bytes(), id.bytes()])
    }

    pub fn all_by_code(code: &str) -> (Key, Key) {
        Key::range("order-by-code", &[code.as_bytes()])
    }

    pub fn all_in(state: &str) -> (Key, Key) {
        Key::range(Self::BY_STATE, &[state.as_bytes()])
    }

    /// The place among those of its state, the first placed first.
    pub fn in_state(&self, id: &OrderId) -> Key {
        Key::new(Self::BY_STATE, &[self.state.word().as_bytes(), &self.application.placed_at.max(0).to_be_bytes(), id.bytes()])
    }

    /// The place among those that end by themselves; none once it was decided.
    pub fn ending(&self, id: &OrderId) -> Option<Key> {
        let undecided = matches!(self.state, OrderState::Received | OrderState::AwaitingApproval);
        undecided.then(|| Key::new(Self::ENDS, &[&self.ends_at.max(0).to_be_bytes(), id.bytes()]))
    }

    /// Those that have ended at `now`.
    pub fn ended(now: i64) -> (Key, Key) {
        (Key::new(Self::ENDS, &[]), Key::new(Self::ENDS, &[&now.saturating_add(1).max(0).to_be_bytes()]))
    }

    /// The place among the open ones of a code and profile, in the order in which they became durable.
    pub fn open(profile: &str, code: &str, number: CounterSlot) -> Template {
        Template::numbered(Self::OPEN, &[profile.as_bytes(), code.as_bytes()], number)
    }

    pub fn all_open(profile: &str, code: &str) -> (Key, Key) {
        Key::range(Self::OPEN, &[profile.as_bytes(), code.as_bytes()])
    }

    /// The log's entries about an order, by their positions: what its proof is made of.
    pub fn entry(id: &OrderId, position: StreamSlot) -> Template {
        Template::new(vec![Part::Bytes(Key::new(Self::ENTRIES, &[id.bytes()]).as_bytes().to_vec()), Part::Position(position)])
    }

    pub fn entries(id: &OrderId) -> (Key, Key) {
        Key::range(Self::ENTRIES, &[id.bytes()])
    }

    pub fn position(id: &OrderId, entry: &Key) -> Option<u64> {
        entry.number(Self::ENTRIES, &[id.bytes()])
    }

    /// The unified social credit code, of those who have one.
    pub fn code(&self) -> Option<&str> {
        self.application.applicant.code.as_deref()
    }

    /// SHA-256 over all that was applied for.
    pub fn content_digest(&self, id: &OrderId) -> Result<String, serde_json::Error> {
        let content = Content { order: id.to_string(), application: &self.application, request_sha256: crate::sha256_hex(&self.request) };
        Ok(crate::sha256_hex(&serde_json::to_vec(&content)?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_moves_are_these_and_no_others() {
        let serial = |text: &str| text.to_owned();
        let ground = || Ground { code: "a".into(), message: "b".into() };
        let all = [
            OrderState::Received,
            OrderState::AwaitingApproval,
            OrderState::Approved,
            OrderState::Issuing { serial: serial("1") },
            OrderState::Issued { serial: serial("1") },
            OrderState::Refused(ground()),
            OrderState::Cancelled,
            OrderState::Expired,
        ];
        // From the rows to the columns, in the order above.
        let table = [
            "-xx--xxx",
            "--x--xxx",
            "-x-x-xx-",
            "----xx--",
            "--------",
            "--------",
            "--------",
            "--------",
        ];
        for (from, row) in all.iter().zip(table) {
            for (to, cell) in all.iter().zip(row.chars()) {
                assert_eq!(from.may_become(to), cell == 'x', "{} to {}", from.word(), to.word());
            }
            assert_eq!(from.is_open(), row.contains('x'), "{}", from.word());
        }
        assert!(!OrderState::Issuing { serial: serial("1") }.may_become(&OrderState::Issued { serial: serial("2") }));
        assert_eq!(all.map(|state| state.word()), OrderState::WORDS);
        assert_eq!(OrderState::WORDS.map(|word| OrderState::told(word, "1").unwrap().word()), OrderState::WORDS);
        assert_eq!(OrderState::told("", "1"), None);
    }

    #[test]
    fn a_number_is_read_as_it_is_written_and_never_shown_by_debug() {
        let id = OrderId::draw(&ring::rand::SystemRandom::new()).unwrap();
        assert_eq!(id.to_string().parse::<OrderId>(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse::<OrderId>(), Ok(id));
        assert!(!format!("{id:?}").contains(&id.to_string()[..4]));
        for wrong in ["", "00", "zz000000000000000000000000000000", "000000000000000000000000000000000", "é00000000000000000000000000000"] {
            assert_eq!(wrong.parse::<OrderId>(), Err(OrderIdError));
        }
    }

    #[test]
    fn evidence_is_one_word_and_one_digest() {
        let of = |kind: &str, sha256: &str| Evidence { kind: kind.into(), sha256: sha256.into() }.is_well_formed();
        let digest = "a".repeat(64);
        assert!(of("licence", &digest) && of("power-of-attorney-2", &digest));
        for kind in ["", "two words", "执照", "UPPER", &"k".repeat(33)] {
            assert!(!of(kind, &digest), "{kind}");
        }
        for sha256 in ["", &"A".repeat(64), &"a".repeat(63), &"g".repeat(64)] {
            assert!(!of("licence", sha256), "{sha256}");
        }
    }
}
