//! Receiving a filing. Every step consumes the proof made by the step before; no other order compiles.
//!
//!  1 parse      check 1: the canonical octets into types; one that is here already gets the receipt it got before
//!  2 prove      checks 2 and 3: the signature is its signer's, over these very octets; see `proof`
//!  3 stamp      checks 4 to 8, as of a timestamp, the signer's or one fetched now: its time is the time of all that follows
//!  4 judge      checks 9 to 14; every one that can be judged is, so that all failures are known
//!  5 pass       only without a failure; the first is answered, all are recorded
//!  6 record     the bureau's seal and its timestamps will be believed; filing, signature, place, what the receipt will say, and the leaf of the log: one durable commit
//!  7 seal       what is recorded, and nothing else; see `seal`
//!  8 answer     RECEIVED, before anybody behind the desk is asked
// spec: domain.md 6.4

use const_oid::ObjectIdentifier as Oid;
use pki::path::CertificateFacts;
use policies::desk::{Accepts, Bureau};
use policies::filing::Kind;
use store::{Batch, CommitError, Expectation};
use time::{Duration, OffsetDateTime};

use super::attachment;
use super::authorise::Enterprise;
use super::judge::{self, Judged};
use super::proof::{self, Demand, Proved, Stamp, Subject};
use super::seal::{self, Sealed, Written};
use crate::desk::Desk;
use crate::desk::check::{Check, Finding};
use crate::desk::grounds::Grounds;
use crate::desk::problem::DeskError;
use crate::desk::ready;
use crate::desk::receipt::{self, Common, Deadline, Draft, Received, Signer};
use crate::desk::record::attachment::AttachmentRecord;
use crate::desk::record::event::{Event, unix_millis};
use crate::desk::record::filing::{FilingRecord, Slot, Status, body_key, seal_body, signature_key};
use crate::desk::record::{archive, plain};
use crate::desk::record::receipt::{ReceiptNumber, draft as drafted};
use crate::desk::record::staff;
use crate::desk::{hex, sha256_hex, sm3_hex};
use crate::document::{Filing, Signer as DocumentSigner};
use crate::logged::{LogNames, Named};

/// Told as not judged where no registry was imported: whether the enterprise is registered and in business.
const REGISTRY: &str = "check-09-registry";
/// A commit that others came before is decided anew, so many times.
const ATTEMPTS: usize = 8;

/// What came in: canonical octets and a detached signature, DER. Both are bounded by who read them.
pub struct Submission {
    pub filing: Vec<u8>,
    pub signature: Vec<u8>,
    /// When it was here whole: what waits for its turn came in time all the same.
    pub received_at: OffsetDateTime,
}

impl Submission {
    fn digest(&self) -> String {
        sha256_hex(&[self.filing.as_slice(), &self.signature].concat())
    }
}

/// What becomes of it.
#[derive(Debug)]
pub enum Outcome {
    Receipted(Sealed),
    /// In the order of the checks; never empty.
    Refused(Vec<Finding>),
}

/// The whole line. Blocking.
pub fn receive(desk: &Desk, caller: &Enterprise, submission: &Submission) -> Result<Outcome, DeskError> {
    for _ in 0..ATTEMPTS {
        let parsed = match parse(desk, Some(caller), submission)? {
            Parse::New(parsed) => *parsed,
            Parse::Known(number) => return seal::seal(desk, &number).map(Outcome::Receipted).map_err(|error| pending(&number.filing, &error)),
            Parse::Wrong(finding) => return refuse(desk, submission, vec![*finding]),
        };
        let effort = proof::effort(desk);
        let proved = match proof::prove(parsed, &submission.signature, &effort) {
            Ok(proved) => proved,
            Err(finding) => return refuse(desk, submission, vec![*finding]),
        };
        let judged = judge::judge(desk, caller, proof::stamp(desk, proved, &effort)?)?;
        let passed = match pass(judged)? {
            Ok(passed) => passed,
            Err(findings) => return refuse(desk, submission, findings),
        };
        match record(desk, caller, submission, passed)? {
            Some(written) => {
                let filing = written.number.filing.clone();
                return seal::seal_written(desk, written).map(Outcome::Receipted).map_err(|error| pending(&filing, &error));
            }
            // Somebody filed at this very moment: what they did decides anew.
            None => continue,
        }
    }
    Err(DeskError::Busy)
}

