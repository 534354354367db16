//! Checks 2 to 8: what a filing's signature is worth, by the assessment of `filing verify`, `POST /verify` and the archive, and
//! of the very octets that are kept: what passes here passes there.
//!
//! 1 prove    digest, certificate and value: without them there is nothing to stamp
//! 2 stamp    with a timestamp of ours where it has none
//! 3 gather   what is known now of every certificate on its paths and on those of its timestamps
//! 4 keep     what was signed, its path, the oldest timestamp that is believed, the responder's answer; nothing else
//! 5 assess   what is kept; where that is as expected, and passes, what came need not be assessed to choose
//! 6 tell     what does not hold, as checks; what is our own fault is nobody's finding
// spec: domain.md 6.4, en319102-1#5.6

use const_oid::ObjectIdentifier as Oid;
use pki::cades::{Assessment, CadesError, Finding as Found, Indication, MAX_VERIFICATIONS, Signature, SubIndication as Sub, TimestampFacts};
use pki::cms::CmsError;
use pki::crl::Reason;
use pki::effort::Effort;
use pki::path::{Anchors, CertificateFacts};
use pki::signature::{DigestAlgorithm, SignatureError};
use pki::timestamp::verify_within;
use time::{Duration, OffsetDateTime};

use super::evidence::{Away, Gathered, ROUNDS};
use crate::desk::check::{Check, Finding};
use crate::desk::grounds::Grounds;
use crate::desk::problem::DeskError;
use crate::desk::receipt::{in_city, moment};
use crate::desk::trust::{Standing, Status};
use crate::verify::{Asked, Demands, Terms, assess_for_desk};

/// What is signed.
pub trait Subject {
    fn demand(&self) -> Demand<'_>;
}

/// What is asked of its signature.
pub struct Demand<'a> {
    /// The octets that are signed.
    pub document: &'a [u8],
    /// Whose roots are believed.
    pub bureau: &'a str,
    /// One of which the signer's certificate must bear.
    pub policies: &'a [Oid],
    pub received_at: OffsetDateTime,
    /// How far the signer's word of the time may be off; nothing is asked of it where there is none.
    pub claimed_within: Option<Duration>,
}

/// Signed by the holder of this certificate.
pub struct Proved<S> {
    pub parsed: S,
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
pub struct Stamped<S> {
    pub proved: Proved<S>,
    /// `None` where none is to be believed.
    pub stamp: Option<Stamp>,
    /// Of checks 2 and 4 to 8.
    pub findings: Vec<Finding>,
    /// What cannot be told yet and why, which is not the enterprise's fault; it matters where nothing else is wrong.
    pub away: Vec<(Check, DeskError)>,
    /// The path, the anchor last, and the signer's status; none where that was not to be had.
    pub rests_on: Option<(Vec<Vec<u8>>, Status)>,
}

/// As an assessment calls timestamps over the signature's value.
const OVER_VALUE: &str = "signature";

/// What one filing may cost, with what was verified for others.
pub fn effort(desk: &Grounds) -> Effort<'_> {
    Effort::new(MAX_VERIFICATIONS).remembering(&desk.trust.verified)
}

