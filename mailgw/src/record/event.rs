//! Leaves of the gateway's log, one for each change of state, in the commit that makes the change.
//!
//! A leaf is `1 | kind u8 | unix milliseconds u64 big-endian | JSON`. This form and the numbers of the
//! kinds are frozen: a log is verified for ever. No leaf holds an identity number, a name or a password.

mod life;

use serde::{Deserialize, Serialize};
use store::{Batch, StreamSlot};

use super::{RecordError, VERSION, versioned};

pub use evidence::STREAM;
pub use life::*;
const KIND: &str = "log";

/// Digests are SHA-256 in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Event {
    MailboxOpened(Mailbox),
    MailboxClosed(Mailbox),
    PasswordSet(Mailbox),
    MessageAccepted(Message),
    /// The same into the folder for junk.
    MessageJunked(Junked),
    TlsReportQueued(TlsReport),
    /// The same of a message whose sender was verified.
    MessageVerified(Verified),
    SenderAddressSet(SenderAddress),
    MessagesRestored(Restored),
    MailboxHoldSet(MailboxHold),
    MailboxHoldLifted(MailboxHold),
    MailboxArchived(Archived),
    MailboxLoaded(Load),
    QuotaWarned(QuotaWarned),
    RecoveryBegun(RecoveryBegun),
    RecoveryEnded(RecoveryEnded),
    StatementDelivered(Statement),
    DocumentAdded(Mailbox),
    NoticeDelivered(Notice),
    TlsInstalled(Certificate),
    BureauSet(Bureau),
    BatchBegun(PushBatch),
    BatchEnded(PushBatch),
    PoliciesRead(Policies),
    SealingBureauSet(Bureau),
    ManifestAccepted(PushBatch),
    SealsIntended(Seals),
    MailSubmitted(Submitted),
    MailSent(Settled),
    MailReturned(Settled),
    MailCancelled(Settled),
    MailHeld(QueuedMail),
    MailReleased(QueuedMail),
    MailFlushed(QueuedMail),
    DkimMade(DkimSelector),
    DkimUsed(DkimSelector),
    EvidenceSignerSet(Certificate),
    EvidenceRecorded(Evidence),
    EvidenceSealed(EvidenceSeals),
    PushJobSet(PushJob),
    RecipientsAsked(Recipients),
    ReportIntended(PushReport),
    ReportSigned(PushReport),
    PushTried(PushTrial),
    RegistrarInstalled(Certificate),
    CertificateAsked(Stated),
    CertificateHeld(MailCertificate),
    CertificateEnding(Ending),
    CertificatesWithdrawn(Stated),
    BatchMended(Mended),
    StatementSuperseded(Corrected),
    StatementWithdrawn(Corrected),
    ConsentSet(Agreement),
    EnrolmentSet(Agreement),
    AppPasswordMade(AppPassword),
    AppPasswordWithdrawn(AppPassword),
    PaperIntended(Paper),
    StatementPapered(Papered),
    EncryptionSet(Encryption),
    EvidenceStamped(EvidenceStamps),
    RetentionEnded(Retention),
    HoldSet(Hold),
    CourtPackage(Court),
    MailboxExported(MailboxExport),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mailbox {
    pub mailbox: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    pub mailbox: String,
    pub digest: String,
    pub size: u64,
}

/// `item` is the digest of the item key, `digest` that of the message; `row` is a keyed digest of the row as it was sent,
/// which only this gateway can make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    pub mailbox: String,
    pub bureau: String,
    pub item: String,
    pub row: String,
    pub digest: String,
    pub size: u64,
}

/// A report to another domain about TLS with its servers on a day (counted from 1970, UTC), by the number under which it waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsReport {
    pub day: u64,
    pub domain: String,
    pub queued: String,
}

/// A message of another host that was filed as junk, and the name of the reason that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Junked {
    pub mailbox: String,
    pub digest: String,
    pub size: u64,
    pub reason: String,
}

/// Mail of somebody who logged in, `digest` and `size` as it was completed; the copies for mailboxes here have leaves of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submitted {
    pub mailbox: String,
    pub digest: String,
    pub size: u64,
    /// Recipients here, and elsewhere.
    pub here: u64,
    pub elsewhere: u64,
    /// The number under which it waits for those elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<String>,
}

/// A recipient of a queued message, by its place, whom another server took, or whom nobody takes; `status` is the enhanced code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settled {
    pub queued: String,
    pub recipient: u64,
    pub status: String,
}

/// A selector of mail signatures that was made, or that new mail is signed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DkimSelector {
    pub selector: String,
}

/// An administrator's word about a queued message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueuedMail {
    pub queued: String,
}

