//! Validation: what of a signature holds, step by step, and the verdict.
//!
//! Time runs backwards: the newest archive timestamp is judged as of now, and proves what it covers to have been there at
//! its time; the one before is judged as of then; and so on down to the signature, which is judged as of its oldest proof.
//! So it passes for as long as each timestamp was followed by the next one while its own certificate could be believed.
//!
//! What nobody signed anybody can add: a timestamp that is damaged, over something else or of nobody we trust proves nothing,
//! an answer that cannot be read tells nothing, and neither takes anything from what is left. Each is named.
// spec: en319102-1#5.3, en319102-1#5.5, en319102-1#5.6
use super::judge::{Judged, Pool, SignedBy, Used};
use super::proofs::Proofs;
use super::timestamps::{Over, Stamped};
use super::verdict::{Finding, Indication, PassedOver, SubIndication as Sub};
use super::{Floor, OCSP_RESPONSE, Proved, Signature};
use crate::asn1::{DerError, Reader};
use crate::effort::Effort;
use crate::path::{Anchors, CertificateFacts, Oid, Requirements, RevocationAnswer, has_usage};
use crate::signature::{DigestAlgorithm, Scheme};
use time::{Duration, OffsetDateTime};

/// The most signatures that one assessment verifies. As many timestamps as a signature may have, each of an authority of its
/// own, take 64 tokens, 128 certificates and as many answers of charged signers, two signatures each: 448. On one core 512 by
/// P-256 take 40 ms, by P-384 150 ms.
pub const MAX_VERIFICATIONS: u32 = 512;

const TIME_STAMPING: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.3.8");

/// What is asked of a signature.
#[derive(Clone, Copy, Debug)]
pub struct Constraints<'a> {
    pub anchors: &'a Anchors,
    /// Whose timestamps are believed.
    pub timestamp_anchors: &'a Anchors,
    /// Of the signer's certificate.
    pub required: &'a Requirements,
    /// Bits of key usage as in RFC 5280, one of which it must have; none are asked for when it is empty.
    pub signs_by: &'a [u8],
    /// The unified social credit code that the signer's certificate must carry.
    pub credit_code: Option<&'a str>,
    /// Whether a believed timestamp over the signature must be there (level B-T).
    pub timestamped: bool,
    /// How far the time that the signer claims may lie from the proved one; `None` asks nothing of it.
    pub claimed_within: Option<Duration>,
    /// How long after the proof a revocation answer must tell of (grace), or how long before it may (when negative).
    pub answers_after: Duration,
    /// How old a list may be that is in force now, where nothing proves when it was signed: none newer need be.
    pub lists_older: Duration,
    /// The same for the certificates of timestamp authorities.
    pub timestamp_answers_after: Duration,
    /// How far clocks may lie apart.
    pub skew: Duration,
    pub floor: &'a Floor,
}

/// What the one who asks knows beside the signature.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    /// DER.
    pub certificates: &'a [&'a [u8]],
    pub answers: &'a [RevocationAnswer],
    /// By when the signature is proved to have been there, say by one's own log.
    pub existed_at: Option<OffsetDateTime>,
    /// Since when it cannot have been made earlier.
    pub not_before: Option<OffsetDateTime>,
    /// What the assessment may cost; [`MAX_VERIFICATIONS`] where nothing else is said.
    pub effort: Option<&'a Effort<'a>>,
}

/// How much of what proves a signature is there and believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Basic,
    Timestamped,
    LongTerm,
    Archived,
}

impl Level {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Basic => "B-B",
            Self::Timestamped => "B-T",
            Self::LongTerm => "B-LT",
            Self::Archived => "B-LTA",
        }
    }
}

/// One timestamp, and whether it is believed.
#[derive(Clone, Debug)]
pub struct TimestampFacts {
    /// `archive`, `signature` or `content`.
    pub over: &'static str,
    pub gen_time: OffsetDateTime,
    pub policy: Oid,
    /// The INTEGER's octets.
    pub serial: Vec<u8>,
    /// The authority's certificate, DER.
    pub certificate: Vec<u8>,
    /// The token, DER, as it travels.
    pub token: Vec<u8>,
    /// By when it is proved to have been there itself.
    pub proof: OffsetDateTime,
    /// The hash of what it is over.
    pub imprint: DigestAlgorithm,
    /// How the token itself is signed.
    pub scheme: Scheme,
    pub judged: Judged,
}

