//! Checks 2 to 8: what a filing's signature is worth, by the assessment of `filing verify`, `POST /verify` and the archive, and
//! of the very octets that are kept: what passes here passes there.
//!
//! 1 prove    digest, certificate and value: without them there is nothing to stamp
//! 2 stamp    with a timestamp of ours where it has none
//! 3 gather   what is known now of every certificate on its paths and on those of its timestamps
//! 4 keep     what was signed, its path, the oldest timestamp that is believed, the responder's answer; nothing else
//! 5 assess   what is kept
//! 6 tell     what does not hold, as checks; what is our own fault is nobody's finding
// spec: domain.md 6.4, en319102-1#5.6

use pki::cades::{Assessment, CadesError, Finding as Found, MAX_VERIFICATIONS, Signature, SubIndication as Sub, TimestampFacts};
use pki::cms::CmsError;
use pki::crl::Reason;
use pki::effort::Effort;
use pki::path::{Anchors, CertificateFacts};
use pki::signature::{DigestAlgorithm, SignatureError};
use time::{Duration, OffsetDateTime};

use super::evidence::{Away, Gathered, ROUNDS};
use super::receive::{Parsed, Submission};
use crate::desk::Desk;
use crate::desk::check::{Check, Finding};
use crate::desk::problem::DeskError;
use crate::desk::trust::{Standing, Status};
use crate::verify::{Asked, Demands, Terms, assess_for_desk};

/// Signed by the holder of this certificate.
pub struct Proved<'a> {
    pub parsed: Parsed<'a>,
    /// As it came; once it is stamped, as it is kept.
    pub signature: Signature,
    pub certificate: Vec<u8>,
    pub facts: CertificateFacts,
    signing_time: Option<OffsetDateTime>,
}

/// The timestamp that counts.
pub struct Stamp {
    pub at: OffsetDateTime,
    /// DER.
    pub token: Vec<u8>,
}

/// What the signature is worth.
pub struct Stamped<'a> {
    pub proved: Proved<'a>,
    /// `None` where none is to be believed.
    pub stamp: Option<Stamp>,
    /// Of checks 2 and 4 to 8.
    pub findings: Vec<Finding>,
    /// Why it cannot be told yet, which is not the enterprise's fault; it matters where nothing else is wrong.
    pub away: Option<DeskError>,
    /// The path, the anchor last, and the signer's status.
    pub rests_on: Option<(Vec<Vec<u8>>, Status)>,
}

/// What one filing may cost, with what was verified for others.
pub fn effort(desk: &Desk) -> Effort<'_> {
    Effort::new(MAX_VERIFICATIONS).remembering(&desk.trust.verified)
}

/// 1. Before anybody else is asked for anything.
pub fn prove<'a>(parsed: Parsed<'a>, submission: &Submission, effort: &Effort<'_>) -> Result<Proved<'a>, Box<Finding>> {
    let signature = Signature::read(&submission.signature).map_err(|error| told(&error))?;
    let proved = signature.prove_within(&submission.filing, &[], effort).map_err(|error| told(&error.into()))?;
    let facts = CertificateFacts::parse(proved.signer_certificate()).map_err(|error| told(&CmsError::from(error).into()))?;
    Ok(Proved { parsed, certificate: proved.signer_certificate().to_vec(), signing_time: proved.signing_time(), facts, signature })
}

fn told(error: &CadesError) -> Box<Finding> {
    let of_content = matches!(error, CadesError::Signature(CmsError::Content | CmsError::Signature(SignatureError::Mismatch)));
    let text = plain(&error.to_string());
    Box::new(Finding::new(if of_content { Check::Signature } else { Check::Cms }).because(&text, &text))
}

/// A finding's words stand inside others.
fn plain(text: &str) -> String {
    text.replace("; ", ", ")
}

