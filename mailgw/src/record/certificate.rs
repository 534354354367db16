//! A citizen's mail certificate: asked for, held, and owed its end. All sealed under the directory's key: they name persons.

use keys::DataKey;
use policies::certificate::Pseudonym;
use policies::mailbox::MailboxNumber;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use store::Key;
use zeroize::Zeroizing;

use super::bureau::Chain;
use super::{RecordError, VERSION, index, versioned};

/// A statement that was signed and whose answer is not recorded yet: it is sent again as it is.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The very text that was signed.
    pub statement: String,
    /// CMS SignedData, DER, base64.
    pub signature: String,
    /// PKCS#10, PEM.
    pub request: String,
}

/// The certificate that mail to this mailbox can be sealed to, with its issuers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    pub chain: Chain,
    /// Unix milliseconds.
    pub since: u64,
}

/// The authority is to be told that every certificate of the mailbox ends.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    /// As statements write it.
    pub reason: String,
    /// Unix milliseconds.
    pub since: u64,
}

/// One of these records, in the table of its kind under the mailbox's number.
pub trait Sealed: Serialize + DeserializeOwned {
    const KIND: &'static str;

    fn key(number: MailboxNumber) -> Key {
        Key::numbered(Self::KIND, &[], number.get())
    }

    fn seal(&self, number: MailboxNumber, key: &DataKey) -> Result<Vec<u8>, RecordError> {
        let json = Zeroizing::new(serde_json::to_vec(self).map_err(|_| RecordError::Damaged { kind: Self::KIND, reason: "it cannot be written as JSON" })?);
        Ok([&[VERSION], key.seal(Self::key(number).as_bytes(), &json)?.as_slice()].concat())
    }

    fn open(number: MailboxNumber, stored: &[u8], key: &DataKey) -> Result<Self, RecordError> {
        let json = Zeroizing::new(key.open(Self::key(number).as_bytes(), versioned(Self::KIND, stored)?)?);
        serde_json::from_slice(&json).map_err(|_| RecordError::Damaged { kind: Self::KIND, reason: "its fields are not those of its version" })
    }
}

impl Sealed for Asked {
    const KIND: &'static str = "certificate asked";
}

impl Sealed for Held {
    const KIND: &'static str = "certificate";
}

impl Sealed for Ending {
    const KIND: &'static str = "certificate ending";
}

impl Ending {
    /// Every one, in the order of the numbers.
    pub fn range() -> (Key, Key) {
        Key::range(Self::KIND, &[])
    }

    pub fn number(key: &Key) -> Result<MailboxNumber, RecordError> {
        let number = key.number(Self::KIND, &[]).and_then(|number| MailboxNumber::parse(&format!("{number:010}")).ok());
        number.ok_or(RecordError::Damaged { kind: Self::KIND, reason: "its key holds no mailbox number" })
    }
}

/// What a mailbox's owner is called in certificates: eighty bits of an HMAC over its number, which only the directory's key
/// makes. The number is never given to a second person, so the pseudonym is not either.
pub fn pseudonym(number: MailboxNumber, key: &DataKey) -> Pseudonym {
    let made = key.index("citizen pseudonym 1", number.to_string().as_bytes());
    let mut bits = [0; 10];
    bits.iter_mut().zip(made).for_each(|(to, from)| *to = from);
    Pseudonym::of(bits)
}

/// Where the mailbox of a pseudonym stands; what stands there is `index`'s.
pub fn by_pseudonym(pseudonym: &Pseudonym, key: &DataKey) -> Key {
    index::pseudonym(pseudonym, key)
}
