//! The entries of the authority's log. The leaf form is `ca/merkle/FORMAT.md`; the kinds and payloads
//! here are frozen once released: a new fact gets a new kind.

use std::collections::BTreeSet;

use policies::authority::Power;
use serde::Serialize;
use time::OffsetDateTime;

use super::{Act, Reason, Unread, Verdict};

pub use evidence::STREAM;

/// The kinds that a witness looks at.
pub const CERTIFICATE_ISSUED: u8 = 4;
pub const CERTIFICATE_NAMED: u8 = 70;
pub const OWN_NAME_CHANGED: u8 = 95;
/// Those that tell the story of a certificate besides.
pub const CERTIFICATE_REVOKED: u8 = 5;
pub const CRL_ISSUED: u8 = 7;
pub const ORDER_RECEIVED: u8 = 20;
pub const CERTIFICATE_SUSPENDED: u8 = 30;
pub const CERTIFICATE_FROZEN: u8 = 31;
pub const CERTIFICATE_RESUMED: u8 = 32;
pub const FREEZE_ENDED: u8 = 33;
pub const INVALIDITY_DATED: u8 = 50;
pub const CERTIFICATE_ADOPTED: u8 = 82;
pub const POLICIES_ACCEPTED: u8 = 72;
pub const ORDER_APPROVED: u8 = 73;
pub const ACT_APPROVED: u8 = 74;
pub const ORDER_FORGOTTEN: u8 = 75;
pub const REGISTRAR_SET: u8 = 90;
pub const RECORDS_READ: u8 = 111;