/// A notice of the authority: `notice` is the digest of its id, `digest` that of the message. This log is published nowhere and
/// names the mailbox itself, so the digest tells whoever reads it nothing of whom; the authority's log, which everybody
/// reads, has it under a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    pub mailbox: String,
    pub notice: String,
    pub digest: String,
    pub size: u64,
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

/// A month's push: `manifest` is the digest of what the bureau signed, `outcome` that of the report once it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushBatch {
    pub bureau: String,
    pub batch: String,
    pub manifest: String,
    pub rows: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// Rows the sealer is about to sign for; `rows` is the digest of their numbers (8 octets each) and content digests (32 each), in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seals {
    pub bureau: String,
    pub batch: String,
    pub count: u64,
    pub rows: String,
}

/// Items of evidence that stand in the same commit: their number and the root of their tree, hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    pub items: u64,
    pub root: String,
}

/// Batches of evidence that were signed; `seals` is the digest of their signatures' digests (32 octets each), in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceSeals {
    pub first: u64,
    pub count: u64,
    pub seals: String,
}

/// Batches of evidence whose signatures were stamped; `stamps` is the digest of the tokens' digests (32 octets each), in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceStamps {
    pub first: u64,
    pub count: u64,
    pub stamps: String,
}

/// What a push left behind beside its messages ends with its days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    pub bureau: String,
    pub batch: String,
    pub kind: String,
    pub rows: u64,
}

/// A legal hold, or its end, by this order; `of` is the digest of the hold's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    pub of: String,
    pub authority: String,
    pub order: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_unix_millis: Option<u64>,
    pub holds: bool,
}

/// A statement with its evidence was handed out by this order; `of` is the digest of its item key, `package` that of the package's index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Court {
    pub of: String,
    pub order: String,
    pub package: String,
}

/// The messages of a mailbox were handed out, or its statements alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailboxExport {
    pub mailbox: String,
    pub statements: bool,
}

/// Where a bureau's own push stands from now on; `manifest` is the digest of what the bureau signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushJob {
    pub bureau: String,
    pub batch: String,
    pub manifest: String,
    pub state: String,
}

/// A bureau asked whether persons can be reached: about how many, and how many of them can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipients {
    pub bureau: String,
    pub asked: u64,
    pub reachable: u64,
}

/// The final report of a push: `report` is its digest, in the log before it is signed; `signature` that of its CMS, after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushReport {
    pub bureau: String,
    pub batch: String,
    pub report: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// Kept-back rows of `batch` that the batch `by` brought again: how many of them ended, and the digest of all outcomes since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mended {
    pub bureau: String,
    pub batch: String,
    pub by: String,
    pub rows: u64,
    pub outcome: String,
}

/// A statement that holds no more: `item` is the digest of its item key, `old` that of its message, which stays; `digest` and `size`
/// are of the message that says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corrected {
    pub mailbox: String,
    pub bureau: String,
    pub batch: String,
    pub item: String,
    pub old: String,
    pub digest: String,
    pub size: u64,
}

/// What the owner of a mailbox agreed with a sender, or took back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    pub mailbox: String,
    pub bureau: String,
    pub holds: bool,
}

/// A push was tried, with nothing delivered: how many rows, and how many would have been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushTrial {
    pub bureau: String,
    pub batch: String,
    pub manifest: String,
    pub rows: u64,
    pub reachable: u64,
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
    pub scopes: Vec<String>,
}

/// The sealer is about to seal a statement on paper: `content` is the sealed content that it is made of, `paper` the PDF.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paper {
    pub bureau: String,
    pub batch: String,
    pub row: u64,
    pub content: String,
    pub paper: String,
}

/// A statement was handed out on paper; `item` is the digest of its item key, `paper` that of the PDF.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Papered {
    pub mailbox: String,
    pub bureau: String,
    pub item: String,
    pub paper: String,
}

/// Statements to a mailbox are encrypted to its owner's certificate from now on, or no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encryption {
    pub mailbox: String,
    pub holds: bool,
}