/// What was found of a signature that verified over its document.
#[derive(Clone, Debug)]
pub struct Assessment {
    pub proved: Proved,
    /// What the signer's certificate says.
    pub signer: CertificateFacts,
    /// The newest first: those that are whole and over what they should be over.
    pub timestamps: Vec<TimestampFacts>,
    /// What else travels along and proves nothing.
    pub passed_over: Vec<PassedOver>,
    /// That all that was asked for could be asked: else nothing is said of the signature.
    pub effort: Result<(), Finding>,
    /// That no believed timestamp is older than what it covers.
    pub stamps: Result<(), Finding>,
    /// The oldest moment by which the signature is proved to have been there: best-signature-time.
    pub best_signature_time: OffsetDateTime,
    /// Whether that is more than our own word of now.
    pub is_proved: bool,
    /// The signer, as of then.
    pub judged: Judged,
    /// That a believed timestamp is there, where one is asked for.
    pub timestamped: Result<(), Finding>,
    /// That the claimed time is near the proved one.
    pub claimed: Result<(), Finding>,
    /// That it is the holder that was asked for.
    pub holder: Result<(), Finding>,
    pub level: Level,
}

impl Assessment {
    /// What does not hold, in the order in which it is asked.
    pub fn findings(&self) -> Vec<&Finding> {
        let after = [&self.timestamped, &self.claimed, &self.holder].into_iter().filter_map(|one| one.as_ref().err());
        self.effort.as_ref().err().into_iter().chain(self.stamps.as_ref().err()).chain(self.judged.findings()).chain(after).collect()
    }

    /// The verdict, and the finding that decided: one that nothing can mend before those that more evidence may.
    pub fn verdict(&self) -> (Indication, Option<&Finding>) {
        // Whoever stopped half way knows neither: more effort never turns one verdict into another, but this one.
        if let Err(finding) = &self.effort {
            return (finding.indication(), Some(finding));
        }
        let findings = self.findings();
        let decisive = findings.iter().find(|finding| finding.indication() == Indication::TotalFailed).or(findings.first()).copied();
        (decisive.map_or(Indication::TotalPassed, Finding::indication), decisive)
    }

    /// Every answer that was used, for the signer and for timestamps.
    pub fn answers(&self) -> Vec<&Used> {
        let believed = self.timestamps.iter().filter(|one| one.judged.holds()).map(|one| &one.judged);
        let mut all: Vec<&Used> = Vec::new();
        for used in believed.chain([&self.judged]).filter_map(|judged| judged.revocation.as_ref().ok()).flatten() {
            if !all.iter().any(|known| known.digest == used.digest) {
                all.push(used);
            }
        }
        all
    }
}

/// Validates DER. What cannot be read, does not verify, or was not made by who is named is a [`Finding`] alone.
pub fn validate(document: &[u8], der: &[u8], constraints: &Constraints<'_>, given: &Given<'_>, now: OffsetDateTime) -> Result<Assessment, Finding> {
    assess(document, &Signature::read(der)?, constraints, given, now)
}