/// 1. Before anybody else is asked for anything.
pub fn prove<S: Subject>(parsed: S, signature: &[u8], effort: &Effort<'_>) -> Result<Proved<S>, Box<Finding>> {
    let signature = Signature::read(signature).map_err(|error| told(&error))?;
    let proved = signature.prove_within(parsed.demand().document, &[], effort).map_err(|error| told(&error.into()))?;
    let facts = CertificateFacts::parse(proved.signer_certificate()).map_err(|error| told(&CmsError::from(error).into()))?;
    let (certificate, signing_time) = (proved.signer_certificate().to_vec(), proved.signing_time());
    Ok(Proved { parsed, certificate, signing_time, facts, signature })
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

fn too_large(error: &CadesError) -> DeskError {
    DeskError::Request(plain(&error.to_string()))
}

/// 2 to 6.
pub fn stamp<S: Subject>(desk: &Grounds, mut proved: Proved<S>, effort: &Effort<'_>) -> Result<Stamped<S>, DeskError> {
    // 2. What travels along with one that we stamp is left where it is.
    let ours = !proved.signature.is_timestamped();
    if ours && desk.sight.asks {
        let token = desk.trust.stamp(proved.signature.timestamp_imprint(DigestAlgorithm::Sha256))?;
        let certificates: Vec<Vec<u8>> = proved.signature.certificates().to_vec();
        proved.signature = proved.signature.with_only(certificates.iter().map(Vec::as_slice), [], Some(&token)).map_err(|error| too_large(&error))?;
    }
    // The clock after the fetch: a slow authority is not ahead of it.
    let (signing_time, now) = (proved.signing_time, desk.clock.now());
    let demand = proved.parsed.demand();
    let (received_at, question) = (demand.received_at, Question::new(desk, demand, ours, now)?);
    // 3 to 5.
    let weighed = question.weigh(desk, &proved, effort)?;
    let (kept, stamped) = match weighed {
        Err(error) => (None, (None, vec![unread(&error)], Vec::new(), None)),
        Ok(Weighed { signature, stamp, first, found, status }) => {
            // 6.
            let mut told = Told { findings: Vec::new(), away: Vec::new() };
            told.path(&found);
            told.time(&question, (signing_time, received_at, stamp.is_some()), first.as_ref().unwrap_or(&found), &found);
            told.revocation(&found, status.as_ref());
            // Whatever else keeps what is stored from passing later keeps it from being stored.
            if let (true, true, (_, Some(finding))) = (told.findings.is_empty(), told.away.is_empty(), found.verdict()) {
                told.findings.push(unread(finding));
            }
            (signature, (stamp, told.findings, told.away, found.judged.path.ok().zip(status)))
        }
    };
    drop(question);
    if let Some(kept) = kept {
        proved.signature = kept;
    }
    let (stamp, findings, away, rests_on) = stamped;
    Ok(Stamped { proved, stamp, findings, away, rests_on })
}

/// What was signed and what proves it: the signer's path, a timestamp with its authority's path, and the responder's answer. A
/// signature comes with what its sender put beside it, and what nobody vouches for would be kept, and judged again, for ever.
fn kept<S>(proved: &Proved<S>, path: &[Vec<u8>], stamp: Option<(&[u8], &[Vec<u8>])>, status: Option<&Status>) -> Result<Signature, DeskError> {
    let mut certificates: Vec<&[u8]> = vec![&proved.certificate];
    // The root is whoever asks' own.
    let of_stamp = stamp.and_then(|(_, path)| path.split_last()).map(|(_, below)| below).unwrap_or_default();
    for certificate in path.iter().chain(of_stamp) {
        if !certificates.contains(&certificate.as_slice()) {
            certificates.push(certificate);
        }
    }
    proved.signature.with_only(certificates, status.map(|status| status.answer.as_slice()), stamp.map(|(token, _)| token)).map_err(|error| too_large(&error))
}

/// What is asked of one signature.
struct Question<'a> {
    anchors: &'a Anchors,
    timestamp_anchors: &'a Anchors,
    terms: Terms,
    demands: Demands,
    demand: Demand<'a>,
    ours: bool,
    /// Nobody can be asked for a timestamp.
    alone: bool,
    now: OffsetDateTime,
}

impl<'a> Question<'a> {
    fn new(desk: &'a Grounds, demand: Demand<'a>, ours: bool, now: OffsetDateTime) -> Result<Self, DeskError> {
        let (code, limits) = (demand.bureau, &desk.policies.desk.limits);
        let unknown = || DeskError::NotFound { what: "bureau", id: code.to_owned() };
        let demands = Demands {
            // One that waited here for our timestamp is compared with its arrival instead.
            claimed_within: demand.claimed_within.filter(|_| !ours),
            answers_older: Duration::seconds(limits.grace_seconds.into()),
            skew: Duration::seconds(limits.skew_seconds.into()),
        };
        let (anchors, timestamp_anchors) = (desk.trust.anchors(code).ok_or_else(unknown)?, desk.trust.timestamp_anchors(code).ok_or_else(unknown)?);
        Ok(Self { anchors, timestamp_anchors, terms: Terms::new(&desk.policies.archive), demands, demand, ours, alone: !desk.sight.asks, now })
    }

    fn assess(&self, signature: &Signature, gathered: &Gathered, existed_at: Option<OffsetDateTime>, effort: &Effort<'_>) -> Result<Assessment, Found> {
        let (anchors, timestamp_anchors, terms, policies, answers) = (self.anchors, self.timestamp_anchors, &self.terms, self.demand.policies, gathered.answers.as_slice());
        let asked = Asked { document: self.demand.document, signature: signature.der(), anchors, timestamp_anchors, terms, policies, credit_code: None, answers, existed_at };
        assess_for_desk(&asked, signature, &self.demands, self.now, effort)
    }