/// 2 to 6.
pub fn stamp<'a>(desk: &Desk, mut proved: Proved<'a>, submission: &Submission, effort: &Effort<'_>) -> Result<Stamped<'a>, DeskError> {
    let too_large = |error: CadesError| DeskError::Request(plain(&error.to_string()));
    // 2. What travels along with one that we stamp is left where it is.
    let ours = !proved.signature.is_timestamped();
    if ours {
        let token = desk.trust.stamp(proved.signature.timestamp_imprint(DigestAlgorithm::Sha256))?;
        let certificates: Vec<Vec<u8>> = proved.signature.certificates().to_vec();
        proved.signature = proved.signature.with_only(certificates.iter().map(Vec::as_slice), [], Some(&token)).map_err(too_large)?;
    }
    // The clock after the fetch: a slow authority is not ahead of it.
    let question = Question::new(desk, &proved, submission, ours, desk.clock.now())?;
    // 3. and which timestamp is believed, of those that came.
    let mut gathered = Gathered::default();
    let mut rounds = 0;
    let first = loop {
        let found = question.assess(proved.signature.der(), &gathered, None, effort);
        rounds += 1;
        match found {
            Ok(found) if rounds < ROUNDS && gathered.complete(desk, &found, question.now, Away::Ends)? => {}
            found => break found,
        }
    };
    let first = match first {
        Ok(first) => first,
        Err(error) => return Ok(Stamped { proved, stamp: None, findings: vec![unread(&error)], away: None, rests_on: None }),
    };
    // 4. Of several the oldest: it proves most.
    let believed = first.timestamps.iter().filter(|one| one.over == "signature" && one.judged.holds()).min_by_key(|one| one.gen_time);
    proved.signature = kept(&proved, &first, believed, gathered.status.as_ref()).map_err(too_large)?;
    // 5. Where no timestamp is believed the arrival stands for it, so that the other checks can be told of.
    let arrival = believed.is_none().then_some(proved.parsed.received_at);
    let found = match question.assess(proved.signature.der(), &gathered, arrival, effort) {
        Ok(found) => found,
        Err(error) => return Ok(Stamped { proved, stamp: None, findings: vec![unread(&error)], away: None, rests_on: None }),
    };
    // 6.
    let stamp = believed.map(|one| Stamp { at: one.gen_time, token: one.token.clone() });
    let mut told = Told { findings: Vec::new(), away: None };
    told.path(&found);
    told.time(&question, &proved, &first, &found);
    told.revocation(&found, gathered.status.as_ref());
    // Whatever else keeps what is stored from passing later keeps it from being stored.
    if let (true, None, (_, Some(finding))) = (told.findings.is_empty(), &told.away, found.verdict()) {
        told.findings.push(unread(finding));
    }
    let rests_on = found.judged.path.ok().zip(gathered.status);
    Ok(Stamped { proved, stamp, findings: told.findings, away: told.away, rests_on })
}

/// What was signed and what proves it. A signature comes with what its sender put beside it, and what nobody vouches for
/// would be kept, and judged again, for ever.
fn kept(proved: &Proved<'_>, first: &Assessment, believed: Option<&TimestampFacts>, status: Option<&Status>) -> Result<Signature, CadesError> {
    let mut certificates: Vec<&[u8]> = vec![&proved.certificate];
    let of_signer = first.judged.path.as_ref().ok().into_iter().flatten();
    // The root is whoever asks' own.
    let of_stamp = believed.and_then(|one| one.judged.path.as_ref().ok()).and_then(|path| path.split_last()).map(|(_, below)| below).unwrap_or_default();
    for certificate in of_signer.chain(of_stamp) {
        if !certificates.contains(&certificate.as_slice()) {
            certificates.push(certificate);
        }
    }
    proved.signature.with_only(certificates, status.map(|status| status.answer.as_slice()), believed.map(|one| one.token.as_slice()))
}

/// What is asked of one filing.
struct Question<'a> {
    anchors: &'a Anchors,
    terms: Terms,
    demands: Demands,
    policies: &'a [const_oid::ObjectIdentifier],
    document: &'a [u8],
    ours: bool,
    /// How far the signer's word of the time may be off.
    claimed_within: Duration,
    now: OffsetDateTime,
}

impl<'a> Question<'a> {
    fn new(desk: &'a Desk, proved: &Proved<'a>, submission: &'a Submission, ours: bool, now: OffsetDateTime) -> Result<Self, DeskError> {
        let (code, limits, accepts) = (proved.parsed.bureau.code.as_str(), &desk.policies.desk.limits, proved.parsed.accepts);
        let claimed_within = Duration::minutes(limits.signing_time_minutes.into());
        let demands = Demands {
            // One that waited here for our timestamp is compared with its arrival instead.
            claimed_within: (!ours).then_some(claimed_within),
            answers_older: Duration::seconds(limits.grace_seconds.into()),
            skew: Duration::seconds(limits.skew_seconds.into()),
        };
        Ok(Self {
            anchors: desk.trust.anchors(code).ok_or_else(|| DeskError::NotFound { what: "bureau", id: code.to_owned() })?,
            terms: Terms::new(&desk.policies.archive),
            demands,
            policies: &accepts.policies,
            document: &submission.filing,
            ours,
            claimed_within,
            now,
        })
    }

    fn assess(&self, signature: &[u8], gathered: &Gathered, existed_at: Option<OffsetDateTime>, effort: &Effort<'_>) -> Result<Assessment, Found> {
        let (anchors, terms, policies, answers) = (self.anchors, &self.terms, self.policies, gathered.answers.as_slice());
        let asked = Asked { document: self.document, signature, anchors, timestamp_anchors: anchors, terms, policies, credit_code: None, answers, existed_at };
        assess_for_desk(&asked, &self.demands, self.now, effort)
    }
}