/// As [`validate`], of a signature that was read.
pub fn assess(document: &[u8], signature: &Signature, constraints: &Constraints<'_>, given: &Given<'_>, now: OffsetDateTime) -> Result<Assessment, Finding> {
    let own = Effort::new(MAX_VERIFICATIONS);
    let effort = given.effort.unwrap_or(&own);
    // 1. Who signed: the digest, the certificate that is named, the value. Without it there is nothing to judge.
    let proved = signature.prove_within(document, given.certificates, effort)?;
    let signer = CertificateFacts::parse(proved.signer_certificate())?;
    // 2. The evidence inside, and the timestamps, from the newest to the oldest. What is not whole is named and passed over.
    let (inside, mut passed_over) = answers_inside(signature, given.answers);
    let (stamped, damaged) = signature.stamped(document, &proved.content_timestamps, effort);
    passed_over.extend(damaged);
    let travelled = stamped.iter().flat_map(|one| one.token.certificates().iter().map(Vec::as_slice));
    let pool = Pool::new(&signature.parts.certificates, travelled.chain(given.certificates.iter().copied()), &inside, given.answers, constraints.floor, effort);
    // 3. What each timestamp proves.
    let mut proofs = Proofs::new(signature, given.existed_at, now);
    let mut stamps = Ok(());
    let mut timestamps = Vec::new();
    let mut earliest = given.not_before;
    for one in &stamped {
        let (gen_time, proof) = (one.token.gen_time(), proofs.of_timestamp(one.place));
        let facts = stamp_facts(one, proof, &pool, &proofs, constraints)?;
        if facts.judged.holds() {
            if gen_time > proof + constraints.skew {
                stamps = stamps.and(Err(Finding::new(Sub::TimestampOrderFailure, "a timestamp tells a time after that of what came later; get it from an authority whose clock is right")));
            }
            proofs.covered(&one.over, gen_time);
            if one.over == Over::Content {
                earliest = earliest.max(Some(gen_time));
            }
        }
        timestamps.push(facts);
    }
    // 4. The signer, as of the oldest proof.
    let best = proofs.value;
    let asked = SignedBy {
        certificate: proved.signer_certificate(),
        scheme: proved.scheme(),
        at: best,
        proof: best,
        earliest,
        anchors: constraints.anchors,
        required: constraints.required,
        answers_after: constraints.answers_after,
        // Nothing proves an older time than now.
        lists_older: (best == now).then_some(constraints.lists_older),
    };
    let mut judged = pool.judge(&asked, &proofs)?;
    if judged.usage.is_ok() && !constraints.signs_by.is_empty() && !has_usage(proved.signer_certificate(), constraints.signs_by)? {
        judged.usage = Err(Finding::new(Sub::ChainConstraintsFailure, "the signer's certificate is not for signing; use the signing certificate"));
    }
    // 5. What else was asked for.
    let believed = |over: &[&str]| timestamps.iter().any(|one: &TimestampFacts| over.contains(&one.over) && one.judged.holds());
    let timestamped = if !constraints.timestamped || believed(&["signature", "archive"]) { Ok(()) } else { Err(unstamped(&timestamps, &passed_over)) };
    let claimed = claimed(&proved, best, constraints);
    let holder = match constraints.credit_code {
        Some(code) if signer.credit_code() != Some(code) => Err(Finding::new(Sub::SigConstraintsFailure, "the signer's certificate is of another enterprise; sign with a certificate of the one that is named")),
        _ => Ok(()),
    };
    let is_proved = best < now || believed(&["signature", "archive"]);
    let complete = |judged: &Judged| judged.revocation.as_ref().is_ok_and(|used| used.iter().all(|one| one.inside));
    let level = if !believed(&["signature", "archive"]) {
        Level::Basic
    } else if !complete(&judged) || !timestamps.iter().filter(|one| one.over == "signature").all(|one| complete(&one.judged)) {
        Level::Timestamped
    } else if believed(&["archive"]) {
        Level::Archived
    } else {
        Level::LongTerm
    };
    let spent = || Finding::new(Sub::CertificateChainGeneralFailure, format!("more than {} signatures would have to be verified; send the signature without what does not belong to it", effort.made()));
    let effort = if effort.is_spent() { Err(spent()) } else { Ok(()) };
    Ok(Assessment { proved, signer, timestamps, passed_over, effort, stamps, best_signature_time: best, is_proved, judged, timestamped, claimed, holder, level })
}

/// The answers among SignedData's revocation values, each with its place; those in forms that are not known are left alone.
/// spec: en319122-1#5.4.2, rfc5940#2
fn answers_inside(signature: &Signature, known: &[RevocationAnswer]) -> (Vec<(usize, RevocationAnswer)>, Vec<PassedOver>) {
    let (mut found, mut passed_over) = (Vec::new(), Vec::new());
    for (place, one) in signature.parts.revocations.iter().enumerate() {
        match answer_inside(one, known) {
            Ok(Some(answer)) => found.push((place, answer)),
            Ok(None) => {}
            Err(error) => passed_over.push(PassedOver { what: "answer", finding: Finding::new(Sub::FormatFailure, error) }),
        }
    }
    (found, passed_over)
}