impl Event {
    fn kind(&self) -> u8 {
        match self {
            Self::MailboxOpened(_) => 1,
            Self::MailboxClosed(_) => 2,
            Self::PasswordSet(_) => 3,
            Self::MessageAccepted(_) => 4,
            Self::StatementDelivered(_) => 5,
            Self::DocumentAdded(_) => 6,
            Self::NoticeDelivered(_) => 7,
            Self::TlsInstalled(_) => 10,
            Self::BureauSet(_) => 11,
            Self::BatchBegun(_) => 12,
            Self::BatchEnded(_) => 13,
            Self::PoliciesRead(_) => 14,
            Self::SealingBureauSet(_) => 20,
            Self::ManifestAccepted(_) => 21,
            Self::SealsIntended(_) => 22,
            Self::MailSubmitted(_) => 30,
            Self::MailSent(_) => 31,
            Self::MailReturned(_) => 32,
            Self::MailCancelled(_) => 33,
            Self::MailHeld(_) => 34,
            Self::MailReleased(_) => 35,
            Self::MailFlushed(_) => 36,
            Self::DkimMade(_) => 37,
            Self::DkimUsed(_) => 38,
            Self::EvidenceSignerSet(_) => 40,
            Self::EvidenceRecorded(_) => 41,
            Self::EvidenceSealed(_) => 42,
            Self::PushJobSet(_) => 43,
            Self::RecipientsAsked(_) => 44,
            Self::ReportIntended(_) => 45,
            Self::ReportSigned(_) => 46,
            Self::PushTried(_) => 47,
            Self::RegistrarInstalled(_) => 50,
            Self::CertificateAsked(_) => 51,
            Self::CertificateHeld(_) => 52,
            Self::CertificateEnding(_) => 53,
            Self::CertificatesWithdrawn(_) => 54,
            Self::BatchMended(_) => 70,
            Self::StatementSuperseded(_) => 71,
            Self::StatementWithdrawn(_) => 72,
            Self::ConsentSet(_) => 73,
            Self::EnrolmentSet(_) => 74,
            Self::AppPasswordMade(_) => 60,
            Self::AppPasswordWithdrawn(_) => 61,
            Self::PaperIntended(_) => 80,
            Self::StatementPapered(_) => 81,
            Self::EncryptionSet(_) => 82,
            Self::MessageJunked(_) => 100,
            Self::TlsReportQueued(_) => 101,
            Self::EvidenceStamped(_) => 83,
            Self::RetentionEnded(_) => 84,
            Self::HoldSet(_) => 85,
            Self::CourtPackage(_) => 86,
            Self::MailboxExported(_) => 87,
            Self::MessageVerified(_) => 130,
            Self::SenderAddressSet(_) => 131,
            Self::MessagesRestored(_) => 132,
            Self::MailboxHoldSet(_) => 133,
            Self::MailboxHoldLifted(_) => 134,
            Self::MailboxArchived(_) => 135,
            Self::MailboxLoaded(_) => 136,
            Self::QuotaWarned(_) => 137,
            Self::RecoveryBegun(_) => 138,
            Self::RecoveryEnded(_) => 139,
        }
    }

    pub fn leaf(&self, unix_millis: u64) -> Result<Vec<u8>, RecordError> {
        let json = serde_json::to_vec(self).map_err(|_| RecordError::Damaged { kind: KIND, reason: "it cannot be written as JSON" })?;
        Ok([&[VERSION, self.kind()], unix_millis.to_be_bytes().as_slice(), &json].concat())
    }

