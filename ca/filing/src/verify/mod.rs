//! Whether a signature is worth anything: the one answer of `filing verify`, of `POST /verify` and of the archive job.

mod terms;
mod verdict;

pub use terms::Terms;
pub use verdict::{Answer, FindingText, Signer, Timestamp, Verdict};

use const_oid::ObjectIdentifier as Oid;
use pki::cades::{Assessment, Constraints, Finding, Given, validate};
use pki::path::{ANY_PURPOSE, Anchors, Requirements, RevocationAnswer};
use time::OffsetDateTime;

const DIGITAL_SIGNATURE: u8 = 0;

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

/// The steps, each with what was found.
pub fn assess(asked: &Asked<'_>, now: OffsetDateTime) -> Result<Assessment, Finding> {
    let required = Requirements { extended_key_usage: ANY_PURPOSE, key_usage: vec![DIGITAL_SIGNATURE], policies: asked.policies.to_vec() };
    let constraints = Constraints {
        anchors: asked.anchors,
        timestamp_anchors: asked.timestamp_anchors,
        required: &required,
        credit_code: asked.credit_code,
        // Without a timestamp it is judged as of now, which the verdict says.
        timestamped: false,
        claimed_within: None,
        answers_after: -asked.terms.answers_older,
        timestamp_answers_after: -asked.terms.timestamp_answers_older,
        skew: asked.terms.skew,
        floor: &asked.terms.floor,
    };
    validate(asked.document, asked.signature, &constraints, &Given { certificates: &[], answers: asked.answers, existed_at: asked.existed_at, not_before: None }, now)
}

/// The verdict with all that is needed to ask again.
pub fn verify(asked: &Asked<'_>, now: OffsetDateTime) -> Verdict {
    Verdict::new(asked, &assess(asked, now), now)
}