    /// 3 to 5.
    fn weigh<S>(&self, desk: &Grounds, proved: &Proved<S>, effort: &Effort<'_>) -> Result<Result<Weighed, Found>, DeskError> {
        // Who asks nobody has what it is given, and what is missing stays open.
        let away = if desk.sight.asks { Away::Ends } else { Away::LeavesOpen };
        // 3. and which timestamp is believed, of those that came.
        let mut gathered = Gathered::default();
        if desk.sight.asks
            && let Some((signature, stamp, found)) = self.expected(desk, proved, &mut gathered, effort)?
        {
            return Ok(Ok(Weighed { signature: Some(signature), stamp: Some(stamp), first: None, found, status: gathered.status }));
        }
        let mut rounds = 0;
        let first = loop {
            let found = match self.assess(&proved.signature, &gathered, None, effort) {
                Ok(found) => found,
                Err(error) => return Ok(Err(error)),
            };
            rounds += 1;
            // What was expected in vain was asked about already.
            if rounds == ROUNDS || !gathered.complete(desk, &found, self.now, away)? {
                break found;
            }
        };
        // 4. Of several the oldest: it proves most. Who keeps nothing leaves it as it is, and who asks nobody takes one at its word of
        //    which only revocation is open.
        let open_only = |one: &TimestampFacts| self.alone && one.judged.findings().all(|finding| finding.sub == Sub::TryLater);
        let believed = first.timestamps.iter().filter(|one| one.over == OVER_VALUE && (one.judged.holds() || open_only(one))).min_by_key(|one| one.gen_time);
        let path = first.judged.path.as_deref().unwrap_or_default();
        let stamp = believed.map(|one| (one.token.as_slice(), one.judged.path.as_deref().unwrap_or_default()));
        let signature = if desk.sight.asks { Some(kept(proved, path, stamp, gathered.status.as_ref())?) } else { None };
        // 5. Where no timestamp is believed the arrival stands for it, so that the other checks can be told of.
        let arrival = match believed {
            None => Some(self.demand.received_at),
            Some(one) => (!one.judged.holds()).then_some(one.gen_time),
        };
        let stamp = believed.map(|one| Stamp { at: one.gen_time, token: one.token.clone() });
        Ok(self.assess(signature.as_ref().unwrap_or(&proved.signature), &gathered, arrival, effort).map(|found| Weighed { signature, stamp, first: Some(first), found, status: gathered.status }))
    }

    /// What is kept of nearly every signature: its one timestamp, and the paths that its certificates give. There is nothing to
    /// choose then: once everybody on them was asked it is assessed as it would be kept, and where that passes in full, and rests
    /// on nobody else, it is what an assessment of all that came would have chosen. Otherwise nothing is decided here.
    fn expected<S>(&self, desk: &Grounds, proved: &Proved<S>, gathered: &mut Gathered, effort: &Effort<'_>) -> Result<Option<(Signature, Stamp, Assessment)>, DeskError> {
        let (mut tokens, bureau) = (proved.signature.signature_timestamps(), self.demand.bureau);
        let (Some(token), None) = (tokens.next(), tokens.next()) else { return Ok(None) };
        let Ok(stamp) = verify_within(token, &[], effort) else { return Ok(None) };
        let path = desk.trust.expected_path(bureau, &proved.certificate, proved.signature.certificates(), stamp.gen_time(), effort);
        let of_stamp = desk.trust.expected_stamp_path(bureau, &stamp, self.now, effort);
        let (Some(path), Some(of_stamp)) = (path, of_stamp) else { return Ok(None) };
        gathered.of_path(desk, &of_stamp, false, self.now)?;
        gathered.of_path(desk, &path, true, self.now)?;
        let signature = kept(proved, &path, Some((token, &of_stamp)), gathered.status.as_ref())?;
        let Ok(found) = self.assess(&signature, gathered, None, effort) else { return Ok(None) };
        let passes = found.verdict() == (Indication::TotalPassed, None) && found.timestamps.iter().any(|one| one.over == OVER_VALUE && one.judged.holds());
        let stamp = Stamp { at: stamp.gen_time(), token: token.to_vec() };
        Ok((passes && !gathered.complete(desk, &found, self.now, Away::Ends)?).then_some((signature, stamp, found)))
    }
}

/// What was found of a signature, and of what is kept of it.
struct Weighed {
    /// What is kept; as it came where there is none.
    signature: Option<Signature>,
    /// The timestamp that is believed.
    stamp: Option<Stamp>,
    /// Of all that came, where it was not assessed as it is kept at once.
    first: Option<Assessment>,
    /// Of what is kept.
    found: Assessment,
    status: Option<Status>,
}

