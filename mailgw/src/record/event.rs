//! Leaves of the gateway's log, one for each change of state, in the commit that makes the change.
//!
//! A leaf is `1 | kind u8 | unix milliseconds u64 big-endian | JSON`. This form and the numbers of the
//! kinds are frozen: a log is verified for ever. No leaf holds an identity number, a name or a password.

mod life;
mod mail;
mod notification;
mod opening;
mod push;

use serde::{Deserialize, Serialize};
use store::{Batch, StreamSlot};

use super::{RecordError, VERSION, versioned};

pub use evidence::STREAM;
pub use life::*;
pub use mail::*;
pub use notification::*;
pub use opening::*;
pub use push::*;

const KIND: &str = "log";

/// One line for each leaf: its name, what it tells, the number of its kind.
macro_rules! leaves {
    ($($(#[$meta:meta])* $name:ident($told:ident) = $kind:literal,)+) => {
        /// Digests are SHA-256 in lower-case hexadecimal.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        pub enum Event {
            $($(#[$meta])* $name($told),)+
        }

        impl Event {
            fn kind(&self) -> u8 {
                match self {
                    $(Self::$name(_) => $kind,)+
                }
            }

            /// `None`: no leaf is of this kind.
            fn read(kind: u8, json: &[u8]) -> Option<Result<Self, serde_json::Error>> {
                Some(match kind {
                    $($kind => serde_json::from_slice(json).map(Self::$name),)+
                    _ => return None,
                })
            }
        }
    };
}

leaves! {
    MailboxOpened(Mailbox) = 1,
    MailboxClosed(Mailbox) = 2,
    PasswordSet(Mailbox) = 3,
    MessageAccepted(Message) = 4,
    StatementDelivered(Statement) = 5,
    /// Of before: now it says by what proof.
    DocumentAdded(Mailbox) = 6,
    NoticeDelivered(Notice) = 7,
    TlsInstalled(Certificate) = 10,
    BureauSet(Bureau) = 11,
    BatchBegun(PushBatch) = 12,
    BatchEnded(PushBatch) = 13,
    PoliciesRead(Policies) = 14,
    SealingBureauSet(Bureau) = 20,
    ManifestAccepted(PushBatch) = 21,
    SealsIntended(Seals) = 22,
    MailSubmitted(Submitted) = 30,
    MailSent(Settled) = 31,
    MailReturned(Settled) = 32,
    MailCancelled(Settled) = 33,
    MailHeld(QueuedMail) = 34,
    MailReleased(QueuedMail) = 35,
    MailFlushed(QueuedMail) = 36,
    DkimMade(DkimSelector) = 37,
    DkimUsed(DkimSelector) = 38,
    EvidenceSignerSet(Certificate) = 40,
    EvidenceRecorded(Evidence) = 41,
    EvidenceSealed(EvidenceSeals) = 42,
    PushJobSet(PushJob) = 43,
    RecipientsAsked(Recipients) = 44,
    ReportIntended(PushReport) = 45,
    ReportSigned(PushReport) = 46,
    PushTried(PushTrial) = 47,
    RegistrarInstalled(Certificate) = 50,
    CertificateAsked(Stated) = 51,
    CertificateHeld(MailCertificate) = 52,
    CertificateEnding(Ending) = 53,
    CertificatesWithdrawn(Stated) = 54,
    AppPasswordMade(AppPassword) = 60,
    AppPasswordWithdrawn(AppPassword) = 61,
    OperatorNamed(MailboxOperator) = 62,
    OperatorEnded(MailboxOperator) = 63,
    BatchMended(Mended) = 70,
    StatementSuperseded(Corrected) = 71,
    StatementWithdrawn(Corrected) = 72,
    ConsentSet(Agreement) = 73,
    EnrolmentSet(Agreement) = 74,
    PaperIntended(Paper) = 80,
    StatementPapered(Papered) = 81,
    EncryptionSet(Encryption) = 82,
    EvidenceStamped(EvidenceStamps) = 83,
    RetentionEnded(Retention) = 84,
    HoldSet(Hold) = 85,
    CourtPackage(Court) = 86,
    /// Of before: now a mailbox is archived.
    MailboxExported(MailboxExport) = 87,
    /// A message was accepted, into the folder for junk.
    MessageJunked(Junked) = 100,
    TlsReportQueued(TlsReport) = 101,
    /// A message was accepted whose sender was verified.
    MessageVerified(Verified) = 130,
    SenderAddressSet(SenderAddress) = 131,
    MessagesRestored(Restored) = 132,
    MailboxHoldSet(MailboxHold) = 133,
    MailboxHoldLifted(MailboxHold) = 134,
    MailboxArchived(Archived) = 135,
    MailboxLoaded(Load) = 136,
    QuotaWarned(QuotaWarned) = 137,
    RecoveryBegun(RecoveryBegun) = 138,
    RecoveryEnded(RecoveryEnded) = 139,
    HolderRenamed(Renamed) = 140,
    AliasAdded(Mailbox) = 141,
    NotificationPlaceSet(NotificationPlace) = 150,
    NotificationSent(Notification) = 151,
    NotificationFailed(Notification) = 152,
    MailboxApplied(Applied) = 160,
    ApplicationAnswered(Answered) = 161,
    RegistrySet(CardRegistry) = 162,
    DmarcReportQueued(TlsReport) = 163,
    /// It opens nothing any more.
    PasswordWithdrawn(Mailbox) = 170,
    DocumentProved(DocumentProved) = 171,
    /// It leads to the mailbox no more.
    DocumentWithdrawn(DocumentWithdrawn) = 172,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mailbox {
    pub mailbox: String,
}

/// A certificate the gateway serves from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    pub sha256: String,
}

/// The policies read at a start, when they are others than those before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policies {
    pub sha256: String,
}

/// What the registry says of a bureau from now on; `record` is the digest of its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bureau {
    pub bureau: String,
    pub record: String,
}

/// The messages of a mailbox were handed out, or its statements alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailboxExport {
    pub mailbox: String,
    pub statements: bool,
}

