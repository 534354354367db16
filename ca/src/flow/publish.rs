//! Publishing the list of the revoked: numbered durably, signed — here, or by the root's key where that is —,
//! read again by another parser, recorded, and only then published.

use pki::crl::{CrlPlan, Entry};
use pki::signer::Signer;
use ring::digest::{SHA256, digest};
use store::{Batch, Expectation, Key};
use time::{Duration, OffsetDateTime};

use super::authorise::{Administrator, Authorised};
use super::ended::Ended;
use crate::authority::{Authority, Issuer};
use crate::problem::IssueError;
use crate::record::{CrlIntent, CrlRecord, Listed, decode, encode, log};

/// How long a list is good for: issuing authorities publish at least daily, the offline root by the year.
pub const ISSUING_DAYS: i64 = 7;
pub const ROOT_DAYS: i64 = 365;
/// Entries read at a time.
const PAGE: usize = 10_000;

pub fn publish(authority: &Authority, authorised: &Authorised<Administrator>, issuer: &Issuer) -> Result<CrlRecord, IssueError> {
    let key = issuer.key.as_ref().ok_or_else(|| IssueError::Offline { issuer: issuer.id().to_owned() })?;
    let prepared = prepare(authority, authorised, issuer)?;
    // 4. Signed.
    let der = pki::certificate::assemble(&prepared.tbs, Signer::algorithm(key), &Signer::sign(key, &prepared.tbs)?);
    finish(authority, issuer, &prepared.intent, der, None)
}

/// A list about to be signed: here, or by a key that is elsewhere.
pub struct Prepared {
    pub intent: CrlIntent,
    pub tbs: Vec<u8>,
}

/// Steps 1 to 3: the bytes to be signed, their number durably taken.
pub fn prepare(authority: &Authority, authorised: &Authorised<Administrator>, issuer: &Issuer) -> Result<Prepared, IssueError> {
    // 1. What made the last list stale and which list that is, both before the entries are read: what is revoked
    //    later stays to be done, and a list that another published meanwhile is never replaced by an older view.
    let stale = authority.store.get(&CrlRecord::stale(issuer.id()))?;
    let before = Before::read(authority, issuer.id())?;
    let entries = revoked(authority, issuer.id())?;
    // 2. The next number, above every list made or meant.
    let plan = plan(issuer, before.number()?.max(floor(authority)?) + 1, authority.clock.now());
    let count = entries.len() as u64;
    let tbs = pki::crl::build_tbs(&plan, issuer.algorithm()?, entries);
    // 3. The intent: a number is never used for two lists.
    let intent = CrlIntent {
        number: plan.number,
        this_update: plan.this_update.unix_timestamp(),
        next_update: plan.next_update.unix_timestamp(),
        tbs_digest: digest(&SHA256, &tbs).as_ref().to_vec(),
        entries: count,
        stale,
    };
    record_intent(authority, authorised, issuer.id(), &before, &intent)?;
    Ok(Prepared { intent, tbs })
}

/// Steps 4 and on for a list that was signed elsewhere: it must be the one prepared last.
pub fn accept(authority: &Authority, authorised: &Authorised<Administrator>, issuer: &Issuer, der: Vec<u8>) -> Result<CrlRecord, IssueError> {
    use x509_parser::prelude::FromDer;
    let damaged = |_| IssueError::Damaged { what: "the CRL about to be signed" };
    let intent = authority.store.get(&CrlIntent::key(issuer.id()))?.ok_or(IssueError::NotPrepared)?;
    let intent: CrlIntent = decode(&intent).map_err(damaged)?;
    let (_, read) = x509_parser::revocation_list::CertificateRevocationList::from_der(&der).map_err(|_| IssueError::NotPrepared)?;
    if digest(&SHA256, read.tbs_cert_list.as_ref()).as_ref() != intent.tbs_digest {
        return Err(IssueError::NotPrepared);
    }
    finish(authority, issuer, &intent, der, Some(authorised))
}

