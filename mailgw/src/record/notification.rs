//! Notices to an owner's phone or other mailbox: where they go, what they are to tell of, and those on their way.
//!
//! Where notices go is sealed: it is somebody's number or address. Outside of these records it appears as a keyed digest alone.

use std::fmt;

use keys::DataKey;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::{Key, Store};
use zeroize::Zeroizing;

use super::evidence::ReadError;
use super::{RecordError, VERSION, from_json, to_json, versioned};

const PLACES: &str = "notification places";
const WISH: &str = "notification wish";
const ARRIVED: &str = "notification arrived";
const GOING: &str = "notification going";
/// A way of their own for codes on their way to phones.
const CODE: &[u8] = b"code";
const SETTLED: &str = "notification settled";
const COUNTED: &str = "notification count";
const ASKED: &str = "notification asked";

/// The way of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// A text message to a phone.
    Text,
    /// Another mailbox.
    Mail,
}

impl Channel {
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Mail => "mail",
        }
    }
}

/// A phone's number with its `+`, or a mail address. `Debug` shows the way alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    pub channel: Channel,
    pub address: String,
}

impl Place {
    /// What evidence and the log call it; whoever has not the key cannot try out numbers.
    pub fn digest(&self, data_key: &DataKey) -> String {
        crate::hex(&data_key.index("notification place", format!("{}:{}", self.channel.name(), self.address).as_bytes()))
    }

    /// As its owner recognises it, and nobody else.
    pub fn masked(&self) -> String {
        match (self.channel, self.address.split_once('@')) {
            (Channel::Mail, Some((local, domain))) => format!("{}***@{domain}", local.chars().next().unwrap_or('*')),
            _ => format!("****{}", self.address.get(self.address.len().saturating_sub(4)..).unwrap_or_default()),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Place({}, {})", self.channel.name(), self.masked())
    }
}

/// A place that its owner proved to have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmed {
    pub place: Place,
    pub since_unix_millis: u64,
}

/// A place that waits for its code. The code itself is with the text that brings it, until that is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    pub place: Place,
    /// The keyed digest of the code.
    pub code: String,
    pub until_unix_millis: u64,
    pub tries: u32,
}

/// Where notices of a mailbox go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Places {
    /// One of each channel.
    pub confirmed: Vec<Confirmed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// Of ordinary mail, too, and not of what bureaus push alone.
    pub every_mail: bool,
}

/// Of what a mailbox's owner is to be told; looked up with each delivery, so it says nothing of where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Pushed,
    EveryMail,
}

/// Something that arrived and of which nobody was told yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrived {
    pub mailbox: String,
    pub unix_millis: u64,
    /// The row of a push; none for ordinary mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<Pushed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pushed {
    pub bureau: String,
    pub batch: String,
    pub row: u64,
    /// SHA-256 of the message, hexadecimal.
    pub message: String,
}

/// What a text says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Says {
    /// That something arrived.
    Arrived,
    /// The code that proves the place.
    Code(String),
    /// For the last time: the counter ended that anything is told there.
    Ended,
}

/// A notice on its way, from the commit that decides it until what came of it is recorded.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Going {
    pub mailbox: String,
    pub place: Place,
    pub says: Says,
    pub of: Vec<Arrived>,
    pub made_unix_millis: u64,
    pub due_unix_millis: u64,
    pub tries: u32,
}

/// What the outbound queue says of a notice that it sent, or could not send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settled {
    pub sent: bool,
    /// `5.1.1`.
    pub status: String,
}

/// How many on one day of the city.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    pub day: String,
    pub count: u32,
}

/// What an owner wrote to the address for notices, until it is answered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub mailbox: String,
    pub words: String,
    /// The request's own Message-ID.
    pub request: String,
    pub unix_millis: u64,
    /// Written under a password that a program holds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub program: bool,
}

fn seal(kind: &'static str, place: &Key, record: &impl Serialize, data_key: &DataKey) -> Result<Vec<u8>, RecordError> {
    let json = Zeroizing::new(serde_json::to_vec(record).map_err(|_| RecordError::Damaged { kind, reason: "it cannot be written as JSON" })?);
    Ok([&[VERSION], data_key.seal(place.as_bytes(), &json)?.as_slice()].concat())
}