fn unread(found: &Found) -> Finding {
    let check = if matches!(found.sub, Sub::HashFailure | Sub::SigCryptoFailure) { Check::Signature } else { Check::Cms };
    because(check, found)
}

fn because(check: Check, found: &Found) -> Finding {
    let text = plain(&found.detail);
    Finding::new(check).because(&text, &text)
}

/// Why a certificate was revoked and since when, for the enterprise.
fn revoked(reason: Reason, at: OffsetDateTime) -> (String, String) {
    let at = moment(at);
    let zh = match reason {
        Reason::KeyCompromise => "密钥泄露",
        Reason::CaCompromise | Reason::AaCompromise => "签发机构的密钥泄露",
        Reason::AffiliationChanged => "单位信息变更",
        Reason::Superseded => "已被新证书取代",
        Reason::CessationOfOperation => "不再使用",
        Reason::PrivilegeWithdrawn => "资格被取消",
        Reason::CertificateHold => "冻结",
        Reason::Unspecified | Reason::RemoveFromCrl => "未说明原因",
    };
    (format!("{zh}，自 {}（北京时间）起", in_city(&at)), format!("{reason:?}, {at}"))
}

struct Told {
    findings: Vec<Finding>,
    away: Vec<(Check, DeskError)>,
}

impl Told {
    fn wrong(&mut self, check: Check, zh: &str, en: &str) {
        self.findings.push(Finding::new(check).because(zh, en));
    }

    fn away(&mut self, check: Check, what: &'static str, reason: String) {
        self.away.push((check, DeskError::Away { what, reason }));
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
    fn time(&mut self, question: &Question<'_>, (signing_time, received_at, believed): (Option<OffsetDateTime>, OffsetDateTime, bool), first: &Assessment, found: &Assessment) {
        if question.ours {
            let behind = first.timestamps.iter().find(|one| one.gen_time < received_at - question.demands.skew).map(|_| "its clock is behind".to_owned());
            let wrong = first.timestamped.as_ref().err().or(first.stamps.as_ref().err());
            if let Some(reason) = wrong.map(|finding| plain(&finding.detail)).or(behind) {
                self.away(Check::Time, "the timestamp authority", reason);
            }
        } else if let Err(finding) = &first.timestamped {
            let text = plain(&finding.detail);
            if believed {
                return self.away(Check::Time, "the timestamp authority's status", text);
            }
            return self.wrong(Check::Time, &format!("没有可信的时间戳（{text}）"), &format!("there is no timestamp of a trusted authority over this signature ({text})"));
        } else if found.stamps.is_err() {
            self.wrong(Check::Time, "时间戳晚于现在", "the timestamp lies in the future");
        }
        if found.judged.path.is_ok() && found.judged.time.is_err() {
            self.wrong(Check::Time, "签署时证书尚未生效或已到期", "the certificate was not valid when it signed");
        }
        let far = match (signing_time, question.demand.claimed_within) {
            // Nobody knows when it would have been received.
            (Some(_), _) if question.ours && question.alone => false,
            (Some(claimed), Some(within)) if question.ours => (claimed - received_at).abs() > within,
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
        match (&found.judged.revocation, status.map(|status| &status.standing)) {
            (_, Some(Standing::Held)) => self.wrong(Check::Revocation, "证书被冻结；解冻后可再次提交同一申报", "it is on hold; the same filing may be sent again once that has ended"),
            (_, Some(Standing::Unknown)) => self.wrong(Check::Revocation, "签发机构不知道这张证书", "its authority knows no such certificate"),
            (_, Some(Standing::Revoked { at, reason: reason @ (Reason::KeyCompromise | Reason::CaCompromise), invalid_since })) => {
                let (zh, en) = revoked(*reason, invalid_since.map_or(*at, |since| since.min(*at)));
                self.wrong(Check::Revocation, &zh, &en);
            }
            (Err(finding), Some(Standing::Revoked { at, reason, invalid_since })) if finding.sub != Sub::TryLater => {
                let (zh, en) = revoked(*reason, invalid_since.map_or(*at, |since| since.min(*at)));
                self.wrong(Check::Revocation, &zh, &en);
            }
            (Err(finding), _) if finding.sub == Sub::TryLater => self.away(Check::Revocation, "the certificate's status", plain(&finding.detail)),
            (Err(finding), _) => {
                let text = plain(&finding.detail);
                self.wrong(Check::Revocation, &text, &text);
            }
            (Ok(_), _) => {}
        }
    }
}
