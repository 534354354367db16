//! Validation: what of a signature holds, step by step, and the verdict.
//!
//! Time runs backwards: the newest archive timestamp is judged as of now, and proves what it covers to have been there at
//! its time; the one before is judged as of then; and so on down to the signature, which is judged as of its oldest proof.
//! So it passes for as long as each timestamp was followed by the next one while its own certificate could be believed.
//!
//! Stricter than EN 319 102-1 in one thing: a timestamp that is damaged or over something else is not passed over. One whose
//! authority is not trusted proves nothing, and that is all.
// spec: en319102-1#5.3, en319102-1#5.5, en319102-1#5.6
use super::judge::{Judged, Known, Pool, SignedBy, Used};
use super::timestamps::{Over, Stamped};
use super::verdict::{Finding, Indication, SubIndication as Sub};
use super::{Floor, OCSP_RESPONSE, Proved, Signature};
use crate::asn1::Reader;
use crate::path::{Anchors, CertificateFacts, Oid, Requirements, RevocationAnswer};
use crate::signature::DigestAlgorithm;
use time::{Duration, OffsetDateTime};

const TIME_STAMPING: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.3.8");

/// What is asked of a signature.
#[derive(Clone, Copy, Debug)]
pub struct Constraints<'a> {
    pub anchors: &'a Anchors,
    /// Whose timestamps are believed.
    pub timestamp_anchors: &'a Anchors,
    /// Of the signer's certificate.
    pub required: &'a Requirements,
    /// The unified social credit code that the signer's certificate must carry.
    pub credit_code: Option<&'a str>,
    /// Whether a believed timestamp over the signature must be there (level B-T).
    pub timestamped: bool,
    /// How far the time that the signer claims may lie from the proved one; `None` asks nothing of it.
    pub claimed_within: Option<Duration>,
    /// How long after the proof a revocation answer must tell of (grace), or how long before it may (when negative).
    pub answers_after: Duration,
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
    /// By when it is proved to have been there itself.
    pub proof: OffsetDateTime,
    /// The hash of what it is over.
    pub imprint: DigestAlgorithm,
    pub judged: Judged,
}

