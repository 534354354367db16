//! The archive: signatures and seals are kept provable, each renewed before what proves it ends.
//!
//! 1 due       the grace has passed, or the newest archive timestamp's certificate or algorithm ends soon
//! 2 gather    what is known of every certificate on the paths: into the signature (B-LT)
//! 3 stamp     an archive timestamp over all of it (B-LTA), and what is known of its own authority
//! 4 judge     with nothing but the anchors it passes, and for longer than before: else nothing is touched
//! 5 record    the signature, when it is due again, and the leaf of the log, in one commit
//!
//! What is due stands in a queue by its time. A pass that ends halfway is made again: what was renewed is not due.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pki::cades::{Algorithm, Assessment, Level, Signature, SubIndication};
use pki::path::Anchors;
use pki::signature::DigestAlgorithm;
use pki::view::CertificateView;
use store::{Batch, CommitError, Expectation, Key};
use time::{Duration, OffsetDateTime};

use super::evidence::{Gathered, gather};
use super::proof::effort;
use crate::desk::Desk;
use crate::desk::problem::DeskError;
use crate::desk::receipt;
use crate::desk::record::event::{Event, keyed, named_filing, named_receipt};
use crate::desk::record::filing::{FilingRecord, body_key, open_body, signature_key};
use crate::desk::record::mandate::MandateRecord;
use crate::desk::record::operator::OperatorRecord;
use crate::desk::record::receipt::{ReceiptNumber, read_draft};
use crate::desk::record::{RecordError, archive, plain, versioned};
use crate::verify::{Asked, Terms, assess};

/// Signatures and seals looked at between two looks at the queue.
const PAGE: usize = 256;
/// After a refusal: what cannot be renewed today is tried tomorrow.
const AGAIN: Duration = Duration::days(1);
/// The most faults that are counted.
const MOST: usize = 10_000;

/// What one pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    pub renewed: u64,
    /// Left as they were; the log of the service says why.
    pub failed: u64,
    /// Those of which nothing can be renewed until somebody mends them; they are looked at again day by day.
    pub faults: u64,
}

/// What is kept: the signature of a filing, a mandate, what was said of a key, or a receipt's seal.
struct Kept {
    /// As the queue names it.
    name: String,
    bureau: String,
    place: Key,
    document: Vec<u8>,
    /// DER.
    signature: Vec<u8>,
    /// The record that holds it, as stored.
    stored: Vec<u8>,
    kept: archive::Kept,
}

impl Kept {
    /// The record with another signature in the place of its own.
    fn with(&self, signature: &[u8]) -> Result<Vec<u8>, DeskError> {
        let text = STANDARD.encode(signature);
        let gone = || RecordError::Damaged { kind: "withdrawal", reason: "it is not there" };
        Ok(match self.kept {
            archive::Kept::Filing | archive::Kept::Receipt => plain(signature),
            archive::Kept::Mandate => MandateRecord { signature: text, ..MandateRecord::decode(&self.stored)? }.encode()?,
            archive::Kept::Operator => OperatorRecord { signature: text, ..OperatorRecord::decode(&self.stored)? }.encode()?,
            archive::Kept::MandateWithdrawal => {
                let mut record = MandateRecord::decode(&self.stored)?;
                record.withdrawn.as_mut().ok_or_else(gone)?.signature = text;
                record.encode()?
            }
            archive::Kept::OperatorWithdrawal => {
                let mut record = OperatorRecord::decode(&self.stored)?;
                record.withdrawn.as_mut().ok_or_else(gone)?.signature = text;
                record.encode()?
            }
        })
    }
}

/// By which name the log tells of it.
fn named(desk: &Desk, kept: &Kept) -> String {
    match kept.kept {
        archive::Kept::Filing => named_filing(&desk.data, &kept.name),
        archive::Kept::Receipt => named_receipt(&desk.data, &kept.name),
        _ => keyed(&desk.data, "kept", kept.name.as_bytes()),
    }
}