fn open<T: DeserializeOwned>(kind: &'static str, place: &Key, stored: &[u8], data_key: &DataKey) -> Result<T, RecordError> {
    let json = Zeroizing::new(data_key.open(place.as_bytes(), versioned(kind, stored)?)?);
    serde_json::from_slice(&json).map_err(|_| RecordError::Damaged { kind, reason: "its fields are not those of its version" })
}

impl Places {
    pub fn key(mailbox: &str) -> Key {
        Key::new(PLACES, &[mailbox.as_bytes()])
    }

    /// And the bytes that stand there.
    pub fn known(store: &dyn Store, mailbox: &str, data_key: &DataKey) -> Result<(Self, Option<Vec<u8>>), ReadError> {
        let key = Self::key(mailbox);
        let Some(stored) = store.get(&key)? else { return Ok((Self::default(), None)) };
        Ok((open(PLACES, &key, &stored, data_key)?, Some(stored)))
    }

    pub fn seal(&self, mailbox: &str, data_key: &DataKey) -> Result<Vec<u8>, RecordError> {
        seal(PLACES, &Self::key(mailbox), self, data_key)
    }

    pub fn is_empty(&self) -> bool {
        self.confirmed.is_empty() && self.pending.is_none()
    }

    /// What deliveries look for: none where no place is confirmed.
    pub fn wish(&self) -> Option<Wish> {
        let wish = if self.every_mail { Wish::EveryMail } else { Wish::Pushed };
        (!self.confirmed.is_empty()).then_some(wish)
    }
}

impl Wish {
    pub fn key(mailbox: &str) -> Key {
        Key::new(WISH, &[mailbox.as_bytes()])
    }

    pub fn all() -> (Key, Key) {
        Key::range(WISH, &[])
    }

    pub fn encode(self) -> Vec<u8> {
        vec![VERSION, u8::from(self == Self::EveryMail)]
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        match versioned(WISH, bytes)? {
            [0] => Ok(Self::Pushed),
            [1] => Ok(Self::EveryMail),
            _ => Err(RecordError::Damaged { kind: WISH, reason: "it is no wish" }),
        }
    }
}

impl Arrived {
    /// Each row of a push for itself; of ordinary mail the first stands for all.
    pub fn key(&self) -> Key {
        let mailbox = self.mailbox.as_bytes();
        match &self.pushed {
            Some(Pushed { bureau, batch, row, .. }) => Key::new(ARRIVED, &[mailbox, bureau.as_bytes(), batch.as_bytes(), &row.to_be_bytes()]),
            None => Key::new(ARRIVED, &[mailbox, b"", b"", b""]),
        }
    }

    pub fn all() -> (Key, Key) {
        Key::range(ARRIVED, &[])
    }

    pub fn of_mailbox(mailbox: &str) -> (Key, Key) {
        Key::range(ARRIVED, &[mailbox.as_bytes()])
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(ARRIVED, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(ARRIVED, bytes)
    }
}

impl Going {
    /// `id` is random; whoever sends texts knows a notice by it.
    pub fn key(channel: Channel, id: &str) -> Key {
        Key::new(GOING, &[channel.name().as_bytes(), id.as_bytes()])
    }

    /// Where it stands. Texts with codes stand by themselves, since somebody waits for them; before there was this place they stood with
    /// the others.
    pub fn place_of(&self, id: &str) -> Key {
        match (self.place.channel, &self.says) {
            (Channel::Text, Says::Code(_)) => Key::new(GOING, &[CODE, id.as_bytes()]),
            (channel, _) => Self::key(channel, id),
        }
    }

    /// Texts with codes.
    pub fn codes() -> (Key, Key) {
        Key::range(GOING, &[CODE])
    }

    pub fn all(channel: Channel) -> (Key, Key) {
        Key::range(GOING, &[channel.name().as_bytes()])
    }

    pub fn id(key: &Key) -> Result<String, RecordError> {
        key.last_part().and_then(|part| String::from_utf8(part).ok()).ok_or(RecordError::Damaged { kind: GOING, reason: "its key holds no name" })
    }

