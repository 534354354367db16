//! Leaves of the desk's log, one for each change of state, in the commit that makes the change.
//!
//! The form of a leaf and the numbers of the kinds are frozen: a log is verified for ever. No leaf holds an identity
//! number, a name, what a filing says, or the id of anything that is an enterprise's business: whoever has a receipt's number may
//! read the receipt.

use keys::DataKey;
use merkle::Leaf;
use serde::Serialize;
use store::{Batch, StreamSlot};
use time::OffsetDateTime;

use super::RecordError;
use crate::logged::{LogNames, Named};

const KIND: &str = "log";

/// Digests are SHA-256 in lower-case hexadecimal; those called keyed are HMAC-SHA-256 under the desk's data key ([`keyed`]): of
/// what few guesses would find. Those called named are HMAC-SHA-256 under the filing's own salt ([`LogNames`]), which its receipts
/// bear. A receipt holds a timestamp, a verdict a signature's digest, and what was signed is told by its signature: nobody
/// writes these by guessing.
///
/// Leaves of kinds 1, 3 to 6, 11, 12, 14, 15, 32 to 35, 37, 110 to 112, 115 and 116 told the same with ids in clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Event<'a> {
    /// A filing passed the fourteen checks; its receipt bears the position of this leaf. All but `timely` are named: a filing of
    /// nothing, or of one person's beginning, is quickly guessed. Leaves of kind 1 told its plain digest.
    FilingReceived { filing: &'a str, content: &'a str, signature: &'a str, receipt: &'a str, timely: bool },
    /// A filing failed these checks, the first of which it was answered with. `submission` is the digest of what came.
    FilingRefused { submission: &'a str, checks: &'a [u8] },
    /// A receipt, which is named, was sealed.
    ReceiptSealed { receipt: &'a str, content: &'a str, seal: &'a str },
    /// A bureau's officer moved a filing on; its receipt bears the position of this leaf. `filing` and `receipt` are named; `officer` is the name that was given,
    /// `user` the number of the account it came from. Leaves of kind 4 told the same without them.
    FilingMoved { filing: &'a str, status: &'a str, receipt: &'a str, officer: &'a str, user: u32 },
    /// Both are keyed: the document names two enterprises and little else. Leaves of kinds 5 and 6 told plain digests.
    MandateGiven { mandate: &'a str, document: &'a str },
    MandateWithdrawn { mandate: &'a str, document: &'a str },
    BureauSealSet { bureau: &'a str, certificate: &'a str },
    TlsInstalled { certificate: &'a str },
    PoliciesRead { sha256: &'a str },
    /// `attachment` is its digest, keyed: few files are guessed, and some are known. Leaves of kind 10 told the plain digest.
    AttachmentKept { attachment: &'a str, size: u64 },
    /// A file that no filing named in its days was removed; `attachment` is keyed as above.
    AttachmentRemoved { attachment: &'a str, size: u64 },
    /// The mail gateway said that it delivered a receipt, by the name of its letter: `message` is the digest of the mail.
    LetterDelivered { receipt: &'a str, message: &'a str },
    LetterFailed { receipt: &'a str, reason: &'a str },
    /// `enterprise` is its credit code, keyed. Leaves of kind 13 told the plain digest.
    MailboxSet { enterprise: &'a str },
    /// What a filing, which is named, says was read out of its seal, by whom and for this reason. Leaves of kind 14 told the same without whom.
    FilingRead { filing: &'a str, reason: &'a str, officer: &'a str, user: u32 },
    /// What proves a filing's signature or a receipt's seal was renewed; `of` is named, or keyed where it is no filing's, `signature` the digest of what stands now.
    SignatureArchived { of: &'a str, signature: &'a str, level: &'a str },
    /// A bureau sealed a verdict on a third party's signature; of what was asked nothing else is kept.
    VerdictSealed { bureau: &'a str, content: &'a str, seal: &'a str },
    /// The registry of enterprises was replaced by this file.
    EnterprisesImported { sha256: &'a str, rows: u64 },
    /// Who is insured through an enterprise was given as a list. `enterprise` is its credit code, keyed; of a list of people there
    /// is no digest. Leaves of kind 31 told the plain digest of the code.
    StaffListSet { enterprise: &'a str, people: u64 },
    /// An enterprise let a key sign for it as an operator, and took that back; both are keyed. Leaves of kinds 34 and 35
    /// told plain digests.
    OperatorAuthorised { authorisation: &'a str, document: &'a str },
    OperatorWithdrawn { authorisation: &'a str, document: &'a str },
    /// An enterprise lost every key of its own, and a bureau's officer let another speak for it. `enterprise` is its credit
    /// code, keyed, `key` the digest of the SubjectPublicKeyInfo.
    OwnKeyReinstated { enterprise: &'a str, key: &'a str, certificate: &'a str, reason: &'a str, officer: &'a str, user: u32 },
    /// A key of an enterprise's own said that another is its own no more; both are keyed.
    OwnKeyWithdrawn { withdrawal: &'a str, document: &'a str },
}

impl Event<'_> {
    fn kind(&self) -> u8 {
        match self {
            Self::FilingReceived { .. } => 120,
            Self::FilingRefused { .. } => 2,
            Self::ReceiptSealed { .. } => 121,
            Self::FilingMoved { .. } => 122,
            Self::MandateGiven { .. } => 123,
            Self::MandateWithdrawn { .. } => 124,
            Self::BureauSealSet { .. } => 7,
            Self::TlsInstalled { .. } => 8,
            Self::PoliciesRead { .. } => 9,
            Self::AttachmentKept { .. } => 38,
            Self::AttachmentRemoved { .. } => 132,
            Self::LetterDelivered { .. } => 127,
            Self::LetterFailed { .. } => 128,
            Self::MailboxSet { .. } => 113,
            Self::FilingRead { .. } => 129,
            Self::SignatureArchived { .. } => 130,
            Self::VerdictSealed { .. } => 16,
            Self::EnterprisesImported { .. } => 30,
            Self::StaffListSet { .. } => 114,
            Self::OperatorAuthorised { .. } => 125,
            Self::OperatorWithdrawn { .. } => 126,
            Self::OwnKeyReinstated { .. } => 36,
            Self::OwnKeyWithdrawn { .. } => 131,
        }
    }

    pub fn append(&self, batch: &mut Batch, now: OffsetDateTime) -> Result<StreamSlot, RecordError> {
        let damaged = |reason| RecordError::Damaged { kind: KIND, reason };
        let payload = serde_json::to_string(self).map_err(|_| damaged("it cannot be written as JSON"))?;
        let leaf = Leaf::new(self.kind(), unix_millis(now), payload).map_err(|_| damaged("it is no entry"))?;
        Ok(batch.append(evidence::STREAM, leaf.to_bytes()))
    }
}

/// The keyed digest of something that the log tells and must not give away; `what` keeps one kind of thing from another.
pub fn keyed(data: &DataKey, what: &str, of: &[u8]) -> String {
    crate::desk::hex(&data.index(&format!("suiyin desk log {what} 1"), of))
}

/// The name of a receipt, or of a letter about one, whose id begins with the filing's.
pub fn named_receipt(data: &DataKey, receipt: &str) -> String {
    let filing = receipt.split_once('-').map_or(receipt, |(filing, _)| filing);
    LogNames::of(data, filing).name(Named::Receipt, receipt)
}

/// The name of a filing.
pub fn named_filing(data: &DataKey, filing: &str) -> String {
    LogNames::of(data, filing).name(Named::Filing, filing)
}

/// Before 1970: nothing.
pub fn unix_millis(now: OffsetDateTime) -> u64 {
    u64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use store::{Memory, Store};

    #[test]
    fn the_frozen_form() {
        let (store, mut batch) = (Memory::new(), Batch::new());
        let at = OffsetDateTime::from_unix_timestamp_nanos(258_000_000).unwrap();
        Event::FilingRefused { submission: "ab", checks: &[8, 13] }.append(&mut batch, at).unwrap();
        store.commit(batch).unwrap();
        let leaf = store.read_stream(evidence::STREAM, 0, 1).unwrap().remove(0);
        assert_eq!(leaf, [b"\x01\x02\0\0\0\0\0\0\x01\x02".as_slice(), br#"{"submission":"ab","checks":[8,13]}"#].concat());
    }
}