/// `handed_in`: who brought a list that was signed elsewhere.
fn finish(authority: &Authority, issuer: &Issuer, intent: &CrlIntent, der: Vec<u8>, handed_in: Option<&Authorised<Administrator>>) -> Result<CrlRecord, IssueError> {
    // 5. Read back with the other parser, and held against the register.
    check(issuer, &der)?;
    let ended = agrees(authority, issuer.id(), intent, &der)?;
    // 6. Recorded with its log entry; from now on it is what we publish. What had ended was on it once more.
    let record = CrlRecord { number: intent.number, this_update: intent.this_update, next_update: intent.next_update, entries: intent.entries, der };
    self::record(authority, issuer.id(), intent, &record, &ended, handed_in)?;
    // 7. Fresh, unless another change came meanwhile.
    if let Some(mark) = &intent.stale {
        let clear = Batch::new().expect(Expectation::Equals(CrlRecord::stale(issuer.id()), mark.clone())).delete(CrlRecord::stale(issuer.id()));
        match authority.store.commit(clear) {
            Ok(_) | Err(store::CommitError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(record)
}

fn plan(issuer: &Issuer, number: u64, now: OffsetDateTime) -> CrlPlan {
    let this_update = now.replace_nanosecond(0).unwrap_or(now);
    let days = if issuer.id() == crate::authority::ROOT { ROOT_DAYS } else { ISSUING_DAYS };
    CrlPlan {
        issuer: issuer.name.clone(),
        this_update,
        next_update: this_update + Duration::days(days),
        number,
        authority_key_id: issuer.key_id.clone(),
        distribution_point: None,
    }
}

fn revoked(authority: &Authority, issuer: &str) -> Result<Vec<Entry>, IssueError> {
    let damaged = || IssueError::Damaged { what: "a revocation" };
    let (mut from, to) = Key::range("revoked", &[issuer.as_bytes()]);
    let mut entries = Vec::new();
    loop {
        let page = authority.store.scan(&from, &to, PAGE)?;
        for (key, value) in &page {
            let listed: Listed = decode(value).map_err(|_| damaged())?;
            let (at, reason) = listed.crl();
            let serial = key.last_part().ok_or_else(damaged)?;
            let revoked_at = OffsetDateTime::from_unix_timestamp(at).map_err(|_| damaged())?;
            let invalidity_date = listed.invalid_since().map(OffsetDateTime::from_unix_timestamp).transpose().map_err(|_| damaged())?;
            entries.push(Entry { serial, revoked_at, reason, invalidity_date });
        }
        match page.last() {
            Some((last, _)) if page.len() == PAGE => from = last.successor(),
            _ => return Ok(entries),
        }
    }
}

/// What a restored authority leapt over; nought for one that was never restored.
pub fn floor(authority: &Authority) -> Result<u64, IssueError> {
    let damaged = |_| IssueError::Damaged { what: "the number that lists are above" };
    let Some(bytes) = authority.store.get(&CrlRecord::floor())? else { return Ok(0) };
    Ok(u64::from_be_bytes(bytes.try_into().map_err(damaged)?))
}

/// The last list and the last intent as they stand: a publication holds only if both still do.
struct Before {
    record: Option<Vec<u8>>,
    intent: Option<Vec<u8>>,
}

impl Before {
    fn read(authority: &Authority, issuer: &str) -> Result<Self, IssueError> {
        Ok(Self { record: authority.store.get(&CrlRecord::key(issuer))?, intent: authority.store.get(&CrlIntent::key(issuer))? })
    }

    fn number(&self) -> Result<u64, IssueError> {
        let damaged = |_| IssueError::Damaged { what: "the last CRL" };
        let published = self.record.as_deref().map(decode::<CrlRecord>).transpose().map_err(damaged)?;
        let meant = self.intent.as_deref().map(decode::<CrlIntent>).transpose().map_err(damaged)?;
        Ok(published.map_or(0, |list| list.number).max(meant.map_or(0, |intent| intent.number)))
    }

    fn expectation(key: Key, value: Option<&Vec<u8>>) -> Expectation {
        match value {
            Some(value) => Expectation::Equals(key, value.clone()),
            None => Expectation::Absent(key),
        }
    }
}

fn record_intent(authority: &Authority, authorised: &Authorised<Administrator>, issuer: &str, before: &Before, intent: &CrlIntent) -> Result<(), IssueError> {
    let by = authorised.actor().to_string();
    let entry = log::Entry::CrlIntended { issuer, number: intent.number, tbs_sha256: &crate::hex(&intent.tbs_digest), by: &by };
    let mut batch = Batch::new()
        .expect(Before::expectation(CrlRecord::key(issuer), before.record.as_ref()))
        .expect(Before::expectation(CrlIntent::key(issuer), before.intent.as_ref()))
        .put(CrlIntent::key(issuer), encode(intent)?);
    batch.append(log::STREAM, entry.leaf(authority.clock.now())?);
    authority.store.commit(batch).map_err(raced)?;
    Ok(())
}

fn check(issuer: &Issuer, der: &[u8]) -> Result<(), IssueError> {
    use x509_parser::prelude::FromDer;
    let (_, read) = x509_parser::revocation_list::CertificateRevocationList::from_der(der).map_err(|_| IssueError::WrongSignature)?;
    let (_, key) = x509_parser::x509::SubjectPublicKeyInfo::from_der(&issuer.public_key_info).map_err(|_| IssueError::WrongSignature)?;
    read.verify_signature(&key).map_err(|_| IssueError::WrongSignature)?;
    let Some(linted) = &issuer.linted else { return Err(IssueError::Offline { issuer: issuer.id().to_owned() }) };
    let findings = lint::lint_crl(der, linted);
    if findings.iter().any(|finding| finding.severity == lint::Severity::Error) {
        return Err(IssueError::Lint { findings: findings.iter().map(|finding| format!("{}: {} ({})", finding.rule, finding.message, finding.clause)).collect() });
    }
    Ok(())
}

/// What the list says is what the register says now. Only a change recorded since the list was prepared explains a
/// difference: it left another mark, and the next list carries it. Tells what the lists after this one leave out.
fn agrees(authority: &Authority, issuer: &str, intent: &CrlIntent, der: &[u8]) -> Result<Ended, IssueError> {
    use x509_parser::prelude::FromDer;
    let (_, read) = x509_parser::revocation_list::CertificateRevocationList::from_der(der).map_err(|_| IssueError::WrongSignature)?;
    let listed = &read.tbs_cert_list.revoked_certificates;
    let known = revoked(authority, issuer)?;
    let same = |(listed, known): (&x509_parser::revocation_list::RevokedCertificate<'_>, &Entry)| {
        let reason = listed.reason_code().map_or(0, |(_, reason)| reason.0);
        let invalid = listed.invalidity_date().map(|(_, at)| at.timestamp()) == known.invalidity_date.map(OffsetDateTime::unix_timestamp);
        invalid && listed.raw_serial() == known.serial && listed.revocation_date.timestamp() == known.revoked_at.unix_timestamp() && reason == known.reason as u8
    };
    let agrees = listed.len() == known.len() && listed.iter().zip(&known).all(same);
    let explained = || Ok::<_, IssueError>(authority.store.get(&CrlRecord::stale(issuer))? != intent.stale);
    if listed.len() as u64 != intent.entries || !(agrees || explained()?) {
        return Err(IssueError::ListDiffers { issuer: issuer.to_owned() });
    }
    Ended::read(authority, issuer, listed, intent.this_update)
}

fn record(authority: &Authority, issuer: &str, intent: &CrlIntent, record: &CrlRecord, ended: &Ended, handed_in: Option<&Authorised<Administrator>>) -> Result<(), IssueError> {
    let entry = log::Entry::CrlIssued { issuer, number: record.number, entries: record.entries, sha256: &crate::sha256_hex(&record.der) };
    let mut batch = Batch::new()
        .expect(Expectation::Equals(CrlIntent::key(issuer), encode(intent)?))
        .put(CrlRecord::key(issuer), encode(record)?)
        .delete(CrlIntent::key(issuer));
    if let Some(authorised) = handed_in {
        let entry = log::Entry::CrlHandedIn { issuer, number: record.number, by: &authorised.actor().to_string() };
        batch.append(log::STREAM, entry.leaf(authority.clock.now())?);
    }
    batch.append(log::STREAM, entry.leaf(authority.clock.now())?);
    let committed = authority.store.commit(ended.left_out(batch)).map_err(raced);
    // After a failure too: nobody knows then which list the store holds.
    authority.published(issuer);
    committed?;
    Ok(())
}

fn raced(error: store::CommitError) -> IssueError {
    match error {
        store::CommitError::Conflict { .. } => IssueError::Race,
        other => other.into(),
    }
}