/// Goes over what is due, once, and ends between two of them when `stop` says so. One that is damaged holds up no other.
pub fn pass(desk: &Desk, stop: &dyn Fn() -> bool) -> Result<Passed, DeskError> {
    queue(desk, stop)?;
    queue_words(desk)?;
    terms_changed(desk, stop)?;
    let mut passed = Passed::default();
    let (mut from, to) = archive::due(desk.clock.now().unix_timestamp());
    'whole: loop {
        let page = desk.store.scan(&from, &to, PAGE)?;
        let Some((last, _)) = page.last() else { break };
        from = last.successor();
        for (_, name) in &page {
            if stop() {
                break 'whole;
            }
            let Ok(name) = std::str::from_utf8(name) else { continue };
            one(desk, name, &mut passed)?;
        }
    }
    let (from, to) = archive::faults();
    passed.faults = desk.store.scan(&from, &to, MOST)?.len() as u64;
    Ok(passed)
}

fn one(desk: &Desk, name: &str, passed: &mut Passed) -> Result<(), DeskError> {
    match kept(desk, name).and_then(|kept| kept.map_or(Ok(false), |kept| renew(desk, &kept))) {
        Ok(renewed) => passed.renewed += u64::from(renewed),
        Err(error) => {
            tracing::warn!(kept = %name, %error, "what proves a signature could not be renewed");
            passed.failed += 1;
            // Who is away comes back; what is damaged stays so until it is restored.
            if matches!(error, DeskError::Record(_) | DeskError::Data(_) | DeskError::Seal(_) | DeskError::NotFound { .. }) {
                let at = (desk.clock.now() + AGAIN).unix_timestamp();
                let batch = archive::replan(&*desk.store, name, at, Batch::new())?;
                desk.store.commit(batch.put(archive::fault_key(name), error.to_string().as_bytes()))?;
            }
        }
    }
    Ok(())
}

/// What a name stands for; nothing where nothing of that name is kept, and then it is not looked at again.
fn kept(desk: &Desk, name: &str) -> Result<Option<Kept>, DeskError> {
    let (kept, id) = archive::Kept::of(name);
    let found = match kept {
        archive::Kept::Filing => kept_filing(desk, id)?,
        archive::Kept::Receipt => kept_receipt(desk, id)?,
        archive::Kept::Mandate | archive::Kept::MandateWithdrawal => kept_mandate(desk, kept, id)?,
        archive::Kept::Operator | archive::Kept::OperatorWithdrawal => kept_operator(desk, kept, id)?,
    };
    if found.is_none() {
        desk.store.commit(archive::drop_plan(&*desk.store, name, Batch::new())?)?;
    }
    Ok(found.map(|found| Kept { name: name.to_owned(), ..found }))
}

fn missing(what: &'static str) -> DeskError {
    DeskError::Record(RecordError::Damaged { kind: what, reason: "it is not there" })
}

fn bureau_of(desk: &Desk, filing: &str) -> Result<Option<String>, DeskError> {
    Ok(desk.store.get(&FilingRecord::key(filing))?.map(|record| FilingRecord::decode(&record)).transpose()?.map(|record| record.bureau))
}

fn kept_filing(desk: &Desk, id: &str) -> Result<Option<Kept>, DeskError> {
    let Some(bureau) = bureau_of(desk, id)? else { return Ok(None) };
    let body = desk.store.get(&body_key(id))?.ok_or_else(|| missing("filing body"))?;
    let stored = desk.store.get(&signature_key(id))?.ok_or_else(|| missing("filing signature"))?;
    let (document, signature) = (open_body(id, &body, &desk.data)?, versioned("signature", &stored)?.to_vec());
    Ok(Some(Kept { name: String::new(), bureau, place: signature_key(id), document, signature, stored, kept: archive::Kept::Filing }))
}