/// A statement to the authority about a mailbox: `statement` is the digest of the text that was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stated {
    pub mailbox: String,
    pub statement: String,
}

/// The certificate that is kept with a mailbox from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailCertificate {
    pub mailbox: String,
    pub sha256: String,
}

/// The certificates of a mailbox are to end, at the counter's word; a mailbox that is closed says so by that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    pub mailbox: String,
    pub reason: String,
}

/// An app password of a mailbox, by its number there, and what it opens. What its owner calls it is theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppPassword {
    pub mailbox: String,
    pub number: u32,
    /// The operator of an institution's mailbox whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<u32>,
    pub scopes: Vec<String>,
}

/// An operator of an institution's mailbox, by their number there: the citizen where it is one, by whose word, and the digest of what was
/// signed or said for it. A name that is not a citizen's stands sealed in the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailboxOperator {
    pub mailbox: String,
    pub operator: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub citizen: Option<String>,
    pub by: String,
    pub request: String,
}

impl Event {
    pub fn leaf(&self, unix_millis: u64) -> Result<Vec<u8>, RecordError> {
        let json = serde_json::to_vec(self).map_err(|_| RecordError::Damaged { kind: KIND, reason: "it cannot be written as JSON" })?;
        Ok([&[VERSION, self.kind()], unix_millis.to_be_bytes().as_slice(), &json].concat())
    }

    /// The event and its time in unix milliseconds.
    pub fn from_leaf(leaf: &[u8]) -> Result<(Self, u64), RecordError> {
        let damaged = |reason| RecordError::Damaged { kind: KIND, reason };
        let (kind, rest) = versioned(KIND, leaf)?.split_first().ok_or_else(|| damaged("it ends before its kind"))?;
        let (time, json) = rest.split_first_chunk::<8>().ok_or_else(|| damaged("it ends before its time"))?;
        let event = Self::read(*kind, json).ok_or_else(|| damaged("its kind is not known"))?;
        Ok((event.map_err(|_| damaged("its JSON is not that of its kind"))?, u64::from_be_bytes(*time)))
    }

    pub(crate) fn append(&self, batch: &mut Batch, unix_millis: u64) -> Result<StreamSlot, RecordError> {
        Ok(batch.append(STREAM, self.leaf(unix_millis)?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_frozen_form() {
        let event = Event::PasswordSet(Mailbox { mailbox: "1234567897".into() });
        let leaf = event.leaf(0x0102).unwrap();
        assert_eq!(leaf, [b"\x01\x03\0\0\0\0\0\0\x01\x02".as_slice(), br#"{"mailbox":"1234567897"}"#].concat());
        assert_eq!(Event::from_leaf(&leaf).unwrap(), (event, 0x0102));
    }

    #[test]
    fn what_is_no_leaf_is_refused() {
        let good = Event::MailboxOpened(Mailbox { mailbox: "1".into() }).leaf(1).unwrap();
        for end in 0..good.len() {
            assert!(Event::from_leaf(good.get(..end).unwrap()).is_err());
        }
        for (at, byte) in [(0, 2), (1, 0), (1, 4), (1, 99)] {
            let mut wrong = good.clone();
            *wrong.get_mut(at).unwrap() = byte;
            assert!(Event::from_leaf(&wrong).is_err());
        }
    }
}