    pub fn seal(&self, place: &Key, data_key: &DataKey) -> Result<Vec<u8>, RecordError> {
        seal(GOING, place, self, data_key)
    }

    pub fn open(place: &Key, stored: &[u8], data_key: &DataKey) -> Result<Self, RecordError> {
        open(GOING, place, stored, data_key)
    }
}

impl Settled {
    pub fn key(id: &str) -> Key {
        Key::new(SETTLED, &[id.as_bytes()])
    }

    pub fn all() -> (Key, Key) {
        Key::range(SETTLED, &[])
    }

    pub fn id(key: &Key) -> Result<String, RecordError> {
        key.last_part().and_then(|part| String::from_utf8(part).ok()).ok_or(RecordError::Damaged { kind: SETTLED, reason: "its key holds no name" })
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(SETTLED, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(SETTLED, bytes)
    }
}

impl Counted {
    /// Of what is counted for whom: a mailbox, or the digest of a place.
    pub fn key(what: &str, whom: &str) -> Key {
        Key::new(COUNTED, &[what.as_bytes(), whom.as_bytes()])
    }

    pub fn all() -> (Key, Key) {
        Key::range(COUNTED, &[])
    }

    /// One more on this day, after what is stored.
    pub fn with(stored: Option<&[u8]>, day: &str) -> Result<Self, RecordError> {
        let before = Self::on(stored, day)?;
        Ok(Self { day: day.to_owned(), count: before.saturating_add(1) })
    }

    /// How many there were on this day.
    pub fn on(stored: Option<&[u8]>, day: &str) -> Result<u32, RecordError> {
        let before = stored.map(Self::decode).transpose()?;
        Ok(before.filter(|before| before.day == day).map_or(0, |before| before.count))
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        to_json(COUNTED, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        from_json(COUNTED, bytes)
    }
}

impl Asked {
    /// `token` is random.
    pub fn key(mailbox: &str, token: &str) -> Key {
        Key::new(ASKED, &[mailbox.as_bytes(), token.as_bytes()])
    }

    pub fn all() -> (Key, Key) {
        Key::range(ASKED, &[])
    }

    pub fn of_mailbox(mailbox: &str) -> (Key, Key) {
        Key::range(ASKED, &[mailbox.as_bytes()])
    }

    pub fn seal(&self, place: &Key, data_key: &DataKey) -> Result<Vec<u8>, RecordError> {
        seal(ASKED, place, self, data_key)
    }

    pub fn open(place: &Key, stored: &[u8], data_key: &DataKey) -> Result<Self, RecordError> {
        open(ASKED, place, stored, data_key)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::mailbox::test_keys::data_key;

    #[test]
    fn where_notices_go_is_sealed_and_never_shown() {
        let place = Place { channel: Channel::Text, address: "+8613800138000".into() };
        let places = Places { confirmed: vec![Confirmed { place: place.clone(), since_unix_millis: 1 }], pending: None, every_mail: false };
        let sealed = places.seal("1234567897", &data_key()).unwrap();
        assert!(!String::from_utf8_lossy(&sealed).contains("138001"));
        assert_eq!(open::<Places>(PLACES, &Places::key("1234567897"), &sealed, &data_key()).unwrap(), places);
        assert!(open::<Places>(PLACES, &Places::key("0000000006"), &sealed, &data_key()).is_err());
        let mail = Place { channel: Channel::Mail, address: "zhang.san@c.cn".into() };
        assert_eq!((format!("{places:?}").contains("138001"), mail.masked().as_str(), place.masked().as_str()), (false, "z***@c.cn", "****8000"));
        assert_ne!(place.digest(&data_key()), Place { channel: Channel::Mail, ..place.clone() }.digest(&data_key()));
    }

    #[test]
    fn days_are_counted_for_themselves() {
        let one = Counted::with(None, "2026-11-29").unwrap();
        let two = Counted::with(Some(&one.encode().unwrap()), "2026-11-29").unwrap();
        assert_eq!((one.count, two.count, Counted::on(Some(&two.encode().unwrap()), "2026-11-30").unwrap()), (1, 2, 0));
    }
}