fn unread(found: &Found) -> Finding {
    let check = if matches!(found.sub, Sub::HashFailure | Sub::SigCryptoFailure) { Check::Signature } else { Check::Cms };
    because(check, found)
}

fn because(check: Check, found: &Found) -> Finding {
    let text = plain(&found.detail);
    Finding::new(check).because(&text, &text)
}

struct Told {
    findings: Vec<Finding>,
    away: Option<DeskError>,
}

impl Told {
    fn wrong(&mut self, check: Check, zh: &str, en: &str) {
        self.findings.push(Finding::new(check).because(zh, en));
    }

    fn away(&mut self, what: &'static str, reason: String) {
        self.away.get_or_insert(DeskError::Away { what, reason });
    }

    /// Checks 2, as far as it is of trust, 4, 5 and 6.
    fn path(&mut self, found: &Assessment) {
        let judged = &found.judged;
        self.findings.extend(found.effort.as_ref().err().map(|finding| because(Check::Cms, finding)));
        if let Err(finding) = &judged.path {
            // The rest only repeats it.
            return self.findings.push(because(Check::Path, finding));
        }
        self.findings.extend(judged.algorithms.as_ref().err().map(|finding| because(Check::Cms, finding)));
        self.findings.extend(judged.usage.as_ref().err().map(|_| Finding::new(Check::Usage)));
        self.findings.extend(judged.policy.as_ref().err().map(|_| Finding::new(Check::Policy)));
    }

    /// Check 7. `first` says what was wrong with timestamps that are not kept.
    fn time(&mut self, question: &Question<'_>, proved: &Proved<'_>, first: &Assessment, found: &Assessment) {
        let received_at = proved.parsed.received_at;
        if question.ours {
            let behind = first.timestamps.iter().find(|one| one.gen_time < received_at - question.demands.skew).map(|_| "its clock is behind".to_owned());
            let wrong = first.timestamped.as_ref().err().or(first.stamps.as_ref().err());
            if let Some(reason) = wrong.map(|finding| plain(&finding.detail)).or(behind) {
                self.away("the timestamp authority", reason);
            }
        } else if let Err(finding) = &first.timestamped {
            let text = plain(&finding.detail);
            return self.wrong(Check::Time, &format!("没有可信的时间戳（{text}）"), &format!("there is no timestamp of a trusted authority over this signature ({text})"));
        } else if found.stamps.is_err() {
            self.wrong(Check::Time, "时间戳晚于现在", "the timestamp lies in the future");
        }
        if found.judged.path.is_ok() && found.judged.time.is_err() {
            self.wrong(Check::Time, "签署时证书尚未生效或已到期", "the certificate was not valid when it signed");
        }
        let far = match proved.signing_time {
            Some(claimed) if question.ours => (claimed - received_at).abs() > question.claimed_within,
            _ => found.claimed.is_err(),
        };
        if far {
            self.wrong(Check::Time, "签名自称的时间与时间戳相差过大", "the time that the signature claims is too far from its timestamp");
        }
    }

    /// Check 8. Revoked after it signed it is still valid; but a filing that comes when its key is known to be others' is not
    /// taken, nor one whose certificate is on hold.
    fn revocation(&mut self, found: &Assessment, status: Option<&Status>) {
        if found.judged.path.is_err() {
            return;
        }
        let because = |reason: &Reason, at: OffsetDateTime| format!("{reason:?}, {}", crate::desk::receipt::moment(at));
        match (&found.judged.revocation, status.map(|status| &status.standing)) {
            (_, Some(Standing::Held)) => self.wrong(Check::Revocation, "证书被冻结；解冻后可再次提交同一申报", "it is on hold; the same filing may be sent again once that has ended"),
            (_, Some(Standing::Unknown)) => self.wrong(Check::Revocation, "签发机构不知道这张证书", "its authority knows no such certificate"),
            (_, Some(Standing::Revoked { at, reason: reason @ (Reason::KeyCompromise | Reason::CaCompromise), .. })) => {
                let text = because(reason, *at);
                self.wrong(Check::Revocation, &text, &text);
            }
            (Err(finding), Some(Standing::Revoked { at, reason, .. })) if finding.sub != Sub::TryLater => {
                let text = because(reason, *at);
                self.wrong(Check::Revocation, &text, &text);
            }
            (Err(finding), _) if finding.sub == Sub::TryLater => self.away("the certificate's status", plain(&finding.detail)),
            (Err(finding), _) => {
                let text = plain(&finding.detail);
                self.wrong(Check::Revocation, &text, &text);
            }
            (Ok(_), _) => {}
        }
    }
}