fn kept_receipt(desk: &Desk, name: &str) -> Result<Option<Kept>, DeskError> {
    let Some(number) = ReceiptNumber::parse(name) else { return Ok(None) };
    let Some(bureau) = bureau_of(desk, &number.filing)? else { return Ok(None) };
    let draft = desk.store.get(&number.draft())?.ok_or_else(|| missing("receipt"))?;
    let stored = desk.store.get(&number.seal())?.ok_or_else(|| missing("receipt seal"))?;
    let (position, text) = read_draft(&draft)?;
    let (document, signature) = (receipt::document(text, position)?, versioned("signature", &stored)?.to_vec());
    Ok(Some(Kept { name: String::new(), bureau, place: number.seal(), document, signature, stored, kept: archive::Kept::Receipt }))
}

fn kept_mandate(desk: &Desk, kept: archive::Kept, id: &str) -> Result<Option<Kept>, DeskError> {
    let place = MandateRecord::key(id);
    let Some(stored) = desk.store.get(&place)? else { return Ok(None) };
    let record = MandateRecord::decode(&stored)?;
    let said = if kept == archive::Kept::Mandate { Some((record.document, record.signature, record.bureau)) } else { record.withdrawn.map(|one| (one.document, one.signature, one.bureau)) };
    kept_word(desk, kept, (place, stored), said)
}

fn kept_operator(desk: &Desk, kept: archive::Kept, id: &str) -> Result<Option<Kept>, DeskError> {
    let place = OperatorRecord::key(id);
    let Some(stored) = desk.store.get(&place)? else { return Ok(None) };
    let record = OperatorRecord::decode(&stored)?;
    let said = if kept == archive::Kept::Operator { Some((record.document, record.signature, record.bureau)) } else { record.withdrawn.map(|one| (one.document, one.signature, one.bureau)) };
    kept_word(desk, kept, (place, stored), said)
}

/// What an enterprise said; one from before it was noted by whose roots it was proved is judged by the first bureau's.
fn kept_word(desk: &Desk, kept: archive::Kept, (place, stored): (Key, Vec<u8>), said: Option<(String, String, Option<String>)>) -> Result<Option<Kept>, DeskError> {
    let Some((document, signature, bureau)) = said else { return Ok(None) };
    let first = || desk.policies.desk.bureaus().first().map(|bureau| bureau.code.as_str().to_owned());
    let bureau = bureau.or_else(first).ok_or_else(|| DeskError::NotFound { what: "bureau", id: "any".into() })?;
    let signature = STANDARD.decode(signature).map_err(|_| RecordError::Damaged { kind: "signature", reason: "it is no base64" })?;
    Ok(Some(Kept { name: String::new(), bureau, place, document: document.into_bytes(), signature, stored, kept }))
}