fn answer_inside(one: &[u8], known: &[RevocationAnswer]) -> Result<Option<RevocationAnswer>, String> {
    if one.starts_with(&[0x30]) {
        return RevocationAnswer::list(one).map(Some).map_err(|error| error.to_string());
    }
    let response = || {
        let mut other = Reader::new(Reader::only(one, 0xa1)?);
        let form = other.take(6)?;
        let response = other.any()?.2;
        other.end()?;
        Ok::<_, DerError>((form == OCSP_RESPONSE.as_bytes()).then_some(response))
    };
    match response().map_err(|error| error.to_string())? {
        Some(response) => RevocationAnswer::ocsp_known(response, known).map(Some).map_err(|error| error.to_string()),
        None => Ok(None),
    }
}

fn stamp_facts(one: &Stamped, proof: OffsetDateTime, pool: &Pool<'_>, proofs: &Proofs, constraints: &Constraints<'_>) -> Result<TimestampFacts, Finding> {
    let required = Requirements { extended_key_usage: TIME_STAMPING, key_usage: Vec::new(), policies: Vec::new() };
    let gen_time = one.token.gen_time();
    let signed = SignedBy {
        certificate: one.token.signer_certificate(),
        scheme: one.token.scheme(),
        at: gen_time,
        proof: proof.max(gen_time),
        earliest: None,
        anchors: constraints.timestamp_anchors,
        required: &required,
        answers_after: constraints.timestamp_answers_after,
        lists_older: None,
    };
    let mut judged = pool.judge(&signed, proofs)?;
    let imprint = one.token.imprint().algorithm();
    if !pool.floor.believes_digest(imprint, proof) {
        judged.algorithms = judged.algorithms.and(Err(Finding::new(Sub::CryptoConstraintsFailureNoPoe, "the hash of a timestamp was not believed any more by when it is proved to have been there")));
    }
    let over = match one.over {
        Over::Archive(_) => "archive",
        Over::Value => "signature",
        Over::Content => "content",
    };
    let (policy, serial, certificate) = (one.token.policy(), one.token.serial().to_vec(), one.token.signer_certificate().to_vec());
    Ok(TimestampFacts { over, gen_time, policy, serial, certificate, token: one.token.der().to_vec(), proof, imprint, scheme: one.token.scheme(), judged })
}

/// Why there is no proof: what is wrong with the timestamp that should give it, or that there is none. A signature without a
/// proof is not thereby false.
fn unstamped(timestamps: &[TimestampFacts], passed_over: &[PassedOver]) -> Finding {
    let distrusted = timestamps.iter().filter(|one| one.over == "signature").find_map(|one| one.judged.findings().next());
    let damaged = || passed_over.iter().find(|one| one.what == "signature").map(|one| &one.finding);
    match distrusted.or_else(damaged) {
        Some(finding) => {
            let sub = if finding.indication() == Indication::Indeterminate { finding.sub } else { Sub::SigConstraintsFailure };
            Finding::new(sub, format!("the timestamp over the signature: {}", finding.detail))
        }
        None => Finding::new(Sub::SigConstraintsFailure, "there is no timestamp over the signature; add one (level B-T)"),
    }
}

/// The signer's own word is no proof, but a wrong one is a reason to ask. spec: en319122-1#5.2.1
fn claimed(proved: &Proved, best: OffsetDateTime, constraints: &Constraints<'_>) -> Result<(), Finding> {
    let Some(most) = constraints.claimed_within else { return Ok(()) };
    match proved.signing_time() {
        Some(claimed) if (claimed - best).abs() <= most => Ok(()),
        Some(claimed) => Err(Finding::new(Sub::SigConstraintsFailure, format!("the signer claims {claimed} and the signature is proved at {best}; set the clock and sign again"))),
        None => Err(Finding::new(Sub::SigConstraintsFailure, "the signer claims no time; sign with the usual attributes")),
    }
}
