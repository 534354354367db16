//! What the log tells of each certificate, and whether that ends where the register does.

use evidence::Leaf;
use serde::{Deserialize, Serialize};

use crate::record::{CertificateRecord, Reason, Revocation, Status, log};

/// Sixteen octets, as all serial numbers here have.
pub type Serial = [u8; 16];

/// SHA-256, in hexadecimal where it is written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        let mut digest = [0; 32];
        digest.iter_mut().zip(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
        Self(digest)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        crate::hex(&digest.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        octets(&text).map(Self).ok_or("a digest is 64 lower-case hexadecimal digits")
    }
}

/// One entry of the log about a certificate.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Its place in the log.
    pub entry: u64,
    /// When it was recorded, in Unix milliseconds.
    pub recorded_ms: u64,
    pub what: What,
}

/// Times are Unix seconds.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum What {
    Issued { sha256: Digest },
    /// Issued before a restore, and entered again after it.
    Adopted { sha256: Digest },
    Suspended { at: i64 },
    /// The digest is of the order, which is among the records.
    Frozen { at: i64, until: i64, order_sha256: Digest },
    FreezeEnded { suspended: bool },
    Resumed,
    Revoked { at: i64, reason: Reason },
    InvalidityDated { since: i64 },
}

/// What of an entry's payload is looked at.
#[derive(Deserialize)]
struct Payload<'a> {
    serial: Option<&'a str>,
    issuer: Option<&'a str>,
    sha256: Option<&'a str>,
    at: Option<i64>,
    until: Option<i64>,
    since: Option<i64>,
    reason: Option<Reason>,
    suspended: Option<bool>,
    order_sha256: Option<&'a str>,
    content_sha256: Option<&'a str>,
}

/// What an entry is about, of what is compared with records.
pub enum About {
    Certificate(Serial, Event),
    /// A list of this issuer and its digest.
    List(String, Digest),
    /// An order and all that was applied for, by their digests.
    Order(Digest, Digest),
    /// An order that is kept no longer.
    Forgotten(Digest),
    Other,
}

/// Reads an entry; `None` for one that is not as this program writes them.
pub fn read(entry: u64, leaf: &[u8]) -> Option<About> {
    let leaf = Leaf::parse(leaf).ok()?;
    let told = matches!(
        leaf.kind(),
        log::CERTIFICATE_ISSUED
            | log::CERTIFICATE_ADOPTED
            | log::CERTIFICATE_SUSPENDED
            | log::CERTIFICATE_FROZEN
            | log::FREEZE_ENDED
            | log::CERTIFICATE_RESUMED
            | log::CERTIFICATE_REVOKED
            | log::INVALIDITY_DATED
            | log::CRL_ISSUED
            | log::ORDER_RECEIVED
            | log::ORDER_FORGOTTEN
    );
    if !told {
        return Some(About::Other);
    }
    let said: Payload<'_> = serde_json::from_str(leaf.payload()).ok()?;
    let digest = |text: Option<&str>| text.and_then(octets).map(Digest);
    let what = match leaf.kind() {
        log::CRL_ISSUED => return Some(About::List(said.issuer?.to_owned(), digest(said.sha256)?)),
        log::ORDER_RECEIVED => return Some(About::Order(digest(said.order_sha256)?, digest(said.content_sha256)?)),
        log::ORDER_FORGOTTEN => return Some(About::Forgotten(digest(said.order_sha256)?)),
        log::CERTIFICATE_ISSUED => What::Issued { sha256: digest(said.sha256)? },
        log::CERTIFICATE_ADOPTED => What::Adopted { sha256: digest(said.sha256)? },
        log::CERTIFICATE_SUSPENDED => What::Suspended { at: said.at? },
        log::CERTIFICATE_FROZEN => What::Frozen { at: said.at?, until: said.until?, order_sha256: digest(said.order_sha256)? },
        log::FREEZE_ENDED => What::FreezeEnded { suspended: said.suspended? },
        log::CERTIFICATE_RESUMED => What::Resumed,
        log::CERTIFICATE_REVOKED => What::Revoked { at: said.at?, reason: said.reason? },
        log::INVALIDITY_DATED => What::InvalidityDated { since: said.since? },
        _ => return None,
    };
    Some(About::Certificate(octets(said.serial?)?, Event { entry, recorded_ms: leaf.unix_ms(), what }))
}