/// What was found of a signature that verified over its document.
#[derive(Clone, Debug)]
pub struct Assessment {
    pub proved: Proved,
    /// What the signer's certificate says.
    pub signer: CertificateFacts,
    /// The newest first; empty where there are none, or where one is damaged: see `stamps`.
    pub timestamps: Vec<TimestampFacts>,
    /// That each timestamp is whole, over what it should be over, and not older than what it covers.
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
        self.stamps.as_ref().err().into_iter().chain(self.judged.findings()).chain(after).collect()
    }

    /// The verdict, and the finding that decided: one that nothing can mend before those that more evidence may.
    pub fn verdict(&self) -> (Indication, Option<&Finding>) {
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

/// By when each part of a signature is proved to have been there.
struct Proofs {
    value: OffsetDateTime,
    certificates: Vec<OffsetDateTime>,
    revocations: Vec<OffsetDateTime>,
    unsigned: Vec<OffsetDateTime>,
}

impl Proofs {
    fn covered(&mut self, over: &Over, at: OffsetDateTime) {
        match over {
            Over::Content => {}
            Over::Value => self.value = self.value.min(at),
            Over::Archive(covered) => {
                self.value = self.value.min(at);
                for (times, covered) in [(&mut self.certificates, &covered.certificates), (&mut self.revocations, &covered.revocations), (&mut self.unsigned, &covered.unsigned)] {
                    times.iter_mut().zip(covered).filter(|(_, covered)| **covered).for_each(|(time, _)| *time = at.min(*time));
                }
            }
        }
    }
}

/// Validates DER. What cannot be read, does not verify, or was not made by who is named is a [`Finding`] alone.
pub fn validate(document: &[u8], der: &[u8], constraints: &Constraints<'_>, given: &Given<'_>, now: OffsetDateTime) -> Result<Assessment, Finding> {
    assess(document, &Signature::read(der)?, constraints, given, now)
}

/// As [`validate`], of a signature that was read.
pub fn assess(document: &[u8], signature: &Signature, constraints: &Constraints<'_>, given: &Given<'_>, now: OffsetDateTime) -> Result<Assessment, Finding> {
    // 1. Who signed: the digest, the certificate that is named, the value. Without it there is nothing to judge.
    let proved = signature.prove(document, given.certificates)?;
    let signer = CertificateFacts::parse(proved.signer_certificate())?;
    // 2. The evidence inside. What is an answer by its form must be whole; forms that are not known are left alone.
    let inside = answers_inside(signature)?;
    // 3. Timestamps, from the newest to the oldest.
    let mut proofs = Proofs {
        value: given.existed_at.map_or(now, |at| at.min(now)),
        certificates: vec![now; signature.parts.certificates.len()],
        revocations: vec![now; signature.parts.revocations.len()],
        unsigned: vec![now; signature.parts.unsigned.len()],
    };
    let (stamped, mut stamps) = match signature.stamped(document, &proved.content_timestamps) {
        Ok(stamped) => (stamped, Ok(())),
        Err(error) => (Vec::new(), Err(Finding::from(error))),
    };
    let travelled: Vec<Vec<u8>> = stamped.iter().flat_map(|one| one.token.certificates().iter().cloned()).collect();
    let mut timestamps = Vec::new();
    let mut earliest = given.not_before;
    for one in &stamped {
        let proof = one.place.and_then(|place| proofs.unsigned.get(place).copied()).unwrap_or(proofs.value);
        if one.token.gen_time() > proof + constraints.skew {
            stamps = stamps.and(Err(Finding::new(Sub::TimestampOrderFailure, "a timestamp tells a time after that of what came later; get it from an authority whose clock is right")));
        }
        let pool = pool(signature, &proofs, &inside, &travelled, given, constraints.floor, now);
        let facts = stamp_facts(one, proof, &pool, constraints)?;
        if facts.judged.holds() {
            proofs.covered(&one.over, one.token.gen_time());
            if one.over == Over::Content {
                earliest = earliest.max(Some(one.token.gen_time()));
            }
        }
        timestamps.push(facts);
    }
    // 4. The signer, as of the oldest proof.
    let best = proofs.value;
    let pool = pool(signature, &proofs, &inside, &travelled, given, constraints.floor, now);
    let judged = pool.judge(&SignedBy {
        certificate: proved.signer_certificate(),
        scheme: proved.scheme(),
        at: best,
        proof: best,
        earliest,
        anchors: constraints.anchors,
        required: constraints.required,
        answers_after: constraints.answers_after,
    })?;
    // 5. What else was asked for.
    let believed = |over: &[&str]| timestamps.iter().any(|one: &TimestampFacts| over.contains(&one.over) && one.judged.holds());
    let timestamped = if !constraints.timestamped || believed(&["signature", "archive"]) { Ok(()) } else { Err(unstamped(&timestamps)) };
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
    Ok(Assessment { proved, signer, timestamps, stamps, best_signature_time: best, is_proved, judged, timestamped, claimed, holder, level })
}

/// The answers among SignedData's revocation values, each with its place. spec: en319122-1#5.4.2, rfc5940#2
fn answers_inside(signature: &Signature) -> Result<Vec<(usize, RevocationAnswer)>, Finding> {
    let damaged = |error: String| Finding::new(Sub::FormatFailure, error);
    let mut found = Vec::new();
    for (place, one) in signature.parts.revocations.iter().enumerate() {
        if one.starts_with(&[0x30]) {
            found.push((place, RevocationAnswer::list(one).map_err(|error| damaged(error.to_string()))?));
            continue;
        }
        let mut other = Reader::new(Reader::only(one, 0xa1)?);
        if other.take(6)? == OCSP_RESPONSE.as_bytes() {
            let response = other.whole(0x30)?;
            other.end()?;
            found.push((place, RevocationAnswer::ocsp(response).map_err(|error| damaged(error.to_string()))?));
        }
    }
    Ok(found)
}

fn pool<'a>(
    signature: &'a Signature, proofs: &Proofs, inside: &'a [(usize, RevocationAnswer)], travelled: &'a [Vec<u8>], given: &Given<'a>, floor: &'a Floor, now: OffsetDateTime,
) -> Pool<'a> {
    let own = signature.parts.certificates.iter().map(Vec::as_slice).zip(proofs.certificates.iter().copied());
    let others = travelled.iter().map(Vec::as_slice).chain(given.certificates.iter().copied()).map(|one| (one, now));
    let known = inside.iter().map(|(place, answer)| Known { answer, proof: proofs.revocations.get(*place).copied().unwrap_or(now), inside: true });
    let outside = given.answers.iter().map(|answer| Known { answer, proof: now, inside: false });
    Pool { certificates: own.chain(others).collect(), answers: known.chain(outside).collect(), floor }
}

fn stamp_facts(one: &Stamped, proof: OffsetDateTime, pool: &Pool<'_>, constraints: &Constraints<'_>) -> Result<TimestampFacts, Finding> {
    let required = Requirements { extended_key_usage: TIME_STAMPING, key_usage: Vec::new(), policies: Vec::new() };
    let gen_time = one.token.gen_time();
    let mut judged = pool.judge(&SignedBy {
        certificate: one.token.signer_certificate(),
        scheme: one.token.scheme(),
        at: gen_time,
        proof: proof.max(gen_time),
        earliest: None,
        anchors: constraints.timestamp_anchors,
        required: &required,
        answers_after: constraints.timestamp_answers_after,
    })?;
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
    Ok(TimestampFacts { over, gen_time, policy, serial, certificate, proof, imprint, judged })
}

/// Why there is no proof: what is wrong with the timestamp that should give it, or that there is none.
fn unstamped(timestamps: &[TimestampFacts]) -> Finding {
    let wrong = timestamps.iter().filter(|one| one.over == "signature").find_map(|one| one.judged.findings().next());
    match wrong {
        Some(finding) => Finding::new(finding.sub, format!("the timestamp over the signature: {}", finding.detail)),
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