/// 7 and 8. One that is recorded is never refused any more: where the seal cannot be made now, it is made later.
fn pending(filing: &str, error: &DeskError) -> DeskError {
    DeskError::Pending { filing: filing.to_owned(), reason: error.to_string().replace("; ", ", ") }
}

/// 5, the other way: nothing of it is kept but that it failed, and why.
fn refuse(desk: &Desk, submission: &Submission, findings: Vec<Finding>) -> Result<Outcome, DeskError> {
    let mut checks: Vec<u8> = findings.iter().map(|finding| finding.check.number()).collect();
    checks.dedup();
    let mut batch = Batch::new();
    Event::FilingRefused { submission: &submission.digest(), checks: &checks }.append(&mut batch, desk.clock.now())?;
    desk.store.commit(batch)?;
    Ok(Outcome::Refused(findings))
}

pub(super) enum Parse<'a> {
    New(Box<Parsed<'a>>),
    /// The very same octets were received before.
    Known(ReceiptNumber),
    Wrong(Box<Finding>),
}

/// 1. A filing of a kind that some bureau takes.
pub struct Parsed<'a> {
    pub filing: Filing,
    pub kind: &'a Kind,
    pub bureau: &'a Bureau,
    pub accepts: &'a Accepts,
    /// When it came.
    pub received_at: OffsetDateTime,
    /// Something else was received under its id.
    pub id_is_taken: bool,
    /// How far the signer's word of the time may be off.
    claimed_within: Duration,
}

impl Subject for Parsed<'_> {
    fn demand(&self) -> Demand<'_> {
        Demand { document: self.filing.canonical(), bureau: self.bureau.code.as_str(), policies: &self.accepts.policies, received_at: self.received_at, claimed_within: Some(self.claimed_within) }
    }
}

pub(super) fn parse<'a>(desk: &'a Grounds, caller: Option<&Enterprise>, submission: &Submission) -> Result<Parse<'a>, DeskError> {
    let wrong = |zh: String, en: String, field: &str| Ok(Parse::Wrong(Box::new(Finding::new(Check::Form).because(zh, en).at(field))));
    let most = desk.policies.desk.limits.filing_bytes as usize;
    if submission.filing.len() > most {
        return wrong(format!("超过 {most} 字节"), format!("it has more than {most} bytes"), "");
    }
    let filing = match Filing::parse(&submission.filing) {
        Ok(filing) => filing,
        Err(error) => return wrong(error.chinese(), error.to_string().replace("; ", ", "), &error.pointer()),
    };
    // What was received before is answered as it was before, to whom it concerns.
    let id_is_taken = match desk.store.get(&FilingRecord::key(filing.id().as_str()))? {
        None => false,
        Some(found) => {
            let found = FilingRecord::decode(&found)?;
            let concerned = caller.is_some_and(|caller| [found.uscc.as_str(), found.by.as_str()].contains(&caller.code().as_str()));
            if found.content == sha256_hex(&submission.filing) && concerned {
                return Ok(Parse::Known(ReceiptNumber::new(filing.id().as_str(), 1)));
            }
            true
        }
    };
    let name = filing.kind().as_str();
    let Some((bureau, accepts)) = desk.policies.desk.accepting(name) else {
        return wrong(format!("没有单位受理 {name}"), format!("no bureau here takes {name}"), "/kind");
    };
    let Some(kind) = desk.policies.filings.kind(filing.kind(), filing.form_version()) else {
        return wrong("没有这个表的版本".into(), "there is no such form version".into(), "/form_version");
    };
    if !kind.takes(filing.period()) {
        return wrong("该版本的表不适用于此所属期".into(), "this form is not for this period".into(), "/period");
    }
    if filing.attachments().len() > kind.max_attachments() {
        return wrong(format!("附件超过 {} 个", kind.max_attachments()), format!("it has more than {} attachments", kind.max_attachments()), "/attachments");
    }
    for (at, attachment) in filing.attachments().iter().enumerate() {
        let kept = desk.store.get(&AttachmentRecord::key(&attachment.digest_text()))?.map(|found| AttachmentRecord::decode(&found)).transpose()?;
        let another = |kept: AttachmentRecord| kept.size != attachment.size || attachment.sm3.is_some_and(|sm3| kept.sm3 != Some(hex(&sm3)));
        if kept.map_or(desk.sight.attachments, another) {
            return wrong("附件尚未上传，或大小、SM3 不符".into(), "an attachment was not sent yet, or has another size or SM3".into(), &format!("/attachments/{at}"));
        }
    }
    let claimed_within = Duration::minutes(desk.policies.desk.limits.signing_time_minutes.into());
    Ok(Parse::New(Box::new(Parsed { filing, kind, bureau, accepts, received_at: submission.received_at, id_is_taken, claimed_within })))
}

