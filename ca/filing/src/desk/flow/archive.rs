//! The archive: signatures and seals are kept provable, each renewed before what proves it ends.
//!
//! 1 due       the grace has passed, or the newest archive timestamp's certificate or algorithm ends soon
//! 2 gather    what is known of every certificate on the paths: into the signature (B-LT)
//! 3 stamp     an archive timestamp over all of it (B-LTA), and what is known of its own authority
//! 4 judge     with nothing but the anchors it passes, and for longer than before: else nothing is touched
//! 5 record    the signature, when it is due again, and the leaf of the log, in one commit
//!
//! What is due stands in a queue by its time. A pass that ends halfway is made again: what was renewed is not due.

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
use crate::desk::record::event::Event;
use crate::desk::record::filing::{FilingRecord, body_key, open_body, signature_key};
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

/// What is kept: a filing's signature or a receipt's seal.
struct Kept {
    /// Filing or receipt number.
    name: String,
    bureau: String,
    place: Key,
    document: Vec<u8>,
    /// As stored, its version before it.
    stored: Vec<u8>,
}

/// Goes over what is due, once, and ends between two of them when `stop` says so. One that is damaged holds up no other.
pub fn pass(desk: &Desk, stop: &dyn Fn() -> bool) -> Result<Passed, DeskError> {
    queue(desk, stop)?;
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
    let receipt = ReceiptNumber::parse(name);
    let id = receipt.as_ref().map_or(name, |number| number.filing.as_str());
    let missing = |what| DeskError::Record(RecordError::Damaged { kind: what, reason: "it is not there" });
    let Some(record) = desk.store.get(&FilingRecord::key(id))? else {
        desk.store.commit(archive::drop_plan(&*desk.store, name, Batch::new())?)?;
        return Ok(None);
    };
    let bureau = FilingRecord::decode(&record)?.bureau;
    Ok(Some(match &receipt {
        None => {
            let body = desk.store.get(&body_key(id))?.ok_or_else(|| missing("filing body"))?;
            let stored = desk.store.get(&signature_key(id))?.ok_or_else(|| missing("filing signature"))?;
            Kept { name: name.to_owned(), bureau, place: signature_key(id), document: open_body(id, &body, &desk.data)?, stored }
        }
        Some(number) => {
            let draft = desk.store.get(&number.draft())?.ok_or_else(|| missing("receipt"))?;
            let stored = desk.store.get(&number.seal())?.ok_or_else(|| missing("receipt seal"))?;
            let (position, text) = read_draft(&draft)?;
            Kept { name: name.to_owned(), bureau, place: number.seal(), document: receipt::document(text, position)?, stored }
        }
    }))
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
    let signature = Signature::read(versioned("signature", &kept.stored)?).map_err(|error| refused(&error))?;
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
    let batch = Batch::new().expect(Expectation::Equals(kept.place.clone(), kept.stored.clone())).put(kept.place.clone(), plain(stamped.der()));
    let mut batch = later(desk, batch, kept, (until - terms.renew_before).max(now + AGAIN))?;
    Event::SignatureArchived { of: &kept.name, signature: &crate::desk::sha256_hex(stamped.der()), level: after.level.name() }.append(&mut batch, now)?;
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

fn with(signature: &Signature, gathered: &Gathered) -> Result<Signature, pki::cades::CadesError> {
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