    /// The event and its time in unix milliseconds.
    pub fn from_leaf(leaf: &[u8]) -> Result<(Self, u64), RecordError> {
        let damaged = |reason| RecordError::Damaged { kind: KIND, reason };
        let (kind, rest) = versioned(KIND, leaf)?.split_first().ok_or_else(|| damaged("it ends before its kind"))?;
        let (time, json) = rest.split_first_chunk::<8>().ok_or_else(|| damaged("it ends before its time"))?;
        let wrong = |_| damaged("its JSON is not that of its kind");
        let event = match kind {
            1 => Self::MailboxOpened(serde_json::from_slice(json).map_err(wrong)?),
            2 => Self::MailboxClosed(serde_json::from_slice(json).map_err(wrong)?),
            3 => Self::PasswordSet(serde_json::from_slice(json).map_err(wrong)?),
            4 => Self::MessageAccepted(serde_json::from_slice(json).map_err(wrong)?),
            5 => Self::StatementDelivered(serde_json::from_slice(json).map_err(wrong)?),
            6 => Self::DocumentAdded(serde_json::from_slice(json).map_err(wrong)?),
            7 => Self::NoticeDelivered(serde_json::from_slice(json).map_err(wrong)?),
            10 => Self::TlsInstalled(serde_json::from_slice(json).map_err(wrong)?),
            11 => Self::BureauSet(serde_json::from_slice(json).map_err(wrong)?),
            12 => Self::BatchBegun(serde_json::from_slice(json).map_err(wrong)?),
            13 => Self::BatchEnded(serde_json::from_slice(json).map_err(wrong)?),
            14 => Self::PoliciesRead(serde_json::from_slice(json).map_err(wrong)?),
            20 => Self::SealingBureauSet(serde_json::from_slice(json).map_err(wrong)?),
            21 => Self::ManifestAccepted(serde_json::from_slice(json).map_err(wrong)?),
            22 => Self::SealsIntended(serde_json::from_slice(json).map_err(wrong)?),
            30 => Self::MailSubmitted(serde_json::from_slice(json).map_err(wrong)?),
            31 => Self::MailSent(serde_json::from_slice(json).map_err(wrong)?),
            32 => Self::MailReturned(serde_json::from_slice(json).map_err(wrong)?),
            33 => Self::MailCancelled(serde_json::from_slice(json).map_err(wrong)?),
            34 => Self::MailHeld(serde_json::from_slice(json).map_err(wrong)?),
            35 => Self::MailReleased(serde_json::from_slice(json).map_err(wrong)?),
            36 => Self::MailFlushed(serde_json::from_slice(json).map_err(wrong)?),
            37 => Self::DkimMade(serde_json::from_slice(json).map_err(wrong)?),
            38 => Self::DkimUsed(serde_json::from_slice(json).map_err(wrong)?),
            40 => Self::EvidenceSignerSet(serde_json::from_slice(json).map_err(wrong)?),
            41 => Self::EvidenceRecorded(serde_json::from_slice(json).map_err(wrong)?),
            42 => Self::EvidenceSealed(serde_json::from_slice(json).map_err(wrong)?),
            43 => Self::PushJobSet(serde_json::from_slice(json).map_err(wrong)?),
            44 => Self::RecipientsAsked(serde_json::from_slice(json).map_err(wrong)?),
            45 => Self::ReportIntended(serde_json::from_slice(json).map_err(wrong)?),
            46 => Self::ReportSigned(serde_json::from_slice(json).map_err(wrong)?),
            47 => Self::PushTried(serde_json::from_slice(json).map_err(wrong)?),
            50 => Self::RegistrarInstalled(serde_json::from_slice(json).map_err(wrong)?),
            51 => Self::CertificateAsked(serde_json::from_slice(json).map_err(wrong)?),
            52 => Self::CertificateHeld(serde_json::from_slice(json).map_err(wrong)?),
            53 => Self::CertificateEnding(serde_json::from_slice(json).map_err(wrong)?),
            54 => Self::CertificatesWithdrawn(serde_json::from_slice(json).map_err(wrong)?),
            70 => Self::BatchMended(serde_json::from_slice(json).map_err(wrong)?),
            71 => Self::StatementSuperseded(serde_json::from_slice(json).map_err(wrong)?),
            72 => Self::StatementWithdrawn(serde_json::from_slice(json).map_err(wrong)?),
            73 => Self::ConsentSet(serde_json::from_slice(json).map_err(wrong)?),
            74 => Self::EnrolmentSet(serde_json::from_slice(json).map_err(wrong)?),
            60 => Self::AppPasswordMade(serde_json::from_slice(json).map_err(wrong)?),
            61 => Self::AppPasswordWithdrawn(serde_json::from_slice(json).map_err(wrong)?),
            80 => Self::PaperIntended(serde_json::from_slice(json).map_err(wrong)?),
            81 => Self::StatementPapered(serde_json::from_slice(json).map_err(wrong)?),
            82 => Self::EncryptionSet(serde_json::from_slice(json).map_err(wrong)?),
            100 => Self::MessageJunked(serde_json::from_slice(json).map_err(wrong)?),
            101 => Self::TlsReportQueued(serde_json::from_slice(json).map_err(wrong)?),
            83 => Self::EvidenceStamped(serde_json::from_slice(json).map_err(wrong)?),
            84 => Self::RetentionEnded(serde_json::from_slice(json).map_err(wrong)?),
            85 => Self::HoldSet(serde_json::from_slice(json).map_err(wrong)?),
            86 => Self::CourtPackage(serde_json::from_slice(json).map_err(wrong)?),
            87 => Self::MailboxExported(serde_json::from_slice(json).map_err(wrong)?),
            130 => Self::MessageVerified(serde_json::from_slice(json).map_err(wrong)?),
            131 => Self::SenderAddressSet(serde_json::from_slice(json).map_err(wrong)?),
            132 => Self::MessagesRestored(serde_json::from_slice(json).map_err(wrong)?),
            133 => Self::MailboxHoldSet(serde_json::from_slice(json).map_err(wrong)?),
            134 => Self::MailboxHoldLifted(serde_json::from_slice(json).map_err(wrong)?),
            135 => Self::MailboxArchived(serde_json::from_slice(json).map_err(wrong)?),
            136 => Self::MailboxLoaded(serde_json::from_slice(json).map_err(wrong)?),
            137 => Self::QuotaWarned(serde_json::from_slice(json).map_err(wrong)?),
            138 => Self::RecoveryBegun(serde_json::from_slice(json).map_err(wrong)?),
            139 => Self::RecoveryEnded(serde_json::from_slice(json).map_err(wrong)?),
            _ => return Err(damaged("its kind is not known")),
        };
        Ok((event, u64::from_be_bytes(*time)))
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