/// 5. A filing without any failure: with all that its receipt will say.
pub struct Passed<'a> {
    proved: Proved<Parsed<'a>>,
    stamp: Stamp,
    evidence: judge::Evidence,
}

fn pass(judged: Judged<'_>) -> Result<Result<Passed<'_>, Vec<Finding>>, DeskError> {
    let Judged { stamped, mut findings, evidence } = judged;
    // Our own timestamp authority, or a responder: nobody is refused for them, and nothing is taken.
    if let (true, Some((_, away))) = (findings.is_empty(), stamped.away.into_iter().next()) {
        return Err(away);
    }
    Ok(match (stamped.stamp, evidence.resting_on(stamped.rests_on)) {
        (Some(stamp), Some(evidence)) if findings.is_empty() => Ok(Passed { proved: stamped.proved, stamp, evidence }),
        _ => {
            findings.sort_by_key(|finding| finding.check);
            Err(findings)
        }
    })
}

/// 6. `None` when somebody was first: nothing is changed then.
fn record(desk: &Desk, caller: &Enterprise, submission: &Submission, passed: Passed<'_>) -> Result<Option<Written>, DeskError> {
    let Passed { proved, stamp, evidence } = passed;
    // A receipt is promised only while it can be sealed so that others believe it.
    let code = proved.parsed.bureau.code.as_str();
    let seal = ready::seal(desk, code)?;
    ready::authority(desk, code)?;
    let Proved { parsed, signature, certificate, facts, .. } = proved;
    let (filing, now) = (&parsed.filing, desk.clock.now());
    let (id, number) = (filing.id().as_str(), ReceiptNumber::new(filing.id().as_str(), 1));
    let received_at = unix_millis(parsed.received_at);
    let own = !matches!(filing.signer(), DocumentSigner::Agent(_));
    let record = FilingRecord {
        uscc: filing.uscc().as_str().to_owned(),
        kind: filing.kind().as_str().to_owned(),
        period: filing.period().to_string(),
        revision: filing.revision(),
        bureau: parsed.bureau.code.as_str().to_owned(),
        by: caller.code().as_str().to_owned(),
        signer: Some(hex(&facts.serial)),
        content: sha256_hex(filing.canonical()),
        content_sm3: Some(sm3_hex(filing.canonical())),
        received_at,
        timely: evidence.found.timely,
        status: Status::Received,
        receipts: 1,
        // An agent's certificate says nothing of where its principal reads.
        mailbox: if own { facts.emails.first().cloned() } else { evidence.found.principal_mailbox.clone() },
        agent_mailbox: facts.emails.first().filter(|_| !own).cloned(),
        not_judged: (!evidence.found.unit.asked).then(|| REGISTRY.to_owned()).into_iter().chain(evidence.found.kept.not_judged.iter().cloned()).collect(),
    };
    let slot = Slot { revision: filing.revision(), filing: id.to_owned(), payload: evidence.found.payload.clone(), closed: false, rejected: false };
    // What the receipt says is decided here, before the leaf has its position.
    let submitted = sha256_hex(&submission.signature);
    let draft = said(desk, &record, &number, &parsed, &Said { stamp: &stamp, evidence: &evidence, facts: &facts, certificate: &certificate, submitted: &submitted, value: &sha256_hex(signature.value()), seal: &seal.thumbprint }, now);
    // A token stuffed with certificates makes a receipt that nobody reads, and so one that is never sealed: told before anything is recorded.
    if !draft.fits() {
        return Err(DeskError::Request("the receipt of this signature would be too large; let it be stamped anew, with the certificates of the timestamp's authority alone".into()));
    }
    let place = Slot::key(&record.uscc, &record.kind, &record.period);
    let mut batch = Batch::new().expect(Expectation::Absent(FilingRecord::key(id))).expect(evidence.found.slot.clone().map_or(Expectation::Absent(place.clone()), |before| Expectation::Equals(place.clone(), before)));
    // A mandate that is taken back at this moment carries nothing any more, and neither does what else was looked at.
    batch = evidence.found.relied.iter().cloned().fold(batch, Batch::expect);
    if let Some(staff) = &evidence.found.kept.staff {
        batch = staff::after(&record.uscc, staff, batch, &desk.data)?;
    }
    batch = batch
        .put(FilingRecord::key(id), record.encode()?)
        .put(body_key(id), seal_body(id, filing.canonical(), &desk.data)?)
        // The octets that were assessed.
        .put(signature_key(id), plain(signature.der()))
        .put(FilingRecord::of(&record.uscc, received_at, id), id.as_bytes())
        .put(Slot::said(&record.uscc, &record.kind, &record.period, &slot.payload), id.as_bytes())
        .put(place, slot.encode()?);
    // Looked at by the archive once what was revoked meanwhile would show.
    batch = archive::plan(id, (now + desk.policies.archive.grace).unix_timestamp(), batch);
    let Some(mut batch) = attachment::named(desk, filing, batch)? else { return Ok(None) };
    let receipt = number.to_string();
    let names = LogNames::of(&desk.data, id);
    let [filing, content, signature, named] = [(Named::Filing, id), (Named::Content, record.content.as_str()), (Named::Signature, submitted.as_str()), (Named::Receipt, receipt.as_str())].map(|(what, text)| names.name(what, text));
    let leaf = Event::FilingReceived { filing: &filing, content: &content, signature: &signature, receipt: &named, timely: record.timely }.append(&mut batch, now)?;
    batch = batch.put(number.draft(), drafted(leaf, &draft.text())).put(number.pending(), plain(receipt.as_bytes()));
    match desk.store.commit(batch) {
        Ok(committed) => {
            let position = committed.position(leaf).ok_or(CommitError::UnknownSlot)?;
            Ok(Some(Written { number, draft, position, filing: record }))
        }
        Err(CommitError::Conflict { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What the receipt is made of.
struct Said<'a> {
    stamp: &'a Stamp,
    evidence: &'a judge::Evidence,
    facts: &'a CertificateFacts,
    certificate: &'a [u8],
    /// SHA-256 of the signature as it came, hexadecimal; so is the value's.
    submitted: &'a str,
    value: &'a str,
    seal: &'a str,
}

fn said(desk: &Desk, record: &FilingRecord, number: &ReceiptNumber, parsed: &Parsed<'_>, said: &Said<'_>, now: OffsetDateTime) -> Draft {
    let Said { stamp, evidence, facts, certificate, submitted, value, seal } = said;
    let common = Common { number, filing: record, status: Status::Received, issued_at: now, bureau: parsed.bureau, seal, base_url: &desk.base_url, log: &desk.settings.log_origin, salt: &LogNames::of(&desk.data, &number.filing).salt() };
    let name = |der: &[u8]| CertificateFacts::parse(der).ok().and_then(|facts| facts.common_name).unwrap_or_default();
    let policies: Vec<String> = parsed.accepts.policies.iter().filter(|policy| bears(certificate, policy)).map(ToString::to_string).collect();
    let received = Received {
        document: &parsed.filing,
        unit: &evidence.found.unit,
        signature: submitted,
        signature_value: value,
        signer: Signer {
            subject: facts.common_name.as_deref().unwrap_or_default(),
            issuer: &evidence.path.get(1).map(|issuer| name(issuer)).unwrap_or_default(),
            serial: &hex(&facts.serial),
            thumbprint: &sha256_hex(certificate),
            policies: &policies,
            role: parsed.filing.signer().role().name(),
            role_by: evidence.found.role_by.name(),
        },
        validated_at: stamp.at,
        path: evidence.path.iter().map(|der| sha256_hex(der)).collect(),
        revocation_at: evidence.status.this_update,
        revocation: &sha256_hex(&evidence.status.answer),
        token: &stamp.token,
        deadline: evidence.found.deadline.as_ref().map(|deadline| Deadline { rule: &deadline.rule, date: deadline.date.to_string(), confirmed: deadline.confirmed }),
    };
    receipt::received(&common, &received)
}

/// Whether a certificate names a policy. spec: rfc5280#4.2.1.4
fn bears(certificate: &[u8], policy: &Oid) -> bool {
    let Ok(view) = pki::view::CertificateView::parse(certificate) else { return false };
    let Some(Ok(list)) = view.extension(&pki::view::POLICIES).map(|value| pki::asn1::Reader::only(value, 0x30)) else { return false };
    let mut list = pki::asn1::Reader::new(list);
    while let Ok(one) = list.take(0x30) {
        if pki::asn1::Reader::new(one).take(6).is_ok_and(|id| id == policy.as_bytes()) {
            return true;
        }
    }
    false
}
