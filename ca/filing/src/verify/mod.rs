//! Whether a signature is worth anything: the one answer of `filing verify`, of `POST /verify`, of the desk's checks 2 to 8 and
//! of the archive job; and of a filing the fourteen checks that the desk makes, without a desk.

mod terms;
mod verdict;

pub use crate::desk::flow::examine::{Examined, Given as Filed, NotJudged, examine};
pub use terms::Terms;
pub use verdict::{Answer, FindingText, Signer, Timestamp, Verdict};

use const_oid::ObjectIdentifier as Oid;
use pki::cades::{Assessment, Constraints, Finding, Given, MAX_VERIFICATIONS, Signature, SubIndication};
use pki::effort::Effort;
use pki::path::{ANY_PURPOSE, Anchors, Requirements, RevocationAnswer};
use time::{Duration, OffsetDateTime};

const DIGITAL_SIGNATURE: u8 = 0;
const NON_REPUDIATION: u8 = 1;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub document: &'a [u8],
    /// DER.
    pub signature: &'a [u8],
    pub anchors: &'a Anchors,
    pub timestamp_anchors: &'a Anchors,
    pub terms: &'a Terms,
    /// One of these must be in the signer's certificate; any will do when there are none.
    pub policies: &'a [Oid],
    /// Whose certificate it must be.
    pub credit_code: Option<&'a str>,
    /// What is known of revocations beside what the signature carries.
    pub answers: &'a [RevocationAnswer],
    /// By when the signature is proved to have been there, by one's own log.
    pub existed_at: Option<OffsetDateTime>,
}

/// What a bureau demands beyond what is asked of every signature.
#[derive(Clone, Copy, Debug)]
pub struct Demands {
    /// How far the time that the signer claims may lie from the proved one; `None` asks nothing of it.
    pub claimed_within: Option<Duration>,
    /// How much older than its proof what is known of the signer may be.
    pub answers_older: Duration,
    pub skew: Duration,
}

/// The steps, each with what was found.
pub fn assess(asked: &Asked<'_>, now: OffsetDateTime) -> Result<Assessment, Finding> {
    assess_within(asked, now, &Effort::new(MAX_VERIFICATIONS))
}

/// As [`assess`], within what is left of an effort.
pub fn assess_within(asked: &Asked<'_>, now: OffsetDateTime, effort: &Effort<'_>) -> Result<Assessment, Finding> {
    // Without a timestamp it is judged as of now, which the verdict says.
    judged(asked, &Signature::read(asked.signature)?, false, &Demands { claimed_within: None, answers_older: asked.terms.answers_older, skew: asked.terms.skew }, now, effort)
}

/// As [`assess`] for a bureau, of a signature that was read: a believed timestamp must be there.
pub fn assess_for_desk(asked: &Asked<'_>, read: &Signature, demands: &Demands, now: OffsetDateTime, effort: &Effort<'_>) -> Result<Assessment, Finding> {
    judged(asked, read, true, demands, now, effort)
}

fn judged(asked: &Asked<'_>, read: &Signature, timestamped: bool, demands: &Demands, now: OffsetDateTime, effort: &Effort<'_>) -> Result<Assessment, Finding> {
    let required = Requirements { extended_key_usage: ANY_PURPOSE, key_usage: Vec::new(), policies: asked.policies.to_vec() };
    let constraints = Constraints {
        anchors: asked.anchors,
        timestamp_anchors: asked.timestamp_anchors,
        required: &required,
        signs_by: &[DIGITAL_SIGNATURE, NON_REPUDIATION],
        credit_code: asked.credit_code,
        timestamped,
        claimed_within: demands.claimed_within,
        answers_after: -demands.answers_older,
        lists_older: asked.terms.lists_older,
        timestamp_answers_after: -asked.terms.timestamp_answers_older,
        skew: demands.skew,
        floor: &asked.terms.floor,
    };
    let given = Given { certificates: &[], answers: asked.answers, existed_at: asked.existed_at, not_before: None, effort: Some(effort) };
    pki::cades::assess(asked.document, read, &constraints, &given, now)
}

/// The verdict with all that is needed to ask again.
pub fn verify(asked: &Asked<'_>, now: OffsetDateTime) -> Verdict {
    verdict(asked, &assess(asked, now), now)
}

/// The verdict of whoever has nobody to ask about revocations: as of the oldest timestamp over the signature of which nothing but
/// that is open, so that a certificate that ended since takes nothing away; as of now where there is none. What is open is among
/// the findings as `TRY_LATER`.
pub fn verify_alone(asked: &Asked<'_>, now: OffsetDateTime) -> Verdict {
    let open = |finding: &Finding| finding.sub == SubIndication::TryLater;
    let stamped = assess(asked, now).ok().and_then(|found| {
        let believed = found.timestamps.iter().filter(|one| one.over == "signature" && one.gen_time <= now && one.judged.findings().all(open));
        believed.map(|one| one.gen_time).min()
    });
    verify(&Asked { existed_at: stamped.or(asked.existed_at), ..*asked }, now)
}

/// The verdict of what was found.
pub fn verdict(asked: &Asked<'_>, found: &Result<Assessment, Finding>, now: OffsetDateTime) -> Verdict {
    Verdict::new(asked, found, now)
}