/// Octets of as many lower-case hexadecimal digits as there must be.
fn octets<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() || text.bytes().any(|digit| digit.is_ascii_uppercase()) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut octets = [0; N];
    for (to, [high, low]) in octets.iter_mut().zip(pairs) {
        *to = digit(*high)? * 16 + digit(*low)?;
    }
    Some(octets)
}

/// The stories of all certificates: about 80 octets an entry, and one and a bit entries a certificate.
#[derive(Default)]
pub struct Histories {
    events: Vec<(Serial, Event)>,
    taken: Vec<bool>,
}

impl Histories {
    pub fn push(&mut self, serial: Serial, event: Event) {
        self.events.push((serial, event));
    }

    /// From the order of the log to that of the serials, and of the log for each.
    pub fn sorted(mut self) -> Self {
        self.events.sort_unstable_by_key(|(serial, event)| (*serial, event.entry));
        self.taken = vec![false; self.events.len()];
        self
    }

    /// The story of one certificate, which is then told.
    pub fn take(&mut self, serial: &[u8]) -> Vec<Event> {
        let from = self.events.partition_point(|(of, _)| of.as_slice() < serial);
        let story: Vec<Event> = self.events.iter().skip(from).take_while(|(of, _)| of.as_slice() == serial).map(|(_, event)| event.clone()).collect();
        self.taken.iter_mut().skip(from).take(story.len()).for_each(|taken| *taken = true);
        story
    }

    /// The first of which nobody asked.
    pub fn untold(&self) -> Option<(Serial, u64)> {
        self.taken.iter().zip(&self.events).find(|(taken, _)| !**taken).map(|(_, (serial, event))| (*serial, event.entry))
    }
}

/// Where a story has come to.
#[derive(Clone, Copy)]
enum Standing {
    Unknown,
    /// Its enterprise was frozen while it was being signed: the order is recorded first, in the same commit.
    HeldFromTheFirst(i64),
    Good,
    Held(i64),
    Revoked(Revocation),
}

/// Whether the register's record is where the log's entries about it end. Pure.
pub fn agrees(record: &CertificateRecord, story: &[Event]) -> Result<(), &'static str> {
    let digest = Digest::of(&record.der);
    let mut standing = Standing::Unknown;
    // What a list said before a restore holds for what is entered after it, and no entry of its own says so.
    let adopted = matches!(story.first(), Some(Event { what: What::Adopted { .. }, .. }));
    for event in story {
        standing = match (standing, &event.what) {
            (Standing::Unknown | Standing::HeldFromTheFirst(_), What::Issued { sha256 } | What::Adopted { sha256 }) if *sha256 != digest => return Err("the log has the digest of another certificate"),
            (Standing::Unknown, What::Issued { .. } | What::Adopted { .. }) => Standing::Good,
            (Standing::Unknown, What::Frozen { at, .. }) => Standing::HeldFromTheFirst(*at),
            (Standing::HeldFromTheFirst(at), What::Issued { .. }) => Standing::Held(at),
            (Standing::Good, What::Suspended { at } | What::Frozen { at, .. }) => Standing::Held(*at),
            (Standing::Held(at), What::Frozen { .. } | What::FreezeEnded { suspended: true }) => Standing::Held(at),
            (Standing::Held(_), What::Resumed | What::FreezeEnded { suspended: false }) => Standing::Good,
            (Standing::Good, What::Resumed) if adopted => Standing::Good,
            (Standing::Good | Standing::Held(_) | Standing::Revoked(_), What::Revoked { at, reason }) => Standing::Revoked(Revocation::new(*at, *reason)),
            (Standing::Revoked(revocation), What::InvalidityDated { since }) => Standing::Revoked(Revocation { invalid_since: Some(*since), ..revocation }),
            _ => return Err("the log's entries about it do not follow each other"),
        };
    }
    match (standing, &record.status) {
        (Standing::Unknown | Standing::HeldFromTheFirst(_), _) => Err("the log has no entry of its issuance"),
        (Standing::Good, Status::Good) => Ok(()),
        (Standing::Good, Status::Held(hold)) if adopted && hold.freeze.is_none() => Ok(()),
        (Standing::Held(at), Status::Held(hold)) if hold.at == at => Ok(()),
        (Standing::Revoked(told), Status::Revoked(revocation)) if told == *revocation => Ok(()),
        _ => Err("its status is not the one that the log tells"),
    }
}