/// Once for a store from before mandates and what was said of keys were archived.
fn queue_words(desk: &Desk) -> Result<(), DeskError> {
    if desk.store.get(&archive::words_queued_key())?.is_some() {
        return Ok(());
    }
    let now = desk.clock.now().unix_timestamp();
    for ((mut from, to), given, withdrawn) in [(MandateRecord::all(), archive::Kept::Mandate, archive::Kept::MandateWithdrawal), (OperatorRecord::all(), archive::Kept::Operator, archive::Kept::OperatorWithdrawal)] {
        loop {
            let page = desk.store.scan(&from, &to, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            from = last.successor();
            let mut batch = Batch::new();
            for id in page.iter().filter_map(|(key, _)| String::from_utf8(key.last_part()?).ok()) {
                // One that was planned when it was given keeps its turn; a withdrawal that is none is dropped at its own.
                for name in [given.name(&id), withdrawn.name(&id)] {
                    if archive::planned(&*desk.store, &name)?.is_none() {
                        batch = archive::plan(&name, now, batch);
                    }
                }
            }
            desk.store.commit(batch)?;
        }
    }
    desk.store.commit(Batch::new().put(archive::words_queued_key(), plain(&[])))?;
    Ok(())
}

/// Once for a store from before there was a queue: everything that is kept, at the time that was decided, or now.
fn queue(desk: &Desk, stop: &dyn Fn() -> bool) -> Result<(), DeskError> {
    if desk.store.get(&archive::queued_key())?.is_some() {
        return Ok(());
    }
    let (mut from, to) = FilingRecord::all();
    loop {
        let page = desk.store.scan(&from, &to, PAGE)?;
        let Some((last, _)) = page.last() else { break };
        from = last.successor();
        let mut batch = Batch::new();
        for (key, bytes) in &page {
            let Some(id) = key.last_part().and_then(|part| String::from_utf8(part).ok()) else { continue };
            // One that cannot be read is in the queue all the same: its turn tells of it.
            let receipts = FilingRecord::decode(bytes).map_or(0, |record| record.receipts);
            let sealed = |number: &ReceiptNumber| desk.store.get(&number.seal()).map(|seal| seal.is_some());
            let mut names = vec![id.clone()];
            for number in (1..=receipts).map(|number| ReceiptNumber::new(&id, number)) {
                if sealed(&number)? {
                    names.push(number.to_string());
                }
            }
            for name in names {
                let at = archive::planned(&*desk.store, &name).ok().flatten().unwrap_or_else(|| desk.clock.now().unix_timestamp());
                batch = archive::plan(&name, at, batch);
            }
        }
        desk.store.commit(batch)?;
        if stop() {
            return Ok(());
        }
    }
    desk.store.commit(Batch::new().put(archive::queued_key(), plain(&[])).put(archive::terms_key(), plain(desk.policies.archive_digest.as_bytes())))?;
    Ok(())
}

/// When the city's word on what is believed is another than the one by which everything was planned, all of it is due now: its
/// turn finds the new day. A store from before that was noted is gone over once.
fn terms_changed(desk: &Desk, stop: &dyn Fn() -> bool) -> Result<(), DeskError> {
    let (key, digest) = (archive::terms_key(), plain(desk.policies.archive_digest.as_bytes()));
    if desk.store.get(&archive::queued_key())?.is_none() || desk.store.get(&key)?.as_ref() == Some(&digest) {
        return Ok(());
    }
    let now = desk.clock.now().unix_timestamp();
    // What is planned anew leaves the range: the first page is always the next.
    let (from, to) = archive::after(now);
    loop {
        let page = desk.store.scan(&from, &to, PAGE)?;
        if page.is_empty() {
            break;
        }
        let mut batch = Batch::new();
        for (place, name) in &page {
            batch = batch.delete(place.clone());
            if let Ok(name) = std::str::from_utf8(name) {
                batch = archive::plan(name, now, batch);
            }
        }
        desk.store.commit(batch)?;
        if stop() {
            return Ok(());
        }
    }
    tracing::info!("the terms of the archive changed: everything that is kept is looked at");
    desk.store.commit(Batch::new().put(key, digest))?;
    Ok(())
}

/// Whether it was renewed.
fn renew(desk: &Desk, kept: &Kept) -> Result<bool, DeskError> {
    let (now, terms, bureau) = (desk.clock.now(), Terms::new(&desk.policies.archive), kept.bureau.as_str());
    let refused = |error: &dyn std::fmt::Display| DeskError::Seal(error.to_string().replace("; ", ", "));
    let anchors = desk.trust.anchors(bureau).ok_or_else(|| DeskError::NotFound { what: "bureau", id: bureau.to_owned() })?;
    // 1. Due now, or when. What the signature says of itself is enough for that.
    let signature = Signature::read(&kept.signature).map_err(|error| refused(&error))?;
    let before = judge(&signature, kept, anchors, &terms, now)?;
    if let Some(at) = due(&before, &terms).filter(|at| *at > now) {
        desk.store.commit(later(desk, Batch::new(), kept, at)?)?;
        return Ok(false);
    }
    let stood = ends(&before, &terms);
    // 2. and 3. Evidence under the timestamp, and beside it what is known of its own authority.
    let proved = with(&signature, &gather(desk, bureau, &kept.document, signature.der(), now, &effort(desk))?.0).map_err(|error| refused(&error))?;
    let covered = proved.archive_imprint(&kept.document, DigestAlgorithm::Sha512);
    let token = desk.trust.stamp(covered.imprint().clone())?;
    let stamped = proved.with_archive_timestamp(&covered, &token).map_err(|error| refused(&error))?;
    let stamped = with(&stamped, &gather(desk, bureau, &kept.document, stamped.der(), now, &effort(desk))?.0).map_err(|error| refused(&error))?;
    // 4. Judged as one will who has nothing else.
    let after = judge(&stamped, kept, anchors, &terms, now)?;
    if let (_, Some(finding)) = after.verdict() {
        if finding.sub == SubIndication::TryLater {
            // Who answers is away, or has nothing newer: it stays due, and nothing of it is damaged.
            return Err(DeskError::Away { what: "what is known of revocations", reason: finding.detail.replace("; ", ", ") });
        }
        desk.store.commit(later(desk, Batch::new(), kept, now + AGAIN)?)?;
        return Err(refused(finding));
    }
    let Some(until) = ends(&after, &terms).filter(|until| stood.is_none_or(|stood| *until > stood)) else {
        // The authority still signs with the certificate that proves it already: it waits for the next.
        desk.store.commit(later(desk, Batch::new(), kept, now + AGAIN)?)?;
        return Ok(false);
    };
    // 5.
    let batch = Batch::new().expect(Expectation::Equals(kept.place.clone(), kept.stored.clone())).put(kept.place.clone(), kept.with(stamped.der())?);
    let mut batch = later(desk, batch, kept, (until - terms.renew_before).max(now + AGAIN))?;
    Event::SignatureArchived { of: &named(desk, kept), signature: &crate::desk::sha256_hex(stamped.der()), level: after.level.name() }.append(&mut batch, now)?;
    match desk.store.commit(batch) {
        Ok(_) => Ok(true),
        // Somebody was first.
        Err(CommitError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Nothing is wrong with it, and it is looked at again then.
fn later(desk: &Desk, batch: Batch, kept: &Kept, at: OffsetDateTime) -> Result<Batch, DeskError> {
    Ok(archive::replan(&*desk.store, &kept.name, at.unix_timestamp(), batch.delete(archive::fault_key(&kept.name)))?)
}

fn judge(signature: &Signature, kept: &Kept, anchors: &Anchors, terms: &Terms, now: OffsetDateTime) -> Result<Assessment, DeskError> {
    let asked = Asked { document: &kept.document, signature: signature.der(), anchors, timestamp_anchors: anchors, terms, policies: &[], credit_code: None, answers: &[], existed_at: None };
    assess(&asked, now).map_err(|finding| DeskError::Seal(finding.to_string().replace("; ", ", ")))
}

/// With all that was gathered inside it.
pub(super) fn with(signature: &Signature, gathered: &Gathered) -> Result<Signature, pki::cades::CadesError> {
    let [certificates, ocsp] = [&gathered.certificates, &gathered.ocsp].map(|list| list.iter().map(Vec::as_slice));
    signature.with_evidence(certificates, ocsp, gathered.crls().iter().map(Vec::as_slice))
}

/// When something is to be done; `None` is at once.
fn due(found: &Assessment, terms: &Terms) -> Option<OffsetDateTime> {
    if found.level == Level::Archived {
        return ends(found, terms).map(|until| until - terms.renew_before);
    }
    // What is revoked late shows only after the grace. Seals and signatures here are timestamped.
    let stamp = found.timestamps.iter().filter(|one| one.over == "signature").map(|one| one.gen_time).min()?;
    Some(stamp + terms.grace)
}

/// Until when the newest archive timestamp is believed: the certificates on its path, the hash of what it is over, and of its own
/// signature and those on the certificates the hashes and the keys.
fn ends(found: &Assessment, terms: &Terms) -> Option<OffsetDateTime> {
    let newest = found.timestamps.iter().find(|one| one.over == "archive" && one.judged.holds())?;
    let path = newest.judged.path.as_ref().ok()?;
    let views: Vec<CertificateView<'_>> = path.iter().filter_map(|one| CertificateView::parse(one).ok()).collect();
    let (_, below) = views.split_last()?;
    let certificates = below.iter().map(|view| view.not_after);
    certificates.chain([terms.floor.ends(newest.scheme, path)?, terms.floor.until(Algorithm::Digest(newest.imprint))?]).min()
}
