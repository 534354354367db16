//! The operators of an institution's mailbox: who they are, and by whose word each came and went. One record for all of a mailbox, sealed;
//! who is gone stays in it, since what they sent stays, too. And which of them sent a message.

use keys::DataKey;
use policies::mailbox::MailboxNumber;
use serde::{Deserialize, Serialize};
use store::Key;

use super::certificate::Sealed;
use super::{RecordError, VERSION, versioned};

/// The most operators of one mailbox at one time, and in all its time.
pub const MOST: usize = 64;
pub const MOST_EVER: usize = 1_024;
const SENT: &str = "operator sent";
const OF: &str = "operator of";

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operators {
    /// In the order of their numbers, which begin with 1.
    pub all: Vec<Operator>,
}

/// `Debug` tells no name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    pub number: u32,
    pub who: Who,
    /// May name others, and end them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first: bool,
    pub named: Word,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Word>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Who {
    /// A citizen of a mailbox here, by its number: known by a document.
    Citizen(String),
    /// As the institution calls somebody.
    Named(String),
}

/// By whose word, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Word {
    /// Unix milliseconds.
    pub at: u64,
    pub by: By,
    /// SHA-256 of what was signed, or of the words that were given.
    pub request: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum By {
    /// An officer of the authority, by the number in the certificate.
    Officer(String),
    /// An operator of the mailbox who may name others.
    Operator(u32),
    /// Whoever administers the gateway, on somebody's word.
    Counter,
}

impl std::fmt::Display for By {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Officer(number) => write!(formatter, "officer {number}"),
            Self::Operator(number) => write!(formatter, "operator {number}"),
            Self::Counter => formatter.write_str("the counter"),
        }
    }
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Operator({})", self.number)
    }
}

impl Operator {
    pub fn citizen(&self) -> Option<MailboxNumber> {
        match &self.who {
            Who::Citizen(number) => MailboxNumber::parse(number).ok(),
            Who::Named(_) => None,
        }
    }
}

impl Operators {
    /// Who was not ended.
    pub fn standing(&self) -> impl Iterator<Item = &Operator> {
        self.all.iter().filter(|operator| operator.ended.is_none())
    }

    pub fn find(&self, number: u32) -> Option<&Operator> {
        self.all.iter().find(|operator| operator.number == number)
    }
}

impl Sealed for Operators {
    const KIND: &'static str = "operators";
}

/// Present once an order, by its SHA-256 in hexadecimal, was carried out.
pub fn spent_key(request: &str) -> Key {
    Key::new("operator order spent", &[request.as_bytes()])
}

pub fn spent() -> Vec<u8> {
    vec![VERSION]
}

/// Under a citizen's mailbox each institution that it is an operator of, or was.
pub fn of_key(citizen: MailboxNumber, institution: MailboxNumber) -> Key {
    Key::numbered(OF, &[citizen.to_string().as_bytes()], institution.get())
}

pub fn of_range(citizen: MailboxNumber) -> (Key, Key) {
    Key::range(OF, &[citizen.to_string().as_bytes()])
}

pub fn institution(citizen: MailboxNumber, key: &Key) -> Result<MailboxNumber, RecordError> {
    let number = key.number(OF, &[citizen.to_string().as_bytes()]).and_then(|number| MailboxNumber::parse(&format!("{number:010}")).ok());
    number.ok_or(RecordError::Damaged { kind: OF, reason: "its key holds no mailbox number" })
}

/// Where it stands which operator of a mailbox sent the message of this id, as `Received` bears it. Who reads the store without its keys
/// learns a number and no name.
pub fn sent_key(mailbox: MailboxNumber, id: &str) -> Key {
    Key::new(SENT, &[mailbox.to_string().as_bytes(), id.as_bytes()])
}

pub fn encode_sent(operator: u32) -> Vec<u8> {
    [&[VERSION][..], &operator.to_be_bytes()].concat()
}

pub fn decode_sent(stored: &[u8]) -> Result<u32, RecordError> {
    let number = versioned(SENT, stored)?.try_into().map(u32::from_be_bytes);
    number.map_err(|_| RecordError::Damaged { kind: SENT, reason: "it is no number" })
}

/// Sealed as `Sealed` has it; named here for those who read one beside others.
pub fn open(number: MailboxNumber, stored: Option<&[u8]>, key: &DataKey) -> Result<Operators, RecordError> {
    stored.map_or_else(|| Ok(Operators::default()), |stored| Operators::open(number, stored, key))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The stored form is a promise.
    #[test]
    fn the_form_in_which_operators_stand() {
        let word = |by| Word { at: 7, by, request: "ab".into() };
        let all = vec![
            Operator { number: 1, who: Who::Citizen("1234567897".into()), first: true, named: word(By::Officer("A-17".into())), ended: None },
            Operator { number: 2, who: Who::Named("李四".into()), first: false, named: word(By::Operator(1)), ended: Some(word(By::Counter)) },
        ];
        let json = r#"{"all":[{"number":1,"who":{"citizen":"1234567897"},"first":true,"named":{"at":7,"by":{"officer":"A-17"},"request":"ab"}},{"number":2,"who":{"named":"李四"},"named":{"at":7,"by":{"operator":1},"request":"ab"},"ended":{"at":7,"by":"counter","request":"ab"}}]}"#;
        assert_eq!(serde_json::to_string(&Operators { all: all.clone() }).unwrap(), json);
        let read: Operators = serde_json::from_str(json).unwrap();
        assert_eq!((read.all == all, read.standing().count(), format!("{:?}", read.all)), (true, 1, "[Operator(1), Operator(2)]".to_owned()));
        assert_eq!(decode_sent(&encode_sent(3)).unwrap(), 3);
        assert!(decode_sent(b"\x02\0\0\0\x03").is_err() && decode_sent(b"\x01\0").is_err());
    }
}
