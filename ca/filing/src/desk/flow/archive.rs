//! The archive: signatures and seals are kept provable, each renewed before what proves it ends.
//!
//! 1 due       the grace has passed, or the newest archive timestamp's certificate or algorithm ends soon
//! 2 gather    what is known of every certificate on the paths: into the signature (B-LT)
//! 3 stamp     an archive timestamp over all of it (B-LTA), and what is known of its own authority
//! 4 judge     with nothing but the anchors it passes, and for longer than before: else nothing is touched
//! 5 record    the signature, when it is due again, and the leaf of the log, in one commit
//!
//! A pass that ends halfway is made again: what was renewed is not due.

use pki::cades::{Algorithm, Assessment, Level, Signature};
use pki::key;
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
use crate::desk::record::filing::{FilingRecord, open_body, signature_key};
use crate::desk::record::receipt::{ReceiptNumber, read_draft};
use crate::desk::record::{plain, versioned};
use crate::verify::{Asked, Terms, assess};

const DUE: &str = "archive due";
/// Filings read from the store at a time.
const PAGE: usize = 256;
/// After a refusal: what cannot be renewed today is tried tomorrow.
const AGAIN: Duration = Duration::days(1);

/// What one pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    pub renewed: u64,
    /// Left as they were; the log of the service says why.
    pub failed: u64,
}

/// What is kept: a filing's signature or a receipt's seal.
struct Kept {
    /// Filing or receipt number.
    name: String,
    place: Key,
    document: Vec<u8>,
    /// As stored, its version before it.
    stored: Vec<u8>,
}

/// Goes over everything that is kept, once.
pub fn pass(desk: &Desk) -> Result<Passed, DeskError> {
    let (mut passed, (mut from, to)) = (Passed::default(), FilingRecord::all());
    loop {
        let page = desk.store.scan(&from, &to, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(passed) };
        from = last.successor();
        for (key, bytes) in &page {
            let record = FilingRecord::decode(bytes)?;
            for kept in kept(desk, key, &record)? {
                match renew(desk, &record.bureau, &kept) {
                    Ok(true) => passed.renewed += 1,
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(kept = %kept.name, %error, "what proves a signature could not be renewed");
                        passed.failed += 1;
                    }
                }
            }
        }
    }
}

/// What is due of one filing: its signature and the seals of its receipts.
fn kept(desk: &Desk, key: &Key, record: &FilingRecord) -> Result<Vec<Kept>, DeskError> {
    let Some(id) = key.last_part().and_then(|part| String::from_utf8(part).ok()) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    if is_due(desk, &id)?
        && let (Some(body), Some(stored)) = (desk.store.get(&crate::desk::record::filing::body_key(&id))?, desk.store.get(&signature_key(&id))?)
    {
        found.push(Kept { name: id.clone(), place: signature_key(&id), document: open_body(&id, &body, &desk.data)?, stored });
    }
    for number in (1..=record.receipts).map(|number| ReceiptNumber::new(&id, number)) {
        if is_due(desk, &number.to_string())?
            && let (Some(draft), Some(stored)) = (desk.store.get(&number.draft())?, desk.store.get(&number.seal())?)
        {
            let (position, text) = read_draft(&draft)?;
            found.push(Kept { name: number.to_string(), place: number.seal(), document: receipt::document(text, position)?, stored });
        }
    }
    Ok(found)
}

fn due_key(name: &str) -> Key {
    Key::new(DUE, &[name.as_bytes()])
}

/// Never looked at, or due by what was found then.
fn is_due(desk: &Desk, name: &str) -> Result<bool, DeskError> {
    let Some(bytes) = desk.store.get(&due_key(name))? else { return Ok(true) };
    let at = versioned(DUE, &bytes)?.first_chunk::<8>().map(|octets| i64::from_be_bytes(*octets));
    Ok(at.is_none_or(|at| at <= desk.clock.now().unix_timestamp()))
}

/// Whether it was renewed.
fn renew(desk: &Desk, bureau: &str, kept: &Kept) -> Result<bool, DeskError> {
    let (now, terms) = (desk.clock.now(), Terms::new(&desk.policies.archive));
    let refused = |error: &dyn std::fmt::Display| DeskError::Seal(error.to_string().replace("; ", ", "));
    let anchors = desk.trust.anchors(bureau).ok_or_else(|| DeskError::NotFound { what: "bureau", id: bureau.to_owned() })?;
    // 1. Due now, or when. What the signature says of itself is enough for that.
    let signature = Signature::read(versioned("signature", &kept.stored)?).map_err(|error| refused(&error))?;
    let before = judge(&signature, kept, anchors, &terms, now)?;
    if let Some(at) = due(&before, &terms).filter(|at| *at > now) {
        desk.store.commit(later(Batch::new(), kept, at))?;
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
        desk.store.commit(later(Batch::new(), kept, now + AGAIN))?;
        return Err(refused(finding));
    }
    let Some(until) = ends(&after, &terms).filter(|until| stood.is_none_or(|stood| *until > stood)) else {
        // The authority still signs with the certificate that proves it already: it waits for the next.
        desk.store.commit(later(Batch::new(), kept, now + AGAIN))?;
        return Ok(false);
    };
    // 5.
    let batch = Batch::new().expect(Expectation::Equals(kept.place.clone(), kept.stored.clone())).put(kept.place.clone(), plain(stamped.der()));
    let mut batch = later(batch, kept, (until - terms.renew_before).max(now + AGAIN));
    Event::SignatureArchived { of: &kept.name, signature: &crate::desk::sha256_hex(stamped.der()), level: after.level.name() }.append(&mut batch, now)?;
    match desk.store.commit(batch) {
        Ok(_) => Ok(true),
        // Somebody was first.
        Err(CommitError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn later(batch: Batch, kept: &Kept, at: OffsetDateTime) -> Batch {
    batch.put(due_key(&kept.name), plain(&at.unix_timestamp().to_be_bytes()))
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

/// Until when the newest archive timestamp is believed: certificates on its path, its hash, its authority's key.
fn ends(found: &Assessment, terms: &Terms) -> Option<OffsetDateTime> {
    let newest = found.timestamps.iter().find(|one| one.over == "archive" && one.judged.holds())?;
    let path = newest.judged.path.as_ref().ok()?;
    let views: Vec<CertificateView<'_>> = path.iter().filter_map(|one| CertificateView::parse(one).ok()).collect();
    let (_, below) = views.split_last()?;
    let certificates = below.iter().map(|view| view.not_after);
    let keys = views.iter().filter_map(|view| terms.floor.until(Algorithm::Key(key::algorithm(view.spki).ok()?)));
    certificates.chain(keys).chain(terms.floor.until(Algorithm::Digest(newest.imprint))).min()
}