/// One change of state. Digests are SHA-256 in lower-case hexadecimal, times Unix seconds; `by` is who asked
/// for it: `uid:N`, `officer:SERIAL`, `registrar:SERIAL`, `key:SHA256` or `service`.
///
/// Everybody reads the log, so no digest in it is over words that can be guessed. Orders and acts are digested with their
/// number, which is a secret of 128 bits; freezes with the salt that is kept in them; registrars' statements bear a random
/// number of 16 octets; certificates, their intents and keys hold a public key, which nobody guesses who has not seen the
/// certificate; the own-name tag and the digest of a notice's message are keyed. What is left is of lists, policies, roots
/// and packages, which say nothing of a person that is not published with them, and of serials, which are in the log.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Entry<'a> {
    PoliciesRead { sha256: &'a str },
    IssuerCreated { issuer: &'a str, sha256: &'a str },
    CertificateIntended { issuer: &'a str, serial: &'a str, tbs_sha256: &'a str, by: &'a str },
    CertificateIssued { issuer: &'a str, serial: &'a str, profile: &'a str, sha256: &'a str },
    CertificateRevoked { issuer: &'a str, serial: &'a str, reason: Reason, at: i64, by: &'a str },
    CrlIntended { issuer: &'a str, number: u64, tbs_sha256: &'a str, by: &'a str },
    CrlIssued { issuer: &'a str, number: u64, entries: u64, sha256: &'a str },
    OcspSignerReplaced { issuer: &'a str, key: &'a str, sha256: &'a str },
    /// Entries from before this one have later times, up to `newest`: the host's clock was ahead, and a person said so.
    ClockSetBack { newest: i64 },
    /// `serial` is the officer's certificate.
    PowerGranted { serial: &'a str, power: Power, by: &'a str },
    PowerWithdrawn { serial: &'a str, power: Power, by: &'a str },
    AdministrationCertificateReplaced { key: &'a str, sha256: &'a str },
    /// A list signed elsewhere was handed in; it is issued in the same commit.
    CrlHandedIn { issuer: &'a str, number: u64, by: &'a str },
    /// Orders are named by the digest of their number: the number itself opens them.
    OrderReceived { order_sha256: &'a str, content_sha256: &'a str, by: &'a str },
    /// What an officer signed about an order: digests of the very bytes and of the signature over them.
    OrderDecided { order_sha256: &'a str, decision: Verdict, decision_sha256: &'a str, signature_sha256: &'a str, by: &'a str },
    OrderMoved { order_sha256: &'a str, to: &'a str, serial: Option<&'a str>, by: &'a str },
    /// An act that others approve, named as orders are; what it does has its own entry in the commit in which it is done.
    ActAsked { act_sha256: &'a str, asked_sha256: &'a str, act: &'a str, by: &'a str },
    ActDecided { act_sha256: &'a str, decision: Verdict, decision_sha256: &'a str, signature_sha256: &'a str, by: &'a str },
    ActMoved { act_sha256: &'a str, to: &'a str, by: &'a str },
    CertificateSuspended { issuer: &'a str, serial: &'a str, at: i64, by: &'a str },
    /// The reason of an order may name people, so the log holds the digest of the order as it is kept, with its salt; `ca show`
    /// tells its words.
    CertificateFrozen { issuer: &'a str, serial: &'a str, at: i64, until: i64, authority: &'a str, order_sha256: &'a str, by: &'a str },
    CertificateResumed { issuer: &'a str, serial: &'a str, by: &'a str },
    FreezeEnded { issuer: &'a str, serial: &'a str, suspended: bool, by: &'a str },
    KeyBlocked { key: &'a str, by: &'a str },
    KeyListsRead { keys: u64, sha256: &'a str },
    /// Follows the revocation whose date of invalidity it tells.
    InvalidityDated { issuer: &'a str, serial: &'a str, since: i64 },
    /// The digest is of the order as it is kept, with the enterprise's code, which the log does not hold, and a salt.
    EnterpriseFrozen { at: i64, until: i64, authority: &'a str, order_sha256: &'a str, by: &'a str },
    EnterpriseFreezeEnded { order_sha256: &'a str, by: &'a str },
    /// Beside the end of a freeze that came before its date: who ordered it, and the digest of the words as they are kept.
    FreezeLifted { authority: &'a str, lift_sha256: &'a str, by: &'a str },
    /// The digest is of the serials, one after the other.
    IncidentBegun { incident: &'a str, act: &'a str, reason: Option<Reason>, certificates: u64, chosen_sha256: &'a str, by: &'a str },
    IncidentEnded { incident: &'a str, act: &'a str, done: u64, refused: u64, by: &'a str },
    /// `serial` took the place of `old`.
    CertificateSucceeded { issuer: &'a str, serial: &'a str, old: &'a str, act: Act },
    /// Beside each `CertificateIssued`, in the same commit: whose name it is in, told only to the holder (`own_name`).
    CertificateNamed { issuer: &'a str, serial: &'a str, tag: &'a str },
    /// From here on certificates in the name of this one's holder are tagged under another secret.
    /// `tag` is made with the secret until then, as `own_name::Secret::change_tag` says.
    OwnNameChanged { issuer: &'a str, serial: &'a str, changes: u16, tag: &'a str, by: &'a str },
    /// The holder of this certificate was told by what its name is recognised.
    OwnNameTold { issuer: &'a str, serial: &'a str, by: &'a str },
    /// The authority was restored from a backup that held `entries` of the log. `before` is the verifier key of the log
    /// it went on from when what came after the backup is lost, and null when nothing was; `checkpoint_entries` and
    /// `checkpoint_root` are the newest checkpoint of that log that was known.
    Restored {
        backup_sha256: &'a str,
        taken: i64,
        entries: u64,
        before: Option<&'a str>,
        checkpoint_entries: Option<u64>,
        checkpoint_root: Option<&'a str>,
        intents_dropped: u64,
        by: &'a str,
    },
    /// From here on every list has a number above this one.
    CrlNumbersLeapt { above: u64, by: &'a str },
    /// A certificate that was issued before a restore and unknown after it.
    CertificateAdopted { issuer: &'a str, serial: &'a str, profile: &'a str, sha256: &'a str, by: &'a str },
    /// What a list published before a restore says of certificates is held to.
    CrlAdopted { issuer: &'a str, number: u64, entries: u64, sha256: &'a str, by: &'a str },
    TimestampSignerCertified { key: &'a str, sha256: &'a str },
    /// All tokens of one moment: `root` is the Merkle tree hash (RFC 9162, 2.1.1) over their TSTInfos in the order of their serial
    /// numbers, which begin with `batch`; `signer` the SHA-256 of the certificate.
    TimestampsMade { batch: &'a str, tokens: u16, root: &'a str, signer: &'a str },
    /// All of the register and `entries` of the log were written as a wind-down package, whose list of files has this digest.
    WindDownExported { manifest_sha256: &'a str, certificates: u64, entries: u64, by: &'a str },
    /// `issuer` has another generation, known by `id`, which takes over.
    IssuerSucceeded { issuer: &'a str, generation: u32, id: &'a str, sha256: &'a str, by: &'a str },
    /// A key was made for the generation `id` of `issuer`, which waits for its certificate; `key` is the SHA-256 of the
    /// SubjectPublicKeyInfo.
    IssuerKeyMade { issuer: &'a str, id: &'a str, key: &'a str, by: &'a str },
    /// The last of the approvals that an order waited for: the move to `approved`, with how many counted and how many it
    /// took, by holders of which power.
    OrderApproved { order_sha256: &'a str, approvals: u8, needed: u8, power: Power, by: &'a str },
    ActApproved { act_sha256: &'a str, approvals: u8, needed: u8, powers: &'a BTreeSet<Power>, by: &'a str },
    /// A root of another generation stands beside the present one, with the certificates by which each vouches for the other.
    RootPublished { id: &'a str, sha256: &'a str, by_present_sha256: &'a str, by_new_sha256: Option<&'a str>, by: &'a str },
    /// Whether the holder of this certificate has a contact that notices go to.
    ContactSet { serial: &'a str, told: bool, by: &'a str },
    /// The link of a certificate that was adopted.
    SuccessionAdopted { issuer: &'a str, serial: &'a str, old: &'a str, act: Act, by: &'a str },
    /// An order of the network that came to nothing, and that no officer decided on, is kept no longer.
    OrderForgotten { order_sha256: &'a str },
    /// A version of the program brought documents to those accepted, which nobody accepted yet.
    PoliciesBrought { before_sha256: &'a str, sha256: &'a str, places: &'a [String] },
    /// Others are gone by from the next start on, which has its own `PoliciesRead`.
    PoliciesAccepted { before_sha256: &'a str, sha256: &'a str, by: &'a str },
    /// `notice` is the digest of its id, which serial and stage make; `message` is keyed (`own_name::OwnNames::message`), since
    /// it says a name and little that is not in the log. Leaves of kind 85 had the digest of the message itself.
    NoticeSent { notice: &'a str, message: &'a str },
    NoticeFailed { notice: &'a str, reason: Unread },
    NoticeRetried { notice: &'a str, by: &'a str },
    ShardCrlIntended { issuer: &'a str, shard: u16, number: u64, tbs_sha256: &'a str, by: &'a str },
    ShardCrlIssued { issuer: &'a str, shard: u16, number: u64, entries: u64, sha256: &'a str },
    DeltaCrlIntended { issuer: &'a str, number: u64, base: u64, tbs_sha256: &'a str, by: &'a str },
    DeltaCrlIssued { issuer: &'a str, number: u64, base: u64, entries: u64, sha256: &'a str },
    /// The holder of this certificate may vouch for the owners of a domain's mailboxes.
    RegistrarSet { serial: &'a str, domain: &'a str, by: &'a str },
    RegistrarWithdrawn { serial: &'a str, by: &'a str },
    /// Beside the intent of a citizen's certificate: the digest is of the registrar's statement, which the log does not hold.
    CitizenVouched { statement_sha256: &'a str, serial: &'a str, by: &'a str },
    /// The authority was founded with what a ceremony made where the root's key is: digests of the root's certificate, of the
    /// ceremony's file and of its transcript.
    HierarchyInstalled { root_sha256: &'a str, ceremony_sha256: &'a str, transcript_sha256: &'a str, by: &'a str },
    /// No administrator was left, and the owner of the directory made the holder of this certificate one, while the service was
    /// stopped; its `PowerGranted` is in the same commit. The reason may name people: the digest is of the
    /// record with its salt.
    AdministrationRecovered { serial: &'a str, recovery_sha256: &'a str, by: &'a str },
    /// So many certificates of a mailbox end on a registrar's statement; each has its own entry in the same commit.
    MailboxWithdrawn { statement_sha256: &'a str, certificates: u64, by: &'a str },
    /// Somebody looked at records by this operation, for the first time in the hour that begins at `hour`.
    RecordsRead { what: &'a str, hour: i64, by: &'a str },
}

/// When an entry was made, in Unix milliseconds; `None` for what is no leaf of ours.
pub fn at(leaf: &[u8]) -> Option<i64> {
    // Version, kind, then the time.
    let millis = leaf.get(2..10)?.first_chunk::<8>().copied()?;
    i64::try_from(u64::from_be_bytes(millis)).ok()
}

impl Entry<'_> {
    fn kind(&self) -> u8 {
        match self {
            Self::PoliciesRead { .. } => 1,
            Self::IssuerCreated { .. } => 2,
            Self::CertificateIntended { .. } => 3,
            Self::CertificateIssued { .. } => CERTIFICATE_ISSUED,
            Self::CertificateRevoked { .. } => CERTIFICATE_REVOKED,
            Self::CrlIntended { .. } => 6,
            Self::CrlIssued { .. } => CRL_ISSUED,
            Self::OcspSignerReplaced { .. } => 8,
            Self::ClockSetBack { .. } => 9,
            Self::PowerGranted { .. } => 10,
            Self::PowerWithdrawn { .. } => 11,
            Self::AdministrationCertificateReplaced { .. } => 12,
            Self::CrlHandedIn { .. } => 13,
            Self::OrderReceived { .. } => ORDER_RECEIVED,
            Self::OrderDecided { .. } => 21,
            Self::OrderMoved { .. } => 22,
            Self::ActAsked { .. } => 23,
            Self::ActDecided { .. } => 24,
            Self::ActMoved { .. } => 25,
            Self::CertificateSuspended { .. } => CERTIFICATE_SUSPENDED,
            Self::CertificateFrozen { .. } => CERTIFICATE_FROZEN,
            Self::CertificateResumed { .. } => CERTIFICATE_RESUMED,
            Self::FreezeEnded { .. } => FREEZE_ENDED,
            Self::KeyBlocked { .. } => 40,
            Self::KeyListsRead { .. } => 41,
            Self::InvalidityDated { .. } => INVALIDITY_DATED,
            Self::CertificateSucceeded { .. } => 55,
            Self::EnterpriseFrozen { .. } => 56,
            Self::EnterpriseFreezeEnded { .. } => 57,
            Self::FreezeLifted { .. } => 34,
            Self::IncidentBegun { .. } => 58,
            Self::IncidentEnded { .. } => 59,
            Self::CertificateNamed { .. } => CERTIFICATE_NAMED,
            Self::OwnNameTold { .. } => 71,
            Self::OwnNameChanged { .. } => OWN_NAME_CHANGED,
            Self::PoliciesAccepted { .. } => POLICIES_ACCEPTED,
            Self::PoliciesBrought { .. } => 94,
            Self::OrderApproved { .. } => ORDER_APPROVED,
            Self::ActApproved { .. } => ACT_APPROVED,
            Self::OrderForgotten { .. } => ORDER_FORGOTTEN,
            Self::RootPublished { .. } => 76,
            Self::ContactSet { .. } => 77,
            Self::SuccessionAdopted { .. } => 78,
            Self::Restored { .. } => 80,
            Self::CrlNumbersLeapt { .. } => 81,
            Self::CertificateAdopted { .. } => CERTIFICATE_ADOPTED,
            Self::CrlAdopted { .. } => 83,
            Self::TimestampSignerCertified { .. } => 60,
            Self::TimestampsMade { .. } => 61,
            Self::WindDownExported { .. } => 67,
            Self::IssuerSucceeded { .. } => 84,
            Self::IssuerKeyMade { .. } => 88,
            Self::NoticeSent { .. } => 110,
            Self::NoticeFailed { .. } => 86,
            Self::NoticeRetried { .. } => 87,
            Self::ShardCrlIntended { .. } => 51,
            Self::ShardCrlIssued { .. } => 52,
            Self::DeltaCrlIntended { .. } => 53,
            Self::DeltaCrlIssued { .. } => 54,
            Self::RegistrarSet { .. } => REGISTRAR_SET,
            Self::RegistrarWithdrawn { .. } => 91,
            Self::CitizenVouched { .. } => 92,
            Self::MailboxWithdrawn { .. } => 93,
            Self::HierarchyInstalled { .. } => 100,
            Self::RecordsRead { .. } => RECORDS_READ,
            Self::AdministrationRecovered { .. } => 101,
        }
    }

    /// `version 1 | kind | Unix milliseconds, big-endian | payload: JSON, keys in the order above`.
    pub fn leaf(&self, now: OffsetDateTime) -> Result<Vec<u8>, serde_json::Error> {
        let payload = serde_json::to_vec(self)?;
        let millis = u64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
        let mut leaf = Vec::with_capacity(10 + payload.len());
        leaf.extend_from_slice(&[1, self.kind()]);
        leaf.extend_from_slice(&millis.to_be_bytes());
        leaf.extend_from_slice(&payload);
        Ok(leaf)
    }
}
